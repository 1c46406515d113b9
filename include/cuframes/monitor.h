/* cuframes/monitor.h - looking at streams without taking part: list, info, top. */
#ifndef CUFRAMES_MONITOR_H
#define CUFRAMES_MONITOR_H

#include <cuframes/format.h>
#include <cuframes/packet.h>
#include <cuframes/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One subscriber, as its publisher knows it. What the subscriber says of itself (label, counts) is only shown. */
typedef struct cuframes_subscriber_info {
  char label[CUFRAMES_LABEL_MAX + 1];
  uint32_t mode; /**< enum cuframes_mode */
  int32_t pid;   /**< in the publisher's PID namespace; 0: not visible there */
  uint32_t uid, gid;
  uint32_t leases, depth; /**< granted */
  uint32_t leases_held;
  uint32_t packets; /**< nonzero: reads packets */
  uint32_t evicted; /**< nonzero: was too slow and lost its place */
  uint64_t lag;     /**< frames published since the last one it took */
  uint64_t delivered, skipped;
  const uint32_t *held_slots; /**< leases_held slot numbers */
  char sync_mode[16];         /**< "complete", "timeline", "slot-events" */
  uint32_t sync_asked;        /**< bits of enum cuframes_sync: what it would have liked */
  uint64_t packets_read;
  uint64_t packets_lost; /**< overwritten before it read them */
} cuframes_subscriber_info;

typedef struct cuframes_track_info {
  uint32_t media_type; /**< enum cuframes_media_type */
  char codec[CUFRAMES_CODEC_NAME_MAX + 1];
  uint64_t packets;             /**< published */
  int64_t age_ns;               /**< since the newest packet; CUFRAMES_NO_TIME before the first one */
  uint64_t bit_rate;            /**< bits per second, measured over about the last four; 0: none, or not yet known */
  int64_t keyframe_interval_ns; /**< video: between the last two keyframes, by their times; 0: not known */
  uint32_t keyframe_interval_frames; /**< video: packets from the one to the other */
  uint32_t keyframe_longest_frames;
  int64_t keyframe_longest_ns; /**< the longest of the last 16 intervals; likewise the frames */
  int64_t keyframe_age_ns;     /**< video: since the newest keyframe; CUFRAMES_NO_TIME before the first one, and where
                                    the publisher is older */
} cuframes_track_info;

/** Frames that took so long from being published to being taken. */
typedef struct cuframes_latency_bucket {
  int64_t up_to_ns; /**< that long, and longer than the bucket before; INT64_MAX in the last one */
  uint64_t frames;
} cuframes_latency_bucket;

#define CUFRAMES_LATENCY_BUCKETS 16

/** What all subscribers of one mode amount to that a publisher has had, those that have left included: no number
 *  becomes smaller while the publisher lives. They are what subscribers say of themselves, within what was published.
 *  Of latency: each frame counts once for each subscriber that took it, at the moment when its next() gave it, on a GPU
 *  complete or with a stream that waits for it, as its sync mode says; programs that are older count none. Of frames
 *  that came while a subscriber spun for them (`spin_ns`), one in seven counts seven times. */
typedef struct cuframes_mode_info {
  uint32_t mode;   /**< enum cuframes_mode */
  uint64_t joined; /**< subscribers, so far */
  uint64_t delivered, skipped;
  uint64_t latency_sum_ns; /**< of all frames in the buckets */
  cuframes_latency_bucket latency[CUFRAMES_LATENCY_BUCKETS];
  uint64_t packets_read;
  uint64_t packets_lost; /**< overwritten before they were read; programs that are older count neither */
} cuframes_mode_info;

typedef struct cuframes_stream_info {
  char name[CUFRAMES_NAME_MAX + 1];
  char device[64]; /**< "host", "cuda:GPU-..." */
  char memory[16]; /**< how it is shared: "memfd", "vmm", "legacy", "pool", "external" */
  char description[256];
  int32_t pid;            /**< of the publisher, 0: not visible here */
  cuframes_format format; /**< of new frames; all zero: no pictures yet. Whether there will be some, `source` and the
                               tracks tell: of one that is live none are to come */
  double fps;             /**< measured over about the last second */
  uint64_t frames, dropped, evictions;
  int64_t age_ns; /**< since the newest frame; CUFRAMES_NO_TIME before the first one */
  uint32_t slots, max_slots, slots_pinned, segments;
  uint64_t memory_bytes;
  uint64_t packets, packet_bytes;
  uint32_t packet_slots; /**< 0: no packet ring */
  uint64_t packet_data_bytes;
  size_t track_count;
  const cuframes_track_info *const *tracks;
  size_t subscriber_count;
  const cuframes_subscriber_info *const *subscribers;
  const cuframes_source_info *source; /**< never NULL; UNKNOWN if the publisher has not said */
  int64_t started;       /**< when the publisher was made, and all counts were 0; CLOCK_MONOTONIC ns; 0: not known */
  uint64_t reconnects;   /**< how often the source went from LIVE or STALLED to RECONNECTING or REFUSED */
  uint64_t device_bytes; /**< of memory_bytes, those on `device`; the others are memory of the host */
  size_t mode_count;     /**< of an older publisher 0 */
  const cuframes_mode_info *const *modes; /**< each mode that subscribers can have, in their order */
} cuframes_stream_info;

