/* cuframes/frame.h - a frame in hand: a lease on a slot (subscriber) or an open slot (publisher).
 *
 * Ownership  A frame is counted: next() and acquire() give one reference, cuframes_frame_ref() adds one,
 *            cuframes_frame_release() ends one. A subscriber's frame is read-only memory that stays exactly as it is
 *            until the last reference is released, whatever the publisher or anybody else does or suffers.
 *            A publisher's frame is writable until it is published or cancelled, which ends the reference of the
 *            caller. A reference that the publisher keeps across publish() keeps the picture unwritten, and counts as
 *            open. Frames may be released after their publisher or subscriber was destroyed.
 * Threads    Every function here may be called from any thread, also at the same time.
 *            What publish() sets (seq, times, flags) must not be asked while another thread publishes the frame.
 * Pointers   Point into memory of the stream's device: cuframes_frame_device() names it. On "host" the CPU reads
 *            them, on "cuda:..." they are device pointers of the GPU that the subscriber uses, read-only there, too: a
 *            kernel that writes through one fails in its own process with "illegal memory access".
 * Readiness  A GPU writes a picture some time after the publisher published it. In sync mode complete a frame is in
 *            hand only once its picture is; in the modes timeline and slot-events the subscriber's stream waits for
 *            it, and the CPU, which does not, may ask with cuframes_frame_wait().
 */
#ifndef CUFRAMES_FRAME_H
#define CUFRAMES_FRAME_H

#include <cuframes/format.h>
#include <cuframes/side_data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuframes_frame cuframes_frame;

enum cuframes_frame_flag {
  /** The first frame this subscriber gets after the publisher or its source (re)started: pts may jump. */
  CUFRAMES_FRAME_DISCONTINUITY = 1,
  /** The first frame this subscriber gets in a format other than the one before. */
  CUFRAMES_FRAME_NEW_FORMAT = 2,
  /** The picture was decoded from a keyframe. */
  CUFRAMES_FRAME_KEY = 4,
  /** The decoder reported damage (missing references, concealed errors). */
  CUFRAMES_FRAME_CORRUPT = 8
};

/* What a frame says of itself. Of NULL: 0, NULL or CUFRAMES_NO_TIME.
 * Thread-safety: any thread that holds a reference. Blocks: never. */

/** Address of a plane, NULL if there is no such plane. Constant time, no synchronisation. */
CUFRAMES_API void *cuframes_frame_plane(const cuframes_frame *frame, int plane);
/** Bytes from one row of the plane to the next, 0 if there is no such plane. */
CUFRAMES_API uint32_t cuframes_frame_pitch(const cuframes_frame *frame, int plane);
CUFRAMES_API uint32_t cuframes_frame_width(const cuframes_frame *frame);
CUFRAMES_API uint32_t cuframes_frame_height(const cuframes_frame *frame);
/** enum cuframes_pixel_format. */
CUFRAMES_API uint32_t cuframes_frame_pixel_format(const cuframes_frame *frame);
CUFRAMES_API cuframes_color cuframes_frame_color(const cuframes_frame *frame);
/** The whole format, every pitch and offset filled in. Lives as long as the frame. */
CUFRAMES_API const cuframes_format *cuframes_frame_format(const cuframes_frame *frame);
/** 1, 2, 3, ... in the order of publishing; 0 for a frame not yet published. */
CUFRAMES_API uint64_t cuframes_frame_seq(const cuframes_frame *frame);
/** Presentation time in ns on the source's clock, shared with the packets; or CUFRAMES_NO_TIME. */
CUFRAMES_API int64_t cuframes_frame_pts(const cuframes_frame *frame);
/** How long it is to be shown in ns, 0 if unknown. */
CUFRAMES_API int64_t cuframes_frame_duration(const cuframes_frame *frame);
/** When it was published, CLOCK_MONOTONIC ns. */
CUFRAMES_API int64_t cuframes_frame_timestamp(const cuframes_frame *frame);
/** When the camera took the picture, ns since 1970 UTC, where the source tells (cuframes_publish_info.capture_time);
 *  else CUFRAMES_NO_TIME. It is the wall clock of the source, which may differ from this machine's. */
CUFRAMES_API int64_t cuframes_frame_capture_time(const cuframes_frame *frame);
/** Bits of enum cuframes_frame_flag. */
CUFRAMES_API uint32_t cuframes_frame_flags(const cuframes_frame *frame);
/** The device that the frame's memory is on: "host", or "cuda:GPU-..." with the UUID of the GPU that made it. */
CUFRAMES_API const char *cuframes_frame_device(const cuframes_frame *frame);

/** Which frame it is, among all frames of all streams of a machine: what others say of it (cuframes/annotation.h) names
 *  it so. */
typedef struct cuframes_frame_id {
  uint32_t struct_size; /**< set by the caller: sizeof(cuframes_frame_id) */
  uint32_t reserved;    /**< 0 */
  uint64_t instance;    /**< of the publisher: random, another one each time the stream starts */
  uint64_t seq;         /**< of the frame, 1, 2, 3, ... */
  int64_t pts;          /**< as cuframes_frame_pts() */
  char stream[CUFRAMES_NAME_MAX + 1];
} cuframes_frame_id;

