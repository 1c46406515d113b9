/* completion/completer.h - the publisher's half of completion: its GPU's stream says when a picture is complete, to
 * everybody by the slot's ready counter, and to the streams of timeline subscribers by their seats' fences.
 *
 * On the host a picture is complete when it is published: then `gpu` is false, and nothing here does anything.
 * Threads: "frames" functions under the publisher's frame lock, "service" functions on the service thread.
 */
#ifndef CF_COMPLETION_COMPLETER_H
#define CF_COMPLETION_COMPLETER_H

#include "device/device.h"
#include "exchange/frame_writer.h"

/* A seat and what a GPU needs to write into it. The publisher's peers embed it. */
typedef struct cf_fenced_seat {
  cf_writer_seat seat;
  uint64_t bytes;              /* of its page */
  cf_device_counters counters; /* the page, for the device; host is NULL in other modes than timeline */
} cf_fenced_seat;

/* A seat whose subscriber is gone and that the GPU may still write into. */
typedef struct cf_deferred_free {
  cf_fenced_seat seat;
  struct cf_deferred_free *next;
} cf_deferred_free;

typedef struct cf_completer {
  bool gpu;
  bool any_stream, many_streams; /* one was used; more than one were */
  bool side_pending;             /* the side stream may still write counters */
  cf_device *device;
  cf_frame_writer *writer;
  void *stream;               /* of the last frame */
  cf_device_counters control; /* the control page, for the device */
  cf_deferred_free *deferred; /* the service thread's */
} cf_completer;

/* control: the writer's page, of so many bytes. */
int cf_completer_open(cf_completer *completer, cf_device *device, cf_frame_writer *writer, void *control,
                      uint64_t bytes);
/* After every seat was closed. One that is zeroed is fine. */
void cf_completer_close(cf_completer *completer);

/* frames: puts on the stream, behind the picture's work, that the next frame, in this slot, is complete. events: of the
 * slots of its segment, and which is its own, recorded for subscribers that wait by events; looked at only if there are
 * such, since the service thread makes them before it seats the first. On failure nothing of it will happen. */
int cf_completer_submit(cf_completer *completer, uint32_t slot, void **const *events, uint64_t index, void *stream);

/* frames: a slot is written by the stream that the next picture is made on. When there are several (many_streams),
 * waits up to a second until an earlier one has done with what was published in a slot that was just taken. */
int cf_completer_wait_for_writers(cf_completer *completer, uint32_t slot);

/* service: prepares a seat for the sync mode that was granted; page: zeroed, seat->bytes of it. On failure it may still
 * do in mode complete. */
int cf_completer_seat_open(cf_completer *completer, cf_fenced_seat *seat, void *page, uint32_t sync_mode);
/* service: undoes it for a seat that the writer never saw; the page stays. */
void cf_completer_counters_close(cf_completer *completer, cf_fenced_seat *seat);
/* service: frees the page of a seat that the writer does not look at any more, now or when the GPU has written what was
 * put on its stream. */
void cf_completer_seat_close(cf_completer *completer, cf_fenced_seat *seat);
/* service: frees the pages that the GPU has done with, or all of them. False: some are left. */
bool cf_completer_free_deferred(cf_completer *completer, bool all);

/* Any thread: waits until the GPU has done all that this process gave it. */
void cf_completer_quiesce(cf_completer *completer);

#endif
