/* cuframes/dlpack.h - planes of a frame as arrays, and as DLPack tensors, for bindings of languages and frameworks.
 *
 * Nothing is copied: an array is the plane itself, and a tensor a reference to its frame besides. DLPack's structs are
 * those of its own header (dlpack/dlpack.h, 1.0), which is not needed here.
 */
#ifndef CUFRAMES_DLPACK_H
#define CUFRAMES_DLPACK_H

#include <cuframes/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A plane as an array. The shape is rows, columns and, where a pixel has several samples there, these: 1080x1920 for
 *  the Y plane of NV12, 540x960x2 for its CbCr, 1080x1920x3 for RGB24, 1080x960x4 for YUYV422 (two pixels). A tensor
 *  has its own shape. */
typedef struct cuframes_array {
  uint32_t struct_size;  /**< set by the caller: sizeof(cuframes_array) */
  uint32_t dims;         /**< 1 to 4 */
  void *data;            /**< as cuframes_frame_plane() */
  int64_t shape[4];      /**< elements, the outermost first */
  int64_t strides[4];    /**< elements from one to the next; the innermost is 1 */
  uint8_t type;          /**< what an element is, DLPack's code: 0 integer, 1 unsigned integer, 2 IEEE 754 */
  uint8_t bits;          /**< of an element: 8, 16 or 32 */
  uint8_t read_only;     /**< nonzero: a subscriber's, or it was published */
  uint8_t reserved8;     /**< 0 */
  uint32_t device_type;  /**< DLPack's: 1 memory of the host, 2 of a GPU */
  uint32_t device_index; /**< of the GPU, as this process counts; 0 for the host */
  uint32_t reserved;     /**< 0 */
} cuframes_array;

/** Describes a plane. array->struct_size must be set, and so much of it is filled.
 *  Errors: INVALID (no such plane, no frame, a frame of another process, struct_size), UNSUPPORTED (a pitch that is not
 *  a whole number of elements).
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API int cuframes_frame_array(const cuframes_frame *frame, int plane, cuframes_array *array);

enum cuframes_dlpack_flag {
  CUFRAMES_DLPACK_UNVERSIONED = 1, /**< a DLManagedTensor, as before DLPack 1.0; it cannot say that it is read-only */
  CUFRAMES_DLPACK_COPY = 2,        /**< a packed copy in host memory, which is the tensor's own and may be written */
  CUFRAMES_DLPACK_NO_STREAM = 4    /**< no work on a GPU will use it but what cuframes_frame_used_on() is told */
};

/** A plane as a DLPack tensor: a DLManagedTensorVersioned, or with CUFRAMES_DLPACK_UNVERSIONED a DLManagedTensor. It
 *  holds a reference of the frame, and its deleter, which the consumer calls, ends that as cuframes_frame_release_on()
 *  of `stream` does: what was put on the stream until then still reads the picture. DLPack gives deleters no stream, so
 *  it is named here: the one that the consumer works on, NULL for the legacy default stream. A thread's own default
 *  stream is taken for the legacy one, which waits for it, since a deleter may run on any thread. The tensor must be
 *  complete before it is used: cuframes_frame_wait(). On "host" the stream is not looked at.
 *  Errors: those of cuframes_frame_array(); INVALID (unknown flags; a stream that captures a CUDA graph, whose launches
 *  would read whatever frame lies there then), NO_MEMORY; with CUFRAMES_DLPACK_COPY those of
 *  cuframes_frame_copy_to_host().
 *  Thread-safety: any thread that holds a reference; the deleter may run on any thread, and in a forked child, where it
 *  changes nothing for the parent. Blocks: with CUFRAMES_DLPACK_COPY until the frame is complete and the copy done. */
CUFRAMES_API int cuframes_frame_dlpack(cuframes_frame *frame, int plane, void *stream, uint32_t flags, void **tensor);

/** How many references of the frame there are: who holds one himself sees by it whether tensors still use the frame. It
 *  may have changed when it is looked at. 0 for NULL, and for a frame that was released.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API uint32_t cuframes_frame_references(const cuframes_frame *frame);

#ifdef __cplusplus
}
#endif
#endif
