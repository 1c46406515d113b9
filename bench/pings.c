/* pings.c - how long a tiny frame takes from the publisher's call to subscribers in other processes, what that call
 * costs, and both beside the barest thing that does the same: a word in shared memory, with or without a futex.
 *
 * The same processes receive both kinds in turn, so that noise hits both alike.
 */
#include <math.h>
#include <stdio.h>

#include "bench.h"

#define WARM_UP 16u   /* rounds before the first that counts */
#define PACE (1 * MS) /* between two pings, so that sleepers sleep */
#define SPIN_PACE (5 * US)
#define LONG_SPIN (10 * SECOND)

/* One cache line: a bare ping moves the word; the stamp says when. */
typedef struct bare_line {
  alignas(64) _Atomic uint32_t word;
  _Atomic int64_t stamp;
  uint8_t pad[48];
} bare_line;

typedef struct ping_page {
  bare_line bare;
  tally arrived; /* one per reader at the start and after each ping */
} ping_page;

typedef struct ping {
  unsigned readers, rounds;
  bool spin;
  ping_page *page;
  samples *bare_seen, *seen; /* from the sender's stamp to the reader's, of all readers */
  stopwatch bare_send, send, lone_send;
} ping;

/* ---- the readers ---- */

static double bare_receive(const ping *p, uint32_t round) {
  bare_line *line = &p->page->bare;
  while (atomic_load_explicit(&line->word, memory_order_acquire) == round)
    if (p->spin)
      spin_pause();
    else
      futex_wait(&line->word, round);
  return (double)(now_ns() - atomic_load_explicit(&line->stamp, memory_order_relaxed));
}

static double frame_receive(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = stream_next(subscriber);
  int64_t now = now_ns();
  if (!frame)
    bench_die("the stream ended early");
  double seen = (double)(now - *(const int64_t *)cuframes_frame_plane(frame, 0));
  cuframes_frame_release(frame);
  return seen;
}

static void reader_run(void *argument, unsigned index) {
  const ping *p = argument;
  cpu_pin_reader(index);
  int64_t spin = p->spin ? LONG_SPIN : 0;
  cuframes_subscriber *subscriber = stream_join("ping", (cuframes_subscriber_options){ .spin_ns = spin });
  tally_add(&p->page->arrived);
  for (uint32_t round = 0; round < WARM_UP + p->rounds; round++) {
    double bare = bare_receive(p, round);
    tally_add(&p->page->arrived);
    double seen = frame_receive(subscriber);
    if (round >= WARM_UP) {
      size_t at = (size_t)index * p->rounds + round - WARM_UP;
      p->bare_seen->value[at] = bare;
      p->seen->value[at] = seen;
    }
    tally_add(&p->page->arrived);
  }
  cuframes_subscriber_destroy(subscriber);
}

/* ---- the sender ---- */

/* Waits until every reader has had `pings` pings and waits for the next one. */
static void settle(const ping *p, uint32_t pings) {
  tally_wait(&p->page->arrived, p->readers * (pings + 1), p->spin);
  int64_t until = now_ns() + (p->spin ? SPIN_PACE : PACE);
  if (!p->spin)
    sleep_until(until);
  while (now_ns() < until)
    spin_pause();
}

static void bare_send(const ping *p, stopwatch *watch, uint32_t round) {
  bare_line *line = &p->page->bare;
  stopwatch_start(watch);
  atomic_store_explicit(&line->stamp, now_ns(), memory_order_relaxed);
  atomic_store_explicit(&line->word, round + 1, memory_order_release);
  if (!p->spin)
    futex_wake(&line->word);
  stopwatch_stop(watch);
}

static void frame_send(cuframes_publisher *publisher, stopwatch *watch) {
  stopwatch_start(watch);
  cuframes_frame *frame = stream_acquire(publisher);
  _Atomic int64_t *stamp = cuframes_frame_plane(frame, 0);
  atomic_store_explicit(stamp, 0, memory_order_seq_cst); /* the pixels are written before the time runs */
  atomic_store_explicit(stamp, now_ns(), memory_order_relaxed);
  stream_send(publisher, frame);
  stopwatch_stop(watch);
}

/* Before either kind of ping, so that readers sleep equally long before both. */
static void lone_send(ping *p, cuframes_publisher *lone, uint32_t pings) {
  settle(p, pings);
  frame_send(lone, &p->lone_send);
  settle(p, pings);
}

