/* gpu_state.h - the GPU as the doctor sees it: the driver by itself, without the library. */
#ifndef CUFRAMES_DOCTOR_GPU_STATE_H
#define CUFRAMES_DOCTOR_GPU_STATE_H

#include "doctor.h"

/* Of what is wrong with a GPU: a problem where one is asked for, or, without a NAME, where there is one; else note. */
enum finding_state gpu_severity(const doctor *d);
/* Whether a GPU has nothing to do with it: host memory is asked for, or the stream lies there. */
bool gpu_is_beside_the_point(const doctor *d);

/* Attributes of a GPU, by the driver's numbers. */
enum gpu_attribute {
  GPU_INTEGRATED = 18,
  GPU_COMPUTE_MODE = 20,
  GPU_UNIFIED_ADDRESSES = 41,
  GPU_VMM = 102,
  GPU_DESCRIPTORS = 103,
  GPU_STREAM_OPERATIONS = 122,
  GPU_LEGACY = 125,
  GPU_MPS = 133
};

#define GPUS_MOST 64
#define GPU_NAME 64

typedef struct gpu_driver {
  void *library;
  int version; /* of CUDA: 1000 * major + 10 * minor */
  int count;
  char device[GPUS_MOST][GPU_NAME]; /* "cuda:GPU-UUID" */
  char name[GPUS_MOST][GPU_NAME];
  int (*get_version)(int *version);
  int (*init)(unsigned flags);
  int (*error_name)(int error, const char **name);
  int (*error_text)(int error, const char **text);
  int (*device_count)(int *count);
  int (*device_name)(char *name, int size, int device);
  int (*device_uuid)(unsigned char uuid[16], int device);
  int (*attribute)(int *value, unsigned attribute, int device);
  int (*can_access_peer)(int *can, int device, int peer);
  void *write_value, *wait_value, *batch; /* of streams, 64 bits; NULL: the driver has none */
} gpu_driver;

/* The steps of loading it, in this order. The first gives false with the loader's sentence in why. */
bool gpu_driver_load(gpu_driver *driver, char *why, size_t size);
/* The driver's error of its start, 0: none. Then count, device and name are filled. */
int gpu_driver_start(gpu_driver *driver);
/* "CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)". */
void gpu_driver_error(const gpu_driver *driver, int error, char *text, size_t size);
/* -1: the driver does not know it. */
int gpu_driver_attribute(const gpu_driver *driver, int gpu, enum gpu_attribute which);
/* The GPU that "cuda", "cuda:N" or "cuda:GPU-UUID" is; -1: none. */
int gpu_driver_find(const gpu_driver *driver, const char *device);
/* The file that was loaded, links followed. */
bool gpu_driver_file(const gpu_driver *driver, char *path, size_t size);

#endif
