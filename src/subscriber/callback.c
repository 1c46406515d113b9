/* subscriber/callback.c - the callback thread: next() in a loop. */
#include "os/clock.h"
#include "os/error.h"
#include "os/thread.h"
#include "subscriber/subscriber.h"

/* Whose callback this thread runs. */
static _Thread_local const cuframes_subscriber *calling;

/* The callee holds every frame it may: wait until it gives one back. */
static void wait_for_release(cuframes_subscriber *s) {
  cf_connection *connection = cf_subscriber_current(s);
  if (!connection)
    return;
  cf_flag_set(&connection->release_awaited, 1); /* before the look: pairs with cf_connection_announce_release */
  uint32_t seen = cf_flag_get(&connection->releases);
  cf_lock_take(&connection->lock);
  bool full = connection->free_leases == 0;
  cf_lock_give(&connection->lock);
  if (full && !cf_flag_get(&s->callback.stop))
    (void)cf_futex_wait(&connection->releases.value, seen, cf_now() + 100 * CF_MS); /* looks again either way */
  cf_connection_drop(connection);
}

static void *callback_run(void *argument) {
  cuframes_subscriber *s = argument;
  cf_callback *callback = &s->callback;
  pthread_mutex_lock(&s->lock); /* start() has done with the subscriber, which the callee may destroy */
  pthread_mutex_unlock(&s->lock);
  calling = s;
  while (!cf_flag_get(&callback->stop)) {
    cuframes_frame *frame;
    int result = cf_subscriber_next(s, &(cf_take_how){ .timeout_ns = CUFRAMES_WAIT_FOREVER }, &frame);
    if (result == CUFRAMES_ERR_LEASE_LIMIT) {
      wait_for_release(s);
    } else if (result == CUFRAMES_OK) {
      callback->call(callback->user, frame, CUFRAMES_OK);
    } else if (result != CUFRAMES_ERR_INTERRUPTED) {
      callback->call(callback->user, NULL, result);
      break;
    }
  }
  calling = NULL;
  if (callback->destroyed) {
    (void)pthread_detach(pthread_self()); /* nobody joins it any more */
    cf_subscriber_free(s);
  }
  return NULL;
}

bool cf_callback_destroys(cuframes_subscriber *s) {
  if (calling != s)
    return false;
  s->callback.destroyed = true;
  cf_flag_set(&s->callback.stop, CF_STOP_LATER);
  return true;
}

int cuframes_subscriber_start(cuframes_subscriber *s, cuframes_frame_fn call, void *user) {
  if (!s || !call)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_start: subscriber and callback must be given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  if (s->callback.running)
    return cf_fail(CUFRAMES_ERR_BUSY, "the callback thread runs already: stop it first");
  if (cf_subscriber_check_taker(s) != CUFRAMES_OK || cf_subscriber_taker_begin(s, CF_TAKER_CALLBACK) != CUFRAMES_OK)
    return CUFRAMES_ERR_BUSY;
  s->callback.call = call;
  s->callback.user = user;
  cf_flag_set(&s->callback.stop, 0);
  pthread_mutex_lock(&s->lock); /* the thread waits for it before it calls */
  int result = cf_thread_start(&s->callback.thread, "cuframes-call", callback_run, s);
  s->callback.running = result == CUFRAMES_OK;
  if (!s->callback.running)
    cf_flag_set(&s->taker, CF_TAKER_CALLER);
  pthread_mutex_unlock(&s->lock);
  return result;
}

void cf_callback_stop(cuframes_subscriber *s) {
  if (calling == s) { /* it ends after this callback; stop() or destroy() from elsewhere joins it */
    cf_flag_set(&s->callback.stop, CF_STOP_LATER);
    return;
  }
  if (!s->callback.running)
    return;
  cf_flag_set(&s->callback.stop, CF_STOP_NOW); /* no interruption: the thread that takes packets might get that */
  cf_joins_announce(s);
  cf_watcher_ring();
  (void)pthread_join(s->callback.thread, NULL); /* it is joinable and ours */
  cf_flag_set(&s->callback.stop, 0);
  s->callback.running = false;
  cf_flag_set(&s->taker, CF_TAKER_CALLER);
}

int cuframes_subscriber_stop(cuframes_subscriber *s) {
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_stop: no subscriber given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_callback_stop(s);
  return CUFRAMES_OK;
}
