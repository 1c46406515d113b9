/* media_frame.c - decoded pictures into slots: the one copy, or the one conversion, unless they are in one already. */
#include <stdio.h>
#include <string.h>

#include <libavutil/hwcontext.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include "common/av_compat.h"
#include "common/av_format.h"
#include "common/cli.h"
#include "media.h"

/* So many progressive pictures behind each other, and a film that had fields has them no more. */
#define PROGRESSIVE_RUN 25
/* So many keyframes without an orientation, and the pictures say none any more. */
#define KEYS_WITHOUT 2

uint32_t media_our_format(enum AVPixelFormat format) {
  return av_format_ours(format);
}

/* Our format for a decoder's: the same if there is one, else the one that loses least; on a GPU what its programs take.
 * NONE: cannot be converted. */
static uint32_t nearest_format(enum AVPixelFormat format, bool on_gpu) {
  if (av_format_ours(format) != CUFRAMES_PIXEL_NONE)
    return av_format_ours(format);
  const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
  if (d == NULL || sws_isSupportedInput(format) <= 0)
    return CUFRAMES_PIXEL_NONE;
  if (av_format_is_rgb(format) || (d->flags & AV_PIX_FMT_FLAG_ALPHA))
    return CUFRAMES_PIXEL_RGBA;
  const bool deep = d->comp[0].depth > 8, all_rows = d->log2_chroma_h == 0;
  if (!on_gpu && d->nb_components == 1)
    return deep ? CUFRAMES_PIXEL_GRAY16 : CUFRAMES_PIXEL_GRAY8;
  if (!on_gpu && all_rows && d->log2_chroma_w == 0 && !deep)
    return CUFRAMES_PIXEL_YUV444P;
  if (!on_gpu && all_rows && d->log2_chroma_w <= 1) /* of deep 4:4:4 there is none */
    return deep ? CUFRAMES_PIXEL_YUV422P10 : CUFRAMES_PIXEL_YUV422P;
  return deep ? CUFRAMES_PIXEL_P010 : CUFRAMES_PIXEL_NV12;
}

/* What a picture looks like to FFmpeg, from a frame or the container; and, in our words, what it says of itself. */
typedef struct picture_kind {
  enum AVPixelFormat format;
  int width, height, matrix, range, primaries, transfer;
  media_words words;
} picture_kind;

/* An orientation that is none of the eight cannot be said of a stream; who looks at it must hear of that once. */
static uint8_t orientation_said(media *m, const void *matrix) {
  const uint8_t orientation = av_words_orientation(matrix);
  if (orientation == CUFRAMES_ORIENTATION_NOT_SAID && !m->turn_left_out) {
    m->turn_left_out = true;
    publish_job_warn(m->job, "%s: its orientation is none of the eight of EXIF: pictures are not turned",
                     m->job->input);
  }
  return orientation;
}

/* The pictures' light comes before the container's. It holds up to the next keyframe, if not every picture says it. */
static void set_light(const media *m, const AVFrame *frame, media_words *words) {
  const AVStream *stream = m->in->streams[m->video];
  const uint8_t *display =
      av_compat_side(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof(AVMasteringDisplayMetadata));
  const uint8_t *light = av_compat_side(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof(AVContentLightMetadata));
  const AVFrameSideData *found = frame ? av_frame_get_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA) : NULL;
  display = found ? found->data : display;
  found = frame ? av_frame_get_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL) : NULL;
  light = found ? found->data : light;
  const bool goes_on = frame && !av_compat_is_key(frame);
  if (display)
    words->mastering_display = av_words_mastering_display((const void *)display);
  else if (goes_on)
    words->mastering_display = m->words.mastering_display;
  if (light)
    words->content_light = av_words_content_light((const void *)light);
  else if (goes_on)
    words->content_light = m->words.content_light;
}

static media_words words_of(media *m, AVFrame *frame, int chroma_location, uint8_t field_order, uint8_t orientation) {
  AVStream *stream = m->in->streams[m->video];
  AVRational aspect = av_guess_sample_aspect_ratio(m->in, stream, frame);
  media_words words = { .chroma_location = av_words_chroma(chroma_location), .field_order = field_order };
  if (aspect.num > 0 && aspect.den > 0) {
    words.sample_aspect_num = (uint32_t)aspect.num;
    words.sample_aspect_den = (uint32_t)aspect.den;
  }
  const int32_t *matrix = av_compat_matrix(stream);
  words.orientation = orientation || matrix == NULL ? orientation : orientation_said(m, matrix);
  set_light(m, frame, &words);
  return words;
}

