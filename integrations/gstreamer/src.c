/* src.c - see src.h.
 *
 * It joins when it is to play and leaves when it pauses, so that an ordered one makes no publisher wait meanwhile. A
 * buffer is the frame where it lies, a lease that ends with the last reference, wherever the pipeline keeps it. When
 * all leases but one are out, buffers are copies: nothing here waits for downstream to let go of one. */
#include "src.h"

#include <string.h>

#include "format.h"
#include "gpu.h"
#include "lease.h"
#include "plugin.h"
#include "reader.h"
#include "side.h"
#include "times.h"
#include "uri.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define LATENCY_AT_FIRST (10 * GST_MSECOND) /* until frames say how long they last */
#define LATENCY_MAX (20 * GST_MSECOND)      /* that is chosen here */

enum { PROPERTY_NONE, PROPERTY_LATENCY, PROPERTY_STATS, PROPERTY_READER };

struct _GstCuframesSrc {
  GstPushSrc parent;
  cf_gst_reader reader;
  cf_gst_leases *leases;
  gint64 latency, chosen_latency; /* object lock, as the counts; negative: the one that is chosen here */
  guint64 frames, skipped, lost, reconnects, copied_for_leases, copied_for_layout;
  cf_gst_gpu_share share;
  /* of the streaming thread */
  cf_gst_gpu *gpu;                            /* where the stream's frames are, and it joined in; NULL: not there */
  gchar device[CUFRAMES_DEVICE_NAME_MAX + 1]; /* what frames there say */
  gboolean wants_gpu, on_gpu;                 /* of the caps that were sent */
  cf_gst_times times;
  cf_gst_picture picture;    /* of the caps that were sent; width 0: none yet */
  GstVideoInfo info;         /* of these */
  gboolean takes_any_layout; /* downstream: it looks at GstVideoMeta */
  gint ask_downstream;       /* atomic: what it takes may have changed */
  gint pausing;              /* atomic: the parent is about to pause, and no pad is flushed */
  guint8 orientation;        /* of the tag that was sent */
  GstBufferPool *pool;       /* of copies; NULL: none was needed yet */
  guint64 last_seq;
  gboolean joined_anew, copies_said;
};

static void uri_handler_init(gpointer iface, gpointer data);

G_DEFINE_FINAL_TYPE_WITH_CODE(GstCuframesSrc, cf_gst_src, GST_TYPE_PUSH_SRC,
                              G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER, uri_handler_init))

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(CF_GST_GPU_CAPS(CF_GST_GPU_FORMATS_SRC) CF_GST_CAPS(CF_GST_FORMATS_SRC)));

/* ---- properties ---- */

static GstStructure *stats(GstCuframesSrc *src) {
  cuframes_subscriber_stats now = { .struct_size = sizeof now };
  g_mutex_lock(&src->reader.lock);
  if (src->reader.subscriber != NULL)
    (void)cuframes_subscriber_get_stats(src->reader.subscriber, &now); /* which cannot fail with this */
  g_mutex_unlock(&src->reader.lock);
  GST_OBJECT_LOCK(src);
  GstStructure *made = gst_structure_new(
      "application/x-cuframes-src-stats", "frames", G_TYPE_UINT64, src->frames, "skipped", G_TYPE_UINT64,
      src->skipped + now.skipped, "lost", G_TYPE_UINT64, src->lost + now.frames_lost, "reconnects", G_TYPE_UINT64,
      src->reconnects + now.reconnects, "copied-for-leases", G_TYPE_UINT64, src->copied_for_leases, "copied-for-layout",
      G_TYPE_UINT64, src->copied_for_layout, "held", G_TYPE_UINT, cf_gst_leases_out(src->leases), NULL);
  GST_OBJECT_UNLOCK(src);
  return made;
}

