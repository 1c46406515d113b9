/* sinktest.c - see sinktest.h. */
#include "sinktest.h"

#include <glib/gstdio.h>
#include <string.h>

void sinktest_prepare(sinktest *t) {
  *t = (sinktest){ .directory = g_dir_make_tmp("sink-XXXXXX", NULL) };
  assert_non_null(t->directory);
}

void sinktest_begin(sinktest *t, const gchar *properties, const gchar *caps) {
  sinktest_prepare(t);
  sinktest_begin_there(t, properties, caps);
}

void sinktest_begin_there(sinktest *t, const gchar *properties, const gchar *caps) {
  gchar *line = g_strdup_printf("cuframessink stream=cam directory=%s %s", t->directory, properties);
  t->sink = gst_parse_launch(line, NULL);
  g_free(line);
  assert_non_null(t->sink);
  gst_object_ref_sink(t->sink);
  t->harness = gst_harness_new_with_element(t->sink, "sink", NULL);
  gst_harness_play(t->harness);
  if (caps)
    sinktest_negotiate(t, caps);
}

static void drop_pool(sinktest *t) {
  if (t->pool)
    gst_buffer_pool_set_active(t->pool, FALSE);
  gst_clear_object(&t->pool);
}

void sinktest_negotiate(sinktest *t, const gchar *text) {
  GstCaps *caps = gst_caps_from_string(text);
  drop_pool(t);
  gst_harness_set_src_caps(t->harness, gst_caps_ref(caps));
  GstQuery *query = gst_query_new_allocation(caps, TRUE);
  assert_true(gst_pad_peer_query(t->harness->srcpad, query));
  if (gst_query_get_n_allocation_pools(query) > 0) {
    gst_query_parse_nth_allocation_pool(query, 0, &t->pool, NULL, NULL, NULL);
    assert_non_null(t->pool);
    assert_true(gst_buffer_pool_set_active(t->pool, TRUE));
  }
  gst_query_unref(query);
  gst_caps_unref(caps);
}

void sinktest_end(sinktest *t) {
  cuframes_subscriber_destroy(t->subscriber);
  drop_pool(t);
  gst_harness_teardown(t->harness);
  gst_object_unref(t->sink);
  assert_int_equal(g_rmdir(t->directory), 0);
  g_free(t->directory);
}

void sinktest_subscribe(sinktest *t, guint depth) {
  const cuframes_subscriber_options options = {
    .struct_size = sizeof options, .mode = CUFRAMES_MODE_ORDERED, .directory = t->directory, .depth = depth, .leases = 2
  };
  assert_int_equal(cuframes_subscriber_create("cam", &options, &t->subscriber), CUFRAMES_OK);
}

cuframes_frame *sinktest_next(sinktest *t) {
  cuframes_frame *frame = NULL;
  assert_int_equal(cuframes_subscriber_next(t->subscriber, WAIT_NS, &frame), CUFRAMES_OK);
  return frame;
}

static GstBuffer *stamped(GstBuffer *buffer, guint8 value, guint number) {
  assert_non_null(buffer);
  gst_buffer_memset(buffer, 0, value, gst_buffer_get_size(buffer));
  GST_BUFFER_PTS(buffer) = number * GST_SECOND / 25;
  GST_BUFFER_DURATION(buffer) = GST_SECOND / 25;
  return buffer;
}

GstBuffer *sinktest_buffer(sinktest *t, guint8 value, guint number) {
  GstBuffer *buffer = NULL;
  assert_int_equal(gst_buffer_pool_acquire_buffer(t->pool, &buffer, NULL), GST_FLOW_OK);
  return stamped(buffer, value, number);
}

GstBuffer *sinktest_ordinary(gsize size, guint8 value, guint number) {
  return stamped(gst_buffer_new_allocate(NULL, size, NULL), value, number);
}

void sinktest_push(sinktest *t, GstBuffer *buffer) {
  assert_int_equal(gst_harness_push(t->harness, buffer), GST_FLOW_OK);
}

void sinktest_is_filled(cuframes_frame *frame, guint8 value) {
  uint32_t bytes = 0, rows = 0;
  assert_int_equal(cuframes_format_plane_size(cuframes_frame_format(frame), 0, &bytes, &rows), CUFRAMES_OK);
  for (uint32_t row = 0; row < rows; row++) {
    const guint8 *at = (const guint8 *)cuframes_frame_plane(frame, 0) + (gsize)row * cuframes_frame_pitch(frame, 0);
    for (uint32_t i = 0; i < bytes; i++)
      assert_int_equal(at[i], value);
  }
}

guint64 sinktest_stat(GstElement *sink, const gchar *name) {
  GstStructure *stats = NULL;
  g_object_get(sink, "stats", &stats, NULL);
  assert_non_null(stats);
  const GValue *value = gst_structure_get_value(stats, name);
  assert_non_null(value);
  const guint64 number = G_VALUE_HOLDS_UINT64(value) ? g_value_get_uint64(value) : g_value_get_uint(value);
  gst_structure_free(stats);
  return number;
}
