/* subscriber/leases.c - frames of a connection: taken when they are complete or with a stream that waits for it, given
 * back by the CPU or by a stream, and lost when the publisher dies too early.
 *
 * A frame that is not complete and may not be handed out so stays pending: it is leased, so that it is still there
 * when it is complete, whatever has been published by then.
 */
#include <poll.h>
#include <string.h>

#include "os/clock.h"
#include "os/error.h"
#include "subscriber/connection.h"

/* ---- leases ---- */

static void lease_unreserve(cf_connection *c, uint32_t k) {
  pthread_mutex_lock(&c->lock);
  c->free_leases |= UINT64_C(1) << k;
  pthread_mutex_unlock(&c->lock);
}

/* Gives a lease back on the CPU. With the lock held. */
static void lease_return(cf_connection *c, uint32_t k) {
  cuframes_frame *frame = &c->frames[k];
  frame->state = CF_FRAME_FREE;
  ((cf_view *)frame->segment)->frames--;
  cf_reader_release(c->seat, k);
  c->free_leases |= UINT64_C(1) << k;
}

/* Takes the leases back that the GPU has given back. With the lock held; gives their number. */
static uint32_t leases_reclaim(cf_connection *c) {
  uint32_t count = 0;
  for (uint64_t left = c->returning; left != 0; left &= left - 1) {
    uint32_t k = (uint32_t)__builtin_ctzll(left);
    if (!cf_seat_released(c->seat, k, c->frames[k].seq))
      continue;
    c->returning &= ~(UINT64_C(1) << k);
    lease_return(c, k);
    count++;
  }
  return count;
}

static void references_drop(cf_connection *c, uint32_t count) {
  while (count-- > 0)
    cf_connection_drop(c);
}

static void announce_release(cf_connection *c) {
  (void)cf_flag_add(&c->releases, 1);
  if (cf_flag_swap(&c->release_awaited, 0))
    (void)cf_futex_wake(&c->releases.value, INT32_MAX);
}

/* ---- complete, or lost ---- */

static bool is_complete(const cf_connection *c, const cuframes_frame *frame) {
  return cf_waiter_is_ready(&c->waiter, frame->slot, frame->seq);
}

static bool in_use(const cuframes_frame *frame) {
  return frame->state == CF_FRAME_LEASED || frame->state == CF_FRAME_RETURNING;
}

/* A stream waits for it, as far as we know. With the lock held. */
static bool is_awaited(const cf_connection *c, const cuframes_frame *frame) {
  return in_use(frame) && frame->fenced && !frame->lost && !is_complete(c, frame);
}

/* Before its fence is signaled: whoever gets through it can know. With the lock held. */
static void frame_lose(cf_connection *c, cuframes_frame *frame) {
  frame->lost = true;
  cf_counter_add(&c->lost, 1);
}

/* Marks what is LOST. Gives whether fences must be signaled for it. */
static bool frames_lose(cf_connection *c) {
  bool open = false;
  pthread_mutex_lock(&c->lock); /* a frame is fenced under it only while the connection is not gone */
  for (uint32_t k = 0; k < c->leases; k++) {
    cuframes_frame *frame = &c->frames[k];
    if (is_awaited(c, frame))
      frame_lose(c, frame);
    open = open || (in_use(frame) && frame->lost);
  }
  pthread_mutex_unlock(&c->lock);
  return open && c->waiter.sync_mode == CUFRAMES_SYNC_TIMELINE;
}

static void fences_signal(cf_connection *c) {
  pthread_mutex_lock(&c->lock);
  for (uint32_t k = 0; k < c->leases; k++)
    if (in_use(&c->frames[k]) && c->frames[k].lost)
      cf_waiter_signal(&c->waiter, c->frames[k].slot, c->frames[k].seq);
  pthread_mutex_unlock(&c->lock);
}

void cf_connection_lose(cf_connection *c) {
  cf_flag_set(&c->gone, 1);
  if (c->waiter.gpu && frames_lose(c)) {
    cf_waiter_wait_for_death(&c->waiter);
    fences_signal(c);
  }
  cf_flag_set(&c->given_up, 1);
}

