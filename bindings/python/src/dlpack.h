/* dlpack.h - DLPack's structs, as its specification lays them out. */
#ifndef CUFRAMES_PYTHON_DLPACK_H
#define CUFRAMES_PYTHON_DLPACK_H

#include <stdint.h>

typedef struct dl_tensor {
  void *data;
  int32_t device_type, device_index, dims;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides; /* strides: elements; NULL: packed */
  uint64_t byte_offset;
} dl_tensor;

typedef struct dl_unversioned {
  dl_tensor tensor;
  void *context;
  void (*deleter)(struct dl_unversioned *self);
} dl_unversioned;

typedef struct dl_versioned {
  uint32_t major, minor;
  void *context;
  void (*deleter)(struct dl_versioned *self);
  uint64_t flags;
  dl_tensor tensor;
} dl_versioned;

enum { DL_HOST = 1, DL_GPU = 2, DL_GPU_HOST = 3, DL_GPU_MANAGED = 13 };

#endif
