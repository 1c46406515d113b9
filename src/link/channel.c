/* link/channel.c - whole messages with descriptors over a SOCK_SEQPACKET socket. */
#include "link/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/process.h"

#ifndef SO_PEERPIDFD /* since Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

#ifndef SO_PASSRIGHTS /* since Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif
#define SYS_FCHMODAT2 452 /* on every machine; since Linux 6.6 */

#define BACKLOG 128

static const char *file_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* The address of a path that is in that directory. By way of the descriptor it is short, and is of the very directory
 * that was looked at; where there is no /proc it goes by the path. */
static int address_of(int directory, const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (directory >= 0 && access("/proc/self/fd", X_OK) == 0)
    (void)snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%.80s", directory, file_of(path));
  else if (strlen(path) < sizeof address->sun_path)
    strcpy(address->sun_path, path);
  else
    return cf_fail(CUFRAMES_ERR_DIRECTORY,
                   "the socket path %s is too long without /proc: %zu bytes, and sockets allow %zu; use a shorter "
                   "directory",
                   path, strlen(path), sizeof address->sun_path - 1);
  return CUFRAMES_OK;
}

/* The file that bind() made, and nothing that a link leads to, gets its group and its mode. */
static int socket_permit(int file, const char *path, mode_t mode, int64_t gid) {
  struct stat status;
  char self[32];
  if (fstat(file, &status) != 0)
    return cf_fail_errno("fstat of %s", path);
  if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid())
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "somebody has put something else in the place of the socket %s", path);
  if (gid > 0 && fchownat(file, "", (uid_t)-1, (gid_t)gid, AT_EMPTY_PATH) != 0)
    return cf_fail(CUFRAMES_ERR_PERMISSION, "cannot give the socket %s to group %lld: %s", path, (long long)gid,
                   strerror(errno));
  (void)snprintf(self, sizeof self, "/proc/self/fd/%d", file); /* fchmod() does not take such a descriptor */
  if (chmod(self, mode) != 0 && (errno != ENOENT || syscall(SYS_FCHMODAT2, file, "", mode, AT_EMPTY_PATH) != 0))
    return cf_fail_errno("chmod of %s", path);
  return CUFRAMES_OK;
}

static int socket_listen(int fd, int directory, const char *path, mode_t mode, int64_t gid) {
  struct sockaddr_un address;
  int result = address_of(directory, path, &address), no = 0;
  if (result != CUFRAMES_OK)
    return result;
  (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof no); /* an older kernel does not know it: discard.h */
  if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot create the socket %s: %s", path, strerror(errno));
  int file = openat(directory < 0 ? AT_FDCWD : directory, directory < 0 ? path : file_of(path),
                    O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0)
    return cf_fail_errno("opening the socket %s", path);
  result = socket_permit(file, path, mode, gid);
  cf_close(file);
  if (result == CUFRAMES_OK && listen(fd, BACKLOG) != 0)
    result = cf_fail_errno("listen on %s", path);
  return result;
}

int cf_listen(int directory, const char *path, mode_t mode, int64_t gid, int *listener) {
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return cf_fail_errno("socket");
  int result = socket_listen(fd, directory, path, mode, gid);
  if (result != CUFRAMES_OK) {
    cf_close(fd);
    return result;
  }
  *listener = cf_private(fd);
  return CUFRAMES_OK;
}

/* Closing a socket that listens closes all that waits to be accepted, and what came over it. */
void cf_listen_end(int listener) {
  if (listener < 0)
    return;
  (void)shutdown(listener, SHUT_RDWR); /* cannot fail; nobody can connect any more */
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      (void)cf_hang_up(fd); /* or it stays open */
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      cf_discard(listener, -1);
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      cf_close(listener); /* none is left */
      return;
    }
  }
}

static int connect_error(const char *path, const char *name) {
  switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
    case ENOTDIR:
      return cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "no stream \"%s\": nobody publishes it at %s", name, path);
    case EACCES:
    case EPERM:
      return cf_fail(CUFRAMES_ERR_PERMISSION, "no permission for stream \"%s\": the file system does not let us use %s",
                     name, path);
    case EAGAIN:
    case EINTR: return cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher of \"%s\" takes no connections", name);
    default: return cf_fail_errno("connecting to %s", path);
  }
}

/* connect() waits no longer than until then. */
static int limit_connect(int fd, int64_t deadline) {
  int64_t left = deadline - cf_now();
  if (left < CF_MS)
    left = CF_MS; /* zero would mean for ever */
  struct timeval limit = { .tv_sec = left / CF_SECOND, .tv_usec = left % CF_SECOND / 1000 };
  return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 ? CUFRAMES_OK
                                                                            : cf_fail_errno("SO_SNDTIMEO");
}

/* Whether connect(), which failed as errno says, is to be tried again. */
static bool connect_again(int tries, int64_t *deadline, int64_t until) {
  if (errno == EAGAIN) /* only the time until somebody is asked was over */
    return until < *deadline && cf_now() < *deadline;
  /* the program's signals, also those that stop a process for a while: it is tried at least once more */
  return errno == EINTR && (tries == 0 || !cf_deadline_over(deadline, cf_now()));
}

