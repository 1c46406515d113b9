/* os/thread.h - threads of the library, and what they have of the thread that starts them:
 *   policy     none: SCHED_OTHER. A thread that talks with peers must not go before an ordinary one of the program
 *   nice       inherited, as are affinity, control group, capabilities and name spaces
 *   stack      the process's default, 8 MiB at most
 *   signals    none reach it, so that the program's handlers run elsewhere, but those of its own faults (SIGSEGV,
 *              SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS), which a program's crash handler is to see
 * No thread of the library spins for another one without going to sleep soon (cf_wait_turn): with a real-time policy it
 * would keep that one from running. */
#ifndef CF_OS_THREAD_H
#define CF_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a joinable thread. name: at most 15 bytes. */
int cf_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* The calling thread is to run soon after it was woken, for a short time: it asks for a short slice, which gets it no
 * more of the processor. Only with the ordinary policy, from Linux 6.12 on; else nothing happens. */
void cf_thread_prefer_soon(void);

/* The processor that the calling thread runs on. */
uint32_t cf_thread_processor(void);
/* The calling thread runs on any but that one of those in *all; *all: filled in by the first call, which is zeroed. */
typedef struct cf_processors {
  bool known;
  uint64_t bits[16];
} cf_processors;
void cf_thread_keep_off(uint32_t processor, cf_processors *all);

/* An eventfd (non-blocking, close-on-exec) as a doorbell. */
int cf_doorbell_create(int *fd);
/* Rings; never blocks; async-signal-safe. */
void cf_doorbell_ring(int fd);
/* Forgets all rings so far. */
void cf_doorbell_drain(int fd);

#endif
