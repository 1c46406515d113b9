/* exchange/frame_writer.c - the publisher's side of the frame exchange. */
#include "exchange/frame_writer.h"

#include <string.h>

#include "exchange/newest.h"

/* Orders, once for the file:
 *   - lease[], head, waiting, cursor, seat.state and seats[] are seq_cst where two sides each write one word and then
 *     read the other's (Dekker): at least one of the two sees the other.
 *   - slot.seq, released[], ready: acquire/release, they hand over memory.
 *   - fields of a slot beside seq: relaxed; whoever may read them has seen head or index first. */

enum { FRAME_THREAD = 0, PACKET_THREAD = 1 };

void cf_writer_init(cf_frame_writer *writer, void *control, uint32_t capacity, cf_slot_note *notes, uint64_t instance,
                    uint64_t first_seq) {
  memset(writer, 0, sizeof *writer);
  cf_control *page = control;
  page->magic = CF_CONTROL_MAGIC;
  page->layout = CF_CONTROL_LAYOUT;
  page->capacity = capacity;
  page->instance = instance;
  page->index_offset = sizeof *page;
  page->slots_offset = page->index_offset + (uint64_t)capacity * sizeof(uint64_t);
  page->extras_offset = page->slots_offset + (uint64_t)capacity * sizeof(cf_slot);
  atomic_store_explicit(&page->state, CF_CONTROL_RUNNING, memory_order_relaxed);
  writer->control = page;
  writer->index = (_Atomic uint64_t *)((uint8_t *)control + page->index_offset);
  writer->slots = (cf_slot *)((uint8_t *)control + page->slots_offset);
  writer->extras = (cf_extra *)((uint8_t *)control + page->extras_offset);
  writer->notes = notes;
  memset(notes, 0, capacity * sizeof *notes);
  writer->capacity = capacity;
  writer->free = writer->held = (cf_slot_list){ CF_NO_SLOT, CF_NO_SLOT, 0 };
  writer->head_slot = CF_NO_SLOT;
  writer->least = UINT32_MAX;
  writer->seq = first_seq - 1;
}

void cf_writer_set_side_data_max(cf_frame_writer *writer, uint32_t bytes) {
  writer->control->side_data_max = bytes;
}

/* ---- lists of slots ---- */

static void list_remove(cf_frame_writer *writer, cf_slot_list *list, uint32_t slot) {
  const cf_slot_note *note = &writer->notes[slot];
  *(note->previous == CF_NO_SLOT ? &list->first : &writer->notes[note->previous].next) = note->next;
  *(note->next == CF_NO_SLOT ? &list->last : &writer->notes[note->next].previous) = note->previous;
  list->count--;
}

/* Between two that are neighbours in the list, or behind or before the one at its end. */
static void list_insert(cf_frame_writer *writer, cf_slot_list *list, uint32_t slot, uint32_t previous, uint32_t next) {
  writer->notes[slot].previous = previous;
  writer->notes[slot].next = next;
  *(previous == CF_NO_SLOT ? &list->first : &writer->notes[previous].next) = slot;
  *(next == CF_NO_SLOT ? &list->last : &writer->notes[next].previous) = slot;
  list->count++;
}

static void list_append(cf_frame_writer *writer, cf_slot_list *list, uint32_t slot) {
  list_insert(writer, list, slot, list->last, CF_NO_SLOT);
}

static void list_prepend(cf_frame_writer *writer, cf_slot_list *list, uint32_t slot) {
  list_insert(writer, list, slot, CF_NO_SLOT, list->first);
}

/* ---- looking at the seats ---- */

/* Gives how many places there are to look at. */
__attribute__((hot)) static uint32_t scan_begin(cf_frame_writer *writer, int thread) {
  if (atomic_load_explicit(&writer->seat_top, memory_order_seq_cst) == 0)
    return 0;                                                                               /* nobody is there */
  uint32_t odd = atomic_load_explicit(&writer->scanning[thread], memory_order_relaxed) + 1; /* this thread's own */
  /* pairs with cf_writer_quiescent: either it sees the odd number, or the loads of seats[] see the removal */
  atomic_store_explicit(&writer->scanning[thread], odd, memory_order_seq_cst);
  return atomic_load_explicit(&writer->seat_top, memory_order_seq_cst);
}

