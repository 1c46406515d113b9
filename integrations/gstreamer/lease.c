/* lease.c - see lease.h. */
#include "lease.h"

#include "format.h"

#define PAGE 4096
#define TAIL 64 /* bytes that vector code may read behind a plane */

struct cf_gst_leases {
  gint out;
};

typedef struct lease {
  cuframes_frame *frame;
  cf_gst_leases *leases;
} lease;

cf_gst_leases *cf_gst_leases_new(void) {
  return g_atomic_rc_box_new0(cf_gst_leases);
}

void cf_gst_leases_unref(cf_gst_leases *leases) {
  g_atomic_rc_box_release(leases);
}

guint cf_gst_leases_out(cf_gst_leases *leases) {
  return (guint)g_atomic_int_get(&leases->out);
}

gpointer cf_gst_lease_new(cf_gst_leases *leases, cuframes_frame *frame) {
  lease *held = g_new(lease, 1);
  *held = (lease){ .frame = frame, .leases = g_atomic_rc_box_acquire(leases) };
  (void)g_atomic_int_add(&leases->out, 1);
  return held;
}

void cf_gst_lease_give_back(gpointer data) {
  lease *held = data;
  cuframes_frame_release(held->frame);
  (void)g_atomic_int_add(&held->leases->out, -1); /* afterwards, so that who counts less finds a lease free */
  cf_gst_leases_unref(held->leases);
  g_free(held);
}

void cf_gst_lease_give_back_on(gpointer data, gpointer stream) {
  cuframes_frame_used_on(((lease *)data)->frame, stream);
  cf_gst_lease_give_back(data);
}

void cf_gst_add_video_meta(GstBuffer *buffer, const GstVideoInfo *info) {
  gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT(info),
                                 (guint)GST_VIDEO_INFO_WIDTH(info), (guint)GST_VIDEO_INFO_HEIGHT(info),
                                 GST_VIDEO_INFO_N_PLANES(info), (gsize *)info->offset, (gint *)info->stride);
}

/* Address of the byte that is `base` bytes behind the start of the frame. */
static guint8 *start_of(cuframes_frame *frame, guint64 base) {
  const cuframes_format *format = cuframes_frame_format(frame);
  return (guint8 *)cuframes_frame_plane(frame, 0) - (format->offset[0] - base);
}

GstBuffer *cf_gst_lease_wrap(cf_gst_leases *leases, cuframes_frame *frame, const GstVideoInfo *info, guint64 base) {
  const gsize size = GST_VIDEO_INFO_SIZE(info);
  GstBuffer *buffer = gst_buffer_new();
  gpointer start = start_of(frame, base);
  gst_buffer_append_memory(buffer, gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, start, size, 0, size,
                                                          cf_gst_lease_new(leases, frame), cf_gst_lease_give_back));
  cf_gst_add_video_meta(buffer, info);
  return buffer;
}

gboolean cf_gst_lease_has_tail(cuframes_frame *frame, const GstVideoInfo *info, guint64 base) {
  const guintptr end = (guintptr)start_of(frame, base) + GST_VIDEO_INFO_SIZE(info);
  return end % PAGE != 0 && PAGE - end % PAGE >= TAIL;
}

gboolean cf_gst_lease_copy(cuframes_frame *frame, const GstVideoInfo *info, GstBuffer *to) {
  const gint planes = cuframes_pixel_format_planes(cuframes_frame_pixel_format(frame));
  GstVideoFrame mapped;
  gboolean good = gst_video_frame_map(&mapped, (GstVideoInfo *)info, to, GST_MAP_WRITE);
  if (!good)
    return FALSE;
  for (gint i = 0; i < planes && good; i++) {
    const gint plane = cf_gst_plane(GST_VIDEO_INFO_FORMAT(info), i);
    good = cuframes_frame_copy_to_host(frame, i, GST_VIDEO_FRAME_PLANE_DATA(&mapped, plane),
                                       (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(&mapped, plane)) == CUFRAMES_OK;
  }
  gst_video_frame_unmap(&mapped);
  return good;
}
