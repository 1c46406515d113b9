/* picture_file.c - see picture_file.h. */
#include "picture_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavformat/avformat.h>

#include "common/av_compat.h"
#include "common/av_format.h"
#include "muxer/tracks.h"

static const AVRational nanoseconds = { 1, 1000000000 };

struct picture_file {
  AVFormatContext *output;
  AVStream *stream;
  AVPacket *packet;
  AVRational time_base; /* asked of the container */
  int64_t last;         /* in it */
};

uint32_t picture_file_format(const char *container, uint32_t pixel_format) {
  /* found by writing each and reading it back; Matroska has names for few */
  static const uint32_t in_matroska[] = { CUFRAMES_PIXEL_NV12,  CUFRAMES_PIXEL_YUV420P, CUFRAMES_PIXEL_YUV422P,
                                          CUFRAMES_PIXEL_GRAY8, CUFRAMES_PIXEL_YUYV422, CUFRAMES_PIXEL_UYVY422,
                                          CUFRAMES_PIXEL_RGBA };
  if (pixel_format == CUFRAMES_PIXEL_TENSOR)
    return CUFRAMES_PIXEL_NONE;
  if (strcmp(container, "nut") == 0) /* the same samples, in planes */
    return pixel_format == CUFRAMES_PIXEL_P010 ? CUFRAMES_PIXEL_YUV420P10 : pixel_format;
  for (size_t i = 0; i < sizeof in_matroska / sizeof *in_matroska; i++)
    if (in_matroska[i] == pixel_format)
      return pixel_format;
  return CUFRAMES_PIXEL_NONE;
}

/* What the container's head may say of the pictures, in the words of a track. */
static cuframes_codec_params words_of(const cuframes_format *format, const cuframes_codec_params *track) {
  cuframes_codec_params words = { .media_type = CUFRAMES_MEDIA_VIDEO,
                                  .codec = "rawvideo",
                                  .profile = UINT32_MAX,
                                  .level = UINT32_MAX,
                                  .width = format->width,
                                  .height = format->height,
                                  .color = format->color,
                                  .chroma_location = format->chroma_location,
                                  .field_order = format->field_order,
                                  .orientation = format->orientation,
                                  .sample_aspect_num = format->sample_aspect_num,
                                  .sample_aspect_den = format->sample_aspect_den };
  if (track) {
    words.mastering_display = track->mastering_display;
    words.content_light = track->content_light;
  }
  return words;
}

/* The source's own, where its times fit into it: else the ns that they are in here. */
static AVRational time_base_of(const cuframes_codec_params *track) {
  const AVRational own = track ? av_make_q((int)track->time_base_num, (int)track->time_base_den) : nanoseconds;
  return own.num > 0 && own.den >= 1000 && own.den <= 10000000 ? own : nanoseconds;
}

static int begin(picture_file *f, struct AVIOContext *io, const char *container, const cuframes_format *format,
                 const cuframes_codec_params *track, int64_t interval_ns) {
  const cuframes_codec_params words = words_of(format, track);
  const enum AVPixelFormat pixels = av_format_of(format->pixel_format);
  AVDictionary *options = NULL;
  AVCodecParameters *parameters = tracks_parameters(&words, NULL, 0);
  int error = parameters ? avformat_alloc_output_context2(&f->output, NULL, container, NULL) : AVERROR(ENOMEM);
  if (error >= 0 && !(f->stream = tracks_stream(f->output, parameters, &words)))
    error = AVERROR(ENOMEM);
  avcodec_parameters_free(&parameters);
  if (error < 0)
    return error;
  f->stream->codecpar->format = pixels;
  f->stream->codecpar->codec_tag = avcodec_pix_fmt_to_codec_tag(pixels);
  f->stream->time_base = f->time_base;
  if (interval_ns) /* of the whole stream readers find out the rate by themselves, and better than we know it */
    f->stream->avg_frame_rate = f->stream->r_frame_rate = av_d2q(1e9 / (double)interval_ns, 1000000);
  f->output->pb = io;
  f->output->flags |= AVFMT_FLAG_FLUSH_PACKETS;
  if (strcmp(container, "nut") == 0)
    (void)av_dict_set(&options, "write_index", "0", 0); /* it grows, and is for who can seek; it is so without memory */
  error = avformat_write_header(f->output, &options);
  av_dict_free(&options);
  return error;
}

picture_file *picture_file_begin(struct AVIOContext *io, const char *container, const cuframes_format *format,
                                 const cuframes_codec_params *track, int64_t interval_ns, char *problem, size_t size) {
  picture_file *f = calloc(1, sizeof *f);
  int error = AVERROR(ENOMEM);
  if (f) {
    *f = (picture_file){ .time_base = time_base_of(track), .last = INT64_MIN, .packet = av_packet_alloc() };
    error = f->packet ? begin(f, io, container, format, track, interval_ns) : AVERROR(ENOMEM);
  }
  if (error >= 0)
    return f;
  snprintf(problem, size, "%s", av_err2str(error));
  (void)picture_file_end(f, false);
  return NULL;
}

bool picture_file_write(picture_file *f, const uint8_t *bytes, size_t size, int64_t pts, int64_t duration) {
  AVPacket *packet = f->packet;
  int64_t time = av_rescale_q(pts, nanoseconds, f->time_base);
  time = time <= f->last ? f->last + 1 : time;
  f->last = time;
  packet->data = (uint8_t *)(uintptr_t)bytes; /* read, and not kept: it is written at once */
  packet->size = (int)size;
  packet->pts = packet->dts = time;
  packet->duration = av_rescale_q(duration, nanoseconds, f->time_base);
  packet->flags = AV_PKT_FLAG_KEY; /* each stands alone */
  packet->stream_index = 0;
  av_packet_rescale_ts(packet, f->time_base, f->stream->time_base);
  int error = av_write_frame(f->output, packet);
  av_packet_unref(packet);
  if (error >= 0 && strcmp(f->output->oformat->name, "matroska") == 0)
    error = av_write_frame(f->output, NULL); /* else it is kept until a second is full */
  return error >= 0 && f->output->pb->error >= 0;
}

bool picture_file_end(picture_file *f, bool whole) {
  if (!f)
    return true;
  const bool well = !whole || av_write_trailer(f->output) >= 0;
  if (f->output)
    f->output->pb = NULL;
  avformat_free_context(f->output);
  av_packet_free(&f->packet);
  free(f);
  return well;
}
