/* packet_ring_support.h - what the tests of the packet ring share: a ring on the heap, and packets whose every word
 * says which packet it belongs to. */
#ifndef PACKET_RING_SUPPORT_H
#define PACKET_RING_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/packet_ring.h"

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state) {
  uint64_t x = *state += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit) {
  return random_next(state) % limit;
}

/* Every word of a packet depends on its seq and place: a word of another packet, or one that moved, shows. */
static inline uint64_t content_word(uint64_t seq, size_t index) {
  return seq * 0x9E3779B97F4A7C15ull ^ (index + 1) * 0xC2B2AE3D27D4EB4Full;
}

static inline void content_fill(uint8_t *bytes, uint64_t seq, size_t size) {
  for (size_t at = 0; at < size; at += 8) {
    uint64_t word = content_word(seq, at / 8);
    memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
  }
}

static inline bool content_whole(const uint8_t *bytes, uint64_t seq, size_t size) {
  for (size_t at = 0; at < size; at += 8) {
    uint64_t word = content_word(seq, at / 8);
    if (memcmp(bytes + at, &word, size - at < 8 ? size - at : 8) != 0)
      return false;
  }
  return true;
}

static inline cf_packet_meta meta_of(uint64_t seq, uint32_t size) {
  return (cf_packet_meta){ .seq = seq,
                           .size = size,
                           .track = seq % CUFRAMES_TRACKS_MAX,
                           .flags = (uint32_t)seq * 3,
                           .params = (uint32_t)(seq >> 3),
                           .pts = (int64_t)(seq * 7),
                           .dts = -(int64_t)(seq & 0xffff),
                           .duration = (int64_t)(seq ^ 0x55) };
}

static inline bool packet_whole(const cf_packet_meta *meta, const uint8_t *bytes) {
  cf_packet_meta expected = meta_of(meta->seq, meta->size);
  return meta->track == expected.track && meta->flags == expected.flags && meta->params == expected.params &&
         meta->pts == expected.pts && meta->dts == expected.dts && meta->duration == expected.duration &&
         content_whole(bytes, meta->seq, meta->size);
}

/* A ring on the heap, of exactly the bytes it needs so that a sanitizer sees one too many. */
typedef struct ring {
  void *memory;
  uint64_t bytes, max_packet;
  cf_packet_writer writer;
  uint8_t *buffer; /* of max_packet bytes */
} ring;

static inline void ring_open(ring *r, uint32_t slots, uint64_t data_bytes, uint64_t max_packet, uint64_t first_seq) {
  r->bytes = cf_packet_region_bytes(slots, data_bytes);
  assert_true(r->bytes > 0);
  r->max_packet = max_packet;
  assert_int_equal(posix_memalign(&r->memory, 64, r->bytes), 0);
  memset(r->memory, 0, r->bytes);
  r->buffer = malloc(max_packet);
  assert_non_null(r->buffer);
  assert_true(cf_packet_writer_init(&r->writer, r->memory, slots, data_bytes, max_packet, first_seq));
}

static inline void ring_close(ring *r) {
  free(r->memory);
  free(r->buffer);
}

static inline uint64_t ring_write(ring *r, uint32_t size, bool is_start) {
  uint64_t seq = r->writer.head + 1;
  cf_packet_meta meta = meta_of(seq, size);
  meta.seq = 12345; /* ignored */
  content_fill(r->buffer, seq, size);
  uint64_t got = cf_packet_write(&r->writer, &meta, r->buffer, is_start);
  assert_true(got == seq);
  return seq;
}

static inline cf_packet_reader ring_reader(const ring *r, bool from_next) {
  cf_packet_reader reader;
  assert_true(cf_packet_reader_init(&reader, r->memory, r->bytes, from_next));
  return reader;
}

#endif
