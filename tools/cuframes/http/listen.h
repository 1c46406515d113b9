/* listen.h - the sockets that a server listens at: by an address, or inherited. */
#ifndef CUFRAMES_HTTP_LISTEN_H
#define CUFRAMES_HTTP_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTEN_MAX 8
#define LISTEN_TEXT 64

typedef struct listeners {
  int fds[LISTEN_MAX];
  size_t count;
} listeners;

/* Sockets that a service manager has opened for this process ($LISTEN_FDS), if there are any. CLI_OK, or an exit code
 * after a message if one is no stream socket that listens. */
int listen_inherit(listeners *all);
/* ADDRESS:PORT, [IPv6]:PORT, :PORT (every address) or PORT (127.0.0.1); port 0: any that is free. An exit code, after a
 * message. */
int listen_at(const char *text, listeners *all);
void listen_close(listeners *all);

/* Where a socket is, "127.0.0.1:80", "[::1]:80" or the path of a Unix socket. */
void listen_text(int fd, char text[LISTEN_TEXT]);

/* Whether a connection came over loopback: only from this machine, but also from any page in its browsers. */
bool listen_is_loopback(int connection);
/* Whether a connection, or a socket that listens, is one of this machine without a network: a Unix socket. */
bool listen_is_unix(int fd);
/* The port on this side; 0: there is none. */
unsigned listen_port(int connection);
/* The address of the other side: IPv6, or IPv4 within it; of a Unix socket zeros. */
void listen_peer(int connection, uint8_t address[16]);
/* Bytes that have come over a connection; 0 where nobody knows. */
uint64_t listen_received(int connection);

#endif
