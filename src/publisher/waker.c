/* publisher/waker.c - the thread that wakes subscribers where there are many to wake, so that the publisher's call is
 * short. It does nothing else: no allocation, message or log is in its way.
 */
#include "os/clock.h"
#include "os/thread.h"
#include "publisher/publisher.h"

/* Longer than it takes to put the work of a frame on a stream. */
#define FRAME_NS (200 * CF_MS / 1000)

/* ---- whether it may be left anything ---- */

/* On a machine with a processor to spare it comes within some 0.1 ms. */
#define LATE_NS CF_MS
/* Each time that it is late has to be made up for by so many times in time, in all by no more than the second number.
 * Meanwhile it is rung for nothing with every fourth frame, to see whether it comes. */
#define DEBT 64u
#define DEBT_MOST 256u
#define TRY_EVERY 4u

static bool is_late(const cf_waker *waker, int64_t now) {
  int64_t rung_at = (int64_t)cf_counter_get(&waker->rung_at);
  return rung_at != 0 && now - rung_at > LATE_NS;
}

/* Of who rings it. */
static bool is_trusted(cuframes_publisher *p, int64_t now) {
  uint32_t none = 0;
  if (!is_late(&p->waker, now))
    return cf_flag_get(&p->waker_thread.debt) == 0;
  (void)cf_flag_change(&p->waker_thread.debt, &none, DEBT); /* the rest when it comes */
  return false;
}

void cf_waker_answer(cuframes_publisher *p, int64_t now) {
  cf_flag *debt = &p->waker_thread.debt;
  bool late = is_late(&p->waker, now);
  cf_counter_set(&p->waker.rung_at, 0);
  if (!late)
    (void)cf_flag_take(debt);
  else if (cf_flag_get(debt) <= DEBT_MOST - DEBT)
    (void)cf_flag_add(debt, (int32_t)DEBT);
}

/* ---- frames and packets ---- */

__attribute__((hot)) static void rouse(cuframes_publisher *p, int64_t now) {
  cf_flag_hand_over(&p->waker.processor, cf_thread_processor());
  if (cf_counter_get(&p->waker.rung_at) == 0)
    cf_counter_set(&p->waker.rung_at, (uint64_t)now);
  (void)cf_flag_add(&p->waker.rung, 1); /* before the look: pairs with waker_run */
  if (cf_flag_get(&p->waker.asleep))
    (void)cf_futex_wake(&p->waker.rung.value, 1);
}

__attribute__((hot)) void cf_waker_announce(cuframes_publisher *p) {
  int64_t now = cf_now();
  if (!is_trusted(p, now))
    return;
  if (cf_flag_swap(&p->waker.prewake, CF_PREWAKE_ASKED) == CF_PREWAKE_PUBLISHED)
    cf_flag_set(&p->waker.due, 1); /* nobody was woken for the frame before yet, and this one may never come */
  p->left_to_waker = 1;
  rouse(p, now);
}

__attribute__((hot)) bool cf_waker_waits(cuframes_publisher *p, int64_t now) {
  if (is_trusted(p, now))
    return cf_flag_swap(&p->waker.prewake, CF_PREWAKE_PUBLISHED) == CF_PREWAKE_ASKED; /* pairs with wait_for_frame */
  cf_flag_set(&p->waker.prewake, CF_PREWAKE_NONE); /* if it does wait, it waits no longer, and wakes nobody */
  return false;
}

__attribute__((hot)) static bool takes(cuframes_publisher *p, cf_flag *due, int64_t now) {
  cf_waker *waker = &p->waker;
  if (!cf_flag_get(&waker->running))
    return false;
  if (is_trusted(p, now)) {
    cf_flag_set(due, 1); /* before it is roused */
    rouse(p, now);
    return true;
  }
  cf_flag_set(due, 0); /* what was left to it before the caller does, too */
  if (cf_counter_get(&waker->rung_at) == 0 && cf_flag_add(&p->waker_thread.untried, 1) % TRY_EVERY == 0)
    rouse(p, now);
  return false;
}

__attribute__((hot)) bool cf_waker_takes(cuframes_publisher *p, int64_t now) {
  p->left_to_waker = takes(p, &p->waker.due, now);
  return p->left_to_waker;
}

bool cf_waker_takes_packet(cuframes_publisher *p, int64_t now) {
  return takes(p, &p->waker.due_packets, now);
}

__attribute__((hot)) void cf_waker_help(cuframes_publisher *p) {
  cf_waker *waker = &p->waker;
  uint32_t published = CF_PREWAKE_PUBLISHED;
  bool came = cf_counter_get(&waker->rung_at) == 0;
  if (!came && is_trusted(p, cf_now()))
    return;
  p->left_to_waker = 0;
  if (came)
    return;
  bool due = cf_flag_swap(&waker->due, 0) != 0;
  if (cf_flag_change(&waker->prewake, &published, CF_PREWAKE_NONE) || due)
    (void)cf_publisher_wake(p);
}

__attribute__((hot)) uint32_t cf_publisher_wake(cuframes_publisher *p) {
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

static void wake_for_frame(cuframes_publisher *p) {
  cf_flag_set(&p->waker.woken, cf_publisher_wake(p));
}

static void wake_for_packet(cuframes_publisher *p) {
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
  for (uint32_t seen = 0; !cf_flag_get(&p->waker_thread.stop);) {
    cf_flag_set(&waker->asleep, 1); /* before the look: pairs with cf_waker_ring */
    if (cf_flag_get(&waker->rung) == seen)
      (void)cf_futex_wait(&waker->rung.value, seen, CF_NEVER);
    cf_flag_set(&waker->asleep, 0);
    uint32_t rung = cf_flag_get(&waker->rung); /* before it wakes: what is published later rings again */
    if (rung == seen)
      continue;
    seen = rung;
    cf_waker_answer(p, cf_now());
    if (cf_flag_get(&waker->processor) == cf_thread_processor()) /* or it would hold up who rang */
      cf_thread_keep_off(cf_thread_processor(), &all);
    if (cf_flag_swap(&waker->due, 0))
      wake_for_frame(p);
    if (cf_flag_swap(&waker->due_packets, 0))
      wake_for_packet(p);
    if (wait_for_frame(waker)) /* also after that: it was roused for both, perhaps */
      wake_for_frame(p);
  }
  return NULL;
}

void cf_waker_start(cuframes_publisher *p) {
  cf_waker *waker = &p->waker;
  if (cf_flag_get(&waker->running))
    return;
  if (cf_thread_start(&p->waker_thread.thread, "cuframes-wake", waker_run, p) == CUFRAMES_OK)
    cf_flag_set(&waker->running, 1); /* else the publisher wakes them itself */
}

void cf_waker_stop(cuframes_publisher *p) {
  if (!cf_flag_get(&p->waker.running))
    return;
  cf_flag_set(&p->waker_thread.stop, 1);
  (void)cf_flag_add(&p->waker.rung, 1);
  (void)cf_futex_wake(&p->waker.rung.value, 1);
  (void)pthread_join(p->waker_thread.thread, NULL); /* it is joinable and ours */
  cf_flag_set(&p->waker.running, 0);
}
