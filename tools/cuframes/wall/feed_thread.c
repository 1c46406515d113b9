/* feed_thread.c - see feed_thread.h: joins a stream, takes its packets, brings them into a form for browsers. */
#include "feed_thread.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli_avlog.h"
#include "form.h"

#define SECOND INT64_C(1000000000)
#define JOIN_SLICE (SECOND / 4) /* how long one try waits for a name; then it is looked whether it is still wanted */
#define RETRY (SECOND / 4)      /* what cannot be joined is tried again after that */
#define BARE_RETRY (2 * SECOND) /* a stream without packets may have some one day */
#define BATCH_MOST 8192         /* packets of a ring, from its last keyframe on */
#define NEXT_SLICE (SECOND / 4) /* after so long without a packet it is looked whether the publisher is there */

typedef struct track_state {
  bool known;
  uint32_t media_type;
  form *form;      /* NULL: it goes into files alone */
  uint32_t config; /* the number of the last one handed over; 0: none */
} track_state;

typedef struct taker {
  feed *feed;
  cuframes_subscriber *subscriber;
  track_state tracks[CUFRAMES_TRACKS_MAX];
  uint32_t video, audio; /* those that are watched; CUFRAMES_TRACKS_MAX: none */
  uint32_t configs;
  bool described, lost, said;
  bool catching_up;          /* what is in the ring since its last keyframe is being read */
  feed_event *batch, **last; /* of that */
  size_t batched;
  enum feed_state state; /* as last said */
  char why[FEED_WHY];
} taker;

void feed_event_free(feed_event *e) {
  sample_drop(e->sample);
  track_config_drop(e->config);
  free(e);
}

/* ---- handing over ---- */

static feed_event *event_new(const char *why) {
  const size_t length = strlen(why) + 1;
  feed_event *e = calloc(1, sizeof *e + length);
  if (e)
    memcpy(e->why, why, length);
  return e;
}

static void hand_over(taker *t, feed_event *e) {
  feed *f = t->feed;
  if (t->catching_up) {
    *t->last = e;
    t->last = &e->next;
    t->batched++;
    return;
  }
  pthread_mutex_lock(&f->lock);
  const bool first = !f->events;
  *f->last = e;
  f->last = &e->next;
  f->pending += e->sample ? e->sample->size + sizeof *e : sizeof *e;
  pthread_mutex_unlock(&f->lock);
  if (first)
    http_wake(f->server);
}

static void say_state(taker *t, enum feed_state state, const char *why) {
  if (t->said && t->state == state && strncmp(t->why, why, sizeof t->why - 1) == 0)
    return;
  feed_event *e = event_new(why);
  if (!e)
    return; /* said the next time */
  t->said = true;
  t->state = state;
  snprintf(t->why, sizeof t->why, "%s", why);
  e->says_state = true;
  e->state = state;
  hand_over(t, e);
}

static void begin_catching_up(taker *t) {
  t->catching_up = true;
  t->batch = NULL;
  t->last = &t->batch;
  t->batched = 0;
}

/* What was read is older than the last of it: pictures are there to be decoded, sound is late. */
static void end_catching_up(taker *t) {
  sample *newest = NULL;
  if (!t->catching_up)
    return;
  t->catching_up = false;
  for (feed_event *e = t->batch; e; e = e->next)
    if (e->sample && e->sample->kind == SAMPLE_VIDEO)
      newest = e->sample;
  while (t->batch) {
    feed_event *e = t->batch;
    t->batch = e->next;
    e->next = NULL;
    if (e->sample && e->sample->kind == SAMPLE_VIDEO && e->sample != newest)
      e->sample->flags |= SAMPLE_HIDDEN;
    if (e->sample && e->sample->kind == SAMPLE_AUDIO)
      e->sample->kind = SAMPLE_OTHER;
    hand_over(t, e);
  }
}

static bool is_stopped(feed *f) {
  pthread_mutex_lock(&f->lock);
  const bool stop = f->stop;
  pthread_mutex_unlock(&f->lock);
  return stop;
}

static bool is_full(feed *f) {
  pthread_mutex_lock(&f->lock);
  const bool full = f->pending > FEED_PENDING_BYTES;
  pthread_mutex_unlock(&f->lock);
  return full;
}

/* ---- tracks ---- */

static void forget_track(track_state *track) {
  form_free(track->form);
  *track = (track_state){ 0 };
}

static void forget_tracks(taker *t) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    forget_track(&t->tracks[i]);
  t->video = t->audio = CUFRAMES_TRACKS_MAX;
  t->described = false;
}

