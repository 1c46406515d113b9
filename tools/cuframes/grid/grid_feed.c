/* grid_feed.c - see grid_feed.h. */
#include "grid_feed.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define JOIN_SLICE (SECOND / 4) /* how long one try waits for a name; then it is looked whether it is still wanted */
#define LEASES 3                /* one shown, one taken, one that a GPU has not finished with */
#define LATE_LEAST (SECOND / 4)
#define LATE_INTERVALS 3
#define NONE_LEAST SECOND
#define NONE_INTERVALS 5
#define INTERVAL_MOST (60 * SECOND)
#define UNKNOWN_NS (5 * SECOND) /* how long a second picture may take: there are cameras with few */

/* ---- joining, in a thread of its own ---- */

static void set_cause(grid_joining *j, int error, const char *cause) {
  pthread_mutex_lock(&j->lock);
  j->error = error;
  snprintf(j->cause, sizeof j->cause, "%s", cause);
  pthread_mutex_unlock(&j->lock);
}

/* A GPU's stream for this GPU, and what lies on the host as it is. */
static int create(grid_joining *j, cuframes_subscriber **subscriber) {
  j->options.device = strcmp(j->device, "host") == 0 ? "auto" : j->device;
  int error = cuframes_subscriber_create(j->name, &j->options, subscriber);
  if (strcmp(j->device, "host") == 0 || (error != CUFRAMES_ERR_DEVICE && error != CUFRAMES_ERR_UNSUPPORTED))
    return error;
  char detail[GRID_CAUSE];
  snprintf(detail, sizeof detail, "%s", cuframes_last_error());
  j->options.device = "host";
  if (cuframes_subscriber_create(j->name, &j->options, subscriber) == CUFRAMES_OK)
    return CUFRAMES_OK;
  set_cause(j, error, detail); /* it is a GPU's, and this is what keeps ours from it */
  return CUFRAMES_ERR_DEVICE;
}

static bool is_stopped(grid_joining *j) {
  pthread_mutex_lock(&j->lock);
  const bool stopped = j->stop;
  pthread_mutex_unlock(&j->lock);
  return stopped;
}

static void *join_thread(void *user) {
  grid_joining *j = user;
  while (!is_stopped(j)) {
    const int error = create(j, &j->subscriber);
    if (error == CUFRAMES_OK)
      break;
    if (error == CUFRAMES_ERR_NO_SUCH_STREAM)
      set_cause(j, error, "no such stream");
    else if (error == CUFRAMES_ERR_TIMEOUT)
      set_cause(j, error, "its publisher does not answer");
    else if (error != CUFRAMES_ERR_DEVICE)
      set_cause(j, error, cuframes_last_error());
    if (error != CUFRAMES_ERR_NO_SUCH_STREAM)
      (void)poll(NULL, 0, (int)(JOIN_SLICE / 1000000)); /* it will say the same a moment later */
  }
  pthread_mutex_lock(&j->lock);
  j->done = true;
  pthread_mutex_unlock(&j->lock);
  return NULL;
}

static void free_joining(grid_joining *j) {
  if (j == NULL)
    return;
  pthread_mutex_destroy(&j->lock);
  free(j->directory);
  free(j);
}

static void start_joining(grid_feed *feed, const grid_feed_how *how) {
  grid_joining *j = calloc(1, sizeof *j);
  if (j == NULL)
    return;                           /* tried again with the next picture */
  pthread_mutex_init(&j->lock, NULL); /* cannot fail without attributes */
  j->directory = how->directory ? strdup(how->directory) : NULL;
  snprintf(j->name, sizeof j->name, "%s", feed->name);
  snprintf(j->label, sizeof j->label, "%s", how->label);
  snprintf(j->device, sizeof j->device, "%s", how->device);
  j->options = (cuframes_subscriber_options){ .struct_size = sizeof j->options,
                                              .directory = j->directory,
                                              .label = j->label,
                                              .leases = LEASES,
                                              .reconnect = 1,
                                              .connect_timeout_ns = JOIN_SLICE };
  if ((how->directory != NULL && j->directory == NULL) || pthread_create(&j->thread, NULL, join_thread, j) != 0) {
    free_joining(j);
    return;
  }
  feed->joining = j;
}

/* Takes over what the thread has joined, if it has. */
static void finish_joining(grid_feed *feed, int64_t now) {
  grid_joining *j = feed->joining;
  if (j == NULL)
    return;
  pthread_mutex_lock(&j->lock);
  const bool done = j->done;
  pthread_mutex_unlock(&j->lock);
  if (!done)
    return;
  (void)pthread_join(j->thread, NULL); /* it is at its end */
  feed->subscriber = j->subscriber;
  feed->joined_at = now;
  feed->joining = NULL;
  free_joining(j);
}

/* ---- pictures ---- */

void grid_feed_begin(grid_feed *feed, const char *name, int64_t now) {
  *feed = (grid_feed){ .lost_since = now };
  snprintf(feed->name, sizeof feed->name, "%s", name);
}

static void let_go(grid_feed *feed, void *stream) {
  if (stream != NULL)
    cuframes_frame_release_on(feed->frame, stream);
  else
    cuframes_frame_release(feed->frame);
  feed->frame = NULL;
}

/* How far pictures are apart: the mean of the last few. */
static void measure(grid_feed *feed, const cuframes_frame *frame) {
  const int64_t stamp = cuframes_frame_timestamp(frame), distance = stamp - feed->taken_stamp;
  const bool anew = cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY;
  if (feed->frame != NULL && !anew && distance > 0 && distance < INTERVAL_MOST) {
    const uint64_t step = cuframes_frame_seq(frame) - cuframes_frame_seq(feed->frame);
    const int64_t one = distance / (int64_t)(step > 0 && step < 1000000 ? step : 1);
    feed->interval = feed->interval == 0 ? one : feed->interval + (one - feed->interval) / 8;
  }
  feed->taken_stamp = stamp;
}

