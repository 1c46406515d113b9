/* test_compositor.c - the host's compositor beside the formulas in double: every format into RGB, luma and chroma of
 * 4:2:0, rectangles, opacity and alpha into every format; what is copied bit for bit, clipped, or drawn in parts.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "vision/reference.h"

/* Beside the half that rounding takes. */
#define TOLERANCE 0.02

static const uint32_t formats[] = {
  CUFRAMES_PIXEL_NV12,    CUFRAMES_PIXEL_P010,      CUFRAMES_PIXEL_YUV420P,   CUFRAMES_PIXEL_YUV422P,
  CUFRAMES_PIXEL_YUV444P, CUFRAMES_PIXEL_GRAY8,     CUFRAMES_PIXEL_RGB24,     CUFRAMES_PIXEL_RGBA,
  CUFRAMES_PIXEL_BGRA,    CUFRAMES_PIXEL_BGR24,     CUFRAMES_PIXEL_YUYV422,   CUFRAMES_PIXEL_UYVY422,
  CUFRAMES_PIXEL_GRAY16,  CUFRAMES_PIXEL_YUV420P10, CUFRAMES_PIXEL_YUV422P10, CUFRAMES_PIXEL_RGBP,
};
#define FORMATS (sizeof formats / sizeof formats[0])

static test_picture *picture_of(uint32_t pixel_format, uint32_t width, uint32_t height, uint32_t seed) {
  cuframes_format format = { .pixel_format = pixel_format, .width = width, .height = height };
  return test_picture_new(format, CONTENT_NOISE, seed);
}

static cuframes_layer layer_of(const test_picture *p, int32_t x, int32_t y, uint32_t width, uint32_t height) {
  return (cuframes_layer){
    .picture = p->picture, .x = x, .y = y, .width = width, .height = height, .color = { 0, 0, 0, 255 }
  };
}

static void draw_part(const test_picture *to, const cuframes_layer *layers, uint32_t count, uint32_t part,
                      uint32_t parts) {
  cuframes_compositor *c = NULL;
  CHECK_OK(cuframes_compositor_create(
      &(cuframes_compositor_options){ .struct_size = sizeof(cuframes_compositor_options) }, &c));
  CHECK_OK(cuframes_compositor_run_part(c, layers, count, &to->picture, NULL, part, parts));
  cuframes_compositor_destroy(c);
}

static void draw(const test_picture *to, const cuframes_layer *layers, uint32_t count) {
  draw_part(to, layers, count, 0, 1);
}

static const uint8_t *row_of(const test_picture *p, int plane, uint32_t y) {
  return (const uint8_t *)p->memory[plane] + (size_t)y * p->format.pitch[plane];
}

/* Plane by plane, the visible bytes and what lies between the rows. */
static void same(const test_picture *a, const test_picture *b, const char *what) {
  for (int i = 0; i < cuframes_pixel_format_planes(a->format.pixel_format); i++) {
    uint32_t bytes = 0, rows = 0;
    CHECK_OK(cuframes_format_plane_size(&a->format, i, &bytes, &rows));
    for (uint32_t y = 0; y < rows; y++)
      if (memcmp(row_of(a, i, y), row_of(b, i, y), y + 1 < rows ? a->format.pitch[i] : bytes) != 0)
        fail_msg("%s: row %u of plane %d of %s %ux%u differs", what, y, i,
                 cuframes_pixel_format_name(a->format.pixel_format), a->format.width, a->format.height);
  }
}

/* ---- pictures into RGB ---- */

/* A layer in RGB24 beside the formulas; outside of it black. */
static void check_rgb(const test_picture *p, const cuframes_layer *layer, uint32_t width, uint32_t height) {
  test_picture *to = picture_of(CUFRAMES_PIXEL_RGB24, width, height, 7);
  double crop[4] = { layer->picture.crop.x, layer->picture.crop.y, layer->picture.crop.width,
                     layer->picture.crop.height };
  if (crop[2] == 0) {
    crop[2] = p->format.width;
    crop[3] = p->format.height;
  }
  draw(to, layer, 1);
  for (int32_t y = 0; y < (int32_t)height; y++)
    for (int32_t x = 0; x < (int32_t)width; x++) {
      const int64_t i = x - layer->x, j = y - layer->y;
      double rgb[3] = { 0, 0, 0 };
      if (i >= 0 && j >= 0 && i < layer->width && j < layer->height)
        reference_pixel(&layer->picture, crop, layer->width, layer->height, (uint32_t)i, (uint32_t)j, layer->filter,
                        rgb);
      for (int c = 0; c < 3; c++)
        if (!(fabs(row_of(to, 0, (uint32_t)y)[3 * x + c] - rgb[c]) <= 0.5 + TOLERANCE))
          fail_msg("%s %ux%u as %ux%u at %d,%d filter %u: pixel %d,%d is %u, wanted %g",
                   cuframes_pixel_format_name(p->format.pixel_format), p->format.width, p->format.height, layer->width,
                   layer->height, layer->x, layer->y, layer->filter, x, y, row_of(to, 0, (uint32_t)y)[3 * x + c],
                   rgb[c]);
    }
  test_picture_free(to);
}

