/* publisher/admission.c - who may join, the seat that he gets, and its end. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "publisher/publisher.h"

/* Prepares the sync mode granted. On failure the seat may still do in mode complete. */
static int sync_prepare(cuframes_publisher *p, cf_peer *peer, void *page) {
  switch (peer->sync_mode) {
    case CUFRAMES_SYNC_TIMELINE:
      peer->seat.fencing = CF_FENCING_COUNTERS;
      return p->device->ops->counters_open(p->device, page, peer->seat_bytes, &peer->words);
    case CUFRAMES_SYNC_SLOT_EVENTS: peer->seat.fencing = CF_FENCING_EVENTS; return cf_pool_make_events(&p->pool);
    default: return CUFRAMES_OK;
  }
}

/* What was granted, or complete if that cannot be had after all. */
static void sync_begin(cuframes_publisher *p, cf_peer *peer, void *page, cf_msg_welcome *welcome) {
  if (sync_prepare(p, peer, page) == CUFRAMES_OK)
    return;
  cf_log(&p->logger, CUFRAMES_LOG_WARNING, "%s: subscriber \"%s\" falls back to sync mode complete: %s", p->name,
         peer->label, cf_last_detail());
  peer->seat.fencing = CF_FENCING_NONE;
  welcome->sync_mode = peer->sync_mode = CUFRAMES_SYNC_COMPLETE;
}

static void sync_end(cuframes_publisher *p, cf_peer *peer) {
  if (peer->words.host)
    p->device->ops->counters_close(p->device, &peer->words);
}

static int seat_make(cuframes_publisher *p, cf_peer *peer, cf_msg_welcome *welcome) {
  if (cf_counter_get(&p->service.subscribers) >= p->max_subscribers)
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "the stream has %u subscribers already, its limit (max_subscribers)",
                   p->max_subscribers);
  peer->cost = cf_seat_cost(welcome->leases, welcome->depth);
  peer->seat_bytes = cf_page_round(cf_seat_bytes(p->writer.capacity, welcome->sync_mode == CUFRAMES_SYNC_TIMELINE));
  peer->seat.leases = welcome->leases;
  peer->seat.depth = welcome->depth;
  void *page;
  int result = cf_memory_create("cuframes-seat", peer->seat_bytes, CF_SEAL_PAIR, &peer->seat_fd, &page);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_pool_admit(&p->pool, peer->cost);
  if (result == CUFRAMES_OK) {
    sync_begin(p, peer, page, welcome);
    peer->seat.page = page;
    if (cf_writer_add_seat(&p->writer, &peer->seat)) {
      cf_counter_add(&p->seat_bytes, peer->seat_bytes);
      cf_counter_add(&p->service.subscribers, 1);
      return CUFRAMES_OK;
    }
    peer->seat.page = NULL;
    sync_end(p, peer);
    cf_pool_leave(&p->pool, peer->cost);
    result = cf_fail(CUFRAMES_ERR_NO_CAPACITY, "the stream has %u seats, and all are taken", CF_SEATS_MAX);
  }
  cf_memory_unmap(page, peer->seat_bytes);
  cf_close(peer->seat_fd);
  peer->seat_fd = -1;
  return result;
}

bool cf_tombs_free(cuframes_publisher *p, bool all) {
  for (cf_tomb **link = &p->service.tombs, *tomb; (tomb = *link) != NULL;) {
    if (!all && !cf_writer_fences_done(&p->writer, &tomb->seat) && !p->device->ops->is_lost(p->device)) {
      link = &tomb->next;
      continue;
    }
    *link = tomb->next;
    p->device->ops->counters_close(p->device, &tomb->words);
    cf_memory_unmap(tomb->seat.page, tomb->bytes);
    free(tomb);
  }
  return p->service.tombs == NULL;
}

