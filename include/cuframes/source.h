/* cuframes/source.h - what the source of a stream is doing: pictures come, or why not. */
#ifndef CUFRAMES_SOURCE_H
#define CUFRAMES_SOURCE_H

#include <cuframes/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest reason in bytes, without the terminating zero; longer ones are cut. */
#define CUFRAMES_REASON_MAX 255

/** A camera may be away while its publisher lives, or may not have been there yet: a stream can be published before its
 *  first picture (cuframes_publisher_create() without a format). Only the application knows, and says so with
 *  cuframes_publisher_set_source(); frames and packets change nothing of it. */
enum cuframes_source_state {
  CUFRAMES_SOURCE_UNKNOWN = 0,      /**< nobody has said (default) */
  CUFRAMES_SOURCE_LIVE = 1,         /**< it gives what it should */
  CUFRAMES_SOURCE_STALLED = 2,      /**< it is connected, and nothing comes */
  CUFRAMES_SOURCE_RECONNECTING = 3, /**< the connection is lost, and is tried again */
  CUFRAMES_SOURCE_ENDED = 4,        /**< nothing more will come; what was published can still be read */
  CUFRAMES_SOURCE_CONNECTING = 5,   /**< it has given nothing yet, and is tried: starting, or a wrong address */
  CUFRAMES_SOURCE_REFUSED = 6       /**< it wants another user or password: trying again does not help, somebody must
                                         set that right */
};

typedef struct cuframes_source_info {
  uint32_t struct_size; /**< set by the caller: sizeof(cuframes_source_info) */
  uint32_t state;       /**< enum cuframes_source_state; a newer publisher may have more */
  int64_t since;        /**< when it became so, CLOCK_MONOTONIC ns; 0 if nobody has said */
  int64_t
      next_attempt; /**< when the next attempt to connect begins, or began; CLOCK_MONOTONIC ns; 0: none is planned */
  char reason[CUFRAMES_REASON_MAX + 1]; /**< for people, why it is so; may be empty */
  uint32_t reserved[2];                 /**< 0 */
} cuframes_source_info;

/** "live", "stalled", "reconnecting", "ended", "connecting", "refused" and "unknown"; NULL for a state that this
 *  version does not know. Static.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API const char *cuframes_source_state_name(uint32_t state);

#ifdef __cplusplus
}
#endif
#endif
