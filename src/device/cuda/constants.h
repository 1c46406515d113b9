/* device/cuda/constants.h - the CUDA driver's constants that this project uses, as lists: F(name, value).
 *
 * driver.h makes enumerators of them; tests/cuda/test_header.c compares each with the real cuda.h. One that is needed
 * and not here is added here, nowhere else.
 */
#ifndef CF_DEVICE_CUDA_CONSTANTS_H
#define CF_DEVICE_CUDA_CONSTANTS_H

#define CF_CUDA_RESULTS(F)                                                                                             \
  F(CUDA_SUCCESS, 0)                                                                                                   \
  F(CUDA_ERROR_INVALID_VALUE, 1)                                                                                       \
  F(CUDA_ERROR_OUT_OF_MEMORY, 2)                                                                                       \
  F(CUDA_ERROR_NOT_INITIALIZED, 3)                                                                                     \
  F(CUDA_ERROR_DEINITIALIZED, 4)                                                                                       \
  F(CUDA_ERROR_STUB_LIBRARY, 34)                                                                                       \
  F(CUDA_ERROR_DEVICE_UNAVAILABLE, 46)                                                                                 \
  F(CUDA_ERROR_NO_DEVICE, 100)                                                                                         \
  F(CUDA_ERROR_INVALID_DEVICE, 101)                                                                                    \
  F(CUDA_ERROR_INVALID_IMAGE, 200)                                                                                     \
  F(CUDA_ERROR_INVALID_CONTEXT, 201)                                                                                   \
  F(CUDA_ERROR_MAP_FAILED, 205)                                                                                        \
  F(CUDA_ERROR_NO_BINARY_FOR_GPU, 209)                                                                                 \
  F(CUDA_ERROR_ECC_UNCORRECTABLE, 214)                                                                                 \
  F(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, 217)                                                                           \
  F(CUDA_ERROR_INVALID_PTX, 218)                                                                                       \
  F(CUDA_ERROR_NVLINK_UNCORRECTABLE, 220)                                                                              \
  F(CUDA_ERROR_OPERATING_SYSTEM, 304)                                                                                  \
  F(CUDA_ERROR_INVALID_HANDLE, 400)                                                                                    \
  F(CUDA_ERROR_NOT_FOUND, 500)                                                                                         \
  F(CUDA_ERROR_NOT_READY, 600)                                                                                         \
  F(CUDA_ERROR_ILLEGAL_ADDRESS, 700)                                                                                   \
  F(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701)                                                                           \
  F(CUDA_ERROR_LAUNCH_TIMEOUT, 702)                                                                                    \
  F(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, 704)                                                                       \
  F(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, 705)                                                                           \
  F(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709)                                                                              \
  F(CUDA_ERROR_ASSERT, 710)                                                                                            \
  F(CUDA_ERROR_TOO_MANY_PEERS, 711)                                                                                    \
  F(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712)                                                                    \
  F(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713)                                                                        \
  F(CUDA_ERROR_HARDWARE_STACK_ERROR, 714)                                                                              \
  F(CUDA_ERROR_ILLEGAL_INSTRUCTION, 715)                                                                               \
  F(CUDA_ERROR_MISALIGNED_ADDRESS, 716)                                                                                \
  F(CUDA_ERROR_INVALID_ADDRESS_SPACE, 717)                                                                             \
  F(CUDA_ERROR_INVALID_PC, 718)                                                                                        \
  F(CUDA_ERROR_LAUNCH_FAILED, 719)                                                                                     \
  F(CUDA_ERROR_NOT_PERMITTED, 800)                                                                                     \
  F(CUDA_ERROR_NOT_SUPPORTED, 801)                                                                                     \
  F(CUDA_ERROR_SYSTEM_NOT_READY, 802)                                                                                  \
  F(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803)                                                                            \
  F(CUDA_ERROR_MPS_CONNECTION_FAILED, 805)                                                                             \
  F(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900)                                                                        \
  F(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901)                                                                        \
  F(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905)                                                                          \
  F(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 906)                                                                           \
  F(CUDA_ERROR_UNKNOWN, 999)

#define CF_CUDA_DEVICE_ATTRIBUTES(F)                                                                                   \
  F(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 14)                                                                         \
  F(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16)                                                                      \
  F(CU_DEVICE_ATTRIBUTE_INTEGRATED, 18)                                                                                \
  F(CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 19)                                                                       \
  F(CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 20)                                                                              \
  F(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 33)                                                                                \
  F(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 34)                                                                             \
  F(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 40)                                                                        \
  F(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 41)                                                                        \
  F(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 50)                                                                             \
  F(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)                                                                  \
  F(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)                                                                  \
  F(CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 91)                                                   \
  F(CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 99)                                                                   \
  F(CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED, 102)                                                     \
  F(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 103)                                              \
  F(CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED, 113)                                                        \
  F(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 115)                                                                   \
  F(CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES, 119)                                                           \
  F(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 122)                                                            \
  F(CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED, 125)

