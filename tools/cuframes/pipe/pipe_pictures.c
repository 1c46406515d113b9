/* pipe_pictures.c - a stream's pictures into a pipe.
 *
 * A picture is copied out of its slot and the slot is given back before anything is written: a reader that sleeps holds
 * no lease. What is published meanwhile is skipped and counted in newest mode, and waits in ordered mode, as the
 * stream's policy says. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "picture_file.h"
#include "pictures.h"
#include "pipe_run.h"

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
/* A jump ahead when the source begins anew: up to this it is an outage, and more is another clock. */
#define OUTAGE_NS (10 * SECOND)

typedef struct reel {
  pipe_run *run;
  pictures shape;
  picture_file *file; /* NULL: raw, or none yet */
  cuframes_codec_params track;
  bool begun, have_track, asked_track;
  int64_t offset;            /* from the source's ns to the pipe's */
  int64_t first, last;       /* the pipe's ns; NO_TIME: there was none */
  int64_t last_stamp, usual; /* when it was published; from one picture to the next */
  int64_t due;               /* when --fps wants the next one */
} reel;

/* ---- times ---- */

/* The picture's time in the pipe: the source's, as long as it rises. */
static int64_t time_of(reel *s, const cuframes_frame *frame) {
  const int64_t pts = cuframes_frame_pts(frame), stamp = cuframes_frame_timestamp(frame);
  const bool anew = cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY;
  const bool first = s->last == NO_TIME;
  if (cuframes_frame_duration(frame) > 0)
    s->usual = cuframes_frame_duration(frame);
  if (pts == NO_TIME && first)
    s->last = 0;
  else if (pts == NO_TIME)
    s->last += stamp > s->last_stamp ? stamp - s->last_stamp : 1;
  if (pts != NO_TIME) {
    const int64_t step = pts + s->offset - s->last;
    if (!first && (step <= 0 || (anew && step > OUTAGE_NS)))
      s->offset += s->usual - step;
    s->last = pts + s->offset;
  }
  s->last_stamp = stamp;
  return s->last;
}

/* Whether --fps wants it: those nearest to a steady beat. */
static bool is_due(reel *s, int64_t time) {
  const int64_t interval = s->run->config->interval_ns;
  const int64_t early = (s->usual < interval ? s->usual : interval) / 2;
  if (!interval)
    return true;
  if (s->due == NO_TIME)
    s->due = time;
  if (time + early < s->due)
    return false;
  s->due += interval;
  if (s->due <= time)
    s->due = time + interval - (time - s->due) % interval;
  return true;
}

/* ---- the format ---- */

/* The video that the pictures were decoded from, if the publisher tells of one. */
static const cuframes_codec_params *track_of(reel *s) {
  for (uint32_t i = 0; !s->asked_track && !s->have_track && i < CUFRAMES_TRACKS_MAX; i++) {
    s->track = (cuframes_codec_params){ .struct_size = sizeof s->track };
    const int error = cuframes_subscriber_get_codec_params(s->run->subscriber, i, &s->track, NULL, NULL);
    s->have_track = !error && s->track.media_type == CUFRAMES_MEDIA_VIDEO;
    if (error && error != CUFRAMES_ERR_NO_CODEC_PARAMS)
      break; /* no packets, no word of them */
  }
  s->asked_track = true;
  return s->have_track ? &s->track : NULL;
}

/* Without what says where planes lie in a slot, which is nobody's business here. */
static cuframes_format format_of(const cuframes_frame *frame) {
  cuframes_format format = *cuframes_frame_format(frame);
  memset(format.pitch, 0, sizeof format.pitch);
  memset(format.offset, 0, sizeof format.offset);
  format.padding = 0;
  return format;
}

/* Whether a head that was written for one does for the other, as far as this container says anything. */
static bool head_does(const char *container, const cuframes_format *one, const cuframes_format *other) {
  if (one->pixel_format != other->pixel_format || one->width != other->width || one->height != other->height ||
      memcmp(&one->tensor, &other->tensor, sizeof one->tensor) != 0)
    return false;
  if (container &&
      (one->sample_aspect_num != other->sample_aspect_num || one->sample_aspect_den != other->sample_aspect_den))
    return false;
  return !container || strcmp(container, "nut") == 0 || memcmp(&one->color, &other->color, sizeof one->color) == 0;
}

static void say_format(const reel *s, bool again) {
  pipe_run *r = s->run;
  const cuframes_format *to = &s->shape.to;
  char words[FORMAT_TEXT] = "";
  format_text(r->format, sizeof r->format, to);
  words_text(words, sizeof words, to);
  r->picture_bytes = s->shape.size;
  cli_note("%s: %s%s%s, %zu bytes a picture, %s", r->who, again ? "from here on " : "", r->format, words, s->shape.size,
           r->config->container ? r->config->container : "raw");
}

