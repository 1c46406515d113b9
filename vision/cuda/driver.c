/* driver.c - the CUDA driver, as src/device/cuda loads it, with this library's way of saying what went wrong. */
#include "vision/cuda/driver.h"

#define cf_fail cf_vision_fail

#include "device/cuda/driver.c" // NOLINT(bugprone-suspicious-include): on purpose, see driver.h
#include "device/cuda/which.c"  // NOLINT(bugprone-suspicious-include)
