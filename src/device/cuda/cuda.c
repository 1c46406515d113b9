/* device/cuda/cuda.c - opening the CUDA device: the driver, the GPU, the context. */
#include "device/cuda/cuda.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/subscriber.h>

#include "device/cuda/which.h"
#include "os/error.h"

/* "cuMemMap", of "cuda->driver.cuMemMap(address, ...)"; nothing of what is no call of the driver. */
static void name_call(char name[64], const char *call) {
  size_t end = strcspn(call, "("), start = end;
  while (start > 0 && (isalnum((unsigned char)call[start - 1]) || call[start - 1] == '_'))
    start--;
  bool driver = strncmp(call + start, "cu", 2) == 0 && call[end] == '(';
  snprintf(name, 64, "%.*s%s", driver ? (int)(end - start) : 0, call + start, driver ? ": " : "");
}

int(cf_cuda_result)(cf_cuda *cuda, cu_result result, const char *call, const char *format, ...) {
  if (result == CUDA_SUCCESS)
    return CUFRAMES_OK;
  if (cf_cuda_is_sticky(result) || result == CUDA_ERROR_CONTEXT_IS_DESTROYED || result == CUDA_ERROR_DEINITIALIZED)
    cf_flag_set(&cuda->lost, 1);
  char sentence[256], name[64];
  va_list args;
  va_start(args, format);
  vsnprintf(sentence, sizeof sentence, format, args);
  va_end(args);
  name_call(name, call);
  return cf_cuda_check(&cuda->driver, result, "%s%s", name, sentence);
}

__attribute__((hot)) int cf_cuda_enter(cf_cuda *cuda, bool *pushed) {
  cu_context current = NULL;
  *pushed = cuda->driver.cuCtxGetCurrent(&current) != CUDA_SUCCESS || current != cuda->context;
  if (!*pushed)
    return CUFRAMES_OK;
  cu_result result = cuda->driver.cuCtxPushCurrent(cuda->context);
  if (result != CUDA_SUCCESS && !cf_cuda_is_sticky(result)) /* who frees something has no other chance */
    result = cuda->driver.cuCtxPushCurrent(cuda->context);
  return cf_cuda_result(cuda, result, "making the CUDA context current");
}

__attribute__((hot)) void cf_cuda_leave(cf_cuda *cuda, bool pushed) {
  cu_context popped;
  if (pushed)
    (void)cuda->driver.cuCtxPopCurrent(&popped); /* it was pushed */
}

static int attribute(const cf_cuda *cuda, cu_device_attribute which) {
  int value = 0;
  return cuda->driver.cuDeviceGetAttribute(&value, which, cuda->gpu) == CUDA_SUCCESS ? value : 0;
}

/* ---- the context ---- */

/* The application's, if one of this GPU is current: its streams and pointers are good there. Else the primary one. */
static int context_take(cf_cuda *cuda) {
  cu_context current = NULL;
  cu_device gpu;
  if (cuda->driver.cuCtxGetCurrent(&current) == CUDA_SUCCESS && current &&
      cuda->driver.cuCtxGetDevice(&gpu) == CUDA_SUCCESS && gpu == cuda->gpu) {
    cuda->context = current;
    return CUFRAMES_OK;
  }
  int result = cf_cuda_result(cuda, cuda->driver.cuDevicePrimaryCtxRetain(&cuda->context, cuda->gpu),
                              "creating a context on CUDA device %d", cuda->gpu);
  if (result != CUFRAMES_OK)
    return result;
  cuda->retained = true;
  return CUFRAMES_OK;
}

