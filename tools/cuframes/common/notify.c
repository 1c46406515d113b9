/* notify.c - see notify.h. */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The socket's address: a path, or with '@' in front a name in the abstract namespace. 0: there is none that can be. */
static socklen_t manager_address(struct sockaddr_un *address) {
  const char *path = getenv("NOTIFY_SOCKET");
  const size_t length = path ? strlen(path) : 0;
  if (length < 2 || (*path != '/' && *path != '@') || length >= sizeof address->sun_path)
    return 0;
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  memcpy(address->sun_path, path, length);
  if (*path == '@')
    address->sun_path[0] = '\0'; /* an abstract name has its length and no end */
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*path == '/'));
}

bool notify_is_wanted(void) {
  struct sockaddr_un address;
  return manager_address(&address) > 0;
}

bool notify_send(const char *lines) {
  struct sockaddr_un address;
  const socklen_t size = manager_address(&address);
  if (size == 0)
    return true;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return false;
  ssize_t sent;
  do
    sent = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
  while (sent < 0 && errno == EINTR);
  const bool full = sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM);
  close(fd);
  return !full;
}

int64_t notify_watchdog_ns(void) {
  const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  char *end;
  if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
    return 0; /* meant for the process that started us */
  errno = 0;
  const long long value = strtoll(usec, &end, 10);
  if (errno != 0 || end == usec || *end != '\0' || value <= 0 || value > INT64_MAX / 1000)
    return 0;
  return value * 1000 / 2;
}
