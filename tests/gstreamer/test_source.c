/* test_source.c - cuframessrc beside publishers of this process: what its buffers are, and what it does when downstream
 * keeps them, pictures change, publishers go and come. */
#include "bench.h"

#include <gst/base/gstbasesink.h>

#define PLAIN "cuframessrc name=source "

static GstBuffer *pull(bench *b) {
  GstBuffer *buffer = gst_harness_pull(b->harness);
  assert_non_null(buffer);
  return buffer;
}

static guint8 first_byte(GstBuffer *buffer) {
  guint8 byte = 0;
  assert_int_equal(gst_buffer_extract(buffer, 0, &byte, 1), 1);
  return byte;
}

static void give_value(cuframes_publisher *publisher, bench *b, guint8 value) {
  bench_publish(publisher, value);
  GstBuffer *buffer = pull(b);
  assert_int_equal(first_byte(buffer), value);
  gst_buffer_unref(buffer);
}

/* What a subscriber that comes now sees of the newest frame. */
static guint8 in_the_slot(const char *name) {
  const cuframes_subscriber_options options = { .struct_size = sizeof options };
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  assert_int_equal(cuframes_subscriber_create(name, &options, &subscriber), CUFRAMES_OK);
  assert_int_equal(cuframes_subscriber_next(subscriber, BENCH_PATIENCE, &frame), CUFRAMES_OK);
  const guint8 value = *(const guint8 *)cuframes_frame_plane(frame, 0);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  return value;
}

/* ---- buffers ---- */

static void a_buffer_is_the_frame_where_it_lies(void **state) {
  cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_NV12,
                             .width = 70,
                             .height = 50,
                             .pitch = { 256, 128 },
                             .color = { .matrix = 1, .range = 1, .primaries = 1, .transfer = 1 },
                             .chroma_location = CUFRAMES_CHROMA_LEFT,
                             .sample_aspect_num = 16,
                             .sample_aspect_den = 11 };
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", &format);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  bench_publish(publisher, 7);
  GstBuffer *buffer = pull(&b);
  GstCaps *caps = gst_pad_get_current_caps(b.harness->sinkpad);
  GstCaps *like = gst_caps_from_string("video/x-raw,format=NV12,width=70,height=50,framerate=25/1,"
                                       "colorimetry=(string)bt709,chroma-site=(string)mpeg2,"
                                       "pixel-aspect-ratio=(fraction)16/11");
  assert_true(gst_caps_is_equal(caps, like));
  const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
  assert_non_null(meta);
  assert_int_equal(meta->stride[0], 256);
  assert_int_equal(meta->stride[1], 128);
  assert_int_equal(meta->offset[1], 256 * 50);
  assert_int_equal(gst_buffer_get_size(buffer), 256 * 50 + 128 * 25);
  assert_int_equal(gst_buffer_n_memory(buffer), 1);
  assert_true(GST_MEMORY_IS_READONLY(gst_buffer_peek_memory(buffer, 0)));
  assert_int_equal(GST_BUFFER_OFFSET(buffer), 1);
  assert_int_equal(GST_BUFFER_DURATION(buffer), 40 * GST_MSECOND);
  assert_true(GST_BUFFER_PTS_IS_VALID(buffer));
  assert_int_equal(bench_stat(b.source, "held"), 1);
  gst_buffer_unref(buffer);
  assert_int_equal(bench_stat(b.source, "held"), 0);
  gst_caps_unref(like);
  gst_caps_unref(caps);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

static void an_element_that_writes_gets_a_copy(void **state) {
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN "! videobalance brightness=1", "a");
  bench_joined(publisher, 1);
  bench_publish(publisher, 90);
  GstBuffer *buffer = pull(&b);
  assert_int_not_equal(first_byte(buffer), 90);
  assert_int_equal(in_the_slot("a"), 90);
  assert_int_equal(bench_stat(b.source, "held"), 0); /* the copy is not the lease */
  gst_buffer_unref(buffer);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

