/* api/internal.h - what the publisher's and the subscriber's side share. */
#ifndef CF_API_INTERNAL_H
#define CF_API_INTERNAL_H

#include <stdarg.h>
#include <stdbool.h>

#include <cuframes/cuframes.h>

#include "device/device.h"

#define CF_HANDSHAKE_NS (2 * INT64_C(1000000000))

enum cf_frame_state {
  CF_FRAME_FREE,
  CF_FRAME_OPEN,     /* publisher writes */
  CF_FRAME_LEASED,   /* subscriber reads */
  CF_FRAME_RETURNING /* subscriber's GPU gives it back */
};

/* A frame in hand. Lives in an array of its owner, so that a second release finds it free instead of freed. */
struct cuframes_frame {
  enum cf_frame_state state;
  void *owner; /* cuframes_publisher or cf_connection */
  cf_device *device;
  uint8_t *base;                 /* of the slot */
  const cuframes_format *format; /* of its segment */
  void *segment;                 /* the owner's segment */
  uint32_t slot, lease;
  uint64_t offset; /* in the segment */
  uint32_t epoch;
  uint64_t seq;
  int64_t pts, duration, timestamp;
  uint32_t flags;
  bool gated; /* handed out before it was complete: a stream waits for it */
  bool lost;  /* and the publisher died. Both under the connection's lock */
};

/* Gives a leased frame back, on a stream; says whether it is complete; connection_frame.c. */
int cf_connection_release(cuframes_frame *frame);
int cf_connection_release_on(cuframes_frame *frame, void *stream);
int cf_connection_wait(const cuframes_frame *frame, int64_t deadline);

/* Copies a caller's options struct of options->struct_size bytes over zeroes: older callers have a shorter one; a
 * longer one may say nothing that this library does not know. CUFRAMES_ERR_INVALID names `what`. */
int cf_options_copy(void *to, size_t size, const void *options, const char *what);

/* Copies statistics into a caller's struct of to->struct_size bytes. */
int cf_stats_give(void *to, const void *stats, size_t size, const char *what);

/* cuframes_color in one word, as on the wire. */
uint32_t cf_color_pack(cuframes_color color);
cuframes_color cf_color_unpack(uint32_t packed);

typedef struct cf_logger {
  cuframes_log_fn log;
  void *user;
} cf_logger;

void cf_log(const cf_logger *logger, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
