/* os/lock.h - the locks on the path of a frame: a word, taken and given back in place. Between the threads of one
 * process; not recursive. What a pthread_mutex_t costs beside it is code and data in other places, which have cooled
 * down between two frames: seven cache lines and fifty instructions each time. Other locks are mutexes.
 */
#ifndef CF_OS_LOCK_H
#define CF_OS_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* Zeroed: free. Nothing is to be freed. */
typedef struct cf_lock {
  _Atomic uint32_t word; /* enum cf_lock_word */
} cf_lock;

enum cf_lock_word {
  CF_LOCK_FREE,
  CF_LOCK_TAKEN,
  CF_LOCK_AWAITED /* taken, and somebody sleeps on it, or is about to */
};

/* For those below. */
void cf_lock_wait(cf_lock *lock);
void cf_lock_wake(cf_lock *lock);

static inline void cf_lock_take(cf_lock *lock) {
  uint32_t expected = CF_LOCK_FREE;
  /* acquire: pairs with cf_lock_give */
  if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&lock->word, &expected, CF_LOCK_TAKEN,
                                                                memory_order_acquire, memory_order_relaxed),
                       0))
    cf_lock_wait(lock);
}

/* The lock may be gone as soon as another thread can take it: it is not looked at any more. */
static inline void cf_lock_give(cf_lock *lock) {
  /* release: pairs with cf_lock_take and cf_lock_wait */
  if (__builtin_expect(atomic_exchange_explicit(&lock->word, CF_LOCK_FREE, memory_order_release) == CF_LOCK_AWAITED, 0))
    cf_lock_wake(lock);
}

#endif