/* What the container cannot take as it is becomes what it can; raw takes all. */
static bool choose_pixels(reel *s, const cuframes_format *format) {
  const pipe_config *c = s->run->config;
  const uint32_t wanted = c->pixel_format ? c->pixel_format : format->pixel_format;
  const uint32_t held = c->container ? picture_file_format(c->container, wanted) : wanted;
  s->shape.wish = (picture_wish){ held != format->pixel_format ? held : 0, c->width, c->height };
  if (held != CUFRAMES_PIXEL_NONE)
    return true;
  if (wanted == CUFRAMES_PIXEL_TENSOR)
    cli_error("%s has tensors, which are no pictures: --raw gives them as they are", s->run->who);
  else
    cli_error("%s: %s has no name for pictures of %s: --container nut has, or --format nv12 makes others", s->run->who,
              c->container, cuframes_pixel_format_name(wanted));
  return false;
}

static bool begin_file(reel *s) {
  pipe_run *r = s->run;
  char problem[200];
  if (r->config->container) {
    s->file = picture_file_begin(r->io, r->config->container, &s->shape.to, track_of(s), r->config->interval_ns,
                                 problem, sizeof problem);
    if (!s->file && r->sink.error)
      pipe_note_write_error(r);
    else if (!s->file)
      cli_error("%s: cannot begin: %s", r->who, problem);
    if (!s->file)
      return false;
  }
  r->headers++;
  return true;
}

/* A picture of a format that is not the one before. False: it is the end. */
static bool take_format(reel *s, const cuframes_format *format) {
  pipe_run *r = s->run;
  const cuframes_format before = s->shape.to;
  char was[FORMAT_TEXT];
  if (!choose_pixels(s, format) || !pictures_prepare(&s->shape, format, r->who)) {
    pipe_fail(r, "error");
    return false;
  }
  if (s->begun && head_does(r->config->container, &before, &s->shape.to))
    return true;
  if (s->begun && !r->config->header_on_change) {
    char is[FORMAT_TEXT];
    format_text(was, sizeof was, &before);
    format_text(is, sizeof is, &s->shape.to);
    cli_note("%s: the format was %s and is %s: the end, since its reader was told otherwise (--on-change)", r->who, was,
             is);
    r->ended = "change";
    return false;
  }
  (void)picture_file_end(s->file, true); /* the sink knows */
  s->file = NULL;
  say_format(s, s->begun);
  if (!s->begun)
    sink_make_room(&r->sink, s->shape.size);
  s->begun = true;
  if (begin_file(s))
    return true;
  if (!r->ended)
    pipe_fail(r, "error");
  return false;
}

/* ---- pictures ---- */

/* The bytes of a picture that is wanted. False: there are none, and it may be the end. */
static bool make(reel *s, const cuframes_frame *frame) {
  const cuframes_format format = format_of(frame);
  if ((!s->begun || memcmp(&format, &s->shape.from, sizeof format) != 0) && !take_format(s, &format))
    return false;
  const int error = pictures_make(&s->shape, frame);
  if (error && error != CUFRAMES_ERR_LOST) { /* lost: the publisher died before it was complete */
    s->run->code = cli_failed(error, s->run->who);
    s->run->ended = "error";
  }
  return !error;
}

static void write_picture(reel *s, int64_t time, int64_t duration) {
  pipe_run *r = s->run;
  const bool well = s->file ? picture_file_write(s->file, s->shape.bytes, s->shape.size, time, duration)
                            : sink_write(&r->sink, s->shape.bytes, s->shape.size);
  if (!well) {
    pipe_note_write_error(r);
    return;
  }
  r->pictures++;
  r->written_ns = time - s->first + s->usual;
}

static void take(reel *s, cuframes_frame *frame) {
  pipe_run *r = s->run;
  if (cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY && s->last != NO_TIME) {
    r->epochs++;
    cli_note("%s: the source started anew", r->who);
  }
  const int64_t time = time_of(s, frame), duration = cuframes_frame_duration(frame);
  const bool wanted = is_due(s, time);
  if (s->first == NO_TIME)
    s->first = time;
  if (r->config->duration_ns && time - s->first >= r->config->duration_ns)
    r->ended = "duration";
  r->left_out += !wanted;
  const bool made = wanted && !r->ended && make(s, frame);
  cuframes_frame_release(frame);
  if (made)
    write_picture(s, time, duration);
}

void pipe_pictures(pipe_run *r) {
  reel s = { .run = r, .first = NO_TIME, .last = NO_TIME, .due = NO_TIME, .usual = SECOND / 25 };
  s.shape.av_planes = r->config->container != NULL;
  while (!r->ended) {
    cuframes_frame *frame = NULL;
    const int error = cuframes_subscriber_next(r->subscriber, READER_SLICE_NS, &frame);
    if (error) {
      pipe_note_error(r, error);
    } else {
      r->heard = cuframes_now();
      take(&s, frame);
    }
    pipe_look_around(r);
  }
  (void)picture_file_end(s.file, true); /* after an error the sink takes nothing more */
  pictures_free(&s.shape);
}
