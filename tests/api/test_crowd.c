/* test_crowd.c - many at once: sixty-four subscribers that join and leave in the same moment, and strangers that
 * flood the socket with connections while good clients want to join.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/memory.h"
#include "support/child.h"
#include "support/raw.h"
#include "support/rights.h"
#include "support/stream.h"

/* ---- sixty-four at once ---- */

enum { CROWD = 64, ROUNDS = 12 };

typedef struct crowd {
  pthread_barrier_t there, barrier; /* the publisher is there; the crowd is together */
  pthread_mutex_t lock;
  bool over;
} crowd;

static void *join_and_leave(void *argument) {
  crowd *c = argument;
  for (int round = 0; round < ROUNDS; round++) {
    cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
    cuframes_subscriber *subscriber = NULL;
    options.connect_timeout_ns = patience();
    options.leases = 1 + (uint32_t)round % 2;
    (void)pthread_barrier_wait(&c->barrier);
    subscriber = subscriber_join("s", &options);
    CHECK(frame_look(subscriber) > 0);
    cuframes_frame *frame = frame_take(subscriber);
    (void)pthread_barrier_wait(&c->barrier);
    cuframes_subscriber_destroy(subscriber);
    CHECK(picture_number(frame) > 0); /* outlives it, and is whole */
    cuframes_frame_release(frame);
  }
  return NULL;
}

static void *publish_meanwhile(void *argument) {
  crowd *c = argument;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  uint64_t number = 0;
  bool over = false;
  options.max_slots = 512;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  uint64_t memory = publisher_stats(publisher).memory_bytes;
  pictures_publish(publisher, ++number, 1);
  (void)pthread_barrier_wait(&c->there);
  while (!over) {
    pictures_publish(publisher, ++number, 1);
    pthread_mutex_lock(&c->lock);
    over = c->over;
    pthread_mutex_unlock(&c->lock);
  }
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  WAIT_FOR(picture_publish(publisher, ++number) == CUFRAMES_OK && publisher_stats(publisher).memory_bytes == memory);
  assert_int_equal(publisher_stats(publisher).evictions, 0);
  cuframes_publisher_destroy(publisher);
  return NULL;
}

static void sixty_four_join_and_leave_at_once(void **state) {
  (void)state;
  static crowd c;
  pthread_t threads[CROWD], publisher;
  need_threads(2 * CROWD + 20); /* each subscriber has one of its own */
  c.over = false;
  pthread_mutex_init(&c.lock, NULL);
  assert_int_equal(pthread_barrier_init(&c.there, NULL, 2), 0);
  assert_int_equal(pthread_barrier_init(&c.barrier, NULL, CROWD), 0);
  assert_int_equal(pthread_create(&publisher, NULL, publish_meanwhile, &c), 0);
  (void)pthread_barrier_wait(&c.there);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, join_and_leave, &c), 0);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  pthread_mutex_lock(&c.lock);
  c.over = true;
  pthread_mutex_unlock(&c.lock);
  assert_int_equal(pthread_join(publisher, NULL), 0);
  pthread_barrier_destroy(&c.there);
  pthread_barrier_destroy(&c.barrier);
  pthread_mutex_destroy(&c.lock);
}

/* ---- floods ---- */

enum { FLOODERS = 4, SILENT = 250 };

static int connect_now(void) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CHECK(fd >= 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", fixture_path("s.sock"));
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close(fd);
  return -1; /* the queue is full for the moment */
}

/* Says something that is no HELLO, or nothing; with a descriptor that nobody wants. */
static void annoy(int fd, int how) {
  int zero = 0;
  if (how % 4 == 1)
    (void)cf_send(fd, "CUFR", 4, NULL, 0);
  else if (how % 4 == 2)
    (void)cf_send(fd, "CUFR\1\0\0\0\20\0\0\0\0\0\0\0", 16, &zero, 1);
}

/* Keeps 250 connections open that say nothing of use: where one is put out, another comes. */
static void flood(int test, void *unused) {
  static int fds[SILENT];
  (void)unused;
  (void)hear(test);
  for (int i = 0; i < SILENT; i++)
    fds[i] = -1;
  for (uint64_t made = 0;; made++) {
    uint64_t number;
    int i = (int)(made % SILENT);
    cf_close(fds[i]);
    fds[i] = connect_now();
    if (fds[i] >= 0)
      annoy(fds[i], i);
    if (made == SILENT)
      say(test, 0);
    if (recv(test, &number, sizeof number, MSG_DONTWAIT) == sizeof number)
      break;
  }
  for (int i = 0; i < SILENT; i++)
    cf_close(fds[i]);
}

static void a_good_client_joins_through_a_flood(void **state) {
  (void)state;
  child *flooders[FLOODERS];
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  int64_t worst = 0;
  for (int i = 0; i < FLOODERS; i++)
    flooders[i] = child_start(flood, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  pictures_publish(publisher, 7, 1);
  for (int i = 0; i < FLOODERS; i++)
    say(flooders[i]->fd, 0);
  for (int i = 0; i < FLOODERS; i++)
    (void)hear(flooders[i]->fd);
  for (int i = 0; i < 20; i++) {
    int64_t start = cuframes_now();
    cuframes_subscriber *subscriber = NULL;
    int result = cuframes_subscriber_create("s", &options, &subscriber);
    soon(__FILE__, __LINE__, "a join", cuframes_now() - start, result == CUFRAMES_ERR_TIMEOUT ? 0 : 2000);
    if (result == CUFRAMES_ERR_TIMEOUT) /* of its 2 seconds: slow */
      continue;
    CHECK_OK(result);
    assert_int_equal(frame_look(subscriber), 7);
    cuframes_subscriber_destroy(subscriber);
    worst = cuframes_now() - start > worst ? cuframes_now() - start : worst;
  }
  print_message("the longest join: %.1f ms\n", (double)worst / 1e6);
  for (int i = 0; i < FLOODERS; i++) {
    say(flooders[i]->fd, 0);
    child_finish(flooders[i]);
  }
  WAIT_FOR(fixture_descriptors() <= descriptors);
  cuframes_publisher_destroy(publisher);
}

/* All of them at once and at rest: four processes hold 250 each, and nobody more comes. */
static void stand_around(int test, void *unused) {
  static int fds[SILENT];
  (void)unused;
  (void)hear(test);
  for (int i = 0; i < SILENT; i++)
    fds[i] = raw_connect("s");
  say(test, 0);
  (void)hear(test);
  for (int i = 0; i < SILENT; i++)
    close(fds[i]);
}

static void a_good_client_joins_beside_a_thousand_silent_ones(void **state) {
  (void)state;
  child *silent[FLOODERS];
  for (int i = 0; i < FLOODERS; i++)
    silent[i] = child_start(stand_around, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  pictures_publish(publisher, 7, 1);
  for (int i = 0; i < FLOODERS; i++)
    say(silent[i]->fd, 0);
  for (int i = 0; i < FLOODERS; i++)
    (void)hear(silent[i]->fd);
  assert_true(fixture_descriptors() - descriptors <= 130); /* as many as are kept */
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  assert_int_equal(frame_look(subscriber), 7);
  cuframes_subscriber_destroy(subscriber);
  for (int i = 0; i < FLOODERS; i++) {
    say(silent[i]->fd, 0);
    child_finish(silent[i]);
  }
  WAIT_FOR(fixture_descriptors() <= descriptors);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(sixty_four_join_and_leave_at_once),
    FIXTURE(a_good_client_joins_through_a_flood),
    FIXTURE(a_good_client_joins_beside_a_thousand_silent_ones),
  };
  return FIXTURE_RUN("crowd", tests);
}