/* Who knows no GstVideoMeta takes the planes to lie as caps alone say. */
static void who_knows_no_strides_gets_none(void **state) {
  const cuframes_format format = {
    .pixel_format = CUFRAMES_PIXEL_YUV420P, .width = 70, .height = 50, .pitch = { 256 }
  };
  GstVideoInfo info;
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", &format);
  bench_play(&b, PLAIN "! fakesink silent=true", "a"); /* no source pad for the harness: a sink that asks for nothing */
  bench_joined(publisher, 1);
  GstElement *sink = NULL;
  GstIterator *sinks = gst_bin_iterate_sinks(GST_BIN(b.harness->element));
  GValue item = G_VALUE_INIT;
  assert_int_equal(gst_iterator_next(sinks, &item), GST_ITERATOR_OK);
  sink = g_value_get_object(&item);
  bench_publish(publisher, 7);
  GstMessage *message = bench_message(&b, GST_MESSAGE_ASYNC_DONE | GST_MESSAGE_LATENCY);
  gst_message_unref(message);
  GstSample *sample = NULL;
  while (sample == NULL)
    g_object_get(sink, "last-sample", &sample, NULL);
  GstBuffer *buffer = gst_sample_get_buffer(sample);
  assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(sample)));
  assert_int_equal(gst_buffer_get_size(buffer), GST_VIDEO_INFO_SIZE(&info));
  assert_int_equal(bench_stat(b.source, "copied-for-layout"), 1);
  assert_int_equal(first_byte(buffer), 7);
  gst_sample_unref(sample);
  g_value_unset(&item);
  gst_iterator_free(sinks);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

static void side_data_are_metas(void **state) {
  static const guint8 sei[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 'h', 'i' };
  static const guint8 captions[] = { 0xfc, 0x94, 0x2c, 0xfc, 0x80, 0x80 };
  const cuframes_mastering_display display = { .primaries = { 8500, 39850, 6550, 2300, 35400, 14600 },
                                               .white_point = { 15635, 16450 },
                                               .max_luminance = 10000000,
                                               .min_luminance = 50 };
  const cuframes_content_light light = { .max_content = 1000, .max_average = 400 };
  const cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_NV12,
                                   .width = 64,
                                   .height = 48,
                                   .field_order = CUFRAMES_FIELDS_TOP_FIRST,
                                   .orientation = CUFRAMES_ORIENTATION_RIGHT_TOP };
  const cuframes_publish_info info = { .struct_size = sizeof info,
                                       .pts = CUFRAMES_NO_TIME,
                                       .flags = CUFRAMES_FRAME_CORRUPT,
                                       .capture_time = 1700000000123456789 };
  cuframes_frame *frame = NULL;
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", &format);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  assert_int_equal(cuframes_publisher_acquire(publisher, &frame), CUFRAMES_OK);
  assert_int_equal(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_SEI_USER_DATA, sei, sizeof sei), 0);
  assert_int_equal(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_A53_CAPTIONS, captions, sizeof captions), 0);
  assert_int_equal(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_MASTERING_DISPLAY, &display, sizeof display),
                   0);
  assert_int_equal(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &light, sizeof light), 0);
  assert_int_equal(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_APPLICATION + 3, "own", 3), 0);
  assert_int_equal(cuframes_publisher_publish(publisher, frame, &info), CUFRAMES_OK);
  GstBuffer *buffer = pull(&b);

  GstVideoSEIUserDataUnregisteredMeta *user = gst_buffer_get_video_sei_user_data_unregistered_meta(buffer);
  assert_non_null(user);
  assert_memory_equal(user->uuid, sei, 16);
  assert_int_equal(user->size, 2);
  assert_memory_equal(user->data, "hi", 2);
  const GstVideoCaptionMeta *caption = gst_buffer_get_video_caption_meta(buffer);
  assert_non_null(caption);
  assert_int_equal(caption->caption_type, GST_VIDEO_CAPTION_TYPE_CEA708_RAW);
  assert_int_equal(caption->size, sizeof captions);
  assert_memory_equal(caption->data, captions, sizeof captions);
  GstCustomMeta *own = gst_buffer_get_custom_meta(buffer, "CuframesSideData");
  assert_non_null(own);
  GBytes *bytes = NULL;
  guint type = 0;
  assert_true(gst_structure_get(gst_custom_meta_get_structure(own), "type", G_TYPE_UINT, &type, "data", G_TYPE_BYTES,
                                &bytes, NULL));
  assert_int_equal(type, CUFRAMES_SIDE_DATA_APPLICATION + 3);
  assert_memory_equal(g_bytes_get_data(bytes, NULL), "own", 3);
  g_bytes_unref(bytes);
  GstCaps *unix_time = gst_caps_from_string("timestamp/x-unix");
  const GstReferenceTimestampMeta *taken = gst_buffer_get_reference_timestamp_meta(buffer, unix_time);
  assert_non_null(taken);
  assert_int_equal(taken->timestamp, 1700000000123456789);
  gst_caps_unref(unix_time);

  GstCaps *caps = gst_pad_get_current_caps(b.harness->sinkpad);
  const GstStructure *said = gst_caps_get_structure(caps, 0);
  assert_string_equal(gst_structure_get_string(said, "content-light-level"), "1000:400");
  assert_non_null(gst_structure_get_string(said, "mastering-display-info"));
  assert_string_equal(gst_structure_get_string(said, "interlace-mode"), "interleaved");
  assert_string_equal(gst_structure_get_string(said, "field-order"), "top-field-first");
  gst_caps_unref(caps);
  assert_true(GST_BUFFER_FLAG_IS_SET(buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED));
  assert_true(GST_BUFFER_FLAG_IS_SET(buffer, GST_VIDEO_BUFFER_FLAG_TFF));
  assert_true(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED));
  gst_buffer_unref(buffer);

  GstTagList *tags = NULL;
  gchar *orientation = NULL;
  GstEvent *event = gst_pad_get_sticky_event(b.harness->sinkpad, GST_EVENT_TAG, 0);
  assert_non_null(event);
  gst_event_parse_tag(event, &tags);
  assert_true(gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &orientation));
  assert_string_equal(orientation, "rotate-90");
  g_free(orientation);
  gst_event_unref(event);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

