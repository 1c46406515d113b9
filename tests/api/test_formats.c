/* test_formats.c - pictures of every format and size: planes, pitches, offsets, copies from and to host memory. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/stream.h"

static const uint32_t sizes[][2] = { { 1, 1 },   { 2, 2 },   { 3, 1 },     { 1, 3 },     { 17, 13 },
                                     { 64, 64 }, { 65, 63 }, { 641, 359 }, { 65535, 1 }, { 1, 65535 } };
#define SIZES (sizeof sizes / sizeof sizes[0])

static uint8_t noise(size_t at) {
  return (uint8_t)(at * 2654435761u >> 13);
}

/* Host rows of a plane, `pitch` apart, with something else between them. */
static uint8_t *host_plane(uint32_t row_bytes, uint32_t rows, size_t pitch) {
  uint8_t *host = malloc(pitch * rows);
  CHECK(host != NULL);
  memset(host, 0xee, pitch * rows);
  for (uint32_t y = 0; y < rows; y++)
    for (uint32_t x = 0; x < row_bytes; x++)
      host[y * pitch + x] = noise((size_t)y * row_bytes + x);
  return host;
}

static void check_plane(cuframes_frame *frame, int plane, const uint8_t *wanted, size_t pitch, uint32_t row_bytes,
                        uint32_t rows) {
  const uint8_t *row = cuframes_frame_plane(frame, plane);
  uint8_t *copy = calloc(rows, pitch);
  CHECK(copy != NULL);
  CHECK_OK(cuframes_frame_copy_to_host(frame, plane, copy, 0));
  for (uint32_t y = 0; y < rows; y++, row += cuframes_frame_pitch(frame, plane)) {
    assert_memory_equal(row, wanted + y * pitch, row_bytes);
    assert_memory_equal(copy + (size_t)y * row_bytes, wanted + y * pitch, row_bytes);
  }
  memset(copy, 0xcc, rows * pitch);
  CHECK_OK(cuframes_frame_copy_to_host(frame, plane, copy, pitch));
  for (uint32_t y = 0; y < rows; y++) {
    assert_memory_equal(copy + y * pitch, wanted + y * pitch, row_bytes);
    for (size_t x = row_bytes; x < pitch; x++)
      assert_int_equal(copy[y * pitch + x], 0xcc); /* beside the rows nothing is touched */
  }
  if (row_bytes > 1)
    CHECK_RESULT(cuframes_frame_copy_to_host(frame, plane, copy, row_bytes - 1), CUFRAMES_ERR_INVALID);
  free(copy);
}

static void round_trip(cuframes_publisher *publisher, cuframes_subscriber *subscriber, size_t extra) {
  cuframes_frame *open = NULL;
  uint32_t row_bytes, rows;
  uint8_t *planes[CUFRAMES_PLANES] = { NULL };
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  int count = cuframes_pixel_format_planes(cuframes_frame_pixel_format(open));
  CHECK_BETWEEN(count, 1, CUFRAMES_PLANES);
  for (int i = 0; i < count; i++) {
    CHECK_OK(cuframes_format_plane_size(cuframes_frame_format(open), i, &row_bytes, &rows));
    planes[i] = host_plane(row_bytes, rows, row_bytes + extra);
    CHECK_OK(cuframes_frame_copy_from_host(open, i, planes[i], row_bytes + extra));
  }
  CHECK_OK(cuframes_publisher_publish(publisher, open, NULL));
  cuframes_frame *frame = frame_take(subscriber);
  for (int i = 0; i < count; i++) {
    CHECK_OK(cuframes_format_plane_size(cuframes_frame_format(frame), i, &row_bytes, &rows));
    assert_true(cuframes_frame_pitch(frame, i) >= row_bytes);
    check_plane(frame, i, planes[i], row_bytes + extra, row_bytes, rows);
    free(planes[i]);
  }
  uint8_t byte;
  assert_null(cuframes_frame_plane(frame, count));
  assert_null(cuframes_frame_plane(frame, -1));
  assert_int_equal(cuframes_frame_pitch(frame, count), 0);
  assert_int_equal(cuframes_frame_pitch(frame, -1), 0);
  CHECK_RESULT(cuframes_frame_copy_to_host(frame, count, &byte, 0), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_copy_to_host(frame, -1, &byte, 0), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_copy_to_host(frame, 0, NULL, 0), CUFRAMES_ERR_INVALID);
  cuframes_frame_release(frame);
}

