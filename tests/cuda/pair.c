/* pair.c - two forked processes that run together, with a line between them. */
#include "pair.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fixture.h"

typedef struct role {
  pair_role *run;
  int link, other; /* its own end of the line, and that which is not its own */
} role;

static void run_role(int test, void *user) {
  const role *p = user;
  close(p->other); /* or it would not hear the other one die */
  hear(test);
  p->run(p->link);
  say(test, 0);
  hear(test); /* until both are done, or one is killed */
}

pair pair_begin(pair_role *a, pair_role *b) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  role two[2] = { { a, ends[0], ends[1] }, { b, ends[1], ends[0] } };
  pair p = { .a = child_start(run_role, &two[0]), .b = child_start(run_role, &two[1]) };
  close(ends[0]);
  close(ends[1]);
  say(p.a->fd, 0);
  say(p.b->fd, 0);
  return p;
}

void pair_finish(child *c) {
  say(c->fd, 0);
  child_finish(c);
}

void pair_run(pair_role *a, pair_role *b) {
  pair p = pair_begin(a, b);
  (void)hear_of_many(p.a->fd);
  (void)hear_of_many(p.b->fd);
  pair_finish(p.a);
  pair_finish(p.b);
}

void pair_run_and_kill(pair_role *a, pair_role *b) {
  pair p = pair_begin(a, b);
  (void)hear_of_many(p.a->fd);
  child_kill(p.a);
  (void)hear_of_many(p.b->fd);
  pair_finish(p.b);
}

void wait_for_death(int link) {
  struct pollfd poll_link = { .fd = link };
  CHECK(poll(&poll_link, 1, (int)(patience() / MS)) == 1 && (poll_link.revents & POLLHUP));
}

void give(int link, const void *bytes, size_t size, int fd) {
  char control[CMSG_SPACE(sizeof(int))] = { 0 };
  struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd) };
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  CHECK(sendmsg(link, &message, MSG_NOSIGNAL) == (ssize_t)size);
  if (fd >= 0)
    close(fd);
}

int get(int link, void *bytes, size_t size) {
  char control[CMSG_SPACE(sizeof(int))] = { 0 };
  struct iovec part = { .iov_base = bytes, .iov_len = size };
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
  };
  CHECK(recvmsg(link, &message, MSG_CMSG_CLOEXEC) == (ssize_t)size);
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int fd = -1;
  if (header)
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}
