/* grid_device.c - see grid_device.h. */
#include "grid_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#include "publish/gpu.h"

#define EVENT_QUIET 3u /* sleeps when waited for, and takes no time */
#define STREAM_OWN 1u  /* not in order with the default stream */
#define KIND_HOST 1
#define KIND_DEVICE 2
#define UPLOAD_ALIGN 256u /* of rows on a GPU */

/* CUDA_MEMCPY2D. */
typedef struct copy_2d {
  size_t from_x, from_y;
  int from_kind;
  const void *from_host;
  uint64_t from_device;
  void *from_array;
  size_t from_pitch;
  size_t to_x, to_y;
  int to_kind;
  void *to_host;
  uint64_t to_device;
  void *to_array;
  size_t to_pitch;
  size_t width, height;
} copy_2d;

typedef struct grid_device {
  gpu_context *gpu; /* NULL: the host */
  void *stream;
  bool entered;
  int (*stream_create)(void **stream, unsigned flags);
  int (*stream_destroy)(void *stream);
  int (*stream_wait)(void *stream);
  int (*memory_take)(uint64_t *address, size_t bytes);
  int (*memory_free)(uint64_t address);
  int (*pinned_take)(void **memory, size_t bytes, unsigned flags);
  int (*pinned_free)(void *memory);
  int (*event_create)(void **event, unsigned flags);
  int (*event_record)(void *event, void *stream);
  int (*event_wait)(void *event);
  int (*event_destroy)(void *event);
  int (*copy)(const copy_2d *how, void *stream);
} grid_device;

static bool find_functions(grid_device *d, char *why, size_t size) {
  const struct {
    const char *symbol;
    void *member; /* a function pointer */
  } functions[] = {
    { "cuStreamCreate", &d->stream_create },    { "cuStreamDestroy_v2", &d->stream_destroy },
    { "cuStreamSynchronize", &d->stream_wait }, { "cuMemAlloc_v2", &d->memory_take },
    { "cuMemFree_v2", &d->memory_free },        { "cuMemHostAlloc", &d->pinned_take },
    { "cuMemFreeHost", &d->pinned_free },       { "cuEventCreate", &d->event_create },
    { "cuEventRecord", &d->event_record },      { "cuEventSynchronize", &d->event_wait },
    { "cuEventDestroy_v2", &d->event_destroy }, { "cuMemcpy2DAsync_v2", &d->copy },
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = gpu_symbol(d->gpu, functions[i].symbol);
    if (function == NULL) {
      snprintf(why, size, "the CUDA driver lacks %s", functions[i].symbol);
      return false;
    }
    /* C knows no conversion between data and function pointers; POSIX has them alike. */
    memcpy(functions[i].member, &function, sizeof function);
  }
  return true;
}

static bool begin_gpu(grid_device *d, char *why, size_t size) {
  if (!find_functions(d, why, size) || !gpu_enter(d->gpu, why, size))
    return false;
  d->entered = true;
  const int error = d->stream_create(&d->stream, STREAM_OWN);
  if (error != 0)
    snprintf(why, size, "the GPU gives no stream: CUDA error %d", error);
  return error == 0;
}

grid_device *grid_device_open(const char *device, char *why, size_t size) {
  grid_device *d = calloc(1, sizeof *d);
  *why = '\0';
  if (d == NULL) {
    snprintf(why, size, "out of memory");
    return NULL;
  }
  if (strcmp(device, "host") == 0)
    return d;
  d->gpu = gpu_open(device, why, size);
  if (d->gpu != NULL && begin_gpu(d, why, size)) {
    *why = '\0';
    return d;
  }
  grid_device_close(d);
  if (strcmp(device, "auto") != 0)
    return NULL;
  char no_gpu[200];
  snprintf(no_gpu, sizeof no_gpu, "%s", why);
  d = grid_device_open("host", why, size);
  if (d != NULL)
    snprintf(why, size, "%s", no_gpu);
  return d;
}

void grid_device_close(grid_device *d) {
  if (d == NULL)
    return;
  if (d->stream != NULL) {
    (void)d->stream_wait(d->stream); /* or the GPU has failed, and nothing runs on it */
    (void)d->stream_destroy(d->stream);
  }
  if (d->entered)
    gpu_leave(d->gpu);
  gpu_close(d->gpu);
  free(d);
}

const char *grid_device_name(const grid_device *d) {
  return d->gpu ? gpu_name(d->gpu) : "host";
}

bool grid_device_is_gpu(const grid_device *d) {
  return d->gpu != NULL;
}

void *grid_device_stream(const grid_device *d) {
  return d->stream;
}

