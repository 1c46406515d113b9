/* test_sink_packets.c - the pads of packets: which there are, and what goes through them. */
#include "sinktest.h"

#include <unistd.h>

#define AVC                                                                                                            \
  "video/x-h264,stream-format=avc,alignment=au,width=64,height=48,framerate=25/1,codec_data=(buffer)0164000affe00000"
#define BYTE_STREAM "video/x-h264,stream-format=byte-stream,alignment=au,width=64,height=48,framerate=25/1"
#define AAC "audio/mpeg,mpegversion=4,framed=true,stream-format=raw,rate=48000,channels=2,codec_data=(buffer)1190"

/* A harness more, of a pad of packets. */
static GstHarness *packets(sinktest *t, const gchar *pad, const gchar *caps) {
  GstHarness *h = gst_harness_new_with_element(t->sink, pad, NULL);
  gst_harness_set_src_caps_str(h, caps);
  return h;
}

static GstBuffer *packet(const void *data, gsize size, guint number, gboolean key) {
  GstBuffer *buffer = gst_buffer_new_memdup(data, size);
  GST_BUFFER_PTS(buffer) = (number + 1) * GST_SECOND / 25;
  GST_BUFFER_DTS(buffer) = number * GST_SECOND / 25;
  GST_BUFFER_DURATION(buffer) = GST_SECOND / 25;
  if (!key)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  return buffer;
}

static void read_packets(sinktest *t) {
  const cuframes_subscriber_options options = { .struct_size = sizeof options,
                                                .mode = CUFRAMES_MODE_PACKETS,
                                                .directory = t->directory };
  assert_int_equal(cuframes_subscriber_create("cam", &options, &t->subscriber), CUFRAMES_OK);
  assert_int_equal(cuframes_subscriber_enable_packets(t->subscriber, CUFRAMES_PACKETS_FROM_OLDEST), CUFRAMES_OK);
}

static cuframes_packet *next(sinktest *t) {
  cuframes_packet *got = NULL;
  assert_int_equal(cuframes_subscriber_next_packet(t->subscriber, WAIT_NS, &got), CUFRAMES_OK);
  return got;
}

static void packets_come_as_they_are(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstHarness *video = packets(&t, "packets", AVC), *audio = packets(&t, "packets_7", AAC);
  assert_int_equal(gst_harness_push(video, packet("key", 3, 0, TRUE)), GST_FLOW_OK);
  GstBuffer *buffer = packet("delta", 5, 1, FALSE);
  GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DROPPABLE | GST_BUFFER_FLAG_CORRUPTED);
  assert_int_equal(gst_harness_push(video, buffer), GST_FLOW_OK);
  buffer = packet("sound", 5, 2, TRUE);
  GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
  assert_int_equal(gst_harness_push(audio, buffer), GST_FLOW_OK);
  read_packets(&t);

  cuframes_packet *got = next(&t);
  assert_int_equal(cuframes_packet_track(got), 0);
  assert_int_equal(cuframes_packet_size(got), 3);
  assert_memory_equal(cuframes_packet_data(got), "key", 3);
  assert_int_equal(cuframes_packet_pts(got), GST_SECOND / 25);
  assert_int_equal(cuframes_packet_dts(got), 0);
  assert_int_equal(cuframes_packet_duration(got), GST_SECOND / 25);
  assert_true(cuframes_packet_flags(got) & CUFRAMES_PACKET_KEY);
  cuframes_packet_release(got);
  got = next(&t);
  assert_int_equal(cuframes_packet_flags(got), CUFRAMES_PACKET_DISPOSABLE | CUFRAMES_PACKET_CORRUPT);
  cuframes_packet_release(got);
  got = next(&t);
  assert_int_equal(cuframes_packet_track(got), 1);
  assert_int_equal(cuframes_packet_dts(got), cuframes_packet_pts(got));
  assert_true(cuframes_packet_flags(got) & CUFRAMES_PACKET_KEY);
  cuframes_packet_release(got);

  cuframes_codec_params params = { .struct_size = sizeof params };
  const void *extradata = NULL;
  size_t size = 0;
  assert_int_equal(cuframes_subscriber_get_codec_params(t.subscriber, 0, &params, &extradata, &size), CUFRAMES_OK);
  assert_string_equal(params.codec, "h264");
  assert_int_equal(params.width, 64);
  assert_int_equal(size, 8);
  assert_memory_equal(extradata, "\1\x64\0\x0a\xff\xe0\0\0", 8);
  assert_int_equal(cuframes_subscriber_get_codec_params(t.subscriber, 1, &params, &extradata, &size), CUFRAMES_OK);
  assert_string_equal(params.codec, "aac");
  gst_harness_teardown(audio);
  gst_harness_teardown(video);
  sinktest_end(&t);
}

