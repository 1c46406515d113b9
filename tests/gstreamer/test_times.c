/* test_times.c - a source's even times, laid beside the moments when its frames were published. */
#include <gst/gst.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cuframes/cuframes.h>

#include "times.h"

#define FRAME (40 * (gint64)GST_MSECOND)
#define SLACK (20 * (gint64)GST_MSECOND)

/* Published unevenly, by up to the slack: the spacing is the source's. */
static void even_times_stay_even(void **state) {
  cf_gst_times times = { .last = -1 };
  GRand *random = g_rand_new_with_seed(1);
  gint64 before = -1;
  (void)state;
  for (gint64 i = 0; i < 1000; i++) {
    const gint64 late = i == 0 ? 0 : g_rand_int_range(random, 0, (gint32)SLACK);
    const gint64 at = (gint64)cf_gst_times_of(&times, i * FRAME + late, 77 * FRAME + i * FRAME, SLACK);
    if (before >= 0)
      assert_int_equal(at - before, FRAME);
    before = at;
  }
  g_rand_free(random);
}

/* Whatever the two clocks do: never behind the moment of publishing, at most the slack before it, and never back. */
static void limits_hold(void **state) {
  GRand *random = g_rand_new_with_seed(2);
  (void)state;
  for (gint clock = -1; clock <= 1; clock++) { /* the source's runs slower, as fast, faster */
    cf_gst_times times = { .last = -1 };
    gint64 published = 0, pts = -5 * FRAME, before = -1;
    for (gint i = 0; i < 20000; i++) {
      const gint64 step = FRAME + g_rand_int_range(random, -30000000, 30000000);
      published += step;
      pts += FRAME + clock * FRAME / 100;
      const gint64 at = (gint64)cf_gst_times_of(&times, published, pts, SLACK);
      assert_true(at > before);
      assert_true(at >= published - SLACK);
      assert_true(at <= published || at == before + 1);
      before = at;
    }
  }
  g_rand_free(random);
}

static void a_film_as_fast_as_it_goes_is_not_slowed(void **state) {
  cf_gst_times times = { .last = -1 };
  (void)state;
  for (gint64 i = 0; i < 100; i++)
    assert_int_equal(cf_gst_times_of(&times, i * 1000, i * FRAME, SLACK), i * 1000);
}

static void without_a_pts_it_is_the_moment(void **state) {
  cf_gst_times times = { .last = -1 };
  (void)state;
  assert_int_equal(cf_gst_times_of(&times, 5 * FRAME, CUFRAMES_NO_TIME, SLACK), 5 * FRAME);
  assert_int_equal(cf_gst_times_of(&times, 6 * FRAME, CUFRAMES_NO_TIME, SLACK), 6 * FRAME);
}

static void a_jump_begins_anew(void **state) {
  cf_gst_times times = { .last = -1 };
  (void)state;
  assert_int_equal(cf_gst_times_of(&times, FRAME, 1000 * FRAME, SLACK), FRAME);
  cf_gst_times_begin(&times);
  assert_int_equal(cf_gst_times_of(&times, 2 * FRAME, 0, SLACK), 2 * FRAME);
  assert_int_equal(cf_gst_times_of(&times, 3 * FRAME + 5, FRAME, SLACK), 3 * FRAME);
}

/* The newest frame of a camera that stands still was published before the pipeline began. */
static void nothing_lies_before_the_beginning(void **state) {
  cf_gst_times times = { .last = -1 };
  (void)state;
  assert_int_equal(cf_gst_times_of(&times, -7 * FRAME, 0, SLACK), 0);
  assert_int_equal(cf_gst_times_of(&times, -6 * FRAME, FRAME, SLACK), 1);
}

/* A publisher may say any. */
static void any_pts_is_survived(void **state) {
  static const gint64 odd[] = { G_MAXINT64, G_MININT64 + 1, 0, -1, G_MININT64, G_MAXINT64 - 1 };
  cf_gst_times times = { .last = -1 };
  (void)state;
  for (gint64 i = 0; i < 100; i++) {
    const gint64 at = (gint64)cf_gst_times_of(&times, i * FRAME, odd[i * 7 % G_N_ELEMENTS(odd)], SLACK);
    assert_true(at >= i * FRAME - SLACK && at <= i * FRAME);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(even_times_stay_even),
    cmocka_unit_test(limits_hold),
    cmocka_unit_test(a_film_as_fast_as_it_goes_is_not_slowed),
    cmocka_unit_test(without_a_pts_it_is_the_moment),
    cmocka_unit_test(a_jump_begins_anew),
    cmocka_unit_test(nothing_lies_before_the_beginning),
    cmocka_unit_test(any_pts_is_survived),
  };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
