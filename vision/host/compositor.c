/* compositor.c - the compositor of the host: black, then layer over layer, each row by row.
 *
 * Nothing is kept between runs and nothing is written before everything that a run needs is there, so that several
 * threads can draw parts of a picture.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/common.h>

#include "vision/error.h"
#include "vision/host/host.h"
#include "vision/host/rows.h"

/* ---- samples of the output ---- */

static uint8_t *sample_at(const cf_surface_component *k, uint32_t x, uint32_t y) {
  return (uint8_t *)(uintptr_t)(k->base + (uint64_t)y * k->pitch + (uint64_t)x * k->step);
}

/* `count` samples of one code, from the one at `to` on. */
static void fill_row(const cf_surface *surface, const cf_surface_component *k, uint8_t *to, uint32_t count,
                     uint32_t code) {
  const uint16_t wide = (uint16_t)(code << surface->shift);
  if (surface->sample_bytes == 2)
    for (uint32_t i = 0; i < count; i++)
      memcpy(to + (size_t)i * k->step, &wide, 2);
  else if (k->step == 1)
    memset(to, (int)code, count);
  else
    for (uint32_t i = 0; i < count; i++)
      to[(size_t)i * k->step] = (uint8_t)code;
}

/* Two components side by side, as Cb and Cr. */
static void fill_pairs(uint8_t *restrict to, uint32_t count, uint32_t first, uint32_t second) {
  for (uint32_t i = 0; i < count; i++) {
    to[2 * (size_t)i] = (uint8_t)first;
    to[2 * (size_t)i + 1] = (uint8_t)second;
  }
}

/* Whether components 1 and 2 are bytes side by side. */
static bool has_pairs(const cf_surface *surface) {
  return surface->kind == CF_PLAN_SEMIPLANAR && surface->sample_bytes == 1 &&
         surface->component[2].base == surface->component[1].base + 1;
}

/* Whether nothing of the ground is seen. */
static bool covers(const cf_surface *surface, const cf_plan_layer *layer) {
  for (uint32_t g = 0; g < surface->groups; g++) {
    const cf_plan *plan = &layer->group[g];
    const cf_surface_component *k = &surface->component[g];
    if (plan->kind != CF_PLAN_NONE || plan->x > 0 || plan->y > 0 || plan->x + (int64_t)plan->width < k->width ||
        plan->y + (int64_t)plan->height < k->height)
      return false;
  }
  return layer->opacity >= 1 && surface->components < 4;
}

static void fill_black(const cf_surface *surface) {
  for (uint32_t c = 0; c < surface->components; c++) {
    const cf_surface_component *k = &surface->component[c];
    const bool pairs = c == 1 && has_pairs(surface);
    for (uint32_t y = 0; y < k->rows && pairs; y++)
      fill_pairs(sample_at(k, 0, k->first_row + y), k->width, k->black, surface->component[2].black);
    if (pairs)
      break;
    for (uint32_t y = 0; y < k->rows; y++)
      fill_row(surface, k, sample_at(k, 0, k->first_row + y), k->width, c == 3 ? surface->most : k->black);
  }
}

/* floor(value + 0.5), cut off at both ends; what is no number becomes 0. */
static inline uint32_t code_of(float value, float most) {
  value = value > 0 ? value : 0;
  value = value < most ? value : most;
  return (uint32_t)(int32_t)(value + 0.5f);
}

static void store_8(uint8_t *restrict to, uint32_t step, const float *restrict value, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[(size_t)i * step] = (uint8_t)code_of(value[i], 255);
}

static void store_8_packed(uint8_t *restrict to, const float *restrict value, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[i] = (uint8_t)code_of(value[i], 255);
}

static void store_8_pairs(uint8_t *restrict to, const float *restrict first, const float *restrict second,
                          uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    to[2 * (size_t)i] = (uint8_t)code_of(first[i], 255);
    to[2 * (size_t)i + 1] = (uint8_t)code_of(second[i], 255);
  }
}

static void blend_8(uint8_t *restrict to, uint32_t step, const float *restrict value, const float *restrict alpha,
                    uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const float old = to[(size_t)i * step], limited = value[i] > 0 ? value[i] < 255 ? value[i] : 255 : 0;
    to[(size_t)i * step] = (uint8_t)(int32_t)(old + (limited - old) * alpha[i] + 0.5f);
  }
}

static void store_16(const cf_surface *surface, const cf_surface_component *k, uint8_t *to, const float *value,
                     uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const uint16_t code = (uint16_t)(code_of(value[i], (float)surface->most) << surface->shift);
    memcpy(to + (size_t)i * k->step, &code, 2);
  }
}

static void blend_16(const cf_surface *surface, const cf_surface_component *k, uint8_t *to, const float *value,
                     const float *alpha, uint32_t count) {
  const float most = (float)surface->most;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t code;
    memcpy(&code, to + (size_t)i * k->step, 2);
    const float old = (float)(code >> surface->shift), limited = value[i] > 0 ? value[i] < most ? value[i] : most : 0;
    code = (uint16_t)((uint32_t)(int32_t)(old + (limited - old) * alpha[i] + 0.5f) << surface->shift);
    memcpy(to + (size_t)i * k->step, &code, 2);
  }
}

