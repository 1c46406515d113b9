/* test_names.c - stream names and the runtime directory: what is refused, who holds a name, what the dead leave. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/stream.h"

#define SIXTY_THREE "a23456789-b23456789.c23456789_d23456789-e23456789-f23456789-g23"

static int publish_as(const char *name, const char *directory, cuframes_publisher **publisher) {
  cuframes_publisher_options options = publisher_options();
  options.directory = directory;
  return cuframes_publisher_create(name, &options, publisher);
}

static int subscribe_to(const char *name, const char *directory) {
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *subscriber = NULL;
  options.directory = directory;
  int result = cuframes_subscriber_create(name, &options, &subscriber);
  cuframes_subscriber_destroy(subscriber);
  return result;
}

static void bad_names_are_refused_everywhere(void **state) {
  (void)state;
  static const char *const names[] = {
    NULL,   "",      ".",      "..",    ".a",    "-a",     "_a",       "/",         "a/b",       "../a",
    "a b",  "a\n",   "a\x7f",  "a:b",   "a\\b",  "a%",     "\xc3\xa9", "a\xc3\xa9", "a\xff",     "a*",
    "a$b",  "a\tb",  " a",     "a ",    "a@b",   "a+b",    "a,b",      "a;b",       "@abstract", SIXTY_THREE "4",
    "a/..", "a\x01", "name\r", "(name", "nam'e", "nam\"e", "na~me",    "#",         "a\u200bb",
  };
  cuframes_publisher *publisher = NULL;
  cuframes_stream_info *info = NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    CHECK_RESULT(publish_as(names[i], NULL, &publisher), CUFRAMES_ERR_NAME);
    assert_true(strlen(cuframes_last_error()) > 20);
    CHECK_RESULT(subscribe_to(names[i], NULL), CUFRAMES_ERR_NAME);
    CHECK_RESULT(cuframes_stream_query(NULL, names[i], 0, &info), CUFRAMES_ERR_NAME);
  }
  assert_null(publisher);
  assert_null(info);
  char *endless = malloc(1 << 20);
  assert_non_null(endless);
  memset(endless, 'a', (1 << 20) - 1);
  endless[(1 << 20) - 1] = '\0';
  CHECK_RESULT(publish_as(endless, NULL, &publisher), CUFRAMES_ERR_NAME);
  free(endless);
  assert_int_equal(fixture_files(), 0);
}

static void good_names_are_listed_in_order(void **state) {
  (void)state;
  static const char *const names[] = { "0", "A", "Z.z_z-z", "a", SIXTY_THREE, "b..c", "con", "x.lock", "x.sock" };
  enum { COUNT = sizeof names / sizeof names[0] };
  cuframes_publisher *publishers[COUNT];
  cuframes_streams *streams = NULL;
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  assert_int_equal(streams->count, 0);
  cuframes_streams_free(streams);
  for (int i = COUNT - 1; i >= 0; i--)
    publishers[i] = publisher_new(names[i]);
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  assert_int_equal(streams->count, COUNT);
  for (int i = 0; i < COUNT; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    assert_string_equal(entry->name, names[i]);
    assert_int_equal(entry->error, CUFRAMES_OK);
    assert_null(entry->detail);
    assert_string_equal(entry->info->name, names[i]);
    assert_int_equal(entry->info->pid, getpid());
    CHECK_OK(subscribe_to(names[i], NULL));
  }
  cuframes_streams_free(streams);
  for (int i = 0; i < COUNT; i++)
    cuframes_publisher_destroy(publishers[i]);
}

static void hold_a_name(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_new("s");
  say(test, 0);
  (void)hear(test);
  cuframes_publisher_destroy(publisher);
}

static void a_living_publisher_keeps_its_name(void **state) {
  (void)state;
  child *holder = child_start(hold_a_name, NULL);
  cuframes_publisher *publisher = NULL;
  (void)hear(holder->fd);
  CHECK_RESULT(publish_as("s", NULL, &publisher), CUFRAMES_ERR_NAME_IN_USE);
  detail_names("\"s\"");
  detail_names(fixture_directory());
  CHECK_OK(publish_as("s2", NULL, &publisher));
  CHECK_RESULT(publish_as("s2", NULL, &(cuframes_publisher *){ NULL }),
               CUFRAMES_ERR_NAME_IN_USE); /* the same process */
  cuframes_publisher_destroy(publisher);
  CHECK_OK(subscribe_to("s", NULL)); /* nobody was disturbed */
  child_stop(holder);
  CHECK_RESULT(publish_as("s", NULL, &publisher), CUFRAMES_ERR_NAME_IN_USE); /* stopped is not dead */
  child_continue(holder);
  say(holder->fd, 0);
  child_finish(holder);
  CHECK_OK(publish_as("s", NULL, &publisher));
  cuframes_publisher_destroy(publisher);
}

static void what_the_dead_left_is_replaced(void **state) {
  (void)state;
  child *holder = child_start(hold_a_name, NULL);
  (void)hear(holder->fd);
  child_kill(holder);
  assert_int_equal(fixture_files(), 2);
  CHECK_RESULT(subscribe_to("s", NULL), CUFRAMES_ERR_NO_SUCH_STREAM);
  CHECK_RESULT(cuframes_stream_query(NULL, "s", patience(), &(cuframes_stream_info *){ NULL }),
               CUFRAMES_ERR_NO_SUCH_STREAM);
  cuframes_publisher *publisher = publisher_new("s");
  CHECK_OK(subscribe_to("s", NULL));
  cuframes_publisher_destroy(publisher);
}