static enum sample_kind kind_of(const taker *t, uint32_t index) {
  if (t->tracks[index].media_type == CUFRAMES_MEDIA_DATA)
    return SAMPLE_DATA;
  return index == t->video ? SAMPLE_VIDEO : index == t->audio ? SAMPLE_AUDIO : SAMPLE_OTHER;
}

static void choose(taker *t) {
  t->video = t->audio = CUFRAMES_TRACKS_MAX;
  for (uint32_t i = CUFRAMES_TRACKS_MAX; i-- > 0;) {
    if (t->tracks[i].known && t->tracks[i].media_type == CUFRAMES_MEDIA_VIDEO)
      t->video = i;
    if (t->tracks[i].known && t->tracks[i].media_type == CUFRAMES_MEDIA_AUDIO)
      t->audio = i;
  }
}

/* Hands over what a track is from here on. */
static void give_config(taker *t, uint32_t index) {
  track_state *track = &t->tracks[index];
  feed_event *e = event_new("");
  track_config *c = track->form ? form_config(track->form, index) : NULL;
  if (!e || !c) {
    free(e);
    track_config_drop(c);
    return;
  }
  c->number = ++t->configs;
  c->kind = kind_of(t, index);
  track->config = c->number;
  e->config = c;
  hand_over(t, e);
}

/* *anew: it is another one than before. */
static bool read_track(taker *t, uint32_t index, bool *anew) {
  cuframes_codec_params params = { .struct_size = sizeof params };
  const void *extradata = NULL;
  size_t size = 0;
  track_state *track = &t->tracks[index];
  const int error = cuframes_subscriber_get_codec_params(t->subscriber, index, &params, &extradata, &size);
  *anew = false;
  if (!error && track->form && form_is_for(track->form, &params, extradata, size))
    return true; /* the source began anew, and is the same: decoders go on */
  forget_track(track);
  if (error)
    return error == CUFRAMES_ERR_NO_CODEC_PARAMS;
  *anew = true;
  track->known = true;
  track->media_type = params.media_type;
  track->form = form_create(&params, extradata, size);
  return track->form != NULL;
}

static bool describe_all(taker *t) {
  uint32_t count = 0, found = 0;
  bool anew[CUFRAMES_TRACKS_MAX] = { 0 };
  t->described = false;
  if (cuframes_subscriber_track_count(t->subscriber, &count))
    return false;
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    if (found >= count)
      forget_track(&t->tracks[i]);
    else if (!read_track(t, i, &anew[i]))
      return false;
    found += t->tracks[i].known;
  }
  choose(t);
  t->described = count > 0;
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (anew[i])
      give_config(t, i);
  return t->described;
}

/* ---- packets ---- */

static void give_sample(taker *t, sample *s) {
  feed_event *e = event_new("");
  if (!e) {
    sample_drop(s);
    t->lost = true;
    return;
  }
  if (t->lost)
    s->flags |= SAMPLE_DISCONTINUITY;
  e->lost = t->lost;
  e->sample = s;
  t->lost = false;
  hand_over(t, e);
}

/* A video that no browser has a name for is shown as pictures. */
static void say_live(taker *t) {
  char why[FEED_WHY];
  const track_state *track = t->video < CUFRAMES_TRACKS_MAX ? &t->tracks[t->video] : NULL;
  const cuframes_codec_params *params = track && track->form ? form_params(track->form) : NULL;
  if (!params || form_is_jpeg(params->codec) || form_codec_likely(params->codec)) {
    say_state(t, FEED_LIVE, "");
    return;
  }
  snprintf(why, sizeof why, "no browser plays %s", params->codec);
  say_state(t, FEED_BARE, why);
}

static void take(taker *t, cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet), flags = cuframes_packet_flags(packet);
  const bool anew = flags & CUFRAMES_PACKET_DISCONTINUITY && flags & CUFRAMES_PACKET_KEY;
  if (index >= CUFRAMES_TRACKS_MAX)
    return;
  if ((!t->described || anew || flags & CUFRAMES_PACKET_NEW_PARAMS || !t->tracks[index].known) && !describe_all(t))
    return;
  track_state *track = &t->tracks[index];
  if (!track->known || !track->form || is_full(t->feed)) {
    t->lost = true;
    return;
  }
  const enum sample_kind kind = kind_of(t, index);
  sample *s = sample_of_packet(packet, kind);
  const enum form_result result = s && kind != SAMPLE_OTHER ? form_take(track->form, s) : FORM_SAME;
  if (!s || result == FORM_NO_MEMORY) {
    sample_drop(s);
    t->lost = true;
    return;
  }
  if (result == FORM_NEW)
    give_config(t, index);
  if (result == FORM_NONE)
    s->kind = SAMPLE_OTHER;
  else if (kind == SAMPLE_VIDEO && form_is_jpeg(form_params(track->form)->codec))
    s->kind = SAMPLE_JPEG;
  s->config = track->config;
  if (t->state != FEED_LIVE || !t->said)
    say_live(t);
  give_sample(t, s);
}

