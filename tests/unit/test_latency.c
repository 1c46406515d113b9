/* test_latency.c - the bucket that a time belongs to, found by its digits, against a search from the first one on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "exchange/latency.h"

static uint32_t searched(int64_t ns) {
  uint32_t bucket = 0;
  while (ns > cf_latency_bounds[bucket])
    bucket++;
  return bucket;
}

static void each_time_is_in_the_bucket_that_holds_it(void **state) {
  (void)state;
  for (uint32_t i = 0; i < CF_LATENCY_BOUNDS; i++)
    for (int64_t off = -2; off <= 2; off++) {
      const int64_t ns = cf_latency_bounds[i] == INT64_MAX ? INT64_MAX - 2 + off / 2 : cf_latency_bounds[i] + off;
      assert_int_equal(cf_latency_bucket(ns), searched(ns));
    }
  for (int bit = 0; bit < 63; bit++)
    for (int64_t off = -1; off <= 1; off++)
      assert_int_equal(cf_latency_bucket((INT64_C(1) << bit) + off), searched((INT64_C(1) << bit) + off));
}

static void no_time_is_too_strange(void **state) {
  (void)state;
  assert_int_equal(cf_latency_bucket(0), 0);
  assert_int_equal(cf_latency_bucket(-1), 0);
  assert_int_equal(cf_latency_bucket(INT64_MIN), 0);
  assert_int_equal(cf_latency_bucket(INT64_MAX), CF_LATENCY_BOUNDS - 1);
}

static void a_frame_counts_once(void **state) {
  (void)state;
  static cf_seat seat;
  cf_seat_note_latency(&seat, 100000, 1);
  cf_seat_note_latency(&seat, 100001, 1);
  cf_seat_note_latency(&seat, -7, 1);
  assert_int_equal(seat.latency_sum, 200001);
  for (uint32_t i = 0; i < CF_SEAT_COUNTERS; i++)
    assert_int_equal(seat.counters[i], i < 3);
}

static void one_counts_for_those_before_it(void **state) {
  (void)state;
  static cf_seat seat;
  cf_seat_note_latency(&seat, 2000000, 7);
  cf_seat_note_latency(&seat, -7, 7);
  assert_int_equal(seat.latency_sum, 14000000);
  for (uint32_t i = 0; i < CF_SEAT_COUNTERS; i++)
    assert_int_equal(seat.counters[i], i == cf_latency_bucket(2000000) || i == 0 ? 7 : 0);
}

#define HOUR (INT64_C(3600) * 1000000000)

/* Of 25 frames per second, each 2 ms on its way, however long the stream has been there. */
static void the_sum_of_a_long_day_stays(void **state) {
  (void)state;
  uint64_t before = 0;
  for (uint64_t hours = 1; hours < 100000; hours++) {
    const uint64_t frames = hours * 3600 * 25, sum = frames * 2000000;
    assert_int_equal(cf_latency_sum_within(sum, frames, hours * HOUR), sum);
    assert_true(sum > before);
    before = sum;
  }
}

static void a_sum_is_believed_within_what_can_be(void **state) {
  (void)state;
  assert_int_equal(cf_latency_sum_within(UINT64_MAX, 0, HOUR), 0);
  assert_int_equal(cf_latency_sum_within(UINT64_MAX, 3, HOUR), 3 * HOUR);
  assert_int_equal(cf_latency_sum_add(1, 2), 3);
  assert_true(cf_latency_sum_add(UINT64_MAX - 1, 3) == UINT64_MAX); /* and does not go round */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_time_is_in_the_bucket_that_holds_it),
    cmocka_unit_test(no_time_is_too_strange),
    cmocka_unit_test(a_frame_counts_once),
    cmocka_unit_test(one_counts_for_those_before_it),
    cmocka_unit_test(the_sum_of_a_long_day_stays),
    cmocka_unit_test(a_sum_is_believed_within_what_can_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
