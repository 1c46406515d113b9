/* crash/survivor.h - a subscriber that looks closely at what it gets while others die. Pictures and packets are
 * numbered 1, 2, 3, ... by their publisher.
 */
#ifndef CRASH_SURVIVOR_H
#define CRASH_SURVIVOR_H

#include "support/stream.h"

/* What a death may take until a survivor knows of it. */
#define AT_ONCE_MS 500

typedef struct survivor {
  cuframes_subscriber *subscriber; /* NULL: not joined */
  uint32_t mode;
  uint64_t last; /* number of the last picture or packet; 0: none yet */
  cuframes_frame *held;
  uint64_t held_number;
  uint64_t checked; /* pictures and packets */
} survivor;

/* False: the publisher is gone. */
bool survivor_join(survivor *s, uint32_t mode, uint32_t leases, uint32_t depth);
/* Takes up to that number, which was published: whole, in order, without gaps but in newest mode; keeps the last frame
 * in hand. False: the publisher is gone. */
bool survivor_take(survivor *s, uint64_t number);
/* Takes until it has that number, which must come within the usual patience. */
void survivor_take_up_to(survivor *s, uint64_t number);
/* The publisher died: what is left comes, then PUBLISHER_GONE at once, and what is in hand is whole. */
void survivor_end(survivor *s);
/* Leaves, with a frame in hand if it has one. */
void survivor_leave(survivor *s);

/* Open descriptors of this process, without those of the stand-in's GPU memory: a survivor keeps a segment until it
 * maps the next one. */
int survivor_descriptors(void);

#endif
