/* test_pingpong.c - 200 pictures of 1080p NV12 at 60 a second, to one process and to three: each gets every one, and a
 * kernel on its own stream finds every word right.
 */
#include "show.h"

static void play(int checkers, uint32_t sync) {
  sync_need(sync);
  show_result result = { 0 };
  show s = { .source = { .format = program_format(CUFRAMES_PIXEL_NV12) },
             .frames = program.frames ? program.frames : 200,
             .paced = true,
             .count = checkers };
  for (int i = 0; i < checkers; i++)
    s.checkers[i] = (checker_options){
      .mode = CUFRAMES_MODE_ORDERED, .sync = sync, .leases = 3, .depth = 16, .release_on = i != 1
    };
  show_play(&s, &result);
  show_is_good(&s, &result);
  uint64_t latency = 0;
  for (int i = 0; i < checkers; i++) {
    CHECK(result.reports[i].frames == s.frames);
    latency += result.reports[i].latency_ns / (uint64_t)checkers;
  }
  program_note("%d frames in %.2f s, all whole at %d; next() after %.0f us (median)", (int)s.frames,
               (double)result.ns / 1e9, checkers, (double)latency / 1e3);
}

static void one_to_one(void **state) {
  (void)state;
  play(1, CUFRAMES_SYNC_COMPLETE);
}

static void one_to_one_timeline(void **state) {
  (void)state;
  play(1, CUFRAMES_SYNC_TIMELINE);
}

static void one_to_three(void **state) {
  (void)state;
  play(3, CUFRAMES_SYNC_COMPLETE);
}

static void one_to_three_timeline(void **state) {
  (void)state;
  play(3, CUFRAMES_SYNC_TIMELINE);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(one_to_one),
    SHOW(one_to_one_timeline),
    SHOW(one_to_three),
    SHOW(one_to_three_timeline),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
