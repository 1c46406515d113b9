/* kernels.cu - the kernels of libcuframes-vision. scripts/ptx makes kernels.ptx of it, with clang 14's NVPTX back end,
 * which the library carries as text: every driver from CUDA 11.4 on compiles that for its GPU, building needs no
 * CUDA. */
#define CF_GPU static inline __attribute__((device, always_inline))
/* So many blocks on a multiprocessor, that is 64 or 80 registers: what the kernels need with next to no spilling. */
#define CF_KERNEL(blocks)                                                                                              \
  extern "C" __attribute__((global, launch_bounds(CF_BLOCK_WIDTH * CF_BLOCK_HEIGHT, blocks)))
#define CF_UNROLL _Pragma("unroll")
#define CF_ROLLED _Pragma("nounroll")
#define CF_FORGET() __asm__ volatile("" ::: "memory")
#define CF_LOAD_8(at) __nvvm_ldg_uc((const unsigned char *)(at))
#define CF_LOAD_16(at) __nvvm_ldg_us((const unsigned short *)(at))
#define CF_LOAD_32(at) __nvvm_ldg_ui((const unsigned *)(at))
#define CF_STORE(type, at, k, value) (((__attribute__((address_space(1))) type *)(at))[k] = (type)(value))
#define CF_STORE_4(at, a, b, c, d)                                                                                     \
  __asm__ volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(at), "f"(a), "f"(b), "f"(c), "f"(d) : "memory")
#define CF_STORE_2(at, a, b) __asm__ volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(at), "r"(a), "r"(b) : "memory")
/* In one piece of text: so NVIDIA's compiler makes one instruction of two conversions, elsewhere a slow one of each. */
#define CF_STORE_4_HALVES(at, a, b, c, d)                                                                              \
  __asm__ volatile("{ .reg .b16 %%a, %%b, %%c, %%d;"                                                                   \
                   " cvt.rn.f16.f32 %%a, %1; cvt.rn.f16.f32 %%b, %2; cvt.rn.f16.f32 %%c, %3; cvt.rn.f16.f32 %%d, %4;"  \
                   " st.global.v4.b16 [%0], {%%a, %%b, %%c, %%d}; }" ::"l"(at),                                        \
                   "f"(a), "f"(b), "f"(c), "f"(d)                                                                      \
                   : "memory")
#define CF_HALF(value) half_of(value)
#define CF_RAISED_FLOOR(value) raised_floor(value)

static inline __attribute__((device, always_inline)) unsigned half_of(float value) {
  unsigned short half;
  __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

static inline __attribute__((device, always_inline)) float raised_floor(float value) {
  float raised;
  __asm__("add.rz.f32 %0, %1, 0f4B000000;" : "=f"(raised) : "f"(value));
  return raised;
}

#include "vision/cuda/kernel.h"

/* The plan of the block's picture, where every thread of it has it at hand. */
static __attribute__((shared)) cf_plan plan;

/* Word by word, and by two kinds of load: a pointer that may be to either kind of memory costs a copy of the few. */
CF_GPU void take_plan(const cf_preprocess_job *job, const cf_plans_few *few, unsigned z) {
  unsigned n = __nvvm_read_ptx_sreg_tid_y() * CF_BLOCK_WIDTH + __nvvm_read_ptx_sreg_tid_x();
  if (n < sizeof plan / sizeof(unsigned))
    ((unsigned *)&plan)[n] = job->table ? CF_LOAD_32(job->table + z * sizeof plan + n * sizeof(unsigned))
                                        : ((const unsigned *)&few->plan[z])[n];
  __syncthreads();
}

CF_KERNEL(4) void cuframes_vision_preprocess(cf_preprocess_job job, cf_plans_few few) {
  unsigned z = __nvvm_read_ptx_sreg_ctaid_z();
  unsigned x = __nvvm_read_ptx_sreg_ctaid_x() * CF_BLOCK_WIDTH + __nvvm_read_ptx_sreg_tid_x();
  unsigned y = __nvvm_read_ptx_sreg_ctaid_y() * CF_BLOCK_HEIGHT + __nvvm_read_ptx_sreg_tid_y();
  take_plan(&job, &few, z);
  cf_preprocess_thread(&job, &plan, z, x * CF_THREAD_PIXELS, y);
}

static __attribute__((shared)) cf_brush brush;
static __attribute__((shared)) int hiding;          /* the topmost layer that hides all below it */
static __attribute__((shared)) unsigned touching[CF_BLOCK_WIDTH * CF_BLOCK_HEIGHT / 32]; /* a bit for a layer */

CF_GPU void take_brush(const cf_plan_layer *layer, unsigned group, unsigned n) {
  const unsigned *from = (const unsigned *)&layer->group[group], *tail = (const unsigned *)layer->color;
  __syncthreads(); /* nobody draws with the one before any more */
  if (n < sizeof brush.plan / sizeof(unsigned))
    ((unsigned *)&brush.plan)[n] = from[n];
  else if (n < sizeof brush / sizeof(unsigned))
    ((unsigned *)&brush)[n] = tail[n - sizeof brush.plan / sizeof(unsigned)];
  __syncthreads();
}

CF_KERNEL(3) void cuframes_vision_compose(cf_compose_job job) {
  const unsigned threads = CF_BLOCK_WIDTH * CF_BLOCK_HEIGHT;
  unsigned n = __nvvm_read_ptx_sreg_tid_y() * CF_BLOCK_WIDTH + __nvvm_read_ptx_sreg_tid_x();
  const cf_plan_layer *layers = (const cf_plan_layer *)job.layers;
  cf_place place = cf_place_of(&job, __nvvm_read_ptx_sreg_ctaid_x());
  unsigned column = place.x + __nvvm_read_ptx_sreg_tid_x() * CF_THREAD_PIXELS;
  unsigned row = place.y + __nvvm_read_ptx_sreg_tid_y();
  if (n == 0)
    hiding = 0;
  __syncthreads();
  for (unsigned i = n; i < job.count; i += threads)
    if (cf_hides(&job, &layers[i], &place))
      __nvvm_atom_max_gen_i(&hiding, (int)i);
  __syncthreads();
  cf_codes codes;
  cf_black(&job.surface, place.group, &codes);
  for (unsigned chunk = (unsigned)hiding; chunk < job.count; chunk += threads) {
    __syncthreads();
    if (n < threads / 32)
      touching[n] = 0;
    __syncthreads();
    if (chunk + n < job.count && cf_touches(&layers[chunk + n], &place))
      __nvvm_atom_or_gen_i((int *)&touching[n / 32], (int)(1u << n % 32));
    __syncthreads();
    CF_ROLLED
    for (unsigned word = 0; word < threads / 32; word++)
      for (unsigned bits = touching[word]; bits; bits &= bits - 1) {
        take_brush(&layers[chunk + word * 32 + (unsigned)__builtin_ctz(bits)], place.group, n);
        cf_draw(&job.surface, &brush, place.group, column, row, &codes);
      }
  }
  cf_write(&job.surface, &codes, place.group, column, row);
}

/* One block. */
CF_KERNEL(4) void cuframes_vision_fill(cf_fill_few few) {
  unsigned n = __nvvm_read_ptx_sreg_tid_y() * CF_BLOCK_WIDTH + __nvvm_read_ptx_sreg_tid_x();
  for (; n < few.words; n += CF_BLOCK_WIDTH * CF_BLOCK_HEIGHT)
    CF_STORE(unsigned, few.to, n, few.word[n]);
}
