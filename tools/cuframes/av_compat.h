/* av_compat.h - what differs between FFmpeg 5.1 (libavutil 57) and 8 (libavutil 60), in one place. */
#ifndef CUFRAMES_CLI_AV_COMPAT_H
#define CUFRAMES_CLI_AV_COMPAT_H

#include <stdbool.h>
#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/version.h>

/* Frame flags replaced key_frame, and duration pkt_duration, in libavutil 58 (FFmpeg 6). */
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
static inline bool av_compat_is_key(const AVFrame *frame) {
  return (frame->flags & AV_FRAME_FLAG_KEY) != 0;
}
#else
static inline bool av_compat_is_key(const AVFrame *frame) {
  return frame->key_frame != 0;
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

/* "Unknown" profile and level got names of their own in libavcodec 60.31 (FFmpeg 6.1); the values are the same. */
#define AV_COMPAT_UNKNOWN (-99)

#endif
