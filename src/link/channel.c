/* link/channel.c - whole messages with descriptors over a SOCK_SEQPACKET socket. */
#include "link/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"

#ifndef SO_PEERPIDFD /* since Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

#define BACKLOG 128
/* More than a message may carry, so that surplus ones are seen and closed rather than cut off. */
#define FDS_LOOKED_FOR 8

static int address_of(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "the socket path %s is too long", path);
  strcpy(address->sun_path, path);
  return CUFRAMES_OK;
}

static int socket_listen(int fd, const char *path, const struct sockaddr_un *address, mode_t mode, int64_t gid) {
  if (bind(fd, (const struct sockaddr *)address, sizeof *address) != 0)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot create the socket %s: %s", path, strerror(errno));
  if (gid > 0 && chown(path, (uid_t)-1, (gid_t)gid) != 0)
    return cf_fail(CUFRAMES_ERR_PERMISSION, "cannot give the socket %s to group %lld: %s", path, (long long)gid,
                   strerror(errno));
  if (chmod(path, mode) != 0)
    return cf_fail_errno("chmod of %s", path);
  if (listen(fd, BACKLOG) != 0)
    return cf_fail_errno("listen on %s", path);
  return CUFRAMES_OK;
}

int cf_listen(const char *path, mode_t mode, int64_t gid, int *listener) {
  struct sockaddr_un address;
  int result = address_of(path, &address);
  if (result != CUFRAMES_OK)
    return result;
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return cf_fail_errno("socket");
  result = socket_listen(fd, path, &address, mode, gid);
  if (result != CUFRAMES_OK) {
    cf_close(fd);
    return result;
  }
  *listener = fd;
  return CUFRAMES_OK;
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
    case EAGAIN: return cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher of \"%s\" takes no connections", name);
    default: return cf_fail_errno("connecting to %s", path);
  }
}

static int socket_connect(int fd, const struct sockaddr_un *address, const char *name, int64_t deadline) {
  int64_t left = deadline - cf_now();
  if (left < CF_MS)
    left = CF_MS; /* zero would mean for ever */
  struct timeval limit = { .tv_sec = left / CF_SECOND, .tv_usec = left % CF_SECOND / 1000 };
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
    return cf_fail_errno("SO_SNDTIMEO");
  int connected;
  do
    connected = connect(fd, (const struct sockaddr *)address, sizeof *address);
  while (connected != 0 && errno == EINTR && cf_now() < deadline); /* the program's signals */
  if (connected != 0)
    return connect_error(address->sun_path, name);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    return cf_fail_errno("O_NONBLOCK");
  return CUFRAMES_OK;
}

int cf_connect(const char *path, const char *name, int64_t deadline, int *fd) {
  struct sockaddr_un address;
  int result = address_of(path, &address);
  if (result != CUFRAMES_OK)
    return result;
  /* a full queue is then said at once; the least time limit of connect() is a sleep of some milliseconds */
  int at_once = deadline == CF_AT_ONCE ? SOCK_NONBLOCK : 0;
  int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | at_once, 0);
  if (s < 0)
    return cf_fail_errno("socket");
  result = socket_connect(s, &address, name, deadline);
  if (result != CUFRAMES_OK) {
    cf_close(s);
    return result;
  }
  *fd = s;
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
  return cf_fail_errno("sendmsg");
}

static void fds_take(struct msghdr *header, cf_fds *fds, int *surplus) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (fds->count < 2) {
        fds->fd[fds->count++] = fd;
      } else {
        cf_close(fd);
        ++*surplus;
      }
    }
  }
}

int cf_receive(int fd, void *buffer, size_t capacity, size_t *length, cf_fds *fds) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_LOOKED_FOR * sizeof(int))];
  } control;
  struct iovec data = { .iov_base = buffer, .iov_len = capacity };
  struct msghdr header = {
    .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
  };
  fds->count = 0;
  ssize_t got;
  /* A peer that closes before it has read all we sent resets the connection; the kernel says so once, ahead of what
   * it still sent us, such as a refusal. */
  do
    got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return CF_RECEIVE_NOTHING;
  if (got <= 0)
    return CF_RECEIVE_CLOSED; /* end of file, or reset: the peer is gone either way; no message is empty */
  int surplus = 0;
  fds_take(&header, fds, &surplus);
  if ((header.msg_flags & MSG_TRUNC) || surplus > 0) {
    cf_fds_close(fds);
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the peer sent a message that is too large or carries too many descriptors");
  }
  if (header.msg_flags & MSG_CTRUNC) { /* the kernel found no free descriptor */
    cf_fds_close(fds);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "no file descriptor is free: raise the limit (ulimit -n)");
  }
  *length = (size_t)got;
  return CUFRAMES_OK;
}

int cf_receive_by(int fd, int64_t deadline, void *buffer, size_t capacity, size_t *length, cf_fds *fds) {
  for (;;) {
    int result = cf_receive(fd, buffer, capacity, length, fds);
    if (result == CF_RECEIVE_CLOSED)
      return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher closed the connection");
    if (result != CF_RECEIVE_NOTHING)
      return result;
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    int n = poll(&ready, 1, cf_deadline_poll_ms(deadline));
    if (n == 0)
      return cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher did not answer in time");
    if (n < 0 && errno != EINTR)
      return cf_fail_errno("poll");
  }
}

void cf_fds_close(cf_fds *fds) {
  for (int i = 0; i < fds->count; i++)
    cf_close(fds->fd[i]);
  fds->count = 0;
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
    return pidfd;
  /* older kernels: by number, while the connection shows that the process was there a moment ago */
  return credentials->pid > 0 ? (int)syscall(SYS_pidfd_open, credentials->pid, 0) : -1;
}
