/* timeline.c - see timeline.h. */
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
#define STEP_LEAST (SECOND / 90000 + 1) /* between two decoding times: a tick of the coarsest usual container */
#define STEP_USUAL (SECOND / 25)        /* where nothing else is known */
#define STEPS_ENOUGH 5                  /* times to know the usual step by */
#define SPLICED_AHEAD (10 * SECOND)     /* what files may leave out */
#define FILE_AHEAD (3600 * SECOND)
#define DISORDER (SECOND / 3)    /* a step back, or ahead of our clock, that goes by itself: nothing to mend */
#define SYNC_MOST (2 * SECOND)   /* a step by which tracks find to each other, as by RTCP's first reports */
#define TOGETHER (2 * SECOND)    /* two offsets that differ by less may be one */
#define APART (10 * SECOND)      /* tracks whose first times differ by more have not one clock */
#define SLACK (SECOND / 2)       /* between what is due by the usual step and by our clock */
#define LAG_PERIOD (60 * SECOND) /* the clocks are compared over one to two of these */
#define STUCK_NS SECOND          /* a clock that stands still for so long, ... */
#define STUCK_PACKETS 4          /* ... and so many packets, is none */
#define REPEATS_MOST 4           /* packets that have the time of the one before: two fields, or slices of a picture */
#define REORDER_MOST 17          /* pictures; the standards allow 16 */

static void begin_pass(timeline *t) {
  t->start = t->end = t->resumed = NO_TIME;
  t->begun = false;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    timeline_track *k = &t->tracks[i];
    picture_order_break(&k->order);
    k->placed = k->unsure = k->cut = false;
    k->source = k->dts = k->first = k->next = k->highest = NO_TIME;
    k->offset = k->sure = k->before = t->offset;
    k->known = k->stuck = k->alike = k->repeats = 0;
  }
}

void timeline_init(timeline *t) {
  const timeline_lag none = { NO_TIME, NO_TIME, NO_TIME };
  memset(t, 0, sizeof *t);
  t->published = NO_TIME;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    picture_order_init(&t->tracks[i].order);
    t->tracks[i].last_dts = t->tracks[i].lag_last = NO_TIME;
    t->tracks[i].lag = t->tracks[i].lag_old = none;
  }
  begin_pass(t);
}

