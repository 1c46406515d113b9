/* http.c - see http.h. The server accepts connections itself, so that it knows all of them and how many there are, and
 * hands them to libwebsockets, which reads requests and writes answers. */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cli.h"
#include "listen.h"

#define CHUNK_BYTES 65536
#define LOOK_US (LWS_USEC_PER_SEC / 4) /* how soon a signal is noticed that came just before a wait */
#define ACCEPTED_AT_ONCE 64
#define LINGER_BYTES 65536 /* of a request that is refused: read, so that its sender reads why */

struct http_body {
  unsigned references;
  size_t length;
  char *text;
};

/* A connection's life:
 *   READING    a request is awaited or arrives: at first, and after each answer
 *   ASKED      the site has it
 *   ANSWERING  its answer goes out
 * READING -> ASKED -> ANSWERING -> READING; the end may come in each of them. */
enum client_state { CLIENT_READING, CLIENT_ASKED, CLIENT_ANSWERING };

struct http_request {
  http_server *server;
  struct lws *wsi;
  enum client_state state;
  int fd; /* the connection once more: libwebsockets closes its own before it says so */
  bool is_head, closes, loopback;
  bool had_answer; /* some request of this connection */
  unsigned status;
  const char *type;
  http_body *body;
  size_t sent;
  bool headers_sent;
  http_request *next, *previous; /* newest first */
};

struct http_server {
  http_site site;
  listeners listeners;
  struct lws_context *context;
  struct lws_vhost *vhost;
  http_request *clients;
  size_t client_count;
  int spare; /* a descriptor to accept with when there are no more */
  lws_sorted_usec_list_t look;
  uint8_t chunk[LWS_PRE + CHUNK_BYTES];
};

/* ---- bodies ---- */

http_body *http_body_new(char *text, size_t length) {
  http_body *body = calloc(1, sizeof *body);
  if (!body) {
    free(text);
    return NULL;
  }
  *body = (http_body){ .references = 1, .length = length, .text = text };
  return body;
}

void http_body_drop(http_body *body) {
  if (!body || --body->references > 0)
    return;
  free(body->text);
  free(body);
}

/* ---- clients ---- */

/* A request that could not be read ends here: what there is to say is said without libwebsockets, which would hang up
 * without a word. */
static void last_words(http_request *client) {
  char text[320];
  uint8_t swallowed[4096];
  const int fd = client->fd;
  if (client->state != CLIENT_READING || client->had_answer)
    return;
  client->had_answer = true;
  const uint64_t received = listen_received(fd);
  if (received == 0)
    return; /* it said nothing, and hears nothing */
  const bool large = received >= HTTP_HEADER_BYTES;
  const char *status = large ? "431 Request Header Fields Too Large" : "400 Bad Request";
  const char *why = large ? "The headers of the request are too large.\n" : "This is no request that came in time.\n";
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

static void client_free(http_request *client) {
  http_server *server = client->server;
  if (client->state == CLIENT_ASKED)
    server->site.left(server->site.user, client);
  last_words(client);
  close(client->fd);
  *(client->previous ? &client->previous->next : &server->clients) = client->next;
  if (client->next)
    client->next->previous = client->previous;
  server->client_count--;
  http_body_drop(client->body);
  free(client);
}

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
  const int one = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* or of another kind, or a little later */
  if (server->client_count >= HTTP_CLIENTS_MAX && !make_room(server)) {
    close(fd);
    return;
  }
  http_request *client = client_new(server, fd);
  if (!client) {
    close(fd);
    return;
  }
  const lws_adopt_desc_t adopt = {
    .vh = server->vhost, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .fd = { .sockfd = fd }, .opaque = client
  };
  struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
  if (!wsi)
    return; /* it is closed, and its client gone with it */
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

static void accept_clients(http_server *server, int listener) {
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

/* ---- answers ---- */

void http_answer(http_request *client, unsigned status, const char *type, http_body *body) {
  client->state = CLIENT_ANSWERING;
  client->status = status;
  client->type = type;
  client->body = body;
  client->sent = 0;
  client->headers_sent = false;
  if (body)
    body->references++;
  lws_set_timeout(client->wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_REQUEST_SECONDS);
  (void)lws_callback_on_writable(client->wsi); /* fails only if it is closed anyway */
}

void http_answer_text(http_request *client, unsigned status, const char *text) {
  char *line = NULL;
  const int length = asprintf(&line, "%s\n", text);
  http_body *body = length < 0 ? NULL : http_body_new(line, (size_t)length);
  http_answer(client, status, "text/plain; charset=utf-8", body);
  http_body_drop(body);
}

static int add(struct lws *wsi, const char *name, const char *value, uint8_t **at, uint8_t *end) {
  return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value),
                                     at, end);
}

