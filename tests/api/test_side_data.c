/* test_side_data.c - what a frame carries besides its picture: from publisher to subscriber, as long as it is in hand,
 * and through whatever happens to slots and publishers.
 */
#include <stdlib.h>
#include <string.h>

#include "support/child.h"
#include "support/stream.h"

enum { MINE = CUFRAMES_SIDE_DATA_APPLICATION + 5, ROOM = 512 };

static cuframes_publisher *publisher_with(uint32_t side_data_max, uint32_t max_open) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.side_data_max = side_data_max;
  options.max_open = max_open;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  return publisher;
}

/* The side data of a picture follow from its number: as many bytes as that, 200 at most. */
static size_t side_draw(cuframes_frame *frame, uint64_t number) {
  uint8_t bytes[200];
  size_t size = number % 200;
  memset(bytes, (int)(number % 251), sizeof bytes);
  CHECK_OK(cuframes_frame_add_side_data(frame, MINE, &number, sizeof number));
  CHECK_OK(cuframes_frame_add_side_data(frame, MINE + 1, bytes, size));
  return size;
}

static bool side_is(const cuframes_frame *frame, uint64_t number) {
  size_t size = 0;
  uint64_t said = 0;
  const void *data = cuframes_frame_side_data(frame, MINE, &size);
  if (!data || size != sizeof said)
    return false;
  memcpy(&said, data, sizeof said);
  const uint8_t *bytes = cuframes_frame_side_data(frame, MINE + 1, &size);
  bool whole = bytes && said == number && size == number % 200;
  for (size_t i = 0; whole && i < size; i++)
    whole = bytes[i] == number % 251;
  return whole;
}

static int side_publish_or_not(cuframes_publisher *publisher, uint64_t number, bool with) {
  cuframes_frame *frame = NULL;
  int result = cuframes_publisher_acquire(publisher, &frame);
  if (result != CUFRAMES_OK)
    return result;
  picture_draw(frame, number);
  if (with)
    (void)side_draw(frame, number);
  return cuframes_publisher_publish(publisher, frame, NULL);
}

static int side_publish(cuframes_publisher *publisher, uint64_t number) {
  return side_publish_or_not(publisher, number, true);
}

