/* driver.h - the CUDA driver, as src/device/cuda loads it. This library cannot reach into libcuframes, so it is
 * compiled here once more, under names of its own: a program may link both statically. */
#ifndef CF_VISION_CUDA_DRIVER_H
#define CF_VISION_CUDA_DRIVER_H

#define cf_cuda_driver_load cf_vision_driver_load
#define cf_cuda_driver_unload cf_vision_driver_unload
#define cf_cuda_check cf_vision_driver_check
#define cf_cuda_is_sticky cf_vision_driver_is_sticky
#define cf_cuda_uuid cf_vision_driver_uuid
#define cf_cuda_find cf_vision_driver_find

#include "device/cuda/driver.h" // IWYU pragma: export
#include "device/cuda/which.h"  // IWYU pragma: export

#endif
