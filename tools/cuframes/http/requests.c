/* requests.c - what arrives: which requests are refused before the site hears of them, and their queries. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "server.h"

#define HOST_BYTES 300
#define COOKIE_ROOM 64
#define NOT_LOGGED_IN "Who are you? This server wants a login."
#define SLOWED "A wrong login came from your address a moment ago: try again."

/* ---- queries ---- */

/* Copies the arguments, which libwebsockets has taken apart and decoded; those that do not fit are left out. */
static void query_take(http_request *client) {
  client->query_length = 0;
  for (int i = 0;; i++) {
    char *to = client->query + client->query_length;
    const size_t room = sizeof client->query - client->query_length;
    const int length = room > 1 ? lws_hdr_copy_fragment(client->wsi, to, (int)room, WSI_TOKEN_HTTP_URI_ARGS, i) : -1;
    if (length < 0)
      return;
    client->query_length += strnlen(to, (size_t)length) + 1;
  }
}

bool http_query(const http_request *client, const char *name, char *value, size_t size) {
  return guard_argument(client->query, client->query_length, name, value, size);
}

/* ---- what is refused ---- */

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

/* Copies a header. False: it does not fit, or there is a zero byte in it; if there is none, it is empty. */
static bool header_take(struct lws *wsi, enum lws_token_indexes token, char *to, int size) {
  *to = '\0';
  const int length = lws_hdr_total_length(wsi, token);
  return length == 0 || (lws_hdr_copy(wsi, to, size, token) == length && strlen(to) == (size_t)length);
}

/* Whether a body follows. One that libwebsockets does not read would be taken for the next request; one that it does
 * read, behind another request in the same packet, it goes round in for ever. */
static bool has_body(struct lws *wsi) {
  return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 ||
         lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
}

/* HTTP/1.0 and later. It is none, too, where the line ended in mid-path: by a %0d that is taken for its end. */
static bool is_known_version(struct lws *wsi) {
  char version[16];
  return header_take(wsi, WSI_TOKEN_HTTP, version, sizeof version) && strncmp(version, "HTTP/1.", 7) == 0;
}

/* After its answer: it says so, or is of a time when that was the rule. */
static void version_take(http_request *client) {
  char word[64] = "", version[16] = "";
  (void)header_take(client->wsi, WSI_TOKEN_CONNECTION, word, sizeof word); /* too long: nothing that we know */
  (void)header_take(client->wsi, WSI_TOKEN_HTTP, version, sizeof version);
  client->is_old = strcmp(version, "HTTP/1.1") != 0;
  client->closes = client->is_old || strcasestr(word, "close");
}

/* "node" of "node.example.org", also as "node.local". */
static bool is_machine(const http_server *server, const char *host) {
  char name[sizeof server->name + 8];
  const int first = (int)strcspn(server->name, ".");
  if (guard_is_host(host, server->name))
    return true;
  snprintf(name, sizeof name, "%.*s", first, server->name);
  if (guard_is_host(host, name))
    return true;
  snprintf(name, sizeof name, "%.*s.local", first, server->name);
  return guard_is_host(host, name);
}

static bool is_our_host(const http_request *client, const char *host) {
  const http_options *options = &client->server->options;
  const bool any = !client->loopback && !options->is_private && options->host_count == 0;
  if (client->is_unix || any || guard_is_own_host(host))
    return true;
  for (size_t i = 0; i < options->host_count; i++)
    if (guard_is_host(host, options->hosts[i]))
      return true;
  return !client->loopback && is_machine(client->server, host);
}

/* By a name that was given for that it may have any scheme and port: a proxy in front has its own. */
static bool is_our_origin(const http_request *client, const char *origin, const char *host) {
  const http_options *options = &client->server->options;
  for (size_t i = 0; i < options->host_count; i++)
    if (guard_is_origin(origin, options->hosts[i]))
      return true;
  return guard_is_own_origin(origin, host, options->certificate != NULL);
}

