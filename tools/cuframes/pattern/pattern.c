/* pattern.c - draws and checks the stamped test picture; the formula stands in pattern.h.
 *
 * A row of the background is a template of one wave, shifted: drawing is memcpy, checking is memcmp, and both are
 * the same walk over the picture. Nothing is allocated. */
#include "pattern.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define WAVE 512      /* values before the wave comes again */
#define TEMPLATE 4096 /* samples of wave kept ready: rows up to TEMPLATE - WAVE samples take one copy */
#define MAGIC 0x5CF7A93Eu
#define COLUMNS 16 /* blocks */
#define BIT_ROWS 7
#define STAMP_ROWS 10
#define BLOCK_MAX 64
#define SAMPLE_MAX 4 /* bytes of one sample: all components of one place in a plane */

/* How a value of 8 bits becomes a component. */
enum component_bits { BITS_8, BITS_16, BITS_10_HIGH, BITS_10_LOW };

/* One plane: what a sample consists of. offset[c] is the component's place on the wave, ALPHA is constant. */
#define ALPHA 0xffff
typedef struct layout {
  uint8_t components;
  uint8_t bits; /* enum component_bits */
  bool luma;    /* holds the stamp's black and white */
  bool rgb;
  uint8_t shift_x, shift_y; /* plane samples to pixels, as a power of two */
  uint16_t offset[4];
} layout;

static bool plane_layout(uint32_t pixel_format, int plane, layout *l) {
  static const layout rgb24 = { 3, BITS_8, true, true, 0, 0, { 0, 171, 341 } };
  static const layout bgr24 = { 3, BITS_8, true, true, 0, 0, { 341, 171, 0 } };
  static const layout rgba = { 4, BITS_8, true, true, 0, 0, { 0, 171, 341, ALPHA } };
  static const layout bgra = { 4, BITS_8, true, true, 0, 0, { 341, 171, 0, ALPHA } };
  uint8_t shift_x = 0, shift_y = 0, bits = BITS_8, components = 1;
  switch (pixel_format) {
    case CUFRAMES_PIXEL_RGB24: *l = rgb24; return true;
    case CUFRAMES_PIXEL_BGR24: *l = bgr24; return true;
    case CUFRAMES_PIXEL_RGBA: *l = rgba; return true;
    case CUFRAMES_PIXEL_BGRA: *l = bgra; return true;
    case CUFRAMES_PIXEL_RGBP: *l = (layout){ 1, BITS_8, true, true, 0, 0, { rgb24.offset[plane] } }; return true;
    case CUFRAMES_PIXEL_NV12: components = 2, shift_x = shift_y = 1; break;
    case CUFRAMES_PIXEL_P010: bits = BITS_10_HIGH, components = 2, shift_x = shift_y = 1; break;
    case CUFRAMES_PIXEL_YUV420P10: bits = BITS_10_LOW, shift_x = shift_y = 1; break;
    case CUFRAMES_PIXEL_YUV422P10: bits = BITS_10_LOW, shift_x = 1; break;
    case CUFRAMES_PIXEL_GRAY16: bits = BITS_16; break;
    case CUFRAMES_PIXEL_YUV420P: shift_x = shift_y = 1; break;
    case CUFRAMES_PIXEL_YUV422P: shift_x = 1; break;
    case CUFRAMES_PIXEL_YUYV422:
    case CUFRAMES_PIXEL_UYVY422: /* luma; walk_packed() knows of the rest */
    case CUFRAMES_PIXEL_YUV444P:
    case CUFRAMES_PIXEL_GRAY8: break;
    default: return false;
  }
  *l = (layout){ 1, bits, true, false, 0, 0, { 0 } };
  if (plane > 0)
    *l = (layout){ components, bits, false, false, shift_x, shift_y, { plane == 2 ? 128 : 0, 128 } };
  return true;
}

static bool is_packed(uint32_t pixel_format) {
  return pixel_format == CUFRAMES_PIXEL_YUYV422 || pixel_format == CUFRAMES_PIXEL_UYVY422;
}

static size_t component_bytes(const layout *l) {
  return l->bits == BITS_8 ? 1 : 2;
}

