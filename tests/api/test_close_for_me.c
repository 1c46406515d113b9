/* test_close_for_me.c - a peer that makes another one close a descriptor of its choice: a TCP socket whose close()
 * waits for as long as the peer likes. Publishers take no descriptors at all, subscribers only what they asked for; and
 * what has come all the same costs nobody but who sent it. Once as this kernel does it, and once as one without
 * SO_PASSRIGHTS (before Linux 6.16).
 */
#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/memory.h"
#include "support/attack.h"
#include "support/child.h"
#include "support/fake.h"
#include "support/raw.h"
#include "support/rights.h"
#include "support/stream.h"

#define PASSRIGHTS 83 /* SO_PASSRIGHTS, which old headers do not have */
#define STRANGER 12345

static bool old_kernel;

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  if (old_kernel && level == SOL_SOCKET && name == PASSRIGHTS) {
    errno = ENOPROTOOPT;
    return -1;
  }
  return __real_setsockopt(fd, level, name, value, length);
}

/* ---- what a client sends to a publisher ---- */

enum when { BEFORE_HELLO, AS_SUBSCRIBER, AS_MONITOR, BEHIND_EMPTY_ONES };

typedef struct attacker {
  enum when when;
  uid_t uid;
  int connections;
} attacker;

static void send_in_state(int fd, enum when when, tar_pit *pit) {
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  cf_msg_welcome welcome;
  cf_fds fds;
  if (when == BEHIND_EMPTY_ONES)
    for (int i = 0; i < 5; i++)
      (void)send(fd, "", 0, MSG_NOSIGNAL);
  if (when == AS_SUBSCRIBER || when == AS_MONITOR) {
    hello.role = when == AS_MONITOR ? CF_ROLE_MONITOR : CF_ROLE_SUBSCRIBER;
    raw_send(fd, CF_MSG_HELLO, &hello);
    raw_expect(fd, CF_MSG_WELCOME, &welcome, &fds);
    cf_fds_close(&fds);
  }
  (void)send_tar(fd, pit); /* a kernel that knows how refuses */
}

/* Sends what it has on each of its connections and hangs up; keeps the tar pits until it is told to end. */
static void attack(int test, void *argument) {
  static tar_pit pits[64];
  const attacker *a = argument;
  (void)hear(test);
  CHECK(setgid(a->uid) == 0 && setuid(a->uid) == 0);
  for (int i = 0; i < a->connections; i++)
    pits[i] = tar_pit_new();
  for (int i = 0; i < a->connections; i++) {
    int fd = raw_connect("s");
    send_in_state(fd, a->when, &pits[i]);
    close(fd);
  }
  say(test, 0);
  (void)hear(test);
  for (int i = 0; i < a->connections; i++)
    tar_pit_end(&pits[i]);
}

static void publisher_is_well(cuframes_publisher *publisher, uint64_t number) {
  int64_t start = cuframes_now();
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, number, 1);
  assert_int_equal(frame_look(subscriber), number);
  cuframes_subscriber_destroy(subscriber);
  SOON(cuframes_now() - start, 1000);
}

static sem_t go_on;

/* Holds the service thread at the first refusal until all was sent: then what was sent is the publisher's alone. */
static void hold(void *held, int level, const char *line) {
  (void)level;
  if (*(bool *)held || !strstr(line, "refused"))
    return;
  *(bool *)held = true;
  while (sem_wait(&go_on) != 0) /* a signal */
    ;
}

static void publisher_attacked(const attacker *a, const cuframes_publisher_options *options) {
  child *enemy = child_start(attack, (void *)a);
  cuframes_publisher *publisher = NULL;
  assert_int_equal(sem_init(&go_on, 0, 0), 0);
  CHECK_OK(cuframes_publisher_create("s", options, &publisher));
  assert_int_equal(chmod(fixture_directory(), 0755), 0);
  say(enemy->fd, 0);
  (void)hear(enemy->fd);
  sem_post(&go_on);
  for (uint64_t i = 1; i <= 3; i++)
    publisher_is_well(publisher, i);
  if (old_kernel && a->connections > 8) {
    WAIT_FOR(threads_called("cuframes-close") > 0); /* the service comes to them when it has a CPU */
    CHECK(threads_called("cuframes-close") <= 4);
  }
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  int64_t start = cuframes_now();
  cuframes_publisher_destroy(publisher);
  SOON(cuframes_now() - start, 1000);
  say(enemy->fd, 0);
  child_finish(enemy);
}

static void nobody_makes_a_publisher_wait_in_close(void **state) {
  (void)state;
  for (enum when when = BEFORE_HELLO; when <= BEHIND_EMPTY_ONES; when++) {
    cuframes_publisher_options options = publisher_options();
    const attacker a = { .when = when, .uid = geteuid(), .connections = 2 };
    publisher_attacked(&a, &options);
  }
}

