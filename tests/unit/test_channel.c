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
#include "link/discard.h"
#include "os/clock.h"
#include "support/attack.h"
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

int __real_fchownat(int directory, const char *path, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat(int directory, const char *path, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat(int directory, const char *path, uid_t uid, gid_t gid, int flags) {
  (void)gid; /* only root could give it to any */
  return call_fails("fchownat", CALL_OTHER, 0) ? -1 : __real_fchownat(directory, path, uid, getegid(), flags);
}

/* What happens to the socket's file between bind() and the look at it. */
static void (*bound)(void);

int __real_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...) {
  if (bound)
    bound();
  bound = NULL;
  return call_fails("openat", CALL_OTHER, 0) ? -1 : __real_openat(directory, path, flags, 0);
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

FAILING(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))

/* ---- listening ---- */

static const char *long_path(void) {
  static char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
  memset(path, 'a', sizeof path - 1);
  return path;
}

static void a_path_must_fit(void **state) {
  (void)state;
  int fd = 4711;
  CHECK_RESULT(cf_listen(-1, long_path(), 0600, 0, &fd), CUFRAMES_ERR_DIRECTORY);
  detail_names("too long");
  CHECK_RESULT(cf_connect(-1, long_path(), "s", 0, NULL, &fd), CUFRAMES_ERR_DIRECTORY);
  detail_names("too long");
  assert_int_equal(fd, 4711);
}

static void listening_fails_at_any_step(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int error, result;
  } steps[] = { { "openat", EACCES, CUFRAMES_ERR_SYSTEM },
                { "fchownat", EPERM, CUFRAMES_ERR_PERMISSION },
                { "chmod", EIO, CUFRAMES_ERR_SYSTEM },
                { "listen", EIO, CUFRAMES_ERR_SYSTEM } };
  const char *path = fixture_path("s.sock");
  int listener = 4711;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    int before = fixture_descriptors();
    failing_next(steps[i].name, steps[i].error, 1);
    CHECK_RESULT(cf_listen(-1, path, 0600, 12345, &listener), steps[i].result);
    assert_true(failing_end());
    detail_names(path);
    detail_names(strerror(steps[i].error));
    assert_int_equal(fixture_descriptors(), before);
    assert_int_equal(listener, 4711);
    assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(mkdir(path, 0700), 0); /* something is there */
  CHECK_RESULT(cf_listen(-1, path, 0600, 0, &listener), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(rmdir(path), 0);
  CHECK_OK(cf_listen(-1, path, 0640, 12345, &listener));
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0640);
  close(listener);
  assert_int_equal(unlink(path), 0);
}

static void put_a_link_there(void) {
  assert_int_equal(unlink(fixture_path("s.sock")), 0);
  assert_int_equal(symlink("secret", fixture_path("s.sock")), 0);
}

static void put_a_file_there(void) {
  assert_int_equal(unlink(fixture_path("s.sock")), 0);
  assert_int_equal(link(fixture_path("secret"), fixture_path("s.sock")), 0);
}

