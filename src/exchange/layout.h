/* exchange/layout.h - the shared memory of the frame exchange: control page and seats. docs/protocol.md describes
 * every byte; a test compares the two.
 *
 * Fixed width, little-endian. A line of 64 bytes has one writer, named above it.
 */
#ifndef CF_EXCHANGE_LAYOUT_H
#define CF_EXCHANGE_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CF_CONTROL_MAGIC 0x4c4f52544e4f4346ull /* "FCONTROL" */
#define CF_CONTROL_LAYOUT 3u
#define CF_SLOTS_MAX 2048u /* entries of the slot table; a power of two */
#define CF_SEATS_MAX 256u
#define CF_LEASES_MAX 64u       /* of one seat */
#define CF_DEPTH_MAX 256u       /* of one ordered seat */
#define CF_SIDE_DATA_MAX 65536u /* bytes of one frame */
#define CF_SEQ_MAX ((UINT64_C(1) << 48) - 1)
/* cursor of a seat that is not ordered, or not yet, or no more: pins nothing */
#define CF_CURSOR_NONE UINT64_MAX

/* "seq and slot in one 64-bit word": 48 bits of seq above 16 bits of slot. 0: none. */
static inline uint64_t cf_ref(uint64_t seq, uint32_t slot) {
  return seq << 16 | slot;
}
static inline uint64_t cf_ref_seq(uint64_t word) {
  return word >> 16;
}
static inline uint32_t cf_ref_slot(uint64_t word) {
  return (uint32_t)(word & 0xffff);
}

/* Of slot.flags, beside enum cuframes_frame_flag: the slot's extra says more. */
#define CF_SLOT_HAS_EXTRA 0x80000000u

/* Memory for one frame and what is in it; one cache line.
 * The life of a slot, by the publisher alone:
 *   seq q -> 0   taken: nobody pins it, its bytes may now be written
 *   seq 0 -> q   published as the new frame
 * A reader whose lease holds (exchange/frame_reader.h) may read all other fields and the bytes. */
typedef struct cf_slot {
  _Atomic uint64_t seq;      /* publisher; 0: being written or never written */
  _Atomic uint64_t ready;    /* publisher or its GPU: the seq whose pixels are complete */
  _Atomic uint64_t offset;   /* publisher: bytes from the start of the segment */
  _Atomic uint32_t segment;  /* publisher: which segment holds it, 1, 2, 3, ... */
  _Atomic uint32_t flags;    /* publisher: enum cuframes_frame_flag (KEY, CORRUPT), CF_SLOT_HAS_EXTRA */
  _Atomic int64_t pts;       /* publisher: ns or INT64_MIN */
  _Atomic int64_t duration;  /* publisher: ns */
  _Atomic int64_t timestamp; /* publisher: CLOCK_MONOTONIC ns of publishing */
  _Atomic uint32_t epoch;    /* publisher: counts (re)starts of the source */
  uint32_t reserved;
} cf_slot;

/* What few frames have. It is in a table of its own, which is touched only if CF_SLOT_HAS_EXTRA is set: a frame without
 * costs neither side another cache line. It is written like the slot's own fields, between seq 0 and the next seq. */
typedef struct cf_extra {
  _Atomic int64_t capture_time; /* publisher: ns since 1970 UTC; INT64_MIN: not known */
  _Atomic uint32_t side_offset; /* publisher: of its side data, bytes from the start of the segment's */
  _Atomic uint32_t side_bytes;  /* publisher: 0: none */
} cf_extra;

enum cf_control_state { CF_CONTROL_RUNNING = 1, CF_CONTROL_ENDED = 2 };

/* The publisher writes, everybody maps it read-only. index[], slots[] and extras[] follow. */
typedef struct cf_control {
  /* constant since before it was shared */
  uint64_t magic;        /* CF_CONTROL_MAGIC */
  uint32_t layout;       /* CF_CONTROL_LAYOUT */
  uint32_t capacity;     /* entries of index, slots and extras: a power of two, at most CF_SLOTS_MAX */
  uint64_t instance;     /* random; as in WELCOME */
  uint64_t index_offset; /* bytes from the start of the page */
  uint64_t slots_offset;
  uint64_t extras_offset;
  uint32_t side_data_max; /* bytes that a frame has room for; 0: there is no side data */
  uint8_t pad0[12];
  /* moves with every frame; who spins for one reads this line all the time */
  _Atomic uint64_t head;          /* word of the newest frame */
  _Atomic uint32_t state;         /* enum cf_control_state */
  _Atomic uint32_t segment_floor; /* segments below this number are gone: unmap them */
  _Atomic uint32_t segment_top;   /* the newest segment: map them before frames come in them */
  _Atomic uint32_t newest_mark;   /* whose record follows (exchange/newest.h); 0: nobody's */
  _Atomic uint64_t source;        /* what the source is doing: cf_source_word() */
  /* What the slot of the newest frame says of it, once more: who spins for it needs no line but this one */
  _Atomic int64_t newest_pts, newest_duration, newest_timestamp;
  _Atomic uint32_t newest_epoch, newest_segment;
  /* moves only when somebody sleeps */
  _Atomic uint32_t wake; /* futex word: moves before sleepers are woken */
  uint8_t pad3[60];
} cf_control;

/* "State of the source and since when in one word", so that nobody sees one of them without the other: the ns are
 * rounded down to a multiple of 8, and the state, 0 to 7, stands in the room that this leaves. 0: not said. */
