/* test_exchange_reader.c - the subscriber's side of the frame exchange, call by call, and what it makes of a control
 * page that is broken or changes as no publisher would change it.
 */
#include <cuframes/frame.h>

#include "exchange_support.h"

enum { CAPACITY = 16, SLOTS = 8 };

typedef struct rig {
  cf_frame_writer writer;
  cf_control *control;
  cf_slot_note notes[CAPACITY];
  cf_slot_run run;
  cf_writer_seat seat;
  cf_frame_reader reader;
  cf_taken taken;
  bool must_wake;
} rig;

/* A publisher that has published `before` frames, and one subscriber that has joined. */
static rig *rig_open(uint64_t first_seq, uint32_t depth, int before) {
  rig *r = calloc(1, sizeof *r);
  assert_non_null(r);
  r->run = (cf_slot_run){ .segment = 6, .count = SLOTS, .stride = 4096 };
  r->control = writer_open(&r->writer, r->notes, CAPACITY, first_seq, &r->run);
  for (int i = 0; i < before; i++)
    (void)cf_writer_publish(&r->writer, cf_writer_acquire(&r->writer), &(cf_frame_meta){ .pts = i }, true);
  r->seat = (cf_writer_seat){ .page = zeroed(sizeof(cf_seat)), .leases = 2, .depth = depth };
  assert_true(cf_writer_add_seat(&r->writer, &r->seat));
  assert_true(cf_reader_init(&r->reader, r->control, cf_control_bytes(CAPACITY), r->seat.page, depth > 0));
  assert_true(cf_reader_begin(&r->reader, &r->must_wake));
  assert_false(r->must_wake);
  return r;
}

static void rig_close(rig *r) {
  free(r->seat.page);
  free(r->control);
  free(r);
}

static uint64_t publish(rig *r) {
  uint32_t slot = cf_writer_acquire(&r->writer);
  assert_true(slot != CF_NO_SLOT);
  return cf_writer_publish(&r->writer, slot, &(cf_frame_meta){ .flags = 2, .pts = 7, .duration = 8, .timestamp = 9 },
                           true);
}

static enum cf_take take(rig *r, uint32_t k) {
  return cf_reader_take(&r->reader, k, &r->taken, &r->must_wake);
}

static void expect(rig *r, uint32_t k, uint64_t seq) {
  assert_int_equal(take(r, k), CF_TAKE_OK);
  assert_true(r->taken.seq == seq);
  assert_true(r->seat.page->lease[k] == cf_ref(seq, r->taken.slot));
}

/* ---- newest ---- */

static void the_newest_frame_is_taken_once(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 0);
  assert_int_equal(take(r, 0), CF_TAKE_NONE);
  assert_int_equal(r->seat.page->lease[0], 0);
  cf_writer_new_epoch(&r->writer);
  (void)publish(r);
  expect(r, 0, 1);
  assert_true(r->taken.segment == 6 && r->taken.offset == 0 && r->taken.flags == 2);
  assert_true(r->taken.pts == 7 && r->taken.duration == 8 && r->taken.timestamp == 9 && r->taken.epoch == 1);
  assert_int_equal(take(r, 1), CF_TAKE_NONE);
  assert_int_equal(r->seat.page->lease[1], 0);
  for (int i = 0; i < 4; i++)
    (void)publish(r);
  r->seat.page->released[1] = 5; /* of another life */
  expect(r, 1, 5);
  assert_true(r->taken.offset > 0 && r->taken.offset % 4096 == 0);
  assert_int_equal(r->seat.page->released[1], 0);
  assert_true(r->seat.page->last_seq == 5 && r->seat.page->delivered == 2 && r->seat.page->skipped == 3);
  assert_false(r->must_wake);
  cf_reader_release(r->seat.page, 0);
  assert_int_equal(r->seat.page->lease[0], 0);
  rig_close(r);
}

/* Publishes and takes a frame of which another pts is said beside head than in its slot; gives the one taken. */
static int64_t pts_taken(rig *r, void (*spoil)(rig *r)) {
  cf_reader_release(r->seat.page, 1);
  uint64_t seq = publish(r);
  r->control->newest_pts = 70;
  if (spoil)
    spoil(r);
  expect(r, 1, seq);
  const cf_slot *slot = &r->writer.slots[r->taken.slot];
  assert_true(r->taken.offset == slot->offset && r->taken.duration == 8 && r->taken.timestamp == 9);
  assert_int_equal(r->taken.capture_time, INT64_MIN);
  return r->taken.pts;
}

