/* pad_sink.c - see pad_sink.h. */
#include "pad_sink.h"

#include "plugin.h"

enum { LIVE_UNKNOWN, LIVE_NO, LIVE_YES };

typedef struct GstCuframesPadSinkPrivate {
  cf_gst_stream *stream;
  gint live; /* atomic: of the enumeration above */
  gint stop; /* atomic: what waits is to end */
  /* Of the streaming thread: */
  gboolean started; /* a stream of buffers has begun, and the next one is another */
  cf_gst_pad_state state;
} GstCuframesPadSinkPrivate;

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE(GstCuframesPadSink, cf_gst_pad_sink, GST_TYPE_BASE_SINK)

static GstCuframesPadSinkPrivate *of(gpointer sink) {
  return cf_gst_pad_sink_get_instance_private(sink);
}

gpointer cf_gst_pad_sink_new(GType type, const gchar *name, cf_gst_stream *stream) {
  gpointer sink = g_object_new(type, "name", name, NULL);
  of(sink)->stream = cf_gst_stream_ref(stream);
  return sink;
}

cf_gst_stream *cf_gst_pad_sink_stream(gpointer sink) {
  return of(sink)->stream;
}

cf_gst_pad_state cf_gst_pad_sink_state(gpointer sink) {
  return of(sink)->state;
}

void cf_gst_pad_sink_say(gpointer sink, cf_gst_pad_state state) {
  GstCuframesPadSinkPrivate *own = of(sink);
  if (own->state != state)
    cf_gst_stream_set_pad(own->stream, sink, state);
  own->state = state;
}

/* ---- times ---- */

/* Asked once, and again after the pipeline has found another latency. */
static gboolean is_live(GstBaseSink *sink) {
  GstCuframesPadSinkPrivate *own = of(sink);
  gint known = g_atomic_int_get(&own->live);
  if (known == LIVE_UNKNOWN) {
    GstQuery *query = gst_query_new_latency();
    gboolean live = FALSE;
    if (gst_pad_peer_query(GST_BASE_SINK_PAD(sink), query))
      gst_query_parse_latency(query, &live, NULL, NULL);
    gst_query_unref(query);
    known = live ? LIVE_YES : LIVE_NO;
    g_atomic_int_set(&own->live, known);
  }
  return known == LIVE_YES;
}

static void get_times(GstBaseSink *sink, GstBuffer *buffer, GstClockTime *start, GstClockTime *end) {
  const GstClockTime time = GST_BUFFER_DTS_OR_PTS(buffer);
  if (!GST_CLOCK_TIME_IS_VALID(time) || is_live(sink))
    return;
  *start = time;
  if (GST_BUFFER_DURATION_IS_VALID(buffer))
    *end = time + GST_BUFFER_DURATION(buffer);
}

gint64 cf_gst_running_time(GstBaseSink *sink, GstClockTime time) {
  guint64 running = 0;
  if (!GST_CLOCK_TIME_IS_VALID(time) || sink->segment.format != GST_FORMAT_TIME)
    return CUFRAMES_NO_TIME;
  const gint sign = gst_segment_to_running_time_full(&sink->segment, GST_FORMAT_TIME, time, &running);
  if (sign == 0 || running > G_MAXINT64)
    return CUFRAMES_NO_TIME;
  return sign > 0 ? (gint64)running : -(gint64)running;
}

gint64 cf_gst_duration(GstBuffer *buffer) {
  const GstClockTime duration = GST_BUFFER_DURATION(buffer);
  return GST_CLOCK_TIME_IS_VALID(duration) && duration <= G_MAXINT64 ? (gint64)duration : 0;
}

/* ---- waits ---- */

/* One of the waits of the stream: again after the pipeline has paused and plays on. */
static GstFlowReturn wait_for(GstBaseSink *sink, gboolean (*wait)(cf_gst_stream *, const gint *)) {
  GstCuframesPadSinkPrivate *own = of(sink);
  GstFlowReturn flow = GST_FLOW_OK;
  while (flow == GST_FLOW_OK && !wait(own->stream, &own->stop))
    flow = gst_base_sink_wait_preroll(sink);
  return flow;
}

GstFlowReturn cf_gst_pad_sink_begin(gpointer sink) {
  const GstFlowReturn flow = wait_for(sink, cf_gst_stream_wait);
  if (flow == GST_FLOW_OK)
    of(sink)->started = TRUE;
  return flow;
}

