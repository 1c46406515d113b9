/* host/rows.c - what the pixels of an output row see of a picture's components. */
#include "vision/host/rows.h"

#include <stdbool.h>
#include <string.h>

#define FRACTION (1.0f / 4294967296.0f) /* of a sample: 2^-32 */

static int64_t within(const cf_plan_axis *axis, int64_t k) {
  return k < axis->first ? axis->first : k > axis->last ? axis->last : k;
}

static float fraction_of(int64_t position) {
  return (float)(position & (CF_PLAN_ONE - 1)) * FRACTION;
}

/* Samples that output pixels first..first + count - 1 see. */
static void reach(const cf_plan_axis *axis, uint32_t first, uint32_t count, cf_host_columns *columns) {
  int64_t low = axis->start + first * axis->step;
  int64_t high = axis->start + ((int64_t)first + count - 1) * axis->step + axis->window;
  columns->low = (int32_t)(low >> 32);
  columns->high = (int32_t)((high - 1) >> 32);
  columns->valid = (int32_t)within(axis, columns->low);
  columns->valid_end = (int32_t)within(axis, columns->high);
  if (columns->valid < columns->low) /* all of it lies past the last sample: that one is read, and repeated */
    columns->low = columns->valid;
  if (columns->valid_end > columns->high)
    columns->high = columns->valid_end;
}

static bool same_axis(const cf_plan_axis *a, const cf_plan_axis *b) {
  return a->start == b->start && a->step == b->step && a->window == b->window && a->first == b->first &&
         a->last == b->last;
}

/* The component before k that has the same columns, or k. */
static uint32_t shared_with(const cf_plan *plan, uint32_t k) {
  for (uint32_t other = 0; other < k; other++)
    if ((plan->used >> other & 1) && same_axis(&plan->component[other].x, &plan->component[k].x))
      return other;
  return k;
}

static size_t padded(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
}

/* Samples of the largest window that there may be along an axis. */
static uint32_t most_samples(const cf_plan_axis *axis) {
  return axis->window == CF_PLAN_ONE ? 2 : (uint32_t)((axis->window + 2 * CF_PLAN_ONE - 2) >> 32);
}

static bool has_taps(const cf_plan_axis *axis) {
  return axis->window != CF_PLAN_ONE && most_samples(axis) <= CF_HOST_TAPS_MAX;
}

/* A line has so many samples more, which count nothing: loops look at as many for each pixel. */
#define SPARE CF_HOST_TAPS_MAX

size_t cf_host_rows_bytes(const cf_plan *plan, uint32_t first, uint32_t count) {
  size_t bytes = 64, longest = 0;
  for (uint32_t k = 0; k < plan->components; k++)
    if (plan->used >> k & 1) {
      cf_host_columns columns;
      reach(&plan->component[k].x, first, count, &columns);
      size_t length = (size_t)((int64_t)columns.high - columns.low + 1);
      longest = length > longest ? length : longest;
      if (shared_with(plan, k) == k)
        bytes += padded(count * sizeof(float)) *
                 (4 + (has_taps(&plan->component[k].x) ? most_samples(&plan->component[k].x) : 0));
    }
  return bytes + padded((longest + SPARE) * sizeof(float)) + padded(longest * sizeof(uint32_t));
}

static void *take(char **memory, size_t bytes) {
  void *taken = *memory;
  *memory += padded(bytes);
  return taken;
}

static void taps_make(cf_host_columns *columns, uint32_t count, float *taps) {
  size_t apart = padded(count * sizeof *taps) / sizeof *taps;
  for (uint32_t k = 0; k < columns->most; k++)
    for (uint32_t i = 0; i < count; i++) {
      uint32_t behind = (uint32_t)columns->count[i] - 1;
      float weight = k == 0 ? columns->first[i] : k == behind ? columns->last[i] : k < behind ? 1 : 0;
      taps[k * apart + i] = weight * columns->scale;
    }
  columns->taps = taps;
}

/* Whether all pixels have windows alike, a whole number of samples apart: then they need no table. */
static bool is_regular(const cf_plan_axis *axis) {
  return (axis->step & (CF_PLAN_ONE - 1)) == 0 && axis->step >> 32 <= CF_HOST_STEP_MAX &&
         most_samples(axis) <= CF_HOST_TAPS_MAX;
}

static void columns_make(cf_host_columns *columns, const cf_plan_axis *axis, uint32_t first, uint32_t count,
                         char **memory) {
  reach(axis, first, count, columns);
  columns->at = take(memory, count * sizeof *columns->at);
  columns->count = take(memory, count * sizeof *columns->count);
  columns->first = take(memory, count * sizeof *columns->first);
  columns->last = take(memory, count * sizeof *columns->last);
  columns->most = 0;
  columns->taps = NULL;
  columns->scale = (float)((double)CF_PLAN_ONE / (double)axis->window);
  int64_t low = axis->start + first * axis->step;
  for (uint32_t i = 0; i < count; i++, low += axis->step) {
    int64_t high = low + axis->window, begin = low >> 32, end = (high - 1) >> 32;
    columns->at[i] = (int32_t)(begin - columns->low);
    columns->count[i] = (int32_t)(end - begin + 1);
    columns->first[i] = 1 - fraction_of(low);
    columns->last[i] = (float)(high - end * CF_PLAN_ONE) * FRACTION;
    if ((uint32_t)columns->count[i] > columns->most)
      columns->most = (uint32_t)columns->count[i];
  }
  if (axis->window == CF_PLAN_ONE) /* the second weight is the fraction; a second sample there need not be */
    for (uint32_t i = 0; i < count; i++)
      if (columns->count[i] == 1)
        columns->last[i] = 0;
  columns->step = is_regular(axis) ? (uint32_t)(axis->step >> 32) : 0;
  for (uint32_t k = 0; columns->step > 0 && k < columns->most; k++) {
    float weight = k == 0 ? columns->first[0] : k + 1 == columns->most ? columns->last[0] : 1;
    columns->regular[k] = weight * columns->scale;
  }
  if (has_taps(axis))
    taps_make(columns, count, take(memory, most_samples(axis) * padded(count * sizeof(float))));
}

