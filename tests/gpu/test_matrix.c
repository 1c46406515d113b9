/* test_matrix.c - every sync mode with every kind of memory: pictures at 60 a second to eight processes, of which one
 * is slow, one is stopped for a while and one is killed at some time. Nobody alive sees a torn picture, one twice, or
 * one older than the last; the ordered ones see all.
 */
#include <inttypes.h>
#include <stdio.h>

#include "show.h"

typedef struct cell {
  uint32_t sync;
  memory_kind memory;
} cell;

enum { SLOW = 4, STOPPED = 5, KILLED = 6 };

static const checker_options audience[CHECKERS] = {
  { .mode = CUFRAMES_MODE_NEWEST, .leases = 2 },
  { .mode = CUFRAMES_MODE_NEWEST, .leases = 3, .release_on = true },
  { .mode = CUFRAMES_MODE_ORDERED, .leases = 2, .depth = 8 },
  { .mode = CUFRAMES_MODE_ORDERED, .leases = 3, .depth = 8, .release_on = true },
  [SLOW] = { .mode = CUFRAMES_MODE_NEWEST, .leases = 2, .release_on = true, .slow_ms = 90 },
  [STOPPED] = { .mode = CUFRAMES_MODE_NEWEST, .leases = 4 },
  [KILLED] = { .mode = CUFRAMES_MODE_ORDERED, .leases = 2, .depth = 4, .release_on = true },
  { .mode = CUFRAMES_MODE_NEWEST, .leases = 2, .cpu = true },
};

static void run_cell(void **state) {
  const cell *c = *state;
  sync_need(c->sync);
  memory_kind_need(c->memory);
  uint64_t seen = 0;
  show_result result = { 0 };
  show s = { .source = { .format = program_format(CUFRAMES_PIXEL_NV12), .memory = c->memory, .side_data = true },
             .frames = (uint64_t)((program.seconds > 0 ? program.seconds : 3) * 60),
             .paced = true,
             .count = CHECKERS,
             .stopped = STOPPED + 1,
             .killed = KILLED + 1 };
  for (int i = 0; i < CHECKERS; i++) {
    s.checkers[i] = audience[i];
    s.checkers[i].sync = c->sync;
    s.checkers[i].side_data = true;
  }
  program_reseed(c->sync * MEMORY_KINDS + c->memory);
  show_play(&s, &result);
  show_is_good(&s, &result);
  for (int i = 0; i < CHECKERS; i++)
    seen += result.reports[i].frames;
  program_note("%" PRIu64 " frames, seen %" PRIu64 " times (slow %" PRIu64 ", stopped %" PRIu64
               "), 0 torn, 0 back, 0 twice; seed %" PRIu64,
               s.frames, seen, result.reports[SLOW].frames, result.reports[STOPPED].frames, program.seed);
}

int main(int argc, char **argv) {
  static const uint32_t modes[] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE, CUFRAMES_SYNC_SLOT_EVENTS };
  static cell cells[3 * MEMORY_KINDS];
  static char names[3 * MEMORY_KINDS][64];
  struct CMUnitTest tests[3 * MEMORY_KINDS];
  for (int i = 0; i < 3 * MEMORY_KINDS; i++) {
    cells[i] = (cell){ .sync = modes[i / MEMORY_KINDS], .memory = (memory_kind)(i % MEMORY_KINDS) };
    snprintf(names[i], sizeof names[i], "%s_%s", sync_name(cells[i].sync), memory_kind_name(cells[i].memory));
    tests[i] = SHOW_STATE(run_cell, names[i], &cells[i]);
  }
  return PROGRAM_RUN(argc, argv, tests);
}
