/* looker.h - a thread that looks at all streams when it is asked to, so that the program can end while it does: streams
 * have seconds to answer.
 *
 * Threads  All calls are of one thread, whose signals stay its own. */
#ifndef CUFRAMES_METRICS_LOOKER_H
#define CUFRAMES_METRICS_LOOKER_H

#include <stdbool.h>

#include "collect.h"
#include "exposition.h"

typedef struct looker looker;

/* `done` (NULL: nobody wants to know) is called in the looker's thread when a look has ended, and may not call it. The
 * collector is the looker's from here on, also where it fails: NULL, after a message. */
looker *looker_start(const collector *from, void (*done)(void *user), void *user);
/* There will be a look that begins now or later; or the one that is under way is it. */
void looker_ask(looker *looker);
/* What the last look found, once. False: none has ended since. out->failed: memory ran out. */
bool looker_take(looker *looker, exposition *out);
/* Waits for that; false: cli_stopped. */
bool looker_wait(looker *looker, exposition *out);
/* Waits for no look: one that is under way is left to itself, and what it finds to nobody. */
void looker_end(looker *looker);

#endif