/* Through both elements into another stream: all that a frame says, in the words of the library. */
static void a_frame_says_the_same_behind_both(void **state) {
  static const guint8 sei[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 'h', 'i' };
  static const guint8 captions[] = { 0xfc, 0x94, 0x2c };
  const cuframes_camera_calibration lens = { .fx = 700, .fy = 701, .cx = 32, .cy = 24, .width = 64, .height = 48 };
  const cuframes_content_light light = { .max_content = 1000, .max_average = 400 };
  const struct {
    guint32 type;
    gconstpointer data;
    gsize size;
  } pieces[] = { { CUFRAMES_SIDE_DATA_SEI_USER_DATA, sei, sizeof sei },
                 { CUFRAMES_SIDE_DATA_A53_CAPTIONS, captions, sizeof captions },
                 { CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION, &lens, sizeof lens },
                 { CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &light, sizeof light },
                 { CUFRAMES_SIDE_DATA_APPLICATION + 3, "own", 3 } };
  const cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_YUV420P,
                                   .width = 66,
                                   .height = 48,
                                   .color = { .matrix = 9, .range = 1, .primaries = 9, .transfer = 16 },
                                   .chroma_location = CUFRAMES_CHROMA_TOP_LEFT,
                                   .field_order = CUFRAMES_FIELDS_BOTTOM_FIRST,
                                   .orientation = CUFRAMES_ORIENTATION_LEFT_BOTTOM,
                                   .sample_aspect_num = 16,
                                   .sample_aspect_den = 11 };
  const cuframes_publish_info info = { .struct_size = sizeof info,
                                       .pts = CUFRAMES_NO_TIME,
                                       .capture_time = 1700000000123456789 };
  const cuframes_subscriber_options options = { .struct_size = sizeof options, .connect_timeout_ns = BENCH_PATIENCE };
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  cuframes_publisher *publisher = bench_publisher("a", &format);
  GstElement *pipeline = gst_parse_launch("cuframessrc stream=a ! cuframessink stream=b", NULL);
  (void)state;
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  bench_joined(publisher, 1);
  assert_int_equal(cuframes_subscriber_create("b", &options, &subscriber), CUFRAMES_OK);
  assert_int_equal(cuframes_publisher_acquire(publisher, &frame), CUFRAMES_OK);
  for (gsize i = 0; i < G_N_ELEMENTS(pieces); i++)
    assert_int_equal(cuframes_frame_add_side_data(frame, pieces[i].type, pieces[i].data, pieces[i].size), CUFRAMES_OK);
  assert_int_equal(cuframes_publisher_publish(publisher, frame, &info), CUFRAMES_OK);
  assert_int_equal(cuframes_subscriber_next(subscriber, BENCH_PATIENCE, &frame), CUFRAMES_OK);
  const cuframes_format *said = cuframes_frame_format(frame);
  assert_memory_equal(&said->color, &format.color, sizeof format.color);
  assert_int_equal(said->chroma_location, format.chroma_location);
  assert_int_equal(said->field_order, format.field_order);
  assert_int_equal(said->orientation, format.orientation);
  assert_int_equal(said->sample_aspect_num, 16);
  assert_int_equal(said->sample_aspect_den, 11);
  assert_int_equal(cuframes_frame_capture_time(frame), info.capture_time);
  for (gsize i = 0; i < G_N_ELEMENTS(pieces); i++) {
    gsize size = 0;
    gconstpointer data = cuframes_frame_side_data(frame, pieces[i].type, &size);
    assert_non_null(data);
    assert_int_equal(size, pieces[i].size);
    assert_memory_equal(data, pieces[i].data, size);
  }
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  cuframes_publisher_destroy(publisher);
}

