/* test_service.c - the service thread in straits: events fetched at once of which one ends what the next is about, on a
 * heap that gives freed memory again at once, as it may; and nothing to accept or to watch with.
 */
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "faults/resource_calls.h"
#include "publisher/publisher.h"
#include "support/child.h"
#include "support/raw.h"
#include "support/stream.h"

static sem_t stopped, go_on;

/* Holds the service thread where it says that somebody broke the protocol. */
static void hold(void *user, int level, const char *line) {
  (void)user, (void)level;
  if (!strstr(line, "broke the protocol"))
    return;
  sem_post(&stopped);
  while (sem_wait(&go_on) != 0) /* a signal */
    ;
}

static int join_as_monitor(void) {
  cf_msg_hello hello = raw_hello(0);
  cf_msg_welcome welcome;
  cf_fds fds;
  int fd = raw_connect("s");
  hello.role = CF_ROLE_MONITOR;
  raw_send(fd, CF_MSG_HELLO, &hello);
  raw_expect(fd, CF_MSG_WELCOME, &welcome, &fds);
  return fd;
}

/* A subscriber that leaves when it is told to, and ends when it is told to. */
static void join_and_leave(int test, void *unused) {
  (void)unused;
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  raw_seat raw;
  (void)hear(test);
  raw_join(&raw, "s", &hello);
  say(test, 0);
  (void)hear(test);
  raw_leave(&raw);
  say(test, 0);
  (void)hear(test);
}

static void a_newcomer_is_not_taken_for_who_left(void **state) {
  (void)state;
  child *leaver = child_start(join_and_leave, NULL);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  cf_msg_welcome welcome;
  cf_fds fds;
  assert_int_equal(sem_init(&stopped, 0, 0), 0);
  assert_int_equal(sem_init(&go_on, 0, 0), 0);
  options.log = hold;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  heap_reuse(sizeof(cf_peer));
  say(leaver->fd, 0);
  (void)hear(leaver->fd);
  int monitor = join_as_monitor();

  raw_send(monitor, CF_MSG_HELLO, &hello); /* its second one */
  while (sem_wait(&stopped) != 0)
    ;
  say(leaver->fd, 0); /* it hangs up, */
  (void)hear(leaver->fd);
  int fresh = raw_connect("s"); /* another one comes, and gets its memory, */
  raw_send(fresh, CF_MSG_HELLO, &hello);
  say(leaver->fd, 0);
  child_finish(leaver); /* and its process ends: all in one round */
  sem_post(&go_on);
  raw_expect(fresh, CF_MSG_WELCOME, &welcome, &fds);
  cf_fds_close(&fds);

  close(fresh);
  close(monitor);
  cuframes_publisher_destroy(publisher);
  heap_reuse(0);
  sem_destroy(&stopped);
  sem_destroy(&go_on);
}

static void connect_and_stay(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  int fd = raw_connect("s");
  say(test, 0);
  raw_expect_end(fd); /* in the end */
  close(fd);
}

static void without_descriptors_it_does_not_go_round_and_round(void **state) {
  (void)state;
  child *client = child_start(connect_and_stay, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  failing_nth(CALL_DESCRIPTORS, 1, true); /* neither accepting nor watching again works */
  say(client->fd, 0);
  (void)hear(client->fd);
  int64_t used = cpu_time();
  pause_ms(400); /* it tries again every 100 */
  SOON(cpu_time() - used, 40);
  assert_true(failing_end());
  cuframes_subscriber_destroy(subscriber_new("s", CUFRAMES_MODE_NEWEST));
  cuframes_publisher_destroy(publisher);
  child_finish(client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_newcomer_is_not_taken_for_who_left),
    FIXTURE(without_descriptors_it_does_not_go_round_and_round),
  };
  return FIXTURE_RUN("service", tests);
}
