/* compositor_rows.h - one row of a layer as the output sees it: samples of a plan's components, filtered, as floats.
 *
 * The mean is first taken down the columns, over whole rows of a plane at a time, components side by side included:
 * that is contiguous memory. Along the row then each output sample has a few weights, which are the same for all rows
 * and worked out once.
 */
#ifndef CF_VISION_COMPOSITOR_ROWS_H
#define CF_VISION_COMPOSITOR_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "vision/plan.h"

/* What `count` output samples along one axis see: sample index[i] + k counts weight[i * taps + k], for k below taps.
 * Weights of what lies outside of the picture are the edge's. Those that fill up to taps are 0, and may be of samples
 * behind the last. */
typedef struct cf_taps {
  int32_t *index;
  float *weight;
  uint32_t count, taps;
  int32_t low, high; /* samples that are seen, both inclusive */
  bool straight;     /* sample low + i alone: nothing is filtered */
} cf_taps;

/* The widest window of output samples from..from + count - 1, count > 0. */
uint32_t cf_taps_needed(const cf_plan_axis *axis, int64_t from, uint32_t count);
/* index has room for count, weight for count * taps, and taps is what cf_taps_needed() said. */
void cf_taps_fill(cf_taps *taps, const cf_plan_axis *axis, int64_t from, uint32_t count);

/* The weights of one output sample: those of samples *first and on, at most `most` of them; gives how many. */
uint32_t cf_taps_one(const cf_plan_axis *axis, int64_t at, int32_t *first, float *weight, uint32_t most);

/* Everything that is needed for the rows of one group of a layer: which part of it is drawn, and the tables. */
typedef struct cf_rows {
  const cf_plan *plan;
  uint32_t skip, count; /* output samples of the tile left out on the left, and drawn */
  unsigned used;        /* bit c: component c is wanted */
  cf_taps taps[4];      /* of the used components; those with the same axis have the same tables */
  uint32_t plane[4];    /* the component whose plane it lies in: itself, or the first one side by side with it */
  uint64_t base[4];     /* of planes: address of the first sample of row 0 that is read */
  uint32_t samples[4];  /* of planes: samples of any component that are read of a row */
  uint32_t offset[4], stride[4]; /* of components: where in those sample taps.low is, and from one to the next */
  float *column[4];              /* of planes: the mean down the columns; `slack` zeros behind it */
  float *y_weight;
  uint32_t y_most;
} cf_rows;

/* Bytes of scratch memory that cf_rows_begin() needs for this part of the plan. */
size_t cf_rows_scratch(const cf_plan *plan, unsigned used, uint32_t skip, uint32_t count);
/* memory: as many, aligned to 16. Nothing is allocated. */
void cf_rows_begin(cf_rows *rows, const cf_plan *plan, unsigned used, uint32_t skip, uint32_t count, void *memory);
/* Row `row` of the tile into value[c], `count` floats each, for the used components. */
void cf_rows_make(cf_rows *rows, uint32_t row, float *const value[4]);
/* Whether the row is samples of the picture as they are, and then where: the address of component c's first one. */
bool cf_rows_are_plain(const cf_rows *rows, uint32_t row, unsigned component, uint64_t *address);

#endif
