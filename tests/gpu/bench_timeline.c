/* bench_timeline.c - from the end of the publisher's work on the GPU to the moment when the subscriber's stream goes
 * on, in mode timeline, beside a bare cuStreamWriteValue64() and cuStreamWaitValue64() between the same two processes.
 *
 * What is measured: the publisher's stream is held at a word, so that everything is submitted on both sides before the
 * work begins: there the copy of a picture, then a word (WORD_DONE) and, behind it, what lets the subscriber go. The
 * subscriber's stream waits and then writes WORD_SEEN. One spinning thread notes the times of both words. Without MPS
 * the GPU has to switch from one process's context to the other's, which both sides of the comparison contain.
 */
#include "bench_gpu.h"

#define WARM_UP 5u
#define SUBMITTED (500 * US) /* after which a stream of another process is sure to wait */

typedef struct pair {
  unsigned rounds;
  uint64_t done, seen, bare, fence; /* what the words are at the beginning */
  _Atomic uint32_t sync;
  tally arrived;
} pair;

/* ---- the subscriber ---- */

static void bare_receive(const pair *p, unsigned round) {
  counter_wait(work, WORD_BARE, p->bare + round + 1);
  word_write(work, WORD_SEEN, p->seen + 2 * round + 1);
}

static void frame_receive(const pair *p, cuframes_subscriber *subscriber, unsigned round) {
  cuframes_frame *frame;
  bench_check(cuframes_subscriber_next_on(subscriber, CUFRAMES_WAIT_FOREVER, work, &frame), "next frame");
  word_write(work, WORD_SEEN, p->seen + 2 * round + 2);
  cuframes_frame_release_on(frame, work);
}

static void reader_run(void *argument, unsigned index) {
  pair *p = argument;
  (void)index;
  uint32_t sync = 0;
  cuframes_subscriber *subscriber =
      gpu_join("timeline", (cuframes_subscriber_options){ .sync = CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_COMPLETE });
  bench_check(cuframes_subscriber_device(subscriber, NULL, 0, &sync), "device");
  atomic_store_explicit(&p->sync, sync, memory_order_relaxed);
  tally_add(&p->arrived);
  for (unsigned round = 0; sync == CUFRAMES_SYNC_TIMELINE && round < WARM_UP + p->rounds; round++) {
    bare_receive(p, round);
    tally_add(&p->arrived);
    frame_receive(p, subscriber, round);
    tally_add(&p->arrived);
  }
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  cuframes_subscriber_destroy(subscriber);
}

/* ---- the publisher ---- */

/* Opens the fence when all is submitted; gives the time between the words. */
static double let_go(pair *p, unsigned step) {
  int64_t done, seen;
  tally_wait(&p->arrived, step + 2, false);
  sleep_until(now_ns() + SUBMITTED);
  observer_watch(WORD_DONE, p->done + step + 1, WORD_SEEN, p->seen + step + 1);
  word_store(WORD_FENCE, p->fence + step + 1);
  observer_hear(&done, &seen);
  return (double)(seen - done);
}

static double bare_send(pair *p, unsigned round) {
  unsigned step = 2 * round;
  counter_wait(work, WORD_FENCE, p->fence + step + 1);
  work_copy(round, false);
  word_write(work, WORD_DONE, p->done + step + 1);
  word_write(work, WORD_BARE, p->bare + round + 1);
  return let_go(p, step);
}

static double frame_send(pair *p, cuframes_publisher *publisher, unsigned round) {
  unsigned step = 2 * round + 1;
  cuframes_frame *frame = stream_acquire(publisher);
  counter_wait(work, WORD_FENCE, p->fence + step + 1);
  work_fill(frame, round);
  word_write(work, WORD_DONE, p->done + step + 1);
  gpu_send(publisher, frame, round);
  return let_go(p, step);
}

static uint64_t word_now(enum word word) {
  return atomic_load_explicit(word_at(word), memory_order_relaxed);
}

static void run(pair *p, cuframes_publisher *publisher) {
  samples *bare = samples_new(p->rounds), *ours = samples_new(p->rounds);
  observer_begin();
  for (unsigned round = 0; round < WARM_UP + p->rounds; round++) {
    double bare_took = bare_send(p, round), took = frame_send(p, publisher, round);
    if (round >= WARM_UP) {
      samples_add(bare, bare_took);
      samples_add(ours, took);
    }
  }
  observer_end();
  report_row row = { .section = "Hand-off: from the GPU's work done to the subscriber's stream, mode timeline",
                     .figure = samples_figure(ours, 0),
                     .beside = "a bare write-value and wait-value pair",
                     .bare = samples_figure(bare, 0),
                     .goal = 1.1 };
  row_add(row, "1 whose stream waits");
  samples_free(bare);
  samples_free(ours);
}

void bench_timeline(bool quick) {
  pair *p = processes_memory(sizeof *p);
  *p = (pair){ .rounds = quick ? 30 : 400,
               .done = word_now(WORD_DONE),
               .seen = word_now(WORD_SEEN),
               .bare = word_now(WORD_BARE),
               .fence = word_now(WORD_FENCE) };
  cuframes_publisher *publisher = gpu_publish("timeline", WIDTH, HEIGHT, (cuframes_publisher_options){ 0 });
  processes_run(1, reader_run, p);
  cpu_pin_sender();
  tally_wait(&p->arrived, 1, false);
  if (atomic_load_explicit(&p->sync, memory_order_relaxed) == CUFRAMES_SYNC_TIMELINE)
    run(p, publisher);
  else
    bench_say("left out: mode timeline was not granted");
  cpu_unpin();
  processes_wait();
  cuframes_publisher_destroy(publisher);
}
