/* pixels.c - where the components of each pixel format lie, and how their samples become colour. */
#include "vision/pixels.h"

#include <string.h>

#include "vision/plan.h"

#define YUV(kind, bits, shift, ...)                                                                                    \
  {                                                                                                                    \
    CF_MODEL_YUV, kind, 3, bits, shift, {                                                                              \
      __VA_ARGS__                                                                                                      \
    }                                                                                                                  \
  }

static const cf_pixel pixels[] = {
  [CUFRAMES_PIXEL_NV12] = YUV(CF_PLAN_SEMIPLANAR, 8, 0, { 0, 0, 1, 0, 0 }, { 1, 0, 2, 1, 1 }, { 1, 1, 2, 1, 1 }),
  [CUFRAMES_PIXEL_P010] = YUV(CF_PLAN_SEMIPLANAR, 10, 6, { 0, 0, 2, 0, 0 }, { 1, 0, 4, 1, 1 }, { 1, 2, 4, 1, 1 }),
  [CUFRAMES_PIXEL_YUV420P] = YUV(CF_PLAN_PLANAR, 8, 0, { 0, 0, 1, 0, 0 }, { 1, 0, 1, 1, 1 }, { 2, 0, 1, 1, 1 }),
  [CUFRAMES_PIXEL_YUV422P] = YUV(CF_PLAN_PLANAR, 8, 0, { 0, 0, 1, 0, 0 }, { 1, 0, 1, 1, 0 }, { 2, 0, 1, 1, 0 }),
  [CUFRAMES_PIXEL_YUV444P] = YUV(CF_PLAN_PLANAR, 8, 0, { 0, 0, 1, 0, 0 }, { 1, 0, 1, 0, 0 }, { 2, 0, 1, 0, 0 }),
  [CUFRAMES_PIXEL_YUV420P10] = YUV(CF_PLAN_PLANAR, 10, 0, { 0, 0, 2, 0, 0 }, { 1, 0, 2, 1, 1 }, { 2, 0, 2, 1, 1 }),
  [CUFRAMES_PIXEL_YUV422P10] = YUV(CF_PLAN_PLANAR, 10, 0, { 0, 0, 2, 0, 0 }, { 1, 0, 2, 1, 0 }, { 2, 0, 2, 1, 0 }),
  [CUFRAMES_PIXEL_YUYV422] = YUV(CF_PLAN_YUYV, 8, 0, { 0, 0, 2, 0, 0 }, { 0, 1, 4, 1, 0 }, { 0, 3, 4, 1, 0 }),
  [CUFRAMES_PIXEL_UYVY422] = YUV(CF_PLAN_YUYV, 8, 0, { 0, 1, 2, 0, 0 }, { 0, 0, 4, 1, 0 }, { 0, 2, 4, 1, 0 }),
  [CUFRAMES_PIXEL_GRAY8] = { CF_MODEL_GRAY, CF_PLAN_GRAY, 1, 8, 0, { { 0, 0, 1, 0, 0 } } },
  [CUFRAMES_PIXEL_GRAY16] = { CF_MODEL_GRAY, CF_PLAN_GRAY, 1, 16, 0, { { 0, 0, 2, 0, 0 } } },
  [CUFRAMES_PIXEL_RGB24] = { CF_MODEL_RGB,
                             CF_PLAN_PACKED,
                             3,
                             8,
                             0,
                             { { 0, 0, 3, 0, 0 }, { 0, 1, 3, 0, 0 }, { 0, 2, 3, 0, 0 } } },
  [CUFRAMES_PIXEL_BGR24] = { CF_MODEL_RGB,
                             CF_PLAN_PACKED,
                             3,
                             8,
                             0,
                             { { 0, 2, 3, 0, 0 }, { 0, 1, 3, 0, 0 }, { 0, 0, 3, 0, 0 } } },
  [CUFRAMES_PIXEL_RGBA] = { CF_MODEL_RGB,
                            CF_PLAN_PACKED,
                            4,
                            8,
                            0,
                            { { 0, 0, 4, 0, 0 }, { 0, 1, 4, 0, 0 }, { 0, 2, 4, 0, 0 }, { 0, 3, 4, 0, 0 } } },
  [CUFRAMES_PIXEL_BGRA] = { CF_MODEL_RGB,
                            CF_PLAN_PACKED,
                            4,
                            8,
                            0,
                            { { 0, 2, 4, 0, 0 }, { 0, 1, 4, 0, 0 }, { 0, 0, 4, 0, 0 }, { 0, 3, 4, 0, 0 } } },
  [CUFRAMES_PIXEL_RGBP] = { CF_MODEL_RGB,
                            CF_PLAN_PLANAR,
                            3,
                            8,
                            0,
                            { { 0, 0, 1, 0, 0 }, { 1, 0, 1, 0, 0 }, { 2, 0, 1, 0, 0 } } },
};

