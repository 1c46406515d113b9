/* test_waker.c - what the thread that wakes many is left to do: nothing as long as it has been late lately. No thread
 * runs here, and no clock: the test comes in its place, at the times that it says.
 */
#include "publisher/publisher.h"
#include "support/fixture.h"

#define LATE (2 * MS)
#define IN_TIME (MS / 10)
#define FRAME (40 * MS)

typedef struct stage {
  cuframes_publisher *publisher;
  int64_t now;
} stage;

static stage stage_new(void) {
  static cuframes_publisher publisher;
  publisher = (cuframes_publisher){ 0 };
  cf_flag_set(&publisher.waker.rung, UINT32_MAX - 5); /* they run over in the first frames */
  cf_flag_set(&publisher.waker_thread.untried, UINT32_MAX - 5);
  cf_flag_set(&publisher.waker.running, 1);
  return (stage){ .publisher = &publisher, .now = SECOND };
}

static uint32_t rung(const stage *s) {
  return cf_flag_get(&s->publisher->waker.rung);
}

/* A frame; who is rung comes after `delay`. Whether the waker wakes. */
static bool frame(stage *s, int64_t delay) {
  s->now += FRAME;
  uint32_t before = rung(s);
  bool takes = cf_waker_takes(s->publisher, s->now);
  if (rung(s) != before)
    cf_waker_answer(s->publisher, s->now + delay);
  assert_int_equal(cf_flag_swap(&s->publisher->waker.due, 0), takes);
  return takes;
}

/* Frames until it is left something again. */
static unsigned frames_until_trusted(stage *s, int64_t delay) {
  unsigned frames = 1;
  while (!frame(s, delay))
    CHECK(frames++ < 100000);
  return frames;
}

static void in_time_it_wakes_for_every_frame(void **state) {
  (void)state;
  stage s = stage_new();
  uint32_t before = rung(&s);
  for (uint32_t i = 0; i < 1000; i++) {
    assert_true(frame(&s, IN_TIME));
    assert_int_equal(rung(&s), before + i + 1);
  }
}

static void late_once_it_is_tried_for_a_while(void **state) {
  (void)state;
  stage s = stage_new();
  assert_true(frame(&s, LATE)); /* too late to know */
  uint32_t before = rung(&s);
  unsigned frames = frames_until_trusted(&s, IN_TIME);
  assert_in_range(frames, 4 * 63, 4 * 64 + 4);
  assert_int_equal((uint32_t)(rung(&s) - before), 64 + 1); /* it was rung 64 times for nothing, and now for something */
}

static void late_often_it_is_left_nothing(void **state) {
  (void)state;
  stage s = stage_new();
  (void)frame(&s, LATE);
  for (int i = 0; i < 10000; i++)
    assert_false(frame(&s, rung(&s) % 50 == 0 ? LATE : IN_TIME));       /* one time in fifty */
  assert_in_range(frames_until_trusted(&s, IN_TIME), 4, 4 * (256 + 1)); /* and is trusted soon when that is over */
  for (int i = 0; i < 100; i++)
    assert_true(frame(&s, IN_TIME));
}

static void it_is_not_waited_for(void **state) {
  (void)state;
  stage s = stage_new();
  cf_waker *waker = &s.publisher->waker;
  assert_true(cf_waker_takes(s.publisher, s.now));
  assert_true(cf_waker_takes(s.publisher, s.now + IN_TIME)); /* it may be on its way */
  assert_int_equal(cf_flag_get(&waker->due), 1);
  assert_false(cf_waker_takes(s.publisher, s.now + LATE));
  assert_int_equal(cf_flag_get(&waker->due), 0); /* the caller wakes for all of them */
  uint32_t before = rung(&s);
  for (int i = 0; i < 100; i++)
    assert_false(cf_waker_takes(s.publisher, s.now + LATE + i * FRAME));
  assert_int_equal(rung(&s), before); /* who has not come is not rung again */
  cf_waker_answer(s.publisher, s.now + 100 * FRAME);
  s.now += 100 * FRAME;
  assert_in_range(frames_until_trusted(&s, IN_TIME), 4 * 127, 4 * 128 + 4);
}

static void frames_and_packets_are_told_apart(void **state) {
  (void)state;
  stage s = stage_new();
  cf_waker *waker = &s.publisher->waker;
  assert_true(cf_waker_takes_packet(s.publisher, s.now));
  assert_int_equal(cf_flag_get(&waker->due), 0);
  assert_int_equal(cf_flag_get(&waker->due_packets), 1);
  assert_false(cf_waker_takes(s.publisher, s.now + LATE));
  assert_int_equal(cf_flag_get(&waker->due_packets), 1); /* a frame's publisher does not wake for packets */
  assert_false(cf_waker_takes_packet(s.publisher, s.now + LATE));
  assert_int_equal(cf_flag_get(&waker->due_packets), 0);
}

static void a_waker_that_does_not_run_takes_nothing(void **state) {
  (void)state;
  stage s = stage_new();
  uint32_t before = rung(&s);
  cf_flag_set(&s.publisher->waker.running, 0);
  assert_false(frame(&s, IN_TIME));
  assert_int_equal(rung(&s), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(in_time_it_wakes_for_every_frame),  FIXTURE(late_once_it_is_tried_for_a_while),
    FIXTURE(late_often_it_is_left_nothing),     FIXTURE(it_is_not_waited_for),
    FIXTURE(frames_and_packets_are_told_apart), FIXTURE(a_waker_that_does_not_run_takes_nothing),
  };
  return FIXTURE_RUN("waker", tests);
}
