/* test_standin_processes.c - the CUDA stand-in between processes: shared memory of all kinds, and death. */
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"
#include "pair.h"
#include "support/rights.h"

static uint64_t word_at(cu_deviceptr address) {
  uint64_t word;
  CHECK_OK(cu.cuMemcpyDtoH(&word, address, sizeof word));
  return word;
}

/* ---- VMM memory ---- */

static void export_and_watch(int link) {
  gpu g;
  gpu_memory m;
  int fd;
  uint64_t number;
  gpu_begin(&g, 0);
  gpu_memory_make(&g, &m, SEGMENT, &fd);
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, m.bytes / 8, 42));
  CHECK_OK(cu.cuCtxSynchronize());
  give(link, "", 1, fd);
  number = hear(link); /* the other one's context is broken now, ours is not */
  CHECK(number == 1 && word_at(m.address) == 42);
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, m.bytes / 8, 43));
  CHECK_OK(cu.cuCtxSynchronize());
  gpu_memory_end(&m);
  gpu_end(&g);
}

static void import_and_write(int link) {
  gpu g;
  gpu_memory m;
  cu_mem_prop prop;
  char byte;
  int fd = get(link, &byte, 1);
  gpu_begin(&g, 1); /* the other's 0 */
  gpu_memory_import(&g, &m, fd, SEGMENT, CU_MEM_ACCESS_FLAGS_PROT_READ);
  close(fd);
  CHECK_OK(cu.cuMemGetAllocationPropertiesFromHandle(&prop, m.handle));
  CHECK(prop.location.id == 1);
  CHECK(word_at(m.address) == 42 && word_at(m.address + m.bytes - 8) == 42);
  CHECK_OK(LAUNCH(&g, NULL, "fill", m.address, 1, 1));
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  say(link, 1);
  gpu_memory_end(&m);
}

static void import_and_write_with_other_numbers(int link) {
  setenv("CUDA_VISIBLE_DEVICES", "1,GPU-57a2d120-c0da-4f00-8000-000000000000", 1);
  import_and_write(link);
}

static void vmm_is_read_only_for_who_imports_so(void **state) {
  (void)state;
  pair_run(export_and_watch, import_and_write_with_other_numbers);
}

static void import_what_is_none(int link) {
  gpu g;
  cu_mem_handle handle;
  char byte;
  int fd = get(link, &byte, 1), ends[2];
  setenv("CUDA_VISIBLE_DEVICES", "1", 1);
  gpu_begin(&g, 0);
#define IMPORT(fd)                                                                                                     \
  cu.cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)(fd), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
  CHECK_RESULT(IMPORT(fd), CUDA_ERROR_INVALID_DEVICE); /* of a GPU that is not seen here */
  close(fd);
  CHECK_RESULT(IMPORT(fd), CUDA_ERROR_INVALID_VALUE);
  fd = memfd_create("other", MFD_CLOEXEC);
  CHECK(fd >= 0 && ftruncate(fd, SEGMENT + 4096) == 0 && pipe2(ends, O_CLOEXEC) == 0);
  CHECK_RESULT(IMPORT(fd), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(IMPORT(ends[0]), CUDA_ERROR_INVALID_VALUE);
  close(fd);
  close(ends[0]);
  close(ends[1]);
  say(link, 1);
  gpu_end(&g);
}

static void only_the_right_descriptors_are_taken(void **state) {
  (void)state;
  pair_run(export_and_watch, import_what_is_none);
}

/* Its stream has written 42 and waits before it writes 43. */
static void export_and_hang(int link) {
  gpu g;
  gpu_memory m;
  cu_stream stream;
  cu_deviceptr fence;
  int fd;
  gpu_begin(&g, 0);
  gpu_memory_make(&g, &m, SEGMENT, &fd);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&fence, 8));
  CHECK_OK(LAUNCH(&g, stream, "fill", m.address, m.bytes / 8, 42));
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK_OK(LAUNCH(&g, stream, "until", fence, 1));
  CHECK_OK(LAUNCH(&g, stream, "fill", m.address, m.bytes / 8, 43));
  give(link, "", 1, fd);
}

static void import_and_outlive(int link) {
  gpu g;
  gpu_memory m;
  char byte;
  int fd = get(link, &byte, 1);
  gpu_begin(&g, 0);
  wait_for_death(link);
  gpu_memory_import(&g, &m, fd, SEGMENT, CU_MEM_ACCESS_FLAGS_PROT_READ); /* even now */
  close(fd);
  CHECK(word_at(m.address) == 42 && word_at(m.address + m.bytes - 8) == 42);
  gpu_memory_end(&m);
  gpu_end(&g);
}

