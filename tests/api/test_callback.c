/* test_callback.c - frames by callback: start, stop, stop from within, full hands, the end of the stream. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "support/child.h"
#include "support/packets.h"
#include "support/stream.h"

/* What the callback has seen, and what it is to do. */
typedef struct callee {
  pthread_mutex_t lock;
  cuframes_subscriber *subscriber;
  bool keep, stop_within;
  uint64_t calls, last, ends;
  int error;
  cuframes_frame *kept[8];
  uint32_t kept_count;
} callee;

static void on_frame(void *user, cuframes_frame *frame, int error) {
  callee *c = user;
  pthread_mutex_lock(&c->lock);
  if (!frame) {
    c->ends++;
    c->error = error;
  } else {
    CHECK(error == CUFRAMES_OK);
    c->calls++;
    c->last = picture_number(frame);
    if (c->keep)
      c->kept[c->kept_count++] = frame;
    else
      cuframes_frame_release(frame);
  }
  bool stop = c->stop_within;
  pthread_mutex_unlock(&c->lock);
  if (stop)
    CHECK_OK(cuframes_subscriber_stop(c->subscriber));
}

static callee *callee_of(void) {
  static callee c;
  memset(&c, 0, sizeof c);
  pthread_mutex_init(&c.lock, NULL);
  return &c;
}

static callee seen(callee *c) {
  pthread_mutex_lock(&c->lock);
  callee copy = *c;
  pthread_mutex_unlock(&c->lock);
  return copy;
}

static cuframes_subscriber *join(uint32_t mode, bool reconnect) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  options.reconnect = reconnect;
  options.depth = 16;
  subscriber = subscriber_join("s", &options);
  return subscriber;
}

static void frames_come_until_stop(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
  callee *c = callee_of();
  cuframes_frame *none = NULL;
  int fd = -1;
  CHECK_RESULT(cuframes_subscriber_start(subscriber, NULL, c), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_subscriber_stop(subscriber)); /* nothing runs: nothing to do */
  for (uint64_t round = 0; round < 5; round++) {
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
    CHECK_RESULT(cuframes_subscriber_start(subscriber, on_frame, c), CUFRAMES_ERR_BUSY);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_BUSY);
    CHECK_RESULT(cuframes_subscriber_fd(subscriber, &fd), CUFRAMES_ERR_BUSY);
    pictures_publish(publisher, round * 10 + 1, 10);
    WAIT_FOR(seen(c).last == round * 10 + 10);
    CHECK_OK(cuframes_subscriber_stop(subscriber));
    assert_int_equal(seen(c).calls, round * 10 + 10);
  }
  pictures_publish(publisher, 51, 1);
  assert_int_equal(frame_look(subscriber), 51); /* now it is ours again */
  assert_int_equal(seen(c).calls, 50);
  assert_int_equal(seen(c).ends, 0);
  assert_null(none);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void stop_from_within_ends_it_after_that_call(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (uint64_t round = 0; round < 200; round++) {
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
    callee *c = callee_of();
    c->subscriber = subscriber;
    c->stop_within = true;
    pictures_publish(publisher, 1, 6);
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c)); /* its first call may come before this returns */
    WAIT_FOR(seen(c).calls == 1);
    if (round % 2) {
      CHECK_OK(cuframes_subscriber_stop(subscriber)); /* waits for the thread */
      cuframes_frame *frame = frame_take(subscriber);
      (void)picture_number(frame);
      cuframes_frame_release(frame);
    }
    cuframes_subscriber_destroy(subscriber); /* so does this */
    assert_int_equal(seen(c).calls, 1);
    assert_int_equal(seen(c).ends, 0);
  }
  cuframes_publisher_destroy(publisher);
}

static void destroy_stops_it(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (int i = 0; i < 30; i++) {
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
    callee *c = callee_of();
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
    if (i % 2)
      pictures_publish(publisher, 1, 3);
    cuframes_subscriber_destroy(subscriber);
    uint64_t calls = seen(c).calls;
    pictures_publish(publisher, 4, 3);
    assert_int_equal(seen(c).calls, calls);
  }
  cuframes_publisher_destroy(publisher);
}

