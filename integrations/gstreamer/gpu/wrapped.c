/* wrapped.c - gpu.h for GStreamer 1.24 and later, whose GstCuda takes memory of others: a lease is a buffer downstream,
 * and a slot is a buffer upstream.
 *
 * All work on them is ordered by streams: what is put on the stream of a memory comes before its slot or frame goes
 * back, and nobody waits for it. */
#include <gst/cuda/gstcudastream.h>

#include "format.h"
#include "gstcuda.h"
#include "memory.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

gpointer cf_gst_gpu_stream_new(GstCudaContext *context) {
  return gst_cuda_stream_new(context);
}

void cf_gst_gpu_stream_clear(gpointer *stream) {
  gst_clear_cuda_stream((GstCudaStream **)stream);
}

gpointer cf_gst_gpu_handle(gpointer stream) {
  return gst_cuda_stream_get_handle(stream);
}

gpointer cf_gst_gpu_handle_of_memory(GstMemory *memory) {
  return gst_cuda_stream_get_handle(gst_cuda_memory_get_stream(GST_CUDA_MEMORY_CAST(memory)));
}

void cf_gst_gpu_config_stream(GstStructure *config, gpointer stream) {
  if (stream)
    gst_buffer_pool_config_set_cuda_stream(config, stream);
}

/* ---- slots ---- */

typedef struct gpu_slot {
  cf_gst_gpu *gpu;
  GstCudaStream *stream; /* that upstream writes on */
  cf_gst_stream *owner;
  cf_gst_slot slot;
  cuframes_format layout;
} gpu_slot;

/* Declared by hand: G_DECLARE_FINAL_TYPE() wants more of the parent than GstCuda declares. */
typedef struct GstCuframesGpuPool {
  GstCudaBufferPool parent;
  cf_gst_gpu *gpu;
  cf_gst_stream *owner;
  cuframes_format layout;
  GstVideoInfo info;
  GstCudaStream *stream; /* of the configuration */
} GstCuframesGpuPool;

typedef struct GstCuframesGpuPoolClass {
  GstCudaBufferPoolClass parent_class;
} GstCuframesGpuPoolClass;

GType cf_gst_gpu_pool_get_type(void);
#define CF_GST_TYPE_GPU_POOL (cf_gst_gpu_pool_get_type())
#define CF_GST_GPU_POOL(object) (G_TYPE_CHECK_INSTANCE_CAST((object), CF_GST_TYPE_GPU_POOL, GstCuframesGpuPool))
G_DEFINE_FINAL_TYPE(GstCuframesGpuPool, cf_gst_gpu_pool, GST_TYPE_CUDA_BUFFER_POOL)

static GQuark slot_quark(void) {
  return g_quark_from_static_string("cuframes-gpu-slot");
}

/* What reads or writes it still is on its stream, and comes before the next frame that is written there. */
static void slot_free(gpointer data) {
  gpu_slot *held = data;
  cuframes_frame_used_on(held->slot.frame, gst_cuda_stream_get_handle(held->stream));
  cf_gst_stream_let_go(held->owner, &held->slot);
  cf_gst_stream_unref(held->owner);
  gst_clear_cuda_stream(&held->stream);
  cf_gst_gpu_unref(held->gpu);
  g_free(held);
}

static GstMemory *slot_memory(GstCuframesGpuPool *pool) {
  cf_gst_slot slot;
  if (cf_gst_stream_acquire(pool->owner, TRUE, &slot) != CUFRAMES_OK)
    return NULL;
  if (!cf_gst_is_laid_out(cuframes_frame_format(slot.frame), &pool->layout)) {
    cf_gst_stream_let_go(pool->owner, &slot);
    return NULL;
  }
  gpu_slot *held = g_new(gpu_slot, 1);
  *held = (gpu_slot){ .gpu = cf_gst_gpu_ref(pool->gpu),
                      .stream = gst_cuda_stream_ref(pool->stream),
                      .owner = cf_gst_stream_ref(pool->owner),
                      .slot = slot,
                      .layout = pool->layout };
  const guintptr start = (guintptr)cuframes_frame_plane(slot.frame, 0) - pool->layout.offset[0];
  GstMemory *memory =
      gst_cuda_allocator_alloc_wrapped(NULL, pool->gpu->context, pool->stream, &pool->info, start, held, slot_free);
  gst_mini_object_set_qdata(GST_MINI_OBJECT_CAST(memory), slot_quark(), held, NULL);
  return memory;
}

cf_gst_slot *cf_gst_gpu_slot(GstMemory *memory, cf_gst_stream *stream, cuframes_format *layout, gpointer *on) {
  gpu_slot *held = gst_mini_object_get_qdata(GST_MINI_OBJECT_CAST(memory), slot_quark());
  if (held == NULL || held->owner != stream)
    return NULL;
  GstMapInfo map; /* which puts on the stream what the CPU has written */
  if (cf_gst_gpu_map(memory, &map) == NULL)
    return NULL;
  gst_memory_unmap(memory, &map);
  *layout = held->layout;
  *on = gst_cuda_stream_get_handle(held->stream);
  return &held->slot;
}

static gboolean pool_set_config(GstBufferPool *base, GstStructure *config) {
  GstCuframesGpuPool *pool = CF_GST_GPU_POOL(base);
  if (!GST_BUFFER_POOL_CLASS(cf_gst_gpu_pool_parent_class)->set_config(base, config))
    return FALSE;
  GstCudaStream *stream = gst_buffer_pool_config_get_cuda_stream(config);
  if (stream && stream->context == pool->gpu->context) {
    gst_clear_cuda_stream(&pool->stream);
    pool->stream = gst_cuda_stream_ref(stream);
  }
  gst_clear_cuda_stream(&stream);
  return TRUE;
}