static void spoil_mark(rig *r) { /* of the frame before, or of one that is under way */
  r->control->newest_mark -= 8;
}
static void spoil_whole(rig *r) {
  r->control->newest_mark = 0;
}
static void spoil_places(rig *r) { /* the slot was another segment's when it was last seen */
  for (uint32_t i = 0; i < CF_PLACES; i++)
    r->reader.places[i].segment--;
}

static void a_record_beside_head_stands_for_the_slots(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 1);
  for (int i = 0; i < SLOTS; i++)
    assert_int_equal(pts_taken(r, NULL), 7); /* where the slot lies only itself can say, once */
  for (int i = 0; i < SLOTS; i++)
    assert_int_equal(pts_taken(r, NULL), 70);
  assert_int_equal(pts_taken(r, spoil_mark), 7);
  assert_int_equal(pts_taken(r, spoil_whole), 7);
  assert_int_equal(pts_taken(r, spoil_places), 7);
  assert_int_equal(pts_taken(r, NULL), 7);
  for (int i = 0; i < SLOTS; i++)
    (void)pts_taken(r, NULL);
  uint32_t next = cf_writer_acquire(&r->writer); /* and now it is another segment's */
  cf_writer_cancel(&r->writer, next);
  r->writer.slots[next].segment = 7;
  assert_int_equal(pts_taken(r, NULL), 7);
  assert_int_equal(r->taken.segment, 7);
  rig_close(r);
}

static void a_record_says_all_that_the_slot_says(void **state) {
  (void)state;
  static const cf_frame_meta metas[] = {
    { .flags = CUFRAMES_FRAME_KEY, .pts = -5, .duration = INT64_MAX, .timestamp = INT64_MIN },
    { .flags = CUFRAMES_FRAME_CORRUPT, .pts = INT64_MIN, .capture_time = 12 },
    { .flags = CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT, .side_offset = 64, .side_bytes = 32 },
    { .timestamp = 3 },
  };
  const uint64_t first[] = { 1, (UINT64_C(1) << 29) - 2, UINT64_C(1) << 29, (UINT64_C(1) << 32) - 2 };
  for (size_t f = 0; f < sizeof first / sizeof first[0]; f++) {
    rig *r = rig_open(first[f], 0, 0);
    for (uint32_t i = 0; i < 4 * SLOTS; i++) {
      const cf_frame_meta *meta = &metas[i % 4];
      const bool extra = meta->capture_time || meta->side_bytes;
      if (i % 3 == 0)
        cf_writer_new_epoch(&r->writer);
      cf_reader_release(r->seat.page, 0);
      expect(r, 0, cf_writer_publish(&r->writer, cf_writer_acquire(&r->writer), meta, i % 5 != 0));
      assert_true(r->taken.flags == meta->flags && r->taken.pts == meta->pts && r->taken.segment == 6);
      assert_true(r->taken.duration == meta->duration && r->taken.timestamp == meta->timestamp);
      assert_true(r->taken.epoch == i / 3 + 1 && r->taken.offset == r->writer.slots[r->taken.slot].offset);
      assert_true(r->taken.side_bytes == meta->side_bytes && r->taken.side_offset == meta->side_offset);
      assert_true(r->taken.capture_time == (meta->capture_time ? meta->capture_time : INT64_MIN));
      assert_true(extra || r->taken.side_offset == 0);
      assert_true((r->control->newest_mark != 0) == (i % 5 != 0) || (r->taken.seq & 0x1fffffff) == 0);
    }
    rig_close(r);
  }
}

static void frames_before_joining_are_not_skipped(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 20);
  expect(r, 0, 20);
  assert_int_equal(r->seat.page->skipped, 0);
  assert_true(r->seat.page->cursor == CF_CURSOR_NONE);
  rig_close(r);
}

