/* test_values.c - the host's tensors beside the formulas in double: every format, colour, chroma location, fit, filter,
 * crop, layout and element, sizes odd and even.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "vision/reference.h"

/* In values of 0..255. What the header promises is 1; docs/howto/vision.md says what float32 can do, and a weight that
 * is a little wrong would show. */
#define TOLERANCE 0.001

/* Element `at` of a tensor, back in values of 0..255. */
static double value_of(const cuframes_preprocess_options *o, const void *tensor, size_t at, uint32_t channel) {
  double scale = o->scale != 0 ? o->scale : o->element == CUFRAMES_ELEMENT_UINT8 ? 1 : 1 / 255.0;
  double deviation = o->std[channel] != 0 ? o->std[channel] : 1, element;
  if (o->element == CUFRAMES_ELEMENT_UINT8)
    element = ((const uint8_t *)tensor)[at];
  else if (o->element == CUFRAMES_ELEMENT_FLOAT16)
    element = half_to_float(((const uint16_t *)tensor)[at]);
  else
    element = ((const float *)tensor)[at];
  return (element * deviation + o->mean[channel]) / scale;
}

static double allowed(const cuframes_preprocess_options *o) {
  if (o->element == CUFRAMES_ELEMENT_UINT8)
    return 0.5 + TOLERANCE;
  return o->element == CUFRAMES_ELEMENT_FLOAT16 ? 0.25 : TOLERANCE; /* 11 bits of up to 2.7, as the means here are */
}

static char *said(const cuframes_preprocess_options *o, const cuframes_picture *p) {
  static char text[400];
  snprintf(
      text, sizeof text,
      "%s %ux%u matrix %u range %u location %u crop %gx%g at %g,%g -> %ux%u %s layout %u channels %u fit %u filter %u",
      cuframes_pixel_format_name(p->format->pixel_format), p->format->width, p->format->height, p->format->color.matrix,
      p->format->color.range, p->format->chroma_location, p->crop.width, p->crop.height, p->crop.x, p->crop.y, o->width,
      o->height, cuframes_element_name(o->element), o->layout, o->channels, o->fit, o->filter);
  return text;
}

static double worst_float32; /* of all that was compared, said at the end */

/* One picture (of several, which is `number`) of a tensor. */
static void compare(const cuframes_preprocess_options *o, const cuframes_picture *p, const void *tensor,
                    size_t number) {
  uint32_t channels = o->channels == CUFRAMES_CHANNELS_GRAY ? 1 : 3;
  size_t pixels = (size_t)o->width * o->height;
  for (uint32_t y = 0; y < o->height; y++)
    for (uint32_t x = 0; x < o->width; x++) {
      double values[3];
      reference_values(o, p, x, y, values);
      for (uint32_t c = 0; c < channels; c++) {
        size_t pixel = (size_t)y * o->width + x, at = number * pixels * channels;
        at += o->layout == CUFRAMES_LAYOUT_NCHW ? c * pixels + pixel : pixel * channels + c;
        double wanted = values[c], got = value_of(o, tensor, at, c);
        double error = fabs(got - wanted);
        if (!(error <= allowed(o)))
          fail_msg("%s: pixel %u,%u channel %u is %g, wanted %g", said(o, p), x, y, c, got, wanted);
        if (o->element != CUFRAMES_ELEMENT_UINT8 && o->element != CUFRAMES_ELEMENT_FLOAT16 && error > worst_float32)
          worst_float32 = error;
      }
    }
}

static void *tensor_new(const cuframes_preprocess *preprocess, uint32_t count) {
  cuframes_format format;
  uint64_t bytes = 0;
  CHECK_OK(cuframes_preprocess_format(preprocess, count, &format));
  CHECK_OK(cuframes_format_layout(&format, 0, &bytes));
  void *tensor = malloc(bytes); /* exactly, for sanitizers */
  CHECK(tensor != NULL);
  memset(tensor, 0x5a, bytes);
  return tensor;
}

