/* test_ordered.c - when an ordered subscriber is slow: the publisher waits for it, drops for it, evicts it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/child.h"
#include "support/stream.h"

static cuframes_publisher *open_stream(uint32_t policy, int64_t timeout_ns) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.policy = policy;
  options.ordered_timeout_ns = timeout_ns;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  return publisher;
}

static cuframes_subscriber *join(uint32_t leases, uint32_t depth) {
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  cuframes_subscriber *subscriber = NULL;
  options.leases = leases;
  options.depth = depth;
  options.label = "slow one";
  options.connect_timeout_ns = patience();
  subscriber = subscriber_join("s", &options);
  return subscriber;
}

/* Publishes one picture on a thread of its own and says how long it took. */
typedef struct publishing {
  pthread_t thread;
  cuframes_publisher *publisher;
  uint64_t number;
  int result;
  int64_t took;
} publishing;

static void *publish_run(void *argument) {
  publishing *p = argument;
  int64_t start = cuframes_now();
  p->result = picture_publish(p->publisher, p->number);
  p->took = cuframes_now() - start;
  return NULL;
}

/* Starts a publish that must wait, and sees to it that it does. */
static void publish_start(publishing *p, cuframes_publisher *publisher, uint64_t number) {
  uint64_t waits = publisher_stats(publisher).waits;
  *p = (publishing){ .publisher = publisher, .number = number };
  assert_int_equal(pthread_create(&p->thread, NULL, publish_run, p), 0);
  WAIT_FOR(publisher_stats(publisher).waits == waits + 1);
}

static void publish_end(publishing *p, int result) {
  assert_int_equal(pthread_join(p->thread, NULL), 0);
  assert_int_equal(p->result, result);
}

static void the_publisher_waits_for_room_and_counts_it(void **state) {
  (void)state;
  static const uint32_t depths[] = { 1, 2, 4, 32 };
  for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
    cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, patience());
    cuframes_subscriber *slow = join(1, depths[i]), *quick = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    publishing waiting;
    pictures_publish(publisher, 1, depths[i]); /* so many may wait */
    assert_int_equal(publisher_stats(publisher).waits, 0);
    publish_start(&waiting, publisher, depths[i] + 1);
    assert_int_equal(frame_look(quick), depths[i]);
    assert_int_equal(publisher_stats(publisher).frames, depths[i]);
    assert_int_equal(frame_look(slow), 1); /* this makes room */
    publish_end(&waiting, CUFRAMES_OK);
    assert_int_equal(frame_look(quick), depths[i] + 1);
    for (uint64_t number = 2; number <= depths[i] + 1; number++)
      assert_int_equal(frame_look(slow), number);
    assert_int_equal(publisher_stats(publisher).evictions, 0);
    cuframes_subscriber_destroy(slow);
    cuframes_subscriber_destroy(quick);
    cuframes_publisher_destroy(publisher);
  }
}

