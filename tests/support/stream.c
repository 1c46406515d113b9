/* support/stream.c - small streams to test with. */
#include "support/stream.h"

#include <string.h>

cuframes_format small_format(void) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 64, .height = 16 };
}

cuframes_publisher_options publisher_options(void) {
  return (cuframes_publisher_options){ .struct_size = sizeof(cuframes_publisher_options), .format = small_format() };
}

cuframes_subscriber_options subscriber_options(uint32_t mode) {
  return (cuframes_subscriber_options){ .struct_size = sizeof(cuframes_subscriber_options), .mode = mode };
}

cuframes_publisher *publisher_new(const char *name) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  OK(cuframes_publisher_create(name, &options, &publisher));
  return publisher;
}

cuframes_subscriber *subscriber_new(const char *name, uint32_t mode) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  OK(cuframes_subscriber_create(name, &options, &subscriber));
  return subscriber;
}

static uint8_t row_byte(uint64_t number, int plane, uint32_t y) {
  return (uint8_t)(number * 13 + (number >> 8) + (uint64_t)plane * 101 + y * 7);
}

void picture_draw(cuframes_frame *frame, uint64_t number) {
  const cuframes_format *format = cuframes_frame_format(frame);
  for (int plane = 0; plane < cuframes_pixel_format_planes(format->pixel_format); plane++) {
    uint32_t row_bytes = 0, rows = 0;
    OK(cuframes_format_plane_size(format, plane, &row_bytes, &rows));
    uint8_t *row = cuframes_frame_plane(frame, plane);
    for (uint32_t y = 0; y < rows; y++, row += cuframes_frame_pitch(frame, plane))
      memset(row, row_byte(number, plane, y), row_bytes);
  }
}

static bool row_is(const uint8_t *row, uint8_t byte, uint32_t length) {
  return row[0] == byte && memcmp(row, row + 1, length - 1) == 0;
}

bool picture_is(const cuframes_frame *frame, uint64_t number) {
  const cuframes_format *format = cuframes_frame_format(frame);
  for (int plane = 0; plane < cuframes_pixel_format_planes(format->pixel_format); plane++) {
    uint32_t row_bytes = 0, rows = 0;
    OK(cuframes_format_plane_size(format, plane, &row_bytes, &rows));
    const uint8_t *row = cuframes_frame_plane(frame, plane);
    for (uint32_t y = 0; y < rows; y++, row += cuframes_frame_pitch(frame, plane))
      if (!row_is(row, row_byte(number, plane, y), row_bytes))
        return false;
  }
  return true;
}

uint64_t picture_number(const cuframes_frame *frame) {
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  NEED(picture_is(frame, number));
  return number;
}

int picture_publish(cuframes_publisher *publisher, uint64_t number) {
  cuframes_frame *frame = NULL;
  int result = cuframes_publisher_acquire(publisher, &frame);
  if (result != CUFRAMES_OK)
    return result;
  picture_draw(frame, number);
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = (int64_t)number * 1000 };
  return cuframes_publisher_publish(publisher, frame, &info);
}

void pictures_publish(cuframes_publisher *publisher, uint64_t first, uint64_t count) {
  for (uint64_t number = first; number < first + count; number++)
    OK(picture_publish(publisher, number));
}

cuframes_frame *frame_take(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = NULL;
  OK(cuframes_subscriber_next(subscriber, patience(5000), &frame));
  NEED(frame != NULL);
  return frame;
}

uint64_t frame_look(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = frame_take(subscriber);
  uint64_t number = picture_number(frame);
  OK(cuframes_frame_release(frame));
  return number;
}

cuframes_publisher_stats publisher_stats(cuframes_publisher *publisher) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  OK(cuframes_publisher_get_stats(publisher, &stats));
  return stats;
}

cuframes_subscriber_stats subscriber_stats(cuframes_subscriber *subscriber) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  OK(cuframes_subscriber_get_stats(subscriber, &stats));
  return stats;
}