/* alpha NULL: opaque. */
static void put_row(const cf_surface *surface, const cf_surface_component *k, uint8_t *to, const float *value,
                    const float *alpha, uint32_t count) {
  if (surface->sample_bytes == 2 && alpha)
    blend_16(surface, k, to, value, alpha, count);
  else if (surface->sample_bytes == 2)
    store_16(surface, k, to, value, count);
  else if (alpha)
    blend_8(to, k->step, value, alpha, count);
  else if (k->step == 1)
    store_8_packed(to, value, count);
  else
    store_8(to, k->step, value, count);
}

/* ---- a group of a layer ---- */

/* The part of a tile that lies in the rows and columns that are drawn. */
typedef struct part {
  uint32_t x, y;           /* of the output */
  uint32_t skip_x, skip_y; /* of the tile */
  uint32_t width, height;
} part;

static bool clip(const cf_plan *plan, const cf_surface_component *k, part *p) {
  const int64_t top = k->first_row, bottom = top + k->rows;
  const int64_t x0 = plan->x > 0 ? plan->x : 0, x1 = (int64_t)plan->x + plan->width;
  const int64_t y0 = plan->y > top ? plan->y : top, y1 = (int64_t)plan->y + plan->height;
  const int64_t right = x1 < k->width ? x1 : k->width, end = y1 < bottom ? y1 : bottom;
  if (right <= x0 || end <= y0)
    return false;
  *p = (part){ .x = (uint32_t)x0,
               .y = (uint32_t)y0,
               .skip_x = (uint32_t)(x0 - plan->x),
               .skip_y = (uint32_t)(y0 - plan->y),
               .width = (uint32_t)(right - x0),
               .height = (uint32_t)(end - y0) };
  return true;
}

/* The output's components that a group makes. */
static uint32_t first_output(const cf_surface *surface, uint32_t group) {
  return surface->groups == 2 ? group : 0;
}

static uint32_t outputs(const cf_surface *surface, uint32_t group) {
  const uint32_t colors = surface->components > 3 ? 3 : surface->components;
  return surface->groups == 1 ? colors : group == 0 ? 1 : 2;
}

/* Component of the picture that an output is, as it lies there; negative: it is made of several, or scaled. */
static int copied(const float row[4]) {
  int component = -1;
  for (int c = 0; c < 3; c++) {
    if (row[c] == 0.0f)
      continue;
    if (row[c] != 1.0f || component >= 0)
      return -1;
    component = c;
  }
  return row[3] == 0.0f ? component : -1;
}

/* What a run needs at most for one group. Bytes of float rows: four components, three values, and alpha. */
#define VALUE_ROWS 8u

static size_t row_bytes(uint32_t count) {
  return ((size_t)count * sizeof(float) + 63) & ~(size_t)63;
}

static size_t scratch_of(const cf_surface *surface, const cf_plan *plan, uint32_t group) {
  part p;
  if (!clip(plan, &surface->component[first_output(surface, group)], &p))
    return 0;
  const size_t rows = VALUE_ROWS * row_bytes(p.width);
  if (plan->kind == CF_PLAN_NONE)
    return rows;
  return rows + cf_host_rows_bytes(plan, p.skip_x, p.width);
}

/* Everything that a row of a group is drawn with. */
typedef struct brush {
  const cf_surface *surface;
  const cf_plan *plan;
  cf_host_rows rows;
  part part;
  uint32_t first, outputs;
  float opacity;
  float *component[4], *value, *alpha;
} brush;

/* What the row is made of. */
static void rows_make(brush *b, uint32_t row) {
  for (uint32_t c = 0; c < b->plan->components; c++)
    if (b->plan->used >> c & 1)
      cf_host_rows_get(&b->rows, c, row, b->component[c]);
}

static void mix(const brush *b, uint32_t v, float *restrict to) {
  const float *m = b->plan->matrix[v];
  const uint32_t count = b->part.width;
  const float constant = m[3];
  for (uint32_t i = 0; i < count; i++)
    to[i] = constant;
  for (uint32_t c = 0; c < 3; c++) {
    const float *restrict from = b->component[c], factor = m[c];
    if (factor == 0.0f || !(b->plan->used & 1u << c))
      continue;
    for (uint32_t i = 0; i < count; i++)
      to[i] += from[i] * factor;
  }
}

/* Samples that are the output's as they are. */
static bool copy_row(const brush *b, uint32_t row, uint32_t v, uint8_t *to, uint32_t step) {
  const int component = copied(b->plan->matrix[v]);
  if (component < 0 || b->surface->shift != 0)
    return false;
  const uint8_t *from = cf_host_rows_plain(&b->rows, (uint32_t)component, row);
  const uint32_t bytes = b->surface->sample_bytes, from_step = b->plan->component[component].step;
  if (!from || bytes != b->plan->sample_bytes)
    return false;
  if (step == bytes && from_step == bytes) {
    memcpy(to, from, (size_t)b->part.width * bytes);
    return true;
  }
  for (uint32_t i = 0; i < b->part.width; i++)
    memcpy(to + (size_t)i * step, from + (size_t)i * from_step, bytes);
  return true;
}

