/* test_frame_calls.c - which functions of the driver a frame takes, and how often: each is some memory that has cooled
 * down since the last frame. What is too much here is too much on every GPU; what the calls take is measured there
 * (tests/gpu/bench_cost.c).
 */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

/* The least of some turns counts: the library's other threads may call the driver, too. */
#define TURNS 20

static const char *const functions[] = {
  "cuCtxGetCurrent", "cuCtxPushCurrent",     "cuCtxPopCurrent",    "cuStreamIsCapturing",
  "cuMemcpy2DAsync", "cuStreamWriteValue64", "cuStreamBatchMemOp", "cuStreamWaitValue64",
  "cuEventRecord",   "cuStreamWaitEvent",    "cuStreamGetCtx",     "*",
};
enum {
  GET_CURRENT,
  PUSH,
  POP,
  IS_CAPTURING,
  COPY,
  WRITE,
  BATCH,
  WAIT,
  RECORD,
  WAIT_EVENT,
  GET_CONTEXT,
  ALL,
  FUNCTIONS
};

typedef struct counts {
  unsigned long of[FUNCTIONS];
} counts;

static counts so_far(void) {
  counts c;
  for (int i = 0; i < FUNCTIONS; i++)
    c.of[i] = driver_calls(functions[i]);
  return c;
}

/* Adds what came since then to what is known of other turns: the least of them. */
static void note(counts *least, counts before, int turn) {
  counts now = so_far();
  for (int i = 0; i < FUNCTIONS; i++) {
    unsigned long came = now.of[i] - before.of[i];
    if (turn == 0 || came < least->of[i])
      least->of[i] = came;
  }
}

/* Those, and no others. */
static void are(const counts *found, const counts *expected, const char *what) {
  counts all = *expected;
  for (int i = 0; i < ALL; i++)
    all.of[ALL] += expected->of[i];
  for (int i = 0; i < FUNCTIONS; i++)
    if (found->of[i] != all.of[i])
      fail_msg("%s: %lu of %s, expected %lu", what, found->of[i], functions[i], all.of[i]);
}
#define ARE(found, what, ...) are(found, &(counts){ .of = { __VA_ARGS__ } }, what)

/* ---- the publisher ---- */

typedef struct publisher {
  source s;
  cu_stream beside;
  cu_deviceptr picture;
} publisher;

static void begin(publisher *p, const char *name) {
  driver_use(STANDIN, NULL);
  source_begin(&p->s, &(source_options){ .name = name,
                                         .format = program_format(CUFRAMES_PIXEL_NV12),
                                         .buffers = 8, /* so that none is made meanwhile */
                                         .full = true });
  CHECK_OK(cu.cuMemAlloc(&p->picture, MIB));
  CHECK_OK(cu.cuStreamCreate(&p->beside, CU_STREAM_NON_BLOCKING));
}

static void end(publisher *p) {
  CHECK_OK(cu.cuStreamDestroy(p->beside));
  CHECK_OK(cu.cuMemFree(p->picture));
  source_end(&p->s);
}

/* Nothing on its stream is done from here on, */
static cu_deviceptr hold(publisher *p) {
  cu_deviceptr word = word_new();
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(LAUNCH(&p->s.g, p->s.stream, "until", word, 1));
  return word;
}

/* to here, and then all is. */
static void let_go(publisher *p, cu_deviceptr word) {
  CHECK_OK(cu.cuStreamWriteValue64(p->beside, word, 1, CU_STREAM_WRITE_VALUE_DEFAULT));
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuMemFree(word));
}

/* A frame: what its copies take, and what publishing it takes. */
static void frame(publisher *p, counts *copies, counts *publishes, int turn) {
  cuframes_frame *f = NULL;
  counts before = so_far();
  CHECK_OK(cuframes_publisher_acquire(p->s.publisher, &f));
  for (int plane = 0; plane < 2; plane++)
    CHECK_OK(cuframes_frame_copy_from_device(f, plane, (void *)(uintptr_t)p->picture, 1024, p->s.stream));
  note(copies, before, turn);
  before = so_far();
  CHECK_OK(cuframes_publisher_publish_on(p->s.publisher, f, p->s.stream, NULL));
  note(publishes, before, turn);
}

static void frames(publisher *p, counts *copies, counts *publishes) {
  counts ignored;
  frame(p, &ignored, &ignored, 0); /* the stream is looked at once */
  for (int turn = 0; turn < TURNS; turn++) {
    CHECK_OK(cu.cuCtxSynchronize()); /* the picture before is complete */
    frame(p, copies, publishes, turn);
  }
}

static void run_in_its_context(int test, void *user) {
  static publisher p;
  counts copies, publishes;
  (void)user;
  begin(&p, "calls");
  frames(&p, &copies, &publishes);
  ARE(&copies, "copying two planes", [GET_CURRENT] = 2, [IS_CAPTURING] = 2, [COPY] = 2);
  ARE(&publishes, "publishing", [GET_CURRENT] = 1, [IS_CAPTURING] = 1, [WRITE] = 1);
  end(&p);
  say(test, 0);
}