/* Its status, with the sentence that says why; 0: it is not refused. */
static unsigned refuse(http_request *client, const char **why) {
  struct lws *wsi = client->wsi;
  char host[HOST_BYTES], origin[HOST_BYTES];
  const bool has_host = header_take(wsi, WSI_TOKEN_HOST, host, sizeof host);
  const bool has_origin = header_take(wsi, WSI_TOKEN_ORIGIN, origin, sizeof origin);
  if (!is_known_version(wsi)) {
    *why = "HTTP/1.1 and HTTP/1.0 are answered here.";
    return 505;
  }
  if (!is_method(wsi, WSI_TOKEN_GET_URI) && !client->is_head) {
    *why = "Only GET and HEAD are answered here.";
    return HTTP_STATUS_METHOD_NOT_ALLOWED;
  }
  if (is_too_large(wsi)) {
    *why = "The headers of the request are too large.";
    return 431;
  }
  if (has_body(wsi)) {
    *why = "A request has no body here.";
    return HTTP_STATUS_BAD_REQUEST;
  }
  if (has_host && *host == '\0' && !client->is_old) {
    *why = "A request of HTTP/1.1 has the header Host.";
    return HTTP_STATUS_BAD_REQUEST;
  }
  if (!has_host || !is_our_host(client, host)) {
    *why = "This is not the host of that name: ask for localhost, or by an address; --host allows a name.";
    return 421;
  }
  if (!has_origin || !is_our_origin(client, origin, host)) {
    *why = "Pages of others may not ask here: their Origin is not the Host that they ask.";
    return HTTP_STATUS_FORBIDDEN;
  }
  return 0;
}

/* ---- logins ---- */

/* Servers at other ports of this machine get our cookies, too. */
static void cookie_name(const http_request *client, char name[COOKIE_ROOM]) {
  snprintf(name, COOKIE_ROOM, "cuframes-%u", listen_port(client->fd));
}

static bool has_cookie(const http_request *client) {
  char all[HTTP_HEADER_BYTES + 1], name[COOKIE_ROOM], value[COOKIE_ROOM];
  cookie_name(client, name);
  return header_take(client->wsi, WSI_TOKEN_HTTP_COOKIE, all, sizeof all) &&
         guard_cookie(all, name, value, sizeof value) && login_is_secret(client->server->login, value);
}

static void give_cookie(http_request *client) {
  char name[COOKIE_ROOM], cookie[3 * COOKIE_ROOM];
  cookie_name(client, name);
  snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s", name,
           login_secret(client->server->login), client->server->options.certificate ? "; Secure" : "");
  (void)http_add_header(client, "set-cookie", cookie); /* the first header of all: there is room */
}

/* 0: who asks may; else the status, with the sentence that says why. `guessed`: a login was wrong. */
static unsigned refuse_login(http_request *client, const char **why, bool *guessed) {
  char authorization[2 * LOGIN_TEXT], token[LOGIN_TEXT] = "";
  uint8_t address[LOGIN_ADDRESS];
  login *l = client->server->login;
  const lws_usec_t now = lws_now_usecs();
  const bool fits = header_take(client->wsi, WSI_TOKEN_HTTP_AUTHORIZATION, authorization, sizeof authorization);
  (void)http_query(client, "token", token, sizeof token); /* else there is none */
  if (has_cookie(client))
    return 0;
  listen_peer(client->fd, address);
  *guessed = !fits || *authorization || *token;
  if (*guessed && login_is_slowed(l, address, now)) {
    *guessed = false;
    *why = SLOWED;
    (void)http_add_header(client, "retry-after", "1"); /* helpful, no more */
    return 429;
  }
  if (*guessed && fits && login_fits(l, authorization, token)) {
    give_cookie(client);
    return 0;
  }
  if (*guessed)
    login_failed(l, address, now);
  *why = NOT_LOGGED_IN;
  (void)http_add_header(client, "www-authenticate",
                        login_has_passwords(l) ? "Basic realm=\"cuframes\", charset=\"UTF-8\"" : "Bearer");
  return HTTP_STATUS_UNAUTHORIZED;
}

static void hold(http_request *client) {
  client->state = CLIENT_HELD;
  client->held_until = lws_now_usecs() + LOGIN_SLOW_US;
}

/* Who has closed its side of a stream reads no more; before an answer it may just have said all it wants. Who has
 * closed both is gone. */
void request_look(http_request *client) {
  struct pollfd its = { .fd = client->fd, .events = client->state == CLIENT_STREAMING ? POLLRDHUP : 0 };
  if (client->state == CLIENT_HELD && lws_now_usecs() >= client->held_until)
    http_answer_text(client, HTTP_STATUS_UNAUTHORIZED, NOT_LOGGED_IN);
  else if (client->state != CLIENT_READING && poll(&its, 1, 0) == 1)
    client_give_up(client);
}

