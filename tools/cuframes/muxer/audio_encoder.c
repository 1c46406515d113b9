/* audio_encoder.c - see audio_encoder.h. */
#include "audio_encoder.h"

#include <stdio.h>
#include <stdlib.h>

#include <libavutil/audio_fifo.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include "common/av_compat.h"

#define NO_TIME AV_NOPTS_VALUE
/* Times and samples may disagree by so much, in 1/1000 s, before it is a gap: times are often rounded. */
#define TOLERANCE_MS 15

struct audio_encoder {
  AVCodecContext *decoder, *encoder;
  SwrContext *resampler;
  AVAudioFifo *fifo;
  AVFrame *frame, *converted, *full; /* as decoded; as the encoder wants it; for the encoder */
  AVPacket **ready;                  /* encoded, and not yet received: `taken` to `made` */
  size_t taken, made, room;
  int from_format, from_rate, from_channels; /* what the resampler was made for */
  int64_t next;                              /* time behind the last sample of fifo, in samples; NO_TIME: none yet */
  bool ended;
};

static const AVRational nanoseconds = { 1, 1000000000 };

static AVCodecContext *open_decoder(const AVCodecParameters *from) {
  const AVCodec *codec = avcodec_find_decoder(from->codec_id);
  AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
  if (!decoder || avcodec_parameters_to_context(decoder, from) < 0)
    goto failed;
  decoder->pkt_timebase = nanoseconds;
  if (avcodec_open2(decoder, codec, NULL) < 0)
    goto failed;
  return decoder;
failed:
  avcodec_free_context(&decoder);
  return NULL;
}

/* The rate that the encoder knows and that is next to this one, from below only if there is none above. */
static int known_rate(int rate) {
  static const int rates[] = { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 0 };
  int i = 0;
  while (rates[i] < rate && rates[i + 1])
    i++;
  return rates[i];
}

static AVCodecContext *open_encoder(const AVCodecParameters *from) {
  const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
  AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
  if (!encoder)
    return NULL;
  encoder->sample_rate = known_rate(from->sample_rate);
  encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
  encoder->time_base = av_make_q(1, encoder->sample_rate);
  /* Enough for what speech and music need at this rate. */
  const int channels = av_compat_channels(from);
  encoder->bit_rate = (int64_t)channels * (encoder->sample_rate < 16000 ? encoder->sample_rate * 4 : 64000);
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  av_channel_layout_default(&encoder->ch_layout, channels);
  if (avcodec_open2(encoder, codec, NULL) < 0)
    avcodec_free_context(&encoder);
  return encoder;
}

audio_encoder *audio_encoder_create(const AVCodecParameters *from, AVCodecParameters *to, char *problem, size_t size) {
  audio_encoder *e = calloc(1, sizeof *e);
  if (!e) {
    snprintf(problem, size, "out of memory");
    return NULL;
  }
  e->next = NO_TIME;
  e->frame = av_frame_alloc();
  e->converted = av_frame_alloc();
  e->full = av_frame_alloc();
  e->decoder = open_decoder(from);
  e->encoder = open_encoder(from);
  if (e->encoder)
    e->fifo = av_audio_fifo_alloc(e->encoder->sample_fmt, e->encoder->ch_layout.nb_channels, e->encoder->frame_size);
  if (e->decoder && e->encoder && e->fifo && e->frame && e->converted && e->full &&
      avcodec_parameters_from_context(to, e->encoder) >= 0)
    return e;
  snprintf(problem, size,
           !e->decoder   ? "%s cannot be decoded here"
           : !e->encoder ? "%s does not go into AAC here"
                         : "%s: out of memory",
           avcodec_get_name(from->codec_id));
  audio_encoder_free(e);
  return NULL;
}

bool audio_encoder_change(audio_encoder *e, const AVCodecParameters *from) {
  AVCodecContext *decoder = open_decoder(from);
  if (!decoder)
    return false;
  avcodec_free_context(&e->decoder);
  e->decoder = decoder;
  return true;
}

/* ---- decoded sound into the queue ---- */

