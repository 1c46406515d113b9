/* test_slow_answers.c - a publisher that answers late, or never: two threads ask and neither loses the other's answer,
 * the descriptor tells of what comes, interruptions end the wait, and others do not notice.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "link/channel.h"
#include "os/futex.h"
#include "support/fake.h"
#include "support/packets.h"
#include "support/stream.h"
#include "wire/handshake.h"

#define AT_ONCE_MS 200

/* ---- a subscriber that has lost its publisher, and a slow one that takes the name ---- */

static struct slow {
  cf_flag holds; /* GET_SEGMENT is not answered */
  cf_flag held;  /* one was asked for */
  cf_flag asked; /* requests */
  int fd;        /* who asked */
} slow;

static bool answer_slowly(fake *f, int fd, uint32_t type) {
  if (type == CF_MSG_HELLO)
    return false;
  (void)cf_flag_add(&slow.asked, 1);
  pause_ms(1);
  if (type == CF_MSG_GET_CODEC) { /* never; but then what was asked for before */
    fake_answer(slow.fd, CF_MSG_SEGMENT, &f->raw->segment, &f->raw->segment_fd, 1);
    return true;
  }
  if (type != CF_MSG_GET_SEGMENT || !cf_flag_get(&slow.holds))
    return false;
  slow.fd = fd;
  cf_flag_set(&slow.held, 1);
  return true;
}

static cuframes_subscriber *rejoin_slow(fake **f, bool holds) {
  cuframes_publisher *first = packet_publisher("s", 0, 0);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_frame *none = NULL;
  options.reconnect = 1;
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  cuframes_publisher_destroy(first);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_TIMEOUT);
  slow = (struct slow){ .fd = -1 };
  cf_flag_set(&slow.holds, holds);
  *f = fake_new();
  (*f)->instead = answer_slowly;
  fake_start(*f);
  return subscriber;
}

static bool takes_frame(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(subscriber, 0, &frame);
  CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_TIMEOUT);
  cuframes_frame_release(frame);
  return result == CUFRAMES_OK;
}

static bool takes_packet(cuframes_subscriber *subscriber) {
  cuframes_packet *packet = NULL;
  int result = cuframes_subscriber_next_packet(subscriber, 0, &packet);
  CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_TIMEOUT);
  cuframes_packet_release(packet);
  return result == CUFRAMES_OK;
}

static void two_who_ask_keep_their_answers(void **state) {
  (void)state;
  fake *f;
  cuframes_subscriber *subscriber = rejoin_slow(&f, false);
  bool frame = false, packet = false;
  int64_t end = cuframes_now() + patience();
  while (!(frame && packet)) {
    CHECK(cuframes_now() < end);
    frame = takes_frame(subscriber) || frame;
    pause_ms(4);
    packet = takes_packet(subscriber) || packet;
    pause_ms(4);
  }
  assert_true(cf_flag_get(&slow.asked) <= 4); /* each question once: it was thrown away and asked anew for ever */
  cuframes_subscriber_destroy(subscriber);
  fake_end(f);
}

static void *ask_codec(void *subscriber) {
  CHECK_RESULT(cuframes_subscriber_get_codec_params(subscriber, 7, NULL, NULL, NULL), CUFRAMES_ERR_PUBLISHER_GONE);
  return NULL;
}

/* Another thread's question is in line behind the one that the descriptor waits for. */
static void the_descriptor_tells_of_an_answer(void **state) {
  (void)state;
  fake *f;
  int fd;
  pthread_t other;
  cuframes_subscriber *subscriber = rejoin_slow(&f, true);
  CHECK_OK(cuframes_subscriber_fd(subscriber, &fd));
  WAIT_FOR(!takes_frame(subscriber) && cf_flag_get(&slow.held));
  assert_false(takes_frame(subscriber));
  CHECK(pthread_create(&other, NULL, ask_codec, subscriber) == 0);
  int64_t end = cuframes_now() + patience();
  for (bool taken = false; !taken;) {
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    CHECK(cuframes_now() < end && poll(&ready, 1, (int)(patience() / MS)) == 1);
    taken = takes_frame(subscriber);
  }
  fake_end(f); /* and with it whoever still asks */
  CHECK(pthread_join(other, NULL) == 0);
  cuframes_subscriber_destroy(subscriber);
}

