/* test_frames.c - a frame on its way from publisher to subscriber: order, numbers, times, flags, who may write. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "support/child.h"
#include "support/stream.h"

static void a_frame_arrives_with_all_that_was_said_of_it(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  options.format.color = (cuframes_color){ .matrix = 1, .range = 2, .primaries = 9, .transfer = 16 };
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);

  cuframes_frame *open = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  assert_int_equal(cuframes_frame_seq(open), 0);
  assert_true(cuframes_frame_pts(open) == CUFRAMES_NO_TIME);
  assert_true(cuframes_frame_capture_time(open) == CUFRAMES_NO_TIME);
  assert_int_equal(cuframes_frame_flags(open), 0);
  picture_draw(open, 7);
  cuframes_publish_info info = {
    .struct_size = sizeof info,
    .pts = -5,
    .duration = 40,
    .flags = UINT32_MAX, /* some are the library's alone */
    .capture_time = INT64_C(1700000000123456789),
  };
  int64_t before = cuframes_now();
  CHECK_OK(cuframes_publisher_publish(publisher, open, &info));
  int64_t after = cuframes_now();

  cuframes_frame *frame = frame_take(subscriber);
  assert_true(picture_is(frame, 7));
  assert_int_equal(cuframes_frame_seq(frame), 1);
  assert_int_equal(cuframes_frame_pts(frame), -5);
  assert_int_equal(cuframes_frame_duration(frame), 40);
  CHECK_BETWEEN(cuframes_frame_timestamp(frame), before, after);
  assert_true(cuframes_frame_capture_time(frame) == INT64_C(1700000000123456789));
  assert_int_equal(cuframes_frame_flags(frame), CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT);
  assert_int_equal(cuframes_frame_width(frame), 64);
  assert_int_equal(cuframes_frame_height(frame), 16);
  assert_int_equal(cuframes_frame_pixel_format(frame), CUFRAMES_PIXEL_GRAY8);
  cuframes_color color = cuframes_frame_color(frame);
  assert_memory_equal(&color, &options.format.color, sizeof color);
  cuframes_frame_release(frame);

  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  CHECK_OK(cuframes_publisher_publish(publisher, open, NULL)); /* nothing said */
  frame = frame_take(subscriber);
  assert_true(cuframes_frame_pts(frame) == CUFRAMES_NO_TIME);
  assert_true(cuframes_frame_capture_time(frame) == CUFRAMES_NO_TIME);
  assert_int_equal(cuframes_frame_duration(frame), 0);
  assert_int_equal(cuframes_frame_flags(frame), 0);
  assert_int_equal(cuframes_frame_seq(frame), 2);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void newest_skips_what_it_missed_and_counts_it(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *none = NULL;
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_TIMEOUT);
  assert_null(none);
  pictures_publish(publisher, 1, 5);
  assert_int_equal(frame_look(subscriber), 5);
  assert_int_equal(subscriber_stats(subscriber).skipped, 0); /* what was before its first frame was not meant for it */
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_TIMEOUT);
  pictures_publish(publisher, 6, 300); /* more than any pool has slots */
  assert_int_equal(frame_look(subscriber), 305);
  pictures_publish(publisher, 306, 1);
  assert_int_equal(frame_look(subscriber), 306);
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  assert_int_equal(stats.skipped, 299);
  assert_int_equal(stats.frames, 3);
  assert_int_equal(publisher_stats(publisher).frames, 306);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_late_joiner_begins_with_the_newest_frame(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 40);
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    cuframes_subscriber *subscriber = subscriber_new("s", mode);
    cuframes_frame *frame = frame_take(subscriber);
    assert_int_equal(picture_number(frame), 40);
    assert_int_equal(cuframes_frame_seq(frame), 40);
    assert_int_equal(cuframes_frame_flags(frame), 0);
    cuframes_frame_release(frame);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_TIMEOUT);
    cuframes_subscriber_destroy(subscriber);
  }
  /* an ordered one, from when it joined on, however late it looks */
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  pictures_publish(publisher, 41, 3);
  for (uint64_t number = 40; number <= 43; number++)
    assert_int_equal(frame_look(subscriber), number);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

#define MANY 2000

