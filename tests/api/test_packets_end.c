/* test_packets_end.c - reading packets when things go wrong: overrun, interruption, eviction, the end, a return. */
#include "support/child.h"
#include "support/packets.h"
#include "support/waiter.h"

#define KEY CUFRAMES_PACKET_KEY

static void publish_packets(cuframes_publisher *publisher, uint64_t first, uint64_t last, uint64_t key_every) {
  for (uint64_t number = first; number <= last; number++)
    CHECK_OK(packet_publish(publisher, 0, number, 100, number % key_every == 0 ? KEY : 0));
}

static void an_overrun_is_said_once_and_goes_on_at_a_keyframe(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 8, 0);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_packet *none = NULL;
  assert_int_equal(packet_look(subscriber, NULL), 1);
  publish_packets(publisher, 2, 33, 10);
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_PACKET_OVERRUN);
  detail_names("28");
  assert_null(none);
  assert_int_equal(subscriber_stats(subscriber).packets_lost, 28); /* 2 to 29 */
  for (uint64_t number = 30; number <= 33; number++)
    assert_int_equal(packet_look(subscriber, NULL), number);
  packet_none(subscriber);
  assert_int_equal(subscriber_stats(subscriber).packets_lost, 28);
  assert_int_equal(subscriber_stats(subscriber).packets, 5);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void without_a_keyframe_in_the_ring_it_waits_for_one(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 4096); /* some forty packets by bytes */
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_packet *none = NULL;
  assert_int_equal(packet_look(subscriber, NULL), 1);
  publish_packets(publisher, 2, 199, 200);
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &none), CUFRAMES_ERR_PACKET_OVERRUN);
  packet_none(subscriber);
  publish_packets(publisher, 1001, 1010, 200);
  packet_none(subscriber);
  waiter waiting;
  waiter_start_packet(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  CHECK_OK(packet_publish(publisher, 0, 2000, 100, KEY));
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  assert_true(packet_is(waiting.packet, 2000, 100));
  cuframes_packet_release(waiting.packet);
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  assert_int_equal(stats.packets + stats.packets_lost, publisher_stats(publisher).packets);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_change_of_parameters_is_not_lost_in_an_overrun(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 4, 0);
  cuframes_codec_params video = video_params();
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_packet *none = NULL;
  uint32_t flags;
  assert_int_equal(packet_look(subscriber, NULL), 1);
  video.height = 720;
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  publish_packets(publisher, 2, 31, 10); /* the first of these carries the mark, and is overwritten */
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &none), CUFRAMES_ERR_PACKET_OVERRUN);
  assert_int_equal(packet_look(subscriber, &flags), 30);
  assert_int_equal(flags, KEY | CUFRAMES_PACKET_NEW_PARAMS);
  assert_int_equal(packet_look(subscriber, &flags), 31);
  assert_int_equal(flags, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void waits_end_by_packet_timeout_or_interruption(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_packet *none = NULL;
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 30 * MS, &none), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 30, 500);
  for (uint64_t number = 1; number <= 10; number++) {
    waiter waiting;
    waiter_start_packet(&waiting, subscriber, number % 2 ? CUFRAMES_WAIT_FOREVER : INT64_MAX);
    start = cuframes_now();
    CHECK_OK(packet_publish(publisher, 0, number, 100, KEY));
    assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
    assert_true(packet_is(waiting.packet, number, 100));
    cuframes_packet_release(waiting.packet);
    SOON(waiting.ended - start, 500);
    waiter_start_packet(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
    start = cuframes_now();
    cuframes_subscriber_interrupt(subscriber);
    assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED);
    SOON(waiting.ended - start, 500);
  }
  int64_t used = cpu_time();
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 200 * MS, &none), CUFRAMES_ERR_TIMEOUT);
  SOON(cpu_time() - used, 10);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void who_is_evicted_still_gets_packets(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_codec_params video = video_params();
  cuframes_frame *frame = NULL;
  cuframes_packet *none = NULL;
  options.ordered_timeout_ns = 5 * MS;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  pictures_publish(publisher, 1, 6);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_EVICTED);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  assert_int_equal(packet_look(subscriber, NULL), 1);
  int64_t used = cpu_time();
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 200 * MS, &none), CUFRAMES_ERR_TIMEOUT);
  SOON(cpu_time() - used, 10); /* and waits for them asleep */
  waiter waiting;
  waiter_start_packet(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  CHECK_OK(packet_publish(publisher, 0, 2, 100, 0));
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  cuframes_packet_release(waiting.packet);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void the_last_packets_are_read_before_the_end(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false), *waits = packet_subscriber("s", 0, false);
  cuframes_packet *none = NULL;
  cuframes_codec_params params = { .struct_size = sizeof params };
  publish_packets(publisher, 10, 10, 10);
  assert_int_equal(packet_look(waits, NULL), 10);
  waiter waiting;
  waiter_start_packet(&waiting, waits, CUFRAMES_WAIT_FOREVER);
  publish_packets(publisher, 11, 14, 10);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  cuframes_packet_release(waiting.packet);
  for (uint64_t number = 10; number <= 14; number++) {
    assert_int_equal(packet_look(subscriber, NULL), number);
    if (number > 11)
      assert_int_equal(packet_look(waits, NULL), number);
  }
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_RESULT(cuframes_subscriber_next_packet(waits, 0, &none), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_RESULT(cuframes_subscriber_get_codec_params(subscriber, 0, &params, NULL, NULL), CUFRAMES_ERR_PUBLISHER_GONE);
  assert_null(none);
  cuframes_subscriber_destroy(subscriber);
  cuframes_subscriber_destroy(waits);
}

static void publish_until_killed(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  publish_packets(publisher, 10, 12, 10);
  say(test, 0);
  (void)hear(test);
}

static void a_return_is_an_epoch_that_starts_at_a_keyframe(void **state) {
  (void)state;
  child *process = child_start(publish_until_killed, NULL);
  (void)hear(process->fd);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, true), *plain = packet_subscriber("s", 0, false);
  cuframes_packet *none = NULL;
  uint32_t flags;
  for (uint64_t number = 10; number <= 12; number++) {
    assert_int_equal(packet_look(subscriber, &flags), number);
    assert_int_equal(packet_look(plain, NULL), number);
    assert_int_equal(flags & CUFRAMES_PACKET_DISCONTINUITY, 0);
  }
  waiter waiting, end;
  waiter_start_packet(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  waiter_start_packet(&end, plain, CUFRAMES_WAIT_FOREVER);
  int64_t killed = cuframes_now();
  child_kill(process);
  assert_int_equal(waiter_end(&end), CUFRAMES_ERR_PUBLISHER_GONE);
  SOON(end.ended - killed, 500);
  cuframes_subscriber_interrupt(subscriber);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED); /* also while nobody is there */
  int64_t used = cpu_time();
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 100 * MS, &none), CUFRAMES_ERR_TIMEOUT);
  SOON(cpu_time() - used, 20);
  waiter_start_packet(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);

  cuframes_publisher *publisher = publisher_new("s"); /* its ring comes a moment later */
  cuframes_codec_params video = video_params();
  WAIT_FOR(publisher_stats(publisher).subscribers == 1);
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  publish_packets(publisher, 101, 109, 100);
  CHECK_OK(packet_publish(publisher, 0, 110, 100, KEY));
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  assert_true(packet_is(waiting.packet, 110, 100));
  assert_int_equal(cuframes_packet_flags(waiting.packet),
                   KEY | CUFRAMES_PACKET_DISCONTINUITY | CUFRAMES_PACKET_NEW_PARAMS);
  cuframes_packet_release(waiting.packet);
  CHECK_OK(packet_publish(publisher, 0, 111, 100, 0));
  assert_int_equal(packet_look(subscriber, &flags), 111);
  assert_int_equal(flags, 0);
  assert_int_equal(subscriber_stats(subscriber).reconnects, 1);
  cuframes_subscriber_destroy(plain);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

