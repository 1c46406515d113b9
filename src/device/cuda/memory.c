/* device/cuda/memory.c - segments of GPU memory: made, adopted from the application, imported.
 *
 *   vmm      cuMemCreate() memory, shared by a file descriptor; importers map it read-only. It lives until the last
 *            holder lets go, and any process that is sent the descriptor can import it.
 *   legacy   cuMemAlloc() memory, shared by a cuIpcMemHandle of the whole allocation: same PID namespace, writable.
 *   pool     memory of an exportable pool, shared by the pool's descriptor and a handle of the pointer.
 */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/common.h>

#include "device/cuda/cuda.h"
#include "os/error.h"
#include "os/memory.h"

static_assert(sizeof(cu_ipc_mem_handle) == 64 && sizeof(cu_pool_pointer) == 64, "device.h has handles of 64 bytes");

/* More than any GPU has. */
#define WHOLE_MOST (UINT64_C(1) << 40)

/* An opened legacy handle. The driver opens each once per context, so segments of one allocation share it. */
struct cf_cuda_legacy {
  cu_ipc_mem_handle handle;
  cu_deviceptr address;
  unsigned users;
  cf_cuda_legacy *next;
};

enum owns { OWNS_NOTHING, OWNS_VMM, OWNS_ALLOCATION, OWNS_LEGACY, OWNS_POOL_POINTER };

/* Behind cf_device_segment.state. */
typedef struct cuda_segment {
  enum owns owns;
  cu_deviceptr base; /* of the whole allocation */
  uint64_t whole;
  cf_cuda_legacy *legacy;
  cu_pool pool; /* imported */
} cuda_segment;

static cu_mem_location location_of(const cf_cuda *cuda) {
  return (cu_mem_location){ CU_MEM_LOCATION_TYPE_DEVICE, cuda->gpu };
}

/* ---- VMM ---- */

/* Maps an allocation with these rights; on success the mapping holds it. */
static int vmm_map(cf_cuda *cuda, cu_mem_handle handle, uint64_t bytes, unsigned rights, cu_deviceptr *address) {
  const cf_cuda_driver *cu = &cuda->driver;
  cu_mem_access access = { .location = location_of(cuda), .flags = rights };
  cu_deviceptr at = 0;
  int result = cf_cuda_result(cuda, cu->cuMemAddressReserve(&at, bytes, 0, 0, 0),
                              "reserving %" PRIu64 " MiB of GPU addresses", bytes >> 20);
  if (result != CUFRAMES_OK)
    return result;
  result =
      cf_cuda_result(cuda, cu->cuMemMap(at, bytes, 0, handle, 0), "mapping %" PRIu64 " MiB of GPU memory", bytes >> 20);
  if (result != CUFRAMES_OK)
    goto free_address;
  result = cf_cuda_result(cuda, cu->cuMemSetAccess(at, bytes, &access, 1), "setting access rights of GPU memory");
  if (result != CUFRAMES_OK)
    goto unmap;
  *address = at;
  return CUFRAMES_OK;
unmap:
  (void)cu->cuMemUnmap(at, bytes); /* we fail already */
free_address:
  (void)cu->cuMemAddressFree(at, bytes); /* we fail already */
  return result;
}

