/* test_death.c - publishers and subscribers that end or are killed, at any moment, and those that come back. */
#include <stdlib.h>

#include "support/child.h"
#include "support/packets.h"
#include "support/waiter.h"

/* What a publisher's death may take until a subscriber knows of it. */
#define AT_ONCE_MS 500

/* Publishes pictures 1, 2, 3 ... as asked: hears how many, says when they are out. */
static void publish_on_request(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t number = 1;
  say(test, 0);
  for (uint64_t count; (count = hear(test)) != 0; number += count) {
    pictures_publish(publisher, number, count);
    say(test, 0);
  }
  cuframes_publisher_destroy(publisher);
}

static void ask(child *publisher, uint64_t count) {
  say(publisher->fd, count);
  if (count)
    (void)hear(publisher->fd);
}

static cuframes_subscriber *join(uint32_t mode, bool reconnect) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  options.reconnect = reconnect;
  options.leases = 3;
  options.connect_timeout_ns = child_is_one() ? patience() : 0;
  subscriber = subscriber_join("s", &options);
  return subscriber;
}

static void a_killed_publisher_is_noticed_at_once(void **state) {
  (void)state;
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    child *process = child_start(publish_on_request, NULL);
    waiter waiting;
    (void)hear(process->fd);
    cuframes_subscriber *subscriber = join(mode, false);
    ask(process, 1);
    cuframes_frame *held = frame_take(subscriber), *none = NULL;
    waiter_start(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
    int64_t killed = cuframes_now();
    child_kill(process);
    assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_PUBLISHER_GONE);
    SOON(waiting.ended - killed, AT_ONCE_MS);
    assert_int_equal(picture_number(held), 1);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_PUBLISHER_GONE);
    cuframes_frame_release(held);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_PUBLISHER_GONE);
    cuframes_subscriber_stats stats = subscriber_stats(subscriber);
    assert_int_equal(stats.frames, 1);
    assert_int_equal(stats.leases_held, 0);
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_streams *streams = NULL;
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams)); /* sweeps what it left */
  assert_int_equal(streams->count, 0);
  cuframes_streams_free(streams);
}

static void the_last_frames_are_delivered_before_the_end(void **state) {
  (void)state;
  for (int death = 0; death < 2; death++) {
    child *process = child_start(publish_on_request, NULL);
    (void)hear(process->fd);
    ask(process, 1);
    cuframes_subscriber *ordered = join(CUFRAMES_MODE_ORDERED, false), *newest = join(CUFRAMES_MODE_NEWEST, false);
    assert_int_equal(frame_look(ordered), 1);
    assert_int_equal(frame_look(newest), 1);
    ask(process, 4);
    if (death) {
      child_kill(process);
    } else {
      ask(process, 0);
      child_finish(process);
    }
    cuframes_frame *frame = NULL;
    for (uint64_t number = 2; number <= 5; number++) {
      CHECK_OK(cuframes_subscriber_next(ordered, patience(), &frame));
      assert_int_equal(picture_number(frame), number);
      cuframes_frame_release(frame); /* stale, or the death is not known yet */
    }
    CHECK_RESULT(cuframes_subscriber_next(ordered, CUFRAMES_WAIT_FOREVER, &frame), CUFRAMES_ERR_PUBLISHER_GONE);
    CHECK_OK(cuframes_subscriber_next(newest, patience(), &frame));
    assert_int_equal(picture_number(frame), 5);
    CHECK_RESULT(cuframes_subscriber_next(newest, CUFRAMES_WAIT_FOREVER, &(cuframes_frame *){ NULL }),
                 CUFRAMES_ERR_PUBLISHER_GONE);
    cuframes_frame_release(frame);
    cuframes_subscriber_destroy(ordered);
    cuframes_subscriber_destroy(newest);
  }
  cuframes_streams *streams = NULL;
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  cuframes_streams_free(streams);
}

/* The thread that takes packets is the first to see the end, and goes over to the next publisher. */
static void packets_leave_the_last_frames_to_others(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  cuframes_packet *none = NULL;
  options.reconnect = 1;
  options.depth = 8;
  cuframes_subscriber *ordered = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_enable_packets(ordered, 0));
  pictures_publish(publisher, 1, 5);
  cuframes_publisher_destroy(publisher);
  CHECK_RESULT(cuframes_subscriber_next_packet(ordered, 0, &none), CUFRAMES_ERR_TIMEOUT);
  publisher = packet_publisher("s", 0, 0);
  pictures_publish(publisher, 11, 1);
  for (uint64_t number = 1; number <= 5; number++)
    assert_int_equal(frame_look(ordered), number);
  cuframes_frame *frame = frame_take(ordered);
  assert_int_equal(picture_number(frame), 11);
  assert_true(cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(ordered);
  cuframes_publisher_destroy(publisher);
}

