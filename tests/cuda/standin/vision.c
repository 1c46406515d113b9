/* vision.c - the kernels of libcuframes-vision on the CPU: vision/cuda/kernel.h compiled as C, one thread of the GPU
 * after the other.
 *
 * A thread works with addresses of the device, which belong to no memory of the CPU: before a launch runs, what its
 * plans say that it may touch is pinned, and the plans get the CPU's addresses. So a plan that reaches out of its
 * memory, or into memory without the right to it, is an illegal address here too.
 */
#include "vision.h"

#include <assert.h>
#include <string.h>

#define CF_GPU static inline __attribute__((always_inline))
#define CF_UNROLL
#define CF_ROLLED
#define CF_FORGET() ((void)0)
#define CF_FLOOR(value) __builtin_floorf(value)
#define CF_LOAD_8(at) load(at, 1)
#define CF_LOAD_16(at) load(at, 2)
#define CF_LOAD_32(at) load(at, 4)
#define CF_STORE(type, at, k, value) STORE(type, (at) + (k) * sizeof(type), sizeof(type), value)
#define CF_STORE_4(at, a, b, c, d) store((at), &(const float[]){ a, b, c, d }, 16)
#define CF_STORE_2(at, a, b) store((at), &(const uint32_t[]){ a, b }, 8)
#define CF_HALF(value) half_of(value)
#define STORE(type, at, bytes, value)                                                                                  \
  do {                                                                                                                 \
    type stored_ = (type)(value);                                                                                      \
    store(at, &stored_, bytes);                                                                                        \
  } while (0)

/* What a GPU traps at; looked at when the launch is over. */
static _Thread_local bool misaligned;

static inline uint32_t load(uint64_t at, size_t bytes) {
  uint32_t value = 0;
  misaligned |= at % bytes != 0;
  memcpy(&value, (const void *)(uintptr_t)at, bytes);
  return value;
}

static inline void store(uint64_t at, const void *value, size_t bytes) {
  misaligned |= at % bytes != 0;
  memcpy((void *)(uintptr_t)at, value, bytes);
}

/* To the nearest, ties to even, as the GPU does it. */
static uint32_t half_of(float value) {
  uint32_t bits, sign, magnitude;
  memcpy(&bits, &value, sizeof bits);
  sign = bits >> 16 & 0x8000u;
  magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return 0x7fffu; /* the NaN that the GPU makes */
  if (magnitude >= 0x477ff000u)
    return sign | 0x7c00u;
  if (magnitude < 0x38800000u) { /* a multiple of 2^-24, below 2^-14: adding half of 2^0 rounds to that */
    float positive, rounded;
    memcpy(&positive, &magnitude, sizeof positive);
    rounded = positive + 0.5f;
    memcpy(&bits, &rounded, sizeof bits);
    return sign | (bits - 0x3f000000u);
  }
  magnitude += 0xfffu + (magnitude >> 13 & 1u);
  return sign | ((magnitude - 0x38000000u) >> 13);
}

#include "vision/cuda/kernel.h"

#define PINS 4 /* three components and the tensor */

typedef struct pins {
  si_pin pin[PINS];
  uint32_t count;
} pins;

