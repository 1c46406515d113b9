/* unwrapped.c - the part of gpu.h that wraps slots in GStreamer's memory, where that cannot be: none.c, copied.c. */
#include "gpu.h"

cf_gst_slot *cf_gst_gpu_slot(GstMemory *memory, cf_gst_stream *stream, cuframes_format *layout, gpointer *on) {
  (void)memory;
  (void)stream;
  (void)layout;
  (void)on;
  return NULL;
}

gboolean cf_gst_gpu_can_wrap(const cf_gst_gpu *gpu, cuframes_frame *frame) {
  (void)gpu;
  (void)frame;
  return FALSE;
}

GstBuffer *cf_gst_gpu_wrap(cf_gst_gpu *gpu, cf_gst_leases *leases, cuframes_frame *frame) {
  (void)gpu;
  (void)leases;
  (void)frame;
  return NULL;
}
