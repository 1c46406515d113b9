/* exchange/packet_ring.c - encoded packets in shared memory: the sequence lock and what a reader makes of it.
 *
 * Why a packet that was read is whole. Three things in the writer are in this order: (T) tail moves past packet p;
 * (F) a release fence; (W) relaxed stores into p's record or bytes. A reader of p does: (R) relaxed loads of record
 * and bytes; (A) an acquire fence; (C) a load of tail.
 *   - If any R saw a W, then F synchronizes with A (C11 7.17.4), so T happens before C, and C finds tail > p.
 *   - If C finds tail <= p, then no R saw a W: nothing in the copy is newer than p.
 *   - Nothing is older than p either: the reader acquired a head >= p, which was released after p was written.
 * Every access in between is atomic (relaxed, 8 bytes), so there is no data race to be undefined.
 * models/packet_ring.pml goes through all that the memory model allows.
 */
#include "exchange/packet_ring.h"

#include <assert.h>
#include <string.h>

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a reader's mapping is read-only: no locks");
static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "atomics have the plain size");
static_assert(sizeof(cf_packet_record) == 64, "one record, one cache line");
static_assert(offsetof(cf_packet_record, seq) == 0, "layout");
static_assert(offsetof(cf_packet_record, position) == 8, "layout");
static_assert(offsetof(cf_packet_record, size) == 16, "layout");
static_assert(offsetof(cf_packet_record, track) == 20, "layout");
static_assert(offsetof(cf_packet_record, flags) == 24, "layout");
static_assert(offsetof(cf_packet_record, params) == 28, "layout");
static_assert(offsetof(cf_packet_record, pts) == 32, "layout");
static_assert(offsetof(cf_packet_record, dts) == 40, "layout");
static_assert(offsetof(cf_packet_record, duration) == 48, "layout");
static_assert(offsetof(cf_packet_record, reserved) == 56, "layout");
static_assert(sizeof(cf_packet_region) == 128, "records start on a cache line");
static_assert(offsetof(cf_packet_region, magic) == 0, "layout");
static_assert(offsetof(cf_packet_region, layout) == 8, "layout");
static_assert(offsetof(cf_packet_region, slots) == 12, "layout");
static_assert(offsetof(cf_packet_region, data_bytes) == 16, "layout");
static_assert(offsetof(cf_packet_region, data_offset) == 24, "layout");
static_assert(offsetof(cf_packet_region, max_packet) == 32, "layout");
static_assert(offsetof(cf_packet_region, head) == 64, "layout");
static_assert(offsetof(cf_packet_region, tail) == 72, "layout");
static_assert(offsetof(cf_packet_region, keyframe) == 80, "layout");
static_assert(offsetof(cf_packet_region, params) == 88, "layout");
static_assert(offsetof(cf_packet_region, wake) == 92, "layout");

#define WORD 8u
#define CACHE_LINE 64u

static bool numbers_sound(uint32_t slots, uint64_t data_bytes) {
  return slots > 0 && slots <= CF_PACKET_SLOTS_MAX && (slots & (slots - 1)) == 0 && data_bytes > 0 &&
         data_bytes <= CF_PACKET_DATA_MAX && data_bytes % WORD == 0;
}

static uint64_t records_end(uint32_t slots) {
  return sizeof(cf_packet_region) + (uint64_t)slots * sizeof(cf_packet_record);
}

uint64_t cf_packet_region_bytes(uint32_t slots, uint64_t data_bytes) {
  return numbers_sound(slots, data_bytes) ? records_end(slots) + data_bytes : 0;
}

/* `to` is aligned to a word and has room for whole words; `from` is private memory. */
static void store_words(uint8_t *to, const uint8_t *from, uint64_t bytes) {
  _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)to;
  uint64_t value;
  for (; bytes >= WORD; bytes -= WORD, from += WORD) {
    memcpy(&value, from, WORD);
    atomic_store_explicit(word++, value, memory_order_relaxed);
  }
  if (bytes) {
    value = 0;
    memcpy(&value, from, bytes);
    atomic_store_explicit(word, value, memory_order_relaxed);
  }
}

static void load_words(uint8_t *to, const uint8_t *from, uint64_t bytes) {
  const _Atomic uint64_t *word = (const _Atomic uint64_t *)(const void *)from;
  uint64_t value;
  for (; bytes >= WORD; bytes -= WORD, to += WORD) {
    value = atomic_load_explicit(word++, memory_order_relaxed);
    memcpy(to, &value, WORD);
  }
  if (bytes) {
    value = atomic_load_explicit(word, memory_order_relaxed);
    memcpy(to, &value, bytes);
  }
}

