/* vmm.c - the stand-in's virtual memory management: handles, address ranges, mappings, rights, descriptors. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

typedef struct vmm_handle {
  struct vmm_handle *next;
  uint64_t id;
  unsigned count;
  si_physical *physical;
} vmm_handle;

static vmm_handle *handles;
static uint64_t last_id = 0x7e57000000;

static vmm_handle *find(uint64_t id) {
  for (vmm_handle *handle = handles; handle; handle = handle->next)
    if (handle->id == id)
      return handle;
  return NULL;
}

long si_handles_count(void) {
  long count = 0;
  for (const vmm_handle *handle = handles; handle; handle = handle->next)
    count += handle->count;
  return count;
}

/* Takes the reference to the physical memory over, also when it fails. id 0: a new one. Locked. */
static cu_result add(si_physical *physical, uint64_t id, uint64_t *made) {
  vmm_handle *handle = malloc(sizeof *handle);
  if (!handle) {
    si_physical_release(physical);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *handle = (vmm_handle){ .next = handles, .id = id ? id : ++last_id, .count = 1, .physical = physical };
  handles = handle;
  *made = handle->id;
  return CUDA_SUCCESS;
}

static bool has_attribute(int attribute) {
  return si_configuration()->attribute[attribute] == 1;
}

static bool is_multiple(uint64_t bytes) {
  return bytes > 0 && bytes % SI_GRANULARITY == 0;
}

static cu_result check_prop(const cu_mem_prop *prop) {
  if (!has_attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED))
    return CUDA_ERROR_NOT_SUPPORTED;
  if (!prop || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED || prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
      prop->windows_only)
    return CUDA_ERROR_INVALID_VALUE;
  if (prop->location.id < 0 || prop->location.id >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  if (prop->handle_types & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
    return CUDA_ERROR_NOT_SUPPORTED;
  if (prop->handle_types && !has_attribute(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED))
    return CUDA_ERROR_NOT_SUPPORTED;
  return CUDA_SUCCESS;
}

cu_result cuMemGetAllocationGranularity(size_t *bytes, const cu_mem_prop *prop, cu_granularity which) {
  SI_ENTER(cuMemGetAllocationGranularity, SI_INIT);
  cu_result result = check_prop(prop);
  if (result != CUDA_SUCCESS)
    return result;
  if (!bytes || which > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)
    return CUDA_ERROR_INVALID_VALUE;
  *bytes = SI_GRANULARITY;
  return CUDA_SUCCESS;
}

cu_result cuMemCreate(cu_mem_handle *handle, size_t bytes, const cu_mem_prop *prop, unsigned long long flags) {
  SI_ENTER(cuMemCreate, SI_INIT);
  cu_result result = check_prop(prop);
  if (result != CUDA_SUCCESS)
    return result;
  if (!handle || flags != 0 || !is_multiple(bytes))
    return CUDA_ERROR_INVALID_VALUE;
  si_physical *physical;
  pthread_mutex_lock(&si_lock);
  result = si_physical_create(prop->location.id, bytes, SI_TRAILER_VMM, &physical);
  if (result == CUDA_SUCCESS) {
    physical->prop = *prop;
    result = add(physical, 0, handle);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemRelease(cu_mem_handle id) {
  SI_ENTER_RELEASE(cuMemRelease, SI_INIT);
  pthread_mutex_lock(&si_lock);
  vmm_handle **at = &handles;
  while (*at && (*at)->id != id)
    at = &(*at)->next;
  vmm_handle *handle = *at;
  if (!handle) {
    say = CUDA_ERROR_INVALID_VALUE;
  } else if (--handle->count == 0) {
    *at = handle->next;
    si_physical_release(handle->physical);
    free(handle);
  }
  pthread_mutex_unlock(&si_lock);
  return say;
}

cu_result cuMemAddressReserve(cu_deviceptr *address, size_t bytes, size_t align, cu_deviceptr request,
                              unsigned long long flags) {
  (void)request; /* a request only */
  SI_ENTER(cuMemAddressReserve, SI_INIT);
  if (!has_attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED))
    return CUDA_ERROR_NOT_SUPPORTED;
  if (!address || flags != 0 || !is_multiple(bytes) || (align & (align - 1)) != 0)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_create(SI_RESERVATION, NULL, bytes, align > SI_GRANULARITY ? align : SI_GRANULARITY);
  if (space)
    *address = space->start;
  pthread_mutex_unlock(&si_lock);
  return space ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The reservation in which a range lies, or NULL. Locked. */
static si_space *reservation(uint64_t address, uint64_t bytes) {
  si_space *space = si_space_find(address);
  bool inside = space && space->kind == SI_RESERVATION && bytes <= space->bytes - (address - space->start);
  return inside ? space : NULL;
}

cu_result cuMemAddressFree(cu_deviceptr address, size_t bytes) {
  SI_ENTER_RELEASE(cuMemAddressFree, SI_INIT);
  pthread_mutex_lock(&si_lock);
  si_space *space = reservation(address, bytes);
  if (space && space->start == address && space->bytes == bytes && !space->maps)
    si_space_destroy(space);
  else
    say = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_unlock(&si_lock);
  return say;
}

cu_result cuMemMap(cu_deviceptr address, size_t bytes, size_t offset, cu_mem_handle id, unsigned long long flags) {
  SI_ENTER(cuMemMap, SI_INIT);
  if (flags != 0 || offset != 0 || !is_multiple(bytes) || address % SI_GRANULARITY != 0)
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const vmm_handle *handle = find(id);
  si_space *space = reservation(address, bytes);
  if (handle && space && bytes <= handle->physical->bytes) {
    si_map *map;
    result = si_map_add(space, address - space->start, bytes, handle->physical, 0, &map);
    if (result == CUDA_SUCCESS)
      map->handle = id;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* Whether a range is made of whole mappings, without holes. Locked. */
static bool whole_maps(const si_space *space, uint64_t address, uint64_t bytes) {
  for (uint64_t end = address + bytes; address < end;) {
    const si_map *map = si_map_find(space, address);
    if (!map || space->start + map->offset != address || map->bytes > end - address)
      return false;
    address += map->bytes;
  }
  return true;
}

cu_result cuMemUnmap(cu_deviceptr address, size_t bytes) {
  SI_ENTER_RELEASE(cuMemUnmap, SI_INIT);
  pthread_mutex_lock(&si_lock);
  si_space *space = is_multiple(bytes) ? reservation(address, bytes) : NULL;
  if (space && whole_maps(space, address, bytes)) {
    for (uint64_t end = address + bytes; address < end;) {
      si_map *map = si_map_find(space, address);
      if (!map)
        break; /* another thread was faster */
      address += map->bytes;
      si_map_remove(space, map);
    }
  } else {
    say = CUDA_ERROR_INVALID_VALUE;
  }
  pthread_mutex_unlock(&si_lock);
  return say;
}

static cu_result check_access(const cu_mem_access *access) {
  if (access->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
      (access->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE && access->flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
       access->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE))
    return CUDA_ERROR_INVALID_VALUE;
  if (access->location.id < 0 || access->location.id >= si_configuration()->devices)
    return CUDA_ERROR_INVALID_DEVICE;
  return CUDA_SUCCESS;
}

/* Locked. */
static cu_result set_access(const si_space *space, uint64_t address, uint64_t end, const cu_mem_access *access) {
  for (; address < end;) {
    si_map *map = si_map_find(space, address);
    if (map->physical->device != access->location.id && !si_configuration()->peer)
      return CUDA_ERROR_NOT_SUPPORTED;
    map->access[access->location.id] = access->flags;
    si_map_protect(space, map);
    address += map->bytes;
  }
  return CUDA_SUCCESS;
}

cu_result cuMemSetAccess(cu_deviceptr address, size_t bytes, const cu_mem_access *access, size_t count) {
  SI_ENTER(cuMemSetAccess, SI_INIT);
  if (!access || count == 0 || !is_multiple(bytes))
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_SUCCESS;
  for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
    result = check_access(&access[i]);
  if (result != CUDA_SUCCESS)
    return result;
  pthread_mutex_lock(&si_lock);
  const si_space *space = reservation(address, bytes);
  if (!space || !whole_maps(space, address, bytes))
    result = CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
    result = set_access(space, address, address + bytes, &access[i]);
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* The descriptor is not close-on-exec: who exports sees to that. */
cu_result cuMemExportToShareableHandle(void *exported, cu_mem_handle id, cu_handle_type type,
                                       unsigned long long flags) {
  SI_ENTER(cuMemExportToShareableHandle, SI_INIT);
  if (!exported || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const vmm_handle *handle = find(id);
  if (handle && (handle->physical->prop.handle_types & type)) {
    int fd = dup(handle->physical->fd);
    result = fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
    if (fd >= 0)
      *(int *)exported = fd;
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemImportFromShareableHandle(cu_mem_handle *handle, void *exported, cu_handle_type type) {
  SI_ENTER(cuMemImportFromShareableHandle, SI_INIT);
  if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
    return CUDA_ERROR_INVALID_VALUE;
  if (!has_attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED))
    return CUDA_ERROR_NOT_SUPPORTED;
  int fd = fcntl((int)(intptr_t)exported, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return CUDA_ERROR_INVALID_VALUE;
  si_physical *physical;
  pthread_mutex_lock(&si_lock);
  cu_result result = si_physical_import(fd, SI_TRAILER_VMM, &physical);
  if (result == CUDA_SUCCESS) {
    physical->prop = (cu_mem_prop){ .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                    .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                    .location = { CU_MEM_LOCATION_TYPE_DEVICE, physical->device } };
    result = add(physical, 0, handle);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

/* The handle that the memory was mapped from comes to life again if it was released. */
cu_result cuMemRetainAllocationHandle(cu_mem_handle *handle, void *address) {
  SI_ENTER(cuMemRetainAllocationHandle, SI_INIT);
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_find((uint64_t)(uintptr_t)address);
  const si_map *map = space && space->kind == SI_RESERVATION ? si_map_find(space, (uint64_t)(uintptr_t)address) : NULL;
  vmm_handle *old = map ? find(map->handle) : NULL;
  if (handle && old) {
    old->count++;
    *handle = old->id;
    result = CUDA_SUCCESS;
  } else if (handle && map) {
    map->physical->references++;
    result = add(map->physical, map->handle, handle);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemGetAllocationPropertiesFromHandle(cu_mem_prop *prop, cu_mem_handle id) {
  SI_ENTER(cuMemGetAllocationPropertiesFromHandle, SI_INIT);
  pthread_mutex_lock(&si_lock);
  const vmm_handle *handle = find(id);
  if (handle && prop)
    *prop = handle->physical->prop;
  pthread_mutex_unlock(&si_lock);
  return handle && prop ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
