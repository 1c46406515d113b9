/* test_exchange_fences.c - frames that a GPU completes, call by call: which seats it tells, what stays until it has
 * done its work, and what is taken back of a frame that is not published. The GPU is the test, which writes its words.
 */
#include "exchange_support.h"

enum { CAPACITY = 8, SLOTS = 4 };

typedef struct rig {
  cf_frame_writer writer;
  cf_control *control;
  cf_slot_note notes[CAPACITY];
  cf_slot_run run;
  cf_writer_seat *told[CF_SEATS_MAX];
} rig;

static rig *rig_open(void) {
  rig *r = calloc(1, sizeof *r);
  assert_non_null(r);
  r->run = (cf_slot_run){ .segment = 1, .count = SLOTS, .stride = 4096 };
  r->control = writer_open(&r->writer, r->notes, CAPACITY, 1, &r->run);
  return r;
}

static void rig_close(rig *r) {
  free(r->control);
  free(r);
}

static void seat_open(rig *r, cf_writer_seat *seat, enum cf_fencing fencing) {
  *seat = (cf_writer_seat){ .page = zeroed(cf_seat_bytes(CAPACITY, true)), .leases = 1, .fencing = fencing };
  assert_true(cf_writer_add_seat(&r->writer, seat));
}

static cf_frame_reader reader_of(const rig *r, cf_writer_seat *seat) {
  cf_frame_reader reader;
  assert_true(cf_reader_init(&reader, r->control, cf_control_bytes(CAPACITY), seat->page, false));
  return reader;
}

/* A frame that the GPU has still to complete. */
static uint32_t begin(rig *r, uint32_t expected_seats) {
  uint32_t slot = cf_writer_acquire(&r->writer);
  assert_true(slot < CAPACITY);
  assert_int_equal(cf_writer_enter_fences(&r->writer, slot, r->told), expected_seats);
  return slot;
}

static void publish(rig *r, uint32_t slot) {
  cf_writer_leave_fences(&r->writer);
  (void)cf_writer_publish(&r->writer, slot, &(cf_frame_meta){ .pts = 5 }, false);
}

static void complete(rig *r, uint32_t slot, uint64_t seq) {
  atomic_store(cf_writer_ready_counter(&r->writer, slot), seq);
}

static void a_seat_has_fences_only_if_it_wants_them(void **state) {
  (void)state;
  assert_int_equal(cf_seat_bytes(CAPACITY, false), sizeof(cf_seat));
  assert_int_equal(cf_seat_bytes(CAPACITY, true), sizeof(cf_seat) + CAPACITY * sizeof(uint64_t));
}

static void seats_that_want_it_are_told(void **state) {
  (void)state;
  rig *r = rig_open();
  cf_writer_seat plain, words, events, late;
  publish(r, begin(r, 0));
  seat_open(r, &plain, CF_FENCING_NONE);
  publish(r, begin(r, 0));
  seat_open(r, &words, CF_FENCING_COUNTERS);
  seat_open(r, &events, CF_FENCING_EVENTS);
  uint32_t slot = begin(r, 2); /* frame 3 */
  assert_ptr_equal(r->told[0], &words);
  assert_ptr_equal(r->told[1], &events);
  assert_int_equal(plain.page->fenced_from, 0);
  assert_int_equal(words.page->fenced_from, cf_writer_next_seq(&r->writer));
  assert_int_equal(events.page->fenced_from, cf_writer_next_seq(&r->writer));
  publish(r, slot);
  seat_open(r, &late, CF_FENCING_COUNTERS);
  publish(r, begin(r, 3));                      /* frame 4 */
  assert_int_equal(words.page->fenced_from, 3); /* it stays */
  assert_int_equal(late.page->fenced_from, 4);

  cf_frame_reader reader = reader_of(r, &words);
  assert_false(cf_reader_fenced(&reader, 2));
  assert_true(cf_reader_fenced(&reader, 3));
  assert_true(cf_reader_fenced(&reader, 4));
  reader = reader_of(r, &plain);
  assert_false(cf_reader_fenced(&reader, 4));

  seat_leave(&r->writer, &words); /* the table has a gap where it was */
  seat_leave(&r->writer, &late);
  publish(r, begin(r, 1));
  assert_ptr_equal(r->told[0], &events);
  seat_leave(&r->writer, &events);
  publish(r, begin(r, 0)); /* nobody wants it any more */
  seat_leave(&r->writer, &plain);
  rig_close(r);
}

static void who_leaves_is_waited_for_until_the_gpu_is_done_with_it(void **state) {
  (void)state;
  rig *r = rig_open();
  cf_writer_seat words, events;
  seat_open(r, &words, CF_FENCING_COUNTERS);
  seat_open(r, &events, CF_FENCING_EVENTS);
  assert_true(cf_writer_fences_done(&r->writer, &words)); /* nothing was put on a stream for it */
  uint32_t slot = begin(r, 2);
  uint64_t ticket = cf_writer_remove_seat(&r->writer, &words);
  assert_false(cf_writer_quiescent(&r->writer, &words, ticket)); /* its fence is being handed to the GPU */
  publish(r, slot);
  assert_true(cf_writer_quiescent(&r->writer, &words, ticket));
  assert_false(cf_writer_fences_done(&r->writer, &words));
  assert_true(cf_writer_fences_done(&r->writer, &events)); /* the GPU writes nothing into its page */
  complete(r, slot, 1);
  assert_true(cf_writer_fences_done(&r->writer, &words));
  free(words.page);
  seat_leave(&r->writer, &events);
  rig_close(r);
}

