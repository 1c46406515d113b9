/* test_standin_memory.c - the CUDA stand-in: allocations, address ranges, rights, registered host memory, copies. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"

static void a_device_address_is_not_the_cpus(void **state) {
  (void)state;
  gpu g;
  cu_deviceptr address;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemAlloc(&address, 64));
  pid_t pid = fork(); /* not to die ourselves */
  CHECK(pid >= 0);
  if (pid == 0) {
    signal(SIGSEGV, SIG_DFL); /* the sanitizer's handler would tell at length */
    _exit(*(volatile unsigned char *)(uintptr_t)address);
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  CHECK_OK(cu.cuMemFree(address));
  gpu_end(&g);
}

static void allocations(void **state) {
  (void)state;
  gpu g;
  cu_deviceptr address, base;
  size_t bytes, before, after, pitch;
  unsigned char data[1000], back[1000];
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemGetInfo(&before, &bytes));
  CHECK_OK(cu.cuMemAlloc(&address, sizeof data));
  CHECK(address % 512 == 0);
  CHECK_OK(cu.cuMemGetInfo(&after, &bytes));
  CHECK(after < before);
  CHECK_OK(cu.cuMemGetAddressRange(&base, &bytes, address + 999));
  CHECK(base == address && bytes == sizeof data);
  CHECK_RESULT(cu.cuMemGetAddressRange(&base, &bytes, address + 1000), CUDA_ERROR_NOT_FOUND);
  CHECK_OK(cu.cuMemcpyDtoH(back, address, sizeof back));
  CHECK(back[0] == 0xa5 && back[999] == 0xa5); /* whatever was there before, surely not zeros */
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (unsigned char)i;
  CHECK_OK(cu.cuMemcpyHtoD(address, data, sizeof data));
  CHECK_OK(cu.cuMemcpyDtoH(back, address + 1, 999));
  CHECK(memcmp(back, data + 1, 999) == 0);
  CHECK_RESULT(cu.cuMemcpyDtoH(back, address + 1, 1000), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuMemFree(address + 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuMemFree(address));
  CHECK_RESULT(cu.cuMemFree(address), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuMemcpyDtoH(back, address, 8), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuMemGetInfo(&after, &bytes));
  CHECK(after == before);
  CHECK_RESULT(cu.cuMemAlloc(&address, before + 1), CUDA_ERROR_OUT_OF_MEMORY);
  CHECK_OK(cu.cuMemAllocPitch(&address, &pitch, 1920, 1080, 16));
  CHECK(pitch == 2048);
  CHECK_OK(cu.cuMemFree(address));
  gpu_end(&g);
}

static void address_ranges(void **state) {
  (void)state;
  gpu g;
  gpu_memory m;
  cu_deviceptr base;
  cu_mem_handle again;
  cu_mem_prop prop = gpu_prop(0);
  size_t bytes;
  uint64_t word;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemGetAllocationGranularity(&bytes, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  CHECK(bytes == SEGMENT);
  CHECK_RESULT(cu.cuMemCreate(&again, SEGMENT - 1, &prop, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuMemCreate(&again, 4096 * MIB, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
  gpu_memory_make(&g, &m, 2 * SEGMENT, NULL);
  CHECK_RESULT(cu.cuMemMap(m.address, SEGMENT, 0, m.handle, 0), CUDA_ERROR_INVALID_VALUE); /* mapped already */
  CHECK_RESULT(cu.cuMemUnmap(m.address, SEGMENT), CUDA_ERROR_INVALID_VALUE);               /* not all of it */
  CHECK_RESULT(cu.cuMemAddressFree(m.address, m.bytes), CUDA_ERROR_INVALID_VALUE);         /* still mapped */
  CHECK_OK(cu.cuMemGetAddressRange(&base, &bytes, m.address + SEGMENT));
  CHECK(base == m.address && bytes == m.bytes);
  CHECK_OK(cu.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(m.address + 7)));
  CHECK(again == m.handle && standin_live(STANDIN_HANDLES) == 2);
  CHECK_OK(cu.cuMemRelease(again));
  CHECK_OK(cu.cuMemGetAllocationPropertiesFromHandle(&prop, m.handle));
  CHECK(prop.location.id == 0 && prop.handle_types == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);

  /* The memory outlives its handle, and comes back to one. */
  CHECK_OK(cu.cuMemRelease(m.handle));
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, m.bytes / 8, 42));
  CHECK_OK(cu.cuMemcpyDtoH(&word, m.address + m.bytes - 8, 8));
  CHECK(word == 42);
  CHECK_OK(cu.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)m.address));
  CHECK(again == m.handle);
  gpu_memory_end(&m);
  CHECK_RESULT(cu.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)m.address), CUDA_ERROR_INVALID_VALUE);
  gpu_end(&g);
}

