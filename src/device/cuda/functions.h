/* device/cuda/functions.h - the CUDA driver's functions that this project uses: the one list.
 *
 * F(need, name, symbol, version, (parameters)): REQUIRED, or OPTIONAL (NULL where the driver lacks it: newer than the
 * oldest driver that is taken, of use only to few, or called by tests alone; lint knows what the library calls); its
 * name without suffix, as cuGetProcAddress() wants it; its name in the shared object; the CUDA version (1000 * major +
 * 10 * minor) that brought this form of it, which is what cuGetProcAddress() must be asked for. All give a cu_result.
 *
 * This header needs the types of types.h but does not include them, so that tests/cuda/test_header.c can put the real
 * ones in their place and compare every prototype and version with cuda.h and cudaTypedefs.h.
 */
#ifndef CF_DEVICE_CUDA_FUNCTIONS_H
#define CF_DEVICE_CUDA_FUNCTIONS_H

#define CF_CUDA_FUNCTIONS(F)                                                                                           \
  CF_CUDA_FUNCTIONS_BASE(F)                                                                                            \
  CF_CUDA_FUNCTIONS_STREAM(F)                                                                                          \
  CF_CUDA_FUNCTIONS_MEMORY(F)                                                                                          \
  CF_CUDA_FUNCTIONS_SHARING(F)                                                                                         \
  CF_CUDA_FUNCTIONS_WORK(F)

#define CF_CUDA_FUNCTIONS_BASE(F)                                                                                      \
  F(REQUIRED, cuInit, cuInit, 2000, (unsigned flags))                                                                  \
  F(REQUIRED, cuDriverGetVersion, cuDriverGetVersion, 2020, (int *version))                                            \
  F(OPTIONAL, cuGetProcAddress, cuGetProcAddress_v2, 12000,                                                            \
    (const char *name, void **function, int version, uint64_t flags, cu_symbol_status *status))                        \
  F(REQUIRED, cuGetErrorName, cuGetErrorName, 6000, (cu_result error, const char **name))                              \
  F(REQUIRED, cuGetErrorString, cuGetErrorString, 6000, (cu_result error, const char **text))                          \
  F(REQUIRED, cuDeviceGetCount, cuDeviceGetCount, 2000, (int *count))                                                  \
  F(OPTIONAL, cuDeviceGet, cuDeviceGet, 2000, (cu_device * device, int ordinal))                                       \
  F(REQUIRED, cuDeviceGetName, cuDeviceGetName, 2000, (char *name, int size, cu_device device))                        \
  F(REQUIRED, cuDeviceGetUuid, cuDeviceGetUuid_v2, 11040, (cu_uuid * uuid, cu_device device))                          \
  F(REQUIRED, cuDeviceGetAttribute, cuDeviceGetAttribute, 2000,                                                        \
    (int *value, cu_device_attribute attribute, cu_device device))                                                     \
  F(OPTIONAL, cuDeviceTotalMem, cuDeviceTotalMem_v2, 3020, (size_t * bytes, cu_device device))                         \
  F(REQUIRED, cuDeviceCanAccessPeer, cuDeviceCanAccessPeer, 4000, (int *can, cu_device device, cu_device peer))        \
  F(REQUIRED, cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, 7000, (cu_context * context, cu_device device))      \
  F(REQUIRED, cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, 11000, (cu_device device))                      \
  F(REQUIRED, cuCtxPushCurrent, cuCtxPushCurrent_v2, 4000, (cu_context context))                                       \
  F(REQUIRED, cuCtxPopCurrent, cuCtxPopCurrent_v2, 4000, (cu_context * context))                                       \
  F(REQUIRED, cuCtxGetCurrent, cuCtxGetCurrent, 4000, (cu_context * context))                                          \
  F(REQUIRED, cuCtxGetDevice, cuCtxGetDevice, 2000, (cu_device * device))                                              \
  F(REQUIRED, cuCtxSynchronize, cuCtxSynchronize, 2000, (void))                                                        \
  F(OPTIONAL, cuCtxEnablePeerAccess, cuCtxEnablePeerAccess, 4000, (cu_context peer, unsigned flags))

