/* exchange/frame_reader.c - the subscriber's side of the frame exchange. */
#include "exchange/frame_reader.h"

#include <string.h>

#include "exchange/latency.h"
#include "exchange/newest.h"

/* An honest publisher makes a reader start again only by publishing in between; one that does so this often in a
 * row does not want us to have a frame. */
#define TRIES 100000

/* Reads header fields that are not atomic because an honest writer never changes them again: once each. */
#define LOAD_ONCE(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

bool cf_reader_init(cf_frame_reader *reader, const void *control, uint64_t bytes, cf_seat *seat, bool ordered) {
  const cf_control *page = control;
  if (bytes < sizeof *page || LOAD_ONCE(page->magic) != CF_CONTROL_MAGIC ||
      LOAD_ONCE(page->layout) != CF_CONTROL_LAYOUT)
    return false;
  uint32_t capacity = LOAD_ONCE(page->capacity);
  uint64_t index = LOAD_ONCE(page->index_offset), slots = LOAD_ONCE(page->slots_offset),
           extras = LOAD_ONCE(page->extras_offset);
  uint32_t side_data_max = LOAD_ONCE(page->side_data_max);
  if (capacity == 0 || capacity > CF_SLOTS_MAX || (capacity & (capacity - 1)) != 0 || index % 64 != 0 ||
      slots % 64 != 0 || index > bytes || slots > bytes || bytes - index < capacity * sizeof(uint64_t) ||
      bytes - slots < capacity * sizeof(cf_slot))
    return false;
  if (extras % 64 != 0 || extras > bytes || bytes - extras < capacity * sizeof(cf_extra) ||
      side_data_max > CF_SIDE_DATA_MAX)
    return false;
  memset(reader, 0, sizeof *reader);
  reader->control = page;
  reader->index = (const _Atomic uint64_t *)((const uint8_t *)control + index);
  reader->slots = (const cf_slot *)((const uint8_t *)control + slots);
  reader->extras = (const cf_extra *)((const uint8_t *)control + extras);
  reader->side_data_max = side_data_max;
  reader->seat = seat;
  reader->capacity = capacity;
  reader->ordered = ordered;
  return true;
}

static uint64_t newest(const cf_frame_reader *reader) {
  return atomic_load_explicit(&reader->control->head, memory_order_seq_cst); /* pairs with writer: cf_writer_publish */
}

bool cf_reader_evicted(const cf_frame_reader *reader) {
  return atomic_load_explicit(&reader->seat->state, memory_order_seq_cst) == CF_SEAT_EVICTED;
}

bool cf_reader_ended(const cf_frame_reader *reader) {
  return atomic_load_explicit(&reader->control->state, memory_order_seq_cst) == CF_CONTROL_ENDED;
}

/* A frame reference, taken apart. */
typedef struct found {
  uint64_t word, seq;
  uint32_t slot;
  bool described; /* the frame is, already */
} found;

static found find(uint64_t word) {
  return (found){ .word = word, .seq = cf_ref_seq(word), .slot = cf_ref_slot(word) };
}

/* What keeps the frame from being written over from now on, if it holds: what must be true of the frame is looked at
 * after this. */
static void lease_announce(cf_frame_reader *reader, uint32_t k, const found *f) {
  cf_seat *seat = reader->seat;
  if (atomic_load_explicit(&seat->released[k], memory_order_relaxed) != 0) /* by the GPU, which does so no more */
    atomic_store_explicit(&seat->released[k], 0, memory_order_relaxed);
  atomic_store_explicit(&seat->lease[k], f->word, memory_order_seq_cst); /* pairs with writer: seat_lease */
}

/* The frame is where head or index says it is; an honest publisher never lets a leased one go. */
static enum cf_take leased(const cf_frame_reader *reader, uint32_t k, const found *f) {
  if (atomic_load_explicit(&reader->slots[f->slot].seq, memory_order_acquire) == f->seq)
    return CF_TAKE_OK;
  cf_reader_release(reader->seat, k);
  return CF_TAKE_BROKEN;
}

static cf_slot_place *place_of(cf_frame_reader *reader, uint32_t slot) {
  return &reader->places[slot % CF_PLACES];
}

