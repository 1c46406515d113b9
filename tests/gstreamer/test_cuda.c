/* test_cuda.c - memory:CUDAMemory through cuframessink and cuframessrc, over the CUDA stand-in and GStreamer's own
 * GstCuda: what goes in comes out, where it lay, and everything goes back. */
#define GST_USE_UNSTABLE_API
#include <gst/app/gstappsink.h>
#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#include <gst/cuda/gstcudautils.h>

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "mute.h"
#include "sinktest.h"
#include "standin.h"

#define FRAMES 12
#define END_NS (INT64_C(30) * 1000000000) /* for what goes within milliseconds: a leak never does */
#define NV12_CAPS "video/x-raw(memory:CUDAMemory),format=NV12,width=64,height=48,framerate=25/1"

/* ---- buffers of a context ---- */

static GstCudaContext *context_new(guint device) {
  GstCudaContext *context = gst_cuda_context_new(device);
  assert_non_null(context);
  return context;
}

static GstBufferPool *pool_new(GstCudaContext *context, const gchar *text) {
  GstCaps *caps = gst_caps_from_string(text);
  GstVideoInfo info;
  assert_true(gst_video_info_from_caps(&info, caps));
  GstBufferPool *pool = gst_cuda_buffer_pool_new(context);
  GstStructure *config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, (guint)info.size, 0, 0);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  assert_true(gst_buffer_pool_set_config(pool, config));
  assert_true(gst_buffer_pool_set_active(pool, TRUE));
  gst_caps_unref(caps);
  return pool;
}

static guint8 sample(guint number, guint plane, guint row, guint byte) {
  return (guint8)(number * 31 + plane * 57 + row * 3 + byte * 7);
}

/* Each byte that is seen is another one, by the CPU, which GstCuda uploads. */
static GstBuffer *draw(GstBufferPool *pool, const gchar *text, guint number) {
  GstBuffer *buffer = NULL;
  GstCaps *caps = gst_caps_from_string(text);
  GstVideoInfo info;
  GstVideoFrame frame;
  assert_true(gst_video_info_from_caps(&info, caps));
  gst_caps_unref(caps);
  assert_int_equal(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
  assert_true(gst_is_cuda_memory(gst_buffer_peek_memory(buffer, 0)));
  assert_true(gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE));
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); plane++)
    for (guint row = 0; row < (guint)GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane); row++)
      for (guint byte = 0; byte < (guint)(GST_VIDEO_INFO_PLANE_STRIDE(&info, plane)); byte++)
        ((guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame,
                                              plane))[row * (guint)GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane) + byte] =
            sample(number, plane, row, byte);
  gst_video_frame_unmap(&frame);
  GST_BUFFER_PTS(buffer) = number * GST_SECOND / 25;
  GST_BUFFER_DURATION(buffer) = GST_SECOND / 25;
  return buffer;
}

static void is_drawn(GstSample *got, guint number) {
  GstVideoInfo info;
  GstVideoFrame frame;
  assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(got)));
  assert_true(gst_video_frame_map(&frame, &info, gst_sample_get_buffer(got), GST_MAP_READ));
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); plane++)
    for (guint row = 0; row < (guint)GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane); row++)
      for (guint byte = 0; byte < (guint)GST_VIDEO_INFO_PLANE_STRIDE(&info, plane); byte++)
        assert_int_equal(((guint8 *)GST_VIDEO_FRAME_PLANE_DATA(
                             &frame, plane))[row * (guint)GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane) + byte],
                         sample(number, plane, row, byte));
  gst_video_frame_unmap(&frame);
}

/* ---- a reader: a pipeline that ends in an appsink ---- */

typedef struct reader {
  GstElement *pipeline, *source, *sink;
} reader;

