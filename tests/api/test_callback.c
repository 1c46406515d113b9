/* test_callback.c - frames by callback: start, stop, stop from within, full hands, the end of the stream. */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/futex.h"
#include "support/child.h"
#include "support/packets.h"
#include "support/stream.h"
#include "support/waiter.h"

/* What the callback has seen, and what it is to do. */
typedef struct callee {
  pthread_mutex_t lock;
  cuframes_subscriber *subscriber;
  bool keep, stop_within;
  uint64_t calls, last, ends;
  int error;
  cuframes_frame *kept[8];
  uint32_t kept_count;
} callee;

static void on_frame(void *user, cuframes_frame *frame, int error) {
  callee *c = user;
  pthread_mutex_lock(&c->lock);
  if (!frame) {
    c->ends++;
    c->error = error;
  } else {
    CHECK(error == CUFRAMES_OK);
    c->calls++;
    c->last = picture_number(frame);
    if (c->keep)
      c->kept[c->kept_count++] = frame;
    else
      cuframes_frame_release(frame);
  }
  bool stop = c->stop_within;
  pthread_mutex_unlock(&c->lock);
  if (stop)
    CHECK_OK(cuframes_subscriber_stop(c->subscriber));
}

static callee *callee_of(void) {
  static callee c;
  memset(&c, 0, sizeof c);
  pthread_mutex_init(&c.lock, NULL);
  return &c;
}

static callee seen(callee *c) {
  pthread_mutex_lock(&c->lock);
  callee copy = *c;
  pthread_mutex_unlock(&c->lock);
  return copy;
}

static cuframes_subscriber *join(uint32_t mode, bool reconnect) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  options.reconnect = reconnect;
  options.depth = 16;
  subscriber = subscriber_join("s", &options);
  return subscriber;
}

static void frames_come_until_stop(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
  callee *c = callee_of();
  cuframes_frame *none = NULL;
  int fd = -1;
  CHECK_RESULT(cuframes_subscriber_start(subscriber, NULL, c), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_subscriber_stop(subscriber)); /* nothing runs: nothing to do */
  for (uint64_t round = 0; round < 5; round++) {
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
    CHECK_RESULT(cuframes_subscriber_start(subscriber, on_frame, c), CUFRAMES_ERR_BUSY);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_BUSY);
    CHECK_RESULT(cuframes_subscriber_fd(subscriber, &fd), CUFRAMES_ERR_BUSY);
    pictures_publish(publisher, round * 10 + 1, 10);
    WAIT_FOR(seen(c).last == round * 10 + 10);
    CHECK_OK(cuframes_subscriber_stop(subscriber));
    assert_int_equal(seen(c).calls, round * 10 + 10);
  }
  pictures_publish(publisher, 51, 1);
  assert_int_equal(frame_look(subscriber), 51); /* now it is ours again */
  assert_int_equal(seen(c).calls, 50);
  assert_int_equal(seen(c).ends, 0);
  assert_null(none);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void stop_from_within_ends_it_after_that_call(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (uint64_t round = 0; round < 200; round++) {
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false);
    callee *c = callee_of();
    c->subscriber = subscriber;
    c->stop_within = true;
    pictures_publish(publisher, 1, 6);
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c)); /* its first call may come before this returns */
    WAIT_FOR(seen(c).calls == 1);
    if (round % 2) {
      CHECK_OK(cuframes_subscriber_stop(subscriber)); /* waits for the thread */
      cuframes_frame *frame = frame_take(subscriber);
      (void)picture_number(frame);
      cuframes_frame_release(frame);
    }
    cuframes_subscriber_destroy(subscriber); /* so does this */
    assert_int_equal(seen(c).calls, 1);
    assert_int_equal(seen(c).ends, 0);
  }
  cuframes_publisher_destroy(publisher);
}

static void destroy_stops_it(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (int i = 0; i < 30; i++) {
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
    callee *c = callee_of();
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
    if (i % 2)
      pictures_publish(publisher, 1, 3);
    cuframes_subscriber_destroy(subscriber);
    uint64_t calls = seen(c).calls;
    pictures_publish(publisher, 4, 3);
    assert_int_equal(seen(c).calls, calls);
  }
  cuframes_publisher_destroy(publisher);
}

