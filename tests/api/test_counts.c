/* test_counts.c - what a monitor is told of all subscribers that a stream has had, of how long frames were on their
 * way, and of the stream itself: numbers that only grow, whoever leaves, dies or lies.
 */
#include <string.h>

#include "subscriber/subscriber.h"
#include "support/child.h"
#include "support/packets.h"
#include "support/raw.h"
#include "support/stream.h"

enum { NEWEST = CUFRAMES_MODE_NEWEST, ORDERED = CUFRAMES_MODE_ORDERED, PACKETS = CUFRAMES_MODE_PACKETS };

static cuframes_stream_info *ask(void) {
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  return info;
}

static cuframes_mode_info asked(uint32_t mode) {
  cuframes_stream_info *info = ask();
  CHECK(info->mode_count == 3 && info->modes[mode]->mode == mode);
  cuframes_mode_info copy = *info->modes[mode];
  cuframes_stream_info_free(info);
  return copy;
}

/* Waits until the publisher has seen that. */
static void all_have_left(void) {
  const int64_t end = cuframes_now() + patience();
  for (size_t count = 1; count > 0; pause_ms(1)) {
    cuframes_stream_info *info = ask();
    count = info->subscriber_count;
    cuframes_stream_info_free(info);
    CHECK(count == 0 || cuframes_now() < end);
  }
}

static uint64_t counted(const cuframes_mode_info *mode) {
  uint64_t all = 0;
  for (int i = 0; i < CUFRAMES_LATENCY_BUCKETS; i++)
    all += mode->latency[i].frames;
  return all;
}

static void nobody_has_joined_yet(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 3);
  for (uint32_t mode = NEWEST; mode <= PACKETS; mode++) {
    const cuframes_mode_info got = asked(mode);
    CHECK(got.joined == 0 && got.delivered == 0 && got.skipped == 0 && got.latency_sum_ns == 0 && counted(&got) == 0);
    CHECK(got.latency[0].up_to_ns == 50000 && got.latency[CUFRAMES_LATENCY_BUCKETS - 1].up_to_ns == INT64_MAX);
    for (int i = 1; i < CUFRAMES_LATENCY_BUCKETS; i++)
      CHECK(got.latency[i].up_to_ns > got.latency[i - 1].up_to_ns);
  }
  cuframes_publisher_destroy(publisher);
}

/* Each mode by itself, while they are there and when they have left. */
static void those_that_left_stay_counted(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  cuframes_subscriber *packets = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  for (uint64_t i = 1; i <= 6; i++) {
    pictures_publish(publisher, i, 1);
    CHECK(frame_look(ordered) == i);
    if (i % 3 == 0)
      CHECK(frame_look(newest) == i);
  }
  for (int left = 0; left < 2; left++) {
    cuframes_mode_info got = asked(NEWEST);
    CHECK(got.joined == 1 && got.delivered == 2 && got.skipped == 2 && counted(&got) == 2);
    got = asked(ORDERED);
    CHECK(got.joined == 1 && got.delivered == 6 && got.skipped == 0 && counted(&got) == 6);
    got = asked(PACKETS);
    CHECK(got.joined == 1 && got.delivered == 0 && counted(&got) == 0);
    cuframes_subscriber_destroy(newest);
    cuframes_subscriber_destroy(ordered);
    cuframes_subscriber_destroy(packets);
    newest = ordered = packets = NULL;
    all_have_left();
  }
  newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK(frame_look(newest) == 6);
  const cuframes_mode_info got = asked(NEWEST);
  CHECK(got.joined == 2 && got.delivered == 3 && counted(&got) == 3);
  cuframes_subscriber_destroy(newest);
  cuframes_publisher_destroy(publisher);
}

static void take_and_hold(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  say(test, 0);
  for (;;) {
    cuframes_frame *frame = frame_take(subscriber);
    say(test, picture_number(frame));
    (void)hear(test); /* the first time it is killed here, with the frame in its hand */
    cuframes_frame_release(frame);
  }
}

