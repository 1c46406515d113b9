/* kernel.c - the stand-in's modules and kernels: functions of its own that are found by name. standin.h lists them.
 *
 * A new kernel is a function below and a row in the table; tests that run on a GPU too need the same in PTX.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../../tools/cuframes/pattern/pattern_sample.h"
#include "internal.h"
#include "vision.h"

#define PARAMETERS PATTERN_KERNEL_PARAMETERS /* most of any kernel */

typedef struct kernel {
  const char *name;
  size_t sizes[PARAMETERS + 1]; /* of its parameters in bytes, then 0 */
  cu_result (*run)(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]);
} kernel;

#define KERNELS_MOST 16

typedef struct module module;

/* What cuModuleGetFunction() gives is a pointer to one of these. */
typedef struct function {
  module *module;
  const kernel *kernel; /* NULL: it was not asked for */
} function;

/* It stays when it is unloaded, since there may be launches under way. Those fail then; a GPU would run what lies
 * there. */
struct module {
  struct module *next;
  si_context *context;
  bool loaded;
  function functions[KERNELS_MOST];
};

/* Parameters lie one behind the other, each at a multiple of eight bytes. */
typedef struct launch_op {
  si_op op;
  const function *function;
  unsigned grid[3];
  uint64_t parameters[SI_PARAMETER_BYTES / sizeof(uint64_t)];
} launch_op;

static module *modules;

/* ---- kernels ---- */

typedef void word_work(uint64_t *word, uint64_t value, uint64_t *count);

static void set_word(uint64_t *word, uint64_t value, uint64_t *count) {
  (void)count;
  *word = value;
}

static void compare_word(uint64_t *word, uint64_t value, uint64_t *count) {
  *count += *word != value;
}

static void add_word(uint64_t *word, uint64_t value, uint64_t *count) {
  (void)count;
  *word += value;
}

/* Goes over the words of fill, check and add, and stops once in the middle. */
static cu_result each_word(si_stream *stream, const uint64_t *p, int how, word_work *work, uint64_t *count) {
  uint64_t words = p[1];
  si_pin pin;
  if (words == 0)
    return CUDA_SUCCESS;
  if (p[0] % sizeof(uint64_t) != 0)
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  if (words > UINT64_MAX / sizeof(uint64_t) ||
      si_pin_range(stream->context, p[0], words * sizeof(uint64_t), how | SI_BY_KERNEL, &pin) != CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  uint64_t *memory = (uint64_t *)(void *)pin.memory;
  cu_result result = CUDA_SUCCESS;
  for (uint64_t i = 0; i < words && result == CUDA_SUCCESS; i++)
    if (i == words / 2 && !si_stream_pause(stream))
      result = SI_STOPPED;
    else
      work(&memory[i], p[2], count);
  si_unpin(&pin);
  return result;
}

static cu_result run_fill(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)grid;
  return each_word(stream, p, SI_WRITES, set_word, NULL);
}

static cu_result run_add(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)grid;
  return each_word(stream, p, SI_READS | SI_WRITES, add_word, NULL);
}

static cu_result run_check(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)grid;
  uint64_t different = 0;
  cu_result result = each_word(stream, p, SI_READS, compare_word, &different);
  si_pin pin;
  if (result != CUDA_SUCCESS)
    return result;
  if (si_pin_range(stream->context, p[3], sizeof(uint64_t), SI_WRITES | SI_BY_KERNEL, &pin) != CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  __atomic_add_fetch((uint64_t *)(void *)pin.memory, different, __ATOMIC_ACQ_REL); /* several streams may count there */
  si_unpin(&pin);
  return CUDA_SUCCESS;
}

static cu_result run_spin(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)grid;
  return si_stream_sleep(stream, p[0]) ? CUDA_SUCCESS : SI_STOPPED;
}

