/* gpu.h - a device for tests: driver, primary context, module; what must be gone at the end.
 *
 * The same on a real GPU and over the stand-in. Only with the stand-in is it known what was left behind, and only that
 * takes any image for a module: elsewhere $GPU_KERNELS names the PTX made of tests/gpu/kernels.cu.
 */
#ifndef GPU_H
#define GPU_H

#include "device/cuda/driver.h"
#include "standin/standin.h"
#include "support/fixture.h"

typedef struct gpu_context {
  cu_device device;
  cu_context context; /* current on the thread that began it */
  cu_module module;
} gpu;

/* The driver; gpu_begin() loads it. */
extern cf_cuda_driver cu;

/* Only that; what cf_cuda_driver_load() gives. */
int gpu_load(void);

/* Loads the driver, makes the context of a device and makes it current. In a test and in a child of it. */
void gpu_begin(gpu *g, int device);
/* Undoes that and looks, with the stand-in, whether anything is left. */
void gpu_end(gpu *g);
/* Whether the driver that was loaded is the stand-in. */
bool gpu_is_standin(void);
/* Looks only: nothing is alive, and no context had to clean up more than `swept` things since the last look. With the
 * stand-in; else it does nothing. */
void gpu_nothing_left(long swept);

/* How many of them this process has now; 0 where it is not known. */
long gpu_live(standin_kind kind);

cu_function gpu_kernel(const gpu *g, const char *name);
/* Launches a kernel of 64-bit parameters. */
cu_result gpu_launch(const gpu *g, cu_stream stream, const char *name, const uint64_t *parameters);
#define LAUNCH(g, stream, name, ...) gpu_launch(g, stream, name, (const uint64_t[]){ __VA_ARGS__ })

#define MIB ((uint64_t)1 << 20)
#define SEGMENT (2 * MIB)

/* VMM memory, mapped. */
typedef struct gpu_memory {
  cu_mem_handle handle;
  cu_deviceptr address;
  uint64_t bytes;
} gpu_memory;

/* What an exportable allocation on that device is asked for with. */
cu_mem_prop gpu_prop(int device);
/* Makes memory that can be exported; exports it, if fd is not NULL. */
void gpu_memory_make(const gpu *g, gpu_memory *m, uint64_t bytes, int *fd);
/* Imports and maps with these rights. The descriptor stays the caller's. */
void gpu_memory_import(const gpu *g, gpu_memory *m, int fd, uint64_t bytes, unsigned rights);
void gpu_memory_end(gpu_memory *m);

#endif