static void the_last_frame_is_taken_before_the_end(void **state) {
  (void)state;
  for (uint32_t depth = 0; depth <= 2; depth += 2) {
    rig *r = rig_open(1, depth, 0);
    (void)publish(r);
    cf_writer_end(&r->writer);
    assert_true(cf_reader_ended(&r->reader) && cf_reader_over(&r->reader));
    assert_true(cf_reader_news(&r->reader, true, 1));
    expect(r, 0, 1);
    assert_int_equal(take(r, 1), CF_TAKE_ENDED);
    assert_int_equal(cf_reader_peek(&r->reader), CF_TAKE_ENDED);
    rig_close(r);
  }
}

static void news_is_what_a_take_would_bring(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 0);
  assert_false(cf_reader_news(&r->reader, false, 0));
  assert_int_equal(cf_reader_peek(&r->reader), CF_TAKE_NONE);
  (void)publish(r);
  assert_true(cf_reader_news(&r->reader, false, 0));
  assert_int_equal(cf_reader_peek(&r->reader), CF_TAKE_OK);
  expect(r, 0, 1);
  assert_false(cf_reader_news(&r->reader, true, 1));
  assert_int_equal(cf_reader_peek(&r->reader), CF_TAKE_NONE);
  cf_writer_evict(&r->seat);
  assert_true(cf_reader_news(&r->reader, true, 1) && cf_reader_over(&r->reader) && !cf_reader_ended(&r->reader));
  assert_int_equal(cf_reader_peek(&r->reader), CF_TAKE_EVICTED);
  assert_int_equal(take(r, 1), CF_TAKE_EVICTED);
  rig_close(r);
}

static void who_waits_is_seen_and_the_word_moves(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 0);
  _Atomic uint32_t packets = 5;
  uint32_t word = cf_reader_prepare_wait(&r->reader);
  assert_int_equal(cf_writer_sleepers(&r->writer), 1);
  assert_int_equal(word, r->control->wake);
  (void)publish(r);
  assert_true(cf_reader_news(&r->reader, false, 0));
  cf_writer_move_wake(&r->writer);
  assert_true(word != r->control->wake);
  (void)cf_reader_prepare_wait(&r->reader); /* a second thread */
  cf_reader_end_wait(&r->reader);
  assert_int_equal(cf_writer_sleepers(&r->writer), 1);
  cf_reader_end_wait(&r->reader);
  assert_int_equal(cf_writer_sleepers(&r->writer), 0);
  assert_int_equal(cf_reader_prepare_packet_wait(&r->reader, &packets), 5);
  assert_true(cf_writer_packet_sleepers(&r->writer) == 1 && cf_writer_sleepers(&r->writer) == 0);
  cf_reader_end_packet_wait(&r->reader);
  assert_int_equal(cf_writer_packet_sleepers(&r->writer), 0);
  rig_close(r);
}

static void publish_extra(rig *r, int64_t capture_time, uint32_t side_offset, uint32_t side_bytes) {
  cf_frame_meta meta = {
    .flags = 4, .capture_time = capture_time, .side_offset = side_offset, .side_bytes = side_bytes
  };
  (void)cf_writer_publish(&r->writer, cf_writer_acquire(&r->writer), &meta, true);
}

static void expect_extra(rig *r, int64_t capture_time, uint32_t side_offset, uint32_t side_bytes) {
  assert_int_equal(take(r, 0), CF_TAKE_OK);
  cf_reader_release(r->seat.page, 0);
  assert_int_equal(r->taken.flags, 4); /* the one that says that there is an extra is nobody's business */
  assert_true(r->taken.capture_time == capture_time);
  assert_int_equal(r->taken.side_offset, side_offset);
  assert_int_equal(r->taken.side_bytes, side_bytes);
}

static void an_extra_comes_with_its_frame_and_with_no_other(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 0);
  for (int round = 0; round < 3 * SLOTS; round++) { /* each slot again and again */
    publish_extra(r, 0, 0, 0);
    expect_extra(r, INT64_MIN, 0, 0);
    publish_extra(r, 1700000000000000000 + round, 0, 0);
    expect_extra(r, 1700000000000000000 + round, 0, 0);
    publish_extra(r, INT64_MIN, 64, 0); /* no bytes: nothing */
    expect_extra(r, INT64_MIN, 0, 0);
    publish_extra(r, INT64_MIN, 128, 40);
    expect_extra(r, INT64_MIN, 128, 40);
    publish_extra(r, -5, 128, 40);
    expect_extra(r, -5, 128, 40);
  }
  /* without one the table is not touched */
  memset(r->writer.extras, 0xa5, CAPACITY * sizeof(cf_extra));
  for (int i = 0; i < 2 * SLOTS; i++) {
    publish_extra(r, 0, 0, 0);
    expect_extra(r, INT64_MIN, 0, 0);
  }
  for (uint32_t i = 0; i < CAPACITY * sizeof(cf_extra); i++)
    assert_int_equal(((uint8_t *)r->writer.extras)[i], 0xa5);
  rig_close(r);
}

