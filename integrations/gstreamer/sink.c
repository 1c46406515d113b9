/* sink.c - see sink.h: the bin, its properties and its pads.
 *
 * Frames and each track of packets have a base sink of their own inside, so that each keeps its pace, and the bin is at
 * its end when all are. They publish into one stream, which is there from READY to PAUSED on. */
#include "sink.h"

#include "codec.h"
#include "format.h"
#include "frame_sink.h"
#include "packet_sink.h"
#include "plugin.h"
#include "settings.h"
#include "stream.h"

#define GST_CAT_DEFAULT cf_gst_debug

enum { PROPERTY_NONE, PROPERTY_SYNC, PROPERTY_ASYNC, PROPERTY_STATS, PROPERTY_SETTINGS };

struct _GstCuframesSink {
  GstBin parent;
  cf_gst_stream *stream;
  GstElement *frames; /* the bin's */
  GstPad *pad;        /* the element's, of frames */
  /* Object lock: */
  cf_gst_settings settings;
  gboolean sync;
  gboolean without_frames; /* nothing is linked that gives frames, and packets are the stream */
};

G_DEFINE_FINAL_TYPE(GstCuframesSink, cf_gst_sink, GST_TYPE_BIN)

static GstStaticPadTemplate frames_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(CF_GST_FRAME_SINK_CAPS));
static GstStaticPadTemplate packets_template =
    GST_STATIC_PAD_TEMPLATE("packets", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS(CF_GST_PACKET_CAPS_SINK));
static GstStaticPadTemplate more_packets_template =
    GST_STATIC_PAD_TEMPLATE("packets_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS(CF_GST_PACKET_CAPS_SINK));

/* ---- properties ---- */

static void set_sync_of(const GValue *item, gpointer sync) {
  g_object_set(g_value_get_object(item), "sync", *(gboolean *)sync, NULL);
}

static void set_sync(GstCuframesSink *sink, gboolean sync) {
  GST_OBJECT_LOCK(sink);
  sink->sync = sync;
  GST_OBJECT_UNLOCK(sink);
  GstIterator *children = gst_bin_iterate_elements(GST_BIN_CAST(sink));
  while (gst_iterator_foreach(children, set_sync_of, &sync) == GST_ITERATOR_RESYNC)
    gst_iterator_resync(children);
  gst_iterator_free(children);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  GstCuframesSink *sink = CF_GST_SINK(object);
  switch (id) {
    case PROPERTY_SYNC: set_sync(sink, g_value_get_boolean(value)); break;
    case PROPERTY_ASYNC: g_object_set_property(G_OBJECT(sink->frames), "async", value); break;
    case PROPERTY_NONE:
    case PROPERTY_STATS: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec); break;
    default:
      GST_OBJECT_LOCK(sink);
      cf_gst_settings_set(&sink->settings, pspec, value);
      GST_OBJECT_UNLOCK(sink);
  }
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  GstCuframesSink *sink = CF_GST_SINK(object);
  switch (id) {
    case PROPERTY_SYNC:
      GST_OBJECT_LOCK(sink);
      g_value_set_boolean(value, sink->sync);
      GST_OBJECT_UNLOCK(sink);
      break;
    case PROPERTY_ASYNC: g_object_get_property(G_OBJECT(sink->frames), "async", value); break;
    case PROPERTY_STATS: g_value_take_boxed(value, cf_gst_stream_stats(sink->stream)); break;
    case PROPERTY_NONE: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec); break;
    default:
      GST_OBJECT_LOCK(sink);
      cf_gst_settings_get(&sink->settings, pspec, value);
      GST_OBJECT_UNLOCK(sink);
  }
}

/* ---- pads of packets ---- */

static gint is_of_track(gconstpointer item, gconstpointer track) {
  gpointer child = g_value_get_object(item);
  if (!CF_GST_IS_PACKET_SINK(child))
    return 1;
  return cf_gst_packet_sink_track(CF_GST_PACKET_SINK(child)) == GPOINTER_TO_UINT(track) ? 0 : 1;
}

static gboolean has_track(GstCuframesSink *sink, guint track) {
  GValue found = G_VALUE_INIT;
  GstIterator *children = gst_bin_iterate_elements(GST_BIN_CAST(sink));
  const gboolean has = gst_iterator_find_custom(children, is_of_track, &found, GUINT_TO_POINTER(track));
  if (has)
    g_value_unset(&found);
  gst_iterator_free(children);
  return has;
}

