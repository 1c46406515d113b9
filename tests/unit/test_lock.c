/* test_lock.c - the locks on the path of a frame: one at a time has it, who waits sleeps, and nobody is forgotten. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/futex.h"
#include "os/lock.h"
#include "support/fixture.h"

#define THREADS 6u
#define TURNS 20000u

typedef struct hall {
  cf_lock lock;
  uint64_t sum;  /* under it */
  cf_flag there; /* threads that began */
  cf_flag inside;
  bool crowded; /* under it: more than one was inside */
  pid_t thread; /* of who waits */
} hall;

static void one_turn(hall *h) {
  cf_lock_take(&h->lock);
  h->crowded = cf_flag_add(&h->inside, 1) != 1 || h->crowded;
  h->sum++;
  (void)cf_flag_add(&h->inside, -1);
  cf_lock_give(&h->lock);
}

static void *run(void *argument) {
  hall *h = argument;
  (void)cf_flag_add(&h->there, 1);
  while (cf_flag_get(&h->there) < THREADS)
    (void)sched_yield();
  for (unsigned i = 0; i < TURNS; i++)
    one_turn(h);
  return NULL;
}

static void one_at_a_time(void **state) {
  pthread_t threads[THREADS];
  hall h = { .sum = 0 };
  (void)state;
  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, run, &h), 0);
  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(h.sum, THREADS * TURNS);
  assert_false(h.crowded);
  assert_int_equal(h.lock.word, CF_LOCK_FREE);
}

static void *wait_for_it(void *argument) {
  hall *h = argument;
  h->thread = (pid_t)syscall(SYS_gettid);
  cf_flag_set(&h->there, 1);
  one_turn(h);
  return NULL;
}

/* As /proc says: S is asleep. */
static bool sleeps(pid_t thread) {
  char path[64], line[512] = "";
  (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  FILE *file = fopen(path, "re");
  if (!file)
    return false;
  bool read = fgets(line, sizeof line, file) != NULL;
  (void)fclose(file);
  const char *name_end = read ? strrchr(line, ')') : NULL;
  return name_end && name_end[2] == 'S';
}

static void who_waits_sleeps(void **state) {
  pthread_t thread;
  hall h = { .sum = 0 };
  (void)state;
  cf_lock_take(&h.lock);
  assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &h), 0);
  WAIT_FOR(cf_flag_get(&h.there) == 1 && h.lock.word == CF_LOCK_AWAITED && sleeps(h.thread));
  assert_int_equal(h.sum, 0);
  cf_lock_give(&h.lock);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(h.sum, 1);
}

/* Several sleep when it is given back: the one that is woken wakes the next. */
static void nobody_is_forgotten(void **state) {
  pthread_t threads[THREADS];
  hall whole = { .sum = 0 }, *h = &whole;
  (void)state;
  cf_lock_take(&h->lock);
  for (unsigned i = 0; i < THREADS; i++) {
    cf_flag_set(&h->there, 0);
    assert_int_equal(pthread_create(&threads[i], NULL, wait_for_it, h), 0);
    WAIT_FOR(cf_flag_get(&h->there) == 1 && sleeps(h->thread));
  }
  cf_lock_give(&h->lock);
  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(h->sum, THREADS);
  assert_false(h->crowded);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(one_at_a_time),
    FIXTURE(who_waits_sleeps),
    FIXTURE(nobody_is_forgotten),
  };
  return FIXTURE_RUN("lock", tests);
}