static void who_is_too_slow_is_evicted_and_only_it(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, 50 * MS);
  cuframes_subscriber *slow = join(3, 4), *good = join(1, 16), *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_stream_info *info = NULL;
  pictures_publish(publisher, 1, 2);
  cuframes_frame *held[2] = { frame_take(slow), frame_take(slow) }, *none = NULL;
  pictures_publish(publisher, 3, 4); /* four wait */
  int64_t start = cuframes_now();
  pictures_publish(publisher, 7, 1);
  TOOK(start, 50, 1000);
  cuframes_publisher_stats stats = publisher_stats(publisher);
  assert_int_equal(stats.evictions, 1);
  assert_int_equal(stats.waits, 1);
  start = cuframes_now();
  for (uint64_t number = 8; number <= 300; number++) { /* nobody waits for it any more */
    pictures_publish(publisher, number, 1);
    assert_int_equal(frame_look(good), number - 7);
  }
  SOON(cuframes_now() - start, 1000);
  assert_int_equal(publisher_stats(publisher).evictions, 1);
  assert_int_equal(frame_look(newest), 300);
  for (uint64_t i = 0; i < 2; i++)
    assert_int_equal(picture_number(held[i]), i + 1); /* its frames are whole all the same */
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_int_equal(info->evictions, 1);
  assert_int_equal(info->subscriber_count, 3);
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(info->subscribers[i]->evicted,
                     strcmp(info->subscribers[i]->label, "slow one") == 0 && info->subscribers[i]->depth == 4);
  cuframes_stream_info_free(info);
  CHECK_RESULT(cuframes_subscriber_next(slow, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_EVICTED);
  CHECK_RESULT(cuframes_subscriber_next(slow, 0, &none), CUFRAMES_ERR_EVICTED);
  assert_null(none);
  cuframes_frame_release(held[0]);
  cuframes_frame_release(held[0]);
  assert_int_equal(subscriber_stats(slow).released_twice, 1);
  cuframes_subscriber_destroy(slow);
  slow = join(1, 4); /* and it may come again */
  assert_int_equal(frame_look(slow), 300);
  assert_int_equal(picture_number(held[1]), 2);
  cuframes_frame_release(held[1]);
  cuframes_subscriber_destroy(slow);
  cuframes_subscriber_destroy(good);
  cuframes_subscriber_destroy(newest);
  cuframes_publisher_destroy(publisher);
}

static void an_evicted_one_learns_it_with_its_hands_full(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, 20 * MS);
  cuframes_subscriber *slow = join(1, 1);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *held = frame_take(slow), *none = NULL;
  pictures_publish(publisher, 2, 1);
  CHECK_RESULT(cuframes_subscriber_next(slow, 0, &none), CUFRAMES_ERR_LEASE_LIMIT);
  pictures_publish(publisher, 3, 1);
  CHECK_RESULT(cuframes_subscriber_next(slow, 0, &none), CUFRAMES_ERR_EVICTED);
  assert_int_equal(picture_number(held), 1);
  cuframes_frame_release(held);
  cuframes_subscriber_destroy(slow);
  cuframes_publisher_destroy(publisher);
}

static void several_slow_ones_cost_one_timeout(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, 100 * MS);
  cuframes_subscriber *slow[5];
  for (int i = 0; i < 5; i++)
    slow[i] = join(1, 1);
  pictures_publish(publisher, 1, 1);
  int64_t start = cuframes_now();
  pictures_publish(publisher, 2, 1);
  TOOK(start, 100, 450);
  assert_int_equal(publisher_stats(publisher).evictions, 5);
  assert_int_equal(publisher_stats(publisher).waits, 1);
  for (int i = 0; i < 5; i++)
    cuframes_subscriber_destroy(slow[i]);
  cuframes_publisher_destroy(publisher);
}

static void policy_drop_drops_for_everybody(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_DROP, 0);
  cuframes_subscriber *slow = join(2, 2), *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 2);
  for (uint64_t i = 0; i < 50; i++) {
    CHECK_RESULT(picture_publish(publisher, 100 + i), CUFRAMES_ERR_DROPPED);
    detail_names("slow one");
  }
  cuframes_publisher_stats stats = publisher_stats(publisher);
  assert_int_equal(stats.dropped, 50);
  assert_int_equal(stats.frames, 2);
  assert_int_equal(stats.waits, 0);
  assert_int_equal(frame_look(newest), 2);
  assert_int_equal(frame_look(slow), 1);
  pictures_publish(publisher, 3, 1);
  CHECK_RESULT(picture_publish(publisher, 200), CUFRAMES_ERR_DROPPED);
  cuframes_frame *frame = frame_take(slow);
  assert_int_equal(picture_number(frame), 2);
  assert_int_equal(cuframes_frame_seq(frame), 2);
  cuframes_frame_release(frame);
  frame = frame_take(slow);
  assert_int_equal(picture_number(frame), 3);
  assert_int_equal(cuframes_frame_seq(frame), 3); /* what was dropped has no number */
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(slow);
  pictures_publish(publisher, 4, 50); /* nobody to drop for */
  assert_int_equal(publisher_stats(publisher).dropped, 51);
  cuframes_subscriber_destroy(newest);
  cuframes_publisher_destroy(publisher);
}

