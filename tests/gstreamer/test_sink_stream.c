/* test_sink_stream.c - what cuframessink makes of caps, events, states and metas, and how it fails. */
#include "sinktest.h"

#include <glib/gstdio.h>
#include <string.h>

#include <gst/video/video-anc.h>
#include <gst/video/video-sei.h>

#define UNIX_TIME G_GUINT64_CONSTANT(1700000000123456789)
#define NTP_TO_UNIX (G_GUINT64_CONSTANT(2208988800) * GST_SECOND)

static GstBuffer *small(guint8 value, guint number) {
  return sinktest_ordinary(64 * 48 * 3 / 2, value, number);
}

/* ---- what frames say of themselves ---- */

static void caps_become_the_format(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "",
                 SMALL ",interlace-mode=interleaved,field-order=bottom-field-first,pixel-aspect-ratio=4/3,"
                       "colorimetry=bt709,chroma-site=mpeg2");
  sinktest_subscribe(&t, 4);
  sinktest_push(&t, small(1, 0));
  cuframes_frame *frame = sinktest_next(&t);
  const cuframes_format *format = cuframes_frame_format(frame);
  assert_int_equal(format->pixel_format, CUFRAMES_PIXEL_NV12);
  assert_int_equal(format->color.matrix, 1);
  assert_int_equal(format->color.range, 1);
  assert_int_equal(format->color.primaries, 1);
  assert_int_equal(format->chroma_location, CUFRAMES_CHROMA_LEFT);
  assert_int_equal(format->field_order, CUFRAMES_FIELDS_BOTTOM_FIRST);
  assert_int_equal(format->sample_aspect_num, 4);
  assert_int_equal(format->sample_aspect_den, 3);
  assert_int_equal(format->orientation, CUFRAMES_ORIENTATION_NOT_SAID);
  cuframes_frame_release(frame);
  sinktest_end(&t);
}

static void fields_of_mixed_pictures_settle(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL ",interlace-mode=mixed");
  sinktest_subscribe(&t, 4);
  for (guint i = 0; i < 60; i++) {
    GstBuffer *buffer = small(1, i);
    if (i == 5 || i == 10)
      GST_BUFFER_FLAG_SET(buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED | GST_VIDEO_BUFFER_FLAG_TFF);
    sinktest_push(&t, buffer);
    cuframes_frame *frame = sinktest_next(&t);
    /* With fields from the first on that has them, until a second has had none. */
    const guint8 wanted = i < 5 || i >= 35 ? CUFRAMES_FIELDS_PROGRESSIVE : CUFRAMES_FIELDS_TOP_FIRST;
    assert_int_equal(cuframes_frame_format(frame)->field_order, wanted);
    cuframes_frame_release(frame);
  }
  sinktest_end(&t);
}

static void push_orientation(sinktest *t, const gchar *value) {
  GstTagList *tags = gst_tag_list_new(GST_TAG_IMAGE_ORIENTATION, value, NULL);
  assert_true(gst_harness_push_event(t->harness, gst_event_new_tag(tags)));
}

static void orientation_is_a_tag(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 8);
  push_orientation(&t, "rotate-90");
  sinktest_push(&t, sinktest_buffer(&t, 1, 0));
  sinktest_push(&t, sinktest_buffer(&t, 2, 1));
  push_orientation(&t, "rotate-180");
  sinktest_push(&t, sinktest_buffer(&t, 3, 2));
  for (guint i = 0; i < 3; i++) {
    cuframes_frame *frame = sinktest_next(&t);
    assert_int_equal(cuframes_frame_format(frame)->orientation,
                     i < 2 ? CUFRAMES_ORIENTATION_RIGHT_TOP : CUFRAMES_ORIENTATION_BOTTOM_RIGHT);
    sinktest_is_filled(frame, (guint8)(i + 1));
    cuframes_frame_release(frame);
  }
  /* Slots that were opened before a tag say what was then: what is in them is copied. */
  assert_int_equal(sinktest_stat(t.sink, "copied"), 2);
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 1);
  sinktest_end(&t);
}

static void add_reference(GstBuffer *buffer, const gchar *kind, guint64 time) {
  GstCaps *caps = gst_caps_new_empty_simple(kind);
  gst_buffer_add_reference_timestamp_meta(buffer, caps, time, GST_CLOCK_TIME_NONE);
  gst_caps_unref(caps);
}

