/* vision.h - the kernels of libcuframes-vision on the CPU: kernel.c has them by name. */
#ifndef STANDIN_VISION_H
#define STANDIN_VISION_H

#include "internal.h"
#include "vision/cuda/launch.h"

#define SI_PARAMETER_BYTES CF_PARAMETER_BYTES

cu_result si_vision_preprocess(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]);
cu_result si_vision_compose(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]);
cu_result si_vision_fill(si_stream *stream, const uint64_t *parameters, const unsigned grid[3]);

#endif