static void hands_full_at_the_end_is_the_end(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
  cuframes_frame *held[3], *none = NULL;
  for (uint64_t i = 0; i < 3; i++) {
    pictures_publish(publisher, i + 1, 1);
    held[i] = frame_take(subscriber);
  }
  cuframes_publisher_destroy(publisher);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_PUBLISHER_GONE);
  for (uint64_t i = 0; i < 3; i++) {
    assert_int_equal(picture_number(held[i]), i + 1);
    cuframes_frame_release(held[i]);
  }
  cuframes_subscriber_destroy(subscriber);
}

static void with_reconnect_it_goes_on_in_a_new_epoch(void **state) {
  (void)state;
  child *process = child_start(publish_on_request, NULL);
  (void)hear(process->fd);
  ask(process, 3);
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, true);
  cuframes_frame *old = frame_take(subscriber), *none = NULL;
  waiter waiting;
  assert_int_equal(cuframes_frame_flags(old), 0);
  child_kill(process);
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 100 * MS, &none), CUFRAMES_ERR_TIMEOUT); /* it may come back */
  TOOK(start, 100, 1000);

  waiter_start(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.format.width = 128;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  pictures_publish(publisher, 50, 1);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  assert_int_equal(picture_number(waiting.frame), 50);
  assert_int_equal(cuframes_frame_seq(waiting.frame), 1);
  assert_int_equal(cuframes_frame_flags(waiting.frame), CUFRAMES_FRAME_DISCONTINUITY | CUFRAMES_FRAME_NEW_FORMAT);
  assert_int_equal(subscriber_stats(subscriber).reconnects, 1);
  assert_int_equal(picture_number(old), 3);
  cuframes_frame_release(old);
  cuframes_frame_release(waiting.frame);
  pictures_publish(publisher, 51, 1);
  cuframes_frame *frame = frame_take(subscriber);
  assert_int_equal(cuframes_frame_flags(frame), 0);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void every_return_is_an_epoch(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, true);
  uint64_t skipped = 0;
  for (uint64_t round = 0; round < 30; round++) {
    pictures_publish(publisher, round * 2 + 1, 1);
    cuframes_frame *frame = frame_take(subscriber);
    assert_int_equal(picture_number(frame), round * 2 + 1);
    assert_int_equal(cuframes_frame_flags(frame), round == 0 ? 0 : CUFRAMES_FRAME_DISCONTINUITY);
    cuframes_frame_release(frame);
    pictures_publish(publisher, round * 2 + 2, 1);
    assert_int_equal(frame_look(subscriber), round * 2 + 2);
    skipped = subscriber_stats(subscriber).skipped;
    cuframes_publisher_destroy(publisher);
    publisher = publisher_new("s");
  }
  assert_int_equal(skipped, 0);
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  assert_int_equal(stats.reconnects, 29);
  assert_int_equal(stats.frames, 60);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void waiting_for_a_return_can_be_interrupted(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, true);
  waiter waiting;
  cuframes_publisher_destroy(publisher);
  waiter_start(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  int64_t start = cuframes_now();
  cuframes_subscriber_interrupt(subscriber);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED);
  SOON(waiting.ended - start, AT_ONCE_MS);
  cuframes_subscriber_destroy(subscriber);
}

static void create_waits_for_a_publisher_to_come(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *none = NULL;
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_create("s", &options, &none), CUFRAMES_ERR_NO_SUCH_STREAM);
  SOON(cuframes_now() - start, 500);
  detail_names("\"s\"");
  options.connect_timeout_ns = 100 * MS;
  start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_create("s", &options, &none), CUFRAMES_ERR_NO_SUCH_STREAM);
  TOOK(start, 100, 1000);
  assert_null(none);
}

static void join_take_two_and_wait(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
  for (int i = 0; i < 2; i++) {
    cuframes_frame *frame = frame_take(subscriber);
    say(test, picture_number(frame));
    (void)hear(test);
  }
  (void)hear(test); /* never comes */
}

