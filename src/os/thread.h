/* os/thread.h - threads of the library: named, with every signal blocked, so that the program's handlers run
 * elsewhere. */
#ifndef CF_OS_THREAD_H
#define CF_OS_THREAD_H

#include <pthread.h>

/* Starts a joinable thread. name: at most 15 bytes. */
int cf_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* An eventfd (non-blocking, close-on-exec) as a doorbell. */
int cf_doorbell_create(int *fd);
/* Rings; never blocks; async-signal-safe. */
void cf_doorbell_ring(int fd);
/* Forgets all rings so far. */
void cf_doorbell_drain(int fd);

#endif
