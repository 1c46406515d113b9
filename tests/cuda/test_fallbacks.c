/* test_fallbacks.c - what a driver lacks, on one side or both, is got along without: whole pictures all the same, and
 * info says what was granted for what was asked.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

#define FRAMES 60
#define NO_VMM "CUDA_STANDIN_ATTRIBUTES=102=0"
#define NO_MEMORY_OPERATIONS "CUDA_STANDIN_ATTRIBUTES=122=0"
#define NO_LEGACY "CUDA_STANDIN_ATTRIBUTES=125=0"
#define NOTHING_AT_ALL "CUDA_STANDIN_ATTRIBUTES=102=0,125=0"
#define LATE "CUDA_STANDIN_VERSION=11040"

typedef struct peer {
  const char *driver, *variables;
  checker_options options;
  uint32_t granted;
  unsigned events_that_fail; /* from the first on */
} peer;

static void run_peer(int test, void *user) {
  static checker v;
  const peer *g = user;
  driver_use(g->driver, g->variables);
  for (unsigned i = 1; i <= g->events_that_fail; i++)
    driver_fail("cuIpcOpenEventHandle", i, CUDA_ERROR_INVALID_VALUE);
  checker_begin(&v, &g->options);
  if (v.sync != g->granted)
    print_error("granted: %s\n", sync_name(v.sync));
  CHECK(v.sync == g->granted);
  while (v.report.frames < FRAMES)
    CHECK_OK(checker_look(&v, patience()));
  say(test, 0);
  hear(test); /* until it was looked at */
  checker_report report = checker_end(&v);
  tell(test, &report, sizeof report);
}

/* A publisher and a subscriber so; what info says. */
static void play(const setting *s, peer *g, const char *memory, const char *sync_mode) {
  checker_report report;
  setting set = *s;
  set.source.name = g->options.name = "poor";
  set.source.format = program_format(CUFRAMES_PIXEL_NV12);
  child *publisher = source_start(&set), *subscriber = child_start(run_peer, g);
  hear(subscriber->fd);
  cuframes_stream_info *info = query("poor");
  assert_string_equal(info->memory, memory);
  assert_int_equal(info->subscriber_count, 1);
  assert_string_equal(info->subscribers[0]->sync_mode, sync_mode);
  assert_int_equal(info->subscribers[0]->sync_asked & g->options.sync, g->options.sync);
  cuframes_stream_info_free(info);
  say(subscriber->fd, 0);
  learn(subscriber->fd, &report, sizeof report);
  child_finish(subscriber);
  source_stop(publisher);
  report_is_good(&report, "the subscriber", g->options.mode == CUFRAMES_MODE_ORDERED);
}

static const setting whole = { .driver = STANDIN };
static const setting no_operations = { .driver = STANDIN, .variables = NO_MEMORY_OPERATIONS };
static const setting old = { .driver = STANDIN_OLD, .variables = LATE };

#define TIMELINE CUFRAMES_SYNC_TIMELINE
#define EVENTS CUFRAMES_SYNC_SLOT_EVENTS
#define COMPLETE CUFRAMES_SYNC_COMPLETE

static void no_vmm_is_legacy(void **state) {
  (void)state;
  play(&(setting){ .driver = STANDIN, .variables = NO_VMM },
       &(peer){ .driver = STANDIN, .options = { .sync = TIMELINE, .release_on = true }, .granted = TIMELINE }, "legacy",
       "timeline");
}

static void complete_by_callbacks(void **state) {
  (void)state;
  play(&no_operations,
       &(peer){ .driver = STANDIN,
                .variables = NO_MEMORY_OPERATIONS,
                .options = { .mode = CUFRAMES_MODE_ORDERED, .release_on = true },
                .granted = COMPLETE },
       "vmm", "complete");
}

static void no_timeline_without_memory_operations(void **state) {
  (void)state;
  play(&no_operations, &(peer){ .driver = STANDIN, .options = { .sync = TIMELINE, .cpu = true }, .granted = COMPLETE },
       "vmm", "complete");
}

static void events_then(void **state) {
  (void)state;
  play(&no_operations,
       &(peer){ .driver = STANDIN,
                .variables = NO_MEMORY_OPERATIONS,
                .options = { .sync = TIMELINE | EVENTS, .leases = 3, .release_on = true },
                .granted = EVENTS },
       "vmm", "slot-events");
}

