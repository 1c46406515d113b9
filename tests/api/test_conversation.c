/* test_conversation.c - messages that are nearly right, each type in each state of a connection, and a crowd that says
 * nothing. Those that are plainly wrong: test_protocol.c.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/raw.h"
#include "support/stream.h"

static const cf_msg_get_info get_info;

/* The stream serves whoever behaves. */
static void still_good(cuframes_publisher *publisher) {
  static uint64_t number;
  int64_t start = cuframes_now();
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, ++number, 1);
  assert_int_equal(frame_look(subscriber), number);
  cuframes_subscriber_destroy(subscriber);
  SOON(cuframes_now() - start, 500);
}

/* ... and holds nothing of those who are gone. */
static void end_of(cuframes_publisher *publisher, int descriptors) {
  still_good(publisher);
  WAIT_FOR(picture_publish(publisher, 1) == CUFRAMES_OK && /* only a publisher at work gives slots back */
           publisher_stats(publisher).subscribers == 0 && fixture_descriptors() == descriptors);
  cuframes_publisher_destroy(publisher);
}

static size_t hello_bytes(uint8_t *message) {
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_ORDERED);
  hello.depth = 3;
  size_t length = cf_message_encode(CF_MSG_HELLO, &hello, message, CF_WIRE_MESSAGE_MAX);
  assert_true(length > 16);
  return length;
}

/* Sends one message on a connection of its own: the type of the answer, 0 for none. */
static uint32_t answer_to(const void *message, size_t length) {
  uint8_t answer[CF_WIRE_MESSAGE_MAX];
  cf_fds fds = { .count = 0 };
  size_t size = 0;
  int fd = raw_connect("s");
  CHECK(send(fd, message, length, MSG_NOSIGNAL) == (ssize_t)length);
  uint32_t type = raw_receive(fd, answer, &size, &fds);
  cf_fds_close(&fds);
  close(fd);
  return type;
}

static uint32_t random_next(uint32_t *state) {
  *state = *state * 1664525 + 1013904223;
  return *state >> 8;
}

/* ---- messages ---- */

static void a_sound_conversation_is_answered(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_ORDERED);
  cf_msg_get_segment get = { .segment = 1 };
  cf_msg_segment segment;
  cf_msg_info info;
  cf_fds fds;
  raw_seat raw;
  pictures_publish(publisher, 1, 1);
  hello.leases = 3;
  raw_join(&raw, "s", &hello);
  assert_int_equal(raw.welcome.version, 3);
  assert_int_equal(raw.welcome.leases, 3);
  assert_int_equal(raw.welcome.depth, 4);
  assert_string_equal(raw.welcome.device, "host");
  assert_int_equal(raw.control->instance, raw.welcome.instance);
  for (int i = 0; i < 2; i++) { /* as often as one likes */
    raw_send(raw.fd, CF_MSG_GET_SEGMENT, &get);
    raw_expect(raw.fd, CF_MSG_SEGMENT, &segment, &fds);
    assert_int_equal(fds.count, 1);
    assert_int_equal(segment.format.width, 64);
    cf_fds_close(&fds);
    raw_send(raw.fd, CF_MSG_GET_INFO, &get_info);
    raw_expect(raw.fd, CF_MSG_INFO, &info, &fds);
    assert_int_equal(fds.count, 0);
    assert_string_equal(info.name, "s");
  }
  raw_leave(&raw);
  end_of(publisher, descriptors);
}

static void truncated_messages_are_closed(void **state) {
  (void)state;
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t whole = hello_bytes(message);
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  for (size_t length = 16; length < whole; length++) { /* and owning up to it, unlike those in test_protocol.c */
    memcpy(message + 8, &(uint32_t){ (uint32_t)length }, 4);
    uint32_t type = answer_to(message, length);
    assert_true(type == 0 || type == CF_MSG_REFUSED || type == CF_MSG_WELCOME); /* a field less may be sound */
  }
  end_of(publisher, descriptors);
}

static void damaged_messages_are_closed(void **state) {
  (void)state;
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  uint32_t dice = 1;
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  for (int i = 0; i < 1000; i++) { /* a HELLO with one to four bytes changed */
    size_t length = hello_bytes(message);
    for (uint32_t changes = 1 + random_next(&dice) % 4; changes > 0; changes--)
      message[random_next(&dice) % length] = (uint8_t)random_next(&dice);
    uint32_t type = answer_to(message, length);
    assert_true(type == 0 || type == CF_MSG_REFUSED || type == CF_MSG_WELCOME);
  }
  end_of(publisher, descriptors);
}