/* What the side data and the capture time are, of a frame that has some. */
static void describe_extra(const cf_frame_reader *reader, cf_taken *taken) {
  taken->capture_time = INT64_MIN;
  taken->side_offset = taken->side_bytes = 0;
  if (!(taken->flags & CF_SLOT_HAS_EXTRA)) /* as nearly always: the line of the extra is not touched */
    return;
  const cf_extra *extra = &reader->extras[taken->slot];
  taken->flags &= ~CF_SLOT_HAS_EXTRA;
  taken->capture_time = atomic_load_explicit(&extra->capture_time, memory_order_relaxed);
  taken->side_offset = atomic_load_explicit(&extra->side_offset, memory_order_relaxed);
  taken->side_bytes = atomic_load_explicit(&extra->side_bytes, memory_order_relaxed);
}

/* Describes a leased frame by the record beside head. False: that is another one's by now, or it is not known where the
 * slot lies: then the slot is to be asked. */
static bool describe_newest(cf_frame_reader *reader, const found *f, cf_taken *taken) {
  cf_newest newest;
  const cf_slot_place *place = place_of(reader, f->slot);
  if (!cf_newest_read(reader->control, f->seq, &newest) || place->slot != f->slot || place->segment != newest.segment)
    return false;
  taken->seq = f->seq;
  taken->slot = f->slot;
  taken->offset = place->offset;
  taken->segment = newest.segment;
  taken->flags = newest.flags;
  taken->epoch = newest.epoch;
  taken->pts = newest.pts;
  taken->duration = newest.duration;
  taken->timestamp = newest.timestamp;
  return true;
}

static enum cf_take take_newest(cf_frame_reader *reader, uint32_t k, found *f, cf_taken *taken) {
  for (int i = 0; i < TRIES; i++) {
    bool ended = cf_reader_ended(reader); /* before the look: a frame published before the end is still taken */
    *f = find(newest(reader));
    if (f->word == 0 || (reader->started && f->seq == reader->last))
      return ended ? CF_TAKE_ENDED : CF_TAKE_NONE;
    if (f->slot >= reader->capacity || f->seq == 0 || (reader->started && f->seq < reader->last))
      return CF_TAKE_BROKEN;
    if (reader->by_slot)
      __builtin_prefetch(&reader->slots[f->slot]); /* the publisher has just written it; both lines come at once */
    lease_announce(reader, k, f);
    /* Still the newest: then the writer sees the lease in every look after the next frame. Otherwise it may have looked
     * already, and the lease holds nothing; nor if the publisher has hung up meanwhile and looks at the seat no more.
     * */
    bool holds = newest(reader) == f->word, gone = cf_reader_evicted(reader); /* pairs with writer: cf_writer_evict */
    if (holds && !gone) {
      f->described = describe_newest(reader, f, taken);
      return f->described ? CF_TAKE_OK : leased(reader, k, f);
    }
    cf_reader_release(reader->seat, k);
    if (gone)
      return CF_TAKE_EVICTED;
  }
  return CF_TAKE_BROKEN;
}

/* Moves it, and `room` if the publisher sleeps on that. True: it does, and must be woken. */
static bool cursor_move(const cf_frame_reader *reader, uint64_t seq) {
  /* after the lease: pairs with writer: pins_look, which reads them the other way round */
  atomic_store_explicit(&reader->seat->cursor, seq, memory_order_seq_cst);
  /* after the cursor: pairs with writer: cf_writer_seat_full */
  if (atomic_load_explicit(&reader->seat->publisher_waits, memory_order_seq_cst) == 0)
    return false;
  atomic_fetch_add_explicit(&reader->seat->room, 1, memory_order_seq_cst);
  return true;
}

bool cf_reader_begin(cf_frame_reader *reader, bool *must_wake) {
  *must_wake = false;
  if (!reader->ordered)
    return true;
  for (int i = 0; i < TRIES; i++) {
    uint64_t word = newest(reader);
    if (word != 0 && cf_ref_seq(word) == 0)
      return false;
    reader->last = word ? cf_ref_seq(word) - 1 : 0;
    reader->started = true;
    *must_wake = cursor_move(reader, reader->last) || *must_wake;
    /* The newest frame is not taken while it is the newest. If it still is, the publisher sees our cursor before it
     * next looks for a slot, and so does every frame after it: pairs with writer: seat_cursor. If it is not, the
     * publisher may have seen a cursor that has no room. */
    if (newest(reader) == word)
      return true;
  }
  return false;
}