/* Each of these ends its context, so each has its own. */
static void illegal(const char *what) {
  gpu g;
  gpu_memory m;
  cu_mem_access none = { .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } }, reading = none;
  reading.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
  gpu_begin(&g, 0);
  gpu_memory_make(&g, &m, SEGMENT, NULL);
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, 8, 42));
  CHECK_OK(cu.cuCtxSynchronize());
  if (strcmp(what, "kernel writes") == 0) {
    CHECK_OK(cu.cuMemSetAccess(m.address, m.bytes, &reading, 1));
    CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, 8, 43));
  } else if (strcmp(what, "copy writes") == 0) {
    CHECK_OK(cu.cuMemSetAccess(m.address, m.bytes, &reading, 1));
    CHECK_OK(cu.cuMemsetD8Async(m.address, 1, 8, NULL));
  } else if (strcmp(what, "no access") == 0) {
    CHECK_OK(cu.cuMemSetAccess(m.address, m.bytes, &none, 1));
    CHECK_OK(LAUNCH(&g, NULL, "check", m.address, 8, 42, m.address));
  } else if (strcmp(what, "behind the end") == 0) {
    CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, m.bytes / 8 + 1, 43));
  } else {
    CHECK_OK(LAUNCH(&g, NULL, "fill", (uint64_t)(uintptr_t)&g, 1, 43)); /* the CPU's memory */
  }
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  gpu_memory_end(&m); /* these need no context, and still work */
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(1);
}

static void illegal_addresses(void **state) {
  (void)state;
  static const char *const ways[] = { "kernel writes", "copy writes", "no access", "behind the end", "the CPU's" };
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    illegal(ways[i]);
}

static void reading_is_allowed_where_writing_is_not(void **state) {
  (void)state;
  gpu g;
  gpu_memory m;
  cu_deviceptr result;
  uint64_t different;
  cu_mem_access reading = { .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 }, .flags = CU_MEM_ACCESS_FLAGS_PROT_READ };
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemAlloc(&result, 8));
  CHECK_OK(cu.cuMemsetD8(result, 0, 8));
  gpu_memory_make(&g, &m, SEGMENT, NULL);
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, 100, 42));
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address + 80, 3, 41));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuMemSetAccess(m.address, m.bytes, &reading, 1));
  CHECK_OK(LAUNCH(&g, NULL, "check", m.address, 100, 42, result));
  CHECK_OK(cu.cuMemcpyDtoH(&different, result, 8));
  CHECK(different == 3);
  gpu_memory_end(&m);
  CHECK_OK(cu.cuMemFree(result));
  gpu_end(&g);
}

static void another_gpus_memory(void **state) {
  (void)state;
  gpu one, two;
  gpu_memory m;
  cu_deviceptr plain;
  cu_mem_access both[2] = {
    { .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 }, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE },
    { .location = { CU_MEM_LOCATION_TYPE_DEVICE, 1 }, .flags = CU_MEM_ACCESS_FLAGS_PROT_READ }
  };
  gpu_begin(&one, 0);
  gpu_memory_make(&one, &m, SEGMENT, NULL);
  CHECK_OK(cu.cuMemAlloc(&plain, 64));
  CHECK_OK(cu.cuMemsetD8(plain, 0, 64));
  CHECK_OK(cu.cuMemSetAccess(m.address, m.bytes, both, 2));
  CHECK_OK(LAUNCH(&one, NULL, "fill", m.address, 8, 1));
  CHECK_OK(cu.cuCtxSynchronize());
  gpu_begin(&two, 1);
  CHECK_OK(cu.cuCtxEnablePeerAccess(one.context, 0));
  CHECK_RESULT(cu.cuCtxEnablePeerAccess(one.context, 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
  CHECK_OK(LAUNCH(&two, NULL, "check", m.address, 8, 1, plain));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(LAUNCH(&two, NULL, "fill", m.address, 8, 2));
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(1));
  CHECK_OK(cu.cuMemFree(plain));
  gpu_memory_end(&m);
  CHECK_OK(cu.cuModuleUnload(one.module));
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(1); /* the other context's module */
}

