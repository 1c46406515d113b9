/* publisher/frames.c - frames of a publisher: a slot to write into, published to everybody, by the GPU's streams where
 * the device has some; and references that are kept.
 *
 * A frame in hand is one of p->frames, or the one of a registered buffer (external.c). Its state changes under the
 * frame lock. Its last reference may end on any thread, which only notes that; frame_settle() does the rest.
 */
#include <inttypes.h>
#include <string.h>

#include "api/options.h"
#include "exchange/side_data.h"
#include "os/clock.h"
#include "os/container.h"
#include "os/error.h"
#include "os/thread.h"
#include "publisher/publisher.h"

#define CACHE_LINE 64u

/* ---- the device ---- */

/* The device is lost for good: nothing that was handed to it will be complete. */
static int device_failed(cuframes_publisher *p) {
  return cf_fail(CUFRAMES_ERR_DEVICE,
                 "the GPU of this process failed, and the stream \"%s\" has ended: publish it "
                 "again from a new process",
                 p->name);
}

void cf_publisher_look_at_device(cuframes_publisher *p) {
  if (!p->completer.gpu || !p->device->ops->is_lost(p->device) || cf_flag_swap(&p->failed, 1))
    return;
  cf_log(&p->logger, CUFRAMES_LOG_ERROR, "%s: the GPU failed (%s); the stream ends", p->name, cf_last_detail());
  cf_publisher_end_stream(p);
  cf_doorbell_ring(p->service.doorbell); /* it hangs up */
}

/* ---- references ---- */

/* With the frame lock held: nobody uses a frame any more that is not open. */
static bool is_unused(cuframes_publisher *p, cf_frame *f) {
  /* the registration of a buffer holds one reference itself */
  bool referred = f->registered ? cf_flag_get(&f->handle->references) > 1 : !cf_flag_get(&f->released);
  return !referred && (cf_uses_done(&p->uses, f->lease, cf_flag_get(&f->uses)) || cf_flag_get(&p->failed));
}

static void slot_cancel(cuframes_publisher *p, cf_frame *f) {
  ((cf_segment *)f->segment)->cancelled = true;
  cf_writer_cancel(&p->writer, f->slot);
}

/* With the frame lock held: what is left to do for a frame whose last reference ended. */
static void frame_settle(cuframes_publisher *p, cf_frame *f) {
  if (f->state == CF_FRAME_FREE || (f->registered && f->state == CF_FRAME_OPEN) || !is_unused(p, f))
    return;
  cf_flag_set(&f->uses, 0);
  if (f->state == CF_FRAME_PUBLISHED)
    cf_writer_keep(&p->writer, f->slot, false);
  else
    slot_cancel(p, f);
  f->state = CF_FRAME_FREE;
  if (f->keeps) /* never the last: whoever holds the lock has one */
    (void)cf_flag_add(&p->references, -1);
  f->keeps = false;
}

static void registered_settle(void *user, cf_segment *segment) {
  cuframes_publisher *p = user;
  cf_frame *f = &segment->frame;
  if (!f->handle)
    return;
  if (f->state == CF_FRAME_FREE && !segment->emptied && cf_flag_get(&f->uses) > 0) { /* used_on() after publish() */
    f->state = CF_FRAME_PUBLISHED;
    cf_writer_keep(&p->writer, f->slot, true);
  }
  frame_settle(p, f);
}

void cf_publisher_settle_frames(cuframes_publisher *p) {
  for (uint32_t i = 0; i < p->max_open; i++)
    frame_settle(p, &p->frames[i]);
  if (p->pool.external)
    cf_pool_visit_registered(&p->pool, registered_settle, p);
}

static int frame_used_on(cf_frame *frame, void *stream) {
  cuframes_publisher *p = frame->owner;
  if (frame->registered && cf_pool_is_emptied(&p->pool, frame->segment))
    return CUFRAMES_OK; /* it will not be written again */
  return cf_uses_add(&p->uses, frame->lease, &frame->uses, stream);
}

/* The frame is settled by the next call that needs one; when there will be no such call, now. */
static void frame_end(cf_frame *frame) {
  cuframes_publisher *p = frame->owner;
  if (frame->registered) { /* the reference is its registration's, which only unregister ends */
    cf_handle_ended_too_often(frame->handle);
    return;
  }
  cf_publisher_hold(p); /* the frame's may be gone as soon as its end is noted */
  cf_flag_set(&frame->released, 1);
  if (cf_flag_get(&p->destroyed)) /* pairs with cuframes_publisher_destroy, which notes that and then looks */
    cf_publisher_end_frames(p);
  cf_publisher_drop(p);
}

