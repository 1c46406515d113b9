/* device/cuda/cuda.h - what the parts of the CUDA device share: cuda.c (which GPU, which context), memory.c (segments),
 * order.c (streams, counters, events, copies).
 *
 * Each call makes its context current on the calling thread and puts back what was there before.
 */
#ifndef CF_DEVICE_CUDA_CUDA_H
#define CF_DEVICE_CUDA_CUDA_H

#include <pthread.h>

#include "device/cuda/driver.h"
#include "device/device.h"
#include "os/futex.h"

typedef struct cf_cuda_legacy cf_cuda_legacy;

typedef struct cf_cuda {
  cf_device device; /* first: the caller's pointer is this one's */
  cf_cuda_driver driver;
  cu_device gpu; /* that segments are made on or mapped for */
  cu_context context;
  bool retained;      /* the primary context, ours to release; else one that the application keeps */
  bool can_export;    /* VMM by descriptor */
  bool can_time;      /* 64-bit stream memory operations */
  cu_stream stream;   /* of copies that are done when they return */
  cu_stream side;     /* of counters that are written behind other streams, which need not wait for that */
  cu_event behind;    /* what `side` waits for, or is waited for by */
  cf_counter checked; /* the stream that was found good last */
  cf_flag lost;
  pthread_mutex_t lock;   /* of what follows */
  cf_cuda_legacy *opened; /* legacy handles, each once */
} cf_cuda;

/* As cf_cuda_check(), remembers when the context is lost, and names the driver's function, as one would search for it:
 * call is the text of what gave the result. */
int cf_cuda_result(cf_cuda *cuda, cu_result result, const char *call, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define cf_cuda_result(cuda, result, ...) (cf_cuda_result)(cuda, result, #result, __VA_ARGS__)

/* Makes the context current, if it is not; every enter that succeeded is followed by a leave. */
int cf_cuda_enter(cf_cuda *cuda, bool *pushed);
void cf_cuda_leave(cf_cuda *cuda, bool pushed);

/* Waits for all work in the context, which is current: what it uses may be freed then. */
void cf_cuda_drain(cf_cuda *cuda);

/* memory.c */
int cf_cuda_segment_create(cf_device *device, uint64_t bytes, cf_device_segment *segment);
int cf_cuda_segment_adopt(cf_device *device, void *address, uint64_t bytes, cf_device_segment *segment);
int cf_cuda_segment_import(cf_device *device, const cf_device_export *from, cf_device_segment *segment);
void cf_cuda_segment_destroy(cf_device *device, cf_device_segment *segment);

/* order.c */
int cf_cuda_copy_to_host(cf_device *device, cf_rows host, cf_rows from, size_t row_bytes, uint32_t rows);
int cf_cuda_copy_from_host(cf_device *device, cf_rows to, cf_rows host, size_t row_bytes, uint32_t rows);
int cf_cuda_copy_on(cf_device *device, void *stream, cf_rows to, cf_rows from, size_t row_bytes, uint32_t rows);
int cf_cuda_stream_begin(cf_device *device, void *stream, bool *began);
void cf_cuda_stream_end(cf_device *device, bool began);
int cf_cuda_stream_capture_check(cf_device *device, void *stream);
int cf_cuda_counters_open(cf_device *device, void *memory, uint64_t bytes, cf_device_counters *counters);
void cf_cuda_counters_close(cf_device *device, cf_device_counters *counters);
int cf_cuda_counters_write(cf_device *device, void *stream, const cf_device_write *writes, uint32_t count);
int cf_cuda_counter_write_on_side(cf_device *device, void *stream, const cf_device_write *write);
void cf_cuda_stream_drain(cf_device *device, void *stream);
int cf_cuda_side_wait(cf_device *device, void *stream);
int cf_cuda_counter_wait(cf_device *device, void *stream, const cf_device_write *wait);
int cf_cuda_event_create(cf_device *device, void **event, uint8_t handle[64]);
int cf_cuda_event_import(cf_device *device, const uint8_t handle[64], void **event);
void cf_cuda_event_destroy(cf_device *device, void *event);
int cf_cuda_event_record(cf_device *device, void *event, void *stream);
int cf_cuda_event_wait(cf_device *device, void *event, void *stream);
void cf_cuda_settle(cf_device *device);

#endif
