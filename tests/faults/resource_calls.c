/* faults/resource_calls.c - the functions in place of those that ask for memory and descriptors. */
#include "faults/resource_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The real call, or errno and the value of a failure. */
#define OR_FAIL(kind, error, failure, call) (call_fails(__func__ + strlen("__wrap_"), kind, error) ? (failure) : (call))

FAILING_KIND(void *, mmap, (void *at, size_t bytes, int prot, int flags, int fd, off_t from),
             (at, bytes, prot, flags, fd, from), CALL_MEMORY, ENOMEM, MAP_FAILED)
FAILING_KIND(int, ftruncate, (int fd, off_t bytes), (fd, bytes), CALL_MEMORY, ENOSPC, -1)
FAILING_KIND(int, posix_fallocate, (int fd, off_t from, off_t bytes), (fd, from, bytes), CALL_MEMORY, 0, ENOSPC)
FAILING_KIND(int, pthread_create, (pthread_t * thread, const pthread_attr_t *how, void *(*run)(void *), void *argument),
             (thread, how, run, argument), CALL_MEMORY, 0, EAGAIN)

FAILING_KIND(int, memfd_create, (const char *name, unsigned flags), (name, flags), CALL_DESCRIPTORS, EMFILE, -1)
FAILING_KIND(int, socket, (int domain, int type, int protocol), (domain, type, protocol), CALL_DESCRIPTORS, EMFILE, -1)
FAILING_KIND(int, accept4, (int fd, struct sockaddr *from, socklen_t *length, int flags), (fd, from, length, flags),
             CALL_DESCRIPTORS, EMFILE, -1)
FAILING_KIND(int, eventfd, (unsigned count, int flags), (count, flags), CALL_DESCRIPTORS, EMFILE, -1)
FAILING_KIND(int, epoll_create1, (int flags), (flags), CALL_DESCRIPTORS, EMFILE, -1)

int __real_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event) {
  if (what != EPOLL_CTL_ADD)
    return __real_epoll_ctl(epoll, what, fd, event);
  return OR_FAIL(CALL_DESCRIPTORS, ENOSPC, -1, __real_epoll_ctl(epoll, what, fd, event));
}

/* The mode that follows is passed on; where it does not, nobody looks at it. */
#define MODE_AFTER(last)                                                                                               \
  va_list more_;                                                                                                       \
  va_start(more_, last);                                                                                               \
  mode_t mode = (last)&O_CREAT ? va_arg(more_, mode_t) : 0;                                                            \
  va_end(more_)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  MODE_AFTER(flags);
  return OR_FAIL(CALL_DESCRIPTORS, EMFILE, -1, __real_open(path, flags, mode));
}

int __real_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...) {
  MODE_AFTER(flags);
  return OR_FAIL(CALL_DESCRIPTORS, EMFILE, -1, __real_openat(directory, path, flags, mode));
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...) {
  va_list more;
  va_start(more, what);
  long argument = va_arg(more, long); /* all that the library passes fits it */
  va_end(more);
  if (what != F_DUPFD_CLOEXEC)
    return __real_fcntl(fd, what, argument);
  return OR_FAIL(CALL_DESCRIPTORS, EMFILE, -1, __real_fcntl(fd, what, argument));
}

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  if (name != 77) /* SO_PEERPIDFD, which old headers do not have */
    return __real_getsockopt(fd, level, name, value, length);
  return OR_FAIL(CALL_DESCRIPTORS, EMFILE, -1, __real_getsockopt(fd, level, name, value, length));
}

/* Without room for descriptors the kernel delivers the message, drops them and says that it was cut. */
ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
  ssize_t got = __real_recvmsg(fd, message, flags);
  struct cmsghdr *rights = got > 0 ? CMSG_FIRSTHDR(message) : NULL;
  if (!rights || rights->cmsg_type != SCM_RIGHTS || !call_fails("recvmsg", CALL_DESCRIPTORS, EMFILE))
    return got;
  for (size_t i = 0; i < (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
    int came;
    memcpy(&came, CMSG_DATA(rights) + i * sizeof came, sizeof came);
    close(came);
  }
  message->msg_controllen = 0;
  message->msg_flags |= MSG_CTRUNC;
  return got;
}