static void take_one_and_hold_it(int test, void *unused) {
  (void)unused;
  cuframes_subscriber *subscriber = join(2, 2);
  say(test, 0);
  cuframes_frame *frame = frame_take(subscriber);
  CHECK(picture_number(frame) == 1);
  say(test, 0);
  (void)hear(test);
  CHECK(picture_number(frame) == 1);
  cuframes_frame *none = NULL;
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_EVICTED);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
}

static void a_stopped_process_is_evicted(void **state) {
  (void)state;
  child *stopped = child_start(take_one_and_hold_it, NULL);
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, 50 * MS);
  (void)hear(stopped->fd);
  pictures_publish(publisher, 1, 1);
  (void)hear(stopped->fd);
  child_stop(stopped);
  int64_t start = cuframes_now();
  pictures_publish(publisher, 2, 200);
  TOOK(start, 50, 1500);
  assert_int_equal(publisher_stats(publisher).evictions, 1);
  child_continue(stopped);
  say(stopped->fd, 0);
  child_finish(stopped);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void a_killed_process_is_not_waited_for(void **state) {
  (void)state;
  child *killed[2] = { child_start(take_one_and_hold_it, NULL), child_start(take_one_and_hold_it, NULL) };
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, patience());
  publishing waiting;
  for (int i = 0; i < 2; i++)
    (void)hear(killed[i]->fd);
  pictures_publish(publisher, 1, 1);
  for (int i = 0; i < 2; i++)
    (void)hear(killed[i]->fd);
  pictures_publish(publisher, 2, 2);
  publish_start(&waiting, publisher, 4);
  for (int i = 0; i < 2; i++)
    child_kill(killed[i]);
  publish_end(&waiting, CUFRAMES_OK);
  SOON(waiting.took, 1500);
  assert_int_equal(publisher_stats(publisher).evictions, 0); /* it was not too slow, it was dead */
  pictures_publish(publisher, 5, 100);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void one_that_leaves_is_not_waited_for(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, patience());
  pictures_publish(publisher, 1, 1);
  for (int with_frame = 0; with_frame < 2; with_frame++) {
    cuframes_subscriber *slow = join(1, 1); /* the newest frame waits for it from now on */
    publishing waiting;
    cuframes_frame *held = with_frame ? frame_take(slow) : NULL;
    uint64_t number = with_frame ? picture_number(held) : 0;
    if (with_frame)
      pictures_publish(publisher, 2, 1);
    publish_start(&waiting, publisher, 3);
    cuframes_subscriber_destroy(slow);
    publish_end(&waiting, CUFRAMES_OK);
    SOON(waiting.took, 1500);
    pictures_publish(publisher, 4, 100);
    if (with_frame) {
      assert_true(picture_is(held, number));
      cuframes_frame_release(held);
    }
    assert_int_equal(publisher_stats(publisher).evictions, 0);
  }
  cuframes_publisher_destroy(publisher);
}

static void others_come_and_go_while_the_publisher_waits(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(CUFRAMES_POLICY_WAIT, patience());
  cuframes_subscriber *slow = join(1, 1), *leaver = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_stream_info *info = NULL;
  publishing waiting;
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(leaver), 1);
  publish_start(&waiting, publisher, 2);
  int64_t start = cuframes_now();
  cuframes_subscriber_destroy(leaver);
  WAIT_FOR(publisher_stats(publisher).subscribers == 1);
  leaver = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  assert_int_equal(frame_look(leaver), 1);
  cuframes_subscriber_destroy(leaver);
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  cuframes_stream_info_free(info);
  SOON(cuframes_now() - start, 1000);
  int64_t used = cpu_time();
  pause_ms(100);
  SOON(cpu_time() - used, 20); /* nobody spins meanwhile */
  assert_int_equal(frame_look(slow), 1);
  publish_end(&waiting, CUFRAMES_OK);
  cuframes_subscriber_destroy(slow);
  cuframes_publisher_destroy(publisher);
}

