/* frame_sink.c - see frame_sink.h. A frame that upstream has written into a slot is published where it lies, any other
 * one is copied into a slot once. */
#include "frame_sink.h"

#include <string.h>

#include "format.h"
#include "frame_meta.h"
#include "gpu.h"
#include "memory.h"
#include "pad_sink.h"
#include "plugin.h"
#include "pool.h"

#define GST_CAT_DEFAULT cf_gst_debug

/* So many progressive frames behind each other, and a film that had fields has them no more: the format must not change
 * with each frame. */
#define PROGRESSIVE_RUN 25

struct _GstCuframesFrameSink {
  GstCuframesPadSink parent;
  gint offer; /* atomic */
  cf_gst_gpu_share share;
  /* Object lock; written while nothing streams: */
  cf_gst_gpu *gpu; /* NULL: frames of ordinary memory alone */
  gboolean opened;
  /* Of the streaming thread: */
  cf_gst_picture picture; /* of the caps; pixel format 0: none yet */
  GstVideoInfo info;
  guint8 orientation, field_order;
  guint progressive_run;
  gboolean side_said, dropped_said;
};

G_DEFINE_FINAL_TYPE(GstCuframesFrameSink, cf_gst_frame_sink, CF_GST_TYPE_PAD_SINK)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(CF_GST_FRAME_SINK_CAPS));

GstElement *cf_gst_frame_sink_new(cf_gst_stream *stream) {
  return cf_gst_pad_sink_new(CF_GST_TYPE_FRAME_SINK, "frames", stream);
}

void cf_gst_frame_sink_offer_slots(GstCuframesFrameSink *sink, gboolean offer) {
  g_atomic_int_set(&sink->offer, offer);
}

/* ---- memory of a GPU ---- */

static void set_gpu(GstCuframesFrameSink *sink, cf_gst_gpu *gpu, gboolean opened) {
  GST_OBJECT_LOCK(sink);
  cf_gst_gpu *before = sink->gpu;
  sink->gpu = gpu;
  sink->opened = opened;
  GST_OBJECT_UNLOCK(sink);
  cf_gst_gpu_unref(before);
}

int cf_gst_frame_sink_open(GstCuframesFrameSink *sink, const cf_gst_settings *settings, GstObject *log) {
  cf_gst_stream *stream = cf_gst_pad_sink_stream(sink);
  const gchar *device = settings->device ? settings->device : "host";
  cf_gst_gpu *gpu = cf_gst_gpu_take(&sink->share, strcmp(device, "auto") == 0 ? "cuda" : device);
  cf_gst_gpu_enter(gpu);
  const int result = cf_gst_stream_open(stream, settings, log);
  cf_gst_gpu_leave(gpu);
  const gboolean on_gpu = result == CUFRAMES_OK && !cf_gst_stream_is_on_host(stream);
  if (!on_gpu)
    g_clear_pointer(&gpu, cf_gst_gpu_unref);
  set_gpu(sink, gpu, result == CUFRAMES_OK);
  return result;
}

void cf_gst_frame_sink_close(GstCuframesFrameSink *sink) {
  cf_gst_stream_close(cf_gst_pad_sink_stream(sink));
  set_gpu(sink, NULL, FALSE);
  cf_gst_gpu_share_drop(&sink->share);
}

/* Until the stream is there nobody knows where its frames will lie. */
static GstCaps *get_caps(GstBaseSink *base, GstCaps *filter) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(base);
  GstCaps *caps = gst_pad_get_pad_template_caps(GST_BASE_SINK_PAD(base));
  GST_OBJECT_LOCK(sink);
  const gboolean host = sink->opened && sink->gpu == NULL;
  GST_OBJECT_UNLOCK(sink);
  if (host && cf_gst_gpu_is_caps(caps)) {
    caps = gst_caps_make_writable(caps);
    gst_caps_remove_structure(caps, 0);
  }
  if (filter == NULL)
    return caps;
  GstCaps *both = gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(caps);
  return both;
}

