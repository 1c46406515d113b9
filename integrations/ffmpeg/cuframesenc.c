/* cuframesenc.c - muxer `cuframes`: frames and packets of an FFmpeg program as a stream of that name.
 *
 * A video of wrapped_avframe or rawvideo becomes the pictures, copied once, on the GPU where they are CUDA frames; what
 * else is mapped goes into the packet ring as it is. The stream is there from the header on, so that a name in use is
 * an error before anything is decoded; with CUDA frames from the first of them, which says on which GPU it is. Packets
 * that come earlier wait for that. */
#include "libavcodec/codec_desc.h"
#include "libavcodec/codec_par.h"
#include "libavcodec/packet.h"
#include "libavcodec/version.h"
#include "libavutil/cuframes_publish.h"

#include "avformat.h"
#include "internal.h"
#include "mux.h"

/* FFOutputFormat came with FFmpeg 6. */
#if LIBAVFORMAT_VERSION_MAJOR >= 60
#define MUXER_TYPE FFOutputFormat
#define MUXER_PUBLIC(field) .p.field
#else
#define MUXER_TYPE AVOutputFormat
#define MUXER_PUBLIC(field) .field
#endif

#define EARLY_MAX 1024 /* packets that wait for the first CUDA frame */

typedef struct CuframesMuxContext {
  const AVClass *class;
  cf_av_publish_options options;
  int packet_slots;
  int64_t packet_bytes;
  cf_av_publisher publisher;
  int video;                      /* stream of pictures, -1: none */
  int track[CUFRAMES_TRACKS_MAX]; /* stream of each track */
  int tracks;
  cuframes_codec_params params[CUFRAMES_TRACKS_MAX];
  AVPacket **early;
  int early_count;
  uint64_t oversized;
} CuframesMuxContext;

/* ---- tracks ---- */

static uint32_t positive(int64_t value) {
  return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static uint8_t field_order(enum AVFieldOrder order) {
  switch (order) {
    case AV_FIELD_PROGRESSIVE: return CUFRAMES_FIELDS_PROGRESSIVE;
    case AV_FIELD_TT:
    case AV_FIELD_BT: return CUFRAMES_FIELDS_TOP_FIRST;
    case AV_FIELD_BB:
    case AV_FIELD_TB: return CUFRAMES_FIELDS_BOTTOM_FIRST;
    default: return CUFRAMES_FIELDS_NOT_SAID;
  }
}

/* Side data of a stream moved to its codec parameters in FFmpeg 6.1. */
static const void *stream_side(const AVStream *st, enum AVPacketSideDataType type, size_t least) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
  const AVPacketSideData *found =
      av_packet_side_data_get(st->codecpar->coded_side_data, st->codecpar->nb_coded_side_data, type);
  return found && found->size >= least ? found->data : NULL;
#else
  size_t size = 0;
  const uint8_t *found = av_stream_get_side_data(st, type, &size);
  return found && size >= least ? found : NULL;
#endif
}

static void describe_video(const AVStream *st, cuframes_codec_params *params) {
  const AVCodecParameters *par = st->codecpar;
  const void *matrix = stream_side(st, AV_PKT_DATA_DISPLAYMATRIX, CF_AV_MATRIX_BYTES);
  const void *display = stream_side(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof(AVMasteringDisplayMetadata));
  const void *light = stream_side(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof(AVContentLightMetadata));
  const AVRational aspect = st->sample_aspect_ratio.num ? st->sample_aspect_ratio : par->sample_aspect_ratio;
  params->width = positive(par->width);
  params->height = positive(par->height);
  if (st->avg_frame_rate.num > 0 && st->avg_frame_rate.den > 0) {
    params->frame_rate_num = positive(st->avg_frame_rate.num);
    params->frame_rate_den = positive(st->avg_frame_rate.den);
  }
  params->color = cf_av_color(par->color_space, par->color_range, par->color_primaries, par->color_trc);
  params->chroma_location = cf_av_chroma(par->chroma_location);
  params->field_order = field_order(par->field_order);
  params->orientation = matrix ? cf_av_orientation(matrix) : CUFRAMES_ORIENTATION_NOT_SAID;
  if (aspect.num > 0 && aspect.den > 0) {
    params->sample_aspect_num = positive(aspect.num);
    params->sample_aspect_den = positive(aspect.den);
  }
  if (display)
    params->mastering_display = cf_av_display(display);
  if (light)
    params->content_light = cf_av_light(light);
}