/* Negative: the connection is to be closed. */
static int headers_write(http_request *client) {
  struct lws *wsi = client->wsi;
  uint8_t *from = client->server->chunk + LWS_PRE, *at = from, *end = from + CHUNK_BYTES;
  const size_t length = client->body ? client->body->length : 0;
  if (lws_add_http_header_status(wsi, client->status, &at, end) || add(wsi, "content-type:", client->type, &at, end) ||
      lws_add_http_header_content_length(wsi, length, &at, end) || add(wsi, "cache-control:", "no-store", &at, end) ||
      add(wsi, "x-content-type-options:", "nosniff", &at, end) ||
      (client->status == HTTP_STATUS_METHOD_NOT_ALLOWED && add(wsi, "allow:", "GET, HEAD", &at, end)) ||
      add(wsi, "connection:", client->closes ? "close" : "keep-alive", &at, end) ||
      lws_finalize_http_header(wsi, &at, end))
    return -1;
  client->headers_sent = true;
  return lws_write(wsi, from, (size_t)(at - from), LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 0;
}

static int answer_end(http_request *client) {
  http_body_drop(client->body);
  client->body = NULL;
  client->state = CLIENT_READING;
  client->had_answer = true;
  if (client->closes)
    return -1;
  return lws_http_transaction_completed(client->wsi) ? -1 : 0;
}

static int answer_write(http_request *client) {
  if (client->state != CLIENT_ANSWERING)
    return 0;
  if (!client->headers_sent) {
    if (headers_write(client) != 0)
      return -1;
    if (client->is_head || !client->body || client->body->length == 0)
      return answer_end(client);
    (void)lws_callback_on_writable(client->wsi);
    return 0;
  }
  const size_t left = client->body->length - client->sent, now = left < CHUNK_BYTES ? left : CHUNK_BYTES;
  uint8_t *from = client->server->chunk + LWS_PRE;
  memcpy(from, client->body->text + client->sent, now);
  client->sent += now;
  const bool last = client->sent == client->body->length;
  if (lws_write(client->wsi, from, now, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
    return -1;
  if (last)
    return answer_end(client);
  lws_set_timeout(client->wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_REQUEST_SECONDS); /* it reads: for the next piece */
  (void)lws_callback_on_writable(client->wsi);
  return 0;
}

/* ---- requests ---- */

static bool is_method(struct lws *wsi, enum lws_token_indexes token) {
  return lws_hdr_total_length(wsi, token) > 0;
}

/* All that came behind the names of headers, of which libwebsockets keeps more than a client may send here. */
static bool is_too_large(struct lws *wsi) {
  int all = 0;
  for (int token = 0; token < WSI_TOKEN_COUNT; token++)
    all += lws_hdr_total_length(wsi, (enum lws_token_indexes)token);
  return all > HTTP_HEADER_BYTES;
}

/* After its answer: it says so, or is of a time when that was the rule. */
static bool wants_close(struct lws *wsi) {
  char word[64] = "", version[16] = "";
  (void)lws_hdr_copy(wsi, word, sizeof word, WSI_TOKEN_CONNECTION); /* too long, or not there: nothing that we know */
  (void)lws_hdr_copy(wsi, version, sizeof version, WSI_TOKEN_HTTP);
  return strcasestr(word, "close") || strcmp(version, "HTTP/1.1") != 0;
}

static void request_take(http_request *client, const char *uri) {
  char host[300] = "", path[HTTP_PATH_MAX];
  struct lws *wsi = client->wsi;
  const bool get = is_method(wsi, WSI_TOKEN_GET_URI), head = is_method(wsi, WSI_TOKEN_HEAD_URI);
  const bool has_host = lws_hdr_total_length(wsi, WSI_TOKEN_HOST) > 0;
  const bool host_fits = !has_host || lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST) > 0;
  client->is_head = head;
  client->state = CLIENT_ASKED;
  lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0); /* the site answers, or the client leaves */
  client->closes = wants_close(wsi);
  if (!get && !head) {
    client->closes = true; /* what follows may be a body */
    http_answer_text(client, HTTP_STATUS_METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.");
  } else if (is_too_large(wsi)) {
    client->closes = true;
    http_answer_text(client, 431, "The headers of the request are too large.");
  } else if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0) {
    client->closes = true;
    http_answer_text(client, HTTP_STATUS_BAD_REQUEST, "A request has no body here.");
  } else if (!host_fits || (client->loopback && !listen_is_own_host(host))) {
    client->closes = true;
    http_answer_text(client, 421, "This is not the host of that name: ask for localhost, or by an address.");
  } else if (strlen(uri) >= sizeof path) {
    http_answer_text(client, HTTP_STATUS_REQ_URI_TOO_LONG, "The path is too long.");
  } else {
    strcpy(path, uri);
    client->server->site.asked(client->server->site.user, client, path);
  }
}

/* ---- libwebsockets ---- */

static int on_client(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
  http_request *client = wsi ? lws_get_opaque_user_data(wsi) : NULL;
  http_server *server = wsi ? lws_context_user(lws_get_context(wsi)) : NULL;
  (void)user;
  (void)length;
  switch (reason) {
    case LWS_CALLBACK_HTTP:
      if (!client)
        return -1;
      client->wsi = wsi;
      request_take(client, in);
      return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE: return client ? answer_write(client) : -1;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:                                 /* neither HTTP/2 nor WebSocket */
      (void)lws_return_http_status(wsi, HTTP_STATUS_NOT_IMPLEMENTED, NULL); /* else it is hung up without it */
      return -1;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
      if (server)
        server->site.woken(server->site.user);
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      if (client) {
        lws_set_opaque_user_data(wsi, NULL);
        client_free(client);
      }
      return 0;
    default: return 0;
  }
}

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
  (void)user;
  (void)in;
  (void)length;
  if (reason == LWS_CALLBACK_RAW_RX_FILE)
    accept_clients(lws_context_user(lws_get_context(wsi)), (int)lws_get_socket_fd(wsi));
  return 0;
}

