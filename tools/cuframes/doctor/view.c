/* view.c - see view.h. */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/picture_hash.h"
#include "common/reader.h"
#include "pattern/pattern.h"

#define SECOND INT64_C(1000000000)
#define FURTHER_NS (2 * SECOND) /* for the pictures behind the first one */

const char *view_sync_text(uint32_t mode) {
  return mode == CUFRAMES_SYNC_TIMELINE ? "timeline" : mode == CUFRAMES_SYNC_SLOT_EVENTS ? "slot-events" : "complete";
}

static void keep_warning(void *user, int level, const char *line) {
  view *v = user;
  if (level <= CUFRAMES_LOG_WARNING)
    snprintf(v->log, sizeof v->log, "%s", line);
}

static void fail(view *v, int error) {
  v->outcome = VIEW_FAILED;
  v->error = error;
  snprintf(v->sentence, sizeof v->sentence, "%s", cuframes_last_error());
}

/* What the clocks say of a picture that has just come. */
static void look_at_clock(view *v, const cuframes_frame *frame) {
  struct timespec wall;
  const int64_t now = cuframes_now(), time = cuframes_frame_timestamp(frame), pts = cuframes_frame_pts(frame);
  const int64_t captured = cuframes_frame_capture_time(frame);
  (void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail with this clock */
  if (v->seen == 0) {
    v->first_pts = pts;
    v->first_time = time;
    v->ahead_ns = time - now;
  } else if (v->age_ns == CUFRAMES_NO_TIME || now - time < v->age_ns) {
    v->age_ns = now - time;
  }
  if (v->seen > 0 && pts != CUFRAMES_NO_TIME && v->last_pts != CUFRAMES_NO_TIME) {
    v->pts_back = v->pts_back || (pts < v->last_pts && !(cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY));
    v->pts_ns = v->first_pts == CUFRAMES_NO_TIME ? 0 : pts - v->first_pts;
    v->published_ns = time - v->first_time;
  }
  if (time - now > v->ahead_ns)
    v->ahead_ns = time - now;
  if (captured != CUFRAMES_NO_TIME && captured != 0)
    v->capture_off_ns = captured - (wall.tv_sec * SECOND + wall.tv_nsec);
  v->last_pts = pts;
}

/* Every byte, twice: what is in hand must not change. 0 or a negative CUFRAMES_ERR_*. */
static int look_at_picture(view *v, const cuframes_frame *frame, picture_planes *planes, int64_t deadline) {
  const cuframes_format *format = cuframes_frame_format(frame);
  const int64_t left = deadline - cuframes_now();
  int error = v->granted == CUFRAMES_SYNC_COMPLETE ? CUFRAMES_OK : cuframes_frame_wait(frame, left > 0 ? left : 0);
  if (error == CUFRAMES_OK)
    error = picture_view(planes, frame, true);
  if (error != CUFRAMES_OK)
    return error;
  const uint64_t hash = picture_hash(planes, format);
  if (v->stamped && pattern_check(planes->plane, planes->pitch, format, NULL) != PATTERN_WHOLE)
    v->outcome = VIEW_TORN;
  error = picture_view(planes, frame, true);
  if (error == CUFRAMES_OK && picture_hash(planes, format) != hash)
    v->outcome = VIEW_TORN;
  return error;
}

/* The next picture of the mode that was granted: the CPU waits, or the default stream of the GPU does. */
static int next(const view *v, cuframes_subscriber *subscriber, int64_t timeout_ns, cuframes_frame **frame) {
  return v->granted == CUFRAMES_SYNC_COMPLETE ? cuframes_subscriber_next(subscriber, timeout_ns, frame)
                                              : cuframes_subscriber_next_on(subscriber, timeout_ns, NULL, frame);
}

static void read_pictures(view *v, cuframes_subscriber *subscriber) {
  picture_planes planes = { .copy = NULL };
  int64_t deadline = cuframes_now() + v->limit_ns;
  while (v->outcome != VIEW_TORN && v->seen < v->pictures) {
    cuframes_frame *frame = NULL;
    const int64_t left = deadline - cuframes_now();
    int error = next(v, subscriber, left > 0 ? left : 0, &frame);
    if (error == CUFRAMES_ERR_TIMEOUT && v->seen > 0)
      break; /* a slow stream: what came was looked at */
    if (error == CUFRAMES_OK) {
      look_at_clock(v, frame);
      error = look_at_picture(v, frame, &planes, deadline);
      cuframes_frame_release(frame);
    }
    if (error != CUFRAMES_OK) {
      fail(v, error);
      break;
    }
    if (v->seen++ == 0 && v->limit_ns > FURTHER_NS && !v->stamped)
      deadline = cuframes_now() + FURTHER_NS;
  }
  picture_free(&planes);
}

/* A publisher may be there a moment before it adds its ring. */
static void open_packets(view *v, cuframes_subscriber *subscriber) {
  const int64_t deadline = cuframes_now() + v->limit_ns;
  int error;
  while ((error = cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_OLDEST)) ==
             CUFRAMES_ERR_NO_PACKET_RING &&
         cuframes_now() < deadline && reader_pause(cuframes_now() + READER_SLICE_NS)) {
  }
  if (error != CUFRAMES_OK)
    fail(v, error);
}

void view_read(view *v) {
  const uint32_t wanted = v->sync & ~(uint32_t)CUFRAMES_SYNC_COMPLETE;
  const cuframes_subscriber_options options = {
    .struct_size = sizeof options,
    .mode = v->packets ? CUFRAMES_MODE_PACKETS : CUFRAMES_MODE_NEWEST,
    .directory = v->directory,
    .label = "doctor",
    .leases = 1,
    .sync = v->sync,
    .device = v->device,
    .log = keep_warning,
    .log_user = v,
  };
  cuframes_subscriber *subscriber = NULL;
  v->granted = CUFRAMES_SYNC_COMPLETE;
  v->age_ns = v->capture_off_ns = CUFRAMES_NO_TIME;
  int error = cuframes_subscriber_create(v->name, &options, &subscriber);
  if (error == CUFRAMES_OK)
    error = cuframes_subscriber_device(subscriber, NULL, 0, &v->granted);
  if (error != CUFRAMES_OK)
    fail(v, error);
  else if (v->packets)
    open_packets(v, subscriber);
  else
    read_pictures(v, subscriber);
  if (v->outcome == VIEW_WHOLE && wanted && !(v->granted & wanted))
    v->outcome = VIEW_LESSER;
  cuframes_subscriber_destroy(subscriber);
}

void view_blame(const view *v, finding *f, const doctor *d) {
  switch (v->outcome) {
    case VIEW_FAILED: finding_error(f, d, v->error, v->sentence); break;
    case VIEW_TORN:
      finding_why(f, "bytes of picture %u were not what was written, or changed while it was in hand", v->seen);
      finding_mend(
          f, "cuframes verify %s counts such pictures; dmesg | grep -i -e xid -e ecc -e mce says whether memory is bad",
          v->name);
      break;
    case VIEW_LESSER:
      finding_why(f, "%.500s", *v->log ? v->log : "the publisher, its driver or this one cannot do it");
      finding_mend(
          f,
          "--sync complete, which is right for every use; `cuframes doctor --all --device cuda` says what the GPU can");
      break;
    case VIEW_WHOLE: break;
  }
}
