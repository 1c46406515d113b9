/* exchange/newest.h - the record of the newest frame beside `head`: what the frame's slot says of it once more, in the
 * line that who spins for a frame looks at anyway. docs/protocol.md has it, models/newest.pml looks at every case.
 *
 * A sequence lock of which head is one half: the mark says whose record it is. The publisher stores mark, fields, head;
 * a reader loads head, fields, mark. Who has head has the fields of that frame or later ones. The fields are stored
 * with release and loaded with acquire: who has loaded one of a later frame sees a later mark.
 */
#ifndef CF_EXCHANGE_NEWEST_H
#define CF_EXCHANGE_NEWEST_H

#include "exchange/layout.h"

typedef struct cf_newest {
  int64_t pts, duration, timestamp;
  uint32_t epoch, segment, flags;
} cf_newest;

/* By the publisher: the same in the slot, but the segment, which is there. */
static inline void cf_newest_describe(cf_slot *slot, const cf_newest *newest) {
  atomic_store_explicit(&slot->flags, newest->flags, memory_order_relaxed);
  atomic_store_explicit(&slot->pts, newest->pts, memory_order_relaxed);
  atomic_store_explicit(&slot->duration, newest->duration, memory_order_relaxed);
  atomic_store_explicit(&slot->timestamp, newest->timestamp, memory_order_relaxed);
  atomic_store_explicit(&slot->epoch, newest->epoch, memory_order_relaxed);
}

/* "Number and flags of the newest frame in one word": as much of the number as there is room for, 29 bits. A reader
 * would have to stand still between head and the mark for exactly that many frames to take another record for this
 * one's, and tell that one's times and flags. 0 is nobody's: one frame in 2^29 has no record. */
static inline uint32_t cf_newest_mark(uint64_t seq, uint32_t flags) {
  return (uint32_t)seq << 3 | (flags & CF_SLOT_HAS_EXTRA ? 4u : 0u) | (flags >> 2 & 3u);
}

/* By the publisher, just before it moves head. Of a frame that a GPU completes (not `complete`) there is none, since
 * its slot is looked at anyway. All stores at once: a reader that spins takes the line away in between, which costs
 * both a way. Each but the first pairs with cf_newest_read. */
static inline void cf_newest_write(cf_control *page, uint64_t seq, const cf_newest *newest, bool complete) {
  atomic_store_explicit(&page->newest_mark, complete ? cf_newest_mark(seq, newest->flags) : 0, memory_order_relaxed);
  if (!complete)
    return;
  atomic_store_explicit(&page->newest_pts, newest->pts, memory_order_release);
  atomic_store_explicit(&page->newest_duration, newest->duration, memory_order_release);
  atomic_store_explicit(&page->newest_timestamp, newest->timestamp, memory_order_release);
  atomic_store_explicit(&page->newest_epoch, newest->epoch, memory_order_release);
  atomic_store_explicit(&page->newest_segment, newest->segment, memory_order_release);
}

/* By a reader that has loaded this frame's word from head and leased it. False: its record is not there, and what was
 * read is worth nothing. */
static inline bool cf_newest_read(const cf_control *page, uint64_t seq, cf_newest *newest) {
  newest->segment = atomic_load_explicit(&page->newest_segment, memory_order_acquire); /* all: with cf_newest_write */
  newest->epoch = atomic_load_explicit(&page->newest_epoch, memory_order_acquire);
  newest->pts = atomic_load_explicit(&page->newest_pts, memory_order_acquire);
  newest->duration = atomic_load_explicit(&page->newest_duration, memory_order_acquire);
  newest->timestamp = atomic_load_explicit(&page->newest_timestamp, memory_order_acquire);
  const uint32_t mark = atomic_load_explicit(&page->newest_mark, memory_order_relaxed); /* after them */
  newest->flags = (mark & 4u ? CF_SLOT_HAS_EXTRA : 0u) | (mark & 3u) << 2;
  return (mark ^ cf_newest_mark(seq, 0)) < 8 && mark != 0;
}

#endif