#define CF_CUDA_FUNCTIONS_STREAM(F)                                                                                    \
  F(REQUIRED, cuStreamCreate, cuStreamCreate, 2000, (cu_stream * stream, unsigned flags))                              \
  F(OPTIONAL, cuStreamCreateWithPriority, cuStreamCreateWithPriority, 5050,                                            \
    (cu_stream * stream, unsigned flags, int priority))                                                                \
  F(REQUIRED, cuStreamDestroy, cuStreamDestroy_v2, 4000, (cu_stream stream))                                           \
  F(REQUIRED, cuStreamSynchronize, cuStreamSynchronize, 2000, (cu_stream stream))                                      \
  F(REQUIRED, cuStreamQuery, cuStreamQuery, 2000, (cu_stream stream))                                                  \
  F(REQUIRED, cuStreamGetCtx, cuStreamGetCtx, 9020, (cu_stream stream, cu_context * context))                          \
  F(REQUIRED, cuStreamWaitEvent, cuStreamWaitEvent, 3020, (cu_stream stream, cu_event event, unsigned flags))          \
  F(OPTIONAL, cuStreamIsCapturing, cuStreamIsCapturing, 10000, (cu_stream stream, cu_capture_status * status))         \
  F(OPTIONAL, cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode, 10010, (cu_capture_mode * mode))   \
  F(OPTIONAL, cuStreamBeginCapture, cuStreamBeginCapture_v2, 10010, (cu_stream stream, cu_capture_mode mode))          \
  F(OPTIONAL, cuStreamEndCapture, cuStreamEndCapture, 10000, (cu_stream stream, cu_graph * graph))                     \
  F(OPTIONAL, cuStreamWriteValue64, cuStreamWriteValue64_v2, 11070,                                                    \
    (cu_stream stream, cu_deviceptr address, uint64_t value, unsigned flags))                                          \
  F(OPTIONAL, cuStreamWaitValue64, cuStreamWaitValue64_v2, 11070,                                                      \
    (cu_stream stream, cu_deviceptr address, uint64_t value, unsigned flags))                                          \
  F(OPTIONAL, cuStreamBatchMemOp, cuStreamBatchMemOp_v2, 11070,                                                        \
    (cu_stream stream, unsigned count, cu_batch_op *operations, unsigned flags))                                       \
  F(REQUIRED, cuLaunchHostFunc, cuLaunchHostFunc, 10000, (cu_stream stream, cu_host_function function, void *user))    \
  F(REQUIRED, cuEventCreate, cuEventCreate, 2000, (cu_event * event, unsigned flags))                                  \
  F(REQUIRED, cuEventDestroy, cuEventDestroy_v2, 4000, (cu_event event))                                               \
  F(REQUIRED, cuEventRecord, cuEventRecord, 2000, (cu_event event, cu_stream stream))                                  \
  F(OPTIONAL, cuEventQuery, cuEventQuery, 2000, (cu_event event))                                                      \
  F(OPTIONAL, cuEventSynchronize, cuEventSynchronize, 2000, (cu_event event))                                          \
  F(OPTIONAL, cuEventElapsedTime, cuEventElapsedTime, 2000, (float *milliseconds, cu_event start, cu_event end))

#define CF_CUDA_FUNCTIONS_MEMORY(F)                                                                                    \
  F(REQUIRED, cuMemAlloc, cuMemAlloc_v2, 3020, (cu_deviceptr * address, size_t bytes))                                 \
  F(REQUIRED, cuMemFree, cuMemFree_v2, 3020, (cu_deviceptr address))                                                   \
  F(OPTIONAL, cuMemAllocPitch, cuMemAllocPitch_v2, 3020,                                                               \
    (cu_deviceptr * address, size_t * pitch, size_t width, size_t height, unsigned element))                           \
  F(REQUIRED, cuMemAllocAsync, cuMemAllocAsync, 11020, (cu_deviceptr * address, size_t bytes, cu_stream stream))       \
  F(OPTIONAL, cuMemFreeAsync, cuMemFreeAsync, 11020, (cu_deviceptr address, cu_stream stream))                         \
  F(OPTIONAL, cuMemGetInfo, cuMemGetInfo_v2, 3020, (size_t * unused, size_t * total))                                  \
  F(REQUIRED, cuMemGetAddressRange, cuMemGetAddressRange_v2, 3020,                                                     \
    (cu_deviceptr * base, size_t * bytes, cu_deviceptr address))                                                       \
  F(REQUIRED, cuPointerGetAttribute, cuPointerGetAttribute, 4000,                                                      \
    (void *value, cu_pointer_attribute attribute, cu_deviceptr address))                                               \
  F(OPTIONAL, cuPointerGetAttributes, cuPointerGetAttributes, 7000,                                                    \
    (unsigned count, cu_pointer_attribute *attributes, void **values, cu_deviceptr address))                           \
  F(REQUIRED, cuMemHostRegister, cuMemHostRegister_v2, 6050, (void *memory, size_t bytes, unsigned flags))             \
  F(REQUIRED, cuMemHostUnregister, cuMemHostUnregister, 4000, (void *memory))                                          \
  F(REQUIRED, cuMemHostGetDevicePointer, cuMemHostGetDevicePointer_v2, 3020,                                           \
    (cu_deviceptr * address, void *memory, unsigned flags))                                                            \
  F(OPTIONAL, cuMemHostAlloc, cuMemHostAlloc, 2020, (void **memory, size_t bytes, unsigned flags))                     \
  F(OPTIONAL, cuMemFreeHost, cuMemFreeHost, 2000, (void *memory))