/* What the subscriber that is about to be left had: by the streaming thread, or with that flushed. */
static void keep_stats(GstCuframesSrc *src) {
  cuframes_subscriber_stats had = { .struct_size = sizeof had };
  g_mutex_lock(&src->reader.lock);
  if (src->reader.subscriber != NULL)
    (void)cuframes_subscriber_get_stats(src->reader.subscriber, &had); /* which cannot fail with this */
  g_mutex_unlock(&src->reader.lock);
  GST_OBJECT_LOCK(src);
  src->skipped += had.skipped;
  src->lost += had.frames_lost;
  src->reconnects += had.reconnects;
  GST_OBJECT_UNLOCK(src);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  GstCuframesSrc *src = CF_GST_SRC(object);
  if (id >= PROPERTY_READER)
    cf_gst_reader_set(&src->reader, pspec, value);
  else if (id == PROPERTY_LATENCY) {
    GST_OBJECT_LOCK(src);
    src->latency = g_value_get_int64(value);
    GST_OBJECT_UNLOCK(src);
    gst_element_post_message(GST_ELEMENT(src), gst_message_new_latency(GST_OBJECT(src)));
  } else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  GstCuframesSrc *src = CF_GST_SRC(object);
  if (id >= PROPERTY_READER)
    cf_gst_reader_get(&src->reader, pspec, value);
  else if (id == PROPERTY_LATENCY) {
    GST_OBJECT_LOCK(src);
    g_value_set_int64(value, src->latency);
    GST_OBJECT_UNLOCK(src);
  } else if (id == PROPERTY_STATS)
    g_value_take_boxed(value, stats(src));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static gint64 latency_of(GstCuframesSrc *src) {
  GST_OBJECT_LOCK(src);
  const gint64 latency = src->latency >= 0 ? src->latency : src->chosen_latency;
  GST_OBJECT_UNLOCK(src);
  return latency;
}

/* Half of the time until the next frame: a sink without a queue before it waits for a frame's time in the thread that
 * is to take the next one. */
static void choose_latency(GstCuframesSrc *src, const cf_gst_picture *picture) {
  const guint64 duration =
      picture->fps_n > 0 ? gst_util_uint64_scale_int(GST_SECOND, picture->fps_d, picture->fps_n) : 0;
  const gint64 chosen = duration > 0 ? (gint64)MIN(duration / 2, LATENCY_MAX) : (gint64)LATENCY_AT_FIRST;
  GST_OBJECT_LOCK(src);
  const gboolean other = chosen != src->chosen_latency && src->latency < 0;
  src->chosen_latency = chosen;
  GST_OBJECT_UNLOCK(src);
  if (other)
    gst_element_post_message(GST_ELEMENT(src), gst_message_new_latency(GST_OBJECT(src)));
}

static void count(GstCuframesSrc *src, guint64 *counter) {
  GST_OBJECT_LOCK(src);
  (*counter)++;
  GST_OBJECT_UNLOCK(src);
}

/* ---- caps ---- */

static void drop_pool(GstCuframesSrc *src) {
  if (src->pool != NULL)
    (void)gst_buffer_pool_set_active(src->pool, FALSE);
  gst_clear_object(&src->pool);
}

/* Whether downstream takes such caps, and they are some that this element can give. */
static gboolean are_taken(GstCuframesSrc *src, GstCaps *caps) {
  GstPad *pad = GST_BASE_SRC_PAD(src);
  GstCaps *template = gst_pad_get_pad_template_caps(pad);
  GstCaps *ours = gst_caps_intersect(caps, template);
  GstCaps *both = gst_pad_peer_query_caps(pad, ours);
  const gboolean taken = !gst_caps_is_empty(ours) && !gst_caps_is_empty(both);
  gst_caps_unref(both);
  gst_caps_unref(ours);
  gst_caps_unref(template);
  return taken;
}

/* The frame is where this element's context of CUDA is. */
static gboolean is_on_gpu(const GstCuframesSrc *src, const cuframes_frame *frame) {
  return src->gpu != NULL && strcmp(cuframes_frame_device(frame), src->device) == 0;
}

/* Whether downstream can look at planes that lie otherwise than caps alone say. */
static void ask_downstream(GstCuframesSrc *src, GstCaps *caps) {
  GstQuery *query = gst_query_new_allocation(caps, FALSE);
  src->takes_any_layout = gst_pad_peer_query(GST_BASE_SRC_PAD(src), query) &&
                          gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
  gst_query_unref(query);
}

/* What the frame says, for caps: a rate and light that were said once stay as long as the pictures look alike. */
static cf_gst_picture picture_of(GstCuframesSrc *src, const cuframes_frame *frame, gboolean anew) {
  cf_gst_picture picture = src->picture;
  cuframes_format words = *cuframes_frame_format(frame);
  memset(words.pitch, 0, sizeof words.pitch);
  memset(words.offset, 0, sizeof words.offset);
  words.padding = 0;
  words.orientation = CUFRAMES_ORIENTATION_NOT_SAID;
  if (anew || memcmp(&words, &picture.format, sizeof words) != 0) {
    memset(&picture, 0, sizeof picture);
    picture.format = words;
    picture.fps_d = 1;
  }
  if (picture.fps_n == 0)
    cf_gst_rate_of_duration(cuframes_frame_duration(frame), &picture.fps_n, &picture.fps_d);
  cf_gst_side_light(frame, &picture);
  return picture;
}

/* For memory of the GPU, if downstream takes that; else frames are copied to the host. */
static GstCaps *caps_for(GstCuframesSrc *src, const cf_gst_picture *picture, gboolean gpu) {
  GstCaps *caps = cf_gst_caps_of_picture(picture);
  GstCaps *there = caps && gpu ? cf_gst_gpu_caps_of(gst_caps_copy(caps)) : NULL;
  src->wants_gpu = gpu;
  src->on_gpu = there && are_taken(src, there);
  if (src->on_gpu)
    gst_caps_replace(&caps, there);
  gst_clear_caps(&there);
  return caps;
}

static GstFlowReturn set_caps(GstCuframesSrc *src, const cf_gst_picture *picture, gboolean gpu) {
  GstCaps *caps = caps_for(src, picture, gpu);
  if (caps == NULL) {
    GST_ELEMENT_ERROR(
        src, STREAM, FORMAT,
        ("GStreamer has no pictures of format %s", cuframes_pixel_format_name(picture->format.pixel_format)),
        ("read that stream with the library of cuframes"));
    return GST_FLOW_ERROR;
  }
  const gboolean good = gst_video_info_from_caps(&src->info, caps) && gst_base_src_set_caps(GST_BASE_SRC(src), caps);
  if (good) {
    src->picture = *picture;
    choose_latency(src, picture);
    drop_pool(src);
    ask_downstream(src, caps);
  }
  gst_caps_unref(caps);
  if (good)
    return GST_FLOW_OK;
  src->picture.format.width = 0;
  return GST_FLOW_NOT_NEGOTIATED;
}

static GstFlowReturn renegotiate(GstCuframesSrc *src, const cuframes_frame *frame, gboolean anew) {
  const cf_gst_picture picture = picture_of(src, frame, anew);
  const gboolean ask = g_atomic_int_compare_and_exchange(&src->ask_downstream, TRUE, FALSE);
  const gboolean gpu = is_on_gpu(src, frame);
  if (src->picture.format.width == 0 || memcmp(&picture, &src->picture, sizeof picture) != 0 || gpu != src->wants_gpu)
    return set_caps(src, &picture, gpu);
  GstCaps *caps = ask ? gst_pad_get_current_caps(GST_BASE_SRC_PAD(src)) : NULL;
  if (caps != NULL)
    ask_downstream(src, caps);
  gst_clear_caps(&caps);
  return GST_FLOW_OK;
}

/* Called when downstream asks for other caps than there are; the frames have no others. */
static gboolean negotiate(GstBaseSrc *base) {
  g_atomic_int_set(&CF_GST_SRC(base)->ask_downstream, TRUE);
  return TRUE;
}

/* The tag belongs behind the segment, which the parent sends just before the buffer. */
static GstPadProbeReturn send_tag(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  (void)info;
  GstCuframesSrc *src = data;
  const gchar *tag = cf_gst_orientation_tag(src->orientation);
  (void)gst_pad_push_event(
      pad, gst_event_new_tag(gst_tag_list_new(GST_TAG_IMAGE_ORIENTATION, tag != NULL ? tag : "rotate-0", NULL)));
  return GST_PAD_PROBE_REMOVE;
}

static void set_orientation(GstCuframesSrc *src, guint8 orientation) {
  if (orientation == src->orientation)
    return;
  src->orientation = orientation;
  (void)gst_pad_add_probe(GST_BASE_SRC_PAD(src), GST_PAD_PROBE_TYPE_BUFFER, send_tag, src, NULL);
}

/* ---- buffers ---- */

static GstFlowReturn copy_failed(GstCuframesSrc *src) {
  cf_gst_element_error(GST_ELEMENT(src), CUFRAMES_ERR_DEVICE, "cannot copy a frame");
  return GST_FLOW_ERROR;
}

static GstBufferPool *host_pool(GstCuframesSrc *src, GstCaps *caps) {
  GstBufferPool *pool = gst_video_buffer_pool_new();
  GstStructure *config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, (guint)GST_VIDEO_INFO_SIZE(&src->info), 0, 0);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  if (!gst_buffer_pool_set_config(pool, config))
    gst_clear_object(&pool);
  return pool;
}

