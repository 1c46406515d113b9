/* subscriber/forked.c - a subscriber in a process that was forked from its maker's: that process's memory of it is
 * freed, and nothing else happens. No lock is taken, since who held one may not be here; nothing is written into the
 * seat, no thread is waited for, and the GPU's driver, which does not survive a fork, is not called. Sockets, pidfds
 * and doorbells were closed when the process was forked (os/process.h).
 */
#include <stdlib.h>

#include "os/memory.h"
#include "subscriber/subscriber.h"

/* What frames in hand need goes with the last of them. */
static void drop(cf_connection *c) {
  if (cf_flag_add(&c->forgotten, -1) > 0)
    return;
  bool gpu = c->device->has_streams;
  for (cf_view *view = c->views, *next; view; view = next) {
    next = view->next;
    if (!gpu)
      c->device->ops->segment_destroy(c->device, &view->memory);
    cf_memory_unmap(view->side, view->side_bytes);
    free(view->events);
    free(view);
  }
  if (!gpu)
    cf_device_close(c->device);
  cf_handles_drop(c->handles);
  free(c->frames);
  free(c);
}

static uint32_t frames_in_hand(const cf_connection *c) {
  uint32_t count = 0;
  for (uint32_t k = 0; k < c->leases; k++)
    count += c->frames[k].state == CF_FRAME_LEASED && cf_handle_is_held(c->frames[k].handle);
  return count;
}

void cf_connection_forget(cf_connection *c) {
  cf_flag_set(&c->forgotten, 1 + frames_in_hand(c));
  for (int i = 0; i < CF_ASKERS; i++)
    if (c->asked[i].answered) {
      cf_close(c->asked[i].fd);
      free(c->asked[i].bytes);
    }
  cf_memory_unmap(c->region, c->region_bytes);
  cf_memory_unmap(c->seat, c->seat_bytes);
  cf_memory_unmap(c->control, c->control_bytes);
  free(c->waiter.noted);
  free(c->message);
  drop(c);
}

void cf_connection_forget_frame(cf_frame *frame) {
  cf_connection *c = frame->owner;
  if (cf_flag_get(&c->forgotten) > 0)
    drop(c);
}

/* The connections that a subscriber still knows of, each once. */
typedef struct known {
  cf_connection **connection;
  size_t count;
} known;

static void known_add(known *k, cf_connection *c) {
  for (size_t i = 0; i < k->count; i++)
    if (k->connection[i] == c)
      return;
  if (c)
    k->connection[k->count++] = c;
}

static void connections_forget(cuframes_subscriber *s) {
  size_t watched = 0;
  for (const cf_connection *c = s->watched; c; c = c->watched.next)
    watched++;
  known k = { .connection = calloc(watched + 4, sizeof(cf_connection *)) };
  if (!k.connection)
    return; /* they stay until this process ends */
  for (cf_connection *c = s->watched; c; c = c->watched.next)
    known_add(&k, c);
  known_add(&k, s->connection);
  known_add(&k, s->left_over);
  known_add(&k, s->taking);
  known_add(&k, s->packets.connection);
  for (size_t i = 0; i < k.count; i++)
    cf_connection_forget(k.connection[i]);
  free(k.connection);
}

void cf_subscriber_forget(cuframes_subscriber *s) {
  connections_forget(s);
  if (s->rejoin.state == CF_REJOIN_JOINED)
    for (int i = 0; i < 2; i++)
      cf_close(s->rejoin.joined.fds[i]);
  s->packets.connection = NULL;
  cf_packet_side_free(s);
  cf_handles_drop(s->handles);
  free(s->directory);
  free(s->device);
  free(s);
}
