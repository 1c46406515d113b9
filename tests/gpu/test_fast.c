/* test_fast.c - very many pictures as fast as the publisher can, in every sync mode: nothing torn, nothing twice,
 * nothing back; and to ordered subscribers, which get every one.
 */
#include <inttypes.h>

#include "show.h"

static void play(uint32_t sync, bool ordered, uint64_t frames) {
  sync_need(sync);
  show_result result = { 0 };
  show s = { .source = { .format = program_format(CUFRAMES_PIXEL_NV12), .full = true },
             .frames = frames,
             .count = ordered ? 2 : 5 };
  for (int i = 0; i < s.count; i++)
    s.checkers[i] = (checker_options){ .mode = ordered ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST,
                                       .sync = sync,
                                       .leases = i % 2 ? 4 : 2,
                                       .depth = ordered ? 8 : 0,
                                       .release_on = i % 2,
                                       .cpu = i == 2,
                                       .slow_ms = i == 4 ? 20 : 0 };
  show_play(&s, &result);
  show_is_good(&s, &result);
  uint64_t seen = 0;
  for (int i = 0; i < s.count; i++)
    seen += result.reports[i].frames;
  program_note("%" PRIu64 " frames in %.2f s, %.1f us each; seen %" PRIu64 " times by %d, 0 torn, 0 back, 0 twice",
               s.frames, (double)result.ns / 1e9, (double)result.ns / 1e3 / (double)s.frames, seen, s.count);
}

static uint64_t frames(void) {
  return program.frames ? program.frames : 100000;
}

static void complete(void **state) {
  (void)state;
  play(CUFRAMES_SYNC_COMPLETE, false, frames());
}

static void timeline(void **state) {
  (void)state;
  play(CUFRAMES_SYNC_TIMELINE, false, frames());
}

static void slot_events(void **state) {
  (void)state;
  play(CUFRAMES_SYNC_SLOT_EVENTS, false, frames());
}

static void complete_ordered(void **state) {
  (void)state;
  play(CUFRAMES_SYNC_COMPLETE, true, frames() / 10);
}

static void timeline_ordered(void **state) {
  (void)state;
  play(CUFRAMES_SYNC_TIMELINE, true, frames() / 10);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(complete), SHOW(timeline), SHOW(slot_events), SHOW(complete_ordered), SHOW(timeline_ordered),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
