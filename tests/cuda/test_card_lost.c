/* test_card_lost.c - a card that falls off the bus, a driver that is replaced under running processes, a persistence
 * daemon that lets go: from some moment on every call of the driver fails, with whatever error. Nobody hangs, the
 * stream ends with a sentence, and what was not complete is LOST.
 */
#include <string.h>

#include "drivers.h"

typedef struct fate {
  int error;
  unsigned nth; /* of the calls then */
  uint32_t sync, mode;
} fate;

static const int errors[] = { CUDA_ERROR_DEVICE_UNAVAILABLE,     CUDA_ERROR_NO_DEVICE, CUDA_ERROR_SYSTEM_NOT_READY,
                              CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, CUDA_ERROR_UNKNOWN,   CUDA_ERROR_MPS_CONNECTION_FAILED,
                              CUDA_ERROR_ECC_UNCORRECTABLE };
#define ERRORS (sizeof errors / sizeof errors[0])

static fate fate_of(size_t round) {
  static const uint32_t syncs[] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE };
  return (fate){ .error = errors[round % ERRORS],
                 .nth = 1 + (unsigned)(round * 5 % 13),
                 .sync = syncs[round % 2],
                 .mode = round % 3 == 0 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST };
}
#define ROUNDS (2 * ERRORS)

static void sentence(void) {
  CHECK(strlen(cuframes_last_error()) > 15);
}

/* One frame in a picture of 64 x 16, as an application makes it. */
static int publish_one(cuframes_publisher *publisher, cu_stream stream) {
  static const uint8_t row[64 * 16];
  cuframes_frame *frame = NULL;
  int result = cuframes_publisher_acquire(publisher, &frame);
  if (result != CUFRAMES_OK)
    return result;
  result = cuframes_frame_copy_from_host(frame, 0, row, 0);
  if (result != CUFRAMES_OK) {
    sentence();
    (void)cuframes_publisher_cancel(publisher, frame);
    return result;
  }
  return cuframes_publisher_publish_on(publisher, frame, stream, NULL);
}

static void publisher_begin(gpu *g, cu_stream *stream, cuframes_publisher **publisher) {
  cuframes_publisher_options options = { .struct_size = sizeof options,
                                         .device = "cuda",
                                         .format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 64, .height = 16 },
                                         .ordered_timeout_ns = patience() };
  driver_use(STANDIN, NULL);
  gpu_begin(g, 0);
  CHECK_OK(cu.cuStreamCreate(stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cuframes_publisher_create("card", &options, publisher));
}

static void run_doomed_publisher(int test, void *user) {
  const fate *f = user;
  static gpu g;
  cu_stream stream;
  cuframes_publisher *publisher = NULL;
  int result;
  publisher_begin(&g, &stream, &publisher);
  CHECK_OK(publish_one(publisher, stream));
  say(test, 0);
  (void)hear(test); /* somebody is there, and has that */
  driver_lose(f->nth, f->error);
  do
    result = publish_one(publisher, stream);
  while (result == CUFRAMES_OK || result == CUFRAMES_ERR_DROPPED);
  CHECK_RESULT(result, CUFRAMES_ERR_DEVICE);
  sentence();
  int64_t end = cuframes_now() + patience();
  do { /* at the latest when the application goes on */
    result = publish_one(publisher, stream);
    CHECK(result == CUFRAMES_ERR_DEVICE && cuframes_now() < end);
  } while (!strstr(cuframes_last_error(), "new process"));
  cuframes_publisher_destroy(publisher);
  say(test, 0);
  (void)hear(test); /* it lives on, without a GPU */
}

static void run_reader(int test, void *user) {
  const fate *f = user;
  static gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *held = NULL, *frame = NULL;
  cuframes_subscriber_options options = {
    .struct_size = sizeof options, .sync = f->sync, .mode = f->mode, .leases = 8, .connect_timeout_ns = patience()
  };
  int result;
  driver_use(STANDIN, NULL);
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cuframes_subscriber_create("card", &options, &subscriber));
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &held));
  CHECK_OK(cuframes_frame_wait(held, patience()));
  say(test, 0);
  while ((result = cuframes_subscriber_next_on(subscriber, patience(), stream, &frame)) == CUFRAMES_OK) {
    int waited = cuframes_frame_wait(frame, patience()); /* whole, or known never to be */
    CHECK(waited == CUFRAMES_OK || waited == CUFRAMES_ERR_LOST);
    cuframes_frame_release(frame);
  }
  CHECK_RESULT(result, CUFRAMES_ERR_PUBLISHER_GONE);
  sentence();
  CHECK_OK(cu.cuStreamSynchronize(stream)); /* no fence is waited for */
  CHECK_OK(cuframes_frame_wait(held, 0));
  cuframes_frame_release(held);
  cuframes_subscriber_destroy(subscriber);
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
  say(test, 0);
}

