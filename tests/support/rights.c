/* support/rights.c - what a test may do here. It is tried, by a process that ends at once: neither a user id nor a
 * list of capabilities tells it, as a filter of system calls, a security module or a limit may refuse it, too. */
#include "support/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fixture.h"

#define NOBODY 65534

/* What was refused, in a pipe's worth of bytes. */
typedef struct refusal {
  int error; /* 0: nothing was */
  char what[60];
} refusal;

static bool refused(refusal *why, const char *what) {
  why->error = errno;
  snprintf(why->what, sizeof why->what, "%s", what);
  return false;
}

/* Tries something in a process of its own: what was refused. */
static refusal attempt_apart(bool (*attempt)(int spaces, refusal *why), int spaces) {
  int ends[2];
  refusal why = { .error = EPROTO, .what = "try" };
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    refusal found = { 0 };
    (void)attempt(spaces, &found);
    _exit(write(ends[1], &found, sizeof found) == sizeof found ? 0 : 1);
  }
  close(ends[1]);
  bool heard = read(ends[0], &why, sizeof why) == sizeof why;
  close(ends[0]);
  CHECK(waitpid(pid, NULL, 0) == pid);
  CHECK(heard);
  return why;
}

/* The same, and skips the test if it is refused. */
static void try_apart(bool (*attempt)(int spaces, refusal *why), int spaces, const char *needed) {
  refusal why = attempt_apart(attempt, spaces);
  if (why.error)
    skip_because("needs %s: cannot %s (%s)", needed, why.what, strerror(why.error));
}

/* ---- other users ---- */

static bool be_another_user(int unused, refusal *why) {
  (void)unused;
  char above[128];
  snprintf(above, sizeof above, "%s", fixture_directory());
  *strrchr(above, '/') = '\0';
  if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
    return refused(why, "become another user");
  if (access(above, X_OK) != 0)
    return refused(why, "enter the directory for temporary files as another user");
  return true;
}

/* Gives a directory away, writes into it, and takes it back. */
static bool give_and_take(int unused, refusal *why) {
  (void)unused;
  const char *mine = fixture_path("given"), *inside = fixture_path("given/inside");
  bool may = true;
  if (mkdir(mine, 0700) != 0)
    return refused(why, "make a directory");
  if (chown(mine, NOBODY, NOBODY) != 0)
    may = refused(why, "give a file to another user (CAP_CHOWN)");
  else if (mkdir(inside, 0700) != 0)
    may = refused(why, "write where only another user may (CAP_DAC_OVERRIDE)");
  else if (chmod(mine, 0700) != 0)
    may = refused(why, "change the mode of another user's file (CAP_FOWNER)");
  (void)rmdir(inside);
  if (chown(mine, geteuid(), getegid()) != 0 && may)
    may = refused(why, "take a file from another user");
  (void)rmdir(mine);
  return may;
}

/* As fixture_end() does with a child that is left: here one that ends by itself when this process does. */
static bool end_their_process(int unused, refusal *why) {
  (void)unused;
  int up[2], down[2];
  char byte = 0;
  if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0)
    return refused(why, "make a pipe");
  pid_t pid = fork();
  if (pid == 0) {
    close(down[1]);
    bool became = setgid(NOBODY) == 0 && setuid(NOBODY) == 0 && write(up[1], &byte, 1) == 1;
    _exit(became && read(down[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(up[1]);
  if (pid < 0 || read(up[0], &byte, 1) != 1)
    return refused(why, "start a process of another user");
  return kill(pid, 0) == 0 || refused(why, "end another user's process (CAP_KILL)");
}

void need_other_users(void) {
  static const char needed[] = "root's rights over other users";
  if (geteuid() != 0)
    skip_because("needs %s: this is an ordinary user", needed);
  try_apart(give_and_take, 0, needed);
  try_apart(be_another_user, 0, needed);
  try_apart(end_their_process, 0, needed);
}

bool have_other_users(void) {
  return geteuid() == 0 && attempt_apart(give_and_take, 0).error == 0 && attempt_apart(be_another_user, 0).error == 0 &&
         attempt_apart(end_their_process, 0).error == 0;
}

/* ---- namespaces ---- */

static bool there_and_back(int spaces, refusal *why) {
  int here = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  if (here < 0)
    return refused(why, "open /proc/self/ns/pid");
  if (unshare(spaces) != 0)
    return refused(why, "unshare namespaces");
  if (spaces & CLONE_NEWPID && setns(here, CLONE_NEWPID) != 0)
    return refused(why, "go back by setns()");
  return true;
}

void need_namespaces(int spaces) {
  try_apart(there_and_back, spaces, "the right to make namespaces");
}

static bool first_in_container(int spaces, refusal *why) {
  if (unshare(spaces | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0)
    return refused(why, "unshare namespaces");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
    return refused(why, "keep mounts private");
  pid_t pid = fork();
  if (pid == 0)
    _exit(mount("proc", "/proc", "proc", 0, NULL) == 0 ? 0 : errno);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid)
    return refused(why, "start a first process");
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPROTO;
  return errno == 0 || refused(why, "mount /proc");
}

void need_container(int spaces) {
  try_apart(first_in_container, spaces, "the right to make containers");
}

/* ---- tracing ---- */

static bool trace_a_child(int unused, refusal *why) {
  (void)unused;
  pid_t pid = fork();
  if (pid == 0)
    for (;;)
      (void)pause();
  if (pid < 0)
    return refused(why, "start a child");
  bool traced = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 || refused(why, "trace a child");
  (void)kill(pid, SIGKILL);
  (void)waitpid(pid, NULL, 0);
  return traced;
}

void need_tracing(void) {
  try_apart(trace_a_child, 0, "the right to trace children");
}

/* ---- threads ---- */

static bool be_first(int unused, refusal *why) {
  const struct sched_param first = { .sched_priority = 10 };
  (void)unused;
  return sched_setscheduler(0, SCHED_FIFO, &first) == 0 || refused(why, "take the policy SCHED_FIFO");
}

void need_realtime(void) {
  try_apart(be_first, 0, "real-time priorities");
}

static void *rest(void *unused) {
  for (;;)
    (void)pause();
  return unused;
}

static bool run_threads(int count, refusal *why) {
  pthread_t thread;
  for (int i = 0; i < count; i++)
    if ((errno = pthread_create(&thread, NULL, rest, NULL)) != 0)
      return refused(why, "start so many");
  return true; /* they end with this process */
}

void need_threads(int count) {
  char needed[40];
  snprintf(needed, sizeof needed, "%d threads", count);
  try_apart(run_threads, count, needed);
}