/* ---- joining ---- */

static void set_subscriber(taker *t, cuframes_subscriber *subscriber) {
  pthread_mutex_lock(&t->feed->lock);
  t->feed->subscriber = subscriber;
  if (subscriber && t->feed->stop)
    cuframes_subscriber_interrupt(subscriber); /* feed_stop() came before there was one */
  pthread_mutex_unlock(&t->feed->lock);
  t->subscriber = subscriber;
}

static bool join(taker *t) {
  const cuframes_subscriber_options options = { .struct_size = sizeof options,
                                                .mode = CUFRAMES_MODE_PACKETS,
                                                .directory = t->feed->directory,
                                                .label = "wall",
                                                .reconnect = 1,
                                                .connect_timeout_ns = JOIN_SLICE };
  cuframes_subscriber *subscriber = NULL;
  const int error = cuframes_subscriber_create(t->feed->name, &options, &subscriber);
  if (error == CUFRAMES_OK) {
    set_subscriber(t, subscriber);
    return true;
  }
  if (error == CUFRAMES_ERR_NO_SUCH_STREAM)
    say_state(t, FEED_ABSENT, "nobody publishes it");
  else if (error == CUFRAMES_ERR_TIMEOUT)
    say_state(t, FEED_ABSENT, "nobody publishes it, or its publisher does not answer");
  else
    say_state(t, FEED_ABSENT, cuframes_last_error());
  return false;
}

static void leave(taker *t) {
  cuframes_subscriber *subscriber = t->subscriber;
  set_subscriber(t, NULL);
  cuframes_subscriber_destroy(subscriber);
  forget_tracks(t);
}

/* Waits, unless it is to end. */
static void wait_for(const taker *t, int64_t ns) {
  for (int64_t end = cuframes_now() + ns; cuframes_now() < end && !is_stopped(t->feed);)
    (void)poll(NULL, 0, 50);
}

/* Without packets for a while: is the publisher there? */
static void look_around(taker *t) {
  cuframes_source_info source = { .struct_size = sizeof source };
  if (cuframes_subscriber_get_source(t->subscriber, &source) == CUFRAMES_ERR_PUBLISHER_GONE) {
    forget_tracks(t);
    say_state(t, FEED_ABSENT, "its publisher is gone");
    return;
  }
  uint32_t count = 0;
  if (!t->described && source.state == CUFRAMES_SOURCE_LIVE &&
      cuframes_subscriber_track_count(t->subscriber, &count) == CUFRAMES_OK && count == 0)
    say_state(t, FEED_BARE, "it carries no packets");
}

/* Packets until it is to end, or there are none to be had. */
static void take_packets(taker *t) {
  int error = cuframes_subscriber_enable_packets(t->subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME);
  begin_catching_up(t);
  while (!is_stopped(t->feed) && (error == CUFRAMES_OK || error == CUFRAMES_ERR_TIMEOUT)) {
    cuframes_packet *packet = NULL;
    error = cuframes_subscriber_next_packet(t->subscriber, t->catching_up ? 0 : NEXT_SLICE, &packet);
    if (error != CUFRAMES_OK || t->batched > BATCH_MOST)
      end_catching_up(t);
    if (error == CUFRAMES_OK) {
      take(t, packet);
      cuframes_packet_release(packet);
    } else if (error == CUFRAMES_ERR_PACKET_OVERRUN) {
      t->lost = true;
      error = CUFRAMES_OK;
    } else if (error == CUFRAMES_ERR_TIMEOUT) {
      look_around(t);
    }
  }
  end_catching_up(t);
  if (is_stopped(t->feed) || error == CUFRAMES_ERR_INTERRUPTED)
    return;
  if (error == CUFRAMES_ERR_NO_PACKET_RING)
    say_state(t, FEED_BARE, "it carries no packets");
  else
    say_state(t, FEED_ABSENT, cuframes_last_error());
}

void *feed_thread(void *user) {
  taker t = { .feed = user, .video = CUFRAMES_TRACKS_MAX, .audio = CUFRAMES_TRACKS_MAX };
  cli_avlog_hold(true);
  while (!is_stopped(t.feed)) {
    if (!join(&t)) {
      wait_for(&t, RETRY);
      continue;
    }
    take_packets(&t);
    leave(&t);
    wait_for(&t, t.state == FEED_BARE ? BARE_RETRY : RETRY);
  }
  pthread_mutex_lock(&t.feed->lock);
  t.feed->ended = true;
  http_wake(t.feed->server);
  pthread_mutex_unlock(&t.feed->lock);
  return NULL;
}