static GstFlowReturn ensure_pool(GstCuframesSrc *src) {
  if (src->pool != NULL)
    return GST_FLOW_OK;
  GstCaps *caps = gst_pad_get_current_caps(GST_BASE_SRC_PAD(src));
  src->pool = src->on_gpu ? cf_gst_gpu_pool(src->gpu, caps, &src->picture.format, NULL) : host_pool(src, caps);
  gst_clear_caps(&caps);
  if (src->pool != NULL && gst_buffer_pool_set_active(src->pool, TRUE))
    return GST_FLOW_OK;
  gst_clear_object(&src->pool);
  GST_ELEMENT_ERROR(src, RESOURCE, NO_SPACE_LEFT, ("No memory for copies of frames"), (NULL));
  return GST_FLOW_ERROR;
}

/* The frame stays the caller's. */
static GstFlowReturn copy(GstCuframesSrc *src, cuframes_frame *frame, GstBuffer **buffer) {
  GstFlowReturn result = ensure_pool(src);
  if (result == GST_FLOW_OK)
    result = gst_buffer_pool_acquire_buffer(src->pool, buffer, NULL);
  if (result == GST_FLOW_OK &&
      !(src->on_gpu ? cf_gst_gpu_copy_out(src->gpu, frame, *buffer) : cf_gst_lease_copy(frame, &src->info, *buffer))) {
    result = copy_failed(src);
    gst_clear_buffer(buffer);
  }
  return result;
}

