/* packet_src.c - see packet_src.h.
 *
 * A task of its own reads and pushes. It joins when it is to play and leaves when it pauses. The first packet, which
 * may be the keyframe of some seconds ago, is now; all that follows keeps the source's spacing, for all tracks alike,
 * and is laid later where it would come too late. */
#include "packet_src.h"

#include <gst/base/gstflowcombiner.h>

#include "packet_track.h"
#include "plugin.h"
#include "reader.h"
#include "times.h"
#include "uri.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define DEFAULT_LATENCY (200 * GST_MSECOND)
#define LOOK_AGAIN (20 * GST_MSECOND) /* for tracks that are not described yet */

enum { PROPERTY_NONE, PROPERTY_LATENCY, PROPERTY_STATS, PROPERTY_READER };

struct _GstCuframesPacketSrc {
  GstElement parent;
  cf_gst_reader reader;
  guint64 latency;       /* object lock */
  guint64 lost, packets; /* likewise: of those that were left */
  GstTask *task;
  GRecMutex task_lock;
  /* of the task */
  cf_gst_track tracks[CUFRAMES_TRACKS_MAX];
  GstFlowCombiner *combiner;
  guint group;
  gboolean ready; /* all tracks are known, and packets come */
  gboolean lost_said;
  gboolean times_begun;
  gint64 anchor; /* running time of the source's time 0 */
  gint64 last;   /* newest time that was given */
};

static void uri_handler_init(gpointer iface, gpointer data);

G_DEFINE_FINAL_TYPE_WITH_CODE(GstCuframesPacketSrc, cf_gst_packet_src, GST_TYPE_ELEMENT,
                              G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER, uri_handler_init))

#define TEMPLATE(name, caps) GST_STATIC_PAD_TEMPLATE(name, GST_PAD_SRC, GST_PAD_SOMETIMES, GST_STATIC_CAPS(caps))

static GstStaticPadTemplate templates[] = {
  [CUFRAMES_MEDIA_VIDEO] =
      TEMPLATE("video_%u", "video/x-h264, stream-format = (string) { avc, byte-stream }, alignment = (string) au;"
                           "video/x-h265, stream-format = (string) { hvc1, byte-stream }, alignment = (string) au;"
                           "video/x-av1, stream-format = (string) obu-stream, alignment = (string) tu;"
                           "video/x-vp8; video/x-vp9; image/jpeg; video/mpeg, mpegversion = (int) { 1, 2, 4 }"),
  [CUFRAMES_MEDIA_AUDIO] =
      TEMPLATE("audio_%u", "audio/mpeg, mpegversion = (int) { 1, 4 }; audio/x-opus; audio/x-vorbis; audio/x-flac;"
                           "audio/x-ac3; audio/x-eac3; audio/x-alaw; audio/x-mulaw; audio/G722; audio/x-raw"),
  [CUFRAMES_MEDIA_DATA] = TEMPLATE("data_%u", "meta/x-klv"),
};
static const gchar *const pad_names[] = {
  [CUFRAMES_MEDIA_VIDEO] = "video_%u", [CUFRAMES_MEDIA_AUDIO] = "audio_%u", [CUFRAMES_MEDIA_DATA] = "data_%u"
};

/* ---- properties ---- */

static guint64 latency_of(GstCuframesPacketSrc *src) {
  GST_OBJECT_LOCK(src);
  const guint64 latency = src->latency;
  GST_OBJECT_UNLOCK(src);
  return latency;
}

