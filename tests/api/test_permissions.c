/* test_permissions.c - who may join, what one who may not gets to see, and what one who may cannot do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/rights.h"
#include "support/stream.h"

#define NOBODY 65534
#define ALLOWED 12345
#define ALLOWED_GROUP 23456

static mode_t mode_of(const char *path) {
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  return status.st_mode & 07777;
}

static void the_socket_has_the_mode_that_was_asked_for(void **state) {
  (void)state;
  static const mode_t modes[] = { 0, 0600, 0666, 0606 };
  mode_t before = umask(077); /* whatever the program's is */
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    cuframes_publisher_options options = publisher_options();
    cuframes_publisher *publisher = NULL;
    options.socket_mode = modes[i];
    umask(i % 2 ? 0 : 077);
    CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
    assert_int_equal(mode_of(fixture_path("s.sock")), modes[i] ? modes[i] : 0660);
    assert_int_equal(mode_of(fixture_path("s.lock")), 0600);
    cuframes_publisher_destroy(publisher);
  }
  umask(before);
}

static void the_socket_has_the_group_that_was_asked_for(void **state) {
  (void)state;
  need_other_users();
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  struct stat status;
  options.socket_gid = ALLOWED_GROUP;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  assert_int_equal(stat(fixture_path("s.sock"), &status), 0);
  assert_int_equal(status.st_gid, ALLOWED_GROUP);
  assert_int_equal(status.st_uid, 0);
  cuframes_publisher_destroy(publisher);
}

static void only_a_group_can_be_given(void **state) {
  (void)state;
  static const int64_t wrong[] = { -1, -5, UINT32_MAX, INT64_C(1) << 40, INT64_MAX, INT64_MIN };
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *none = NULL;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    options.socket_gid = wrong[i];
    CHECK_RESULT(cuframes_publisher_create("s", &options, &none), CUFRAMES_ERR_INVALID);
    detail_names("socket_gid");
  }
}

typedef struct user {
  uid_t uid;
  gid_t gid;
  int expected;
} user;

/* Becomes a user and tries to join and to look. */
static void join_as(int test, void *argument) {
  const user *u = argument;
  cuframes_subscriber *subscriber = NULL;
  cuframes_stream_info *info = NULL;
  CHECK(setgid(u->gid) == 0 && setuid(u->uid) == 0);
  (void)hear(test);
  CHECK_RESULT(cuframes_subscriber_create("s", NULL, &subscriber), u->expected);
  if (u->expected == CUFRAMES_OK)
    CHECK(frame_look(subscriber) == 1);
  cuframes_subscriber_destroy(subscriber);
  CHECK_RESULT(cuframes_stream_query(NULL, "s", patience(), &info), u->expected);
  if (u->expected != CUFRAMES_OK)
    detail_names(u->uid == NOBODY ? "65534" : "s");
  cuframes_stream_info_free(info);
}

static void run_users(const user *users, size_t count, const cuframes_publisher_options *options) {
  child *children[8];
  cuframes_publisher *publisher = NULL;
  assert_int_equal(chmod(fixture_directory(), 0755), 0);
  for (size_t i = 0; i < count; i++)
    children[i] = child_start(join_as, (void *)&users[i]);
  CHECK_OK(cuframes_publisher_create("s", options, &publisher));
  pictures_publish(publisher, 1, 1);
  for (size_t i = 0; i < count; i++) {
    say(children[i]->fd, 0);
    child_finish(children[i]);
  }
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void the_allow_list_says_who_gets_in(void **state) {
  (void)state;
  need_other_users();
  static const uint32_t uids[] = { 1, ALLOWED }, gids[] = { ALLOWED_GROUP };
  static const user users[] = {
    { ALLOWED, NOBODY, CUFRAMES_OK },
    { 777, ALLOWED_GROUP, CUFRAMES_OK },
    { 0, 0, CUFRAMES_OK }, /* the publisher's own user */
    { NOBODY, NOBODY, CUFRAMES_ERR_PERMISSION },
    { NOBODY, 0, CUFRAMES_ERR_PERMISSION }, /* groups are not as users */
  };
  cuframes_publisher_options options = publisher_options();
  options.socket_mode = 0666;
  options.access = CUFRAMES_ACCESS_LISTED;
  options.allow_uids = uids;
  options.allow_uid_count = 2;
  options.allow_gids = gids;
  options.allow_gid_count = 1;
  run_users(users, 5, &options);
}

static void an_empty_allow_list_lets_only_ourselves_in(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.access = CUFRAMES_ACCESS_LISTED; /* a std::vector without elements has no address either */
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber_destroy(subscriber_new("s", CUFRAMES_MODE_NEWEST));
  cuframes_publisher_destroy(publisher);
  options.allow_gid_count = 1; /* a count without a list */
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID);
  static const uint32_t ours[1] = { 0 };
  options.allow_gids = ours; /* a list that nobody would look at */
  options.access = CUFRAMES_ACCESS_DIRECTORY;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID);
  detail_names("LISTED");
  options.access = CUFRAMES_ACCESS_LISTED;
  static const size_t counts[] = { 65537, SIZE_MAX / 4 + 2, SIZE_MAX }; /* the second is one entry times its size */
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    options.allow_gid_count = counts[i];
    CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID);
    detail_names("65536");
  }
  options.access = 2;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID);
  detail_names("access");
}

static void the_file_system_says_who_gets_in(void **state) {
  (void)state;
  need_other_users();
  static const user users[] = {
    { 777, ALLOWED_GROUP, CUFRAMES_OK },
    { ALLOWED, NOBODY, CUFRAMES_ERR_PERMISSION },
  };
  cuframes_publisher_options options = publisher_options();
  options.socket_gid = ALLOWED_GROUP;
  run_users(users, 2, &options);
}