/* False: it cannot be a track, which was said. */
static bool describe(AVFormatContext *s, const AVStream *st, cuframes_codec_params *params) {
  const AVCodecParameters *par = st->codecpar;
  const AVCodecDescriptor *descriptor = avcodec_descriptor_get(par->codec_id);
  *params = (cuframes_codec_params){ .struct_size = sizeof *params };
  switch (par->codec_type) {
    case AVMEDIA_TYPE_VIDEO: params->media_type = CUFRAMES_MEDIA_VIDEO; break;
    case AVMEDIA_TYPE_AUDIO: params->media_type = CUFRAMES_MEDIA_AUDIO; break;
    case AVMEDIA_TYPE_SUBTITLE:
    case AVMEDIA_TYPE_DATA: params->media_type = CUFRAMES_MEDIA_DATA; break;
    default: av_log(s, AV_LOG_ERROR, "Stream %d is none of video, audio and data\n", st->index); return false;
  }
  if (!descriptor || strlen(descriptor->name) > CUFRAMES_CODEC_NAME_MAX) {
    av_log(s, AV_LOG_ERROR, "Stream %d has a codec without a name\n", st->index);
    return false;
  }
  av_strlcpy(params->codec, descriptor->name, sizeof params->codec);
  params->profile = par->profile < 0 ? UINT32_MAX : (uint32_t)par->profile; /* negative: unknown */
  params->level = par->level < 0 ? UINT32_MAX : (uint32_t)par->level;
  params->time_base_num = positive(st->time_base.num);
  params->time_base_den = positive(st->time_base.den);
  params->bit_rate = par->bit_rate > 0 ? (uint64_t)par->bit_rate : 0;
  if (par->codec_type == AVMEDIA_TYPE_VIDEO)
    describe_video(st, params);
  if (par->codec_type == AVMEDIA_TYPE_AUDIO) {
    params->sample_rate = positive(par->sample_rate);
    params->channels = positive(par->ch_layout.nb_channels);
    params->frame_size = positive(par->frame_size);
    if (!params->bit_rate) /* of G.726 nothing else tells how it is coded */
      params->bit_rate = (uint64_t)params->sample_rate * params->channels * positive(par->bits_per_coded_sample);
  }
  return true;
}

static bool is_pictures(const AVStream *st) {
  return st->codecpar->codec_id == AV_CODEC_ID_WRAPPED_AVFRAME || st->codecpar->codec_id == AV_CODEC_ID_RAWVIDEO;
}

static int sort_streams(AVFormatContext *s) {
  CuframesMuxContext *c = s->priv_data;
  c->video = -1;
  for (unsigned i = 0; i < s->nb_streams; i++) {
    AVStream *st = s->streams[i];
    if (is_pictures(st)) {
      if (c->video >= 0) {
        av_log(s, AV_LOG_ERROR, "A stream carries the pictures of one video; streams %d and %u are two\n", c->video, i);
        return AVERROR(EINVAL);
      }
      c->video = (int)i;
    } else {
      if (c->tracks == CUFRAMES_TRACKS_MAX) {
        av_log(s, AV_LOG_ERROR, "A stream carries %d tracks of packets at most\n", CUFRAMES_TRACKS_MAX);
        return AVERROR(EINVAL);
      }
      if (!describe(s, st, &c->params[c->tracks]))
        return AVERROR(EINVAL);
      c->track[c->tracks++] = (int)i;
    }
    avpriv_set_pts_info(st, 64, 1, CF_AV_SECOND);
  }
  return 0;
}

/* ---- the publisher ---- */

