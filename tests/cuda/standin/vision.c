/* vision.c - the kernels of libcuframes-vision on the CPU: vision/cuda/kernel.h compiled as C, one thread of the GPU
 * after the other.
 *
 * A thread works with addresses of the device, which belong to no memory of the CPU: before a launch runs, what its
 * plans say that it may touch is pinned, and the plans get the CPU's addresses. So a plan that reaches out of its
 * memory, or into memory without the right to it, is an illegal address here too.
 */
#include "vision.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CF_GPU static inline __attribute__((always_inline))
#define CF_UNROLL
#define CF_ROLLED
#define CF_FORGET() ((void)0)
#define CF_RAISED_FLOOR(value) (__builtin_floorf(value) + CF_RAISE)
#define CF_LOAD_8(at) load(at, 1)
#define CF_LOAD_16(at) load(at, 2)
#define CF_LOAD_32(at) load(at, 4)
#define CF_STORE(type, at, k, value) STORE(type, (at) + (k) * sizeof(type), sizeof(type), value)
#define CF_STORE_4(at, a, b, c, d) store((at), &(const float[]){ a, b, c, d }, 16)
#define CF_STORE_2(at, a, b) store((at), &(const uint32_t[]){ a, b }, 8)
#define CF_STORE_4_HALVES(at, a, b, c, d)                                                                              \
  store((at),                                                                                                          \
        &(const uint16_t[]){ (uint16_t)half_of(a), (uint16_t)half_of(b), (uint16_t)half_of(c), (uint16_t)half_of(d) }, \
        8)
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

#define PINS 8 /* of a layer: four components of two groups; of a tensor, three and itself */

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
  if (plan->kind == CF_PLAN_NONE || plan->width == 0 || plan->height == 0)
    return CUDA_SUCCESS;
  uint32_t used = plan->used & 6u ? plan->used | 6u : plan->used; /* Cb and Cr are read together */
  for (uint32_t i = 0; i < 4 && result == CUDA_SUCCESS; i++)
    if (used >> i & 1u)
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

/* ---- the compositor ---- */

/* What threads have in registers. */
typedef struct registers {
  cf_codes codes[CF_BLOCK_HEIGHT][CF_BLOCK_WIDTH];
} registers;

static cf_brush brush_of(const cf_plan_layer *layer, uint32_t group) {
  cf_brush brush = { .plan = layer->group[group], .opacity = layer->opacity };
  memcpy(brush.color, layer->color, sizeof brush.color);
  return brush;
}

static void compose_block(const cf_compose_job *job, const cf_plan_layer *layers, uint32_t block) {
  static _Thread_local registers r;
  cf_place place = cf_place_of(job, block);
  uint32_t hiding = 0;
  for (uint32_t i = 0; i < job->count; i++)
    hiding = cf_hides(job, &layers[i], &place) ? i : hiding;
  for (uint32_t n = 0; n < CF_BLOCK_HEIGHT * CF_BLOCK_WIDTH; n++)
    cf_black(&job->surface, place.group, &r.codes[n / CF_BLOCK_WIDTH][n % CF_BLOCK_WIDTH]);
  for (uint32_t i = hiding; i < job->count; i++) {
    if (!cf_touches(&layers[i], &place))
      continue;
    cf_brush brush = brush_of(&layers[i], place.group);
    for (uint32_t y = 0; y < CF_BLOCK_HEIGHT; y++)
      for (uint32_t x = 0; x < CF_BLOCK_WIDTH; x++)
        cf_draw(&job->surface, &brush, place.group, place.x + x * CF_THREAD_PIXELS, place.y + y, &r.codes[y][x]);
  }
  for (uint32_t y = 0; y < CF_BLOCK_HEIGHT; y++)
    for (uint32_t x = 0; x < CF_BLOCK_WIDTH; x++)
      cf_write(&job->surface, &r.codes[y][x], place.group, place.x + x * CF_THREAD_PIXELS, place.y + y);
}

/* Of each layer what its plans allow, of the surface the rows that are drawn. */
static cu_result pin_surface(si_stream *stream, pins *all, cf_surface *surface) {
  cu_result result = CUDA_SUCCESS;
  for (uint32_t i = 0; i < surface->components && result == CUDA_SUCCESS; i++) {
    cf_surface_component *c = &surface->component[i];
    if (c->rows == 0)
      continue;
    uint64_t before = (uint64_t)c->first_row * c->pitch, address = c->base + before;
    uint64_t bytes = (uint64_t)(c->rows - 1) * c->pitch + (uint64_t)(c->width - 1) * c->step + surface->sample_bytes;
    result = pin(stream, all, &address, bytes, SI_WRITES);
    c->base = address - before;
  }
  return result;
}

static cu_result compose(si_stream *stream, cf_compose_job *job, cf_plan_layer *layers, pins *all, uint32_t blocks) {
  pins surface = { .count = 0 };
  cu_result result = pin_surface(stream, &surface, &job->surface);
  for (uint32_t i = 0; i < job->count && result == CUDA_SUCCESS; i++)
    for (uint32_t g = 0; g < job->surface.groups && result == CUDA_SUCCESS; g++)
      result = pin_plan(stream, &all[i], &layers[i].group[g]);
  for (uint32_t block = 0; block < blocks && result == CUDA_SUCCESS; block++)
    if (block == blocks / 2 && !si_stream_pause(stream))
      result = SI_STOPPED;
    else
      compose_block(job, layers, block);
  for (uint32_t i = 0; i < job->count; i++)
    unpin(&all[i]);
  unpin(&surface);
  return result == CUDA_SUCCESS && misaligned ? CUDA_ERROR_MISALIGNED_ADDRESS : result;
}

cu_result si_vision_compose(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]) {
  cf_compose_job job;
  si_pin table = { .memory = NULL };
  memcpy(&job, parameters, sizeof job);
  misaligned = job.layers % 8 != 0;
  size_t bytes = job.count * sizeof(cf_plan_layer);
  if (bytes > 0 && si_pin_range(stream->context, job.layers, bytes, SI_READS | SI_BY_KERNEL, &table) != CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  cf_plan_layer *layers = malloc(bytes + 1);
  pins *all = calloc(job.count + 1u, sizeof *all);
  cu_result result = CUDA_ERROR_OUT_OF_MEMORY;
  if (layers && all) {
    if (bytes > 0)
      memcpy(layers, table.memory, bytes);
    result = compose(stream, &job, layers, all, grid[0]);
  }
  if (bytes > 0)
    si_unpin(&table);
  free(layers);
  free(all);
  return result;
}

/* ---- tables ---- */

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