static void pointer_attributes(void **state) {
  (void)state;
  gpu g;
  gpu_memory m;
  cu_deviceptr plain, pooled;
  gpu_begin(&g, 0);
  gpu_memory_make(&g, &m, SEGMENT, NULL);
  CHECK_OK(cu.cuMemAlloc(&plain, 64));
  CHECK_OK(cu.cuMemAllocAsync(&pooled, 64, NULL));
  const struct {
    cu_deviceptr address;
    uint64_t legacy, types, start;
  } wanted[] = { { m.address + 9, 0, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, m.address },
                 { plain + 9, 1, 0, plain },
                 { pooled + 9, 0, 0, pooled } };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    uint64_t legacy = 0, types = 0, start = 0, type = 0, ordinal = 9;
    cu_pointer_attribute which[] = { CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE,
                                     CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                     CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL };
    void *values[] = { &legacy, &types, &start, &type, &ordinal };
    CHECK_OK(cu.cuPointerGetAttributes(5, which, values, wanted[i].address));
    CHECK(legacy == wanted[i].legacy && types == wanted[i].types && start == wanted[i].start);
    CHECK(type == CU_MEMORYTYPE_DEVICE && ordinal == 0);
  }
  uint64_t value = 1;
  cu_pointer_attribute legacy = CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE;
  void *values[] = { &value };
  CHECK_OK(cu.cuPointerGetAttributes(1, &legacy, values, 0x1234)); /* nobody's: not an error in this form */
  CHECK(value == 0);
  CHECK_RESULT(cu.cuPointerGetAttribute(&value, legacy, 0x1234), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuPointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, pooled));
  CHECK(value != 0);
  CHECK_RESULT(cu.cuPointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, plain), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuMemFreeAsync(pooled, NULL));
  CHECK_RESULT(cu.cuMemFreeAsync(plain, NULL), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuMemFree(plain));
  gpu_memory_end(&m);
  gpu_end(&g);
}

