/* test_batch_corners.c - a batch whose members change in the worst moment, or want for ever: nobody is forgotten, and
 * nobody keeps a processor busy. All of it also on a kernel that cannot sleep on several words. */
#include <unistd.h>

#include "subscriber/member.h"
#include "support/batches.h"

/* A look that comes upon this member says so often that it is live, and then that it is not: as if its publisher had
 * died between the two. */
static const cuframes_subscriber *dying;
static int looks_left;

bool __real_cf_member_is_live(const cuframes_subscriber *s);
bool __wrap_cf_member_is_live(const cuframes_subscriber *s);
bool __wrap_cf_member_is_live(const cuframes_subscriber *s) {
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

static const struct CMUnitTest tests[] = {
  FIXTURE(never_quiet),
  FIXTURE(interrupted_again),
  FIXTURE(it_dies_after_the_look),
};

int main(int argc, char **argv) {
  if (argc > 1)
    kernel_forget_futex_waitv();
  int failed = FIXTURE_RUN(argc > 1 ? "batch corners on an old kernel" : "batch corners", tests);
  if (argc == 1 && failed == 0)
    execl("/proc/self/exe", argv[0], "old", (char *)NULL);
  return failed;
}