static void capture_times_are_reference_timestamps(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 8);
  GstBuffer *buffers[] = { small(1, 0), small(1, 1), small(1, 2), small(1, 3) };
  const int64_t wanted[] = { (int64_t)UNIX_TIME, (int64_t)UNIX_TIME, CUFRAMES_NO_TIME, CUFRAMES_NO_TIME };
  add_reference(buffers[0], "timestamp/x-unix", UNIX_TIME);
  add_reference(buffers[1], "timestamp/x-ntp", UNIX_TIME + NTP_TO_UNIX);
  add_reference(buffers[2], "timestamp/x-ptp", UNIX_TIME);
  GST_BUFFER_FLAG_SET(buffers[3], GST_BUFFER_FLAG_CORRUPTED);
  GST_BUFFER_PTS(buffers[3]) = GST_CLOCK_TIME_NONE;
  for (guint i = 0; i < G_N_ELEMENTS(buffers); i++) {
    sinktest_push(&t, buffers[i]);
    cuframes_frame *frame = sinktest_next(&t);
    assert_int_equal(cuframes_frame_capture_time(frame), wanted[i]);
    assert_int_equal(cuframes_frame_pts(frame), i < 3 ? (int64_t)(i * GST_SECOND / 25) : CUFRAMES_NO_TIME);
    assert_int_equal(cuframes_frame_flags(frame) & CUFRAMES_FRAME_CORRUPT, i < 3 ? 0 : CUFRAMES_FRAME_CORRUPT);
    assert_int_equal(cuframes_frame_flags(frame) & CUFRAMES_FRAME_KEY, 0);
    cuframes_frame_release(frame);
  }
  sinktest_end(&t);
}

static void captions_user_data_and_hdr_are_side_data(void **state) {
  static const guint8 captions[] = { 0xfc, 1, 2, 0xfd, 3, 4 };
  static guint8 uuid[] = "0123456789abcdef", text[] = "hello";
  sinktest t;
  size_t size = 0;
  (void)state;
  sinktest_begin(&t, "", SMALL ",content-light-level=(string)1000:400");
  sinktest_subscribe(&t, 4);
  GstBuffer *buffer = small(1, 0);
  gst_buffer_add_video_caption_meta(buffer, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, captions, sizeof captions);
  gst_buffer_add_video_sei_user_data_unregistered_meta(buffer, uuid, text, 5);
  sinktest_push(&t, buffer);
  cuframes_frame *frame = sinktest_next(&t);
  const void *data = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_A53_CAPTIONS, &size);
  assert_int_equal(size, sizeof captions);
  assert_memory_equal(data, captions, size);
  data = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_SEI_USER_DATA, &size);
  assert_int_equal(size, 16 + 5);
  assert_memory_equal(data, "0123456789abcdefhello", size);
  const cuframes_content_light *light = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &size);
  assert_int_equal(size, sizeof *light);
  assert_int_equal(light->max_content, 1000);
  assert_int_equal(light->max_average, 400);
  cuframes_frame_release(frame);
  sinktest_end(&t);
}

static void other_caps_are_another_format(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  for (guint round = 0; round < 3; round++) {
    const gboolean rgb = round == 1;
    if (round > 0)
      sinktest_negotiate(&t, rgb ? "video/x-raw,format=RGB,width=30,height=20,framerate=25/1" : SMALL);
    for (guint i = 0; i < 2; i++) {
      sinktest_push(&t, sinktest_buffer(&t, (guint8)(round + 1), round * 2 + i));
      cuframes_frame *frame = sinktest_next(&t);
      assert_int_equal(cuframes_frame_width(frame), rgb ? 30 : 64);
      assert_int_equal(cuframes_frame_pixel_format(frame), rgb ? CUFRAMES_PIXEL_RGB24 : CUFRAMES_PIXEL_NV12);
      assert_int_equal(!!(cuframes_frame_flags(frame) & CUFRAMES_FRAME_NEW_FORMAT), round > 0 && i == 0);
      sinktest_is_filled(frame, (guint8)(round + 1));
      cuframes_frame_release(frame);
    }
  }
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 6);
  sinktest_end(&t);
}

