/* batch/batch.h - many subscribers served by one thread: the set (batch.c), and next() (next.c).
 *
 * Who has something new is found by looking, who has not is slept for; what is taken is taken last. Not everybody is
 * slept for: of u members without news and k that are still needed, any u - k + 1 are enough, since fewer than k of the
 * others cannot make it up. When all are needed that is one at a time, and a batch of 64 is complete after a few sleeps
 * and not after 64; the publishers of the others find nobody to wake.
 */
#ifndef CF_BATCH_BATCH_H
#define CF_BATCH_BATCH_H

#include <pthread.h>

#include <cuframes/batch.h>

#include "subscriber/member.h"

/* A member as the present call of next() knows it. */
enum cf_batch_state {
  CF_BATCH_UNKNOWN, /* must be looked at */
  CF_BATCH_READY,   /* has a frame, or an error to say */
  CF_BATCH_NOTHING, /* has not, and nobody waits for it */
  CF_BATCH_WAITS    /* it is waited for */
};

typedef struct cf_batch_member {
  cuframes_subscriber *subscriber; /* NULL: this place is free */
  void *user;
  enum cf_batch_state state;
  bool delegated;      /* a thread of the library waits for it */
  bool over;           /* its last words were said */
  bool full;           /* at the last look its leases were in hand */
  bool alive;          /* it has nothing, and is worth waiting for (CUFRAMES_BATCH_ALIVE) */
  int error;           /* to be said; 0: none */
  int said;            /* the last one that was, since its last frame */
  uint32_t call;       /* of next() that gave its last entry */
  int64_t look_at;     /* not before that moment, since an error that was said may last; 0: at any */
  int64_t since;       /* its last frame was taken then, or its connection made */
  uint64_t connection; /* cf_member_connection() then */
  cf_futex_pair pair;  /* while it waits and is not delegated */
} cf_batch_member;

struct cuframes_batch {
  uint32_t maker; /* os/process.h */
  int64_t quiet_ns;
  cf_bell bell; /* whoever has something for who sleeps in next() rings */
  cf_flag interruptions;
  int doorbell; /* behind cuframes_batch_fd(); -1: none. Of the thread that calls next() */

  pthread_mutex_t lock; /* what follows; it is not held in the sleep */
  pthread_cond_t changed;
  bool inside;       /* a thread is in next() */
  bool asleep;       /* and sleeps: it must not find a member gone under its feet */
  uint32_t removing; /* threads that wait for it to let go */
  cf_batch_member *member;
  uint32_t places, top, count; /* allocated; one more than the last in use; in use */
  uint32_t turn;               /* who is looked at first */
  uint32_t call;
  uint32_t interruptions_seen;
  cf_counter calls, frames, errors, sleeps;
};

static inline bool cf_batch_is_interrupted(const cuframes_batch *batch) {
  return cf_flag_get(&batch->interruptions) != batch->interruptions_seen;
}

#endif
