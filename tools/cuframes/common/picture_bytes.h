/* picture_bytes.h - a picture's visible bytes without gaps, and the colours that they mean for swscale. */
#ifndef CUFRAMES_PICTURE_BYTES_H
#define CUFRAMES_PICTURE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "reader.h"

/* Bytes of the visible part of all planes; 0 if the format is none. */
size_t picture_bytes(const cuframes_format *format);

/* Copies them, plane after plane in our order, row after row, to where that many bytes are. */
void picture_pack(const picture_planes *planes, const cuframes_format *format, uint8_t *to);

/* swscale's number (SWS_CS_...) of the picture's matrix; not said: BT.709 from 720 lines on, else BT.601. */
int picture_matrix(const cuframes_format *format);
/* Not said: full for gray, else limited. */
bool picture_is_full_range(const cuframes_format *format);

#endif
