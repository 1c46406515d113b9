/* cuframes/subscriber.h - a process that uses the frames and packets of a stream.
 *
 * Threads  One thread at a time takes frames (next, or the callback thread), one takes packets; frames and
 *          packets may be released from any thread. interrupt(), get_source() and get_stats() may come from any thread.
 *          destroy() must be the last call on the subscriber; frames in hand stay good after it and are
 *          released as usual.
 */
#ifndef CUFRAMES_SUBSCRIBER_H
#define CUFRAMES_SUBSCRIBER_H

#include <cuframes/frame.h>
#include <cuframes/packet.h>
#include <cuframes/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuframes_subscriber cuframes_subscriber;

enum cuframes_mode {
  CUFRAMES_MODE_NEWEST = 0,  /**< always the newest frame; what is skipped is counted (default) */
  CUFRAMES_MODE_ORDERED = 1, /**< every frame in sequence from the joining on, up to `depth` kept waiting */
  CUFRAMES_MODE_PACKETS = 2  /**< packets only: costs no slot, next() says UNSUPPORTED */
};

/** How this subscriber learns that a GPU has completed a picture. Bits: what it would like; the publisher grants the
 *  first of timeline, slot-events, complete that both can do. On "host" it is always complete. */
enum cuframes_sync {
  CUFRAMES_SYNC_COMPLETE = 1, /**< next() returns when the picture is complete: right for every use (default) */
  CUFRAMES_SYNC_TIMELINE = 2, /**< next_on() returns at submission, the subscriber's stream waits. If the publisher dies
                                   the wait ends and the frame is LOST */
  CUFRAMES_SYNC_SLOT_EVENTS = 4 /**< the same by interprocess events, for drivers without 64-bit stream memory
                                   operations. If the publisher dies in the wrong moment the stream waits for ever */
};

typedef struct cuframes_subscriber_options {
  uint32_t struct_size;       /**< sizeof(cuframes_subscriber_options) */
  uint32_t mode;              /**< enum cuframes_mode */
  const char *directory;      /**< runtime directory; NULL: as cuframes_directory_find() finds it */
  const char *label;          /**< shown by info and top; NULL: the program's name */
  uint32_t leases;            /**< frames held at the same time; 0: 2 */
  uint32_t depth;             /**< ordered: frames that may wait for this subscriber; 0: 4 */
  uint32_t reconnect;         /**< nonzero: when the publisher goes, wait for the name to come back */
  uint32_t sync;              /**< bits of enum cuframes_sync; 0: complete */
  int64_t connect_timeout_ns; /**< how long create() waits for the name to appear; 0: not at all. A stream may have its
                                   name long before its first picture: next() waits for that */
  int64_t spin_ns;            /**< busy-wait this long for a frame before sleeping; 0: never */
  cuframes_log_fn log;        /**< NULL: silent */
  void *log_user;
  const char *device; /**< NULL or "auto": whatever the stream is on. "host": refuse a stream on a GPU, since the
                                   CPU is to read the planes. "cuda", "cuda:N", "cuda:GPU-UUID": refuse host memory, and
                                   map the frames for this GPU, which may be another than the publisher's */
  cuframes_interrupt_fn interrupt; /**< asked while create(), and later enable_packets(), track_count() and
                                        get_codec_params(), wait for the publisher; NULL: nobody is. For next() and
                                        next_packet() there is cuframes_subscriber_interrupt() */
  void *interrupt_user;
} cuframes_subscriber_options;

/** Joins a stream. options may be NULL.
 *  Errors: INVALID, NAME, NO_SUCH_STREAM, DIRECTORY, PERMISSION, TIMEOUT, INTERRUPTED (options.interrupt), NO_CAPACITY,
 *  VERSION, PROTOCOL, NO_MEMORY, SYSTEM, UNSUPPORTED, DEVICE.
 *  Thread-safety: any thread. Blocks: up to connect_timeout_ns, and up to 2 s for an answer, again for each lesser sync
 *  mode that it falls back to; at most until options.interrupt says to give up. */
CUFRAMES_API int cuframes_subscriber_create(const char *name, const cuframes_subscriber_options *options,
                                            cuframes_subscriber **subscriber);

/** Leaves the stream, and its batch; stops the callback thread. Frames in hand stay good until they are released. From
 *  within its own callback it only says so: the callback thread leaves when the callback has returned.
 *  Thread-safety: the last call on the subscriber. Blocks: until a callback that runs has returned, not from within it;
 *  on a GPU the last of destroy() and the releases of frames in hand waits for the work of the context that
 *  may still use them. */
CUFRAMES_API void cuframes_subscriber_destroy(cuframes_subscriber *subscriber);

