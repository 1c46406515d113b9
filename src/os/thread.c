/* os/thread.c - threads of the library and the doorbells that wake them. */
#include "os/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
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

#define SLICE_NS 100000u

void cf_thread_prefer_soon(void) {
  struct { /* struct sched_attr, which the C library may lack: its first version */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = { .size = sizeof attributes };
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER)
    return;
  attributes.size = sizeof attributes;
  attributes.runtime = SLICE_NS;
  (void)syscall(SYS_sched_setattr, 0, &attributes, 0); /* an older kernel does not mind */
}

uint32_t cf_thread_processor(void) {
  int processor = sched_getcpu();
  return processor < 0 ? UINT32_MAX : (uint32_t)processor;
}

void cf_thread_keep_off(uint32_t processor, cf_processors *all) {
  if (!all->known)
    all->known = syscall(SYS_sched_getaffinity, 0, sizeof all->bits, all->bits) > 0;
  if (!all->known || processor / 64 >= sizeof all->bits / sizeof all->bits[0])
    return;
  cf_processors others = *all;
  others.bits[processor / 64] &= ~(UINT64_C(1) << processor % 64);
  (void)syscall(SYS_sched_setaffinity, 0, sizeof others.bits, others.bits); /* fails if there is no other */
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
