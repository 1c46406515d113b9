/* test_protocol.c - what a publisher does with clients that are broken, strange or in no hurry. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/attack.h"
#include "support/child.h"
#include "support/raw.h"
#include "support/stream.h"

static uint32_t noise(void) {
  static uint32_t state = 12345;
  state = state * 1664525 + 1013904223;
  return state >> 8;
}

/* The stream works, and at once. */
static void check_good_client(cuframes_publisher *publisher) {
  int64_t start = cuframes_now();
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 5, 1);
  assert_int_equal(frame_look(subscriber), 5);
  cuframes_subscriber_destroy(subscriber);
  SOON(cuframes_now() - start, 500);
}

static void send_bytes(int fd, const void *bytes, size_t length) {
  (void)send(fd, bytes, length, MSG_NOSIGNAL); /* a full buffer or a closed socket is the publisher's answer */
}

static void garbage_ends_the_connection_and_nothing_else(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  uint8_t *bytes = malloc(CF_WIRE_MESSAGE_MAX + 4096);
  assert_non_null(bytes);
  for (int i = 0; i < 60; i++) {
    size_t length = i < 40 ? (size_t)(noise() % 300 + 1) : (size_t)(noise() % (CF_WIRE_MESSAGE_MAX + 4096) + 1);
    for (size_t k = 0; k < length; k++)
      bytes[k] = (uint8_t)noise();
    if (i % 2) /* a header that looks right */
      memcpy(bytes,
             (uint8_t[]){ 'C', 'U', 'F', 'R', (uint8_t)(noise() % 13), 0, 0, 0, (uint8_t)length, (uint8_t)(length >> 8),
                          (uint8_t)(length >> 16), 0 },
             length < 12 ? length : 12);
    int fd = raw_connect("s");
    send_bytes(fd, bytes, length);
    cf_fds fds;
    while (raw_receive(fd, bytes, &length, &fds) != 0) /* a refusal at most */
      assert_int_equal(fds.count, 0);
    close(fd);
  }
  free(bytes);
  check_good_client(publisher);
  WAIT_FOR(fixture_descriptors() == descriptors);
  cuframes_publisher_destroy(publisher);
}

static void a_cut_hello_is_no_hello(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_ORDERED);
  uint8_t whole[512], message[CF_WIRE_MESSAGE_MAX];
  size_t length = cf_message_encode(CF_MSG_HELLO, &hello, whole, sizeof whole), got;
  cf_fds fds;
  for (size_t cut = 1; cut < length; cut++) {
    int fd = raw_connect("s");
    send_bytes(fd, whole, cut);
    uint32_t answer = raw_receive(fd, message, &got, &fds);
    assert_true(answer == 0 || answer == CF_MSG_REFUSED);
    close(fd);
  }
  memset(whole + length, 0, 64); /* or too long */
  int fd = raw_connect("s");
  send_bytes(fd, whole, length + 64);
  raw_expect_end(fd);
  close(fd);
  assert_int_equal(publisher_stats(publisher).subscribers, 0);
  check_good_client(publisher);
  cuframes_publisher_destroy(publisher);
}

static void other_versions_are_refused_in_words(void **state) {
  (void)state;
  static const struct {
    uint32_t min, max;
    const char *who; /* should be newer */
  } versions[] = {
    { 4, 9, "publisher" }, { UINT32_MAX, UINT32_MAX, "publisher" }, { 0, 0, "subscriber" }, { 2, 2, "subscriber" }
  };
  char both[64];
  cuframes_publisher *publisher = publisher_new("s");
  for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
    cf_msg_hello hello = raw_hello(0);
    hello.version_min = versions[i].min;
    hello.version_max = versions[i].max;
    int fd = raw_connect("s");
    raw_send(fd, CF_MSG_HELLO, &hello);
    cf_msg_refused refused = raw_expect_refused(fd, true);
    assert_int_equal(refused.code, CUFRAMES_ERR_VERSION);
    assert_non_null(strstr(refused.text, "use a newer cuframes for the"));
    assert_non_null(strstr(refused.text, versions[i].who));
    snprintf(both, sizeof both, "versions %u to %u, this publisher 3 to 3", versions[i].min, versions[i].max);
    assert_non_null(strstr(refused.text, both));
    close(fd);
  }
  cf_msg_hello hello = raw_hello(0);
  hello.version_max = 9; /* one of these we speak */
  hello.features = UINT64_MAX;
  raw_seat raw;
  raw_join(&raw, "s", &hello);
  assert_int_equal(raw.welcome.version, CF_WIRE_VERSION_MAX);
  raw_leave(&raw);
  cuframes_publisher_destroy(publisher);
}

