/* src.h - cuframessrc: the frames of a stream of cuframes as buffers of a live pipeline. */
#ifndef CUFRAMES_GST_SRC_H
#define CUFRAMES_GST_SRC_H

#include <gst/base/gstpushsrc.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define CF_GST_TYPE_SRC (cf_gst_src_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesSrc, cf_gst_src, CF_GST, SRC, GstPushSrc)

G_END_DECLS

#endif
