/* gpu.h - a GPU as this library's objects use it: driver, context and kernels, and the order of work on streams.
 *
 * Nothing here waits for work on a stream but cf_gpu_settle(), cf_gpu_close() and cf_tables_close(), and those for the
 * object's own. Calls that fail leave the driver's code and text, and the name of the call, for cuframes_last_error().
 */
#ifndef CF_VISION_CUDA_GPU_H
#define CF_VISION_CUDA_GPU_H

#include <stdbool.h>
#include <sys/types.h>

#include "vision/cuda/driver.h"
#include "vision/cuda/launch.h"
#include "vision/cuda/module.h"

/* Streams whose work is remembered one by one; with more of them, some come to wait for others. */
#define CF_GPU_STREAMS 8

/* The last work of ours on a stream. */
typedef struct cf_gpu_work {
  cu_event event;
  cu_stream stream;
  bool used;
} cf_gpu_work;

typedef struct cf_gpu {
  cf_cuda_driver driver;
  cu_device device;
  cu_context context;
  bool retained; /* the primary context, ours to release; else one that the application keeps */
  pid_t process; /* CUDA does not survive a fork */
  cf_module *module;
  cf_gpu_work work[CF_GPU_STREAMS];
  uint32_t oldest; /* of them, the next to be used anew */
  bool unknown;    /* there is work that no event stands for: the driver recorded none */
} cf_gpu;

/* Opens the GPU of that name, loads the kernels, and gives the device's own name (CUFRAMES_DEVICE_NAME_MAX + 1 bytes).
 * After a failure there is nothing to close.
 * Errors: UNSUPPORTED, DEVICE, NO_MEMORY. */
int cf_gpu_open(cf_gpu *gpu, const char *device, char *name);
/* Waits for the work that was noted: what it uses may be freed then. With the context current. */
void cf_gpu_settle(cf_gpu *gpu);
/* Settles, and ends it all. In a forked child it does nothing. */
void cf_gpu_close(cf_gpu *gpu);

/* The kernel of that name. With the context current, as everything below. */
int cf_gpu_kernel(cf_gpu *gpu, const char *name, cu_function *kernel);

/* Makes the context current; every enter that succeeded is followed by a leave.
 * Errors: INVALID (in a forked child), DEVICE. */
int cf_gpu_enter(cf_gpu *gpu, bool *pushed);
void cf_gpu_leave(cf_gpu *gpu, bool pushed);

/* Whether a stream may be used, and whether it captures a CUDA graph.
 * Errors: INVALID (a stream of another context), DEVICE. */
int cf_gpu_stream(cf_gpu *gpu, cu_stream stream, bool *capturing);

/* From here on to the second call this thread's driver calls cannot spoil what other threads capture: those that ask or
 * allocate would, though they have nothing to do with it. */
cu_capture_mode cf_gpu_beside_captures(cf_gpu *gpu);
void cf_gpu_beside_captures_end(cf_gpu *gpu, cu_capture_mode before);

/* Launches blocks of CF_BLOCK_WIDTH x CF_BLOCK_HEIGHT threads. */
int cf_gpu_launch(cf_gpu *gpu, cu_function kernel, const uint32_t blocks[3], cu_stream stream, void **parameters);

/* Remembers that there is work of ours on the stream, for cf_gpu_close(). One thread at a time. */
int cf_gpu_note(cf_gpu *gpu, cu_stream stream);
/* Waits for an event, however that may be done. */
void cf_gpu_event_wait(cf_gpu *gpu, cu_event event);

/* cf_cuda_check() with the name of the driver's function, which is the text of the call. */
int cf_gpu_result(const cf_gpu *gpu, cu_result result, const char *call, const char *what);
#define CF_GPU_CALL(gpu, function, what, ...) cf_gpu_result(gpu, (gpu)->driver.function(__VA_ARGS__), #function, what)

/* Words of the GPU's memory become those, in order on the stream, by launches that carry them as parameters. */
int cf_gpu_fill(cf_gpu *gpu, cu_function fill, cu_deviceptr to, const void *from, size_t bytes, cu_stream stream);

/* ---- tables: what is too much for a kernel's parameters ---- */

#define CF_TABLES 4

/* Device memory, the pinned memory that it is filled from, and when both are free again. */
typedef struct cf_table {
  cu_deviceptr device;
  void *host;
  cu_event event;
  bool used, lost;
} cf_table;

typedef struct cf_tables {
  cu_deviceptr device; /* of all */
  void *host;
  cf_table table[CF_TABLES];
  uint32_t oldest;
} cf_tables;

/* Each of that many bytes. */
int cf_tables_open(cf_gpu *gpu, cf_tables *tables, size_t bytes);
/* Waits until no work needs them. */
void cf_tables_close(cf_gpu *gpu, cf_tables *tables);
/* Puts those bytes into a table, in order on the stream. It is to be followed by cf_tables_used() on that stream, also
 * when the work that should use it could not be started. If no table is free the stream, not the caller, waits for the
 * oldest. One thread at a time. */
int cf_tables_fill(cf_gpu *gpu, cf_tables *tables, cu_function fill, const void *from, size_t bytes, cu_stream stream,
                   cf_table **table);
int cf_tables_used(cf_gpu *gpu, cf_table *table, cu_stream stream);

#endif
