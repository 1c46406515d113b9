/* publisher/pool.h - a publisher's frame memory: segments of slots that grow while few are free, shrink when many have
 * been for a while, and are replaced when the format changes. What subscribers may pin at worst is promised when they
 * join, and made when it is needed (growth.c), or, with `full`, before they are seated.
 *
 * Threads: any; a mutex inside, never taken on the path of a frame.
 */
#ifndef CF_PUBLISHER_POOL_H
#define CF_PUBLISHER_POOL_H

#include <pthread.h>

#include <cuframes/cuframes.h>

#include "api/frame.h"
#include "device/device.h"
#include "exchange/frame_writer.h"
#include "os/futex.h"

typedef struct cf_segment {
  cf_slot_run run; /* the writer hands it back as a pointer to this */
  cf_device_segment memory;
  cuframes_format format;
  bool base;     /* the base_slots of its format: stays as long as that is current */
  void **events; /* of its slots, once a subscriber waits by events; NULL before */
  uint8_t (*event_handles)[64];
  void *external; /* the application's address; NULL: ours */
  bool cancelled; /* a frame in it was: no word tells when the GPU has done with that */
  cf_frame frame; /* external: what the application holds; its slot is its place in the table */
  void *side;     /* the side data of its slots; NULL: none */
  uint64_t side_bytes;
  int side_fd;
  bool emptied; /* external: of an older format, and nobody uses it; stays until it is unregistered */
  struct cf_segment *next;
} cf_segment;

typedef struct cf_pool {
  /* what each frame looks at */
  bool external;          /* every segment is one buffer of the application */
  uint32_t side_data_max; /* bytes that a frame has room for; 0: none */
  cuframes_format format; /* of new frames, every pitch and offset filled in */

  pthread_mutex_t lock;
  cf_device *device;
  cf_frame_writer *writer;
  cf_segment *segments; /* all that are allocated, newest first */
  uint64_t stride;      /* bytes of one slot */
  uint32_t asked_slots; /* to begin with */
  uint32_t base_slots;  /* never fewer: these, or with `full` what must be there without subscribers */
  cf_flag max_slots;    /* never more, in all formats together, but for the base of a new one */
  uint32_t max_open;
  uint32_t slots;                    /* of the current format, not retiring */
  uint32_t cost;                     /* of all seats: cf_seat_cost() */
  uint16_t depths[CF_DEPTH_MAX + 1]; /* ordered seats of each depth */
  cf_flag depth;                     /* the largest: of so many frames all may have to wait */
  uint32_t formats;                  /* so many there were */
  bool full;                         /* slots for the cost of all seats are there, needed or not */
  uint32_t next_segment;
  bool events;                                                      /* segments get events */
  cf_counter memory_bytes, device_bytes, segment_count, slot_count; /* device_bytes: of memory_bytes, on it */
} cf_pool;

/* Nothing was said of the pictures: there are none, until somebody does. */
static inline bool cf_pool_format_is_none(const cuframes_format *format) {
  return format->pixel_format == 0 && format->width == 0 && format->height == 0;
}

/* What a pool is to be like. */
typedef struct cf_pool_plan {
  cuframes_format format; /* as the caller wants it; none: set_format() makes the first segment */
  uint32_t base_slots, max_slots, max_open, side_data_max;
  bool external; /* the application brings the memory */
  bool full;     /* as in cf_pool */
} cf_pool_plan;

/* Allocates the first segment, unless the application brings the memory. */
int cf_pool_init(cf_pool *pool, cf_device *device, cf_frame_writer *writer, const cf_pool_plan *plan);
void cf_pool_free(cf_pool *pool);

/* Promises room for a seat with that many leases and that depth, or NO_CAPACITY with the reason. */
int cf_pool_admit(cf_pool *pool, uint32_t leases, uint32_t depth);
/* Takes the promise back. */
void cf_pool_leave(cf_pool *pool, uint32_t leases, uint32_t depth);
/* Slots that must be there before who was promised some can be seated, and are not: with `full` all of them; else the
 * first ones and those in which frames wait for ordered subscribers, who map them when they join: a publisher that dies
 * hands out no memory any more. */
uint32_t cf_pool_lacks(cf_pool *pool);
/* Makes so many slots more, or what cf_pool_lacks() says if that is more, and hands them to the writer. Waits for the
 * allocation, without the lock. */
int cf_pool_grow(cf_pool *pool, uint32_t slots);
/* So many may be made. */
uint32_t cf_pool_room(const cf_pool *pool);
/* So many slots are not needed: segments of no more than that retire, the largest first. */
void cf_pool_shrink(cf_pool *pool, uint32_t slots);

/* On the writer's thread: new slots in the new format, the old ones retire. On failure the old format stays. */
int cf_pool_set_format(cf_pool *pool, const cuframes_format *format);

/* On the service thread, after the writer adopted or emptied segments: frees what is empty. With buffers of the
 * application on the writer's thread, too: nothing is freed then, and it is known at once which are emptied. */
void cf_pool_reap(cf_pool *pool);

/* What others import a segment by, with a duplicate of its descriptor (the caller closes it; -1: none), and its format;
 * STALE if it is gone. */
int cf_pool_export(cf_pool *pool, uint32_t segment, cf_device_export *exported, cuframes_format *format);

/* A duplicate of the descriptor of a segment's side data, which the caller closes, and their size. STALE if it is gone,
 * UNSUPPORTED if there are none. */
int cf_pool_export_side_data(cf_pool *pool, uint32_t segment, int *fd, uint64_t *bytes);

/* Every slot gets an event, also those to come. On failure none is wanted. */
int cf_pool_make_events(cf_pool *pool);
/* The handles of a segment's events, in a buffer of CF_EVENTS_BYTES, *bytes of them; STALE if it is gone. */
int cf_pool_event_handles(cf_pool *pool, uint32_t segment, uint8_t *handles, uint32_t *bytes, uint64_t *stride);

/* On the writer's thread: buffers of the application. */
int cf_pool_register(cf_pool *pool, void *address, uint64_t bytes, cf_segment **segment);
/* Of a buffer in the application's hands, or one that is emptied. */
void cf_pool_unregister(cf_pool *pool, cf_segment *segment);
/* Whether nothing of it is in the table any more: its format has changed, and nobody uses it. */
bool cf_pool_is_emptied(cf_pool *pool, const cf_segment *segment);
/* Calls it for every one. */
void cf_pool_visit_registered(cf_pool *pool, void (*visit)(void *user, cf_segment *segment), void *user);

/* Before there is a format: fewer. 0: as it is. What is to be there at first is lowered with it. */
int cf_pool_set_limits(cf_pool *pool, uint32_t max_open, uint32_t max_slots);

cuframes_format cf_pool_format(cf_pool *pool);

#endif
