/* media_choice.c - which video of an input is decoded, and which of its streams are read at all.
 *
 * An input may have several videos: the variants of an HLS or DASH stream, which are the same film, each fetched by
 * itself; the programmes of a transport stream; cameras in one file. One is decoded. What belongs to another variant or
 * programme is not for us: it would be fetched for nobody, and a recording would have every picture several times. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "media.h"

typedef struct candidate {
  int stream;
  media_candidate is;
} candidate;

static bool is_video(const AVStream *stream) {
  return stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

static candidate candidate_of(const AVFormatContext *in, unsigned number) {
  const AVStream *stream = in->streams[number];
  const AVDictionaryEntry *said = av_dict_get(stream->metadata, "variant_bitrate", NULL, 0); /* HLS, DASH */
  return (candidate){ .stream = (int)number,
                      .is.width = stream->codecpar->width,
                      .is.height = stream->codecpar->height,
                      .is.rate = said ? strtoll(said->value, NULL, 10) : stream->codecpar->bit_rate };
}

/* Whether it is no more than was asked for. */
static bool fits(const publish_variant *wanted, media_candidate c) {
  if (wanted->kind == PUBLISH_VARIANT_SIZE)
    return c.width <= (int64_t)wanted->width && c.height <= (int64_t)wanted->height;
  return wanted->kind != PUBLISH_VARIANT_RATE || c.rate <= (int64_t)wanted->rate;
}

/* Of those that fit the largest, of those that do not the smallest. */
bool media_candidate_is_better(const media *m, media_candidate a, media_candidate b) {
  const publish_variant *wanted = &m->job->options->variant;
  const bool a_fits = fits(wanted, a), b_fits = fits(wanted, b);
  if (a_fits != b_fits)
    return a_fits;
  const bool by_rate = wanted->kind == PUBLISH_VARIANT_RATE,
             small = wanted->kind == PUBLISH_VARIANT_SMALLEST || !a_fits;
  const int64_t area = a.width * a.height - b.width * b.height, rate = a.rate - b.rate;
  const int64_t first = by_rate ? rate : area, more = first != 0 ? first : by_rate ? area : rate;
  return small ? more < 0 : more > 0;
}

static bool is_dash(const AVFormatContext *in) {
  return strcmp(in->iformat->name, "dash") == 0;
}

