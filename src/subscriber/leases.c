/* subscriber/leases.c - frames of a connection. One is taken in four steps: its segment is mapped, a lease on it
 * taken, the frame described, and its picture waited for, by the caller or by a stream. It is given back by the CPU
 * or by streams, and is LOST when the publisher dies too early.
 *
 * A frame that is not complete and may not be handed out so stays pending: it is leased, so that it is still there
 * when it is complete, whatever has been published by then.
 *
 * A reader of every frame is never given one behind a frame that it did not get: what was leased for it and cannot be
 * handed out stays leased, and every later call begins with that frame, and says the same or gives it. One who takes
 * the newest frame lets go of such a frame, and may get a later one.
 */
#include <poll.h>
#include <string.h>

#include "exchange/side_data.h"
#include "os/clock.h"
#include "os/error.h"
#include "subscriber/connection.h"

/* ---- leases ---- */

/* After the lease: pairs with wait_for_release, which looks at leases after it has said that it waits. */
void cf_connection_announce_release(cf_connection *c) {
  if (!cf_flag_swap(&c->release_awaited, 0))
    return;
  (void)cf_flag_add(&c->releases, 1);
  (void)cf_futex_wake(&c->releases.value, INT32_MAX);
}

/* Gives a lease back on the CPU. With the lock held. */
static void lease_return(cf_connection *c, cf_frame *frame) {
  frame->state = CF_FRAME_FREE;
  ((cf_view *)frame->segment)->frames--;
  cf_reader_release(c->seat, frame->lease);
  c->free_leases |= UINT64_C(1) << frame->lease;
}

/* Takes the leases back that streams have done with; all of them if there is no GPU any more. With the lock held. */
static void leases_reclaim(cf_connection *c, bool all) {
  for (uint64_t left = c->returning; left != 0; left &= left - 1) {
    cf_frame *frame = &c->frames[__builtin_ctzll(left)];
    bool back = all || (cf_flag_get(&frame->uses) > 0 ? cf_uses_done(&c->uses, frame->lease, cf_flag_get(&frame->uses))
                                                      : cf_seat_released(c->seat, frame->lease, frame->seq));
    if (!back)
      continue;
    c->returning &= ~(UINT64_C(1) << frame->lease);
    lease_return(c, frame);
  }
}

bool cf_connection_has_lease(cf_connection *c) {
  cf_lock_take(&c->lock);
  if (c->returning)
    leases_reclaim(c, false);
  bool has = c->free_leases != 0;
  cf_lock_give(&c->lock);
  return has;
}

uint32_t cf_connection_next_lease(cf_connection *c) {
  cf_lock_take(&c->lock);
  uint64_t free = c->free_leases;
  cf_lock_give(&c->lock);
  return free ? (uint32_t)__builtin_ctzll(free) : CF_LEASES_MAX;
}

bool cf_connection_is_returning(cf_connection *c) {
  cf_lock_take(&c->lock);
  bool is = c->returning != 0;
  cf_lock_give(&c->lock);
  return is;
}

/* ---- lost with the publisher ---- */

static bool in_use(const cf_frame *frame) {
  return frame->state == CF_FRAME_LEASED || frame->state == CF_FRAME_RETURNING;
}

/* A stream waits for it, as far as we know. With the lock held. */
static bool is_awaited(const cf_connection *c, const cf_frame *frame) {
  return in_use(frame) && frame->fenced && !frame->lost && !cf_waiter_is_ready(&c->waiter, frame->slot, frame->seq);
}

/* Before its fence is signaled: whoever gets through it can know. With the lock held. */
static void frame_lose(cf_connection *c, cf_frame *frame) {
  frame->lost = true;
  cf_counter_add(&c->lost, 1);
}

/* Marks what is LOST. */
static void frames_lose(cf_connection *c) {
  cf_lock_take(&c->lock); /* a frame is fenced under it only while the connection is not gone */
  for (uint32_t k = 0; k < c->leases; k++)
    if (is_awaited(c, &c->frames[k]))
      frame_lose(c, &c->frames[k]);
  cf_lock_give(&c->lock);
}

bool cf_connection_lose(cf_connection *c) {
  (void)cf_connection_move(c, CF_GONE);
  if (!c->waiter.gpu)
    return false;
  frames_lose(c); /* before any fence is signaled */
  return cf_waiter_streams_wait(&c->waiter);
}

