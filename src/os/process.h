/* os/process.h - which process this is, since fork() copies what belongs to another.
 *
 * A child has the memory and the descriptors of its parent, and not the threads. What was made before is good only in
 * the process that made it: each object remembers that process's number, and calls in another one are refused. The
 * descriptors of the library are closed in a child of fork(), or it would keep sockets and names of a dead parent. A
 * child that was made without the C library's fork() (clone(), a system call of its own) keeps them.
 */
#ifndef CF_OS_PROCESS_H
#define CF_OS_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The number of this process, for what is made here; never 0. The first call in a process may run hooks. */
uint32_t cf_process_here(void);

/* On a page that the kernel wipes in children (MADV_WIPEONFORK): no system call tells as cheaply. */
extern const _Atomic uint32_t *cf_process_number;

/* Whether something was made in this process. */
static inline bool cf_process_is(uint32_t maker) {
  return atomic_load_explicit(cf_process_number, memory_order_relaxed) == maker;
}
/* The same: CUFRAMES_OK or INVALID, with a sentence about a `what`. */
int cf_process_check(uint32_t maker, const char *what);

/* `forget` is called once in each process that comes of this one and makes something, before that is made: for what
 * the library keeps outside of objects. Once for each function. */
void cf_process_hook(void (*forget)(void));

/* The descriptor is closed in children of fork(). Gives it back; -1 is fine. */
int cf_private(int fd);
/* For cf_close(): closes it and forgets that. False: it is no such descriptor. */
bool cf_private_close(int fd);

#endif
