/* fuzz_control_page.c - a subscriber and the memory it shares with its publisher. The input is a little program:
 * publish, take, look, wait, and in the hostile half changes to control page and seat, also in the middle of a call:
 * before any of the reader's loads. An honest publisher's frames must come as promised; with a hostile one the reader
 * must stay inside its memory, come back, and never hand out what cannot be.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/frame_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reader's loads, each of which the publisher may precede. */
static void before_load(void);
#define LOADED(...)                                                                                                    \
  __extension__({                                                                                                      \
    before_load();                                                                                                     \
    __VA_ARGS__;                                                                                                       \
  })
#define HOOKED_LOAD(p, order) LOADED(__c11_load(p, order))
#ifdef __clang__
#define __c11_load(p, order) __c11_atomic_load(p, order)
#else
#define __c11_load(p, order)                                                                                           \
  __extension__({                                                                                                      \
    __typeof__((void)0, *(p)) loaded_;                                                                                 \
    __atomic_load((p), &loaded_, (order));                                                                             \
    loaded_;                                                                                                           \
  })
#endif
#undef atomic_load_explicit
#define atomic_load_explicit(p, order) HOOKED_LOAD(p, order)
#include "../src/exchange/frame_reader.c"

enum { LEASES = 4, SLOTS = 16, LOOKS = 400 };

static struct world {
  const uint8_t *data;
  size_t size;
  bool honest, ordered, storm, patient;
  uint32_t capacity, depth, looks;
  uint64_t bytes;
  uint64_t *page, *seat_words;
  cf_control *control;
  cf_seat *seat;
  cf_frame_writer writer;
  cf_slot_note notes[64];
  cf_slot_run run;
  cf_writer_seat writer_seat;
  cf_frame_reader reader;
  cf_taken held[LEASES];
  bool in_hand[LEASES];
} w;

static void require(bool holds) {
  if (!holds)
    abort();
}

static uint8_t take_byte(void) {
  if (w.size == 0)
    return 0;
  w.size--;
  return *w.data++;
}

static uint64_t take_word(void) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++)
    word = word << 8 | take_byte();
  return word;
}

/* ---- what a hostile publisher does ---- */

static void store(uint64_t *words, uint64_t bytes, uint64_t at, uint64_t value) {
  __atomic_store_n(&words[at % (bytes / 8)], value, __ATOMIC_SEQ_CST);
}

/* A word as a liar would choose it: of a frame the reader may want, in a slot there may be. */
static uint64_t likely_word(void) {
  uint8_t b = take_byte();
  return cf_ref(w.reader.last + (b & 7) - 2, b & 8 ? take_byte() * 257u : (b >> 4) % (w.capacity + 1));
}

static void change(uint8_t how) {
  uint64_t want = w.reader.last + 1, word;
  switch (how % 8) {
    case 0: store(w.page, w.bytes, take_word(), take_word()); break;
    case 1: store(w.seat_words, sizeof *w.seat, take_byte(), take_word()); break;
    case 2: atomic_store(&w.control->head, likely_word()); break;
    case 3: store(w.page, w.bytes, sizeof(cf_control) / 8 + (want & (w.capacity - 1)), likely_word()); break;
    case 4: /* a frame that might be there */
      word = cf_ref(want, take_byte() % w.capacity);
      atomic_store(&w.writer.slots[cf_ref_slot(word)].seq, want);
      store(w.page, w.bytes, sizeof(cf_control) / 8 + (want & (w.capacity - 1)), word);
      atomic_store(&w.control->head, word);
      break;
    case 5: atomic_store(&w.control->state, take_byte() % 4); break;
    case 6: atomic_store(&w.seat->state, take_byte() % 4); break;
    default:
      if (how & 16) /* the record is said to be of a frame that might be taken */
        atomic_store(&w.control->newest_mark, cf_newest_mark(cf_ref_seq(w.control->head), 0) | (how >> 5));
      else
        atomic_store(&w.control->head, how & 8 ? 0 : take_word());
  }
}

/* Ends what would go on as long as the publisher lies; the patient see that it ends by itself, too. */
static void before_load(void) {
  if (w.honest)
    return;
  if (++w.looks > LOOKS && !w.patient)
    atomic_store(&w.control->head, 0);
  uint8_t b = w.storm ? take_byte() : 0;
  if (b & 1)
    change(b >> 1);
}

/* ---- the reader's calls ---- */

static void take_frame(uint32_t k) {
  cf_taken taken;
  bool must_wake;
  uint64_t last = w.reader.last, skipped = w.reader.skipped;
  bool started = w.reader.started;
  if (w.in_hand[k]) {
    if (w.honest) /* what is in hand stays what it was */
      require(w.writer.slots[w.held[k].slot].seq == w.held[k].seq);
    cf_reader_release(w.seat, k);
    w.in_hand[k] = false;
  }
  enum cf_take told = w.honest ? cf_reader_peek(&w.reader) : CF_TAKE_OK;
  enum cf_take took = cf_reader_take(&w.reader, k, &taken, &must_wake);
  require(took >= CF_TAKE_OK && took <= CF_TAKE_BROKEN);
  require(!w.honest || took == told);
  if (took != CF_TAKE_OK) {
    require(w.reader.last == last && w.reader.skipped == skipped);
    return;
  }
  require(taken.slot < w.capacity && taken.seq > 0 && taken.seq <= CF_SEQ_MAX);
  require(!started || (w.ordered ? taken.seq == last + 1 : taken.seq > last));
  require(!started || w.reader.skipped - skipped == taken.seq - last - 1);
  if (w.honest) {
    require(w.seat->lease[k] == cf_ref(taken.seq, taken.slot) && taken.segment == 1 && taken.pts == (int64_t)taken.seq);
    bool extra = taken.pts % 3 == 0;
    require(taken.capture_time == (extra ? (uint32_t)taken.pts | 1 : INT64_MIN) &&
            taken.side_bytes == (extra ? (uint32_t)taken.pts | 1 : 0));
    require(taken.offset % 64 == 0 && taken.offset / 64 < SLOTS && (w.ordered || taken.seq == w.writer.seq));
  }
  w.held[k] = taken;
  w.in_hand[k] = true;
}

