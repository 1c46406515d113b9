/* test_publisher_death.c - kill -9 of the publisher between submit and completion: its stream waits in a kernel, and a
 * picture is published behind that. Every subscriber is usable 100 ms later, in all sync modes but slot events, where a
 * stream that waits for that picture waits for ever (docs/gpu.md), though its process does not.
 */
#include <signal.h>
#include <sys/wait.h>

#include "checker.h"

#define GOOD 3 /* pictures before the one that never becomes complete */
#define SUBSCRIBERS 4
#define LIMIT_MS 100

static memory_kind memory;

static void run_publisher(int test, void *user) {
  static source s;
  (void)user;
  source_begin(&s, &(source_options){ .name = "doomed",
                                      .memory = memory,
                                      .format = program_format(CUFRAMES_PIXEL_NV12),
                                      .buffers = 2 + SUBSCRIBERS * 4 });
  cu_deviceptr never = word_new();
  for (int i = 0; i < GOOD; i++)
    source_publish(&s);
  CHECK_OK(cu.cuStreamSynchronize(s.stream));
  say(test, 0);
  hear(test);
  CHECK_OK(LAUNCH(&s.g, s.stream, "until", never, 1));
  source_publish(&s);
  CHECK(cu.cuStreamQuery(s.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  hear(test); /* until it is killed */
}

/* A subscriber that holds the last good picture, and then wants the next. */
typedef struct observer {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber;
  cuframes_frame *good;
} observer;

static void observer_begin(observer *w, uint32_t sync) {
  uint32_t granted;
  *w = (observer){ 0 };
  gpu_begin(&w->g, 0);
  CHECK_OK(cu.cuStreamCreate(&w->stream, CU_STREAM_NON_BLOCKING));
  cuframes_subscriber_options options = {
    .struct_size = sizeof options, .sync = sync, .leases = 4, .connect_timeout_ns = patience()
  };
  CHECK_OK(cuframes_subscriber_create("doomed", &options, &w->subscriber));
  CHECK_OK(cuframes_subscriber_device(w->subscriber, NULL, 0, &granted));
  CHECK(granted == sync);
  CHECK_OK(cuframes_subscriber_next_on(w->subscriber, patience(), w->stream, &w->good));
  CHECK(frame_number(w->good) == GOOD);
  CHECK(frame_is_whole(&w->g, w->stream, w->good, GOOD));
}

static void next_is_gone(observer *w) {
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_subscriber_next(w->subscriber, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK(frame == NULL);
}

/* What it held stays whole; nothing of it is left. */
static void observer_end(observer *w, uint64_t lost) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  next_is_gone(w);
  CHECK_OK(cuframes_subscriber_get_stats(w->subscriber, &stats));
  CHECK(stats.frames_lost == lost);
  CHECK(frame_is_whole(&w->g, w->stream, w->good, GOOD));
  CHECK_RESULT(cuframes_frame_wait(w->good, 0), CUFRAMES_OK);
  cuframes_frame_release(w->good);
  cuframes_subscriber_destroy(w->subscriber);
  CHECK_OK(cu.cuStreamDestroy(w->stream));
  gpu_end(&w->g);
}

/* Ready for the publisher to go on. */
static void ready(int test) {
  say(test, 0);
  hear(test);
}

static void now_usable(int test) {
  say(test, (uint64_t)cuframes_now());
}

static void wait_complete(int test, void *user) {
  static observer w;
  (void)user;
  observer_begin(&w, CUFRAMES_SYNC_COMPLETE);
  ready(test);
  say(test, 0); /* waits from now on */
  next_is_gone(&w);
  now_usable(test);
  observer_end(&w, 0);
}

/* Lets the publisher go on, and takes the picture that never becomes complete, in the order of its stream. */
static cuframes_frame *take_incomplete(observer *w, int test) {
  cuframes_frame *frame = NULL;
  ready(test);
  CHECK_OK(cuframes_subscriber_next_on(w->subscriber, patience(), w->stream, &frame));
  CHECK(frame_number(frame) == GOOD + 1);
  return frame;
}

static void wait_on_its_stream(int test, bool early_release) {
  static observer w;
  observer_begin(&w, CUFRAMES_SYNC_TIMELINE);
  cu_deviceptr wrong = word_new();
  cuframes_frame *frame = take_incomplete(&w, test);
  CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(LAUNCH(&w.g, w.stream, "check", frame_address(frame), frame_words(frame), stamp(GOOD + 1), wrong));
  if (early_release)
    cuframes_frame_release_on(frame, w.stream);
  CHECK(cu.cuStreamQuery(w.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  CHECK_OK(cu.cuStreamSynchronize(w.stream));
  now_usable(test);
  if (!early_release) {
    CHECK_RESULT(cuframes_frame_wait(frame, patience()), CUFRAMES_ERR_LOST);
    cuframes_frame_release_on(frame, w.stream);
  }
  CHECK_OK(cu.cuMemFree(wrong));
  observer_end(&w, 1);
}

static void wait_on_a_stream(int test, void *user) {
  (void)user;
  wait_on_its_stream(test, false);
}

static void wait_on_a_stream_that_gives_back(int test, void *user) {
  (void)user;
  wait_on_its_stream(test, true);
}

/* It takes the frame and gives it back at once, unused; but its stream was told to wait for it. */
static void wait_for_what_was_given_back(int test, void *user) {
  static observer w;
  (void)user;
  observer_begin(&w, CUFRAMES_SYNC_TIMELINE);
  cuframes_frame_release(take_incomplete(&w, test));
  CHECK(cu.cuStreamQuery(w.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  CHECK_OK(cu.cuStreamSynchronize(w.stream));
  now_usable(test);
  observer_end(&w, 0);
}

static void wait_on_the_cpu(int test, uint32_t sync) {
  static observer w;
  observer_begin(&w, sync);
  ready(test);
  say(test, 0);
  next_is_gone(&w);
  now_usable(test);
  observer_end(&w, 0);
}

static void wait_on_the_cpu_timeline(int test, void *user) {
  (void)user;
  wait_on_the_cpu(test, CUFRAMES_SYNC_TIMELINE);
}

static void wait_on_the_cpu_events(int test, void *user) {
  (void)user;
  wait_on_the_cpu(test, CUFRAMES_SYNC_SLOT_EVENTS);
}

/* Its stream is lost with the publisher; what the CPU asks is answered. Ends by being killed. */
static void wait_on_an_event(int test, void *user) {
  static observer w;
  (void)user;
  observer_begin(&w, CUFRAMES_SYNC_SLOT_EVENTS);
  cuframes_frame *frame = take_incomplete(&w, test);
  CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_TIMEOUT);
  say(test, 0);
  CHECK_RESULT(cuframes_frame_wait(frame, patience()), CUFRAMES_ERR_LOST);
  next_is_gone(&w);
  now_usable(test);
  hear(test);
}

static void kill_the_publisher(child_run *const *roles, memory_kind kind) {
  child *publisher, *subscribers[SUBSCRIBERS];
  memory = kind;
  publisher = child_start(run_publisher, NULL);
  hear(publisher->fd);
  for (int i = 0; i < SUBSCRIBERS; i++)
    subscribers[i] = child_start(roles[i], NULL);
  for (int i = 0; i < SUBSCRIBERS; i++)
    hear(subscribers[i]->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  for (int i = 0; i < SUBSCRIBERS; i++)
    say(subscribers[i]->fd, 0);
  for (int i = 0; i < SUBSCRIBERS; i++)
    hear(subscribers[i]->fd);
  int64_t start = cuframes_now(), worst = 0;
  CHECK(kill(publisher->pid, SIGKILL) == 0);
  for (int i = 0; i < SUBSCRIBERS; i++) {
    int64_t took = (int64_t)hear(subscribers[i]->fd) - start;
    worst = took > worst ? took : worst;
  }
  (void)child_status(publisher);
  sweep_up();
  for (int i = 0; i < SUBSCRIBERS; i++)
    if (roles[i] == wait_on_an_event)
      child_kill(subscribers[i]);
    else
      child_finish(subscribers[i]);
  program_note("%d subscribers, the last usable %.1f ms after the kill", SUBSCRIBERS, (double)worst / MS);
  SOON(worst, LIMIT_MS);
}

/* ---- a publisher that does not answer, and is killed then ---- */

static void ask_in_vain(int test, void *user) {
  static observer w;
  (void)user;
  observer_begin(&w, CUFRAMES_SYNC_TIMELINE);
  cuframes_frame *frame = take_incomplete(&w, test);
  say(test, 0);
  hear(test); /* it was stopped */
  CHECK_RESULT(cuframes_subscriber_enable_packets(w.subscriber, 0), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_interrupt(w.subscriber); /* its threads look at everything anew */
  CHECK_RESULT(cuframes_subscriber_next(w.subscriber, 0, &(cuframes_frame *){ NULL }), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK(cu.cuStreamQuery(w.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  WAIT_FOR(cu.cuStreamQuery(w.stream) == CUDA_SUCCESS);
  now_usable(test);
  CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_LOST);
  cuframes_frame_release(frame);
  cuframes_subscriber_interrupt(w.subscriber);
  (void)cuframes_subscriber_next(w.subscriber, 0, &frame); /* takes the interruption */
  observer_end(&w, 1);
}

/* A request in vain says that the publisher is gone; its death must be noticed all the same, by the streams. */
static void one_that_did_not_answer(void **state) {
  (void)state;
  sync_need(CUFRAMES_SYNC_TIMELINE);
  memory = MEMORY_VMM;
  child *publisher = child_start(run_publisher, NULL), *subscriber;
  hear(publisher->fd);
  subscriber = child_start(ask_in_vain, NULL);
  hear(subscriber->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  say(subscriber->fd, 0);
  hear(subscriber->fd);
  child_stop(publisher);
  say(subscriber->fd, 0);
  hear(subscriber->fd);
  CHECK(kill(publisher->pid, SIGKILL) == 0);
  hear(subscriber->fd);
  (void)child_status(publisher);
  sweep_up();
  child_finish(subscriber);
}

static void complete(void **state) {
  (void)state;
  child_run *const roles[SUBSCRIBERS] = { wait_complete, wait_complete, wait_complete, wait_complete };
  kill_the_publisher(roles, MEMORY_VMM);
}

static void timeline_of(memory_kind kind) {
  child_run *const roles[SUBSCRIBERS] = { wait_on_a_stream, wait_on_a_stream_that_gives_back, wait_on_the_cpu_timeline,
                                          wait_for_what_was_given_back };
  sync_need(CUFRAMES_SYNC_TIMELINE);
  memory_kind_need(kind);
  kill_the_publisher(roles, kind);
}

static void timeline(void **state) {
  (void)state;
  timeline_of(MEMORY_VMM);
}

static void timeline_external(void **state) {
  (void)state;
  timeline_of(EXTERNAL_VMM);
}

static void timeline_legacy(void **state) {
  (void)state;
  timeline_of(MEMORY_LEGACY);
}

static void slot_events(void **state) {
  (void)state;
  child_run *const roles[SUBSCRIBERS] = { wait_on_the_cpu_events, wait_on_an_event, wait_on_an_event, wait_complete };
  sync_need(CUFRAMES_SYNC_SLOT_EVENTS);
  kill_the_publisher(roles, MEMORY_VMM);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(complete),        SHOW(timeline),    SHOW(timeline_external),
    SHOW(timeline_legacy), SHOW(slot_events), SHOW(one_that_did_not_answer),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
