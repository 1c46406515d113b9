/* test_wait.c - waiting for frames: time-outs, interruption, many sleepers, spinning, and what idling costs. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "support/child.h"
#include "support/rights.h"
#include "support/waiter.h"

static void timeouts_are_kept(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  static const int64_t timeouts[] = { 0, 1, 1 * MS, 30 * MS };
  cuframes_frame *none = NULL;
  for (int joined = 0; joined < 2; joined++) { /* before the first frame, and after it */
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
      int64_t start = cuframes_now();
      CHECK_RESULT(cuframes_subscriber_next(subscriber, timeouts[i], &none), CUFRAMES_ERR_TIMEOUT);
      CHECK(cuframes_now() - start >= timeouts[i]);
      SOON(cuframes_now() - start - timeouts[i], 300);
    }
    pictures_publish(publisher, 1, 1);
    if (joined == 0)
      assert_int_equal(frame_look(subscriber), 1);
  }
  assert_null(none);
  assert_int_equal(frame_look(subscriber), 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_frame_ends_any_wait(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  static const int64_t timeouts[] = { CUFRAMES_WAIT_FOREVER, INT64_MIN, INT64_MAX, 3600 * SECOND };
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    cuframes_subscriber *subscriber = subscriber_new("s", mode);
    if (mode == CUFRAMES_MODE_ORDERED)
      (void)frame_look(subscriber);
    else
      (void)cuframes_subscriber_next(subscriber, 0, &(cuframes_frame *){ NULL });
    for (uint64_t i = 0; i < 4; i++) {
      waiter waiting;
      waiter_start(&waiting, subscriber, timeouts[i]);
      int64_t start = cuframes_now();
      pictures_publish(publisher, i + 1, 1);
      assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
      SOON(waiting.ended - start, 500);
      assert_int_equal(picture_number(waiting.frame), i + 1);
      cuframes_frame_release(waiting.frame);
    }
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher);
}

#define SLEEPERS 12

static void many_sleepers_are_all_woken(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscribers[SLEEPERS];
  waiter waiting[SLEEPERS];
  for (int i = 0; i < SLEEPERS; i++)
    subscribers[i] = subscriber_new("s", i % 2);
  for (uint64_t number = 1; number <= 5; number++) {
    for (int i = 0; i < SLEEPERS; i++)
      waiter_start(&waiting[i], subscribers[i], CUFRAMES_WAIT_FOREVER);
    int64_t start = cuframes_now();
    pictures_publish(publisher, number, 1);
    for (int i = 0; i < SLEEPERS; i++) {
      assert_int_equal(waiter_end(&waiting[i]), CUFRAMES_OK);
      SOON(waiting[i].ended - start, 500);
      assert_int_equal(picture_number(waiting[i].frame), number);
      cuframes_frame_release(waiting[i].frame);
    }
  }
  for (int i = 0; i < SLEEPERS; i++)
    waiter_start(&waiting[i], subscribers[i], CUFRAMES_WAIT_FOREVER);
  cuframes_publisher_destroy(publisher);
  for (int i = 0; i < SLEEPERS; i++) {
    assert_int_equal(waiter_end(&waiting[i]), CUFRAMES_ERR_PUBLISHER_GONE);
    cuframes_subscriber_destroy(subscribers[i]);
  }
}

static void interrupt_ends_one_wait(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = NULL;
  waiter waiting;
  for (int i = 0; i < 20; i++) {
    waiter_start(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
    int64_t start = cuframes_now();
    cuframes_subscriber_interrupt(subscriber);
    assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED);
    SOON(waiting.ended - start, 500);
  }
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT); /* one interruption, one wait */
  cuframes_subscriber_interrupt(subscriber);
  cuframes_subscriber_interrupt(subscriber); /* nobody waits: the next wait ends */
  CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &frame), CUFRAMES_ERR_INTERRUPTED);
  assert_null(frame);
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(subscriber), 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static cuframes_subscriber *to_interrupt;
static volatile sig_atomic_t signals;

static void on_alarm(int number) {
  (void)number;
  signals++;
  cuframes_subscriber_interrupt(to_interrupt); /* NULL: only the system call is disturbed */
}

