/* test_no_streams.c - the calls for GPU streams and for GPU memory, on host memory: the first do what their plain
 * forms do, the others are refused with a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "support/stream.h"

static void frames_are_of_the_host(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  char device[CUFRAMES_DEVICE_NAME_MAX + 1];
  uint32_t sync = 0;
  CHECK_OK(cuframes_subscriber_device(subscriber, device, sizeof device, &sync));
  assert_string_equal(device, "host");
  CHECK_RESULT(cuframes_subscriber_device(subscriber, device, 4, &sync), CUFRAMES_ERR_INVALID);
  assert_int_equal(sync, CUFRAMES_SYNC_COMPLETE);
  int any;
  for (uint64_t number = 1; number <= 5; number++) {
    cuframes_frame *frame = NULL;
    pictures_publish(publisher, number, 1);
    CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), &any, &frame)); /* the stream is not looked at */
    assert_string_equal(cuframes_frame_device(frame), "host");
    assert_int_equal(picture_number(frame), number);
    CHECK_OK(cuframes_frame_wait(frame, 0));
    cuframes_frame_release_on(frame, &any);
    assert_int_equal(subscriber_stats(subscriber).leases_held, 0);
    assert_int_equal(subscriber_stats(subscriber).frames_lost, 0);
    cuframes_frame_release_on(frame, &any);
    assert_int_equal(subscriber_stats(subscriber).released_twice, number);
  }
  cuframes_frame *none = NULL;
  CHECK_RESULT(cuframes_subscriber_next_on(subscriber, 0, NULL, &none), CUFRAMES_ERR_TIMEOUT);
  assert_null(none);
  cuframes_frame_release_on(NULL, NULL);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void copies_within_the_device(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  uint8_t rows[16][70];
  for (int i = 0; i < 16 * 70; i++)
    rows[i / 70][i % 70] = (uint8_t)(i * 7 + i / 70);
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_copy_from_device(frame, 1, rows, 70, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_copy_from_device(frame, 0, rows, 63, NULL), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_frame_copy_from_device(frame, 0, rows, 70, NULL));
  CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
  frame = frame_take(subscriber);
  for (int y = 0; y < 16; y++)
    assert_memory_equal((uint8_t *)cuframes_frame_plane(frame, 0) + y * cuframes_frame_pitch(frame, 0), rows[y], 64);
  CHECK_RESULT(cuframes_frame_copy_from_device(frame, 0, rows, 70, NULL), CUFRAMES_ERR_INVALID);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void modes_for_gpus_fall_back(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber_options request = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *subscriber = NULL;
  request.sync = CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_SLOT_EVENTS;
  subscriber = subscriber_join("s", &request);
  uint32_t sync = 0;
  CHECK_OK(cuframes_subscriber_device(subscriber, NULL, 0, &sync));
  assert_int_equal(sync, CUFRAMES_SYNC_COMPLETE);
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_string_equal(info->memory, "memfd");
  assert_string_equal(info->subscribers[0]->sync_mode, "complete");
  assert_int_equal(info->subscribers[0]->sync_asked,
                   CUFRAMES_SYNC_COMPLETE | CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_SLOT_EVENTS);
  cuframes_stream_info_free(info);
  cuframes_subscriber *none = NULL;
  request.sync = 8;
  CHECK_RESULT(cuframes_subscriber_create("s", &request, &none), CUFRAMES_ERR_INVALID);
  detail_names("sync");
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void devices_are_checked_on_joining(void **state) {
  (void)state;
  static const struct {
    const char *device;
    int result;
  } requests[] = { { NULL, 0 },
                   { "auto", 0 },
                   { "host", 0 },
                   { "cuda", CUFRAMES_ERR_UNSUPPORTED },
                   { "cuda:0", CUFRAMES_ERR_UNSUPPORTED } };
  cuframes_publisher *publisher = publisher_new("s");
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    cuframes_subscriber_options request = subscriber_options(CUFRAMES_MODE_NEWEST);
    cuframes_subscriber *subscriber = NULL;
    request.device = requests[i].device;
    CHECK_RESULT(cuframes_subscriber_create("s", &request, &subscriber), requests[i].result);
    if (requests[i].result != 0)
      detail_names("host memory");
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher);
}

static void buffers_of_the_application_are_for_gpus(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.external = 1;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_UNSUPPORTED);
  detail_names("host");
  options = publisher_options();
  options.memory = CUFRAMES_MEMORY_LEGACY;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_UNSUPPORTED);
  options.memory = 2;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID);
  assert_null(publisher);
  publisher = publisher_new("s");
  static uint8_t memory[4096];
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_publisher_register_external(publisher, memory, sizeof memory, &frame), CUFRAMES_ERR_INVALID);
  detail_names("external");
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_publisher_reopen(publisher, frame), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_unregister_external(publisher, frame), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  pictures_publish(publisher, 1, 1);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(frames_are_of_the_host),
    FIXTURE(copies_within_the_device),
    FIXTURE(modes_for_gpus_fall_back),
    FIXTURE(devices_are_checked_on_joining),
    FIXTURE(buffers_of_the_application_are_for_gpus),
  };
  return FIXTURE_RUN("no_streams", tests);
}
