/* test_segments.c - no descriptor and no memory for a new segment at the moment when a frame lies in it: next() says
 * so, and the frame still comes once there is some.
 */
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

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(without_descriptors),
    FIXTURE(without_memory),
  };
  return FIXTURE_RUN("segments", tests);
}
