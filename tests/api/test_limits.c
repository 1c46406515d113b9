/* test_limits.c - a peer that takes more than its share: answers that it does not read, connections, seats, lines of
 * the log. It costs the peer's user, and nobody else.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/rights.h"
#include "support/stream.h"

#define STRANGER 12345
#define OTHER 23456

static void become(uid_t uid) {
  CHECK(setgid(uid) == 0 && setuid(uid) == 0);
}

/* Bytes of all messages that wait on a connection. */
static int waiting(int fd) {
  int bytes = -1;
  CHECK(ioctl(fd, FIONREAD, &bytes) == 0);
  return bytes;
}

static void good_client_joins(void) {
  int64_t start = cuframes_now();
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_subscriber_destroy(subscriber);
  SOON(cuframes_now() - start, 1000);
}

/* ---- answers that nobody reads ---- */

enum { SEATS = 5, ASKED = 230 };

static void one_answer_at_most_waits_for_a_peer(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  raw_seat raw[SEATS];
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  cf_fds fds;
  for (int i = 0; i < SEATS; i++)
    raw_join(&raw[i], "s", &hello);
  for (int i = 0; i < SEATS; i++)
    for (int k = 0; k < ASKED; k++)
      raw_send(raw[i].fd, CF_MSG_GET_SEGMENT, &(cf_msg_get_segment){ .segment = 1 });
  good_client_joins(); /* so the service has looked at all of them */
  good_client_joins();
  int all = waiting(raw[0].fd);
  assert_int_equal(raw_receive(raw[0].fd, message, &length, &fds), CF_MSG_SEGMENT);
  cf_fds_close(&fds);
  assert_int_equal(all, (int)length);
  for (int i = 0; i < SEATS; i++) { /* who reads in the end gets all of them */
    for (int k = i == 0; k < ASKED; k++) {
      assert_int_equal(raw_receive(raw[i].fd, message, &length, &fds), CF_MSG_SEGMENT);
      assert_int_equal(fds.count, 1);
      cf_fds_close(&fds);
    }
    raw_leave(&raw[i]);
  }
  cuframes_publisher_destroy(publisher);
}

enum { GREEDY = 40 };

/* Says HELLO on many connections, reads nothing, and then breaks the protocol on each, to be forgotten. */
static void greet_and_never_read(int test, void *unused) {
  int fds[GREEDY], welcomed = 0;
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_PACKETS);
  (void)unused;
  become(STRANGER);
  (void)hear(test);
  for (int i = 0; i < GREEDY; i++) {
    fds[i] = raw_connect("s");
    raw_send(fds[i], CF_MSG_HELLO, &hello);
    raw_send(fds[i], CF_MSG_HELLO, &hello);
  }
  say(test, 0);
  (void)hear(test);
  for (int i = 0; i < GREEDY; i++)
    welcomed += waiting(fds[i]) > 0;
  say(test, (uint64_t)welcomed);
  (void)hear(test);
  for (int i = 0; i < GREEDY; i++)
    close(fds[i]);
}

static void descriptors_on_their_way_to_a_stranger_are_few(void **state) {
  (void)state;
  need_other_users();
  child *greedy = child_start(greet_and_never_read, NULL);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  struct rlimit before, limit;
  options.socket_mode = 0666;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = (struct rlimit){ .rlim_cur = 1024, .rlim_max = before.rlim_max };
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_int_equal(chmod(fixture_directory(), 0755), 0);
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  say(greedy->fd, 0);
  (void)hear(greedy->fd);
  good_client_joins();
  good_client_joins();
  say(greedy->fd, 0);
  CHECK_BETWEEN(hear(greedy->fd), 1, 1024 / 64);
  int descriptors = fixture_descriptors();
  say(greedy->fd, 0);
  child_finish(greedy);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0 && fixture_descriptors() < descriptors);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- connections and seats ---- */

typedef struct crowd {
  uid_t uid;
  uint32_t role;
  int count;
} crowd;

