/* vision.h - what the tests of libcuframes-vision on a GPU share: pictures and tensors there, and the same on the
 * host. */
#ifndef TESTS_GPU_VISION_H
#define TESTS_GPU_VISION_H

#include <cuframes/vision.h>

#include "cuda/gpu.h"
#include "vision/reference.h"

/* A test runs as a process of its own, since CUDA does not survive a fork; with a context and a stream. What it notes
 * is for the table. */
typedef void vision_test(const gpu *g, cu_stream stream);
void vision_play(vision_test *run);
void vision_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A picture on the host and the same in the GPU's memory: its planes are allocations of just what they need. */
typedef struct both_picture {
  test_picture *host;
  cuframes_picture gpu;
  cu_deviceptr memory[CUFRAMES_PLANES];
} both_picture;

both_picture both_new(cuframes_format format, enum test_content content, uint32_t seed);
void both_free(both_picture *picture);
/* Fetches the GPU's planes and gives how far samples are apart from the host's at most, in codes; what lies between the
 * rows counts as samples. */
uint32_t both_distance(const both_picture *picture);

/* A preprocess on the host and one on the GPU with the same options, and a tensor of each that holds its capacity. */
typedef struct twins {
  cuframes_preprocess_options options;
  cuframes_preprocess *host, *gpu;
  cu_deviceptr memory;
  void *wanted, *got; /* on the host; got is what the GPU's was when it was last fetched */
  size_t bytes;       /* of one picture */
} twins;

void twins_begin(twins *t, cuframes_preprocess_options options);
void twins_end(twins *t);
/* Runs both, the GPU's on that stream, and fetches what it made. */
void twins_run(twins *t, const both_picture *pictures, uint32_t count, cu_stream stream);
void twins_fetch(twins *t, uint32_t count, cu_stream stream);
/* How far apart the two are at most, in steps of uint8 or in values of 0..255. */
double twins_distance(const twins *t, uint32_t count);

#endif
