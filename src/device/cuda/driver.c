/* device/cuda/driver.c - finds the CUDA driver and fills the table of its functions. */
#include "device/cuda/driver.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cuframes/common.h>

#include "os/error.h"

#define LIBRARY "libcuda.so.1"

enum need { OPTIONAL, REQUIRED };

typedef struct entry {
  const char *name, *symbol;
  size_t offset; /* of the member in cf_cuda_driver */
  int version;
  enum need need;
} entry;

static const entry entries[] = {
#define F(need, name, symbol, version, parameters) { #name, #symbol, offsetof(cf_cuda_driver, name), version, need },
  CF_CUDA_FUNCTIONS(F)
#undef F
};

/* C knows no conversion between data and function pointers; POSIX has them alike. */
static void put(cf_cuda_driver *driver, const entry *e, void *function) {
  memcpy((char *)driver + e->offset, &function, sizeof function);
}

/* The symbols without suffix and those of the default version are the legacy default stream's. */
static void *find(const cf_cuda_driver *driver, const entry *e) {
  void *function = NULL;
  if (!driver->cuGetProcAddress)
    return dlsym(driver->library, e->symbol);
  cu_symbol_status status;
  if (driver->cuGetProcAddress(e->name, &function, e->version, CU_GET_PROC_ADDRESS_LEGACY_STREAM, &status) !=
      CUDA_SUCCESS)
    return NULL;
  return function;
}

/* What must be known before the table can be filled: how old the driver is, and whether it has cuGetProcAddress(). */
static int look_at_version(cf_cuda_driver *driver) {
  for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
    if (strcmp(entries[i].name, "cuDriverGetVersion") == 0 || strcmp(entries[i].name, "cuGetProcAddress") == 0)
      put(driver, &entries[i], dlsym(driver->library, entries[i].symbol));
  if (!driver->cuDriverGetVersion)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, LIBRARY " is no CUDA driver: it has no cuDriverGetVersion");
  cu_result result = driver->cuDriverGetVersion(&driver->version);
  if (result != CUDA_SUCCESS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver does not say its version: error %d", result);
  if (driver->version < CF_CUDA_OLDEST_VERSION)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver is too old: it speaks CUDA %d.%d, needed is %d.%d",
                   driver->version / 1000, driver->version % 1000 / 10, CF_CUDA_OLDEST_VERSION / 1000,
                   CF_CUDA_OLDEST_VERSION % 1000 / 10);
  return CUFRAMES_OK;
}

static int fill(cf_cuda_driver *driver) {
  char missing[256] = "";
  size_t length = 0;
  for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
    void *function = find(driver, &entries[i]);
    put(driver, &entries[i], function);
    if (!function && entries[i].need == REQUIRED && length < sizeof missing)
      length += (size_t)snprintf(missing + length, sizeof missing - length, " %s", entries[i].symbol);
  }
  if (length > 0)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver (CUDA %d.%d) lacks:%s%s", driver->version / 1000,
                   driver->version % 1000 / 10, missing, length < sizeof missing ? "" : "...");
  return CUFRAMES_OK;
}

static int start(const cf_cuda_driver *driver) {
  cu_result result = driver->cuInit(0);
  if (result == CUDA_ERROR_NO_DEVICE)
    return cf_fail(CUFRAMES_ERR_DEVICE, "the CUDA driver finds no device (is CUDA_VISIBLE_DEVICES set?)");
  return cf_cuda_check(driver, result, "the CUDA driver does not start");
}

static int driver_start(cf_cuda_driver *driver) {
  int result = look_at_version(driver);
  if (result != CUFRAMES_OK)
    return result;
  result = fill(driver);
  if (result != CUFRAMES_OK)
    return result;
  return start(driver);
}

int cf_cuda_driver_load(cf_cuda_driver *driver) {
  cf_cuda_driver loaded = { .library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
  if (!loaded.library) {
    const char *why = dlerror();
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "no CUDA driver: %s", why ? why : LIBRARY " cannot be loaded");
  }
  int result = driver_start(&loaded);
  if (result != CUFRAMES_OK) {
    cf_cuda_driver_unload(&loaded);
    return result;
  }
  *driver = loaded;
  return CUFRAMES_OK;
}

void cf_cuda_driver_unload(cf_cuda_driver *driver) {
  if (driver->library)
    (void)dlclose(driver->library); /* RTLD_NODELETE: nothing can go wrong */
  *driver = (cf_cuda_driver){ 0 };
}

int cf_cuda_check(const cf_cuda_driver *driver, cu_result result, const char *format, ...) {
  if (result == CUDA_SUCCESS)
    return CUFRAMES_OK;
  char sentence[320];
  va_list args;
  va_start(args, format);
  vsnprintf(sentence, sizeof sentence, format, args);
  va_end(args);
  int code = result == CUDA_ERROR_OUT_OF_MEMORY   ? CUFRAMES_ERR_NO_MEMORY
             : result == CUDA_ERROR_NOT_SUPPORTED ? CUFRAMES_ERR_UNSUPPORTED
                                                  : CUFRAMES_ERR_DEVICE;
  const char *name = NULL, *text = NULL;
  if (driver->cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
    return cf_fail(code, "%s: error %d of the CUDA driver", sentence, result);
  if (driver->cuGetErrorString(result, &text) != CUDA_SUCCESS || !text)
    text = "no text";
  return cf_fail(code, "%s: %s (%s)", sentence, name, text);
}

bool cf_cuda_is_sticky(cu_result result) {
  switch (result) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED: return true;
    default: return false;
  }
}
