/* frame_meta.h - what a buffer says of its picture besides caps: when it was taken, captions, SEI, HDR. */
#ifndef CUFRAMES_GST_FRAME_META_H
#define CUFRAMES_GST_FRAME_META_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

#include "format.h"

G_BEGIN_DECLS

/* When the picture was taken, ns since 1970 UTC, by a reference timestamp of UNIX or NTP time; else
 * CUFRAMES_NO_TIME. */
gint64 cf_gst_capture_time(GstBuffer *buffer);

/* The buffer's user data, captions, and what its caps say of brightness become side data of the open frame. FALSE: some
 * of it had no room. */
gboolean cf_gst_add_side_data(cuframes_frame *frame, GstBuffer *buffer, const cf_gst_picture *picture);

G_END_DECLS

#endif
