/* sink.c - see sink.h. */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/reader.h"

/* How long one wait is at most: so soon a signal that another thread took is seen. */
#define SLICE_MS 100
#define SLICE_NS (SLICE_MS * INT64_C(1000000))
#define ROOM_LEAST 65536
#define ROOM_MOST 1048576 /* what Linux gives everybody */

/* Non-blocking is a word of the open file, which we may share with a shell and others. A pipe can be opened once more,
 * for us alone; where we may not (it is another user's) writes are made small enough. */
void sink_stdout(sink *s) {
  struct stat kind;
  *s = (sink){ .fd = STDOUT_FILENO };
  if (fstat(STDOUT_FILENO, &kind))
    return; /* then writing says so */
  s->socket = S_ISSOCK(kind.st_mode);
  if (!S_ISFIFO(kind.st_mode))
    return;
  const int again = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  s->waits = again < 0;
  s->own = again >= 0;
  s->fd = again >= 0 ? again : STDOUT_FILENO;
}

void sink_socket(sink *s, int fd) {
  *s = (sink){ .fd = fd, .own = true, .socket = true };
}

static int open_when_read(sink *s, const char *path) {
  bool told = false;
  for (;;) {
    s->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (s->fd >= 0)
      return CLI_OK;
    if (errno != ENXIO && errno != EINTR) {
      cli_error("cannot open %s: %s", path, strerror(errno));
      return CLI_FAILED;
    }
    if (!told)
      cli_note("waiting for somebody to read %s", path);
    told = true;
    if (!reader_pause(cuframes_now() + SLICE_NS))
      return CLI_FAILED;
  }
}

int sink_named(sink *s, const char *path, bool *made) {
  struct stat kind;
  *s = (sink){ .fd = -1, .own = true };
  *made = false;
  const int error = stat(path, &kind) ? errno : 0;
  if (error && error != ENOENT) {
    cli_error("cannot look at %s: %s", path, strerror(error));
    return CLI_FAILED;
  }
  if (error) {
    *made = mkfifo(path, 0666) == 0; /* less what umask takes */
    if (!*made) {
      cli_error("cannot make the named pipe %s: %s", path, strerror(errno));
      return CLI_FAILED;
    }
  } else if (S_ISREG(kind.st_mode) || S_ISDIR(kind.st_mode)) {
    return cli_usage("%s is no named pipe: `cuframes record` writes packets into files, and a shell's > anything",
                     path);
  } else if (S_ISSOCK(kind.st_mode)) {
    return cli_usage("%s is a socket: --listen makes one that many may read", path);
  }
  return open_when_read(s, path);
}

void sink_make_room(const sink *s, size_t picture_bytes) {
  size_t room = ROOM_LEAST;
  while (room < ROOM_MOST && 2 * room <= picture_bytes)
    room *= 2;
  if (s->fd >= 0 && !s->socket && fcntl(s->fd, F_GETPIPE_SZ) > 0)
    (void)fcntl(s->fd, F_SETPIPE_SZ, (int)room); /* it works without */
}

/* One write that does not wait; where that is not to be had, one that has room. */
static ssize_t put(const sink *s, const void *data, size_t size) {
  if (s->socket)
    return send(s->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (!s->waits)
    return write(s->fd, data, size);
  if (poll(&(struct pollfd){ .fd = s->fd, .events = POLLOUT }, 1, 0) == 1)
    return write(s->fd, data, size < PIPE_BUF ? size : PIPE_BUF); /* a pipe that can be written to has room for it */
  errno = EAGAIN;
  return -1;
}

/* Waits for room, or for a signal, which ends it. */
static void wait_for_reader(sink *s) {
  const int64_t start = cuframes_now();
  if (cli_stopped)
    s->error = EINTR;
  else
    (void)poll(&(struct pollfd){ .fd = s->fd, .events = POLLOUT }, 1, SLICE_MS); /* what is wrong put() finds out */
  s->blocked_ns += cuframes_now() - start;
}

bool sink_write(sink *s, const void *data, size_t size) {
  const uint8_t *from = data;
  while (size > 0 && s->error == 0) {
    const ssize_t done = put(s, from, size);
    if (done > 0) {
      from += done;
      size -= (size_t)done;
      s->bytes += (uint64_t)done;
    } else if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      wait_for_reader(s);
    } else if (done < 0 && errno != EINTR) {
      s->error = errno;
    }
  }
  return s->error == 0;
}

bool sink_reader_has_gone(const sink *s) {
  struct pollfd end = { .fd = s->fd };
  return poll(&end, 1, 0) > 0 && end.revents & (POLLERR | POLLHUP);
}

void sink_close(sink *s) {
  if (s->own && s->fd >= 0)
    (void)close(s->fd); /* what could not be written is known already */
  s->fd = -1;
}
