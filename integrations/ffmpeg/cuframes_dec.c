/* cuframes_dec.c - input device `cuframes`: the frames of a stream, or its packets, for FFmpeg.
 *
 * Frames come as wrapped_avframe, where they lie: in the publisher's memory, mapped read-only, or on the GPU as CUDA
 * frames. Each is a lease until FFmpeg lets go of it, wherever it keeps it. A graph that keeps more than there are
 * leases gets copies from then on, so that nothing waits for itself. */
#include "config_components.h"

#include "libavcodec/codec_desc.h"
#include "libavcodec/codec_par.h"
#include "libavcodec/defs.h"
#include "libavcodec/packet.h"
#include "libavcodec/version.h"
#include "libavformat/avformat.h"
#if LIBAVFORMAT_VERSION_MAJOR >= 61
#include "libavformat/demux.h"
#endif
#include "libavformat/internal.h"
#include "libavutil/avstring.h"
#include "libavutil/channel_layout.h"
#include "libavutil/opt.h"

#include "cuframes_wrap.h"

/* FFInputFormat came with FFmpeg 7. */
#if LIBAVFORMAT_VERSION_MAJOR >= 61
#define DEVICE_TYPE FFInputFormat
#define DEVICE_PUBLIC(field) .p.field
#else
#define DEVICE_TYPE AVInputFormat
#define DEVICE_PUBLIC(field) .field
#endif

#define LOOK_AGAIN (CF_AV_SECOND / 50)  /* for a name that is not there yet */
#define LEASE_WAIT (CF_AV_SECOND / 500) /* for a lease that is on its way back */

typedef struct CuframesDevice {
  const AVClass *class;
  char *directory, *label, *device;
  int mode, leases, depth, reconnect, packets, start;
  int64_t wait, timeout; /* microseconds */
  AVRational framerate;

  cuframes_subscriber *subscriber;
  int64_t waiting_since;                 /* for the frame or packet that is next; 0: nobody waits */
  char on[CUFRAMES_DEVICE_NAME_MAX + 1]; /* where the frames are */
  Wrapper wrapper;
  cuframes_frame *first;              /* that was waited for in the header */
  int stream_of[CUFRAMES_TRACKS_MAX]; /* index of the AVStream for each track, -1: none */
  cuframes_codec_params params[CUFRAMES_TRACKS_MAX];
} CuframesDevice;

static bool interrupted(const AVFormatContext *s) {
  return s->interrupt_callback.callback && s->interrupt_callback.callback(s->interrupt_callback.opaque);
}

/* ---- joining ---- */

static int mode_of(const CuframesDevice *c) {
  return c->packets ? CUFRAMES_MODE_PACKETS : c->mode;
}

static cuframes_subscriber_options join_options(const AVFormatContext *s) {
  const CuframesDevice *c = s->priv_data;
  return (cuframes_subscriber_options){
    .struct_size = sizeof(cuframes_subscriber_options),
    .mode = (uint32_t)mode_of(c),
    .directory = c->directory,
    .label = c->label ? c->label : "ffmpeg",
    .leases = c->packets ? 0 : (uint32_t)c->leases,
    .depth = (uint32_t)c->depth,
    .reconnect = (uint32_t)c->reconnect,
    .device = c->device,
    .log = cf_av_log,
    .interrupt = s->interrupt_callback.callback,
    .interrupt_user = s->interrupt_callback.opaque,
  };
}

static const char *stream_name(const AVFormatContext *s) {
  const char *name = s->url;
  (void)av_strstart(name, "cuframes:", &name);
  return name;
}

/* As long as the option `wait` says, if there is no such stream yet. */
static int join(AVFormatContext *s, cuframes_subscriber_options *options, cuframes_subscriber **subscriber) {
  CuframesDevice *c = s->priv_data;
  const int64_t limit = cuframes_now() + c->wait * 1000;
  for (;;) {
    const int64_t left = limit - cuframes_now();
    options->connect_timeout_ns = FFMAX(left, 0);
    const int error = cuframes_subscriber_create(stream_name(s), options, subscriber);
    if (error == CUFRAMES_OK)
      return 0;
    const bool absent =
        error == CUFRAMES_ERR_NO_SUCH_STREAM || error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_PUBLISHER_GONE;
    if (error == CUFRAMES_ERR_INTERRUPTED || interrupted(s))
      return AVERROR_EXIT;
    if (!absent || left <= 0)
      return cf_av_fail(s, stream_name(s), error == CUFRAMES_ERR_TIMEOUT ? CUFRAMES_ERR_NO_SUCH_STREAM : error);
  }
}

