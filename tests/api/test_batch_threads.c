/* test_batch_threads.c - a batch that waits, while other threads add, remove and destroy members, publishers die and
 * come back, and more members than one thread can sleep on. All of it also on a kernel that cannot sleep on several
 * words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/batches.h"
#include "support/child.h"

static void somebody_joins_who_waits(void **state) {
  (void)state;
  cuframes_batch *batch = batch_new();
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  batch_waiter w;
  pictures_publish(publisher, 3, 1);
  for (int with_a_frame = 1; with_a_frame >= 0; with_a_frame--) {
    batch_waiter_start(&w, batch, CUFRAMES_BATCH_ALIVE, patience());
    CHECK_OK(cuframes_batch_add(batch, subscriber, NULL, NULL));
    if (!with_a_frame)
      pictures_publish(publisher, 3, 1);
    CHECK_OK(batch_waiter_end(&w));
    CHECK(number_of(&w.got, subscriber) == 3);
    batched_release(&w.got);
    CHECK_OK(cuframes_batch_remove(batch, subscriber));
  }
  cuframes_batch_destroy(batch);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void members_leave_who_waits(void **state) {
  (void)state;
  cameras c = { 0 };
  batch_waiter w;
  cuframes_frame *frame = NULL;
  cameras_start(&c, 3, NULL);
  batch_waiter_start(&w, c.batch, 3, patience());
  CHECK_OK(cuframes_batch_remove(c.batch, c.subscriber[0]));
  CHECK_RESULT(cuframes_batch_remove(c.batch, c.subscriber[0]), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_next(c.subscriber[0], 0, &frame), CUFRAMES_ERR_TIMEOUT);
  cuframes_subscriber_destroy(c.subscriber[1]); /* takes it out */
  c.subscriber[1] = NULL;
  pictures_publish(c.publisher[2], 5, 1);
  CHECK_OK(batch_waiter_end(&w)); /* it was the last that was left to wait for */
  CHECK(w.got.got == 1 && number_of(&w.got, c.subscriber[2]) == 5);
  batched_release(&w.got);
  pictures_publish(c.publisher[0], 6, 1);
  CHECK(frame_look(c.subscriber[0]) == 6);
  cameras_end(&c);
}

static void two_threads_do_not_take(void **state) {
  (void)state;
  cameras c = { 0 };
  batch_waiter w;
  batched b;
  int fd;
  cameras_start(&c, 2, NULL);
  batch_waiter_start(&w, c.batch, 1, CUFRAMES_WAIT_FOREVER);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_BUSY);
  CHECK_RESULT(cuframes_batch_fd(c.batch, &fd), CUFRAMES_ERR_BUSY);
  cuframes_batch_interrupt(c.batch);
  CHECK_RESULT(batch_waiter_end(&w), CUFRAMES_ERR_INTERRUPTED);
  cameras_end(&c);
}