bool cf_reader_leave(const cf_frame_reader *reader) {
  return reader->ordered && cursor_move(reader, CF_CURSOR_NONE); /* pairs with writer: seat_cursor */
}

static enum cf_take take_ordered(cf_frame_reader *reader, uint32_t k, found *f, bool *must_wake) {
  uint64_t want = reader->last + 1;
  bool ended = cf_reader_ended(reader); /* before the look, as in take_newest() */
  if (cf_ref_seq(newest(reader)) < want)
    return ended ? CF_TAKE_ENDED : CF_TAKE_NONE;
  *f = find(atomic_load_explicit(&reader->index[want & (reader->capacity - 1)], memory_order_acquire));
  if (f->seq != want || f->slot >= reader->capacity)
    return CF_TAKE_BROKEN; /* it waited for us, unless we were evicted */
  lease_announce(reader, k, f);
  if (cf_reader_evicted(reader)) { /* after the lease: pairs with writer: cf_writer_evict */
    cf_reader_release(reader->seat, k);
    return CF_TAKE_EVICTED;
  }
  enum cf_take take = leased(reader, k, f);
  if (take == CF_TAKE_OK)
    *must_wake = cursor_move(reader, want);
  return take;
}

/* By its slot. */
static void describe(cf_frame_reader *reader, const found *f, cf_taken *taken) {
  const cf_slot *slot = &reader->slots[f->slot];
  taken->seq = f->seq;
  taken->slot = f->slot;
  taken->offset = atomic_load_explicit(&slot->offset, memory_order_relaxed);
  taken->segment = atomic_load_explicit(&slot->segment, memory_order_relaxed);
  taken->flags = atomic_load_explicit(&slot->flags, memory_order_relaxed);
  taken->epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed);
  taken->pts = atomic_load_explicit(&slot->pts, memory_order_relaxed);
  taken->duration = atomic_load_explicit(&slot->duration, memory_order_relaxed);
  taken->timestamp = atomic_load_explicit(&slot->timestamp, memory_order_relaxed);
  if (!reader->ordered)
    *place_of(reader, f->slot) = (cf_slot_place){ f->slot, taken->segment, taken->offset };
}

__attribute__((hot)) enum cf_take cf_reader_take(cf_frame_reader *reader, uint32_t k, cf_taken *taken,
                                                 bool *must_wake) {
  *must_wake = false;
  found f;
  enum cf_take take = reader->ordered ? take_ordered(reader, k, &f, must_wake) : take_newest(reader, k, &f, taken);
  if (take != CF_TAKE_OK)
    return cf_reader_evicted(reader) ? CF_TAKE_EVICTED : take;
  if (!f.described)
    describe(reader, &f, taken);
  reader->by_slot = !f.described;
  describe_extra(reader, taken);
  if (reader->started)
    reader->skipped += taken->seq - reader->last - 1;
  reader->started = true;
  reader->last = taken->seq;
  reader->delivered++;
  cf_seat *seat = reader->seat;
  atomic_store_explicit(&seat->last_seq, reader->last, memory_order_relaxed);
  atomic_store_explicit(&seat->delivered, reader->delivered, memory_order_relaxed);
  atomic_store_explicit(&seat->skipped, reader->skipped, memory_order_relaxed);
  return CF_TAKE_OK;
}

enum cf_take cf_reader_peek(const cf_frame_reader *reader) {
  if (cf_reader_evicted(reader))
    return CF_TAKE_EVICTED;
  bool ended = cf_reader_ended(reader); /* before the look, as in take_newest() */
  uint64_t w = newest(reader);
  bool none = w == 0 || (reader->started && cf_ref_seq(w) == reader->last);
  return !none ? CF_TAKE_OK : ended ? CF_TAKE_ENDED : CF_TAKE_NONE;
}

__attribute__((hot)) bool cf_reader_complete(const cf_frame_reader *reader, uint32_t slot, uint64_t seq) {
  /* acquire: pairs with the GPU's write behind the picture, or with writer: cf_writer_publish. The slot is pinned, so
   * nothing later than seq can stand there. */
  return atomic_load_explicit(&reader->slots[slot].ready, memory_order_acquire) >= seq;
}

