/* api/subscriber_wait.c - how a subscriber sleeps, and how it is woken when no publisher will: by death, interruption
 * and the end.
 *
 * Readers sleep on a word of the publisher's memory, which they cannot write. So whoever must wake them without the
 * publisher sets a flag of this process and wakes the word until no sleeper is left that may have missed it. The
 * watcher does that; it sleeps in poll() on the socket and costs nothing meanwhile.
 */
#include <poll.h>
#include <string.h>

#include "api/subscriber_internal.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"

#define WAKE_AGAIN_MS 1

/* ---- sleeping ---- */

static bool must_not_sleep(const cuframes_subscriber *s, const cf_connection *connection) {
  return cf_flag_get(&connection->gone) || cf_flag_get(&s->interrupted) || cf_flag_get(&s->stop);
}

void cf_sleep_for_frame(cuframes_subscriber *s, cf_connection *connection, bool started, uint64_t last,
                        int64_t deadline) {
  const cf_frame_reader *reader = &connection->reader;
  (void)cf_flag_add(&connection->sleepers, 1); /* before the flags are read: pairs with cf_watcher_wake */
  uint32_t word = cf_reader_prepare_wait(reader);
  if (!cf_reader_news(reader, started, last) && !must_not_sleep(s, connection))
    (void)cf_futex_wait(&reader->control->wake, word, deadline); /* whatever ended it, the caller looks again */
  cf_reader_end_wait(reader);
  (void)cf_flag_add(&connection->sleepers, -1);
}

void cf_sleep_for_packet(cuframes_subscriber *s, cf_connection *connection, uint32_t word, int64_t deadline) {
  (void)cf_flag_add(&connection->sleepers, 1);
  if (!must_not_sleep(s, connection) && !cf_reader_ended(&connection->reader))
    (void)cf_futex_wait(&connection->packet_reader.region->wake, word, deadline);
  (void)cf_flag_add(&connection->sleepers, -1);
}

void cf_sleep_for_connection(cuframes_subscriber *s, int64_t deadline) {
  pthread_mutex_lock(&s->connect_lock);
  int64_t until = s->connect_at < deadline ? s->connect_at : deadline;
  pthread_mutex_unlock(&s->connect_lock);
  (void)cf_futex_wait(&s->interrupted.value, 0, until); /* the caller looks again */
}

void cuframes_subscriber_interrupt(cuframes_subscriber *s) {
  if (!s)
    return;
  cf_flag_set(&s->interrupted, 1);
  (void)cf_futex_wake(&s->interrupted.value, INT32_MAX);
  cf_doorbell_ring(s->doorbell);
}

/* ---- the watcher ---- */

/* A flag was set before: a sleeper that counted itself later sees it and does not sleep. */
void cf_watcher_wake(cuframes_subscriber *s, cf_connection *connection) {
  while (cf_flag_get(&connection->sleepers) > 0 && must_not_sleep(s, connection)) {
    (void)cf_futex_wake(&connection->reader.control->wake, INT32_MAX);
    if (cf_flag_get(&connection->packets_mapped))
      (void)cf_futex_wake(&connection->packet_reader.region->wake, INT32_MAX);
    (void)poll(NULL, 0, WAKE_AGAIN_MS); /* it may have been between its look and its sleep */
  }
}

static void *watcher_run(void *argument) {
  cuframes_subscriber *s = argument;
  while (!cf_flag_get(&s->stop)) {
    cf_connection *connection = cf_subscriber_current(s);
    /* not `gone`: a request that failed says that, too, and then streams may still wait for gates */
    bool live = connection && !cf_flag_get(&connection->given_up);
    struct pollfd fds[2] = { { .fd = s->doorbell, .events = POLLIN },
                             { .fd = live ? connection->fd : -1, .events = POLLRDHUP } };
    (void)poll(fds, 2, -1); /* on an error we look at everything once more */
    cf_doorbell_drain(s->doorbell);
    if (live && (fds[1].revents & (POLLHUP | POLLRDHUP | POLLERR)))
      cf_connection_lose(connection);
    if (connection)
      cf_watcher_wake(s, connection);
    cf_subscriber_let_go(s, connection);
  }
  return NULL;
}

