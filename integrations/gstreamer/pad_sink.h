/* pad_sink.h - what the base sinks inside cuframessink share, one for frames and one for each track of packets: when
 * what comes is published, with which times, and what the stream is told of the pad.
 *
 * What can be read at any speed, as a film, is published at its times where the property sync is set. What is live is
 * published as it comes: the latency of the pipeline is for those who show pictures, and would only make a detector
 * late. Times are running times of the pipeline, which all its pads share, also where their segments differ. */
#ifndef CUFRAMES_GST_PAD_SINK_H
#define CUFRAMES_GST_PAD_SINK_H

#include <gst/base/gstbasesink.h>

#include "stream.h"

G_BEGIN_DECLS

#define CF_GST_TYPE_PAD_SINK (cf_gst_pad_sink_get_type())
G_DECLARE_DERIVABLE_TYPE(GstCuframesPadSink, cf_gst_pad_sink, CF_GST, PAD_SINK, GstBaseSink)

/* Its `start` says CF_GST_PAD_NEW, and its `wait_event` CF_GST_PAD_ENDED at the end; `event`, too, is to be chained up
 * to. */
struct _GstCuframesPadSinkClass {
  GstBaseSinkClass parent_class;
};

/* A new one of this type for the stream, floating. */
gpointer cf_gst_pad_sink_new(GType type, const gchar *name, cf_gst_stream *stream);
cf_gst_stream *cf_gst_pad_sink_stream(gpointer sink);

/* What the stream knows of the pad, and tells it where that is another state. By the streaming thread. */
cf_gst_pad_state cf_gst_pad_sink_state(gpointer sink);
void cf_gst_pad_sink_say(gpointer sink, cf_gst_pad_state state);

/* Before a buffer is published, in render(): until those have joined that are waited for. OK, or FLUSHING. */
GstFlowReturn cf_gst_pad_sink_begin(gpointer sink);
/* The same in preroll(), where no state may be waited for. */
GstFlowReturn cf_gst_pad_sink_preroll(gpointer sink);
/* In render(), when a call was interrupted: OK, at once or when the pipeline plays on: try again. Or FLUSHING. */
GstFlowReturn cf_gst_pad_sink_go_on(gpointer sink);

/* A time of a buffer in the sink's segment as running time, which may be negative; CUFRAMES_NO_TIME where there is
 * none. */
gint64 cf_gst_running_time(GstBaseSink *sink, GstClockTime time);
/* A buffer's duration in ns; 0: none is said. */
gint64 cf_gst_duration(GstBuffer *buffer);

G_END_DECLS

#endif
