/* bench_processes.c - processes with a CUDA context each, who run one measurement after the other. */
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_gpu.h"

#define MEMORY ((size_t)64 << 20)
#define LINE 64
#define START_PATIENCE (90 * SECOND) /* making 32 contexts is slow */

/* The program writes it before it moves `call`, and not again before all have answered that call. */
typedef struct measurement {
  alignas(LINE) _Atomic uint32_t call;
  unsigned processes;
  process_fn run; /* a function has the same address in all: they are forked */
  void *argument;
  tally ready, done;
} measurement;

static uint8_t *memory;
static size_t used;
static measurement *shared;
static crew all;
static unsigned calls;
static volatile sig_atomic_t minding;

static void on_child(int number) {
  (void)number;
  if (minding)
    (void)raise(SIGTERM); /* a process is gone; crew.c ends the program */
}

void *processes_memory(size_t bytes) {
  size_t size = (bytes + LINE - 1) / LINE * LINE;
  if (!memory) {
    memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      bench_die("no shared memory");
  }
  if (size > MEMORY - used)
    bench_die("no shared memory left for %zu bytes", bytes);
  void *part = memory + used;
  used += size;
  return part;
}

/* Loads the driver in a process that then ends: this one must not have touched it. */
static void probe_run(void *argument, unsigned index) {
  (void)argument, (void)index;
  if (cf_cuda_driver_load(&cu) != CUFRAMES_OK)
    bench_say("skipped: %s", cuframes_last_error());
  exit(cu.library ? 0 : SKIPPED);
}

bool processes_probe(void) {
  crew probe;
  int status;
  crew_start(&probe, 1, probe_run, NULL);
  return waitpid(probe.pid[0], &status, 0) == probe.pid[0] && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void process_run(void *argument, unsigned index) {
  (void)argument;
  (void)signal(SIGCHLD, SIG_DFL);
  device_begin(false);
  pin_reader(index); /* after the driver's own threads were started: those go where they like */
  tally_add(&shared->ready);
  for (uint32_t seen = 0;;) {
    while (atomic_load_explicit(&shared->call, memory_order_acquire) == seen)
      futex_wait(&shared->call, seen);
    seen++;
    if (!shared->run)
      break;
    if (index < shared->processes)
      shared->run(shared->argument, index);
    tally_add(&shared->done);
  }
  device_end();
}

static void wait_ready(unsigned count) {
  int64_t deadline = now_ns() + START_PATIENCE;
  while (atomic_load_explicit(&shared->ready.count, memory_order_acquire) < count) {
    bench_go_on();
    if (now_ns() > deadline)
      bench_die("the processes do not get their contexts");
    sleep_until(now_ns() + MS);
  }
}

void processes_begin(unsigned count) {
  shared = processes_memory(sizeof *shared);
  (void)signal(SIGCHLD, on_child);
  minding = 1;
  crew_start(&all, count, process_run, NULL);
  wait_ready(count);
}

static void start(unsigned processes, process_fn run, void *argument) {
  shared->processes = processes;
  shared->run = run;
  shared->argument = argument;
  atomic_fetch_add_explicit(&shared->call, 1, memory_order_release);
  futex_wake(&shared->call);
}

void processes_run(unsigned processes, process_fn run, void *argument) {
  if (processes > all.count)
    bench_die("%u processes of %u", processes, all.count);
  start(processes, run, argument);
  calls++;
}

void processes_wait(void) {
  tally_wait(&shared->done, calls * all.count, false);
}

void processes_end(void) {
  minding = 0;
  start(0, NULL, NULL);
  crew_join(&all);
}

void processes_mind(bool mind) {
  minding = mind;
}
