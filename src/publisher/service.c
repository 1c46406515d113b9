/* publisher/service.c - a publisher's service thread: accepts, answers, and notices deaths.
 *
 * It sleeps in epoll_wait() without time-out unless a deadline runs: an idle stream costs nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/thread.h"
#include "publisher/publisher.h"

#define HALF_OPEN_MAX 128
#define MONITOR_IDLE_NS (30 * CF_SECOND)
/* How long leases outlive a hang-up: with a pidfd until the process is dead, but no longer; without one, this much. */
#define GRACE_WITH_PIDFD_NS (2 * CF_SECOND)
#define GRACE_NS (250 * CF_MS)
#define ACCEPT_AGAIN_NS (100 * CF_MS)
#define CLOSE_AGAIN_NS (100 * CF_MS)
#define RESUME_NS (5 * CF_MS)
#define DEFERRED_AGAIN_NS (20 * CF_MS)
#define LOOK_NS (200 * CF_MS)

/* What an epoll event is about: a pointer to a peer, with the lowest bit set for its pidfd. */
static uint64_t tag_of(const cf_peer *peer, bool pidfd) {
  return (uint64_t)(uintptr_t)peer | pidfd;
}

static int watch(cf_service *service, int fd, uint32_t events, uint64_t tag) {
  struct epoll_event event = { .events = events, .data.u64 = tag };
  return epoll_ctl(service->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? CUFRAMES_OK : cf_fail_errno("epoll_ctl");
}

static void unwatch(cf_service *service, int fd) {
  (void)epoll_ctl(service->epoll, EPOLL_CTL_DEL, fd, NULL); /* it was added; closing would remove it as well */
}

/* ---- peers ---- */

/* Watches for the moment when a peer has received what it was sent: an edge for each message. */
static void watch_for_reading(cf_service *service, cf_peer *peer) {
  struct epoll_event event = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = tag_of(peer, false) };
  if (epoll_ctl(service->epoll, EPOLL_CTL_MOD, peer->fd, &event) != 0 &&
      epoll_ctl(service->epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0)
    peer->deadline = cf_now() + CLOSE_AGAIN_NS; /* only adding can fail, and only what is closed is added here */
}

/* Nothing is read from it any more. True: its socket is closed. Descriptors that it was sent and has not received count
 * for our user until it receives them, or ends: so long it is kept, and counts for its user. */
static bool peer_close(cf_service *service, cf_peer *peer) {
  peer->state = CF_PEER_CLOSED;
  peer->deadline = CF_NEVER;
  if (peer->fd < 0)
    return true;
  if (peer->was_given && !service->ending) {
    (void)shutdown(peer->fd, SHUT_RDWR); /* a peer that has gone already has done it */
    watch_for_reading(service, peer);
    if (cf_peer_is_behind(peer))
      return false;
  }
  unwatch(service, peer->fd);
  if (!cf_hang_up(peer->fd) && !service->ending) { /* when it stops, it stays open: rather that than to wait */
    peer->deadline = cf_now() + CLOSE_AGAIN_NS;
    return false;
  }
  peer->fd = -1;
  return true;
}

static void peer_free(cuframes_publisher *p, cf_peer *peer) {
  cf_service *service = &p->service;
  cf_peer_unseat(p, peer);
  if (peer->state == CF_PEER_CONNECTED)
    service->half_open--;
  if (peer->pidfd >= 0)
    unwatch(service, peer->pidfd);
  cf_close(peer->pidfd);
  peer->pidfd = -1;
  if (!peer_close(service, peer))
    return;
  for (cf_peer **link = &service->peers; *link; link = &(*link)->next) {
    if (*link == peer) {
      *link = peer->next;
      break;
    }
  }
  peer->next = service->departed;
  service->departed = peer;
}

/* Not in peer_free(): a newcomer at the same address would get the events that are still to come for who left. */
static void departed_free(cf_service *service) {
  while (service->departed) {
    cf_peer *peer = service->departed;
    service->departed = peer->next;
    free(peer);
  }
}

/* The peer's end of the socket is closed, or it broke the protocol. Leases that its GPU or a dying process may still
 * use keep counting for a while; nobody waits for that. */
static void peer_hang_up(cuframes_publisher *p, cf_peer *peer) {
  uint32_t held[CF_LEASES_MAX];
  if (peer->fenced.seat.page) { /* if it lives it must know; and who waits for its room waits in vain */
    cf_writer_evict(&peer->fenced.seat);
    (void)cf_futex_wake(&peer->fenced.seat.page->room, INT32_MAX);
  }
  if (!peer->fenced.seat.page || cf_seat_held(&peer->fenced.seat, held) == 0) {
    peer_free(p, peer);
    return;
  }
  unwatch(&p->service, peer->fd);
  (void)shutdown(peer->fd, SHUT_RDWR); /* a peer that has gone already has done it */
  peer->state = CF_PEER_CLOSED;
  peer->deadline = cf_now() + (peer->pidfd >= 0 ? GRACE_WITH_PIDFD_NS : GRACE_NS);
}

/* Whether a connection that was just accepted may stay. If not, it was told why. */
static bool peer_may_stay(cuframes_publisher *p, cf_peer *peer) {
  cf_peer *hungry = NULL;
  int code;
  if (cf_credentials_of(peer->fd, &peer->credentials) != CUFRAMES_OK)
    return false;
  uint32_t uid = peer->credentials.uid;
  if (!cf_publisher_allows(p, &peer->credentials)) {
    cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING,
                   "%s: refused user %u, group %u: not on the allow list", p->name, uid, peer->credentials.gid);
    code = cf_fail(CUFRAMES_ERR_PERMISSION, "the publisher's allow list has neither user %u nor group %u", uid,
                   peer->credentials.gid);
    return cf_peer_refuse(p, peer, code);
  }
  if (cf_discard_is_burdened_by(uid))
    code = cf_fail(CUFRAMES_ERR_NO_CAPACITY, "what user %u sent keeps the publisher from closing it: end who sent it",
                   uid);
  else
    code = cf_connections_check(p, peer, &hungry);
  if (code == CUFRAMES_OK)
    return true;
  if (hungry) {
    peer_free(p, hungry);
    return true;
  }
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING, "%s: refused user %u: %s", p->name, uid,
                 cf_last_detail());
  return cf_peer_refuse(p, peer, code);
}

