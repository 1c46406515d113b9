/* publisher/admission.c - who may join, the seat that it gets, and its end. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "publisher/publisher.h"

static int sync_open(cuframes_publisher *p, cf_peer *peer, void *page) {
  int result = cf_completer_seat_open(&p->completer, &peer->fenced, page, peer->sync_mode);
  if (result != CUFRAMES_OK || peer->sync_mode != CUFRAMES_SYNC_SLOT_EVENTS)
    return result;
  return cf_pool_make_events(&p->pool);
}

/* Prepares the sync mode granted, or complete if that cannot be had after all. */
static void sync_begin(cuframes_publisher *p, cf_peer *peer, void *page, cf_msg_welcome *welcome) {
  if (sync_open(p, peer, page) == CUFRAMES_OK)
    return;
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING,
                 "%s: subscriber \"%s\" falls back to sync mode complete: %s", p->name, peer->label, cf_last_detail());
  peer->fenced.seat.fencing = CF_FENCING_NONE;
  welcome->sync_mode = peer->sync_mode = CUFRAMES_SYNC_COMPLETE;
}

/* Seats the peer on a page that was just made for it; on failure the page stays the caller's. */
static int seat_take(cuframes_publisher *p, cf_peer *peer, void *page) {
  sync_begin(p, peer, page, &peer->welcome);
  peer->fenced.seat.page = page;
  if (cf_writer_add_seat(&p->writer, &peer->fenced.seat))
    return CUFRAMES_OK;
  peer->fenced.seat.page = NULL;
  cf_completer_counters_close(&p->completer, &peer->fenced);
  return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "the stream has %u seats, and all are taken", CF_SEATS_MAX);
}

static int seat_make(cuframes_publisher *p, cf_peer *peer) {
  const cf_msg_welcome *welcome = &peer->welcome;
  peer->fenced.bytes = cf_page_round(cf_seat_bytes(p->writer.capacity, welcome->sync_mode == CUFRAMES_SYNC_TIMELINE));
  peer->fenced.seat.leases = welcome->leases;
  peer->fenced.seat.depth = welcome->depth;
  void *page;
  int result = cf_memory_create("cuframes-seat", peer->fenced.bytes, CF_SEAL_PAIR, &peer->seat_fd, &page);
  if (result != CUFRAMES_OK)
    return result;
  result = seat_take(p, peer, page);
  if (result != CUFRAMES_OK) {
    cf_memory_unmap(page, peer->fenced.bytes);
    cf_close(peer->seat_fd);
    peer->seat_fd = -1;
    return result;
  }
  cf_counter_add(&p->seat_bytes, peer->fenced.bytes);
  p->departed[peer->mode].joined++;
  if (cf_counter_get(&p->service.subscribers) > CF_WAKE_DIRECT)
    cf_waker_start(p);
  (void)cf_flag_add(&p->service.joined, 1);
  (void)cf_futex_wake(&p->service.joined.value, INT32_MAX);
  return CUFRAMES_OK;
}

/* Promises the peer a place and what it may pin. */
static int seat_promise(cuframes_publisher *p, cf_peer *peer) {
  int result = cf_connections_check_seat(p, &peer->credentials);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_pool_admit(&p->pool, peer->welcome.leases, peer->welcome.depth);
  if (result != CUFRAMES_OK)
    return result;
  peer->promised = true;
  cf_counter_add(&p->service.subscribers, 1);
  return CUFRAMES_OK;
}

static void promise_end(cuframes_publisher *p, cf_peer *peer) {
  if (!peer->promised)
    return;
  peer->promised = false;
  cf_counter_add(&p->service.subscribers, (uint64_t)-1);
  cf_pool_leave(&p->pool, peer->welcome.leases, peer->welcome.depth);
}

