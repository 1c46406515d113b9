/* gpu.h - frames in memory of a GPU as memory:CUDAMemory, GStreamer's own kind, where the plugin has GstCuda.
 *
 * gpu/cuda.c does it, and beside it gpu/wrapped.c (GStreamer 1.24 and later: frames of cuframes are buffers where they
 * lie, both ways) or gpu/copied.c (1.22, in which GstCuda takes no memory but its own: the GPU copies each frame);
 * gpu/none.c says that there is nothing of the kind. */
#ifndef CUFRAMES_GST_GPU_H
#define CUFRAMES_GST_GPU_H

#include <gst/gst.h>
#include <gst/video/video.h>

#include <cuframes/cuframes.h>

#include "lease.h"
#include "stream.h"

G_BEGIN_DECLS

#define CF_GST_GPU_MEMORY "memory:CUDAMemory"

/* What GstCuda has room for. */
#define CF_GST_GPU_FORMATS_SRC                                                                                         \
  "{ NV12, I420, P010_10LE, I420_10LE, I422_10LE, Y42B, Y444, YUY2, UYVY, RGBA, BGRA, RGB, BGR, RGBP }"
#define CF_GST_GPU_FORMATS_SINK                                                                                        \
  "{ NV12, I420, YV12, P010_10LE, I420_10LE, I422_10LE, Y42B, Y444, YUY2, UYVY, RGBA, BGRA, RGB, BGR, RGBP, BGRP, "    \
  "GBR }"

/* What stands in a pad template before the caps of system memory. */
#ifdef CF_GST_HAS_CUDA
#define CF_GST_GPU_CAPS(formats) GST_VIDEO_CAPS_MAKE_WITH_FEATURES(CF_GST_GPU_MEMORY, formats) "; "
#else
#define CF_GST_GPU_CAPS(formats)
#endif

/* Whether there is GstCuda, and a driver. */
gboolean cf_gst_gpu_is_there(void);

gboolean cf_gst_gpu_is_caps(const GstCaps *caps);
/* The same caps for memory of a GPU; takes them. */
GstCaps *cf_gst_gpu_caps_of(GstCaps *caps);

/* ---- the context of CUDA that a pipeline shares ---- */

/* A context and, where GstCuda has streams, one of it. It is counted: buffers may outlive their element. */
typedef struct cf_gst_gpu cf_gst_gpu;
cf_gst_gpu *cf_gst_gpu_ref(cf_gst_gpu *gpu);
void cf_gst_gpu_unref(cf_gst_gpu *gpu);

/* An element's part in sharing it: what others offer, and what it answers them. Any thread. */
typedef struct cf_gst_gpu_share {
  GstElement *element;
  GRecMutex lock;
  GstObject *context; /* NULL: none yet */
  gint device;        /* -1: any */
} cf_gst_gpu_share;

void cf_gst_gpu_share_init(cf_gst_gpu_share *share, GstElement *element);
void cf_gst_gpu_share_clear(cf_gst_gpu_share *share);
/* When the element stops: a context takes half a GiB. */
void cf_gst_gpu_share_drop(cf_gst_gpu_share *share);
/* In GstElementClass.set_context, and for queries, which are answered if TRUE. */
void cf_gst_gpu_share_set(cf_gst_gpu_share *share, GstContext *context);
gboolean cf_gst_gpu_share_answer(cf_gst_gpu_share *share, GstQuery *query);

/* The pipeline's context for a device as cuframes names it ("cuda", "cuda:1", "cuda:GPU-..."), or a new one that it has
 * from now on. NULL: it is no such device, or there is no driver. Blocks: for making a context, a second or so. */
cf_gst_gpu *cf_gst_gpu_take(cf_gst_gpu_share *share, const gchar *device);
/* Whether it is one of that device; "cuda" is any. */
gboolean cf_gst_gpu_is_of(const cf_gst_gpu *gpu, const gchar *device);

/* Makes the context the calling thread's, in which cuframes works then; NULL: nothing is done. */
void cf_gst_gpu_enter(cf_gst_gpu *gpu);
void cf_gst_gpu_leave(cf_gst_gpu *gpu);

/* ---- into slots ---- */

/* Whether a buffer is memory of this context. */
gboolean cf_gst_gpu_has(const cf_gst_gpu *gpu, GstBuffer *buffer);

/* Copies it into an open frame, in order on the stream that wrote it, which *on is then.
 * Errors: those of cuframes_frame_copy_from_device(). */
int cf_gst_gpu_copy_in(cf_gst_gpu *gpu, const GstVideoInfo *info, GstBuffer *buffer, cuframes_frame *frame,
                       gpointer *on);

/* Buffers for upstream: slots of the stream, where `slots` are wanted and GstCuda can, else memory of its own. NULL: it
 * has none for such caps. */
GstBufferPool *cf_gst_gpu_pool(cf_gst_gpu *gpu, GstCaps *caps, const cuframes_format *format, cf_gst_stream *slots);

/* The slot that a memory of such a pool is, how it lies there, and the stream that wrote it; else NULL. */
cf_gst_slot *cf_gst_gpu_slot(GstMemory *memory, cf_gst_stream *stream, cuframes_format *layout, gpointer *on);

/* ---- out of frames ---- */

/* Whether the frame can be a buffer where it lies. */
gboolean cf_gst_gpu_can_wrap(const cf_gst_gpu *gpu, cuframes_frame *frame);

/* A buffer of such a frame, read-only; the frame, which it takes, goes back when what the pipeline put on the stream of
 * the context is done. */
GstBuffer *cf_gst_gpu_wrap(cf_gst_gpu *gpu, cf_gst_leases *leases, cuframes_frame *frame);

/* Copies it into a buffer of cf_gst_gpu_pool(). FALSE: that failed. Blocks: until it is copied. */
gboolean cf_gst_gpu_copy_out(cf_gst_gpu *gpu, cuframes_frame *frame, GstBuffer *to);

G_END_DECLS

#endif
