/* gpu.c - a device for the tests of the CUDA stand-in. */
#include "gpu.h"

#include <unistd.h>

cf_cuda_driver cu;
static long swept_before;

void gpu_is(const char *file, int line, const char *call, cu_result result, cu_result wanted) {
  if (result == wanted)
    return;
  const char *got = NULL, *expected = NULL;
  (void)cu.cuGetErrorName(result, &got);
  (void)cu.cuGetErrorName(wanted, &expected);
  print_error("%s gave %s, not %s\n", call, got ? got : "an unknown error", expected ? expected : "an unknown error");
  need_failed(file, line, call);
}

void gpu_begin(gpu *g, int device) {
  *g = (gpu){ .device = device };
  if (!cu.library)
    OK(cf_cuda_driver_load(&cu));
  swept_before = standin_live(STANDIN_SWEPT);
  CU(cu.cuDevicePrimaryCtxRetain(&g->context, device));
  CU(cu.cuCtxPushCurrent(g->context));
  CU(cu.cuModuleLoadData(&g->module, "any image"));
}

void gpu_nothing_left(long swept) {
  for (int kind = 0; kind < STANDIN_SWEPT; kind++) {
    long live = standin_live((standin_kind)kind);
    if (live != 0)
      print_error("left behind: %ld %s\n", live, standin_kind_name((standin_kind)kind));
    NEED(live == 0);
  }
  long now = standin_live(STANDIN_SWEPT) - swept_before;
  if (now != swept)
    print_error("the context had %ld things to free, not %ld\n", now, swept);
  NEED(now == swept);
  swept_before += now;
}

void gpu_end(gpu *g) {
  cu_context popped;
  CU(cu.cuModuleUnload(g->module));
  CU(cu.cuCtxPopCurrent(&popped));
  NEED(popped == g->context);
  CU(cu.cuDevicePrimaryCtxRelease(g->device));
  gpu_nothing_left(0);
}

cu_function gpu_kernel(const gpu *g, const char *name) {
  cu_function function;
  CU(cu.cuModuleGetFunction(&function, g->module, name));
  return function;
}

cu_result gpu_launch(const gpu *g, cu_stream stream, const char *name, const uint64_t *parameters) {
  void *pointers[8];
  for (int i = 0; i < 8; i++)
    pointers[i] = (void *)(uintptr_t)&parameters[i]; /* those behind the last are not looked at */
  return cu.cuLaunchKernel(gpu_kernel(g, name), 4, 1, 1, 128, 1, 1, 0, stream, pointers, NULL);
}

cu_mem_prop gpu_prop(int device) {
  return (cu_mem_prop){ .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                        .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                        .location = { CU_MEM_LOCATION_TYPE_DEVICE, device } };
}

static void map(const gpu *g, gpu_memory *m, unsigned rights) {
  cu_mem_access access = { .location = { CU_MEM_LOCATION_TYPE_DEVICE, g->device }, .flags = rights };
  CU(cu.cuMemAddressReserve(&m->address, m->bytes, 0, 0, 0));
  CU(cu.cuMemMap(m->address, m->bytes, 0, m->handle, 0));
  CU(cu.cuMemSetAccess(m->address, m->bytes, &access, 1));
}

void gpu_memory_make(const gpu *g, gpu_memory *m, uint64_t bytes, int *fd) {
  cu_mem_prop prop = gpu_prop(g->device);
  *m = (gpu_memory){ .bytes = bytes };
  CU(cu.cuMemCreate(&m->handle, bytes, &prop, 0));
  if (fd)
    CU(cu.cuMemExportToShareableHandle(fd, m->handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  map(g, m, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
}

void gpu_memory_import(const gpu *g, gpu_memory *m, int fd, uint64_t bytes, unsigned rights) {
  *m = (gpu_memory){ .bytes = bytes };
  CU(cu.cuMemImportFromShareableHandle(&m->handle, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  map(g, m, rights);
}

void gpu_memory_end(gpu_memory *m) {
  CU(cu.cuMemUnmap(m->address, m->bytes));
  CU(cu.cuMemAddressFree(m->address, m->bytes));
  CU(cu.cuMemRelease(m->handle));
}
