/* cuframes/publisher.h - the one process that writes a stream.
 *
 * Threads  Frame calls (acquire, publish, cancel, set_format, set_limits, discontinuity and those of registered frames)
 *          may come from any thread; they take turns. Packet calls likewise, beside the frame calls, and set_source()
 *          beside both; interrupt() at any time. destroy() must be the last call. A service thread of the library
 *          answers subscribers; it never runs your code but the log callback. Threads of the library inherit nice and
 *          affinity of the thread that starts them, but no real-time policy.
 * Blocking Nothing here waits for a subscriber, except cuframes_publisher_publish() for an ordered one under
 *          CUFRAMES_POLICY_WAIT. "Blocks:" below says how long a call waits itself; for its turn it waits as long as
 *          the calls do that run. cuframes_publisher_interrupt() and the option `interrupt` end the waits for
 *          subscribers and for slots, and not those for a GPU or for an allocation.
 */
#ifndef CUFRAMES_PUBLISHER_H
#define CUFRAMES_PUBLISHER_H

#include <cuframes/frame.h>
#include <cuframes/packet.h>
#include <cuframes/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuframes_publisher cuframes_publisher;

/** What happens when an ordered subscriber has no room for the next frame. */
enum cuframes_policy {
  CUFRAMES_POLICY_WAIT = 0, /**< wait ordered_timeout_ns for it, then evict it (default) */
  CUFRAMES_POLICY_DROP = 1  /**< drop the new frame for everybody, and count it */
};

/** Who may join. */
enum cuframes_access {
  CUFRAMES_ACCESS_DIRECTORY = 0, /**< whom the runtime directory and the socket's permissions let in (default) */
  CUFRAMES_ACCESS_LISTED = 1     /**< of these, the users and groups of the lists and the publisher's own user; empty
                                      lists are nobody else */
};

/** How GPU memory is handed to other processes. */
enum cuframes_memory {
  CUFRAMES_MEMORY_DEFAULT = 0, /**< VMM memory by file descriptor where the driver has it, else legacy */
  CUFRAMES_MEMORY_LEGACY = 1   /**< cuIpc handles: same PID namespace, and subscribers can write (docs/gpu.md) */
};

enum cuframes_reserve {
  CUFRAMES_RESERVE_NEED = 0, /**< slots for the frames that are in use, and some more; others are made ahead of need. A
                                  frame for which they come too late is dropped */
  CUFRAMES_RESERVE_FULL = 1  /**< slots for all that subscribers may hold are there before each one is let in: no frame
                                  is ever dropped for want of one */
};

typedef struct cuframes_packet_ring_options {
  uint32_t struct_size; /**< sizeof(cuframes_packet_ring_options) */
  uint32_t slots;       /**< packets kept at most, rounded up to a power of two; 0: 64 */
  uint64_t data_bytes;  /**< bytes kept at most; 0: 8 MiB */
  uint64_t max_packet;  /**< largest packet, at most data_bytes; 0: 2 MiB or data_bytes / 4 if that is less */
} cuframes_packet_ring_options;

