/* vision/reference.c - what a preprocess must give, in double. */
#include "vision/reference.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

float half_to_float(uint16_t half) {
  int exponent = half >> 10 & 31, sign = half >> 15;
  double fraction = half & 1023, value;
  if (exponent == 0)
    value = ldexp(fraction, -24);
  else if (exponent == 31)
    value = fraction ? NAN : INFINITY;
  else
    value = ldexp(1024 + fraction, exponent - 25);
  return (float)(sign ? -value : value);
}

/* ---- pictures ---- */

static uint32_t noise(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 16;
}

static uint32_t content_at(enum test_content content, uint32_t x, uint32_t y, uint32_t most, uint32_t *state) {
  if (content == CONTENT_NOISE)
    return noise(state) % (most + 1);
  if (content == CONTENT_EXTREMES)
    return noise(state) & 1 ? most : 0;
  return (uint32_t)((0.5 + 0.25 * sin(x * 0.21) + 0.25 * cos(y * 0.17)) * most);
}

test_picture *test_picture_new(cuframes_format format, enum test_content content, uint32_t seed) {
  test_picture *p = calloc(1, sizeof *p);
  uint32_t state = seed * 2654435761u + 1;
  bool wide = false, high = format.pixel_format == CUFRAMES_PIXEL_P010;
  uint32_t most = 255;
  switch (format.pixel_format) {
    case CUFRAMES_PIXEL_P010:
    case CUFRAMES_PIXEL_YUV420P10:
    case CUFRAMES_PIXEL_YUV422P10:
      wide = true;
      most = 1023;
      break;
    case CUFRAMES_PIXEL_GRAY16:
      wide = true;
      most = 65535;
      break;
    default: break;
  }
  if (!p || cuframes_format_layout(&format, 32, NULL) != CUFRAMES_OK)
    abort();
  p->format = format;
  p->picture.format = &p->format;
  for (int i = 0; i < cuframes_pixel_format_planes(format.pixel_format); i++) {
    uint32_t row_bytes = 0, rows = 0;
    (void)cuframes_format_plane_size(&format, i, &row_bytes, &rows); /* it has this plane */
    /* Exactly as long as needed, so that a read past the end is seen by a sanitizer. */
    size_t bytes = (size_t)format.pitch[i] * (rows - 1) + row_bytes;
    p->memory[i] = malloc(bytes);
    if (!p->memory[i])
      abort();
    memset(p->memory[i], 0xee, bytes);
    for (uint32_t y = 0; y < rows; y++)
      for (uint32_t x = 0; x < row_bytes / (wide ? 2 : 1); x++) {
        uint32_t value = content_at(content, x, y, most, &state);
        char *at = (char *)p->memory[i] + (size_t)y * format.pitch[i];
        if (wide)
          ((uint16_t *)at)[x] = (uint16_t)(high ? value << 6 : value);
        else
          ((uint8_t *)at)[x] = (uint8_t)value;
      }
    p->picture.plane[i] = p->memory[i];
  }
  return p;
}

void test_picture_free(test_picture *picture) {
  for (int i = 0; picture && i < CUFRAMES_PLANES; i++)
    free(picture->memory[i]);
  free(picture);
}

/* ---- samples ---- */