static gboolean is_default_layout(const GstVideoInfo *one, const GstVideoInfo *plain) {
  for (guint i = 0; i < GST_VIDEO_INFO_N_PLANES(plain); i++)
    if (one->stride[i] != plain->stride[i] || one->offset[i] != plain->offset[i])
      return FALSE;
  return GST_VIDEO_INFO_SIZE(one) >= GST_VIDEO_INFO_SIZE(plain);
}

static gboolean leases_are_out(GstCuframesSrc *src) {
  GST_OBJECT_LOCK(src);
  const guint leases = src->reader.leases;
  GST_OBJECT_UNLOCK(src);
  if (cf_gst_leases_out(src->leases) + 1 < leases)
    return FALSE;
  if (!src->copies_said) {
    src->copies_said = TRUE;
    GST_ELEMENT_WARNING(src, RESOURCE, FAILED, ("Frames are copied: the pipeline holds %u of them", leases - 1),
                        ("all leases but one; the property leases allows more, a queue that is shorter needs fewer"));
  }
  return TRUE;
}

/* Whether downstream can use it where it lies on the host. */
static gboolean lies_on_host(GstCuframesSrc *src, cuframes_frame *frame, guint64 base, GstVideoInfo *info) {
  return g_str_equal(cuframes_frame_device(frame), "host") &&
         cf_gst_info_of_format(cuframes_frame_format(frame), base, info) && cf_gst_lease_has_tail(frame, info, base) &&
         (src->takes_any_layout || is_default_layout(info, &src->info));
}

