/* test_namespaces.c - a publisher in a PID namespace of its own, which cannot see its subscribers' processes: the
 * kernel gives their number as 0. They are admitted, shown and, when they die, cleared away all the same.
 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "support/child.h"
#include "support/rights.h"
#include "support/stream.h"

enum order { PUBLISH = 1, COUNT, PIDS, HELD, END };

/* Answers with the sum of a number over all subscribers; one that is wrong counts 1,000,000. */
static uint64_t add_up(enum order order) {
  cuframes_stream_info *info = NULL;
  uint64_t sum = 0;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  for (size_t i = 0; i < info->subscriber_count; i++)
    sum += order == HELD
               ? info->subscribers[i]->leases_held
               : (uint64_t)(uint32_t)info->subscribers[i]->pid + (info->subscribers[i]->uid == geteuid() ? 0 : 1000000);
  cuframes_stream_info_free(info);
  return sum;
}

static void publish_inside(int test, void *unused) {
  (void)unused;
  CHECK(getpid() == 1); /* as the namespace counts */
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t number = 0, order;
  say(test, 0);
  while ((order = hear(test)) != END) {
    if (order == PUBLISH)
      pictures_publish(publisher, ++number, 1);
    say(test, order == PUBLISH ? number : order == COUNT ? publisher_stats(publisher).subscribers : add_up(order));
  }
  cuframes_publisher_destroy(publisher);
}

static void hold_a_frame(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  (void)frame_take(subscriber);
  say(test, 0);
  (void)hear(test); /* killed here */
}

static uint64_t ask(const child *publisher, enum order order) {
  say(publisher->fd, order);
  return hear(publisher->fd);
}

/* Starts a child in a new PID namespace; this process stays where it is. */
static child *start_inside(child_run *run) {
  int here = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  CHECK(here >= 0);
  CHECK(unshare(CLONE_NEWPID) == 0);
  child *inside = child_start(run, NULL);
  CHECK(setns(here, CLONE_NEWPID) == 0);
  close(here);
  return inside;
}

static void subscribers_that_cannot_be_seen(void **state) {
  (void)state;
  need_namespaces(CLONE_NEWPID);
  child *victim = child_start(hold_a_frame, NULL);
  child *publisher = start_inside(publish_inside);
  (void)hear(publisher->fd);
  (void)ask(publisher, PUBLISH);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  assert_int_equal(frame_look(subscriber), 1);
  say(victim->fd, 0);
  (void)hear(victim->fd);
  assert_int_equal(ask(publisher, COUNT), 2);
  assert_int_equal(ask(publisher, PIDS), 0); /* both, and of our user */
  assert_int_equal(ask(publisher, HELD), 1);
  child_kill(victim);
  WAIT_FOR(ask(publisher, COUNT) == 1);
  assert_int_equal(ask(publisher, HELD), 0);
  for (uint64_t number = 2; number < 20; number++) {
    assert_int_equal(ask(publisher, PUBLISH), number);
    assert_int_equal(frame_look(subscriber), number);
  }
  cuframes_subscriber_destroy(subscriber);
  WAIT_FOR(ask(publisher, COUNT) == 0);
  say(publisher->fd, END);
  child_finish(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(subscribers_that_cannot_be_seen),
  };
  return FIXTURE_RUN("namespaces", tests);
}
