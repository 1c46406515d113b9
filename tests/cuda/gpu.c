/* gpu.c - a device for tests. */
#include "gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

cf_cuda_driver cu;
static long swept_before;

/* Of the stand-in, NULL elsewhere. They are not linked with, so that a program may run with either driver. */
static long (*live)(standin_kind kind);
static const char *(*kind_name)(standin_kind kind);

/* C knows no conversion between data and function pointers; POSIX has them alike. */
static void find(void *function, const char *name) {
  void *found = dlsym(cu.library, name);
  memcpy(function, &found, sizeof found);
}

static const char *error_name(int error) {
  const char *name = NULL;
  (void)cu.cuGetErrorName((cu_result)error, &name);
  return name;
}

int gpu_load(void) {
  int result = cf_cuda_driver_load(&cu);
  if (result == CUFRAMES_OK) {
    check_driver_error = error_name;
    find((void *)&live, "standin_live");
    find((void *)&kind_name, "standin_kind_name");
  }
  return result;
}

bool gpu_is_standin(void) {
  return live != NULL;
}

long gpu_live(standin_kind kind) {
  return live ? live(kind) : 0;
}

static char *image(void) {
  static char ptx[1 << 20] = "any image";
  const char *path = getenv("GPU_KERNELS");
  if (gpu_is_standin())
    return ptx;
  FILE *file = path && path[0] ? fopen(path, "re") : NULL;
  size_t length = file ? fread(ptx, 1, sizeof ptx - 1, file) : 0;
  if (!file || length == 0)
    print_error("GPU_KERNELS=%s: no kernels there\n", path ? path : "");
  CHECK(length > 0);
  ptx[length] = '\0';
  fclose(file);
  return ptx;
}

void gpu_begin(gpu *g, int device) {
  *g = (gpu){ .device = device };
  if (!cu.library)
    CHECK_OK(gpu_load());
  swept_before = live ? live(STANDIN_SWEPT) : 0;
  CHECK_OK(cu.cuDevicePrimaryCtxRetain(&g->context, device));
  CHECK_OK(cu.cuCtxPushCurrent(g->context));
  CHECK_OK(cu.cuModuleLoadData(&g->module, image()));
}

void gpu_nothing_left(long swept) {
  if (!live)
    return;
  for (int kind = 0; kind < STANDIN_SWEPT; kind++) {
    long count = live((standin_kind)kind);
    if (count != 0)
      print_error("left behind: %ld %s\n", count, kind_name((standin_kind)kind));
    CHECK(count == 0);
  }
  long now = live(STANDIN_SWEPT) - swept_before;
  if (now != swept)
    print_error("the context had %ld things to free, not %ld\n", now, swept);
  CHECK(now == swept);
  swept_before += now;
}

void gpu_end(gpu *g) {
  cu_context popped;
  CHECK_OK(cu.cuModuleUnload(g->module));
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  CHECK(popped == g->context);
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(g->device));
  gpu_nothing_left(0);
}

cu_function gpu_kernel(const gpu *g, const char *name) {
  cu_function function;
  CHECK_OK(cu.cuModuleGetFunction(&function, g->module, name));
  return function;
}

cu_result gpu_launch(const gpu *g, cu_stream stream, const char *name, const uint64_t *parameters) {
  void *pointers[8];
  for (int i = 0; i < 8; i++)
    pointers[i] = (void *)(uintptr_t)&parameters[i]; /* those behind the last are not looked at */
  return cu.cuLaunchKernel(gpu_kernel(g, name), 64, 1, 1, 256, 1, 1, 0, stream, pointers, NULL);
}

cu_mem_prop gpu_prop(int device) {
  return (cu_mem_prop){ .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                        .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                        .location = { CU_MEM_LOCATION_TYPE_DEVICE, device } };
}

static void map(const gpu *g, gpu_memory *m, unsigned rights) {
  cu_mem_access access = { .location = { CU_MEM_LOCATION_TYPE_DEVICE, g->device }, .flags = rights };
  CHECK_OK(cu.cuMemAddressReserve(&m->address, m->bytes, 0, 0, 0));
  CHECK_OK(cu.cuMemMap(m->address, m->bytes, 0, m->handle, 0));
  CHECK_OK(cu.cuMemSetAccess(m->address, m->bytes, &access, 1));
}

void gpu_memory_make(const gpu *g, gpu_memory *m, uint64_t bytes, int *fd) {
  cu_mem_prop prop = gpu_prop(g->device);
  *m = (gpu_memory){ .bytes = bytes };
  CHECK_OK(cu.cuMemCreate(&m->handle, bytes, &prop, 0));
  if (fd)
    CHECK_OK(cu.cuMemExportToShareableHandle(fd, m->handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  map(g, m, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
}

void gpu_memory_import(const gpu *g, gpu_memory *m, int fd, uint64_t bytes, unsigned rights) {
  *m = (gpu_memory){ .bytes = bytes };
  CHECK_OK(
      cu.cuMemImportFromShareableHandle(&m->handle, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  map(g, m, rights);
}

void gpu_memory_end(gpu_memory *m) {
  CHECK_OK(cu.cuMemUnmap(m->address, m->bytes));
  CHECK_OK(cu.cuMemAddressFree(m->address, m->bytes));
  CHECK_OK(cu.cuMemRelease(m->handle));
}