/* Component k (Y, Cb, Cr or R, G, B) at sample (x, y), as a code. */
static double code_at(const cuframes_picture *p, int k, int64_t x, int64_t y) {
  const cuframes_format *f = p->format;
#define ROW(plane_) ((const uint8_t *)p->plane[plane_] + y * (int64_t)f->pitch[plane_])
#define WIDE(plane_) ((const uint16_t *)(const void *)ROW(plane_))
  switch (f->pixel_format) {
    case CUFRAMES_PIXEL_NV12: return k == 0 ? ROW(0)[x] : ROW(1)[2 * x + k - 1];
    case CUFRAMES_PIXEL_P010: return (k == 0 ? WIDE(0)[x] : WIDE(1)[2 * x + k - 1]) / 64.0;
    case CUFRAMES_PIXEL_YUV420P:
    case CUFRAMES_PIXEL_YUV422P:
    case CUFRAMES_PIXEL_YUV444P:
    case CUFRAMES_PIXEL_RGBP: return ROW(k)[x];
    case CUFRAMES_PIXEL_YUV420P10:
    case CUFRAMES_PIXEL_YUV422P10: return WIDE(k)[x];
    case CUFRAMES_PIXEL_YUYV422: return k == 0 ? ROW(0)[2 * x] : ROW(0)[4 * x + (k == 1 ? 1 : 3)];
    case CUFRAMES_PIXEL_UYVY422: return k == 0 ? ROW(0)[2 * x + 1] : ROW(0)[4 * x + (k == 1 ? 0 : 2)];
    case CUFRAMES_PIXEL_GRAY8: return ROW(0)[x];
    case CUFRAMES_PIXEL_GRAY16: return WIDE(0)[x];
    case CUFRAMES_PIXEL_RGB24: return ROW(0)[3 * x + k];
    case CUFRAMES_PIXEL_BGR24: return ROW(0)[3 * x + 2 - k];
    case CUFRAMES_PIXEL_RGBA: return ROW(0)[4 * x + k];
    case CUFRAMES_PIXEL_BGRA: return ROW(0)[4 * x + 2 - k];
    default: abort();
  }
}

static bool is_rgb(uint32_t f) {
  return f == CUFRAMES_PIXEL_RGB24 || f == CUFRAMES_PIXEL_BGR24 || f == CUFRAMES_PIXEL_RGBA ||
         f == CUFRAMES_PIXEL_BGRA || f == CUFRAMES_PIXEL_RGBP;
}

static bool is_gray(uint32_t f) {
  return f == CUFRAMES_PIXEL_GRAY8 || f == CUFRAMES_PIXEL_GRAY16;
}

static bool half_wide(uint32_t f) {
  return !is_rgb(f) && !is_gray(f) && f != CUFRAMES_PIXEL_YUV444P;
}

static bool half_high(uint32_t f) {
  return f == CUFRAMES_PIXEL_NV12 || f == CUFRAMES_PIXEL_P010 || f == CUFRAMES_PIXEL_YUV420P ||
         f == CUFRAMES_PIXEL_YUV420P10;
}

static int bits_of(uint32_t f) {
  if (f == CUFRAMES_PIXEL_GRAY16)
    return 16;
  return f == CUFRAMES_PIXEL_P010 || f == CUFRAMES_PIXEL_YUV420P10 || f == CUFRAMES_PIXEL_YUV422P10 ? 10 : 8;
}

/* ---- one component at one place ---- */

/* Samples of a row (or column): the middle of sample n is at n * apart + begin in the picture. */
typedef struct line {
  double apart, begin;
  int64_t first, last;
} line;

/* The weight of each sample from *low on for an output pixel whose middle is at `middle`, and which covers `covers`. */
static int weights(const line *l, double middle, double covers, uint32_t filter, int64_t *low, double *w, int most) {
  double at = (middle - l->begin) / l->apart, samples = covers / l->apart;
  if (filter == CUFRAMES_FILTER_LINEAR || samples <= 1) {
    *low = (int64_t)floor(at);
    w[0] = 1 - (at - floor(at));
    w[1] = at - floor(at);
    return 2;
  }
  double from = at - samples / 2, to = at + samples / 2;
  *low = (int64_t)floor(from + 0.5);
  int64_t high = (int64_t)floor(to + 0.5);
  if (high - *low >= most)
    abort();
  for (int64_t n = *low; n <= high; n++) /* sample n reaches half a sample to both sides */
    w[n - *low] = fmax(0, fmin(to, (double)n + 0.5) - fmax(from, (double)n - 0.5)) / samples;
  return (int)(high - *low + 1);
}