static int lease_wait(const cuframes_frame *frame, int64_t deadline) {
  cf_connection *c = frame->owner;
  for (int64_t began = cf_now();; cf_wait_turn(began, deadline)) {
    bool gone = cf_flag_get(&c->gone) != 0; /* before the look: it may have been completed at the last moment */
    pthread_mutex_lock(&c->lock);
    bool lost = frame->lost, complete = !lost && is_complete(c, frame);
    if (gone && !lost && !complete) /* its release is to say the same, also if we are before cf_connection_lose() */
      frame_lose(c, &c->frames[frame->lease]);
    pthread_mutex_unlock(&c->lock);
    if (complete)
      return CUFRAMES_OK;
    if (lost || gone)
      return cf_fail(CUFRAMES_ERR_LOST, "frame %llu was never completed: its publisher died",
                     (unsigned long long)frame->seq);
    if (cf_now() >= deadline)
      return cf_fail(CUFRAMES_ERR_TIMEOUT, "the GPU has not completed frame %llu", (unsigned long long)frame->seq);
  }
}

/* Whether a stream waits for a picture that is not complete. */
static bool stream_waits(cf_connection *c) {
  bool waits = false;
  pthread_mutex_lock(&c->lock);
  for (uint32_t k = 0; k < c->leases; k++)
    waits = waits || is_awaited(c, &c->frames[k]);
  pthread_mutex_unlock(&c->lock);
  return waits;
}

/* Nobody watches the publisher any more: as long as a stream waits for it, we do. */
static void watch_to_the_end(cf_connection *c) {
  struct pollfd end = { .fd = c->fd, .events = POLLRDHUP };
  for (int64_t began = cf_now(); stream_waits(c); cf_wait_turn(began, CF_NEVER))
    if (poll(&end, 1, 0) != 0)
      cf_connection_lose(c);
}

void cf_connection_orphan(cf_connection *c) {
  if (!c->waiter.gpu)
    return;
  watch_to_the_end(c);
  pthread_mutex_lock(&c->lock);
  c->orphan = true;
  bool wait = c->returning != 0;
  pthread_mutex_unlock(&c->lock);
  if (!wait)
    return;
  bool lost = cf_waiter_settle(&c->waiter);
  uint32_t count = 0;
  pthread_mutex_lock(&c->lock);
  if (lost) /* nothing of it runs any more, and nothing writes the words */
    for (; c->returning; count++, c->returning &= c->returning - 1)
      lease_return(c, (uint32_t)__builtin_ctzll(c->returning));
  count += leases_reclaim(c);
  pthread_mutex_unlock(&c->lock);
  references_drop(c, count);
}

/* ---- taking ---- */

static int take_error(enum cf_take take) {
  switch (take) {
    case CF_TAKE_OK: return CUFRAMES_OK;
    case CF_TAKE_NONE: return cf_fail(CUFRAMES_ERR_TIMEOUT, "no new frame in the time given");
    case CF_TAKE_ENDED: return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher ended the stream");
    case CF_TAKE_EVICTED:
      return cf_fail(
          CUFRAMES_ERR_EVICTED,
          "the publisher gave up waiting for this subscriber: connect again, with more depth or less work per frame");
    case CF_TAKE_BROKEN: break;
  }
  return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's control page makes no sense");
}

static const cf_frame_ops lease_ops;

static void frame_fill(cf_connection *c, uint32_t k, const cf_taken *taken, cf_view *view) {
  c->frames[k] = (cuframes_frame){ .state = CF_FRAME_LEASED,
                                   .ops = &lease_ops,
                                   .owner = c,
                                   .device = c->device,
                                   .segment = view,
                                   .base = (uint8_t *)view->memory.address + taken->offset,
                                   .offset = taken->offset,
                                   .epoch = taken->epoch,
                                   .format = &view->format,
                                   .slot = taken->slot,
                                   .lease = k,
                                   .seq = taken->seq,
                                   .pts = taken->pts,
                                   .duration = taken->duration,
                                   .timestamp = taken->timestamp,
                                   .flags = taken->flags & (CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT) };
}