static void run_without_a_context(int test, void *user) {
  static publisher p;
  counts copies, publishes;
  cu_context ours;
  counts ignored;
  (void)user;
  begin(&p, "calls");
  CHECK_OK(cu.cuCtxPopCurrent(&ours));
  frame(&p, &ignored, &ignored, 0);
  for (int turn = 0; turn < TURNS; turn++) {
    CHECK_OK(cu.cuCtxPushCurrent(ours));
    CHECK_OK(cu.cuCtxSynchronize());
    CHECK_OK(cu.cuCtxPopCurrent(&ours));
    frame(&p, &copies, &publishes, turn);
  }
  CHECK_OK(cu.cuCtxPushCurrent(ours));
  ARE(&copies,
      "copying two planes without a context", [GET_CURRENT] = 2, [PUSH] = 2, [POP] = 2, [IS_CAPTURING] = 2, [COPY] = 2);
  ARE(&publishes,
      "publishing without a context", [GET_CURRENT] = 1, [PUSH] = 1, [POP] = 1, [IS_CAPTURING] = 1, [WRITE] = 1);
  end(&p);
  say(test, 0);
}

/* The frame before is not complete: its counter is written by another stream, behind an event. */
static void run_behind(int test, void *user) {
  static publisher p;
  counts copies, publishes, ignored;
  (void)user;
  begin(&p, "calls");
  for (int turn = 0; turn < TURNS; turn++) {
    cu_deviceptr word = hold(&p);
    frame(&p, &ignored, &ignored, turn);
    frame(&p, &copies, &publishes, turn);
    let_go(&p, word);
  }
  ARE(&publishes, "publishing while the GPU is behind", [GET_CURRENT] = 1, [IS_CAPTURING] = 1, [RECORD] = 1,
      [WAIT_EVENT] = 1, [WRITE] = 1);
  end(&p);
  say(test, 0);
}

/* ---- with a subscriber in the same process, so that it is known what is complete when ---- */

static void run_reader(int test, void *user) {
  static publisher p;
  const uint32_t sync = *(const uint32_t *)user;
  const bool timeline = sync == CUFRAMES_SYNC_TIMELINE;
  counts copies, publishes, nexts, releases;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *f = NULL;
  cu_stream stream;
  cuframes_subscriber_options options = { .struct_size = sizeof options, .sync = sync };
  begin(&p, "read");
  CHECK_OK(cuframes_subscriber_create("read", &options, &subscriber));
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (int turn = 0; turn < TURNS; turn++) {
    cu_deviceptr word = hold(&p);
    frame(&p, &copies, &publishes, turn);
    if (!timeline)
      let_go(&p, word);
    counts before = so_far();
    CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &f));
    note(&nexts, before, turn);
    before = so_far();
    cuframes_frame_release_on(f, stream);
    note(&releases, before, turn);
    if (timeline)
      let_go(&p, word);
    CHECK_OK(cu.cuCtxSynchronize()); /* it is given back */
  }
  if (timeline) {
    ARE(&publishes, "publishing to a timeline", [GET_CURRENT] = 1, [IS_CAPTURING] = 1, [BATCH] = 1);
    ARE(&nexts, "taking on a timeline", [GET_CURRENT] = 1, [IS_CAPTURING] = 1, [WAIT] = 1);
  } else {
    ARE(&publishes, "publishing to a subscriber", [GET_CURRENT] = 1, [IS_CAPTURING] = 1, [WRITE] = 1);
    ARE(&nexts, "taking what is complete", [GET_CURRENT] = 1, [IS_CAPTURING] = 1);
  }
  ARE(&releases, "giving back on a stream", [GET_CURRENT] = 1, [IS_CAPTURING] = 1, [WRITE] = 1);
  cuframes_subscriber_destroy(subscriber);
  CHECK_OK(cu.cuStreamDestroy(stream));
  end(&p);
  say(test, 0);
}

/* ---- */

static void play(child_run *role, uint32_t sync) {
  child *c = child_start(role, &sync);
  hear(c->fd);
  child_finish(c);
}

static void in_its_context(void **state) {
  (void)state;
  play(run_in_its_context, 0);
}

static void without_a_context(void **state) {
  (void)state;
  play(run_without_a_context, 0);
}

static void while_the_gpu_is_behind(void **state) {
  (void)state;
  play(run_behind, 0);
}

static void with_a_reader_of_complete_frames(void **state) {
  (void)state;
  play(run_reader, CUFRAMES_SYNC_COMPLETE);
}

static void with_a_reader_whose_stream_waits(void **state) {
  (void)state;
  play(run_reader, CUFRAMES_SYNC_TIMELINE);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(in_its_context),
    FIXTURE(without_a_context),
    FIXTURE(while_the_gpu_is_behind),
    FIXTURE(with_a_reader_of_complete_frames),
    FIXTURE(with_a_reader_whose_stream_waits),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("frame_calls", tests);
}
