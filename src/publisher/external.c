/* publisher/external.c - frames in buffers of the application: registered once, then published and reopened. */
#include "os/container.h"
#include "os/error.h"
#include "os/thread.h"
#include "publisher/publisher.h"

int cuframes_publisher_register_external(cuframes_publisher *p, void *address, uint64_t bytes, cuframes_frame **frame) {
  cf_segment *segment;
  if (!p || !address || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "cuframes_publisher_register_external: publisher, address and frame must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (!p->pool.external)
    return cf_fail(CUFRAMES_ERR_INVALID, "this publisher has memory of its own: create it with options.external");
  cf_lock_take(&p->frame_lock);
  int result = cf_pool_register(&p->pool, address, bytes, &segment);
  if (result == CUFRAMES_OK && !cf_handle_open(p->handles, &segment->frame)) {
    cf_pool_unregister(&p->pool, segment);
    result = cf_fail(CUFRAMES_ERR_NO_CAPACITY, "too many references to frames are in hand: release some");
  }
  if (result == CUFRAMES_OK) {
    cf_frame *f = &segment->frame;
    f->ops = &cf_publisher_frame_ops;
    f->owner = p;
    f->device = p->device;
    f->base = segment->memory.address;
    f->format = &segment->format;
    f->segment = segment;
    f->lease = p->max_open + segment->frame.slot;
    f->registered = true;
    cf_publisher_open_frame(p, f, segment->frame.slot);
    *frame = f->handle;
  }
  cf_lock_give(&p->frame_lock);
  return result;
}

/* With the frame lock held: what was left to do for it is done. */
static int registered_find(cuframes_publisher *p, const cuframes_frame *frame, cf_frame **found) {
  cf_frame *f = cf_handle_frame(p->handles, frame);
  if (!f || !f->registered)
    return cf_fail(CUFRAMES_ERR_INVALID, "the frame is not a registered one of this publisher");
  cf_publisher_settle_frames(p);
  if (cf_run_retiring(&((cf_segment *)f->segment)->run)) {
    cf_writer_sweep(&p->writer);
    cf_pool_reap(&p->pool); /* what nobody uses is known to be so now, whenever the service thread runs */
  }
  *found = f;
  return CUFRAMES_OK;
}

static int in_use(void) {
  return cf_fail(CUFRAMES_ERR_BUSY,
                 "the frame is the newest one, or a subscriber, a stream or a reference of yours uses "
                 "it");
}

/* With the frame lock held. */
static int reopen(cuframes_publisher *p, const cuframes_frame *frame) {
  cf_frame *f = NULL;
  int result = registered_find(p, frame, &f);
  if (result != CUFRAMES_OK)
    return result;
  if (f->state == CF_FRAME_OPEN)
    return cf_fail(CUFRAMES_ERR_INVALID, "the frame is open already");
  if (cf_run_retiring(&((cf_segment *)f->segment)->run))
    return cf_fail(CUFRAMES_ERR_INVALID, "the format has changed since the frame was registered: unregister it");
  if (f->state != CF_FRAME_FREE || !cf_writer_acquire_slot(&p->writer, f->slot))
    return in_use();
  if (p->completer.many_streams)
    result = cf_completer_wait_for_writers(&p->completer, f->slot);
  if (result == CUFRAMES_OK)
    cf_publisher_open_frame(p, f, f->slot);
  else
    cf_writer_cancel(&p->writer, f->slot);
  return result;
}

int cuframes_publisher_reopen(cuframes_publisher *p, cuframes_frame *frame) {
  if (!p || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_reopen: publisher and frame must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_lock_take(&p->frame_lock);
  int result = reopen(p, frame);
  cf_lock_give(&p->frame_lock);
  return result;
}

int cf_publisher_acquire_registered(cuframes_publisher *p, cuframes_frame **frame) {
  uint64_t offset;
  cf_publisher_settle_frames(p);
  uint32_t slot = cf_writer_acquire(&p->writer);
  if (cf_writer_has_changed(&p->writer))
    cf_doorbell_ring(p->service.doorbell); /* for cf_pool_reap() */
  if (slot == CF_NO_SLOT)
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "every registered buffer is in use or in your hands");
  int result = p->completer.many_streams ? cf_completer_wait_for_writers(&p->completer, slot) : CUFRAMES_OK;
  if (result != CUFRAMES_OK) {
    cf_writer_cancel(&p->writer, slot);
    return result;
  }
  cf_segment *segment = CF_CONTAINER_OF(cf_writer_slot(&p->writer, slot, &offset), cf_segment, run);
  cf_publisher_open_frame(p, &segment->frame, slot);
  *frame = segment->frame.handle;
  return CUFRAMES_OK;
}

/* With the frame lock held. */
static int unregister(cuframes_publisher *p, cuframes_frame *frame) {
  cf_frame *f = NULL;
  int result = registered_find(p, frame, &f);
  if (result != CUFRAMES_OK)
    return result;
  cf_segment *segment = f->segment;
  if (cf_flag_get(&frame->references) > 1 || (f->state != CF_FRAME_OPEN && !cf_pool_is_emptied(&p->pool, segment)))
    return in_use();
  if (!cf_uses_done(&p->uses, f->lease, cf_flag_get(&f->uses)))
    return in_use();
  (void)cf_handle_end(frame); /* the one of its registration */
  cf_pool_unregister(&p->pool, segment);
  return CUFRAMES_OK;
}

int cuframes_publisher_unregister_external(cuframes_publisher *p, cuframes_frame *frame) {
  if (!p || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_unregister_external: publisher and frame must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_lock_take(&p->frame_lock);
  int result = unregister(p, frame);
  cf_lock_give(&p->frame_lock);
  return result;
}