static void ping_run(ping *p) {
  crew readers;
  p->page = shared_new(sizeof *p->page);
  p->bare_seen = samples_new((size_t)p->readers * p->rounds);
  p->seen = samples_new((size_t)p->readers * p->rounds);
  stopwatch_init(&p->bare_send, WARM_UP + p->rounds);
  stopwatch_init(&p->send, WARM_UP + p->rounds);
  stopwatch_init(&p->lone_send, 2 * (WARM_UP + p->rounds));
  crew_start(&readers, p->readers, reader_run, p);
  cuframes_publisher *publisher = stream_publish("ping", 64, 64, (cuframes_publisher_options){ .max_slots = 256 });
  cuframes_publisher *lone = stream_publish("lone", 64, 64, (cuframes_publisher_options){ 0 });
  cpu_pin_sender(); /* after the publisher's own thread was started: that one goes where it likes */
  for (uint32_t round = 0; round < WARM_UP + p->rounds; round++) {
    lone_send(p, lone, 2 * round);
    bare_send(p, &p->bare_send, round);
    lone_send(p, lone, 2 * round + 1);
    frame_send(publisher, &p->send);
  }
  crew_join(&readers);
  cuframes_publisher_destroy(publisher);
  cuframes_publisher_destroy(lone);
  cpu_unpin();
  p->bare_seen->count = p->seen->count = p->seen->capacity;
}

static void ping_free(ping *p) {
  shared_free(p->page, sizeof *p->page);
  samples_free(p->bare_seen);
  samples_free(p->seen);
  stopwatch_free(&p->bare_send);
  stopwatch_free(&p->send);
  stopwatch_free(&p->lone_send);
}

/* ---- hand-off to one ---- */

static void handoff(ping p, const char *what, const char *beside, double goal) {
  report_row row = { .section = "Hand-off, from just before publish to the return of next", .goal = goal };
  ping_run(&p);
  (void)snprintf(row.what, sizeof row.what, "%s", what);
  (void)snprintf(row.beside, sizeof row.beside, "%s", beside);
  row.figure = samples_figure(p.seen, 0);
  row.bare = samples_figure(p.bare_seen, 0);
  report_add(&row);
  ping_free(&p);
}

void bench_sleep(bool quick) {
  handoff((ping){ .readers = 1, .rounds = quick ? 100 : 2000 }, "to a subscriber that sleeps",
          "a futex ping between the same processes", 1.3);
}

void bench_spin(bool quick) {
  if (cpu_count() < 2) {
    bench_say("left out: it takes two cores");
    return;
  }
  handoff((ping){ .readers = 1, .rounds = quick ? 2000 : 20000, .spin = true }, "to a subscriber that spins (spin_ns)",
          "a cache-line ping between the same processes", 3);
}

/* ---- many ---- */

static const unsigned many[] = { 1, 4, 16, 32, 64 };
#define MANY (sizeof many / sizeof many[0])

static void wake_report(ping *p) {
  report_row row = { .section = "Many sleeping subscribers: the publisher's call (acquire and publish)" };
  (void)snprintf(row.beside, sizeof row.beside, "FUTEX_WAKE of as many");
  (void)snprintf(row.what, sizeof row.what, "%u asleep, wall clock", p->readers);
  row.figure = stopwatch_wall(&p->send);
  row.bare = stopwatch_wall(&p->bare_send);
  report_add(&row);
  (void)snprintf(row.what, sizeof row.what, "%u asleep, CPU time of the thread", p->readers);
  row.figure = stopwatch_cpu(&p->send);
  row.bare = stopwatch_cpu(&p->bare_send);
  report_add(&row);
  (void)snprintf(row.beside, sizeof row.beside, "a stream without subscribers");
  row.bare = stopwatch_cpu(&p->lone_send);
  report_add(&row);
  row.section = "Many sleeping subscribers: when each of them has the frame";
  (void)snprintf(row.beside, sizeof row.beside, "FUTEX_WAKE of as many");
  (void)snprintf(row.what, sizeof row.what, "%u asleep", p->readers);
  row.figure = samples_figure(p->seen, 0);
  row.bare = samples_figure(p->bare_seen, 0);
  report_add(&row);
}

void bench_wake(bool quick) {
  for (size_t i = 0; i < MANY; i++) {
    ping p = { .readers = many[i], .rounds = quick ? 30 : 400 };
    ping_run(&p);
    wake_report(&p);
    ping_free(&p);
  }
}

/* ---- many that do not sleep ---- */

static const char poll_section[] = "Many subscribers that poll and never sleep in next: the publisher's call";