/* What a subscriber counted goes with it. */
static void close_subscriber(grid_feed *feed) {
  feed->old_skipped = feed->skipped;
  cuframes_subscriber_destroy(feed->subscriber);
  feed->subscriber = NULL;
}

static void count_skipped(grid_feed *feed) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  if (cuframes_subscriber_get_stats(feed->subscriber, &stats) == CUFRAMES_OK)
    feed->skipped = feed->old_skipped + stats.skipped;
}

/* Whether its publisher is there; notes since when it is not. */
static void look_for_publisher(grid_feed *feed, int64_t now) {
  cuframes_source_info source = { .struct_size = sizeof source };
  const bool gone =
      feed->subscriber == NULL || cuframes_subscriber_get_source(feed->subscriber, &source) != CUFRAMES_OK;
  if (!gone)
    feed->lost_since = 0;
  else if (feed->lost_since == 0)
    feed->lost_since = now;
}

void grid_feed_take(grid_feed *feed, const grid_feed_how *how, void *stream, int64_t now) {
  cuframes_frame *frame = NULL;
  feed->is_new = false;
  if (feed->subscriber == NULL)
    finish_joining(feed, now);
  if (feed->subscriber == NULL && feed->joining == NULL)
    start_joining(feed, how);
  if (feed->subscriber != NULL) {
    const int error = cuframes_subscriber_next(feed->subscriber, 0, &frame);
    if (error == CUFRAMES_OK) {
      measure(feed, frame);
      let_go(feed, stream);
      feed->frame = frame;
      feed->is_new = true;
      feed->error = CUFRAMES_OK;
      feed->frames++;
      count_skipped(feed);
    } else if (error != CUFRAMES_ERR_TIMEOUT && error != CUFRAMES_ERR_LEASE_LIMIT) {
      feed->error = error;
      snprintf(feed->detail, sizeof feed->detail, "%s", cuframes_last_error());
      close_subscriber(feed);
    }
  }
  look_for_publisher(feed, now);
}

bool grid_feed_end(grid_feed *feed, void *stream) {
  if (feed->joining != NULL) {
    pthread_mutex_lock(&feed->joining->lock);
    feed->joining->stop = true;
    pthread_mutex_unlock(&feed->joining->lock);
  }
  finish_joining(feed, 0);
  if (feed->frame != NULL)
    let_go(feed, stream);
  if (feed->subscriber != NULL)
    close_subscriber(feed);
  return feed->joining == NULL;
}

/* ---- what there is to say ---- */

static void none(grid_state *state, int64_t since, const char *cause) {
  state->signal = GRID_NONE;
  state->since = since;
  snprintf(state->cause, sizeof state->cause, "%s", cause);
}

/* One that is not joined, or has no publisher. At first it is just being joined. */
static void state_without_publisher(const grid_feed *feed, int64_t now, grid_state *state) {
  const bool early = feed->frames == 0 && feed->error == CUFRAMES_OK && now - feed->lost_since < NONE_LEAST;
  const char *gone = feed->frames > 0 ? "the stream has gone" : "it is not joined yet";
  char cause[GRID_CAUSE];
  int error = CUFRAMES_OK;
  snprintf(cause, sizeof cause, "%s", feed->error != CUFRAMES_OK ? feed->detail : gone);
  if (feed->subscriber == NULL && feed->joining != NULL) {
    pthread_mutex_lock(&feed->joining->lock);
    error = feed->joining->error;
    if (error != CUFRAMES_OK && !(error == CUFRAMES_ERR_NO_SUCH_STREAM && feed->frames > 0))
      snprintf(cause, sizeof cause, "%s", feed->joining->cause);
    pthread_mutex_unlock(&feed->joining->lock);
  }
  if (early && error == CUFRAMES_OK)
    state->signal = GRID_LATE;
  else
    none(state, feed->lost_since, cause);
}

static void state_of_pictures(const grid_feed *feed, int64_t now, grid_state *state) {
  const int64_t last = feed->frame ? feed->taken_stamp : feed->joined_at, age = now - last;
  const bool unknown = feed->frame != NULL && feed->interval == 0;
  const int64_t late = LATE_INTERVALS * feed->interval, gone = unknown ? UNKNOWN_NS : NONE_INTERVALS * feed->interval;
  if (age > (gone > NONE_LEAST ? gone : NONE_LEAST))
    none(state, last, feed->frame ? "no picture comes" : "no picture yet");
  else if (feed->frame == NULL || age > (late > LATE_LEAST ? late : LATE_LEAST))
    state->signal = GRID_LATE;
}

void grid_feed_state(const grid_feed *feed, int64_t now, grid_state *state) {
  cuframes_source_info source = { .struct_size = sizeof source };
  *state = (grid_state){ .signal = GRID_LIVE };
  if (feed->lost_since != 0 || feed->subscriber == NULL ||
      cuframes_subscriber_get_source(feed->subscriber, &source) != CUFRAMES_OK) {
    state_without_publisher(feed, now, state);
  } else if (source.state != CUFRAMES_SOURCE_UNKNOWN && source.state != CUFRAMES_SOURCE_LIVE) {
    const char *name = cuframes_source_state_name(source.state);
    char cause[GRID_CAUSE];
    snprintf(cause, sizeof cause, "%s%s%.250s", name ? name : "unknown", *feed->reason ? ": " : "", feed->reason);
    none(state, source.since ? source.since : feed->joined_at, cause);
  } else {
    state_of_pictures(feed, now, state);
  }
}
