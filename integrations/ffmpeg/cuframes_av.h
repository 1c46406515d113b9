/* cuframes_av.h - what FFmpeg's three cuframes components share: words of FFmpeg and of cuframes, errors, logging.
 *
 * The patch puts it into libavutil/. It needs nothing but libavutil, so that each of FFmpeg's libraries may include it,
 * and is for FFmpeg 5.1 to 8: what differs between them is here. */
#ifndef AVUTIL_CUFRAMES_AV_H
#define AVUTIL_CUFRAMES_AV_H

/* FFmpeg's own files declare at the head of a block, these do where a value is known. */
#pragma GCC diagnostic ignored "-Wdeclaration-after-statement"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#include "config.h"
#include "libavutil/attributes.h"
#include "libavutil/dict.h"
#include "libavutil/error.h"
#include "libavutil/frame.h"
#include "libavutil/hwcontext.h"
#include "libavutil/log.h"
#include "libavutil/mastering_display_metadata.h"
#include "libavutil/mathematics.h"
#include "libavutil/mem.h"
#include "libavutil/pixfmt.h"
#include "libavutil/version.h"

#if CONFIG_CUDA
/* The loader first: hwcontext_cuda.h would include the toolkit's cuda.h. */
#include "compat/cuda/dynlink_loader.h"

#include "libavutil/hwcontext_cuda.h"
#endif

#define CF_AV_SECOND INT64_C(1000000000)
#define CF_AV_NS ((AVRational){ 1, 1000000000 })
#define CF_AV_SLICE (CF_AV_SECOND / 10) /* how long a wait takes no notice of an interruption */
#define CF_AV_MATRIX_BYTES (9 * sizeof(int32_t))
/* Key of a frame's metadata: when the picture was taken, ns since 1970 UTC. */
#define CF_AV_CAPTURE_KEY "cuframes.capture_time"

/* ---- errors and logging ---- */

static av_unused int cf_av_error(int error) {
  switch (error) {
    case CUFRAMES_OK: return 0;
    case CUFRAMES_ERR_INVALID:
    case CUFRAMES_ERR_NAME:
    case CUFRAMES_ERR_FORMAT: return AVERROR(EINVAL);
    case CUFRAMES_ERR_NO_MEMORY: return AVERROR(ENOMEM);
    case CUFRAMES_ERR_NAME_IN_USE: return AVERROR(EADDRINUSE);
    case CUFRAMES_ERR_NO_SUCH_STREAM: return AVERROR(ENOENT);
    case CUFRAMES_ERR_DIRECTORY: return AVERROR(ENOTDIR);
    case CUFRAMES_ERR_PERMISSION: return AVERROR(EACCES);
    case CUFRAMES_ERR_TIMEOUT: return AVERROR(ETIMEDOUT);
    case CUFRAMES_ERR_INTERRUPTED: return AVERROR_EXIT;
    case CUFRAMES_ERR_PUBLISHER_GONE: return AVERROR_EOF;
    case CUFRAMES_ERR_EVICTED: return AVERROR(EPIPE);
    case CUFRAMES_ERR_NO_CAPACITY: return AVERROR(ENOSPC);
    case CUFRAMES_ERR_VERSION: return AVERROR(EPROTONOSUPPORT);
    case CUFRAMES_ERR_PROTOCOL: return AVERROR_INVALIDDATA;
    case CUFRAMES_ERR_PACKET_OVERSIZED: return AVERROR(EMSGSIZE);
    case CUFRAMES_ERR_NO_PACKET_RING:
    case CUFRAMES_ERR_NO_CODEC_PARAMS: return AVERROR_STREAM_NOT_FOUND;
    case CUFRAMES_ERR_UNSUPPORTED: return AVERROR(ENOSYS);
    case CUFRAMES_ERR_LOST: return AVERROR(EIO);
    default: return AVERROR_EXTERNAL;
  }
}

/* Logs what the library said of the call that failed, and gives FFmpeg's code for it. To be told to give up is no
 * error. */
static av_unused int cf_av_fail(void *log, const char *what, int error) {
  av_log(log, error == CUFRAMES_ERR_INTERRUPTED ? AV_LOG_VERBOSE : AV_LOG_ERROR, "%s: %s\n", what,
         cuframes_last_error());
  return cf_av_error(error);
}

/* For the library, whose threads may speak when the component has gone. */
static av_unused void cf_av_log(void *user, int level, const char *line) {
  const int levels[] = { AV_LOG_ERROR, AV_LOG_ERROR, AV_LOG_WARNING, AV_LOG_VERBOSE, AV_LOG_DEBUG };
  (void)user;
  av_log(NULL, level >= 0 && level <= CUFRAMES_LOG_DEBUG ? levels[level] : AV_LOG_DEBUG, "cuframes: %s\n", line);
}