/* ---- the GPU ---- */

#if CONFIG_CUDA
static int gpu_index(AVFormatContext *s, CudaFunctions *cu, const char *uuid) {
  int count = 0;
  if (cu->cuInit(0) != CUDA_SUCCESS || cu->cuDeviceGetCount(&count) != CUDA_SUCCESS)
    count = 0;
  for (int i = 0; i < count; i++) {
    CUdevice device;
    CUuuid id;
    char text[64] = "GPU-";
    if (!cu->cuDeviceGetUuid || cu->cuDeviceGet(&device, i) != CUDA_SUCCESS ||
        cu->cuDeviceGetUuid(&id, device) != CUDA_SUCCESS)
      continue;
    for (int byte = 0; byte < 16; byte++)
      av_strlcatf(text, sizeof text, "%s%02x", byte == 4 || byte == 6 || byte == 8 || byte == 10 ? "-" : "",
                  (unsigned)(uint8_t)id.bytes[byte]);
    if (!av_strcasecmp(text, uuid))
      return i;
  }
  av_log(s, AV_LOG_ERROR, "%s: its frames are on %s, which is none of the %d GPUs that this process sees\n",
         stream_name(s), uuid, count);
  return AVERROR(ENODEV);
}

/* FFmpeg's device for the GPU of the stream: its primary context, which everybody shares, or one of its own where
 * somebody has set that one up otherwise. */
static int open_gpu(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  CudaFunctions *cu = NULL;
  const char *wanted = c->device && !strncmp(c->device, "cuda:", 5) ? c->device + 5 : c->on + 5;
  char number[16];
  int index = 0;
  int result = cuda_load_functions(&cu, s);
  if (result < 0) {
    av_log(s, AV_LOG_ERROR, "%s: its frames are on %s, and there is no CUDA driver here\n", stream_name(s), c->on);
    return AVERROR(ENODEV);
  }
  if (av_strstart(wanted, "GPU-", NULL))
    index = gpu_index(s, cu, wanted);
  else
    index = (int)strtol(wanted, NULL, 10);
  cuda_free_functions(&cu);
  if (index < 0)
    return index;
  snprintf(number, sizeof number, "%d", index);
  result =
      av_hwdevice_ctx_create(&c->wrapper.device_ref, AV_HWDEVICE_TYPE_CUDA, number, NULL, AV_CUDA_USE_PRIMARY_CONTEXT);
  if (result < 0)
    result = av_hwdevice_ctx_create(&c->wrapper.device_ref, AV_HWDEVICE_TYPE_CUDA, number, NULL, 0);
  if (result < 0)
    av_log(s, AV_LOG_ERROR, "%s: no CUDA context on GPU %d\n", stream_name(s), index);
  return result;
}

/* The library uses the context that is current when a subscriber is made. */
static int join_on_gpu(AVFormatContext *s, cuframes_subscriber_options *options) {
  CuframesDevice *c = s->priv_data;
  CudaFunctions *cu;
  int result = cf_av_cuda_push(s, c->wrapper.device_ref, &cu);
  if (result < 0)
    return result;
  result = join(s, options, &c->subscriber);
  cf_av_cuda_pop(&cu);
  return result;
}
#else
static int open_gpu(AVFormatContext *s) {
  const CuframesDevice *c = s->priv_data;
  av_log(s, AV_LOG_ERROR, "%s: its frames are on %s, and this FFmpeg was built without CUDA\n", stream_name(s), c->on);
  return AVERROR(ENOSYS);
}
static int join_on_gpu(AVFormatContext *s, cuframes_subscriber_options *options) {
  (void)s;
  (void)options;
  return AVERROR(ENOSYS);
}
#endif

/* Asks where the frames are, as a monitor does, which nobody takes for a subscriber. A GPU's context must be there
 * before the subscriber is. */
