/* faults/life.h - everything that a stream and its subscribers do in their lives, once, with a fault somewhere in
 * it. */
#ifndef LIFE_H
#define LIFE_H

#include "faults/resource_calls.h"
#include "support/stream.h"

/* Two streams that have nothing to do with it. */
typedef struct bystander {
  cuframes_publisher *publisher;
  cuframes_subscriber *newest, *ordered;
  uint64_t number;
} bystander;

void bystander_begin(bystander *b);
/* They go on as if nothing had happened. */
void bystander_check(bystander *b);
void bystander_end(bystander *b);

/* Lives with call number nth failing. What fails says why, in words, and goes well the next time; with `on`, when all
 * calls after it fail too, nothing has to go well. True if there were so many calls. */
bool life(enum call_kind kind, uint64_t nth, bool on);

#endif
