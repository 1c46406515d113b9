/* test_refused.c - what a preprocess and a compositor do not take: an error of the right kind, a sentence that says
 * what was expected, and nothing written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "vision/reference.h"

#define WIDTH 24
#define HEIGHT 16

/* The last failure was told, and the sentence has that in it. */
static void check_detail(const char *word) {
  if (!strstr(cuframes_last_error(), word))
    fail_msg("the detail is \"%s\", without \"%s\"", cuframes_last_error(), word);
}

static cuframes_preprocess_options options_of(void) {
  return (cuframes_preprocess_options){
    .struct_size = sizeof(cuframes_preprocess_options), .width = WIDTH, .height = HEIGHT, .capacity = 4
  };
}

static cuframes_preprocess *preprocess_new(void) {
  cuframes_preprocess_options options = options_of();
  cuframes_preprocess *preprocess = NULL;
  CHECK_OK(cuframes_preprocess_create(&options, &preprocess));
  return preprocess;
}

static void refuse_options(const cuframes_preprocess_options *options, const char *word) {
  cuframes_preprocess *preprocess = NULL;
  CHECK_RESULT(cuframes_preprocess_create(options, &preprocess), CUFRAMES_ERR_INVALID);
  check_detail(word);
  assert_null(preprocess);
}

static void options(void **state) {
  (void)state;
  cuframes_preprocess *preprocess = NULL;
  const float bad[] = { NAN, INFINITY, -INFINITY };
  CHECK_RESULT(cuframes_preprocess_create(NULL, &preprocess), CUFRAMES_ERR_INVALID);
  cuframes_preprocess_options o = options_of();
  CHECK_RESULT(cuframes_preprocess_create(&o, NULL), CUFRAMES_ERR_INVALID);
#define REFUSE(field, value, word)                                                                                     \
  do {                                                                                                                 \
    o = options_of();                                                                                                  \
    o.field = value;                                                                                                   \
    refuse_options(&o, word);                                                                                          \
  } while (0)
  REFUSE(struct_size, 0, "struct_size");
  REFUSE(struct_size, 3, "struct_size");
  REFUSE(width, 0, "0x16");
  REFUSE(height, 8193, "24x8193");
  REFUSE(element, CUFRAMES_ELEMENT_INT8, "int8");
  REFUSE(element, 77, "77");
  REFUSE(layout, 2, "layout 2");
  REFUSE(channels, 3, "channels 3");
  REFUSE(fit, 4, "fit 4");
  REFUSE(filter, 2, "filter 2");
  REFUSE(capacity, 4097, "4097");
  REFUSE(reserved[3], 1, "reserved");
  REFUSE(std[1], -1, "std[1]");
  REFUSE(padding[2], 256, "padding[2]");
  REFUSE(padding[0], -1, "padding[0]");
  for (size_t i = 0; i < 3; i++) {
    REFUSE(scale, bad[i], "scale");
    REFUSE(mean[2], bad[i], "mean[2]");
    REFUSE(std[0], bad[i], "std[0]");
    REFUSE(padding[1], bad[i], "padding[1]");
  }
  o = options_of();
  o.scale = 1e38f;
  o.std[2] = 1e-30f;
  refuse_options(&o, "std[2]");
  /* Of a newer caller: what this library does not know must not be set. */
  struct {
    cuframes_preprocess_options known;
    uint64_t more;
  } newer = { .known = options_of() };
  newer.known.struct_size = sizeof newer;
  CHECK_OK(cuframes_preprocess_create(&newer.known, &preprocess));
  cuframes_preprocess_destroy(preprocess);
  newer.more = 1;
  refuse_options(&newer.known, "does not know");
  /* Of an older one: what it does not have is 0. */
  o = options_of();
  o.struct_size = offsetof(cuframes_preprocess_options, element);
  o.element = 99;
  CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
  cuframes_preprocess_destroy(preprocess);
  cuframes_preprocess_destroy(NULL);
}