static void every_format_in_odd_sizes(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  for (uint32_t kind = CUFRAMES_PIXEL_NV12; kind <= CUFRAMES_PIXEL_RGBP; kind++) {
    assert_int_equal(cuframes_pixel_format_from_name(cuframes_pixel_format_name(kind)), kind);
    for (size_t i = 0; i < SIZES; i++) {
      cuframes_format format = { .pixel_format = kind, .width = sizes[i][0], .height = sizes[i][1] };
      CHECK_OK(cuframes_publisher_set_format(publisher, &format));
      round_trip(publisher, subscriber, i % 3);
    }
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void chroma_is_rounded_up(void **state) {
  (void)state;
  static const struct {
    uint32_t kind;
    int plane;
    uint32_t row_bytes, rows;
  } expected[] = {
    { CUFRAMES_PIXEL_NV12, 0, 5, 3 },       { CUFRAMES_PIXEL_NV12, 1, 6, 2 },
    { CUFRAMES_PIXEL_P010, 0, 10, 3 },      { CUFRAMES_PIXEL_P010, 1, 12, 2 },
    { CUFRAMES_PIXEL_YUV420P, 0, 5, 3 },    { CUFRAMES_PIXEL_YUV420P, 2, 3, 2 },
    { CUFRAMES_PIXEL_YUV422P, 1, 3, 3 },    { CUFRAMES_PIXEL_YUV444P, 1, 5, 3 },
    { CUFRAMES_PIXEL_YUV444P, 2, 5, 3 },    { CUFRAMES_PIXEL_GRAY8, 0, 5, 3 },
    { CUFRAMES_PIXEL_RGB24, 0, 15, 3 },     { CUFRAMES_PIXEL_RGBA, 0, 20, 3 },
    { CUFRAMES_PIXEL_BGRA, 0, 20, 3 },      { CUFRAMES_PIXEL_BGR24, 0, 15, 3 },
    { CUFRAMES_PIXEL_YUYV422, 0, 12, 3 },   { CUFRAMES_PIXEL_UYVY422, 0, 12, 3 },
    { CUFRAMES_PIXEL_GRAY16, 0, 10, 3 },    { CUFRAMES_PIXEL_YUV420P10, 0, 10, 3 },
    { CUFRAMES_PIXEL_YUV420P10, 1, 6, 2 },  { CUFRAMES_PIXEL_YUV420P10, 2, 6, 2 },
    { CUFRAMES_PIXEL_YUV422P10, 0, 10, 3 }, { CUFRAMES_PIXEL_YUV422P10, 1, 6, 3 },
    { CUFRAMES_PIXEL_YUV422P10, 2, 6, 3 },  { CUFRAMES_PIXEL_RGBP, 0, 5, 3 },
    { CUFRAMES_PIXEL_RGBP, 1, 5, 3 },       { CUFRAMES_PIXEL_RGBP, 2, 5, 3 },
  };
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    cuframes_format format = { .pixel_format = expected[i].kind, .width = 5, .height = 3 };
    uint32_t row_bytes, rows;
    CHECK_OK(cuframes_format_plane_size(&format, expected[i].plane, &row_bytes, &rows));
    assert_int_equal(row_bytes, expected[i].row_bytes);
    assert_int_equal(rows, expected[i].rows);
  }
}

static void given_pitches_and_offsets_are_kept(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  options.format = (cuframes_format){
    .pixel_format = CUFRAMES_PIXEL_YUV420P,
    .width = 33,
    .height = 7,
    .pitch = { 100, 41, 17 },
    .offset = { 5000, 200, 13 }, /* last plane first, with holes */
  };
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  round_trip(publisher, subscriber, 3);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *frame = frame_take(subscriber);
  assert_true(picture_is(frame, 1));
  const uint8_t *last = cuframes_frame_plane(frame, 2);
  assert_ptr_equal(cuframes_frame_plane(frame, 0), last + 5000 - 13);
  assert_ptr_equal(cuframes_frame_plane(frame, 1), last + 200 - 13);
  for (int i = 0; i < 3; i++)
    assert_int_equal(cuframes_frame_pitch(frame, i), options.format.pitch[i]);
  assert_memory_equal(cuframes_frame_format(frame)->offset, options.format.offset, sizeof options.format.offset);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* Where a decoder writes more than is visible, nobody else's picture is. */
static void padding_is_the_publisher_s_alone(void **state) {
  (void)state;
  enum { OPEN = 4, PADDING = 12345 };
  cuframes_publisher_options options = publisher_options();
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 33, .height = 7 };
  uint64_t bare = 0, padded = 0;
  CHECK_OK(cuframes_format_layout(&options.format, 0, &bare));
  options.format.padding = PADDING;
  CHECK_OK(cuframes_format_layout(&options.format, 0, &padded));
  assert_int_equal(padded, bare + PADDING);
  options.max_open = OPEN;
  options.slots = 1 + OPEN;
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_frame *open[OPEN];
  for (int i = 0; i < OPEN; i++) {
    CHECK_OK(cuframes_publisher_acquire(publisher, &open[i]));
    assert_int_equal(cuframes_frame_format(open[i])->padding, PADDING);
    memset(cuframes_frame_plane(open[i], 0), i + 1, bare);
  }
  for (int i = 0; i < OPEN; i++) /* the last slot of the memory has its padding, too */
    memset((uint8_t *)cuframes_frame_plane(open[i], 0) + bare, 0xee, PADDING);
  for (int i = 0; i < OPEN; i++) {
    CHECK_OK(cuframes_publisher_publish(publisher, open[i], NULL));
    cuframes_frame *frame = frame_take(subscriber);
    const uint8_t *row = cuframes_frame_plane(frame, 0);
    for (uint64_t x = 0; x < bare; x++)
      assert_int_equal(row[x], i + 1);
    assert_int_equal(cuframes_frame_format(frame)->padding, 0);
    cuframes_frame_release(frame);
  }
  options.format.padding = 0; /* another layout: the format changes */
  CHECK_OK(cuframes_publisher_set_format(publisher, &options.format));
  pictures_publish(publisher, OPEN + 1, 1);
  assert_int_equal(frame_look(subscriber), OPEN + 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void impossible_formats_are_refused_and_say_why(void **state) {
  (void)state;
  static const struct {
    cuframes_format format;
    const char *named;
  } bad[] = {
    { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 0, .height = 4 }, "0x4" },
    { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 4, .height = 0 }, "4x0" },
    { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 65536, .height = 4 }, "65536" },
    { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 4, .height = UINT32_MAX }, "4294967295" },
    { { .pixel_format = CUFRAMES_PIXEL_NONE, .width = 4, .height = 4 }, "0" },
    { { .pixel_format = CUFRAMES_PIXEL_TENSOR + 1, .width = 4, .height = 4 }, "18" },
    { { .pixel_format = UINT32_MAX, .width = 4, .height = 4 }, "4294967295" },
    { { .pixel_format = CUFRAMES_PIXEL_RGBA, .width = 4, .height = 4, .pitch = { 15 } }, "15" },
    { { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 4, .height = 4, .pitch = { (uint32_t)-64 } }, "4294967232" },
    { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 4, .height = 4, .offset = { 0, 3 } }, "overlap" },
    { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 4, .height = 4, .offset = { 0, UINT64_MAX - 8 } }, "far" },
    { { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 4, .height = 4, .offset = { UINT64_MAX } }, "far" },
  };
  cuframes_publisher *publisher = publisher_new("s"), *none = NULL;
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cuframes_publisher_options options = publisher_options();
    options.format = bad[i].format;
    CHECK_RESULT(cuframes_publisher_create("t", &options, &none), CUFRAMES_ERR_FORMAT);
    detail_names(bad[i].named);
    assert_null(none);
    cuframes_format untouched = bad[i].format;
    uint64_t bytes = 77;
    CHECK_RESULT(cuframes_format_layout(&untouched, 0, &bytes), CUFRAMES_ERR_FORMAT);
    assert_memory_equal(&untouched, &bad[i].format, sizeof untouched);
    assert_int_equal(bytes, 77);
    CHECK_RESULT(cuframes_publisher_set_format(publisher, &bad[i].format), CUFRAMES_ERR_FORMAT);
    pictures_publish(publisher, i + 1, 1); /* the old format stays */
    assert_int_equal(frame_look(subscriber), i + 1);
  }
  assert_int_equal(fixture_files(), 2);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* What a caller left in the fields of planes that a format does not have is no difference between two formats. */