static int vmm_export(cf_cuda *cuda, cu_mem_handle handle, int *fd) {
  int made = -1;
  int result = cf_cuda_result(
      cuda, cuda->driver.cuMemExportToShareableHandle(&made, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
      "exporting GPU memory as a descriptor");
  if (result != CUFRAMES_OK)
    return result;
  if (fcntl(made, F_SETFD, FD_CLOEXEC) != 0) {
    result = cf_fail_errno("fcntl of a descriptor of GPU memory");
    cf_close(made);
    return result;
  }
  *fd = made;
  return CUFRAMES_OK;
}

static int vmm_create(cf_cuda *cuda, uint64_t bytes, cuda_segment *s, cf_device_export *exported) {
  const cf_cuda_driver *cu = &cuda->driver;
  cu_mem_prop prop = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                       .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                       .location = location_of(cuda) };
  size_t unit = 0;
  cu_mem_handle handle;
  int result = cf_cuda_result(cuda, cu->cuMemGetAllocationGranularity(&unit, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
                              "asking for the granularity of GPU memory");
  if (result != CUFRAMES_OK)
    return result;
  if (unit == 0 || bytes > UINT64_MAX - unit)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "cannot allocate %" PRIu64 " bytes of GPU memory", bytes);
  s->whole = (bytes + unit - 1) / unit * unit;
  result = cf_cuda_result(cuda, cu->cuMemCreate(&handle, s->whole, &prop, 0),
                          "allocating %" PRIu64 " MiB of GPU memory", s->whole >> 20);
  if (result != CUFRAMES_OK)
    return result;
  result = vmm_export(cuda, handle, &exported->fd);
  if (result != CUFRAMES_OK)
    goto release;
  result = vmm_map(cuda, handle, s->whole, CU_MEM_ACCESS_FLAGS_PROT_READWRITE, &s->base);
  if (result != CUFRAMES_OK) {
    cf_close(exported->fd);
    exported->fd = -1;
    goto release;
  }
  s->owns = OWNS_VMM;
  exported->kind = CF_EXPORT_FD;
release:
  (void)cu->cuMemRelease(handle); /* the mapping and the descriptor hold it, or we fail already */
  return result;
}

/* What was sent is no such memory, unless it is our own lack; the detail has what the driver said. */
static int vmm_import_error(cf_cuda *cuda, int result) {
  return result == CUFRAMES_ERR_NO_MEMORY || cf_flag_get(&cuda->lost) ? result : CUFRAMES_ERR_PROTOCOL;
}

static int vmm_import(cf_cuda *cuda, const cf_device_export *from, cuda_segment *s) {
  cu_mem_handle handle;
  int result = cf_cuda_result(cuda,
                              cuda->driver.cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)from->fd,
                                                                          CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
                              "importing the publisher's GPU memory");
  if (result != CUFRAMES_OK)
    return vmm_import_error(cuda, result);
  result = vmm_map(cuda, handle, from->whole, CU_MEM_ACCESS_FLAGS_PROT_READ, &s->base);
  (void)cuda->driver.cuMemRelease(handle); /* the mapping holds it, or we fail already */
  if (result != CUFRAMES_OK)
    return vmm_import_error(cuda, result);
  s->owns = OWNS_VMM;
  return CUFRAMES_OK;
}

/* ---- legacy handles ---- */

static int legacy_export(cf_cuda *cuda, cu_deviceptr base, cf_device_export *exported) {
  cu_ipc_mem_handle handle;
  int result =
      cf_cuda_result(cuda, cuda->driver.cuIpcGetMemHandle(&handle, base), "exporting GPU memory by a legacy handle");
  if (result != CUFRAMES_OK)
    return result;
  memcpy(exported->handle, handle.bytes, sizeof handle.bytes);
  exported->kind = CF_EXPORT_LEGACY;
  return CUFRAMES_OK;
}

static int legacy_create(cf_cuda *cuda, uint64_t bytes, cuda_segment *s, cf_device_export *exported) {
  int result = cf_cuda_result(cuda, cuda->driver.cuMemAlloc(&s->base, bytes),
                              "allocating %" PRIu64 " MiB of GPU memory", bytes >> 20);
  if (result != CUFRAMES_OK)
    return result;
  s->whole = bytes;
  s->owns = OWNS_ALLOCATION;
  result = legacy_export(cuda, s->base, exported);
  if (result != CUFRAMES_OK)
    (void)cuda->driver.cuMemFree(s->base); /* we fail already */
  return result;
}

