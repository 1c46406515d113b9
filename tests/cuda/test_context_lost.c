/* test_context_lost.c - a kernel fails, and with it everything of its process on the GPU. A publisher's stream ends
 * then: every subscriber hears it at once, keeps what it holds, and finds the next publisher of that name. A
 * subscriber's is its own affair.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

#define GONE_MS 1000
#define PEERS 4

static cu_result trap(const gpu *g, cu_stream stream) {
  return LAUNCH(g, stream, "trap", 0);
}

/* ---- the publisher's ---- */

static void run_doomed(int test, void *user) {
  static source s;
  cuframes_frame *frame = NULL;
  cuframes_publish_info info = { .struct_size = sizeof info };
  cuframes_format other = program_format(CUFRAMES_PIXEL_P010);
  (void)user;
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = "lost", .format = program_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  say(test, 0);
  hear(test); /* all are here, and have that */
  CHECK_OK(trap(&s.g, s.stream));
  CHECK(cu.cuStreamSynchronize(s.stream) == CUDA_ERROR_LAUNCH_FAILED);
  CHECK_OK(cuframes_publisher_acquire(s.publisher, &frame)); /* nobody knows yet */
  say(test, (uint64_t)cuframes_now());
  CHECK_RESULT(cuframes_publisher_publish_on(s.publisher, frame, s.stream, &info), CUFRAMES_ERR_DEVICE);
  detail_names("cu");                       /* the call that failed, */
  detail_names("CUDA_ERROR_LAUNCH_FAILED"); /* and how */
  CHECK_RESULT(cuframes_publisher_acquire(s.publisher, &frame), CUFRAMES_ERR_DEVICE);
  detail_names("new process");
  CHECK_RESULT(cuframes_publisher_publish_on(s.publisher, frame, s.stream, &info),
               CUFRAMES_ERR_INVALID); /* it was consumed */
  CHECK(cuframes_publisher_set_format(s.publisher, &other) < 0);
  hear(test);
  cuframes_publisher_destroy(s.publisher);
  say(test, 0);
  hear(test); /* it lives on, without a GPU */
}

static void run_heir(int test, void *user) {
  static source s;
  (void)user;
  hear(test);
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = "lost", .format = program_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  say(test, 0);
  hear(test);
  source_end(&s);
}

typedef struct peer {
  uint32_t sync, mode;
  bool reconnect;
} peer;

static void run_peer(int test, void *user) {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *held = NULL, *frame = NULL;
  const peer *who = user;
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .sync = who->sync,
                                          .mode = who->mode,
                                          .reconnect = who->reconnect,
                                          .connect_timeout_ns = patience() };
  driver_use(STANDIN, NULL);
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cuframes_subscriber_create("lost", &options, &subscriber));
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &held));
  CHECK_OK(cuframes_frame_wait(held, patience()));
  say(test, 0);
  int result = cuframes_subscriber_next_on(subscriber, patience(), stream, &frame);
  say(test, (uint64_t)cuframes_now());
  if (who->reconnect) {
    CHECK_OK(result);
    CHECK(cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
    CHECK(frame_is_whole(&g, stream, frame, 1));
    cuframes_frame_release(frame);
  } else {
    CHECK(result == CUFRAMES_ERR_PUBLISHER_GONE && frame == NULL);
    CHECK(strlen(cuframes_last_error()) > 10);
  }
  CHECK(frame_is_whole(&g, stream, held, 1)); /* as ever */
  cuframes_frame_release(held);
  cuframes_subscriber_destroy(subscriber);
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
}

static void the_publisher_loses_its_context(void **state) {
  (void)state;
  peer peers[PEERS] = { { CUFRAMES_SYNC_COMPLETE, CUFRAMES_MODE_NEWEST, false },
                        { CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_ORDERED, false },
                        { CUFRAMES_SYNC_SLOT_EVENTS, CUFRAMES_MODE_NEWEST, false },
                        { CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_NEWEST, true } };
  child *there[PEERS], *publisher = child_start(run_doomed, NULL), *heir = child_start(run_heir, NULL);
  cuframes_subscriber *late = NULL;
  hear(publisher->fd);
  for (int i = 0; i < PEERS; i++)
    there[i] = child_start(run_peer, &peers[i]);
  for (int i = 0; i < PEERS; i++)
    hear(there[i]->fd);
  for (int i = 0; i < PEERS; i++) /* wait for the next frame */
    child_wait_asleep(there[i]);
  say(publisher->fd, 0);
  int64_t lost_at = (int64_t)hear(publisher->fd);
  for (int i = 0; i < PEERS; i++)
    if (!peers[i].reconnect)
      SOON((int64_t)hear(there[i]->fd) - lost_at, GONE_MS);
  CHECK(cuframes_subscriber_create("lost", NULL, &late) < 0 && late == NULL); /* makes no driver call */
  say(publisher->fd, 0);
  hear(publisher->fd);
  say(heir->fd, 0); /* another process, while that one is still there */
  hear(heir->fd);
  for (int i = 0; i < PEERS; i++) {
    if (peers[i].reconnect)
      hear(there[i]->fd);
    child_finish(there[i]);
  }
  say(heir->fd, 0);
  child_finish(heir);
  say(publisher->fd, 0);
  child_finish(publisher);
}

