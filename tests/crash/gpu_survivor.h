/* crash/gpu_survivor.h - a subscriber on a GPU that looks closely, with kernels on a stream of its own, at what it
 * gets from a source (tests/gpu/source.h) while others die. */
#ifndef CRASH_GPU_SURVIVOR_H
#define CRASH_GPU_SURVIVOR_H

#include "cuda/gpu.h"

/* Longest until its stream is idle again after a publisher's death. */
#define STREAM_MS 1000

typedef struct gpu_survivor {
  const gpu *g; /* context current here */
  uint32_t mode, sync;
  bool release_on;                 /* gives each frame back on the stream, else keeps the last one in hand */
  cuframes_subscriber *subscriber; /* NULL: not joined */
  cu_stream stream;
  cu_deviceptr wrong;
  uint64_t last; /* number of the last picture; 0: none yet */
  uint64_t checked, lost;
  int64_t longest_ns; /* until the stream had looked at a picture, or was let go */
  cuframes_frame *held;
  uint64_t held_number;
} gpu_survivor;

/* g, mode, sync and release_on are given. False: the publisher is gone. */
bool gpu_survivor_join(gpu_survivor *s, uint32_t leases, uint32_t depth);
/* Takes up to that number: whole or LOST, in order, without gaps but in newest mode. False: the publisher is gone. */
bool gpu_survivor_take(gpu_survivor *s, uint64_t number);
/* The publisher died or ended: what is left comes, then PUBLISHER_GONE at once, and what is in hand is whole. */
void gpu_survivor_end(gpu_survivor *s);
void gpu_survivor_leave(gpu_survivor *s);

#endif