/** The next frame: in newest mode the newest one not yet seen, in ordered mode the one after the last, beginning with
 *  the one that was the newest when create() returned (so take frames soon: they wait from then on). The caller owns
 *  a lease on *frame until it releases it. A stream may have no pictures yet, or never: it is waited for as ever, and
 *  the detail of TIMEOUT says what the source is doing, if it is not live.
 *  In ordered mode nothing follows behind a frame that could not be had (its publisher died before its memory was
 *  mapped, or before it was complete): each later call tries that frame again, and says the same or gives it; with
 *  reconnect the next publisher's first frame follows, as ever. In newest mode a later frame may follow.
 *  Errors: TIMEOUT, INTERRUPTED, LEASE_LIMIT (release one first), EVICTED,
 *  PUBLISHER_GONE (not with reconnect), BUSY (the callback thread runs, or it is a member of a batch), and those of
 *  create() when a segment cannot be mapped.
 *  Thread-safety: one thread at a time. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_subscriber_next(cuframes_subscriber *subscriber, int64_t timeout_ns, cuframes_frame **frame);

/** As next(), for work on a GPU: in the sync modes timeline and slot-events the frame is given at once and the stream
 *  waits until its picture is complete, the CPU does not. In mode complete, and on "host", it is next().
 *  next() in those modes waits on the CPU and so gives complete frames.
 *  Errors: those of next(); INVALID (a stream of another context, or one that captures a CUDA graph), DEVICE.
 *  Thread-safety: one thread at a time. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_subscriber_next_on(cuframes_subscriber *subscriber, int64_t timeout_ns, void *stream,
                                             cuframes_frame **frame);

/** The device of the stream, copied into `size` bytes (CUFRAMES_DEVICE_NAME_MAX + 1 are always enough), and the sync
 *  mode granted, of the present connection. Either may be NULL.
 *  Errors: PUBLISHER_GONE (no connection at present), INVALID (too few bytes).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_subscriber_device(cuframes_subscriber *subscriber, char *device, size_t size, uint32_t *sync);

/** What the source of the stream is doing, by the word of its publisher: why next() gives nothing, for example. It is
 *  read from shared memory and asks nobody, so that it has no reason and no next attempt: cuframes_stream_query() has
 *  those. source->struct_size must be set, and so much of it is filled. `since` is exact to 8 ns.
 *  Errors: PUBLISHER_GONE (no publisher at present), INVALID (struct_size).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_subscriber_get_source(cuframes_subscriber *subscriber, cuframes_source_info *source);

/** Ends a wait for frames or packets of this subscriber in another thread, now or the next one, with INTERRUPTED: one
 *  of the thread that takes frames, and one of the thread that takes packets. The callback thread goes on. Calls that
 *  ask the publisher are ended by the option `interrupt`.
 *  Thread-safety: any thread, and signal handlers. Blocks: never. */
CUFRAMES_API void cuframes_subscriber_interrupt(cuframes_subscriber *subscriber);

/** A descriptor for poll, epoll or an event loop: readable when cuframes_subscriber_next() with timeout 0
 *  may have something to say (a frame, or an error). Call next() until TIMEOUT, then poll again; after
 *  LEASE_LIMIT it stays readable: release a frame first.
 *  It stays the library's and the same until destroy(), also across reconnects. Do not read it.
 *  Errors: INVALID, UNSUPPORTED (packets only), NO_MEMORY, SYSTEM, BUSY.
 *  Thread-safety: the thread that calls next(). Blocks: never. */
CUFRAMES_API int cuframes_subscriber_fd(cuframes_subscriber *subscriber, int *fd);

/** Called on a thread of the library, one frame at a time. The callee owns the frame and releases it, then or
 *  later, from any thread. On the end of the stream it is called once with frame NULL and the error. */
typedef void (*cuframes_frame_fn)(void *user, cuframes_frame *frame, int error);

/** Starts the callback thread.
 *  Errors: BUSY (running already, or a member of a batch), INVALID, UNSUPPORTED (packets only), SYSTEM.
 *  Thread-safety: one thread at a time, in the place of next(). Blocks: never. */
CUFRAMES_API int cuframes_subscriber_start(cuframes_subscriber *subscriber, cuframes_frame_fn callback, void *user);

/** Stops the callback thread; there is no callback after it. From within a callback it only asks for the end.
 *  Errors: INVALID.
 *  Thread-safety: as cuframes_subscriber_start(). Blocks: until the callback that runs has returned. */
CUFRAMES_API int cuframes_subscriber_stop(cuframes_subscriber *subscriber);

