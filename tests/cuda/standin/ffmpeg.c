/* ffmpeg.c - what FFmpeg wants of a driver beside what this library does, so that FFmpeg's CUDA frames can be tried
 * over the stand-in, too: its loader refuses a driver in which one of these is missing. Most are for what it only does
 * when asked (textures, OpenGL, linking of kernels), and say that they cannot. */
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
CANNOT(cuCtxCreate_v2)
CANNOT(cuCtxDestroy_v2)
CANNOT(cuCtxSetLimit)
CANNOT(cuDeviceComputeCapability)
CANNOT(cuDevicePrimaryCtxReset)
CANNOT(cuGLGetDevices_v2)
CANNOT(cuGraphicsGLRegisterImage)
CANNOT(cuGraphicsMapResources)
CANNOT(cuGraphicsResourceGetMappedPointer_v2)
CANNOT(cuGraphicsSubResourceGetMappedArray)
CANNOT(cuGraphicsUnmapResources)
CANNOT(cuGraphicsUnregisterResource)
CANNOT(cuLinkAddData)
CANNOT(cuLinkComplete)
CANNOT(cuLinkCreate)
CANNOT(cuLinkDestroy)
CANNOT(cuMemAllocManaged)
CANNOT(cuMemcpy)
CANNOT(cuMemcpy2D_v2)
CANNOT(cuMemcpyAsync)
CANNOT(cuMemcpyDtoD_v2)
CANNOT(cuModuleGetGlobal)
CANNOT(cuStreamAddCallback)
CANNOT(cuTexObjectCreate)
CANNOT(cuTexObjectDestroy)

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

/* Under the names of before CUDA 11. */
cu_result cuDevicePrimaryCtxRelease(cu_device device);
cu_result cuDevicePrimaryCtxRelease(cu_device device) {
  return cuDevicePrimaryCtxRelease_v2(device);
}

cu_result cuDeviceGetUuid(cu_uuid *uuid, cu_device device);
cu_result cuDeviceGetUuid(cu_uuid *uuid, cu_device device) {
  return cuDeviceGetUuid_v2(uuid, device);
}

#pragma GCC visibility pop
