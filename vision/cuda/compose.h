/* compose.h - device code: layers become a picture. Part of kernel.h.
 *
 * A block makes samples of one group of the output's components. It starts from the topmost layer that hides all below
 * it there, or from black, and goes upwards; samples stay in registers, each layer's rounded to codes, until they are
 * written once.
 */
#ifndef CF_VISION_CUDA_COMPOSE_H
#define CF_VISION_CUDA_COMPOSE_H

#include "vision/cuda/read.h"

/* Where a block is: of which group, and its first sample. */
typedef struct cf_place {
  uint32_t group, x, y;
} cf_place;

CF_GPU cf_place cf_place_of(const cf_compose_job *job, uint32_t block) {
  cf_place place;
  place.group = block >= job->blocks;
  block -= place.group ? job->blocks : 0;
  uint32_t across = job->across[place.group];
  place.x = block % across * (CF_BLOCK_WIDTH * CF_THREAD_PIXELS);
  place.y = block / across * CF_BLOCK_HEIGHT + job->surface.component[place.group].first_row;
  return place;
}

/* Whether a layer is seen in a block. */
CF_GPU uint32_t cf_touches(const cf_plan_layer *layer, const cf_place *place) {
  const cf_plan *plan = &layer->group[place->group];
  int64_t x = (int64_t)place->x - plan->x, y = (int64_t)place->y - plan->y;
  return layer->opacity > 0.0f && x < (int64_t)plan->width && x + CF_BLOCK_WIDTH * CF_THREAD_PIXELS > 0 &&
         y < (int64_t)plan->height && y + CF_BLOCK_HEIGHT > 0;
}

CF_GPU uint32_t cf_is_opaque(const cf_plan *plan, float opacity) {
  return opacity >= 1.0f && (plan->kind == CF_PLAN_NONE || plan->components < 4);
}

/* Whether it hides all below it there. */
CF_GPU uint32_t cf_hides(const cf_compose_job *job, const cf_plan_layer *layer, const cf_place *place) {
  const cf_plan *plan = &layer->group[place->group];
  const cf_surface_component *c = &job->surface.component[place->group];
  int64_t right = (int64_t)place->x + CF_BLOCK_WIDTH * CF_THREAD_PIXELS, bottom = (int64_t)place->y + CF_BLOCK_HEIGHT;
  int64_t end = (int64_t)c->first_row + c->rows;
  right = right < c->width ? right : c->width;
  bottom = bottom < end ? bottom : end;
  return cf_is_opaque(plan, layer->opacity) && plan->x <= (int64_t)place->x && plan->y <= (int64_t)place->y &&
         (int64_t)plan->x + plan->width >= right && (int64_t)plan->y + plan->height >= bottom;
}

/* The codes of a thread's samples, by component of the group. */
typedef struct cf_codes {
  float value[3][CF_THREAD_PIXELS];
} cf_codes;

CF_GPU uint32_t cf_outputs(const cf_surface *surface, uint32_t group) {
  uint32_t colors = surface->components > 3 ? 3 : surface->components;
  return surface->groups == 1 ? colors : group == 0 ? 1 : 2;
}

CF_GPU void cf_black(const cf_surface *surface, uint32_t group, cf_codes *codes) {
  CF_UNROLL
  for (uint32_t v = 0; v < 3; v++) {
    float black = v < cf_outputs(surface, group) ? (float)surface->component[group + v].black : 0.0f;
    CF_UNROLL
    for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++)
      codes->value[v][k] = black;
  }
}

/* The layer that is drawn: what every thread of a block has at hand. */
typedef struct cf_brush {
  cf_plan plan;
  float color[3], opacity;
} cf_brush;

/* How much of each pixel the picture itself hides. */
CF_GPU void cf_read_alpha(float alpha[CF_THREAD_PIXELS], const cf_brush *brush, int32_t x, int32_t y) {
  const cf_plan *plan = &brush->plan;
  const cf_plan_component *c = &plan->component[3];
  CF_ROLLED
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++) {
    CF_FORGET();
    int32_t i = cf_limit(x + k, 0, (int32_t)plan->width - 1);
    float part = brush->opacity * cf_component(c, plan->sample_bytes, i, y) * (1.0f / 255.0f);
    CF_UNROLL
    for (int32_t j = 0; j < CF_THREAD_PIXELS; j++)
      alpha[j] = j == k ? part : alpha[j];
  }
}

CF_GPU float cf_laid_over(float old, float value, float most, float alpha, uint32_t opaque) {
  value = value > 0.0f ? value : 0.0f;
  value = value < most ? value : most;
  return CF_RAISED_FLOOR((opaque ? value : CF_FMA(value - old, alpha, old)) + 0.5f) - CF_RAISE;
}

/* Of one group, most pictures are luma alone, or chroma side by side alone: the colour is the same. */
CF_GPU void cf_read_group(cf_pixels *pixels, const cf_plan *plan, int32_t x, int32_t y) {
  if (plan->used == 1 && plan->sample_bytes == 1 && plan->component[0].step == 1 && cf_is_linear(&plan->component[0]))
    cf_read_semiplanar(pixels, plan, 1, 1, 0, x, y);
  else if (plan->used == 6 && plan->sample_bytes == 1 && cf_is_side_by_side(plan) && cf_is_linear(&plan->component[1]))
    cf_read_semiplanar(pixels, plan, 1, 0, 1, x, y);
  else
    cf_read_any(pixels, plan, cf_is_side_by_side(plan), x, y);
}

