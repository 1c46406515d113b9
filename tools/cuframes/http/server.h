/* server.h - what the files of the server share; others see http.h. */
#ifndef CUFRAMES_HTTP_SERVER_H
#define CUFRAMES_HTTP_SERVER_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bodies.h"
#include "http.h"
#include "listen.h"
#include "login.h"

#define CHUNK_BYTES 65536
#define EXTRA_BYTES 256
#define CLIENTS_TOO_MANY "Too many are watching already."

/* A connection's life:
 *   READING    a request is awaited or arrives: at first, and after each answer
 *   ASKED      the site has it
 *   HELD       its login was wrong, and it is told so later
 *   ANSWERING  its answer goes out
 *   STREAMING  an answer without an end goes out
 *   SOCKET     it is a WebSocket
 * READING -> ASKED -> ANSWERING | STREAMING -> READING; READING -> HELD -> ANSWERING; READING -> SOCKET; the end may
 * come in each of them. */
enum client_state { CLIENT_READING, CLIENT_ASKED, CLIENT_HELD, CLIENT_ANSWERING, CLIENT_STREAMING, CLIENT_SOCKET };

struct http_request {
  http_server *server;
  struct lws *wsi;
  enum client_state state;
  int fd; /* the connection once more: libwebsockets closes its own before it says so */
  bool is_head, closes, loopback, is_unix, is_old; /* old: of HTTP/1.0 */
  bool had_answer;                                 /* some request of this connection */
  unsigned status;
  const char *type;
  http_body *body;
  size_t sent; /* of `body`, or of the first in the queue */
  bool headers_sent, wants_write;
  char extra[EXTRA_BYTES]; /* headers of this answer: name, its end, value, its end */
  size_t extra_length;
  const char *etag;
  char query[HTTP_QUERY_MAX]; /* arguments, decoded, each with its end */
  size_t query_length;
  http_queue queue; /* of a stream or a WebSocket */
  size_t buffered;  /* that libwebsockets may hold of what it was given last */
  size_t notify_below;
  bool ended; /* the stream, after what is queued */
  http_socket *socket;
  lws_usec_t held_until;
  void *user;
  http_request *next, *previous; /* newest first */
};

struct http_server {
  http_site site;
  http_options options;
  listeners listeners;
  struct lws_protocols protocols[4];
  login *login;
  char name[256];     /* of this machine */
  uint64_t tls_state; /* of the certificate's files */
  lws_usec_t tls_due; /* to look at them */
  struct lws_context *context;
  struct lws_vhost *vhost;
  http_request *clients;
  http_request *adopted;              /* is being handed to libwebsockets, which may end it */
  http_request *written, *next;       /* in clients_write(); NULL, or another, if one is gone */
  size_t client_count, lasting_count; /* lasting: streams and WebSockets */
  size_t queued;                      /* bytes, for all of them: what several have in common counts once */
  int spare;                          /* a descriptor to accept with when there are no more */
  bool ending;
  unsigned calls; /* of libwebsockets, of whatever kind */
  lws_sorted_usec_list_t look;
  uint8_t chunk[LWS_PRE + CHUNK_BYTES];
};

/* clients.c */
void clients_accept(http_server *server, int listener);
void client_free(http_request *client);
/* CONNECT, of which libwebsockets makes a connection that is no HTTP any more, and has no time to end in; negative: it
 * is to be closed. */
int client_refuse_tunnel(http_request *client);
/* Takes one of the places for those that stay, which client_free() or client_leaves() gives back. False: all are
 * taken. */
bool client_stays(http_request *client, enum client_state state);
void client_leaves(http_request *client);
/* There is something to write. */
void client_wake(http_request *client);
/* Writes to all whose answers have something to write and who have room for it. */
void clients_write(http_server *server);
/* It ends soon. */
void client_give_up(http_request *client);
/* Queues for a stream, or all parts of a message for a WebSocket. */
bool client_queue(http_request *client, http_body *const *parts, size_t count, bool binary, size_t most);
size_t client_waiting(const http_request *client);
/* Takes the first out of the queue. */
void client_shift(http_request *client);
/* Whether the site is to hear that there is room; then once. */
bool client_is_ready(http_request *client);

/* answers.c; negative: the connection is to be closed */
int answer_write(http_request *client);
/* At once and whole, in place of an upgrade; the connection is to be closed. */
int answer_now(http_request *client, unsigned status, const char *text);

/* requests.c */
/* 0, or negative after an answer: the connection is to be closed. */
int request_take(http_request *client, const char *path, size_t length);
/* Now and then: answers a login that was wrong, and finds who has left. */
void request_look(http_request *client);
/* A WebSocket is asked for: 0, or negative after an answer. */
int request_upgrade(http_request *client);

/* sockets.c; negative: the connection is to be closed */
int socket_established(http_request *client);
int socket_received(http_request *client, const char *bytes, size_t length);
int socket_write(http_request *client);
void socket_heard(http_request *client);
/* The other side has said that it leaves. */
void socket_leaves(http_request *client);
/* Now and then: asks, and gives up, who is silent. */
void socket_look(http_request *client);
bool socket_open(http_request *client, const char *path);
void socket_free(http_request *client);

#endif