static size_t sample_bytes(const layout *l) {
  return l->components * component_bytes(l);
}

static uint8_t *put_component(uint8_t *to, const layout *l, uint32_t value) {
  if (l->bits == BITS_8) {
    *to++ = (uint8_t)value;
    return to;
  }
  value = l->bits == BITS_16 ? value * 257 : l->bits == BITS_10_LOW ? value * 257 >> 6 : value * 257 & 0xffc0;
  *to++ = (uint8_t)value;
  *to++ = (uint8_t)(value >> 8);
  return to;
}

/* The value of 8 bits again. */
static uint32_t get_component(const uint8_t *from, const layout *l) {
  return l->bits == BITS_8 ? from[0] : l->bits == BITS_10_LOW ? (from[0] | (uint32_t)from[1] << 8) >> 2 : from[1];
}

static uint32_t wave(uint32_t at) {
  at %= WAVE;
  return at < 256 ? at : 511 - at;
}

static uint32_t limited(uint32_t value) {
  return 16 + (value * 55 >> 6);
}

static void fill_template(uint8_t *to, const layout *l, uint32_t samples) {
  for (uint32_t i = 0; i < samples; i++) {
    for (int c = 0; c < l->components; c++) {
      uint32_t value = wave((i << l->shift_x) + l->offset[c]);
      to = put_component(to, l, l->offset[c] == ALPHA ? 255 : l->rgb ? value : limited(value));
    }
  }
}

static uint32_t block_size(const cuframes_format *f) {
  uint32_t block = f->width / 96 < f->height / 60 ? f->width / 96 : f->height / 60;
  block = (block > BLOCK_MAX ? BLOCK_MAX : block) & ~1u;
  return block < 2 ? 2 : block;
}

static bool has_stamp(const cuframes_format *f) {
  return f->width >= PATTERN_MIN_WIDTH && f->height >= PATTERN_MIN_HEIGHT;
}

static uint16_t checksum(uint64_t number) {
  return (uint16_t)((number * 0x9E3779B97F4A7C15u >> 48) ^ 0x5AA5);
}

/* The bit in column and row of the stamp's upper part. */
static bool stamp_bit(uint64_t number, uint32_t column, uint32_t row) {
  uint32_t bit = COLUMNS - 1 - column;
  if (row < 2)
    return MAGIC >> (16 * (1 - row) + bit) & 1;
  if (row < 6)
    return number >> (16 * (5 - row) + bit) & 1;
  return checksum(number) >> bit & 1;
}

/* The dot in column 0..31 and row 0..5 of the stamp's lower part: eight digits, each 4 wide with its gap. */
static bool digit_dot(uint64_t number, uint32_t column, uint32_t row) {
  static const uint16_t font[10] = { 0x7B6F, 0x2C97, 0x73E7, 0x73CF, 0x5BC9, 0x79CF, 0x79EF, 0x7252, 0x7BEF, 0x7BCF };
  uint32_t position = column / 4, x = column % 4;
  if (row == 0 || x == 3)
    return false;
  for (uint32_t i = position; i < 7; i++)
    number /= 10;
  return font[number % 10] >> (14 - 3 * (row - 1) - x) & 1;
}

/* The stamp's samples in row y of the plane (counted from the stamp's top), for its whole width. */
static void stamp_row(uint8_t *to, const layout *l, uint32_t block, uint64_t number, uint32_t y) {
  uint32_t width = COLUMNS * block >> l->shift_x, half = block / 2, row = y / block;
  for (uint32_t x = 0; x < width; x++) {
    bool white =
        row < BIT_ROWS ? stamp_bit(number, x / block, row) : digit_dot(number, x / half, (y - BIT_ROWS * block) / half);
    for (int c = 0; c < l->components; c++) {
      uint32_t value = l->rgb ? (white || l->offset[c] == ALPHA ? 255 : 0) : !l->luma ? 128 : white ? 235 : 16;
      to = put_component(to, l, value);
    }
  }
}

/* What the walk does at each piece of a row. */
static bool piece(uint8_t *at, const uint8_t *want, size_t bytes, bool check) {
  if (check)
    return memcmp(at, want, bytes) == 0;
  memcpy(at, want, bytes);
  return true;
}