/* An orientation in the pictures comes before the container's. H.264 and HEVC say it once, beside a keyframe, for all
 * up to the next; FFmpeg's decoder has it with that picture or one soon after. */
static uint8_t orientation_of(media *m, const AVFrame *f) {
  const AVFrameSideData *matrix = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
  if (matrix != NULL && matrix->size >= AV_COMPAT_MATRIX_BYTES) {
    m->orientation = orientation_said(m, matrix->data);
    m->keys_without = 0;
  } else if (av_compat_is_key(f) && ++m->keys_without > KEYS_WITHOUT) {
    m->keys_without = KEYS_WITHOUT;
    m->orientation = CUFRAMES_ORIENTATION_NOT_SAID;
  }
  return m->orientation;
}

/* Whether each picture of the codec says if it has fields. Of the others a decoder calls all pictures progressive. */
static bool says_fields(enum AVCodecID codec) {
  switch (codec) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_MPEG2VIDEO:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_VC1:
    case AV_CODEC_ID_DVVIDEO:
    case AV_CODEC_ID_DNXHD:
    case AV_CODEC_ID_PRORES: return true;
    default: return false;
  }
}

/* In a film that has fields, single pictures are progressive: the format must not change with each. */
static uint8_t fields_of(media *m, const AVFrame *f) {
  const AVCodecParameters *c = m->in->streams[m->video]->codecpar;
  const uint8_t said = av_words_fields(c->field_order);
  if (av_compat_is_interlaced(f)) {
    m->progressive_run = 0;
    return av_compat_is_top_first(f) ? CUFRAMES_FIELDS_TOP_FIRST : CUFRAMES_FIELDS_BOTTOM_FIRST;
  }
  if (!says_fields(c->codec_id))
    return said;
  const bool had_fields = m->words.field_order > CUFRAMES_FIELDS_PROGRESSIVE;
  if (had_fields && ++m->progressive_run < PROGRESSIVE_RUN)
    return m->words.field_order;
  return said || had_fields ? CUFRAMES_FIELDS_PROGRESSIVE : CUFRAMES_FIELDS_NOT_SAID;
}

static picture_kind picture_of_frame(media *m) {
  AVFrame *f = m->frame;
  media_words words = words_of(m, f, f->chroma_location, fields_of(m, f), orientation_of(m, f));
  words.color = (cuframes_color){ .matrix = av_words_code_point(f->colorspace),
                                  .range = av_words_range(f->color_range),
                                  .primaries = av_words_code_point(f->color_primaries),
                                  .transfer = av_words_code_point(f->color_trc) };
  return (picture_kind){ f->format,      f->width,           f->height,    f->colorspace,
                         f->color_range, f->color_primaries, f->color_trc, words };
}

static picture_kind picture_of_container(media *m) {
  const AVCodecParameters *c = m->in->streams[m->video]->codecpar;
  media_words words = words_of(m, NULL, c->chroma_location, av_words_fields(c->field_order), 0);
  return (picture_kind){ c->format,      c->width,           c->height,    c->color_space,
                         c->color_range, c->color_primaries, c->color_trc, words };
}

static cuframes_format target_format(const media *m, const picture_kind *p) {
  cuframes_format format = { .width = (uint32_t)p->width, .height = (uint32_t)p->height };
  uint32_t wanted = m->job->options->pixel_format;
  format.pixel_format = wanted ? wanted : nearest_format(p->format, m->job->gpu != NULL);
  enum AVPixelFormat from = av_format_plain(p->format), to = av_format_of(format.pixel_format);
  format.color.primaries = av_words_code_point(p->primaries);
  format.color.transfer = av_words_code_point(p->transfer);
  if (av_format_is_rgb(to)) {
    format.color.range = AVCOL_RANGE_JPEG;
  } else if (av_format_is_rgb(from)) {
    const bool gray = to == AV_PIX_FMT_GRAY8 || to == AV_PIX_FMT_GRAY16LE;
    format.color.matrix = AVCOL_SPC_SMPTE170M; /* what swscale makes of RGB */
    format.color.range = gray ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  } else {
    format.color.matrix = av_words_code_point(p->matrix);
    format.color.range = from != p->format ? AVCOL_RANGE_JPEG : av_words_range(p->range);
  }
  if (av_format_same_chroma(from, to))
    format.chroma_location = p->words.chroma_location;
  format.field_order = p->words.field_order;
  format.orientation = p->words.orientation;
  format.sample_aspect_num = p->words.sample_aspect_num;
  format.sample_aspect_den = p->words.sample_aspect_den;
  return format;
}

