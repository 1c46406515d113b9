/* test_vision_streams.c - how the work of libcuframes-vision stands among other work of a GPU: it waits for nothing and
 * allocates nothing, graphs take it, streams order it, and it ends well whatever becomes of its object, its context or
 * its process.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"
#include "vision.h"

#define SIDE 32u
#define PICTURES 12u /* more than a launch carries as its parameters */
#define FEW 3u

static const cuframes_preprocess_options options = {
  .width = SIDE, .height = SIDE, .element = CUFRAMES_ELEMENT_UINT8, .capacity = 16
};

static void *at(cu_deviceptr address) {
  return (void *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr)
}

static void make(both_picture pictures[PICTURES], uint32_t seed) {
  for (uint32_t i = 0; i < PICTURES; i++)
    pictures[i] = both_new((cuframes_format){ .pixel_format = i % 2 ? CUFRAMES_PIXEL_NV12 : CUFRAMES_PIXEL_RGB24,
                                              .width = 40 + i,
                                              .height = 30 },
                           CONTENT_NOISE, seed + i);
}

static void end(both_picture pictures[PICTURES]) {
  for (uint32_t i = 0; i < PICTURES; i++)
    both_free(&pictures[i]);
}

static void list(const both_picture pictures[PICTURES], cuframes_picture gpu_list[PICTURES]) {
  for (uint32_t i = 0; i < PICTURES; i++)
    gpu_list[i] = pictures[i].gpu;
}

/* What the host makes of them goes to wanted. */
static void expect(twins *t, const both_picture pictures[PICTURES], uint32_t count) {
  cuframes_picture host_list[PICTURES];
  for (uint32_t i = 0; i < count; i++)
    host_list[i] = pictures[i].host->picture;
  CHECK_OK(cuframes_preprocess_run(t->host, host_list, count, t->wanted, NULL, NULL));
}

static void check_tensor(twins *t, const both_picture pictures[PICTURES], uint32_t count, cu_stream stream) {
  expect(t, pictures, count);
  twins_fetch(t, count, stream);
  CHECK(twins_distance(t, count) <= 1);
}

/* ---- nothing is waited for ---- */

#define RUNS 40u /* many more than there are tables */

/* A stream that a word holds: whoever waited for anything on it would not come back. */
static void run_held(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[PICTURES];
  cuframes_picture batch[PICTURES];
  cu_deviceptr word = word_new(), tensors;
  cu_stream other;
  twins_begin(&t, options);
  make(pictures, 1);
  list(pictures, batch);
  CHECK_OK(cu.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&tensors, RUNS * t.bytes * PICTURES));
  CHECK_OK(LAUNCH(g, stream, "until", word, 1));
  for (uint32_t i = 0; i < RUNS; i++) { /* each with another picture first */
    cuframes_picture first = batch[0];
    batch[0] = pictures[i % PICTURES].gpu;
    CHECK_OK(cuframes_preprocess_run(t.gpu, batch, PICTURES, at(tensors + i * t.bytes * PICTURES), stream, NULL));
    batch[0] = first;
  }
  CHECK_OK(cuframes_preprocess_run(t.gpu, batch, FEW, at(t.memory), stream, NULL));
  CHECK_OK(cuframes_preprocess_set(t.gpu, batch, PICTURES, stream, NULL));
  CHECK_OK(cuframes_preprocess_launch(t.gpu, 1, at(t.memory), stream));
  CHECK(cu.cuStreamQuery(stream) == CUDA_ERROR_NOT_READY);
  CHECK_OK(LAUNCH(g, other, "fill", word, 1, 1));
  CHECK_OK(cu.cuStreamSynchronize(stream));
  for (uint32_t i = 0; i < RUNS; i++) {
    CHECK_OK(cu.cuMemcpyDtoH(t.got, tensors + i * t.bytes * PICTURES, t.bytes * PICTURES));
    both_picture first = pictures[0];
    pictures[0] = pictures[i % PICTURES];
    expect(&t, pictures, PICTURES);
    pictures[0] = first;
    CHECK(twins_distance(&t, PICTURES) <= 1);
  }
  CHECK_OK(cu.cuMemFree(tensors));
  CHECK_OK(cu.cuMemFree(word));
  CHECK_OK(cu.cuStreamDestroy(other));
  end(pictures);
  twins_end(&t);
  vision_note("%u runs of %u pictures put on a stream that stood still", RUNS, PICTURES);
}

