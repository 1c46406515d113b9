/* site.c - the program's HTTP server with a site that does what a test asks for.
 *
 *   site [--ping SECONDS] [--pong SECONDS] [--clients N] [--policy TEXT] [--private] and those of http/options.h
 *
 * /            a text                          /same        the same, with an ETag
 * /query       the argument "q" of the query   /stream      as many bytes as ?bytes= says, in pieces of ?size=; one
 * /silent      an answer without an end and                 for each second letter of the alphabet, in turn
 *              without a byte                  /numbers     what is counted here, as JSON
 * WebSocket at /talk, protocol "site-1": a text is said back, but
 *   "send N SIZE"    N binary messages of that size, each of one letter in turn
 *   "flood SIZE"     messages of that size for ever, as fast as they go
 *   "share N SIZE"   N messages: "<", the same SIZE bytes for all who ask for so many one after the other, and ">"
 *   "close CODE R"   ends with that code and reason
 *   "query"          the argument "q" of the query */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "http/http.h"
#include "http/options.h"

#define LOW 262144 /* bytes that wait: below that more is queued */
#define MANY SIZE_MAX

/* One that gets many messages, or a stream. */
typedef struct feed {
  size_t count, size, next;
} feed;

static struct {
  http_server *server;
  size_t asked, left, opened, said, closed, most_waiting, refused, released;
  http_body *common; /* what "share" sends */
  size_t common_size;
} site;

static http_body *piece(size_t size, size_t index) {
  char *bytes;
  http_body *body = http_body_room(size, &bytes);
  if (!body)
    abort();
  memset(bytes, 'a' + (int)(index % 26), size);
  return body;
}

static void note_waiting(size_t waiting) {
  if (waiting > site.most_waiting)
    site.most_waiting = waiting;
}

/* ---- answers ---- */

static void fill_stream(http_request *request, feed *f) {
  while (f->next < f->count) {
    if (http_stream_waiting(request) > LOW) {
      http_stream_notify(request, LOW);
      return;
    }
    http_body *body = piece(f->size, f->next);
    const bool queued = http_stream_write(request, body);
    http_body_drop(body);
    if (!queued) {
      http_stream_notify(request, LOW);
      return;
    }
    f->next++;
    note_waiting(http_stream_waiting(request));
  }
  free(f);
  http_request_set_user(request, NULL);
  http_stream_end(request);
}

static void ready(void *user, http_request *request) {
  (void)user;
  if (http_request_user(request))
    fill_stream(request, http_request_user(request));
}

static size_t number(const http_request *request, const char *name, size_t otherwise) {
  char text[32];
  return http_query(request, name, text, sizeof text) ? strtoul(text, NULL, 10) : otherwise;
}

static void answer_stream(http_request *request) {
  feed *f = calloc(1, sizeof *f);
  if (!f)
    abort();
  f->size = number(request, "size", 1000);
  f->count = number(request, "bytes", 10000) / f->size;
  if (!http_stream_begin(request, 200, "application/octet-stream")) {
    free(f);
    return;
  }
  http_request_set_user(request, f);
  fill_stream(request, f);
}

static void answer_numbers(http_request *request) {
  char *text = NULL;
  const int length = asprintf(&text,
                              "{\"asked\":%zu,\"left\":%zu,\"opened\":%zu,\"said\":%zu,\"closed\":%zu,"
                              "\"most_waiting\":%zu,\"refused\":%zu,\"released\":%zu}\n",
                              site.asked, site.left, site.opened, site.said, site.closed, site.most_waiting,
                              site.refused, site.released);
  http_body *body = length < 0 ? NULL : http_body_new(text, (size_t)length);
  http_answer(request, 200, "application/json", body);
  http_body_drop(body);
}

static void asked(void *user, http_request *request, const char *path) {
  static const char text[] = "This is the site.\n";
  char value[HTTP_QUERY_MAX];
  http_body *body = http_body_static(text, sizeof text - 1);
  (void)user;
  site.asked++;
  if (strcmp(path, "/") == 0)
    http_answer(request, 200, "text/plain", body);
  else if (strcmp(path, "/same") == 0)
    http_answer_same(request, "text/plain", body, "\"v1\"");
  else if (strcmp(path, "/query") == 0)
    http_answer_text(request, 200, http_query(request, "q", value, sizeof value) ? value : "none");
  else if (strcmp(path, "/stream") == 0)
    answer_stream(request);
  else if (strcmp(path, "/silent") == 0)
    (void)http_stream_begin(request, 200, "text/plain");
  else if (strcmp(path, "/numbers") == 0)
    answer_numbers(request);
  else if (http_add_header(request, "retry-after", "7"))
    http_answer_text(request, 503, "Not yet.");
  http_body_drop(body);
}

static void left(void *user, http_request *request) {
  (void)user;
  site.left++;
  free(http_request_user(request));
}

/* ---- WebSockets ---- */

