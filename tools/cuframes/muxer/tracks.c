/* tracks.c - see tracks.h. */
#include "tracks.h"

#include <string.h>

#include <libavcodec/bsf.h>

#include "common/av_compat.h"
#include "common/av_format.h"
#include "parameter_sets.h"

/* Where AC-3 and E-AC-3 say which version of the syntax they are, and the last one of AC-3 (ETSI TS 102 366). */
#define DOLBY_BSID_AT 5
#define DOLBY_BSID_AC3_MOST 10

enum AVCodecID tracks_codec_id(const char *name) {
  const AVCodecDescriptor *descriptor = avcodec_descriptor_get_by_name(name);
  const AVCodec *decoder = descriptor ? NULL : avcodec_find_decoder_by_name(name);
  return descriptor ? descriptor->id : decoder ? decoder->id : AV_CODEC_ID_NONE;
}

/* ---- as described ---- */

static bool set_extradata(AVCodecParameters *parameters, const void *data, size_t size) {
  uint8_t *copy = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!copy)
    return false;
  memcpy(copy, data, size);
  av_freep(&parameters->extradata);
  parameters->extradata = copy;
  parameters->extradata_size = (int)size;
  return true;
}

static void fill_video(AVCodecParameters *to, const cuframes_codec_params *params) {
  to->width = (int)params->width;
  to->height = (int)params->height;
  to->color_space = av_words_av_code_point(params->color.matrix);
  to->color_primaries = av_words_av_code_point(params->color.primaries);
  to->color_trc = av_words_av_code_point(params->color.transfer);
  to->color_range = params->color.range;
  to->chroma_location = params->chroma_location;
  to->field_order = av_words_av_fields(params->field_order);
  if (params->sample_aspect_num && params->sample_aspect_den)
    to->sample_aspect_ratio = av_make_q((int)params->sample_aspect_num, (int)params->sample_aspect_den);
}

/* G.726 has 2 to 5 bits a sample, and only the bit rate tells. */
static int bits_of(enum AVCodecID id, const cuframes_codec_params *params) {
  const uint64_t samples = (uint64_t)params->sample_rate * params->channels;
  if (id != AV_CODEC_ID_ADPCM_G726 && id != AV_CODEC_ID_ADPCM_G726LE)
    return av_get_bits_per_sample(id);
  const uint64_t bits = samples ? (params->bit_rate + samples / 2) / samples : 0;
  return bits >= 2 && bits <= 5 ? (int)bits : 4;
}

static void fill_audio(AVCodecParameters *to, const cuframes_codec_params *params) {
  to->sample_rate = (int)params->sample_rate;
  to->frame_size = (int)params->frame_size;
  av_compat_set_channels(to, (int)params->channels);
  to->bits_per_coded_sample = bits_of(to->codec_id, params);
  to->block_align = av_get_bits_per_sample(to->codec_id) * (int)params->channels / 8;
}

AVCodecParameters *tracks_parameters(const cuframes_codec_params *params, const void *extradata, size_t size) {
  AVCodecParameters *to = avcodec_parameters_alloc();
  if (!to)
    return NULL;
  to->codec_id = tracks_codec_id(params->codec);
  to->codec_type = params->media_type == CUFRAMES_MEDIA_VIDEO ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
  to->profile = params->profile == UINT32_MAX ? AV_COMPAT_UNKNOWN : (int)params->profile;
  to->level = params->level == UINT32_MAX ? AV_COMPAT_UNKNOWN : (int)params->level;
  to->bit_rate = (int64_t)params->bit_rate;
  if (to->codec_type == AVMEDIA_TYPE_VIDEO)
    fill_video(to, params);
  else
    fill_audio(to, params);
  if (size && !set_extradata(to, extradata, size))
    avcodec_parameters_free(&to);
  return to;
}

/* ---- what packets tell ---- */

static bool has_display(const cuframes_codec_params *params) {
  return params->mastering_display.white_point[0] || params->mastering_display.max_luminance;
}

