/* test_pool.c - frame memory: grows for those who join, shrinks when they leave, changes format under held frames. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "support/child.h"
#include "support/rights.h"
#include "support/stream.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static cuframes_publisher *open_stream_with(uint32_t slots, uint32_t max_slots, uint32_t reserve) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.slots = slots;
  options.max_slots = max_slots;
  options.max_leases = 64;
  options.reserve = reserve;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  return publisher;
}

static cuframes_publisher *open_stream(uint32_t slots, uint32_t max_slots) {
  return open_stream_with(slots, max_slots, CUFRAMES_RESERVE_NEED);
}

static int join(uint32_t mode, uint32_t leases, uint32_t depth, cuframes_subscriber **subscriber) {
  cuframes_subscriber_options options = subscriber_options(mode);
  options.leases = leases;
  options.depth = depth;
  return subscriber_try("s", &options, subscriber);
}

enum { HOLDERS = 3, EACH_HOLDS = 60 };

/* Frames that are held, each by one: all that can be pinned is. */
static void hold_frames(cuframes_publisher *publisher, cuframes_subscriber **subscribers,
                        cuframes_frame *held[HOLDERS][EACH_HOLDS]) {
  uint64_t number = 0;
  for (int k = 0; k < EACH_HOLDS; k++) {
    for (int i = 0; i < HOLDERS; i++) {
      pictures_publish(publisher, ++number, 1);
      held[i][k] = frame_take(subscribers[i]);
    }
  }
}

static void release_frames(cuframes_frame *held[HOLDERS][EACH_HOLDS]) {
  for (int k = 0; k < EACH_HOLDS; k++) {
    for (int i = 0; i < HOLDERS; i++) {
      assert_int_equal(picture_number(held[i][k]), k * HOLDERS + i + 1);
      cuframes_frame_release(held[i][k]);
    }
  }
}