static cu_result run_until(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)grid;
  for (;;) {
    si_pin pin;
    if (si_pin_range(stream->context, p[0], sizeof(uint64_t), SI_READS | SI_BY_KERNEL, &pin) != CUDA_SUCCESS)
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    uint64_t now = __atomic_load_n((uint64_t *)(void *)pin.memory, __ATOMIC_ACQUIRE); /* pairs with any writer */
    si_unpin(&pin);
    if (now == p[1])
      return CUDA_SUCCESS;
    if (!si_stream_sleep(stream, 50))
      return SI_STOPPED;
  }
}

static cu_result run_trap(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)stream, (void)p, (void)grid;
  return CUDA_ERROR_LAUNCH_FAILED;
}

/* One plane of the program's test picture, sample by sample, with the source that its PTX is made of. */
static cu_result draw_plane(si_stream *stream, const uint64_t *p, uint32_t plane) {
  uint32_t format = (uint32_t)p[6], width = (uint32_t)p[5], height = (uint32_t)(p[5] >> 32);
  uint32_t shift_x = pattern_shift_x(format, plane), shift_y = pattern_shift_y(format, plane);
  uint64_t columns = ((uint64_t)width + shift_x) >> shift_x, rows = ((uint64_t)height + shift_y) >> shift_y;
  uint64_t pitch = p[plane == 0 ? 3 : 4], bytes = pattern_sample_bytes(format, plane);
  si_pin pin;
  if (pitch < columns * bytes || si_pin_range(stream->context, p[plane], (rows - 1) * pitch + columns * bytes,
                                              SI_WRITES | SI_BY_KERNEL, &pin) != CUDA_SUCCESS)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  cu_result result = CUDA_SUCCESS;
  for (uint32_t y = 0; y < rows && result == CUDA_SUCCESS; y++) {
    uint8_t *row = (uint8_t *)pin.memory + y * pitch;
    if (y == rows / 2 && !si_stream_pause(stream))
      result = SI_STOPPED;
    for (uint32_t x = 0; x < columns && result == CUDA_SUCCESS; x++)
      pattern_sample(row + x * bytes, format, plane, width, height, p[7], x, y);
  }
  si_unpin(&pin);
  return result;
}

static cu_result run_pattern(si_stream *stream, const uint64_t *p, const unsigned grid[3]) {
  (void)grid;
  cu_result result = p[5] >> 32 && (uint32_t)p[5] ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED;
  for (uint32_t plane = 0; result == CUDA_SUCCESS && plane < pattern_plane_count((uint32_t)p[6]); plane++)
    result = draw_plane(stream, p, plane);
  return result;
}

static const kernel kernels[] = {
  { "fill", { 8, 8, 8 }, run_fill },
  { "check", { 8, 8, 8, 8 }, run_check },
  { "add", { 8, 8, 8 }, run_add },
  { "spin", { 8 }, run_spin },
  { "until", { 8, 8 }, run_until },
  { "trap", { 0 }, run_trap },
  { PATTERN_KERNEL, { 8, 8, 8, 8, 8, 8, 8, 8 }, run_pattern },
  { CF_KERNEL_PREPROCESS, { sizeof(cf_preprocess_job), sizeof(cf_plans_few) }, si_vision_preprocess },
  { CF_KERNEL_COMPOSE, { sizeof(cf_compose_job) }, si_vision_compose },
  { CF_KERNEL_FILL, { sizeof(cf_fill_few) }, si_vision_fill },
};
#define KERNELS (sizeof kernels / sizeof kernels[0])
static_assert(KERNELS <= KERNELS_MOST, "a module has them all");

/* ---- modules ---- */

static module *module_find(cu_module handle, const si_context *context) {
  for (module *m = modules; m; m = m->next)
    if ((cu_module)(void *)m == handle)
      return m->loaded && m->context == context ? m : NULL;
  return NULL;
}

long si_modules_live(void) {
  long count = 0;
  for (const module *m = modules; m; m = m->next)
    count += m->loaded;
  return count;
}

long si_modules_sweep(si_context *context) {
  long count = 0;
  for (module *m = modules; m; m = m->next)
    if (m->loaded && m->context == context) {
      m->loaded = false;
      count++;
    }
  return count;
}

