/* exchange/latency.h - how long frames are on their way, from being published to being taken: counted by each
 * subscriber in its own seat, where the publisher looks when somebody asks. */
#ifndef CF_EXCHANGE_LATENCY_H
#define CF_EXCHANGE_LATENCY_H

#include "exchange/layout.h"

#define CF_LATENCY_BOUNDS 16u

/* The longest time of each bucket, ns, as people read it: few steps, and closer where a network of cameras lives. */
static const int64_t cf_latency_bounds[CF_LATENCY_BOUNDS] = { 50000,     100000,     250000,     500000,
                                                              1000000,   2500000,    5000000,    10000000,
                                                              25000000,  50000000,   100000000,  250000000,
                                                              500000000, 1000000000, 2500000000, INT64_MAX };

/* The bucket of a time; one of clocks that differ (a time namespace) may be negative, and counts as none. Between two
 * powers of two lies one bound at most, so that it is found in the same few steps for every time: what a frame costs
 * (bench/costs) does not hang on how long it took. */
static inline uint32_t cf_latency_bucket(int64_t ns) {
  /* by the number of binary digits: the first bucket whose bound has as many */
  static const uint8_t first[65] = { 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
                                     1,  2,  3,  4,  5,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 14, 15,
                                     15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
                                     15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15 };
  const uint64_t time = ns > 0 ? (uint64_t)ns : 0;
  const uint32_t bucket = first[64 - __builtin_clzll(time | 1)];
  return bucket + (ns > cf_latency_bounds[bucket]);
}

/* The subscriber alone writes it, so that no locked addition is needed. */
static inline void cf_seat_count(_Atomic uint64_t *counter, uint64_t more) {
  const uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, before + more, memory_order_relaxed);
}

/* By the subscriber, of a frame that it has taken, and of those before it that it took no time of. */
static inline void cf_seat_note_latency(cf_seat *seat, int64_t ns, uint32_t frames) {
  cf_seat_count(&seat->latency_sum, ns > 0 ? (uint64_t)ns * frames : 0); /* in a line that is written anyway */
  cf_seat_count(&seat->counters[cf_latency_bucket(ns)], frames);
}

/* By the publisher. They may be a frame apart, or anything that the subscriber likes. */
static inline void cf_seat_read_counters(const cf_seat *seat, uint64_t counters[CF_SEAT_COUNTED], uint64_t *sum) {
  *sum = atomic_load_explicit(&seat->latency_sum, memory_order_relaxed);
  for (uint32_t i = 0; i < CF_SEAT_COUNTED; i++)
    counters[i] = atomic_load_explicit(&seat->counters[i], memory_order_relaxed);
}

/* What a seat may say of the time of all its frames: none was on its way for longer than there is a stream. A stream
 * of 25 frames per second is past 64 bits of ns after eight hours: from then on anything is believed. */
static inline uint64_t cf_latency_sum_within(uint64_t sum, uint64_t frames, uint64_t age) {
  uint64_t longest;
  return __builtin_mul_overflow(frames, age, &longest) || sum < longest ? sum : longest;
}

/* Stays at the most there is, since it may not become smaller. */
static inline uint64_t cf_latency_sum_add(uint64_t sum, uint64_t more) {
  return sum + more < sum ? UINT64_MAX : sum + more;
}

static_assert(CF_LATENCY_BOUNDS == CF_SEAT_PACKETS_READ, "they fit");

#endif
