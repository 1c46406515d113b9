/* picture_order.c - see picture_order.h. */
#include "picture_order.h"

#include <string.h>

#include <cuframes/common.h>

#define NO_TIME CUFRAMES_NO_TIME
#define LEAST INT64_C(11112) /* ns between two times: a tick of the coarsest usual container */
#define BETWEEN_MOST 16      /* pictures that may come behind one that is shown after them */
#define FAR 1024             /* so far back the count has begun anew, whatever the picture is */
#define ENOUGH 8             /* pictures that tell how the count grows */

void picture_order_init(picture_order *o) {
  memset(o, 0, sizeof *o);
  o->floor = o->latest = NO_TIME;
}

static void begin_sequence(picture_order *o) {
  if (o->pictures >= ENOUGH && o->least > 0)
    o->unit = o->least;
  o->floor = o->latest;
  o->known = o->pictures = 0;
  o->least = 0;
}

void picture_order_break(picture_order *o) {
  begin_sequence(o);
}

static bool begins(const picture_order *o, const picture_order_place *p) {
  const int64_t highest = o->known > 0 ? o->recent[o->known - 1].count : 0;
  return o->known > 0 && ((p->key && p->count <= highest) || p->count < highest - FAR);
}

static void note_distance(picture_order *o, int64_t distance) {
  if (distance > 0 && (o->least == 0 || distance < o->least))
    o->least = distance;
}

static int64_t unit_of(const picture_order *o, const picture_order_place *p) {
  const int64_t unit = o->unit > 0 ? o->unit : p->usual;
  return o->least > 0 && o->least < unit ? o->least : unit;
}

/* It is the last in the order: so many are still to come that are shown before it. anew: the count begins with it, and
 * those that come before have what is left from 0 on. */
static int64_t last_pts(picture_order *o, const picture_order_place *p, bool anew) {
  int64_t between = 0;
  if (o->known > 0 && p->depth > 0)
    between = (p->count - o->recent[o->known - 1].count) / unit_of(o, p) - 1;
  else if (anew)
    between = p->count / unit_of(o, p);
  between = between < 0 ? 0 : between > BETWEEN_MOST ? BETWEEN_MOST : between;
  o->between = (int)between;
  o->since = 0;
  const int64_t pts = p->dts + (between + p->depth + o->late) * p->step;
  const int64_t least = o->latest != NO_TIME ? o->latest + (between + 1) * LEAST : pts;
  return pts < least ? least : pts;
}

/* It is shown before recent[at]. */
static int64_t inner_pts(const picture_order *o, const picture_order_place *p, int at) {
  const int64_t above = o->recent[at].pts, distance = o->recent[at].count - p->count;
  int64_t below = o->floor, pts = above - distance / unit_of(o, p) * p->step;
  if (at > 0) {
    below = o->recent[at - 1].pts;
    const int64_t whole = o->recent[at].count - o->recent[at - 1].count;
    pts = above - (int64_t)((double)(above - below) * (double)distance / (double)whole);
  }
  if (below != NO_TIME && pts <= below)
    pts = below + (above - below) / 2;
  return pts >= above ? above - 1 : pts;
}

static void remember(picture_order *o, int at, int64_t count, int64_t pts) {
  if (o->known == PICTURE_ORDER_KNOWN) {
    if (at == 0)
      return;
    memmove(o->recent, o->recent + 1, (PICTURE_ORDER_KNOWN - 1) * sizeof *o->recent);
    o->known--;
    at--;
  }
  memmove(o->recent + at + 1, o->recent + at, (size_t)(o->known - at) * sizeof *o->recent);
  o->recent[at].count = count;
  o->recent[at].pts = pts;
  o->known++;
}

/* The place in the order of decoding of a picture that comes behind the last one in the order, and before it. */
static void note_late(picture_order *o, const picture_order_place *p) {
  const int64_t before = (o->recent[o->known - 1].count - p->count) / unit_of(o, p);
  const int64_t late = ++o->since - (o->between + p->depth - before);
  if (late > o->late && late <= BETWEEN_MOST)
    o->late = (int)late;
}

/* When the last one is shown behind which, as far as is known, one is missing. */
static int64_t first_gap(const picture_order *o, const picture_order_place *p) {
  int at = 0;
  while (at + 1 < o->known && o->recent[at + 1].count - o->recent[at].count <= unit_of(o, p))
    at++;
  const int64_t gap = o->recent[at].pts;
  return gap < p->dts - BETWEEN_MOST * p->step ? INT64_MAX : gap; /* that one is lost */
}

int64_t picture_order_pts(picture_order *o, const picture_order_place *p, int64_t *dts_most) {
  const bool anew = begins(o, p);
  if (anew)
    begin_sequence(o);
  int at = o->known;
  while (at > 0 && o->recent[at - 1].count > p->count)
    at--;
  if (at > 0)
    note_distance(o, p->count - o->recent[at - 1].count);
  if (at < o->known)
    note_distance(o, o->recent[at].count - p->count);
  const int64_t pts = at == o->known ? last_pts(o, p, anew) : inner_pts(o, p, at);
  if (at < o->known)
    note_late(o, p);
  remember(o, at, p->count, pts);
  o->latest = o->latest == NO_TIME || pts > o->latest ? pts : o->latest;
  o->pictures++;
  const int64_t gap = first_gap(o, p);
  *dts_most = gap < pts ? gap : pts;
  return pts;
}
