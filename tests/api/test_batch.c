/* test_batch.c - many subscribers served by one thread: what a batch gives, of whom, and when. All of it also on a
 * kernel that cannot sleep on several words. */
#include <poll.h>
#include <unistd.h>

#include "support/batches.h"

#define ALL UINT32_C(3)

static void publish_all(cameras *c, uint64_t number) {
  for (uint32_t i = 0; i < c->count; i++)
    pictures_publish(c->publisher[i], number, 1);
}

static void the_newest_of_each_and_whose_it_is(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  cameras_start(&c, ALL, NULL);
  for (uint64_t n = 1; n < 20; n++) {
    for (uint32_t i = 0; i < ALL; i++)
      pictures_publish(c.publisher[i], 100 * i + 2 * n, 2);
    batch_expect(c.batch, ALL, &b, ALL);
    for (uint32_t i = 0; i < ALL; i++) {
      const cuframes_batch_entry *e = entry_of(&b, c.subscriber[i]);
      CHECK(e && e->index == i && e->user == &c.subscriber[i]);
      CHECK(number_of(&b, c.subscriber[i]) == 100 * i + 2 * n + 1);
    }
    batched_release(&b);
    CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  }
  cameras_end(&c);
}

static void the_next_in_order(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  cameras c = { 0 };
  batched b;
  options.depth = 8;
  cameras_start(&c, ALL, &options);
  for (uint32_t i = 0; i < ALL; i++)
    pictures_publish(c.publisher[i], 1, 5);
  for (uint64_t n = 1; n <= 5; n++) {
    batch_expect(c.batch, ALL, &b, ALL);
    for (uint32_t i = 0; i < ALL; i++)
      CHECK(number_of(&b, c.subscriber[i]) == n);
    batched_release(&b);
  }
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  cameras_end(&c);
}

static void so_many_are_waited_for(void **state) {
  (void)state;
  for (uint32_t min = 1; min <= ALL; min++) {
    cameras c = { 0 };
    batch_waiter w;
    cameras_start(&c, ALL, NULL);
    batch_waiter_start(&w, c.batch, min, patience());
    for (uint32_t i = 1; i < min; i++) {
      pictures_publish(c.publisher[ALL - i], i, 1);
      pictures_publish(c.publisher[ALL - i], 10 + i, 1); /* taken at the return, it is the newest then */
    }
    pictures_publish(c.publisher[0], 7, 1);
    CHECK_OK(batch_waiter_end(&w));
    CHECK(w.got.got >= min);
    CHECK(number_of(&w.got, c.subscriber[0]) == 7);
    for (uint32_t i = 1; i < min; i++)
      CHECK(number_of(&w.got, c.subscriber[ALL - i]) == 10 + i);
    batched_release(&w.got);
    cameras_end(&c);
  }
}