static void poller_run(void *argument, unsigned index) {
  tally *arrived = argument;
  cpu_pin_reader(index);
  cuframes_subscriber *subscriber = stream_join("ping", (cuframes_subscriber_options){ 0 });
  tally_add(arrived);
  for (int result = CUFRAMES_OK; result != CUFRAMES_ERR_PUBLISHER_GONE;) {
    cuframes_frame *frame;
    result = cuframes_subscriber_next(subscriber, 0, &frame);
    if (result == CUFRAMES_OK)
      cuframes_frame_release(frame);
    else if (result != CUFRAMES_ERR_TIMEOUT && result != CUFRAMES_ERR_PUBLISHER_GONE)
      bench_check(result, "next frame");
    sleep_until(now_ns() + PACE);
  }
  cuframes_subscriber_destroy(subscriber);
}

static void poll_run(unsigned count, unsigned rounds) {
  crew readers;
  stopwatch send, lone_send;
  tally *arrived = shared_new(sizeof *arrived);
  stopwatch_init(&send, rounds);
  stopwatch_init(&lone_send, rounds);
  crew_start(&readers, count, poller_run, arrived);
  cuframes_publisher *publisher = stream_publish("ping", 64, 64, (cuframes_publisher_options){ .max_slots = 256 });
  cuframes_publisher *lone = stream_publish("lone", 64, 64, (cuframes_publisher_options){ 0 });
  cpu_pin_sender(); /* after the publisher's own thread was started: that one goes where it likes */
  tally_wait(arrived, count, false);
  for (unsigned round = 0; round < rounds; round++) {
    sleep_until(now_ns() + PACE);
    frame_send(lone, &lone_send);
    sleep_until(now_ns() + PACE);
    frame_send(publisher, &send);
  }
  cuframes_publisher_destroy(publisher);
  cuframes_publisher_destroy(lone);
  cpu_unpin();
  crew_join(&readers);
  report_row row = { .section = poll_section,
                     .beside = "a stream without subscribers",
                     .figure = stopwatch_cpu(&send),
                     .bare = stopwatch_cpu(&lone_send) };
  (void)snprintf(row.what, sizeof row.what, "%u polling, CPU time of the thread", count);
  report_add(&row);
  stopwatch_free(&send);
  stopwatch_free(&lone_send);
  shared_free(arrived, sizeof *arrived);
}

/* ---- as many as a stream takes ---- */

#define SEATS 256u
#define SEAT_MOST 40.0 /* ns that a seat may cost the publisher per frame */

/* All seats in one process: so many processes would only measure the scheduler. */
static void seats_run(void *argument, unsigned index) {
  static cuframes_subscriber *subscriber[SEATS];
  tally *arrived = argument;
  cpu_pin_reader(index);
  for (unsigned i = 0; i < SEATS; i++)
    subscriber[i] = stream_join("ping", (cuframes_subscriber_options){ 0 });
  tally_add(arrived);
  for (bool ended = false; !ended; sleep_until(now_ns() + PACE)) {
    for (unsigned i = 0; i < SEATS && !ended; i++) {
      cuframes_frame *frame;
      int result = cuframes_subscriber_next(subscriber[i], 0, &frame);
      ended = result == CUFRAMES_ERR_PUBLISHER_GONE;
      if (result == CUFRAMES_OK)
        cuframes_frame_release(frame);
    }
  }
  for (unsigned i = 0; i < SEATS; i++)
    cuframes_subscriber_destroy(subscriber[i]);
}

static void seats_report(unsigned rounds) {
  crew reader;
  stopwatch send;
  tally *arrived = shared_new(sizeof *arrived);
  stopwatch_init(&send, rounds);
  crew_start(&reader, 1, seats_run, arrived);
  cuframes_publisher *publisher =
      stream_publish("ping", 64, 64, (cuframes_publisher_options){ .max_slots = 1024, .max_subscribers = SEATS });
  cpu_pin_sender();
  tally_wait(arrived, 1, false);
  for (unsigned round = 0; round < rounds; round++) {
    sleep_until(now_ns() + PACE);
    frame_send(publisher, &send);
  }
  cuframes_publisher_destroy(publisher);
  cpu_unpin();
  crew_join(&reader);
  figure whole = stopwatch_cpu(&send);
  report_row row = { .section = poll_section,
                     .beside = "the most it should be",
                     .figure = { whole.median / SEATS, whole.p99 / SEATS },
                     .bare = { SEAT_MOST, NAN },
                     .goal = 1 };
  (void)snprintf(row.what, sizeof row.what, "%u polling, CPU time of the thread, per seat", SEATS);
  report_add(&row);
  stopwatch_free(&send);
  shared_free(arrived, sizeof *arrived);
}

void bench_poll(bool quick) {
  for (size_t i = 0; i < MANY; i++)
    poll_run(many[i], quick ? 30 : 400);
  seats_report(quick ? 100 : 1000);
}
