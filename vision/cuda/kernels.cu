/* kernels.cu - the kernels of libcuframes-vision. scripts/ptx makes kernels.ptx of it, with clang 14's NVPTX back end,
 * which the library carries as text: every driver from CUDA 11.4 on compiles that for its GPU, building needs no
 * CUDA. */
#define CF_GPU static inline __attribute__((device, always_inline))
/* Four blocks on a multiprocessor: 64 registers, which is what the kernels need without spilling. */
#define CF_KERNEL extern "C" __attribute__((global, launch_bounds(CF_BLOCK_WIDTH * CF_BLOCK_HEIGHT, 4)))
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
#define CF_HALF(value) half_of(value)

static inline __attribute__((device, always_inline)) unsigned half_of(float value) {
  unsigned short half;
  __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
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

CF_KERNEL void cuframes_vision_preprocess(cf_preprocess_job job, cf_plans_few few) {
  unsigned z = __nvvm_read_ptx_sreg_ctaid_z();
  unsigned x = __nvvm_read_ptx_sreg_ctaid_x() * CF_BLOCK_WIDTH + __nvvm_read_ptx_sreg_tid_x();
  unsigned y = __nvvm_read_ptx_sreg_ctaid_y() * CF_BLOCK_HEIGHT + __nvvm_read_ptx_sreg_tid_y();
  take_plan(&job, &few, z);
  cf_preprocess_thread(&job, &plan, z, x * CF_THREAD_PIXELS, y);
}

/* One block. */
CF_KERNEL void cuframes_vision_fill(cf_fill_few few) {
  unsigned n = __nvvm_read_ptx_sreg_tid_y() * CF_BLOCK_WIDTH + __nvvm_read_ptx_sreg_tid_x();
  for (; n < few.words; n += CF_BLOCK_WIDTH * CF_BLOCK_HEIGHT)
    CF_STORE(unsigned, few.to, n, few.word[n]);
}