static void strange_wishes_are_refused(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  for (int i = 0; i < 6; i++) {
    cf_msg_hello hello = raw_hello(CUFRAMES_MODE_ORDERED);
    int code = CUFRAMES_ERR_INVALID;
    switch (i) {
      case 0: hello.role = 0; break;
      case 1: hello.role = 3; break;
      case 2: hello.mode = 3; break;
      case 3: hello.leases = UINT32_MAX, code = CUFRAMES_ERR_NO_CAPACITY; break;
      case 4: hello.depth = UINT32_MAX, code = CUFRAMES_ERR_NO_CAPACITY; break;
      case 5: hello.sync_modes = CUFRAMES_SYNC_TIMELINE, code = CUFRAMES_ERR_UNSUPPORTED; break;
    }
    int fd = raw_connect("s");
    raw_send(fd, CF_MSG_HELLO, &hello);
    assert_int_equal(raw_expect_refused(fd, true).code, code);
    close(fd);
  }
  assert_int_equal(publisher_stats(publisher).subscribers, 0);
  cuframes_publisher_destroy(publisher);
}

static void messages_out_of_turn_end_the_connection(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(0);
  union {
    cf_msg_info info;
    cf_msg_codec codec;
    uint8_t zero[2048];
  } fields = { .zero = { 0 } };
  raw_seat raw;
  for (uint32_t type = CF_MSG_HELLO; type <= CF_MSG_INFO; type++) {
    if (type != CF_MSG_HELLO) { /* before HELLO */
      int fd = raw_connect("s");
      raw_send(fd, type, &fields);
      raw_expect_end(fd);
      close(fd);
    }
    bool request =
        type == CF_MSG_GET_SEGMENT || type == CF_MSG_GET_PACKETS || type == CF_MSG_GET_CODEC || type == CF_MSG_GET_INFO;
    if (!request) { /* after it: a second one, or what only a publisher says */
      raw_join(&raw, "s", &hello);
      raw_send(raw.fd, type, type == CF_MSG_HELLO ? (void *)&hello : (void *)&fields);
      raw_expect_end(raw.fd);
      raw_leave(&raw);
    }
  }
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void a_request_that_cannot_be_is_refused_and_the_next_one_answered(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(0);
  cf_msg_segment segment;
  cf_fds fds;
  raw_seat raw;
  raw_join(&raw, "s", &hello);
  static const uint32_t numbers[] = { 0, 2, 99, UINT32_MAX };
  for (size_t i = 0; i < 4; i++) {
    raw_send(raw.fd, CF_MSG_GET_SEGMENT, &(cf_msg_get_segment){ .segment = numbers[i] });
    assert_int_equal(raw_expect_refused(raw.fd, false).code, CUFRAMES_ERR_STALE);
  }
  raw_send(raw.fd, CF_MSG_GET_CODEC, &(cf_msg_get_codec){ .track = UINT32_MAX });
  assert_int_equal(raw_expect_refused(raw.fd, false).code, CUFRAMES_ERR_NO_CODEC_PARAMS);
  raw_send(raw.fd, CF_MSG_GET_PACKETS, &(cf_msg_get_packets){ 0 });
  assert_int_equal(raw_expect_refused(raw.fd, false).code, CUFRAMES_ERR_NO_PACKET_RING);
  raw_send(raw.fd, CF_MSG_GET_SEGMENT, &(cf_msg_get_segment){ .segment = 1 });
  raw_expect(raw.fd, CF_MSG_SEGMENT, &segment, &fds);
  assert_int_equal(fds.count, 1);
  assert_int_equal(segment.format.width, 64);
  cf_fds_close(&fds);
  raw_leave(&raw);
  cuframes_publisher_destroy(publisher);
}

/* SO_PASSRIGHTS is not known to kernels before Linux 6.16; newer ones refuse to send what nobody takes. */
static bool old_kernel;

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  errno = ENOPROTOOPT;
  return old_kernel && name == 83 ? -1 : __real_setsockopt(fd, level, name, value, length);
}

