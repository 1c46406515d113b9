/* test_descriptors.c - when file descriptors run out: an error that says so, nothing left behind, and work goes on when
 * there are some again.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/stream.h"

static struct rlimit limit_before;

/* From now on this process can open so many more. */
static void allow_more(int count) {
  int lowest = dup(STDERR_FILENO);
  struct rlimit limit;
  CHECK(lowest >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
  close(lowest);
  limit_before = limit;
  limit.rlim_cur = (rlim_t)(lowest + count);
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void allow_all(void) {
  CHECK(setrlimit(RLIMIT_NOFILE, &limit_before) == 0);
}

static void a_subscriber_says_so(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 1);
  int descriptors = fixture_descriptors(), worked = 0, failed = 0;
  for (int more = 0; more < 12; more++) {
    cuframes_subscriber *subscriber = NULL;
    cuframes_frame *frame = NULL;
    /* the publisher is in this process, too: it may be the one that has none */
    allow_more(more);
    int result = cuframes_subscriber_create("s", NULL, &subscriber);
    if (result == CUFRAMES_OK)
      result = cuframes_subscriber_next(subscriber, patience(), &frame);
    allow_all();
    if (result == CUFRAMES_OK) {
      worked++;
      assert_int_equal(picture_number(frame), 1);
      cuframes_frame_release(frame);
    } else {
      failed++;
      if (result != CUFRAMES_ERR_TIMEOUT) /* nobody could accept */
        CHECK_RESULT(result, CUFRAMES_ERR_NO_MEMORY);
      assert_null(frame);
    }
    cuframes_subscriber_destroy(subscriber);
    WAIT_FOR(fixture_descriptors() == descriptors);
  }
  assert_true(worked > 0 && failed > 2);
  cuframes_publisher_destroy(publisher);
}

static void a_publisher_that_cannot_begin_leaves_nothing(void **state) {
  (void)state;
  int descriptors = fixture_descriptors(), worked = 0;
  for (int more = 0; more < 12; more++) {
    cuframes_publisher_options options = publisher_options();
    cuframes_publisher *publisher = NULL;
    allow_more(more);
    int result = cuframes_publisher_create("s", &options, &publisher);
    allow_all();
    assert_true(result == CUFRAMES_OK || result == CUFRAMES_ERR_NO_MEMORY || result == CUFRAMES_ERR_DIRECTORY);
    if (result == CUFRAMES_OK)
      worked++;
    else
      detail_names("Too many open files");
    cuframes_publisher_destroy(publisher);
    assert_int_equal(fixture_descriptors(), descriptors);
    assert_int_equal(fixture_files(), 0);
  }
  assert_true(worked > 0);
}

static void publish_with_little(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 1);
  allow_more(4); /* for one subscriber and what it asks for */
  say(test, 0);
  while (hear(test)) {
    int64_t used = cpu_time();
    pause_ms(100);
    say(test, (uint64_t)(cpu_time() - used));
  }
  allow_all();
  cuframes_publisher_destroy(publisher);
}

static void *join(void *subscriber) {
  CHECK_OK(cuframes_subscriber_create("s", NULL, subscriber));
  return NULL;
}

static void a_publisher_serves_again_when_it_can(void **state) {
  (void)state;
  child *process = child_start(publish_with_little, NULL);
  (void)hear(process->fd);
  cuframes_subscriber *first = subscriber_new("s", CUFRAMES_MODE_PACKETS), *second = NULL;
  cf_msg_hello hello = raw_hello(0);
  cf_msg_welcome welcome;
  cf_fds fds;
  pthread_t thread;
  int monitor = raw_connect("s"); /* takes the last one */
  hello.role = CF_ROLE_MONITOR;
  raw_send(monitor, CF_MSG_HELLO, &hello);
  raw_expect(monitor, CF_MSG_WELCOME, &welcome, &fds);
  assert_int_equal(pthread_create(&thread, NULL, join, &second), 0);
  say(process->fd, 1);                  /* it connects, and nobody can accept */
  SOON((int64_t)hear(process->fd), 20); /* nor does the publisher go round and round over it */
  cuframes_subscriber_destroy(first);
  close(monitor);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(frame_look(second), 1);
  cuframes_subscriber_destroy(second);
  say(process->fd, 0);
  child_finish(process);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_subscriber_says_so),
    FIXTURE(a_publisher_that_cannot_begin_leaves_nothing),
    FIXTURE(a_publisher_serves_again_when_it_can),
  };
  return FIXTURE_RUN("descriptors", tests);
}
