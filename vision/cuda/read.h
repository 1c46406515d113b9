/* read.h - device code: the samples of a picture that output pixels see, as plans say it. Part of kernel.h. */
#ifndef CF_VISION_CUDA_READ_H
#define CF_VISION_CUDA_READ_H

#include "vision/cuda/launch.h"

#define CF_FRACTION (1.0f / 4294967296.0f)

/* ---- whole numbers as floats ---- */

/* A float between 2^23 and 2^24 has a whole number below 2^23 as its last bits: raised by 2^23 a sample becomes a float
 * by one operation on bits, and back. GPUs convert at a quarter or an eighth of the rate of all else that is done here.
 * Differences of raised numbers are exact. */
#define CF_RAISE 8388608.0f

typedef union cf_raise {
  float value;
  uint32_t bits;
} cf_raise;

CF_GPU float cf_raised(uint32_t number) {
  cf_raise raise = { .bits = number | 0x4b000000u };
  return raise.value;
}

CF_GPU uint32_t cf_lowered(float raised) {
  cf_raise raise = { .value = raised };
  return raise.bits & 0x7fffffu;
}

/* ---- where samples are ---- */

CF_GPU int32_t cf_limit(int32_t value, int32_t least, int32_t most) {
  value = value < least ? least : value;
  return value > most ? most : value;
}

CF_GPU int64_t cf_low(const cf_plan_axis *axis, int32_t i) {
  return axis->start + i * axis->step;
}

/* For a window of one sample: two neighbours, and how much the second one counts. */
typedef struct cf_pair {
  int32_t a, b;
  float weight;
} cf_pair;

CF_GPU cf_pair cf_pair_from(const cf_plan_axis *axis, int64_t low) {
  int32_t a = (int32_t)(low >> 32);
  cf_pair pair = { cf_limit(a, axis->first, axis->last), cf_limit(a + 1, axis->first, axis->last),
                   (float)(uint32_t)low * CF_FRACTION };
  return pair;
}

CF_GPU cf_pair cf_pair_at(const cf_plan_axis *axis, int32_t i) {
  return cf_pair_from(axis, cf_low(axis, i));
}

/* For any window: its samples, of which the first and the last one count in part. */
typedef struct cf_window {
  int32_t first, last;
  float first_part, last_part; /* 0..1; of a window within one sample the first is all of it */
} cf_window;

CF_GPU cf_window cf_window_at(const cf_plan_axis *axis, int32_t i) {
  int64_t low = cf_low(axis, i), high = low + axis->window;
  cf_window window;
  window.first = (int32_t)(low >> 32);
  window.last = (int32_t)((high - 1) >> 32);
  window.first_part = (float)(uint32_t) ~(uint32_t)low * CF_FRACTION;
  window.last_part = (float)(uint32_t)(high - 1) * CF_FRACTION;
  return window;
}

CF_GPU float cf_window_weight(const cf_window *window, int32_t k) {
  return k == window->first ? window->first_part : k == window->last ? window->last_part : 1.0f;
}

/* ---- reading ---- */

CF_GPU uint64_t cf_row(const cf_plan_component *c, int32_t y) {
  return c->base + (uint64_t)(uint32_t)y * c->pitch;
}

/* Raised. */
CF_GPU float cf_sample(uint64_t row, int32_t x, uint32_t step, uint32_t bytes) {
  uint64_t at = row + (uint32_t)x * step; /* a row is below 4 GiB */
  return cf_raised(bytes == 1 ? CF_LOAD_8(at) : CF_LOAD_16(at));
}

CF_GPU float cf_between(float a, float b, float weight) {
  return CF_FMA(b - a, weight, a);
}

/* Of raised samples, not raised. */
CF_GPU float cf_between_samples(float a, float b, float weight) {
  return CF_FMA(b - a, weight, a - CF_RAISE);
}

CF_GPU float cf_linear(const cf_plan_component *c, uint32_t bytes, uint32_t step, const cf_pair *x, const cf_pair *y) {
  uint64_t above = cf_row(c, y->a), below = cf_row(c, y->b);
  float first = cf_between_samples(cf_sample(above, x->a, step, bytes), cf_sample(above, x->b, step, bytes), x->weight);
  float second =
      cf_between_samples(cf_sample(below, x->a, step, bytes), cf_sample(below, x->b, step, bytes), x->weight);
  return cf_between(first, second, y->weight);
}

/* Two components that share their axes, Cb and Cr. */
typedef struct cf_two {
  float a, b;
} cf_two;

