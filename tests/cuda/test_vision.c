/* test_vision.c - libcuframes-vision over the stand-in for CUDA: drivers that lack something, calls that fail, and
 * which calls a run makes. What is the same on a GPU is in tests/gpu/test_vision*.c. */
#include <cuframes/vision.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

#define SIDE 16u
#define COUNT 12u /* more than a launch carries */

/* What a child works with. */
typedef struct place {
  gpu gpu;
  cu_stream stream;
  cu_deviceptr memory; /* pictures, then a tensor, then an output */
  cuframes_format format;
  cuframes_picture pictures[COUNT], output;
  cuframes_layer layers[COUNT];
} place;

#define BYTES 4096u

static void *at(cu_deviceptr address) {
  return (void *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr)
}

static void begin(place *p, const char *driver, const char *variables) {
  driver_use(driver, variables);
  gpu_begin(&p->gpu, 0);
  CHECK_OK(cu.cuStreamCreate(&p->stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&p->memory, 16 * BYTES));
  p->format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 20, .height = 20, .pitch = { 20 } };
  for (uint32_t i = 0; i < COUNT; i++) {
    p->pictures[i] = (cuframes_picture){ .format = &p->format, .plane = { at(p->memory) } };
    p->layers[i] = (cuframes_layer){ .picture = p->pictures[i], .width = 9, .height = 9, .color = { 0, 0, 0, 255 } };
  }
  p->output = (cuframes_picture){ .format = &p->format, .plane = { at(p->memory + BYTES) } };
}

static void end(const place *p) {
  CHECK_OK(cu.cuMemFree(p->memory));
  CHECK_OK(cu.cuStreamDestroy(p->stream));
  gpu g = p->gpu;
  gpu_end(&g);
}

static void *tensor(const place *p) {
  return at(p->memory + 2 * BYTES);
}

static int create(cuframes_preprocess **preprocess) {
  cuframes_preprocess_options options = {
    .struct_size = sizeof options, .width = SIDE, .height = SIDE, .element = CUFRAMES_ELEMENT_UINT8, .device = "cuda"
  };
  return cuframes_preprocess_create(&options, preprocess);
}

static int create_compositor(cuframes_compositor **compositor) {
  cuframes_compositor_options options = { .struct_size = sizeof options, .capacity = 32, .device = "cuda" };
  return cuframes_compositor_create(&options, compositor);
}

/* ---- drivers ---- */

typedef struct lacking {
  const char *driver, *variables, *detail;
} lacking;

static void be_refused(int test, void *user) {
  const lacking *l = user;
  cuframes_preprocess *preprocess = (void *)1;
  cuframes_compositor *compositor = (void *)1;
  (void)test;
  driver_use(l->driver, l->variables);
  CHECK_RESULT(create(&preprocess), CUFRAMES_ERR_UNSUPPORTED);
  detail_names(l->detail);
  CHECK_RESULT(create_compositor(&compositor), CUFRAMES_ERR_UNSUPPORTED);
  detail_names(l->detail);
  CHECK(preprocess == (void *)1 && compositor == (void *)1);
  driver_nothing_left();
}

static void drivers_that_lack_something(void **state) {
  (void)state;
  static const lacking all[] = {
    { STANDIN, "CUDA_STANDIN_WITHOUT=cuModuleLoadData", "lacks" },
    { STANDIN, "CUDA_STANDIN_WITHOUT=cuLaunchKernel", "lacks" },
    { STANDIN, "CUDA_STANDIN_WITHOUT=cuThreadExchangeStreamCaptureMode", "lacks" },
    { STANDIN, "CUDA_STANDIN_WITHOUT=cuMemcpyHtoDAsync", "lacks" },
    { STANDIN, "CUDA_STANDIN_VERSION=11030", "too old" },
  };
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    child_finish(child_start(be_refused, (void *)(uintptr_t)&all[i]));
}

static void work_on_the_old_one(int test, void *user) {
  place p;
  cuframes_preprocess *preprocess;
  (void)test, (void)user;
  begin(&p, STANDIN_OLD, NULL);
  CHECK_OK(create(&preprocess));
  CHECK_OK(cuframes_preprocess_run(preprocess, p.pictures, COUNT, tensor(&p), p.stream, NULL));
  cuframes_preprocess_destroy(preprocess);
  end(&p);
}

