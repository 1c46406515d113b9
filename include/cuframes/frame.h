/* cuframes/frame.h - a frame in hand: a lease on a slot (subscriber) or an open slot (publisher).
 *
 * Ownership  A subscriber's frame is read-only memory that stays exactly as it is until
 *            cuframes_frame_release(), whatever the publisher or anybody else does or suffers.
 *            A publisher's frame is writable until it is published or cancelled.
 * Threads    Accessors may be called from any thread, also at the same time. A frame may be released
 *            from any thread, once.
 * Pointers   Point into memory of the stream's device: host memory for "host".
 */
#ifndef CUFRAMES_FRAME_H
#define CUFRAMES_FRAME_H

#include <cuframes/format.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuframes_frame cuframes_frame;

enum cuframes_frame_flag {
  /** The first frame this subscriber gets after the publisher or its source (re)started: pts may jump. */
  CUFRAMES_FRAME_EPOCH = 1,
  /** The first frame this subscriber gets in a format other than the one before. */
  CUFRAMES_FRAME_NEW_FORMAT = 2,
  /** The picture was decoded from a keyframe. */
  CUFRAMES_FRAME_KEY = 4,
  /** The decoder reported damage (missing references, concealed errors). */
  CUFRAMES_FRAME_CORRUPT = 8
};

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
/** Bits of enum cuframes_frame_flag. */
CUFRAMES_API uint32_t cuframes_frame_flags(const cuframes_frame *frame);

/** Copies one plane's visible rows into host memory at dst, dst_pitch bytes apart (0: packed).
 *  Blocks until it is done. CUFRAMES_ERR_INVALID for a plane or pitch that cannot be. */
CUFRAMES_API int cuframes_frame_copy_to_host(const cuframes_frame *frame, int plane, void *dst, size_t dst_pitch);

/** Copies host memory into one plane of an open frame of a publisher, row by row, the other way round.
 *  CUFRAMES_ERR_INVALID as above, and for a subscriber's frame. */
CUFRAMES_API int cuframes_frame_copy_from_host(cuframes_frame *frame, int plane, const void *src, size_t src_pitch);

/** Gives a subscriber's frame back; it must not be touched afterwards. NULL is fine.
 *  Never blocks; any thread.
 *  CUFRAMES_ERR_STALE: the connection it was leased from is over (publisher gone, evicted); the picture
 *  was whole until now and the frame is given back all the same.
 *  CUFRAMES_ERR_INVALID: it was released before, or belongs to a publisher. (A second release is noticed only while
 *  the subscriber lives and keeps its connection; after that the frame's memory is gone.) */
CUFRAMES_API int cuframes_frame_release(cuframes_frame *frame);

#ifdef __cplusplus
}
#endif
#endif