static void planes_that_there_are_not_say_nothing(void **state) {
  (void)state;
  for (uint32_t kind = 1; cuframes_pixel_format_planes(kind) > 0; kind++) {
    if (kind == CUFRAMES_PIXEL_TENSOR)
      continue;
    cuframes_format clean = { .pixel_format = kind, .width = 33, .height = 17 }, left = clean;
    uint64_t bytes = 0, same = 1;
    for (int i = cuframes_pixel_format_planes(kind); i < CUFRAMES_PLANES; i++) {
      left.pitch[i] = 4711;
      left.offset[i] = UINT64_MAX;
    }
    CHECK_OK(cuframes_format_layout(&clean, 0, &bytes));
    CHECK_OK(cuframes_format_layout(&left, 0, &same));
    assert_memory_equal(&left, &clean, sizeof clean);
    assert_true(bytes == same);
  }
}

static void a_frame_too_large_for_memory_is_no_memory(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = publisher_new("s"), *none = NULL;
  /* A library that tried would have the kernel kill the whole machine's processes for memory: not here. */
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  limit = (struct rlimit){ .rlim_cur = 1 << 20, .rlim_max = before.rlim_max };
  (void)signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  options.format = (cuframes_format){
    .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 65535, .height = 65535, .pitch = { INT32_MAX }
  };
  options.slots = options.max_slots = 1024;
  CHECK_RESULT(cuframes_publisher_create("t", &options, &none), CUFRAMES_ERR_NO_MEMORY);
  detail_names("available");
  CHECK_RESULT(cuframes_publisher_set_format(publisher, &options.format), CUFRAMES_ERR_NO_MEMORY);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  pictures_publish(publisher, 1, 3);
  assert_int_equal(fixture_files(), 2);
  cuframes_publisher_destroy(publisher);
}

