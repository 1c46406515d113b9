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
#include "os/process.h"

/* The process's default, which may be a GiB (ulimit -s) that mlockall() would lock; a log callback or a GPU's driver
 * may need as much as a program's own threads have. */
#define STACK_MOST ((size_t)8 << 20)

/* Signals that come of what a thread does itself: blocked they would end the process without its crash handler. */
static void leave_own_faults(sigset_t *set) {
  static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    sigdelset(set, own[i]);
}

static int attributes_make(pthread_attr_t *attributes) {
  size_t stack;
  int error = pthread_attr_init(attributes);
  if (error != 0)
    return error;
  if (pthread_attr_getstacksize(attributes, &stack) == 0 && stack > STACK_MOST)
    (void)pthread_attr_setstacksize(attributes, STACK_MOST); /* a valid size; else it keeps the default */
  /* valid values, and an attribute of ours: neither can fail */
  (void)pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
  (void)pthread_attr_setschedpolicy(attributes, SCHED_OTHER);
  (void)pthread_attr_setschedparam(attributes, &(struct sched_param){ .sched_priority = 0 });
  return 0;
}

/* Who is not allowed the ordinary policy gets a thread that inherits. */
static int create(pthread_t *thread, void *(*run)(void *), void *argument) {
  pthread_attr_t attributes;
  int error = attributes_make(&attributes);
  if (error != 0)
    return error;
  error = pthread_create(thread, &attributes, run, argument);
  if (error == EPERM) {
    (void)pthread_attr_setinheritsched(&attributes, PTHREAD_INHERIT_SCHED);
    error = pthread_create(thread, &attributes, run, argument);
  }
  (void)pthread_attr_destroy(&attributes); /* cannot fail */
  return error;
}

int cf_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  leave_own_faults(&blocked);
  pthread_sigmask(SIG_SETMASK, &blocked, &before); /* the new thread inherits it */
  int error = create(thread, run, argument);
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
  *fd = cf_private(bell);
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