bool cf_packet_writer_init(cf_packet_writer *writer, void *memory, uint32_t slots, uint64_t data_bytes,
                           uint64_t max_packet, uint64_t first_seq) {
  if (!numbers_sound(slots, data_bytes) || max_packet == 0 || max_packet > data_bytes || first_seq == 0 ||
      (uintptr_t)memory % CACHE_LINE != 0)
    return false;
  cf_packet_region *region = memory;
  region->magic = CF_PACKET_MAGIC;
  region->layout = CF_PACKET_LAYOUT;
  region->slots = slots;
  region->data_bytes = data_bytes;
  region->data_offset = records_end(slots);
  region->max_packet = max_packet;
  /* Relaxed: nobody has the memory yet. */
  atomic_store_explicit(&region->head, first_seq - 1, memory_order_relaxed);
  atomic_store_explicit(&region->tail, first_seq, memory_order_relaxed);
  *writer = (cf_packet_writer){
    .region = region,
    .records = (cf_packet_record *)(region + 1),
    .data = (uint8_t *)memory + records_end(slots),
    .slots = slots,
    .data_bytes = data_bytes,
    .max_packet = max_packet,
    .head = first_seq - 1,
    .tail = first_seq,
  };
  return true;
}

/* The oldest packet whose slot and bytes both survive a packet `seq` that ends at position `end`; seq if none does.
 * Positions come from the records: they are this thread's own stores and nobody else can write there. */
static uint64_t surviving_tail(const cf_packet_writer *writer, uint64_t seq, uint64_t end) {
  uint64_t tail = writer->tail;
  if (seq - tail >= writer->slots)
    tail = seq - writer->slots + 1;
  for (; tail < seq; tail++) {
    const cf_packet_record *record = &writer->records[tail & (writer->slots - 1)];
    if (end - atomic_load_explicit(&record->position, memory_order_relaxed) <= writer->data_bytes)
      break;
  }
  return tail;
}

uint64_t cf_packet_write(cf_packet_writer *writer, const cf_packet_meta *meta, const void *bytes, bool is_start) {
  uint64_t size = meta->size;
  if (size == 0 || size > writer->max_packet || meta->track >= CUFRAMES_TRACKS_MAX)
    return 0;
  cf_packet_region *region = writer->region;
  uint64_t seq = writer->head + 1;
  uint64_t position = writer->position;
  uint64_t end = position + (size + WORD - 1) / WORD * WORD;

  writer->tail = surviving_tail(writer, seq, end);
  atomic_store_explicit(&region->tail, writer->tail, memory_order_relaxed);
  /* Nothing below is seen before tail has moved. Pairs with the acquire fence in packet_ring.c:cf_packet_read. */
  atomic_thread_fence(memory_order_release);

  cf_packet_record *record = &writer->records[seq & (writer->slots - 1)];
  atomic_store_explicit(&record->seq, seq, memory_order_relaxed);
  atomic_store_explicit(&record->position, position, memory_order_relaxed);
  atomic_store_explicit(&record->size, meta->size, memory_order_relaxed);
  atomic_store_explicit(&record->track, meta->track, memory_order_relaxed);
  atomic_store_explicit(&record->flags, meta->flags, memory_order_relaxed);
  atomic_store_explicit(&record->params, meta->params, memory_order_relaxed);
  atomic_store_explicit(&record->pts, meta->pts, memory_order_relaxed);
  atomic_store_explicit(&record->dts, meta->dts, memory_order_relaxed);
  atomic_store_explicit(&record->duration, meta->duration, memory_order_relaxed);

  uint64_t offset = position % writer->data_bytes;
  uint64_t before_wrap = writer->data_bytes - offset;
  uint64_t first = size < before_wrap ? size : before_wrap;
  store_words(writer->data + offset, bytes, first);
  store_words(writer->data, (const uint8_t *)bytes + first, size - first);

  /* Before head: who sees this head knows of every start packet up to it. Release: who sees this start packet sees
   * head >= seq - 1. Pairs with packet_ring.c:find_start. */
  if (is_start)
    atomic_store_explicit(&region->keyframe, seq, memory_order_release);
  /* The packet is complete for whoever sees this head. Pairs with packet_ring.c:load_head. */
  atomic_store_explicit(&region->head, seq, memory_order_release);
  /* seq_cst: after head and before the caller's look at who sleeps. A sleeper says so, loads this word, looks at head
   * once more and sleeps on the value loaded. Pairs with frame_reader.c:cf_reader_prepare_packet_wait. */
  atomic_fetch_add_explicit(&region->wake, 1, memory_order_seq_cst);
  writer->head = seq;
  writer->position = end;
  return seq;
}

