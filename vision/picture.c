/* picture.c - the picture of a frame. */
#include <cuframes/vision/picture.h>

#include "vision/error.h"

int cuframes_picture_from_frame(const cuframes_frame *frame, cuframes_picture *picture) {
  if (!frame || !picture)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no %s given", frame ? "picture" : "frame");
  const cuframes_format *format = cuframes_frame_format(frame);
  if (!format || !cuframes_frame_plane(frame, 0))
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "the frame has no planes: it was released, or is another process's");
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    return cf_vision_fail(CUFRAMES_ERR_FORMAT, "the frame is a tensor, not a picture");
  cuframes_picture p = { .format = format, .device = cuframes_frame_device(frame) };
  for (int i = 0; i < cuframes_pixel_format_planes(format->pixel_format); i++)
    p.plane[i] = cuframes_frame_plane(frame, i);
  *picture = p;
  return CUFRAMES_OK;
}
