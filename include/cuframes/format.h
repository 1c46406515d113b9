/* cuframes/format.h - what a picture looks like in memory: pixel format, size, planes, colour. */
#ifndef CUFRAMES_FORMAT_H
#define CUFRAMES_FORMAT_H

#include <cuframes/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most planes of any format. */
#define CUFRAMES_PLANES 4
/** Largest width and height in pixels. */
#define CUFRAMES_SIZE_MAX 65535

/** Values are fixed: they go over the wire. Multi-byte samples are little-endian. */
enum cuframes_pixel_format {
  CUFRAMES_PIXEL_NONE = 0,
  CUFRAMES_PIXEL_NV12 = 1,    /**< 8 bit 4:2:0, plane 0 Y, plane 1 CbCr interleaved */
  CUFRAMES_PIXEL_P010 = 2,    /**< as NV12, 10 bit in the high bits of 16 */
  CUFRAMES_PIXEL_YUV420P = 3, /**< 8 bit 4:2:0, planes Y, Cb, Cr */
  CUFRAMES_PIXEL_YUV422P = 4, /**< 8 bit 4:2:2, planes Y, Cb, Cr */
  CUFRAMES_PIXEL_YUV444P = 5, /**< 8 bit 4:4:4, planes Y, Cb, Cr */
  CUFRAMES_PIXEL_GRAY8 = 6,   /**< 8 bit luma */
  CUFRAMES_PIXEL_RGB24 = 7,   /**< packed R, G, B bytes */
  CUFRAMES_PIXEL_RGBA = 8,    /**< packed R, G, B, A bytes */
  CUFRAMES_PIXEL_BGRA = 9     /**< packed B, G, R, A bytes */
};

/** Colour as code points of ITU-T H.273 (the same numbers as in H.264, HEVC, AV1 and FFmpeg).
 *  0 means "not said" in each field; matrix 0 (identity, RGB) is implied by an RGB pixel format. */
typedef struct cuframes_color {
  uint8_t matrix;    /**< MatrixCoefficients, e.g. 1 BT.709, 5 BT.601, 9 BT.2020 */
  uint8_t range;     /**< 0 not said, 1 limited (16..235), 2 full */
  uint8_t primaries; /**< ColourPrimaries */
  uint8_t transfer;  /**< TransferCharacteristics */
} cuframes_color;

/** One picture's geometry. Width and height are what is visible; odd sizes are fine, chroma is
 *  rounded up. Pitch 0 and offset 0 (for every plane) mean: lay the planes out for me. */
typedef struct cuframes_format {
  uint32_t pixel_format;  /**< enum cuframes_pixel_format */
  uint32_t width, height; /**< pixels, 1..CUFRAMES_SIZE_MAX */
  cuframes_color color;
  uint32_t pitch[CUFRAMES_PLANES];  /**< bytes from one row to the next, at least the row's bytes */
  uint64_t offset[CUFRAMES_PLANES]; /**< bytes from the start of the frame to the plane */
} cuframes_format;

/* Thread-safety: any thread. Blocks: never. */

/** Number of planes of a pixel format, 0 if it is unknown. */
CUFRAMES_API int cuframes_pixel_format_planes(uint32_t pixel_format);
/** Lower-case name, e.g. "nv12"; "unknown" if it is. Static. */
CUFRAMES_API const char *cuframes_pixel_format_name(uint32_t pixel_format);
/** The pixel format of that name, CUFRAMES_PIXEL_NONE if there is none (or name is NULL). */
CUFRAMES_API uint32_t cuframes_pixel_format_from_name(const char *name);

/** Bytes of picture in one row, and rows, of a plane.
 *  Errors: FORMAT (no such pixel format, size or plane).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_format_plane_size(const cuframes_format *format, int plane, uint32_t *row_bytes,
                                            uint32_t *rows);

/** Checks a format and fills every zero pitch (row rounded up to pitch_align bytes, a power of two; 0
 *  means 64) and the offsets (planes one behind the other) if all of them are zero.
 *  Gives the bytes one frame takes. CUFRAMES_ERR_FORMAT, with the detail, if the size is 0 or too
 *  large, a pitch is smaller than its row, or planes overlap.
 *  Thread-safety: any thread, each with a format of its own. Blocks: never. */
CUFRAMES_API int cuframes_format_layout(cuframes_format *format, uint32_t pitch_align, uint64_t *frame_bytes);

#ifdef __cplusplus
}
#endif
#endif