/* Chroma that is not converted, both components at once: most of what there is to draw. False: it is something else. */
static bool draw_pairs(brush *b, uint32_t y) {
  const float(*m)[4] = b->plan->matrix;
  if (b->first != 1 || !has_pairs(b->surface) || copied(m[0]) != 1 || copied(m[1]) != 2 ||
      cf_host_rows_plain(&b->rows, 1, b->part.skip_y + y))
    return false;
  rows_make(b, b->part.skip_y + y);
  store_8_pairs(sample_at(&b->surface->component[1], b->part.x, b->part.y + y), b->component[1], b->component[2],
                b->part.width);
  return true;
}

static void draw_row(brush *b, uint32_t y) {
  const bool blended = b->opacity < 1.0f || b->plan->components == 4;
  const uint32_t row = b->part.skip_y + y;
  bool made = false;
  if (!blended && draw_pairs(b, y))
    return;
  for (uint32_t v = 0; v < b->outputs; v++) {
    const cf_surface_component *k = &b->surface->component[b->first + v];
    uint8_t *to = sample_at(k, b->part.x, b->part.y + y);
    if (!blended && copy_row(b, row, v, to, k->step))
      continue;
    if (!made) {
      rows_make(b, row);
      made = true;
    }
    if (v == 0 && b->plan->components == 4)
      for (uint32_t i = 0; i < b->part.width; i++)
        b->alpha[i] = b->opacity * b->component[3][i] * (1.0f / 255.0f);
    const int component = copied(b->plan->matrix[v]);
    if (component < 0)
      mix(b, v, b->value);
    put_row(b->surface, k, to, component < 0 ? b->value : b->component[component], blended ? b->alpha : NULL,
            b->part.width);
  }
}

/* A rectangle. */
static void draw_color(const brush *b, const float color[3]) {
  const float most = (float)b->surface->most;
  if (b->first == 1 && has_pairs(b->surface) && b->opacity >= 1.0f) {
    for (uint32_t y = 0; y < b->part.height; y++)
      fill_pairs(sample_at(&b->surface->component[1], b->part.x, b->part.y + y), b->part.width, code_of(color[1], most),
                 code_of(color[2], most));
    return;
  }
  for (uint32_t v = 0; v < b->outputs; v++) {
    const cf_surface_component *k = &b->surface->component[b->first + v];
    const float value = color[b->first + v];
    for (uint32_t i = 0; i < b->part.width; i++)
      b->value[i] = value;
    for (uint32_t y = 0; y < b->part.height; y++) {
      uint8_t *to = sample_at(k, b->part.x, b->part.y + y);
      if (b->opacity < 1.0f)
        put_row(b->surface, k, to, b->value, b->alpha, b->part.width);
      else
        fill_row(b->surface, k, to, b->part.width, code_of(value, most));
    }
  }
}

static void draw_group(const cf_surface *surface, const cf_plan_layer *layer, uint32_t group, uint8_t *memory) {
  brush b = { .surface = surface,
              .plan = &layer->group[group],
              .first = first_output(surface, group),
              .outputs = outputs(surface, group),
              .opacity = layer->opacity };
  if (!clip(b.plan, &surface->component[b.first], &b.part) || !(layer->opacity > 0))
    return;
  const size_t bytes = row_bytes(b.part.width);
  for (uint32_t c = 0; c < 4; c++)
    b.component[c] = (float *)(void *)(memory + c * bytes);
  b.value = (float *)(void *)(memory + 4 * bytes);
  b.alpha = (float *)(void *)(memory + 5 * bytes);
  for (uint32_t i = 0; i < b.part.width; i++)
    b.alpha[i] = layer->opacity;
  if (b.plan->kind == CF_PLAN_NONE) {
    draw_color(&b, layer->color);
    return;
  }
  cf_host_rows_begin(&b.rows, b.plan, cf_host_loops_best(), b.part.skip_x, b.part.width, memory + VALUE_ROWS * bytes);
  for (uint32_t y = 0; y < b.part.height; y++)
    draw_row(&b, y);
}

int cf_host_compositor(void *state, const cf_plan_layer *layers, uint32_t count, const cf_surface *surface,
                       void *stream) {
  (void)state;
  (void)stream;
  size_t most = 64;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t g = 0; g < surface->groups; g++) {
      const size_t bytes = scratch_of(surface, &layers[i].group[g], g);
      most = bytes > most ? bytes : most;
    }
  uint8_t *memory = aligned_alloc(64, (most + 63) & ~(size_t)63);
  if (memory == NULL)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (count == 0 || !covers(surface, &layers[0]))
    fill_black(surface);
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t g = 0; g < surface->groups; g++)
      draw_group(surface, &layers[i], g, memory);
  free(memory);
  return CUFRAMES_OK;
}
