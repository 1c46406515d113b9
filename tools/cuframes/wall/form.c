/* form.c - see form.h. The record of a video track is what libavformat would write into the head of an MP4. */
#include "form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavformat/avformat.h>

#include "codec_name.h"
#include "common/av_compat.h"
#include "muxer/conversion.h"
#include "muxer/parameter_sets.h"
#include "muxer/tracks.h"

struct form {
  cuframes_codec_params said;   /* by the publisher */
  cuframes_codec_params params; /* likewise, and what was learnt since */
  void *extradata;
  size_t extradata_size;
  AVCodecParameters *from;
  int length_bytes;    /* H.264, H.265: of the publisher's packets; 0: start codes */
  parameter_sets sets; /* likewise: those that the record has */
  conversion *sound;
  bool described, outdated; /* described: the record and the name are made; outdated: nobody has asked for it yet */
  char codec[64];
  uint8_t *record;
  size_t record_size;
};

void form_free(form *f) {
  if (!f)
    return;
  avcodec_parameters_free(&f->from);
  parameter_sets_free(&f->sets);
  conversion_free(f->sound);
  free(f->record);
  free(f->extradata);
  free(f);
}

/* ---- the record ---- */

/* What is within the box of that name, wherever it is: sizes are checked, and a name within other bytes is unlikely
 * enough in a head of a few hundred. */
static const uint8_t *find_box(const uint8_t *head, size_t size, const char *name, size_t *length) {
  for (size_t i = 4; i + 4 <= size; i++) {
    if (memcmp(head + i, name, 4) != 0)
      continue;
    const size_t whole =
        (size_t)head[i - 4] << 24 | (size_t)head[i - 3] << 16 | (size_t)head[i - 2] << 8 | (size_t)head[i - 1];
    if (whole < 8 || whole - 4 > size - i)
      continue;
    *length = whole - 8;
    return head + i + 4;
  }
  return NULL;
}

static const char *box_of(enum AVCodecID codec) {
  switch (codec) {
    case AV_CODEC_ID_H264: return "avcC";
    case AV_CODEC_ID_HEVC: return "hvcC";
    case AV_CODEC_ID_AV1: return "av1C";
    case AV_CODEC_ID_VP9: return "vpcC";
    default: return NULL;
  }
}

/* The head of an MP4 with this track. The caller's, by av_free(); NULL: it cannot be written. */
static uint8_t *write_head(const form *f, const AVCodecParameters *from, size_t *size) {
  AVFormatContext *output = NULL;
  AVDictionary *options = NULL;
  uint8_t *head = NULL;
  *size = 0;
  if (avformat_alloc_output_context2(&output, NULL, "mp4", NULL) < 0)
    return NULL;
  AVStream *stream = tracks_stream(output, from, &f->params);
  if (stream && avio_open_dyn_buf(&output->pb) >= 0) {
    av_dict_set(&options, "movflags", "+empty_moov+default_base_moof", 0);
    const bool written = avformat_write_header(output, &options) >= 0;
    const int length = avio_close_dyn_buf(output->pb, &head);
    output->pb = NULL;
    if (written && length > 0)
      *size = (size_t)length;
    else
      av_freep(&head);
  }
  av_dict_free(&options);
  avformat_free_context(output);
  return head;
}

/* Takes over a record. False: out of memory. */
static bool set_record(form *f, const uint8_t *record, size_t size) {
  uint8_t *copy = size ? malloc(size) : NULL;
  if (size && !copy)
    return false;
  if (size)
    memcpy(copy, record, size);
  free(f->record);
  f->record = copy;
  f->record_size = size;
  return true;
}

static bool set_sets(AVCodecParameters *p, const parameter_sets *sets) {
  uint8_t *copy = av_mallocz(sets->size + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!copy)
    return false;
  memcpy(copy, sets->data, sets->size);
  av_freep(&p->extradata);
  p->extradata = copy;
  p->extradata_size = (int)sets->size;
  return true;
}

