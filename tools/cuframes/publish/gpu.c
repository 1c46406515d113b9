/* gpu.c - see gpu.h. */
#include "gpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pattern/pattern_sample.h"

#define DRIVER "libcuda.so.1"
#define KIND "cuda"
#define BLOCKING_SYNC 4u /* a context flag: who waits for the GPU sleeps. FFmpeg insists on just this one. */
#define BLOCK_WIDTH 64u
#define BLOCK_HEIGHT 4u

/* The text of kernel/pattern.ptx, zero-terminated; the build makes this array of it. */
extern const char gpu_pattern_ptx[];

/* The functions needed, under names of our own; their results are 0 or the driver's error. */
typedef struct driver {
  void *library;
  int (*init)(unsigned flags);
  int (*error_name)(int error, const char **name);
  int (*device_count)(int *count);
  int (*device_uuid)(unsigned char uuid[16], int device);
  int (*context_state)(int device, unsigned *flags, int *active); /* may be missing */
  int (*context_flags)(int device, unsigned flags);               /* likewise */
  int (*context_retain)(void **context, int device);
  int (*context_release)(int device);
  int (*context_push)(void *context);
  int (*context_pop)(void **context);
  int (*module_load)(void **module, const void *image);
  int (*module_function)(void **function, void *module, const char *name);
  int (*launch)(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                unsigned block_z, unsigned shared_bytes, void *stream, void **parameters, void **extra);
} driver;

typedef struct gpu_context {
  driver driver;
  int ordinal;
  char name[64];
  void *context;
  pthread_mutex_t lock; /* of what follows */
  bool loaded;          /* or tried to */
  void *kernel;         /* NULL: it could not be loaded, and why */
  char kernel_why[160];
} gpu_context;

