/* exchange_support.h - what the tests of the frame exchange share: a publisher's side on the heap with its slots'
 * memory, seats, and frames whose every word says which frame it belongs to. */
#ifndef EXCHANGE_SUPPORT_H
#define EXCHANGE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/frame_reader.h"
#include "exchange/frame_writer.h"

enum { FRAME_WORDS = 64, FRAME_BYTES = FRAME_WORDS * 8 };

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state) {
  uint64_t x = *state += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

static inline uint32_t random_below(uint64_t *state, uint32_t limit) {
  return (uint32_t)((random_next(state) >> 32) * limit >> 32);
}

/* Plain memory, as pixels are: the exchange alone orders who writes and who reads it. */
static inline void frame_fill(uint64_t *words, uint64_t seq) {
  for (uint64_t i = 0; i < FRAME_WORDS; i++)
    words[i] = seq * 0x9E3779B97F4A7C15ull ^ (i + 1) * 0xC2B2AE3D27D4EB4Full;
}

static inline bool frame_whole(const uint64_t *words, uint64_t seq) {
  bool whole = true;
  for (uint64_t i = 0; i < FRAME_WORDS; i++)
    whole = whole && words[i] == (seq * 0x9E3779B97F4A7C15ull ^ (i + 1) * 0xC2B2AE3D27D4EB4Full);
  return whole;
}

static inline void *zeroed(size_t bytes) {
  void *memory;
  if (posix_memalign(&memory, 64, bytes) != 0)
    abort();
  return memset(memory, 0, bytes);
}

/* A publisher's side: gives its control page, on the heap, with *run on offer if it has slots. */
static inline cf_control *writer_open(cf_frame_writer *writer, cf_slot_note *notes, uint32_t capacity,
                                      uint64_t first_seq, cf_slot_run *run) {
  cf_control *control = zeroed(cf_control_bytes(capacity));
  cf_writer_init(writer, control, capacity, notes, 77, first_seq);
  if (run->count > 0) {
    cf_writer_offer(writer, run);
    cf_writer_adopt(writer);
  }
  return control;
}

/* A seat that nobody looks at any more. */
static inline void seat_leave(cf_frame_writer *writer, cf_writer_seat *seat) {
  assert_true(cf_writer_quiescent(writer, seat, cf_writer_remove_seat(writer, seat)));
  free(seat->page);
}

/* Runs wait to be collected. */
static inline bool has_emptied(cf_frame_writer *writer) {
  return atomic_load(&writer->emptied) != NULL;
}

#endif
