/* exchange/packet_ring.h - encoded packets in shared memory: one writer, any number of readers that copy out.
 *
 * Pure C11 atomics on memory handed in; no allocation, no system call. The region is mapped read-write by the
 * publisher alone and read-only by everybody else, so a reader trusts the writer with the content but not with
 * its own safety: every value is loaded once, checked and then used.
 *
 * Readers never block the writer. They read under a sequence lock (H.-J. Boehm, "Can seqlocks get along with
 * programming language memory models?", 2012): `tail` is the oldest packet still whole; the writer moves it
 * before it touches a byte of what it overwrites, a reader looks at it again after it copied.
 */
#ifndef CF_EXCHANGE_PACKET_RING_H
#define CF_EXCHANGE_PACKET_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/packet.h>

#define CF_PACKET_MAGIC 0x5452504655434B50ull
#define CF_PACKET_LAYOUT 1u
#define CF_PACKET_SLOTS_MAX 65536u
#define CF_PACKET_DATA_MAX (1ull << 32)

/* One packet, 64 bytes. All fields written by the publisher only. */
typedef struct cf_packet_record {
  _Atomic uint64_t seq;      /* 1, 2, 3, ...; slot of packet seq is seq % slots */
  _Atomic uint64_t position; /* of its first byte in the endless byte stream, a multiple of 8; the ring offset is
                                 position % data_bytes */
  _Atomic uint32_t size;     /* bytes, 1..max_packet; up to 7 zero bytes follow, so that packets are whole words */
  _Atomic uint32_t track;    /* index, below CUFRAMES_TRACKS_MAX */
  _Atomic uint32_t flags;    /* enum cuframes_packet_flag */
  _Atomic uint32_t params;   /* generation of the codec parameters that this packet needs */
  _Atomic int64_t pts, dts, duration; /* ns */
  _Atomic uint64_t reserved;
} cf_packet_record;

/* Head of the region; records and then data bytes follow. */
typedef struct cf_packet_region {
  uint64_t magic;       /* CF_PACKET_MAGIC; written once, before the region is shared */
  uint32_t layout;      /* CF_PACKET_LAYOUT */
  uint32_t slots;       /* a power of two */
  uint64_t data_bytes;  /* a multiple of 8 */
  uint64_t data_offset; /* of the data from the start of the region, a multiple of 64 */
  uint64_t max_packet;  /* 1..data_bytes */
  uint8_t pad0[24];
  /* one cache line that moves with every packet */
  _Atomic uint64_t head;     /* seq of the newest packet, 0: none yet */
  _Atomic uint64_t tail;     /* seq of the oldest packet that is still whole; head + 1: none is */
  _Atomic uint64_t keyframe; /* seq of the last packet where a late reader may start, 0: none yet; moves before head */
  _Atomic uint32_t params;   /* generation of the codec parameters, moves when any of them changes */
  _Atomic uint32_t wake;     /* futex word: moves with every packet and when the stream ends */
  uint8_t pad1[32];
} cf_packet_region;

/* What a packet is, without its bytes. */
typedef struct cf_packet_meta {
  uint64_t seq;
  uint32_t size, track, flags, params;
  int64_t pts, dts, duration;
} cf_packet_meta;

/* Bytes of a region for slots (a power of two) and data_bytes (a multiple of 8); 0 if a number is out of range. */
uint64_t cf_packet_region_bytes(uint32_t slots, uint64_t data_bytes);

/* The writer. Its state is private memory of the publisher. */
typedef struct cf_packet_writer {
  cf_packet_region *region;
  cf_packet_record *records;
  uint8_t *data;
  uint32_t slots;
  uint64_t data_bytes, max_packet;
  uint64_t head, tail; /* private copies: never read back from shared memory */
  uint64_t position;   /* where the next packet's bytes start */
} cf_packet_writer;

/* Formats zeroed memory of cf_packet_region_bytes(), aligned to 64. first_seq: the seq of the first packet (1 but in
 * tests). False if a number is out of range. */
