/* crash/crash.h - processes that die at a given step of the library, and the loop that lets one die at each. */
#ifndef CRASH_CRASH_H
#define CRASH_CRASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/child.h"

/* How a process is to die; in memory that it shares with the test. */
typedef struct crash_fuse {
  _Atomic int64_t left; /* steps until it dies; the rest from 0 downward means never */
  _Atomic int32_t at;   /* or dies at its first step here: number of a site, -1: none */
  _Atomic int32_t died; /* the site where it died, -1: it did not */
} crash_fuse;

/* Memory that is shared with processes that are forked later, zeroed; for as long as the test runs. */
void *crash_shared(size_t bytes);

/* In the test, before it forks: from step `nth` on, or at the site with that number. */
void crash_set(crash_fuse *fuse, int64_t nth, int32_t at);
/* In the process that is to die: from now on its steps are counted. */
void crash_light(crash_fuse *fuse);
/* From now on this process pauses at one in so many steps, for 1 us to 16 ms. */
void crash_hesitate(uint32_t steps);

/* splitmix64; below a limit. */
uint64_t crash_random(uint64_t *state);
uint32_t crash_below(uint64_t *state, uint32_t limit);

/* Places in the library where processes died. */
int crash_places(void);
/* "close in cf_close (memory.c:32)" */
const char *crash_site_name(int32_t site);

/* Where frames lie: $CUFRAMES_CRASH_DEVICE, or "host". */
const char *crash_device(void);
bool crash_on_gpu(void);

/* Runs it again and again, on a GPU each time in a process of its own, since CUDA does not survive a fork; it
 * lights the fuse in a process that it starts, and says whether that one lived. With CUFRAMES_CRASH=all for steps 1,
 * 2, 3, ... until it lives; else for about `samples` steps, evenly. Then for each site that was passed where no one
 * died yet. CUFRAMES_CRASH=N: only for step N. */
void crash_everywhere(const char *what, int samples, bool (*lived_through)(crash_fuse *fuse, void *user), void *user);
/* From now on a site where somebody died in an earlier call of crash_everywhere() counts in the later ones. */
void crash_sites_once(void);
/* Tear-down: says which step a test failed at. */
int crash_fixture_end(void **state);
#define CRASH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_begin, crash_fixture_end)

#endif