static bool socket_opened(void *user, http_socket *socket, const char *path) {
  (void)user;
  if (strcmp(path, "/talk") != 0)
    return false;
  site.opened++;
  http_body *body = http_body_static("hello", 5);
  (void)http_socket_send(socket, false, body);
  http_body_drop(body);
  return true;
}

static void fill_socket(http_socket *socket, feed *f) {
  while (f->next < f->count) {
    http_body *body = piece(f->size, f->next);
    const bool queued = http_socket_send(socket, true, body);
    http_body_drop(body);
    note_waiting(http_socket_waiting(socket));
    if (!queued) {
      http_socket_notify(socket, LOW);
      return;
    }
    f->next++;
  }
}

static void socket_ready(void *user, http_socket *socket) {
  (void)user;
  if (http_socket_user(socket))
    fill_socket(socket, http_socket_user(socket));
}

static void begin_feed(http_socket *socket, size_t count, size_t size) {
  feed *f = calloc(1, sizeof *f);
  if (!f)
    abort();
  *f = (feed){ .count = count, .size = size };
  free(http_socket_user(socket));
  http_socket_set_user(socket, f);
  fill_socket(socket, f);
}

static void released(void *user) {
  site.released++;
  free(user);
}

static void share(http_socket *socket, size_t count, size_t size) {
  if (size != site.common_size || !site.common) {
    char *bytes = malloc(size);
    if (!bytes)
      abort();
    memset(bytes, '-', size);
    http_body_drop(site.common);
    site.common = http_body_shared(bytes, size, released, bytes);
    site.common_size = size;
  }
  http_body *parts[] = { http_body_static("<", 1), site.common, http_body_static(">", 1) };
  for (size_t i = 0; i < count; i++)
    site.refused += !http_socket_send_parts(socket, true, parts, sizeof parts / sizeof *parts);
  http_body_drop(parts[0]);
  http_body_drop(parts[2]);
}

static void say_back(http_socket *socket, const char *text, size_t length) {
  char *bytes;
  http_body *body = http_body_room(length, &bytes);
  if (!body)
    abort();
  memcpy(bytes, text, length);
  (void)http_socket_send(socket, false, body);
  http_body_drop(body);
}

static void socket_said(void *user, http_socket *socket, const char *text, size_t length) {
  char line[256], reason[200] = "", value[HTTP_QUERY_MAX];
  size_t count, size;
  unsigned code;
  (void)user;
  site.said++;
  snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1), text);
  if (sscanf(line, "send %zu %zu", &count, &size) == 2)
    begin_feed(socket, count, size);
  else if (sscanf(line, "flood %zu", &size) == 1)
    begin_feed(socket, MANY, size);
  else if (sscanf(line, "share %zu %zu", &count, &size) == 2)
    share(socket, count, size);
  else if (sscanf(line, "close %u %199[^\n]", &code, reason) >= 1)
    http_socket_close(socket, code, reason);
  else if (strcmp(line, "query") == 0 && http_socket_query(socket, "q", value, sizeof value))
    say_back(socket, value, strlen(value));
  else
    say_back(socket, text, length);
}

static void socket_left(void *user, http_socket *socket) {
  (void)user;
  site.closed++;
  free(http_socket_user(socket));
}

int main(int argc, char **argv) {
  http_options options = { .by_default = "127.0.0.1:0" };
  enum { SERVE = 256 };
  static const struct option longs[] = { HTTP_OPTIONS(SERVE),
                                         HTTP_OPTION_OPEN(SERVE),
                                         { "private", no_argument, NULL, 'r' },
                                         { "ping", required_argument, NULL, 'p' },
                                         { "pong", required_argument, NULL, 'q' },
                                         { "clients", required_argument, NULL, 'c' },
                                         { "policy", required_argument, NULL, 'P' },
                                         { 0 } };
  const http_site its = { .asked = asked,
                          .left = left,
                          .ready = ready,
                          .socket_protocol = "site-1",
                          .socket_opened = socket_opened,
                          .socket_said = socket_said,
                          .socket_ready = socket_ready,
                          .socket_left = socket_left };
  int code = CLI_OK;
  for (int option; !code && (option = getopt_long(argc, argv, "", longs, NULL)) != -1;)
    switch (option) {
      case 'r': options.is_private = true; break;
      case 'p': options.ping_seconds = strtod(optarg, NULL); break;
      case 'q': options.pong_seconds = strtod(optarg, NULL); break;
      case 'c': options.clients_max = strtoul(optarg, NULL, 10); break;
      case 'P': options.policy = optarg; break;
      default: code = option < SERVE ? CLI_USAGE : http_option_take(option - SERVE, optarg, &options);
    }
  cli_output_begin();
  cli_set_command("site");
  cli_catch_signals();
  if (!code)
    code = http_options_check(&options);
  if (!code)
    code = http_open(&options, &its, &site.server);
  if (!code) {
    http_note(site.server, "/");
    http_serve(site.server);
  }
  http_close(site.server);
  http_body_drop(site.common);
  return cli_output_end(code);
}
