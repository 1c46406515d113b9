/* show.c - one source and several checkers. */
#include "show.h"

#include <stdio.h>

typedef struct ending {
  uint64_t ns;
  cuframes_publisher_stats stats;
} ending;

#define AHEAD 16 /* pictures that the publisher's CPU may be ahead of its GPU */

static void publish_fast(source *from, uint64_t frames) {
  cu_event done[AHEAD];
  for (int i = 0; i < AHEAD; i++)
    CHECK_OK(cu.cuEventCreate(&done[i], CU_EVENT_DISABLE_TIMING));
  for (uint64_t i = 0; i < frames; i++) {
    CHECK_OK(cu.cuEventSynchronize(done[i % AHEAD])); /* at once before it was ever recorded */
    source_publish(from);
    CHECK_OK(cu.cuEventRecord(done[i % AHEAD], from->stream));
  }
  for (int i = 0; i < AHEAD; i++)
    CHECK_OK(cu.cuEventDestroy(done[i]));
}

static void run_source(int test, void *user) {
  const show *s = user;
  static source from;
  hear(test);
  source_begin(&from, &s->source);
  say(test, 0);
  hear(test);
  int64_t start = cuframes_now();
  if (s->paced)
    source_publish_60(&from, s->frames);
  else
    publish_fast(&from, s->frames);
  CHECK_OK(cu.cuStreamSynchronize(from.stream));
  ending end = { .ns = (uint64_t)(cuframes_now() - start), .stats = source_stats(&from) };
  tell(test, &end, sizeof end);
  hear(test);
  source_end(&from);
}

typedef struct seat {
  const checker_options *options;
  uint64_t frames;
} seat;

static void run_checker(int test, void *user) {
  const seat *at = user;
  static checker v;
  hear(test);
  checker_begin(&v, at->options);
  say(test, v.sync);
  hear(test);
  checker_watch(&v, at->frames);
  checker_report report = checker_end(&v);
  tell(test, &report, sizeof report);
}

static uint32_t buffers_needed(const show *s) {
  uint32_t buffers = 2;
  for (int i = 0; i < s->count; i++) {
    const checker_options *o = &s->checkers[i];
    buffers += (o->leases ? o->leases : 2) + (o->mode == CUFRAMES_MODE_ORDERED ? (o->depth ? o->depth : 4) : 0);
  }
  return buffers;
}

/* The checkers' mishaps, at their time, until the source has told its end. */
static void disturb(const show *s, child *const *checkers, int64_t length) {
  int64_t start = cuframes_now(), stop = start + length / 4, go_on = start + length / 2;
  int64_t kill_at = start + length / 5 + (int64_t)program_random((uint64_t)length / 2);
  bool stopped = false, went_on = s->stopped == 0, killed = s->killed == 0;
  while (!went_on || !killed) {
    int64_t now = cuframes_now();
    if (!killed && now >= kill_at) {
      child_kill(checkers[s->killed - 1]);
      program_note("killed at %.0f ms", (double)(now - start) / MS);
      killed = true;
    }
    if (!went_on && !stopped && now >= stop) {
      child_stop(checkers[s->stopped - 1]);
      stopped = true;
    }
    if (!went_on && stopped && now >= go_on) {
      child_continue(checkers[s->stopped - 1]);
      went_on = true;
    }
    pause_ms(1);
  }
}

void show_play(const show *s, show_result *result) {
  show own = *s;
  child *publisher, *checkers[CHECKERS];
  seat seats[CHECKERS];
  ending end;
  CHECK(s->count <= CHECKERS);
  own.source.name = "show";
  if (own.source.buffers == 0 && own.source.memory >= EXTERNAL_VMM)
    own.source.buffers = buffers_needed(s);
  publisher = child_start(run_source, &own);
  for (int i = 0; i < s->count; i++) {
    own.checkers[i].name = "show";
    seats[i] = (seat){ .options = &own.checkers[i], .frames = s->frames };
    checkers[i] = child_start(run_checker, &seats[i]);
  }
  say(publisher->fd, 0);
  hear(publisher->fd);
  for (int i = 0; i < s->count; i++)
    say(checkers[i]->fd, 0);
  for (int i = 0; i < s->count; i++)
    CHECK(hear(checkers[i]->fd) == (s->checkers[i].sync ? s->checkers[i].sync : CUFRAMES_SYNC_COMPLETE));
  for (int i = 0; i < s->count; i++)
    say(checkers[i]->fd, 0);
  say(publisher->fd, 0);
  if (s->stopped || s->killed)
    disturb(s, checkers, (int64_t)s->frames * SECOND / 60);
  for (int i = 0; i < s->count; i++)
    if (i + 1 != s->killed) {
      learn(checkers[i]->fd, &result->reports[i], sizeof result->reports[i]);
      child_finish(checkers[i]);
    }
  learn(publisher->fd, &end, sizeof end);
  say(publisher->fd, 0);
  child_finish(publisher);
  result->ns = end.ns;
  result->stats = end.stats;
}

void show_is_good(const show *s, const show_result *result) {
  char who[64];
  CHECK(result->stats.frames == s->frames);
  CHECK(result->stats.evictions == 0 && result->stats.dropped == 0);
  for (int i = 0; i < s->count; i++) {
    if (i + 1 == s->killed)
      continue;
    snprintf(who, sizeof who, "checker %d", i + 1);
    report_is_good(&result->reports[i], who, s->checkers[i].mode == CUFRAMES_MODE_ORDERED);
    CHECK(result->reports[i].last == s->frames);
  }
}
