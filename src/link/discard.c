/* link/discard.c - letting go of what a peer chose. */
#include "link/discard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "os/clock.h"
#include "os/memory.h"
#include "os/thread.h"

#define USER_THREADS 4
#define THREADS 32
#define WAITING 256
/* From here on nobody new is let in; what is connected may still need the rest. */
#define FULL (WAITING - 64)
/* Messages without descriptors that are looked at before a thread takes over. A socket buffer has room for fewer. */
#define LOOKS 1024
/* Messages with descriptors that are looked at more closely: a subscriber has asked for no more. */
#define ANSWERS 4
/* Descriptors beside each; more are not looked at. */
#define FDS_MOST 2
/* Closing takes microseconds: what takes longer than this waits for somebody. */
#define HELD_UP_NS (200 * CF_MS)

static struct bin {
  pthread_mutex_t lock;
  struct closing {
    int fd;
    uint32_t uid;
  } waiting[WAITING]; /* in the order in which they came */
  size_t count;
  struct closer {
    bool runs, closes;
    uint32_t uid; /* whose file it closes */
    int64_t since;
  } closers[THREADS];
} bin = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- what waits; all of this with the lock held ---- */

static size_t closers_of(uint32_t uid) {
  size_t count = 0;
  for (size_t i = 0; i < THREADS; i++)
    count += bin.closers[i].closes && bin.closers[i].uid == uid;
  return count;
}

static bool may_be_closed(const struct closing *c) {
  return closers_of(c->uid) < USER_THREADS;
}

/* Takes the first that may be closed now. False: none. */
static bool waiting_take(struct closing *taken) {
  for (size_t i = 0; i < bin.count; i++) {
    if (!may_be_closed(&bin.waiting[i]))
      continue;
    *taken = bin.waiting[i];
    bin.count--;
    memmove(&bin.waiting[i], &bin.waiting[i + 1], (bin.count - i) * sizeof bin.waiting[0]);
    return true;
  }
  return false;
}

/* ---- threads ---- */

static void *closer_run(void *argument) {
  struct closer *self = argument;
  struct closing next;
  pthread_mutex_lock(&bin.lock);
  self->closes = false; /* so that it counts for nobody while it chooses */
  while (waiting_take(&next)) {
    self->closes = true;
    self->uid = next.uid;
    self->since = cf_now();
    pthread_mutex_unlock(&bin.lock);
    cf_close(next.fd); /* for as long as it takes */
    pthread_mutex_lock(&bin.lock);
    self->closes = false;
  }
  self->runs = false;
  pthread_mutex_unlock(&bin.lock);
  return NULL;
}

static void lock_for_fork(void) {
  pthread_mutex_lock(&bin.lock);
}

static void unlock_after_fork(void) {
  pthread_mutex_unlock(&bin.lock);
}

/* A child of fork() has the memory and not the threads. Their descriptors stay open there, as all others do. */
static void forget_after_fork(void) {
  bin.count = 0;
  memset(bin.closers, 0, sizeof bin.closers);
  pthread_mutex_unlock(&bin.lock);
}

static void see_forks(void) {
  /* without memory for it only a child of fork() would notice */
  (void)pthread_atfork(lock_for_fork, unlock_after_fork, forget_after_fork);
}

/* One thread more, if there is something for it. Where none can be had it waits for the next closing. */
static void closer_start(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_t thread;
  (void)pthread_once(&once, see_forks);
  for (size_t i = 0; i < bin.count; i++) {
    if (!may_be_closed(&bin.waiting[i]))
      continue;
    for (size_t k = 0; k < THREADS; k++) {
      if (bin.closers[k].runs)
        continue;
      bin.closers[k] = (struct closer){ .runs = true, .closes = true, .uid = bin.waiting[i].uid, .since = cf_now() };
      if (cf_thread_start(&thread, "cuframes-close", closer_run, &bin.closers[k]) == 0)
        (void)pthread_detach(thread); /* it is joinable and ours */
      else
        bin.closers[k] = (struct closer){ .runs = false };
      return;
    }
  }
}