static void reader_begin(reader *r, const sinktest *t, const gchar *properties, const gchar *caps) {
  gchar *line = g_strdup_printf("cuframessrc name=source stream=cam directory=%s mode=ordered %s ! "
                                "appsink name=sink sync=false max-buffers=0 caps=\"%s\"",
                                t->directory, properties, caps);
  r->pipeline = gst_parse_launch(line, NULL);
  g_free(line);
  assert_non_null(r->pipeline);
  r->source = gst_bin_get_by_name(GST_BIN(r->pipeline), "source");
  r->sink = gst_bin_get_by_name(GST_BIN(r->pipeline), "sink");
  assert_int_not_equal(gst_element_set_state(r->pipeline, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
}

static GstSample *reader_next(reader *r) {
  GstSample *got = gst_app_sink_try_pull_sample(GST_APP_SINK(r->sink), WAIT_NS);
  assert_non_null(got);
  return got;
}

static gboolean is_on_gpu(GstSample *got) {
  return gst_is_cuda_memory(gst_buffer_peek_memory(gst_sample_get_buffer(got), 0));
}

static void reader_end(reader *r) {
  assert_int_equal(gst_element_set_state(r->pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  assert_int_equal(sinktest_stat(r->source, "held"), 0);
  gst_object_unref(r->source);
  gst_object_unref(r->sink);
  gst_object_unref(r->pipeline);
}

static void joined(sinktest *t, guint count) {
  const gint64 limit = cuframes_now() + WAIT_NS;
  while (sinktest_stat(t->sink, "subscribers") < count && cuframes_now() < limit)
    g_usleep(1000);
  assert_int_equal(sinktest_stat(t->sink, "subscribers"), count);
}

/* ---- tests ---- */

static gboolean wraps(void) {
  guint major = 0, minor = 0, micro = 0, nano = 0;
  gst_version(&major, &minor, &micro, &nano);
  return minor >= 24;
}

static void pass(const gchar *gpu, const gchar *wanted, gboolean on_gpu, gboolean where_it_lies) {
  sinktest t;
  reader r;
  GstCudaContext *context = context_new(0);
  GstBufferPool *pool = pool_new(context, gpu);
  sinktest_begin(&t, "device=cuda sync=false", NULL);
  GstContext *shared = gst_context_new_cuda_context(context);
  gst_element_set_context(t.sink, shared);
  gst_context_unref(shared);
  gst_harness_set_src_caps_str(t.harness, gpu);
  reader_begin(&r, &t, "", wanted);
  joined(&t, 1);
  for (guint i = 0; i < FRAMES; i++) {
    sinktest_push(&t, draw(pool, gpu, i));
    GstSample *got = reader_next(&r);
    assert_int_equal(is_on_gpu(got), on_gpu);
    is_drawn(got, i);
    gst_sample_unref(got);
  }
  assert_int_equal(sinktest_stat(t.sink, "copied"), FRAMES);
  assert_int_equal(sinktest_stat(r.source, "copied-for-leases"), 0);
  assert_int_equal(sinktest_stat(r.source, "copied-for-layout"), where_it_lies ? 0 : FRAMES);
  reader_end(&r);
  sinktest_end(&t);
  gst_buffer_pool_set_active(pool, FALSE);
  gst_object_unref(pool);
  gst_object_unref(context);
}

static void frames_pass_from_gpu_to_gpu(void **state) {
  (void)state;
  pass(NV12_CAPS, "video/x-raw(memory:CUDAMemory)", TRUE, wraps());
  pass("video/x-raw(memory:CUDAMemory),format=RGBA,width=64,height=48,framerate=25/1", "video/x-raw(memory:CUDAMemory)",
       TRUE, wraps());
}

/* Chroma of half the pitch is none that GstCuda could copy to the host as it lies. */
static void three_planes_are_copied_by_the_gpu(void **state) {
  (void)state;
  pass("video/x-raw(memory:CUDAMemory),format=I420,width=640,height=32,framerate=25/1",
       "video/x-raw(memory:CUDAMemory)", TRUE, FALSE);
}

static void who_wants_memory_of_the_host_gets_it(void **state) {
  (void)state;
  pass(NV12_CAPS, "video/x-raw", FALSE, FALSE);
}

/* A context that is not the sink's. */
static void memory_of_another_context_goes_through_the_host(void **state) {
  sinktest t;
  reader r;
  (void)state;
  sinktest_begin(&t, "device=cuda sync=false", NV12_CAPS);
  GstCudaContext *other = context_new(0);
  GstBufferPool *pool = pool_new(other, NV12_CAPS);
  reader_begin(&r, &t, "", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  sinktest_push(&t, draw(pool, NV12_CAPS, 3));
  GstSample *got = reader_next(&r);
  is_drawn(got, 3);
  gst_sample_unref(got);
  reader_end(&r);
  sinktest_end(&t);
  gst_buffer_pool_set_active(pool, FALSE);
  gst_object_unref(pool);
  gst_object_unref(other);
}

/* From GStreamer 1.24 on slots; before that memory of GstCuda's own, in the sink's context. */
static void upstream_draws_into_slots(void **state) {
  sinktest t;
  reader r;
  (void)state;
  sinktest_begin(&t, "device=cuda sync=false", NV12_CAPS);
  assert_true(GST_IS_CUDA_BUFFER_POOL(t.pool));
  reader_begin(&r, &t, "", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  for (guint i = 0; i < FRAMES; i++) {
    sinktest_push(&t, draw(t.pool, NV12_CAPS, i));
    GstSample *got = reader_next(&r);
    is_drawn(got, i);
    gst_sample_unref(got);
  }
  assert_int_equal(sinktest_stat(t.sink, "in-place"), wraps() ? FRAMES : 0);
  assert_int_equal(sinktest_stat(t.sink, "copied"), wraps() ? 0 : FRAMES);
  reader_end(&r);
  sinktest_end(&t);
}

static void what_a_reader_has_is_not_written(void **state) {
  sinktest t;
  reader r;
  GstMapInfo map;
  (void)state;
  sinktest_begin(&t, "device=cuda sync=false", NV12_CAPS);
  reader_begin(&r, &t, "leases=3", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  GstSample *got[FRAMES];
  for (guint i = 0; i < FRAMES; i++) {
    sinktest_push(&t, draw(t.pool, NV12_CAPS, i));
    got[i] = reader_next(&r);
  }
  GstMemory *memory = gst_buffer_peek_memory(gst_sample_get_buffer(got[0]), 0);
  assert_int_equal(gst_memory_map(memory, &map, GST_MAP_WRITE), !wraps());
  if (!wraps())
    gst_memory_unmap(memory, &map);
  else /* all that the pipeline holds beyond its leases are copies, so that the publisher goes on */
    assert_int_equal(sinktest_stat(r.source, "copied-for-leases"), FRAMES - 2);
  for (guint i = 0; i < FRAMES; i++) {
    is_drawn(got[i], i);
    gst_sample_unref(got[i]);
  }
  reader_end(&r);
  sinktest_end(&t);
}

/* Buffers outlive both elements. */
static void buffers_outlive_their_elements(void **state) {
  sinktest t;
  reader r;
  (void)state;
  sinktest_begin(&t, "device=cuda sync=false", NV12_CAPS);
  reader_begin(&r, &t, "", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  GstBuffer *slot = draw(t.pool, NV12_CAPS, 5);
  sinktest_push(&t, gst_buffer_ref(slot));
  GstSample *got = reader_next(&r);
  assert_int_equal(gst_element_set_state(r.pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_object_unref(r.source);
  gst_object_unref(r.sink);
  gst_object_unref(r.pipeline);
  sinktest_end(&t);
  is_drawn(got, 5);
  gst_sample_unref(got);
  gst_buffer_unref(slot);
}

static void the_gpu_that_was_asked_for_is_used(void **state) {
  sinktest t;
  reader r;
  guint device = 9;
  (void)state;
  sinktest_begin(&t, "device=cuda:1 sync=false", NV12_CAPS);
  reader_begin(&r, &t, "", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  sinktest_push(&t, draw(t.pool, NV12_CAPS, 1));
  GstSample *got = reader_next(&r);
  is_drawn(got, 1);
  const GstCudaMemory *memory = GST_CUDA_MEMORY_CAST(gst_buffer_peek_memory(gst_sample_get_buffer(got), 0));
  g_object_get(memory->context, "cuda-device-id", &device, NULL);
  assert_int_equal(device, 1);
  gst_sample_unref(got);
  reader_end(&r);
  sinktest_end(&t);
}

/* Two streams of one GPU, whose pictures take turns, and one of another GPU beside them. */
static void streams_do_not_meet(void **state) {
  static const gchar *const devices[] = { "device=cuda:0 sync=false", "device=cuda:0 sync=false",
                                          "device=cuda:1 sync=false" };
  sinktest t[G_N_ELEMENTS(devices)];
  reader r[G_N_ELEMENTS(devices)];
  (void)state;
  for (guint k = 0; k < G_N_ELEMENTS(devices); k++) {
    sinktest_begin(&t[k], devices[k], NV12_CAPS);
    reader_begin(&r[k], &t[k], "", "video/x-raw(memory:CUDAMemory)");
    joined(&t[k], 1);
  }
  for (guint i = 0; i < FRAMES; i++) {
    for (guint k = 0; k < G_N_ELEMENTS(devices); k++)
      sinktest_push(&t[k], draw(t[k].pool, NV12_CAPS, i * 3 + k));
    for (guint k = G_N_ELEMENTS(devices); k-- > 0;) {
      guint device = 9;
      GstSample *got = reader_next(&r[k]);
      is_drawn(got, i * 3 + k);
      assert_true(is_on_gpu(got));
      g_object_get(GST_CUDA_MEMORY_CAST(gst_buffer_peek_memory(gst_sample_get_buffer(got), 0))->context,
                   "cuda-device-id", &device, NULL);
      assert_int_equal(device, k / 2);
      gst_sample_unref(got);
    }
  }
  for (guint k = 0; k < G_N_ELEMENTS(devices); k++) {
    reader_end(&r[k]);
    sinktest_end(&t[k]);
  }
}

/* What comes behind a flush is whole, and still memory of the GPU. */
static void a_flush_leaves_it_as_it_was(void **state) {
  sinktest t;
  reader r;
  (void)state;
  sinktest_begin(&t, "device=cuda sync=false", NV12_CAPS);
  reader_begin(&r, &t, "", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  for (guint i = 0; i < FRAMES; i++) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    sinktest_push(&t, draw(t.pool, NV12_CAPS, i));
    GstSample *got = reader_next(&r);
    is_drawn(got, i);
    assert_true(is_on_gpu(got));
    gst_sample_unref(got);
    assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_start()));
    assert_true(gst_harness_push_event(t.harness, gst_event_new_flush_stop(TRUE)));
    assert_true(gst_harness_push_event(t.harness, gst_event_new_segment(&segment)));
  }
  reader_end(&r);
  sinktest_end(&t);
}

static guint64 joins(const sinktest *t) {
  cuframes_stream_info *info = NULL;
  guint64 count = 0;
  assert_int_equal(cuframes_stream_query(t->directory, "cam", WAIT_NS, &info), CUFRAMES_OK);
  for (gsize i = 0; i < info->mode_count; i++)
    count += info->modes[i]->joined;
  cuframes_stream_info_free(info);
  return count;
}

/* A source that has asked for its stream, in vain. */
static void come_early(reader *r, const sinktest *t, const gchar *properties) {
  const int listener = mute_listen(t->directory, "cam");
  reader_begin(r, t, properties, "video/x-raw(memory:CUDAMemory)");
  const int asked = mute_asked(listener);
  mute_end(listener, t->directory, "cam");
  (void)close(asked);
}

/* Each has a context of its own, since they are in two pipelines, and neither has one beside that. */
static void has_one_context(gboolean source_first) {
  sinktest t;
  reader r;
  const long contexts = standin_live(STANDIN_CONTEXTS);
  const unsigned long primary = standin_calls("cuDevicePrimaryCtxRetain"); /* of one that is gone again, too */
  sinktest_prepare(&t);
  if (source_first) {
    come_early(&r, &t, "connect-timeout=-1");
    assert_int_equal(standin_live(STANDIN_CONTEXTS), contexts);
  }
  sinktest_begin_there(&t, "device=cuda sync=false", NV12_CAPS);
  if (!source_first)
    reader_begin(&r, &t, "", "video/x-raw(memory:CUDAMemory)");
  joined(&t, 1);
  sinktest_push(&t, draw(t.pool, NV12_CAPS, 1));
  GstSample *got = reader_next(&r);
  is_drawn(got, 1);
  assert_true(is_on_gpu(got));
  gst_sample_unref(got);
  assert_int_equal(joins(&t), 1);
  assert_int_equal(standin_live(STANDIN_CONTEXTS), contexts + 2);
  assert_int_equal(standin_calls("cuDevicePrimaryCtxRetain"), primary);
  reader_end(&r);
  sinktest_end(&t);
}

static void a_source_has_one_context_and_joins_once(void **state) {
  (void)state;
  has_one_context(FALSE);
  has_one_context(TRUE);
}

/* When connect-timeout is over, which asking and joining share. */
static void a_stream_that_never_comes_is_an_error(void **state) {
  sinktest t;
  reader r;
  (void)state;
  sinktest_prepare(&t);
  come_early(&r, &t, "connect-timeout=50000000");
  GstBus *bus = gst_element_get_bus(r.pipeline);
  GstMessage *told = gst_bus_timed_pop_filtered(bus, WAIT_NS, GST_MESSAGE_ERROR);
  assert_non_null(told);
  gst_message_unref(told);
  gst_object_unref(bus);
  reader_end(&r);
  assert_int_equal(g_rmdir(t.directory), 0);
  g_free(t.directory);
}

static void a_stream_of_the_host_takes_no_memory_of_a_gpu(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", NULL);
  GstCaps *caps = gst_pad_peer_query_caps(t.harness->srcpad, NULL);
  for (guint i = 0; i < gst_caps_get_size(caps); i++)
    assert_false(gst_caps_features_contains(gst_caps_get_features(caps, i), "memory:CUDAMemory"));
  gst_caps_unref(caps);
  sinktest_end(&t);
}

/* Of a test; what an earlier one has left is that one's failure. */
static int nothing_is_left(void **state) {
  static const standin_kind kinds[] = { STANDIN_CONTEXTS, STANDIN_STREAMS,  STANDIN_ALLOCATIONS,
                                        STANDIN_HANDLES,  STANDIN_MAPPINGS, STANDIN_EVENTS };
  static long before[G_N_ELEMENTS(kinds)];
  const gint64 limit = cuframes_now() + END_NS; /* a library thread may end what a stream had to come to first */
  int result = 0;
  (void)state;
  for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
    while (standin_live(kinds[i]) > before[i] && cuframes_now() < limit)
      g_usleep(1000);
    const long left = standin_live(kinds[i]);
    if (left > before[i]) {
      print_error("left: %ld %s\n", left - before[i], standin_kind_name(kinds[i]));
      result = -1;
    }
    before[i] = left;
  }
  return result;
}

int main(int argc, char **argv) {
  g_setenv("CUDA_STANDIN_DEVICES", "2", TRUE);
  gst_init(&argc, &argv);
  assert_true(gst_cuda_load_library());
  gst_cuda_memory_init_once();
#define TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)
  const struct CMUnitTest tests[] = {
    TEST(frames_pass_from_gpu_to_gpu),
    TEST(three_planes_are_copied_by_the_gpu),
    TEST(who_wants_memory_of_the_host_gets_it),
    TEST(memory_of_another_context_goes_through_the_host),
    TEST(upstream_draws_into_slots),
    TEST(what_a_reader_has_is_not_written),
    TEST(buffers_outlive_their_elements),
    TEST(the_gpu_that_was_asked_for_is_used),
    TEST(streams_do_not_meet),
    TEST(a_flush_leaves_it_as_it_was),
    TEST(a_source_has_one_context_and_joins_once),
    TEST(a_stream_that_never_comes_is_an_error),
    TEST(a_stream_of_the_host_takes_no_memory_of_a_gpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