void cf_connection_abandon(cf_connection *c) {
  if (c->waiter.gpu)
    cf_waiter_signal(&c->waiter);
  (void)cf_connection_move(c, CF_ABANDONED);
}

/* Loses and abandons, and waits in between if it must. */
static void lose_and_abandon(cf_connection *c) {
  if (cf_connection_lose(c)) /* then its GPU work has ended, or is waited for no longer */
    (void)cf_poll_until(c->waiter.pidfd, POLLIN, cf_now() + cf_waiter_death_ns(&c->waiter));
  cf_connection_abandon(c);
}

/* Whether a stream may wait for a fence that is still to be signaled, also of a frame that is LOST or given back. */
static bool stream_waits(cf_connection *c) {
  cf_lock_take(&c->lock);
  const enum cf_life life = cf_connection_life(c);
  const bool waits = (life == CF_LIVE || life == CF_GONE) && cf_waiter_streams_wait(&c->waiter);
  cf_lock_give(&c->lock);
  return waits;
}

/* Nobody takes frames from it any more: to DRAINED; what streams were to give back is waited for. */
static void connection_drain(void *connection) {
  cf_connection *c = connection;
  struct pollfd end = { .fd = c->fd, .events = POLLRDHUP };
  if (c->waiter.gpu) /* nobody watches the publisher any more: as long as a stream waits for it, we do */
    for (int64_t began = cf_now(); stream_waits(c); cf_wait_turn(began, CF_NEVER))
      if (poll(&end, 1, 0) != 0 || cf_connection_gone(c))
        lose_and_abandon(c);
  cf_lock_take(&c->lock);
  (void)cf_connection_move(c, CF_DRAINED);
  if (c->is_unmapped) { /* or the publisher would wait for a frame that nobody can give back */
    cf_reader_release(c->seat, c->unmapped_lease);
    c->free_leases |= UINT64_C(1) << c->unmapped_lease;
    c->is_unmapped = false;
  }
  if (c->returning != 0) {
    cf_lock_give(&c->lock);
    bool lost = cf_waiter_settle(&c->waiter); /* nothing of it runs any more, and nothing writes counters */
    cf_lock_take(&c->lock);
    leases_reclaim(c, lost);
  }
  c->references--;
  cf_connection_unlock(c);
}

void cf_connection_end(cf_connection *c) {
  if (c->waiter.gpu)
    cf_handles_run(c->handles, connection_drain, c);
  else
    connection_drain(c);
}

static int lease_wait(cf_frame *frame, int64_t deadline) {
  cf_connection *c = frame->owner;
  for (int64_t began = cf_now();; cf_wait_turn(began, deadline)) {
    bool gone = cf_connection_gone(c); /* before the look: it may have been completed at the last moment */
    cf_lock_take(&c->lock);
    bool lost = frame->lost, complete = !lost && cf_waiter_is_ready(&c->waiter, frame->slot, frame->seq);
    if (gone && !lost && !complete) /* whoever asks next is to hear the same, also before cf_connection_abandon() */
      frame_lose(c, frame);
    cf_lock_give(&c->lock);
    if (complete)
      return CUFRAMES_OK;
    if (lost || gone)
      return cf_fail(CUFRAMES_ERR_LOST, "frame %llu was never completed: its publisher died",
                     (unsigned long long)frame->seq);
    if (cf_now() >= deadline)
      return cf_fail(CUFRAMES_ERR_TIMEOUT, "the GPU has not completed frame %llu", (unsigned long long)frame->seq);
  }
}

/* ---- giving back ---- */

__attribute__((hot)) void cf_connection_put_back(cf_frame *frame) {
  cf_connection *c = frame->owner;
  cf_lock_take(&c->lock);
  lease_return(c, frame);
  if (cf_flag_get(&c->release_awaited))
    cf_connection_announce_release(c);
  if (c->references == 0)
    cf_connection_unlock(c); /* perhaps with its end */
  else
    cf_lock_give(&c->lock);
}

/* Streams still use it: it comes back when they have come so far. */
static void return_later(cf_connection *c, cf_frame *frame) {
  cf_lock_take(&c->lock);
  frame->state = CF_FRAME_RETURNING;
  c->returning |= UINT64_C(1) << frame->lease;
  if (cf_flag_get(&c->release_awaited))
    cf_connection_announce_release(c);
  bool drained = cf_connection_life(c) == CF_DRAINED;
  c->references += drained;
  cf_lock_give(&c->lock); /* it may be gone from here on */
  if (drained)            /* nobody else will look for it */
    cf_connection_end(c);
}

