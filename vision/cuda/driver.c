/* driver.c - the CUDA driver, as src/device/cuda loads it, with this library's way of saying what went wrong. */
#include "vision/cuda/driver.h"

#include "os/error.h"
#include "vision/error.h"

#undef cf_fail /* the header may have a macro of this name */
#define cf_fail cf_vision_fail

#include "device/cuda/driver.c" // NOLINT(bugprone-suspicious-include): on purpose, see driver.h
#include "device/cuda/which.c"  // NOLINT(bugprone-suspicious-include)
