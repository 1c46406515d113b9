/* plan.h - what is worked out once for a picture, on the CPU, and used alike by the loops of the host and by the
 * kernels of a GPU: plain data, no pointers but addresses. planner.h makes it; this header is read by device code, too,
 * so it needs <stdint.h> alone.
 *
 * Geometry. Along one direction of one component (Y, Cb, Cr, R, ...) an output pixel i sees a window of samples:
 *
 *   low = start + i * step      high = low + window       64 bits, the low 32 of them a fraction of a sample
 *
 * Sample k covers k..k+1. The pixel is the mean over low..high: samples k = low >> 32 .. (high - 1) >> 32, each
 * weighted with the part of it that the window covers, divided by the window; a sample outside of first..last is the
 * nearest of those. A window of one sample is linear interpolation between two, with the fraction of low as the weight
 * of the second: so there is one rule for both filters, and for what becomes larger. Positions are whole numbers, so
 * host and GPU see the same samples with the same weights. The window is never less than one sample.
 *
 * The two directions are separate: the mean along x of the rows, then along y of those (any order gives the same but
 * for rounding). A sum over more than some thousand 16-bit samples needs more than a float: add up in parts.
 *
 * Colour. value[r] = matrix[r][0..2] . component[0..2] + matrix[r][3], in float32, from raw samples as they lie there
 * (P010's are 64 times the code).
 */
#ifndef CF_VISION_PLAN_H
#define CF_VISION_PLAN_H

#include <stdint.h>

#define CF_PLAN_ONE (INT64_C(1) << 32) /* one sample, in fixed point */

typedef struct cf_plan_axis {
  int64_t start, step, window;
  int32_t first, last; /* samples that may be used, both inclusive */
} cf_plan_axis;

typedef struct cf_plan_component {
  uint64_t base;        /* address of sample (0, 0) of the picture */
  uint32_t pitch, step; /* bytes to the next row, to the next sample: NV12's Cb has step 2, YUYV's Y 2 and Cb 4 */
  cf_plan_axis x, y;
} cf_plan_component;

/* How the components lie, for loops that are made for it. Components of the same kind of plane share their axes. */
enum cf_plan_kind {
  CF_PLAN_NONE = 0,       /* no picture: padding, or a rectangle of the colour */
  CF_PLAN_GRAY = 1,       /* component 0 alone, step = sample_bytes */
  CF_PLAN_PLANAR = 2,     /* Y, Cb, Cr in planes of their own, step = sample_bytes; also R, G, B */
  CF_PLAN_SEMIPLANAR = 3, /* NV12, P010: Cb and Cr side by side in one plane, component[2].base = [1].base + sample */
  CF_PLAN_PACKED = 4,     /* R, G, B (and A) of a pixel side by side, 3 or 4 bytes, all with the same axes */
  CF_PLAN_YUYV = 5        /* YUYV, UYVY: 4 bytes for two pixels */
};

typedef struct cf_plan {
  cf_plan_component component[4]; /* Y, Cb, Cr or R, G, B, and A */
  uint32_t kind;                  /* enum cf_plan_kind */
  uint32_t components;            /* that are filled in: 1, 3, or 4 with alpha (compositor only) */
  uint32_t used;                  /* bit k: component k has a factor in the matrix, or is alpha; others need no look */
  uint32_t sample_bytes;          /* 1 or 2 */
  uint32_t values;                /* rows of the matrix that count, 1..3 */
  /* Preprocess: to R, G, B (or B, G, R, or gray) in 0..255, in the order of the tensor's channels.
   * Compositor: to codes of the output (10 bits: 0..1023), in the order of its components; the identity where the
   * colour is the same. */
  float matrix[3][4];
  int32_t x, y;           /* the tile in the output: pixels of a tensor, samples of a picture's components */
  uint32_t width, height; /* may stick out of a picture; never out of a tensor */
} cf_plan;

/* What becomes of the values of all pictures of a preprocess. */
typedef struct cf_plan_tensor {
  uint32_t width, height, channels; /* channels: 1 or 3 */
  uint32_t layout, element;         /* enum cuframes_layout, enum cuframes_element */
  float multiply[3], add[3];        /* element = min(max(value, 0), 255) * multiply + add, by channel of the tensor */
  float padding[3];                 /* values 0..255, by channel of the tensor; multiply and add come on top */
} cf_plan_tensor;

/* One component of a picture that is written to. */
typedef struct cf_surface_component {
  uint64_t base;            /* address of sample (0, 0) */
  uint32_t pitch, step;     /* as in cf_plan_component */
  uint32_t width, height;   /* samples */
  uint32_t first_row, rows; /* those that are to be written: all, or a part's */
  uint32_t black;           /* code of black */
} cf_surface_component;

typedef struct cf_surface {
  cf_surface_component component[4];
  uint32_t kind;         /* enum cf_plan_kind */
  uint32_t components;   /* 1, 3, or 4: the fourth is alpha, and always `most` */
  uint32_t sample_bytes; /* 1 or 2 */
  uint32_t shift;        /* a sample is its code shifted left so many bits: 6 for P010, else 0 */
  uint32_t most;         /* largest code */
  uint32_t groups;       /* 1, or 2 if chroma has a grid of its own: then group 0 is Y and group 1 is Cb and Cr */
} cf_surface;

/* A layer of a compositor. Each group of output components that share a grid of samples has a plan of its own, whose
 * values go to those components of the surface: YUV 4:2:0 and 4:2:2 have two (component 0; 1 and 2), all others one.
 * After this layer
 *   code = floor(old + (min(max(value, 0), most) - old) * alpha + 0.5)
 * with alpha = opacity, or opacity * (alpha component) / 255 if the plan has four components. A width or height of 0
 * draws nothing. */
typedef struct cf_plan_layer {
  cf_plan group[2];
  float color[3]; /* codes of the output's components; for CF_PLAN_NONE */
  float opacity;  /* 0..1 */
} cf_plan_layer;

#endif