static int find_device(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  const int64_t limit = cuframes_now() + c->wait * 1000;
  const cuframes_query_options options = {
    .struct_size = sizeof options,
    .directory = c->directory,
    .interrupt = s->interrupt_callback.callback,
    .interrupt_user = s->interrupt_callback.opaque,
  };
  for (;;) {
    cuframes_stream_info *info = NULL;
    const int error = cuframes_stream_query_with(stream_name(s), &options, &info);
    if (error == CUFRAMES_OK) {
      av_strlcpy(c->on, info->device, sizeof c->on);
      cuframes_stream_info_free(info);
      return 0;
    }
    if (error == CUFRAMES_ERR_INTERRUPTED || interrupted(s))
      return AVERROR_EXIT;
    const bool absent =
        error == CUFRAMES_ERR_NO_SUCH_STREAM || error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_PUBLISHER_GONE;
    if (!absent || cuframes_now() >= limit)
      return cf_av_fail(s, stream_name(s), error);
    wait_lease(&c->wrapper, FFMIN(limit - cuframes_now(), LOOK_AGAIN));
  }
}

static int join_frames(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  cuframes_subscriber_options options = join_options(s);
  int result = find_device(s);
  if (result < 0)
    return result;
  if (!av_strstart(c->on, "cuda", NULL) || (c->device && !strcmp(c->device, "host")))
    return join(s, &options, &c->subscriber);
  result = open_gpu(s);
  return result < 0 ? result : join_on_gpu(s, &options);
}

/* ---- waiting ---- */

static int join_again(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  cuframes_subscriber_options options = join_options(s);
  av_log(s, AV_LOG_WARNING, "%s: too slow, evicted; joining again\n", stream_name(s));
  cuframes_subscriber_destroy(c->subscriber);
  c->subscriber = NULL;
  return c->wrapper.device_ref ? join_on_gpu(s, &options) : join(s, &options, &c->subscriber);
}

/* What an error of next() means: 1 is to try again, which ends at `limit`. */
static int judge(AVFormatContext *s, int error, int64_t limit) {
  CuframesDevice *c = s->priv_data;
  switch (error) {
    case CUFRAMES_ERR_LEASE_LIMIT: wait_lease(&c->wrapper, LEASE_WAIT); break;
    case CUFRAMES_ERR_TIMEOUT:
    case CUFRAMES_ERR_LOST: break;
    case CUFRAMES_ERR_PACKET_OVERRUN:
      av_log(s, AV_LOG_WARNING, "%s: too slow, packets are lost; it goes on at a keyframe\n", stream_name(s));
      return 1;
    case CUFRAMES_ERR_PUBLISHER_GONE:
      av_log(s, AV_LOG_VERBOSE, "%s: the publisher has ended\n", stream_name(s));
      return AVERROR_EOF;
    case CUFRAMES_ERR_EVICTED:
      if (c->reconnect) {
        const int result = join_again(s);
        return result < 0 ? result : 1;
      }
      /* fall through */
    default: return cf_av_fail(s, stream_name(s), error);
  }
  if (interrupted(s))
    return AVERROR_EXIT;
  if (cuframes_now() < limit)
    return s->flags & AVFMT_FLAG_NONBLOCK ? AVERROR(EAGAIN) : 1;
  av_log(s, AV_LOG_ERROR, "%s: nothing has come for %.3f s\n", stream_name(s), (double)c->timeout / 1e6);
  return AVERROR(ETIMEDOUT);
}

/* When the option `timeout` has run out: it began when this wait did, which may take several calls. */
static int64_t limit_of(CuframesDevice *c) {
  if (!c->waiting_since)
    c->waiting_since = cuframes_now();
  return c->timeout > 0 ? c->waiting_since + c->timeout * 1000 : INT64_MAX;
}

/* Also where a caller asked not to be blocked, as the program ffmpeg always does: it would sleep for 10 ms then. */
static int64_t slice(int64_t limit) {
  return FFMAX(FFMIN(limit - cuframes_now(), CF_AV_SLICE), 0);
}

static int next_frame(AVFormatContext *s, cuframes_frame **frame) {
  CuframesDevice *c = s->priv_data;
  const int64_t limit = limit_of(c);
  int result = 1;
  while (result == 1) {
    const int error = cuframes_subscriber_next(c->subscriber, slice(limit), frame);
    if (error == CUFRAMES_OK) {
      c->waiting_since = 0;
      return 0;
    }
    result = judge(s, error, limit);
  }
  return result;
}

