/* grid_layout.h - where tiles lie in the picture of a grid, and where a camera's picture lies in its tile. */
#ifndef CUFRAMES_GRID_LAYOUT_H
#define CUFRAMES_GRID_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/format.h>

/* In pixels of the grid's picture. All four are even, since two pixels share a sample of colour there. */
typedef struct grid_box {
  uint32_t x, y, width, height;
} grid_box;

enum grid_fit {
  GRID_FIT_CONTAIN = 0, /* the whole picture, as large as it can be, in the middle */
  GRID_FIT_COVER = 1,   /* the tile is full, and what does not fit is cut off on both sides */
  GRID_FIT_STRETCH = 2  /* the tile is full, whatever shape the picture has */
};

/* The smallest tile. */
#define GRID_TILE_LEAST 16u

/* How many columns show `count` pictures of 16:9 largest in a picture of this size; of numbers that do alike, the
 * one with fewer empty cells, then the larger one. At least 1. */
uint32_t grid_columns(uint32_t count, uint32_t width, uint32_t height);

/* Divides a picture into cells, row by row, with `gap` pixels between them and around them. False: they would be
 * smaller than GRID_TILE_LEAST. */
bool grid_cells(uint32_t count, uint32_t columns, uint32_t width, uint32_t height, uint32_t gap, grid_box *cells);

/* The part of a stored picture that is shown, in its pixels. */
typedef struct grid_crop {
  float x, y, width, height;
} grid_crop;

/* Where in its tile a picture is shown, and what of it, with the shape that its pixels have. */
void grid_place(const grid_box *tile, const cuframes_format *format, enum grid_fit fit, grid_box *box, grid_crop *crop);

#endif
