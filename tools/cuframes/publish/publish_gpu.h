/* publish_gpu.h - the GPUs of a run: each is opened once, and with it FFmpeg's decoder device, for all its streams. */
#ifndef CUFRAMES_CLI_PUBLISH_GPU_H
#define CUFRAMES_CLI_PUBLISH_GPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "gpu.h"

struct AVBufferRef;

#define PUBLISH_GPUS_MAX 16 /* different values of --device */

typedef struct publish_gpu {
  char *device; /* as --device says */
  gpu_context *gpu;
  struct AVBufferRef *decoder; /* an AVHWDeviceContext; NULL before it is asked for, or if it cannot be */
  bool decoder_tried;
  char decoder_why[256];
} publish_gpu;

typedef struct publish_gpus {
  pthread_mutex_t lock;
  publish_gpu list[PUBLISH_GPUS_MAX];
  size_t count;
} publish_gpus;

bool publish_gpus_init(publish_gpus *gpus);
void publish_gpus_free(publish_gpus *gpus);

/* The GPU of a --device, opened by whoever asks first; it stays until publish_gpus_free(). NULL, with
 * the cause in why: there is none, or it is not to be used ("host"). */
publish_gpu *publish_gpus_take(publish_gpus *gpus, const char *device, char *why, size_t size);

/* FFmpeg's device for decoding there; the caller owns the reference. NULL, with the cause in why: software must. */
struct AVBufferRef *publish_gpu_decoder(publish_gpus *gpus, publish_gpu *gpu, char *why, size_t size);

#endif
