/* sockets.c - WebSockets: whole texts in, shared bodies out, pings, and their end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

#define REASON_BYTES 124
#define MESSAGES_AT_ONCE 32 /* then others have their turn */
#define CLOSE_SECONDS 5     /* to take leave of one that does not read */

struct http_socket {
  http_request *client;
  bool established, wants_ping;
  bool leaves; /* libwebsockets takes leave of it */
  bool amid;   /* some of a message has been written */
  lws_usec_t heard, pinged;
  char *message; /* the beginning of one that comes in pieces */
  size_t length;
  unsigned closing; /* the code; 0: no */
  char reason[REASON_BYTES];
};

/* ---- its life ---- */

bool socket_open(http_request *client, const char *path) {
  const http_site *site = &client->server->site;
  client->socket = calloc(1, sizeof *client->socket);
  if (!client->socket)
    return false;
  client->socket->client = client;
  client->socket->heard = client->socket->pinged = lws_now_usecs();
  if (site->socket_opened(site->user, client->socket, path))
    return true;
  free(client->socket);
  client->socket = NULL;
  return false;
}

void socket_free(http_request *client) {
  const http_site *site = &client->server->site;
  if (!client->socket)
    return;
  if (site->socket_left)
    site->socket_left(site->user, client->socket);
  free(client->socket->message);
  free(client->socket);
  client->socket = NULL;
}

int socket_established(http_request *client) {
  client->socket->established = true;
  lws_set_timeout(client->wsi, NO_PENDING_TIMEOUT, 0);
  (void)lws_callback_on_writable(client->wsi);
  return 0;
}

void http_socket_close(http_socket *socket, unsigned code, const char *reason) {
  if (socket->closing || socket->leaves)
    return;
  socket->closing = code;
  snprintf(socket->reason, sizeof socket->reason, "%s", reason ? reason : "");
  lws_set_timeout(socket->client->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_SECONDS);
  (void)lws_callback_on_writable(socket->client->wsi);
}

static int close_now(http_request *client, unsigned code, const char *reason) {
  char text[REASON_BYTES];
  snprintf(text, sizeof text, "%s", reason);
  client->socket->leaves = true;
  lws_close_reason(client->wsi, (enum lws_close_status)code, (unsigned char *)text, strlen(text));
  return -1;
}

void socket_leaves(http_request *client) {
  client->socket->leaves = true;
}

/* ---- what comes ---- */

/* Puts it behind what has come of the message. False: out of memory. */
static bool keep(http_socket *socket, const char *bytes, size_t length) {
  char *more = realloc(socket->message, socket->length + length + 1);
  if (!more)
    return false;
  memcpy(more + socket->length, bytes, length);
  socket->message = more;
  socket->length += length;
  return true;
}

int socket_received(http_request *client, const char *bytes, size_t length) {
  http_socket *socket = client->socket;
  const http_site *site = &client->server->site;
  socket_heard(client);
  if (socket->closing || socket->leaves)
    return 0;
  if (lws_frame_is_binary(client->wsi))
    return close_now(client, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "Only texts are understood here.");
  if (socket->length + length > HTTP_MESSAGE_BYTES)
    return close_now(client, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "The message is too large.");
  const bool whole = lws_is_final_fragment(client->wsi) && lws_remaining_packet_payload(client->wsi) == 0;
  if (whole && !socket->message) {
    site->socket_said(site->user, socket, bytes, length);
    return 0;
  }
  if (!keep(socket, bytes, length))
    return close_now(client, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION, "Out of memory.");
  if (!whole)
    return 0;
  char *message = socket->message;
  const size_t all = socket->length;
  socket->message = NULL;
  socket->length = 0;
  site->socket_said(site->user, socket, message, all);
  free(message);
  return 0;
}

void socket_heard(http_request *client) {
  client->socket->heard = lws_now_usecs();
}

