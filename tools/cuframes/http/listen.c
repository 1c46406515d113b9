/* listen.c - see listen.h. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h> /* netinet/tcp.h has an older tcp_info */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cli.h"

#define FIRST_INHERITED 3
#define BACKLOG 128

typedef union socket_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un path;
  struct sockaddr_storage room;
} socket_address;

void listen_close(listeners *all) {
  for (size_t i = 0; i < all->count; i++)
    close(all->fds[i]);
  all->count = 0;
}

/* ---- inherited ---- */

static bool is_listener(int fd) {
  int type = 0, listens = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
         getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

int listen_inherit(listeners *all) {
  const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
  uint32_t number = 0, count = 0;
  const bool ours = pid && fds && cli_parse_unsigned(pid, 1, UINT32_MAX, &number) && number == (uint32_t)getpid() &&
                    cli_parse_unsigned(fds, 1, 4096, &count);
  (void)unsetenv("LISTEN_PID"); /* what this process starts is not meant */
  (void)unsetenv("LISTEN_FDS");
  (void)unsetenv("LISTEN_FDNAMES");
  *all = (listeners){ 0 };
  if (!ours)
    return CLI_OK;
  if (count > LISTEN_MAX) {
    cli_error("%u sockets were handed over; there may be %d", count, LISTEN_MAX);
    return CLI_FAILED;
  }
  for (uint32_t i = 0; i < count; i++) {
    const int fd = FIRST_INHERITED + (int)i;
    if (!is_listener(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
      cli_error("descriptor %d was handed over and is no stream socket that listens: in its .socket unit it must be "
                "ListenStream=, with Accept=no",
                fd);
      return CLI_FAILED;
    }
    all->fds[all->count++] = fd;
  }
  return CLI_OK;
}

/* ---- by an address ---- */

/* Takes "ADDRESS:PORT" apart. False: it is none. */
static bool address_parse(const char *text, socket_address *address, socklen_t *size) {
  char host[INET6_ADDRSTRLEN + 1] = "";
  const char *colon = strrchr(text, ':');
  const size_t length = colon ? (size_t)(colon - text) : 0;
  uint32_t port;
  if (!cli_parse_unsigned(colon ? colon + 1 : text, 0, 65535, &port) || length >= sizeof host)
    return false;
  memcpy(host, text, length);
  memset(address, 0, sizeof *address);
  if (colon && length == 0) { /* every address, of both kinds */
    *size = sizeof address->v6;
    address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    return true;
  }
  if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
    host[length - 1] = '\0';
    *size = sizeof address->v6;
    address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    return inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) == 1;
  }
  if (!colon || strcmp(host, "localhost") == 0)
    strcpy(host, "127.0.0.1");
  *size = sizeof address->v4;
  address->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1;
}

/* errno is set where it fails. */
static int listen_socket(const socket_address *address, socklen_t size) {
  const int one = 1, none = 0;
  const int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* only a restart would have to wait */
  if (address->any.sa_family == AF_INET6)
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof none); /* or it is IPv6 alone */
  if (bind(fd, &address->any, size) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int listen_at(const char *text, listeners *all) {
  socket_address address;
  socklen_t size;
  *all = (listeners){ 0 };
  if (!address_parse(text, &address, &size))
    return cli_usage("--listen takes ADDRESS:PORT, [IPV6]:PORT, :PORT or PORT, not '%s'", text);
  int fd = listen_socket(&address, size);
  if (fd < 0 && *text == ':' && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) { /* no IPv6 here */
    const uint16_t port = address.v6.sin6_port;
    address.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
    fd = listen_socket(&address, sizeof address.v4);
  }
  if (fd < 0) {
    const char *remedy = errno == EADDRINUSE      ? ": --listen takes another port"
                         : errno == EADDRNOTAVAIL ? ": it is no address of this machine"
                         : errno == EACCES        ? ": ports below 1024 are for root"
                                                  : "";
    cli_error("cannot listen at %s: %s%s", text, strerror(errno), remedy);
    return CLI_FAILED;
  }
  all->fds[all->count++] = fd;
  return CLI_OK;
}

/* ---- where, and who ---- */

void listen_text(int fd, char text[LISTEN_TEXT]) {
  socket_address at = { .any = { .sa_family = AF_UNSPEC } };
  socklen_t size = sizeof at;
  char host[INET6_ADDRSTRLEN] = "";
  (void)getsockname(fd, &at.any, &size); /* else it is of no kind */
  if (at.any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &at.v6.sin6_addr, host, sizeof host))
    snprintf(text, LISTEN_TEXT, "[%s]:%u", host, ntohs(at.v6.sin6_port));
  else if (at.any.sa_family == AF_INET && inet_ntop(AF_INET, &at.v4.sin_addr, host, sizeof host))
    snprintf(text, LISTEN_TEXT, "%s:%u", host, ntohs(at.v4.sin_port));
  else
    snprintf(text, LISTEN_TEXT, "%.63s", at.any.sa_family == AF_UNIX ? at.path.sun_path : "a socket");
}

bool listen_is_loopback(int connection) {
  socket_address at = { .any = { .sa_family = AF_UNSPEC } };
  socklen_t size = sizeof at;
  if (getsockname(connection, &at.any, &size) != 0)
    return true; /* in doubt the stricter way */
  if (at.any.sa_family == AF_INET)
    return (ntohl(at.v4.sin_addr.s_addr) >> 24) == 127;
  if (at.any.sa_family != AF_INET6)
    return false; /* a Unix socket: no browser gets there */
  const uint8_t *bytes = at.v6.sin6_addr.s6_addr;
  return IN6_IS_ADDR_LOOPBACK(&at.v6.sin6_addr) || (IN6_IS_ADDR_V4MAPPED(&at.v6.sin6_addr) && bytes[12] == 127);
}

static void address_of(int connection, socket_address *at) {
  socklen_t size = sizeof *at;
  at->any.sa_family = AF_UNSPEC;
  (void)getsockname(connection, &at->any, &size); /* else it is of no kind */
}

bool listen_is_unix(int fd) {
  socket_address at;
  address_of(fd, &at);
  return at.any.sa_family == AF_UNIX;
}

unsigned listen_port(int connection) {
  socket_address at;
  address_of(connection, &at);
  return at.any.sa_family == AF_INET    ? ntohs(at.v4.sin_port)
         : at.any.sa_family == AF_INET6 ? ntohs(at.v6.sin6_port)
                                        : 0;
}

void listen_peer(int connection, uint8_t address[16]) {
  socket_address at = { .any = { .sa_family = AF_UNSPEC } };
  socklen_t size = sizeof at;
  memset(address, 0, 16);
  (void)getpeername(connection, &at.any, &size); /* who has left is nobody */
  if (at.any.sa_family == AF_INET6) {
    memcpy(address, &at.v6.sin6_addr, 16);
  } else if (at.any.sa_family == AF_INET) {
    memset(address + 10, 0xff, 2);
    memcpy(address + 12, &at.v4.sin_addr, 4);
  }
}

uint64_t listen_received(int connection) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  memset(&info, 0, sizeof info);
  return getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}