/* With a message, and with an empty one, which is none. */
static void who_sends_descriptors_is_dropped_and_they_are_closed(void **state) {
  (void)state;
  old_kernel = true;
  static const int counts[] = { 1, 2, 3, 8, 9, 64 };
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(0);
  uint8_t message[512];
  size_t length = cf_message_encode(CF_MSG_HELLO, &hello, message, sizeof message);
  int descriptors = fixture_descriptors();
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    for (size_t bytes = 0; bytes <= length; bytes += length) {
      int fd = raw_connect("s");
      CHECK(send_with(fd, message, bytes, STDERR_FILENO, counts[i]));
      raw_expect_end(fd);
      close(fd);
      WAIT_FOR(fixture_descriptors() == descriptors);
    }
  }
  raw_seat raw;
  raw_join(&raw, "s", &hello);
  length = cf_message_encode(CF_MSG_GET_SEGMENT, &(cf_msg_get_segment){ .segment = 1 }, message, sizeof message);
  CHECK(send_with(raw.fd, message, length, STDERR_FILENO, 1));
  raw_expect_end(raw.fd);
  raw_leave(&raw);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  WAIT_FOR(fixture_descriptors() == descriptors);
  check_good_client(publisher);
  cuframes_publisher_destroy(publisher);
  old_kernel = false;
}

static bool is_closed(int fd) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  return poll(&ready, 1, 0) == 1;
}

static void silent_connections_delay_nobody_and_end(void **state) {
  (void)state;
  enum { SILENT = 200 };
  int fds[SILENT], descriptors = fixture_descriptors();
  cuframes_publisher *publisher = publisher_new("s");
  int64_t start = cuframes_now();
  for (int i = 0; i < SILENT; i++)
    fds[i] = raw_connect("s");
  check_good_client(publisher);
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  cuframes_stream_info_free(info);
  SOON(cuframes_now() - start, 1500);
  for (int i = 0; i < SILENT; i++) /* who says nothing within the time of a handshake is put out */
    WAIT_FOR(is_closed(fds[i]));
  for (int i = 0; i < SILENT; i++)
    close(fds[i]);
  cuframes_publisher_destroy(publisher);
  assert_int_equal(fixture_descriptors(), descriptors);
}

static void who_asks_and_never_reads_waits_alone(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(0);
  raw_seat raw;
  raw_join(&raw, "s", &hello);
  uint8_t message[64];
  size_t length = cf_message_encode(CF_MSG_GET_INFO, &(cf_msg_get_info){ 0 }, message, sizeof message);
  while (send(raw.fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) /* until its requests fill the buffer */
    ;
  check_good_client(publisher);
  WAIT_FOR(publisher_stats(publisher).subscribers == 1); /* the good one has left */
  raw_leave(&raw);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void connections_that_come_and_go_leave_nothing(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_ORDERED);
  int descriptors = fixture_descriptors();
  uint64_t memory = publisher_stats(publisher).memory_bytes;
  for (int i = 0; i < 300; i++) {
    int fd = raw_connect("s");
    if (i % 3)
      raw_send(fd, CF_MSG_HELLO, &hello);
    if (i % 3 == 2) {
      uint8_t answer[CF_WIRE_MESSAGE_MAX];
      size_t length;
      cf_fds fds;
      assert_int_equal(raw_receive(fd, answer, &length, &fds), CF_MSG_WELCOME);
      cf_fds_close(&fds);
    }
    close(fd); /* perhaps in the middle of being welcomed */
  }
  pictures_publish(publisher, 1, 10);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  WAIT_FOR(picture_publish(publisher, 1) == CUFRAMES_OK && publisher_stats(publisher).memory_bytes == memory);
  WAIT_FOR(fixture_descriptors() == descriptors);
  check_good_client(publisher);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(garbage_ends_the_connection_and_nothing_else),
    FIXTURE(a_cut_hello_is_no_hello),
    FIXTURE(other_versions_are_refused_in_words),
    FIXTURE(strange_wishes_are_refused),
    FIXTURE(messages_out_of_turn_end_the_connection),
    FIXTURE(a_request_that_cannot_be_is_refused_and_the_next_one_answered),
    FIXTURE(who_sends_descriptors_is_dropped_and_they_are_closed),
    FIXTURE(silent_connections_delay_nobody_and_end),
    FIXTURE(who_asks_and_never_reads_waits_alone),
    FIXTURE(connections_that_come_and_go_leave_nothing),
  };
  return FIXTURE_RUN("protocol", tests);
}
