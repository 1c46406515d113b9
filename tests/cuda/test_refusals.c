/* test_refusals.c - what is invalid or impossible is refused with its reason, and whoever is there already goes on: no
 * driver, no device, no memory, a stream of another context, memory that the other side cannot use.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

/* ---- no driver, no device: one process ---- */

typedef struct lack {
  const char *driver, *variables, *device;
  int error;
  const char *detail;
} lack;

static cuframes_publisher_options options_for(const char *device) {
  return (cuframes_publisher_options){ .struct_size = sizeof(cuframes_publisher_options),
                                       .format = program_format(CUFRAMES_PIXEL_NV12),
                                       .device = device };
}

static void run_lack(int test, void *user) {
  const lack *l = user;
  const char *reason = NULL;
  cuframes_publisher *publisher = NULL;
  cuframes_publisher_options options = options_for(l->device);
  if (l->driver)
    driver_use(l->driver, l->variables);
  CHECK_RESULT(cuframes_publisher_create("none", &options, &publisher), l->error);
  CHECK(publisher == NULL);
  detail_names(l->detail);
  CHECK(fixture_files() == 0);
  if (strcmp(l->device, "cuda") == 0) { /* who is not particular gets the host, and learns why */
    options.device = "auto";
    CHECK_OK(cuframes_publisher_create("none", &options, &publisher));
    CHECK(strcmp(cuframes_publisher_device(publisher, &reason), "host") == 0);
    CHECK(strstr(reason, l->detail) != NULL);
    cuframes_publisher_destroy(publisher);
  }
  if (l->driver)
    driver_nothing_left();
  say(test, 0);
}

static void lacks(const lack *l) {
  child *c = child_start(run_lack, (void *)(uintptr_t)l);
  hear(c->fd);
  child_finish(c);
}

static void no_driver(void **state) {
  (void)state;
  if (driver_is_installed())
    skip_because("this machine has a driver");
  lacks(&(lack){ NULL, NULL, "cuda", CUFRAMES_ERR_UNSUPPORTED, "no CUDA driver" });
}

static void a_driver_that_is_too_old(void **state) {
  (void)state;
  lacks(&(lack){ STANDIN, "CUDA_STANDIN_VERSION=11030", "cuda", CUFRAMES_ERR_UNSUPPORTED, "11.3" });
}

static void no_device(void **state) {
  (void)state;
  lacks(&(lack){ STANDIN, "CUDA_STANDIN_DEVICES=0", "cuda", CUFRAMES_ERR_DEVICE, "finds no device" });
  lacks(&(lack){ STANDIN, "CUDA_VISIBLE_DEVICES=", "cuda", CUFRAMES_ERR_DEVICE, "CUDA_VISIBLE_DEVICES" });
}

static void no_such_device(void **state) {
  static const struct {
    const char *device, *detail;
  } wrong[] = {
    { "cuda:9", "no CUDA device 9" },
    { "cuda:1", "this process sees 1" },
    { "cuda:GPU-00000000-0000-0000-0000-000000000000", "CUDA_VISIBLE_DEVICES" },
    { "cuda:GPU-", "CUDA_VISIBLE_DEVICES" },
    { "cuda:", "cuda:NUMBER" },
    { "cuda:x", "cuda:NUMBER" },
    { "cuda:-1", "cuda:NUMBER" },
    { "cuda:0x0", "cuda:NUMBER" },
    { "cuda:99999999999999999999", "cuda:NUMBER" },
    { "cudas", "expected host" },
    { "gpu", "expected host" },
    { "", "expected host" },
  };
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    lacks(&(lack){ STANDIN, NULL, wrong[i].device, CUFRAMES_ERR_UNSUPPORTED, wrong[i].detail });
}

/* ---- a subscriber of a stream that is there, and a observer who must not notice ---- */

typedef struct peer {
  const char *driver, *variables;
  cuframes_subscriber_options options;
  int error;
  const char *detail;
} peer;

static void run_peer(int test, void *user) {
  const peer *g = user;
  cuframes_subscriber *subscriber = NULL;
  cuframes_subscriber_options options = g->options;
  options.struct_size = sizeof options;
  if (g->driver)
    driver_use(g->driver, g->variables);
  CHECK_RESULT(cuframes_subscriber_create("there", &options, &subscriber), g->error);
  if (g->error != CUFRAMES_OK)
    detail_names(g->detail);
  cuframes_subscriber_destroy(subscriber);
  if (g->driver)
    driver_nothing_left();
  say(test, 0);
}

