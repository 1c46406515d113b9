/* host/preprocess.c - pictures into tensors, pixel by pixel. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <cuframes/vision.h>

#include "vision/host/host.h"

#define FRACTION (1.0f / 4294967296.0f) /* of a sample: 2^-32 */

/* Samples that a window touches, and the weights of the first and the last; those between have 1. */
typedef struct window {
  int64_t first, last;
  float weight_first, weight_last;
} window;

static window window_of(const cf_plan_axis *axis, int64_t i) {
  int64_t low = axis->start + i * axis->step, high = low + axis->window;
  window w = { .first = low >> 32, .last = (high - 1) >> 32 };
  w.weight_first = 1 - (float)(low & (CF_PLAN_ONE - 1)) * FRACTION;
  w.weight_last = (float)(high - w.last * CF_PLAN_ONE) * FRACTION;
  return w;
}

static int64_t within(const cf_plan_axis *axis, int64_t k) {
  return k < axis->first ? axis->first : k > axis->last ? axis->last : k;
}

static float weight(const window *w, int64_t k) {
  return k == w->first ? w->weight_first : k == w->last ? w->weight_last : 1;
}

static float sample(const cf_plan_component *c, uint32_t bytes, int64_t x, int64_t y) {
  const unsigned char *at =
      (const unsigned char *)(uintptr_t)(c->base + (uint64_t)y * c->pitch + (uint64_t)x * c->step);
  return bytes == 1 ? (float)*at : (float)(at[0] | at[1] << 8);
}

/* What pixel (i, j) of the tile sees of a component. */
static float mean(const cf_plan_component *c, uint32_t bytes, uint32_t i, uint32_t j) {
  window wx = window_of(&c->x, i), wy = window_of(&c->y, j);
  float area = (float)c->x.window * FRACTION * ((float)c->y.window * FRACTION), sum = 0;
  for (int64_t y = wy.first; y <= wy.last; y++) {
    float row = 0;
    for (int64_t x = wx.first; x <= wx.last; x++)
      row += weight(&wx, x) * sample(c, bytes, within(&c->x, x), within(&c->y, y));
    sum += weight(&wy, y) * row;
  }
  return sum / area;
}

static uint16_t half_of(float value) {
  uint32_t bits, sign;
  memcpy(&bits, &value, sizeof bits);
  sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits >= 0x47800000) /* 65536 and more: infinity */
    return (uint16_t)(sign | 0x7c00);
  if (bits < 0x38800000) { /* below the smallest normal one: steps of 2^-24 */
    float steps;
    memcpy(&steps, &bits, sizeof steps);
    return (uint16_t)(sign | (uint32_t)lrintf(steps * 16777216.0f));
  }
  bits += 0x0fff + (bits >> 13 & 1); /* ties to even */
  return (uint16_t)(sign | (bits - 0x38000000) >> 13);
}

static void put(const cf_plan_tensor *t, void *out, size_t index, float value) {
  if (t->element == CUFRAMES_ELEMENT_FLOAT32)
    ((float *)out)[index] = value;
  else if (t->element == CUFRAMES_ELEMENT_FLOAT16)
    ((uint16_t *)out)[index] = half_of(value);
  else
    ((uint8_t *)out)[index] = (uint8_t)fminf(fmaxf(floorf(value + 0.5f), 0), 255);
}

int cf_host_preprocess(const cf_plan *plan, const cf_plan_tensor *t, void *out) {
  uint32_t left = (uint32_t)plan->x, top = (uint32_t)plan->y;
  for (uint32_t y = 0; y < t->height; y++)
    for (uint32_t x = 0; x < t->width; x++) {
      bool inside =
          plan->kind != CF_PLAN_NONE && y >= top && y - top < plan->height && x >= left && x - left < plan->width;
      float s[3] = { 0 };
      for (uint32_t k = 0; inside && k < plan->components; k++)
        s[k] = mean(&plan->component[k], plan->sample_bytes, x - left, y - top);
      for (uint32_t c = 0; c < t->channels; c++) {
        const float *m = plan->matrix[c];
        float value = inside ? m[0] * s[0] + m[1] * s[1] + m[2] * s[2] + m[3] : t->padding[c];
        size_t at = (size_t)y * t->width + x;
        at = t->layout == CUFRAMES_LAYOUT_NCHW ? (size_t)c * t->width * t->height + at : at * t->channels + c;
        put(t, out, at, fminf(fmaxf(value, 0), 255) * t->multiply[c] + t->add[c]);
      }
    }
  return CUFRAMES_OK;
}
