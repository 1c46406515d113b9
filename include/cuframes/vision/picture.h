/* cuframes/vision/picture.h - a picture to be looked at: a frame, or memory that looks like one, and the part of it
 * that matters; and how it was put into an output.
 *
 * Coordinates  Pixels of the picture as it is stored. Pixel (0, 0) covers 0..1 in both directions, so its centre is at
 *              (0.5, 0.5), and a picture of 1920x1080 covers 0..1920 and 0..1080. Boxes that detectors give are so,
 *              too. Orientation, sample aspect ratio and fields of a format are not applied: a picture that is to be
 *              turned for display is not turned, pixels count as square, and interlaced rows are taken as they lie.
 * Colour       What the format says decides. Not said: the matrix is BT.709 from 720 rows of the stored picture on,
 *              else BT.601; the range is limited, for RGB and gray formats full; chroma lies left (4:2:0 and 4:2:2), as
 *              H.264 and HEVC have it unless they say otherwise. The formulas are those of ITU-T H.273, 8.3. Matrices
 *              1 (709), 4 (FCC), 5 and 6 (601), 7 (SMPTE 240M), 9 and 10 (2020) are known; 10, constant luminance, is
 *              taken as 9. Primaries and transfer characteristics are not applied: values stay as dense as they were.
 * Formats      All pixel formats of cuframes/format.h but the tensor. Alpha is left out where nothing is blended.
 */
#ifndef CUFRAMES_VISION_PICTURE_H
#define CUFRAMES_VISION_PICTURE_H

#include <cuframes/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A part of a picture. Fractions are fine. */
typedef struct cuframes_rectangle {
  float x, y, width, height;
} cuframes_rectangle;

/** Planes of one device and what they look like. Nothing is owned: planes, format and the device's name must stay until
 *  the work that uses them is done; on a GPU the format and the name only until the call returns.
 *  All zeros is "no picture" where that is allowed. */
typedef struct cuframes_picture {
  const cuframes_format *format; /**< every pitch filled in; its offsets are not looked at */
  /** Sample (0, 0) of each plane. Those of 16-bit formats, and their pitches, are multiples of 2. */
  const void *plane[CUFRAMES_PLANES];
  /** The part that is used; all zeros: the whole picture. At least 0.01 pixel in each direction, and within the
   *  picture (what is up to 0.01 pixel outside of it is cut off). Samples outside of it are not looked at: only pixels
   *  that it touches, and chroma samples that those have. */
  cuframes_rectangle crop;
  /** Where the planes are, as cuframes_frame_device() says it: "host" or "cuda:GPU-...". NULL: the caller knows that
   *  they are where they are used. */
  const char *device;
  uint64_t reserved[3]; /**< 0 */
} cuframes_picture;

/** The picture of a frame, whole. It lives as long as the frame is in hand. A GPU's frame that is not complete yet is
 *  fine for work on the stream that waits for it.
 *  Errors: INVALID (no frame, no picture given, a frame of another process), FORMAT (a tensor).
 *  Thread-safety: any thread that holds a reference to the frame. Blocks: never. */
CUFRAMES_API int cuframes_picture_from_frame(const cuframes_frame *frame, cuframes_picture *picture);

/** How the pixels between samples are made. */
enum cuframes_filter {
  /** Between the four nearest samples, with the geometry of OpenCV's INTER_LINEAR. Fast; what is made much smaller
   *  flickers and shows patterns, since most samples are left out. */
  CUFRAMES_FILTER_LINEAR = 0,
  /** The mean of what an output pixel covers, fractions of samples counted as such, as OpenCV's INTER_AREA has it.
   *  In a direction in which the picture becomes larger it is the same as linear. */
  CUFRAMES_FILTER_AREA = 1
};

/** How a picture was put into an output. A point at (x, y) of the stored picture is there at
 *  (x * scale_x + offset_x, y * scale_y + offset_y); so a box comes back by ((x - offset_x) / scale_x, ...). */
typedef struct cuframes_geometry {
  double scale_x, scale_y;   /**< output pixels per pixel of the picture */
  double offset_x, offset_y; /**< output pixels */
  uint32_t x, y;             /**< the pixels of the output that the picture fills; the others are padding */
  uint32_t width, height;
} cuframes_geometry;

#ifdef __cplusplus
}
#endif
#endif