static cu_result pin(si_stream *stream, pins *all, uint64_t *address, uint64_t bytes, int how) {
  if (si_pin_range(stream->context, *address, bytes, how | SI_BY_KERNEL, &all->pin[all->count]) != CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  *address = (uint64_t)(uintptr_t)all->pin[all->count++].memory;
  return CUDA_SUCCESS;
}

static void unpin(pins *all) {
  while (all->count > 0)
    si_unpin(&all->pin[--all->count]);
}

/* Of a component, the samples that its plan allows. */
static cu_result pin_component(si_stream *stream, pins *all, cf_plan_component *c, uint32_t bytes) {
  if (c->x.first > c->x.last || c->y.first > c->y.last || c->x.first < 0 || c->y.first < 0)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  uint64_t before = (uint64_t)c->y.first * c->pitch + (uint64_t)c->x.first * c->step;
  uint64_t rows = (uint64_t)(c->y.last - c->y.first) * c->pitch;
  uint64_t address = c->base + before;
  cu_result result = pin(stream, all, &address, rows + (uint64_t)(c->x.last - c->x.first) * c->step + bytes, SI_READS);
  c->base = address - before;
  return result;
}

static cu_result pin_plan(si_stream *stream, pins *all, cf_plan *plan) {
  cu_result result = CUDA_SUCCESS;
  for (uint32_t i = 0; i < 3 && plan->kind != CF_PLAN_NONE && result == CUDA_SUCCESS; i++)
    if (plan->used >> i & 1u)
      result = pin_component(stream, all, &plan->component[i], plan->sample_bytes);
  return result;
}

/* The plan of a picture, from the parameters or a table. */
static cu_result take_plan(si_stream *stream, const cf_preprocess_job *job, const cf_plans_few *few, uint32_t number,
                           cf_plan *plan) {
  si_pin table;
  if (!job->table) {
    if (number >= CF_PLANS_FEW)
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    *plan = few->plan[number];
    return CUDA_SUCCESS;
  }
  if (si_pin_range(stream->context, job->table + number * sizeof *plan, sizeof *plan, SI_READS | SI_BY_KERNEL,
                   &table) != CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  memcpy(plan, table.memory, sizeof *plan);
  si_unpin(&table);
  return CUDA_SUCCESS;
}

static cu_result run_picture(si_stream *stream, const cf_preprocess_job *asked, const cf_plans_few *few,
                             uint32_t number, const unsigned grid[3]) {
  pins all = { .count = 0 };
  cf_preprocess_job job = *asked;
  const cf_plan_tensor *t = &job.target;
  uint64_t bytes = (uint64_t)t->width * t->height * t->channels *
                   (t->element == CUFRAMES_ELEMENT_UINT8     ? 1
                    : t->element == CUFRAMES_ELEMENT_FLOAT16 ? 2
                                                             : 4);
  cf_plan plan;
  cu_result result = take_plan(stream, asked, few, number, &plan);
  if (result == CUDA_SUCCESS)
    result = pin_plan(stream, &all, &plan);
  job.tensor += number * bytes; /* of this picture alone: it becomes number 0 */
  if (result == CUDA_SUCCESS)
    result = pin(stream, &all, &job.tensor, bytes, SI_WRITES);
  if (result == CUDA_SUCCESS && !si_stream_pause(stream))
    result = SI_STOPPED;
  for (uint32_t y = 0; result == CUDA_SUCCESS && y < grid[1] * CF_BLOCK_HEIGHT; y++)
    for (uint32_t x = 0; x < grid[0] * CF_BLOCK_WIDTH; x++)
      cf_preprocess_thread(&job, &plan, 0, x * CF_THREAD_PIXELS, y);
  unpin(&all);
  return result;
}

cu_result si_vision_preprocess(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]) {
  const cf_preprocess_job *job = (const void *)parameters;
  const cf_plans_few *few = (const void *)((const char *)parameters + sizeof *job);
  static_assert(sizeof *job % sizeof(uint64_t) == 0 && sizeof *job + sizeof *few <= CF_PARAMETER_BYTES, "parameters");
  cu_result result = CUDA_SUCCESS;
  misaligned = false;
  for (uint32_t number = 0; number < grid[2] && result == CUDA_SUCCESS; number++)
    result = run_picture(stream, job, few, number, grid);
  return result == CUDA_SUCCESS && misaligned ? CUDA_ERROR_MISALIGNED_ADDRESS : result;
}

cu_result si_vision_fill(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]) {
  const cf_fill_few *few = (const void *)parameters;
  static_assert(sizeof *few <= CF_PARAMETER_BYTES, "parameters");
  si_pin to;
  (void)grid;
  if (few->words > sizeof few->word / sizeof few->word[0])
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  if (si_pin_range(stream->context, few->to, few->words * sizeof few->word[0], SI_WRITES | SI_BY_KERNEL, &to) !=
      CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  if (few->to % sizeof few->word[0] != 0) {
    si_unpin(&to);
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  }
  memcpy(to.memory, few->word, few->words * sizeof few->word[0]);
  si_unpin(&to);
  return CUDA_SUCCESS;
}