/* Takes the frame. */
static GstFlowReturn wrap(GstCuframesSrc *src, cuframes_frame *frame, GstBuffer **buffer) {
  const guint64 base = cf_gst_base(cuframes_frame_format(frame));
  GstVideoInfo info;
  const gboolean lies_well = src->on_gpu ? cf_gst_gpu_can_wrap(src->gpu, frame) : lies_on_host(src, frame, base, &info);
  if (lies_well && !leases_are_out(src)) {
    *buffer = src->on_gpu ? cf_gst_gpu_wrap(src->gpu, src->leases, frame)
                          : cf_gst_lease_wrap(src->leases, frame, &info, base);
    return GST_FLOW_OK;
  }
  const GstFlowReturn result = copy(src, frame, buffer);
  cuframes_frame_release(frame);
  count(src, lies_well ? &src->copied_for_leases : &src->copied_for_layout);
  return result;
}

/* What the buffer says, taken before the frame may be given back. */
static void set_words(GstCuframesSrc *src, const cuframes_frame *frame, gboolean discont, GstBuffer *words) {
  const guint32 flags = cuframes_frame_flags(frame);
  const gint64 duration = cuframes_frame_duration(frame);
  GST_BUFFER_OFFSET(words) = cuframes_frame_seq(frame);
  GST_BUFFER_OFFSET_END(words) = cuframes_frame_seq(frame) + 1;
  if (duration > 0)
    GST_BUFFER_DURATION(words) = (GstClockTime)duration;
  if (!gst_base_src_get_do_timestamp(GST_BASE_SRC(src))) {
    const gint64 published = cf_gst_running_time_at(GST_ELEMENT(src), cuframes_frame_timestamp(frame));
    GST_BUFFER_PTS(words) = cf_gst_times_of(&src->times, published, cuframes_frame_pts(frame), latency_of(src) / 2);
  }
  GST_BUFFER_FLAG_SET(words, cf_gst_field_flags(cuframes_frame_format(frame)->field_order));
  if (flags & CUFRAMES_FRAME_CORRUPT)
    GST_BUFFER_FLAG_SET(words, GST_BUFFER_FLAG_CORRUPTED);
  if (discont)
    GST_BUFFER_FLAG_SET(words, GST_BUFFER_FLAG_DISCONT);
  if (flags & CUFRAMES_FRAME_DISCONTINUITY)
    GST_BUFFER_FLAG_SET(words, GST_BUFFER_FLAG_RESYNC);
  cf_gst_side_add(frame, words);
}

/* Takes the frame. */
static GstFlowReturn buffer_of(GstCuframesSrc *src, cuframes_frame *frame, GstBuffer **made) {
  const guint64 seq = cuframes_frame_seq(frame);
  const gboolean anew = src->joined_anew || (cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY) != 0;
  const gboolean discont = anew || seq != src->last_seq + 1;
  src->joined_anew = FALSE;
  src->last_seq = seq;
  if (anew)
    cf_gst_times_begin(&src->times);
  GstFlowReturn result = renegotiate(src, frame, anew);
  if (result != GST_FLOW_OK) {
    cuframes_frame_release(frame);
    return result;
  }
  set_orientation(src, cuframes_frame_format(frame)->orientation);
  GstBuffer *words = gst_buffer_new(), *buffer = NULL;
  set_words(src, frame, discont, words);
  result = wrap(src, frame, &buffer);
  if (result == GST_FLOW_OK) {
    (void)gst_buffer_copy_into(buffer, words, GST_BUFFER_COPY_METADATA, 0, (gsize)-1);
    *made = buffer;
    count(src, &src->frames);
  }
  gst_buffer_unref(words);
  return result;
}