/* The video that is asked for; -1: there is none. */
static int find_video(const media *m) {
  const publish_variant *wanted = &m->job->options->variant;
  candidate best = { .stream = -1 };
  /* FFmpeg's best of several videos is the one of which it read most, and so any one of variants. */
  for (unsigned i = 0; m->split && i < m->in->nb_streams; i++)
    if (is_video(m->in->streams[i]))
      return (int)i; /* the others come after it */
  if (wanted->kind == PUBLISH_VARIANT_ANY && m->in->nb_programs < 2 && !is_dash(m->in)) {
    best.stream = av_find_best_stream(m->in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    return best.stream >= 0 && is_video(m->in->streams[best.stream]) ? best.stream : -1;
  }
  for (unsigned i = 0; i < m->in->nb_streams; i++) {
    if (!is_video(m->in->streams[i]) || m->in->streams[i]->codecpar->width <= 0)
      continue;
    const candidate found = candidate_of(m->in, i);
    if (best.stream < 0 || media_candidate_is_better(m, found.is, best.is))
      best = found;
  }
  return best.stream;
}

static bool has_stream(const AVProgram *program, unsigned stream) {
  for (unsigned i = 0; i < program->nb_stream_indexes; i++)
    if (program->stream_index[i] == stream)
      return true;
  return false;
}

/* Whether a stream is of other programmes (of HLS: variants) and not of the one that is taken. */
static bool is_elsewhere(const AVFormatContext *in, int lead, unsigned stream) {
  bool in_some = false, lead_in_some = false;
  for (unsigned i = 0; i < in->nb_programs; i++) {
    const bool there = has_stream(in->programs[i], stream), ours = has_stream(in->programs[i], (unsigned)lead);
    if (there && ours)
      return false;
    in_some = in_some || there;
    lead_in_some = lead_in_some || ours;
  }
  return in_some && lead_in_some;
}

/* The same film once more: DASH has all of them in one programme. */
static bool is_alternative(const AVFormatContext *in, int video, unsigned stream) {
  return is_dash(in) && (int)stream != video && is_video(in->streams[stream]);
}

static void describe(const AVFormatContext *in, unsigned number, char *text, size_t size) {
  const candidate c = candidate_of(in, number);
  const AVCodecParameters *video = in->streams[number]->codecpar;
  int length = snprintf(text, size, "%dx%d", video->width, video->height);
  if (c.is.rate > 0 && length > 0 && (size_t)length < size)
    snprintf(text + length, size - (size_t)length, " at %" PRId64 " kbit/s", c.is.rate / 1000);
}

/* Says which one it is, and what else there is, when that is not as it was. */
static void say_choice(media *m, unsigned others) {
  char text[sizeof m->said_choice] = "", one[64];
  size_t length = 0;
  describe(m->in, (unsigned)m->video, one, sizeof one);
  length += (size_t)snprintf(text, sizeof text,
                             "of %u videos the one of %s is taken (--variant chooses); left out:", others + 1, one);
  for (unsigned i = 0, named = 0; i < m->in->nb_streams && length < sizeof text; i++) {
    if (!is_video(m->in->streams[i]) || m->in->streams[i]->discard < AVDISCARD_ALL)
      continue;
    describe(m->in, i, one, sizeof one);
    length += (size_t)snprintf(text + length, sizeof text - length, "%s %s", named++ > 0 ? "," : "", one);
  }
  if (strcmp(text, m->said_choice) != 0)
    publish_job_note(m->job, "%s", text);
  memcpy(m->said_choice, text, sizeof text);
}

/* Whether what an input announces may be less than it will have: a camera that starts answers before its video is
 * there. Files, and what else tells its streams in its own bytes, are what they are. Without another try there is
 * nothing to wait for. */
static bool may_be_starting(media *m) {
  if (!m->live || m->job->options->no_reconnect || strcmp(m->in->iformat->name, "rtsp") != 0)
    return false;
  if (m->sound_alone_at == 0)
    m->sound_alone_at = cuframes_now();
  return cuframes_now() - m->sound_alone_at < media_timeout(m);
}

/* Without a video: whether its sound is what there is to publish. */
static int choose_sound(media *m) {
  m->sound = av_find_best_stream(m->in, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
  if (m->sound < 0 || m->had_video)
    snprintf(m->reason, sizeof m->reason, "has no video stream");
  else if (m->job->options->no_packets)
    snprintf(m->reason, sizeof m->reason, "has no video stream, and of its sound --no-packets leaves nothing");
  else if (may_be_starting(m))
    snprintf(m->reason, sizeof m->reason,
             "has no video stream yet; if that is so for %.3g s, its sound is published alone",
             (double)media_timeout(m) / 1e9);
  else
    return 0;
  return AVERROR_STREAM_NOT_FOUND;
}

void media_choose_late(media *m) {
  const int found = find_video(m);
  if (found < 0 || m->in->streams[found]->codecpar->codec_id == AV_CODEC_ID_NONE)
    return;
  m->video = found;
  if (media_decoder_open(m) < 0) {
    publish_job_warn(m->job, "%s: a video came up, and is not decoded: %s", m->job->input, m->reason);
    m->video = -1;
    return;
  }
  publish_job_note(m->job, "%s: a video came up beside its sound", m->job->input);
  m->had_video = true;
  media_note_rate(m);
}

int media_choose(media *m) {
  unsigned others = 0;
  m->video = find_video(m);
  m->sound = -1;
  const int error = m->video < 0 ? choose_sound(m) : 0;
  if (error < 0)
    return error;
  m->had_video = m->had_video || m->video >= 0;
  const int lead = media_lead(m);
  for (unsigned i = 0; i < m->in->nb_streams; i++) {
    AVStream *stream = m->in->streams[i];
    if ((int)i == lead)
      continue;
    const bool other = is_elsewhere(m->in, lead, i) || is_alternative(m->in, lead, i);
    others += other && is_video(stream);
    if (other || m->job->options->no_packets)
      stream->discard = AVDISCARD_ALL;
  }
  if (others > 0)
    say_choice(m, others);
  return 0;
}
