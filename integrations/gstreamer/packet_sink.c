/* packet_sink.c - see packet_sink.h. */
#include "packet_sink.h"

#include <string.h>

#include "codec.h"
#include "format.h"
#include "pad_sink.h"
#include "parameter_sets.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

struct _GstCuframesPacketSink {
  GstCuframesPadSink parent;
  guint track;
  /* Of the streaming thread: */
  cuframes_codec_params params;
  GByteArray *extradata; /* NULL: not described yet */
  gboolean in_band;      /* parameter sets are in the packets alone, and are looked for in each keyframe */
  gboolean readable;     /* there is all that a decoder needs */
  gboolean left_out_said;
};

G_DEFINE_FINAL_TYPE(GstCuframesPacketSink, cf_gst_packet_sink, CF_GST_TYPE_PAD_SINK)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(CF_GST_PACKET_CAPS_SINK));

GstElement *cf_gst_packet_sink_new(cf_gst_stream *stream, guint track) {
  GstCuframesPacketSink *sink = cf_gst_pad_sink_new(CF_GST_TYPE_PACKET_SINK, NULL, stream);
  sink->track = track;
  return GST_ELEMENT_CAST(sink);
}

guint cf_gst_packet_sink_track(GstCuframesPacketSink *sink) {
  return sink->track;
}

/* ---- what the track is ---- */

/* Takes the extradata. Of a byte stream it is empty at first: then the track is known, and can be read only from the
 * first keyframe on. */
static int describe(GstCuframesPacketSink *sink, GByteArray *extradata) {
  const int result = cf_gst_stream_describe(cf_gst_pad_sink_stream(sink), sink->track, &sink->params, extradata);
  g_clear_pointer(&sink->extradata, g_byte_array_unref);
  sink->extradata = extradata;
  sink->readable = !sink->in_band || extradata->len > 0;
  if (result == CUFRAMES_OK && sink->readable)
    cf_gst_pad_sink_say(sink, CF_GST_PAD_READY);
  return result;
}

static gboolean set_caps(GstBaseSink *base, GstCaps *caps) {
  GstCuframesPacketSink *sink = CF_GST_PACKET_SINK(base);
  GByteArray *extradata = NULL;
  if (!cf_gst_params_of_caps(caps, &sink->params, &extradata)) {
    GST_ERROR_OBJECT(sink, "packets that cannot be described: %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  sink->in_band = extradata->len == 0 && cf_gst_has_parameter_sets(sink->params.codec);
  const int result = describe(sink, extradata);
  if (result != CUFRAMES_OK)
    cf_gst_element_error(GST_ELEMENT_CAST(sink), result, "A track cannot be described");
  return result == CUFRAMES_OK;
}

/* A keyframe may bring other parameter sets. */
static int look_for_parameter_sets(GstCuframesPacketSink *sink, const GstMapInfo *map) {
  GByteArray *sets = cf_gst_parameter_sets(sink->params.codec, map->data, map->size);
  const gboolean same =
      sink->extradata && sets->len == sink->extradata->len && memcmp(sets->data, sink->extradata->data, sets->len) == 0;
  if (sets->len == 0 || same) {
    g_byte_array_unref(sets);
    return CUFRAMES_OK;
  }
  return describe(sink, sets);
}

/* ---- publishing ---- */

static guint32 flags_of(GstBaseSink *base, GstBuffer *buffer, guint32 media) {
  const GstSegment *segment = &base->segment;
  const GstClockTime pts = GST_BUFFER_PTS(buffer);
  const gboolean before =
      segment->format == GST_FORMAT_TIME && GST_CLOCK_TIME_IS_VALID(pts) && pts < segment->start &&
      (!GST_BUFFER_DURATION_IS_VALID(buffer) || pts + GST_BUFFER_DURATION(buffer) <= segment->start);
  const gboolean is_key = media != CUFRAMES_MEDIA_VIDEO || !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  return (is_key ? CUFRAMES_PACKET_KEY : 0u) |
         (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED) ? CUFRAMES_PACKET_CORRUPT : 0u) |
         (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DROPPABLE) ? CUFRAMES_PACKET_DISPOSABLE : 0u) |
         (before || GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DECODE_ONLY) ? CUFRAMES_PACKET_HIDDEN : 0u);
}

static int publish(GstCuframesPacketSink *sink, GstBuffer *buffer, const GstMapInfo *map) {
  GstBaseSink *base = GST_BASE_SINK_CAST(sink);
  cuframes_packet_info info = {
    .struct_size = sizeof info,
    .track = sink->track,
    .data = map->data,
    .size = map->size,
    .pts = cf_gst_running_time(base, GST_BUFFER_PTS(buffer)),
    .dts = cf_gst_running_time(base, GST_BUFFER_DTS(buffer)),
    .duration = cf_gst_duration(buffer),
    .flags = flags_of(base, buffer, sink->params.media_type),
  };
  if (info.dts == CUFRAMES_NO_TIME && sink->params.media_type == CUFRAMES_MEDIA_AUDIO)
    info.dts = info.pts; /* sound is decoded in the order in which it is heard */
  if (sink->in_band && info.flags & CUFRAMES_PACKET_KEY) {
    const int result = look_for_parameter_sets(sink, map);
    if (result != CUFRAMES_OK)
      return result;
  }
  /* Nothing can be decoded before the first parameter sets. */
  return sink->readable ? cf_gst_stream_publish_packet(cf_gst_pad_sink_stream(sink), &info) : CUFRAMES_OK;
}

