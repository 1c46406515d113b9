/* cuframes/vision/compositor.h - many pictures become one: tiles, rectangles of a colour, labels as pictures with
 * alpha.
 *
 * Layers are drawn one over the other, the first at the bottom, on black. Each sample of the output is what the filter
 * makes of the samples of the layer's picture that it sees; a layer that has the output's own matrix and range is not
 * converted, and one of the same size, format and chroma location is copied bit for bit. After each layer a sample is
 * rounded half up to a code of the output. Where the output's chroma is coarser than the picture's, it is the mean of
 * what a chroma sample stands for, with either filter. Output with an alpha channel is opaque.
 */
#ifndef CUFRAMES_VISION_COMPOSITOR_H
#define CUFRAMES_VISION_COMPOSITOR_H

#include <cuframes/vision/picture.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most layers of a picture. */
#define CUFRAMES_COMPOSITOR_CAPACITY_MAX 65536

/** Largest width and height of a layer, and how far left, right, above and below it may lie; pixels. */
#define CUFRAMES_LAYER_EXTENT_MAX 1048576

/** A picture, or a rectangle of one colour, somewhere in the output. All zeros but what is said. */
typedef struct cuframes_layer {
  cuframes_picture picture; /**< all zeros: a rectangle of the colour */
  /** Where in the output, pixels, up to CUFRAMES_LAYER_EXTENT_MAX; may stick out, or lie outside. Width and height 0
   *  draw nothing. Where the output's chroma is subsampled, all four edges are rounded outwards to whole chroma
   *  samples. */
  int32_t x, y;
  uint32_t width, height;
  uint32_t filter; /**< enum cuframes_filter */
  /** R, G, B and A, 0..255, full range, not multiplied by A. Of a picture only A counts: its opacity, and 0 is
   *  invisible. A picture with an alpha channel of its own is blended by both. */
  uint8_t color[4];
  uint64_t reserved[2]; /**< 0 */
} cuframes_layer;

/** All zeros but struct_size: 1024 layers on the host. */
typedef struct cuframes_compositor_options {
  uint32_t struct_size; /**< sizeof(cuframes_compositor_options) */
  uint32_t capacity;    /**< most layers of a picture, 1..CUFRAMES_COMPOSITOR_CAPACITY_MAX; 0: 1024 */
  const char *device;   /**< as cuframes_preprocess_options.device */
  uint64_t reserved[4]; /**< 0 */
} cuframes_compositor_options;

typedef struct cuframes_compositor cuframes_compositor;

/** Makes a compositor. The caller owns it; options may go.
 *  Errors: INVALID (options), UNSUPPORTED (a device that this machine or build does not have), DEVICE, NO_MEMORY.
 *  Thread-safety: any thread. Blocks: as cuframes_preprocess_create(). */
CUFRAMES_API int cuframes_compositor_create(const cuframes_compositor_options *options,
                                            cuframes_compositor **compositor);

/** Ends it; NULL is fine. Work that was put on a stream before goes on and ends well.
 *  Thread-safety: any thread, when no other uses it. Blocks: on a GPU until its own work on streams has ended, and as
 *  long as the driver takes to free memory. */
CUFRAMES_API void cuframes_compositor_destroy(cuframes_compositor *compositor);

/** Draws layers[0..count-1] (count 0: black) into output: planes that may be written, in any picture format, for
 *  example an open frame by cuframes_picture_from_frame(). Its colour is what its format says, or the rules of
 *  cuframes/vision/picture.h; its crop must be all zeros. No layer's picture may overlap it in memory.
 *  On the host it is done at return, or at failure nothing is written. On a GPU it goes in order on the stream (a
 *  CUstream, NULL the legacy default stream; the host does not look at it), and the pictures must stay until that has
 *  come so far.
 *  Errors: INVALID (count above the capacity, an output or a layer without planes or pitches, of another device, a crop
 *  outside of its picture or not a number, a layer too large or too far away, an unknown filter, a stream that captures
 *  a CUDA graph), FORMAT (a format that cannot be, a tensor, a matrix that is not known), NO_MEMORY, DEVICE. The detail
 *  names the layer.
 *  Thread-safety: any thread, several at a time, each with an output of its own; on a GPU one at a time for a stream.
 *  Blocks: on the host while it works; on a GPU never, but while the stream has no room for more work. */
CUFRAMES_API int cuframes_compositor_run(cuframes_compositor *compositor, const cuframes_layer *layers, uint32_t count,
                                         const cuframes_picture *output, void *stream);

/** As cuframes_compositor_run(), for one of `parts` bands of rows of the output, `part` 0 being the uppermost: so
 *  threads of the caller share a picture, each with a part of its own. The bands have the same height but for what
 *  whole chroma rows need; together they are what cuframes_compositor_run() draws.
 *  Errors: as cuframes_compositor_run(), and INVALID for a part that is not below parts.
 *  Thread-safety: as cuframes_compositor_run(); parts of one output at the same time, too. Blocks: as
 *  cuframes_compositor_run(). */
CUFRAMES_API int cuframes_compositor_run_part(cuframes_compositor *compositor, const cuframes_layer *layers,
                                              uint32_t count, const cuframes_picture *output, void *stream,
                                              uint32_t part, uint32_t parts);

/** Where it works: "host" or "cuda:GPU-..."; NULL for NULL. Lives as long as the compositor.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_compositor_device(const cuframes_compositor *compositor);

#ifdef __cplusplus
}
#endif
#endif