/* Every lease is in hand. But who has nothing more to expect should hear that. */
static int hands_full(cf_connection *c, bool gone, bool returning) {
  enum cf_take next = cf_reader_peek(&c->reader);
  if (next == CF_TAKE_EVICTED || next == CF_TAKE_ENDED || (next == CF_TAKE_NONE && gone))
    return take_error(next == CF_TAKE_NONE ? CF_TAKE_ENDED : next);
  if (returning && c->device->ops->is_lost(c->device))
    return cf_fail(CUFRAMES_ERR_DEVICE, "the GPU of this process failed, and gives no frame back");
  if (returning)
    return next == CF_TAKE_NONE ? take_error(next) : CUFRAMES_ERR_BUSY;
  return cf_fail(CUFRAMES_ERR_LEASE_LIMIT,
                 "all %u frames that this subscriber may hold are in hand: release one, or ask for more leases",
                 c->leases);
}

/* Leases the next frame, complete or not. */
static int lease_next(cf_connection *c, cuframes_frame **frame) {
  uint32_t k;
  bool gone = cf_flag_get(&c->gone) != 0; /* before the look: the last frames are still to be taken */
  cf_taken taken;
  cf_view *view = NULL;
  bool must_wake;
  int ahead = cf_views_look_ahead(c);
  if (ahead != CUFRAMES_OK)
    return ahead;
  pthread_mutex_lock(&c->lock); /* once: who spins for a frame feels each turn */
  uint32_t reclaimed = c->returning ? leases_reclaim(c) : 0;
  bool hands_are_full = c->free_leases == 0, returning = c->returning != 0;
  k = hands_are_full ? 0 : (uint32_t)__builtin_ctzll(c->free_leases);
  enum cf_take take = hands_are_full ? CF_TAKE_NONE : cf_reader_take(&c->reader, k, &taken, &must_wake);
  if (take == CF_TAKE_OK) {
    c->free_leases &= c->free_leases - 1;
    view = cf_view_count_one(c, taken.segment);
  }
  pthread_mutex_unlock(&c->lock);
  references_drop(c, reclaimed); /* never the last: the caller has one */
  if (hands_are_full)
    return hands_full(c, gone, returning);
  if (take != CF_TAKE_OK)
    return take_error(take);
  if (must_wake)
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
  int result = view ? CUFRAMES_OK : cf_view_hold(c, taken.segment, &view);
  if (result == CUFRAMES_OK &&
      (taken.offset > view->memory.bytes || view->memory.bytes - taken.offset < view->frame_bytes)) {
    pthread_mutex_lock(&c->lock);
    view->frames--;
    pthread_mutex_unlock(&c->lock);
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's frame lies outside its segment");
  }
  if (result != CUFRAMES_OK) {
    cf_reader_release(c->seat, k);
    lease_unreserve(c, k);
    return result;
  }
  pthread_mutex_lock(&c->lock); /* the watcher looks at frames */
  frame_fill(c, k, &taken, view);
  pthread_mutex_unlock(&c->lock);
  cf_connection_hold(c);
  *frame = &c->frames[k];
  return CUFRAMES_OK;
}

/* The event of a frame's slot, NULL if there is none. */
static void *event_of(const cuframes_frame *frame) {
  const cf_view *view = frame->segment;
  uint64_t index = view->event_count > 0 ? frame->offset / view->stride : 0;
  return index < view->event_count ? view->events[index] : NULL;
}

/* Lets the stream wait for a frame. BUSY: this frame's the CPU must wait for; or an error of the device. */
static int stream_wait(cf_connection *c, cuframes_frame *frame, void *stream) {
  void *event = c->waiter.sync_mode == CUFRAMES_SYNC_TIMELINE ? NULL : event_of(frame);
  if (!cf_waiter_can_wait_on(&c->waiter, frame->seq, event))
    return CUFRAMES_ERR_BUSY;
  pthread_mutex_lock(&c->lock);
  /* pairs with cf_connection_lose: it signals the fence of what is fenced by then */
  bool gone = cf_flag_get(&c->gone) != 0;
  frame->fenced = !gone;
  pthread_mutex_unlock(&c->lock);
  if (gone)
    return CUFRAMES_ERR_BUSY; /* and then its end is seen */
  return cf_waiter_wait_on(&c->waiter, frame->slot, frame->seq, event, stream);
}

