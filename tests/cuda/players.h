/* players.h - two forked processes that play a scene together, with a line between them.
 *
 * The test itself should make no CUDA call: what it forked afterwards would have no CUDA.
 */
#ifndef PLAYERS_H
#define PLAYERS_H

#include <stddef.h>

#include "support/child.h"

/* What a process does; `link` is its end of the line, for say() and hear() too. */
typedef void players_role(int link);

typedef struct players {
  child *a, *b;
} players;

/* Both play to the end. */
void players_play(players_role *a, players_role *b);
/* a plays to the end and is killed then, b to its end. */
void players_play_and_kill(players_role *a, players_role *b);

/* The pieces, for other endings: begin; hear() from each when it has played; finish each. */
players players_begin(players_role *a, players_role *b);
void players_finish(child *c);

/* Sends bytes and, unless it is -1, a descriptor, which is closed then. */
void give(int link, const void *bytes, size_t size, int fd);
/* Receives so many bytes; gives the descriptor that came with them or -1. */
int get(int link, void *bytes, size_t size);
/* Until the other one is dead. */
void wait_for_death(int link);

#endif