static void frame_look(cf_frame *frame) {
  cf_publisher_look_at_device(frame->owner);
}

static void frame_complain(cf_frame *frame) {
  cuframes_publisher *p = frame->owner;
  if (!cf_flag_get(&p->destroyed))
    cf_log(&p->logger, CUFRAMES_LOG_WARNING, "%s: a thread waits for a stream that uses a frame: %s", p->name,
           cf_last_detail());
}

static void frame_identify(const cf_frame *frame, cuframes_frame_id *id) {
  const cuframes_publisher *p = frame->owner;
  memcpy(id->stream, p->name, sizeof id->stream);
  id->instance = p->instance;
}

const cf_frame_ops cf_publisher_frame_ops = {
  .used_on = frame_used_on,
  .end = frame_end,
  .identify = frame_identify,
  .forget = cf_publisher_forget_frame,
  .look = frame_look,
  .complain = frame_complain,
};

/* The caller's reference to an open frame ends, or the one of the registration. */
static void frame_abandon(cf_frame *f) {
  cf_flag_set(&f->uses, 0); /* they are done */
  if (f->state != CF_FRAME_OPEN && !f->registered)
    return;
  f->state = f->state == CF_FRAME_OPEN ? CF_FRAME_CANCELLED : CF_FRAME_PUBLISHED;
  f->registered = false;
  if (cf_handle_end(f->handle))
    cf_flag_set(&f->released, 1);
}

static void registered_abandon(void *user, cf_segment *segment) {
  (void)user;
  if (segment->frame.handle)
    frame_abandon(&segment->frame);
}

/* What is still referred to keeps the publisher's memory from now on. */
static void frame_keep(cuframes_publisher *p, cf_frame *f) {
  if (f->state == CF_FRAME_FREE || f->keeps)
    return;
  f->keeps = true;
  cf_publisher_hold(p);
}

static void registered_keep(void *user, cf_segment *segment) {
  if (segment->frame.handle)
    frame_keep(user, &segment->frame);
}

void cf_publisher_end_frames(cuframes_publisher *p) {
  cf_completer_quiesce(&p->completer);
  cf_lock_take(&p->frame_lock);
  for (uint32_t i = 0; i < p->max_open; i++)
    frame_abandon(&p->frames[i]);
  if (p->pool.external)
    cf_pool_visit_registered(&p->pool, registered_abandon, p);
  cf_publisher_settle_frames(p);
  for (uint32_t i = 0; i < p->max_open; i++)
    frame_keep(p, &p->frames[i]);
  if (p->pool.external)
    cf_pool_visit_registered(&p->pool, registered_keep, p);
  cf_lock_give(&p->frame_lock);
}

/* ---- acquire ---- */

static cf_frame *frame_free(cuframes_publisher *p) {
  for (uint32_t i = 0; i < p->max_open; i++) {
    cf_frame *f = &p->frames[i];
    if (f->state != CF_FRAME_FREE)
      frame_settle(p, f);
    if (f->state == CF_FRAME_FREE)
      return f;
  }
  return NULL;
}

/* Where the side data of a slot lie. */
static uint8_t *side_data_of(const cuframes_publisher *p, const cf_frame *f) {
  const cf_segment *segment = f->segment;
  uint64_t index = f->offset / segment->run.stride;
  return (uint8_t *)segment->side + index * cf_side_data_stride(p->pool.side_data_max);
}

__attribute__((hot)) void cf_publisher_open_frame(cuframes_publisher *p, cf_frame *f, uint32_t slot) {
  f->state = CF_FRAME_OPEN;
  f->slot = slot;
  f->seq = 0;
  f->pts = CUFRAMES_NO_TIME;
  f->duration = f->timestamp = f->capture_time = 0;
  f->flags = 0;
  f->side_bytes = 0;
  f->side_room = p->pool.side_data_max;
  if (f->side_room > 0)
    f->side = side_data_of(p, f);
  if (p->completer.gpu && cf_flag_get(&p->waker.woken) > CF_WAKE_DIRECT)
    cf_waker_announce(p);
}

/* Whether the publisher itself has frames, open or kept. */
static bool holds_frames(const cuframes_publisher *p) {
  for (uint32_t i = 0; i < p->max_open; i++)
    if (p->frames[i].state != CF_FRAME_FREE)
      return true;
  return false;
}

