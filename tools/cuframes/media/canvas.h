/* canvas.h - where the CPU makes a picture that goes into a slot: the slot itself, or memory that is then uploaded. */
#ifndef CUFRAMES_CLI_CANVAS_H
#define CUFRAMES_CLI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/frame.h>

/* All zeros at first. It keeps its memory from picture to picture. */
typedef struct host_canvas {
  uint8_t *plane[CUFRAMES_PLANES]; /* set by canvas_begin() */
  uint32_t pitch[CUFRAMES_PLANES];
  uint8_t *memory;
  size_t size;
} host_canvas;

/* Whether the CPU cannot reach this frame's planes. */
bool canvas_is_remote(const cuframes_frame *frame);
/* Planes for a picture of the open frame. False: out of memory. */
bool canvas_begin(host_canvas *canvas, cuframes_frame *frame);
/* The picture is drawn: brings it into the frame. Gives the library's error. */
int canvas_end(host_canvas *canvas, cuframes_frame *frame);
void canvas_free(host_canvas *canvas);

#endif