/* Every format, larger, smaller, much smaller, inside and sticking out, whole and in part. */
static void every_format_becomes_rgb(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = { { 1, 1 }, { 3, 2 }, { 37, 23 }, { 64, 50 } };
  static const struct place {
    int32_t x, y;
    uint32_t width, height;
  } places[] = { { 0, 0, 24, 20 }, { 3, 5, 7, 9 }, { -9, -7, 40, 31 }, { 20, 17, 33, 12 }, { 5, 2, 1, 1 } };
  uint32_t seed = 0;
  for (size_t f = 0; f < FORMATS; f++)
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
      for (size_t w = 0; w < sizeof places / sizeof places[0]; w++)
        for (uint32_t filter = 0; filter < 2; filter++) {
          test_picture *p = picture_of(formats[f], sizes[s][0], sizes[s][1], ++seed);
          cuframes_layer layer = layer_of(p, places[w].x, places[w].y, places[w].width, places[w].height);
          layer.filter = filter;
          layer.color[3] = formats[f] == CUFRAMES_PIXEL_RGBA || formats[f] == CUFRAMES_PIXEL_BGRA ? 0 : 255;
          if (layer.color[3] == 0) { /* blended by noise otherwise: alpha has a test of its own */
            for (uint32_t y = 0; y < sizes[s][1]; y++)
              for (uint32_t x = 0; x < sizes[s][0]; x++)
                ((uint8_t *)p->memory[0])[(size_t)y * p->format.pitch[0] + 4 * (size_t)x + 3] = 255;
            layer.color[3] = 255;
          }
          if (seed % 3 == 0 && s >= 2)
            layer.picture.crop = (cuframes_rectangle){ 3.25f, 2, 19.5f, 17.75f };
          check_rgb(p, &layer, 26, 22);
          test_picture_free(p);
        }
}

/* ---- 4:2:0 into 4:2:0 ---- */

/* Mean of `row`'s component over a window around a place, both in samples; sample n reaches from n to n + 1. */
static double mean_at(const test_picture *p, int plane, uint32_t step, uint32_t offset, double x, double y, double wide,
                      double high, uint32_t width, uint32_t height) {
  double sum = 0, all = 0;
  for (int64_t k = (int64_t)floor(y - high / 2); k <= (int64_t)floor(y + high / 2); k++)
    for (int64_t i = (int64_t)floor(x - wide / 2); i <= (int64_t)floor(x + wide / 2); i++) {
      const double a = fmax(0, fmin(x + wide / 2, (double)i + 1) - fmax(x - wide / 2, (double)i));
      const double b = fmax(0, fmin(y + high / 2, (double)k + 1) - fmax(y - high / 2, (double)k));
      const int64_t column = i < 0 ? 0 : i >= width ? width - 1 : i, row = k < 0 ? 0 : k >= height ? height - 1 : k;
      sum += a * b * row_of(p, plane, (uint32_t)row)[(size_t)column * step + offset];
      all += a * b;
    }
  return sum / all;
}

/* Chroma lies left in both: its sample 0 is at pixel 0 along the row, and between rows 0 and 1. */
static void check_chroma(const test_picture *from, const test_picture *to, uint32_t component) {
  const bool nv12 = from->format.pixel_format == CUFRAMES_PIXEL_NV12;
  const double scale_x = (double)from->format.width / to->format.width;
  const double scale_y = (double)from->format.height / to->format.height;
  const uint32_t width = (from->format.width + 1) / 2, height = (from->format.height + 1) / 2;
  for (uint32_t y = 0; y < to->format.height / 2; y++)
    for (uint32_t x = 0; x < to->format.width / 2; x++) {
      const double at_x = (2 * x + 0.5) * scale_x, at_y = (2 * y + 1.0) * scale_y; /* in pixels of the source */
      const double wanted = mean_at(from, nv12 ? 1 : (int)component, nv12 ? 2 : 1, nv12 ? component - 1 : 0,
                                    at_x / 2 + 0.25, at_y / 2, fmax(scale_x, 1), fmax(scale_y, 1), width, height);
      const uint8_t got = to->format.pixel_format == CUFRAMES_PIXEL_NV12 ? row_of(to, 1, y)[2 * x + component - 1]
                                                                         : row_of(to, (int)component, y)[x];
      if (!(fabs(got - wanted) <= 0.5 + TOLERANCE))
        fail_msg("%ux%u as %ux%u: chroma %u at %u,%u is %u, wanted %g", from->format.width, from->format.height,
                 to->format.width, to->format.height, component, x, y, got, wanted);
    }
}

