/* test_lost_frames.c - a frame that a reader took and cannot have: who takes every frame gets none behind it, by
 * next(), in a batch and on its callback thread, and is told the same each time; who takes the newest one goes on.
 * A picture that a GPU never completes: tests/cuda/test_timeline.c.
 */
#include <string.h>
#include <sys/socket.h>

#include "os/futex.h"
#include "support/batches.h"
#include "support/fake.h"
#include "support/stream.h"

/* ---- a publisher of frames of which one cannot be had ---- */

/* Answers for segment 1, which everybody maps when joining, and afterwards does something else. */
static bool is_second_segment(fake *f, uint32_t type) {
  return type == CF_MSG_GET_SEGMENT && f->code++ > 0;
}

static bool die(fake *f, int fd, uint32_t type) {
  if (!is_second_segment(f, type))
    return false;
  (void)shutdown(fd, SHUT_RDWR);
  return true;
}

static bool give_another(fake *f, int fd, uint32_t type) {
  if (!is_second_segment(f, type))
    return false;
  fake_answer(fd, CF_MSG_SEGMENT, &f->raw->segment, &f->raw->segment_fd, 1);
  return true;
}

static bool give_impossible(fake *f, int fd, uint32_t type) {
  cf_msg_segment segment = f->raw->segment;
  if (!is_second_segment(f, type))
    return false;
  segment.segment = 2;
  segment.format.width = 65535;
  fake_answer(fd, CF_MSG_SEGMENT, &segment, &f->raw->segment_fd, 1);
  return true;
}

static bool refuse(fake *f, int fd, uint32_t type) {
  if (!is_second_segment(f, type))
    return false;
  fake_answer(fd, CF_MSG_REFUSED, &(cf_msg_refused){ .code = CUFRAMES_ERR_UNSUPPORTED, .text = "not for you" }, NULL,
              0);
  return true;
}

/* What keeps frame 2 from its readers, and what they hear. */
typedef struct loss {
  bool (*instead)(fake *f, int fd, uint32_t type); /* NULL: an honest one, which knows of no second segment */
  uint32_t segment;
  uint64_t offset;
  int error, newest_error;
} loss;

#define NOTHING CUFRAMES_ERR_TIMEOUT /* the frame went while it was asked for: a newest one is looked for */

static const loss losses[] = {
  { die, 2, 0, CUFRAMES_ERR_PUBLISHER_GONE, CUFRAMES_ERR_PUBLISHER_GONE },
  { refuse, 2, 0, CUFRAMES_ERR_UNSUPPORTED, CUFRAMES_ERR_UNSUPPORTED },
  { give_another, 2, 0, CUFRAMES_ERR_PROTOCOL, CUFRAMES_ERR_PROTOCOL },
  { give_impossible, 2, 0, CUFRAMES_ERR_PROTOCOL, CUFRAMES_ERR_PROTOCOL },
  { NULL, 2, 0, CUFRAMES_ERR_PROTOCOL, NOTHING },
  { NULL, 1, UINT64_C(1) << 40, CUFRAMES_ERR_PROTOCOL, CUFRAMES_ERR_PROTOCOL },
};
#define LOSSES (sizeof losses / sizeof losses[0])

static void publish(fake *f, uint32_t segment, uint64_t offset) {
  cf_frame_writer *writer = &f->raw->writer;
  uint32_t slot = cf_writer_acquire(writer);
  CHECK(slot != CF_NO_SLOT);
  atomic_store(&writer->slots[slot].segment, segment);
  atomic_store(&writer->slots[slot].offset, offset);
  (void)cf_writer_publish(writer, slot, &(cf_frame_meta){ 0 }, true);
  cf_writer_move_wake(writer); /* this writer knows of no seat, and so of no sleeper */
  (void)cf_futex_wake(&f->raw->control->wake, INT32_MAX);
}

/* With frame 1, and a reader of it. */
static cuframes_subscriber *begin(fake **f, const loss *l, uint32_t mode, bool reconnect) {
  cuframes_subscriber_options options = subscriber_options(mode);
  options.reconnect = reconnect;
  *f = fake_new();
  (*f)->instead = l->instead;
  fake_start(*f);
  return subscriber_join("s", &options);
}

static uint64_t take(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = frame_take(subscriber);
  uint64_t seq = cuframes_frame_seq(frame);
  cuframes_frame_release(frame);
  return seq;
}

/* Frame 2 is the one that cannot be had; it and frame 3, which can, wait for who takes every frame. */
static void publish_two(fake *f, const loss *l) {
  publish(f, l->segment, l->offset);
  publish(f, 1, 0);
}

static void expect(cuframes_subscriber *subscriber, int error) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(subscriber, patience(), &frame);
  if (result != error)
    fail_msg("gave %d (%s), not %d; frame %llu", result, cuframes_last_error(), error,
             (unsigned long long)(frame ? cuframes_frame_seq(frame) : 0));
}

/* ---- every frame ---- */

