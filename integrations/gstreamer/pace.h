/* pace.h - when what comes to a pad of cuframessink is published, and with which times.
 *
 * What can be read at any speed, as a film, is published at its times where the property sync is set. What is live is
 * published as it comes: the latency of the pipeline is for those who show pictures, and would only make a detector
 * late. Times are running times of the pipeline, which all its pads share, also where their segments differ. */
#ifndef CUFRAMES_GST_PACE_H
#define CUFRAMES_GST_PACE_H

#include <gst/base/gstbasesink.h>

#include "stream.h"

G_BEGIN_DECLS

/* Of one pad: inside its base sink, zeroed at first. */
typedef struct cf_gst_pace {
  gint live;        /* 0: not asked yet, 1: no, 2: yes */
  gint stop;        /* what waits is to end */
  gboolean started; /* a stream of buffers has begun, and the next one is another */
} cf_gst_pace;

void cf_gst_pace_reset(cf_gst_pace *pace);

/* For GstBaseSinkClass.get_times. */
void cf_gst_pace_times(cf_gst_pace *pace, GstBaseSink *sink, GstBuffer *buffer, GstClockTime *start, GstClockTime *end);

/* Events that say that times may jump, or that upstream may be live now: for GstBaseSinkClass.event, before the
 * parent's, and for GstElementClass.send_event. */
void cf_gst_pace_event(cf_gst_pace *pace, cf_gst_stream *stream, GstEvent *event);

/* One of the waits of the stream, in a base sink's render() or wait_event(): again after the pipeline has paused and
 * plays on. OK, or FLUSHING. */
GstFlowReturn cf_gst_pace_wait(cf_gst_pace *pace, GstBaseSink *sink, cf_gst_stream *stream,
                               gboolean (*wait)(cf_gst_stream *, const gint *));

/* A time of a buffer in the sink's segment as running time, which may be negative; CUFRAMES_NO_TIME where there is
 * none. */
gint64 cf_gst_running_time(GstBaseSink *sink, GstClockTime time);

G_END_DECLS

#endif