static inline uint64_t cf_source_word(uint32_t state, int64_t since) {
  return ((uint64_t)since & ~UINT64_C(7)) | (state & 7);
}
static inline uint32_t cf_source_word_state(uint64_t word) {
  return (uint32_t)(word & 7);
}
/* A time before the machine's start is none. */
static inline int64_t cf_source_word_since(uint64_t word) {
  return word >> 63 ? 0 : (int64_t)(word & ~UINT64_C(7));
}

#define CF_SEAT_COUNTERS 64u /* of a seat: buckets of latency (exchange/latency.h), these, and room for others */
#define CF_SEAT_PACKETS_READ 16u
#define CF_SEAT_PACKETS_LOST 17u
#define CF_SEAT_COUNTED 18u

enum cf_seat_state { CF_SEAT_ACTIVE = 1, CF_SEAT_EVICTED = 2 };

/* What one subscriber and the publisher share. The publisher looks at leases when it takes a slot and at sleepers
 * when it has published: each in a line of its own, since the subscriber takes its lease while the publisher looks
 * who sleeps. */
typedef struct cf_seat {
  /* subscriber, with each frame */
  _Atomic uint64_t cursor; /* ordered: seq of the last frame taken; CF_CURSOR_NONE */
  _Atomic uint32_t room;   /* futex word: moves with cursor */
  uint32_t reserved;
  _Atomic uint64_t lease[CF_LEASES_MAX]; /* words of the frames in hand; 0: none */
  uint8_t pad0[48];
  /* subscriber, when it sleeps */
  _Atomic uint32_t waiting;        /* its threads that sleep on control.wake, or are about to */
  _Atomic uint32_t packet_waiting; /* the same for the packet region's wake */
  _Atomic uint32_t packet_word;    /* that wake, when it last had read all packets and slept */
  uint8_t pad1[52];
  /* subscriber's GPU */
  _Atomic uint64_t released[CF_LEASES_MAX]; /* seq: lease[k] of that seq counts as free */
  /* subscriber, for people who look */
  _Atomic uint64_t last_seq; /* of the newest frame taken */
  _Atomic uint64_t delivered, skipped;
  _Atomic uint64_t latency_sum; /* ns, of the frames in the buckets */
  uint8_t pad2[32];
  _Atomic uint64_t counters[CF_SEAT_COUNTERS]; /* CF_LATENCY_BOUNDS buckets, packets; the others are 0 */
  /* publisher */
  _Atomic uint32_t state;           /* enum cf_seat_state */
  _Atomic uint32_t publisher_waits; /* nonzero: ring `room` after moving the cursor */
  _Atomic uint64_t fenced_from;     /* frames from this seq on come with a fence (or event) of this seat; 0: none yet */
  uint8_t pad3[48];
} cf_seat;

/* Behind the seat of a subscriber in sync mode timeline: a fence for each slot of the table, the seq whose picture is
 * complete. The publisher's GPU writes it just before slot.ready; the subscriber's stream waits for it. It is not the
 * control page's word, so that the subscriber can open it when the publisher is dead. */
static inline _Atomic uint64_t *cf_seat_fence(cf_seat *seat, uint32_t slot) {
  return (_Atomic uint64_t *)(void *)(seat + 1) + slot;
}

/* Bytes of a seat, with fences or without. */
static inline uint64_t cf_seat_bytes(uint32_t capacity, bool fences) {
  return sizeof(cf_seat) + (fences ? (uint64_t)capacity * sizeof(uint64_t) : 0);
}

static_assert(sizeof(cf_slot) == 64, "one cache line");
static_assert(offsetof(cf_slot, offset) == 16 && offsetof(cf_slot, segment) == 24 && offsetof(cf_slot, pts) == 32 &&
                  offsetof(cf_slot, timestamp) == 48 && offsetof(cf_slot, epoch) == 56,
              "docs/protocol.md, slot");
static_assert(sizeof(cf_extra) == 16 && offsetof(cf_extra, side_offset) == 8 && offsetof(cf_extra, side_bytes) == 12,
              "docs/protocol.md, extra");
static_assert(sizeof(cf_control) == 192 && offsetof(cf_control, extras_offset) == 40 &&
                  offsetof(cf_control, side_data_max) == 48 && offsetof(cf_control, head) == 64 &&
                  offsetof(cf_control, state) == 72 && offsetof(cf_control, segment_floor) == 76 &&
                  offsetof(cf_control, segment_top) == 80 && offsetof(cf_control, newest_mark) == 84 &&
                  offsetof(cf_control, source) == 88 && offsetof(cf_control, newest_pts) == 96 &&
                  offsetof(cf_control, newest_timestamp) == 112 && offsetof(cf_control, newest_segment) == 124 &&
                  offsetof(cf_control, wake) == 128,
              "docs/protocol.md, control page");
static_assert(sizeof(cf_seat) == 1792 && offsetof(cf_seat, room) == 8 && offsetof(cf_seat, lease) == 16 &&
                  offsetof(cf_seat, waiting) == 576 && offsetof(cf_seat, packet_waiting) == 580 &&
                  offsetof(cf_seat, packet_word) == 584 && offsetof(cf_seat, released) == 640 &&
                  offsetof(cf_seat, last_seq) == 1152 && offsetof(cf_seat, latency_sum) == 1176 &&
                  offsetof(cf_seat, counters) == 1216 && offsetof(cf_seat, state) == 1728 &&
                  offsetof(cf_seat, fenced_from) == 1736,
              "docs/protocol.md, seat");
static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "atomics are plain words");

/* Bytes of a control page for a table of `capacity` slots. */
static inline uint64_t cf_control_bytes(uint32_t capacity) {
  return sizeof(cf_control) + (uint64_t)capacity * (sizeof(uint64_t) + sizeof(cf_slot) + sizeof(cf_extra));
}

#endif