static void scan_end(cf_frame_writer *writer, int thread) {
  uint32_t odd = atomic_load_explicit(&writer->scanning[thread], memory_order_relaxed);
  if (odd % 2 != 0) /* somebody was */
    atomic_store_explicit(&writer->scanning[thread], odd + 1, memory_order_release);
}

static cf_writer_seat *seat_at(cf_frame_writer *writer, uint32_t i) {
  return atomic_load_explicit(&writer->seats[i], memory_order_seq_cst);
}

/* The furthest cursor that an ordered seat has shown. It cannot go back or pass the newest frame, whatever the page
 * says. */
static uint64_t seat_cursor(cf_frame_writer *writer, cf_writer_seat *seat) {
  uint64_t seen = atomic_load_explicit(&seat->cursor, memory_order_relaxed);
  uint64_t now = atomic_load_explicit(&seat->page->cursor, memory_order_seq_cst); /* pairs with reader: take_ordered */
  if (now == CF_CURSOR_NONE) /* it wants no more: pairs with reader: cf_reader_leave */
    return CF_CURSOR_NONE;
  if (now <= writer->seq && (seen == CF_CURSOR_NONE || now > seen)) {
    seen = now;
    atomic_store_explicit(&seat->cursor, seen, memory_order_relaxed);
  }
  return seen;
}

static bool seat_waits_in_order(const cf_writer_seat *seat) {
  return seat->depth > 0 && !atomic_load_explicit(&seat->evicted, memory_order_acquire);
}

/* Frames above this wait for the seat; never more than what it was granted. */
static uint64_t seat_floor(cf_frame_writer *writer, cf_writer_seat *seat) {
  if (!seat_waits_in_order(seat))
    return CF_CURSOR_NONE;
  uint64_t cursor = seat_cursor(writer, seat);
  if (cursor == CF_CURSOR_NONE)
    return CF_CURSOR_NONE;
  uint32_t depth = cf_seat_pinned_depth(seat->depth);
  uint64_t least = writer->seq > depth ? writer->seq - depth : 0;
  return cursor > least ? cursor : least;
}

/* The next lease of a seat that stands, from *k on: its word, and *k is behind it. 0: there is none. */
static uint64_t seat_lease(const cf_writer_seat *seat, uint32_t *k) {
  const cf_seat *page = seat->page;
  while (*k < seat->leases) {
    uint64_t word =
        atomic_load_explicit(&page->lease[*k], memory_order_seq_cst); /* pairs with reader: lease_announce */
    uint32_t at = (*k)++;
    if (word != 0 && atomic_load_explicit(&page->released[at], memory_order_acquire) != cf_ref_seq(word))
      return word;
  }
  return 0;
}

/* What all seats pin: notes what is leased, and gives the floor above which frames wait for an ordered seat. scan_end()
 * must follow, when nothing depends on it any more: until then no seat that was counted is gone, and so no slots that
 * came with it retire. The cursor is read before the leases, and a reader writes its lease before its cursor: a frame
 * that is no longer waiting is seen leased. (A slot that no look found leased for 2^32 of them may pass for leased
 * once: then it is free one look later.) */
static uint64_t pins_look(cf_frame_writer *writer) {
  uint64_t lowest = CF_CURSOR_NONE;
  uint32_t number = ++writer->looks;
  uint32_t top = scan_begin(writer, FRAME_THREAD);
  for (uint32_t i = 0; i < top; i++) {
    cf_writer_seat *seat = seat_at(writer, i);
    if (!seat)
      continue;
    uint64_t floor = seat->depth > 0 ? seat_floor(writer, seat) : CF_CURSOR_NONE;
    if (floor < lowest)
      lowest = floor;
    uint32_t k = 0;
    for (uint64_t word; (word = seat_lease(seat, &k)) != 0;)
      if (cf_ref_slot(word) < writer->capacity)
        writer->notes[cf_ref_slot(word)].leased = number;
  }
  return lowest;
}

/* ---- taking slots ---- */

/* Whether somebody uses a held slot. If nobody does now, nobody will: who takes the newest frame looks for it again
 * after its lease is announced, so a lease of an older frame holds only if it stood before that frame was followed by
 * another, which was before this look; one that comes later is taken back by its reader. What waits in order is above
 * the floor until it is leased, or until its seat was evicted, for which its reader looks after its lease, too. */