typedef struct pattern_walk {
  layout layout;
  uint8_t wave[TEMPLATE * SAMPLE_MAX];
  uint8_t stamp[COLUMNS * BLOCK_MAX * SAMPLE_MAX];
  uint32_t wave_samples, period;
} pattern_walk;

/* Background from sample x up to x_end of a row whose first sample is at `phase` of the template. */
static bool walk_span(const pattern_walk *w, uint8_t *row, uint32_t x, uint32_t x_end, uint64_t phase, bool check) {
  size_t bytes = sample_bytes(&w->layout);
  while (x < x_end) {
    uint32_t from = (uint32_t)((phase + x) % w->period), count = w->wave_samples - from;
    count = count < x_end - x ? count : x_end - x;
    if (!piece(row + x * bytes, w->wave + from * bytes, count * bytes, check))
      return false;
    x += count;
  }
  return true;
}

static bool walk_plane(pattern_walk *w, uint8_t *data, uint32_t pitch, const cuframes_format *f, int plane,
                       uint64_t number, bool check) {
  uint32_t row_bytes, rows, block = block_size(f);
  if (!data || !plane_layout(f->pixel_format, plane, &w->layout) ||
      cuframes_format_plane_size(f, plane, &row_bytes, &rows) < 0)
    return false;
  const layout *l = &w->layout;
  uint32_t width = row_bytes / (uint32_t)sample_bytes(l);
  w->period = WAVE >> l->shift_x;
  w->wave_samples = width + w->period < TEMPLATE ? width + w->period : TEMPLATE;
  fill_template(w->wave, l, w->wave_samples);
  uint32_t left = block >> l->shift_x, right = left + (COLUMNS * block >> l->shift_x);
  uint32_t top = block >> l->shift_y, bottom = top + (STAMP_ROWS * block >> l->shift_y);
  if (!has_stamp(f))
    left = right = top = bottom = 0;
  size_t stamp_bytes = (right - left) * sample_bytes(l);
  assert(stamp_bytes <= sizeof w->stamp);
  bool good = true;
  for (uint32_t y = 0; y < rows && good; y++) {
    uint8_t *row = data + (size_t)y * pitch;
    uint64_t phase = l->luma ? y + 3 * number : 0 - (uint64_t)y - 5 * number;
    phase %= w->period;
    if (y < top || y >= bottom) {
      good = walk_span(w, row, 0, width, phase, check);
      continue;
    }
    /* The stamp's rows are the same for the height of half a block (a whole one, where chroma is halved). */
    if ((y - top) % ((block / 2) >> l->shift_y ? (block / 2) >> l->shift_y : 1) == 0)
      stamp_row(w->stamp, l, block, number, (y - top) << l->shift_y);
    good = walk_span(w, row, 0, left, phase, check) &&
           piece(row + left * sample_bytes(l), w->stamp, stamp_bytes, check) &&
           walk_span(w, row, right, width, phase, check);
  }
  return good;
}

/* Luma samples lie at `luma` and `luma` + 2 of the four bytes of a pair, Cb and Cr between them. Row by row, in pieces
 * that are made of tables, since luma and chroma do not move together. */