/* Headers before CUDA 13.0 need not have these. A driver answers INVALID_VALUE when it is asked for what it does not
 * know, so with an old one these and the last two above. */
#define CF_CUDA_NEWER_DEVICE_ATTRIBUTES(F) F(CU_DEVICE_ATTRIBUTE_MPS_ENABLED, 133)

#define CF_CUDA_POINTER_ATTRIBUTES(F)                                                                                  \
  F(CU_POINTER_ATTRIBUTE_CONTEXT, 1)                                                                                   \
  F(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 2)                                                                               \
  F(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, 3)                                                                            \
  F(CU_POINTER_ATTRIBUTE_HOST_POINTER, 4)                                                                              \
  F(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 6)                                                                               \
  F(CU_POINTER_ATTRIBUTE_BUFFER_ID, 7)                                                                                 \
  F(CU_POINTER_ATTRIBUTE_IS_MANAGED, 8)                                                                                \
  F(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 9)                                                                            \
  F(CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, 10)                                                               \
  F(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, 11)                                                                         \
  F(CU_POINTER_ATTRIBUTE_RANGE_SIZE, 12)                                                                               \
  F(CU_POINTER_ATTRIBUTE_MAPPED, 13)                                                                                   \
  F(CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, 14)                                                                     \
  F(CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, 16)                                                                             \
  F(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, 17)

#define CF_CUDA_FLAGS(F)                                                                                               \
  F(CU_GET_PROC_ADDRESS_LEGACY_STREAM, 1)                                                                              \
  F(CU_STREAM_DEFAULT, 0)                                                                                              \
  F(CU_STREAM_NON_BLOCKING, 1)                                                                                         \
  F(CU_EVENT_DEFAULT, 0)                                                                                               \
  F(CU_EVENT_BLOCKING_SYNC, 1)                                                                                         \
  F(CU_EVENT_DISABLE_TIMING, 2)                                                                                        \
  F(CU_EVENT_INTERPROCESS, 4)                                                                                          \
  F(CU_STREAM_CAPTURE_MODE_RELAXED, 2)                                                                                 \
  F(CU_STREAM_CAPTURE_STATUS_NONE, 0)                                                                                  \
  F(CU_STREAM_CAPTURE_STATUS_ACTIVE, 1)                                                                                \
  F(CU_STREAM_CAPTURE_STATUS_INVALIDATED, 2)                                                                           \
  F(CU_STREAM_WAIT_VALUE_GEQ, 0)                                                                                       \
  F(CU_STREAM_WAIT_VALUE_EQ, 1)                                                                                        \
  F(CU_STREAM_WAIT_VALUE_AND, 2)                                                                                       \
  F(CU_STREAM_WAIT_VALUE_NOR, 3)                                                                                       \
  F(CU_STREAM_WRITE_VALUE_DEFAULT, 0)                                                                                  \
  F(CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER, 1)                                                                        \
  F(CU_STREAM_MEM_OP_WAIT_VALUE_64, 4)                                                                                 \
  F(CU_STREAM_MEM_OP_WRITE_VALUE_64, 5)                                                                                \
  F(CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, 1)                                                                             \
  F(CU_MEMHOSTREGISTER_PORTABLE, 1)                                                                                    \
  F(CU_MEMHOSTREGISTER_DEVICEMAP, 2)                                                                                   \
  F(CU_MEMHOSTREGISTER_READ_ONLY, 8)                                                                                   \
  F(CU_MEMHOSTALLOC_PORTABLE, 1)                                                                                       \
  F(CU_MEMHOSTALLOC_DEVICEMAP, 2)                                                                                      \
  F(CU_MEMHOSTALLOC_WRITECOMBINED, 4)                                                                                  \
  F(CU_MEMORYTYPE_HOST, 1)                                                                                             \
  F(CU_MEMORYTYPE_DEVICE, 2)                                                                                           \
  F(CU_MEMORYTYPE_UNIFIED, 4)                                                                                          \
  F(CU_MEM_ALLOCATION_TYPE_PINNED, 1)                                                                                  \
  F(CU_MEM_LOCATION_TYPE_DEVICE, 1)                                                                                    \
  F(CU_MEM_HANDLE_TYPE_NONE, 0)                                                                                        \
  F(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 1)                                                                       \
  F(CU_MEM_ACCESS_FLAGS_PROT_NONE, 0)                                                                                  \
  F(CU_MEM_ACCESS_FLAGS_PROT_READ, 1)                                                                                  \
  F(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, 3)                                                                             \
  F(CU_MEM_ALLOC_GRANULARITY_MINIMUM, 0)                                                                               \
  F(CU_MEM_ALLOC_GRANULARITY_RECOMMENDED, 1)

#endif
