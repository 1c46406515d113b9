/* picture_file.h - uncompressed pictures in NUT or Matroska, or one behind the other without any head. */
#ifndef CUFRAMES_PIPE_PICTURE_FILE_H
#define CUFRAMES_PIPE_PICTURE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/format.h>
#include <cuframes/packet.h>

struct AVIOContext;

typedef struct picture_file picture_file;

/* The pixel format in which a container holds such pictures so that readers know them again: mostly that one.
 * CUFRAMES_PIXEL_NONE: none loses nothing. */
uint32_t picture_file_format(const char *container, uint32_t pixel_format);

/* Begins one, with its head. track: what the publisher says of the video that the pictures were decoded from, for time
 * base and light; NULL: nothing. interval_ns: from picture to picture, 0: not known. NULL without
 * memory or if libavformat refuses, with the reason in problem. */
picture_file *picture_file_begin(struct AVIOContext *io, const char *container, const cuframes_format *format,
                                 const cuframes_codec_params *track, int64_t interval_ns, char *problem, size_t size);

/* One picture at a time in ns; times that do not rise are moved. False: it could not be written. */
bool picture_file_write(picture_file *f, const uint8_t *bytes, size_t size, int64_t pts, int64_t duration);

/* Ends and frees it; NULL is fine. whole: with what belongs at its end. False: that could not be written. */
bool picture_file_end(picture_file *f, bool whole);

#endif
