/* pixels.h - where the components of each pixel format lie, and how their samples become colour. */
#ifndef CF_VISION_PIXELS_H
#define CF_VISION_PIXELS_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/format.h>

typedef enum cf_model { CF_MODEL_YUV, CF_MODEL_GRAY, CF_MODEL_RGB } cf_model;

typedef struct cf_pixel_component {
  uint8_t plane, offset, step; /* bytes from the start of the plane, and from sample to sample */
  uint8_t shift_x, shift_y;    /* a sample stands for 1 << shift pixels */
} cf_pixel_component;

typedef struct cf_pixel {
  cf_model model;
  uint8_t kind;                    /* enum cf_plan_kind */
  uint8_t components;              /* 1, 3, or 4 with alpha */
  uint8_t bits;                    /* of a code */
  uint8_t shift;                   /* a sample is its code shifted left so many bits */
  cf_pixel_component component[4]; /* Y, Cb, Cr or R, G, B, and A */
} cf_pixel;

/* NULL for a format that is no picture. */
const cf_pixel *cf_pixel_of(uint32_t pixel_format);

/* Bytes of a sample. */
static inline uint32_t cf_pixel_bytes(const cf_pixel *pixel) {
  return pixel->bits > 8 ? 2 : 1;
}

/* What a picture says of its colour, with the rules for what it does not say. */
typedef struct cf_colour {
  double kr, kb;  /* of the matrix; unused for gray and RGB */
  uint8_t matrix; /* one number for all matrices that are the same; 0 for gray and RGB */
  bool full;
} cf_colour;

/* False for a matrix that is not known. */
bool cf_colour_of(const cuframes_format *format, cf_colour *colour);

/* Rows from codes of the format (Y, Cb, Cr or R, G, B; gray: the first column counts) to R, G and B of 0..255; the last
 * column is the constant. ITU-T H.273, 8.3. */
void cf_colour_to_rgb(const cf_pixel *pixel, const cf_colour *colour, double m[3][4]);
/* The other way round; for gray, row 0 is the luma of BT.601. */
void cf_colour_from_rgb(const cf_pixel *pixel, const cf_colour *colour, double m[3][4]);
/* Row 0 alone: the luma of 0..255. */
void cf_colour_to_luma(const cf_pixel *pixel, const cf_colour *colour, double m[3][4]);
/* first, then second. */
void cf_colour_chain(double second[3][4], double first[3][4], double m[3][4]);

/* How far a chroma sample of a subsampled format lies from the middle of what it stands for, in its own samples: -0.25
 * for the left of two. */
void cf_chroma_shift(const cf_pixel *pixel, uint32_t location, double *x, double *y);

#endif
