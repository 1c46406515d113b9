/* device/cuda/which.c - which GPU a name stands for, and what name a GPU has. */
#include "device/cuda/which.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cuframes/common.h>

#include "os/error.h"

int cf_cuda_uuid(const cf_cuda_driver *driver, cu_device gpu, char text[CF_CUDA_UUID_TEXT]) {
  cu_uuid uuid;
  int result = cf_cuda_check(driver, driver->cuDeviceGetUuid(&uuid, gpu),
                             "cuDeviceGetUuid: reading the UUID of CUDA device %d", gpu);
  if (result != CUFRAMES_OK)
    return result;
  char *at = text + sprintf(text, "GPU");
  for (int i = 0; i < 16; i++) {
    bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    at += sprintf(at, "%s%02x", dash ? "-" : "", uuid.bytes[i]);
  }
  return CUFRAMES_OK;
}

static int gpu_by_uuid(const cf_cuda_driver *driver, const char *wanted, int count, cu_device *gpu) {
  char text[CF_CUDA_UUID_TEXT];
  for (int i = 0; i < count; i++) {
    int result = cf_cuda_uuid(driver, i, text);
    if (result != CUFRAMES_OK)
      return result;
    if (strcasecmp(text, wanted) == 0) {
      *gpu = i;
      return CUFRAMES_OK;
    }
  }
  return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                 "this process sees %d GPU%s and none of them is %.45s (CUDA_VISIBLE_DEVICES "
                 "chooses what it sees)",
                 count, count == 1 ? "" : "s", wanted);
}

static cu_device gpu_current(const cf_cuda_driver *driver) {
  cu_context current = NULL;
  cu_device gpu = 0;
  if (driver->cuCtxGetCurrent(&current) != CUDA_SUCCESS || !current || driver->cuCtxGetDevice(&gpu) != CUDA_SUCCESS)
    return 0;
  return gpu;
}

int cf_cuda_find(const cf_cuda_driver *driver, const char *name, cu_device *gpu) {
  int count;
  int result = cf_cuda_check(driver, driver->cuDeviceGetCount(&count), "cuDeviceGetCount: counting CUDA devices");
  if (result != CUFRAMES_OK)
    return result;
  if (count == 0)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver finds no device (is CUDA_VISIBLE_DEVICES set?)");
  if (strncmp(name, CF_CUDA_KIND, strlen(CF_CUDA_KIND)) != 0 || (name[4] != '\0' && name[4] != ':'))
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "\"%.63s\" is not a GPU: expected cuda, cuda:NUMBER or cuda:GPU-UUID",
                   name);
  if (name[4] == '\0') {
    *gpu = gpu_current(driver);
    return CUFRAMES_OK;
  }
  const char *part = name + 5;
  if (strncasecmp(part, "GPU-", 4) == 0)
    return gpu_by_uuid(driver, part, count, gpu);
  size_t digits = strspn(part, "0123456789");
  if (digits == 0 || digits > 3 || part[digits] != '\0')
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "\"%.63s\" is not a GPU: expected cuda, cuda:NUMBER or cuda:GPU-UUID",
                   name);
  *gpu = (cu_device)strtoul(part, NULL, 10);
  if (*gpu >= count)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "there is no CUDA device %d: this process sees %d, numbered from 0", *gpu,
                   count);
  return CUFRAMES_OK;
}
