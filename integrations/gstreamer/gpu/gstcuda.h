/* gstcuda.h - GstCuda, and what the files here share of a context. */
#ifndef CUFRAMES_GST_GPU_GSTCUDA_H
#define CUFRAMES_GST_GPU_GSTCUDA_H

#define GST_USE_UNSTABLE_API /* this plugin is built for the GStreamer that it is loaded by */
#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#include <gst/cuda/gstcudautils.h>

#include "gpu.h"

struct cf_gst_gpu {
  gatomicrefcount references;
  GstCudaContext *context;
  gpointer stream; /* a GstCudaStream; NULL where GstCuda has none: all work is on the legacy default stream */
};

/* The first memory's address on the GPU, for reading, or NULL; it stays mapped in *map. */
guint8 *cf_gst_gpu_map(GstMemory *memory, GstMapInfo *map);

/* ---- wrapped.c or copied.c ---- */

/* A stream for a context, and the end of it. */
gpointer cf_gst_gpu_stream_new(GstCudaContext *context);
void cf_gst_gpu_stream_clear(gpointer *stream);
/* What CUDA calls it: the one that the memory was written on, or the context's. */
gpointer cf_gst_gpu_handle(gpointer stream);
gpointer cf_gst_gpu_handle_of_memory(GstMemory *memory);
/* Lets the pool's memory be written on the stream. */
void cf_gst_gpu_config_stream(GstStructure *config, gpointer stream);

/* A pool of slots; NULL: GstCuda cannot. */
GstBufferPool *cf_gst_gpu_slot_pool(cf_gst_gpu *gpu, const GstVideoInfo *info, const cuframes_format *format,
                                    cf_gst_stream *slots);

#endif
