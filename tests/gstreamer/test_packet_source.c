/* test_packet_source.c - cuframespacketsrc beside publishers of this process. */
#include "bench.h"

#include <string.h>

/* H.264 High, level 4.1 and 3.0, without sets in the record; the same as a byte stream's, out of band. */
static const guint8 avcc[] = { 1, 100, 0, 41, 0xff, 0xe0, 0 };
static const guint8 other_avcc[] = { 1, 100, 0, 30, 0xff, 0xe0, 0 };
static const guint8 annex_b[] = { 0, 0, 0, 1, 0x67, 100, 0, 41, 0xac, 0, 0, 0, 1, 0x68, 0xee, 0x3c, 0x80 };
static const guint8 asc[] = { 0x11, 0x90 };

#define FRAME (40 * (gint64)GST_MSECOND)

/* A pipeline whose sinks hand over what comes. */
typedef struct reading {
  GstElement *pipeline, *source;
  GstBus *bus;
  GAsyncQueue *samples;
  GMutex gate; /* held: what comes waits */
} reading;

static void handoff(GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data) {
  reading *r = data;
  (void)sink;
  g_mutex_lock(&r->gate);
  g_mutex_unlock(&r->gate);
  GstCaps *caps = gst_pad_get_current_caps(pad);
  g_async_queue_push(r->samples, gst_sample_new(buffer, caps, NULL, NULL));
  gst_caps_unref(caps);
}

static void pad_added(GstElement *source, GstPad *pad, gpointer data) {
  reading *r = data;
  GstElement *sink = gst_element_factory_make("fakesink", NULL);
  (void)source;
  g_object_set(sink, "signal-handoffs", TRUE, "async", FALSE, NULL);
  g_signal_connect(sink, "handoff", G_CALLBACK(handoff), r);
  gst_bin_add(GST_BIN(r->pipeline), sink);
  gst_element_sync_state_with_parent(sink);
  GstPad *to = gst_element_get_static_pad(sink, "sink");
  assert_int_equal(gst_pad_link(pad, to), GST_PAD_LINK_OK);
  gst_object_unref(to);
}

