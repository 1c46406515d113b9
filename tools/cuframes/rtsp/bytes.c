/* bytes.c - a queue of bytes. */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 4096

static bool make_room(rtsp_bytes *b, size_t more) {
  if (b->begin > 0 && b->begin + b->size + more > b->room) {
    memmove(b->data, b->data + b->begin, b->size);
    b->begin = 0;
  }
  if (b->size + more <= b->room)
    return true;
  size_t room = b->room > 0 ? b->room : ROOM_LEAST;
  while (room < b->size + more)
    room *= 2;
  uint8_t *data = realloc(b->data, room);
  if (data == NULL) {
    b->failed = true;
    return false;
  }
  b->data = data;
  b->room = room;
  return true;
}

void rtsp_bytes_add(rtsp_bytes *b, const void *data, size_t size) {
  if (size == 0 || !make_room(b, size))
    return;
  memcpy(b->data + b->begin + b->size, data, size);
  b->size += size;
}

void rtsp_bytes_print(rtsp_bytes *b, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length <= 0 || !make_room(b, (size_t)length + 1))
    return;
  va_start(arguments, format);
  (void)vsnprintf((char *)b->data + b->begin + b->size, (size_t)length + 1, format, arguments);
  va_end(arguments);
  b->size += (size_t)length;
}

void rtsp_bytes_drop(rtsp_bytes *b, size_t size) {
  b->begin += size;
  b->size -= size;
  if (b->size == 0)
    b->begin = 0;
}

void rtsp_bytes_clear(rtsp_bytes *b) {
  b->begin = b->size = 0;
}

void rtsp_bytes_free(rtsp_bytes *b) {
  free(b->data);
  *b = (rtsp_bytes){ 0 };
}