static gboolean query(GstBaseSink *base, GstQuery *asked) {
  return cf_gst_gpu_share_answer(&CF_GST_FRAME_SINK(base)->share, asked) ||
         GST_BASE_SINK_CLASS(cf_gst_frame_sink_parent_class)->query(base, asked);
}

static void set_context(GstElement *element, GstContext *context) {
  cf_gst_gpu_share_set(&CF_GST_FRAME_SINK(element)->share, context);
  GST_ELEMENT_CLASS(cf_gst_frame_sink_parent_class)->set_context(element, context);
}

/* ---- what frames look like ---- */

/* Where caps leave it to each buffer whether it has fields. */
static guint8 next_fields(GstCuframesFrameSink *sink, GstBuffer *buffer) {
  if (GST_VIDEO_INFO_INTERLACE_MODE(&sink->info) == GST_VIDEO_INTERLACE_MODE_PROGRESSIVE)
    return sink->field_order;
  const guint8 order = cf_gst_fields_of_buffer(&sink->info, buffer);
  const gboolean had = sink->field_order > CUFRAMES_FIELDS_PROGRESSIVE;
  if (order > CUFRAMES_FIELDS_PROGRESSIVE)
    sink->progressive_run = 0;
  else if (had && ++sink->progressive_run < PROGRESSIVE_RUN)
    return sink->field_order;
  return sink->field_order = order;
}

/* Without a layout. */
static cuframes_format describe(GstCuframesFrameSink *sink, GstBuffer *buffer) {
  cuframes_format format = sink->picture.format;
  format.field_order = next_fields(sink, buffer);
  format.orientation = sink->orientation;
  return format;
}

static gboolean set_caps(GstBaseSink *base, GstCaps *caps) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(base);
  cf_gst_picture picture;
  GstVideoInfo info;
  if (!gst_video_info_from_caps(&info, caps) || !cf_gst_picture_of_caps(caps, &picture)) {
    GST_ERROR_OBJECT(sink, "no pictures of cuframes: %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  sink->picture = picture;
  sink->info = info;
  sink->field_order = picture.format.field_order;
  sink->progressive_run = 0;
  return TRUE;
}

/* ---- slots for upstream ---- */

static void propose_gpu(GstCuframesFrameSink *sink, GstCaps *caps, const cuframes_format *format, GstQuery *query) {
  const gboolean slots = g_atomic_int_get(&sink->offer);
  GstBufferPool *pool =
      sink->gpu ? cf_gst_gpu_pool(sink->gpu, caps, format, slots ? cf_gst_pad_sink_stream(sink) : NULL) : NULL;
  guint size = 0;
  if (pool == NULL)
    return;
  GstStructure *config = gst_buffer_pool_get_config(pool);
  (void)gst_buffer_pool_config_get_params(config, NULL, &size, NULL, NULL);
  gst_structure_free(config);
  gst_query_add_allocation_pool(query, pool, size, 0, 0);
  gst_object_unref(pool);
}

static gboolean propose_allocation(GstBaseSink *base, GstQuery *query) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(base);
  GstCaps *caps = NULL;
  gboolean want_pool = FALSE;
  GstVideoInfo info;
  cf_gst_picture picture;
  gst_query_parse_allocation(query, &caps, &want_pool);
  if (!caps || !gst_video_info_from_caps(&info, caps) || !cf_gst_picture_of_caps(caps, &picture))
    return FALSE;
  gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
  if (cf_gst_gpu_is_caps(caps)) {
    picture.format.orientation = sink->orientation;
    if (want_pool)
      propose_gpu(sink, caps, &picture.format, query);
    return TRUE;
  }
  if (!g_atomic_int_get(&sink->offer) || !cf_gst_stream_is_on_host(cf_gst_pad_sink_stream(sink)))
    return TRUE;
  picture.format.orientation = sink->orientation;
  const GstAllocationParams params = { .align = 63 };
  const cuframes_format plain = cf_gst_format_of_layout(&picture.format, &info, 0);
  GstAllocator *allocator = cf_gst_allocator_new(cf_gst_pad_sink_stream(sink), &plain, GST_VIDEO_INFO_SIZE(&info));
  gst_query_add_allocation_param(query, allocator, &params);
  gst_object_unref(allocator);
  GstBufferPool *pool = NULL;
  if (want_pool) {
    pool = cf_gst_pool_new(cf_gst_pad_sink_stream(sink), &picture.format);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, (guint)GST_VIDEO_INFO_SIZE(&info), 0, 0);
    if (!gst_buffer_pool_set_config(pool, config))
      gst_clear_object(&pool);
  }
  gst_query_add_allocation_pool(query, pool, (guint)GST_VIDEO_INFO_SIZE(&info), 0, 0);
  gst_clear_object(&pool);
  return TRUE;
}

