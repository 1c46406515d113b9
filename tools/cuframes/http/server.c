/* server.c - see http.h: the server's life, and which file hears of what from libwebsockets. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "tls.h"

#define LOOK_US (LWS_USEC_PER_SEC / 4) /* how soon a signal is noticed that came just before a wait */
#define LEAVE_US LWS_USEC_PER_SEC      /* for WebSockets to take leave at the end */
#define GOING_AWAY 1001
#define IDLE_MAX 8       /* times that it wakes with nothing to do, one after the other */
#define IDLE_MS 2        /* from one such time to the next */
#define FIRST_PROTOCOL 1 /* an id */

/* ---- libwebsockets ---- */

static int on_request(http_request *client, struct lws *wsi, enum lws_callback_reasons reason, const char *in,
                      size_t length) {
  client->wsi = wsi;
  switch (reason) {
    case LWS_CALLBACK_HTTP: return request_take(client, in, length);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return request_upgrade(client);
    case LWS_CALLBACK_HTTP_WRITEABLE: return answer_write(client);
    case LWS_CALLBACK_WSI_DESTROY:
      lws_set_opaque_user_data(wsi, NULL);
      client_free(client);
      return 0;
    default: return 0;
  }
}

static int on_socket(http_request *client, enum lws_callback_reasons reason, const char *in, size_t length) {
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: return socket_established(client);
    case LWS_CALLBACK_RECEIVE: return socket_received(client, in, length);
    case LWS_CALLBACK_RECEIVE_PONG: socket_heard(client); return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: socket_leaves(client); return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: return socket_write(client);
    default: return 0;
  }
}

static int on_client(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
  http_request *client = wsi ? lws_get_opaque_user_data(wsi) : NULL;
  http_server *server = wsi ? lws_context_user(lws_get_context(wsi)) : NULL;
  (void)user;
  if (server)
    server->calls++;
  switch (reason) {
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_HTTP_WRITEABLE: return client ? on_request(client, wsi, reason, in, length) : -1;
    case LWS_CALLBACK_RAW_ADOPT: return client ? client_refuse_tunnel(client) : -1;
    case LWS_CALLBACK_WSI_DESTROY: return client ? on_request(client, wsi, reason, in, length) : 0;
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_SERVER_WRITEABLE: return client && client->socket ? on_socket(client, reason, in, length) : -1;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED: /* of each protocol */
      if (server && server->site.woken && lws_get_protocol(wsi)->id == FIRST_PROTOCOL)
        server->site.woken(server->site.user);
      return 0;
    default: return 0;
  }
}

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
  (void)user;
  (void)in;
  (void)length;
  if (reason == LWS_CALLBACK_RAW_RX_FILE)
    clients_accept(lws_context_user(lws_get_context(wsi)), (int)lws_get_socket_fd(wsi));
  return 0;
}

/* ---- its life ---- */

/* A signal that came between two waits ends the next one, and who is silent is looked for. */
static void look_again(lws_sorted_usec_list_t *look) {
  http_server *server = lws_container_of(look, http_server, look);
  server->calls++;
  for (http_request *client = server->clients; client; client = client->next)
    if (client->socket)
      socket_look(client);
    else
      request_look(client);
  tls_look(server);
  lws_sul_schedule(server->context, 0, look, look_again, LOOK_US);
}

/* Names in brackets are none that a client can ask for: a WebSocket is of the third, or of the first. */
static void protocols_fill(http_server *server) {
  server->protocols[0] = (struct lws_protocols){
    .name = "(http)", .callback = on_client, .id = FIRST_PROTOCOL, .tx_packet_size = CHUNK_BYTES
  };
  server->protocols[1] = (struct lws_protocols){ .name = "(listener)", .callback = on_listener };
  if (server->site.socket_protocol)
    server->protocols[2] = (struct lws_protocols){ .name = server->site.socket_protocol,
                                                   .callback = on_client,
                                                   .tx_packet_size = CHUNK_BYTES };
}

static int context_create(http_server *server) {
  static const lws_retry_bo_t never = { 0 }; /* who is silent is looked for here */
  struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                            .protocols = server->protocols,
                                            .gid = (gid_t)-1,
                                            .uid = (uid_t)-1,
                                            .user = server,
                                            .server_string = "cuframes",
                                            .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                                                       LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
                                                       LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS |
                                                       LWS_SERVER_OPTION_VALIDATE_UTF8,
                                            .retry_and_idle_policy = &never,
                                            /* what is larger than may be is told so, and what is this large hung up */
                                            .max_http_header_data2 = 4 * HTTP_HEADER_BYTES,
                                            .max_http_header_pool2 = HTTP_CLIENTS_MAX + 1,
                                            .fd_limit_per_thread = HTTP_CLIENTS_MAX + LISTEN_MAX + 16,
                                            .timeout_secs = HTTP_REQUEST_SECONDS,
                                            .timeout_secs_ah_idle = HTTP_REQUEST_SECONDS,
                                            .keepalive_timeout = 6 * HTTP_REQUEST_SECONDS };
  const int code = tls_prepare(&server->options, &info);
  if (code)
    return code;
  lws_set_log_level(0, NULL); /* what clients do wrong is no news */
  server->context = lws_create_context(&info);
  if (server->context)
    return tls_vhost_create(server, &info);
  cli_error("the HTTP server cannot be set up: memory or descriptors have run out");
  return CLI_FAILED;
}

