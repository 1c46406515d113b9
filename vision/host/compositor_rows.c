/* compositor_rows.c - see compositor_rows.h. */
#include "vision/host/compositor_rows.h"

#include <string.h>

/* ---- weights along an axis ---- */

static int32_t clamped(int64_t sample, const cf_plan_axis *axis) {
  return sample < axis->first ? axis->first : sample > axis->last ? axis->last : (int32_t)sample;
}

typedef struct span {
  int64_t low, high;   /* the window, in fixed point */
  int32_t first, last; /* samples that it touches, as far as they may be used */
} span;

static span span_at(const cf_plan_axis *axis, int64_t at) {
  span s = { .low = axis->start + at * axis->step };
  s.high = s.low + axis->window;
  s.first = clamped(s.low >> 32, axis);
  s.last = clamped((s.high - 1) >> 32, axis);
  return s;
}

uint32_t cf_taps_needed(const cf_plan_axis *axis, int64_t from, uint32_t count) {
  int32_t most = 0;
  for (uint32_t i = 0; i < count; i++) {
    const span s = span_at(axis, from + i);
    most = s.last - s.first > most ? s.last - s.first : most;
  }
  return (uint32_t)most + 1;
}

/* How much of a window sample k stands for: the first and the last one for all that lies beyond them. */
static float weight_of(const span *s, const cf_plan_axis *axis, int32_t k) {
  const int64_t left = k == axis->first ? s->low : (int64_t)k << 32;
  const int64_t right = k == axis->last ? s->high : ((int64_t)k + 1) << 32;
  const int64_t low = left > s->low ? left : s->low, high = right < s->high ? right : s->high;
  return (float)((double)(high - low) / (double)axis->window);
}

uint32_t cf_taps_one(const cf_plan_axis *axis, int64_t at, int32_t *first, float *weight, uint32_t most) {
  const span s = span_at(axis, at);
  uint32_t count = 0;
  for (int32_t k = s.first; k <= s.last && count < most; k++)
    weight[count++] = weight_of(&s, axis, k);
  *first = s.first;
  return count;
}

void cf_taps_fill(cf_taps *taps, const cf_plan_axis *axis, int64_t from, uint32_t count) {
  taps->count = count;
  taps->low = INT32_MAX;
  taps->high = INT32_MIN;
  taps->straight = taps->taps == 1;
  for (uint32_t i = 0; i < count; i++) {
    float *weight = taps->weight + (size_t)i * taps->taps;
    const uint32_t seen = cf_taps_one(axis, from + i, &taps->index[i], weight, taps->taps);
    const int32_t last = taps->index[i] + (int32_t)seen - 1;
    memset(weight + seen, 0, (taps->taps - seen) * sizeof *weight);
    taps->low = taps->index[i] < taps->low ? taps->index[i] : taps->low;
    taps->high = last > taps->high ? last : taps->high;
    taps->straight = taps->straight && taps->index[i] == taps->index[0] + (int32_t)i;
  }
}

/* ---- what belongs to a part of a plan ---- */

static bool same_axis(const cf_plan_axis *a, const cf_plan_axis *b) {
  return a->start == b->start && a->step == b->step && a->window == b->window && a->first == b->first &&
         a->last == b->last;
}

/* The first used component in whose rows this one lies, too. */
static uint32_t plane_of(const cf_plan *plan, unsigned used, uint32_t component) {
  const bool packed = plan->kind == CF_PLAN_PACKED || plan->kind == CF_PLAN_YUYV;
  const uint32_t from = packed ? 0 : plan->kind == CF_PLAN_SEMIPLANAR && component == 2 ? 1 : component;
  for (uint32_t c = from; c < component; c++)
    if (used & 1u << c && same_axis(&plan->component[c].y, &plan->component[component].y))
      return c;
  return component;
}

/* The first used component with the same axis along the row. */
static uint32_t twin_of(const cf_plan *plan, unsigned used, uint32_t component) {
  for (uint32_t c = 0; c < component; c++)
    if (used & 1u << c && same_axis(&plan->component[c].x, &plan->component[component].x))
      return c;
  return component;
}

static size_t padded(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
}

/* Floats of a plane's column means, and the zeros behind them. */
static size_t column_bytes(uint32_t samples, uint32_t taps, uint32_t stride) {
  return padded(((size_t)samples + (size_t)taps * stride + 16) * sizeof(float));
}