static void free_wrapped(void *opaque, uint8_t *data) {
  AVFrame *frame = (AVFrame *)(void *)data;
  (void)opaque;
  av_frame_free(&frame);
}

static int read_frame(AVFormatContext *s, AVPacket *pkt) {
  CuframesDevice *c = s->priv_data;
  cuframes_frame *frame = c->first;
  AVFrame *wrapped = NULL;
  int result = frame ? 0 : next_frame(s, &frame);
  c->first = NULL;
  if (result < 0 || (result = wrap(s, &c->wrapper, frame, &wrapped)) < 0)
    return result;
  pkt->buf = av_buffer_create((uint8_t *)wrapped, sizeof *wrapped, free_wrapped, NULL, AV_BUFFER_FLAG_READONLY);
  if (!pkt->buf) {
    av_frame_free(&wrapped);
    return AVERROR(ENOMEM);
  }
  pkt->data = (uint8_t *)wrapped;
  pkt->size = sizeof *wrapped;
  pkt->pts = pkt->dts = wrapped->pts;
  pkt->duration = cf_av_duration(wrapped);
  pkt->flags |= AV_PKT_FLAG_TRUSTED | AV_PKT_FLAG_KEY;
  return 0;
}

/* ---- headers ---- */

/* Side data of a stream moved to its codec parameters in FFmpeg 6.1. */
static void *new_stream_side(AVStream *st, enum AVPacketSideDataType type, size_t size) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
  AVPacketSideData *made =
      av_packet_side_data_new(&st->codecpar->coded_side_data, &st->codecpar->nb_coded_side_data, type, size, 0);
  return made ? made->data : NULL;
#else
  return av_stream_new_side_data(st, type, size);
#endif
}

static enum AVFieldOrder field_order(uint8_t order) {
  static const enum AVFieldOrder orders[] = { AV_FIELD_UNKNOWN, AV_FIELD_PROGRESSIVE, AV_FIELD_TT, AV_FIELD_BB };
  return order < FF_ARRAY_ELEMS(orders) ? orders[order] : AV_FIELD_UNKNOWN;
}

static int set_video(AVStream *st, const cuframes_codec_params *p) {
  AVCodecParameters *par = st->codecpar;
  par->codec_type = AVMEDIA_TYPE_VIDEO;
  par->width = (int)p->width;
  par->height = (int)p->height;
  par->color_space = cf_av_code_point_back(p->color.matrix);
  par->color_range = p->color.range;
  par->color_primaries = cf_av_code_point_back(p->color.primaries);
  par->color_trc = cf_av_code_point_back(p->color.transfer);
  par->chroma_location = p->chroma_location;
  par->field_order = field_order(p->field_order);
  if (p->sample_aspect_num && p->sample_aspect_den) {
    par->sample_aspect_ratio = av_make_q((int)p->sample_aspect_num, (int)p->sample_aspect_den);
    st->sample_aspect_ratio = par->sample_aspect_ratio;
  }
  if (p->orientation > CUFRAMES_ORIENTATION_TOP_LEFT) {
    int32_t *matrix = new_stream_side(st, AV_PKT_DATA_DISPLAYMATRIX, CF_AV_MATRIX_BYTES);
    if (!matrix)
      return AVERROR(ENOMEM);
    cf_av_matrix(p->orientation, p->width, p->height, matrix);
  }
  return 0;
}

/* Without both rates FFmpeg would take 20 frames, and so 20 leases, to find them out. */
static void set_rate(AVStream *st, AVRational rate) {
  st->avg_frame_rate = st->r_frame_rate = rate;
}

