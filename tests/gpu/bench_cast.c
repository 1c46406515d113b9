/* bench_cast.c - the players: processes of their own with a CUDA context each, who play one scene after the other. */
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
typedef struct stage {
  alignas(LINE) _Atomic uint32_t call;
  unsigned players;
  scene_fn scene; /* a function has the same address in all: they are forked */
  void *argument;
  tally ready, done;
} stage;

static uint8_t *memory;
static size_t used;
static stage *theatre;
static crew cast;
static unsigned calls;
static volatile sig_atomic_t minding;

static void on_child(int number) {
  (void)number;
  if (minding)
    (void)raise(SIGTERM); /* a player is gone; crew.c ends the program */
}

void *cast_memory(size_t bytes) {
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

bool cast_probe(void) {
  crew probe;
  int status;
  crew_start(&probe, 1, probe_run, NULL);
  return waitpid(probe.pid[0], &status, 0) == probe.pid[0] && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void player_run(void *argument, unsigned index) {
  (void)argument;
  (void)signal(SIGCHLD, SIG_DFL);
  device_begin(false);
  pin_reader(index); /* after the driver's own threads were started: those go where they like */
  tally_add(&theatre->ready);
  for (uint32_t seen = 0;;) {
    while (atomic_load_explicit(&theatre->call, memory_order_acquire) == seen)
      futex_wait(&theatre->call, seen);
    seen++;
    if (!theatre->scene)
      break;
    if (index < theatre->players)
      theatre->scene(theatre->argument, index);
    tally_add(&theatre->done);
  }
  device_end();
}

static void wait_ready(unsigned count) {
  int64_t deadline = now_ns() + START_PATIENCE;
  while (atomic_load_explicit(&theatre->ready.count, memory_order_acquire) < count) {
    bench_go_on();
    if (now_ns() > deadline)
      bench_die("the players do not get their contexts");
    sleep_until(now_ns() + MS);
  }
}

void cast_begin(unsigned count) {
  theatre = cast_memory(sizeof *theatre);
  (void)signal(SIGCHLD, on_child);
  minding = 1;
  crew_start(&cast, count, player_run, NULL);
  wait_ready(count);
}

static void call(unsigned players, scene_fn scene, void *argument) {
  theatre->players = players;
  theatre->scene = scene;
  theatre->argument = argument;
  atomic_fetch_add_explicit(&theatre->call, 1, memory_order_release);
  futex_wake(&theatre->call);
}

void cast_play(unsigned players, scene_fn scene, void *argument) {
  if (players > cast.count)
    bench_die("%u players of %u", players, cast.count);
  call(players, scene, argument);
  calls++;
}

void cast_wait(void) {
  tally_wait(&theatre->done, calls * cast.count, false);
}

void cast_end(void) {
  minding = 0;
  call(0, NULL, NULL);
  crew_join(&cast);
}

void cast_mind(bool mind) {
  minding = mind;
}
