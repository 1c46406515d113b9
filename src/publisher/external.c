/* publisher/external.c - frames in buffers of the application. */
#include "os/error.h"
#include "publisher/publisher.h"

/* The registered buffer at an address. With the frame lock held. */
static int external_find(cuframes_publisher *p, const void *address, bool in_hand, cf_segment **found) {
  cf_segment *s = p->pool.external ? cf_pool_registered(&p->pool, address) : NULL;
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "%p is not a registered buffer of this publisher%s", address,
                   p->pool.external ? "" : ", which has none (options.external)");
  if (s->in_hand != in_hand)
    return cf_fail(CUFRAMES_ERR_INVALID,
                   in_hand ? "the buffer %p was published: acquire it before it is written again"
                           : "the buffer %p is in your hands already",
                   address);
  *found = s;
  return CUFRAMES_OK;
}

int cuframes_publisher_register_external(cuframes_publisher *p, void *address, uint64_t bytes) {
  if (!p || !address)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_register_external: publisher and address must be given");
  pthread_mutex_lock(&p->frame_lock);
  int result = CUFRAMES_OK;
  if (!p->pool.external)
    result = cf_fail(CUFRAMES_ERR_INVALID, "this publisher has memory of its own: create it with options.external");
  else if (cf_pool_registered(&p->pool, address))
    result = cf_fail(CUFRAMES_ERR_INVALID, "the buffer %p is registered already", address);
  else
    result = cf_pool_register(&p->pool, address, bytes);
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

int cuframes_publisher_publish_external(cuframes_publisher *p, void *address, const cuframes_publish_info *info) {
  cf_segment *segment = NULL;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_publish_external: no publisher given");
  pthread_mutex_lock(&p->frame_lock);
  int result = external_find(p, address, true, &segment);
  if (result == CUFRAMES_OK)
    result = cf_publisher_publish_slot(p, segment->slot, info);
  if (result == CUFRAMES_OK)
    segment->in_hand = false;
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

int cuframes_publisher_acquire_external(cuframes_publisher *p, void *address) {
  cf_segment *segment = NULL;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_acquire_external: no publisher given");
  pthread_mutex_lock(&p->frame_lock);
  int result = external_find(p, address, false, &segment);
  for (uint32_t i = 0; i < p->max_open && result == CUFRAMES_OK; i++)
    if (p->frames[i].state == CF_FRAME_OPEN && p->frames[i].slot == segment->slot)
      result = cf_fail(CUFRAMES_ERR_INVALID, "the buffer %p is open already, as a frame of acquire()", address);
  if (result == CUFRAMES_OK && !cf_writer_acquire_slot(&p->writer, segment->slot))
    result = cf_fail(CUFRAMES_ERR_BUSY, "the buffer %p is the newest frame, or a subscriber uses it", address);
  if (result == CUFRAMES_OK && (result = cf_completer_wait_for_slot(&p->completer, segment->slot)) != CUFRAMES_OK)
    cf_writer_cancel(&p->writer, segment->slot);
  if (result == CUFRAMES_OK)
    segment->in_hand = true;
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}

int cuframes_publisher_unregister_external(cuframes_publisher *p, void *address) {
  cf_segment *segment = NULL;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_unregister_external: no publisher given");
  pthread_mutex_lock(&p->frame_lock);
  int result = external_find(p, address, true, &segment);
  if (result == CUFRAMES_OK)
    cf_pool_unregister(&p->pool, segment);
  pthread_mutex_unlock(&p->frame_lock);
  return result;
}