static bool has_light(const cuframes_codec_params *params) {
  return params->content_light.max_content || params->content_light.max_average;
}

/* Whether the description of such a track is in its extradata, or in its packets. */
static bool has_description(enum AVCodecID id) {
  switch (id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_VP9: /* in MP4, whose head tells the format of its samples */
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_VORBIS:
    case AV_CODEC_ID_FLAC:
    case AV_CODEC_ID_ALAC:
    case AV_CODEC_ID_THEORA: return true;
    default: return false;
  }
}

bool tracks_lack_light(const cuframes_codec_params *params) {
  return params->color.transfer == AVCOL_TRC_SMPTE2084 && !has_display(params) && !has_light(params);
}

bool tracks_make_head(enum AVCodecID codec) {
  return codec == AV_CODEC_ID_AC3 || codec == AV_CODEC_ID_EAC3;
}

bool tracks_known(const AVCodecParameters *p) {
  if (p->codec_type == AVMEDIA_TYPE_AUDIO && (p->sample_rate <= 0 || av_compat_channels(p) <= 0))
    return false;
  return p->extradata_size > 0 || !has_description(p->codec_id);
}

/* Asked for another codec, a filter complains on stderr. */
static bool filter_knows(const AVBitStreamFilter *filter, enum AVCodecID codec) {
  for (const enum AVCodecID *id = filter->codec_ids; id && *id != AV_CODEC_ID_NONE; id++)
    if (*id == codec)
      return true;
  return false;
}

/* Cameras often send their parameter sets in the pictures only; a container wants them in its head. */
static void learn_extradata(AVCodecParameters *parameters, const AVPacket *packet) {
  const AVBitStreamFilter *filter = av_bsf_get_by_name("extract_extradata");
  AVBSFContext *context = NULL;
  AVPacket *copy = av_packet_clone(packet);
  size_t size = 0;
  if (filter && filter_knows(filter, parameters->codec_id) && copy && av_bsf_alloc(filter, &context) >= 0 &&
      avcodec_parameters_copy(context->par_in, parameters) >= 0 && av_bsf_init(context) >= 0 &&
      av_bsf_send_packet(context, copy) >= 0 && av_bsf_receive_packet(context, copy) >= 0) {
    const uint8_t *found = av_packet_get_side_data(copy, AV_PKT_DATA_NEW_EXTRADATA, &size);
    if (found && size)
      (void)set_extradata(parameters, found, size); /* without it the container decides */
  }
  av_packet_free(&copy);
  av_bsf_free(&context);
}

/* The keyframe that a file begins with is described by its own sets, whatever was said before: a camera that was set
 * up anew sends them, and its description is older. Behind lengths they go with the extradata that says so. */
static void learn_sets(AVCodecParameters *parameters, const AVPacket *packet) {
  parameter_sets sets;
  const enum AVCodecID id = parameters->codec_id;
  if (parameter_sets_length_bytes(id, parameters->extradata, (size_t)parameters->extradata_size))
    return;
  if (!parameter_sets_of_packet(id, 0, packet->data, (size_t)packet->size, &sets))
    return;
  if (parameter_sets_whole(id, &sets))
    (void)set_extradata(parameters, sets.data, sets.size);
  parameter_sets_free(&sets);
}

static void note_light(cuframes_codec_params *params, const AVFrame *frame) {
  const AVFrameSideData *display = av_frame_get_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
  const AVFrameSideData *light = av_frame_get_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
  if (display && !has_display(params))
    params->mastering_display = av_words_mastering_display((const void *)display->data);
  if (light && !has_light(params))
    params->content_light = av_words_content_light((const void *)light->data);
}