static void look_at_abilities(cf_cuda *cuda, bool legacy) {
  bool legacy_works = attribute(cuda, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING) &&
                      (cuda->driver.version < 12010 || attribute(cuda, CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED));
  cuda->can_export = !legacy && attribute(cuda, CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED) &&
                     attribute(cuda, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
  cuda->can_time = attribute(cuda, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS) &&
                   cuda->driver.cuStreamWriteValue64 && cuda->driver.cuStreamWaitValue64 &&
                   cuda->driver.cuStreamBatchMemOp;
  cuda->device.sync_modes = CUFRAMES_SYNC_COMPLETE | (cuda->can_time ? CUFRAMES_SYNC_TIMELINE : 0u) |
                            (legacy_works ? CUFRAMES_SYNC_SLOT_EVENTS : 0u);
}

static int describe(cf_cuda *cuda, const char *named) {
  char name[64] = "", uuid[CF_CUDA_UUID_TEXT];
  cu_device owner = cuda->gpu;
  /* the name on the wire is the maker's, also for a subscriber that maps on another GPU */
  int result = named ? cf_cuda_find(&cuda->driver, named, &owner) : CUFRAMES_OK;
  if (result != CUFRAMES_OK)
    return result;
  result = cf_cuda_uuid(&cuda->driver, owner, uuid);
  if (result != CUFRAMES_OK)
    return result;
  (void)cuda->driver.cuDeviceGetName(name, (int)sizeof name, cuda->gpu); /* only for people */
  cf_device *d = &cuda->device;
  snprintf(d->name, sizeof d->name, CF_CUDA_KIND ":%s", uuid);
  snprintf(d->reason, sizeof d->reason, "CUDA device %d, %s, driver for CUDA %d.%d", cuda->gpu, name,
           cuda->driver.version / 1000, cuda->driver.version % 1000 / 10);
  snprintf(d->memory, sizeof d->memory, "%s", cuda->can_export ? "vmm" : "legacy");
  d->pitch_align = 256; /* whole sectors and cache lines for every row */
  d->slot_align = 4096;
  d->has_streams = true;
  d->index = (uint32_t)cuda->gpu;
  return CUFRAMES_OK;
}

/* A subscriber on another GPU than the maker's reads over the bus or NVLink. */
static int peer_check(cf_cuda *cuda, const char *maker_name) {
  cu_device maker;
  int can = 0;
  int result = cf_cuda_find(&cuda->driver, maker_name, &maker);
  if (result != CUFRAMES_OK || maker == cuda->gpu)
    return result;
  result = cf_cuda_result(cuda, cuda->driver.cuDeviceCanAccessPeer(&can, cuda->gpu, maker), "asking for peer access");
  if (result != CUFRAMES_OK)
    return result;
  if (!can)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                   "CUDA device %d cannot read the memory of device %d, where the stream lies: no peer access "
                   "between them (nvidia-smi topo -p2p r)",
                   cuda->gpu, maker);
  return CUFRAMES_OK;
}

static void cuda_close(cf_device *device) {
  cf_cuda *cuda = (cf_cuda *)device;
  bool pushed;
  if (cuda->stream && cf_cuda_enter(cuda, &pushed) == CUFRAMES_OK) {
    /* nothing could be done about a failure */
    if (cuda->behind)
      (void)cuda->driver.cuEventDestroy(cuda->behind);
    if (cuda->side)
      (void)cuda->driver.cuStreamDestroy(cuda->side);
    (void)cuda->driver.cuStreamDestroy(cuda->stream);
    cf_cuda_leave(cuda, pushed);
  }
  if (cuda->retained)
    (void)cuda->driver.cuDevicePrimaryCtxRelease(cuda->gpu); /* as above */
  cf_cuda_driver_unload(&cuda->driver);
  pthread_mutex_destroy(&cuda->lock);
  free(cuda);
}

static int streams_make(cf_cuda *cuda) {
  const cf_cuda_driver *cu = &cuda->driver;
  bool pushed;
  int result = cf_cuda_enter(cuda, &pushed);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_cuda_result(cuda, cu->cuStreamCreate(&cuda->stream, CU_STREAM_NON_BLOCKING), "creating a stream");
  if (result != CUFRAMES_OK)
    goto leave;
  result = cf_cuda_result(cuda, cu->cuStreamCreate(&cuda->side, CU_STREAM_NON_BLOCKING), "creating a stream");
  if (result != CUFRAMES_OK)
    goto leave;
  result = cf_cuda_result(cuda, cu->cuEventCreate(&cuda->behind, CU_EVENT_DISABLE_TIMING), "creating an event");
leave:
  cf_cuda_leave(cuda, pushed);
  return result;
}

