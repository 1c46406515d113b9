/* device/cuda/order.c - what happens in which order on a GPU: copies, counters that streams write and wait for,
 * events. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/common.h>

#include "device/cuda/cuda.h"
#include "os/clock.h"
#include "os/error.h"

/* Most operations of one cuStreamBatchMemOp(). */
#define BATCH 128u

/* ---- streams ---- */

/* How long work that was on a stream before it began to capture a graph is waited for. */
#define CAPTURE_NS (10 * CF_SECOND)

/* Handles that are none: the legacy default stream is NULL or 1, a thread's own default stream 2. */
static bool is_default_stream(const void *stream) {
  return (uintptr_t)stream <= 2;
}

/* With the stream's context current. Of the legacy default stream: whether a stream captures that it would wait for. */
__attribute__((hot)) static int is_capturing(cf_cuda *cuda, cu_stream stream, bool *capturing) {
  cu_capture_status status = CU_STREAM_CAPTURE_STATUS_NONE;
  *capturing = false;
  if (!cuda->driver.cuStreamIsCapturing)
    return CUFRAMES_OK;
  cu_result result = cuda->driver.cuStreamIsCapturing(stream, &status);
  *capturing = result == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT || status != CU_STREAM_CAPTURE_STATUS_NONE;
  if (*capturing || result == CUDA_SUCCESS)
    return CUFRAMES_OK;
  return (cf_cuda_result)(cuda, result, "cuStreamIsCapturing()", "asking a stream whether it captures");
}

/* With its context current. */
static int capture_check(cf_cuda *cuda, cu_stream stream) {
  bool capturing;
  int result = is_capturing(cuda, stream, &capturing);
  if (result == CUFRAMES_OK && capturing)
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "the stream captures a CUDA graph, which would do this at each launch and not now: copy a frame "
                   "into memory of your own before the capture, and let the graph work on that");
  return result;
}

/* With our context current. */
static int context_check(cf_cuda *cuda, cu_stream stream) {
  cu_context context = NULL;
  if (is_default_stream(stream) || cf_counter_get(&cuda->checked) == (uintptr_t)stream)
    return CUFRAMES_OK; /* if it was destroyed since, the driver says so when it is used */
  int result = cf_cuda_result(cuda, cuda->driver.cuStreamGetCtx(stream, &context), "asking a stream for its context");
  if (result != CUFRAMES_OK)
    return result;
  if (context != cuda->context)
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "the stream belongs to another CUDA context: make that one current when creating the publisher or "
                   "subscriber, or use a stream of the device's primary context");
  cf_counter_set(&cuda->checked, (uintptr_t)stream);
  return CUFRAMES_OK;
}

__attribute__((hot)) int cf_cuda_stream_begin(cf_device *device, void *stream, bool *began) {
  cf_cuda *cuda = (cf_cuda *)device;
  int result = cf_cuda_enter(cuda, began);
  if (result != CUFRAMES_OK)
    return result;
  result = context_check(cuda, stream);
  if (result == CUFRAMES_OK)
    result = capture_check(cuda, stream);
  if (result != CUFRAMES_OK)
    cf_cuda_leave(cuda, *began);
  return result;
}

__attribute__((hot)) void cf_cuda_stream_end(cf_device *device, bool began) {
  cf_cuda_leave((cf_cuda *)device, began);
}

int cf_cuda_stream_capture_check(cf_device *device, void *stream) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool pushed;
  int result = cf_cuda_enter(cuda, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = capture_check(cuda, stream);
  cf_cuda_leave(cuda, pushed);
  return result;
}

/* To wait for a stream that captures would spoil the capture. False: it goes on. */
static bool capture_ends(cf_cuda *cuda, cu_stream stream) {
  bool capturing = false;
  for (int64_t began = cf_now(); is_capturing(cuda, stream, &capturing) == CUFRAMES_OK && capturing;) {
    if (cf_now() - began > CAPTURE_NS)
      return false;
    cf_wait_turn(began, began + CAPTURE_NS);
  }
  return true;
}

/* With a context current. */
static void drain_in_its_context(cf_cuda *cuda, cu_stream stream) {
  cu_context context = cuda->context;
  /* its own, whose failure is not ours to tell */
  if ((!is_default_stream(stream) && cuda->driver.cuStreamGetCtx(stream, &context) != 0) ||
      cuda->driver.cuCtxPushCurrent(context) != 0)
    return;
  bool may_wait = capture_ends(cuda, stream);
  if (may_wait && is_default_stream(stream))
    cf_cuda_drain(cuda);
  else if (may_wait)
    (void)cuda->driver.cuStreamSynchronize(stream);
  (void)cuda->driver.cuCtxPopCurrent(&context);
}

