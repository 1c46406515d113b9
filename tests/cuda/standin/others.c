/* others.c - what FFmpeg and GStreamer want of a driver beside what this library does, so that their CUDA frames can be
 * tried over the stand-in, too: their loaders refuse a driver in which one of these is missing. Most are for what they
 * only do when asked (textures, OpenGL, linking of kernels), and say that they cannot. */
#include "internal.h"

#pragma GCC visibility push(default)

#define CANNOT(name)                                                                                                   \
  cu_result name(void);                                                                                                \
  cu_result name(void) {                                                                                               \
    return CUDA_ERROR_NOT_SUPPORTED;                                                                                   \
  }

CANNOT(cuArray3DCreate_v2)
CANNOT(cuArrayCreate_v2)
CANNOT(cuArrayDestroy)
CANNOT(cuCtxSetLimit)
CANNOT(cuDestroyExternalMemory)
CANNOT(cuDestroyExternalSemaphore)
CANNOT(cuDeviceComputeCapability)
CANNOT(cuDevicePrimaryCtxReset)
CANNOT(cuExternalMemoryGetMappedBuffer)
CANNOT(cuExternalMemoryGetMappedMipmappedArray)
CANNOT(cuGLGetDevices_v2)
CANNOT(cuGraphicsGLRegisterBuffer)
CANNOT(cuGraphicsGLRegisterImage)
CANNOT(cuGraphicsMapResources)
CANNOT(cuGraphicsResourceGetMappedPointer_v2)
CANNOT(cuGraphicsResourceSetMapFlags_v2)
CANNOT(cuGraphicsSubResourceGetMappedArray)
CANNOT(cuGraphicsUnmapResources)
CANNOT(cuGraphicsUnregisterResource)
CANNOT(cuImportExternalMemory)
CANNOT(cuImportExternalSemaphore)
CANNOT(cuLinkAddData)
CANNOT(cuLinkComplete)
CANNOT(cuLinkCreate)
CANNOT(cuLinkDestroy)
CANNOT(cuMemAllocManaged)
CANNOT(cuMemGetAccess)
CANNOT(cuMemPoolGetAttribute)
CANNOT(cuMemcpy)
CANNOT(cuMemcpyAsync)
CANNOT(cuModuleGetGlobal)
CANNOT(cuSignalExternalSemaphoresAsync)
CANNOT(cuStreamAddCallback)
CANNOT(cuTexObjectCreate)
CANNOT(cuTexObjectDestroy)
CANNOT(cuWaitExternalSemaphoresAsync)

/* FFmpeg has the primary context block while it waits. Contexts of the stand-in do. */
cu_result cuDevicePrimaryCtxGetState(cu_device device, unsigned *flags, int *active);
cu_result cuDevicePrimaryCtxGetState(cu_device device, unsigned *flags, int *active) {
  (void)device;
  *flags = 0;
  *active = 0;
  return CUDA_SUCCESS;
}

cu_result cuDevicePrimaryCtxSetFlags(cu_device device, unsigned flags);
cu_result cuDevicePrimaryCtxSetFlags(cu_device device, unsigned flags) {
  (void)device;
  (void)flags;
  return CUDA_SUCCESS;
}

cu_result cuMemAllocHost_v2(void **memory, size_t bytes);
cu_result cuMemAllocHost_v2(void **memory, size_t bytes) {
  return cuMemHostAlloc(memory, bytes, 0);
}

cu_result cuCtxGetLimit(size_t *value, int limit);
cu_result cuCtxGetLimit(size_t *value, int limit) {
  (void)limit;
  *value = 0;
  return CUDA_SUCCESS;
}

/* The pieces that pools keep are none of a program's business here. */
cu_result cuMemPoolSetAttribute(void *pool, int attribute, void *value);
cu_result cuMemPoolSetAttribute(void *pool, int attribute, void *value) {
  (void)attribute;
  return pool && value ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Under the names of before CUDA 11. */
cu_result cuDevicePrimaryCtxRelease(cu_device device);
cu_result cuDevicePrimaryCtxRelease(cu_device device) {
  return cuDevicePrimaryCtxRelease_v2(device);
}

cu_result cuIpcOpenMemHandle(cu_deviceptr *address, cu_ipc_mem_handle handle, unsigned flags);
cu_result cuIpcOpenMemHandle(cu_deviceptr *address, cu_ipc_mem_handle handle, unsigned flags) {
  return cuIpcOpenMemHandle_v2(address, handle, flags);
}

cu_result cuStreamDestroy(cu_stream stream);
cu_result cuStreamDestroy(cu_stream stream) {
  return cuStreamDestroy_v2(stream);
}

cu_result cuDeviceGetUuid(cu_uuid *uuid, cu_device device);
cu_result cuDeviceGetUuid(cu_uuid *uuid, cu_device device) {
  return cuDeviceGetUuid_v2(uuid, device);
}

#pragma GCC visibility pop
