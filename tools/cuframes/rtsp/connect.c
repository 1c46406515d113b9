/* connect.c - a connection to a camera: its addresses are tried one after the other, as long as nobody says stop. */
#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libavutil/error.h>
#include <libavutil/log.h>

#define STEP_MS 100
#define STEPS_MOST 50 /* with one address, where there are others */

/* 0, or an errno; ECANCELED: it was stopped. */
static int await(int fd, bool (*stop)(void *), void *user, bool others) {
  for (int step = 0; !others || step < STEPS_MOST; step++) {
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    const int ready = poll(&p, 1, STEP_MS);
    if (ready < 0 && errno != EINTR)
      return errno;
    if (ready > 0) {
      int error = 0;
      socklen_t size = sizeof error;
      return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
    }
    if (stop != NULL && stop(user))
      return ECANCELED;
  }
  return ETIMEDOUT;
}

static int connect_to(const struct addrinfo *to, bool (*stop)(void *), void *user, int *error) {
  const int on = 1, fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    *error = errno;
    return -1;
  }
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* it is only slower without */
  *error = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
  if (*error == EINPROGRESS)
    *error = await(fd, stop, user, to->ai_next != NULL);
  if (*error == 0)
    return fd;
  close(fd);
  return -1;
}

int rtsp_connect(const char *host, const char *port, bool (*stop)(void *), void *user, char *peer) {
  const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
  struct addrinfo *found = NULL;
  int fd = -1, error = EHOSTUNREACH;
  const int code = getaddrinfo(host, port, &hints, &found);
  if (code != 0) {
    av_log(NULL, AV_LOG_ERROR, "Failed to resolve hostname %s: %s\n", host, gai_strerror(code));
    return AVERROR(EIO);
  }
  for (const struct addrinfo *to = found; to != NULL && fd < 0 && error != ECANCELED; to = to->ai_next) {
    fd = connect_to(to, stop, user, &error);
    if (fd >= 0 && getnameinfo(to->ai_addr, to->ai_addrlen, peer, RTSP_PEER_MAX, NULL, 0, NI_NUMERICHOST) != 0)
      *peer = '\0';
  }
  freeaddrinfo(found);
  return fd >= 0 ? fd : error == ECANCELED ? AVERROR_EXIT : AVERROR(error);
}