const cf_pixel *cf_pixel_of(uint32_t pixel_format) {
  return pixel_format < sizeof pixels / sizeof pixels[0] && pixels[pixel_format].components ? &pixels[pixel_format]
                                                                                            : NULL;
}

/* ---- colour ---- */

/* Code points of H.273. */
enum { MATRIX_709 = 1, MATRIX_NOT_SAID = 2, MATRIX_FCC = 4, MATRIX_601 = 5, MATRIX_601_525 = 6, MATRIX_240M = 7 };
enum { MATRIX_2020 = 9, MATRIX_2020_CONSTANT = 10 };
enum { RANGE_NOT_SAID = 0, RANGE_FULL = 2 };
#define ROWS_OF_HD 720

static const struct {
  uint8_t code, same_as;
  double kr, kb;
} matrices[] = {
  { MATRIX_709, MATRIX_709, 0.2126, 0.0722 },
  { MATRIX_FCC, MATRIX_FCC, 0.30, 0.11 },
  { MATRIX_601, MATRIX_601, 0.299, 0.114 },
  { MATRIX_601_525, MATRIX_601, 0.299, 0.114 },
  { MATRIX_240M, MATRIX_240M, 0.212, 0.087 },
  { MATRIX_2020, MATRIX_2020, 0.2627, 0.0593 },
  { MATRIX_2020_CONSTANT, MATRIX_2020, 0.2627, 0.0593 },
};

bool cf_colour_of(const cuframes_format *format, cf_colour *colour) {
  const cf_pixel *pixel = cf_pixel_of(format->pixel_format);
  cf_colour c = { .full = format->color.range == RANGE_FULL };
  if (format->color.range == RANGE_NOT_SAID)
    c.full = pixel->model != CF_MODEL_YUV;
  if (pixel->model != CF_MODEL_YUV) {
    *colour = c;
    return true;
  }
  uint8_t code = format->color.matrix;
  if (code == 0 || code == MATRIX_NOT_SAID)
    code = format->height >= ROWS_OF_HD ? MATRIX_709 : MATRIX_601;
  for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
    if (matrices[i].code == code) {
      c.matrix = matrices[i].same_as;
      c.kr = matrices[i].kr;
      c.kb = matrices[i].kb;
      *colour = c;
      return true;
    }
  return false;
}

/* Codes of black and of the whole range of luma (or R, G, B), and of chroma: H.273 equations 20 to 34. */
typedef struct code_range {
  double luma_zero, luma, chroma_zero, chroma;
} code_range;

static code_range range_of(const cf_pixel *pixel, const cf_colour *colour) {
  double unit = (double)(1u << (pixel->bits - 8)), most = (double)((1u << pixel->bits) - 1);
  if (colour->full)
    return (code_range){ 0, most, 128 * unit, most };
  return (code_range){ 16 * unit, 219 * unit, 128 * unit, 224 * unit };
}

