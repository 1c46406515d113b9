/* muxer_begin.c - how a file begins: which of the announced tracks can be in it, and its head.
 *
 * A container's head is written once, and a track that it cannot be written for takes all others with it. So each is
 * tried alone before, in memory, and stays out if it fails. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli_avlog.h"
#include "muxer_parts.h"
#include "tracks.h"

/* False, and the end of all writing, if error is one. */
bool muxer_note_error(muxer *m, int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  if (error >= 0)
    return true;
  (void)av_strerror(error, text, sizeof(text)); /* gives a text for unknown numbers too */
  snprintf(m->problem, sizeof(m->problem), "cannot write %s: %s",
           m->to_stdout ? "to stdout" : m->path + strlen("file:"), text);
  m->failed = true;
  m->error = error;
  return false;
}

void muxer_say(const muxer *m, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  if (m->options.say)
    m->options.say(m->options.user, text);
}

/* The first video leads, or the first track. */
void muxer_choose_lead(muxer *m) {
  m->have_video = false;
  int lead = -1;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const track *t = &m->tracks[i];
    if (!t->described || (lead >= 0 && (m->have_video || !t->video)))
      continue;
    lead = i;
    m->have_video = t->video;
  }
  m->lead = lead < 0 ? 0 : (uint32_t)lead;
}

static void leave_out(muxer *m, uint32_t index) {
  track *t = &m->tracks[index];
  avcodec_parameters_free(&t->described);
  conversion_free(t->conversion);
  t->conversion = NULL;
  muxer_choose_lead(m);
}

/* ---- packets as libavformat has them ---- */

static void release_packet(void *opaque, uint8_t *data) {
  (void)data;
  cuframes_packet_release(opaque);
}

/* The packet's bytes where they are; its times are those of the source. NULL without memory. */
AVPacket *muxer_av_packet(const cuframes_packet *packet) {
  const uint32_t flags = cuframes_packet_flags(packet);
  AVPacket *to = av_packet_alloc();
  cuframes_packet *kept = to ? cuframes_packet_ref((cuframes_packet *)(uintptr_t)packet) : NULL;
  if (!kept) {
    av_packet_free(&to);
    return NULL;
  }
  to->data = (uint8_t *)(uintptr_t)cuframes_packet_data(packet);
  to->size = (int)cuframes_packet_size(packet);
  to->buf = av_buffer_create(to->data, (size_t)to->size + AV_INPUT_BUFFER_PADDING_SIZE, release_packet, kept,
                             AV_BUFFER_FLAG_READONLY);
  if (!to->buf) {
    cuframes_packet_release(kept);
    to->data = NULL;
    av_packet_free(&to);
    return NULL;
  }
  to->flags =
      (flags & CUFRAMES_PACKET_KEY ? AV_PKT_FLAG_KEY : 0) | (flags & CUFRAMES_PACKET_CORRUPT ? AV_PKT_FLAG_CORRUPT : 0);
  return to;
}

/* ---- beginning a file ---- */

const cuframes_packet *muxer_first_of(const muxer *m, uint32_t index) {
  for (size_t i = 0; i < m->waiting_count; i++)
    if (cuframes_packet_track(m->waiting[i]) == index &&
        (!m->tracks[index].video || cuframes_packet_flags(m->waiting[i]) & CUFRAMES_PACKET_KEY))
      return m->waiting[i];
  return NULL;
}

static void container_options(const char *container, AVDictionary **options) {
  if (!strcmp(container, "mp4")) {
    /* The head is written with the first fragment: only then it knows what the packets taught about the streams. */
    av_dict_set(options, "movflags", "+frag_keyframe+delay_moov+default_base_moof", 0);
    av_dict_set(options, "frag_duration", "1000000", 0);
    av_dict_set(options, "min_frag_duration", "500000", 0);
    av_dict_set(options, "strict", "experimental", 0); /* what was so once: FLAC */
  } else if (!strcmp(container, "matroska")) {
    av_dict_set(options, "cluster_time_limit", "1000", 0);
  } else if (!strcmp(container, "nut")) {
    av_dict_set(options, "write_index", "0", 0); /* it grows for days, and is for who can seek */
  }
}

