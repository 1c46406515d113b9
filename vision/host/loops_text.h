/* host/loops_text.h - the text of the innermost loops, for whoever includes it to compile: CF_LOOPS is the name of the
 * table, CF_LOOPS_NAME what it says of itself. Plain C that compilers turn into vectors: constant steps, no aliases,
 * no branches inside.
 */
#include <math.h>
#include <string.h>

#include "vision/host/loops.h"

/* ---- along y ---- */

/* One loop for each distance between samples, which must be constant to become vectors. */
#define FOR_STEP(type, row, body)                                                                                      \
  do {                                                                                                                 \
    const type *restrict s = (row).at;                                                                                 \
    switch ((row).step) {                                                                                              \
      case 1: body(s[x]);                                                                                              \
      case 2: body(s[2 * x]);                                                                                          \
      case 3: body(s[3 * x]);                                                                                          \
      default: body(s[4 * x]);                                                                                         \
    }                                                                                                                  \
  } while (0)

static void convert(cf_host_row row, float *restrict line, size_t n) {
#define BODY(value)                                                                                                    \
  for (size_t x = 0; x < n; x++)                                                                                       \
    line[x] = (float)(value);                                                                                          \
  break
  if (row.bytes == 1)
    FOR_STEP(uint8_t, row, BODY);
  else
    FOR_STEP(uint16_t, row, BODY);
#undef BODY
}

static void sum(cf_host_row row, uint32_t *restrict sums, size_t n) {
#define BODY(value)                                                                                                    \
  for (size_t x = 0; x < n; x++)                                                                                       \
    sums[x] += (value);                                                                                                \
  break
  if (row.bytes == 1)
    FOR_STEP(uint8_t, row, BODY);
  else
    FOR_STEP(uint16_t, row, BODY);
#undef BODY
}

/* Two rows of the same kind. */
#define FOR_STEP_TWO(type, row_a, row_b, body)                                                                         \
  do {                                                                                                                 \
    const type *restrict a = (row_a).at, *restrict b = (row_b).at;                                                     \
    switch ((row_a).step) {                                                                                            \
      case 1: body(a[x], b[x]);                                                                                        \
      case 2: body(a[2 * x], b[2 * x]);                                                                                \
      case 3: body(a[3 * x], b[3 * x]);                                                                                \
      default: body(a[4 * x], b[4 * x]);                                                                               \
    }                                                                                                                  \
  } while (0)

static void blend(cf_host_row row_a, cf_host_row row_b, float weight_a, float weight_b, float *restrict line,
                  size_t n) {
#define BODY(value_a, value_b)                                                                                         \
  for (size_t x = 0; x < n; x++)                                                                                       \
    line[x] = (float)(value_a)*weight_a + (float)(value_b)*weight_b;                                                   \
  break
  if (row_a.bytes == 1)
    FOR_STEP_TWO(uint8_t, row_a, row_b, BODY);
  else
    FOR_STEP_TWO(uint16_t, row_a, row_b, BODY);
#undef BODY
}

static void mean(cf_host_row row_a, cf_host_row row_b, const uint32_t *restrict sums, float weight_a, float weight_b,
                 float scale, float *restrict line, size_t n) {
#define BODY(value_a, value_b)                                                                                         \
  for (size_t x = 0; x < n; x++)                                                                                       \
    line[x] = ((float)(value_a)*weight_a + (float)sums[x] + (float)(value_b)*weight_b) * scale;                        \
  break
  if (row_a.bytes == 1)
    FOR_STEP_TWO(uint8_t, row_a, row_b, BODY);
  else
    FOR_STEP_TWO(uint16_t, row_a, row_b, BODY);
#undef BODY
}

/* ---- along x ---- */

static void pick(const float *restrict line, const int32_t *restrict at, float *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = line[at[i]];
}

static void between(const float *restrict line, const int32_t *restrict at, const float *restrict fraction,
                    float *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float a = line[at[i]], b = line[at[i] + 1];
    out[i] = a + (b - a) * fraction[i];
  }
}

/* The first sample of each window, then the second added to it, and so on: each loop is a vector's. */
static void steps(const float *restrict line, uint32_t step, const float *restrict weights, uint32_t count,
                  float *restrict out, size_t n) {
  if (count == 1 && step == 1) {
    memcpy(out, line, n * sizeof *out);
    return;
  }
  for (uint32_t k = 0; k < count; k++) {
    const float *restrict s = line + k;
    float w = weights[k];
#define STEP(apart)                                                                                                    \
  case apart:                                                                                                          \
    if (k == 0)                                                                                                        \
      for (size_t i = 0; i < n; i++)                                                                                   \
        out[i] = s[(apart)*i] * w;                                                                                     \
    else                                                                                                               \
      for (size_t i = 0; i < n; i++)                                                                                   \
        out[i] += s[(apart)*i] * w;                                                                                    \
    break
    switch (step) {
      STEP(1);
      STEP(2);
      STEP(3);
      STEP(4);
      default: break; /* CF_HOST_STEP_MAX */
    }
  }
}

/* One loop for each number of samples, so that it has no other inside. */
#define TAPS(count, total)                                                                                             \
  case count:                                                                                                          \
    for (size_t i = 0; i < n; i++) {                                                                                   \
      const float *restrict s = line + at[i];                                                                          \
      const float *restrict w = weights + i;                                                                           \
      out[i] = (total);                                                                                                \
    }                                                                                                                  \
    break
#define TAP(k) w[(k)*apart] * s[k]

