/* test_standin_streams.c - the CUDA stand-in: order in and between streams, events, waits for values; all with random
 * delays, and a stress of many streams from many threads.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gpu.h"

/* Two words of host memory that the device may use: a test's own semaphore. */
static uint64_t *words_begin(void) {
  void *words;
  CHECK_OK(cu.cuMemHostAlloc(&words, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
  return words;
}

static cu_deviceptr device_address(const uint64_t *word) {
  cu_deviceptr address;
  CHECK_OK(cu.cuMemHostGetDevicePointer(&address, (void *)(uintptr_t)word, 0));
  return address;
}

static uint64_t load(const uint64_t *word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE); /* pairs with the stream's write */
}

static void store(uint64_t *word, uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE); /* pairs with the stream's wait */
}

static uint64_t first_word(cu_deviceptr address) {
  uint64_t word;
  CHECK_OK(cu.cuMemcpyDtoH(&word, address, sizeof word));
  return word;
}

static void work_is_asynchronous_and_in_order(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  cu_deviceptr memory;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&memory, 8192));
  CHECK_OK(cu.cuStreamWaitValue64(stream, device_address(&words[0]), 1, 0));
  CHECK_OK(LAUNCH(&g, stream, "fill", memory, 1024, 5));
  CHECK_OK(LAUNCH(&g, stream, "add", memory, 1024, 3));
  CHECK_OK(LAUNCH(&g, stream, "check", memory, 1024, 8, device_address(&words[2])));
  CHECK_OK(cu.cuStreamWriteValue64(stream, device_address(&words[1]), 9, 0));
  CHECK_RESULT(cu.cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
  CHECK(load(&words[1]) == 0);
  store(&words[0], 1);
  WAIT_FOR(load(&words[1]) == 9);
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK_OK(cu.cuStreamQuery(stream));
  CHECK(words[2] == 0 && first_word(memory) == 8);
  CHECK_OK(cu.cuMemFree(memory));
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

static bool passes(cu_stream stream, uint64_t *words, uint64_t memory, uint64_t value, unsigned condition) {
  store(&words[0], memory);
  store(&words[1], 0);
  CHECK_OK(cu.cuStreamWaitValue64(stream, device_address(&words[0]), value, condition));
  CHECK_OK(cu.cuStreamWriteValue64(stream, device_address(&words[1]), 1, 0));
  for (int i = 0; i < 20 && load(&words[1]) == 0; i++)
    pause_ms(1);
  bool passed = load(&words[1]) == 1;
  store(&words[0], condition == CU_STREAM_WAIT_VALUE_NOR ? 0 : value); /* let it go on */
  CHECK_OK(cu.cuStreamSynchronize(stream));
  return passed;
}

static void conditions(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK(passes(stream, words, 5, 5, CU_STREAM_WAIT_VALUE_GEQ));
  CHECK(passes(stream, words, 6, 5, CU_STREAM_WAIT_VALUE_GEQ));
  CHECK(!passes(stream, words, 4, 5, CU_STREAM_WAIT_VALUE_GEQ));
  CHECK(passes(stream, words, 1, UINT64_MAX, CU_STREAM_WAIT_VALUE_GEQ)); /* cyclic: 1 comes after -1 */
  CHECK(!passes(stream, words, (uint64_t)1 << 63 | 6, 5, CU_STREAM_WAIT_VALUE_GEQ));
  CHECK(passes(stream, words, 5, 5, CU_STREAM_WAIT_VALUE_EQ));
  CHECK(!passes(stream, words, 6, 5, CU_STREAM_WAIT_VALUE_EQ));
  CHECK(passes(stream, words, 6, 2, CU_STREAM_WAIT_VALUE_AND));
  CHECK(!passes(stream, words, 5, 2, CU_STREAM_WAIT_VALUE_AND));
  CHECK(passes(stream, words, 1, 2, CU_STREAM_WAIT_VALUE_NOR));
  CHECK(!passes(stream, words, UINT64_MAX, 2, CU_STREAM_WAIT_VALUE_NOR));
  cu_deviceptr word = device_address(&words[0]);
  CHECK_RESULT(cu.cuStreamWaitValue64(stream, word + 4, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuStreamWaitValue64(stream, word, 1, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuStreamWaitValue64(stream, (uint64_t)(uintptr_t)&g & ~(uint64_t)7, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuStreamWriteValue64(stream, word, 1, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER),
               CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

static void batches(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  cu_batch_op operations[34];
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  memset(operations, 0, sizeof operations);
  for (unsigned i = 0; i < 34; i++) {
    operations[i].value.operation = i == 0 ? CU_STREAM_MEM_OP_WAIT_VALUE_64 : CU_STREAM_MEM_OP_WRITE_VALUE_64;
    operations[i].value.address = device_address(&words[i]);
    operations[i].value.value = 100 + i;
  }
  CHECK_OK(cu.cuStreamBatchMemOp(stream, 34, operations, 0));
  memset(operations, 0xff, sizeof operations); /* they are the caller's again */
  CHECK_RESULT(cu.cuStreamBatchMemOp(stream, 256, operations, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_RESULT(cu.cuStreamBatchMemOp(stream, 1, operations, 0), CUDA_ERROR_NOT_SUPPORTED);
  CHECK(load(&words[33]) == 0);
  store(&words[0], 100);
  CHECK_OK(cu.cuStreamSynchronize(stream));
  for (unsigned i = 0; i < 34; i++)
    CHECK(words[i] == 100 + i);
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

/* a waits for the test; b waits for a by event; the event is recorded anew in between, which changes nothing for b. */
static void events(void **state) {
  (void)state;
  gpu g;
  cu_stream a, b;
  cu_event event;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  CHECK_OK(cu.cuEventQuery(event)); /* never recorded is done */
  CHECK_OK(cu.cuStreamWaitEvent(b, event, 0));
  CHECK_OK(cu.cuStreamSynchronize(b));
  CHECK_OK(cu.cuStreamWaitValue64(a, device_address(&words[0]), 1, 0));
  CHECK_OK(cu.cuEventRecord(event, a));
  CHECK_RESULT(cu.cuEventQuery(event), CUDA_ERROR_NOT_READY);
  CHECK_OK(cu.cuStreamWaitEvent(b, event, 0));
  CHECK_OK(cu.cuStreamWriteValue64(b, device_address(&words[1]), 1, 0));
  CHECK_OK(cu.cuStreamWaitValue64(a, device_address(&words[0]), 2, 0));
  CHECK_OK(cu.cuEventRecord(event, a));
  CHECK_RESULT(cu.cuStreamQuery(b), CUDA_ERROR_NOT_READY);
  CHECK(load(&words[1]) == 0);
  store(&words[0], 1);
  CHECK_OK(cu.cuStreamSynchronize(b));
  CHECK(load(&words[1]) == 1);
  CHECK_RESULT(cu.cuEventQuery(event), CUDA_ERROR_NOT_READY); /* the second record */
  store(&words[0], 2);
  CHECK_OK(cu.cuEventSynchronize(event));
  CHECK_OK(cu.cuStreamDestroy(a)); /* what the event says stays true */
  CHECK_OK(cu.cuEventQuery(event));
  CHECK_OK(cu.cuEventDestroy(event));
  CHECK_OK(cu.cuStreamDestroy(b));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

/* The NULL stream waits for a blocking stream and that for it; a non-blocking one goes its own way. */
static void the_null_stream(void **state) {
  (void)state;
  gpu g;
  cu_stream blocking, later, own_way;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  CHECK_OK(cu.cuStreamCreate(&later, CU_STREAM_DEFAULT));
  CHECK_OK(cu.cuStreamCreateWithPriority(&own_way, CU_STREAM_NON_BLOCKING, -1));
  CHECK_OK(cu.cuStreamWaitValue64(blocking, device_address(&words[0]), 1, 0));
  CHECK_OK(cu.cuStreamWriteValue64(NULL, device_address(&words[1]), 1, 0));
  CHECK_OK(cu.cuStreamWriteValue64(later, device_address(&words[2]), 1, 0));
  CHECK_OK(cu.cuStreamWriteValue64(own_way, device_address(&words[3]), 1, 0));
  CHECK_OK(cu.cuStreamSynchronize(own_way));
  CHECK_RESULT(cu.cuStreamQuery(later), CUDA_ERROR_NOT_READY);
  CHECK(load(&words[3]) == 1 && load(&words[1]) == 0 && load(&words[2]) == 0);
  CHECK_RESULT(cu.cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
  store(&words[0], 1);
  CHECK_OK(cu.cuStreamSynchronize(NULL));
  CHECK(load(&words[1]) == 1);
  CHECK_OK(cu.cuStreamSynchronize(later));
  CHECK(load(&words[2]) == 1);
  CHECK_OK(cu.cuStreamDestroy(blocking));
  CHECK_OK(cu.cuStreamDestroy(later));
  CHECK_OK(cu.cuStreamDestroy(own_way));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

static void count_up(void *user) {
  ++*(int *)user;
}

/* A destroyed stream does what it was told, in order, before it goes. */
static void a_destroyed_stream_finishes(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  int count = 0;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamWaitValue64(stream, device_address(&words[0]), 1, 0));
  for (int i = 0; i < 100; i++)
    CHECK_OK(cu.cuLaunchHostFunc(stream, count_up, &count));
  CHECK_OK(cu.cuStreamWriteValue64(stream, device_address(&words[1]), 1, 0));
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK(standin_live(STANDIN_STREAMS) == 0);
  store(&words[0], 1);
  WAIT_FOR(load(&words[1]) == 1);
  CHECK(count == 100);
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

/* cuMemFree() waits for the work that uses the memory, and freed memory is nobody's. */
static void freeing_waits(void **state) {
  (void)state;
  gpu g;
  cu_stream stream;
  cu_deviceptr memory, pooled;
  uint64_t word = 0;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&memory, 8192));
  CHECK_OK(cu.cuMemAllocAsync(&pooled, 8192, stream));
  CHECK_OK(LAUNCH(&g, stream, "spin", 20000));
  CHECK_OK(LAUNCH(&g, stream, "fill", memory, 1024, 1));
  CHECK_OK(LAUNCH(&g, stream, "fill", pooled, 1024, 2));
  CHECK_OK(cu.cuMemcpyDtoHAsync(&word, pooled, 8, stream));
  CHECK(word == 2);
  CHECK_OK(cu.cuMemFreeAsync(pooled, stream));
  CHECK_RESULT(cu.cuMemFreeAsync(pooled, stream), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(LAUNCH(&g, stream, "spin", 20000));
  CHECK_OK(LAUNCH(&g, stream, "fill", memory, 1024, 3));
  CHECK_OK(cu.cuMemFree(memory));
  CHECK_OK(cu.cuStreamQuery(stream));
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
}

/* ---- stress: a ring of threads hands values on, each with streams of its own ---- */

enum { RING = 4, ROUNDS = 150, WORDS = 2048 };

typedef struct member {
  const gpu *g;
  cu_deviceptr from, to, counter, fence_in, fence_out;
  cu_event ready;
} member;

/* Takes over what the one before wrote, checks it, adds one, hands on: once by value, once by copy and event. */
static void *hand_on(void *user) {
  const member *m = user;
  cu_stream main_stream, copies;
  CHECK_OK(cu.cuCtxPushCurrent(m->g->context));
  CHECK_OK(cu.cuStreamCreate(&main_stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&copies, CU_STREAM_NON_BLOCKING));
  for (uint64_t round = 1; round <= ROUNDS; round++) {
    CHECK_OK(cu.cuStreamWaitValue64(main_stream, m->fence_in, round, CU_STREAM_WAIT_VALUE_GEQ));
    CHECK_OK(LAUNCH(m->g, main_stream, "check", m->from, WORDS, round, m->counter));
    CHECK_OK(cu.cuEventRecord(m->ready, main_stream));
    CHECK_OK(cu.cuStreamWaitEvent(copies, m->ready, 0));
    CHECK_OK(cu.cuMemcpyDtoDAsync(m->to, m->from, WORDS * 8, copies));
    CHECK_OK(cu.cuStreamWriteValue64(copies, m->fence_out, round, 0));
    if (round % 16 == 0)
      CHECK_OK(cu.cuStreamSynchronize(copies));
  }
  CHECK_OK(cu.cuStreamDestroy(main_stream));
  CHECK_OK(cu.cuStreamSynchronize(copies));
  CHECK_OK(cu.cuStreamDestroy(copies));
  CHECK_OK(cu.cuCtxPopCurrent(NULL));
  return NULL;
}

static void stress(void **state) {
  (void)state;
  gpu g;
  member members[RING];
  pthread_t threads[RING];
  cu_deviceptr buffers[RING + 1];
  cu_stream feeder;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin(); /* fences, then a counter of mistakes */
  for (int i = 0; i <= RING; i++)
    CHECK_OK(cu.cuMemAlloc(&buffers[i], WORDS * 8));
  for (int i = 0; i < RING; i++) {
    members[i] = (member){ .g = &g,
                           .from = buffers[i],
                           .to = buffers[i + 1],
                           .counter = device_address(&words[RING + 1]),
                           .fence_in = device_address(&words[i]),
                           .fence_out = device_address(&words[i + 1]) };
    CHECK_OK(cu.cuEventCreate(&members[i].ready, CU_EVENT_DISABLE_TIMING));
    CHECK(pthread_create(&threads[i], NULL, hand_on, &members[i]) == 0);
  }
  CHECK_OK(cu.cuStreamCreate(&feeder, CU_STREAM_NON_BLOCKING));
  for (uint64_t round = 1; round <= ROUNDS; round++) { /* the next picture once the ring is through with this one */
    CHECK_OK(LAUNCH(&g, feeder, "fill", buffers[0], WORDS, round));
    CHECK_OK(cu.cuStreamWriteValue64(feeder, device_address(&words[0]), round, 0));
    CHECK_OK(cu.cuStreamWaitValue64(feeder, device_address(&words[RING]), round, 0));
  }
  for (int i = 0; i < RING; i++) {
    CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_OK(cu.cuEventDestroy(members[i].ready));
  }
  CHECK_OK(cu.cuStreamSynchronize(feeder));
  CHECK(words[RING + 1] == 0);
  CHECK(first_word(buffers[RING]) == ROUNDS);
  CHECK_OK(cu.cuStreamDestroy(feeder));
  for (int i = 0; i <= RING; i++)
    CHECK_OK(cu.cuMemFree(buffers[i]));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

static void delays_take_time(void **state) {
  (void)state;
  gpu g;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  int64_t began = cuframes_now();
  for (int i = 0; i < 400; i++) /* half of them wait for up to 200 us */
    CHECK_OK(cu.cuStreamWriteValue64(NULL, device_address(words), 1, 0));
  CHECK_OK(cu.cuStreamSynchronize(NULL));
  CHECK(cuframes_now() - began > 10 * MS);
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

/* Two streams do run at once: who does not wait sees half a picture sooner or later. */
static void who_does_not_wait_sees_it(void **state) {
  (void)state;
  const char *sanitizer = getenv("CUFRAMES_SANITIZE");
  if (sanitizer && strcmp(sanitizer, "thread") == 0)
    skip_because("this is the race that the thread sanitizer reports");
  gpu g;
  cu_stream writes, reads;
  cu_deviceptr memory;
  gpu_begin(&g, 0);
  uint64_t *words = words_begin();
  CHECK_OK(cu.cuStreamCreate(&writes, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&reads, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&memory, 64));
  CHECK_OK(cu.cuMemsetD8(memory, 0, 64));
  CHECK_OK(cu.cuStreamSynchronize(NULL));
  for (uint64_t round = 1; words[0] == 0 && round < 5000; round++) {
    CHECK_OK(LAUNCH(&g, writes, "fill", memory, 8, round));
    CHECK_OK(LAUNCH(&g, reads, "check", memory, 8, round, device_address(&words[0])));
    CHECK_OK(cu.cuStreamSynchronize(reads));
    CHECK_OK(cu.cuStreamSynchronize(writes));
  }
  CHECK(words[0] > 0);
  CHECK_OK(cu.cuMemFree(memory));
  CHECK_OK(cu.cuStreamDestroy(writes));
  CHECK_OK(cu.cuStreamDestroy(reads));
  CHECK_OK(cu.cuMemFreeHost(words));
  gpu_end(&g);
}

int main(void) {
  setenv("CUDA_STANDIN_DELAY_US", "200", 0);
  struct CMUnitTest tests[] = {
    FIXTURE(work_is_asynchronous_and_in_order),
    FIXTURE(conditions),
    FIXTURE(batches),
    FIXTURE(events),
    FIXTURE(the_null_stream),
    FIXTURE(a_destroyed_stream_finishes),
    FIXTURE(freeing_waits),
    FIXTURE(stress),
    FIXTURE(delays_take_time),
    FIXTURE(who_does_not_wait_sees_it),
  };
  return FIXTURE_RUN("standin_streams", tests);
}