static void full_hands_wait_for_a_release(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_ORDERED, false); /* two leases */
  callee *c = callee_of();
  c->keep = true;
  CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
  pictures_publish(publisher, 1, 6);
  for (uint64_t number = 1; number <= 6; number++) {
    WAIT_FOR(seen(c).calls == (number + 1 < 6 ? number + 1 : 6));
    int64_t used = cpu_time();
    if (number == 1)
      pause_ms(30);
    SOON(cpu_time() - used, 15); /* it sleeps meanwhile */
    cuframes_frame *frame = seen(c).kept[number - 1];
    assert_int_equal(picture_number(frame), number);
    int64_t start = cuframes_now();
    cuframes_frame_release(frame); /* from another thread than it was called on */
    if (number < 5)
      WAIT_FOR(seen(c).calls == number + 2);
    SOON(cuframes_now() - start, 80);
  }
  pictures_publish(publisher, 7, 3);
  WAIT_FOR(seen(c).calls == 8);
  CHECK_OK(cuframes_subscriber_stop(subscriber)); /* with full hands */
  assert_int_equal(seen(c).calls, 8);
  for (int i = 6; i < 8; i++)
    cuframes_frame_release(c->kept[i]);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void the_end_of_the_stream_is_one_call(void **state) {
  (void)state;
  for (int full = 0; full < 2; full++) {
    cuframes_publisher *publisher = publisher_new("s");
    cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, false);
    callee *c = callee_of();
    c->keep = full;
    CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
    for (uint64_t number = 1; number <= 2; number++) {
      pictures_publish(publisher, number, 1);
      WAIT_FOR(seen(c).calls == number);
    }
    cuframes_publisher_destroy(publisher);
    WAIT_FOR(seen(c).ends == 1); /* also with every lease in hand */
    assert_int_equal(seen(c).error, CUFRAMES_ERR_PUBLISHER_GONE);
    for (uint32_t i = 0; i < c->kept_count; i++)
      cuframes_frame_release(c->kept[i]);
    CHECK_OK(cuframes_subscriber_stop(subscriber));
    assert_int_equal(seen(c).ends, 1);
    cuframes_subscriber_destroy(subscriber);
  }
}

static void with_reconnect_the_calls_go_on(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, true);
  callee *c = callee_of();
  CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, c));
  for (uint64_t round = 1; round <= 4; round++) {
    pictures_publish(publisher, round, 1);
    WAIT_FOR(seen(c).last == round);
    cuframes_publisher_destroy(publisher);
    if (round == 4)
      break;
    publisher = publisher_new("s");
  }
  assert_int_equal(seen(c).ends, 0);
  CHECK_OK(cuframes_subscriber_stop(subscriber)); /* while it waits for the name to come back */
  cuframes_subscriber_destroy(subscriber);
}

static void not_for_packets_only(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_PACKETS, false);
  CHECK_RESULT(cuframes_subscriber_start(subscriber, on_frame, NULL), CUFRAMES_ERR_UNSUPPORTED);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void *take_packets(void *subscriber) {
  cuframes_packet *packet = NULL;
  int result;
  while ((result = cuframes_subscriber_next_packet(subscriber, CUFRAMES_WAIT_FOREVER, &packet)) == CUFRAMES_OK)
    cuframes_packet_release(packet);
  return (void *)(intptr_t)result;
}

static void release(void *user, cuframes_frame *frame, int error) {
  (void)user, (void)error;
  cuframes_frame_release(frame);
}