static void blobs_arrive_as_they_were_added(void **state) {
  (void)state;
  static const uint8_t sei[20] = "0123456789abcdefxyz";
  cuframes_camera_calibration lens = { .fx = 500.5,
                                       .fy = 501.25,
                                       .cx = 32,
                                       .cy = 8,
                                       .width = 64,
                                       .height = 16,
                                       .distortion = CUFRAMES_DISTORTION_BROWN,
                                       .coefficients = { -0.25, 0.125 } };
  cuframes_publisher *publisher = publisher_with(ROOM, 1);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *open = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  assert_null(cuframes_frame_side_data(open, MINE, NULL));
  CHECK_OK(cuframes_frame_add_side_data(open, CUFRAMES_SIDE_DATA_SEI_USER_DATA, sei, sizeof sei));
  CHECK_OK(cuframes_frame_add_side_data(open, CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION, &lens, sizeof lens));
  CHECK_OK(cuframes_frame_add_side_data(open, CUFRAMES_SIDE_DATA_SEI_USER_DATA, sei, 16));
  CHECK_OK(cuframes_frame_add_side_data(open, MINE, NULL, 0));
  CHECK_OK(cuframes_publisher_publish(publisher, open, NULL));

  cuframes_frame *frame = frame_take(subscriber);
  size_t size = 0;
  uint32_t type = 0;
  const void *data = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_SEI_USER_DATA, &size);
  assert_int_equal(size, sizeof sei);
  assert_memory_equal(data, sei, sizeof sei);
  data = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION, &size);
  assert_int_equal(size, sizeof lens);
  assert_int_equal((uintptr_t)data % 8, 0);
  assert_memory_equal(data, &lens, sizeof lens);
  static const uint32_t types[] = { 1, 5, 1, MINE };
  for (uint32_t i = 0; i < 4; i++) {
    assert_non_null(cuframes_frame_side_data_at(frame, i, &type, &size));
    assert_int_equal(type, types[i]);
    assert_non_null(cuframes_frame_side_data_at(frame, i, NULL, NULL));
  }
  assert_int_equal(size, 0);
  assert_null(cuframes_frame_side_data_at(frame, 4, &type, &size));
  assert_null(cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &size));
  assert_null(cuframes_frame_side_data(NULL, MINE, &size));
  assert_null(cuframes_frame_side_data_at(NULL, 0, &type, &size));
  CHECK_RESULT(cuframes_frame_add_side_data(frame, MINE, &size, 1), CUFRAMES_ERR_INVALID); /* it only reads */
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void what_cannot_be_added_is_refused(void **state) {
  (void)state;
  static const uint8_t bytes[ROOM];
  cuframes_publisher *publisher = publisher_with(ROOM, 1);
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_frame_add_side_data(NULL, MINE, bytes, 1), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_add_side_data(frame, MINE, NULL, 1), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_add_side_data(frame, 0, bytes, 1), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_add_side_data(frame, 6, bytes, 1), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_add_side_data(frame, 0xffff, bytes, 1), CUFRAMES_ERR_INVALID);
  detail_names("0x10000");
  CHECK_RESULT(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_SEI_USER_DATA, bytes, 15), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_add_side_data(frame, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, bytes, 5), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_add_side_data(frame, MINE, bytes, ROOM - 7), CUFRAMES_ERR_NO_CAPACITY);
  detail_names("side_data_max");
  CHECK_OK(cuframes_frame_add_side_data(frame, MINE, bytes, ROOM - 8));
  CHECK_RESULT(cuframes_frame_add_side_data(frame, MINE, bytes, 1), CUFRAMES_ERR_NO_CAPACITY);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame)); /* and who acquires again starts anew */
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  assert_null(cuframes_frame_side_data_at(frame, 0, NULL, NULL));
  CHECK_OK(cuframes_frame_add_side_data(frame, MINE, bytes, ROOM - 8));
  CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
  cuframes_publisher_destroy(publisher);

  publisher = publisher_with(0, 1);
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_frame_add_side_data(frame, MINE, bytes, 0), CUFRAMES_ERR_NO_CAPACITY);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  cuframes_publisher_destroy(publisher);
  cuframes_publisher_options options = publisher_options();
  options.side_data_max = CUFRAMES_SIDE_DATA_MAX + 1;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID);
  detail_names("side_data_max");
}

/* Through every slot, growth and another format, with frames in hand all the while. */
static void they_stay_as_they_are_in_hand(void **state) {
  (void)state;
  enum { HELD = 8 };
  cuframes_publisher *publisher = publisher_with(ROOM, 1);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  options.leases = HELD;
  cuframes_subscriber *holder = subscriber_join("s", &options), *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_frame *held[HELD] = { 0 };
  cuframes_format formats[2] = { small_format(), small_format() };
  formats[1].width = 80;
  for (uint64_t number = 1; number <= 400; number++) {
    if (number % 50 == 0)
      CHECK_OK(cuframes_publisher_set_format(publisher, &formats[number / 50 % 2]));
    CHECK_OK(side_publish(publisher, number));
    cuframes_frame *frame = frame_take(ordered);
    assert_true(picture_is(frame, number) && side_is(frame, number));
    cuframes_frame_release(frame);
    uint64_t k = number % HELD;
    if (held[k]) {
      assert_true(side_is(held[k], number - HELD) && picture_is(held[k], number - HELD));
      cuframes_frame_release(held[k]);
    }
    held[k] = frame_take(holder);
  }
  cuframes_publisher_destroy(publisher); /* and when the publisher is gone */
  for (uint64_t number = 393; number <= 400; number++) {
    assert_true(side_is(held[number % HELD], number));
    cuframes_frame_release(held[number % HELD]);
  }
  cuframes_subscriber_destroy(holder);
  cuframes_subscriber_destroy(ordered);
}

