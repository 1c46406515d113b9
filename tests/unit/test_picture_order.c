/* test_picture_order.c - when pictures are shown that come with nothing but their order: in that order, evenly, and not
 * before they are decoded; also where they come late, or some are lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../tools/cuframes/media/picture_order.c"

#define MS INT64_C(1000000)
#define STEP (40 * MS)
#define PICTURES 200

/* A group of pictures, in the order of decoding: their places in that of showing. */
typedef struct group {
  int length, count[16];
} group;

static const group two = { 7, { 0, 3, 1, 2, 6, 4, 5 } };
static const group pyramid = { 9, { 0, 4, 2, 1, 3, 8, 6, 5, 7 } };
static const group none = { 5, { 0, 1, 2, 3, 4 } };
static const group leading = { 7, { 2, 0, 1, 5, 3, 4, 6 } }; /* MPEG-2's: two before the keyframe */

typedef struct film {
  int pictures, place[PICTURES]; /* in the order of showing */
  int64_t pts[PICTURES], dts[PICTURES];
} film;

/* Plays groups; a picture comes so much later than it should. lose: each so manieth never comes, but for keyframes. */
static void play(film *f, const group *g, int unit, int usual, int depth, const int64_t *late, int lose) {
  picture_order order;
  int64_t last = INT64_MIN;
  picture_order_init(&order);
  f->pictures = 0;
  for (int i = 0; i < 10 * g->length; i++) {
    const int in = i % g->length;
    if (lose > 0 && in > 0 && i % lose == lose - 1)
      continue;
    picture_order_place place = { .count = (int64_t)unit * g->count[in],
                                  .key = in == 0,
                                  .dts = i * STEP,
                                  .step = STEP,
                                  .usual = usual,
                                  .depth = depth };
    place.dts += late != NULL ? late[i % 5] : 0;
    place.dts = place.dts > last ? place.dts : last + LEAST;
    int64_t most;
    const int64_t pts = picture_order_pts(&order, &place, &most);
    const int64_t dts = place.dts <= most ? place.dts : most > last ? most : last + LEAST;
    f->place[f->pictures] = i / g->length * g->length + g->count[in];
    f->pts[f->pictures] = pts;
    f->dts[f->pictures++] = last = dts;
  }
}

static void assert_order(const film *f, int from) {
  for (int i = from; i < f->pictures; i++) {
    assert_true(f->pts[i] >= f->dts[i]);
    assert_true(i == 0 || f->dts[i] > f->dts[i - 1]);
    for (int k = from; k < i; k++)
      if ((f->place[i] > f->place[k]) != (f->pts[i] > f->pts[k]))
        fail_msg("pictures %d and %d are shown in the wrong order", f->place[k], f->place[i]);
  }
}

static void assert_even(const film *f, int from) {
  for (int i = from; i < f->pictures; i++)
    assert_int_equal(f->pts[i] - f->pts[from], (f->place[i] - f->place[from]) * STEP);
}

static void test_steady(void **state) {
  static const struct {
    const group *group;
    int depth;
  } films[] = { { &two, 1 }, { &two, 2 }, { &pyramid, 2 }, { &none, 0 }, { &none, 2 }, { &leading, 1 } };
  (void)state;
  for (size_t i = 0; i < sizeof films / sizeof *films; i++)
    for (int unit = 1; unit <= 2; unit++) {
      film f;
      play(&f, films[i].group, unit, unit, films[i].depth, NULL, 0);
      const int first = films[i].group == &leading ? films[i].group->length : 0; /* nothing tells where it begins */
      assert_order(&f, first);
      assert_even(&f, first);
    }
}

/* The count grows by something else: that is known with the second picture, or the second group. */
static void test_units(void **state) {
  (void)state;
  film f;
  play(&f, &pyramid, 1, 2, 2, NULL, 0);
  assert_order(&f, 0);
  play(&f, &pyramid, 4, 2, 2, NULL, 0);
  assert_order(&f, 0);
  assert_even(&f, 3 * pyramid.length);
}

/* The decoder will know the depth when it is too late for the first pictures. */
static void test_unknown_depth(void **state) {
  (void)state;
  film f;
  play(&f, &pyramid, 2, 2, 1, NULL, 0);
  assert_order(&f, 0);
  assert_even(&f, 2 * pyramid.length);
}

/* In fives, one by one too late, or all at once. */
static void test_late(void **state) {
  static const int64_t late[][5] = { { 0, 160 * MS, 120 * MS, 80 * MS, 40 * MS },
                                     { 0, 20 * MS, 500 * MS, 460 * MS, 0 },
                                     { 3, 300 * MS, 0, 15 * MS, 70 * MS } };
  (void)state;
  for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
    film f;
    play(&f, &two, 2, 2, 1, late[i], 0);
    assert_order(&f, 0);
    play(&f, &pyramid, 1, 1, 2, late[i], 0);
    assert_order(&f, 0);
  }
}

/* Those that are left keep their order, and their decoding times go on. */
static void test_lost(void **state) {
  (void)state;
  film f;
  play(&f, &two, 2, 2, 1, NULL, 5);
  assert_order(&f, 0);
  assert_true(f.dts[f.pictures - 1] > 60 * STEP);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_steady), cmocka_unit_test(test_units), cmocka_unit_test(test_unknown_depth),
    cmocka_unit_test(test_late),   cmocka_unit_test(test_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
