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
  CHECK_OK(cu.cuDeviceGetCount(&count));
  CHECK(count == 2);
  CHECK_OK(cu.cuDeviceGetUuid(&a, 0));
  CHECK_OK(cu.cuDeviceGetUuid(&b, 1));
  CHECK(memcmp(&a, &b, sizeof a) != 0);
  CHECK_OK(cu.cuDeviceGetName(name, sizeof name, 1));
  CHECK(strcmp(name, "CUDA stand-in 1") == 0);
  CHECK_OK(cu.cuDeviceTotalMem(&bytes, 0));
  CHECK(bytes == 1024 * MIB);
  CHECK_OK(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0));
  CHECK(value == 1);
  CHECK_RESULT(cu.cuDeviceGetAttribute(&value, 158, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_INTEGRATED, 2), CUDA_ERROR_INVALID_DEVICE);
  CHECK_OK(cu.cuDeviceCanAccessPeer(&value, 0, 1));
  CHECK(value == 1);
  gpu_end(&g);
}

static void contexts_are_counted(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  cu_context again, current;
  cu_device device;
  CHECK_OK(cu.cuDevicePrimaryCtxRetain(&again, 0));
  CHECK(again == g.context);
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  CHECK_OK(cu.cuCtxSynchronize()); /* the first reference keeps it */
  CHECK_OK(cu.cuCtxGetDevice(&device));
  CHECK(device == 0);
  CHECK_OK(cu.cuCtxGetCurrent(&current));
  CHECK(current == g.context);
  CHECK_OK(cu.cuModuleUnload(g.module));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  CHECK_RESULT(cu.cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_OK(cu.cuCtxPopCurrent(&current));
  CHECK_RESULT(cu.cuCtxPushCurrent(g.context), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  CHECK_RESULT(cu.cuCtxPushCurrent((cu_context)(void *)&g), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuCtxPopCurrent(&current), CUDA_ERROR_INVALID_CONTEXT);
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
  CHECK_OK(cu.cuCtxGetCurrent(&current));
  CHECK(current == NULL);
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuStreamCreate(&stream, 0), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuEventCreate(&event, 0), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuMemAlloc(&address, 16), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuMemGetInfo(&bytes, &bytes), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuMemHostAlloc(&memory, 16, 0), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_RESULT(cu.cuStreamSynchronize(NULL), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_OK(cu.cuCtxPushCurrent(g->context));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  return NULL;
}

static void each_thread_has_its_stack(void **state) {
  (void)state;
  gpu g;
  pthread_t thread;
  gpu_begin(&g, 0);
  CHECK(pthread_create(&thread, NULL, without_context, &g) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
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
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  gpu_begin(&two, 1);
  CHECK_OK(cu.cuStreamGetCtx(stream, &of));
  CHECK(of == one.context);
  CHECK_OK(cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  CHECK_OK(cu.cuMemAlloc(&address, 64));
  CHECK_RESULT(cu.cuEventRecord(event, stream), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(cu.cuMemsetD8Async(address, 0, 64, stream), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(cu.cuStreamWriteValue64(stream, address, 1, 0), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(LAUNCH(&two, stream, "fill", address, 8, 1), CUDA_ERROR_INVALID_HANDLE);
  CHECK_OK(cu.cuStreamQuery(stream)); /* these do not ask whose it is */
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK_OK(cu.cuMemFree(address));
  CHECK_OK(cu.cuEventDestroy(event));
  CHECK_OK(cu.cuModuleUnload(two.module));
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(1));
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&one);
}

static void handles_that_are_none(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  cu_event event;
  cu_function function;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, 0));
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK_RESULT(cu.cuStreamDestroy(stream), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(cu.cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(cu.cuStreamDestroy(NULL), CUDA_ERROR_INVALID_HANDLE);
  CHECK_OK(cu.cuEventCreate(&event, 0));
  CHECK_OK(cu.cuEventDestroy(event));
  CHECK_RESULT(cu.cuEventDestroy(event), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(cu.cuEventQuery(event), CUDA_ERROR_INVALID_HANDLE);
  CHECK_RESULT(cu.cuMemFree(0x1234), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuMemRelease(7), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuModuleGetFunction(&function, g.module, "no such kernel"), CUDA_ERROR_NOT_FOUND);
  CHECK_RESULT(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE); /* with timing */
  CHECK_RESULT(cu.cuStreamCreate(&stream, 2), CUDA_ERROR_INVALID_VALUE);
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
  CHECK(standin_fail("cuStreamCreate", 2, CUDA_ERROR_OUT_OF_MEMORY) == 0);
  CHECK(standin_fail("no such function", 1, 1) == -1);
  CHECK_OK(cu.cuStreamCreate(&a, 0));
  CHECK_RESULT(cu.cuStreamCreate(&b, 0), CUDA_ERROR_OUT_OF_MEMORY);
  CHECK_OK(cu.cuStreamCreate(&b, 0));
  CHECK(standin_calls("cuStreamCreate") == calls + 3);
  CHECK(standin_failed(&name) == failed + 1 && strcmp(name, "cuStreamCreate") == 0);

  /* What releases does so all the same; either name will do. */
  CHECK(standin_fail("cuStreamDestroy_v2", 1, CUDA_ERROR_UNKNOWN) == 0);
  CHECK_RESULT(cu.cuStreamDestroy(b), CUDA_ERROR_UNKNOWN);
  CHECK(standin_live(STANDIN_STREAMS) == 1);

  CHECK(standin_fail("*", 2, CUDA_ERROR_NOT_PERMITTED) == 0);
  CHECK_OK(cu.cuStreamQuery(a));
  CHECK_RESULT(cu.cuCtxSynchronize(), CUDA_ERROR_NOT_PERMITTED);
  CHECK(standin_fail("*", 1, CUDA_ERROR_UNKNOWN) == 0);
  CHECK(standin_fail(NULL, 0, 0) == 0);
  CHECK_OK(cu.cuStreamDestroy(a));
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
  CHECK_OK(cu.cuStreamCreate(&healthy, 0));
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, 0));
  CHECK_OK(cu.cuEventCreate(&event, 0));
  CHECK_OK(cu.cuMemAlloc(&address, 64));
  CHECK_OK(cu.cuMemHostAlloc(&fence, 8, 0));
  CHECK_OK(LAUNCH(&g, stream, "until", (uint64_t)(uintptr_t)fence, 1));
  CHECK_OK(LAUNCH(&g, stream, "trap", 0));
  CHECK_OK(cu.cuEventRecord(event, stream));
  __atomic_store_n((uint64_t *)fence, 1, __ATOMIC_RELEASE); /* pairs with the kernel's load */
  CHECK_RESULT(cu.cuStreamSynchronize(stream), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_RESULT(cu.cuEventQuery(event), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_RESULT(cu.cuLaunchHostFunc(stream, (cu_host_function)(uintptr_t)0x1, &called), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_RESULT(cu.cuMemFree(address), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_RESULT(cu.cuStreamDestroy(stream), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuStreamSynchronize(healthy)); /* the other device's context is well */
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  CHECK(standin_live(STANDIN_STREAMS) == 1 && standin_live(STANDIN_ALLOCATIONS) == 0);
  CHECK_OK(cu.cuStreamDestroy(healthy));
  CHECK_OK(cu.cuModuleUnload(other.module));
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(1));
  gpu_nothing_left(5); /* stream, event, memory on device and host, module */

  gpu_begin(&g, 0); /* a new context is well again */
  CHECK_OK(cu.cuStreamCreate(&stream, 0));
  CHECK(standin_fail("cuStreamQuery", 1, CUDA_ERROR_ILLEGAL_ADDRESS) == 0);
  CHECK_RESULT(cu.cuStreamQuery(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK_RESULT(cu.cuStreamQuery(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(2);
}

/* Who is told a sticky error may unmap what the context used, since it cannot unregister it any more: a kernel that is
 * at work has ended before. */
static void nothing_works_after_a_sticky_error(void **state) {
  (void)state;
  enum { WORDS = 1 << 23, LAST = WORDS - 1, BEGUN = WORDS, ALL };
  gpu g;
  cu_stream stream;
  gpu_begin(&g, 0);
  size_t bytes = ALL * sizeof(uint64_t);
  uint64_t *words = calloc(1, bytes);
  CHECK(words != NULL);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemHostRegister(words, bytes, CU_MEMHOSTREGISTER_DEVICEMAP));
  CHECK_OK(cu.cuStreamWriteValue64(stream, (uintptr_t)&words[BEGUN], 1, 0));
  CHECK_OK(LAUNCH(&g, stream, "fill", (uintptr_t)words, WORDS, 7));
  WAIT_FOR(__atomic_load_n(&words[BEGUN], __ATOMIC_ACQUIRE) == 1); /* pairs with the stream's write */
  CHECK(standin_fail("cuStreamQuery", 1, CUDA_ERROR_ILLEGAL_ADDRESS) == 0);
  CHECK_RESULT(cu.cuStreamQuery(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK_RESULT(cu.cuMemHostUnregister(words), CUDA_ERROR_ILLEGAL_ADDRESS);
  words[LAST] = 8;
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0)); /* its threads have ended */
  CHECK(words[LAST] == 8);
  free(words);
  gpu_nothing_left(3); /* stream, registration, module */
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
  CHECK_OK(cu.cuLaunchHostFunc(NULL, call_from_host_function, &result));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_RESULT(result, CUDA_ERROR_NOT_PERMITTED);
  gpu_end(&g);
}

static void a_forked_child_has_no_cuda(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    cf_cuda_driver again = { 0 };
    bool refused = cu.cuCtxSynchronize() == CUDA_ERROR_NOT_INITIALIZED &&
                   cf_cuda_driver_load(&again) == CUFRAMES_ERR_DEVICE &&
                   strstr(cuframes_last_error(), "CUDA_ERROR_NOT_INITIALIZED") != NULL;
    _exit(refused ? 0 : 1);
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
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
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&behind, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuEventCreate(&event, 0));
  CHECK_OK(cu.cuMemAlloc(&word, 8));
  CHECK_OK(cu.cuMemsetD8(word, 0, 8));
  CHECK_OK(cu.cuStreamSynchronize(NULL));
  CHECK_OK(cu.cuStreamWaitValue64(stream, word, 1, 0));
  CHECK_OK(cu.cuEventRecord(event, stream));
  CHECK_OK(cu.cuStreamWaitEvent(behind, event, 0));
  CHECK_RESULT(cu.cuStreamQuery(behind), CUDA_ERROR_NOT_READY);
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
  gpu_nothing_left(5); /* streams, event, memory, module */
}

int main(void) {
  setenv("CUDA_STANDIN_DEVICES", "2", 1);
  const struct CMUnitTest tests[] = {
    FIXTURE(devices),
    FIXTURE(contexts_are_counted),
    FIXTURE(each_thread_has_its_stack),
    FIXTURE(streams_of_another_context),
    FIXTURE(handles_that_are_none),
    FIXTURE(errors_on_demand),
    FIXTURE(a_sticky_error_is_the_end_of_a_context),
    FIXTURE(nothing_works_after_a_sticky_error),
    FIXTURE(host_functions_may_not_call),
    FIXTURE(a_forked_child_has_no_cuda),
    FIXTURE(a_context_goes_with_work_in_it),
  };
  return FIXTURE_RUN("standin", tests);
}
