/* os/lock.c - the locks on the path of a frame, when somebody has to wait for one. */
#include "os/lock.h"

#include "os/clock.h"
#include "os/futex.h"

__attribute__((cold)) void cf_lock_wait(cf_lock *lock) {
  /* Who comes here takes it as AWAITED, also if nobody else waits: who gives it back then wakes once too often. So no
   * sleeper is forgotten: each one that is woken sleeps again only after it has left the word so, or has the lock. */
  while (atomic_exchange_explicit(&lock->word, CF_LOCK_AWAITED, memory_order_acquire) != CF_LOCK_FREE)
    (void)cf_futex_wait(&lock->word, CF_LOCK_AWAITED, CF_NEVER);
}

__attribute__((cold)) void cf_lock_wake(cf_lock *lock) {
  (void)cf_futex_wake(&lock->word, 1); /* of memory that is gone, this wakes nobody or somebody who looks again */
}
