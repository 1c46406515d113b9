/* pool.h - a pool whose buffers are slots: what cuframessink proposes to upstream.
 *
 * Each buffer that is acquired is another slot, so none is recycled, and no number of them is too many: where there is
 * no slot, because upstream holds all that it may or the layout has changed, the buffer is of ordinary memory, which
 * the sink copies. Nothing here waits for a buffer to come back. */
#ifndef CUFRAMES_GST_POOL_H
#define CUFRAMES_GST_POOL_H

#include <gst/gst.h>
#include <gst/video/video.h>

#include "stream.h"

G_BEGIN_DECLS

#define CF_GST_TYPE_POOL (cf_gst_pool_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesPool, cf_gst_pool, CF_GST, POOL, GstBufferPool)

/* For frames that say of themselves what `format` does, and look as the caps of its configuration say. */
GstBufferPool *cf_gst_pool_new(cf_gst_stream *stream, const cuframes_format *format);

/* How the slots lie for buffers of that layout: pitches, offsets and what GStreamer counts behind the last plane, and
 * `padding` bytes more. */
cuframes_format cf_gst_format_of_layout(const cuframes_format *format, const GstVideoInfo *info, gsize padding);

G_END_DECLS

#endif
