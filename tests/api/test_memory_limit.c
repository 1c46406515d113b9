/* test_memory_limit.c - a publisher in a control group with little memory: what does not fit is refused with a
 * sentence, and the process lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/stream.h"

#define MIB (UINT64_C(1) << 20)
#define LIMIT (128 * MIB)

/* A group of our own below the one we are in, of whichever version there is; "": none can be made. */
static char group[512];
static const char *limit_file;

static bool write_number(const char *file, unsigned long long number) {
  char path[600], text[32];
  snprintf(path, sizeof path, "%s/%s", group, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  int length = snprintf(text, sizeof text, "%llu", number);
  bool written = fd >= 0 && write(fd, text, (size_t)length) == length;
  int error = errno;
  if (fd >= 0)
    close(fd);
  errno = error;
  return written;
}

static bool make_in(const char *mount, const char *file) {
  char line[512], path[256] = "";
  bool v1 = strcmp(file, "memory.limit_in_bytes") == 0;
  FILE *groups = fopen("/proc/self/cgroup", "re");
  if (!groups)
    return false;
  while (fgets(line, sizeof line, groups)) {
    char *at = strstr(line, v1 ? ":memory:" : "0::");
    if (at && (v1 || at == line))
      snprintf(path, sizeof path, "%.*s", (int)strcspn(at + (v1 ? 8 : 3), "\n"), at + (v1 ? 8 : 3));
  }
  fclose(groups);
  snprintf(group, sizeof group, "%s%s/cuframes-test-%d", mount, path, (int)getpid());
  if (mkdir(group, 0755) != 0)
    return false;
  limit_file = file;
  if (write_number(file, LIMIT))
    return true;
  int error = errno;
  rmdir(group);
  errno = error;
  return false;
}

static void need_group(void) {
  if (!make_in("/sys/fs/cgroup/memory", "memory.limit_in_bytes") && !make_in("/sys/fs/cgroup", "memory.max"))
    skip_because("needs the right to make a control group with a memory limit (%s)", strerror(errno));
}

static void group_end(void) {
  WAIT_FOR(rmdir(group) == 0 || errno != EBUSY); /* who ended in it may count for a moment */
}

static cuframes_format large_format(void) { /* 8 MiB a frame */
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 4096, .height = 2048 };
}

/* Frames that are held want more slots than there is memory for. */
static void run_growing(int test, void *unused) {
  (void)unused;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL, *refused = NULL;
  (void)hear(test); /* it is in the group now */
  options.format = large_format();
  options.slots = 20; /* 160 MiB */
  CHECK_RESULT(cuframes_publisher_create("t", &options, &refused), CUFRAMES_ERR_NO_MEMORY);
  detail_names("control group");
  detail_names("128 MiB");
  options.slots = 4;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  say(test, 0);
  while (hear(test) != 0) {
    cuframes_frame *frame = NULL;
    int result = cuframes_publisher_acquire(publisher, &frame);
    if (result == CUFRAMES_OK)
      CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
    say(test, result == CUFRAMES_OK ? 0 : (uint64_t)-result);
  }
  CHECK(publisher_stats(publisher).memory_bytes < LIMIT);
  cuframes_publisher_destroy(publisher);
}

static void a_pool_grows_no_further(void **state) {
  (void)state;
  enum { HOLDERS = 8, HELD = 4 }; /* 256 MiB if all were given */
  cuframes_subscriber *holder[HOLDERS];
  cuframes_frame *held[HOLDERS * HELD];
  int count = 0;
  need_group();
  child *publisher = child_start(run_growing, NULL);
  CHECK(write_number("cgroup.procs", (unsigned long long)publisher->pid));
  say(publisher->fd, 0);
  (void)hear(publisher->fd);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  options.leases = HELD;
  for (int i = 0; i < HOLDERS; i++)
    holder[i] = subscriber_join("s", &options);
  int64_t end = cuframes_now() + patience();
  for (int dropped = 0; dropped < 100 && cuframes_now() < end;) { /* it was asked for more, for long */
    say(publisher->fd, 1);
    uint64_t error = hear(publisher->fd); /* it lives */
    CHECK(error == 0 || error == -CUFRAMES_ERR_DROPPED);
    dropped += error != 0;
    cuframes_frame *frame = NULL;
    if (error == 0 && cuframes_subscriber_next(holder[count % HOLDERS], patience(), &frame) == CUFRAMES_OK)
      held[count++] = frame;
    pause_ms(error != 0 ? 5 : 0);
  }
  CHECK(count >= 4 && count < HOLDERS * HELD); /* some were had, and not all that may be held */
  say(publisher->fd, 0);
  child_finish(publisher);
  for (int i = 0; i < count; i++)
    cuframes_frame_release(held[i]);
  for (int i = 0; i < HOLDERS; i++)
    cuframes_subscriber_destroy(holder[i]);
  group_end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_pool_grows_no_further),
  };
  return FIXTURE_RUN("memory_limit", tests);
}