/* Frees a seat that the writer does not look at any more, now or when the GPU has written what was put on its stream. */
static void seat_bury(cuframes_publisher *p, cf_peer *peer) {
  if (peer->words.host && !cf_writer_fences_done(&p->writer, &peer->seat)) {
    cf_tomb *tomb = malloc(sizeof *tomb);
    if (tomb) {
      *tomb = (cf_tomb){ .words = peer->words, .bytes = peer->seat_bytes, .next = p->service.tombs };
      memcpy(&tomb->seat, &peer->seat, sizeof tomb->seat); /* nobody else has it now */
      p->service.tombs = tomb;
      peer->words = (cf_device_counters){ 0 };
      return;
    }
    p->device->ops->settle(p->device); /* no memory for patience */
  }
  sync_end(p, peer);
  cf_memory_unmap(peer->seat.page, peer->seat_bytes);
}

void cf_peer_unseat(cuframes_publisher *p, cf_peer *peer) {
  if (!peer->seat.page)
    return;
  uint64_t ticket = cf_writer_remove_seat(&p->writer, &peer->seat);
  (void)cf_futex_wake(&peer->seat.page->room, INT32_MAX);
  while (!cf_writer_quiescent(&p->writer, &peer->seat, ticket)) /* the writer looks for a microsecond at most */
    (void)sched_yield();                                        /* cannot fail */
  seat_bury(p, peer);
  cf_close(peer->seat_fd);
  peer->seat.page = NULL;
  peer->seat_fd = -1;
  cf_counter_add(&p->seat_bytes, -peer->seat_bytes);
  cf_counter_add(&p->service.subscribers, (uint64_t)-1);
  cf_pool_leave(&p->pool, peer->cost);
  cf_log(&p->logger, CUFRAMES_LOG_INFO, "%s: subscriber \"%s\" left", p->name, peer->label);
}

static bool welcome_send(cuframes_publisher *p, cf_peer *peer, cf_msg_welcome *welcome) {
  int fds[2] = { p->control_fd, peer->seat_fd }; /* a monitor needs neither */
  welcome->control_bytes = peer->seat.page ? p->control_bytes : 0;
  welcome->seat_bytes = peer->seat_bytes;
  welcome->instance = p->instance;
  memcpy(welcome->device, p->device->name, sizeof welcome->device);
  return cf_peer_answer(p, peer, CF_MSG_WELCOME, welcome, fds, peer->seat.page ? 2 : 0);
}

bool cf_peer_admit(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  cf_msg_hello hello;
  cf_msg_welcome welcome;
  cf_msg_refused refused;
  const cf_offer offer = { .sync_modes = p->device->sync_modes,
                           .max_leases = p->max_leases,
                           .max_depth = p->max_depth };
  if (!cf_message_decode(CF_MSG_HELLO, message, length, &hello)) {
    cf_fail(CUFRAMES_ERR_PROTOCOL, "the HELLO message is malformed");
    return cf_peer_refuse(p, peer, CUFRAMES_ERR_PROTOCOL);
  }
  if (cf_negotiate(&hello, &offer, &welcome, &refused) != CUFRAMES_OK) {
    cf_log(&p->logger, CUFRAMES_LOG_WARNING, "%s: refused \"%s\": %s", p->name, hello.label, refused.text);
    (void)cf_peer_answer(p, peer, CF_MSG_REFUSED, &refused, NULL, 0); /* the connection ends either way */
    return false;
  }
  memcpy(peer->label, hello.label, sizeof peer->label);
  peer->mode = hello.mode;
  peer->sync_mode = welcome.sync_mode;
  peer->sync_asked = hello.sync_asked ? hello.sync_asked : hello.sync_modes;
  if (hello.role == CF_ROLE_SUBSCRIBER) {
    int result = seat_make(p, peer, &welcome);
    if (result != CUFRAMES_OK) {
      cf_log(&p->logger, CUFRAMES_LOG_WARNING, "%s: refused \"%s\": %s", p->name, hello.label, cf_last_detail());
      return cf_peer_refuse(p, peer, result);
    }
    cf_log(&p->logger, CUFRAMES_LOG_INFO, "%s: subscriber \"%s\" joined (pid %d, user %u)", p->name, peer->label,
           peer->credentials.pid, peer->credentials.uid);
  }
  return welcome_send(p, peer, &welcome);
}
