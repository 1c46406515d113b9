/* test_packet_ring.c - the packet ring, one call at a time: layout, wrap-around, overrun, late readers, a writer that
 * breaks the protocol. */
#include "packet_ring_support.h"

static void expect_packet(ring *r, cf_packet_reader *reader, uint64_t seq, uint32_t size, uint64_t lost_expected) {
  cf_packet_meta meta;
  uint64_t lost = 99;
  memset(r->buffer, 0xEE, r->max_packet);
  assert_int_equal(cf_packet_read(reader, r->buffer, r->max_packet, &meta, &lost), CF_PACKET_OK);
  assert_true(meta.seq == seq);
  assert_int_equal(meta.size, size);
  assert_true(packet_whole(&meta, r->buffer));
  for (uint64_t i = size; i < r->max_packet; i++)
    assert_int_equal(r->buffer[i], 0xEE);
  assert_true(lost == lost_expected);
}

static void expect_none(ring *r, cf_packet_reader *reader) {
  cf_packet_meta meta;
  uint64_t lost = 99;
  assert_int_equal(cf_packet_read(reader, r->buffer, r->max_packet, &meta, &lost), CF_PACKET_NONE);
  assert_true(lost == 0);
}

static void expect_overrun(ring *r, cf_packet_reader *reader, uint64_t lost_expected) {
  cf_packet_meta meta;
  uint64_t lost = 99;
  assert_int_equal(cf_packet_read(reader, r->buffer, r->max_packet, &meta, &lost), CF_PACKET_OVERRUN);
  assert_true(lost == lost_expected);
}

static void expect_broken(ring *r, cf_packet_reader *reader) {
  cf_packet_meta meta;
  uint64_t lost;
  assert_int_equal(cf_packet_read(reader, r->buffer, r->max_packet, &meta, &lost), CF_PACKET_BROKEN);
}

static void test_numbers(void **state) {
  (void)state;
  assert_true(cf_packet_region_bytes(64, 8 << 20) == 128 + 64 * 64 + (8 << 20));
  assert_true(cf_packet_region_bytes(1, 8) == 128 + 64 + 8);
  assert_true(cf_packet_region_bytes(CF_PACKET_SLOTS_MAX, CF_PACKET_DATA_MAX) > CF_PACKET_DATA_MAX);
  assert_true(cf_packet_region_bytes(0, 64) == 0);
  assert_true(cf_packet_region_bytes(3, 64) == 0);
  assert_true(cf_packet_region_bytes(CF_PACKET_SLOTS_MAX * 2, 64) == 0);
  assert_true(cf_packet_region_bytes(4, 0) == 0);
  assert_true(cf_packet_region_bytes(4, 60) == 0);
  assert_true(cf_packet_region_bytes(4, CF_PACKET_DATA_MAX + 8) == 0);

  _Alignas(64) uint8_t memory[128 + 4 * 64 + 64] = { 0 };
  cf_packet_writer writer;
  assert_false(cf_packet_writer_init(&writer, memory, 3, 64, 64, 1));
  assert_false(cf_packet_writer_init(&writer, memory, 4, 63, 32, 1));
  assert_false(cf_packet_writer_init(&writer, memory, 4, 64, 0, 1));
  assert_false(cf_packet_writer_init(&writer, memory, 4, 64, 65, 1));
  assert_false(cf_packet_writer_init(&writer, memory, 4, 64, 64, 0));
  assert_false(cf_packet_writer_init(&writer, memory + 8, 2, 64, 64, 1)); /* not at a cache line */
  assert_true(cf_packet_writer_init(&writer, memory, 4, 64, 64, 1));

  cf_packet_region *region = (cf_packet_region *)(void *)memory;
  cf_packet_region good = *region;
  cf_packet_reader reader = { .next = 77 };
  assert_true(cf_packet_reader_init(&reader, memory, sizeof memory, false));
  assert_true(cf_packet_reader_init(&reader, memory, sizeof memory + 4096, false));
  reader.next = 77;
  assert_false(cf_packet_reader_init(&reader, memory, sizeof memory - 1, false));
  assert_false(cf_packet_reader_init(&reader, memory, 0, false));
  memmove(memory + 8, memory, sizeof memory - 8);
  assert_false(cf_packet_reader_init(&reader, memory + 8, sizeof memory - 8, false));
  memmove(memory, memory + 8, sizeof memory - 8);
#define REFUSES(change)                                                                                                \
  do {                                                                                                                 \
    change;                                                                                                            \
    assert_false(cf_packet_reader_init(&reader, memory, sizeof memory, false));                                        \
    *region = good;                                                                                                    \
  } while (0)
  REFUSES(region->magic++);
  REFUSES(region->layout++);
  REFUSES(region->slots = 0);
  REFUSES(region->slots = 6);
  REFUSES(region->slots = 8);
  REFUSES(region->slots = 0x80000000u);
  REFUSES(region->data_bytes = 0);
  REFUSES(region->data_bytes = 72);
  REFUSES(region->data_bytes = 60);
  REFUSES(region->data_bytes = UINT64_MAX - 7);
  REFUSES(region->data_offset += 64);
  REFUSES(region->data_offset += 8);
  REFUSES(region->data_offset = 0);
  REFUSES(region->data_offset = UINT64_MAX - 63);
  REFUSES(region->max_packet = 0);
  REFUSES(region->max_packet = 65);
  REFUSES(region->head = UINT64_MAX);
  REFUSES(region->keyframe = 2);
  assert_true(reader.next == 77); /* untouched on failure */
}

