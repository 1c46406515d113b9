/* media_decoder.c - the decoder of an input: NVDEC where the pictures go to a GPU that can, else software.
 *
 * FFmpeg asks for a pixel format when it knows what the video is like (and again when that changes): choose_format()
 * takes the GPU's, if it is offered. If the GPU then refuses, FFmpeg asks again without it. A decoder for NVDEC has no
 * frame threads, which would do nothing there but hold pictures back; so an input that NVDEC refuses from its beginning
 * gets another decoder. One that fails later gets it, too, and goes on at the next keyframe.
 *
 * A decoder stays over the end of its input: for the next round of --loop, and for a camera that comes back as it was.
 * On NVDEC a new one takes some 60 ms, one behind the other for all streams of the process. Between two inputs it is
 * drained and then flushed, which in libavcodec is cheap for all codecs but H.264: there it throws away all that was
 * made for the video, the GPU's decoder, too. But H.264 can do without. An IDR picture begins anew in mid-stream: what
 * comes before it is given out first, and nothing behind it is predicted from that. So before such a picture an H.264
 * decoder just goes on. The times of packets are those of the stream before they reach the decoder, so that pictures of
 * two rounds can be in it together. */
#include <string.h>
#include <unistd.h>

#include <libavutil/hwcontext.h>
#include <libavutil/pixdesc.h>

#include "common/cli.h"
#include "common/cli_avlog.h"
#include "common/json.h"
#include "media.h"

#define THREADS_MAX 8

static const AVRational nanoseconds = { 1, 1000000000 };

enum AVPixelFormat media_nvdec_format(enum AVPixelFormat software) {
  switch (software) {
    case AV_PIX_FMT_YUV420P:
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_NV12: return AV_PIX_FMT_NV12;
    case AV_PIX_FMT_YUV420P10LE:
    case AV_PIX_FMT_P010LE: return AV_PIX_FMT_P010LE;
    default: return AV_PIX_FMT_NONE;
  }
}

bool media_wants_nvdec(const media *m) {
  return m->decoder != NULL && m->decoder->hw_device_ctx != NULL && !m->nvdec.refused;
}

/* --- what the log says --- */

/* In words, each time it changes: software does it, and why. */
static void say_software(media *m) {
  if (m->nvdec.said != MEDIA_SAID_SOFTWARE && publish_job_on_gpu(m->job)) {
    m->nvdec.said = MEDIA_SAID_SOFTWARE;
    publish_job_note(m->job, "decoding in software: %s; pictures are uploaded to the GPU", m->nvdec.why);
    publish_job_event(m->job, "decoder",
                      json_pack("{s:s,s:o}", "decoder", "software", "reason", cli_json_text(m->nvdec.why)));
  }
}

static void say_picture(media *m) {
  if (m->frame->format != AV_PIX_FMT_CUDA) {
    say_software(m);
  } else if (m->nvdec.said != MEDIA_SAID_NVDEC) {
    m->nvdec.said = MEDIA_SAID_NVDEC;
    publish_job_note(m->job, "decoding on NVDEC (CUDA device %d)", m->nvdec.ordinal);
    publish_job_event(m->job, "decoder", json_pack("{s:s}", "decoder", "nvdec"));
  }
}

static void count_decode_error(media *m, int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  uint64_t swallowed;
  publish_job_count(m->job, &m->job->counts.decode_errors);
  if (publish_limiter_may(&m->job->decode_limiter, &swallowed)) {
    av_strerror(error, text, sizeof text);
    if (swallowed > 0)
      publish_job_warn(m->job, "decoding: %s (and %llu errors before)", text, (unsigned long long)swallowed);
    else
      publish_job_warn(m->job, "decoding: %s", text);
  }
}

/* --- which decoder --- */

/* A decoder of this kind that can use NVDEC as a part of its own; the *_cuvid ones are another thing. */
static bool has_nvdec(const AVCodec *codec) {
  const AVCodecHWConfig *config;
  if (codec->capabilities & (AV_CODEC_CAP_HARDWARE | AV_CODEC_CAP_EXPERIMENTAL))
    return false;
  for (int i = 0; (config = avcodec_get_hw_config(codec, i)) != NULL; i++)
    if (config->pix_fmt == AV_PIX_FMT_CUDA && (config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX))
      return true;
  return false;
}

static const AVCodec *nvdec_codec(enum AVCodecID id) {
  const AVCodec *codec = avcodec_find_decoder(id);
  void *at = NULL;
  if (codec != NULL && has_nvdec(codec))
    return codec;
  while ((codec = av_codec_iterate(&at)) != NULL)
    if (codec->id == id && av_codec_is_decoder(codec) && has_nvdec(codec))
      return codec;
  return NULL;
}

