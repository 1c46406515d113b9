/* test_batch_corners.c - a batch whose members change in the worst moment, or want for ever: nobody is forgotten, and
 * nobody keeps a processor busy. All of it also on a kernel that cannot sleep on several words. */
#include <unistd.h>

#include "subscriber/member.h"
#include "support/batches.h"
#include "support/child.h"
#include "support/packets.h"

/* A look that comes upon this member says so often that it is live, and then that it is not: as if its publisher had
 * died between the two. */
static const cuframes_subscriber *dying;
static int looks_left;

/* After the look at this member its publisher publishes once, and then the batch is interrupted. */
static const cuframes_subscriber *late;
static cameras *late_of;

bool __real_cf_member_is_live(const cuframes_subscriber *s);
bool __wrap_cf_member_is_live(const cuframes_subscriber *s);
bool __wrap_cf_member_is_live(const cuframes_subscriber *s) {
  if (s == late) {
    late = NULL;
    pictures_publish(late_of->publisher[0], 2, 1);
    cuframes_batch_interrupt(late_of->batch);
  }
  if (s != dying)
    return __real_cf_member_is_live(s);
  return looks_left-- > 0;
}

/* next() has nothing to give, and sleeps. */
static void sleeps_in_vain(cuframes_batch *batch, uint32_t min) {
  batched b;
  int64_t start = cpu_time();
  CHECK_RESULT(batch_take(batch, min, 500 * MS, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT);
  CHECK_BETWEEN(cpu_time() - start, 0, 125 * MS);
}

static void it_dies_after_the_look(void **state) {
  (void)state;
  cuframes_batch_options options = { .struct_size = sizeof options, .quiet_ns = 20 * MS };
  cuframes_batch *batch = NULL;
  cuframes_publisher *publisher[2] = { camera_publisher(0), camera_publisher(1) };
  cuframes_subscriber *subscriber[2] = { subscriber_new("s0", CUFRAMES_MODE_NEWEST),
                                         subscriber_new("s1", CUFRAMES_MODE_NEWEST) };
  batch_waiter w;
  CHECK_OK(cuframes_batch_create(&options, &batch));
  CHECK_OK(
      cuframes_publisher_set_source(publisher[1], &(cuframes_source_info){ .struct_size = sizeof(cuframes_source_info),
                                                                           .state = CUFRAMES_SOURCE_RECONNECTING }));
  for (int i = 0; i < 2; i++)
    CHECK_OK(cuframes_batch_add(batch, subscriber[i], NULL, NULL));
  dying = subscriber[0];
  looks_left = 1;
  int64_t start = cuframes_now();
  batch_waiter_start(&w, batch, CUFRAMES_BATCH_ALIVE, patience());
  pictures_publish(publisher[1], 3, 1); /* nobody is alive: then one is enough */
  CHECK_OK(batch_waiter_end(&w));
  CHECK(number_of(&w.got, subscriber[1]) == 3);
  CHECK_BETWEEN(cuframes_now() - start, 0, patience() / 2);
  dying = NULL;
  batched_release(&w.got);
  cuframes_batch_destroy(batch);
  for (int i = 0; i < 2; i++) {
    cuframes_subscriber_destroy(subscriber[i]);
    cuframes_publisher_destroy(publisher[i]);
  }
}

/* What was published before an interruption is given with it, also if the look at its member was before both. */
static void interrupted_after_the_look(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  cameras_start(&c, 1, NULL);
  pictures_publish(c.publisher[0], 1, 1);
  batch_expect(c.batch, 1, &b, 1); /* so its memory is mapped */
  batched_release(&b);
  late_of = &c;
  late = c.subscriber[0];
  batch_expect(c.batch, CUFRAMES_BATCH_ALIVE, &b, 1);
  CHECK(number_of(&b, c.subscriber[0]) == 2);
  batched_release(&b);
  CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_INTERRUPTED);
  cameras_end(&c);
}