GstFlowReturn cf_gst_pad_sink_preroll(gpointer sink) {
  return cf_gst_stream_wait(of(sink)->stream, &of(sink)->stop) ? GST_FLOW_OK : GST_FLOW_FLUSHING;
}

GstFlowReturn cf_gst_pad_sink_go_on(gpointer sink) {
  return g_atomic_int_get(&of(sink)->stop) ? gst_base_sink_wait_preroll(GST_BASE_SINK_CAST(sink)) : GST_FLOW_OK;
}

/* The end is said to the application when all is read that is to be read: it ends the stream then. */
static GstFlowReturn wait_event(GstBaseSink *sink, GstEvent *event) {
  GstFlowReturn flow = GST_BASE_SINK_CLASS(cf_gst_pad_sink_parent_class)->wait_event(sink, event);
  if (flow != GST_FLOW_OK || GST_EVENT_TYPE(event) != GST_EVENT_EOS)
    return flow;
  flow = wait_for(sink, cf_gst_stream_drain);
  if (flow == GST_FLOW_OK)
    cf_gst_pad_sink_say(sink, CF_GST_PAD_ENDED);
  return flow;
}

static gboolean unlock(GstBaseSink *sink) {
  g_atomic_int_set(&of(sink)->stop, TRUE);
  cf_gst_stream_interrupt(of(sink)->stream);
  return TRUE;
}

static gboolean unlock_stop(GstBaseSink *sink) {
  g_atomic_int_set(&of(sink)->stop, FALSE);
  return TRUE;
}

/* ---- events ---- */

/* Times may jump, or upstream may be live now. */
static gboolean event(GstBaseSink *sink, GstEvent *given) {
  GstCuframesPadSinkPrivate *own = of(sink);
  if (GST_EVENT_TYPE(given) == GST_EVENT_FLUSH_STOP || GST_EVENT_TYPE(given) == GST_EVENT_STREAM_START) {
    if (own->started)
      cf_gst_stream_discontinuity(own->stream);
    own->started = FALSE;
  }
  return GST_BASE_SINK_CLASS(cf_gst_pad_sink_parent_class)->event(sink, given);
}

static gboolean send_event(GstElement *element, GstEvent *given) {
  if (GST_EVENT_TYPE(given) == GST_EVENT_LATENCY)
    g_atomic_int_set(&of(element)->live, LIVE_UNKNOWN);
  return GST_ELEMENT_CLASS(cf_gst_pad_sink_parent_class)->send_event(element, given);
}

/* ---- life ---- */

static gboolean start(GstBaseSink *sink) {
  GstCuframesPadSinkPrivate *own = of(sink);
  g_atomic_int_set(&own->live, LIVE_UNKNOWN);
  g_atomic_int_set(&own->stop, FALSE);
  own->started = FALSE;
  own->state = CF_GST_PAD_NEW;
  cf_gst_stream_set_pad(own->stream, sink, CF_GST_PAD_NEW);
  return TRUE;
}

static gboolean stop(GstBaseSink *sink) {
  cf_gst_stream_remove_pad(of(sink)->stream, sink);
  return TRUE;
}

static void finalize(GObject *object) {
  cf_gst_stream_unref(of(object)->stream);
  G_OBJECT_CLASS(cf_gst_pad_sink_parent_class)->finalize(object);
}

static void cf_gst_pad_sink_class_init(GstCuframesPadSinkClass *class) {
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS(class);
  G_OBJECT_CLASS(class)->finalize = finalize;
  GST_ELEMENT_CLASS(class)->send_event = send_event;
  sink_class->get_times = get_times;
  sink_class->start = start;
  sink_class->stop = stop;
  sink_class->unlock = unlock;
  sink_class->unlock_stop = unlock_stop;
  sink_class->event = event;
  sink_class->wait_event = wait_event;
}

static void cf_gst_pad_sink_init(GstCuframesPadSink *sink) {
  gst_base_sink_set_last_sample_enabled(GST_BASE_SINK_CAST(sink), FALSE); /* it would keep a slot from being written */
  gst_base_sink_set_processing_deadline(GST_BASE_SINK_CAST(sink),
                                        0); /* nothing is shown: others need not wait for us */
}
