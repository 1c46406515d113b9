/* av_format.c - see av_format.h. */
#include "av_format.h"

#include <stdlib.h>
#include <string.h>

#include <libavutil/pixdesc.h>

#define UNSAID 2 /* "unspecified" in the tables of H.273; cuframes says 0 */
#define ONE 65536

/* The yuvj ones are FFmpeg's old way to say "full range". */
static const struct {
  enum AVPixelFormat av;
  uint32_t ours;
  enum AVPixelFormat plain;
} known[] = {
  { AV_PIX_FMT_NV12, CUFRAMES_PIXEL_NV12, AV_PIX_FMT_NV12 },
  { AV_PIX_FMT_P010LE, CUFRAMES_PIXEL_P010, AV_PIX_FMT_P010LE },
  { AV_PIX_FMT_YUV420P, CUFRAMES_PIXEL_YUV420P, AV_PIX_FMT_YUV420P },
  { AV_PIX_FMT_YUV422P, CUFRAMES_PIXEL_YUV422P, AV_PIX_FMT_YUV422P },
  { AV_PIX_FMT_YUV444P, CUFRAMES_PIXEL_YUV444P, AV_PIX_FMT_YUV444P },
  { AV_PIX_FMT_GRAY8, CUFRAMES_PIXEL_GRAY8, AV_PIX_FMT_GRAY8 },
  { AV_PIX_FMT_RGB24, CUFRAMES_PIXEL_RGB24, AV_PIX_FMT_RGB24 },
  { AV_PIX_FMT_RGBA, CUFRAMES_PIXEL_RGBA, AV_PIX_FMT_RGBA },
  { AV_PIX_FMT_BGRA, CUFRAMES_PIXEL_BGRA, AV_PIX_FMT_BGRA },
  { AV_PIX_FMT_BGR24, CUFRAMES_PIXEL_BGR24, AV_PIX_FMT_BGR24 },
  { AV_PIX_FMT_YUYV422, CUFRAMES_PIXEL_YUYV422, AV_PIX_FMT_YUYV422 },
  { AV_PIX_FMT_UYVY422, CUFRAMES_PIXEL_UYVY422, AV_PIX_FMT_UYVY422 },
  { AV_PIX_FMT_GRAY16LE, CUFRAMES_PIXEL_GRAY16, AV_PIX_FMT_GRAY16LE },
  { AV_PIX_FMT_YUV420P10LE, CUFRAMES_PIXEL_YUV420P10, AV_PIX_FMT_YUV420P10LE },
  { AV_PIX_FMT_YUV422P10LE, CUFRAMES_PIXEL_YUV422P10, AV_PIX_FMT_YUV422P10LE },
  { AV_PIX_FMT_GBRP, CUFRAMES_PIXEL_RGBP, AV_PIX_FMT_GBRP },
  { AV_PIX_FMT_YUVJ420P, CUFRAMES_PIXEL_YUV420P, AV_PIX_FMT_YUV420P },
  { AV_PIX_FMT_YUVJ422P, CUFRAMES_PIXEL_YUV422P, AV_PIX_FMT_YUV422P },
  { AV_PIX_FMT_YUVJ444P, CUFRAMES_PIXEL_YUV444P, AV_PIX_FMT_YUV444P },
};
#define KNOWN (sizeof known / sizeof *known)

enum AVPixelFormat av_format_plain(enum AVPixelFormat format) {
  for (size_t i = 0; i < KNOWN; i++)
    if (known[i].av == format)
      return known[i].plain;
  return format;
}

uint32_t av_format_ours(enum AVPixelFormat format) {
  for (size_t i = 0; i < KNOWN; i++)
    if (known[i].av == format)
      return known[i].ours;
  return CUFRAMES_PIXEL_NONE;
}

enum AVPixelFormat av_format_of(uint32_t ours) {
  for (size_t i = 0; i < KNOWN; i++)
    if (known[i].ours == ours)
      return known[i].av;
  return AV_PIX_FMT_NONE;
}