static int open_publisher(AVFormatContext *s, const cuframes_format *format, AVBufferRef *device_ref) {
  CuframesMuxContext *c = s->priv_data;
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring,
                                              .slots = (uint32_t)c->packet_slots,
                                              .data_bytes = (uint64_t)c->packet_bytes };
  const char *name = s->url;
  (void)av_strstart(name, "cuframes:", &name);
  c->options.interrupt = s->interrupt_callback.callback;
  c->options.interrupt_user = s->interrupt_callback.opaque;
  int result = cf_av_publish_open(s, &c->publisher, name, &c->options, format, device_ref, c->tracks ? &ring : NULL);
  for (int i = 0; i < c->tracks && result >= 0; i++) {
    const AVCodecParameters *par = s->streams[c->track[i]]->codecpar;
    int error = cuframes_publisher_set_codec_params(c->publisher.publisher, (uint32_t)i, &c->params[i]);
    if (error == CUFRAMES_OK && par->extradata_size > 0 && par->extradata_size <= CUFRAMES_EXTRADATA_MAX)
      error = cuframes_publisher_set_codec_extradata(c->publisher.publisher, (uint32_t)i, par->extradata,
                                                     (size_t)par->extradata_size);
    if (error != CUFRAMES_OK)
      result = cf_av_fail(s, "describing a track", error);
  }
  if (result >= 0)
    cf_av_publish_live(&c->publisher);
  return result;
}

static int init(AVFormatContext *s) {
  CuframesMuxContext *c = s->priv_data;
  cuframes_format format;
  int result = sort_streams(s);
  if (result < 0)
    return result;
  if (c->video < 0)
    return open_publisher(s, NULL, NULL);
  const AVCodecParameters *par = s->streams[c->video]->codecpar;
  if (par->format == AV_PIX_FMT_CUDA)
    return 0; /* its frames say on which GPU they are */
  if (!cf_av_picture(s, par->format, NULL, par->width, par->height, &format))
    return AVERROR(EINVAL);
  return open_publisher(s, &format, NULL);
}

static int write_header(AVFormatContext *s) {
  (void)s;
  return 0; /* init() has done it */
}

/* ---- packets ---- */

static int write_packet_now(AVFormatContext *s, AVPacket *pkt, uint32_t track) {
  CuframesMuxContext *c = s->priv_data;
  size_t size = 0;
  const uint8_t *extradata = av_packet_get_side_data(pkt, AV_PKT_DATA_NEW_EXTRADATA, &size);
  int error = CUFRAMES_OK;
  if (extradata && size > 0 && size <= CUFRAMES_EXTRADATA_MAX)
    error = cuframes_publisher_set_codec_extradata(c->publisher.publisher, track, extradata, size);
  if (error != CUFRAMES_OK)
    return cf_av_fail(s, "describing a track", error);
  if (pkt->size <= 0)
    return 0;
  const cuframes_packet_info info = {
    .struct_size = sizeof info,
    .track = track,
    .data = pkt->data,
    .size = (size_t)pkt->size,
    .pts = cf_av_ns(pkt->pts, CF_AV_NS),
    .dts = cf_av_ns(pkt->dts, CF_AV_NS),
    .duration = pkt->duration > 0 ? pkt->duration : 0,
    .flags = (pkt->flags & AV_PKT_FLAG_KEY ? CUFRAMES_PACKET_KEY : 0u) |
             (pkt->flags & AV_PKT_FLAG_CORRUPT ? CUFRAMES_PACKET_CORRUPT : 0u) |
             (pkt->flags & AV_PKT_FLAG_DISCARD ? CUFRAMES_PACKET_HIDDEN : 0u) |
             (pkt->flags & AV_PKT_FLAG_DISPOSABLE ? CUFRAMES_PACKET_DISPOSABLE : 0u),
  };
  error = cuframes_publisher_publish_packet(c->publisher.publisher, &info);
  if (error == CUFRAMES_ERR_PACKET_OVERSIZED) {
    if (c->oversized++ == 0)
      av_log(s, AV_LOG_WARNING, "left out: %s (see the option packet_bytes)\n", cuframes_last_error());
    return 0;
  }
  return error == CUFRAMES_OK ? 0 : cf_av_fail(s, "publishing a packet", error);
}

