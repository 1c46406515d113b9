/* subscriber/watcher.c - the thread that wakes a subscriber when no publisher will: at its death, an interruption,
 * the end.
 *
 * It sleeps in poll() on the socket and costs nothing meanwhile. A flag was set before it wakes the word on which
 * readers sleep, and it does so until no sleeper is left that may have missed it.
 */
#include <poll.h>

#include "os/thread.h"
#include "subscriber/subscriber.h"

#define WAKE_AGAIN_MS 1

/* A flag was set before: a sleeper that counted itself later sees it and does not sleep. */
void cf_watcher_wake(cuframes_subscriber *s, cf_connection *connection) {
  while (cf_flag_get(&connection->sleepers) > 0 && cf_must_not_sleep(s, connection)) {
    (void)cf_futex_wake(&connection->reader.control->wake, INT32_MAX);
    if (cf_flag_get(&connection->packets_mapped))
      (void)cf_futex_wake(&connection->packet_reader.region->wake, INT32_MAX);
    (void)poll(NULL, 0, WAKE_AGAIN_MS); /* it may have been between its look and its sleep */
  }
}

static void *watcher_run(void *argument) {
  cuframes_subscriber *s = argument;
  while (!cf_flag_get(&s->stop)) {
    cf_connection *connection = cf_subscriber_borrow(s);
    /* also one that is GONE: a request that failed says that, too, and then streams may still wait for fences */
    bool live = connection && cf_connection_life(connection) < CF_ABANDONED;
    struct pollfd fds[2] = { { .fd = s->doorbell, .events = POLLIN },
                             { .fd = live ? connection->fd : -1, .events = POLLRDHUP } };
    (void)poll(fds, 2, -1); /* on an error we look at everything once more */
    cf_doorbell_drain(s->doorbell);
    if (live && (fds[1].revents & (POLLHUP | POLLRDHUP | POLLERR)))
      cf_connection_abandon(connection);
    if (connection)
      cf_watcher_wake(s, connection);
    cf_subscriber_return(s, connection);
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
