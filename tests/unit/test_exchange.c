/* test_exchange.c - the publisher's side of the frame exchange, call by call: slots, pins, the ordered window, runs and
 * seats that come and go. test_exchange_reader.c has the subscriber's side.
 */
#include "exchange_support.h"

enum { CAPACITY = 16 };

typedef struct rig {
  cf_frame_writer writer;
  cf_control *control;
  cf_slot_note notes[CAPACITY];
  cf_slot_run run;
} rig;

static rig *rig_open(uint32_t slots) {
  rig *r = calloc(1, sizeof *r);
  assert_non_null(r);
  r->run = (cf_slot_run){ .segment = 1, .count = slots, .stride = 4096 };
  r->control = writer_open(&r->writer, r->notes, CAPACITY, 1, &r->run);
  return r;
}

static void rig_close(rig *r) {
  free(r->control);
  free(r);
}

static uint64_t publish(rig *r, uint32_t slot) {
  return cf_writer_publish(&r->writer, slot, &(cf_frame_meta){ .pts = 5 }, true);
}

static uint32_t publish_next(rig *r) {
  uint32_t slot = cf_writer_acquire(&r->writer);
  assert_true(slot < CAPACITY);
  (void)publish(r, slot);
  return slot;
}

static cf_writer_seat *seat_open(rig *r, uint32_t leases, uint32_t depth) {
  cf_writer_seat *seat = calloc(1, sizeof *seat);
  assert_non_null(seat);
  *seat = (cf_writer_seat){ .page = zeroed(sizeof *seat->page), .leases = leases, .depth = depth };
  assert_true(cf_writer_add_seat(&r->writer, seat));
  return seat;
}

static void seat_free(cf_writer_seat *seat) {
  free(seat->page);
  free(seat);
}

static void seat_close(rig *r, cf_writer_seat *seat) {
  seat_leave(&r->writer, seat);
  free(seat);
}

/* ---- slots ---- */

static void a_formatted_page_says_what_it_is(void **state) {
  (void)state;
  rig *r = rig_open(3);
  assert_true(r->control->magic == CF_CONTROL_MAGIC && r->control->layout == CF_CONTROL_LAYOUT);
  assert_int_equal(r->control->capacity, CAPACITY);
  assert_int_equal(r->control->instance, 77);
  assert_int_equal(r->control->index_offset, sizeof(cf_control));
  assert_int_equal(r->control->slots_offset, sizeof(cf_control) + CAPACITY * 8);
  assert_int_equal(r->control->state, CF_CONTROL_RUNNING);
  assert_int_equal(r->control->head, 0);
  rig_close(r);
}

static void slots_lie_one_behind_the_other(void **state) {
  (void)state;
  rig *r = rig_open(3);
  uint64_t offset, seen = 0;
  for (int i = 0; i < 3; i++) {
    uint32_t slot = cf_writer_acquire(&r->writer);
    assert_ptr_equal(cf_writer_slot(&r->writer, slot, &offset), &r->run);
    assert_int_equal(r->writer.slots[slot].segment, 1);
    assert_int_equal(r->writer.slots[slot].offset, offset);
    seen |= UINT64_C(1) << offset / 4096;
  }
  assert_int_equal(seen, 7);
  assert_int_equal(cf_writer_acquire(&r->writer), CF_NO_SLOT);
  rig_close(r);
}

static void a_published_slot_says_what_is_in_it(void **state) {
  (void)state;
  rig *r = rig_open(3);
  uint32_t slot = cf_writer_acquire(&r->writer);
  assert_int_equal(r->writer.slots[slot].seq, 0);
  cf_writer_new_epoch(&r->writer);
  cf_frame_meta meta = { .flags = 3, .pts = -4, .duration = 40, .timestamp = 1000 };
  assert_int_equal(cf_writer_publish(&r->writer, slot, &meta, false), 1);
  const cf_slot *s = &r->writer.slots[slot];
  assert_true(s->seq == 1 && s->ready == 0 && s->flags == 3 && s->pts == -4 && s->duration == 40);
  assert_true(s->timestamp == 1000 && s->epoch == 1);
  assert_int_equal(r->control->head, cf_ref(1, slot));
  assert_int_equal(r->writer.index[1], cf_ref(1, slot));
  slot = publish_next(r);
  assert_int_equal(r->writer.slots[slot].ready, 2);
  rig_close(r);
}

