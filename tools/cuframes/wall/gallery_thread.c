/* gallery_thread.c - see gallery_thread.h: joins a stream, takes its newest frame when one is due, makes JPEG of it.
 * The last picture is kept, so that who comes while a stream stands still has one, too. */
#include "gallery_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli_avlog.h"
#include "common/reader.h"
#include "picture/image_file.h"

#define SECOND INT64_C(1000000000)
#define JOIN_SLICE (SECOND / 4)
#define RETRY (SECOND / 4)
#define NEXT_SLICE (SECOND / 4)
#define PATIENCE (2 * SECOND) /* for a first picture; then who waits is told that there is none */

typedef struct painter {
  gallery *gallery;
  cuframes_subscriber *subscriber;
  picture_planes planes;
  cuframes_format format;
  bool has_picture; /* planes and format are one */
  int64_t pts, taken, waited_since;
  struct SwsContext *scalers[GALLERY_WIDTHS];
} painter;

/* What is wanted, as it is at some moment. */
typedef struct wanted {
  uint32_t widths[GALLERY_WIDTHS];
  size_t count;
  int64_t interval_ns;
  bool at_once;
} wanted;

static void hand_over(painter *p, uint32_t width, sample *s, const char *why) {
  gallery *g = p->gallery;
  gallery_event *e = calloc(1, sizeof *e);
  if (!e) {
    sample_drop(s);
    return;
  }
  e->width = width;
  e->sample = s;
  snprintf(e->why, sizeof e->why, "%s", why);
  pthread_mutex_lock(&g->lock);
  *g->last = e;
  g->last = &e->next;
  pthread_mutex_unlock(&g->lock);
  http_wake(g->server);
}

/* ---- pictures ---- */

static sample *make(painter *p, struct SwsContext **scaler, uint32_t wanted_width) {
  rgb_image image = { 0 };
  uint32_t width, height;
  uint8_t *data = NULL;
  size_t size = 0;
  image_shown_size(&p->format, &width, &height);
  if (wanted_width && wanted_width < width) {
    height = (uint32_t)(((uint64_t)height * wanted_width + width / 2) / width);
    height = height ? height : 1;
    width = wanted_width;
  }
  if (!image_create(&image, width, height))
    return NULL;
  const bool made = image_convert(scaler, &p->planes, &p->format, &image, 0, 0, width, height) &&
                    image_encode(IMAGE_JPEG, &image, &data, &size);
  image_free(&image);
  sample *s = made ? sample_of_bytes(data, size, SAMPLE_JPEG) : NULL;
  if (!s)
    return NULL;
  s->pts = s->dts = p->pts == CUFRAMES_NO_TIME ? INT64_MIN : p->pts / 1000;
  s->taken = p->taken;
  return s;
}

static void make_all(painter *p, const wanted *w) {
  for (size_t i = 0; i < w->count; i++) {
    sample *s = make(p, &p->scalers[i], w->widths[i]);
    if (s)
      hand_over(p, w->widths[i], s, "");
  }
}

/* A copy of the frame's planes, and the frame back. */
static bool take(painter *p, cuframes_frame *frame) {
  const bool is_picture = cuframes_frame_pixel_format(frame) != CUFRAMES_PIXEL_TENSOR;
  const int error = is_picture ? picture_view(&p->planes, frame, false) : CUFRAMES_ERR_UNSUPPORTED;
  p->format = *cuframes_frame_format(frame);
  p->pts = cuframes_frame_pts(frame);
  p->taken = sample_now();
  p->has_picture = error == CUFRAMES_OK;
  cuframes_frame_release(frame); /* the copy is whole, whatever it says */
  if (!is_picture)
    hand_over(p, 0, NULL, "it has tensors, no pictures");
  return p->has_picture;
}

/* ---- waiting ---- */

/* Until a picture is due or wanted at once. False: it is to end. */
static bool wait_until(gallery *g, int64_t last, wanted *w) {
  pthread_mutex_lock(&g->lock);
  while (!g->stop && !g->at_once) {
    const int64_t due = g->width_count && g->interval_ns < INT64_MAX ? last + g->interval_ns : INT64_MAX;
    const struct timespec until = { .tv_sec = due / SECOND, .tv_nsec = due % SECOND };
    if (due <= cuframes_now())
      break;
    if (due == INT64_MAX)
      pthread_cond_wait(&g->changed, &g->lock);
    else
      (void)pthread_cond_timedwait(&g->changed, &g->lock, &until);
  }
  *w = (wanted){ .count = g->width_count, .interval_ns = g->interval_ns, .at_once = g->at_once };
  memcpy(w->widths, g->widths, sizeof w->widths);
  g->at_once = false;
  const bool goes_on = !g->stop;
  pthread_mutex_unlock(&g->lock);
  return goes_on;
}