static void begin(reading *r, gboolean reconnect, gint start) {
  *r = (reading){ .pipeline = gst_object_ref_sink(gst_pipeline_new(NULL)),
                  .source = gst_element_factory_make("cuframespacketsrc", NULL),
                  .samples = g_async_queue_new_full((GDestroyNotify)gst_sample_unref) };
  assert_non_null(r->source);
  g_mutex_init(&r->gate);
  g_object_set(r->source, "stream", "a", "reconnect", reconnect, "start", start, NULL);
  g_signal_connect(r->source, "pad-added", G_CALLBACK(pad_added), r);
  gst_bin_add(GST_BIN(r->pipeline), r->source);
  r->bus = gst_element_get_bus(r->pipeline);
  assert_int_equal(gst_element_set_state(r->pipeline, GST_STATE_PAUSED), GST_STATE_CHANGE_NO_PREROLL);
  assert_int_not_equal(gst_element_set_state(r->pipeline, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
}

static void end(reading *r) {
  gst_element_set_state(r->pipeline, GST_STATE_NULL);
  gst_object_unref(r->bus);
  gst_object_unref(r->pipeline);
  g_async_queue_unref(r->samples);
  g_mutex_clear(&r->gate);
}

static GstSample *next(reading *r) {
  GstSample *sample = g_async_queue_timeout_pop(r->samples, BENCH_PATIENCE / GST_USECOND);
  assert_non_null(sample);
  return sample;
}

static guint8 last_byte(GstBuffer *buffer) {
  guint8 byte = 0;
  assert_int_equal(gst_buffer_extract(buffer, gst_buffer_get_size(buffer) - 1, &byte, 1), 1);
  return byte;
}

static GstMessage *message_of(reading *r, GstMessageType type) {
  GstMessage *message = gst_bus_timed_pop_filtered(r->bus, BENCH_PATIENCE, type | GST_MESSAGE_ERROR);
  assert_non_null(message);
  assert_int_equal(GST_MESSAGE_TYPE(message), type);
  return message;
}

static cuframes_publisher *publisher_with(guint32 slots) {
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = slots };
  const cuframes_publisher_options options = { .struct_size = sizeof options, .packets = &ring };
  cuframes_publisher *publisher = NULL;
  if (cuframes_publisher_create("a", &options, &publisher) != CUFRAMES_OK)
    fail_msg("%s", cuframes_last_error());
  return publisher;
}

static void describe(cuframes_publisher *publisher, guint32 track, gconstpointer extradata, gsize size) {
  cuframes_codec_params params = { .struct_size = sizeof params };
  params.media_type = track == 0 ? CUFRAMES_MEDIA_VIDEO : CUFRAMES_MEDIA_AUDIO;
  g_strlcpy(params.codec, track == 0 ? "h264" : "aac", sizeof params.codec);
  if (track == 0) {
    params.width = 640;
    params.height = 360;
  } else {
    params.sample_rate = 48000;
    params.channels = 2;
  }
  assert_int_equal(cuframes_publisher_set_codec_params(publisher, track, &params), CUFRAMES_OK);
  assert_int_equal(cuframes_publisher_set_codec_extradata(publisher, track, extradata, size), CUFRAMES_OK);
}

/* A unit of a picture, behind its length or a start code, that ends with `value`. */
static void give(cuframes_publisher *publisher, guint32 track, guint8 value, gboolean key) {
  const guint8 data[] = { 0, 0, 0, 1, key ? 0x65 : 0x41, value };
  const cuframes_packet_info packet = { .struct_size = sizeof packet,
                                        .track = track,
                                        .data = data,
                                        .size = sizeof data,
                                        .pts = (value + 2) * FRAME,
                                        .dts = value * FRAME,
                                        .duration = FRAME,
                                        .flags = key ? CUFRAMES_PACKET_KEY : 0 };
  assert_int_equal(cuframes_publisher_publish_packet(publisher, &packet), CUFRAMES_OK);
}

static void it_begins_at_a_keyframe_with_codec_data(void **state) {
  reading r;
  GstClockTime before = 0;
  (void)state;
  cuframes_publisher *publisher = publisher_with(64);
  describe(publisher, 0, avcc, sizeof avcc);
  give(publisher, 0, 1, TRUE);
  give(publisher, 0, 2, FALSE);
  give(publisher, 0, 3, TRUE);
  give(publisher, 0, 4, FALSE);
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  GstCaps *like =
      gst_caps_from_string("video/x-h264,stream-format=(string)avc,alignment=(string)au,width=640,height=360,"
                           "codec_data=(buffer)01640029ffe000");
  for (guint8 i = 3; i <= 4; i++) {
    GstSample *sample = next(&r);
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    assert_true(gst_caps_is_subset(gst_sample_get_caps(sample), like));
    assert_int_equal(last_byte(buffer), i);
    assert_int_equal(gst_buffer_get_size(buffer), 6);
    assert_int_equal(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT), i == 4);
    assert_int_equal(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT), i == 3);
    assert_int_equal(GST_BUFFER_PTS(buffer), GST_BUFFER_DTS(buffer) + 2 * FRAME);
    assert_int_equal(GST_BUFFER_DURATION(buffer), FRAME);
    if (i == 4)
      assert_int_equal(GST_BUFFER_DTS(buffer), before + FRAME);
    before = GST_BUFFER_DTS(buffer);
    gst_sample_unref(sample);
  }
  gst_caps_unref(like);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

static void each_track_has_a_pad(void **state) {
  reading r;
  (void)state;
  cuframes_publisher *publisher = publisher_with(64);
  describe(publisher, 0, avcc, sizeof avcc);
  describe(publisher, 3, asc, sizeof asc); /* numbers may have gaps */
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME);
  bench_joined(publisher, 1);
  give(publisher, 0, 1, TRUE);
  give(publisher, 3, 1, TRUE);
  gst_sample_unref(next(&r));
  gst_sample_unref(next(&r));
  GstPad *video = gst_element_get_static_pad(r.source, "video_0"),
         *audio = gst_element_get_static_pad(r.source, "audio_3");
  assert_non_null(video);
  assert_non_null(audio);
  GstCaps *caps = gst_pad_get_current_caps(audio);
  assert_string_equal(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "audio/mpeg");
  gst_caps_unref(caps);
  gst_object_unref(video);
  gst_object_unref(audio);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