static void never_quiet(void **state) {
  (void)state;
  cuframes_batch_options options = { .struct_size = sizeof options, .quiet_ns = INT64_MAX };
  cuframes_publisher *publisher = camera_publisher(0);
  cuframes_subscriber *subscriber = subscriber_new("s0", CUFRAMES_MODE_NEWEST);
  cuframes_batch *batch = NULL;
  CHECK_OK(cuframes_batch_create(&options, &batch));
  CHECK_OK(cuframes_batch_add(batch, subscriber, NULL, NULL));
  sleeps_in_vain(batch, CUFRAMES_BATCH_ALIVE);
  cuframes_batch_destroy(batch);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* Each interruption is told, and the frame that comes with it is not late. */
static void interrupted_again(void **state) {
  (void)state;
  cameras c = { 0 };
  batched b;
  cameras_start(&c, 1, NULL);
  for (int i = 0; i < 3; i++) {
    cuframes_subscriber_interrupt(c.subscriber[0]);
    batch_expect(c.batch, 1, &b, 1);
    CHECK(b.entries[0].error == CUFRAMES_ERR_INTERRUPTED);
  }
  pictures_publish(c.publisher[0], 3, 1);
  CHECK_OK(batch_take(c.batch, 1, 0, ENTRIES, &b));
  CHECK(number_of(&b, c.subscriber[0]) == 3);
  batched_release(&b);
  cameras_end(&c);
}

typedef struct parting {
  pid_t waiter;
  cuframes_publisher *publisher;
} parting;

/* Goes when the waiter sleeps. */
static void *part(void *argument) {
  parting *p = argument;
  thread_wait_asleep(p->waiter);
  cuframes_publisher_destroy(p->publisher);
  return NULL;
}

/* Every lease is in hand, one frame is not read yet, and the publisher goes and is gone. */
static void gone_with_full_hands(void **state) {
  (void)state;
  for (int reconnect = 0; reconnect < 2; reconnect++) {
    cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
    cameras c = { 0 };
    batched held, b;
    options.leases = 1;
    options.reconnect = (uint32_t)reconnect;
    cameras_start(&c, 1, &options);
    pictures_publish(c.publisher[0], 1, 1);
    batch_expect(c.batch, 1, &held, 1);
    pictures_publish(c.publisher[0], 2, 1);
    parting p = { getpid(), c.publisher[0] };
    pthread_t other;
    c.publisher[0] = NULL;
    CHECK(pthread_create(&other, NULL, part, &p) == 0);
    uint64_t sleeps = batch_sleeps(c.batch);
    sleeps_in_vain(c.batch, 1);
    CHECK(pthread_join(other, NULL) == 0);
    sleeps_in_vain(c.batch, 1);
    CHECK_BETWEEN(batch_sleeps(c.batch) - sleeps, 0, 20); /* the end wakes nobody, or once */
    batch_waiter w;
    batch_waiter_start(&w, c.batch, 1, patience());
    cuframes_subscriber_interrupt(c.subscriber[0]);
    CHECK_OK(batch_waiter_end(&w));
    CHECK(w.got.got == 1 && w.got.entries[0].error == CUFRAMES_ERR_INTERRUPTED);
    batch_waiter_start(&w, c.batch, 1, patience());
    batched_release(&held);
    CHECK_OK(batch_waiter_end(&w));
    CHECK(number_of(&w.got, c.subscriber[0]) == 2);
    batched_release(&w.got);
    if (reconnect) {
      c.publisher[0] = camera_publisher(0);
      CHECK_RESULT(batch_take(c.batch, 1, 0, ENTRIES, &b), CUFRAMES_ERR_TIMEOUT); /* it is away */
      WAIT_FOR(publisher_stats(c.publisher[0]).subscribers == 1);
      pictures_publish(c.publisher[0], 7, 1);
      batch_expect(c.batch, 1, &b, 1);
      CHECK(number_of(&b, c.subscriber[0]) == 7);
      batched_release(&b);
    } else {
      batch_expect(c.batch, 1, &b, 1);
      CHECK(b.entries[0].error == CUFRAMES_ERR_PUBLISHER_GONE);
    }
    cameras_end(&c);
  }
}

/* The same where who takes packets is with the next publisher already. */
static void gone_with_frames_left_over(void **state) {
  (void)state;
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_publisher *publisher = packet_publisher("s", 8, 4096);
  cuframes_batch *batch = batch_new();
  cuframes_packet *packet = NULL;
  batched held, b;
  batch_waiter w;
  options.leases = 1;
  options.reconnect = 1;
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_OLDEST));
  CHECK_OK(cuframes_batch_add(batch, subscriber, NULL, NULL));
  pictures_publish(publisher, 1, 1);
  batch_expect(batch, 1, &held, 1);
  pictures_publish(publisher, 2, 1);
  cuframes_publisher_destroy(publisher);
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  publisher = packet_publisher("s", 8, 4096);
  do
    CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 10 * MS, &packet), CUFRAMES_ERR_TIMEOUT);
  while (publisher_stats(publisher).subscribers == 0);
  sleeps_in_vain(batch, 1);
  batch_waiter_start(&w, batch, 1, patience());
  cuframes_subscriber_interrupt(subscriber);
  CHECK_OK(batch_waiter_end(&w));
  CHECK(w.got.got == 1 && w.got.entries[0].error == CUFRAMES_ERR_INTERRUPTED);
  batch_waiter_start(&w, batch, 1, patience());
  batched_release(&held);
  CHECK_OK(batch_waiter_end(&w));
  CHECK(number_of(&w.got, subscriber) == 2);
  batched_release(&w.got);
  pictures_publish(publisher, 7, 1);
  batch_expect(batch, 1, &b, 1);
  CHECK(number_of(&b, subscriber) == 7);
  batched_release(&b);
  cuframes_batch_destroy(batch);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static const struct CMUnitTest tests[] = {
  FIXTURE(never_quiet),          FIXTURE(interrupted_again),          FIXTURE(interrupted_after_the_look),
  FIXTURE(gone_with_full_hands), FIXTURE(gone_with_frames_left_over), FIXTURE(it_dies_after_the_look),
};

int main(int argc, char **argv) {
  if (argc > 1)
    kernel_forget_futex_waitv();
  int failed = FIXTURE_RUN(argc > 1 ? "batch corners on an old kernel" : "batch corners", tests);
  if (argc == 1 && failed == 0)
    execl("/proc/self/exe", argv[0], "old", (char *)NULL);
  return failed;
}
