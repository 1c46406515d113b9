/* bench_cost.c - what publishing costs the publisher, beyond the copy of the picture: GPU time and CPU time per frame.
 *
 * GPU time: the stream is held at a word while BURST frames (acquire, copy, publish) are submitted, so that the CPU's
 * time does not count; then it is let go, and a spinning thread notes when it writes a word before the first and
 * behind the last frame. The same with the copies alone, in turn; the difference of the medians is the extra. That
 * thread's delay is the same for both words, and what is left of its jitter is divided by BURST.
 * CPU time: at the pace of a camera, the thread's CPU clock and the wall clock around acquire, copy and publish, in
 * turn with the copy alone. Subscribers are asleep in next(), in mode complete.
 *
 * Beside both: what the barest way of telling one other process costs beyond the copy, a word written by the stream and
 * FUTEX_WAKE of one sleeper. And the same with the driver's part of a frame: pictures in memory of cuMemCreate(), and
 * the driver asked for the current context, and whether the stream captures, before each copy and the write. What we
 * take beyond that is ours; what it takes beyond the bare pair is the driver's for what is promised.
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

/* Subscribers, and one who sleeps at a bare futex until the word is 0. */
typedef struct hall {
  audience audience;
  unsigned count;
  tally word;
} hall;

static hall *shared;

static void hall_run(void *argument, unsigned index) {
  hall *h = argument;
  if (index < h->count) {
    audience_run(&h->audience, index);
    return;
  }
  for (uint32_t seen = 1; seen != 0; seen = atomic_load_explicit(&h->word.count, memory_order_relaxed))
    futex_wait(&h->word.count, seen);
}

static cuframes_publisher *hall_open(unsigned count) {
  if (!shared)
    shared = processes_memory(sizeof *shared);
  *shared = (hall){ .audience = { .name = "cost" }, .count = count, .word = { .count = 1 } };
  cuframes_publisher *publisher = gpu_publish("cost", WIDTH, HEIGHT, (cuframes_publisher_options){ .max_slots = 256 });
  processes_run(count + 1, hall_run, shared);
  tally_wait(&shared->audience.arrived, count, false);
  cpu_pin_sender();
  return publisher;
}

static void hall_close(cuframes_publisher *publisher) {
  cpu_unpin();
  cuframes_publisher_destroy(publisher);
  atomic_store_explicit(&shared->word.count, 0, memory_order_relaxed);
  futex_wake(&shared->word.count);
  processes_wait();
}

/* What is done for a picture: copied only; and told to one other process in the barest way, also with the driver's part
 * of a frame; or published. */
enum way { COPY, BARE, ASKED, PUBLISH, WAYS };

static void step(enum way way, cuframes_publisher *publisher, unsigned number, bool wake) {
  if (way == PUBLISH) {
    cuframes_frame *frame = stream_acquire(publisher);
    work_fill(frame, number);
    gpu_send(publisher, frame, number);
    return;
  }
  work_copy(number, way == ASKED);
  if (way == COPY)
    return;
  if (way == ASKED)
    work_ask();
  word_write(work, WORD_ANY, number);
  if (wake) {
    atomic_store_explicit(&shared->word.count, 2 + number, memory_order_relaxed);
    futex_wake(&shared->word.count);
  }
}

static figure extra(figure whole, figure copy) {
  return (figure){ fmax(whole.median - copy.median, 0), fmax(whole.p99 - copy.median, 0) };
}

/* ---- GPU time ---- */

/* Per frame. */
static double burst(enum way way, cuframes_publisher *publisher) {
  int64_t start, end;
  uint64_t value = atomic_load_explicit(word_at(WORD_FENCE), memory_order_relaxed) + 1;
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  counter_wait(work, WORD_FENCE, value);
  word_write(work, WORD_START, value);
  for (unsigned i = 0; i < BURST; i++)
    step(way, publisher, i, false);
  word_write(work, WORD_END, value);
  sleep_until(now_ns() + 2 * MS); /* those who were woken give up waiting, and sleep */
  observer_watch(WORD_START, value, WORD_END, value);
  word_store(WORD_FENCE, value);
  observer_hear(&start, &end);
  return (double)(end - start) / BURST;
}

