/* gpu.c - a GPU as this library's objects use it: driver, context, kernels, and what is under way on streams. */
#include "vision/cuda/gpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "vision/error.h"

int cf_gpu_result(const cf_gpu *gpu, cu_result result, const char *call, const char *what) {
  if (result == CUDA_SUCCESS)
    return CUFRAMES_OK;
  return cf_cuda_check(&gpu->driver, result, "%s: %s", call, what);
}

/* ---- opening ---- */

/* What is optional in the table, since libcuframes does without it; every driver has it. */
static int check_driver(const cf_gpu *gpu) {
  const cf_cuda_driver *cu = &gpu->driver;
  if (cu->cuModuleLoadData && cu->cuModuleGetFunction && cu->cuModuleUnload && cu->cuLaunchKernel &&
      cu->cuStreamIsCapturing && cu->cuThreadExchangeStreamCaptureMode && cu->cuEventQuery && cu->cuEventSynchronize &&
      cu->cuMemHostAlloc && cu->cuMemFreeHost && cu->cuMemcpyHtoDAsync)
    return CUFRAMES_OK;
  return cf_vision_fail(CUFRAMES_ERR_UNSUPPORTED, "the CUDA driver (CUDA %d.%d) lacks calls for kernels and captures",
                        cu->version / 1000, cu->version % 1000 / 10);
}

/* The application's context, if one of this GPU is current: its streams and pointers are good there. Else the primary
 * one. */
static int take_context(cf_gpu *gpu) {
  const cf_cuda_driver *cu = &gpu->driver;
  cu_context current = NULL;
  cu_device device;
  if (cu->cuCtxGetCurrent(&current) == CUDA_SUCCESS && current && cu->cuCtxGetDevice(&device) == CUDA_SUCCESS &&
      device == gpu->device) {
    gpu->context = current;
    return CUFRAMES_OK;
  }
  int result = CF_GPU_CALL(gpu, cuDevicePrimaryCtxRetain, "creating a context on the GPU", &gpu->context, gpu->device);
  gpu->retained = result == CUFRAMES_OK;
  return result;
}

/* With the context current. */
static int make_parts(cf_gpu *gpu) {
  cu_capture_mode mode = cf_gpu_beside_captures(gpu);
  int result = cf_module_take(&gpu->driver, gpu->context, &gpu->module);
  for (int i = 0; i < CF_GPU_STREAMS && result == CUFRAMES_OK; i++)
    result = CF_GPU_CALL(gpu, cuEventCreate, "creating an event", &gpu->work[i].event, CU_EVENT_DISABLE_TIMING);
  cf_gpu_beside_captures_end(gpu, mode);
  return result;
}

static int open_gpu(cf_gpu *gpu, const char *device, char *name) {
  char uuid[CF_CUDA_UUID_TEXT];
  bool pushed;
  int result = check_driver(gpu);
  if (result == CUFRAMES_OK)
    result = cf_cuda_find(&gpu->driver, device, &gpu->device);
  if (result == CUFRAMES_OK)
    result = cf_cuda_uuid(&gpu->driver, gpu->device, uuid);
  if (result == CUFRAMES_OK)
    result = take_context(gpu);
  if (result == CUFRAMES_OK)
    result = cf_gpu_enter(gpu, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = make_parts(gpu);
  cf_gpu_leave(gpu, pushed);
  if (result == CUFRAMES_OK)
    snprintf(name, CUFRAMES_DEVICE_NAME_MAX + 1, CF_CUDA_KIND ":%s", uuid);
  return result;
}

int cf_gpu_open(cf_gpu *gpu, const char *device, char *name) {
  memset(gpu, 0, sizeof *gpu);
  gpu->process = getpid();
  int result = cf_cuda_driver_load(&gpu->driver);
  if (result != CUFRAMES_OK)
    return result;
  result = open_gpu(gpu, device, name);
  if (result != CUFRAMES_OK)
    cf_gpu_close(gpu);
  return result;
}

/* Twice: a call that failed once may do the second time, and a context that is lost does nothing more. */
static void wait_for_all(cf_gpu *gpu) {
  if (gpu->driver.cuCtxSynchronize() != CUDA_SUCCESS)
    (void)gpu->driver.cuCtxSynchronize();
}

void cf_gpu_event_wait(cf_gpu *gpu, cu_event event) {
  if (gpu->driver.cuEventSynchronize(event) != CUDA_SUCCESS)
    wait_for_all(gpu);
}

void cf_gpu_settle(cf_gpu *gpu) {
  cu_capture_mode mode = cf_gpu_beside_captures(gpu);
  for (int i = 0; i < CF_GPU_STREAMS; i++)
    if (gpu->work[i].used)
      cf_gpu_event_wait(gpu, gpu->work[i].event);
  if (gpu->unknown)
    wait_for_all(gpu);
  cf_gpu_beside_captures_end(gpu, mode);
}

/* With the context current. Nothing can be done about what fails. */
static void end_parts(cf_gpu *gpu) {
  const cf_cuda_driver *cu = &gpu->driver;
  cf_gpu_settle(gpu);
  cu_capture_mode mode = cf_gpu_beside_captures(gpu);
  for (int i = 0; i < CF_GPU_STREAMS; i++)
    if (gpu->work[i].event)
      (void)cu->cuEventDestroy(gpu->work[i].event);
  cf_module_give_back(cu, gpu->module);
  cf_gpu_beside_captures_end(gpu, mode);
}

void cf_gpu_close(cf_gpu *gpu) {
  bool pushed;
  if (gpu->process != getpid())
    return;
  if (gpu->context && cf_gpu_enter(gpu, &pushed) == CUFRAMES_OK) {
    end_parts(gpu);
    cf_gpu_leave(gpu, pushed);
  } else {
    cf_module_give_back(NULL, gpu->module);
  }
  if (gpu->retained)
    (void)gpu->driver.cuDevicePrimaryCtxRelease(gpu->device); /* as above */
  cf_cuda_driver_unload(&gpu->driver);
}

int cf_gpu_kernel(cf_gpu *gpu, const char *name, cu_function *kernel) {
  return CF_GPU_CALL(gpu, cuModuleGetFunction, name, kernel, cf_module_handle(gpu->module), name);
}

/* ---- contexts and streams ---- */

int cf_gpu_enter(cf_gpu *gpu, bool *pushed) {
  cu_context current = NULL;
  if (gpu->process != getpid())
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "it was made by process %d, and CUDA does not survive a fork",
                          (int)gpu->process);
  *pushed = gpu->driver.cuCtxGetCurrent(&current) != CUDA_SUCCESS || current != gpu->context;
  if (!*pushed)
    return CUFRAMES_OK;
  cu_result result = gpu->driver.cuCtxPushCurrent(gpu->context);
  if (result != CUDA_SUCCESS && !cf_cuda_is_sticky(result)) /* who frees something has no other chance */
    result = gpu->driver.cuCtxPushCurrent(gpu->context);
  return cf_gpu_result(gpu, result, "cuCtxPushCurrent", "making the CUDA context current");
}