static int socket_connect(int fd, int directory, const char *path, const char *name, int64_t deadline,
                          const cf_interrupt *interrupt) {
  struct sockaddr_un address;
  int result = address_of(directory, path, &address);
  for (int tries = 0; result == CUFRAMES_OK; tries++) {
    const int64_t until = cf_interrupt_until(interrupt, deadline);
    result = cf_interrupt_check(interrupt);
    if (result == CUFRAMES_OK)
      result = limit_connect(fd, until);
    if (result != CUFRAMES_OK || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
      break;
    if (!connect_again(tries, &deadline, until))
      return connect_error(path, name);
  }
  if (result == CUFRAMES_OK && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    return cf_fail_errno("O_NONBLOCK");
  return result;
}

int cf_connect(int directory, const char *path, const char *name, int64_t deadline, const cf_interrupt *interrupt,
               int *fd) {
  /* a full queue is then said at once; the least time limit of connect() is a sleep of some milliseconds */
  int at_once = deadline == CF_AT_ONCE ? SOCK_NONBLOCK : 0;
  int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | at_once, 0);
  if (s < 0)
    return cf_fail_errno("socket");
  int result = socket_connect(s, directory, path, name, deadline, interrupt);
  if (result != CUFRAMES_OK) {
    cf_close(s);
    return result;
  }
  *fd = cf_private(s);
  return CUFRAMES_OK;
}

int cf_send(int fd, const void *message, size_t length, const int *fds, int fd_count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
  } control;
  struct iovec data = { .iov_base = (void *)message, .iov_len = length };
  struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, (size_t)fd_count * sizeof(int));
  }
  ssize_t sent;
  do
    sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0)
    return CUFRAMES_OK;
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return cf_fail(CUFRAMES_ERR_TIMEOUT, "the peer does not read its messages");
  if (errno == ETOOMANYREFS) /* of this user, in whatever process */
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "too many descriptors that this user sent have not been received yet: raise "
                                           "its limit (ulimit -n), or end who does not receive them");
  return cf_fail_errno("sendmsg");
}

/* The descriptors that came beside a message; there was room for no more than these. */
static void fds_take(struct msghdr *header, cf_fds *fds) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    fds->count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds->fd, CMSG_DATA(c), (size_t)fds->count * sizeof(int));
  }
}

/* What is wrong with a message that was looked at and not taken yet. */
static int message_check(const struct msghdr *header, ssize_t got, int came, int room) {
  bool more = header->msg_flags & MSG_CTRUNC; /* there are descriptors that were not installed */
  if (got == 0 && came == 0 && !more)
    return CF_RECEIVE_CLOSED; /* no message is empty */
  if (got == 0 || (header->msg_flags & MSG_TRUNC) || (more && came == room))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the peer sent a message that is too large or carries too many descriptors");
  if (more)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "no file descriptor is free: raise the limit (ulimit -n)");
  return CUFRAMES_OK;
}

/* A message is looked at first, which gives us descriptors of our own for the files beside it, and taken only if it is
 * as it should be: so no file is closed here for the last time (discard.h). */
int cf_receive(int fd, void *buffer, size_t capacity, size_t *length, cf_fds *fds) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_LEN(sizeof fds->fd)]; /* and not a byte more: who sends more is to be seen */
  } control;
  struct iovec data = { .iov_base = buffer, .iov_len = capacity };
  struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
  cf_fds taken = { .count = 0 };
  if (fds) {
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_LEN(sizeof fds->fd);
    fds->count = 0;
  }
  ssize_t got;
  /* A peer that closes before it has read all we sent resets the connection; the kernel says so once, ahead of what
   * it still sent us, such as a refusal. */
  do
    got = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? CF_RECEIVE_NOTHING : CF_RECEIVE_CLOSED;
  if (fds)
    fds_take(&header, &taken);
  int result = message_check(&header, got, taken.count, fds ? 2 : 0);
  if (result != CUFRAMES_OK) {
    cf_fds_discard(&taken, fd);
    return result;
  }
  (void)recv(fd, NULL, 0, MSG_DONTWAIT); /* takes it: it is there, and nobody else reads */
  if (fds)
    *fds = taken;
  *length = (size_t)got;
  return CUFRAMES_OK;
}

int cf_receive_by(int fd, int64_t deadline, const cf_interrupt *interrupt, void *buffer, size_t capacity,
                  size_t *length, cf_fds *fds) {
  for (;;) {
    int result = cf_receive(fd, buffer, capacity, length, fds);
    if (result == CF_RECEIVE_CLOSED)
      return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher closed the connection");
    if (result != CF_RECEIVE_NOTHING)
      return result;
    result = cf_interrupt_check(interrupt);
    if (result != CUFRAMES_OK)
      return result;
    const int64_t until = cf_interrupt_until(interrupt, deadline);
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    int n = poll(&ready, 1, cf_deadline_poll_ms(until));
    if (n == 0 && until == deadline)
      return cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher did not answer in time");
    if (n < 0 && errno != EINTR)
      return cf_fail_errno("poll");
  }
}

void cf_fds_discard(cf_fds *fds, int connection) {
  for (int i = 0; i < fds->count; i++)
    cf_discard(fds->fd[i], connection);
  fds->count = 0;
}

void cf_fds_close(cf_fds *fds) {
  cf_fds_discard(fds, -1);
}

int cf_credentials_of(int fd, cf_credentials *credentials) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return cf_fail_errno("SO_PEERCRED");
  *credentials = (cf_credentials){ .pid = peer.pid, .uid = peer.uid, .gid = peer.gid };
  return CUFRAMES_OK;
}

int cf_peer_pidfd(int fd, const cf_credentials *credentials) {
  int pidfd;
  socklen_t length = sizeof pidfd;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0)
    return cf_private(pidfd);
  /* older kernels: by number, while the connection shows that the process was there a moment ago */
  return credentials->pid > 0 ? cf_private((int)syscall(SYS_pidfd_open, credentials->pid, 0)) : -1;
}
