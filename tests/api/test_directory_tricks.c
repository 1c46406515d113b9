/* test_directory_tricks.c - somebody else may write into the runtime directory, or had its name before us: links that
 * lead elsewhere, files of strangers, things that are no sockets. Nothing of ours is lost to them, and nobody waits.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link/channel.h"
#include "support/child.h"
#include "support/rights.h"
#include "support/stream.h"

#define STRANGER 12345

static int publish_in(const char *directory) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.directory = directory;
  int result = cuframes_publisher_create("s", &options, &publisher);
  cuframes_publisher_destroy(publisher);
  return result;
}

static int join(void) {
  cuframes_subscriber *none = NULL;
  return cuframes_subscriber_create("s", NULL, &none);
}

static void file_make(const char *path, uid_t owner, mode_t mode) {
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
  CHECK(fd >= 0 && fchmod(fd, mode) == 0 && fchown(fd, owner, owner) == 0 && write(fd, "kept", 4) == 4);
  close(fd);
}

static off_t file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? status.st_size : -1;
}

/* A link at the directory's place must be ours or root's: a stranger could turn it round at any time. */
static void a_strangers_link_is_no_directory(void **state) {
  (void)state;
  need_other_users();
  char link[520];
  snprintf(link, sizeof link, "%s", fixture_path("link"));
  assert_int_equal(mkdir(fixture_path("target"), 0700), 0);
  file_make(fixture_path("target/s.lock"), 0, 0600);
  file_make(fixture_path("target/s.sock"), 0, 0600);
  assert_int_equal(symlink("target", link), 0);
  assert_int_equal(lchown(link, STRANGER, STRANGER), 0);
  CHECK_RESULT(publish_in(link), CUFRAMES_ERR_DIRECTORY);
  detail_names("link");
  detail_names("12345");
  strcat(link, "//"); /* neither does writing it in another way help */
  CHECK_RESULT(publish_in(link), CUFRAMES_ERR_DIRECTORY);
  link[strlen(link) - 2] = '\0';
  assert_int_equal(file_size(fixture_path("target/s.lock")), 4); /* what lies there is left alone */
  assert_int_equal(file_size(fixture_path("target/s.sock")), 4);
  assert_int_equal(lchown(link, 0, 0), 0);
  CHECK_OK(publish_in(link)); /* ours may be a link, as /var/run is */
  assert_int_equal(unlink(link), 0);
  assert_int_equal(rmdir(fixture_path("target")), 0);
}

/* In a directory like /tmp a stranger can take a name first, but no more than that. */
static void hold_strangers_lock(int test, void *unused) {
  (void)unused;
  CHECK(setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
  (void)hear(test);
  int fd = open(fixture_path("s.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
  say(test, 0);
  (void)hear(test);
  close(fd);
  say(test, 0);
  (void)hear(test);
  CHECK(unlink(fixture_path("t.sock")) != 0 &&
        unlink(fixture_path("t.lock")) != 0); /* the publisher's, and the sticky bit */
  CHECK(rename(fixture_path("t.sock"), fixture_path("u.sock")) != 0);
  (void)unlink(fixture_path("s.lock")); /* its own */
}

static void a_strangers_lock_is_a_name_in_use(void **state) {
  (void)state;
  need_other_users();
  child *stranger = child_start(hold_strangers_lock, NULL);
  assert_int_equal(chmod(fixture_directory(), 01777), 0);
  say(stranger->fd, 0);
  (void)hear(stranger->fd);
  int64_t start = cuframes_now();
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_NAME_IN_USE);
  SOON(cuframes_now() - start, 1000);
  CHECK_RESULT(join(), CUFRAMES_ERR_NO_SUCH_STREAM);
  cuframes_publisher *other = publisher_new("t");
  say(stranger->fd, 0);
  (void)hear(stranger->fd);
  say(stranger->fd, 0);
  child_finish(stranger);
  cuframes_subscriber_destroy(subscriber_new("t", CUFRAMES_MODE_NEWEST));
  cuframes_publisher_destroy(other);
}

static void what_is_no_socket_is_no_stream(void **state) {
  (void)state;
  cuframes_streams *streams = NULL;
  file_make(fixture_path("s.sock"), geteuid(), 0600);
  CHECK_RESULT(join(), CUFRAMES_ERR_NO_SUCH_STREAM);
  assert_int_equal(unlink(fixture_path("s.sock")), 0);
  assert_int_equal(mkfifo(fixture_path("s.sock"), 0600), 0);
  CHECK_RESULT(join(), CUFRAMES_ERR_NO_SUCH_STREAM);
  assert_int_equal(symlink("s.sock", fixture_path("loop.sock")), 0);
  assert_int_equal(unlink(fixture_path("s.sock")), 0);
  assert_int_equal(symlink("loop.sock", fixture_path("s.sock")), 0);
  int result = join(); /* a loop of links */
  assert_true(result == CUFRAMES_ERR_NO_SUCH_STREAM || result == CUFRAMES_ERR_SYSTEM);
  assert_int_equal(mkfifo(fixture_path("s.lock"), 0600), 0); /* nobody ever opens its other end */
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  assert_int_equal(streams->count, 0); /* what has a lock that nobody holds was swept, and the loop leads nowhere */
  cuframes_streams_free(streams);
  assert_int_equal(unlink(fixture_path("loop.sock")), 0);
  assert_int_equal(fixture_files(), 0);
  assert_int_equal(mkfifo(fixture_path("s.lock"), 0600), 0);
  int64_t start = cuframes_now();
  result = publish_in(NULL);
  SOON(cuframes_now() - start, 1000);
  CHECK_RESULT(result, CUFRAMES_OK); /* it can be locked, and that is all that is asked of it */
}

/* A publisher that listens and never accepts: its queue is full, and whoever connects waits its time and no more. */
static void a_queue_that_stays_full_is_waited_for_in_time(void **state) {
  (void)state;
  int listener = -1, fds[200], count = 0;
  CHECK_OK(cf_listen(-1, fixture_path("s.sock"), 0600, 0, &listener));
  while (count < 200 &&
         cf_connect(-1, fixture_path("s.sock"), "s", cuframes_now() + 2 * MS, NULL, &fds[count]) == CUFRAMES_OK)
    count++;
  CHECK_BETWEEN(count, 100, 199);
  int64_t start = cuframes_now();
  CHECK_RESULT(join(), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 1900, 3000);
  while (count > 0)
    close(fds[--count]);
  close(listener);
  assert_int_equal(unlink(fixture_path("s.sock")), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_strangers_link_is_no_directory),
    FIXTURE(a_strangers_lock_is_a_name_in_use),
    FIXTURE(what_is_no_socket_is_no_stream),
    FIXTURE(a_queue_that_stays_full_is_waited_for_in_time),
  };
  return FIXTURE_RUN("directory_tricks", tests);
}
