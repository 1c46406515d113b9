/* test_rates.c - what the packets of a track amount to, with times that the test makes up. */
#include "publisher/rates.h"
#include "support/fixture.h"

#define START (CF_SECOND * 1000 + 123456)

static void count(cf_track_rate *rate, int64_t now, size_t size, int64_t time, bool key) {
  cf_rate_count(rate, &(cf_rated_packet){ .size = size, .now = now, .time = time, .is_video_key = key });
}

/* 25 packets of 1000 bytes a second. */
static int64_t steady(cf_track_rate *rate, int64_t from, int packets) {
  for (int i = 0; i < packets; i++, from += CF_SECOND / 25)
    count(rate, from, 1000, CUFRAMES_NO_TIME, false);
  return from;
}

static void the_bit_rate_is_that_of_the_last_seconds(void **state) {
  (void)state;
  cf_track_rate rate = { 0 };
  assert_int_equal(cf_rate_bits(&rate, START), 0);
  int64_t now = steady(&rate, START, 25);
  assert_int_equal(cf_rate_bits(&rate, now - CF_SECOND / 2), 0); /* not yet known */
  CHECK_BETWEEN(cf_rate_bits(&rate, now), 190000, 210000);
  now = steady(&rate, now, 2500);
  CHECK_BETWEEN(cf_rate_bits(&rate, now), 190000, 215000);
  for (int i = 0; i < 500; i++, now += CF_SECOND / 50)
    count(&rate, now, 10000, CUFRAMES_NO_TIME, false);
  CHECK_BETWEEN(cf_rate_bits(&rate, now), 3800000, 4300000);
  assert_int_equal(cf_counter_get(&rate.packets), 25 + 2500 + 500);
  assert_true(cf_counter_get(&rate.newest) == (uint64_t)(now - CF_SECOND / 50));
}

static void nothing_is_left_of_what_came_long_ago(void **state) {
  (void)state;
  cf_track_rate rate = { 0 };
  int64_t now = steady(&rate, START, 250);
  uint64_t full = cf_rate_bits(&rate, now);
  CHECK_BETWEEN(cf_rate_bits(&rate, now + 2 * CF_SECOND), full / 4, full * 3 / 4);
  assert_int_equal(cf_rate_bits(&rate, now + 5 * CF_SECOND), 0);
  /* the number of a half second that comes round again */
  assert_int_equal(cf_rate_bits(&rate, now + (INT64_C(1) << 24) * CF_RATE_STEP), 0);
  now += 100 * CF_SECOND;
  count(&rate, now, 1000, CUFRAMES_NO_TIME, false);
  CHECK_BETWEEN(cf_rate_bits(&rate, now), 8000 / 4, 8000 / 3);
}

static void bytes_beyond_all_measure_do_not_become_another_time(void **state) {
  (void)state;
  cf_track_rate rate = { 0 };
  for (int i = 0; i < 20; i++)
    count(&rate, START, (size_t)1 << 39, CUFRAMES_NO_TIME, false);
  assert_true(cf_rate_bits(&rate, START + 2 * CF_SECOND) > UINT64_C(1) << 40);
}

static void expect_intervals(const cf_track_rate *rate, uint64_t ns, uint64_t frames, uint64_t longest_ns,
                             uint64_t longest_frames) {
  assert_true(cf_counter_get(&rate->last_ns) == ns && cf_counter_get(&rate->last_frames) == frames);
  assert_true(cf_counter_get(&rate->longest_ns) == longest_ns);
  assert_true(cf_counter_get(&rate->longest_frames) == longest_frames);
}

static void intervals_of_keyframes_are_by_the_times_of_the_source(void **state) {
  (void)state;
  cf_track_rate rate = { 0 };
  int64_t time = 5000;
  for (int i = 0; i < 101; i++, time += 40)
    count(&rate, START + i, 10, time, i % 50 == 0);
  expect_intervals(&rate, 2000, 50, 2000, 50);
  for (int i = 0; i < 10; i++, time += 40)
    count(&rate, START, 10, time, false);
  count(&rate, START, 10, time, true);
  expect_intervals(&rate, 440, 11, 2000, 50);
  for (unsigned i = 0; i < CF_RATE_INTERVALS; i++) /* until the long ones are forgotten */
    count(&rate, START, 10, time += 40, true);
  expect_intervals(&rate, 40, 1, 40, 1);
}

static void without_times_keyframes_are_apart_as_they_came(void **state) {
  (void)state;
  cf_track_rate rate = { 0 };
  count(&rate, START, 10, CUFRAMES_NO_TIME, true);
  expect_intervals(&rate, 0, 0, 0, 0);
  count(&rate, START + 1000, 10, 77, true); /* one time says nothing */
  expect_intervals(&rate, 1000, 1, 1000, 1);
  count(&rate, START + 3000, 10, 577, true);
  expect_intervals(&rate, 500, 1, 1000, 1);
}

static void times_that_go_back_and_restarts_are_no_interval(void **state) {
  (void)state;
  cf_track_rate rate = { 0 };
  count(&rate, START, 10, 1000, true);
  count(&rate, START, 10, 900, true);
  count(&rate, START, 10, 900, true);
  expect_intervals(&rate, 0, 0, 0, 0);
  cf_rate_restart(&rate);
  count(&rate, START, 10, INT64_C(1) << 60, true);
  expect_intervals(&rate, 0, 0, 0, 0);
  count(&rate, START, 10, (INT64_C(1) << 60) + 5, true);
  expect_intervals(&rate, 5, 1, 5, 1);
  count(&rate, START, 10, INT64_MIN + 1, true);
  count(&rate, START, 10, INT64_MAX, true); /* more than fits a signed number */
  expect_intervals(&rate, UINT64_MAX - 1, 1, UINT64_MAX - 1, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_bit_rate_is_that_of_the_last_seconds),
    cmocka_unit_test(nothing_is_left_of_what_came_long_ago),
    cmocka_unit_test(bytes_beyond_all_measure_do_not_become_another_time),
    cmocka_unit_test(intervals_of_keyframes_are_by_the_times_of_the_source),
    cmocka_unit_test(without_times_keyframes_are_apart_as_they_came),
    cmocka_unit_test(times_that_go_back_and_restarts_are_no_interval),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