static cuframes_subscriber_stats present_stats(GstCuframesPacketSrc *src) {
  cuframes_subscriber_stats now = { .struct_size = sizeof now };
  g_mutex_lock(&src->reader.lock);
  if (src->reader.subscriber != NULL)
    (void)cuframes_subscriber_get_stats(src->reader.subscriber, &now); /* which cannot fail with this */
  g_mutex_unlock(&src->reader.lock);
  return now;
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  GstCuframesPacketSrc *src = CF_GST_PACKET_SRC(object);
  if (id >= PROPERTY_READER)
    cf_gst_reader_set(&src->reader, pspec, value);
  else if (id == PROPERTY_LATENCY) {
    GST_OBJECT_LOCK(src);
    src->latency = g_value_get_uint64(value);
    GST_OBJECT_UNLOCK(src);
    gst_element_post_message(GST_ELEMENT(src), gst_message_new_latency(GST_OBJECT(src)));
  } else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  GstCuframesPacketSrc *src = CF_GST_PACKET_SRC(object);
  if (id >= PROPERTY_READER)
    cf_gst_reader_get(&src->reader, pspec, value);
  else if (id == PROPERTY_LATENCY)
    g_value_set_uint64(value, latency_of(src));
  else if (id == PROPERTY_STATS) {
    const cuframes_subscriber_stats now = present_stats(src);
    GST_OBJECT_LOCK(src);
    g_value_take_boxed(value, gst_structure_new("application/x-cuframes-packet-src-stats", "packets", G_TYPE_UINT64,
                                                src->packets + now.packets, "lost", G_TYPE_UINT64,
                                                src->lost + now.packets_lost, NULL));
    GST_OBJECT_UNLOCK(src);
  } else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

/* ---- times ---- */

static gint64 shifted(gint64 anchor, gint64 time) {
  gint64 at = 0;
  return __builtin_add_overflow(anchor, time, &at) ? G_MAXINT64 : at;
}

/* Lays the packet's decoding time into the pipeline's, and moves all that follows where it comes too late. */
static void set_times(GstCuframesPacketSrc *src, cuframes_packet *packet, GstBuffer *buffer) {
  const gint64 pts = cuframes_packet_pts(packet);
  const gint64 dts = cuframes_packet_dts(packet) != CUFRAMES_NO_TIME ? cuframes_packet_dts(packet) : pts;
  if (dts == CUFRAMES_NO_TIME)
    return;
  const gint64 now = MAX(cf_gst_running_time_at(GST_ELEMENT(src), cuframes_now()), 0);
  const gint64 least = now - (gint64)latency_of(src);
  gint64 at = src->times_begun ? shifted(src->anchor, dts) : MAX(now, src->last + 1);
  if (at == G_MAXINT64 || at < least)
    at = MAX(now, 0);
  src->times_begun = !__builtin_sub_overflow(at, dts, &src->anchor);
  src->last = MAX(src->last, at);
  const gint64 shown = pts != CUFRAMES_NO_TIME && src->times_begun ? shifted(src->anchor, pts) : at;
  if (cuframes_packet_dts(packet) != CUFRAMES_NO_TIME)
    GST_BUFFER_DTS(buffer) = (GstClockTime)MAX(at, 0);
  if (pts != CUFRAMES_NO_TIME && shown != G_MAXINT64)
    GST_BUFFER_PTS(buffer) = (GstClockTime)MAX(shown, 0);
}

/* ---- pads ---- */

static gboolean pad_query(GstPad *pad, GstObject *parent, GstQuery *query) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY)
    return gst_pad_query_default(pad, parent, query);
  gst_query_set_latency(query, TRUE, latency_of(CF_GST_PACKET_SRC(parent)), GST_CLOCK_TIME_NONE);
  return TRUE;
}

static void add_pad(GstCuframesPacketSrc *src, guint number) {
  cf_gst_track *track = &src->tracks[number];
  GstSegment segment;
  gchar *name = g_strdup_printf(pad_names[track->media_type], number);
  gchar *in_stream = g_strdup_printf("%u", number);
  GstElementClass *class = GST_ELEMENT_GET_CLASS(src);
  track->pad = gst_pad_new_from_template(gst_element_class_get_pad_template(class, pad_names[track->media_type]), name);
  gst_pad_set_query_function(track->pad, pad_query);
  gst_pad_use_fixed_caps(track->pad);
  (void)gst_pad_set_active(track->pad, TRUE);
  gchar *id = gst_pad_create_stream_id(track->pad, GST_ELEMENT(src), in_stream);
  GstEvent *start = gst_event_new_stream_start(id);
  gst_event_set_group_id(start, src->group);
  (void)gst_pad_push_event(track->pad, start);
  (void)gst_pad_push_event(track->pad, gst_event_new_caps(track->caps));
  gst_segment_init(&segment, GST_FORMAT_TIME);
  (void)gst_pad_push_event(track->pad, gst_event_new_segment(&segment));
  track->discont = TRUE;
  gst_flow_combiner_add_pad(src->combiner, track->pad);
  (void)gst_element_add_pad(GST_ELEMENT(src), track->pad);
  g_free(id);
  g_free(in_stream);
  g_free(name);
}