static gboolean pool_start(GstBufferPool *base) {
  (void)base;
  return TRUE; /* nothing ahead of need: an open slot that upstream does not want yet would be missing elsewhere */
}

static gboolean pool_stop(GstBufferPool *base) {
  (void)base;
  return TRUE;
}

static GstFlowReturn pool_acquire(GstBufferPool *base, GstBuffer **buffer, GstBufferPoolAcquireParams *params) {
  GstCuframesGpuPool *pool = CF_GST_GPU_POOL(base);
  (void)params;
  if (GST_BUFFER_POOL_IS_FLUSHING(base))
    return GST_FLOW_FLUSHING;
  GstMemory *memory = cf_gst_stream_set_format(pool->owner, &pool->layout) == CUFRAMES_OK ? slot_memory(pool) : NULL;
  if (memory == NULL) {
    cf_gst_stream_count(pool->owner, CF_GST_ORDINARY);
    memory = gst_cuda_allocator_alloc(NULL, pool->gpu->context, pool->stream, &pool->info);
  }
  if (memory == NULL)
    return GST_FLOW_ERROR;
  GstBuffer *made = gst_buffer_new();
  gst_buffer_append_memory(made, memory);
  cf_gst_add_video_meta(made, &GST_CUDA_MEMORY_CAST(memory)->info);
  *buffer = made;
  return GST_FLOW_OK;
}

static void pool_release(GstBufferPool *base, GstBuffer *buffer) {
  (void)base;
  gst_buffer_unref(buffer);
}

static void pool_finalize(GObject *object) {
  GstCuframesGpuPool *pool = CF_GST_GPU_POOL(object);
  gst_clear_cuda_stream(&pool->stream);
  cf_gst_stream_unref(pool->owner);
  cf_gst_gpu_unref(pool->gpu);
  G_OBJECT_CLASS(cf_gst_gpu_pool_parent_class)->finalize(object);
}

static void cf_gst_gpu_pool_class_init(GstCuframesGpuPoolClass *class) {
  GstBufferPoolClass *pool_class = GST_BUFFER_POOL_CLASS(class);
  G_OBJECT_CLASS(class)->finalize = pool_finalize;
  pool_class->set_config = pool_set_config;
  pool_class->start = pool_start;
  pool_class->stop = pool_stop;
  pool_class->acquire_buffer = pool_acquire;
  pool_class->release_buffer = pool_release;
  pool_class->reset_buffer = NULL; /* it goes, and is not used again */
}

static void cf_gst_gpu_pool_init(GstCuframesGpuPool *pool) {
  (void)pool;
}

GstBufferPool *cf_gst_gpu_slot_pool(cf_gst_gpu *gpu, const GstVideoInfo *info, const cuframes_format *format,
                                    cf_gst_stream *slots) {
  if (gpu->stream == NULL)
    return NULL;
  GstCuframesGpuPool *pool = g_object_new(CF_GST_TYPE_GPU_POOL, NULL);
  gst_object_ref_sink(pool);
  pool->parent.context = gst_object_ref(gpu->context);
  pool->gpu = cf_gst_gpu_ref(gpu);
  pool->owner = cf_gst_stream_ref(slots);
  pool->layout = *format;
  pool->info = *info;
  pool->stream = gst_cuda_stream_ref(gpu->stream);
  return GST_BUFFER_POOL_CAST(pool);
}

/* ---- leases ---- */

typedef struct gpu_lease {
  cf_gst_gpu *gpu;
  gpointer lease;
} gpu_lease;

static void lease_free(gpointer data) {
  gpu_lease *held = data;
  cf_gst_lease_give_back_on(held->lease, cf_gst_gpu_handle(held->gpu->stream));
  cf_gst_gpu_unref(held->gpu);
  g_free(held);
}

/* GstCuda copies a frame to the host as one picture of one pitch, whose rows are without a gap. */
static gboolean is_even(const GstVideoInfo *info) {
  const gsize pitch = (gsize)info->stride[0];
  gboolean even = info->size % pitch == 0;
  for (guint i = 0; i < GST_VIDEO_INFO_N_PLANES(info); i++)
    even &= (gsize)info->stride[i] == pitch && info->offset[i] % pitch == 0;
  return even;
}

gboolean cf_gst_gpu_can_wrap(const cf_gst_gpu *gpu, cuframes_frame *frame) {
  const cuframes_format *format = cuframes_frame_format(frame);
  GstVideoInfo info;
  return gpu->stream != NULL && cf_gst_info_of_format(format, cf_gst_base(format), &info) && is_even(&info);
}

GstBuffer *cf_gst_gpu_wrap(cf_gst_gpu *gpu, cf_gst_leases *leases, cuframes_frame *frame) {
  const cuframes_format *format = cuframes_frame_format(frame);
  const guint64 base = cf_gst_base(format);
  GstVideoInfo info;
  (void)cf_gst_info_of_format(format, base, &info); /* as can_wrap() has looked */
  const guintptr start = (guintptr)cuframes_frame_plane(frame, 0) - (format->offset[0] - base);
  gpu_lease *held = g_new(gpu_lease, 1);
  *held = (gpu_lease){ .gpu = cf_gst_gpu_ref(gpu), .lease = cf_gst_lease_new(leases, frame) };
  GstMemory *memory = gst_cuda_allocator_alloc_wrapped(NULL, gpu->context, gpu->stream, &info, start, held, lease_free);
  GST_MINI_OBJECT_FLAG_SET(memory, GST_MEMORY_FLAG_READONLY);
  GstBuffer *buffer = gst_buffer_new();
  gst_buffer_append_memory(buffer, memory);
  cf_gst_add_video_meta(buffer, &info);
  return buffer;
}
