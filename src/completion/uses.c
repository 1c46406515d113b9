/* completion/uses.c - streams that still use frames. */
#include "completion/uses.h"

#include <stdlib.h>
#include <string.h>

#include <cuframes/common.h>

#include "os/error.h"
#include "os/futex.h"
#include "os/memory.h"

struct cf_use {
  void *stream;
  uint64_t ticket; /* what its counter becomes */
};

void cf_uses_init(cf_uses *uses) {
  pthread_mutex_init(&uses->lock, NULL);
}

void cf_uses_open(cf_uses *uses, cf_device *device, uint32_t rows) {
  uses->device = device;
  uses->rows = rows;
}

void cf_uses_close(cf_uses *uses) {
  if (uses->counters.host)
    uses->device->ops->counters_close(uses->device, &uses->counters);
  free(uses->use);
  free(uses->counter);
  pthread_mutex_destroy(&uses->lock);
}

/* With the lock held. */
static int memory_make(cf_uses *uses) {
  size_t count = (size_t)uses->rows * CF_USES_MAX;
  uint64_t bytes = cf_page_round(count * sizeof *uses->counter);
  void *counter;
  if (uses->use)
    return CUFRAMES_OK;
  cf_use *use = calloc(count, sizeof *use);
  if (!use || posix_memalign(&counter, 4096, bytes) != 0) {
    free(use);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  memset(counter, 0, bytes);
  int result = uses->device->ops->counters_open(uses->device, counter, bytes, &uses->counters);
  if (result != CUFRAMES_OK) {
    free(use);
    free(counter);
    return result;
  }
  uses->use = use;
  uses->counter = counter;
  return CUFRAMES_OK;
}

/* With the lock held. */
static int use_add(cf_uses *uses, uint32_t row, cf_flag *count, void *stream) {
  int result = memory_make(uses);
  if (result != CUFRAMES_OK)
    return result;
  cf_use *use = uses->use + (size_t)row * CF_USES_MAX;
  uint32_t i = 0, used = cf_flag_get(count);
  /* a thread's own default stream is another one on each thread, under the same handle */
  while (i < used && (use[i].stream != stream || cf_device_stream_of_thread(stream)))
    i++;
  if (i == CF_USES_MAX)
    return cf_fail(CUFRAMES_ERR_BUSY, "%u streams use this frame already", CF_USES_MAX);
  cf_device_write write = { .in = &uses->counters,
                            .counter = uses->counter + (size_t)row * CF_USES_MAX + i,
                            .value = uses->tickets + 1 };
  result = uses->device->ops->counters_write(uses->device, stream, &write, 1);
  if (result != CUFRAMES_OK)
    return result;
  use[i] = (cf_use){ .stream = stream, .ticket = ++uses->tickets };
  if (i == used)
    cf_flag_set(count, used + 1);
  return CUFRAMES_OK;
}

int cf_uses_add(cf_uses *uses, uint32_t row, cf_flag *count, void *stream) {
  bool began;
  int result = uses->device->ops->stream_begin(uses->device, stream, &began);
  if (result != CUFRAMES_OK)
    return result;
  pthread_mutex_lock(&uses->lock);
  result = use_add(uses, row, count, stream);
  pthread_mutex_unlock(&uses->lock);
  uses->device->ops->stream_end(uses->device, began);
  return result;
}

bool cf_uses_done(cf_uses *uses, uint32_t row, uint32_t count) {
  bool done = true;
  /* without the lock, which is held while the driver waits for room on a stream */
  for (size_t i = (size_t)row * CF_USES_MAX, end = i + count; i < end; i++)
    done = done && cf_counter_load(uses->counter + i) >= uses->use[i].ticket;
  return done;
}