static bool say(char *why, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Gives false. */
static bool say(char *why, size_t size, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(why, size, format, list);
  va_end(list);
  return false;
}

static bool good(const driver *d, int error, const char *what, char *why, size_t size) {
  const char *name = NULL;
  if (error == 0)
    return true;
  if (d->error_name(error, &name) != 0 || name == NULL)
    name = "unknown error";
  return say(why, size, "%s: %s (%d)", what, name, error);
}

static bool load_driver(driver *d, char *why, size_t size) {
  /* Neither a program nor a test may unload a driver: its threads run on. */
  d->library = dlopen(DRIVER, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (d->library == NULL) {
    const char *said = dlerror();
    return say(why, size, "no CUDA driver: %s", said ? said : DRIVER);
  }
  const struct {
    const char *symbol;
    void *member; /* a function pointer */
    bool optional;
  } functions[] = {
    { "cuInit", &d->init, false },
    { "cuGetErrorName", &d->error_name, false },
    { "cuDeviceGetCount", &d->device_count, false },
    { "cuDeviceGetUuid_v2", &d->device_uuid, false },
    { "cuDevicePrimaryCtxGetState", &d->context_state, true },
    { "cuDevicePrimaryCtxSetFlags_v2", &d->context_flags, true },
    { "cuDevicePrimaryCtxRetain", &d->context_retain, false },
    { "cuDevicePrimaryCtxRelease_v2", &d->context_release, false },
    { "cuCtxPushCurrent_v2", &d->context_push, false },
    { "cuCtxPopCurrent_v2", &d->context_pop, false },
    { "cuModuleLoadData", &d->module_load, false },
    { "cuModuleGetFunction", &d->module_function, false },
    { "cuLaunchKernel", &d->launch, false },
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(d->library, functions[i].symbol);
    if (function == NULL && !functions[i].optional)
      return say(why, size, "the CUDA driver lacks %s", functions[i].symbol);
    /* C knows no conversion between data and function pointers; POSIX has them alike. */
    memcpy(functions[i].member, &function, sizeof function);
  }
  return good(d, d->init(0), "the CUDA driver does not start", why, size);
}

/* The name of a GPU as the library writes it. */
static bool name_of(const driver *d, int ordinal, char name[64], char *why, size_t size) {
  unsigned char uuid[16];
  if (!good(d, d->device_uuid(uuid, ordinal), "reading the UUID of a GPU", why, size))
    return false;
  size_t used = (size_t)snprintf(name, 64, KIND ":GPU");
  for (int i = 0; i < 16; i++) {
    bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    used += (size_t)snprintf(name + used, 64 - used, "%s%02x", dash ? "-" : "", uuid[i]);
  }
  return true;
}

/* "cuda" and "auto" are the first GPU: no thread of this program has a context of another one current. */
static bool find(gpu_context *gpu, const char *device, char *why, size_t size) {
  const driver *d = &gpu->driver;
  int count = 0;
  if (!good(d, d->device_count(&count), "counting GPUs", why, size))
    return false;
  const char *part = strncmp(device, KIND ":", strlen(KIND ":")) == 0 ? device + strlen(KIND ":") : NULL;
  bool by_name = part != NULL && strncasecmp(part, "GPU-", 4) == 0;
  char *end = NULL;
  unsigned long number = part != NULL && !by_name ? strtoul(part, &end, 10) : 0;
  if (end != NULL && (*end != '\0' || end == part))
    return say(why, size, "\"%.63s\" is no GPU", device);
  for (int i = 0; i < count; i++) {
    if (!name_of(d, i, gpu->name, why, size))
      return false;
    if (by_name ? strcasecmp(gpu->name, device) == 0 : (unsigned long)i == number) {
      gpu->ordinal = i;
      return true;
    }
  }
  return say(why, size, "there is no GPU %s among the %d of this process", part ? part : "", count);
}

static bool take_context(gpu_context *gpu, char *why, size_t size) {
  const driver *d = &gpu->driver;
  unsigned flags = 0;
  int active = 0;
  if (d->context_state && d->context_flags && d->context_state(gpu->ordinal, &flags, &active) == 0 &&
      flags != BLOCKING_SYNC)
    (void)d->context_flags(gpu->ordinal, BLOCKING_SYNC); /* without, it is FFmpeg that will say what it lacks */
  return good(d, d->context_retain(&gpu->context, gpu->ordinal), "creating a context on the GPU", why, size);
}

gpu_context *gpu_open(const char *device, char *why, size_t size) {
  gpu_context *gpu = calloc(1, sizeof *gpu);
  if (gpu == NULL) {
    (void)say(why, size, "out of memory");
    return NULL;
  }
  pthread_mutex_init(&gpu->lock, NULL); /* cannot fail without attributes */
  if (!load_driver(&gpu->driver, why, size) || !find(gpu, device, why, size) || !take_context(gpu, why, size)) {
    gpu_close(gpu);
    return NULL;
  }
  return gpu;
}

void gpu_close(gpu_context *gpu) {
  if (gpu == NULL)
    return;
  if (gpu->context != NULL)
    (void)gpu->driver.context_release(gpu->ordinal); /* and with the last user the module */
  if (gpu->driver.library != NULL)
    (void)dlclose(gpu->driver.library); /* RTLD_NODELETE: nothing can go wrong */
  pthread_mutex_destroy(&gpu->lock);
  free(gpu);
}

int gpu_ordinal(const gpu_context *gpu) {
  return gpu->ordinal;
}

const char *gpu_name(const gpu_context *gpu) {
  return gpu->name;
}

void *gpu_symbol(const gpu_context *gpu, const char *symbol) {
  return dlsym(gpu->driver.library, symbol);
}

bool gpu_enter(gpu_context *gpu, char *why, size_t size) {
  return good(&gpu->driver, gpu->driver.context_push(gpu->context), "making the context current", why, size);
}

void gpu_leave(gpu_context *gpu) {
  void *popped;
  (void)gpu->driver.context_pop(&popped); /* it was pushed */
}

/* With the context current. */
static void *pattern_kernel(gpu_context *gpu, char *why, size_t size) {
  const driver *d = &gpu->driver;
  pthread_mutex_lock(&gpu->lock);
  if (!gpu->loaded) {
    void *module, *function;
    gpu->loaded = true;
    if (good(d, d->module_load(&module, gpu_pattern_ptx), "loading the kernel", gpu->kernel_why,
             sizeof gpu->kernel_why) &&
        good(d, d->module_function(&function, module, PATTERN_KERNEL), "finding the kernel", gpu->kernel_why,
             sizeof gpu->kernel_why))
      gpu->kernel = function;
  }
  void *kernel = gpu->kernel;
  (void)say(why, size, "%s", gpu->kernel_why);
  pthread_mutex_unlock(&gpu->lock);
  return kernel;
}

static bool launch(gpu_context *gpu, void *kernel, const cuframes_frame *frame, uint64_t number, char *why,
                   size_t size) {
  const cuframes_format *f = cuframes_frame_format(frame);
  uint64_t values[PATTERN_KERNEL_PARAMETERS] = { (uintptr_t)cuframes_frame_plane(frame, 0),
                                                 (uintptr_t)cuframes_frame_plane(frame, 1),
                                                 (uintptr_t)cuframes_frame_plane(frame, 2),
                                                 cuframes_frame_pitch(frame, 0),
                                                 cuframes_frame_pitch(frame, 1),
                                                 f->width | (uint64_t)f->height << 32,
                                                 f->pixel_format,
                                                 number };
  void *parameters[PATTERN_KERNEL_PARAMETERS];
  for (int i = 0; i < PATTERN_KERNEL_PARAMETERS; i++)
    parameters[i] = &values[i];
  if (cuframes_frame_pitch(frame, 2) != 0 && cuframes_frame_pitch(frame, 2) != cuframes_frame_pitch(frame, 1))
    return say(why, size, "the chroma planes have two pitches");
  int error = gpu->driver.launch(kernel, (f->width + BLOCK_WIDTH - 1) / BLOCK_WIDTH,
                                 (f->height + BLOCK_HEIGHT - 1) / BLOCK_HEIGHT, pattern_plane_count(f->pixel_format),
                                 BLOCK_WIDTH, BLOCK_HEIGHT, 1, 0, NULL, parameters, NULL);
  return good(&gpu->driver, error, "starting the kernel", why, size);
}

bool gpu_draw(gpu_context *gpu, const cuframes_frame *frame, uint64_t number, char *why, size_t size) {
  if (!gpu_enter(gpu, why, size))
    return false;
  void *kernel = pattern_kernel(gpu, why, size);
  bool drawn = kernel != NULL && launch(gpu, kernel, frame, number, why, size);
  gpu_leave(gpu);
  return drawn;
}
