/* test_before_pictures.c - a stream that has its name and no picture yet: who waits for the first one, what it is told,
 * the publisher's death before it, and options that are lowered until then.
 */
#include <poll.h>
#include <string.h>

#include "support/child.h"
#include "support/packets.h"
#include "support/waiter.h"

/* What a publisher's death may take until a subscriber knows of it. */
#define AT_ONCE_MS 500

static cuframes_publisher_options options_without_format(void) {
  static const cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = publisher_options();
  options.format = (cuframes_format){ 0 };
  options.packets = &ring;
  return options;
}

static cuframes_publisher *publisher_before_pictures(const cuframes_publisher_options *options) {
  cuframes_publisher *publisher = NULL;
  cuframes_source_info source = { .struct_size = sizeof source, .state = CUFRAMES_SOURCE_CONNECTING };
  strcpy(source.reason, "connection refused");
  CHECK_OK(cuframes_publisher_create("s", options, &publisher));
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  return publisher;
}

static void set_small_format(cuframes_publisher *publisher) {
  cuframes_format format = small_format();
  CHECK_OK(cuframes_publisher_set_format(publisher, &format));
}

static void describe_track(cuframes_publisher *publisher) {
  cuframes_codec_params params = { .struct_size = sizeof params, .media_type = CUFRAMES_MEDIA_VIDEO, .codec = "h264" };
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &params));
}

static void publish_packet(cuframes_publisher *publisher) {
  cuframes_packet_info info = { .struct_size = sizeof info, .data = "abc", .size = 3, .pts = 7, .flags = 1 };
  CHECK_OK(cuframes_publisher_publish_packet(publisher, &info));
}

/* ---- those who wait ---- */

static void the_first_picture_comes_to_all_who_wait(void **state) {
  (void)state;
  for (uint32_t reserve = CUFRAMES_RESERVE_NEED; reserve <= CUFRAMES_RESERVE_FULL; reserve++) {
    cuframes_publisher_options options = options_without_format();
    options.reserve = reserve;
    cuframes_publisher *publisher = publisher_before_pictures(&options);
    cuframes_subscriber *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST),
                        *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED),
                        *packets = subscriber_new("s", CUFRAMES_MODE_PACKETS);
    CHECK_OK(cuframes_subscriber_enable_packets(packets, CUFRAMES_PACKETS_FROM_KEYFRAME));
    waiter for_newest, for_ordered, for_packet;
    waiter_start(&for_newest, newest, CUFRAMES_WAIT_FOREVER);
    waiter_start(&for_ordered, ordered, CUFRAMES_WAIT_FOREVER);
    waiter_start_packet(&for_packet, packets, CUFRAMES_WAIT_FOREVER);
    describe_track(publisher);
    publish_packet(publisher);
    assert_int_equal(waiter_end(&for_packet), CUFRAMES_OK);
    CHECK(cuframes_packet_flags(for_packet.packet) & CUFRAMES_PACKET_NEW_PARAMS);
    cuframes_packet_release(for_packet.packet);
    set_small_format(publisher);
    pictures_publish(publisher, 1, 1);
    assert_int_equal(waiter_end(&for_newest), CUFRAMES_OK);
    assert_int_equal(waiter_end(&for_ordered), CUFRAMES_OK);
    CHECK(picture_number(for_newest.frame) == 1 && picture_number(for_ordered.frame) == 1);
    /* it is the first that they see: nothing is new about it, and nothing was lost */
    const uint32_t news = CUFRAMES_FRAME_NEW_FORMAT | CUFRAMES_FRAME_DISCONTINUITY;
    CHECK((cuframes_frame_flags(for_ordered.frame) & news) == 0);
    cuframes_frame_release(for_newest.frame);
    cuframes_frame_release(for_ordered.frame);
    cuframes_format wider = small_format();
    wider.width *= 2;
    CHECK_OK(cuframes_publisher_set_format(publisher, &wider)); /* they stay through a change, too */
    pictures_publish(publisher, 2, 1);
    CHECK(frame_look(newest) == 2 && frame_look(ordered) == 2);
    cuframes_subscriber_destroy(packets);
    cuframes_subscriber_destroy(ordered);
    cuframes_subscriber_destroy(newest);
    cuframes_publisher_destroy(publisher);
  }
}

