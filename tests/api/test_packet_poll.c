/* test_packet_poll.c - the descriptor for packets in event loops: readable exactly when next_packet() has something to
 * say.
 */
#include <poll.h>
#include <pthread.h>

#include "support/batches.h"
#include "support/child.h"
#include "support/packets.h"

#define KEY CUFRAMES_PACKET_KEY

static int fd_of(cuframes_subscriber *subscriber) {
  int fd = -1;
  CHECK_OK(cuframes_subscriber_packet_fd(subscriber, &fd));
  assert_true(fd >= 0);
  return fd;
}

static bool readable(int fd, int64_t timeout_ns) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  int n = poll(&ready, 1, (int)(timeout_ns / MS));
  CHECK(n >= 0 && (n == 0 || ready.revents == POLLIN));
  return n == 1;
}

/* What next_packet() says without waiting; of a packet its number as well. */
static int look(cuframes_subscriber *subscriber, uint64_t *number) {
  cuframes_packet *packet = NULL;
  int result = cuframes_subscriber_next_packet(subscriber, 0, &packet);
  if (result == CUFRAMES_OK) {
    *number = (uint64_t)(cuframes_packet_pts(packet) / 1000);
    assert_true(packet_is(packet, *number, 100));
  }
  cuframes_packet_release(packet);
  return result;
}

static void readable_with_a_packet_and_not_without(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *subscriber = packet_subscriber("s", CUFRAMES_PACKETS_FROM_KEYFRAME, false);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  assert_int_equal(fd_of(subscriber), fd);
  if (readable(fd, 0)) /* the first look may be in vain */
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(packet_publish(publisher, 0, 99, 100, 0));
  assert_false(readable(fd, 20 * MS)); /* nobody can begin with it */
  for (uint64_t i = 0; i < 20; i++) {
    for (uint64_t k = 1; k <= 3; k++)
      CHECK_OK(packet_publish(publisher, 0, 3 * i + k, 100, k == 1 ? KEY : 0));
    assert_true(readable(fd, patience()));
    for (uint64_t k = 1; k <= 3; k++) {
      assert_true(readable(fd, 0)); /* until next_packet() has nothing more */
      CHECK_OK(look(subscriber, &number));
      assert_int_equal(number, 3 * i + k);
    }
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    assert_false(readable(fd, i < 2 ? 20 * MS : 0));
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void overruns_are_news(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 8, 65536);
  cuframes_subscriber *subscriber = packet_subscriber("s", CUFRAMES_PACKETS_FROM_KEYFRAME, false);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  CHECK_OK(look(subscriber, &number));
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
  for (uint64_t i = 2; i <= 30; i++)
    CHECK_OK(packet_publish(publisher, 0, i, 100, KEY));
  assert_true(readable(fd, patience()));
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_PACKET_OVERRUN);
  assert_true(readable(fd, 0));
  CHECK_OK(look(subscriber, &number));
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void readable_at_the_end(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *subscriber = packet_subscriber("s", CUFRAMES_PACKETS_FROM_KEYFRAME, false);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
  assert_false(readable(fd, 0));
  cuframes_publisher_destroy(publisher);
  for (int i = 0; i < 3; i++) { /* and stays so */
    assert_true(readable(fd, patience()));
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_PUBLISHER_GONE);
  }
  cuframes_subscriber_destroy(subscriber);
}

static void publish_until_killed(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, KEY));
  say(test, 0);
  (void)hear(test);
}

static void readable_when_it_is_killed(void **state) {
  (void)state;
  child *publisher = child_start(publish_until_killed, NULL);
  (void)hear(publisher->fd);
  cuframes_subscriber *subscriber = packet_subscriber("s", CUFRAMES_PACKETS_FROM_OLDEST, false);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  CHECK_OK(look(subscriber, &number));
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
  assert_false(readable(fd, 0));
  child_kill(publisher);
  assert_true(readable(fd, patience()));
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher_new("s")); /* takes away what the other left */
}

