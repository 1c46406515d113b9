/* look.c - see look.h. */
#include "look.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/json.h"
#include "form.h"

#define ANSWER_NS INT64_C(800000000) /* for all streams together */
#define INTERVAL_NS INT64_C(1000000000)

struct look {
  http_server *server;
  const char *directory;
  char **names;
  size_t name_count;
  bool failed; /* the thread's: the directory could not be looked at */
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t changed;
  bool wanted, at_once, stop, has_found;
  look_known *known;
  size_t known_count;
  look_found found;
};

bool look_allows(const look *l, const char *name) {
  bool allowed = l->name_count == 0;
  for (size_t i = 0; !allowed && i < l->name_count; i++)
    allowed = strcmp(l->names[i], name) == 0;
  return allowed;
}

const cuframes_stream_entry *look_find(const look_found *found, const char *name) {
  for (size_t i = 0; found->streams && i < found->streams->count; i++)
    if (strcmp(found->streams->entries[i]->name, name) == 0)
      return found->streams->entries[i];
  return NULL;
}

void look_found_clear(look_found *found) {
  cuframes_streams_free(found->streams);
  http_body_drop(found->list);
  http_body_drop(found->message);
  *found = (look_found){ 0 };
}

/* ---- as JSON ---- */

static json_t *plays(const cuframes_track_info *track, const look_known *known) {
  const bool video = track->media_type == CUFRAMES_MEDIA_VIDEO, audio = track->media_type == CUFRAMES_MEDIA_AUDIO;
  const char *exact = !known ? "" : video ? known->video : audio ? known->audio : "";
  const char *likely = video || audio ? form_codec_likely(track->codec) : NULL;
  const char *name = likely && *exact ? exact : likely;
  return name ? json_string(name) : json_null();
}

static json_t *tracks_json(const cuframes_stream_info *info, const look_known *known) {
  static const char *const media[] = { "unknown", "video", "audio", "data" };
  json_t *array = json_array();
  for (size_t i = 0; i < info->track_count; i++) {
    const cuframes_track_info *track = info->tracks[i];
    json_t *object = json_object();
    json_object_set_new(object, "media", json_string(media[track->media_type <= 3 ? track->media_type : 0]));
    json_object_set_new(object, "codec", cli_json_text(track->codec));
    json_object_set_new(object, "bit_rate", track->bit_rate ? json_integer((json_int_t)track->bit_rate) : json_null());
    json_object_set_new(object, "keyframe_interval",
                        track->keyframe_interval_ns ? cli_json_rounded((double)track->keyframe_interval_ns / 1e9, 3)
                                                    : json_null());
    json_object_set_new(object, "plays", plays(track, known));
    json_array_append_new(array, object);
  }
  return array;
}

static json_t *entry_json(const cuframes_stream_entry *entry, const look_known *known, size_t count) {
  const look_known *of = NULL;
  json_t *object = NULL;
  for (size_t i = 0; !of && i < count; i++)
    if (strcmp(known[i].name, entry->name) == 0)
      of = &known[i];
  if (entry->info) {
    object = cli_json_stream(entry->info, false);
    json_object_set_new(object, "tracks", tracks_json(entry->info, of));
  } else {
    object = json_object();
    json_object_set_new(object, "name", cli_json_text(entry->name));
    json_object_set_new(object, "error",
                        cli_json_text(entry->detail ? entry->detail : cuframes_strerror(entry->error)));
  }
  json_object_set_new(object, "watchers", json_integer(of ? (json_int_t)of->watchers : 0));
  return object;
}

static http_body *wrap(const char *before, const char *text, const char *after) {
  const size_t size = strlen(before) + strlen(text) + strlen(after) + 1;
  char *whole = malloc(size);
  if (whole)
    snprintf(whole, size, "%s%s%s", before, text, after);
  return whole ? http_body_new(whole, size - 1) : NULL;
}

static void write_texts(const look *l, look_found *found, const look_known *known, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; found->streams && i < found->streams->count; i++)
    if (look_allows(l, found->streams->entries[i]->name))
      json_array_append_new(array, entry_json(found->streams->entries[i], known, count));
  char *text = cli_json_line(array);
  if (text) {
    found->list = wrap("", text, "\n");
    found->message = wrap("{\"streams\":", text, "}");
  }
  free(text);
}

/* ---- the thread ---- */

static void note(look *l, int error) {
  if (error && !l->failed)
    (void)cli_failed(error, "looking for streams"); /* no reason to end: it may be mended later */
  else if (!error && l->failed)
    cli_note("the runtime directory can be looked at again");
  l->failed = error != CUFRAMES_OK;
}

/* Until one is wanted and due, or something has changed. */
static void wait_for_change(look *l, int64_t due) {
  const struct timespec until = { .tv_sec = due / 1000000000, .tv_nsec = due % 1000000000 };
  if (l->wanted)
    (void)pthread_cond_timedwait(&l->changed, &l->lock, &until);
  else
    pthread_cond_wait(&l->changed, &l->lock);
}

static void *look_thread(void *user) {
  look *l = user;
  int64_t due = 0;
  pthread_mutex_lock(&l->lock);
  while (!l->stop) {
    if (!l->wanted || (!l->at_once && cuframes_now() < due)) {
      wait_for_change(l, due);
      continue;
    }
    due = cuframes_now() + INTERVAL_NS;
    l->at_once = false;
    look_known *known = l->known;
    const size_t count = l->known_count;
    l->known = NULL;
    l->wanted = false;
    pthread_mutex_unlock(&l->lock);
    look_found found = { 0 };
    note(l, cuframes_stream_list(l->directory, ANSWER_NS, &found.streams));
    write_texts(l, &found, known, count);
    free(known);
    pthread_mutex_lock(&l->lock);
    look_found_clear(&l->found);
    l->found = found;
    l->has_found = true;
    http_wake(l->server);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

int look_start(http_server *server, const char *directory, char **names, size_t count, look **made) {
  sigset_t all, before;
  pthread_condattr_t monotonic;
  look *l = calloc(1, sizeof *l);
  if (!l) {
    cli_error("out of memory");
    return CLI_FAILED;
  }
  *l = (look){ .server = server, .directory = directory, .names = names, .name_count = count };
  pthread_mutex_init(&l->lock, NULL); /* cannot fail, as what follows: with attributes of Linux alone */
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&l->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&l->thread, NULL, look_thread, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) {
    cli_error("cannot start a thread: %s", strerror(error));
    free(l);
    return CLI_FAILED;
  }
  *made = l;
  return CLI_OK;
}

void look_stop(look *l) {
  if (!l)
    return;
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_signal(&l->changed);
  pthread_mutex_unlock(&l->lock);
  pthread_join(l->thread, NULL);
}

void look_free(look *l) {
  if (!l)
    return;
  look_found_clear(&l->found);
  free(l->known);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->changed);
  free(l);
}

/* ---- the server's thread ---- */

void look_want(look *l, look_known *known, size_t count, bool at_once) {
  pthread_mutex_lock(&l->lock);
  l->at_once = l->at_once || at_once;
  free(l->known);
  l->known = known;
  l->known_count = known ? count : 0;
  l->wanted = true;
  pthread_cond_signal(&l->changed);
  pthread_mutex_unlock(&l->lock);
}

bool look_take(look *l, look_found *found) {
  pthread_mutex_lock(&l->lock);
  const bool has = l->has_found;
  if (has) {
    *found = l->found;
    l->found = (look_found){ 0 };
    l->has_found = false;
  }
  pthread_mutex_unlock(&l->lock);
  return has;
}
