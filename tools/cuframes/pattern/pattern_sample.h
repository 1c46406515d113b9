/* pattern_sample.h - one sample of the test picture, from numbers alone: what a GPU computes in each of its threads.
 *
 * pattern.h has the formula, pattern.c draws and checks with it row by row; this must give the same, bit for bit.
 * kernel/pattern.cu is made of it, and so is the kernel of that name in the tests' CUDA stand-in: there pattern.c
 * checks it without a GPU. */
#ifndef CUFRAMES_CLI_PATTERN_SAMPLE_H
#define CUFRAMES_CLI_PATTERN_SAMPLE_H

#include <stdint.h>

#include <cuframes/format.h>

#ifndef PATTERN_FUNCTION
#define PATTERN_FUNCTION static inline
#endif

/* The kernel: its name, and its parameters, all uint64_t: the addresses of planes 0, 1 and 2, the pitch of plane 0, the
 * one of the others, width | height << 32, the pixel format and the picture's number. Thread (x, y) of grid layer z
 * makes the sample at (x, y) of plane z; threads outside of it do nothing. */
#define PATTERN_KERNEL "cuframes_pattern"
#define PATTERN_KERNEL_PARAMETERS 8

PATTERN_FUNCTION uint32_t pattern_plane_count(uint32_t format) {
  switch (format) {
    case CUFRAMES_PIXEL_NV12:
    case CUFRAMES_PIXEL_P010: return 2;
    case CUFRAMES_PIXEL_YUV420P:
    case CUFRAMES_PIXEL_YUV422P:
    case CUFRAMES_PIXEL_YUV444P:
    case CUFRAMES_PIXEL_YUV420P10:
    case CUFRAMES_PIXEL_YUV422P10:
    case CUFRAMES_PIXEL_RGBP: return 3;
    default: return format > CUFRAMES_PIXEL_NONE && format <= CUFRAMES_PIXEL_RGBP;
  }
}

PATTERN_FUNCTION int pattern_is_pair(uint32_t format) {
  return format == CUFRAMES_PIXEL_NV12 || format == CUFRAMES_PIXEL_P010;
}

/* Of luma and chroma in one plane, two pixels in a sample. */
PATTERN_FUNCTION int pattern_is_packed(uint32_t format) {
  return format == CUFRAMES_PIXEL_YUYV422 || format == CUFRAMES_PIXEL_UYVY422;
}

PATTERN_FUNCTION int pattern_is_rgb(uint32_t format) {
  switch (format) {
    case CUFRAMES_PIXEL_RGB24:
    case CUFRAMES_PIXEL_RGBA:
    case CUFRAMES_PIXEL_BGRA:
    case CUFRAMES_PIXEL_BGR24:
    case CUFRAMES_PIXEL_RGBP: return 1;
    default: return 0;
  }
}

/* How much smaller than the picture a plane is, as a power of two. */
PATTERN_FUNCTION uint32_t pattern_shift_x(uint32_t format, uint32_t plane) {
  if (plane == 0)
    return (uint32_t)pattern_is_packed(format);
  return format != CUFRAMES_PIXEL_YUV444P && format != CUFRAMES_PIXEL_RGBP;
}

PATTERN_FUNCTION uint32_t pattern_shift_y(uint32_t format, uint32_t plane) {
  return pattern_shift_x(format, plane) && !pattern_is_packed(format) && format != CUFRAMES_PIXEL_YUV422P &&
         format != CUFRAMES_PIXEL_YUV422P10;
}

PATTERN_FUNCTION uint32_t pattern_components(uint32_t format, uint32_t plane) {
  if (format == CUFRAMES_PIXEL_RGB24 || format == CUFRAMES_PIXEL_BGR24)
    return 3;
  if (format == CUFRAMES_PIXEL_RGBA || format == CUFRAMES_PIXEL_BGRA || pattern_is_packed(format))
    return 4;
  return plane > 0 && pattern_is_pair(format) ? 2 : 1;
}

PATTERN_FUNCTION uint32_t pattern_component_bytes(uint32_t format) {
  return format == CUFRAMES_PIXEL_P010 || format == CUFRAMES_PIXEL_GRAY16 || format == CUFRAMES_PIXEL_YUV420P10 ||
                 format == CUFRAMES_PIXEL_YUV422P10
             ? 2
             : 1;
}

PATTERN_FUNCTION uint32_t pattern_sample_bytes(uint32_t format, uint32_t plane) {
  return pattern_components(format, plane) * pattern_component_bytes(format);
}

/* The stamp's block, or 0 if the picture is too small for a stamp. */
PATTERN_FUNCTION uint32_t pattern_block(uint32_t width, uint32_t height) {
  uint32_t across = width / 96, down = height / 60, block = across < down ? across : down;
  block = (block > 64 ? 64 : block) & ~1u;
  return width < 36 || height < 24 ? 0 : block < 2 ? 2 : block;
}

PATTERN_FUNCTION int pattern_bit(uint64_t number, uint32_t column, uint32_t row) {
  uint32_t bit = 15 - column;
  if (row < 2)
    return 0x5CF7A93Eu >> (16 * (1 - row) + bit) & 1;
  if (row < 6)
    return (int)(number >> (16 * (5 - row) + bit) & 1);
  return (int)(((number * 0x9E3779B97F4A7C15u >> 48) ^ 0x5AA5) >> bit & 1);
}

