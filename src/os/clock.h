/* os/clock.h - CLOCK_MONOTONIC in nanoseconds, and deadlines on it. */
#ifndef CF_OS_CLOCK_H
#define CF_OS_CLOCK_H

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

/* One turn of waiting for something that wakes nobody, such as a word that a GPU writes: spins in the first
 * microseconds after `began`, then sleeps a part of the time that has passed since, and never long past the
 * deadline. */
void cf_wait_turn(int64_t began, int64_t deadline);

/* A deadline as poll() and epoll_wait() want it: milliseconds from now, rounded up, -1 for never. */
int cf_deadline_poll_ms(int64_t deadline);

#endif
