/* kernel.h - what one thread of a kernel does, in what C and CUDA have in common: kernels.cu makes kernels of it, and
 * the tests' stand-in for CUDA runs it on the CPU.
 *
 * Whoever includes this says first what differs:
 *   CF_GPU                          before a function
 *   CF_UNROLL, CF_ROLLED            before a loop: its indexes are to become constants; it is to stay one
 *   CF_FORGET()                     the compiler knows nothing any more of what is in memory
 *   CF_LOAD_8, _16, _32(at)         reads from an address what nobody writes meanwhile
 *   CF_STORE(type, at, k, value)    writes element k of an array there
 *   CF_STORE_4(at, a, b, c, d)      four floats in one piece; CF_STORE_2(at, a, b) two words
 *   CF_HALF(value)                  the binary16 nearest to a float, as a number
 * Products that are added are written as CF_FMA, and the compiler is told to make no others of its own
 * (-ffp-contract=off): so the GPU and the stand-in give the same bits.
 */
#ifndef CF_VISION_CUDA_KERNEL_H
#define CF_VISION_CUDA_KERNEL_H

#include <cuframes/vision/preprocess.h>

#include "vision/cuda/launch.h"

#define CF_FMA(a, b, c) __builtin_fmaf(a, b, c)
#define CF_FRACTION (1.0f / 4294967296.0f)

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

