/* support/attack.c - what somebody who means harm has at hand. */
#include "support/attack.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/memory.h"
#include "support/fixture.h"

#define MOST 253 /* descriptors beside one message; the kernel takes no more */

tar_pit tar_pit_new(void) {
  struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t length = sizeof here;
  struct linger linger = { .l_onoff = 1, .l_linger = 600 };
  static const char bytes[65536];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  tar_pit pit = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
  CHECK(listener >= 0 && pit.fd >= 0);
  CHECK(bind(listener, (struct sockaddr *)&here, sizeof here) == 0 && listen(listener, 1) == 0);
  CHECK(getsockname(listener, (struct sockaddr *)&here, &length) == 0);
  CHECK(connect(pit.fd, (struct sockaddr *)&here, sizeof here) == 0);
  pit.other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  close(listener);
  CHECK(pit.other >= 0 && setsockopt(pit.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
  while (send(pit.fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) /* until nobody takes any more */
    ;
  return pit;
}

void tar_pit_end(tar_pit *pit) {
  cf_close(pit->other); /* with data that nobody read: a reset, and nobody waits any more */
  cf_close(pit->fd);
  *pit = (tar_pit){ -1, -1 };
}

bool send_with(int to, const void *message, size_t length, int fd, int count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MOST * sizeof(int))];
  } control;
  int fds[MOST];
  struct iovec data = { .iov_base = (void *)message, .iov_len = length };
  struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes };
  CHECK(count > 0 && count <= MOST);
  memset(&control, 0, sizeof control);
  header.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
  struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
  for (int i = 0; i < count; i++)
    fds[i] = fd;
  memcpy(CMSG_DATA(rights), fds, (size_t)count * sizeof(int));
  return sendmsg(to, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void *close_apart(void *fd) {
  close((int)(intptr_t)fd);
  return NULL;
}

void tar_pit_let_go(tar_pit *pit) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, close_apart, (void *)(intptr_t)pit->fd) == 0);
  CHECK(pthread_detach(thread) == 0);
  pit->fd = -1;
}

bool send_tar(int to, tar_pit *pit) {
  bool sent = send_with(to, "tar", 3, pit->fd, 1);
  if (sent)
    tar_pit_let_go(pit);
  return sent;
}