static void the_oldest_slot_is_taken_and_never_the_newest_frames(void **state) {
  (void)state;
  rig *r = rig_open(4);
  uint32_t order[4];
  for (int i = 0; i < 4; i++)
    order[i] = publish_next(r);
  for (int i = 0; i < 40; i++)
    assert_int_equal(publish_next(r), order[i % 4]);
  uint32_t a = cf_writer_acquire(&r->writer), b = cf_writer_acquire(&r->writer), c = cf_writer_acquire(&r->writer);
  assert_true(a == order[0] && b == order[1] && c == order[2]);
  assert_int_equal(cf_writer_acquire(&r->writer), CF_NO_SLOT); /* three open and the newest frame */
  assert_int_equal(r->writer.slots[order[3]].seq, 44);         /* which is as it was */
  cf_writer_cancel(&r->writer, b);
  assert_int_equal(cf_writer_acquire(&r->writer), b); /* nothing lost by it */
  (void)publish(r, c);                                /* not in the order of taking */
  assert_int_equal(cf_writer_acquire(&r->writer), order[3]);
  (void)publish(r, a);
  assert_int_equal(cf_writer_acquire(&r->writer), c);
  rig_close(r);
}

/* ---- leases ---- */

static void a_slot_that_is_kept_late_is_not_given_out(void **state) {
  (void)state;
  rig *r = rig_open(4);
  uint32_t kept = publish_next(r);
  (void)publish_next(r);
  cf_writer_sweep(&r->writer); /* it is free now */
  cf_writer_keep(&r->writer, kept, true);
  for (int i = 0; i < 2; i++)
    assert_true(cf_writer_acquire(&r->writer) != kept);
  assert_int_equal(cf_writer_acquire(&r->writer), CF_NO_SLOT);
  cf_writer_keep(&r->writer, kept, false);
  assert_int_equal(cf_writer_acquire(&r->writer), kept);
  rig_close(r);
}

static void one_slot_is_enough_for_one_frame(void **state) {
  (void)state;
  rig *r = rig_open(1);
  uint32_t slot = publish_next(r);                             /* no idle slot was left when it was published */
  assert_int_equal(cf_writer_acquire(&r->writer), CF_NO_SLOT); /* it is the newest frame's */
  assert_int_equal(r->control->head, cf_ref(1, slot));
  cf_slot_run more = { .segment = 2, .count = 1, .stride = 4096 };
  cf_writer_offer(&r->writer, &more);
  uint32_t other = publish_next(r);
  assert_int_not_equal(other, slot);
  assert_int_equal(publish_next(r), slot);
  assert_int_equal(publish_next(r), other);
  rig_close(r);
}

static void a_lease_pins_until_it_is_given_back(void **state) {
  (void)state;
  rig *r = rig_open(4);
  cf_writer_seat *seat = seat_open(r, 2, 0);
  uint32_t a = publish_next(r), b = publish_next(r), c = publish_next(r);
  seat->page->lease[0] = cf_ref(1, a);
  seat->page->lease[1] = cf_ref(2, b);
  uint32_t d = publish_next(r);
  assert_true(d != a && d != b && d != c);
  for (int i = 0; i < 10; i++)
    assert_int_equal(publish_next(r), i % 2 ? d : c);
  assert_true(r->writer.slots[a].seq == 1 && r->writer.slots[b].seq == 2);
  seat->page->lease[0] = 0;
  assert_int_equal(publish_next(r), a); /* it became the oldest meanwhile */
  seat->page->released[1] = 1;          /* some other frame's */
  assert_int_equal(publish_next(r), c);
  seat->page->released[1] = 2; /* the GPU is done with it */
  assert_int_equal(publish_next(r), b);
  seat_close(r, seat);
  rig_close(r);
}

