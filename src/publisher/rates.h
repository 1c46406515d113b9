/* publisher/rates.h - what the packets of one track amount to: their bit rate, and how far keyframes are apart.
 *
 * Threads  One writes at a time, with the packets' lock; anybody looks at any time and waits for nobody. What is seen
 *          then may be a packet apart: it is for people.
 */
#ifndef CF_PUBLISHER_RATES_H
#define CF_PUBLISHER_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/futex.h"

#define CF_RATE_STEPS 8u
#define CF_RATE_STEP (CF_SECOND / 2)
#define CF_RATE_INTERVALS 16u /* of keyframes that are remembered */

/* From one keyframe to the next. */
typedef struct cf_keyframe_interval {
  uint64_t ns, frames;
} cf_keyframe_interval;

typedef struct cf_track_rate {
  cf_counter packets;
  cf_counter first, newest;        /* when they came, CLOCK_MONOTONIC ns; 0: none yet */
  cf_counter steps[CF_RATE_STEPS]; /* number of the half second and bytes in it: step_word() */
  cf_counter newest_key;           /* when the newest keyframe came; 0: none yet */
  cf_counter last_ns, last_frames, longest_ns, longest_frames;
  /* the writer's alone */
  cf_keyframe_interval intervals[CF_RATE_INTERVALS];
  uint64_t interval_count;
  uint64_t key_packet; /* the count of packets with the last keyframe; 0: there is none to measure from */
  int64_t key_time, key_came;
} cf_track_rate;

/* A packet to be counted. */
typedef struct cf_rated_packet {
  size_t size;
  int64_t now;
  int64_t time; /* on the source's clock; CUFRAMES_NO_TIME: it does not say, and its arrival counts */
  bool is_video_key;
} cf_rated_packet;

void cf_rate_count(cf_track_rate *rate, const cf_rated_packet *packet);
/* The source started anew: what comes now is not measured against what was before. */
void cf_rate_restart(cf_track_rate *rate);

/* Bits per second over the last CF_RATE_STEPS steps, or since the first packet; 0 in its first second. */
uint64_t cf_rate_bits(const cf_track_rate *rate, int64_t now);

#endif