/* A picture that is never complete, since the context is lost before the work of its stream was done. */
static void run_vain(int test, void *user) {
  static source s;
  cuframes_frame *frame = NULL;
  cuframes_publish_info info = { .struct_size = sizeof info };
  cu_stream other;
  cu_deviceptr never;
  (void)user;
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = "vain", .format = program_format(CUFRAMES_PIXEL_NV12) });
  CHECK_OK(cu.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&never, sizeof(uint64_t)));
  CHECK_OK(cu.cuMemcpyHtoD(never, &(uint64_t){ 0 }, sizeof(uint64_t)));
  source_publish(&s);
  say(test, 0);
  hear(test); /* the subscriber has that */
  CHECK_OK(cuframes_publisher_acquire(s.publisher, &frame));
  CHECK_OK(cu.cuStreamWaitValue64(s.stream, never, 1, CU_STREAM_WAIT_VALUE_GEQ));
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frame, s.stream, &info));
  say(test, 0);
  hear(test); /* its stream waits */
  CHECK_OK(trap(&s.g, other));
  CHECK(cu.cuStreamSynchronize(other) == CUDA_ERROR_LAUNCH_FAILED);
  say(test, 0);
  hear(test); /* the subscriber has gone, while this process lives */
  cuframes_publisher_destroy(s.publisher);
  say(test, 0);
}

static void run_waiter(int test, void *user) {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  cuframes_subscriber_options options = { .struct_size = sizeof options, .sync = CUFRAMES_SYNC_TIMELINE };
  (void)user;
  driver_use(STANDIN, NULL);
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cuframes_subscriber_create("vain", &options, &subscriber));
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &frame));
  CHECK_OK(cu.cuStreamSynchronize(stream));
  cuframes_frame_release_on(frame, stream);
  say(test, 0);
  hear(test);
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &frame));
  say(test, 0);
  CHECK_RESULT(cuframes_frame_wait(frame, patience()), CUFRAMES_ERR_LOST);
  cuframes_frame_release_on(frame, stream);
  cuframes_subscriber_destroy(subscriber);
  CHECK_OK(cu.cuStreamSynchronize(stream)); /* it has come to its end */
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
  say(test, 0);
}

/* Whoever ends as soon as it hears that its frame is LOST ends before the fence is signaled, which is done a moment
 * later: its stream goes on all the same. */
static void a_stream_waits_in_vain(void **state) {
  (void)state;
  child *publisher = child_start(run_vain, NULL);
  hear(publisher->fd);
  child *waiter = child_start(run_waiter, NULL);
  hear(waiter->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  say(waiter->fd, 0);
  hear(waiter->fd); /* its stream waits */
  say(publisher->fd, 0);
  hear(publisher->fd);
  hear(waiter->fd); /* it has left, while the publisher's process lives */
  child_finish(waiter);
  say(publisher->fd, 0);
  hear(publisher->fd);
  child_finish(publisher);
}

/* ---- a subscriber's ---- */

static void run_unlucky(int test, void *user) {
  static checker v;
  cuframes_frame *frames[2] = { NULL };
  const uint32_t sync = *(const uint32_t *)user;
  uint8_t pixel_rows[320 * 180];
  driver_use(STANDIN, NULL);
  checker_begin(&v, &(checker_options){ .name = "solid", .sync = sync });
  CHECK_OK(cuframes_subscriber_next_on(v.subscriber, patience(), v.stream, &frames[0]));
  CHECK_OK(cuframes_frame_wait(frames[0], patience()));
  CHECK_OK(LAUNCH(&v.g, v.stream, "spin", 50000));
  CHECK_OK(trap(&v.g, v.stream));
  cuframes_frame_release_on(frames[0], v.stream); /* it will never get there; or the trap was faster */
  CHECK(cu.cuStreamSynchronize(v.stream) == CUDA_ERROR_LAUNCH_FAILED);
  int result = cuframes_subscriber_next(v.subscriber, patience(), &frames[1]);
  if (result == CUFRAMES_OK) { /* the CPU sees that it is there, and cannot have it */
    CHECK_RESULT(cuframes_frame_copy_to_host(frames[1], 0, pixel_rows, 0), CUFRAMES_ERR_DEVICE);
    detail_names("CUDA_ERROR_LAUNCH_FAILED");
    cuframes_frame_release_on(frames[1], v.stream); /* a stream that takes nothing any more */
  }
  cuframes_subscriber_destroy(v.subscriber);
  say(test, 0);
}

static void a_subscriber_loses_its_context(uint32_t sync) {
  checker_report report;
  setting set = { STANDIN, NULL, { .name = "solid", .format = program_format(CUFRAMES_PIXEL_NV12) } };
  child *publisher = source_start(&set), *observer = child_start(run_observer, "solid");
  hear(observer->fd);
  child *unlucky = child_start(run_unlucky, &sync);
  hear(unlucky->fd);
  child_finish(unlucky);
  cuframes_stream_info *info = query("solid");
  for (int64_t end = cuframes_now() + patience(); info->subscriber_count > 1 && cuframes_now() < end;) {
    cuframes_stream_info_free(info);
    info = query("solid");
  }
  CHECK(info->subscriber_count == 1);
  cuframes_stream_info_free(info);
  say(observer->fd, 0);
  learn(observer->fd, &report, sizeof report);
  child_finish(observer);
  source_stop(publisher);
  report_is_good(&report, "the observer", false);
}

static void a_subscriber_in_mode_complete(void **state) {
  (void)state;
  a_subscriber_loses_its_context(CUFRAMES_SYNC_COMPLETE);
}

static void a_subscriber_in_mode_timeline(void **state) {
  (void)state;
  a_subscriber_loses_its_context(CUFRAMES_SYNC_TIMELINE);
}

static void a_subscriber_in_mode_slot_events(void **state) {
  (void)state;
  a_subscriber_loses_its_context(CUFRAMES_SYNC_SLOT_EVENTS);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_publisher_loses_its_context),  FIXTURE(a_stream_waits_in_vain),
    FIXTURE(a_subscriber_in_mode_complete),    FIXTURE(a_subscriber_in_mode_timeline),
    FIXTURE(a_subscriber_in_mode_slot_events),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("context_lost", tests);
}
