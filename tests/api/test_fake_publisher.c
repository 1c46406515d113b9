/* test_fake_publisher.c - publishers that answer wrongly, late or not at all: the subscriber says so in its own time
 * and lives on. What lies in shared memory: test_hostile.c, test_fake_packets.c.
 */
#include <string.h>
#include <sys/socket.h>

#include "support/fake.h"
#include "support/stream.h"
#include "support/waiter.h"

/* ---- answers ---- */

typedef int request(void);

static cuframes_subscriber *joined;

static int ask_join(void) {
  cuframes_subscriber *subscriber = NULL;
  int result = cuframes_subscriber_create("s", NULL, &subscriber);
  CHECK((result == CUFRAMES_OK) == (subscriber != NULL));
  cuframes_subscriber_destroy(subscriber);
  return result;
}

static int ask_frame(void) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(joined, 4 * SECOND, &frame); /* longer than an answer may take */
  CHECK((result == CUFRAMES_OK) == (frame != NULL));
  if (frame)
    cuframes_frame_release(frame);
  CHECK(subscriber_stats(joined).leases_held == 0);
  return result;
}

static int ask_packets(void) {
  return cuframes_subscriber_enable_packets(joined, 0);
}

static int ask_codec(void) {
  return cuframes_subscriber_get_codec_params(joined, 0, NULL, NULL, NULL);
}

static int ask_info(void) {
  cuframes_stream_info *info = NULL;
  int result = cuframes_stream_query(NULL, "s", patience(), &info);
  CHECK((result == CUFRAMES_OK) == (info != NULL));
  cuframes_stream_info_free(info);
  return result;
}

static const struct {
  uint32_t type;
  request *ask;
} requests[] = {
  { CF_MSG_HELLO, ask_join },      { CF_MSG_GET_SEGMENT, ask_frame }, { CF_MSG_GET_PACKETS, ask_packets },
  { CF_MSG_GET_CODEC, ask_codec }, { CF_MSG_GET_INFO, ask_info },
};
#define REQUESTS (sizeof requests / sizeof requests[0])

/* Asks for one thing after the other, each of a publisher that answers it `instead`, and compares what comes of it. */
static void ask_everything(bool (*instead)(fake *f, int fd, uint32_t type), int code, int wanted) {
  for (size_t i = 0; i < REQUESTS; i++) {
    int descriptors = fixture_descriptors();
    fake *f = fake_new();
    f->instead = instead;
    f->only = requests[i].type;
    f->code = code;
    fake_start(f);
    joined =
        requests[i].ask == ask_join || requests[i].ask == ask_info ? NULL : subscriber_new("s", CUFRAMES_MODE_NEWEST);
    int result = requests[i].ask();
    bool good = wanted != 0 ? result == wanted : result < 0;
    if (!good)
      fail_msg("request %u, answer %d: gave %d (%s)", requests[i].type, code, result, cuframes_last_error());
    cuframes_subscriber_destroy(joined);
    fake_end(f);
    assert_int_equal(fixture_descriptors(), descriptors);
  }
}

static bool refuse(fake *f, int fd, uint32_t type) {
  if (type != f->only)
    return false;
  cf_msg_refused refused = { .code = f->code, .text = "no" };
  refused.text[0] = f->code % 2 ? 'n' : '\0'; /* with and without a sentence */
  fake_answer(fd, CF_MSG_REFUSED, &refused, NULL, 0);
  return true;
}

static void refusals_keep_to_the_codes_there_are(void **state) {
  (void)state;
  static const int32_t odd[] = { 0, 1, 77, INT32_MAX, INT32_MIN, CUFRAMES_ERR_BUSY - 1, -1000 };
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
    ask_everything(refuse, odd[i], CUFRAMES_ERR_PROTOCOL);
  for (int code = CUFRAMES_ERR_BUSY; code < 0; code++) /* odd from a publisher, some of them, but errors */
    ask_everything(refuse, code, 0);
  ask_everything(refuse, CUFRAMES_ERR_PERMISSION, CUFRAMES_ERR_PERMISSION);
}

static bool answer_another(fake *f, int fd, uint32_t type) {
  static const uint8_t zero[4096];
  if (type != f->only)
    return false;
  fake_answer(fd, (uint32_t)f->code, zero, NULL, 0);
  return true;
}