static void only_granted_leases_count(void **state) {
  (void)state;
  rig *r = rig_open(3);
  cf_writer_seat *seat = seat_open(r, 1, 0);
  for (uint32_t slot = 0; slot < 3; slot++)
    (void)publish_next(r);
  for (uint32_t k = 1; k < CF_LEASES_MAX; k++)
    seat->page->lease[k] = cf_ref(1, k % 3);
  seat->page->lease[0] = cf_ref(9, 0xffff); /* no such slot */
  seat->page->cursor = 0;                   /* not ordered */
  for (int i = 0; i < 10; i++)
    (void)publish_next(r);
  seat_close(r, seat);
  rig_close(r);
}

static void held_leases_are_listed(void **state) {
  (void)state;
  rig *r = rig_open(3);
  cf_writer_seat *seat = seat_open(r, 4, 0);
  uint32_t held[CF_LEASES_MAX];
  assert_int_equal(cf_seat_held(seat, held), 0);
  seat->page->lease[1] = cf_ref(8, 2);
  seat->page->lease[2] = cf_ref(9, 1);
  seat->page->released[2] = 9;
  seat->page->lease[3] = cf_ref(7, 60000); /* as it stands there */
  seat->page->lease[4] = cf_ref(7, 1);     /* not granted */
  assert_int_equal(cf_seat_held(seat, held), 2);
  assert_true(held[0] == 2 && held[1] == 60000);
  seat->page->last_seq = 5;
  seat->page->delivered = 6;
  seat->page->skipped = 7;
  cf_seat_report report = cf_seat_look(seat);
  assert_true(report.last_seq == 5 && report.delivered == 6 && report.skipped == 7 && !report.evicted);
  cf_writer_evict(seat);
  assert_true(cf_seat_look(seat).evicted);
  seat_close(r, seat);
  rig_close(r);
}

/* ---- the ordered window ---- */

static void costs_are_what_a_seat_can_pin(void **state) {
  (void)state;
  assert_int_equal(cf_seat_cost(0, 0), 0);
  assert_int_equal(cf_seat_cost(3, 0), 3);
  assert_int_equal(cf_seat_cost(3, 1), 4);
  assert_int_equal(cf_seat_cost(3, 2), 4);
  assert_int_equal(cf_seat_cost(2, 8), 9);
}

static void waiting_frames_are_pinned_up_to_the_depth(void **state) {
  (void)state;
  uint32_t room, slots[8] = { 0 };
  rig *r = rig_open(2 + 1 + cf_seat_cost(1, 3));
  for (int i = 1; i <= 3; i++)
    slots[i] = publish_next(r);
  cf_writer_seat *seat = seat_open(r, 1, 3);
  assert_null(cf_writer_enter_full(&r->writer)); /* has not begun */
  seat->page->cursor = 2;
  assert_null(cf_writer_enter_full(&r->writer)); /* one waits */
  slots[4] = publish_next(r);
  slots[5] = publish_next(r); /* three wait */
  for (int i = 0; i < 10; i++) {
    uint32_t slot = cf_writer_acquire(&r->writer);
    assert_true(slot != slots[3] && slot != slots[4] && slot != slots[5]);
    cf_writer_cancel(&r->writer, slot);
  }
  cf_writer_seat *full = cf_writer_enter_full(&r->writer);
  assert_ptr_equal(full, seat);
  assert_true(cf_writer_seat_full(&r->writer, full, &room));
  assert_int_equal(seat->page->publisher_waits, 1);
  assert_int_equal(room, seat->page->room);
  seat->page->lease[0] = cf_ref(3, slots[3]);
  seat->page->cursor = 3;
  assert_false(cf_writer_seat_full(&r->writer, full, &room));
  assert_int_equal(seat->page->publisher_waits, 0);
  cf_writer_leave(&r->writer);
  assert_null(cf_writer_enter_full(&r->writer));
  slots[6] = publish_next(r);
  assert_int_equal(r->writer.slots[slots[3]].seq, 3); /* leased now */
  assert_int_equal(r->writer.slots[slots[4]].seq, 4);
  seat_close(r, seat);
  rig_close(r);
}

/* Publishes without asking for room: a page that says anything at all pins no more than was granted. */
static void a_broken_cursor_pins_no_more_than_granted(void **state) {
  (void)state;
  static const uint64_t cursors[] = { 0, 1, 3, 1000, CF_SEQ_MAX, CF_CURSOR_NONE - 1, CF_CURSOR_NONE };
  for (uint32_t depth = 1; depth <= 4; depth++) {
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
      rig *r = rig_open(1 + 1 + cf_seat_cost(1, depth));
      cf_writer_seat *seat = seat_open(r, 1, depth);
      for (int n = 0; n < 20; n++) {
        seat->page->cursor = cursors[i];
        seat->page->lease[0] = cf_ref(1, 1);
        (void)publish_next(r);
      }
      seat_close(r, seat);
      rig_close(r);
    }
  }
}