typedef struct cuframes_publisher_options {
  uint32_t struct_size;       /**< sizeof(cuframes_publisher_options) */
  uint32_t policy;            /**< enum cuframes_policy */
  cuframes_format format;     /**< of the first frames; cuframes_publisher_set_format() changes it. All zero: the stream
                                   has no pictures until that is called, and maybe never: its camera has not answered
                                   yet, or it is sound, or detections. It has no slots then, but its name, and all can
                                   join: next() waits for the first frame, packets are read */
  const char *directory;      /**< runtime directory; NULL: as cuframes_directory_find() finds it */
  const char *device;         /**< NULL or "host": memory that the CPU reads and writes. "cuda", "cuda:N" (N as
                                   CUDA_VISIBLE_DEVICES counts), "cuda:GPU-UUID": GPU memory; planes are device
                                   pointers then. "auto": a GPU if there is one, else host */
  const char *description;    /**< shown by list and info: where the pictures come from */
  uint32_t slots;             /**< frames to allocate at first, and never fewer, at least 2; 0: 6 */
  uint32_t max_slots;         /**< up to which the pool grows; subscribers that could hold more are refused; 0: 1024,
                                   the most */
  uint32_t max_open;          /**< frames open at the same time: acquired, or published with a reference kept; 0: 1, at
                                   most 128 */
  uint32_t max_subscribers;   /**< 0: 128, at most 256. Another user than the publisher's own and root gets about four
                                   fifths of them at most, so that something is left for the next; see SECURITY.md */
  uint32_t max_leases;        /**< frames one subscriber may hold at once; 0: 16, at most 64 */
  uint32_t max_depth;         /**< longest queue of one ordered subscriber; 0: 32, at most 256 */
  int64_t ordered_timeout_ns; /**< for CUFRAMES_POLICY_WAIT; 0: 1 s. Begins anew when this process was stopped */
  uint32_t socket_mode;       /**< permission bits of the socket; 0: 0660 */
  int64_t socket_gid;         /**< 0: leave the group as it is; a group id: give the socket to it */
  const uint32_t *allow_uids; /**< for CUFRAMES_ACCESS_LISTED, which must be set with them: user ids; copied; at most
                                   65536, as groups */
  size_t allow_uid_count;
  const uint32_t *allow_gids;
  size_t allow_gid_count;
  uint32_t access;        /**< enum cuframes_access */
  uint32_t memory;        /**< enum cuframes_memory; for a GPU */
  uint32_t external;      /**< nonzero: frames live in buffers of yours, cuframes_publisher_register_external();
                          max_slots then says how many of them at most */
  uint32_t side_data_max; /**< bytes of side data that each frame has room for, cuframes_frame_add_side_data(); 0: none,
                             at most CUFRAMES_SIDE_DATA_MAX */
  /** The packet ring, which is there before anybody can join, and takes its memory with the first track that is
   *  described; NULL: none, or cuframes_publisher_enable_packets() */
  const cuframes_packet_ring_options *packets;
  cuframes_log_fn log; /**< NULL: silent */
  void *log_user;
  uint32_t reserve;                /**< enum cuframes_reserve */
  uint32_t reserved;               /**< 0 */
  cuframes_interrupt_fn interrupt; /**< asked while acquire(), publish(), publish_on(), drain() and wait_subscribers()
                                        wait; NULL: nobody is */
  void *interrupt_user;
} cuframes_publisher_options;

/** Starts to publish under a name, which is taken and can be joined from then on, also without a format and before
 *  there is anything to publish; cuframes_publisher_set_source() then says what it waits for. Everything in the options
 *  may be zero. On success the caller owns *publisher.
 *  Errors: INVALID, NAME, FORMAT, NAME_IN_USE, DIRECTORY, PERMISSION, NO_MEMORY, SYSTEM, UNSUPPORTED, DEVICE.
 *  Thread-safety: any thread. Blocks: for the allocation; 20 ms more when the name is in use. */
CUFRAMES_API int cuframes_publisher_create(const char *name, const cuframes_publisher_options *options,
                                           cuframes_publisher **publisher);

/** Waits until those who are to get everything have it: ordered subscribers every frame that was published, and the
 *  memory it lies in, those of packets alone every packet. Call it before cuframes_publisher_destroy() where the last
 *  frames matter: a subscriber that has joined and not yet mapped a frame's memory needs the publisher for that. Who
 *  takes the newest frame is not waited for, nor who was evicted; one that is stopped is, until the time is over.
 *  Errors: TIMEOUT, INTERRUPTED, INVALID.
 *  Thread-safety: any thread; frame calls need not wait for it. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_publisher_drain(cuframes_publisher *publisher, int64_t timeout_ns);

/** Ends the stream: subscribers get PUBLISHER_GONE and keep what they hold. Frames that are open are cancelled, which
 *  ends the references that acquire() gave; further ones stay good until they are released. It waits for nobody:
 *  cuframes_publisher_drain() does.
 *  Thread-safety: the last call on the publisher. Blocks: until the service thread has ended; on a GPU until the work
 *  of the context is done, so that the last frames are complete. */
