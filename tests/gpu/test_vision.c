/* test_vision.c - tensors made on a GPU beside those of the host and beside the formulas: every format, colour, size,
 * fit, filter, crop, layout and element. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "vision.h"

static const uint32_t formats[] = {
  CUFRAMES_PIXEL_NV12,    CUFRAMES_PIXEL_P010,      CUFRAMES_PIXEL_YUV420P,   CUFRAMES_PIXEL_YUV422P,
  CUFRAMES_PIXEL_YUV444P, CUFRAMES_PIXEL_GRAY8,     CUFRAMES_PIXEL_RGB24,     CUFRAMES_PIXEL_RGBA,
  CUFRAMES_PIXEL_BGRA,    CUFRAMES_PIXEL_BGR24,     CUFRAMES_PIXEL_YUYV422,   CUFRAMES_PIXEL_UYVY422,
  CUFRAMES_PIXEL_GRAY16,  CUFRAMES_PIXEL_YUV420P10, CUFRAMES_PIXEL_YUV422P10, CUFRAMES_PIXEL_RGBP,
};
#define FORMATS (sizeof formats / sizeof formats[0])

/* How far apart host and GPU may be in values of 0..255: the sums are made in another order, of the same products. */
#define APART_FLOAT 0.02
#define APART_HALF 0.13 /* a step of binary16 below 255 */

static double allowed(const twins *t) {
  if (t->options.element == CUFRAMES_ELEMENT_UINT8)
    return 1;
  return t->options.element == CUFRAMES_ELEMENT_FLOAT16 ? APART_HALF : APART_FLOAT;
}

static void note_distance(double worst, uint32_t count) {
  vision_note("%u pictures, host and GPU at most %.3g of 255 apart", count, worst);
}

/* ---- values ---- */

/* Pictures of every format, with colours and chroma locations in turn. */
static void make_all(both_picture all[FORMATS], uint32_t width, uint32_t height, uint32_t seed) {
  static const uint8_t matrices[] = { 0, 1, 5, 9, 7 };
  for (uint32_t i = 0; i < FORMATS; i++) {
    uint32_t n = seed + i;
    cuframes_format format = { .pixel_format = formats[i], .width = width, .height = height };
    format.color = (cuframes_color){ .matrix = matrices[n % 5], .range = (uint8_t)(n / 5 % 3) };
    format.chroma_location = (uint8_t)(n % 7);
    all[i] = both_new(format, n % 3, n);
  }
}

static void free_all(both_picture all[FORMATS]) {
  for (uint32_t i = 0; i < FORMATS; i++)
    both_free(&all[i]);
}

static const uint32_t elements[] = { CUFRAMES_ELEMENT_UINT8, CUFRAMES_ELEMENT_FLOAT32, CUFRAMES_ELEMENT_FLOAT16 };

/* All formats at once, which are more than parameters hold, and one by one. */
static void compare_all(const both_picture all[FORMATS], cuframes_preprocess_options options, cu_stream stream,
                        double *worst) {
  static twins t;
  twins_begin(&t, options);
  for (uint32_t way = 0; way < 2; way++) {
    uint32_t count = way == 0 ? FORMATS : 7;
    twins_run(&t, all, count, stream);
    double apart = twins_distance(&t, count);
    if (!(apart <= allowed(&t)))
      fprintf(stderr, "%ux%u -> %ux%u element %u layout %u channels %u fit %u filter %u: %g apart\n",
              all[0].host->format.width, all[0].host->format.height, options.width, options.height, options.element,
              options.layout, options.channels, options.fit, options.filter, apart);
    CHECK(apart <= allowed(&t));
    *worst = apart > *worst && options.element != CUFRAMES_ELEMENT_UINT8 ? apart : *worst;
  }
  twins_end(&t);
}

static void run_matrix(const gpu *g, cu_stream stream) {
  (void)g;
  static const uint32_t sizes[][2] = { { 64, 48 }, { 37, 23 }, { 1, 1 }, { 2, 2 }, { 3, 1 }, { 1, 5 }, { 322, 180 } };
  static const uint32_t outputs[][2] = { { 32, 32 }, { 24, 17 }, { 7, 31 }, { 1, 1 }, { 66, 9 }, { 128, 64 } };
  both_picture all[FORMATS];
  uint32_t n = 0;
  double worst = 0;
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    make_all(all, sizes[s][0], sizes[s][1], (uint32_t)s);
    for (uint32_t way = 0; way < 24; way++, n++) {
      const uint32_t *output = outputs[n % 6];
      cuframes_preprocess_options o = { .width = output[0], .height = output[1], .padding = { 114, 30, 200 } };
      o.element = elements[way % 3];
      o.filter = way / 3 % 2;
      o.fit = way / 6;
      o.layout = n / 2 % 2;
      o.channels = n / 5 % 3;
      compare_all(all, o, stream, &worst);
    }
    free_all(all);
  }
  note_distance(worst, n * (FORMATS + 7));
}