static void one_that_is_killed_stays_counted(void **state) {
  (void)state;
  child *process = child_start(take_and_hold, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  say(process->fd, 0);
  (void)hear(process->fd);
  pictures_publish(publisher, 1, 1);
  CHECK(hear(process->fd) == 1);
  child_kill(process);
  all_have_left();
  const cuframes_mode_info got = asked(ORDERED);
  CHECK(got.joined == 1 && got.delivered == 1 && counted(&got) == 1);
  cuframes_publisher_destroy(publisher);
}

/* What the publisher does when it wakes readers: by then the frame is to be had. */
static void (*when_waking)(void);

uint32_t __real_cf_publisher_wake(cuframes_publisher *p);
uint32_t __wrap_cf_publisher_wake(cuframes_publisher *p);
uint32_t __wrap_cf_publisher_wake(cuframes_publisher *p) {
  const uint32_t woken = __real_cf_publisher_wake(p);
  if (when_waking)
    when_waking();
  return woken;
}

static void take_and_leave(int test, void *unused) {
  (void)unused;
  (void)hear(test);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  say(test, 0);
  CHECK(frame_look(subscriber) == 1);
  cuframes_subscriber_destroy(subscriber);
}

/* A publisher that loses the processor when the frame can be had: its reader has come and gone before it is back. */
static void one_that_is_quicker_than_publish_stays_counted(void **state) {
  (void)state;
  child *process = child_start(take_and_leave, NULL);
  cuframes_publisher *publisher = publisher_new("s");
  say(process->fd, 0);
  (void)hear(process->fd);
  child_wait_asleep(process); /* in next(), so that it is woken */
  when_waking = all_have_left;
  pictures_publish(publisher, 1, 1);
  when_waking = NULL;
  child_finish(process);
  all_have_left();
  const cuframes_mode_info got = asked(ORDERED);
  CHECK(got.joined == 1 && got.delivered == 1 && counted(&got) == 1);
  cuframes_publisher_destroy(publisher);
}

/* From the moment of publishing, so that what lies longer counts as longer. */
static void latency_is_what_it_took(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  const int64_t before = cuframes_now();
  pictures_publish(publisher, 1, 1);
  const int64_t published = cuframes_now();
  pause_ms(30);
  const int64_t taking = cuframes_now();
  CHECK(frame_look(subscriber) == 1);
  const int64_t after = cuframes_now();
  const cuframes_mode_info got = asked(ORDERED);
  CHECK((int64_t)got.latency_sum_ns >= taking - published && (int64_t)got.latency_sum_ns <= after - before);
  for (int i = 0; i < CUFRAMES_LATENCY_BUCKETS; i++) {
    const int64_t from = i > 0 ? got.latency[i - 1].up_to_ns : -1;
    const int64_t sum = (int64_t)got.latency_sum_ns;
    CHECK(got.latency[i].frames == (sum > from && sum <= got.latency[i].up_to_ns));
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static uint64_t taken_spinning(cuframes_publisher *publisher, cuframes_subscriber *subscriber, bool spun) {
  cuframes_frame *frame = NULL;
  CHECK_OK(picture_publish(publisher, 1));
  CHECK_OK(cf_subscriber_take(subscriber, subscriber->taking, &(cf_take_how){ .spun = spun }, &frame));
  cuframes_frame_release(frame);
  const cuframes_mode_info got = asked(NEWEST);
  return counted(&got);
}

/* Who spins looks at the clock for one frame in seven, which counts for all. */
static void who_spins_is_counted_in_sevens(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  uint64_t others = 1;
  CHECK_OK(picture_publish(publisher, 1));
  CHECK(frame_look(subscriber) == 1);
  for (uint64_t frames = 1; frames <= 15; frames++) {
    CHECK(taken_spinning(publisher, subscriber, true) == others + frames / 7 * 7);
    if (frames % 5 == 0) /* one that lay there already, or that it slept for */
      CHECK(taken_spinning(publisher, subscriber, false) == ++others + frames / 7 * 7);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* What a seat says of itself cannot be more than there was, nor make the sums of others go round. */
static void a_seat_that_lies_spoils_no_sum(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *honest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  CHECK(frame_look(honest) == 1);
  pictures_publish(publisher, 2, 3);
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  raw_seat raw;
  raw_join(&raw, "s", &hello);
  atomic_store(&raw.seat->delivered, UINT64_MAX);
  atomic_store(&raw.seat->skipped, UINT64_MAX);
  atomic_store(&raw.seat->latency_sum, UINT64_MAX);
  for (uint32_t i = 0; i < CF_SEAT_COUNTERS; i++)
    atomic_store(&raw.seat->counters[i], UINT64_MAX);
  for (int left = 0; left < 2; left++) {
    const cuframes_mode_info got = asked(NEWEST);
    CHECK(got.joined == 2 && got.delivered == 1 + 4 && got.skipped <= 4 && counted(&got) == 1 + 4);
    CHECK(got.latency_sum_ns < 5 * (uint64_t)(patience() + cuframes_now()));
    if (!left)
      raw_leave(&raw);
    cuframes_subscriber_destroy(honest);
    honest = NULL;
    all_have_left();
  }
  cuframes_publisher_destroy(publisher);
}

static void seat_say(cf_seat *seat, uint64_t frames, uint32_t bucket) {
  atomic_store(&seat->delivered, frames);
  atomic_store(&seat->skipped, frames);
  atomic_store(&seat->latency_sum, frames * 1000);
  for (uint32_t i = 0; i < CUFRAMES_LATENCY_BUCKETS; i++)
    atomic_store(&seat->counters[i], i == bucket ? frames : 0);
}

/* A count that falls says to whoever watches that the publisher began anew. */
static void a_seat_that_takes_back_what_it_said_changes_nothing(void **state) {
  (void)state;
  static const struct {
    uint64_t frames;
    uint32_t bucket;
  } says[] = { { 3, 2 }, { 0, 2 }, { 2, 2 }, { 3, 0 }, { UINT64_MAX, 0 }, { 3, 15 }, { 4, 2 }, { 0, 0 } };
  cuframes_publisher *publisher = publisher_new("s");
  pictures_publish(publisher, 1, 4);
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  raw_seat raw;
  raw_join(&raw, "s", &hello);
  cuframes_mode_info before = { 0 };
  for (size_t i = 0; i <= sizeof says / sizeof says[0]; i++) {
    if (i < sizeof says / sizeof says[0])
      seat_say(raw.seat, says[i].frames, says[i].bucket);
    else
      raw_leave(&raw), all_have_left();
    const cuframes_mode_info got = asked(NEWEST);
    CHECK(got.delivered >= before.delivered && got.skipped >= before.skipped);
    CHECK(got.packets_read >= before.packets_read && got.packets_lost >= before.packets_lost);
    CHECK(got.latency_sum_ns >= before.latency_sum_ns && counted(&got) <= 4);
    for (int bucket = 0; bucket < CUFRAMES_LATENCY_BUCKETS; bucket++)
      CHECK(got.latency[bucket].frames >= before.latency[bucket].frames);
    before = got;
  }
  CHECK(before.delivered == 4 && before.latency[2].frames == 3 && before.latency[0].frames == 1);
  cuframes_publisher_destroy(publisher);
}

/* Whoever reads packets, in whatever mode, says how many, and how many it came too late for. */
static void readers_say_what_packets_they_lost(void **state) {
  (void)state;
  static const struct {
    uint32_t mode;
    bool reads;
  } readers[] = { { PACKETS, true }, { NEWEST, true }, { ORDERED, false } };
  cuframes_publisher *publisher = packet_publisher("s", 8, 0);
  cuframes_subscriber *subscribers[3];
  CHECK_OK(packet_publish(publisher, 0, 1, 100, CUFRAMES_PACKET_KEY));
  for (int i = 0; i < 3; i++) {
    subscribers[i] = subscriber_new("s", readers[i].mode);
    if (readers[i].reads) {
      CHECK_OK(cuframes_subscriber_enable_packets(subscribers[i], CUFRAMES_PACKETS_FROM_KEYFRAME));
      CHECK(packet_look(subscribers[i], NULL) == 1);
    }
  }
  for (uint64_t number = 2; number <= 21; number++)
    CHECK_OK(packet_publish(publisher, 0, number, 100, number == 20 ? CUFRAMES_PACKET_KEY : 0));
  for (int i = 0; i < 3; i++) {
    cuframes_packet *packet = NULL;
    if (!readers[i].reads)
      continue;
    CHECK(cuframes_subscriber_next_packet(subscribers[i], 0, &packet) == CUFRAMES_ERR_PACKET_OVERRUN);
    CHECK(packet_look(subscribers[i], NULL) == 20);
  }
  for (int left = 0; left < 2; left++) {
    cuframes_stream_info *info = ask();
    for (size_t i = 0; i < info->subscriber_count; i++) {
      const cuframes_subscriber_info *one = info->subscribers[i];
      CHECK(one->packets_read == (one->packets ? 2 : 0) && one->packets_lost == (one->packets ? 18 : 0));
    }
    cuframes_stream_info_free(info);
    for (int i = 0; i < 3; i++) {
      const cuframes_mode_info got = asked(readers[i].mode);
      CHECK(got.packets_read == (readers[i].reads ? 2 : 0) && got.packets_lost == (readers[i].reads ? 18 : 0));
      cuframes_subscriber_destroy(subscribers[i]);
      subscribers[i] = NULL;
    }
    all_have_left();
  }
  cuframes_publisher_destroy(publisher);
}

static void say_source(cuframes_publisher *publisher, uint32_t state) {
  const cuframes_source_info source = { .struct_size = sizeof source, .state = state };
  CHECK_OK(cuframes_publisher_set_source(publisher, &source));
}

static void a_loss_of_the_source_counts_once(void **state) {
  (void)state;
  enum { UNKNOWN, LIVE, STALLED, RECONNECTING, ENDED, CONNECTING, REFUSED };
  static const struct {
    uint32_t state;
    uint64_t count;
  } steps[] = { { RECONNECTING, 0 }, { CONNECTING, 0 }, { REFUSED, 0 },      { LIVE, 0 },    { STALLED, 0 },
                { LIVE, 0 },         { STALLED, 0 },    { RECONNECTING, 1 }, { REFUSED, 1 }, { RECONNECTING, 1 },
                { LIVE, 1 },         { REFUSED, 2 },    { LIVE, 2 },         { ENDED, 2 },   { LIVE, 2 },
                { RECONNECTING, 3 }, { LIVE, 3 },       { UNKNOWN, 3 },      { LIVE, 3 } };
  cuframes_publisher *publisher = publisher_new("s");
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    say_source(publisher, steps[i].state);
    cuframes_stream_info *info = ask();
    CHECK(info->reconnects == steps[i].count);
    cuframes_stream_info_free(info);
  }
  cuframes_publisher_destroy(publisher);
}

/* Until the memory of the pictures is more than that, or less. */
static void publish_until(cuframes_publisher *publisher, uint64_t bytes, bool more) {
  const int64_t end = cuframes_now() + patience();
  for (bool is_so = false; !is_so; pause_ms(1)) {
    cuframes_frame *frame = NULL;
    CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
    CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
    cuframes_stream_info *info = ask();
    is_so = (info->device_bytes > bytes) == more;
    CHECK(info->device_bytes <= info->memory_bytes && cuframes_now() < end);
    cuframes_stream_info_free(info);
  }
}

static void the_start_and_the_memory_are_told(void **state) {
  (void)state;
  const int64_t before = cuframes_now();
  cuframes_publisher *publisher = publisher_new("s");
  const int64_t after = cuframes_now();
  pictures_publish(publisher, 1, 1);
  cuframes_stream_info *info = ask();
  CHECK(info->started >= before && info->started <= after);
  CHECK(info->device_bytes > 0 && info->device_bytes < info->memory_bytes);
  const uint64_t small = info->device_bytes;
  cuframes_stream_info_free(info);
  for (int larger = 1; larger >= 0; larger--) {
    cuframes_format format = small_format();
    format.height *= larger ? 64 : 1;
    format.pitch[0] = 0;
    CHECK_OK(cuframes_publisher_set_format(publisher, &format)); /* the old memory goes, and is counted no more */
    publish_until(publisher, 8 * small, larger);
  }
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(nobody_has_joined_yet),
    FIXTURE(those_that_left_stay_counted),
    FIXTURE(one_that_is_killed_stays_counted),
    FIXTURE(one_that_is_quicker_than_publish_stays_counted),
    FIXTURE(latency_is_what_it_took),
    FIXTURE(who_spins_is_counted_in_sevens),
    FIXTURE(readers_say_what_packets_they_lost),
    FIXTURE(a_seat_that_lies_spoils_no_sum),
    FIXTURE(a_seat_that_takes_back_what_it_said_changes_nothing),
    FIXTURE(a_loss_of_the_source_counts_once),
    FIXTURE(the_start_and_the_memory_are_told),
  };
  return FIXTURE_RUN("counts", tests);
}