void cf_colour_to_rgb(const cf_pixel *pixel, const cf_colour *colour, double m[3][4]) {
  code_range r = range_of(pixel, colour);
  double y = 255 / r.luma, c = 255 / r.chroma, kg = 1 - colour->kr - colour->kb;
  memset(m, 0, 3 * sizeof m[0]);
  for (int i = 0; i < 3; i++) {
    m[i][pixel->model == CF_MODEL_RGB ? i : 0] = y;
    m[i][3] = -r.luma_zero * y;
  }
  if (pixel->model != CF_MODEL_YUV)
    return;
  m[0][2] = 2 * (1 - colour->kr) * c;
  m[1][1] = -2 * colour->kb * (1 - colour->kb) / kg * c;
  m[1][2] = -2 * colour->kr * (1 - colour->kr) / kg * c;
  m[2][1] = 2 * (1 - colour->kb) * c;
  for (int i = 0; i < 3; i++)
    m[i][3] -= r.chroma_zero * (m[i][1] + m[i][2]);
}

void cf_colour_from_rgb(const cf_pixel *pixel, const cf_colour *colour, double m[3][4]) {
  code_range r = range_of(pixel, colour);
  double kr = pixel->model == CF_MODEL_YUV ? colour->kr : 0.299, kb = pixel->model == CF_MODEL_YUV ? colour->kb : 0.114;
  const double weights[3] = { kr, 1 - kr - kb, kb };
  double y = r.luma / 255, c = r.chroma / 255;
  memset(m, 0, 3 * sizeof m[0]);
  if (pixel->model == CF_MODEL_RGB) {
    for (int i = 0; i < 3; i++) {
      m[i][i] = y;
      m[i][3] = r.luma_zero;
    }
    return;
  }
  for (int i = 0; i < 3; i++) {
    m[0][i] = weights[i] * y;
    m[1][i] = ((i == 2) - weights[i]) / (2 * (1 - kb)) * c;
    m[2][i] = ((i == 0) - weights[i]) / (2 * (1 - kr)) * c;
  }
  m[0][3] = r.luma_zero;
  m[1][3] = m[2][3] = r.chroma_zero;
}

void cf_colour_to_luma(const cf_pixel *pixel, const cf_colour *colour, double m[3][4]) {
  static const double weights[3] = { 0.299, 0.587, 0.114 };
  double rgb[3][4];
  cf_colour_to_rgb(pixel, colour, rgb);
  memset(m, 0, 3 * sizeof m[0]);
  if (pixel->model == CF_MODEL_RGB)
    for (int i = 0; i < 3; i++)
      for (int k = 0; k < 4; k++)
        m[0][k] += weights[i] * rgb[i][k];
  else {
    m[0][0] = rgb[0][0];
    m[0][3] = -range_of(pixel, colour).luma_zero * rgb[0][0];
  }
}

void cf_colour_chain(double second[3][4], double first[3][4], double m[3][4]) {
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 4; k++) {
      m[i][k] = k == 3 ? second[i][3] : 0;
      for (int j = 0; j < 3; j++)
        m[i][k] += second[i][j] * first[j][k];
    }
}

void cf_chroma_shift(const cf_pixel *pixel, uint32_t location, double *x, double *y) {
  static const double x_of[] = {
    [CUFRAMES_CHROMA_LEFT] = -0.25, [CUFRAMES_CHROMA_CENTER] = 0,          [CUFRAMES_CHROMA_TOP_LEFT] = -0.25,
    [CUFRAMES_CHROMA_TOP] = 0,      [CUFRAMES_CHROMA_BOTTOM_LEFT] = -0.25, [CUFRAMES_CHROMA_BOTTOM] = 0
  };
  static const double y_of[] = {
    [CUFRAMES_CHROMA_LEFT] = 0,    [CUFRAMES_CHROMA_CENTER] = 0,         [CUFRAMES_CHROMA_TOP_LEFT] = -0.25,
    [CUFRAMES_CHROMA_TOP] = -0.25, [CUFRAMES_CHROMA_BOTTOM_LEFT] = 0.25, [CUFRAMES_CHROMA_BOTTOM] = 0.25
  };
  if (location == CUFRAMES_CHROMA_NOT_SAID || location > CUFRAMES_CHROMA_BOTTOM)
    location = CUFRAMES_CHROMA_LEFT;
  *x = pixel->component[1].shift_x ? x_of[location] : 0;
  *y = pixel->component[1].shift_y ? y_of[location] : 0;
}