static void only_the_subscriber_lacks_them(void **state) {
  (void)state;
  play(&whole,
       &(peer){ .driver = STANDIN,
                .variables = NO_MEMORY_OPERATIONS,
                .options = { .sync = TIMELINE, .release_on = true },
                .granted = COMPLETE },
       "vmm", "complete");
}

static void only_the_subscriber_lacks_them_and_takes_events(void **state) {
  (void)state;
  play(&whole,
       &(peer){ .driver = STANDIN,
                .variables = NO_MEMORY_OPERATIONS,
                .options = { .sync = TIMELINE | EVENTS, .release_on = true },
                .granted = EVENTS },
       "vmm", "slot-events");
}

static void only_the_subscriber_is_old(void **state) {
  (void)state;
  play(&whole,
       &(peer){ .driver = STANDIN_OLD,
                .variables = LATE,
                .options = { .mode = CUFRAMES_MODE_ORDERED, .sync = TIMELINE, .cpu = true },
                .granted = COMPLETE },
       "vmm", "complete");
}

static void both_are_old(void **state) {
  (void)state;
  play(&old,
       &(peer){ .driver = STANDIN_OLD, .variables = LATE, .options = { .release_on = true }, .granted = COMPLETE },
       "vmm", "complete");
}

static void both_are_old_and_take_events(void **state) {
  (void)state;
  play(&old, &(peer){ .driver = STANDIN_OLD, .variables = LATE, .options = { .sync = EVENTS }, .granted = EVENTS },
       "vmm", "slot-events");
}

static void no_event_can_be_opened(void **state) {
  (void)state;
  play(&whole,
       &(peer){ .driver = STANDIN,
                .options = { .sync = EVENTS, .leases = 3, .release_on = true },
                .granted = EVENTS,
                .events_that_fail = 60 },
       "vmm", "slot-events");
}

static void some_events_cannot_be_opened(void **state) {
  (void)state;
  play(&whole,
       &(peer){ .driver = STANDIN,
                .options = { .mode = CUFRAMES_MODE_ORDERED, .sync = EVENTS, .leases = 3 },
                .granted = EVENTS,
                .events_that_fail = 1 },
       "vmm", "slot-events");
}

static void no_legacy_handles_no_events(void **state) {
  (void)state;
  play(&(setting){ .driver = STANDIN, .variables = NO_LEGACY },
       &(peer){ .driver = STANDIN, .options = { .sync = EVENTS }, .granted = COMPLETE }, "vmm", "complete");
}

/* ---- nothing to share memory with ---- */

static void run_hopeless(int test, void *user) {
  cuframes_publisher *publisher = NULL;
  cuframes_publisher_options options = { .struct_size = sizeof options,
                                         .format = program_format(CUFRAMES_PIXEL_NV12),
                                         .device = "cuda",
                                         .memory = user != NULL };
  driver_use(STANDIN, user ? NO_LEGACY : NOTHING_AT_ALL);
  CHECK_RESULT(cuframes_publisher_create("poor", &options, &publisher), CUFRAMES_ERR_UNSUPPORTED);
  detail_names("legacy");
  CHECK(publisher == NULL);
  driver_nothing_left();
  say(test, 0);
}

static void neither_vmm_nor_legacy(void **state) {
  (void)state;
  child *c = child_start(run_hopeless, NULL);
  hear(c->fd);
  child_finish(c);
}

static void legacy_asked_and_not_there(void **state) {
  (void)state;
  child *c = child_start(run_hopeless, "legacy");
  hear(c->fd);
  child_finish(c);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(no_vmm_is_legacy),
    FIXTURE(complete_by_callbacks),
    FIXTURE(no_timeline_without_memory_operations),
    FIXTURE(events_then),
    FIXTURE(only_the_subscriber_lacks_them),
    FIXTURE(only_the_subscriber_lacks_them_and_takes_events),
    FIXTURE(only_the_subscriber_is_old),
    FIXTURE(both_are_old),
    FIXTURE(both_are_old_and_take_events),
    FIXTURE(no_event_can_be_opened),
    FIXTURE(some_events_cannot_be_opened),
    FIXTURE(no_legacy_handles_no_events),
    FIXTURE(neither_vmm_nor_legacy),
    FIXTURE(legacy_asked_and_not_there),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("fallbacks", tests);
}