/** Errors: INVALID (no frame, one that was not published yet, struct_size).
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API int cuframes_frame_identify(const cuframes_frame *frame, cuframes_frame_id *id);

/** Waits on the CPU until a subscriber's frame is complete; at once in sync mode complete. timeout_ns 0 asks.
 *  CUFRAMES_OK: the picture is whole. TIMEOUT: not yet. LOST: it never will be, since the publisher died; what a stream
 *  made of it is worthless; a frame that was handed out incomplete should be asked before what came of it is used.
 *  INVALID: a publisher's frame.
 *  Thread-safety: any thread that holds a reference. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_frame_wait(const cuframes_frame *frame, int64_t timeout_ns);

/** Copies one plane's visible rows into host memory at dst, dst_pitch bytes apart (0: packed).
 *  Errors: INVALID (no such plane, or a pitch smaller than a row); LOST; DEVICE.
 *  Thread-safety: any thread that holds a reference. Blocks: until the frame is complete and the copy done. */
CUFRAMES_API int cuframes_frame_copy_to_host(const cuframes_frame *frame, int plane, void *dst, size_t dst_pitch);

/** Copies host memory into one plane of an open frame of a publisher, row by row, the other way round.
 *  Errors: INVALID as above, and for a subscriber's frame; DEVICE.
 *  Thread-safety: any thread that holds a reference; two should not write one plane. Blocks: until the copy is done. */
CUFRAMES_API int cuframes_frame_copy_from_host(cuframes_frame *frame, int plane, const void *src, size_t src_pitch);

/** The same from memory of the publisher's own device, in order on the stream: src may be used again when the stream
 *  has come so far, and the frame be published on the same stream at once. On "host" it is copy_from_host() and the
 *  stream is not looked at.
 *  Errors: INVALID (also for a stream of another context, or one that captures a CUDA graph), DEVICE.
 *  Thread-safety: as cuframes_frame_copy_from_host(). Blocks: never on a GPU, but while the stream has no room for more
 *  work; on "host" until the copy is done. */
CUFRAMES_API int cuframes_frame_copy_from_device(cuframes_frame *frame, int plane, const void *src, size_t src_pitch,
                                                 void *stream);

/** Gives an open frame of a publisher another piece of side data, which is copied; several of one type are fine.
 *  Subscribers have it as soon as the frame; it is host memory also where the picture is a GPU's. Each piece takes its
 *  size, rounded up to a multiple of 8, and 8 bytes. An acquired frame starts without any.
 *  Errors: INVALID (not an open frame of a publisher; a size that cannot be for a type of cuframes/side_data.h; an
 *  unknown type below CUFRAMES_SIDE_DATA_APPLICATION), NO_CAPACITY (more than options.side_data_max).
 *  Thread-safety: one thread at a time for a frame. Blocks: never. */
CUFRAMES_API int cuframes_frame_add_side_data(cuframes_frame *frame, uint32_t type, const void *data, size_t size);

/** The first piece of side data of that type, and its size (may be NULL); NULL: there is none. Read-only memory that
 *  stays as it is as long as the frame is in hand. A size that a type of cuframes/side_data.h cannot have comes from a
 *  publisher that means harm: look at it before you read.
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API const void *cuframes_frame_side_data(const cuframes_frame *frame, uint32_t type, size_t *size);

/** The piece of that index, 0, 1, 2, ... in the order in which they were added; NULL past the last one. type and size
 *  may be NULL.
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API const void *cuframes_frame_side_data_at(const cuframes_frame *frame, uint32_t index, uint32_t *type,
                                                     size_t *size);

/** Adds a reference and gives the frame. NULL for NULL, and for a frame that was released.
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API cuframes_frame *cuframes_frame_ref(cuframes_frame *frame);

/** Work that was put on the stream by now uses the frame: with its last reference the frame is given back only when the
 *  stream has come so far, and the CPU does not wait for that. Any number of streams. What a stream cannot take (one of
 *  another context, a failed GPU) a thread of the library waits for, and logs it. Nothing on "host".
 *  A stream that captures a CUDA graph takes nothing either: that thread waits until the capture has ended (at most 10
 *  seconds) and the stream has done what was on it before. The graph itself holds no frame: its launches would use
 *  whatever frame lies there then, so let it work on memory of your own, and copy into that.
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API void cuframes_frame_used_on(cuframes_frame *frame, void *stream);

/** Ends a reference. With the last one a subscriber's frame is given back, and a publisher's slot may be written
 *  again (one that was never published is cancelled). It must not be touched afterwards, neither by the CPU nor by
 *  work that was given to a GPU and has not ended; for that there are cuframes_frame_used_on() and
 *  cuframes_frame_release_on(). NULL is fine. A frame that was released already is left alone, which the statistics
 *  count, for the next 1,000 frames of the same publisher or subscriber; later, and when that was destroyed, it is
 *  undefined.
 *  Thread-safety: any thread. Blocks: never; but on a GPU, when the publisher or subscriber was destroyed or has
 *  another connection by now, it may wait for the work of the context that may still use the frames. */
CUFRAMES_API void cuframes_frame_release(cuframes_frame *frame);

/** cuframes_frame_used_on() and cuframes_frame_release(). Until the stream has come so far the lease counts: next()
 *  waits for it, within its timeout, when no other is free.
 *  Thread-safety: any thread. Blocks: as cuframes_frame_release(). */
CUFRAMES_API void cuframes_frame_release_on(cuframes_frame *frame, void *stream);

#ifdef __cplusplus
}
#endif
#endif
