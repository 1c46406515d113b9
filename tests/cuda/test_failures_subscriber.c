/* test_failures_subscriber.c - each driver call of a subscriber's life fails in turn. Its calls say so or get along
 * without, nothing of it is left, and another subscriber goes on getting whole pictures.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver_faults.h"
#include "gpu/checker.h"
#include "support/stream.h"

#define CALLS_MOST 400
#define TURNS 4 /* frames that a life takes */

typedef struct plan {
  uint32_t sync;
  bool legacy;
  bool pool;        /* external buffers of a pool, beside memory of cuMemAlloc() */
  bool own_context; /* current, and a stream of it; else the primary one, and the default stream */
  bool comes_back;  /* the publisher goes in mid-life, and comes back */
} plan;

static const plan *planned;

/* ---- the publisher: publishes all the time; whatever it hears is a request that it go and come back ---- */

#define ENOUGH UINT64_MAX

#define BUFFERS 8

/* Of two kinds; freed with the context. */
static void lend_buffers(cuframes_publisher *publisher) {
  static cu_deviceptr buffers[BUFFERS];
  static cu_pool pool;
  cu_pool_props props = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                          .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                          .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
  CHECK_OK(cu.cuMemPoolCreate(&pool, &props));
  for (int i = 0; i < BUFFERS; i++) {
    if (i % 2 == 0)
      CHECK_OK(cu.cuMemAllocFromPoolAsync(&buffers[i], MIB, pool, NULL));
    else
      CHECK_OK(cu.cuMemAlloc(&buffers[i], MIB));
    CHECK_OK(cu.cuCtxSynchronize());
    void *buffer = (void *)(uintptr_t)buffers[i];
    cuframes_frame *frame = NULL;
    CHECK_OK(cuframes_publisher_register_external(publisher, buffer, MIB, &frame));
    CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
  }
}

static void run_publisher(int test, void *user) {
  cu_context context;
  struct pollfd asked = { .fd = test, .events = POLLIN };
  cuframes_publisher *publisher = NULL;
  uint64_t number = 0, request = 0;
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .format = small_format(),
    .device = "cuda",
    .memory = planned->legacy,
    .external = planned->pool,
  };
  (void)user;
  if (planned->pool) {
    CHECK_OK(gpu_load());
    CHECK_OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    CHECK_OK(cu.cuCtxPushCurrent(context));
  }
  CHECK_OK(cuframes_publisher_create("firm", &options, &publisher));
  if (planned->pool)
    lend_buffers(publisher);
  while (request != ENOUGH) {
    cuframes_frame *frame = NULL;
    cuframes_publish_info info = { .struct_size = sizeof info, .pts = (int64_t)++number * 1000 };
    CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
    CHECK_OK(picture_copy(frame, number));
    CHECK_OK(cuframes_publisher_publish(publisher, frame, &info));
    if (number == 1)
      say(test, 0);
    if (poll(&asked, 1, 1) == 0)
      continue;
    if ((request = hear(test)) == ENOUGH)
      break;
    cuframes_publisher_destroy(publisher);
    CHECK_OK(cuframes_publisher_create("firm", &options, &publisher));
    say(test, number);
  }
  cuframes_publisher_destroy(publisher);
  for (int kind = 0; kind < STANDIN_KINDS && !planned->pool; kind++)
    CHECK(standin_live((standin_kind)kind) == 0);
}

/* ---- the observer: for whom nothing fails, and who must not notice ---- */

static void run_observer(int test, void *user) {
  struct pollfd asked = { .fd = test, .events = POLLIN };
  cuframes_subscriber *subscriber = NULL;
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .sync = planned->sync,
                                          .reconnect = planned->comes_back,
                                          .connect_timeout_ns = patience() };
  uint64_t last = 0, count = 0;
  (void)user;
  CHECK_OK(cuframes_subscriber_create("firm", &options, &subscriber));
  say(test, 0);
  while (poll(&asked, 1, 0) == 0) {
    cuframes_frame *frame = NULL;
    bool whole = false;
    CHECK_OK(count % 2 ? cuframes_subscriber_next(subscriber, patience(), &frame)
                       : cuframes_subscriber_next_on(subscriber, patience(), NULL, &frame));
    int looked = picture_look(frame, frame_number(frame), &whole);
    CHECK(looked == CUFRAMES_OK || (looked == CUFRAMES_ERR_LOST && planned->comes_back));
    CHECK(whole || looked != CUFRAMES_OK);
    CHECK(frame_number(frame) > last);
    last = frame_number(frame);
    if (count % 3)
      cuframes_frame_release(frame);
    else
      cuframes_frame_release_on(frame, NULL);
    count++;
  }
  hear(test);
  cuframes_subscriber_destroy(subscriber);
  say(test, count);
}

/* ---- the one whose calls fail ---- */

typedef struct life {
  driver_fault fault;
  int test;
  cu_context context;
  cu_stream stream;
  cuframes_subscriber *subscriber;
} life;

static void context_set(life *l) {
  if (!planned->own_context)
    return;
  CHECK_OK(cu.cuDevicePrimaryCtxRetain(&l->context, 0));
  CHECK_OK(cu.cuCtxPushCurrent(l->context));
  CHECK_OK(cu.cuStreamCreate(&l->stream, CU_STREAM_NON_BLOCKING));
}

