/* test_grid_feed.c - what a grid says of a stream: live, late, without a signal, why and since when; and that taking a
 * picture never waits. */
#include <string.h>

#include "support/stream.h"

#include "../../tools/cuframes/grid/grid_feed.c"

static const grid_feed_how how = { .label = "grid", .device = "host" };

/* Until there is a subscriber: it is joined by a thread. */
static void join_it(grid_feed *feed) {
  WAIT_FOR((grid_feed_take(feed, &how, NULL, cuframes_now()), feed->subscriber != NULL));
}

static void end_it(grid_feed *feed) {
  WAIT_FOR(grid_feed_end(feed, NULL));
}

static grid_state state_at(const grid_feed *feed, int64_t now) {
  grid_state state;
  grid_feed_state(feed, now, &state);
  return state;
}

static void take_picture(cuframes_publisher *publisher, grid_feed *feed, uint64_t number) {
  pictures_publish(publisher, number, 1);
  const uint64_t frames = feed->frames;
  WAIT_FOR((grid_feed_take(feed, &how, NULL, cuframes_now()), feed->frames > frames));
  CHECK(feed->is_new && picture_is(feed->frame, number));
}

static void a_stream_is_live_then_late_then_gone(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("cam");
  grid_feed feed;
  grid_feed_begin(&feed, "cam", cuframes_now());
  join_it(&feed);
  for (uint64_t n = 1; n <= 20; n++)
    take_picture(publisher, &feed, n);
  const int64_t stamp = cuframes_frame_timestamp(feed.frame);
  feed.interval = 40 * MS; /* as of a camera; here they came as fast as it goes */
  CHECK(state_at(&feed, stamp + 10 * MS).signal == GRID_LIVE);
  CHECK(state_at(&feed, stamp + 249 * MS).signal == GRID_LIVE);
  CHECK(state_at(&feed, stamp + 251 * MS).signal == GRID_LATE);
  CHECK(state_at(&feed, stamp + 999 * MS).signal == GRID_LATE);
  grid_state lost = state_at(&feed, stamp + 1001 * MS);
  CHECK(lost.signal == GRID_NONE && lost.since == stamp && strcmp(lost.cause, "no picture comes") == 0);
  feed.interval = 2 * SECOND; /* one that is slow by itself */
  CHECK(state_at(&feed, stamp + 5 * SECOND).signal == GRID_LIVE);
  CHECK(state_at(&feed, stamp + 7 * SECOND).signal == GRID_LATE);
  CHECK(state_at(&feed, stamp + 11 * SECOND).signal == GRID_NONE);
  feed.interval = 0; /* one that has given a single picture */
  CHECK(state_at(&feed, stamp + 4 * SECOND).signal != GRID_NONE);
  CHECK(state_at(&feed, stamp + 6 * SECOND).signal == GRID_NONE);
  end_it(&feed);
  cuframes_publisher_destroy(publisher);
}

static void the_distance_of_pictures_is_measured(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("cam");
  grid_feed feed;
  grid_feed_begin(&feed, "cam", cuframes_now());
  join_it(&feed);
  take_picture(publisher, &feed, 1);
  CHECK(feed.interval == 0);
  const int64_t first = cuframes_frame_timestamp(feed.frame);
  pictures_publish(publisher, 2, 3); /* three more, of which the last one is taken */
  WAIT_FOR((grid_feed_take(&feed, &how, NULL, cuframes_now()), cuframes_frame_seq(feed.frame) == 4));
  const int64_t last = cuframes_frame_timestamp(feed.frame);
  CHECK(feed.frames == 2 ? feed.interval == (last - first) / 3 : feed.interval > 0);
  CHECK(feed.skipped == 4 - feed.frames);
  end_it(&feed);
  cuframes_publisher_destroy(publisher);
}

static void what_the_source_says_comes_first(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("cam");
  grid_feed feed;
  grid_feed_begin(&feed, "cam", cuframes_now());
  join_it(&feed);
  take_picture(publisher, &feed, 1);
  const int64_t now = cuframes_now();
  static const uint32_t states[] = { CUFRAMES_SOURCE_STALLED, CUFRAMES_SOURCE_RECONNECTING, CUFRAMES_SOURCE_ENDED,
                                     CUFRAMES_SOURCE_CONNECTING, CUFRAMES_SOURCE_REFUSED };
  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    const cuframes_source_info source = { .struct_size = sizeof source, .state = states[i], .since = now - SECOND };
    CHECK_OK(cuframes_publisher_set_source(publisher, &source));
    snprintf(feed.reason, sizeof feed.reason, "%s", i % 2 ? "no route" : "");
    const grid_state said = state_at(&feed, now);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s%s", cuframes_source_state_name(states[i]), i % 2 ? ": no route" : "");
    CHECK(said.signal == GRID_NONE && strcmp(said.cause, wanted) == 0);
    CHECK_BETWEEN(said.since, now - SECOND - 8, now - SECOND + 8);
  }
  const cuframes_source_info live = { .struct_size = sizeof live, .state = CUFRAMES_SOURCE_LIVE };
  CHECK_OK(cuframes_publisher_set_source(publisher, &live));
  CHECK(state_at(&feed, cuframes_frame_timestamp(feed.frame)).signal == GRID_LIVE);
  end_it(&feed);
  cuframes_publisher_destroy(publisher);
}

static void who_is_gone_keeps_its_picture_and_comes_back(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("cam");
  grid_feed feed;
  grid_feed_begin(&feed, "cam", cuframes_now());
  join_it(&feed);
  take_picture(publisher, &feed, 7);
  cuframes_publisher_destroy(publisher);
  WAIT_FOR((grid_feed_take(&feed, &how, NULL, cuframes_now()), feed.lost_since != 0));
  const grid_state lost = state_at(&feed, cuframes_now());
  CHECK(lost.signal == GRID_NONE && lost.since == feed.lost_since && strcmp(lost.cause, "the stream has gone") == 0);
  CHECK(picture_is(feed.frame, 7));
  publisher = publisher_new("cam");
  WAIT_FOR((grid_feed_take(&feed, &how, NULL, cuframes_now()), feed.lost_since == 0));
  take_picture(publisher, &feed, 9);
  CHECK(state_at(&feed, cuframes_frame_timestamp(feed.frame)).signal == GRID_LIVE);
  end_it(&feed);
  cuframes_publisher_destroy(publisher);
}

static void a_stream_that_never_was_is_said_to_be_none(void **state) {
  (void)state;
  grid_feed feed;
  const int64_t now = cuframes_now();
  grid_feed_begin(&feed, "cam", now);
  grid_feed_take(&feed, &how, NULL, now);
  CHECK(state_at(&feed, now).signal != GRID_LIVE);
  WAIT_FOR(strcmp(state_at(&feed, now + 1).cause, "no such stream") == 0);
  CHECK(state_at(&feed, now + 1).since == now);
  end_it(&feed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_stream_is_live_then_late_then_gone),       FIXTURE(the_distance_of_pictures_is_measured),
    FIXTURE(what_the_source_says_comes_first),           FIXTURE(who_is_gone_keeps_its_picture_and_comes_back),
    FIXTURE(a_stream_that_never_was_is_said_to_be_none),
  };
  return FIXTURE_RUN("grid_feed", tests);
}