static void the_publishers_card_is_lost(void **state) {
  (void)state;
  for (size_t round = 0; round < ROUNDS; round++) {
    fate f = fate_of(round);
    child *publisher = child_start(run_doomed_publisher, &f);
    (void)hear(publisher->fd);
    child *reader = child_start(run_reader, &f);
    (void)hear(reader->fd);
    say(publisher->fd, 0);
    (void)hear(publisher->fd);
    (void)hear(reader->fd);
    child_finish(reader);
    say(publisher->fd, 0);
    child_finish(publisher);
  }
}

/* ---- a subscriber's ---- */

static void run_doomed_reader(int test, void *user) {
  const fate *f = user;
  static gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  static uint8_t copy[320 * 180];
  cuframes_subscriber_options options = { .struct_size = sizeof options, .sync = f->sync, .mode = f->mode };
  driver_use(STANDIN, NULL);
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cuframes_subscriber_create("card", &options, &subscriber));
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &frame));
  driver_lose(f->nth, f->error);
  for (int failed = 0, turn = 0; failed < 3 && turn < 100; turn++) {
    int result = cuframes_frame_copy_to_host(frame, 0, copy, 0);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_DEVICE);
    failed += result != CUFRAMES_OK;
    if (result != CUFRAMES_OK)
      sentence();
    if (turn % 2)
      cuframes_frame_release_on(frame, stream);
    else
      cuframes_frame_release(frame);
    frame = NULL;
    result = cuframes_subscriber_next_on(subscriber, patience(), stream, &frame);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_DEVICE);
    if (result != CUFRAMES_OK)
      break; /* it is told so */
  }
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  say(test, 0);
}

static void a_subscribers_card_is_lost(void **state) {
  (void)state;
  for (size_t round = 0; round < ROUNDS; round++) {
    fate f = fate_of(round);
    setting set = { STANDIN, NULL, { .name = "card", .format = program_format(CUFRAMES_PIXEL_GRAY8) } };
    child *publisher = source_start(&set), *reader = child_start(run_doomed_reader, &f);
    (void)hear(reader->fd);
    child_finish(reader);
    source_stop(publisher); /* which noticed nothing */
  }
}

/* ---- a forked child ---- */

static void give_back(int test, void *user) {
  cuframes_publisher **publisher = user;
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_publisher_acquire(*publisher, &frame), CUFRAMES_ERR_INVALID);
  detail_names("fork");
  cuframes_publisher_destroy(*publisher);
  say(test, 0);
}

static void run_forking_publisher(int test, void *unused) {
  static gpu g;
  cu_stream stream;
  cuframes_publisher *publisher = NULL;
  (void)unused;
  publisher_begin(&g, &stream, &publisher);
  for (int i = 0; i < 3; i++) {
    CHECK_OK(publish_one(publisher, stream));
    child *forked = child_start(give_back, &publisher);
    (void)hear(forked->fd);
    child_finish(forked);
  }
  say(test, 0);
  (void)hear(test);
  CHECK_OK(publish_one(publisher, stream));
  (void)hear(test);
  cuframes_publisher_destroy(publisher);
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
  driver_nothing_left();
}

static void leave(int test, void *user) {
  cuframes_subscriber **subscriber = user;
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_subscriber_next(*subscriber, patience(), &frame), CUFRAMES_ERR_INVALID);
  cuframes_subscriber_destroy(*subscriber);
  say(test, 0);
}

static void run_forking_reader(int test, void *unused) {
  static gpu g;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  cuframes_subscriber_options options = { .struct_size = sizeof options, .sync = CUFRAMES_SYNC_TIMELINE };
  (void)unused;
  driver_use(STANDIN, NULL);
  gpu_begin(&g, 0);
  CHECK_OK(cuframes_subscriber_create("card", &options, &subscriber));
  CHECK_OK(cuframes_subscriber_next(subscriber, patience(), &frame));
  child *forked = child_start(leave, &subscriber);
  (void)hear(forked->fd);
  child_finish(forked);
  cuframes_frame_release(frame);
  say(test, 0);
  CHECK_OK(cuframes_subscriber_next(subscriber, patience(), &frame));
  CHECK_OK(cuframes_frame_wait(frame, patience()));
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  gpu_end(&g);
  driver_nothing_left();
  say(test, 0);
}

/* The driver does not survive a fork: a child that gives back what it inherited does not call it. */
static void a_forked_child_calls_no_driver(void **state) {
  (void)state;
  child *publisher = child_start(run_forking_publisher, NULL);
  (void)hear(publisher->fd);
  child *reader = child_start(run_forking_reader, NULL);
  (void)hear(reader->fd);
  say(publisher->fd, 0);
  (void)hear(reader->fd);
  child_finish(reader);
  say(publisher->fd, 0);
  child_finish(publisher);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_publishers_card_is_lost),
    FIXTURE(a_subscribers_card_is_lost),
    FIXTURE(a_forked_child_calls_no_driver),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("card_lost", tests);
}
