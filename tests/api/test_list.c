/* test_list.c - the list of streams where some do not answer, or answer with what nobody can mean: all are asked at
 * once, and numbers and words of others do no harm.
 */
#include <stdio.h>
#include <unistd.h>

#include "support/fake.h"
#include "support/stream.h"

enum { SILENT = 20 };

/* Twenty listeners that never answer, one of them with a full queue, and a good one behind them. */
static void there_is_one_deadline_for_all(void **state) {
  (void)state;
  int listeners[SILENT], queued[200], count = 0;
  cuframes_streams *streams = NULL;
  for (int i = 0; i < SILENT; i++)
    CHECK_OK(cf_listen(-1, fixture_path("a%02d.sock", i), 0600, 0, &listeners[i]));
  while (count < 200 && cf_connect(-1, fixture_path("a00.sock"), "s", 1, NULL, &queued[count]) == CUFRAMES_OK)
    count++;
  cuframes_publisher *publisher = publisher_new("z");
  pictures_publish(publisher, 1, 1);
  int64_t start = cuframes_now();
  CHECK_OK(cuframes_stream_list(NULL, 300 * MS, &streams));
  TOOK(start, 290, 2000); /* and not twenty times that */
  assert_int_equal(streams->count, SILENT + 1);
  for (int i = 0; i < SILENT; i++) {
    char name[8];
    snprintf(name, sizeof name, "a%02d", i);
    assert_string_equal(streams->entries[i]->name, name);
    assert_int_equal(streams->entries[i]->error, CUFRAMES_ERR_TIMEOUT);
    assert_non_null(streams->entries[i]->detail);
    assert_null(streams->entries[i]->info);
  }
  assert_string_equal(streams->entries[SILENT]->name, "z");
  assert_int_equal(streams->entries[SILENT]->error, CUFRAMES_OK);
  assert_int_equal(streams->entries[SILENT]->info->frames, 1);
  cuframes_streams_free(streams);
  for (int i = 0; i < SILENT; i++) {
    close(listeners[i]);
    assert_int_equal(unlink(fixture_path("a%02d.sock", i)), 0);
  }
  while (count > 0)
    close(queued[--count]);
  start = cuframes_now(); /* when all answer, nobody waits */
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  SOON(cuframes_now() - start, 1000);
  assert_int_equal(streams->count, 1);
  cuframes_streams_free(streams);
  cuframes_publisher_destroy(publisher);
}

static int64_t timestamp;

static bool answer_from_another_time(fake *f, int fd, uint32_t type) {
  (void)f;
  if (type != CF_MSG_GET_INFO)
    return false;
  cf_msg_info info = { .name = "s", .timestamp = timestamp, .format = { .width = 64 } };
  fake_answer(fd, CF_MSG_INFO, &info, NULL, 0);
  return true;
}

static void no_timestamp_is_too_strange(void **state) {
  (void)state;
  static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, -1, 1, INT64_MAX - 1, INT64_MAX };
  fake *f = fake_new();
  f->instead = answer_from_another_time;
  fake_start(f);
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    cuframes_stream_info *info = NULL;
    timestamp = times[i];
    CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
    if (times[i] > 1)
      assert_int_equal(info->age_ns, 0); /* it is not made yet */
    else
      assert_true(info->age_ns > 0);
    cuframes_stream_info_free(info);
  }
  fake_end(f);
}

/* A label may say anything that a terminal shows, and nothing that it obeys. */
static void what_a_terminal_would_obey_is_not_passed_on(void **state) {
  (void)state;
  static const struct {
    const char *given, *shown;
  } labels[] = {
    { "caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac" },
    { "a\xc2\x9b"
      "31mred",
      "a??31mred" },
    { "\x9b"
      "2J",
      "?2J" },
    { "\xe2\x80\xae"
      "txt.exe",
      "???txt.exe" },
    { "a\x1b[2J\n", "a?[2J?" },
  };
  cuframes_publisher *publisher = publisher_new("s");
  for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
    cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
    cuframes_stream_info *info = NULL;
    options.label = labels[i].given;
    cuframes_subscriber *subscriber = subscriber_join("s", &options);
    CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
    assert_int_equal(info->subscriber_count, 1);
    assert_string_equal(info->subscribers[0]->label, labels[i].shown);
    cuframes_stream_info_free(info);
    cuframes_subscriber_destroy(subscriber);
    WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  }
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(there_is_one_deadline_for_all),
    FIXTURE(no_timestamp_is_too_strange),
    FIXTURE(what_a_terminal_would_obey_is_not_passed_on),
  };
  return FIXTURE_RUN("list", tests);
}
