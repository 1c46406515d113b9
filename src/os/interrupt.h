/* os/interrupt.h - asking the caller of a call that waits whether it is to give up. */
#ifndef CF_OS_INTERRUPT_H
#define CF_OS_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/common.h>

/* The options `interrupt` and `interrupt_user`. Where a call takes a pointer to one NULL is nobody, as in here. */
typedef struct cf_interrupt {
  cuframes_interrupt_fn ask; /* NULL: nobody is to be asked */
  void *user;
} cf_interrupt;

/* Asks, before each sleep. OK, or INTERRUPTED, which ends the call. With no lock held that the callee may want. */
int cf_interrupt_check(const cf_interrupt *interrupt);

/* Until when to sleep at most before asking again: the deadline, if there is nobody. */
int64_t cf_interrupt_until(const cf_interrupt *interrupt, int64_t deadline);

#endif