/* Somebody who is gone without a word, or does not read, is found so. */
void socket_look(http_request *client) {
  http_socket *socket = client->socket;
  const http_options *options = &client->server->options;
  const lws_usec_t now = lws_now_usecs();
  if (!socket->established || socket->closing || socket->leaves)
    return;
  if ((double)(now - socket->heard) > options->pong_seconds * LWS_USEC_PER_SEC) {
    socket->leaves = true; /* nothing more can be said to it */
    lws_set_timeout(client->wsi, PENDING_TIMEOUT_WS_PONG_CHECK_GET_PONG, LWS_TO_KILL_ASYNC);
  } else if ((double)(now - socket->pinged) > options->ping_seconds * LWS_USEC_PER_SEC) {
    socket->pinged = now;
    socket->wants_ping = true;
    (void)lws_callback_on_writable(client->wsi);
  }
}

/* ---- what goes ---- */

bool http_socket_send(http_socket *socket, bool binary, http_body *message) {
  return http_socket_send_parts(socket, binary, &message, 1);
}

bool http_socket_send_parts(http_socket *socket, bool binary, http_body *const *parts, size_t count) {
  return !socket->closing && !socket->leaves && client_queue(socket->client, parts, count, binary, HTTP_SOCKET_BYTES);
}

size_t http_socket_waiting(const http_socket *socket) {
  return client_waiting(socket->client);
}

void http_socket_notify(http_socket *socket, size_t below) {
  http_request *client = socket->client;
  client->notify_below = below;
  if (client->queue.bytes - client->sent < below)
    (void)lws_callback_on_writable(client->wsi);
}

/* As much of a message as makes one frame. libwebsockets writes its header in front of the bytes, and to nobody else's:
 * they are copied. */
static int frame_write(http_request *client) {
  http_socket *socket = client->socket;
  uint8_t *from = client->server->chunk + LWS_PRE;
  const bool begins = !socket->amid, binary = queue_first(&client->queue)->binary;
  size_t filled = 0;
  socket->amid = true;
  while (socket->amid && filled < CHUNK_BYTES) {
    const http_piece piece = *queue_first(&client->queue);
    const size_t left = piece.body->length - client->sent, room = CHUNK_BYTES - filled;
    const size_t now = left < room ? left : room;
    memcpy(from + filled, piece.body->text + client->sent, now);
    filled += now;
    client->sent += now;
    if (now < left)
      break;
    socket->amid = piece.goes_on;
    client_shift(client);
  }
  client->buffered = filled;
  const int flags = lws_write_ws_flags(binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT, begins, !socket->amid);
  return lws_write(client->wsi, from, filled, (enum lws_write_protocol)flags) < 0 ? -1 : 0;
}

static int ping_write(http_request *client) {
  client->socket->wants_ping = false;
  client->buffered = 0;
  return lws_write(client->wsi, client->server->chunk + LWS_PRE, 0, LWS_WRITE_PING) < 0 ? -1 : 0;
}

int socket_write(http_request *client) {
  http_socket *socket = client->socket;
  http_server *server = client->server;
  if (!socket->established || socket->leaves)
    return 0;
  if (socket->closing)
    return close_now(client, socket->closing, socket->reason);
  if (socket->wants_ping && ping_write(client) != 0)
    return -1;
  for (int i = 0; i < MESSAGES_AT_ONCE && client->queue.count > 0 && !lws_partial_buffered(client->wsi); i++)
    if (frame_write(client) != 0)
      return -1;
  if (client->queue.count > 0)
    (void)lws_callback_on_writable(client->wsi);
  if (client_is_ready(client) && server->site.socket_ready)
    server->site.socket_ready(server->site.user, socket);
  return 0;
}

/* ---- the site's ---- */

bool http_socket_query(const http_socket *socket, const char *name, char *value, size_t size) {
  return http_query(socket->client, name, value, size);
}

void http_socket_set_user(http_socket *socket, void *user) {
  socket->client->user = user;
}

void *http_socket_user(const http_socket *socket) {
  return socket->client->user;
}