static void test_basics(void **state) {
  (void)state;
  ring r;
  ring_open(&r, 8, 1024, 256, 1);
  cf_packet_reader reader = ring_reader(&r, false);
  expect_none(&r, &reader);

  cf_packet_meta meta = meta_of(1, 0);
  assert_true(cf_packet_write(&r.writer, &meta, r.buffer, true) == 0);
  meta.size = 257;
  assert_true(cf_packet_write(&r.writer, &meta, r.buffer, true) == 0);
  meta.size = UINT32_MAX;
  assert_true(cf_packet_write(&r.writer, &meta, r.buffer, true) == 0);
  meta.size = 8;
  meta.track = CUFRAMES_TRACKS_MAX;
  assert_true(cf_packet_write(&r.writer, &meta, r.buffer, true) == 0);
  assert_true(r.writer.region->head == 0 && r.writer.region->keyframe == 0 && r.writer.region->wake == 0);

  ring_write(&r, 10, false); /* before the first start packet: not delivered, not lost */
  ring_write(&r, 10, false);
  expect_none(&r, &reader);
  ring_write(&r, 1, true);
  ring_write(&r, 256, false);
  ring_write(&r, 7, false);
  assert_int_equal(r.writer.region->wake, 5);
  cf_packet_writer_end(&r.writer);
  assert_int_equal(r.writer.region->wake, 6);
  assert_int_equal(cf_packet_reader_params(&reader), 0);
  cf_packet_writer_params(&r.writer, 3);
  assert_int_equal(cf_packet_reader_params(&reader), 3);
  expect_packet(&r, &reader, 3, 1, 0);

  uint64_t lost = 99;
  for (int i = 0; i < 2; i++) { /* too small consumes nothing */
    assert_int_equal(cf_packet_read(&reader, NULL, 0, &meta, &lost), CF_PACKET_SMALL);
    assert_true(meta.seq == 4 && meta.size == 256 && lost == 0);
    assert_int_equal(cf_packet_read(&reader, r.buffer, 255, &meta, &lost), CF_PACKET_SMALL);
  }
  expect_packet(&r, &reader, 4, 256, 0);
  expect_packet(&r, &reader, 5, 7, 0);
  expect_none(&r, &reader);

  cf_packet_reader late = ring_reader(&r, false); /* starts at the start packet, not at the oldest */
  expect_packet(&r, &late, 3, 1, 0);
  cf_packet_reader next = ring_reader(&r, true); /* starts at a start packet to come */
  expect_none(&r, &next);
  ring_write(&r, 8, false);
  expect_none(&r, &next);
  ring_write(&r, 9, true);
  expect_packet(&r, &next, 7, 9, 0);
  expect_packet(&r, &reader, 6, 8, 0);
  ring_close(&r);
}