static int64_t clamped(int64_t n, const line *l) {
  return n < l->first ? l->first : n > l->last ? l->last : n;
}

static line line_of(double begin, double length, uint32_t size, bool half, double sited) {
  line l = { .apart = half ? 2 : 1, .begin = half ? sited : 0.5 };
  int64_t first_pixel = (int64_t)floor(begin), last_pixel = (int64_t)ceil(begin + length) - 1;
  if (last_pixel > (int64_t)size - 1)
    last_pixel = (int64_t)size - 1;
  l.first = half ? first_pixel / 2 : first_pixel;
  l.last = half ? last_pixel / 2 : last_pixel;
  return l;
}

#define TAPS 4096

static double component(const cuframes_picture *p, int k, const double crop[4], uint32_t width, uint32_t height,
                        uint32_t i, uint32_t j, uint32_t filter) {
  static _Thread_local double wx[TAPS], wy[TAPS];
  const cuframes_format *f = p->format;
  bool chroma = k > 0 && !is_rgb(f->pixel_format);
  uint32_t location = f->chroma_location ? f->chroma_location : CUFRAMES_CHROMA_LEFT;
  /* Middle of the first chroma sample in pixels: on that of pixel 0, between two, or on that of pixel 1. */
  double sited_x = 0.5, sited_y = 1;
  if (location == CUFRAMES_CHROMA_CENTER || location == CUFRAMES_CHROMA_TOP || location == CUFRAMES_CHROMA_BOTTOM)
    sited_x = 1;
  if (location == CUFRAMES_CHROMA_TOP_LEFT || location == CUFRAMES_CHROMA_TOP)
    sited_y = 0.5;
  if (location == CUFRAMES_CHROMA_BOTTOM_LEFT || location == CUFRAMES_CHROMA_BOTTOM)
    sited_y = 1.5;
  line x = line_of(crop[0], crop[2], f->width, chroma && half_wide(f->pixel_format), sited_x);
  line y = line_of(crop[1], crop[3], f->height, chroma && half_high(f->pixel_format), sited_y);
  double covers_x = crop[2] / width, covers_y = crop[3] / height, sum = 0;
  int64_t left, top;
  int columns = weights(&x, crop[0] + (i + 0.5) * covers_x, covers_x, filter, &left, wx, TAPS);
  int rows = weights(&y, crop[1] + (j + 0.5) * covers_y, covers_y, filter, &top, wy, TAPS);
  for (int b = 0; b < rows; b++)
    for (int a = 0; a < columns; a++)
      if (wx[a] * wy[b] != 0)
        sum += wx[a] * wy[b] * code_at(p, k, clamped(left + a, &x), clamped(top + b, &y));
  return sum;
}

/* ---- colour ---- */

static void matrix_of(const cuframes_format *f, double *kr, double *kb) {
  int code = f->color.matrix;
  if (code == 0 || code == 2)
    code = f->height >= 720 ? 1 : 6;
  *kr = code == 1 ? 0.2126 : code == 4 ? 0.30 : code == 7 ? 0.212 : code == 9 || code == 10 ? 0.2627 : 0.299;
  *kb = code == 1 ? 0.0722 : code == 4 ? 0.11 : code == 7 ? 0.087 : code == 9 || code == 10 ? 0.0593 : 0.114;
}

static bool full_range(const cuframes_format *f) {
  if (f->color.range == 0)
    return is_rgb(f->pixel_format) || is_gray(f->pixel_format);
  return f->color.range == 2;
}

/* 0..1 of a code of luma, R, G or B; -0.5..0.5 of chroma. */
static double level(const cuframes_format *f, double code, bool chroma) {
  double scale = ldexp(1, bits_of(f->pixel_format) - 8), most = ldexp(1, bits_of(f->pixel_format)) - 1;
  if (full_range(f))
    return chroma ? (code - 128 * scale) / most : code / most;
  return chroma ? (code - 128 * scale) / (224 * scale) : (code - 16 * scale) / (219 * scale);
}