static void an_old_driver_will_do(void **state) {
  (void)state;
  child_finish(child_start(work_on_the_old_one, NULL));
}

static void load_bad_kernels(int test, void *user) {
  cuframes_preprocess *preprocess;
  (void)test, (void)user;
  driver_use(STANDIN, NULL);
  driver_fail("cuModuleLoadData", 1, CUDA_ERROR_INVALID_PTX);
  CHECK_RESULT(create(&preprocess), CUFRAMES_ERR_DEVICE);
  detail_names("cuModuleLoadData: loading the kernels: CUDA_ERROR_INVALID_PTX");
  driver_nothing_left();
}

static void kernels_that_do_not_load(void **state) {
  (void)state;
  child_finish(child_start(load_bad_kernels, NULL));
}

static void load_for_two_contexts(int test, void *user) {
  static place p;
  gpu second;
  cuframes_preprocess *preprocess[3];
  cuframes_compositor *compositor;
  (void)test, (void)user;
  begin(&p, STANDIN, "CUDA_STANDIN_DEVICES=2");
  unsigned long before = driver_calls("cuModuleLoadData");
  CHECK_OK(create(&preprocess[0]));
  CHECK_OK(create(&preprocess[1]));
  CHECK_OK(create_compositor(&compositor));
  CHECK(driver_calls("cuModuleLoadData") == before + 1);
  cuframes_preprocess_destroy(preprocess[0]);
  CHECK_OK(cuframes_preprocess_run(preprocess[1], p.pictures, COUNT, tensor(&p), p.stream, NULL));
  gpu_begin(&second, 1);
  before = driver_calls("cuModuleLoadData");
  CHECK_OK(create(&preprocess[2]));
  CHECK(driver_calls("cuModuleLoadData") == before + 1);
  cuframes_preprocess_destroy(preprocess[2]);
  cu_context popped;
  CHECK_OK(cu.cuModuleUnload(second.module));
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(1));
  cuframes_preprocess_destroy(preprocess[1]);
  CHECK_OK(cuframes_compositor_run(compositor, p.layers, COUNT, &p.output, p.stream));
  cuframes_compositor_destroy(compositor);
  CHECK_OK(create(&preprocess[0])); /* nobody had them any more */
  CHECK(driver_calls("cuModuleLoadData") == before + 2);
  cuframes_preprocess_destroy(preprocess[0]);
  end(&p);
}

static void kernels_are_loaded_once_for_a_context(void **state) {
  (void)state;
  child_finish(child_start(load_for_two_contexts, NULL));
}

/* ---- calls that fail ---- */

/* Everything once; stops at the first error. */
static int everything(const place *p) {
  cuframes_preprocess *preprocess = NULL;
  cuframes_compositor *compositor = NULL;
  int result = create(&preprocess);
  if (result == CUFRAMES_OK)
    result = cuframes_preprocess_run(preprocess, p->pictures, 2, tensor(p), p->stream, NULL);
  for (int i = 0; i < 6 && result == CUFRAMES_OK; i++) /* more than there are tables */
    result = cuframes_preprocess_run(preprocess, p->pictures, COUNT, tensor(p), p->stream, NULL);
  if (result == CUFRAMES_OK)
    result = cuframes_preprocess_set(preprocess, p->pictures, COUNT, p->stream, NULL);
  if (result == CUFRAMES_OK)
    result = cuframes_preprocess_launch(preprocess, COUNT, tensor(p), p->stream);
  if (result == CUFRAMES_OK)
    result = create_compositor(&compositor);
  if (result == CUFRAMES_OK)
    result = cuframes_compositor_run(compositor, p->layers, COUNT, &p->output, p->stream);
  cuframes_compositor_destroy(compositor);
  cuframes_preprocess_destroy(preprocess);
  return result;
}