/* ---- publishing ---- */

/* Whether the buffer's planes lie where those of the slot do. */
static gboolean lies_so(const GstVideoInfo *info, GstBuffer *buffer, const cuframes_format *layout) {
  const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
  if (meta && (meta->format != GST_VIDEO_INFO_FORMAT(info) || meta->width != (guint)GST_VIDEO_INFO_WIDTH(info) ||
               meta->height != (guint)GST_VIDEO_INFO_HEIGHT(info)))
    return FALSE;
  const int planes = cuframes_pixel_format_planes(layout->pixel_format);
  for (int i = 0; i < planes; i++) {
    const gint plane = cf_gst_plane(GST_VIDEO_INFO_FORMAT(info), i);
    const gint stride = meta ? meta->stride[plane] : GST_VIDEO_INFO_PLANE_STRIDE(info, plane);
    const gsize offset = meta ? meta->offset[plane] : GST_VIDEO_INFO_PLANE_OFFSET(info, plane);
    if (stride < 0 || (guint32)stride != layout->pitch[i] || offset != layout->offset[i])
      return FALSE;
  }
  return TRUE;
}

static gboolean says_so(const cuframes_format *slot, const cuframes_format *wanted) {
  cuframes_format said = *slot;
  memset(said.pitch, 0, sizeof said.pitch);
  memset(said.offset, 0, sizeof said.offset);
  said.padding = 0;
  return memcmp(&said, wanted, sizeof said) == 0;
}

/* A picture that a CUDA stream makes, or that is there. */
typedef struct origin {
  gpointer stream;
  gboolean by_stream;
} origin;

/* The slot that the buffer is, if it can be published as it is. */
static cf_gst_slot *slot_of(GstCuframesFrameSink *sink, GstBuffer *buffer, const cuframes_format *format,
                            origin *from) {
  cuframes_format layout;
  if (gst_buffer_n_memory(buffer) != 1)
    return NULL;
  GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
  cf_gst_slot *slot = cf_gst_memory_slot(memory, cf_gst_pad_sink_stream(sink), &layout);
  if (!slot && sink->gpu) {
    slot = cf_gst_gpu_slot(memory, cf_gst_pad_sink_stream(sink), &layout, &from->stream);
    from->by_stream = slot != NULL;
  }
  if (!slot || !cf_gst_stream_owns(cf_gst_pad_sink_stream(sink), slot)) {
    if (slot && slot->published)
      cf_gst_stream_count(cf_gst_pad_sink_stream(sink), CF_GST_REPEATED);
    return NULL;
  }
  const gboolean same = lies_so(&sink->info, buffer, &layout) && says_so(cuframes_frame_format(slot->frame), format);
  return same ? slot : NULL;
}

static gboolean copied(GstCuframesFrameSink *sink, int result) {
  if (result != CUFRAMES_OK)
    cf_gst_element_error(GST_ELEMENT_CAST(sink), result, "A frame cannot be copied into its slot");
  return result == CUFRAMES_OK;
}