static int frames_header(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  AVStream *st = avformat_new_stream(s, NULL);
  int result = st ? make_leases(&c->wrapper) : AVERROR(ENOMEM);
  result = result < 0 ? result : join_frames(s);
  const int flags = s->flags;
  s->flags &= ~AVFMT_FLAG_NONBLOCK; /* the first frame says what there is */
  result = result < 0 ? result : next_frame(s, &c->first);
  s->flags = flags;
  if (result < 0)
    return result;
  const cuframes_format *f = cuframes_frame_format(c->first);
  const cuframes_codec_params params = { .width = f->width,
                                         .height = f->height,
                                         .color = f->color,
                                         .chroma_location = f->chroma_location,
                                         .field_order = f->field_order,
                                         .orientation = f->orientation,
                                         .sample_aspect_num = f->sample_aspect_num,
                                         .sample_aspect_den = f->sample_aspect_den };
  const int64_t duration = cuframes_frame_duration(c->first);
  AVRational rate = c->framerate;
  if (rate.num <= 0 && duration > 0)
    av_reduce(&rate.num, &rate.den, CF_AV_SECOND, duration, 1001000);
  if (rate.num <= 0)
    rate = (AVRational){ 25, 1 };
  set_rate(st, rate);
  result = set_video(st, &params);
  st->codecpar->codec_id = AV_CODEC_ID_WRAPPED_AVFRAME;
  st->codecpar->format = c->wrapper.device_ref ? AV_PIX_FMT_CUDA : cf_av_pixel_format(f->pixel_format);
  avpriv_set_pts_info(st, 64, 1, CF_AV_SECOND);
  s->max_ts_probe = 0; /* each packet has its time: nothing need be read to see that */
  return result;
}

static int set_extradata(AVCodecParameters *par, const void *data, size_t size) {
  uint8_t *copy = size ? av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE) : NULL;
  if (size && !copy)
    return AVERROR(ENOMEM);
  if (size)
    memcpy(copy, data, size);
  av_freep(&par->extradata);
  par->extradata = copy;
  par->extradata_size = (int)size;
  return 0;
}

static int add_track(AVFormatContext *s, uint32_t track, const cuframes_codec_params *p, const void *extradata,
                     size_t size) {
  CuframesDevice *c = s->priv_data;
  const AVCodecDescriptor *descriptor = avcodec_descriptor_get_by_name(p->codec);
  AVStream *st = avformat_new_stream(s, NULL);
  if (!st)
    return AVERROR(ENOMEM);
  AVCodecParameters *par = st->codecpar;
  int result = 0;
  st->id = (int)track;
  c->stream_of[track] = st->index;
  c->params[track] = *p;
  par->codec_id = descriptor ? descriptor->id : AV_CODEC_ID_NONE;
  par->codec_type = AVMEDIA_TYPE_DATA;
  par->profile = p->profile == UINT32_MAX ? -99 : (int)p->profile; /* -99: unknown, in every version */
  par->level = p->level == UINT32_MAX ? -99 : (int)p->level;
  par->bit_rate = (int64_t)p->bit_rate;
  if (p->media_type == CUFRAMES_MEDIA_VIDEO) {
    result = set_video(st, p);
    if (p->frame_rate_num && p->frame_rate_den)
      set_rate(st, av_make_q((int)p->frame_rate_num, (int)p->frame_rate_den));
  } else if (p->media_type == CUFRAMES_MEDIA_AUDIO) {
    par->codec_type = AVMEDIA_TYPE_AUDIO;
    par->sample_rate = (int)p->sample_rate;
    par->frame_size = (int)p->frame_size;
    av_channel_layout_default(&par->ch_layout, (int)p->channels);
  } else if (descriptor) {
    par->codec_type = descriptor->type;
  }
  /* The source's own time base: times come out as they went in. */
  if (p->time_base_num && p->time_base_den && p->time_base_num <= INT32_MAX && p->time_base_den <= INT32_MAX)
    avpriv_set_pts_info(st, 64, p->time_base_num, p->time_base_den);
  else
    avpriv_set_pts_info(st, 64, 1, CF_AV_SECOND);
  return result < 0 ? result : set_extradata(par, extradata, size);
}

/* Whether the source is live and has not a single track: its pictures are not encoded, and no packet will come. */
static bool has_no_tracks(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  cuframes_source_info source = { .struct_size = sizeof source };
  cuframes_stream_info *info = NULL;
  if (cuframes_subscriber_get_source(c->subscriber, &source) != CUFRAMES_OK || source.state != CUFRAMES_SOURCE_LIVE)
    return false;
  const bool none = cuframes_stream_query(c->directory, stream_name(s), 2 * CF_AV_SECOND, &info) == CUFRAMES_OK &&
                    info->track_count == 0 && info->source->state == CUFRAMES_SOURCE_LIVE;
  cuframes_stream_info_free(info);
  return none;
}

