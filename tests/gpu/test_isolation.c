/* test_isolation.c - whose GPU work fails fails alone: a subscriber's kernel that writes into a frame, and a publisher
 * whose own kernel fails, which ends its stream.
 */
#include "checker.h"

#define PICTURES 30

static void run_publisher(int test, void *user) {
  static source s;
  (void)user;
  hear(test);
  source_begin(&s, &(source_options){ .name = "victim", .format = program_format(CUFRAMES_PIXEL_NV12) });
  say(test, 0);
  hear(test);
  source_publish(&s);
  CHECK_OK(cu.cuStreamSynchronize(s.stream));
  say(test, 0);
  hear(test); /* the deed is done */
  for (int i = 1; i < PICTURES; i++)
    source_publish(&s);
  CHECK_OK(cu.cuCtxSynchronize());
  say(test, 0);
  hear(test);
  source_end(&s);
}

/* Its GPU work is over for good, but not its process; what it has of the library can still be ended. */
static void run_vandal(int test, void *user) {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  uint32_t sync = *(const uint32_t *)user;
  hear(test);
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .sync = sync,
                                          .connect_timeout_ns = patience() };
  CHECK_OK(cuframes_subscriber_create("victim", &options, &subscriber));
  say(test, 0);
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &frame));
  CHECK(frame_is_whole(&g, stream, frame, 1));
  hear(test);
  CHECK_OK(LAUNCH(&g, stream, "fill", frame_address(frame), frame_words(frame), 0));
  CHECK_RESULT(cu.cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  say(test, 0);
  hear(test);
  cuframes_frame_release_on(frame, stream);
  cuframes_subscriber_destroy(subscriber);
}

static void run_neighbour(int test, void *user) {
  static checker v;
  uint32_t sync = *(const uint32_t *)user;
  hear(test);
  checker_begin(&v, &(checker_options){
                        .name = "victim", .mode = CUFRAMES_MODE_ORDERED, .sync = sync, .leases = 4, .depth = 16 });
  say(test, 0);
  CHECK_OK(checker_look(&v, patience())); /* holds the first picture */
  say(test, 0);
  hear(test);
  cuframes_frame *first = v.held[0].frame;
  CHECK(frame_number(first) == 1 && frame_is_whole(&v.g, v.stream, first, 1)); /* still */
  say(test, 0);
  checker_watch(&v, PICTURES);
  checker_report report = checker_end(&v);
  report_is_good(&report, "the neighbour", true);
  CHECK(report.frames == PICTURES);
  say(test, 0);
}

static void a_write_fails_alone(uint32_t sync) {
  sync_need(sync);
  memory_kind_need(MEMORY_VMM);
  child *publisher = child_start(run_publisher, NULL);
  child *vandal = child_start(run_vandal, &sync), *neighbour = child_start(run_neighbour, &sync);
  say(publisher->fd, 0);
  hear(publisher->fd);
  say(vandal->fd, 0);
  say(neighbour->fd, 0);
  hear(vandal->fd);
  hear(neighbour->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  hear(neighbour->fd); /* both have it */
  say(vandal->fd, 0);
  hear(vandal->fd);
  say(neighbour->fd, 0);
  hear(neighbour->fd); /* the picture is untouched */
  say(publisher->fd, 0);
  hear(publisher->fd);
  hear(neighbour->fd);
  say(vandal->fd, 0);
  child_finish(vandal);
  child_finish(neighbour);
  say(publisher->fd, 0);
  child_finish(publisher);
  program_note("ILLEGAL_ADDRESS in its own process; all %d pictures whole elsewhere", PICTURES);
}

static void a_write_fails_alone_complete(void **state) {
  (void)state;
  a_write_fails_alone(CUFRAMES_SYNC_COMPLETE);
}

static void a_write_fails_alone_timeline(void **state) {
  (void)state;
  a_write_fails_alone(CUFRAMES_SYNC_TIMELINE);
}

/* ---- a publisher whose kernel fails ---- */

/* Publishes a picture that the GPU never completes, and makes no call any more. */
static void break_idly(source *s) {
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_publisher_acquire(s->publisher, &frame));
  CHECK_OK(LAUNCH(&s->g, s->stream, "spin", 50000));
  CHECK_OK(LAUNCH(&s->g, s->stream, "trap", 0));
  CHECK_OK(cuframes_publisher_publish_on(s->publisher, frame, s->stream, NULL));
}

static void break_busily(source *s) {
  cuframes_frame *frame = NULL;
  (void)LAUNCH(&s->g, s->stream, "trap", 0);
  CHECK(cf_cuda_is_sticky(cu.cuStreamSynchronize(s->stream)));
  int result = cuframes_publisher_acquire(s->publisher, &frame);
  if (result == CUFRAMES_OK)
    result = cuframes_publisher_publish_on(s->publisher, frame, s->stream, NULL);
  CHECK_RESULT(result, CUFRAMES_ERR_DEVICE);
}

static void run_broken_publisher(int test, void *idly) {
  static source s;
  source_begin(&s, &(source_options){ .name = "broken", .format = program_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  CHECK_OK(cu.cuStreamSynchronize(s.stream));
  say(test, 0);
  hear(test);
  if (idly)
    break_idly(&s);
  else
    break_busily(&s);
  say(test, 0);
  hear(test); /* it lives on */
  cuframes_publisher_destroy(s.publisher);
}

static void run_heir(int test, void *user) {
  static checker v;
  uint32_t sync = *(const uint32_t *)user;
  checker_begin(&v, &(checker_options){ .name = "broken", .sync = sync });
  CHECK_OK(checker_look(&v, patience()));
  say(test, 0);
  CHECK_RESULT(checker_look(&v, patience()), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK(frame_is_whole(&v.g, v.stream, v.held[0].frame, 1));
  say(test, 0);
  cuframes_frame_release(v.held[0].frame);
  v.held_count = 0;
  (void)checker_end(&v);
}

static void a_stream_ends_with_its_gpu(void *idly) {
  static const uint32_t modes[] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE };
  child *heirs[2], *publisher = child_start(run_broken_publisher, idly);
  int count =
      facts.timeline && !idly ? 2 : 1; /* a timeline subscriber would be given the frame, and it would be LOST */
  hear(publisher->fd);
  for (int i = 0; i < count; i++)
    heirs[i] = child_start(run_heir, (void *)(uintptr_t)&modes[i]);
  for (int i = 0; i < count; i++)
    hear(heirs[i]->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  for (int i = 0; i < count; i++)
    hear(heirs[i]->fd);
  for (int i = 0; i < count; i++)
    child_finish(heirs[i]);
  say(publisher->fd, 0);
  child_finish(publisher);
}

static void a_failed_publisher_ends_its_stream(void **state) {
  (void)state;
  a_stream_ends_with_its_gpu(NULL);
}

static void so_does_one_that_makes_no_call_any_more(void **state) {
  a_stream_ends_with_its_gpu(state);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(a_write_fails_alone_complete),
    SHOW(a_write_fails_alone_timeline),
    SHOW(a_failed_publisher_ends_its_stream),
    SHOW(so_does_one_that_makes_no_call_any_more),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
