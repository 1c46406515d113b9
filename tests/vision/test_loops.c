/* test_loops.c - all kinds of innermost loops that this CPU can run give the same, whichever of them it would take: for
 * every format, filter and size, and for samples that need many bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "vision/host/host.h"
#include "vision/planner.h"
#include "vision/reference.h"

/* What one kind of loops makes of a picture; the caller frees it. */
static void *made_by(const cf_host_loops *loops, const cf_plan *plan, const cf_plan_tensor *tensor, size_t bytes) {
  void *out = malloc(bytes), *scratch = malloc(cf_host_preprocess_bytes(plan, tensor));
  CHECK(out && scratch);
  memset(out, 0xaa, bytes);
  cf_host_preprocess(plan, tensor, loops, out, scratch);
  free(scratch);
  return out;
}

static void compare(const cf_plan_tensor *tensor, const void *wanted, const void *got, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (tensor->element == CUFRAMES_ELEMENT_FLOAT32) {
      float difference = fabsf(((const float *)wanted)[i] - ((const float *)got)[i]);
      if (!(difference <= 0.001f))
        fail_msg("%s: element %zu differs by %g", name, i, (double)difference);
    } else if (tensor->element == CUFRAMES_ELEMENT_UINT8) {
      if (abs(((const uint8_t *)wanted)[i] - ((const uint8_t *)got)[i]) > 1)
        fail_msg("%s: element %zu differs by more than 1", name, i);
    } else {
      float a = half_to_float(((const uint16_t *)wanted)[i]), b = half_to_float(((const uint16_t *)got)[i]);
      if (!(fabsf(a - b) <= fabsf(a) / 1024 + 1e-5f)) /* a step of float16, or nearly 0 */
        fail_msg("%s: element %zu is %g and %g", name, i, (double)a, (double)b);
    }
}

static void compare_all(const cuframes_picture *picture, const cf_preprocess_setup *setup) {
  const cf_plan_tensor *tensor = &setup->tensor;
  size_t count = (size_t)tensor->width * tensor->height * tensor->channels;
  size_t bytes = count * cuframes_element_size(tensor->element);
  cf_plan plan;
  cuframes_geometry geometry;
  CHECK_OK(cf_plan_preprocess(setup, picture, 0, &plan, &geometry));
  const cf_host_loops *best = cf_host_loops_at(0);
  CHECK(best == cf_host_loops_best());
  void *wanted = made_by(best, &plan, tensor, bytes);
  for (size_t i = 1; cf_host_loops_at(i); i++) {
    void *got = made_by(cf_host_loops_at(i), &plan, tensor, bytes);
    compare(tensor, wanted, got, count, cf_host_loops_at(i)->name);
    free(got);
  }
  free(wanted);
}

static void the_same_by_all(void **state) {
  (void)state;
  static const uint32_t elements[] = { CUFRAMES_ELEMENT_UINT8, CUFRAMES_ELEMENT_FLOAT16, CUFRAMES_ELEMENT_FLOAT32 };
  static const uint32_t sizes[][2] = { { 1, 1 }, { 67, 31 }, { 300, 40 }, { 16, 200 } };
  uint32_t seed = 0;
  for (uint32_t format = CUFRAMES_PIXEL_NV12; format < CUFRAMES_PIXEL_TENSOR; format++)
    for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++)
      for (uint32_t way = 0; way < 12; way++, seed++) {
        cf_preprocess_setup setup = { .options = { .width = 5 + seed * 13 % 90,
                                                   .height = 3 + seed * 7 % 40,
                                                   .filter = way / 3 % 2,
                                                   .fit = seed % 4 } };
        setup.tensor = (cf_plan_tensor){ .width = setup.options.width,
                                         .height = setup.options.height,
                                         .channels = 3,
                                         .layout = way / 6,
                                         .element = elements[way % 3] };
        for (int c = 0; c < 3; c++) {
          setup.tensor.multiply[c] = way % 3 ? 1 / 255.0f : 1;
          setup.tensor.padding[c] = 100;
        }
        test_picture *picture = test_picture_new(
            (cuframes_format){ .pixel_format = format, .width = sizes[size][0], .height = sizes[size][1] },
            CONTENT_NOISE, seed);
        compare_all(&picture->picture, &setup);
        test_picture_free(picture);
      }
}

