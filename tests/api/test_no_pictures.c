/* test_no_pictures.c - a stream of packets alone: published without a format, joined in each mode, listed; and one
 * whose pictures come later.
 */
#include <string.h>

#include "support/packets.h"
#include "support/stream.h"

static cuframes_publisher *publisher_without_pictures(uint32_t max_slots) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.format = (cuframes_format){ 0 };
  options.max_slots = max_slots;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  return publisher;
}

static void data_track(cuframes_publisher *publisher) {
  cuframes_codec_params params = { .struct_size = sizeof params,
                                   .media_type = CUFRAMES_MEDIA_DATA,
                                   .codec = "bin_data" };
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &params));
}

static void packets_need_no_pictures(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_without_pictures(0);
  data_track(publisher);
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_publisher_acquire(publisher, &frame), CUFRAMES_ERR_FORMAT);
  detail_names("cuframes_publisher_set_format()");
  cuframes_publisher_stats stats = publisher_stats(publisher);
  assert_int_equal(stats.slots, 0);
  assert_int_equal(stats.segments, 0);
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_PACKETS; mode++) {
    cuframes_subscriber *subscriber = subscriber_new("s", mode);
    cuframes_packet *packet = NULL;
    CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME));
    cuframes_packet_info info = { .struct_size = sizeof info, .data = "abc", .size = 3, .pts = 7, .flags = 1 };
    CHECK_OK(cuframes_publisher_publish_packet(publisher, &info));
    CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packet));
    assert_memory_equal(cuframes_packet_data(packet), "abc", 3);
    cuframes_packet_release(packet);
    if (mode != CUFRAMES_MODE_PACKETS)
      CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
    cuframes_stream_info *seen = NULL;
    CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &seen));
    assert_int_equal(seen->format.pixel_format, 0);
    assert_int_equal(seen->slots, 0);
    assert_int_equal(seen->track_count, 1);
    assert_true(seen->age_ns == CUFRAMES_NO_TIME);
    cuframes_stream_info_free(seen);
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher);
}

/* Who waits for them has the slots that it was promised. */
static void pictures_may_come_later(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_without_pictures(20);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED), more = options;
  options.leases = 4;
  options.depth = 8;
  more.leases = 16;
  cuframes_subscriber *ordered = subscriber_join("s", &options), *newest = subscriber_new("s", 0), *none = NULL;
  CHECK_RESULT(cuframes_subscriber_create("s", &more, &none), CUFRAMES_ERR_NO_CAPACITY); /* a promise has a limit */
  cuframes_format format = small_format();
  CHECK_OK(cuframes_publisher_set_format(publisher, &format));
  pictures_publish(publisher, 1, 8);
  cuframes_frame *held[4];
  for (uint64_t number = 1; number <= 4; number++)
    held[number - 1] = frame_take(ordered);
  pictures_publish(publisher, 9, 3);
  assert_int_equal(frame_look(newest), 11);
  for (uint64_t number = 1; number <= 4; number++) {
    assert_int_equal(picture_number(held[number - 1]), number);
    cuframes_frame_release(held[number - 1]);
  }
  for (uint64_t number = 5; number <= 11; number++)
    assert_int_equal(frame_look(ordered), number);
  cuframes_subscriber_destroy(ordered);
  cuframes_subscriber_destroy(newest);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  uint64_t number = 12;
  WAIT_FOR(picture_publish(publisher, number++) == CUFRAMES_OK && publisher_stats(publisher).segments == 1);
  cuframes_publisher_destroy(publisher);
}

static void half_a_format_is_none(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *none = NULL;
  options.format.pixel_format = 0;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &none), CUFRAMES_ERR_FORMAT);
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8 };
  CHECK_RESULT(cuframes_publisher_create("s", &options, &none), CUFRAMES_ERR_FORMAT);
  assert_null(none);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(packets_need_no_pictures),
    FIXTURE(pictures_may_come_later),
    FIXTURE(half_a_format_is_none),
  };
  return FIXTURE_RUN("no_pictures", tests);
}