static bool is_used(const cf_frame_writer *writer, uint64_t floor, uint32_t slot) {
  const cf_slot_note *note = &writer->notes[slot];
  return note->leased == writer->looks || note->kept || (note->filled && note->last > floor);
}

/* No slot of a retiring run is in the table any more. */
static void run_emptied(cf_frame_writer *writer, cf_slot_run *run) {
  atomic_fetch_sub_explicit(&writer->retiring, 1, memory_order_relaxed);
  run->next = atomic_load_explicit(&writer->emptied, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&writer->emptied, &run->next, run, memory_order_release,
                                                memory_order_relaxed)) /* pairs with cf_writer_collect */
    ;
}

/* A GPU has done what was put on its stream for that frame: fences, then ready, in this order. */
static bool slot_ready(const cf_frame_writer *writer, uint32_t slot, uint64_t seq) {
  return atomic_load_explicit(&writer->slots[slot].ready, memory_order_acquire) >= seq; /* pairs with the GPU's write */
}

static bool retires(const cf_frame_writer *writer, uint32_t slot) {
  return cf_run_retiring(writer->notes[slot].run);
}

/* Free slots of runs that retire are held, until the GPU has done with them, too. */
static void hold_retiring(cf_frame_writer *writer) {
  for (uint32_t slot = writer->free.first, next; slot != CF_NO_SLOT; slot = next) {
    next = writer->notes[slot].next;
    if (!retires(writer, slot))
      continue;
    list_remove(writer, &writer->free, slot);
    list_append(writer, &writer->held, slot);
  }
}

/* Takes a slot of a retiring run out of the table. */
static void slot_leave(cf_frame_writer *writer, uint32_t slot) {
  cf_slot_run *run = writer->notes[slot].run;
  writer->notes[slot].run = NULL;
  if (--run->live == 0)
    run_emptied(writer, run);
}

/* Looks at every seat: what nobody uses becomes free, or leaves the table if it retires. */
__attribute__((hot)) static void look(cf_frame_writer *writer) {
  bool retiring = atomic_load_explicit(&writer->retiring, memory_order_relaxed) > 0;
  if (retiring)
    hold_retiring(writer);
  const uint64_t floor = pins_look(writer);
  for (uint32_t slot = writer->held.first, next; slot != CF_NO_SLOT; slot = next) {
    next = writer->notes[slot].next;
    bool goes = retiring && retires(writer, slot);
    if (is_used(writer, floor, slot) || (goes && !slot_ready(writer, slot, writer->notes[slot].last)))
      continue;
    list_remove(writer, &writer->held, slot);
    writer->notes[slot].filled = false; /* no frame any more */
    if (goes)
      slot_leave(writer, slot);
    else
      list_append(writer, &writer->free, slot);
  }
  /* after the look: whoever was seated by then has its slots on offer */
  if (atomic_load_explicit(&writer->offered, memory_order_seq_cst))
    cf_writer_adopt(writer);
  scan_end(writer, FRAME_THREAD);
  if (writer->free.count < writer->least)
    writer->least = writer->free.count;
}

static bool must_look(const cf_frame_writer *writer) {
  return writer->free.count <= writer->spare || atomic_load_explicit(&writer->retiring, memory_order_relaxed) > 0 ||
         atomic_load_explicit(&writer->offered, memory_order_relaxed);
}

/* Makes a free slot the writer's own. */
static void slot_take(cf_frame_writer *writer, uint32_t slot) {
  list_remove(writer, &writer->free, slot);
  atomic_store_explicit(&writer->slots[slot].seq, 0, memory_order_relaxed); /* nobody looks; it brings the line here */
}

__attribute__((hot)) uint32_t cf_writer_acquire(cf_frame_writer *writer) {
  if (must_look(writer))
    look(writer);
  uint32_t slot = writer->free.first;
  if (slot != CF_NO_SLOT)
    slot_take(writer, slot);
  return slot;
}

void cf_writer_sweep(cf_frame_writer *writer) {
  look(writer);
}

__attribute__((hot)) cf_slot_run *cf_writer_slot(const cf_frame_writer *writer, uint32_t slot, uint64_t *offset) {
  *offset = atomic_load_explicit(&writer->slots[slot].offset, memory_order_relaxed);
  return writer->notes[slot].run;
}

void cf_writer_cancel(cf_frame_writer *writer, uint32_t slot) {
  list_prepend(writer, &writer->free, slot);
}

