/* serve.c - the wall as a site: which path is what, and when feeds and galleries begin and end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/notify.h"
#include "page_files.h"
#include "wall.h"

#define GRACE INT64_C(3000000000) /* a feed that nobody reads stays so long: a page is loaded again, or scrolled */

/* A request for the list of streams; waits for a look. */
typedef struct asking {
  http_request *request;
  struct asking *next;
} asking;

typedef struct service {
  wall wall;
  asking *asking;
} service;

/* ---- what gives something ---- */

feed *wall_feed(wall *w, const char *name) {
  for (feed *f = w->feeds; f; f = f->next)
    if (strcmp(f->name, name) == 0 && !f->stop)
      return f;
  feed *f = feed_create(w->server, w->options->directory, name);
  if (f) {
    f->next = w->feeds;
    w->feeds = f;
  }
  return f;
}

gallery *wall_gallery(wall *w, const char *name) {
  for (gallery *g = w->galleries; g; g = g->next)
    if (strcmp(g->name, name) == 0 && !g->stop)
      return g;
  gallery *g = gallery_create(w->server, w->options->directory, name);
  if (g) {
    g->next = w->galleries;
    w->galleries = g;
  }
  return g;
}

static void tidy_feeds(wall *w, int64_t now) {
  for (feed **where = &w->feeds; *where;) {
    feed *f = *where;
    if (!f->readers && !f->stop && now - f->idle_since > GRACE)
      feed_stop(f);
    if (f->stop && feed_reap(f)) {
      *where = f->next;
      feed_join(f);
      feed_free(f);
    } else {
      where = &f->next;
    }
  }
}

static void tidy_galleries(wall *w, int64_t now) {
  for (gallery **where = &w->galleries; *where;) {
    gallery *g = *where;
    if (!g->readers && !g->stop && now - g->idle_since > GRACE)
      gallery_stop(g);
    if (g->stop && gallery_reap(g)) {
      *where = g->next;
      gallery_join(g);
      gallery_free(g);
    } else {
      where = &g->next;
    }
  }
}

/* ---- looks ---- */

void wall_look(wall *w, bool at_once) {
  size_t count = 0;
  for (feed *f = w->feeds; f; f = f->next)
    count++;
  for (gallery *g = w->galleries; g; g = g->next)
    count++;
  look_known *known = calloc(count + 1, sizeof *known);
  count = 0;
  for (feed *f = w->feeds; known && f; f = f->next) {
    look_known *k = &known[count++];
    const track_config *video = feed_config(f, SAMPLE_VIDEO), *audio = feed_config(f, SAMPLE_AUDIO);
    snprintf(k->name, sizeof k->name, "%s", f->name);
    snprintf(k->video, sizeof k->video, "%s", video ? video->codec : "");
    snprintf(k->audio, sizeof k->audio, "%s", audio ? audio->codec : "");
    k->watchers = viewers_watching(w, f->name);
  }
  for (gallery *g = w->galleries; known && g; g = g->next) {
    look_known *k = &known[count++];
    snprintf(k->name, sizeof k->name, "%s", g->name);
    k->watchers = viewers_watching(w, g->name);
  }
  look_want(w->look, known, count, at_once);
}

static void looked(service *s) {
  wall *w = &s->wall;
  w->has_found = true;
  while (s->asking) {
    asking *one = s->asking;
    s->asking = one->next;
    if (w->found.list)
      http_answer(one->request, 200, "application/json", w->found.list);
    else
      http_answer_text(one->request, 503, "Out of memory.");
    free(one);
  }
  files_looked(w);
  viewers_looked(w);
  tidy_feeds(w, cuframes_now());
  tidy_galleries(w, cuframes_now());
  if (w->viewers || w->files || w->feeds || w->galleries)
    wall_look(w, false); /* the next one, in a second */
}

static void woken(void *user) {
  service *s = user;
  look_found found;
  for (feed *f = s->wall.feeds; f; f = f->next)
    feed_take(f);
  for (gallery *g = s->wall.galleries; g; g = g->next)
    gallery_take(g);
  if (look_take(s->wall.look, &found)) {
    look_found_clear(&s->wall.found);
    s->wall.found = found;
    looked(s);
  }
}

