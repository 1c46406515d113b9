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
    case CUFRAMES_PIXEL_YUV444P: return 3;
    default: return format > CUFRAMES_PIXEL_NONE && format <= CUFRAMES_PIXEL_BGRA;
  }
}

PATTERN_FUNCTION int pattern_is_pair(uint32_t format) {
  return format == CUFRAMES_PIXEL_NV12 || format == CUFRAMES_PIXEL_P010;
}

/* How much smaller than the picture a plane is, as a power of two. */
PATTERN_FUNCTION uint32_t pattern_shift_x(uint32_t format, uint32_t plane) {
  return plane > 0 && format != CUFRAMES_PIXEL_YUV444P;
}

PATTERN_FUNCTION uint32_t pattern_shift_y(uint32_t format, uint32_t plane) {
  return plane > 0 && format != CUFRAMES_PIXEL_YUV444P && format != CUFRAMES_PIXEL_YUV422P;
}

PATTERN_FUNCTION uint32_t pattern_components(uint32_t format, uint32_t plane) {
  if (format >= CUFRAMES_PIXEL_RGB24)
    return format == CUFRAMES_PIXEL_RGB24 ? 3 : 4;
  return plane > 0 && pattern_is_pair(format) ? 2 : 1;
}

PATTERN_FUNCTION uint32_t pattern_sample_bytes(uint32_t format, uint32_t plane) {
  return pattern_components(format, plane) * (format == CUFRAMES_PIXEL_P010 ? 2 : 1);
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

/* What the stamp shows at (x, y), samples of this plane: 1 white, 0 black, -1 it is not there. */
PATTERN_FUNCTION int pattern_stamp(uint32_t format, uint32_t plane, uint32_t width, uint32_t height, uint64_t number,
                                   uint32_t x, uint32_t y) {
  uint32_t block = pattern_block(width, height), half = block / 2;
  uint32_t shift_x = pattern_shift_x(format, plane), shift_y = pattern_shift_y(format, plane);
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
  if (format >= CUFRAMES_PIXEL_RGB24) {
    uint32_t color = format == CUFRAMES_PIXEL_BGRA ? 2 - c : c;
    return color == 0 ? 0 : color == 1 ? 171 : 341;
  }
  return c == 1 || plane == 2 ? 128 : 0;
}

/* Writes the sample at (x, y) of a plane to `to`, in bytes. width and height are the picture's. */
PATTERN_FUNCTION void pattern_sample(uint8_t *to, uint32_t format, uint32_t plane, uint32_t width, uint32_t height,
                                     uint64_t number, uint32_t x, uint32_t y) {
  int stamp = pattern_stamp(format, plane, width, height, number, x, y), rgb = format >= CUFRAMES_PIXEL_RGB24;
  uint32_t n = (uint32_t)(number & 511); /* the wave is 512 long */
  uint32_t phase = plane == 0 ? x + y + 3 * n : (x - y - 5 * n) << pattern_shift_x(format, plane);
  for (uint32_t c = 0; c < pattern_components(format, plane); c++) {
    uint32_t at = (phase + pattern_offset(format, plane, c)) & 511, value = at < 256 ? at : 511 - at;
    if (c == 3)
      value = 255;
    else if (stamp >= 0)
      value = plane > 0 ? 128 : rgb ? (stamp ? 255 : 0) : stamp ? 235 : 16;
    else if (!rgb)
      value = 16 + (value * 55 >> 6);
    if (format == CUFRAMES_PIXEL_P010) {
      value = value * 257 & 0xffc0;
      to[2 * c] = (uint8_t)value;
      to[2 * c + 1] = (uint8_t)(value >> 8);
    } else {
      to[c] = (uint8_t)value;
    }
  }
}

#endif
