/* completion/waiter.c - a subscriber, or its stream, waits for pictures that the publisher's GPU completes. */
#include "completion/waiter.h"

#include <stdlib.h>

#include <cuframes/subscriber.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"

/* Longest wait for the death of a publisher that hung up, and what is waited where death cannot be seen. Subscribers
 * are to go on within 100 ms. */
#define DEATH_NS (90 * CF_MS)
#define GRACE_NS (60 * CF_MS)

void cf_waiter_init(cf_waiter *waiter) {
  waiter->pidfd = -1;
  pthread_mutex_init(&waiter->lock, NULL);
}

/* Makes the seat visible to the GPU, once. */
static int counters_open(cf_waiter *waiter) {
  int result = CUFRAMES_OK;
  pthread_mutex_lock(&waiter->lock); /* its own: who signals fences needs others, and the driver may wait for a fence */
  if (!waiter->counters.host)
    result =
        waiter->device->ops->counters_open(waiter->device, waiter->reader->seat, waiter->seat_bytes, &waiter->counters);
  pthread_mutex_unlock(&waiter->lock);
  return result;
}

int cf_waiter_open(cf_waiter *waiter, cf_device *device, cf_frame_reader *reader, uint64_t seat_bytes,
                   uint32_t sync_mode, int pidfd) {
  waiter->device = device;
  waiter->reader = reader;
  waiter->seat_bytes = seat_bytes;
  waiter->sync_mode = sync_mode;
  waiter->pidfd = pidfd;
  waiter->gpu = device->has_streams;
  if (sync_mode != CUFRAMES_SYNC_TIMELINE)
    return CUFRAMES_OK;
  if (seat_bytes < cf_seat_bytes(reader->capacity, true))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's seat has no room for fences");
  waiter->noted = calloc(reader->capacity, sizeof *waiter->noted);
  if (!waiter->noted)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  return counters_open(waiter);
}

void cf_waiter_close(cf_waiter *waiter) {
  if (waiter->counters.host)
    waiter->device->ops->counters_close(waiter->device, &waiter->counters);
  cf_close(waiter->pidfd);
  free(waiter->noted);
  pthread_mutex_destroy(&waiter->lock);
}

bool cf_waiter_can_wait_on(const cf_waiter *waiter, uint64_t seq, const void *event) {
  return (waiter->sync_mode == CUFRAMES_SYNC_TIMELINE || event) && cf_reader_fenced(waiter->reader, seq);
}

int cf_waiter_wait_on(cf_waiter *waiter, uint32_t slot, uint64_t seq, void *event, void *stream) {
  cf_device *device = waiter->device;
  if (waiter->sync_mode != CUFRAMES_SYNC_TIMELINE)
    return device->ops->event_wait(device, event, stream);
  return device->ops->counter_wait(device, stream,
                                   &(cf_device_write){ .in = &waiter->counters,
                                                       .counter = cf_seat_fence(waiter->reader->seat, slot),
                                                       .value = seq });
}

int cf_waiter_release_on(cf_waiter *waiter, uint32_t k, uint64_t seq, void *stream) {
  cf_device *device = waiter->device;
  bool began;
  int result = device->ops->stream_begin(device, stream, &began);
  if (result != CUFRAMES_OK)
    return result;
  result = counters_open(waiter);
  cf_device_write write = { .in = &waiter->counters,
                            .counter = cf_seat_released_counter(waiter->reader->seat, k),
                            .value = seq };
  if (result == CUFRAMES_OK)
    result = device->ops->counters_write(device, stream, &write, 1);
  device->ops->stream_end(device, began);
  return result;
}

void cf_waiter_note(cf_waiter *waiter, uint32_t slot, uint64_t seq) {
  if (waiter->noted)
    waiter->noted[slot] = seq;
}

bool cf_waiter_streams_wait(const cf_waiter *waiter) {
  for (uint32_t slot = 0; waiter->noted && slot < waiter->reader->capacity; slot++)
    if (waiter->noted[slot] != 0 && !cf_reader_complete(waiter->reader, slot, waiter->noted[slot]))
      return true;
  return false;
}

int64_t cf_waiter_death_ns(const cf_waiter *waiter) {
  return waiter->pidfd >= 0 ? DEATH_NS : GRACE_NS;
}

/* models/ready.pml, FENCE_EARLY */
void cf_waiter_signal(cf_waiter *waiter) {
  if (cf_waiter_streams_wait(waiter)) /* a publisher that lives, and left us, signals fences itself */
    cf_seat_signal_fences(waiter->reader->seat, waiter->reader->capacity);
}

void cf_waiter_quiesce(cf_waiter *waiter) {
  if (!waiter->gpu)
    return;
  if (waiter->counters.host && waiter->sync_mode == CUFRAMES_SYNC_TIMELINE)
    cf_seat_signal_fences(waiter->reader->seat, waiter->reader->capacity);
  waiter->device->ops->settle(waiter->device);
}

bool cf_waiter_settle(cf_waiter *waiter) {
  waiter->device->ops->settle(waiter->device);
  return waiter->device->ops->is_lost(waiter->device);
}
