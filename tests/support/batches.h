/* support/batches.h - batches to test with, and a thread that waits in one while the test does what should end that. */
#ifndef SUPPORT_BATCHES_H
#define SUPPORT_BATCHES_H

#include <pthread.h>
#include <sys/types.h>

#include "support/stream.h"

#define ENTRIES 512u

/* Streams named s0, s1, ... and a batch of a subscriber to each. */
typedef struct cameras {
  uint32_t count;
  cuframes_publisher *publisher[ENTRIES];
  cuframes_subscriber *subscriber[ENTRIES];
  cuframes_batch *batch;
} cameras;

cuframes_batch *batch_new(void);
/* A stream of that number. */
cuframes_publisher *camera_publisher(uint32_t number);
/* Subscribers with these options; NULL: the standard ones. The user pointer of each is its place in subscriber[]. */
void cameras_start(cameras *c, uint32_t count, const cuframes_subscriber_options *options);
/* Ends what is left of all. */
void cameras_end(cameras *c);

/* What a call of next() gave. */
typedef struct batched {
  int result;
  uint32_t got;
  cuframes_batch_entry entries[ENTRIES];
} batched;

/* Calls next(), and checks what is so of every entry. */
int batch_take(cuframes_batch *batch, uint32_t min, int64_t timeout_ns, uint32_t count, batched *b);
/* The same where so many entries must come, in the usual patience. */
void batch_expect(cuframes_batch *batch, uint32_t min, batched *b, uint32_t got);
/* The entry of a member; NULL: it has none. */
const cuframes_batch_entry *entry_of(const batched *b, const cuframes_subscriber *subscriber);
/* The number in its frame; 0: it has none. */
uint64_t number_of(const batched *b, const cuframes_subscriber *subscriber);
void batched_release(batched *b);
/* Times that next() slept. */
uint64_t batch_sleeps(cuframes_batch *batch);

/* A thread in next(). */
typedef struct batch_waiter {
  cuframes_batch *batch;
  uint32_t min;
  int64_t timeout_ns;
  batched got;
  pthread_t thread;
  pid_t thread_id;
  pthread_mutex_t lock;
} batch_waiter;

/* Returns when it sleeps. */
void batch_waiter_start(batch_waiter *w, cuframes_batch *batch, uint32_t min, int64_t timeout_ns);
/* Joins it: the result of its call. */
int batch_waiter_end(batch_waiter *w);

/* From here on this process has a kernel that does not know futex_waitv. Before its first call of the library that
 * waits: a process asks its kernel once. */
void kernel_forget_futex_waitv(void);

#endif