static void taps(const float *restrict line, const int32_t *restrict at, const float *restrict weights, size_t apart,
                 uint32_t count, float *restrict out, size_t n) {
  switch (count) {
    TAPS(2, TAP(0) + TAP(1));
    TAPS(3, TAP(0) + TAP(1) + TAP(2));
    TAPS(4, TAP(0) + TAP(1) + (TAP(2) + TAP(3)));
    TAPS(5, TAP(0) + TAP(1) + (TAP(2) + TAP(3)) + TAP(4));
    TAPS(6, TAP(0) + TAP(1) + (TAP(2) + TAP(3)) + (TAP(4) + TAP(5)));
    TAPS(7, TAP(0) + TAP(1) + (TAP(2) + TAP(3)) + (TAP(4) + TAP(5)) + TAP(6));
    TAPS(8, TAP(0) + TAP(1) + (TAP(2) + TAP(3)) + (TAP(4) + TAP(5) + (TAP(6) + TAP(7))));
    default: break; /* CF_HOST_TAPS_MAX */
  }
}

/* More than so many are added up in double: a float would lose what many small steps come to. */
#define LONG_WINDOW 1024
static float window_long(const float *samples, int32_t count) {
  double total = 0;
  for (int32_t k = 0; k < count; k++)
    total += (double)samples[k];
  return (float)total;
}

/* In parts: one sum would wait for itself. */
static float window_short(const float *samples, int32_t count) {
  float a = 0, b = 0, c = 0, d = 0;
  int32_t k = 0;
  for (; k + 4 <= count; k += 4) {
    a += samples[k];
    b += samples[k + 1];
    c += samples[k + 2];
    d += samples[k + 3];
  }
  for (; k < count; k++)
    a += samples[k];
  return a + b + (c + d);
}

static void windows(const float *restrict line, cf_host_windows w, float scale, float *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const float *s = line + w.at[i];
    int32_t count = w.count[i];
    float middle = count > LONG_WINDOW ? window_long(s + 1, count - 2) : window_short(s + 1, count - 2);
    float last = count > 1 ? w.last[i] * s[count - 1] : 0;
    out[i] = (w.first[i] * s[0] + last + middle) * scale;
  }
}

/* ---- colour and elements ---- */

static float cut(float value) {
  value = value > 0 ? value : 0;
  return value < 255 ? value : 255;
}

static void colour_of_three(const float *m, float multiply, float add, const float *restrict a, const float *restrict b,
                            const float *restrict c, float *restrict out, size_t n) {
  float m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];
  for (size_t i = 0; i < n; i++)
    out[i] = cut(m0 * a[i] + m1 * b[i] + m2 * c[i] + m3) * multiply + add;
}

static void colour_of_one(const float *m, float multiply, float add, const float *restrict a, float *restrict out,
                          size_t n) {
  float m0 = m[0], m3 = m[3];
  for (size_t i = 0; i < n; i++)
    out[i] = cut(m0 * a[i] + m3) * multiply + add;
}

static void colour(const cf_host_colour *c, const float *const in[3], float *const out[3], size_t n) {
  for (uint32_t k = 0; k < c->values; k++)
    if (c->components == 1)
      colour_of_one(c->matrix[k], c->multiply[k], c->add[k], in[0], out[k], n);
    else
      colour_of_three(c->matrix[k], c->multiply[k], c->add[k], in[0], in[1], in[2], out[k], n);
}

static uint8_t to_byte(float value) {
  return (uint8_t)(int32_t)(cut(value) + 0.5f);
}

/* To the nearest, ties to even: by the rounding of a float addition where it has fewer bits than a normal one. */
static uint16_t to_half(float value) {
  const uint32_t magic_bits = 0x3f000000; /* 0.5, whose last bit is 2^-24 */
  uint32_t bits, small_bits;
  float magic, small;
  memcpy(&bits, &value, sizeof bits);
  memcpy(&magic, &magic_bits, sizeof magic);
  uint32_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  memcpy(&small, &bits, sizeof small);
  small += magic;
  memcpy(&small_bits, &small, sizeof small_bits);
  small_bits -= magic_bits;
  uint32_t normal = (bits + 0x0fff + (bits >> 13 & 1) - 0x38000000) >> 13;
  uint32_t half = bits < 0x38800000 ? small_bits : normal;
  half = bits >= 0x47800000 ? 0x7c00 : half;
  return (uint16_t)(sign | half);
}

#define ELEMENTS(name, type, made)                                                                                     \
  static void name(const float *const in[3], uint32_t channels, type *restrict out, size_t n) {                        \
    const float *restrict a = in[0], *restrict b = in[1], *restrict c = in[2];                                         \
    if (channels == 1) {                                                                                               \
      for (size_t i = 0; i < n; i++)                                                                                   \
        out[i] = made(a[i]);                                                                                           \
      return;                                                                                                          \
    }                                                                                                                  \
    for (size_t i = 0; i < n; i++) {                                                                                   \
      out[3 * i] = made(a[i]);                                                                                         \
      out[3 * i + 1] = made(b[i]);                                                                                     \
      out[3 * i + 2] = made(c[i]);                                                                                     \
    }                                                                                                                  \
  }

ELEMENTS(to_uint8, uint8_t, to_byte)
ELEMENTS(to_float16, uint16_t, to_half)
ELEMENTS(to_float32, float, )

extern const cf_host_loops CF_LOOPS;
const cf_host_loops CF_LOOPS = {
  .name = CF_LOOPS_NAME,
  .convert = convert,
  .blend = blend,
  .sum = sum,
  .mean = mean,
  .pick = pick,
  .between = between,
  .steps = steps,
  .taps = taps,
  .windows = windows,
  .colour = colour,
  .to_uint8 = to_uint8,
  .to_float16 = to_float16,
  .to_float32 = to_float32,
};