/* The nth call fails; in destroy() nobody is told, but nothing may be left. */
static void fail_each(int test, void *user) {
  static place p;
  const int error = *(const int *)user;
  begin(&p, STANDIN, NULL);
  unsigned long before = driver_calls("*");
  CHECK_OK(everything(&p));
  unsigned calls = (unsigned)(driver_calls("*") - before), told = 0;
  CHECK(calls > 60);
  for (unsigned nth = 1; nth <= calls; nth++) {
    driver_fail("*", nth, error);
    int result = everything(&p);
    if (result != CUFRAMES_OK) {
      CHECK(result == (error == CUDA_ERROR_OUT_OF_MEMORY ? CUFRAMES_ERR_NO_MEMORY : CUFRAMES_ERR_DEVICE) ||
            result == CUFRAMES_ERR_UNSUPPORTED); /* the version that a driver does not tell */
      told++;
    }
    driver_fail(NULL, 0, 0);
    CHECK_OK(cu.cuStreamSynchronize(p.stream));
  }
  CHECK_OK(everything(&p));
  CHECK(told > calls / 2);
  end(&p); /* looks what is left */
  say(test, told);
}

static void each_call_fails_once(void **state) {
  (void)state;
  static const int errors[] = { CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_INVALID_VALUE };
  for (size_t i = 0; i < 2; i++) {
    child *c = child_start(fail_each, (void *)(uintptr_t)&errors[i]);
    CHECK(hear_of_many(c->fd) > 0);
    child_finish(c);
  }
}

/* ---- the calls of a run ---- */

static const char *const never[] = {
  "cuMemAlloc",          "cuMemAllocAsync",  "cuMemFree",      "cuMemHostAlloc",   "cuMemFreeHost",
  "cuMemHostRegister",   "cuMemcpyHtoD",     "cuMemcpyDtoH",   "cuCtxSynchronize", "cuStreamSynchronize",
  "cuEventSynchronize",  "cuEventCreate",    "cuEventDestroy", "cuStreamCreate",   "cuModuleLoadData",
  "cuModuleGetFunction", "cuLaunchHostFunc", "cuStreamQuery",
};
#define NEVER (sizeof never / sizeof never[0])

/* Launches of a run that is to make so many, with nothing on the stream. */
static void count_launches(const place *p, cuframes_preprocess *preprocess, uint32_t count, unsigned long wanted) {
  CHECK_OK(cu.cuStreamSynchronize(p->stream));
  unsigned long before = driver_calls("cuLaunchKernel");
  CHECK_OK(cuframes_preprocess_run(preprocess, p->pictures, count, tensor(p), p->stream, NULL));
  CHECK(driver_calls("cuLaunchKernel") - before == wanted);
}

static void look_at_calls(int test, void *user) {
  static place p;
  cuframes_preprocess *preprocess;
  cuframes_compositor *compositor;
  unsigned long before[NEVER];
  (void)test, (void)user;
  begin(&p, STANDIN, NULL);
  CHECK_OK(create(&preprocess));
  CHECK_OK(create_compositor(&compositor));
  for (size_t i = 0; i < NEVER; i++)
    before[i] = driver_calls(never[i]);
  for (int i = 0; i < 30; i++) {
    CHECK_OK(cuframes_preprocess_run(preprocess, p.pictures, i % 2 ? 2 : COUNT, tensor(&p), p.stream, NULL));
    CHECK_OK(cuframes_preprocess_set(preprocess, p.pictures, COUNT, p.stream, NULL));
    CHECK_OK(cuframes_preprocess_launch(preprocess, COUNT, tensor(&p), p.stream));
    CHECK_OK(cuframes_compositor_run(compositor, p.layers, COUNT, &p.output, p.stream));
  }
  for (size_t i = 0; i < NEVER; i++) {
    if (driver_calls(never[i]) != before[i])
      fprintf(stderr, "a run calls %s\n", never[i]);
    CHECK(driver_calls(never[i]) == before[i]);
  }
  count_launches(&p, preprocess, 1, 1);
  count_launches(&p, preprocess, COUNT, 1);
  cuframes_preprocess_destroy(preprocess);
  cuframes_compositor_destroy(compositor);
  end(&p);
}

static void a_run_is_one_launch_and_never_waits(void **state) {
  (void)state;
  child_finish(child_start(look_at_calls, NULL));
}

int main(int argc, char **argv) {
  drivers_begin(argc, argv);
  const struct CMUnitTest tests[] = {
    FIXTURE(drivers_that_lack_something),
    FIXTURE(an_old_driver_will_do),
    FIXTURE(kernels_that_do_not_load),
    FIXTURE(each_call_fails_once),
    FIXTURE(kernels_are_loaded_once_for_a_context),
    FIXTURE(a_run_is_one_launch_and_never_waits),
  };
  return FIXTURE_RUN("cuda/vision", tests);
}
