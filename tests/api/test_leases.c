/* test_leases.c - a frame in hand stays as it is until it is given back, whatever happens around it. */
#include <pthread.h>
#include <string.h>

#include "support/child.h"
#include "support/stream.h"

static cuframes_subscriber *join(uint32_t mode, uint32_t leases) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  options.leases = leases;
  subscriber = subscriber_join("s", &options);
  return subscriber;
}

static void no_more_frames_than_granted(void **state) {
  (void)state;
  static const struct { uint32_t asked, granted; } leases[] = { { 0, 2 }, { 1, 1 }, { 5, 5 }, { 16, 16 } };
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof leases / sizeof leases[0]; i++) {
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, leases[i].asked);
    cuframes_frame *held[16], *more = NULL;
    for (uint32_t k = 0; k < leases[i].granted; k++) {
      pictures_publish(publisher, ++number, 1);
      held[k] = frame_take(subscriber);
      assert_int_equal(picture_number(held[k]), number);
      assert_int_equal(subscriber_stats(subscriber).leases_held, k + 1);
    }
    pictures_publish(publisher, ++number, 1);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &more), CUFRAMES_ERR_LEASE_LIMIT);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &more), CUFRAMES_ERR_LEASE_LIMIT);
    assert_null(more);
    cuframes_frame_release(held[0]);
    held[0] = frame_take(subscriber);
    assert_int_equal(picture_number(held[0]), number);
    for (uint32_t k = 0; k < leases[i].granted; k++)
      cuframes_frame_release(held[k]);
    assert_int_equal(subscriber_stats(subscriber).leases_held, 0);
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher);
}