static void take_in_order(int test, void *mode) {
  cuframes_subscriber_options options = subscriber_options(*(uint32_t *)mode);
  cuframes_subscriber *subscriber = NULL;
  options.connect_timeout_ns = patience();
  subscriber = subscriber_join("s", &options);
  say(test, 0);
  uint64_t last = 0;
  while (last < MANY) {
    cuframes_frame *frame = frame_take(subscriber);
    uint64_t number = picture_number(frame);
    CHECK(number == cuframes_frame_seq(frame));
    CHECK(options.mode == CUFRAMES_MODE_ORDERED ? number == last + 1 : number > last);
    last = number;
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  CHECK(options.mode == CUFRAMES_MODE_ORDERED ? stats.frames == MANY && stats.skipped == 0
                                              : stats.frames + stats.skipped <= MANY);
  cuframes_subscriber_destroy(subscriber);
}

static void other_processes_get_every_frame_whole(void **state) {
  (void)state;
  uint32_t modes[] = { CUFRAMES_MODE_NEWEST, CUFRAMES_MODE_ORDERED, CUFRAMES_MODE_ORDERED };
  child *children[3];
  for (int i = 0; i < 3; i++)
    children[i] = child_start(take_in_order, &modes[i]);
  cuframes_publisher_options options = publisher_options();
  options.ordered_timeout_ns = patience();
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  for (int i = 0; i < 3; i++)
    (void)hear(children[i]->fd);
  pictures_publish(publisher, 1, MANY);
  for (int i = 0; i < 3; i++)
    child_finish(children[i]);
  assert_int_equal(publisher_stats(publisher).evictions, 0);
  cuframes_publisher_destroy(publisher);
}

static void open_frames_are_published_in_any_order_or_not_at_all(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  options.max_open = 3;
  cuframes_publisher *publisher = NULL, *other = publisher_new("other");
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_frame *open[3], *more = NULL;
  for (int round = 0; round < 50; round++) {
    for (int i = 0; i < 3; i++) {
      CHECK_OK(cuframes_publisher_acquire(publisher, &open[i]));
      picture_draw(open[i], (uint64_t)i);
    }
    CHECK_RESULT(cuframes_publisher_acquire(publisher, &more), CUFRAMES_ERR_LEASE_LIMIT);
    detail_names("3");
    assert_null(more);
    CHECK_OK(cuframes_publisher_publish(publisher, open[2], NULL));
    CHECK_RESULT(cuframes_publisher_publish(publisher, open[2], NULL), CUFRAMES_ERR_INVALID);
    CHECK_RESULT(cuframes_publisher_cancel(publisher, open[2]), CUFRAMES_ERR_INVALID);
    CHECK_OK(cuframes_publisher_cancel(publisher, open[1]));
    CHECK_RESULT(cuframes_publisher_publish(publisher, open[1], NULL), CUFRAMES_ERR_INVALID);
    CHECK_RESULT(cuframes_publisher_publish(other, open[0], NULL), CUFRAMES_ERR_INVALID);
    CHECK_OK(cuframes_publisher_publish(publisher, open[0], NULL));
    for (uint64_t i = 0; i < 2; i++) {
      cuframes_frame *frame = frame_take(subscriber);
      assert_int_equal(cuframes_frame_seq(frame), 2 * (uint64_t)round + i + 1);
      assert_true(picture_is(frame, i == 0 ? 2 : 0));
      CHECK_RESULT(cuframes_publisher_publish(publisher, frame, NULL), CUFRAMES_ERR_INVALID);
      CHECK_RESULT(cuframes_publisher_cancel(publisher, frame), CUFRAMES_ERR_INVALID);
      cuframes_frame_release(frame);
    }
  }
  CHECK_OK(cuframes_publisher_cancel(publisher, NULL));
  cuframes_publish_info strange = { .struct_size = 3 };
  CHECK_OK(cuframes_publisher_acquire(publisher, &more));
  CHECK_RESULT(cuframes_publisher_publish(publisher, more, &strange), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish(publisher, more, NULL), CUFRAMES_ERR_INVALID); /* consumed all the same */
  CHECK_OK(cuframes_publisher_acquire(publisher, &more)); /* and left open over the end */
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  cuframes_publisher_destroy(other);
}

static void a_restarted_source_marks_one_frame_for_everybody(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_subscriber *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(newest), 1);
  CHECK_OK(cuframes_publisher_discontinuity(publisher));
  pictures_publish(publisher, 2, 2);
  for (uint64_t number = 1; number <= 3; number++) {
    cuframes_frame *frame = frame_take(ordered);
    assert_int_equal(cuframes_frame_flags(frame), number == 2 ? CUFRAMES_FRAME_DISCONTINUITY : 0);
    cuframes_frame_release(frame);
  }
  cuframes_frame *frame = frame_take(newest); /* it missed frame 2 */
  assert_int_equal(cuframes_frame_seq(frame), 3);
  assert_int_equal(cuframes_frame_flags(frame), CUFRAMES_FRAME_DISCONTINUITY);
  cuframes_frame_release(frame);
  pictures_publish(publisher, 4, 1);
  frame = frame_take(newest);
  assert_int_equal(cuframes_frame_flags(frame), 0);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(ordered);
  cuframes_subscriber_destroy(newest);
  cuframes_publisher_destroy(publisher);
}