/* The steps of cuda_open(); whatever they made when one fails cuda_close() frees. */
static int gpu_open(cf_cuda *cuda, const cf_device_request *request) {
  int result = cf_cuda_driver_load(&cuda->driver);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_cuda_find(&cuda->driver, request->for_gpu ? request->for_gpu : request->name, &cuda->gpu);
  if (result != CUFRAMES_OK)
    return result;
  look_at_abilities(cuda, request->legacy);
  result = describe(cuda, request->for_gpu ? request->name : NULL);
  if (result != CUFRAMES_OK)
    return result;
  if (request->for_gpu) {
    result = peer_check(cuda, request->name);
    if (result != CUFRAMES_OK)
      return result;
  }
  result = context_take(cuda);
  return result != CUFRAMES_OK ? result : streams_make(cuda);
}

static int cuda_open(const cf_device_request *request, cf_device **device) {
  cf_cuda *cuda = calloc(1, sizeof *cuda);
  if (!cuda)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  cuda->device.ops = &cf_cuda_device;
  pthread_mutex_init(&cuda->lock, NULL);
  int result = gpu_open(cuda, request);
  if (result != CUFRAMES_OK) {
    cuda_close(&cuda->device);
    return result;
  }
  *device = &cuda->device;
  return CUFRAMES_OK;
}

/* Whether the driver has an answer about a stream of ours. What went wrong before, on any stream, it says here, too. */
static bool has_answer(cf_cuda *cuda) {
  bool pushed;
  if (cf_cuda_enter(cuda, &pushed) != CUFRAMES_OK)
    return false;
  cu_result said = cuda->driver.cuStreamQuery(cuda->stream);
  bool answered = said == CUDA_SUCCESS || said == CUDA_ERROR_NOT_READY;
  if (!answered)
    (void)cf_cuda_result(cuda, said, "checking the GPU");
  cf_cuda_leave(cuda, pushed);
  return answered;
}

/* A context that is lost says so by its error. A card that fell off the bus, or a driver that was replaced, gives
 * whatever error to whatever is asked, again and again. */
#define ASKED_MOST 3

static bool cuda_is_lost(cf_device *device) {
  cf_cuda *cuda = (cf_cuda *)device;
  for (int tries = 0; tries < ASKED_MOST && !cf_flag_get(&cuda->lost); tries++)
    if (has_answer(cuda))
      return false;
  cf_flag_set(&cuda->lost, 1);
  return true;
}

const cf_device_ops cf_cuda_device = {
  .kind = CF_CUDA_KIND,
  .open = cuda_open,
  .close = cuda_close,
  .segment_create = cf_cuda_segment_create,
  .segment_adopt = cf_cuda_segment_adopt,
  .segment_import = cf_cuda_segment_import,
  .segment_destroy = cf_cuda_segment_destroy,
  .copy_to_host = cf_cuda_copy_to_host,
  .copy_from_host = cf_cuda_copy_from_host,
  .copy_on = cf_cuda_copy_on,
  .stream_begin = cf_cuda_stream_begin,
  .stream_end = cf_cuda_stream_end,
  .stream_capture_check = cf_cuda_stream_capture_check,
  .counters_open = cf_cuda_counters_open,
  .counters_close = cf_cuda_counters_close,
  .counters_write = cf_cuda_counters_write,
  .counter_write_on_side = cf_cuda_counter_write_on_side,
  .side_wait = cf_cuda_side_wait,
  .stream_drain = cf_cuda_stream_drain,
  .counter_wait = cf_cuda_counter_wait,
  .event_create = cf_cuda_event_create,
  .event_import = cf_cuda_event_import,
  .event_destroy = cf_cuda_event_destroy,
  .event_record = cf_cuda_event_record,
  .event_wait = cf_cuda_event_wait,
  .settle = cf_cuda_settle,
  .is_lost = cuda_is_lost,
};