static int64_t later(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* --- what is known of a track --- */

static int by_value(const void *a, const void *b) {
  const int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
  return (one > other) - (one < other);
}

/* The usual step is the median of those between the last times, in whatever order they came: neither a gap nor a time
 * that came twice counts. */
static void note_time(timeline_track *k, int64_t time) {
  int64_t sorted[TIMELINE_LAST], step[TIMELINE_LAST];
  if (k->known == TIMELINE_LAST) {
    memmove(k->last, k->last + 1, sizeof k->last - sizeof *k->last);
    k->known--;
  }
  k->last[k->known++] = time;
  if (k->known < STEPS_ENOUGH)
    return;
  memcpy(sorted, k->last, sizeof sorted);
  qsort(sorted, (size_t)k->known, sizeof *sorted, by_value);
  for (int i = 1; i < k->known; i++)
    step[i - 1] = sorted[i] - sorted[i - 1];
  qsort(step, (size_t)k->known - 1, sizeof *step, by_value);
  k->step = step[(k->known - 1) / 2];
}

static void note_duration(timeline_track *k, int64_t duration) {
  k->alike = duration == k->said && k->alike < TIMELINE_LAST ? k->alike + 1 : duration == k->said ? k->alike : 0;
  k->said = duration;
}

/* A container may know how long each of its packets lasts. Where it does not, FFmpeg takes that from what the encoder
 * wrote into its head as the frame rate, and that need not be so: then it is the same for all, and not what the times
 * show. */
static int64_t duration_of(const timeline *t, const timeline_track *k, const timeline_stamp *s) {
  const int64_t said = s->duration > 0 ? s->duration : s->nominal;
  const bool differs = said < k->step / 3 * 2 || said > k->step / 2 * 3;
  const bool is_own = s->duration > 0 && t->kind == TIMELINE_FILE && k->alike < TIMELINE_LAST;
  return k->step > 0 && differs && !is_own ? k->step : said;
}

static int64_t step_of(const timeline *t, const timeline_track *k, const timeline_stamp *s) {
  const int64_t duration = duration_of(t, k, s);
  return duration > 0 ? duration : STEP_USUAL;
}

/* The largest one counts only if two packets behind each other have it: one alone may be wild. */
static void note_lag(timeline_track *k, const timeline_stamp *s, int64_t published) {
  const int64_t lag = published - s->arrival, most = k->lag_last != NO_TIME && k->lag_last < lag ? k->lag_last : lag;
  if (s->early)
    return;
  if (k->lag.since == NO_TIME || s->arrival - k->lag.since > LAG_PERIOD) {
    k->lag_old = k->lag;
    k->lag = (timeline_lag){ most, lag, s->arrival };
  }
  k->lag.most = later(k->lag.most, most);
  k->lag.least = lag < k->lag.least ? lag : k->lag.least;
  k->lag_last = lag;
}

static int64_t lag_of(const timeline_track *k) {
  return later(k->lag.most, k->lag_old.most);
}

/* Of the packet that was delayed most: between this and lag_of() packets come at their time. */
static int64_t least_lag_of(const timeline_track *k) {
  return k->lag_old.since == NO_TIME || k->lag.least < k->lag_old.least ? k->lag.least : k->lag_old.least;
}

/* The track that another one is measured by, or NULL. */
static const timeline_track *reference(const timeline *t, const timeline_track *k) {
  const timeline_track *lead = &t->tracks[t->lead];
  if (lead->placed && lead != k)
    return lead;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (t->tracks[i].placed && !t->tracks[i].sparse && &t->tracks[i] != k)
      return &t->tracks[i];
  return NULL;
}

/* Where a track is by now that was at `at` when our clock said `then`. */
static int64_t advanced(const timeline *t, int64_t at, int64_t then, const timeline_stamp *s) {
  return t->kind == TIMELINE_LIVE && !s->early && s->arrival > then ? at + (s->arrival - then) : at;
}

/* The decoding time at which this packet is due. */
static int64_t due(const timeline *t, const timeline_track *k, const timeline_stamp *s) {
  const timeline_track *other = reference(t, k);
  int64_t at = 0;
  if (k->dts != NO_TIME) {
    at = k->dts + step_of(t, k, s);
    if (t->kind == TIMELINE_LIVE && !s->early && lag_of(k) != NO_TIME) {
      const int64_t least = s->arrival + least_lag_of(k), most = s->arrival + lag_of(k) + SLACK;
      at = at < least - SLACK ? least : at > most ? most : at;
    }
  } else if (t->resumed != NO_TIME) {
    at = advanced(t, t->resumed, t->since, s);
  } else if (other != NULL) {
    at = advanced(t, other->dts, other->arrival, s);
  } else if (t->published != NO_TIME) {
    at = t->published;
  }
  return k->last_dts == NO_TIME ? at : later(at, k->last_dts + STEP_LEAST);
}

/* --- offsets --- */

/* The offset for a packet that cannot come where its time says: the one wanted, or, where that is as good, one that is
 * in use: of another track that has made the same step, that of before a wild packet, or that of a counter that went
 * round. A guess must not be taken for it that is hardly better than what the track has. */
static int64_t choose_offset(const timeline *t, const timeline_track *k, const timeline_stamp *s, int64_t wanted) {
  const int64_t change = llabs(wanted - k->offset) / 2;
  int64_t best = wanted, distance = change < TOGETHER ? change : TOGETHER;
  int64_t offers[CUFRAMES_TRACKS_MAX + 4] = { k->sure, k->before, k->offset + s->wrap, k->offset - s->wrap };
  int count = 4;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (t->tracks[i].placed && &t->tracks[i] != k)
      offers[count++] = t->tracks[i].offset;
  for (int i = 0; i < count; i++) {
    const int64_t off = llabs(offers[i] - wanted);
    if (offers[i] != k->offset && off < distance) {
      best = offers[i];
      distance = off;
    }
  }
  return best;
}

/* Whether a track is not where the others are. */
static bool is_apart(const timeline *t, const timeline_track *k, const timeline_stamp *s, int64_t at) {
  const timeline_track *other = reference(t, k);
  const int64_t most = t->kind == TIMELINE_FILE ? FILE_AHEAD : APART;
  return other == NULL || llabs(at - advanced(t, other->dts, other->arrival, s)) > most;
}

/* The first time of a track in a pass. */
static void place(timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time, timeline_times *out) {
  const timeline_track *other = reference(t, k);
  if (other != NULL) {
    const int64_t now = advanced(t, other->dts, other->arrival, s);
    k->offset = other->offset;
    if (is_apart(t, k, s, time + k->offset)) { /* a clock of its own */
      out->jump = time + k->offset - now;
      k->offset = now - time;
    }
  } else if (t->resumed != NO_TIME || (k->dts != NO_TIME && (t->kind == TIMELINE_LIVE || time + k->offset <= k->dts))) {
    k->offset = due(t, k, s) - time;
    if (s->dts == NO_TIME && s->reorder > 0) /* it is decoded before it is shown, by so much at most in usual films */
      k->offset += (2 * s->reorder + 2) * step_of(t, k, s);
  }
  k->placed = true;
  k->sure = k->before = k->offset;
  t->offset = t->begun ? t->offset : k->offset;
  t->begun = true;
}

static bool is_jump(const timeline *t, const timeline_track *k, const timeline_stamp *s, int64_t time) {
  const int64_t step = time - k->source, usual = step_of(t, k, s);
  int64_t most = DISORDER;
  if (t->kind == TIMELINE_LIVE && k != &t->tracks[t->lead])
    most = SYNC_MOST; /* it is the lead that moves the others; their small steps are towards it */
  const bool by_pts = s->reorder > 0 && (s->dts == NO_TIME || k->by_pts);
  if (step < -(by_pts ? later(SECOND, REORDER_MOST * usual) : later(most, 2 * usual)))
    return true;
  switch (t->kind) {
    case TIMELINE_FILE: return step > FILE_AHEAD + s->duration;
    case TIMELINE_SPLICED: return step > SPLICED_AHEAD + s->duration && is_apart(t, k, s, time + k->offset);
    default:
      if (s->early)
        return step > APART;
      return step > s->arrival - k->arrival + most &&
             (lag_of(k) == NO_TIME || time + k->offset > s->arrival + lag_of(k) + most);
  }
}

static void jump(timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time, timeline_times *out) {
  const int64_t was = k->offset, now = choose_offset(t, k, s, due(t, k, s) - time);
  k->offset = now;
  k->known = 0;
  k->highest = NO_TIME;
  if (s->wrap != 0 && llabs(now - was) == s->wrap && !k->unsure) { /* the counter went round: nothing has happened */
    k->before = k->sure;
    k->sure = now;
    return;
  }
  out->wild = k->unsure ? k->wild : 0;
  k->unsure = now != k->sure;
  k->wild = k->sure - now;
}

/* A second packet agrees with the new offset. Of several tracks that make a step together, the first one reports it.
 * A small step of the lead alone is one by which the source brings its tracks together: the others move instead. */
static void confirm(timeline *t, timeline_track *k, timeline_times *out) {
  const int64_t was = k->sure;
  const bool towards = t->kind == TIMELINE_LIVE && k == &t->tracks[t->lead] && llabs(was - k->offset) <= SYNC_MOST;
  out->jump = was - k->offset;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    timeline_track *other = &t->tracks[i];
    if (other == k || !other->placed)
      continue;
    if (towards && other->sure == was)
      other->offset = other->sure = k->offset;
    if (other->sure == k->offset)
      out->jump = 0;
  }
  k->before = was;
  k->sure = k->offset;
  k->unsure = false;
}