/* More than a thread can sleep on: every member's picture wakes it, and every member is served. */
static void many_members(void **state) {
  (void)state;
  enum { STREAMS = 4, MEMBERS = 300 };
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher[STREAMS];
  cuframes_subscriber *subscriber[MEMBERS];
  cuframes_batch *batch = batch_new();
  static batched b;
  static batch_waiter w;
  options.max_subscribers = MEMBERS / STREAMS;
  options.max_slots = 1024;
  for (uint32_t i = 0; i < STREAMS; i++) {
    char name[16];
    snprintf(name, sizeof name, "s%u", i);
    CHECK_OK(cuframes_publisher_create(name, &options, &publisher[i]));
  }
  for (uint32_t i = 0; i < MEMBERS; i++) {
    char name[16];
    snprintf(name, sizeof name, "s%u", i * STREAMS / MEMBERS); /* those of the last stream come last */
    subscriber[i] = subscriber_new(name, CUFRAMES_MODE_NEWEST);
    CHECK_OK(cuframes_batch_add(batch, subscriber[i], NULL, NULL));
  }
  for (uint64_t n = 1; n <= 5; n++) {
    batch_waiter_start(&w, batch, MEMBERS, patience());
    for (uint32_t i = 0; i < STREAMS; i++)
      pictures_publish(publisher[(i + n) % STREAMS], n, 1);
    CHECK_OK(batch_waiter_end(&w));
    CHECK(w.got.got == MEMBERS);
    for (uint32_t i = 0; i < MEMBERS; i++)
      CHECK(picture_number(w.got.entries[i].frame) == n);
    batched_release(&w.got);
    batch_waiter_start(&w, batch, 1, patience());
    pictures_publish(publisher[n % STREAMS], 100 + n, 1);
    CHECK_OK(batch_waiter_end(&w));
    batched_release(&w.got);
    while (batch_take(batch, 1, 0, ENTRIES, &b) == CUFRAMES_OK)
      batched_release(&b);
  }
  for (uint32_t i = 0; i < MEMBERS; i += 2)
    cuframes_subscriber_destroy(subscriber[i]);
  pictures_publish(publisher[STREAMS - 1], 50, 1);
  CHECK_OK(batch_take(batch, MEMBERS / STREAMS / 2, patience(), ENTRIES, &b));
  batched_release(&b);
  cuframes_batch_destroy(batch);
  for (uint32_t i = 1; i < MEMBERS; i += 2)
    cuframes_subscriber_destroy(subscriber[i]);
  WAIT_FOR(threads_called("cuframes-notify") == 0);
  for (uint32_t i = 0; i < STREAMS; i++)
    cuframes_publisher_destroy(publisher[i]);
}

/* ---- everything at once ---- */

enum { BUSY_STREAMS = 6, ROUNDS = 300 };

typedef struct busy {
  cameras c;
  pthread_mutex_t lock; /* of done and gone */
  bool done;
  uint64_t published[BUSY_STREAMS];
} busy;

static bool is_done(busy *x) {
  pthread_mutex_lock(&x->lock);
  bool done = x->done;
  pthread_mutex_unlock(&x->lock);
  return done;
}

/* Publishes, and dies and comes back now and then. */
static void *publish_run(void *argument) {
  busy *x = argument;
  unsigned seed = 17;
  uint64_t number = 1;
  for (; !is_done(x); number++) {
    uint32_t i = (uint32_t)rand_r(&seed) % BUSY_STREAMS;
    if (rand_r(&seed) % 50 == 0) {
      cuframes_publisher_destroy(x->c.publisher[i]);
      x->c.publisher[i] = camera_publisher(i);
    }
    (void)picture_publish(x->c.publisher[i], number); /* one without a slot is left out */
  }
  return NULL;
}

/* Takes members out and puts them back. */
static void *shuffle_run(void *argument) {
  busy *x = argument;
  unsigned seed = 4;
  while (!is_done(x)) {
    cuframes_subscriber *s = x->c.subscriber[(uint32_t)rand_r(&seed) % BUSY_STREAMS];
    CHECK_OK(cuframes_batch_remove(x->c.batch, s));
    if (rand_r(&seed) % 2 == 0)
      cuframes_batch_interrupt(x->c.batch);
    CHECK_OK(cuframes_batch_add(x->c.batch, s, NULL, NULL));
    pause_ms(1);
  }
  return NULL;
}

