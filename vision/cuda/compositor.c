/* compositor.c - a compositor on a GPU: one launch for a picture, whose blocks look for the layers that touch them in a
 * table. */
#include "vision/cuda/compositor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/common.h>

#include "vision/cuda/gpu.h"
#include "vision/error.h"

typedef struct state {
  cf_gpu gpu;
  cu_function kernel, fill;
  cf_tables tables;
  pthread_mutex_t lock; /* of tables */
} state;

/* ---- life ---- */

static int make(state *s, uint32_t capacity) {
  bool pushed;
  int result = cf_gpu_enter(&s->gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_gpu_kernel(&s->gpu, CF_KERNEL_COMPOSE, &s->kernel);
  if (result == CUFRAMES_OK)
    result = cf_gpu_kernel(&s->gpu, CF_KERNEL_FILL, &s->fill);
  if (result == CUFRAMES_OK)
    result = cf_tables_open(&s->gpu, &s->tables, capacity * sizeof(cf_plan_layer));
  cf_gpu_leave(&s->gpu, pushed);
  return result;
}

void cf_vision_cuda_compositor_destroy(void *of) {
  state *s = of;
  bool pushed;
  if (cf_gpu_enter(&s->gpu, &pushed) == CUFRAMES_OK) {
    cf_tables_close(&s->gpu, &s->tables);
    cf_gpu_leave(&s->gpu, pushed);
  }
  cf_gpu_close(&s->gpu);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

int cf_vision_cuda_compositor_create(uint32_t capacity, const char *device, void **made, char *name) {
  char opened[CUFRAMES_DEVICE_NAME_MAX + 1];
  state *s = calloc(1, sizeof *s);
  if (!s)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for a compositor");
  int result = cf_gpu_open(&s->gpu, device, opened);
  if (result != CUFRAMES_OK) {
    free(s);
    return result;
  }
  pthread_mutex_init(&s->lock, NULL);
  result = make(s, capacity);
  if (result != CUFRAMES_OK) {
    cf_vision_cuda_compositor_destroy(s);
    return result;
  }
  memcpy(name, opened, sizeof opened);
  *made = s;
  return CUFRAMES_OK;
}

/* ---- work ---- */

static uint32_t divide_up(uint32_t number, uint32_t by) {
  return (number + by - 1) / by;
}

static int launch(state *s, cu_deviceptr layers, uint32_t count, const cf_surface *surface, cu_stream stream) {
  cf_compose_job job = { .surface = *surface, .layers = layers, .count = count };
  uint32_t blocks[2] = { 0, 0 };
  for (uint32_t g = 0; g < surface->groups; g++) {
    const cf_surface_component *c = &surface->component[g];
    job.across[g] = divide_up(c->width, CF_BLOCK_WIDTH * CF_THREAD_PIXELS);
    blocks[g] = job.across[g] * divide_up(c->rows, CF_BLOCK_HEIGHT);
  }
  job.blocks = blocks[0];
  if (blocks[0] + blocks[1] == 0) /* a part without rows */
    return CUFRAMES_OK;
  return cf_gpu_launch(&s->gpu, s->kernel, (const uint32_t[]){ blocks[0] + blocks[1], 1, 1 }, stream,
                       (void *[]){ &job });
}

/* With the context current. */
static int run(state *s, const cf_plan_layer *layers, uint32_t count, const cf_surface *surface, cu_stream stream) {
  cf_table *table;
  bool capturing;
  int result = cf_gpu_stream(&s->gpu, stream, &capturing);
  if (result != CUFRAMES_OK)
    return result;
  if (capturing)
    return cf_vision_fail(
        CUFRAMES_ERR_INVALID,
        "the stream captures a CUDA graph, and the layers would not be in their table any more when it "
        "is launched: compose outside of it");
  pthread_mutex_lock(&s->lock);
  result = cf_tables_fill(&s->gpu, &s->tables, s->fill, layers, count * sizeof *layers, stream, &table);
  if (result == CUFRAMES_OK) {
    result = launch(s, table->device, count, surface, stream);
    int used = cf_tables_used(&s->gpu, table, stream);
    result = result != CUFRAMES_OK ? result : used;
  }
  pthread_mutex_unlock(&s->lock);
  return result;
}

int cf_vision_cuda_compositor_run(void *of, const cf_plan_layer *layers, uint32_t count, const cf_surface *surface,
                                  void *stream) {
  state *s = of;
  bool pushed;
  int result = cf_gpu_enter(&s->gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = run(s, layers, count, surface, stream);
  cf_gpu_leave(&s->gpu, pushed);
  return result;
}
