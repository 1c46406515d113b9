/* host/rows.h - what the pixels of an output row see of a picture's components: the geometry of a plan (plan.h) carried
 * out, first along y (whole rows, contiguous), then along x. For whoever puts colour to it: tensors, and pictures.
 */
#ifndef CF_VISION_HOST_ROWS_H
#define CF_VISION_HOST_ROWS_H

#include "vision/host/loops.h"
#include "vision/plan.h"

/* Along x, for a range of output pixels; components with the same axis share it. */
typedef struct cf_host_columns {
  int32_t low, high;        /* samples that windows touch, whether there are such or not; both inclusive */
  int32_t valid, valid_end; /* those of them that are read: the others are the nearest of these; both inclusive */
  uint32_t most;            /* samples of the largest window */
  float scale;              /* 1 / window */
  int32_t *at, *count;      /* of each pixel, from `low` on */
  float *first, *last;      /* weights; for linear, `last` is the fraction */
  float *taps;              /* the weights of all samples, scaled, if no window has more than CF_HOST_TAPS_MAX */
  uint32_t step;            /* samples from each window to the next, if they are all alike; else 0 */
  float regular[CF_HOST_TAPS_MAX]; /* and their weights, scaled */
} cf_host_columns;

typedef struct cf_host_rows {
  const cf_plan *plan;
  const cf_host_loops *loops;
  uint32_t first, count; /* output pixels, of the tile */
  cf_host_columns columns[4];
  size_t apart; /* from a tap's weights to the next one's */
  float *line;
  uint32_t *sums;
} cf_host_rows;

/* Bytes of scratch memory for pixels first..first + count - 1 (count > 0) of rows of the tile. */
size_t cf_host_rows_bytes(const cf_plan *plan, uint32_t first, uint32_t count);

/* Prepares it, in scratch memory that is the caller's and aligned as malloc() has it. */
void cf_host_rows_begin(cf_host_rows *rows, const cf_plan *plan, const cf_host_loops *loops, uint32_t first,
                        uint32_t count, void *scratch);

/* The means of a component, raw samples, for row j of the tile. Components that are not in plan->used need not be asked
 * for. */
void cf_host_rows_get(cf_host_rows *rows, uint32_t component, uint32_t j, float *out);

/* Whether that row is samples of the picture as they are, side by side: then where the first one is, else NULL. */
const void *cf_host_rows_plain(const cf_host_rows *rows, uint32_t component, uint32_t j);

#endif
