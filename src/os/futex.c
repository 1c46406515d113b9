/* os/futex.c - sleeping on a 32-bit word of shared memory. */
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

bool cf_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline) {
  struct timespec at = { .tv_sec = deadline / CF_SECOND, .tv_nsec = deadline % CF_SECOND };
  /* BITSET, because its time-out is absolute on CLOCK_MONOTONIC; not PRIVATE, because processes share the word */
  long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline == CF_NEVER ? NULL : &at, NULL,
                   FUTEX_BITSET_MATCH_ANY);
  return r == 0 || errno != ETIMEDOUT;
}

int cf_futex_wake(const _Atomic uint32_t *word, int count) {
  long r = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
  return r < 0 ? 0 : (int)r;
}