/* ---- joining ---- */

static void set_gpu(GstCuframesSrc *src, cf_gst_gpu *gpu, const gchar *device) {
  drop_pool(src);
  cf_gst_gpu_unref(src->gpu);
  src->gpu = src->reader.gpu = gpu;
  g_strlcpy(src->device, device, sizeof src->device);
}

static gboolean takes_gpu(GstCuframesSrc *src) {
  GstCaps *any = cf_gst_gpu_caps_of(gst_caps_new_empty_simple("video/x-raw"));
  const gboolean takes = cf_gst_gpu_is_there() && are_taken(src, any);
  gst_caps_unref(any);
  return takes;
}

/* For frames that say `device`, the pipeline's context of CUDA where the element is to read them; TRUE: it is another
 * one than before. Only where downstream takes such memory: a context costs half a GiB. */
static gboolean choose_gpu(GstCuframesSrc *src, const gchar *device) {
  GST_OBJECT_LOCK(src);
  const gboolean named = src->reader.device && g_str_has_prefix(src->reader.device, "cuda:");
  gchar *wanted = g_strdup(named ? src->reader.device : device);
  GST_OBJECT_UNLOCK(src);
  const gboolean takes = g_str_has_prefix(device, "cuda") && takes_gpu(src);
  const gboolean has = takes && src->gpu && cf_gst_gpu_is_of(src->gpu, wanted);
  cf_gst_gpu *gpu = takes && !has ? cf_gst_gpu_take(&src->share, wanted) : NULL;
  g_free(wanted);
  if (has)
    g_strlcpy(src->device, device, sizeof src->device);
  if (gpu)
    set_gpu(src, gpu, device);
  return gpu != NULL;
}

/* The publisher says where its frames are, without joining. Only where there is a GPU, and its context not yet. Whoever
 * joined without knowing would have a context of CUDA that it then has no use for. FALSE: that is to end. */
static gboolean ask_publisher(GstCuframesSrc *src) {
  cuframes_stream_info *info = NULL;
  if (src->gpu != NULL || !takes_gpu(src))
    return TRUE;
  const int error = cf_gst_reader_ask(&src->reader, &info);
  if (error == CUFRAMES_OK)
    (void)choose_gpu(src, info->device);
  cuframes_stream_info_free(info);
  return error != CUFRAMES_ERR_INTERRUPTED;
}

/* In the context that its frames are to be used in, with a second attempt where the publisher is not the one that was
 * asked. */
static GstFlowReturn join(GstCuframesSrc *src) {
  gchar device[CUFRAMES_DEVICE_NAME_MAX + 1];
  if (!ask_publisher(src))
    return GST_FLOW_FLUSHING;
  const GstFlowReturn result = cf_gst_reader_join(&src->reader);
  if (result != GST_FLOW_OK ||
      cuframes_subscriber_device(src->reader.subscriber, device, sizeof device, NULL) != CUFRAMES_OK ||
      !choose_gpu(src, device))
    return result;
  cf_gst_reader_drop(&src->reader);
  return cf_gst_reader_join(&src->reader);
}

/* ---- the streaming thread ---- */