static void segment_numbers_are_read(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 0);
  cf_writer_set_floor(&r->writer, 3);
  cf_writer_set_top(&r->writer, 5);
  uint32_t floor = 0;
  assert_true(cf_reader_segments(&r->reader, &floor) == 5 && floor == 3);
  rig_close(r);
}

/* ---- ordered ---- */

static void every_frame_from_joining_on(void **state) {
  (void)state;
  rig *r = rig_open(1, 4, 20);
  assert_int_equal(r->seat.page->cursor, 19);
  for (int i = 0; i < 3; i++)
    (void)publish(r);
  for (uint64_t seq = 20; seq <= 23; seq++) {
    expect(r, seq % 2, seq);
    assert_true(r->seat.page->cursor == seq);
    cf_reader_release(r->seat.page, seq % 2);
  }
  assert_int_equal(take(r, 0), CF_TAKE_NONE);
  assert_true(r->seat.page->delivered == 4 && r->seat.page->skipped == 0);
  rig_close(r);
}

static void who_joins_before_the_first_frame_gets_it(void **state) {
  (void)state;
  rig *r = rig_open(1, 1, 0);
  assert_int_equal(r->seat.page->cursor, 0);
  assert_int_equal(take(r, 0), CF_TAKE_NONE);
  for (uint64_t seq = 1; seq < 50; seq++) {
    (void)publish(r);
    expect(r, 0, seq);
    cf_reader_release(r->seat.page, 0);
  }
  rig_close(r);
}

/* With a depth of one the frame after the one at joining may come before the publisher sees that somebody joined. */
static void the_frame_at_joining_outlives_the_next_one(void **state) {
  (void)state;
  rig *r = rig_open(1, 1, 20);
  (void)publish(r);
  cf_slot_run other = { .segment = 7, .count = SLOTS, .stride = 4096 };
  cf_writer_offer(&r->writer, &other);
  cf_writer_retire(&r->writer, &r->run);
  cf_writer_sweep(&r->writer);
  assert_int_equal(r->run.live, 2);
  expect(r, 0, 20);
  expect(r, 1, 21);
  rig_close(r);
}

static void a_waiting_publisher_is_rung_for(void **state) {
  (void)state;
  uint32_t room;
  rig *r = rig_open(1, 2, 0);
  (void)publish(r);
  (void)publish(r);
  cf_writer_seat *full = cf_writer_enter_full(&r->writer);
  assert_ptr_equal(full, &r->seat);
  assert_true(cf_writer_seat_full(&r->writer, full, &room));
  expect(r, 0, 1);
  assert_true(r->must_wake && r->seat.page->room != room);
  assert_false(cf_writer_seat_full(&r->writer, full, &room));
  cf_writer_leave(&r->writer);
  expect(r, 1, 2);
  assert_false(r->must_wake);
  rig_close(r);
}

static void who_leaves_makes_room(void **state) {
  (void)state;
  uint32_t room;
  rig *r = rig_open(1, 1, 1);
  cf_writer_seat *full = cf_writer_enter_full(&r->writer);
  assert_ptr_equal(full, &r->seat);
  assert_true(cf_writer_seat_full(&r->writer, full, &room));
  assert_true(cf_reader_leave(&r->reader));
  assert_true(r->seat.page->room != room);
  assert_false(cf_writer_seat_full(&r->writer, full, &room));
  cf_writer_leave(&r->writer);
  assert_null(cf_writer_enter_full(&r->writer));
  assert_false(cf_reader_leave(&r->reader));
  rig_close(r);
  r = rig_open(1, 0, 1);
  assert_false(cf_reader_leave(&r->reader)); /* a newest reader keeps nobody waiting */
  rig_close(r);
}