/* ---- pixel formats ---- */

typedef struct cf_av_pixel {
  enum AVPixelFormat av;
  uint32_t ours;
  bool full; /* FFmpeg's old way to say "full range" */
} cf_av_pixel;

static const cf_av_pixel cf_av_pixels[] = {
  { AV_PIX_FMT_NV12, CUFRAMES_PIXEL_NV12 },
  { AV_PIX_FMT_P010LE, CUFRAMES_PIXEL_P010 },
  { AV_PIX_FMT_YUV420P, CUFRAMES_PIXEL_YUV420P },
  { AV_PIX_FMT_YUV422P, CUFRAMES_PIXEL_YUV422P },
  { AV_PIX_FMT_YUV444P, CUFRAMES_PIXEL_YUV444P },
  { AV_PIX_FMT_GRAY8, CUFRAMES_PIXEL_GRAY8 },
  { AV_PIX_FMT_RGB24, CUFRAMES_PIXEL_RGB24 },
  { AV_PIX_FMT_RGBA, CUFRAMES_PIXEL_RGBA },
  { AV_PIX_FMT_BGRA, CUFRAMES_PIXEL_BGRA },
  { AV_PIX_FMT_BGR24, CUFRAMES_PIXEL_BGR24 },
  { AV_PIX_FMT_YUYV422, CUFRAMES_PIXEL_YUYV422 },
  { AV_PIX_FMT_UYVY422, CUFRAMES_PIXEL_UYVY422 },
  { AV_PIX_FMT_GRAY16LE, CUFRAMES_PIXEL_GRAY16 },
  { AV_PIX_FMT_YUV420P10LE, CUFRAMES_PIXEL_YUV420P10 },
  { AV_PIX_FMT_YUV422P10LE, CUFRAMES_PIXEL_YUV422P10 },
  { AV_PIX_FMT_GBRP, CUFRAMES_PIXEL_RGBP },
  { AV_PIX_FMT_YUVJ420P, CUFRAMES_PIXEL_YUV420P, true },
  { AV_PIX_FMT_YUVJ422P, CUFRAMES_PIXEL_YUV422P, true },
  { AV_PIX_FMT_YUVJ444P, CUFRAMES_PIXEL_YUV444P, true },
};
#define CF_AV_PIXELS (sizeof cf_av_pixels / sizeof *cf_av_pixels)

/* NULL: cuframes has none like it. */
static av_unused const cf_av_pixel *cf_av_pixel_of(enum AVPixelFormat format) {
  for (size_t i = 0; i < CF_AV_PIXELS; i++)
    if (cf_av_pixels[i].av == format)
      return &cf_av_pixels[i];
  return NULL;
}

static av_unused enum AVPixelFormat cf_av_pixel_format(uint32_t ours) {
  for (size_t i = 0; i < CF_AV_PIXELS; i++)
    if (cf_av_pixels[i].ours == ours)
      return cf_av_pixels[i].av;
  return AV_PIX_FMT_NONE;
}

/* Which of FFmpeg's planes is this one of cuframes: GBRP has its planes in another order than RGBP. */
static av_unused int cf_av_plane(uint32_t ours, int plane) {
  static const int gbrp[] = { 2, 0, 1, 3 };
  return ours == CUFRAMES_PIXEL_RGBP ? gbrp[plane] : plane;
}

/* ---- words ---- */

/* Matrix, primaries, transfer: "unspecified" is 2 in the tables of H.273, and 0 in cuframes. */
static av_unused uint8_t cf_av_code_point(int value) {
  return value == 2 || value < 0 || value > UINT8_MAX ? 0 : (uint8_t)value;
}

static av_unused int cf_av_code_point_back(uint8_t value) {
  return value == 0 ? 2 : value;
}

static av_unused cuframes_color cf_av_color(int matrix, int range, int primaries, int transfer) {
  return (cuframes_color){ .matrix = cf_av_code_point(matrix),
                           .range = range == AVCOL_RANGE_MPEG || range == AVCOL_RANGE_JPEG ? (uint8_t)range : 0,
                           .primaries = cf_av_code_point(primaries),
                           .transfer = cf_av_code_point(transfer) };
}

static av_unused uint8_t cf_av_chroma(int location) {
  return location > AVCHROMA_LOC_UNSPECIFIED && location <= AVCHROMA_LOC_BOTTOM ? (uint8_t)location : 0;
}

