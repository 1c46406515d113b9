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
  cuframes_stream_entry *entries = NULL;
  size_t count = 0;
  int result = cuframes_stream_list(directory, patience(), &entries, &count);
  cuframes_stream_list_free(entries, count);
  return result;
}

static void the_option_goes_before_the_environment(void **state) {
  (void)state;
  char path[256], tiny[8] = "unchang";
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  OK(cuframes_directory_find(path, sizeof path));
  assert_string_equal(path, scene_directory());
  IS(cuframes_directory_find(tiny, sizeof tiny), CUFRAMES_ERR_INVALID);
  assert_string_equal(tiny, "unchang");
  IS(cuframes_directory_find(path, strlen(scene_directory())), CUFRAMES_ERR_INVALID);
  OK(cuframes_directory_find(path, strlen(scene_directory()) + 1));
  const char *other = scene_path("other");
  options.directory = other;
  OK(cuframes_publisher_create("s", &options, &publisher)); /* it makes the directory, for itself alone */
  struct stat status;
  assert_int_equal(stat(other, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0700);
  assert_int_equal(access(scene_path("other/s.sock"), F_OK), 0);
  IS(subscribe_in(NULL), CUFRAMES_ERR_NO_SUCH_STREAM);
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
  setenv("XDG_RUNTIME_DIR", scene_directory(), 1);
  OK(cuframes_directory_find(path, sizeof path));
  snprintf(expected, sizeof expected, "%s/cuframes", scene_directory());
  assert_string_equal(path, shared ? "/run/cuframes" : expected);
  unsetenv("XDG_RUNTIME_DIR");
  OK(cuframes_directory_find(path, sizeof path));
  snprintf(expected, sizeof expected, "/tmp/cuframes-%u", (unsigned)geteuid());
  assert_string_equal(path, shared ? "/run/cuframes" : expected);
  setenv("CUFRAMES_DIR", "", 1); /* empty is as good as none */
  OK(cuframes_directory_find(path, sizeof path));
  assert_string_equal(path, shared ? "/run/cuframes" : expected);
  if (session_before)
    setenv("XDG_RUNTIME_DIR", session_before, 1);
  free(session_before);
}

static void places_that_cannot_be_are_refused(void **state) {
  (void)state;
  char long_path[300];
  memset(long_path, 'd', sizeof long_path - 1);
  memcpy(long_path, "/tmp/", 5);
  long_path[sizeof long_path - 1] = '\0';
  IS(publish_in(long_path), CUFRAMES_ERR_DIRECTORY); /* longer than any path we take */
  IS(subscribe_in(long_path), CUFRAMES_ERR_DIRECTORY);
  IS(list_in(long_path), CUFRAMES_ERR_DIRECTORY);
  long_path[120] = '\0'; /* a path, but not for a socket */
  IS(publish_in(long_path), CUFRAMES_ERR_DIRECTORY);
  detail_names("shorter");
  IS(subscribe_in(long_path), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(access(long_path, F_OK), -1);

  int fd = open(scene_path("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  close(fd);
  IS(publish_in(scene_path("file")), CUFRAMES_ERR_DIRECTORY);
  detail_names("file");
  IS(subscribe_in(scene_path("file")), CUFRAMES_ERR_NO_SUCH_STREAM);
  IS(list_in(scene_path("file")), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(unlink(scene_path("file")), 0);

  IS(publish_in(scene_path("no/such")), CUFRAMES_ERR_DIRECTORY);
  IS(subscribe_in(scene_path("no/such")), CUFRAMES_ERR_NO_SUCH_STREAM);
  OK(list_in(scene_path("no/such"))); /* no directory, no streams */
}

static void a_directory_that_anybody_may_write_must_be_sticky(void **state) {
  (void)state;
  assert_int_equal(chmod(scene_directory(), 0777), 0);
  IS(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("chmod o-w");
  assert_int_equal(chmod(scene_directory(), 01777), 0);
  OK(publish_in(NULL));
  assert_int_equal(chmod(scene_directory(), 0770), 0);
  OK(publish_in(NULL));
}

static void another_users_directory_is_refused(void **state) {
  (void)state;
  need_other_users();
  assert_int_equal(chown(scene_directory(), STRANGER, STRANGER), 0);
  IS(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("12345");
  detail_names("CUFRAMES_DIR");
  assert_int_equal(scene_files(), 0);
  assert_int_equal(chown(scene_directory(), 0, 0), 0);
}

static void publish_as_nobody(int test, void *unused) {
  (void)unused;
  NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
  IS(publish_in(NULL), CUFRAMES_ERR_DIRECTORY); /* root's, which is trusted, but closed to us */
  detail_names("s.lock");
  IS(publish_in(scene_path("below")), CUFRAMES_ERR_DIRECTORY);
  say(test, 0);
  (void)hear(test);
  IS(publish_in(NULL), CUFRAMES_ERR_NAME_IN_USE); /* root's lock file is there: it may well be alive */
  OK(list_in(NULL));
}

static void a_directory_that_cannot_be_written_is_refused(void **state) {
  (void)state;
  need_other_users();
  assert_int_equal(chmod(scene_directory(), 0755), 0);
  child *nobody = child_start(publish_as_nobody, NULL);
  (void)hear(nobody->fd);
  cuframes_publisher *publisher = publisher_new("s");
  say(nobody->fd, 0);
  child_finish(nobody);
  assert_int_equal(scene_files(), 2); /* nor did its list sweep anything */
  cuframes_publisher_destroy(publisher);
}

static void links_and_directories_in_the_way(void **state) {
  (void)state;
  int fd = open(scene_path("victim"), O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "kept", 4), 4);
  close(fd);
  assert_int_equal(symlink(scene_path("victim"), scene_path("s.lock")), 0);
  IS(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("s.lock");
  OK(list_in(NULL));
  assert_int_equal(unlink(scene_path("s.lock")), 0);

  assert_int_equal(symlink(scene_path("victim"), scene_path("s.sock")), 0);
  OK(publish_in(NULL)); /* the link goes, not what it points to */
  struct stat status;
  assert_int_equal(stat(scene_path("victim"), &status), 0);
  assert_int_equal(status.st_size, 4);
  assert_int_equal(status.st_mode & 0777, 0640);
  assert_int_equal(unlink(scene_path("victim")), 0);

  assert_int_equal(mkdir(scene_path("s.lock"), 0700), 0);
  IS(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  assert_int_equal(rmdir(scene_path("s.lock")), 0);
  assert_int_equal(mkdir(scene_path("s.sock"), 0700), 0);
  IS(publish_in(NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names("s.sock");
  assert_int_equal(rmdir(scene_path("s.sock")), 0);
  assert_int_equal(scene_files(), 0); /* a failed publisher leaves no lock file */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    SCENE(the_option_goes_before_the_environment), SCENE(without_either_there_is_a_default),
    SCENE(places_that_cannot_be_are_refused),      SCENE(a_directory_that_anybody_may_write_must_be_sticky),
    SCENE(another_users_directory_is_refused),     SCENE(a_directory_that_cannot_be_written_is_refused),
    SCENE(links_and_directories_in_the_way),
  };
  return SCENE_RUN("directory", tests);
}
