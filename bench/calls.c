/* calls.c - what single calls cost: a lease, a query, joining and leaving. */
#include <math.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define BATCH 32

static const char section[] = "Single calls";

/* Takes and releases frames that are there, a batch at a time; beside the cheapest system call. */
static void lease(unsigned rounds) {
  samples *ours = samples_new(rounds), *bare = samples_new(rounds);
  cuframes_publisher *publisher = stream_publish("calls", 64, 64, (cuframes_publisher_options){ 0 });
  cuframes_subscriber *subscriber =
      stream_join("calls", (cuframes_subscriber_options){ .mode = CUFRAMES_MODE_ORDERED, .depth = BATCH });
  stream_send(publisher, stream_acquire(publisher));
  cuframes_frame_release(stream_next(subscriber)); /* the first one starts the queue */
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < BATCH; i++)
      stream_send(publisher, stream_acquire(publisher));
    int64_t from = now_ns();
    for (int i = 0; i < BATCH; i++)
      cuframes_frame_release(stream_next(subscriber));
    int64_t between = now_ns();
    for (int i = 0; i < BATCH; i++)
      (void)syscall(SYS_getppid);
    samples_add(ours, (double)(between - from) / BATCH);
    samples_add(bare, (double)(now_ns() - between) / BATCH);
  }
  report_row row = { .section = section,
                     .what = "a lease: next and release of a frame that is there",
                     .figure = samples_figure(ours, 0),
                     .beside = "the cheapest system call",
                     .bare = samples_figure(bare, 0) };
  report_add(&row);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  samples_free(ours);
  samples_free(bare);
}

static void call_report(const char *what, samples *list) {
  report_row row = { .section = section, .figure = samples_figure(list, 0), .bare = { NAN, NAN } };
  (void)snprintf(row.what, sizeof row.what, "%s", what);
  report_add(&row);
  samples_free(list);
}

static void query_and_join(unsigned rounds) {
  samples *query = samples_new(rounds), *join = samples_new(rounds), *leave = samples_new(rounds);
  cuframes_publisher *publisher = stream_publish("calls", 1920, 1080, (cuframes_publisher_options){ 0 });
  for (unsigned i = 0; i < rounds; i++) {
    cuframes_stream_info *info;
    int64_t from = now_ns();
    bench_check(cuframes_stream_query(streams_directory(), "calls", SECOND, &info), "query");
    samples_add(query, (double)(now_ns() - from));
    cuframes_stream_info_free(info);
    from = now_ns();
    cuframes_subscriber *subscriber = stream_join("calls", (cuframes_subscriber_options){ 0 });
    int64_t between = now_ns();
    cuframes_subscriber_destroy(subscriber);
    samples_add(join, (double)(between - from));
    samples_add(leave, (double)(now_ns() - between));
  }
  cuframes_publisher_destroy(publisher);
  call_report("cuframes_stream_query", query);
  call_report("joining a stream", join);
  call_report("leaving it", leave);
}

void bench_calls(bool quick) {
  lease(quick ? 200 : 5000);
  query_and_join(quick ? 50 : 1000);
}