CUFRAMES_API void cuframes_publisher_destroy(cuframes_publisher *publisher);

/** Ends a wait of this publisher in another thread, now or the next one, with INTERRUPTED: one of acquire(), publish()
 *  and publish_on(), and one of drain() and wait_subscribers(). A call that need not wait goes on as ever. Nothing is
 *  lost: a frame that was to be published is open still, and nobody was evicted for it. Of a thread that waits for its
 *  turn behind another one the other's wait ends. NULL is fine.
 *  Thread-safety: any thread, and signal handlers. Blocks: never. */
CUFRAMES_API void cuframes_publisher_interrupt(cuframes_publisher *publisher);

/** Opens a slot to write the next frame into, in the current format.
 *  The caller gets one reference, which publish or cancel ends.
 *  Errors: INVALID, FORMAT when no format was set, LEASE_LIMIT when max_open frames are open already, or streams still
 *  use what was, DROPPED when every slot is in use and the pool has not grown yet, or cannot: there is none for this
 *  frame, and it is counted as dropped, NO_CAPACITY when all registered buffers are in use, INTERRUPTED, DEVICE.
 *  Thread-safety: any thread. Blocks: while every slot is in use until the pool has grown, ordered_timeout_ns at
 *  most, if the publisher holds frames itself (open, or published with a reference kept), or there are ordered
 *  subscribers under CUFRAMES_POLICY_WAIT; else never on "host", nor while frames are published on one stream; if on
 *  several, up to 1 s until the GPU has completed what was published in the slot before. */
CUFRAMES_API int cuframes_publisher_acquire(cuframes_publisher *publisher, cuframes_frame **frame);

typedef struct cuframes_publish_info {
  uint32_t struct_size; /**< sizeof(cuframes_publish_info) */
  uint32_t flags;       /**< CUFRAMES_FRAME_KEY, CUFRAMES_FRAME_CORRUPT */
  int64_t pts;          /**< ns or CUFRAMES_NO_TIME */
  int64_t duration;     /**< ns, 0 if unknown */
  int64_t capture_time; /**< when the picture was taken, ns since 1970 UTC; 0 or CUFRAMES_NO_TIME: not known */
} cuframes_publish_info;

/** Makes an open frame, whose picture is complete now, the newest one and wakes whoever waits for it. info may be
 *  NULL (no times). The caller's reference is ended, also on failure (but not on
 *  INVALID for a frame that is not open, nor on INTERRUPTED); others keep the picture as it is.
 *  Errors: DROPPED (policy drop), INVALID (not an open frame of this publisher), INTERRUPTED (while it waited for an
 *  ordered subscriber: the frame is open still, publish it again, with all of ordered_timeout_ns anew, or cancel it),
 *  DEVICE (the GPU failed; if it is for good, the stream ends and subscribers get PUBLISHER_GONE).
 *  Thread-safety: any thread. Blocks: under CUFRAMES_POLICY_WAIT for ordered subscribers, ordered_timeout_ns at most;
 *  on a GPU up to 1 s until it has completed what publish_on() published in the slot before. */
CUFRAMES_API int cuframes_publisher_publish(cuframes_publisher *publisher, cuframes_frame *frame,
                                            const cuframes_publish_info *info);

/** As publish(), with a picture that is complete when the stream has done all that is on it now (NULL: the legacy
 *  default stream). Returns at submission: the stream tells subscribers, in a few microseconds of its time. Frames of
 *  one publisher belong on one stream; if you switch streams, order the new one after the old: acquire() waits for a
 *  slot that an earlier one has not finished with. On "host" it is publish().
 *  Errors: those of publish(); INVALID also for a stream of another context or device, and for one that
 *  captures a CUDA graph.
 *  Thread-safety: any thread. Blocks: for ordered subscribers as publish(); not for the GPU, but while the stream has
 *  no room for more work, or if the driver fails, until the work of the context is done. */
