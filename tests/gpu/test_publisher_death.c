/* test_publisher_death.c - kill -9 of the publisher between submit and completion: its stream waits in a kernel, and a
 * picture is published behind that. Every subscriber is usable 100 ms later, in all sync modes but slot events, where a
 * stream that waits for that picture waits for ever (docs/gpu.md), though its process does not.
 */
#include <signal.h>
#include <sys/wait.h>

#include "viewer.h"

#define GOOD 3 /* pictures before the one that never becomes complete */
#define SUBSCRIBERS 4
#define LIMIT_MS 100

static memory_kind memory;

static void play_publisher(int test, void *user) {
  static source s;
  (void)user;
  source_begin(&s, &(source_options){ .name = "doomed",
                                      .memory = memory,
                                      .format = stage_format(CUFRAMES_PIXEL_NV12),
                                      .buffers = 2 + SUBSCRIBERS * 4 });
  cu_deviceptr never = word_new();
  for (int i = 0; i < GOOD; i++)
    source_publish(&s);
  CU(cu.cuStreamSynchronize(s.stream));
  say(test, 0);
  hear(test);
  CU(LAUNCH(&s.g, s.stream, "until", never, 1));
  source_publish(&s);
  NEED(cu.cuStreamQuery(s.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  hear(test); /* until it is killed */
}

/* A subscriber that holds the last good picture, and then wants the next. */
typedef struct witness {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber;
  cuframes_frame *good;
} witness;

static void witness_begin(witness *w, uint32_t sync) {
  uint32_t granted;
  *w = (witness){ 0 };
  gpu_begin(&w->g, 0);
  CU(cu.cuStreamCreate(&w->stream, CU_STREAM_NON_BLOCKING));
  cuframes_subscriber_options options = {
    .struct_size = sizeof options, .sync = sync, .leases = 4, .connect_timeout_ns = patience()
  };
  OK(cuframes_subscriber_create("doomed", &options, &w->subscriber));
  OK(cuframes_subscriber_device(w->subscriber, NULL, 0, &granted));
  NEED(granted == sync);
  OK(cuframes_subscriber_next_on(w->subscriber, patience(), w->stream, &w->good));
  NEED(frame_number(w->good) == GOOD);
  NEED(frame_is_whole(&w->g, w->stream, w->good, GOOD));
}

static void next_is_gone(witness *w) {
  cuframes_frame *frame = NULL;
  IS(cuframes_subscriber_next(w->subscriber, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  NEED(frame == NULL);
}

/* What it held stays whole; nothing of it is left. */
static void witness_end(witness *w, uint64_t lost) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  next_is_gone(w);
  OK(cuframes_subscriber_get_stats(w->subscriber, &stats));
  NEED(stats.frames_lost == lost);
  NEED(frame_is_whole(&w->g, w->stream, w->good, GOOD));
  IS(cuframes_frame_wait(w->good, 0), CUFRAMES_OK);
  cuframes_frame_release(w->good);
  cuframes_subscriber_destroy(w->subscriber);
  CU(cu.cuStreamDestroy(w->stream));
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
  static witness w;
  (void)user;
  witness_begin(&w, CUFRAMES_SYNC_COMPLETE);
  ready(test);
  say(test, 0); /* waits from now on */
  next_is_gone(&w);
  now_usable(test);
  witness_end(&w, 0);
}

static void wait_on_its_stream(int test, bool early_release) {
  static witness w;
  cuframes_frame *frame = NULL;
  witness_begin(&w, CUFRAMES_SYNC_TIMELINE);
  cu_deviceptr wrong = word_new();
  ready(test);
  OK(cuframes_subscriber_next_on(w.subscriber, patience(), w.stream, &frame));
  NEED(frame_number(frame) == GOOD + 1);
  IS(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_TIMEOUT);
  CU(LAUNCH(&w.g, w.stream, "check", frame_address(frame), frame_words(frame), stamp(GOOD + 1), wrong));
  if (early_release)
    cuframes_frame_release_on(frame, w.stream);
  NEED(cu.cuStreamQuery(w.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  CU(cu.cuStreamSynchronize(w.stream));
  now_usable(test);
  if (!early_release) {
    IS(cuframes_frame_wait(frame, patience()), CUFRAMES_ERR_LOST);
    cuframes_frame_release_on(frame, w.stream);
  }
  CU(cu.cuMemFree(wrong));
  witness_end(&w, 1);
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
  static witness w;
  cuframes_frame *frame = NULL;
  (void)user;
  witness_begin(&w, CUFRAMES_SYNC_TIMELINE);
  ready(test);
  OK(cuframes_subscriber_next_on(w.subscriber, patience(), w.stream, &frame));
  NEED(frame_number(frame) == GOOD + 1);
  cuframes_frame_release(frame);
  NEED(cu.cuStreamQuery(w.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  CU(cu.cuStreamSynchronize(w.stream));
  now_usable(test);
  witness_end(&w, 0);
}

static void wait_on_the_cpu(int test, uint32_t sync) {
  static witness w;
  witness_begin(&w, sync);
  ready(test);
  say(test, 0);
  next_is_gone(&w);
  now_usable(test);
  witness_end(&w, 0);
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
  static witness w;
  cuframes_frame *frame = NULL;
  (void)user;
  witness_begin(&w, CUFRAMES_SYNC_SLOT_EVENTS);
  ready(test);
  OK(cuframes_subscriber_next_on(w.subscriber, patience(), w.stream, &frame));
  NEED(frame_number(frame) == GOOD + 1);
  IS(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_TIMEOUT);
  say(test, 0);
  IS(cuframes_frame_wait(frame, patience()), CUFRAMES_ERR_LOST);
  next_is_gone(&w);
  now_usable(test);
  hear(test);
}

static void kill_the_publisher(child_run *const *roles, memory_kind kind) {
  child *publisher, *subscribers[SUBSCRIBERS];
  memory = kind;
  publisher = child_start(play_publisher, NULL);
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
  NEED(kill(publisher->pid, SIGKILL) == 0);
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
  stage_note("%d subscribers, the last usable %.1f ms after the kill", SUBSCRIBERS, (double)worst / MS);
  SOON(worst, LIMIT_MS);
}

/* ---- a publisher that does not answer, and is killed then ---- */

static void ask_in_vain(int test, void *user) {
  static witness w;
  cuframes_frame *frame = NULL;
  (void)user;
  witness_begin(&w, CUFRAMES_SYNC_TIMELINE);
  ready(test);
  OK(cuframes_subscriber_next_on(w.subscriber, patience(), w.stream, &frame));
  say(test, 0);
  hear(test); /* it was stopped */
  IS(cuframes_subscriber_enable_packets(w.subscriber, 0), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_interrupt(w.subscriber); /* its threads look at everything anew */
  IS(cuframes_subscriber_next(w.subscriber, 0, &(cuframes_frame *){ NULL }), CUFRAMES_ERR_PUBLISHER_GONE);
  NEED(cu.cuStreamQuery(w.stream) == CUDA_ERROR_NOT_READY);
  say(test, 0);
  WAIT_FOR(cu.cuStreamQuery(w.stream) == CUDA_SUCCESS);
  now_usable(test);
  IS(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_LOST);
  cuframes_frame_release(frame);
  cuframes_subscriber_interrupt(w.subscriber);
  (void)cuframes_subscriber_next(w.subscriber, 0, &frame); /* takes the interruption */
  witness_end(&w, 1);
}

/* A request in vain says that the publisher is gone; its death must be noticed all the same, by the streams. */
static void one_that_did_not_answer(void **state) {
  (void)state;
  sync_need(CUFRAMES_SYNC_TIMELINE);
  memory = MEMORY_VMM;
  child *publisher = child_start(play_publisher, NULL), *subscriber;
  hear(publisher->fd);
  subscriber = child_start(ask_in_vain, NULL);
  hear(subscriber->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  say(subscriber->fd, 0);
  hear(subscriber->fd);
  int status;
  NEED(kill(publisher->pid, SIGSTOP) == 0);
  NEED(waitpid(publisher->pid, &status, WUNTRACED) == publisher->pid && WIFSTOPPED(status)); /* all its threads */
  say(subscriber->fd, 0);
  hear(subscriber->fd);
  NEED(kill(publisher->pid, SIGKILL) == 0);
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
  return STAGE_RUN(argc, argv, tests);
}