static void answers_to_another_question_are_refused(void **state) {
  (void)state;
  ask_everything(answer_another, CF_MSG_HELLO, CUFRAMES_ERR_PROTOCOL);
  for (int type = CF_MSG_GET_SEGMENT; type <= CF_MSG_GET_INFO; type += 2) /* what only subscribers say */
    ask_everything(answer_another, type, CUFRAMES_ERR_PROTOCOL);
}

static bool answer_bytes(fake *f, int fd, uint32_t type) {
  static const uint8_t pieces[][24] = {
    { 0 },                                           /* nothing like a message */
    { 'C', 'U', 'F', 'R', 2, 0, 0, 0, 16, 0, 0, 0 }, /* WELCOME without fields, or longer than said */
    { 'C', 'U', 'F', 'R', 5, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255 }, /* past the end */
    { 'C', 'U', 'F', 'R', 3, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 },  /* REFUSED: an empty code */
    { 'C', 'U', 'F', 'R', 11, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1 }, /* INFO: a broken group */
    { 'C', 'U', 'F', 'R', 9, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 1, 0, 1, 0 }, /* CODEC: long extradata */
  };
  if (type != f->only)
    return false;
  size_t length = f->code / 6 == 0 ? 24 : f->code / 6 == 1 ? 16 : 5;
  (void)cf_send(fd, pieces[f->code % 6], length, NULL, 0);
  return true;
}

static void answers_that_are_no_messages_are_refused(void **state) {
  (void)state;
  for (int code = 0; code < 18; code++)
    ask_everything(answer_bytes, code, CUFRAMES_ERR_PROTOCOL);
}

static bool answer_too_many_descriptors(fake *f, int fd, uint32_t type) {
  int fds[2] = { f->region_fd, f->region_fd };
  if (type != f->only)
    return false;
  switch (type) {
    case CF_MSG_HELLO: fake_answer(fd, CF_MSG_WELCOME, &f->raw->welcome, fds, f->code == 2 ? 1 : 0); break;
    case CF_MSG_GET_SEGMENT: fake_answer(fd, CF_MSG_SEGMENT, &f->raw->segment, fds, f->code == 2 ? 2 : 0); break;
    case CF_MSG_GET_PACKETS: fake_answer(fd, CF_MSG_PACKETS, &f->packets, fds, f->code == 2 ? 2 : 0); break;
    case CF_MSG_GET_CODEC: fake_answer(fd, CF_MSG_CODEC, &(cf_msg_codec){ 0 }, fds, f->code); break;
    case CF_MSG_GET_INFO: fake_answer(fd, CF_MSG_INFO, &(cf_msg_info){ 0 }, fds, f->code); break;
  }
  return true;
}

static void descriptors_that_nobody_asked_for_are_closed(void **state) {
  (void)state;
  ask_everything(answer_too_many_descriptors, 1, CUFRAMES_ERR_PROTOCOL);
  ask_everything(answer_too_many_descriptors, 2, CUFRAMES_ERR_PROTOCOL);
}

/* What a publisher of protocol version 1 answers, word by word, and one that talks to anybody. */
static bool answer_as_version_1(fake *f, int fd, uint32_t type) {
  cf_msg_refused refused = {
    .code = CUFRAMES_ERR_VERSION,
    .text = "subscriber speaks protocol versions 3 to 3, this publisher 1 to 1: use a newer cuframes for the publisher"
  };
  cf_msg_welcome welcome = f->raw->welcome;
  welcome.version = 1;
  if (type == CF_MSG_HELLO && f->code == 0)
    fake_answer(fd, CF_MSG_REFUSED, &refused, NULL, 0);
  else if (type == CF_MSG_HELLO)
    fake_answer(fd, CF_MSG_WELCOME, &welcome, f->raw->welcome_fds, 2);
  return type == CF_MSG_HELLO;
}

static void a_publisher_of_an_older_version_is_named_with_ours(void **state) {
  (void)state;
  for (int code = 0; code < 2; code++) {
    fake *f = fake_new();
    f->instead = answer_as_version_1;
    f->code = code;
    fake_start(f);
    assert_int_equal(ask_join(), CUFRAMES_ERR_VERSION);
    detail_names(code == 0 ? "versions 3 to 3" : "version 1");
    detail_names(code == 0 ? "publisher 1 to 1" : "3 to 3");
    detail_names("use a newer cuframes for the publisher");
    fake_end(f);
  }
}

