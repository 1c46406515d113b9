/* guard.c - see guard.h. */
#include "guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "causes.h"
#include "common/cli.h"

#define MS INT64_C(1000000)
#define KILLED_NS (1000 * MS) /* after which who was killed and does not end is left alone */

static void begin_child(pid_t parent) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail for a signal that there is */
  const pid_t now = getppid();
  if (now != parent && now != 0) /* 0: it is in a PID namespace above ours, after unshare --pid */
    _exit(1);                    /* it has died just now */
}

pid_t guard_fork(int *alive) {
  int ends[2];
  if (pipe(ends) != 0)
    return -1;
  const pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    (void)close(ends[0]);
    begin_child(parent); /* ends[1] stays open to the end */
    return 0;
  }
  const int error = errno;
  (void)close(ends[1]);
  if (child < 0)
    (void)close(ends[0]);
  else
    *alive = ends[0];
  errno = error;
  return child;
}

/* Whether it has ended by then, before a signal came. */
static bool wait_end(int alive, int64_t deadline, bool stoppable) {
  struct pollfd end = { .fd = alive, .events = POLLIN };
  for (;;) {
    const int64_t left = deadline - cuframes_now();
    const int ready = poll(&end, 1, left > 0 ? (int)((left + MS - 1) / MS) : 0);
    if (ready > 0)
      return true;
    if ((ready <= 0 && left <= 0) || (stoppable && cli_stopped))
      return false;
  }
}

static void found_hanging(doctor *d) {
  finding *f = found(d, FOUND_PROBLEM, "time", "%s did not end within %.3g s", d->stage, (double)d->limit_ns / 1e9);
  finding_why(f, "the machine is too busy, or what was asked hangs, as a driver or a file system may");
  if (strstr(d->stage, "directory"))
    finding_mend(f, "df hangs likewise where the server of a file system is away: sudo umount -f -l of it, or another "
                    "directory by --dir, and by TMPDIR for the trial");
  else if (strstr(d->stage, "GPU"))
    finding_mend(f, "nvidia-smi, and dmesg | grep -i xid, say how the GPU is; --timeout 60 waits longer");
  else
    finding_mend(f, "cuframes doctor --timeout 60 waits longer; dmesg says what the kernel knows");
}

static void found_dead(doctor *d, int status) {
  if (WIFSIGNALED(status))
    finding_status(found(d, FOUND_PROBLEM, "crash", "%s died of signal %d (%s)", d->stage, WTERMSIG(status),
                         strsignal(WTERMSIG(status))),
                   status);
  else
    finding_status(found(d, FOUND_PROBLEM, "crash", "%s ended with %d", d->stage, WEXITSTATUS(status)), status);
}

void guard_found_no_process(doctor *d, int error) {
  for (size_t i = 0; i < d->finding_count; i++)
    if (strcmp(d->findings[i].check, "process") == 0)
      return; /* once is enough */
  finding_errno(found(d, FOUND_PROBLEM, "process", "no further process can be started"), "fork", error, NULL);
  d->low_limits = true;
}

/* The child, and, as their subreaper, whoever it started and left. Who cannot be killed is left alone. */
static int reap(pid_t child) {
  int status = 0, one;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  while (waitpid(-1, &one, 0) > 0) {
  }
  return status;
}

static void run_one(doctor *d, const doctor_part *part, bool stoppable) {
  int alive = -1;
  d->part = part->subject;
  doctor_stage(d, "looking at the %s", part->subject);
  const pid_t child = guard_fork(&alive);
  if (child == 0) {
    (void)signal(SIGINT, SIG_DFL); /* Ctrl-C is for who runs the parts; these cannot fail */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_IGN); /* past the limit of files is an error, and to be found */
    part->run(d);
    exit(EXIT_SUCCESS);
  }
  if (child < 0) {
    guard_found_no_process(d, errno);
    return;
  }
  const bool ended = wait_end(alive, cuframes_now() + d->limit_ns, stoppable);
  if (!ended) {
    if (!cli_stopped)
      found_hanging(d);
    (void)kill(child, SIGKILL); /* it is ours, so it is there */
  }
  if (ended || wait_end(alive, cuframes_now() + KILLED_NS, false)) {
    const int status = reap(child);
    if (ended && status != 0 && !cli_stopped)
      found_dead(d, status);
  }
  (void)close(alive);
}

void guard_run(doctor *d, const doctor_part *parts, size_t count, const doctor_part *last) {
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* cannot fail since Linux 3.4 */
  for (size_t i = 0; i < count && !cli_stopped; i++)
    run_one(d, &parts[i], true);
  run_one(d, last, false);
}
