/* os/thread.c - threads of the library and the doorbells that wake them. */
#include "os/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "os/error.h"

int cf_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
  int error = pthread_create(thread, NULL, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    errno = error;
    return cf_fail_errno("starting the thread %s", name);
  }
  (void)pthread_setname_np(*thread, name); /* only for people who look */
  return CUFRAMES_OK;
}

int cf_doorbell_create(int *fd) {
  int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (bell < 0)
    return cf_fail_errno("eventfd");
  *fd = bell;
  return CUFRAMES_OK;
}

void cf_doorbell_ring(int fd) {
  int error = errno;
  uint64_t one = 1;
  ssize_t written = write(fd, &one, sizeof one);
  (void)written; /* a full counter is rung already */
  errno = error;
}

void cf_doorbell_drain(int fd) {
  uint64_t count;
  ssize_t got = read(fd, &count, sizeof count);
  (void)got; /* nothing to drain is fine */
}
