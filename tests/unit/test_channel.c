/* test_channel.c - the socket layer when the system says no, or something rare: every failure has its code and its
 * words, outputs stay as they were, and no descriptor is left.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "link/channel.h"
#include "support/failing_calls.h"
#include "support/fixture.h"

#define PIDFD 77 /* SO_PEERPIDFD, which old headers do not have */

FAILING(int, listen, (int fd, int backlog), (fd, backlog))
FAILING(int, chmod, (const char *path, mode_t mode), (path, mode))
FAILING(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
        (fd, level, name, value, length))
FAILING(int, connect, (int fd, const struct sockaddr *to, socklen_t length), (fd, to, length))
FAILING(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FAILING(int, poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms))

int __real_chown(const char *path, uid_t uid, gid_t gid);
int __wrap_chown(const char *path, uid_t uid, gid_t gid);
int __wrap_chown(const char *path, uid_t uid, gid_t gid) {
  (void)gid; /* only root could give it to any */
  return call_fails("chown", CALL_OTHER, 0) ? -1 : __real_chown(path, uid, getegid());
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...) {
  va_list more;
  va_start(more, what);
  long argument = va_arg(more, long);
  va_end(more);
  return call_fails("fcntl", CALL_OTHER, 0) ? -1 : __real_fcntl(fd, what, argument);
}

static int pidfd_given = -1; /* what a kernel gives that knows how; -1: it does not */

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  if (call_fails("getsockopt", CALL_OTHER, 0))
    return -1;
  if (name != PIDFD)
    return __real_getsockopt(fd, level, name, value, length);
  errno = ENOPROTOOPT;
  memcpy(value, &pidfd_given, sizeof pidfd_given);
  return pidfd_given < 0 ? -1 : 0;
}

static bool other_level; /* what comes beside a message is of another protocol */

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
  if (call_fails("recvmsg", CALL_OTHER, 0))
    return -1;
  ssize_t got = __real_recvmsg(fd, message, flags);
  if (other_level && got > 0)
    CMSG_FIRSTHDR(message)->cmsg_level = SOL_SOCKET + 1;
  return got;
}

/* ---- listening ---- */

static const char *long_path(void) {
  static char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
  memset(path, 'a', sizeof path - 1);
  return path;
}

static void a_path_must_fit(void **state) {
  (void)state;
  int fd = 4711;
  CHECK_RESULT(cf_listen(long_path(), 0600, 0, &fd), CUFRAMES_ERR_DIRECTORY);
  detail_names("too long");
  CHECK_RESULT(cf_connect(long_path(), "s", 0, &fd), CUFRAMES_ERR_DIRECTORY);
  detail_names("too long");
  assert_int_equal(fd, 4711);
}

static void listening_fails_at_any_step(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int error, result;
  } steps[] = { { "chown", EPERM, CUFRAMES_ERR_PERMISSION },
                { "chmod", EIO, CUFRAMES_ERR_SYSTEM },
                { "listen", EIO, CUFRAMES_ERR_SYSTEM } };
  const char *path = fixture_path("s.sock");
  int listener = 4711;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    int before = fixture_descriptors();
    failing_next(steps[i].name, steps[i].error, 1);
    CHECK_RESULT(cf_listen(path, 0600, 12345, &listener), steps[i].result);
    assert_true(failing_end());
    detail_names(path);
    detail_names(strerror(steps[i].error));
    assert_int_equal(fixture_descriptors(), before);
    assert_int_equal(listener, 4711);
    assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(mkdir(path, 0700), 0); /* something is there */
  CHECK_RESULT(cf_listen(path, 0600, 0, &listener), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(rmdir(path), 0);
  CHECK_OK(cf_listen(path, 0640, 12345, &listener));
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0640);
  close(listener);
  assert_int_equal(unlink(path), 0);
}

/* ---- connecting ---- */

