/* grid_paint.h - the layers of a grid's picture: pictures of streams, what detectors found in them, borders, names,
 * what is wrong, and the clock. */
#ifndef CUFRAMES_GRID_PAINT_H
#define CUFRAMES_GRID_PAINT_H

#include <cuframes/vision/compositor.h>

#include "grid_wall.h"

/* Labels of boxes that are kept. */
#define GRID_WORDS 256u

/* All zeros at first. */
typedef struct grid_paint {
  cuframes_layer *layers; /* from the bottom up, what grid_paint_make() has made */
  uint32_t count, room;
  grid_label clock, empty;
  grid_label words[GRID_WORDS];
  uint64_t turn, began; /* began: of the words, when this picture was */
} grid_paint;

/* Most layers of a picture. */
#define GRID_LAYERS_MAX 16384u

/* What there is to draw of the wall as it is now. The layers' pictures are as good as the wall's frames. False: out of
 * memory. */
bool grid_paint_make(grid_paint *paint, grid_wall *wall);
void grid_paint_free(grid_paint *paint, grid_wall *wall);

#endif