__attribute__((hot)) static void lease_end(cf_frame *frame) {
  cf_connection *c = frame->owner;
  if (cf_flag_get(&frame->uses) > 0 && !cf_uses_done(&c->uses, frame->lease, cf_flag_get(&frame->uses)))
    return_later(c, frame);
  else
    cf_connection_put_back(frame);
}

static int lease_end_on(cf_frame *frame, void *stream) {
  cf_connection *c = frame->owner;
  /* without the lock: the driver may wait for room on the stream, and so for a fence */
  int result = cf_waiter_release_on(&c->waiter, frame->lease, frame->seq, stream);
  if (result != CUFRAMES_OK)
    return result;
  (void)cf_handle_end(frame->handle); /* the last */
  return_later(c, frame);
  return CUFRAMES_OK;
}

static int lease_used_on(cf_frame *frame, void *stream) {
  cf_connection *c = frame->owner;
  return cf_uses_add(&c->uses, frame->lease, &frame->uses, stream);
}

static void lease_complain(cf_frame *frame) {
  cf_connection *c = frame->owner;
  cf_lock_take(&c->lock);
  cf_logger logger = c->logger;
  cf_lock_give(&c->lock);
  cf_log(&logger, CUFRAMES_LOG_WARNING, "a thread waits for a stream that uses a frame: %s", cf_last_detail());
}

static void lease_identify(const cf_frame *frame, cuframes_frame_id *id) {
  const cf_connection *c = frame->owner;
  memcpy(id->stream, c->name, sizeof id->stream);
  id->instance = c->instance;
}

static const cf_frame_ops lease_ops = { .wait = lease_wait,
                                        .used_on = lease_used_on,
                                        .end = lease_end,
                                        .end_on = lease_end_on,
                                        .identify = lease_identify,
                                        .forget = cf_connection_forget_frame,
                                        .complain = lease_complain };

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
  return cf_fail(CUFRAMES_ERR_PROTOCOL, "invalid control page from the publisher");
}

/* Every lease is in hand. But who has nothing more to expect should hear that. */
static int hands_full(cf_connection *c, bool gone, bool returning) {
  enum cf_take next = cf_reader_peek(&c->reader);
  if (next == CF_TAKE_EVICTED || next == CF_TAKE_ENDED || (next == CF_TAKE_NONE && gone))
    return take_error(next == CF_TAKE_NONE ? CF_TAKE_ENDED : next);
  if (!returning)
    return cf_fail(CUFRAMES_ERR_LEASE_LIMIT,
                   "all %u frames that this subscriber may hold are in hand: release one, or ask for more leases",
                   c->leases);
  if (c->device->ops->is_lost(c->device))
    return cf_fail(CUFRAMES_ERR_DEVICE, "the GPU of this process failed, and gives no frame back");
  return next == CF_TAKE_NONE ? take_error(next) : CUFRAMES_ERR_BUSY;
}

/* What the publisher says of a frame lies within what is mapped. */
static int taken_check(const cf_connection *c, const cf_taken *taken, const cf_view *view) {
  if (taken->offset > view->memory.bytes || view->memory.bytes - taken->offset < view->frame_bytes)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's frame lies outside its segment");
  if (taken->side_bytes == 0)
    return CUFRAMES_OK;
  if (!view->side || taken->side_offset % CF_SIDE_ALIGN != 0 || taken->side_offset > view->side_bytes ||
      view->side_bytes - taken->side_offset < taken->side_bytes)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the side data of the publisher's frame lie outside their memory");
  if (taken->side_bytes > c->reader.side_data_max)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's frame has %u bytes of side data, and its limit is %u",
                   taken->side_bytes, c->reader.side_data_max);
  return CUFRAMES_OK;
}

/* What becomes of a lease whose frame cannot be handed out: it waits for the next call, or goes back. The thread that
 * takes packets may have ended the connection meanwhile, and then nobody asks for it. With the lock held. */
static void lease_leave(cf_connection *c, uint32_t k, const cf_taken *taken, bool kept) {
  c->is_unmapped = kept && cf_connection_life(c) != CF_DRAINED;
  c->unmapped_lease = k;
  c->unmapped = *taken;
  if (c->is_unmapped)
    return;
  cf_reader_release(c->seat, k);
  c->free_leases |= UINT64_C(1) << k;
}

