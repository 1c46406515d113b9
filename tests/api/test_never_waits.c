/* test_never_waits.c - calls with a timeout of 0 wait for no publisher, whatever it does, and one thread of a process
 * sees to all its subscribers.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "link/channel.h"
#include "support/child.h"
#include "support/stream.h"

/* What a call may take that waits for nobody; a publisher that does not answer is waited for 2 s elsewhere. */
#define AT_ONCE_MS 200

/* A publisher that does as asked: publishes, first in another size, or ends. */
enum order { END, PUBLISH, PUBLISH_LARGER };

static void publish_on_order(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_format format = small_format();
  cuframes_packet_info key = { .struct_size = sizeof key, .data = "x", .size = 1, .flags = CUFRAMES_PACKET_KEY };
  uint64_t number = 0;
  cuframes_codec_params video = { .struct_size = sizeof video, .media_type = CUFRAMES_MEDIA_VIDEO, .codec = "h264" };
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  say(test, 0);
  for (uint64_t order; (order = hear(test)) != END; say(test, number)) {
    if (order == PUBLISH_LARGER) {
      format.width *= 2;
      CHECK_OK(cuframes_publisher_set_format(publisher, &format));
    }
    pictures_publish(publisher, ++number, 1);
    CHECK_OK(cuframes_publisher_publish_packet(publisher, &key));
  }
  cuframes_publisher_destroy(publisher);
}

static uint64_t order(child *publisher, enum order what) {
  say(publisher->fd, what);
  return hear(publisher->fd);
}

/* Asks for what is there: a frame's number, or 0. */
static uint64_t look_now(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = NULL;
  uint64_t number = 0;
  int64_t start = cuframes_now();
  int result = cuframes_subscriber_next(subscriber, 0, &frame);
  SOON(cuframes_now() - start, AT_ONCE_MS);
  CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_TIMEOUT);
  if (result == CUFRAMES_OK)
    number = picture_number(frame);
  cuframes_frame_release(frame);
  return number;
}

static void packet_now(cuframes_subscriber *subscriber, int wanted) {
  cuframes_packet *packet = NULL;
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &packet), wanted);
  SOON(cuframes_now() - start, AT_ONCE_MS);
  cuframes_packet_release(packet);
}

static cuframes_subscriber *join(uint32_t mode) {
  cuframes_subscriber_options options = subscriber_options(mode);
  options.reconnect = 1;
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  return subscriber;
}

/* The publisher stands still before it has handed out the memory that the next frame lies in. */
static void for_memory_that_does_not_come(void **state) {
  (void)state;
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    child *publisher = child_start(publish_on_order, NULL);
    (void)hear(publisher->fd);
    cuframes_subscriber *subscriber = join(mode);
    (void)order(publisher, PUBLISH);
    WAIT_FOR(look_now(subscriber) == 1);
    (void)order(publisher, PUBLISH_LARGER);
    child_stop(publisher);
    for (int i = 0; i < 5; i++)
      assert_int_equal(look_now(subscriber), 0);
    int fd;
    CHECK_OK(cuframes_subscriber_fd(subscriber, &fd));
    assert_int_equal(look_now(subscriber), 0);
    child_continue(publisher);
    do { /* the descriptor tells of the frame that is in hand already */
      struct pollfd ready = { .fd = fd, .events = POLLIN };
      CHECK(poll(&ready, 1, (int)(patience() / MS)) == 1);
    } while (look_now(subscriber) != 2);
    (void)order(publisher, PUBLISH);
    WAIT_FOR(look_now(subscriber) == 3);
    say(publisher->fd, END);
    child_finish(publisher);
    cuframes_subscriber_destroy(subscriber);
  }
}