static void unknown_fields_are_skipped(void **state) {
  (void)state;
  static const uint8_t unknown[] = { 0xee, 0xee, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c' };
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  size_t length = hello_bytes(message);
  memcpy(message + length, unknown, sizeof unknown);
  length += sizeof unknown;
  memcpy(message + 8, &(uint32_t){ (uint32_t)length }, 4);
  assert_int_equal(answer_to(message, length), CF_MSG_WELCOME);
  end_of(publisher, descriptors);
}

/* ---- messages at the wrong time ---- */

static void requests_before_hello_are_closed(void **state) {
  (void)state;
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  for (uint32_t type = 0; type < 300; type++) {
    if (type == CF_MSG_HELLO)
      continue;
    size_t length = hello_bytes(message);
    memcpy(message + 4, &(uint16_t){ (uint16_t)type }, 2);
    assert_int_equal(answer_to(message, length), 0);
    memcpy(message + 8, &(uint32_t){ 16 }, 4); /* and without fields */
    assert_int_equal(answer_to(message, 16), 0);
  }
  end_of(publisher, descriptors);
}

static void what_may_not_come_later_is_closed(void **state) {
  (void)state;
  static const struct {
    uint32_t role, types;
  } allowed[] = {
    { CF_ROLE_SUBSCRIBER, 1 << CF_MSG_GET_SEGMENT | 1 << CF_MSG_GET_PACKETS | 1 << CF_MSG_GET_CODEC |
                              1 << CF_MSG_GET_INFO | 1 << CF_MSG_GET_EVENTS | 1 << CF_MSG_GET_SIDE_DATA },
    { CF_ROLE_MONITOR, 1 << CF_MSG_GET_INFO },
  };
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  for (int i = 0; i < 2; i++) {
    for (uint32_t type = 0; type < 20; type++) {
      cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
      cf_msg_welcome welcome;
      cf_fds fds;
      int fd = raw_connect("s");
      hello.role = allowed[i].role;
      raw_send(fd, CF_MSG_HELLO, &hello);
      raw_expect(fd, CF_MSG_WELCOME, &welcome, &fds);
      cf_fds_close(&fds);
      size_t length = hello_bytes(message);
      memcpy(message + 4, &(uint16_t){ (uint16_t)type }, 2);
      memcpy(message + 8, &(uint32_t){ 16 }, 4);
      CHECK(send(fd, message, type == CF_MSG_HELLO ? length : 16, MSG_NOSIGNAL) > 0);
      if (type < 16 && allowed[i].types >> type & 1) {
        CHECK(raw_receive(fd, message, &length, &fds) != 0);
        cf_fds_close(&fds);
      } else {
        raw_expect_end(fd);
      }
      close(fd);
    }
  }
  end_of(publisher, descriptors);
}

/* ---- a crowd ---- */

#define SILENT 300

static void half_open_connections_delay_nobody(void **state) {
  (void)state;
  static struct pollfd silent[SILENT];
  cuframes_publisher *publisher = publisher_new("s");
  int descriptors = fixture_descriptors();
  int64_t start = cuframes_now();
  for (int i = 0; i < SILENT; i++) {
    silent[i] = (struct pollfd){ .fd = raw_connect("s"), .events = POLLIN };
    if (i % 3 == 0)
      CHECK(send(silent[i].fd, "CUFR", i % 2 ? 4 : 0, MSG_NOSIGNAL) >= 0); /* and those that soon break the rules */
    if (i % 50 == 49)
      still_good(publisher);
  }
  still_good(publisher);
  assert_true(fixture_descriptors() - descriptors < SILENT + 140); /* the oldest had to make room */
  for (int i = 0; i < SILENT; i++) {
    CHECK(poll(&silent[i], 1, (int)(patience() / MS)) == 1); /* hung up on, at the latest by the deadline */
    close(silent[i].fd);
  }
  SOON(cuframes_now() - start, 4000);
  end_of(publisher, descriptors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_sound_conversation_is_answered),   FIXTURE(truncated_messages_are_closed),
    FIXTURE(damaged_messages_are_closed),        FIXTURE(unknown_fields_are_skipped),
    FIXTURE(requests_before_hello_are_closed),   FIXTURE(what_may_not_come_later_is_closed),
    FIXTURE(half_open_connections_delay_nobody),
  };
  return FIXTURE_RUN("conversation", tests);
}