/* Three streams that do not know of each other, so that each comes to take every table from another one: each run finds
 * its own pictures in its table. */
static void run_taken(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[2][PICTURES];
  cuframes_picture batch[PICTURES];
  cu_deviceptr tensors;
  cu_stream streams[3] = { stream };
  (void)g;
  twins_begin(&t, options);
  make(pictures[0], 21);
  make(pictures[1], 60);
  for (int i = 1; i < 3; i++)
    CHECK_OK(cu.cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&tensors, RUNS * t.bytes * PICTURES));
  for (uint32_t i = 0; i < RUNS; i++) {
    list(pictures[i / 4 % 2], batch);
    CHECK_OK(
        cuframes_preprocess_run(t.gpu, batch, PICTURES, at(tensors + i * t.bytes * PICTURES), streams[i % 3], NULL));
  }
  for (int i = 0; i < 3; i++)
    CHECK_OK(cu.cuStreamSynchronize(streams[i]));
  for (uint32_t i = 0; i < RUNS; i++) {
    CHECK_OK(cu.cuMemcpyDtoH(t.got, tensors + i * t.bytes * PICTURES, t.bytes * PICTURES));
    expect(&t, pictures[i / 4 % 2], PICTURES);
    CHECK(twins_distance(&t, PICTURES) <= 1);
  }
  CHECK_OK(cu.cuMemFree(tensors));
  for (int i = 1; i < 3; i++)
    CHECK_OK(cu.cuStreamDestroy(streams[i]));
  end(pictures[0]);
  end(pictures[1]);
  twins_end(&t);
}

static void tables_are_not_taken_away(void **state) {
  (void)state;
  vision_play(run_taken);
}

static void no_call_waits(void **state) {
  (void)state;
  vision_play(run_held);
}

/* Free memory of the GPU; over the stand-in, what there is of each kind instead. */
static uint64_t resources(void) {
  size_t unused = 0, total;
  CHECK_OK(cu.cuMemGetInfo(&unused, &total));
  uint64_t sum = unused;
  for (int kind = 0; kind < STANDIN_SWEPT; kind++)
    sum = sum * 31 + (uint64_t)gpu_live((standin_kind)kind);
  return sum;
}

static void run_flat(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[PICTURES];
  cuframes_picture batch[PICTURES];
  uint64_t runs = program.frames ? program.frames : 10000, before = 0;
  (void)g;
  twins_begin(&t, options);
  make(pictures, 2);
  list(pictures, batch);
  for (uint64_t i = 0; i < runs; i++) {
    if (i == runs / 10)
      before = resources();
    CHECK_OK(cuframes_preprocess_run(t.gpu, batch, i % 3 ? FEW : PICTURES, at(t.memory), stream, NULL));
    if (i % 256 == 0)
      CHECK_OK(cu.cuStreamSynchronize(stream));
  }
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK(resources() == before);
  end(pictures);
  twins_end(&t);
  vision_note("%llu runs, memory as before", (unsigned long long)runs);
}

static void runs_allocate_nothing(void **state) {
  (void)state;
  vision_play(run_flat);
}

/* ---- graphs ---- */

static void refused(int result, const char *why) {
  CHECK_RESULT(result, CUFRAMES_ERR_INVALID);
  detail_names(why);
}