/* ---- what downstream does ---- */

/* It keeps every buffer: past all leases but one they are copies, publisher and others notice nothing, one warning. */
static void who_keeps_all_gets_copies(void **state) {
  const cuframes_subscriber_options options = { .struct_size = sizeof options,
                                                .mode = CUFRAMES_MODE_ORDERED,
                                                .depth = 32 };
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  cuframes_subscriber *other = NULL;
  cuframes_frame *frame = NULL;
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN "leases=4 mode=ordered depth=32", "a");
  assert_int_equal(cuframes_subscriber_create("a", &options, &other), CUFRAMES_OK);
  bench_joined(publisher, 2);
  for (guint8 i = 1; i <= 20; i++) {
    bench_publish(publisher, i);
    bench_wait(&b, i);
    assert_int_equal(cuframes_subscriber_next(other, BENCH_PATIENCE, &frame), CUFRAMES_OK);
    assert_int_equal(*(const guint8 *)cuframes_frame_plane(frame, 0), i);
    cuframes_frame_release(frame);
  }
  assert_int_equal(bench_stat(b.source, "held"), 3);
  assert_int_equal(bench_stat(b.source, "copied-for-leases"), 17);
  gst_message_unref(bench_message(&b, GST_MESSAGE_WARNING));
  assert_null(gst_bus_pop_filtered(b.bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR));
  for (guint8 i = 1; i <= 20; i++) {
    GstBuffer *buffer = pull(&b);
    assert_int_equal(first_byte(buffer), i);
    assert_int_equal(GST_MEMORY_IS_READONLY(gst_buffer_peek_memory(buffer, 0)), i <= 3);
    assert_int_equal(GST_BUFFER_OFFSET(buffer), i);
    gst_buffer_unref(buffer);
  }
  give_value(publisher, &b, 21); /* and leases are free again */
  assert_int_equal(bench_stat(b.source, "copied-for-leases"), 17);
  assert_int_equal(cuframes_publisher_get_stats(publisher, &stats), CUFRAMES_OK);
  assert_int_equal(stats.dropped + stats.evictions + stats.waits, 0);
  cuframes_subscriber_destroy(other);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

static void buffers_outlive_their_element_and_publisher(void **state) {
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  bench_publish(publisher, 33);
  GstBuffer *buffer = pull(&b);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(first_byte(buffer), 33);
  gst_buffer_unref(buffer);
}

static void a_live_source_says_its_latency(void **state) {
  GstQuery *query = gst_query_new_latency();
  gboolean live = FALSE;
  GstClockTime least = 0, most = 0;
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  give_value(publisher, &b, 1);
  assert_true(gst_element_query(b.source, query));
  gst_query_parse_latency(query, &live, &least, &most);
  assert_true(live);
  assert_int_equal(least, 20 * GST_MSECOND); /* half a frame */
  assert_int_equal(most, GST_CLOCK_TIME_NONE);
  g_object_set(b.source, "latency", (gint64)GST_SECOND, NULL);
  assert_true(gst_element_query(b.source, query));
  gst_query_parse_latency(query, NULL, &least, NULL);
  assert_int_equal(least, GST_SECOND);
  gst_query_unref(query);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

typedef struct lateness {
  GstElement *sink;
  GMutex lock;
  GCond changed;
  guint came, late;
} lateness;

static GstPadProbeReturn count_late(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  lateness *l = data;
  const GstClockTime latency = gst_base_sink_get_latency(GST_BASE_SINK(l->sink));
  const GstClockTime due = GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)) + latency;
  (void)pad;
  g_mutex_lock(&l->lock);
  l->came++;
  if (l->came > 1 && gst_element_get_current_running_time(l->sink) > due)
    l->late++;
  g_cond_broadcast(&l->changed);
  g_mutex_unlock(&l->lock);
  return GST_PAD_PROBE_OK;
}

