/* ipc.c - the stand-in's legacy memory handles: they name a descriptor of the exporting process.
 *
 * So they work between processes that see each other's numbers, as long as the exporter lives; elsewhere the number is
 * nobody's or somebody else's, which the file's identity shows, and the handle is INVALID_VALUE.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define MAGIC 0x69706373746e6469u

typedef struct memory_handle {
  uint64_t magic;
  si_ipc_file file;
  uint64_t bytes;
} memory_handle;
static_assert(sizeof(memory_handle) <= sizeof(cu_ipc_mem_handle), "a handle holds it");

static bool supported(void) {
  return si_configuration()->attribute[CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED] != 0;
}

void si_ipc_name(int fd, si_ipc_file *file) {
  struct stat stat = { 0 };
  (void)fstat(fd, &stat); /* of our own descriptor */
  *file = (si_ipc_file){ .process = getpid(), .fd = fd, .dev = stat.st_dev, .ino = stat.st_ino };
}

cu_result si_ipc_open(const si_ipc_file *file, int *fd) {
  struct stat stat;
  bool same =
      file->process == getpid() && fstat(file->fd, &stat) == 0 && stat.st_dev == file->dev && stat.st_ino == file->ino;
  if (same)
    return CUDA_ERROR_INVALID_CONTEXT;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", file->process, file->fd);
  int opened = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (opened < 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (fstat(opened, &stat) != 0 || stat.st_dev != file->dev || stat.st_ino != file->ino) {
    close(opened);
    return CUDA_ERROR_INVALID_VALUE;
  }
  *fd = opened;
  return CUDA_SUCCESS;
}

/* Of the whole allocation, wherever in it the address is. */
cu_result cuIpcGetMemHandle(cu_ipc_mem_handle *exported, cu_deviceptr address) {
  SI_ENTER(cuIpcGetMemHandle, SI_CONTEXT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  memory_handle handle = { .magic = MAGIC };
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_find(address);
  if (exported && space && space->kind == SI_ALLOCATION) {
    si_ipc_name(space->maps->physical->fd, &handle.file);
    handle.bytes = space->bytes;
    memset(exported, 0, sizeof *exported);
    memcpy(exported, &handle, sizeof handle);
    result = CUDA_SUCCESS;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* What this context has opened already, or NULL. Locked. */
static si_space *opened_before(const si_context *context, const si_ipc_file *file) {
  for (si_space *space = si_spaces(); space; space = space->next)
    if (space->kind == SI_IPC && !space->going && space->context == context && space->dev == file->dev &&
        space->ino == file->ino)
      return space;
  return NULL;
}

/* Locked. Takes the descriptor over. */
static cu_result map_file(si_context *context, const memory_handle *handle, int fd, uint64_t *address) {
  si_physical *physical;
  cu_result result = si_physical_import(fd, SI_TRAILER_PLAIN, &physical);
  if (result != CUDA_SUCCESS)
    return result;
  si_space *space = NULL;
  if (physical->device != context->device && !si_configuration()->peer)
    result = CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  else if (handle->bytes == 0 || handle->bytes > physical->bytes)
    result = CUDA_ERROR_INVALID_VALUE;
  else if (!(space = si_space_create(SI_IPC, context, handle->bytes, SI_GRANULARITY)))
    result = CUDA_ERROR_OUT_OF_MEMORY;
  else
    result = si_map_add(space, 0, handle->bytes, physical, 0, NULL);
  if (result == CUDA_SUCCESS) {
    context->peers[physical->device] = true;
    space->opens = 1;
    space->dev = handle->file.dev;
    space->ino = handle->file.ino;
    *address = space->start;
  } else if (space) {
    si_space_destroy(space);
  }
  si_physical_release(physical);
  return result;
}

cu_result cuIpcOpenMemHandle_v2(cu_deviceptr *address, cu_ipc_mem_handle imported, unsigned flags) {
  SI_ENTER(cuIpcOpenMemHandle, SI_CONTEXT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  memory_handle handle;
  memcpy(&handle, &imported, sizeof handle);
  if (!address || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS || handle.magic != MAGIC)
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  si_space *space = opened_before(context, &handle.file);
  if (space) {
    space->opens++;
    *address = space->start;
  } else {
    int fd;
    result = si_ipc_open(&handle.file, &fd);
    if (result == CUDA_SUCCESS)
      result = map_file(context, &handle, fd, address);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuIpcCloseMemHandle(cu_deviceptr address) {
  SI_ENTER_RELEASE(cuIpcCloseMemHandle, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  si_space *space = si_space_find(address);
  if (!space || space->kind != SI_IPC || space->start != address || space->context != context)
    say = CUDA_ERROR_INVALID_VALUE;
  else if (--space->opens == 0)
    si_space_destroy(space);
  pthread_mutex_unlock(&si_lock);
  return say;
}
