/* test_rlimits.c - limits of the process and filters of system calls: what cannot be had is an error in words, never
 * the end of the program, and signals are left as they are.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/child.h"
#include "support/rights.h"
#include "support/stream.h"

#define SOMEBODY 12345

static void limit_set(int resource, rlim_t value) {
  struct rlimit limit;
  CHECK(getrlimit(resource, &limit) == 0);
  limit.rlim_cur = value;
  CHECK(setrlimit(resource, &limit) == 0);
}

/* Publishes a frame and takes it: the first failure. */
static int live(void) {
  cuframes_publisher_options options = publisher_options();
  cuframes_subscriber_options joining = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_publisher *publisher = NULL;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  int result = cuframes_publisher_create("s", &options, &publisher);
  if (result == CUFRAMES_OK)
    result = picture_publish(publisher, 1);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_create("s", &joining, &subscriber);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_next(subscriber, patience(), &frame);
  if (result == CUFRAMES_OK) {
    CHECK(picture_number(frame) == 1);
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  return result;
}

/* ---- sizes of files ---- */

static void publish_small(int test, void *unused) {
  (void)unused;
  limit_set(RLIMIT_FSIZE, 0);
  CHECK_RESULT(live(), CUFRAMES_ERR_NO_MEMORY);
  detail_names("ulimit -f");
  limit_set(RLIMIT_FSIZE, 16 << 10); /* room for the control page, and for no slots */
  CHECK_RESULT(live(), CUFRAMES_ERR_NO_MEMORY);
  detail_names("ulimit -f");
  limit_set(RLIMIT_FSIZE, RLIM_INFINITY);
  CHECK_OK(live());
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.reserve = CUFRAMES_RESERVE_FULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  pictures_publish(publisher, 1, 1);
  limit_set(RLIMIT_FSIZE, 16 << 10);
  say(test, 0);
  (void)hear(test);
  pictures_publish(publisher, 2, 1);
  cuframes_publisher_destroy(publisher);
  struct sigaction action;
  CHECK(sigaction(SIGXFSZ, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
}

static void a_limit_of_file_sizes_ends_nobody(void **state) {
  (void)state;
  child *process = child_start(publish_small, NULL);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *none = NULL;
  (void)hear(process->fd);
  options.leases = 12; /* more slots than there are */
  CHECK_RESULT(cuframes_subscriber_create("s", &options, &none), CUFRAMES_ERR_NO_MEMORY);
  options.leases = 2;
  CHECK_OK(cuframes_subscriber_create("s", &options, &none)); /* who fits joins */
  cuframes_subscriber_destroy(none);
  say(process->fd, 0);
  child_finish(process);
}

/* ---- threads and addresses ---- */

static void live_without_threads(int test, void *unused) {
  (void)test, (void)unused;
  CHECK(setgid(SOMEBODY) == 0 && setuid(SOMEBODY) == 0);
  limit_set(RLIMIT_NPROC, 0);
  int result = live();
  CHECK(result == CUFRAMES_ERR_SYSTEM || result == CUFRAMES_ERR_NO_MEMORY);
  detail_names("thread");
}

static void without_threads_there_is_no_publisher(void **state) {
  (void)state;
  need_other_users();
  assert_int_equal(chown(fixture_directory(), SOMEBODY, SOMEBODY), 0);
  child_finish(child_start(live_without_threads, NULL));
  assert_int_equal(chown(fixture_directory(), 0, 0), 0);
}

static void live_in_little(int test, void *unused) {
  (void)test, (void)unused;
  struct rlimit before;
  CHECK(getrlimit(RLIMIT_AS, &before) == 0);
  for (rlim_t more = 0; more <= 64 << 20; more += 1 << 20) {
    char line[64] = "";
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file && fgets(line, sizeof line, file) && sscanf(line, "%lu", &pages) == 1);
    fclose(file);
    limit_set(RLIMIT_AS, pages * 4096 + more);
    int result = live();
    limit_set(RLIMIT_AS, before.rlim_cur);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_NO_MEMORY || result == CUFRAMES_ERR_SYSTEM);
    CHECK(result == CUFRAMES_OK || cuframes_last_error()[0] != '\0');
    if (result == CUFRAMES_OK && more > 0)
      return;
  }
  CHECK(!"it never worked");
}

static void a_limit_of_addresses_is_an_error(void **state) {
  (void)state;
  if (getenv("CUFRAMES_SANITIZE") && getenv("CUFRAMES_SANITIZE")[0])
    skip_because("needs its addresses for itself: the sanitizer takes most of them");
  child_finish(child_start(live_in_little, NULL));
}

/* ---- filters ---- */

static void live_filtered(int test, void *argument) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, *(const uint32_t *)argument, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = sizeof filter / sizeof *filter, .filter = filter };
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
  int result = live();
  if (result != CUFRAMES_OK)
    CHECK(result < 0 && cuframes_last_error()[0] != '\0');
  say(test, (uint64_t)-result);
}

/* Each alone is refused to a process that publishes and reads: it works without, or says so. */
static void a_refused_call_is_an_error_or_done_without(void **state) {
  (void)state;
  static const struct {
    uint32_t number;
    bool needed;
  } calls[] = {
    { SYS_memfd_create, true },  { SYS_ftruncate, true },  { SYS_fallocate, false },  { SYS_socket, true },
    { SYS_bind, true },          { SYS_listen, true },     { SYS_accept4, true },     { SYS_connect, true },
    { SYS_shutdown, false },     { SYS_setsockopt, true }, { SYS_getsockopt, true },  { SYS_recvmsg, true },
    { SYS_prlimit64, false },    { SYS_ioctl, false },     { SYS_pidfd_open, false }, { SYS_flock, true },
    { SYS_epoll_create1, true }, { SYS_eventfd2, true },   { SYS_openat, true },
  };
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    child *process = child_start(live_filtered, (void *)&calls[i].number);
    uint64_t code = hear(process->fd);
    if (!calls[i].needed && code != 0 && calls[i].number != SYS_fallocate) /* which may be emulated by writing */
      fail_msg("without call %u: %s", calls[i].number, cuframes_strerror(-(int)code));
    child_finish(process);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_limit_of_file_sizes_ends_nobody),
    FIXTURE(without_threads_there_is_no_publisher),
    FIXTURE(a_limit_of_addresses_is_an_error),
    FIXTURE(a_refused_call_is_an_error_or_done_without),
  };
  return FIXTURE_RUN("rlimits", tests);
}
