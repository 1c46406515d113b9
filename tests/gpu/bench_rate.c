/* bench_rate.c - frames per second, end to end and as fast as it goes: every frame is copied into a slot, published,
 * complete, taken and released by every subscriber. Beside it the same copies alone, back to back. */
#include "bench_gpu.h"

typedef struct race {
  const char *what;
  unsigned subscribers;
  uint32_t sync;
  bool on_stream;
} race;

static double seconds_since(int64_t from) {
  return (double)(now_ns() - from) / (double)SECOND;
}

static double copy_round(unsigned frames) {
  int64_t from = now_ns();
  for (unsigned i = 0; i < frames; i++)
    work_copy(i, false);
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  return frames / seconds_since(from);
}

static double frame_round(cuframes_publisher *publisher, unsigned frames, tally *taken, uint32_t wanted) {
  int64_t from = now_ns();
  for (unsigned i = 0; i < frames; i++) {
    cuframes_frame *frame = stream_acquire(publisher);
    work_fill(frame, i);
    gpu_send(publisher, frame, i);
  }
  tally_wait(taken, wanted, false);
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  return frames / seconds_since(from);
}

static void report(const race *r, double ours, double bare) {
  report_row row = { .section = "Frames per second, 1080p NV12, every frame to every subscriber",
                     .unit = UNIT_RATE,
                     .figure = { ours, NAN },
                     .beside = "the copies alone",
                     .bare = { bare, NAN } };
  row_add(row, "%u, mode %s", r->subscribers, r->what);
}

static void run(const race *r, unsigned frames, unsigned rounds) {
  samples *ours = samples_new(rounds), *bare = samples_new(rounds);
  audience *a = processes_memory(sizeof *a);
  *a = (audience){
    .name = "rate", .mode = CUFRAMES_MODE_ORDERED, .sync = r->sync, .on_stream = r->on_stream, .counts = true
  };
  cuframes_publisher *publisher = gpu_publish(
      "rate", WIDTH, HEIGHT, (cuframes_publisher_options){ .max_slots = 512, .ordered_timeout_ns = 30 * SECOND });
  processes_run(r->subscribers, audience_run, a);
  tally_wait(&a->arrived, r->subscribers, false);
  cpu_pin_sender();
  copy_round(frames);
  frame_round(publisher, frames, &a->taken, frames * r->subscribers);
  for (unsigned i = 0; i < rounds; i++) {
    samples_add(bare, copy_round(frames));
    samples_add(ours, frame_round(publisher, frames, &a->taken, frames * r->subscribers * (2 + i)));
  }
  cpu_unpin();
  cuframes_publisher_destroy(publisher);
  processes_wait();
  if (atomic_load_explicit(&a->granted, memory_order_relaxed) != r->sync)
    bench_say("left out: mode %s was not granted", r->what);
  else
    report(r, samples_median(ours), samples_median(bare));
  samples_free(ours);
  samples_free(bare);
}

void bench_rate(bool quick) {
  static const race races[] = {
    { "complete", 1, CUFRAMES_SYNC_COMPLETE, false },
    { "complete", 8, CUFRAMES_SYNC_COMPLETE, false },
    { "timeline", 1, CUFRAMES_SYNC_TIMELINE, true },
    { "timeline", 8, CUFRAMES_SYNC_TIMELINE, true },
  };
  for (unsigned i = 0; i < sizeof races / sizeof races[0]; i++)
    run(&races[i], quick ? 40 : 1000, quick ? 2 : 5);
}