static void devices(void **state) {
  (void)state;
  static const char *const names[] = { "", "hosts", "host:1", "vulkan", "Host", "cud" };
  cuframes_compositor_options c = { .struct_size = sizeof c };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    cuframes_preprocess_options o = options_of();
    cuframes_preprocess *preprocess = NULL;
    cuframes_compositor *compositor = NULL;
    o.device = c.device = names[i];
    CHECK_RESULT(cuframes_preprocess_create(&o, &preprocess), CUFRAMES_ERR_UNSUPPORTED);
    check_detail("no device");
    CHECK_RESULT(cuframes_compositor_create(&c, &compositor), CUFRAMES_ERR_UNSUPPORTED);
    assert_null(preprocess);
    assert_null(compositor);
  }
  cuframes_preprocess *preprocess = preprocess_new();
  assert_string_equal(cuframes_preprocess_device(preprocess), "host");
  assert_null(cuframes_preprocess_device(NULL));
  assert_null(cuframes_compositor_device(NULL));
  cuframes_preprocess_destroy(preprocess);
}

/* ---- pictures ---- */

typedef struct fixture {
  cuframes_preprocess *preprocess;
  test_picture *picture;
  float tensor[4 * 3 * WIDTH * HEIGHT], before[4 * 3 * WIDTH * HEIGHT];
  cuframes_picture pictures[2]; /* the first one is good */
} fixture;

static fixture *fixture_new(uint32_t pixel_format) {
  fixture *f = calloc(1, sizeof *f);
  CHECK(f != NULL);
  f->preprocess = preprocess_new();
  f->picture =
      test_picture_new((cuframes_format){ .pixel_format = pixel_format, .width = 20, .height = 10 }, CONTENT_SMOOTH, 1);
  f->pictures[0] = f->pictures[1] = f->picture->picture;
  memset(f->tensor, 0x77, sizeof f->tensor);
  memcpy(f->before, f->tensor, sizeof f->tensor);
  return f;
}

static void fixture_free(fixture *f) {
  cuframes_preprocess_destroy(f->preprocess);
  test_picture_free(f->picture);
  free(f);
}

/* The second picture is refused, so neither is made. */
static void refuse_picture(fixture *f, int error, const char *word) {
  cuframes_geometry geometry[2], before[2];
  memset(geometry, 0x33, sizeof geometry);
  memcpy(before, geometry, sizeof geometry);
  CHECK_RESULT(cuframes_preprocess_run(f->preprocess, f->pictures, 2, f->tensor, NULL, geometry), error);
  check_detail(word);
  check_detail("picture 1");
  CHECK_RESULT(cuframes_preprocess_set(f->preprocess, f->pictures, 2, NULL, geometry), error);
  assert_memory_equal(f->tensor, f->before, sizeof f->tensor);
  assert_memory_equal(geometry, before, sizeof geometry);
  f->pictures[1] = f->picture->picture;
}

static void crops(void **state) {
  (void)state;
  const float odd[] = { NAN, INFINITY, -INFINITY, -1, 1e30f, -1e30f, 3.4e38f };
  static const cuframes_rectangle outside[] = {
    { 0, 0, 21, 10 },   { 0, 0, 20, 10.5f }, { 1, 0, 20, 10 }, { 0, 1, 20, 10 }, { 20, 0, 5, 5 },
    { 0, 10, 5, 5 },    { 5, 5, 0, 5 },      { 5, 5, 5, 0 },   { 5, 5, 0, 0 },   { 1, 1, -1, -1 },
    { 5, 5, 1e-6f, 5 }, { -0.5f, 0, 2, 2 },  { 0, 0, 0, 10 },
  };
  fixture *f = fixture_new(CUFRAMES_PIXEL_NV12);
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    f->pictures[1].crop = outside[i];
    refuse_picture(f, CUFRAMES_ERR_INVALID, "crop");
  }
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
    for (int field = 0; field < 4; field++) {
      float numbers[4] = { 2, 2, 3, 3 };
      numbers[field] = odd[i];
      memcpy(&f->pictures[1].crop, numbers, sizeof numbers);
      refuse_picture(f, CUFRAMES_ERR_INVALID, "crop");
    }
  fixture_free(f);
}