/* Where things lie in the scratch memory; with memory NULL only how much it is. */
static size_t lay_out(cf_rows *rows, uint8_t *memory) {
  const cf_plan *plan = rows->plan;
  size_t at = 0;
  rows->y_most = 1;
  for (uint32_t c = 0; c < 4; c++) {
    if (!(rows->used & 1u << c))
      continue;
    const cf_plan_axis *y = &plan->component[c].y;
    const uint32_t rows_seen = (uint32_t)(y->window >> 32) + 2;
    rows->y_most = rows_seen > rows->y_most ? rows_seen : rows->y_most;
    const uint32_t twin = twin_of(plan, rows->used, c);
    if (twin != c) {
      rows->taps[c] = rows->taps[twin];
      continue;
    }
    cf_taps *taps = &rows->taps[c];
    taps->count = rows->count;
    taps->taps = cf_taps_needed(&plan->component[c].x, rows->skip, rows->count);
    taps->index = memory ? (void *)(memory + at) : NULL;
    at += padded(rows->count * sizeof *taps->index);
    taps->weight = memory ? (void *)(memory + at) : NULL;
    at += padded((size_t)rows->count * taps->taps * sizeof *taps->weight);
    if (memory)
      cf_taps_fill(taps, &plan->component[c].x, rows->skip, rows->count);
  }
  rows->y_weight = memory ? (void *)(memory + at) : NULL;
  return at + padded(rows->y_most * sizeof(float));
}

/* The samples of each plane that are read. */
static void find_planes(cf_rows *rows) {
  const cf_plan *plan = rows->plan;
  const uint32_t bytes = plan->sample_bytes;
  uint64_t end[4] = { 0 };
  for (uint32_t c = 0; c < 4; c++) {
    if (!(rows->used & 1u << c))
      continue;
    const cf_plan_component *k = &plan->component[c];
    const uint32_t p = rows->plane[c] = plane_of(plan, rows->used, c);
    const uint64_t from = k->base + (uint64_t)rows->taps[c].low * k->step;
    const uint64_t to = k->base + (uint64_t)rows->taps[c].high * k->step + bytes;
    rows->base[p] = p == c || from < rows->base[p] ? from : rows->base[p];
    end[p] = p == c || to > end[p] ? to : end[p];
    rows->stride[c] = k->step / bytes;
  }
  for (uint32_t c = 0; c < 4; c++) {
    if (!(rows->used & 1u << c))
      continue;
    const cf_plan_component *k = &plan->component[c];
    const uint32_t p = rows->plane[c];
    rows->samples[p] = (uint32_t)((end[p] - rows->base[p]) / bytes);
    rows->offset[c] = (uint32_t)((k->base + (uint64_t)rows->taps[c].low * k->step - rows->base[p]) / bytes);
  }
}

/* How much of a row the columns of this part take at most, without the tables: of each component its hull. */
static size_t columns_bound(const cf_plan *plan, unsigned used, uint32_t skip, uint32_t count) {
  size_t bytes = 0;
  for (uint32_t c = 0; c < 4; c++) {
    if (!(used & 1u << c))
      continue;
    const cf_plan_component *k = &plan->component[c];
    const span left = span_at(&k->x, skip), right = span_at(&k->x, (int64_t)skip + count - 1);
    const uint32_t stride = k->step / plan->sample_bytes;
    const uint32_t taps = cf_taps_needed(&k->x, skip, count);
    /* four samples more: of those side by side with it, one may lie before and one behind */
    bytes += column_bytes((uint32_t)(right.last - left.first + 1) * stride + 8, taps, stride);
  }
  return bytes;
}

size_t cf_rows_scratch(const cf_plan *plan, unsigned used, uint32_t skip, uint32_t count) {
  cf_rows rows = { .plan = plan, .used = used, .skip = skip, .count = count };
  return lay_out(&rows, NULL) + columns_bound(plan, used, skip, count);
}

void cf_rows_begin(cf_rows *rows, const cf_plan *plan, unsigned used, uint32_t skip, uint32_t count, void *memory) {
  *rows = (cf_rows){ .plan = plan, .used = used, .skip = skip, .count = count };
  size_t at = lay_out(rows, memory);
  find_planes(rows);
  for (uint32_t c = 0; c < 4; c++) {
    if (!(used & 1u << c) || rows->plane[c] != c)
      continue;
    uint32_t slack = 0;
    for (uint32_t k = c; k < 4; k++)
      if (used & 1u << k && rows->plane[k] == c && rows->taps[k].taps * rows->stride[k] > slack)
        slack = rows->taps[k].taps * rows->stride[k];
    rows->column[c] = (float *)(void *)((uint8_t *)memory + at);
    memset(rows->column[c] + rows->samples[c], 0, ((size_t)slack + 16) * sizeof(float));
    at += padded(((size_t)rows->samples[c] + slack + 16) * sizeof(float));
  }
}

/* ---- down the columns ---- */

static void one_row_8(float *to, const uint8_t *a, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[i] = (float)a[i];
}

static void two_rows_8(float *to, const uint8_t *a, const uint8_t *b, float wa, float wb, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[i] = (float)a[i] * wa + (float)b[i] * wb;
}

