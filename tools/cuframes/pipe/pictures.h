/* pictures.h - pictures of a stream in the shape that a pipe's reader wants: pixel format, size, no gaps. */
#ifndef CUFRAMES_PIPE_PICTURES_H
#define CUFRAMES_PIPE_PICTURES_H

#include "common/reader.h"

struct SwsContext;

/* What is wanted; 0: as the stream has it. With one of width and height the other one keeps the shape. */
typedef struct picture_wish {
  uint32_t pixel_format, width, height;
} picture_wish;

typedef struct pictures {
  picture_wish wish;
  bool av_planes;           /* planes in FFmpeg's order, which for rgbp is another one than ours */
  cuframes_format from, to; /* `to` says what the bytes are; its pitches say nothing */
  uint8_t *bytes;           /* of the last picture, without gaps */
  size_t size;
  /* own */
  picture_planes planes;
  struct SwsContext *scaler;
  uint8_t *scaled[4];
  int scaled_pitch[4];
} pictures;

/* Prepares for pictures of this format. False, after a message that begins with `who`: they cannot become what is
 * wanted. */
bool pictures_prepare(pictures *p, const cuframes_format *from, const char *who);

/* Makes p->bytes of a frame; afterwards it may be released. 0 or a negative CUFRAMES_ERR_*. */
int pictures_make(pictures *p, const cuframes_frame *frame);

void pictures_free(pictures *p);

#endif
