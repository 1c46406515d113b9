/* pool.c - the stand-in's stream-ordered allocations, from the default pool and from pools that can be shared.
 *
 * A pool of one's own is one piece of memory of a fixed size (that given, or 32 MiB), so that one descriptor shares all
 * of it; allocations of the default pool stand each alone and cannot be shared.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define MAGIC 0x706f6f6c73746e64u
#define USUAL ((uint64_t)32 << 20)
#define ALIGN ((uint64_t)64 << 10)

typedef struct pool {
  struct pool *next;
  si_physical *physical; /* all of its memory */
  bool imported;
} pool;

typedef struct pointer_export {
  uint64_t magic, dev, ino;
  uint64_t from, bytes;
} pointer_export;

typedef struct free_op {
  si_op op;
  uint64_t address;
} free_op;

static pool *pools;
static char default_pools[SI_DEVICES]; /* their addresses are the handles */

static pool *find(cu_pool handle) {
  for (pool *p = pools; p; p = p->next)
    if ((cu_pool)(void *)p == handle)
      return p;
  return NULL;
}

long si_pools_count(void) {
  long count = 0;
  for (const pool *p = pools; p; p = p->next)
    count++;
  return count;
}

static bool supported(void) {
  return si_configuration()->attribute[CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED] == 1;
}

/* ---- pools ---- */

