/* os/futex.c - sleeping on a 32-bit word of shared memory. */
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

__attribute__((hot)) bool cf_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline) {
  struct timespec at = { .tv_sec = deadline / CF_SECOND, .tv_nsec = deadline % CF_SECOND };
  /* BITSET, because its time-out is absolute on CLOCK_MONOTONIC; not PRIVATE, because processes share the word */
  long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline == CF_NEVER ? NULL : &at, NULL,
                   FUTEX_BITSET_MATCH_ANY);
  return r == 0 || errno != ETIMEDOUT;
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* on every architecture */
#endif

/* The kernel's struct futex_waitv, which older headers lack. */
struct waiter {
  uint64_t expected, address;
  uint32_t flags, reserved;
};
#define WORD_OF_32_BITS 2u

unsigned cf_futex_most(void) {
  static cf_flag known;
  if (cf_flag_get(&known) == 0) { /* no word at all is INVALID, where the call is known and allowed */
    bool many = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == EINVAL;
    cf_flag_set(&known, many ? CF_FUTEX_MANY : 1);
  }
  return cf_flag_get(&known);
}

void cf_futex_wait_any(const cf_futex_pair *pairs, unsigned count, int64_t deadline) {
  struct waiter waiters[CF_FUTEX_MANY];
  struct timespec at = { .tv_sec = deadline / CF_SECOND, .tv_nsec = deadline % CF_SECOND };
  if (count == 1) {
    (void)cf_futex_wait(pairs[0].word, pairs[0].expected, deadline);
    return;
  }
  for (unsigned i = 0; i < count; i++)
    waiters[i] =
        (struct waiter){ .expected = pairs[i].expected, .address = (uintptr_t)pairs[i].word, .flags = WORD_OF_32_BITS };
  long r = syscall(SYS_futex_waitv, waiters, count, 0, deadline == CF_NEVER ? NULL : &at, CLOCK_MONOTONIC);
  if (r < 0 && (errno == ENOSYS || errno == EPERM)) { /* a sandbox that came later: look every millisecond */
    int64_t soon = cf_now() + CF_MS;
    (void)cf_futex_wait(pairs[0].word, pairs[0].expected, soon < deadline ? soon : deadline);
  }
}

__attribute__((hot)) int cf_futex_wake(const _Atomic uint32_t *word, int count) {
  long r = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
  return r < 0 ? 0 : (int)r;
}