/* stop() is for the callback thread alone: the other one is not interrupted, and takes no interruption away. */
static void stop_leaves_the_thread_that_takes_packets_alone(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pthread_t packets;
  void *result;
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  CHECK(pthread_create(&packets, NULL, take_packets, subscriber) == 0);
  for (int i = 0; i < 300; i++) {
    CHECK_OK(cuframes_subscriber_start(subscriber, release, NULL));
    if (i % 2)
      pause_ms(1);
    CHECK_OK(cuframes_subscriber_stop(subscriber));
  }
  CHECK_OK(packet_publish(publisher, 0, 1, 10, CUFRAMES_PACKET_KEY)); /* it still takes them */
  WAIT_FOR(subscriber_stats(subscriber).packets == 1);
  cuframes_subscriber_interrupt(subscriber);
  CHECK(pthread_join(packets, &result) == 0);
  assert_int_equal((intptr_t)result, CUFRAMES_ERR_INTERRUPTED);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- destroyed by its own callback ---- */

typedef struct doomed {
  pthread_mutex_t lock;
  cuframes_subscriber *subscriber;
  bool at_the_end, stop_first, keep;
  int calls, error;
  cuframes_frame *kept;
} doomed;

static void destroy_within(void *user, cuframes_frame *frame, int error) {
  doomed *d = user;
  pthread_mutex_lock(&d->lock);
  d->error = error;
  cuframes_subscriber *subscriber = !d->at_the_end || !frame ? d->subscriber : NULL;
  bool stop_first = d->stop_first, keep = d->keep;
  if (keep && frame)
    d->kept = frame;
  pthread_mutex_unlock(&d->lock);
  if (stop_first && subscriber)
    CHECK_OK(cuframes_subscriber_stop(subscriber));
  cuframes_subscriber_destroy(subscriber);
  if (frame && subscriber)
    CHECK(picture_number(frame) == 1); /* it stays good */
  if (!keep)
    cuframes_frame_release(frame);
  pthread_mutex_lock(&d->lock); /* the last of it: the test may begin another round */
  d->calls++;
  pthread_mutex_unlock(&d->lock);
}

static bool was_called(doomed *d, int calls) {
  pthread_mutex_lock(&d->lock);
  bool called = d->calls == calls;
  pthread_mutex_unlock(&d->lock);
  return called;
}

static void a_callback_may_destroy_its_subscriber(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (int round = 0; round < 60; round++) {
    static doomed d;
    d = (doomed){ .stop_first = round % 2, .keep = round % 3 == 0 };
    pthread_mutex_init(&d.lock, NULL);
    d.subscriber = join(CUFRAMES_MODE_ORDERED, round % 4 == 0);
    pictures_publish(publisher, 1, 1); /* the first call may come before start() returns */
    CHECK_OK(cuframes_subscriber_start(d.subscriber, destroy_within, &d));
    WAIT_FOR(was_called(&d, 1));
    WAIT_FOR(threads_called("cuframes-call") == 0 && threads_called("cuframes-watch") == 0);
    WAIT_FOR(publisher_stats(publisher).subscribers == (d.keep ? 1 : 0));
    if (d.keep) {
      assert_int_equal(picture_number(d.kept), 1);
      cuframes_frame_release(d.kept);
      WAIT_FOR(publisher_stats(publisher).subscribers == 0);
    }
    assert_true(was_called(&d, 1));
  }
  cuframes_publisher_destroy(publisher);
}

static void also_when_it_hears_of_the_end(void **state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    static doomed d;
    cuframes_publisher *publisher = publisher_new("s");
    d = (doomed){ .at_the_end = true, .stop_first = round % 2 };
    pthread_mutex_init(&d.lock, NULL);
    d.subscriber = join(CUFRAMES_MODE_NEWEST, false);
    CHECK_OK(cuframes_subscriber_start(d.subscriber, destroy_within, &d));
    pictures_publish(publisher, 1, 1);
    WAIT_FOR(was_called(&d, 1));
    cuframes_publisher_destroy(publisher);
    WAIT_FOR(was_called(&d, 2));
    WAIT_FOR(threads_called("cuframes-call") == 0 && threads_called("cuframes-watch") == 0);
    assert_int_equal(d.error, CUFRAMES_ERR_PUBLISHER_GONE);
  }
}

/* ---- interruptions, beside it ---- */

