/* host/host.c - the device "host": the calling thread does the work. */
#include <stdlib.h>
#include <string.h>

#include "vision/device.h"
#include "vision/error.h"
#include "vision/host/host.h"

typedef struct host_preprocess {
  cf_plan_tensor tensor;
  const cf_host_loops *loops;
  size_t picture_bytes; /* of one picture in the tensor */
  uint32_t capacity;
  cf_plan table[];
} host_preprocess;

static int check_name(const char *device) {
  if (strcmp(device, "host") == 0)
    return CUFRAMES_OK;
  return cf_vision_fail(CUFRAMES_ERR_UNSUPPORTED, "no device \"%.63s\": the host is just \"host\"", device);
}

static int preprocess_create(const cf_preprocess_setup *setup, const char *device, void **state, char *name) {
  uint32_t capacity = setup->options.capacity;
  int result = check_name(device);
  if (result != CUFRAMES_OK)
    return result;
  host_preprocess *p = calloc(1, sizeof *p + capacity * sizeof p->table[0]);
  if (!p)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for a table of %u pictures", capacity);
  p->tensor = setup->tensor;
  p->loops = cf_host_loops_best();
  p->capacity = capacity;
  p->picture_bytes =
      (size_t)p->tensor.width * p->tensor.height * p->tensor.channels * cuframes_element_size(p->tensor.element);
  strcpy(name, "host");
  *state = p;
  return CUFRAMES_OK;
}

static int preprocess_run(void *state, const cf_plan *plans, uint32_t count, void *tensor, void *stream) {
  const host_preprocess *p = state;
  (void)stream;    /* the host has none */
  size_t most = 0; /* one block for all pictures, before any is made: on failure nothing is written */
  for (uint32_t i = 0; i < count; i++) {
    size_t bytes = cf_host_preprocess_bytes(&plans[i], &p->tensor);
    most = bytes > most ? bytes : most;
  }
  void *scratch = malloc(most);
  if (!scratch)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for rows of a picture: %zu bytes", most);
  for (uint32_t i = 0; i < count; i++)
    cf_host_preprocess(&plans[i], &p->tensor, p->loops, (char *)tensor + i * p->picture_bytes, scratch);
  free(scratch);
  return CUFRAMES_OK;
}

static int preprocess_set(void *state, const cf_plan *plans, uint32_t count, void *stream) {
  host_preprocess *p = state;
  (void)stream;
  memset(p->table, 0, p->capacity * sizeof p->table[0]); /* CF_PLAN_NONE */
  if (count > 0)
    memcpy(p->table, plans, count * sizeof p->table[0]);
  return CUFRAMES_OK;
}

static int preprocess_launch(void *state, uint32_t count, void *tensor, void *stream) {
  const host_preprocess *p = state;
  return preprocess_run(state, p->table, count, tensor, stream);
}

/* A compositor keeps nothing from picture to picture. */
static int compositor_create(uint32_t capacity, const char *device, void **state, char *name) {
  (void)capacity; /* the caller of this table keeps to it */
  int result = check_name(device);
  if (result != CUFRAMES_OK)
    return result;
  strcpy(name, "host");
  *state = NULL;
  return CUFRAMES_OK;
}

static void compositor_destroy(void *state) {
  (void)state;
}

const cf_vision_ops cf_vision_host = {
  .kind = "host",
  .preprocess_create = preprocess_create,
  .preprocess_destroy = free,
  .preprocess_run = preprocess_run,
  .preprocess_set = preprocess_set,
  .preprocess_launch = preprocess_launch,
  .compositor_create = compositor_create,
  .compositor_destroy = compositor_destroy,
  .compositor_run = cf_host_compositor,
};