/* Step 3: what is in hand now. With the lock held, since the watcher looks at frames; the view counts it already. */
__attribute__((hot)) static int frame_describe(cf_connection *c, uint32_t k, const cf_taken *taken, cf_view *view,
                                               cf_frame **described) {
  cf_frame *frame = &c->frames[k];
  int result = taken_check(c, taken, view);
  if (result != CUFRAMES_OK) {
    view->frames--;
    lease_leave(c, k, taken, c->reader.ordered);
    return result;
  }
  *frame = (cf_frame){ .state = CF_FRAME_LEASED,
                       .ops = &lease_ops,
                       .owner = c,
                       .device = c->device,
                       .base = (uint8_t *)view->memory.address + taken->offset,
                       .format = &view->format,
                       .segment = view,
                       .slot = taken->slot,
                       .lease = k,
                       .offset = taken->offset,
                       .epoch = taken->epoch,
                       .seq = taken->seq,
                       .pts = taken->pts,
                       .duration = taken->duration,
                       .timestamp = taken->timestamp,
                       .capture_time = taken->capture_time,
                       .flags = taken->flags & (CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT),
                       .side = taken->side_bytes > 0 ? (uint8_t *)view->side + taken->side_offset : NULL,
                       .side_bytes = taken->side_bytes };
  *described = frame;
  return CUFRAMES_OK;
}

/* Step 2: a lease on the next frame, and step 3 at once if its segment is mapped; else *frame is NULL. gone: the
 * connection was, before. */
static int lease_next(cf_connection *c, bool gone, uint32_t *lease, cf_taken *taken, cf_frame **frame) {
  bool must_wake = false;
  int result = CUFRAMES_OK;
  cf_lock_take(&c->lock); /* once: who spins for a frame feels each turn */
  if (c->returning)
    leases_reclaim(c, false);
  uint64_t free = c->free_leases;
  bool returning = c->returning != 0;
  uint32_t k = free ? (uint32_t)__builtin_ctzll(free) : 0;
  enum cf_take take = free ? cf_reader_take(&c->reader, k, taken, &must_wake) : CF_TAKE_NONE;
  *frame = NULL;
  if (take == CF_TAKE_OK) {
    cf_view *view = c->views;
    c->free_leases &= free - 1;
    while (view && view->segment != taken->segment)
      view = view->next;
    if (view) {
      view->frames++;
      result = frame_describe(c, k, taken, view, frame);
    }
  }
  cf_lock_give(&c->lock);
  if (!free)
    return hands_full(c, gone, returning);
  if (take != CF_TAKE_OK)
    return take_error(take);
  if (must_wake)
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
  *lease = k;
  return result;
}

/* The publisher has not answered yet, or this process lacks something just now. */
static bool may_map_later(int error) {
  return error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_NO_MEMORY || error == CUFRAMES_ERR_SYSTEM;
}

/* One may be interrupted while one waits for an answer: it is waited for in turns. */
static int64_t turn_deadline(cf_take_how *how) {
  int64_t deadline = cf_take_deadline(how), soon = cf_now() + 10 * CF_MS;
  return soon < deadline ? soon : deadline;
}

/* Steps 1 and 3 for a frame that was leased before its segment was mapped. */
static int frame_map(cf_connection *c, cf_take_how *how, uint32_t k, const cf_taken *taken, cf_frame **frame) {
  cf_view *view;
  int result = cf_view_hold(c, taken->segment, turn_deadline(how), &view);
  if (result == CUFRAMES_ERR_STALE && c->reader.ordered) /* else it would be looked for again at once */
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher gave up segment %u while a frame in it was leased",
                     taken->segment);
  cf_lock_take(&c->lock);
  const bool drained = cf_connection_life(c) == CF_DRAINED; /* by the thread that takes packets */
  if (result == CUFRAMES_OK && drained)
    view->frames--;
  if (result != CUFRAMES_OK || drained) {
    lease_leave(c, k, taken, may_map_later(result) || c->reader.ordered);
  } else {
    c->is_unmapped = false;
    result = frame_describe(c, k, taken, view, frame);
  }
  cf_lock_give(&c->lock); /* the caller has a reference */
  return drained ? cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher is gone") : result;
}

/* The same for one that an earlier call has left. */
static int frame_map_left(cf_connection *c, cf_take_how *how, cf_frame **frame) {
  cf_taken taken = c->unmapped;
  return frame_map(c, how, c->unmapped_lease, &taken, frame);
}

