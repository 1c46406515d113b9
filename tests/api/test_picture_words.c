/* test_picture_words.c - what a format and a track say beside their sizes: chroma, fields, orientation, aspect, colour;
 * and formats that are no pictures. */
#include <stdlib.h>
#include <string.h>

#include <cuframes/monitor.h>

#include "support/packets.h"
#include "support/stream.h"

/* Every word set, each to another value. */
static cuframes_format wordy_format(void) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_YUV420P,
                            .width = 33,
                            .height = 7,
                            .color = { .matrix = 5, .range = 2, .primaries = 6, .transfer = 1 },
                            .chroma_location = CUFRAMES_CHROMA_BOTTOM,
                            .field_order = CUFRAMES_FIELDS_BOTTOM_FIRST,
                            .orientation = CUFRAMES_ORIENTATION_LEFT_BOTTOM,
                            .sample_aspect_num = 64,
                            .sample_aspect_den = 45 };
}

static void same_words(const cuframes_format *one, const cuframes_format *other) {
  assert_memory_equal(&one->color, &other->color, sizeof one->color);
  assert_int_equal(one->chroma_location, other->chroma_location);
  assert_int_equal(one->field_order, other->field_order);
  assert_int_equal(one->orientation, other->orientation);
  assert_int_equal(one->sample_aspect_num, other->sample_aspect_num);
  assert_int_equal(one->sample_aspect_den, other->sample_aspect_den);
  assert_memory_equal(&one->tensor, &other->tensor, sizeof one->tensor);
}

/* With a frame, and when somebody asks. */
static void arrives(cuframes_publisher *publisher, cuframes_subscriber *subscriber, const cuframes_format *format,
                    bool is_new) {
  cuframes_frame *open = NULL;
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_publisher_set_format(publisher, format));
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  CHECK_OK(cuframes_publisher_publish(publisher, open, NULL));
  cuframes_frame *frame = frame_take(subscriber);
  same_words(cuframes_frame_format(frame), format);
  assert_int_equal((cuframes_frame_flags(frame) & CUFRAMES_FRAME_NEW_FORMAT) != 0, is_new);
  CHECK_OK(cuframes_stream_query(NULL, "s", 10 * SECOND, &info));
  assert_memory_equal(&info->format, cuframes_frame_format(frame), sizeof info->format);
  cuframes_stream_info_free(info);
  cuframes_frame_release(frame);
}

static void every_word_arrives_and_a_change_is_a_new_format(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_format format = wordy_format();
  arrives(publisher, subscriber, &format, false);
  arrives(publisher, subscriber, &format, false);
  format.chroma_location = CUFRAMES_CHROMA_LEFT;
  arrives(publisher, subscriber, &format, true);
  format.field_order = CUFRAMES_FIELDS_NOT_SAID;
  arrives(publisher, subscriber, &format, true);
  for (uint8_t orientation = 0; orientation <= CUFRAMES_ORIENTATION_RIGHT_BOTTOM; orientation++) {
    format.orientation = orientation;
    arrives(publisher, subscriber, &format, true);
  }
  format.sample_aspect_num = INT32_MAX;
  arrives(publisher, subscriber, &format, true);
  format.sample_aspect_num = format.sample_aspect_den = 0;
  arrives(publisher, subscriber, &format, true);
  format.color.range = 1;
  arrives(publisher, subscriber, &format, true);
  arrives(publisher, subscriber, &format, false);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* Wherever a format is handed in. */
static void refused(const cuframes_format *format, const char *named) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_format untouched = *format;
  uint64_t bytes = 77;
  uint32_t row_bytes = 77, rows = 77;
  CHECK_RESULT(cuframes_format_plane_size(format, 0, &row_bytes, &rows), CUFRAMES_ERR_FORMAT);
  detail_names(named);
  CHECK_RESULT(cuframes_format_layout(&untouched, 0, &bytes), CUFRAMES_ERR_FORMAT);
  detail_names(named);
  assert_memory_equal(&untouched, format, sizeof untouched);
  assert_true(bytes == 77 && row_bytes == 77 && rows == 77);
  options.format = *format;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_FORMAT);
  detail_names(named);
  publisher = publisher_new("s");
  CHECK_RESULT(cuframes_publisher_set_format(publisher, format), CUFRAMES_ERR_FORMAT);
  detail_names(named);
  cuframes_publisher_destroy(publisher);
}