void cf_cuda_stream_drain(cf_device *device, void *stream) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool pushed;
  if (cf_cuda_enter(cuda, &pushed) != CUFRAMES_OK)
    return;
  drain_in_its_context(cuda, stream);
  cf_cuda_leave(cuda, pushed);
}

void cf_cuda_drain(cf_cuda *cuda) {
  /* a lost context does nothing more; any other failure is the call's own, and the work goes on */
  for (int tries = 0; tries < 2 && !cf_flag_get(&cuda->lost); tries++)
    if (cf_cuda_result(cuda, cuda->driver.cuCtxSynchronize(), "waiting for the GPU") == CUFRAMES_OK)
      return;
}

void cf_cuda_settle(cf_device *device) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool pushed;
  if (cf_cuda_enter(cuda, &pushed) != CUFRAMES_OK)
    return;
  cf_cuda_drain(cuda);
  cf_cuda_leave(cuda, pushed);
}

/* ---- copies ---- */

/* With the context current. */
__attribute__((hot)) static int copy_put(cf_cuda *cuda, const cu_copy_2d *what, cu_stream stream) {
  if (what->width == 0 || what->height == 0)
    return CUFRAMES_OK;
  cu_result put = cuda->driver.cuMemcpy2DAsync(what, stream);
  if (put == CUDA_SUCCESS)
    return CUFRAMES_OK;
  return (cf_cuda_result)(cuda, put, "cuMemcpy2DAsync()", "copying %zu x %zu bytes", what->width, what->height);
}

