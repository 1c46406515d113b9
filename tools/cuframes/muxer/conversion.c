/* conversion.c - see conversion.h. */
#include "conversion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/bsf.h>

#include "audio_encoder.h"
#include "common/av_compat.h"
#include "parameter_sets.h"

struct conversion {
  bool ts;
  AVCodecParameters *from;
  AVBSFContext *filter;
  const char *filter_name;
  audio_encoder *encoder;
  AVPacket *held; /* on its way, where there is no filter */
  bool ended;

  /* H.264, H.265 */
  int length_bytes;
  parameter_sets file;    /* which the file goes on with: those of its head */
  parameter_sets present; /* which the next keyframe needs, if it brings none itself */

  uint8_t adts[2]; /* AAC: what the first header says */
};

static const AVRational nanoseconds = { 1, 1000000000 };

void conversion_free(conversion *c) {
  if (!c)
    return;
  avcodec_parameters_free(&c->from);
  av_bsf_free(&c->filter);
  audio_encoder_free(c->encoder);
  av_packet_free(&c->held);
  parameter_sets_free(&c->file);
  parameter_sets_free(&c->present);
  free(c);
}

/* ---- AAC ---- */

/* Whether it begins with an ADTS header that tells the packet's size. */
static bool is_adts(const AVPacket *packet) {
  const uint8_t *d = packet->data;
  return packet->size >= 7 && d[0] == 0xff && (d[1] & 0xf6) == 0xf0 &&
         ((d[3] & 3) << 11 | d[4] << 3 | d[5] >> 5) == packet->size;
}

/* Profile, rate and channels of an ADTS header. */
static void adts_words(const AVPacket *packet, uint8_t words[2]) {
  words[0] = packet->data[2] & 0xfd; /* without the private bit */
  words[1] = packet->data[3] & 0xc0;
}

/* ---- filters ---- */

static const char *filter_for(const conversion *c, const AVPacket *first) {
  switch (c->from->codec_id) {
    case AV_CODEC_ID_H264: return c->ts && c->length_bytes ? "h264_mp4toannexb" : NULL;
    case AV_CODEC_ID_HEVC: return c->ts && c->length_bytes ? "hevc_mp4toannexb" : NULL;
    case AV_CODEC_ID_MPEG4: return c->ts && c->from->extradata_size ? "dump_extra" : NULL;
    case AV_CODEC_ID_AAC: return !c->ts && first && is_adts(first) ? "aac_adtstoasc" : NULL;
    default: return NULL;
  }
}

static AVBSFContext *open_filter(const char *name, const AVCodecParameters *from) {
  const AVBitStreamFilter *filter = av_bsf_get_by_name(name);
  AVBSFContext *context = NULL;
  if (!filter || av_bsf_alloc(filter, &context) < 0)
    return NULL;
  context->time_base_in = nanoseconds;
  if (avcodec_parameters_copy(context->par_in, from) < 0 || av_bsf_init(context) < 0)
    av_bsf_free(&context);
  return context;
}

/* What ADTS headers say, as a container's head says it: the filter tells with the first packet. */
static bool learn_adts(conversion *c, const AVPacket *first, AVCodecParameters *to) {
  AVBSFContext *filter = open_filter(c->filter_name, c->from);
  AVPacket *copy = av_packet_clone(first);
  size_t size = 0;
  bool learned = false;
  if (filter && copy && av_bsf_send_packet(filter, copy) >= 0 && av_bsf_receive_packet(filter, copy) >= 0) {
    const uint8_t *found = av_packet_get_side_data(copy, AV_PKT_DATA_NEW_EXTRADATA, &size);
    uint8_t *extradata = found ? av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE) : NULL;
    if (extradata) {
      memcpy(extradata, found, size);
      av_freep(&to->extradata);
      to->extradata = extradata;
      to->extradata_size = (int)size;
      learned = true;
    }
  }
  av_packet_free(&copy);
  av_bsf_free(&filter);
  return learned;
}

