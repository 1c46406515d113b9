/* frame_sink.h - the part of cuframessink that publishes frames: a base sink of its own inside the bin. */
#ifndef CUFRAMES_GST_FRAME_SINK_H
#define CUFRAMES_GST_FRAME_SINK_H

#include "format.h"
#include "pad_sink.h"

#include "gpu.h"
#include "settings.h"

G_BEGIN_DECLS

#define CF_GST_TYPE_FRAME_SINK (cf_gst_frame_sink_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesFrameSink, cf_gst_frame_sink, CF_GST, FRAME_SINK, GstCuframesPadSink)

/* What it takes. Caps need not say whether there are fields, as those of an appsrc often do not; fields in buffers of
 * their own are refused when they come. */
#define CF_GST_FRAME_SINK_CAPS CF_GST_GPU_CAPS(CF_GST_GPU_FORMATS_SINK) GST_VIDEO_CAPS_MAKE(CF_GST_FORMATS_SINK)

/* One for this stream, floating. */
GstElement *cf_gst_frame_sink_new(cf_gst_stream *stream);

/* Whether upstream is offered slots; from the next negotiation on. */
void cf_gst_frame_sink_offer_slots(GstCuframesFrameSink *sink, gboolean offer);

/* Opens the stream for it, in the pipeline's context of CUDA where frames are to lie on a GPU, and then takes such
 * memory. Errors: as cf_gst_stream_open(). */
int cf_gst_frame_sink_open(GstCuframesFrameSink *sink, const cf_gst_settings *settings, GstObject *log);
void cf_gst_frame_sink_close(GstCuframesFrameSink *sink);

G_END_DECLS

#endif