#define REFUSED(field, value, named)                                                                                   \
  do {                                                                                                                 \
    cuframes_format wrong = wordy_format();                                                                            \
    wrong.field = value;                                                                                               \
    refused(&wrong, named);                                                                                            \
  } while (0)

static void words_that_cannot_be_are_refused(void **state) {
  (void)state;
  REFUSED(color.range, 3, "colour range 3");
  REFUSED(chroma_location, 7, "chroma location 7");
  REFUSED(field_order, 4, "field order 4");
  REFUSED(orientation, 9, "orientation 9");
  REFUSED(orientation, 255, "orientation 255");
  REFUSED(sample_aspect_num, 0, "0:45");
  REFUSED(sample_aspect_den, 0, "64:0");
  REFUSED(sample_aspect_den, (uint32_t)INT32_MAX + 1, "64:2147483648");
  REFUSED(reserved8, 1, "reserved");
  for (int i = 0; i < 6; i++)
    REFUSED(reserved[i], 1, "reserved");
  REFUSED(tensor.element, CUFRAMES_ELEMENT_UINT8, "no tensor");
  REFUSED(tensor.dims, 1, "no tensor");
  REFUSED(tensor.size[3], 1, "no tensor");
}

/* ---- tensors ---- */

static cuframes_format tensor(uint32_t element, uint32_t dims, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_TENSOR, .tensor = { element, dims, { a, b, c, d } } };
}

static void elements_have_names_and_sizes(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint32_t bytes;
  } elements[] = { { NULL, 0 }, { "uint8", 1 }, { "int8", 1 }, { "float16", 2 }, { "float32", 4 }, { "int32", 4 } };
  for (uint32_t i = 1; i <= CUFRAMES_ELEMENT_INT32; i++) {
    assert_string_equal(cuframes_element_name(i), elements[i].name);
    assert_int_equal(cuframes_element_from_name(elements[i].name), i);
    assert_int_equal(cuframes_element_size(i), elements[i].bytes);
  }
  static const uint32_t unknown[] = { CUFRAMES_ELEMENT_NONE, CUFRAMES_ELEMENT_INT32 + 1, UINT32_MAX };
  for (int i = 0; i < 3; i++) {
    assert_string_equal(cuframes_element_name(unknown[i]), "unknown");
    assert_int_equal(cuframes_element_size(unknown[i]), 0);
  }
  assert_int_equal(cuframes_element_from_name("float64"), CUFRAMES_ELEMENT_NONE);
  assert_int_equal(cuframes_element_from_name(NULL), CUFRAMES_ELEMENT_NONE);
}

static void the_rows_of_a_tensor_are_its_innermost_dimension(void **state) {
  (void)state;
  const struct {
    cuframes_format format;
    uint32_t row_bytes, rows;
  } expected[] = {
    { tensor(CUFRAMES_ELEMENT_UINT8, 1, 1, 0, 0, 0), 1, 1 },
    { tensor(CUFRAMES_ELEMENT_INT8, 1, INT32_MAX, 0, 0, 0), INT32_MAX, 1 },
    { tensor(CUFRAMES_ELEMENT_FLOAT16, 2, 3, 5, 0, 0), 10, 3 },
    { tensor(CUFRAMES_ELEMENT_INT32, 3, 2, 3, 5, 0), 20, 6 },
    { tensor(CUFRAMES_ELEMENT_FLOAT32, 4, 1, 3, 640, 640), 2560, 1920 },
    { tensor(CUFRAMES_ELEMENT_UINT8, 4, 65536, 65535, 1, 1), 1, 65536u * 65535u },
  };
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    cuframes_format format = expected[i].format;
    uint32_t row_bytes, rows;
    uint64_t bytes;
    CHECK_OK(cuframes_format_plane_size(&format, 0, &row_bytes, &rows));
    assert_int_equal(row_bytes, expected[i].row_bytes);
    assert_int_equal(rows, expected[i].rows);
    CHECK_OK(cuframes_format_layout(&format, 4096, &bytes));
    assert_int_equal(format.pitch[0], row_bytes); /* without gaps, whatever the alignment */
    assert_int_equal(bytes, (uint64_t)row_bytes * rows);
  }
  cuframes_format wide = expected[2].format;
  uint64_t bytes;
  wide.pitch[0] = 16; /* given, it is kept */
  CHECK_OK(cuframes_format_layout(&wide, 0, &bytes));
  assert_true(wide.pitch[0] == 16 && bytes == 48);
  assert_int_equal(cuframes_pixel_format_planes(CUFRAMES_PIXEL_TENSOR), 1);
  assert_string_equal(cuframes_pixel_format_name(CUFRAMES_PIXEL_TENSOR), "tensor");
  assert_int_equal(cuframes_pixel_format_from_name("tensor"), CUFRAMES_PIXEL_TENSOR);
  CHECK_RESULT(cuframes_format_plane_size(&wide, 1, NULL, NULL), CUFRAMES_ERR_FORMAT);
}

