/* test_source.c - what a publisher says of its source, and what its packets amount to: as subscribers and monitors see
 * it. */
#include <string.h>

#include "support/fake.h"
#include "support/packets.h"

static cuframes_source_info source_of(uint32_t state, const char *reason) {
  cuframes_source_info source = { .struct_size = sizeof source, .state = state };
  strncpy(source.reason, reason, sizeof source.reason - 1);
  return source;
}

static cuframes_stream_info *ask(void) {
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  CHECK(info->source != NULL && info->source->struct_size == sizeof *info->source);
  return info;
}

/* As a monitor sees it. */
static cuframes_source_info asked(void) {
  cuframes_stream_info *info = ask();
  cuframes_source_info source = *info->source;
  cuframes_stream_info_free(info);
  return source;
}

static cuframes_source_info looked(cuframes_subscriber *subscriber) {
  cuframes_source_info source = { .struct_size = sizeof source };
  CHECK_OK(cuframes_subscriber_get_source(subscriber, &source));
  CHECK(source.struct_size == sizeof source && source.reason[0] == '\0' && source.next_attempt == 0);
  return source;
}

static void nothing_is_known_until_it_is_said(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 3);
  cuframes_source_info source = asked(), seen = looked(subscriber);
  CHECK(source.state == CUFRAMES_SOURCE_UNKNOWN && source.since == 0 && source.next_attempt == 0 && !source.reason[0]);
  CHECK(seen.state == CUFRAMES_SOURCE_UNKNOWN && seen.since == 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void what_is_said_is_told_to_all_and_stays(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *frames = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *packets = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  const int64_t now = cuframes_now(), since = now - 5 * SECOND, attempt = now + 7 * SECOND;
  cuframes_source_info source = source_of(CUFRAMES_SOURCE_RECONNECTING, "connection refused \xe2\x82\xac");
  source.since = since;
  source.next_attempt = attempt;
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  memset(&source, 0xff, sizeof source); /* it was copied */
  pictures_publish(publisher, 1, 3);    /* and pictures change nothing of it */
  CHECK(cuframes_publisher_discontinuity(publisher) == 0);
  source = asked();
  CHECK(source.state == CUFRAMES_SOURCE_RECONNECTING && source.since == since && source.next_attempt == attempt);
  assert_string_equal(source.reason, "connection refused \xe2\x82\xac");
  CHECK(looked(frames).state == CUFRAMES_SOURCE_RECONNECTING && looked(packets).state == CUFRAMES_SOURCE_RECONNECTING);
  CHECK_BETWEEN(looked(frames).since, since - 7, since);
  CHECK(looked(packets).since == looked(frames).since);
  cuframes_subscriber_destroy(packets);
  cuframes_subscriber_destroy(frames);
  cuframes_publisher_destroy(publisher);
}

static void a_state_begins_once(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_source_info source = source_of(CUFRAMES_SOURCE_RECONNECTING, "first");
  const int64_t before = cuframes_now();
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  cuframes_source_info first = asked();
  CHECK_BETWEEN(first.since, before, cuframes_now());
  source = source_of(CUFRAMES_SOURCE_RECONNECTING, "second");
  source.next_attempt = 1;
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  cuframes_source_info second = asked();
  CHECK(second.since == first.since && second.next_attempt == 1 && strcmp(second.reason, "second") == 0);
  WAIT_FOR(cuframes_now() > first.since);
  static const uint32_t others[] = { CUFRAMES_SOURCE_LIVE, CUFRAMES_SOURCE_ENDED, CUFRAMES_SOURCE_CONNECTING,
                                     CUFRAMES_SOURCE_REFUSED };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    const uint32_t next = others[i];
    source = source_of(next, "");
    CHECK_OK(cuframes_publisher_set_source(publisher, &source));
    cuframes_source_info now = asked();
    CHECK(now.state == next && now.since > first.since && now.next_attempt == 0 && now.reason[0] == '\0');
  }
  source = source_of(CUFRAMES_SOURCE_UNKNOWN, "");
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  CHECK(asked().state == CUFRAMES_SOURCE_UNKNOWN && asked().since == 0);
  cuframes_publisher_destroy(publisher);
}

