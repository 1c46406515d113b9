/* crash/gpu_survivor.c - a subscriber on a GPU that looks closely at what it gets while others die. */
#include "crash/gpu_survivor.h"

#include "crash/survivor.h"
#include "gpu/source.h"

bool gpu_survivor_join(gpu_survivor *s, uint32_t leases, uint32_t depth) {
  cuframes_subscriber_options options = subscriber_options(s->mode);
  uint32_t granted;
  options.sync = s->sync;
  options.leases = leases;
  options.depth = depth;
  int result = cuframes_subscriber_create("s", &options, &s->subscriber);
  if (result == CUFRAMES_ERR_NO_SUCH_STREAM)
    return false;
  CHECK_OK(result);
  CHECK_OK(cuframes_subscriber_device(s->subscriber, NULL, 0, &granted));
  CHECK(granted == s->sync);
  CHECK_OK(cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
  s->wrong = word_new();
  s->last = s->held_number = 0;
  return true;
}

static uint64_t frames_lost(const gpu_survivor *s) {
  return subscriber_stats(s->subscriber).frames_lost;
}

/* Waits for the stream, which nothing holds up for long. */
static void stream_settle(gpu_survivor *s) {
  int64_t start = cuframes_now(), took = 0;
  WAIT_FOR(cu.cuStreamQuery(s->stream) == CUDA_SUCCESS);
  took = cuframes_now() - start;
  s->longest_ns = took > s->longest_ns ? took : s->longest_ns;
}

static void look_at(gpu_survivor *s, const cuframes_frame *frame, uint64_t number) {
  CHECK_OK(LAUNCH(s->g, s->stream, "check", frame_address(frame), frame_words(frame), stamp(number), s->wrong));
}

static void found_whole(gpu_survivor *s) {
  CHECK(word_value(s->wrong) == 0);
  s->checked++;
}

static void held_release(gpu_survivor *s) {
  if (!s->held)
    return;
  look_at(s, s->held, s->held_number);
  stream_settle(s);
  found_whole(s);
  cuframes_frame_release(s->held);
  s->held = NULL;
}

/* The picture is not there, and what a kernel made of it counts for nothing. */
static void was_lost(gpu_survivor *s) {
  CHECK_OK(cu.cuMemcpyHtoD(s->wrong, &(uint64_t){ 0 }, sizeof(uint64_t)));
  s->lost++;
}

static void give_back_on_stream(gpu_survivor *s, cuframes_frame *frame) {
  uint64_t lost = frames_lost(s);
  bool was = cuframes_frame_wait(frame, 0) == CUFRAMES_ERR_LOST;
  cuframes_frame_release_on(frame, s->stream);
  stream_settle(s);
  if (was || frames_lost(s) > lost)
    was_lost(s);
  else
    found_whole(s);
}

static void keep(gpu_survivor *s, cuframes_frame *frame, uint64_t number) {
  stream_settle(s);
  int result = cuframes_frame_wait(frame, patience());
  if (result == CUFRAMES_ERR_LOST) {
    was_lost(s);
    CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_LOST); /* and stays so */
    cuframes_frame_release(frame);
    return;
  }
  CHECK_OK(result);
  found_whole(s);
  held_release(s);
  s->held = frame;
  s->held_number = number;
}

static int look(gpu_survivor *s, int64_t timeout_ns) {
  cuframes_frame *frame = NULL;
  int result = s->sync == CUFRAMES_SYNC_COMPLETE
                   ? cuframes_subscriber_next(s->subscriber, timeout_ns, &frame)
                   : cuframes_subscriber_next_on(s->subscriber, timeout_ns, s->stream, &frame);
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  CHECK(number > s->last);
  CHECK(s->mode == CUFRAMES_MODE_NEWEST || s->last == 0 || number == s->last + 1);
  s->last = number;
  if (s->sync == CUFRAMES_SYNC_COMPLETE)
    CHECK_OK(cuframes_frame_wait(frame, 0));
  look_at(s, frame, number);
  if (s->release_on)
    give_back_on_stream(s, frame);
  else
    keep(s, frame, number);
  return CUFRAMES_OK;
}

bool gpu_survivor_take(gpu_survivor *s, uint64_t number) {
  int result = CUFRAMES_OK;
  while (s->last < number && result == CUFRAMES_OK)
    result = look(s, patience());
  if (result != CUFRAMES_ERR_PUBLISHER_GONE)
    CHECK_OK(result);
  return result == CUFRAMES_OK;
}

void gpu_survivor_end(gpu_survivor *s) {
  int64_t start = cuframes_now();
  int result;
  if (!s->subscriber)
    return;
  while ((result = look(s, patience())) == CUFRAMES_OK)
    ;
  CHECK_RESULT(result, CUFRAMES_ERR_PUBLISHER_GONE);
  SOON(cuframes_now() - start, STREAM_MS);
  gpu_survivor_leave(s);
}

void gpu_survivor_leave(gpu_survivor *s) {
  if (!s->subscriber)
    return;
  cuframes_subscriber_destroy(s->subscriber);
  s->subscriber = NULL;
  held_release(s);
  CHECK_OK(cu.cuStreamDestroy(s->stream));
  CHECK_OK(cu.cuMemFree(s->wrong));
}