static gboolean has_tracks(GstCuframesSink *sink) {
  for (guint i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (has_track(sink, i))
      return TRUE;
  return FALSE;
}

static gboolean has_pad(GstElement *element, const gchar *name) {
  GstPad *pad = gst_element_get_static_pad(element, name);
  const gboolean has = pad != NULL;
  gst_clear_object(&pad);
  return has;
}

static GstPad *request_new_pad(GstElement *element, GstPadTemplate *template, const gchar *name, const GstCaps *caps) {
  GstCuframesSink *sink = CF_GST_SINK(element);
  const gboolean is_one = g_str_equal(GST_PAD_TEMPLATE_NAME_TEMPLATE(template), "packets");
  guint track = 0;
  (void)caps;
  while (track < CUFRAMES_TRACKS_MAX && has_track(sink, track))
    track++;
  gchar *as = is_one ? g_strdup("packets") : name ? g_strdup(name) : g_strdup_printf("packets_%u", track);
  if (track == CUFRAMES_TRACKS_MAX || has_pad(element, as)) {
    GST_WARNING_OBJECT(sink, "no pad %s: it is there already, or there are %d tracks, the most", as,
                       CUFRAMES_TRACKS_MAX);
    g_free(as);
    return NULL;
  }
  GstElement *child = cf_gst_packet_sink_new(sink->stream, track);
  GST_OBJECT_LOCK(sink);
  g_object_set(child, "sync", sink->sync, NULL);
  GST_OBJECT_UNLOCK(sink);
  gst_bin_add(GST_BIN_CAST(sink), child);
  GstPad *target = gst_element_get_static_pad(child, "sink");
  GstPad *pad = gst_ghost_pad_new_from_template(as, target, template);
  gst_object_unref(target);
  g_free(as);
  gst_pad_set_active(pad, TRUE);
  gst_element_add_pad(element, pad);
  gst_element_sync_state_with_parent(child);
  return pad;
}

static void release_pad(GstElement *element, GstPad *pad) {
  GstPad *target = gst_ghost_pad_get_target(GST_GHOST_PAD_CAST(pad));
  GstElement *child = target ? gst_pad_get_parent_element(target) : NULL;
  gst_pad_set_active(pad, FALSE);
  gst_element_remove_pad(element, pad);
  if (child) {
    gst_element_set_locked_state(child, TRUE);
    gst_element_set_state(child, GST_STATE_NULL);
    gst_bin_remove(GST_BIN_CAST(element), child);
  }
  gst_clear_object(&child);
  gst_clear_object(&target);
}

/* ---- states ---- */

/* Without frames the sink of frames would be waited for, at the beginning and at the end. */
static void leave_frames_out(GstCuframesSink *sink, gboolean leave) {
  GST_OBJECT_LOCK(sink);
  const gboolean changes = sink->without_frames != leave;
  sink->without_frames = leave;
  GST_OBJECT_UNLOCK(sink);
  if (!changes)
    return;
  gst_element_set_locked_state(sink->frames, leave);
  if (leave)
    GST_OBJECT_FLAG_UNSET(sink->frames, GST_ELEMENT_FLAG_SINK);
  else
    GST_OBJECT_FLAG_SET(sink->frames, GST_ELEMENT_FLAG_SINK);
}

/* What gives frames comes later than the packets. */
static void frames_linked(GstPad *pad, GstPad *peer, GstCuframesSink *sink) {
  (void)pad;
  (void)peer;
  GST_OBJECT_LOCK(sink);
  const gboolean without = sink->without_frames;
  GST_OBJECT_UNLOCK(sink);
  if (!without)
    return;
  leave_frames_out(sink, FALSE);
  gst_element_sync_state_with_parent(sink->frames);
}

static gboolean open_stream(GstCuframesSink *sink) {
  cf_gst_settings settings;
  GST_OBJECT_LOCK(sink);
  cf_gst_settings_copy(&sink->settings, &settings);
  GST_OBJECT_UNLOCK(sink);
  cf_gst_frame_sink_offer_slots(CF_GST_FRAME_SINK(sink->frames), settings.zero_copy);
  const int result = cf_gst_frame_sink_open(CF_GST_FRAME_SINK(sink->frames), &settings, GST_OBJECT_CAST(sink));
  if (result != CUFRAMES_OK) {
    gchar *what =
        settings.stream ? g_strdup_printf("Cannot publish \"%s\"", settings.stream) : g_strdup("Cannot publish");
    cf_gst_element_error(GST_ELEMENT_CAST(sink), result, what);
    g_free(what);
  } else {
    leave_frames_out(sink, has_tracks(sink) && !gst_pad_is_linked(sink->pad));
  }
  cf_gst_settings_clear(&settings);
  return result == CUFRAMES_OK;
}

static void close_stream(GstCuframesSink *sink) {
  cf_gst_frame_sink_close(CF_GST_FRAME_SINK(sink->frames));
  GstStructure *stats = cf_gst_stream_stats(sink->stream);
  GST_INFO_OBJECT(sink, "published: %" GST_PTR_FORMAT, stats);
  gst_structure_free(stats);
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange change) {
  GstCuframesSink *sink = CF_GST_SINK(element);
  if (change == GST_STATE_CHANGE_READY_TO_PAUSED && !open_stream(sink))
    return GST_STATE_CHANGE_FAILURE;
  if (change == GST_STATE_CHANGE_PAUSED_TO_PLAYING)
    cf_gst_stream_set_playing(sink->stream, TRUE);
  const GstStateChangeReturn result = GST_ELEMENT_CLASS(cf_gst_sink_parent_class)->change_state(element, change);
  if (change == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    cf_gst_stream_set_playing(sink->stream, FALSE);
  if (change == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (change == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE)) {
    leave_frames_out(sink, FALSE);
    close_stream(sink);
  }
  return result;
}

/* ---- the element ---- */

static void finalize(GObject *object) {
  GstCuframesSink *sink = CF_GST_SINK(object);
  cf_gst_settings_clear(&sink->settings);
  cf_gst_stream_unref(sink->stream);
  G_OBJECT_CLASS(cf_gst_sink_parent_class)->finalize(object);
}

static void cf_gst_sink_class_init(GstCuframesSinkClass *class) {
  GObjectClass *object_class = G_OBJECT_CLASS(class);
  GstElementClass *element_class = GST_ELEMENT_CLASS(class);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  g_object_class_install_property(
      object_class, PROPERTY_SYNC,
      g_param_spec_boolean("sync", "Sync", "Publish at the times of the buffers; what is live is published as it comes",
                           TRUE, flags));
  g_object_class_install_property(
      object_class, PROPERTY_ASYNC,
      g_param_spec_boolean("async", "Async", "Wait in PAUSED for the first frame, as other sinks do", TRUE, flags));
  g_object_class_install_property(
      object_class, PROPERTY_STATS,
      g_param_spec_boxed("stats", "Statistics",
                         "Frames in place and copied, packets, subscribers and more; of the last run in NULL and READY",
                         GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  cf_gst_settings_install(object_class, PROPERTY_SETTINGS);
  element_class->request_new_pad = request_new_pad;
  element_class->release_pad = release_pad;
  element_class->change_state = change_state;
  gst_element_class_add_static_pad_template(element_class, &frames_template);
  gst_element_class_add_static_pad_template(element_class, &packets_template);
  gst_element_class_add_static_pad_template(element_class, &more_packets_template);
  gst_element_class_set_static_metadata(element_class, "cuframes sink", "Sink/Video",
                                        "Publishes frames, and packets beside them, for any number of processes",
                                        "The cuframes authors");
}

static void cf_gst_sink_init(GstCuframesSink *sink) {
  GstElement *element = GST_ELEMENT_CAST(sink);
  cf_gst_settings_init(&sink->settings);
  sink->sync = TRUE;
  sink->stream = cf_gst_stream_new();
  sink->frames = cf_gst_frame_sink_new(sink->stream);
  gst_bin_add(GST_BIN_CAST(sink), sink->frames);
  GstPad *target = gst_element_get_static_pad(sink->frames, "sink");
  GstPadTemplate *template = gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(sink), "sink");
  sink->pad = gst_ghost_pad_new_from_template("sink", target, template);
  gst_object_unref(target);
  g_signal_connect(sink->pad, "linked", G_CALLBACK(frames_linked), sink);
  gst_element_add_pad(element, sink->pad);
}

gboolean cf_gst_sink_register(GstPlugin *plugin) {
  return gst_element_register(plugin, "cuframessink", GST_RANK_NONE, CF_GST_TYPE_SINK);
}