#define CF_CUDA_FUNCTIONS_SHARING(F)                                                                                   \
  F(REQUIRED, cuMemCreate, cuMemCreate, 10020,                                                                         \
    (cu_mem_handle * handle, size_t bytes, const cu_mem_prop *prop, unsigned long long flags))                         \
  F(REQUIRED, cuMemRelease, cuMemRelease, 10020, (cu_mem_handle handle))                                               \
  F(REQUIRED, cuMemAddressReserve, cuMemAddressReserve, 10020,                                                         \
    (cu_deviceptr * address, size_t bytes, size_t align, cu_deviceptr request, unsigned long long flags))              \
  F(REQUIRED, cuMemAddressFree, cuMemAddressFree, 10020, (cu_deviceptr address, size_t bytes))                         \
  F(REQUIRED, cuMemMap, cuMemMap, 10020,                                                                               \
    (cu_deviceptr address, size_t bytes, size_t offset, cu_mem_handle handle, unsigned long long flags))               \
  F(REQUIRED, cuMemUnmap, cuMemUnmap, 10020, (cu_deviceptr address, size_t bytes))                                     \
  F(REQUIRED, cuMemSetAccess, cuMemSetAccess, 10020,                                                                   \
    (cu_deviceptr address, size_t bytes, const cu_mem_access *access, size_t count))                                   \
  F(REQUIRED, cuMemGetAllocationGranularity, cuMemGetAllocationGranularity, 10020,                                     \
    (size_t * bytes, const cu_mem_prop *prop, cu_granularity which))                                                   \
  F(REQUIRED, cuMemExportToShareableHandle, cuMemExportToShareableHandle, 10020,                                       \
    (void *exported, cu_mem_handle handle, cu_handle_type type, unsigned long long flags))                             \
  F(REQUIRED, cuMemImportFromShareableHandle, cuMemImportFromShareableHandle, 10020,                                   \
    (cu_mem_handle * handle, void *exported, cu_handle_type type))                                                     \
  F(REQUIRED, cuMemRetainAllocationHandle, cuMemRetainAllocationHandle, 11000,                                         \
    (cu_mem_handle * handle, void *address))                                                                           \
  F(REQUIRED, cuMemGetAllocationPropertiesFromHandle, cuMemGetAllocationPropertiesFromHandle, 10020,                   \
    (cu_mem_prop * prop, cu_mem_handle handle))                                                                        \
  F(REQUIRED, cuIpcGetEventHandle, cuIpcGetEventHandle, 4010, (cu_ipc_event_handle * handle, cu_event event))          \
  F(REQUIRED, cuIpcOpenEventHandle, cuIpcOpenEventHandle, 4010, (cu_event * event, cu_ipc_event_handle handle))        \
  F(REQUIRED, cuIpcGetMemHandle, cuIpcGetMemHandle, 4010, (cu_ipc_mem_handle * handle, cu_deviceptr address))          \
  F(REQUIRED, cuIpcOpenMemHandle, cuIpcOpenMemHandle_v2, 11000,                                                        \
    (cu_deviceptr * address, cu_ipc_mem_handle handle, unsigned flags))                                                \
  F(REQUIRED, cuIpcCloseMemHandle, cuIpcCloseMemHandle, 4010, (cu_deviceptr address))                                  \
  F(OPTIONAL, cuMemPoolCreate, cuMemPoolCreate, 11020, (cu_pool * pool, const cu_pool_props *props))                   \
  F(OPTIONAL, cuMemPoolDestroy, cuMemPoolDestroy, 11020, (cu_pool pool))                                               \
  F(OPTIONAL, cuMemPoolSetAccess, cuMemPoolSetAccess, 11020,                                                           \
    (cu_pool pool, const cu_mem_access *access, size_t count))                                                         \
  F(OPTIONAL, cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync, 11020,                                                 \
    (cu_deviceptr * address, size_t bytes, cu_pool pool, cu_stream stream))                                            \
  F(OPTIONAL, cuMemPoolExportToShareableHandle, cuMemPoolExportToShareableHandle, 11020,                               \
    (void *exported, cu_pool pool, cu_handle_type type, unsigned long long flags))                                     \
  F(OPTIONAL, cuMemPoolImportFromShareableHandle, cuMemPoolImportFromShareableHandle, 11020,                           \
    (cu_pool * pool, void *exported, cu_handle_type type, unsigned long long flags))                                   \
  F(OPTIONAL, cuMemPoolExportPointer, cuMemPoolExportPointer, 11020,                                                   \
    (cu_pool_pointer * exported, cu_deviceptr address))                                                                \
  F(OPTIONAL, cuMemPoolImportPointer, cuMemPoolImportPointer, 11020,                                                   \
    (cu_deviceptr * address, cu_pool pool, cu_pool_pointer * exported))

