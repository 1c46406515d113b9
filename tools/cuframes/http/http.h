/* http.h - a small HTTP server for commands that others look into with a browser or a scraper: GET and HEAD, answers
 * that may come later or have no end, WebSocket, and limits on everything that a client can make it keep.
 * libwebsockets speaks the protocols.
 *
 * Who connects and says nothing, or half of something, costs one of the places for clients and is closed after
 * HTTP_REQUEST_SECONDS, or sooner when others want its place. A client that does not read its answer is closed
 * likewise; one with a WebSocket is asked now and then (HTTP_PING_SECONDS) and closed when it has not answered for
 * HTTP_PONG_SECONDS. Answers without an end and WebSockets get at most three quarters of the places, so that there is
 * always one for a request.
 *
 * What arrives over loopback must name this machine or an address (the header Host): a page of somebody else that a
 * browser here has open could ask by a name of its own otherwise (DNS rebinding). A request with the header Origin, as
 * browsers send it with WebSocket, must come from a page of this server.
 *
 * With a login, each request must have it (Basic, Bearer, or the argument "token"), or the cookie that an answer to
 * such a request has. A wrong one is told so after a while, and until then no other one of that address is looked at.
 *
 * Headers of more than HTTP_HEADER_BYTES are refused (431), those of four times as much hung up. libwebsockets 4.1
 * cannot read a header whose name is the beginning of one that it knows, as "X" or "If": such a request is refused when
 * its time is over (400); no client in use sends one.
 *
 * Threads  All of it belongs to the thread that calls http_serve(), but http_wake() and the making of bodies: a body
 * may be made by any thread, which then hands it over. No call waits but http_serve(). */
#ifndef CUFRAMES_HTTP_HTTP_H
#define CUFRAMES_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_CLIENTS_MAX 256
#define HTTP_HEADER_BYTES 8192
#define HTTP_REQUEST_SECONDS 10 /* for a request to arrive, and for an answer to be read */
#define HTTP_HOSTS_MAX 16
#define HTTP_PATH_MAX 1024
#define HTTP_QUERY_MAX 1024
#define HTTP_MESSAGE_BYTES 65536        /* of one message that comes over a WebSocket */
#define HTTP_SOCKET_BYTES (8UL << 20)   /* that wait for one WebSocket */
#define HTTP_STREAM_BYTES (8UL << 20)   /* that wait for who reads an answer without an end */
#define HTTP_SERVER_BYTES (256UL << 20) /* that wait for all of them; of what several have in common once */
#define HTTP_PING_SECONDS 15
#define HTTP_PONG_SECONDS 45

typedef struct http_server http_server;
typedef struct http_request http_request;
typedef struct http_socket http_socket;

/* Begins as all zeros; the texts live as long as the server. */
typedef struct http_options {
  const char *listen;            /* listen.h; NULL: the sockets that a service manager has opened, or `by_default` */
  const char *by_default;        /* where to listen then */
  const char *certificate, *key; /* PEM files: HTTPS and WSS; key NULL: it is in the other one, too; both NULL: plain */
  const char *login;             /* file (docs/cli.md): who may ask; NULL: everybody */
  const char *hosts[HTTP_HOSTS_MAX]; /* further names that the header Host, and an Origin, may have */
  size_t host_count;
  /* Beyond loopback only with a login or if `open`; and only by an address, this machine's name and `hosts`. What is
   * not private, and has no `hosts`, is answered there by any name. */
  bool is_private, open;
  const char *policy;                /* Content-Security-Policy of every answer; NULL: none */
  size_t clients_max;                /* 0: HTTP_CLIENTS_MAX, which is the most */
  double ping_seconds, pong_seconds; /* 0: HTTP_PING_SECONDS, HTTP_PONG_SECONDS */
} http_options;

/* What is served; all are called in the thread of http_serve(). What is NULL is not wanted. */
typedef struct http_site {
  /* Somebody asks for a path, without what is behind a '?'. It is answered once, here or later. */
  void (*asked)(void *user, http_request *request, const char *path);
  /* Somebody who has no answer yet, or reads one without an end (http_stream_begin()), has left: the request is gone.
   * So ends a stream for HEAD, too, after its headers. */
  void (*left)(void *user, http_request *request);
  /* Less waits for a stream than http_stream_notify() said. */
  void (*ready)(void *user, http_request *request);
  /* After http_wake(); several of them may be one call. */
  void (*woken)(void *user);
  /* The name (Sec-WebSocket-Protocol) that a client must ask for if it asks for any; NULL: it must not. */
  const char *socket_protocol;
  /* A WebSocket is asked for; NULL: there are none. False: not at this path (404), and nothing else will be called for
   * it. What is sent from here on goes out as soon as it is open. */
  bool (*socket_opened)(void *user, http_socket *socket, const char *path);
  /* One whole text, valid UTF-8 without an end behind it. Other messages and larger ones end the connection (1003,
   * 1009). */
  void (*socket_said)(void *user, http_socket *socket, const char *text, size_t length);
  void (*socket_ready)(void *user, http_socket *socket);
  /* Whoever ended it, http_socket_close() included: the socket is gone. */
  void (*socket_left)(void *user, http_socket *socket);
  void *user;
} http_site;