static int copy_and_wait(cf_cuda *cuda, const cu_copy_2d *what) {
  bool pushed;
  int result = cf_cuda_enter(cuda, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = copy_put(cuda, what, cuda->stream);
  if (result != CUFRAMES_OK)
    goto leave;
  result = cf_cuda_result(cuda, cuda->driver.cuStreamSynchronize(cuda->stream), "waiting for a copy");
  if (result != CUFRAMES_OK)
    cf_cuda_drain(cuda); /* the caller's memory */
leave:
  cf_cuda_leave(cuda, pushed);
  return result;
}

int cf_cuda_copy_to_host(cf_device *device, cf_rows host, cf_rows from, size_t row_bytes, uint32_t rows) {
  cf_cuda *cuda = (cf_cuda *)device;
  cu_copy_2d what = { .from_type = CU_MEMORYTYPE_DEVICE,
                      .from_device = (uintptr_t)from.data,
                      .from_pitch = from.pitch,
                      .to_type = CU_MEMORYTYPE_HOST,
                      .to_host = host.data,
                      .to_pitch = host.pitch,
                      .width = row_bytes,
                      .height = rows };
  return copy_and_wait(cuda, &what);
}

int cf_cuda_copy_from_host(cf_device *device, cf_rows to, cf_rows host, size_t row_bytes, uint32_t rows) {
  cf_cuda *cuda = (cf_cuda *)device;
  cu_copy_2d what = { .from_type = CU_MEMORYTYPE_HOST,
                      .from_host = host.data,
                      .from_pitch = host.pitch,
                      .to_type = CU_MEMORYTYPE_DEVICE,
                      .to_device = (uintptr_t)to.data,
                      .to_pitch = to.pitch,
                      .width = row_bytes,
                      .height = rows };
  return copy_and_wait(cuda, &what);
}

__attribute__((hot)) int cf_cuda_copy_on(cf_device *device, void *stream, cf_rows to, cf_rows from, size_t row_bytes,
                                         uint32_t rows) {
  cu_copy_2d what = { .from_type = CU_MEMORYTYPE_DEVICE,
                      .from_device = (uintptr_t)from.data,
                      .from_pitch = from.pitch,
                      .to_type = CU_MEMORYTYPE_DEVICE,
                      .to_device = (uintptr_t)to.data,
                      .to_pitch = to.pitch,
                      .width = row_bytes,
                      .height = rows };
  bool began;
  int result = cf_cuda_stream_begin(device, stream, &began);
  if (result != CUFRAMES_OK)
    return result;
  result = copy_put((cf_cuda *)device, &what, stream);
  cf_cuda_stream_end(device, began);
  return result;
}

/* ---- counters in host memory ---- */

int cf_cuda_counters_open(cf_device *device, void *memory, uint64_t bytes, cf_device_counters *counters) {
  cf_cuda *cuda = (cf_cuda *)device;
  cu_deviceptr address = 0;
  bool pushed;
  int result = cf_cuda_enter(cuda, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_cuda_result(
      cuda, cuda->driver.cuMemHostRegister(memory, bytes, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP),
      "making shared memory visible to the GPU");
  if (result != CUFRAMES_OK)
    goto leave;
  result = cf_cuda_result(cuda, cuda->driver.cuMemHostGetDevicePointer(&address, memory, 0),
                          "making shared memory visible to the GPU");
  if (result != CUFRAMES_OK) {
    (void)cuda->driver.cuMemHostUnregister(memory); /* we fail already */
    goto leave;
  }
  *counters = (cf_device_counters){ .host = memory, .bytes = bytes, .address = address };
leave:
  cf_cuda_leave(cuda, pushed);
  return result;
}

void cf_cuda_counters_close(cf_device *device, cf_device_counters *counters) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool pushed;
  if (!counters->host)
    return;
  if (cf_cuda_enter(cuda, &pushed) == CUFRAMES_OK) {
    (void)cuda->driver.cuMemHostUnregister(counters->host); /* of a lost context it fails, and is gone all the same */
    cf_cuda_leave(cuda, pushed);
  }
  *counters = (cf_device_counters){ 0 };
}

static cu_deviceptr address_of(const cf_device_write *write) {
  return write->in->address + (uint64_t)((const uint8_t *)write->counter - (const uint8_t *)write->in->host);
}

/* What a callback of an old driver has to write. */
typedef struct callback_writes {
  uint32_t count;
  cf_device_write writes[];
} callback_writes;

static void write_from_callback(void *user) {
  callback_writes *w = user;
  for (uint32_t i = 0; i < w->count; i++)
    cf_counter_store(w->writes[i].counter, w->writes[i].value);
  free(w);
}

/* Without stream memory operations: some 70 us later, by the CPU. */
static int write_by_callback(cf_cuda *cuda, cu_stream stream, const cf_device_write *writes, uint32_t count) {
  callback_writes *w = malloc(sizeof *w + count * sizeof w->writes[0]);
  if (!w)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  w->count = count;
  memcpy(w->writes, writes, count * sizeof w->writes[0]);
  cu_result launched = cuda->driver.cuLaunchHostFunc(stream, write_from_callback, w);
  if (launched != CUDA_SUCCESS)
    free(w);
  return cf_cuda_result(cuda, launched, "queueing a callback on the stream");
}

static const char signalling[] = "signalling that a picture is complete";

/* A function of its own: the operations would lie on the stack between a single write's caller and the driver, on pages
 * that have cooled down since the last frame. */
static __attribute__((noinline)) int write_batches(cf_cuda *cuda, cu_stream stream, const cf_device_write *writes,
                                                   uint32_t count) {
  cu_batch_op batch[BATCH];
  for (uint32_t done = 0; done < count; done += BATCH) {
    uint32_t part = count - done < BATCH ? count - done : BATCH;
    memset(batch, 0, part * sizeof batch[0]);
    for (uint32_t i = 0; i < part; i++) {
      batch[i].value.operation = CU_STREAM_MEM_OP_WRITE_VALUE_64;
      batch[i].value.address = address_of(&writes[done + i]);
      batch[i].value.value = writes[done + i].value;
      batch[i].value.flags = CU_STREAM_WRITE_VALUE_DEFAULT;
    }
    int result = cf_cuda_result(cuda, cuda->driver.cuStreamBatchMemOp(stream, part, batch, 0), signalling);
    if (result != CUFRAMES_OK)
      return result;
  }
  return CUFRAMES_OK;
}

__attribute__((hot)) static int write_by_stream(cf_cuda *cuda, cu_stream stream, const cf_device_write *writes,
                                                uint32_t count) {
  if (count > 1)
    return write_batches(cuda, stream, writes, count);
  cu_result put =
      cuda->driver.cuStreamWriteValue64(stream, address_of(writes), writes->value, CU_STREAM_WRITE_VALUE_DEFAULT);
  return put == CUDA_SUCCESS ? CUFRAMES_OK : (cf_cuda_result)(cuda, put, "cuStreamWriteValue64()", signalling);
}

/* `second` goes on when `first` has done what is on it now. */
static int put_behind(cf_cuda *cuda, cu_stream first, cu_stream second) {
  static const char doing[] = "ordering one stream after another";
  int result = cf_cuda_result(cuda, cuda->driver.cuEventRecord(cuda->behind, first), doing);
  if (result != CUFRAMES_OK)
    return result;
  return cf_cuda_result(cuda, cuda->driver.cuStreamWaitEvent(second, cuda->behind, 0), doing);
}

/* With the context current. */
static int write_on(cf_cuda *cuda, cu_stream stream, const cf_device_write *writes, uint32_t count) {
  return cuda->can_time ? write_by_stream(cuda, stream, writes, count) : write_by_callback(cuda, stream, writes, count);
}

/* From here on the context is current where stream_begin() and stream_end() stand around the calls. */

__attribute__((hot)) int cf_cuda_counters_write(cf_device *device, void *stream, const cf_device_write *writes,
                                                uint32_t count) {
  return write_on((cf_cuda *)device, stream, writes, count);
}

int cf_cuda_counter_write_on_side(cf_device *device, void *stream, const cf_device_write *write) {
  cf_cuda *cuda = (cf_cuda *)device;
  int result = put_behind(cuda, stream, cuda->side);
  return result != CUFRAMES_OK ? result : write_on(cuda, cuda->side, write, 1);
}

int cf_cuda_side_wait(cf_device *device, void *stream) {
  cf_cuda *cuda = (cf_cuda *)device;
  return put_behind(cuda, cuda->side, stream);
}

int cf_cuda_counter_wait(cf_device *device, void *stream, const cf_device_write *wait) {
  cf_cuda *cuda = (cf_cuda *)device;
  return cf_cuda_result(
      cuda, cuda->driver.cuStreamWaitValue64(stream, address_of(wait), wait->value, CU_STREAM_WAIT_VALUE_GEQ),
      "making the stream wait for a picture");
}

/* ---- events ---- */

static_assert(sizeof(cu_ipc_event_handle) == 64, "device.h has handles of 64 bytes");

int cf_cuda_event_create(cf_device *device, void **event, uint8_t handle[64]) {
  cf_cuda *cuda = (cf_cuda *)device;
  cu_event made = NULL;
  cu_ipc_event_handle exported;
  bool pushed;
  int result = cf_cuda_enter(cuda, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_cuda_result(cuda, cuda->driver.cuEventCreate(&made, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING),
                          "creating an interprocess event");
  if (result != CUFRAMES_OK)
    goto leave;
  result = cf_cuda_result(cuda, cuda->driver.cuIpcGetEventHandle(&exported, made), "exporting an event");
  if (result != CUFRAMES_OK) {
    (void)cuda->driver.cuEventDestroy(made); /* we fail already */
    goto leave;
  }
  memcpy(handle, exported.bytes, sizeof exported.bytes);
  *event = made;
leave:
  cf_cuda_leave(cuda, pushed);
  return result;
}

int cf_cuda_event_import(cf_device *device, const uint8_t handle[64], void **event) {
  cf_cuda *cuda = (cf_cuda *)device;
  cu_ipc_event_handle exported;
  cu_event opened = NULL;
  memcpy(exported.bytes, handle, sizeof exported.bytes);
  bool pushed;
  int result = cf_cuda_enter(cuda, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  cu_result got = cuda->driver.cuIpcOpenEventHandle(&opened, exported);
  cf_cuda_leave(cuda, pushed);
  if (got != CUDA_SUCCESS) /* not DEVICE: the subscriber may fall back to another sync mode */
    return (void)cf_cuda_result(cuda, got, "opening the publisher's event (is it in another PID namespace?)"),
           CUFRAMES_ERR_UNSUPPORTED;
  *event = opened;
  return CUFRAMES_OK;
}

void cf_cuda_event_destroy(cf_device *device, void *event) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool pushed;
  if (!event || cf_cuda_enter(cuda, &pushed) != CUFRAMES_OK)
    return;
  (void)cuda->driver.cuEventDestroy(event); /* nothing could be done about it */
  cf_cuda_leave(cuda, pushed);
}

int cf_cuda_event_record(cf_device *device, void *event, void *stream) {
  cf_cuda *cuda = (cf_cuda *)device;
  return cf_cuda_result(cuda, cuda->driver.cuEventRecord(event, stream), "recording a slot's event");
}

int cf_cuda_event_wait(cf_device *device, void *event, void *stream) {
  cf_cuda *cuda = (cf_cuda *)device;
  return cf_cuda_result(cuda, cuda->driver.cuStreamWaitEvent(stream, event, 0),
                        "making the stream wait for a slot's event");
}