/* GStreamer's planes may lie in another order. */
static void planes_find_their_place(void **state) {
  static const struct {
    const gchar *format;
    guint8 first[3]; /* bytes of our planes, where GStreamer's are 1, 2, 3 */
  } cases[] = {
    { "I420", { 1, 2, 3 } }, { "YV12", { 1, 3, 2 } }, { "GBR", { 3, 1, 2 } },
    { "BGRP", { 3, 2, 1 } }, { "RGBP", { 1, 2, 3 } },
  };
  (void)state;
  for (guint i = 0; i < 2 * G_N_ELEMENTS(cases); i++) {
    const guint c = i / 2;
    sinktest t;
    GstVideoInfo info;
    gchar *text = g_strdup_printf("video/x-raw,format=%s,width=64,height=48,framerate=25/1", cases[c].format);
    sinktest_begin(&t, "", text);
    sinktest_subscribe(&t, 4);
    GstCaps *caps = gst_caps_from_string(text);
    assert_true(gst_video_info_from_caps(&info, caps));
    GstBuffer *buffer = i % 2 ? sinktest_buffer(&t, 0, 0) : sinktest_ordinary(info.size, 0, 0);
    for (guint plane = 0; plane < 3; plane++)
      gst_buffer_memset(buffer, info.offset[plane], (guint8)(plane + 1), (gsize)info.stride[plane] * 24);
    sinktest_push(&t, buffer);
    cuframes_frame *frame = sinktest_next(&t);
    for (int plane = 0; plane < 3; plane++)
      assert_int_equal(*(guint8 *)cuframes_frame_plane(frame, plane), cases[c].first[plane]);
    cuframes_frame_release(frame);
    gst_caps_unref(caps);
    g_free(text);
    sinktest_end(&t);
  }
}

/* ---- events ---- */

static guint32 source_of(sinktest *t) {
  cuframes_source_info source = { .struct_size = sizeof source };
  assert_int_equal(cuframes_subscriber_get_source(t->subscriber, &source), CUFRAMES_OK);
  return source.state;
}

static gboolean is_jump(sinktest *t) {
  cuframes_frame *frame = sinktest_next(t);
  const gboolean jump = (cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY) != 0;
  cuframes_frame_release(frame);
  return jump;
}

static void times_jump_at_a_flush_and_at_another_stream(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  sinktest_push(&t, small(1, 0));
  (void)is_jump(&t); /* the first one */
  sinktest_push(&t, small(1, 1));
  assert_false(is_jump(&t));

  assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_start()));
  assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_stop(TRUE)));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  assert_true(gst_harness_push_event(t.harness, gst_event_new_segment(&segment)));
  sinktest_push(&t, small(1, 0));
  assert_true(is_jump(&t));

  assert_true(gst_harness_push_event(t.harness, gst_event_new_stream_start("other")));
  sinktest_negotiate(&t, SMALL);
  assert_true(gst_harness_push_event(t.harness, gst_event_new_segment(&segment)));
  sinktest_push(&t, small(1, 2));
  assert_true(is_jump(&t));
  sinktest_push(&t, small(1, 3));
  assert_false(is_jump(&t));
  sinktest_end(&t);
}

static void times_are_running_times(void **state) {
  sinktest t;
  GstSegment segment;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.time = 10 * GST_SECOND;
  segment.base = GST_SECOND;
  assert_true(gst_harness_push_event(t.harness, gst_event_new_segment(&segment)));
  GstBuffer *buffer = small(1, 0);
  GST_BUFFER_PTS(buffer) = 12 * GST_SECOND;
  sinktest_push(&t, buffer);
  cuframes_frame *frame = sinktest_next(&t);
  assert_int_equal(cuframes_frame_pts(frame), 3 * GST_SECOND);
  cuframes_frame_release(frame);
  sinktest_end(&t);
}