static void every(int ms) {
  struct itimerval timer = { .it_interval = { 0, ms * 1000 }, .it_value = { 0, ms * 1000 } };
  assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void a_signal_handler_may_interrupt(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  struct sigaction action = { .sa_handler = on_alarm }, before; /* no SA_RESTART */
  cuframes_frame *none = NULL;
  assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
  to_interrupt = NULL;
  signals = 0;
  every(5);
  for (int tries = 0; tries == 0 || signals <= 3; tries++) { /* a busy machine lets several of them be one */
    int64_t start = cuframes_now();
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 100 * MS, &none),
                 CUFRAMES_ERR_TIMEOUT); /* signals alone end nothing */
    TOOK(start, 100, 1000);
  }
  for (int i = 0; i < 30; i++) /* nor do they disturb anything else */
    cuframes_subscriber_destroy(subscriber_new("s", CUFRAMES_MODE_ORDERED));
  every(0);
  to_interrupt = subscriber;
  every(10);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_INTERRUPTED);
  every(0);
  to_interrupt = NULL;
  assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
  assert_null(none);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void spinning_finds_frames_and_keeps_timeouts(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *none = NULL;
  options.spin_ns = 20 * MS;
  subscriber = subscriber_join("s", &options);
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(subscriber), 1);
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 2 * MS, &none),
               CUFRAMES_ERR_TIMEOUT); /* shorter than it would spin */
  TOOK(start, 2, 200);
  int64_t used = cpu_time();
  start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 150 * MS, &none), CUFRAMES_ERR_TIMEOUT); /* then it sleeps */
  TOOK(start, 150, 500);
  SOON(cpu_time() - used, 60);
  waiter waiting;
  waiter_start(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  pictures_publish(publisher, 2, 1);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  cuframes_frame_release(waiting.frame);
  waiter_start(&waiting, subscriber, CUFRAMES_WAIT_FOREVER);
  cuframes_subscriber_interrupt(subscriber);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED);
  options.spin_ns = -1;
  CHECK_RESULT(cuframes_subscriber_create("s", &options, &(cuframes_subscriber *){ NULL }), CUFRAMES_ERR_INVALID);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static uint32_t streams_that_fit(void) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return limit.rlim_cur >= 2500 ? 100 : 30;
}

static void idle_streams_cost_no_time(void **state) {
  (void)state;
  struct rlimit limit;
  need_threads(220); /* two per stream */
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  uint32_t count = streams_that_fit();
  cuframes_publisher *publishers[100];
  cuframes_subscriber *subscribers[100];
  for (uint32_t i = 0; i < count; i++) {
    char name[16];
    snprintf(name, sizeof name, "s%u", i);
    publishers[i] = publisher_new(name);
    subscribers[i] = subscriber_new(name, i % 2);
    pictures_publish(publishers[i], 1, 1);
    assert_int_equal(frame_look(subscribers[i]), 1);
    int fd = -1;
    CHECK_OK(cuframes_subscriber_fd(subscribers[i], &fd));
    CHECK_RESULT(cuframes_subscriber_next(subscribers[i], 0, &(cuframes_frame *){ NULL }), CUFRAMES_ERR_TIMEOUT);
  }
  waiter waiting;
  waiter_start(&waiting, subscribers[0], CUFRAMES_WAIT_FOREVER);
  pause_ms(20); /* what the threads still had to do after they were started */
  int64_t used = cpu_time();
  pause_ms(300);
  used = cpu_time() - used;
  SOON(used, 5);
  cuframes_subscriber_interrupt(subscribers[0]);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED);
  for (uint32_t i = 0; i < count; i++) {
    cuframes_subscriber_destroy(subscribers[i]);
    cuframes_publisher_destroy(publishers[i]);
  }
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(timeouts_are_kept),
    FIXTURE(a_frame_ends_any_wait),
    FIXTURE(many_sleepers_are_all_woken),
    FIXTURE(interrupt_ends_one_wait),
    FIXTURE(a_signal_handler_may_interrupt),
    FIXTURE(spinning_finds_frames_and_keeps_timeouts),
    FIXTURE(idle_streams_cost_no_time),
  };
  return FIXTURE_RUN("wait", tests);
}