static void file_make(const char *path) {
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "kept", 4), 4);
  close(fd);
}

static void file_remove_kept(const char *path) {
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_size, 4);
  assert_int_equal(unlink(path), 0);
}

static void list_sweeps_the_dead_and_nothing_else(void **state) {
  (void)state;
  child *holder = child_start(hold_a_name, NULL);
  cuframes_streams *streams = NULL;
  (void)hear(holder->fd);
  child_kill(holder);
  cuframes_publisher *publisher = publisher_new("alive");
  file_make(fixture_path("notes.txt"));
  file_make(fixture_path("orphan.sock"));
  file_make(fixture_path(".hidden.sock"));
  file_make(fixture_path("bad name.sock"));
  file_make(fixture_path("program.lock"));
  close(
      open(fixture_path("early.lock"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)); /* who died before it listened */
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  assert_int_equal(streams->count, 1);
  assert_string_equal(streams->entries[0]->name, "alive");
  cuframes_streams_free(streams);
  assert_int_equal(access(fixture_path("s.sock"), F_OK), -1);
  assert_int_equal(access(fixture_path("s.lock"), F_OK), -1);
  assert_int_equal(access(fixture_path("early.lock"), F_OK), -1);
  file_remove_kept(fixture_path("program.lock"));
  file_remove_kept(fixture_path("notes.txt"));
  file_remove_kept(fixture_path("orphan.sock"));
  file_remove_kept(fixture_path(".hidden.sock"));
  file_remove_kept(fixture_path("bad name.sock"));
  CHECK_OK(subscribe_to("alive", NULL));
  cuframes_publisher_destroy(publisher);
}

#define ROUNDS 150

/* Whoever has the name makes a file that nobody else may have made. */
static void fight_for_the_name(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  uint64_t won = 0;
  for (int i = 0; i < ROUNDS; i++) {
    cuframes_publisher *publisher = NULL;
    int result = publish_as("s", NULL, &publisher);
    if (result == CUFRAMES_ERR_NAME_IN_USE)
      continue;
    CHECK_OK(result);
    int fd = open(fixture_path("mine"), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK_OK(subscribe_to("s", NULL));
    CHECK(unlink(fixture_path("mine")) == 0);
    won++;
    cuframes_publisher_destroy(publisher);
  }
  say(test, won);
}

static void list_all_the_time(int test, void *unused) {
  (void)unused;
  uint64_t times = hear(test);
  for (uint64_t i = 0; i < times; i++) {
    cuframes_streams *streams = NULL;
    CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
    cuframes_streams_free(streams);
  }
  say(test, 1);
}

static void only_one_at_a_time_has_a_name(void **state) {
  (void)state;
  child *fighters[4];
  for (int i = 0; i < 4; i++)
    fighters[i] = child_start(i == 3 ? list_all_the_time : fight_for_the_name, NULL);
  for (int i = 0; i < 4; i++)
    say(fighters[i]->fd, ROUNDS);
  uint64_t won = 0;
  for (int i = 0; i < 4; i++) {
    won += hear(fighters[i]->fd);
    child_finish(fighters[i]);
  }
  assert_true(won > 4);
}

static void die_at_once(int test, void *unused) {
  (void)unused;
  (void)publisher_new("s");
  say(test, 0);
  (void)hear(test);
}

static void looking_never_takes_the_name_from_one_who_starts(void **state) {
  (void)state;
  child *lister = child_start(list_all_the_time, NULL), *dead;
  say(lister->fd, 3000);
  for (int i = 0; i < 60; i++) {
    dead = child_start(die_at_once, NULL);
    (void)hear(dead->fd); /* it started, beside what the one before it left */
    child_kill(dead);
  }
  (void)hear(lister->fd);
  child_finish(lister);
  cuframes_publisher_destroy(publisher_new("s"));
}

static void hold_the_lock_for_a_moment(int test, void *unused) {
  (void)unused;
  int fd = open(fixture_path("s.lock"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
  say(test, 0);
  pause_ms(5); /* as long as a sweep that was held up */
  CHECK(unlink(fixture_path("s.lock")) == 0);
}

static void a_lock_held_for_a_moment_is_no_publisher(void **state) {
  (void)state;
  child *sweeper = child_start(hold_the_lock_for_a_moment, NULL);
  (void)hear(sweeper->fd);
  cuframes_publisher *publisher = publisher_new("s");
  child_finish(sweeper);
  CHECK_OK(subscribe_to("s", NULL));
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(bad_names_are_refused_everywhere),         FIXTURE(good_names_are_listed_in_order),
    FIXTURE(a_living_publisher_keeps_its_name),        FIXTURE(what_the_dead_left_is_replaced),
    FIXTURE(list_sweeps_the_dead_and_nothing_else),    FIXTURE(only_one_at_a_time_has_a_name),
    FIXTURE(a_lock_held_for_a_moment_is_no_publisher), FIXTURE(looking_never_takes_the_name_from_one_who_starts),
  };
  return FIXTURE_RUN("names", tests);
}