/* What the decoder finds out with a packet: rate and channels, the format of samples. Whether it takes the packet. */
static bool learn_by_decoding(AVCodecParameters *p, cuframes_codec_params *params, const AVPacket *packet) {
  const AVCodec *codec = avcodec_find_decoder(p->codec_id);
  AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
  AVFrame *frame = av_frame_alloc();
  bool taken = false;
  if (decoder && frame && avcodec_parameters_to_context(decoder, p) >= 0) {
    decoder->thread_count = 1; /* a picture for a packet */
    taken = avcodec_open2(decoder, codec, NULL) >= 0 && avcodec_send_packet(decoder, packet) >= 0;
    if (taken && avcodec_send_packet(decoder, NULL) >= 0 && avcodec_receive_frame(decoder, frame) >= 0) {
      p->format = frame->format;
      note_light(params, frame);
      if (p->codec_type == AVMEDIA_TYPE_AUDIO) {
        p->sample_rate = frame->sample_rate;
        av_compat_set_channels(p, frame->ch_layout.nb_channels);
        if (p->frame_size == 0 && decoder->frame_size > 0)
          p->frame_size = decoder->frame_size;
      }
    }
  }
  av_frame_free(&frame);
  avcodec_free_context(&decoder);
  return taken;
}

/* AAC without headers and without a description, as some cameras send it by RTSP: rate and channels are known, and
 * cameras encode the low complexity profile. It holds if the decoder takes a packet so. */
static void guess_aac(AVCodecParameters *p, cuframes_codec_params *params, const AVPacket *packet) {
  static const int rates[] = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350
  };
  const int channels = av_compat_channels(p), object = p->profile >= 0 && p->profile < 4 ? p->profile + 1 : 2;
  for (unsigned i = 0; i < sizeof rates / sizeof *rates && channels > 0 && channels < 7; i++) {
    if (rates[i] != p->sample_rate)
      continue;
    const uint8_t config[2] = { (uint8_t)(object << 3 | i >> 1), (uint8_t)((i & 1) << 7 | channels << 3) };
    if (set_extradata(p, config, sizeof config) && !learn_by_decoding(p, params, packet)) {
      av_freep(&p->extradata);
      p->extradata_size = 0;
    }
    return;
  }
}

static bool has_adts(const AVPacket *packet) {
  return packet->size >= 7 && packet->data[0] == 0xff && (packet->data[1] & 0xf6) == 0xf0;
}

/* The head that RFC 7845 wants: channels, no samples to skip, the rate, no gain. */
static void make_opus_head(AVCodecParameters *p) {
  const int channels = av_compat_channels(p);
  const uint32_t rate = (uint32_t)p->sample_rate;
  const uint8_t head[19] = { 'O',
                             'p',
                             'u',
                             's',
                             'H',
                             'e',
                             'a',
                             'd',
                             1,
                             (uint8_t)channels,
                             0,
                             0,
                             (uint8_t)rate,
                             (uint8_t)(rate >> 8),
                             (uint8_t)(rate >> 16),
                             (uint8_t)(rate >> 24),
                             0,
                             0,
                             0 };
  if (channels == 1 || channels == 2)
    (void)set_extradata(p, head, sizeof head); /* without it the container decides */
}

/* Both kinds of Dolby Digital begin alike, and AVI, NUT and some transport streams have one name for both. The head of
 * an MP4 is made of what is in the packets: under the wrong name no player opens the file. */
static void tell_dolby_apart(AVCodecParameters *p, const AVPacket *packet) {
  if (packet->size > DOLBY_BSID_AT && packet->data[0] == 0x0b && packet->data[1] == 0x77)
    p->codec_id = packet->data[DOLBY_BSID_AT] >> 3 > DOLBY_BSID_AC3_MOST ? AV_CODEC_ID_EAC3 : AV_CODEC_ID_AC3;
}

/* Pictures that are known to be HDR often say in their messages alone for which display they were made. */
static bool may_have_light(const AVCodecParameters *p, const cuframes_codec_params *params) {
  return (p->color_trc == AVCOL_TRC_SMPTE2084 || p->color_trc == AVCOL_TRC_ARIB_STD_B67) &&
         !(has_display(params) && has_light(params));
}

