/* http.h - a small HTTP server for commands that others look into with a browser or a scraper: GET and HEAD, answers
 * that may come later, and limits on everything that a client can make it keep. libwebsockets speaks the protocol.
 *
 * Who connects and says nothing, or half of something, costs one of the places for clients and is closed after
 * HTTP_REQUEST_SECONDS, or sooner when others want its place. A client that does not read its answer is closed
 * likewise. What arrives over loopback must name this machine or an address (the header Host): a page of somebody
 * else that a browser here has open could ask by a name of its own otherwise (DNS rebinding).
 *
 * Headers of more than HTTP_HEADER_BYTES are refused (431), those of four times as much hung up. libwebsockets 4.1
 * cannot read a header whose name is the beginning of one that it knows, as "X" or "If": such a request is refused when
 * its time is over (400); no client in use sends one.
 *
 * Threads  All of it belongs to the thread that calls http_serve(), but http_wake(). No call waits but that one. */
#ifndef CUFRAMES_HTTP_HTTP_H
#define CUFRAMES_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_CLIENTS_MAX 256
#define HTTP_HEADER_BYTES 8192
#define HTTP_REQUEST_SECONDS 10 /* for a request to arrive, and for an answer to be read */
#define HTTP_PATH_MAX 1024

typedef struct http_server http_server;
typedef struct http_request http_request;

/* What is served; all are called in the thread of http_serve(). */
typedef struct http_site {
  /* Somebody asks for a path, without what is behind a '?'. It is answered once, here or later. */
  void (*asked)(void *user, http_request *request, const char *path);
  /* Somebody who has no answer yet has left: the request is gone. */
  void (*left)(void *user, http_request *request);
  /* After http_wake(); several of them may be one call. */
  void (*woken)(void *user);
  void *user;
} http_site;

/* A text that many answers have in common. */
typedef struct http_body http_body;
/* Takes the text, by malloc(), over, also if it fails: NULL. One reference, the caller's. */
http_body *http_body_new(char *text, size_t length);
void http_body_drop(http_body *body);

/* Listens at an address (listen.h), or, if that is NULL, at the sockets that a service manager has opened, or at
 * `by_default`. Gives an exit code, after a message. */
int http_open(const char *listen, const char *by_default, const http_site *site, http_server **server);
/* Says where it listens: "listening at http://ADDRESS:PORT/path". */
void http_note(const http_server *server, const char *path);
/* Until Ctrl-C or SIGTERM (cli_stopped): the clients that are left are hung up. */
void http_serve(http_server *server);
void http_close(http_server *server);
/* Any thread. */
void http_wake(http_server *server);

/* The answer; the body's reference stays the caller's. `type` is static. */
void http_answer(http_request *request, unsigned status, const char *type, http_body *body);
/* One sentence as an answer, with a line's end behind it. */
void http_answer_text(http_request *request, unsigned status, const char *text);

#endif