static void check(cuframes_preprocess_options o, const cuframes_picture *p) {
  cuframes_preprocess *preprocess = NULL;
  o.struct_size = sizeof o;
  CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
  void *tensor = tensor_new(preprocess, 1);
  CHECK_OK(cuframes_preprocess_run(preprocess, p, 1, tensor, NULL, NULL));
  compare(&o, p, tensor, 0);
  free(tensor);
  cuframes_preprocess_destroy(preprocess);
}

static const uint32_t formats[] = {
  CUFRAMES_PIXEL_NV12,    CUFRAMES_PIXEL_P010,      CUFRAMES_PIXEL_YUV420P,   CUFRAMES_PIXEL_YUV422P,
  CUFRAMES_PIXEL_YUV444P, CUFRAMES_PIXEL_GRAY8,     CUFRAMES_PIXEL_RGB24,     CUFRAMES_PIXEL_RGBA,
  CUFRAMES_PIXEL_BGRA,    CUFRAMES_PIXEL_BGR24,     CUFRAMES_PIXEL_YUYV422,   CUFRAMES_PIXEL_UYVY422,
  CUFRAMES_PIXEL_GRAY16,  CUFRAMES_PIXEL_YUV420P10, CUFRAMES_PIXEL_YUV422P10, CUFRAMES_PIXEL_RGBP,
};
#define FORMATS (sizeof formats / sizeof formats[0])

/* Every format with every matrix and range. */
static void colours(void **state) {
  (void)state;
  static const uint8_t matrices[] = { 0, 1, 2, 4, 5, 6, 7, 9, 10 };
  for (size_t f = 0; f < FORMATS; f++)
    for (size_t m = 0; m < sizeof matrices; m++)
      for (uint8_t range = 0; range <= 2; range++) {
        cuframes_format format = { .pixel_format = formats[f], .width = 13, .height = m == 0 ? 721 : 11 };
        format.color = (cuframes_color){ .matrix = matrices[m], .range = range };
        test_picture *p = test_picture_new(format, CONTENT_NOISE, (uint32_t)(f * 100 + m * 10 + range));
        check((cuframes_preprocess_options){ .width = 17, .height = 12 }, &p->picture);
        test_picture_free(p);
      }
}

/* Every format, chroma location, fit and filter, at odd and even sizes; larger, smaller, much smaller. */
static void geometries(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = { { 1, 1 }, { 2, 2 }, { 3, 1 }, { 1, 5 }, { 37, 23 }, { 64, 48 } };
  static const uint32_t outputs[][2] = { { 24, 24 }, { 7, 31 }, { 1, 1 }, { 66, 9 } };
  uint32_t seed = 0;
  for (size_t f = 0; f < FORMATS; f++)
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
      for (uint32_t location = 0; location <= CUFRAMES_CHROMA_BOTTOM; location++)
        for (uint32_t way = 0; way < 8; way++) {
          cuframes_format format = { .pixel_format = formats[f], .width = sizes[s][0], .height = sizes[s][1] };
          format.chroma_location = (uint8_t)location;
          const uint32_t *output = outputs[seed % (sizeof outputs / sizeof outputs[0])];
          cuframes_preprocess_options o = {
            .width = output[0], .height = output[1], .fit = way % 4, .filter = way / 4
          };
          o.padding[0] = 114;
          o.padding[1] = 30;
          o.padding[2] = 200;
          test_picture *p = test_picture_new(format, seed % 3, seed);
          check(o, &p->picture);
          test_picture_free(p);
          seed += 1 + location; /* so that no size of output always meets the same fit */
        }
}