void cf_peer_unseat(cuframes_publisher *p, cf_peer *peer) {
  if (!peer->fenced.seat.page) {
    promise_end(p, peer);
    return;
  }
  uint64_t ticket = cf_writer_remove_seat(&p->writer, &peer->fenced.seat);
  (void)cf_futex_wake(&peer->fenced.seat.page->room, INT32_MAX);
  /* the writer looks for a microsecond at most, if it runs: a thread of a higher priority must let it */
  for (int64_t began = cf_now(); !cf_writer_quiescent(&p->writer, &peer->fenced.seat, ticket);)
    cf_wait_turn(began, CF_NEVER);
  cf_peer_add_up(p, peer, &p->departed[peer->mode]);
  cf_completer_seat_close(&p->completer, &peer->fenced);
  cf_close(peer->seat_fd);
  peer->fenced.seat.page = NULL;
  peer->seat_fd = -1;
  cf_counter_add(&p->seat_bytes, -peer->fenced.bytes);
  promise_end(p, peer);
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_INFO, "%s: subscriber \"%s\" left", p->name, peer->label);
}

static bool welcome_send(cuframes_publisher *p, cf_peer *peer) {
  cf_msg_welcome *welcome = &peer->welcome;
  int fds[2] = { p->control_fd, peer->seat_fd }; /* a monitor needs neither */
  welcome->control_bytes = peer->fenced.seat.page ? p->control_bytes : 0;
  welcome->seat_bytes = peer->fenced.bytes;
  welcome->instance = p->instance;
  memcpy(welcome->device, p->device->name, sizeof welcome->device);
  return cf_peer_answer(p, peer, CF_MSG_WELCOME, welcome, fds, peer->fenced.seat.page ? 2 : 0);
}

bool cf_peer_seat(cuframes_publisher *p, cf_peer *peer, int result) {
  peer->waits = false;
  if (result == CUFRAMES_OK)
    result = seat_make(p, peer);
  if (result == CUFRAMES_ERR_DEVICE) /* the device, or this request alone? Who waits for a name is to know */
    cf_publisher_look_at_device(p);
  if (result != CUFRAMES_OK && cf_flag_get(&p->failed))
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher's GPU failed, and the stream has ended");
  if (result != CUFRAMES_OK) {
    cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING, "%s: refused \"%s\": %s", p->name, peer->label,
                   cf_last_detail());
    return cf_peer_refuse(p, peer, result);
  }
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_INFO, "%s: subscriber \"%s\" joined (pid %d, user %u)",
                 p->name, peer->label, peer->credentials.pid, peer->credentials.uid);
  return welcome_send(p, peer);
}

bool cf_peer_admit(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  cf_msg_hello hello;
  cf_msg_refused refused;
  const cf_offer offer = { .sync_modes = p->device->sync_modes,
                           .max_leases = p->max_leases,
                           .max_depth = p->max_depth };
  if (!cf_message_decode(CF_MSG_HELLO, message, length, &hello)) {
    cf_fail(CUFRAMES_ERR_PROTOCOL, "the HELLO message is malformed");
    return cf_peer_refuse(p, peer, CUFRAMES_ERR_PROTOCOL);
  }
  if (cf_negotiate(&hello, &offer, &peer->welcome, &refused) != CUFRAMES_OK) {
    cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING, "%s: refused \"%s\": %s", p->name, hello.label,
                   refused.text);
    (void)cf_peer_answer(p, peer, CF_MSG_REFUSED, &refused, NULL, 0); /* the connection ends either way */
    return false;
  }
  memcpy(peer->label, hello.label, sizeof peer->label);
  peer->mode = hello.mode;
  peer->sync_mode = peer->welcome.sync_mode;
  peer->sync_asked = hello.sync_asked ? hello.sync_asked : hello.sync_modes;
  if (hello.role == CF_ROLE_MONITOR && cf_connections_check_monitor(p, peer) != CUFRAMES_OK) {
    cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING, "%s: refused a monitor: %s", p->name,
                   cf_last_detail());
    return cf_peer_refuse(p, peer, CUFRAMES_ERR_NO_CAPACITY);
  }
  if (hello.role != CF_ROLE_SUBSCRIBER)
    return welcome_send(p, peer);
  int result = seat_promise(p, peer);
  peer->waits = result == CUFRAMES_OK && cf_pool_lacks(&p->pool) > 0;
  return peer->waits || cf_peer_seat(p, peer, result);
}
