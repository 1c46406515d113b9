/* tensor.h - device code: pictures become a tensor. Part of kernel.h. */
#ifndef CF_VISION_CUDA_TENSOR_H
#define CF_VISION_CUDA_TENSOR_H

#include <cuframes/vision/preprocess.h>

#include "vision/cuda/read.h"

CF_GPU float cf_clamp(float value) {
  value = value > 0.0f ? value : 0.0f;
  return value < 255.0f ? value : 255.0f;
}

CF_GPU uint32_t cf_byte(float value) {
  return cf_lowered(CF_RAISED_FLOOR(cf_clamp(value) + 0.5f));
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
      CF_STORE_4_HALVES(to, v[0], v[1], v[2], v[3]);
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

/* Element `channel` of each pixel, or of padding. Where all is padding, which may be half of a tensor, nothing else is
 * worked out. */
CF_GPU void cf_elements(float out[CF_THREAD_PIXELS], const cf_plan *plan, const cf_plan_tensor *target,
                        uint32_t channel, const cf_pixels *pixels) {
  const float *m = plan->matrix[channel], multiply = target->multiply[channel], add = target->add[channel];
  float padding = CF_FMA(target->padding[channel], multiply, add);
  CF_UNROLL
  for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++)
    out[k] = padding;
  if (!pixels->inside)
    return;
  CF_UNROLL
  for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++) {
    const float *v = pixels->raw[k].value;
    float value = CF_FMA(m[0], v[0], CF_FMA(m[1], v[1], CF_FMA(m[2], v[2], m[3])));
    out[k] = pixels->inside >> k & 1u ? CF_FMA(cf_clamp(value), multiply, add) : padding;
  }
}

/* Three channels of a pixel side by side: twelve elements that follow each other. */
CF_GPU void cf_pixels_store_mixed(const cf_preprocess_job *job, const cf_plan *plan, const cf_pixels *pixels,
                                  uint64_t pixel, uint32_t count) {
  float out[3][CF_THREAD_PIXELS];
  CF_UNROLL
  for (uint32_t c = 0; c < 3; c++)
    cf_elements(out[c], plan, &job->target, c, pixels);
  CF_UNROLL
  for (uint32_t q = 0; q < 3; q++) {
    float v[4];
    CF_UNROLL
    for (uint32_t k = 0; k < 4; k++)
      v[k] = out[(q * 4 + k) % 3][(q * 4 + k) / 3];
    cf_store(job, pixel * 3 + q * 4, v, cf_left(count * 3, q * 4));
  }
}

CF_GPU void cf_pixels_store(const cf_preprocess_job *job, const cf_plan *plan, const cf_pixels *pixels, uint32_t number,
                            uint32_t column, uint32_t row) {
  const cf_plan_tensor *target = &job->target;
  uint32_t count = cf_left(target->width, column), channels = target->channels;
  uint64_t all = (uint64_t)target->width * target->height, at = (uint64_t)row * target->width + column;
  if (channels == 3 && target->layout == CUFRAMES_LAYOUT_NHWC) {
    cf_pixels_store_mixed(job, plan, pixels, number * all + at, count);
    return;
  }
  uint64_t element = number * channels * all + at;
  CF_UNROLL
  for (uint32_t c = 0; c < 3; c++) {
    float out[CF_THREAD_PIXELS];
    if (c >= channels)
      return;
    cf_elements(out, plan, target, c, pixels);
    cf_store(job, element, out, count);
    element += all;
  }
}

/* ---- a thread ---- */

/* Pixels `column`.. of a row of picture `number` of the launch. */
CF_GPU void cf_preprocess_thread(const cf_preprocess_job *job, const cf_plan *plan, uint32_t number, uint32_t column,
                                 uint32_t row) {
  cf_pixels pixels = { { { { 0.0f, 0.0f, 0.0f } } }, 0 };
  if (column >= job->target.width || row >= job->target.height)
    return;
  int32_t x = (int32_t)column - plan->x, y = (int32_t)row - plan->y;
  if (plan->kind != CF_PLAN_NONE)
    pixels.inside = cf_inside(plan, x, y);
  if (pixels.inside)
    cf_read(&pixels, plan, x, y);
  cf_pixels_store(job, plan, &pixels, number, column, row);
}

#endif
