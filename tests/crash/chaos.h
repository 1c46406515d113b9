/* crash/chaos.h - what the parent of the chaos and its workers share: a publisher and subscribers, processes each,
 * that are killed and replaced again and again.
 */
#ifndef CRASH_CHAOS_H
#define CRASH_CHAOS_H

#include "attacks/attacks.h"
#include "crash/crash.h"
#include "gpu/worker.h"

enum { CHAOS_WORKERS = 7, CHAOS_ATTACKERS = 2, CHAOS_HESITATE = 400 }; /* the first worker publishes */

typedef struct chaos_world chaos_world;

/* An worker's page. */
typedef struct chaos_worker {
  chaos_world *world;
  uint64_t random;           /* its decisions follow from this */
  crash_fuse fuse;           /* how it will die */
  _Atomic uint64_t progress; /* moves with every picture and packet */
  _Atomic uint32_t stop;     /* the parent asks it to end in peace */
} chaos_worker;

typedef struct chaos_world {
  const char *device;
  worker_world all;        /* of packets, too */
  _Atomic uint64_t packet; /* number of the last packet */
  _Atomic uint64_t packets, reconnects;
  _Atomic uint64_t forks, refused; /* processes forked by workers; joins for which a publisher had no memory */
  _Atomic uint64_t attacks;        /* rounds of attackers */
  _Atomic uint32_t over;           /* attackers end */
  _Atomic uint32_t little;         /* the publisher has little memory: who asks for much may ask for ever */
  chaos_worker worker[CHAOS_WORKERS];
  attacker attacker[CHAOS_ATTACKERS];
} chaos_world;

/* What the processes run, with their chaos_worker; they end well when they are asked to, and left nothing behind. */
child_run chaos_publisher, chaos_subscriber, chaos_gpu_publisher, chaos_gpu_subscriber;
/* With an attacker of the world's: attacks of all kinds, one after the other, until they are over. The first one makes
 * the pool grow, all the time. */
void chaos_attack(chaos_world *world, attacker *me);

/* Forks a process that has all that this one has, and ends at once, or after it has given that back, or some time
 * later: then it may outlive this one. */
void chaos_fork(chaos_worker *me, void (*give_back)(void *user), void *user);

#endif
