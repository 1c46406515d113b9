/* canvas.c - see canvas.h. */
#include "canvas.h"

#include <stdlib.h>
#include <string.h>

bool canvas_is_remote(const cuframes_frame *frame) {
  return strcmp(cuframes_frame_device(frame), "host") != 0;
}

bool canvas_begin(host_canvas *canvas, cuframes_frame *frame) {
  bool remote = canvas_is_remote(frame);
  cuframes_format format = *cuframes_frame_format(frame);
  uint64_t bytes = 0;
  if (remote && (cuframes_format_layout(&format, 0, &bytes) < 0 || bytes > SIZE_MAX))
    return false; /* a frame's format is good, so this is the size */
  if (bytes > canvas->size) {
    free(canvas->memory);
    canvas->memory = malloc(bytes);
    canvas->size = canvas->memory ? bytes : 0;
  }
  if (remote && canvas->memory == NULL)
    return false;
  for (int i = 0; i < CUFRAMES_PLANES; i++) {
    canvas->plane[i] = remote ? canvas->memory + format.offset[i] : cuframes_frame_plane(frame, i);
    canvas->pitch[i] = cuframes_frame_pitch(frame, i);
  }
  return true;
}

int canvas_end(host_canvas *canvas, cuframes_frame *frame) {
  int error = CUFRAMES_OK;
  int planes = canvas_is_remote(frame) ? cuframes_pixel_format_planes(cuframes_frame_pixel_format(frame)) : 0;
  for (int i = 0; i < planes && error == CUFRAMES_OK; i++)
    error = cuframes_frame_copy_from_host(frame, i, canvas->plane[i], canvas->pitch[i]);
  return error;
}

void canvas_free(host_canvas *canvas) {
  free(canvas->memory);
  *canvas = (host_canvas){ .memory = NULL };
}
