/* clients.c - connections from accept() to their end, how many there may be, and what waits to be sent to them. The
 * server accepts them itself, so that it knows all of them and how many there are, and hands them to libwebsockets,
 * which reads requests and writes answers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

#define ACCEPTED_AT_ONCE 64
#define LINGER_BYTES 65536  /* of a request that is refused: read, so that its sender reads why */
#define UNSENT_BYTES 131072 /* in the kernel: more waits here, where it is counted and can be dropped */
#define SHARE_BYTES (HTTP_SERVER_BYTES / 2 / HTTP_CLIENTS_MAX) /* that each may have waiting, whatever others have */

/* ---- the end ---- */

/* What there is to say where a connection ends is said without libwebsockets, which would hang up without a word. */
static void say_last(http_request *client, const char *status, const char *why) {
  char text[320];
  uint8_t swallowed[4096];
  const int fd = client->fd;
  if (client->state != CLIENT_READING || client->had_answer || client->server->options.certificate)
    return;
  client->had_answer = true;
  const int length = snprintf(text, sizeof text,
                              "HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %zu\r\n"
                              "connection: close\r\n\r\n%s",
                              status, strlen(why), why);
  (void)send(fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL); /* if it does not go, it is hung up all the same */
  (void)shutdown(fd, SHUT_WR);
  for (size_t all = 0; all < LINGER_BYTES; all += sizeof swallowed)
    if (recv(fd, swallowed, sizeof swallowed, MSG_DONTWAIT) <= 0)
      break;
}

/* A request that could not be read ends here; who said nothing hears nothing. */
static void last_words(http_request *client) {
  const uint64_t received = listen_received(client->fd);
  if (received >= HTTP_HEADER_BYTES)
    say_last(client, "431 Request Header Fields Too Large", "The headers of the request are too large.\n");
  else if (received > 0)
    say_last(client, "400 Bad Request", "This is no request that came in time.\n");
}

int client_refuse_tunnel(http_request *client) {
  say_last(client, "405 Method Not Allowed\r\nallow: GET, HEAD", "Only GET and HEAD are answered here.\n");
  return -1;
}

void client_free(http_request *client) {
  http_server *server = client->server;
  if ((client->state == CLIENT_ASKED || (client->state == CLIENT_STREAMING && !client->ended)) && server->site.left)
    server->site.left(server->site.user, client);
  socket_free(client);
  last_words(client);
  client_leaves(client);
  close(client->fd);
  *(client->previous ? &client->previous->next : &server->clients) = client->next;
  if (client->next)
    client->next->previous = client->previous;
  server->client_count--;
  if (server->adopted == client)
    server->adopted = NULL;
  if (server->written == client)
    server->written = NULL;
  if (server->next == client)
    server->next = client->next;
  queue_free(&client->queue, &server->queued);
  http_body_drop(client->body);
  free(client);
}

/* ---- the beginning ---- */

static http_request *client_new(http_server *server, int fd) {
  http_request *client = calloc(1, sizeof *client);
  if (!client)
    return NULL;
  client->server = server;
  client->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (client->fd < 0) {
    free(client);
    return NULL;
  }
  client->loopback = listen_is_loopback(fd);
  client->is_unix = listen_is_unix(fd);
  client->next = server->clients;
  if (client->next)
    client->next->previous = client;
  server->clients = client;
  server->client_count++;
  return client;
}

/* Whoever has waited longest without a request makes room. False: all are being served. */
static bool make_room(http_server *server) {
  http_request *oldest = NULL;
  for (http_request *client = server->clients; client; client = client->next)
    if (client->state == CLIENT_READING)
      oldest = client;
  if (oldest)
    lws_set_timeout(oldest->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
  return oldest != NULL;
}

static void client_adopt(http_server *server, int fd) {
  const int one = 1, unsent = UNSENT_BYTES;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* or of another kind, or a little later */
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  if (server->ending || (server->client_count >= server->options.clients_max && !make_room(server))) {
    close(fd);
    return;
  }
  http_request *client = client_new(server, fd);
  if (!client) {
    close(fd);
    return;
  }
  const lws_adoption_type tls = server->options.certificate ? LWS_ADOPT_ALLOW_SSL : 0;
  const lws_adopt_desc_t adopt = {
    .vh = server->vhost, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | tls, .fd = { .sockfd = fd }, .opaque = client
  };
  server->adopted = client;
  struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
  if (!wsi) {
    /* the descriptor is closed, and the client gone with it, unless it failed so early that nobody heard of it */
    if (server->adopted)
      client_free(server->adopted);
    return;
  }
  server->adopted = NULL;
  client->wsi = wsi;
  lws_set_timeout(wsi, PENDING_TIMEOUT_ESTABLISH_WITH_SERVER, HTTP_REQUEST_SECONDS);
}

/* Descriptors have run out: one is accepted with the spare one and hung up, or it would be accepted for ever. */
static void accept_and_close(http_server *server, int listener) {
  if (server->spare >= 0)
    close(server->spare);
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0)
    close(fd);
  server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void clients_accept(http_server *server, int listener) {
  for (int i = 0; i < ACCEPTED_AT_ONCE; i++) {
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      client_adopt(server, fd);
    } else if (errno == EMFILE || errno == ENFILE) {
      accept_and_close(server, listener);
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return; /* no more for now; or trouble, which the next one has, too */
    }
  }
}