/* For frames such as this one. What the old one still holds is less than a sample's worth of sound. */
static int follow_format(audio_encoder *e, const AVFrame *frame) {
  if (e->resampler && frame->format == e->from_format && frame->sample_rate == e->from_rate &&
      frame->ch_layout.nb_channels == e->from_channels)
    return 0;
  AVChannelLayout layout = { 0 };
  int error =
      frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC ? 0 : av_channel_layout_copy(&layout, &frame->ch_layout);
  if (layout.nb_channels == 0)
    av_channel_layout_default(&layout, frame->ch_layout.nb_channels);
  swr_free(&e->resampler);
  if (error >= 0)
    error = swr_alloc_set_opts2(&e->resampler, &e->encoder->ch_layout, e->encoder->sample_fmt, e->encoder->sample_rate,
                                &layout, frame->format, frame->sample_rate, 0, NULL);
  av_channel_layout_uninit(&layout);
  if (error >= 0)
    error = swr_init(e->resampler);
  if (error >= 0) {
    e->from_format = frame->format;
    e->from_rate = frame->sample_rate;
    e->from_channels = frame->ch_layout.nb_channels;
  }
  return error;
}

static int new_frame(const audio_encoder *e, AVFrame *frame, int samples) {
  av_frame_unref(frame);
  frame->format = e->encoder->sample_fmt;
  frame->sample_rate = e->encoder->sample_rate;
  frame->nb_samples = samples;
  const int error = av_channel_layout_copy(&frame->ch_layout, &e->encoder->ch_layout);
  return error < 0 ? error : av_frame_get_buffer(frame, 0);
}

static int add_samples(audio_encoder *e, const AVFrame *frame, int skip) {
  uint8_t *planes[AV_NUM_DATA_POINTERS];
  const int channels = frame->ch_layout.nb_channels;
  if (channels > AV_NUM_DATA_POINTERS)
    return AVERROR(EINVAL);
  for (int i = 0; i < channels; i++)
    planes[i] = frame->extended_data[i] + (ptrdiff_t)skip * (ptrdiff_t)sizeof(float);
  const int written = av_audio_fifo_write(e->fifo, (void **)planes, frame->nb_samples - skip);
  e->next += written > 0 ? written : 0;
  return written < 0 ? written : 0;
}

/* Collects what the encoder has done; it takes nothing more before. */
static int collect(audio_encoder *e) {
  for (;;) {
    AVPacket *packet = av_packet_alloc();
    int error = packet ? avcodec_receive_packet(e->encoder, packet) : AVERROR(ENOMEM);
    if (error >= 0 && e->made == e->room) {
      AVPacket **more = realloc(e->ready, (e->room + 64) * sizeof *more);
      e->ready = more ? more : e->ready;
      e->room += more ? 64 : 0;
      error = more ? 0 : AVERROR(ENOMEM);
    }
    if (error < 0) {
      av_packet_free(&packet);
      return error == AVERROR(EAGAIN) || error == AVERROR_EOF ? 0 : error;
    }
    e->ready[e->made++] = packet;
  }
}

static int encode(audio_encoder *e, int samples) {
  const int64_t pts = e->next - av_audio_fifo_size(e->fifo);
  int error = new_frame(e, e->full, samples);
  if (error >= 0 && av_audio_fifo_read(e->fifo, (void **)e->full->extended_data, samples) < samples)
    error = AVERROR_BUG;
  e->full->pts = pts;
  if (error >= 0)
    error = avcodec_send_frame(e->encoder, e->full);
  return error < 0 ? error : collect(e);
}

static int add_silence(audio_encoder *e, int samples) {
  AVFrame *silence = av_frame_alloc();
  int error = silence ? new_frame(e, silence, samples) : AVERROR(ENOMEM);
  if (error >= 0)
    error = av_samples_set_silence(silence->extended_data, 0, samples, silence->ch_layout.nb_channels, silence->format);
  if (error >= 0)
    error = add_samples(e, silence, 0);
  av_frame_free(&silence);
  return error;
}

/* Fills what the encoder has begun, as far as the gap goes, and moves on to `pts`. */
static int step_over(audio_encoder *e, int64_t pts) {
  const int begun = av_audio_fifo_size(e->fifo), missing = begun > 0 ? e->encoder->frame_size - begun : 0;
  const int64_t gap = pts - e->next;
  int error = 0;
  if (missing > 0)
    error = add_silence(e, gap < missing ? (int)gap : missing);
  if (error >= 0 && gap >= missing) {
    if (begun > 0)
      error = encode(e, e->encoder->frame_size);
    e->next = pts;
  }
  return error;
}