static void run_graphs(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[PICTURES], others[PICTURES];
  cuframes_picture batch[PICTURES];
  cu_graph graph;
  cu_graph_exec exec;
  cuframes_compositor *compositor;
  cuframes_compositor_options wall = { .struct_size = sizeof wall, .device = "cuda" };
  (void)g;
  twins_begin(&t, options);
  CHECK_OK(cuframes_compositor_create(&wall, &compositor));
  make(pictures, 3);
  make(others, 50);
  list(pictures, batch);
  CHECK_OK(cu.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  refused(cuframes_preprocess_set(t.gpu, batch, FEW, stream, NULL), "captures");
  refused(cuframes_preprocess_run(t.gpu, batch, PICTURES, at(t.memory), stream, NULL), "cuframes_preprocess_set");
  refused(cuframes_compositor_run(compositor, NULL, 0, &pictures[0].gpu, stream), "captures");
  CHECK_OK(cuframes_preprocess_launch(t.gpu, PICTURES, at(t.memory), stream));
  CHECK_OK(cu.cuStreamEndCapture(stream, &graph));
  CHECK_OK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (uint32_t i = 0; i < 6; i++) { /* the first time before the last one is done */
    const both_picture *now = i % 2 ? others : pictures;
    list(now, batch);
    CHECK_OK(cuframes_preprocess_set(t.gpu, batch, i == 5 ? FEW : PICTURES, stream, NULL));
    CHECK_OK(cu.cuGraphLaunch(exec, stream));
    check_tensor(&t, now, i == 5 ? FEW : PICTURES, stream);
  }
  twins_fetch(&t, PICTURES, stream);
  for (size_t i = t.bytes * FEW; i < t.bytes * PICTURES; i++) /* what was not set is padding */
    CHECK(((const uint8_t *)t.got)[i] == 0);
  CHECK_OK(cu.cuGraphExecDestroy(exec));
  CHECK_OK(cu.cuGraphDestroy(graph));

  /* Pictures that stay where they are may go along. */
  CHECK_OK(cu.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  CHECK_OK(cuframes_preprocess_run(t.gpu, batch, FEW, at(t.memory), stream, NULL));
  CHECK_OK(cu.cuStreamEndCapture(stream, &graph));
  CHECK_OK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
  CHECK_OK(cu.cuMemsetD8Async(t.memory, 0x11, t.bytes * FEW, stream));
  CHECK_OK(cu.cuGraphLaunch(exec, stream));
  check_tensor(&t, others, FEW, stream);
  CHECK_OK(cu.cuGraphExecDestroy(exec));
  CHECK_OK(cu.cuGraphDestroy(graph));
  end(pictures);
  end(others);
  cuframes_compositor_destroy(compositor);
  twins_end(&t);
  vision_note("set and launched 6 times, by address once");
}

static void graphs_take_it(void **state) {
  (void)state;
  vision_play(run_graphs);
}

/* While one thread captures in the mode that forbids all threads to wait, another one creates, runs and destroys. */
static void *beside(void *user) {
  cu_context popped;
  const gpu *g = user;
  static twins t;
  both_picture pictures[PICTURES];
  cuframes_picture batch[PICTURES];
  cuframes_preprocess_options o = options;
  cu_stream stream;
  cu_capture_mode mode = CU_STREAM_CAPTURE_MODE_RELAXED; /* what the test does by itself */
  CHECK_OK(cu.cuCtxPushCurrent(g->context));
  CHECK_OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
  twins_begin(&t, options);
  cuframes_preprocess_destroy(t.gpu);
  make(pictures, 4);
  list(pictures, batch);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
  o.struct_size = sizeof o;
  o.device = "cuda";
  CHECK_OK(cuframes_preprocess_create(&o, &t.gpu));
  for (int i = 0; i < 20; i++)
    CHECK_OK(cuframes_preprocess_run(t.gpu, batch, PICTURES, at(t.memory), stream, NULL));
  CHECK_OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
  check_tensor(&t, pictures, PICTURES, stream);
  end(pictures);
  twins_end(&t);
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  return NULL;
}

static void run_beside(const gpu *g, cu_stream stream) {
  pthread_t thread;
  cu_graph graph;
  CHECK_OK(cu.cuStreamBeginCapture(stream, 0));
  CHECK(pthread_create(&thread, NULL, beside, (void *)(uintptr_t)g) == 0);
  pthread_join(thread, NULL);
  CHECK_OK(cu.cuStreamEndCapture(stream, &graph));
  CHECK_OK(cu.cuGraphDestroy(graph));
}

static void captures_of_others_are_not_spoiled(void **state) {
  (void)state;
  vision_play(run_beside);
}

/* ---- what ends ---- */

static void run_destroyed(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[PICTURES];
  cuframes_picture batch[PICTURES];
  cuframes_preprocess_options o = options;
  (void)g;
  twins_begin(&t, options);
  make(pictures, 5);
  list(pictures, batch);
  o.struct_size = sizeof o;
  o.device = "cuda";
  for (uint32_t count = FEW; count <= PICTURES; count += PICTURES - FEW) {
    cuframes_preprocess *preprocess;
    CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
    CHECK_OK(LAUNCH(g, stream, "spin", 3000));
    CHECK_OK(cuframes_preprocess_run(preprocess, batch, count, at(t.memory), stream, NULL));
    cuframes_preprocess_destroy(preprocess);
    check_tensor(&t, pictures, count, stream);
    CHECK_OK(cuframes_preprocess_create(&o, &preprocess)); /* the same by the table that graphs have */
    CHECK_OK(LAUNCH(g, stream, "spin", 3000));
    CHECK_OK(cuframes_preprocess_set(preprocess, batch, count, stream, NULL));
    CHECK_OK(cuframes_preprocess_launch(preprocess, count, at(t.memory), stream));
    cuframes_preprocess_destroy(preprocess);
    check_tensor(&t, pictures, count, stream);
  }
  end(pictures);
  twins_end(&t);
}

static void work_outlives_its_object(void **state) {
  (void)state;
  vision_play(run_destroyed);
}

/* A kernel of the application goes wrong, and with it the context: errors, and everything can be ended. */
static void lose_the_context(int test, void *user) {
  gpu g;
  cu_stream stream;
  cuframes_picture picture;
  cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 16, .height = 16, .pitch = { 16 } };
  cuframes_preprocess_options o = options;
  cuframes_preprocess *preprocess;
  cu_deviceptr memory;
  (void)user;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&memory, 1 << 20));
  picture = (cuframes_picture){ .format = &format, .plane = { at(memory) } };
  o.struct_size = sizeof o;
  o.device = "cuda";
  CHECK_OK(cuframes_preprocess_create(&o, &preprocess));
  CHECK_OK(cuframes_preprocess_run(preprocess, &picture, 1, at(memory + 4096), stream, NULL));
  CHECK_OK(LAUNCH(&g, stream, "trap", 0));
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_ERROR_LAUNCH_FAILED);
  CHECK_RESULT(cuframes_preprocess_run(preprocess, &picture, 1, at(memory + 4096), stream, NULL), CUFRAMES_ERR_DEVICE);
  detail_names("CUDA_ERROR_LAUNCH_FAILED");
  CHECK_RESULT(cuframes_preprocess_set(preprocess, &picture, 1, stream, NULL), CUFRAMES_ERR_DEVICE);
  CHECK_RESULT(cuframes_preprocess_launch(preprocess, 1, at(memory + 4096), stream), CUFRAMES_ERR_DEVICE);
  cuframes_preprocess_destroy(preprocess);
  say(test, 1);
  _exit(0); /* nothing of this context can be ended well */
}