static GstFlowReturn next(GstCuframesSrc *src, cuframes_frame **frame) {
  GstFlowReturn result = cf_gst_reader_is_flushing(&src->reader) ? GST_FLOW_FLUSHING : GST_FLOW_OK;
  while (result == GST_FLOW_OK) {
    if (src->reader.subscriber == NULL) {
      src->joined_anew = TRUE;
      result = join(src);
      continue;
    }
    const cuframes_subscriber *joined = src->reader.subscriber;
    const int error = cuframes_subscriber_next(src->reader.subscriber, cf_gst_reader_wait_ns(&src->reader), frame);
    if (error == CUFRAMES_OK) {
      cf_gst_reader_came(&src->reader);
      return GST_FLOW_OK;
    }
    if (error == CUFRAMES_ERR_EVICTED)
      keep_stats(src);
    result = cf_gst_reader_judge(&src->reader, error);
    src->joined_anew |= joined != src->reader.subscriber;
  }
  return result;
}

static GstFlowReturn create(GstPushSrc *push, GstBuffer **buffer) {
  GstCuframesSrc *src = CF_GST_SRC(push);
  cuframes_frame *frame = NULL;
  GstFlowReturn result = GST_FLOW_FLUSHING;
  while (result == GST_FLOW_FLUSHING) {
    if (!cf_gst_reader_begin(&src->reader))
      return GST_FLOW_FLUSHING;
    result = next(src, &frame);
    cf_gst_reader_done(&src->reader);
  }
  return result == GST_FLOW_OK ? buffer_of(src, frame, buffer) : result;
}

static gboolean unlock(GstBaseSrc *base) {
  if (g_atomic_int_get(&CF_GST_SRC(base)->pausing))
    return TRUE;
  cf_gst_reader_set_flushing(&CF_GST_SRC(base)->reader, CF_GST_FLUSH_PADS, TRUE);
  return TRUE;
}

static gboolean unlock_stop(GstBaseSrc *base) {
  cf_gst_reader_set_flushing(&CF_GST_SRC(base)->reader, CF_GST_FLUSH_PADS, FALSE);
  return TRUE;
}

static void leave(GstCuframesSrc *src) {
  keep_stats(src);
  cf_gst_reader_leave(&src->reader);
}

static gboolean start(GstBaseSrc *base) {
  GstCuframesSrc *src = CF_GST_SRC(base);
  GST_OBJECT_LOCK(src);
  const gboolean named = src->reader.stream != NULL && *src->reader.stream != '\0';
  src->frames = src->skipped = src->lost = src->reconnects = src->copied_for_leases = src->copied_for_layout = 0;
  GST_OBJECT_UNLOCK(src);
  memset(&src->picture, 0, sizeof src->picture);
  src->times = (cf_gst_times){ .last = -1 };
  src->orientation = CUFRAMES_ORIENTATION_NOT_SAID;
  src->last_seq = 0;
  src->copies_said = FALSE;
  if (!named)
    GST_ELEMENT_ERROR(src, RESOURCE, SETTINGS, ("No stream is named"),
                      ("set the property stream; `cuframes list` shows which there are"));
  return named;
}

static gboolean stop(GstBaseSrc *base) {
  GstCuframesSrc *src = CF_GST_SRC(base);
  leave(src);
  set_gpu(src, NULL, "");
  cf_gst_gpu_share_drop(&src->share);
  return TRUE;
}

/* A wait in create() would go on while it is paused: it leaves, stays in create(), and joins again when it plays. The
 * parent of GStreamer 1.24 and later would have create() return, and pause its task; if it is to play again before that
 * is done, the task is paused behind its start, and stays so. */
static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition) {
  GstCuframesSrc *src = CF_GST_SRC(element);
  const gboolean pauses = transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED;
  if (pauses)
    cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PAUSED, TRUE);
  g_atomic_int_set(&src->pausing, pauses);
  const GstStateChangeReturn result = GST_ELEMENT_CLASS(cf_gst_src_parent_class)->change_state(element, transition);
  g_atomic_int_set(&src->pausing, FALSE);
  if (pauses)
    leave(src);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING) /* not before the parent knows: it would drop the first frame */
    cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PAUSED, FALSE);
  return result;
}

