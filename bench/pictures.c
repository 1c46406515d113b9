/* pictures.c - whole pictures: filled by a real copy, every byte read by another process, beside the copy alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define SOURCES 4u /* different pictures to copy from, so that they do not all stay in the caches */
#define SLOTS 8u

typedef struct run {
  const char *size;
  uint32_t width, height;
  uint64_t bytes;
  unsigned rounds, frames; /* frames in each round */
  uint32_t mode;
  tally *taken; /* frames that the reader has read, and one for its arrival */
  uint64_t *sum;
  uint8_t *source, *pool; /* pictures to copy from; as many as slots to copy into, without cuframes */
} run;

static uint64_t touch(const uint8_t *bytes, uint64_t size) {
  uint64_t sum = 0, word;
  for (uint64_t at = 0; at + sizeof word <= size; at += sizeof word) {
    memcpy(&word, bytes + at, sizeof word);
    sum += word;
  }
  return sum;
}

static void reader_run(void *argument, unsigned index) {
  run *r = argument;
  cpu_pin_reader(index);
  cuframes_subscriber *subscriber = stream_join("pictures", (cuframes_subscriber_options){ .mode = r->mode });
  tally_add(r->taken);
  for (cuframes_frame *frame; (frame = stream_next(subscriber)) != NULL;) {
    *r->sum += touch(cuframes_frame_plane(frame, 0), r->bytes);
    cuframes_frame_release(frame); /* stale if the stream has ended meanwhile */
    tally_add(r->taken);
  }
  cuframes_subscriber_destroy(subscriber);
}

static void fill(const run *r, uint8_t *to, unsigned i) {
  memcpy(to, r->source + i % SOURCES * r->bytes, r->bytes);
}

static double seconds_since(int64_t from) {
  return (double)(now_ns() - from) / (double)SECOND;
}

/* Copies per second of the same pictures, by this process alone. */
static double copy_round(const run *r) {
  int64_t from = now_ns();
  for (unsigned i = 0; i < r->frames; i++)
    fill(r, r->pool + i % SLOTS * r->bytes, i);
  return r->frames / seconds_since(from);
}

/* Frames per second from fill to the last byte read. */
static double stream_round(const run *r, cuframes_publisher *publisher, uint32_t before) {
  int64_t from = now_ns();
  for (unsigned i = 0; i < r->frames; i++) {
    cuframes_frame *frame = stream_acquire(publisher);
    fill(r, cuframes_frame_plane(frame, 0), i);
    stream_send(publisher, frame);
  }
  tally_wait(r->taken, before + r->frames, false);
  return r->frames / seconds_since(from);
}

static void end_to_end(run *r) {
  crew readers;
  samples *ours = samples_new(r->rounds), *bare = samples_new(r->rounds);
  r->mode = CUFRAMES_MODE_ORDERED;
  atomic_store_explicit(&r->taken->count, 0, memory_order_relaxed); /* nobody else is there yet */
  crew_start(&readers, 1, reader_run, r);
  cuframes_publisher *publisher =
      stream_publish("pictures", r->width, r->height, (cuframes_publisher_options){ .slots = SLOTS });
  cpu_pin_sender();
  tally_wait(r->taken, 1, false);
  stream_round(r, publisher, 1); /* touches all memory once */
  copy_round(r);
  for (unsigned i = 0; i < r->rounds; i++) {
    samples_add(bare, copy_round(r));
    samples_add(ours, stream_round(r, publisher, 1 + r->frames * (1 + i)));
  }
  cuframes_publisher_destroy(publisher);
  cpu_unpin();
  crew_join(&readers);
  report_row row = { .section = "Pictures, NV12",
                     .unit = UNIT_RATE,
                     .figure = { samples_median(ours), NAN },
                     .bare = { samples_median(bare), NAN } };
  (void)snprintf(row.what, sizeof row.what, "%s, filled by a copy, every byte read by another process", r->size);
  (void)snprintf(row.beside, sizeof row.beside, "the copy alone (%.1f GB/s)", row.bare.median * (double)r->bytes / 1e9);
  report_add(&row);
  samples_free(ours);
  samples_free(bare);
}

/* What acquire and publish add to the copy, with a reader that reads what it can. */
static void extra_cost(run *r) {
  crew readers;
  unsigned frames = r->rounds * r->frames;
  samples *whole = samples_new(frames), *copy = samples_new(frames);
  r->mode = CUFRAMES_MODE_NEWEST;
  atomic_store_explicit(&r->taken->count, 0, memory_order_relaxed); /* nobody else is there yet */
  crew_start(&readers, 1, reader_run, r);
  cuframes_publisher *publisher =
      stream_publish("pictures", r->width, r->height, (cuframes_publisher_options){ .slots = SLOTS });
  cpu_pin_sender();
  tally_wait(r->taken, 1, false);
  for (unsigned i = 0; i < frames; i++) {
    int64_t start = now_ns();
    cuframes_frame *frame = stream_acquire(publisher);
    int64_t from = now_ns();
    fill(r, cuframes_frame_plane(frame, 0), i);
    int64_t to = now_ns();
    stream_send(publisher, frame);
    samples_add(whole, (double)(now_ns() - start));
    samples_add(copy, (double)(to - from));
  }
  cuframes_publisher_destroy(publisher);
  cpu_unpin();
  crew_join(&readers);
  report_row row = { .section = "Pictures, NV12",
                     .figure = samples_figure(whole, 0),
                     .beside = "the copy in it",
                     .bare = samples_figure(copy, 0) };
  (void)snprintf(row.what, sizeof row.what, "%s, one frame of the publisher: acquire, copy, publish", r->size);
  report_add(&row);
  samples_free(whole);
  samples_free(copy);
}

static void size_run(const char *name, uint32_t width, uint32_t height, unsigned rounds, unsigned frames) {
  run r = { .size = name, .width = width, .height = height, .rounds = rounds, .frames = frames };
  cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = width, .height = height };
  bench_check(cuframes_format_layout(&format, 0, &r.bytes), "layout");
  r.taken = shared_new(sizeof *r.taken);
  r.sum = shared_new(sizeof *r.sum);
  r.source = shared_new(SOURCES * r.bytes);
  r.pool = shared_new(SLOTS * r.bytes);
  memset(r.source, 0x55, SOURCES * r.bytes);
  end_to_end(&r);
  extra_cost(&r);
  shared_free(r.taken, sizeof *r.taken);
  shared_free(r.sum, sizeof *r.sum);
  shared_free(r.source, SOURCES * r.bytes);
  shared_free(r.pool, SLOTS * r.bytes);
}

void bench_pictures(bool quick) {
  size_run("1920x1080", 1920, 1080, quick ? 3 : 15, quick ? 20 : 100);
  size_run("3840x2160", 3840, 2160, quick ? 3 : 15, quick ? 8 : 40);
}