bool cf_reader_fenced(const cf_frame_reader *reader, uint64_t seq) {
  /* pairs with writer: cf_writer_enter_fences, before head */
  uint64_t from = atomic_load_explicit(&reader->seat->fenced_from, memory_order_acquire);
  return from != 0 && seq >= from;
}

void cf_seat_signal_fence(cf_seat *seat, uint32_t slot, uint64_t seq) {
  atomic_store_explicit(cf_seat_fence(seat, slot), seq, memory_order_release); /* pairs with the stream's wait */
}

void cf_seat_signal_fences(cf_seat *seat, uint32_t capacity) {
  for (uint32_t slot = 0; slot < capacity; slot++)
    cf_seat_signal_fence(seat, slot, CF_SEQ_MAX); /* no wait is for a later one */
}

_Atomic uint64_t *cf_seat_released_counter(cf_seat *seat, uint32_t k) {
  return &seat->released[k];
}

bool cf_seat_released(const cf_seat *seat, uint32_t k, uint64_t seq) {
  return atomic_load_explicit(&seat->released[k], memory_order_acquire) == seq; /* pairs with the GPU's write */
}

void cf_reader_warm(cf_seat *seat, uint32_t k) {
  atomic_store_explicit(&seat->lease[k], 0, memory_order_relaxed); /* as it is */
}

__attribute__((hot)) void cf_reader_release(cf_seat *seat, uint32_t k) {
  atomic_store_explicit(&seat->lease[k], 0, memory_order_release); /* pairs with writer: seat_lease */
}

__attribute__((hot)) bool cf_reader_news(const cf_frame_reader *reader, bool started, uint64_t last) {
  uint64_t w = newest(reader);
  return (w != 0 && (!started || cf_ref_seq(w) != last)) || cf_reader_over(reader);
}

__attribute__((hot)) uint32_t cf_reader_prepare_wait(const cf_frame_reader *reader) {
  /* pairs with writer: cf_writer_sleepers. The word is read before the caller's last look at head, and it is moved
   * after head by who then sees the sleeper: a frame that this look misses changes the word. */
  atomic_fetch_add_explicit(&reader->seat->waiting, 1, memory_order_seq_cst);
  return atomic_load_explicit(&reader->control->wake, memory_order_seq_cst);
}

__attribute__((hot)) void cf_reader_end_wait(const cf_frame_reader *reader) {
  atomic_fetch_sub_explicit(&reader->seat->waiting, 1, memory_order_relaxed);
}

uint32_t cf_reader_prepare_packet_wait(const cf_frame_reader *reader, const _Atomic uint32_t *wake) {
  atomic_fetch_add_explicit(&reader->seat->packet_waiting, 1, memory_order_seq_cst);
  return atomic_load_explicit(wake, memory_order_seq_cst);
}

void cf_reader_note_packet_wait(const cf_frame_reader *reader, uint32_t word) {
  /* pairs with frame_writer.c:seat_is_ready */
  atomic_store_explicit(&reader->seat->packet_word, word, memory_order_seq_cst);
}

void cf_reader_end_packet_wait(const cf_frame_reader *reader) {
  atomic_fetch_sub_explicit(&reader->seat->packet_waiting, 1, memory_order_relaxed);
}

void cf_reader_note_packets(const cf_frame_reader *reader, uint64_t read, uint64_t lost) {
  if (read > 0)
    cf_seat_count(&reader->seat->counters[CF_SEAT_PACKETS_READ], read);
  if (lost > 0)
    cf_seat_count(&reader->seat->counters[CF_SEAT_PACKETS_LOST], lost);
}

bool cf_reader_over(const cf_frame_reader *reader) {
  return cf_reader_ended(reader) || cf_reader_evicted(reader);
}

uint32_t cf_reader_segments(const cf_frame_reader *reader, uint32_t *floor) {
  *floor = atomic_load_explicit(&reader->control->segment_floor, memory_order_acquire);
  return atomic_load_explicit(&reader->control->segment_top, memory_order_acquire);
}

uint64_t cf_reader_source(const cf_frame_reader *reader) {
  return atomic_load_explicit(&reader->control->source, memory_order_relaxed); /* all of it is in this word */
}
