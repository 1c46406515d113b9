/* preprocess.c - a preprocess on a GPU: one launch for all pictures of a call. The plans of a few come along as its
 * parameters, those of more in a table. */
#include "vision/cuda/preprocess.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/common.h>

#include "vision/cuda/gpu.h"
#include "vision/error.h"

typedef struct state {
  cf_gpu gpu;
  cf_plan_tensor target;
  uint32_t capacity;
  cu_function kernel, fill;
  cf_tables tables;     /* for more pictures than parameters hold; else none */
  cu_deviceptr own;     /* the table of set() and launch() */
  pthread_mutex_t lock; /* of tables, and what the gpu notes */
} state;

/* ---- life ---- */

/* With the context current. The table is all zeros before anybody sees it: on a stream of our own, since others must
 * not wait for each other. */
static int make_table(state *s) {
  cu_stream stream;
  size_t bytes = s->capacity * sizeof(cf_plan);
  cf_gpu *gpu = &s->gpu;
  int result = CF_GPU_CALL(gpu, cuMemAlloc, "allocating the table of pictures", &s->own, bytes);
  if (result == CUFRAMES_OK)
    result = CF_GPU_CALL(gpu, cuStreamCreate, "creating a stream", &stream, CU_STREAM_NON_BLOCKING);
  if (result != CUFRAMES_OK)
    return result;
  result = CF_GPU_CALL(gpu, cuMemsetD8Async, "clearing the table of pictures", s->own, 0, bytes, stream);
  if (result == CUFRAMES_OK)
    result = CF_GPU_CALL(gpu, cuStreamSynchronize, "clearing the table of pictures", stream);
  (void)gpu->driver.cuStreamDestroy(stream); /* it has nothing to do any more */
  return result;
}

