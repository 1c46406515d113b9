/* serve.c - see serve.h. A thread asks the streams, and the server goes on meanwhile. Who asks while it is at it gets
 * what it finds, so that many who ask at once cost no more than one; nobody gets what was found before. */
#include "serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/notify.h"
#include "common/reader.h"
#include "http/http.h"

typedef struct waiting {
  http_request *request;
  struct waiting *next;
} waiting;

typedef struct service {
  collector *from;
  http_server *server;
  waiting *waiting; /* the server's thread alone */
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t changed;
  bool wanted, stop, found_any;
  http_body *found; /* of the look that has ended; NULL: memory ran out */
} service;

/* ---- the thread that looks ---- */

static http_body *look_once(service *s) {
  exposition out = { 0 };
  if (!collect(s->from, &out)) {
    exposition_free(&out);
    return NULL;
  }
  return http_body_new(out.text, out.length); /* its now */
}

static void *look(void *user) {
  service *s = user;
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (!s->wanted && !s->stop)
      pthread_cond_wait(&s->changed, &s->lock);
    if (s->stop)
      break;
    pthread_mutex_unlock(&s->lock);
    http_body *body = look_once(s);
    pthread_mutex_lock(&s->lock);
    http_body_drop(s->found); /* one that nobody has fetched yet */
    s->found = body;
    s->found_any = true;
    s->wanted = false;
    http_wake(s->server);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* ---- the server's thread ---- */

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
  pthread_mutex_lock(&s->lock);
  s->wanted = true;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->lock);
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
  pthread_mutex_lock(&s->lock);
  const bool found_any = s->found_any;
  http_body *body = s->found;
  s->found = NULL;
  s->found_any = false;
  pthread_mutex_unlock(&s->lock);
  while (found_any && s->waiting) {
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

/* ---- its life ---- */

/* Signals go to the thread that ends by them. */
static int look_start(service *s) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&s->thread, NULL, look, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error)
    return CLI_OK;
  cli_error("cannot start a thread: %s", strerror(error));
  return CLI_FAILED;
}

static void look_stop(service *s) {
  pthread_mutex_lock(&s->lock);
  s->stop = true;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL); /* a look takes no longer than streams may take */
  http_body_drop(s->found);
}

int metrics_serve(collector *from, const http_options *options) {
  service s = { .from = from, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
  const http_site site = { .asked = asked, .left = left, .woken = woken, .user = &s };
  http_options its = *options;
  its.by_default = SERVE_DEFAULT;
  int code = http_open(&its, &site, &s.server);
  if (code)
    return code;
  code = look_start(&s);
  if (!code) {
    http_note(s.server, SERVE_PATH);
    (void)notify_send("READY=1\nSTATUS=listening"); /* people may look; the socket itself says so to clients */
    http_serve(s.server);
    (void)notify_send("STOPPING=1");
    look_stop(&s);
  }
  http_close(s.server);
  return code;
}