static bool answer_impossible_words(fake *f, int fd, uint32_t type) {
  cf_msg_info info = { .name = "s" };
  cf_msg_codec codec = { .media_type = 1, .codec = "h264" };
  if (type != f->only)
    return false;
  switch (f->code) {
    case 0: info.format.color = codec.color = 3u << 8; break;
    case 1: info.format.chroma_location = codec.chroma_location = 7; break;
    case 2: info.format.chroma_location = codec.chroma_location = 256; break;
    case 3: info.format.field_order = codec.field_order = 4; break;
    case 4: info.format.field_order = codec.field_order = 259; break;
    case 5: info.format.orientation = codec.orientation = 9; break;
    case 6: info.format.orientation = codec.orientation = 1u << 31; break;
    case 7: info.format.sample_aspect[0] = codec.sample_aspect[0] = 1; break;
    case 8: codec.mastering_display[7] = 65536, info.format.orientation = 9; break; /* the other one has none */
    case 9: codec.content_light[1] = 1u << 31, info.format.orientation = 9; break;
    default: info.format.sample_aspect[1] = codec.sample_aspect[1] = UINT32_MAX; break;
  }
  fake_answer(fd, type == CF_MSG_GET_INFO ? CF_MSG_INFO : CF_MSG_CODEC,
              type == CF_MSG_GET_INFO ? (void *)&info : (void *)&codec, NULL, 0);
  return true;
}

/* SEGMENT: test_hostile.c. */
static void words_that_cannot_be_are_not_believed(void **state) {
  (void)state;
  for (int code = 0; code < 11; code++) {
    for (int codec = 0; codec < 2; codec++) {
      fake *f = fake_new();
      f->instead = answer_impossible_words;
      f->only = codec ? CF_MSG_GET_CODEC : CF_MSG_GET_INFO;
      f->code = code;
      fake_start(f);
      joined = codec ? subscriber_new("s", CUFRAMES_MODE_NEWEST) : NULL;
      int result = codec ? ask_codec() : ask_info();
      if (result != CUFRAMES_ERR_PROTOCOL)
        fail_msg("code %d gave %d (%s)", code, result, cuframes_last_error());
      detail_names("impossible");
      cuframes_subscriber_destroy(joined);
      fake_end(f);
    }
  }
}

/* Sums of subscribers that no publisher of ours tells. */
static bool answer_odd_sums(fake *f, int fd, uint32_t type) {
  const cf_msg_info info = { .memory_bytes = 4, .device_bytes = 8 };
  const cf_info_mode modes[] = {
    { .mode = CUFRAMES_MODE_NEWEST, .delivered = 1, .latency = { UINT64_MAX - 1, 5, 7 } },
    { .mode = CUFRAMES_MODE_NEWEST, .delivered = 2 },
    { .mode = UINT32_MAX },
  };
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  if (type != f->only)
    return false;
  size_t length = cf_message_encode(CF_MSG_INFO, &info, message, sizeof message);
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    CHECK(cf_message_append(CF_GROUP_MODE, &modes[i], message, &length, sizeof message));
  (void)cf_send(fd, message, length, NULL, 0);
  return true;
}

static void odd_sums_still_add_up(void **state) {
  (void)state;
  cuframes_stream_info *info = NULL;
  fake *f = fake_new();
  f->instead = answer_odd_sums;
  f->only = CF_MSG_GET_INFO;
  fake_start(f);
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_int_equal(info->device_bytes, 4);
  assert_int_equal(info->mode_count, 1);
  assert_int_equal(info->modes[0]->delivered, 1);
  assert_true(info->modes[0]->latency[0].frames == UINT64_MAX - 1 && info->modes[0]->latency[1].frames == 1);
  assert_int_equal(info->modes[0]->latency[2].frames, 0);
  cuframes_stream_info_free(info);
  fake_end(f);
}

static bool hang_up(fake *f, int fd, uint32_t type) {
  if (type == f->only)
    (void)shutdown(fd, SHUT_RDWR);
  return type == f->only;
}

static void who_hangs_up_instead_is_gone(void **state) {
  (void)state;
  ask_everything(hang_up, 0, 0);
}

/* ---- time ---- */

