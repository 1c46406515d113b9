/* grid_boxes.h - what a detector says of pictures: its stream of annotations, joined whenever it is there.
 *
 * As grid_feed.h: joining may take seconds and is done by a thread, asking never waits.
 * Threads  All calls come from one thread. */
#ifndef CUFRAMES_GRID_BOXES_H
#define CUFRAMES_GRID_BOXES_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

/* Most that are drawn in one picture. */
#define GRID_DETECTIONS_MAX 64u

typedef struct grid_boxes grid_boxes;

/* NULL: no memory, or no thread. */
grid_boxes *grid_boxes_open(const char *directory, const char *name, const char *label);
/* Tells its thread to end; true: it is closed, else call again. */
bool grid_boxes_close(grid_boxes *boxes);
const char *grid_boxes_name(const grid_boxes *boxes);

/* What was found in this frame, or in an earlier one that is at most a second older: a detector is slower than cameras.
 * Gives how many. */
uint32_t grid_boxes_find(grid_boxes *boxes, const cuframes_frame *frame, cuframes_detection found[GRID_DETECTIONS_MAX]);

#endif
