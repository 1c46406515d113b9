/* av_compat.h - what differs between FFmpeg 5.1 (libavutil 57) and 9 (libavutil 61), in one place. */
#ifndef CUFRAMES_CLI_AV_COMPAT_H
#define CUFRAMES_CLI_AV_COMPAT_H

#include <stdbool.h>
#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libavutil/version.h>

/* Frame flags replaced key_frame and its like, and duration pkt_duration, in libavutil 58 (FFmpeg 6). */
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
static inline bool av_compat_is_key(const AVFrame *frame) {
  return (frame->flags & AV_FRAME_FLAG_KEY) != 0;
}
static inline bool av_compat_is_interlaced(const AVFrame *frame) {
  return (frame->flags & AV_FRAME_FLAG_INTERLACED) != 0;
}
static inline bool av_compat_is_top_first(const AVFrame *frame) {
  return (frame->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST) != 0;
}
#else
static inline bool av_compat_is_key(const AVFrame *frame) {
  return frame->key_frame != 0;
}
static inline bool av_compat_is_interlaced(const AVFrame *frame) {
  return frame->interlaced_frame != 0;
}
static inline bool av_compat_is_top_first(const AVFrame *frame) {
  return frame->top_field_first != 0;
}
#endif

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
static inline int64_t av_compat_duration(const AVFrame *frame) {
  return frame->duration;
}
#else
static inline int64_t av_compat_duration(const AVFrame *frame) {
  return frame->pkt_duration;
}
#endif

/* From version 60 (FFmpeg 6) on, libavcodec calls get_buffer2 and the like from any of its threads. Before, it had to
 * be allowed to; else the threads wait for each other. */
#if LIBAVCODEC_VERSION_MAJOR < 60
static inline void av_compat_callbacks_are_thread_safe(AVCodecContext *context) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  context->thread_safe_callbacks = 1;
#pragma GCC diagnostic pop
}
#else
static inline void av_compat_callbacks_are_thread_safe(AVCodecContext *context) {
  (void)context;
}
#endif

/* The channel layout struct came with 5.1, but its old companion `channels` is what 5.0 programs filled. */
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(59, 24, 100)
static inline int av_compat_channels(const AVCodecParameters *parameters) {
  return parameters->ch_layout.nb_channels;
}
static inline void av_compat_set_channels(AVCodecParameters *parameters, int channels) {
  av_channel_layout_default(&parameters->ch_layout, channels);
}
#else
static inline int av_compat_channels(const AVCodecParameters *parameters) {
  return parameters->channels;
}
static inline void av_compat_set_channels(AVCodecParameters *parameters, int channels) {
  parameters->channels = channels;
}
#endif

/* A stream's side data moved from AVStream to its codec parameters in libavcodec 60.31 (FFmpeg 6.1). */
#define AV_COMPAT_MATRIX_BYTES (9 * sizeof(int32_t))
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
static inline const uint8_t *av_compat_side(const AVStream *stream, enum AVPacketSideDataType type, size_t least) {
  const AVCodecParameters *from = stream->codecpar;
  const AVPacketSideData *found = av_packet_side_data_get(from->coded_side_data, from->nb_coded_side_data, type);
  return found != NULL && found->size >= least ? found->data : NULL;
}
static inline uint8_t *av_compat_new_side(AVStream *stream, enum AVPacketSideDataType type, size_t size) {
  AVCodecParameters *to = stream->codecpar;
  AVPacketSideData *made = av_packet_side_data_new(&to->coded_side_data, &to->nb_coded_side_data, type, size, 0);
  return made != NULL ? made->data : NULL;
}
#else
static inline const uint8_t *av_compat_side(const AVStream *stream, enum AVPacketSideDataType type, size_t least) {
  size_t size = 0;
  const uint8_t *found = av_stream_get_side_data(stream, type, &size);
  return found != NULL && size >= least ? found : NULL;
}
static inline uint8_t *av_compat_new_side(AVStream *stream, enum AVPacketSideDataType type, size_t size) {
  return av_stream_new_side_data(stream, type, size);
}
#endif
static inline const int32_t *av_compat_matrix(const AVStream *stream) {
  return (const int32_t *)(const void *)av_compat_side(stream, AV_PKT_DATA_DISPLAYMATRIX, AV_COMPAT_MATRIX_BYTES);
}
static inline int32_t *av_compat_new_matrix(AVStream *stream) {
  return (int32_t *)(void *)av_compat_new_side(stream, AV_PKT_DATA_DISPLAYMATRIX, AV_COMPAT_MATRIX_BYTES);
}

/* What a callback is given to write became constant in libavformat 61 (FFmpeg 7). */
#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t av_compat_written;
#else
typedef uint8_t av_compat_written;
#endif

/* Matroska can say how a picture is turned; FFmpeg writes and reads that from version 7 (libavformat 61) on. */
#define AV_COMPAT_MATROSKA_TURNS (LIBAVFORMAT_VERSION_MAJOR >= 61)

/* "Unknown" profile and level got names of their own in libavcodec 60.31 (FFmpeg 6.1); the values are the same. */
#define AV_COMPAT_UNKNOWN (-99)

#endif
