/* publisher/frames.c - frames of a publisher: a slot to write into, published to everybody, by the GPU's streams where
 * the device has some.
 */
#include <inttypes.h>

#include "api/options.h"
#include "os/clock.h"
#include "os/container.h"
#include "os/error.h"
#include "os/thread.h"
#include "publisher/publisher.h"

/* The device is lost for good: nothing that was handed to it will be complete. */
static int device_failed(cuframes_publisher *p) {
  return cf_fail(CUFRAMES_ERR_DEVICE,
                 "the GPU of this process failed, and the stream \"%s\" has ended: publish it "
                 "again from a new process",
                 p->name);
}

void cf_publisher_look_at_device(cuframes_publisher *p) {
  if (!p->device->has_streams || !p->device->ops->is_lost(p->device) || cf_flag_swap(&p->failed, 1))
    return;
  cf_log(&p->logger, CUFRAMES_LOG_ERROR, "%s: the GPU failed (%s); the stream ends", p->name, cf_last_detail());
  cf_publisher_end_stream(p);
  cf_doorbell_ring(p->service.doorbell); /* it hangs up */
}

/* If there will be many to wake, lets the service thread get up already. */
static void announce_frame(cuframes_publisher *p) {
  if (!p->device->has_streams || cf_writer_sleepers(&p->writer) <= CF_WAKE_DIRECT)
    return;
  cf_flag_set(&p->prewake, CF_PREWAKE_ASKED);
  cf_doorbell_ring(p->service.doorbell);
}