/* ---- those that are served ---- */

static bool is_answered(const http_request *client) {
  return client->state == CLIENT_ANSWERING || client->state == CLIENT_STREAMING;
}

/* What comes while a request is answered, the next one, is not to be read: of libwebsockets 4, some versions look at it
 * again and again, and others hang up for it. So reading is stopped from a request to the end of its answer
 * (lws_rx_flow_control()), which stops libwebsockets from writing, too. This only wakes it when there is room;
 * clients_write() writes. */
void client_wake(http_request *client) {
  client->wants_write = true;
  (void)lws_callback_on_writable(client->wsi); /* fails only if it is closed anyway */
}

/* Lets libwebsockets write, and read nothing: it serves just what it is told that the connection is ready for. */
static void client_write(http_server *server, http_request *client) {
  struct lws_pollfd room = { .fd = lws_get_socket_fd(client->wsi), .events = POLLOUT };
  if (poll(&room, 1, 0) != 1)
    return;
  if (room.revents != POLLOUT) {
    client_give_up(client);
    return;
  }
  server->written = client;
  server->calls++;
  lws_rx_flow_control(client->wsi, 1);
  (void)lws_service_fd(server->context, &room); /* which may end it */
  if (server->written && is_answered(client))
    lws_rx_flow_control(client->wsi, 0);
  server->written = NULL;
}

void clients_write(http_server *server) {
  for (http_request *client = server->clients; client; client = server->next) {
    server->next = client->next;
    if (is_answered(client) && (client->wants_write || lws_partial_buffered(client->wsi)))
      client_write(server, client);
  }
}

void client_give_up(http_request *client) {
  lws_set_timeout(client->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* ---- those that stay ---- */

bool client_stays(http_request *client, enum client_state state) {
  http_server *server = client->server;
  if (server->lasting_count >= server->options.clients_max - server->options.clients_max / 4)
    return false;
  server->lasting_count++;
  client->state = state;
  client->sent = 0;
  client->buffered = 0;
  client->notify_below = 0;
  client->ended = false;
  return true;
}

void client_leaves(http_request *client) {
  if (client->state != CLIENT_STREAMING && client->state != CLIENT_SOCKET)
    return;
  client->server->lasting_count--;
  queue_free(&client->queue, &client->server->queued);
  client->state = CLIENT_READING;
}

/* One that does not read has no more than its share when others have used up what there is for all, but each gets at
 * least one message at a time. */
bool client_queue(http_request *client, http_body *const *parts, size_t count, bool binary, size_t most) {
  http_server *server = client->server;
  const size_t waits = client->queue.bytes;
  const bool idle = client->queue.count == 0;
  size_t length = 0, more = 0; /* more: what nobody holds so far */
  for (size_t i = 0; i < count; i++) {
    length += parts[i]->length;
    more += parts[i]->queued ? 0 : parts[i]->length;
  }
  const bool full = length > most - waits, unfair = more > 0 && server->queued + more > HTTP_SERVER_BYTES / 2 &&
                                                    waits > 0 && waits + length > SHARE_BYTES;
  if (full || unfair || !queue_reserve(&client->queue, count))
    return false;
  for (size_t i = 0; i < count; i++)
    queue_add(&client->queue, (http_piece){ .body = parts[i], .binary = binary, .goes_on = i + 1 < count },
              &server->queued);
  if (idle)
    client_wake(client);
  return true;
}

size_t client_waiting(const http_request *client) {
  int unsent = 0;
  if (ioctl(client->fd, SIOCOUTQ, &unsent) != 0 || unsent < 0)
    unsent = 0; /* nobody knows */
  const size_t buffered = lws_partial_buffered(client->wsi) ? client->buffered : 0;
  return client->queue.bytes - client->sent + buffered + (size_t)unsent;
}

void client_shift(http_request *client) {
  queue_shift(&client->queue, &client->server->queued);
  client->sent = 0;
}

bool client_is_ready(http_request *client) {
  if (client->notify_below == 0 || client->queue.bytes - client->sent >= client->notify_below)
    return false;
  client->notify_below = 0;
  return true;
}