static void look(uint8_t how) {
  _Atomic uint32_t word = 7;
  switch (how % 6) {
    case 0: (void)cf_reader_news(&w.reader, how & 8, how & 16 ? w.reader.last : take_byte()); break;
    case 1:
      (void)cf_reader_prepare_wait(&w.reader);
      cf_reader_end_wait(&w.reader);
      break;
    case 2:
      require(cf_reader_prepare_packet_wait(&w.reader, &word) == 7);
      cf_reader_end_packet_wait(&w.reader);
      break;
    case 3: (void)cf_reader_segments(&w.reader, &(uint32_t){ 0 }); break;
    case 4: (void)(cf_reader_ended(&w.reader) || cf_reader_over(&w.reader)); break;
    default: (void)cf_reader_peek(&w.reader);
  }
}

/* ---- the publisher's calls, which see the same seat ---- */

static void publish(void) {
  uint32_t room;
  cf_writer_seat *full = cf_writer_enter_full(&w.writer);
  if (full) {
    require(full == &w.writer_seat);
    bool still = cf_writer_seat_full(&w.writer, full, &room);
    cf_writer_leave(&w.writer);
    if (still)
      return;
  }
  uint32_t slot = cf_writer_acquire(&w.writer);
  require(!w.honest || slot != CF_NO_SLOT);
  if (slot == CF_NO_SLOT)
    return;
  require(slot < w.capacity);
  cf_frame_meta meta = { .pts = (int64_t)w.writer.seq + 1 };
  if (meta.pts % 3 == 0) /* it has an extra */
    meta.capture_time = meta.side_bytes = (uint32_t)meta.pts | 1;
  (void)cf_writer_publish(&w.writer, slot, &meta, true);
  (void)cf_writer_sleepers(&w.writer);
}

static void step(uint8_t op) {
  if (w.looks > LOOKS) /* one long call is enough */
    w.patient = false;
  w.looks = 0;
  switch (op & 7) {
    case 0:
    case 1: publish(); break;
    case 2:
    case 3: take_frame(op >> 3 & (LEASES - 1)); break;
    case 4: look(op >> 3); break;
    case 5:
      cf_reader_release(w.seat, op >> 3 & (LEASES - 1));
      w.in_hand[op >> 3 & (LEASES - 1)] = false;
      break;
    case 6: w.storm = op & 8; break;
    default:
      if (!w.honest)
        change(op >> 3);
      else if (op == 0xff)
        cf_writer_end(&w.writer);
  }
}

static bool begin(void) {
  bool must_wake;
  cf_writer_init(&w.writer, w.page, w.capacity, w.notes, 77, 1 + take_byte() % 4 * UINT64_C(0x3fffffffff));
  cf_writer_offer(&w.writer, &w.run);
  cf_writer_adopt(&w.writer);
  for (uint8_t n = take_byte() % 8; n > 0; n--)
    publish();
  require(cf_writer_add_seat(&w.writer, &w.writer_seat));
  for (uint8_t n = w.honest ? 0 : take_byte() % 4; n > 0; n--) /* lies in the head of the page, or anywhere */
    store(w.page, n & 1 ? 64 : w.bytes, take_byte(), n & 2 ? take_word() : take_byte());
  uint64_t said = w.honest || take_byte() % 8 ? w.bytes : take_word() % (w.bytes + 1);
  bool sound = cf_reader_init(&w.reader, w.page, said, w.seat, w.ordered) && cf_reader_begin(&w.reader, &must_wake);
  require(sound || !w.honest);
  return sound;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  memset(&w, 0, sizeof w);
  w.data = data;
  w.size = size;
  uint8_t kind = take_byte();
  w.honest = kind & 1;
  w.ordered = kind & 2;
  w.patient = (kind & 0xf0) == 0xf0;
  w.capacity = kind & 4 ? 64 : 16;
  w.depth = w.ordered ? 1 + (kind >> 3 & 3) : 0;
  w.bytes = cf_control_bytes(w.capacity); /* exactly, so that one byte too many is seen */
  w.run = (cf_slot_run){ .segment = 1, .count = SLOTS, .stride = 64 };
  if (posix_memalign((void **)&w.page, 64, w.bytes) != 0 || posix_memalign((void **)&w.seat_words, 64, sizeof *w.seat))
    abort();
  memset(w.page, 0, w.bytes);
  memset(w.seat_words, 0, sizeof *w.seat);
  w.control = (cf_control *)w.page;
  w.seat = (cf_seat *)w.seat_words;
  w.writer_seat = (cf_writer_seat){ .page = w.seat, .leases = LEASES, .depth = w.depth };
  if (begin())
    while (w.size > 0)
      step(take_byte());
  w.honest = true; /* no more changes */
  if (w.reader.control)
    (void)cf_reader_leave(&w.reader);
  free(w.page);
  free(w.seat_words);
  return 0;
}