static void write_into_a_frame(int test, void *unused) {
  (void)unused;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  options.connect_timeout_ns = patience();
  cuframes_subscriber *subscriber = NULL;
  subscriber = subscriber_join("s", &options);
  cuframes_frame *frame = frame_take(subscriber);
  uint8_t row[64] = { 1 };
  CHECK_RESULT(cuframes_frame_copy_from_host(frame, 0, row, 0), CUFRAMES_ERR_INVALID);
  (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would print and exit */
  say(test, 0);
  memset(cuframes_frame_plane(frame, 0), 0, 1);
}

static void a_subscriber_that_writes_dies_of_it(void **state) {
  (void)state;
  child *writer = child_start(write_into_a_frame, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 1);
  (void)hear(writer->fd);
  int status = child_status(writer);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGSEGV);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  assert_int_equal(frame_look(subscriber), 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void *publish_some(void *publisher) {
  for (int i = 0; i < 500; i++)
    CHECK_OK(picture_publish(publisher, (uint64_t)i));
  return NULL;
}

static void threads_may_take_turns_in_publishing(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  options.max_open = 3;
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, publish_some, publisher), 0);
  for (uint64_t seq = 1; seq <= 1500; seq++) {
    cuframes_frame *frame = frame_take(subscriber);
    assert_int_equal(cuframes_frame_seq(frame), seq);
    (void)picture_number(frame);
    cuframes_frame_release(frame);
  }
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void options_of_other_versions_are_understood_or_refused(void **state) {
  (void)state;
  struct {
    cuframes_subscriber_options known;
    uint64_t future;
  } newer = { .known = subscriber_options(CUFRAMES_MODE_NEWEST) };
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = NULL;
  newer.known.struct_size = sizeof newer; /* a newer caller that asks for nothing new */
  subscriber = subscriber_join("s", &newer.known);
  cuframes_subscriber_destroy(subscriber);
  newer.future = 1;
  CHECK_RESULT(cuframes_subscriber_create("s", &newer.known, &subscriber), CUFRAMES_ERR_INVALID);
  detail_names("cuframes_subscriber_options");
  newer.known.struct_size = 0;
  CHECK_RESULT(cuframes_subscriber_create("s", &newer.known, &subscriber), CUFRAMES_ERR_INVALID);
  detail_names("struct_size");
  newer.known.struct_size = 8; /* an older caller: everything behind is as if it were zero */
  newer.known.leases = 1000;
  subscriber = subscriber_join("s", &newer.known);
  struct {
    cuframes_subscriber_stats known;
    uint64_t future;
  } stats = { .known.struct_size = sizeof stats, .future = 5 };
  CHECK_OK(cuframes_subscriber_get_stats(subscriber, &stats.known));
  assert_int_equal(stats.known.struct_size, sizeof stats);
  assert_int_equal(stats.future, 0);
  stats.known = (cuframes_subscriber_stats){ .struct_size = 8, .frames = 77 };
  CHECK_OK(cuframes_subscriber_get_stats(subscriber, &stats.known));
  assert_int_equal(stats.known.frames, 77);
  stats.known.struct_size = 0;
  CHECK_RESULT(cuframes_subscriber_get_stats(subscriber, &stats.known), CUFRAMES_ERR_INVALID);
  cuframes_subscriber_destroy(subscriber);
  CHECK_OK(cuframes_subscriber_create("s", NULL, &subscriber)); /* all defaults */
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_publisher_says_which_device_it_took_and_why(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  static const char *const asked[] = { NULL, "auto", "host" };
  for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
    cuframes_publisher *publisher = NULL;
    const char *reason = NULL;
    options.device = asked[i];
    CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
    assert_string_equal(cuframes_publisher_device(publisher, &reason), "host");
    assert_true(reason && reason[0]);
    assert_string_equal(cuframes_publisher_device(publisher, NULL), "host");
    cuframes_publisher_destroy(publisher);
  }
}

static void nothing_given_is_an_error_and_not_a_crash(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_publisher_options options = publisher_options();
  CHECK_RESULT(cuframes_publisher_create("t", &options, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_create("t", NULL, &publisher), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_create("s", NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_acquire(publisher, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_acquire(NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish(publisher, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_format(publisher, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_next(NULL, 0, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_get_stats(publisher, NULL), CUFRAMES_ERR_INVALID);
  const char *reason = "one";
  assert_null(cuframes_publisher_device(NULL, &reason));
  assert_null(reason);
  CHECK_RESULT(cuframes_publisher_get_stats(NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_stream_query(NULL, "s", 0, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_stream_list(NULL, 0, NULL), CUFRAMES_ERR_INVALID);
  cuframes_frame_release(NULL);
  assert_null(cuframes_frame_plane(NULL, 0));
  cuframes_subscriber_destroy(NULL);
  cuframes_publisher_destroy(NULL);
  cuframes_subscriber_interrupt(NULL);
  cuframes_stream_info_free(NULL);
  cuframes_streams_free(NULL);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_frame_arrives_with_all_that_was_said_of_it),
    FIXTURE(newest_skips_what_it_missed_and_counts_it),
    FIXTURE(a_late_joiner_begins_with_the_newest_frame),
    FIXTURE(other_processes_get_every_frame_whole),
    FIXTURE(open_frames_are_published_in_any_order_or_not_at_all),
    FIXTURE(a_restarted_source_marks_one_frame_for_everybody),
    FIXTURE(a_subscriber_that_writes_dies_of_it),
    FIXTURE(threads_may_take_turns_in_publishing),
    FIXTURE(options_of_other_versions_are_understood_or_refused),
    FIXTURE(a_publisher_says_which_device_it_took_and_why),
    FIXTURE(nothing_given_is_an_error_and_not_a_crash),
  };
  return FIXTURE_RUN("frames", tests);
}