CUFRAMES_API int cuframes_publisher_publish_on(cuframes_publisher *publisher, cuframes_frame *frame, void *stream,
                                               const cuframes_publish_info *info);

/** Gives an open frame back unpublished; the caller's reference is ended. NULL is fine.
 *  Errors: INVALID (not an open frame of this publisher).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_publisher_cancel(cuframes_publisher *publisher, cuframes_frame *frame);

/** Registers GPU memory of yours for one frame of the current format, whose pitches and offsets count from `address`;
 *  at least `bytes` bytes are there. Only with options.external. What can be shared: VMM memory made exportable as a
 *  POSIX descriptor, memory of a pool made so, and cuMemAlloc() memory (by a legacy handle of the whole allocation).
 *  Gives an open frame that lives until it is unregistered, whatever happens to it, and does not count as open: write
 *  into it, publish it (the caller's reference is not ended), and take it back with acquire() or
 *  cuframes_publisher_reopen(). The memory stays yours and must live until the publisher is destroyed, or unregister
 *  succeeded. Subscribers are admitted while there are buffers enough: 1 + max_open + what they may hold.
 *  Errors: INVALID (not GPU memory of this device, too small, registered already, not an external publisher), FORMAT
 *  (no format was set), UNSUPPORTED (memory that cannot be exported; the detail says why and what can), NO_CAPACITY,
 *  NO_MEMORY, DEVICE.
 *  Thread-safety: any thread. Blocks: for the export. */
CUFRAMES_API int cuframes_publisher_register_external(cuframes_publisher *publisher, void *address, uint64_t bytes,
                                                      cuframes_frame **frame);

/** Takes a registered frame that was published or cancelled back, to write the next picture into it.
 *  (cuframes_publisher_acquire() takes any, the one published longest ago.)
 *  Errors: BUSY (it is the newest frame, a subscriber uses it, or is to get it in order and has not asked for it yet,
 *  or another reference of yours does), INVALID (it is open already, not a registered frame, or of a format that has
 *  changed since), DEVICE.
 *  Thread-safety: any thread. Blocks: as cuframes_publisher_acquire(). */
CUFRAMES_API int cuframes_publisher_reopen(cuframes_publisher *publisher, cuframes_frame *frame);

/** Forgets a registered frame that is open, or whose format has changed and that nobody uses any more; its memory may
 *  be freed then.
 *  Errors: INVALID, BUSY (it was published: reopen it first; it is the newest frame; a subscriber uses it, or is to get
 *  it in order and has not asked for it yet; or another reference of yours does).
 *  Thread-safety: any thread. Blocks: never; but after a frame in it was cancelled, until the work of the context is
 *  done. */
CUFRAMES_API int cuframes_publisher_unregister_external(cuframes_publisher *publisher, cuframes_frame *frame);

/** Waits until so many subscribers have joined, so that they miss nothing of the beginning: an ordered one counts once
 *  it waits for frames, one of packets alone while it waits for a packet. So it tells before the end, too, that these
 *  have read all packets.
 *  Errors: TIMEOUT, INTERRUPTED, INVALID.
 *  Thread-safety: any thread; frame calls need not wait for it. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_publisher_wait_subscribers(cuframes_publisher *publisher, uint32_t count, int64_t timeout_ns);

/** Frames acquired from now on have this format. Leases on old frames stay good; their memory goes when the
 *  last one is released. Frames that are open keep the old format and may still be published.
 *  Errors: FORMAT, NO_MEMORY, DEVICE; then the old format stays.
 *  Thread-safety: any thread. Blocks: for the allocation. */
