/* test_pattern.c - the stamped picture: as its formula says, whole when drawn, torn when a single byte differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../tools/cuframes/pattern.c"

#include <stdlib.h>

#define GUARD 13 /* bytes behind each row that nobody may write */

typedef struct picture_kind {
  cuframes_format format;
  uint8_t *plane[CUFRAMES_PLANES];
  uint32_t pitch[CUFRAMES_PLANES], row_bytes[CUFRAMES_PLANES], rows[CUFRAMES_PLANES];
  int planes;
} picture_kind;

static picture_kind make(uint32_t pixel_format, uint32_t width, uint32_t height) {
  picture_kind p = { .format = { .pixel_format = pixel_format, .width = width, .height = height } };
  p.planes = cuframes_pixel_format_planes(pixel_format);
  assert_true(p.planes > 0);
  for (int i = 0; i < p.planes; i++) {
    assert_int_equal(cuframes_format_plane_size(&p.format, i, &p.row_bytes[i], &p.rows[i]), CUFRAMES_OK);
    p.pitch[i] = p.row_bytes[i] + GUARD;
    p.plane[i] = malloc((size_t)p.pitch[i] * p.rows[i]);
    assert_non_null(p.plane[i]);
    memset(p.plane[i], 0xAB, (size_t)p.pitch[i] * p.rows[i]);
  }
  return p;
}

static void drop(picture_kind *p) {
  for (int i = 0; i < p->planes; i++)
    free(p->plane[i]);
}

static enum pattern_result check(const picture_kind *p, uint64_t *number) {
  return pattern_check((const uint8_t *const *)p->plane, p->pitch, &p->format, number);
}

static const uint32_t sizes[][2] = { { 36, 24 }, { 37, 25 },   { 35, 24 },  { 36, 23 },
                                     { 1, 1 },   { 321, 181 }, { 5001, 31 } };
static const uint64_t numbers[] = { 0, 1, 2, 511, 512, 123456789012, UINT64_MAX };
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_whole(void **state) {
  (void)state;
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_BGRA; f++) {
    for (size_t s = 0; s < COUNT(sizes); s++) {
      picture_kind p = make(f, sizes[s][0], sizes[s][1]);
      bool stamped = sizes[s][0] >= PATTERN_MIN_WIDTH && sizes[s][1] >= PATTERN_MIN_HEIGHT;
      for (size_t n = 0; n < COUNT(numbers); n++) {
        uint64_t number = 77;
        pattern_draw(p.plane, p.pitch, &p.format, numbers[n]);
        assert_int_equal(check(&p, &number), stamped ? PATTERN_WHOLE : PATTERN_NOT);
        assert_int_equal(number, stamped ? numbers[n] : 77);
      }
      for (int i = 0; i < p.planes; i++)
        for (uint32_t y = 0; y < p.rows[i]; y++)
          for (uint32_t x = 0; x < GUARD; x++)
            assert_int_equal(p.plane[i][(size_t)y * p.pitch[i] + p.row_bytes[i] + x], 0xAB);
      drop(&p);
    }
  }
}

/* Every byte of a small picture, in every format, and every bit of it. */
static void test_one_bit_torn(void **state) {
  (void)state;
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_BGRA; f++) {
    picture_kind p = make(f, 41, 27);
    pattern_draw(p.plane, p.pitch, &p.format, 4711);
    for (int i = 0; i < p.planes; i++) {
      for (uint32_t at = 0; at < p.row_bytes[i] * p.rows[i]; at++) {
        uint8_t *byte = &p.plane[i][(size_t)(at / p.row_bytes[i]) * p.pitch[i] + at % p.row_bytes[i]];
        for (int bit = 0; bit < 8; bit++) {
          *byte ^= (uint8_t)(1u << bit);
          assert_int_not_equal(check(&p, NULL), PATTERN_WHOLE);
          *byte ^= (uint8_t)(1u << bit);
        }
      }
    }
    assert_int_equal(check(&p, NULL), PATTERN_WHOLE);
    drop(&p);
  }
}

/* The case it is made for: the upper part of one picture, the lower part of another, torn anywhere. */
static void test_two_pictures(void **state) {
  (void)state;
  picture_kind p = make(CUFRAMES_PIXEL_NV12, 160, 90), q = make(CUFRAMES_PIXEL_NV12, 160, 90);
  for (uint64_t apart = 1; apart <= 64; apart++) {
    for (uint32_t row = 20; row < 90; row += 23) {
      pattern_draw(p.plane, p.pitch, &p.format, 1000 + apart);
      pattern_draw(q.plane, q.pitch, &q.format, 1000);
      memcpy(p.plane[0] + (size_t)row * p.pitch[0], q.plane[0] + (size_t)row * q.pitch[0],
             (size_t)(90 - row) * p.pitch[0]);
      assert_int_equal(check(&p, NULL), PATTERN_TORN);
      pattern_draw(p.plane, p.pitch, &p.format, 1000 + apart);
      memcpy(p.plane[1], q.plane[1], (size_t)p.pitch[1] * p.rows[1]);
      assert_int_equal(check(&p, NULL), PATTERN_TORN);
    }
  }
  drop(&p);
  drop(&q);
}

