/* test_drain.c - the end of a stream whose last frames matter: who is waited for until he has all, and who is not. */
#include "support/child.h"
#include "support/packets.h"
#include "support/waiter.h"

#define LAST 3u

/* Publishes when asked to, and ends at once when all has been taken. */
static void publish_and_drain(int test, void *user) {
  const cuframes_publisher_options *options = user;
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create("s", options, &publisher));
  say(test, 0);
  (void)hear(test);
  cuframes_format wider = small_format();
  wider.width *= 2; /* so that no subscriber has its memory yet */
  CHECK_OK(cuframes_publisher_set_format(publisher, &wider));
  pictures_publish(publisher, 1, LAST);
  CHECK_RESULT(cuframes_publisher_drain(publisher, 0), CUFRAMES_ERR_TIMEOUT);
  say(test, LAST);
  CHECK_OK(cuframes_publisher_drain(publisher, patience()));
  cuframes_publisher_destroy(publisher);
}

static void ordered_ones_get_all(void **state) {
  (void)state;
  for (uint32_t side = 0; side <= 256; side += 256) {
    cuframes_publisher_options options = publisher_options();
    options.side_data_max = side;
    child *publisher = child_start(publish_and_drain, &options);
    (void)hear(publisher->fd);
    cuframes_subscriber_options ask = subscriber_options(CUFRAMES_MODE_ORDERED);
    ask.leases = LAST;
    cuframes_subscriber *subscriber = subscriber_join("s", &ask);
    say(publisher->fd, 0);
    assert_int_equal(hear(publisher->fd), LAST); /* nothing is taken yet, and it stays */
    for (uint64_t number = 1; number <= LAST; number++)
      assert_int_equal(frame_look(subscriber), number);
    cuframes_frame *frame;
    CHECK_RESULT(cuframes_subscriber_next(subscriber, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
    cuframes_subscriber_destroy(subscriber);
    child_finish(publisher);
  }
}

static void only_those_are_waited_for_who_get_everything(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  CHECK_OK(cuframes_publisher_drain(publisher, 0)); /* nobody */
  cuframes_subscriber *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  CHECK_OK(cuframes_publisher_drain(publisher, 0));
  cuframes_subscriber *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  CHECK_RESULT(cuframes_publisher_drain(publisher, 1000000), CUFRAMES_ERR_TIMEOUT);
  assert_int_equal(frame_look(ordered), 1);
  CHECK_OK(cuframes_publisher_drain(publisher, patience()));
  pictures_publish(publisher, 2, 1);
  CHECK_RESULT(cuframes_publisher_drain(publisher, 0), CUFRAMES_ERR_TIMEOUT);
  cuframes_subscriber_destroy(ordered); /* it wants no more */
  CHECK_OK(cuframes_publisher_drain(publisher, patience()));
  cuframes_subscriber_destroy(newest);
  cuframes_publisher_destroy(publisher);
  CHECK_RESULT(cuframes_publisher_drain(NULL, 0), CUFRAMES_ERR_INVALID);
}

static void readers_of_packets_get_all(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *reader = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  CHECK_OK(cuframes_subscriber_enable_packets(reader, CUFRAMES_PACKETS_FROM_OLDEST));
  for (uint64_t number = 1; number <= LAST; number++)
    CHECK_OK(packet_publish(publisher, 0, number, 100, CUFRAMES_PACKET_KEY));
  CHECK_RESULT(cuframes_publisher_drain(publisher, 1000000), CUFRAMES_ERR_TIMEOUT);
  for (uint64_t number = 1; number <= LAST; number++)
    assert_int_equal(packet_look(reader, NULL), number);
  waiter waiting;
  waiter_start_packet(&waiting, reader, CUFRAMES_WAIT_FOREVER); /* for one that does not come */
  CHECK_OK(cuframes_publisher_drain(publisher, patience()));
  cuframes_publisher_destroy(publisher);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_destroy(reader);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(ordered_ones_get_all),
    FIXTURE(only_those_are_waited_for_who_get_everything),
    FIXTURE(readers_of_packets_get_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
