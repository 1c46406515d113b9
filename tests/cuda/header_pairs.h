/* header_pairs.h - which type of src/device/cuda/types.h stands for which of the real cuda.h, as a list. */
#ifndef HEADER_PAIRS_H
#define HEADER_PAIRS_H

/* F(ours, theirs): integers and enumerations, of one size and both signed or unsigned, but for cu_result: the driver's
 * is unsigned to the compiler, has small values only and comes back in the same register. */
#define NUMBER_PAIRS(F)                                                                                                \
  F(cu_result, CUresult)                                                                                               \
  F(cu_device, CUdevice)                                                                                               \
  F(cu_deviceptr, CUdeviceptr)                                                                                         \
  F(cu_mem_handle, CUmemGenericAllocationHandle)                                                                       \
  F(cu_device_attribute, CUdevice_attribute)                                                                           \
  F(cu_pointer_attribute, CUpointer_attribute)                                                                         \
  F(cu_handle_type, CUmemAllocationHandleType)                                                                         \
  F(cu_granularity, CUmemAllocationGranularity_flags)                                                                  \
  F(cu_memory_type, CUmemorytype)                                                                                      \
  F(cu_symbol_status, CUdriverProcAddressQueryResult)                                                                  \
  F(cu_capture_status, CUstreamCaptureStatus)                                                                          \
  F(cu_capture_mode, CUstreamCaptureMode)

/* Pointers to what only the driver knows. */
#define POINTER_PAIRS(F)                                                                                               \
  F(cu_context, CUcontext)                                                                                             \
  F(cu_stream, CUstream)                                                                                               \
  F(cu_event, CUevent)                                                                                                 \
  F(cu_module, CUmodule)                                                                                               \
  F(cu_function, CUfunction)                                                                                           \
  F(cu_pool, CUmemoryPool)                                                                                             \
  F(cu_graph, CUgraph)                                                                                                 \
  F(cu_graph_node, CUgraphNode)                                                                                        \
  F(cu_graph_exec, CUgraphExec)                                                                                        \
  F(cu_host_function, CUhostFn)

#define STRUCT_PAIRS(F)                                                                                                \
  F(cu_uuid, CUuuid)                                                                                                   \
  F(cu_ipc_mem_handle, CUipcMemHandle)                                                                                 \
  F(cu_ipc_event_handle, CUipcEventHandle)                                                                             \
  F(cu_pool_pointer, CUmemPoolPtrExportData)                                                                           \
  F(cu_mem_location, CUmemLocation)                                                                                    \
  F(cu_mem_prop, CUmemAllocationProp)                                                                                  \
  F(cu_mem_access, CUmemAccessDesc)                                                                                    \
  F(cu_pool_props, CUmemPoolProps)                                                                                     \
  F(cu_copy_2d, CUDA_MEMCPY2D)                                                                                         \
  F(cu_batch_op, CUstreamBatchMemOpParams)

