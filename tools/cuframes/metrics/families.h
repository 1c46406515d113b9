/* families.h - what there is to be counted: name, type, labels and help of each metric, in one table, which a test
 * compares with docs/metrics.md. */
#ifndef CUFRAMES_METRICS_FAMILIES_H
#define CUFRAMES_METRICS_FAMILIES_H

#include <stddef.h>

/* In the order in which they are shown. */
enum family_id {
  FAMILY_BUILD_INFO,
  FAMILY_START_TIME,
  FAMILY_STREAMS,
  FAMILY_SCRAPE_SUCCESS,
  FAMILY_SCRAPE_DURATION,
  FAMILY_SCRAPE_ERRORS,
  FAMILY_UP,
  FAMILY_INFO,
  FAMILY_STREAM_START,
  FAMILY_STATE,
  FAMILY_STATE_START,
  FAMILY_STATE_REASON,
  FAMILY_RECONNECTS,
  FAMILY_FRAMES,
  FAMILY_DROPPED,
  FAMILY_LAST_FRAME_AGE,
  FAMILY_LAST_FRAME_TIME,
  FAMILY_SLOTS,
  FAMILY_SLOTS_USED,
  FAMILY_SLOTS_MAX,
  FAMILY_MEMORY,
  FAMILY_PACKETS,
  FAMILY_PACKET_BYTES,
  FAMILY_TRACK_PACKETS,
  FAMILY_TRACK_AGE,
  FAMILY_TRACK_KEYFRAME,
  FAMILY_TRACK_KEYFRAME_MAX,
  FAMILY_TRACK_KEYFRAME_AGE,
  FAMILY_SUBSCRIBERS,
  FAMILY_JOINED,
  FAMILY_TAKEN,
  FAMILY_SKIPPED,
  FAMILY_PACKETS_READ,
  FAMILY_PACKETS_LOST,
  FAMILY_EVICTIONS,
  FAMILY_LAG,
  FAMILY_HELD,
  FAMILY_LATENCY,
  FAMILY_COUNT
};

typedef struct family {
  const char *name;
  const char *type;   /* "counter", "gauge" or "histogram" */
  const char *labels; /* names, separated by ", "; "" for none */
  const char *help;
} family;

extern const family families[FAMILY_COUNT];

#endif
