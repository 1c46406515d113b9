/* attacks/soak.h - what the processes of the soak share: publishers, subscribers that check everything they get, and
 * attackers of all kinds beside them, for as long as one likes.
 *
 * Every process has a page of its own in memory that all of them map; the first process starts, stops, kills and
 * replaces the others, and judges in the end (soak.c).
 */
#ifndef ATTACKS_SOAK_H
#define ATTACKS_SOAK_H

#include <stdatomic.h>

#include "attacks/attacks.h"
#include "support/child.h"
#include "support/fixture.h"

/* ---- streams ---- */

/* How a stream is published, and what may be done to it. */
typedef struct soak_stream {
  const char *name;
  bool on_gpu;
  uint32_t policy;
  bool patient;    /* waits for ordered subscribers as long as anybody; else 300 ms. Attackers do not join in order:
                      that they may hold it up is said in SECURITY.md */
  bool old_kernel; /* as one that cannot keep descriptors from being sent to it (before Linux 6.16) */
  bool mortal;     /* its publisher is killed again and again, and started anew */
} soak_stream;

enum { SOAK_STILL, SOAK_DROP, SOAK_EVICT, SOAK_GPU, SOAK_AGAIN, SOAK_STREAMS };
extern const soak_stream soak_streams[SOAK_STREAMS];

/* Where a stream is. */
typedef struct soak_place {
  _Atomic uint64_t number, packet; /* of the last ones; they go on from publisher to publisher */
  _Atomic uint64_t dropped, lines; /* of pictures; of its log */
  _Atomic uint64_t wrong_lines;    /* that a terminal would obey */
  _Atomic uint32_t there;          /* one can join */
} soak_place;

/* ---- subscribers ---- */

enum soak_how { SOAK_BY_NEXT, SOAK_BY_POLL, SOAK_BY_CALLBACK, SOAK_LOOKS };

typedef struct soak_role {
  const char *name;
  int stream;
  uint32_t mode;
  enum soak_how how;
  uint32_t hands; /* frames that it holds */
} soak_role;

enum { SOAK_ROLES = 17 };
extern const soak_role soak_roles[SOAK_ROLES];

/* A subscriber's page; it outlives the process. */
typedef struct soak_subscriber {
  struct soak_world *world;
  const soak_role *role;
  uint64_t random;
  _Atomic uint64_t last; /* number of the last picture or packet */
  _Atomic uint64_t progress;
  _Atomic uint64_t frames, packets, looks;
  _Atomic uint64_t torn, backward, twice, missing, lies; /* what must not be */
  _Atomic uint64_t joins, refused, evictions, lost, overruns, kills, stops;
  _Atomic int64_t longest_gap; /* ns from one to the next, while it was joined */
  _Atomic uint32_t stop;
} soak_subscriber;

/* ---- attackers ---- */

typedef struct soak_attack {
  const char *name;
  attack_run *run;
  bool refused; /* by a user who is not let in */
  bool by_us;   /* by the publishers' own user: it takes part, and only does as it should not */
} soak_attack;

enum { SOAK_ATTACKS = 20 };
extern const soak_attack soak_attacks[SOAK_ATTACKS];

/* An attacker's page. */
typedef struct soak_attacker {
  const soak_attack *attack;
  attacker who;
  _Atomic uint64_t rounds, killed;
} soak_attacker;

/* ---- all of them ---- */

typedef struct soak_publisher {
  struct soak_world *world;
  bool mortal; /* publishes those streams that are, or those that are not */
  _Atomic uint32_t stop, measure;
  _Atomic uint64_t descriptors, descriptors_left, mappings, mappings_left;
  _Atomic uint64_t resident_early, resident_late; /* bytes */
  _Atomic uint64_t memory, memory_left;           /* of all its streams, shared */
  _Atomic uint64_t stops, kills;
} soak_publisher;

typedef struct soak_world {
  bool others, gpu;      /* there are other users; the stand-in for the driver */
  _Atomic uint32_t over; /* attacks end */
  soak_place place[SOAK_STREAMS];
  soak_publisher publisher[2]; /* of the mortal streams: the second */
  soak_subscriber subscriber[SOAK_ROLES];
  soak_attacker attacker[SOAK_ATTACKS];
} soak_world;

enum { SOAK_REFUSED_USER = 12345, SOAK_FIRST_USER = 23450, SOAK_USERS = 4 };

/* What the processes run, with their page. */
child_run soak_publish, soak_subscribe, soak_attack_one;

#endif
