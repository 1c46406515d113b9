/* test_chaos.c - kills publishers and subscribers of every sync mode at any instant, some at a time, puts others in
 * their places and looks whether all go on, again and again: nothing torn, nobody stuck, nothing left.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "checker.h"
#include "worker.h"

enum { WORKERS = 7, TOGETHER = 5, LIVE_MS = 150 }; /* the first one publishes */

/* An worker's page. */
typedef struct page {
  worker_world *world;
  uint64_t random;
  _Atomic uint64_t progress;
  _Atomic uint32_t stop;
} page;

static struct chaos {
  worker_world world;
  page page[WORKERS];
} * chaos;
static child *process[WORKERS];
static uint64_t killed[2]; /* subscribers, publishers */
static int64_t longest;    /* until everybody went on */

static void play(int test, void *user) {
  page *mine = user;
  (void)test;
  worker me = { .world = mine->world, .random = mine->random, .progress = &mine->progress, .stop = &mine->stop };
  if (mine == chaos->page)
    worker_publish(&me);
  else
    worker_subscribe(&me);
}

static void worker_start(int i) {
  chaos->page[i] = (page){ .world = &chaos->world, .random = program_random(UINT64_C(1) << 31) };
  process[i] = child_start(play, &chaos->page[i]);
}

static bool went_on(int i, uint64_t progress) {
  int status;
  for (int k = 0; k < WORKERS; k++)
    CHECK(!child_ended_by(process[k], 0, &status)); /* or it said why */
  return atomic_load(&chaos->page[i].progress) >= progress;
}

/* Everybody gets, or makes, two more pictures. */
static void all_go_on(int64_t since) {
  uint64_t before[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    before[i] = atomic_load(&chaos->page[i].progress);
  for (int i = 0; i < WORKERS; i++)
    WAIT_FOR(went_on(i, before[i] + 2));
  longest = cuframes_now() - since > longest ? cuframes_now() - since : longest;
}

/* Some of them at once; the publisher every third time. */
static void kill_some(uint64_t most) {
  bool dies[WORKERS] = { program_random(3) == 0 };
  uint64_t count = 1 + program_random(TOGETHER < most ? TOGETHER : most);
  for (uint64_t n = dies[0]; n < count; n++)
    dies[1 + program_random(WORKERS - 1)] = true;
  pause_ms((int)program_random(LIVE_MS)); /* at any instant */
  int64_t start = cuframes_now();
  for (int i = 0; i < WORKERS; i++)
    if (dies[i])
      CHECK(kill(process[i]->pid, SIGKILL) == 0);
  for (int i = 0; i < WORKERS; i++) {
    int status = 0;
    if (!dies[i])
      continue;
    CHECK(child_ended_by(process[i], cuframes_now() + patience(), &status));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    killed[i == 0]++;
    worker_start(i);
  }
  all_go_on(start);
}

static void kills(void **state) {
  (void)state;
  uint64_t wanted = program.cycles ? program.cycles : 150;
  memory_kind_need(MEMORY_VMM);
  sync_need(CUFRAMES_SYNC_TIMELINE);
  program_reseed(0);
  chaos = mmap(NULL, sizeof *chaos, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(chaos != MAP_FAILED);
  for (int i = 0; i < WORKERS; i++)
    worker_start(i);
  all_go_on(cuframes_now());
  longest = 0;
  while (killed[0] + killed[1] < wanted)
    kill_some(wanted - killed[0] - killed[1]);
  for (int i = WORKERS - 1; i >= 0; i--) { /* the publisher last: it looks whether it has everything back */
    atomic_store(&chaos->page[i].stop, 1);
    int status = -1;
    CHECK(child_ended_by(process[i], cuframes_now() + patience(), &status) && status == 0);
  }
  const worker_world *w = &chaos->world;
  program_note("seed %" PRIu64 ": %" PRIu64 " kills (%" PRIu64 " of publishers); %" PRIu64
               " frames checked, torn %" PRIu64 ", back-jumps %" PRIu64 ", gaps %" PRIu64 ", %" PRIu64 " lost, %" PRIu64
               " evictions; stuck 0; a stream waited for %.0f ms at most, all usable again within %.0f ms",
               program.seed, killed[0] + killed[1], killed[1], w->frames, w->torn, w->back_jumps, w->gaps, w->lost,
               w->evictions, (double)w->longest_wait_ns / 1e6, (double)longest / 1e6);
  CHECK(w->torn + w->back_jumps + w->gaps == 0);
  CHECK(w->frames > wanted);
  CHECK(munmap(chaos, sizeof *chaos) == 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = { SHOW(kills) };
  return PROGRAM_RUN(argc, argv, tests);
}