/* Slots are waited for where the publisher holds some itself, as long as more may come, and for ordered subscribers,
 * which are to get every frame. */
static bool must_wait(const cuframes_publisher *p) {
  bool ordered = p->policy == CUFRAMES_POLICY_WAIT && cf_writer_has_ordered(&p->writer);
  return ordered || (!cf_flag_get(&p->growth.failed) && holds_frames(p));
}

/* None, since who waited for one was interrupted. */
#define GIVEN_UP (CF_NO_SLOT - 1)

/* None was free: one that comes in time, or none. */
static uint32_t slot_wait(cuframes_publisher *p) {
  uint32_t slot = CF_NO_SLOT;
  cf_limit limit = cf_limit_begin(p->ordered_timeout_ns);
  int64_t ask_at = 0;
  while (slot == CF_NO_SLOT && must_wait(p) && !cf_limit_over(&limit)) {
    const int64_t now = cf_now();
    if (now >= ask_at || cf_flag_get(&p->interruptions) != cf_flag_get(&p->interruptions_seen[CF_WAIT_FRAMES])) {
      if (cf_publisher_check_interrupt(p, CF_WAIT_FRAMES) != CUFRAMES_OK)
        return GIVEN_UP;
      ask_at = cf_interrupt_until(&p->interrupt, CF_NEVER);
    }
    cf_growth_wait(p, cf_limit_slice(&limit));
    slot = cf_writer_acquire(&p->writer);
    if (slot == CF_NO_SLOT)
      cf_growth_ask(p);
  }
  return slot;
}

/* A free slot; more are asked for when few are left. */
static uint32_t slot_find(cuframes_publisher *p) {
  uint32_t slot = cf_writer_acquire(&p->writer);
  if (p->writer.free.count < CF_SPARE_SLOTS)
    cf_growth_ask(p);
  if (slot == CF_NO_SLOT) /* nearly always there is one: no look at the clock */
    slot = slot_wait(p);
  if (cf_writer_has_changed(&p->writer))
    cf_doorbell_ring(p->service.doorbell); /* for cf_pool_reap() */
  return slot;
}

static int no_slot(cuframes_publisher *p, uint32_t slot) {
  if (slot == GIVEN_UP)
    return CUFRAMES_ERR_INTERRUPTED;
  cf_counter_count(&p->dropped);
  cf_flag_set(&p->growth.starved, 1);
  return cf_fail(CUFRAMES_ERR_DROPPED, "the frame was dropped: every slot is in use, and new ones have not come yet");
}

static int slot_acquire(cuframes_publisher *p, cf_frame *f) {
  uint64_t offset;
  uint32_t slot = slot_find(p);
  if (slot >= GIVEN_UP)
    return no_slot(p, slot);
  cf_segment *segment = CF_CONTAINER_OF(cf_writer_slot(&p->writer, slot, &offset), cf_segment, run);
  int result = p->completer.many_streams ? cf_completer_wait_for_writers(&p->completer, slot) : CUFRAMES_OK;
  if (result == CUFRAMES_OK && !cf_handle_open(p->handles, f))
    result = cf_fail(CUFRAMES_ERR_LEASE_LIMIT, "too many references to frames are in hand: release some");
  if (result != CUFRAMES_OK) {
    cf_writer_cancel(&p->writer, slot);
    return result;
  }
  f->segment = segment;
  f->base = (uint8_t *)segment->memory.address + offset;
  f->offset = offset;
  f->format = &segment->format;
  cf_flag_hand_over(&f->released, 0);
  cf_publisher_open_frame(p, f, slot);
  return CUFRAMES_OK;
}

/* With the frame lock held. */
static int frame_acquire(cuframes_publisher *p, cuframes_frame **frame) {
  if (p->pool.format.pixel_format == CUFRAMES_PIXEL_NONE) /* which only frame calls change */
    return cf_fail(CUFRAMES_ERR_FORMAT,
                   "the stream \"%s\" has no pictures: say their format with cuframes_publisher_set_format()", p->name);
  if (p->pool.external)
    return cf_publisher_acquire_registered(p, frame);
  cf_frame *f = frame_free(p);
  int result =
      f ? slot_acquire(p, f)
        : cf_fail(CUFRAMES_ERR_LEASE_LIMIT,
                  "%u frames are open already: publish, cancel or release one, or raise max_open", p->max_open);
  if (result == CUFRAMES_OK)
    *frame = f->handle;
  return result;
}

/* Between two frames of a camera the caches forget what a frame touches. Come upon one after the other, a hundred lines
 * of code and twenty of data take longer than what is done there; asked for at once they come together. */