/* As cameras describe themselves by SDP: the sets are in no packet. */
static void sets_out_of_band_are_put_before_keyframes(void **state) {
  guint8 bytes[sizeof annex_b];
  reading r;
  (void)state;
  cuframes_publisher *publisher = publisher_with(64);
  describe(publisher, 0, annex_b, sizeof annex_b);
  give(publisher, 0, 1, TRUE);
  give(publisher, 0, 2, FALSE);
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  GstSample *sample = next(&r);
  const GstStructure *said = gst_caps_get_structure(gst_sample_get_caps(sample), 0);
  assert_string_equal(gst_structure_get_string(said, "stream-format"), "byte-stream");
  assert_int_equal(gst_buffer_get_size(gst_sample_get_buffer(sample)), sizeof annex_b + 6);
  assert_int_equal(gst_buffer_extract(gst_sample_get_buffer(sample), 0, bytes, sizeof bytes), sizeof bytes);
  assert_memory_equal(bytes, annex_b, sizeof bytes);
  gst_sample_unref(sample);
  sample = next(&r);
  assert_int_equal(gst_buffer_get_size(gst_sample_get_buffer(sample)), 6);
  gst_sample_unref(sample);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

static void other_parameters_are_other_caps(void **state) {
  reading r;
  (void)state;
  cuframes_publisher *publisher = publisher_with(64);
  describe(publisher, 0, avcc, sizeof avcc);
  give(publisher, 0, 1, TRUE);
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  GstSample *first = next(&r);
  describe(publisher, 0, other_avcc, sizeof other_avcc);
  give(publisher, 0, 2, TRUE);
  GstSample *second = next(&r);
  assert_string_equal(gst_structure_get_string(gst_caps_get_structure(gst_sample_get_caps(first), 0), "level"), "4.1");
  assert_string_equal(gst_structure_get_string(gst_caps_get_structure(gst_sample_get_caps(second), 0), "level"), "3");
  gst_sample_unref(first);
  gst_sample_unref(second);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

/* Downstream stands still while the ring goes round. */
static void who_is_too_slow_goes_on_at_a_keyframe(void **state) {
  GstStructure *stats = NULL;
  guint64 lost = 0;
  reading r;
  (void)state;
  cuframes_publisher *publisher = publisher_with(16);
  describe(publisher, 0, avcc, sizeof avcc);
  give(publisher, 0, 0, TRUE);
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  gst_sample_unref(next(&r));
  g_mutex_lock(&r.gate);
  for (guint8 i = 1; i <= 200; i++)
    give(publisher, 0, i, i % 10 == 0);
  g_mutex_unlock(&r.gate);
  GstBuffer *buffer = NULL;
  GstSample *sample = next(&r);
  while (!GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(sample), GST_BUFFER_FLAG_DISCONT)) {
    gst_sample_unref(sample);
    sample = next(&r);
  }
  buffer = gst_sample_get_buffer(sample);
  assert_false(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT));
  assert_int_equal(last_byte(buffer) % 10, 0);
  gst_sample_unref(sample);
  gst_message_unref(message_of(&r, GST_MESSAGE_WARNING));
  g_object_get(r.source, "stats", &stats, NULL);
  assert_true(gst_structure_get_uint64(stats, "lost", &lost));
  assert_in_range(lost, 1, 199);
  gst_structure_free(stats);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

static void a_publisher_that_returns_goes_on(void **state) {
  reading r;
  (void)state;
  cuframes_publisher *publisher = publisher_with(64);
  describe(publisher, 0, avcc, sizeof avcc);
  give(publisher, 0, 200, TRUE);
  begin(&r, TRUE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  GstSample *before = next(&r);
  cuframes_publisher_destroy(publisher);
  publisher = publisher_with(64);
  describe(publisher, 0, other_avcc, sizeof other_avcc);
  give(publisher, 0, 1, TRUE);
  GstSample *sample = next(&r);
  assert_int_equal(last_byte(gst_sample_get_buffer(sample)), 1);
  assert_true(GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(sample), GST_BUFFER_FLAG_DISCONT));
  assert_true(GST_BUFFER_DTS(gst_sample_get_buffer(sample)) > GST_BUFFER_DTS(gst_sample_get_buffer(before)));
  assert_string_equal(gst_structure_get_string(gst_caps_get_structure(gst_sample_get_caps(sample), 0), "level"), "3");
  gst_sample_unref(before);
  gst_sample_unref(sample);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

static void the_end_is_eos(void **state) {
  reading r;
  (void)state;
  for (gint by_event = 0; by_event <= 1; by_event++) {
    cuframes_publisher *publisher = publisher_with(64);
    describe(publisher, 0, avcc, sizeof avcc);
    give(publisher, 0, 1, TRUE);
    begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
    gst_sample_unref(next(&r));
    if (by_event)
      assert_true(gst_element_send_event(r.pipeline, gst_event_new_eos()));
    else {
      cuframes_publisher_destroy(publisher);
      publisher = NULL;
    }
    gst_message_unref(message_of(&r, GST_MESSAGE_EOS));
    end(&r);
    cuframes_publisher_destroy(publisher);
  }
}

static void error_is(GQuark domain, gint code) {
  GError *error = NULL;
  reading r;
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  GstMessage *message = gst_bus_timed_pop_filtered(r.bus, BENCH_PATIENCE, GST_MESSAGE_ERROR);
  assert_non_null(message);
  gst_message_parse_error(message, &error, NULL);
  if (!g_error_matches(error, domain, code))
    fail_msg("%s %d: %s", g_quark_to_string(error->domain), error->code, error->message);
  g_error_free(error);
  gst_message_unref(message);
  end(&r);
}

static void streams_without_packets_are_errors(void **state) {
  const cuframes_source_info live = { .struct_size = sizeof live, .state = CUFRAMES_SOURCE_LIVE };
  (void)state;
  error_is(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND); /* nobody */
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  error_is(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND); /* no ring */
  cuframes_publisher_destroy(publisher);
  publisher = publisher_with(16);
  assert_int_equal(cuframes_publisher_set_source(publisher, &live), CUFRAMES_OK);
  error_is(GST_STREAM_ERROR, GST_STREAM_ERROR_TYPE_NOT_FOUND); /* no track, and none to come */
  cuframes_publisher_destroy(publisher);
}

static void states_leave_nothing_behind(void **state) {
  static const GstState targets[] = { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED };
  guint descriptors = 0, threads = 0;
  reading r;
  (void)state;
  cuframes_publisher *publisher = publisher_with(64);
  describe(publisher, 0, avcc, sizeof avcc);
  begin(&r, FALSE, CUFRAMES_PACKETS_FROM_KEYFRAME);
  for (guint i = 0; i < 300; i++) {
    if (i == 30) {
      descriptors = bench_descriptors();
      threads = bench_threads();
    }
    give(publisher, 0, (guint8)i, TRUE);
    if (i % 5 == 0)
      gst_sample_unref(next(&r));
    assert_int_not_equal(gst_element_set_state(r.source, targets[i % 3]), GST_STATE_CHANGE_FAILURE);
    assert_int_not_equal(gst_element_set_state(r.source, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  }
  gst_element_set_state(r.pipeline, GST_STATE_NULL);
  bench_descriptors_end(descriptors + 2); /* of the bus, and of a sink that has come since */
  bench_threads_end(threads);
  end(&r);
  cuframes_publisher_destroy(publisher);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_begins_at_a_keyframe_with_codec_data),
    cmocka_unit_test(each_track_has_a_pad),
    cmocka_unit_test(sets_out_of_band_are_put_before_keyframes),
    cmocka_unit_test(other_parameters_are_other_caps),
    cmocka_unit_test(who_is_too_slow_goes_on_at_a_keyframe),
    cmocka_unit_test(a_publisher_that_returns_goes_on),
    cmocka_unit_test(the_end_is_eos),
    cmocka_unit_test(streams_without_packets_are_errors),
    cmocka_unit_test(states_leave_nothing_behind),
  };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