static bool same_format(const cuframes_format *a, const cuframes_format *b) {
  return memcmp(a, b, sizeof *a) == 0;
}

/* A format without a layout. */
static cuframes_format bare(const cuframes_format *format) {
  cuframes_format f = *format;
  memset(f.pitch, 0, sizeof f.pitch);
  memset(f.offset, 0, sizeof f.offset);
  f.padding = 0;
  return f;
}

/* The publisher in this format, as the first one or as another, laid out for what the decoder makes of `from`. */
static int use_format(media *m, const cuframes_format *wanted, enum AVPixelFormat from) {
  cuframes_format format = *wanted, now = bare(&m->format);
  if (m->job->has_format && same_format(&format, &now))
    return CLI_OK;
  media_slots_layout(m, from, &format);
  media_slots_change(m, NULL);
  if (!m->job->has_format)
    media_say_uncompressed(m);
  int code = m->job->has_format ? publish_job_format(m->job, &format) : publish_job_begin(m->job, &format);
  if (code == CLI_OK) {
    m->format = format;
    media_slots_change(m, &format);
  }
  return code;
}

static void begin_sound(media *m) {
  const AVCodecParameters *sound = m->in->streams[m->sound]->codecpar;
  char text[128];
  const int channels = av_compat_channels(sound);
  snprintf(text, sizeof text, "%s, %d Hz, %d channel%s", avcodec_get_name(sound->codec_id), sound->sample_rate,
           channels, channels == 1 ? "" : "s");
  publish_job_begin_sound(m->job, text);
}

int media_publish_early(media *m) {
  if (m->video < 0) {
    begin_sound(m);
    return CLI_OK;
  }
  picture_kind p = picture_of_container(m);
  if (p.width <= 0 || p.height <= 0 || p.format < 0)
    return CLI_OK;
  if (media_wants_nvdec(m) && media_nvdec_format(p.format) != AV_PIX_FMT_NONE) {
    p.range = av_format_plain(p.format) != p.format ? AVCOL_RANGE_JPEG : p.range;
    p.format = media_nvdec_format(p.format); /* or, if NVDEC refuses, the first picture changes it */
  }
  cuframes_format format = target_format(m, &p);
  /* After a reconnect there is a format, which changes with the first picture that differs. */
  return format.pixel_format == CUFRAMES_PIXEL_NONE || m->job->has_format ? CLI_OK : use_format(m, &format, p.format);
}

/* Makes (or keeps) the converter from the picture to the format. */
static bool ready_scaler(media *m, const picture_kind *p, const cuframes_format *to) {
  if (m->scaler != NULL && same_format(to, &m->scaler_for) && m->scaler_source == (int)p->format &&
      m->scaler_matrix == p->matrix && m->scaler_range == p->range)
    return true;
  sws_freeContext(m->scaler);
  enum AVPixelFormat from = av_format_plain(p->format), target = av_format_of(to->pixel_format);
  m->scaler = sws_getContext(p->width, p->height, from, p->width, p->height, target, SWS_BILINEAR | SWS_ACCURATE_RND,
                             NULL, NULL, NULL);
  if (m->scaler == NULL)
    return false;
  bool from_full = av_format_is_rgb(p->format) || from != p->format || p->range == AVCOL_RANGE_JPEG;
  /* Gives -1 where there is nothing to set, as from RGB to RGB. */
  (void)sws_setColorspaceDetails(m->scaler, sws_getCoefficients(p->matrix), from_full,
                                 sws_getCoefficients(to->color.matrix ? to->color.matrix : SWS_CS_DEFAULT),
                                 to->color.range == AVCOL_RANGE_JPEG, 0, 1 << 16, 1 << 16);
  m->scaler_for = *to;
  m->scaler_source = p->format;
  m->scaler_matrix = p->matrix;
  m->scaler_range = p->range;
  return true;
}