/* As many as the publisher has described; it waits for the first one. They are described one by one, so it looks twice
 * without a pause between. */
static int find_tracks(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  const int64_t limit = limit_of(c);
  uint32_t count = 0, before = 0, found = 0;
  int result = 1;
  while (result == 1) {
    const int error = cuframes_subscriber_track_count(c->subscriber, &count);
    if (error == CUFRAMES_OK && count > 0 && count == before)
      break;
    before = count;
    if (error == CUFRAMES_OK && count == 0 && has_no_tracks(s)) {
      av_log(s, AV_LOG_ERROR, "%s carries no packets: its pictures are not encoded, and come without -packets\n",
             stream_name(s));
      return AVERROR_STREAM_NOT_FOUND;
    }
    if (error == CUFRAMES_OK && count == 0)
      wait_lease(&c->wrapper, LOOK_AGAIN);
    result = judge(s, error == CUFRAMES_OK ? CUFRAMES_ERR_TIMEOUT : error, limit);
  }
  if (result < 0)
    return result;
  for (uint32_t track = 0; track < CUFRAMES_TRACKS_MAX && found < count; track++) {
    cuframes_codec_params params = { .struct_size = sizeof params };
    const void *extradata = NULL;
    size_t size = 0;
    const int error = cuframes_subscriber_get_codec_params(c->subscriber, track, &params, &extradata, &size);
    if (error == CUFRAMES_ERR_NO_CODEC_PARAMS)
      continue;
    if (error != CUFRAMES_OK)
      return cf_av_fail(s, stream_name(s), error);
    found++;
    if ((result = add_track(s, track, &params, extradata, size)) < 0)
      return result;
  }
  return 0;
}

static int packets_header(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  cuframes_subscriber_options options = join_options(s);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    c->stream_of[i] = -1;
  options.device = NULL;
  int result = make_leases(&c->wrapper);
  result = result < 0 ? result : join(s, &options, &c->subscriber);
  if (result < 0)
    return result;
  const int flags = s->flags;
  s->flags &= ~AVFMT_FLAG_NONBLOCK;
  result = find_tracks(s);
  s->flags = flags;
  c->waiting_since = 0;
  if (result < 0)
    return result;
  /* The last, so that who has the ring needs its publisher no more. */
  const int error = cuframes_subscriber_enable_packets(c->subscriber, (uint32_t)c->start);
  if (error != CUFRAMES_OK)
    return cf_av_fail(s, stream_name(s), error);
  return 0;
}

/* ---- packets ---- */

static bool same_extradata(const AVCodecParameters *par, const void *extradata, size_t size) {
  return par->extradata_size == (int)size && memcmp(par->extradata, extradata, size) == 0;
}

/* Before the packet that is encoded so. Another codec is another stream to FFmpeg: that cannot go on. */
static int new_params(AVFormatContext *s, uint32_t track, AVPacket *pkt) {
  CuframesDevice *c = s->priv_data;
  cuframes_codec_params now = { .struct_size = sizeof now };
  const cuframes_codec_params *then = &c->params[track];
  const void *extradata = NULL;
  size_t size = 0;
  if (cuframes_subscriber_get_codec_params(c->subscriber, track, &now, &extradata, &size) != CUFRAMES_OK)
    return 0; /* it has changed once more, or the publisher has gone: the next packet says so */
  if (strcmp(now.codec, then->codec) != 0 || now.sample_rate != then->sample_rate || now.channels != then->channels) {
    av_log(s, AV_LOG_ERROR, "%s: track %u was %s and is %s now; open it anew\n", stream_name(s), track, then->codec,
           now.codec);
    return AVERROR_INVALIDDATA;
  }
  c->params[track] = now;
  if (size > 0 && !same_extradata(s->streams[c->stream_of[track]]->codecpar, extradata, size)) {
    uint8_t *side = av_packet_new_side_data(pkt, AV_PKT_DATA_NEW_EXTRADATA, size);
    if (!side)
      return AVERROR(ENOMEM);
    memcpy(side, extradata, size);
  }
  return 0;
}

static int64_t in_base(int64_t ns, AVRational base) {
  return ns == CUFRAMES_NO_TIME ? AV_NOPTS_VALUE : av_rescale_q(ns, CF_AV_NS, base);
}

