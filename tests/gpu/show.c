/* show.c - one source and several viewers. */
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
    CU(cu.cuEventCreate(&done[i], CU_EVENT_DISABLE_TIMING));
  for (uint64_t i = 0; i < frames; i++) {
    CU(cu.cuEventSynchronize(done[i % AHEAD])); /* at once before it was ever recorded */
    source_publish(from);
    CU(cu.cuEventRecord(done[i % AHEAD], from->stream));
  }
  for (int i = 0; i < AHEAD; i++)
    CU(cu.cuEventDestroy(done[i]));
}

static void play_source(int test, void *user) {
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
  CU(cu.cuStreamSynchronize(from.stream));
  ending end = { .ns = (uint64_t)(cuframes_now() - start), .stats = source_stats(&from) };
  tell(test, &end, sizeof end);
  hear(test);
  source_end(&from);
}

typedef struct seat {
  const viewer_options *options;
  uint64_t frames;
} seat;

static void play_viewer(int test, void *user) {
  const seat *at = user;
  static viewer v;
  hear(test);
  viewer_begin(&v, at->options);
  say(test, v.sync);
  hear(test);
  viewer_watch(&v, at->frames);
  viewer_report report = viewer_end(&v);
  tell(test, &report, sizeof report);
}

static uint32_t buffers_needed(const show *s) {
  uint32_t buffers = 2;
  for (int i = 0; i < s->count; i++) {
    const viewer_options *o = &s->viewers[i];
    buffers += (o->leases ? o->leases : 2) + (o->mode == CUFRAMES_MODE_ORDERED ? (o->depth ? o->depth : 4) : 0);
  }
  return buffers;
}

/* The viewers' mishaps, at their time, until the source has told its end. */
static void disturb(const show *s, child *const *viewers, int64_t length) {
  int64_t start = cuframes_now(), stop = start + length / 4, go_on = start + length / 2;
  int64_t kill_at = start + length / 5 + (int64_t)stage_random((uint64_t)length / 2);
  bool stopped = false, went_on = s->stopped == 0, killed = s->killed == 0;
  while (!went_on || !killed) {
    int64_t now = cuframes_now();
    if (!killed && now >= kill_at) {
      child_kill(viewers[s->killed - 1]);
      stage_note("killed at %.0f ms", (double)(now - start) / MS);
      killed = true;
    }
    if (!went_on && !stopped && now >= stop) {
      child_stop(viewers[s->stopped - 1]);
      stopped = true;
    }
    if (!went_on && stopped && now >= go_on) {
      child_continue(viewers[s->stopped - 1]);
      went_on = true;
    }
    pause_ms(1);
  }
}

void show_play(const show *s, show_result *result) {
  show own = *s;
  child *publisher, *viewers[VIEWERS];
  seat seats[VIEWERS];
  ending end;
  NEED(s->count <= VIEWERS);
  own.source.name = "show";
  if (own.source.buffers == 0 && own.source.memory >= EXTERNAL_VMM)
    own.source.buffers = buffers_needed(s);
  publisher = child_start(play_source, &own);
  for (int i = 0; i < s->count; i++) {
    own.viewers[i].name = "show";
    seats[i] = (seat){ .options = &own.viewers[i], .frames = s->frames };
    viewers[i] = child_start(play_viewer, &seats[i]);
  }
  say(publisher->fd, 0);
  hear(publisher->fd);
  for (int i = 0; i < s->count; i++)
    say(viewers[i]->fd, 0);
  for (int i = 0; i < s->count; i++)
    NEED(hear(viewers[i]->fd) == (s->viewers[i].sync ? s->viewers[i].sync : CUFRAMES_SYNC_COMPLETE));
  for (int i = 0; i < s->count; i++)
    say(viewers[i]->fd, 0);
  say(publisher->fd, 0);
  if (s->stopped || s->killed)
    disturb(s, viewers, (int64_t)s->frames * SECOND / 60);
  for (int i = 0; i < s->count; i++)
    if (i + 1 != s->killed) {
      learn(viewers[i]->fd, &result->reports[i], sizeof result->reports[i]);
      child_finish(viewers[i]);
    }
  learn(publisher->fd, &end, sizeof end);
  say(publisher->fd, 0);
  child_finish(publisher);
  result->ns = end.ns;
  result->stats = end.stats;
}

void show_is_good(const show *s, const show_result *result) {
  char who[64];
  NEED(result->stats.frames == s->frames);
  NEED(result->stats.evictions == 0 && result->stats.dropped == 0);
  for (int i = 0; i < s->count; i++) {
    if (i + 1 == s->killed)
      continue;
    snprintf(who, sizeof who, "viewer %d", i + 1);
    report_is_good(&result->reports[i], who, s->viewers[i].mode == CUFRAMES_MODE_ORDERED);
    NEED(result->reports[i].last == s->frames);
  }
}