int cf_watcher_start(cuframes_subscriber *s) {
  int result = cf_thread_start(&s->watcher, "cuframes-watch", watcher_run, s);
  s->watching = result == CUFRAMES_OK;
  return result;
}

void cf_watcher_stop(cuframes_subscriber *s) {
  if (!s->watching)
    return;
  cf_flag_set(&s->stop, 1);
  cf_doorbell_ring(s->doorbell);
  (void)pthread_join(s->watcher, NULL); /* it is joinable and ours */
}

void cf_watcher_update(cuframes_subscriber *s) {
  cf_doorbell_ring(s->doorbell);
}

/* ---- the pollable descriptor ---- */

/* What it was armed with goes to *armed. */
static bool notifier_wait_armed(cf_notifier *n, cf_notifier *armed) {
  pthread_mutex_lock(&n->lock);
  while (!n->armed && !n->stop)
    pthread_cond_wait(&n->changed, &n->lock);
  armed->started = n->started;
  armed->last = n->last;
  armed->pending_slot = n->pending_slot;
  armed->pending_seq = n->pending_seq;
  bool go_on = !n->stop;
  pthread_mutex_unlock(&n->lock);
  return go_on;
}

static void *notifier_run(void *argument) {
  cuframes_subscriber *s = argument;
  cf_notifier *n = &s->notifier;
  cf_notifier armed;
  while (notifier_wait_armed(n, &armed)) {
    cf_connection *connection = cf_subscriber_current(s);
    if (connection && armed.pending_seq != 0) { /* a GPU completes it, which wakes nobody */
      int64_t began = cf_now();
      while (!cf_reader_complete(&connection->reader, armed.pending_slot, armed.pending_seq) &&
             !must_not_sleep(s, connection))
        cf_wait_turn(began, CF_NEVER);
    } else if (connection) {
      while (!cf_reader_news(&connection->reader, armed.started, armed.last) && !must_not_sleep(s, connection))
        cf_sleep_for_frame(s, connection, armed.started, armed.last, CF_NEVER);
    } else {
      cf_sleep_for_connection(s, CF_NEVER);
    }
    cf_subscriber_let_go(s, connection);
    pthread_mutex_lock(&n->lock);
    n->armed = false;
    cf_doorbell_ring(n->fd);
    pthread_mutex_unlock(&n->lock);
  }
  return NULL;
}

void cf_notifier_arm(cuframes_subscriber *s, const cf_connection *connection) {
  cf_notifier *n = &s->notifier;
  if (!n->running)
    return;
  pthread_mutex_lock(&n->lock);
  if (!n->armed) {
    cf_doorbell_drain(n->fd);
    n->armed = true;
    n->started = connection && connection->reader.started;
    n->last = connection ? connection->reader.last : 0;
    n->pending_slot = s->pending ? s->pending->slot : 0;
    n->pending_seq = s->pending ? s->pending->seq : 0;
    pthread_cond_signal(&n->changed);
  }
  pthread_mutex_unlock(&n->lock);
}

void cf_notifier_stop(cuframes_subscriber *s) {
  cf_notifier *n = &s->notifier;
  if (n->running) {
    pthread_mutex_lock(&n->lock);
    n->stop = true;
    pthread_cond_signal(&n->changed);
    pthread_mutex_unlock(&n->lock);
    cuframes_subscriber_interrupt(s);
    (void)pthread_join(n->thread, NULL); /* it is joinable and ours */
  }
  cf_close(n->fd);
}

int cuframes_subscriber_fd(cuframes_subscriber *s, int *fd) {
  if (!s || !fd)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_fd: subscriber and fd must be given");
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  if (cf_callback_blocks(s))
    return cf_fail(CUFRAMES_ERR_BUSY, "the callback thread takes the frames: stop it first");
  cf_notifier *n = &s->notifier;
  int result = CUFRAMES_OK;
  if (!n->running) {
    if (n->fd < 0)
      result = cf_doorbell_create(&n->fd);
    if (result == CUFRAMES_OK)
      result = cf_thread_start(&n->thread, "cuframes-notify", notifier_run, s);
    n->running = result == CUFRAMES_OK;
    if (n->running)
      cf_doorbell_ring(n->fd); /* the first poll: there may be a frame already; next() arms it when there is none */
  }
  if (result == CUFRAMES_OK)
    *fd = n->fd;
  return result;
}