static void check_luma(const test_picture *from, const test_picture *to) {
  const double scale_x = (double)from->format.width / to->format.width;
  const double scale_y = (double)from->format.height / to->format.height;
  for (uint32_t y = 0; y < to->format.height; y++)
    for (uint32_t x = 0; x < to->format.width; x++) {
      const double wanted = mean_at(from, 0, 1, 0, (x + 0.5) * scale_x, (y + 0.5) * scale_y, fmax(scale_x, 1),
                                    fmax(scale_y, 1), from->format.width, from->format.height);
      if (!(fabs(row_of(to, 0, y)[x] - wanted) <= 0.5 + TOLERANCE))
        fail_msg("%ux%u as %ux%u: luma at %u,%u is %u, wanted %g", from->format.width, from->format.height,
                 to->format.width, to->format.height, x, y, row_of(to, 0, y)[x], wanted);
    }
}

/* No way through RGB: each plane is the mean of its own samples. */
static void chroma_stays_chroma(void **state) {
  (void)state;
  static const uint32_t kinds[] = { CUFRAMES_PIXEL_NV12, CUFRAMES_PIXEL_YUV420P };
  static const uint32_t sizes[][2] = { { 40, 30 }, { 101, 67 }, { 26, 20 }, { 300, 16 }, { 8, 6 } };
  for (int from = 0; from < 2; from++)
    for (int to = 0; to < 2; to++)
      for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        test_picture *p = picture_of(kinds[from], sizes[s][0], sizes[s][1], (uint32_t)s);
        test_picture *out = picture_of(kinds[to], 26, 20, 3);
        cuframes_layer layer = layer_of(p, 0, 0, 26, 20);
        layer.filter = CUFRAMES_FILTER_AREA;
        draw(out, &layer, 1);
        check_luma(p, out);
        check_chroma(p, out, 1);
        check_chroma(p, out, 2);
        test_picture_free(out);
        test_picture_free(p);
      }
}

static void the_same_size_is_copied(void **state) {
  (void)state;
  for (size_t f = 0; f < FORMATS; f++)
    for (uint32_t filter = 0; filter < 2; filter++) {
      const bool alpha = formats[f] == CUFRAMES_PIXEL_RGBA || formats[f] == CUFRAMES_PIXEL_BGRA;
      test_picture *p = picture_of(formats[f], 33, 17, 5), *to = picture_of(formats[f], 33, 17, 6);
      for (uint32_t y = 0; alpha && y < 17; y++)
        for (uint32_t x = 0; x < 33; x++)
          ((uint8_t *)p->memory[0])[(size_t)y * p->format.pitch[0] + 4 * (size_t)x + 3] = 255;
      /* the second luma sample of the last pair of an odd width is nobody's */
      if (formats[f] == CUFRAMES_PIXEL_YUYV422 || formats[f] == CUFRAMES_PIXEL_UYVY422)
        for (uint32_t y = 0; y < 17; y++)
          ((uint8_t *)to->memory[0])[(size_t)y * to->format.pitch[0] + 66 + (formats[f] == CUFRAMES_PIXEL_UYVY422)] =
              row_of(p, 0, y)[66 + (formats[f] == CUFRAMES_PIXEL_UYVY422)];
      cuframes_layer layer = layer_of(p, 0, 0, 33, 17);
      layer.filter = filter;
      draw(to, &layer, 1);
      same(p, to, "a copy");
      test_picture_free(to);
      test_picture_free(p);
    }
}

/* ---- parts and edges ---- */