/* The way for packets as c->from says. */
static bool set_up(conversion *c, const AVPacket *first) {
  const AVCodecParameters *from = c->from;
  const size_t size = (size_t)from->extradata_size;
  c->length_bytes = parameter_sets_length_bytes(from->codec_id, from->extradata, size);
  c->filter_name = filter_for(c, first);
  av_bsf_free(&c->filter);
  c->filter = c->filter_name ? open_filter(c->filter_name, from) : NULL;
  if (c->filter_name && !c->filter)
    return false;
  parameter_sets sets = { 0 };
  if (parameter_sets_known(from->codec_id) &&
      !parameter_sets_of_extradata(from->codec_id, from->extradata, size, &sets))
    return false;
  if (sets.size) {
    parameter_sets_free(&c->present);
    c->present = sets;
  }
  return true;
}

static bool begin(conversion *c, const AVPacket *first, AVCodecParameters *to) {
  if (!set_up(c, first) || avcodec_parameters_copy(to, c->filter ? c->filter->par_out : c->from) < 0)
    return false;
  if (c->from->codec_id == AV_CODEC_ID_AAC && c->filter) {
    adts_words(first, c->adts);
    return learn_adts(c, first, to);
  }
  return !c->present.size || parameter_sets_add(&c->file, &c->present);
}

conversion *conversion_create(const char *container, const AVCodecParameters *from, bool encode, const AVPacket *first,
                              AVCodecParameters *to, char *problem, size_t size) {
  conversion *c = calloc(1, sizeof *c);
  snprintf(problem, size, "out of memory");
  if (!c)
    return NULL;
  c->ts = strcmp(container, "mpegts") == 0;
  c->from = avcodec_parameters_alloc();
  c->held = av_packet_alloc();
  bool well = c->from && c->held && avcodec_parameters_copy(c->from, from) >= 0;
  if (well && encode && from->codec_type == AVMEDIA_TYPE_AUDIO && from->codec_id != AV_CODEC_ID_AAC) {
    c->encoder = audio_encoder_create(from, to, problem, size);
    well = c->encoder != NULL;
  } else if (well) {
    well = begin(c, first, to);
    if (!well)
      snprintf(problem, size, "its %s cannot be brought into the form that the file needs",
               avcodec_get_name(from->codec_id));
  }
  if (well)
    return c;
  conversion_free(c);
  return NULL;
}

const char *conversion_name(const conversion *c) {
  return c->encoder ? "encoded" : c->filter_name;
}

/* ---- changes ---- */

static bool same_extradata(const AVCodecParameters *one, const AVCodecParameters *other) {
  return one->extradata_size == 0 || other->extradata_size == 0 ||
         (one->extradata_size == other->extradata_size &&
          memcmp(one->extradata, other->extradata, (size_t)one->extradata_size) == 0);
}

/* Whether a number is another one, both being known. */
static bool differ(int one, int other) {
  return one > 0 && other > 0 && one != other;
}

static bool same_sound(const AVCodecParameters *one, const AVCodecParameters *other) {
  return !differ(one->sample_rate, other->sample_rate) && !differ(av_compat_channels(one), av_compat_channels(other)) &&
         same_extradata(one, other);
}

/* Whether a head that was written for `c->from` does for `from`. Sets are judged at the next keyframe. */
static bool head_does(const conversion *c, const AVCodecParameters *from) {
  if (from->codec_type == AVMEDIA_TYPE_AUDIO)
    return same_sound(c->from, from) || (c->ts && c->from->extradata_size == 0 && from->extradata_size == 0);
  if (c->ts)
    return true;
  if (parameter_sets_known(from->codec_id))
    return from->extradata_size == 0 || c->length_bytes == parameter_sets_length_bytes(from->codec_id, from->extradata,
                                                                                       (size_t)from->extradata_size);
  return same_extradata(c->from, from);
}