static void nor_does_who_is_not_let_in(void **state) {
  (void)state;
  need_other_users();
  cuframes_publisher_options options = publisher_options();
  const attacker a = { .when = BEFORE_HELLO, .uid = STRANGER, .connections = 2 };
  options.access = CUFRAMES_ACCESS_LISTED;
  options.socket_mode = 0666;
  publisher_attacked(&a, &options);
}

/* More than there are threads for: these wait, and others join. */
static void nor_does_who_does_it_again_and_again(void **state) {
  (void)state;
  need_other_users();
  cuframes_publisher_options options = publisher_options();
  const attacker a = { .when = BEFORE_HELLO, .uid = STRANGER, .connections = 40 };
  bool held = false;
  options.access = CUFRAMES_ACCESS_LISTED;
  options.socket_mode = 0666;
  options.log = hold;
  options.log_user = &held;
  publisher_attacked(&a, &options);
}

static void as_on_an_old_kernel(void (*test)(void **state), void **state) {
  int descriptors = fixture_descriptors();
  old_kernel = true;
  test(state);
  old_kernel = false;
  WAIT_FOR(threads_called("cuframes-close") == 0 && fixture_descriptors() == descriptors);
}

static void nobody_makes_a_publisher_wait_in_close_on_old_kernels(void **state) {
  as_on_an_old_kernel(nobody_makes_a_publisher_wait_in_close, state);
}

static void nor_does_who_is_not_let_in_on_old_kernels(void **state) {
  as_on_an_old_kernel(nor_does_who_is_not_let_in, state);
}

static void nor_does_who_does_it_again_and_again_on_old_kernels(void **state) {
  as_on_an_old_kernel(nor_does_who_does_it_again_and_again, state);
}

/* ---- what a publisher sends to a subscriber ---- */

static tar_pit sent[8];
static int sent_count;

/* Tar instead of what was asked for; the honest WELCOME before, so that it is asked. */
static bool tar_for_segments(fake *f, int fd, uint32_t type) {
  if (type != CF_MSG_GET_SEGMENT)
    return false;
  sent[sent_count] = tar_pit_new();
  fake_answer(fd, CF_MSG_SEGMENT, &f->raw->segment, &sent[sent_count].fd, 1);
  tar_pit_let_go(&sent[sent_count++]);
  return true;
}

/* A welcome that is too much. */
static bool tar_for_everybody(fake *f, int fd, uint32_t type) {
  (void)f;
  if (type != CF_MSG_HELLO)
    return false;
  sent[sent_count] = tar_pit_new();
  CHECK(send_tar(fd, &sent[sent_count++]));
  return true;
}

/* Whoever publishes in another process: closing is not this process's alone otherwise. */
static void publish_tar(int test, void *how) {
  fake *f = fake_new();
  f->instead = *(bool (**)(fake *, int, uint32_t))how;
  fake_start(f);
  say(test, 0);
  (void)hear(test);
  fake_end(f);
  for (int i = 0; i < sent_count; i++)
    tar_pit_end(&sent[i]);
}

static void subscriber_attacked(bool (*how)(fake *, int, uint32_t), bool joins) {
  child *enemy = child_start(publish_tar, &how);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  cuframes_stream_info *info = NULL;
  cuframes_streams *streams = NULL;
  (void)hear(enemy->fd);
  int descriptors = fixture_descriptors();
  int64_t start = cuframes_now();
  int result = cuframes_subscriber_create("s", &options, &subscriber);
  if (joins) {
    CHECK_OK(result);
    CHECK_RESULT(cuframes_subscriber_next(subscriber, patience(), &frame), CUFRAMES_ERR_PROTOCOL);
    cuframes_subscriber_destroy(subscriber);
  } else {
    CHECK_RESULT(result, CUFRAMES_ERR_PROTOCOL);
    CHECK_RESULT(cuframes_stream_query(NULL, "s", patience(), &info), CUFRAMES_ERR_PROTOCOL);
    CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
    cuframes_streams_free(streams);
  }
  SOON(cuframes_now() - start, 1000);
  say(enemy->fd, 0);
  child_finish(enemy);
  WAIT_FOR(threads_called("cuframes-close") == 0 && fixture_descriptors() == descriptors - 1);
}

static void no_publisher_makes_a_subscriber_wait_in_close(void **state) {
  (void)state;
  subscriber_attacked(tar_for_segments, true);
  subscriber_attacked(tar_for_everybody, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(nobody_makes_a_publisher_wait_in_close),
    FIXTURE(nor_does_who_is_not_let_in),
    FIXTURE(nor_does_who_does_it_again_and_again),
    FIXTURE(nobody_makes_a_publisher_wait_in_close_on_old_kernels),
    FIXTURE(nor_does_who_is_not_let_in_on_old_kernels),
    FIXTURE(nor_does_who_does_it_again_and_again_on_old_kernels),
    FIXTURE(no_publisher_makes_a_subscriber_wait_in_close),
  };
  return FIXTURE_RUN("close_for_me", tests);
}