static void three_rows_8(float *to, const uint8_t *a, const uint8_t *b, const uint8_t *c, const float *w,
                         uint32_t count) {
  const float wa = w[0], wb = w[1], wc = w[2];
  for (uint32_t i = 0; i < count; i++)
    to[i] = (float)a[i] * wa + (float)b[i] * wb + (float)c[i] * wc;
}

static void add_row_8(float *to, const uint8_t *a, float weight, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[i] += (float)a[i] * weight;
}

static void one_row_16(float *to, const uint16_t *a, float weight, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[i] = (float)a[i] * weight;
}

static void add_row_16(float *to, const uint16_t *a, float weight, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    to[i] += (float)a[i] * weight;
}

static const void *row_at(uint64_t base, uint32_t pitch, int32_t row) {
  return (const void *)(uintptr_t)(base + (uint64_t)row * pitch);
}

static void columns_8(float *to, uint64_t base, uint32_t pitch, int32_t first, const float *weight, uint32_t rows,
                      uint32_t count) {
  const uint8_t *a = row_at(base, pitch, first);
  uint32_t done = 3;
  if (rows == 1)
    one_row_8(to, a, count);
  else if (rows == 2)
    two_rows_8(to, a, a + pitch, weight[0], weight[1], count);
  else
    three_rows_8(to, a, a + pitch, a + 2 * (size_t)pitch, weight, count);
  for (; done < rows; done++)
    add_row_8(to, row_at(base, pitch, first + (int32_t)done), weight[done], count);
}

static void columns_16(float *to, uint64_t base, uint32_t pitch, int32_t first, const float *weight, uint32_t rows,
                       uint32_t count) {
  one_row_16(to, row_at(base, pitch, first), weight[0], count);
  for (uint32_t done = 1; done < rows; done++)
    add_row_16(to, row_at(base, pitch, first + (int32_t)done), weight[done], count);
}

/* ---- along the row ---- */

/* With the number of weights known, the compiler unrolls. */
static inline __attribute__((always_inline)) void along(float *to, const float *from, const cf_taps *taps,
                                                        uint32_t stride, uint32_t count) {
  const float *weight = taps->weight;
  for (uint32_t i = 0; i < taps->count; i++, weight += count) {
    const float *sample = from + (size_t)(uint32_t)(taps->index[i] - taps->low) * stride;
    float sum = sample[0] * weight[0];
    for (uint32_t k = 1; k < count; k++)
      sum += sample[(size_t)k * stride] * weight[k];
    to[i] = sum;
  }
}

static void along_row(float *to, const float *from, const cf_taps *taps, uint32_t stride) {
  const uint32_t count = taps->taps;
  if (taps->straight && stride == 1)
    memcpy(to, from, taps->count * sizeof *to);
  else if (stride == 1 && count == 2)
    along(to, from, taps, 1, 2);
  else if (stride == 1 && count == 3)
    along(to, from, taps, 1, 3);
  else if (stride == 1 && count == 4)
    along(to, from, taps, 1, 4);
  else if (stride == 2 && count == 2)
    along(to, from, taps, 2, 2);
  else if (stride == 2 && count == 3)
    along(to, from, taps, 2, 3);
  else
    along(to, from, taps, stride, count);
}

void cf_rows_make(cf_rows *rows, uint32_t row, float *const value[4]) {
  const cf_plan *plan = rows->plan;
  for (uint32_t c = 0; c < 4; c++) {
    if (!(rows->used & 1u << c))
      continue;
    const cf_plan_component *k = &plan->component[c];
    const uint32_t p = rows->plane[c];
    if (p == c) {
      int32_t first;
      const uint32_t seen = cf_taps_one(&k->y, row, &first, rows->y_weight, rows->y_most);
      if (plan->sample_bytes == 1)
        columns_8(rows->column[c], rows->base[c], k->pitch, first, rows->y_weight, seen, rows->samples[c]);
      else
        columns_16(rows->column[c], rows->base[c], k->pitch, first, rows->y_weight, seen, rows->samples[c]);
    }
    along_row(value[c], rows->column[p] + rows->offset[c], &rows->taps[c], rows->stride[c]);
  }
}

bool cf_rows_are_plain(const cf_rows *rows, uint32_t row, unsigned component, uint64_t *address) {
  const cf_plan_component *k = &rows->plan->component[component];
  float weight[2];
  int32_t first;
  if (!rows->taps[component].straight || k->y.window != CF_PLAN_ONE || cf_taps_one(&k->y, row, &first, weight, 2) != 1)
    return false;
  *address = k->base + (uint64_t)rows->taps[component].low * k->step + (uint64_t)first * k->pitch;
  return true;
}
