/* gpu.h - the GPU of a publisher: which one a --device names, its primary context, and the test picture drawn on it.
 *
 * The library keeps its CUDA to itself, and so does FFmpeg; what the program needs beside them is here, from the driver
 * itself, which is loaded when it is needed.
 * Threads  Any; each call makes the context current for itself. */
#ifndef CUFRAMES_CLI_GPU_H
#define CUFRAMES_CLI_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/frame.h>

typedef struct gpu_context gpu_context;

/* Opens the GPU that the library takes for this device ("auto", "cuda", "cuda:N", "cuda:GPU-UUID") and keeps its
 * primary context, which the library and FFmpeg then use, too. To come before both: FFmpeg takes the context only with
 * the flags that are set here. NULL, with the cause in why, if there is no such GPU. */
gpu_context *gpu_open(const char *device, char *why, size_t size);
void gpu_close(gpu_context *gpu);

/* As the driver counts the GPUs of this process. */
int gpu_ordinal(const gpu_context *gpu);
/* "cuda:GPU-UUID", what cuframes_publisher_device() says of this GPU. */
const char *gpu_name(const gpu_context *gpu);

/* For what else of the driver somebody needs: one of its functions, NULL if it lacks it; and its context current on the
 * calling thread, from enter to leave. */
void *gpu_symbol(const gpu_context *gpu, const char *symbol);
bool gpu_enter(gpu_context *gpu, char *why, size_t size);
void gpu_leave(gpu_context *gpu);

/* Draws pattern.h's picture `number` into a publisher's open frame, on the default stream. False, with the cause in
 * why, if this GPU cannot; nothing was drawn then. */
bool gpu_draw(gpu_context *gpu, const cuframes_frame *frame, uint64_t number, char *why, size_t size);

#endif