/* The dot in column 0..31 and row 0..5 of the digits; fifteen bits a digit, the top left one first. */
PATTERN_FUNCTION int pattern_dot(uint64_t number, uint32_t column, uint32_t row) {
  uint32_t position = column / 4, x = column % 4, digits = (uint32_t)(number % 100000000);
  if (row == 0 || x == 3)
    return 0;
  for (uint32_t i = position; i < 7; i++)
    digits /= 10;
  uint32_t shape = 0;
  switch (digits % 10) {
    case 0: shape = 0x7B6F; break;
    case 1: shape = 0x2C97; break;
    case 2: shape = 0x73E7; break;
    case 3: shape = 0x73CF; break;
    case 4: shape = 0x5BC9; break;
    case 5: shape = 0x79CF; break;
    case 6: shape = 0x79EF; break;
    case 7: shape = 0x7252; break;
    case 8: shape = 0x7BEF; break;
    default: shape = 0x7BCF; break;
  }
  return (int)(shape >> (14 - 3 * (row - 1) - x) & 1);
}

/* What the stamp shows at the pixel (x, y), in a plane of these shifts: 1 white, 0 black, -1 it is not there. */
PATTERN_FUNCTION int pattern_stamp(uint32_t shift_x, uint32_t shift_y, uint32_t width, uint32_t height, uint64_t number,
                                   uint32_t x, uint32_t y) {
  uint32_t block = pattern_block(width, height), half = block / 2;
  uint32_t left = block >> shift_x, top = block >> shift_y;
  if (x < left || y < top || x - left >= 16 * block >> shift_x || y - top >= 10 * block >> shift_y)
    return -1;
  x = (x - left) << shift_x;
  y = (y - top) << shift_y;
  return y < 7 * block ? pattern_bit(number, x / block, y / block)
                       : pattern_dot(number, x / half, (y - 7 * block) / half);
}

/* Where component c begins on the wave; alpha, the fourth, is constant. */
PATTERN_FUNCTION uint32_t pattern_offset(uint32_t format, uint32_t plane, uint32_t c) {
  if (pattern_is_rgb(format)) {
    uint32_t color = format == CUFRAMES_PIXEL_RGBP                                     ? plane
                     : format == CUFRAMES_PIXEL_BGRA || format == CUFRAMES_PIXEL_BGR24 ? 2 - c
                                                                                       : c;
    return color == 0 ? 0 : color == 1 ? 171 : 341;
  }
  return c == 1 || plane == 2 ? 128 : 0;
}

PATTERN_FUNCTION uint32_t pattern_wave(uint32_t at) {
  at &= 511;
  return at < 256 ? at : 511 - at;
}

/* The four bytes of the pair x of a packed row: luma and chroma as in planes of their own. */
PATTERN_FUNCTION void pattern_pair(uint8_t *to, uint32_t format, uint32_t width, uint32_t height, uint64_t number,
                                   uint32_t x, uint32_t y) {
  uint32_t n = (uint32_t)(number & 511), luma = format == CUFRAMES_PIXEL_UYVY422, chroma = 1 - luma;
  for (uint32_t k = 0; k < 2; k++) {
    int stamp = pattern_stamp(0, 0, width, height, number, 2 * x + k, y);
    uint32_t bright = pattern_wave(2 * x + k + y + 3 * n), color = pattern_wave(((x - y - 5 * n) << 1) + 128 * k);
    to[luma + 2 * k] = (uint8_t)(stamp < 0 ? 16 + (bright * 55 >> 6) : stamp ? 235u : 16u);
    to[chroma + 2 * k] = (uint8_t)(stamp < 0 ? 16 + (color * 55 >> 6) : 128u);
  }
}

/* Writes a component of a value of 8 bits. */
PATTERN_FUNCTION void pattern_put(uint8_t *to, uint32_t format, uint32_t c, uint32_t value) {
  if (pattern_component_bytes(format) == 1) {
    to[c] = (uint8_t)value;
    return;
  }
  value *= 257;
  value = format == CUFRAMES_PIXEL_P010 ? value & 0xffc0 : format == CUFRAMES_PIXEL_GRAY16 ? value : value >> 6;
  to[2 * c] = (uint8_t)value;
  to[2 * c + 1] = (uint8_t)(value >> 8);
}

/* Writes the sample at (x, y) of a plane to `to`, in bytes. width and height are the picture's. */
PATTERN_FUNCTION void pattern_sample(uint8_t *to, uint32_t format, uint32_t plane, uint32_t width, uint32_t height,
                                     uint64_t number, uint32_t x, uint32_t y) {
  if (pattern_is_packed(format)) {
    pattern_pair(to, format, width, height, number, x, y);
    return;
  }
  uint32_t shift_x = pattern_shift_x(format, plane);
  int stamp = pattern_stamp(shift_x, pattern_shift_y(format, plane), width, height, number, x, y);
  int rgb = pattern_is_rgb(format), first = plane == 0 || rgb;
  uint32_t n = (uint32_t)(number & 511); /* the wave is 512 long */
  uint32_t phase = first ? x + y + 3 * n : (x - y - 5 * n) << shift_x;
  for (uint32_t c = 0; c < pattern_components(format, plane); c++) {
    uint32_t value = pattern_wave(phase + pattern_offset(format, plane, c));
    if (c == 3)
      value = 255;
    else if (stamp >= 0)
      value = !first ? 128 : rgb ? (stamp ? 255 : 0) : stamp ? 235 : 16;
    else if (!rgb)
      value = 16 + (value * 55 >> 6);
    pattern_put(to, format, c, value);
  }
}

#endif
