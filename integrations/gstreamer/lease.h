/* lease.h - frames of cuframes as buffers of GStreamer: where they lie, or copied. */
#ifndef CUFRAMES_GST_LEASE_H
#define CUFRAMES_GST_LEASE_H

#include <gst/gst.h>
#include <gst/video/video.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

/* How many frames a pipeline holds. Counted by reference: buffers may outlive their element. Any thread. */
typedef struct cf_gst_leases cf_gst_leases;
cf_gst_leases *cf_gst_leases_new(void);
void cf_gst_leases_unref(cf_gst_leases *leases);
guint cf_gst_leases_out(cf_gst_leases *leases);

/* A buffer of the frame where it lies, in host memory: read-only, with a GstVideoMeta of its true strides. The frame,
 * which it takes, is given back with the last reference to the memory, by whichever thread that is. `info` and `base`
 * are cf_gst_info_of_format()'s. */
GstBuffer *cf_gst_lease_wrap(cf_gst_leases *leases, cuframes_frame *frame, const GstVideoInfo *info, guint64 base);

/* A frame in hand, counted, for memory of another kind; it takes the frame. The end of it gives the frame back, in
 * the second case when the CUDA stream has come so far. Any thread. */
gpointer cf_gst_lease_new(cf_gst_leases *leases, cuframes_frame *frame);
void cf_gst_lease_give_back(gpointer lease);
void cf_gst_lease_give_back_on(gpointer lease, gpointer stream);

/* Tells of planes that lie as in *info. */
void cf_gst_add_video_meta(GstBuffer *buffer, const GstVideoInfo *info);

/* Whether elements may look at the frame where it lies: vector code reads a little behind the end of what it is given,
 * where another mapping may be, or none. */
gboolean cf_gst_lease_has_tail(cuframes_frame *frame, const GstVideoInfo *info, guint64 base);

/* Copies the picture, from the host or a GPU, into a buffer of system memory with this layout. FALSE, with the detail
 * in cuframes_last_error(): the copy failed. Blocks: until the frame is complete and copied. */
gboolean cf_gst_lease_copy(cuframes_frame *frame, const GstVideoInfo *info, GstBuffer *to);

G_END_DECLS

#endif