static int legacy_open(cf_cuda *cuda, const cu_ipc_mem_handle *handle, cf_cuda_legacy **opened) {
  for (cf_cuda_legacy *l = cuda->opened; l; l = l->next)
    if (memcmp(l->handle.bytes, handle->bytes, sizeof handle->bytes) == 0) {
      l->users++;
      *opened = l;
      return CUFRAMES_OK;
    }
  cf_cuda_legacy *l = calloc(1, sizeof *l);
  if (!l)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  cu_result got = cuda->driver.cuIpcOpenMemHandle(&l->address, *handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
  if (got != CUDA_SUCCESS) {
    free(l);
    (void)cf_cuda_result(
        cuda, got,
        "cannot open the publisher's legacy CUDA IPC handle. Such handles work only in another process "
        "of the same PID namespace: share it (docker: --pid), or let the publisher use its default "
        "memory instead of legacy");
    return got == CUDA_ERROR_OUT_OF_MEMORY ? CUFRAMES_ERR_NO_MEMORY : CUFRAMES_ERR_DEVICE;
  }
  l->handle = *handle;
  l->users = 1;
  l->next = cuda->opened;
  cuda->opened = l;
  *opened = l;
  return CUFRAMES_OK;
}

static int legacy_import(cf_cuda *cuda, const cf_device_export *from, cuda_segment *s) {
  cu_ipc_mem_handle handle;
  memcpy(handle.bytes, from->handle, sizeof handle.bytes);
  pthread_mutex_lock(&cuda->lock);
  int result = legacy_open(cuda, &handle, &s->legacy);
  pthread_mutex_unlock(&cuda->lock);
  if (result != CUFRAMES_OK)
    return result;
  s->base = s->legacy->address;
  s->owns = OWNS_LEGACY;
  return CUFRAMES_OK;
}

static void legacy_release(cf_cuda *cuda, cf_cuda_legacy *legacy) {
  pthread_mutex_lock(&cuda->lock);
  if (--legacy->users == 0) {
    cf_cuda_legacy **link = &cuda->opened;
    while (*link != legacy)
      link = &(*link)->next;
    *link = legacy->next;
    (void)cuda->driver.cuIpcCloseMemHandle(legacy->address); /* nothing could be done about it */
    free(legacy);
  }
  pthread_mutex_unlock(&cuda->lock);
}

/* ---- pools ---- */

static int pool_export(cf_cuda *cuda, cu_pool pool, cu_deviceptr base, cf_device_export *exported) {
  const cf_cuda_driver *cu = &cuda->driver;
  cu_pool_pointer pointer;
  int fd = -1;
  if (!cu->cuMemPoolExportToShareableHandle || !cu->cuMemPoolExportPointer)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver cannot export memory pools");
  int result =
      cf_cuda_result(cuda, cu->cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
                     "exporting a memory pool");
  if (result != CUFRAMES_OK)
    return result;
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* best effort: it is the driver's */
  result = cf_cuda_result(cuda, cu->cuMemPoolExportPointer(&pointer, base), "exporting memory of a pool");
  if (result != CUFRAMES_OK) {
    cf_close(fd);
    return result;
  }
  memcpy(exported->handle, pointer.bytes, sizeof pointer.bytes);
  exported->fd = fd;
  exported->kind = CF_EXPORT_POOL;
  return CUFRAMES_OK;
}

static int pool_import(cf_cuda *cuda, const cf_device_export *from, cuda_segment *s) {
  const cf_cuda_driver *cu = &cuda->driver;
  cu_pool_pointer pointer;
  if (!cu->cuMemPoolImportFromShareableHandle || !cu->cuMemPoolImportPointer || !cu->cuMemPoolDestroy ||
      !cu->cuMemPoolSetAccess)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver cannot import memory pools");
  int result = cf_cuda_result(cuda,
                              cu->cuMemPoolImportFromShareableHandle(&s->pool, (void *)(intptr_t)from->fd,
                                                                     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
                              "importing the publisher's memory pool");
  if (result != CUFRAMES_OK)
    return result;
  /* on its own GPU an imported pool can be written to anyway; for another one this is what gives access */
  cu_mem_access access = { .location = location_of(cuda), .flags = CU_MEM_ACCESS_FLAGS_PROT_READ };
  (void)cu->cuMemPoolSetAccess(s->pool, &access, 1); /* if it matters the mapping fails */
  memcpy(pointer.bytes, from->handle, sizeof pointer.bytes);
  result = cf_cuda_result(cuda, cu->cuMemPoolImportPointer(&s->base, s->pool, &pointer), "importing memory of a pool");
  if (result != CUFRAMES_OK) {
    (void)cu->cuMemPoolDestroy(s->pool); /* we fail already */
    return result;
  }
  s->owns = OWNS_POOL_POINTER;
  return CUFRAMES_OK;
}

/* ---- memory of the application ---- */

static int pointer_attribute(cf_cuda *cuda, cu_pointer_attribute which, cu_deviceptr address, void *value) {
  return cuda->driver.cuPointerGetAttribute(value, which, address) == CUDA_SUCCESS;
}

static int adopt_handle(cf_cuda *cuda, cu_mem_handle handle, cf_device_export *exported) {
  cu_mem_prop prop;
  memset(&prop, 0, sizeof prop);
  int result = cf_cuda_result(cuda, cuda->driver.cuMemGetAllocationPropertiesFromHandle(&prop, handle),
                              "asking how the memory was made");
  if (result != CUFRAMES_OK)
    return result;
  if (!(prop.handle_types & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this cuMemCreate() memory cannot be shared: it was made without "
                                             "CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR in requestedHandleTypes");
  result = vmm_export(cuda, handle, &exported->fd);
  if (result != CUFRAMES_OK)
    return result;
  exported->kind = CF_EXPORT_FD;
  return CUFRAMES_OK;
}

/* Exports by a descriptor if it is VMM memory. *found: whether it is. */
static int adopt_vmm(cf_cuda *cuda, cu_deviceptr address, cf_device_export *exported, bool *found) {
  cu_mem_handle handle;
  *found = cuda->driver.cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)address) == CUDA_SUCCESS;
  if (!*found)
    return CUFRAMES_OK;
  int result = adopt_handle(cuda, handle, exported);
  (void)cuda->driver.cuMemRelease(handle); /* the application's own stays */
  return result;
}

static int adopt_other(cf_cuda *cuda, cu_deviceptr base, cf_device_export *exported) {
  cu_pool pool = NULL;
  uint64_t kinds = 0;
  unsigned legacy = 0;
  if (pointer_attribute(cuda, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, base, &pool) && pool) {
    (void)pointer_attribute(cuda, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, base, &kinds); /* 0 if it does not say */
    if (!(kinds & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
      return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                     "memory of this pool cannot be shared (the default pool of cuMemAllocAsync() never can): make a "
                     "pool with CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, or use cuMemAlloc()");
    return pool_export(cuda, pool, base, exported);
  }
  if (pointer_attribute(cuda, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, base, &legacy) && legacy)
    return legacy_export(cuda, base, exported);
  return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this GPU memory cannot be shared with other processes: expected memory of "
                                           "cuMemAlloc(), of cuMemCreate() or of an exportable pool");
}

static int adopt(cf_cuda *cuda, cu_deviceptr address, uint64_t bytes, cuda_segment *s, cf_device_export *exported) {
  cu_memory_type type = 0;
  int gpu = -1;
  size_t whole = 0;
  bool found;
  unsigned managed = 0;
  if (!pointer_attribute(cuda, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address, &type) || type != CU_MEMORYTYPE_DEVICE)
    return cf_fail(CUFRAMES_ERR_INVALID, "0x%" PRIx64 " is not an address of GPU memory", address);
  if (pointer_attribute(cuda, CU_POINTER_ATTRIBUTE_IS_MANAGED, address, &managed) && managed)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "managed memory cannot be shared with other processes");
  if (pointer_attribute(cuda, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address, &gpu) && gpu != cuda->gpu)
    return cf_fail(CUFRAMES_ERR_INVALID, "the memory is on CUDA device %d, the publisher on device %d", gpu, cuda->gpu);
  int result = cf_cuda_result(cuda, cuda->driver.cuMemGetAddressRange(&s->base, &whole, address),
                              "looking for the allocation around 0x%" PRIx64, address);
  if (result != CUFRAMES_OK)
    return result;
  s->whole = whole;
  if (address - s->base > whole || whole - (address - s->base) < bytes)
    return cf_fail(CUFRAMES_ERR_INVALID, "%" PRIu64 " bytes at 0x%" PRIx64 " go over the end of their allocation",
                   bytes, address);
  result = adopt_vmm(cuda, address, exported, &found);
  return found ? result : adopt_other(cuda, s->base, exported);
}