/* FFmpeg's device and decoder for NVDEC, or NULL with m->nvdec.why. */
static const AVCodec *choose_nvdec(media *m, enum AVCodecID id, AVBufferRef **device) {
  if (!m->nvdec.off && m->job->gpu == NULL)
    snprintf(m->nvdec.why, sizeof m->nvdec.why, "%s", m->job->gpu_why);
  if (m->nvdec.off || m->job->gpu == NULL)
    return NULL;
  const AVCodec *codec = nvdec_codec(id);
  if (codec == NULL) {
    snprintf(m->nvdec.why, sizeof m->nvdec.why, "this FFmpeg has no NVDEC for %s", avcodec_get_name(id));
    return NULL;
  }
  *device = publish_gpu_decoder(&m->job->run->gpus, m->job->gpu, m->nvdec.why, sizeof m->nvdec.why);
  m->nvdec.ordinal = gpu_ordinal(m->job->gpu->gpu);
  if (*device == NULL)
    return NULL;
  snprintf(m->nvdec.why, sizeof m->nvdec.why, "FFmpeg's decoder did not ask for NVDEC");
  return codec;
}

/* FFmpeg's question. The last format of the list is software's. */
static enum AVPixelFormat choose_format(AVCodecContext *decoder, const enum AVPixelFormat *list) {
  media *m = decoder->opaque;
  enum AVPixelFormat software = AV_PIX_FMT_NONE;
  uint32_t wanted = m->job->options->pixel_format;
  bool offered = false;
  for (const enum AVPixelFormat *at = list; *at != AV_PIX_FMT_NONE; at++) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(*at);
    offered = offered || *at == AV_PIX_FMT_CUDA;
    if (d != NULL && !(d->flags & AV_PIX_FMT_FLAG_HWACCEL))
      software = *at;
  }
  enum AVPixelFormat gives = media_nvdec_format(software);
  const char *name = software == AV_PIX_FMT_NONE ? "unknown" : av_get_pix_fmt_name(software);
  if (gives == AV_PIX_FMT_NONE) {
    snprintf(m->nvdec.why, sizeof m->nvdec.why, "NVDEC has no pictures of format %s", name);
  } else if (wanted != CUFRAMES_PIXEL_NONE && wanted != media_our_format(gives)) {
    snprintf(m->nvdec.why, sizeof m->nvdec.why, "--format %s is not NVDEC's %s", cuframes_pixel_format_name(wanted),
             av_get_pix_fmt_name(gives));
  } else if (offered) {
    m->nvdec.refused = false;
    cli_avlog_mark();
    return AV_PIX_FMT_CUDA;
  } else {
    const char *said = cli_avlog_first();
    snprintf(m->nvdec.why, sizeof m->nvdec.why, "NVDEC does not take this video (%s, %dx%d)%s%s",
             avcodec_get_name(decoder->codec_id), decoder->width, decoder->height, *said ? ": " : "", said);
  }
  m->nvdec.refused = true;
  return software;
}

/* Gives an AVERROR, with m->reason. */
static int open_with(media *m, const AVCodec *codec, AVBufferRef *device) {
  const AVStream *stream = m->in->streams[m->video];
  m->decoder = avcodec_alloc_context3(codec);
  int error = m->decoder ? avcodec_parameters_to_context(m->decoder, stream->codecpar) : AVERROR(ENOMEM);
  if (error < 0) {
    av_buffer_unref(&device);
    return media_explain(m, error, "cannot decode");
  }
  long processors = sysconf(_SC_NPROCESSORS_ONLN) / (long)publish_run_streams(m->job->run);
  m->decoder->opaque = m;
  m->decoder->pkt_timebase = nanoseconds;
  m->decoder->thread_count = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (int)processors;
  if (m->live || device != NULL)
    m->decoder->thread_type = FF_THREAD_SLICE; /* frame threads hold back a picture each */
  if (device != NULL) {
    m->decoder->hw_device_ctx = device;
    m->decoder->get_format = choose_format;
  }
  media_slots_decoder(m, codec, m->decoder);
  AVDictionary *extra = NULL;
  av_dict_copy(&extra, m->extra, 0);
  error = avcodec_open2(m->decoder, codec, &extra);
  if (error < 0)
    error = media_explain(m, error, "cannot decode");
  else
    media_extra_check(m, extra);
  av_dict_free(&extra);
  return error;
}

