/* serve.c - see serve.h. A thread asks the streams (looker.h), and the server goes on meanwhile. Who asks while it is
 * at it gets what it finds, so that many who ask at once cost no more than one; nobody gets what was found before. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/notify.h"
#include "http/http.h"
#include "looker.h"

typedef struct waiting {
  http_request *request;
  struct waiting *next;
} waiting;

typedef struct service {
  looker *looker;
  http_server *server;
  waiting *waiting;
} service;

static const char overview[] = "<!doctype html><title>cuframes</title><h1>cuframes</h1>"
                               "<p><a href=\"" SERVE_PATH "\">metrics</a></p>\n";

static void answer_overview(http_request *request) {
  char *text = strdup(overview);
  http_body *body = text ? http_body_new(text, strlen(overview)) : NULL;
  http_answer(request, 200, "text/html; charset=utf-8", body);
  http_body_drop(body);
}

static void asked(void *user, http_request *request, const char *path) {
  service *s = user;
  if (strcmp(path, "/") == 0) {
    answer_overview(request);
    return;
  }
  if (strcmp(path, SERVE_PATH) != 0) {
    http_answer_text(request, 404, "There is nothing here; the numbers are at " SERVE_PATH ".");
    return;
  }
  waiting *one = calloc(1, sizeof *one);
  if (!one) {
    http_answer_text(request, 503, "Out of memory.");
    return;
  }
  *one = (waiting){ .request = request, .next = s->waiting };
  s->waiting = one;
  looker_ask(s->looker);
}

static void left(void *user, http_request *request) {
  service *s = user;
  for (waiting **at = &s->waiting; *at; at = &(*at)->next)
    if ((*at)->request == request) {
      waiting *gone = *at;
      *at = gone->next;
      free(gone);
      return;
    }
}

/* All who wait get what was found. */
static void woken(void *user) {
  service *s = user;
  exposition found;
  if (!looker_take(s->looker, &found))
    return;
  http_body *body = NULL;
  if (found.failed)
    exposition_free(&found);
  else
    body = http_body_new(found.text, found.length); /* its now */
  while (s->waiting) {
    waiting *one = s->waiting;
    s->waiting = one->next;
    if (body)
      http_answer(one->request, 200, EXPOSITION_TYPE, body);
    else
      http_answer_text(one->request, 503, "Out of memory.");
    free(one);
  }
  http_body_drop(body);
}

/* In the looker's thread. */
static void looked(void *user) {
  service *s = user;
  http_wake(s->server);
}

int metrics_serve(const collector *from, const http_options *options) {
  service s = { .waiting = NULL };
  const http_site site = { .asked = asked, .left = left, .woken = woken, .user = &s };
  http_options its = *options;
  its.by_default = SERVE_DEFAULT;
  int code = http_open(&its, &site, &s.server);
  if (code)
    return code;
  s.looker = looker_start(from, looked, &s);
  if (s.looker) {
    http_note(s.server, SERVE_PATH);
    (void)notify_send("READY=1\nSTATUS=listening"); /* people may look; the socket itself says so to clients */
    http_serve(s.server);
    (void)notify_send("STOPPING=1");
    looker_end(s.looker);
  }
  http_close(s.server);
  return s.looker ? CLI_OK : CLI_FAILED;
}