/* What describes a video track, by the sets in hand or by what the publisher and the packet say. */
static bool describe_video(form *f, const sample *s) {
  AVCodecParameters *p = avcodec_parameters_alloc();
  size_t size = 0, length = 0;
  bool made = p && avcodec_parameters_copy(p, f->from) >= 0;
  if (made && f->sets.size)
    made = set_sets(p, &f->sets);
  AVPacket packet = { .data = (uint8_t *)(uintptr_t)s->data, .size = (int)s->size, .flags = AV_PKT_FLAG_KEY };
  if (made && !f->sets.size)
    (void)tracks_learn(p, &f->params, "mp4", &packet);
  if (made && box_of(p->codec_id)) {
    uint8_t *head = write_head(f, p, &size);
    const uint8_t *record = head ? find_box(head, size, box_of(p->codec_id), &length) : NULL;
    made = record && set_record(f, record, length);
    av_free(head);
  }
  made = made && codec_name(f->codec, sizeof f->codec, p->codec_id, f->record, f->record_size);
  avcodec_parameters_free(&p);
  return made;
}

/* ---- H.264 and H.265 ---- */

/* A keyframe may bring other sets than those that the record has. False: out of memory. */
static bool look_at_sets(form *f, const sample *s) {
  parameter_sets now = { 0 };
  const enum AVCodecID codec = f->from->codec_id;
  if (!(s->flags & SAMPLE_KEY))
    return true;
  if (!parameter_sets_of_packet(codec, f->length_bytes, s->data, s->size, &now))
    return false;
  const bool same = now.size == f->sets.size && (now.size == 0 || memcmp(now.data, f->sets.data, now.size) == 0);
  bool well = true;
  if (now.size && !same && parameter_sets_whole(codec, &now)) {
    parameter_sets_free(&f->sets);
    f->sets = now;
    f->described = false;
    return true;
  }
  if (now.size && !same) { /* some of them, beside those that hold */
    const size_t before = f->sets.size;
    well = parameter_sets_add(&f->sets, &now);
    f->described = f->described && f->sets.size == before;
  }
  parameter_sets_free(&now);
  return well;
}

static bool to_lengths(form *f, sample *s) {
  const size_t size = parameter_sets_to_lengths(f->from->codec_id, f->length_bytes, s->data, s->size, &f->sets, NULL);
  uint8_t *bytes = malloc(size ? size : 1);
  if (!bytes)
    return false;
  (void)parameter_sets_to_lengths(f->from->codec_id, f->length_bytes, s->data, s->size, &f->sets, bytes);
  free(s->own);
  s->own = bytes;
  s->data = bytes;
  s->size = size;
  return true;
}

static enum form_result take_units(form *f, sample *s) {
  const bool was = f->described;
  if (!look_at_sets(f, s))
    return FORM_NO_MEMORY;
  if (!f->described && (s->flags & SAMPLE_KEY) && f->sets.size)
    f->described = describe_video(f, s);
  if (!f->described)
    return FORM_NONE;
  const bool is_new = !was || f->outdated;
  f->outdated = false;
  if (!to_lengths(f, s))
    return FORM_NO_MEMORY;
  return s->size == 0 ? FORM_NONE : is_new ? FORM_NEW : FORM_SAME;
}

/* ---- sound ---- */

static bool describe_sound(form *f, const AVPacket *packet) {
  char problem[256];
  AVCodecParameters *to = avcodec_parameters_alloc();
  bool made = to && tracks_learn(f->from, &f->params, "mp4", packet);
  conversion_free(f->sound);
  f->sound = made ? conversion_create("mp4", f->from, false, packet, to, problem, sizeof problem) : NULL;
  made = f->sound && set_record(f, to->extradata, (size_t)to->extradata_size) &&
         codec_name(f->codec, sizeof f->codec, to->codec_id, f->record, f->record_size);
  if (made) {
    f->params.sample_rate = (uint32_t)to->sample_rate ? (uint32_t)to->sample_rate : f->params.sample_rate;
    f->params.channels = av_compat_channels(to) > 0 ? (uint32_t)av_compat_channels(to) : f->params.channels;
  }
  avcodec_parameters_free(&to);
  return made;
}

/* Through the conversion that a file would have. */
static bool convert_sound(form *f, sample *s, AVPacket *packet) {
  if (conversion_send(f->sound, packet) < 0 || conversion_receive(f->sound, packet) < 0)
    return false;
  uint8_t *bytes = malloc((size_t)packet->size + 1);
  if (!bytes)
    return false;
  memcpy(bytes, packet->data, (size_t)packet->size);
  s->own = bytes;
  s->data = bytes;
  s->size = (size_t)packet->size;
  return true;
}