/* All of them together, for what cameras send: matrix, range, chroma location, fit, filter, crop, odd sizes. */
static void together(void **state) {
  (void)state;
  static const uint32_t kinds[] = { CUFRAMES_PIXEL_NV12, CUFRAMES_PIXEL_P010 };
  static const uint8_t matrices[] = { 1, 5, 9 };
  for (uint32_t way = 0; way < 2 * 3 * 2 * 6 * 4 * 2 * 2; way++) {
    uint32_t rest = way, kind = rest % 2, matrix = (rest /= 2) % 3, range = (rest /= 3) % 2, place = (rest /= 2) % 6;
    uint32_t fit = (rest /= 6) % 4, filter = (rest /= 4) % 2, crop = rest / 2;
    cuframes_format format = { .pixel_format = kinds[kind], .width = 31 + way % 2, .height = 21 + way % 3 };
    format.color = (cuframes_color){ .matrix = matrices[matrix], .range = (uint8_t)(1 + range) };
    format.chroma_location = (uint8_t)(1 + place);
    test_picture *p = test_picture_new(format, way % 3, way);
    if (crop)
      p->picture.crop = (cuframes_rectangle){ 3.25f, 1.5f, 23.5f, 16.75f };
    check((cuframes_preprocess_options){ .width = 16 + way % 5, .height = 9, .fit = fit, .filter = filter },
          &p->picture);
    test_picture_free(p);
  }
}

/* Crops, with fractions; and at the edges, where the neighbours must not be seen. */
static void crops(void **state) {
  (void)state;
  static const cuframes_rectangle all[] = {
    { 0, 0, 40, 30 }, { 1, 1, 1, 1 },           { 39, 29, 1, 1 },           { 10.5f, 7.25f, 12.75f, 9.5f },
    { 3, 5, 17, 11 }, { 0.3f, 0.7f, 39.1f, 2 }, { 39.5f, 29.5f, .5f, .5f }, { 20, 10, 0.01f, 0.01f },
    { 0, 29, 40, 1 }, { 7.9f, 3.9f, 2.2f, 20 }, { -0.005f, 0, 40.01f, 30 },
  };
  for (size_t f = 0; f < FORMATS; f++)
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
      for (uint32_t way = 0; way < 8; way++) {
        cuframes_format format = { .pixel_format = formats[f], .width = 40, .height = 30 };
        test_picture *p = test_picture_new(format, CONTENT_EXTREMES, (uint32_t)i);
        cuframes_preprocess_options o = { .width = 11, .height = 9, .fit = way % 4, .filter = way / 4 };
        p->picture.crop = all[i];
        if (i + 1 < sizeof all / sizeof all[0])
          check(o, &p->picture);
        else { /* what sticks out a little is cut off */
          cuframes_preprocess *preprocess = NULL;
          o.struct_size = sizeof o;
          CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
          void *tensor = tensor_new(preprocess, 1);
          CHECK_OK(cuframes_preprocess_run(preprocess, &p->picture, 1, tensor, NULL, NULL));
          memset(&p->picture.crop, 0, sizeof p->picture.crop);
          compare(&o, &p->picture, tensor, 0);
          free(tensor);
          cuframes_preprocess_destroy(preprocess);
        }
        test_picture_free(p);
      }
}

/* Every element, layout and order of channels, with scale, mean and std. */
static void elements(void **state) {
  (void)state;
  static const uint32_t kinds[] = { 0, CUFRAMES_ELEMENT_UINT8, CUFRAMES_ELEMENT_FLOAT16, CUFRAMES_ELEMENT_FLOAT32 };
  static const uint32_t some[] = { CUFRAMES_PIXEL_NV12, CUFRAMES_PIXEL_P010, CUFRAMES_PIXEL_RGB24,
                                   CUFRAMES_PIXEL_GRAY8 };
  for (size_t f = 0; f < 4; f++)
    for (uint32_t way = 0; way < 48; way++) {
      cuframes_format format = { .pixel_format = some[f], .width = 50, .height = 35 };
      cuframes_preprocess_options o = { .width = 33, .height = 31, .element = kinds[way % 4], .layout = way / 4 % 2 };
      o.channels = way / 8 % 3;
      for (int c = 0; c < 3; c++) {
        o.padding[c] = (float)(114 + 10 * c);
        if (way >= 24 && o.element != CUFRAMES_ELEMENT_UINT8) {
          static const float mean[] = { 0.485f, 0.456f, 0.406f }, deviation[] = { 0.229f, 0.224f, 0.225f };
          o.mean[c] = mean[c];
          o.std[c] = deviation[c];
        }
      }
      test_picture *p = test_picture_new(format, CONTENT_NOISE, way);
      check(o, &p->picture);
      test_picture_free(p);
    }
}

