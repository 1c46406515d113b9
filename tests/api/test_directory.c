/* test_directory.c - the runtime directory: which one it is, and which ones are refused. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/rights.h"
#include "support/stream.h"

#define NOBODY 65534
#define STRANGER 12345

static int publish_in(const char *directory) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.directory = directory;
  int result = cuframes_publisher_create("s", &options, &publisher);
  cuframes_publisher_destroy(publisher);
  return result;
}

static int subscribe_in(const char *directory) {
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *none = NULL;
  options.directory = directory;
  return cuframes_subscriber_create("s", &options, &none);
}

static int list_in(const char *directory) {
  cuframes_streams *streams = NULL;
  int result = cuframes_stream_list(directory, patience(), &streams);
  cuframes_streams_free(streams);
  return result;
}

static void the_option_goes_before_the_environment(void **state) {
  (void)state;
  char path[256], tiny[8] = "unchang";
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  CHECK_OK(cuframes_directory_find(path, sizeof path));
  assert_string_equal(path, fixture_directory());
  CHECK_RESULT(cuframes_directory_find(tiny, sizeof tiny), CUFRAMES_ERR_INVALID);
  assert_string_equal(tiny, "unchang");
  CHECK_RESULT(cuframes_directory_find(path, strlen(fixture_directory())), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_directory_find(path, strlen(fixture_directory()) + 1));
  const char *other = fixture_path("other");
  options.directory = other;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher)); /* it makes the directory, for itself alone */
  struct stat status;
  assert_int_equal(stat(other, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0700);
  assert_int_equal(access(fixture_path("other/s.sock"), F_OK), 0);
  CHECK_RESULT(subscribe_in(NULL), CUFRAMES_ERR_NO_SUCH_STREAM);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(rmdir(other), 0); /* and leaves it empty */
}

static void without_either_there_is_a_default(void **state) {
  (void)state;
  char path[256], expected[256];
  unsetenv("CUFRAMES_DIR");
  bool shared = access("/run/cuframes", W_OK | X_OK) == 0;
  const char *session = getenv("XDG_RUNTIME_DIR");
  char *session_before = session ? strdup(session) : NULL;
  setenv("XDG_RUNTIME_DIR", fixture_directory(), 1);
  CHECK_OK(cuframes_directory_find(path, sizeof path));
  snprintf(expected, sizeof expected, "%s/cuframes", fixture_directory());
  assert_string_equal(path, shared ? "/run/cuframes" : expected);
  unsetenv("XDG_RUNTIME_DIR");
  CHECK_OK(cuframes_directory_find(path, sizeof path));
  snprintf(expected, sizeof expected, "/tmp/cuframes-%u", (unsigned)geteuid());
  assert_string_equal(path, shared ? "/run/cuframes" : expected);
  setenv("CUFRAMES_DIR", "", 1); /* empty is as good as none */
  CHECK_OK(cuframes_directory_find(path, sizeof path));
  assert_string_equal(path, shared ? "/run/cuframes" : expected);
  if (session_before)
    setenv("XDG_RUNTIME_DIR", session_before, 1);
  free(session_before);
}