/* Whether a decoder for one is as good for the other: all that avcodec_parameters_to_context() hands on. */
static bool same_parameters(const AVCodecParameters *a, const AVCodecParameters *b) {
  return a->codec_id == b->codec_id && a->codec_tag == b->codec_tag && a->profile == b->profile &&
         a->level == b->level && a->format == b->format && a->width == b->width && a->height == b->height &&
         a->field_order == b->field_order && a->color_range == b->color_range &&
         a->color_primaries == b->color_primaries && a->color_trc == b->color_trc && a->color_space == b->color_space &&
         a->chroma_location == b->chroma_location && a->video_delay == b->video_delay &&
         a->bits_per_coded_sample == b->bits_per_coded_sample && a->bits_per_raw_sample == b->bits_per_raw_sample &&
         av_cmp_q(a->sample_aspect_ratio, b->sample_aspect_ratio) == 0 && a->extradata_size == b->extradata_size &&
         (a->extradata_size == 0 || memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0);
}

void media_decoder_close(media *m) {
  avcodec_free_context(&m->decoder);
  avcodec_parameters_free(&m->decoder_for);
  m->decoder_drained = m->decoder_break = m->decoder_changed = false;
}

int media_decoder_open(media *m) {
  AVBufferRef *device = NULL;
  if (m->video < 0)
    return 0;
  const AVCodecParameters *wanted = m->in->streams[m->video]->codecpar;
  if (m->decoder != NULL && !m->job->options->fresh_decoder && !m->nvdec.failed && !m->decoder_changed &&
      same_parameters(wanted, m->decoder_for)) {
    m->decoder_break = true;
    return 0;
  }
  media_decoder_close(m);
  const AVCodec *codec = choose_nvdec(m, wanted->codec_id, &device);
  if (codec == NULL)
    codec = avcodec_find_decoder(wanted->codec_id);
  if (codec == NULL) {
    snprintf(m->reason, sizeof m->reason, "this FFmpeg has no decoder for %s", avcodec_get_name(wanted->codec_id));
    return AVERROR_DECODER_NOT_FOUND;
  }
  m->nvdec.refused = m->nvdec.failed = m->nvdec.has_pictures = false;
  m->decoder_for = avcodec_parameters_alloc();
  if (m->decoder_for == NULL || avcodec_parameters_copy(m->decoder_for, wanted) < 0) {
    av_buffer_unref(&device);
    return media_explain(m, AVERROR(ENOMEM), "cannot decode");
  }
  publish_job_count(m->job, &m->job->counts.decoders);
  return open_with(m, codec, device);
}

/* --- decoding --- */

/* It is the GPU or its driver that fails, not the film that is damaged. */
static bool is_nvdec_failure(const media *m, int error) {
  return m->decoder->hw_device_ctx != NULL &&
         (error == AVERROR_EXTERNAL || error == AVERROR_UNKNOWN || error == AVERROR_BUG || error == AVERROR(ENOMEM) ||
          error == AVERROR(ENOSYS) || error == AVERROR(EIO));
}

static void note_error(media *m, int error) {
  if (is_nvdec_failure(m, error)) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    const char *said = cli_avlog_first();
    m->nvdec.failed = true;
    av_strerror(error, text, sizeof text);
    if (!m->nvdec.refused)
      snprintf(m->nvdec.why, sizeof m->nvdec.why, "NVDEC failed: %s", *said ? said : text);
  } else {
    count_decode_error(m, error);
  }
}

/* --- pictures that are not to be shown: where a film was cut that was not encoded anew --- */

static void note_hidden(media *m, const AVPacket *packet) {
  if (packet != NULL && packet->flags & AV_PKT_FLAG_DISCARD)
    m->hidden[m->hidden_count++ % MEDIA_HIDDEN_MAX] = packet->pts;
}

/* FFmpeg's own decoders keep them, but those that it has from others (dav1d, cuvid) forget the mark. */
static bool is_hidden(const media *m, const AVFrame *frame) {
  const unsigned known = m->hidden_count < MEDIA_HIDDEN_MAX ? m->hidden_count : MEDIA_HIDDEN_MAX;
  bool hidden = (frame->flags & AV_FRAME_FLAG_DISCARD) != 0;
  for (unsigned i = 0; i < known; i++)
    hidden = hidden || (frame->pts != AV_NOPTS_VALUE && frame->pts == m->hidden[i]);
  return hidden;
}