static void peer_new(cuframes_publisher *p, int fd) {
  cf_service *service = &p->service;
  if (service->half_open >= HALF_OPEN_MAX)
    peer_free(p, cf_connections_oldest_half_open(service));
  cf_peer *peer = calloc(1, sizeof *peer);
  if (!peer) {
    (void)cf_hang_up(fd); /* or it stays open */
    return;
  }
  *peer = (cf_peer){ .fd = fd,
                     .pidfd = -1,
                     .seat_fd = -1,
                     .state = CF_PEER_CONNECTED,
                     .deadline = cf_now() + CF_HANDSHAKE_NS,
                     .next = service->peers };
  service->peers = peer;
  service->half_open++;
  if (!peer_may_stay(p, peer) || watch(service, fd, EPOLLIN | EPOLLRDHUP, tag_of(peer, false)) != CUFRAMES_OK)
    peer_free(p, peer);
}

static void accept_later(cf_service *service) {
  unwatch(service, service->listener); /* or it would be ready all the time */
  service->listen_again = cf_now() + ACCEPT_AGAIN_NS;
}

static void listener_accept(cuframes_publisher *p) {
  cf_service *service = &p->service;
  if (cf_discard_is_full()) {
    cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_ERROR,
                   "%s: nobody can join: too many connections cannot be closed for what came over them", p->name);
    accept_later(service);
    return;
  }
  int fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) {
    peer_new(p, cf_private(fd));
    return;
  }
  if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
    return; /* the peer went away again */
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_ERROR,
                 "%s: cannot accept a subscriber: %s; raise the descriptor limit (ulimit -n)", p->name,
                 strerror(errno));
  accept_later(service);
}