bool cf_packet_writer_init(cf_packet_writer *writer, void *memory, uint32_t slots, uint64_t data_bytes,
                           uint64_t max_packet, uint64_t first_seq);

/* Appends a packet: meta->seq is ignored and given back as the result; 0, and nothing done, if it is larger than
 * max_packet or empty or its stream is out of range. is_start: a late reader may start here. Moves the `wake` word
 * (seq_cst, after head) but wakes nobody; `params` of the region is left to the caller. */
uint64_t cf_packet_write(cf_packet_writer *writer, const cf_packet_meta *meta, const void *bytes, bool is_start);

/* Says that any track's parameters changed: `generation` is what packets from here on carry. */
void cf_packet_writer_params(cf_packet_writer *writer, uint32_t generation);

/* Moves the `wake` word without a packet, so that nobody falls asleep over the end of the stream; wakes nobody. */
void cf_packet_writer_end(cf_packet_writer *writer);

/* The `wake` word: moves with each packet. */
uint32_t cf_packet_writer_wake(const cf_packet_writer *writer);

/* A reader's private state; used by one thread at a time. */
typedef struct cf_packet_reader {
  const cf_packet_region *region;
  const cf_packet_record *records;
  const uint8_t *data;
  uint32_t slots;
  uint64_t data_bytes, max_packet;
  uint64_t next;     /* seq to read next; 0: waiting for a start packet after `searched` */
  uint64_t searched; /* no start packet up to here is wanted */
  uint64_t counted;  /* up to here each packet was delivered, reported as lost or older than the reader; 0 until
                                 the first start packet */
  bool from_oldest;  /* it needs no start packet: after an overrun it goes on at the oldest packet that is whole */
} cf_packet_reader;

/* Checks a region of `bytes` bytes (mapped, sealed by the caller's knowledge) and starts at the last start packet
 * still whole, or, with from_next or if there is none, at the next one to come; what is older than that does not
 * count as lost. False if the region's numbers are not sound. */
bool cf_packet_reader_init(cf_packet_reader *reader, const void *memory, uint64_t bytes, bool from_next);

/* Before the first read: starts at the oldest packet that is whole or, if none is, at the next one to come, whether it
 * is a start packet or not; after an overrun likewise. False if the region's numbers are not sound. */
bool cf_packet_reader_rewind(cf_packet_reader *reader);

/* Whether something was written after what this reader has seen. */
bool cf_packet_reader_news(const cf_packet_reader *reader);

/* Generation of the codec parameters as of now. */
uint32_t cf_packet_reader_params(const cf_packet_reader *reader);

enum cf_packet_read {
  CF_PACKET_NONE,    /* nothing new */
  CF_PACKET_OK,      /* *meta and the bytes are whole */
  CF_PACKET_OVERRUN, /* packets were lost: *lost of them; the reader now stands at a start packet (or waits for one), or
                        at the oldest one after cf_packet_reader_rewind() */
  CF_PACKET_SMALL,   /* the buffer is smaller than meta->size: nothing consumed, call again */
  CF_PACKET_BROKEN   /* the writer breaks the protocol */
};

/* Reads the next packet into buffer. Never loops or waits, whatever the writer does.
 *
 * *meta is written on OK and SMALL only. *lost is always written: packets lost since the last report, so over any
 * stretch delivered + lost = the seqs passed. An overrun is reported once: OVERRUN counts what lies before the place
 * where reading goes on or, if no start packet is whole, all that had been written; then NONE until the next start
 * packet, and the OK that delivers it counts what went by in between (0 on every other OK). buffer may be NULL if
 * capacity is 0. After OVERRUN call again at once: there may be a packet to read. After BROKEN give the region up. */
enum cf_packet_read cf_packet_read(cf_packet_reader *reader, void *buffer, size_t capacity, cf_packet_meta *meta,
                                   uint64_t *lost);

#endif