/* Joins as often as it is let: says how often, and stays. */
static void join_often(int test, void *argument) {
  static int fds[2000];
  const crowd *c = argument;
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_PACKETS);
  uint64_t joined = 0;
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  become(c->uid);
  hello.role = c->role;
  (void)hear(test);
  for (int i = 0; i < c->count; i++) {
    uint8_t message[CF_WIRE_MESSAGE_MAX];
    size_t length;
    cf_fds came = { .count = 0 };
    fds[i] = raw_connect("s");
    raw_send(fds[i], CF_MSG_HELLO, &hello);
    uint32_t type = raw_receive(fds[i], message, &length, &came);
    cf_fds_close(&came);
    CHECK(type == CF_MSG_WELCOME || type == CF_MSG_REFUSED);
    joined += type == CF_MSG_WELCOME;
  }
  say(test, joined);
  (void)hear(test);
  for (int i = 0; i < c->count; i++)
    close(fds[i]);
}

static uint64_t joined_by(child *c) {
  say(c->fd, 0);
  return hear(c->fd);
}

static void monitors_leave_descriptors_for_others(void **state) {
  (void)state;
  const crowd monitors = { .uid = geteuid(), .role = CF_ROLE_MONITOR, .count = 1100 };
  child *many = child_start(join_often, (void *)&monitors);
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = (struct rlimit){ .rlim_cur = 256, .rlim_max = before.rlim_max };
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  cuframes_publisher *publisher = publisher_new("s");
  CHECK_BETWEEN(joined_by(many), 20, 80); /* not all of the descriptors */
  good_client_joins();
  for (int i = 0; i < 40; i++) { /* and the program has its own use for them */
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
  }
  say(many->fd, 0);
  child_finish(many);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void nobody_takes_all_seats_but_our_own_user(void **state) {
  (void)state;
  need_other_users();
  static const crowd crowds[] = { { STRANGER, CF_ROLE_SUBSCRIBER, 20 }, { OTHER, CF_ROLE_SUBSCRIBER, 20 } };
  child *first = child_start(join_often, (void *)&crowds[0]), *second = child_start(join_often, (void *)&crowds[1]);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.socket_mode = 0666;
  options.max_subscribers = 16;
  assert_int_equal(chmod(fixture_directory(), 0755), 0);
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  assert_int_equal(joined_by(first), 12);
  assert_int_equal(joined_by(second), 3);
  cuframes_subscriber *ours = subscriber_new("s", CUFRAMES_MODE_NEWEST), *none = NULL;
  CHECK_RESULT(cuframes_subscriber_create("s", NULL, &none), CUFRAMES_ERR_NO_CAPACITY);
  cuframes_subscriber_destroy(ours);
  say(first->fd, 0);
  say(second->fd, 0);
  child_finish(first);
  child_finish(second);
  cuframes_publisher_destroy(publisher);
}

/* ---- the log ---- */

static struct {
  pthread_mutex_t lock;
  int lines, sums;
} logged = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void count_lines(void *user, int level, const char *line) {
  (void)user, (void)level;
  pthread_mutex_lock(&logged.lock);
  logged.lines++;
  logged.sums += strstr(line, "more lines") != NULL;
  pthread_mutex_unlock(&logged.lock);
}

static int sums(void) {
  pthread_mutex_lock(&logged.lock);
  int count = logged.sums;
  pthread_mutex_unlock(&logged.lock);
  return count;
}

static void be_refused_often(int test, void *unused) {
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  (void)unused;
  (void)hear(test);
  hello.version_min = hello.version_max = 99;
  for (int i = 0; i < 3000; i++) {
    int fd = raw_connect("s");
    raw_send(fd, CF_MSG_HELLO, &hello);
    (void)raw_expect_refused(fd, true);
    close(fd);
  }
  say(test, 0);
}

static void refusals_do_not_flood_the_log(void **state) {
  (void)state;
  child *annoying = child_start(be_refused_often, NULL);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.log = count_lines;
  logged.lines = logged.sums = 0;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  int64_t start = cuframes_now();
  say(annoying->fd, 0);
  (void)hear(annoying->fd);
  WAIT_FOR(sums() > 0); /* it says that there were more */
  int64_t seconds = (cuframes_now() - start) / SECOND + 1;
  cuframes_publisher_destroy(publisher);
  CHECK_BETWEEN(logged.lines, 100, 100 + 12 * seconds);
  child_finish(annoying);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(one_answer_at_most_waits_for_a_peer),   FIXTURE(descriptors_on_their_way_to_a_stranger_are_few),
    FIXTURE(monitors_leave_descriptors_for_others), FIXTURE(nobody_takes_all_seats_but_our_own_user),
    FIXTURE(refusals_do_not_flood_the_log),
  };
  return FIXTURE_RUN("limits", tests);
}