/* Sums of more samples than a float counts: a picture as wide, or as high, as there may be, made one pixel. */
static void long_windows(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = { { 65535, 3 }, { 3, 65535 }, { 65535, 1 }, { 5000, 5000 } };
  for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++)
    for (size_t number = 0; cf_host_loops_at(number); number++) {
      cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_GRAY16,
                                 .width = sizes[size][0],
                                 .height = sizes[size][1] };
      cf_preprocess_setup setup = { .options = { .width = 1,
                                                 .height = 1,
                                                 .filter = CUFRAMES_FILTER_AREA,
                                                 .fit = CUFRAMES_FIT_STRETCH,
                                                 .channels = CUFRAMES_CHANNELS_GRAY } };
      setup.tensor = (cf_plan_tensor){
        .width = 1, .height = 1, .channels = 1, .element = CUFRAMES_ELEMENT_FLOAT32, .multiply = { 1 }
      };
      CHECK_OK(cuframes_format_layout(&format, 2, NULL));
      size_t count = (size_t)format.width * format.height;
      uint16_t *samples = malloc(count * sizeof *samples);
      double total = 0;
      CHECK(samples != NULL);
      for (size_t i = 0; i < count; i++) { /* just below a power of two: what is added is always rounded the same way */
        samples[i] = i % 7 ? 65535 : 65003;
        total += samples[i];
      }
      format.pitch[0] = format.width * 2;
      cuframes_picture picture = { .format = &format, .plane = { samples } };
      cf_plan plan;
      cuframes_geometry geometry;
      CHECK_OK(cf_plan_preprocess(&setup, &picture, 0, &plan, &geometry));
      float *got = made_by(cf_host_loops_at(number), &plan, &setup.tensor, sizeof *got);
      assert_float_equal(*got, total / (double)count / 257, 0.01);
      free(got);
      free(samples);
    }
}

/* Every float16 there is, and what lies between two of them, comes out as the nearest, ties to even. */
static void halves(void **state) {
  (void)state;
  for (size_t number = 0; cf_host_loops_at(number); number++)
    for (uint32_t half = 0; half < 0x7bff; half++) {
      int exponent = (int)(half >> 10), next_exponent = (int)((half + 1) >> 10);
      double a = exponent ? ldexp(1024 + (half & 1023), exponent - 25) : ldexp(half & 1023, -24);
      double b = next_exponent ? ldexp(1024 + ((half + 1) & 1023), next_exponent - 25) : ldexp((half + 1) & 1023, -24);
      float values[5] = { (float)a, (float)((a + b) / 2), nextafterf((float)((a + b) / 2), 0),
                          nextafterf((float)((a + b) / 2), 1e9f), (float)-a };
      const float *rows[3] = { values };
      uint16_t got[5], even = (uint16_t)(half + (half & 1));
      cf_host_loops_at(number)->to_float16(rows, 1, got, 5);
      assert_int_equal(got[0], half);
      assert_int_equal(got[1], even);
      assert_int_equal(got[2], half);
      assert_int_equal(got[3], half + 1);
      assert_int_equal(got[4], half | 0x8000);
    }
  float beyond[3] = { 65519.996f, 65520, 1e38f };
  const float *rows[3] = { beyond };
  uint16_t got[3];
  cf_host_loops_best()->to_float16(rows, 1, got, 3);
  assert_int_equal(got[0], 0x7bff);
  assert_int_equal(got[1], 0x7c00);
  assert_int_equal(got[2], 0x7c00);
}

int main(void) {
  const struct CMUnitTest tests[] = { FIXTURE(the_same_by_all), FIXTURE(long_windows), FIXTURE(halves) };
  for (size_t i = 0; cf_host_loops_at(i); i++)
    print_message("loops for %s\n", cf_host_loops_at(i)->name);
  return FIXTURE_RUN("vision/loops", tests);
}