static void planes(void **state) {
  (void)state;
  fixture *f = fixture_new(CUFRAMES_PIXEL_P010);
  cuframes_format *format = &f->picture->format;
  const cuframes_format good = *format;
  cuframes_format other = good;
  f->pictures[1].plane[1] = NULL;
  refuse_picture(f, CUFRAMES_ERR_INVALID, "plane 1 of p010 is NULL");
  f->pictures[1].plane[0] = (const char *)f->picture->memory[0] + 1;
  refuse_picture(f, CUFRAMES_ERR_INVALID, "16-bit");
  f->pictures[1].format = NULL;
  refuse_picture(f, CUFRAMES_ERR_INVALID, "no format");
  f->pictures[1].reserved[2] = 1;
  refuse_picture(f, CUFRAMES_ERR_INVALID, "reserved");
  f->pictures[1].device = "cuda:GPU-00000000-0000-0000-0000-000000000000";
  refuse_picture(f, CUFRAMES_ERR_INVALID, "cuda:GPU-00000000");
#define FORMAT(change, error, word)                                                                                    \
  do {                                                                                                                 \
    other = good;                                                                                                      \
    change;                                                                                                            \
    f->pictures[1].format = &other;                                                                                    \
    refuse_picture(f, error, word);                                                                                    \
  } while (0)
  FORMAT(other.pitch[1] = 0, CUFRAMES_ERR_INVALID, "pitch of plane 1 is 0");
  FORMAT(other.pitch[0] = 39, CUFRAMES_ERR_FORMAT, "pitch of 39");
  FORMAT(other.pitch[0] = 65, CUFRAMES_ERR_INVALID, "odd");
  FORMAT(other.pitch[0] = UINT32_MAX, CUFRAMES_ERR_FORMAT, "pitch");
  FORMAT(other.width = 0, CUFRAMES_ERR_FORMAT, "size 0x10");
  FORMAT(other.height = 70000, CUFRAMES_ERR_FORMAT, "20x70000");
  FORMAT(other.pixel_format = 99, CUFRAMES_ERR_FORMAT, "99");
  FORMAT(other.pixel_format = 0, CUFRAMES_ERR_FORMAT, "pixel format 0");
  FORMAT(other.color.range = 3, CUFRAMES_ERR_FORMAT, "range 3");
  FORMAT(other.chroma_location = 7, CUFRAMES_ERR_FORMAT, "chroma location 7");
  FORMAT(other.color.matrix = 14, CUFRAMES_ERR_FORMAT, "matrix 14");
  FORMAT(other.color.matrix = 8, CUFRAMES_ERR_FORMAT, "matrix 8");
  FORMAT(other.color.matrix = 255, CUFRAMES_ERR_FORMAT, "matrix 255");
  FORMAT(other.reserved[0] = 1, CUFRAMES_ERR_FORMAT, "reserved");
  cuframes_format tensor = { .pixel_format = CUFRAMES_PIXEL_TENSOR, .tensor = { CUFRAMES_ELEMENT_UINT8, 1, { 9 } } };
  CHECK_OK(cuframes_format_layout(&tensor, 0, NULL));
  FORMAT(other = tensor, CUFRAMES_ERR_FORMAT, "tensor");
  /* Offsets are not looked at: these planes are not where their format has them. */
  format->offset[0] = format->offset[1] = 12345;
  CHECK_OK(cuframes_preprocess_run(f->preprocess, f->pictures, 2, f->tensor, NULL, NULL));
  f->pictures[1].device = "host";
  CHECK_OK(cuframes_preprocess_run(f->preprocess, f->pictures, 2, f->tensor, NULL, NULL));
  fixture_free(f);
}