static void a_lost_context_is_an_error(void **state) {
  (void)state;
  child *c = child_start(lose_the_context, NULL);
  CHECK(hear(c->fd) == 1);
  child_finish(c);
}

static void run_forked(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[PICTURES];
  cuframes_picture batch[PICTURES];
  int status;
  (void)g;
  twins_begin(&t, options);
  make(pictures, 6);
  list(pictures, batch);
  pid_t forked = fork();
  CHECK(forked >= 0);
  if (forked == 0) {
    bool good = cuframes_preprocess_run(t.gpu, batch, 1, at(t.memory), stream, NULL) == CUFRAMES_ERR_INVALID &&
                strstr(cuframes_last_error(), "fork");
    cuframes_preprocess_destroy(t.gpu);
    _exit(good ? 0 : 1);
  }
  CHECK(waitpid(forked, &status, 0) == forked && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_OK(cuframes_preprocess_run(t.gpu, batch, PICTURES, at(t.memory), stream, NULL));
  check_tensor(&t, pictures, PICTURES, stream);
  end(pictures);
  twins_end(&t);
}

static void a_forked_child_is_refused(void **state) {
  (void)state;
  vision_play(run_forked);
}

/* ---- more than one of something ---- */

static void run_refusals(const gpu *g, cu_stream stream) {
  gpu second;
  cu_stream far;
  static twins t;
  cuframes_preprocess *there;
  cuframes_preprocess_options o = options;
  both_picture pictures[PICTURES];
  (void)g;
  twins_begin(&t, options);
  make(pictures, 7);
  gpu_begin(&second, 1);
  CHECK_OK(cu.cuStreamCreate(&far, CU_STREAM_NON_BLOCKING));
  o.struct_size = sizeof o;
  o.device = "cuda"; /* of the context that is current */
  CHECK_OK(cuframes_preprocess_create(&o, &there));
  CHECK(strcmp(cuframes_preprocess_device(there), cuframes_preprocess_device(t.gpu)) != 0);
  refused(cuframes_preprocess_run(t.gpu, &pictures[0].gpu, 1, at(t.memory), far, NULL), "another CUDA context");
  cuframes_picture picture = pictures[0].gpu;
  picture.device = cuframes_preprocess_device(t.gpu);
  refused(cuframes_preprocess_run(there, &picture, 1, at(t.memory), far, NULL), picture.device);
  /* With the other one's context current, each on its own. */
  CHECK_OK(cuframes_preprocess_run(t.gpu, &picture, 1, at(t.memory), stream, NULL));
  cuframes_preprocess_destroy(there);
  CHECK_OK(cu.cuStreamDestroy(far));
  CHECK_OK(cu.cuModuleUnload(second.module));
  cu_context popped;
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(1));
  check_tensor(&t, pictures, 1, stream);
  end(pictures);
  twins_end(&t);
}

