/* test_cuda_publisher.c - a publisher on a GPU dies at each of its steps and of its calls of the driver, with
 * pictures in work: creation, external buffers, admission in every sync mode, growth, publishing, a change of format,
 * its end. Its subscribers get whole pictures or LOST ones, their streams go on within a second, they hear of the
 * death, and its name can be taken again. A stream that waits for a slot event may wait for ever (docs/gpu.md); its
 * process must not.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>

#include "crash/crash.h"
#include "crash/gpu_survivor.h"
#include "crash/survivor.h"
#include "gpu/source.h"

enum { ROUNDS = 5, PICTURES = 3, LEASES = 2, DEPTH = 3 };
enum { ORDERED, GIVES_BACK, COMPLETE, SURVIVORS };

/* What the lives of a test saw, all together. */
typedef struct observer_record {
  _Atomic uint64_t checked, lost, hung;
  _Atomic int64_t longest_ns;
} seen;

typedef struct plan {
  memory_kind memory;
  seen *seen;
} plan;

typedef struct victim_of {
  memory_kind memory;
  crash_fuse *fuse;
} victim_of;

/* Says when each round is over, and hears when the next one may begin. */
static void victim(int test, void *user) {
  static source s;
  const victim_of *me = user;
  bool external = me->memory >= EXTERNAL_VMM;
  cuframes_format wide = small_format();
  wide.width = 128;
  crash_light(me->fuse);
  source_begin(&s, &(source_options){ .name = "s",
                                      .memory = me->memory,
                                      .format = small_format(),
                                      .buffers = external ? 2 + 4 * LEASES + DEPTH : 2 }); /* or it grows at once */
  for (uint64_t round = 0; round < ROUNDS; round++) {
    say(test, round);
    (void)hear(test);
    if (round == 2 && !external)
      CHECK_OK(cuframes_publisher_set_format(s.publisher, &wide));
    for (int i = 0; i < PICTURES; i++)
      source_publish(&s);
  }
  say(test, ROUNDS);
  (void)hear(test);
  source_end(&s);
}

/* ---- a subscriber whose stream waits for slot events, in a process of its own ---- */

static int events_look(gpu_survivor *s, bool *hangs) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next_on(s->subscriber, patience(), s->stream, &frame);
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  CHECK(number > s->last);
  s->last = number;
  result = cuframes_frame_wait(frame, patience());
  if (result == CUFRAMES_ERR_LOST) {
    cuframes_frame_release(frame);
    *hangs = true; /* its stream, perhaps */
    return CUFRAMES_OK;
  }
  CHECK_OK(result);
  if (!*hangs) {
    CHECK(LAUNCH(s->g, s->stream, "check", frame_address(frame), frame_words(frame), stamp(number), s->wrong) == 0);
    WAIT_FOR(cu.cuStreamQuery(s->stream) == CUDA_SUCCESS);
    CHECK(word_value(s->wrong) == 0);
  }
  cuframes_frame_release(frame);
  return CUFRAMES_OK;
}

/* Says whether it joined, and in the end whether it can end well. */
static void events_play(int test, void *user) {
  gpu g;
  gpu_survivor s = { .g = &g, .mode = CUFRAMES_MODE_NEWEST, .sync = CUFRAMES_SYNC_SLOT_EVENTS };
  bool hangs = false;
  int result = CUFRAMES_OK;
  (void)user;
  gpu_begin(&g, 0);
  (void)hear(test);
  bool joined = gpu_survivor_join(&s, LEASES, 0);
  say(test, joined);
  while (joined && result == CUFRAMES_OK)
    result = events_look(&s, &hangs);
  CHECK(!joined || result == CUFRAMES_ERR_PUBLISHER_GONE);
  say(test, hangs);
  (void)hear(test); /* or it is killed */
  gpu_survivor_leave(&s);
  gpu_end(&g);
}

/* ---- one life ---- */

/* What the survivors do between two rounds. False: the publisher is gone. */
static bool between(gpu_survivor s[SURVIVORS], const child *events, uint64_t round) {
  switch (round) {
    case 0: say(events->fd, 0); return hear(events->fd) && gpu_survivor_join(&s[ORDERED], LEASES, DEPTH);
    case 1: return gpu_survivor_join(&s[GIVES_BACK], LEASES, 0) && gpu_survivor_join(&s[COMPLETE], LEASES, 0);
    case 3: gpu_survivor_leave(&s[GIVES_BACK]); break;
    case 4: return gpu_survivor_join(&s[GIVES_BACK], LEASES, 0);
    default: break;
  }
  return true;
}

