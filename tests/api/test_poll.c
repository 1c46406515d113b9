/* test_poll.c - the descriptor for event loops: readable exactly when next() has something to say. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "support/batches.h"
#include "support/child.h"
#include "support/stream.h"

static cuframes_subscriber *join(uint32_t mode, bool reconnect) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  options.reconnect = reconnect;
  options.depth = 8;
  subscriber = subscriber_join("s", &options);
  return subscriber;
}

static int fd_of(cuframes_subscriber *subscriber) {
  int fd = -1;
  CHECK_OK(cuframes_subscriber_fd(subscriber, &fd));
  assert_true(fd >= 0);
  return fd;
}

static bool readable(int fd, int64_t timeout_ns) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  int n = poll(&ready, 1, (int)(timeout_ns / MS));
  CHECK(n >= 0 && (n == 0 || ready.revents == POLLIN));
  return n == 1;
}

static int look(cuframes_subscriber *subscriber, uint64_t *number) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(subscriber, 0, &frame);
  if (result == CUFRAMES_OK) {
    *number = picture_number(frame);
    cuframes_frame_release(frame);
  }
  return result;
}

static void readable_with_a_frame_and_not_without(void **state) {
  (void)state;
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    cuframes_publisher *publisher = publisher_new("s");
    cuframes_subscriber *subscriber = join(mode, false);
    uint64_t number = 0;
    int fd = fd_of(subscriber);
    assert_int_equal(fd_of(subscriber), fd);
    if (readable(fd, 0)) /* the first look may be in vain */
      CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    for (uint64_t i = 0; i < 20; i++) {
      assert_false(readable(fd, i < 2 ? 20 * MS : 0));
      pictures_publish(publisher, 3 * i + 1, 3);
      assert_true(readable(fd, patience()));
      for (uint64_t k = mode == CUFRAMES_MODE_ORDERED ? 1 : 3; k <= 3; k++) {
        assert_true(readable(fd, 0)); /* until next() has nothing more */
        CHECK_RESULT(look(subscriber, &number), CUFRAMES_OK);
        assert_int_equal(number, 3 * i + k);
      }
      CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    }
    assert_int_equal(fd_of(subscriber), fd);
    cuframes_subscriber_destroy(subscriber);
    cuframes_publisher_destroy(publisher);
  }
}