static void registered_host_memory(void **state) {
  (void)state;
  gpu g;
  cu_deviceptr address;
  uint64_t words[2] = { 0, 0 };
  gpu_begin(&g, 0);
  uint64_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  CHECK_OK(cu.cuMemHostRegister(page, 4096, CU_MEMHOSTREGISTER_DEVICEMAP));
  CHECK_RESULT(cu.cuMemHostRegister(page + 1, 16, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CHECK_OK(cu.cuMemHostGetDevicePointer(&address, page, 0));
  CHECK_OK(LAUNCH(&g, NULL, "fill", address, 512, 7));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK(page[0] == 7 && page[511] == 7 && page[512] == 0);
  CHECK_OK(cu.cuMemHostUnregister(page));
  CHECK_RESULT(cu.cuMemHostUnregister(page), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  CHECK_RESULT(cu.cuMemHostGetDevicePointer(&address, page, 0), CUDA_ERROR_INVALID_VALUE);

  /* What the CPU may only read must be said to be so, and is only read. */
  CHECK(mprotect((char *)page + 4096, 4096, PROT_READ) == 0);
  CHECK_RESULT(cu.cuMemHostRegister(page, 8192, CU_MEMHOSTREGISTER_DEVICEMAP), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuMemHostRegister(page, 8192, CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY));
  CHECK_OK(cu.cuMemHostGetDevicePointer(&address, page, 0));
  CHECK_OK(cu.cuStreamWaitValue64(NULL, address, 7, 0));
  CHECK_OK(cu.cuMemcpyDtoH(words, address, 8));
  CHECK(words[0] == 7);
  CHECK_OK(cu.cuStreamWriteValue64(NULL, address, 8, 0));
  CHECK_RESULT(cu.cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK(page[0] == 7);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(2); /* registration, module */
  CHECK(munmap(page, 8192) == 0);
}

static void refused_registrations(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0);
  CHECK_RESULT(cu.cuMemHostRegister(pages, 8192, 0), CUDA_ERROR_INVALID_VALUE); /* half of it is not there */
  CHECK_RESULT(cu.cuMemHostRegister(NULL, 8192, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuMemHostRegister(pages, 0, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK(munmap(pages, 4096) == 0);
  gpu_end(&g);
}

/* A picture's rows between pitches, from host memory to the device and back, at an offset. */
static void two_dimensional_copies(void **state) {
  (void)state;
  enum { WIDTH = 300, ROWS = 40, PITCH = 512 };
  gpu g;
  cu_deviceptr a, b;
  static unsigned char from[ROWS][WIDTH + 20], was[ROWS][WIDTH + 20], to[ROWS][WIDTH];
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemAlloc(&a, PITCH * ROWS));
  CHECK_OK(cu.cuMemAlloc(&b, PITCH * ROWS));
  for (int y = 0; y < ROWS; y++)
    for (int x = 0; x < WIDTH + 20; x++)
      from[y][x] = was[y][x] = (unsigned char)(x * 7 + y);
  CHECK_OK(LAUNCH(&g, NULL, "spin", 10000));
  cu_copy_2d up = { .from_type = CU_MEMORYTYPE_HOST,
                    .from_host = from,
                    .from_pitch = sizeof from[0],
                    .from_x = 20,
                    .to_type = CU_MEMORYTYPE_DEVICE,
                    .to_device = a,
                    .to_pitch = PITCH,
                    .width = WIDTH,
                    .height = ROWS };
  CHECK_OK(cu.cuMemcpy2DAsync(&up, NULL));
  memset(from, 0, sizeof from); /* the caller's again: this memory is not known to the driver */
  cu_copy_2d across = { .from_type = CU_MEMORYTYPE_DEVICE,
                        .from_device = a,
                        .from_pitch = PITCH,
                        .from_y = 1,
                        .to_type = CU_MEMORYTYPE_DEVICE,
                        .to_device = b,
                        .to_pitch = PITCH,
                        .width = WIDTH,
                        .height = ROWS - 1 };
  CHECK_OK(cu.cuMemcpy2DAsync(&across, NULL));
  cu_copy_2d down = { .from_type = CU_MEMORYTYPE_DEVICE,
                      .from_device = b,
                      .from_pitch = PITCH,
                      .to_type = CU_MEMORYTYPE_HOST,
                      .to_host = to,
                      .to_pitch = WIDTH,
                      .width = WIDTH,
                      .height = ROWS - 1 };
  CHECK_OK(cu.cuMemcpy2DAsync(&down, NULL)); /* comes back when it is done, for the same reason */
  for (int y = 0; y < ROWS - 1; y++)
    CHECK(memcmp(to[y], was[y + 1] + 20, WIDTH) == 0);
  across.width = PITCH + 1;
  CHECK_RESULT(cu.cuMemcpy2DAsync(&across, NULL), CUDA_ERROR_INVALID_VALUE);
  across.width = WIDTH;
  across.height = ROWS + 1;
  CHECK_RESULT(cu.cuMemcpy2DAsync(&across, NULL), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuMemFree(a));
  CHECK_OK(cu.cuMemFree(b));
  gpu_end(&g);
}

int main(void) {
  setenv("CUDA_STANDIN_DEVICES", "2", 1);
  const struct CMUnitTest tests[] = {
    FIXTURE(a_device_address_is_not_the_cpus),
    FIXTURE(allocations),
    FIXTURE(address_ranges),
    FIXTURE(illegal_addresses),
    FIXTURE(reading_is_allowed_where_writing_is_not),
    FIXTURE(another_gpus_memory),
    FIXTURE(pointer_attributes),
    FIXTURE(registered_host_memory),
    FIXTURE(refused_registrations),
    FIXTURE(two_dimensional_copies),
  };
  return FIXTURE_RUN("standin_memory", tests);
}