static void all_at_once(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  static busy x;
  batched b;
  pthread_t publish, shuffle;
  unsigned seed = 9;
  uint64_t last[BUSY_STREAMS] = { 0 };
  uint32_t frames = 0;
  memset(&x, 0, sizeof x);
  options.reconnect = 1;
  cameras_start(&x.c, BUSY_STREAMS, &options);
  pthread_mutex_init(&x.lock, NULL);
  CHECK(pthread_create(&publish, NULL, publish_run, &x) == 0);
  CHECK(pthread_create(&shuffle, NULL, shuffle_run, &x) == 0);
  for (uint32_t calls = 0; calls < ROUNDS || frames < ROUNDS; calls++) {
    uint32_t min = (uint32_t)rand_r(&seed) % (BUSY_STREAMS + 1), count = 1 + (uint32_t)rand_r(&seed) % BUSY_STREAMS;
    int64_t timeout = rand_r(&seed) % 3 == 0 ? 0 : 5 * MS;
    int result = batch_take(x.c.batch, min == 0 ? CUFRAMES_BATCH_ALIVE : min, timeout, count, &b);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_INTERRUPTED);
    CHECK(b.got <= count);
    for (uint32_t i = 0; i < b.got; i++) {
      uint32_t k = 0;
      while (x.c.subscriber[k] != b.entries[i].subscriber)
        k++;
      CHECK(b.entries[i].error == CUFRAMES_OK);
      uint64_t number = picture_number(b.entries[i].frame); /* fails if it is torn */
      CHECK(number > last[k]);
      last[k] = number;
      frames++;
    }
    batched_release(&b);
  }
  pthread_mutex_lock(&x.lock);
  x.done = true;
  pthread_mutex_unlock(&x.lock);
  CHECK(pthread_join(publish, NULL) == 0 && pthread_join(shuffle, NULL) == 0);
  pthread_mutex_destroy(&x.lock);
  cameras_end(&x.c);
}

/* A wake-up that gets lost would be waited for until patience ends. */
static void no_wake_is_lost(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  batched b;
  for (int reconnect = 0; reconnect < 2; reconnect++) {
    cameras c = { 0 };
    options.reconnect = (uint32_t)reconnect;
    cameras_start(&c, 3, &options);
    batch_waiter w;
    for (uint64_t n = 1; n <= 150; n++) {
      batch_waiter_start(&w, c.batch, n % 2 ? 3 : CUFRAMES_BATCH_ALIVE, patience());
      for (uint32_t i = 0; i < 3; i++)
        pictures_publish(c.publisher[(i + n) % 3], n, 1);
      CHECK_OK(batch_waiter_end(&w));
      for (uint32_t had = w.got.got; had < 3; had += b.got) {
        CHECK_OK(batch_take(c.batch, 1, patience(), ENTRIES, &b));
        batched_release(&b);
      }
      batched_release(&w.got);
    }
    cameras_end(&c);
  }
}

/* ---- processes ---- */

static void a_forked_child_may_only_destroy(void **state) {
  (void)state;
  cameras c = { 0 };
  cameras_start(&c, 2, NULL);
  pid_t pid = fork();
  if (pid == 0) {
    cuframes_batch_entry entry;
    uint32_t got;
    bool right = cuframes_batch_next(c.batch, 1, 0, &entry, 1, &got) == CUFRAMES_ERR_INVALID &&
                 cuframes_batch_add(c.batch, c.subscriber[0], NULL, NULL) == CUFRAMES_ERR_INVALID &&
                 cuframes_batch_remove(c.batch, c.subscriber[0]) == CUFRAMES_ERR_INVALID;
    cuframes_batch_interrupt(c.batch);
    cuframes_subscriber_destroy(c.subscriber[0]);
    cuframes_batch_destroy(c.batch);
    cuframes_subscriber_destroy(c.subscriber[1]);
    _exit(right ? 0 : 1);
  }
  int status = 0;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  batched b;
  for (uint32_t i = 0; i < 2; i++)
    pictures_publish(c.publisher[i], 3, 1);
  batch_expect(c.batch, 2, &b, 2); /* and nothing has changed for the parent */
  batched_release(&b);
  cameras_end(&c);
}

static const struct CMUnitTest tests[] = {
  FIXTURE(somebody_joins_who_waits),
  FIXTURE(members_leave_who_waits),
  FIXTURE(two_threads_do_not_take),
  FIXTURE(many_members),
  FIXTURE(all_at_once),
  FIXTURE(no_wake_is_lost),
  FIXTURE(a_forked_child_may_only_destroy),
};

int main(int argc, char **argv) {
  if (argc > 1)
    kernel_forget_futex_waitv();
  int failed = FIXTURE_RUN(argc > 1 ? "batch threads on an old kernel" : "batch threads", tests);
  if (argc == 1 && failed == 0)
    execl("/proc/self/exe", argv[0], "old", (char *)NULL);
  return failed;
}