static void remove_pads(GstCuframesPacketSrc *src) {
  for (guint i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    if (src->tracks[i].pad != NULL) {
      gst_flow_combiner_remove_pad(src->combiner, src->tracks[i].pad);
      (void)gst_element_remove_pad(GST_ELEMENT(src), src->tracks[i].pad);
    }
    cf_gst_track_clear(&src->tracks[i]);
  }
}

static void push_to_all(GstCuframesPacketSrc *src, GstEvent *event) {
  for (guint i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (src->tracks[i].pad != NULL)
      (void)gst_pad_push_event(src->tracks[i].pad, gst_event_ref(event));
  gst_event_unref(event);
}

/* ---- tracks ---- */

/* Whether there are other caps now, or a pad is to be: with `use` held, so that pads are touched only afterwards. */
static int ask_track(GstCuframesPacketSrc *src, guint number, gboolean *changed) {
  cf_gst_track *track = &src->tracks[number];
  const gboolean said = track->unknown;
  const int error = cf_gst_track_ask(track, src->reader.subscriber, number, changed);
  if (error == CUFRAMES_OK && track->unknown && !said)
    GST_WARNING_OBJECT(src, "track %u is %s, for which there are no caps: left out", number, track->codec);
  return error;
}

static GstFlowReturn no_tracks(GstCuframesPacketSrc *src) {
  GST_ELEMENT_ERROR(src, STREAM, TYPE_NOT_FOUND, ("'%s' carries no packets", src->reader.stream),
                    ("its pictures are not encoded: read them by cuframessrc"));
  return GST_FLOW_ERROR;
}

static gboolean is_live(GstCuframesPacketSrc *src) {
  cuframes_source_info source = { .struct_size = sizeof source };
  return cuframes_subscriber_get_source(src->reader.subscriber, &source) == CUFRAMES_OK &&
         source.state == CUFRAMES_SOURCE_LIVE;
}

/* Waits until there is a track, and then for those that are described with it; of a source that is live and has none
 * no packet will come. */
static GstFlowReturn find_tracks(GstCuframesPacketSrc *src) {
  guint32 tracks = 0, before = 0;
  GstFlowReturn result = GST_FLOW_OK;
  while (result == GST_FLOW_OK) {
    const gboolean live = is_live(src);
    const int error = cuframes_subscriber_track_count(src->reader.subscriber, &tracks);
    if (error == CUFRAMES_OK && tracks > 0 && tracks == before)
      break;
    if (error == CUFRAMES_OK && tracks == 0 && live)
      return no_tracks(src);
    if (error != CUFRAMES_OK && error != CUFRAMES_ERR_TIMEOUT)
      return cf_gst_reader_judge(&src->reader, error);
    before = tracks;
    if (tracks == 0 && cf_gst_reader_wait_ns(&src->reader) == 0)
      return cf_gst_reader_judge(&src->reader, CUFRAMES_ERR_TIMEOUT);
    if (tracks == 0 && !cf_gst_reader_pause(&src->reader, LOOK_AGAIN))
      result = GST_FLOW_FLUSHING;
  }
  for (guint i = 0, found = 0; result == GST_FLOW_OK && i < CUFRAMES_TRACKS_MAX && found < tracks; i++) {
    gboolean changed;
    const int error = ask_track(src, i, &changed);
    found += error == CUFRAMES_OK;
    if (error != CUFRAMES_OK && error != CUFRAMES_ERR_NO_CODEC_PARAMS)
      result = cf_gst_reader_judge(&src->reader, error);
  }
  return result;
}

/* Joined, with a ring to read from. The ring is mapped last, so that who has it needs its publisher no more. */
static GstFlowReturn prepare(GstCuframesPacketSrc *src) {
  GstFlowReturn result = cf_gst_reader_join(&src->reader);
  if (result == GST_FLOW_OK)
    result = find_tracks(src);
  if (result != GST_FLOW_OK)
    return result;
  GST_OBJECT_LOCK(src);
  const guint32 start = (guint32)src->reader.start;
  GST_OBJECT_UNLOCK(src);
  const int error = cuframes_subscriber_enable_packets(src->reader.subscriber, start);
  return error == CUFRAMES_OK ? GST_FLOW_OK : cf_gst_reader_judge(&src->reader, error);
}

/* ---- the task ---- */

/* What a turn of the task gives to downstream, once the reader is let go of. */
typedef struct turn {
  gboolean prepared; /* pads of all tracks that have caps */
  guint number;
  gboolean caps;           /* of this track are others */
  cuframes_packet *packet; /* NULL: none */
} turn;

static void mark_all(GstCuframesPacketSrc *src) {
  for (guint i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    src->tracks[i].discont = src->tracks[i].ask_again = TRUE;
}

static void overrun(GstCuframesPacketSrc *src) {
  for (guint i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    src->tracks[i].discont = TRUE;
  if (!src->lost_said)
    GST_ELEMENT_WARNING(src, RESOURCE, READ, ("Too slow for '%s': packets are lost", src->reader.stream),
                        ("it goes on at a keyframe; a queue behind it helps; the property stats counts them"));
  src->lost_said = TRUE;
}

/* The packet, and what is to be known of its track first. */
static void take(GstCuframesPacketSrc *src, cuframes_packet *packet, turn *t) {
  const guint32 flags = cuframes_packet_flags(packet);
  t->number = cuframes_packet_track(packet);
  if (flags & CUFRAMES_PACKET_DISCONTINUITY) {
    mark_all(src);
    src->times_begun = FALSE;
  }
  cf_gst_track *track = &src->tracks[t->number];
  const gboolean ask = track->ask_again || (flags & CUFRAMES_PACKET_NEW_PARAMS) || (!track->pad && !track->unknown);
  if (ask && ask_track(src, t->number, &t->caps) != CUFRAMES_OK)
    track->ask_again = TRUE; /* changed once more, or the publisher has gone: the next packet says so */
  t->packet = packet;
}

static GstFlowReturn read_next(GstCuframesPacketSrc *src, turn *t) {
  GstFlowReturn result = cf_gst_reader_is_flushing(&src->reader) ? GST_FLOW_FLUSHING : GST_FLOW_OK;
  if (result == GST_FLOW_OK && src->reader.subscriber == NULL)
    src->ready = FALSE;
  if (result == GST_FLOW_OK && !src->ready) {
    mark_all(src);
    src->times_begun = FALSE;
    result = prepare(src);
    src->ready = t->prepared = result == GST_FLOW_OK;
    return result;
  }
  while (result == GST_FLOW_OK && t->packet == NULL) {
    cuframes_packet *packet = NULL;
    const int error =
        cuframes_subscriber_next_packet(src->reader.subscriber, cf_gst_reader_wait_ns(&src->reader), &packet);
    if (error == CUFRAMES_OK) {
      cf_gst_reader_came(&src->reader);
      take(src, packet, t);
    } else if (error == CUFRAMES_ERR_PACKET_OVERRUN)
      overrun(src);
    else
      result = cf_gst_reader_judge(&src->reader, error);
  }
  return result;
}

static GstFlowReturn push(GstCuframesPacketSrc *src, turn *t) {
  cf_gst_track *track = &src->tracks[t->number];
  if (t->prepared) {
    for (guint i = 0; i < CUFRAMES_TRACKS_MAX; i++)
      if (src->tracks[i].caps != NULL && src->tracks[i].pad == NULL)
        add_pad(src, i);
      else if (src->tracks[i].caps != NULL)
        (void)gst_pad_push_event(src->tracks[i].pad, gst_event_new_caps(src->tracks[i].caps));
    gst_element_no_more_pads(GST_ELEMENT(src));
    return GST_FLOW_OK;
  }
  if (track->caps != NULL && track->pad == NULL)
    add_pad(src, t->number);
  else if (t->caps)
    (void)gst_pad_push_event(track->pad, gst_event_new_caps(track->caps));
  if (track->pad == NULL || track->caps == NULL) {
    cuframes_packet_release(t->packet);
    return GST_FLOW_OK;
  }
  cuframes_packet *packet = t->packet;
  GstBuffer *buffer = cf_gst_track_buffer(track, cuframes_packet_ref(packet));
  set_times(src, packet, buffer);
  cuframes_packet_release(packet);
  return gst_flow_combiner_update_pad_flow(src->combiner, track->pad, gst_pad_push(track->pad, buffer));
}

/* Not once it is about to be stopped, which a pause would undo. */
static void pause_task(GstCuframesPacketSrc *src) {
  g_mutex_lock(&src->reader.lock);
  if (!(src->reader.flushing & CF_GST_FLUSH_PADS))
    (void)gst_task_pause(src->task);
  g_mutex_unlock(&src->reader.lock);
}

static void loop(gpointer data) {
  GstCuframesPacketSrc *src = data;
  GstFlowReturn result = GST_FLOW_FLUSHING;
  turn t = { .packet = NULL };
  if (cf_gst_reader_begin(&src->reader)) {
    result = read_next(src, &t);
    cf_gst_reader_done(&src->reader);
    if (result == GST_FLOW_FLUSHING) {
      const guint why = cf_gst_reader_is_flushing(&src->reader);
      if (!(why & (CF_GST_FLUSH_PADS | CF_GST_FLUSH_EOS)))
        return; /* it paused, or does no more: on */
      result = why & CF_GST_FLUSH_PADS ? GST_FLOW_FLUSHING : GST_FLOW_EOS;
    } else if (result == GST_FLOW_OK)
      result = push(src, &t);
  }
  if (result == GST_FLOW_OK)
    return;
  pause_task(src);
  if (result != GST_FLOW_EOS && result != GST_FLOW_FLUSHING && result != GST_FLOW_ERROR)
    GST_ELEMENT_FLOW_ERROR(src, result);
  if (result != GST_FLOW_FLUSHING)
    push_to_all(src, gst_event_new_eos());
}

/* ---- states ---- */

static void leave(GstCuframesPacketSrc *src) {
  const cuframes_subscriber_stats had = present_stats(src);
  GST_OBJECT_LOCK(src);
  src->packets += had.packets;
  src->lost += had.packets_lost;
  GST_OBJECT_UNLOCK(src);
  cf_gst_reader_leave(&src->reader);
}

static gboolean start(GstCuframesPacketSrc *src) {
  GST_OBJECT_LOCK(src);
  const gboolean named = src->reader.stream != NULL && *src->reader.stream != '\0';
  src->packets = src->lost = 0;
  GST_OBJECT_UNLOCK(src);
  if (!named) {
    GST_ELEMENT_ERROR(src, RESOURCE, SETTINGS, ("No stream is named"),
                      ("set the property stream; `cuframes list` shows which there are"));
    return FALSE;
  }
  src->group = gst_util_group_id_next();
  src->ready = src->lost_said = src->times_begun = FALSE;
  src->last = -1;
  cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PADS | CF_GST_FLUSH_EOS, FALSE);
  cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PAUSED, TRUE);
  return TRUE;
}

/* Before the parent's part: a pad that is switched off while something is pushed gives buffers without a segment. What
 * is downstream has stopped already, or goes on. */
static void stop_task(GstCuframesPacketSrc *src) {
  cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PADS, TRUE);
  (void)gst_task_stop(src->task);
  (void)gst_task_join(src->task);
}

