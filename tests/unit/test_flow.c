/* test_flow.c - until when the next picture should have come: cameras of many kinds, with times that the test makes
 * up. */
#include "support/fixture.h"

#include "../../tools/cuframes/publish/flow.c"

#define START (SECOND * 5000)

/* A source that is never late by its own pictures: fails at a picture that comes after the deadline. */
static void take(flow *f, int64_t now, int64_t pts, int64_t duration) {
  assert_true(!f->has_picture || now < flow_deadline(f));
  flow_picture(f, now, pts, duration);
}

static int64_t waits_for(const flow *f) {
  return flow_deadline(f) - f->came;
}

static void a_camera_is_late_after_a_second(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  assert_int_equal(waits_for(&f), FLOW_UNKNOWN_NS);
  for (int i = 0; i < 1000; i++)
    take(&f, START + i * 40 * MS, i * 40 * MS, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), SECOND, SECOND + 20 * MS);
}

static void few_pictures_a_minute_are_waited_for(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int i = 0; i < 20; i++)
    take(&f, START + i * 10 * SECOND, i * 10 * SECOND, i < 1 ? 10 * SECOND : 0);
  CHECK_BETWEEN(waits_for(&f), 50 * SECOND, 51 * SECOND);
  flow_begin(&f, START + 1000 * SECOND); /* it was away: how far its pictures are apart is known */
  CHECK_BETWEEN(waits_for(&f), 50 * SECOND, 51 * SECOND);
}

static void times_count_more_than_the_duration_that_a_header_says(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int i = 0; i < 60; i++)
    take(&f, START + i * SECOND, i * SECOND, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), 5 * SECOND - SECOND / 10, 5 * SECOND + SECOND / 10);
}

static void a_gap_is_forgotten_soon(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int i = 0; i < 10; i++)
    take(&f, START + i * 40 * MS, i * 40 * MS, 40 * MS);
  flow_picture(&f, START + 3 * SECOND, 3 * SECOND, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), 10 * SECOND, 15 * SECOND);
  for (int i = 1; i < 50; i++)
    take(&f, START + 3 * SECOND + i * 40 * MS, 3 * SECOND + i * 40 * MS, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), SECOND, SECOND + 20 * MS);
}

static void without_times_arrival_counts(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int i = 0; i < 100; i++)
    take(&f, START + i * 500 * MS, CUFRAMES_NO_TIME, 0);
  CHECK_BETWEEN(waits_for(&f), 2400 * MS, 2600 * MS);
}

static void what_came_ahead_is_used_up_first(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int piece = 0; piece < 20; piece++) /* six seconds of pictures at once, as HLS has them */
    for (int i = 0; i < 150; i++)
      take(&f, START + piece * 6 * SECOND + i * MS, (piece * 150 + i) * 40 * MS, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), 6 * SECOND, 8 * SECOND);
}

static void a_burst_at_the_beginning_is_forgotten(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int i = 0; i < 50; i++)
    take(&f, START + i * MS, i * 40 * MS, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), 2 * SECOND, 3 * SECOND + SECOND / 2);
  for (int i = 50; i < 2000; i++)
    take(&f, START + (i - 49) * 40 * MS, i * 40 * MS, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), SECOND, SECOND + 20 * MS);
}

static void jumps_of_times_do_not_count(void **state) {
  (void)state;
  static const int64_t jumps[] = { 36000 * SECOND, -36000 * SECOND, INT64_MAX / 2, -INT64_MAX / 2 };
  for (size_t k = 0; k < sizeof jumps / sizeof jumps[0]; k++) {
    flow f = { 0 };
    int64_t moved = 0;
    flow_begin(&f, START);
    for (int i = 0; i < 1000; i++) {
      moved = i == 500 ? jumps[k] : moved;
      take(&f, START + i * 40 * MS, moved + i * 40 * MS, 40 * MS);
    }
    CHECK_BETWEEN(waits_for(&f), SECOND, SECOND + 20 * MS);
  }
  flow f = { 0 }; /* from one end of all times to the other */
  flow_begin(&f, START);
  flow_picture(&f, START, INT64_MIN + 1, 40 * MS);
  flow_picture(&f, START + 40 * MS, INT64_MAX, INT64_MAX);
  flow_picture(&f, START + 80 * MS, INT64_MIN + 1, -1);
  CHECK_BETWEEN(waits_for(&f), SECOND, SECOND + 20 * MS);
}

static void nobody_gets_ahead_for_ever(void **state) {
  (void)state;
  flow f = { 0 };
  flow_begin(&f, START);
  for (int i = 0; i < 100000; i++) /* a file as fast as it goes */
    take(&f, START + i * MS, i * 40 * MS, 40 * MS);
  CHECK_BETWEEN(waits_for(&f), 30 * SECOND, 32 * SECOND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_camera_is_late_after_a_second),
    cmocka_unit_test(few_pictures_a_minute_are_waited_for),
    cmocka_unit_test(times_count_more_than_the_duration_that_a_header_says),
    cmocka_unit_test(a_gap_is_forgotten_soon),
    cmocka_unit_test(without_times_arrival_counts),
    cmocka_unit_test(what_came_ahead_is_used_up_first),
    cmocka_unit_test(a_burst_at_the_beginning_is_forgotten),
    cmocka_unit_test(jumps_of_times_do_not_count),
    cmocka_unit_test(nobody_gets_ahead_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