/* Some of everything, sticking out on all sides. */
static uint32_t scene(cuframes_layer layers[6], test_picture *const p[3]) {
  layers[0] = (cuframes_layer){ .x = -3, .y = 4, .width = 50, .height = 20, .color = { 200, 30, 90, 255 } };
  layers[1] = layer_of(p[0], -7, -5, 40, 33);
  layers[2] = layer_of(p[1], 20, 13, 31, 40);
  layers[2].color[3] = 130;
  layers[3] = layer_of(p[2], 9, 11, 18, 14);
  layers[4] = (cuframes_layer){ .x = 5, .y = 25, .width = 100, .height = 4, .color = { 10, 250, 20, 77 } };
  layers[5] = layer_of(p[0], 100, 100, 8, 8);
  for (int i = 1; i < 6; i++)
    layers[i].filter = CUFRAMES_FILTER_AREA;
  return 6;
}

static void parts_make_the_whole(void **state) {
  (void)state;
  test_picture *const p[3] = { picture_of(CUFRAMES_PIXEL_NV12, 61, 47, 1), picture_of(CUFRAMES_PIXEL_RGB24, 33, 20, 2),
                               picture_of(CUFRAMES_PIXEL_RGBA, 18, 14, 3) };
  cuframes_layer layers[6];
  const uint32_t count = scene(layers, p);
  for (size_t f = 0; f < FORMATS; f++)
    for (uint32_t parts = 1; parts < 40; parts += parts < 5 ? 1 : 13) {
      test_picture *whole = picture_of(formats[f], 47, 37, 9), *pieces = picture_of(formats[f], 47, 37, 9);
      draw(whole, layers, count);
      for (uint32_t i = 0; i < parts; i++)
        draw_part(pieces, layers, count, (i + 1) % parts, parts);
      same(whole, pieces, "parts");
      test_picture_free(whole);
      test_picture_free(pieces);
    }
  for (int i = 0; i < 3; i++)
    test_picture_free(p[i]);
}

/* What sticks out is as if the output were larger. */
static void what_sticks_out_is_cut(void **state) {
  (void)state;
  test_picture *const p[3] = { picture_of(CUFRAMES_PIXEL_NV12, 61, 47, 1), picture_of(CUFRAMES_PIXEL_RGB24, 33, 20, 2),
                               picture_of(CUFRAMES_PIXEL_RGBA, 18, 14, 3) };
  cuframes_layer layers[6];
  const uint32_t count = scene(layers, p), margin = 64;
  test_picture *small = picture_of(CUFRAMES_PIXEL_NV12, 46, 36, 4);
  test_picture *large = picture_of(CUFRAMES_PIXEL_NV12, 46 + 2 * margin, 36 + 2 * margin, 4);
  draw(small, layers, count);
  for (uint32_t i = 0; i < count; i++) {
    layers[i].x += (int32_t)margin;
    layers[i].y += (int32_t)margin;
  }
  draw(large, layers, count);
  for (uint32_t y = 0; y < 36; y++)
    CHECK(memcmp(row_of(small, 0, y), row_of(large, 0, y + margin) + margin, 46) == 0);
  for (uint32_t y = 0; y < 18; y++)
    CHECK(memcmp(row_of(small, 1, y), row_of(large, 1, y + margin / 2) + margin, 46) == 0);
  test_picture_free(small);
  test_picture_free(large);
  for (int i = 0; i < 3; i++)
    test_picture_free(p[i]);
}

/* ---- colour and alpha ---- */

/* A rectangle in every format, read back by the formulas; a picture of one colour gives the same codes. */
static void rectangles_have_their_colour(void **state) {
  (void)state;
  static const uint8_t colors[][3] = { { 255, 255, 255 }, { 0, 0, 0 }, { 210, 30, 40 }, { 17, 99, 180 } };
  for (size_t f = 0; f < FORMATS; f++)
    for (size_t c = 0; c < sizeof colors / sizeof colors[0]; c++) {
      const bool gray = formats[f] == CUFRAMES_PIXEL_GRAY8 || formats[f] == CUFRAMES_PIXEL_GRAY16;
      test_picture *to = picture_of(formats[f], 12, 10, 1), *other = picture_of(formats[f], 12, 10, 1);
      test_picture *plain = picture_of(CUFRAMES_PIXEL_RGB24, 4, 4, 1);
      for (uint32_t y = 0; y < 4; y++)
        for (uint32_t x = 0; x < 4; x++)
          memcpy((uint8_t *)plain->memory[0] + (size_t)y * plain->format.pitch[0] + 3 * (size_t)x, colors[c], 3);
      cuframes_layer layer = { .width = 12, .height = 10, .color = { colors[c][0], colors[c][1], colors[c][2], 255 } };
      const cuframes_layer picture = layer_of(plain, 0, 0, 12, 10);
      const double crop[4] = { 0, 0, 12, 10 };
      double rgb[3], luma = 0.299 * colors[c][0] + 0.587 * colors[c][1] + 0.114 * colors[c][2];
      draw(to, &layer, 1);
      draw(other, &picture, 1);
      same(to, other, "a rectangle and a picture of its colour");
      reference_pixel(&to->picture, crop, 12, 10, 5, 5, CUFRAMES_FILTER_LINEAR, rgb);
      for (int k = 0; k < 3; k++)
        if (!(fabs(rgb[k] - (gray ? luma : colors[c][k])) <= 1.6)) /* steps of limited range and of chroma */
          fail_msg("%s: %g instead of %u", cuframes_pixel_format_name(formats[f]), rgb[k], colors[c][k]);
      test_picture_free(plain);
      test_picture_free(other);
      test_picture_free(to);
    }
}

