/* cuframes/vision/preprocess.h - pictures of any kind and size become one tensor, ready for a network.
 *
 * For each element of the tensor: the samples that its pixel sees are put together by the filter, plane by plane
 * (chroma where its location says); the matrix makes R, G and B of 0..255 of them, full range, cut off at both ends;
 * then
 *
 *   element = (value * scale - mean) / std        with the mean and std of its channel
 *
 * uint8 is rounded half up and cut off at 0 and 255, float16 rounded to the nearest, ties to even. GRAY is the luma of
 * a YUV or gray picture, and 0.299 R + 0.587 G + 0.114 B (BT.601, as OpenCV and Pillow have it) of an RGB one. All of
 * it is within 1/255 of the formulas in exact arithmetic, and host and GPU are at most one step of uint8 apart.
 */
#ifndef CUFRAMES_VISION_PREPROCESS_H
#define CUFRAMES_VISION_PREPROCESS_H

#include <cuframes/vision/picture.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest width and height of a tensor in pixels. */
#define CUFRAMES_PREPROCESS_SIZE_MAX 8192
/** Most pictures at a time. */
#define CUFRAMES_PREPROCESS_CAPACITY_MAX 4096

/** Order of the tensor's sizes, the outermost first. */
enum cuframes_layout { CUFRAMES_LAYOUT_NCHW = 0, CUFRAMES_LAYOUT_NHWC = 1 };

enum cuframes_channels {
  CUFRAMES_CHANNELS_RGB = 0,
  CUFRAMES_CHANNELS_BGR = 1,
  CUFRAMES_CHANNELS_GRAY = 2 /**< one channel */
};

/** How the picture (its crop) is put into a tensor of another shape. */
enum cuframes_fit {
  CUFRAMES_FIT_LETTERBOX = 0, /**< aspect kept, in the middle, padding around it; an odd pixel of it right or below */
  CUFRAMES_FIT_TOP_LEFT = 1,  /**< aspect kept, padding right and below only */
  CUFRAMES_FIT_STRETCH = 2,   /**< the whole picture in the whole tensor */
  CUFRAMES_FIT_COVER = 3      /**< aspect kept, the middle of the picture, what sticks out is cut off; no padding */
};

/** All zeros but struct_size, width and height: float32 NCHW, RGB of 0..1, letterbox, linear, black padding. */
typedef struct cuframes_preprocess_options {
  uint32_t struct_size;   /**< sizeof(cuframes_preprocess_options) */
  uint32_t width, height; /**< of the tensor, pixels, 1..CUFRAMES_PREPROCESS_SIZE_MAX */
  uint32_t element;       /**< enum cuframes_element: UINT8, FLOAT16 or FLOAT32; 0: FLOAT32 */
  uint32_t layout;        /**< enum cuframes_layout */
  uint32_t channels;      /**< enum cuframes_channels */
  uint32_t fit;           /**< enum cuframes_fit */
  uint32_t filter;        /**< enum cuframes_filter */
  float scale;            /**< 0: 1/255, for uint8 1 */
  float mean[3];          /**< of the tensor's channels in their order (GRAY: the first); after the scale */
  float std[3];           /**< in the same order, above 0; 0: 1 */
  float padding[3];       /**< R, G and B of it, 0..255, whatever the order of channels; treated like a pixel */
  uint32_t capacity;      /**< most pictures at a time, 1..CUFRAMES_PREPROCESS_CAPACITY_MAX; 0: 64 */
  /** "host" (NULL is the same), "cuda", "cuda:N" or "cuda:GPU-UUID". On a GPU the context that is current on the
   *  calling thread is used if it belongs to that GPU, else its primary one; it must outlive the preprocess. */
  const char *device;
  uint64_t reserved[4]; /**< 0 */
} cuframes_preprocess_options;

typedef struct cuframes_preprocess cuframes_preprocess;

