/* sink.h - cuframessink: frames, and packets beside them, of a pipeline as a stream of cuframes. */
#ifndef CUFRAMES_GST_SINK_H
#define CUFRAMES_GST_SINK_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define CF_GST_TYPE_SINK (cf_gst_sink_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesSink, cf_gst_sink, CF_GST, SINK, GstBin)

G_END_DECLS

#endif