/* ---- requests ---- */

static bool answer_page(http_request *request, const char *path) {
  const char *name = strcmp(path, "/") == 0 ? "index.html" : strncmp(path, "/-/", 3) == 0 ? path + 3 : NULL;
  for (size_t i = 0; name && i < page_file_count; i++) {
    const page_file *file = &page_files[i];
    if (strcmp(file->name, name) != 0)
      continue;
    http_body *body = http_body_static(file->bytes, file->size);
    if (body)
      http_answer_same(request, file->type, body, file->etag);
    else
      http_answer_text(request, 503, "Out of memory.");
    http_body_drop(body);
    return true;
  }
  return false;
}

static void answer_list(service *s, http_request *request) {
  asking *one = calloc(1, sizeof *one);
  if (!one) {
    http_answer_text(request, 503, "Out of memory.");
    return;
  }
  *one = (asking){ .request = request, .next = s->asking };
  s->asking = one;
  http_request_set_user(request, NULL);
  wall_look(&s->wall, true);
}

static void asked(void *user, http_request *request, const char *path) {
  service *s = user;
  if (strcmp(path, "/streams.json") == 0)
    answer_list(s, request);
  else if (!answer_page(request, path) && !files_asked(&s->wall, request, path))
    http_answer_text(request, 404,
                     "There is nothing here: / is the page, /streams.json the streams, and each has NAME.ts, NAME.mp4, "
                     "NAME.jpg and NAME.mjpeg.");
}

static void left(void *user, http_request *request) {
  service *s = user;
  for (asking **at = &s->asking; *at; at = &(*at)->next)
    if ((*at)->request == request) {
      asking *gone = *at;
      *at = gone->next;
      free(gone);
      return;
    }
  files_left(request);
}

/* ---- pages ---- */

static bool socket_opened(void *user, http_socket *socket, const char *path) {
  service *s = user;
  return strcmp(path, "/live") == 0 && viewer_open(&s->wall, socket);
}

static void socket_said(void *user, http_socket *socket, const char *text, size_t length) {
  (void)user;
  viewer_said(http_socket_user(socket), text, length);
}

static void socket_ready(void *user, http_socket *socket) {
  (void)user;
  viewer_ready(http_socket_user(socket));
}

static void socket_left(void *user, http_socket *socket) {
  (void)user;
  viewer_left(http_socket_user(socket));
}

/* ---- its life ---- */

/* Nothing wakes the server after this. */
static void end_threads(wall *w) {
  for (feed *f = w->feeds; f; f = f->next)
    feed_stop(f);
  for (gallery *g = w->galleries; g; g = g->next)
    gallery_stop(g);
  for (feed *f = w->feeds; f; f = f->next)
    feed_join(f);
  for (gallery *g = w->galleries; g; g = g->next)
    gallery_join(g);
  look_stop(w->look);
}

/* When nobody is connected any more. */
static void forget(wall *w) {
  while (w->feeds) {
    feed *f = w->feeds;
    w->feeds = f->next;
    feed_free(f);
  }
  while (w->galleries) {
    gallery *g = w->galleries;
    w->galleries = g->next;
    gallery_free(g);
  }
  look_free(w->look);
  look_found_clear(&w->found);
}

int wall_serve(const wall_options *options) {
  service s = { .wall.options = options };
  wall *w = &s.wall;
  const http_site site = { .asked = asked,
                           .left = left,
                           .woken = woken,
                           .socket_protocol = WALL_PROTOCOL,
                           .socket_opened = socket_opened,
                           .socket_said = socket_said,
                           .socket_ready = socket_ready,
                           .socket_left = socket_left,
                           .user = &s };
  int code = http_open(&options->http, &site, &w->server);
  if (code)
    return code;
  code = look_start(w->server, options->directory, options->names, options->name_count, &w->look);
  if (!code) {
    http_note(w->server, "/");
    (void)notify_send("READY=1\nSTATUS=listening"); /* people may look; the socket itself says so to clients */
    http_serve(w->server);
    (void)notify_send("STOPPING=1");
  }
  end_threads(w);
  http_close(w->server); /* says who leaves by that */
  forget(w);
  return code;
}
