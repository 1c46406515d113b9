/* picture_bytes.c - see picture_bytes.h. */
#include "picture_bytes.h"

#include <string.h>

#include <libswscale/swscale.h>

size_t picture_bytes(const cuframes_format *format) {
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  size_t total = 0;
  for (int i = 0; i < planes; i++) {
    uint32_t row_bytes, rows;
    if (cuframes_format_plane_size(format, i, &row_bytes, &rows))
      return 0;
    total += (size_t)row_bytes * rows;
  }
  return total;
}

void picture_pack(const picture_planes *planes, const cuframes_format *format, uint8_t *to) {
  uint32_t row_bytes, rows;
  for (int i = 0; i < CUFRAMES_PLANES && planes->plane[i]; i++) {
    if (cuframes_format_plane_size(format, i, &row_bytes, &rows))
      return; /* then picture_bytes() is 0, and there is nowhere to copy to */
    for (uint32_t row = 0; row < rows; row++, to += row_bytes)
      memcpy(to, planes->plane[i] + (size_t)row * planes->pitch[i], row_bytes);
  }
}

/* It is H.273's number but for what was not said and constant luminance. */
int picture_matrix(const cuframes_format *format) {
  switch (format->color.matrix) {
    case 0:
    case 2: return format->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    case 10: return SWS_CS_BT2020;
    default: return format->color.matrix;
  }
}

bool picture_is_full_range(const cuframes_format *format) {
  if (!format->color.range)
    return format->pixel_format == CUFRAMES_PIXEL_GRAY8 || format->pixel_format == CUFRAMES_PIXEL_GRAY16;
  return format->color.range == 2;
}