/* ---- what is written, read ---- */

typedef struct memory {
  const uint8_t *data;
  int64_t size, at;
} memory;

static int read_memory(void *opaque, uint8_t *to, int size) {
  memory *from = opaque;
  const int64_t left = from->size - from->at, count = left < size ? left : size;
  if (count <= 0)
    return AVERROR_EOF;
  memcpy(to, from->data + from->at, (size_t)count);
  from->at += count;
  return (int)count;
}

static int64_t seek_memory(void *opaque, int64_t offset, int whence) {
  memory *in = opaque;
  if (whence == AVSEEK_SIZE)
    return in->size;
  const int64_t at = whence == SEEK_CUR ? in->at + offset : whence == SEEK_END ? in->size + offset : offset;
  if (at < 0 || at > in->size)
    return AVERROR(EINVAL);
  return in->at = at;
}

/* Whether a player opens this: libavformat writes some heads that nobody can read, and calls it no error. */
static int read_back(const char *container, const uint8_t *data, int size) {
  enum { BUFFER = 4096 };
  memory from = { data, size, 0 };
  AVFormatContext *in = avformat_alloc_context(), *opened = in;
  uint8_t *buffer = av_malloc(BUFFER);
  AVIOContext *pb = in && buffer ? avio_alloc_context(buffer, BUFFER, 0, &from, read_memory, NULL, seek_memory) : NULL;
  int error = pb ? 0 : AVERROR(ENOMEM);
  if (!error) {
    in->pb = pb;
    error = avformat_open_input(&opened, NULL, av_find_input_format(container), NULL); /* frees it if it fails */
  }
  if (!pb) {
    avformat_free_context(in);
    av_free(buffer);
    return error;
  }
  avformat_close_input(&opened);
  av_freep(&pb->buffer);
  avio_context_free(&pb);
  return error < 0 ? error : 0;
}

/* Writes a file of this track alone into memory, of one packet if there is one. What fails here would fail with the
 * others, and take them with it. */
static int try_alone(const muxer *m, const track *t, const AVCodecParameters *to, AVPacket *packet) {
  const char *container = m->output->oformat->name;
  AVFormatContext *output = NULL;
  AVDictionary *options = NULL;
  uint8_t *written = NULL;
  int error = avformat_alloc_output_context2(&output, NULL, container, NULL);
  if (error >= 0 && !tracks_stream(output, to, &t->params))
    error = AVERROR(ENOMEM);
  if (error >= 0)
    error = avio_open_dyn_buf(&output->pb);
  if (error >= 0) {
    container_options(container, &options);
    error = avformat_write_header(output, &options);
    av_dict_free(&options);
    if (error >= 0 && packet) {
      packet->pts = packet->dts = 0;
      packet->stream_index = 0;
      error = av_interleaved_write_frame(output, packet);
    }
    /* Without a packet the head of an MP4 is not to be had for AC-3 and its like; libavformat forgets memory then, and
     * does not call it a failure: nothing is learnt from an end. */
    if (error >= 0 && packet)
      error = av_write_trailer(output);
    const int size = avio_close_dyn_buf(output->pb, &written);
    if (error >= 0 && packet)
      error = read_back(container, written, size);
    av_free(written);
    output->pb = NULL;
  }
  avformat_free_context(output);
  return error;
}

/* The same with a conversion of its own. */
static int try_track(const muxer *m, const track *t, bool encode, const AVPacket *first) {
  char problem[200];
  AVCodecParameters *to = avcodec_parameters_alloc();
  AVPacket *packet = first ? av_packet_clone(first) : NULL, *out = av_packet_alloc();
  int error = to && out && (packet || !first) ? 0 : AVERROR(ENOMEM);
  conversion *c = error < 0 ? NULL
                            : conversion_create(m->output->oformat->name, t->described, encode, first, to, problem,
                                                sizeof(problem));
  bool came = false;
  if (c && packet) {
    packet->pts = packet->dts = 0;
    came = conversion_send(c, packet) >= 0 && conversion_receive(c, out) >= 0;
  }
  cli_avlog_hold(true);
  if (c)
    error = try_alone(m, t, to, came ? out : NULL);
  cli_avlog_hold(false);
  conversion_free(c);
  av_packet_free(&packet);
  av_packet_free(&out);
  avcodec_parameters_free(&to);
  return error;
}

