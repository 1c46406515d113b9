/* crash/steps.c - counts the steps of a process, kills it when its fuse has burnt, and lets one die at every step. */
#include "crash/steps.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "crash/crash.h"
#include "support/fixture.h"

#undef syscall
#undef mmap
#undef munmap

/* The linker's names for the ends of the section. */
extern const crash_site __start_crash_sites[], __stop_crash_sites[];

#define MEETING 16

/* Of each site, over all processes. */
typedef struct tally {
  _Atomic uint32_t passed, died;
} tally;

static tally *tallies;
static crash_fuse *lit;
static uint32_t hesitation; /* steps from one pause to the next, on average; 0: never */
static _Thread_local uint64_t random_state;

static int32_t site_count(void) {
  return (int32_t)(__stop_crash_sites - __start_crash_sites);
}

static void die(int32_t site) {
  atomic_store(&lit->died, site);
  atomic_fetch_add(&tallies[site].died, 1);
  (void)syscall(SYS_kill, getpid(), SIGKILL);
  for (;;)
    (void)pause();
}

/* Pauses now and then for 1 us to 16 ms, so that others come in between where they seldom do; more often where both
 * sides announce and look. */
static void hesitate(const crash_site *site) {
  bool meeting = strcmp(site->function, "lease_announce") == 0 || strcmp(site->function, "slot_take") == 0;
  if (random_state == 0)
    random_state = (uint64_t)cuframes_now() ^ (uint64_t)(uintptr_t)&random_state;
  if (crash_below(&random_state, meeting && hesitation > MEETING ? MEETING : hesitation) != 0)
    return;
  struct timespec pause = { .tv_nsec = 1000L << crash_below(&random_state, 15) };
  (void)ppoll(NULL, 0, &pause, NULL);
}

void crash_step(const crash_site *site) {
  if (!lit)
    return;
  int error = errno;
  if (hesitation)
    hesitate(site);
  int32_t number = (int32_t)(site - __start_crash_sites);
  atomic_fetch_add(&tallies[number].passed, 1);
  if (atomic_fetch_sub(&lit->left, 1) == 1 || atomic_load(&lit->at) == number)
    die(number);
  errno = error;
}