/* Takes the reference over, also when it fails. Locked. */
static cu_result add(si_physical *physical, bool imported, cu_pool *handle) {
  pool *made = malloc(sizeof *made);
  if (!made) {
    si_physical_release(physical);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *made = (pool){ .next = pools, .physical = physical, .imported = imported };
  pools = made;
  *handle = (cu_pool)(void *)made;
  return CUDA_SUCCESS;
}

cu_result cuMemPoolCreate(cu_pool *handle, const cu_pool_props *props) {
  SI_ENTER(cuMemPoolCreate, SI_INIT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  if (!handle || !props || props->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
      props->location.type != CU_MEM_LOCATION_TYPE_DEVICE || props->windows_only ||
      (props->handle_types & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
    return CUDA_ERROR_INVALID_VALUE;
  if (props->location.id < 0 || props->location.id >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  uint64_t most;
  memcpy(&most, props->reserved, sizeof most); /* newer drivers' max_size */
  most = most ? (most + SI_GRANULARITY - 1) / SI_GRANULARITY * SI_GRANULARITY : USUAL;
  si_physical *physical;
  pthread_mutex_lock(&si_lock);
  cu_result result = si_physical_create(props->location.id, most, SI_TRAILER_POOL, &physical);
  if (result == CUDA_SUCCESS) {
    physical->prop.handle_types = props->handle_types;
    result = add(physical, false, handle);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* What was allocated from it stays. */
cu_result cuMemPoolDestroy(cu_pool handle) {
  SI_ENTER_RELEASE(cuMemPoolDestroy, SI_INIT);
  pthread_mutex_lock(&si_lock);
  pool *p = find(handle);
  for (pool **at = &pools; p && *at; at = &(*at)->next)
    if (*at == p) {
      *at = p->next;
      break;
    }
  if (p)
    si_physical_release(p->physical);
  free(p);
  pthread_mutex_unlock(&si_lock);
  return p ? say : CUDA_ERROR_INVALID_VALUE;
}

/* Copies reach every device's memory here, and kernels by peer access: there is nothing more to set. */
cu_result cuMemPoolSetAccess(cu_pool handle, const cu_mem_access *access, size_t count) {
  SI_ENTER(cuMemPoolSetAccess, SI_INIT);
  cu_result result = access && count > 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const pool *p = find(handle);
  if (!p)
    result = CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
    bool own = access[i].location.id == p->physical->device;
    if (access[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        (own && access[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE))
      result = CUDA_ERROR_INVALID_VALUE;
    else if (access[i].location.id < 0 || access[i].location.id >= si_configuration()->devices)
      result = CUDA_ERROR_INVALID_DEVICE;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemPoolExportToShareableHandle(void *exported, cu_pool handle, cu_handle_type type,
                                           unsigned long long flags) {
  SI_ENTER(cuMemPoolExportToShareableHandle, SI_INIT);
  if (!exported || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const pool *p = find(handle);
  if (p && !p->imported && (p->physical->prop.handle_types & type)) {
    int fd = dup(p->physical->fd);
    result = fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
    if (fd >= 0)
      *(int *)exported = fd;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemPoolImportFromShareableHandle(cu_pool *handle, void *exported, cu_handle_type type,
                                             unsigned long long flags) {
  SI_ENTER(cuMemPoolImportFromShareableHandle, SI_INIT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  if (!handle || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
    return CUDA_ERROR_INVALID_VALUE;
  int fd = fcntl((int)(intptr_t)exported, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return CUDA_ERROR_INVALID_VALUE;
  si_physical *physical;
  pthread_mutex_lock(&si_lock);
  cu_result result = si_physical_import(fd, SI_TRAILER_POOL, &physical);
  if (result == CUDA_SUCCESS)
    result = add(physical, true, handle);
  pthread_mutex_unlock(&si_lock);
  return result;
}

static void identify(const si_physical *physical, uint64_t *dev, uint64_t *ino) {
  struct stat stat = { 0 };
  (void)fstat(physical->fd, &stat); /* our own descriptor */
  *dev = stat.st_dev;
  *ino = stat.st_ino;
}

cu_result cuMemPoolExportPointer(cu_pool_pointer *exported, cu_deviceptr address) {
  SI_ENTER(cuMemPoolExportPointer, SI_INIT);
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_find(address);
  const pool *p = space && space->kind == SI_POOLED ? find((cu_pool)space->pool) : NULL;
  if (exported && p && !p->imported && space->start == address && p->physical->prop.handle_types) {
    pointer_export what = { .magic = MAGIC, .from = space->maps->from, .bytes = space->bytes };
    identify(p->physical, &what.dev, &what.ino);
    memset(exported, 0, sizeof *exported);
    memcpy(exported, &what, sizeof what);
    result = CUDA_SUCCESS;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* ---- allocations ---- */

/* Maps a piece of a pool. Locked. */
static cu_result map_piece(si_context *context, si_physical *physical, void *handle, uint64_t from, uint64_t bytes,
                           uint64_t *address) {
  si_space *space = si_space_create(SI_POOLED, context, bytes, SI_GRANULARITY);
  if (!space)
    return CUDA_ERROR_OUT_OF_MEMORY;
  space->pool = handle;
  cu_result result = si_map_add(space, 0, bytes, physical, from, NULL);
  if (result == CUDA_SUCCESS)
    *address = space->start;
  else
    si_space_destroy(space);
  return result;
}

cu_result cuMemPoolImportPointer(cu_deviceptr *address, cu_pool handle, cu_pool_pointer *exported) {
  SI_ENTER(cuMemPoolImportPointer, SI_CONTEXT);
  pointer_export what;
  uint64_t dev, ino;
  if (!address || !exported)
    return CUDA_ERROR_INVALID_VALUE;
  memcpy(&what, exported, sizeof what);
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  pool *p = find(handle);
  if (p && p->imported && what.magic == MAGIC && what.from % ALIGN == 0 && what.bytes > 0 &&
      what.from < p->physical->bytes && what.bytes <= p->physical->bytes - what.from) {
    identify(p->physical, &dev, &ino);
    if (dev == what.dev && ino == what.ino)
      result = map_piece(context, p->physical, p, what.from, what.bytes, address);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* The first gap that is large enough. Locked. */
static cu_result find_gap(const pool *p, uint64_t bytes, uint64_t *from) {
  *from = 0;
  for (const si_space *space = si_spaces(); space;) {
    const si_map *map = space->kind == SI_POOLED && space->pool == p ? space->maps : NULL;
    if (map && *from < map->from + map->bytes && map->from < *from + bytes) {
      *from = (map->from + map->bytes + ALIGN - 1) / ALIGN * ALIGN;
      space = si_spaces();
    } else {
      space = space->next;
    }
  }
  return bytes <= p->physical->bytes && *from <= p->physical->bytes - bytes ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

cu_result cuMemAllocFromPoolAsync(cu_deviceptr *address, size_t bytes, cu_pool handle, cu_stream stream) {
  SI_ENTER(cuMemAllocFromPoolAsync, SI_CONTEXT);
  if (!address || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t from;
  si_stream *ordered;
  pthread_mutex_lock(&si_lock);
  pool *p = find(handle);
  cu_result result = !p || p->imported ? CUDA_ERROR_INVALID_VALUE : si_stream_find(context, stream, &ordered);
  if (result == CUDA_SUCCESS)
    result = find_gap(p, bytes, &from);
  if (result == CUDA_SUCCESS)
    result = map_piece(context, p->physical, p, from, bytes, address);
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemAllocAsync(cu_deviceptr *address, size_t bytes, cu_stream stream) {
  SI_ENTER(cuMemAllocAsync, SI_CONTEXT);
  if (!supported())
    return CUDA_ERROR_NOT_SUPPORTED;
  if (!address || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  si_stream *ordered;
  si_physical *physical = NULL;
  pthread_mutex_lock(&si_lock);
  cu_result result = si_stream_find(context, stream, &ordered);
  if (result == CUDA_SUCCESS)
    result = si_physical_create(context->device, bytes, SI_TRAILER_PLAIN, &physical);
  if (result == CUDA_SUCCESS)
    result = map_piece(context, physical, &default_pools[context->device], 0, bytes, address);
  si_physical_release(physical);
  pthread_mutex_unlock(&si_lock);
  return result;
}

static cu_result run_free(si_stream *stream, si_op *op) {
  (void)stream;
  pthread_mutex_lock(&si_lock);
  si_space *space = si_space_find(((free_op *)op)->address);
  if (space)
    si_space_destroy(space);
  pthread_mutex_unlock(&si_lock);
  return CUDA_SUCCESS;
}

cu_result cuMemFreeAsync(cu_deviceptr address, cu_stream stream) {
  SI_ENTER_RELEASE(cuMemFreeAsync, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  si_space *space = si_space_find(address);
  bool right = space && space->kind == SI_POOLED && space->start == address && !space->freed;
  if (right)
    space->freed = true;
  pthread_mutex_unlock(&si_lock);
  if (!right)
    return CUDA_ERROR_INVALID_VALUE;
  free_op op = { .op = { .run = run_free }, .address = address };
  cu_result result = si_enqueue(context, stream, &op.op, sizeof op, false);
  return result != CUDA_SUCCESS ? result : say;
}