static void readable_at_the_end(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
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

static void readable_when_interrupted(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  for (int i = 0; i < 5; i++) {
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    assert_false(readable(fd, 0));
    cuframes_subscriber_interrupt(subscriber);
    assert_true(readable(fd, patience()));
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_INTERRUPTED);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void readable_when_evicted(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  uint64_t number = 0;
  options.ordered_timeout_ns = 10 * MS;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
  int fd = fd_of(subscriber);
  pictures_publish(publisher, 1, 9); /* it reads none of them */
  assert_true(readable(fd, patience()));
  CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_EVICTED);
  assert_true(readable(fd, 0));
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* An event loop: polls, and calls next() until there is nothing; the number of the first frame that comes. */
static uint64_t loop_until_frame(cuframes_subscriber *subscriber, int fd) {
  int64_t end = cuframes_now() + patience();
  for (uint64_t number = 0;;) {
    CHECK(cuframes_now() < end);
    (void)readable(fd, end - cuframes_now());
    int result = look(subscriber, &number);
    if (result == CUFRAMES_OK)
      return number;
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
  }
}

static void it_survives_reconnects(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, true);
  uint64_t number = 0;
  int fd = fd_of(subscriber);
  for (uint64_t i = 1; i <= 5; i++) {
    pictures_publish(publisher, i, 1);
    assert_int_equal(loop_until_frame(subscriber, fd), i);
    CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    cuframes_publisher_destroy(publisher);
    int64_t away = cuframes_now() + 30 * MS, used = cpu_time();
    while (cuframes_now() < away) { /* an event loop while nobody publishes must not go round and round */
      (void)readable(fd, away - cuframes_now());
      CHECK_RESULT(look(subscriber, &number), CUFRAMES_ERR_TIMEOUT);
    }
    SOON(cpu_time() - used, 15);
    publisher = publisher_new("s");
    assert_int_equal(fd_of(subscriber), fd);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

#define BURSTS 1500

static void *publish_in_bursts(void *publisher) {
  uint64_t number = 1;
  for (uint32_t i = 0, noise = 1; i < BURSTS; i++, noise = noise * 1664525 + 1013904223) {
    pictures_publish(publisher, number, 1);
    number++;
    for (uint32_t spin = noise >> 18; spin > 0; spin--) /* up to some tens of microseconds */
      (void)cuframes_now();
  }
  return NULL;
}

static void no_wake_is_ever_lost(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.ordered_timeout_ns = patience();
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
  int fd = fd_of(subscriber);
  pthread_t thread;
  uint64_t last = 0, number = 0;
  assert_int_equal(pthread_create(&thread, NULL, publish_in_bursts, publisher), 0);
  while (last < BURSTS) {
    if (!readable(fd, patience()))
      fail_msg("asleep after frame %llu", (unsigned long long)last);
    int result;
    while ((result = look(subscriber, &number)) == CUFRAMES_OK)
      assert_int_equal(number, ++last);
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
  }
  assert_int_equal(pthread_join(thread, NULL), 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void not_for_packets_only(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_PACKETS, false);
  int fd = 77;
  CHECK_RESULT(cuframes_subscriber_fd(subscriber, &fd), CUFRAMES_ERR_UNSUPPORTED);
  CHECK_RESULT(cuframes_subscriber_fd(subscriber, NULL), CUFRAMES_ERR_INVALID);
  assert_int_equal(fd, 77);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- one thread for many descriptors ---- */

#define MANY 130 /* more than one thread can sleep on */

/* All descriptors of one process tell of one frame each, whatever order they come in. */
static void many_tell(int wanted_threads) {
  cuframes_publisher *publisher = publisher_new("s"), *other = publisher_new("t");
  cuframes_subscriber *subscribers[MANY];
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  uint64_t number = 0;
  int fds[MANY];
  options.leases = 1;
  options.reconnect = 1;
  for (int i = 0; i < MANY; i++) {
    subscribers[i] = subscriber_join(i % 2 ? "s" : "t", &options);
    fds[i] = fd_of(subscribers[i]);
    while (look(subscribers[i], &number) == CUFRAMES_OK)
      ;
  }
  WAIT_FOR(threads_called("cuframes-notify") == wanted_threads);
  for (uint64_t round = 1; round <= 3; round++) {
    for (int i = 0; i < MANY; i++)
      assert_false(readable(fds[i], 0));
    pictures_publish(publisher, round, 1);
    for (int i = 1; i < MANY; i += 2)
      assert_true(readable(fds[i], patience()));
    for (int i = 0; i < MANY; i += 2)
      assert_false(readable(fds[i], 0));
    pictures_publish(other, round, 1);
    for (int i = 0; i < MANY; i++) {
      assert_true(readable(fds[i], patience()));
      while (look(subscribers[i], &number) != CUFRAMES_OK) /* its memory is asked for first */
        assert_true(readable(fds[i], patience()));
      assert_int_equal(number, round);
      CHECK_RESULT(look(subscribers[i], &number), CUFRAMES_ERR_TIMEOUT);
    }
  }
  cuframes_publisher_destroy(publisher);
  for (int i = 1; i < MANY; i += 2) { /* what comes next is that there is nobody */
    assert_true(readable(fds[i], patience()));
    CHECK_RESULT(look(subscribers[i], &number), CUFRAMES_ERR_TIMEOUT);
  }
  publisher = publisher_new("s");
  pictures_publish(publisher, 9, 1);
  for (int i = 1; i < MANY; i += 2)
    while (look(subscribers[i], &number) != CUFRAMES_OK)
      assert_true(readable(fds[i], patience()));
  for (int i = 0; i < MANY; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  WAIT_FOR(threads_called("cuframes-notify") == 0);
  cuframes_publisher_destroy(publisher);
  cuframes_publisher_destroy(other);
}

static void many_tell_on_an_old_kernel(int test, void *unused) {
  (void)unused;
  kernel_forget_futex_waitv();
  many_tell(MANY);
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
    FIXTURE(readable_with_a_frame_and_not_without),
    FIXTURE(readable_at_the_end),
    FIXTURE(readable_when_interrupted),
    FIXTURE(readable_when_evicted),
    FIXTURE(it_survives_reconnects),
    FIXTURE(no_wake_is_ever_lost),
    FIXTURE(not_for_packets_only),
    FIXTURE(one_thread_serves_many),
  };
  return FIXTURE_RUN("poll", tests);
}
