/* subscriber/notifier.c - the descriptor to poll: a thread that sleeps like any reader and then makes it readable. */
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "subscriber/subscriber.h"

/* Its end does not wait longer than this for a publisher's answer. */
#define ANSWER_MS 20

/* What it was armed with goes to *armed. */
static bool notifier_wait_armed(cf_notifier *n, cf_notifier *armed) {
  pthread_mutex_lock(&n->lock);
  while (!n->armed && !n->stop)
    pthread_cond_wait(&n->changed, &n->lock);
  armed->started = n->started;
  armed->last = n->last;
  armed->serial = n->serial;
  armed->unmapped = n->unmapped;
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
    if (connection && connection->serial != armed.serial) {
      /* another one than next() looked at: it looks again */
    } else if (connection && armed.unmapped) { /* it goes on when the publisher has answered, or is asked once more */
      struct pollfd answer = { .fd = connection->fd, .events = POLLIN };
      (void)poll(&answer, 1, ANSWER_MS);
    } else if (connection && armed.pending_seq != 0) { /* a GPU completes it, which wakes nobody */
      int64_t began = cf_now();
      while (!cf_reader_complete(&connection->reader, armed.pending_slot, armed.pending_seq) &&
             !cf_must_not_sleep(s, connection))
        cf_wait_turn(began, CF_NEVER);
    } else if (connection) {
      while (!cf_reader_news(&connection->reader, armed.started, armed.last) && !cf_must_not_sleep(s, connection))
        cf_sleep_for_frame(s, connection, armed.started, armed.last, CF_NEVER);
    } else {
      cf_sleep_for_connection(s, CF_NEVER);
    }
    cf_connection_drop(connection);
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
    bool pending = connection && s->pending && s->pending->owner == connection;
    n->serial = connection ? connection->serial : 0;
    n->unmapped = connection && connection->is_unmapped;
    n->pending_slot = pending ? s->pending->slot : 0;
    n->pending_seq = pending ? s->pending->seq : 0;
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
  if (s->callback.running)
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