/* Speaks the protocol as a user that is not allowed: what does it get? */
static void get_nothing(int test, void *unused) {
  (void)unused;
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
  (void)hear(test);
  for (int i = 0; i < 20; i++) {
    int fd = raw_connect("s");
    if (i % 2)
      raw_send(fd, CF_MSG_HELLO, &hello);
    cf_msg_refused refused = raw_expect_refused(fd, true); /* and no descriptor, it sees to that */
    CHECK(refused.code == CUFRAMES_ERR_PERMISSION);
    CHECK(strstr(refused.text, "65534") != NULL);
    close(fd);
  }
}

static void who_is_refused_gets_no_descriptor(void **state) {
  (void)state;
  need_other_users();
  static const uint32_t uids[] = { ALLOWED };
  child *stranger = child_start(get_nothing, NULL);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  assert_int_equal(chmod(fixture_directory(), 0755), 0);
  options.socket_mode = 0666;
  options.access = CUFRAMES_ACCESS_LISTED;
  options.allow_uids = uids;
  options.allow_uid_count = 1;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  say(stranger->fd, 0);
  child_finish(stranger);
  cuframes_publisher_destroy(publisher);
}

/* ---- what a subscriber can do with the descriptors it has ---- */

/* Tries everything that would change the memory or its size; `writable`: its content may be changed. */
static void try_to_change(int fd, uint64_t bytes, bool writable) {
  char path[64];
  int promised = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (writable ? 0 : F_SEAL_FUTURE_WRITE);
  assert_int_equal(fcntl(fd, F_GET_SEALS) & promised, promised);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int again = open(path, O_RDWR | O_CLOEXEC);
  int fds[2] = { fd, again };
  for (int i = 0; i < 2; i++) {
    if (fds[i] < 0)
      continue; /* refused already: as good */
    assert_int_equal(ftruncate(fds[i], (off_t)bytes - 4096), -1);
    assert_int_equal(ftruncate(fds[i], (off_t)bytes + 4096), -1);
    assert_int_equal(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE), -1);
    if (writable)
      continue;
    assert_int_equal(write(fds[i], "x", 1), -1);
    assert_int_equal(pwrite(fds[i], "x", 1, 100), -1);
    assert_int_equal(fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    assert_int_equal(fallocate(fds[i], FALLOC_FL_ZERO_RANGE, 0, 4096), -1);
    assert_ptr_equal(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0), MAP_FAILED);
    assert_ptr_equal(mmap(NULL, bytes, PROT_WRITE, MAP_SHARED, fds[i], 0), MAP_FAILED);
    void *mapped = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fds[i], 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    assert_int_equal(mprotect(mapped, bytes, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(madvise(mapped, bytes, MADV_REMOVE), -1);
    munmap(mapped, bytes);
  }
  if (again >= 0)
    close(again);
}

static void no_descriptor_lets_a_subscriber_write(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  raw_seat raw;
  cf_msg_segment segment;
  cf_msg_packets packets;
  cf_fds fds;
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  pictures_publish(publisher, 1, 1);
  raw_join(&raw, "s", &hello);
  try_to_change(raw.control_fd, raw.welcome.control_bytes, false);
  try_to_change(raw.seat_fd, raw.welcome.seat_bytes, true);
  raw_send(raw.fd, CF_MSG_GET_SEGMENT, &(cf_msg_get_segment){ .segment = 1 });
  raw_expect(raw.fd, CF_MSG_SEGMENT, &segment, &fds);
  assert_int_equal(fds.count, 1);
  try_to_change(fds.fd[0], segment.bytes, false);
  cf_fds_close(&fds);
  raw_send(raw.fd, CF_MSG_GET_PACKETS, &(cf_msg_get_packets){ 0 });
  raw_expect(raw.fd, CF_MSG_PACKETS, &packets, &fds);
  assert_int_equal(fds.count, 1);
  try_to_change(fds.fd[0], packets.bytes, false);
  cf_fds_close(&fds);
  raw_leave(&raw);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = frame_take(subscriber);
  void *page = (void *)((uintptr_t)cuframes_frame_plane(frame, 0) & ~UINT64_C(4095));
  assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), -1); /* nor does the library's own mapping */
  assert_int_equal(errno, EACCES);
  assert_int_equal(picture_number(frame), 1);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_monitor_gets_no_memory(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(0);
  cf_msg_welcome welcome;
  cf_fds fds;
  hello.role = CF_ROLE_MONITOR;
  int fd = raw_connect("s");
  raw_send(fd, CF_MSG_HELLO, &hello);
  raw_expect(fd, CF_MSG_WELCOME, &welcome, &fds);
  assert_int_equal(fds.count, 0);
  assert_int_equal(publisher_stats(publisher).subscribers, 0);
  raw_send(fd, CF_MSG_GET_SEGMENT, &(cf_msg_get_segment){ .segment = 1 });
  raw_expect_end(fd);
  close(fd);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_socket_has_the_mode_that_was_asked_for),
    FIXTURE(the_socket_has_the_group_that_was_asked_for),
    FIXTURE(only_a_group_can_be_given),
    FIXTURE(the_allow_list_says_who_gets_in),
    FIXTURE(an_empty_allow_list_lets_only_ourselves_in),
    FIXTURE(the_file_system_says_who_gets_in),
    FIXTURE(who_is_refused_gets_no_descriptor),
    FIXTURE(no_descriptor_lets_a_subscriber_write),
    FIXTURE(a_monitor_gets_no_memory),
  };
  return FIXTURE_RUN("permissions", tests);
}