/* Both of one place, raised; side: they lie side by side and are read in one piece. */
CF_GPU cf_two cf_sample_two(uint64_t row, uint64_t other, int32_t x, uint32_t step, uint32_t bytes, uint32_t side) {
  cf_two two;
  if (side && bytes == 1) {
    uint32_t both = CF_LOAD_16(row + (uint32_t)x * 2);
    two.a = cf_raised(both & 0xffu);
    two.b = cf_raised(both >> 8);
  } else if (side) {
    uint32_t both = CF_LOAD_32(row + (uint32_t)x * 4);
    two.a = cf_raised(both & 0xffffu);
    two.b = cf_raised(both >> 16);
  } else {
    two.a = cf_sample(row, x, step, bytes);
    two.b = cf_sample(other, x, step, bytes);
  }
  return two;
}

CF_GPU cf_two cf_two_between(cf_two p, cf_two q, float weight) {
  cf_two two = { cf_between(p.a, q.a, weight), cf_between(p.b, q.b, weight) };
  return two;
}

CF_GPU cf_two cf_two_between_samples(cf_two p, cf_two q, float weight) {
  cf_two two = { cf_between_samples(p.a, q.a, weight), cf_between_samples(p.b, q.b, weight) };
  return two;
}

CF_GPU cf_two cf_linear_two(const cf_plan_component *c, uint32_t bytes, uint32_t side, const cf_pair *x,
                            const cf_pair *y) {
  uint64_t above = cf_row(&c[0], y->a), below = cf_row(&c[0], y->b);
  uint64_t above_other = cf_row(&c[1], y->a), below_other = cf_row(&c[1], y->b);
  cf_two first = cf_two_between_samples(cf_sample_two(above, above_other, x->a, c->step, bytes, side),
                                        cf_sample_two(above, above_other, x->b, c->step, bytes, side), x->weight);
  cf_two second = cf_two_between_samples(cf_sample_two(below, below_other, x->a, c->step, bytes, side),
                                         cf_sample_two(below, below_other, x->b, c->step, bytes, side), x->weight);
  return cf_two_between(first, second, y->weight);
}

CF_GPU float cf_scale(const cf_plan_component *c) {
  return 1.0f / ((float)c->x.window * CF_FRACTION * ((float)c->y.window * CF_FRACTION));
}

CF_GPU float cf_area(const cf_plan_component *c, uint32_t bytes, int32_t i, int32_t j) {
  cf_window x = cf_window_at(&c->x, i), y = cf_window_at(&c->y, j);
  float sum = 0.0f;
  CF_ROLLED
  for (int32_t k = y.first; k <= y.last; k++) {
    uint64_t row = cf_row(c, cf_limit(k, c->y.first, c->y.last));
    float line = 0.0f;
    CF_ROLLED
    for (int32_t n = x.first; n <= x.last; n++)
      line = CF_FMA(cf_sample(row, cf_limit(n, c->x.first, c->x.last), c->step, bytes) - CF_RAISE,
                    cf_window_weight(&x, n), line);
    sum = CF_FMA(line, cf_window_weight(&y, k), sum);
  }
  return sum * cf_scale(c);
}

CF_GPU cf_two cf_area_two(const cf_plan_component *c, uint32_t bytes, uint32_t side, int32_t i, int32_t j) {
  cf_window x = cf_window_at(&c->x, i), y = cf_window_at(&c->y, j);
  cf_two sum = { 0.0f, 0.0f };
  CF_ROLLED
  for (int32_t k = y.first; k <= y.last; k++) {
    int32_t at = cf_limit(k, c->y.first, c->y.last);
    uint64_t row = cf_row(&c[0], at), other = cf_row(&c[1], at);
    cf_two line = { 0.0f, 0.0f };
    CF_ROLLED
    for (int32_t n = x.first; n <= x.last; n++) {
      float weight = cf_window_weight(&x, n);
      cf_two two = cf_sample_two(row, other, cf_limit(n, c->x.first, c->x.last), c->step, bytes, side);
      line.a = CF_FMA(two.a - CF_RAISE, weight, line.a);
      line.b = CF_FMA(two.b - CF_RAISE, weight, line.b);
    }
    float weight = cf_window_weight(&y, k);
    sum.a = CF_FMA(line.a, weight, sum.a);
    sum.b = CF_FMA(line.b, weight, sum.b);
  }
  float scale = cf_scale(c);
  sum.a *= scale;
  sum.b *= scale;
  return sum;
}

/* ---- what a pixel's samples are ---- */

typedef struct cf_raw {
  float value[3]; /* as the samples are: Y, Cb, Cr or R, G, B */
} cf_raw;

CF_GPU uint32_t cf_is_linear(const cf_plan_component *c) {
  return c->x.window == CF_PLAN_ONE && c->y.window == CF_PLAN_ONE;
}

/* Whether components 1 and 2 may be read in one piece. */
CF_GPU uint32_t cf_is_side_by_side(const cf_plan *plan) {
  const cf_plan_component *c = &plan->component[1];
  uint32_t both = 2 * plan->sample_bytes;
  return plan->kind == CF_PLAN_SEMIPLANAR && c->step == both && (((uint32_t)c->base | c->pitch) & (both - 1)) == 0;
}