static void what_is_not_published_is_taken_back(void **state) {
  (void)state;
  rig *r = rig_open();
  cf_writer_seat words, events;
  seat_open(r, &words, CF_FENCING_COUNTERS);
  seat_open(r, &events, CF_FENCING_EVENTS);
  uint32_t slot = begin(r, 2);
  uint64_t seq = cf_writer_next_seq(&r->writer);
  *cf_seat_fence(words.page, slot) = seq;
  *cf_seat_fence(events.page, slot) = 4711; /* not the publisher's affair */
  complete(r, slot, seq);
  cf_writer_take_back(&r->writer, slot, r->told, 2);
  cf_writer_leave_fences(&r->writer);
  cf_writer_cancel(&r->writer, slot);
  assert_int_equal(*cf_seat_fence(words.page, slot), 0);
  assert_int_equal(*cf_seat_fence(events.page, slot), 4711);
  assert_int_equal(*cf_writer_ready_counter(&r->writer, slot), 0);

  assert_int_equal(begin(r, 2), slot); /* the next frame, of the same number */
  assert_int_equal(cf_writer_next_seq(&r->writer), seq);
  assert_int_equal(words.page->fenced_from, seq);
  publish(r, slot);
  cf_frame_reader reader = reader_of(r, &words);
  assert_false(cf_reader_complete(&reader, slot, seq)); /* what was written for the other one does not count */
  complete(r, slot, seq);
  assert_true(cf_reader_complete(&reader, slot, seq));
  seat_leave(&r->writer, &words);
  seat_leave(&r->writer, &events);
  rig_close(r);
}

static void the_newest_frame_is_complete_when_the_gpu_says_so(void **state) {
  (void)state;
  rig *r = rig_open();
  assert_true(cf_writer_head_completed(&r->writer)); /* there is none */
  uint32_t first = begin(r, 0);
  publish(r, first);
  assert_false(cf_writer_head_completed(&r->writer));
  uint32_t second = begin(r, 0);
  publish(r, second);
  complete(r, first, 1);
  assert_true(cf_writer_completed(&r->writer, first));
  assert_false(cf_writer_completed(&r->writer, second));
  assert_false(cf_writer_head_completed(&r->writer));
  complete(r, second, 2);
  assert_true(cf_writer_head_completed(&r->writer));
  rig_close(r);
}

static void a_slot_that_the_gpu_still_writes_does_not_retire(void **state) {
  (void)state;
  rig *r = rig_open();
  cf_slot_run other = { .segment = 2, .count = 1, .stride = 4096 };
  uint32_t slot = begin(r, 0);
  publish(r, slot);
  cf_writer_offer(&r->writer, &other);
  cf_writer_adopt(&r->writer);
  cf_writer_retire(&r->writer, &r->run);
  cf_writer_retire(&r->writer, &r->run); /* saying it twice is saying it */
  assert_int_equal(r->writer.retiring, 1);
  uint32_t newer = begin(r, 0); /* the only slot that stays */
  publish(r, newer);
  assert_ptr_equal(cf_writer_slot(&r->writer, newer, &(uint64_t){ 0 }), &other);
  cf_writer_sweep(&r->writer);
  assert_int_equal(r->run.live, 1);
  assert_false(has_emptied(&r->writer));
  complete(r, slot, 1);
  cf_writer_sweep(&r->writer);
  assert_ptr_equal(cf_writer_collect(&r->writer), &r->run);
  assert_int_equal(r->writer.retiring, 0);
  rig_close(r);
}

static void who_survives_the_publisher_opens_the_fences(void **state) {
  (void)state;
  cf_seat *seat = zeroed(cf_seat_bytes(CAPACITY, true));
  cf_seat_signal_fence(seat, 3, 17);
  for (uint32_t slot = 0; slot < CAPACITY; slot++)
    assert_int_equal(*cf_seat_fence(seat, slot), slot == 3 ? 17 : 0);
  cf_seat_signal_fences(seat, CAPACITY - 1);
  for (uint32_t slot = 0; slot < CAPACITY; slot++)
    assert_true(*cf_seat_fence(seat, slot) == (slot < CAPACITY - 1 ? CF_SEQ_MAX : 0));
  free(seat);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_seat_has_fences_only_if_it_wants_them),
    cmocka_unit_test(seats_that_want_it_are_told),
    cmocka_unit_test(who_leaves_is_waited_for_until_the_gpu_is_done_with_it),
    cmocka_unit_test(what_is_not_published_is_taken_back),
    cmocka_unit_test(the_newest_frame_is_complete_when_the_gpu_says_so),
    cmocka_unit_test(a_slot_that_the_gpu_still_writes_does_not_retire),
    cmocka_unit_test(who_survives_the_publisher_opens_the_fences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
