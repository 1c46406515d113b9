/* os/process.c - which process this is, and what its children must not keep. */
#include "os/process.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "os/error.h"

#define HOOKS 4
#define DESCRIPTORS 16384 /* higher ones are not closed in children */

static _Atomic uint32_t without_page; /* then a child of fork() sets it to 0 itself */
const _Atomic uint32_t *cf_process_number = &without_page;
static _Atomic uint32_t *number = &without_page;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows; held while the process forks */
static bool prepared;
static uint32_t last; /* number on the way to this process */
static void (*hooks[HOOKS])(void);
/* The inode of each private descriptor, so that one whose number somebody else has by now is left alone; 0: none. */
static _Atomic uint64_t inodes[DESCRIPTORS];
static int highest = -1;

static uint64_t inode_of(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? (uint64_t)status.st_ino + 1 : 0;
}

static void fork_begins(void) {
  pthread_mutex_lock(&lock);
}

static void fork_ended(void) {
  pthread_mutex_unlock(&lock);
}

static void child_begins(void) {
  for (int fd = 0; fd <= highest; fd++) {
    uint64_t inode = atomic_load_explicit(&inodes[fd], memory_order_relaxed);
    if (inode != 0 && inode == inode_of(fd))
      (void)close(fd); /* ours alone */
    atomic_store_explicit(&inodes[fd], 0, memory_order_relaxed);
  }
  highest = -1;
  atomic_store_explicit(&without_page, 0, memory_order_relaxed);
  pthread_mutex_unlock(&lock); /* of this thread, in fork_begins() */
}

/* With the lock held. What fails here leaves less certain ways: without the page only the C library's fork() is seen,
 * and without the handlers descriptors stay open. */
static void prepare(void) {
  prepared = true;
  (void)pthread_atfork(fork_begins, fork_ended, child_begins);
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return;
  if (madvise(page, 4096, MADV_WIPEONFORK) != 0) {
    (void)munmap(page, 4096); /* our own mapping: cannot fail */
    return;
  }
  cf_process_number = number = page; /* nobody has an object yet that he could ask about */
}

uint32_t cf_process_here(void) {
  pthread_mutex_lock(&lock);
  if (!prepared)
    prepare();
  uint32_t here = atomic_load_explicit(number, memory_order_relaxed);
  if (here == 0) {
    for (int i = 0; i < HOOKS && hooks[i] && last > 0; i++)
      hooks[i]();
    here = ++last;
    atomic_store_explicit(number, here, memory_order_relaxed);
  }
  pthread_mutex_unlock(&lock);
  return here;
}

int cf_process_check(uint32_t maker, const char *what) {
  return cf_process_is(maker)
             ? CUFRAMES_OK
             : cf_fail(CUFRAMES_ERR_INVALID,
                       "the %s was made by the process that this one was forked from, and is good only there: create "
                       "one here, after fork()",
                       what);
}

void cf_process_hook(void (*forget)(void)) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < HOOKS; i++) {
    if (!hooks[i])
      hooks[i] = forget;
    if (hooks[i] == forget)
      break;
  }
  pthread_mutex_unlock(&lock);
}

int cf_private(int fd) {
  if (fd < 0 || fd >= DESCRIPTORS)
    return fd;
  pthread_mutex_lock(&lock);
  atomic_store_explicit(&inodes[fd], inode_of(fd), memory_order_relaxed);
  if (fd > highest)
    highest = fd;
  pthread_mutex_unlock(&lock);
  return fd;
}

bool cf_private_close(int fd) {
  /* without the lock: who closes it is who has it, and knows what was noted. A note may be of another that had the
   * number before. */
  uint64_t noted = fd < DESCRIPTORS ? atomic_load_explicit(&inodes[fd], memory_order_relaxed) : 0;
  if (noted == 0 || noted != inode_of(fd))
    return false;
  /* A socket's close may wait for what its peer put into it (link/discard.h), and who forks must not wait for that. A
   * child that is forked just then keeps a socket that tells the peer nothing any more. */
  bool is_socket = shutdown(fd, SHUT_RDWR) == 0 || errno != ENOTSOCK;
  pthread_mutex_lock(&lock);
  atomic_store_explicit(&inodes[fd], 0, memory_order_relaxed);
  if (!is_socket)
    (void)close(fd); /* nothing was written through it that could be lost */
  pthread_mutex_unlock(&lock);
  if (is_socket)
    (void)close(fd);
  return true;
}
