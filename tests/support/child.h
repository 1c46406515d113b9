/* support/child.h - forked processes that talk with the test in 64-bit numbers.
 *
 * Start all children before the test makes its first publisher or subscriber: what is forked later would hold the
 * library's descriptors too, and keep a dead publisher's connections open.
 */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct child {
  pid_t pid; /* 0: it was waited for */
  int fd;    /* the test's end */
} child;

/* What a child runs; its end of the line is `test`. Returning ends it well. */
typedef void child_run(int test, void *user);

child *child_start(child_run *run, void *user);
/* Whether this process is a child. */
bool child_is_one(void);

/* Both ends: say a number, hear one. hear() fails when nothing comes in time, or the other end is gone. */
void say(int fd, uint64_t number);
uint64_t hear(int fd);
/* Hears somebody who first takes many steps, each of which has a limit of its own. */
uint64_t hear_of_many(int fd);
/* The same with one that may be killed: false when the other end is gone. */
bool say_unless_gone(int fd, uint64_t number);
bool hear_unless_gone(int fd, uint64_t *number);

/* Waits for its end and gives the status of waitpid(); it must come in time (patience()). */
int child_status(child *c);
/* The same with a deadline of its own; false: it lives. */
bool child_ended_by(child *c, int64_t end, int *status);
/* Waits for its end, which must be a good one. */
void child_finish(child *c);
void child_kill(child *c);
void child_stop(child *c);
void child_continue(child *c);
/* Waits until the child's first thread, or a thread of this process, sleeps in the kernel. */
void child_wait_asleep(const child *c);
void thread_wait_asleep(pid_t thread);

/* Kills what is left and gives how many there were; for fixture_end(). */
int child_end_all(void);
/* The same, of a test that is skipped and needs none of them. */
void child_give_up(void);

#endif