static void the_source_is_what_the_pipeline_does(void **state) {
  sinktest t;
  GstSegment segment;
  (void)state;
  sinktest_begin(&t, "", NULL);
  sinktest_subscribe(&t, 4);
  assert_int_equal(source_of(&t), CUFRAMES_SOURCE_CONNECTING);
  sinktest_negotiate(&t, SMALL);
  sinktest_push(&t, small(1, 0));
  assert_int_equal(source_of(&t), CUFRAMES_SOURCE_LIVE);
  assert_int_not_equal(gst_element_set_state(t.sink, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  assert_int_equal(source_of(&t), CUFRAMES_SOURCE_STALLED);
  assert_int_not_equal(gst_element_set_state(t.sink, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  assert_int_equal(source_of(&t), CUFRAMES_SOURCE_LIVE);
  cuframes_frame_release(sinktest_next(&t));
  assert_true(gst_harness_push_event(t.harness, gst_event_new_eos()));
  assert_int_equal(source_of(&t), CUFRAMES_SOURCE_ENDED);

  /* As who plays a film again and again does at its end. */
  assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_start()));
  assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_stop(TRUE)));
  gst_segment_init(&segment, GST_FORMAT_TIME);
  assert_true(gst_harness_push_event(t.harness, gst_event_new_segment(&segment)));
  sinktest_push(&t, small(1, 0));
  assert_int_equal(source_of(&t), CUFRAMES_SOURCE_LIVE);
  cuframes_frame_release(sinktest_next(&t));

  assert_int_equal(gst_element_set_state(t.sink, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  cuframes_frame *frame = NULL;
  assert_int_equal(cuframes_subscriber_next(t.subscriber, WAIT_NS, &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  sinktest_end(&t);
}

/* ---- pace ---- */

static void what_is_live_is_not_delayed_by_latency(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", NULL);
  g_object_set(t.sink, "sync", TRUE, NULL); /* which a harness takes away */
  gst_harness_set_upstream_latency(t.harness, 100 * GST_SECOND);
  sinktest_negotiate(&t, SMALL);
  sinktest_subscribe(&t, 4);
  for (guint i = 0; i < 3; i++) {
    sinktest_push(&t, small(1, i * 1000)); /* the harness's clock stands still: who waits for it waits for ever */
    cuframes_frame_release(sinktest_next(&t));
  }
  GstQuery *query = gst_query_new_latency();
  gboolean live = FALSE;
  GstClockTime least = 0, most = 0;
  assert_true(gst_element_query(t.sink, query));
  gst_query_parse_latency(query, &live, &least, &most);
  assert_true(live);
  assert_int_equal(least, 100 * GST_SECOND); /* upstream's, and nothing of ours */
  gst_query_unref(query);
  sinktest_end(&t);
}

/* ---- failures ---- */

typedef struct failure {
  GQuark domain;
  gint code;
  gchar *text;
} failure;

/* The error that `line` ends with on the way to PAUSED. */
static failure failure_of(const gchar *line) {
  failure found;
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch(line, &error);
  assert_null(error);
  gst_element_set_state(pipeline, GST_STATE_PAUSED);
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(bus, (GstClockTime)WAIT_NS, GST_MESSAGE_ERROR);
  assert_non_null(message);
  gst_message_parse_error(message, &error, NULL);
  found = (failure){ error->domain, error->code, g_strdup(error->message) };
  g_error_free(error);
  gst_message_unref(message);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  return found;
}

static void failures_are_said_in_gstreamer_s_words(void **state) {
  gchar *directory = g_dir_make_tmp("sink-XXXXXX", NULL);
  const cuframes_publisher_options options = { .struct_size = sizeof options, .directory = directory };
  cuframes_publisher *other = NULL;
  const struct {
    const gchar *properties, *text;
    GQuark domain;
    gint code;
  } cases[] = {
    { "", "set the property stream", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS },
    { "stream=/", "Cannot publish \"/\"", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS },
    { "stream=taken", "taken", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY },
    { "stream=cam directory=/nonexistent/place", "/nonexistent/place", GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND },
    { "stream=cam group=no-such-group", "there is no group \"no-such-group\"", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS },
    { "stream=cam allow-users=root,no-such-user", "there is no user \"no-such-user\"", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS },
    { "stream=cam device=toaster", "toaster", GST_STREAM_ERROR, GST_STREAM_ERROR_NOT_IMPLEMENTED },
  };
  (void)state;
  assert_int_equal(cuframes_publisher_create("taken", &options, &other), CUFRAMES_OK);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    gchar *line = g_strdup_printf("videotestsrc ! cuframessink directory=%s %s", directory, cases[i].properties);
    failure found = failure_of(line);
    if (!strstr(found.text, cases[i].text))
      fail_msg("'%s' does not say '%s'", found.text, cases[i].text);
    if (found.domain != cases[i].domain || found.code != cases[i].code)
      fail_msg("'%s' is %s %d", found.text, g_quark_to_string(found.domain), found.code);
    g_free(found.text);
    g_free(line);
  }
  cuframes_publisher_destroy(other);
  assert_int_equal(g_rmdir(directory), 0);
  g_free(directory);
}

static guint descriptors_now(void) {
  GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
  guint count = 0;
  while (g_dir_read_name(directory))
    count++;
  g_dir_close(directory);
  return count;
}

/* Of the library's. GLib keeps a few of its own, for the next task. */
static guint threads_now(void) {
  GDir *directory = g_dir_open("/proc/self/task", 0, NULL);
  const gchar *task;
  guint count = 0;
  while ((task = g_dir_read_name(directory))) {
    gchar *path = g_build_filename("/proc/self/task", task, "comm", NULL), *name = NULL;
    if (g_file_get_contents(path, &name, NULL, NULL))
      count += g_str_has_prefix(name, "cuframes");
    g_free(name);
    g_free(path);
  }
  g_dir_close(directory);
  return count;
}

/* A thread that was joined is listed for a moment. */
static void comes_to(guint (*number)(void), guint wanted) {
  const gint64 limit = g_get_monotonic_time() + WAIT_NS / 1000;
  while (number() != wanted && g_get_monotonic_time() < limit)
    g_thread_yield();
  assert_int_equal(number(), wanted);
}

static void states_leave_nothing_behind(void **state) {
  gchar *directory = g_dir_make_tmp("sink-XXXXXX", NULL);
  gchar *line = g_strdup_printf("videotestsrc ! " SMALL " ! cuframessink name=k stream=cam sync=false directory=%s "
                                "videotestsrc ! jpegenc ! k.packets",
                                directory);
  GstElement *pipeline = gst_parse_launch(line, NULL);
  /* Two ways up and down. A change that is overtaken by another one is waited for: GStreamer 1.22 loses such, with any
   * sink. Whoever goes to NULL need not wait. */
  static const struct {
    GstState state;
    gboolean wait;
  } steps[] = {
    { GST_STATE_PLAYING, TRUE }, { GST_STATE_PAUSED, TRUE },   { GST_STATE_READY, FALSE }, { GST_STATE_PAUSED, TRUE },
    { GST_STATE_NULL, FALSE },   { GST_STATE_PLAYING, FALSE }, { GST_STATE_NULL, FALSE },
  };
  guint descriptors = 0, most = 0;
  (void)state;
  assert_non_null(pipeline);
  for (guint i = 0; i < 504; i++) {
    gst_element_set_state(pipeline, steps[i % G_N_ELEMENTS(steps)].state);
    if (steps[i % G_N_ELEMENTS(steps)].wait)
      assert_int_equal(gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE), GST_STATE_CHANGE_SUCCESS);
    most = MAX(most, threads_now());
    if (i % 42 != 41) /* the last step */
      continue;
    comes_to(threads_now, 0);
    if (i == 41)
      descriptors = descriptors_now();
    comes_to(descriptors_now, descriptors);
  }
  assert_in_range(most, 1, 2); /* one, and the one before */
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  assert_int_equal(g_rmdir(directory), 0);
  g_free(line);
  g_free(directory);
}

/* ---- who may join, and who is waited for ---- */

static void the_socket_has_its_mode(void **state) {
  sinktest t;
  GStatBuf status;
  (void)state;
  sinktest_begin(&t, "mode=0600", SMALL);
  gchar *socket = g_build_filename(t.directory, "cam.sock", NULL);
  assert_int_equal(g_stat(socket, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
  g_free(socket);
  sinktest_end(&t);
}

static void waiting_ends_with_the_pipeline(void **state) {
  gchar *directory = g_dir_make_tmp("sink-XXXXXX", NULL);
  gchar *line = g_strdup_printf("videotestsrc ! cuframessink name=k stream=cam directory=%s wait-subscribers=1 "
                                "wait-timeout=%" G_GINT64_FORMAT,
                                directory, G_MAXINT64);
  GstElement *pipeline = gst_parse_launch(line, NULL);
  (void)state;
  assert_non_null(pipeline);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  /* It does not begin: nobody has joined. */
  assert_int_equal(gst_element_get_state(pipeline, NULL, NULL, 200 * GST_MSECOND), GST_STATE_CHANGE_ASYNC);
  GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), "k");
  assert_int_equal(sinktest_stat(sink, "frames"), 0);
  gst_object_unref(sink);
  assert_int_equal(gst_element_set_state(pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_object_unref(pipeline);
  assert_int_equal(g_rmdir(directory), 0);
  g_free(line);
  g_free(directory);
}

static gpointer push_end(gpointer user) {
  sinktest *t = user;
  (void)gst_harness_push_event(t->harness, gst_event_new_eos());
  return NULL;
}

/* One that takes nothing holds up the end, and the element may be stopped all the same. */
static void the_end_waits_for_who_is_to_get_everything(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "ordered-timeout=1000000000000", SMALL);
  sinktest_subscribe(&t, 4);
  for (guint round = 0; round < 2; round++) {
    sinktest_push(&t, sinktest_buffer(&t, 1, round));
    GThread *thread = g_thread_new("end", push_end, &t);
    if (round == 0) {
      cuframes_frame_release(sinktest_next(&t)); /* with which all has been taken */
      g_thread_join(thread);
      assert_int_equal(source_of(&t), CUFRAMES_SOURCE_ENDED);
      GstSegment segment;
      gst_segment_init(&segment, GST_FORMAT_TIME);
      assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_start()));
      assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_stop(TRUE)));
      assert_true(gst_harness_push_event(t.harness, gst_event_new_segment(&segment)));
    } else {
      assert_int_equal(gst_element_set_state(t.sink, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
      g_thread_join(thread);
    }
  }
  sinktest_end(&t);
}

static gpointer push_two(gpointer user) {
  sinktest *t = user;
  (void)gst_harness_push(t->harness, sinktest_ordinary(64 * 48 * 3 / 2, 2, 1));
  return NULL;
}

/* One that takes nothing holds up a frame for long. A pipeline that stops ends that at once; one that pauses does, too,
 * and publishes that frame when it plays on. */
static void a_frame_that_waits_for_a_reader_holds_up_no_state(void **state) {
  const GstState ends[] = { GST_STATE_PAUSED, GST_STATE_NULL };
  (void)state;
  for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
    sinktest t;
    sinktest_begin(&t, "ordered-timeout=1000000000000", SMALL);
    sinktest_subscribe(&t, 1);
    sinktest_push(&t, small(1, 0));
    GThread *thread = g_thread_new("push", push_two, &t);
    while (sinktest_stat(t.sink, "waits") == 0)
      g_usleep(1000);
    const gint64 start = g_get_monotonic_time();
    assert_int_not_equal(gst_element_set_state(t.sink, ends[i]), GST_STATE_CHANGE_FAILURE);
    assert_in_range(g_get_monotonic_time() - start, 0, WAIT_NS / 1000); /* a tenth of ordered-timeout */
    assert_int_equal(sinktest_stat(t.sink, "frames"), 1);
    if (ends[i] == GST_STATE_PAUSED) {
      assert_int_not_equal(gst_element_set_state(t.sink, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
      for (guint8 value = 1; value <= 2; value++) {
        cuframes_frame *frame = sinktest_next(&t);
        sinktest_is_filled(frame, value);
        cuframes_frame_release(frame);
      }
      assert_int_equal(sinktest_stat(t.sink, "evictions"), 0);
    }
    g_thread_join(thread);
    sinktest_end(&t);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(caps_become_the_format),
    cmocka_unit_test(fields_of_mixed_pictures_settle),
    cmocka_unit_test(orientation_is_a_tag),
    cmocka_unit_test(capture_times_are_reference_timestamps),
    cmocka_unit_test(captions_user_data_and_hdr_are_side_data),
    cmocka_unit_test(other_caps_are_another_format),
    cmocka_unit_test(planes_find_their_place),
    cmocka_unit_test(times_jump_at_a_flush_and_at_another_stream),
    cmocka_unit_test(times_are_running_times),
    cmocka_unit_test(the_source_is_what_the_pipeline_does),
    cmocka_unit_test(what_is_live_is_not_delayed_by_latency),
    cmocka_unit_test(failures_are_said_in_gstreamer_s_words),
    cmocka_unit_test(states_leave_nothing_behind),
    cmocka_unit_test(the_socket_has_its_mode),
    cmocka_unit_test(waiting_ends_with_the_pipeline),
    cmocka_unit_test(the_end_waits_for_who_is_to_get_everything),
    cmocka_unit_test(a_frame_that_waits_for_a_reader_holds_up_no_state),
  };
  gst_init(&argc, &argv);
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