static const struct lws_protocols protocols[] = { { .name = "http", .callback = on_client },
                                                  { .name = "listener", .callback = on_listener },
                                                  { .name = NULL } };

/* ---- its life ---- */

/* A signal that came between two waits ends the next one. */
static void look_again(lws_sorted_usec_list_t *look) {
  http_server *server = lws_container_of(look, http_server, look);
  lws_sul_schedule(server->context, 0, look, look_again, LOOK_US);
}

static int context_create(http_server *server) {
  struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                            .protocols = protocols,
                                            .gid = (gid_t)-1,
                                            .uid = (uid_t)-1,
                                            .user = server,
                                            .server_string = "cuframes",
                                            .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                                                       LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
                                                       LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
                                            /* what is larger than may be is told so, and what is this large hung up */
                                            .max_http_header_data2 = 4 * HTTP_HEADER_BYTES,
                                            .max_http_header_pool2 = HTTP_CLIENTS_MAX + 1,
                                            .fd_limit_per_thread = HTTP_CLIENTS_MAX + LISTEN_MAX + 16,
                                            .timeout_secs = HTTP_REQUEST_SECONDS,
                                            .timeout_secs_ah_idle = HTTP_REQUEST_SECONDS,
                                            .keepalive_timeout = 6 * HTTP_REQUEST_SECONDS };
  lws_set_log_level(0, NULL); /* what clients do wrong is no news */
  server->context = lws_create_context(&info);
  server->vhost = server->context ? lws_create_vhost(server->context, &info) : NULL;
  if (server->vhost)
    return CLI_OK;
  cli_error("the HTTP server cannot be set up: memory or descriptors have run out");
  return CLI_FAILED;
}

static int listeners_adopt(http_server *server) {
  for (size_t i = 0; i < server->listeners.count; i++) {
    const int fd = fcntl(server->listeners.fds[i], F_DUPFD_CLOEXEC, 0); /* libwebsockets closes its own */
    const lws_adopt_desc_t adopt = {
      .vh = server->vhost, .type = LWS_ADOPT_RAW_FILE_DESC, .fd = { .filefd = fd }, .vh_prot_name = "listener"
    };
    if (fd < 0 || !lws_adopt_descriptor_vhost_via_info(&adopt)) {
      cli_error("the HTTP server cannot be set up: %s", fd < 0 ? strerror(errno) : "out of memory");
      return CLI_FAILED;
    }
  }
  return CLI_OK;
}

static int sockets_open(const char *at, const char *by_default, listeners *all) {
  int code = at ? CLI_OK : listen_inherit(all);
  if (!code && (at || all->count == 0))
    code = listen_at(at ? at : by_default, all);
  return code;
}

int http_open(const char *at, const char *by_default, const http_site *site, http_server **opened) {
  http_server *server = calloc(1, sizeof *server);
  if (!server) {
    cli_error("out of memory");
    return CLI_FAILED;
  }
  server->site = *site;
  server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int code = sockets_open(at, by_default, &server->listeners);
  if (!code)
    code = context_create(server);
  if (!code)
    code = listeners_adopt(server);
  if (code) {
    http_close(server);
    return code;
  }
  lws_sul_schedule(server->context, 0, &server->look, look_again, LOOK_US);
  *opened = server;
  return CLI_OK;
}

void http_note(const http_server *server, const char *path) {
  char text[LISTEN_TEXT];
  for (size_t i = 0; i < server->listeners.count; i++) {
    listen_text(server->listeners.fds[i], text);
    if (*text == '/')
      cli_note("listening at the socket %s", text);
    else
      cli_note("listening at http://%s%s", text, path);
  }
}

void http_serve(http_server *server) {
  while (!cli_stopped && lws_service(server->context, 0) >= 0)
    ;
}

void http_wake(http_server *server) {
  lws_cancel_service(server->context);
}

void http_close(http_server *server) {
  if (!server)
    return;
  if (server->context)
    lws_context_destroy(server->context);
  listen_close(&server->listeners);
  if (server->spare >= 0)
    close(server->spare);
  free(server);
}