/* ---- descriptors ---- */

/* Memory makes nobody wait who closes it. */
static bool is_memory(int fd) {
  return fcntl(fd, F_GET_SEALS) >= 0;
}

static uint32_t user_of(int connection) {
  struct ucred peer = { .uid = UINT32_MAX };
  socklen_t length = sizeof peer;
  (void)getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length); /* or nobody known */
  return peer.uid;
}

static bool close_later(int fd, uint32_t uid) {
  pthread_mutex_lock(&bin.lock);
  bool room = bin.count < WAITING;
  if (room)
    bin.waiting[bin.count++] = (struct closing){ fd, uid };
  closer_start();
  pthread_mutex_unlock(&bin.lock);
  return room;
}

/* Whether the next message carries memory and nothing else, as answers do that nobody wanted any more; then it is
 * taken. Looking at it gives us descriptors of our own. */
static bool memory_take(int fd) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_LEN(FDS_MOST * sizeof(int))];
  } control;
  struct msghdr header = { .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(sizeof(struct ucred)) + CMSG_LEN(FDS_MOST * sizeof(int)) };
  if (recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
    return false;
  bool memory = !(header.msg_flags & MSG_CTRUNC);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
      int came;
      memcpy(&came, CMSG_DATA(c) + i * sizeof came, sizeof came);
      memory = memory && is_memory(came);
      cf_discard(came, fd);
    }
  }
  if (memory)
    (void)recv(fd, NULL, 0, MSG_DONTWAIT); /* it is there, and nobody else reads */
  return memory;
}

/* Whether no message with descriptors waits in the queue of a connection that nothing can be sent to any more. The
 * kernel then attaches the sender's credentials to every message: they tell an empty one from the end, and leave no
 * room for descriptors, so that they are said to be there (MSG_CTRUNC) and not installed. */
static bool is_clean(int fd) {
  int yes = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0)
    return false;
  for (int i = 0, answers = 0; i < LOOKS; i++) {
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct msghdr header = { .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t got = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno != EINTR && errno != ECONNRESET)
      return errno == EAGAIN || errno == ENOTCONN;
    if (got < 0)
      continue;
    if ((header.msg_flags & MSG_CTRUNC) && (answers++ == ANSWERS || !memory_take(fd)))
      return false;
    if (header.msg_flags & MSG_CTRUNC)
      continue;
    if (header.msg_controllen == 0)
      return true;                         /* the end */
    (void)recv(fd, NULL, 0, MSG_DONTWAIT); /* there is one, and we have seen that it may go */
  }
  return false;
}

bool cf_hang_up(int fd) {
  if (fd < 0)
    return true;
  int error = errno;
  (void)shutdown(fd, SHUT_RDWR); /* a peer that has gone already has done it */
  bool done = true;
  if (is_clean(fd))
    cf_close(fd);
  else
    done = close_later(fd, user_of(fd));
  errno = error;
  return done;
}

void cf_discard(int fd, int connection) {
  int error = errno;
  if (fd < 0)
    return;
  if (is_memory(fd))
    cf_close(fd);
  else
    (void)close_later(fd, user_of(connection)); /* else it stays open, as the header says */
  errno = error;
}

bool cf_discard_is_burdened_by(uint32_t uid) {
  int64_t long_ago = cf_now() - HELD_UP_NS;
  size_t held_up = 0;
  pthread_mutex_lock(&bin.lock);
  for (size_t i = 0; i < THREADS; i++)
    held_up += bin.closers[i].closes && bin.closers[i].uid == uid && bin.closers[i].since < long_ago;
  pthread_mutex_unlock(&bin.lock);
  return held_up >= USER_THREADS;
}

bool cf_discard_is_full(void) {
  pthread_mutex_lock(&bin.lock);
  closer_start(); /* where none could be had before, one may be now */
  bool full = bin.count >= FULL;
  pthread_mutex_unlock(&bin.lock);
  return full;
}