static void every_way_not_to_connect_has_its_code(void **state) {
  (void)state;
  static const struct {
    int error, result;
  } ways[] = {
    { ENOENT, CUFRAMES_ERR_NO_SUCH_STREAM },  { ECONNREFUSED, CUFRAMES_ERR_NO_SUCH_STREAM },
    { ENOTDIR, CUFRAMES_ERR_NO_SUCH_STREAM }, { EACCES, CUFRAMES_ERR_PERMISSION },
    { EPERM, CUFRAMES_ERR_PERMISSION },       { EAGAIN, CUFRAMES_ERR_TIMEOUT },
    { ELOOP, CUFRAMES_ERR_SYSTEM },
  };
  int fd = 4711, before = fixture_descriptors();
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    failing_next("connect", ways[i].error, 1);
    CHECK_RESULT(cf_connect(fixture_path("s.sock"), "s", cuframes_now() + SECOND, &fd), ways[i].result);
    assert_true(failing_end());
    detail_names("s");
  }
  assert_int_equal(fd, 4711);
  assert_int_equal(fixture_descriptors(), before);
}

static void connecting_outlasts_signals_until_the_deadline(void **state) {
  (void)state;
  const char *path = fixture_path("s.sock");
  int listener, fd = -1;
  CHECK_OK(cf_listen(path, 0600, 0, &listener));
  failing_next("connect", EINTR, 3);
  CHECK_OK(cf_connect(path, "s", cuframes_now() + patience(), &fd));
  assert_true(failing_end());
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  close(fd);
  fd = 4711;
  failing_next("connect", EINTR, 1);
  CHECK_RESULT(cf_connect(path, "s", cuframes_now(), &fd),
               CUFRAMES_ERR_SYSTEM); /* there is no more time to try again */
  assert_true(failing_end());
  detail_names(strerror(EINTR));
  failing_next("setsockopt", ENOPROTOOPT, 1);
  CHECK_RESULT(cf_connect(path, "s", cuframes_now() + SECOND, &fd), CUFRAMES_ERR_SYSTEM); /* it could wait for ever */
  assert_true(failing_end());
  detail_names("SO_SNDTIMEO");
  failing_next("fcntl", EIO, 1);
  CHECK_RESULT(cf_connect(path, "s", cuframes_now() + SECOND, &fd), CUFRAMES_ERR_SYSTEM);
  assert_true(failing_end());
  detail_names("O_NONBLOCK");
  assert_int_equal(fd, 4711);
  close(listener);
  assert_int_equal(unlink(path), 0);
}

/* ---- messages ---- */

static void pair_open(int ends[2]) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void pair_close(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

static void messages_outlast_signals(void **state) {
  (void)state;
  int ends[2];
  char text[8] = "";
  size_t length = 4711;
  cf_fds fds;
  pair_open(ends);
  failing_next("sendmsg", EINTR, 3);
  CHECK_OK(cf_send(ends[0], "hello", 6, NULL, 0));
  assert_true(failing_end());
  failing_next("recvmsg", EINTR, 3);
  CHECK_OK(cf_receive(ends[1], text, sizeof text, &length, &fds));
  assert_true(failing_end());
  assert_string_equal(text, "hello");
  CHECK_OK(cf_send(ends[0], "again", 6, NULL, 0));
  failing_next("recvmsg", ECONNRESET, 1); /* ahead of what was sent before that */
  CHECK_OK(cf_receive(ends[1], text, sizeof text, &length, &fds));
  assert_true(failing_end());
  assert_string_equal(text, "again");
  assert_int_equal(length, 6);
  pair_close(ends);
}

static void messages_that_fail_say_why(void **state) {
  (void)state;
  int ends[2];
  char text[8];
  size_t length = 4711;
  cf_fds fds;
  pair_open(ends);
  failing_next("sendmsg", EAGAIN, 1);
  CHECK_RESULT(cf_send(ends[0], "hello", 6, NULL, 0), CUFRAMES_ERR_TIMEOUT);
  failing_next("sendmsg", EPIPE, 1);
  CHECK_RESULT(cf_send(ends[0], "hello", 6, NULL, 0), CUFRAMES_ERR_SYSTEM);
  detail_names(strerror(EPIPE));
  CHECK_RESULT(cf_receive(ends[1], text, sizeof text, &length, &fds), CF_RECEIVE_NOTHING);
  failing_next("recvmsg", EIO, 1);
  CHECK_RESULT(cf_receive(ends[1], text, sizeof text, &length, &fds), CF_RECEIVE_CLOSED);
  assert_true(failing_end());
  assert_int_equal(length, 4711);
  pair_close(ends);
}

static void only_descriptors_are_taken_from_beside_a_message(void **state) {
  (void)state;
  int ends[2], yes = 1;
  char text[8];
  size_t length;
  cf_fds fds;
  pair_open(ends);
  assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes), 0); /* credentials come */
  for (int i = 0; i < 2; i++) {
    other_level = i == 1;
    CHECK_OK(cf_send(ends[0], "hello", 6, NULL, 0));
    CHECK_OK(cf_receive(ends[1], text, sizeof text, &length, &fds));
    assert_int_equal(fds.count, 0);
  }
  other_level = false;
  pair_close(ends);
}

