/* support/stream.c - small streams to test with. */
#include "support/stream.h"

#include <stdlib.h>
#include <string.h>

cuframes_format small_format(void) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 64, .height = 16 };
}

cuframes_publisher_options publisher_options(void) {
  return (cuframes_publisher_options){ .struct_size = sizeof(cuframes_publisher_options),
                                       .format = small_format(),
                                       .ordered_timeout_ns = patience() };
}

cuframes_subscriber_options subscriber_options(uint32_t mode) {
  return (cuframes_subscriber_options){ .struct_size = sizeof(cuframes_subscriber_options), .mode = mode };
}

cuframes_publisher *publisher_new(const char *name) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create(name, &options, &publisher));
  return publisher;
}

int subscriber_try(const char *name, const cuframes_subscriber_options *options, cuframes_subscriber **subscriber) {
  int64_t end = cuframes_now() + patience();
  int result;
  do
    result = cuframes_subscriber_create(name, options, subscriber);
  while ((result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_PUBLISHER_GONE) && cuframes_now() < end);
  return result;
}

cuframes_subscriber *subscriber_join(const char *name, const cuframes_subscriber_options *options) {
  cuframes_subscriber *subscriber = NULL;
  CHECK_OK(subscriber_try(name, options, &subscriber));
  return subscriber;
}

cuframes_subscriber *subscriber_new(const char *name, uint32_t mode) {
  cuframes_subscriber_options options = subscriber_options(mode);
  return subscriber_join(name, &options);
}

/* No two rows, planes or pictures beside each other are alike, nor two bytes. */
static uint8_t byte_at(uint64_t number, int plane, uint32_t y, uint32_t x) {
  return (uint8_t)(number * 13 + (number >> 8) + (uint64_t)plane * 101 + y * 7 + x * 5 + 1);
}

/* A plane's rows in host memory: where they are, or on a GPU a copy of the caller's own. */
typedef struct rows {
  uint8_t *data, *copy;
  uint32_t pitch, row_bytes, count;
} rows;

static rows rows_of(const cuframes_frame *frame, int plane) {
  rows r = { .data = cuframes_frame_plane(frame, plane), .pitch = cuframes_frame_pitch(frame, plane) };
  CHECK_OK(cuframes_format_plane_size(cuframes_frame_format(frame), plane, &r.row_bytes, &r.count));
  if (strcmp(cuframes_frame_device(frame), "host") != 0) {
    r.data = r.copy = calloc(r.count, r.row_bytes);
    r.pitch = r.row_bytes;
    CHECK(r.copy != NULL);
  }
  return r;
}

static int planes_of(const cuframes_frame *frame) {
  return cuframes_pixel_format_planes(cuframes_frame_pixel_format(frame));
}

int picture_copy(cuframes_frame *frame, uint64_t number) {
  int result = CUFRAMES_OK;
  for (int plane = 0; plane < planes_of(frame) && result == CUFRAMES_OK; plane++) {
    rows r = rows_of(frame, plane);
    for (uint32_t y = 0; y < r.count; y++)
      for (uint32_t x = 0; x < r.row_bytes; x++)
        r.data[(size_t)y * r.pitch + x] = byte_at(number, plane, y, x);
    if (r.copy)
      result = cuframes_frame_copy_from_host(frame, plane, r.copy, 0);
    free(r.copy);
  }
  return result;
}

static bool rows_are(const rows *r, uint64_t number, int plane) {
  for (uint32_t y = 0; y < r->count; y++)
    for (uint32_t x = 0; x < r->row_bytes; x++)
      if (r->data[(size_t)y * r->pitch + x] != byte_at(number, plane, y, x))
        return false;
  return true;
}

int picture_look(const cuframes_frame *frame, uint64_t number, bool *whole) {
  int result = CUFRAMES_OK;
  *whole = true;
  for (int plane = 0; plane < planes_of(frame) && result == CUFRAMES_OK && *whole; plane++) {
    rows r = rows_of(frame, plane);
    if (r.copy)
      result = cuframes_frame_copy_to_host(frame, plane, r.copy, 0);
    *whole = result == CUFRAMES_OK && rows_are(&r, number, plane);
    free(r.copy);
  }
  return result;
}

void picture_draw(cuframes_frame *frame, uint64_t number) {
  CHECK_OK(picture_copy(frame, number));
}

enum { SIDE_NUMBER = CUFRAMES_SIDE_DATA_APPLICATION };

/* Where a publisher has room for side data they say the number, too. */
static bool side_data_agree(const cuframes_frame *frame, uint64_t number) {
  size_t size = 0;
  const void *data = cuframes_frame_side_data(frame, SIDE_NUMBER, &size);
  return !data || (size == sizeof number && memcmp(data, &number, size) == 0);
}

bool picture_is(const cuframes_frame *frame, uint64_t number) {
  bool whole;
  CHECK_OK(picture_look(frame, number, &whole));
  return whole && side_data_agree(frame, number);
}

uint64_t picture_number(const cuframes_frame *frame) {
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  CHECK(picture_is(frame, number));
  return number;
}

int picture_publish(cuframes_publisher *publisher, uint64_t number) {
  cuframes_frame *frame = NULL;
  int result = cuframes_publisher_acquire(publisher, &frame);
  if (result != CUFRAMES_OK)
    return result;
  picture_draw(frame, number);
  (void)cuframes_frame_add_side_data(frame, SIDE_NUMBER, &number, sizeof number); /* NO_CAPACITY where there is none */
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = (int64_t)number * 1000 };
  return cuframes_publisher_publish(publisher, frame, &info);
}

void pictures_publish(cuframes_publisher *publisher, uint64_t first, uint64_t count) {
  for (uint64_t number = first; number < first + count; number++) {
    int result;
    WAIT_FOR((result = picture_publish(publisher, number)) != CUFRAMES_ERR_DROPPED); /* faster than the pool grows */
    CHECK_OK(result);
  }
}

cuframes_frame *frame_take(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_subscriber_next(subscriber, patience(), &frame));
  CHECK(frame != NULL);
  return frame;
}

uint64_t frame_look(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = frame_take(subscriber);
  uint64_t number = picture_number(frame);
  cuframes_frame_release(frame);
  return number;
}

cuframes_publisher_stats publisher_stats(cuframes_publisher *publisher) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_publisher_get_stats(publisher, &stats));
  return stats;
}

cuframes_subscriber_stats subscriber_stats(cuframes_subscriber *subscriber) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_subscriber_get_stats(subscriber, &stats));
  return stats;
}