static void the_pool_grows_for_what_is_held_and_shrinks_after(uint32_t reserve) {
  enum { WORST = 2 + HOLDERS * EACH_HOLDS };
  cuframes_publisher *publisher = open_stream_with(2, 200, reserve);
  cuframes_publisher_stats before = publisher_stats(publisher);
  assert_int_equal(before.slots, 2);
  cuframes_subscriber *subscribers[HOLDERS];
  cuframes_frame *held[HOLDERS][EACH_HOLDS];
  for (int i = 0; i < HOLDERS; i++) {
    CHECK_OK(join(CUFRAMES_MODE_NEWEST, EACH_HOLDS, 0, &subscribers[i]));
    CHECK_BETWEEN(publisher_stats(publisher).slots, reserve ? 2 + (i + 1) * EACH_HOLDS : 2, reserve ? 200 : 2);
  }
  hold_frames(publisher, subscribers, held);
  cuframes_publisher_stats grown = publisher_stats(publisher);
  CHECK_BETWEEN(grown.slots, WORST, 200);
  assert_true(grown.memory_bytes - before.memory_bytes >= (WORST - 2) * 4096);
  pictures_publish(publisher, 1000, 500); /* with every lease in hand there is still room to publish */
  if (reserve)
    assert_int_equal(publisher_stats(publisher).dropped, 0);
  release_frames(held);
  for (int i = 0; i < HOLDERS; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  WAIT_FOR(picture_publish(publisher, 1) == CUFRAMES_OK && publisher_stats(publisher).slots <= before.slots + 4);
  CHECK_BETWEEN(publisher_stats(publisher).memory_bytes, before.memory_bytes, before.memory_bytes + 4 * 4096);
  cuframes_publisher_destroy(publisher);
}

static void slots_come_as_they_are_needed_and_go_again(void **state) {
  (void)state;
  the_pool_grows_for_what_is_held_and_shrinks_after(CUFRAMES_RESERVE_NEED);
}

static void with_reserve_full_they_are_there_before_one_joins(void **state) {
  (void)state;
  the_pool_grows_for_what_is_held_and_shrinks_after(CUFRAMES_RESERVE_FULL);
}

/* Sixteen that take what is newest and hold it until they have the next one: all of them the same two frames. */
static void many_who_hold_the_same_frames_take_few_slots(void **state) {
  (void)state;
  enum { MANY = 16 };
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscribers[MANY];
  cuframes_frame *held[MANY] = { NULL };
  for (int i = 0; i < MANY; i++)
    subscribers[i] = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  for (uint64_t number = 1; number <= 200; number++) {
    pictures_publish(publisher, number, 1);
    for (int i = 0; i < MANY; i++) {
      cuframes_frame *frame = frame_take(subscribers[i]);
      assert_int_equal(picture_number(frame), number);
      cuframes_frame_release(held[i]);
      held[i] = frame;
    }
  }
  /* the newest, an open one, and one that is held at times; what is to be free beside; growth in steps of a quarter */
  CHECK_BETWEEN(publisher_stats(publisher).slots, 6, 8);
  for (int i = 0; i < MANY; i++) {
    cuframes_frame_release(held[i]);
    cuframes_subscriber_destroy(subscribers[i]);
  }
  cuframes_publisher_destroy(publisher);
}

static void sixteen_ordered_readers_with_sixteen_leases_get_in(void **state) {
  (void)state;
  enum { MANY = 16 };
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscribers[MANY];
  for (int i = 0; i < MANY; i++)
    CHECK_OK(join(CUFRAMES_MODE_ORDERED, 16, 0, &subscribers[i]));
  for (uint64_t number = 1; number <= 50; number++) {
    CHECK_OK(picture_publish(publisher, number)); /* none is dropped: it waits for a slot, which is in no time */
    for (int i = 0; i < MANY; i++)
      assert_int_equal(frame_look(subscribers[i]), number);
  }
  CHECK_BETWEEN(publisher_stats(publisher).slots, 6, 16);
  assert_int_equal(publisher_stats(publisher).dropped, 0);
  for (int i = 0; i < MANY; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  cuframes_publisher_destroy(publisher);
}

/* What one may hold at the most: leases, frames that wait, and all of different frames. */
static void an_ordered_reader_gets_every_frame_while_the_pool_grows(void **state) {
  (void)state;
  enum { LEASES = 40 };
  cuframes_publisher *publisher = open_stream(2, 200);
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *held[LEASES];
  CHECK_OK(join(CUFRAMES_MODE_ORDERED, LEASES, 4, &subscriber));
  for (uint64_t number = 1; number <= LEASES; number++) {
    CHECK_OK(picture_publish(publisher, number)); /* at full speed */
    held[number - 1] = frame_take(subscriber);
    assert_int_equal(picture_number(held[number - 1]), number);
  }
  assert_int_equal(publisher_stats(publisher).dropped, 0);
  for (int k = 0; k < LEASES; k++) {
    assert_int_equal(picture_number(held[k]), k + 1);
    cuframes_frame_release(held[k]);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void who_does_not_fit_is_told_the_limit(void **state) {
  (void)state;
  cuframes_publisher *publisher = open_stream(2, 10); /* 8 for subscribers: the newest frame and an open one are ours */
  cuframes_subscriber *first = NULL, *second = NULL, *none = NULL;
  CHECK_OK(join(CUFRAMES_MODE_NEWEST, 4, 0, &first));
  CHECK_RESULT(join(CUFRAMES_MODE_NEWEST, 5, 0, &none), CUFRAMES_ERR_NO_CAPACITY);
  detail_names("11");
  detail_names("10");
  detail_names("--max-slots");
  CHECK_RESULT(join(CUFRAMES_MODE_ORDERED, 1, 5, &none), CUFRAMES_ERR_NO_CAPACITY);
  assert_null(none);
  CHECK_OK(join(CUFRAMES_MODE_ORDERED, 1, 4, &second));
  CHECK_RESULT(join(CUFRAMES_MODE_NEWEST, 1, 0, &none), CUFRAMES_ERR_NO_CAPACITY);
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(first), 1); /* those inside notice nothing */
  assert_int_equal(frame_look(second), 1);
  CHECK_OK(join(CUFRAMES_MODE_PACKETS, 0, 0, &none)); /* costs nothing */
  cuframes_subscriber_destroy(none);
  cuframes_subscriber_destroy(second);
  WAIT_FOR(join(CUFRAMES_MODE_NEWEST, 4, 0, &second) == CUFRAMES_OK); /* its room is free again */
  cuframes_subscriber_destroy(first);
  cuframes_subscriber_destroy(second);
  cuframes_publisher_destroy(publisher);
}

static void no_more_subscribers_than_allowed(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_subscriber *subscribers[2], *none = NULL;
  options.max_subscribers = 2;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  for (int i = 0; i < 2; i++)
    subscribers[i] = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK_RESULT(join(CUFRAMES_MODE_NEWEST, 0, 0, &none), CUFRAMES_ERR_NO_CAPACITY);
  detail_names("2");
  detail_names("max_subscribers");
  for (int i = 0; i < 2; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  cuframes_publisher_destroy(publisher);
}

static void options_out_of_range_are_refused(void **state) {
  (void)state;
  cuframes_publisher_options good = publisher_options(), options;
  cuframes_publisher *none = NULL;
#define BAD(field, value)                                                                                              \
  options = good;                                                                                                      \
  options.field = value;                                                                                               \
  CHECK_RESULT(cuframes_publisher_create("s", &options, &none), CUFRAMES_ERR_INVALID);                                 \
  detail_names(#field);
  BAD(max_open, 129)
  BAD(max_slots, 1025)
  BAD(max_slots, 1)
  BAD(slots, 1)
  BAD(slots, 1025)
  BAD(reserve, 2)
  BAD(max_subscribers, 257)
  BAD(max_leases, 65)
  BAD(max_depth, 257)
  BAD(socket_mode, 01000)
  BAD(policy, 2)
  BAD(ordered_timeout_ns, -1)
#undef BAD
  options = good;
  options.device = "gpu9";
  CHECK_RESULT(cuframes_publisher_create("s", &options, &none), CUFRAMES_ERR_UNSUPPORTED);
  detail_names("gpu9");
  assert_null(none);
  assert_int_equal(fixture_files(), 0);
}

#define EACH 16
#define PROCESSES 4
#define LAST 60

/* Sixteen subscribers of both kinds in one process. */
static void many_in_one(int test, void *unused) {
  (void)unused;
  cuframes_subscriber *subscribers[EACH];
  uint64_t last[EACH] = { 0 };
  for (int i = 0; i < EACH; i++) {
    cuframes_subscriber_options options = subscriber_options(i % 4 == 0 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST);
    options.leases = 3;
    options.connect_timeout_ns = patience();
    subscribers[i] = subscriber_join("s", &options);
  }
  say(test, 0);
  for (bool going = true; going;) {
    going = false;
    for (int i = 0; i < EACH; i++) {
      if (last[i] >= LAST)
        continue;
      cuframes_frame *frame = frame_take(subscribers[i]);
      uint64_t number = picture_number(frame);
      CHECK(i % 4 == 0 ? number == last[i] + 1 : number > last[i]);
      last[i] = number;
      cuframes_frame_release(frame);
      going = true;
    }
  }
  for (int i = 0; i < EACH; i++)
    cuframes_subscriber_destroy(subscribers[i]);
}

static void sixty_four_subscribers_get_their_frames(void **state) {
  (void)state;
  child *children[PROCESSES];
  for (int i = 0; i < PROCESSES; i++)
    children[i] = child_start(many_in_one, NULL);
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.max_slots = 512;
  options.ordered_timeout_ns = patience();
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  for (int i = 0; i < PROCESSES; i++)
    (void)hear(children[i]->fd);
  assert_int_equal(publisher_stats(publisher).subscribers, EACH * PROCESSES);
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_int_equal(info->subscriber_count, EACH * PROCESSES);
  cuframes_stream_info_free(info);
  pictures_publish(publisher, 1, LAST);
  for (int i = 0; i < PROCESSES; i++)
    child_finish(children[i]);
  assert_int_equal(publisher_stats(publisher).evictions, 0);
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  cuframes_publisher_destroy(publisher);
}

static void frames_of_an_old_format_stay_whole(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_format large = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 320, .height = 179 };
  pictures_publish(publisher, 1, 2);
  cuframes_frame *old = frame_take(newest);
  CHECK_OK(cuframes_publisher_set_format(publisher, &large));
  pictures_publish(publisher, 3, 1);
  cuframes_frame *fresh = frame_take(newest);
  assert_int_equal(cuframes_frame_flags(fresh), CUFRAMES_FRAME_NEW_FORMAT);
  assert_int_equal(cuframes_frame_width(fresh), 320);
  assert_int_equal(cuframes_frame_height(fresh), 179);
  assert_int_equal(cuframes_frame_pixel_format(fresh), CUFRAMES_PIXEL_NV12);
  assert_int_equal(picture_number(fresh), 3);
  for (uint64_t number = 1; number <= 3; number++) { /* an ordered one goes through the change without a loss */
    cuframes_frame *frame = frame_take(ordered);
    assert_int_equal(picture_number(frame), number);
    assert_int_equal(cuframes_frame_flags(frame), number == 3 ? CUFRAMES_FRAME_NEW_FORMAT : 0);
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(ordered);
  pictures_publish(publisher, 4, 200);
  assert_int_equal(picture_number(old), 2);
  assert_int_equal(cuframes_frame_width(old), 64);
  assert_int_equal(picture_number(fresh), 3);
  cuframes_frame_release(old);
  cuframes_frame_release(fresh);
  fresh = frame_take(newest);
  assert_int_equal(cuframes_frame_flags(fresh), 0);
  cuframes_frame_release(fresh);
  CHECK_OK(cuframes_publisher_set_format(publisher, &large)); /* the same: nothing happens */
  pictures_publish(publisher, 300, 1);
  fresh = frame_take(newest);
  assert_int_equal(cuframes_frame_flags(fresh), 0);
  cuframes_frame_release(fresh);
  cuframes_subscriber_destroy(newest);
  cuframes_publisher_destroy(publisher);
}

static void a_hundred_formats_leave_nothing_behind(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *before = NULL;
  uint64_t memory = 0;
  int descriptors = 0, mappings = 0;
  for (uint32_t i = 0; i <= 100; i++) {
    cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_RGBA, .width = 16 + i % 100, .height = 9 };
    CHECK_OK(cuframes_publisher_set_format(publisher, &format));
    pictures_publish(publisher, i + 1, 1);
    cuframes_frame *frame = frame_take(subscriber);
    assert_int_equal(picture_number(frame), i + 1);
    assert_int_equal(cuframes_frame_width(frame), 16 + i % 100);
    if (before) { /* each is held until the next one of another format came */
      assert_int_equal(picture_number(before), i);
      cuframes_frame_release(before);
    }
    before = frame;
    if (i == 0 || i == 100) {
      cuframes_frame_release(before);
      before = NULL;
      pictures_publish(publisher, i + 1, 1);
      WAIT_FOR(picture_publish(publisher, i + 1) == CUFRAMES_OK && publisher_stats(publisher).segments == 1);
      assert_int_equal(frame_look(subscriber), i + 1);
    }
    if (i == 0) {
      memory = publisher_stats(publisher).memory_bytes;
      descriptors = fixture_descriptors();
      mappings = fixture_mappings();
    }
  }
  assert_int_equal(publisher_stats(publisher).memory_bytes, memory);
  WAIT_FOR(fixture_descriptors() <= descriptors); /* one is on its way to the subscriber for a moment */
  CHECK_OK(cuframes_publisher_set_format(publisher, &(cuframes_format){ .pixel_format = 6, .width = 5, .height = 5 }));
  pictures_publish(publisher, 1, 1);
  assert_int_equal(frame_look(subscriber), 1); /* it unmaps old segments when it maps a new one */
  CHECK_BETWEEN(fixture_mappings(), mappings - 1, mappings + 2);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_thousand_subscribers_leave_nothing_behind(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 1);
  cuframes_publisher_stats before = publisher_stats(publisher);
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  for (uint32_t i = 0; i < 1000; i++) {
    cuframes_subscriber *subscriber = NULL;
    CHECK_OK(join(i % 2, i % 3 == 0 ? 12 : 1, 0, &subscriber));
    cuframes_frame *frame = frame_take(subscriber);
    if (i % 5 == 0)
      cuframes_subscriber_destroy(subscriber);
    cuframes_frame_release(frame);
    if (i % 5 != 0)
      cuframes_subscriber_destroy(subscriber);
    if (i % 10 == 0)
      pictures_publish(publisher, 1, 2);
  }
  WAIT_FOR(publisher_stats(publisher).subscribers == 0);
  WAIT_FOR(picture_publish(publisher, 1) == CUFRAMES_OK && publisher_stats(publisher).segments == 1);
  assert_int_equal(publisher_stats(publisher).memory_bytes, before.memory_bytes);
  WAIT_FOR(fixture_descriptors() == descriptors); /* the last connection closes a moment after its seat is gone */
  WAIT_FOR(fixture_mappings() == mappings);
  cuframes_publisher_destroy(publisher);
}

static void the_memory_of_a_stream_is_its_frames_and_little_more(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_NV12, .width = 1920, .height = 1080 };
  options.slots = 4;
  options.max_slots = 1024;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  uint64_t frame_bytes = 0;
  CHECK_OK(cuframes_format_layout(&options.format, 0, &frame_bytes));
  CHECK_BETWEEN(publisher_stats(publisher).memory_bytes, 4 * frame_bytes, 4 * frame_bytes + (1 << 20));
  cuframes_publisher_destroy(publisher);
}

/* kB of the segments that this process has mapped: all of them, and those that it would not have to fault in. */
static void segments_mapped(long *all, long *present) {
  FILE *maps = fopen("/proc/self/smaps", "r");
  char line[4096];
  bool ours = false;
  CHECK(maps != NULL);
  *all = *present = 0;
  while (fgets(line, sizeof line, maps)) {
    long kb = 0;
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
      ours = strstr(line, "/memfd:cuframes-segment") != NULL;
    else if (ours && sscanf(line, "Size: %ld kB", &kb) == 1)
      *all += kb;
    else if (ours && sscanf(line, "Rss: %ld kB", &kb) == 1)
      *present += kb;
  }
  CHECK(fclose(maps) == 0);
}

static bool kernel_populates(void) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  const bool does = madvise(page, 4096, MADV_POPULATE_WRITE) == 0;
  CHECK(munmap(page, 4096) == 0);
  return does;
}

/* Whoever draws the first picture in a slot does not wait for its pages: they are there with the slot. */
static void a_slot_comes_with_its_pages(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  long all, present;
  if (!kernel_populates()) {
    skip_because("needs a kernel with MADV_POPULATE_WRITE (Linux 5.14)");
    return;
  }
  options.format.width = options.format.height = 1024;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  segments_mapped(&all, &present);
  CHECK(all >= 1024 && present > all / 2); /* a machine without memory may have taken some already */
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(slots_come_as_they_are_needed_and_go_again),
    FIXTURE(with_reserve_full_they_are_there_before_one_joins),
    FIXTURE(many_who_hold_the_same_frames_take_few_slots),
    FIXTURE(sixteen_ordered_readers_with_sixteen_leases_get_in),
    FIXTURE(an_ordered_reader_gets_every_frame_while_the_pool_grows),
    FIXTURE(a_slot_comes_with_its_pages),
    FIXTURE(who_does_not_fit_is_told_the_limit),
    FIXTURE(no_more_subscribers_than_allowed),
    FIXTURE(options_out_of_range_are_refused),
    FIXTURE(sixty_four_subscribers_get_their_frames),
    FIXTURE(frames_of_an_old_format_stay_whole),
    FIXTURE(a_hundred_formats_leave_nothing_behind),
    FIXTURE(a_thousand_subscribers_leave_nothing_behind),
    FIXTURE(the_memory_of_a_stream_is_its_frames_and_little_more),
  };
  return FIXTURE_RUN("pool", tests);
}
