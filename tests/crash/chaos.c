/* crash/chaos.c - kills one of a publisher and its subscribers, at a random step or from outside at any instant, puts
 * another one in its place and looks whether all others go on, thousands of times.
 *
 *     crash_chaos [--kills N] [--seed N] [--round N] [--device NAME]
 *
 * A round is a stream from its first publisher to the end of its last one, 100 kills long; what it does follows from
 * the seed and its number, as far as the machine's scheduler lets it. --round runs only that one.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/chaos.h"
#include "support/fixture.h"

enum { KILLS_PER_ROUND = 100, BURN_MS = 300 };

static struct {
  uint64_t kills, seed, round;
  const char *device;
} options = { .kills = 300 };

static volatile sig_atomic_t interrupted;
static bool on_gpu;

static chaos_world *world;
static child *process[CHAOS_WORKERS], *attackers[CHAOS_ATTACKERS];
static bool frozen[CHAOS_WORKERS];
static uint64_t killed[2]; /* subscribers, publishers */
static uint64_t freezes;
static uint64_t longest_ns; /* until all others went on */

static void interrupt(int number) {
  (void)number;
  interrupted = 1;
}

static void worker_start(int i, uint64_t *random, int64_t fuse) {
  chaos_worker *a = &world->worker[i];
  *a = (chaos_worker){ .world = world, .random = crash_random(random) };
  crash_set(&a->fuse, fuse, -1);
  if (on_gpu)
    process[i] = child_start(i == 0 ? chaos_gpu_publisher : chaos_gpu_subscriber, a);
  else
    process[i] = child_start(i == 0 ? chaos_publisher : chaos_subscriber, a);
}

/* ---- beside ---- */

static void attack(int test, void *user) {
  (void)test;
  chaos_attack(world, user);
}

static void attackers_start(uint64_t *random) {
  atomic_store(&world->over, 0);
  for (int i = 0; i < CHAOS_ATTACKERS; i++) {
    world->attacker[i].id = i;
    world->attacker[i].random = crash_random(random);
    attackers[i] = child_start(attack, &world->attacker[i]);
  }
}

static void attackers_end(void) {
  atomic_store(&world->over, 1);
  for (int i = 0; i < CHAOS_ATTACKERS; i++)
    child_finish(attackers[i]);
}

/* Some of those that live do not run while another one dies. */
static void some_freeze(uint64_t *random, int victim) {
  if (crash_below(random, 3) != 0)
    return;
  for (int i = 0; i < CHAOS_WORKERS; i++) {
    if (i == victim || crash_below(random, 3) != 0 || atomic_load(&world->worker[i].fuse.left) > 0)
      continue; /* who is about to die does so */
    child_stop(process[i]);
    frozen[i] = true;
    freezes++;
  }
}

static void all_thaw(void) {
  for (int i = 0; i < CHAOS_WORKERS; i++) {
    if (frozen[i])
      child_continue(process[i]);
    frozen[i] = false;
  }
}

/* ---- kills ---- */

/* Steps after which one dies: somewhere in some tens of frames, or while it is still coming up, which on a GPU takes
 * some hundreds of them more. */
static int64_t some_steps(int i, uint64_t *random, bool at_birth) {
  return 1 + crash_below(random, (at_birth ? 200 : 600) * (i == 0 ? 5 : 1) + (on_gpu ? 600 : 0));
}

/* The victim dies: by itself if its fuse burns, else by force. */
static void victim_end(int i, bool burns) {
  int status = 0;
  if (!burns || !child_ended_by(process[i], cuframes_now() + BURN_MS * MS, &status)) {
    (void)kill(process[i]->pid, SIGKILL);
    CHECK(child_ended_by(process[i], cuframes_now() + patience(), &status));
  }
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  process[i] = NULL;
  killed[i == 0]++;
}

/* Everybody does something: nobody is stuck. */
static void all_go_on(void) {
  uint64_t before[CHAOS_WORKERS];
  int64_t start = cuframes_now();
  for (int i = 0; i < CHAOS_WORKERS; i++)
    before[i] = atomic_load(&world->worker[i].progress);
  for (int i = 0; i < CHAOS_WORKERS; i++) {
    while (atomic_load(&world->worker[i].progress) == before[i] && !interrupted) {
      if (cuframes_now() - start > patience()) {
        print_error("%s %d is stuck\n", i == 0 ? "publisher" : "subscriber", i);
        check_failed(__FILE__, __LINE__, "everybody goes on");
      }
      pause_ms(1);
    }
  }
  int64_t took = cuframes_now() - start;
  if ((uint64_t)took > longest_ns)
    longest_ns = (uint64_t)took;
}

/* Kills one and replaces it. The new one's fuse may burn already: then it is the next victim. */
static int kill_one(uint64_t *random, int victim) {
  bool burns = victim >= 0;
  if (!burns) {
    victim = crash_below(random, 4) == 0 ? 0 : 1 + (int)crash_below(random, CHAOS_WORKERS - 1);
    burns = crash_below(random, 4) != 0;
    if (burns)
      atomic_store(&world->worker[victim].fuse.left, some_steps(victim, random, false));
  }
  some_freeze(random, victim);
  victim_end(victim, burns);
  bool again = crash_below(random, 4) == 0;
  worker_start(victim, random, again ? some_steps(victim, random, true) : 0);
  all_thaw();
  if (again)
    return victim;
  all_go_on();
  return -1;
}