/* Whether memory that was imported by a handle is as large as the publisher says. */
static int import_check(cf_cuda *cuda, const cuda_segment *s) {
  cu_deviceptr base;
  size_t bytes = 0;
  int result = cf_cuda_result(cuda, cuda->driver.cuMemGetAddressRange(&base, &bytes, s->base),
                              "looking at the publisher's GPU memory");
  if (result != CUFRAMES_OK)
    return result;
  if (base > s->base || bytes - (s->base - base) < s->whole)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher promised %" PRIu64 " bytes of GPU memory and shared %zu",
                   s->whole, bytes);
  return CUFRAMES_OK;
}

/* ---- the device's operations ---- */

static void release(cf_cuda *cuda, const cuda_segment *s) {
  const cf_cuda_driver *cu = &cuda->driver;
  /* of a lost context these fail, and the memory goes with the process */
  switch (s->owns) {
    case OWNS_VMM:
      (void)cu->cuMemUnmap(s->base, s->whole);
      (void)cu->cuMemAddressFree(s->base, s->whole);
      break;
    case OWNS_ALLOCATION: (void)cu->cuMemFree(s->base); break;
    case OWNS_LEGACY: legacy_release(cuda, s->legacy); break;
    case OWNS_POOL_POINTER:
      (void)cu->cuMemFree(s->base);
      (void)cu->cuMemPoolDestroy(s->pool);
      break;
    case OWNS_NOTHING: break;
  }
}