/* What comes before the first keyframe with its sets cannot be decoded. */
static void a_byte_stream_begins_with_its_parameter_sets(void **state) {
  static const guint8 delta[] = { 0, 0, 0, 1, 0x41, 9 };
  static const guint8 key[] = { 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 7 };
  static const guint8 other[] = { 0, 0, 0, 1, 0x67, 1, 4, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 7 };
  sinktest t;
  const void *extradata = NULL;
  size_t size = 0;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstHarness *video = packets(&t, "packets", BYTE_STREAM);
  assert_int_equal(gst_harness_push(video, packet(delta, sizeof delta, 0, FALSE)), GST_FLOW_OK);
  assert_int_equal(sinktest_stat(t.sink, "packets"), 0);
  assert_int_equal(gst_harness_push(video, packet(key, sizeof key, 1, TRUE)), GST_FLOW_OK);
  assert_int_equal(gst_harness_push(video, packet(delta, sizeof delta, 2, FALSE)), GST_FLOW_OK);
  assert_int_equal(sinktest_stat(t.sink, "packets"), 2);
  read_packets(&t);
  assert_int_equal(cuframes_subscriber_get_codec_params(t.subscriber, 0, NULL, &extradata, &size), CUFRAMES_OK);
  assert_int_equal(size, 13);
  assert_memory_equal(extradata, key, size);
  for (guint i = 0; i < 2; i++)
    cuframes_packet_release(next(&t));
  assert_int_equal(gst_harness_push(video, packet(other, sizeof other, 3, TRUE)), GST_FLOW_OK);
  cuframes_packet *got = next(&t);
  assert_true(cuframes_packet_flags(got) & CUFRAMES_PACKET_NEW_PARAMS);
  cuframes_packet_release(got);
  assert_int_equal(cuframes_subscriber_get_codec_params(t.subscriber, 0, NULL, &extradata, &size), CUFRAMES_OK);
  assert_memory_equal(extradata, other, size);
  gst_harness_teardown(video);
  sinktest_end(&t);
}

/* Those that the first ones of a segment need. */
static void packets_before_their_segment_are_hidden(void **state) {
  sinktest t;
  GstSegment segment;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstHarness *video = packets(&t, "packets", AVC);
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.time = GST_SECOND;
  assert_true(gst_harness_push_event(video, gst_event_new_segment(&segment)));
  assert_int_equal(gst_harness_push(video, packet("key", 3, 0, TRUE)), GST_FLOW_OK);
  assert_int_equal(gst_harness_push(video, packet("shown", 5, 30, FALSE)), GST_FLOW_OK);
  read_packets(&t);
  cuframes_packet *got = next(&t);
  assert_int_equal(cuframes_packet_pts(got), -(int64_t)(GST_SECOND - GST_SECOND / 25));
  assert_int_equal(cuframes_packet_flags(got) & CUFRAMES_PACKET_HIDDEN, CUFRAMES_PACKET_HIDDEN);
  cuframes_packet_release(got);
  got = next(&t);
  assert_int_equal(cuframes_packet_flags(got) & CUFRAMES_PACKET_HIDDEN, 0);
  cuframes_packet_release(got);
  gst_harness_teardown(video);
  sinktest_end(&t);
}

static void what_is_too_large_is_left_out_and_counted(void **state) {
  guint8 large[2000] = { 0 };
  sinktest t;
  (void)state;
  sinktest_begin(&t, "packet-bytes=4096", SMALL);
  GstHarness *video = packets(&t, "packets", AVC);
  assert_int_equal(gst_harness_push(video, packet(large, sizeof large, 0, TRUE)), GST_FLOW_OK);
  assert_int_equal(gst_harness_push(video, packet(large, 100, 1, TRUE)), GST_FLOW_OK);
  assert_int_equal(sinktest_stat(t.sink, "packets"), 1);
  assert_int_equal(sinktest_stat(t.sink, "packets-left-out"), 1);
  gst_harness_teardown(video);
  sinktest_end(&t);
}

static void pads_come_and_go(void **state) {
  sinktest t;
  GstPad *pads[CUFRAMES_TRACKS_MAX];
  (void)state;
  sinktest_begin(&t, "", SMALL);
  for (guint round = 0; round < 3; round++) {
    pads[0] = gst_element_request_pad_simple(t.sink, "packets");
    for (guint i = 1; i < G_N_ELEMENTS(pads); i++)
      pads[i] = gst_element_request_pad_simple(t.sink, "packets_%u");
    for (guint i = 0; i < G_N_ELEMENTS(pads); i++)
      assert_non_null(pads[i]);
    assert_string_equal(GST_PAD_NAME(pads[0]), "packets");
    assert_string_equal(GST_PAD_NAME(pads[5]), "packets_5");
    assert_null(gst_element_request_pad_simple(t.sink, "packets_%u"));
    for (guint i = 0; i < G_N_ELEMENTS(pads); i++) {
      gst_element_release_request_pad(t.sink, pads[i]);
      gst_object_unref(pads[i]);
    }
  }
  sinktest_push(&t, sinktest_buffer(&t, 1, 0));
  assert_int_equal(sinktest_stat(t.sink, "frames"), 1);
  sinktest_end(&t);
}

/* Nothing is linked that gives frames: the pipeline begins, and ends, by its packets. */
static void packets_may_be_alone(void **state) {
  gchar *directory = g_dir_make_tmp("sink-XXXXXX", NULL);
  gchar *line = g_strdup_printf("cuframessink name=k stream=cam directory=%s sync=false "
                                "videotestsrc num-buffers=20 ! " SMALL " ! jpegenc ! k.packets",
                                directory);
  GstElement *pipeline = gst_parse_launch(line, NULL);
  (void)state;
  assert_non_null(pipeline);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(bus, (GstClockTime)WAIT_NS, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  assert_non_null(message);
  assert_int_equal(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS);
  gst_message_unref(message);
  GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), "k");
  assert_int_equal(sinktest_stat(sink, "packets"), 20);
  gst_object_unref(sink);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  assert_int_equal(rmdir(directory), 0);
  g_free(line);
  g_free(directory);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(packets_come_as_they_are),
    cmocka_unit_test(a_byte_stream_begins_with_its_parameter_sets),
    cmocka_unit_test(packets_before_their_segment_are_hidden),
    cmocka_unit_test(what_is_too_large_is_left_out_and_counted),
    cmocka_unit_test(pads_come_and_go),
    cmocka_unit_test(packets_may_be_alone),
  };
  gst_init(&argc, &argv);
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
