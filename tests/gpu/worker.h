/* worker.h - a publisher and a subscriber on a GPU that do a bit of everything until they are killed, for a chaos:
 * that of test_chaos.c, and that of tests/crash over the stand-in.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stdatomic.h>

#include "source.h"

/* What the workers share, in memory that they have from their parent. */
typedef struct worker_world {
  _Atomic uint64_t number; /* of the last picture; goes on from publisher to publisher */
  _Atomic uint64_t frames, torn, back_jumps, gaps, lost, evictions; /* what subscribers saw, all together */
  _Atomic uint64_t longest_wait_ns; /* of a stream, until it had looked at a picture or was let go */
} worker_world;

/* What an worker is run with. */
typedef struct worker {
  worker_world *world;
  uint64_t random;            /* its decisions follow from this */
  _Atomic uint64_t *progress; /* moves with every picture */
  _Atomic uint32_t *stop;     /* its parent asks it to end in peace */
} worker;

#define WORKER_STREAM "s"
/* Longest a stream may be held up. */

/* They end well when they are asked to, and left nothing behind then. */
void worker_publish(const worker *me);
void worker_subscribe(const worker *me);

/* Of an worker's page: 0 .. limit-1. */
uint32_t worker_random(uint64_t *state, uint32_t limit);

#endif