bool conversion_change(conversion *c, const AVCodecParameters *from) {
  AVCodecParameters *before = c->from;
  if (from->codec_id != before->codec_id)
    return c->encoder != NULL && from->codec_type == AVMEDIA_TYPE_AUDIO && audio_encoder_change(c->encoder, from);
  if (c->encoder)
    return same_sound(before, from) || audio_encoder_change(c->encoder, from);
  if (!head_does(c, from))
    return false;
  if (from->codec_type == AVMEDIA_TYPE_AUDIO)
    return true;
  c->from = avcodec_parameters_alloc();
  if (!c->from || avcodec_parameters_copy(c->from, from) < 0 || !set_up(c, NULL)) {
    avcodec_parameters_free(&c->from);
    c->from = before;
    return false;
  }
  avcodec_parameters_free(&before);
  return true;
}

bool conversion_goes_on(const conversion *c, const AVPacket *packet) {
  const enum AVCodecID codec = c->from->codec_id;
  parameter_sets sets = { 0 };
  uint8_t words[2];
  if (c->encoder || c->ts)
    return true;
  if (codec == AV_CODEC_ID_AAC) {
    const bool adts = is_adts(packet);
    if (!adts || !c->filter)
      return !adts;
    adts_words(packet, words);
    return memcmp(words, c->adts, sizeof words) == 0;
  }
  if (!parameter_sets_known(codec) || !(packet->flags & AV_PKT_FLAG_KEY))
    return true;
  if (!parameter_sets_of_packet(codec, c->length_bytes, packet->data, (size_t)packet->size, &sets))
    return true; /* out of memory: not the time for a new file */
  const bool goes_on = parameter_sets_go_on(codec, &c->file, sets.size ? &sets : &c->present);
  parameter_sets_free(&sets);
  return goes_on;
}

/* ---- packets ---- */

/* A keyframe in TS: who joins here has no other description. */
static int put_sets(conversion *c, AVPacket *packet) {
  const enum AVCodecID codec = c->from->codec_id;
  parameter_sets sets = { 0 };
  if (!c->ts || !parameter_sets_known(codec) || !(packet->flags & AV_PKT_FLAG_KEY))
    return 0;
  if (!parameter_sets_of_packet(codec, 0, packet->data, (size_t)packet->size, &sets))
    return AVERROR(ENOMEM);
  if (parameter_sets_whole(codec, &sets)) {
    parameter_sets_free(&c->present);
    c->present = sets;
    return 0;
  }
  const size_t before = (size_t)packet->size, more = sets.size ? 0 : c->present.size;
  const size_t place = parameter_sets_place(codec, packet->data, before);
  parameter_sets_free(&sets);
  if (more == 0)
    return 0;
  const int error = av_grow_packet(packet, (int)more);
  if (error < 0)
    return error;
  memmove(packet->data + place + more, packet->data + place, before - place);
  memcpy(packet->data + place, c->present.data, more);
  return 0;
}

int conversion_send(conversion *c, AVPacket *packet) {
  int error = 0;
  c->ended = c->ended || !packet;
  if (c->encoder)
    error = audio_encoder_send(c->encoder, packet);
  else if (c->filter)
    return av_bsf_send_packet(c->filter, packet);
  else if (packet)
    av_packet_move_ref(c->held, packet);
  if (packet)
    av_packet_unref(packet);
  return error;
}

int conversion_receive(conversion *c, AVPacket *packet) {
  int error = 0;
  if (c->encoder)
    return audio_encoder_receive(c->encoder, packet);
  if (c->filter) {
    error = av_bsf_receive_packet(c->filter, packet);
    if (error >= 0 && c->from->codec_id == AV_CODEC_ID_AAC)
      av_packet_free_side_data(packet); /* the description, which the head has */
  } else if (c->held->data) {
    av_packet_move_ref(packet, c->held);
  } else {
    error = c->ended ? AVERROR_EOF : AVERROR(EAGAIN);
  }
  if (error >= 0)
    error = put_sets(c, packet);
  return error;
}
