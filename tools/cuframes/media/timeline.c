/* timeline.c - see timeline.h. */
#include "timeline.h"

#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>

static void begin_pass(timeline *t) {
  t->start = t->end = CUFRAMES_NO_TIME;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    t->streams[i].first_dts = t->streams[i].next_dts = CUFRAMES_NO_TIME;
}

void timeline_init(timeline *t) {
  t->offset = t->offset_before = 0;
  t->began = INT64_MIN;
  t->published = t->restart_at = CUFRAMES_NO_TIME;
  begin_pass(t);
}

int64_t timeline_source_ns(int64_t value, AVRational time_base) {
  if (value == AV_NOPTS_VALUE || time_base.num <= 0 || time_base.den <= 0)
    return CUFRAMES_NO_TIME;
  return av_rescale_q(value, time_base, (AVRational){ 1, 1000000000 });
}

int64_t timeline_published(const timeline *t, int64_t source_ns) {
  return source_ns == CUFRAMES_NO_TIME ? CUFRAMES_NO_TIME : source_ns + t->offset;
}

int64_t timeline_source(const timeline *t, int64_t published_ns) {
  return published_ns - (published_ns < t->began ? t->offset_before : t->offset);
}

void timeline_packet(timeline *t, uint32_t stream, int64_t pts, int64_t dts, int64_t duration) {
  int64_t decoded = dts != CUFRAMES_NO_TIME ? dts : pts, shown = pts != CUFRAMES_NO_TIME ? pts : dts;
  if (decoded == CUFRAMES_NO_TIME)
    return;
  if (t->restart_at != CUFRAMES_NO_TIME) {
    t->offset_before = t->offset;
    t->began = t->restart_at;
    t->offset = t->restart_at - decoded;
    t->restart_at = CUFRAMES_NO_TIME;
  }
  timeline_stream *s = &t->streams[stream];
  if (s->first_dts == CUFRAMES_NO_TIME)
    s->first_dts = decoded;
  s->next_dts = decoded + duration;
  if (t->start == CUFRAMES_NO_TIME || shown < t->start)
    t->start = shown;
  if (t->end == CUFRAMES_NO_TIME || shown + duration > t->end)
    t->end = shown + duration;
  if (t->published == CUFRAMES_NO_TIME || t->end + t->offset > t->published)
    t->published = t->end + t->offset;
}

void timeline_loop(timeline *t) {
  int64_t length = t->start == CUFRAMES_NO_TIME ? 0 : t->end - t->start;
  /* dts must go on growing in every track too. */
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const timeline_stream *s = &t->streams[i];
    if (s->first_dts != CUFRAMES_NO_TIME && s->next_dts - s->first_dts > length)
      length = s->next_dts - s->first_dts;
  }
  t->offset_before = t->offset;
  t->began = t->start == CUFRAMES_NO_TIME ? INT64_MIN : t->start + t->offset + length;
  t->offset += length;
  begin_pass(t);
}

void timeline_restart(timeline *t, int64_t gap) {
  if (t->published != CUFRAMES_NO_TIME)
    t->restart_at = t->published + gap;
  begin_pass(t);
}