static bool is_stopped(gallery *g) {
  pthread_mutex_lock(&g->lock);
  const bool stop = g->stop;
  pthread_mutex_unlock(&g->lock);
  return stop;
}

static void set_subscriber(painter *p, cuframes_subscriber *subscriber) {
  pthread_mutex_lock(&p->gallery->lock);
  p->gallery->subscriber = subscriber;
  if (subscriber && p->gallery->stop)
    cuframes_subscriber_interrupt(subscriber);
  pthread_mutex_unlock(&p->gallery->lock);
  p->subscriber = subscriber;
}

static bool join(painter *p) {
  const cuframes_subscriber_options options = { .struct_size = sizeof options,
                                                .mode = CUFRAMES_MODE_NEWEST,
                                                .directory = p->gallery->directory,
                                                .label = "wall pictures",
                                                .leases = 1,
                                                .reconnect = 1,
                                                .connect_timeout_ns = JOIN_SLICE };
  cuframes_subscriber *subscriber = NULL;
  const int error = cuframes_subscriber_create(p->gallery->name, &options, &subscriber);
  if (error == CUFRAMES_OK) {
    set_subscriber(p, subscriber);
    return true;
  }
  if (cuframes_now() - p->waited_since >= PATIENCE)
    hand_over(p, 0, NULL, cuframes_last_error());
  return false;
}

/* ---- the thread ---- */

static const char *none_yet(painter *p) {
  cuframes_source_info source = { .struct_size = sizeof source };
  if (cuframes_subscriber_get_source(p->subscriber, &source) == CUFRAMES_ERR_PUBLISHER_GONE)
    return "its publisher is gone";
  return source.state == CUFRAMES_SOURCE_LIVE ? "it has no pictures, or none yet"
                                              : "its source has given no picture yet";
}

/* Pictures until it is to end, or there are none to be had. */
static void paint(painter *p) {
  int64_t last = 0;
  bool waits = false; /* somebody who wants one at once has had none */
  wanted w;
  p->waited_since = cuframes_now();
  while (waits ? !is_stopped(p->gallery) : wait_until(p->gallery, last, &w)) {
    cuframes_frame *frame = NULL;
    const int64_t slice = w.at_once && p->has_picture ? 0 : NEXT_SLICE;
    const int error = cuframes_subscriber_next(p->subscriber, slice, &frame);
    const bool fresh = error == CUFRAMES_OK && take(p, frame);
    if (error != CUFRAMES_OK && error != CUFRAMES_ERR_TIMEOUT && error != CUFRAMES_ERR_INTERRUPTED)
      return;
    if (fresh || (w.at_once && p->has_picture)) {
      make_all(p, &w);
      last = cuframes_now();
      waits = false;
      p->waited_since = last;
    } else if (w.at_once && cuframes_now() - p->waited_since >= PATIENCE) {
      hand_over(p, 0, NULL, none_yet(p));
      waits = false;
      last = cuframes_now();
      p->waited_since = last;
    } else {
      waits = w.at_once;
    }
  }
}

static void pause_for(const painter *p, int64_t ns) {
  for (int64_t end = cuframes_now() + ns; cuframes_now() < end && !is_stopped(p->gallery);)
    (void)poll(NULL, 0, 50);
}

void *gallery_thread(void *user) {
  painter p = { .gallery = user, .waited_since = cuframes_now() };
  cli_avlog_hold(true);
  while (!is_stopped(p.gallery)) {
    if (join(&p)) {
      paint(&p);
      cuframes_subscriber *subscriber = p.subscriber;
      set_subscriber(&p, NULL);
      cuframes_subscriber_destroy(subscriber);
    }
    pause_for(&p, RETRY);
  }
  for (size_t i = 0; i < GALLERY_WIDTHS; i++)
    image_scaler_free(&p.scalers[i]);
  picture_free(&p.planes);
  pthread_mutex_lock(&p.gallery->lock);
  p.gallery->ended = true;
  http_wake(p.gallery->server);
  pthread_mutex_unlock(&p.gallery->lock);
  return NULL;
}
