/* attacks/attacks.h - attackers of a stream: who speaks by hand (strangers.c), and who uses the library (guests.c).
 * Each is run in a process of its own, for a round; it may be refused everything, and be killed at any time.
 */
#ifndef ATTACKS_ATTACKS_H
#define ATTACKS_ATTACKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct attacker {
  const char *stream;           /* its victim */
  bool patient;                 /* which waits for ordered subscribers as long as anybody: it does not join in order, as
                                    that may hold up the stream (SECURITY.md) */
  bool mortal;                  /* which is killed now and then: for a moment nobody has its name */
  uint64_t random;              /* its decisions follow from this */
  int64_t end;                  /* the round is over then, */
  const _Atomic uint32_t *over; /* or when this is not 0 */
  uint32_t user;                /* who it is; 0: the publisher's own user */
  int id;                       /* of whom nobody else is; its own files are called x-... by it */
  _Atomic uint64_t tries;       /* to connect */
} attacker;

typedef void attack_run(attacker *me);
attack_run attack_close_for_me, attack_empty_messages, attack_unread_answers, attack_monitors, attack_silence,
    attack_connections, attack_labels, attack_halves, attack_babble, attack_scribbling, attack_leases;
attack_run attack_growth, attack_crowd, attack_forks, attack_limits, attack_memory, attack_directory, attack_lies;

/* Whether the round goes on. */
bool attack_goes_on(const attacker *me);
/* 0 .. limit-1. */
uint32_t attack_below(uint64_t *state, uint32_t limit);
uint64_t attack_random(uint64_t *state);

#endif