static void a_cursor_goes_neither_back_nor_beyond_the_newest_frame(void **state) {
  (void)state;
  rig *r = rig_open(8);
  cf_writer_seat *seat = seat_open(r, 1, 4);
  for (int i = 0; i < 6; i++)
    (void)publish_next(r);
  seat->page->cursor = 7;
  assert_null(cf_writer_enter_full(&r->writer));
  assert_true(seat->cursor == CF_CURSOR_NONE); /* not believed */
  seat->page->cursor = 4;
  assert_null(cf_writer_enter_full(&r->writer));
  assert_int_equal(seat->cursor, 4);
  seat->page->cursor = 1;
  assert_null(cf_writer_enter_full(&r->writer));
  assert_int_equal(seat->cursor, 4);
  seat->page->cursor = CF_CURSOR_NONE; /* wants no more */
  for (int i = 0; i < 20; i++) {
    assert_null(cf_writer_enter_full(&r->writer));
    (void)publish_next(r);
  }
  seat_close(r, seat);
  rig_close(r);
}

static void an_evicted_seat_pins_its_leases_only(void **state) {
  (void)state;
  uint32_t room;
  rig *r = rig_open(6);
  uint32_t first = publish_next(r);
  cf_writer_seat *seat = seat_open(r, 1, 1);
  seat->page->lease[0] = cf_ref(1, first);
  seat->page->cursor = 1;
  (void)publish_next(r);
  cf_writer_seat *full = cf_writer_enter_full(&r->writer);
  assert_ptr_equal(full, seat);
  assert_true(cf_writer_seat_full(&r->writer, full, &room));
  cf_writer_evict(full);
  assert_int_equal(seat->page->state, CF_SEAT_EVICTED);
  assert_true(seat->page->room != room); /* who is about to sleep on it does not */
  assert_false(cf_writer_seat_full(&r->writer, full, &room));
  cf_writer_leave(&r->writer);
  for (int i = 0; i < 20; i++) {
    assert_null(cf_writer_enter_full(&r->writer));
    assert_true(publish_next(r) != first);
  }
  seat_close(r, seat);
  rig_close(r);
}

/* ---- runs that come and go ---- */

static void offered_slots_are_used_from_the_next_acquire_on(void **state) {
  (void)state;
  rig *r = rig_open(2);
  cf_slot_run more = { .segment = 2, .count = 2, .stride = 512 };
  uint64_t offset;
  assert_true(cf_writer_has_changed(&r->writer) && !cf_writer_has_changed(&r->writer));
  (void)publish_next(r);
  uint32_t a = cf_writer_acquire(&r->writer);
  assert_int_equal(cf_writer_acquire(&r->writer), CF_NO_SLOT);
  cf_writer_offer(&r->writer, &more);
  assert_false(cf_run_adopted(&more));
  uint32_t b = cf_writer_acquire(&r->writer), c = cf_writer_acquire(&r->writer);
  assert_true(cf_run_adopted(&more) && cf_writer_has_changed(&r->writer));
  assert_ptr_equal(cf_writer_slot(&r->writer, b, &offset), &more);
  assert_ptr_equal(cf_writer_slot(&r->writer, c, &offset), &more);
  assert_int_equal(r->writer.slots[b].segment, 2);
  assert_int_equal(r->writer.slots[b].offset + r->writer.slots[c].offset, 512);
  cf_writer_cancel(&r->writer, a);
  assert_int_equal(cf_writer_acquire(&r->writer), a);
  rig_close(r);
}

