/* api/errors.c - error sentences, version, clock. */
#include <stdio.h>

#include <cuframes/common.h>

#include "os/clock.h"
#include "os/error.h"

#define TEXT(x) #x
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

static const char *const sentences[] = {
  [-CUFRAMES_OK] = "success",
  [-CUFRAMES_ERR_INVALID] = "an argument is wrong",
  [-CUFRAMES_ERR_NO_MEMORY] = "out of memory",
  [-CUFRAMES_ERR_SYSTEM] = "a system call failed",
  [-CUFRAMES_ERR_NAME] = "not a stream name",
  [-CUFRAMES_ERR_NAME_IN_USE] = "the name is in use",
  [-CUFRAMES_ERR_NO_SUCH_STREAM] = "no such stream",
  [-CUFRAMES_ERR_DIRECTORY] = "the runtime directory cannot be used",
  [-CUFRAMES_ERR_PERMISSION] = "permission denied",
  [-CUFRAMES_ERR_TIMEOUT] = "timed out",
  [-CUFRAMES_ERR_INTERRUPTED] = "interrupted",
  [-CUFRAMES_ERR_PUBLISHER_GONE] = "the publisher is gone",
  [-CUFRAMES_ERR_EVICTED] = "evicted for being too slow",
  [-CUFRAMES_ERR_STALE] = "it has gone meanwhile",
  [-CUFRAMES_ERR_NO_CAPACITY] = "the stream has no room for this subscriber",
  [-CUFRAMES_ERR_LEASE_LIMIT] = "every granted frame is in hand",
  [-CUFRAMES_ERR_VERSION] = "no common protocol version",
  [-CUFRAMES_ERR_PROTOCOL] = "the peer breaks the protocol",
  [-CUFRAMES_ERR_FORMAT] = "not a possible picture format",
  [-CUFRAMES_ERR_DROPPED] = "the frame was dropped",
  [-CUFRAMES_ERR_PACKET_OVERSIZED] = "the packet is too large for the ring",
  [-CUFRAMES_ERR_NO_PACKET_RING] = "the stream carries no packets",
  [-CUFRAMES_ERR_NO_CODEC_PARAMS] = "the track is not described",
  [-CUFRAMES_ERR_PACKET_OVERRUN] = "packets were lost",
  [-CUFRAMES_ERR_DEVICE] = "the device failed",
  [-CUFRAMES_ERR_UNSUPPORTED] = "not supported",
  [-CUFRAMES_ERR_BUSY] = "busy",
  [-CUFRAMES_ERR_LOST] = "the picture was never completed",
};

const char *cuframes_strerror(int error) {
  int count = (int)(sizeof sentences / sizeof sentences[0]);
  return error <= 0 && error > -count ? sentences[-error] : "unknown error";
}

const char *cuframes_last_error(void) {
  return cf_last_detail();
}

int cuframes_set_last_error(int error, const char *sentence) {
  char copy[512]; /* it may be the very sentence that this one takes the place of */
  snprintf(copy, sizeof copy, "%s", sentence ? sentence : "");
  return cf_fail(error, "%s", copy);
}

const char *cuframes_version(void) {
  return VERSION(CUFRAMES_VERSION_MAJOR, CUFRAMES_VERSION_MINOR, CUFRAMES_VERSION_PATCH);
}

int64_t cuframes_now(void) {
  return cf_now();
}
