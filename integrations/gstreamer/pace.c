/* pace.c - see pace.h. */
#include "pace.h"

enum { LIVE_UNKNOWN, LIVE_NO, LIVE_YES };

void cf_gst_pace_reset(cf_gst_pace *pace) {
  g_atomic_int_set(&pace->live, LIVE_UNKNOWN);
  g_atomic_int_set(&pace->stop, FALSE);
  pace->started = FALSE;
}

/* Asked once, and again after the pipeline has found another latency. */
static gboolean is_live(cf_gst_pace *pace, GstBaseSink *sink) {
  gint known = g_atomic_int_get(&pace->live);
  if (known == LIVE_UNKNOWN) {
    GstQuery *query = gst_query_new_latency();
    gboolean live = FALSE;
    if (gst_pad_peer_query(GST_BASE_SINK_PAD(sink), query))
      gst_query_parse_latency(query, &live, NULL, NULL);
    gst_query_unref(query);
    known = live ? LIVE_YES : LIVE_NO;
    g_atomic_int_set(&pace->live, known);
  }
  return known == LIVE_YES;
}

void cf_gst_pace_times(cf_gst_pace *pace, GstBaseSink *sink, GstBuffer *buffer, GstClockTime *start,
                       GstClockTime *end) {
  const GstClockTime time = GST_BUFFER_DTS_OR_PTS(buffer);
  if (!GST_CLOCK_TIME_IS_VALID(time) || is_live(pace, sink))
    return;
  *start = time;
  if (GST_BUFFER_DURATION_IS_VALID(buffer))
    *end = time + GST_BUFFER_DURATION(buffer);
}

void cf_gst_pace_event(cf_gst_pace *pace, cf_gst_stream *stream, GstEvent *event) {
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_LATENCY: g_atomic_int_set(&pace->live, LIVE_UNKNOWN); break;
    case GST_EVENT_FLUSH_STOP:
    case GST_EVENT_STREAM_START:
      if (pace->started)
        cf_gst_stream_discontinuity(stream);
      pace->started = FALSE;
      break;
    default: break;
  }
}

GstFlowReturn cf_gst_pace_wait(cf_gst_pace *pace, GstBaseSink *sink, cf_gst_stream *stream,
                               gboolean (*wait)(cf_gst_stream *, const gint *)) {
  GstFlowReturn flow = GST_FLOW_OK;
  while (flow == GST_FLOW_OK && !wait(stream, &pace->stop))
    flow = gst_base_sink_wait_preroll(sink);
  return flow;
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
