/* publisher/waker.c - the thread that wakes subscribers where there are many to wake, so that the publisher's call is
 * short. It does nothing else: no allocation, message or log is in its way.
 */
#include "os/clock.h"
#include "os/thread.h"
#include "publisher/publisher.h"

/* Longer than it takes to put the work of a frame on a stream. */
#define FRAME_NS (200 * CF_MS / 1000)

/* ---- frames and packets ---- */

static void rouse(cuframes_publisher *p) {
  cf_flag_hand_over(&p->waker.processor, cf_thread_processor());
  (void)cf_flag_add(&p->waker.rung, 1); /* before the look: pairs with waker_run */
  if (cf_flag_get(&p->waker.asleep))
    (void)cf_futex_wake(&p->waker.rung.value, 1);
}

void cf_waker_announce(cuframes_publisher *p) {
  if (cf_flag_swap(&p->waker.prewake, CF_PREWAKE_ASKED) == CF_PREWAKE_PUBLISHED)
    cf_flag_set(&p->waker.due, 1); /* nobody was woken for the frame before yet, and this one may never come */
  rouse(p);
}

bool cf_waker_waits(cuframes_publisher *p) {
  return cf_flag_swap(&p->waker.prewake, CF_PREWAKE_PUBLISHED) == CF_PREWAKE_ASKED; /* pairs with wait_for_frame */
}

void cf_waker_ring(cuframes_publisher *p) {
  cf_flag_set(&p->waker.due, 1); /* before it is roused */
  rouse(p);
}

uint32_t cf_publisher_wake(cuframes_publisher *p) {
  cf_writer_move_wake(&p->writer);
  int woken = cf_futex_wake(&p->writer.control->wake, INT32_MAX);
  return woken > 0 ? (uint32_t)woken : 0;
}

/* ---- the thread ---- */

/* If a frame was begun it is published in a moment. False: it was not, and from here on the publisher rings. */
static bool wait_for_frame(cf_waker *waker) {
  if (cf_flag_get(&waker->prewake) == CF_PREWAKE_NONE)
    return false;
  int64_t end = cf_now() + FRAME_NS;
  while (cf_flag_get(&waker->prewake) == CF_PREWAKE_ASKED && cf_now() < end)
    cf_spin_pause();
  return cf_flag_swap(&waker->prewake, CF_PREWAKE_NONE) == CF_PREWAKE_PUBLISHED;
}

static void wake_all(cuframes_publisher *p) {
  cf_flag_set(&p->waker.woken, cf_publisher_wake(p));
  pthread_mutex_lock(&p->packets.describe);
  if (p->packets.enabled)
    (void)cf_futex_wake(&p->packets.writer.region->wake, INT32_MAX);
  pthread_mutex_unlock(&p->packets.describe);
}

static void *waker_run(void *argument) {
  cuframes_publisher *p = argument;
  cf_waker *waker = &p->waker;
  cf_processors all = { 0 };
  cf_thread_prefer_soon();
  for (uint32_t seen = 0; !cf_flag_get(&waker->stop);) {
    cf_flag_set(&waker->asleep, 1); /* before the look: pairs with cf_waker_ring */
    if (cf_flag_get(&waker->rung) == seen)
      (void)cf_futex_wait(&waker->rung.value, seen, CF_NEVER);
    cf_flag_set(&waker->asleep, 0);
    uint32_t rung = cf_flag_get(&waker->rung); /* before it wakes: what is published later rings again */
    if (rung == seen)
      continue;
    seen = rung;
    if (cf_flag_get(&waker->processor) == cf_thread_processor()) /* or it would hold up who rang */
      cf_thread_keep_off(cf_thread_processor(), &all);
    if (cf_flag_swap(&waker->due, 0))
      wake_all(p);
    if (wait_for_frame(waker)) /* also after that: it was roused for both, perhaps */
      wake_all(p);
  }
  return NULL;
}

void cf_waker_start(cuframes_publisher *p) {
  cf_waker *waker = &p->waker;
  if (cf_flag_get(&waker->running))
    return;
  if (cf_thread_start(&waker->thread, "cuframes-wake", waker_run, p) == CUFRAMES_OK)
    cf_flag_set(&waker->running, 1); /* else the publisher wakes them itself */
}

void cf_waker_stop(cuframes_publisher *p) {
  if (!cf_flag_get(&p->waker.running))
    return;
  cf_flag_set(&p->waker.stop, 1);
  (void)cf_flag_add(&p->waker.rung, 1);
  (void)cf_futex_wake(&p->waker.rung.value, 1);
  (void)pthread_join(p->waker.thread, NULL); /* it is joinable and ours */
  cf_flag_set(&p->waker.running, 0);
}