static int fill_packet(AVFormatContext *s, const cuframes_packet *packet, AVPacket *pkt) {
  CuframesDevice *c = s->priv_data;
  const uint32_t track = cuframes_packet_track(packet), flags = cuframes_packet_flags(packet);
  const AVStream *st = s->streams[c->stream_of[track]];
  int result = av_new_packet(pkt, (int)cuframes_packet_size(packet));
  if (result < 0)
    return result;
  memcpy(pkt->data, cuframes_packet_data(packet), cuframes_packet_size(packet));
  pkt->stream_index = st->index;
  pkt->pts = in_base(cuframes_packet_pts(packet), st->time_base);
  pkt->dts = in_base(cuframes_packet_dts(packet), st->time_base);
  pkt->duration = av_rescale_q(cuframes_packet_duration(packet), CF_AV_NS, st->time_base);
  if (flags & CUFRAMES_PACKET_KEY)
    pkt->flags |= AV_PKT_FLAG_KEY;
  if (flags & CUFRAMES_PACKET_CORRUPT)
    pkt->flags |= AV_PKT_FLAG_CORRUPT;
  if (flags & CUFRAMES_PACKET_HIDDEN)
    pkt->flags |= AV_PKT_FLAG_DISCARD;
  if (flags & CUFRAMES_PACKET_DISPOSABLE)
    pkt->flags |= AV_PKT_FLAG_DISPOSABLE;
  if (flags & CUFRAMES_PACKET_NEW_PARAMS)
    result = new_params(s, track, pkt);
  if (result < 0)
    av_packet_unref(pkt);
  return result;
}

static int read_packet_track(AVFormatContext *s, AVPacket *pkt) {
  CuframesDevice *c = s->priv_data;
  const int64_t limit = limit_of(c);
  int result = 1;
  while (result == 1) {
    cuframes_packet *packet = NULL;
    const int error = cuframes_subscriber_next_packet(c->subscriber, slice(limit), &packet);
    if (error != CUFRAMES_OK) {
      result = judge(s, error, limit);
      continue;
    }
    c->waiting_since = 0;
    const uint32_t track = cuframes_packet_track(packet);
    if (track < CUFRAMES_TRACKS_MAX && c->stream_of[track] >= 0) /* else it was described later */
      result = fill_packet(s, packet, pkt);
    cuframes_packet_release(packet);
  }
  return result;
}

/* ---- the device ---- */

static int read_packet(AVFormatContext *s, AVPacket *pkt) {
  const CuframesDevice *c = s->priv_data;
  return c->packets ? read_packet_track(s, pkt) : read_frame(s, pkt);
}

static int read_close(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  if (c->subscriber && cuframes_subscriber_get_stats(c->subscriber, &stats) == CUFRAMES_OK)
    av_log(s, AV_LOG_VERBOSE,
           "%s: %" PRIu64 " frames, %" PRIu64 " skipped, %" PRIu64 " packets, %" PRIu64 " lost, %" PRIu64
           " reconnects\n",
           stream_name(s), stats.frames, stats.skipped, stats.packets, stats.packets_lost, stats.reconnects);
  cuframes_frame_release(c->first);
  cuframes_subscriber_destroy(c->subscriber);
  c->first = NULL;
  c->subscriber = NULL;
  av_buffer_unref(&c->wrapper.frames_ref);
  av_buffer_unref(&c->wrapper.device_ref);
  av_buffer_unref(&c->wrapper.leases);
  return 0;
}

static int read_header(AVFormatContext *s) {
  CuframesDevice *c = s->priv_data;
  c->wrapper.name = stream_name(s);
  c->wrapper.max_leases = c->leases;
  const int result = c->packets ? packets_header(s) : frames_header(s);
  if (result < 0)
    read_close(s);
  return result;
}

