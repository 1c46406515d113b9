/* test_packets_wait.c - many who wait for packets at once, and those who wait for frames beside them: wakes, the end
 * of the stream, and its return.
 */
#include "support/child.h"
#include "support/packets.h"
#include "support/waiter.h"

#define KEY CUFRAMES_PACKET_KEY
/* What a wake, and the news that a publisher is gone, may take. */
#define AT_ONCE_MS 500

/* Publishes packets and pictures 1, 2, 3 ... as asked: hears how many, says when they are out; first of all waits to be
 * asked for the stream. */
static void publish_on_request(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  uint64_t number = 1;
  say(test, 0);
  for (uint64_t count; (count = hear(test)) != 0;) {
    for (; count > 0; count--, number++) {
      CHECK_OK(packet_publish(publisher, 0, number, 100, KEY));
      pictures_publish(publisher, number, 1);
    }
    say(test, 0);
  }
  cuframes_publisher_destroy(publisher);
}

static void ask(child *publisher, uint64_t count) {
  say(publisher->fd, count);
  (void)hear(publisher->fd);
}

static void end(child *publisher, bool kill) {
  if (kill) {
    child_kill(publisher);
  } else {
    say(publisher->fd, 0);
    child_finish(publisher);
  }
}

/* With more than a few the service thread wakes them. */
static void every_reader_is_woken(void **state) {
  (void)state;
  static const int counts[] = { 1, 4, 5, 24 };
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  uint64_t number = 1;
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    cuframes_subscriber *reader[24];
    for (int k = 0; k < counts[i]; k++)
      reader[k] = packet_subscriber("s", CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME, false);
    for (int round = 0; round < 5; round++, number++) {
      waiter waiting[24];
      for (int k = 0; k < counts[i]; k++)
        waiter_start_packet(&waiting[k], reader[k], CUFRAMES_WAIT_FOREVER);
      int64_t start = cuframes_now();
      CHECK_OK(packet_publish(publisher, 0, number, 100, KEY));
      for (int k = 0; k < counts[i]; k++) {
        assert_int_equal(waiter_end(&waiting[k]), CUFRAMES_OK);
        SOON(waiting[k].ended - start, AT_ONCE_MS);
        assert_true(packet_is(waiting[k].packet, number, 100));
        cuframes_packet_release(waiting[k].packet);
      }
    }
    for (int k = 0; k < counts[i]; k++)
      cuframes_subscriber_destroy(reader[k]);
  }
  cuframes_publisher_destroy(publisher);
}

static void every_sleeping_reader_notices_the_end(void **state) {
  (void)state;
  for (int killed = 0; killed < 2; killed++) {
    child *process = child_start(publish_on_request, NULL);
    waiter waiting[6];
    cuframes_subscriber *reader[6];
    ask(process, 0);
    for (int i = 0; i < 6; i++) {
      reader[i] = packet_subscriber("s", 0, false);
      waiter_start_packet(&waiting[i], reader[i], CUFRAMES_WAIT_FOREVER);
    }
    int64_t start = cuframes_now();
    end(process, killed);
    for (int i = 0; i < 6; i++) {
      assert_int_equal(waiter_end(&waiting[i]), CUFRAMES_ERR_PUBLISHER_GONE);
      SOON(waiting[i].ended - start, AT_ONCE_MS);
      cuframes_subscriber_destroy(reader[i]);
    }
  }
  cuframes_publisher_destroy(publisher_new("s")); /* takes with it what the killed one left */
}

