/* device/device.c - finds the device that a name stands for. */
#include "device/device.h"

#include <stdio.h>
#include <string.h>

#include <cuframes/common.h>

#include "os/error.h"

static const cf_device_ops *const kinds[] = { &cf_host_device, &cf_cuda_device };

static const cf_device_ops *kind_of(const char *name) {
  size_t length = strcspn(name, ":");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen(kinds[i]->kind) == length && strncmp(kinds[i]->kind, name, length) == 0)
      return kinds[i];
  return NULL;
}

/* A GPU, or the host and the reason why there is no GPU. */
static int open_best(const cf_device_request *request, cf_device **device) {
  cf_device_request gpu = *request, host = { .name = "host" };
  char why[sizeof(*device)->reason];
  gpu.name = "cuda";
  if (cf_cuda_device.open(&gpu, device) == CUFRAMES_OK)
    return CUFRAMES_OK;
  snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, cf_last_detail());
  int result = cf_host_device.open(&host, device);
  if (result != CUFRAMES_OK)
    return result;
  memcpy((*device)->reason, why, sizeof why);
  return CUFRAMES_OK;
}

int cf_device_open(const cf_device_request *request, cf_device **device) {
  cf_device_request w = *request;
  if (!w.name)
    w.name = "host";
  if (strcmp(w.name, "auto") == 0)
    return open_best(&w, device);
  const cf_device_ops *ops = kind_of(w.name);
  if (!ops)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                   "no device \"%.63s\": expected host, cuda, cuda:NUMBER, cuda:GPU-UUID or auto", w.name);
  return ops->open(&w, device);
}

void cf_device_close(cf_device *device) {
  if (device)
    device->ops->close(device);
}
