/* crew.c - the other processes of a benchmark, how they meet, and the streams between them. */
#include <errno.h>
#include <ftw.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PATIENCE (30 * SECOND)

static char directory[256];
static pid_t owner; /* of the directory */
static volatile sig_atomic_t stopped;

static void say(const char *format, va_list arguments) {
  char line[512];
  (void)vsnprintf(line, sizeof line, format, arguments);
  fprintf(stderr, "cuframes-bench: %s\n", line);
}

void bench_say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}

void bench_die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
  exit(1);
}

void bench_check(int result, const char *what) {
  if (result != CUFRAMES_OK)
    bench_die("%s: %s (%s)", what, cuframes_strerror(result), cuframes_last_error());
}

static void on_signal(int number) {
  stopped = number;
}

void bench_go_on(void) {
  if (stopped && getpid() == owner)
    bench_die("stopped by signal %d", (int)stopped);
}

/* ---- processes ---- */

void crew_start(crew *members, unsigned count, crew_fn work, void *argument) {
  *members = (crew){ .count = count };
  pid_t parent = getpid();
  for (unsigned i = 0; i < count; i++) {
    members->pid[i] = fork();
    if (members->pid[i] < 0)
      bench_die("fork: %s", strerror(errno));
    if (members->pid[i] > 0)
      continue;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
      _exit(1);
    work(argument, i);
    exit(0);
  }
}

void crew_join(crew *members) {
  int64_t deadline = now_ns() + PATIENCE;
  for (unsigned i = 0; i < members->count; i++) {
    int status;
    pid_t done;
    while ((done = waitpid(members->pid[i], &status, WNOHANG)) == 0 && now_ns() < deadline)
      sleep_until(now_ns() + MS);
    if (done == 0)
      bench_die("process %u of %u does not end", i + 1, members->count);
    if (done < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
      bench_die("process %u of %u failed", i + 1, members->count);
  }
}

void tally_add(tally *t) {
  /* before the look, as the waiter's number is stored before its look: one of the two sees the other */
  uint32_t count = atomic_fetch_add_explicit(&t->count, 1, memory_order_seq_cst) + 1;
  if (count == atomic_load_explicit(&t->wanted, memory_order_seq_cst))
    futex_wake(&t->count);
}

bool tally_is(const tally *t, uint32_t wanted) {
  return (int32_t)(atomic_load_explicit(&t->count, memory_order_seq_cst) - wanted) >= 0;
}

/* Until it may be `wanted`. Not for long, since nobody wakes who waits for the dead. */
static void tally_sleep(tally *t, uint32_t wanted) {
  const struct timespec longest = { .tv_nsec = 100 * MS };
  atomic_store_explicit(&t->wanted, wanted, memory_order_seq_cst);
  uint32_t count = atomic_load_explicit(&t->count, memory_order_seq_cst);
  if ((int32_t)(count - wanted) < 0) /* whatever ends it, the caller looks again */
    (void)syscall(SYS_futex, &t->count, FUTEX_WAIT, count, &longest, NULL, 0);
}

void tally_wait(tally *t, uint32_t wanted, bool spin) {
  int64_t deadline = now_ns() + PATIENCE;
  for (uint32_t turn = 1; !tally_is(t, wanted); turn++) {
    if (spin && turn % 1024 != 0) {
      spin_pause();
      continue;
    }
    bench_go_on();
    if (now_ns() > deadline)
      bench_die("the other processes do not answer");
    if (spin)
      (void)sched_yield(); /* the one waited for may need this core */
    else
      tally_sleep(t, wanted);
  }
}

static cpu_set_t cpus; /* that the program may use */

static void cpu_pin(int n) {
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &cpus) && n-- == 0)
      CPU_SET(cpu, &one);
  (void)sched_setaffinity(0, sizeof one, &one); /* without it the numbers are only noisier */
}

void cpu_pin_sender(void) {
  cpu_pin(0);
}

int cpu_count(void) {
  return CPU_COUNT(&cpus);
}

void cpu_pin_reader(unsigned index) {
  int others = cpu_count() - 1;
  cpu_pin(others > 0 ? 1 + (int)index % others : 0);
}

void cpu_unpin(void) {
  (void)sched_setaffinity(0, sizeof cpus, &cpus);
}

void futex_wait(const _Atomic uint32_t *word, uint32_t expected) {
  (void)syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0); /* the caller looks at the word */
}

void futex_wake(const _Atomic uint32_t *word) {
  (void)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- streams ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
  (void)status, (void)type, (void)place;
  return remove(path);
}

static void directory_remove(void) {
  if (getpid() == owner)
    (void)nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS); /* what cannot be removed is in TMPDIR */
}

void bench_init(void) {
  const char *base = getenv("TMPDIR");
  (void)snprintf(directory, sizeof directory, "%s/cuframes-bench-XXXXXX", base && strlen(base) < 64 ? base : "/tmp");
  if (!mkdtemp(directory))
    bench_die("%s: %s", directory, strerror(errno));
  (void)sched_getaffinity(0, sizeof cpus, &cpus);
  owner = getpid();
  (void)atexit(directory_remove);
  (void)signal(SIGINT, on_signal); /* cannot fail for these; ending by exit() cleans up */
  (void)signal(SIGTERM, on_signal);
}

const char *streams_directory(void) {
  return directory;
}

cuframes_publisher *stream_publish(const char *name, uint32_t width, uint32_t height,
                                   cuframes_publisher_options options) {
  cuframes_publisher *publisher;
  options.struct_size = sizeof options;
  options.directory = directory;
  options.device = "host";
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_NV12, .width = width, .height = height };
  bench_check(cuframes_publisher_create(name, &options, &publisher), "publish");
  return publisher;
}

cuframes_subscriber *stream_join(const char *name, cuframes_subscriber_options options) {
  cuframes_subscriber *subscriber;
  options.struct_size = sizeof options;
  options.directory = directory;
  options.connect_timeout_ns = PATIENCE;
  bench_check(cuframes_subscriber_create(name, &options, &subscriber), "join");
  return subscriber;
}

cuframes_frame *stream_acquire(cuframes_publisher *publisher) {
  cuframes_frame *frame;
  int result;
  while ((result = cuframes_publisher_acquire(publisher, &frame)) == CUFRAMES_ERR_DROPPED)
    (void)sched_yield(); /* faster than the pool grows */
  bench_check(result, "acquire");
  return frame;
}

void stream_send(cuframes_publisher *publisher, cuframes_frame *frame) {
  bench_check(cuframes_publisher_publish(publisher, frame, NULL), "publish a frame");
}

cuframes_frame *stream_next(cuframes_subscriber *subscriber) {
  cuframes_frame *frame;
  int result = cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &frame);
  if (result == CUFRAMES_ERR_PUBLISHER_GONE)
    return NULL;
  bench_check(result, "next frame");
  return frame;
}