static void run_peers(const peer *peers, size_t count, const char *variables) {
  checker_report report;
  setting set = { STANDIN,
                  variables,
                  { .name = "there", .format = program_format(CUFRAMES_PIXEL_NV12), .buffers = 6, .full = true } };
  child *publisher = source_start(&set), *observer = child_start(run_observer, "there");
  hear(observer->fd);
  for (size_t i = 0; i < count; i++) {
    child *c = child_start(run_peer, (void *)(uintptr_t)&peers[i]);
    hear(c->fd);
    child_finish(c);
  }
  say(observer->fd, 0);
  learn(observer->fd, &report, sizeof report);
  child_finish(observer);
  source_stop(publisher);
  report_is_good(&report, "the observer", false);
}

static void subscribers_without_a_gpu(void **state) {
  (void)state;
  const peer peers[] = {
    { STANDIN, "CUDA_STANDIN_VERSION=11030", { 0 }, CUFRAMES_ERR_UNSUPPORTED, "11.3" },
    { STANDIN, "CUDA_STANDIN_DEVICES=0", { 0 }, CUFRAMES_ERR_DEVICE, "finds no device" },
    { STANDIN, NULL, { .device = "cuda:9" }, CUFRAMES_ERR_UNSUPPORTED, "no CUDA device 9" },
    { STANDIN, NULL, { .device = "host" }, CUFRAMES_ERR_UNSUPPORTED, "host memory only" },
    { STANDIN, NULL, { .device = "cuda:0" }, CUFRAMES_OK, "" },
    { STANDIN, NULL, { .device = "auto" }, CUFRAMES_OK, "" },
    { STANDIN, NULL, { .device = "cuda:GPU-57a2d120-c0da-4f00-8000-000000000000" }, CUFRAMES_OK, "" },
    { STANDIN, NULL, { .device = "cuda:gpu-57A2D120-C0DA-4F00-8000-000000000000" }, CUFRAMES_OK, "" },
    { STANDIN, "CUDA_VISIBLE_DEVICES=GPU-57a2", { 0 }, CUFRAMES_OK, "" },
    { STANDIN, "CUDA_STANDIN_DEVICES=0", { .mode = CUFRAMES_MODE_PACKETS }, CUFRAMES_OK, "" },
    { STANDIN, NULL, { .mode = CUFRAMES_MODE_PACKETS, .sync = CUFRAMES_SYNC_TIMELINE }, CUFRAMES_OK, "" },
  };
  const peer without = { NULL, NULL, { 0 }, CUFRAMES_ERR_UNSUPPORTED, "no CUDA driver" };
  run_peers(peers, sizeof peers / sizeof peers[0], NULL);
  if (!driver_is_installed())
    run_peers(&without, 1, NULL);
}

