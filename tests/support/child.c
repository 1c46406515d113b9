/* support/child.c - forked processes that talk with the test in 64-bit numbers. */
#include "support/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fixture.h"

#define CHILDREN 64

static child children[CHILDREN];
static bool is_child;

/* Writes the counts of a coverage build, which _exit() would lose. */
extern void __gcov_dump(void) __attribute__((weak));

bool child_is_one(void) {
  return is_child;
}

static child *free_entry(void) {
  for (int i = 0; i < CHILDREN; i++)
    if (children[i].pid == 0 && children[i].fd == 0)
      return &children[i];
  return NULL;
}

child *child_start(child_run *run, void *user) {
  int ends[2];
  child *c = free_entry();
  CHECK(c != NULL);
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    is_child = true;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    for (int i = 0; i < CHILDREN; i++) /* or the others would not hear the test's end close */
      if (children[i].fd > 0)
        close(children[i].fd);
    run(ends[1], user);
    if (__gcov_dump)
      __gcov_dump();
    _exit(0);
  }
  close(ends[1]);
  *c = (child){ .pid = pid, .fd = ends[0] };
  return c;
}

bool say_unless_gone(int fd, uint64_t number) {
  ssize_t sent = send(fd, &number, sizeof number, MSG_NOSIGNAL);
  CHECK(sent == sizeof number || errno == EPIPE || errno == ECONNRESET);
  return sent == sizeof number;
}

static bool hear_for(int64_t ns, int fd, uint64_t *number) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  int64_t end = cuframes_now() + ns;
  int n;
  do
    n = poll(&ready, 1, (int)((end - cuframes_now()) / MS));
  while (n < 0 && errno == EINTR);
  CHECK(n > 0);
  ssize_t got = recv(fd, number, sizeof *number, 0);
  CHECK(got == sizeof *number || got == 0 || errno == ECONNRESET);
  return got == sizeof *number;
}

bool hear_unless_gone(int fd, uint64_t *number) {
  return hear_for(patience(), fd, number);
}

uint64_t hear_of_many(int fd) {
  uint64_t number = 0;
  CHECK(hear_for(8 * patience(), fd, &number));
  return number;
}

void say(int fd, uint64_t number) {
  CHECK(say_unless_gone(fd, number));
}

uint64_t hear(int fd) {
  uint64_t number = 0;
  CHECK(hear_unless_gone(fd, &number));
  return number;
}

static void forget(child *c) {
  close(c->fd);
  *c = (child){ 0 };
}

/* False if it has not ended by then. */
static bool wait_end(const child *c, int64_t end, int *status) {
  for (;;) {
    pid_t ended = waitpid(c->pid, status, WNOHANG);
    if (ended == c->pid)
      return true;
    if (ended < 0 || cuframes_now() > end)
      return false;
    pause_ms(1);
  }
}

bool child_ended_by(child *c, int64_t end, int *status) {
  bool ended = wait_end(c, end, status);
  if (ended)
    forget(c);
  return ended;
}

int child_status(child *c) {
  int status = 0;
  CHECK(child_ended_by(c, cuframes_now() + patience(), &status));
  return status;
}

void child_finish(child *c) {
  CHECK(child_status(c) == 0);
}

void child_kill(child *c) {
  CHECK(kill(c->pid, SIGKILL) == 0);
  int status = child_status(c);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void child_stop(child *c) {
  int status = 0;
  CHECK(kill(c->pid, SIGSTOP) == 0);
  CHECK(waitpid(c->pid, &status, WUNTRACED) == c->pid && WIFSTOPPED(status));
}

void child_continue(child *c) {
  CHECK(kill(c->pid, SIGCONT) == 0);
}

static char state_of(pid_t pid, pid_t thread) {
  char path[64], line[512] = "";
  snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)thread);
  FILE *file = fopen(path, "re");
  CHECK(file != NULL);
  char *got = fgets(line, sizeof line, file);
  fclose(file);
  const char *end = got ? strrchr(line, ')') : NULL; /* "PID (NAME) STATE ..." */
  return end && end[1] ? end[2] : '?';
}

static void wait_asleep(pid_t pid, pid_t thread) {
  int looks = 0; /* three in a row: not just between two calls */
  int64_t end = cuframes_now() + patience();
  while (looks < 3) {
    looks = state_of(pid, thread) == 'S' ? looks + 1 : 0;
    CHECK(cuframes_now() < end);
    pause_ms(2);
  }
}

void child_wait_asleep(const child *c) {
  wait_asleep(c->pid, c->pid);
}

void thread_wait_asleep(pid_t thread) {
  wait_asleep(getpid(), thread);
}

void child_give_up(void) {
  for (int i = 0; i < CHILDREN; i++)
    if (children[i].pid != 0) {
      (void)kill(children[i].pid, SIGKILL);
      (void)waitpid(children[i].pid, NULL, 0);
      forget(&children[i]);
    }
}

int child_end_all(void) {
  int left = 0, status;
  for (int i = 0; i < CHILDREN; i++) {
    child *c = &children[i];
    if (c->pid == 0)
      continue;
    if (waitpid(c->pid, &status, WNOHANG) == c->pid) { /* often why the test failed: nobody else says it */
      print_error("left behind: child %d, which ended with %s %d\n", (int)c->pid,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    } else {
      print_error("left behind: child %d\n", (int)c->pid);
      (void)kill(c->pid, SIGKILL);
      (void)waitpid(c->pid, &status, 0);
    }
    left++;
    forget(c);
  }
  while (waitpid(-1, &status, WNOHANG) > 0) {
    print_error("left behind: a child that nobody waited for\n");
    left++;
  }
  return left;
}
