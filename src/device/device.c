/* device/device.c - finds the device that a name stands for. */
#include "device/device.h"

#include <string.h>

#include <cuframes/common.h>

#include "os/error.h"

static const cf_device_ops *const kinds[] = { &cf_host_device };

static const cf_device_ops *kind_of(const char *name) {
  size_t length = strcspn(name, ":");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen(kinds[i]->kind) == length && strncmp(kinds[i]->kind, name, length) == 0)
      return kinds[i];
  return NULL;
}

int cf_device_open(const char *name, cf_device **device) {
  if (!name || strcmp(name, "auto") == 0)
    return kinds[0]->open("auto", device);
  const cf_device_ops *ops = kind_of(name);
  if (!ops)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this build has no device \"%.63s\"; it has: host", name);
  return ops->open(name, device);
}

void cf_device_close(cf_device *device) {
  if (device)
    device->ops->close(device);
}