/* Makes the track's stream, or leaves it out and says why. False: out of memory. */
static bool prepare_track(muxer *m, uint32_t index, const AVPacket *first) {
  track *t = &m->tracks[index];
  const char *container = m->output->oformat->name;
  const bool encode = m->options.audio == MUXER_AUDIO_AAC;
  char problem[200] = "";
  if (!tracks_learn(t->described, &t->params, container, first) ||
      (!first && !encode && !strcmp(container, "mp4") && tracks_make_head(t->described->codec_id))) {
    muxer_say(m, "stream %u (%s) %s: it is left out, and joins with the next file", index, t->params.codec,
              first ? "does not say its rate and channels" : "is announced and has not come yet");
    leave_out(m, index);
    return true;
  }
  const int error = try_track(m, t, encode, first);
  AVCodecParameters *to = avcodec_parameters_alloc();
  if (!to)
    return false;
  if (error < 0)
    snprintf(problem, sizeof(problem), "%s does not take its %s (%s)", container, t->params.codec,
             *cli_avlog_last() ? cli_avlog_last() : av_err2str(error));
  else
    t->conversion = conversion_create(container, t->described, encode, first, to, problem, sizeof(problem));
  if (!t->conversion) {
    muxer_say(m, "stream %u is left out: %s", index, problem);
    leave_out(m, index);
  } else {
    t->stream = tracks_stream(m->output, to, &t->params);
    const AVRational own = av_make_q((int)t->params.time_base_num, (int)t->params.time_base_den);
    t->time_base = t->video || to->sample_rate <= 0 ? av_make_q(1, 90000) : av_make_q(1, to->sample_rate);
    if (own.num > 0 && own.den >= 1000 && own.den <= 10000000 && to->codec_id == t->described->codec_id)
      t->time_base = own;
    if (t->stream)
      t->stream->time_base = t->time_base;
    if (to->codec_id != t->described->codec_id)
      muxer_say(m, "stream %u is encoded: %s becomes %s", index, t->params.codec, avcodec_get_name(to->codec_id));
  }
  avcodec_parameters_free(&to);
  return !t->conversion || t->stream;
}

bool muxer_prepare_tracks(muxer *m) {
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    if (!m->tracks[i].described)
      continue;
    const cuframes_packet *packet = muxer_first_of(m, i);
    AVPacket *first = packet ? muxer_av_packet(packet) : NULL;
    const bool well = (!packet || first) && prepare_track(m, i, first);
    av_packet_free(&first);
    if (!well)
      return muxer_note_error(m, AVERROR(ENOMEM));
  }
  if (m->output->nb_streams)
    return true;
  snprintf(m->problem, sizeof(m->problem), "nothing of it goes into %s",
           m->to_stdout ? "stdout" : m->path + strlen("file:"));
  m->failed = true;
  return false;
}

bool muxer_write_head(muxer *m) {
  AVDictionary *options = NULL;
  int error = 0;
  if (m->options.io)
    m->output->pb = m->options.io;
  else
    error = avio_open(&m->output->pb, m->to_stdout ? "pipe:1" : m->path, AVIO_FLAG_WRITE);
  m->cut = error >= 0 && muxer_can_hide(m);
  container_options(m->output->oformat->name, &options);
  if (m->cut)
    muxer_cut_options(&options);
  if (error >= 0)
    error = avformat_write_header(m->output, &options);
  av_dict_free(&options);
  m->opened = muxer_note_error(m, error);
  return m->opened;
}