static void wait_came(lateness *l, guint count) {
  const gint64 limit = g_get_monotonic_time() + BENCH_PATIENCE / GST_USECOND;
  g_mutex_lock(&l->lock);
  while (l->came < count && g_cond_wait_until(&l->changed, &l->lock, limit))
    ;
  assert_int_equal(l->came, count);
  g_mutex_unlock(&l->lock);
}

/* Of nine frames, with that latency: those that come behind the time when a sink that keeps time is to show them. */
static guint late_frames(gint64 latency) {
  GstElement *pipeline = gst_parse_launch("cuframessrc name=source stream=a mode=ordered depth=16 ! queue name=queue ! "
                                          "fakesink name=sink sync=true processing-deadline=0",
                                          NULL);
  GstElement *source = gst_bin_get_by_name(GST_BIN(pipeline), "source");
  GstElement *queue = gst_bin_get_by_name(GST_BIN(pipeline), "queue");
  GstPad *pad = gst_element_get_static_pad(queue, "sink");
  lateness l = { .sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink") };
  g_mutex_init(&l.lock);
  g_cond_init(&l.changed);
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  g_object_set(source, "latency", latency, NULL);
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, count_late, &l, NULL);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  bench_joined(publisher, 1);
  bench_publish(publisher, 1);
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(bus, BENCH_PATIENCE, GST_MESSAGE_ASYNC_DONE);
  assert_non_null(message); /* from here on latency can be asked for, as gst-launch-1.0 does now, too */
  gst_message_unref(message);
  assert_true(gst_bin_recalculate_latency(GST_BIN(pipeline)));
  for (guint8 i = 2; i <= 10; i++)
    bench_publish(publisher, i);
  wait_came(&l, 10);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  cuframes_publisher_destroy(publisher);
  gst_object_unref(bus);
  gst_object_unref(pad);
  gst_object_unref(queue);
  gst_object_unref(source);
  gst_object_unref(l.sink);
  gst_object_unref(pipeline);
  g_mutex_clear(&l.lock);
  g_cond_clear(&l.changed);
  return l.late;
}

static void a_sink_that_keeps_time_finds_nothing_late(void **state) {
  (void)state;
  assert_int_equal(late_frames(10 * (gint64)GST_SECOND), 0);
  assert_in_range(late_frames(0), 1, 9); /* a frame is taken behind its time, which this shows */
}

/* ---- changes ---- */

