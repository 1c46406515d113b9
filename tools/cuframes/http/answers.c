/* answers.c - answers with a length and answers without an end: their headers and their bytes. */
#include <stdio.h>
#include <string.h>

#include "server.h"

#define CHUNK_HEAD 10 /* "ffff\r\n" and more, in front of each piece of a stream, and "\r\n" behind it */

/* ---- what the site says ---- */

bool http_is_head(const http_request *client) {
  return client->is_head;
}

bool http_add_header(http_request *client, const char *name, const char *value) {
  char *to = client->extra + client->extra_length;
  const size_t room = sizeof client->extra - client->extra_length;
  const int length = snprintf(to, room, "%s:%c%s", name, '\0', value);
  if (length < 0 || (size_t)length + 1 > room)
    return false;
  client->extra_length += (size_t)length + 1;
  return true;
}

static void begin(http_request *client, unsigned status, const char *type) {
  client->status = status;
  client->type = type;
  client->sent = 0;
  client->headers_sent = false;
  lws_set_timeout(client->wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_REQUEST_SECONDS);
  client_wake(client);
}

void http_answer(http_request *client, unsigned status, const char *type, http_body *body) {
  client->state = CLIENT_ANSWERING;
  client->body = body;
  if (body)
    body->references++;
  begin(client, status, type);
}

void http_answer_text(http_request *client, unsigned status, const char *text) {
  char *line = NULL;
  const int length = asprintf(&line, "%s\n", text);
  http_body *body = length < 0 ? NULL : http_body_new(line, (size_t)length);
  http_answer(client, status, "text/plain; charset=utf-8", body);
  http_body_drop(body);
}

/* Whether the header If-None-Match has that tag; W/ in front of it is as good. */
static bool has_already(http_request *client, const char *etag) {
  char tags[512] = "";
  if (lws_hdr_copy(client->wsi, tags, sizeof tags, WSI_TOKEN_HTTP_IF_NONE_MATCH) <= 0)
    return false; /* none, or more than anybody keeps */
  return strcmp(tags, "*") == 0 || strstr(tags, etag) != NULL;
}

void http_answer_same(http_request *client, const char *type, http_body *body, const char *etag) {
  client->etag = etag;
  if (has_already(client, etag))
    http_answer(client, HTTP_STATUS_NOT_MODIFIED, NULL, NULL);
  else
    http_answer(client, HTTP_STATUS_OK, type, body);
}

bool http_stream_begin(http_request *client, unsigned status, const char *type) {
  if (!client_stays(client, CLIENT_STREAMING)) {
    (void)http_add_header(client, "retry-after", "5"); /* helpful, no more */
    http_answer_text(client, HTTP_STATUS_SERVICE_UNAVAILABLE, CLIENTS_TOO_MANY);
    return false;
  }
  client->closes |= client->is_old;
  begin(client, status, type);
  return true;
}

bool http_stream_write(http_request *client, http_body *piece) {
  if (client->state != CLIENT_STREAMING || client->ended)
    return false;
  return piece->length == 0 || client_queue(client, &piece, 1, true, HTTP_STREAM_BYTES);
}

size_t http_stream_waiting(const http_request *client) {
  return client_waiting(client);
}

void http_stream_notify(http_request *client, size_t below) {
  client->notify_below = below;
  if (client->queue.bytes - client->sent < below)
    client_wake(client);
}

void http_stream_end(http_request *client) {
  client->ended = true;
  client_wake(client);
}

void http_request_set_user(http_request *client, void *user) {
  client->user = user;
}

void *http_request_user(const http_request *client) {
  return client->user;
}

/* ---- how it goes out ---- */

static int add(struct lws *wsi, const char *name, const char *value, uint8_t **at, uint8_t *end) {
  return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value),
                                     at, end);
}

static int add_extra(http_request *client, uint8_t **at, uint8_t *end) {
  const char *name = client->extra, *last = client->extra + client->extra_length;
  while (name < last) {
    const char *value = name + strlen(name) + 1;
    if (add(client->wsi, name, value, at, end))
      return -1;
    name = value + strlen(value) + 1;
  }
  return 0;
}

/* What all answers have, and what keeps pages of others from making use of them. */
static int add_common(http_request *client, uint8_t **at, uint8_t *end) {
  struct lws *wsi = client->wsi;
  const char *policy = client->server->options.policy;
  return add(wsi, "cache-control:", client->etag ? "no-cache" : "no-store", at, end) ||
         (client->etag && add(wsi, "etag:", client->etag, at, end)) ||
         add(wsi, "x-content-type-options:", "nosniff", at, end) ||
         add(wsi, "referrer-policy:", "no-referrer", at, end) ||
         add(wsi, "cross-origin-resource-policy:", "same-origin", at, end) ||
         (policy && add(wsi, "content-security-policy:", policy, at, end)) ||
         (client->status == HTTP_STATUS_METHOD_NOT_ALLOWED && add(wsi, "allow:", "GET, HEAD", at, end)) ||
         add_extra(client, at, end) || add(wsi, "connection:", client->closes ? "close" : "keep-alive", at, end);
}

