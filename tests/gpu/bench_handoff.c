/* bench_handoff.c - from the end of the publisher's work on the GPU to the return of next() in other processes.
 *
 * What is measured: the publisher's stream copies a picture into the slot and then, before cuframes adds anything of
 * its own, writes a word (WORD_DONE) that a spinning thread on a core of its own watches. That thread's time is "work
 * done": the earliest that any CPU can know of it. The word delays the publisher's own writes by some tenths of a
 * microsecond, which counts against cuframes. A subscriber notes the time when next() has returned, in mode complete:
 * the picture is whole then. Beside it, in turn and to the same processes, the bare wake: a word in shared memory,
 * FUTEX_WAKE of all of them, from just before the word is stored to the return of FUTEX_WAIT. Sleepers have at least 2
 * ms to fall asleep.
 */
#include "bench_gpu.h"

#define WARM_UP 10u
#define PACE (2 * MS)
#define NEAR_PACE (200 * US)
#define READERS 16u
#define ROUNDS 400u
#define LONG_SPIN (10 * SECOND)

typedef struct handoff {
  unsigned readers, rounds, copies;
  bool spin;
  tally arrived; /* one per reader at the start and after each ping */
  tally word;    /* what the bare wake moves */
  int64_t woken[READERS][WARM_UP + ROUNDS], returned[READERS][WARM_UP + ROUNDS]; /* the readers write it */
  int64_t wake_sent[WARM_UP + ROUNDS], submitted[WARM_UP + ROUNDS], done[WARM_UP + ROUNDS];
} handoff;

static handoff *shared; /* one after the other */
static figure to_one = { NAN, NAN };

figure handoff_to_one(void) {
  return to_one;
}

/* ---- a reader ---- */

static void reader_run(void *argument, unsigned index) {
  handoff *h = argument;
  cuframes_subscriber *subscriber =
      gpu_join("handoff", (cuframes_subscriber_options){ .spin_ns = h->spin ? LONG_SPIN : 0 });
  tally_add(&h->arrived);
  for (uint32_t round = 0; round < WARM_UP + h->rounds; round++) {
    while (!h->spin && atomic_load_explicit(&h->word.count, memory_order_acquire) == round)
      futex_wait(&h->word.count, round);
    h->woken[index][round] = now_ns();
    tally_add(&h->arrived);
    cuframes_frame *frame = stream_next(subscriber);
    h->returned[index][round] = now_ns();
    if (!frame || cuframes_frame_pts(frame) != round)
      bench_die("frame %u did not come", round);
    cuframes_frame_release(frame);
    tally_add(&h->arrived);
  }
  cuframes_subscriber_destroy(subscriber);
}

/* ---- the publisher ---- */

/* Waits until every reader has had `pings` pings and waits for the next one. */
static void settle(handoff *h, uint32_t pings) {
  tally_wait(&h->arrived, h->readers * (pings + 1), false);
  sleep_until(now_ns() + (h->spin ? NEAR_PACE : PACE));
}

static void wake_send(handoff *h, uint32_t round) {
  h->wake_sent[round] = now_ns();
  atomic_store_explicit(&h->word.count, round + 1, memory_order_release);
  futex_wake(&h->word.count);
}

static void frame_send(handoff *h, cuframes_publisher *publisher, uint32_t round, uint64_t value) {
  observer_watch(WORD_DONE, value, WORDS, 0);
  h->submitted[round] = now_ns();
  cuframes_frame *frame = stream_acquire(publisher);
  for (unsigned i = 0; i < h->copies; i++)
    work_fill(frame, round + i);
  word_write(work, WORD_DONE, value);
  gpu_send(publisher, frame, round);
  observer_hear(&h->done[round], NULL);
}

static void run(handoff *h) {
  static uint64_t value; /* of WORD_DONE, which only grows */
  cuframes_publisher *publisher = gpu_publish("handoff", WIDTH, HEIGHT, (cuframes_publisher_options){ 0 });
  value = atomic_load_explicit(word_at(WORD_DONE), memory_order_relaxed);
  processes_run(h->readers, reader_run, h);
  cpu_pin_sender(); /* after the publisher's own thread was started: that one goes where it likes */
  observer_begin();
  for (uint32_t round = 0; round < WARM_UP + h->rounds; round++) {
    settle(h, 2 * round);
    if (!h->spin)
      wake_send(h, round);
    settle(h, 2 * round + 1);
    frame_send(h, publisher, round, ++value);
  }
  processes_wait();
  observer_end();
  cpu_unpin();
  cuframes_publisher_destroy(publisher);
}

static figure differences(const handoff *h, bool all, int64_t (*to)[WARM_UP + ROUNDS], const int64_t *from) {
  unsigned readers = all ? h->readers : 1;
  samples *list = samples_new((size_t)readers * h->rounds);
  for (unsigned reader = 0; reader < readers; reader++)
    for (unsigned round = WARM_UP; round < WARM_UP + h->rounds; round++)
      samples_add(list, (double)(to[reader][round] - from[round]));
  figure result = samples_figure(list, 0);
  samples_free(list);
  return result;
}

static handoff *play(unsigned readers, unsigned rounds, unsigned copies, bool spin) {
  if (!shared)
    shared = processes_memory(sizeof *shared);
  *shared = (handoff){ .readers = readers, .rounds = rounds, .copies = copies, .spin = spin };
  run(shared);
  return shared;
}

static const char section[] = "Hand-off: from the GPU's work done to the return of next, mode complete";

static void sleepers(unsigned readers, unsigned rounds, unsigned copies) {
  handoff *h = play(readers, rounds, copies, false);
  double gpu_time = differences(h, false, &h->done, h->submitted).median;
  report_row row = { .section = section,
                     .figure = differences(h, true, h->returned, h->done),
                     .beside = "FUTEX_WAKE of as many",
                     .bare = differences(h, true, h->woken, h->wake_sent),
                     .goal = 1.3 };
  if (readers == 1 && copies == 1)
    to_one = row.figure;
  row_add(row, "%u asleep, after %.0f us of work", readers, gpu_time / 1e3);
  if (copies == 1) {
    row = (report_row){ .section = "Hand-off: from the publisher's first call, with the copy of the picture",
                        .figure = differences(h, true, h->returned, h->submitted),
                        .beside = "FUTEX_WAKE of as many",
                        .bare = row.bare };
    row_add(row, "%u asleep", readers);
  }
}

/* Work longer than the wake-up: a subscriber is awake before the picture is complete. */
#define LONG_WORK 60u
#define QUICK_LONG_WORK 20u

void bench_handoff(bool quick) {
  static const unsigned many[] = { 1, 4, 8, 16 };
  for (unsigned i = 0; i < (quick ? 2 : 4); i++)
    sleepers(many[i], quick ? 30 : ROUNDS, 1);
  sleepers(1, quick ? 10 : 200, quick ? QUICK_LONG_WORK : LONG_WORK);
  if (!quick)
    sleepers(16, 200, LONG_WORK);
}

static void spinner(unsigned rounds, unsigned copies) {
  handoff *h = play(1, rounds, copies, true);
  double gpu_time = differences(h, false, &h->done, h->submitted).median;
  row_limit(section, differences(h, true, h->returned, h->done), (double)(8 * US),
            "1 that spins (spin_ns), after %.0f us of work", gpu_time / 1e3);
}

void bench_near(bool quick) {
  spinner(quick ? 50 : ROUNDS, 1);
  spinner(quick ? 10 : 200, quick ? QUICK_LONG_WORK : LONG_WORK);
}