bool tracks_learn(AVCodecParameters *p, cuframes_codec_params *params, const char *container, const AVPacket *packet) {
  const bool audio = p->codec_type == AVMEDIA_TYPE_AUDIO;
  if (packet && (p->codec_id == AV_CODEC_ID_AC3 || p->codec_id == AV_CODEC_ID_EAC3))
    tell_dolby_apart(p, packet);
  if (packet && p->extradata_size == 0 && !audio)
    learn_extradata(p, packet);
  if (packet && parameter_sets_known(p->codec_id))
    learn_sets(p, packet);
  if (packet && audio && (p->sample_rate <= 0 || av_compat_channels(p) <= 0))
    (void)learn_by_decoding(p, params, packet);
  if (packet && !audio && (may_have_light(p, params) || (p->codec_id == AV_CODEC_ID_VP9 && !strcmp(container, "mp4"))))
    (void)learn_by_decoding(p, params, packet);
  if (packet && p->codec_id == AV_CODEC_ID_AAC && p->extradata_size == 0 && !has_adts(packet))
    guess_aac(p, params, packet);
  if (p->codec_id == AV_CODEC_ID_OPUS && p->extradata_size == 0)
    make_opus_head(p);
  /* what is in ADTS headers becomes the head on the way, and sets that a keyframe lacks come in another, perhaps */
  return (audio ? p->sample_rate > 0 && av_compat_channels(p) > 0 : true) &&
         (tracks_known(p) || !audio || (packet && p->codec_id == AV_CODEC_ID_AAC && has_adts(packet)));
}

/* ---- streams of a file ---- */

static bool set_orientation(AVStream *stream, const cuframes_codec_params *params) {
  if (params->orientation <= CUFRAMES_ORIENTATION_TOP_LEFT)
    return true; /* what a container means that says nothing */
  int32_t *matrix = av_compat_new_matrix(stream);
  if (matrix)
    av_words_matrix(params->orientation, params->width, params->height, matrix);
  return matrix;
}

/* The structs are FFmpeg's to make: they may grow. */
static bool set_light(AVStream *stream, const cuframes_codec_params *params) {
  const cuframes_mastering_display *display = &params->mastering_display;
  const cuframes_content_light *light = &params->content_light;
  bool well = true;
  if (has_display(params)) {
    AVMasteringDisplayMetadata *made = av_mastering_display_metadata_alloc();
    uint8_t *to = made ? av_compat_new_side(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof *made) : NULL;
    if (to) {
      av_words_av_mastering_display(display, made);
      memcpy(to, made, sizeof *made);
    }
    av_free(made);
    well = to;
  }
  if (has_light(params)) {
    size_t size = 0;
    AVContentLightMetadata *made = av_content_light_metadata_alloc(&size);
    uint8_t *to = made ? av_compat_new_side(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, size) : NULL;
    if (to) {
      made->MaxCLL = light->max_content;
      made->MaxFALL = light->max_average;
      memcpy(to, made, size);
    }
    av_free(made);
    well = well && to;
  }
  return well;
}

AVStream *tracks_stream(AVFormatContext *output, const AVCodecParameters *parameters,
                        const cuframes_codec_params *params) {
  AVStream *stream = avformat_new_stream(output, NULL);
  if (!stream || avcodec_parameters_copy(stream->codecpar, parameters) < 0)
    return NULL;
  AVCodecParameters *to = stream->codecpar;
  to->codec_tag = 0;
  if (to->codec_type != AVMEDIA_TYPE_VIDEO)
    return stream;
  stream->sample_aspect_ratio = to->sample_aspect_ratio;
  if (params->frame_rate_num && params->frame_rate_den)
    stream->avg_frame_rate = av_make_q((int)params->frame_rate_num, (int)params->frame_rate_den);
  /* The tag that players of one large maker insist on; parameter sets are out of band here. */
  if (to->codec_id == AV_CODEC_ID_HEVC && to->extradata_size && strcmp(output->oformat->name, "mp4") == 0)
    to->codec_tag = MKTAG('h', 'v', 'c', '1');
  return set_orientation(stream, params) && set_light(stream, params) ? stream : NULL;
}
