/* times.h - when a frame of a source that lives elsewhere belongs in a pipeline that runs.
 *
 * A frame has two times: its pts on the source's clock, evenly spaced, of which nobody knows where it begins; and the
 * moment when it was published, which the pipeline's clock can tell, and which comes as unevenly as a decoder works. A
 * buffer gets the source's spacing, laid so that it lies at most `slack` before the moment of publishing, and never
 * behind it. What drifts, or jumps, is taken back into these limits. */
#ifndef CUFRAMES_GST_TIMES_H
#define CUFRAMES_GST_TIMES_H

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct cf_gst_times {
  gboolean begun;
  gint64 anchor; /* running time of pts 0 */
  gint64 last;   /* that was given; of all since the start */
} cf_gst_times;

/* Before the first frame, and where the source's times may jump: the spacing begins anew. Times never go back. */
void cf_gst_times_begin(cf_gst_times *times);

/* Running time of a frame that was published at running time `published`, which may be before 0; pts: CUFRAMES_NO_TIME
 * if it has none. */
GstClockTime cf_gst_times_of(cf_gst_times *times, gint64 published, gint64 pts, gint64 slack);

/* The running time of a moment of CLOCK_MONOTONIC; now, where the element has no clock yet: 0. */
gint64 cf_gst_running_time_at(GstElement *element, gint64 monotonic);

G_END_DECLS

#endif
