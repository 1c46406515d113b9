/* test_chaos.c - kills publishers and subscribers of every sync mode at any instant, some at a time, puts others in
 * their places and looks whether all go on, again and again: nothing torn, nobody stuck, nothing left.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "actor.h"
#include "viewer.h"

enum { ACTORS = 7, TOGETHER = 5, LIVE_MS = 150 }; /* the first one publishes */

/* An actor's page. */
typedef struct page {
  actor_world *world;
  uint64_t random;
  _Atomic uint64_t progress;
  _Atomic uint32_t stop;
} page;

static struct director {
  actor_world world;
  page page[ACTORS];
} * director;
static child *process[ACTORS];
static uint64_t killed[2]; /* subscribers, publishers */
static int64_t longest;    /* until everybody went on */

static void play(int test, void *user) {
  page *mine = user;
  (void)test;
  actor me = { .world = mine->world, .random = mine->random, .progress = &mine->progress, .stop = &mine->stop };
  if (mine == director->page)
    actor_publish(&me);
  else
    actor_subscribe(&me);
}

static void actor_start(int i) {
  director->page[i] = (page){ .world = &director->world, .random = stage_random(UINT64_C(1) << 31) };
  process[i] = child_start(play, &director->page[i]);
}

static bool went_on(int i, uint64_t progress) {
  int status;
  for (int k = 0; k < ACTORS; k++)
    NEED(!child_ended_by(process[k], 0, &status)); /* or it said why */
  return atomic_load(&director->page[i].progress) >= progress;
}

/* Everybody gets, or makes, two more pictures. */
static void all_go_on(int64_t since) {
  uint64_t before[ACTORS];
  for (int i = 0; i < ACTORS; i++)
    before[i] = atomic_load(&director->page[i].progress);
  for (int i = 0; i < ACTORS; i++)
    WAIT_FOR(went_on(i, before[i] + 2));
  longest = cuframes_now() - since > longest ? cuframes_now() - since : longest;
}

/* Some of them at once; the publisher every third time. */
static void kill_some(uint64_t most) {
  bool dies[ACTORS] = { stage_random(3) == 0 };
  uint64_t count = 1 + stage_random(TOGETHER < most ? TOGETHER : most);
  for (uint64_t n = dies[0]; n < count; n++)
    dies[1 + stage_random(ACTORS - 1)] = true;
  pause_ms((int)stage_random(LIVE_MS)); /* at any instant */
  int64_t start = cuframes_now();
  for (int i = 0; i < ACTORS; i++)
    if (dies[i])
      NEED(kill(process[i]->pid, SIGKILL) == 0);
  for (int i = 0; i < ACTORS; i++) {
    int status = 0;
    if (!dies[i])
      continue;
    NEED(child_ended_by(process[i], cuframes_now() + patience(), &status));
    NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    killed[i == 0]++;
    actor_start(i);
  }
  all_go_on(start);
}

static void kills(void **state) {
  (void)state;
  uint64_t wanted = stage.cycles ? stage.cycles : 150;
  memory_kind_need(MEMORY_VMM);
  sync_need(CUFRAMES_SYNC_TIMELINE);
  stage_reseed(0);
  director = mmap(NULL, sizeof *director, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  NEED(director != MAP_FAILED);
  for (int i = 0; i < ACTORS; i++)
    actor_start(i);
  all_go_on(cuframes_now());
  longest = 0;
  while (killed[0] + killed[1] < wanted)
    kill_some(wanted - killed[0] - killed[1]);
  for (int i = ACTORS - 1; i >= 0; i--) { /* the publisher last: it looks whether it has everything back */
    atomic_store(&director->page[i].stop, 1);
    int status = -1;
    NEED(child_ended_by(process[i], cuframes_now() + patience(), &status) && status == 0);
  }
  const actor_world *w = &director->world;
  stage_note("seed %" PRIu64 ": %" PRIu64 " kills (%" PRIu64 " of publishers); %" PRIu64
             " frames checked, torn %" PRIu64 ", back-jumps %" PRIu64 ", gaps %" PRIu64 ", %" PRIu64 " lost, %" PRIu64
             " evictions; stuck 0; a stream waited for %.0f ms at most, all usable again within %.0f ms",
             stage.seed, killed[0] + killed[1], killed[1], w->frames, w->torn, w->back_jumps, w->gaps, w->lost,
             w->evictions, (double)w->longest_wait_ns / 1e6, (double)longest / 1e6);
  NEED(w->torn + w->back_jumps + w->gaps == 0);
  NEED(w->frames > wanted);
  NEED(munmap(director, sizeof *director) == 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = { SHOW(kills) };
  return STAGE_RUN(argc, argv, tests);
}
