/* grid_draw.h - a compositor and, on the host, the threads that share its work: each draws a band of rows.
 *
 * Threads  All calls come from one thread, which draws a band itself. */
#ifndef CUFRAMES_GRID_DRAW_H
#define CUFRAMES_GRID_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/vision/compositor.h>

typedef struct grid_draw grid_draw;

/* For a device by its name; threads: so many in all, on the host. NULL, with the cause in why. */
grid_draw *grid_draw_open(const char *device, uint32_t threads, char *why, size_t size);
void grid_draw_close(grid_draw *draw);

/* On the host the picture is drawn at return; on a GPU it goes in order on the stream. The compositor's error. */
int grid_draw_picture(grid_draw *draw, const cuframes_layer *layers, uint32_t count, const cuframes_picture *output,
                      void *stream, char *why, size_t size);

/* Whether pictures like this one can be drawn: a stream may say anything of its colour, and must not end the grid by
 * that. Looks at the format, and not at samples. */
bool grid_draw_can(grid_draw *draw, const cuframes_picture *picture, char *why, size_t size);

#endif
