/* pool.c - see pool.h. */
#include "pool.h"

#include <string.h>

#include "format.h"
#include "lease.h"
#include "memory.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

struct _GstCuframesPool {
  GstBufferPool parent;
  cf_gst_stream *stream;
  cuframes_format format; /* without a layout */
  /* Of the configuration: */
  GstVideoInfo info; /* with strides and offsets */
  GstAllocationParams params;
  GstAllocator *allocator; /* NULL: no slots, which cannot lie so */
  gboolean with_meta;
};

G_DEFINE_FINAL_TYPE(GstCuframesPool, cf_gst_pool, GST_TYPE_BUFFER_POOL)

GstBufferPool *cf_gst_pool_new(cf_gst_stream *stream, const cuframes_format *format) {
  GstCuframesPool *pool = g_object_new(CF_GST_TYPE_POOL, NULL);
  gst_object_ref_sink(pool);
  pool->stream = cf_gst_stream_ref(stream);
  pool->format = *format;
  return GST_BUFFER_POOL_CAST(pool);
}

cuframes_format cf_gst_format_of_layout(const cuframes_format *format, const GstVideoInfo *info, gsize padding) {
  cuframes_format made = *format;
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  made.padding = 0;
  for (int i = 0; i < planes; i++) {
    const gint plane = cf_gst_plane(GST_VIDEO_INFO_FORMAT(info), i);
    made.pitch[i] = (uint32_t)GST_VIDEO_INFO_PLANE_STRIDE(info, plane);
    made.offset[i] = GST_VIDEO_INFO_PLANE_OFFSET(info, plane);
  }
  const guint64 end = cf_gst_format_bytes(&made), size = GST_VIDEO_INFO_SIZE(info) + padding;
  made.padding = size > end ? (uint32_t)(size - end) : 0;
  return made;
}

static const gchar **get_options(GstBufferPool *base) {
  static const gchar *options[] = { GST_BUFFER_POOL_OPTION_VIDEO_META, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT, NULL };
  (void)base;
  return options;
}

/* Strides and offsets as the configuration wants them; what came of that is put into it. */
static gboolean align(GstStructure *config, GstVideoInfo *info) {
  GstVideoAlignment alignment;
  gst_video_alignment_reset(&alignment);
  if (!gst_buffer_pool_config_has_option(config, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT))
    return TRUE;
  gst_buffer_pool_config_get_video_alignment(config, &alignment);
  if (!gst_video_info_align(info, &alignment))
    return FALSE;
  gst_buffer_pool_config_set_video_alignment(config, &alignment);
  return TRUE;
}

static gboolean set_config(GstBufferPool *base, GstStructure *config) {
  GstCuframesPool *pool = CF_GST_POOL(base);
  GstCaps *caps = NULL;
  guint size = 0, least = 0, most = 0;
  GstVideoInfo info;
  GstAllocationParams params;
  cf_gst_picture picture;
  if (!gst_buffer_pool_config_get_params(config, &caps, &size, &least, &most) || !caps ||
      !gst_video_info_from_caps(&info, caps) || !cf_gst_picture_of_caps(caps, &picture)) {
    GST_WARNING_OBJECT(pool, "no pictures of cuframes: %" GST_PTR_FORMAT, config);
    return FALSE;
  }
  if (!align(config, &info))
    return FALSE;
  if (!gst_buffer_pool_config_get_allocator(config, NULL, &params))
    gst_allocation_params_init(&params);
  const gboolean fits = picture.format.pixel_format == pool->format.pixel_format &&
                        picture.format.width == pool->format.width && picture.format.height == pool->format.height &&
                        params.prefix == 0 && params.align <= 63;
  const gsize more = size > GST_VIDEO_INFO_SIZE(&info) ? size - GST_VIDEO_INFO_SIZE(&info) : 0;
  info.size += more;
  const cuframes_format format = cf_gst_format_of_layout(&pool->format, &info, params.padding);
  gst_clear_object(&pool->allocator);
  if (fits)
    pool->allocator = cf_gst_allocator_new(pool->stream, &format, info.size);
  pool->info = info;
  pool->params = params;
  pool->with_meta = gst_buffer_pool_config_has_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_config_set_params(config, caps, (guint)info.size, least, most);
  return GST_BUFFER_POOL_CLASS(cf_gst_pool_parent_class)->set_config(base, config);
}

/* No buffers ahead of need: an open slot that upstream does not want yet would be missing elsewhere. */
static gboolean start(GstBufferPool *base) {
  GstCuframesPool *pool = CF_GST_POOL(base);
  if (pool->allocator && cf_gst_allocator_prepare(CF_GST_ALLOCATOR(pool->allocator)) != CUFRAMES_OK) {
    GST_WARNING_OBJECT(pool, "upstream gets ordinary memory: %s", cuframes_last_error());
    gst_clear_object(&pool->allocator);
  }
  return TRUE;
}

static gboolean stop(GstBufferPool *base) {
  (void)base;
  return TRUE;
}

static GstFlowReturn acquire_buffer(GstBufferPool *base, GstBuffer **buffer, GstBufferPoolAcquireParams *params) {
  GstCuframesPool *pool = CF_GST_POOL(base);
  (void)params;
  if (GST_BUFFER_POOL_IS_FLUSHING(base))
    return GST_FLOW_FLUSHING;
  GstMemory *slot = pool->allocator ? cf_gst_allocator_take(CF_GST_ALLOCATOR(pool->allocator)) : NULL;
  GstBuffer *made = slot ? gst_buffer_new() : gst_buffer_new_allocate(NULL, pool->info.size, &pool->params);
  if (!made)
    return GST_FLOW_ERROR;
  if (slot)
    gst_buffer_append_memory(made, slot);
  else
    cf_gst_stream_count(pool->stream, CF_GST_ORDINARY);
  if (pool->with_meta)
    cf_gst_add_video_meta(made, &pool->info);
  *buffer = made;
  return GST_FLOW_OK;
}

static void release_buffer(GstBufferPool *base, GstBuffer *buffer) {
  (void)base;
  gst_buffer_unref(buffer);
}

static void finalize(GObject *object) {
  GstCuframesPool *pool = CF_GST_POOL(object);
  gst_clear_object(&pool->allocator);
  cf_gst_stream_unref(pool->stream);
  G_OBJECT_CLASS(cf_gst_pool_parent_class)->finalize(object);
}

static void cf_gst_pool_class_init(GstCuframesPoolClass *class) {
  GstBufferPoolClass *pool_class = GST_BUFFER_POOL_CLASS(class);
  G_OBJECT_CLASS(class)->finalize = finalize;
  pool_class->get_options = get_options;
  pool_class->set_config = set_config;
  pool_class->start = start;
  pool_class->stop = stop;
  pool_class->acquire_buffer = acquire_buffer;
  pool_class->release_buffer = release_buffer;
  pool_class->reset_buffer = NULL; /* it goes, and is not used again */
}

static void cf_gst_pool_init(GstCuframesPool *pool) {
  gst_allocation_params_init(&pool->params);
}
