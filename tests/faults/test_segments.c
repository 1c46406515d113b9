/* test_segments.c - no descriptor and no memory for a new segment. At the moment when a frame lies in it: next() says
 * so, and the frame still comes once there is some. At the moment when the publisher needs it: frames are dropped and
 * counted, those in hand stay whole, and the stream goes on.
 */
#include <stdatomic.h>
#include <string.h>

#include "faults/resource_calls.h"
#include "support/stream.h"

static void a_frame_is_not_lost_over_its_segment(enum call_kind kind, uint32_t side_data_max) {
  static const cuframes_format large = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 320, .height = 180 };
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.side_data_max = side_data_max;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_frame *none = NULL;
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(ordered), 1);
  CHECK_OK(cuframes_publisher_set_format(publisher, &large));
  pictures_publish(publisher, 2, 2);
  for (int i = 0; i < 3; i++) {
    failing_nth(kind, 1, true);
    CHECK_RESULT(cuframes_subscriber_next(ordered, patience(), &none), CUFRAMES_ERR_NO_MEMORY);
    assert_true(failing_end());
    assert_null(none);
  }
  assert_int_equal(frame_look(ordered), 2);
  assert_int_equal(frame_look(ordered), 3);
  cuframes_subscriber_destroy(ordered);
  cuframes_publisher_destroy(publisher);
}

static void without_descriptors(void **state) {
  (void)state;
  a_frame_is_not_lost_over_its_segment(CALL_DESCRIPTORS, 0);
  a_frame_is_not_lost_over_its_segment(CALL_DESCRIPTORS, 64);
}

static void without_memory(void **state) {
  (void)state;
  a_frame_is_not_lost_over_its_segment(CALL_MEMORY, 0);
  a_frame_is_not_lost_over_its_segment(CALL_MEMORY, 64);
}

enum { LEASES = 16 };

static int held_publish(cuframes_publisher *publisher, cuframes_subscriber *subscriber, uint64_t number,
                        cuframes_frame **held) {
  int result = picture_publish(publisher, number);
  if (result == CUFRAMES_OK)
    *held = frame_take(subscriber);
  return result;
}

/* The log says that there are no more slots. */
static void hear_of_slots(void *user, int level, const char *line) {
  (void)level;
  if (strstr(line, "no more slots"))
    atomic_fetch_add((_Atomic int *)user, 1);
}

static void a_pool_that_cannot_grow(enum call_kind kind) {
  _Atomic int said = 0;
  cuframes_publisher_options options = publisher_options();
  cuframes_subscriber_options request = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_publisher *publisher = NULL;
  cuframes_frame *held[LEASES] = { NULL };
  uint64_t count = 0;
  options.slots = 4;
  options.max_open = 2;
  options.log = hear_of_slots;
  options.log_user = &said;
  request.leases = LEASES;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_join("s", &request);
  cuframes_frame *open; /* what the publisher holds itself is waited for only while there is hope */
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  failing_nth(kind, 1, true);
  int result;
  while ((result = held_publish(publisher, subscriber, count + 1, &held[count])) == CUFRAMES_OK)
    count++;
  CHECK_RESULT(result, CUFRAMES_ERR_DROPPED);
  CHECK_BETWEEN(count, 2, 3); /* and one of them is the newest */
  assert_int_equal(publisher_stats(publisher).dropped, 1);
  for (int i = 0; i < 100; i++)
    CHECK_RESULT(picture_publish(publisher, 99), CUFRAMES_ERR_DROPPED);
  assert_int_equal(publisher_stats(publisher).dropped, 101);
  assert_int_equal(publisher_stats(publisher).slots, 4);
  WAIT_FOR(said > 0);
  cuframes_frame_release(held[0]);
  CHECK_OK(held_publish(publisher, subscriber, 50, &held[0])); /* it needs none but that */
  assert_int_equal(picture_number(held[0]), 50);
  assert_true(failing_end());
  while (count < LEASES) /* the next attempt is made when the last one is a moment ago */
    WAIT_FOR(held_publish(publisher, subscriber, count + 1, &held[count]) == CUFRAMES_OK && ++count);
  for (uint64_t i = 0; i < LEASES; i++) {
    assert_int_equal(picture_number(held[i]), i ? i + 1 : 50);
    cuframes_frame_release(held[i]);
  }
  CHECK_OK(cuframes_publisher_cancel(publisher, open));
  CHECK_BETWEEN(publisher_stats(publisher).slots, LEASES, LEASES + 8);
  assert_int_equal(said, 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_pool_cannot_grow_without_descriptors(void **state) {
  (void)state;
  a_pool_that_cannot_grow(CALL_DESCRIPTORS);
}

static void a_pool_cannot_grow_without_memory(void **state) {
  (void)state;
  a_pool_that_cannot_grow(CALL_MEMORY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(without_descriptors),
    FIXTURE(without_memory),
    FIXTURE(a_pool_cannot_grow_without_descriptors),
    FIXTURE(a_pool_cannot_grow_without_memory),
  };
  return FIXTURE_RUN("segments", tests);
}
