/* publisher/forked.c - a publisher in a process that was forked from its maker's: that process's memory of it is freed,
 * and nothing else happens. No lock is taken, since who held one may not be here; nothing is written to shared memory,
 * no thread is waited for, and the GPU's driver, which does not survive a fork, is not called. Sockets, lock and
 * whatever else one is known by were closed when the process was forked (os/process.h).
 */
#include <stdlib.h>

#include "os/memory.h"
#include "publisher/publisher.h"

static void peers_free(cf_peer *peer) {
  for (cf_peer *next; peer; peer = next) {
    next = peer->next;
    cf_memory_unmap(peer->fenced.seat.page, peer->fenced.bytes);
    cf_close(peer->seat_fd);
    free(peer);
  }
}

/* What lies on a GPU is the driver's: only our descriptors go, and what is the host's. */
static void pool_free(cf_pool *pool) {
  if (pool->device && !pool->device->has_streams) {
    cf_pool_free(pool);
    return;
  }
  for (cf_segment *s = pool->segments; s; s = s->next) {
    cf_close(s->memory.exported.fd);
    cf_close(s->side_fd);
    cf_memory_unmap(s->side, s->side_bytes);
  }
}

/* What frames in hand need goes with the last of them. */
static void drop(cuframes_publisher *p) {
  if (cf_flag_add(&p->references, -1) > 0)
    return;
  bool gpu = p->device && p->device->has_streams;
  pool_free(&p->pool);
  if (!gpu)
    cf_device_close(p->device);
  cf_handles_drop(p->handles);
  free(p->frames);
  free(p);
}

void cf_publisher_forget(cuframes_publisher *p) {
  for (uint32_t i = 0; i < p->max_open; i++)
    if (p->frames[i].state != CF_FRAME_FREE && cf_handle_is_held(p->frames[i].handle))
      (void)cf_flag_add(&p->references, 1);
  cf_flag_set(&p->destroyed, 1);
  peers_free(p->service.peers);
  peers_free(p->service.departed);
  free(p->service.message);
  cf_packets_free(&p->packets);
  cf_memory_unmap(p->control, p->control_bytes);
  cf_close(p->control_fd);
  free(p->notes);
  free(p->allow_uids);
  free(p->allow_gids);
  if (!p->pool.external) /* else frames lie in segments, and live as long as the process */
    drop(p);
}

void cf_publisher_forget_frame(cf_frame *frame) {
  cuframes_publisher *p = frame->owner;
  if (cf_flag_get(&p->destroyed)) /* and its frames alone keep it */
    drop(p);
}
