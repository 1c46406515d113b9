/* api/frame.h - a frame in hand, as its owner (a publisher, or a subscriber's connection) keeps it. */
#ifndef CF_API_FRAME_H
#define CF_API_FRAME_H

#include <stdbool.h>

#include <cuframes/frame.h>

#include "device/device.h"

enum cf_frame_state {
  CF_FRAME_FREE,
  CF_FRAME_OPEN,     /* publisher writes */
  CF_FRAME_LEASED,   /* subscriber reads */
  CF_FRAME_RETURNING /* subscriber's GPU gives it back */
};

/* What only the owner of a leased frame can do. */
typedef struct cf_frame_ops {
  int (*wait)(const cuframes_frame *frame, int64_t deadline);
  int (*release)(cuframes_frame *frame);
  int (*release_on)(cuframes_frame *frame, void *stream);
} cf_frame_ops;

/* Lives in an array of its owner, so that a second release finds it free instead of freed. */
struct cuframes_frame {
  enum cf_frame_state state;
  const cf_frame_ops *ops; /* NULL: it is a publisher's */
  void *owner;             /* cuframes_publisher or cf_connection */
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
  bool fenced; /* handed out before it was complete: a stream waits for it */
  bool lost;   /* and the publisher died. Both under the connection's lock */
};

#endif