static void fetch_ahead(const cuframes_publisher *p) {
  const char *own = (const char *)p, *frame = (const char *)p->frames; /* with one frame open it is the first */
  for (size_t at = 0; at < offsetof(cuframes_publisher, pool.lock); at += CACHE_LINE)
    __builtin_prefetch(own + at, 1);
  for (size_t at = offsetof(cuframes_publisher, code); at < offsetof(cuframes_publisher, writer.seats);
       at += CACHE_LINE)
    __builtin_prefetch(own + at, 1);
  for (size_t at = 0; at < p->code_bytes; at += CACHE_LINE)
    __builtin_prefetch(p->code + at, 0, 2); /* 2: not into the first level, which is of data */
  for (size_t at = 0; at < sizeof *p->frames; at += CACHE_LINE)
    __builtin_prefetch(frame + at, 1);
}

__attribute__((hot)) int cuframes_publisher_acquire(cuframes_publisher *p, cuframes_frame **frame) {
  if (!p || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_acquire: publisher and frame must be given");
  if (!cf_process_is(p->maker))
    return cf_publisher_check(p); /* which says why */
  if (cf_flag_get(&p->failed))
    return device_failed(p);
  if (p->completer.gpu)
    fetch_ahead(p);
  cf_lock_take(&p->frame_lock);
  if (p->completer.gpu)
    cf_writer_fetch(&p->writer); /* what it asks for depends on the frames so far: with the lock held */
  if (p->left_to_waker)
    cf_waker_help(p);
  int result = frame_acquire(p, frame);
  cf_lock_give(&p->frame_lock);
  return result;
}

/* ---- publish ---- */

static const char *label_of(const cf_writer_seat *seat) {
  return CF_CONTAINER_OF(seat, cf_peer, fenced.seat)->label;
}

/* Waits for room in one seat, or evicts it. INTERRUPTED: neither. */
static int seat_wait(cuframes_publisher *p, cf_writer_seat *full, cf_limit *limit) {
  uint32_t room;
  bool over = false;
  while (cf_writer_seat_full(&p->writer, full, &room) && !over) {
    int result = cf_publisher_check_interrupt(p, CF_WAIT_FRAMES);
    if (result != CUFRAMES_OK)
      return result;
    cf_publisher_sleep(p, CF_WAIT_FRAMES, (cf_futex_pair){ &full->page->room, room }, cf_limit_slice(limit));
    over = cf_limit_over(limit); /* a seat whose word never stands still is no reason to wait for ever */
  }
  if (!over || !cf_writer_seat_full(&p->writer, full, &room))
    return CUFRAMES_OK;
  cf_writer_evict(full);
  cf_counter_add(&p->evictions, 1);
  (void)cf_publisher_wake(p);
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING,
                 "%s: evicted subscriber \"%s\": %u frames waited for it for %" PRId64 " ms", p->name, label_of(full),
                 full->depth, p->ordered_timeout_ns / CF_MS);
  return CUFRAMES_OK;
}

/* Waits until every ordered subscriber has room, or evicts it, or says DROPPED or INTERRUPTED. */
static int make_room(cuframes_publisher *p) {
  cf_limit limit = { 0 };
  for (cf_writer_seat *full; (full = cf_writer_enter_full(&p->writer)) != NULL; cf_writer_leave(&p->writer)) {
    if (p->policy == CUFRAMES_POLICY_DROP) {
      cf_counter_count(&p->dropped);
      cf_fail(CUFRAMES_ERR_DROPPED, "the frame was dropped: subscriber \"%s\" has %u frames waiting", label_of(full),
              full->depth);
      cf_writer_leave(&p->writer);
      return CUFRAMES_ERR_DROPPED;
    }
    if (limit.end == 0) {
      limit = cf_limit_begin(p->ordered_timeout_ns);
      cf_counter_add(&p->waits, 1);
    }
    const int result = seat_wait(p, full, &limit);
    if (result != CUFRAMES_OK) {
      cf_writer_leave(&p->writer);
      return result;
    }
  }
  return CUFRAMES_OK;
}

/* What is looked at once a second. */
static void second_end(cuframes_publisher *p, int64_t now) {
  uint64_t frames = cf_counter_get(&p->published);
  if (p->second_start != 0)
    cf_counter_set(&p->rate_micro,
                   (uint64_t)((double)(frames - p->second_frames) * 1e15 / (double)(now - p->second_start)));
  p->second_start = now;
  p->second_frames = frames;
  if (now >= p->growth.quiet_until)
    cf_growth_end_quiet(p, now);
}

