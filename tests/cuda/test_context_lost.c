/* test_context_lost.c - a kernel fails, and with it everything of its process on the GPU. A publisher's stream ends
 * then: every subscriber hears it at once, keeps what it holds, and finds the next publisher of that name. A
 * subscriber's is its own affair.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

#define GONE_MS 1000
#define GUESTS 4

static cu_result trap(const gpu *g, cu_stream stream) {
  return LAUNCH(g, stream, "trap", 0);
}

/* ---- the publisher's ---- */

static void play_doomed(int test, void *user) {
  static source s;
  cuframes_frame *frame = NULL;
  cuframes_publish_info info = { .struct_size = sizeof info };
  cuframes_format other = stage_format(CUFRAMES_PIXEL_P010);
  (void)user;
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = "lost", .format = stage_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  say(test, 0);
  hear(test); /* all are here, and have that */
  CU(trap(&s.g, s.stream));
  NEED(cu.cuStreamSynchronize(s.stream) == CUDA_ERROR_LAUNCH_FAILED);
  OK(cuframes_publisher_acquire(s.publisher, &frame)); /* nobody knows yet */
  say(test, (uint64_t)cuframes_now());
  IS(cuframes_publisher_publish_on(s.publisher, frame, s.stream, &info), CUFRAMES_ERR_DEVICE);
  detail_names("cu");                       /* the call that failed, */
  detail_names("CUDA_ERROR_LAUNCH_FAILED"); /* and how */
  IS(cuframes_publisher_acquire(s.publisher, &frame), CUFRAMES_ERR_DEVICE);
  detail_names("new process");
  IS(cuframes_publisher_publish_on(s.publisher, frame, s.stream, &info), CUFRAMES_ERR_INVALID); /* it was consumed */
  NEED(cuframes_publisher_set_format(s.publisher, &other) < 0);
  hear(test);
  cuframes_publisher_destroy(s.publisher);
  say(test, 0);
  hear(test); /* it lives on, without a GPU */
}

static void play_heir(int test, void *user) {
  static source s;
  (void)user;
  hear(test);
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = "lost", .format = stage_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  say(test, 0);
  hear(test);
  source_end(&s);
}

typedef struct guest {
  uint32_t sync, mode;
  bool reconnect;
} guest;

static void play_guest(int test, void *user) {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *held = NULL, *frame = NULL;
  const guest *who = user;
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .sync = who->sync,
                                          .mode = who->mode,
                                          .reconnect = who->reconnect,
                                          .connect_timeout_ns = patience() };
  driver_use(STANDIN, NULL);
  gpu_begin(&g, 0);
  CU(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  OK(cuframes_subscriber_create("lost", &options, &subscriber));
  OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &held));
  OK(cuframes_frame_wait(held, patience()));
  say(test, 0);
  int result = cuframes_subscriber_next_on(subscriber, patience(), stream, &frame);
  say(test, (uint64_t)cuframes_now());
  if (who->reconnect) {
    OK(result);
    NEED(cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
    NEED(frame_is_whole(&g, stream, frame, 1));
    cuframes_frame_release(frame);
  } else {
    NEED(result == CUFRAMES_ERR_PUBLISHER_GONE && frame == NULL);
    NEED(strlen(cuframes_last_error()) > 10);
  }
  NEED(frame_is_whole(&g, stream, held, 1)); /* as ever */
  cuframes_frame_release(held);
  cuframes_subscriber_destroy(subscriber);
  CU(cu.cuStreamDestroy(stream));
  gpu_end(&g);
}