static void a_frame_without_has_none_of_the_one_before(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_with(ROOM, 1);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  for (uint64_t number = 1; number < 60; number++) {
    bool with = number % 3 == 0;
    CHECK_OK(side_publish_or_not(publisher, number, with));
    cuframes_frame *frame = frame_take(subscriber);
    assert_true(with ? side_is(frame, number) : !cuframes_frame_side_data_at(frame, 0, NULL, NULL));
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_kept_reference_keeps_them(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_with(ROOM, 3);
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  cuframes_frame *kept = cuframes_frame_ref(frame);
  (void)side_draw(frame, 77);
  CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
  CHECK_RESULT(cuframes_frame_add_side_data(kept, MINE, "x", 1), CUFRAMES_ERR_INVALID);
  for (uint64_t number = 1; number <= 40; number++) {
    CHECK_OK(side_publish(publisher, number));
    assert_true(side_is(kept, 77));
  }
  cuframes_publisher_destroy(publisher);
  assert_true(side_is(kept, 77));
  cuframes_frame_release(kept);
}

/* What waits for an ordered subscriber must be readable when the publisher has been killed. */
static void publish_and_wait(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_with(ROOM, 1);
  say(test, 0);
  hear(test); /* he has joined */
  for (uint64_t number = 1; number <= 3; number++)
    CHECK_OK(side_publish(publisher, number));
  say(test, 0);
  hear(test);
}

static void they_outlive_a_killed_publisher_and_come_back(void **state) {
  (void)state;
  child *publisher = child_start(publish_and_wait, NULL);
  hear(publisher->fd);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  options.reconnect = 1;
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  say(publisher->fd, 0);
  hear(publisher->fd);
  child_kill(publisher);
  for (uint64_t number = 1; number <= 3; number++) {
    cuframes_frame *frame = frame_take(subscriber);
    assert_true(side_is(frame, number));
    cuframes_frame_release(frame);
  }
  cuframes_publisher *second = publisher_with(2 * ROOM, 1);
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
  WAIT_FOR(cuframes_subscriber_next(subscriber, 0, &frame) == CUFRAMES_ERR_TIMEOUT &&
           publisher_stats(second).subscribers == 1);
  CHECK_OK(side_publish(second, 150));
  frame = frame_take(subscriber);
  assert_true(side_is(frame, 150));
  assert_true(cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(second);
}

/* It is counted, and only who takes frames maps it. */
static void the_memory_is_counted_and_not_for_packets(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_with(0, 1);
  uint64_t without = publisher_stats(publisher).memory_bytes;
  cuframes_publisher_destroy(publisher);
  publisher = publisher_with(CUFRAMES_SIDE_DATA_MAX, 1);
  cuframes_publisher_stats stats = publisher_stats(publisher);
  assert_true(stats.memory_bytes == without + (uint64_t)stats.slots * CUFRAMES_SIDE_DATA_MAX);
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  int before = fixture_mappings();
  cuframes_subscriber *packets = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  assert_int_equal(fixture_mappings(), before + 3); /* control page, and the seat on both sides */
  cuframes_subscriber *frames = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  assert_int_equal(fixture_mappings(), before + 3 + 3 + 2); /* segment and side data */
  cuframes_subscriber_destroy(packets);
  cuframes_subscriber_destroy(frames);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(blobs_arrive_as_they_were_added),
    FIXTURE(what_cannot_be_added_is_refused),
    FIXTURE(they_stay_as_they_are_in_hand),
    FIXTURE(a_frame_without_has_none_of_the_one_before),
    FIXTURE(a_kept_reference_keeps_them),
    FIXTURE(they_outlive_a_killed_publisher_and_come_back),
    FIXTURE(the_memory_is_counted_and_not_for_packets),
  };
  return FIXTURE_RUN("side_data", tests);
}