static void what_cannot_be_is_refused_and_changes_nothing(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_source_info good = source_of(CUFRAMES_SOURCE_LIVE, "good"), bad[8];
  CHECK_OK(cuframes_publisher_set_source(publisher, &good));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    bad[i] = source_of(CUFRAMES_SOURCE_STALLED, "bad");
  bad[0].struct_size = 0;
  bad[1].state = CUFRAMES_SOURCE_REFUSED + 1;
  bad[2].state = UINT32_MAX;
  bad[3].since = cuframes_now() + 3600 * SECOND;
  bad[4].since = -1;
  bad[5].next_attempt = CUFRAMES_NO_TIME;
  bad[6].reserved[0] = 1;
  bad[7].reserved[1] = 1;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK_RESULT(cuframes_publisher_set_source(publisher, &bad[i]), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_source(publisher, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_source(NULL, &good), CUFRAMES_ERR_INVALID);
  CHECK(asked().state == CUFRAMES_SOURCE_LIVE);
  assert_string_equal(asked().reason, "good");
  cuframes_publisher_destroy(publisher);
}

static void reasons_are_fit_to_be_shown(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_source_info source = source_of(CUFRAMES_SOURCE_STALLED, "two\nlines\x1b[31m \xff");
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  assert_string_equal(asked().reason, "two?lines?[31m ?");
  memset(source.reason, 'x', sizeof source.reason); /* not terminated */
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  assert_int_equal(strlen(asked().reason), CUFRAMES_REASON_MAX);
  memcpy(source.reason + CUFRAMES_REASON_MAX - 2, "\xe2\x82\xac", 3); /* and not cut within a character */
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  assert_int_equal(strlen(asked().reason), CUFRAMES_REASON_MAX - 2);
  memset(source.reason, 0x80, sizeof source.reason); /* no character at all */
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  CHECK(strspn(asked().reason, "?") == strlen(asked().reason));
  cuframes_publisher_destroy(publisher);
}

static void a_subscriber_without_a_publisher_is_told_so(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  struct {
    uint32_t struct_size, state;
    int64_t untouched;
  } shorter = { .struct_size = 8, .untouched = 77 };
  cuframes_source_info source = source_of(CUFRAMES_SOURCE_LIVE, "");
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
  CHECK_OK(cuframes_subscriber_get_source(subscriber, (cuframes_source_info *)(void *)&shorter));
  CHECK(shorter.state == CUFRAMES_SOURCE_LIVE && shorter.untouched == 77);
  source.struct_size = 3;
  CHECK_RESULT(cuframes_subscriber_get_source(subscriber, &source), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_get_source(subscriber, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_get_source(NULL, &source), CUFRAMES_ERR_INVALID);
  cuframes_publisher_destroy(publisher);
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_subscriber_next(subscriber, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  source.struct_size = sizeof source;
  CHECK_RESULT(cuframes_subscriber_get_source(subscriber, &source), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_destroy(subscriber);
}

static void states_have_names(void **state) {
  (void)state;
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_UNKNOWN), "unknown");
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_LIVE), "live");
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_STALLED), "stalled");
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_RECONNECTING), "reconnecting");
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_ENDED), "ended");
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_CONNECTING), "connecting");
  assert_string_equal(cuframes_source_state_name(CUFRAMES_SOURCE_REFUSED), "refused");
  CHECK(cuframes_source_state_name(CUFRAMES_SOURCE_REFUSED + 1) == NULL);
  CHECK(cuframes_source_state_name(UINT32_MAX) == NULL);
}

/* ---- publishers that say strange things ---- */

