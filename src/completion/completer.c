/* completion/completer.c - a publisher's pictures become complete on its GPU. */
#include "completion/completer.h"

#include <stdlib.h>
#include <string.h>

#include <cuframes/subscriber.h>

#include "os/clock.h"
#include "os/container.h"
#include "os/error.h"
#include "os/futex.h"
#include "os/memory.h"

int cf_completer_open(cf_completer *completer, cf_device *device, cf_frame_writer *writer, void *control,
                      uint64_t bytes) {
  *completer = (cf_completer){ .device = device, .writer = writer, .gpu = device->has_streams };
  return completer->gpu ? device->ops->counters_open(device, control, bytes, &completer->control) : CUFRAMES_OK;
}

void cf_completer_close(cf_completer *completer) {
  (void)cf_completer_free_deferred(completer, true);
  if (completer->control.host)
    completer->device->ops->counters_close(completer->device, &completer->control);
}

void cf_completer_quiesce(cf_completer *completer) {
  if (completer->gpu)
    completer->device->ops->settle(completer->device);
}

int cf_completer_wait_for_writers(cf_completer *completer, uint32_t slot) {
  int64_t began = cf_now(), deadline = began + CF_SECOND;
  while (!cf_writer_completed(completer->writer, slot)) {
    if (cf_now() >= deadline)
      return cf_fail(CUFRAMES_ERR_DEVICE, "the GPU has not completed the frame that was published in this slot "
                                          "before, on another stream, within a second");
    cf_wait_turn(began, deadline);
  }
  return CUFRAMES_OK;
}

/* ---- submitting ---- */

/* Writes the counters that say that a picture is complete, by its own stream or by the device's side stream. A counter
 * written by a stream holds it up for two microseconds: that matters when the GPU is behind, and then the CPU has time.
 * When it is not, the way with the fewest calls is best, also for who waits. */
__attribute__((hot)) static int counters_write(cf_completer *completer, void *stream, const cf_device_write *writes,
                                               uint32_t count) {
  cf_device *device = completer->device;
  bool behind = !cf_writer_head_completed(completer->writer);
  if (behind && count == 1) {
    completer->side_pending = true;
    return device->ops->counter_write_on_side(device, stream, writes);
  }
  if (behind && completer->side_pending) { /* counters must not go back */
    int result = device->ops->side_wait(device, stream);
    if (result != CUFRAMES_OK)
      return result;
  }
  completer->side_pending = false;
  return device->ops->counters_write(device, stream, writes, count);
}

static void stream_remember(cf_completer *completer, void *stream) {
  completer->many_streams = completer->many_streams || cf_device_stream_of_thread(stream) ||
                            (completer->any_stream && completer->stream != stream);
  completer->any_stream = true;
  completer->stream = stream;
}

/* Records the slot's event, if there is one to record, and then writes the counters. */
static int completion_put(cf_completer *completer, void *stream, void *event, const cf_device_write *writes,
                          uint32_t count) {
  if (event) {
    int result = completer->device->ops->event_record(completer->device, event, stream);
    if (result != CUFRAMES_OK)
      return result;
  }
  return counters_write(completer, stream, writes, count);
}

/* The picture's own counter. */
static cf_device_write ready_write(const cf_completer *completer, uint32_t slot) {
  return (cf_device_write){ .in = &completer->control,
                            .counter = cf_writer_ready_counter(completer->writer, slot),
                            .value = cf_writer_next_seq(completer->writer) };
}

/* With seats whose streams wait. A function of its own: what it needs for 256 of them would lie between the caller's
 * part of the stack and the driver's, each time on pages that have cooled down. */