/* ---- requests ---- */

static void request_begin(http_request *client) {
  client->is_head = is_method(client->wsi, WSI_TOKEN_HEAD_URI);
  client->extra_length = 0;
  client->etag = NULL;
  version_take(client);
  query_take(client);
}

int request_take(http_request *client, const char *uri, size_t uri_length) {
  char path[HTTP_PATH_MAX];
  const char *why = NULL;
  const http_site *site = &client->server->site;
  client->state = CLIENT_ASKED;
  lws_set_timeout(client->wsi, NO_PENDING_TIMEOUT, 0); /* the site answers, or the client leaves */
  lws_rx_flow_control(client->wsi, 0);                 /* to the end of its answer; client_wake() says why */
  request_begin(client);
  bool guessed = false;
  unsigned status = refuse(client, &why);
  if (has_body(client->wsi)) { /* not one byte of it is to be read, so nothing can wait */
    client->state = CLIENT_READING;
    return answer_now(client, status, why);
  }
  if (status)
    client->closes = true; /* what follows may be a body */
  else if (client->server->login)
    status = refuse_login(client, &why, &guessed);
  if (guessed && status) {
    hold(client);
  } else if (status) {
    http_answer_text(client, status, why);
  } else if (memchr(uri, '\0', uri_length)) {
    client->closes = true;
    http_answer_text(client, HTTP_STATUS_BAD_REQUEST, "There is a zero byte in the path.");
  } else if (strlen(uri) >= sizeof path) {
    http_answer_text(client, HTTP_STATUS_REQ_URI_TOO_LONG, "The path is too long.");
  } else {
    strcpy(path, uri);
    site->asked(site->user, client, path);
  }
  return 0;
}

/* ---- upgrades ---- */

/* What libwebsockets does not look at, or refuses without a word. */
static unsigned refuse_upgrade(http_request *client, const char **why) {
  struct lws *wsi = client->wsi;
  const char *protocol = client->server->site.socket_protocol;
  char upgrade[32], version[16], asked[128];
  *why = "Nothing but HTTP/1.1 is spoken here.";
  if (!client->server->site.socket_opened || !header_take(wsi, WSI_TOKEN_UPGRADE, upgrade, sizeof upgrade) ||
      strcasecmp(upgrade, "websocket") != 0)
    return HTTP_STATUS_NOT_IMPLEMENTED;
  *why = "This is no request for a WebSocket.";
  if (client->is_head || client->is_old || lws_hdr_total_length(wsi, WSI_TOKEN_HOST) == 0 ||
      lws_hdr_total_length(wsi, WSI_TOKEN_KEY) != 24)
    return HTTP_STATUS_BAD_REQUEST;
  *why = "Version 13 of WebSocket is spoken here.";
  if (!header_take(wsi, WSI_TOKEN_VERSION, version, sizeof version) || strcmp(version, "13") != 0) {
    (void)http_add_header(client, "sec-websocket-version", "13"); /* helpful, no more */
    return 426;
  }
  *why = "No such protocol is spoken over WebSocket here.";
  if (!header_take(wsi, WSI_TOKEN_PROTOCOL, asked, sizeof asked) ||
      (*asked && (!protocol || strcmp(asked, protocol) != 0)))
    return HTTP_STATUS_BAD_REQUEST;
  return 0;
}

int request_upgrade(http_request *client) {
  char path[HTTP_PATH_MAX];
  const char *why = NULL;
  request_begin(client);
  bool guessed = false;
  unsigned status = refuse(client, &why);
  if (!status)
    status = refuse_upgrade(client, &why);
  if (!status && client->server->login)
    status = refuse_login(client, &why, &guessed);
  if (!status && lws_hdr_copy(client->wsi, path, sizeof path, WSI_TOKEN_GET_URI) <= 0) {
    why = "The path is too long.";
    status = HTTP_STATUS_REQ_URI_TOO_LONG;
  }
  if (!status && !client_stays(client, CLIENT_SOCKET)) {
    (void)http_add_header(client, "retry-after", "5"); /* helpful, no more */
    why = CLIENTS_TOO_MANY;
    status = HTTP_STATUS_SERVICE_UNAVAILABLE;
  }
  if (!status && !socket_open(client, path)) {
    client_leaves(client);
    why = "There is no WebSocket at this path.";
    status = HTTP_STATUS_NOT_FOUND;
  }
  return status ? answer_now(client, status, why) : 0;
}
