/* vision.c - what the tests of libcuframes-vision on a GPU share. */
#include "vision.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

typedef struct job {
  vision_test *run;
  char note[200];
} job;

static char noted[200]; /* in the child */

void vision_note(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(noted, sizeof noted, format, list);
  va_end(list);
}

static void child_main(int test, void *user) {
  gpu g;
  cu_stream stream;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  /* While this one is there the kernels need not be loaded for each that the test makes. */
  cuframes_preprocess_options options = { .struct_size = sizeof options, .width = 1, .height = 1, .device = "cuda" };
  cuframes_preprocess *keeper;
  CHECK_OK(cuframes_preprocess_create(&options, &keeper));
  ((const job *)user)->run(&g, stream);
  cuframes_preprocess_destroy(keeper);
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
  tell(test, noted, sizeof noted);
}

void vision_play(vision_test *run) {
  job j = { .run = run };
  child *c = child_start(child_main, &j);
  learn(c->fd, j.note, sizeof j.note);
  child_finish(c);
  program_note("%s", j.note);
}

both_picture both_new(cuframes_format format, enum test_content content, uint32_t seed) {
  both_picture b = { .host = test_picture_new(format, content, seed) };
  const cuframes_format *f = &b.host->format;
  b.gpu = b.host->picture;
  for (int i = 0; i < cuframes_pixel_format_planes(f->pixel_format); i++) {
    uint32_t row_bytes, rows;
    CHECK_OK(cuframes_format_plane_size(f, i, &row_bytes, &rows));
    size_t bytes = (size_t)(rows - 1) * f->pitch[i] + row_bytes;
    CHECK_OK(cu.cuMemAlloc(&b.memory[i], bytes));
    CHECK_OK(cu.cuMemcpyHtoD(b.memory[i], b.host->picture.plane[i], bytes));
    b.gpu.plane[i] = (const void *)(uintptr_t)b.memory[i]; // NOLINT(performance-no-int-to-ptr)
  }
  return b;
}

/* Bytes of a sample, and what its codes are multiplied with. */
static void sample_of(uint32_t pixel_format, uint32_t *bytes, uint32_t *step) {
  bool wide = pixel_format == CUFRAMES_PIXEL_P010 || pixel_format == CUFRAMES_PIXEL_GRAY16 ||
              pixel_format == CUFRAMES_PIXEL_YUV420P10 || pixel_format == CUFRAMES_PIXEL_YUV422P10;
  *bytes = wide ? 2 : 1;
  *step = pixel_format == CUFRAMES_PIXEL_P010 ? 64 : 1;
}

static uint32_t apart(const uint8_t *a, const uint8_t *b, size_t bytes, uint32_t sample, uint32_t step) {
  uint32_t worst = 0;
  for (size_t i = 0; i + sample <= bytes; i += sample) {
    int first = sample == 1 ? a[i] : a[i] | a[i + 1] << 8, second = sample == 1 ? b[i] : b[i] | b[i + 1] << 8;
    uint32_t distance = (uint32_t)abs(first - second);
    worst = distance > worst ? distance : worst;
  }
  return (worst + step - 1) / step;
}

uint32_t both_distance(const both_picture *b) {
  const cuframes_format *f = &b->host->format;
  uint32_t worst = 0, sample, step;
  sample_of(f->pixel_format, &sample, &step);
  for (int i = 0; i < cuframes_pixel_format_planes(f->pixel_format); i++) {
    uint32_t row_bytes, rows;
    CHECK_OK(cuframes_format_plane_size(f, i, &row_bytes, &rows));
    size_t bytes = (size_t)(rows - 1) * f->pitch[i] + row_bytes;
    uint8_t *fetched = malloc(bytes);
    CHECK(fetched != NULL);
    CHECK_OK(cu.cuMemcpyDtoH(fetched, b->memory[i], bytes));
    uint32_t distance = apart(fetched, b->host->picture.plane[i], bytes, sample, step);
    worst = distance > worst ? distance : worst;
    free(fetched);
  }
  return worst;
}

