/* cuframes/format.h - what a picture looks like in memory, and what it says of itself: pixel format, size, planes,
 * colour, fields, orientation; or a tensor. */
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
  CUFRAMES_PIXEL_NV12 = 1,       /**< 8 bit 4:2:0, plane 0 Y, plane 1 CbCr interleaved */
  CUFRAMES_PIXEL_P010 = 2,       /**< as NV12, 10 bit in the high bits of 16 */
  CUFRAMES_PIXEL_YUV420P = 3,    /**< 8 bit 4:2:0, planes Y, Cb, Cr */
  CUFRAMES_PIXEL_YUV422P = 4,    /**< 8 bit 4:2:2, planes Y, Cb, Cr */
  CUFRAMES_PIXEL_YUV444P = 5,    /**< 8 bit 4:4:4, planes Y, Cb, Cr */
  CUFRAMES_PIXEL_GRAY8 = 6,      /**< 8 bit luma */
  CUFRAMES_PIXEL_RGB24 = 7,      /**< packed R, G, B bytes */
  CUFRAMES_PIXEL_RGBA = 8,       /**< packed R, G, B, A bytes */
  CUFRAMES_PIXEL_BGRA = 9,       /**< packed B, G, R, A bytes */
  CUFRAMES_PIXEL_BGR24 = 10,     /**< packed B, G, R bytes, as OpenCV has them */
  CUFRAMES_PIXEL_YUYV422 = 11,   /**< 8 bit 4:2:2, packed Y, Cb, Y, Cr: V4L2's YUYV, two pixels in 4 bytes */
  CUFRAMES_PIXEL_UYVY422 = 12,   /**< 8 bit 4:2:2, packed Cb, Y, Cr, Y: V4L2's UYVY */
  CUFRAMES_PIXEL_GRAY16 = 13,    /**< 16 bit luma, temperature, depth, ... */
  CUFRAMES_PIXEL_YUV420P10 = 14, /**< 4:2:0, planes Y, Cb, Cr, 10 bit in the low bits of 16 */
  CUFRAMES_PIXEL_YUV422P10 = 15, /**< 4:2:2, planes Y, Cb, Cr, 10 bit in the low bits of 16 */
  CUFRAMES_PIXEL_RGBP = 16,      /**< 8 bit, planes R, G, B */
  CUFRAMES_PIXEL_TENSOR = 17     /**< no picture: an array, which cuframes_format.tensor describes */
};

/** What an array consists of. Values are fixed. Multi-byte elements are little-endian. */
enum cuframes_element {
  CUFRAMES_ELEMENT_NONE = 0,
  CUFRAMES_ELEMENT_UINT8 = 1,
  CUFRAMES_ELEMENT_INT8 = 2,
  CUFRAMES_ELEMENT_FLOAT16 = 3, /**< IEEE 754 binary16 */
  CUFRAMES_ELEMENT_FLOAT32 = 4, /**< IEEE 754 binary32 */
  CUFRAMES_ELEMENT_INT32 = 5
};

/** Most sizes of a tensor. */
#define CUFRAMES_TENSOR_DIMS_MAX 4

/** An array of 1 to 4 dimensions, the outermost first, the innermost one contiguous: 1x3x640x640 float32 is
 *  { CUFRAMES_ELEMENT_FLOAT32, 4, { 1, 3, 640, 640 } }. It is one plane: a row of it is the innermost dimension, and
 *  its rows are those of all other dimensions, one behind the other. All zeros for a picture. */
typedef struct cuframes_tensor {
  uint32_t element;                        /**< enum cuframes_element */
  uint32_t dims;                           /**< 1..CUFRAMES_TENSOR_DIMS_MAX */
  uint32_t size[CUFRAMES_TENSOR_DIMS_MAX]; /**< elements, at least 1 each; 0 behind the last one */
} cuframes_tensor;

/** Colour as code points of ITU-T H.273 (the same numbers as in H.264, HEVC, AV1 and FFmpeg).
 *  0 means "not said" in each field; matrix 0 (identity, RGB) is implied by an RGB pixel format. */
typedef struct cuframes_color {
  uint8_t matrix;    /**< MatrixCoefficients, e.g. 1 BT.709, 5 BT.601, 9 BT.2020 */
  uint8_t range;     /**< 0 not said, 1 limited (16..235), 2 full */
  uint8_t primaries; /**< ColourPrimaries */
  uint8_t transfer;  /**< TransferCharacteristics */
} cuframes_color;

/** Where a chroma sample lies among the luma samples that share it: FFmpeg's AVChromaLocation, H.273's
 *  ChromaLocType + 1. */
enum cuframes_chroma_location {
  CUFRAMES_CHROMA_NOT_SAID = 0,
  CUFRAMES_CHROMA_LEFT = 1,     /**< MPEG-2, H.264 and HEVC unless they say otherwise */
  CUFRAMES_CHROMA_CENTER = 2,   /**< JPEG, MPEG-1 */
  CUFRAMES_CHROMA_TOP_LEFT = 3, /**< BT.2020 */
  CUFRAMES_CHROMA_TOP = 4,
  CUFRAMES_CHROMA_BOTTOM_LEFT = 5,
  CUFRAMES_CHROMA_BOTTOM = 6
};

/** Whether the picture is one moment, or two whose rows alternate, and then which of them is the earlier. */
enum cuframes_field_order {
  CUFRAMES_FIELDS_NOT_SAID = 0,
  CUFRAMES_FIELDS_PROGRESSIVE = 1,
  CUFRAMES_FIELDS_TOP_FIRST = 2,   /**< rows 0, 2, 4, ... */
  CUFRAMES_FIELDS_BOTTOM_FIRST = 3 /**< rows 1, 3, 5, ... */
};