/* After 2 s nobody waits any more, and who only polls is to hear that. */
static void the_descriptor_tells_that_none_comes(void **state) {
  (void)state;
  fake *f;
  int fd;
  const int64_t before = cuframes_now(); /* it asked */
  cuframes_subscriber *subscriber = rejoin_slow(&f, true);
  CHECK_OK(cuframes_subscriber_fd(subscriber, &fd));
  WAIT_FOR(!takes_frame(subscriber) && cf_flag_get(&slow.held));
  assert_false(takes_frame(subscriber));
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  int64_t start = cuframes_now(), used = cpu_time();
  CHECK(poll(&ready, 1, (int)(patience() / MS)) == 1);
  CHECK(cuframes_now() - before >= CF_HANDSHAKE_NS); /* not before its time; where we began to poll says nothing */
  SOON(cuframes_now() - start, 3000);
  SOON(cpu_time() - used, 100);
  cuframes_subscriber_destroy(subscriber);
  fake_end(f);
}

static void *interrupt_soon(void *subscriber) {
  WAIT_FOR(cf_flag_get(&slow.held));
  cuframes_subscriber_interrupt(subscriber);
  return NULL;
}

static void on_frame(void *user, cuframes_frame *frame, int error) {
  (void)user, (void)error;
  cuframes_frame_release(frame);
}

static void an_interruption_ends_the_wait(void **state) {
  (void)state;
  fake *f;
  cuframes_frame *none = NULL;
  pthread_t thread;
  cuframes_subscriber *subscriber = rejoin_slow(&f, true);
  int64_t start = cuframes_now();
  CHECK(pthread_create(&thread, NULL, interrupt_soon, subscriber) == 0);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_INTERRUPTED);
  SOON(cuframes_now() - start, 1000);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, NULL));
  pause_ms(20); /* it may wait for the answer, too */
  start = cuframes_now();
  cuframes_subscriber_destroy(subscriber);
  SOON(cuframes_now() - start, 1000);
  fake_end(f);
}

/* ---- one whose queue is full ---- */

#define MANY 60

static void a_full_queue_holds_up_nobody(void **state) {
  (void)state;
  cuframes_publisher *first = publisher_new("s"), *other = publisher_new("t");
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *waiting[MANY], *well = subscriber_new("t", CUFRAMES_MODE_NEWEST);
  int listener, filler[200], count = 0;
  options.reconnect = 1;
  options.leases = 1;
  for (int i = 0; i < MANY; i++)
    waiting[i] = subscriber_join("s", &options);
  cuframes_publisher_destroy(first);
  CHECK_OK(cf_listen(-1, fixture_path("s.sock"), 0600, -1, &listener));
  while (count < 200 &&
         cf_connect(-1, fixture_path("s.sock"), "s", cuframes_now() + 2 * MS, NULL, &filler[count]) == CUFRAMES_OK)
    count++;
  for (int i = 0; i < MANY; i++)
    assert_false(takes_frame(waiting[i]));
  int64_t start = cuframes_now();
  while (cuframes_now() < start + 500 * MS) {
    int64_t asked = cuframes_now();
    (void)takes_frame(waiting[0]);
    SOON(cuframes_now() - asked, AT_ONCE_MS);
    pause_ms(5);
  }
  start = cuframes_now();
  cuframes_subscriber_destroy(well);
  SOON(cuframes_now() - start, AT_ONCE_MS);
  start = cuframes_now();
  for (int i = 0; i < MANY; i++)
    cuframes_subscriber_destroy(waiting[i]);
  SOON(cuframes_now() - start, 1000);
  while (count > 0)
    close(filler[--count]);
  close(listener);
  CHECK(unlink(fixture_path("s.sock")) == 0);
  cuframes_publisher_destroy(other);
}

/* ---- fewer descriptors than there were ---- */

static void a_lowered_limit_blinds_nobody(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscribers[MANY];
  cuframes_frame *none = NULL;
  struct rlimit old, low;
  for (int i = 0; i < MANY; i++)
    subscribers[i] = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
  low = old;
  low.rlim_cur = 20;
  CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
  cuframes_subscriber_interrupt(subscribers[0]); /* the watcher looks up */
  int64_t used = cpu_time();
  pause_ms(300);
  SOON(cpu_time() - used, 100);
  cuframes_publisher_destroy(publisher);
  CHECK_RESULT(cuframes_subscriber_next(subscribers[1], patience(), &none), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
  for (int i = 0; i < MANY; i++)
    cuframes_subscriber_destroy(subscribers[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(two_who_ask_keep_their_answers),       FIXTURE(the_descriptor_tells_of_an_answer),
    FIXTURE(the_descriptor_tells_that_none_comes), FIXTURE(an_interruption_ends_the_wait),
    FIXTURE(a_full_queue_holds_up_nobody),         FIXTURE(a_lowered_limit_blinds_nobody),
  };
  return FIXTURE_RUN("slow_answers", tests);
}