void both_free(both_picture *b) {
  for (int i = 0; i < CUFRAMES_PLANES; i++)
    if (b->memory[i])
      CHECK_OK(cu.cuMemFree(b->memory[i]));
  test_picture_free(b->host);
}

void twins_begin(twins *t, cuframes_preprocess_options options) {
  cuframes_format format;
  uint64_t bytes;
  *t = (twins){ .options = options };
  t->options.struct_size = sizeof t->options;
  t->options.device = NULL;
  CHECK_OK(cuframes_preprocess_create(&t->options, &t->host));
  t->options.device = "cuda";
  CHECK_OK(cuframes_preprocess_create(&t->options, &t->gpu));
  uint32_t capacity = options.capacity ? options.capacity : 64;
  CHECK_OK(cuframes_preprocess_format(t->host, 1, &format));
  CHECK_OK(cuframes_format_layout(&format, 0, &bytes));
  t->bytes = bytes;
  t->wanted = malloc(bytes * capacity);
  t->got = malloc(bytes * capacity);
  CHECK(t->wanted && t->got);
  CHECK_OK(cu.cuMemAlloc(&t->memory, bytes * capacity));
}

void twins_end(twins *t) {
  cuframes_preprocess_destroy(t->host);
  cuframes_preprocess_destroy(t->gpu);
  CHECK_OK(cu.cuMemFree(t->memory));
  free(t->wanted);
  free(t->got);
}

void twins_fetch(twins *t, uint32_t count, cu_stream stream) {
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK_OK(cu.cuMemcpyDtoH(t->got, t->memory, t->bytes * count));
}

void twins_run(twins *t, const both_picture *pictures, uint32_t count, cu_stream stream) {
  cuframes_picture *list = calloc(count, 2 * sizeof *list);
  cuframes_geometry *geometry = calloc(count, 2 * sizeof *geometry);
  CHECK(list && geometry);
  for (uint32_t i = 0; i < count; i++) {
    list[i] = pictures[i].host ? pictures[i].host->picture : (cuframes_picture){ 0 };
    list[count + i] = pictures[i].gpu;
    if (pictures[i].host)
      list[i].crop = pictures[i].gpu.crop;
  }
  memset(t->wanted, 0x5a, t->bytes * count);
  CHECK_OK(cu.cuMemsetD8Async(t->memory, 0x5a, t->bytes * count, stream));
  CHECK_OK(cuframes_preprocess_run(t->host, list, count, t->wanted, NULL, geometry));
  void *tensor = (void *)(uintptr_t)t->memory; // NOLINT(performance-no-int-to-ptr)
  CHECK_OK(cuframes_preprocess_run(t->gpu, list + count, count, tensor, stream, geometry + count));
  CHECK(memcmp(geometry, geometry + count, count * sizeof *geometry) == 0);
  twins_fetch(t, count, stream);
  free(list);
  free(geometry);
}

static double half_value(uint16_t half) {
  int exponent = half >> 10 & 31;
  double fraction = half & 1023;
  double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
  return half >> 15 ? -value : value;
}

static double element(const twins *t, const void *tensor, size_t i) {
  if (t->options.element == CUFRAMES_ELEMENT_UINT8)
    return ((const uint8_t *)tensor)[i];
  if (t->options.element == CUFRAMES_ELEMENT_FLOAT16)
    return half_value(((const uint16_t *)tensor)[i]);
  return ((const float *)tensor)[i];
}

double twins_distance(const twins *t, uint32_t count) {
  uint32_t kind = t->options.element ? t->options.element : CUFRAMES_ELEMENT_FLOAT32;
  double worst = 0, scale = t->options.scale != 0 ? t->options.scale : kind == CUFRAMES_ELEMENT_UINT8 ? 1 : 1 / 255.0;
  for (size_t i = 0; i < t->bytes / cuframes_element_size(kind) * count; i++) {
    double apart = fabs(element(t, t->got, i) - element(t, t->wanted, i)) / scale;
    if (!(apart <= worst)) /* a NaN, too */
      worst = apart;
  }
  return worst;
}