void cf_packet_writer_params(cf_packet_writer *writer, uint32_t generation) {
  /* Pairs with packet_ring.c:cf_packet_reader_params. */
  atomic_store_explicit(&writer->region->params, generation, memory_order_release);
}

void cf_packet_writer_end(cf_packet_writer *writer) {
  /* As in cf_packet_write. Pairs with frame_reader.c:cf_reader_prepare_packet_wait. */
  atomic_fetch_add_explicit(&writer->region->wake, 1, memory_order_seq_cst);
}

uint32_t cf_packet_writer_wake(const cf_packet_writer *writer) {
  /* Compared with what frame_reader.c:cf_reader_note_packet_wait says. */
  return atomic_load_explicit(&writer->region->wake, memory_order_seq_cst);
}

uint32_t cf_packet_reader_params(const cf_packet_reader *reader) {
  /* Pairs with packet_ring.c:cf_packet_writer_params. */
  return atomic_load_explicit(&reader->region->params, memory_order_acquire);
}

/* Pairs with the release store of head in packet_ring.c:cf_packet_write. */
static uint64_t load_head(const cf_packet_reader *reader) {
  return atomic_load_explicit(&reader->region->head, memory_order_acquire);
}

static uint64_t load_tail(const cf_packet_reader *reader) {
  return atomic_load_explicit(&reader->region->tail, memory_order_relaxed);
}

/* OK: *start is the last start packet, after `searched` and whole a moment ago (it may be the packet after head,
 * being written). NONE: there is none up to *end, which is not below the head. */
static enum cf_packet_read find_start(const cf_packet_reader *reader, uint64_t *start, uint64_t *end) {
  uint64_t head = load_head(reader);
  /* After head, so that no start packet up to head is missed. Pairs with the release store in
   * packet_ring.c:cf_packet_write: load_head() now gives at least key - 1. */
  uint64_t key = atomic_load_explicit(&reader->region->keyframe, memory_order_acquire);
  if (head < reader->searched || head == UINT64_MAX || (key > head && key - 1 > load_head(reader)))
    return CF_PACKET_BROKEN;
  *end = key > head ? key : head;
  if (key <= reader->searched || key < load_tail(reader))
    return CF_PACKET_NONE;
  *start = key;
  return CF_PACKET_OK;
}

bool cf_packet_reader_news(const cf_packet_reader *reader) {
  uint64_t start, end;
  return reader->next ? load_head(reader) >= reader->next : find_start(reader, &start, &end) != CF_PACKET_NONE;
}

/* Reads header fields that are not atomic because an honest writer never changes them again: once each. */
#define LOAD_ONCE(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

bool cf_packet_reader_init(cf_packet_reader *reader, const void *memory, uint64_t bytes, bool from_next) {
  const cf_packet_region *region = memory;
  if ((uintptr_t)memory % CACHE_LINE != 0 || bytes < sizeof *region || LOAD_ONCE(region->magic) != CF_PACKET_MAGIC ||
      LOAD_ONCE(region->layout) != CF_PACKET_LAYOUT)
    return false;
  uint32_t slots = LOAD_ONCE(region->slots);
  uint64_t data_bytes = LOAD_ONCE(region->data_bytes);
  uint64_t data_offset = LOAD_ONCE(region->data_offset);
  uint64_t max_packet = LOAD_ONCE(region->max_packet);
  if (!numbers_sound(slots, data_bytes) || max_packet == 0 || max_packet > data_bytes)
    return false;
  if (data_offset % CACHE_LINE != 0 || data_offset < records_end(slots) || data_offset > bytes ||
      data_bytes > bytes - data_offset)
    return false;

  cf_packet_reader fresh = {
    .region = region,
    .records = (const cf_packet_record *)(region + 1),
    .data = (const uint8_t *)memory + data_offset,
    .slots = slots,
    .data_bytes = data_bytes,
    .max_packet = max_packet,
  };
  if (from_next)
    fresh.searched = load_head(&fresh);
  uint64_t start, end;
  switch (find_start(&fresh, &start, &end)) {
    case CF_PACKET_OK:
      fresh.next = start;
      fresh.counted = start - 1;
      break;
    case CF_PACKET_NONE: fresh.searched = from_next ? fresh.searched : end; break;
    default: return false;
  }
  *reader = fresh;
  return true;
}

