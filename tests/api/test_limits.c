/* test_limits.c - a peer that takes more than its share: answers that it does not read, connections, seats, lines of
 * the log. It costs the peer's user, and nobody else.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/stream.h"

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
    FIXTURE(refusals_do_not_flood_the_log),
  };
  return FIXTURE_RUN("limits", tests);
}