/* FALSE: an error was posted. Memory of another context of CUDA goes through the host. */
static gboolean copy(GstCuframesFrameSink *sink, GstBuffer *buffer, cuframes_frame *frame, origin *made) {
  GstVideoFrame from;
  int result = CUFRAMES_OK;
  made->by_stream = cf_gst_gpu_has(sink->gpu, buffer);
  if (made->by_stream)
    return copied(sink, cf_gst_gpu_copy_in(sink->gpu, &sink->info, buffer, frame, &made->stream));
  if (!gst_video_frame_map(&from, &sink->info, buffer, GST_MAP_READ)) {
    GST_ELEMENT_ERROR(sink, RESOURCE, READ, ("A frame cannot be read: its buffer cannot be mapped"), (NULL));
    return FALSE;
  }
  for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES(&from) && result == CUFRAMES_OK; i++) {
    const gint plane = cf_gst_plane(GST_VIDEO_FRAME_FORMAT(&from), (gint)i);
    result = cuframes_frame_copy_from_host(frame, (int)i, GST_VIDEO_FRAME_PLANE_DATA(&from, plane),
                                           (size_t)GST_VIDEO_FRAME_PLANE_STRIDE(&from, plane));
  }
  gst_video_frame_unmap(&from);
  return copied(sink, result);
}

static int publish(GstCuframesFrameSink *sink, GstBuffer *buffer, cf_gst_slot *slot, const origin *from) {
  const cuframes_publish_info info = {
    .struct_size = sizeof info,
    .flags = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED) ? CUFRAMES_FRAME_CORRUPT : 0,
    .pts = cf_gst_running_time(GST_BASE_SINK_CAST(sink), GST_BUFFER_PTS(buffer)),
    .duration = cf_gst_duration(buffer),
    .capture_time = cf_gst_capture_time(buffer),
  };
  if (!cf_gst_add_side_data(slot->frame, buffer, &sink->picture) && !sink->side_said) {
    sink->side_said = TRUE;
    GST_WARNING_OBJECT(sink, "side data was left out: the property side-data makes room for it");
  }
  int result;
  do
    result = cf_gst_stream_publish(cf_gst_pad_sink_stream(sink), slot, &info, from->by_stream ? &from->stream : NULL);
  while (result == CUFRAMES_ERR_INTERRUPTED && cf_gst_pad_sink_go_on(sink) == GST_FLOW_OK);
  return result;
}

static int acquire(GstCuframesFrameSink *sink, cf_gst_slot *slot) {
  int result;
  do
    result = cf_gst_stream_acquire(cf_gst_pad_sink_stream(sink), FALSE, slot);
  while (result == CUFRAMES_ERR_INTERRUPTED && cf_gst_pad_sink_go_on(sink) == GST_FLOW_OK);
  return result;
}

static int publish_copy(GstCuframesFrameSink *sink, GstBuffer *buffer, const cuframes_format *format,
                        gboolean *posted) {
  cf_gst_slot slot;
  int result = cf_gst_stream_set_format(cf_gst_pad_sink_stream(sink), format);
  if (result == CUFRAMES_OK)
    result = acquire(sink, &slot);
  if (result != CUFRAMES_OK)
    return result;
  origin from = { 0 };
  *posted = !copy(sink, buffer, slot.frame, &from);
  if (!*posted)
    result = publish(sink, buffer, &slot, &from);
  cf_gst_stream_let_go(cf_gst_pad_sink_stream(sink), &slot);
  return result;
}

static int publish_in_place(GstCuframesFrameSink *sink, GstBuffer *buffer, cf_gst_slot *slot, const origin *from) {
  /* Whoever else has the buffer gets a copy when it wants to write from now on. Nobody can be writing: the sink has a
   * reference, too, and so nobody has the only one. */
  GST_MINI_OBJECT_FLAG_SET(gst_buffer_peek_memory(buffer, 0), GST_MINI_OBJECT_FLAG_LOCK_READONLY);
  return publish(sink, buffer, slot, from);
}

