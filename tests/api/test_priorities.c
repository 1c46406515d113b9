/* test_priorities.c - what the library's threads have of the thread that starts them, and that none of them keeps
 * another from running.
 */
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/rights.h"
#include "support/stream.h"

/* Calls look for each thread of the library in this process; gives how many there are. */
static int each_thread(void (*look)(pid_t thread, const char *name)) {
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;
  CHECK(tasks != NULL);
  for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = fopen(path, "re");
    if (!file)
      continue;
    bool ours = fgets(name, sizeof name, file) != NULL && strncmp(name, "cuframes-", 9) == 0;
    fclose(file);
    if (ours)
      look((pid_t)strtol(entry->d_name, NULL, 10), name);
    count += ours;
  }
  closedir(tasks);
  return count;
}

static uint64_t blocked_signals(pid_t thread) {
  char path[64], line[256];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
  FILE *file = fopen(path, "re");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file))
    (void)sscanf(line, "SigBlk: %llx", &blocked);
  fclose(file);
  return blocked;
}

static bool is_blocked(uint64_t set, int sig) {
  return set >> (sig - 1) & 1;
}

static void is_ordinary(pid_t thread, const char *name) {
  WAIT_FOR(!is_blocked(blocked_signals(thread), SIGSEGV)); /* a thread that begins has all blocked for a moment */
  uint64_t blocked = blocked_signals(thread);
  if (sched_getscheduler(thread) != SCHED_OTHER)
    fprintf(stderr, "policy %d of thread %s", sched_getscheduler(thread), name);
  CHECK(sched_getscheduler(thread) == SCHED_OTHER);
  CHECK(getpriority(PRIO_PROCESS, (id_t)thread) == 3);
  CHECK(is_blocked(blocked, SIGTERM) && is_blocked(blocked, SIGUSR1) && is_blocked(blocked, SIGALRM));
  CHECK(!is_blocked(blocked, SIGSEGV) && !is_blocked(blocked, SIGBUS) && !is_blocked(blocked, SIGFPE));
}

static void release(void *user, cuframes_frame *frame, int error) {
  (void)user, (void)error;
  cuframes_frame_release(frame);
}

/* The first thread of a child that ends, since nothing takes its policy back. */
static void run_realtime(int test, void *unused) {
  const struct sched_param first = { .sched_priority = 10 };
  int fd;
  (void)unused;
  CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0);
  CHECK(sched_setscheduler(0, SCHED_FIFO, &first) == 0);
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *called = subscriber_new("s", CUFRAMES_MODE_NEWEST),
                      *polled = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_subscriber_start(called, release, NULL));
  CHECK_OK(cuframes_subscriber_fd(polled, &fd));
  CHECK(each_thread(is_ordinary) == 4); /* serve, watch, notify, call */
  cuframes_subscriber_destroy(called);
  cuframes_subscriber_destroy(polled);
  cuframes_publisher_destroy(publisher);
  say(test, 0);
}

static void the_library_takes_no_priority(void **state) {
  (void)state;
  need_realtime();
  child *realtime = child_start(run_realtime, NULL);
  (void)hear(realtime->fd);
  child_finish(realtime);
}

/* ---- one processor ---- */

enum { SITTING = 32, LEAVERS = 1500 };

static void come_and_go(int test, void *unused) {
  (void)unused;
  static raw_seat sitting[SITTING], leaver;
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  (void)hear(test);
  for (int i = 0; i < SITTING; i++) /* the publisher looks at all of them, and so for longer */
    raw_join(&sitting[i], "s", &hello);
  say(test, 0);
  for (int i = 0; i < LEAVERS; i++) {
    raw_join(&leaver, "s", &hello);
    raw_leave(&leaver);
  }
  for (int i = 0; i < SITTING; i++)
    raw_leave(&sitting[i]);
  say(test, 0);
}

static void take_priority(pid_t thread, const char *name) {
  const struct sched_param first = { .sched_priority = 10 };
  if (strncmp(name, "cuframes-serve", 14) == 0)
    CHECK(sched_setscheduler(thread, SCHED_FIFO, &first) == 0); /* as a program may do that means well */
}

static bool said(int fd) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  return poll(&ready, 1, 0) == 1;
}

/* Publishes as fast as it can, on the processor that the service thread has; the longest time that it took, in us. */
static void run_publisher(int test, void *user) {
  cpu_set_t one;
  int64_t longest = 0;
  (void)user;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.max_slots = 512;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK(each_thread(take_priority) == 1);
  say(test, 0);
  while (!said(test)) {
    cuframes_frame *frame = NULL;
    int64_t start = cuframes_now();
    if (cuframes_publisher_acquire(publisher, &frame) == CUFRAMES_OK)
      CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
    int64_t took = cuframes_now() - start;
    longest = took > longest ? took : longest;
  }
  (void)hear(test);
  cuframes_publisher_destroy(publisher);
  say(test, (uint64_t)longest / 1000);
}

static void who_leaves_keeps_no_frame_waiting(void **state) {
  (void)state;
  need_realtime();
  child *visitors = child_start(come_and_go, NULL), *publisher = child_start(run_publisher, NULL);
  (void)hear(publisher->fd);
  say(visitors->fd, 0);
  (void)hear_of_many(visitors->fd);
  (void)hear_of_many(visitors->fd);
  child_finish(visitors);
  say(publisher->fd, 0);
  SOON((int64_t)hear(publisher->fd) * 1000, 300); /* a real-time thread that spins has a processor for 950 ms */
  child_finish(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_library_takes_no_priority),
    FIXTURE(who_leaves_keeps_no_frame_waiting),
  };
  return FIXTURE_RUN("priorities", tests);
}