#define CF_CUDA_FUNCTIONS_WORK(F)                                                                                      \
  F(OPTIONAL, cuGraphGetNodes, cuGraphGetNodes, 10000, (cu_graph graph, cu_graph_node * nodes, size_t * count))        \
  F(OPTIONAL, cuGraphInstantiateWithFlags, cuGraphInstantiateWithFlags, 11040,                                         \
    (cu_graph_exec * exec, cu_graph graph, unsigned long long flags))                                                  \
  F(OPTIONAL, cuGraphLaunch, cuGraphLaunch, 10000, (cu_graph_exec exec, cu_stream stream))                             \
  F(OPTIONAL, cuGraphExecDestroy, cuGraphExecDestroy, 10000, (cu_graph_exec exec))                                     \
  F(OPTIONAL, cuGraphDestroy, cuGraphDestroy, 10000, (cu_graph graph))                                                 \
  F(OPTIONAL, cuMemcpyHtoD, cuMemcpyHtoD_v2, 3020, (cu_deviceptr to, const void *from, size_t bytes))                  \
  F(OPTIONAL, cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, 3020,                                                           \
    (cu_deviceptr to, const void *from, size_t bytes, cu_stream stream))                                               \
  F(OPTIONAL, cuMemcpyDtoH, cuMemcpyDtoH_v2, 3020, (void *to, cu_deviceptr from, size_t bytes))                        \
  F(OPTIONAL, cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, 3020,                                                           \
    (void *to, cu_deviceptr from, size_t bytes, cu_stream stream))                                                     \
  F(OPTIONAL, cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2, 3020,                                                           \
    (cu_deviceptr to, cu_deviceptr from, size_t bytes, cu_stream stream))                                              \
  F(REQUIRED, cuMemcpy2DAsync, cuMemcpy2DAsync_v2, 3020, (const cu_copy_2d *copy, cu_stream stream))                   \
  F(OPTIONAL, cuMemsetD8, cuMemsetD8_v2, 3020, (cu_deviceptr address, unsigned char value, size_t bytes))              \
  F(REQUIRED, cuMemsetD8Async, cuMemsetD8Async, 3020,                                                                  \
    (cu_deviceptr address, unsigned char value, size_t bytes, cu_stream stream))                                       \
  F(OPTIONAL, cuModuleLoadData, cuModuleLoadData, 2000, (cu_module * module, const void *image))                       \
  F(OPTIONAL, cuModuleGetFunction, cuModuleGetFunction, 2000,                                                          \
    (cu_function * function, cu_module module, const char *name))                                                      \
  F(OPTIONAL, cuModuleUnload, cuModuleUnload, 2000, (cu_module module))                                                \
  F(OPTIONAL, cuLaunchKernel, cuLaunchKernel, 4000,                                                                    \
    (cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,      \
     unsigned block_z, unsigned shared_bytes, cu_stream stream, void **parameters, void **extra))

#endif