void *crash_shared(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

void crash_set(crash_fuse *fuse, int64_t nth, int32_t at) {
  if (!tallies)
    tallies = crash_shared((size_t)site_count() * sizeof *tallies);
  atomic_store(&fuse->left, nth);
  atomic_store(&fuse->at, at);
  atomic_store(&fuse->died, -1);
}

void crash_light(crash_fuse *fuse) {
  lit = fuse;
}

void crash_hesitate(uint32_t steps) {
  hesitation = steps;
}

uint64_t crash_random(uint64_t *state) {
  uint64_t x = *state += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

uint32_t crash_below(uint64_t *state, uint32_t limit) {
  return (uint32_t)((crash_random(state) >> 32) * limit >> 32);
}

const char *crash_site_name(int32_t site) {
  static char name[256];
  if (site < 0 || site >= site_count())
    return "no site";
  const crash_site *s = &__start_crash_sites[site];
  const char *slash = strrchr(s->file, '/');
  snprintf(name, sizeof name, "%.80s in %.60s (%.60s:%ld)", s->operation, s->function, slash ? slash + 1 : s->file,
           s->line);
  return name;
}

int crash_places(void) {
  int count = 0;
  for (int32_t site = 0; tallies && site < site_count(); site++)
    count += atomic_load(&tallies[site].died) > 0;
  return count;
}

const char *crash_device(void) {
  const char *device = getenv("CUFRAMES_CRASH_DEVICE");
  return device && device[0] ? device : "host";
}

bool crash_on_gpu(void) {
  return strcmp(crash_device(), "host") != 0;
}

/* ---- everywhere ---- */

typedef struct sweep {
  const char *what;
  bool (*lived_through)(crash_fuse *fuse, void *user);
  void *user;
  crash_fuse *fuse;
  int64_t runs, deaths, nth;
} sweep;

static bool sites_once;
static sweep running; /* what: NULL when none is; for what is said about a failure */

enum { LIVED = 1, SLOW = 2 };

static void fixture_in_child(int test, void *user) {
  const sweep *s = user;
  bool lived = s->lived_through(s->fuse, s->user);
  const char *slow = fixture_was_slow();
  if (slow)
    fprintf(stderr, "%s\n", slow);
  say(test, (lived ? LIVED : 0) | (slow ? SLOW : 0));
}

static bool fixture_apart(sweep *s, bool *slow) {
  uint64_t word = 0;
  child *process = child_start(fixture_in_child, s);
  CHECK(hear_unless_gone(process->fd, &word)); /* or it said why */
  child_finish(process);
  *slow = word & SLOW;
  return word & LIVED;
}

static bool fixture_here(sweep *s, bool *slow) {
  bool lived = s->lived_through(s->fuse, s->user);
  const char *why = fixture_was_slow();
  if (why)
    print_message("%s\n", why);
  *slow = why != NULL;
  return lived;
}

static bool run_once(sweep *s, int64_t nth, int32_t at) {
  bool lived, slow = true;
  s->nth = nth;
  for (int tries = 0; slow; tries++) {
    if (tries == SLOW_MOST)
      check_failed(__FILE__, __LINE__,
                   "nothing was slow, as printed above, in at least one of several runs of this step");
    crash_set(s->fuse, nth, at);
    s->runs++;
    lived = crash_on_gpu() ? fixture_apart(s, &slow) : fixture_here(s, &slow);
  }
  s->deaths += !lived;
  return lived;
}

int crash_fixture_end(void **state) {
  if (running.what) {
    print_error("%s failed in run %" PRId64 ", step %" PRId64 ": died at %s\n", running.what, running.runs, running.nth,
                crash_site_name(atomic_load(&running.fuse->died)));
    running.what = NULL;
  }
  return fixture_end(state);
}

/* Each site that somebody passed and nobody died at. */
static void sites_left(sweep *s) {
  for (int32_t site = 0; site < site_count(); site++)
    for (int tries = 0; tries < 3 && atomic_load(&tallies[site].passed) && !atomic_load(&tallies[site].died); tries++)
      (void)run_once(s, 0, site);
}

static void sites_report(const sweep *s, int64_t steps) {
  int passed = 0, died = 0;
  for (int32_t site = 0; site < site_count(); site++) {
    passed += atomic_load(&tallies[site].passed) > 0;
    died += atomic_load(&tallies[site].died) > 0;
    if (atomic_load(&tallies[site].passed) > 0 && atomic_load(&tallies[site].died) == 0)
      print_message("passed, and nobody died there: %s\n", crash_site_name(site));
  }
  print_message("%s: %" PRId64 " steps; died %" PRId64 " times, at %d of %d places passed (of %d in the library)\n",
                s->what, steps, s->deaths, died, passed, site_count());
}

void crash_sites_once(void) {
  sites_once = true;
}

void crash_everywhere(const char *what, int samples, bool (*lived_through)(crash_fuse *fuse, void *user), void *user) {
  const char *mode = getenv("CUFRAMES_CRASH");
  bool all = mode && strcmp(mode, "all") == 0;
  int64_t only = mode ? strtoll(mode, NULL, 10) : 0;
  sweep *s = &running;
  *s = (sweep){ .what = what, .lived_through = lived_through, .user = user, .fuse = crash_shared(sizeof *s->fuse) };
  if (tallies && (all || !sites_once))
    memset(tallies, 0, (size_t)site_count() * sizeof *tallies);
  if (only > 0) {
    (void)run_once(s, only, -1);
  } else {
    CHECK(run_once(s, 0, -1)); /* in peace: it lives */
    int64_t steps = -atomic_load(&s->fuse->left), stride = all || steps < samples ? 1 : steps / samples;
    CHECK(steps > 0);
    for (int64_t nth = 1; !run_once(s, nth, -1); nth += stride)
      ;
    sites_left(s);
    sites_report(s, steps);
  }
  munmap(s->fuse, sizeof *s->fuse);
  s->what = NULL;
}