/* `length`: negative where it is not known. Gives the end of what it has written, NULL if it did not fit. */
static uint8_t *put_headers(http_request *client, int64_t length, uint8_t *at, uint8_t *end) {
  struct lws *wsi = client->wsi;
  if (lws_add_http_header_status(wsi, client->status, &at, end) ||
      (client->type && add(wsi, "content-type:", client->type, &at, end)) ||
      (length >= 0 && client->status != HTTP_STATUS_NOT_MODIFIED &&
       lws_add_http_header_content_length(wsi, (lws_filepos_t)length, &at, end)) ||
      (length < 0 && !client->is_old && add(wsi, "transfer-encoding:", "chunked", &at, end)) ||
      add_common(client, &at, end) || lws_finalize_http_header(wsi, &at, end))
    return NULL;
  client->headers_sent = true;
  return at;
}

static int headers_write(http_request *client) {
  uint8_t *from = client->server->chunk + LWS_PRE;
  const int64_t length = client->state == CLIENT_STREAMING ? -1 : client->body ? (int64_t)client->body->length : 0;
  const uint8_t *end = put_headers(client, length, from, from + CHUNK_BYTES);
  return !end || lws_write(client->wsi, from, (size_t)(end - from), LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 0;
}

static int answer_end(http_request *client) {
  client_leaves(client);
  http_body_drop(client->body);
  client->body = NULL;
  client->etag = NULL;
  client->extra_length = client->query_length = 0;
  client->user = NULL;
  client->state = CLIENT_READING;
  client->had_answer = true;
  if (client->closes)
    return -1;
  return lws_http_transaction_completed(client->wsi) ? -1 : 0;
}

static int body_write(http_request *client) {
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
  client_wake(client);
  return 0;
}

/* As much of the queue as makes one chunk. Gives its length, 0 if there is nothing. */
static size_t fill_chunk(http_request *client, uint8_t *to, size_t room) {
  size_t filled = 0;
  while (client->queue.count > 0 && filled < room) {
    const http_body *body = queue_first(&client->queue)->body;
    const size_t left = body->length - client->sent, now = left < room - filled ? left : room - filled;
    memcpy(to + filled, body->text + client->sent, now);
    filled += now;
    client->sent += now;
    if (client->sent == body->length)
      client_shift(client);
  }
  return filled;
}

/* The next chunk; nothing, if nothing waits; the last one, after the end. */
static int stream_write(http_request *client) {
  static const char last[] = "0\r\n\r\n";
  uint8_t *from = client->server->chunk + LWS_PRE, *data = from + CHUNK_HEAD;
  http_server *server = client->server;
  const size_t length = fill_chunk(client, data, CHUNK_BYTES - CHUNK_HEAD - 2);
  if (length > 0) {
    char head[CHUNK_HEAD + 1];
    const size_t size = client->is_old ? 0 : (size_t)snprintf(head, sizeof head, "%zx\r\n", length);
    const size_t tail = client->is_old ? 0 : 2;
    memcpy(data - size, head, size);
    memcpy(data + length, "\r\n", tail);
    client->buffered = size + length + tail;
    if (lws_write(client->wsi, data - size, size + length + tail, LWS_WRITE_HTTP) < 0)
      return -1;
    /* it has its time to take it; if nothing waits, it is not to be blamed for that */
    lws_set_timeout(client->wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_REQUEST_SECONDS);
    client_wake(client);
  } else if (client->ended) {
    memcpy(from, last, sizeof last - 1);
    if (!client->is_old && lws_write(client->wsi, from, sizeof last - 1, LWS_WRITE_HTTP_FINAL) < 0)
      return -1;
    return answer_end(client);
  } else {
    lws_set_timeout(client->wsi, NO_PENDING_TIMEOUT, 0);
  }
  if (!client->ended && client_is_ready(client) && server->site.ready)
    server->site.ready(server->site.user, client);
  return 0;
}

/* After its headers, a stream for HEAD is over. */
static int stream_end_head(http_request *client) {
  http_server *server = client->server;
  const bool told = client->ended;
  client->ended = true;
  if (!told && server->site.left)
    server->site.left(server->site.user, client);
  return answer_end(client);
}

int answer_write(http_request *client) {
  const bool streams = client->state == CLIENT_STREAMING;
  if (client->state != CLIENT_ANSWERING && !streams)
    return 0;
  client->wants_write = false;
  if (client->headers_sent)
    return streams ? stream_write(client) : body_write(client);
  if (headers_write(client) != 0)
    return -1;
  if (streams && client->is_head)
    return stream_end_head(client);
  if (!streams && (client->is_head || !client->body || client->body->length == 0))
    return answer_end(client);
  client_wake(client);
  return 0;
}

int answer_now(http_request *client, unsigned status, const char *text) {
  uint8_t *from = client->server->chunk + LWS_PRE, *end = from + CHUNK_BYTES;
  const size_t length = strlen(text);
  client->status = status;
  client->type = "text/plain; charset=utf-8";
  client->closes = true;
  uint8_t *at = put_headers(client, (int64_t)length + 1, from, end);
  if (!at || length + 1 > (size_t)(end - at))
    return -1;
  memcpy(at, text, length + 1);
  at[length] = '\n';
  client->had_answer = true;
  (void)lws_write(client->wsi, from, (size_t)(at - from) + length + 1,
                  LWS_WRITE_HTTP_HEADERS); /* it is closed anyway */
  return -1;
}