static void clean_up(GstCuframesPacketSrc *src) {
  leave(src);
  remove_pads(src);
  gst_flow_combiner_clear(src->combiner);
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition) {
  GstCuframesPacketSrc *src = CF_GST_PACKET_SRC(element);
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start(src))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    stop_task(src);
  GstStateChangeReturn result = GST_ELEMENT_CLASS(cf_gst_packet_src_parent_class)->change_state(element, transition);
  if (result == GST_STATE_CHANGE_FAILURE)
    return result;
  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED: return GST_STATE_CHANGE_NO_PREROLL;
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PAUSED, FALSE);
      (void)gst_task_start(src->task);
      return result;
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      cf_gst_reader_set_flushing(&src->reader, CF_GST_FLUSH_PAUSED, TRUE);
      leave(src);
      return GST_STATE_CHANGE_NO_PREROLL;
    case GST_STATE_CHANGE_PAUSED_TO_READY: clean_up(src); return result;
    default: return result;
  }
}

/* EOS from the application, as gst-launch-1.0 -e sends it, so that a file is finished. */
static gboolean send_event(GstElement *element, GstEvent *event) {
  if (GST_EVENT_TYPE(event) != GST_EVENT_EOS)
    return GST_ELEMENT_CLASS(cf_gst_packet_src_parent_class)->send_event(element, event);
  cf_gst_reader_set_flushing(&CF_GST_PACKET_SRC(element)->reader, CF_GST_FLUSH_EOS, TRUE);
  gst_event_unref(event);
  return TRUE;
}