/* A gray picture of one level is a rectangle of it, in every format: its chroma is made of nothing. */
static void gray_has_no_colour(void **state) {
  (void)state;
  test_picture *gray = picture_of(CUFRAMES_PIXEL_GRAY8, 5, 7, 1);
  for (uint32_t y = 0; y < 7; y++)
    memset((uint8_t *)gray->memory[0] + (size_t)y * gray->format.pitch[0], 77, 5);
  for (size_t f = 0; f < FORMATS; f++)
    for (uint8_t opacity = 255; opacity > 100; opacity -= 100) {
      const cuframes_layer layer = { .width = 12, .height = 10, .color = { 77, 77, 77, opacity } };
      cuframes_layer picture = layer_of(gray, 0, 0, 12, 10);
      test_picture *to = picture_of(formats[f], 12, 10, 1), *other = picture_of(formats[f], 12, 10, 1);
      picture.color[3] = opacity;
      draw(to, &layer, 1);
      draw(other, &picture, 1);
      same(to, other, "gray");
      test_picture_free(to);
      test_picture_free(other);
    }
  test_picture_free(gray);
}

static void pictures_are_blended_by_opacity_and_alpha(void **state) {
  (void)state;
  test_picture *p = picture_of(CUFRAMES_PIXEL_RGBA, 16, 16, 11), *to = picture_of(CUFRAMES_PIXEL_RGB24, 16, 16, 12);
  cuframes_layer layers[2] = { { .width = 16, .height = 16, .color = { 40, 90, 200, 255 } },
                               layer_of(p, 0, 0, 16, 16) };
  for (uint32_t opacity = 0; opacity < 256; opacity += 51) {
    layers[1].color[3] = (uint8_t)opacity;
    draw(to, layers, 2);
    for (uint32_t y = 0; y < 16; y++)
      for (uint32_t x = 0; x < 16; x++) {
        const uint8_t *of = row_of(p, 0, y) + 4 * (size_t)x, *got = row_of(to, 0, y) + 3 * (size_t)x;
        for (int c = 0; c < 3; c++) {
          const double wanted = layers[0].color[c] + (of[c] - layers[0].color[c]) * (opacity / 255.0) * of[3] / 255.0;
          CHECK(fabs(got[c] - wanted) <= 0.5 + TOLERANCE);
        }
      }
  }
  test_picture_free(to);
  test_picture_free(p);
}

static void no_layer_is_black(void **state) {
  (void)state;
  for (size_t f = 0; f < FORMATS; f++) {
    const cuframes_layer nothing[2] = { { .x = 3, .height = 9, .color = { 255, 255, 255, 255 } },
                                        { .width = 9, .height = 9, .color = { 255, 255, 255, 0 } } };
    test_picture *to = picture_of(formats[f], 9, 7, 2), *other = picture_of(formats[f], 9, 7, 2);
    const double crop[4] = { 0, 0, 9, 7 };
    double rgb[3];
    draw(to, NULL, 0);
    draw(other, nothing, 2);
    same(to, other, "nothing");
    reference_pixel(&to->picture, crop, 9, 7, 8, 6, CUFRAMES_FILTER_LINEAR, rgb);
    CHECK(rgb[0] == 0 && rgb[1] == 0 && rgb[2] == 0);
    test_picture_free(other);
    test_picture_free(to);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_format_becomes_rgb), cmocka_unit_test(chroma_stays_chroma),
    cmocka_unit_test(the_same_size_is_copied),  cmocka_unit_test(parts_make_the_whole),
    cmocka_unit_test(what_sticks_out_is_cut),   cmocka_unit_test(rectangles_have_their_colour),
    cmocka_unit_test(gray_has_no_colour),       cmocka_unit_test(pictures_are_blended_by_opacity_and_alpha),
    cmocka_unit_test(no_layer_is_black),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