#define OFFSET(field) offsetof(CuframesDevice, field)
#define FLAGS AV_OPT_FLAG_DECODING_PARAM
/* clang-format off */
static const AVOption options[] = {
  { "dir", "runtime directory; default: as for all of cuframes", OFFSET(directory), AV_OPT_TYPE_STRING,
    { .str = NULL }, 0, 0, FLAGS },
  { "label", "shown by `cuframes info`", OFFSET(label), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
  { "device", "host: refuse a stream on a GPU; cuda:N: map it for that GPU; default: where the stream is",
    OFFSET(device), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
  { "mode", "which frames", OFFSET(mode), AV_OPT_TYPE_INT, { .i64 = CUFRAMES_MODE_NEWEST }, CUFRAMES_MODE_NEWEST,
    CUFRAMES_MODE_ORDERED, FLAGS, .unit = "mode" },
  { "newest", "always the newest one", 0, AV_OPT_TYPE_CONST, { .i64 = CUFRAMES_MODE_NEWEST }, 0, 0, FLAGS,
    .unit = "mode" },
  { "ordered", "every one", 0, AV_OPT_TYPE_CONST, { .i64 = CUFRAMES_MODE_ORDERED }, 0, 0, FLAGS, .unit = "mode" },
  { "leases", "frames that FFmpeg may hold at the same time", OFFSET(leases), AV_OPT_TYPE_INT, { .i64 = 16 }, 2, 64,
    FLAGS },
  { "depth", "ordered: frames that may wait", OFFSET(depth), AV_OPT_TYPE_INT, { .i64 = 4 }, 1, 256, FLAGS },
  { "reconnect", "when the publisher goes, wait for the name to come back", OFFSET(reconnect), AV_OPT_TYPE_BOOL,
    { .i64 = 0 }, 0, 1, FLAGS },
  { "packets", "the packets of the stream instead of its frames", OFFSET(packets), AV_OPT_TYPE_BOOL, { .i64 = 0 }, 0,
    1, FLAGS },
  { "start", "where packets begin", OFFSET(start), AV_OPT_TYPE_INT, { .i64 = CUFRAMES_PACKETS_FROM_KEYFRAME },
    CUFRAMES_PACKETS_FROM_KEYFRAME, CUFRAMES_PACKETS_FROM_OLDEST, FLAGS, .unit = "start" },
  { "keyframe", "with the last keyframe that there is", 0, AV_OPT_TYPE_CONST,
    { .i64 = CUFRAMES_PACKETS_FROM_KEYFRAME }, 0, 0, FLAGS, .unit = "start" },
  { "next", "with the next keyframe to come", 0, AV_OPT_TYPE_CONST, { .i64 = CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME }, 0,
    0, FLAGS, .unit = "start" },
  { "oldest", "with the oldest packet that there is", 0, AV_OPT_TYPE_CONST, { .i64 = CUFRAMES_PACKETS_FROM_OLDEST }, 0,
    0, FLAGS, .unit = "start" },
  { "wait", "how long to wait for the name to appear", OFFSET(wait), AV_OPT_TYPE_DURATION, { .i64 = 0 }, 0,
    INT64_MAX / 2000, FLAGS },
  { "timeout", "how long to wait for a frame or packet, the first one too; 0: for ever", OFFSET(timeout),
    AV_OPT_TYPE_DURATION, { .i64 = 0 }, 0, INT64_MAX / 2000, FLAGS },
  { "framerate", "nominal rate, where frames do not say how long they last; default: 25", OFFSET(framerate),
    AV_OPT_TYPE_RATIONAL, { .dbl = 0 }, 0, INT_MAX, FLAGS },
  { NULL },
};
/* clang-format on */

static const AVClass cuframes_class = {
  .class_name = "cuframes indev",
  .item_name = av_default_item_name,
  .option = options,
  .version = LIBAVUTIL_VERSION_INT,
  .category = AV_CLASS_CATEGORY_DEVICE_VIDEO_INPUT,
};

const DEVICE_TYPE ff_cuframes_demuxer;
const DEVICE_TYPE ff_cuframes_demuxer = {
  DEVICE_PUBLIC(name) = "cuframes",
  DEVICE_PUBLIC(long_name) = NULL_IF_CONFIG_SMALL("Frames and packets that another process shares"),
  DEVICE_PUBLIC(flags) = AVFMT_NOFILE | AVFMT_TS_DISCONT | AVFMT_NOBINSEARCH | AVFMT_NOGENSEARCH | AVFMT_NO_BYTE_SEEK,
  DEVICE_PUBLIC(priv_class) = &cuframes_class,
  .priv_data_size = sizeof(CuframesDevice),
  .read_header = read_header,
  .read_packet = read_packet,
  .read_close = read_close,
};
