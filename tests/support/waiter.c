/* support/waiter.c - a thread that waits for a frame or a packet. */
#include "support/waiter.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "support/child.h"

static void *wait_run(void *argument) {
  waiter *w = argument;
  pthread_mutex_lock(&w->lock);
  w->thread_id = (pid_t)syscall(SYS_gettid);
  pthread_mutex_unlock(&w->lock);
  w->result = w->for_packet ? cuframes_subscriber_next_packet(w->subscriber, w->timeout_ns, &w->packet)
                            : cuframes_subscriber_next(w->subscriber, w->timeout_ns, &w->frame);
  w->ended = cuframes_now();
  return NULL;
}

static pid_t thread_of(waiter *w) {
  pthread_mutex_lock(&w->lock);
  pid_t thread = w->thread_id;
  pthread_mutex_unlock(&w->lock);
  return thread;
}

static void start(waiter *w, cuframes_subscriber *subscriber, int64_t timeout_ns, bool for_packet) {
  *w = (waiter){ .subscriber = subscriber, .timeout_ns = timeout_ns, .for_packet = for_packet };
  CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
  CHECK(pthread_create(&w->thread, NULL, wait_run, w) == 0);
  WAIT_FOR(thread_of(w) != 0);
  thread_wait_asleep(thread_of(w));
}

void waiter_start(waiter *w, cuframes_subscriber *subscriber, int64_t timeout_ns) {
  start(w, subscriber, timeout_ns, false);
}

void waiter_start_packet(waiter *w, cuframes_subscriber *subscriber, int64_t timeout_ns) {
  start(w, subscriber, timeout_ns, true);
}

int waiter_end(waiter *w) {
  CHECK(pthread_join(w->thread, NULL) == 0);
  pthread_mutex_destroy(&w->lock);
  return w->result;
}