/** Where the first row and the first column of the stored picture belong when it is shown: the numbers of TIFF and
 *  EXIF. Behind each: what must be done to the stored picture to see it upright; turns are clockwise. Width and height
 *  of a format are those of the stored picture, and change places from CUFRAMES_ORIENTATION_LEFT_TOP on. */
enum cuframes_orientation {
  CUFRAMES_ORIENTATION_NOT_SAID = 0,
  CUFRAMES_ORIENTATION_TOP_LEFT = 1,     /**< nothing */
  CUFRAMES_ORIENTATION_TOP_RIGHT = 2,    /**< swap left and right */
  CUFRAMES_ORIENTATION_BOTTOM_RIGHT = 3, /**< turn by 180 degrees */
  CUFRAMES_ORIENTATION_BOTTOM_LEFT = 4,  /**< swap top and bottom */
  CUFRAMES_ORIENTATION_LEFT_TOP = 5,     /**< swap rows and columns */
  CUFRAMES_ORIENTATION_RIGHT_TOP = 6,    /**< turn by 90 degrees */
  CUFRAMES_ORIENTATION_RIGHT_BOTTOM = 7, /**< turn by 180 degrees, swap rows and columns */
  CUFRAMES_ORIENTATION_LEFT_BOTTOM = 8   /**< turn by 270 degrees */
};

/** One picture's geometry and what it says of itself, or a tensor. Width and height are what is visible; odd sizes are
 *  fine, chroma is rounded up. Pitch 0 and offset 0 (for every plane) mean: lay the planes out for me; a tensor's rows
 *  then follow each other without a gap. There is no padding in the struct, so that two formats may be compared with
 *  memcmp(), and it may be all zeros but for what is said.
 *  Some decoders and elements write into more than is visible: rows up to a multiple of 16, columns up to the pitch, a
 *  few bytes more. Pitches and offsets make room for that beside and between the planes, an offset for the first plane
 *  before it, and `padding` behind the last one. All of it is the publisher's: no other frame is there, subscribers map
 *  it but are told of no padding (0). */
typedef struct cuframes_format {
  uint32_t pixel_format;  /**< enum cuframes_pixel_format */
  uint32_t width, height; /**< pixels, 1..CUFRAMES_SIZE_MAX; 0 for a tensor */
  cuframes_color color;
  uint8_t chroma_location;    /**< enum cuframes_chroma_location */
  uint8_t field_order;        /**< enum cuframes_field_order */
  uint8_t orientation;        /**< enum cuframes_orientation */
  uint8_t reserved8;          /**< 0 */
  uint32_t sample_aspect_num; /**< width of a pixel to its height, 1..INT32_MAX each; 0 and 0: not said */
  uint32_t sample_aspect_den;
  cuframes_tensor tensor;           /**< for CUFRAMES_PIXEL_TENSOR, else all zeros */
  uint32_t pitch[CUFRAMES_PLANES];  /**< bytes from one row to the next, at least the row's bytes */
  uint32_t padding;                 /**< bytes behind the last plane that are the frame's, too */
  uint32_t reserved[6];             /**< 0 */
  uint64_t offset[CUFRAMES_PLANES]; /**< bytes from the start of the frame to the plane */
} cuframes_format;

/* Thread-safety: any thread. Blocks: never. */

/** Number of planes of a pixel format, 0 if it is unknown. */
CUFRAMES_API int cuframes_pixel_format_planes(uint32_t pixel_format);
/** Lower-case name, e.g. "nv12"; "unknown" if it is. Static. */
CUFRAMES_API const char *cuframes_pixel_format_name(uint32_t pixel_format);
/** The pixel format of that name, CUFRAMES_PIXEL_NONE if there is none (or name is NULL). */
CUFRAMES_API uint32_t cuframes_pixel_format_from_name(const char *name);

/** Bytes of one element of a tensor, 0 if the element type is unknown.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API uint32_t cuframes_element_size(uint32_t element);
/** Lower-case name of an element type, e.g. "float16"; "unknown" if it is. Static.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_element_name(uint32_t element);
/** The element type of that name, CUFRAMES_ELEMENT_NONE if there is none (or name is NULL).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API uint32_t cuframes_element_from_name(const char *name);

/** Bytes of picture in one row, and rows, of a plane; either may be NULL. Pitches and offsets are not looked at.
 *  Errors: FORMAT (no such pixel format, size or plane).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_format_plane_size(const cuframes_format *format, int plane, uint32_t *row_bytes,
                                            uint32_t *rows);

/** Checks a format and fills every zero pitch (row rounded up to pitch_align bytes, a power of two; 0 means 64; the
 *  bare row for a tensor) and the offsets (planes one behind the other) if all of them are zero; those of planes that
 *  the format does not have become 0, so that equal formats compare equal.
 *  Gives the bytes one frame takes. CUFRAMES_ERR_FORMAT, with the detail, if the size is 0 or too
 *  large, a pitch is smaller than its row, planes overlap, a field has a value that it cannot have, or a reserved one
 *  is not 0.
 *  Thread-safety: any thread, each with a format of its own. Blocks: never. */
CUFRAMES_API int cuframes_format_layout(cuframes_format *format, uint32_t pitch_align, uint64_t *frame_bytes);

#ifdef __cplusplus
}
#endif
#endif