static void the_format_changes_while_frames_are_open(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 8, .height = 8 };
  cuframes_frame *open[3] = { NULL };
  options.max_open = 3;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  for (int i = 0; i < 2; i++) {
    CHECK_OK(cuframes_publisher_acquire(publisher, &open[i]));
    picture_draw(open[i], (uint64_t)i + 1);
  }
  CHECK_OK(cuframes_publisher_set_format(publisher, &format));
  CHECK_OK(cuframes_publisher_acquire(publisher, &open[2]));
  assert_int_equal(cuframes_frame_width(open[2]), 8);
  for (int i = 0; i < 3; i++) /* those of before in their own format */
    CHECK_OK(cuframes_publisher_publish(publisher, open[i], NULL));
  for (uint64_t i = 0; i < 3; i++) {
    cuframes_frame *frame = frame_take(subscriber);
    assert_int_equal(cuframes_frame_seq(frame), i + 1);
    assert_true(i == 2 ? cuframes_frame_width(frame) == 8 : picture_is(frame, i + 1));
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  for (uint64_t number = 4; publisher_stats(publisher).segments > 1; number++)
    pictures_publish(publisher, number, 1); /* until the old memory has gone, or the test hangs */
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(every_format_in_odd_sizes),
    FIXTURE(chroma_is_rounded_up),
    FIXTURE(given_pitches_and_offsets_are_kept),
    FIXTURE(padding_is_the_publisher_s_alone),
    FIXTURE(impossible_formats_are_refused_and_say_why),
    FIXTURE(planes_that_there_are_not_say_nothing),
    FIXTURE(a_frame_too_large_for_memory_is_no_memory),
    FIXTURE(the_format_changes_while_frames_are_open),
  };
  return FIXTURE_RUN("formats", tests);
}