static void a_retired_run_goes_slot_by_slot(void **state) {
  (void)state;
  rig *r = rig_open(4);
  cf_slot_run more = { .segment = 2, .count = 3, .stride = 512 };
  cf_writer_seat *seat = seat_open(r, 1, 0);
  uint32_t leased = publish_next(r), open = cf_writer_acquire(&r->writer), head = publish_next(r);
  seat->page->lease[0] = cf_ref(1, leased);
  cf_writer_offer(&r->writer, &more);
  cf_writer_adopt(&r->writer);
  assert_false(cf_run_retiring(&r->run));
  cf_writer_retire(&r->writer, &r->run);
  cf_writer_retire(&r->writer, &r->run); /* once is enough, twice is the same */
  assert_true(cf_run_retiring(&r->run));
  cf_writer_sweep(&r->writer);
  assert_false(has_emptied(&r->writer));
  assert_int_equal(r->run.live, 3);
  assert_int_equal(r->control->head, cf_ref(2, head)); /* readable as before */
  assert_int_equal(r->writer.slots[head].seq, 2);
  cf_writer_cancel(&r->writer, open);
  assert_int_equal(r->writer.notes[publish_next(r)].run->segment, 2); /* and sweeps */
  assert_int_equal(r->run.live, 2);
  cf_writer_sweep(&r->writer); /* the newest frame is in the other run now */
  assert_int_equal(r->run.live, 1);
  assert_null(cf_writer_collect(&r->writer));
  seat->page->lease[0] = 0;
  (void)publish_next(r);
  assert_true(has_emptied(&r->writer));
  assert_ptr_equal(cf_writer_collect(&r->writer), &r->run);
  assert_null(r->run.next);
  assert_false(has_emptied(&r->writer));
  assert_int_equal(r->writer.retiring, 0);
  for (int i = 0; i < 10; i++)
    assert_int_equal(r->writer.notes[publish_next(r)].run->segment, 2);
  seat_close(r, seat);
  rig_close(r);
}

static void a_run_that_retires_on_offer_comes_back_unused(void **state) {
  (void)state;
  rig *r = rig_open(2);
  cf_slot_run a = { .segment = 2, .count = 100, .stride = 512 }, b = a;
  cf_writer_offer(&r->writer, &a);
  cf_writer_offer(&r->writer, &b);
  cf_writer_retire(&r->writer, &a);
  cf_writer_retire(&r->writer, &b);
  (void)publish_next(r);
  cf_slot_run *list = cf_writer_collect(&r->writer);
  assert_true((list == &a && a.next == &b) || (list == &b && b.next == &a));
  assert_false(cf_run_adopted(&a));
  assert_int_equal(r->writer.retiring, 0);
  rig_close(r);
}

static void a_run_waits_until_the_table_has_room_for_all_of_it(void **state) {
  (void)state;
  rig *r = rig_open(CAPACITY - 4);
  cf_slot_run more = { .segment = 2, .count = CAPACITY - 4, .stride = 512 };
  cf_writer_offer(&r->writer, &more);
  (void)publish_next(r);
  assert_false(cf_run_adopted(&more));
  cf_writer_retire(&r->writer, &r->run);
  assert_int_equal(r->writer.notes[publish_next(r)].run->segment, 2);
  assert_true(cf_run_adopted(&more));
  assert_int_equal(more.live, CAPACITY - 4);
  rig_close(r);
}

static void a_slot_brought_along_needs_room_in_the_table(void **state) {
  (void)state;
  rig *r = rig_open(CAPACITY);
  cf_slot_run one = { .segment = 2, .count = 1, .stride = 4096 };
  assert_int_equal(cf_writer_adopt_taken(&r->writer, &one), CF_NO_SLOT);
  assert_false(cf_run_adopted(&one));
  cf_writer_retire(&r->writer, &r->run);
  cf_writer_sweep(&r->writer);
  uint32_t slot = cf_writer_adopt_taken(&r->writer, &one);
  assert_true(slot < CAPACITY && cf_run_adopted(&one));
  assert_int_equal(cf_writer_acquire(&r->writer), CF_NO_SLOT); /* it is taken, and there is no other */
  cf_writer_forget(&r->writer, slot);
  assert_int_equal(one.live, 0);
  rig_close(r);
}