/* Many pictures, of different kinds, at once; those that are none are padding. */
static void batches(void **state) {
  (void)state;
  enum { COUNT = 21 };
  test_picture *pictures[COUNT] = { NULL };
  cuframes_picture batch[COUNT] = { 0 };
  cuframes_geometry geometry[COUNT];
  cuframes_preprocess_options o = { .struct_size = sizeof o, .width = 20, .height = 14, .padding = { 9, 99, 199 } };
  cuframes_preprocess *preprocess = NULL;
  for (uint32_t i = 0; i < COUNT; i++)
    if (i % 5 != 3) {
      cuframes_format format = { .pixel_format = formats[i % FORMATS], .width = 9 + 7 * i, .height = 50 - 2 * i };
      pictures[i] = test_picture_new(format, CONTENT_NOISE, i);
      batch[i] = pictures[i]->picture;
    }
  CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
  float *tensor = tensor_new(preprocess, COUNT), *again = tensor_new(preprocess, COUNT);
  CHECK_OK(cuframes_preprocess_run(preprocess, batch, COUNT, tensor, NULL, geometry));
  for (uint32_t i = 0; i < COUNT; i++)
    if (pictures[i])
      compare(&o, &batch[i], tensor, i);
    else {
      assert_int_equal(geometry[i].width, 0);
      for (size_t k = 0; k < 20 * 14 * 3; k++)
        assert_float_equal(tensor[i * 20 * 14 * 3 + k], o.padding[k / (20 * 14)] / 255, 1e-6);
    }
  /* By the table: the same, and padding behind what was set. */
  CHECK_OK(cuframes_preprocess_launch(preprocess, 1, again, NULL));
  assert_float_equal(again[0], 9.0f / 255, 1e-6);
  CHECK_OK(cuframes_preprocess_set(preprocess, batch, COUNT, NULL, NULL));
  CHECK_OK(cuframes_preprocess_launch(preprocess, COUNT, again, NULL));
  assert_memory_equal(tensor, again, sizeof *tensor * COUNT * 20 * 14 * 3);
  CHECK_OK(cuframes_preprocess_set(preprocess, batch, 2, NULL, NULL));
  CHECK_OK(cuframes_preprocess_launch(preprocess, 3, again, NULL));
  assert_memory_equal(tensor, again, sizeof *tensor * 2 * 20 * 14 * 3);
  assert_float_equal(again[2 * 20 * 14 * 3], 9.0f / 255, 1e-6);
  CHECK_OK(cuframes_preprocess_set(preprocess, NULL, 0, NULL, NULL));
  CHECK_OK(cuframes_preprocess_launch(preprocess, 1, again, NULL));
  assert_float_equal(again[0], 9.0f / 255, 1e-6);
  cuframes_preprocess_destroy(preprocess);
  for (uint32_t i = 0; i < COUNT; i++)
    test_picture_free(pictures[i]);
  free(tensor);
  free(again);
}

/* Zeros with 255 all around them in memory: whoever looks at a sample outside of the crop shows it. Tensors of the same
 * shape as the crop are what COVER rounds at. */
static void nothing_outside(void **state) {
  (void)state;
  enum { AROUND = 2, MOST = 24 };
  static uint8_t memory[(MOST + 2 * AROUND) * (MOST + 2 * AROUND)];
  for (uint32_t side = 1; side <= MOST; side++)
    for (uint32_t size = 1; size <= 4 * MOST; size++)
      for (uint32_t way = 0; way < 16; way++) {
        bool cut = way & 8; /* a crop of a larger picture, or planes of larger memory */
        uint32_t pitch = side + 2 * AROUND, around = cut ? pitch : side;
        cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = around, .height = around };
        cuframes_preprocess_options o = { .struct_size = sizeof o,
                                          .width = size,
                                          .height = size,
                                          .element = CUFRAMES_ELEMENT_UINT8,
                                          .channels = CUFRAMES_CHANNELS_GRAY,
                                          .fit = way % 4,
                                          .filter = way / 4 % 2 };
        static uint8_t tensor[16 * MOST * MOST];
        cuframes_preprocess *preprocess = NULL;
        format.pitch[0] = pitch;
        memset(memory, 255, sizeof memory);
        for (uint32_t y = 0; y < side; y++)
          memset(memory + (size_t)(AROUND + y) * pitch + AROUND, 0, side);
        cuframes_picture picture = { .format = &format, .plane = { memory + (cut ? 0 : AROUND * pitch + AROUND) } };
        if (cut)
          picture.crop = (cuframes_rectangle){ AROUND, AROUND, (float)side, (float)side };
        CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
        CHECK_OK(cuframes_preprocess_run(preprocess, &picture, 1, tensor, NULL, NULL));
        for (uint32_t i = 0; i < size * size; i++)
          if (tensor[i] != 0)
            fail_msg("%s: pixel %u, %u is %u", said(&o, &picture), i % size, i / size, tensor[i]);
        cuframes_preprocess_destroy(preprocess);
      }
}