static GstFlowReturn render(GstBaseSink *base, GstBuffer *buffer) {
  GstCuframesPacketSink *sink = CF_GST_PACKET_SINK(base);
  GstMapInfo map;
  const GstFlowReturn flow = cf_gst_pad_sink_begin(sink);
  if (flow != GST_FLOW_OK)
    return flow;
  if (cf_gst_pad_sink_state(sink) == CF_GST_PAD_ENDED)
    cf_gst_pad_sink_say(sink, sink->readable ? CF_GST_PAD_READY : CF_GST_PAD_NEW);
  /* Headers of sound are in the caps, too, and are no packets. Those of video are part of a keyframe. */
  if (sink->params.media_type == CUFRAMES_MEDIA_AUDIO && GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_HEADER))
    return GST_FLOW_OK;
  if (!gst_buffer_map(buffer, &map, GST_MAP_READ)) {
    GST_ELEMENT_ERROR(sink, RESOURCE, READ, ("A packet cannot be read: its buffer cannot be mapped"), (NULL));
    return GST_FLOW_ERROR;
  }
  const int result = map.size > 0 ? publish(sink, buffer, &map) : CUFRAMES_OK;
  gst_buffer_unmap(buffer, &map);
  if (result == CUFRAMES_ERR_PACKET_OVERSIZED) {
    cf_gst_stream_count(cf_gst_pad_sink_stream(sink), CF_GST_LEFT_OUT);
    if (!sink->left_out_said)
      GST_WARNING_OBJECT(sink, "left out: %s (see the property packet-bytes)", cuframes_last_error());
    sink->left_out_said = TRUE;
    return GST_FLOW_OK;
  }
  if (result != CUFRAMES_OK)
    cf_gst_element_error(GST_ELEMENT_CAST(sink), result, "A packet cannot be published");
  return result == CUFRAMES_OK ? GST_FLOW_OK : GST_FLOW_ERROR;
}

/* ---- life ---- */

static gboolean start(GstBaseSink *base) {
  GstCuframesPacketSink *sink = CF_GST_PACKET_SINK(base);
  g_clear_pointer(&sink->extradata, g_byte_array_unref);
  sink->in_band = sink->readable = sink->left_out_said = FALSE;
  return GST_BASE_SINK_CLASS(cf_gst_packet_sink_parent_class)->start(base);
}

static void take_tags(GstCuframesPacketSink *sink, GstEvent *event) {
  GstTagList *tags = NULL;
  gchar *orientation = NULL;
  gst_event_parse_tag(event, &tags);
  if (!gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &orientation))
    return;
  const guint8 told = cf_gst_orientation_of_tag(orientation);
  g_free(orientation);
  if (sink->params.media_type != CUFRAMES_MEDIA_VIDEO || sink->params.orientation == told)
    return;
  sink->params.orientation = told;
  if (sink->extradata) /* it was described: anew, with what is kept, which did not fail before */
    (void)describe(sink, g_byte_array_ref(sink->extradata));
}

static gboolean event(GstBaseSink *base, GstEvent *given) {
  GstCuframesPacketSink *sink = CF_GST_PACKET_SINK(base);
  if (GST_EVENT_TYPE(given) == GST_EVENT_TAG)
    take_tags(sink, given);
  return GST_BASE_SINK_CLASS(cf_gst_packet_sink_parent_class)->event(base, given);
}

static void finalize(GObject *object) {
  GstCuframesPacketSink *sink = CF_GST_PACKET_SINK(object);
  g_clear_pointer(&sink->extradata, g_byte_array_unref);
  G_OBJECT_CLASS(cf_gst_packet_sink_parent_class)->finalize(object);
}

static void cf_gst_packet_sink_class_init(GstCuframesPacketSinkClass *class) {
  GstElementClass *element_class = GST_ELEMENT_CLASS(class);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS(class);
  G_OBJECT_CLASS(class)->finalize = finalize;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_set_static_metadata(element_class, "Packets of a cuframes sink", "Sink/Video/Audio",
                                        "Publishes packets of one track; part of cuframessink", "The cuframes authors");
  sink_class->set_caps = set_caps;
  sink_class->start = start;
  sink_class->event = event;
  sink_class->render = render;
}

static void cf_gst_packet_sink_init(GstCuframesPacketSink *sink) {
  GstBaseSink *base = GST_BASE_SINK_CAST(sink);
  /* Packets before a segment are those that the first ones in it need. A track may be silent for long, and the pipeline
   * must not wait for it to begin. */
  gst_base_sink_set_drop_out_of_segment(base, FALSE);
  gst_base_sink_set_async_enabled(base, FALSE);
}