/** Makes a preprocess. The caller owns it; options may go.
 *  Errors: INVALID (options, each with what was expected), UNSUPPORTED (a device that this machine or build does not
 *  have), DEVICE, NO_MEMORY.
 *  Thread-safety: any thread. Blocks: on a GPU while its driver loads and compiles the kernel, some 100 ms the first
 *  time; else never. */
CUFRAMES_API int cuframes_preprocess_create(const cuframes_preprocess_options *options,
                                            cuframes_preprocess **preprocess);

/** Ends it; NULL is fine. Work that was put on a stream before goes on and ends well. No graph that launches it may run
 *  afterwards.
 *  Thread-safety: any thread, when no other uses it. Blocks: on a GPU until its own work on streams has ended, and as
 *  long as the driver takes to free memory. */
CUFRAMES_API void cuframes_preprocess_destroy(cuframes_preprocess *preprocess);

/** pictures[0..count-1] -> tensor[0..count-1]. tensor is dense memory of the preprocess's device, aligned to its
 *  elements, count x C x H x W or count x H x W x C of them: memory of your own, or plane 0 of an open frame whose
 *  format is cuframes_preprocess_format(). A picture that is all zeros gives padding, and a geometry that is all zeros.
 *  geometry: NULL, or count entries. On failure neither is written.
 *  On the host it is done at return; the calling threads do the work, each for the pictures that it came with. On a GPU
 *  it is one launch in order on the stream (a CUstream, NULL the legacy default stream; the host does not look at it),
 *  and pictures must stay until the stream has come so far.
 *  Errors: INVALID (count 0 or above the capacity, no tensor or one that is not aligned, a picture without planes or
 *  pitches, of another device, a crop outside of the picture or not a number), FORMAT (a format that cannot be, a
 *  tensor, a matrix that is not known), NO_MEMORY, DEVICE. The detail names the picture.
 *  Thread-safety: any thread, several at a time, each with a tensor of its own; on a GPU one at a time for a stream.
 *  Blocks: on the host while it works; on a GPU never, but while the stream has no room for more work. */
CUFRAMES_API int cuframes_preprocess_run(cuframes_preprocess *preprocess, const cuframes_picture *pictures,
                                         uint32_t count, void *tensor, void *stream, cuframes_geometry *geometry);

/** For CUDA graphs, which keep the addresses they were captured with: puts the pictures into the table of the
 *  preprocess, for the launches behind it on the stream. Not while the stream captures. Entries from count on are
 *  padding. count 0: all of them. On the host the table is the preprocess's, and the planes are read by the launch.
 *  Errors: as cuframes_preprocess_run(), and INVALID for a stream that captures.
 *  Thread-safety: one thread at a time, which neither launches. Blocks: as cuframes_preprocess_run() on a GPU. */
CUFRAMES_API int cuframes_preprocess_set(cuframes_preprocess *preprocess, const cuframes_picture *pictures,
                                         uint32_t count, void *stream, cuframes_geometry *geometry);

/** The launch that a graph captures: makes tensor[0..count-1] of what cuframes_preprocess_set() last put into the
 *  table; entries that were not set give padding. On the host the same, at once.
 *  Errors: INVALID (count 0 or above the capacity, no tensor or one that is not aligned), NO_MEMORY, DEVICE.
 *  Thread-safety: one thread at a time, which does not set either. Blocks: as cuframes_preprocess_run(). */
CUFRAMES_API int cuframes_preprocess_launch(cuframes_preprocess *preprocess, uint32_t count, void *tensor,
                                            void *stream);

/** The tensor's format, for a stream that publishes it: CUFRAMES_PIXEL_TENSOR of count x C x H x W or count x H x W x
 *  C, laid out.
 *  Errors: INVALID (no preprocess, no format given, count 0 or above the capacity).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_preprocess_format(const cuframes_preprocess *preprocess, uint32_t count,
                                            cuframes_format *format);

/** Where it works: "host" or "cuda:GPU-..."; NULL for NULL. Lives as long as the preprocess.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_preprocess_device(const cuframes_preprocess *preprocess);

#ifdef __cplusplus
}
#endif
#endif