/* Hands a segment to the caller. Takes *kept over. */
static void give(cuda_segment *kept, const cf_device_export *exported, uint64_t start, uint64_t bytes,
                 cf_device_segment *segment) {
  *segment = (cf_device_segment){
    .address = (void *)(uintptr_t)(kept->base + start), .bytes = bytes, .exported = *exported, .state = kept
  };
}

static int zero(cf_cuda *cuda, const cuda_segment *s) {
  int result =
      cf_cuda_result(cuda, cuda->driver.cuMemsetD8Async(s->base, 0, s->whole, cuda->stream), "clearing GPU memory");
  if (result != CUFRAMES_OK)
    return result;
  return cf_cuda_result(cuda, cuda->driver.cuStreamSynchronize(cuda->stream), "clearing GPU memory");
}

/* A segment's state, with the context current; state_end() is to follow. */
static int state_begin(cf_cuda *cuda, cuda_segment **state, bool *pushed) {
  cuda_segment *s = calloc(1, sizeof *s);
  if (!s)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int result = cf_cuda_enter(cuda, pushed);
  if (result != CUFRAMES_OK) {
    free(s);
    return result;
  }
  *state = s;
  return CUFRAMES_OK;
}

/* Frees the state of a segment that could not be had. Gives the result that it is told. */
static int state_end(cf_cuda *cuda, cuda_segment *s, bool pushed, int result) {
  cf_cuda_leave(cuda, pushed);
  if (result != CUFRAMES_OK)
    free(s);
  return result;
}