static void a_timeout_gives_what_there_is(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  cameras_start(&c, ALL, NULL);
  int64_t start = cuframes_now();
  CHECK_RESULT(batch_take(c.batch, ALL, 20 * MS, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 20, 500);
  detail_names("no member of 3");
  pictures_publish(c.publisher[1], 4, 1);
  start = cuframes_now();
  CHECK_OK(batch_take(c.batch, ALL, 20 * MS, ENTRIES, &b));
  TOOK(start, 20, 500);
  CHECK(b.got == 1 && number_of(&b, c.subscriber[1]) == 4);
  batched_release(&b);
  CHECK_RESULT(batch_take(c.batch, 0, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  pictures_publish(c.publisher[2], 5, 1);
  CHECK_OK(batch_take(c.batch, 0, 0, ENTRIES, &b)); /* 0 is 1 */
  batched_release(&b);
  cameras_end(&c);
}

static void waiting_takes_nothing(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  cameras_start(&c, ALL, NULL);
  CHECK_RESULT(cuframes_batch_wait(NULL, 1, 0, 0), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_wait(c.batch, 1, 0, 0), CUFRAMES_ERR_TIMEOUT);
  pictures_publish(c.publisher[0], 1, 1);
  CHECK_OK(cuframes_batch_wait(c.batch, 1, 1, patience()));
  CHECK_RESULT(cuframes_batch_wait(c.batch, 2, 0, 20 * MS), CUFRAMES_ERR_TIMEOUT); /* one has, and keeps it */
  CHECK(subscriber_stats(c.subscriber[0]).leases_held == 0);
  pictures_publish(c.publisher[1], 2, 1);
  CHECK_OK(cuframes_batch_wait(c.batch, 2, 0, patience()));
  cuframes_batch_interrupt(c.batch);
  CHECK_RESULT(cuframes_batch_wait(c.batch, 3, 0, patience()), CUFRAMES_ERR_INTERRUPTED);
  CHECK_OK(batch_take(c.batch, 1, 0, ENTRIES, &b));
  CHECK(b.got == 2 && number_of(&b, c.subscriber[0]) == 1 && number_of(&b, c.subscriber[1]) == 2);
  batched_release(&b);
  cameras_end(&c);
}

static void members_take_turns(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  uint32_t given[5] = { 0 };
  cameras_start(&c, 5, NULL);
  for (uint64_t n = 1; n <= 20; n++) {
    publish_all(&c, n);
    CHECK_OK(batch_take(c.batch, 5, patience(), 2, &b)); /* no more than there is room for are waited for */
    CHECK(b.got == 2);
    for (uint32_t i = 0; i < 2; i++) {
      CHECK(picture_number(b.entries[i].frame) == n);
      given[b.entries[i].index]++;
    }
    batched_release(&b);
  }
  for (uint32_t i = 0; i < 5; i++)
    CHECK(given[i] == 8);
  cameras_end(&c);
}

static void hands_full_is_nothing_new(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cameras c = { 0 };
  batched held, b;
  batch_waiter w;
  options.leases = 1;
  cameras_start(&c, 2, &options);
  pictures_publish(c.publisher[0], 1, 1);
  batch_expect(c.batch, 1, &held, 1);
  pictures_publish(c.publisher[0], 2, 1);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  detail_names("of 1 all leases are in hand");
  batch_waiter_start(&w, c.batch, 1, patience());
  uint64_t sleeps = batch_sleeps(c.batch);
  pictures_publish(c.publisher[0], 3, 5);
  CHECK(batch_sleeps(c.batch) <= sleeps + 1); /* that is no news for it */
  batched_release(&held);
  CHECK_OK(batch_waiter_end(&w));
  CHECK(number_of(&w.got, c.subscriber[0]) == 7);
  held = w.got;
  /* the other one is not held up by it, nor by its death, which is heard at once */
  batch_waiter_start(&w, c.batch, 1, patience());
  cuframes_publisher_destroy(c.publisher[0]);
  c.publisher[0] = NULL;
  CHECK_OK(batch_waiter_end(&w));
  CHECK(w.got.got == 1 && w.got.entries[0].error == CUFRAMES_ERR_PUBLISHER_GONE);
  pictures_publish(c.publisher[1], 9, 1);
  batch_expect(c.batch, CUFRAMES_BATCH_ALIVE, &b, 1);
  batched_release(&b);
  batched_release(&held);
  cameras_end(&c);
}

static void an_end_is_said_once(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  cameras_start(&c, ALL, NULL);
  pictures_publish(c.publisher[1], 1, 1);
  cuframes_publisher_destroy(c.publisher[1]);
  c.publisher[1] = NULL;
  batch_expect(c.batch, 1, &b, 1); /* its last frame first */
  CHECK(number_of(&b, c.subscriber[1]) == 1);
  batched_release(&b);
  batch_expect(c.batch, 1, &b, 1);
  CHECK(b.entries[0].index == 1 && b.entries[0].error == CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  detail_names("1 have ended");
  pictures_publish(c.publisher[0], 2, 1);
  pictures_publish(c.publisher[2], 2, 1);
  batch_expect(c.batch, ALL, &b, ALL - 1); /* so it is not waited for */
  batched_release(&b);
  CHECK_OK(cuframes_batch_remove(c.batch, c.subscriber[1]));
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_subscriber_next(c.subscriber[1], 0, &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  cameras_end(&c);
}

/* Who waits for ever for members that are over would do so in vain; a batch without members waits for one. */
static void the_end_of_all_is_said(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  batch_waiter w;
  int fd = -1;
  cameras_start(&c, 2, NULL);
  for (uint32_t i = 0; i < 2; i++) {
    cuframes_publisher_destroy(c.publisher[i]);
    c.publisher[i] = NULL;
  }
  batch_expect(c.batch, 2, &b, 2);
  for (uint32_t min = 0; min < 3; min++)
    for (int64_t timeout = 0; timeout >= -1; timeout--) {
      CHECK_RESULT(batch_take(c.batch, min < 2 ? min + 1 : CUFRAMES_BATCH_ALIVE, timeout, ENTRIES, &b),
                   CUFRAMES_ERR_PUBLISHER_GONE);
      detail_names("all 2 members of the batch have ended");
      CHECK_RESULT(cuframes_batch_wait(c.batch, 1, 0, timeout), CUFRAMES_ERR_PUBLISHER_GONE);
    }
  c.publisher[0] = camera_publisher(0); /* one that is added gives again, beside the one that is over */
  cuframes_subscriber_destroy(c.subscriber[0]);
  c.subscriber[0] = subscriber_new("s0", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_batch_add(c.batch, c.subscriber[0], NULL, NULL));
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  batch_waiter_start(&w, c.batch, 1, CUFRAMES_WAIT_FOREVER); /* it sleeps while the last one that is not over leaves */
  CHECK_OK(cuframes_batch_remove(c.batch, c.subscriber[0]));
  CHECK_RESULT(batch_waiter_end(&w), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_OK(cuframes_batch_fd(c.batch, &fd)); /* an event loop hears it, too */
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_OK(cuframes_batch_remove(c.batch, c.subscriber[1]));
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  detail_names("no member of 0");
  cameras_end(&c);
}

static void an_eviction_is_said_once(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  batched b;
  options.ordered_timeout_ns = 10 * MS;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_batch *batch = batch_new();
  CHECK_OK(cuframes_batch_add(batch, subscriber, NULL, NULL));
  pictures_publish(publisher, 1, 9); /* it reads none of them */
  batch_expect(batch, 1, &b, 1);
  CHECK(b.entries[0].error == CUFRAMES_ERR_EVICTED);
  CHECK_RESULT(batch_take(batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_subscriber_destroy(subscriber); /* takes it out */
  CHECK_RESULT(batch_take(batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  detail_names("no member of 0");
  cuframes_batch_destroy(batch);
  cuframes_publisher_destroy(publisher);
}

static cuframes_source_info source_of(uint32_t source) {
  return (cuframes_source_info){ .struct_size = sizeof(cuframes_source_info), .state = source };
}

static void who_is_not_alive_is_not_waited_for(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cameras c = { 0 };
  batched b;
  batch_waiter w;
  options.reconnect = 1;
  cameras_start(&c, ALL, &options);
  cuframes_source_info lost = source_of(CUFRAMES_SOURCE_RECONNECTING), live = source_of(CUFRAMES_SOURCE_LIVE);
  CHECK_OK(cuframes_publisher_set_source(c.publisher[0], &lost)); /* its camera is away */
  cuframes_publisher_destroy(c.publisher[1]);                     /* and this one dies */
  c.publisher[1] = NULL;
  pictures_publish(c.publisher[2], 1, 1);
  batch_expect(c.batch, CUFRAMES_BATCH_ALIVE, &b, 1);
  batched_release(&b);
  c.publisher[1] = camera_publisher(1);
  pictures_publish(c.publisher[1], 5, 1);
  batch_expect(c.batch, 1, &b, 1); /* it is back, and so it counts */
  CHECK(number_of(&b, c.subscriber[1]) == 5);
  batched_release(&b);
  batch_waiter_start(&w, c.batch, CUFRAMES_BATCH_ALIVE, patience());
  pictures_publish(c.publisher[2], 2, 1);
  pictures_publish(c.publisher[0], 7, 1); /* a picture is a picture, whatever is said of the source */
  pictures_publish(c.publisher[1], 6, 1);
  CHECK_OK(batch_waiter_end(&w));
  CHECK(number_of(&w.got, c.subscriber[1]) == 6 && number_of(&w.got, c.subscriber[2]) == 2);
  batched_release(&w.got);
  CHECK_OK(cuframes_publisher_set_source(c.publisher[0], &live));
  CHECK(batch_take(c.batch, 1, 0, ENTRIES, &b) != CUFRAMES_OK || b.got == 1);
  batched_release(&b);
  batch_waiter_start(&w, c.batch, CUFRAMES_BATCH_ALIVE, patience());
  for (uint32_t i = 0; i < ALL; i++)
    pictures_publish(c.publisher[ALL - 1 - i], 9, 1);
  CHECK_OK(batch_waiter_end(&w));
  CHECK(w.got.got == ALL);
  batched_release(&w.got);
  cameras_end(&c);
}

static void who_stands_still_is_not_waited_for_long(void **state) {
  (void)state;
  cuframes_batch_options quiet = { .struct_size = sizeof quiet, .quiet_ns = 30 * MS };
  cameras c = { 0 };
  batched b;
  cameras_start(&c, 2, NULL);
  cuframes_batch_destroy(c.batch);
  CHECK_OK(cuframes_batch_create(&quiet, &c.batch));
  for (uint32_t i = 0; i < 2; i++)
    CHECK_OK(cuframes_batch_add(c.batch, c.subscriber[i], NULL, NULL));
  pictures_publish(c.publisher[1], 1, 1);
  int64_t start = cuframes_now();
  batch_expect(c.batch, CUFRAMES_BATCH_ALIVE, &b, 1); /* the other one has its time from its joining on */
  SOON(cuframes_now() - start, 1000);
  batched_release(&b);
  WAIT_FOR(cuframes_now() - start > 60 * MS);
  for (uint64_t n = 2; n < 10; n++) {
    pictures_publish(c.publisher[1], n, 1);
    start = cuframes_now();
    batch_expect(c.batch, CUFRAMES_BATCH_ALIVE, &b, 1); /* and now at once */
    SOON(cuframes_now() - start, 25);
    batched_release(&b);
  }
  cameras_end(&c);
}

static void interrupted(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  batch_waiter w;
  cameras_start(&c, ALL, NULL);
  cuframes_batch_interrupt(NULL);
  cuframes_batch_interrupt(c.batch);
  cuframes_batch_interrupt(c.batch); /* several end one wait */
  CHECK_RESULT(batch_take(c.batch, 1, patience(), ENTRIES, &b), CUFRAMES_ERR_INTERRUPTED);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  batch_waiter_start(&w, c.batch, 1, CUFRAMES_WAIT_FOREVER);
  cuframes_batch_interrupt(c.batch);
  CHECK_RESULT(batch_waiter_end(&w), CUFRAMES_ERR_INTERRUPTED);
  pictures_publish(c.publisher[0], 1, 1);
  batch_expect(c.batch, 1, &b,
               1); /* so its memory is mapped: a frame in new memory takes a question to its publisher */
  batched_release(&b);
  batch_waiter_start(&w, c.batch, ALL, CUFRAMES_WAIT_FOREVER);
  pictures_publish(c.publisher[0], 2, 1);
  cuframes_batch_interrupt(c.batch);
  CHECK_OK(batch_waiter_end(&w)); /* with what there is, */
  CHECK(number_of(&w.got, c.subscriber[0]) == 2);
  batched_release(&w.got);
  CHECK_RESULT(batch_take(c.batch, 1, patience(), ENTRIES, &b), CUFRAMES_ERR_INTERRUPTED); /* and then it is said */
  batch_waiter_start(&w, c.batch, 1, patience());
  cuframes_subscriber_interrupt(c.subscriber[1]); /* of one member */
  CHECK_OK(batch_waiter_end(&w));
  CHECK(w.got.got == 1 && w.got.entries[0].index == 1 && w.got.entries[0].error == CUFRAMES_ERR_INTERRUPTED);
  cameras_end(&c);
}

static bool readable(int fd, int64_t timeout_ns) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  return poll(&ready, 1, (int)(timeout_ns / MS)) == 1;
}

static void readable_with_news_of_anybody(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  int fd = -1, again = -1;
  cameras_start(&c, ALL, NULL);
  CHECK_OK(cuframes_batch_fd(c.batch, &fd));
  CHECK_OK(cuframes_batch_fd(c.batch, &again));
  CHECK(fd >= 0 && fd == again);
  for (uint64_t n = 1; n < 20; n++) {
    CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
    CHECK(!readable(fd, n < 3 ? 20 * MS : 0));
    pictures_publish(c.publisher[n % ALL], n, 1);
    CHECK(readable(fd, patience()));
    batch_expect(c.batch, 1, &b, 1);
    CHECK(number_of(&b, c.subscriber[n % ALL]) == n);
    batched_release(&b);
  }
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  cuframes_batch_interrupt(c.batch);
  CHECK(readable(fd, patience()));
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_INTERRUPTED);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_batch_remove(c.batch, c.subscriber[0]));
  pictures_publish(c.publisher[0], 30, 1);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  CHECK(!readable(fd, 0));
  CHECK_OK(cuframes_batch_add(c.batch, c.subscriber[0], NULL, NULL));
  CHECK(readable(fd, patience()));
  batch_expect(c.batch, 1, &b, 1);
  CHECK(number_of(&b, c.subscriber[0]) == 30);
  batched_release(&b);
  cameras_end(&c);
}

static void never_called(void *user, cuframes_frame *frame, int error) {
  (void)user;
  CHECK(frame == NULL && error == CUFRAMES_OK && false);
}

static void members_belong_to_one(void **state) {
  (void)state;
  cameras c = { 0 };
  cuframes_batch *other = batch_new();
  cuframes_subscriber *packets;
  cuframes_frame *frame = NULL;
  batched b;
  int fd = -1, their_fd = -1;
  cameras_start(&c, 2, NULL);
  CHECK_RESULT(cuframes_batch_add(other, c.subscriber[0], NULL, NULL), CUFRAMES_ERR_BUSY);
  CHECK_RESULT(cuframes_batch_add(c.batch, c.subscriber[0], NULL, NULL), CUFRAMES_ERR_BUSY);
  CHECK_RESULT(cuframes_batch_remove(other, c.subscriber[0]), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_next(c.subscriber[0], 0, &frame), CUFRAMES_ERR_BUSY);
  detail_names("member of a batch");
  CHECK_RESULT(cuframes_subscriber_next_on(c.subscriber[0], 0, NULL, &frame), CUFRAMES_ERR_BUSY);
  CHECK_RESULT(cuframes_subscriber_fd(c.subscriber[0], &fd), CUFRAMES_ERR_BUSY);
  CHECK_RESULT(cuframes_subscriber_start(c.subscriber[0], never_called, NULL), CUFRAMES_ERR_BUSY);
  /* one that has a descriptor keeps it, silent as long as it is a member */
  CHECK_OK(cuframes_batch_remove(c.batch, c.subscriber[1]));
  CHECK_OK(cuframes_subscriber_fd(c.subscriber[1], &fd));
  CHECK_RESULT(cuframes_subscriber_next(c.subscriber[1], 0, &frame), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_batch_add(other, c.subscriber[1], NULL, NULL));
  CHECK_RESULT(batch_take(other, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  pictures_publish(c.publisher[1], 1, 1);
  batch_expect(other, 1, &b, 1);
  batched_release(&b);
  CHECK(!readable(fd, 0));
  cuframes_batch_destroy(other); /* lets go of it */
  CHECK_RESULT(cuframes_subscriber_next(c.subscriber[1], 0, &frame), CUFRAMES_ERR_TIMEOUT);
  pictures_publish(c.publisher[1], 2, 1);
  CHECK_OK(cuframes_subscriber_fd(c.subscriber[1], &their_fd));
  CHECK(fd == their_fd && readable(fd, patience()));
  CHECK(frame_look(c.subscriber[1]) == 2);
  packets = subscriber_new("s0", CUFRAMES_MODE_PACKETS);
  CHECK_RESULT(cuframes_batch_add(c.batch, packets, NULL, NULL), CUFRAMES_ERR_UNSUPPORTED);
  cuframes_subscriber_destroy(packets);
  cameras_end(&c);
}

static void wrong_uses(void **state) {
  (void)state;
  cuframes_batch *batch = NULL;
  cuframes_batch_entry entry;
  cuframes_batch_stats stats = { .struct_size = sizeof stats };
  uint32_t got = 77;
  int fd = -1;
  cuframes_batch_options options = { .struct_size = sizeof options, .quiet_ns = -1 };
  CHECK_RESULT(cuframes_batch_create(&options, &batch), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_create(NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_batch_create(NULL, &batch));
  CHECK_RESULT(cuframes_batch_next(NULL, 1, 0, &entry, 1, &got), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_next(batch, 1, 0, NULL, 1, &got), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_next(batch, 1, 0, &entry, 0, &got), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_next(batch, 1, 0, &entry, 1, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_next_on(NULL, 1, 0, NULL, &entry, 1, &got), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_next(batch, 1, 0, &entry, 1, &got), CUFRAMES_ERR_TIMEOUT);
  CHECK(got == 77);
  CHECK_RESULT(cuframes_batch_add(batch, NULL, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_add(NULL, NULL, NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_remove(batch, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_fd(batch, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_fd(NULL, &fd), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_batch_get_stats(NULL, &stats), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_batch_get_stats(batch, &stats));
  CHECK(stats.members == 0 && stats.calls == 0 && stats.frames == 0);
  cuframes_batch_destroy(batch);
  cuframes_batch_destroy(NULL);
}

static const struct CMUnitTest tests[] = {
  FIXTURE(the_newest_of_each_and_whose_it_is),
  FIXTURE(the_next_in_order),
  FIXTURE(so_many_are_waited_for),
  FIXTURE(a_timeout_gives_what_there_is),
  FIXTURE(waiting_takes_nothing),
  FIXTURE(members_take_turns),
  FIXTURE(hands_full_is_nothing_new),
  FIXTURE(an_end_is_said_once),
  FIXTURE(the_end_of_all_is_said),
  FIXTURE(an_eviction_is_said_once),
  FIXTURE(who_is_not_alive_is_not_waited_for),
  FIXTURE(who_stands_still_is_not_waited_for_long),
  FIXTURE(interrupted),
  FIXTURE(readable_with_news_of_anybody),
  FIXTURE(members_belong_to_one),
  FIXTURE(wrong_uses),
};

/* Once as the kernel is, and once more as one that cannot sleep on several words: an old one is another process, since
 * each asks its kernel once. */
int main(int argc, char **argv) {
  if (argc > 1)
    kernel_forget_futex_waitv();
  int failed = FIXTURE_RUN(argc > 1 ? "batch on an old kernel" : "batch", tests);
  if (argc == 1 && failed == 0)
    execl("/proc/self/exe", argv[0], "old", (char *)NULL);
  return failed;
}