/* ---- bodies: bytes that many answers and messages have in common; one reference is the maker's ---- */

typedef struct http_body http_body;
/* Takes the text, by malloc(), over, also if it fails: NULL. */
http_body *http_body_new(char *text, size_t length);
/* Room for so many bytes, to be filled in before it is sent; NULL: out of memory. */
http_body *http_body_room(size_t length, char **bytes);
/* Of bytes that stay where they are. */
http_body *http_body_static(const char *text, size_t length);
/* Of bytes that stay until `release` is called, by whoever lets go of it last. NULL: out of memory, and it is not. */
http_body *http_body_shared(const char *bytes, size_t length, void (*release)(void *user), void *user);
http_body *http_body_ref(http_body *body);
void http_body_drop(http_body *body);

/* ---- the server ---- */

/* Gives an exit code, after a message. */
int http_open(const http_options *options, const http_site *site, http_server **server);
/* Says where it listens: "listening at http://ADDRESS:PORT/path". */
void http_note(const http_server *server, const char *path);
/* Until Ctrl-C or SIGTERM (cli_stopped): WebSockets are told (1001), others hung up. */
void http_serve(http_server *server);
void http_close(http_server *server);
/* Any thread. */
void http_wake(http_server *server);

/* ---- answers; a body's reference stays the caller's, and a type is static ---- */

/* An argument of the query, "?name=value&...", decoded; `value` is untouched if there is none, or if it does not fit:
 * false. From `asked` or `socket_opened` on, until the answer. An argument without '=' has an empty value. */
bool http_query(const http_request *request, const char *name, char *value, size_t size);
bool http_socket_query(const http_socket *socket, const char *name, char *value, size_t size);
bool http_is_head(const http_request *request);

/* A header of the answer that follows, "retry-after" and "1"; without line ends. At most 256 bytes of them: false. */
bool http_add_header(http_request *request, const char *name, const char *value);
void http_answer(http_request *request, unsigned status, const char *type, http_body *body);
/* One sentence as an answer, with a line's end behind it. */
void http_answer_text(http_request *request, unsigned status, const char *text);
/* What stays the same for long, with its ETag (in its quotes): who has it already is told so (304). */
void http_answer_same(http_request *request, const char *type, http_body *body, const char *etag);

/* An answer without an end: pieces of it are queued without a copy. False: too many are being served, and this one was
 * told so: it is answered, and nothing will be called for it. */
bool http_stream_begin(http_request *request, unsigned status, const char *type);
/* False: more than HTTP_STREAM_BYTES would wait, or memory ran out; nothing was queued. */
bool http_stream_write(http_request *request, http_body *piece);
/* Bytes that wait here, and in the kernel until the other side has them. */
size_t http_stream_waiting(const http_request *request);
/* `ready` is to be called once, when fewer than so many bytes wait here. */
void http_stream_notify(http_request *request, size_t below);
/* After what is queued. Nothing is called for the request any more. */
void http_stream_end(http_request *request);

/* ---- WebSockets ---- */

/* False: more than HTTP_SOCKET_BYTES would wait, or memory ran out, or it is being closed; nothing was queued. */
bool http_socket_send(http_socket *socket, bool binary, http_body *message);
/* One message out of several bodies. */
bool http_socket_send_parts(http_socket *socket, bool binary, http_body *const *parts, size_t count);
size_t http_socket_waiting(const http_socket *socket); /* as http_stream_waiting() */
void http_socket_notify(http_socket *socket, size_t below);
/* What is queued is dropped. The reason is UTF-8, at most 123 bytes, for people; NULL: none. */
void http_socket_close(http_socket *socket, unsigned code, const char *reason);

/* ---- one pointer of the site's per client ---- */

void http_request_set_user(http_request *request, void *user);
void *http_request_user(const http_request *request);
void http_socket_set_user(http_socket *socket, void *user);
void *http_socket_user(const http_socket *socket);

#endif