/* Six slots of the stream's pictures are 2 MiB. */
static void growth_without_memory(void **state) {
  (void)state;
  const peer peers[] = {
    { STANDIN, NULL, { .leases = 16, .label = "large" }, CUFRAMES_ERR_NO_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
    { STANDIN, NULL, { .leases = 1 }, CUFRAMES_OK, "" },
    { STANDIN, NULL, { .leases = 16, .label = "large" }, CUFRAMES_ERR_NO_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
  };
  run_peers(peers, sizeof peers / sizeof peers[0], "CUDA_STANDIN_MEMORY_MIB=3");
}

static void run_host_stream(int test, void *user) {
  cuframes_publisher *publisher = NULL;
  cuframes_publisher_options options = options_for("host");
  (void)user;
  CHECK_OK(cuframes_publisher_create("there", &options, &publisher));
  say(test, 0);
  hear(test);
  cuframes_publisher_destroy(publisher);
}

static void a_host_stream_for_a_gpu(void **state) {
  (void)state;
  peer peers[] = {
    { STANDIN, NULL, { .device = "cuda" }, CUFRAMES_ERR_UNSUPPORTED, "host" },
    { STANDIN, NULL, { .device = "cuda:0" }, CUFRAMES_ERR_UNSUPPORTED, "host" },
    { NULL, NULL, { .device = "host", .sync = CUFRAMES_SYNC_TIMELINE }, CUFRAMES_OK, "" },
  };
  child *publisher = child_start(run_host_stream, NULL);
  hear(publisher->fd);
  for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
    child *c = child_start(run_peer, &peers[i]);
    hear(c->fd);
    child_finish(c);
  }
  source_stop(publisher);
}

/* ---- a publisher's own growth ---- */

static void run_full_publisher(int test, void *user) {
  static source s;
  cuframes_format large = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 3840, .height = 2160 };
  cuframes_publisher *other = NULL;
  (void)user;
  driver_use(STANDIN, "CUDA_STANDIN_MEMORY_MIB=8");
  source_begin(&s, &(source_options){ .name = "full", .format = program_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  CHECK_RESULT(cuframes_publisher_set_format(s.publisher, &large), CUFRAMES_ERR_NO_MEMORY);
  detail_names("CUDA_ERROR_OUT_OF_MEMORY");
  source_publish(&s); /* in the old format */
  cuframes_publisher_options options = options_for("cuda");
  options.format = large;
  CHECK_RESULT(cuframes_publisher_create("other", &options, &other), CUFRAMES_ERR_NO_MEMORY);
  source_publish(&s);
  CHECK(source_stats(&s).segments == 1);
  source_end(&s);
  say(test, 0);
}

static void a_format_without_memory(void **state) {
  (void)state;
  child *c = child_start(run_full_publisher, NULL);
  hear(c->fd);
  child_finish(c);
}

/* ---- streams of another context ---- */

typedef struct strange {
  cu_context context;
  cu_stream stream;
} strange;

/* Of the second GPU. */
static void strange_begin(strange *s) {
  cu_context popped;
  CHECK_OK(cu.cuDevicePrimaryCtxRetain(&s->context, 1));
  CHECK_OK(cu.cuCtxPushCurrent(s->context));
  CHECK_OK(cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
}

static void strange_end(const strange *s) {
  cu_context popped;
  CHECK_OK(cu.cuCtxPushCurrent(s->context));
  CHECK_OK(cu.cuStreamDestroy(s->stream));
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(1));
}

static void run_publisher_astray(int test, void *user) {
  static source s;
  strange other;
  cuframes_frame *frame = NULL;
  (void)user;
  driver_use(STANDIN, "CUDA_STANDIN_DEVICES=2");
  source_begin(&s, &(source_options){ .name = "astray", .format = program_format(CUFRAMES_PIXEL_NV12) });
  strange_begin(&other);
  source_publish(&s);
  cu_deviceptr pixels = word_new();
  CHECK_OK(cuframes_publisher_acquire(s.publisher, &frame));
  CHECK_RESULT(cuframes_frame_copy_from_device(frame, 0, (void *)(uintptr_t)pixels, 512, other.stream),
               CUFRAMES_ERR_INVALID);
  detail_names("another CUDA context");
  CHECK_RESULT(cuframes_publisher_publish_on(s.publisher, frame, other.stream, NULL),
               CUFRAMES_ERR_INVALID); /* it was still open */
  detail_names("another CUDA context");
  CHECK_RESULT(cuframes_publisher_publish_on(s.publisher, frame, s.stream, NULL),
               CUFRAMES_ERR_INVALID); /* and was consumed */
  say(test, 0);
  hear(test); /* the subscriber is here */
  source_publish(&s);
  hear(test);
  CHECK_OK(cu.cuMemFree(pixels));
  strange_end(&other);
  source_end(&s);
}

static void run_subscriber_astray(int test, void *user) {
  static checker v;
  strange other;
  cuframes_frame *frame = NULL;
  const uint32_t sync = *(const uint32_t *)user;
  driver_use(STANDIN, "CUDA_STANDIN_DEVICES=2");
  checker_begin(&v, &(checker_options){ .name = "astray", .sync = sync });
  strange_begin(&other);
  say(test, 0);
  CHECK_RESULT(cuframes_subscriber_next_on(v.subscriber, patience(), other.stream, &frame), CUFRAMES_ERR_INVALID);
  detail_names("another CUDA context");
  CHECK(frame == NULL);
  do {
    CHECK_OK(cuframes_subscriber_next_on(v.subscriber, patience(), v.stream, &frame));
    CHECK(frame_is_whole(&v.g, v.stream, frame, frame_number(frame))); /* it is still ours */
    v.report.frames++;
    v.report.last = frame_number(frame);
    cuframes_frame_used_on(frame, other.stream); /* which cannot tell when: a thread waits */
    cuframes_frame_release_on(frame, v.stream);
  } while (v.report.last < 2);
  strange_end(&other);
  CHECK_OK(cu.cuStreamSynchronize(v.stream));
  checker_end(&v);
  say(test, 0);
}

static void a_stream_of_another_context(uint32_t sync) {
  child *publisher = child_start(run_publisher_astray, NULL);
  hear(publisher->fd);
  child *subscriber = child_start(run_subscriber_astray, &sync);
  hear(subscriber->fd);
  say(publisher->fd, 0);
  hear(subscriber->fd);
  child_finish(subscriber);
  source_stop(publisher);
}

static void another_context_complete(void **state) {
  (void)state;
  a_stream_of_another_context(CUFRAMES_SYNC_COMPLETE);
}

static void another_context_timeline(void **state) {
  (void)state;
  a_stream_of_another_context(CUFRAMES_SYNC_TIMELINE);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(no_driver),
    FIXTURE(a_driver_that_is_too_old),
    FIXTURE(no_device),
    FIXTURE(no_such_device),
    FIXTURE(subscribers_without_a_gpu),
    FIXTURE(growth_without_memory),
    FIXTURE(a_host_stream_for_a_gpu),
    FIXTURE(a_format_without_memory),
    FIXTURE(another_context_complete),
    FIXTURE(another_context_timeline),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("refusals", tests);
}