CUFRAMES_API int cuframes_publisher_set_format(cuframes_publisher *publisher, const cuframes_format *format);

/** Lowers two options for who learns with the first picture how many frames will be open at most, as a decoder's that
 *  are published and still used. 0 leaves one as it is; `slots` becomes max_slots if it is more. Only before there is a
 *  format.
 *  Errors: INVALID (there is a format; more than it was; max_slots below 1 + max_open), NO_CAPACITY (subscribers that
 *  have joined may hold more than would be left of max_slots).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_publisher_set_limits(cuframes_publisher *publisher, uint32_t max_open, uint32_t max_slots);

/** The source (re)started: the next frame and packet carry the DISCONTINUITY flag for every subscriber.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_publisher_discontinuity(cuframes_publisher *publisher);

/** Says what the source is doing, to monitors and to subscribers that ask; it wakes nobody. `since` may be 0: now, or
 *  as it was if the state stays the same (only the reason or the next attempt is another); else it is a moment that
 *  has passed, such as that of the last picture. What may not be shown of the reason (control characters, bytes that
 *  are no UTF-8) is shown as '?'.
 *  Errors: INVALID (struct_size, a state that there is not, a `since` to come, a negative time, reserved fields that
 *  are not 0).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_publisher_set_source(cuframes_publisher *publisher, const cuframes_source_info *source);

/** Adds the packet ring to a publisher that was made without. Once (BUSY the second time). options may be NULL. Who
 *  joined before may have been told that there is none: the option `packets` has no such moment.
 *  Errors: INVALID, NO_MEMORY, SYSTEM.
 *  Thread-safety: any thread. Blocks: for the allocation. */
CUFRAMES_API int cuframes_publisher_enable_packets(cuframes_publisher *publisher,
                                                   const cuframes_packet_ring_options *options);

/** Describes (or describes anew) a track; params and extradata are copied. The first one takes the memory of the ring.
 *  Errors: INVALID (index, struct_size, a value that cannot be, reserved fields that are not 0), NO_PACKET_RING,
 *  NO_MEMORY.
 *  Thread-safety: any thread. Blocks: for the allocation, the first time. */
CUFRAMES_API int cuframes_publisher_set_codec_params(cuframes_publisher *publisher, uint32_t track,
                                                     const cuframes_codec_params *params);
CUFRAMES_API int cuframes_publisher_set_codec_extradata(cuframes_publisher *publisher, uint32_t track,
                                                        const void *extradata, size_t size);

/** Copies a packet into the ring.
 *  Errors: PACKET_OVERSIZED, NO_PACKET_RING, NO_CODEC_PARAMS, INVALID.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_publisher_publish_packet(cuframes_publisher *publisher, const cuframes_packet_info *packet);

typedef struct cuframes_publisher_stats {
  uint32_t struct_size;     /**< set by the caller: sizeof(cuframes_publisher_stats) */
  uint32_t subscribers;     /**< connected now */
  uint32_t slots, segments; /**< allocated now */
  uint64_t frames;          /**< published */
  uint64_t dropped;         /**< by CUFRAMES_POLICY_DROP */
  uint64_t evictions;       /**< ordered subscribers that were too slow */
  uint64_t waits;           /**< publishes that waited for an ordered subscriber */
  uint64_t packets;         /**< published */
  uint64_t packet_bytes;
  uint64_t memory_bytes;   /**< segments, packet ring, control page and seats */
  uint64_t released_twice; /**< references that were ended once too often */
} cuframes_publisher_stats;

/** What the publisher has done so far.
 *  Errors: INVALID.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_publisher_get_stats(cuframes_publisher *publisher, cuframes_publisher_stats *stats);

/** The device that was chosen ("host", "cuda:GPU-..."), and why, as one sentence; of NULL: NULL, and NULL. Lives as
 *  long as the publisher.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_publisher_device(const cuframes_publisher *publisher, const char **reason);

#ifdef __cplusplus
}
#endif
#endif
