/* cuda.c - see gpu.h: what is the same with every GstCuda. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "gstcuda.h"
#include "memory.h"
#include "plugin.h"
#include "pool.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define DEVICE_KIND "cuda"
#define PITCH_ALIGN 256 /* as cuframes lays out memory of a GPU */

gboolean cf_gst_gpu_is_there(void) {
  return gst_cuda_load_library(); /* once; then it knows */
}

gboolean cf_gst_gpu_is_caps(const GstCaps *caps) {
  const GstCapsFeatures *features = gst_caps_get_size(caps) > 0 ? gst_caps_get_features(caps, 0) : NULL;
  return features != NULL && gst_caps_features_contains(features, CF_GST_GPU_MEMORY);
}

GstCaps *cf_gst_gpu_caps_of(GstCaps *caps) {
  gst_caps_set_features_simple(caps, gst_caps_features_new(CF_GST_GPU_MEMORY, NULL));
  return caps;
}

/* ---- which GPU ---- */

/* GstCuda does not tell a UUID, so the driver is asked. */
static gboolean name_of(gint device, gchar name[64]) {
  guint8 bytes[16];
  gboolean good = FALSE;
  void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (driver == NULL)
    return FALSE;
  int (*get)(guint8 *, int);
  *(void **)&get = dlsym(driver, "cuDeviceGetUuid_v2");
  if (get == NULL)
    *(void **)&get = dlsym(driver, "cuDeviceGetUuid");
  if (get != NULL && get(bytes, device) == CUDA_SUCCESS) {
    gchar *at = name + sprintf(name, DEVICE_KIND ":GPU");
    for (gint i = 0; i < 16; i++)
      at += sprintf(at, "%s%02x", i == 0 || (i >= 4 && i <= 10 && i % 2 == 0) ? "-" : "", bytes[i]);
    good = TRUE;
  }
  dlclose(driver);
  return good;
}

static gint number_of(GstCudaContext *context) {
  guint number = 0;
  g_object_get(context, "cuda-device-id", &number, NULL);
  return (gint)number;
}

static gboolean is_device(gint number, const gchar *device) {
  gchar name[64];
  guint64 wanted;
  if (strcmp(device, DEVICE_KIND) == 0)
    return TRUE;
  if (!g_str_has_prefix(device, DEVICE_KIND ":"))
    return FALSE;
  if (g_ascii_string_to_unsigned(device + strlen(DEVICE_KIND ":"), 10, 0, G_MAXINT32, &wanted, NULL))
    return wanted == (guint64)number;
  return name_of(number, name) && g_ascii_strcasecmp(name, device) == 0;
}

/* -1: any; -2: there is none such. */
static gint find(const gchar *device) {
  gint count = 0;
  if (strcmp(device, DEVICE_KIND) == 0)
    return -1;
  if (CuInit(0) != CUDA_SUCCESS || CuDeviceGetCount(&count) != CUDA_SUCCESS)
    return -2;
  for (gint i = 0; i < count; i++)
    if (is_device(i, device))
      return i;
  return -2;
}

/* ---- sharing ---- */

void cf_gst_gpu_share_init(cf_gst_gpu_share *share, GstElement *element) {
  g_rec_mutex_init(&share->lock);
  share->element = element;
  share->device = -1;
}

void cf_gst_gpu_share_clear(cf_gst_gpu_share *share) {
  gst_clear_object(&share->context);
  g_rec_mutex_clear(&share->lock);
}

void cf_gst_gpu_share_drop(cf_gst_gpu_share *share) {
  g_rec_mutex_lock(&share->lock);
  gst_clear_object(&share->context);
  share->device = -1;
  g_rec_mutex_unlock(&share->lock);
}

void cf_gst_gpu_share_set(cf_gst_gpu_share *share, GstContext *context) {
  GstCudaContext *found = NULL;
  g_rec_mutex_lock(&share->lock);
  if (share->context == NULL && gst_cuda_handle_set_context(share->element, context, share->device, &found))
    share->context = GST_OBJECT_CAST(found);
  g_rec_mutex_unlock(&share->lock);
}

gboolean cf_gst_gpu_share_answer(cf_gst_gpu_share *share, GstQuery *query) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_CONTEXT)
    return FALSE;
  g_rec_mutex_lock(&share->lock);
  GstObject *context = share->context ? gst_object_ref(share->context) : NULL;
  g_rec_mutex_unlock(&share->lock);
  const gboolean answered = context && gst_cuda_handle_context_query(share->element, query, GST_CUDA_CONTEXT(context));
  gst_clear_object(&context);
  return answered;
}