static bool take_all(gpu_survivor s[SURVIVORS], uint64_t number) {
  for (int i = 0; i < SURVIVORS; i++)
    if (s[i].subscriber && !gpu_survivor_take(&s[i], number))
      return false;
  return true;
}

/* The rounds, until the publisher is gone: gives how many were begun. */
static uint64_t rounds_play(const child *process, const child *events, gpu_survivor s[SURVIVORS]) {
  uint64_t round, begun = 0;
  while (hear_unless_gone(process->fd, &round)) {
    begun = round + 1;
    if (!between(s, events, round) || !say_unless_gone(process->fd, 0))
      break;
    if (round < ROUNDS && !take_all(s, (round + 1) * PICTURES)) /* while they are published */
      break;
  }
  return begun;
}

static void events_end(child *events, bool asked, seen *all) {
  if (!asked) { /* finds nobody */
    say(events->fd, 0);
    CHECK(!hear(events->fd));
  }
  bool hangs = hear(events->fd);
  atomic_fetch_add(&all->hung, hangs);
  if (hangs) {
    child_kill(events);
    return;
  }
  say(events->fd, 0);
  child_finish(events);
}

static void name_again(void) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  survivor s;
  options.device = "cuda";
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK(survivor_join(&s, CUFRAMES_MODE_ORDERED, 2, 4));
  CHECK_OK(picture_publish(publisher, 1));
  survivor_take_up_to(&s, 1);
  survivor_leave(&s);
  cuframes_publisher_destroy(publisher);
}

static void count(seen *all, const gpu_survivor *s) {
  atomic_fetch_add(&all->checked, s->checked);
  atomic_fetch_add(&all->lost, s->lost);
  if (s->longest_ns > atomic_load(&all->longest_ns))
    atomic_store(&all->longest_ns, s->longest_ns);
}

static bool one_life(crash_fuse *fuse, void *user) {
  const plan *p = user;
  gpu g;
  gpu_survivor s[SURVIVORS] = {
    [ORDERED] = { .g = &g, .mode = CUFRAMES_MODE_ORDERED, .sync = CUFRAMES_SYNC_TIMELINE },
    [GIVES_BACK] = { .g = &g, .mode = CUFRAMES_MODE_NEWEST, .sync = CUFRAMES_SYNC_TIMELINE, .release_on = true },
    [COMPLETE] = { .g = &g, .mode = CUFRAMES_MODE_NEWEST, .sync = CUFRAMES_SYNC_COMPLETE },
  };
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  child *process = child_start(victim, &(victim_of){ p->memory, fuse }), *events = child_start(events_play, NULL);
  gpu_begin(&g, 0);
  uint64_t begun = rounds_play(process, events, s);
  int status = child_status(process);
  bool lived = status == 0;
  CHECK(lived ? begun == ROUNDS + 1 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  for (int i = 0; i < SURVIVORS; i++) {
    gpu_survivor_end(&s[i]);
    count(p->seen, &s[i]);
  }
  events_end(events, begun > 0, p->seen);
  sweep_up(); /* after the dead */
  CHECK(fixture_files() == 0);
  name_again();
  gpu_end(&g);
  CHECK(fixture_files() == 0);
  CHECK(fixture_descriptors() == descriptors && fixture_mappings() == mappings);
  return lived;
}

static void everywhere(const char *name, int samples, memory_kind memory) {
  seen *all = crash_shared(sizeof *all);
  crash_everywhere(name, samples, one_life, &(plan){ memory, all });
  print_message("%s: %" PRIu64 " pictures whole, %" PRIu64
                " lost; streams that waited for a slot event for ever at most %" PRIu64
                "; the longest wait of a stream %.0f ms\n",
                name, all->checked, all->lost, all->hung, (double)all->longest_ns / MS);
}

static void a_publisher_may_die_at_every_step(void **state) {
  (void)state;
  everywhere("publisher", 70, MEMORY_VMM);
}

static void one_of_external_buffers_may_die_at_every_step(void **state) {
  (void)state;
  everywhere("publisher of external buffers", 30, EXTERNAL_VMM);
}

static void one_of_legacy_memory_may_die_at_every_step(void **state) {
  (void)state;
  everywhere("publisher of legacy memory", 30, MEMORY_LEGACY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    CRASH_FIXTURE(a_publisher_may_die_at_every_step),
    CRASH_FIXTURE(one_of_external_buffers_may_die_at_every_step),
    CRASH_FIXTURE(one_of_legacy_memory_may_die_at_every_step),
  };
  crash_sites_once();
  return FIXTURE_RUN("cuda_publisher", tests);
}