static void test_bad_checksum(void **state) {
  (void)state;
  picture_kind p = make(CUFRAMES_PIXEL_GRAY8, 36, 24);
  uint64_t number = 0;
  pattern_draw(p.plane, p.pitch, &p.format, 5);
  uint8_t *sample = &p.plane[0][(size_t)(2 + 5 * 2 + 1) * p.pitch[0] + 2 + 15 * 2 + 1]; /* the number's last bit */
  assert_int_equal(*sample, 235);
  *sample = 16;
  assert_int_equal(check(&p, &number), PATTERN_TORN);
  assert_int_equal(number, 4);
  drop(&p);
}

static void test_other_pictures(void **state) {
  (void)state;
  picture_kind p = make(CUFRAMES_PIXEL_RGBA, 640, 480);
  uint32_t random = 1;
  assert_int_equal(check(&p, NULL), PATTERN_NOT);
  for (int value = 0; value < 256; value += 255) {
    memset(p.plane[0], value, (size_t)p.pitch[0] * p.rows[0]);
    assert_int_equal(check(&p, NULL), PATTERN_NOT);
  }
  for (size_t i = 0; i < (size_t)p.pitch[0] * p.rows[0]; i++) {
    random = random * 1664525 + 1013904223;
    p.plane[0][i] = random >> 31 ? 255 : 0;
  }
  assert_int_equal(check(&p, NULL), PATTERN_NOT);
  drop(&p);
}

/* The formula in pattern.h, worked out sample by sample. */
static uint32_t formula(uint32_t f, int plane, int component, uint32_t x, uint32_t y, uint64_t n) {
  static const int rgb[] = { 0, 171, 341 }, bgr[] = { 341, 171, 0 };
  bool is_rgb = f >= CUFRAMES_PIXEL_RGB24;
  bool half = f == CUFRAMES_PIXEL_NV12 || f == CUFRAMES_PIXEL_P010 || f == CUFRAMES_PIXEL_YUV420P ||
              f == CUFRAMES_PIXEL_YUV422P;
  if (component == 3)
    return 255;
  int offset = is_rgb ? (f == CUFRAMES_PIXEL_BGRA ? bgr : rgb)[component] : plane == 2 || component == 1 ? 128 : 0;
  uint64_t at = plane == 0 ? x + y + 3 * n : (half ? 2 : 1) * ((uint64_t)x - y - 5 * n);
  at = (at + (uint64_t)offset) % 512;
  uint64_t value = at < 256 ? at : 511 - at;
  return (uint32_t)(is_rgb ? value : 16 + (value * 55 >> 6));
}

static void test_formula(void **state) {
  (void)state;
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_BGRA; f++) {
    picture_kind p = make(f, 35, 700); /* too narrow for a stamp */
    uint32_t bytes = f == CUFRAMES_PIXEL_P010 ? 2 : 1;
    pattern_draw(p.plane, p.pitch, &p.format, 98765);
    for (int i = 0; i < p.planes; i++) {
      uint32_t components = f <= CUFRAMES_PIXEL_P010 ? (i ? 2 : 1) : f == CUFRAMES_PIXEL_RGB24 ? 3 : f > 7 ? 4 : 1;
      for (uint32_t y = 0; y < p.rows[i]; y++) {
        for (uint32_t k = 0; k < p.row_bytes[i] / bytes; k++) {
          const uint8_t *at = p.plane[i] + (size_t)y * p.pitch[i] + (size_t)k * bytes;
          uint32_t want = formula(f, i, (int)(k % components), k / components, y, 98765);
          uint32_t got = bytes == 2 ? at[0] | (uint32_t)at[1] << 8 : *at;
          assert_int_equal(got, bytes == 2 ? want * 257 & 0xffc0 : want);
        }
      }
    }
    drop(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_whole),        cmocka_unit_test(test_one_bit_torn),   cmocka_unit_test(test_two_pictures),
    cmocka_unit_test(test_bad_checksum), cmocka_unit_test(test_other_pictures), cmocka_unit_test(test_formula),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