static void next_gives_no_later_frame(void **state) {
  (void)state;
  for (size_t i = 0; i < LOSSES; i++) {
    int descriptors = fixture_descriptors();
    fake *f;
    cuframes_subscriber *subscriber = begin(&f, &losses[i], CUFRAMES_MODE_ORDERED, false);
    CHECK(take(subscriber) == 1);
    publish_two(f, &losses[i]);
    for (int again = 0; again < 3; again++)
      expect(subscriber, losses[i].error);
    CHECK(subscriber_stats(subscriber).frames == 1);
    cuframes_subscriber_destroy(subscriber);
    fake_end(f);
    assert_int_equal(fixture_descriptors(), descriptors);
  }
}

static void a_batch_gives_no_later_frame(void **state) {
  (void)state;
  for (size_t i = 0; i < LOSSES; i++) {
    fake *f;
    batched b;
    cuframes_batch *batch = NULL;
    cuframes_subscriber *subscriber = begin(&f, &losses[i], CUFRAMES_MODE_ORDERED, false);
    CHECK_OK(cuframes_batch_create(NULL, &batch));
    CHECK_OK(cuframes_batch_add(batch, subscriber, NULL, NULL));
    batch_expect(batch, 1, &b, 1);
    CHECK(cuframes_frame_seq(b.entries[0].frame) == 1);
    batched_release(&b);
    publish_two(f, &losses[i]);
    batch_expect(batch, 1, &b, 1);
    CHECK(!b.entries[0].frame && b.entries[0].error == losses[i].error);
    CHECK_OK(cuframes_batch_remove(batch, subscriber));
    expect(subscriber, losses[i].error); /* nor does next(), when it is no member any more */
    cuframes_batch_destroy(batch);
    cuframes_subscriber_destroy(subscriber);
    fake_end(f);
  }
}

typedef struct called {
  _Atomic uint64_t last;
  _Atomic int error;
} called;

static void on_frame(void *user, cuframes_frame *frame, int error) {
  called *c = user;
  if (frame)
    atomic_store(&c->last, cuframes_frame_seq(frame));
  atomic_store(&c->error, error);
  cuframes_frame_release(frame);
}

static void the_callback_gets_no_later_frame(void **state) {
  (void)state;
  for (size_t i = 0; i < LOSSES; i++) {
    fake *f;
    cuframes_subscriber *subscriber = begin(&f, &losses[i], CUFRAMES_MODE_ORDERED, false);
    for (int again = 0; again < 2; again++) {
      called c = { 0 };
      CHECK_OK(cuframes_subscriber_start(subscriber, on_frame, &c));
      if (!again) {
        WAIT_FOR(atomic_load(&c.last) == 1);
        publish_two(f, &losses[i]);
      }
      WAIT_FOR(atomic_load(&c.error) != CUFRAMES_OK);
      CHECK_OK(cuframes_subscriber_stop(subscriber));
      CHECK(atomic_load(&c.error) == losses[i].error);
      CHECK(atomic_load(&c.last) == (again ? 0 : 1));
    }
    cuframes_subscriber_destroy(subscriber);
    fake_end(f);
  }
}

/* The stream goes on with the next publisher, and says that something is missing. */
static void with_reconnect_the_next_publisher_follows(void **state) {
  (void)state;
  fake *f;
  cuframes_frame *frame = NULL;
  cuframes_subscriber *subscriber = begin(&f, &losses[0], CUFRAMES_MODE_ORDERED, true);
  CHECK(take(subscriber) == 1);
  publish_two(f, &losses[0]);
  WAIT_FOR(cuframes_subscriber_next(subscriber, 0, &frame) == CUFRAMES_ERR_TIMEOUT &&
           strstr(cuframes_last_error(), "has not come back"));
  fake_end(f);
  cuframes_publisher *publisher = publisher_new("s");
  CHECK_OK(picture_publish(publisher, 7));
  frame = frame_take(subscriber);
  CHECK(picture_number(frame) == 7);
  CHECK(cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
  cuframes_frame_release(frame);
  CHECK(subscriber_stats(subscriber).reconnects > 0);
  CHECK_OK(picture_publish(publisher, 8)); /* it waits for room: nothing of the old one is held */
  CHECK(frame_look(subscriber) == 8);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* ---- the newest frame ---- */

static void the_newest_frame_is_given_behind_it(void **state) {
  (void)state;
  for (size_t i = 0; i < LOSSES; i++) {
    fake *f;
    cuframes_frame *frame = NULL;
    cuframes_subscriber *subscriber = begin(&f, &losses[i], CUFRAMES_MODE_NEWEST, false);
    CHECK(take(subscriber) == 1);
    publish(f, losses[i].segment, losses[i].offset);
    if (losses[i].newest_error != NOTHING)
      expect(subscriber, losses[i].newest_error);
    else
      WAIT_FOR(cuframes_subscriber_next(subscriber, 0, &frame) == CUFRAMES_ERR_TIMEOUT &&
               subscriber_stats(subscriber).leases_held == 0); /* the answer came */
    CHECK(subscriber_stats(subscriber).leases_held == 0);
    publish(f, 1, 0);
    CHECK(take(subscriber) == 3);
    cuframes_subscriber_destroy(subscriber);
    fake_end(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(next_gives_no_later_frame),           FIXTURE(a_batch_gives_no_later_frame),
    FIXTURE(the_callback_gets_no_later_frame),    FIXTURE(with_reconnect_the_next_publisher_follows),
    FIXTURE(the_newest_frame_is_given_behind_it),
  };
  return FIXTURE_RUN("lost_frames", tests);
}
