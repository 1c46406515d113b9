/* flow.c - see flow.h. */
#include "flow.h"

#include <cuframes/cuframes.h>

#define SECOND INT64_C(1000000000)
#define DISTANCE_MOST (600 * SECOND) /* more is a jump of the times */
#define AHEAD_MOST (30 * SECOND)
#define WEIGHT 8 /* of what is less than it was, the newest one counts for so much; more is taken as it is */

/* An early start is forgotten slowly, or a burst at the beginning would hide a stall for ever. */
#define FORGET 20

static bool is_distance(int64_t ns) {
  return ns > 0 && ns <= DISTANCE_MOST;
}

static int64_t between(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

/* What the picture says of how far it is from the one before; else how long it took to come. */
static int64_t distance_of(const flow *f, int64_t waited, int64_t pts, int64_t duration) {
  int64_t apart = 0;
  if (pts != CUFRAMES_NO_TIME && f->pts != CUFRAMES_NO_TIME && !__builtin_sub_overflow(pts, f->pts, &apart) &&
      is_distance(apart))
    return apart;
  return is_distance(duration) ? duration : between(waited, 1, DISTANCE_MOST);
}

void flow_begin(flow *f, int64_t now) {
  f->came = now;
  f->has_picture = false;
  f->ahead = 0;
}

void flow_picture(flow *f, int64_t now, int64_t pts, int64_t duration) {
  const int64_t waited = now - f->came;
  const int64_t distance = f->has_picture          ? distance_of(f, waited, pts, duration)
                           : is_distance(duration) ? duration
                                                   : 0;
  if (distance > f->distance)
    f->distance = distance;
  else if (distance != 0)
    f->distance -= (f->distance - distance) / WEIGHT;
  f->is_measured = f->is_measured || f->has_picture;
  if (f->has_picture)
    f->ahead = between(f->ahead + distance - waited - waited / FORGET, 0, AHEAD_MOST);
  f->has_picture = true;
  f->came = now;
  f->pts = pts;
}

int64_t flow_deadline(const flow *f) {
  const int64_t least = f->is_measured ? FLOW_LATE_NS : FLOW_UNKNOWN_NS, late = FLOW_LATE_PICTURES * f->distance;
  return f->came + f->ahead + (late > least ? late : least);
}