/* With a display matrix { a, b, u, c, d, v, x, y, w } a point (p, q) is shown at (a p + c q + x, b p + d q + y). These
 * are a, b, c, d of the eight orientations. */
static const int8_t cf_av_turns[9][4] = {
  { 1, 0, 0, 1 }, { 1, 0, 0, 1 },  { -1, 0, 0, 1 },  { -1, 0, 0, -1 }, { 1, 0, 0, -1 },
  { 0, 1, 1, 0 }, { 0, 1, -1, 0 }, { 0, -1, -1, 0 }, { 0, -1, 1, 0 },
};

/* NOT_SAID also for a matrix that is none of the eight, such as one that turns by 45 degrees. */
static av_unused uint8_t cf_av_orientation(const int32_t matrix[9]) {
  const int64_t values[4] = { matrix[0], matrix[1], matrix[3], matrix[4] };
  int64_t largest = 0;
  for (int i = 0; i < 4; i++)
    largest = llabs(values[i]) > largest ? llabs(values[i]) : largest;
  for (uint8_t orientation = 1; orientation <= 8 && largest > 0; orientation++) {
    bool same = true;
    for (int i = 0; i < 4; i++) {
      const int sign = llabs(values[i]) * 20 < largest ? 0 : values[i] > 0 ? 1 : -1;
      same = same && sign == cf_av_turns[orientation][i];
    }
    if (same)
      return orientation;
  }
  return CUFRAMES_ORIENTATION_NOT_SAID;
}

/* The matrix that shows a stored picture upright, its corner at the origin. */
static av_unused void cf_av_matrix(uint8_t orientation, uint32_t width, uint32_t height, int32_t matrix[9]) {
  const int8_t *turn = cf_av_turns[orientation <= 8 ? orientation : 1];
  const int32_t one = 65536; /* 16 bits before the point: a size above 32767 does not fit; the corner is a courtesy */
  const int32_t w = width < 32768 ? (int32_t)width * one : 0, h = height < 32768 ? (int32_t)height * one : 0;
  memset(matrix, 0, CF_AV_MATRIX_BYTES);
  matrix[0] = turn[0] * one;
  matrix[1] = turn[1] * one;
  matrix[3] = turn[2] * one;
  matrix[4] = turn[3] * one;
  matrix[6] = (turn[0] < 0 ? w : 0) + (turn[2] < 0 ? h : 0);
  matrix[7] = (turn[1] < 0 ? w : 0) + (turn[3] < 0 ? h : 0);
  matrix[8] = 1 << 30;
}

/* ---- light: FFmpeg has red, green, blue; the messages of H.265, and so cuframes, green, blue, red ---- */

static const int cf_av_from_rgb[3] = { 1, 2, 0 };

static av_unused uint32_t cf_av_steps(AVRational value, int64_t steps, uint32_t most) {
  const int64_t scaled = value.den != 0 ? av_rescale(value.num, steps, value.den) : 0;
  return scaled < 0 ? 0 : scaled > most ? most : (uint32_t)scaled;
}

static av_unused cuframes_mastering_display cf_av_display(const AVMasteringDisplayMetadata *display) {
  cuframes_mastering_display ours = { 0 };
  for (int i = 0; i < 6 && display->has_primaries; i++)
    ours.primaries[i] =
        (uint16_t)cf_av_steps(display->display_primaries[cf_av_from_rgb[i / 2]][i % 2], 50000, UINT16_MAX);
  for (int i = 0; i < 2 && display->has_primaries; i++)
    ours.white_point[i] = (uint16_t)cf_av_steps(display->white_point[i], 50000, UINT16_MAX);
  if (display->has_luminance) {
    ours.max_luminance = cf_av_steps(display->max_luminance, 10000, UINT32_MAX);
    ours.min_luminance = cf_av_steps(display->min_luminance, 10000, UINT32_MAX);
  }
  return ours;
}

static av_unused void cf_av_display_back(const cuframes_mastering_display *display, AVMasteringDisplayMetadata *to) {
  for (int i = 0; i < 6; i++)
    to->display_primaries[cf_av_from_rgb[i / 2]][i % 2] = av_make_q(display->primaries[i], 50000);
  to->white_point[0] = av_make_q(display->white_point[0], 50000);
  to->white_point[1] = av_make_q(display->white_point[1], 50000);
  to->max_luminance = av_make_q((int)FFMIN(display->max_luminance, INT32_MAX), 10000);
  to->min_luminance = av_make_q((int)FFMIN(display->min_luminance, INT32_MAX), 10000);
  to->has_primaries = display->white_point[0] != 0;
  to->has_luminance = display->max_luminance != 0;
}