static void waiting_for_a_message_outlasts_signals_and_nothing_else(void **state) {
  (void)state;
  int ends[2];
  char text[8];
  size_t length;
  cf_fds fds;
  pair_open(ends);
  failing_next("poll", EINTR, 2);
  CHECK_RESULT(cf_receive_by(ends[1], cuframes_now() + 20 * MS, text, sizeof text, &length, &fds),
               CUFRAMES_ERR_TIMEOUT);
  assert_true(failing_end());
  failing_next("poll", EIO, 1);
  CHECK_RESULT(cf_receive_by(ends[1], cuframes_now() + patience(), text, sizeof text, &length, &fds),
               CUFRAMES_ERR_SYSTEM);
  assert_true(failing_end());
  detail_names(strerror(EIO));
  CHECK_OK(cf_send(ends[0], "hello", 6, NULL, 0));
  CHECK_OK(cf_receive_by(ends[1], cuframes_now() + patience(), text, sizeof text, &length, &fds));
  pair_close(ends);
}

/* ---- who is there ---- */

static void a_peer_without_credentials_is_nobody(void **state) {
  (void)state;
  int ends[2];
  cf_credentials peer = { .pid = 4711 };
  pair_open(ends);
  failing_next("getsockopt", ENOPROTOOPT, 1);
  CHECK_RESULT(cf_credentials_of(ends[0], &peer), CUFRAMES_ERR_SYSTEM);
  assert_true(failing_end());
  assert_int_equal(peer.pid, 4711);
  CHECK_OK(cf_credentials_of(ends[0], &peer));
  assert_true(peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid());
  pair_close(ends);
}

static void a_peers_death_is_watched_in_either_way(void **state) {
  (void)state;
  int ends[2];
  cf_credentials self = { .pid = getpid() }, unseen = { .pid = 0 };
  pair_open(ends);
  pidfd_given = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
  assert_true(pidfd_given >= 0);
  assert_int_equal(cf_peer_pidfd(ends[0], &self), pidfd_given); /* by the connection */
  close(pidfd_given);
  pidfd_given = -1;
  int pidfd = cf_peer_pidfd(ends[0], &self); /* by number */
  assert_true(pidfd >= 0);
  struct pollfd living = { .fd = pidfd, .events = POLLIN };
  assert_int_equal(poll(&living, 1, 0), 0);
  close(pidfd);
  assert_int_equal(cf_peer_pidfd(ends[0], &unseen), -1); /* in another PID namespace */
  pair_close(ends);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_path_must_fit),
    FIXTURE(listening_fails_at_any_step),
    FIXTURE(every_way_not_to_connect_has_its_code),
    FIXTURE(connecting_outlasts_signals_until_the_deadline),
    FIXTURE(messages_outlast_signals),
    FIXTURE(messages_that_fail_say_why),
    FIXTURE(only_descriptors_are_taken_from_beside_a_message),
    FIXTURE(waiting_for_a_message_outlasts_signals_and_nothing_else),
    FIXTURE(a_peer_without_credentials_is_nobody),
    FIXTURE(a_peers_death_is_watched_in_either_way),
  };
  return FIXTURE_RUN("channel", tests);
}