/* A member of the directory's group was quick: no file but the socket gets another mode, wherever a link leads. */
static void no_other_file_gets_the_sockets_mode(void **state) {
  (void)state;
  static void (*const ways[])(void) = { put_a_link_there, put_a_file_there };
  int secret = open(fixture_path("secret"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), listener = 4711;
  assert_true(secret >= 0 && fchmod(secret, 0600) == 0);
  for (size_t i = 0; i < 2; i++) {
    struct stat status;
    bound = ways[i];
    CHECK_RESULT(cf_listen(-1, fixture_path("s.sock"), 0666, 12345, &listener), CUFRAMES_ERR_DIRECTORY);
    detail_names("something else");
    assert_int_equal(fstat(secret, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(unlink(fixture_path("s.sock")), 0);
  }
  close(secret);
  assert_int_equal(unlink(fixture_path("secret")), 0);
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
    CHECK_RESULT(cf_connect(-1, fixture_path("s.sock"), "s", cuframes_now() + SECOND, NULL, &fd), ways[i].result);
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
  CHECK_OK(cf_listen(-1, path, 0600, 0, &listener));
  failing_next("connect", EINTR, 3);
  CHECK_OK(cf_connect(-1, path, "s", cuframes_now() + patience(), NULL, &fd));
  assert_true(failing_end());
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  close(fd);
  fd = 4711;
  failing_next("connect", EINTR, INT32_MAX);
  CHECK_RESULT(cf_connect(-1, path, "s", cuframes_now(), NULL, &fd),
               CUFRAMES_ERR_TIMEOUT); /* no more time to try again */
  (void)failing_end();
  failing_next("connect", EINTR, 1); /* stopped until it was too late: nobody knows whether there would be room */
  CHECK_OK(cf_connect(-1, path, "s", cuframes_now() - 10 * SECOND, NULL, &fd));
  assert_true(failing_end());
  close(fd);
  fd = 4711;
  failing_next("setsockopt", ENOPROTOOPT, 1);
  CHECK_RESULT(cf_connect(-1, path, "s", cuframes_now() + SECOND, NULL, &fd),
               CUFRAMES_ERR_SYSTEM); /* it could wait for ever */
  assert_true(failing_end());
  detail_names("SO_SNDTIMEO");
  failing_next("fcntl", EIO, 1);
  CHECK_RESULT(cf_connect(-1, path, "s", cuframes_now() + SECOND, NULL, &fd), CUFRAMES_ERR_SYSTEM);
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

/* Nobody's last descriptor of a file is closed by looking at a message: what is wrong stays where it is. */
static void what_carries_too_much_is_not_taken(void **state) {
  (void)state;
  static const struct {
    size_t length;
    int count;
  } messages[] = { { 6, 3 }, { 6, 8 }, { 6, 253 }, { 0, 1 }, { 0, 8 }, { 0, 253 }, { 20, 1 } };
  for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
    for (int takes = 0; takes < 2; takes++) {
      int ends[2], before = fixture_descriptors();
      char text[8], long_text[20] = "hello";
      size_t length = 4711;
      cf_fds fds;
      pair_open(ends);
      CHECK(send_with(ends[0], long_text, messages[i].length, STDERR_FILENO, messages[i].count));
      for (int k = 0; k < 2; k++) { /* it is still there */
        CHECK_RESULT(cf_receive(ends[1], text, sizeof text, &length, takes ? &fds : NULL), CUFRAMES_ERR_PROTOCOL);
        assert_true(length == 4711 && (!takes || fds.count == 0));
      }
      close(ends[0]);
      assert_true(cf_hang_up(ends[1]));
      WAIT_FOR(fixture_descriptors() == before);
    }
  }
}

static void up_to_two_descriptors_are_taken(void **state) {
  (void)state;
  for (int count = 0; count <= 2; count++) {
    int ends[2], before = fixture_descriptors();
    char text[8] = "";
    size_t length;
    cf_fds fds, none;
    pair_open(ends);
    CHECK(count ? send_with(ends[0], "hello", 6, STDERR_FILENO, count) : send(ends[0], "hello", 6, 0) == 6);
    CHECK_OK(cf_receive(ends[1], text, sizeof text, &length, &fds));
    assert_true(fds.count == count && length == 6);
    assert_string_equal(text, "hello");
    assert_int_equal(fixture_descriptors(), before + 2 + count);
    CHECK_RESULT(cf_receive(ends[1], text, sizeof text, &length, &none), CF_RECEIVE_NOTHING);
    for (int i = 0; i < count; i++)
      assert_true(fcntl(fds.fd[i], F_GETFD) & FD_CLOEXEC);
    CHECK(send_with(ends[0], "again", 6, STDERR_FILENO, 1));
    CHECK_RESULT(cf_receive(ends[1], text, sizeof text, &length, NULL), CUFRAMES_ERR_PROTOCOL); /* none was asked for */
    cf_fds_close(&fds);
    assert_true(cf_hang_up(ends[1]));
    close(ends[0]);
    WAIT_FOR(fixture_descriptors() == before);
  }
}

static void waiting_for_a_descriptor_outlasts_signals(void **state) {
  (void)state;
  int ends[2];
  pair_open(ends);
  failing_next("poll", EINTR, 3);
  assert_false(cf_poll_until(ends[1], POLLIN, cuframes_now() + 20 * MS));
  assert_true(failing_end());
  CHECK_OK(cf_send(ends[0], "hello", 6, NULL, 0));
  failing_next("poll", EINTR, 3);
  assert_true(cf_poll_until(ends[1], POLLIN, cuframes_now() + patience()));
  assert_true(failing_end());
  int64_t start = cuframes_now();
  assert_false(cf_poll_until(-1, POLLIN, start + 20 * MS)); /* none: only time goes by */
  CHECK(cuframes_now() - start >= 20 * MS);
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
  CHECK_RESULT(cf_receive_by(ends[1], cuframes_now() + 20 * MS, NULL, text, sizeof text, &length, &fds),
               CUFRAMES_ERR_TIMEOUT);
  assert_true(failing_end());
  failing_next("poll", EIO, 1);
  CHECK_RESULT(cf_receive_by(ends[1], cuframes_now() + patience(), NULL, text, sizeof text, &length, &fds),
               CUFRAMES_ERR_SYSTEM);
  assert_true(failing_end());
  detail_names(strerror(EIO));
  CHECK_OK(cf_send(ends[0], "hello", 6, NULL, 0));
  CHECK_OK(cf_receive_by(ends[1], cuframes_now() + patience(), NULL, text, sizeof text, &length, &fds));
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
    FIXTURE(no_other_file_gets_the_sockets_mode),
    FIXTURE(every_way_not_to_connect_has_its_code),
    FIXTURE(connecting_outlasts_signals_until_the_deadline),
    FIXTURE(messages_outlast_signals),
    FIXTURE(messages_that_fail_say_why),
    FIXTURE(what_carries_too_much_is_not_taken),
    FIXTURE(up_to_two_descriptors_are_taken),
    FIXTURE(waiting_for_a_descriptor_outlasts_signals),
    FIXTURE(waiting_for_a_message_outlasts_signals_and_nothing_else),
    FIXTURE(a_peer_without_credentials_is_nobody),
    FIXTURE(a_peers_death_is_watched_in_either_way),
  };
  return FIXTURE_RUN("channel", tests);
}
