/* exchange/newest.h - the record of the newest frame beside `head`: what the frame's slot says of it once more, in the
 * line that who spins for a frame looks at anyway. The publisher writes it, readers of the newest frame copy it under
 * a sequence lock: the mark says whose record it is, and is 0 while it is written. docs/protocol.md has it.
 *
 * All fields are stored with release and loaded with acquire: no store comes before the one that takes the mark away,
 * and no load after the second look at the mark. Who has loaded a field of the next record sees the mark gone.
 */
#ifndef CF_EXCHANGE_NEWEST_H
#define CF_EXCHANGE_NEWEST_H

#include "exchange/layout.h"

typedef struct cf_newest {
  int64_t pts, duration, timestamp;
  uint32_t epoch, segment, flags;
} cf_newest;

/* "Number and flags of the newest frame in one word": as much of the number as there is room for, 29 bits. A reader
 * would have to stand still between its two looks for exactly that many frames to take another record for this one's.
 * 0 is nobody's: one frame in 2^29 has no record. */
static inline uint32_t cf_newest_mark(uint64_t seq, uint32_t flags) {
  return (uint32_t)seq << 3 | (flags & CF_SLOT_HAS_EXTRA ? 4u : 0u) | (flags >> 2 & 3u);
}

/* By the publisher, just before it moves head. Of a frame that a GPU completes (not `complete`) there is none, since
 * its slot is looked at anyway. All stores at once: a reader that spins takes the line away in between, which costs
 * both a way. Each but the first pairs with cf_newest_read. */
static inline void cf_newest_write(cf_control *page, const cf_slot *slot, bool complete) {
  const int64_t pts = atomic_load_explicit(&slot->pts, memory_order_relaxed);
  const int64_t duration = atomic_load_explicit(&slot->duration, memory_order_relaxed);
  const int64_t timestamp = atomic_load_explicit(&slot->timestamp, memory_order_relaxed);
  const uint32_t epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed);
  const uint32_t segment = atomic_load_explicit(&slot->segment, memory_order_relaxed);
  const uint32_t mark = cf_newest_mark(atomic_load_explicit(&slot->seq, memory_order_relaxed),
                                       atomic_load_explicit(&slot->flags, memory_order_relaxed));
  atomic_store_explicit(&page->newest_mark, 0, memory_order_relaxed);
  if (!complete)
    return;
  atomic_store_explicit(&page->newest_pts, pts, memory_order_release);
  atomic_store_explicit(&page->newest_duration, duration, memory_order_release);
  atomic_store_explicit(&page->newest_timestamp, timestamp, memory_order_release);
  atomic_store_explicit(&page->newest_epoch, epoch, memory_order_release);
  atomic_store_explicit(&page->newest_segment, segment, memory_order_release);
  atomic_store_explicit(&page->newest_mark, mark, memory_order_release);
}

/* By a reader: the mark, if it is this frame's; else 0. */
static inline uint32_t cf_newest_look(const cf_control *page, uint64_t seq) {
  uint32_t mark = atomic_load_explicit(&page->newest_mark, memory_order_acquire); /* pairs with cf_newest_write */
  return (mark ^ cf_newest_mark(seq, 0)) < 8 ? mark : 0;
}

/* By a reader that has leased the frame. False: its record is not there, and what was read is worth nothing. */
static inline bool cf_newest_read(const cf_control *page, uint64_t seq, cf_newest *newest) {
  const uint32_t mark = cf_newest_look(page, seq);
  newest->segment = atomic_load_explicit(&page->newest_segment, memory_order_acquire); /* all: with cf_newest_write */
  newest->epoch = atomic_load_explicit(&page->newest_epoch, memory_order_acquire);
  newest->pts = atomic_load_explicit(&page->newest_pts, memory_order_acquire);
  newest->duration = atomic_load_explicit(&page->newest_duration, memory_order_acquire);
  newest->timestamp = atomic_load_explicit(&page->newest_timestamp, memory_order_acquire);
  newest->flags = (mark & 4u ? CF_SLOT_HAS_EXTRA : 0u) | (mark & 3u) << 2;
  return mark != 0 && atomic_load_explicit(&page->newest_mark, memory_order_relaxed) == mark;
}

#endif