static enum form_result take_sound(form *f, sample *s) {
  AVPacket *packet = av_packet_alloc();
  enum form_result result = FORM_NO_MEMORY;
  if (packet && av_new_packet(packet, (int)s->size) >= 0) {
    memcpy(packet->data, s->data, s->size);
    packet->flags = AV_PKT_FLAG_KEY;
    const bool was = f->described;
    if (f->described && !conversion_goes_on(f->sound, packet))
      f->described = false;
    if (!f->described)
      f->described = describe_sound(f, packet);
    result = !f->described ? FORM_NONE : was && !f->outdated ? FORM_SAME : FORM_NEW;
    if (f->described && conversion_name(f->sound) && !convert_sound(f, s, packet))
      result = FORM_NONE;
    if (result == FORM_NEW)
      f->outdated = false;
  }
  av_packet_free(&packet);
  return result;
}

/* ---- all ---- */

bool form_is_jpeg(const char *name) {
  return strcmp(name, "mjpeg") == 0;
}

form *form_create(const cuframes_codec_params *params, const void *extradata, size_t size) {
  form *f = calloc(1, sizeof *f);
  if (!f)
    return NULL;
  f->said = f->params = *params;
  f->from = tracks_parameters(params, extradata, size);
  f->extradata = size ? malloc(size) : NULL;
  if (!f->from || (size && !f->extradata)) {
    form_free(f);
    return NULL;
  }
  if (size)
    memcpy(f->extradata, extradata, size);
  f->extradata_size = size;
  f->length_bytes = parameter_sets_length_bytes(f->from->codec_id, extradata, size);
  if (parameter_sets_known(f->from->codec_id) &&
      !parameter_sets_of_extradata(f->from->codec_id, extradata, size, &f->sets)) {
    form_free(f);
    return NULL;
  }
  return f;
}

bool form_is_for(const form *f, const cuframes_codec_params *params, const void *extradata, size_t size) {
  return memcmp(&f->said, params, sizeof *params) == 0 && f->extradata_size == size &&
         (size == 0 || memcmp(f->extradata, extradata, size) == 0);
}

static enum form_result take_video(form *f, sample *s) {
  const bool was = f->described;
  if (!f->described && s->flags & SAMPLE_KEY)
    f->described = describe_video(f, s);
  return !f->described ? FORM_NONE : was ? FORM_SAME : FORM_NEW;
}

enum form_result form_take(form *f, sample *s) {
  switch (f->params.media_type) {
    case CUFRAMES_MEDIA_VIDEO:
      if (form_is_jpeg(f->params.codec))
        return FORM_SAME;
      return parameter_sets_known(f->from->codec_id) ? take_units(f, s) : take_video(f, s);
    case CUFRAMES_MEDIA_AUDIO: return take_sound(f, s);
    default: return FORM_SAME;
  }
}

track_config *form_config(const form *f, uint32_t track) {
  track_config *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  *c = (track_config){ .uses = 1, .track = track, .params = f->params };
  snprintf(c->codec, sizeof c->codec, "%s", f->described ? f->codec : "");
  c->extradata = f->extradata_size ? malloc(f->extradata_size) : NULL;
  c->description = f->described && f->record_size ? malloc(f->record_size) : NULL;
  if ((f->extradata_size && !c->extradata) || (f->described && f->record_size && !c->description)) {
    track_config_drop(c);
    return NULL;
  }
  if (c->extradata)
    memcpy(c->extradata, f->extradata, f->extradata_size);
  c->extradata_size = f->extradata_size;
  if (c->description)
    memcpy(c->description, f->record, f->record_size);
  c->description_size = c->description ? f->record_size : 0;
  return c;
}

const char *form_codec(const form *f) {
  return f->described ? f->codec : "";
}

const cuframes_codec_params *form_params(const form *f) {
  return &f->params;
}

const char *form_codec_likely(const char *name) {
  static const char *const likely[][2] = {
    { "h264", "avc1.640028" }, { "hevc", "hvc1.1.6.L120.B0" }, { "av1", "av01.0.08M.08" }, { "vp9", "vp09.00.40.08" },
    { "vp8", "vp8" },          { "aac", "mp4a.40.2" },         { "opus", "opus" },         { "mp3", "mp3" },
    { "pcm_mulaw", "ulaw" },   { "pcm_alaw", "alaw" },
  };
  for (size_t i = 0; i < sizeof likely / sizeof *likely; i++)
    if (strcmp(likely[i][0], name) == 0)
      return likely[i][1];
  return NULL;
}