static void a_slot_of_the_table_can_be_used_again(void **state) {
  (void)state;
  cf_slot_run runs[50];
  rig *r = rig_open(0);
  for (uint32_t i = 0; i < 50; i++) {
    runs[i] = (cf_slot_run){ .segment = i + 1, .count = 2 + i % 5, .stride = 512 };
    cf_writer_offer(&r->writer, &runs[i]);
    cf_writer_adopt(&r->writer);
    if (i > 0)
      cf_writer_retire(&r->writer, &runs[i - 1]);
    for (int n = 0; n < 3; n++)
      assert_int_equal(r->writer.notes[publish_next(r)].run->segment, i + 1);
    assert_ptr_equal(cf_writer_collect(&r->writer), i > 0 ? &runs[i - 1] : NULL);
  }
  rig_close(r);
}

/* ---- seats that come and go ---- */

static void seats_are_as_many_as_there_are(void **state) {
  (void)state;
  rig *r = rig_open(3);
  cf_writer_seat *seats[CF_SEATS_MAX], extra = { .page = zeroed(sizeof(cf_seat)), .leases = 1 };
  for (uint32_t i = 0; i < CF_SEATS_MAX; i++)
    seats[i] = seat_open(r, 1, 0);
  assert_int_equal(r->writer.seat_top, CF_SEATS_MAX);
  assert_false(cf_writer_add_seat(&r->writer, &extra));
  seat_close(r, seats[100]);
  assert_true(cf_writer_add_seat(&r->writer, &extra)); /* in the gap */
  assert_int_equal(r->writer.seat_top, CF_SEATS_MAX);
  for (uint32_t i = CF_SEATS_MAX; i-- > 0;)
    if (i != 100)
      seat_close(r, seats[i]);
  assert_int_equal(r->writer.seat_top, 101);
  assert_true(cf_writer_quiescent(&r->writer, &extra, cf_writer_remove_seat(&r->writer, &extra)));
  assert_int_equal(r->writer.seat_top, 0);
  free(extra.page);
  rig_close(r);
}

static void a_new_seat_starts_empty(void **state) {
  (void)state;
  rig *r = rig_open(3);
  cf_writer_seat *seat = seat_open(r, 2, 3);
  assert_true(seat->page->cursor == CF_CURSOR_NONE && seat->cursor == CF_CURSOR_NONE);
  assert_int_equal(seat->page->state, CF_SEAT_ACTIVE);
  seat_close(r, seat);
  rig_close(r);
}

static void a_seat_goes_when_nobody_looks_at_it(void **state) {
  (void)state;
  rig *r = rig_open(3);
  for (int thread = 0; thread < 2; thread++) {
    cf_writer_seat *seat = seat_open(r, 1, 0);
    r->writer.scanning[thread]++; /* looks now */
    uint32_t room = seat->page->room;
    uint64_t ticket = cf_writer_remove_seat(&r->writer, seat);
    assert_true(seat->page->room != room);
    assert_false(cf_writer_quiescent(&r->writer, seat, ticket));
    r->writer.scanning[!thread] += 2; /* the other one may come and go */
    assert_false(cf_writer_quiescent(&r->writer, seat, ticket));
    r->writer.scanning[thread]++;
    assert_true(cf_writer_quiescent(&r->writer, seat, ticket));
    r->writer.scanning[thread]++; /* the next look does not see it */
    assert_true(cf_writer_quiescent(&r->writer, seat, ticket));
    r->writer.scanning[thread]++;
    seat_free(seat);
  }
  rig_close(r);
}

/* A publisher that waits for one subscriber keeps nobody else from leaving. */
static void only_the_seat_waited_for_stays(void **state) {
  (void)state;
  uint32_t room;
  rig *r = rig_open(8);
  (void)publish_next(r);
  cf_writer_seat *other = seat_open(r, 1, 0), *slow = seat_open(r, 1, 1);
  slow->page->cursor = 0;
  assert_ptr_equal(cf_writer_enter_full(&r->writer), slow);
  assert_true(cf_writer_seat_full(&r->writer, slow, &room));
  seat_close(r, other);
  uint64_t ticket = cf_writer_remove_seat(&r->writer, slow);
  assert_false(cf_writer_quiescent(&r->writer, slow, ticket));
  assert_true(slow->page->room != room);
  assert_false(cf_writer_seat_full(&r->writer, slow, &room));
  cf_writer_leave(&r->writer);
  assert_true(cf_writer_quiescent(&r->writer, slow, ticket));
  seat_free(slow);
  rig_close(r);
}