/** Asks one publisher. *info is the caller's, free it with cuframes_stream_info_free().
 *  directory NULL: as cuframes_directory_find() finds it.
 *  Errors: INVALID, NAME, NO_SUCH_STREAM, DIRECTORY, PERMISSION, TIMEOUT, VERSION, PROTOCOL, NO_MEMORY, SYSTEM.
 *  Thread-safety: any thread. Blocks: up to timeout_ns, or 1 ms if that is less. */
CUFRAMES_API int cuframes_stream_query(const char *directory, const char *name, int64_t timeout_ns,
                                       cuframes_stream_info **info);

/** How to ask. Everything may be zero. */
typedef struct cuframes_query_options {
  uint32_t struct_size;            /**< sizeof(cuframes_query_options) */
  uint32_t reserved;               /**< 0 */
  const char *directory;           /**< runtime directory; NULL: as cuframes_directory_find() finds it */
  int64_t timeout_ns;              /**< 0: 2 s; negative: for ever */
  cuframes_interrupt_fn interrupt; /**< asked while the answer is waited for; NULL: nobody is */
  void *interrupt_user;
} cuframes_query_options;

/** As cuframes_stream_query(), for who may want to give up. options may be NULL.
 *  Errors: those of cuframes_stream_query(); INTERRUPTED (options->interrupt).
 *  Thread-safety: any thread. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_stream_query_with(const char *name, const cuframes_query_options *options,
                                            cuframes_stream_info **info);

/** NULL is fine.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API void cuframes_stream_info_free(cuframes_stream_info *info);

/** One stream of a list: info, or NULL and why there is none (error and its detail). */
typedef struct cuframes_stream_entry {
  char name[CUFRAMES_NAME_MAX + 1];
  int error;          /**< enum cuframes_error */
  const char *detail; /**< NULL with info */
  const cuframes_stream_info *info;
} cuframes_stream_entry;

/** What cuframes_stream_list() found, by name. */
typedef struct cuframes_streams {
  size_t count;
  const cuframes_stream_entry *const *entries;
} cuframes_streams;

/** All streams of a runtime directory. *streams is the caller's, free it with cuframes_streams_free(). Files that dead
 *  publishers of this user left are removed on the way. No stream is CUFRAMES_OK and a count of 0, also where the
 *  directory does not exist: whoever publishes first makes it.
 *  Errors: INVALID, DIRECTORY (it is no directory, cannot be entered, or anybody may replace what is in it), NO_MEMORY,
 *  SYSTEM.
 *  Thread-safety: any thread. Blocks: up to timeout_ns in all: every stream is asked at the same time. */
CUFRAMES_API int cuframes_stream_list(const char *directory, int64_t timeout_ns, cuframes_streams **streams);

/** As cuframes_stream_list(), for who may want to give up. options may be NULL.
 *  Errors: those of cuframes_stream_list(); INTERRUPTED (options->interrupt).
 *  Thread-safety: any thread. Blocks: up to timeout_ns in all. */
CUFRAMES_API int cuframes_stream_list_with(const cuframes_query_options *options, cuframes_streams **streams);

/** With all its entries. NULL is fine.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API void cuframes_streams_free(cuframes_streams *streams);

/** The runtime directory that NULL stands for: $CUFRAMES_DIR, else /run/cuframes if it is there and writable, else
 *  $XDG_RUNTIME_DIR/cuframes, else /tmp/cuframes-UID. Writes it, zero-terminated, into path. It is not created by this
 *  call.
 *  Errors: INVALID (size is too small), DIRECTORY.
 *  Thread-safety: any thread, while none changes the environment. Blocks: never. */
CUFRAMES_API int cuframes_directory_find(char *path, size_t size);

#ifdef __cplusplus
}
#endif
#endif