/* Each size at each place of the byte ring, the one that ends at its end and those that wrap included. */
static void test_wrap_everywhere(void **state) {
  (void)state;
  enum { DATA = 192 };
  ring r;
  ring_open(&r, 64, DATA, DATA, 1);
  for (uint32_t offset = 0; offset < DATA; offset += 8) {
    for (uint32_t size = 1; size <= DATA; size++) {
      while (r.writer.position % DATA != offset)
        ring_write(&r, 8, false);
      uint64_t seq = ring_write(&r, size, true);
      cf_packet_reader reader = ring_reader(&r, false);
      expect_packet(&r, &reader, seq, size, 0);
      if (size + 7 < DATA) { /* the neighbour does not touch it */
        ring_write(&r, 8 - size % 8, false);
        reader = ring_reader(&r, false);
        expect_packet(&r, &reader, seq, size, 0);
        expect_packet(&r, &reader, seq + 1, 8 - size % 8, 0);
      }
    }
  }
  ring_close(&r);
}

/* The tail moves exactly as far as slots and bytes demand. */
static void test_tail(void **state) {
  (void)state;
  ring r;
  ring_open(&r, 4, 1024, 1024, 1);
  for (int i = 0; i < 4; i++)
    ring_write(&r, 8, true);
  assert_true(r.writer.region->tail == 1);
  ring_write(&r, 8, true); /* by slots */
  assert_true(r.writer.region->tail == 2);
  ring_write(&r, 1024 - 8, true); /* by bytes: one neighbour fits */
  assert_true(r.writer.region->tail == 5);
  ring_write(&r, 1017, true); /* takes every byte */
  assert_true(r.writer.region->tail == 7);
  ring_write(&r, 1, true);
  assert_true(r.writer.region->tail == 8);
  ring_close(&r);

  ring_open(&r, 1, 64, 64, 1); /* one slot: only the newest packet is whole */
  cf_packet_reader reader = ring_reader(&r, false);
  ring_write(&r, 5, true);
  expect_packet(&r, &reader, 1, 5, 0);
  ring_write(&r, 6, true);
  ring_write(&r, 7, true);
  expect_overrun(&r, &reader, 1);
  expect_packet(&r, &reader, 3, 7, 0);
  ring_close(&r);
}

static void test_rewind(void **state) {
  (void)state;
  ring r;
  ring_open(&r, 4, 1024, 1024, 1);
  cf_packet_reader empty = ring_reader(&r, false);
  assert_true(cf_packet_reader_rewind(&empty)); /* nothing there: at the next one, start packet or not */
  expect_none(&r, &empty);
  ring_write(&r, 8, false);
  expect_packet(&r, &empty, 1, 8, 0);
  for (int i = 0; i < 5; i++)
    ring_write(&r, 8, i == 4);
  cf_packet_reader last = ring_reader(&r, false), oldest = ring_reader(&r, false);
  assert_true(cf_packet_reader_rewind(&oldest));
  expect_packet(&r, &last, 6, 8, 0);
  for (uint64_t seq = 3; seq <= 6; seq++) /* what was before them does not count as lost */
    expect_packet(&r, &oldest, seq, 8, 0);
  expect_none(&r, &oldest);
  oldest = ring_reader(&r, false);
  assert_true(cf_packet_reader_rewind(&oldest));
  for (int i = 0; i < 6; i++)
    ring_write(&r, 8, i == 2);
  expect_overrun(&r, &oldest, 6);
  for (uint64_t seq = 9; seq <= 12; seq++)
    expect_packet(&r, &oldest, seq, 8, 0);
  r.writer.region->tail = 0;
  assert_false(cf_packet_reader_rewind(&oldest));
  r.writer.region->tail = UINT64_MAX; /* a liar's: what it says lies after the head, so at the next one */
  assert_true(cf_packet_reader_rewind(&oldest));
  assert_true(oldest.next == r.writer.head + 1);
  ring_close(&r);
}