static void tensors_that_cannot_be_are_refused(void **state) {
  (void)state;
  enum { U8 = CUFRAMES_ELEMENT_UINT8, F32 = CUFRAMES_ELEMENT_FLOAT32 };
  const struct {
    cuframes_format format;
    const char *named;
  } bad[] = {
    { tensor(0, 1, 1, 0, 0, 0), "element type 0" },
    { tensor(6, 1, 1, 0, 0, 0), "element type 6" },
    { tensor(U8, 0, 0, 0, 0, 0), "0 dimensions" },
    { tensor(U8, 5, 1, 1, 1, 1), "5 dimensions" },
    { tensor(U8, 2, 1, 0, 0, 0), "size 1 of a tensor" },
    { tensor(U8, 2, 0, 1, 0, 0), "size 0 of a tensor" },
    { tensor(U8, 2, 1, 1, 1, 0), "size 2 of a tensor" },
    { tensor(U8, 1, (uint32_t)INT32_MAX + 1, 0, 0, 0), "2147483648" },
    { tensor(F32, 1, UINT32_MAX, 0, 0, 0), "17179869180" },
    { tensor(U8, 3, 65536, 65536, 1, 0), "more than 4294967295" },
    { tensor(U8, 4, UINT32_MAX, UINT32_MAX, UINT32_MAX, 1), "more than 4294967295" },
    { { .pixel_format = CUFRAMES_PIXEL_TENSOR, .width = 1, .tensor = { U8, 1, { 1 } } }, "1x0" },
    { { .pixel_format = CUFRAMES_PIXEL_TENSOR, .height = 1, .tensor = { U8, 1, { 1 } } }, "0x1" },
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    refused(&bad[i].format, bad[i].named);
  cuframes_format format = tensor(F32, 4, 65535, 65535, 1, 16384); /* each number alone is fine */
  CHECK_RESULT(cuframes_format_layout(&format, 0, NULL), CUFRAMES_ERR_FORMAT);
  detail_names("too much");
  format = tensor(F32, 1, 2, 0, 0, 0);
  format.pitch[0] = 7;
  CHECK_RESULT(cuframes_format_layout(&format, 0, NULL), CUFRAMES_ERR_FORMAT);
  detail_names("7");
}

static void a_tensor_arrives(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_format format = tensor(CUFRAMES_ELEMENT_FLOAT32, 3, 2, 3, 5, 0);
  float values[30], got[30];
  for (int i = 0; i < 30; i++)
    values[i] = (float)i / 7;
  for (int turn = 0; turn < 2; turn++) { /* without and with gaps between its rows */
    cuframes_frame *open = NULL;
    format.pitch[0] = turn ? 24 : 0;
    CHECK_OK(cuframes_publisher_set_format(publisher, &format));
    CHECK_OK(cuframes_publisher_acquire(publisher, &open));
    assert_int_equal(cuframes_frame_width(open), 0);
    assert_int_equal(cuframes_frame_pitch(open, 0), turn ? 24 : 20);
    CHECK_OK(cuframes_frame_copy_from_host(open, 0, values, 0));
    CHECK_OK(cuframes_publisher_publish(publisher, open, NULL));
    cuframes_frame *frame = frame_take(subscriber);
    same_words(cuframes_frame_format(frame), &format);
    const uint8_t *plane = cuframes_frame_plane(frame, 0);
    for (int row = 0; row < 6; row++)
      assert_memory_equal(plane + row * (turn ? 24 : 20), values + row * 5, 20);
    memset(got, 0, sizeof got);
    CHECK_OK(cuframes_frame_copy_to_host(frame, 0, got, 0));
    assert_memory_equal(got, values, sizeof got);
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- tracks ---- */

static cuframes_codec_params wordy_params(void) {
  cuframes_codec_params params = video_params();
  params.color = (cuframes_color){ .matrix = 9, .range = 1, .primaries = 9, .transfer = 16 };
  params.chroma_location = CUFRAMES_CHROMA_TOP_LEFT;
  params.field_order = CUFRAMES_FIELDS_TOP_FIRST;
  params.orientation = CUFRAMES_ORIENTATION_RIGHT_TOP;
  params.sample_aspect_num = 12;
  params.sample_aspect_den = 11;
  params.mastering_display = (cuframes_mastering_display){ .primaries = { 13250, 34500, 7500, 3000, 34000, 16000 },
                                                           .white_point = { 15635, 16450 },
                                                           .max_luminance = 10000000,
                                                           .min_luminance = 50 };
  params.content_light = (cuframes_content_light){ .max_content = 1000, .max_average = UINT16_MAX };
  return params;
}

static void the_words_of_a_track_arrive_as_far_as_the_caller_knows_them(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_codec_params wordy = wordy_params(), none;
  struct {
    cuframes_codec_params params;
    uint8_t more[32];
  } given, got;
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &wordy));
  memset(&got, 0xee, sizeof got);
  got.params.struct_size = sizeof got.params;
  CHECK_OK(cuframes_subscriber_get_codec_params(subscriber, 0, &got.params, NULL, NULL));
  assert_memory_equal(&got.params, &wordy, sizeof wordy);
  assert_int_equal(got.more[0], 0xee); /* nothing behind what the caller has */
  got.params.struct_size = 88;         /* an older caller, who knows up to the colour */
  memset(&got.params.bit_rate, 0xdd, sizeof got.params - 88);
  CHECK_OK(cuframes_subscriber_get_codec_params(subscriber, 0, &got.params, NULL, NULL));
  assert_memory_equal((char *)&got + 4, (char *)&wordy + 4, 84);
  assert_int_equal(((uint8_t *)&got)[88], 0xdd);
  got.params.struct_size = sizeof got; /* a newer one */
  CHECK_OK(cuframes_subscriber_get_codec_params(subscriber, 0, &got.params, NULL, NULL));
  assert_int_equal(got.more[31], 0);
  none.struct_size = 3;
  CHECK_RESULT(cuframes_subscriber_get_codec_params(subscriber, 0, &none, NULL, NULL), CUFRAMES_ERR_INVALID);
  /* and the other way round */
  memset(&given, 0, sizeof given);
  given.params = wordy;
  given.params.struct_size = 88;
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &given.params));
  got.params.struct_size = sizeof got.params;
  CHECK_OK(cuframes_subscriber_get_codec_params(subscriber, 0, &got.params, NULL, NULL));
  assert_int_equal(got.params.color.transfer, 16);
  assert_int_equal(got.params.chroma_location, 0);
  assert_int_equal(got.params.content_light.max_content, 0);
  given.params.struct_size = sizeof given;
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &given.params));
  given.more[5] = 1; /* what this library cannot know it must not drop */
  CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, &given.params), CUFRAMES_ERR_INVALID);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