static GstFlowReturn render(GstBaseSink *base, GstBuffer *buffer) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(base);
  gboolean posted = FALSE;
  const GstFlowReturn flow = cf_gst_pad_sink_begin(sink);
  if (flow != GST_FLOW_OK)
    return flow;
  const cuframes_format format = describe(sink, buffer);
  origin from = { 0 };
  cf_gst_slot *slot = slot_of(sink, buffer, &format, &from);
  const int result = slot ? publish_in_place(sink, buffer, slot, &from) : publish_copy(sink, buffer, &format, &posted);
  if (posted)
    return GST_FLOW_ERROR;
  if (result == CUFRAMES_ERR_INTERRUPTED) /* and it is not to go on */
    return GST_FLOW_FLUSHING;
  if (result == CUFRAMES_ERR_DROPPED) {
    cf_gst_stream_count(cf_gst_pad_sink_stream(sink), CF_GST_DROPPED);
    if (!sink->dropped_said)
      GST_WARNING_OBJECT(sink, "%s; see the property stats for how many", cuframes_last_error());
    sink->dropped_said = TRUE;
    return GST_FLOW_OK;
  }
  if (result != CUFRAMES_OK) {
    cf_gst_element_error(GST_ELEMENT_CAST(sink), result, "A frame cannot be published");
    return GST_FLOW_ERROR;
  }
  cf_gst_stream_count(cf_gst_pad_sink_stream(sink), slot ? CF_GST_IN_PLACE : CF_GST_COPIED);
  /* Not before: of a live stream without a format readers believe that it has no pictures. */
  cf_gst_pad_sink_say(sink, CF_GST_PAD_READY);
  return GST_FLOW_OK;
}

/* So that the pipeline plays, and its clock runs, when those have joined that are waited for. */
static GstFlowReturn preroll(GstBaseSink *base, GstBuffer *buffer) {
  (void)buffer;
  return cf_gst_pad_sink_preroll(base);
}

/* ---- life ---- */

static gboolean start(GstBaseSink *base) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(base);
  memset(&sink->picture, 0, sizeof sink->picture);
  sink->orientation = CUFRAMES_ORIENTATION_NOT_SAID;
  sink->side_said = sink->dropped_said = FALSE;
  return GST_BASE_SINK_CLASS(cf_gst_frame_sink_parent_class)->start(base);
}

static void take_tags(GstCuframesFrameSink *sink, GstEvent *event) {
  GstTagList *tags = NULL;
  gchar *orientation = NULL;
  gst_event_parse_tag(event, &tags);
  if (gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &orientation))
    sink->orientation = cf_gst_orientation_of_tag(orientation);
  g_free(orientation);
}

static gboolean event(GstBaseSink *base, GstEvent *given) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(base);
  if (GST_EVENT_TYPE(given) == GST_EVENT_TAG)
    take_tags(sink, given);
  else if (GST_EVENT_TYPE(given) == GST_EVENT_STREAM_START)
    sink->orientation = CUFRAMES_ORIENTATION_NOT_SAID;
  return GST_BASE_SINK_CLASS(cf_gst_frame_sink_parent_class)->event(base, given);
}

static void finalize(GObject *object) {
  GstCuframesFrameSink *sink = CF_GST_FRAME_SINK(object);
  cf_gst_gpu_unref(sink->gpu);
  cf_gst_gpu_share_clear(&sink->share);
  G_OBJECT_CLASS(cf_gst_frame_sink_parent_class)->finalize(object);
}

static void cf_gst_frame_sink_class_init(GstCuframesFrameSinkClass *class) {
  GstElementClass *element_class = GST_ELEMENT_CLASS(class);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS(class);
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_set_static_metadata(element_class, "Frames of a cuframes sink", "Sink/Video",
                                        "Publishes frames; part of cuframessink", "The cuframes authors");
  G_OBJECT_CLASS(class)->finalize = finalize;
  element_class->set_context = set_context;
  sink_class->get_caps = get_caps;
  sink_class->query = query;
  sink_class->set_caps = set_caps;
  sink_class->propose_allocation = propose_allocation;
  sink_class->start = start;
  sink_class->event = event;
  sink_class->preroll = preroll;
  sink_class->render = render;
}

static void cf_gst_frame_sink_init(GstCuframesFrameSink *sink) {
  sink->offer = TRUE;
  cf_gst_gpu_share_init(&sink->share, GST_ELEMENT_CAST(sink));
}
