/* cuframes/common.h - what every other header uses: errors, time, logging, version.
 *
 * Conventions of the whole API
 *   Return value   0 (CUFRAMES_OK) or a negative CUFRAMES_ERR_*. Output parameters come last and are
 *                  untouched on failure, unless a function says otherwise.
 *   Detail         cuframes_last_error() says in a sentence what was expected and what came.
 *   Options        structs that start with their own size; a zero field means its default.
 *   Timeouts       relative, nanoseconds; 0 does not wait, CUFRAMES_WAIT_FOREVER (any negative) never ends.
 *   Timestamps     absolute, nanoseconds of CLOCK_MONOTONIC. pts, dts and durations are nanoseconds too,
 *                  on the clock of the source.
 *   Destroy        functions take NULL and cannot fail.
 *   fork()         publishers, subscribers, joins and frames are good only in the process that made them. In a child
 *                  calls on them give INVALID, planes are NULL, and destroy and release free the child's memory and
 *                  change nothing for the parent; packets are copies, and good in both. So create after fork() or
 *                  daemon(), not before. The library's descriptors are closed in a child of fork(); in one that was
 *                  made by a system call of its own they stay open until it ends, and with them a publisher's name.
 *   CUDA           no CUDA type stands in these headers: a `void *stream` is a CUstream (or cudaStream_t), NULL the
 *                  legacy default stream; a device pointer is a `void *`. The library uses the CUDA context that is
 *                  current on the calling thread when a publisher or subscriber is created, if that belongs to the
 *                  device, else the device's primary context (the one that torch, CuPy and the runtime API use);
 *                  that context must outlive the object, and streams must belong to it.
 */
#ifndef CUFRAMES_COMMON_H
#define CUFRAMES_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include <cuframes/version.h>

#if defined(__GNUC__)
#define CUFRAMES_API __attribute__((visibility("default")))
#else
#define CUFRAMES_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CUFRAMES_WAIT_FOREVER ((int64_t)-1)
/** "This picture or packet carries no such time." */
#define CUFRAMES_NO_TIME INT64_MIN
/** Longest stream name in bytes, without the terminating zero. */
#define CUFRAMES_NAME_MAX 63
/** Longest name of a device in bytes, without the terminating zero. */
#define CUFRAMES_DEVICE_NAME_MAX 63
/** Longest subscriber label in bytes, without the terminating zero; longer ones are cut. */
#define CUFRAMES_LABEL_MAX 63

enum cuframes_error {
  CUFRAMES_OK = 0,
  CUFRAMES_ERR_INVALID = -1,           /**< an argument is wrong; the detail says which */
  CUFRAMES_ERR_NO_MEMORY = -2,         /**< memory, device memory or table space ran out */
  CUFRAMES_ERR_SYSTEM = -3,            /**< a system call failed; the detail names it */
  CUFRAMES_ERR_NAME = -4,              /**< not a stream name: [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
  CUFRAMES_ERR_NAME_IN_USE = -5,       /**< a living publisher has this name */
  CUFRAMES_ERR_NO_SUCH_STREAM = -6,    /**< nobody publishes this name (in this runtime directory) */
  CUFRAMES_ERR_DIRECTORY = -7,         /**< the runtime directory cannot be used */
  CUFRAMES_ERR_PERMISSION = -8,        /**< the file system or the publisher's allow list says no */
  CUFRAMES_ERR_TIMEOUT = -9,           /**< the time given ran out (at once, for a timeout of 0) */
  CUFRAMES_ERR_INTERRUPTED = -10,      /**< an ..._interrupt() ended the wait, or the option `interrupt` did */
  CUFRAMES_ERR_PUBLISHER_GONE = -11,   /**< the publisher ended or died */
  CUFRAMES_ERR_EVICTED = -12,          /**< this ordered subscriber was too slow and lost its place */
  CUFRAMES_ERR_STALE = -13,            /**< what was asked for has gone meanwhile */
  CUFRAMES_ERR_NO_CAPACITY = -14,      /**< the pool may not grow enough for what was asked */
  CUFRAMES_ERR_LEASE_LIMIT = -15,      /**< every granted lease (or open frame) is in hand */
  CUFRAMES_ERR_VERSION = -16,          /**< the two sides speak no common protocol version */
  CUFRAMES_ERR_PROTOCOL = -17,         /**< the peer sent something that the protocol forbids */
  CUFRAMES_ERR_FORMAT = -18,           /**< invalid picture format: pixel format, size, pitch or planes */
  CUFRAMES_ERR_DROPPED = -19,          /**< the frame was dropped for a full ordered subscriber */
  CUFRAMES_ERR_PACKET_OVERSIZED = -20, /**< larger than the packet ring takes */
  CUFRAMES_ERR_NO_PACKET_RING = -21,   /**< the stream carries no packets */
  CUFRAMES_ERR_NO_CODEC_PARAMS = -22,  /**< the publisher has not described this track */
  CUFRAMES_ERR_PACKET_OVERRUN = -23,   /**< packets were overwritten before they were read; said once */
  CUFRAMES_ERR_DEVICE = -24,           /**< the device failed */
  CUFRAMES_ERR_UNSUPPORTED = -25,      /**< this build, device or peer cannot do that */
  CUFRAMES_ERR_BUSY = -26,             /**< not in this state, for example while a callback thread runs */
  CUFRAMES_ERR_LOST = -27              /**< the publisher died before this picture was complete */
};

/** One short English sentence for an error code. Never NULL; static.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_strerror(int error);

/** What went wrong in the last call of this thread that failed: names the cause and, where there is one,
 *  the remedy. Never NULL. Valid until the next cuframes call of this thread.
 *  Thread-safety: any thread; each has its own. Blocks: never. */
CUFRAMES_API const char *cuframes_last_error(void);

/** For libraries and bindings on top of this one that fail in its manner: what cuframes_last_error() says next on this
 *  thread. Gives `error` back. NULL is an empty sentence; what is longer than 511 bytes is cut.
 *  Thread-safety: any thread; each has its own. Blocks: never. */
CUFRAMES_API int cuframes_set_last_error(int error, const char *sentence);

/** "MAJOR.MINOR.PATCH" of the library that runs, which may be newer than the headers. Static.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_version(void);

/** CLOCK_MONOTONIC in nanoseconds, the clock of every timestamp.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int64_t cuframes_now(void);

enum cuframes_log_level {
  CUFRAMES_LOG_ERROR = 1,
  CUFRAMES_LOG_WARNING = 2,
  CUFRAMES_LOG_INFO = 3,
  CUFRAMES_LOG_DEBUG = 4
};

/** Receives one line without newline. Called from any thread of the library, also while a call of
 *  yours runs; it must not call back into the object that logs. The library itself never prints. */
typedef void (*cuframes_log_fn)(void *user, int level, const char *line);

/** Whether to give up: what the options `interrupt` and `interrupt_user` say. Asked by calls that wait for the other
 *  side, on the thread that waits, before it sleeps and again every 20 ms. Nonzero ends the call with INTERRUPTED, and
 *  it is not asked again in it. It may look at a flag that a signal handler or another thread sets, run what a language
 *  does on Ctrl-C, or be FFmpeg's interrupt_callback, whose type it has. It must not call the object whose call asks.
 *  What was begun is left: a publisher that was asked to let somebody in and wakes up later gives the seat back. */
typedef int (*cuframes_interrupt_fn)(void *user);

#ifdef __cplusplus
}
#endif
#endif
