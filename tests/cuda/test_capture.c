/* test_capture.c - streams that capture a CUDA graph: nothing of ours becomes a part of it, no capture is spoilt, and a
 * frame that is given back meanwhile comes back when the capture has ended and what was on the stream before is done.
 */
#include <stdlib.h>

#include <cuframes/dlpack.h>

#include "drivers.h"

static void capture_begin(cu_stream stream) {
  CHECK_OK(cu.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
}

/* And nothing was captured. */
static void capture_end(cu_stream stream) {
  cu_graph graph = NULL;
  size_t nodes = 9;
  CHECK_OK(cu.cuStreamEndCapture(stream, &graph));
  CHECK_OK(cu.cuGraphGetNodes(graph, NULL, &nodes));
  CHECK(nodes == 0);
  CHECK_OK(cu.cuGraphDestroy(graph));
}

/* ---- the subscriber ---- */

typedef struct subscriber {
  checker v; /* whose frames say how time goes by */
  cuframes_subscriber *handle;
  cu_stream stream;
} subscriber;

static void begin(subscriber *s, uint32_t sync) {
  driver_use(STANDIN, NULL);
  checker_begin(&s->v, &(checker_options){ .name = "captured", .sync = sync });
  cuframes_subscriber_options options = {
    .struct_size = sizeof options, .sync = sync, .leases = 1, .connect_timeout_ns = patience()
  };
  CHECK_OK(cuframes_subscriber_create("captured", &options, &s->handle));
  CHECK_OK(cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
}

/* A frame that a thread holds is in hand: next() does not wait for it. */
static cuframes_frame *take(const subscriber *s, cu_stream stream) {
  cuframes_frame *frame = NULL;
  int result = CUFRAMES_ERR_LEASE_LIMIT;
  WAIT_FOR((result = cuframes_subscriber_next_on(s->handle, patience(), stream, &frame)) != CUFRAMES_ERR_LEASE_LIMIT);
  CHECK_OK(result);
  return frame;
}

/* The only lease is not free; twenty pictures later a thread that does not wait would have given it back. */
static void is_out(subscriber *s) {
  cuframes_frame *frame = NULL;
  for (int i = 0; i < 20; i++)
    CHECK_OK(checker_look(&s->v, patience()));
  CHECK_RESULT(cuframes_subscriber_next(s->handle, 0, &frame), CUFRAMES_ERR_LEASE_LIMIT);
}

static void end(subscriber *s, int test) {
  cuframes_subscriber_destroy(s->handle);
  CHECK_OK(cu.cuStreamDestroy(s->stream));
  (void)checker_end(&s->v);
  say(test, 0);
}

static void refuses(const subscriber *s, cuframes_frame *frame, cu_stream stream) {
  cuframes_frame *none = NULL;
  void *tensor = NULL;
  CHECK_RESULT(cuframes_frame_dlpack(frame, 0, stream, 0, &tensor), CUFRAMES_ERR_INVALID);
  detail_names("captures a CUDA graph");
  CHECK_OK(cuframes_frame_dlpack(frame, 0, NULL, CUFRAMES_DLPACK_NO_STREAM | CUFRAMES_DLPACK_COPY, &tensor));
  struct {
    uint32_t version[2];
    void *context;
    void (*deleter)(void *self);
  } *copied = tensor; /* as DLPack lays it out */
  copied->deleter(copied);
  CHECK_RESULT(cuframes_subscriber_next_on(s->handle, patience(), stream, &none), CUFRAMES_ERR_INVALID);
  detail_names("captures a CUDA graph");
  CHECK(none == NULL);
}

static void run_released(int test, void *user) {
  static subscriber s;
  begin(&s, *(const uint32_t *)user);
  cu_stream stream = s.stream;
  cuframes_frame *frame = take(&s, stream);
  capture_begin(stream);
  refuses(&s, frame, stream);
  cuframes_frame_release_on(frame, stream);
  is_out(&s);
  capture_end(stream);
  frame = take(&s, stream); /* it came back */

  capture_begin(stream);
  cuframes_frame_used_on(frame, stream);
  cuframes_frame_release(frame);
  is_out(&s);
  capture_end(stream);
  cuframes_frame_release_on(take(&s, stream), stream);
  end(&s, test);
}

/* What was on the stream before the capture began still uses the frame. */
static void run_busy(int test, void *user) {
  static subscriber s;
  cu_stream beside;
  begin(&s, *(const uint32_t *)user);
  CHECK_OK(cu.cuStreamCreate(&beside, CU_STREAM_NON_BLOCKING));
  cuframes_frame *frame = take(&s, s.stream);
  cu_deviceptr word = word_new();
  CHECK_OK(LAUNCH(&s.v.g, s.stream, "until", word, 1));
  capture_begin(s.stream);
  cuframes_frame_release_on(frame, s.stream);
  capture_end(s.stream);
  is_out(&s);
  CHECK_OK(cu.cuStreamWriteValue64(beside, word, 1, CU_STREAM_WRITE_VALUE_DEFAULT));
  cuframes_frame_release(take(&s, s.stream));
  CHECK_OK(cu.cuStreamDestroy(beside));
  CHECK_OK(cu.cuMemFree(word));
  end(&s, test);
}

/* The legacy default stream would wait for a blocking stream that captures, which spoils the capture. */
static void run_default(int test, void *user) {
  static subscriber s;
  cu_stream blocking;
  begin(&s, *(const uint32_t *)user);
  CHECK_OK(cu.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  cuframes_frame *frame = take(&s, NULL);
  capture_begin(blocking);
  cuframes_frame_release_on(frame, NULL);
  is_out(&s);
  capture_end(blocking);
  cuframes_frame_release_on(take(&s, NULL), NULL);
  CHECK_OK(cu.cuStreamDestroy(blocking));
  end(&s, test);
}

static void run_publisher_captures(int test, void *user) {
  static source s;
  cuframes_frame *frame = NULL;
  (void)user;
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = "captures", .format = program_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  cu_deviceptr pixels = word_new();
  CHECK_OK(cuframes_publisher_acquire(s.publisher, &frame));
  capture_begin(s.stream);
  CHECK_RESULT(cuframes_frame_copy_from_device(frame, 0, (void *)(uintptr_t)pixels, 512, s.stream),
               CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_on(s.publisher, frame, s.stream, NULL), CUFRAMES_ERR_INVALID);
  detail_names("captures a CUDA graph");
  capture_end(s.stream);
  source_publish(&s);
  CHECK(source_stats(&s).frames == 2);
  CHECK_OK(cu.cuMemFree(pixels));
  source_end(&s);
  say(test, 0);
}

/* ---- */

static void beside_a_source(child_run *role) {
  const uint32_t modes[] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE };
  child *publisher = source_start(
      &(setting){ .driver = STANDIN, .source = { .name = "captured", .format = program_format(CUFRAMES_PIXEL_NV12) } });
  for (int i = 0; i < 2; i++) {
    child *c = child_start(role, (void *)(uintptr_t)&modes[i]);
    hear(c->fd);
    child_finish(c);
  }
  source_stop(publisher);
}

static void released_while_it_captures(void **state) {
  (void)state;
  beside_a_source(run_released);
}

static void work_from_before_the_capture(void **state) {
  (void)state;
  beside_a_source(run_busy);
}

static void the_default_stream(void **state) {
  (void)state;
  beside_a_source(run_default);
}

static void publishing(void **state) {
  (void)state;
  child *c = child_start(run_publisher_captures, NULL);
  hear(c->fd);
  child_finish(c);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(released_while_it_captures),
    FIXTURE(work_from_before_the_capture),
    FIXTURE(the_default_stream),
    FIXTURE(publishing),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("capture", tests);
}
