/* none.c - gpu.h where the plugin is built without GstCuda: no element offers memory of a GPU. */
#include "gpu.h"

gboolean cf_gst_gpu_is_there(void) {
  return FALSE;
}

gboolean cf_gst_gpu_is_caps(const GstCaps *caps) {
  (void)caps;
  return FALSE;
}

GstCaps *cf_gst_gpu_caps_of(GstCaps *caps) {
  return caps;
}

cf_gst_gpu *cf_gst_gpu_ref(cf_gst_gpu *gpu) {
  return gpu;
}

void cf_gst_gpu_unref(cf_gst_gpu *gpu) {
  (void)gpu;
}

void cf_gst_gpu_share_init(cf_gst_gpu_share *share, GstElement *element) {
  share->element = element;
}

void cf_gst_gpu_share_clear(cf_gst_gpu_share *share) {
  (void)share;
}

void cf_gst_gpu_share_drop(cf_gst_gpu_share *share) {
  (void)share;
}

void cf_gst_gpu_share_set(cf_gst_gpu_share *share, GstContext *context) {
  (void)share;
  (void)context;
}

gboolean cf_gst_gpu_share_answer(cf_gst_gpu_share *share, GstQuery *query) {
  (void)share;
  (void)query;
  return FALSE;
}

cf_gst_gpu *cf_gst_gpu_take(cf_gst_gpu_share *share, const gchar *device) {
  (void)share;
  (void)device;
  return NULL;
}

gboolean cf_gst_gpu_is_of(const cf_gst_gpu *gpu, const gchar *device) {
  (void)gpu;
  (void)device;
  return FALSE;
}

void cf_gst_gpu_enter(cf_gst_gpu *gpu) {
  (void)gpu;
}

void cf_gst_gpu_leave(cf_gst_gpu *gpu) {
  (void)gpu;
}

gboolean cf_gst_gpu_has(const cf_gst_gpu *gpu, GstBuffer *buffer) {
  (void)gpu;
  (void)buffer;
  return FALSE;
}

int cf_gst_gpu_copy_in(cf_gst_gpu *gpu, const GstVideoInfo *info, GstBuffer *buffer, cuframes_frame *frame,
                       gpointer *on) {
  (void)gpu;
  (void)info;
  (void)buffer;
  (void)frame;
  (void)on;
  return CUFRAMES_ERR_UNSUPPORTED;
}

GstBufferPool *cf_gst_gpu_pool(cf_gst_gpu *gpu, GstCaps *caps, const cuframes_format *format, cf_gst_stream *slots) {
  (void)gpu;
  (void)caps;
  (void)format;
  (void)slots;
  return NULL;
}

gboolean cf_gst_gpu_copy_out(cf_gst_gpu *gpu, cuframes_frame *frame, GstBuffer *to) {
  (void)gpu;
  (void)frame;
  (void)to;
  return FALSE;
}