/* ---- the heap ---- */

#define KEPT 512

static struct {
  pthread_mutex_t lock;
  size_t size; /* 0: nothing is kept */
  void *free[KEPT], *given[KEPT];
  size_t free_count, given_count;
} reuse = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define BLOCKS 16384

static struct {
  pthread_mutex_t lock;
  const void *block[BLOCKS]; /* open addressing; `gone` marks where one was */
  size_t count;
} heap = { .lock = PTHREAD_MUTEX_INITIALIZER };
static const char gone;

static size_t place(const void *block) {
  return (uintptr_t)block / 16 % BLOCKS;
}

static void *taken(void *block) {
  if (!block)
    return NULL;
  pthread_mutex_lock(&heap.lock);
  size_t at = place(block);
  while (heap.block[at] && heap.block[at] != &gone)
    at = (at + 1) % BLOCKS;
  heap.block[at] = block;
  heap.count++;
  pthread_mutex_unlock(&heap.lock);
  return block;
}

/* What was not taken here (the C library gave it) is not found. */
static void freed(const void *block) {
  pthread_mutex_lock(&heap.lock);
  size_t at = place(block);
  while (heap.block[at] && heap.block[at] != block)
    at = (at + 1) % BLOCKS;
  if (block && heap.block[at]) {
    heap.block[at] = &gone;
    heap.count--;
  }
  pthread_mutex_unlock(&heap.lock);
}

size_t heap_blocks(void) {
  pthread_mutex_lock(&heap.lock);
  size_t count = heap.count;
  pthread_mutex_unlock(&heap.lock);
  return count;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
  return taken(OR_FAIL(CALL_MEMORY, ENOMEM, NULL, __real_malloc(size)));
}

void *__real_calloc(size_t count, size_t size);
void __real_free(void *block);

/* As calloc(): the block freed last, if it is of the size that is kept. */
static void *kept_take(size_t count, size_t size) {
  void *block = NULL;
  pthread_mutex_lock(&reuse.lock);
  bool keep = reuse.size > 0 && count * size == reuse.size && reuse.given_count < KEPT;
  if (keep && reuse.free_count > 0)
    block = memset(reuse.free[--reuse.free_count], 0, reuse.size);
  else
    block = __real_calloc(count, size);
  if (keep && block)
    reuse.given[reuse.given_count++] = block;
  pthread_mutex_unlock(&reuse.lock);
  return block;
}

/* Whether the block is kept instead of freed. */
static bool kept_put(void *block) {
  bool kept = false;
  pthread_mutex_lock(&reuse.lock);
  for (size_t i = 0; i < reuse.given_count && !kept; i++) {
    kept = reuse.given[i] == block;
    if (kept) {
      reuse.given[i] = reuse.given[--reuse.given_count];
      reuse.free[reuse.free_count++] = block;
    }
  }
  pthread_mutex_unlock(&reuse.lock);
  return kept;
}

void heap_reuse(size_t size) {
  pthread_mutex_lock(&reuse.lock);
  reuse.size = size;
  while (reuse.free_count > 0)
    __real_free(reuse.free[--reuse.free_count]);
  reuse.given_count = 0;
  pthread_mutex_unlock(&reuse.lock);
}
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
  return taken(OR_FAIL(CALL_MEMORY, ENOMEM, NULL, kept_take(count, size)));
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return taken(OR_FAIL(CALL_MEMORY, ENOMEM, NULL, __real_aligned_alloc(alignment, size)));
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size) {
  if (call_fails("realloc", CALL_MEMORY, ENOMEM))
    return NULL;
  freed(block);
  return taken(__real_realloc(block, size));
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
  return taken(OR_FAIL(CALL_MEMORY, ENOMEM, NULL, __real_strdup(text)));
}

void __wrap_free(void *block);
void __wrap_free(void *block) {
  freed(block);
  if (!kept_put(block))
    __real_free(block);
}
