/* gallery.c - see gallery.h: what the server's thread does. */
#include "gallery.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gallery_thread.h"

gallery *gallery_create(http_server *server, const char *directory, const char *name) {
  sigset_t all, before;
  pthread_condattr_t monotonic;
  gallery *g = calloc(1, sizeof *g);
  if (!g)
    return NULL;
  g->server = server;
  g->directory = directory;
  snprintf(g->name, sizeof g->name, "%s", name);
  g->idle_since = cuframes_now();
  g->last = &g->events;
  pthread_mutex_init(&g->lock, NULL); /* cannot fail, as what follows: with attributes of Linux alone */
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&g->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&g->thread, NULL, gallery_thread, g);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error)
    return g;
  pthread_mutex_destroy(&g->lock);
  pthread_cond_destroy(&g->changed);
  free(g);
  return NULL;
}

void gallery_stop(gallery *g) {
  pthread_mutex_lock(&g->lock);
  g->stop = true;
  if (g->subscriber)
    cuframes_subscriber_interrupt(g->subscriber);
  pthread_cond_signal(&g->changed);
  pthread_mutex_unlock(&g->lock);
}

bool gallery_reap(gallery *g) {
  pthread_mutex_lock(&g->lock);
  const bool ended = g->ended;
  pthread_mutex_unlock(&g->lock);
  return ended;
}

void gallery_join(gallery *g) {
  (void)pthread_join(g->thread, NULL);
}

void gallery_free(gallery *g) {
  while (g->events) {
    gallery_event *e = g->events;
    g->events = e->next;
    sample_drop(e->sample);
    free(e);
  }
  pthread_mutex_destroy(&g->lock);
  pthread_cond_destroy(&g->changed);
  free(g);
}

/* ---- readers ---- */

static size_t nearest(const gallery *g, uint32_t width) {
  size_t best = 0;
  for (size_t i = 1; i < g->width_count; i++) {
    const int64_t one = llabs((int64_t)g->widths[i] - width), other = llabs((int64_t)g->widths[best] - width);
    best = one < other ? i : best;
  }
  return best;
}

/* Tells the thread what is wanted now. */
static void tell(gallery *g, bool at_once) {
  pthread_mutex_lock(&g->lock);
  g->width_count = 0;
  g->interval_ns = INT64_MAX;
  for (gallery_reader *r = g->readers; r; r = r->next) {
    const bool known = g->width_count && g->widths[nearest(g, r->width)] == r->width;
    if (!known && g->width_count < GALLERY_WIDTHS)
      g->widths[g->width_count++] = r->width;
    if (r->interval_ns && r->interval_ns < g->interval_ns)
      g->interval_ns = r->interval_ns;
  }
  g->at_once = (g->at_once || at_once) && g->readers;
  pthread_cond_signal(&g->changed);
  pthread_mutex_unlock(&g->lock);
}

void gallery_add(gallery *g, gallery_reader *reader) {
  reader->due = 0;
  reader->next = g->readers;
  g->readers = reader;
  tell(g, true);
}

void gallery_remove(gallery *g, gallery_reader *reader) {
  for (gallery_reader **at = &g->readers; *at; at = &(*at)->next)
    if (*at == reader) {
      *at = reader->next;
      break;
    }
  if (!g->readers)
    g->idle_since = cuframes_now();
  tell(g, false);
}

/* ---- what was made ---- */

static bool is_for(const gallery *g, const gallery_reader *r, uint32_t width) {
  return g->width_count ? g->widths[nearest(g, r->width)] == width : r->width == width;
}

static void give(gallery *g, gallery_event *e) {
  const int64_t now = cuframes_now();
  for (gallery_reader *r = g->readers, *next; r; r = next) {
    next = r->next;
    if (!e->sample) {
      r->none(r->user, e->why);
    } else if (is_for(g, r, e->width) && r->due <= now) {
      r->due = now + r->interval_ns - r->interval_ns / 8; /* pictures do not come to the millisecond */
      r->picture(r->user, e->sample);
    }
  }
}

void gallery_take(gallery *g) {
  pthread_mutex_lock(&g->lock);
  gallery_event *events = g->events;
  g->events = NULL;
  g->last = &g->events;
  pthread_mutex_unlock(&g->lock);
  while (events) {
    gallery_event *e = events;
    events = e->next;
    give(g, e);
    sample_drop(e->sample);
    free(e);
  }
}