static void wake(cuframes_publisher *p, uint32_t sleepers, int64_t now) {
  if (sleepers <= CF_WAKE_DIRECT || !cf_waker_takes(p, now))
    (void)cf_publisher_wake(p);
}

/* On a GPU: the stream completes the picture, or it is complete, and nothing older may be written for its slot. */
static int picture_complete(cuframes_publisher *p, const cf_frame *f, const cf_completion *completion) {
  if (!completion->on_stream)
    return cf_completer_wait_for_writers(&p->completer, f->slot);
  cf_segment *segment = f->segment;
  int result = cf_completer_submit(&p->completer, f->slot, &segment->events, f->offset / segment->run.stride,
                                   completion->stream);
  if (result != CUFRAMES_OK)
    cf_publisher_look_at_device(p);
  return result;
}

/* With the frame lock held. */
static int frame_publish(cuframes_publisher *p, cf_frame *f, const cf_completion *completion,
                         const cuframes_publish_info *info) {
  cuframes_publish_info i;
  int result = cf_options_take(&i, sizeof i, info, "cuframes_publish_info");
  if (result == CUFRAMES_OK && cf_flag_get(&p->failed))
    result = device_failed(p);
  if (result == CUFRAMES_OK && cf_writer_has_ordered(&p->writer))
    result = make_room(p);
  if (result == CUFRAMES_OK && p->completer.gpu)
    result = picture_complete(p, f, completion);
  if (result != CUFRAMES_OK)
    return result;
  f->flags = i.flags & (CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT);
  f->pts = info ? i.pts : CUFRAMES_NO_TIME;
  f->duration = i.duration;
  f->capture_time = i.capture_time;
  f->timestamp = cf_now();
  cf_frame_meta meta = { .flags = f->flags,
                         .pts = f->pts,
                         .duration = f->duration,
                         .timestamp = f->timestamp,
                         .capture_time = f->capture_time,
                         .side_bytes = f->side_bytes };
  if (f->side_bytes > 0)
    meta.side_offset = (uint32_t)(f->side - (uint8_t *)((cf_segment *)f->segment)->side);
  cf_counter_count(&p->published); /* first: what a reader says that it took is believed up to this number */
  const bool complete = !p->completer.gpu || !completion->on_stream;
  f->seq = cf_writer_publish(&p->writer, f->slot, &meta, complete);
  const bool waits = cf_flag_get(&p->waker.prewake) == CF_PREWAKE_ASKED && cf_waker_waits(p, f->timestamp);
  const uint32_t sleepers = waits ? 0 : cf_writer_sleepers(&p->writer);
  if (sleepers > 0)
    wake(p, sleepers, f->timestamp);
  /* behind head, pairs with device_look: it looks at the GPU from time to time until this frame is complete */
  if (!complete && cf_flag_get(&p->looked_after) == 0 && cf_flag_swap(&p->looked_after, 1) == 0)
    cf_doorbell_ring(p->service.doorbell);
  cf_counter_set(&p->newest_timestamp, (uint64_t)f->timestamp);
  if (f->timestamp - p->second_start >= CF_SECOND)
    second_end(p, f->timestamp);
  return CUFRAMES_OK;
}

/* With the frame lock held: the open frame of a handle, NULL if it is none of this publisher. */
static cf_frame *open_frame(cuframes_publisher *p, const cuframes_frame *frame) {
  cf_frame *f = cf_handle_frame(p->handles, frame);
  return f && f->state == CF_FRAME_OPEN ? f : NULL;
}

static int not_open(void) {
  return cf_fail(CUFRAMES_ERR_INVALID, "the frame is not an open frame of this publisher");
}

/* With the frame lock held: the caller's reference ends; a registered frame has a life of its own. */
__attribute__((hot)) static void frame_close(cuframes_publisher *p, cf_frame *f, bool published) {
  bool last = !f->registered && cf_handle_end(f->handle);
  if (published && last && cf_flag_get(&f->uses) == 0) { /* as nearly always */
    f->state = CF_FRAME_FREE;
    return;
  }
  f->state = published ? CF_FRAME_PUBLISHED : CF_FRAME_CANCELLED;
  if (published)
    cf_writer_keep(&p->writer, f->slot, true);
  if (last)
    cf_flag_set(&f->released, 1);
  frame_settle(p, f);
}