static void other_pictures_are_other_caps(void **state) {
  const cuframes_format other = { .pixel_format = CUFRAMES_PIXEL_RGB24, .width = 32, .height = 16 };
  bench b;
  gint width = 0;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  give_value(publisher, &b, 1);
  assert_int_equal(cuframes_publisher_set_format(publisher, &other), CUFRAMES_OK);
  bench_publish(publisher, 2);
  GstBuffer *buffer = pull(&b);
  GstCaps *caps = gst_pad_get_current_caps(b.harness->sinkpad);
  const GstStructure *said = gst_caps_get_structure(caps, 0);
  assert_string_equal(gst_structure_get_string(said, "format"), "RGB");
  assert_true(gst_structure_get_int(said, "width", &width));
  assert_int_equal(width, 32);
  assert_int_equal(gst_buffer_get_video_meta(buffer)->width, 32);
  assert_int_equal(first_byte(buffer), 2);
  gst_caps_unref(caps);
  gst_buffer_unref(buffer);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

static void tensors_are_refused(void **state) {
  const cuframes_format tensor = { .pixel_format = CUFRAMES_PIXEL_TENSOR,
                                   .tensor = { .element = CUFRAMES_ELEMENT_FLOAT32, .dims = 1, .size = { 8 } } };
  GError *error = NULL;
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", &tensor);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  bench_publish(publisher, 1);
  GstMessage *message = bench_message(&b, GST_MESSAGE_ERROR);
  gst_message_parse_error(message, &error, NULL);
  assert_true(g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
  g_error_free(error);
  gst_message_unref(message);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

/* Slow on purpose: what was not taken is a gap. */
static void a_gap_is_a_discontinuity(void **state) {
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  give_value(publisher, &b, 1);
  bench_publish(publisher, 2);
  GstBuffer *buffer = pull(&b);
  assert_false(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT));
  gst_buffer_unref(buffer);
  gst_element_set_state(b.harness->element, GST_STATE_PAUSED); /* leaves */
  bench_publish(publisher, 3);
  bench_publish(publisher, 4);
  gst_element_set_state(b.harness->element, GST_STATE_PLAYING);
  buffer = pull(&b);
  assert_int_equal(first_byte(buffer), 4);
  assert_true(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT));
  gst_buffer_unref(buffer);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

static void a_publisher_that_returns_goes_on(void **state) {
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN "reconnect=true", "a");
  bench_joined(publisher, 1);
  bench_publish(publisher, 200);
  GstBuffer *before = pull(&b);
  cuframes_publisher_destroy(publisher);
  publisher = bench_publisher("a", NULL);
  bench_joined(publisher, 1);
  bench_publish(publisher, 1); /* its times begin anew */
  GstBuffer *buffer = pull(&b);
  assert_int_equal(first_byte(buffer), 1);
  assert_true(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT));
  assert_true(GST_BUFFER_PTS(buffer) > GST_BUFFER_PTS(before));
  assert_int_equal(first_byte(before), 200);
  assert_int_equal(bench_stat(b.source, "reconnects"), 1);
  gst_buffer_unref(before);
  gst_buffer_unref(buffer);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

static void without_reconnect_the_end_is_the_end(void **state) {
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN, "a");
  bench_joined(publisher, 1);
  give_value(publisher, &b, 1);
  cuframes_publisher_destroy(publisher);
  GstEvent *event = NULL;
  gboolean ended = FALSE;
  while (!ended && (event = gst_harness_pull_event(b.harness)) != NULL) {
    ended = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
    gst_event_unref(event);
  }
  assert_true(ended);
  bench_end(&b);
}

/* ---- errors ---- */

static void error_is(const gchar *pipeline, const gchar *stream, GQuark domain, gint code, const gchar *word) {
  GError *error = NULL;
  gchar *debug = NULL;
  bench b;
  bench_play(&b, pipeline, stream);
  GstMessage *message = bench_message(&b, GST_MESSAGE_ERROR);
  gst_message_parse_error(message, &error, &debug);
  if (!g_error_matches(error, domain, code) || strstr(error->message, word) == NULL)
    fail_msg("%s %d: %s (%s)", g_quark_to_string(error->domain), error->code, error->message, debug);
  g_error_free(error);
  g_free(debug);
  gst_message_unref(message);
  bench_end(&b);
}

static void errors_say_what_and_why(void **state) {
  (void)state;
  error_is(PLAIN, "nobody", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND, "nobody publishes it");
  error_is(PLAIN, "no/name", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "no/name");
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  error_is(PLAIN "device=cuda", "a", GST_STREAM_ERROR, GST_STREAM_ERROR_NOT_IMPLEMENTED, "host");
  error_is(PLAIN "timeout=1000000", "a", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "a");
  cuframes_publisher_destroy(publisher);
}

