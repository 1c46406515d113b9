/* completion/waiter.h - the subscriber's half of completion: whether a picture is complete, a stream that waits for
 * it, a stream that gives a lease back, and what is left to do for both when the publisher has died.
 *
 * On the host a picture is complete when it is published: then `gpu` is false, and only is_ready() and quiesce() are
 * used. Threads: any.
 */
#ifndef CF_COMPLETION_WAITER_H
#define CF_COMPLETION_WAITER_H

#include <pthread.h>

#include "device/device.h"
#include "exchange/frame_reader.h"

typedef struct cf_waiter {
  cf_device *device;
  cf_frame_reader *reader;
  uint64_t seat_bytes;
  bool gpu;
  uint32_t sync_mode; /* granted */
  int pidfd;          /* of the publisher; -1: none */
  uint64_t *noted;    /* timeline: of each slot, the newest frame that a stream was to wait for */
  pthread_mutex_t lock;
  cf_device_counters counters; /* the seat, once a stream writes or waits there. Under `lock` */
} cf_waiter;

/* Of a zeroed waiter, whose close() is fine before and after. pidfd becomes the waiter's. */
void cf_waiter_init(cf_waiter *waiter);
int cf_waiter_open(cf_waiter *waiter, cf_device *device, cf_frame_reader *reader, uint64_t seat_bytes,
                   uint32_t sync_mode, int pidfd);
void cf_waiter_close(cf_waiter *waiter);

/* The picture of a taken frame is complete. */
static inline bool cf_waiter_is_ready(const cf_waiter *waiter, uint32_t slot, uint64_t seq) {
  return !waiter->gpu || cf_reader_complete(waiter->reader, slot, seq);
}

/* Whether a stream may wait for the frame: the publisher's GPU signals its fence or records its event (NULL: it has
 * none). Otherwise the CPU has to. */
bool cf_waiter_can_wait_on(const cf_waiter *waiter, uint64_t seq, const void *event);
/* The stream goes on when the frame is complete. */
int cf_waiter_wait_on(cf_waiter *waiter, uint32_t slot, uint64_t seq, void *event, void *stream);

/* When the stream has come so far, lease k, which holds frame seq, counts as free for the publisher. */
int cf_waiter_release_on(cf_waiter *waiter, uint32_t k, uint64_t seq, void *stream);

/* A stream is about to wait for the frame. Under a lock of the caller's that cf_waiter_signal() comes after.
 */
void cf_waiter_note(cf_waiter *waiter, uint32_t slot, uint64_t seq);
/* A stream may wait for a picture that is not complete. After the publisher hung up, and when nothing more is noted, it
 * is to go on: by cf_waiter_signal(). But a GPU goes on for some ten milliseconds after its process was killed, and
 * could take a fence back that was signaled by then; its process is dead some 50 ms later, and then it stands still.
 * So who signals waits for that first: for `pidfd`, if there is one, for cf_waiter_death_ns() at most. */
bool cf_waiter_streams_wait(const cf_waiter *waiter);
int64_t cf_waiter_death_ns(const cf_waiter *waiter);
void cf_waiter_signal(cf_waiter *waiter);

/* For its end: nothing on the GPU waits for the seat, or uses its memory. */
void cf_waiter_quiesce(cf_waiter *waiter);
/* Waits until the GPU has done all that this process gave it. True: it is lost, and will never do what is left. */
bool cf_waiter_settle(cf_waiter *waiter);

#endif