__attribute__((hot)) static int publish(cuframes_publisher *p, cuframes_frame *frame, const cf_completion *completion,
                                        const cuframes_publish_info *info) {
  if (!p || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_publish: publisher and frame must be given");
  if (!cf_process_is(p->maker))
    return cf_publisher_check(p);
  cf_lock_take(&p->frame_lock);
  cf_frame *f = open_frame(p, frame);
  int result = f ? frame_publish(p, f, completion, info) : not_open();
  if (f && result != CUFRAMES_ERR_INTERRUPTED)
    frame_close(p, f, result == CUFRAMES_OK);
  cf_lock_give(&p->frame_lock);
  return result;
}

__attribute__((hot)) int cuframes_publisher_publish(cuframes_publisher *p, cuframes_frame *frame,
                                                    const cuframes_publish_info *info) {
  return publish(p, frame, &(cf_completion){ .on_stream = false }, info);
}

__attribute__((hot)) int cuframes_publisher_publish_on(cuframes_publisher *p, cuframes_frame *frame, void *stream,
                                                       const cuframes_publish_info *info) {
  return publish(p, frame, &(cf_completion){ .on_stream = true, .stream = stream }, info);
}

int cuframes_publisher_cancel(cuframes_publisher *p, cuframes_frame *frame) {
  if (!frame)
    return CUFRAMES_OK;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_cancel: no publisher given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_lock_take(&p->frame_lock);
  cf_frame *f = open_frame(p, frame);
  if (f)
    frame_close(p, f, false);
  cf_lock_give(&p->frame_lock);
  return f ? CUFRAMES_OK : not_open();
}

/* ---- what has cooled down ---- */

#define CODE_TAIL 2048u /* of the function that lies last */
#define CODE_MOST 16384u

/* What is marked hot lies together, in an order that the compiler and the linker choose. Where it does not (another
 * linker), nothing is asked for. */
void cf_publisher_find_code(cuframes_publisher *p) {
  const cf_device_ops *ops = p->device->ops;
  const uintptr_t parts[] = { (uintptr_t)publish,         (uintptr_t)cuframes_publisher_publish_on,
                              (uintptr_t)cf_handle_open,  (uintptr_t)cuframes_frame_copy_from_device,
                              (uintptr_t)cf_futex_wake,   (uintptr_t)cf_writer_acquire,
                              (uintptr_t)ops->copy_on,    (uintptr_t)ops->stream_begin,
                              (uintptr_t)ops->stream_end, (uintptr_t)ops->counters_write };
  uintptr_t first = parts[0], last = parts[0];
  for (size_t i = 1; i < sizeof parts / sizeof parts[0]; i++) {
    first = parts[i] < first ? parts[i] : first;
    last = parts[i] > last ? parts[i] : last;
  }
  first -= first % CACHE_LINE;
  if (!p->device->has_streams || last - first > CODE_MOST - CODE_TAIL)
    return;
  p->code = (const char *)first;
  p->code_bytes = last + CODE_TAIL - first;
}

/* ---- format and source ---- */

int cuframes_publisher_set_format(cuframes_publisher *p, const cuframes_format *format) {
  if (!p || !format)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_set_format: publisher and format must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_lock_take(&p->frame_lock);
  cf_publisher_settle_frames(p);
  int result = cf_pool_set_format(&p->pool, format);
  if (result == CUFRAMES_ERR_DEVICE)
    cf_publisher_look_at_device(p);
  if (cf_writer_has_changed(&p->writer))
    cf_doorbell_ring(p->service.doorbell); /* for cf_pool_reap() */
  cf_lock_give(&p->frame_lock);
  return result;
}

int cuframes_publisher_set_limits(cuframes_publisher *p, uint32_t max_open, uint32_t max_slots) {
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_set_limits: no publisher given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_lock_take(&p->frame_lock);
  int result = cf_pool_set_limits(&p->pool, max_open, max_slots);
  if (result == CUFRAMES_OK && max_open > 0)
    p->max_open = max_open; /* nothing was ever open: no frame beyond is in use */
  cf_lock_give(&p->frame_lock);
  return result;
}

int cuframes_publisher_discontinuity(cuframes_publisher *p) {
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_discontinuity: no publisher given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_lock_take(&p->frame_lock);
  cf_writer_new_epoch(&p->writer);
  cf_lock_give(&p->frame_lock);
  pthread_mutex_lock(&p->packets.lock);
  p->packets.new_epoch = true;
  pthread_mutex_unlock(&p->packets.lock);
  return CUFRAMES_OK;
}
