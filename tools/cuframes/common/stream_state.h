/* stream_state.h - what the source of a stream is doing, in words, and since when by the clock on the wall; and whether
 * there are pictures in it. */
#ifndef CUFRAMES_STREAM_STATE_H
#define CUFRAMES_STREAM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

/* "live", "stalled 12 s", "reconnecting 34 s: connection refused", "not said"; STATE_TEXT bytes are enough for any. */
#define STATE_TEXT 320
void state_text(char *text, size_t size, const cuframes_source_info *source);

/* "live", "stalled", ...; "unknown" for one that is not known here. */
const char *state_name(const cuframes_source_info *source);

/* A time that has passed, "12 s" up to two minutes, then "12 min", "12 h", "12 days"; SPAN_TEXT bytes are enough. */
#define SPAN_TEXT 32
void span_text(char *text, size_t size, int64_t ns);

/* A moment of CLOCK_MONOTONIC by the clock on the wall as that goes now: seconds since 1970; and as
 * "2026-11-29 17:02:18 UTC", for which MOMENT_TEXT bytes are enough. */
double moment_seconds(int64_t moment);
#define MOMENT_TEXT 64
void moment_text(char *text, size_t size, int64_t moment);

/* Whether a stream has pictures. Of one that does not, its state and its tracks tell whether there will be some. */
enum stream_pictures {
  PICTURES_NONE,    /* packets alone: sound, or what a detector says */
  PICTURES_AWAITED, /* its source has not given one yet */
  PICTURES_THERE
};
enum stream_pictures pictures_of(const cuframes_stream_info *info);

/* What they are like: as format_text() (json.h), "no picture yet", "no pictures". */
void picture_text(char *text, size_t size, const cuframes_stream_info *info);

/* Whether pictures come: the publisher does not say otherwise, and the newest picture (or packet, where there are no
 * pictures) is at most so old. 0: any age, but STATE_MAX_AGE where the publisher says nothing at all. If not, why, in
 * STATE_TEXT bytes. */
#define STATE_MAX_AGE INT64_C(5000000000)
bool state_is_live(const cuframes_stream_info *info, int64_t max_age_ns, char *why, size_t size);

#endif