static void log_line(void *user, int level, const char *line) {
  char *lines = user;
  if (level == CUFRAMES_LOG_WARNING)
    strncat(lines, line, 500 - strlen(lines));
}

static void an_eviction_is_logged(void **state) {
  (void)state;
  char lines[512] = "";
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.ordered_timeout_ns = 10 * MS;
  options.log = log_line;
  options.log_user = lines;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *slow = join(1, 3);
  pictures_publish(publisher, 1, 4);
  cuframes_subscriber_destroy(slow);
  cuframes_publisher_destroy(publisher);
  assert_non_null(strstr(lines, "evicted"));
  assert_non_null(strstr(lines, "slow one"));
  assert_non_null(strstr(lines, "10 ms"));
}

typedef struct newcomer {
  pthread_t thread;
  uint64_t frames;
} newcomer;

/* Waits for the name, and takes every frame from the first one on. */
static void *join_first(void *argument) {
  newcomer *n = argument;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame;
  options.connect_timeout_ns = patience();
  if (cuframes_subscriber_create("s", &options, &subscriber) != CUFRAMES_OK)
    return NULL;
  while (cuframes_subscriber_next(subscriber, patience(), &frame) == CUFRAMES_OK) {
    n->frames += cuframes_frame_seq(frame) == n->frames + 1;
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  return NULL;
}

static void nobody_misses_the_beginning(void **state) {
  (void)state;
  enum { NEWCOMERS = 3, FRAMES = 50 };
  newcomer newcomers[NEWCOMERS] = { { 0 } };
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.ordered_timeout_ns = patience();
  for (int i = 0; i < NEWCOMERS; i++)
    assert_int_equal(pthread_create(&newcomers[i].thread, NULL, join_first, &newcomers[i]), 0);
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_RESULT(cuframes_publisher_wait_subscribers(publisher, NEWCOMERS + 1, 0), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_publisher_wait_subscribers(publisher, NEWCOMERS, patience()));
  CHECK_RESULT(cuframes_publisher_wait_subscribers(publisher, NEWCOMERS + 1, 1000000), CUFRAMES_ERR_TIMEOUT);
  detail_names("3 of 4");
  CHECK_OK(cuframes_publisher_wait_subscribers(publisher, 0, 0));
  CHECK_RESULT(cuframes_publisher_wait_subscribers(NULL, 0, 0), CUFRAMES_ERR_INVALID);
  pictures_publish(publisher, 1, FRAMES);
  cuframes_publisher_destroy(publisher);
  for (int i = 0; i < NEWCOMERS; i++) {
    assert_int_equal(pthread_join(newcomers[i].thread, NULL), 0);
    assert_int_equal(newcomers[i].frames, FRAMES);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(nobody_misses_the_beginning),
    FIXTURE(the_publisher_waits_for_room_and_counts_it),
    FIXTURE(who_is_too_slow_is_evicted_and_only_it),
    FIXTURE(an_evicted_one_learns_it_with_its_hands_full),
    FIXTURE(several_slow_ones_cost_one_timeout),
    FIXTURE(policy_drop_drops_for_everybody),
    FIXTURE(a_stopped_process_is_evicted),
    FIXTURE(a_killed_process_is_not_waited_for),
    FIXTURE(one_that_leaves_is_not_waited_for),
    FIXTURE(others_come_and_go_while_the_publisher_waits),
    FIXTURE(an_eviction_is_logged),
  };
  return FIXTURE_RUN("ordered", tests);
}