static void memory_outlives_who_made_it(void **state) {
  (void)state;
  pair_run_and_kill(export_and_hang, import_and_outlive);
}

/* ---- legacy handles ---- */

static void export_legacy(int link) {
  gpu g;
  cu_deviceptr memory, opened;
  cu_ipc_mem_handle handle;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemAlloc(&memory, 1000));
  CHECK_OK(cu.cuMemsetD8(memory, 0, 1000));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuIpcGetMemHandle(&handle, memory + 8)); /* of all of it */
  CHECK_RESULT(cu.cuIpcOpenMemHandle(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_CONTEXT);
  give(link, &handle, sizeof handle, -1);
  CHECK(hear(link) == 1 && word_at(memory) == 7);
  CHECK_OK(cu.cuMemFree(memory));
  CHECK_OK(cu.cuMemAlloc(&memory, 1000)); /* has the descriptor's number again, but it is not that memory */
  say(link, 2);
  CHECK(hear(link) == 2);
  CHECK_OK(cu.cuMemFree(memory));
  gpu_end(&g);
}

static void open_legacy(int link) {
  gpu g;
  cu_deviceptr memory, again, base;
  cu_ipc_mem_handle handle, wrong;
  size_t bytes;
  (void)get(link, &handle, sizeof handle);
  gpu_begin(&g, 0);
  CHECK_RESULT(cu.cuIpcOpenMemHandle(&memory, handle, 0), CUDA_ERROR_INVALID_VALUE);
  wrong = handle;
  wrong.bytes[0] ^= 1;
  CHECK_RESULT(cu.cuIpcOpenMemHandle(&memory, wrong, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuIpcOpenMemHandle(&memory, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
  CHECK_OK(cu.cuIpcOpenMemHandle(&again, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
  CHECK(again == memory);
  CHECK_OK(cu.cuMemGetAddressRange(&base, &bytes, memory));
  CHECK(base == memory && bytes == 1000);
  CHECK_OK(cu.cuIpcCloseMemHandle(memory));
  CHECK_OK(LAUNCH(&g, NULL, "fill", memory, 125, 7));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_RESULT(cu.cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuIpcCloseMemHandle(memory));
  CHECK_RESULT(cu.cuIpcCloseMemHandle(memory), CUDA_ERROR_INVALID_VALUE);
  say(link, 1);
  CHECK(hear(link) == 2);
  CHECK_RESULT(cu.cuIpcOpenMemHandle(&memory, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_VALUE);
  say(link, 2);
  gpu_end(&g);
}

static void legacy_handles(void **state) {
  (void)state;
  pair_run(export_legacy, open_legacy);
}

static void export_legacy_and_stay(int link) {
  gpu g;
  cu_deviceptr memory;
  cu_ipc_mem_handle handle;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemAlloc(&memory, 1000));
  CHECK_OK(LAUNCH(&g, NULL, "fill", memory, 125, 5));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuIpcGetMemHandle(&handle, memory));
  give(link, &handle, sizeof handle, -1);
  CHECK(hear(link) == 1);
}

static void open_legacy_around_death(int link) {
  gpu g, other;
  cu_deviceptr memory, again;
  cu_ipc_mem_handle handle;
  (void)get(link, &handle, sizeof handle);
  gpu_begin(&other, 1); /* another context: the handle must be opened anew there */
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuIpcOpenMemHandle(&memory, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
  say(link, 1);
  wait_for_death(link);
  CHECK(word_at(memory) == 5);
  CHECK_OK(cu.cuCtxPushCurrent(other.context));
  CHECK_RESULT(cu.cuIpcOpenMemHandle(&again, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuIpcCloseMemHandle(memory));
}

static void legacy_memory_stays_but_cannot_be_opened_after_death(void **state) {
  (void)state;
  pair_run_and_kill(export_legacy_and_stay, open_legacy_around_death);
}

static void open_legacy_in_a_container(int link) {
  cu_ipc_mem_handle handle;
  (void)get(link, &handle, sizeof handle);
  bool root = geteuid() == 0;
  CHECK(unshare((root ? 0 : CLONE_NEWUSER) | CLONE_NEWPID | CLONE_NEWNS) == 0);
  CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    gpu g;
    cu_deviceptr memory;
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    gpu_begin(&g, 0);
    CHECK_RESULT(cu.cuIpcOpenMemHandle(&memory, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_VALUE);
    gpu_end(&g);
    _exit(0);
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  say(link, 1);
}

static void export_legacy_to_a_container(int link) {
  gpu g;
  cu_deviceptr memory;
  cu_ipc_mem_handle handle;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemAlloc(&memory, 1000));
  CHECK_OK(cu.cuIpcGetMemHandle(&handle, memory));
  give(link, &handle, sizeof handle, -1);
  CHECK(hear(link) == 1);
  CHECK_OK(cu.cuMemFree(memory));
  gpu_end(&g);
}

static void legacy_handles_end_at_the_pid_namespace(void **state) {
  (void)state;
  need_container(CLONE_NEWPID | CLONE_NEWNS);
  pair_run(export_legacy_to_a_container, open_legacy_in_a_container);
}

/* ---- pools ---- */

static void export_from_a_pool(int link) {
  gpu g;
  cu_pool pool;
  cu_deviceptr first, memory, third, plain;
  cu_pool_pointer pointer;
  cu_pool_props props = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                          .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                          .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
  int fd;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuMemPoolCreate(&pool, &props));
  CHECK_OK(cu.cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  CHECK_OK(cu.cuMemAllocFromPoolAsync(&first, 100000, pool, NULL));
  CHECK_OK(cu.cuMemAllocFromPoolAsync(&memory, 8000, pool, NULL));
  CHECK_OK(cu.cuMemAllocFromPoolAsync(&third, 8000, pool, NULL));
  CHECK_OK(cu.cuMemAllocAsync(&plain, 8000, NULL));
  CHECK_RESULT(cu.cuMemPoolExportPointer(&pointer, plain), CUDA_ERROR_INVALID_VALUE); /* the default pool cannot */
  CHECK_OK(cu.cuMemPoolExportPointer(&pointer, memory));
  CHECK_OK(LAUNCH(&g, NULL, "fill", first, 12500, 1));
  CHECK_OK(LAUNCH(&g, NULL, "fill", memory, 1000, 6));
  CHECK_OK(LAUNCH(&g, NULL, "fill", third, 1000, 9));
  CHECK_OK(cu.cuCtxSynchronize());
  give(link, &pointer, sizeof pointer, fd);
  CHECK(hear(link) == 1 && word_at(memory) == 8 && word_at(first + 99992) == 1 && word_at(third) == 9);
  CHECK_OK(cu.cuMemFreeAsync(first, NULL));
  CHECK_OK(cu.cuMemFree(third));
  CHECK_OK(cu.cuMemFreeAsync(plain, NULL));
  CHECK_OK(cu.cuMemFree(memory));
  CHECK_OK(cu.cuMemPoolDestroy(pool));
  gpu_end(&g);
}

static void import_from_a_pool(int link) {
  gpu g;
  cu_pool pool;
  cu_deviceptr memory;
  cu_pool_pointer pointer;
  int fd = get(link, &pointer, sizeof pointer);
  gpu_begin(&g, 0);
  CHECK_OK(
      cu.cuMemPoolImportFromShareableHandle(&pool, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  close(fd);
  CHECK_OK(cu.cuMemPoolImportPointer(&memory, pool, &pointer));
  CHECK(word_at(memory) == 6 && word_at(memory + 7992) == 6);
  CHECK_OK(LAUNCH(&g, NULL, "add", memory, 1000, 2));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuMemFree(memory));
  CHECK_OK(cu.cuMemPoolDestroy(pool));
  say(link, 1);
  gpu_end(&g);
}

static void pools(void **state) {
  (void)state;
  pair_run(export_from_a_pool, import_from_a_pool);
}

int main(void) {
  setenv("CUDA_STANDIN_DEVICES", "2", 1);
  setenv("CUDA_STANDIN_DELAY_US", "100", 0);
  const struct CMUnitTest tests[] = {
    FIXTURE(vmm_is_read_only_for_who_imports_so),
    FIXTURE(only_the_right_descriptors_are_taken),
    FIXTURE(memory_outlives_who_made_it),
    FIXTURE(legacy_handles),
    FIXTURE(legacy_memory_stays_but_cannot_be_opened_after_death),
    FIXTURE(legacy_handles_end_at_the_pid_namespace),
    FIXTURE(pools),
  };
  return FIXTURE_RUN("standin_processes", tests);
}