/* A reader of data needs no start packet: what is whole after an overrun is read, wherever the last start packet is. */
static void test_overrun_from_oldest(void **state) {
  (void)state;
  for (int start = 0; start <= 20; start++) { /* 0: none at all, as in a stream without video */
    ring r;
    ring_open(&r, 4, 1024, 1024, 1);
    cf_packet_reader reader = ring_reader(&r, false);
    assert_true(cf_packet_reader_rewind(&reader));
    for (int seq = 1; seq <= 10; seq++)
      ring_write(&r, 8, seq == start);
    for (uint64_t lost = 6, first = 7; first <= 17; lost = 6, first += 10) {
      expect_overrun(&r, &reader, lost);
      for (uint64_t seq = first; seq < first + 4; seq++)
        expect_packet(&r, &reader, seq, 8, 0);
      expect_none(&r, &reader);
      for (uint64_t seq = first + 4; seq < first + 14; seq++)
        ring_write(&r, 8, seq == (uint64_t)start);
    }
    ring_close(&r);
  }
}

static void test_overrun(void **state) {
  (void)state;
  ring r;
  ring_open(&r, 8, 4096, 64, 1);
  ring_write(&r, 10, true); /* 1 */
  cf_packet_reader reader = ring_reader(&r, false);
  expect_packet(&r, &reader, 1, 10, 0);
  for (int i = 2; i <= 14; i++)
    ring_write(&r, 10, i == 9 || i == 12);
  /* 7..14 are whole; 2 was next: it goes on at 12, not at 9 */
  expect_overrun(&r, &reader, 10);
  for (uint64_t seq = 12; seq <= 14; seq++)
    expect_packet(&r, &reader, seq, 10, 0);
  expect_none(&r, &reader);

  /* The start packet itself is gone: everything so far is lost, and what comes before the next start too. */
  for (int i = 15; i <= 30; i++)
    ring_write(&r, 10, i == 20);
  expect_overrun(&r, &reader, 16);
  expect_none(&r, &reader);  /* said once */
  ring_write(&r, 10, false); /* 31 */
  ring_write(&r, 10, false); /* 32 */
  expect_none(&r, &reader);
  for (int i = 0; i < 30; i++) /* a start packet that comes and goes unseen: still waiting, still told once */
    ring_write(&r, 10, i == 3);
  expect_none(&r, &reader);
  ring_write(&r, 10, true); /* 63 */
  expect_packet(&r, &reader, 63, 10, 32);
  ring_write(&r, 10, false);
  expect_packet(&r, &reader, 64, 10, 0);

  /* Late readers over a ring whose start packet is gone wait without a word. */
  for (int i = 0; i < 8; i++)
    ring_write(&r, 10, false);
  cf_packet_reader late = ring_reader(&r, false);
  expect_none(&r, &late);
  uint64_t seq = ring_write(&r, 10, true);
  expect_packet(&r, &late, seq, 10, 0);
  ring_close(&r);
}

/* A start packet as it is being written: keyframe has moved, head has not. */
static void test_start_before_head(void **state) {
  (void)state;
  ring r;
  ring_open(&r, 4, 1024, 64, 1);
  ring_write(&r, 8, false);
  cf_packet_region *region = r.writer.region;
  cf_packet_reader waiting = ring_reader(&r, false);
  region->keyframe = 2;
  cf_packet_reader late = ring_reader(&r, false), next = ring_reader(&r, true);
  expect_none(&r, &waiting);
  expect_none(&r, &late);
  expect_none(&r, &next);
  region->keyframe = 0;
  ring_write(&r, 8, true);
  expect_packet(&r, &waiting, 2, 8, 0);
  expect_packet(&r, &late, 2, 8, 0);
  expect_packet(&r, &next, 2, 8, 0);
  ring_close(&r);
}

