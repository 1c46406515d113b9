/* crash/chaos.h - what the director of the chaos and its actors share: a publisher and subscribers, processes each, that
 * are killed and replaced again and again.
 */
#ifndef CRASH_CHAOS_H
#define CRASH_CHAOS_H

#include "crash/crash.h"

enum { CHAOS_ACTORS = 7, CHAOS_HESITATE = 400 }; /* the first actor publishes */

typedef struct chaos_world chaos_world;

/* An actor's page. */
typedef struct chaos_actor {
  chaos_world *world;
  uint64_t random;           /* its decisions follow from this */
  crash_fuse fuse;           /* how it will die */
  _Atomic uint64_t progress; /* moves with every picture and packet */
  _Atomic uint32_t stop;     /* the director asks it to end in peace */
} chaos_actor;

struct chaos_world {
  const char *device;
  _Atomic uint64_t number; /* of the last picture; goes on from publisher to publisher */
  _Atomic uint64_t packet; /* likewise */
  _Atomic uint64_t frames, packets, torn, back_jumps, gaps; /* what the subscribers saw, all together */
  _Atomic uint64_t reconnects, evictions;
  chaos_actor actor[CHAOS_ACTORS];
};

/* What the processes run, with their chaos_actor; they end well when they are asked to, and left nothing behind. */
child_run chaos_publisher, chaos_subscriber;

#endif