static int create(cf_cuda *cuda, uint64_t bytes, cuda_segment *s, cf_device_export *exported) {
  int result = cuda->can_export ? vmm_create(cuda, bytes, s, exported) : legacy_create(cuda, bytes, s, exported);
  if (result != CUFRAMES_OK)
    return result;
  result = zero(cuda, s);
  if (result != CUFRAMES_OK) {
    cf_cuda_drain(cuda);
    release(cuda, s);
    cf_close(exported->fd);
  }
  return result;
}

int cf_cuda_segment_create(cf_device *device, uint64_t bytes, cf_device_segment *segment) {
  cf_cuda *cuda = (cf_cuda *)device;
  cf_device_export exported = { .fd = -1 };
  cuda_segment *s = NULL;
  bool pushed;
  if (bytes == 0)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "a segment of 0 bytes");
  int result = state_begin(cuda, &s, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = state_end(cuda, s, pushed, create(cuda, bytes, s, &exported));
  if (result != CUFRAMES_OK)
    return result;
  exported.bytes = exported.whole = s->whole;
  give(s, &exported, 0, s->whole, segment);
  return CUFRAMES_OK;
}

int cf_cuda_segment_adopt(cf_device *device, void *address, uint64_t bytes, cf_device_segment *segment) {
  cf_cuda *cuda = (cf_cuda *)device;
  cf_device_export exported = { .fd = -1 };
  cuda_segment *s = NULL;
  bool pushed;
  int result = state_begin(cuda, &s, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = state_end(cuda, s, pushed, adopt(cuda, (uintptr_t)address, bytes, s, &exported));
  if (result != CUFRAMES_OK)
    return result;
  exported.bytes = bytes;
  exported.start = (uintptr_t)address - s->base;
  exported.whole = s->whole;
  give(s, &exported, exported.start, bytes, segment);
  return CUFRAMES_OK;
}

static int import(cf_cuda *cuda, const cf_device_export *from, cuda_segment *s) {
  s->whole = from->whole;
  if (from->kind == CF_EXPORT_FD) /* the driver maps no more than there is */
    return vmm_import(cuda, from, s);
  int result = from->kind == CF_EXPORT_LEGACY ? legacy_import(cuda, from, s) : pool_import(cuda, from, s);
  if (result != CUFRAMES_OK)
    return result;
  result = import_check(cuda, s);
  if (result != CUFRAMES_OK)
    release(cuda, s);
  return result;
}

int cf_cuda_segment_import(cf_device *device, const cf_device_export *from, cf_device_segment *segment) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool wants_fd = from->kind != CF_EXPORT_LEGACY;
  if (from->whole > WHOLE_MOST || from->kind > CF_EXPORT_POOL || from->bytes == 0 || from->start > from->whole ||
      from->whole - from->start < from->bytes || (wants_fd && from->fd < 0))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "invalid kind of GPU memory from the publisher: %u", from->kind);
  cuda_segment *s = NULL;
  bool pushed;
  int result = state_begin(cuda, &s, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = state_end(cuda, s, pushed, import(cuda, from, s));
  if (result != CUFRAMES_OK)
    return result;
  give(s, &(cf_device_export){ .fd = -1 }, from->start, from->bytes, segment);
  return CUFRAMES_OK;
}

void cf_cuda_segment_destroy(cf_device *device, cf_device_segment *segment) {
  cf_cuda *cuda = (cf_cuda *)device;
  cuda_segment *s = segment->state;
  bool pushed, entered = s && cf_cuda_enter(cuda, &pushed) == CUFRAMES_OK;
  if (s)
    release(cuda, s); /* VMM memory needs no context; the rest goes with it */
  if (entered)
    cf_cuda_leave(cuda, pushed);
  cf_close(segment->exported.fd);
  free(s);
  *segment = (cf_device_segment){ .exported = { .fd = -1 } };
}
