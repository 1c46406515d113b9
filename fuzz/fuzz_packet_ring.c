/* fuzz_packet_ring.c - the input is a little program: a ring of some size, then writes, reads and, in the hostile
 * half, changes to the shared memory under the reader. Without such changes every packet must come whole, in order,
 * with every gap counted; with them a reader must stay inside its region and its buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/packet_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READERS 2

typedef struct input {
  const uint8_t *data;
  size_t size;
} input;

static uint8_t take(input *in) {
  if (in->size == 0)
    return 0;
  in->size--;
  return *in->data++;
}

static uint64_t take_word(input *in) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++)
    word = word << 8 | take(in);
  return word;
}

typedef struct ring_reader {
  cf_packet_reader reader;
  uint64_t last, lost; /* last packet delivered, what was reported as lost since */
  bool anywhere;       /* begins, and goes on after a gap, at the oldest packet */
} ring_reader;

static void check(bool holds) {
  if (!holds)
    abort();
}

/* Byte i of packet seq. */
static uint8_t content(uint64_t seq, size_t i) {
  return (uint8_t)(seq * 31 + i * 7 + (i >> 8));
}

static void write_packet(cf_packet_writer *writer, uint8_t *buffer, uint32_t size, bool is_start) {
  uint64_t seq = writer->head + 1;
  cf_packet_meta meta = { .size = size, .track = (uint32_t)(seq % CUFRAMES_TRACKS_MAX), .flags = is_start };
  for (size_t i = 0; i < size && i < writer->max_packet; i++)
    buffer[i] = content(seq, i);
  check(cf_packet_write(writer, &meta, buffer, is_start) == (size > 0 && size <= writer->max_packet ? seq : 0));
}

static void read_packet(ring_reader *p, uint8_t *buffer, size_t capacity, bool honest) {
  cf_packet_meta meta;
  uint64_t lost;
  enum cf_packet_read got = cf_packet_read(&p->reader, buffer, capacity, &meta, &lost);
  if (got == CF_PACKET_OK || got == CF_PACKET_SMALL) {
    check(meta.size > 0 && meta.size <= p->reader.max_packet && meta.track < CUFRAMES_TRACKS_MAX);
    check((meta.size <= capacity) == (got == CF_PACKET_OK));
  }
  if (!honest)
    return;
  check(got != CF_PACKET_BROKEN);
  check((got == CF_PACKET_OVERRUN) <= (lost > 0));
  p->lost += lost;
  if (got != CF_PACKET_OK)
    return;
  check(p->last ? meta.seq == p->last + p->lost + 1 : true);
  check(p->anywhere || (p->last && p->lost == 0) ||
        meta.flags == 1); /* begins, and goes on after a gap, at a start packet */
  for (size_t i = 0; i < meta.size; i++)
    check(buffer[i] == content(meta.seq, i));
  p->last = meta.seq;
  p->lost = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = { data, size };
  uint8_t kind = take(&in);
  bool honest = kind & 1;
  uint32_t slots = 1u << (kind >> 1 & 3);
  uint64_t data_bytes = 8 * (1ull + take(&in));
  uint64_t max_packet = 1 + take_word(&in) % data_bytes;
  uint64_t bytes = cf_packet_region_bytes(slots, data_bytes);
  uint64_t *region = NULL;
  uint8_t *buffer = malloc(max_packet); /* of this size, so that one byte too many is seen */
  cf_packet_writer writer;
  if (!buffer || posix_memalign((void **)&region, 64, bytes) != 0)
    abort();
  memset(region, 0, bytes);
  check(cf_packet_writer_init(&writer, region, slots, data_bytes, max_packet, 1 + (take_word(&in) >> 1)));

  ring_reader readers[READERS];
  for (int i = 0; i < READERS; i++) {
    readers[i] = (ring_reader){ .last = 0 };
    check(cf_packet_reader_init(&readers[i].reader, region, bytes, i));
  }
  while (in.size > 0) {
    uint8_t op = take(&in);
    ring_reader *p = &readers[op >> 7];
    switch (op & 7) {
      case 0:
      case 1: write_packet(&writer, buffer, take(&in) * (op & 64 ? 8u : 1u), op & 32); break;
      case 2: read_packet(p, buffer, take(&in) % (max_packet + 1), honest); break;
      case 3: {
        ring_reader fresh = { .last = 0 };
        bool sound = cf_packet_reader_init(&fresh.reader, region, bytes, op & 32);
        fresh.anywhere = op & 64;
        if (sound && fresh.anywhere)
          sound = cf_packet_reader_rewind(&fresh.reader);
        check(sound || !honest);
        if (sound)
          *p = fresh;
        break;
      }
      case 4:
        if (!honest)
          region[take_word(&in) % (bytes / 8)] = take_word(&in);
        break;
      case 5: /* head, tail or keyframe near what the reader expects */
        if (!honest)
          region[8 + (op >> 3) % 3] = p->reader.next + take(&in) - 128;
        break;
      default: read_packet(p, buffer, max_packet, honest);
    }
  }
  free(region);
  free(buffer);
  return 0;
}