/* ---- the type ---- */

static void uri_handler_init(gpointer iface, gpointer data) {
  (void)data;
  cf_gst_uri_handler_init(iface, CF_GST_URI_PACKETS);
}

static void finalize(GObject *object) {
  GstCuframesPacketSrc *src = CF_GST_PACKET_SRC(object);
  gst_object_unref(src->task);
  g_rec_mutex_clear(&src->task_lock);
  gst_flow_combiner_free(src->combiner);
  cf_gst_reader_clear(&src->reader);
  G_OBJECT_CLASS(cf_gst_packet_src_parent_class)->finalize(object);
}

static void cf_gst_packet_src_class_init(GstCuframesPacketSrcClass *class) {
  GObjectClass *object_class = G_OBJECT_CLASS(class);
  GstElementClass *element_class = GST_ELEMENT_CLASS(class);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  element_class->change_state = change_state;
  element_class->send_event = send_event;
  g_object_class_install_property(
      object_class, PROPERTY_LATENCY,
      g_param_spec_uint64(
          "latency", "Latency",
          "How long after its time a packet may come (ns): sinks wait so long; what comes later is laid "
          "later, and all behind it",
          0, 60 * GST_SECOND, DEFAULT_LATENCY, G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property(
      object_class, PROPERTY_STATS,
      g_param_spec_boxed("stats", "Statistics", "Packets read, and packets lost since they were overwritten before",
                         GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  cf_gst_reader_install(object_class, PROPERTY_READER, TRUE);
  for (guint i = CUFRAMES_MEDIA_VIDEO; i <= CUFRAMES_MEDIA_DATA; i++)
    gst_element_class_add_static_pad_template(element_class, &templates[i]);
  gst_element_class_set_static_metadata(element_class, "cuframes packet source", "Source/Video/Audio",
                                        "Encoded packets beside the frames that another process publishes",
                                        "The cuframes authors");
}

static void cf_gst_packet_src_init(GstCuframesPacketSrc *src) {
  cf_gst_reader_init(&src->reader, GST_ELEMENT(src));
  src->reader.mode = CUFRAMES_MODE_PACKETS;
  src->latency = DEFAULT_LATENCY;
  src->combiner = gst_flow_combiner_new();
  g_rec_mutex_init(&src->task_lock);
  src->task = gst_task_new(loop, src, NULL);
  gst_task_set_lock(src->task, &src->task_lock);
  GST_OBJECT_FLAG_SET(src, GST_ELEMENT_FLAG_SOURCE);
}

gboolean cf_gst_packet_src_register(GstPlugin *plugin) {
  return gst_element_register(plugin, "cuframespacketsrc", GST_RANK_PRIMARY, CF_GST_TYPE_PACKET_SRC);
}