/* Takes the converted sound, whose first sample is at `pts`. */
static int queue(audio_encoder *e, int64_t pts) {
  const int tolerance = e->encoder->sample_rate * TOLERANCE_MS / 1000;
  int skip = 0, error = 0;
  if (e->next == NO_TIME)
    e->next = pts == NO_TIME ? 0 : pts;
  else if (pts != NO_TIME && pts - e->next > tolerance)
    error = step_over(e, pts);
  else if (pts != NO_TIME && e->next - pts > tolerance)
    skip = e->next - pts < e->converted->nb_samples ? (int)(e->next - pts) : e->converted->nb_samples;
  return error < 0 ? error : add_samples(e, e->converted, skip);
}

static int take_frame(audio_encoder *e) {
  const AVFrame *from = e->frame;
  int error = follow_format(e, from);
  if (error < 0)
    return error;
  const int64_t rate = e->encoder->sample_rate;
  const int64_t held = swr_get_delay(e->resampler, rate);
  const int64_t most = held + av_rescale_rnd(from->nb_samples, rate, from->sample_rate, AV_ROUND_UP) + 32;
  int64_t pts = from->pts != NO_TIME ? from->pts : from->best_effort_timestamp;
  if (pts != NO_TIME)
    pts = av_rescale_q(pts, nanoseconds, e->encoder->time_base) - held;
  error = new_frame(e, e->converted, (int)most);
  if (error < 0)
    return error;
  const int samples = swr_convert(e->resampler, e->converted->extended_data, (int)most,
                                  (const uint8_t **)from->extended_data, from->nb_samples);
  if (samples < 0)
    return samples;
  e->converted->nb_samples = samples;
  return samples > 0 ? queue(e, pts) : 0;
}

static int encode_full(audio_encoder *e) {
  int error = 0;
  while (error >= 0 && av_audio_fifo_size(e->fifo) >= e->encoder->frame_size)
    error = encode(e, e->encoder->frame_size);
  return error;
}

static int end(audio_encoder *e) {
  int error = 0;
  e->ended = true;
  if (av_audio_fifo_size(e->fifo) > 0)
    error = encode(e, av_audio_fifo_size(e->fifo));
  if (error >= 0)
    error = avcodec_send_frame(e->encoder, NULL);
  return error < 0 ? error : collect(e);
}

int audio_encoder_send(audio_encoder *e, const AVPacket *packet) {
  if (e->ended)
    return 0;
  int error = avcodec_send_packet(e->decoder, packet);
  if (error < 0 && error != AVERROR(ENOMEM))
    error = 0; /* damaged: what follows may be well, and the hole is one */
  while (error >= 0) {
    error = avcodec_receive_frame(e->decoder, e->frame);
    if (error < 0)
      break;
    error = take_frame(e);
    if (error >= 0)
      error = encode_full(e);
  }
  if (error != AVERROR(ENOMEM) && (error == AVERROR(EAGAIN) || error == AVERROR_EOF || error == AVERROR_INVALIDDATA))
    error = 0;
  return error < 0 || packet ? error : end(e);
}

int audio_encoder_receive(audio_encoder *e, AVPacket *packet) {
  if (e->taken == e->made)
    return e->ended ? AVERROR_EOF : AVERROR(EAGAIN);
  AVPacket *first = e->ready[e->taken++];
  av_packet_move_ref(packet, first);
  av_packet_free(&first);
  if (e->taken == e->made)
    e->taken = e->made = 0;
  av_packet_rescale_ts(packet, e->encoder->time_base, nanoseconds);
  return 0;
}

void audio_encoder_free(audio_encoder *e) {
  if (!e)
    return;
  avcodec_free_context(&e->decoder);
  avcodec_free_context(&e->encoder);
  swr_free(&e->resampler);
  if (e->fifo)
    av_audio_fifo_free(e->fifo);
  av_frame_free(&e->frame);
  av_frame_free(&e->converted);
  av_frame_free(&e->full);
  while (e->taken < e->made)
    av_packet_free(&e->ready[e->taken++]);
  free(e->ready);
  free(e);
}