static void more_leases_than_may_be_are_refused(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.max_leases = 3;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber_options request = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *none = NULL;
  request.leases = 4;
  CHECK_RESULT(cuframes_subscriber_create("s", &request, &none), CUFRAMES_ERR_NO_CAPACITY);
  detail_names("4");
  detail_names("3");
  request.leases = 65;
  CHECK_RESULT(cuframes_subscriber_create("s", &request, &none), CUFRAMES_ERR_INVALID);
  detail_names("65");
  request = subscriber_options(CUFRAMES_MODE_ORDERED);
  request.depth = 33;
  CHECK_RESULT(cuframes_subscriber_create("s", &request, &none), CUFRAMES_ERR_NO_CAPACITY);
  detail_names("33");
  request.depth = 257;
  CHECK_RESULT(cuframes_subscriber_create("s", &request, &none), CUFRAMES_ERR_INVALID);
  request = subscriber_options(7);
  CHECK_RESULT(cuframes_subscriber_create("s", &request, &none), CUFRAMES_ERR_INVALID);
  assert_null(none);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void a_second_release_is_ignored_and_counted(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *first = frame_take(subscriber);
  pictures_publish(publisher, 2, 1);
  cuframes_frame *second = frame_take(subscriber);
  cuframes_frame_release(first);
  cuframes_frame_release(first);
  assert_int_equal(subscriber_stats(subscriber).released_twice, 1);
  assert_int_equal(subscriber_stats(subscriber).leases_held, 1);
  assert_int_equal(picture_number(second), 2); /* nobody gave that one back */
  cuframes_frame_release(second);
  cuframes_frame_release_on(second, NULL);
  assert_int_equal(subscriber_stats(subscriber).released_twice, 2);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_frame_outlives_its_publisher(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *held = frame_take(subscriber), *none = NULL;
  cuframes_publisher_destroy(publisher);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_PUBLISHER_GONE);
  publisher = publisher_new("s"); /* another one; this frame is none of its business */
  pictures_publish(publisher, 100, 50);
  assert_int_equal(picture_number(held), 1);
  assert_int_equal(cuframes_frame_seq(held), 1);
  cuframes_frame_release(held);
  cuframes_frame_release(held);
  assert_int_equal(subscriber_stats(subscriber).released_twice, 1);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void *release_it(void *frame) {
  CHECK(picture_number(frame) > 0);
  cuframes_frame_release(frame);
  return NULL;
}

static void any_thread_may_release(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, 4);
  for (uint64_t round = 0; round < 20; round++) {
    pthread_t threads[4];
    pictures_publish(publisher, round * 4 + 1, 4);
    for (int i = 0; i < 4; i++)
      assert_int_equal(pthread_create(&threads[i], NULL, release_it, frame_take(subscriber)), 0);
    for (int i = 0; i < 4; i++)
      assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  assert_int_equal(subscriber_stats(subscriber).leases_held, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_frame_outlives_its_subscriber(void **state) {
  (void)state;
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    cuframes_publisher *publisher = publisher_new("s");
    cuframes_subscriber *subscriber = join(mode, 2);
    pictures_publish(publisher, 1, 2);
    cuframes_frame *held = frame_take(subscriber);
    uint64_t number = picture_number(held);
    cuframes_subscriber_destroy(subscriber);
    int64_t start = cuframes_now();
    pictures_publish(publisher, 3, 500); /* an ordered one that left keeps nobody waiting */
    SOON(cuframes_now() - start, 900);
    assert_int_equal(publisher_stats(publisher).evictions, 0);
    assert_true(picture_is(held, number));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_it, held), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    WAIT_FOR(publisher_stats(publisher).subscribers == 0);
    cuframes_publisher_destroy(publisher);
  }
}

static void a_frame_outlives_both(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 9, 1);
  cuframes_frame *held = frame_take(subscriber);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(picture_number(held), 9);
  cuframes_frame_release(held);
}

#define HELD 8

static void hold_and_look(int test, void *mode) {
  cuframes_subscriber_options options = subscriber_options(*(uint32_t *)mode);
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *held[HELD];
  uint64_t numbers[HELD];
  options.leases = HELD;
  options.connect_timeout_ns = patience();
  subscriber = subscriber_join("s", &options);
  for (int k = 0; k < HELD; k++) {
    say(test, 0); /* one more, please */
    (void)hear(test);
    held[k] = frame_take(subscriber);
    numbers[k] = picture_number(held[k]);
  }
  if (options.mode == CUFRAMES_MODE_ORDERED) /* what it holds counts; it wants no more */
    cuframes_subscriber_destroy(subscriber);
  say(test, 0);
  while (hear(test))
    for (int k = 0; k < HELD; k++)
      CHECK(picture_is(held[k], numbers[k]));
  for (int k = 0; k < HELD; k++) {
    CHECK(picture_is(held[k], numbers[k]));
    cuframes_frame_release(held[k]);
  }
  if (options.mode == CUFRAMES_MODE_NEWEST)
    cuframes_subscriber_destroy(subscriber);
}

static void held_frames_never_change(void **state) {
  (void)state;
  uint32_t modes[] = { CUFRAMES_MODE_NEWEST, CUFRAMES_MODE_NEWEST, CUFRAMES_MODE_ORDERED };
  child *holders[3];
  for (int i = 0; i < 3; i++)
    holders[i] = child_start(hold_and_look, &modes[i]);
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t number = 1;
  for (int k = 0; k < HELD; k++) {
    for (int i = 0; i < 3; i++)
      (void)hear(holders[i]->fd);
    pictures_publish(publisher, number++, 1);
    for (int i = 0; i < 3; i++)
      say(holders[i]->fd, 1);
  }
  for (int i = 0; i < 3; i++)
    (void)hear(holders[i]->fd);
  for (int round = 0; round < 20; round++, number += 250) {
    pictures_publish(publisher, number, 250);
    for (int i = 0; i < 3; i++)
      say(holders[i]->fd, 1);
  }
  for (int i = 0; i < 3; i++)
    say(holders[i]->fd, 0);
  for (int i = 0; i < 3; i++)
    child_finish(holders[i]);
  cuframes_publisher_destroy(publisher);
}

static void info_shows_who_holds_what(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  cuframes_subscriber *subscriber = NULL;
  cuframes_stream_info *info = NULL;
  options.leases = 3;
  options.depth = 7;
  options.label = "a label that is much longer than the sixty-three bytes which fit, so it is cut";
  subscriber = subscriber_join("s", &options);
  pictures_publish(publisher, 1, 5);
  cuframes_frame *held[2] = { frame_take(subscriber), frame_take(subscriber) };
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_string_equal(info->name, "s");
  assert_int_equal(info->frames, 5);
  assert_int_equal(info->slots_pinned, 2);
  CHECK_BETWEEN(info->age_ns, 0, patience());
  assert_int_equal(info->memory_bytes, publisher_stats(publisher).memory_bytes);
  assert_int_equal(info->subscriber_count, 1);
  const cuframes_subscriber_info *s = info->subscribers[0];
  assert_int_equal(strlen(s->label), CUFRAMES_LABEL_MAX);
  assert_memory_equal(s->label, options.label, CUFRAMES_LABEL_MAX);
  assert_int_equal(s->mode, CUFRAMES_MODE_ORDERED);
  assert_int_equal(s->leases, 3);
  assert_int_equal(s->depth, 7);
  assert_int_equal(s->leases_held, 2);
  assert_int_not_equal(s->held_slots[0], s->held_slots[1]);
  assert_int_equal(s->lag, 3);
  assert_int_equal(s->delivered, 2);
  assert_int_equal(s->skipped, 0);
  assert_int_equal(s->evicted, 0);
  assert_string_equal(s->sync_mode, "complete");
  cuframes_stream_info_free(info);
  cuframes_frame_release(held[0]);
  cuframes_frame_release(held[1]);
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_int_equal(info->subscribers[0]->leases_held, 0);
  assert_int_equal(info->slots_pinned, 0);
  cuframes_stream_info_free(info);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(no_more_frames_than_granted),
    FIXTURE(more_leases_than_may_be_are_refused),
    FIXTURE(a_second_release_is_ignored_and_counted),
    FIXTURE(a_frame_outlives_its_publisher),
    FIXTURE(any_thread_may_release),
    FIXTURE(a_frame_outlives_its_subscriber),
    FIXTURE(a_frame_outlives_both),
    FIXTURE(held_frames_never_change),
    FIXTURE(info_shows_who_holds_what),
  };
  return FIXTURE_RUN("leases", tests);
}