/* A point of the picture comes back from where the geometry put it, and the tile is where the pixels are. */
static void geometry_there_and_back(void **state) {
  (void)state;
  for (uint32_t way = 0; way < 120; way++) {
    cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_GRAY8,
                               .width = 1 + way * 7919 % 1900,
                               .height = 1 + way * 104729 % 1100 };
    cuframes_preprocess_options o = { .struct_size = sizeof o,
                                      .width = 1 + way * 31 % 900,
                                      .height = 1 + way * 57 % 700,
                                      .fit = way % 4,
                                      .element = CUFRAMES_ELEMENT_UINT8,
                                      .channels = 2 };
    test_picture *p = test_picture_new(format, CONTENT_NOISE, way);
    cuframes_preprocess *preprocess = NULL;
    cuframes_geometry g;
    if (way % 3 == 1)
      p->picture.crop = (cuframes_rectangle){ (float)format.width * 0.3f, (float)format.height * 0.1f,
                                              (float)format.width * 0.37f, (float)format.height * 0.61f };
    CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
    void *tensor = tensor_new(preprocess, 1);
    CHECK_OK(cuframes_preprocess_run(preprocess, &p->picture, 1, tensor, NULL, &g));
    cuframes_rectangle c = p->picture.crop;
    if (c.width == 0)
      c = (cuframes_rectangle){ 0, 0, (float)format.width, (float)format.height };
    double left = c.x * g.scale_x + g.offset_x, right = (c.x + (double)c.width) * g.scale_x + g.offset_x;
    double top = c.y * g.scale_y + g.offset_y, bottom = (c.y + (double)c.height) * g.scale_y + g.offset_y;
    assert_true(g.x + g.width <= o.width && g.y + g.height <= o.height && g.width > 0 && g.height > 0);
    if (o.fit == CUFRAMES_FIT_COVER) { /* sticks out alike on both sides */
      assert_int_equal(g.width, o.width);
      assert_float_equal(-left, right - o.width, 0.01 * g.scale_x);
      assert_float_equal(-top, bottom - o.height, 0.01 * g.scale_y);
    } else {
      assert_float_equal(left, g.x, 0.01 * g.scale_x);
      assert_float_equal(right, g.x + g.width, 0.01 * g.scale_x);
      assert_float_equal(top, g.y, 0.01 * g.scale_y);
      assert_float_equal(bottom, g.y + g.height, 0.01 * g.scale_y);
    }
    if (o.fit == CUFRAMES_FIT_TOP_LEFT)
      assert_true(g.x == 0 && g.y == 0);
    if (o.fit == CUFRAMES_FIT_LETTERBOX) {
      assert_int_equal(g.x, (o.width - g.width) / 2);
      assert_int_equal(g.y, (o.height - g.height) / 2);
    }
    free(tensor);
    cuframes_preprocess_destroy(preprocess);
    test_picture_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(colours),  FIXTURE(geometries), FIXTURE(together),        FIXTURE(crops),
    FIXTURE(elements), FIXTURE(batches),    FIXTURE(nothing_outside), FIXTURE(geometry_there_and_back),
  };
  int result = FIXTURE_RUN("vision/values", tests);
  printf("float32: at most %.2g of 255 from exact arithmetic\n", worst_float32);
  return result;
}