CF_GPU cf_pair cf_pair_at(const cf_plan_axis *axis, int32_t i) {
  int64_t low = cf_low(axis, i);
  int32_t a = (int32_t)(low >> 32);
  cf_pair pair = { cf_limit(a, axis->first, axis->last), cf_limit(a + 1, axis->first, axis->last),
                   (float)(uint32_t)low * CF_FRACTION };
  return pair;
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

CF_GPU float cf_sample(uint64_t row, int32_t x, uint32_t step, uint32_t bytes) {
  uint64_t at = row + (uint32_t)x * step; /* a row is below 4 GiB */
  return bytes == 1 ? (float)CF_LOAD_8(at) : (float)CF_LOAD_16(at);
}

CF_GPU float cf_between(float a, float b, float weight) {
  return CF_FMA(b - a, weight, a);
}

CF_GPU float cf_linear(const cf_plan_component *c, uint32_t bytes, uint32_t step, const cf_pair *x, const cf_pair *y) {
  uint64_t above = cf_row(c, y->a), below = cf_row(c, y->b);
  float first = cf_between(cf_sample(above, x->a, step, bytes), cf_sample(above, x->b, step, bytes), x->weight);
  float second = cf_between(cf_sample(below, x->a, step, bytes), cf_sample(below, x->b, step, bytes), x->weight);
  return cf_between(first, second, y->weight);
}

/* Two components that share their axes, Cb and Cr. */
typedef struct cf_two {
  float a, b;
} cf_two;

/* Both of one place; side: they lie side by side and are read in one piece. */
CF_GPU cf_two cf_sample_two(uint64_t row, uint64_t other, int32_t x, uint32_t step, uint32_t bytes, uint32_t side) {
  cf_two two;
  if (side && bytes == 1) {
    uint32_t both = CF_LOAD_16(row + (uint32_t)x * 2);
    two.a = (float)(both & 0xffu);
    two.b = (float)(both >> 8);
  } else if (side) {
    uint32_t both = CF_LOAD_32(row + (uint32_t)x * 4);
    two.a = (float)(both & 0xffffu);
    two.b = (float)(both >> 16);
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

CF_GPU cf_two cf_linear_two(const cf_plan_component *c, uint32_t bytes, uint32_t side, const cf_pair *x,
                            const cf_pair *y) {
  uint64_t above = cf_row(&c[0], y->a), below = cf_row(&c[0], y->b);
  uint64_t above_other = cf_row(&c[1], y->a), below_other = cf_row(&c[1], y->b);
  cf_two first = cf_two_between(cf_sample_two(above, above_other, x->a, c->step, bytes, side),
                                cf_sample_two(above, above_other, x->b, c->step, bytes, side), x->weight);
  cf_two second = cf_two_between(cf_sample_two(below, below_other, x->a, c->step, bytes, side),
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
      line = CF_FMA(cf_sample(row, cf_limit(n, c->x.first, c->x.last), c->step, bytes), cf_window_weight(&x, n), line);
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
      line.a = CF_FMA(two.a, weight, line.a);
      line.b = CF_FMA(two.b, weight, line.b);
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

/* Of any kind. */
CF_GPU cf_raw cf_pixel(const cf_plan *plan, uint32_t side, int32_t i, int32_t j) {
  const cf_plan_component *c = plan->component;
  uint32_t bytes = plan->sample_bytes;
  cf_raw raw = { { 0.0f, 0.0f, 0.0f } };
  if ((plan->used & 1u) == 0) {
    raw.value[0] = 0.0f; /* what the matrix leaves out is not looked at */
  } else if (cf_is_linear(&c[0])) {
    cf_pair x = cf_pair_at(&c->x, i), y = cf_pair_at(&c->y, j);
    raw.value[0] = cf_linear(c, bytes, c->step, &x, &y);
  } else {
    raw.value[0] = cf_area(c, bytes, i, j);
  }
  if (plan->used & 6u) {
    cf_two two;
    if (cf_is_linear(&c[1])) {
      cf_pair x = cf_pair_at(&c[1].x, i), y = cf_pair_at(&c[1].y, j);
      two = cf_linear_two(&c[1], bytes, side, &x, &y);
    } else {
      two = cf_area_two(&c[1], bytes, side, i, j);
    }
    raw.value[1] = two.a;
    raw.value[2] = two.b;
  }
  return raw;
}

/* ---- the tensor ---- */

CF_GPU float cf_clamp(float value) {
  value = value > 0.0f ? value : 0.0f;
  return value < 255.0f ? value : 255.0f;
}

CF_GPU uint32_t cf_byte(float value) {
  return (uint32_t)(cf_clamp(value) + 0.5f);
}

/* Four elements that follow each other, of which `count` are the tensor's. */
CF_GPU void cf_store(const cf_preprocess_job *job, uint64_t element, const float v[4], uint32_t count) {
  if (job->target.element == CUFRAMES_ELEMENT_FLOAT32) {
    uint64_t to = job->tensor + element * 4;
    if (job->quads) {
      CF_STORE_4(to, v[0], v[1], v[2], v[3]);
      return;
    }
    CF_UNROLL
    for (uint32_t k = 0; k < 4; k++)
      if (k < count)
        CF_STORE(float, to, k, v[k]);
  } else if (job->target.element == CUFRAMES_ELEMENT_FLOAT16) {
    uint64_t to = job->tensor + element * 2;
    if (job->quads) {
      CF_STORE_2(to, CF_HALF(v[0]) | CF_HALF(v[1]) << 16, CF_HALF(v[2]) | CF_HALF(v[3]) << 16);
      return;
    }
    CF_UNROLL
    for (uint32_t k = 0; k < 4; k++)
      if (k < count)
        CF_STORE(uint16_t, to, k, CF_HALF(v[k]));
  } else {
    uint64_t to = job->tensor + element;
    if (job->quads) {
      CF_STORE(uint32_t, to, 0, cf_byte(v[0]) | cf_byte(v[1]) << 8 | cf_byte(v[2]) << 16 | cf_byte(v[3]) << 24);
      return;
    }
    CF_UNROLL
    for (uint32_t k = 0; k < 4; k++)
      if (k < count)
        CF_STORE(uint8_t, to, k, cf_byte(v[k]));
  }
}

CF_GPU uint32_t cf_left(uint32_t all, uint32_t before) {
  uint32_t left = all > before ? all - before : 0;
  return left < 4 ? left : 4;
}

/* Element `channel` of a pixel, or of padding. */
CF_GPU float cf_element(const cf_plan *plan, const cf_plan_tensor *target, uint32_t channel, const cf_raw *raw,
                        uint32_t inside) {
  const float *m = plan->matrix[channel], *v = raw->value;
  float value = CF_FMA(m[0], v[0], CF_FMA(m[1], v[1], CF_FMA(m[2], v[2], m[3])));
  return CF_FMA(inside ? cf_clamp(value) : target->padding[channel], target->multiply[channel], target->add[channel]);
}

/* The pixels of a thread. */
typedef struct cf_pixels {
  cf_raw raw[CF_THREAD_PIXELS];
  uint32_t inside; /* a bit for each that is of the picture */
} cf_pixels;

CF_GPU void cf_pixels_store(const cf_preprocess_job *job, const cf_plan *plan, const cf_pixels *pixels, uint32_t number,
                            uint32_t column, uint32_t row) {
  const cf_plan_tensor *target = &job->target;
  uint32_t count = cf_left(target->width, column), channels = target->channels;
  uint64_t all = (uint64_t)target->width * target->height, at = (uint64_t)row * target->width + column;
  uint32_t mixed = channels == 3 && target->layout == CUFRAMES_LAYOUT_NHWC; /* twelve elements, pixel by pixel */
  float out[3][CF_THREAD_PIXELS];
  CF_UNROLL
  for (uint32_t c = 0; c < 3; c++)
    CF_UNROLL
  for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++)
    out[c][k] = cf_element(plan, target, c, &pixels->raw[k], pixels->inside >> k & 1u);
  CF_UNROLL
  for (uint32_t q = 0; q < 3; q++) {
    float v[4];
    CF_UNROLL
    for (uint32_t k = 0; k < 4; k++)
      v[k] = mixed ? out[(q * 4 + k) % 3][(q * 4 + k) / 3] : out[q][k];
    uint64_t element = mixed ? (number * all + at) * 3 + q * 4 : (number * (uint64_t)channels + q) * all + at;
    if (q < channels)
      cf_store(job, element, v, mixed ? cf_left(count * 3, q * 4) : count);
  }
}

/* ---- a thread ---- */

/* What most pictures are, all its pixels at once, so that many reads are under way. bytes is a constant. */
CF_GPU void cf_read_semiplanar(cf_pixels *pixels, const cf_plan *plan, uint32_t bytes, int32_t x, int32_t y) {
  const cf_plan_component *c = plan->component;
  cf_pair luma_y = cf_pair_at(&c[0].y, y), chroma_y = cf_pair_at(&c[1].y, y);
  CF_UNROLL
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++) {
    int32_t i = cf_limit(x + k, 0, (int32_t)plan->width - 1); /* beside the tile its edge is read, and not used */
    cf_pair luma_x = cf_pair_at(&c[0].x, i), chroma_x = cf_pair_at(&c[1].x, i);
    cf_two two = cf_linear_two(&c[1], bytes, 1, &chroma_x, &chroma_y);
    pixels->raw[k].value[0] = cf_linear(c, bytes, bytes, &luma_x, &luma_y);
    pixels->raw[k].value[1] = two.a;
    pixels->raw[k].value[2] = two.b;
  }
}

/* All indexes are constants in the end, so that nothing needs memory. */
CF_GPU void cf_read_any(cf_pixels *pixels, const cf_plan *plan, uint32_t side, int32_t x, int32_t y) {
  CF_ROLLED
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++) {
    CF_FORGET(); /* or the whole plan is kept in registers, for each pixel to have it at once */
    cf_raw raw = cf_pixel(plan, side, cf_limit(x + k, 0, (int32_t)plan->width - 1), y);
    CF_UNROLL
    for (int32_t j = 0; j < CF_THREAD_PIXELS; j++)
      CF_UNROLL
    for (int32_t n = 0; n < 3; n++)
      pixels->raw[j].value[n] = j == k ? raw.value[n] : pixels->raw[j].value[n];
  }
}

/* Pixels `column`.. of a row of picture `number` of the launch. */
CF_GPU void cf_preprocess_thread(const cf_preprocess_job *job, const cf_plan *plan, uint32_t number, uint32_t column,
                                 uint32_t row) {
  cf_pixels pixels = { { { { 0.0f, 0.0f, 0.0f } } }, 0 };
  if (column >= job->target.width || row >= job->target.height)
    return;
  int32_t x = (int32_t)column - plan->x, y = (int32_t)row - plan->y;
  if (plan->kind != CF_PLAN_NONE && y >= 0 && y < (int32_t)plan->height && x > -CF_THREAD_PIXELS &&
      x < (int32_t)plan->width) {
    uint32_t side = cf_is_side_by_side(plan);
    uint32_t fast = side && plan->used == 7 && cf_is_linear(&plan->component[0]) && cf_is_linear(&plan->component[1]);
    CF_UNROLL
    for (int32_t k = 0; k < CF_THREAD_PIXELS; k++)
      pixels.inside |= (uint32_t)(x + k >= 0 && x + k < (int32_t)plan->width) << k;
    if (fast && plan->sample_bytes == 1)
      cf_read_semiplanar(&pixels, plan, 1, x, y);
    else if (fast)
      cf_read_semiplanar(&pixels, plan, 2, x, y);
    else
      cf_read_any(&pixels, plan, side, x, y);
  }
  cf_pixels_store(job, plan, &pixels, number, column, row);
}

#endif