static void a_removed_seat_pins_nothing(void **state) {
  (void)state;
  rig *r = rig_open(3);
  cf_writer_seat *seat = seat_open(r, 1, 0);
  uint32_t slot = publish_next(r);
  seat->page->lease[0] = cf_ref(1, slot);
  (void)publish_next(r);
  (void)publish_next(r);
  assert_true(publish_next(r) != slot);
  (void)cf_writer_remove_seat(&r->writer, seat);
  assert_int_equal(publish_next(r), slot);
  seat_free(seat);
  rig_close(r);
}

static void sleepers_are_counted_by_seat(void **state) {
  (void)state;
  rig *r = rig_open(3);
  cf_writer_seat *a = seat_open(r, 1, 0), *b = seat_open(r, 1, 0);
  assert_true(cf_writer_sleepers(&r->writer) == 0 && cf_writer_packet_sleepers(&r->writer) == 0);
  a->page->waiting = 2;
  b->page->packet_waiting = 1;
  assert_true(cf_writer_sleepers(&r->writer) == 1 && cf_writer_packet_sleepers(&r->writer) == 1);
  b->page->waiting = 1;
  assert_true(cf_writer_sleepers(&r->writer) == 2 && cf_writer_packet_sleepers(&r->writer) == 1);
  seat_close(r, a); /* where it was is nobody */
  assert_true(cf_writer_sleepers(&r->writer) == 1 && cf_writer_packet_sleepers(&r->writer) == 1);
  seat_close(r, b);
  rig_close(r);
}

static void the_end_and_segment_numbers_are_told(void **state) {
  (void)state;
  rig *r = rig_open(3);
  uint32_t wake = r->control->wake;
  cf_writer_set_floor(&r->writer, 4);
  cf_writer_set_top(&r->writer, 9);
  cf_writer_end(&r->writer);
  assert_true(r->control->segment_floor == 4 && r->control->segment_top == 9);
  assert_true(r->control->state == CF_CONTROL_ENDED && r->control->wake != wake);
  assert_true(r->control->source == 0);
  cf_writer_set_source(&r->writer, cf_source_word(5, 1007));
  assert_int_equal(r->control->source, 1005);
  rig_close(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_formatted_page_says_what_it_is),
    cmocka_unit_test(slots_lie_one_behind_the_other),
    cmocka_unit_test(a_published_slot_says_what_is_in_it),
    cmocka_unit_test(the_oldest_slot_is_taken_and_never_the_newest_frames),
    cmocka_unit_test(a_slot_that_is_kept_late_is_not_given_out),
    cmocka_unit_test(one_slot_is_enough_for_one_frame),
    cmocka_unit_test(a_lease_pins_until_it_is_given_back),
    cmocka_unit_test(only_granted_leases_count),
    cmocka_unit_test(held_leases_are_listed),
    cmocka_unit_test(costs_are_what_a_seat_can_pin),
    cmocka_unit_test(waiting_frames_are_pinned_up_to_the_depth),
    cmocka_unit_test(a_broken_cursor_pins_no_more_than_granted),
    cmocka_unit_test(a_cursor_goes_neither_back_nor_beyond_the_newest_frame),
    cmocka_unit_test(an_evicted_seat_pins_its_leases_only),
    cmocka_unit_test(offered_slots_are_used_from_the_next_acquire_on),
    cmocka_unit_test(a_retired_run_goes_slot_by_slot),
    cmocka_unit_test(a_run_that_retires_on_offer_comes_back_unused),
    cmocka_unit_test(a_run_waits_until_the_table_has_room_for_all_of_it),
    cmocka_unit_test(a_slot_brought_along_needs_room_in_the_table),
    cmocka_unit_test(a_slot_of_the_table_can_be_used_again),
    cmocka_unit_test(seats_are_as_many_as_there_are),
    cmocka_unit_test(a_new_seat_starts_empty),
    cmocka_unit_test(a_seat_goes_when_nobody_looks_at_it),
    cmocka_unit_test(only_the_seat_waited_for_stays),
    cmocka_unit_test(a_removed_seat_pins_nothing),
    cmocka_unit_test(sleepers_are_counted_by_seat),
    cmocka_unit_test(the_end_and_segment_numbers_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
