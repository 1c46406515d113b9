/* os/clock.h - CLOCK_MONOTONIC in nanoseconds, and deadlines on it. */
#ifndef CF_OS_CLOCK_H
#define CF_OS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CF_MS INT64_C(1000000)
#define CF_SECOND INT64_C(1000000000)
/* A deadline that never comes. */
#define CF_NEVER INT64_MAX
/* One that has passed: wait for nothing. */
#define CF_AT_ONCE INT64_C(1)

int64_t cf_now(void);

/* The absolute deadline for a relative timeout of the public API (negative: never). */
int64_t cf_deadline(int64_t timeout_ns);

/* A time limit for others that counts only while we run. A process that was stopped (SIGSTOP, a debugger, a paused
 * container) does not know whether they would have been in time, since they may have been stopped with it: then the
 * limit begins anew. It is waited for in slices, and one that took far longer than asked says that we did not run.
 * While the machine sleeps no time passes: CLOCK_MONOTONIC stands still. */
typedef struct cf_limit {
  int64_t length, end, slice_end;
} cf_limit;

cf_limit cf_limit_begin(int64_t length);
/* Until when to wait next, */
int64_t cf_limit_slice(cf_limit *limit);
/* and whether that was it. */
bool cf_limit_over(cf_limit *limit);

/* The same for a deadline that nobody waits for in slices: it is over if that is seen in time. Seen far too late it is
 * moved to CF_LATE_GRACE from now. */
#define CF_LATE_GRACE CF_SECOND
bool cf_deadline_over(int64_t *deadline, int64_t now);

/* One turn of waiting for something that wakes nobody, such as a word that a GPU writes: spins in the first
 * microseconds after `began`, then sleeps a part of the time that has passed since, and never long past the
 * deadline. */
void cf_wait_turn(int64_t began, int64_t deadline);

/* A deadline as poll() and epoll_wait() want it: milliseconds from now, rounded up, -1 for never. */
int cf_deadline_poll_ms(int64_t deadline);

/* Waits until a descriptor says one of these events, as for poll(), whatever signals come meanwhile: a process that is
 * stopped and continued gets one. False: it did not by the deadline. Without a descriptor (-1) only time goes by. */
bool cf_poll_until(int fd, short events, int64_t deadline);

#endif