static __attribute__((noinline)) int submit_fenced(cf_completer *completer, uint32_t slot, void **const *events,
                                                   uint64_t index, void *stream) {
  cf_frame_writer *writer = completer->writer;
  cf_writer_seat *seats[CF_SEATS_MAX];
  cf_device_write writes[CF_SEATS_MAX + 1];
  uint32_t writes_count = 0;
  bool by_event = false;
  uint64_t seq = cf_writer_next_seq(writer);
  uint32_t count = cf_writer_enter_fences(writer, slot, seats);
  for (uint32_t i = 0; i < count; i++) {
    by_event = by_event || seats[i]->fencing == CF_FENCING_EVENTS;
    if (seats[i]->fencing == CF_FENCING_COUNTERS)
      writes[writes_count++] = (cf_device_write){ .in = &CF_CONTAINER_OF(seats[i], cf_fenced_seat, seat)->counters,
                                                  .counter = cf_seat_fence(seats[i]->page, slot),
                                                  .value = seq };
  }
  /* last: once it is there the GPU does nothing more for this frame */
  writes[writes_count++] = ready_write(completer, slot);
  int result = completion_put(completer, stream, by_event && *events ? (*events)[index] : NULL, writes, writes_count);
  if (result != CUFRAMES_OK) {
    completer->device->ops->settle(completer->device);
    cf_writer_take_back(writer, slot, seats, count);
  }
  cf_writer_leave_fences(writer);
  return result;
}

static int submit_plain(cf_completer *completer, uint32_t slot, void *stream) {
  cf_device_write ready = ready_write(completer, slot);
  int result = counters_write(completer, stream, &ready, 1);
  if (result != CUFRAMES_OK) {
    completer->device->ops->settle(completer->device);
    cf_writer_take_back(completer->writer, slot, NULL, 0);
  }
  return result;
}

__attribute__((hot)) int cf_completer_submit(cf_completer *completer, uint32_t slot, void **const *events,
                                             uint64_t index, void *stream) {
  const cf_device_ops *ops = completer->device->ops;
  bool began;
  int result = ops->stream_begin(completer->device, stream, &began);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_writer_has_fenced(completer->writer) ? submit_fenced(completer, slot, events, index, stream)
                                                   : submit_plain(completer, slot, stream);
  ops->stream_end(completer->device, began);
  stream_remember(completer, stream);
  return result;
}

/* ---- seats ---- */

int cf_completer_seat_open(cf_completer *completer, cf_fenced_seat *seat, void *page, uint32_t sync_mode) {
  if (sync_mode == CUFRAMES_SYNC_SLOT_EVENTS)
    seat->seat.fencing = CF_FENCING_EVENTS;
  if (sync_mode != CUFRAMES_SYNC_TIMELINE)
    return CUFRAMES_OK;
  int result = completer->device->ops->counters_open(completer->device, page, seat->bytes, &seat->counters);
  if (result != CUFRAMES_OK)
    return result;
  seat->seat.fencing = CF_FENCING_COUNTERS;
  return CUFRAMES_OK;
}

void cf_completer_counters_close(cf_completer *completer, cf_fenced_seat *seat) {
  if (seat->counters.host)
    completer->device->ops->counters_close(completer->device, &seat->counters);
}

static void seat_free(cf_completer *completer, cf_fenced_seat *seat) {
  cf_completer_counters_close(completer, seat);
  cf_memory_unmap(seat->seat.page, seat->bytes);
}

void cf_completer_seat_close(cf_completer *completer, cf_fenced_seat *seat) {
  if (seat->counters.host && !cf_writer_fences_done(completer->writer, &seat->seat)) {
    cf_deferred_free *deferred = malloc(sizeof *deferred);
    if (deferred) {
      memcpy(&deferred->seat, seat, sizeof deferred->seat); /* nobody else has it now */
      deferred->next = completer->deferred;
      completer->deferred = deferred;
      seat->counters = (cf_device_counters){ 0 };
      return;
    }
    completer->device->ops->settle(completer->device); /* no memory for patience */
  }
  seat_free(completer, seat);
}

bool cf_completer_free_deferred(cf_completer *completer, bool all) {
  for (cf_deferred_free **link = &completer->deferred, *deferred; (deferred = *link) != NULL;) {
    if (!all && !cf_writer_fences_done(completer->writer, &deferred->seat.seat) &&
        !completer->device->ops->is_lost(completer->device)) {
      link = &deferred->next;
      continue;
    }
    *link = deferred->next;
    seat_free(completer, &deferred->seat);
    free(deferred);
  }
  return completer->deferred == NULL;
}