static int track_of(const CuframesMuxContext *c, int stream) {
  for (int i = 0; i < c->tracks; i++)
    if (c->track[i] == stream)
      return i;
  return -1;
}

/* Until the first CUDA frame has come. */
static int keep_packet(AVFormatContext *s, const AVPacket *pkt) {
  CuframesMuxContext *c = s->priv_data;
  if (c->early_count == EARLY_MAX) {
    av_log(s, AV_LOG_ERROR, "%d packets have come, and no frame that says on which GPU the stream is\n", EARLY_MAX);
    return AVERROR(ENOBUFS);
  }
  if (!c->early && !(c->early = av_calloc(EARLY_MAX, sizeof *c->early)))
    return AVERROR(ENOMEM);
  AVPacket *kept = av_packet_clone(pkt);
  if (!kept)
    return AVERROR(ENOMEM);
  c->early[c->early_count++] = kept;
  return 0;
}

static int write_early(AVFormatContext *s) {
  CuframesMuxContext *c = s->priv_data;
  int result = 0;
  for (int i = 0; i < c->early_count; i++) {
    if (result >= 0)
      result = write_packet_now(s, c->early[i], (uint32_t)track_of(c, c->early[i]->stream_index));
    av_packet_free(&c->early[i]);
  }
  c->early_count = 0;
  return result;
}

/* ---- frames ---- */

static int publish_frame(AVFormatContext *s, const AVFrame *frame, const AVPacket *pkt) {
  CuframesMuxContext *c = s->priv_data;
  AVBufferRef *device_ref = frame->hw_frames_ctx ? cf_av_frames(frame->hw_frames_ctx)->device_ref : NULL;
  const AVRational rate = s->streams[c->video]->avg_frame_rate;
  int64_t duration = pkt->duration > 0 ? pkt->duration : 0;
  if (!duration && rate.num > 0 && rate.den > 0)
    duration = av_rescale(CF_AV_SECOND, rate.den, rate.num);
  int result = 0;
  if (c->publisher.publisher && !cf_av_same_device(&c->publisher, device_ref)) {
    if (c->options.change == CF_AV_CHANGE_FAIL) {
      av_log(s, AV_LOG_ERROR, "frames come from another device, and change=fail\n");
      return AVERROR(EINVAL);
    }
    cf_av_publish_close(&c->publisher);
  }
  if (!c->publisher.publisher) {
    cuframes_format format;
    if (!cf_av_picture(s, frame->format, frame->hw_frames_ctx, frame->width, frame->height, &format))
      return AVERROR(EINVAL);
    result = open_publisher(s, &format, device_ref);
    result = result < 0 ? result : write_early(s);
  }
  return result < 0 ? result
                    : cf_av_publish(s, &c->publisher, &c->options, frame, cf_av_ns(pkt->pts, CF_AV_NS), duration);
}

/* A packet of raw video, as a frame. */
static int publish_raw(AVFormatContext *s, const AVPacket *pkt) {
  CuframesMuxContext *c = s->priv_data;
  const AVStream *st = s->streams[c->video];
  const AVCodecParameters *par = st->codecpar;
  AVFrame *frame = av_frame_alloc();
  if (!frame)
    return AVERROR(ENOMEM);
  int result = av_image_get_buffer_size(par->format, par->width, par->height, 1);
  if (result >= 0 && result > pkt->size) {
    av_log(s, AV_LOG_ERROR, "a picture of %d bytes, of which there should be %d\n", pkt->size, result);
    result = AVERROR_INVALIDDATA;
  }
  if (result >= 0)
    result = av_image_fill_arrays(frame->data, frame->linesize, pkt->data, par->format, par->width, par->height, 1);
  if (result >= 0) {
    frame->format = par->format;
    frame->width = par->width;
    frame->height = par->height;
    frame->colorspace = par->color_space;
    frame->color_range = par->color_range;
    frame->color_primaries = par->color_primaries;
    frame->color_trc = par->color_trc;
    frame->chroma_location = par->chroma_location;
    frame->sample_aspect_ratio = st->sample_aspect_ratio.num ? st->sample_aspect_ratio : par->sample_aspect_ratio;
    cf_av_set_fields(frame, field_order(par->field_order));
    cf_av_set_key(frame, (pkt->flags & AV_PKT_FLAG_KEY) != 0);
    result = publish_frame(s, frame, pkt);
  }
  av_frame_free(&frame);
  return result;
}