static void gpu_cost(unsigned count, unsigned rounds) {
  static const char section[] = "The publisher's extra GPU time per frame";
  samples *took[WAYS];
  figure figures[WAYS];
  cuframes_publisher *publisher = hall_open(count);
  observer_begin();
  for (int way = 0; way < WAYS; way++) {
    took[way] = samples_new(rounds);
    (void)burst(way, publisher);
  }
  for (unsigned i = 0; i < rounds; i++)
    for (int way = 0; way < WAYS; way++)
      samples_add(took[way], burst(way, publisher));
  observer_end();
  hall_close(publisher);
  for (int way = 0; way < WAYS; way++) {
    figures[way] = samples_figure(took[way], 0);
    samples_free(took[way]);
  }
  figure ours = extra(figures[PUBLISH], figures[COPY]);
  row_limit(section, ours, GPU_LIMIT, "%u asleep, beyond a copy of %.1f us", count, figures[COPY].median / 1e3);
  report_row row = {
    .section = section, .figure = ours, .beside = "a bare write-value", .bare = extra(figures[BARE], figures[COPY])
  };
  row_add(row, "%u asleep", count);
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

/* Of WAYS; of COPY there is none. */
static void cpu_cost(unsigned count, unsigned fps, unsigned rounds, cost result[WAYS]) {
  stopwatch watches[WAYS];
  for (int way = 0; way < WAYS; way++)
    stopwatch_init(&watches[way], rounds);
  cuframes_publisher *publisher = hall_open(count);
  int64_t at = now_ns();
  for (unsigned i = 0; i < rounds; i++) {
    /* All within the time of one frame, and each behind a copy, so that what the wake-up of many does to the caches
     * does not count for the next one. */
    for (int way = 0; way < WAYS; way++) {
      sleep_until(at += SECOND / fps / WAYS / 2);
      step(COPY, publisher, i, false);
      sleep_until(at += SECOND / fps / WAYS / 2);
      stopwatch_start(&watches[way]);
      step(way, publisher, i, true);
      stopwatch_stop(&watches[way]);
    }
  }
  hall_close(publisher);
  figure copy_cpu = stopwatch_cpu(&watches[COPY]), copy_wall = stopwatch_wall(&watches[COPY]);
  for (int way = 0; way < WAYS; way++) {
    result[way] = (cost){ .cpu = extra(stopwatch_cpu(&watches[way]), copy_cpu),
                          .wall = extra(stopwatch_wall(&watches[way]), copy_wall) };
    stopwatch_free(&watches[way]);
  }
}

static const char cpu_section[] = "The publisher's extra CPU time per frame, on its thread";

static void cpu_row(const char *what, figure ours, const char *beside, figure bare, unsigned count, unsigned fps) {
  report_row row = { .section = cpu_section, .figure = ours, .bare = bare };
  (void)snprintf(row.beside, sizeof row.beside, "%s", beside);
  row_add(row, "%u asleep, %u frames/s, %s", count, fps, what);
}

static void cpu_rows(const cost found[WAYS], unsigned count, unsigned fps) {
  static const char pair[] = "a bare write-value and FUTEX_WAKE of one";
  const cost *ours = &found[PUBLISH];
  row_limit(cpu_section, ours->cpu, CPU_LIMIT, "%u asleep, %u frames/s, CPU time", count, fps);
  cpu_row("CPU time", ours->cpu, pair, found[BARE].cpu, count, fps);
  cpu_row("CPU time", ours->cpu, "the same with the driver's part of a frame", found[ASKED].cpu, count, fps);
  cpu_row("wall clock", ours->wall, pair, found[BARE].wall, count, fps);
}

void bench_cpu_cost(bool quick) {
  figure first = NO_FIGURE, last = NO_FIGURE;
  unsigned most = 0;
  cost found[WAYS];
  for (unsigned i = 0; i < COUNTS; i++) {
    if (is_left_out(i, quick))
      continue;
    cpu_cost(counts[i], 200, quick ? 60 : 400, found);
    cpu_rows(found, counts[i], 200);
    first = counts[i] == 1 ? found[PUBLISH].cpu : first;
    last = found[PUBLISH].cpu;
    most = counts[i];
  }
  report_row flat = { .section = cpu_section, .figure = last, .beside = "1 asleep", .bare = first };
  row_add(flat, "%u asleep, 200 frames/s, CPU time", most);
  for (unsigned count = 1; count <= 16 && !quick; count += 15) {
    cpu_cost(count, 60, 120, found);
    cpu_rows(found, count, 60);
    cpu_cost(count, 500, 1000, found);
    cpu_rows(found, count, 500);
  }
}