/* From the GPU's decoder: a copy there, in order with the decoder and the publisher on the default stream; so the
 * picture can be given back at once. */
static int copy_on_gpu(media *m, const cuframes_format *format, cuframes_frame *slot) {
  int error = CUFRAMES_OK;
  for (int i = 0; i < cuframes_pixel_format_planes(format->pixel_format) && error == CUFRAMES_OK; i++)
    error = cuframes_frame_copy_from_device(slot, i, m->frame->data[i], (size_t)m->frame->linesize[i], NULL);
  return error < 0 ? publish_job_fail(m->job, "copying the picture on the GPU: %s", cuframes_last_error()) : CLI_OK;
}

/* By the CPU: the one copy, or the one conversion, into the slot or into what is then uploaded. */
static int draw_on_cpu(media *m, const picture_kind *p, const cuframes_format *format, cuframes_frame *slot) {
  const AVFrame *f = m->frame;
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  bool same = av_format_plain(p->format) == av_format_of(format->pixel_format), done = true;
  bool upload = same && canvas_is_remote(slot);
  for (int i = 0; i < planes; i++)
    upload = upload && f->linesize[i] > 0; /* from the bottom to the top are some raw films */
  int error = CUFRAMES_OK;
  if (!upload && !canvas_begin(&m->canvas, slot))
    return publish_job_fail(m->job, "out of memory");
  if (!same) {
    uint8_t *plane[CUFRAMES_PLANES];
    int pitch[CUFRAMES_PLANES];
    for (int i = 0; i < CUFRAMES_PLANES; i++) {
      plane[av_format_plane(format->pixel_format, i)] = m->canvas.plane[i];
      pitch[av_format_plane(format->pixel_format, i)] = (int)m->canvas.pitch[i];
    }
    done = ready_scaler(m, p, format) &&
           sws_scale(m->scaler, (const uint8_t *const *)f->data, f->linesize, 0, p->height, plane, pitch) == p->height;
  }
  for (int i = 0; same && i < planes && error == CUFRAMES_OK; i++) {
    const int from = av_format_plane(format->pixel_format, i);
    uint32_t row_bytes = 0, rows = 0;
    (void)cuframes_format_plane_size(format, i, &row_bytes, &rows); /* a slot's format is good */
    if (upload) {
      error = cuframes_frame_copy_from_host(slot, i, f->data[from], (size_t)f->linesize[from]);
    } else {
      av_image_copy_plane(m->canvas.plane[i], (int)m->canvas.pitch[i], f->data[from], f->linesize[from], (int)row_bytes,
                          (int)rows);
    }
  }
  if (!done)
    return publish_job_fail(m->job, "%s: the picture cannot be converted", m->job->input);
  error = error < 0 || upload ? error : canvas_end(&m->canvas, slot);
  return error < 0 ? publish_job_fail(m->job, "uploading the picture: %s", cuframes_last_error()) : CLI_OK;
}

/* FFmpeg cuts a GPU's pictures on the right and below only; the rest is done here. */
static void crop_gpu_frame(AVFrame *f, enum AVPixelFormat format) {
  size_t sample = format == AV_PIX_FMT_P010LE ? 2 : 1, x = f->crop_left, y = f->crop_top;
  if (x < (size_t)f->width && y < (size_t)f->height) {
    f->data[0] += y * (size_t)f->linesize[0] + x * sample;
    f->data[1] += y / 2 * (size_t)f->linesize[1] + (x & ~(size_t)1) * sample;
    f->width -= (int)x;
    f->height -= (int)y;
  }
  f->crop_left = f->crop_top = 0;
}

static enum AVPixelFormat gpu_frame_format(const AVFrame *f) {
  return f->hw_frames_ctx ? ((AVHWFramesContext *)(void *)f->hw_frames_ctx->data)->sw_format : AV_PIX_FMT_NONE;
}

