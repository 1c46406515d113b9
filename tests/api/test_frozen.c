/* test_frozen.c - processes that do not run for a while: stopped, in a debugger, in a paused container. A time limit
 * that passed meanwhile was nobody's fault.
 */
#include <unistd.h>

#include "os/futex.h"
#include "support/child.h"
#include "support/fake.h"
#include "support/raw.h"
#include "support/stream.h"

#define FROZEN_MS 2600 /* longer than any limit here */
#define LIMIT_MS 2000
#define PROMPT_MS 1000 /* a machine that is slower does not tell */

/* Lets the time of every limit go by. */
static void freeze(child *const *who, int count) {
  for (int i = 0; i < count; i++)
    child_stop(who[i]);
  pause_ms(FROZEN_MS);
}

static void run_publisher(int test, void *unused) {
  (void)unused;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.ordered_timeout_ns = LIMIT_MS * MS;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  say(test, 0);
  for (uint64_t number = 1; hear(test) != 0; number++) {
    pictures_publish(publisher, number, 1);
    say(test, publisher_stats(publisher).evictions);
  }
  cuframes_publisher_destroy(publisher);
}

static child *publisher_start(void) {
  child *publisher = child_start(run_publisher, NULL);
  (void)hear(publisher->fd);
  return publisher;
}

static void publisher_end(child *publisher) {
  say(publisher->fd, 0);
  child_finish(publisher);
}

static void run_ordered(int test, void *unused) {
  (void)unused;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  options.depth = 1;
  (void)hear(test);
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  say(test, 0);
  (void)hear(test);
  for (uint64_t number = 1; number <= 2; number++) {
    cuframes_frame *frame = NULL;
    int result = cuframes_subscriber_next(subscriber, patience(), &frame);
    say(test, result == CUFRAMES_OK ? picture_number(frame) : 0);
    cuframes_frame_release(frame);
  }
  (void)hear(test);
  cuframes_subscriber_destroy(subscriber);
}

static void nobody_is_evicted_for_time_in_which_nobody_ran(void **state) {
  (void)state;
  child *subscriber = child_start(run_ordered, NULL), *publisher = publisher_start();
  say(subscriber->fd, 0);
  (void)hear(subscriber->fd);
  say(publisher->fd, 1);
  assert_int_equal(hear(publisher->fd), 0);
  say(publisher->fd, 2); /* there is no room for it, until the first is taken */
  child_wait_asleep(publisher);
  say(subscriber->fd, 0);
  freeze((child *[]){ subscriber, publisher }, 2);
  int64_t thawed = cuframes_now();
  child_continue(publisher);
  pause_ms(100); /* it looks at the clock first */
  child_continue(subscriber);
  uint64_t first = hear(subscriber->fd), evictions = hear(publisher->fd);
  int64_t took = cuframes_now() - thawed;
  SOON(took, PROMPT_MS);
  if (took < PROMPT_MS * MS) {
    assert_int_equal(first, 1);
    assert_int_equal(evictions, 0);
    assert_int_equal(hear(subscriber->fd), 2);
  } else {
    (void)hear(subscriber->fd);
  }
  say(subscriber->fd, 0);
  child_finish(subscriber);
  publisher_end(publisher);
}

/* One who was in the middle of joining when all were stopped. */
static void a_handshake_goes_on(void **state) {
  (void)state;
  child *publisher = publisher_start();
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length;
  cf_fds fds;
  int fd = raw_connect("s");
  say(publisher->fd, 1);
  (void)hear(publisher->fd); /* the connection was there before */
  pause_ms(50);
  freeze((child *[]){ publisher }, 1);
  int64_t thawed = cuframes_now();
  child_continue(publisher);
  pause_ms(100);
  bool sent = cf_send(fd, message, cf_message_encode(CF_MSG_HELLO, &hello, message, sizeof message), NULL, 0) == 0;
  uint32_t answer = sent ? raw_receive(fd, message, &length, &fds) : 0;
  int64_t took = cuframes_now() - thawed;
  SOON(took, PROMPT_MS);
  if (took < PROMPT_MS * MS)
    assert_int_equal(answer, CF_MSG_WELCOME);
  if (answer != 0)
    cf_fds_close(&fds);
  close(fd);
  publisher_end(publisher);
}

/* The answer that a subscriber waits for. */
static cf_flag asked; /* by that descriptor + 1 */

static bool hold_back(fake *f, int fd, uint32_t type) {
  (void)f;
  if (type != CF_MSG_GET_SEGMENT)
    return false;
  cf_flag_set(&asked, (uint32_t)fd + 1);
  return true;
}

static void run_asker(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(subscriber, patience(), &frame);
  say(test, (uint64_t)-result);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
}

static void an_answer_is_waited_for_anew(void **state) {
  (void)state;
  child *subscriber = child_start(run_asker, NULL);
  fake *f = fake_new();
  f->instead = hold_back;
  fake_start(f);
  cf_flag_set(&asked, 0);
  say(subscriber->fd, 0);
  WAIT_FOR(cf_flag_get(&asked) != 0);
  freeze((child *[]){ subscriber }, 1);
  int64_t thawed = cuframes_now();
  child_continue(subscriber);
  pause_ms(100); /* it looks at the clock first */
  fake_answer((int)cf_flag_get(&asked) - 1, CF_MSG_SEGMENT, &f->raw->segment, &f->raw->segment_fd, 1);
  uint64_t error = hear(subscriber->fd);
  int64_t took = cuframes_now() - thawed;
  SOON(took, PROMPT_MS);
  if (took < PROMPT_MS * MS)
    assert_int_equal(error, 0);
  child_finish(subscriber);
  fake_end(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(nobody_is_evicted_for_time_in_which_nobody_ran),
    FIXTURE(a_handshake_goes_on),
    FIXTURE(an_answer_is_waited_for_anew),
  };
  return FIXTURE_RUN("frozen", tests);
}
