/* checker.c - a subscriber that looks at every word. */
#include "checker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 131072 /* at most, of one checker */

const char *sync_name(uint32_t sync) {
  return sync == CUFRAMES_SYNC_TIMELINE ? "timeline" : sync == CUFRAMES_SYNC_SLOT_EVENTS ? "slot_events" : "complete";
}

void sync_need(uint32_t sync) {
  if ((sync == CUFRAMES_SYNC_TIMELINE && !facts.timeline) || (sync == CUFRAMES_SYNC_SLOT_EVENTS && !facts.legacy))
    skip_because("%s cannot do the sync mode %s", facts.name, sync_name(sync));
}

uint64_t frame_number(const cuframes_frame *frame) {
  return (uint64_t)cuframes_frame_pts(frame) / 1000;
}

bool frame_is_whole(const gpu *g, cu_stream stream, const cuframes_frame *frame, uint64_t number) {
  cu_deviceptr wrong = word_new();
  CHECK_OK(LAUNCH(g, stream, "check", frame_address(frame), frame_words(frame), stamp(number), wrong));
  CHECK_OK(cu.cuStreamSynchronize(stream));
  uint64_t words = word_value(wrong);
  CHECK_OK(cu.cuMemFree(wrong));
  return words == 0;
}

void checker_begin(checker *v, const checker_options *options) {
  *v = (checker){ .options = *options };
  v->options.leases = options->leases ? options->leases : 2;
  CHECK(v->options.leases <= CHECKER_HELD);
  gpu_begin(&v->g, options->ordinal);
  CHECK_OK(cu.cuStreamCreate(&v->stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuMemAlloc(&v->wrong, FRAMES * sizeof(uint64_t)));
  CHECK_OK(cu.cuMemsetD8(v->wrong, 0, FRAMES * sizeof(uint64_t)));
  for (uint32_t i = 0; i < v->options.leases; i++)
    CHECK_OK(cu.cuEventCreate(&v->held[i].seen, CU_EVENT_DISABLE_TIMING));
  CHECK_OK(cu.cuCtxSynchronize());
  cuframes_subscriber_options subscriber = {
    .struct_size = sizeof subscriber,
    .mode = options->mode,
    .sync = options->sync,
    .leases = v->options.leases,
    .depth = options->depth,
    .device = options->device,
    .connect_timeout_ns = patience(),
  };
  CHECK_OK(cuframes_subscriber_create(options->name, &subscriber, &v->subscriber));
  CHECK_OK(cuframes_subscriber_device(v->subscriber, NULL, 0, &v->sync));
}

static void give_back_oldest(checker *v) {
  CHECK_OK(cu.cuEventSynchronize(v->held[v->held_first].seen));
  cuframes_frame_release(v->held[v->held_first].frame);
  v->held_first = (v->held_first + 1) % v->options.leases;
  v->held_count--;
}

/* The CPU's look at the last plane: the rows that can be seen. */
static bool cpu_finds_whole(const cuframes_frame *frame, uint64_t number) {
  const cuframes_format *format = cuframes_frame_format(frame);
  int plane = cuframes_pixel_format_planes(format->pixel_format) - 1;
  uint32_t row_bytes, rows, wrong = 0;
  CHECK_OK(cuframes_format_plane_size(format, plane, &row_bytes, &rows));
  CHECK(row_bytes % sizeof(uint64_t) == 0);
  uint64_t words = (uint64_t)row_bytes * rows / sizeof(uint64_t), *copy = malloc(words * sizeof *copy);
  CHECK(copy != NULL);
  CHECK_OK(cuframes_frame_copy_to_host(frame, plane, copy, 0));
  for (uint64_t i = 0; i < words; i++)
    wrong += copy[i] != stamp(number);
  free(copy);
  return wrong == 0;
}

static bool side_data_is(const cuframes_frame *frame, uint64_t number) {
  size_t size = 0;
  const void *data = cuframes_frame_side_data(frame, SIDE_NUMBER, &size);
  return data && size == sizeof number && memcmp(data, &number, size) == 0;
}

static void count(checker *v, uint64_t number) {
  checker_report *r = &v->report;
  if (r->frames > 0) {
    r->back += number < r->last;
    r->twice += number == r->last;
    r->gaps += number > r->last + 1 ? number - r->last - 1 : 0;
  }
  r->frames++;
  r->last = number;
}

int checker_look(checker *v, int64_t timeout_ns) {
  cuframes_frame *frame = NULL;
  while (v->held_count >= v->options.leases)
    give_back_oldest(v);
  int result = v->options.cpu ? cuframes_subscriber_next(v->subscriber, timeout_ns, &frame)
                              : cuframes_subscriber_next_on(v->subscriber, timeout_ns, v->stream, &frame);
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = frame_number(frame);
  CHECK(cuframes_frame_seq(frame) == number);
  CHECK(v->report.frames < FRAMES);
  cu_deviceptr wrong = v->wrong + v->report.frames * sizeof(uint64_t);
  if (v->report.frames < CHECKER_TIMES)
    v->times[v->report.frames] = (uint64_t)(cuframes_now() - cuframes_frame_timestamp(frame));
  count(v, number);
  v->report.formats += (cuframes_frame_flags(frame) & CUFRAMES_FRAME_NEW_FORMAT) != 0;
  CHECK_OK(LAUNCH(&v->g, v->stream, "check", frame_address(frame), frame_words(frame), stamp(number), wrong));
  if (v->options.cpu || v->sync == CUFRAMES_SYNC_COMPLETE)
    CHECK_OK(cuframes_frame_wait(frame, 0));
  if (v->options.cpu && !cpu_finds_whole(frame, number))
    v->report.torn++;
  if (v->options.slow_ms > 0)
    pause_ms(v->options.slow_ms);
  if (v->options.side_data) /* late: it is as whole as the picture, as long as the frame is in hand */
    v->report.torn += !side_data_is(frame, number);
  if (v->options.release_on) {
    cuframes_frame_release_on(frame, v->stream);
  } else {
    uint32_t at = (v->held_first + v->held_count++) % v->options.leases;
    v->held[at].frame = frame;
    CHECK_OK(cu.cuEventRecord(v->held[at].seen, v->stream));
  }
  return CUFRAMES_OK;
}

void checker_watch(checker *v, uint64_t last) {
  while (v->report.frames == 0 || v->report.last < last)
    CHECK_OK(checker_look(v, patience()));
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static uint64_t median(uint64_t *times, size_t n) {
  qsort(times, n, sizeof *times, compare);
  return n ? times[n / 2] : 0;
}

checker_report checker_end(checker *v) {
  static uint64_t wrong[FRAMES];
  checker_report *r = &v->report;
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  while (v->held_count > 0)
    give_back_oldest(v);
  CHECK_OK(cu.cuStreamSynchronize(v->stream));
  CHECK_OK(cu.cuMemcpyDtoH(wrong, v->wrong, sizeof wrong));
  for (uint64_t i = 0; i < r->frames; i++)
    r->torn += wrong[i] != 0;
  CHECK_OK(cuframes_subscriber_get_stats(v->subscriber, &stats));
  CHECK(stats.frames == r->frames);
  r->skipped = stats.skipped;
  r->lost = stats.frames_lost;
  r->latency_ns = median(v->times, r->frames < CHECKER_TIMES ? r->frames : CHECKER_TIMES);
  cuframes_subscriber_destroy(v->subscriber);
  for (uint32_t i = 0; i < v->options.leases; i++)
    CHECK_OK(cu.cuEventDestroy(v->held[i].seen));
  CHECK_OK(cu.cuMemFree(v->wrong));
  CHECK_OK(cu.cuStreamDestroy(v->stream));
  gpu_end(&v->g);
  return *r;
}

void report_is_good(const checker_report *report, const char *who, bool ordered) {
  const checker_report *r = report;
  bool good = r->torn == 0 && r->back == 0 && r->twice == 0 && r->lost == 0 && (!ordered || r->gaps == 0);
  if (!good || r->frames == 0)
    print_error("%s: %" PRIu64 " frames, %" PRIu64 " torn, %" PRIu64 " back-jumps, %" PRIu64 " twice, %" PRIu64
                " left out, %" PRIu64 " lost\n",
                who, r->frames, r->torn, r->back, r->twice, r->gaps, r->lost);
  CHECK(good && r->frames > 0);
}