static void each_gpu_by_itself(void **state) {
  (void)state;
  if (facts.devices < 2)
    skip_because("one GPU only");
  vision_play(run_refusals);
}

/* More streams than are remembered one by one, and threads. */
typedef struct worker {
  const gpu *gpu;
  twins *twins;
  const both_picture *pictures;
} worker;

static void *work(void *user) {
  const worker *w = user;
  cuframes_picture batch[PICTURES];
  cu_context popped;
  cu_stream stream;
  cu_deviceptr tensor;
  CHECK_OK(cu.cuCtxPushCurrent(w->gpu->context));
  CHECK_OK(cu.cuMemAlloc(&tensor, w->twins->bytes * PICTURES));
  uint8_t *got = malloc(w->twins->bytes * PICTURES);
  CHECK(got != NULL);
  list(w->pictures, batch);
  for (int i = 0; i < 15; i++) {
    uint32_t count = i % 2 ? FEW : PICTURES;
    CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK_OK(cu.cuMemsetD8Async(tensor, 0x77, w->twins->bytes * PICTURES, stream));
    CHECK_OK(cuframes_preprocess_run(w->twins->gpu, batch, count, at(tensor), stream, NULL));
    CHECK_OK(cu.cuStreamSynchronize(stream));
    CHECK_OK(cu.cuMemcpyDtoH(got, tensor, w->twins->bytes * count));
    for (size_t k = 0; k < w->twins->bytes * count; k++)
      CHECK(abs(got[k] - ((const uint8_t *)w->twins->wanted)[k]) <= 1);
    CHECK_OK(cu.cuStreamDestroy(stream));
  }
  free(got);
  CHECK_OK(cu.cuMemFree(tensor));
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  return NULL;
}

static void run_threads(const gpu *g, cu_stream stream) {
  static twins t;
  both_picture pictures[PICTURES];
  pthread_t threads[12];
  (void)stream;
  twins_begin(&t, options);
  make(pictures, 8);
  expect(&t, pictures, PICTURES);
  worker w = { .gpu = g, .twins = &t, .pictures = pictures };
  for (int i = 0; i < 12; i++)
    CHECK(pthread_create(&threads[i], NULL, work, &w) == 0);
  for (int i = 0; i < 12; i++)
    pthread_join(threads[i], NULL);
  end(pictures);
  twins_end(&t);
  vision_note("12 threads, 180 streams");
}

static void threads_and_streams(void **state) {
  (void)state;
  vision_play(run_threads);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(no_call_waits),
    SHOW(tables_are_not_taken_away),
    SHOW(runs_allocate_nothing),
    SHOW(graphs_take_it),
    SHOW(captures_of_others_are_not_spoiled),
    SHOW(work_outlives_its_object),
    SHOW(a_lost_context_is_an_error),
    SHOW(a_forked_child_is_refused),
    SHOW(each_gpu_by_itself),
    SHOW(threads_and_streams),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