/* Somebody has the name, and does not answer. */
static void for_one_that_does_not_let_us_in(void **state) {
  (void)state;
  child *process = child_start(publish_on_order, NULL);
  int listener;
  (void)hear(process->fd);
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST);
  (void)order(process, PUBLISH);
  WAIT_FOR(look_now(subscriber) == 1);
  packet_now(subscriber, CUFRAMES_OK);
  child_kill(process);
  CHECK(unlink(fixture_path("s.sock")) == 0);
  CHECK_OK(cf_listen(-1, fixture_path("s.sock"), 0600, -1, &listener));
  struct pollfd knock = { .fd = listener, .events = POLLIN };
  WAIT_FOR(look_now(subscriber) == 0 && poll(&knock, 1, 0) == 1);
  for (int64_t end = cuframes_now() + 2500 * MS; cuframes_now() < end;
       pause_ms(50)) { /* longer than an answer may take */
    assert_int_equal(look_now(subscriber), 0);
    packet_now(subscriber, CUFRAMES_ERR_TIMEOUT);
  }
  close(listener);
  CHECK(unlink(fixture_path("s.sock")) == 0);
  cuframes_publisher *heir = publisher_new("s");
  pictures_publish(heir, 7, 1);
  assert_int_equal(frame_look(subscriber), 7);
  assert_int_equal(subscriber_stats(subscriber).reconnects, 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(heir);
}

/* ---- one thread for all ---- */

#define MANY 70

static void one_thread_sees_to_all(void **state) {
  (void)state;
  cuframes_publisher *publishers[2] = { publisher_new("s"), publisher_new("t") };
  cuframes_subscriber *subscribers[MANY];
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_frame *none = NULL;
  options.leases = 1;
  options.reconnect = 1;
  for (int i = 0; i < MANY; i++)
    subscribers[i] = subscriber_join(i % 2 ? "s" : "t", &options);
  WAIT_FOR(threads_called("cuframes-watch") == 1);
  cuframes_publisher_destroy(publishers[0]);
  for (int i = 0; i < MANY; i++) /* half of them look for it from now on */
    CHECK_RESULT(cuframes_subscriber_next(subscribers[i], 0, &none), CUFRAMES_ERR_TIMEOUT);
  publishers[0] = publisher_new("s");
  pictures_publish(publishers[0], 5, 1);
  pictures_publish(publishers[1], 6, 1);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(frame_look(subscribers[i]), i % 2 ? 5 : 6);
  WAIT_FOR(threads_called("cuframes-watch") == 1);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(subscriber_stats(subscribers[i]).reconnects, i % 2);
    cuframes_subscriber_destroy(subscribers[i]);
    WAIT_FOR(threads_called("cuframes-watch") == (i < MANY - 1)); /* a joined thread may be listed for a moment */
  }
  cuframes_publisher_destroy(publishers[0]);
  cuframes_publisher_destroy(publishers[1]);
}

static void run_forked(int test, void *unused) {
  (void)unused;
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST); /* with a thread of its own */
  say(test, frame_look(subscriber));
  cuframes_subscriber_destroy(subscriber);
}

/* A forked process has the memory of the thread and not the thread. */
static void a_forked_process_has_its_own(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip_because("the thread sanitizer starts no threads in a process that was forked");
#endif
  cuframes_publisher *publisher = publisher_new("s");
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  child *forked = child_start(run_forked, NULL);
  assert_int_equal(hear(forked->fd), 1);
  child_finish(forked);
  assert_int_equal(frame_look(subscriber), 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void destroy_inherited(int test, void *user) {
  cuframes_subscriber_destroy(user);
  say(test, 0);
}

/* What a child of fork() inherits has no threads there. */
static void an_inherited_subscriber_can_be_destroyed(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (int descriptor = 0; descriptor < 2; descriptor++) {
    cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    cuframes_frame *none = NULL;
    int fd;
    if (descriptor) {
      CHECK_OK(cuframes_subscriber_fd(subscriber, &fd));
      CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_TIMEOUT);
      pause_ms(5);
    }
    child *forked = child_start(destroy_inherited, subscriber);
    (void)hear(forked->fd);
    child_finish(forked);
    cuframes_subscriber_destroy(subscriber);
  }
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(for_memory_that_does_not_come),
    FIXTURE(for_one_that_does_not_let_us_in),
    FIXTURE(one_thread_sees_to_all),
    FIXTURE(a_forked_process_has_its_own),
    FIXTURE(an_inherited_subscriber_can_be_destroyed),
  };
  return FIXTURE_RUN("never_waits", tests);
}
