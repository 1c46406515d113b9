/* os/futex.h - sleeping on a 32-bit word of shared memory, and small private flags and counters.
 *
 * This wrapper is the one place beside src/exchange where atomics may stand.
 */
#ifndef CF_OS_FUTEX_H
#define CF_OS_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleeps while *word is `expected`, until a wake or the absolute deadline (CF_NEVER: none). May return early.
 * The word may be mapped read-only. False when the deadline passed. */
bool cf_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);

/* Wakes up to `count` sleepers of all processes; gives how many. */
int cf_futex_wake(const _Atomic uint32_t *word, int count);

static inline uint32_t cf_futex_load(const _Atomic uint32_t *word) {
  return atomic_load(word);
}

/* A word, and what it is while one may sleep. */
typedef struct cf_futex_pair {
  const _Atomic uint32_t *word;
  uint32_t expected;
} cf_futex_pair;

/* On so many words a thread can sleep at once: CF_FUTEX_MANY, or 1 before Linux 5.16. */
#define CF_FUTEX_MANY 128u
unsigned cf_futex_most(void);
/* As cf_futex_wait(), on `count` words, at most cf_futex_most(): ends when one of them moves. */
void cf_futex_wait_any(const cf_futex_pair *pairs, unsigned count, int64_t deadline);

/* A flag or counter shared by the threads of this process; sequentially consistent; async-signal-safe. */
typedef struct cf_flag {
  _Atomic uint32_t value;
} cf_flag;

static inline void cf_flag_set(cf_flag *flag, uint32_t value) {
  atomic_store(&flag->value, value);
}
/* The same for what is handed over, where nothing that is read next depends on who has seen it. */
static inline void cf_flag_hand_over(cf_flag *flag, uint32_t value) {
  atomic_store_explicit(&flag->value, value, memory_order_release);
}
static inline uint32_t cf_flag_get(const cf_flag *flag) {
  return atomic_load(&flag->value);
}
/* Sets it and gives what it was. */
static inline uint32_t cf_flag_swap(cf_flag *flag, uint32_t value) {
  return atomic_exchange(&flag->value, value);
}
/* Adds and gives the new value. */
static inline uint32_t cf_flag_add(cf_flag *flag, int32_t change) {
  return atomic_fetch_add(&flag->value, (uint32_t)change) + (uint32_t)change;
}

/* Takes one away unless it is 0, and gives what it was. */
static inline uint32_t cf_flag_take(cf_flag *flag) {
  uint32_t before = atomic_load(&flag->value);
  while (before != 0 && !atomic_compare_exchange_weak(&flag->value, &before, before - 1))
    ;
  return before;
}
/* Sets it if it is *from; else *from becomes what it is. */
static inline bool cf_flag_change(cf_flag *flag, uint32_t *from, uint32_t to) {
  return atomic_compare_exchange_strong(&flag->value, from, to);
}
/* Adds one unless it is 0, and gives what it was. */
static inline uint32_t cf_flag_join(cf_flag *flag) {
  uint32_t before = atomic_load(&flag->value);
  while (before != 0 && !atomic_compare_exchange_weak(&flag->value, &before, before + 1))
    ;
  return before;
}

/* A number that others read for people to look at. */
typedef struct cf_counter {
  _Atomic uint64_t value;
} cf_counter;

static inline void cf_counter_add(cf_counter *counter, uint64_t change) {
  atomic_fetch_add_explicit(&counter->value, change, memory_order_relaxed);
}
/* Adds one; of the one thread that does. */
static inline void cf_counter_count(cf_counter *counter) {
  atomic_store_explicit(&counter->value, atomic_load_explicit(&counter->value, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}
static inline void cf_counter_set(cf_counter *counter, uint64_t value) {
  atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}
static inline uint64_t cf_counter_get(const cf_counter *counter) {
  return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* Stores a word of shared memory in a GPU's stead: whoever sees it sees what was written before. */
static inline void cf_counter_store(void *word, uint64_t value) {
  atomic_store_explicit((_Atomic uint64_t *)word, value, memory_order_release);
}

/* Loads one that a GPU of this process writes: what it did before is done. */
static inline uint64_t cf_counter_load(const void *word) {
  return atomic_load_explicit((const _Atomic uint64_t *)word, memory_order_acquire);
}

/* One turn of a spin loop: tells the processor so. */
static inline void cf_spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