/* Gives the flag that says whether there is something. */
static uint32_t extra_write(cf_extra *extra, const cf_frame_meta *meta) {
  bool timed = meta->capture_time != 0 && meta->capture_time != INT64_MIN;
  if (!timed && meta->side_bytes == 0)
    return 0;
  atomic_store_explicit(&extra->capture_time, timed ? meta->capture_time : INT64_MIN, memory_order_relaxed);
  atomic_store_explicit(&extra->side_offset, meta->side_offset, memory_order_relaxed);
  atomic_store_explicit(&extra->side_bytes, meta->side_bytes, memory_order_relaxed);
  return CF_SLOT_HAS_EXTRA;
}

uint64_t cf_writer_publish(cf_frame_writer *writer, uint32_t slot, const cf_frame_meta *meta, bool ready) {
  uint64_t seq = ++writer->seq, word = cf_ref(seq, slot);
  cf_slot *s = &writer->slots[slot];
  const uint32_t flags = meta->flags | extra_write(&writer->extras[slot], meta);
  const uint32_t segment = atomic_load_explicit(&s->segment, memory_order_relaxed);
  const cf_newest newest = { meta->pts, meta->duration, meta->timestamp, writer->epoch, segment, flags };
  cf_newest_describe(s, &newest);
  if (ready)
    atomic_store_explicit(&s->ready, seq, memory_order_release);
  atomic_store_explicit(&s->seq, seq, memory_order_release);
  atomic_store_explicit(&writer->index[seq & (writer->capacity - 1)], word, memory_order_release);
  cf_newest_write(writer->control, seq, &newest, ready);
  /* pairs with reader: take_newest, cf_reader_prepare_wait */
  atomic_store_explicit(&writer->control->head, word, memory_order_seq_cst);
  writer->notes[slot].last = seq;
  writer->notes[slot].filled = true;
  if (writer->head_slot != CF_NO_SLOT)
    list_append(writer, &writer->held, writer->head_slot);
  writer->head_slot = slot;
  return seq;
}

/* ---- frames that a GPU completes ---- */

__attribute__((hot)) uint64_t cf_writer_next_seq(const cf_frame_writer *writer) {
  return writer->seq + 1;
}

__attribute__((hot)) _Atomic uint64_t *cf_writer_ready_counter(const cf_frame_writer *writer, uint32_t slot) {
  return &writer->slots[slot].ready;
}

__attribute__((hot)) bool cf_writer_has_fenced(const cf_frame_writer *writer) {
  return atomic_load_explicit(&writer->fenced_seats, memory_order_relaxed) > 0;
}

uint32_t cf_writer_enter_fences(cf_frame_writer *writer, uint32_t slot, cf_writer_seat *seats[CF_SEATS_MAX]) {
  uint32_t count = 0;
  uint64_t seq = writer->seq + 1;
  uint32_t top = scan_begin(writer, FRAME_THREAD);
  for (uint32_t i = 0; i < top; i++) {
    cf_writer_seat *seat = seat_at(writer, i);
    if (!seat || seat->fencing == CF_FENCING_NONE)
      continue;
    if (atomic_load_explicit(&seat->page->fenced_from, memory_order_relaxed) == 0)
      /* before head: pairs with reader: cf_reader_fenced. A frame that is not published after all has the same seq. */
      atomic_store_explicit(&seat->page->fenced_from, seq, memory_order_release);
    if (seat->fencing ==
        CF_FENCING_COUNTERS) /* before the scan ends: pairs with cf_writer_fences_done, after cf_writer_quiescent */
      atomic_store_explicit(&seat->fenced, cf_ref(seq, slot), memory_order_relaxed);
    seats[count++] = seat;
  }
  return count;
}

void cf_writer_leave_fences(cf_frame_writer *writer) {
  scan_end(writer, FRAME_THREAD);
}

bool cf_writer_fences_done(const cf_frame_writer *writer, const cf_writer_seat *seat) {
  uint64_t word = atomic_load_explicit(&seat->fenced, memory_order_relaxed);
  return word == 0 || slot_ready(writer, cf_ref_slot(word), cf_ref_seq(word));
}

bool cf_writer_completed(const cf_frame_writer *writer, uint32_t slot) {
  return slot_ready(writer, slot, writer->notes[slot].last);
}

