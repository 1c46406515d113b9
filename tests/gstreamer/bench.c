/* bench.c - see bench.h. */
#include "bench.h"

#include <glib/gstdio.h>

static gchar *directory;

int bench_setup(void **state) {
  (void)state;
  directory = g_dir_make_tmp("cuframes-gst-XXXXXX", NULL);
  return directory != NULL && g_setenv("CUFRAMES_DIR", directory, TRUE) ? 0 : -1;
}

int bench_teardown(void **state) {
  (void)state;
  GDir *dir = g_dir_open(directory, 0, NULL);
  const gchar *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    gchar *path = g_build_filename(directory, name, NULL);
    (void)g_unlink(path);
    g_free(path);
  }
  if (dir != NULL)
    g_dir_close(dir);
  (void)g_rmdir(directory);
  g_free(directory);
  return 0;
}

cuframes_publisher *bench_publisher(const char *name, const cuframes_format *format) {
  const cuframes_format plain = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 64, .height = 48 };
  const cuframes_publisher_options options = { .struct_size = sizeof options,
                                               .format = format != NULL ? *format : plain,
                                               .side_data_max = 4096,
                                               .ordered_timeout_ns = BENCH_PATIENCE };
  cuframes_publisher *publisher = NULL;
  if (cuframes_publisher_create(name, &options, &publisher) != CUFRAMES_OK)
    fail_msg("%s", cuframes_last_error());
  return publisher;
}

void bench_publish(cuframes_publisher *publisher, guint8 value) {
  const cuframes_publish_info info = { .struct_size = sizeof info,
                                       .pts = value * 40 * (gint64)GST_MSECOND,
                                       .duration = 40 * (gint64)GST_MSECOND };
  cuframes_frame *frame = NULL;
  assert_int_equal(cuframes_publisher_acquire(publisher, &frame), CUFRAMES_OK);
  const cuframes_format *format = cuframes_frame_format(frame);
  for (gint i = 0; i < cuframes_pixel_format_planes(format->pixel_format); i++) {
    guint32 rows = 0;
    assert_int_equal(cuframes_format_plane_size(format, i, NULL, &rows), CUFRAMES_OK);
    memset(cuframes_frame_plane(frame, i), value, (gsize)format->pitch[i] * rows);
  }
  assert_int_equal(cuframes_publisher_publish(publisher, frame, &info), CUFRAMES_OK);
}

void bench_joined(cuframes_publisher *publisher, guint32 count) {
  assert_int_equal(cuframes_publisher_wait_subscribers(publisher, count, BENCH_PATIENCE), CUFRAMES_OK);
}

static GstPadProbeReturn count(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  bench *b = data;
  (void)pad;
  (void)info;
  g_mutex_lock(&b->lock);
  b->buffers++;
  g_cond_broadcast(&b->came);
  g_mutex_unlock(&b->lock);
  return GST_PAD_PROBE_OK;
}

void bench_play(bench *b, const gchar *pipeline, const gchar *stream) {
  *b = (bench){ .harness = gst_harness_new_parse(pipeline), .bus = gst_bus_new() };
  g_mutex_init(&b->lock);
  g_cond_init(&b->came);
  b->source = GST_IS_BIN(b->harness->element) ? gst_bin_get_by_name(GST_BIN(b->harness->element), "source")
                                              : gst_object_ref(b->harness->element);
  assert_non_null(b->source);
  if (stream != NULL)
    g_object_set(b->source, "stream", stream, NULL);
  gst_element_set_bus(b->harness->element, b->bus);
  gst_harness_use_systemclock(b->harness);
  gst_harness_add_propose_allocation_meta(b->harness, GST_VIDEO_META_API_TYPE, NULL);
  if (b->harness->sinkpad != NULL)
    gst_pad_add_probe(b->harness->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, count, b, NULL);
  gst_harness_play(b->harness);
}

void bench_wait(bench *b, guint buffers) {
  const gint64 limit = g_get_monotonic_time() + BENCH_PATIENCE / GST_USECOND;
  g_mutex_lock(&b->lock);
  while (b->buffers < buffers && g_cond_wait_until(&b->came, &b->lock, limit))
    ;
  const guint came = b->buffers;
  g_mutex_unlock(&b->lock);
  assert_in_range(came, buffers, G_MAXUINT);
}

void bench_end(bench *b) {
  gst_object_unref(b->source);
  gst_element_set_bus(b->harness->element, NULL);
  gst_harness_teardown(b->harness);
  gst_object_unref(b->bus);
  g_mutex_clear(&b->lock);
  g_cond_clear(&b->came);
}

GstMessage *bench_message(bench *b, GstMessageType type) {
  GstMessage *message = gst_bus_timed_pop_filtered(b->bus, BENCH_PATIENCE, type);
  assert_non_null(message);
  return message;
}

guint64 bench_stat(GstElement *source, const gchar *field) {
  GstStructure *stats = NULL;
  guint64 value = G_MAXUINT64;
  guint small = 0;
  g_object_get(source, "stats", &stats, NULL);
  if (gst_structure_get_uint(stats, field, &small))
    value = small;
  else
    assert_true(gst_structure_get_uint64(stats, field, &value));
  gst_structure_free(stats);
  return value;
}

static guint entries(const gchar *path) {
  GDir *dir = g_dir_open(path, 0, NULL);
  guint found = 0;
  assert_non_null(dir);
  while (g_dir_read_name(dir) != NULL)
    found++;
  g_dir_close(dir);
  return found;
}

guint bench_descriptors(void) {
  return entries("/proc/self/fd");
}

guint bench_threads(void) {
  return entries("/proc/self/task");
}

static void wait_for_at_most(guint (*number)(void), guint most) {
  const gint64 limit = g_get_monotonic_time() + BENCH_PATIENCE / GST_USECOND;
  while (number() > most && g_get_monotonic_time() < limit) {
    g_thread_pool_stop_unused_threads(); /* which GLib keeps for the next task */
    g_thread_yield();
  }
  assert_in_range(number(), 1, most);
}

void bench_descriptors_end(guint most) {
  wait_for_at_most(bench_descriptors, most);
}

void bench_threads_end(guint most) {
  wait_for_at_most(bench_threads, most);
}