static void context_clear(const life *l) {
  cu_context popped;
  if (!l->context)
    return;
  (void)cu.cuStreamDestroy(l->stream); /* of a lost context it is gone already */
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
}

static bool lost(const life *l) {
  return driver_fault_has_happened() && driver_fault_is_sticky(&l->fault);
}

static int take(const life *l, bool on_stream, int64_t timeout_ns, cuframes_frame **frame) {
  return on_stream ? cuframes_subscriber_next_on(l->subscriber, timeout_ns, l->stream, frame)
                   : cuframes_subscriber_next(l->subscriber, timeout_ns, frame);
}

/* Takes a frame, looks at it, gives it back; each of these once more if it failed. */
static void use_one(const life *l, bool on_stream, bool release_on) {
  cuframes_frame *frame = NULL;
  bool whole = false;
  int result = take(l, on_stream, patience(), &frame);
  if (result != CUFRAMES_OK) {
    CHECK(frame == NULL);
    (void)driver_fault_tolerates(result);
    result = take(l, on_stream, lost(l) ? 0 : patience(), &frame);
    CHECK(result == CUFRAMES_OK || lost(l));
    if (result != CUFRAMES_OK)
      return;
  }
  if (!driver_fault_tolerates(picture_look(frame, frame_number(frame), &whole)))
    CHECK(driver_fault_tolerates(picture_look(frame, frame_number(frame), &whole)) || lost(l));
  CHECK(whole || lost(l));
  if (release_on)
    cuframes_frame_release_on(frame, l->stream); /* and if the stream cannot take it, it is given back all the same */
  else
    cuframes_frame_release(frame);
}

static void publisher_goes_and_comes(const life *l) {
  cuframes_frame *frame = NULL;
  int result = take(l, false, patience(), &frame);
  say(l->test, 0);
  hear(l->test);
  if (driver_fault_tolerates(result)) {
    bool whole = false;
    CHECK(picture_look(frame, frame_number(frame), &whole) != CUFRAMES_OK || whole || lost(l)); /* it stays readable */
    cuframes_frame_release_on(frame, l->stream);
  }
}

static void live(life *l) {
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .leases = 3,
                                          .sync = planned->sync,
                                          .reconnect = planned->comes_back,
                                          .connect_timeout_ns = patience() };
  uint32_t sync = 0;
  if (!driver_fault_tolerates(cuframes_subscriber_create("firm", &options, &l->subscriber))) {
    CHECK(l->subscriber == NULL);
    return;
  }
  CHECK_OK(cuframes_subscriber_device(l->subscriber, NULL, 0, &sync));
  CHECK(sync == planned->sync || (sync == CUFRAMES_SYNC_COMPLETE && driver_fault_has_happened()));
  for (unsigned i = 0; i < TURNS; i++) {
    if (planned->comes_back && i == 1)
      publisher_goes_and_comes(l);
    use_one(l, i % 2, i % 2 == 0 || i == TURNS - 1);
  }
  cuframes_subscriber_destroy(l->subscriber);
}

static void run_failing(int test, void *user) {
  resources before = { 0 };
  unsigned nth = 0;
  (void)user;
  CHECK_OK(gpu_load());
  for (int i = 0; i < DRIVER_FAULT_ERRORS; i++) {
    driver_fault f = { .happened = true };
    for (nth = 0; f.happened || nth <= 1; nth++) { /* the 0th: nothing fails */
      life l = { .test = test, .fault = { .nth = nth ? nth : CALLS_MOST, .error = driver_fault_errors[i] } };
      context_set(&l);
      driver_fault_begin(&l.fault);
      live(&l);
      driver_fault_end(&l.fault);
      context_clear(&l);
      f = l.fault;
      if (nth > 0)
        resources_are(&before, &f);
      before = resources_now();
      CHECK(nth < CALLS_MOST);
    }
  }
  CHECK(nth > 20);
  printf("numbers: %u calls in a life\n", nth - 2);
  fflush(stdout);
  say(test, ENOUGH);
}

static void play(const plan *p) {
  planned = p;
  child *publisher = child_start(run_publisher, NULL);
  hear(publisher->fd);
  child *observer = child_start(run_observer, NULL);
  hear(observer->fd);
  child *failing = child_start(run_failing, NULL);
  while (hear_of_many(failing->fd) != ENOUGH) {
    say(publisher->fd, 0);
    say(failing->fd, hear(publisher->fd));
  }
  child_finish(failing);
  say(observer->fd, 0);
  CHECK(hear(observer->fd) > TURNS);
  child_finish(observer);
  say(publisher->fd, ENOUGH);
  child_finish(publisher);
}

static void complete(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_COMPLETE });
}

static void timeline(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .own_context = true });
}

static void slot_events(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_SLOT_EVENTS, .own_context = true });
}

static void legacy_timeline(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .legacy = true });
}

static void pool_and_legacy(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .pool = true });
}

static void reconnect_complete(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_COMPLETE, .comes_back = true });
}

static void reconnect_timeline(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .own_context = true, .comes_back = true });
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(complete),        FIXTURE(timeline),           FIXTURE(slot_events),        FIXTURE(legacy_timeline),
    FIXTURE(pool_and_legacy), FIXTURE(reconnect_complete), FIXTURE(reconnect_timeline),
  };
  setenv("CUDA_STANDIN_DELAY_US", "50", 1);
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return FIXTURE_RUN("failures_subscriber", tests);
}