static void calls(void **state) {
  (void)state;
  fixture *f = fixture_new(CUFRAMES_PIXEL_GRAY8);
  cuframes_format format = { 0 };
  cuframes_preprocess *p = f->preprocess;
  CHECK_RESULT(cuframes_preprocess_run(NULL, f->pictures, 1, f->tensor, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_run(p, NULL, 1, f->tensor, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_run(p, f->pictures, 0, f->tensor, NULL, NULL), CUFRAMES_ERR_INVALID);
  check_detail("1 to 4");
  CHECK_RESULT(cuframes_preprocess_run(p, f->pictures, 5, f->tensor, NULL, NULL), CUFRAMES_ERR_INVALID);
  check_detail("5 pictures");
  CHECK_RESULT(cuframes_preprocess_run(p, f->pictures, 1, NULL, NULL, NULL), CUFRAMES_ERR_INVALID);
  check_detail("no tensor");
  CHECK_RESULT(cuframes_preprocess_run(p, f->pictures, 1, (char *)f->tensor + 2, NULL, NULL), CUFRAMES_ERR_INVALID);
  check_detail("aligned");
  CHECK_RESULT(cuframes_preprocess_set(NULL, f->pictures, 1, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_set(p, NULL, 1, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_set(p, f->pictures, 5, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_launch(NULL, 1, f->tensor, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_launch(p, 0, f->tensor, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_launch(p, 5, f->tensor, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_launch(p, 1, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_format(NULL, 1, &format), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_format(p, 1, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_preprocess_format(p, 5, &format), CUFRAMES_ERR_INVALID);
  assert_memory_equal(f->tensor, f->before, sizeof f->tensor);
  cuframes_preprocess_options large = options_of();
  cuframes_preprocess *most = NULL;
  large.width = large.height = CUFRAMES_PREPROCESS_SIZE_MAX;
  large.capacity = CUFRAMES_PREPROCESS_CAPACITY_MAX;
  CHECK_OK(cuframes_preprocess_create(&large, &most));
  CHECK_OK(cuframes_preprocess_format(most, 1, &format));
  CHECK_OK(cuframes_preprocess_format(most, large.capacity, &format)); /* the largest is one that a stream may have */
  memset(&format, 0, sizeof format);
  cuframes_preprocess_destroy(most);
  assert_int_equal(format.pixel_format, 0);
  CHECK_OK(cuframes_preprocess_format(p, 3, &format));
  assert_int_equal(format.tensor.dims, 4);
  assert_int_equal(format.tensor.size[0], 3);
  assert_int_equal(format.tensor.size[2], HEIGHT);
  fixture_free(f);
}

static void frames(void **state) {
  (void)state;
  cuframes_picture picture = { 0 };
  cuframes_publisher_options options = { .struct_size = sizeof options, .directory = fixture_directory() };
  cuframes_publisher *publisher = NULL;
  cuframes_frame *frame = NULL;
  static const cuframes_format tensor = { .pixel_format = CUFRAMES_PIXEL_TENSOR,
                                          .tensor = { CUFRAMES_ELEMENT_UINT8, 1, { 9 } } };
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_YUV422P, .width = 7, .height = 5 };
  CHECK_RESULT(cuframes_picture_from_frame(NULL, &picture), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_picture_from_frame(frame, NULL), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_picture_from_frame(frame, &picture));
  assert_ptr_equal(picture.format, cuframes_frame_format(frame));
  for (int i = 0; i < CUFRAMES_PLANES; i++)
    assert_ptr_equal(picture.plane[i], cuframes_frame_plane(frame, i));
  assert_string_equal(picture.device, "host");
  assert_true(picture.crop.width == 0);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  CHECK_OK(cuframes_publisher_set_format(publisher, &tensor));
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_picture_from_frame(frame, &picture), CUFRAMES_ERR_FORMAT);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  cuframes_publisher_destroy(publisher);
}

static void compositors(void **state) {
  (void)state;
  cuframes_compositor *compositor = NULL;
  cuframes_compositor_options o = { .struct_size = sizeof o, .capacity = CUFRAMES_COMPOSITOR_CAPACITY_MAX + 1 };
  CHECK_RESULT(cuframes_compositor_create(NULL, &compositor), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_compositor_create(&o, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_compositor_create(&o, &compositor), CUFRAMES_ERR_INVALID);
  check_detail("65537 layers");
  o.capacity = 1;
  o.reserved[0] = 1;
  CHECK_RESULT(cuframes_compositor_create(&o, &compositor), CUFRAMES_ERR_INVALID);
  assert_null(compositor);
  CHECK_RESULT(cuframes_compositor_run(NULL, NULL, 0, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_compositor_run_part(NULL, NULL, 0, NULL, NULL, 0, 1), CUFRAMES_ERR_INVALID);
  cuframes_compositor_destroy(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(options), FIXTURE(devices), FIXTURE(crops),       FIXTURE(planes),
    FIXTURE(calls),   FIXTURE(frames),  FIXTURE(compositors),
  };
  return FIXTURE_RUN("vision/refused", tests);
}
