/* cuframes/annotation.h - what others say of a frame: detections, and whatever a program finds in a picture.
 *
 * Nobody but its publisher can attach anything to a frame. So a detector publishes a stream of its own, which needs no
 * pictures: each packet of its track names the frame that it is about (cuframes_frame_id). A consumer takes frames from
 * the camera, and asks a join for what the detector said of exactly the frame in its hand.
 */
#ifndef CUFRAMES_ANNOTATION_H
#define CUFRAMES_ANNOTATION_H

#include <cuframes/publisher.h>
#include <cuframes/subscriber.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Codec name of a track of annotations; its media type is CUFRAMES_MEDIA_DATA. */
#define CUFRAMES_ANNOTATION_CODEC "cuframes-annotation"

/** What an annotation holds. Types below CUFRAMES_ANNOTATION_APPLICATION belong to this header. */
enum cuframes_annotation_type {
  CUFRAMES_ANNOTATION_DETECTIONS = 1, /**< an array of cuframes_detection, which may be empty: nothing was found */
  CUFRAMES_ANNOTATION_APPLICATION = 0x10000 /**< from here on types are the application's */
};

/** Longest label of a detection in bytes, without the terminating zero. */
#define CUFRAMES_DETECTION_LABEL_MAX 31

/** A box in the stored picture, 64 bytes. Its sides are fractions of the picture's, so that they fit a scaled copy. */
typedef struct cuframes_detection {
  float x, y;          /**< top left corner: 0, 0 is that of the picture, 1, 1 its bottom right one */
  float width, height; /**< a box may reach beyond the picture */
  float confidence;    /**< 0 to 1 */
  uint32_t class_id;   /**< what it is, as the detector counts */
  uint32_t object_id;  /**< the same object in other frames; 0: not followed */
  uint32_t reserved;   /**< 0 */
  char label[CUFRAMES_DETECTION_LABEL_MAX + 1]; /**< what it is, in a word of UTF-8; terminated */
} cuframes_detection;

/** Publishes what is to be said of the frame `of` (cuframes_frame_identify()) as a packet of the track, with the pts of
 *  the frame. A track that nobody described is described as one of annotations. Frames belong in their order: when a
 *  later one was annotated, nobody waits for an earlier one any more; one may be annotated several times in a row.
 *  Errors: INVALID (publisher, id, a track that is described as something else, a type that this header does not know,
 *  detections that are none: a size that is no multiple, a label without end, that is not UTF-8 or has a control
 *  character, a number that is not finite, a confidence that is not within 0 to 1, a reserved field that is not 0),
 *  NO_PACKET_RING, PACKET_OVERSIZED, NO_MEMORY.
 *  Thread-safety: any thread; packet calls take turns. Blocks: never. */
CUFRAMES_API int cuframes_publisher_publish_annotation(cuframes_publisher *publisher, uint32_t track,
                                                       const cuframes_frame_id *of, uint32_t type, const void *data,
                                                       size_t size);

/** What a packet of such a track says: which frame it is about (of->struct_size is set by the caller), the type, and
 *  `size` bytes at `data`, which live as long as the packet. `of`, type, data and size may be NULL. Everything that a
 *  hostile publisher could have written was checked: detections are whole, their labels end and have no control
 *  characters, their numbers are finite, the confidence within 0 to 1.
 *  Errors: INVALID (no packet, struct_size), PROTOCOL (it is no annotation, or not a sound one).
 *  Thread-safety: any thread that holds a reference of the packet. Blocks: never. */
CUFRAMES_API int cuframes_packet_annotation(const cuframes_packet *packet, cuframes_frame_id *of, uint32_t *type,
                                            const void **data, size_t *size);

/** The annotations of one stream, kept to be asked for by frame. */
typedef struct cuframes_join cuframes_join;

typedef struct cuframes_join_options {
  uint32_t struct_size;       /**< sizeof(cuframes_join_options) */
  uint32_t keep;              /**< so many annotations, the newest; 0: 64, at most 4096 */
  const char *directory;      /**< as in cuframes_subscriber_options */
  const char *label;          /**< likewise */
  int64_t connect_timeout_ns; /**< how long create() waits for the name to appear; 0: not at all */
  uint32_t reconnect;         /**< nonzero: when the detector goes, wait for the name to come back */
  uint32_t type;              /**< of these annotations only; 0: of all */
  cuframes_log_fn log;        /**< NULL: silent */
  void *log_user;
  cuframes_interrupt_fn interrupt; /**< asked while create() waits for the detector; NULL: nobody is */
  void *interrupt_user;
} cuframes_join_options;

/** Joins the stream of a detector, for its packets. options may be NULL.
 *  Errors: those of cuframes_subscriber_create() and cuframes_subscriber_enable_packets().
 *  Thread-safety: any thread. Blocks: connect_timeout_ns at most, and 2 s for an answer. */
CUFRAMES_API int cuframes_join_create(const char *name, const cuframes_join_options *options, cuframes_join **join);

/** NULL is fine; packets that were given out stay good. Thread-safety: the last call. Blocks: never. */
CUFRAMES_API void cuframes_join_destroy(cuframes_join *join);

/** What was said of exactly this frame, the first of it that is kept. The caller gets a reference of the packet and
 *  releases it.
 *  Errors: TIMEOUT (nothing yet), STALE (a later frame of that instance was annotated, or frames of that instance and
 *  then of another one of the stream: it will not come, or is not kept any more; an instance that was never annotated,
 *  or before `keep` + 16 other ones, may still be), PUBLISHER_GONE (not with reconnect; what is kept is still found),
 *  PROTOCOL (once for each packet that is not sound; beside an answer, which is found or STALE, the next call of find()
 *  or latest() says it first), INTERRUPTED, NO_MEMORY, INVALID.
 *  Thread-safety: one thread at a time for a join. Blocks: timeout_ns at most. */
CUFRAMES_API int cuframes_join_find(cuframes_join *join, const cuframes_frame_id *of, int64_t timeout_ns,
                                    cuframes_packet **packet);

/** The newest annotation whose frame is this one or an earlier one of the same instance: what to show of a detector
 *  that does not keep pace. The caller gets a reference of the packet and releases it.
 *  Errors: TIMEOUT (there is none), and those of cuframes_join_find() but STALE and INTERRUPTED.
 *  Thread-safety: one thread at a time for a join. Blocks: never. */
CUFRAMES_API int cuframes_join_latest(cuframes_join *join, const cuframes_frame_id *of, cuframes_packet **packet);

/** Ends cuframes_join_find() of this join in another thread, or the next one, with INTERRUPTED; one that has an answer
 *  gives it, and leaves INTERRUPTED to the next. NULL is fine.
 *  Thread-safety: any thread, and signal handlers. Blocks: never. */
CUFRAMES_API void cuframes_join_interrupt(cuframes_join *join);

#ifdef __cplusplus
}
#endif
#endif
