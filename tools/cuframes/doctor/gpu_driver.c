/* gpu_driver.c - the CUDA driver, loaded to be looked at (gpu_state.h). */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gpu_state.h"

#define DRIVER "libcuda.so.1"

bool gpu_driver_load(gpu_driver *driver, char *why, size_t size) {
  *driver = (gpu_driver){ .library = dlopen(DRIVER, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
  if (!driver->library) {
    const char *said = dlerror();
    snprintf(why, size, "%s", said ? said : DRIVER);
    return false;
  }
  const struct {
    const char *symbol;
    void *member; /* a pointer to a function, or to nothing */
    bool optional;
  } functions[] = {
    { "cuDriverGetVersion", &driver->get_version, false },
    { "cuInit", &driver->init, false },
    { "cuGetErrorName", &driver->error_name, false },
    { "cuGetErrorString", &driver->error_text, false },
    { "cuDeviceGetCount", &driver->device_count, false },
    { "cuDeviceGetName", &driver->device_name, false },
    { "cuDeviceGetUuid_v2", &driver->device_uuid, true },
    { "cuDeviceGetAttribute", &driver->attribute, false },
    { "cuDeviceCanAccessPeer", &driver->can_access_peer, false },
    { "cuStreamWriteValue64_v2", &driver->write_value, true },
    { "cuStreamWaitValue64_v2", &driver->wait_value, true },
    { "cuStreamBatchMemOp_v2", &driver->batch, true },
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(driver->library, functions[i].symbol);
    if (!function && !functions[i].optional) {
      snprintf(why, size, DRIVER " is no CUDA driver: it has no %s", functions[i].symbol);
      return false;
    }
    memcpy(functions[i].member, &function, sizeof function); /* POSIX has both kinds of pointers alike */
  }
  return driver->get_version(&driver->version) == 0 || (snprintf(why, size, DRIVER " does not say its version"), false);
}

static void name_one(gpu_driver *driver, int gpu) {
  unsigned char uuid[16] = { 0 };
  char *text = driver->device[gpu];
  size_t used = (size_t)snprintf(text, GPU_NAME, "cuda:GPU");
  if (!driver->device_uuid || driver->device_uuid(uuid, gpu) != 0)
    return;
  for (int i = 0; i < 16; i++) {
    const bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    used += (size_t)snprintf(text + used, GPU_NAME - used, "%s%02x", dash ? "-" : "", uuid[i]);
  }
  if (driver->device_name(driver->name[gpu], GPU_NAME, gpu) != 0)
    driver->name[gpu][0] = '\0';
}

int gpu_driver_start(gpu_driver *driver) {
  int error = driver->init(0);
  if (error == 0)
    error = driver->device_count(&driver->count);
  if (error != 0)
    return error;
  if (driver->count > GPUS_MOST)
    driver->count = GPUS_MOST;
  for (int i = 0; i < driver->count; i++)
    name_one(driver, i);
  return 0;
}

void gpu_driver_error(const gpu_driver *driver, int error, char *text, size_t size) {
  const char *name = NULL, *words = NULL;
  if (driver->error_name(error, &name) != 0 || !name)
    snprintf(text, size, "error %d of the driver", error);
  else if (driver->error_text(error, &words) != 0 || !words)
    snprintf(text, size, "%s", name);
  else
    snprintf(text, size, "%s (%s)", name, words);
}

int gpu_driver_attribute(const gpu_driver *driver, int gpu, enum gpu_attribute which) {
  int value = 0;
  return driver->attribute(&value, which, gpu) == 0 ? value : -1;
}

int gpu_driver_find(const gpu_driver *driver, const char *device) {
  char *end;
  if (strncmp(device, "cuda:", 5) != 0)
    return driver->count > 0 ? 0 : -1;
  if (strncasecmp(device + 5, "GPU-", 4) == 0) {
    for (int i = 0; i < driver->count; i++)
      if (strcasecmp(driver->device[i], device) == 0)
        return i;
    return -1;
  }
  const unsigned long number = strtoul(device + 5, &end, 10);
  return *end == '\0' && end != device + 5 && number < (unsigned long)driver->count ? (int)number : -1;
}

bool gpu_driver_file(const gpu_driver *driver, char *path, size_t size) {
  struct link_map *map = NULL;
  char real[4096];
  if (dlinfo(driver->library, RTLD_DI_LINKMAP, &map) != 0 || !map || !realpath(map->l_name, real))
    return false;
  snprintf(path, size, "%s", real);
  return true;
}