bool av_format_is_rgb(enum AVPixelFormat format) {
  const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
  return d != NULL && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

bool av_format_same_chroma(enum AVPixelFormat one, enum AVPixelFormat other) {
  const AVPixFmtDescriptor *a = av_pix_fmt_desc_get(one), *b = av_pix_fmt_desc_get(other);
  return a != NULL && b != NULL && a->log2_chroma_w == b->log2_chroma_w && a->log2_chroma_h == b->log2_chroma_h &&
         (a->log2_chroma_w | a->log2_chroma_h) != 0;
}

int av_format_plane(uint32_t ours, int plane) {
  static const int gbrp[] = { 2, 0, 1, 3 };
  return ours == CUFRAMES_PIXEL_RGBP ? gbrp[plane] : plane;
}

/* ---- words ---- */

uint8_t av_words_code_point(int value) {
  return value == UNSAID || value < 0 || value > UINT8_MAX ? 0 : (uint8_t)value;
}

int av_words_av_code_point(uint8_t value) {
  return value == 0 ? UNSAID : value;
}

uint8_t av_words_range(int range) {
  return range == AVCOL_RANGE_MPEG || range == AVCOL_RANGE_JPEG ? (uint8_t)range : 0; /* FFmpeg's values are ours */
}

uint8_t av_words_chroma(int location) {
  return location > AVCHROMA_LOC_UNSPECIFIED && location <= AVCHROMA_LOC_BOTTOM ? (uint8_t)location : 0; /* as above */
}

/* FFmpeg's name the field that is coded first, and then the one that is shown first, which is what counts here. */
uint8_t av_words_fields(enum AVFieldOrder order) {
  switch (order) {
    case AV_FIELD_PROGRESSIVE: return CUFRAMES_FIELDS_PROGRESSIVE;
    case AV_FIELD_TT:
    case AV_FIELD_BT: return CUFRAMES_FIELDS_TOP_FIRST;
    case AV_FIELD_BB:
    case AV_FIELD_TB: return CUFRAMES_FIELDS_BOTTOM_FIRST;
    default: return CUFRAMES_FIELDS_NOT_SAID;
  }
}

enum AVFieldOrder av_words_av_fields(uint8_t field_order) {
  static const enum AVFieldOrder orders[] = { AV_FIELD_UNKNOWN, AV_FIELD_PROGRESSIVE, AV_FIELD_TT, AV_FIELD_BB };
  return field_order < sizeof orders / sizeof *orders ? orders[field_order] : AV_FIELD_UNKNOWN;
}

/* With a display matrix { a, b, u, c, d, v, x, y, w } a point (p, q) is shown at (a p + c q + x, b p + d q + y). */
static const int8_t turns[9][4] = {
  [CUFRAMES_ORIENTATION_TOP_LEFT] = { 1, 0, 0, 1 },       [CUFRAMES_ORIENTATION_TOP_RIGHT] = { -1, 0, 0, 1 },
  [CUFRAMES_ORIENTATION_BOTTOM_RIGHT] = { -1, 0, 0, -1 }, [CUFRAMES_ORIENTATION_BOTTOM_LEFT] = { 1, 0, 0, -1 },
  [CUFRAMES_ORIENTATION_LEFT_TOP] = { 0, 1, 1, 0 },       [CUFRAMES_ORIENTATION_RIGHT_TOP] = { 0, 1, -1, 0 },
  [CUFRAMES_ORIENTATION_RIGHT_BOTTOM] = { 0, -1, -1, 0 }, [CUFRAMES_ORIENTATION_LEFT_BOTTOM] = { 0, -1, 1, 0 },
};

/* -1, 0 or 1: next to nothing beside the largest is 0. */
static int sign(int64_t value, int64_t largest) {
  return llabs(value) * 20 < largest ? 0 : value > 0 ? 1 : -1;
}

uint8_t av_words_orientation(const int32_t matrix[9]) {
  const int64_t values[4] = { matrix[0], matrix[1], matrix[3], matrix[4] };
  int64_t largest = 0;
  for (int i = 0; i < 4; i++)
    largest = llabs(values[i]) > largest ? llabs(values[i]) : largest;
  for (uint8_t orientation = 1; orientation <= 8 && largest > 0; orientation++) {
    bool same = true;
    for (int i = 0; i < 4; i++)
      same = same && sign(values[i], largest) == turns[orientation][i];
    if (same)
      return orientation;
  }
  return CUFRAMES_ORIENTATION_NOT_SAID;
}

void av_words_matrix(uint8_t orientation, uint32_t width, uint32_t height, int32_t matrix[9]) {
  const int8_t *turn = turns[orientation >= 1 && orientation <= 8 ? orientation : 1];
  /* 16 bits before the point: a size above 32767 does not fit, and the corner is only a courtesy */
  const int32_t w = width < 32768 ? (int32_t)width * ONE : 0, h = height < 32768 ? (int32_t)height * ONE : 0;
  memset(matrix, 0, 9 * sizeof *matrix);
  matrix[0] = turn[0] * ONE;
  matrix[1] = turn[1] * ONE;
  matrix[3] = turn[2] * ONE;
  matrix[4] = turn[3] * ONE;
  matrix[6] = (turn[0] < 0 ? w : 0) + (turn[2] < 0 ? h : 0);
  matrix[7] = (turn[1] < 0 ? w : 0) + (turn[3] < 0 ? h : 0);
  matrix[8] = 1 << 30;
}

/* ---- light ---- */

/* FFmpeg has red, green, blue; the messages of H.264 and H.265, and so we, have green, blue, red. */
static const int ours_from_av[3] = { 1, 2, 0 };

/* A rational in steps of 1/steps, as the messages have it. */
static uint32_t in_steps(AVRational value, int64_t steps, uint32_t most) {
  const int64_t scaled = value.den != 0 ? av_rescale(value.num, steps, value.den) : 0;
  return scaled < 0 ? 0 : scaled > most ? most : (uint32_t)scaled;
}

cuframes_mastering_display av_words_mastering_display(const AVMasteringDisplayMetadata *display) {
  cuframes_mastering_display ours = { 0 };
  for (int i = 0; i < 6 && display->has_primaries; i++)
    ours.primaries[i] = (uint16_t)in_steps(display->display_primaries[ours_from_av[i / 2]][i % 2], 50000, UINT16_MAX);
  for (int i = 0; i < 2 && display->has_primaries; i++)
    ours.white_point[i] = (uint16_t)in_steps(display->white_point[i], 50000, UINT16_MAX);
  if (display->has_luminance) {
    ours.max_luminance = in_steps(display->max_luminance, 10000, UINT32_MAX);
    ours.min_luminance = in_steps(display->min_luminance, 10000, UINT32_MAX);
  }
  return ours;
}

cuframes_content_light av_words_content_light(const AVContentLightMetadata *light) {
  return (cuframes_content_light){ .max_content = (uint16_t)FFMIN(light->MaxCLL, UINT16_MAX),
                                   .max_average = (uint16_t)FFMIN(light->MaxFALL, UINT16_MAX) };
}

void av_words_av_mastering_display(const cuframes_mastering_display *display, AVMasteringDisplayMetadata *to) {
  for (int i = 0; i < 6; i++)
    to->display_primaries[ours_from_av[i / 2]][i % 2] = av_make_q(display->primaries[i], 50000);
  to->white_point[0] = av_make_q(display->white_point[0], 50000);
  to->white_point[1] = av_make_q(display->white_point[1], 50000);
  to->max_luminance = av_make_q((int)FFMIN(display->max_luminance, INT32_MAX), 10000);
  to->min_luminance = av_make_q((int)FFMIN(display->min_luminance, INT32_MAX), 10000);
  to->has_primaries = display->white_point[0] != 0;
  to->has_luminance = display->max_luminance != 0;
}