static void the_publisher_loses_its_context(void **state) {
  (void)state;
  guest guests[GUESTS] = { { CUFRAMES_SYNC_COMPLETE, CUFRAMES_MODE_NEWEST, false },
                           { CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_ORDERED, false },
                           { CUFRAMES_SYNC_SLOT_EVENTS, CUFRAMES_MODE_NEWEST, false },
                           { CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_NEWEST, true } };
  child *there[GUESTS], *publisher = child_start(play_doomed, NULL), *heir = child_start(play_heir, NULL);
  cuframes_subscriber *late = NULL;
  hear(publisher->fd);
  for (int i = 0; i < GUESTS; i++)
    there[i] = child_start(play_guest, &guests[i]);
  for (int i = 0; i < GUESTS; i++)
    hear(there[i]->fd);
  for (int i = 0; i < GUESTS; i++) /* wait for the next frame */
    child_wait_asleep(there[i]);
  say(publisher->fd, 0);
  int64_t lost_at = (int64_t)hear(publisher->fd);
  for (int i = 0; i < GUESTS; i++)
    if (!guests[i].reconnect)
      SOON((int64_t)hear(there[i]->fd) - lost_at, GONE_MS);
  NEED(cuframes_subscriber_create("lost", NULL, &late) < 0 && late == NULL); /* makes no driver call */
  say(publisher->fd, 0);
  hear(publisher->fd);
  say(heir->fd, 0); /* another process, while that one is still there */
  hear(heir->fd);
  for (int i = 0; i < GUESTS; i++) {
    if (guests[i].reconnect)
      hear(there[i]->fd);
    child_finish(there[i]);
  }
  say(heir->fd, 0);
  child_finish(heir);
  say(publisher->fd, 0);
  child_finish(publisher);
}

/* ---- a subscriber's ---- */

static void play_unlucky(int test, void *user) {
  static viewer v;
  cuframes_frame *frames[2] = { NULL };
  const uint32_t sync = *(const uint32_t *)user;
  uint8_t pixel_rows[320 * 180];
  driver_use(STANDIN, NULL);
  viewer_begin(&v, &(viewer_options){ .name = "solid", .sync = sync });
  OK(cuframes_subscriber_next_on(v.subscriber, patience(), v.stream, &frames[0]));
  OK(cuframes_frame_wait(frames[0], patience()));
  CU(LAUNCH(&v.g, v.stream, "spin", 50000));
  CU(trap(&v.g, v.stream));
  cuframes_frame_release_on(frames[0], v.stream); /* it will never get there; or the trap was faster */
  NEED(cu.cuStreamSynchronize(v.stream) == CUDA_ERROR_LAUNCH_FAILED);
  int result = cuframes_subscriber_next(v.subscriber, patience(), &frames[1]);
  if (result == CUFRAMES_OK) { /* the CPU sees that it is there, and cannot have it */
    IS(cuframes_frame_copy_to_host(frames[1], 0, pixel_rows, 0), CUFRAMES_ERR_DEVICE);
    detail_names("CUDA_ERROR_LAUNCH_FAILED");
    cuframes_frame_release_on(frames[1], v.stream); /* a stream that takes nothing any more */
  }
  cuframes_subscriber_destroy(v.subscriber);
  say(test, 0);
}

static void a_subscriber_loses_its_context(uint32_t sync) {
  viewer_report report;
  setting set = { STANDIN, NULL, { .name = "solid", .format = stage_format(CUFRAMES_PIXEL_NV12) } };
  child *publisher = source_start(&set), *witness = child_start(play_witness, "solid");
  hear(witness->fd);
  child *unlucky = child_start(play_unlucky, &sync);
  hear(unlucky->fd);
  child_finish(unlucky);
  cuframes_stream_info *info = query("solid");
  for (int64_t end = cuframes_now() + patience(); info->subscriber_count > 1 && cuframes_now() < end;) {
    cuframes_stream_info_free(info);
    info = query("solid");
  }
  NEED(info->subscriber_count == 1);
  cuframes_stream_info_free(info);
  say(witness->fd, 0);
  learn(witness->fd, &report, sizeof report);
  child_finish(witness);
  source_stop(publisher);
  report_is_good(&report, "the witness", false);
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
    SCENE(the_publisher_loses_its_context),
    SCENE(a_subscriber_in_mode_complete),
    SCENE(a_subscriber_in_mode_timeline),
    SCENE(a_subscriber_in_mode_slot_events),
  };
  drivers_begin(argc, argv);
  return SCENE_RUN("context_lost", tests);
}
