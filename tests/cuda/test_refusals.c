/* test_refusals.c - what cannot be is refused with its reason, and whoever is there already goes on: no driver, no
 * device, no memory, a stream of another context, memory that the other side cannot use.
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
                                       .format = stage_format(CUFRAMES_PIXEL_NV12),
                                       .device = device };
}

static void play_lack(int test, void *user) {
  const lack *l = user;
  const char *reason = NULL;
  cuframes_publisher *publisher = NULL;
  cuframes_publisher_options options = options_for(l->device);
  if (l->driver)
    driver_use(l->driver, l->variables);
  IS(cuframes_publisher_create("none", &options, &publisher), l->error);
  NEED(publisher == NULL);
  detail_names(l->detail);
  NEED(scene_files() == 0);
  if (strcmp(l->device, "cuda") == 0) { /* who is not particular gets the host, and learns why */
    options.device = "auto";
    OK(cuframes_publisher_create("none", &options, &publisher));
    NEED(strcmp(cuframes_publisher_device(publisher, &reason), "host") == 0);
    NEED(strstr(reason, l->detail) != NULL);
    cuframes_publisher_destroy(publisher);
  }
  if (l->driver)
    driver_nothing_left();
  say(test, 0);
}

static void lacks(const lack *l) {
  child *c = child_start(play_lack, (void *)(uintptr_t)l);
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

/* ---- a subscriber of a stream that is there, and a witness who must not notice ---- */

typedef struct guest {
  const char *driver, *variables;
  cuframes_subscriber_options options;
  int error;
  const char *detail;
} guest;

static void play_guest(int test, void *user) {
  const guest *g = user;
  cuframes_subscriber *subscriber = NULL;
  cuframes_subscriber_options options = g->options;
  options.struct_size = sizeof options;
  if (g->driver)
    driver_use(g->driver, g->variables);
  IS(cuframes_subscriber_create("there", &options, &subscriber), g->error);
  if (g->error != CUFRAMES_OK)
    detail_names(g->detail);
  cuframes_subscriber_destroy(subscriber);
  if (g->driver)
    driver_nothing_left();
  say(test, 0);
}

static void play_guests(const guest *guests, size_t count, const char *variables) {
  viewer_report report;
  setting set = { STANDIN, variables, { .name = "there", .format = stage_format(CUFRAMES_PIXEL_NV12), .buffers = 6 } };
  child *publisher = source_start(&set), *witness = child_start(play_witness, "there");
  hear(witness->fd);
  for (size_t i = 0; i < count; i++) {
    child *c = child_start(play_guest, (void *)(uintptr_t)&guests[i]);
    hear(c->fd);
    child_finish(c);
  }
  say(witness->fd, 0);
  learn(witness->fd, &report, sizeof report);
  child_finish(witness);
  source_stop(publisher);
  report_is_good(&report, "the witness", false);
}

static void subscribers_without_a_gpu(void **state) {
  (void)state;
  const guest guests[] = {
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
  const guest without = { NULL, NULL, { 0 }, CUFRAMES_ERR_UNSUPPORTED, "no CUDA driver" };
  play_guests(guests, sizeof guests / sizeof guests[0], NULL);
  if (!driver_is_installed())
    play_guests(&without, 1, NULL);
}

/* Six slots of the stream's pictures are 2 MiB. */
static void growth_without_memory(void **state) {
  (void)state;
  const guest guests[] = {
    { STANDIN, NULL, { .leases = 16, .label = "large" }, CUFRAMES_ERR_NO_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
    { STANDIN, NULL, { .leases = 1 }, CUFRAMES_OK, "" },
    { STANDIN, NULL, { .leases = 16, .label = "large" }, CUFRAMES_ERR_NO_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
  };
  play_guests(guests, sizeof guests / sizeof guests[0], "CUDA_STANDIN_MEMORY_MIB=3");
}

static void play_host_stream(int test, void *user) {
  cuframes_publisher *publisher = NULL;
  cuframes_publisher_options options = options_for("host");
  (void)user;
  OK(cuframes_publisher_create("there", &options, &publisher));
  say(test, 0);
  hear(test);
  cuframes_publisher_destroy(publisher);
}

static void a_host_stream_for_a_gpu(void **state) {
  (void)state;
  guest guests[] = {
    { STANDIN, NULL, { .device = "cuda" }, CUFRAMES_ERR_UNSUPPORTED, "host" },
    { STANDIN, NULL, { .device = "cuda:0" }, CUFRAMES_ERR_UNSUPPORTED, "host" },
    { NULL, NULL, { .device = "host", .sync = CUFRAMES_SYNC_TIMELINE }, CUFRAMES_OK, "" },
  };
  child *publisher = child_start(play_host_stream, NULL);
  hear(publisher->fd);
  for (size_t i = 0; i < sizeof guests / sizeof guests[0]; i++) {
    child *c = child_start(play_guest, &guests[i]);
    hear(c->fd);
    child_finish(c);
  }
  source_stop(publisher);
}

/* ---- a publisher's own growth ---- */

static void play_full_publisher(int test, void *user) {
  static source s;
  cuframes_format large = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 3840, .height = 2160 };
  cuframes_publisher *other = NULL;
  (void)user;
  driver_use(STANDIN, "CUDA_STANDIN_MEMORY_MIB=8");
  source_begin(&s, &(source_options){ .name = "full", .format = stage_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  IS(cuframes_publisher_set_format(s.publisher, &large), CUFRAMES_ERR_NO_MEMORY);
  detail_names("CUDA_ERROR_OUT_OF_MEMORY");
  source_publish(&s); /* in the old format */
  cuframes_publisher_options options = options_for("cuda");
  options.format = large;
  IS(cuframes_publisher_create("other", &options, &other), CUFRAMES_ERR_NO_MEMORY);
  source_publish(&s);
  NEED(source_stats(&s).segments == 1);
  source_end(&s);
  say(test, 0);
}

static void a_format_without_memory(void **state) {
  (void)state;
  child *c = child_start(play_full_publisher, NULL);
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
  CU(cu.cuDevicePrimaryCtxRetain(&s->context, 1));
  CU(cu.cuCtxPushCurrent(s->context));
  CU(cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
  CU(cu.cuCtxPopCurrent(&popped));
}

static void strange_end(const strange *s) {
  cu_context popped;
  CU(cu.cuCtxPushCurrent(s->context));
  CU(cu.cuStreamDestroy(s->stream));
  CU(cu.cuCtxPopCurrent(&popped));
  CU(cu.cuDevicePrimaryCtxRelease(1));
}

static void play_publisher_astray(int test, void *user) {
  static source s;
  strange other;
  cuframes_frame *frame = NULL;
  (void)user;
  driver_use(STANDIN, "CUDA_STANDIN_DEVICES=2");
  source_begin(&s, &(source_options){ .name = "astray", .format = stage_format(CUFRAMES_PIXEL_NV12) });
  strange_begin(&other);
  source_publish(&s);
  cu_deviceptr pixels = word_new();
  OK(cuframes_publisher_acquire(s.publisher, &frame));
  IS(cuframes_frame_copy_from_device(frame, 0, (void *)(uintptr_t)pixels, 512, other.stream), CUFRAMES_ERR_INVALID);
  detail_names("another CUDA context");
  IS(cuframes_publisher_publish_on(s.publisher, frame, other.stream, NULL),
     CUFRAMES_ERR_INVALID); /* it was still open */
  detail_names("another CUDA context");
  IS(cuframes_publisher_publish_on(s.publisher, frame, s.stream, NULL), CUFRAMES_ERR_INVALID); /* and was consumed */
  say(test, 0);
  hear(test); /* the subscriber is here */
  source_publish(&s);
  hear(test);
  CU(cu.cuMemFree(pixels));
  strange_end(&other);
  source_end(&s);
}

static void play_subscriber_astray(int test, void *user) {
  static viewer v;
  strange other;
  cuframes_frame *frame = NULL;
  const uint32_t sync = *(const uint32_t *)user;
  driver_use(STANDIN, "CUDA_STANDIN_DEVICES=2");
  viewer_begin(&v, &(viewer_options){ .name = "astray", .sync = sync });
  strange_begin(&other);
  say(test, 0);
  IS(cuframes_subscriber_next_on(v.subscriber, patience(), other.stream, &frame), CUFRAMES_ERR_INVALID);
  detail_names("another CUDA context");
  NEED(frame == NULL);
  do {
    OK(cuframes_subscriber_next_on(v.subscriber, patience(), v.stream, &frame));
    NEED(frame_is_whole(&v.g, v.stream, frame, frame_number(frame))); /* it is still ours */
    v.report.frames++;
    v.report.last = frame_number(frame);
    cuframes_frame_used_on(frame, other.stream); /* which cannot tell when: a thread waits */
    cuframes_frame_release_on(frame, v.stream);
  } while (v.report.last < 2);
  strange_end(&other);
  CU(cu.cuStreamSynchronize(v.stream));
  viewer_end(&v);
  say(test, 0);
}

static void a_stream_of_another_context(uint32_t sync) {
  child *publisher = child_start(play_publisher_astray, NULL);
  hear(publisher->fd);
  child *subscriber = child_start(play_subscriber_astray, &sync);
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
    SCENE(no_driver),
    SCENE(a_driver_that_is_too_old),
    SCENE(no_device),
    SCENE(no_such_device),
    SCENE(subscribers_without_a_gpu),
    SCENE(growth_without_memory),
    SCENE(a_host_stream_for_a_gpu),
    SCENE(a_format_without_memory),
    SCENE(another_context_complete),
    SCENE(another_context_timeline),
  };
  drivers_begin(argc, argv);
  return SCENE_RUN("refusals", tests);
}