/* Steps 1 to 3: the next frame, complete or not. */
static int frame_lease(cf_connection *c, cf_take_how *how, bool gone, cf_frame **frame) {
  if (c->is_unmapped)
    return frame_map_left(c, how, frame);
  cf_taken taken; /* to clear all of it would cost 2 ns: what checks look at is enough */
  taken.offset = taken.segment = taken.slot = taken.side_bytes = 0;
  uint32_t k = 0, floor, top;
  int result = CUFRAMES_OK;
  top = cf_reader_segments(&c->reader, &floor);
  if (top != c->segments_known || floor != c->floor_known)
    result = cf_views_look_ahead(c, turn_deadline(how));
  if (result == CUFRAMES_OK)
    result = lease_next(c, gone, &k, &taken, frame);
  if (result == CUFRAMES_OK && !*frame)
    result = frame_map(c, how, k, &taken, frame);
  return result;
}

/* The event of a frame's slot, NULL if there is none. */
static void *event_of(const cf_frame *frame) {
  const cf_view *view = frame->segment;
  uint64_t index = view->event_count > 0 ? frame->offset / view->stride : 0;
  return index < view->event_count ? view->events[index] : NULL;
}

/* Lets the stream wait for a frame. BUSY: this frame's the CPU must wait for; or an error of the device. */
static int stream_wait(cf_connection *c, cf_frame *frame, void *stream) {
  void *event = c->waiter.sync_mode == CUFRAMES_SYNC_TIMELINE ? NULL : event_of(frame);
  if (!cf_waiter_can_wait_on(&c->waiter, frame->seq, event))
    return CUFRAMES_ERR_BUSY;
  cf_lock_take(&c->lock);
  /* pairs with cf_connection_abandon: it signals the fence of what is fenced by then */
  bool gone = cf_connection_gone(c);
  frame->fenced = !gone;
  if (!gone)
    cf_waiter_note(&c->waiter, frame->slot, frame->seq); /* also when the frame is given back before it is complete */
  cf_lock_give(&c->lock);
  if (gone)
    return CUFRAMES_ERR_BUSY; /* and then its end is seen */
  return cf_waiter_wait_on(&c->waiter, frame->slot, frame->seq, event, stream);
}

/* Step 4: the frame is complete, or the stream waits for it. BUSY: not yet. */
static int frame_wait(cf_connection *c, cf_frame *frame, const cf_take_how *how) {
  bool gone = cf_flag_get(&c->life) != CF_LIVE || cf_reader_ended(&c->reader); /* before the look, as ever */
  if (cf_reader_complete(&c->reader, frame->slot, frame->seq))
    return CUFRAMES_OK;
  int result = how->on_stream && c->waiter.sync_mode != CUFRAMES_SYNC_COMPLETE ? stream_wait(c, frame, how->stream)
                                                                               : CUFRAMES_ERR_BUSY;
  if (result == CUFRAMES_ERR_BUSY && gone)
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher ended before its last picture was complete");
  return result;
}

/* A frame in hand that is not handed out: gives it if the next call is to begin with it; else it goes back. */
static cf_frame *frame_leave(const cf_connection *c, cf_frame *frame, int result) {
  if (result == CUFRAMES_ERR_BUSY || c->reader.ordered)
    return frame;
  cf_connection_put_back(frame);
  return NULL;
}

/* All four steps. frame NULL, of a GPU: none is handed out, BUSY, and it becomes *pending. The one of them with more
 * than one caller: the compiler makes one function of it and all that it calls, and next() pays for that (bench/costs).
 */
__attribute__((hot)) static int take(cf_connection *c, cf_take_how *how, bool gone, cf_frame **pending,
                                     cf_frame **frame) {
  cf_frame *f = *pending;
  int result = f ? CUFRAMES_OK : frame_lease(c, how, gone, &f);
  if (!f)
    return result;
  result = !c->waiter.gpu ? CUFRAMES_OK : frame ? frame_wait(c, f, how) : CUFRAMES_ERR_BUSY;
  if (result == CUFRAMES_OK && !cf_handle_open(c->handles, f))
    result = cf_fail(CUFRAMES_ERR_LEASE_LIMIT, "too many frames are in hand: release some");
  if (result == CUFRAMES_OK)
    *frame = f;
  *pending = result == CUFRAMES_OK ? NULL : frame_leave(c, f, result);
  return result;
}