void cf_host_rows_begin(cf_host_rows *rows, const cf_plan *plan, const cf_host_loops *loops, uint32_t first,
                        uint32_t count, void *scratch) {
  char *memory = (char *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
  size_t longest = 0;
  *rows = (cf_host_rows){ .plan = plan, .loops = loops, .first = first, .count = count };
  rows->apart = padded(count * sizeof(float)) / sizeof(float);
  for (uint32_t k = 0; k < plan->components; k++)
    if (plan->used >> k & 1) {
      uint32_t shared = shared_with(plan, k);
      if (shared == k)
        columns_make(&rows->columns[k], &plan->component[k].x, first, count, &memory);
      else
        rows->columns[k] = rows->columns[shared];
      size_t length = (size_t)((int64_t)rows->columns[k].high - rows->columns[k].low + 1);
      longest = length > longest ? length : longest;
    }
  rows->line = take(&memory, (longest + SPARE) * sizeof *rows->line);
  rows->sums = take(&memory, longest * sizeof *rows->sums);
}

/* Row y of a component, from the first valid sample on. */
static cf_host_row row_at(const cf_host_rows *rows, uint32_t k, int64_t y) {
  const cf_plan_component *c = &rows->plan->component[k];
  uint64_t at = c->base + (uint64_t)within(&c->y, y) * c->pitch + (uint64_t)rows->columns[k].valid * c->step;
  return (cf_host_row){ (const void *)(uintptr_t)at, rows->plan->sample_bytes, c->step / rows->plan->sample_bytes };
}

/* Along y: the line of output row j, n samples. */
static void line_make(cf_host_rows *rows, uint32_t k, uint32_t j, float *line, size_t n) {
  const cf_plan_axis *axis = &rows->plan->component[k].y;
  const cf_host_loops *loops = rows->loops;
  int64_t low = axis->start + j * axis->step, high = low + axis->window, begin = low >> 32, end = (high - 1) >> 32;
  cf_host_row first = row_at(rows, k, begin), last = row_at(rows, k, end);
  float weight_first = 1 - fraction_of(low), weight_last = (float)(high - end * CF_PLAN_ONE) * FRACTION;
  float scale = (float)((double)CF_PLAN_ONE / (double)axis->window);
  if (begin == end || (first.at == last.at && end == begin + 1))
    loops->convert(first, line, n);
  else if (end == begin + 1)
    loops->blend(first, last, weight_first * scale, weight_last * scale, line, n);
  else {
    memset(rows->sums, 0, n * sizeof *rows->sums);
    for (int64_t y = begin + 1; y < end; y++)
      loops->sum(row_at(rows, k, y), rows->sums, n);
    loops->mean(first, last, rows->sums, weight_first, weight_last, scale, line, n);
  }
}

void cf_host_rows_get(cf_host_rows *rows, uint32_t component, uint32_t j, float *out) {
  const cf_host_columns *c = &rows->columns[component];
  const cf_host_loops *loops = rows->loops;
  size_t before = (size_t)(c->valid - c->low), n = (size_t)(c->valid_end - c->valid) + 1;
  size_t behind = (size_t)(c->high - c->valid_end);
  float *line = rows->line;
  line_make(rows, component, j, line + before, n);
  for (size_t i = 0; i < before; i++)
    line[i] = line[before];
  for (size_t i = 0; i < behind + SPARE; i++)
    line[before + n + i] = line[before + n - 1];
  if (c->step > 0)
    loops->steps(line + c->at[0], c->step, c->regular, c->most, out, rows->count);
  else if (c->most == 1)
    loops->pick(line, c->at, out, rows->count);
  else if (rows->plan->component[component].x.window == CF_PLAN_ONE)
    loops->between(line, c->at, c->last, out, rows->count);
  else if (c->taps)
    loops->taps(line, c->at, c->taps, rows->apart, c->most, out, rows->count);
  else
    loops->windows(line, (cf_host_windows){ c->at, c->count, c->first, c->last }, c->scale, out, rows->count);
}

const void *cf_host_rows_plain(const cf_host_rows *rows, uint32_t component, uint32_t j) {
  const cf_host_columns *c = &rows->columns[component];
  const cf_plan_axis *y = &rows->plan->component[component].y;
  int64_t at = y->start + j * y->step;
  bool all_are = c->valid == c->low && c->valid_end == c->high;
  if (!all_are || c->step != 1 || c->most != 1 || y->window != CF_PLAN_ONE || (at & (CF_PLAN_ONE - 1)) != 0)
    return NULL;
  return row_at(rows, component, at >> 32).at;
}