/* ---- messages ---- */

static void peer_admitted(cuframes_publisher *p, cf_peer *peer) {
  p->service.half_open--;
  peer->state = cf_peer_admitted(peer->fenced.seat.page ? CF_ROLE_SUBSCRIBER : CF_ROLE_MONITOR, true);
  peer->deadline = CF_NEVER;
  /* its death is seen here even while a forked child keeps the socket open */
  peer->pidfd = peer->fenced.seat.page ? cf_peer_pidfd(peer->fd, &peer->credentials) : -1;
  if (peer->pidfd >= 0 && watch(&p->service, peer->pidfd, EPOLLIN, tag_of(peer, true)) != CUFRAMES_OK) {
    cf_close(peer->pidfd);
    peer->pidfd = -1;
  }
}

/* An attempt to make slots has ended: those who waited for them are seated or refused. What came of it is no matter
 * where none are lacking any more, since others have left. */
static void waiting_seat(cuframes_publisher *p) {
  int result = CUFRAMES_OK;
  if (cf_pool_lacks(&p->pool) > 0) {
    if (p->growth.result == CUFRAMES_OK)
      return; /* somebody joined meanwhile: another attempt is under way */
    result = cf_fail(p->growth.result, "%s", p->growth.detail);
  }
  for (cf_peer *peer = p->service.peers, *older; peer; peer = older) {
    older = peer->next;
    if (!peer->waits)
      continue;
    if (cf_peer_seat(p, peer, result))
      peer_admitted(p, peer);
    else
      peer_hang_up(p, peer);
  }
}

static void broke_protocol(cuframes_publisher *p, const cf_peer *peer) {
  cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_WARNING,
                 "%s: closed a connection of pid %d, user %u: it broke the protocol", p->name, peer->credentials.pid,
                 peer->credentials.uid);
}

static bool peer_act(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  switch (cf_peer_action(peer->state, cf_message_type(message, length))) {
    case CF_DO_ADMIT: {
      if (!cf_peer_admit(p, peer, message, length))
        return false;
      if (!peer->waits)
        peer_admitted(p, peer);
      else
        cf_doorbell_ring(p->service.doorbell); /* for cf_growth_step() */
      return true;
    }
    case CF_DO_SEND_SEGMENT: return cf_peer_send_segment(p, peer, message, length);
    case CF_DO_SEND_PACKETS: return cf_peer_send_packets(p, peer);
    case CF_DO_SEND_CODEC: return cf_peer_send_codec(p, peer, message, length);
    case CF_DO_SEND_INFO: return cf_peer_send_info(p, peer);
    case CF_DO_SEND_EVENTS: return cf_peer_send_events(p, peer, message, length);
    case CF_DO_SEND_SIDE_DATA: return cf_peer_send_side_data(p, peer, message, length);
    case CF_DO_CLOSE: break;
  }
  broke_protocol(p, peer);
  return false;
}

/* The next request is read when the answer to the one before was received: so there is one at most that waits in the
 * peer's queue, whatever it asks for. And what may be answered with descriptors is read when not too many of its user's
 * connections have some waiting. */
static bool peer_pause(cuframes_publisher *p, cf_peer *peer) {
  struct epoll_event ends = { .events = EPOLLRDHUP, .data.u64 = tag_of(peer, false) };
  if (cf_peer_is_behind(peer)) { /* what it receives meanwhile is seen at once: that there is room is an event, too */
    watch_for_reading(&p->service, peer);
  } else if (peer->state != CF_PEER_WATCHING && !cf_connections_may_be_given(&p->service, peer)) {
    (void)epoll_ctl(p->service.epoll, EPOLL_CTL_MOD, peer->fd, &ends); /* it was added */
    p->service.resume_at = cf_now() + RESUME_NS;
  } else {
    return false;
  }
  peer->paused = true;
  return true;
}

static void peer_resume(cuframes_publisher *p, cf_peer *peer) {
  struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.u64 = tag_of(peer, false) };
  if (cf_peer_is_behind(peer))
    return;
  peer->paused = false;
  (void)epoll_ctl(p->service.epoll, EPOLL_CTL_MOD, peer->fd, &event); /* it was added */
}