/* ---- pictures of the host ---- */

/* Memory for so many bytes, of the GPU and pinned, and pinned memory that no copy reads any more. CUDA's error. */
static int make_room(grid_device *d, grid_copy *copy, struct grid_staging *staging, size_t bytes) {
  int error = 0;
  if (copy->size < bytes) {
    (void)d->stream_wait(d->stream); /* the old one may be in use; a picture grows seldom */
    if (copy->address != 0)
      (void)d->memory_free(copy->address);
    copy->address = 0;
    copy->picture = (cuframes_picture){ 0 };
    error = d->memory_take(&copy->address, bytes);
    copy->size = error == 0 ? bytes : 0;
  }
  if (error == 0 && staging->done == NULL)
    error = d->event_create(&staging->done, EVENT_QUIET);
  else if (error == 0)
    error = d->event_wait(staging->done);
  if (error == 0 && staging->size < bytes) {
    if (staging->memory != NULL)
      (void)d->pinned_free(staging->memory);
    staging->memory = NULL;
    staging->size = 0;
    error = d->pinned_take(&staging->memory, bytes, 0);
    staging->size = error == 0 ? bytes : 0;
  }
  return error;
}

static int put_on_gpu(grid_device *d, grid_copy *copy, const cuframes_format *format, size_t bytes,
                      const void *const plane[CUFRAMES_PLANES], const uint32_t pitch[CUFRAMES_PLANES]) {
  struct grid_staging *staging = &copy->staging[copy->turn++ % 2];
  int error = make_room(d, copy, staging, bytes);
  if (error != 0)
    return error;
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  for (int i = 0; i < planes; i++) {
    uint32_t row_bytes = 0, rows = 0;
    (void)cuframes_format_plane_size(format, i, &row_bytes, &rows); /* it was laid out, so it is good */
    for (uint32_t y = 0; y < rows; y++)
      memcpy((uint8_t *)staging->memory + format->offset[i] + (size_t)y * format->pitch[i],
             (const uint8_t *)plane[i] + (size_t)y * pitch[i], row_bytes);
  }
  const copy_2d how = { .from_kind = KIND_HOST,
                        .from_host = staging->memory,
                        .from_pitch = bytes,
                        .to_kind = KIND_DEVICE,
                        .to_device = copy->address,
                        .to_pitch = bytes,
                        .width = bytes,
                        .height = 1 };
  error = d->copy(&how, d->stream);
  return error ? error : d->event_record(staging->done, d->stream);
}

int grid_device_put(grid_device *d, grid_copy *copy, const cuframes_format *format,
                    const void *const plane[CUFRAMES_PLANES], const uint32_t pitch[CUFRAMES_PLANES], char *why,
                    size_t size) {
  cuframes_format laid = *format;
  uint64_t bytes = 0;
  memset(laid.offset, 0, sizeof laid.offset);
  memset(laid.pitch, 0, sizeof laid.pitch);
  for (int i = 0; d->gpu == NULL && i < CUFRAMES_PLANES; i++)
    laid.pitch[i] = plane[i] ? pitch[i] : 0;
  laid.padding = 0;
  int error = cuframes_format_layout(&laid, d->gpu ? UPLOAD_ALIGN : 1, &bytes);
  if (error != CUFRAMES_OK) {
    snprintf(why, size, "%s", cuframes_last_error());
    return error;
  }
  const int failed = d->gpu ? put_on_gpu(d, copy, &laid, bytes, plane, pitch) : 0;
  if (failed != 0) {
    snprintf(why, size, "a picture cannot be copied to the GPU: CUDA error %d", failed);
    return CUFRAMES_ERR_DEVICE;
  }
  copy->format = laid;
  copy->picture = (cuframes_picture){ .format = &copy->format, .device = grid_device_name(d) };
  for (int i = 0; i < cuframes_pixel_format_planes(laid.pixel_format); i++)
    copy->picture.plane[i] = d->gpu ? (const void *)(uintptr_t)(copy->address + laid.offset[i]) : plane[i];
  return CUFRAMES_OK;
}

void grid_device_free(grid_device *d, grid_copy *copy) {
  if (copy->address != 0) {
    (void)d->stream_wait(d->stream);
    (void)d->memory_free(copy->address);
  }
  for (int i = 0; i < 2; i++) {
    if (copy->staging[i].done != NULL) {
      (void)d->event_wait(copy->staging[i].done);
      (void)d->event_destroy(copy->staging[i].done);
    }
    if (copy->staging[i].memory != NULL)
      (void)d->pinned_free(copy->staging[i].memory);
  }
  *copy = (grid_copy){ 0 };
}