/* A track whose times have moved a little against the lead's may have found to it: both have one clock again. */
static void find_lead(const timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time) {
  const timeline_track *lead = &t->tracks[t->lead];
  if (t->kind == TIMELINE_FILE || !lead->placed || lead == k || lead->unsure || lead->offset == k->offset)
    return;
  const int64_t at = due(t, k, s), own = llabs(time + k->offset - at), with = llabs(time + lead->offset - at);
  if (own > SECOND / 10 && with < own && with < TOGETHER) {
    k->before = k->sure;
    k->offset = k->sure = lead->offset;
  }
}

/* Whether the source's clock stands still while time and packets go on. */
static bool is_stuck(const timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time) {
  if (k->highest == NO_TIME || time > k->highest) {
    k->highest = time;
    k->advanced = s->arrival;
    k->stuck = 0;
    return false;
  }
  return ++k->stuck > STUCK_PACKETS && t->kind == TIMELINE_LIVE && s->arrival - k->advanced > STUCK_NS;
}

/* Whether a live source gives the same time again and again, or has done so until now: then that is no time. What comes
 * next need not be one either, since reports (RTCP) move such times on from time to time. */
static bool repeats(const timeline *t, timeline_track *k, int64_t time) {
  const bool did = k->repeats > REPEATS_MOST;
  k->repeats = time == k->source ? k->repeats + 1 : did ? REPEATS_MOST : 0;
  return t->kind == TIMELINE_LIVE && (did || k->repeats > REPEATS_MOST);
}