__attribute__((hot)) bool cf_writer_head_completed(const cf_frame_writer *writer) {
  /* the frame thread's own, or old; behind what its caller wrote: pairs with cf_writer_publish */
  uint64_t head = atomic_load_explicit(&writer->control->head, memory_order_seq_cst);
  return head == 0 || slot_ready(writer, cf_ref_slot(head), cf_ref_seq(head));
}

void cf_writer_take_back(cf_frame_writer *writer, uint32_t slot, cf_writer_seat *const seats[], uint32_t count) {
  /* as it was before: no reader looks at a slot without a frame, but cf_writer_completed() does */
  atomic_store_explicit(&writer->slots[slot].ready, writer->notes[slot].last, memory_order_relaxed);
  for (uint32_t i = 0; i < count; i++)
    if (seats[i]->fencing == CF_FENCING_COUNTERS)
      atomic_store_explicit(cf_seat_fence(seats[i]->page, slot), 0, memory_order_relaxed);
}

void cf_writer_new_epoch(cf_frame_writer *writer) {
  writer->epoch++;
}

void cf_writer_end(cf_frame_writer *writer) {
  atomic_store_explicit(&writer->control->state, CF_CONTROL_ENDED, memory_order_seq_cst);
  cf_writer_move_wake(writer);
}

/* ---- ordered seats without room ---- */

bool cf_writer_seat_full(cf_frame_writer *writer, cf_writer_seat *seat, uint32_t *room) {
  /* the word is read before we say that we wait, and moved by a reader that sees that; one that does not has moved its
   * cursor before we look: no wake is lost */
  *room = atomic_load_explicit(&seat->page->room, memory_order_seq_cst); /* pairs with reader: cursor_move */
  atomic_store_explicit(&seat->page->publisher_waits, 1, memory_order_seq_cst);
  if (seat_waits_in_order(seat)) {
    uint64_t cursor = seat_cursor(writer, seat);
    if (cursor != CF_CURSOR_NONE && writer->seq - cursor >= seat->depth)
      return true;
  }
  atomic_store_explicit(&seat->page->publisher_waits, 0, memory_order_relaxed);
  return false;
}

__attribute__((hot)) bool cf_writer_has_ordered(const cf_frame_writer *writer) {
  return atomic_load_explicit(&writer->ordered_seats, memory_order_relaxed) > 0;
}

__attribute__((hot)) cf_writer_seat *cf_writer_enter_full(cf_frame_writer *writer) {
  cf_writer_seat *full = NULL;
  if (!cf_writer_has_ordered(writer))
    return NULL; /* one that is just being seated may get a frame more: cf_seat_pinned_depth() */
  uint32_t top = scan_begin(writer, FRAME_THREAD);
  for (uint32_t i = 0; i < top && !full; i++) {
    cf_writer_seat *seat = seat_at(writer, i);
    if (!seat || !seat_waits_in_order(seat))
      continue;
    uint64_t cursor = seat_cursor(writer, seat);
    if (cursor != CF_CURSOR_NONE && writer->seq - cursor >= seat->depth) {
      atomic_store_explicit(&writer->entered, seat,
                            memory_order_release); /* before the scan ends: cf_writer_quiescent */
      full = seat;
    }
  }
  scan_end(writer, FRAME_THREAD);
  return full;
}

void cf_writer_leave(cf_frame_writer *writer) {
  atomic_store_explicit(&writer->entered, NULL, memory_order_release); /* pairs with cf_writer_quiescent */
}

/* From here on its cursor pins nothing. A writer that is about to sleep on its room does not. */
static void seat_give_up(cf_writer_seat *seat) {
  atomic_store_explicit(&seat->evicted, 1, memory_order_seq_cst);
  atomic_fetch_add_explicit(&seat->page->room, 1, memory_order_seq_cst); /* pairs with cf_writer_seat_full */
}

void cf_writer_evict(cf_writer_seat *seat) {
  /* the reader must know before its frames go: pairs with reader: take_ordered */
  atomic_store_explicit(&seat->page->state, CF_SEAT_EVICTED, memory_order_seq_cst);
  seat_give_up(seat);
}

/* ---- who sleeps ---- */

__attribute__((hot)) void cf_writer_move_wake(cf_frame_writer *writer) {
  atomic_fetch_add_explicit(&writer->control->wake, 1, memory_order_seq_cst); /* pairs with cf_reader_prepare_wait */
}

