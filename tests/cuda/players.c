/* players.c - two forked processes that play a scene together, with a line between them. */
#include "players.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/scene.h"

typedef struct player {
  players_role *play;
  int link, other; /* its own end of the line, and that which is not its own */
} player;

static void run_player(int test, void *user) {
  const player *p = user;
  close(p->other); /* or it would not hear the other one die */
  hear(test);
  p->play(p->link);
  say(test, 0);
  hear(test); /* until both are done, or one is killed */
}

players players_begin(players_role *a, players_role *b) {
  int ends[2];
  NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  player two[2] = { { a, ends[0], ends[1] }, { b, ends[1], ends[0] } };
  players p = { .a = child_start(run_player, &two[0]), .b = child_start(run_player, &two[1]) };
  close(ends[0]);
  close(ends[1]);
  say(p.a->fd, 0);
  say(p.b->fd, 0);
  return p;
}

void players_finish(child *c) {
  say(c->fd, 0);
  child_finish(c);
}

void players_play(players_role *a, players_role *b) {
  players p = players_begin(a, b);
  (void)hear_of_many(p.a->fd);
  (void)hear_of_many(p.b->fd);
  players_finish(p.a);
  players_finish(p.b);
}

void players_play_and_kill(players_role *a, players_role *b) {
  players p = players_begin(a, b);
  (void)hear_of_many(p.a->fd);
  child_kill(p.a);
  (void)hear_of_many(p.b->fd);
  players_finish(p.b);
}

void wait_for_death(int link) {
  struct pollfd poll_link = { .fd = link };
  NEED(poll(&poll_link, 1, (int)(patience() / MS)) == 1 && (poll_link.revents & POLLHUP));
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
  NEED(sendmsg(link, &message, MSG_NOSIGNAL) == (ssize_t)size);
  if (fd >= 0)
    close(fd);
}

int get(int link, void *bytes, size_t size) {
  char control[CMSG_SPACE(sizeof(int))] = { 0 };
  struct iovec part = { .iov_base = bytes, .iov_len = size };
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
  };
  NEED(recvmsg(link, &message, MSG_CMSG_CLOEXEC) == (ssize_t)size);
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int fd = -1;
  if (header)
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}