static void set_context(GstElement *element, GstContext *context) {
  cf_gst_gpu_share_set(&CF_GST_SRC(element)->share, context);
  GST_ELEMENT_CLASS(cf_gst_src_parent_class)->set_context(element, context);
}

static gboolean query(GstBaseSrc *base, GstQuery *asked) {
  if (cf_gst_gpu_share_answer(&CF_GST_SRC(base)->share, asked))
    return TRUE;
  if (GST_QUERY_TYPE(asked) != GST_QUERY_LATENCY)
    return GST_BASE_SRC_CLASS(cf_gst_src_parent_class)->query(base, asked);
  gst_query_set_latency(asked, TRUE, (GstClockTime)latency_of(CF_GST_SRC(base)), GST_CLOCK_TIME_NONE);
  return TRUE;
}

static gboolean is_seekable(GstBaseSrc *base) {
  (void)base;
  return FALSE;
}

/* ---- the type ---- */

static void uri_handler_init(gpointer iface, gpointer data) {
  (void)data;
  cf_gst_uri_handler_init(iface, CF_GST_URI_FRAMES);
}

static void finalize(GObject *object) {
  GstCuframesSrc *src = CF_GST_SRC(object);
  cf_gst_reader_clear(&src->reader);
  cf_gst_leases_unref(src->leases);
  cf_gst_gpu_share_clear(&src->share);
  G_OBJECT_CLASS(cf_gst_src_parent_class)->finalize(object);
}

static void cf_gst_src_class_init(GstCuframesSrcClass *class) {
  GObjectClass *object_class = G_OBJECT_CLASS(class);
  GstElementClass *element_class = GST_ELEMENT_CLASS(class);
  GstBaseSrcClass *base_class = GST_BASE_SRC_CLASS(class);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  element_class->change_state = change_state;
  element_class->set_context = set_context;
  base_class->start = start;
  base_class->stop = stop;
  base_class->unlock = unlock;
  base_class->unlock_stop = unlock_stop;
  base_class->negotiate = negotiate;
  base_class->query = query;
  base_class->is_seekable = is_seekable;
  GST_PUSH_SRC_CLASS(class)->create = create;
  g_object_class_install_property(
      object_class, PROPERTY_LATENCY,
      g_param_spec_int64("latency", "Latency",
                         "How long after its time a frame may come (ns): sinks wait so long, and half of it is there "
                         "to keep frames as evenly spaced as the source says (-1: half of a frame's duration, at most "
                         "20 ms)",
                         -1, 10 * GST_SECOND, -1,
                         G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property(
      object_class, PROPERTY_STATS,
      g_param_spec_boxed("stats", "Statistics",
                         "Frames given, skipped and lost, how often the publisher came back, copies made since the "
                         "pipeline holds all leases but one, or cannot use frames as they lie, and frames held now",
                         GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  cf_gst_reader_install(object_class, PROPERTY_READER, FALSE);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(element_class, "cuframes source", "Source/Video",
                                        "Frames that another process publishes, where they lie",
                                        "The cuframes authors");
}

static void cf_gst_src_init(GstCuframesSrc *src) {
  cf_gst_reader_init(&src->reader, GST_ELEMENT(src));
  src->leases = cf_gst_leases_new();
  cf_gst_gpu_share_init(&src->share, GST_ELEMENT(src));
  src->latency = -1;
  src->chosen_latency = LATENCY_AT_FIRST;
  gst_base_src_set_live(GST_BASE_SRC(src), TRUE);
  gst_base_src_set_format(GST_BASE_SRC(src), GST_FORMAT_TIME);
}

gboolean cf_gst_src_register(GstPlugin *plugin) {
  return gst_element_register(plugin, "cuframessrc", GST_RANK_PRIMARY, CF_GST_TYPE_SRC);
}