__attribute__((hot)) uint32_t cf_writer_sleepers(cf_frame_writer *writer) {
  uint32_t count = 0;
  uint32_t top = scan_begin(writer, FRAME_THREAD);
  for (uint32_t i = 0; i < top; i++) {
    cf_writer_seat *seat = seat_at(writer, i);
    /* pairs with cf_reader_prepare_wait: we see the sleeper, or it sees our head */
    if (seat && atomic_load_explicit(&seat->page->waiting, memory_order_seq_cst))
      count++;
  }
  scan_end(writer, FRAME_THREAD);
  return count;
}

static bool seat_is_ready(cf_frame_writer *writer, cf_writer_seat *seat, uint32_t wake) {
  /* pairs with frame_reader.c:cf_reader_prepare_packet_wait and cf_reader_note_packet_wait */
  if (seat->leases == 0)
    return atomic_load_explicit(&seat->page->packet_waiting, memory_order_seq_cst) != 0 &&
           atomic_load_explicit(&seat->page->packet_word, memory_order_seq_cst) == wake;
  /* pairs with reader: cursor_move, in cf_reader_begin */
  return seat->depth == 0 || seat_cursor(writer, seat) != CF_CURSOR_NONE;
}

static uint32_t seats_that(cf_frame_writer *writer, uint32_t packet_wake,
                           bool (*are)(cf_frame_writer *writer, cf_writer_seat *seat, uint32_t packet_wake)) {
  uint32_t count = 0, top = scan_begin(writer, FRAME_THREAD);
  for (uint32_t i = 0; i < top; i++) {
    cf_writer_seat *seat = seat_at(writer, i);
    if (seat && are(writer, seat, packet_wake))
      count++;
  }
  scan_end(writer, FRAME_THREAD);
  return count;
}

uint32_t cf_writer_ready_seats(cf_frame_writer *writer, uint32_t packet_wake) {
  return seats_that(writer, packet_wake, seat_is_ready);
}

void cf_writer_seat_given(cf_writer_seat *seat, uint32_t segment) {
  if (segment > atomic_load_explicit(&seat->given, memory_order_relaxed))
    atomic_store_explicit(&seat->given, segment, memory_order_release); /* pairs with seat_is_behind */
}

static bool seat_is_behind(cf_frame_writer *writer, cf_writer_seat *seat, uint32_t wake) {
  if (atomic_load_explicit(&seat->evicted, memory_order_acquire))
    return false;
  if (seat->leases == 0)
    return !seat_is_ready(writer, seat, wake);
  if (seat->depth == 0 || writer->head_slot == CF_NO_SLOT)
    return false;
  const bool begun = atomic_load_explicit(&seat->cursor, memory_order_relaxed) != CF_CURSOR_NONE;
  const uint64_t cursor = seat_cursor(writer, seat);
  if (cursor == CF_CURSOR_NONE)
    return !begun; /* or it has left */
  /* it moves its cursor before it asks for memory that it has not mapped: pairs with cf_writer_seat_given */
  return cursor < writer->seq ||
         atomic_load_explicit(&seat->given, memory_order_acquire) < writer->notes[writer->head_slot].run->segment;
}

uint32_t cf_writer_behind_seats(cf_frame_writer *writer, uint32_t packet_wake) {
  return seats_that(writer, packet_wake, seat_is_behind);
}

uint32_t cf_writer_packet_sleepers(cf_frame_writer *writer) {
  uint32_t count = 0;
  uint32_t top = scan_begin(writer, PACKET_THREAD);
  for (uint32_t i = 0; i < top; i++) {
    cf_writer_seat *seat = seat_at(writer, i);
    if (seat && atomic_load_explicit(&seat->page->packet_waiting, memory_order_seq_cst))
      count++;
  }
  scan_end(writer, PACKET_THREAD);
  return count;
}

/* ---- slots coming and going ---- */

void cf_writer_offer(cf_frame_writer *writer, cf_slot_run *run) {
  run->next = atomic_load_explicit(&writer->offered, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&writer->offered, &run->next, run, memory_order_seq_cst,
                                                memory_order_relaxed)) /* pairs with cf_writer_adopt */
    ;
}

static bool table_has_room(const cf_frame_writer *writer, uint32_t count) {
  uint32_t free = 0;
  for (uint32_t slot = 0; slot < writer->capacity && free < count; slot++)
    free += !writer->notes[slot].run;
  return free == count;
}