static int write_packet(AVFormatContext *s, AVPacket *pkt) {
  CuframesMuxContext *c = s->priv_data;
  if (pkt->stream_index != c->video) {
    int result = 0;
    if (!c->publisher.publisher)
      return keep_packet(s, pkt);
    if (c->video < 0)
      result = cf_av_publish_wait(s, &c->publisher, &c->options);
    return result < 0 ? result : write_packet_now(s, pkt, (uint32_t)track_of(c, pkt->stream_index));
  }
  if (s->streams[c->video]->codecpar->codec_id == AV_CODEC_ID_RAWVIDEO)
    return publish_raw(s, pkt);
  if (pkt->size < (int)sizeof(AVFrame))
    return AVERROR_INVALIDDATA;
  return publish_frame(s, (const AVFrame *)(const void *)pkt->data, pkt);
}

static int write_trailer(AVFormatContext *s) {
  CuframesMuxContext *c = s->priv_data;
  cf_av_publish_drain(&c->publisher, &c->options);
  return 0;
}

static void deinit(AVFormatContext *s) {
  CuframesMuxContext *c = s->priv_data;
  cf_av_publish_report(s, &c->publisher);
  for (int i = 0; i < c->early_count; i++)
    av_packet_free(&c->early[i]);
  c->early_count = 0;
  av_freep(&c->early);
  cf_av_publish_close(&c->publisher);
}

#define FLAGS AV_OPT_FLAG_ENCODING_PARAM
/* clang-format off */
static const AVOption options[] = {
  CF_AV_PUBLISH_OPTIONS(CuframesMuxContext, FLAGS),
  { "packet_slots", "packets kept for those who come late", offsetof(CuframesMuxContext, packet_slots),
    AV_OPT_TYPE_INT, { .i64 = 2048 }, 1, 1 << 20, FLAGS },
  { "packet_bytes", "bytes of packets kept; the largest packet is a quarter of it",
    offsetof(CuframesMuxContext, packet_bytes), AV_OPT_TYPE_INT64, { .i64 = 16 << 20 }, 4096, INT64_C(1) << 40, FLAGS },
  { NULL },
};
/* clang-format on */

static const AVClass cuframes_muxer_class = {
  .class_name = "cuframes muxer",
  .item_name = av_default_item_name,
  .option = options,
  .version = LIBAVUTIL_VERSION_INT,
};

const MUXER_TYPE ff_cuframes_muxer;
const MUXER_TYPE ff_cuframes_muxer = {
  MUXER_PUBLIC(name) = "cuframes",
  MUXER_PUBLIC(long_name) = NULL_IF_CONFIG_SMALL("Frames and packets shared with other processes"),
  MUXER_PUBLIC(video_codec) = AV_CODEC_ID_WRAPPED_AVFRAME,
  MUXER_PUBLIC(audio_codec) = AV_CODEC_ID_NONE, /* sound is mapped by whoever wants it */
  MUXER_PUBLIC(subtitle_codec) = AV_CODEC_ID_NONE,
  MUXER_PUBLIC(flags) = AVFMT_NOFILE | AVFMT_VARIABLE_FPS | AVFMT_TS_NEGATIVE | AVFMT_TS_NONSTRICT | AVFMT_GLOBALHEADER,
  MUXER_PUBLIC(priv_class) = &cuframes_muxer_class,
  .priv_data_size = sizeof(CuframesMuxContext),
  .init = init,
  .write_header = write_header,
  .write_packet = write_packet,
  .write_trailer = write_trailer,
  .interleave_packet = ff_interleave_packet_passthrough, /* a frame waits for nobody */
  .deinit = deinit,
};