/* Its place is where it is due, whatever it says. */
static void place_anew(const timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time) {
  k->offset = k->sure = due(t, k, s) - time;
  k->unsure = false;
  if (lag_of(k) == NO_TIME)
    note_lag(k, s, time + k->offset);
}

/* A track with a packet now and then goes where the others are. */
static void follow_sparse(const timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time) {
  const timeline_track *other = reference(t, k);
  if (other == NULL)
    return;
  k->offset = k->sure = other->offset;
  if (is_apart(t, k, s, time + k->offset))
    k->offset = k->sure = advanced(t, other->dts, other->arrival, s) - time;
}

/* Makes the offset right for a packet that says a time. */
static void follow(timeline *t, timeline_track *k, const timeline_stamp *s, int64_t time, timeline_times *out) {
  if (!k->placed) {
    place(t, k, s, time, out);
    note_lag(k, s, time + k->offset);
  } else if (s->sparse) {
    follow_sparse(t, k, s, time);
  } else if (repeats(t, k, time)) {
    place_anew(t, k, s, time);
  } else if (is_jump(t, k, s, time)) {
    jump(t, k, s, time, out);
  } else {
    if (k->unsure)
      confirm(t, k, out);
    find_lead(t, k, s, time);
    if (is_stuck(t, k, s, time))
      k->offset = k->sure = due(t, k, s) - time;
    else
      note_lag(k, s, time + k->offset);
  }
  k->source = time;
  k->by_pts = s->dts == NO_TIME;
  note_time(k, time);
}

/* --- the times of a packet --- */

/* When it came is its time; where that is not known, one step after the other, up to now. */
static int64_t arrival_time(const timeline *t, timeline_track *k, const timeline_stamp *s) {
  int64_t at = due(t, k, s);
  if (k->dts == NO_TIME && lag_of(k) == NO_TIME)
    note_lag(k, s, at);
  if (k->dts == NO_TIME || lag_of(k) == NO_TIME)
    return at;
  const int64_t now = s->arrival + lag_of(k), next = k->dts + (s->nominal > 0 ? s->nominal : STEP_USUAL);
  return s->early && next < now ? next : now;
}

/* A decoding time for a packet that has none, of a track in which pictures are reordered: one step after the other,
 * before the presentation times by as much as pictures may be late. */
static int64_t decoding_time(const timeline *t, const timeline_track *k, const timeline_stamp *s, int64_t pts) {
  const int64_t step = step_of(t, k, s), behind = (s->reorder < REORDER_MOST ? s->reorder : REORDER_MOST) * step;
  int64_t dts = k->dts == NO_TIME ? pts - behind : k->dts + step;
  if (dts < pts - 2 * behind - step)
    dts = pts - behind;
  return dts < pts ? dts : pts;
}

static void source_times(timeline *t, timeline_track *k, const timeline_stamp *s, timeline_times *out) {
  const int64_t time = s->dts != NO_TIME ? s->dts : s->pts;
  if (time == NO_TIME) {
    out->dts = due(t, k, s);
    if (k->dts == NO_TIME && !k->placed)
      note_lag(k, s, out->dts);
  } else {
    follow(t, k, s, time, out);
    out->pts = s->pts == NO_TIME ? NO_TIME : s->pts + k->offset;
    if (s->dts != NO_TIME)
      out->dts = s->dts + k->offset;
    else
      out->dts = s->reorder > 0 ? decoding_time(t, k, s, out->pts) : out->pts;
  }
}

/* A pts that the source does not say. In a file of reordered pictures the decoder will know better. */
static int64_t guessed_pts(const timeline *t, timeline_track *k, const timeline_stamp *s, int64_t dts, int64_t *most) {
  if (s->grows > 0) {
    const picture_order_place place = {
      .count = s->order, .key = s->key, .dts = dts, .step = step_of(t, k, s), .usual = s->grows, .depth = s->reorder
    };
    return picture_order_pts(&k->order, &place, most);
  }
  if (s->reorder == 0)
    return dts;
  return t->kind == TIMELINE_LIVE ? dts + s->reorder * step_of(t, k, s) : NO_TIME;
}