static void run_enter(cf_frame_writer *writer, cf_slot_run *run) {
  run->live = 0;
  for (uint32_t slot = 0; run->live < run->count; slot++) {
    if (writer->notes[slot].run)
      continue;
    writer->notes[slot] = (cf_slot_note){ .run = run };
    atomic_store_explicit(&writer->slots[slot].segment, run->segment, memory_order_relaxed);
    atomic_store_explicit(&writer->slots[slot].offset, run->live * run->stride, memory_order_relaxed);
    list_append(writer, &writer->free, slot); /* last: who is behind may not have mapped them yet */
    run->live++;
  }
  atomic_store_explicit(&run->adopted, 1, memory_order_relaxed);
  writer->adopted = true;
}

void cf_writer_adopt(cf_frame_writer *writer) {
  if (!atomic_load_explicit(&writer->offered, memory_order_seq_cst))
    return;
  cf_slot_run *run = atomic_exchange_explicit(&writer->offered, NULL, memory_order_seq_cst);
  for (cf_slot_run *next; run; run = next) {
    next = run->next;
    if (cf_run_retiring(run))
      run_emptied(writer, run);
    else if (table_has_room(writer, run->count))
      run_enter(writer, run);
    else
      cf_writer_offer(writer, run); /* until what retires is gone */
  }
}

/* ---- slots of the caller's choice ---- */

static bool is_in(const cf_frame_writer *writer, const cf_slot_list *list, uint32_t slot) {
  uint32_t at = list->first;
  while (at != slot && at != CF_NO_SLOT)
    at = writer->notes[at].next;
  return at == slot;
}

void cf_writer_keep(cf_frame_writer *writer, uint32_t slot, bool kept) {
  writer->notes[slot].kept = kept;
  if (!kept || writer->notes[slot].filled)
    return;
  list_remove(writer, &writer->free, slot); /* a look had freed it */
  list_append(writer, &writer->held, slot);
}

bool cf_writer_acquire_slot(cf_frame_writer *writer, uint32_t slot) {
  if (is_in(writer, &writer->held, slot))
    look(writer);
  bool free = is_in(writer, &writer->free, slot);
  if (free)
    slot_take(writer, slot);
  return free;
}

uint32_t cf_writer_adopt_taken(cf_frame_writer *writer, cf_slot_run *run) {
  if (!table_has_room(writer, run->count))
    return CF_NO_SLOT;
  run_enter(writer, run);
  uint32_t slot = writer->free.last; /* where it went, and nobody knows it yet */
  slot_take(writer, slot);
  return slot;
}

void cf_writer_forget(cf_frame_writer *writer, uint32_t slot) {
  cf_slot_run *run = writer->notes[slot].run;
  run->live--;
  if (cf_run_retiring(run))
    atomic_fetch_sub_explicit(&writer->retiring, 1, memory_order_relaxed);
  writer->notes[slot].run = NULL;
}

void cf_writer_retire(cf_frame_writer *writer, cf_slot_run *run) {
  if (atomic_exchange_explicit(&run->retire, 1, memory_order_relaxed) == 0)
    atomic_fetch_add_explicit(&writer->retiring, 1, memory_order_relaxed);
}

__attribute__((hot)) bool cf_writer_has_changed(cf_frame_writer *writer) {
  bool changed = writer->adopted || atomic_load_explicit(&writer->emptied, memory_order_relaxed) != NULL;
  writer->adopted = false;
  return changed;
}

bool cf_run_adopted(const cf_slot_run *run) {
  return atomic_load_explicit(&run->adopted, memory_order_relaxed) != 0;
}

bool cf_run_retiring(const cf_slot_run *run) {
  return atomic_load_explicit(&run->retire, memory_order_relaxed) != 0;
}

void cf_writer_set_floor(cf_frame_writer *writer, uint32_t segment) {
  atomic_store_explicit(&writer->control->segment_floor, segment, memory_order_release);
}

void cf_writer_set_top(cf_frame_writer *writer, uint32_t segment) {
  atomic_store_explicit(&writer->control->segment_top, segment, memory_order_release);
}

void cf_writer_set_source(cf_frame_writer *writer, uint64_t word) {
  atomic_store_explicit(&writer->control->source, word, memory_order_relaxed); /* nothing else hangs on it */
}

