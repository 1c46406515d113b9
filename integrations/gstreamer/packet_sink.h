/* packet_sink.h - the part of cuframessink that publishes the packets of one track: a base sink inside the bin. */
#ifndef CUFRAMES_GST_PACKET_SINK_H
#define CUFRAMES_GST_PACKET_SINK_H

#include "pad_sink.h"

G_BEGIN_DECLS

#define CF_GST_TYPE_PACKET_SINK (cf_gst_packet_sink_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesPacketSink, cf_gst_packet_sink, CF_GST, PACKET_SINK, GstCuframesPadSink)

/* One for this track of the stream, floating. */
GstElement *cf_gst_packet_sink_new(cf_gst_stream *stream, guint track);
guint cf_gst_packet_sink_track(GstCuframesPacketSink *sink);

G_END_DECLS

#endif