__attribute__((hot)) int cf_connection_take(cf_connection *c, cf_take_how *how, bool gone, cf_frame **pending,
                                            cf_frame **frame) {
  bool began;
  if (!how->on_stream || !c->waiter.gpu)
    return take(c, how, gone, pending, frame);
  int result = c->device->ops->stream_begin(c->device, how->stream, &began);
  if (result != CUFRAMES_OK)
    return result;
  result = take(c, how, gone, pending, frame);
  c->device->ops->stream_end(c->device, began);
  return result;
}

/* ---- looking, for a batch ---- */

/* What taking a frame would say, that needs no waiting and whose segment is mapped. */
static int peek(cf_connection *c, bool gone) {
  bool has = cf_connection_has_lease(c);
  if (!has)
    return hands_full(c, gone, cf_connection_is_returning(c));
  enum cf_take take = cf_reader_peek(&c->reader);
  return take == CF_TAKE_NONE ? CUFRAMES_ERR_TIMEOUT : take == CF_TAKE_OK ? CUFRAMES_OK : take_error(take);
}

/* Whether a leased frame may be handed out so. BUSY: not yet. */
static int frame_look(cf_connection *c, const cf_frame *frame, const cf_take_how *how) {
  bool gone = cf_flag_get(&c->life) != CF_LIVE || cf_reader_ended(&c->reader); /* before the look */
  if (cf_waiter_is_ready(&c->waiter, frame->slot, frame->seq))
    return CUFRAMES_OK;
  if (gone)
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher ended before its last picture was complete");
  void *event = c->waiter.sync_mode == CUFRAMES_SYNC_TIMELINE ? NULL : event_of(frame);
  bool stream_can = how->on_stream && c->waiter.sync_mode != CUFRAMES_SYNC_COMPLETE &&
                    cf_waiter_can_wait_on(&c->waiter, frame->seq, event);
  return stream_can ? CUFRAMES_OK : CUFRAMES_ERR_BUSY;
}

/* A GPU's frame that the CPU must wait for: leased, and nothing more. */
static int frame_take_to_look_at(cf_connection *c, cf_take_how *how, bool gone, cf_frame **pending) {
  int result = take(c, how, gone, pending, NULL);
  return *pending ? CUFRAMES_OK : result;
}

int cf_connection_look(cf_connection *c, cf_take_how *how, bool gone, cf_frame **pending) {
  bool cpu_waits = c->waiter.gpu && !(how->on_stream && c->waiter.sync_mode != CUFRAMES_SYNC_COMPLETE);
  if (!*pending && !cpu_waits && !c->is_unmapped)
    return peek(c, gone);
  int result = CUFRAMES_OK;
  if (!*pending)
    result = c->is_unmapped ? frame_map_left(c, how, pending) : frame_take_to_look_at(c, how, gone, pending);
  if (result != CUFRAMES_OK || !*pending)
    return result;
  result = frame_look(c, *pending, how);
  if (result != CUFRAMES_OK)
    *pending = frame_leave(c, *pending, result);
  return result;
}

static int take_newest(cf_connection *c, cf_take_how *how, bool gone, cf_frame **pending, cf_frame **frame) {
  cf_frame *older = *pending, *newer = NULL;
  if (!older || c->reader.ordered || c->is_unmapped || cf_reader_peek(&c->reader) != CF_TAKE_OK)
    return take(c, how, gone, pending, frame);
  int result = take(c, how, gone, &newer, frame);
  if (result == CUFRAMES_OK) {
    cf_connection_put_back(older);
    c->reader.skipped++;
    *pending = NULL;
    return CUFRAMES_OK;
  }
  result = take(c, how, gone, &older, frame); /* whatever kept the newer one from us */
  *pending = newer ? newer : older;
  if (newer && older) { /* neither: that was not to be expected, and the newer one is waited for */
    cf_connection_put_back(older);
    c->reader.skipped++;
  }
  return result;
}

/* By take(), since cf_connection_take() is next()'s alone, and the compiler makes one function of both. */
int cf_connection_take_newest(cf_connection *c, cf_take_how *how, bool gone, cf_frame **pending, cf_frame **frame) {
  bool began;
  if (!how->on_stream || !c->waiter.gpu)
    return take_newest(c, how, gone, pending, frame);
  int result = c->device->ops->stream_begin(c->device, how->stream, &began);
  if (result != CUFRAMES_OK)
    return result;
  result = take_newest(c, how, gone, pending, frame);
  c->device->ops->stream_end(c->device, began);
  return result;
}