int cf_connection_take(cf_connection *c, cf_take_how how, cuframes_frame **frame, uint32_t *epoch) {
  cuframes_frame *f = *how.pending;
  int result = CUFRAMES_OK;
  if (how.on_stream && c->waiter.gpu)
    result = c->device->ops->stream_check(c->device, how.stream);
  if (result == CUFRAMES_OK && !f)
    result = lease_next(c, &f);
  if (result != CUFRAMES_OK)
    return result;
  bool gone = cf_flag_get(&c->gone) || cf_reader_ended(&c->reader); /* before the look, as ever */
  if (!is_complete(c, f)) {
    result = how.on_stream && c->waiter.sync_mode != CUFRAMES_SYNC_COMPLETE ? stream_wait(c, f, how.stream)
                                                                            : CUFRAMES_ERR_BUSY;
    if (result == CUFRAMES_ERR_BUSY && !gone) {
      *how.pending = f;
      return result;
    }
  }
  *how.pending = NULL;
  if (result != CUFRAMES_OK) {
    (void)cf_connection_release(f); /* the reason is known already */
    return result == CUFRAMES_ERR_BUSY
               ? cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher ended before its last picture was complete")
               : result;
  }
  *epoch = f->epoch;
  *frame = f;
  return CUFRAMES_OK;
}

/* ---- giving back ---- */

/* What the release of a frame says: whether it was good, and whether the stream goes on. */
static int release_verdict(cf_connection *c, bool lost) {
  if (lost)
    return cf_fail(CUFRAMES_ERR_LOST, "the frame was never completed: its publisher died");
  return cf_flag_get(&c->gone) || cf_reader_over(&c->reader)
             ? cf_fail(CUFRAMES_ERR_STALE, "the frame's connection is over: the publisher is gone or evicted us")
             : CUFRAMES_OK;
}

int cf_connection_release(cuframes_frame *frame) {
  cf_connection *c = frame->owner;
  pthread_mutex_lock(&c->lock);
  bool leased = frame->state == CF_FRAME_LEASED, lost = frame->lost;
  if (leased)
    lease_return(c, frame->lease);
  pthread_mutex_unlock(&c->lock);
  if (!leased)
    return cf_fail(CUFRAMES_ERR_INVALID, "the frame was released before");
  announce_release(c);
  int result = release_verdict(c, lost);
  cf_connection_drop(c);
  return result;
}

static int lease_release_on(cuframes_frame *frame, void *stream) {
  cf_connection *c = frame->owner;
  uint32_t k = frame->lease;
  if (!c->waiter.gpu)
    return cf_connection_release(frame);
  int result = c->device->ops->stream_check(c->device, stream); /* before the frame is out of hand */
  if (result != CUFRAMES_OK)
    return result;
  pthread_mutex_lock(&c->lock);
  bool leased = frame->state == CF_FRAME_LEASED, lost = frame->lost;
  if (leased)
    frame->state = CF_FRAME_RETURNING; /* nobody else releases it now */
  pthread_mutex_unlock(&c->lock);
  if (!leased)
    return cf_fail(CUFRAMES_ERR_INVALID, "the frame was released before");
  /* without the lock: the driver may wait for room on the stream, and so for a fence */
  result = cf_waiter_release_on(&c->waiter, k, frame->seq, stream);
  pthread_mutex_lock(&c->lock);
  bool orphan = c->orphan;
  if (result == CUFRAMES_OK)
    c->returning |= UINT64_C(1) << k;
  else
    frame->state = CF_FRAME_LEASED;
  pthread_mutex_unlock(&c->lock);
  if (result != CUFRAMES_OK)
    return result;
  announce_release(c);
  result = release_verdict(c, lost);
  if (orphan) /* nobody else will look for it */
    cf_connection_orphan(c);
  return result;
}

static const cf_frame_ops lease_ops = { .wait = lease_wait,
                                        .release = cf_connection_release,
                                        .release_on = lease_release_on };
