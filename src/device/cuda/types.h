/* device/cuda/types.h - the CUDA driver's types that this project uses, declared anew: no toolkit is needed to build.
 *
 * Sizes, offsets and values are compared with the real cuda.h by tests/cuda/test_header.c where one is installed.
 */
#ifndef CF_DEVICE_CUDA_TYPES_H
#define CF_DEVICE_CUDA_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef int cu_result; /* CUDA_SUCCESS or CUDA_ERROR_*; a driver may give values that constants.h does not list */
typedef int cu_device; /* an ordinal of this process; never leaves it */
typedef uint64_t cu_deviceptr;
typedef uint64_t cu_mem_handle; /* a VMM allocation */

typedef struct cu_context_opaque *cu_context;
typedef struct cu_stream_opaque *cu_stream; /* NULL: the legacy default stream */
typedef struct cu_event_opaque *cu_event;
typedef struct cu_module_opaque *cu_module;
typedef struct cu_function_opaque *cu_function;
typedef struct cu_pool_opaque *cu_pool;
typedef struct cu_graph_opaque *cu_graph;
typedef struct cu_graph_node_opaque *cu_graph_node;
typedef struct cu_graph_exec_opaque *cu_graph_exec;

/* The driver's enumerations, as wide as it has them. */
typedef unsigned cu_device_attribute;
typedef unsigned cu_pointer_attribute;
typedef unsigned cu_handle_type;
typedef unsigned cu_granularity;
typedef unsigned cu_memory_type;
typedef unsigned cu_symbol_status;
typedef unsigned cu_capture_status;
typedef unsigned cu_capture_mode;

typedef void (*cu_host_function)(void *user);

typedef struct cu_uuid {
  unsigned char bytes[16];
} cu_uuid;

typedef struct cu_ipc_mem_handle {
  unsigned char bytes[64];
} cu_ipc_mem_handle;

typedef struct cu_ipc_event_handle {
  unsigned char bytes[64];
} cu_ipc_event_handle;

typedef struct cu_pool_pointer {
  unsigned char bytes[64];
} cu_pool_pointer;

typedef struct cu_mem_location {
  unsigned type; /* CU_MEM_LOCATION_TYPE_ */
  int id;        /* a cu_device */
} cu_mem_location;

typedef struct cu_mem_prop {
  unsigned type;         /* CU_MEM_ALLOCATION_TYPE_ */
  unsigned handle_types; /* CU_MEM_HANDLE_TYPE_ that it shall be exported as */
  cu_mem_location location;
  void *windows_only;
  struct {
    unsigned char compression;
    unsigned char rdma_capable;
    unsigned short usage;
    unsigned char reserved[4];
  } flags;
} cu_mem_prop;

typedef struct cu_mem_access {
  cu_mem_location location;
  unsigned flags; /* CU_MEM_ACCESS_FLAGS_ */
} cu_mem_access;

typedef struct cu_pool_props {
  unsigned type;         /* CU_MEM_ALLOCATION_TYPE_ */
  unsigned handle_types; /* CU_MEM_HANDLE_TYPE_ */
  cu_mem_location location;
  void *windows_only;
  /* Newer drivers have size_t max_size and unsigned short usage here; 0 means none in both. */
  unsigned char reserved[64];
} cu_pool_props;

/* All of its numbers are bytes but y and height. */
typedef struct cu_copy_2d {
  size_t from_x, from_y;
  cu_memory_type from_type;
  const void *from_host;
  cu_deviceptr from_device;
  void *from_array;
  size_t from_pitch;
  size_t to_x, to_y;
  cu_memory_type to_type;
  void *to_host;
  cu_deviceptr to_device;
  void *to_array;
  size_t to_pitch;
  size_t width;
  size_t height;
} cu_copy_2d;

/* One operation of a batch. Waits and writes of values are laid out alike. */
typedef union cu_batch_op {
  unsigned operation; /* CU_STREAM_MEM_OP_ */
  struct {
    unsigned operation;
    cu_deviceptr address;
    uint64_t value;
    unsigned flags;     /* CU_STREAM_WAIT_VALUE_ or CU_STREAM_WRITE_VALUE_ */
    cu_deviceptr alias; /* the driver's own */
  } value;
  uint64_t pad[6];
} cu_batch_op;

#endif