static void the_evicted_hear_it_and_keep_what_they_hold(void **state) {
  (void)state;
  rig *r = rig_open(1, 2, 1);
  expect(r, 0, 1);
  cf_writer_evict(&r->seat);
  assert_int_equal(take(r, 1), CF_TAKE_EVICTED);
  for (int i = 0; i < 20; i++)
    (void)publish(r);
  assert_int_equal(r->writer.slots[r->taken.slot].seq, 1);
  rig_close(r);
}

static void numbers_grow_past_every_width(void **state) {
  (void)state;
  static const uint64_t around[] = { UINT64_C(1) << 16, UINT64_C(1) << 32, UINT64_C(1) << 47, CF_SEQ_MAX - 30 };
  for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
    for (uint32_t depth = 0; depth <= 3; depth += 3) {
      rig *r = rig_open(around[i] - 20, depth, 1);
      for (uint64_t seq = around[i] - 20; seq < around[i] + 20; seq++) {
        expect(r, seq % 2, seq);
        cf_reader_release(r->seat.page, seq % 2);
        assert_null(cf_writer_enter_full(&r->writer));
        assert_true(publish(r) == seq + 1);
      }
      rig_close(r);
    }
  }
}

/* ---- publishers that break the rules ---- */

typedef struct broken {
  size_t at;
  size_t width;
  uint64_t value;
} broken;

static void broken_control_pages_are_refused(void **state) {
  (void)state;
  enum { BYTES = sizeof(cf_control) + CAPACITY * (8 + sizeof(cf_slot) + sizeof(cf_extra)) };
  static const broken cases[] = {
    { offsetof(cf_control, magic), 8, CF_CONTROL_MAGIC + 1 },
    { offsetof(cf_control, layout), 4, CF_CONTROL_LAYOUT + 1 },
    { offsetof(cf_control, layout), 4, 0 },
    { offsetof(cf_control, capacity), 4, 0 },
    { offsetof(cf_control, capacity), 4, CAPACITY - 1 },
    { offsetof(cf_control, capacity), 4, CAPACITY * 2 },
    { offsetof(cf_control, capacity), 4, CF_SLOTS_MAX * 2 },
    { offsetof(cf_control, capacity), 4, UINT32_C(1) << 31 },
    { offsetof(cf_control, index_offset), 8, 132 },
    { offsetof(cf_control, index_offset), 8, BYTES - BYTES % 64 },
    { offsetof(cf_control, index_offset), 8, UINT64_MAX - 63 },
    { offsetof(cf_control, slots_offset), 8, 260 },
    { offsetof(cf_control, slots_offset), 8, BYTES - CAPACITY * sizeof(cf_slot) + 64 },
    { offsetof(cf_control, slots_offset), 8, UINT64_MAX - 63 },
    { offsetof(cf_control, extras_offset), 8, BYTES - CAPACITY * sizeof(cf_extra) + 16 },
    { offsetof(cf_control, extras_offset), 8, BYTES - CAPACITY * sizeof(cf_extra) + 64 },
    { offsetof(cf_control, extras_offset), 8, UINT64_MAX - 63 },
    { offsetof(cf_control, side_data_max), 4, CF_SIDE_DATA_MAX + 1 },
  };
  rig *r = rig_open(1, 0, 3);
  cf_frame_reader reader = { .capacity = 4711 };
  assert_int_equal(cf_control_bytes(CAPACITY), BYTES);
  assert_false(cf_reader_init(&reader, r->control, BYTES - 1, r->seat.page, false));
  assert_false(cf_reader_init(&reader, r->control, sizeof(cf_control) - 1, r->seat.page, false));
  assert_false(cf_reader_init(&reader, r->control, 0, r->seat.page, false));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t before = 0;
    uint8_t *field = (uint8_t *)r->control + cases[i].at;
    memcpy(&before, field, cases[i].width);
    memcpy(field, &cases[i].value, cases[i].width);
    assert_false(cf_reader_init(&reader, r->control, BYTES, r->seat.page, false));
    memcpy(field, &before, cases[i].width);
  }
  assert_int_equal(reader.capacity, 4711);
  assert_true(cf_reader_init(&reader, r->control, BYTES, r->seat.page, false));
  assert_true(cf_reader_init(&reader, r->control, BYTES + 4096, r->seat.page, false));
  rig_close(r);
}