/* Beside the descriptor for frames, which an interruption ends as well. */
static void readable_when_interrupted(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME));
  cuframes_frame *frame = NULL;
  uint64_t number = 0;
  int fd = fd_of(subscriber), frames = -1;
  CHECK_OK(cuframes_subscriber_fd(subscriber, &frames));
  assert_int_not_equal(fd, frames);
  for (int i = 0; i < 5; i++) {
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
    assert_false(readable(fd, 0) || readable(frames, 0));
    cuframes_subscriber_interrupt(subscriber);
    assert_true(readable(fd, patience()) && readable(frames, patience()));
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_INTERRUPTED);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_INTERRUPTED);
  }
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
  pictures_publish(publisher, 1, 1); /* is nothing to who takes packets */
  assert_false(readable(fd, 20 * MS));
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void it_survives_reconnects(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *subscriber = packet_subscriber("s", CUFRAMES_PACKETS_FROM_KEYFRAME, true);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  for (uint64_t i = 1; i <= 5; i++) {
    CHECK_OK(packet_publish(publisher, 0, i, 100, KEY));
    int64_t end = cuframes_now() + patience();
    for (int result; (result = look(subscriber, &number)) != CUFRAMES_OK;) {
      CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
      assert_true(readable(fd, end - cuframes_now()));
    }
    assert_int_equal(number, i);
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    cuframes_publisher_destroy(publisher);
    int64_t away = cuframes_now() + 30 * MS, used = cpu_time();
    while (cuframes_now() < away) { /* an event loop while nobody publishes must not go round and round */
      (void)readable(fd, away - cuframes_now());
      CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    }
    SOON(cpu_time() - used, 15);
    publisher = packet_publisher("s", 64, 65536);
    assert_int_equal(fd_of(subscriber), fd);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

#define BURSTS 1500

static void *publish_in_bursts(void *publisher) {
  for (uint32_t i = 0, noise = 1; i < BURSTS; i++, noise = noise * 1664525 + 1013904223) {
    CHECK_OK(packet_publish(publisher, 0, i + 1, 100, KEY));
    for (uint32_t spin = noise >> 18; spin > 0; spin--) /* up to some tens of microseconds */
      (void)cuframes_now();
  }
  return NULL;
}

static void no_wake_is_ever_lost(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 2 * BURSTS, BURSTS * 512);
  cuframes_subscriber *subscriber = packet_subscriber("s", CUFRAMES_PACKETS_FROM_OLDEST, false);
  int fd = fd_of(subscriber);
  pthread_t thread;
  uint64_t last = 0, number = 0;
  assert_int_equal(pthread_create(&thread, NULL, publish_in_bursts, publisher), 0);
  while (last < BURSTS) {
    if (!readable(fd, patience()))
      fail_msg("asleep after packet %llu", (unsigned long long)last);
    int result;
    while ((result = look(subscriber, &number)) == CUFRAMES_OK)
      assert_int_equal(number, ++last);
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
  }
  assert_int_equal(pthread_join(thread, NULL), 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void what_is_refused(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  int fd = 77;
  CHECK_RESULT(cuframes_subscriber_packet_fd(subscriber, &fd), CUFRAMES_ERR_NO_PACKET_RING);
  CHECK_RESULT(cuframes_subscriber_packet_fd(subscriber, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_packet_fd(NULL, &fd), CUFRAMES_ERR_INVALID);
  assert_int_equal(fd, 77);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- many descriptors ---- */

#define MANY 70 /* with frames' more than one thread can sleep on */

/* Of frames and packets in one process, by so many threads; each tells of its own. */
static void many_tell(int wanted_threads) {
  cuframes_publisher *publisher = packet_publisher("s", 64, 65536);
  cuframes_subscriber *subscribers[MANY];
  cuframes_frame *frame = NULL;
  uint64_t number = 0;
  int fds[MANY], frames;
  for (int i = 0; i < MANY; i++) {
    subscribers[i] = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    CHECK_OK(cuframes_subscriber_enable_packets(subscribers[i], CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME));
    fds[i] = fd_of(subscribers[i]);
    CHECK_OK(cuframes_subscriber_fd(subscribers[i], &frames));
    CHECK_RESULT(look(subscribers[i], &number), CUFRAMES_ERR_TIMEOUT);
    CHECK_RESULT(cuframes_subscriber_next(subscribers[i], 0, &frame), CUFRAMES_ERR_TIMEOUT);
  }
  WAIT_FOR(threads_called("cuframes-notify") == wanted_threads);
  for (uint64_t round = 1; round <= 3; round++) {
    for (int i = 0; i < MANY; i++)
      assert_false(readable(fds[i], 0));
    CHECK_OK(packet_publish(publisher, 0, round, 100, KEY));
    for (int i = 0; i < MANY; i++) {
      assert_true(readable(fds[i], patience()));
      CHECK_OK(look(subscribers[i], &number));
      assert_int_equal(number, round);
      CHECK_RESULT(look(subscribers[i], &number), CUFRAMES_ERR_TIMEOUT);
    }
  }
  for (int i = 0; i < MANY; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  WAIT_FOR(threads_called("cuframes-notify") == 0);
  cuframes_publisher_destroy(publisher);
}

static void many_tell_on_an_old_kernel(int test, void *unused) {
  (void)unused;
  kernel_forget_futex_waitv();
  many_tell(2 * MANY);
  say(test, 0);
}

static void each_has_a_thread_on_an_old_kernel(void **state) {
  (void)state;
  child *old = child_start(many_tell_on_an_old_kernel, NULL);
  (void)hear(old->fd);
  child_finish(old);
}

static void one_thread_serves_many(void **state) {
  (void)state;
  many_tell(2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(each_has_a_thread_on_an_old_kernel), /* first: a process asks its kernel once */
    FIXTURE(readable_with_a_packet_and_not_without),
    FIXTURE(overruns_are_news),
    FIXTURE(readable_at_the_end),
    FIXTURE(readable_when_it_is_killed),
    FIXTURE(readable_when_interrupted),
    FIXTURE(it_survives_reconnects),
    FIXTURE(no_wake_is_ever_lost),
    FIXTURE(what_is_refused),
    FIXTURE(one_thread_serves_many),
  };
  return FIXTURE_RUN("packet_poll", tests);
}