static void full_hands_wait_for_a_release(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false); /* two leases */
  callee *c = callee_of();
  c->keep = true;
  CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
  pictures_publish(publisher, 1, 6);
  for (uint64_t number = 1; number <= 6; number++) {
    WAIT_FOR(seen(c).calls == (number + 1 < 6 ? number + 1 : 6));
    int64_t used = cpu_time();
    if (number == 1)
      pause_ms(30);
    SOON(cpu_time() - used, 15); /* it sleeps meanwhile */
    cuframes_frame *frame = seen(c).kept[number - 1];
    assert_int_equal(picture_number(frame), number);
    int64_t start = cuframes_now();
    cuframes_frame_release(frame); /* from another thread than it was called on */
    if (number < 5)
      WAIT_FOR(seen(c).calls == number + 2);
    SOON(cuframes_now() - start, 80);
  }
  pictures_publish(publisher, 7, 3);
  WAIT_FOR(seen(c).calls == 8);
  CHECK_OK(cuframes_subscriber_stop(subscriber)); /* with full hands */
  assert_int_equal(seen(c).calls, 8);
  for (int i = 6; i < 8; i++)
    cuframes_frame_release(c->kept[i]);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void the_end_of_the_stream_is_one_call(void **state) {
  (void)state;
  for (int full = 0; full < 2; full++) {
    cuframes_publisher *publisher = publisher_new("s");
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
    callee *c = callee_of();
    c->keep = full;
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
    for (uint64_t number = 1; number <= 2; number++) {
      pictures_publish(publisher, number, 1);
      WAIT_FOR(seen(c).calls == number);
    }
    cuframes_publisher_destroy(publisher);
    WAIT_FOR(seen(c).ends == 1); /* also with every lease in hand */
    assert_int_equal(seen(c).error, CUFRAMES_ERR_PUBLISHER_GONE);
    for (uint32_t i = 0; i < c->kept_count; i++)
      cuframes_frame_release(c->kept[i]);
    CHECK_OK(cuframes_subscriber_stop(subscriber));
    assert_int_equal(seen(c).ends, 1);
    cuframes_subscriber_destroy(subscriber);
  }
}

static void with_reconnect_the_calls_go_on(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, true);
  callee *c = callee_of();
  CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
  for (uint64_t round = 1; round <= 4; round++) {
    pictures_publish(publisher, round, 1);
    WAIT_FOR(seen(c).last == round);
    cuframes_publisher_destroy(publisher);
    if (round == 4)
      break;
    publisher = publisher_new("s");
  }
  assert_int_equal(seen(c).ends, 0);
  CHECK_OK(cuframes_subscriber_stop(subscriber)); /* while it waits for the name to come back */
  cuframes_subscriber_destroy(subscriber);
}

static void not_for_packets_only(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_PACKETS, false);
  CHECK_RESULT(cuframes_subscriber_start(subscriber, on_frame, NULL), CUFRAMES_ERR_UNSUPPORTED);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void *take_packets(void *subscriber) {
  cuframes_packet *packet = NULL;
  int result;
  while ((result = cuframes_subscriber_next_packet(subscriber, CUFRAMES_WAIT_FOREVER, &packet)) == CUFRAMES_OK)
    cuframes_packet_release(packet);
  return (void *)(intptr_t)result;
}

static void release(void *user, cuframes_frame *frame, int error) {
  (void)user, (void)error;
  cuframes_frame_release(frame);
}

/* stop() is for the callback thread alone: the other one is not interrupted, and takes no interruption away. */
static void stop_leaves_the_thread_that_takes_packets_alone(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pthread_t packets;
  void *result;
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  CHECK(pthread_create(&packets, NULL, take_packets, subscriber) == 0);
  for (int i = 0; i < 300; i++) {
    CHECK_OK(cuframes_subscriber_start(subscriber, release, NULL));
    if (i % 2)
      pause_ms(1);
    CHECK_OK(cuframes_subscriber_stop(subscriber));
  }
  CHECK_OK(packet_publish(publisher, 0, 1, 10, CUFRAMES_PACKET_KEY)); /* it still takes them */
  WAIT_FOR(subscriber_stats(subscriber).packets == 1);
  cuframes_subscriber_interrupt(subscriber);
  CHECK(pthread_join(packets, &result) == 0);
  assert_int_equal((intptr_t)result, CUFRAMES_ERR_INTERRUPTED);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(frames_come_until_stop),
    FIXTURE(stop_from_within_ends_it_after_that_call),
    FIXTURE(destroy_stops_it),
    FIXTURE(full_hands_wait_for_a_release),
    FIXTURE(the_end_of_the_stream_is_one_call),
    FIXTURE(with_reconnect_the_calls_go_on),
    FIXTURE(not_for_packets_only),
    FIXTURE(stop_leaves_the_thread_that_takes_packets_alone),
  };
  return FIXTURE_RUN("callback", tests);
}
