/* syncer.h - sends what was written to the disk, in a thread: a disk that takes seconds for it holds up no packet. */
#ifndef CUFRAMES_RECORD_SYNCER_H
#define CUFRAMES_RECORD_SYNCER_H

#include <stdbool.h>

typedef struct syncer syncer;

/* NULL without memory or threads. */
syncer *syncer_create(void);

/* Asks for it, unless the last one is not done yet; then false. */
bool syncer_ask(syncer *s, int fd);

/* errno of the last one that failed, once; else 0. */
int syncer_error(syncer *s);

/* Waits for the last one. NULL is fine. */
void syncer_free(syncer *s);

#endif
