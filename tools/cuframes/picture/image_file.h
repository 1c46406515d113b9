/* image_file.h - pictures as RGB (swscale) and as PNG or JPEG (libavcodec), and files that appear whole or not at
 * all. */
#ifndef CUFRAMES_IMAGE_FILE_H
#define CUFRAMES_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/reader.h"

struct SwsContext;

enum image_kind { IMAGE_NONE, IMAGE_PNG, IMAGE_JPEG, IMAGE_RAW };

/* Packed R, G, B bytes, `pitch` bytes from row to row. */
typedef struct rgb_image {
  uint32_t width, height;
  size_t pitch;
  uint8_t *data;
} rgb_image;

/* A black image. False without memory. */
bool image_create(rgb_image *image, uint32_t width, uint32_t height);
void image_free(rgb_image *image);

/* The size of a picture that is upright and has square pixels: the shorter sides of its pixels are made longer, so that
 * nothing is lost. */
void image_shown_size(const cuframes_format *format, uint32_t *width, uint32_t *height);

/* Converts, turns upright and scales a picture into the rectangle x, y, width, height of an image, by the picture's own
 * matrix and range (not said: full for gray, else limited; BT.709 from 720 lines on, else BT.601). False for what is no
 * picture. *scaler starts NULL, is kept from picture to picture and freed with image_scaler_free(). The planes must be
 * copies (see picture_view()). */
bool image_convert(struct SwsContext **scaler, const picture_planes *planes, const cuframes_format *format,
                   rgb_image *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height);
void image_scaler_free(struct SwsContext **scaler);

/* Encodes as PNG or JPEG (full range BT.601, as JFIF says). *data is the caller's: free(). */
bool image_encode(enum image_kind kind, const rgb_image *image, uint8_t **data, size_t *size);

/* The picture's visible bytes, plane after plane without gaps. *data is the caller's: free(). */
bool image_raw(const picture_planes *planes, const cuframes_format *format, uint8_t **data, size_t *size);

/* Writes a file beside the path and renames it, so that nobody sees half a picture. "-" is stdout; what exists and is
 * no regular file (a pipe, a device) is written directly. 0 or an errno. */
int image_write(const char *path, const uint8_t *data, size_t size);

/* The kind by a file name's extension, IMAGE_NONE if it says nothing. */
enum image_kind image_kind_of(const char *path);

/* Replaces the one %d (or %04d) of a pattern. *numbered says whether there is one; "%%" is a per cent sign.
 * False for any other conversion or a name that does not fit. */
bool image_name(char *name, size_t size, const char *pattern, uint32_t number, bool *numbered);

#endif
