/* bench_cost.c - what publishing costs the publisher, beyond the copy of the picture: GPU time and CPU time per frame.
 *
 * GPU time: the stream is held at a word while BURST frames (acquire, copy, publish) are submitted, so that the CPU's
 * time does not count; then it is let go, and a spinning thread notes when it writes a word before the first and
 * behind the last frame. The same with the copies alone, in turn; the difference of the medians is the extra. That
 * thread's delay is the same for both words, and what is left of its jitter is divided by BURST.
 * CPU time: at the pace of a camera, the thread's CPU clock and the wall clock around acquire, copy and publish, in
 * turn with the copy alone. Subscribers are asleep in next(), in mode complete.
 */
#include "bench_gpu.h"

#define BURST 64u /* fits into the queue of a stream with all that belongs to it */
#define GPU_LIMIT 500.0
#define CPU_LIMIT 8000.0
#define COUNTS 6u

static const unsigned counts[COUNTS] = { 1, 2, 4, 8, 16, 32 };

/* The counts of a run: all, or two of them that need few processes. */
static bool is_left_out(unsigned i, bool quick) {
  return quick && counts[i] != 1 && counts[i] != 8;
}

static audience *audience_begin(cuframes_publisher **publisher, unsigned count) {
  static audience *shared;
  if (!shared)
    shared = cast_memory(sizeof *shared);
  *shared = (audience){ .name = "cost" };
  *publisher = gpu_publish("cost", WIDTH, HEIGHT, (cuframes_publisher_options){ .max_slots = 256 });
  cast_play(count, audience_scene, shared);
  tally_wait(&shared->arrived, count, false);
  cpu_pin_sender();
  return shared;
}

static void audience_end(cuframes_publisher *publisher) {
  cpu_unpin();
  cuframes_publisher_destroy(publisher);
  cast_wait();
}

static void step(cuframes_publisher *publisher, unsigned number) {
  if (!publisher) {
    picture_copy(number);
    return;
  }
  cuframes_frame *frame = stream_acquire(publisher);
  picture_fill(frame, number);
  gpu_send(publisher, frame, number);
}

/* ---- GPU time ---- */

/* Per frame; without a publisher the copies alone. */
static double burst(cuframes_publisher *publisher) {
  int64_t start, end;
  uint64_t value = atomic_load_explicit(word_at(WORD_GATE), memory_order_relaxed) + 1;
  CU(cu.cuStreamSynchronize(work));
  word_wait(work, WORD_GATE, value);
  word_write(work, WORD_START, value);
  for (unsigned i = 0; i < BURST; i++)
    step(publisher, i);
  word_write(work, WORD_END, value);
  sleep_until(now_ns() + 2 * MS); /* those who were woken give up waiting, and sleep */
  witness_watch(WORD_START, value, WORD_END, value);
  word_store(WORD_GATE, value);
  witness_hear(&start, &end);
  return (double)(end - start) / BURST;
}

static void gpu_cost(unsigned count, unsigned rounds) {
  cuframes_publisher *publisher;
  samples *whole = samples_new(rounds), *copy = samples_new(rounds);
  (void)audience_begin(&publisher, count);
  witness_begin();
  (void)burst(NULL);
  (void)burst(publisher);
  for (unsigned i = 0; i < rounds; i++) {
    samples_add(copy, burst(NULL));
    samples_add(whole, burst(publisher));
  }
  witness_end();
  audience_end(publisher);
  figure bare = samples_figure(copy, 0);
  row_limit("The publisher's extra GPU time per frame", samples_figure(whole, bare.median), GPU_LIMIT,
            "%u asleep, beyond a copy of %.1f us", count, bare.median / 1e3);
  samples_free(whole);
  samples_free(copy);
}

void bench_gpu_cost(bool quick) {
  for (unsigned i = 0; i < COUNTS; i++)
    if (!is_left_out(i, quick))
      gpu_cost(counts[i], quick ? 2 : 50);
}

/* ---- CPU time ---- */

typedef struct cost {
  figure cpu, wall; /* extra */
} cost;

static figure extra(figure whole, figure copy) {
  return (figure){ fmax(whole.median - copy.median, 0), fmax(whole.p99 - copy.median, 0) };
}

static cost cpu_cost(unsigned count, unsigned fps, unsigned rounds) {
  cuframes_publisher *publisher;
  stopwatch whole, copy;
  stopwatch_init(&whole, rounds);
  stopwatch_init(&copy, rounds);
  (void)audience_begin(&publisher, count);
  int64_t at = now_ns();
  for (unsigned i = 0; i < 2 * rounds; i++) { /* both at the half pace, so frames come at the whole one */
    stopwatch *watch = i % 2 ? &whole : &copy;
    sleep_until(at += SECOND / fps / 2);
    stopwatch_start(watch);
    step(i % 2 ? publisher : NULL, i);
    stopwatch_stop(watch);
  }
  audience_end(publisher);
  cost result = { .cpu = extra(stopwatch_cpu(&whole), stopwatch_cpu(&copy)),
                  .wall = extra(stopwatch_wall(&whole), stopwatch_wall(&copy)) };
  stopwatch_free(&whole);
  stopwatch_free(&copy);
  return result;
}

static const char cpu_section[] = "The publisher's extra CPU time per frame, on its thread";

static void paced(unsigned count, unsigned fps, unsigned rounds) {
  row_limit(cpu_section, cpu_cost(count, fps, rounds).cpu, CPU_LIMIT, "%u asleep, %u frames/s, CPU time", count, fps);
}

void bench_cpu_cost(bool quick) {
  figure first = NO_FIGURE, last = NO_FIGURE;
  unsigned most = 0;
  for (unsigned i = 0; i < COUNTS; i++) {
    if (is_left_out(i, quick))
      continue;
    cost c = cpu_cost(counts[i], 200, quick ? 60 : 400);
    row_limit(cpu_section, c.cpu, CPU_LIMIT, "%u asleep, 200 frames/s, CPU time", counts[i]);
    row_add((report_row){ .section = cpu_section, .figure = c.wall, .bare = NO_FIGURE },
            "%u asleep, 200 frames/s, wall clock", counts[i]);
    first = counts[i] == 1 ? c.cpu : first;
    last = c.cpu;
    most = counts[i];
  }
  report_row flat = { .section = cpu_section, .figure = last, .beside = "1 asleep", .bare = first };
  row_add(flat, "%u asleep, 200 frames/s, CPU time", most);
  if (quick)
    return;
  for (unsigned count = 1; count <= 16; count += 15) {
    paced(count, 60, 120);
    paced(count, 500, 1000);
  }
}
