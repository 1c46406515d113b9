/* bench.h - what the benchmarks share: samples, clocks, other processes, streams, the report.
 *
 * Nothing here gives errors back: a benchmark that cannot go on says why and ends the program, and with it the
 * processes it started.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include <cuframes/cuframes.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* Said on stderr; ends the program (a child: only itself, which its parent then notices). */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Dies of a library call that failed, with its detail. */
void bench_check(int result, const char *what);
/* Dies if a signal asked for the end. All waiting here does that, too. */
void bench_go_on(void);
/* A line of progress on stderr. */
void bench_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- samples (samples.c) ---- */

/* Numbers in memory that children share: each process may write its own part. */
typedef struct samples {
  size_t count, capacity;
  double value[];
} samples;

/* Zeroed memory that children share. */
void *shared_new(size_t bytes);
void shared_free(void *memory, size_t bytes);

samples *samples_new(size_t capacity);
void samples_free(samples *list);
void samples_add(samples *list, double value);

/* What is reported of them. p99 NAN: a number that has none. */
typedef struct figure {
  double median, p99;
} figure;

/* Sorts them. `overhead` is taken off each. */
figure samples_figure(samples *list, double overhead);
double samples_median(samples *list);

/* ---- clocks (samples.c) ---- */

int64_t clock_ns(clockid_t clock);
static inline int64_t now_ns(void) {
  return clock_ns(CLOCK_MONOTONIC);
}
void sleep_until(int64_t at);
/* What reading one such clock adds to the time between two readings, in ns. */
double clock_overhead(clockid_t clock);

/* What a piece of work of this thread costs, read on two clocks at once: stopwatch_start(), the work,
 * stopwatch_stop(). */
typedef struct stopwatch {
  samples *wall, *cpu;
  int64_t wall_from, cpu_from;
} stopwatch;

void stopwatch_init(stopwatch *watch, size_t capacity);
void stopwatch_free(stopwatch *watch);
void stopwatch_start(stopwatch *watch);
void stopwatch_stop(stopwatch *watch);
figure stopwatch_wall(stopwatch *watch);
figure stopwatch_cpu(stopwatch *watch);

/* ---- other processes (crew.c) ---- */

#define CREW_MAX 64

typedef void (*crew_fn)(void *argument, unsigned index);

typedef struct crew {
  unsigned count;
  pid_t pid[CREW_MAX];
} crew;

/* Forks; each child runs work(argument, index) and ends. To be called while this process has no other thread. */
void crew_start(crew *members, unsigned count, crew_fn work, void *argument);
/* Waits for the end of all; dies if one failed or does not end. */
void crew_join(crew *members);

/* A count that processes drive up and wait for. */
typedef struct tally {
  alignas(64) _Atomic uint32_t count;
  _Atomic uint32_t wanted; /* somebody sleeps until it is that */
  uint8_t pad[56];
} tally;

void tally_add(tally *t);
/* Whether the count is `wanted` or more. */
bool tally_is(const tally *t, uint32_t wanted);
/* Waits until the count is `wanted` or more, asleep, or by looking all the time. Who waits at the same time waits for
 * the same. Dies after 30 s. */
void tally_wait(tally *t, uint32_t wanted, bool spin);

/* The sender stays on the first core and the readers on the others, in turn. Where the scheduler is left to choose, it
 * decides over the numbers: a reader on the sender's core has its frame late or, in place of the sender, early. */
int cpu_count(void);
void cpu_pin_sender(void);
void cpu_pin_reader(unsigned index);
void cpu_unpin(void);

/* Plain futex calls, without the library's wrapper. */
void futex_wait(const _Atomic uint32_t *word, uint32_t expected);
void futex_wake(const _Atomic uint32_t *word);
/* One turn of a spin loop. */
void spin_pause(void);

/* ---- streams (crew.c) ---- */

/* Makes the runtime directory of this run; it goes with the process. */
void bench_init(void);

/* A publisher of NV12 pictures; the rest of options may be set before. */
cuframes_publisher *stream_publish(const char *name, uint32_t width, uint32_t height,
                                   cuframes_publisher_options options);
/* Waits for the name to appear. */
cuframes_subscriber *stream_join(const char *name, cuframes_subscriber_options options);
cuframes_frame *stream_acquire(cuframes_publisher *publisher);
void stream_send(cuframes_publisher *publisher, cuframes_frame *frame);
/* The next frame, or NULL at the end of the stream. */
cuframes_frame *stream_next(cuframes_subscriber *subscriber);
const char *streams_directory(void);

/* ---- the report (report.c) ---- */

enum unit { UNIT_TIME, UNIT_RATE, UNIT_BYTES }; /* ns; per second, of which more is better; bytes */

typedef struct report_row {
  const char *section;
  char what[80];
  enum unit unit;
  figure figure;
  char beside[80]; /* what `bare` is; "": there is nothing to put beside it */
  figure bare;
  double goal; /* most that the ratio should be; 0: none */
} report_row;

/* Keeps a copy. */
void report_add(const report_row *row);

enum report_form { REPORT_TEXT, REPORT_MARKDOWN, REPORT_JSON };
void report_print(FILE *out, enum report_form form, bool quick);
/* As JSON into a file; dies if it cannot be written. */
void report_save(const char *path, bool quick);
/* Notes what the machine did before the run. */
void report_begin(void);

/* ---- the benchmarks ---- */

void bench_sleep(bool quick);
void bench_spin(bool quick);
void bench_wake(bool quick);
void bench_poll(bool quick);
void bench_pictures(bool quick);
void bench_packets(bool quick);
void bench_calls(bool quick);
void bench_idle(bool quick);

#endif