static int make(state *s) {
  bool pushed;
  int result = cf_gpu_enter(&s->gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  cu_capture_mode mode = cf_gpu_beside_captures(&s->gpu);
  result = cf_gpu_kernel(&s->gpu, CF_KERNEL_PREPROCESS, &s->kernel);
  if (result == CUFRAMES_OK)
    result = cf_gpu_kernel(&s->gpu, CF_KERNEL_FILL, &s->fill);
  if (result == CUFRAMES_OK)
    result = make_table(s);
  if (result == CUFRAMES_OK && s->capacity > CF_PLANS_FEW)
    result = cf_tables_open(&s->gpu, &s->tables, s->capacity * sizeof(cf_plan));
  cf_gpu_beside_captures_end(&s->gpu, mode);
  cf_gpu_leave(&s->gpu, pushed);
  return result;
}

void cf_vision_cuda_preprocess_destroy(void *of) {
  state *s = of;
  bool pushed;
  if (cf_gpu_enter(&s->gpu, &pushed) == CUFRAMES_OK) {
    cf_tables_close(&s->gpu, &s->tables);
    if (s->own)
      (void)s->gpu.driver.cuMemFree(s->own); /* nothing can be done */
    cf_gpu_leave(&s->gpu, pushed);
  }
  cf_gpu_close(&s->gpu);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

int cf_vision_cuda_preprocess_create(const cf_preprocess_setup *setup, const char *device, void **made, char *name) {
  char opened[CUFRAMES_DEVICE_NAME_MAX + 1];
  state *s = calloc(1, sizeof *s);
  if (!s)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for a preprocess");
  s->target = setup->tensor;
  s->capacity = setup->options.capacity;
  int result = cf_gpu_open(&s->gpu, device, opened);
  if (result != CUFRAMES_OK) {
    free(s);
    return result;
  }
  pthread_mutex_init(&s->lock, NULL);
  result = make(s);
  if (result != CUFRAMES_OK) {
    cf_vision_cuda_preprocess_destroy(s);
    return result;
  }
  memcpy(name, opened, sizeof opened);
  *made = s;
  return CUFRAMES_OK;
}

/* ---- work ---- */

/* Of plans that come along (table 0), or of those in a table (plans NULL). */
static int launch(state *s, const cf_plan *plans, cu_deviceptr table, uint32_t count, void *tensor, cu_stream stream) {
  const cf_plan_tensor *t = &s->target;
  uint32_t element = cuframes_element_size(t->element);
  cf_preprocess_job job = { .target = *t, .tensor = (uintptr_t)tensor, .table = table };
  cf_plans_few few;
  memset(&few, 0, sizeof few);
  if (plans)
    memcpy(few.plan, plans, count * sizeof *plans);
  job.quads = t->width % CF_THREAD_PIXELS == 0 && job.tensor % (element * CF_THREAD_PIXELS) == 0;
  uint32_t across = CF_BLOCK_WIDTH * CF_THREAD_PIXELS;
  const uint32_t blocks[3] = { (t->width + across - 1) / across, (t->height + CF_BLOCK_HEIGHT - 1) / CF_BLOCK_HEIGHT,
                               count };
  return cf_gpu_launch(&s->gpu, s->kernel, blocks, stream, (void *[]){ &job, &few });
}

/* With the lock. A graph that captures a table's words would find others there when it is launched. */
static int run_many(state *s, const cf_plan *plans, uint32_t count, void *tensor, cu_stream stream) {
  cf_table *table;
  int result = cf_tables_fill(&s->gpu, &s->tables, s->fill, plans, count * sizeof *plans, stream, &table);
  if (result != CUFRAMES_OK)
    return result;
  result = launch(s, NULL, table->device, count, tensor, stream);
  int used = cf_tables_used(&s->gpu, table, stream);
  return result != CUFRAMES_OK ? result : used;
}

/* With the context current. */
static int run(state *s, const cf_plan *plans, uint32_t count, void *tensor, cu_stream stream) {
  bool capturing;
  int result = cf_gpu_stream(&s->gpu, stream, &capturing);
  if (result != CUFRAMES_OK)
    return result;
  if (count > CF_PLANS_FEW && capturing)
    return cf_vision_fail(
        CUFRAMES_ERR_INVALID,
        "the stream captures a CUDA graph, which keeps up to %d pictures of this call, not %u: capture "
        "cuframes_preprocess_launch() and call cuframes_preprocess_set() before each launch of the "
        "graph",
        CF_PLANS_FEW, count);
  pthread_mutex_lock(&s->lock);
  if (count > CF_PLANS_FEW) {
    result = run_many(s, plans, count, tensor, stream);
  } else {
    result = launch(s, plans, 0, count, tensor, stream);
    if (result == CUFRAMES_OK && !capturing)
      result = cf_gpu_note(&s->gpu, stream);
  }
  pthread_mutex_unlock(&s->lock);
  return result;
}

int cf_vision_cuda_preprocess_run(void *of, const cf_plan *plans, uint32_t count, void *tensor, void *stream) {
  state *s = of;
  bool pushed;
  int result = cf_gpu_enter(&s->gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = run(s, plans, count, tensor, stream);
  cf_gpu_leave(&s->gpu, pushed);
  return result;
}

/* With the context current. */
static int set(state *s, const cf_plan *plans, uint32_t count, cu_stream stream) {
  bool capturing;
  size_t bytes = count * sizeof *plans, rest = (s->capacity - count) * sizeof *plans;
  int result = cf_gpu_stream(&s->gpu, stream, &capturing);
  if (result != CUFRAMES_OK)
    return result;
  if (capturing)
    return cf_vision_fail(CUFRAMES_ERR_INVALID,
                          "the stream captures a CUDA graph, which would put the same pictures into the table at each "
                          "launch: set them outside of it, before each launch");
  result = cf_gpu_fill(&s->gpu, s->fill, s->own, plans, bytes, stream);
  if (result == CUFRAMES_OK && rest > 0)
    result = CF_GPU_CALL(&s->gpu, cuMemsetD8Async, "clearing the rest of the table", s->own + bytes, 0, rest, stream);
  pthread_mutex_lock(&s->lock);
  int noted = cf_gpu_note(&s->gpu, stream); /* also of what was begun */
  pthread_mutex_unlock(&s->lock);
  return result != CUFRAMES_OK ? result : noted;
}

int cf_vision_cuda_preprocess_set(void *of, const cf_plan *plans, uint32_t count, void *stream) {
  state *s = of;
  bool pushed;
  int result = cf_gpu_enter(&s->gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = set(s, plans, count, stream);
  cf_gpu_leave(&s->gpu, pushed);
  return result;
}

int cf_vision_cuda_preprocess_launch(void *of, uint32_t count, void *tensor, void *stream) {
  state *s = of;
  bool pushed, capturing;
  int result = cf_gpu_enter(&s->gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_gpu_stream(&s->gpu, stream, &capturing);
  if (result == CUFRAMES_OK)
    result = launch(s, NULL, s->own, count, tensor, stream);
  if (result == CUFRAMES_OK && !capturing) {
    pthread_mutex_lock(&s->lock);
    result = cf_gpu_note(&s->gpu, stream);
    pthread_mutex_unlock(&s->lock);
  }
  cf_gpu_leave(&s->gpu, pushed);
  return result;
}
