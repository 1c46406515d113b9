/* host/preprocess.c - a picture into its place in a tensor, row by row. */
#include <stdbool.h>
#include <string.h>

#include <cuframes/vision.h>

#include "vision/host/host.h"
#include "vision/host/rows.h"

typedef struct job {
  const cf_plan *plan;
  const cf_plan_tensor *tensor;
  const cf_host_loops *loops;
  size_t element;            /* bytes */
  unsigned char *out, *pad;  /* pad: a row of padding, as it lies in the tensor; NCHW: one for each channel */
  float *means[3], *made[3]; /* of a row of the tile: by component, and by channel */
  cf_host_rows rows;
} job;

static size_t padded(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
}

size_t cf_host_preprocess_bytes(const cf_plan *plan, const cf_plan_tensor *tensor) {
  size_t row = padded(tensor->width * sizeof(float));
  size_t rows = plan->kind == CF_PLAN_NONE ? 0 : cf_host_rows_bytes(plan, 0, plan->width);
  return 64 + padded((size_t)tensor->width * tensor->channels * cuframes_element_size(tensor->element)) + 6 * row +
         rows;
}

/* n pixels of row y from column x on; `in` has a row of elements-to-be for each channel. */
static void put(const job *j, uint32_t y, uint32_t x, const float *const in[3], size_t n) {
  const cf_plan_tensor *t = j->tensor;
  bool planar = t->layout == CUFRAMES_LAYOUT_NCHW;
  uint32_t side_by_side = planar ? 1 : t->channels;
  for (uint32_t c = 0; c < t->channels; c += side_by_side) {
    size_t pixel = (size_t)y * t->width + x;
    size_t at = planar ? (size_t)c * t->width * t->height + pixel : pixel * t->channels;
    void *out = j->out + at * j->element;
    const float *const from[3] = { in[c], planar ? NULL : in[1], planar ? NULL : in[2] };
    if (t->element == CUFRAMES_ELEMENT_UINT8)
      j->loops->to_uint8(from, side_by_side, out, n);
    else if (t->element == CUFRAMES_ELEMENT_FLOAT16)
      j->loops->to_float16(from, side_by_side, out, n);
    else
      j->loops->to_float32(from, side_by_side, out, n);
  }
}

/* ---- padding ---- */

static void pad_make(job *j) {
  const cf_plan_tensor *t = j->tensor;
  job row = *j; /* a tensor of one row */
  cf_plan_tensor one = *t;
  one.height = 1;
  row.tensor = &one;
  row.out = j->pad;
  for (uint32_t c = 0; c < t->channels; c++)
    for (uint32_t x = 0; x < t->width; x++)
      j->made[c][x] = t->padding[c] * t->multiply[c] + t->add[c];
  put(&row, 0, 0, (const float *const *)j->made, t->width);
}

/* n pixels of `rows` rows. */
static void pad_put(const job *j, uint32_t y, uint32_t x, uint32_t rows, uint32_t n) {
  const cf_plan_tensor *t = j->tensor;
  bool planar = t->layout == CUFRAMES_LAYOUT_NCHW;
  uint32_t images = planar ? t->channels : 1;
  size_t pixel = planar ? j->element : j->element * t->channels;
  for (uint32_t c = 0; c < images && n > 0; c++)
    for (uint32_t row = y; row < y + rows; row++)
      memcpy(j->out + (((size_t)c * t->height + row) * t->width + x) * pixel, j->pad + (size_t)c * t->width * pixel,
             n * pixel);
}

static void pad_all(job *j) {
  const cf_plan_tensor *t = j->tensor;
  const cf_plan *p = j->plan;
  uint32_t left = (uint32_t)p->x, top = (uint32_t)p->y, right = left + p->width, bottom = top + p->height;
  if (p->width == t->width && p->height == t->height)
    return;
  pad_make(j);
  pad_put(j, 0, 0, top, t->width);
  pad_put(j, top, 0, p->height, left);
  pad_put(j, top, right, p->height, t->width - right);
  pad_put(j, bottom, 0, t->height - bottom, t->width);
}

/* ---- the tile ---- */

static void tile(job *j) {
  const cf_plan *p = j->plan;
  const cf_plan_tensor *t = j->tensor;
  const cf_host_colour colour = { p->matrix, t->multiply, t->add, p->components, t->channels };
  bool direct = t->element == CUFRAMES_ELEMENT_FLOAT32 && (t->layout == CUFRAMES_LAYOUT_NCHW || t->channels == 1);
  for (uint32_t y = 0; y < p->height; y++) {
    for (uint32_t k = 0; k < p->components; k++)
      cf_host_rows_get(&j->rows, k, y, j->means[k]);
    float *made[3] = { j->made[0], j->made[1], j->made[2] };
    for (uint32_t c = 0; direct && c < t->channels; c++)
      made[c] = (float *)(void *)j->out + ((size_t)c * t->height + (uint32_t)p->y + y) * t->width + (uint32_t)p->x;
    j->loops->colour(&colour, (const float *const *)j->means, made, p->width);
    if (!direct)
      put(j, (uint32_t)p->y + y, (uint32_t)p->x, (const float *const *)j->made, p->width);
  }
}

void cf_host_preprocess(const cf_plan *plan, const cf_plan_tensor *tensor, const cf_host_loops *loops, void *out,
                        void *scratch) {
  char *memory = (char *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
  size_t row = padded(tensor->width * sizeof(float));
  job j = { .plan = plan, .tensor = tensor, .loops = loops, .out = out, .pad = (unsigned char *)memory };
  j.element = cuframes_element_size(tensor->element);
  memory += padded((size_t)tensor->width * tensor->channels * j.element);
  for (int i = 0; i < 3; i++) {
    j.means[i] = (float *)(void *)(memory + (size_t)i * row);
    j.made[i] = (float *)(void *)(memory + (size_t)(3 + i) * row);
  }
  pad_all(&j);
  if (plan->kind == CF_PLAN_NONE)
    return;
  cf_host_rows_begin(&j.rows, plan, loops, 0, plan->width, memory + 6 * row);
  tile(&j);
}
