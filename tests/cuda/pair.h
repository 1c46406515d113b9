/* pair.h - two forked processes that run together, with a line between them.
 *
 * The test itself should make no CUDA call: what it forked afterwards would have no CUDA.
 */
#ifndef PAIR_H
#define PAIR_H

#include <stddef.h>

#include "support/child.h"

/* What a process does; `link` is its end of the line, for say() and hear() too. */
typedef void pair_role(int link);

typedef struct pair {
  child *a, *b;
} pair;

/* Both run to the end. */
void pair_run(pair_role *a, pair_role *b);
/* a runs to the end and is killed then, b to its end. */
void pair_run_and_kill(pair_role *a, pair_role *b);

/* The pieces, for other endings: begin; hear() from each when it is done; finish each. */
pair pair_begin(pair_role *a, pair_role *b);
void pair_finish(child *c);

/* Sends bytes and, unless it is -1, a descriptor, which is closed then. */
void give(int link, const void *bytes, size_t size, int fd);
/* Receives so many bytes; gives the descriptor that came with them or -1. */
int get(int link, void *bytes, size_t size);
/* Until the other one is dead. */
void wait_for_death(int link);

#endif