static bool walk_packed(uint8_t *data, uint32_t pitch, const cuframes_format *f, uint64_t number, bool check) {
  enum { PAIRS = 1024 };
  static const layout luma8 = { 1, BITS_8, true, false, 0, 0, { 0 } };
  const uint32_t luma = f->pixel_format == CUFRAMES_PIXEL_UYVY422, chroma = 1 - luma;
  const uint32_t pairs = (f->width + 1) / 2, block = block_size(f);
  uint32_t left = block, right = block + COLUMNS * block, top = block, bottom = block + STAMP_ROWS * block;
  uint8_t table[WAVE], stamp[COLUMNS * BLOCK_MAX], made[PAIRS * 4];
  if (!has_stamp(f))
    left = right = top = bottom = 0;
  for (uint32_t i = 0; i < WAVE; i++)
    table[i] = (uint8_t)limited(wave(i));
  for (uint32_t y = 0; y < f->height; y++) {
    const uint32_t luma_phase = (uint32_t)((y + 3 * number) % WAVE);
    const uint32_t chroma_phase = (uint32_t)(2 * (0 - (uint64_t)y - 5 * number) % WAVE);
    const bool stamped = y >= top && y < bottom;
    if (stamped)
      stamp_row(stamp, &luma8, block, number, y - top);
    for (uint32_t first = 0; first < pairs; first += PAIRS) {
      const uint32_t count = pairs - first < PAIRS ? pairs - first : PAIRS;
      for (uint32_t i = 0; i < count; i++) {
        const uint32_t x = 2 * (first + i);
        const bool inside = stamped && x >= left && x < right; /* both or none: its edges are even */
        made[4 * i + luma] = inside ? stamp[x - left] : table[(x + luma_phase) % WAVE];
        made[4 * i + luma + 2] = inside ? stamp[x + 1 - left] : table[(x + 1 + luma_phase) % WAVE];
        made[4 * i + chroma] = inside ? 128 : table[(x + chroma_phase) % WAVE];
        made[4 * i + chroma + 2] = inside ? 128 : table[(x + chroma_phase + 128) % WAVE];
      }
      if (!piece(data + (size_t)y * pitch + (size_t)first * 4, made, (size_t)count * 4, check))
        return false;
    }
  }
  return true;
}

static bool walk(uint8_t *const plane[], const uint32_t pitch[], const cuframes_format *f, uint64_t number,
                 bool check) {
  pattern_walk w;
  int planes = cuframes_pixel_format_planes(f->pixel_format);
  if (is_packed(f->pixel_format))
    return plane[0] && walk_packed(plane[0], pitch[0], f, number, check);
  for (int i = 0; i < planes; i++)
    if (!walk_plane(&w, plane[i], pitch[i], f, i, number, check))
      return false;
  return planes > 0;
}

void pattern_draw(uint8_t *const plane[], const uint32_t pitch[], const cuframes_format *format, uint64_t number) {
  (void)walk(plane, pitch, format, number, false); /* false only for a format that is none */
}

/* Reads `count` rows of blocks as one number; step: bytes from pixel to pixel. False if a block's middle is neither
 * black nor white. */
static bool read_bits(const uint8_t *data, uint32_t pitch, const layout *l, size_t step, uint32_t block,
                      uint32_t first_row, uint32_t count, uint64_t *value) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < count * COLUMNS; i++) {
    uint32_t x = block + i % COLUMNS * block + block / 2, y = block + (first_row + i / COLUMNS) * block + block / 2;
    uint32_t sample = get_component(data + (size_t)y * pitch + x * step, l);
    if (sample != (l->rgb ? 0 : 16) && sample != (l->rgb ? 255 : 235))
      return false;
    bits = bits << 1 | (sample >= 128);
  }
  *value = bits;
  return true;
}

enum pattern_result pattern_check(const uint8_t *const plane[], const uint32_t pitch[], const cuframes_format *format,
                                  uint64_t *number) {
  layout l;
  uint64_t magic, stamped = 0, sum = 0;
  uint32_t block = block_size(format);
  if (!plane_layout(format->pixel_format, 0, &l) || !has_stamp(format))
    return PATTERN_NOT;
  const bool packed = is_packed(format->pixel_format);
  const size_t step = packed ? 2 : sample_bytes(&l);
  const uint8_t *first = plane[0] + (packed && format->pixel_format == CUFRAMES_PIXEL_UYVY422);
  if (!read_bits(first, pitch[0], &l, step, block, 0, 2, &magic) || magic != MAGIC)
    return PATTERN_NOT;
  bool good = read_bits(first, pitch[0], &l, step, block, 2, 4, &stamped) &&
              read_bits(first, pitch[0], &l, step, block, 6, 1, &sum) && sum == checksum(stamped);
  if (good) {
    uint8_t *planes[CUFRAMES_PLANES] = { NULL }; /* the checking walk does not write */
    for (int i = 0; i < cuframes_pixel_format_planes(format->pixel_format); i++)
      planes[i] = (uint8_t *)(uintptr_t)plane[i];
    good = walk(planes, pitch, format, stamped, true);
  }
  if (number != NULL)
    *number = stamped;
  return good ? PATTERN_WHOLE : PATTERN_TORN;
}