static void words_of_strange_publishers_are_read_as_far_as_they_go(void **state) {
  (void)state;
  static const struct {
    uint64_t word;
    uint32_t state;
    int64_t since;
  } words[] = {
    { 0, 0, 0 },
    { 7, 7, 0 },
    { 1008 + 3, 3, 1008 },
    { UINT64_MAX, 7, 0 },
    { UINT64_C(1) << 63, 0, 0 },
    { UINT64_MAX >> 1, 7, INT64_MAX - 7 },
  };
  raw_publisher *publisher = raw_publisher_new("s");
  raw_publisher_run(publisher);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    cf_writer_set_source(&publisher->writer, words[i].word);
    CHECK(looked(subscriber).state == words[i].state && looked(subscriber).since == words[i].since);
  }
  cuframes_subscriber_destroy(subscriber);
  raw_publisher_end(publisher, "s");
}

static bool answer_strangely(fake *f, int fd, uint32_t type) {
  static uint8_t message[CF_WIRE_MESSAGE_MAX];
  if (type != CF_MSG_GET_INFO)
    return false;
  cf_msg_info info = {
    .name = "s", .source_state = 4000000000u, .source_since = INT64_MIN, .source_attempt = -1, .timestamp = INT64_MIN
  };
  const int64_t when = f->code ? INT64_MAX : INT64_MIN;
  cf_info_track track = { .media_type = 1, .timestamp = when, .keyframe_timestamp = when };
  track.packets = track.bit_rate = track.keyframe_interval = track.keyframe_longest = UINT64_MAX;
  size_t length = cf_message_encode(CF_MSG_INFO, &info, message, sizeof message);
  CHECK(cf_message_append(CF_GROUP_TRACK, &track, message, &length, sizeof message));
  (void)cf_send(fd, message, length, NULL, 0);
  return true;
}

static void numbers_of_strange_publishers_stay_numbers(void **state) {
  (void)state;
  for (int code = 0; code < 2; code++) {
    fake *f = fake_new();
    f->instead = answer_strangely;
    f->code = code;
    fake_start(f);
    cuframes_stream_info *info = ask();
    CHECK(info->source->state == 4000000000u && info->source->since == 0 && info->source->next_attempt == 0);
    const cuframes_track_info *track = info->tracks[0];
    CHECK(track->age_ns == (code ? 0 : INT64_MAX) && track->bit_rate == UINT64_MAX);
    CHECK(track->keyframe_interval_ns == INT64_MAX && track->keyframe_longest_ns == INT64_MAX);
    CHECK(track->keyframe_age_ns == track->age_ns);
    cuframes_stream_info_free(info);
    fake_end(f);
  }
}

/* ---- what packets amount to ---- */

static void tracks_say_what_came_and_when(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_stream_info *info = ask();
  CHECK(info->track_count == 2);
  for (int i = 0; i < 2; i++)
    CHECK(info->tracks[i]->packets == 0 && info->tracks[i]->age_ns == CUFRAMES_NO_TIME &&
          info->tracks[i]->bit_rate == 0 && info->tracks[i]->keyframe_interval_ns == 0 &&
          info->tracks[i]->keyframe_age_ns == CUFRAMES_NO_TIME);
  cuframes_stream_info_free(info);
  const int64_t before = cuframes_now();
  for (uint64_t number = 1; number <= 10; number++)
    CHECK_OK(packet_publish(publisher, 0, number, 100, number % 4 == 1 || number == 10 ? CUFRAMES_PACKET_KEY : 0));
  CHECK_OK(packet_publish(publisher, 1, 11, 100, CUFRAMES_PACKET_KEY));
  CHECK_OK(packet_publish(publisher, 1, 12, 100, CUFRAMES_PACKET_KEY));
  info = ask();
  const cuframes_track_info *video = info->tracks[0], *audio = info->tracks[1];
  CHECK(video->packets == 10 && audio->packets == 2);
  CHECK_BETWEEN(video->age_ns, 0, cuframes_now() - before);
  CHECK(video->keyframe_interval_ns == 1000 && video->keyframe_interval_frames == 1); /* packets are 1000 ns apart */
  CHECK(video->keyframe_longest_ns == 4000 && video->keyframe_longest_frames == 4);
  CHECK(audio->keyframe_interval_ns == 0 && audio->keyframe_longest_ns == 0); /* each of its packets is one */
  CHECK_BETWEEN(video->keyframe_age_ns, 0, cuframes_now() - before);
  CHECK(audio->keyframe_age_ns == CUFRAMES_NO_TIME);
  cuframes_stream_info_free(info);
  cuframes_publisher_destroy(publisher);
}