cu_result cuModuleLoadData(cu_module *handle, const void *image) {
  SI_ENTER(cuModuleLoadData, SI_CONTEXT);
  if (!handle || !image)
    return CUDA_ERROR_INVALID_VALUE;
  module *made = calloc(1, sizeof *made);
  if (!made)
    return CUDA_ERROR_OUT_OF_MEMORY;
  pthread_mutex_lock(&si_lock);
  *made = (module){ .next = modules, .context = context, .loaded = true };
  modules = made;
  pthread_mutex_unlock(&si_lock);
  *handle = (cu_module)(void *)made;
  return CUDA_SUCCESS;
}

cu_result cuModuleUnload(cu_module handle) {
  SI_ENTER_RELEASE(cuModuleUnload, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  module *m = module_find(handle, context);
  if (m)
    m->loaded = false;
  pthread_mutex_unlock(&si_lock);
  return m ? say : CUDA_ERROR_INVALID_HANDLE;
}

cu_result cuModuleGetFunction(cu_function *handle, cu_module of, const char *name) {
  SI_ENTER(cuModuleGetFunction, SI_CONTEXT);
  if (!handle || !name)
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_ERROR_NOT_FOUND;
  pthread_mutex_lock(&si_lock);
  module *m = module_find(of, context);
  if (!m)
    result = CUDA_ERROR_INVALID_HANDLE;
  for (size_t i = 0; i < KERNELS && result == CUDA_ERROR_NOT_FOUND; i++)
    if (strcmp(kernels[i].name, name) == 0) {
      m->functions[i] = (function){ .module = m, .kernel = &kernels[i] };
      *handle = (cu_function)(void *)&m->functions[i];
      result = CUDA_SUCCESS;
    }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* ---- launching ---- */

static cu_result run_launch(si_stream *stream, si_op *op) {
  const launch_op *launch = (const launch_op *)op;
  pthread_mutex_lock(&si_lock);
  bool loaded = launch->function->module->loaded;
  pthread_mutex_unlock(&si_lock);
  return loaded ? launch->function->kernel->run(stream, launch->parameters, launch->grid) : CUDA_ERROR_LAUNCH_FAILED;
}

/* Locked. */
static const function *function_find(cu_function handle, const si_context *context) {
  for (const module *m = modules; m; m = m->next)
    for (size_t i = 0; i < KERNELS && m->loaded && m->context == context; i++)
      if ((cu_function)(void *)(uintptr_t)&m->functions[i] == handle && m->functions[i].kernel)
        return &m->functions[i];
  return NULL;
}

/* The grid must be one that a GPU takes; the work of most kernels does not depend on it. */
cu_result cuLaunchKernel(cu_function handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                         unsigned block_y, unsigned block_z, unsigned shared_bytes, cu_stream stream, void **parameters,
                         void **extra) {
  SI_ENTER(cuLaunchKernel, SI_CONTEXT);
  if (!grid_x || !grid_y || !grid_z || !block_x || !block_y || !block_z ||
      (uint64_t)block_x * block_y * block_z > 1024 || grid_y > 65535 || grid_z > 65535 || shared_bytes > 48u << 10 ||
      extra)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const function *found = function_find(handle, context);
  pthread_mutex_unlock(&si_lock);
  if (!found)
    return CUDA_ERROR_INVALID_HANDLE;
  launch_op launch = { .op = { .run = run_launch }, .function = found, .grid = { grid_x, grid_y, grid_z } };
  size_t at = 0;
  for (size_t i = 0; found->kernel->sizes[i]; i++) {
    if (!parameters || !parameters[i])
      return CUDA_ERROR_INVALID_VALUE;
    memcpy(&launch.parameters[at], parameters[i], found->kernel->sizes[i]);
    at += (found->kernel->sizes[i] + sizeof launch.parameters[0] - 1) / sizeof launch.parameters[0];
  }
  return si_enqueue(context, stream, &launch.op, sizeof launch, false);
}
