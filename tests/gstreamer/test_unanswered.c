/* test_unanswered.c - sources that ask a publisher to let them in, and get no answer: a pipeline that is to stop or to
 * pause does so at once. */
#include "bench.h"

#include <poll.h>
#include <unistd.h>

#include "mute.h"

#define TRIES 10 /* where a machine is so busy that the time for the answer is over first */

#define AT_ONCE (G_USEC_PER_SEC / 2) /* an answer is waited for 2 s */

/* The attempt has ended when that state is reached, long before its time was over, and leaves nothing. */
static void gives_up_at_once(const gchar *pipeline, GstState target) {
  const int listener = mute_listen(g_getenv("CUFRAMES_DIR"), "mute");
  const guint descriptors = bench_descriptors(), threads = bench_threads();
  gboolean at_once = FALSE;
  for (guint i = 0; i < TRIES && !at_once; i++) {
    bench b;
    bench_play(&b, pipeline, "mute");
    const int fd = mute_asked(listener);
    const gint64 start = g_get_monotonic_time();
    assert_int_not_equal(gst_element_set_state(b.harness->element, target), GST_STATE_CHANGE_FAILURE);
    at_once = g_get_monotonic_time() - start < AT_ONCE;
    struct pollfd end = { .fd = fd, .events = POLLRDHUP };
    assert_int_equal(poll(&end, 1, 60000), 1);
    (void)close(fd);
    bench_end(&b);
  }
  assert_true(at_once);
  bench_descriptors_end(descriptors + 2);
  bench_threads_end(threads + 1); /* GStreamer has one of its own from the first state change on */
  (void)close(listener);
}

static void frames(void **state) {
  (void)state;
  gives_up_at_once("cuframessrc name=source reconnect=true ! capsfilter caps=video/x-raw", GST_STATE_NULL);
  gives_up_at_once("cuframessrc name=source connect-timeout=-1 ! capsfilter caps=video/x-raw", GST_STATE_PAUSED);
}

/* Over the CUDA stand-in: where downstream takes memory of a GPU, who joins asks first where the frames are. */
static void on_a_gpu(void **state) {
  (void)state;
  GstElementFactory *factory = gst_element_factory_find("cuframessrc");
  GstCaps *caps = gst_caps_from_string("video/x-raw(memory:CUDAMemory)");
  assert_non_null(factory);
  const gboolean has = gst_element_factory_can_src_any_caps(factory, caps);
  gst_caps_unref(caps);
  gst_object_unref(factory);
  if (!has)
    skip(); /* built without GstCuda */
  gives_up_at_once("cuframessrc name=source ! capsfilter caps=video/x-raw(memory:CUDAMemory)", GST_STATE_NULL);
  gives_up_at_once("cuframessrc name=source connect-timeout=-1 ! capsfilter caps=video/x-raw(memory:CUDAMemory)",
                   GST_STATE_PAUSED);
}

static void packets(void **state) {
  (void)state;
  gives_up_at_once("cuframespacketsrc name=source", GST_STATE_NULL);
  gives_up_at_once("cuframespacketsrc name=source", GST_STATE_PAUSED);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = { cmocka_unit_test(frames), cmocka_unit_test(on_a_gpu), cmocka_unit_test(packets) };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