/* Packets that are none make no keyframe younger; nor does a restart. */
static void the_newest_keyframe_grows_old(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, 0));
  cuframes_stream_info *info = ask();
  CHECK(info->tracks[0]->keyframe_age_ns == CUFRAMES_NO_TIME && info->tracks[0]->age_ns >= 0);
  cuframes_stream_info_free(info);
  CHECK_OK(packet_publish(publisher, 0, 2, 100, CUFRAMES_PACKET_KEY));
  const int64_t since = cuframes_now();
  pause_ms(5);
  CHECK_OK(cuframes_publisher_discontinuity(publisher));
  CHECK_OK(packet_publish(publisher, 0, 3, 100, 0));
  const int64_t least = cuframes_now() - since;
  info = ask();
  CHECK(info->tracks[0]->keyframe_age_ns >= least && info->tracks[0]->keyframe_age_ns > info->tracks[0]->age_ns);
  cuframes_stream_info_free(info);
  CHECK_OK(packet_publish(publisher, 0, 4, 100, CUFRAMES_PACKET_KEY));
  info = ask();
  CHECK(info->tracks[0]->keyframe_age_ns < cuframes_now() - since - 5 * INT64_C(1000000));
  cuframes_stream_info_free(info);
  cuframes_publisher_destroy(publisher);
}

static void a_restart_is_no_interval_of_keyframes(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  CHECK_OK(packet_publish(publisher, 0, 1, 100, CUFRAMES_PACKET_KEY));
  CHECK_OK(packet_publish(publisher, 0, 3, 100, CUFRAMES_PACKET_KEY));
  CHECK_OK(cuframes_publisher_discontinuity(publisher));
  CHECK_OK(packet_publish(publisher, 1, 900000, 100, 0)); /* the mark is the audio's */
  CHECK_OK(packet_publish(publisher, 0, 900000, 100, CUFRAMES_PACKET_KEY));
  CHECK_OK(packet_publish(publisher, 0, 900001, 100, CUFRAMES_PACKET_KEY));
  cuframes_stream_info *info = ask();
  CHECK(info->tracks[0]->keyframe_interval_ns == 1000 && info->tracks[0]->keyframe_longest_ns == 2000);
  cuframes_stream_info_free(info);
  cuframes_publisher_destroy(publisher);
}

static uint64_t bit_rate(void) {
  cuframes_stream_info *info = ask();
  uint64_t rate = info->tracks[0]->bit_rate;
  CHECK(info->tracks[1]->bit_rate == 0);
  cuframes_stream_info_free(info);
  return rate;
}

static void the_bit_rate_is_measured(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  const int64_t begin = cuframes_now();
  uint64_t number = 0, rate = 0;
  WAIT_FOR((packet_publish(publisher, 0, ++number, 100, 0) == 0) && (rate = bit_rate()) > 0);
  const int64_t took = cuframes_now() - begin;
  CHECK(took >= SECOND); /* sooner it would be a guess */
  CHECK(rate <= number * 800);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(nothing_is_known_until_it_is_said),
    FIXTURE(what_is_said_is_told_to_all_and_stays),
    FIXTURE(a_state_begins_once),
    FIXTURE(what_cannot_be_is_refused_and_changes_nothing),
    FIXTURE(reasons_are_fit_to_be_shown),
    FIXTURE(a_subscriber_without_a_publisher_is_told_so),
    FIXTURE(states_have_names),
    FIXTURE(words_of_strange_publishers_are_read_as_far_as_they_go),
    FIXTURE(numbers_of_strange_publishers_stay_numbers),
    FIXTURE(tracks_say_what_came_and_when),
    FIXTURE(the_newest_keyframe_grows_old),
    FIXTURE(a_restart_is_no_interval_of_keyframes),
    FIXTURE(the_bit_rate_is_measured),
  };
  return FIXTURE_RUN("source", tests);
}