/* Replaces the GPU's picture by the same in host memory. */
static int download(media *m) {
  AVFrame *host = av_frame_alloc();
  int error = host ? av_hwframe_transfer_data(host, m->frame, 0) : AVERROR(ENOMEM);
  error = error < 0 ? error : av_frame_copy_props(host, m->frame);
  if (error < 0) {
    av_frame_free(&host);
    return publish_job_fail(m->job, "%s: a picture does not come from the GPU: %s", m->job->input, av_err2str(error));
  }
  av_frame_unref(m->frame);
  av_frame_move_ref(m->frame, host);
  av_frame_free(&host);
  return CLI_OK;
}

/* The picture's time and its duration, as published: its packet had them so. One without a time follows the one
 * before. */
static int64_t frame_times(media *m, int64_t *duration) {
  int64_t pts = m->frame->best_effort_timestamp, length = av_compat_duration(m->frame);
  if (m->hidden_count > 0 && m->frame->pts != AV_NOPTS_VALUE)
    pts = m->frame->pts; /* FFmpeg distrusts times among which are those of pictures that are not shown */
  *duration = length > 0 ? length : m->frame_duration;
  if (pts == AV_NOPTS_VALUE)
    pts = m->next_pts;
  m->next_pts = pts + (*duration ? *duration : PUBLISH_SECOND / 25);
  return pts;
}

/* Copies and publishes, in the publisher's format. */
static int publish_picture(media *m, const picture_kind *picture, const cuframes_format *format) {
  int64_t duration, pts = frame_times(m, &duration);
  cuframes_frame *slot = media_slots_take(m, m->frame);
  int code = CLI_OK;
  if (slot != NULL)
    publish_job_count(m->job, &m->job->counts.in_place);
  else if ((code = publish_job_acquire(m->job, &slot)) != CLI_OK || slot == NULL)
    return code;
  else if (m->frame->format == AV_PIX_FMT_CUDA)
    code = copy_on_gpu(m, format, slot);
  else
    code = draw_on_cpu(m, picture, format, slot);
  if (code != CLI_OK) {
    (void)cuframes_publisher_cancel(m->job->publisher, slot); /* it is open, so this cannot fail */
    return code;
  }
  bool corrupt = (m->frame->flags & AV_FRAME_FLAG_CORRUPT) || m->frame->decode_error_flags;
  cuframes_publish_info info = {
    .struct_size = sizeof info,
    .flags = (av_compat_is_key(m->frame) ? CUFRAMES_FRAME_KEY : 0u) | (corrupt ? CUFRAMES_FRAME_CORRUPT : 0u),
    .pts = pts,
    .duration = duration,
    .capture_time = media_side_capture_time(m, m->frame),
  };
  media_side_copy(m, slot);
  av_frame_unref(m->frame); /* NVDEC has few */
  if (corrupt)
    publish_job_count(m->job, &m->job->counts.corrupt);
  if (m->job->options->realtime && !m->live && !publish_job_pace(m->job, &m->pace, pts)) {
    (void)cuframes_publisher_cancel(m->job->publisher, slot); /* as above */
    return CLI_OK;
  }
  return publish_job_publish(m->job, slot, &info);
}

int media_publish_frame(media *m) {
  picture_kind picture = picture_of_frame(m);
  if (picture.format == AV_PIX_FMT_CUDA) {
    picture.format = gpu_frame_format(m->frame);
    crop_gpu_frame(m->frame, picture.format);
    picture.width = m->frame->width;
    picture.height = m->frame->height;
  }
  cuframes_format format = target_format(m, &picture);
  if (format.pixel_format == CUFRAMES_PIXEL_NONE) {
    const char *name = av_get_pix_fmt_name(picture.format);
    return publish_job_fail(m->job, "%s: pictures of format %s cannot be converted", m->job->input,
                            name ? name : "unknown");
  }
  m->words = picture.words;
  int code = use_format(m, &format, picture.format);
  if (code != CLI_OK)
    return code;
  /* A GPU's picture stays there if the publisher is on that GPU and takes what it is. */
  if (m->frame->format == AV_PIX_FMT_CUDA &&
      (m->job->gpu == NULL || picture.format != av_format_of(format.pixel_format)) && (code = download(m)) != CLI_OK)
    return code;
  return publish_picture(m, &picture, &format);
}

void media_frame_free(media *m) {
  sws_freeContext(m->scaler);
  m->scaler = NULL;
  canvas_free(&m->canvas);
}