/* The callback thread is no waiter of the caller's, and takes nobody's interruption away. */
static void an_interruption_reaches_who_waits_for_packets(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  CHECK_OK(cuframes_subscriber_start(subscriber, release, NULL));
  for (int i = 0; i < 100; i++) {
    waiter packets;
    waiter_start_packet(&packets, subscriber, 2 * SECOND);
    cuframes_subscriber_interrupt(subscriber);
    assert_int_equal(waiter_end(&packets), CUFRAMES_ERR_INTERRUPTED);
  }
  CHECK_OK(cuframes_subscriber_stop(subscriber));
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void an_interruption_reaches_both_who_wait(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *none = NULL;
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  for (int i = 0; i < 50; i++) {
    waiter frames, packets;
    waiter_start(&frames, subscriber, 2 * SECOND);
    waiter_start_packet(&packets, subscriber, 2 * SECOND);
    cuframes_subscriber_interrupt(subscriber);
    assert_int_equal(waiter_end(&frames), CUFRAMES_ERR_INTERRUPTED);
    assert_int_equal(waiter_end(&packets), CUFRAMES_ERR_INTERRUPTED);
  }
  /* one that nobody takes costs no processor time */
  waiter frames;
  cuframes_subscriber_interrupt(subscriber);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &none), CUFRAMES_ERR_INTERRUPTED);
  waiter_start(&frames, subscriber, 300 * MS);
  int64_t used = cpu_time();
  assert_int_equal(waiter_end(&frames), CUFRAMES_ERR_TIMEOUT);
  SOON(cpu_time() - used, 20);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* Keeps both processors busy, and the watcher gets what they leave. */
static void *hog(void *stop) {
  while (!cf_flag_get(stop))
    cf_spin_pause();
  return NULL;
}

static void starve_watcher(void) {
  DIR *tasks = opendir("/proc/self/task");
  const struct sched_param none = { 0 };
  CHECK(tasks != NULL);
  for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = fopen(path, "re");
    if (file && fgets(name, sizeof name, file) && strncmp(name, "cuframes-watch", 14) == 0)
      CHECK(sched_setscheduler((pid_t)strtol(entry->d_name, NULL, 10), SCHED_IDLE, &none) == 0);
    if (file)
      fclose(file);
  }
  closedir(tasks);
}

static void an_interruption_after_a_reconnect_is_not_lost(void **state) {
  (void)state;
  enum { HOGS = 4 };
  pthread_t hogs[HOGS];
  cf_flag stop = { 0 };
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = join(CUFRAMES_MODE_NEWEST, true);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  starve_watcher();
  for (int i = 0; i < HOGS; i++)
    CHECK(pthread_create(&hogs[i], NULL, hog, &stop) == 0);
  for (int i = 0; i < 30; i++) {
    waiter waiting;
    cuframes_publisher_destroy(publisher);
    publisher = packet_publisher("s", 0, 0);
    if (i % 2)
      waiter_start(&waiting, subscriber, patience() / 4);
    else
      waiter_start_packet(&waiting, subscriber, patience() / 4);
    cuframes_subscriber_interrupt(subscriber);
    assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_INTERRUPTED);
    cuframes_frame *none = NULL; /* what the other waiter was told */
    cuframes_packet *no_packet = NULL;
    (void)cuframes_subscriber_next(subscriber, 0, &none);
    (void)cuframes_subscriber_next_packet(subscriber, 0, &no_packet);
  }
  cf_flag_set(&stop, 1);
  for (int i = 0; i < HOGS; i++)
    CHECK(pthread_join(hogs[i], NULL) == 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(frames_come_until_stop),
    FIXTURE(stop_from_within_ends_it_after_that_call),
    FIXTURE(destroy_stops_it),
    FIXTURE(full_hands_wait_for_a_release),
    FIXTURE(the_end_of_the_stream_is_one_call),
    FIXTURE(with_reconnect_the_calls_go_on),
    FIXTURE(not_for_packets_only),
    FIXTURE(stop_leaves_the_thread_that_takes_packets_alone),
    FIXTURE(a_callback_may_destroy_its_subscriber),
    FIXTURE(also_when_it_hears_of_the_end),
    FIXTURE(an_interruption_reaches_who_waits_for_packets),
    FIXTURE(an_interruption_reaches_both_who_wait),
    FIXTURE(an_interruption_after_a_reconnect_is_not_lost),
  };
  return FIXTURE_RUN("callback", tests);
}