bool cf_packet_reader_rewind(cf_packet_reader *reader) {
  uint64_t tail = load_tail(reader), head = load_head(reader);
  if (tail == 0 || head == UINT64_MAX)
    return false;
  /* The tail is loaded without an order: it may be newer than the head that we see. */
  reader->next = tail <= head ? tail : head + 1;
  reader->counted = reader->next - 1;
  reader->from_oldest = true;
  return true;
}

/* Packet reader->next is gone, and every packet is a place to start: what is still whole is still of use. */
static enum cf_packet_read overrun_to_oldest(cf_packet_reader *reader, uint64_t *lost) {
  uint64_t gone = reader->next, counted = reader->counted;
  if (!cf_packet_reader_rewind(reader) || reader->next <= gone) /* a tail never goes back */
    return CF_PACKET_BROKEN;
  *lost = reader->counted - counted;
  return CF_PACKET_OVERRUN;
}

/* Packet reader->next is gone. */
static enum cf_packet_read overrun(cf_packet_reader *reader, uint64_t *lost) {
  uint64_t start, end;
  if (reader->from_oldest)
    return overrun_to_oldest(reader, lost);
  reader->searched = reader->next;
  switch (find_start(reader, &start, &end)) {
    case CF_PACKET_OK:
      reader->next = start;
      end = start - 1;
      break;
    case CF_PACKET_NONE:
      reader->next = 0;
      reader->searched = end;
      break;
    default: return CF_PACKET_BROKEN;
  }
  *lost = end - reader->counted;
  reader->counted = end;
  return CF_PACKET_OVERRUN;
}

/* Loads a record and says where its bytes are. False if no honest writer writes this as packet `seq`. */
static bool load_record(const cf_packet_reader *reader, uint64_t seq, cf_packet_meta *meta, uint64_t *offset) {
  const cf_packet_record *record = &reader->records[seq & (reader->slots - 1)];
  uint64_t position = atomic_load_explicit(&record->position, memory_order_relaxed);
  *offset = position % reader->data_bytes;
  meta->seq = atomic_load_explicit(&record->seq, memory_order_relaxed);
  meta->size = atomic_load_explicit(&record->size, memory_order_relaxed);
  meta->track = atomic_load_explicit(&record->track, memory_order_relaxed);
  meta->flags = atomic_load_explicit(&record->flags, memory_order_relaxed);
  meta->params = atomic_load_explicit(&record->params, memory_order_relaxed);
  meta->pts = atomic_load_explicit(&record->pts, memory_order_relaxed);
  meta->dts = atomic_load_explicit(&record->dts, memory_order_relaxed);
  meta->duration = atomic_load_explicit(&record->duration, memory_order_relaxed);
  return meta->seq == seq && meta->size > 0 && meta->size <= reader->max_packet && meta->track < CUFRAMES_TRACKS_MAX &&
         position % WORD == 0;
}

enum cf_packet_read cf_packet_read(cf_packet_reader *reader, void *buffer, size_t capacity, cf_packet_meta *meta,
                                   uint64_t *lost) {
  *lost = 0;
  if (reader->next == 0) {
    uint64_t start, end;
    enum cf_packet_read found = find_start(reader, &start, &end);
    if (found != CF_PACKET_OK)
      return found;
    reader->next = start;
    if (reader->counted == 0) /* a reader that has not begun loses nothing */
      reader->counted = start - 1;
  }
  uint64_t seq = reader->next;
  uint64_t head = load_head(reader);
  if (head < seq - 1 || head == UINT64_MAX) /* a head that was seen was at least seq - 1 */
    return CF_PACKET_BROKEN;
  if (head < seq)
    return CF_PACKET_NONE;
  if (load_tail(reader) > seq) /* only to spare the copy */
    return overrun(reader, lost);

  cf_packet_meta copy;
  uint64_t offset;
  bool sound = load_record(reader, seq, &copy, &offset);
  bool fits = sound && copy.size <= capacity;
  if (fits) {
    uint64_t before_wrap = reader->data_bytes - offset;
    uint64_t first = copy.size < before_wrap ? copy.size : before_wrap;
    load_words(buffer, reader->data + offset, first);
    load_words((uint8_t *)buffer + first, reader->data, copy.size - first);
  }
  /* If anything read above was newer than the packet, tail has moved past it. Pairs with the release fence in
   * packet_ring.c:cf_packet_write. */
  atomic_thread_fence(memory_order_acquire);
  if (load_tail(reader) > seq)
    return overrun(reader, lost);
  if (!sound)
    return CF_PACKET_BROKEN;
  *meta = copy;
  if (!fits)
    return CF_PACKET_SMALL;
  *lost = seq - 1 - reader->counted;
  reader->counted = seq;
  reader->next = seq + 1;
  return CF_PACKET_OK;
}