static void places_that_cannot_be_are_refused(void **state) {
  (void)state;
  char long_path[300];
  memset(long_path, 'd', sizeof long_path - 1);
  const char *directory = fixture_directory();
  memcpy(long_path, directory, strlen(directory));
  long_path[strlen(directory)] = '/';
  long_path[sizeof long_path - 1] = '\0';
  CHECK_RESULT(publish_in(long_path), CUFRAMES_ERR_DIRECTORY); /* longer than any path we take */
  CHECK_RESULT(subscribe_in(long_path), CUFRAMES_ERR_DIRECTORY);
  CHECK_RESULT(list_in(long_path), CUFRAMES_ERR_DIRECTORY);
  long_path[120] = '\0'; /* longer than the address of a socket may be */
  CHECK_OK(publish_in(long_path));
  CHECK_RESULT(subscribe_in(long_path), CUFRAMES_ERR_NO_SUCH_STREAM);
  assert_int_equal(rmdir(long_path), 0);

  int fd = open(fixture_path("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  close(fd);
  CHECK_RESULT(publish_in(fixture_path("file")), CUFRAMES_ERR_DIRECTORY);
  detail_names("file");
  CHECK_RESULT(subscribe_in(fixture_path("file")), CUFRAMES_ERR_NO_SUCH_STREAM);
  CHECK_RESULT(list_in(fixture_path("file")), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(unlink(fixture_path("file")), 0);

  CHECK_RESULT(publish_in(fixture_path("no/such")), CUFRAMES_ERR_DIRECTORY);
  CHECK_RESULT(subscribe_in(fixture_path("no/such")), CUFRAMES_ERR_NO_SUCH_STREAM);
  cuframes_streams *streams = NULL; /* no directory, no streams */
  CHECK_OK(cuframes_stream_list(fixture_path("no/such"), patience(), &streams));
  assert_int_equal(streams->count, 0);
  cuframes_streams_free(streams);
}

static void a_directory_that_anybody_may_write_must_be_sticky(void **state) {
  (void)state;
  assert_int_equal(chmod(fixture_directory(), 0777), 0);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("chmod o-w");
  assert_int_equal(chmod(fixture_directory(), 01777), 0);
  CHECK_OK(publish_in(NULL));
  assert_int_equal(chmod(fixture_directory(), 0770), 0); /* a member could put a link in a socket's place */
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("chmod 3770");
  assert_int_equal(chmod(fixture_directory(), 03770), 0);
  CHECK_OK(publish_in(NULL));
}

static void another_users_directory_is_refused(void **state) {
  (void)state;
  need_other_users();
  assert_int_equal(chown(fixture_directory(), STRANGER, STRANGER), 0);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("12345");
  detail_names("CUFRAMES_DIR");
  assert_int_equal(fixture_files(), 0);
  assert_int_equal(chown(fixture_directory(), 0, 0), 0);
}

static void publish_as_nobody(int test, void *unused) {
  (void)unused;
  CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY); /* root's, which is trusted, but closed to us */
  detail_names("s.lock");
  CHECK_RESULT(publish_in(fixture_path("below")), CUFRAMES_ERR_DIRECTORY);
  say(test, 0);
  (void)hear(test);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_NAME_IN_USE); /* root's lock file is there: it may well be alive */
  CHECK_OK(list_in(NULL));
}

static void a_directory_that_cannot_be_written_is_refused(void **state) {
  (void)state;
  need_other_users();
  assert_int_equal(chmod(fixture_directory(), 0755), 0);
  child *nobody = child_start(publish_as_nobody, NULL);
  (void)hear(nobody->fd);
  cuframes_publisher *publisher = publisher_new("s");
  say(nobody->fd, 0);
  child_finish(nobody);
  assert_int_equal(fixture_files(), 2); /* nor did its list sweep anything */
  cuframes_publisher_destroy(publisher);
}

static void links_and_directories_in_the_way(void **state) {
  (void)state;
  int fd = open(fixture_path("victim"), O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "kept", 4), 4);
  close(fd);
  assert_int_equal(symlink(fixture_path("victim"), fixture_path("s.lock")), 0);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("s.lock");
  CHECK_OK(list_in(NULL));
  assert_int_equal(unlink(fixture_path("s.lock")), 0);

  assert_int_equal(symlink(fixture_path("victim"), fixture_path("s.sock")), 0);
  CHECK_OK(publish_in(NULL)); /* the link goes, not what it points to */
  struct stat status;
  assert_int_equal(stat(fixture_path("victim"), &status), 0);
  assert_int_equal(status.st_size, 4);
  assert_int_equal(status.st_mode & 0777, 0640);
  assert_int_equal(unlink(fixture_path("victim")), 0);

  assert_int_equal(mkdir(fixture_path("s.lock"), 0700), 0);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(rmdir(fixture_path("s.lock")), 0);
  assert_int_equal(mkdir(fixture_path("s.sock"), 0700), 0);
  CHECK_RESULT(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("s.sock");
  assert_int_equal(rmdir(fixture_path("s.sock")), 0);
  assert_int_equal(fixture_files(), 0); /* a failed publisher leaves no lock file */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_option_goes_before_the_environment), FIXTURE(without_either_there_is_a_default),
    FIXTURE(places_that_cannot_be_are_refused),      FIXTURE(a_directory_that_anybody_may_write_must_be_sticky),
    FIXTURE(another_users_directory_is_refused),     FIXTURE(a_directory_that_cannot_be_written_is_refused),
    FIXTURE(links_and_directories_in_the_way),
  };
  return FIXTURE_RUN("directory", tests);
}
