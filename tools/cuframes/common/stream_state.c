/* stream_state.c - see stream_state.h. */
#include "stream_state.h"

#include <stdio.h>
#include <time.h>

#include "json.h"
#include "reader.h"

#define SECOND INT64_C(1000000000)
#define CLOCK_LOOKS 3

void span_text(char *text, size_t size, int64_t ns) {
  static const struct {
    int64_t seconds;
    const char *name;
  } units[] = { { 86400, "days" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
  const int64_t seconds = ns > 0 ? ns / SECOND : 0;
  size_t unit = 0;
  while (units[unit].seconds > 1 && seconds < 2 * units[unit].seconds)
    unit++;
  snprintf(text, size, "%lld %s", (long long)(seconds / units[unit].seconds), units[unit].name);
}

const char *state_name(const cuframes_source_info *source) {
  const char *name = cuframes_source_state_name(source->state);
  return name ? name : "unknown";
}

void state_text(char *text, size_t size, const cuframes_source_info *source) {
  char span[SPAN_TEXT];
  if (source->state == CUFRAMES_SOURCE_UNKNOWN) {
    snprintf(text, size, "not said");
  } else if (source->state == CUFRAMES_SOURCE_LIVE) {
    snprintf(text, size, "live");
  } else {
    span_text(span, sizeof(span), cuframes_now() - source->since);
    snprintf(text, size, "%s %s%s%s", state_name(source), span, *source->reason ? ": " : "", source->reason);
  }
}

/* What the clock on the wall is ahead of CLOCK_MONOTONIC. Whoever else runs between two looks makes them differ: of
 * some, the closest. */
static int64_t wall_ahead(void) {
  int64_t ahead = 0, closest = INT64_MAX;
  for (int i = 0; i < CLOCK_LOOKS; i++) {
    struct timespec wall;
    const int64_t before = cuframes_now();
    (void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail with this clock */
    const int64_t took = cuframes_now() - before;
    if (took < closest) {
      closest = took;
      ahead = wall.tv_sec * SECOND + wall.tv_nsec - before - took / 2;
    }
  }
  return ahead;
}

double moment_seconds(int64_t moment) {
  return ((double)wall_ahead() + (double)moment) / 1e9; /* a moment is a publisher's word, and may be any number */
}

void moment_text(char *text, size_t size, int64_t moment) {
  const time_t seconds = (time_t)moment_seconds(moment);
  struct tm utc;
  if (!gmtime_r(&seconds, &utc) || !strftime(text, size, "%Y-%m-%d %H:%M:%S UTC", &utc))
    snprintf(text, size, "unknown");
}

enum stream_pictures pictures_of(const cuframes_stream_info *info) {
  bool other = false, video = false;
  if (has_pictures(&info->format))
    return PICTURES_THERE;
  for (size_t i = 0; i < info->track_count; i++) {
    video = video || info->tracks[i]->media_type == CUFRAMES_MEDIA_VIDEO;
    other = other || info->tracks[i]->media_type != CUFRAMES_MEDIA_VIDEO;
  }
  switch (info->source->state) {
    case CUFRAMES_SOURCE_CONNECTING: return PICTURES_AWAITED;
    case CUFRAMES_SOURCE_UNKNOWN: /* it has the name, and has said nothing of its source yet, or never does */
      return info->track_count == 0 ? PICTURES_AWAITED : PICTURES_NONE;
    case CUFRAMES_SOURCE_STALLED:
    case CUFRAMES_SOURCE_RECONNECTING:
    case CUFRAMES_SOURCE_REFUSED: return video || !other ? PICTURES_AWAITED : PICTURES_NONE;
    default: return PICTURES_NONE;
  }
}

void picture_text(char *text, size_t size, const cuframes_stream_info *info) {
  if (pictures_of(info) == PICTURES_AWAITED)
    snprintf(text, size, "no picture yet");
  else
    format_text(text, size, &info->format);
}

static int64_t newest_age(const cuframes_stream_info *info) {
  int64_t age = info->age_ns;
  for (size_t i = 0; !has_pictures(&info->format) && i < info->track_count; i++) {
    const int64_t of_track = info->tracks[i]->age_ns;
    if (age == CUFRAMES_NO_TIME || (of_track != CUFRAMES_NO_TIME && of_track < age))
      age = of_track;
  }
  return age;
}

bool state_is_live(const cuframes_stream_info *info, int64_t max_age_ns, char *why, size_t size) {
  const bool pictures = has_pictures(&info->format), is_said = info->source->state != CUFRAMES_SOURCE_UNKNOWN;
  const int64_t age = newest_age(info);
  if (is_said && info->source->state != CUFRAMES_SOURCE_LIVE) {
    state_text(why, size, info->source);
    return false;
  }
  if (max_age_ns == 0 && !is_said && pictures)
    max_age_ns = STATE_MAX_AGE;
  if (max_age_ns == 0 || (age != CUFRAMES_NO_TIME && age <= max_age_ns))
    return true;
  if (age == CUFRAMES_NO_TIME)
    snprintf(why, size, "no %s yet", pictures ? "picture" : "packet");
  else
    snprintf(why, size, "the newest %s is %.1f s old, and may be %.3g s", pictures ? "picture" : "packet",
             (double)age / 1e9, (double)max_age_ns / 1e9);
  return false;
}