/* F(ours, field, theirs, field): every field that has a meaning. */
#define FIELD_PAIRS(F)                                                                                                 \
  F(cu_uuid, bytes, CUuuid, bytes)                                                                                     \
  F(cu_ipc_mem_handle, bytes, CUipcMemHandle, reserved)                                                                \
  F(cu_ipc_event_handle, bytes, CUipcEventHandle, reserved)                                                            \
  F(cu_pool_pointer, bytes, CUmemPoolPtrExportData, reserved)                                                          \
  F(cu_mem_location, type, CUmemLocation, type)                                                                        \
  F(cu_mem_location, id, CUmemLocation, id)                                                                            \
  F(cu_mem_prop, type, CUmemAllocationProp, type)                                                                      \
  F(cu_mem_prop, handle_types, CUmemAllocationProp, requestedHandleTypes)                                              \
  F(cu_mem_prop, location, CUmemAllocationProp, location)                                                              \
  F(cu_mem_prop, windows_only, CUmemAllocationProp, win32HandleMetaData)                                               \
  F(cu_mem_prop, flags, CUmemAllocationProp, allocFlags)                                                               \
  F(cu_mem_prop, flags.compression, CUmemAllocationProp, allocFlags.compressionType)                                   \
  F(cu_mem_prop, flags.rdma_capable, CUmemAllocationProp, allocFlags.gpuDirectRDMACapable)                             \
  F(cu_mem_prop, flags.usage, CUmemAllocationProp, allocFlags.usage)                                                   \
  F(cu_mem_prop, flags.reserved, CUmemAllocationProp, allocFlags.reserved)                                             \
  F(cu_mem_access, location, CUmemAccessDesc, location)                                                                \
  F(cu_mem_access, flags, CUmemAccessDesc, flags)                                                                      \
  F(cu_pool_props, type, CUmemPoolProps, allocType)                                                                    \
  F(cu_pool_props, handle_types, CUmemPoolProps, handleTypes)                                                          \
  F(cu_pool_props, location, CUmemPoolProps, location)                                                                 \
  F(cu_pool_props, windows_only, CUmemPoolProps, win32SecurityAttributes)                                              \
  F(cu_copy_2d, from_x, CUDA_MEMCPY2D, srcXInBytes)                                                                    \
  F(cu_copy_2d, from_y, CUDA_MEMCPY2D, srcY)                                                                           \
  F(cu_copy_2d, from_type, CUDA_MEMCPY2D, srcMemoryType)                                                               \
  F(cu_copy_2d, from_host, CUDA_MEMCPY2D, srcHost)                                                                     \
  F(cu_copy_2d, from_device, CUDA_MEMCPY2D, srcDevice)                                                                 \
  F(cu_copy_2d, from_array, CUDA_MEMCPY2D, srcArray)                                                                   \
  F(cu_copy_2d, from_pitch, CUDA_MEMCPY2D, srcPitch)                                                                   \
  F(cu_copy_2d, to_x, CUDA_MEMCPY2D, dstXInBytes)                                                                      \
  F(cu_copy_2d, to_y, CUDA_MEMCPY2D, dstY)                                                                             \
  F(cu_copy_2d, to_type, CUDA_MEMCPY2D, dstMemoryType)                                                                 \
  F(cu_copy_2d, to_host, CUDA_MEMCPY2D, dstHost)                                                                       \
  F(cu_copy_2d, to_device, CUDA_MEMCPY2D, dstDevice)                                                                   \
  F(cu_copy_2d, to_array, CUDA_MEMCPY2D, dstArray)                                                                     \
  F(cu_copy_2d, to_pitch, CUDA_MEMCPY2D, dstPitch)                                                                     \
  F(cu_copy_2d, width, CUDA_MEMCPY2D, WidthInBytes)                                                                    \
  F(cu_copy_2d, height, CUDA_MEMCPY2D, Height)                                                                         \
  F(cu_batch_op, operation, CUstreamBatchMemOpParams, operation)                                                       \
  F(cu_batch_op, value.operation, CUstreamBatchMemOpParams, waitValue.operation)                                       \
  F(cu_batch_op, value.address, CUstreamBatchMemOpParams, waitValue.address)                                           \
  F(cu_batch_op, value.value, CUstreamBatchMemOpParams, waitValue.value64)                                             \
  F(cu_batch_op, value.flags, CUstreamBatchMemOpParams, waitValue.flags)                                               \
  F(cu_batch_op, value.alias, CUstreamBatchMemOpParams, waitValue.alias)                                               \
  F(cu_batch_op, value.operation, CUstreamBatchMemOpParams, writeValue.operation)                                      \
  F(cu_batch_op, value.address, CUstreamBatchMemOpParams, writeValue.address)                                          \
  F(cu_batch_op, value.value, CUstreamBatchMemOpParams, writeValue.value64)                                            \
  F(cu_batch_op, value.flags, CUstreamBatchMemOpParams, writeValue.flags)                                              \
  F(cu_batch_op, value.alias, CUstreamBatchMemOpParams, writeValue.alias)                                              \
  F(cu_batch_op, pad, CUstreamBatchMemOpParams, pad)

/* Compares every prototype and gives how many differ; *compared counts them all. */
int header_prototypes(int *compared);

#endif