/* The pipeline's, or a new one; the caller's. */
static GstCudaContext *ensure(cf_gst_gpu_share *share, gint device) {
  g_rec_mutex_lock(&share->lock); /* recursive: GstCuda asks the element for it, which is told by set_context */
  if (share->context && device >= 0 && number_of(GST_CUDA_CONTEXT(share->context)) != device)
    gst_clear_object(&share->context);
  share->device = device;
  GstCudaContext *found = share->context ? GST_CUDA_CONTEXT(share->context) : NULL;
  if (!found) {
    (void)gst_cuda_ensure_element_context(share->element, device, (GstCudaContext **)&share->context);
    found = share->context ? GST_CUDA_CONTEXT(share->context) : NULL;
  }
  if (found)
    gst_object_ref(found);
  g_rec_mutex_unlock(&share->lock);
  return found;
}

cf_gst_gpu *cf_gst_gpu_take(cf_gst_gpu_share *share, const gchar *device) {
  if (!g_str_has_prefix(device, DEVICE_KIND) || !gst_cuda_load_library())
    return NULL;
  const gint number = find(device);
  GstCudaContext *context = number >= -1 ? ensure(share, number) : NULL;
  if (context == NULL)
    return NULL;
  gst_cuda_memory_init_once();
  cf_gst_gpu *gpu = g_new0(cf_gst_gpu, 1);
  g_atomic_ref_count_init(&gpu->references);
  gpu->context = context;
  gpu->stream = cf_gst_gpu_stream_new(context);
  return gpu;
}

cf_gst_gpu *cf_gst_gpu_ref(cf_gst_gpu *gpu) {
  g_atomic_ref_count_inc(&gpu->references);
  return gpu;
}

void cf_gst_gpu_unref(cf_gst_gpu *gpu) {
  if (gpu == NULL || !g_atomic_ref_count_dec(&gpu->references))
    return;
  cf_gst_gpu_stream_clear(&gpu->stream);
  gst_object_unref(gpu->context);
  g_free(gpu);
}

gboolean cf_gst_gpu_is_of(const cf_gst_gpu *gpu, const gchar *device) {
  return gpu != NULL && is_device(number_of(gpu->context), device);
}

void cf_gst_gpu_enter(cf_gst_gpu *gpu) {
  if (gpu)
    (void)gst_cuda_context_push(gpu->context); /* else cuframes says that it has none, and takes the primary one */
}

void cf_gst_gpu_leave(cf_gst_gpu *gpu) {
  if (gpu)
    (void)gst_cuda_context_pop(NULL);
}

/* ---- into slots ---- */

gboolean cf_gst_gpu_has(const cf_gst_gpu *gpu, GstBuffer *buffer) {
  if (gpu == NULL || gst_buffer_n_memory(buffer) != 1)
    return FALSE;
  GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
  return gst_is_cuda_memory(memory) && gst_cuda_context_get_handle(GST_CUDA_MEMORY_CAST(memory)->context) ==
                                           gst_cuda_context_get_handle(gpu->context);
}

guint8 *cf_gst_gpu_map(GstMemory *memory, GstMapInfo *map) {
  return gst_memory_map(memory, map, GST_MAP_READ | GST_MAP_CUDA) ? map->data : NULL;
}

int cf_gst_gpu_copy_in(cf_gst_gpu *gpu, const GstVideoInfo *info, GstBuffer *buffer, cuframes_frame *frame,
                       gpointer *on) {
  GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
  const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
  const GstVideoInfo *own = &GST_CUDA_MEMORY_CAST(memory)->info;
  GstMapInfo map;
  int result = CUFRAMES_OK;
  (void)gpu;
  const guint8 *start = cf_gst_gpu_map(memory, &map);
  if (start == NULL)
    return cuframes_set_last_error(CUFRAMES_ERR_DEVICE, "a buffer of the GPU cannot be mapped");
  *on = cf_gst_gpu_handle_of_memory(memory);
  for (gint i = 0; i < cuframes_pixel_format_planes(cuframes_frame_pixel_format(frame)) && result == CUFRAMES_OK; i++) {
    const gint plane = cf_gst_plane(GST_VIDEO_INFO_FORMAT(info), i);
    const gsize offset = meta ? meta->offset[plane] : own->offset[plane];
    const gint stride = meta ? meta->stride[plane] : own->stride[plane];
    result = cuframes_frame_copy_from_device(frame, i, start + offset, (gsize)stride, *on);
  }
  gst_memory_unmap(memory, &map);
  return result;
}

