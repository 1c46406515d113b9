/* device.c - finds who does the work on the device that a name stands for. */
#include "vision/device.h"

#include <string.h>

#include "vision/error.h"

static const cf_vision_ops *const kinds[] = { &cf_vision_host, &cf_vision_cuda };

int cf_vision_device(const char *name, const cf_vision_ops **ops) {
  if (!name)
    name = cf_vision_host.kind;
  size_t length = strcspn(name, ":");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen(kinds[i]->kind) == length && strncmp(kinds[i]->kind, name, length) == 0) {
      *ops = kinds[i];
      return CUFRAMES_OK;
    }
  return cf_vision_fail(CUFRAMES_ERR_UNSUPPORTED,
                        "no device \"%.63s\": expected host, cuda, cuda:NUMBER or cuda:GPU-UUID", name);
}