cf_slot_run *cf_writer_collect(cf_frame_writer *writer) {
  return atomic_exchange_explicit(&writer->emptied, NULL, memory_order_acquire); /* pairs with run_emptied */
}

/* ---- seats coming and going ---- */

bool cf_writer_add_seat(cf_frame_writer *writer, cf_writer_seat *seat) {
  atomic_store_explicit(&seat->page->cursor, CF_CURSOR_NONE, memory_order_relaxed);
  atomic_store_explicit(&seat->page->state, CF_SEAT_ACTIVE, memory_order_relaxed);
  atomic_store_explicit(&seat->cursor, CF_CURSOR_NONE, memory_order_relaxed);
  atomic_store_explicit(&seat->evicted, 0, memory_order_relaxed);
  for (uint32_t i = 0; i < CF_SEATS_MAX; i++) {
    if (atomic_load_explicit(&writer->seats[i], memory_order_relaxed))
      continue;
    if (seat->fencing != CF_FENCING_NONE)
      atomic_fetch_add_explicit(&writer->fenced_seats, 1, memory_order_relaxed);
    if (seat->depth > 0)
      atomic_fetch_add_explicit(&writer->ordered_seats, 1, memory_order_relaxed);
    atomic_store_explicit(&writer->seats[i], seat, memory_order_seq_cst);
    if (i >= atomic_load_explicit(&writer->seat_top, memory_order_relaxed))
      atomic_store_explicit(&writer->seat_top, i + 1, memory_order_seq_cst);
    return true;
  }
  return false;
}

uint64_t cf_writer_remove_seat(cf_frame_writer *writer, cf_writer_seat *seat) {
  uint32_t top = 0;
  for (uint32_t i = 0; i < CF_SEATS_MAX; i++) {
    cf_writer_seat *there = atomic_load_explicit(&writer->seats[i], memory_order_relaxed);
    if (there == seat) {
      atomic_store_explicit(&writer->seats[i], NULL, memory_order_seq_cst);
      if (seat->fencing != CF_FENCING_NONE)
        atomic_fetch_sub_explicit(&writer->fenced_seats, 1, memory_order_relaxed);
      if (seat->depth > 0)
        atomic_fetch_sub_explicit(&writer->ordered_seats, 1, memory_order_relaxed);
    } else if (there) {
      top = i + 1;
    }
  }
  atomic_store_explicit(&writer->seat_top, top, memory_order_seq_cst);
  seat_give_up(seat);
  uint64_t frames = atomic_load_explicit(&writer->scanning[FRAME_THREAD], memory_order_seq_cst);
  uint64_t packets = atomic_load_explicit(&writer->scanning[PACKET_THREAD], memory_order_seq_cst);
  return frames << 32 | packets;
}

static bool scan_over(cf_frame_writer *writer, int thread, uint32_t ticket) {
  /* pairs with scan_end: what the scan read of the seat is behind us */
  return ticket % 2 == 0 || atomic_load_explicit(&writer->scanning[thread], memory_order_acquire) != ticket;
}

bool cf_writer_quiescent(cf_frame_writer *writer, const cf_writer_seat *seat, uint64_t ticket) {
  return scan_over(writer, FRAME_THREAD, (uint32_t)(ticket >> 32)) &&
         scan_over(writer, PACKET_THREAD, (uint32_t)ticket) &&
         atomic_load_explicit(&writer->entered, memory_order_acquire) != seat;
}

uint32_t cf_seat_held(const cf_writer_seat *seat, uint32_t *held) {
  uint32_t count = 0, k = 0;
  for (uint64_t word; (word = seat_lease(seat, &k)) != 0;)
    held[count++] = cf_ref_slot(word);
  return count;
}

cf_seat_report cf_seat_look(const cf_writer_seat *seat) {
  cf_seat_report report = {
    .evicted = atomic_load_explicit(&seat->evicted, memory_order_relaxed) != 0,
    .last_seq = atomic_load_explicit(&seat->page->last_seq, memory_order_relaxed),
    .delivered = atomic_load_explicit(&seat->page->delivered, memory_order_relaxed),
    .skipped = atomic_load_explicit(&seat->page->skipped, memory_order_relaxed),
  };
  cf_seat_read_counters(seat->page, report.counters, &report.latency_sum);
  return report;
}
