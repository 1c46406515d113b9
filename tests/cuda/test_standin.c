/* test_standin.c - the CUDA stand-in: contexts, handles, errors on demand, errors that stay, what it counts. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"

static void devices(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  int count, value;
  char name[32];
  size_t bytes;
  cu_uuid a, b;
  CU(cu.cuDeviceGetCount(&count));
  NEED(count == 2);
  CU(cu.cuDeviceGetUuid(&a, 0));
  CU(cu.cuDeviceGetUuid(&b, 1));
  NEED(memcmp(&a, &b, sizeof a) != 0);
  CU(cu.cuDeviceGetName(name, sizeof name, 1));
  NEED(strcmp(name, "CUDA stand-in 1") == 0);
  CU(cu.cuDeviceTotalMem(&bytes, 0));
  NEED(bytes == 1024 * MIB);
  CU(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0));
  NEED(value == 1);
  GIVES(cu.cuDeviceGetAttribute(&value, 158, 0), CUDA_ERROR_INVALID_VALUE);
  GIVES(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_INTEGRATED, 2), CUDA_ERROR_INVALID_DEVICE);
  CU(cu.cuDeviceCanAccessPeer(&value, 0, 1));
  NEED(value == 1);
  gpu_end(&g);
}

static void contexts_are_counted(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  cu_context again, current;
  cu_device device;
  CU(cu.cuDevicePrimaryCtxRetain(&again, 0));
  NEED(again == g.context);
  CU(cu.cuDevicePrimaryCtxRelease(0));
  CU(cu.cuCtxSynchronize()); /* the first reference keeps it */
  CU(cu.cuCtxGetDevice(&device));
  NEED(device == 0);
  CU(cu.cuCtxGetCurrent(&current));
  NEED(current == g.context);
  CU(cu.cuModuleUnload(g.module));
  CU(cu.cuDevicePrimaryCtxRelease(0));
  GIVES(cu.cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  GIVES(cu.cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
  CU(cu.cuCtxPopCurrent(&current));
  GIVES(cu.cuCtxPushCurrent(g.context), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  GIVES(cu.cuCtxPushCurrent((cu_context)(void *)&g), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuCtxPopCurrent(&current), CUDA_ERROR_INVALID_CONTEXT);
  gpu_nothing_left(0);
}

static void *without_context(void *user) {
  const gpu *g = user;
  cu_context current;
  cu_stream stream;
  cu_event event;
  cu_deviceptr address;
  size_t bytes;
  void *memory;
  CU(cu.cuCtxGetCurrent(&current));
  NEED(current == NULL);
  GIVES(cu.cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuStreamCreate(&stream, 0), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuEventCreate(&event, 0), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuMemAlloc(&address, 16), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuMemGetInfo(&bytes, &bytes), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuMemHostAlloc(&memory, 16, 0), CUDA_ERROR_INVALID_CONTEXT);
  GIVES(cu.cuStreamSynchronize(NULL), CUDA_ERROR_INVALID_CONTEXT);
  CU(cu.cuCtxPushCurrent(g->context));
  CU(cu.cuCtxSynchronize());
  CU(cu.cuCtxPopCurrent(NULL));
  return NULL;
}

static void each_thread_has_its_stack(void **state) {
  (void)state;
  gpu g;
  pthread_t thread;
  gpu_begin(&g, 0);
  NEED(pthread_create(&thread, NULL, without_context, &g) == 0);
  NEED(pthread_join(thread, NULL) == 0);
  gpu_end(&g);
}

static void streams_of_another_context(void **state) {
  (void)state;
  gpu one, two;
  cu_stream stream;
  cu_event event;
  cu_context of;
  cu_deviceptr address;
  gpu_begin(&one, 0);
  CU(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  gpu_begin(&two, 1);
  CU(cu.cuStreamGetCtx(stream, &of));
  NEED(of == one.context);
  CU(cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  CU(cu.cuMemAlloc(&address, 64));
  GIVES(cu.cuEventRecord(event, stream), CUDA_ERROR_INVALID_HANDLE);
  GIVES(cu.cuMemsetD8Async(address, 0, 64, stream), CUDA_ERROR_INVALID_HANDLE);
  GIVES(cu.cuStreamWriteValue64(stream, address, 1, 0), CUDA_ERROR_INVALID_HANDLE);
  GIVES(LAUNCH(&two, stream, "fill", address, 8, 1), CUDA_ERROR_INVALID_HANDLE);
  CU(cu.cuStreamQuery(stream)); /* these do not ask whose it is */
  CU(cu.cuStreamSynchronize(stream));
  CU(cu.cuMemFree(address));
  CU(cu.cuEventDestroy(event));
  CU(cu.cuModuleUnload(two.module));
  CU(cu.cuCtxPopCurrent(NULL));
  CU(cu.cuDevicePrimaryCtxRelease(1));
  CU(cu.cuStreamDestroy(stream));
  gpu_end(&one);
}

static void handles_that_are_none(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  cu_event event;
  cu_function function;
  gpu_begin(&g, 0);
  CU(cu.cuStreamCreate(&stream, 0));
  CU(cu.cuStreamDestroy(stream));
  GIVES(cu.cuStreamDestroy(stream), CUDA_ERROR_INVALID_HANDLE);
  GIVES(cu.cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE);
  GIVES(cu.cuStreamDestroy(NULL), CUDA_ERROR_INVALID_HANDLE);
  CU(cu.cuEventCreate(&event, 0));
  CU(cu.cuEventDestroy(event));
  GIVES(cu.cuEventDestroy(event), CUDA_ERROR_INVALID_HANDLE);
  GIVES(cu.cuEventQuery(event), CUDA_ERROR_INVALID_HANDLE);
  GIVES(cu.cuMemFree(0x1234), CUDA_ERROR_INVALID_VALUE);
  GIVES(cu.cuMemRelease(7), CUDA_ERROR_INVALID_VALUE);
  GIVES(cu.cuModuleGetFunction(&function, g.module, "no such kernel"), CUDA_ERROR_NOT_FOUND);
  GIVES(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE); /* with timing */
  GIVES(cu.cuStreamCreate(&stream, 2), CUDA_ERROR_INVALID_VALUE);
  gpu_end(&g);
}

static void errors_on_demand(void **state) {
  (void)state;
  gpu g;
  cu_stream a, b;
  const char *name;
  gpu_begin(&g, 0);
  unsigned failed = standin_failed(NULL);
  unsigned long calls = standin_calls("cuStreamCreate");
  NEED(standin_fail("cuStreamCreate", 2, CUDA_ERROR_OUT_OF_MEMORY) == 0);
  NEED(standin_fail("no such function", 1, 1) == -1);
  CU(cu.cuStreamCreate(&a, 0));
  GIVES(cu.cuStreamCreate(&b, 0), CUDA_ERROR_OUT_OF_MEMORY);
  CU(cu.cuStreamCreate(&b, 0));
  NEED(standin_calls("cuStreamCreate") == calls + 3);
  NEED(standin_failed(&name) == failed + 1 && strcmp(name, "cuStreamCreate") == 0);

  /* What releases does so all the same; either name will do. */
  NEED(standin_fail("cuStreamDestroy_v2", 1, CUDA_ERROR_UNKNOWN) == 0);
  GIVES(cu.cuStreamDestroy(b), CUDA_ERROR_UNKNOWN);
  NEED(standin_live(STANDIN_STREAMS) == 1);

  NEED(standin_fail("*", 2, CUDA_ERROR_NOT_PERMITTED) == 0);
  CU(cu.cuStreamQuery(a));
  GIVES(cu.cuCtxSynchronize(), CUDA_ERROR_NOT_PERMITTED);
  NEED(standin_fail("*", 1, CUDA_ERROR_UNKNOWN) == 0);
  NEED(standin_fail(NULL, 0, 0) == 0);
  CU(cu.cuStreamDestroy(a));
  gpu_end(&g);
}

static void a_sticky_error_is_the_end_of_a_context(void **state) {
  (void)state;
  gpu g, other;
  cu_stream stream, healthy;
  cu_event event;
  cu_deviceptr address;
  void *fence;
  int called = 0;
  gpu_begin(&other, 1);
  CU(cu.cuStreamCreate(&healthy, 0));
  gpu_begin(&g, 0);
  CU(cu.cuStreamCreate(&stream, 0));
  CU(cu.cuEventCreate(&event, 0));
  CU(cu.cuMemAlloc(&address, 64));
  CU(cu.cuMemHostAlloc(&fence, 8, 0));
  CU(LAUNCH(&g, stream, "until", (uint64_t)(uintptr_t)fence, 1));
  CU(LAUNCH(&g, stream, "trap", 0));
  CU(cu.cuEventRecord(event, stream));
  __atomic_store_n((uint64_t *)fence, 1, __ATOMIC_RELEASE); /* pairs with the kernel's load */
  GIVES(cu.cuStreamSynchronize(stream), CUDA_ERROR_LAUNCH_FAILED);
  GIVES(cu.cuEventQuery(event), CUDA_ERROR_LAUNCH_FAILED);
  GIVES(cu.cuLaunchHostFunc(stream, (cu_host_function)(uintptr_t)0x1, &called), CUDA_ERROR_LAUNCH_FAILED);
  GIVES(cu.cuMemFree(address), CUDA_ERROR_LAUNCH_FAILED);
  GIVES(cu.cuStreamDestroy(stream), CUDA_ERROR_LAUNCH_FAILED);
  CU(cu.cuCtxPopCurrent(NULL));
  CU(cu.cuStreamSynchronize(healthy)); /* the other device's context is well */
  CU(cu.cuDevicePrimaryCtxRelease(0));
  NEED(standin_live(STANDIN_STREAMS) == 1 && standin_live(STANDIN_ALLOCATIONS) == 0);
  CU(cu.cuStreamDestroy(healthy));
  CU(cu.cuModuleUnload(other.module));
  CU(cu.cuCtxPopCurrent(NULL));
  CU(cu.cuDevicePrimaryCtxRelease(1));
  gpu_nothing_left(5); /* stream, event, memory on device and host, module */

  gpu_begin(&g, 0); /* a new context is well again */
  CU(cu.cuStreamCreate(&stream, 0));
  NEED(standin_fail("cuStreamQuery", 1, CUDA_ERROR_ILLEGAL_ADDRESS) == 0);
  GIVES(cu.cuStreamQuery(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  GIVES(cu.cuStreamQuery(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  CU(cu.cuCtxPopCurrent(NULL));
  CU(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(2);
}

static void call_from_host_function(void *user) {
  cu_result *result = user;
  *result = cu.cuCtxSynchronize();
}

static void host_functions_may_not_call(void **state) {
  (void)state;
  gpu g;
  cu_result result = CUDA_SUCCESS;
  gpu_begin(&g, 0);
  CU(cu.cuLaunchHostFunc(NULL, call_from_host_function, &result));
  CU(cu.cuCtxSynchronize());
  GIVES(result, CUDA_ERROR_NOT_PERMITTED);
  gpu_end(&g);
}

static void a_forked_child_has_no_cuda(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  pid_t pid = fork();
  NEED(pid >= 0);
  if (pid == 0) {
    cf_cuda_driver again = { 0 };
    bool refused = cu.cuCtxSynchronize() == CUDA_ERROR_NOT_INITIALIZED &&
                   cf_cuda_driver_load(&again) == CUFRAMES_ERR_DEVICE &&
                   strstr(cuframes_last_error(), "CUDA_ERROR_NOT_INITIALIZED") != NULL;
    _exit(refused ? 0 : 1);
  }
  int status;
  NEED(waitpid(pid, &status, 0) == pid && status == 0);
  gpu_end(&g);
}

/* A context that goes while its streams wait for what never comes, and with everything still there. */
static void a_context_goes_with_work_in_it(void **state) {
  (void)state;
  gpu g;
  cu_stream stream, behind;
  cu_event event;
  cu_deviceptr word;
  gpu_begin(&g, 0);
  CU(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CU(cu.cuStreamCreate(&behind, CU_STREAM_NON_BLOCKING));
  CU(cu.cuEventCreate(&event, 0));
  CU(cu.cuMemAlloc(&word, 8));
  CU(cu.cuMemsetD8(word, 0, 8));
  CU(cu.cuStreamSynchronize(NULL));
  CU(cu.cuStreamWaitValue64(stream, word, 1, 0));
  CU(cu.cuEventRecord(event, stream));
  CU(cu.cuStreamWaitEvent(behind, event, 0));
  GIVES(cu.cuStreamQuery(behind), CUDA_ERROR_NOT_READY);
  CU(cu.cuCtxPopCurrent(NULL));
  CU(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(5); /* streams, event, memory, module */
}

int main(void) {
  setenv("CUDA_STANDIN_DEVICES", "2", 1);
  const struct CMUnitTest tests[] = {
    SCENE(devices),
    SCENE(contexts_are_counted),
    SCENE(each_thread_has_its_stack),
    SCENE(streams_of_another_context),
    SCENE(handles_that_are_none),
    SCENE(errors_on_demand),
    SCENE(a_sticky_error_is_the_end_of_a_context),
    SCENE(host_functions_may_not_call),
    SCENE(a_forked_child_has_no_cuda),
    SCENE(a_context_goes_with_work_in_it),
  };
  return SCENE_RUN("standin", tests);
}