static void test_large_seq(void **state) {
  (void)state;
  const uint64_t first[] = { (1ull << 32) - 20, (1ull << 63) - 20, UINT64_MAX - 200 };
  for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
    ring r;
    ring_open(&r, 8, 256, 64, first[i]);
    cf_packet_reader reader = ring_reader(&r, false), slow = reader;
    expect_none(&r, &reader);
    for (int n = 0; n < 40; n++) {
      uint64_t seq = ring_write(&r, 20, n % 4 == 0);
      assert_true(seq == first[i] + (uint64_t)n);
      expect_packet(&r, &reader, seq, 20, 0);
      if (n == 0)
        expect_packet(&r, &slow, seq, 20, 0);
    }
    expect_overrun(&r, &slow, 35);
    expect_packet(&r, &slow, first[i] + 36, 20, 0);
    ring_close(&r);
  }
}

/* What a writer that breaks the protocol gets. */
static void test_broken(void **state) {
  (void)state;
  ring r;
  ring_open(&r, 4, 256, 64, 1);
  ring_write(&r, 8, true);
  ring_write(&r, 64, false);
  cf_packet_region *region = r.writer.region;
  cf_packet_record *record = &r.writer.records[2];
  cf_packet_reader reader = ring_reader(&r, false);
  expect_packet(&r, &reader, 1, 8, 0);
#define BREAKS(field, value)                                                                                           \
  do {                                                                                                                 \
    uint64_t keep = field;                                                                                             \
    (field) = value;                                                                                                   \
    expect_broken(&r, &reader);                                                                                        \
    (field) = keep;                                                                                                    \
  } while (0)
  BREAKS(record->size, 0);
  BREAKS(record->size, 65);
  BREAKS(record->size, UINT32_MAX);
  BREAKS(record->track, CUFRAMES_TRACKS_MAX);
  BREAKS(record->position, 9);
  BREAKS(record->seq, 6);
  BREAKS(region->head, 0);
  BREAKS(region->head, UINT64_MAX);
  record->size = 65; /* too large and overwritten: an overrun */
  region->tail = 3;
  expect_overrun(&r, &reader, 1);
  BREAKS(region->head, 1);
  BREAKS(region->keyframe, 4);
  BREAKS(region->keyframe, UINT64_MAX);
  expect_none(&r, &reader);
  region->keyframe = 3; /* a promise that head does not keep */
  region->tail = 1;
  expect_none(&r, &reader);
  region->head = 1000; /* a jump that tail does not know of */
  expect_broken(&r, &reader);
  ring_close(&r);

  ring_open(&r, 4, 256, 64, 1);
  region = r.writer.region;
  for (int i = 0; i < 5; i++)
    ring_write(&r, 8, i == 0);
  region->tail = 1;
  reader = ring_reader(&r, false);
  region->tail = 7; /* the writer at 7, this reader's head still at 5: all up to the start packet 6 is lost */
  region->keyframe = 6;
  expect_overrun(&r, &reader, 6);
  region->head = 6;
  region->tail = 1; /* what was given up does not come back */
  region->keyframe = 4;
  expect_none(&r, &reader);
  ring_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_numbers),         cmocka_unit_test(test_basics),
    cmocka_unit_test(test_wrap_everywhere), cmocka_unit_test(test_tail),
    cmocka_unit_test(test_rewind),          cmocka_unit_test(test_overrun_from_oldest),
    cmocka_unit_test(test_overrun),         cmocka_unit_test(test_start_before_head),
    cmocka_unit_test(test_large_seq),       cmocka_unit_test(test_broken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
