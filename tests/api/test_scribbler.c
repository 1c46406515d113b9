/* test_scribbler.c - a subscriber's process that writes what it likes over its seat while the publisher runs: chosen
 * values and any. The publisher keeps its pace, two honest subscribers get whole frames and every frame, and whoever
 * holds up the stream is put out, whatever its page says afterwards.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/scribble.h"
#include "support/stream.h"

#define TIMEOUT_MS 40 /* of the publisher's patience with ordered subscribers */
#define LEASES SCRIBBLE_LEASES

/* ---- the offender ---- */

static bool told(int test) {
  uint64_t number;
  return read(test, &number, sizeof number) == sizeof number; /* it does not block */
}

static void scribble(int test, void *argument) {
  const scribble_style *style = argument;
  cf_msg_hello hello = raw_hello(style->mode);
  raw_seat raw;
  hello.leases = LEASES;
  (void)hear(test);
  raw_join(&raw, "s", &hello);
  say(test, 0);
  CHECK(fcntl(test, F_SETFL, O_NONBLOCK) == 0);
  while (!told(test))
    for (int i = 0; i < 10000; i++)
      style->write(&raw);
  raw_leave(&raw); /* with whatever stands in its leases */
}

/* ---- the others ---- */

typedef struct world {
  cuframes_publisher *publisher;
  cuframes_subscriber *newest, *ordered;
  cuframes_frame *held;
  uint64_t number, held_number;
  int64_t worst, worst_cpu; /* of one publish: how long it took, and worked */
} world;

static int64_t thread_cpu(void) {
  struct timespec used;
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
  return used.tv_sec * SECOND + used.tv_nsec;
}

/* One picture: all who should get it do, and it is whole; so is the one that was held meanwhile. */
static void world_step(world *s) {
  int64_t start = cuframes_now(), cpu_start = thread_cpu();
  CHECK_OK(picture_publish(s->publisher, ++s->number));
  int64_t took = cuframes_now() - start, worked = thread_cpu() - cpu_start;
  s->worst = took > s->worst ? took : s->worst;
  s->worst_cpu = worked > s->worst_cpu ? worked : s->worst_cpu;
  assert_int_equal(frame_look(s->ordered), s->number);
  if (s->number % 3)
    return;
  cuframes_frame *frame = frame_take(s->newest);
  assert_int_equal(picture_number(frame), s->number);
  if (s->held) {
    assert_true(picture_is(s->held, s->held_number));
    cuframes_frame_release(s->held);
  }
  s->held = frame;
  s->held_number = s->number;
}

static const cuframes_subscriber_info *offender(const cuframes_stream_info *info) {
  for (size_t i = 0; i < info->subscriber_count; i++)
    if (info->subscribers[i]->leases == LEASES)
      return info->subscribers[i];
  return NULL;
}

static void check_offender(const world *s, const scribble_style *style) {
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  const cuframes_subscriber_info *seen = offender(info);
  assert_non_null(seen);
  CHECK_BETWEEN(seen->leases_held, 0, LEASES);
  if (style->put_out) {
    assert_true(seen->evicted);
    assert_int_equal(publisher_stats(s->publisher).evictions, 1); /* once: the rest is not waited for */
  }
  cuframes_stream_info_free(info);
}

static void run_style(const scribble_style *style, int64_t *worst) {
  child *process = child_start(scribble, (void *)style);
  cuframes_publisher_options options = publisher_options();
  world s = { .number = 0 };
  options.ordered_timeout_ns = TIMEOUT_MS * MS;
  CHECK_OK(cuframes_publisher_create("s", &options, &s.publisher));
  s.newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  s.ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  world_step(&s);
  s.worst = s.worst_cpu = 0;
  say(process->fd, 0);
  (void)hear(process->fd);
  for (int64_t end = cuframes_now() + 250 * MS; cuframes_now() < end || s.number < 100;)
    world_step(&s);
  check_offender(&s, style);
  /* How long it took depends on what else runs here: a newest offender is never waited for, nor worked against. */
  *worst = s.worst;
  SOON(s.worst, 3000);
  if (style->mode == CUFRAMES_MODE_NEWEST) {
    assert_int_equal(publisher_stats(s.publisher).waits, 0);
    SOON(s.worst_cpu, 20);
  }
  say(process->fd, 0);
  child_finish(process);
  WAIT_FOR(publisher_stats(s.publisher).subscribers == 2); /* leases that stand count until its end is sure */
  for (int i = 0; i < 20; i++)
    world_step(&s);
  cuframes_frame_release(s.held);
  cuframes_subscriber_destroy(s.newest);
  cuframes_subscriber_destroy(s.ordered);
  cuframes_publisher_destroy(s.publisher);
}

static void whatever_it_writes_it_harms_itself_only(void **state) {
  (void)state;
  int64_t worst[2] = { 0, 0 }, took = 0;
  for (size_t i = 0; i < SCRIBBLE_STYLES; i++) {
    run_style(&scribble_styles[i], &took);
    int64_t *of_mode = &worst[scribble_styles[i].mode == CUFRAMES_MODE_ORDERED];
    *of_mode = took > *of_mode ? took : *of_mode;
  }
  print_message("the longest publish: %.3f ms beside a newest offender, %.3f ms beside an ordered one (allowed: %d)\n",
                (double)worst[0] / 1e6, (double)worst[1] / 1e6, TIMEOUT_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(whatever_it_writes_it_harms_itself_only),
  };
  return FIXTURE_RUN("scribbler", tests);
}
