/* exchange/frame_reader.h - the subscriber's side of the frame exchange.
 *
 * A reader announces a lease in its seat and then looks again. The newest frame: whether it still is the newest. One
 * that waits for it: whether it was evicted. If so the lease holds: the publisher sees it in every look from the next
 * frame, or from the eviction, on. So what a newest-mode reader pins was the newest frame while its lease stood.
 *
 * The control page comes from another process: every value is loaded once and checked.
 * Threads: take() and the wait functions from one thread at a time, except that cf_reader_news(), prepare_wait() and
 * end_wait() may come from any; release() from any. A lease number is used for one frame at a time, which the
 * caller sees to. Pure: nothing sleeps or calls the system.
 */
#ifndef CF_EXCHANGE_FRAME_READER_H
#define CF_EXCHANGE_FRAME_READER_H

#include "exchange/layout.h"

/* Where a slot lies, as it said itself: so it does as long as it is of that segment. */
typedef struct cf_slot_place {
  uint32_t slot, segment; /* segment 0: nobody looked yet */
  uint64_t offset;
} cf_slot_place;

#define CF_PLACES 16u /* more slots than most pools have; two that share one are looked up each time */

typedef struct cf_frame_reader {
  const cf_control *control;
  const _Atomic uint64_t *index;
  const cf_slot *slots;
  const cf_extra *extras;
  cf_seat *seat;
  uint32_t capacity;
  uint32_t side_data_max; /* bytes that a frame has room for; 0: there is no side data */
  bool ordered;
  bool started;  /* has taken a frame, */
  bool by_slot;  /* the last of which its slot had to be asked: the next one's is fetched early */
  uint64_t last; /* seq of the last frame taken */
  uint64_t delivered, skipped;
  cf_slot_place places[CF_PLACES]; /* by the slot's last digits */
} cf_frame_reader;

/* What a pinned slot says of its frame. */
typedef struct cf_taken {
  uint64_t seq, offset;
  uint32_t slot, segment, flags, epoch;
  int64_t pts, duration, timestamp;
  int64_t capture_time;             /* INT64_MIN: not known */
  uint32_t side_offset, side_bytes; /* in the segment's side data, unchecked; side_bytes 0: none */
} cf_taken;

enum cf_take {
  CF_TAKE_OK,
  CF_TAKE_NONE,    /* nothing new */
  CF_TAKE_ENDED,   /* nothing new, and there never will be */
  CF_TAKE_EVICTED, /* the publisher gave this seat up */
  CF_TAKE_BROKEN   /* the publisher breaks the protocol */
};

/* Checks a control page of `bytes` bytes and the seat's memory. False if the numbers are not sound. */
bool cf_reader_init(cf_frame_reader *reader, const void *control, uint64_t bytes, cf_seat *seat, bool ordered);

/* Once, before the first take: an ordered reader gets the frame that is the newest now and every one after it. False:
 * the publisher breaks the protocol. *must_wake: as in take. */
bool cf_reader_begin(cf_frame_reader *reader, bool *must_wake);

/* The last: an ordered reader gives up the frames that wait for it; leases stand. True: as *must_wake of take(). */
bool cf_reader_leave(const cf_frame_reader *reader);

/* Takes the next frame on lease k. *must_wake: the publisher sleeps on seat.room and must be woken. */
enum cf_take cf_reader_take(cf_frame_reader *reader, uint32_t k, cf_taken *taken, bool *must_wake);

/* What take() would say now, if it had a lease. */
enum cf_take cf_reader_peek(const cf_frame_reader *reader);

/* The picture of a taken frame is complete. */
bool cf_reader_complete(const cf_frame_reader *reader, uint32_t slot, uint64_t seq);
/* The publisher's GPU opens this seat's fence for that taken frame (or records the slot's event); otherwise the frame
 * is from before that began, and only cf_reader_complete() tells. */
bool cf_reader_fenced(const cf_frame_reader *reader, uint64_t seq);
/* The publisher is dead: lets the streams go on that wait for a slot's fence, or for any of the seat's. */
void cf_seat_signal_fence(cf_seat *seat, uint32_t slot, uint64_t seq);
void cf_seat_signal_fences(cf_seat *seat, uint32_t capacity);
/* The word that the subscriber's GPU sets to a frame's seq to give lease k back. */
_Atomic uint64_t *cf_seat_released_counter(cf_seat *seat, uint32_t k);
/* It has done so: the publisher counts the lease as free, and cf_reader_release() is due. */
bool cf_seat_released(const cf_seat *seat, uint32_t k, uint64_t seq);

/* While one spins for a frame, in each turn: a free lease's line stays here, which the publisher's looks take away. */
void cf_reader_warm(cf_seat *seat, uint32_t k);

/* Gives lease k back: before k is used again, and also when the GPU wrote released[k]. */
void cf_reader_release(cf_seat *seat, uint32_t k);

/* Whether take() has something to say to one who took `last` (started: took anything). */
bool cf_reader_news(const cf_frame_reader *reader, bool started, uint64_t last);

/* Announces that the caller may sleep on control.wake while it holds the value given here; look once more before.
 * Every call is ended by cf_reader_end_wait(). */
uint32_t cf_reader_prepare_wait(const cf_frame_reader *reader);
void cf_reader_end_wait(const cf_frame_reader *reader);
/* The same for packets; wake: the packet region's futex word. */
uint32_t cf_reader_prepare_packet_wait(const cf_frame_reader *reader, const _Atomic uint32_t *wake);
/* There is none: the thread sleeps on this word. */
void cf_reader_note_packet_wait(const cf_frame_reader *reader, uint32_t word);
void cf_reader_end_packet_wait(const cf_frame_reader *reader);
/* Says to the publisher, for people who look, that so many more packets were read, and overwritten before that. */
void cf_reader_note_packets(const cf_frame_reader *reader, uint64_t read, uint64_t lost);

/* The stream ended. */
bool cf_reader_ended(const cf_frame_reader *reader);
/* This seat was: it gets no more frames, nor those that are left. */
bool cf_reader_evicted(const cf_frame_reader *reader);
/* No more frames will be published: the stream ended, or this seat was evicted. */
bool cf_reader_over(const cf_frame_reader *reader);
/* The newest segment; segments below *floor are gone. */
uint32_t cf_reader_segments(const cf_frame_reader *reader, uint32_t *floor);
/* What the publisher says of its source: a cf_source_word(). */
uint64_t cf_reader_source(const cf_frame_reader *reader);

#endif