static double cut(double value) {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

void reference_pixel(const cuframes_picture *picture, const double crop[4], uint32_t width, uint32_t height, uint32_t i,
                     uint32_t j, uint32_t filter, double rgb[3]) {
  const cuframes_format *f = picture->format;
  double e[3], kr, kb;
  bool gray = is_gray(f->pixel_format);
  for (int k = 0; k < 3; k++)
    e[k] = level(f, component(picture, gray ? 0 : k, crop, width, height, i, j, filter),
                 k > 0 && !gray && !is_rgb(f->pixel_format));
  if (!gray && !is_rgb(f->pixel_format)) {
    matrix_of(f, &kr, &kb);
    double r = e[0] + 2 * (1 - kr) * e[2], b = e[0] + 2 * (1 - kb) * e[1];
    double g = (e[0] - kr * r - kb * b) / (1 - kr - kb);
    e[0] = r;
    e[1] = g;
    e[2] = b;
  }
  for (int k = 0; k < 3; k++)
    rgb[k] = cut(255 * e[k]);
}

double reference_gray(const cuframes_picture *picture, const double crop[4], uint32_t width, uint32_t height,
                      uint32_t i, uint32_t j, uint32_t filter) {
  const cuframes_format *f = picture->format;
  if (!is_rgb(f->pixel_format))
    return cut(255 * level(f, component(picture, 0, crop, width, height, i, j, filter), false));
  double e[3];
  for (int k = 0; k < 3; k++)
    e[k] = level(f, component(picture, k, crop, width, height, i, j, filter), false);
  return cut(255 * (0.299 * e[0] + 0.587 * e[1] + 0.114 * e[2]));
}

void reference_values(const cuframes_preprocess_options *o, const cuframes_picture *picture, uint32_t x, uint32_t y,
                      double values[3]) {
  double crop[4] = { picture->crop.x, picture->crop.y, picture->crop.width, picture->crop.height };
  uint32_t width = o->width, height = o->height, left = 0, top = 0;
  if (crop[2] == 0) {
    crop[2] = picture->format->width;
    crop[3] = picture->format->height;
  }
  if (o->fit == CUFRAMES_FIT_LETTERBOX || o->fit == CUFRAMES_FIT_TOP_LEFT) {
    double r = fmin(o->width / crop[2], o->height / crop[3]);
    width = (uint32_t)fmin(o->width, fmax(1, round(crop[2] * r)));
    height = (uint32_t)fmin(o->height, fmax(1, round(crop[3] * r)));
    if (o->fit == CUFRAMES_FIT_LETTERBOX) {
      left = (o->width - width) / 2;
      top = (o->height - height) / 2;
    }
  } else if (o->fit == CUFRAMES_FIT_COVER) {
    double r = fmax(o->width / crop[2], o->height / crop[3]);
    double seen[2] = { o->width / r, o->height / r };
    crop[0] += (crop[2] - seen[0]) / 2;
    crop[1] += (crop[3] - seen[1]) / 2;
    crop[2] = seen[0];
    crop[3] = seen[1];
  }
  bool outside = x < left || y < top || x >= left + width || y >= top + height;
  if (o->channels == CUFRAMES_CHANNELS_GRAY) {
    values[0] = outside ? 0.299 * o->padding[0] + 0.587 * o->padding[1] + 0.114 * o->padding[2]
                        : reference_gray(picture, crop, width, height, x - left, y - top, o->filter);
    return;
  }
  double rgb[3] = { o->padding[0], o->padding[1], o->padding[2] };
  if (!outside)
    reference_pixel(picture, crop, width, height, x - left, y - top, o->filter, rgb);
  for (int c = 0; c < 3; c++)
    values[c] = rgb[o->channels == CUFRAMES_CHANNELS_BGR ? 2 - c : c];
}