static void expect_broken(rig *r) {
  assert_int_equal(take(r, 1), CF_TAKE_BROKEN);
  assert_int_equal(r->seat.page->lease[1], 0); /* nothing stays pinned */
}

static void impossible_heads_are_broken(void **state) {
  (void)state;
  static const uint64_t seqs[] = { 6, 7, 100, CF_SEQ_MAX };
  rig *r = rig_open(1, 0, 5);
  expect(r, 0, 5);
  for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
    r->control->head = cf_ref(seqs[i], CAPACITY); /* no such slot */
    expect_broken(r);
    r->control->head = cf_ref(seqs[i], 0xffff);
    expect_broken(r);
  }
  r->control->head = cf_ref(4, 0); /* backwards */
  expect_broken(r);
  r->control->head = cf_ref(0, 3); /* no number */
  expect_broken(r);
  r->control->head = cf_ref(6, 3); /* a frame that is nowhere: does not hang either */
  expect_broken(r);
  r->control->head = 0; /* taken back: nothing new */
  assert_int_equal(take(r, 1), CF_TAKE_NONE);
  rig_close(r);
  r = rig_open(1, 0, 0);
  r->control->head = cf_ref(0, 3); /* an unwritten slot has no frame 0 */
  expect_broken(r);
  rig_close(r);
}

static void impossible_words_of_the_index_are_broken(void **state) {
  (void)state;
  rig *r = rig_open(1, 4, 5);
  (void)publish(r);
  expect(r, 0, 5);
  _Atomic uint64_t *word = &r->writer.index[6];
  uint64_t good = *word;
  static const uint64_t bad[] = { 0, 6 << 16 | CAPACITY, 6 << 16 | 0xffff, 7 << 16, 22 << 16, UINT64_MAX };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    *word = bad[i];
    expect_broken(r);
  }
  *word = cf_ref(6, (cf_ref_slot(good) + 1) % SLOTS); /* another frame's slot */
  expect_broken(r);
  *word = good;
  assert_int_equal(r->seat.page->cursor, 5);
  expect(r, 1, 6);
  r->control->head = cf_ref(3, 0); /* backwards is nothing new */
  assert_int_equal(take(r, 1), CF_TAKE_NONE);
  rig_close(r);
}

static void an_ordered_reader_does_not_begin_at_frame_0(void **state) {
  (void)state;
  rig *r = rig_open(1, 0, 0);
  assert_true(cf_reader_init(&r->reader, r->control, cf_control_bytes(CAPACITY), r->seat.page, true));
  r->control->head = cf_ref(0, 3);
  assert_false(cf_reader_begin(&r->reader, &r->must_wake));
  rig_close(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_newest_frame_is_taken_once),
    cmocka_unit_test(a_record_beside_head_stands_for_the_slots),
    cmocka_unit_test(a_record_says_all_that_the_slot_says),
    cmocka_unit_test(frames_before_joining_are_not_skipped),
    cmocka_unit_test(the_last_frame_is_taken_before_the_end),
    cmocka_unit_test(news_is_what_a_take_would_bring),
    cmocka_unit_test(who_waits_is_seen_and_the_word_moves),
    cmocka_unit_test(an_extra_comes_with_its_frame_and_with_no_other),
    cmocka_unit_test(segment_numbers_are_read),
    cmocka_unit_test(every_frame_from_joining_on),
    cmocka_unit_test(who_joins_before_the_first_frame_gets_it),
    cmocka_unit_test(the_frame_at_joining_outlives_the_next_one),
    cmocka_unit_test(a_waiting_publisher_is_rung_for),
    cmocka_unit_test(who_leaves_makes_room),
    cmocka_unit_test(the_evicted_hear_it_and_keep_what_they_hold),
    cmocka_unit_test(numbers_grow_past_every_width),
    cmocka_unit_test(broken_control_pages_are_refused),
    cmocka_unit_test(impossible_heads_are_broken),
    cmocka_unit_test(impossible_words_of_the_index_are_broken),
    cmocka_unit_test(an_ordered_reader_does_not_begin_at_frame_0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