/* Draws a layer over the samples `column`.. of a row. */
CF_GPU void cf_draw(const cf_surface *surface, const cf_brush *brush, uint32_t group, uint32_t column, uint32_t row,
                    cf_codes *codes) {
  const cf_plan *plan = &brush->plan;
  cf_pixels pixels = { { { { 0.0f, 0.0f, 0.0f } } }, 0 };
  float alpha[CF_THREAD_PIXELS];
  int32_t x = (int32_t)column - plan->x, y = (int32_t)row - plan->y;
  uint32_t opaque = cf_is_opaque(plan, brush->opacity);
  pixels.inside = cf_inside(plan, x, y);
  if (!pixels.inside)
    return;
  CF_UNROLL
  for (int32_t k = 0; k < CF_THREAD_PIXELS; k++)
    alpha[k] = brush->opacity;
  if (plan->kind != CF_PLAN_NONE) {
    cf_read_group(&pixels, plan, x, y);
    if (plan->components == 4)
      cf_read_alpha(alpha, brush, x, y);
  }
  CF_UNROLL
  for (uint32_t v = 0; v < 3; v++) {
    const float *m = plan->matrix[v];
    float color = v < cf_outputs(surface, group) ? brush->color[group + v] : 0.0f;
    CF_UNROLL
    for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++) {
      const float *r = pixels.raw[k].value;
      float value = CF_FMA(m[0], r[0], CF_FMA(m[1], r[1], CF_FMA(m[2], r[2], m[3])));
      float over = cf_laid_over(codes->value[v][k], plan->kind == CF_PLAN_NONE ? color : value, (float)surface->most,
                                alpha[k], opaque);
      codes->value[v][k] = pixels.inside >> k & 1u ? over : codes->value[v][k];
    }
  }
}

/* ---- writing ---- */

CF_GPU uint32_t cf_word(const cf_surface *surface, const cf_codes *codes, uint32_t v, uint32_t k) {
  return cf_lowered(codes->value[v][k] + CF_RAISE) << surface->shift;
}

CF_GPU void cf_write_sample(const cf_surface *surface, uint64_t row, const cf_surface_component *c, uint32_t column,
                            uint32_t word) {
  uint64_t at = row + (uint64_t)column * c->step;
  if (surface->sample_bytes == 1)
    CF_STORE(uint8_t, at, 0, word);
  else
    CF_STORE(uint16_t, at, 0, word);
}

/* Four samples of 8 bits of one plane in one piece, or as many pairs of a plane of two; false if it is something else.
 * Rows and planes are mostly aligned to more than that. */
CF_GPU uint32_t cf_write_wide(const cf_surface *surface, const cf_codes *codes, uint32_t group, uint32_t column,
                              uint32_t row) {
  const cf_surface_component *c = &surface->component[group];
  uint32_t outputs = cf_outputs(surface, group);
  uint64_t at = c->base + (uint64_t)row * c->pitch + (uint64_t)column * c->step;
  if (surface->sample_bytes != 1 || column + CF_THREAD_PIXELS > c->width)
    return 0;
  if (outputs == 1 && c->step == 1 && at % 4 == 0) {
    uint32_t word = cf_word(surface, codes, 0, 0) | cf_word(surface, codes, 0, 1) << 8 |
                    cf_word(surface, codes, 0, 2) << 16 | cf_word(surface, codes, 0, 3) << 24;
    CF_STORE(uint32_t, at, 0, word);
    return 1;
  }
  if (outputs == 2 && surface->kind == CF_PLAN_SEMIPLANAR && c[1].base == c->base + 1 && at % 8 == 0) {
    uint32_t word = cf_word(surface, codes, 0, 0) | cf_word(surface, codes, 1, 0) << 8 |
                    cf_word(surface, codes, 0, 1) << 16 | cf_word(surface, codes, 1, 1) << 24;
    uint32_t next = cf_word(surface, codes, 0, 2) | cf_word(surface, codes, 1, 2) << 8 |
                    cf_word(surface, codes, 0, 3) << 16 | cf_word(surface, codes, 1, 3) << 24;
    CF_STORE_2(at, word, next);
    return 1;
  }
  return 0;
}

CF_GPU void cf_write(const cf_surface *surface, const cf_codes *codes, uint32_t group, uint32_t column, uint32_t row) {
  const cf_surface_component *c = &surface->component[group];
  if (column >= c->width || row >= c->first_row + c->rows)
    return;
  if (cf_write_wide(surface, codes, group, column, row))
    return;
  CF_UNROLL
  for (uint32_t v = 0; v < 3; v++) {
    if (v < cf_outputs(surface, group)) {
      uint64_t start = c[v].base + (uint64_t)row * c[v].pitch;
      CF_UNROLL
      for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++)
        if (column + k < c->width)
          cf_write_sample(surface, start, &c[v], column + k, cf_word(surface, codes, v, k));
    }
  }
  if (surface->components == 4) {
    uint64_t start = c[3].base + (uint64_t)row * c[3].pitch;
    CF_UNROLL
    for (uint32_t k = 0; k < CF_THREAD_PIXELS; k++)
      if (column + k < c->width)
        cf_write_sample(surface, start, &c[3], column + k, surface->most << surface->shift);
  }
}

#endif