static void round_end(void) {
  for (int i = CHAOS_WORKERS - 1; i >= 0; i--) /* the publisher last: it looks whether it has everything back */
    atomic_store(&world->worker[i].stop, i > 0);
  for (int i = CHAOS_WORKERS - 1; i >= 0; i--) {
    atomic_store(&world->worker[i].stop, 1);
    child_finish(process[i]);
  }
}

static void round_run(uint64_t round, uint64_t kills) {
  uint64_t random = options.seed ^ crash_random(&(uint64_t){ round });
  void *state = NULL;
  int victim = -1;
  CHECK(fixture_begin(&state) == 0);
  for (int i = 0; i < CHAOS_WORKERS; i++)
    worker_start(i, &random, 0);
  attackers_start(&random);
  all_go_on();
  for (uint64_t k = 0; k < kills && !interrupted; k++)
    victim = kill_one(&random, victim);
  attackers_end();
  if (interrupted) {
    for (int i = 0; i < CHAOS_WORKERS; i++)
      child_kill(process[i]);
    (void)unlink(fixture_path("s.sock"));
    (void)unlink(fixture_path("s.lock"));
  } else {
    if (victim >= 0) {
      victim_end(victim, true);
      worker_start(victim, &random, 0);
    }
    round_end();
  }
  CHECK(fixture_end(&state) == 0);
}

static void chaos(void **state) {
  (void)state;
  bool terminal = isatty(STDOUT_FILENO);
  uint64_t first = options.round, rounds = (options.kills + KILLS_PER_ROUND - 1) / KILLS_PER_ROUND;
  world = crash_shared(sizeof *world);
  world->device = options.device;
  on_gpu = strcmp(options.device, "host") != 0;
  for (uint64_t r = first; r < first + rounds && !interrupted; r++) {
    uint64_t left = options.kills - (r - first) * KILLS_PER_ROUND;
    if (terminal || r % 10 == 0)
      print_message("%s seed %" PRIu64 " round %" PRIu64 ": %" PRIu64 " kills, %" PRIu64 " frames%s",
                    terminal ? "\r" : "", options.seed, r, killed[0] + killed[1], atomic_load(&world->all.frames),
                    terminal ? "" : "\n");
    round_run(r, left < KILLS_PER_ROUND ? left : KILLS_PER_ROUND);
  }
  print_message("%sseed %" PRIu64 ": %" PRIu64 " kills survived (%" PRIu64 " of publishers), at %d places; %" PRIu64
                " frames and %" PRIu64 " packets checked, %" PRIu64 " lost, %" PRIu64 " evictions; %" PRIu64
                " times one was stopped, %" PRIu64 " forked processes, %" PRIu64 " attacks beside, %" PRIu64
                " joins refused for want of memory; all went on within %.0f ms; torn %" PRIu64 ", back-jumps %" PRIu64
                ", gaps %" PRIu64 ", stuck 0%s\n",
                terminal ? "\r" : "", options.seed, killed[0] + killed[1], killed[1], crash_places(),
                atomic_load(&world->all.frames), atomic_load(&world->packets), atomic_load(&world->all.lost),
                atomic_load(&world->all.evictions), freezes, atomic_load(&world->forks), atomic_load(&world->attacks),
                atomic_load(&world->refused), (double)longest_ns / 1e6, atomic_load(&world->all.torn),
                atomic_load(&world->all.back_jumps), atomic_load(&world->all.gaps),
                interrupted ? " (interrupted)" : "");
  assert_int_equal(atomic_load(&world->all.torn) + atomic_load(&world->all.back_jumps) + atomic_load(&world->all.gaps),
                   0);
  assert_true(interrupted || atomic_load(&world->all.frames) > options.kills);
}

static int tear_down(void **state) {
  (void)state;
  (void)child_end_all();
  return 0;
}

static int usage(const char *name) {
  fprintf(stderr, "usage: %s [--kills N] [--seed N] [--round N] [--device NAME]\n", name);
  return 2;
}

int main(int argc, char **argv) {
  options.seed = (uint64_t)cuframes_now();
  options.device = crash_device();
  for (int i = 1; i < argc; i += 2) {
    uint64_t *number = strcmp(argv[i], "--kills") == 0   ? &options.kills
                       : strcmp(argv[i], "--seed") == 0  ? &options.seed
                       : strcmp(argv[i], "--round") == 0 ? &options.round
                                                         : NULL;
    char *end = "";
    if (i + 1 == argc)
      return usage(argv[0]);
    if (number)
      *number = strtoull(argv[i + 1], &end, 0);
    else if (strcmp(argv[i], "--device") == 0)
      options.device = argv[i + 1];
    else
      return usage(argv[0]);
    if (*end)
      return usage(argv[0]);
  }
  (void)signal(SIGINT, interrupt);
  const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(chaos, tear_down) };
  return FIXTURE_RUN("chaos", tests);
}