/* Two threads of one subscriber; each is at times the first to notice the end, or the return. */
static void frames_and_packets_go_on_together_after_a_return(void **state) {
  (void)state;
  enum { ROUNDS = 6 };
  child *process[ROUNDS + 1];
  waiter frames, packets;
  for (int round = 0; round <= ROUNDS; round++)
    process[round] = child_start(publish_on_request, NULL);
  ask(process[0], 0);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  cuframes_subscriber *subscriber = NULL;
  options.reconnect = 1;
  subscriber = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  ask(process[0], 1);
  assert_int_equal(packet_look(subscriber, NULL), 1);
  assert_int_equal(frame_look(subscriber), 1);
  for (int round = 0; round < ROUNDS; round++) {
    waiter_start(&frames, subscriber, CUFRAMES_WAIT_FOREVER);
    waiter_start_packet(&packets, subscriber, CUFRAMES_WAIT_FOREVER);
    end(process[round], round % 2);
    ask(process[round + 1], 0);
    ask(process[round + 1], 1);
    assert_int_equal(waiter_end(&frames), CUFRAMES_OK);
    assert_int_equal(waiter_end(&packets), CUFRAMES_OK);
    assert_true(packet_is(packets.packet, 1, 100));
    assert_int_equal(picture_number(frames.frame), 1);
    assert_int_equal(cuframes_packet_flags(packets.packet),
                     KEY | CUFRAMES_PACKET_DISCONTINUITY | CUFRAMES_PACKET_NEW_PARAMS);
    assert_int_equal(cuframes_frame_flags(frames.frame), CUFRAMES_FRAME_DISCONTINUITY);
    cuframes_packet_release(packets.packet);
    cuframes_frame_release(frames.frame);
    ask(process[round + 1], 1);
    uint32_t flags = 0;
    assert_int_equal(packet_look(subscriber, &flags), 2);
    assert_int_equal(flags, KEY);
    assert_int_equal(frame_look(subscriber), 2);
    assert_int_equal(subscriber_stats(subscriber).reconnects, round + 1);
  }
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  assert_int_equal(stats.packets, 1 + 2 * ROUNDS);
  assert_int_equal(stats.frames, 1 + 2 * ROUNDS);
  cuframes_subscriber_destroy(subscriber);
  end(process[ROUNDS], false);
}

/* The ring is mapped while the library's threads are at work on the same subscriber. */
static void packets_may_be_enabled_beside_a_wait_for_frames(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  for (int round = 0; round < 20; round++) {
    waiter frames;
    cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    waiter_start(&frames, subscriber, CUFRAMES_WAIT_FOREVER);
    cuframes_subscriber_interrupt(subscriber);
    CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
    assert_int_equal(waiter_end(&frames), CUFRAMES_ERR_INTERRUPTED);
    assert_int_equal(packet_look(subscriber, NULL), 1);
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher);
}

static void a_reader_may_leave_while_the_stream_is_gone(void **state) {
  (void)state;
  for (int reconnect = 0; reconnect < 2; reconnect++) {
    cuframes_publisher *publisher = packet_publisher("s", 8, 4096);
    cuframes_subscriber *reader = packet_subscriber("s", 0, reconnect);
    CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
    cuframes_publisher_destroy(publisher);
    if (reconnect) {
      assert_int_equal(packet_look(reader, NULL), 1);
      packet_none(reader);
    }
    cuframes_subscriber_destroy(reader);
  }
}

/* Who has joined for packets alone counts as there while it waits for one: it has missed none, and read all. */
static void those_who_wait_are_counted(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_PACKETS);
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *reader = NULL;
  CHECK_OK(cuframes_subscriber_create("s", &options, &reader));
  CHECK_RESULT(cuframes_publisher_wait_subscribers(publisher, 1, 0), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_subscriber_enable_packets(reader, CUFRAMES_PACKETS_FROM_OLDEST));
  CHECK_RESULT(cuframes_publisher_wait_subscribers(publisher, 1, 10000000), CUFRAMES_ERR_TIMEOUT);
  for (uint64_t number = 1; number < 4; number++) {
    waiter waiting;
    waiter_start_packet(&waiting, reader, CUFRAMES_WAIT_FOREVER);
    CHECK_OK(cuframes_publisher_wait_subscribers(publisher, 1, patience()));
    CHECK_OK(packet_publish(publisher, 0, number, 100, KEY));
    CHECK_OK(waiter_end(&waiting));
    assert_true(packet_is(waiting.packet, number, 100));
    cuframes_packet_release(waiting.packet);
    CHECK_RESULT(cuframes_publisher_wait_subscribers(publisher, 1, 0), CUFRAMES_ERR_TIMEOUT);
  }
  cuframes_subscriber_destroy(reader);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(those_who_wait_are_counted),
    FIXTURE(every_reader_is_woken),
    FIXTURE(every_sleeping_reader_notices_the_end),
    FIXTURE(frames_and_packets_go_on_together_after_a_return),
    FIXTURE(packets_may_be_enabled_beside_a_wait_for_frames),
    FIXTURE(a_reader_may_leave_while_the_stream_is_gone),
  };
  return FIXTURE_RUN("packets_wait", tests);
}