/* A component by itself. */
CF_GPU float cf_component(const cf_plan_component *c, uint32_t bytes, int32_t i, int32_t j) {
  if (!cf_is_linear(c))
    return cf_area(c, bytes, i, j);
  cf_pair x = cf_pair_at(&c->x, i), y = cf_pair_at(&c->y, j);
  return cf_linear(c, bytes, c->step, &x, &y);
}

/* Of any kind; what the matrix leaves out is not looked at. */
CF_GPU cf_raw cf_pixel(const cf_plan *plan, uint32_t side, int32_t i, int32_t j) {
  const cf_plan_component *c = plan->component;
  cf_raw raw = { { 0.0f, 0.0f, 0.0f } };
  if (plan->used & 1u)
    raw.value[0] = cf_component(c, plan->sample_bytes, i, j);
  if (plan->used & 6u) {
    cf_two two;
    if (cf_is_linear(&c[1])) {
      cf_pair x = cf_pair_at(&c[1].x, i), y = cf_pair_at(&c[1].y, j);
      two = cf_linear_two(&c[1], plan->sample_bytes, side, &x, &y);
    } else {
      two = cf_area_two(&c[1], plan->sample_bytes, side, i, j);
    }
    raw.value[1] = two.a;
    raw.value[2] = two.b;
  }
  return raw;
}

/* ---- the pixels of a thread ---- */

typedef struct cf_pixels {
  cf_raw raw[CF_THREAD_PIXELS];
  uint32_t inside; /* a bit for each that is of the picture */
} cf_pixels;

/* What most pictures are, all pixels at once, so that many reads are under way. Luma, and chroma side by side; bytes,
 * luma and chroma, whether they are read, are constants. */
CF_GPU void cf_read_semiplanar(cf_pixels *pixels, const cf_plan *plan, uint32_t bytes, uint32_t luma, uint32_t chroma,
                               int32_t x, int32_t y) {
  const cf_plan_component *c = plan->component;
  cf_pair luma_y = cf_pair_at(&c[0].y, y), chroma_y = cf_pair_at(&c[1].y, y);
  int64_t luma_low = cf_low(&c[0].x, x), chroma_low = cf_low(&c[1].x, x);
  CF_UNROLL
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++) { /* beside the tile the picture's edge is read, and not used */
    if (chroma) {
      cf_pair chroma_x = cf_pair_from(&c[1].x, chroma_low);
      cf_two two = cf_linear_two(&c[1], bytes, 1, &chroma_x, &chroma_y);
      pixels->raw[k].value[1] = two.a;
      pixels->raw[k].value[2] = two.b;
    }
    if (luma) {
      cf_pair luma_x = cf_pair_from(&c[0].x, luma_low);
      pixels->raw[k].value[0] = cf_linear(c, bytes, bytes, &luma_x, &luma_y);
    }
    luma_low += c[0].x.step;
    chroma_low += c[1].x.step;
  }
}

/* All indexes are constants in the end, so that nothing needs memory. */
CF_GPU void cf_read_any(cf_pixels *pixels, const cf_plan *plan, uint32_t side, int32_t x, int32_t y) {
  CF_ROLLED
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++) {
    CF_FORGET(); /* or the whole plan is kept in registers, for each pixel to have it at once */
    cf_raw raw = cf_pixel(plan, side, cf_limit(x + k, 0, (int32_t)plan->width - 1), y);
    CF_UNROLL
    for (int32_t j = 0; j < CF_THREAD_PIXELS; j++) {
      CF_UNROLL
      for (int32_t n = 0; n < 3; n++)
        pixels->raw[j].value[n] = j == k ? raw.value[n] : pixels->raw[j].value[n];
    }
  }
}

/* Whether pixels of the thread whose first one is at (x, y) of the tile are in it, and which. */
CF_GPU uint32_t cf_inside(const cf_plan *plan, int32_t x, int32_t y) {
  uint32_t inside = 0;
  if (y < 0 || y >= (int32_t)plan->height)
    return 0;
  CF_UNROLL
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++)
    inside |= (uint32_t)(x + k >= 0 && x + k < (int32_t)plan->width) << k;
  return inside;
}

/* Of a picture, whichever it is. */
CF_GPU void cf_read(cf_pixels *pixels, const cf_plan *plan, int32_t x, int32_t y) {
  const uint32_t side = cf_is_side_by_side(plan), bytes = plan->sample_bytes;
  if (side && plan->used == 7 && cf_is_linear(&plan->component[0]) && cf_is_linear(&plan->component[1]))
    if (bytes == 1)
      cf_read_semiplanar(pixels, plan, 1, 1, 1, x, y);
    else
      cf_read_semiplanar(pixels, plan, 2, 1, 1, x, y);
  else
    cf_read_any(pixels, plan, side, x, y);
}

#endif