void cf_gpu_leave(cf_gpu *gpu, bool pushed) {
  cu_context popped;
  if (pushed)
    (void)gpu->driver.cuCtxPopCurrent(&popped); /* it was pushed */
}

/* Handles that are none: the legacy default stream is NULL or 1, a thread's own default stream 2. */
static bool is_default(cu_stream stream) {
  return (uintptr_t)stream <= 2;
}

int cf_gpu_stream(cf_gpu *gpu, cu_stream stream, bool *capturing) {
  cu_capture_status status = CU_STREAM_CAPTURE_STATUS_NONE;
  cu_context context = gpu->context;
  int result = CUFRAMES_OK;
  if (!is_default(stream))
    result = CF_GPU_CALL(gpu, cuStreamGetCtx, "asking a stream for its context", stream, &context);
  if (result == CUFRAMES_OK && context != gpu->context)
    result = cf_vision_fail(CUFRAMES_ERR_INVALID,
                            "the stream belongs to another CUDA context: make that one current when creating what uses "
                            "it, or use a stream of the GPU's primary context");
  if (result == CUFRAMES_OK)
    result = CF_GPU_CALL(gpu, cuStreamIsCapturing, "asking a stream whether it captures", stream, &status);
  if (result == CUFRAMES_OK)
    *capturing = status != CU_STREAM_CAPTURE_STATUS_NONE;
  return result;
}

cu_capture_mode cf_gpu_beside_captures(cf_gpu *gpu) {
  cu_capture_mode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  (void)gpu->driver.cuThreadExchangeStreamCaptureMode(&mode); /* if it fails, so will what follows, and say why */
  return mode;
}

void cf_gpu_beside_captures_end(cf_gpu *gpu, cu_capture_mode before) {
  (void)gpu->driver.cuThreadExchangeStreamCaptureMode(&before); /* as above */
}

/* ---- work ---- */

int cf_gpu_launch(cf_gpu *gpu, cu_function kernel, const uint32_t blocks[3], cu_stream stream, void **parameters) {
  return CF_GPU_CALL(gpu, cuLaunchKernel, "launching a kernel", kernel, blocks[0], blocks[1], blocks[2], CF_BLOCK_WIDTH,
                     CF_BLOCK_HEIGHT, 1, 0, stream, parameters, NULL);
}

static cf_gpu_work *work_of(cf_gpu *gpu, cu_stream stream) {
  for (uint32_t i = 0; i < CF_GPU_STREAMS; i++)
    if (gpu->work[i].used && gpu->work[i].stream == stream)
      return &gpu->work[i];
  for (uint32_t i = 0; i < CF_GPU_STREAMS; i++)
    if (!gpu->work[i].used)
      return &gpu->work[i];
  gpu->oldest = (gpu->oldest + 1) % CF_GPU_STREAMS;
  return &gpu->work[gpu->oldest];
}

int cf_gpu_note(cf_gpu *gpu, cu_stream stream) {
  cf_gpu_work *work = work_of(gpu, stream);
  int result = CUFRAMES_OK;
  if (work->used && work->stream != stream) /* one event for both: what it stands for must include the other's */
    result = CF_GPU_CALL(gpu, cuStreamWaitEvent, "waiting for another stream", stream, work->event, 0);
  if (result == CUFRAMES_OK)
    result = CF_GPU_CALL(gpu, cuEventRecord, "recording an event", work->event, stream);
  if (result == CUFRAMES_OK) {
    work->used = true;
    work->stream = stream;
  } else {
    gpu->unknown = true;
  }
  return result;
}

int cf_gpu_fill(cf_gpu *gpu, cu_function fill, cu_deviceptr to, const void *from, size_t bytes, cu_stream stream) {
  int result = CUFRAMES_OK;
  for (size_t done = 0; done < bytes && result == CUFRAMES_OK;) {
    cf_fill_few few;
    size_t part = bytes - done < sizeof few.word ? bytes - done : sizeof few.word;
    few.to = to + done;
    few.words = part / sizeof few.word[0];
    memcpy(few.word, (const char *)from + done, part);
    memset((char *)few.word + part, 0, sizeof few.word - part);
    result = cf_gpu_launch(gpu, fill, (const uint32_t[]){ 1, 1, 1 }, stream, (void *[]){ &few });
    done += part;
  }
  return result;
}