#define NO_TRACK(field, value, named)                                                                                  \
  do {                                                                                                                 \
    cuframes_codec_params wrong = wordy_params();                                                                      \
    wrong.field = value;                                                                                               \
    CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, &wrong), CUFRAMES_ERR_INVALID);                     \
    detail_names(named);                                                                                               \
  } while (0)

static void words_of_a_track_that_cannot_be_are_refused(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  NO_TRACK(struct_size, 0, "struct_size");
  NO_TRACK(color.range, 3, "colour range 3");
  NO_TRACK(chroma_location, 7, "chroma location 7");
  NO_TRACK(field_order, 4, "field order 4");
  NO_TRACK(orientation, 9, "orientation 9");
  NO_TRACK(sample_aspect_num, 0, "0:11");
  NO_TRACK(reserved8, 1, "reserved");
  NO_TRACK(reserved[5], 1, "reserved");
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(every_word_arrives_and_a_change_is_a_new_format),
    FIXTURE(words_that_cannot_be_are_refused),
    FIXTURE(elements_have_names_and_sizes),
    FIXTURE(the_rows_of_a_tensor_are_its_innermost_dimension),
    FIXTURE(tensors_that_cannot_be_are_refused),
    FIXTURE(a_tensor_arrives),
    FIXTURE(the_words_of_a_track_arrive_as_far_as_the_caller_knows_them),
    FIXTURE(words_of_a_track_that_cannot_be_are_refused),
  };
  return FIXTURE_RUN("picture_words", tests);
}
