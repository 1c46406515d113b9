/* test_pattern.c - the stamped picture: as its formula says, whole when drawn, torn when a single byte differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../tools/cuframes/pattern/pattern.c"
#include "../../tools/cuframes/pattern/pattern_sample.h"

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
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_RGBP; f++) {
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
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_RGBP; f++) {
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

/* The formula in pattern.h, worked out sample by sample. What a component of each format is, by its place: R G B A,
 * Y U V, as in plane 0 or in one of chroma. */
static const struct {
  const char *planes[3];
  uint32_t shift_x; /* of chroma */
  uint32_t bytes;
} known[] = {
  [CUFRAMES_PIXEL_NV12] = { { "Y", "UV" }, 1, 1 },
  [CUFRAMES_PIXEL_P010] = { { "Y", "UV" }, 1, 2 },
  [CUFRAMES_PIXEL_YUV420P] = { { "Y", "U", "V" }, 1, 1 },
  [CUFRAMES_PIXEL_YUV422P] = { { "Y", "U", "V" }, 1, 1 },
  [CUFRAMES_PIXEL_YUV444P] = { { "Y", "U", "V" }, 0, 1 },
  [CUFRAMES_PIXEL_GRAY8] = { { "Y" }, 0, 1 },
  [CUFRAMES_PIXEL_RGB24] = { { "RGB" }, 0, 1 },
  [CUFRAMES_PIXEL_RGBA] = { { "RGBA" }, 0, 1 },
  [CUFRAMES_PIXEL_BGRA] = { { "BGRA" }, 0, 1 },
  [CUFRAMES_PIXEL_BGR24] = { { "BGR" }, 0, 1 },
  [CUFRAMES_PIXEL_YUYV422] = { { "YUyV" }, 1, 1 },
  [CUFRAMES_PIXEL_UYVY422] = { { "UYVy" }, 1, 1 },
  [CUFRAMES_PIXEL_GRAY16] = { { "Y" }, 0, 2 },
  [CUFRAMES_PIXEL_YUV420P10] = { { "Y", "U", "V" }, 1, 2 },
  [CUFRAMES_PIXEL_YUV422P10] = { { "Y", "U", "V" }, 1, 2 },
  [CUFRAMES_PIXEL_RGBP] = { { "R", "G", "B" }, 0, 1 },
};

static uint32_t formula(char component, uint32_t shift_x, uint32_t x, uint32_t y, uint64_t n) {
  uint64_t bright = x + y + 3 * n, color = ((uint64_t)x - y - 5 * n) << shift_x, at;
  switch (component) {
    case 'A': return 255;
    case 'R': at = bright; break;
    case 'G': at = bright + 171; break;
    case 'B': at = bright + 341; break;
    case 'U': at = color; break;
    case 'V': at = color + 128; break;
    default: at = bright; break;
  }
  uint64_t value = at % 512 < 256 ? at % 512 : 511 - at % 512;
  return (uint32_t)(strchr("RGB", component) ? value : 16 + (value * 55 >> 6));
}

static void test_formula(void **state) {
  (void)state;
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_RGBP; f++) {
    picture_kind p = make(f, 35, 700); /* too narrow for a stamp */
    uint32_t bytes = known[f].bytes;
    pattern_draw(p.plane, p.pitch, &p.format, 98765);
    for (int i = 0; i < p.planes; i++) {
      const char *components = known[f].planes[i];
      uint32_t count = (uint32_t)strlen(components);
      bool packed = strchr(components, 'y') != NULL;
      for (uint32_t y = 0; y < p.rows[i]; y++) {
        for (uint32_t k = 0; k < p.row_bytes[i] / bytes; k++) {
          const uint8_t *at = p.plane[i] + (size_t)y * p.pitch[i] + (size_t)k * bytes;
          char c = components[k % count];
          uint32_t x = k / count;
          if (packed && (c == 'Y' || c == 'y'))
            x = 2 * x + (c == 'y'); /* luma counts pixels */
          uint32_t want = formula(c, known[f].shift_x, x, y, 98765);
          uint32_t got = bytes == 2 ? at[0] | (uint32_t)at[1] << 8 : *at;
          uint32_t wide = want * 257;
          wide = f == CUFRAMES_PIXEL_P010 ? wide & 0xffc0 : f == CUFRAMES_PIXEL_GRAY16 ? wide : wide >> 6;
          assert_int_equal(got, bytes == 2 ? wide : want);
        }
      }
    }
    drop(&p);
  }
}

/* What a GPU computes sample by sample (pattern_sample.h) is the same picture. */
static void test_samples(void **state) {
  (void)state;
  for (uint32_t f = CUFRAMES_PIXEL_NV12; f <= CUFRAMES_PIXEL_RGBP; f++) {
    for (size_t s = 0; s < COUNT(sizes) - 1; s++) {
      picture_kind p = make(f, sizes[s][0], sizes[s][1]), q = make(f, sizes[s][0], sizes[s][1]);
      pattern_draw(p.plane, p.pitch, &p.format, numbers[s]);
      assert_int_equal(pattern_plane_count(f), p.planes);
      for (uint32_t i = 0; i < (uint32_t)p.planes; i++) {
        uint32_t bytes = pattern_sample_bytes(f, i);
        assert_int_equal(p.row_bytes[i] % bytes, 0);
        for (uint32_t y = 0; y < q.rows[i]; y++)
          for (uint32_t x = 0; x < q.row_bytes[i] / bytes; x++)
            pattern_sample(q.plane[i] + (size_t)y * q.pitch[i] + x * bytes, f, i, sizes[s][0], sizes[s][1], numbers[s],
                           x, y);
        assert_memory_equal(p.plane[i], q.plane[i], (size_t)p.pitch[i] * p.rows[i]);
      }
      drop(&p);
      drop(&q);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_whole),        cmocka_unit_test(test_one_bit_torn),   cmocka_unit_test(test_two_pictures),
    cmocka_unit_test(test_bad_checksum), cmocka_unit_test(test_other_pictures), cmocka_unit_test(test_formula),
    cmocka_unit_test(test_samples),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