static void matrix_of_all(void **state) {
  (void)state;
  vision_play(run_matrix);
}

static void run_crops(const gpu *g, cu_stream stream) {
  (void)g;
  static const cuframes_rectangle crops[] = {
    { 1, 1, 1, 1 },   { 39, 29, 1, 1 },           { 10.5f, 7.25f, 12.75f, 9.5f }, { 3, 5, 17, 11 },
    { 0, 29, 40, 1 }, { 0.3f, 0.7f, 39.1f, 2.f }, { 39.5f, 29.5f, 0.25f, 0.25f }, { 7.9f, 3.9f, 2.2f, 20 },
  };
  both_picture all[FORMATS];
  double worst = 0;
  uint32_t n = 0;
  make_all(all, 40, 30, 5);
  for (size_t i = 0; i < sizeof crops / sizeof crops[0]; i++)
    for (uint32_t way = 0; way < 8; way++, n++) {
      cuframes_preprocess_options o = { .width = 12, .height = 9, .fit = way % 4, .filter = way / 4 };
      o.element = elements[n % 3];
      for (uint32_t k = 0; k < FORMATS; k++)
        all[k].gpu.crop = crops[i];
      compare_all(all, o, stream, &worst);
    }
  free_all(all);
  note_distance(worst, n * (FORMATS + 7));
}

static void crops(void **state) {
  (void)state;
  vision_play(run_crops);
}

/* Against the formulas in double. */
static void run_formulas(const gpu *g, cu_stream stream) {
  (void)g;
  static twins t;
  double worst = 0;
  uint32_t n = 0;
  for (uint32_t way = 0; way < 8; way++) {
    cuframes_preprocess_options o = { .width = 20, .height = 18, .scale = 1, .fit = way % 4, .filter = way / 4 };
    o.capacity = FORMATS;
    both_picture all[FORMATS];
    make_all(all, 33 + way, 27 - way, way * 16);
    twins_begin(&t, o);
    twins_run(&t, all, FORMATS, stream);
    for (uint32_t i = 0; i < FORMATS; i++, n++)
      for (uint32_t k = 0; k < 3 * 20 * 18; k++) {
        uint32_t pixel = k % (20 * 18);
        double values[3], wanted;
        reference_values(&t.options, &all[i].host->picture, pixel % 20, pixel / 20, values);
        wanted = values[k / (20 * 18)];
        double error = fabs(((const float *)t.got)[i * 3 * 20 * 18 + k] - wanted);
        worst = !(error <= worst) ? error : worst;
      }
    twins_end(&t);
    free_all(all);
  }
  CHECK(worst <= APART_FLOAT);
  vision_note("%u pictures, GPU at most %.3g of 255 from exact arithmetic", n, worst);
}

static void formulas(void **state) {
  (void)state;
  vision_play(run_formulas);
}

/* The stand-in runs the kernels' source on the CPU, and a GPU gives the same bits: so what was tested there was tested.
 * The number is what comes of these pictures; whoever changes the kernels' arithmetic finds it in the failure. */
#define BITS UINT64_C(0xe8ce3240163ede11)

static void run_bits(const gpu *g, cu_stream stream) {
  (void)g;
  static twins t;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (uint32_t way = 0; way < 12; way++) {
    cuframes_preprocess_options o = { .width = 36, .height = 29, .element = elements[way % 3], .layout = way / 3 % 2 };
    o.filter = way / 6;
    o.std[1] = 0.7f;
    both_picture all[FORMATS];
    for (uint32_t i = 0; i < FORMATS; i++)
      all[i] =
          both_new((cuframes_format){ .pixel_format = formats[i], .width = 90 + i, .height = 61 }, CONTENT_NOISE, i);
    twins_begin(&t, o);
    twins_run(&t, all, FORMATS, stream);
    for (size_t i = 0; i < t.bytes * FORMATS; i++)
      hash = (hash ^ ((const uint8_t *)t.got)[i]) * UINT64_C(0x100000001b3);
    twins_end(&t);
    free_all(all);
  }
  if (hash != BITS)
    fprintf(stderr, "the bits are 0x%016llx\n", (unsigned long long)hash);
  CHECK(hash == BITS);
  vision_note("192 pictures, the same bits as elsewhere");
}

static void the_same_bits_everywhere(void **state) {
  (void)state;
  vision_play(run_bits);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(matrix_of_all),
    SHOW(crops),
    SHOW(formulas),
    SHOW(the_same_bits_everywhere),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
