/* times.c - see times.h. */
#include "times.h"

#include <cuframes/cuframes.h>

void cf_gst_times_begin(cf_gst_times *times) {
  times->begun = FALSE;
}

/* Where the source says that it is, kept within the limits. */
static gint64 spaced(cf_gst_times *times, gint64 published, gint64 pts, gint64 slack) {
  gint64 at = 0, anchor = 0;
  if (!times->begun || __builtin_add_overflow(times->anchor, pts, &at))
    at = published;
  at = CLAMP(at, published - slack, published);
  times->begun = !__builtin_sub_overflow(at, pts, &anchor);
  times->anchor = anchor;
  return at;
}

GstClockTime cf_gst_times_of(cf_gst_times *times, gint64 published, gint64 pts, gint64 slack) {
  const gint64 at = pts == CUFRAMES_NO_TIME ? published : spaced(times, published, pts, slack);
  times->last = MAX(at, times->last + 1);
  times->last = MAX(times->last, 0);
  return (GstClockTime)times->last;
}

/* Behind CLOCK_MONOTONIC by so much. The system's clock is that itself; others are read between two readings of it,
 * and again if somebody came in between. */
static gint64 offset_of(GstClock *clock) {
  gint64 best = G_MAXINT64, offset = 0;
  for (gint tries = 0; tries < 3 && best > 20 * GST_USECOND; tries++) {
    const gint64 before = cuframes_now();
    const GstClockTime time = gst_clock_get_time(clock);
    const gint64 after = cuframes_now();
    if (after - before < best) {
      best = after - before;
      offset = (gint64)time - (before + best / 2);
    }
  }
  return offset;
}

gint64 cf_gst_running_time_at(GstElement *element, gint64 monotonic) {
  GstClock *clock = gst_element_get_clock(element);
  if (clock == NULL)
    return 0;
  const gint64 time = monotonic + offset_of(clock) - (gint64)gst_element_get_base_time(element);
  gst_object_unref(clock);
  return time;
}
