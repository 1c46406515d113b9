/* guard.h - runs the doctor's parts, each in a process of its own with a limit of time: a driver that hangs, or a
 * crash, is found like anything else. */
#ifndef CUFRAMES_DOCTOR_GUARD_H
#define CUFRAMES_DOCTOR_GUARD_H

#include <sys/types.h>

#include "doctor.h"

typedef struct doctor_part {
  const char *subject;
  void (*run)(doctor *d);
} doctor_part;

/* A child process; it ends with its parent, at the latest. 0 in the child, -1 with errno on failure. *alive becomes a
 * descriptor that is at its end when the child, and whoever it started, has ended. */
pid_t guard_fork(int *alive);

/* "no further process can be started", and what mends it. */
void guard_found_no_process(doctor *d, int error);

/* Runs the parts one behind the other, each to its end or the limit. What became of one is found, if it is not just the
 * end. A signal (cli_stopped) ends it early, but for the last one, which always runs. For a process that has no other
 * children, and no threads. */
void guard_run(doctor *d, const doctor_part *parts, size_t count, const doctor_part *last);

#endif
