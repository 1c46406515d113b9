/* copied.c - gpu.h for GStreamer 1.22, whose GstCuda takes no memory but its own and knows no streams. */
#include "gstcuda.h"

gpointer cf_gst_gpu_stream_new(GstCudaContext *context) {
  (void)context;
  return NULL;
}

void cf_gst_gpu_stream_clear(gpointer *stream) {
  (void)stream;
}

gpointer cf_gst_gpu_handle(gpointer stream) {
  return stream;
}

gpointer cf_gst_gpu_handle_of_memory(GstMemory *memory) {
  (void)memory;
  return NULL;
}

void cf_gst_gpu_config_stream(GstStructure *config, gpointer stream) {
  (void)config;
  (void)stream;
}

GstBufferPool *cf_gst_gpu_slot_pool(cf_gst_gpu *gpu, const GstVideoInfo *info, const cuframes_format *format,
                                    cf_gst_stream *slots) {
  (void)gpu;
  (void)info;
  (void)format;
  (void)slots;
  return NULL;
}