static av_unused cuframes_content_light cf_av_light(const AVContentLightMetadata *light) {
  return (cuframes_content_light){ .max_content = (uint16_t)FFMIN(light->MaxCLL, UINT16_MAX),
                                   .max_average = (uint16_t)FFMIN(light->MaxFALL, UINT16_MAX) };
}

/* ---- fields and flags of a frame: bits of AVFrame.flags from FFmpeg 6.1 on ---- */

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
static av_unused bool cf_av_is_key(const AVFrame *f) {
  return (f->flags & AV_FRAME_FLAG_KEY) != 0;
}
static av_unused void cf_av_set_key(AVFrame *f, bool key) {
  f->flags = key ? f->flags | AV_FRAME_FLAG_KEY : f->flags & ~AV_FRAME_FLAG_KEY;
}
static av_unused uint8_t cf_av_fields(const AVFrame *f) {
  if (!(f->flags & AV_FRAME_FLAG_INTERLACED))
    return CUFRAMES_FIELDS_NOT_SAID;
  return f->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST ? CUFRAMES_FIELDS_TOP_FIRST : CUFRAMES_FIELDS_BOTTOM_FIRST;
}
static av_unused void cf_av_set_fields(AVFrame *f, uint8_t order) {
  f->flags &= ~(AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST);
  if (order == CUFRAMES_FIELDS_TOP_FIRST)
    f->flags |= AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST;
  else if (order == CUFRAMES_FIELDS_BOTTOM_FIRST)
    f->flags |= AV_FRAME_FLAG_INTERLACED;
}
#else
static av_unused bool cf_av_is_key(const AVFrame *f) {
  return f->key_frame != 0;
}
static av_unused void cf_av_set_key(AVFrame *f, bool key) {
  f->key_frame = key;
}
static av_unused uint8_t cf_av_fields(const AVFrame *f) {
  if (!f->interlaced_frame)
    return CUFRAMES_FIELDS_NOT_SAID;
  return f->top_field_first ? CUFRAMES_FIELDS_TOP_FIRST : CUFRAMES_FIELDS_BOTTOM_FIRST;
}
static av_unused void cf_av_set_fields(AVFrame *f, uint8_t order) {
  f->interlaced_frame = order == CUFRAMES_FIELDS_TOP_FIRST || order == CUFRAMES_FIELDS_BOTTOM_FIRST;
  f->top_field_first = order == CUFRAMES_FIELDS_TOP_FIRST;
}
#endif

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
static av_unused int64_t cf_av_duration(const AVFrame *f) {
  return f->duration;
}
static av_unused void cf_av_set_duration(AVFrame *f, int64_t duration) {
  f->duration = duration;
}
#else
static av_unused int64_t cf_av_duration(const AVFrame *f) {
  return f->pkt_duration;
}
static av_unused void cf_av_set_duration(AVFrame *f, int64_t duration) {
  f->pkt_duration = duration;
}
#endif

/* ---- CUDA ---- */

#if CONFIG_CUDA
static av_unused AVCUDADeviceContext *cf_av_cuda(AVBufferRef *device_ref) {
  return ((AVHWDeviceContext *)(void *)device_ref->data)->hwctx;
}

/* The stream on which FFmpeg works with frames of this device; NULL on the host. */
static av_unused void *cf_av_stream(AVBufferRef *device_ref) {
  return device_ref ? cf_av_cuda(device_ref)->stream : NULL;
}

/* Makes the context of the device current, which is where the library looks for the one to use. *cu is for
 * cf_av_cuda_pop(). */
static av_unused int cf_av_cuda_push(void *log, AVBufferRef *device_ref, CudaFunctions **cu) {
  *cu = NULL;
  if (cuda_load_functions(cu, log) >= 0 && (*cu)->cuCtxPushCurrent(cf_av_cuda(device_ref)->cuda_ctx) == CUDA_SUCCESS)
    return 0;
  av_log(log, AV_LOG_ERROR, "the CUDA context of the frames cannot be used\n");
  cuda_free_functions(cu);
  return AVERROR_EXTERNAL;
}

static av_unused void cf_av_cuda_pop(CudaFunctions **cu) {
  CUcontext popped;
  if (*cu)
    (*cu)->cuCtxPopCurrent(&popped);
  cuda_free_functions(cu);
}
#else
static av_unused void *cf_av_stream(AVBufferRef *device_ref) {
  (void)device_ref;
  return NULL;
}
#endif

#endif
