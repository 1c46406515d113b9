/* idle.c - what streams cost on which nothing happens: one hundred in one process, and on each a subscriber that
 * sleeps for the next frame in another. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "bench.h"

#define STREAMS 100u
#define SLOTS 6u
#define WIDTH 640u
#define HEIGHT 360u

static void stream_name(char *name, size_t size, unsigned i) {
  (void)snprintf(name, size, "idle-%u", i);
}

static void *sleeper_run(void *argument) {
  if (stream_next(argument))
    bench_die("a frame on an idle stream");
  return NULL;
}

static void sleepers_run(void *argument, unsigned index) {
  tally *asleep = argument;
  cuframes_subscriber *subscriber[STREAMS];
  pthread_t thread[STREAMS];
  char name[16];
  (void)index;
  for (unsigned i = 0; i < STREAMS; i++) {
    stream_name(name, sizeof name, i);
    subscriber[i] = stream_join(name, (cuframes_subscriber_options){ 0 });
    if (pthread_create(&thread[i], NULL, sleeper_run, subscriber[i]) != 0)
      bench_die("no thread %u", i);
    tally_add(asleep);
  }
  for (unsigned i = 0; i < STREAMS; i++) {
    (void)pthread_join(thread[i], NULL); /* it is joinable and ours */
    cuframes_subscriber_destroy(subscriber[i]);
  }
}

/* CPU time of both processes so far, ns. */
static int64_t cpu_time(const crew *readers) {
  clockid_t clock;
  if (clock_getcpuclockid(readers->pid[0], &clock) != 0)
    bench_die("no clock of the other process");
  return clock_ns(CLOCK_PROCESS_CPUTIME_ID) + clock_ns(clock);
}

/* The shared memory of one stream that is not pictures. */
static double memory_beside_frames(cuframes_publisher *publisher) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = WIDTH, .height = HEIGHT };
  uint64_t frame_bytes;
  bench_check(cuframes_publisher_get_stats(publisher, &stats), "statistics");
  bench_check(cuframes_format_layout(&format, 0, &frame_bytes), "layout");
  return (double)stats.memory_bytes - (double)stats.slots * (double)frame_bytes;
}

void bench_idle(bool quick) {
  crew readers;
  cuframes_publisher *publisher[STREAMS];
  struct rlimit files;
  char name[16];
  int64_t span = quick ? SECOND / 2 : 2 * SECOND;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* about a dozen per stream; if they do not suffice, joining says so */
  }
  tally *asleep = shared_new(sizeof *asleep);
  crew_start(&readers, 1, sleepers_run, asleep);
  for (unsigned i = 0; i < STREAMS; i++) {
    stream_name(name, sizeof name, i);
    publisher[i] = stream_publish(name, WIDTH, HEIGHT, (cuframes_publisher_options){ .slots = SLOTS });
  }
  tally_wait(asleep, STREAMS, false);
  sleep_until(now_ns() + 200 * MS);
  int64_t before = cpu_time(&readers);
  sleep_until(now_ns() + span);
  double used = (double)(cpu_time(&readers) - before) / ((double)span / (double)SECOND);
  double memory = memory_beside_frames(publisher[0]);
  for (unsigned i = 0; i < STREAMS; i++)
    cuframes_publisher_destroy(publisher[i]);
  crew_join(&readers);
  shared_free(asleep, sizeof *asleep);
  report_row row = { .section = "Idle streams",
                     .what = "CPU time in a second, 100 streams, a blocked subscriber on each, all together",
                     .figure = { used, NAN },
                     .bare = { NAN, NAN } };
  report_add(&row);
  row.unit = UNIT_BYTES;
  row.figure.median = memory;
  (void)snprintf(row.what, sizeof row.what, "shared memory of one of them beside its frames (limit: 1 MiB)");
  report_add(&row);
}
