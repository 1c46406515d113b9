/* support/scribble.c - what a hostile subscriber writes over its seat. */
#include "support/scribble.h"

#include <fcntl.h>
#include <sys/mman.h>

static uint64_t dice(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

/* ---- what is written; each once, and again and again ---- */

static void anything_anywhere(const raw_seat *raw) {
  _Atomic uint32_t *words = (_Atomic uint32_t *)(void *)raw->seat;
  atomic_store(&words[dice() % (sizeof *raw->seat / 4)], (uint32_t)(dice() >> 13));
}

static void leases_on_every_slot(const raw_seat *raw) {
  uint64_t seq = cf_ref_seq(atomic_load(&raw->control->head));
  atomic_store(&raw->seat->lease[dice() % CF_LEASES_MAX], cf_ref(seq - dice() % 3, (uint32_t)(dice() % 64)));
}

static void leases_that_cannot_be(const raw_seat *raw) {
  static const uint64_t words[] = { 1, 0xffff, UINT64_MAX, UINT64_C(1) << 63, 0x10000, 0xffff0000 };
  uint64_t k = dice() % CF_LEASES_MAX;
  atomic_store(&raw->seat->lease[k], words[dice() % 6]);
  atomic_store(&raw->seat->released[k], dice() % 2 ? words[dice() % 6] >> 16 : dice());
}

static void leases_given_back_and_not(const raw_seat *raw) {
  uint64_t k = dice() % SCRIBBLE_LEASES, word = atomic_load(&raw->control->head);
  atomic_store(&raw->seat->lease[k], word);
  atomic_store(&raw->seat->released[k], cf_ref_seq(word));
  atomic_store(&raw->seat->released[k], 0);
}

static void sleepers_without_number(const raw_seat *raw) {
  atomic_store(&raw->seat->waiting, (uint32_t)dice() | 1);
  atomic_store(&raw->seat->packet_waiting, UINT32_MAX);
}

static void cursors_everywhere(const raw_seat *raw) {
  uint64_t seq = cf_ref_seq(atomic_load(&raw->control->head));
  const uint64_t cursors[] = { 0, 1, seq, seq - 1, seq + 1, CF_SEQ_MAX, CF_CURSOR_NONE - 1, CF_CURSOR_NONE, dice() };
  atomic_store(&raw->seat->cursor, cursors[dice() % 9]);
  atomic_fetch_add(&raw->seat->room, (uint32_t)(dice() % 3));
}

static void a_cursor_that_stays(const raw_seat *raw) {
  atomic_store(&raw->seat->cursor, 0);
  atomic_store(&raw->seat->state, CF_SEAT_ACTIVE); /* it was never put out, it says */
  atomic_store(&raw->seat->publisher_waits, (uint32_t)dice());
}

static void a_word_that_never_stands_still(const raw_seat *raw) {
  atomic_store(&raw->seat->cursor, 0);
  atomic_fetch_add(&raw->seat->room, 1);
}

static void holes(const raw_seat *raw) {
  (void)fallocate(raw->seat_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)raw->welcome.seat_bytes);
  (void)madvise(raw->seat, raw->welcome.seat_bytes, MADV_REMOVE);
  atomic_store(&raw->seat->lease[0], UINT64_MAX);
}

const scribble_style scribble_styles[SCRIBBLE_STYLES] = {
  { anything_anywhere, CUFRAMES_MODE_NEWEST, false },
  { leases_on_every_slot, CUFRAMES_MODE_NEWEST, false },
  { leases_that_cannot_be, CUFRAMES_MODE_NEWEST, false },
  { leases_given_back_and_not, CUFRAMES_MODE_NEWEST, false },
  { sleepers_without_number, CUFRAMES_MODE_NEWEST, false },
  { holes, CUFRAMES_MODE_NEWEST, false },
  { anything_anywhere, CUFRAMES_MODE_ORDERED, false },
  { cursors_everywhere, CUFRAMES_MODE_ORDERED, false },
  { holes, CUFRAMES_MODE_ORDERED, false },
  { a_cursor_that_stays, CUFRAMES_MODE_ORDERED, true },
  { a_word_that_never_stands_still, CUFRAMES_MODE_ORDERED, true },
};