/* One pitch for all planes, one below the other, as GstCuda itself lays them out: it copies a frame to the host by one
 * copy. */
static gboolean lay_out(const GstCaps *caps, const cuframes_format *format, GstVideoInfo *info) {
  gsize end = 0, pitch = 0;
  guint32 rows[GST_VIDEO_MAX_PLANES] = { 0 };
  const gint planes = cuframes_pixel_format_planes(format->pixel_format);
  if (!gst_video_info_from_caps(info, caps))
    return FALSE;
  for (gint i = 0; i < planes; i++) {
    guint32 bytes = 0;
    (void)cuframes_format_plane_size(format, i, &bytes, &rows[cf_gst_plane(GST_VIDEO_INFO_FORMAT(info), i)]);
    pitch = MAX(pitch, (bytes + PITCH_ALIGN - 1) / PITCH_ALIGN * PITCH_ALIGN);
  }
  for (gint i = 0; i < planes; i++) {
    info->stride[i] = (gint)pitch;
    info->offset[i] = end;
    end += pitch * rows[i];
  }
  info->size = end;
  return pitch > 0;
}

GstBufferPool *cf_gst_gpu_pool(cf_gst_gpu *gpu, GstCaps *caps, const cuframes_format *format, cf_gst_stream *slots) {
  GstVideoInfo info;
  GstBufferPool *pool = NULL;
  if (!lay_out(caps, format, &info))
    return NULL;
  const cuframes_format layout = cf_gst_format_of_layout(format, &info, 0);
  if (slots)
    pool = cf_gst_gpu_slot_pool(gpu, &info, &layout, slots);
  if (pool == NULL)
    pool = gst_cuda_buffer_pool_new(gpu->context);
  GstStructure *config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, (guint)info.size, 0, 0);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  cf_gst_gpu_config_stream(config, gpu->stream);
  if (!gst_buffer_pool_set_config(pool, config))
    gst_clear_object(&pool);
  return pool;
}

/* ---- out of frames ---- */

static gboolean copy_planes(cf_gst_gpu *gpu, cuframes_frame *frame, GstBuffer *to, guint8 *start) {
  const cuframes_format *format = cuframes_frame_format(frame);
  const GstVideoMeta *meta = gst_buffer_get_video_meta(to);
  const GstVideoInfo *own = &GST_CUDA_MEMORY_CAST(gst_buffer_peek_memory(to, 0))->info;
  const CUstream stream = cf_gst_gpu_handle(gpu->stream);
  gboolean good = TRUE;
  for (gint i = 0; i < cuframes_pixel_format_planes(format->pixel_format) && good; i++) {
    const gint plane = cf_gst_plane(GST_VIDEO_INFO_FORMAT(own), i);
    guint32 bytes = 0, rows = 0;
    (void)cuframes_format_plane_size(format, i, &bytes, &rows);
    const CUDA_MEMCPY2D copy = {
      .srcMemoryType = CU_MEMORYTYPE_DEVICE,
      .srcDevice = (CUdeviceptr)(guintptr)cuframes_frame_plane(frame, i),
      .srcPitch = format->pitch[i],
      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
      .dstDevice = (CUdeviceptr)(guintptr)(start + (meta ? meta->offset[plane] : own->offset[plane])),
      .dstPitch = (gsize)(meta ? meta->stride[plane] : own->stride[plane]),
      .WidthInBytes = bytes,
      .Height = rows,
    };
    good = CuMemcpy2DAsync(&copy, stream) == CUDA_SUCCESS;
  }
  return CuStreamSynchronize(stream) == CUDA_SUCCESS && good; /* those behind take it as complete */
}

gboolean cf_gst_gpu_copy_out(cf_gst_gpu *gpu, cuframes_frame *frame, GstBuffer *to) {
  GstMapInfo map;
  GstMemory *memory = gst_buffer_peek_memory(to, 0);
  if (!gst_memory_map(memory, &map, GST_MAP_WRITE | GST_MAP_CUDA))
    return FALSE;
  cf_gst_gpu_enter(gpu);
  const gboolean good = copy_planes(gpu, frame, to, map.data);
  cf_gst_gpu_leave(gpu);
  gst_memory_unmap(memory, &map);
  if (!good)
    (void)cuframes_set_last_error(CUFRAMES_ERR_DEVICE, "the GPU could not copy a frame");
  return good;
}
