/* api/frame.h - a frame in hand: what lies behind a caller's reference, and the references.
 *
 * A caller holds a cuframes_frame, a small counted handle. Handles rotate: one is used again only after HANDLES_REUSED
 * others, so that a second release finds it ended instead of somebody else's.
 */
#ifndef CF_API_FRAME_H
#define CF_API_FRAME_H

#include <stdbool.h>

#include <cuframes/frame.h>

#include "device/device.h"
#include "os/futex.h"
#include "os/process.h"

typedef struct cf_frame cf_frame;

struct cuframes_frame {
  cf_flag references; /* 0: ended */
  uint32_t index;     /* in its set */
  cf_frame *body;
  uint32_t maker; /* os/process.h */
};

/* What the owner of a frame, a publisher or a subscriber's connection, does for it. Any thread. */
typedef struct cf_frame_ops {
  int (*wait)(cf_frame *frame, int64_t deadline); /* NULL: it is a publisher's */
  /* The stream, which this device's streams can follow, uses it. An error: see to it otherwise. */
  int (*used_on)(cf_frame *frame, void *stream);
  /* The last reference has ended, */
  void (*end)(cf_frame *frame);
  /* or ends when the stream has come so far, with no other use. An error: it has not ended. NULL: not so. */
  int (*end_on)(cf_frame *frame, void *stream);
  /* Names the frame's stream and the instance of that. */
  void (*identify)(const cf_frame *frame, cuframes_frame_id *id);
  /* In a process that was forked from its maker's: the last reference there has ended. */
  void (*forget)(cf_frame *frame);
  /* A call of the device failed: whether that works at all. NULL: the owner does not look. */
  void (*look)(cf_frame *frame);
  /* A stream cannot be followed: says so to the owner's log. */
  void (*complain)(cf_frame *frame);
} cf_frame_ops;

enum cf_frame_state {
  CF_FRAME_FREE,
  CF_FRAME_OPEN,      /* publisher: being written */
  CF_FRAME_PUBLISHED, /* publisher: published, and a reference was kept */
  CF_FRAME_CANCELLED, /* publisher: not to be published, and a reference was kept */
  CF_FRAME_LEASED,    /* subscriber: read */
  CF_FRAME_RETURNING  /* subscriber: no reference is left, but a stream uses it */
};

struct cf_frame {
  enum cf_frame_state state; /* of its owner */
  const cf_frame_ops *ops;
  void *owner;
  cuframes_frame *handle;
  cf_device *device;
  uint8_t *base;                 /* of the slot */
  const cuframes_format *format; /* of its segment */
  void *segment;                 /* the owner's segment */
  uint32_t slot, lease;          /* lease: of a publisher, its number among the frames of its owner */
  uint64_t offset;               /* in the segment */
  uint32_t epoch;
  uint64_t seq;
  int64_t pts, duration, timestamp;
  int64_t capture_time; /* 0 or CUFRAMES_NO_TIME: not known */
  uint32_t flags;
  uint8_t *side;                  /* where its side data are; NULL: nowhere. A subscriber only reads */
  uint32_t side_bytes, side_room; /* so many there are; publisher: for so many there is room */
  cf_flag uses;                   /* streams that use it: completion/uses.h */
  cf_flag released;               /* publisher: no reference is left */
  bool registered;                /* publisher: the memory is the application's */
  bool keeps;                     /* publisher: it was destroyed, and this frame keeps its memory */
  bool fenced;                    /* subscriber: handed out before it was complete, and a stream waits for it */
  bool lost;                      /* subscriber: and the publisher died. Both under the connection's lock */
};

/* The handles of one publisher or subscriber; counted, since frames outlive it. */
typedef struct cf_handles cf_handles;

/* Of this process. NULL: out of memory. */
cf_handles *cf_handles_create(void);
cf_handles *cf_handles_hold(cf_handles *handles);
void cf_handles_drop(cf_handles *handles);
/* The frame of a handle of this set; NULL: it is none, or has ended. */
cf_frame *cf_handle_frame(const cf_handles *handles, const cuframes_frame *handle);
/* A handle with one reference, for a frame whose handle it becomes. One thread at a time. NULL: too many are in
 * hand. */
cuframes_frame *cf_handle_open(cf_handles *handles, cf_frame *frame);
/* How often one was ended that had ended already. */
uint64_t cf_handles_ended_twice(const cf_handles *handles);

/* Threads that wait for streams on behalf of frames: one begins, one ends, wait for all. */
void cf_handles_helper_begins(cf_handles *handles);
void cf_handles_helper_ends(cf_handles *handles);
void cf_handles_wait_for_helpers(cf_handles *handles);
/* Runs what may have to wait for a GPU on a thread of its own, as one of these helpers; here, after cf_handles_close()
 * or if there is no thread to have. */
void cf_handles_run(cf_handles *handles, void (*run)(void *argument), void *argument);
/* The owner goes: waits for the helpers, and nothing is left to one any more. */
void cf_handles_close(cf_handles *handles);

/* Whether it is referred to, here. */
static inline bool cf_handle_is_held(const cuframes_frame *handle) {
  return handle && cf_flag_get(&handle->references) > 0;
}
/* Takes the end of the last reference back, and counts it as one too often. */
void cf_handle_ended_too_often(cuframes_frame *handle);
/* The set of a handle. */
cf_handles *cf_handles_of(cuframes_frame *handle);
/* Ends one reference. True: it was the last, and the frame is to be ended. */
bool cf_handle_end(cuframes_frame *handle);

#endif