int cuframes_publisher_acquire(cuframes_publisher *p, cuframes_frame **frame) {
  if (!p || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_acquire: publisher and frame must be given");
  if (cf_flag_get(&p->failed))
    return device_failed(p);
  pthread_mutex_lock(&p->frame_lock);
  cuframes_frame *f = NULL;
  for (uint32_t i = 0; i < p->max_open && !f; i++)
    if (p->frames[i].state == CF_FRAME_FREE)
      f = &p->frames[i];
  int result = f ? CUFRAMES_OK
                 : cf_fail(CUFRAMES_ERR_LEASE_LIMIT,
                           "%u frames are open already: publish or cancel one, or raise max_open", p->max_open);
  uint32_t slot = f ? cf_writer_acquire(&p->writer) : CF_NO_SLOT;
  if (f && slot == CF_NO_SLOT)
    result = p->pool.external
                 ? cf_fail(CUFRAMES_ERR_NO_CAPACITY, "every registered buffer is in use or in your hands")
                 : cf_fail(CUFRAMES_ERR_NO_CAPACITY, "every slot is pinned; a subscriber breaks the protocol");
  if (result == CUFRAMES_OK && (result = cf_completer_wait_for_slot(&p->completer, slot)) != CUFRAMES_OK)
    cf_writer_cancel(&p->writer, slot);
  if (result == CUFRAMES_OK) {
    uint64_t offset;
    cf_segment *segment = CF_CONTAINER_OF(cf_writer_slot(&p->writer, slot, &offset), cf_segment, run);
    *f = (cuframes_frame){ .state = CF_FRAME_OPEN,
                           .owner = p,
                           .device = p->device,
                           .segment = segment,
                           .slot = slot,
                           .base = (uint8_t *)segment->memory.address + offset,
                           .format = &segment->format,
                           .pts = CUFRAMES_NO_TIME };
    *frame = f;
    announce_frame(p);
  }
  bool adopted = cf_writer_has_adopted(&p->writer);
  if (adopted || cf_writer_has_emptied(&p->writer))
    cf_doorbell_ring(p->service.doorbell); /* for cf_pool_reap() */
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

static const char *label_of(const cf_writer_seat *seat) {
  return CF_CONTAINER_OF(seat, cf_peer, fenced.seat)->label;
}

/* Waits until every ordered subscriber has room, or evicts it, or says DROPPED. */
static int make_room(cuframes_publisher *p) {
  int64_t deadline = 0;
  uint32_t room;
  for (cf_writer_seat *full; (full = cf_writer_enter_full(&p->writer)) != NULL; cf_writer_leave(&p->writer)) {
    if (p->policy == CUFRAMES_POLICY_DROP) {
      cf_counter_add(&p->dropped, 1);
      cf_fail(CUFRAMES_ERR_DROPPED, "the frame was dropped: subscriber \"%s\" has %u frames waiting", label_of(full),
              full->depth);
      cf_writer_leave(&p->writer);
      return CUFRAMES_ERR_DROPPED;
    }
    if (deadline == 0) {
      deadline = cf_deadline(p->ordered_timeout_ns);
      cf_counter_add(&p->waits, 1);
    }
    bool in_time = true;
    while (cf_writer_seat_full(&p->writer, full, &room) && in_time)
      /* the clock, too: a seat whose word never stands still is no reason to wait for ever */
      in_time = cf_futex_wait(&full->page->room, room, deadline) && cf_now() < deadline;
    if (!in_time && cf_writer_seat_full(&p->writer, full, &room)) {
      cf_writer_evict(full);
      cf_counter_add(&p->evictions, 1);
      (void)cf_futex_wake(&p->writer.control->wake, INT32_MAX);
      cf_log(&p->logger, CUFRAMES_LOG_WARNING,
             "%s: evicted subscriber \"%s\": %u frames waited for it for %" PRId64 " ms", p->name, label_of(full),
             full->depth, p->ordered_timeout_ns / CF_MS);
    }
  }
  return CUFRAMES_OK;
}

static void measure_rate(cuframes_publisher *p, int64_t now) {
  if (p->rate_start == 0) {
    p->rate_start = now;
    return;
  }
  p->rate_frames++;
  int64_t span = now - p->rate_start;
  if (span < CF_SECOND)
    return;
  cf_counter_set(&p->rate_micro, (uint64_t)((double)p->rate_frames * 1e15 / (double)span));
  p->rate_start = now;
  p->rate_frames = 0;
}

static bool frame_is_open(const cuframes_publisher *p, const cuframes_frame *frame) {
  return frame >= p->frames && frame < p->frames + p->max_open && frame->state == CF_FRAME_OPEN;
}

static int not_open(void) {
  return cf_fail(CUFRAMES_ERR_INVALID, "the frame is not an open frame of this publisher");
}

static void wake_sleepers(cuframes_publisher *p) {
  if (cf_flag_get(&p->prewake) == CF_PREWAKE_ASKED &&
      cf_flag_swap(&p->prewake, CF_PREWAKE_PUBLISHED) == CF_PREWAKE_ASKED)
    return; /* the service thread waits for that, or will see it: pairs with service.c: wait_for_frame */
  uint32_t sleepers = cf_writer_sleepers(&p->writer);
  if (sleepers > CF_WAKE_DIRECT)
    cf_doorbell_ring(p->service.doorbell);
  else if (sleepers > 0)
    (void)cf_futex_wake(&p->writer.control->wake, INT32_MAX);
}

/* Publishes a taken slot; on failure it is still taken. With the frame lock held. */
int cf_publisher_publish_slot(cuframes_publisher *p, uint32_t slot, const cuframes_publish_info *info) {
  cuframes_publish_info i;
  bool has_streams = p->device->has_streams;
  int result = cf_options_copy(&i, sizeof i, info, "cuframes_publish_info");
  if (result == CUFRAMES_OK && cf_flag_get(&p->failed))
    result = device_failed(p);
  if (result == CUFRAMES_OK)
    result = make_room(p);
  if (result == CUFRAMES_OK && has_streams) {
    uint64_t offset;
    cf_segment *segment = CF_CONTAINER_OF(cf_writer_slot(&p->writer, slot, &offset), cf_segment, run);
    void *event = segment->events ? segment->events[offset / segment->run.stride] : NULL;
    result = cf_completer_submit(&p->completer, slot, event, i.stream);
    if (result != CUFRAMES_OK)
      cf_publisher_look_at_device(p);
  }
  if (result != CUFRAMES_OK)
    return result;
  int64_t now = cf_now();
  cf_frame_meta meta = { .flags = i.flags & (CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT),
                         .pts = info ? i.pts : CUFRAMES_NO_TIME,
                         .duration = i.duration,
                         .timestamp = now };
  cf_writer_publish(&p->writer, slot, &meta, !has_streams);
  if (has_streams && cf_flag_swap(&p->looked_after, 1) == 0)
    cf_doorbell_ring(p->service.doorbell); /* it looks at the GPU from time to time until this frame is complete */
  wake_sleepers(p);
  cf_counter_add(&p->published, 1);
  cf_counter_set(&p->newest_timestamp, (uint64_t)now);
  measure_rate(p, now);
  return CUFRAMES_OK;
}

static void frame_cancel(cuframes_publisher *p, cuframes_frame *frame) {
  ((cf_segment *)frame->segment)->cancelled = true;
  cf_writer_cancel(&p->writer, frame->slot);
}

int cuframes_publisher_publish(cuframes_publisher *p, cuframes_frame *frame, const cuframes_publish_info *info) {
  if (!p || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_publish: publisher and frame must be given");
  pthread_mutex_lock(&p->frame_lock);
  int result = frame_is_open(p, frame) ? cf_publisher_publish_slot(p, frame->slot, info) : not_open();
  if (frame_is_open(p, frame)) {
    if (result != CUFRAMES_OK)
      frame_cancel(p, frame);
    frame->state = CF_FRAME_FREE;
  }
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

int cuframes_publisher_cancel(cuframes_publisher *p, cuframes_frame *frame) {
  if (!frame)
    return CUFRAMES_OK;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_cancel: no publisher given");
  pthread_mutex_lock(&p->frame_lock);
  int result = frame_is_open(p, frame) ? CUFRAMES_OK : not_open();
  if (result == CUFRAMES_OK) {
    frame_cancel(p, frame);
    frame->state = CF_FRAME_FREE;
  }
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

/* ---- format and source ---- */

int cuframes_publisher_set_format(cuframes_publisher *p, const cuframes_format *format) {
  if (!p || !format)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_set_format: publisher and format must be given");
  pthread_mutex_lock(&p->frame_lock);
  int result = CUFRAMES_OK;
  for (uint32_t i = 0; i < p->max_open; i++)
    if (p->frames[i].state != CF_FRAME_FREE)
      result = cf_fail(CUFRAMES_ERR_BUSY, "the format cannot change while frames are open: publish or cancel them");
  if (result == CUFRAMES_OK)
    result = cf_pool_set_format(&p->pool, format);
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

int cuframes_publisher_discontinuity(cuframes_publisher *p) {
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_discontinuity: no publisher given");
  pthread_mutex_lock(&p->frame_lock);
  cf_writer_new_epoch(&p->writer);
  pthread_mutex_unlock(&p->frame_lock);
  pthread_mutex_lock(&p->packets.lock);
  p->packets.new_epoch = true;
  pthread_mutex_unlock(&p->packets.lock);
  return CUFRAMES_OK;
}