#define MANY 20000

/* Reads in another process, at times too slowly: what arrives is whole, and with what is lost it is everything. */
static void read_packets(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  say(test, 0);
  uint64_t last = 0, first = 0, overruns = 0, lost_before = 0;
  while (last < MANY) {
    cuframes_packet *packet = NULL;
    int result = cuframes_subscriber_next_packet(subscriber, patience(), &packet);
    if (result == CUFRAMES_ERR_PACKET_OVERRUN) {
      overruns++;
      continue;
    }
    CHECK_OK(result);
    uint64_t number = (uint64_t)cuframes_packet_pts(packet) / 1000;
    CHECK(packet_is(packet, number, 1 + number % 3000));
    CHECK(cuframes_packet_seq(packet) == number && number > last);
    CHECK(number == last + 1 || (cuframes_packet_flags(packet) & KEY));
    if (first == 0) { /* it may have lost some already: those from the keyframe where it began */
      first = number;
      lost_before = subscriber_stats(subscriber).packets_lost;
    }
    last = number;
    cuframes_packet_release(packet);
    if (number % 1000 == 0)
      pause_ms(2);
  }
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  CHECK(stats.packets + stats.packets_lost - lost_before == MANY - first + 1);
  CHECK((overruns == 0) == (stats.packets_lost == 0));
  cuframes_subscriber_destroy(subscriber);
}

static void what_a_slow_process_gets_is_whole(void **state) {
  (void)state;
  child *reader = child_start(read_packets, NULL);
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  say(reader->fd, 0);
  (void)hear(reader->fd);
  for (uint64_t number = 1; number <= MANY; number++)
    CHECK_OK(packet_publish(publisher, 0, number, 1 + number % 3000, number % 25 == 0 ? KEY : 0));
  child_finish(reader);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(an_overrun_is_said_once_and_goes_on_at_a_keyframe),
    FIXTURE(without_a_keyframe_in_the_ring_it_waits_for_one),
    FIXTURE(a_change_of_parameters_is_not_lost_in_an_overrun),
    FIXTURE(waits_end_by_packet_timeout_or_interruption),
    FIXTURE(who_is_evicted_still_gets_packets),
    FIXTURE(the_last_packets_are_read_before_the_end),
    FIXTURE(a_return_is_an_epoch_that_starts_at_a_keyframe),
    FIXTURE(what_a_slow_process_gets_is_whole),
  };
  return FIXTURE_RUN("packets_end", tests);
}
