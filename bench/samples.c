/* samples.c - many measurements of one thing, and the clocks they come from. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

void *shared_new(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED)
    bench_die("no memory for %zu bytes", bytes);
  return memory;
}

void shared_free(void *memory, size_t bytes) {
  if (memory)
    (void)munmap(memory, bytes);
}

static size_t samples_bytes(size_t capacity) {
  return sizeof(samples) + capacity * sizeof(double);
}

samples *samples_new(size_t capacity) {
  samples *list = shared_new(samples_bytes(capacity));
  list->capacity = capacity;
  return list;
}

void samples_free(samples *list) {
  if (list)
    shared_free(list, samples_bytes(list->capacity));
}

void samples_add(samples *list, double value) {
  if (list->count == list->capacity)
    bench_die("more samples than were expected");
  list->value[list->count++] = value;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

figure samples_figure(samples *list, double overhead) {
  if (list->count == 0)
    bench_die("no samples");
  qsort(list->value, list->count, sizeof *list->value, ascending);
  double median = list->value[list->count / 2] - overhead;
  double p99 = list->value[list->count * 99 / 100] - overhead;
  return (figure){ median > 0 ? median : 0, p99 > 0 ? p99 : 0 };
}

double samples_median(samples *list) {
  return samples_figure(list, 0).median;
}

/* ---- clocks ---- */

int64_t clock_ns(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0)
    bench_die("clock_gettime of clock %d failed", (int)clock);
  return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

void sleep_until(int64_t at) {
  struct timespec then = { .tv_sec = at / SECOND, .tv_nsec = at % SECOND };
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) == EINTR)
    bench_go_on();
}

#define OVERHEAD_ROUNDS 1001

double clock_overhead(clockid_t clock) {
  samples *list = samples_new(OVERHEAD_ROUNDS);
  for (int i = 0; i < OVERHEAD_ROUNDS; i++) {
    int64_t from = clock_ns(clock);
    samples_add(list, (double)(clock_ns(clock) - from));
  }
  double median = samples_median(list);
  samples_free(list);
  return median;
}

/* ---- the stopwatch ---- */

void stopwatch_init(stopwatch *watch, size_t capacity) {
  *watch = (stopwatch){ .wall = samples_new(capacity), .cpu = samples_new(capacity) };
}

void stopwatch_free(stopwatch *watch) {
  samples_free(watch->wall);
  samples_free(watch->cpu);
}

void stopwatch_start(stopwatch *watch) {
  watch->cpu_from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  watch->wall_from = now_ns();
}

void stopwatch_stop(stopwatch *watch) {
  int64_t wall = now_ns(), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  samples_add(watch->wall, (double)(wall - watch->wall_from));
  samples_add(watch->cpu, (double)(cpu - watch->cpu_from));
}

/* What an empty measurement shows. */
static figure stopwatch_overhead(void) {
  stopwatch empty;
  stopwatch_init(&empty, OVERHEAD_ROUNDS);
  for (int i = 0; i < OVERHEAD_ROUNDS; i++) {
    stopwatch_start(&empty);
    stopwatch_stop(&empty);
  }
  figure overhead = { samples_median(empty.wall), samples_median(empty.cpu) };
  stopwatch_free(&empty);
  return overhead;
}

figure stopwatch_wall(stopwatch *watch) {
  return samples_figure(watch->wall, stopwatch_overhead().median);
}

figure stopwatch_cpu(stopwatch *watch) {
  return samples_figure(watch->cpu, stopwatch_overhead().p99);
}