static void a_killed_subscribers_slots_come_back(void **state) {
  (void)state;
  child *process[2];
  cuframes_stream_info *info = NULL;
  process[0] = child_start(join_take_two_and_wait, NULL);
  process[1] = child_start(join_take_two_and_wait, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t memory = publisher_stats(publisher).memory_bytes;
  for (int i = 0; i < 2; i++)
    say(process[i]->fd, 0);
  for (uint64_t number = 1; number <= 2; number++) {
    WAIT_FOR(publisher_stats(publisher).subscribers == 2);
    pictures_publish(publisher, number, 1);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(hear(process[i]->fd), number);
      say(process[i]->fd, 0);
    }
  }
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_int_equal(info->slots_pinned, 2);
  assert_int_equal(info->subscribers[0]->leases_held, 2);
  cuframes_stream_info_free(info);
  child_kill(process[0]);
  WAIT_FOR(publisher_stats(publisher).subscribers == 1);
  int64_t start = cuframes_now();
  pictures_publish(publisher, 3, 200);
  SOON(cuframes_now() - start, 500);
  child_kill(process[1]);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_int_equal(info->slots_pinned, 0);
  assert_int_equal(info->subscriber_count, 0);
  cuframes_stream_info_free(info);
  WAIT_FOR(picture_publish(publisher, 1) == CUFRAMES_OK && publisher_stats(publisher).memory_bytes == memory);
  cuframes_publisher_destroy(publisher);
}

static void take_for_ever(int test, void *mode) {
  cuframes_subscriber *subscriber = join(*(uint32_t *)mode, false);
  say(test, 0);
  for (cuframes_frame *before = NULL, *frame;; before = frame) {
    frame = frame_take(subscriber);
    (void)picture_number(frame);
    if (before)
      cuframes_frame_release(before);
  }
}

/* The instant differs from round to round, by some microseconds of publishing. */
static void subscribers_may_die_at_any_instant(void **state) {
  (void)state;
  uint32_t mode = CUFRAMES_MODE_NEWEST;
  child *process[8];
  for (int i = 0; i < 8; i++)
    process[i] = child_start(take_for_ever, &mode);
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t number = 1;
  int64_t longest = 0;
  for (int i = 0; i < 8; i++) {
    (void)hear(process[i]->fd);
    for (int k = 0; k < 50 + 37 * i; k++) {
      int64_t start = cuframes_now();
      pictures_publish(publisher, number++, 1);
      longest = cuframes_now() - start > longest ? cuframes_now() - start : longest;
    }
    child_kill(process[i]);
  }
  SOON(longest, 250); /* nobody made it wait; others' work on this machine may */
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void publish_for_ever(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_new("s");
  say(test, 0);
  for (uint64_t number = 1;; number++)
    pictures_publish(publisher, number, 1);
}

static void publishers_may_die_at_any_instant(void **state) {
  (void)state;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *held = NULL;
  uint64_t held_number = 0;
  /* The children are forked first, so this one reads as a process that joins each time anew. */
  for (int round = 0; round < 8; round++) {
    child *process = child_start(publish_for_ever, NULL);
    (void)hear(process->fd);
    subscriber = join(CUFRAMES_MODE_NEWEST, false);
    uint64_t last = 0;
    for (int i = 0; i < 20 + 13 * round; i++) {
      cuframes_frame *frame = frame_take(subscriber);
      uint64_t number = picture_number(frame);
      assert_true(number > last);
      last = number;
      if (held)
        cuframes_frame_release(held); /* of this publisher or of the last one */
      held = frame;
      held_number = number;
    }
    child_kill(process);
    cuframes_frame *frame = NULL;
    int result;
    int64_t start = cuframes_now();
    while ((result = cuframes_subscriber_next(subscriber, patience(), &frame)) == CUFRAMES_OK) {
      assert_true(picture_number(frame) > last);
      cuframes_frame_release(frame);
    }
    assert_int_equal(result, CUFRAMES_ERR_PUBLISHER_GONE);
    SOON(cuframes_now() - start, AT_ONCE_MS);
    assert_true(picture_is(held, held_number));
    cuframes_frame_release(held);
    held = NULL;
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher_new("s")); /* takes its leavings with it */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_killed_publisher_is_noticed_at_once),    FIXTURE(the_last_frames_are_delivered_before_the_end),
    FIXTURE(packets_leave_the_last_frames_to_others),  FIXTURE(hands_full_at_the_end_is_the_end),
    FIXTURE(with_reconnect_it_goes_on_in_a_new_epoch), FIXTURE(every_return_is_an_epoch),
    FIXTURE(waiting_for_a_return_can_be_interrupted),  FIXTURE(create_waits_for_a_publisher_to_come),
    FIXTURE(a_killed_subscribers_slots_come_back),     FIXTURE(subscribers_may_die_at_any_instant),
    FIXTURE(publishers_may_die_at_any_instant),
  };
  return FIXTURE_RUN("death", tests);
}