static void with_reconnect_it_still_comes_back_in_time(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    fake *f = fake_new();
    cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
    cuframes_frame *none = NULL;
    options.reconnect = 1;
    f->instead = i ? refuse : hang_up; /* each connection is over when a frame is wanted */
    f->only = CF_MSG_GET_SEGMENT;
    f->code = CUFRAMES_ERR_PUBLISHER_GONE;
    fake_start(f);
    joined = subscriber_join("s", &options);
    int64_t start = cuframes_now();
    CHECK_RESULT(cuframes_subscriber_next(joined, 100 * MS, &none), CUFRAMES_ERR_TIMEOUT);
    TOOK(start, 100, 1000);
    start = cuframes_now();
    CHECK_RESULT(cuframes_subscriber_next(joined, 0, &none), CUFRAMES_ERR_TIMEOUT);
    SOON(cuframes_now() - start, 500);
    cuframes_subscriber_interrupt(joined);
    CHECK_RESULT(cuframes_subscriber_next(joined, CUFRAMES_WAIT_FOREVER, &none), CUFRAMES_ERR_INTERRUPTED);
    cuframes_subscriber_destroy(joined);
    fake_end(f);
  }
}

/* And closes the next time. */
static bool say_nothing(fake *f, int fd, uint32_t type) {
  return type == f->only && (f->code++ == 0 || hang_up(f, fd, type));
}

/* The thread that takes frames finds that out; the one that waits for packets must follow it to the next publisher. */
static void who_does_not_answer_is_left_by_all(void **state) {
  (void)state;
  fake *f = fake_new();
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_codec_params video = { .struct_size = sizeof video, .media_type = CUFRAMES_MEDIA_VIDEO, .codec = "h264" };
  cuframes_packet_info key = { .struct_size = sizeof key, .data = "x", .size = 1, .flags = CUFRAMES_PACKET_KEY };
  cuframes_publisher *publisher = NULL;
  cuframes_packet *packet = NULL;
  cuframes_frame *none = NULL;
  waiter waiting;
  options.reconnect = 1;
  f->instead = say_nothing;
  f->only = CF_MSG_GET_SEGMENT;
  atomic_store(&f->raw->control->segment_top, 0);
  fake_start(f);
  joined = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_enable_packets(joined, 0));
  for (int i = 0; i < 3; i++) {
    CHECK_OK(cuframes_subscriber_next_packet(joined, 0, &packet));
    cuframes_packet_release(packet);
  }
  waiter_start_packet(&waiting, joined, CUFRAMES_WAIT_FOREVER);
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_next(joined, 0, &none), CUFRAMES_ERR_TIMEOUT);
  SOON(cuframes_now() - start, 100);
  CHECK_RESULT(cuframes_subscriber_next(joined, 50 * MS, &none), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 50, 500);
  WAIT_FOR(cuframes_subscriber_next(joined, 0, &none) == CUFRAMES_ERR_TIMEOUT &&
           strstr(cuframes_last_error(), "has not come back"));
  TOOK(start, 1900, 3000); /* the time of an answer */
  fake_end(f);
  publisher = publisher_new("s");
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  CHECK_OK(cuframes_publisher_publish_packet(publisher, &key));
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(joined), 1);
  WAIT_FOR(publisher_stats(publisher).subscribers == 1);
  assert_int_equal(waiter_end(&waiting), CUFRAMES_OK);
  assert_true(cuframes_packet_flags(waiting.packet) & CUFRAMES_PACKET_DISCONTINUITY);
  cuframes_packet_release(waiting.packet);
  cuframes_subscriber_destroy(joined);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(refusals_keep_to_the_codes_there_are),
    FIXTURE(answers_to_another_question_are_refused),
    FIXTURE(answers_that_are_no_messages_are_refused),
    FIXTURE(descriptors_that_nobody_asked_for_are_closed),
    FIXTURE(a_publisher_of_an_older_version_is_named_with_ours),
    FIXTURE(words_that_cannot_be_are_not_believed),
    FIXTURE(odd_sums_still_add_up),
    FIXTURE(who_hangs_up_instead_is_gone),
    FIXTURE(with_reconnect_it_still_comes_back_in_time),
    FIXTURE(who_does_not_answer_is_left_by_all),
  };
  return FIXTURE_RUN("fake_publisher", tests);
}
