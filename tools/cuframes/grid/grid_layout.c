/* grid_layout.c - see grid_layout.h. */
#include "grid_layout.h"

#include <math.h>

/* The shape that most cameras' pictures have. */
#define USUAL_WIDTH 16.0
#define USUAL_HEIGHT 9.0
#define PART_LEAST (1.0 / 16) /* pixels */

static uint32_t rows_of(uint32_t count, uint32_t columns) {
  return (count + columns - 1) / columns;
}

uint32_t grid_columns(uint32_t count, uint32_t width, uint32_t height) {
  uint32_t best = 1;
  double best_scale = 0;
  for (uint32_t columns = 1; columns <= count; columns++) {
    const uint32_t rows = rows_of(count, columns);
    const double scale = fmin((double)width / columns / USUAL_WIDTH, (double)height / rows / USUAL_HEIGHT);
    const bool as_full = columns * rows <= best * rows_of(count, best);
    if (scale > best_scale * 1.0001 || (scale > best_scale * 0.9999 && as_full)) {
      best = columns;
      best_scale = scale;
    }
  }
  return best;
}

/* Where cell `index` of `count` begins in `size` pixels: even; the last one ends where the gap at the end begins. */
static uint32_t edge(uint32_t index, uint32_t count, uint32_t size, uint32_t gap) {
  return gap + ((uint32_t)((uint64_t)(size - gap) * index / count) & ~1u);
}

bool grid_cells(uint32_t count, uint32_t columns, uint32_t width, uint32_t height, uint32_t gap, grid_box *cells) {
  gap = (gap + 1) & ~1u;
  const uint32_t rows = columns != 0 ? rows_of(count, columns) : 0;
  if (count == 0)
    return true;
  if (columns == 0 || width < columns * (GRID_TILE_LEAST + gap + 2) + gap ||
      height < rows * (GRID_TILE_LEAST + gap + 2) + gap)
    return false;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t column = i % columns, row = i / columns;
    const uint32_t x = edge(column, columns, width, gap), y = edge(row, rows, height, gap);
    cells[i] = (grid_box){ .x = x,
                           .y = y,
                           .width = edge(column + 1, columns, width, gap) - gap - x,
                           .height = edge(row + 1, rows, height, gap) - gap - y };
  }
  return true;
}

/* A length as the nearest even one from 2 to `most`, which is even. */
static uint32_t even(double length, uint32_t most) {
  const uint32_t rounded = 2 * (uint32_t)(length / 2 + 0.5);
  return rounded < 2 ? 2 : rounded > most ? most : rounded;
}

/* A part of a side, but so much that it can be looked at: there are pixels of any shape. */
static float part(uint32_t side, double share) {
  return (float)fmax(side * share, PART_LEAST);
}

void grid_place(const grid_box *tile, const cuframes_format *format, enum grid_fit fit, grid_box *box,
                grid_crop *crop) {
  const bool said = format->sample_aspect_num != 0 && format->sample_aspect_den != 0;
  const double pixel = said ? (double)format->sample_aspect_num / format->sample_aspect_den : 1;
  const double shape = format->width * pixel / format->height, tile_shape = (double)tile->width / tile->height;
  *box = *tile;
  *crop = (grid_crop){ 0, 0, (float)format->width, (float)format->height };
  if (fit == GRID_FIT_CONTAIN) {
    box->width = even(shape < tile_shape ? tile->height * shape : tile->width, tile->width);
    box->height = even(shape < tile_shape ? tile->height : tile->width / shape, tile->height);
    box->x += (tile->width - box->width) / 2 & ~1u;
    box->y += (tile->height - box->height) / 2 & ~1u;
  } else if (fit == GRID_FIT_COVER && shape > tile_shape) {
    crop->width = part(format->width, tile_shape / shape);
    crop->x = ((float)format->width - crop->width) / 2;
  } else if (fit == GRID_FIT_COVER) {
    crop->height = part(format->height, shape / tile_shape);
    crop->y = ((float)format->height - crop->height) / 2;
  }
}