static void without_a_name_it_does_not_start(void **state) {
  GstElement *source = gst_object_ref_sink(gst_element_factory_make("cuframessrc", NULL));
  GstBus *bus = gst_bus_new();
  GError *error = NULL;
  (void)state;
  gst_element_set_bus(source, bus);
  assert_int_equal(gst_element_set_state(source, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
  assert_non_null(message);
  gst_message_parse_error(message, &error, NULL);
  assert_true(g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  g_error_free(error);
  gst_message_unref(message);
  gst_element_set_state(source, GST_STATE_NULL);
  gst_element_set_bus(source, NULL);
  gst_object_unref(bus);
  gst_object_unref(source);
}

static void it_waits_for_a_stream_as_long_as_it_is_told(void **state) {
  bench b;
  (void)state;
  bench_play(&b, PLAIN "connect-timeout=-1", "later");
  cuframes_publisher *publisher = bench_publisher("later", NULL);
  bench_joined(publisher, 1);
  give_value(publisher, &b, 9);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

/* ---- states ---- */

/* Waiting for a stream, for a frame, or giving some: 500 times up and down. */
static void states_leave_nothing_behind(void **state) {
  static const GstState targets[] = { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED };
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  guint descriptors = 0, threads = 0;
  bench b;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("a", NULL);
  bench_play(&b, PLAIN "connect-timeout=-1", "a");
  bench_joined(publisher, 1);
  for (guint i = 0; i < 500; i++) {
    if (i == 10) { /* what is made once is there */
      descriptors = bench_descriptors();
      threads = bench_threads();
    }
    if (i % 3 != 0)
      bench_publish(publisher, (guint8)i);
    assert_int_not_equal(gst_element_set_state(b.harness->element, targets[i % 3]), GST_STATE_CHANGE_FAILURE);
    if (i % 3 == 0)
      g_object_set(b.source, "stream", i % 2 == 0 ? "a" : "nobody", NULL);
    assert_int_not_equal(gst_element_set_state(b.harness->element, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  }
  gst_element_set_state(b.harness->element, GST_STATE_NULL);
  while (gst_harness_buffers_in_queue(b.harness) > 0)
    gst_buffer_unref(pull(&b));
  assert_int_equal(bench_stat(b.source, "held"), 0);
  bench_descriptors_end(descriptors + 30); /* the publisher's pool may have grown; a leak would be hundreds */
  bench_threads_end(threads);
  assert_int_equal(cuframes_publisher_get_stats(publisher, &stats), CUFRAMES_OK);
  bench_end(&b);
  cuframes_publisher_destroy(publisher);
}

/* ---- addresses ---- */

static void addresses_are_taken(void **state) {
  static const gchar *const wrong[] = { "cuframes://",           "cuframes://a?mode=all", "cuframes://a?nothing=1",
                                        "cuframes://a?mode",     "cuframes://a?name=b",   "cuframes-packets://a",
                                        "cuframes://a?leases=1", "cuframes://a%2fb",      "file:///a" };
  GError *error = NULL;
  gchar *stream = NULL, *directory = NULL, *uri = NULL;
  guint leases = 0;
  gint mode = 0;
  (void)state;
  GstElement *source = gst_element_make_from_uri(
      GST_URI_SRC, "cuframes://caf.e%2D1/?mode=ordered&leases=7&directory=%2Ftmp%2Fa%26b", NULL, &error);
  assert_null(error);
  assert_non_null(source);
  g_object_get(source, "stream", &stream, "leases", &leases, "mode", &mode, "directory", &directory, NULL);
  assert_string_equal(stream, "caf.e-1");
  assert_string_equal(directory, "/tmp/a&b");
  assert_int_equal(leases, 7);
  assert_int_equal(mode, CUFRAMES_MODE_ORDERED);
  uri = gst_uri_handler_get_uri(GST_URI_HANDLER(source));
  assert_string_equal(uri, "cuframes://caf.e-1");
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    assert_false(gst_uri_handler_set_uri(GST_URI_HANDLER(source), wrong[i], &error));
    assert_non_null(error);
    g_clear_error(&error);
  }
  g_free(stream);
  g_free(directory);
  g_free(uri);
  gst_object_unref(gst_object_ref_sink(source));
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_buffer_is_the_frame_where_it_lies),
    cmocka_unit_test(an_element_that_writes_gets_a_copy),
    cmocka_unit_test(who_knows_no_strides_gets_none),
    cmocka_unit_test(side_data_are_metas),
    cmocka_unit_test(a_frame_says_the_same_behind_both),
    cmocka_unit_test(who_keeps_all_gets_copies),
    cmocka_unit_test(buffers_outlive_their_element_and_publisher),
    cmocka_unit_test(a_live_source_says_its_latency),
    cmocka_unit_test(a_sink_that_keeps_time_finds_nothing_late),
    cmocka_unit_test(other_pictures_are_other_caps),
    cmocka_unit_test(tensors_are_refused),
    cmocka_unit_test(a_gap_is_a_discontinuity),
    cmocka_unit_test(a_publisher_that_returns_goes_on),
    cmocka_unit_test(without_reconnect_the_end_is_the_end),
    cmocka_unit_test(errors_say_what_and_why),
    cmocka_unit_test(without_a_name_it_does_not_start),
    cmocka_unit_test(it_waits_for_a_stream_as_long_as_it_is_told),
    cmocka_unit_test(states_leave_nothing_behind),
    cmocka_unit_test(addresses_are_taken),
  };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
