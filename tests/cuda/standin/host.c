/* host.c - host memory that the stand-in's devices may use: registered or allocated. */
#include <stdio.h>
#include <sys/mman.h>

#include "internal.h"

/* Whether the CPU may read a range of this process, and write to it, as the kernel lists its mappings. */
static void look_up(uintptr_t start, uintptr_t end, bool *readable, bool *writable) {
  *readable = *writable = false;
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps)
    return;
  char line[512];
  bool all_writable = true;
  while (start < end && fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    char rights[8];
    if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || to <= start)
      continue;
    if (from > start || rights[0] != 'r')
      break;
    all_writable &= rights[1] == 'w';
    start = to;
  }
  fclose(maps);
  *readable = start >= end;
  *writable = *readable && all_writable;
}

static bool overlaps(uint64_t start, uint64_t bytes) {
  for (const si_space *space = si_spaces(); space; space = space->next)
    if ((space->kind == SI_REGISTERED || space->kind == SI_HOST) && start < space->start + space->bytes &&
        space->start < start + bytes)
      return true;
  return false;
}

cu_result cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags) {
  SI_ENTER(cuMemHostRegister, SI_CONTEXT);
  uint64_t start = (uint64_t)(uintptr_t)memory;
  unsigned known = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY;
  bool read_only = flags & CU_MEMHOSTREGISTER_READ_ONLY;
  if (!memory || bytes == 0 || bytes > UINTPTR_MAX - start || (flags & ~known))
    return CUDA_ERROR_INVALID_VALUE;
  if (read_only && si_configuration()->attribute[CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED] != 1)
    return CUDA_ERROR_NOT_SUPPORTED;
  bool readable, writable;
  look_up(start, start + bytes, &readable, &writable);
  if (!readable || (!writable && !read_only))
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  si_space *space = NULL;
  if (overlaps(start, bytes))
    result = CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  else if (!(space = si_space_of_host(SI_REGISTERED, context, memory, bytes)))
    result = CUDA_ERROR_OUT_OF_MEMORY;
  else
    space->read_only = read_only;
  pthread_mutex_unlock(&si_lock);
  return result;
}

static cu_result remove_space(void *memory, enum si_space_kind kind, cu_result none) {
  pthread_mutex_lock(&si_lock);
  si_space *space = si_space_find((uint64_t)(uintptr_t)memory);
  bool found = space && space->kind == kind && space->memory == (uint8_t *)memory;
  if (found)
    si_space_destroy(space);
  pthread_mutex_unlock(&si_lock);
  return found ? CUDA_SUCCESS : none;
}

cu_result cuMemHostUnregister(void *memory) {
  SI_ENTER_RELEASE(cuMemHostUnregister, SI_CONTEXT);
  cu_result result = remove_space(memory, SI_REGISTERED, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  return result != CUDA_SUCCESS ? result : say;
}

cu_result cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  SI_ENTER(cuMemHostAlloc, SI_CONTEXT);
  SI_MAY_WAIT();
  unsigned known = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
  if (!memory || bytes == 0 || bytes > SIZE_MAX - 4096 || (flags & ~known))
    return CUDA_ERROR_INVALID_VALUE;
  void *made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_of_host(SI_HOST, context, made, bytes);
  pthread_mutex_unlock(&si_lock);
  if (!space) {
    munmap(made, bytes);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *memory = made;
  return CUDA_SUCCESS;
}

cu_result cuMemFreeHost(void *memory) {
  SI_ENTER_RELEASE(cuMemFreeHost, SI_CONTEXT);
  cu_result result = remove_space(memory, SI_HOST, CUDA_ERROR_INVALID_VALUE);
  return result != CUDA_SUCCESS ? result : say;
}

cu_result cuMemHostGetDevicePointer_v2(cu_deviceptr *address, void *memory, unsigned flags) {
  SI_ENTER(cuMemHostGetDevicePointer, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_find((uint64_t)(uintptr_t)memory);
  bool host = space && (space->kind == SI_REGISTERED || space->kind == SI_HOST);
  pthread_mutex_unlock(&si_lock);
  if (!address || flags != 0 || !host)
    return CUDA_ERROR_INVALID_VALUE;
  *address = (cu_deviceptr)(uintptr_t)memory;
  return CUDA_SUCCESS;
}
