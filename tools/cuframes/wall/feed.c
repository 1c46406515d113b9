/* feed.c - see feed.h: what the server's thread does. */
#include "feed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed_thread.h"

/* ---- its life ---- */

feed *feed_create(http_server *server, const char *directory, const char *name) {
  sigset_t all, before;
  feed *f = calloc(1, sizeof *f);
  if (!f)
    return NULL;
  f->server = server;
  f->directory = directory;
  snprintf(f->name, sizeof f->name, "%s", name);
  f->idle_since = cuframes_now();
  f->last = &f->events;
  pthread_mutex_init(&f->lock, NULL); /* cannot fail without attributes */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&f->thread, NULL, feed_thread, f);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error)
    return f;
  pthread_mutex_destroy(&f->lock);
  free(f);
  return NULL;
}

void feed_stop(feed *f) {
  pthread_mutex_lock(&f->lock);
  f->stop = true;
  if (f->subscriber)
    cuframes_subscriber_interrupt(f->subscriber);
  pthread_mutex_unlock(&f->lock);
}

bool feed_reap(feed *f) {
  pthread_mutex_lock(&f->lock);
  const bool ended = f->ended;
  pthread_mutex_unlock(&f->lock);
  return ended;
}

static void forget_head(feed *f) {
  for (size_t i = 0; i < f->head_count; i++)
    sample_drop(f->head[i]);
  f->head_count = f->head_bytes = 0;
  f->head_whole = false;
}

void feed_join(feed *f) {
  (void)pthread_join(f->thread, NULL);
}

void feed_free(feed *f) {
  while (f->events) {
    feed_event *e = f->events;
    f->events = e->next;
    feed_event_free(e);
  }
  forget_head(f);
  free(f->head);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    track_config_drop(f->configs[i]);
  pthread_mutex_destroy(&f->lock);
  free(f);
}

/* ---- readers ---- */

void feed_add(feed *f, feed_reader *reader) {
  reader->next = f->readers;
  f->readers = reader;
}

void feed_remove(feed *f, feed_reader *reader) {
  for (feed_reader **at = &f->readers; *at; at = &(*at)->next)
    if (*at == reader) {
      *at = reader->next;
      break;
    }
  if (!f->readers)
    f->idle_since = cuframes_now();
}

track_config *feed_config(const feed *f, enum sample_kind kind) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (f->configs[i] && f->configs[i]->kind == kind)
      return f->configs[i];
  return NULL;
}

/* ---- what came ---- */

static void keep(feed *f, sample *s) {
  if ((s->kind == SAMPLE_VIDEO || s->kind == SAMPLE_JPEG) && s->flags & SAMPLE_KEY) {
    forget_head(f);
    f->head_whole = true;
  }
  if (!f->head_whole)
    return;
  if (f->head_bytes + s->size > FEED_HEAD_BYTES) {
    forget_head(f);
    return;
  }
  if (f->head_count == f->head_room) {
    const size_t room = f->head_room ? 2 * f->head_room : 64;
    sample **grown = realloc(f->head, room * sizeof(sample *));
    if (!grown) {
      forget_head(f);
      return;
    }
    f->head = grown;
    f->head_room = room;
  }
  f->head[f->head_count++] = sample_ref(s);
  f->head_bytes += s->size;
}

static void give(feed *f, feed_event *e) {
  if (e->config) {
    track_config **at = &f->configs[e->config->track];
    track_config_drop(*at);
    *at = track_config_ref(e->config);
  }
  if (e->lost)
    forget_head(f);
  if (e->says_state) {
    f->state = e->state;
    snprintf(f->why, sizeof f->why, "%s", e->why);
    if (e->state == FEED_ABSENT) /* the next one is another */
      forget_head(f);
  }
  for (feed_reader *r = f->readers, *next; r; r = next) {
    next = r->next;
    if (e->says_state && r->state)
      r->state(r->user, e->state, e->why);
    if (e->config && r->config)
      r->config(r->user, e->config);
    if (e->sample && r->sample)
      r->sample(r->user, e->sample);
  }
  if (e->sample)
    keep(f, e->sample); /* behind the readers: who came with this one has had it */
}

void feed_take(feed *f) {
  pthread_mutex_lock(&f->lock);
  feed_event *events = f->events;
  f->events = NULL;
  f->last = &f->events;
  f->pending = 0;
  pthread_mutex_unlock(&f->lock);
  while (events) {
    feed_event *e = events;
    events = e->next;
    give(f, e);
    feed_event_free(e);
  }
}
