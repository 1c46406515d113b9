/* side.h - what a frame carries besides its picture, as metas of a buffer. */
#ifndef CUFRAMES_GST_SIDE_H
#define CUFRAMES_GST_SIDE_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

#include "format.h"

G_BEGIN_DECLS

/* Name of a GstCustomMeta for a piece of side data that GStreamer has no meta for (a camera's calibration, an
 * application's own): fields "type" (uint, enum cuframes_side_data) and "data" (GBytes). */
#define CF_GST_SIDE_META "CuframesSideData"

/* Caps of the GstReferenceTimestampMeta that says when the picture was taken: ns since 1970, UTC. */
#define CF_GST_CAPTURE_CAPS "timestamp/x-unix"

/* Registers the meta; before any element is made. */
void cf_gst_side_register(void);

/* Captions, SEI user data, what is the application's, and the capture time of the frame, onto a buffer that is the
 * caller's alone. Mastering display and content light belong into caps: they are written into *picture, and left as
 * they are there where the frame does not say them. */
void cf_gst_side_add(const cuframes_frame *frame, GstBuffer *buffer);
void cf_gst_side_light(const cuframes_frame *frame, cf_gst_picture *picture);

G_END_DECLS

#endif
