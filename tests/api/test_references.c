/* test_references.c - counted references: a lease ends with the last one, a picture stays unwritten while its
 * publisher keeps one, and both may be released after their owner was destroyed.
 */
#include <pthread.h>

#include "support/stream.h"

static void a_lease_ends_with_its_last_reference(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *frame = frame_take(subscriber), *second = cuframes_frame_ref(frame),
                 *third = cuframes_frame_ref(second);
  assert_true(second && third);
  cuframes_frame_used_on(frame, NULL); /* nothing on the host */
  cuframes_frame_release(frame);
  cuframes_frame_release_on(second, NULL);
  pictures_publish(publisher, 2, 40);
  assert_true(picture_is(third, 1));
  assert_int_equal(subscriber_stats(subscriber).leases_held, 1);
  cuframes_frame_release(third);
  assert_int_equal(subscriber_stats(subscriber).leases_held, 0);
  assert_null(cuframes_frame_ref(third));
  assert_null(cuframes_frame_ref(NULL));
  assert_int_equal(subscriber_stats(subscriber).released_twice, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* However often a frame was released, for the next thousand it is nobody else's. */
static void handles_rotate(void **state) {
  (void)state;
  enum { LATER = 1000 };
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *first = frame_take(subscriber);
  cuframes_frame_release(first);
  for (uint64_t i = 2; i <= LATER; i++) {
    pictures_publish(publisher, i, 1);
    cuframes_frame *frame = frame_take(subscriber);
    assert_ptr_not_equal(frame, first);
    cuframes_frame_release(first);
    assert_int_equal(subscriber_stats(subscriber).leases_held, 1);
    cuframes_frame_release(frame);
  }
  assert_int_equal(subscriber_stats(subscriber).released_twice, LATER - 1);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static cuframes_publisher *publisher_with(uint32_t max_open) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.max_open = max_open;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  return publisher;
}

/* As a decoder keeps its reference pictures, 20 and more after it gave them out. */
static void a_publisher_keeps_what_it_published(void **state) {
  (void)state;
  enum { KEPT = 31 };
  cuframes_publisher *publisher = publisher_with(KEPT + 1);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *kept[KEPT], *frame = NULL;
  for (uint64_t number = 1; number <= 500; number++) {
    uint64_t i = number % KEPT;
    if (number > KEPT) {
      assert_true(picture_is(kept[i], number - KEPT)); /* nobody has written over it */
      assert_int_equal(cuframes_frame_seq(kept[i]), number - KEPT);
      cuframes_frame_release(kept[i]);
    }
    CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
    kept[i] = cuframes_frame_ref(frame);
    picture_draw(frame, number);
    CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
    CHECK_RESULT(cuframes_publisher_publish(publisher, kept[i], NULL), CUFRAMES_ERR_INVALID);
    CHECK_RESULT(cuframes_frame_copy_from_host(kept[i], 0, kept, 0), CUFRAMES_ERR_INVALID);
    cuframes_frame *taken = frame_take(subscriber);
    assert_true(picture_is(taken, number));
    cuframes_frame_release(taken);
  }
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  cuframes_frame *more = NULL;
  CHECK_RESULT(cuframes_publisher_acquire(publisher, &more), CUFRAMES_ERR_LEASE_LIMIT); /* they count as open */
  cuframes_frame_release(kept[0]);
  CHECK_OK(cuframes_publisher_acquire(publisher, &more));
  CHECK_OK(cuframes_publisher_cancel(publisher, more));
  cuframes_frame_release(frame); /* one that was never published is cancelled */
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  cuframes_publisher_destroy(publisher);
  for (int i = 1; i < KEPT; i++)
    cuframes_frame_release(kept[i]);
  cuframes_subscriber_destroy(subscriber);
}

static void a_cancelled_frame_stays_as_long_as_it_is_referred_to(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_with(1);
  cuframes_frame *frame = NULL, *more = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  cuframes_frame *kept = cuframes_frame_ref(frame);
  picture_draw(frame, 7);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  CHECK_RESULT(cuframes_publisher_publish(publisher, kept, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_acquire(publisher, &more), CUFRAMES_ERR_LEASE_LIMIT);
  assert_true(picture_is(kept, 7));
  cuframes_frame_release(kept);
  pictures_publish(publisher, 1, 3);
  cuframes_publisher_destroy(publisher);
}

static void frames_outlive_a_publisher_that_is_destroyed(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_with(3);
  cuframes_frame *published = NULL, *open = NULL, *never = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &published));
  picture_draw(published, 5);
  cuframes_frame *kept = cuframes_frame_ref(published);
  CHECK_OK(cuframes_publisher_publish(publisher, published, NULL));
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  picture_draw(open, 6);
  cuframes_frame *held = cuframes_frame_ref(open);
  CHECK_OK(cuframes_publisher_acquire(publisher, &never));
  cuframes_publisher_destroy(publisher); /* what is open is cancelled, which ends the references of acquire() */
  assert_int_equal(fixture_files(), 0);
  assert_true(picture_is(kept, 5) && picture_is(held, 6));
  cuframes_frame_release(held);
  assert_true(picture_is(kept, 5));
  cuframes_frame_release(kept); /* frees the memory: leaks are looked for */
}

typedef struct sharing {
  cuframes_frame *frame;
  int rounds;
} sharing;

static void *share(void *argument) {
  sharing *s = argument;
  for (int i = 0; i < s->rounds; i++) {
    cuframes_frame *mine = cuframes_frame_ref(s->frame);
    (void)cuframes_frame_width(mine);
    cuframes_frame_release(mine);
  }
  cuframes_frame_release(s->frame);
  return NULL;
}

static void threads_share_references(void **state) {
  (void)state;
  enum { THREADS = 4 };
  cuframes_publisher *publisher = publisher_with(2);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  for (uint64_t round = 1; round <= 20; round++) {
    cuframes_frame *frame = NULL;
    pthread_t threads[2 * THREADS];
    CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
    picture_draw(frame, round);
    sharing ours = { frame, 200 };
    for (int i = 0; i < THREADS; i++) {
      (void)cuframes_frame_ref(frame);
      assert_int_equal(pthread_create(&threads[i], NULL, share, &ours), 0);
    }
    CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL)); /* while others come and go */
    cuframes_frame *taken = frame_take(subscriber);
    sharing theirs = { taken, 200 };
    for (int i = 0; i < THREADS; i++) {
      (void)cuframes_frame_ref(taken);
      assert_int_equal(pthread_create(&threads[THREADS + i], NULL, share, &theirs), 0);
    }
    assert_true(picture_is(taken, round));
    cuframes_frame_release(taken);
    for (int i = 0; i < 2 * THREADS; i++)
      assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  assert_int_equal(subscriber_stats(subscriber).leases_held, 0);
  assert_int_equal(subscriber_stats(subscriber).released_twice, 0);
  assert_int_equal(publisher_stats(publisher).released_twice, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* The same frame has the same name on both sides, and no other has it. */
static void a_frame_is_named_alike_by_all(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_with(3);
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_ORDERED);
  options.reconnect = 1;
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  uint64_t instances[2];
  for (int round = 0; round < 2; round++) {
    cuframes_frame *frame = NULL;
    cuframes_frame_id here = { .struct_size = sizeof here }, there = here;
    CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
    CHECK_RESULT(cuframes_frame_identify(frame, &here), CUFRAMES_ERR_INVALID); /* not published */
    cuframes_frame *kept = cuframes_frame_ref(frame);
    cuframes_publish_info info = { .struct_size = sizeof info, .pts = 4711 };
    CHECK_OK(cuframes_publisher_publish(publisher, frame, &info));
    CHECK_OK(cuframes_frame_identify(kept, &here));
    frame = frame_take(subscriber);
    cuframes_publisher_destroy(publisher); /* its frames still know whose they are */
    CHECK_OK(cuframes_frame_identify(frame, &there));
    assert_memory_equal(&here, &there, sizeof here);
    CHECK_OK(cuframes_frame_identify(kept, &there));
    assert_memory_equal(&here, &there, sizeof here);
    assert_string_equal(here.stream, "s");
    assert_int_equal(here.seq, 1);
    assert_int_equal(here.pts, 4711);
    instances[round] = here.instance;
    there.struct_size = 0;
    CHECK_RESULT(cuframes_frame_identify(frame, &there), CUFRAMES_ERR_INVALID);
    cuframes_frame_release(frame);
    cuframes_frame_release(kept);
    publisher = publisher_with(3);
    WAIT_FOR(cuframes_subscriber_next(subscriber, 0, &frame) == CUFRAMES_ERR_TIMEOUT &&
             publisher_stats(publisher).subscribers == 1);
  }
  assert_true(instances[0] != instances[1]);
  CHECK_RESULT(cuframes_frame_identify(NULL, &(cuframes_frame_id){ .struct_size = sizeof(cuframes_frame_id) }),
               CUFRAMES_ERR_INVALID);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void packets_are_counted(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_codec_params params = { .struct_size = sizeof params,
                                   .media_type = CUFRAMES_MEDIA_DATA,
                                   .codec = "bin_data" };
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &params));
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME));
  cuframes_packet *packet[3] = { 0 };
  for (int i = 0; i < 3; i++) {
    cuframes_packet_info info = { .struct_size = sizeof info, .data = &"abc"[i], .size = 1, .flags = 1 };
    CHECK_OK(cuframes_publisher_publish_packet(publisher, &info));
    CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packet[i]));
    if (i == 0)
      assert_ptr_equal(cuframes_packet_ref(packet[0]), packet[0]);
    if (i < 2)
      cuframes_packet_release(packet[0]); /* the first is still in hand after that, and then no more */
    if (i == 0)
      assert_int_equal(*(const char *)cuframes_packet_data(packet[0]), 'a');
  }
  assert_null(cuframes_packet_ref(NULL));
  cuframes_subscriber_destroy(subscriber);
  cuframes_packet_release(packet[1]);
  assert_int_equal(*(const char *)cuframes_packet_data(packet[2]), 'c');
  assert_ptr_equal(cuframes_packet_ref(packet[2]), packet[2]);
  cuframes_packet_release(packet[2]);
  assert_int_equal(*(const char *)cuframes_packet_data(packet[2]), 'c');
  cuframes_packet_release(packet[2]);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_frame_is_named_alike_by_all),
    FIXTURE(packets_are_counted),
    FIXTURE(a_lease_ends_with_its_last_reference),
    FIXTURE(handles_rotate),
    FIXTURE(a_publisher_keeps_what_it_published),
    FIXTURE(a_cancelled_frame_stays_as_long_as_it_is_referred_to),
    FIXTURE(frames_outlive_a_publisher_that_is_destroyed),
    FIXTURE(threads_share_references),
  };
  return FIXTURE_RUN("references", tests);
}