static int listeners_adopt(http_server *server) {
  for (size_t i = 0; i < server->listeners.count; i++) {
    const int fd = fcntl(server->listeners.fds[i], F_DUPFD_CLOEXEC, 0); /* libwebsockets closes its own */
    const lws_adopt_desc_t adopt = {
      .vh = server->vhost, .type = LWS_ADOPT_RAW_FILE_DESC, .fd = { .filefd = fd }, .vh_prot_name = "(listener)"
    };
    if (fd < 0 || !lws_adopt_descriptor_vhost_via_info(&adopt)) {
      cli_error("the HTTP server cannot be set up: %s", fd < 0 ? strerror(errno) : "out of memory");
      return CLI_FAILED;
    }
  }
  return CLI_OK;
}

static int sockets_open(const http_options *options, listeners *all) {
  int code = options->listen ? CLI_OK : listen_inherit(all);
  if (!code && (options->listen || all->count == 0))
    code = listen_at(options->listen ? options->listen : options->by_default, all);
  return code;
}

/* Whether others than this machine's users can get there. */
static bool is_reachable(const http_server *server) {
  for (size_t i = 0; i < server->listeners.count; i++)
    if (!listen_is_loopback(server->listeners.fds[i]) && !listen_is_unix(server->listeners.fds[i]))
      return true;
  return false;
}

static int reach_check(const http_server *server) {
  const http_options *options = &server->options;
  if (!is_reachable(server))
    return CLI_OK;
  if (options->is_private && !options->login && !options->open)
    return cli_usage("others can reach %s: --login FILE says who may look, and --open that everybody may",
                     options->listen ? options->listen : "the socket");
  if (options->login && !options->certificate)
    cli_note("who logs in from elsewhere is not encrypted: --certificate FILE makes it HTTPS");
  return CLI_OK;
}

static void options_fill(http_options *options) {
  if (!options->key)
    options->key = options->certificate;
  if (options->clients_max == 0 || options->clients_max > HTTP_CLIENTS_MAX)
    options->clients_max = HTTP_CLIENTS_MAX;
  if (options->ping_seconds <= 0)
    options->ping_seconds = HTTP_PING_SECONDS;
  if (options->pong_seconds <= 0)
    options->pong_seconds = HTTP_PONG_SECONDS;
}

int http_open(const http_options *options, const http_site *site, http_server **opened) {
  http_server *server = calloc(1, sizeof *server);
  if (!server) {
    cli_error("out of memory");
    return CLI_FAILED;
  }
  server->site = *site;
  server->options = *options;
  options_fill(&server->options);
  protocols_fill(server);
  server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (gethostname(server->name, sizeof server->name - 1) != 0)
    strcpy(server->name, "localhost");
  int code = options->login ? login_read(options->login, &server->login) : CLI_OK;
  if (!code)
    code = sockets_open(options, &server->listeners);
  if (!code)
    code = reach_check(server);
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
      cli_note("listening at %s://%s%s", server->options.certificate ? "https" : "http", text, path);
  }
}

/* Gives the number of WebSockets. */
static size_t sockets_close(http_server *server) {
  size_t count = 0;
  for (http_request *client = server->clients; client; client = client->next)
    if (client->socket) {
      http_socket_close(client->socket, GOING_AWAY, "The server ends.");
      count++;
    }
  return count;
}

static bool serve_once(http_server *server) {
  const bool goes_on = lws_service(server->context, 0) >= 0;
  clients_write(server);
  return goes_on;
}

/* Where somebody has asked for more before an answer, libwebsockets wakes again and again for nothing: then it goes
 * slowly. */
void http_serve(http_server *server) {
  unsigned idle = 0, calls = 0;
  while (!cli_stopped && serve_once(server)) {
    idle = calls == server->calls ? idle + 1 : 0;
    calls = server->calls;
    if (idle > IDLE_MAX)
      (void)poll(NULL, 0, IDLE_MS);
  }
  server->ending = true;
  const lws_usec_t until = lws_now_usecs() + LEAVE_US;
  while (sockets_close(server) > 0 && lws_now_usecs() < until && serve_once(server))
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
  login_free(server->login);
  if (server->spare >= 0)
    close(server->spare);
  free(server);
}
