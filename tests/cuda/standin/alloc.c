/* alloc.c - the stand-in's plain device memory, and what is known of an address. */
#include <string.h>

#include "internal.h"

/* Locked. */
static cu_result allocate(si_context *context, uint64_t bytes, uint64_t *address) {
  si_physical *physical;
  if (bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  cu_result result = si_physical_create(context->device, bytes, SI_TRAILER_PLAIN, &physical);
  if (result != CUDA_SUCCESS)
    return result;
  si_space *space = si_space_create(SI_ALLOCATION, context, bytes, SI_GRANULARITY);
  result = space ? si_map_add(space, 0, bytes, physical, 0, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
  si_physical_release(physical); /* the map has its own */
  if (result == CUDA_SUCCESS)
    *address = space->start;
  else if (space)
    si_space_destroy(space);
  return result;
}

cu_result cuMemAlloc_v2(cu_deviceptr *address, size_t bytes) {
  SI_ENTER(cuMemAlloc, SI_CONTEXT);
  SI_MAY_WAIT();
  if (!address)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  cu_result result = allocate(context, bytes, address);
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result cuMemAllocPitch_v2(cu_deviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
  SI_ENTER(cuMemAllocPitch, SI_CONTEXT);
  if (!address || !pitch || width == 0 || width > SIZE_MAX / 2 || height == 0 ||
      (element != 4 && element != 8 && element != 16))
    return CUDA_ERROR_INVALID_VALUE;
  size_t row = (width + 511) / 512 * 512;
  if (height > SIZE_MAX / row)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  cu_result result = allocate(context, row * height, address);
  pthread_mutex_unlock(&si_lock);
  if (result == CUDA_SUCCESS)
    *pitch = row;
  return result;
}

/* Waits for the context's work first, as the driver does. Imported pool memory is given back so too. */
cu_result cuMemFree_v2(cu_deviceptr address) {
  SI_ENTER_RELEASE(cuMemFree, SI_CONTEXT);
  if (address == 0)
    return say;
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  si_space *space = si_space_find(address);
  if (space && space->start == address && !space->freed && (space->kind == SI_ALLOCATION || space->kind == SI_POOLED)) {
    space->freed = true;
    result = si_context_wait(space->context);
    si_space_destroy(space);
  }
  pthread_mutex_unlock(&si_lock);
  return result != CUDA_SUCCESS ? result : say;
}

cu_result cuMemGetInfo_v2(size_t *unused, size_t *total) {
  SI_ENTER(cuMemGetInfo, SI_CONTEXT);
  if (!unused || !total)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  *total = si_configuration()->memory;
  *unused = *total - si_memory_used(context->device);
  pthread_mutex_unlock(&si_lock);
  return CUDA_SUCCESS;
}

cu_result cuMemGetAddressRange_v2(cu_deviceptr *base, size_t *bytes, cu_deviceptr address) {
  SI_ENTER(cuMemGetAddressRange, SI_CONTEXT);
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_find(address);
  const si_map *map = space ? si_map_find(space, address) : NULL;
  if (map && base)
    *base = space->start + map->offset;
  if (map && bytes)
    *bytes = map->bytes;
  pthread_mutex_unlock(&si_lock);
  return map ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

/* ---- attributes ---- */

/* A value as the driver writes it: pointers, sizes and bit masks are 8 bytes, the rest 4. */
typedef struct value {
  uint64_t bits;
  size_t bytes;
} value;

static value eight(uint64_t bits) {
  return (value){ bits, 8 };
}

static value four(uint32_t bits) {
  return (value){ bits, 4 };
}

static uint32_t handle_types(const si_map *map) {
  return map && map->physical ? map->physical->prop.handle_types : 0;
}

static unsigned access_of(const si_context *context, const si_space *space, const si_map *map) {
  if (space->read_only)
    return CU_MEM_ACCESS_FLAGS_PROT_READ;
  if (space->kind != SI_RESERVATION)
    return CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  return map ? map->access[context->device] : CU_MEM_ACCESS_FLAGS_PROT_NONE;
}

/* false: there is no such attribute, or not of this memory. Locked. */
static bool find_value(const si_context *context, cu_pointer_attribute attribute, uint64_t address, value *found) {
  const si_space *space = si_space_find(address);
  if (!space)
    return false;
  bool host = space->kind == SI_REGISTERED || space->kind == SI_HOST;
  const si_map *map = host ? NULL : si_map_find(space, address);
  int device = map ? map->physical->device : space->context ? space->context->device : -1;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *found = eight((uint64_t)(uintptr_t)space->context); return true;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: *found = four(host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE); return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *found = eight(address); return true;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: *found = eight(address); return host;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: *found = four(0); return true;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: *found = eight(space->id); return true;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *found = four(0); return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *found = four((uint32_t)device); return device >= 0;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE: *found = four(space->kind == SI_ALLOCATION); return true;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *found = eight(space->start); return true;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *found = eight(space->bytes); return true;
    case CU_POINTER_ATTRIBUTE_MAPPED: *found = four(host || map); return true;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES: *found = eight(handle_types(map)); return true;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: *found = four(access_of(context, space, map)); return true;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      *found = eight((uint64_t)(uintptr_t)space->pool);
      return space->kind == SI_POOLED;
    default: return false;
  }
}

cu_result cuPointerGetAttribute(void *data, cu_pointer_attribute attribute, cu_deviceptr address) {
  SI_ENTER(cuPointerGetAttribute, SI_CONTEXT);
  value found;
  pthread_mutex_lock(&si_lock);
  bool known = data && find_value(context, attribute, address, &found);
  pthread_mutex_unlock(&si_lock);
  if (!known)
    return CUDA_ERROR_INVALID_VALUE;
  memcpy(data, &found.bits, found.bytes); /* little-endian, as every machine with this driver */
  return CUDA_SUCCESS;
}

/* Unlike the single form it takes any address: what is not known of it is 0. */
cu_result cuPointerGetAttributes(unsigned count, cu_pointer_attribute *attributes, void **data, cu_deviceptr address) {
  SI_ENTER(cuPointerGetAttributes, SI_CONTEXT);
  if (count == 0 || !attributes || !data)
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; i++) {
    value found = four(0);
    pthread_mutex_lock(&si_lock);
    (void)find_value(context, attributes[i], address, &found);
    pthread_mutex_unlock(&si_lock);
    memcpy(data[i], &found.bits, found.bytes);
  }
  return CUDA_SUCCESS;
}
