/* device/cuda/which.h - which GPU a name stands for, and what name a GPU has. */
#ifndef CF_DEVICE_CUDA_WHICH_H
#define CF_DEVICE_CUDA_WHICH_H

#include "device/cuda/driver.h"

#define CF_CUDA_KIND "cuda"
#define CF_CUDA_UUID_TEXT 41 /* "GPU-" and 8-4-4-4-12 hexadecimal digits, terminated */

/* The GPU's UUID as text, the same in every process.
 * Errors: DEVICE. */
int cf_cuda_uuid(const cf_cuda_driver *driver, cu_device gpu, char text[CF_CUDA_UUID_TEXT]);

/* name: "cuda" (the current context's GPU, or the first), "cuda:N" or "cuda:GPU-UUID".
 * Errors: UNSUPPORTED (no such name, or no such GPU here; the detail says which), DEVICE. */
int cf_cuda_find(const cf_cuda_driver *driver, const char *name, cu_device *gpu);

#endif