static void peer_readable(cuframes_publisher *p, cf_peer *peer) {
  size_t length;
  if (peer_pause(p, peer))
    return;
  int result = cf_receive(peer->fd, p->service.message, CF_WIRE_MESSAGE_MAX, &length, NULL);
  if (result == CF_RECEIVE_NOTHING)
    return;
  if (result == CUFRAMES_ERR_PROTOCOL)
    broke_protocol(p, peer);
  if (result != CUFRAMES_OK || peer->waits || !peer_act(p, peer, p->service.message, length))
    peer_hang_up(p, peer);
  else if (peer->state == CF_PEER_WATCHING)
    peer->deadline = cf_now() + MONITOR_IDLE_NS;
}

static void peer_event(cuframes_publisher *p, cf_peer *peer, uint32_t events) {
  if (peer->state == CF_PEER_CLOSED)
    peer_free(p, peer); /* it may have received the rest */
  else if (peer->paused && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
    peer_resume(p, peer);
  else if (!peer->paused && (events & EPOLLIN))
    peer_readable(p, peer);
  else
    peer_hang_up(p, peer);
}

/* ---- the thread ---- */

/* A publisher that makes no call does not notice that its GPU failed, and its subscribers would wait for the last
 * frame. */
static void device_look(cuframes_publisher *p, int64_t now) {
  cf_service *service = &p->service;
  if (service->look_at == CF_NEVER && cf_flag_get(&p->looked_after))
    service->look_at = now + LOOK_NS;
  if (service->look_at > now)
    return;
  service->look_at = CF_NEVER;
  cf_flag_set(&p->looked_after, 0); /* before the look: the next frame rings */
  if (cf_writer_head_completed(&p->writer) || cf_flag_get(&p->failed))
    return;
  cf_flag_set(&p->looked_after, 1);
  service->look_at = now + LOOK_NS;
  cf_publisher_look_at_device(p);
}

static void grow(cuframes_publisher *p) {
  if (cf_growth_step(p, cf_now()))
    waiting_seat(p);
  if (!cf_growth_begin(p))
    waiting_seat(p);
}

static void resume_all(cuframes_publisher *p) {
  p->service.resume_at = CF_NEVER;
  for (cf_peer *peer = p->service.peers; peer; peer = peer->next)
    if (peer->paused && peer->state != CF_PEER_CLOSED)
      peer_resume(p, peer);
}

static int64_t deadlines_run(cuframes_publisher *p) {
  cf_service *service = &p->service;
  int64_t now = cf_now(), next = service->listen_again;
  if (next <= now) /* without memory to watch it: later */
    next = service->listen_again =
        watch(service, service->listener, EPOLLIN, 0) == CUFRAMES_OK ? CF_NEVER : now + ACCEPT_AGAIN_NS;
  for (cf_peer *peer = service->peers, *older; peer; peer = older) {
    older = peer->next;
    if (cf_deadline_over(&peer->deadline, now))
      peer_free(p, peer);
    else if (peer->deadline < next)
      next = peer->deadline;
  }
  if (!cf_completer_free_deferred(&p->completer, false) && next > now + DEFERRED_AGAIN_NS)
    next = now + DEFERRED_AGAIN_NS;
  if (service->resume_at <= now)
    resume_all(p);
  next = service->resume_at < next ? service->resume_at : next;
  device_look(p, now);
  if (cf_growth_deadline(p) <= now)
    grow(p);
  int64_t growth = cf_growth_deadline(p);
  next = growth < next ? growth : next;
  int64_t say = cf_log_say_left_out(&p->logger, &p->log_limit, now);
  next = say < next ? say : next;
  return service->look_at < next ? service->look_at : next;
}

/* The device is lost: nobody can join any more, and every subscriber learns it by the end of its socket. */
static void hang_up_all(cuframes_publisher *p) {
  cf_service *service = &p->service;
  if (service->listener >= 0 && service->listen_again == CF_NEVER)
    unwatch(service, service->listener);
  service->listen_again = CF_NEVER;
  cf_listen_end(service->listener);
  service->listener = -1;
  service->ending = true;
  while (service->peers)
    peer_free(p, service->peers);
}

static bool stop_asked(cf_service *service) {
  pthread_mutex_lock(&service->lock);
  bool stop = service->stop;
  pthread_mutex_unlock(&service->lock);
  return stop;
}

static bool peer_known(const cf_service *service, const cf_peer *peer) {
  for (const cf_peer *known = service->peers; known; known = known->next)
    if (known == peer)
      return true;
  return false;
}

static void event_handle(cuframes_publisher *p, const struct epoll_event *event) {
  cf_service *service = &p->service;
  cf_peer *peer = (cf_peer *)(uintptr_t)(event->data.u64 & ~UINT64_C(1));
  if (event->data.u64 == 0) {
    listener_accept(p);
  } else if (event->data.u64 == 1) {
    cf_doorbell_drain(service->doorbell);
    if (cf_flag_get(&p->failed))
      hang_up_all(p);
    cf_pool_reap(&p->pool);
    grow(p);
  } else if (peer_known(service, peer)) { /* an earlier event of this round may have freed it */
    if (event->data.u64 & 1)
      peer_free(p, peer); /* its process is dead */
    else
      peer_event(p, peer, event->events);
  }
}

static void *service_run(void *argument) {
  cuframes_publisher *p = argument;
  struct epoll_event events[32];
  while (!stop_asked(&p->service)) {
    int64_t next = deadlines_run(p);
    int count = epoll_wait(p->service.epoll, events, 32, cf_deadline_poll_ms(next));
    for (int i = 0; i < count; i++)
      event_handle(p, &events[i]);
    departed_free(&p->service);
  }
  return NULL;
}

/* The steps of cf_service_start(), which undoes them if one fails. */
static int service_open(cuframes_publisher *p) {
  cf_service *service = &p->service;
  service->message = malloc(CF_WIRE_MESSAGE_MAX);
  if (!service->message)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  service->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (service->epoll < 0)
    return cf_fail_errno("epoll_create1");
  (void)cf_private(service->epoll);
  int result = cf_doorbell_create(&service->doorbell);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_listen(p->claim.directory, p->claim.socket_path, p->socket_mode, p->socket_gid, &service->listener);
  if (result != CUFRAMES_OK)
    return result;
  result = watch(service, service->listener, EPOLLIN, 0);
  if (result != CUFRAMES_OK)
    return result;
  result = watch(service, service->doorbell, EPOLLIN, 1);
  if (result != CUFRAMES_OK)
    return result;
  return cf_thread_start(&service->thread, "cuframes-serve", service_run, p);
}

static void service_close(cf_service *service) {
  cf_listen_end(service->listener);
  cf_close(service->doorbell);
  cf_close(service->epoll);
  free(service->message);
  service->message = NULL;
  pthread_mutex_destroy(&service->lock);
}

int cf_service_start(cuframes_publisher *p) {
  cf_service *service = &p->service;
  pthread_mutex_init(&service->lock, NULL);
  service->listen_again = service->look_at = service->resume_at = CF_NEVER;
  service->epoll = service->doorbell = service->listener = -1;
  int result = service_open(p);
  service->running = result == CUFRAMES_OK;
  if (!service->running)
    service_close(service);
  return result;
}

void cf_service_stop(cuframes_publisher *p) {
  cf_service *service = &p->service;
  if (!service->running)
    return;
  pthread_mutex_lock(&service->lock);
  service->stop = true;
  pthread_mutex_unlock(&service->lock);
  cf_doorbell_ring(service->doorbell);
  (void)pthread_join(service->thread, NULL); /* it is joinable and ours */
  cf_waker_stop(p);
  cf_growth_stop(p);
  service->ending = true;
  while (service->peers)
    peer_free(p, service->peers);
  departed_free(service);
  service_close(service);
  service->running = false;
}