/** Where packet reading starts. */
enum cuframes_packet_start {
  CUFRAMES_PACKETS_FROM_KEYFRAME = 0,      /**< at the last video keyframe in the ring; if there is none, at the
                                               last one written by the time of reading */
  CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME = 1, /**< at the next video keyframe to come */
  CUFRAMES_PACKETS_FROM_OLDEST = 2         /**< at the oldest one in the ring, keyframe or not: for data */
};

/** Maps the packet ring.
 *  Errors: NO_PACKET_RING, PUBLISHER_GONE, TIMEOUT (it has not come back), INTERRUPTED (options.interrupt: call again),
 *  PROTOCOL, NO_MEMORY, SYSTEM, INVALID.
 *  Thread-safety: the thread that takes packets. Blocks: up to 2 s for the publisher's answer. */
CUFRAMES_API int cuframes_subscriber_enable_packets(cuframes_subscriber *subscriber, uint32_t start);

/** The next packet, copied out of the ring. The caller owns *packet and releases it.
 *  PACKET_OVERRUN once after packets were lost (their count is in the statistics); the next call goes on at a
 *  keyframe or, with PACKETS_FROM_OLDEST, at the oldest packet in the ring, and a DISCONTINUITY flag that a lost packet
 *  had is lost with it: after an overrun times may jump. The detail of TIMEOUT is as of next().
 *  Errors: TIMEOUT, INTERRUPTED, NO_PACKET_RING, PUBLISHER_GONE, NO_MEMORY.
 *  Thread-safety: one thread at a time, beside the one that takes frames. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_subscriber_next_packet(cuframes_subscriber *subscriber, int64_t timeout_ns,
                                                 cuframes_packet **packet);

/** A descriptor for poll, epoll or an event loop: readable when cuframes_subscriber_next_packet() with timeout 0 may
 *  have something to say (a packet, or an error). Call it until TIMEOUT, then poll again; it tells again only after
 *  that.
 *  It stays the library's and the same until destroy(), also across reconnects. Do not read it. A thread of the library
 *  (one for 127 descriptors) sleeps in the caller's place.
 *  Errors: INVALID, NO_PACKET_RING (call cuframes_subscriber_enable_packets() first), NO_MEMORY, SYSTEM.
 *  Thread-safety: the thread that takes packets. Blocks: never. */
CUFRAMES_API int cuframes_subscriber_packet_fd(cuframes_subscriber *subscriber, int *fd);

/** The number of tracks that the publisher has described. Their numbers may have gaps (track 3 alone is a count of 1):
 *  to see all, ask cuframes_subscriber_get_codec_params() for 0 to CUFRAMES_TRACKS_MAX - 1, where NO_CODEC_PARAMS is a
 *  gap, until so many were found.
 *  Errors: NO_PACKET_RING, PUBLISHER_GONE, TIMEOUT (it has not come back), INTERRUPTED (options.interrupt: call again),
 *  PROTOCOL, INVALID.
 *  Thread-safety: any thread. Blocks: up to 2 s for the publisher's answer. */
CUFRAMES_API int cuframes_subscriber_track_count(cuframes_subscriber *subscriber, uint32_t *count);

/** Parameters of one track as they are now. params may be NULL, else its struct_size must be set, and so much of it is
 *  filled. *extradata (may be NULL if not wanted) points to *extradata_size bytes followed by 64 zero bytes, valid
 *  until the next call of this function on this subscriber or its destroy().
 *  Errors: NO_CODEC_PARAMS, NO_PACKET_RING, PUBLISHER_GONE, TIMEOUT (it has not come back), INTERRUPTED
 *  (options.interrupt: call again), PROTOCOL, NO_MEMORY, INVALID (struct_size).
 *  Thread-safety: any thread, one at a time that looks at extradata. Blocks: up to 2 s for the publisher's answer. */
CUFRAMES_API int cuframes_subscriber_get_codec_params(cuframes_subscriber *subscriber, uint32_t track,
                                                      cuframes_codec_params *params, const void **extradata,
                                                      size_t *extradata_size);

typedef struct cuframes_subscriber_stats {
  uint32_t struct_size; /**< set by the caller: sizeof(cuframes_subscriber_stats) */
  uint32_t leases_held;
  uint64_t frames;  /**< delivered */
  uint64_t skipped; /**< newest mode: published and never delivered to this subscriber */
  uint64_t reconnects;
  uint64_t packets;        /**< delivered */
  uint64_t packets_lost;   /**< overwritten before they were read */
  uint64_t frames_lost;    /**< delivered, and then the publisher died before they were complete */
  uint64_t released_twice; /**< frames that were released once too often */
} cuframes_subscriber_stats;

/** What the subscriber has had so far.
 *  Errors: INVALID.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_subscriber_get_stats(cuframes_subscriber *subscriber, cuframes_subscriber_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