static void a_descriptor_tells_of_the_first_picture(void **state) {
  (void)state;
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = NULL;
  struct pollfd ready = { .events = POLLIN };
  CHECK_OK(cuframes_subscriber_fd(subscriber, &ready.fd));
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
  assert_int_equal(poll(&ready, 1, 0), 0);
  set_small_format(publisher);
  assert_int_equal(poll(&ready, 1, 0), 0); /* a format is no picture */
  pictures_publish(publisher, 1, 1);
  assert_int_equal(poll(&ready, 1, (int)(patience() / 1000000)), 1);
  assert_int_equal(frame_look(subscriber), 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_timeout_says_what_the_source_is_doing(void **state) {
  (void)state;
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = NULL;
  cuframes_packet *packet = NULL;
  cuframes_source_info source = { .struct_size = sizeof source };
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME));
  CHECK_OK(cuframes_subscriber_get_source(subscriber, &source));
  CHECK(source.state == CUFRAMES_SOURCE_CONNECTING && source.since > 0);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 1, &frame), CUFRAMES_ERR_TIMEOUT);
  detail_names("the source: connecting for ");
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 1, &packet), CUFRAMES_ERR_TIMEOUT);
  detail_names("no packet");
  detail_names("the source: connecting for ");
  source = (cuframes_source_info){ .struct_size = sizeof source, .state = CUFRAMES_SOURCE_REFUSED };
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
  detail_names("the source: refused for ");
  source.state = CUFRAMES_SOURCE_LIVE;
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
  CHECK(!strstr(cuframes_last_error(), "source"));
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_name_is_taken_before_the_first_picture(void **state) {
  (void)state;
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options), *second = NULL;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &second), CUFRAMES_ERR_NAME_IN_USE);
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  CHECK(info->format.pixel_format == 0 && info->slots == 0 && info->segments == 0 && info->frames == 0);
  CHECK(info->source->state == CUFRAMES_SOURCE_CONNECTING && strcmp(info->source->reason, "connection refused") == 0);
  assert_string_equal(info->device, "host");
  cuframes_stream_info_free(info);
  cuframes_publisher_destroy(publisher);
}

static uint64_t memory_of(cuframes_publisher *publisher) {
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  const uint64_t bytes = info->memory_bytes;
  CHECK(bytes == publisher_stats(publisher).memory_bytes && info->packet_data_bytes == UINT64_C(8) << 20);
  cuframes_stream_info_free(info);
  return bytes;
}

static void a_stream_that_waits_takes_little_memory(void **state) {
  (void)state;
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  cuframes_packet *packet = NULL;
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_OLDEST));
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  const uint64_t before = memory_of(publisher);
  CHECK(before < UINT64_C(1) << 20);
  describe_track(publisher); /* now there will be packets, and room for them */
  CHECK(memory_of(publisher) >= before + (UINT64_C(8) << 20));
  describe_track(publisher);
  CHECK(memory_of(publisher) < before + (UINT64_C(9) << 20));
  publish_packet(publisher);
  CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packet));
  cuframes_packet_release(packet);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- death ---- */

/* Takes the name, and no more. */
static void publish_nothing(int test, void *unused) {
  (void)unused;
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options);
  say(test, 0);
  (void)hear(test);
  cuframes_publisher_destroy(publisher);
}

static void death_before_the_first_picture_is_noticed_at_once(void **state) {
  (void)state;
  child *process = child_start(publish_nothing, NULL);
  (void)hear(process->fd);
  cuframes_subscriber *frames = subscriber_new("s", CUFRAMES_MODE_ORDERED),
                      *packets = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  waiter for_frame, for_packet;
  CHECK_OK(cuframes_subscriber_enable_packets(packets, CUFRAMES_PACKETS_FROM_KEYFRAME));
  waiter_start(&for_frame, frames, CUFRAMES_WAIT_FOREVER);
  waiter_start_packet(&for_packet, packets, CUFRAMES_WAIT_FOREVER);
  int64_t killed = cuframes_now();
  child_kill(process);
  assert_int_equal(waiter_end(&for_frame), CUFRAMES_ERR_PUBLISHER_GONE);
  assert_int_equal(waiter_end(&for_packet), CUFRAMES_ERR_PUBLISHER_GONE);
  SOON(for_frame.ended - killed, AT_ONCE_MS);
  SOON(for_packet.ended - killed, AT_ONCE_MS);
  cuframes_publisher *next = publisher_new("s"); /* the name is free */
  cuframes_publisher_destroy(next);
  cuframes_subscriber_destroy(packets);
  cuframes_subscriber_destroy(frames);
}