/* Publishes all that the decoder has ready. */
static int receive_frames(media *m) {
  int code = CLI_OK;
  while (code == CLI_OK && !m->nvdec.failed && !publish_job_stopping(m->job)) {
    int error = avcodec_receive_frame(m->decoder, m->frame);
    if (error == AVERROR(EAGAIN) || error == AVERROR_EOF)
      break;
    if (error < 0) {
      note_error(m, error);
      continue;
    }
    m->nvdec.has_pictures = true;
    say_picture(m);
    code = is_hidden(m, m->frame) ? CLI_OK : media_publish_frame(m);
    av_frame_unref(m->frame);
  }
  return code;
}

static int decode(media *m, const AVPacket *packet) {
  cli_avlog_mark(); /* what it says from here on is about this packet */
  m->decoder_drained = packet == NULL;
  note_hidden(m, packet);
  int error = avcodec_send_packet(m->decoder, packet);
  if (error == AVERROR(EAGAIN)) {
    int code = receive_frames(m);
    if (code != CLI_OK || m->nvdec.failed)
      return code;
    error = avcodec_send_packet(m->decoder, packet);
  }
  if (error < 0 && error != AVERROR_EOF && error != AVERROR(EAGAIN))
    note_error(m, error);
  /* Refused from the beginning: software shall have its threads, and a decoder that can do without a GPU. */
  if (m->nvdec.refused && !m->nvdec.has_pictures && m->decoder->hw_device_ctx != NULL)
    m->nvdec.failed = true;
  return receive_frames(m);
}

/* From NVDEC to software, for the rest of this input. */
static int give_up_nvdec(media *m, const AVPacket *packet) {
  bool key = packet != NULL && (packet->flags & AV_PKT_FLAG_KEY) != 0;
  m->nvdec.wait_for_key = m->nvdec.has_pictures && !key;
  m->nvdec.off = true;
  say_software(m);
  media_decoder_close(m);
  if (media_decoder_open(m) < 0)
    return publish_job_fail(m->job, "%s: %s", m->job->input, m->reason);
  return packet == NULL || m->nvdec.wait_for_key ? CLI_OK : decode(m, packet);
}

/* --- from one input, or round, to the next --- */

bool media_decoder_goes_on(const media *m) {
  return m->decoder != NULL && m->decoder->codec_id == AV_CODEC_ID_H264 && !m->job->options->fresh_decoder &&
         !m->nvdec.failed && !m->decoder_changed;
}

bool media_decoder_is_empty(const media *m) {
  return m->decoder == NULL || (m->decoder->has_b_frames == 0 && !(m->decoder->active_thread_type & FF_THREAD_FRAME));
}

/* Whether an H.264 packet is an IDR picture: by its first slice, in either way that such packets are packed. */
static bool is_idr(const AVCodecContext *decoder, const AVPacket *packet) {
  const bool lengths = decoder->extradata_size > 6 && decoder->extradata[0] == 1;
  const size_t size = (size_t)packet->size, prefix = lengths ? (decoder->extradata[4] & 3u) + 1u : 3;
  for (size_t at = 0; at + prefix < size;) {
    size_t length = 0;
    for (size_t i = 0; i < prefix; i++)
      length = length << 8 | packet->data[at + i];
    const bool begins = lengths || length == 1; /* 00 00 01 */
    const unsigned type = packet->data[at + prefix] & 31u;
    if (begins && type >= 1 && type <= 5)
      return type == 5;
    at += lengths ? prefix + length : 1;
  }
  return false;
}

/* The first packet of another round or input is about to come. */
static int begin_again(media *m, const AVPacket *packet) {
  m->decoder_break = false;
  int code = CLI_OK;
  if (!m->decoder_drained && media_decoder_goes_on(m) && is_idr(m->decoder, packet))
    return CLI_OK;
  if (!m->decoder_drained)
    code = decode(m, NULL);
  avcodec_flush_buffers(m->decoder);
  m->decoder_drained = false;
  return code;
}

int media_decode(media *m, const AVPacket *packet) {
  if (m->nvdec.wait_for_key && !(packet->flags & AV_PKT_FLAG_KEY))
    return CLI_OK;
  m->nvdec.wait_for_key = false;
  int code = m->decoder_break ? begin_again(m, packet) : CLI_OK;
  if (code == CLI_OK && !m->nvdec.failed)
    code = decode(m, packet);
  return code == CLI_OK && m->nvdec.failed ? give_up_nvdec(m, packet) : code;
}

int media_decoder_drain(media *m) {
  m->nvdec.wait_for_key = false;
  int code = m->decoder_drained || m->decoder == NULL ? CLI_OK : decode(m, NULL);
  return code == CLI_OK && m->nvdec.failed ? give_up_nvdec(m, NULL) : code;
}
