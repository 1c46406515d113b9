/* bytes.h - bytes that came and have not been looked at, or wait to be sent. */
#ifndef CUFRAMES_CLI_RTSP_BYTES_H
#define CUFRAMES_CLI_RTSP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rtsp_bytes {
  uint8_t *data; /* from `begin` on, `size` of them are valid */
  size_t begin, size, room;
  bool failed; /* there was no memory for some */
} rtsp_bytes;

/* NULL before the first came: nothing is added to that, not even 0. */
static inline uint8_t *rtsp_bytes_data(const rtsp_bytes *b) {
  return b->data ? b->data + b->begin : NULL;
}
void rtsp_bytes_add(rtsp_bytes *b, const void *data, size_t size);
void rtsp_bytes_print(rtsp_bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first `size` of them are done with. */
void rtsp_bytes_drop(rtsp_bytes *b, size_t size);
/* None are left; the memory stays, for more. */
void rtsp_bytes_clear(rtsp_bytes *b);
void rtsp_bytes_free(rtsp_bytes *b);

#endif