static void resume(timeline *t, const timeline_track *k, const timeline_stamp *s) {
  const timeline_track *clock = lag_of(k) != NO_TIME ? k : &t->tracks[t->lead];
  t->resuming = false;
  if (t->published == NO_TIME)
    return;
  t->resumed =
      t->kind == TIMELINE_LIVE && lag_of(clock) != NO_TIME ? s->arrival + lag_of(clock) : t->published + t->gap;
  t->resumed = later(t->resumed, t->published);
  t->since = s->arrival;
}

/* Where the counter goes round between a packet's two times, the later one is behind it. */
static timeline_stamp unwrapped(const timeline_stamp *s) {
  timeline_stamp to = *s;
  if (s->wrap > 0 && s->pts != NO_TIME && s->dts != NO_TIME && s->dts - s->pts > s->wrap / 2)
    to.pts += s->wrap;
  return to;
}

/* Where what is shown goes on as if they were not there: they keep their order, by either time. */
static timeline_times squeezed(timeline_track *k, const timeline *t, const timeline_stamp *s) {
  const int64_t step = step_of(t, k, s), dts = k->last_dts + STEP_LEAST;
  const bool reordered = s->pts != NO_TIME && s->dts != NO_TIME && s->pts > s->dts && s->pts - s->dts < SYNC_MOST;
  k->last_dts = dts;
  k->cut = k->cut || k->first == NO_TIME;
  return (timeline_times){ .dts = dts, .pts = dts + (reordered ? (s->pts - s->dts) * STEP_LEAST / step : 0) };
}

timeline_times timeline_packet(timeline *t, uint32_t track, const timeline_stamp *given) {
  const timeline_stamp stamp = unwrapped(given), *s = &stamp;
  timeline_track *k = &t->tracks[track];
  timeline_times out = { .pts = NO_TIME, .dts = NO_TIME };
  if (s->hidden && k->shown)
    return squeezed(k, t, s);
  if (t->resuming)
    resume(t, k, s);
  if (t->by_arrival) {
    out.dts = arrival_time(t, k, s);
    if (s->pts != NO_TIME && s->dts != NO_TIME && s->pts >= s->dts && s->pts - s->dts < SYNC_MOST)
      out.pts = out.dts + (s->pts - s->dts);
  } else {
    source_times(t, k, s, &out);
  }
  if (k->last_dts != NO_TIME)
    out.dts = later(out.dts, k->last_dts + STEP_LEAST);
  if (t->by_arrival)
    note_time(k, out.dts);
  int64_t most = INT64_MAX;
  if (out.pts == NO_TIME)
    out.pts = guessed_pts(t, k, s, out.dts, &most);
  if (out.dts > most) /* it came late */
    out.dts = k->last_dts == NO_TIME ? most : later(most, k->last_dts + STEP_LEAST);
  if (out.pts != NO_TIME)
    out.pts = later(out.pts, out.dts);
  note_duration(k, s->duration);
  out.duration = duration_of(t, k, s);
  k->sparse = s->sparse;
  k->dts = k->last_dts = out.dts;
  k->next = out.dts + later(out.duration, STEP_LEAST);
  k->arrival = s->arrival;
  k->cut = k->cut || (s->hidden && k->first == NO_TIME);
  if (s->hidden)
    return out;
  k->shown = true;
  k->first = k->first == NO_TIME ? out.dts : k->first;
  const int64_t shown = out.pts == NO_TIME ? out.dts : out.pts;
  if (t->start == NO_TIME || shown < t->start)
    t->start = shown;
  t->end = t->end == NO_TIME ? shown + out.duration : later(t->end, shown + out.duration);
  t->published = t->published == NO_TIME ? t->end : later(t->published, t->end);
  return out;
}

/* --- passes --- */

int64_t timeline_loop(timeline *t) {
  int64_t length = t->start == NO_TIME ? 0 : t->end - t->start;
  /* Decoding times must go on growing in every track, too; they begin before the first presentation time. Behind
   * pictures that are not shown they may begin much earlier, and are moved up. */
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const timeline_track *k = &t->tracks[i];
    if (k->first != NO_TIME && !k->cut)
      length = later(length, k->next - k->first);
  }
  t->offset += length;
  begin_pass(t);
  return length;
}

void timeline_restart(timeline *t, int64_t gap) {
  begin_pass(t);
  t->resuming = true;
  t->gap = gap;
}