static void who_reconnects_goes_on_to_the_one_with_pictures(void **state) {
  (void)state;
  child *process = child_start(publish_nothing, NULL);
  (void)hear(process->fd);
  cuframes_subscriber_options join = subscriber_options(CUFRAMES_MODE_ORDERED);
  join.reconnect = 1;
  cuframes_subscriber *subscriber = subscriber_join("s", &join);
  waiter for_frame, for_packet;
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME));
  waiter_start(&for_frame, subscriber, CUFRAMES_WAIT_FOREVER);
  waiter_start_packet(&for_packet, subscriber, CUFRAMES_WAIT_FOREVER);
  child_kill(process);
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options); /* which has none yet, either */
  WAIT_FOR(publisher_stats(publisher).subscribers == 1);
  describe_track(publisher);
  publish_packet(publisher);
  assert_int_equal(waiter_end(&for_packet), CUFRAMES_OK);
  set_small_format(publisher);
  pictures_publish(publisher, 1, 1);
  assert_int_equal(waiter_end(&for_frame), CUFRAMES_OK);
  assert_int_equal(picture_number(for_frame.frame), 1);
  cuframes_frame_release(for_frame.frame);
  cuframes_packet_release(for_packet.packet);
  assert_int_equal(subscriber_stats(subscriber).reconnects, 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- limits ---- */

static void limits_are_lowered_until_there_is_a_format(void **state) {
  (void)state;
  cuframes_publisher_options options = options_without_format();
  options.max_open = 8;
  options.max_slots = 20;
  options.slots = 4;
  options.reserve = CUFRAMES_RESERVE_FULL;
  cuframes_publisher *publisher = publisher_before_pictures(&options);
  CHECK_RESULT(cuframes_publisher_set_limits(NULL, 1, 0), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_limits(publisher, 9, 0), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_limits(publisher, 0, 21), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_limits(publisher, 0, 8), CUFRAMES_ERR_INVALID); /* fewer than 1 + max_open */
  cuframes_subscriber_options many = subscriber_options(CUFRAMES_MODE_NEWEST);
  many.leases = 5;
  cuframes_subscriber *subscriber = subscriber_join("s", &many);
  CHECK_RESULT(cuframes_publisher_set_limits(publisher, 0, 13), CUFRAMES_ERR_NO_CAPACITY); /* 1 + 8 + 5 */
  CHECK_OK(cuframes_publisher_set_limits(publisher, 2, 14));
  CHECK_OK(cuframes_publisher_set_limits(publisher, 0, 0));
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  CHECK(info->max_slots == 14 && info->slots == 0);
  cuframes_stream_info_free(info);
  set_small_format(publisher);
  CHECK(publisher_stats(publisher).slots == 8); /* 1 + 2 + 5, and not 4, nor 1 + 8 + 5 */
  CHECK_RESULT(cuframes_publisher_set_limits(publisher, 1, 0), CUFRAMES_ERR_INVALID);
  cuframes_frame *open[3];
  CHECK_OK(cuframes_publisher_acquire(publisher, &open[0]));
  CHECK_OK(cuframes_publisher_acquire(publisher, &open[1]));
  CHECK_RESULT(cuframes_publisher_acquire(publisher, &open[2]), CUFRAMES_ERR_LEASE_LIMIT);
  CHECK_OK(cuframes_publisher_cancel(publisher, open[0]));
  CHECK_OK(cuframes_publisher_cancel(publisher, open[1]));
  pictures_publish(publisher, 1, 3);
  assert_int_equal(frame_look(subscriber), 3);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void slots_follow_the_limit(void **state) {
  (void)state;
  cuframes_publisher_options options = options_without_format();
  cuframes_publisher *publisher = publisher_before_pictures(&options);
  CHECK_OK(cuframes_publisher_set_limits(publisher, 1, 3));
  set_small_format(publisher);
  CHECK(publisher_stats(publisher).slots == 3); /* and not 6 */
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_first_picture_comes_to_all_who_wait),
    FIXTURE(a_descriptor_tells_of_the_first_picture),
    FIXTURE(a_timeout_says_what_the_source_is_doing),
    FIXTURE(a_name_is_taken_before_the_first_picture),
    FIXTURE(a_stream_that_waits_takes_little_memory),
    FIXTURE(death_before_the_first_picture_is_noticed_at_once),
    FIXTURE(who_reconnects_goes_on_to_the_one_with_pictures),
    FIXTURE(limits_are_lowered_until_there_is_a_format),
    FIXTURE(slots_follow_the_limit),
  };
  return FIXTURE_RUN("before_pictures", tests);
}
