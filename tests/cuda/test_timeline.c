/* test_timeline.c - frames that are not complete yet: whose stream waits for them, who does not, how they are given
 * back, and what ends the wait.
 *
 * The publisher holds its pictures up when it is asked to, behind a kernel that waits for a word; a subscriber asks
 * it for the next step through the test.
 */
#include <poll.h>
#include <stdlib.h>

#include "drivers.h"

/* What the subscriber asks for, and the publisher answers with the number of its newest picture. */
enum step { PUBLISH = 1, HOLD, OVERTAKE, LET_GO, SPIN_AND_DESTROY, END, REPLACE, DONE };

#define SOON_MS 100 /* that a kernel takes which must still run when the next call begins */
#define LEASES 3

/* ---- the publisher ---- */

typedef struct publisher {
  source s;
  cu_stream beside;
  cu_deviceptr held; /* a word */
} publisher;

static void let_go(cu_stream beside, cu_deviceptr word) {
  CHECK_OK(cu.cuStreamWriteValue64(beside, word, 1, CU_STREAM_WRITE_VALUE_DEFAULT));
}

static void publish_on(source *s, cu_stream stream) {
  const cu_stream own = s->stream;
  s->stream = stream;
  source_publish(s);
  s->stream = own;
}

static void step(publisher *p, uint64_t what) {
  switch (what) {
    case PUBLISH: source_publish(&p->s); break;
    case HOLD:
      p->held = word_new();
      CHECK_OK(LAUNCH(&p->s.g, p->s.stream, "until", p->held, 1));
      source_publish(&p->s);
      break;
    case OVERTAKE: publish_on(&p->s, p->beside); break; /* nothing holds that stream up */
    case LET_GO: let_go(p->beside, p->held); break;
    case SPIN_AND_DESTROY:
      CHECK_OK(LAUNCH(&p->s.g, p->s.stream, "spin", SOON_MS * 1000));
      source_publish(&p->s);
      cuframes_publisher_destroy(p->s.publisher);
      p->s.publisher = NULL;
      break;
    default: CHECK(what == END);
  }
}

static void run_publisher(int test, void *user) {
  static publisher p;
  uint64_t what = 0;
  (void)user;
  driver_use(STANDIN, NULL);
  source_begin(&p.s, &(source_options){ .name = "slow", .format = program_format(CUFRAMES_PIXEL_NV12), .buffers = 8 });
  CHECK_OK(cu.cuStreamCreate(&p.beside, CU_STREAM_NON_BLOCKING));
  say(test, 0);
  while (what != END) {
    what = hear(test);
    step(&p, what);
    say(test, p.s.number);
  }
  CHECK_OK(cu.cuStreamDestroy(p.beside)); /* the words go with the context: it is a child's */
  cuframes_publisher_destroy(p.s.publisher);
}

/* Runs a subscriber and does what it asks for. */
static void play(child_run *role, void *user) {
  child *p = child_start(run_publisher, NULL);
  hear(p->fd);
  child *subscriber = child_start(role, user);
  for (uint64_t what; (what = hear(subscriber->fd)) != DONE;) {
    if (what == REPLACE) {
      child_kill(p);
      p = child_start(run_publisher, NULL);
      hear(p->fd);
      what = PUBLISH;
    }
    say(p->fd, what);
    say(subscriber->fd, hear(p->fd));
  }
  child_finish(subscriber);
  say(p->fd, END);
  hear(p->fd);
  child_finish(p);
}

/* ---- the subscriber ---- */

static uint64_t ask(int test, enum step what) {
  say(test, what);
  return hear(test);
}

typedef struct subscriber {
  gpu g;
  cu_stream stream, other, beside;
  cu_deviceptr mine; /* a word that its own kernels may wait for */
  cuframes_subscriber *handle;
} subscriber;

static void begin(subscriber *s, uint32_t sync, uint32_t mode, bool reconnect) {
  uint32_t granted;
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .mode = mode,
                                          .sync = sync,
                                          .leases = LEASES,
                                          .reconnect = reconnect,
                                          .connect_timeout_ns = patience() };
  driver_use(STANDIN, NULL);
  gpu_begin(&s->g, 0);
  CHECK_OK(cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&s->other, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&s->beside, CU_STREAM_NON_BLOCKING));
  s->mine = word_new();
  CHECK_OK(cuframes_subscriber_create("slow", &options, &s->handle));
  CHECK_OK(cuframes_subscriber_device(s->handle, NULL, 0, &granted));
  CHECK(granted == sync);
}

/* Nothing may be left; who destroyed already has NULL there. */
static void end(subscriber *s, int test) {
  cuframes_subscriber_destroy(s->handle);
  CHECK_OK(cu.cuMemFree(s->mine));
  CHECK_OK(cu.cuStreamDestroy(s->stream));
  CHECK_OK(cu.cuStreamDestroy(s->other));
  CHECK_OK(cu.cuStreamDestroy(s->beside));
  gpu_end(&s->g);
  say(test, DONE);
}

static cuframes_frame *take_on(const subscriber *s, cu_stream stream, uint64_t number) {
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_subscriber_next_on(s->handle, patience(), stream, &frame));
  CHECK(frame_number(frame) == number);
  return frame;
}

static void nothing_yet(const subscriber *s, cu_stream stream, int64_t timeout_ns) {
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_subscriber_next_on(s->handle, timeout_ns, stream, &frame), CUFRAMES_ERR_TIMEOUT);
  CHECK(frame == NULL);
}

/* A kernel that counts wrong words: the word that it counts in. */
static cu_deviceptr check_on(const subscriber *s, cu_stream stream, const cuframes_frame *frame) {
  cu_deviceptr wrong = word_new();
  CHECK_OK(LAUNCH(&s->g, stream, "check", frame_address(frame), frame_words(frame), stamp(frame_number(frame)), wrong));
  return wrong;
}

static void came_out_whole(cu_stream stream, cu_deviceptr wrong) {
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK(word_value(wrong) == 0);
  CHECK_OK(cu.cuMemFree(wrong));
}

static void is_waited_for(cu_stream stream, const cuframes_frame *frame) {
  CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_TIMEOUT);
  CHECK(cu.cuStreamQuery(stream) == CUDA_ERROR_NOT_READY);
}

/* ---- who joins in mid-stream: the picture that was published before has no fence, the next one has ---- */

static void joins_late(int test, void *user) {
  subscriber s = { 0 };
  const uint32_t sync = *(const uint32_t *)user;
  ask(test, PUBLISH);
  uint64_t number = ask(test, HOLD);
  begin(&s, sync, CUFRAMES_MODE_NEWEST, false);
  nothing_yet(&s, s.stream, 0);
  nothing_yet(&s, s.stream, 20 * MS);
  CHECK(cu.cuStreamQuery(s.stream) == CUDA_SUCCESS);
  ask(test, LET_GO);
  cuframes_frame *frame = take_on(&s, s.stream, number);
  CHECK_OK(cuframes_frame_wait(frame, 0));
  came_out_whole(s.stream, check_on(&s, s.stream, frame));
  cuframes_frame_release(frame);
  number = ask(test, HOLD);
  frame = take_on(&s, s.stream, number);
  cu_deviceptr wrong = check_on(&s, s.stream, frame);
  is_waited_for(s.stream, frame);
  ask(test, LET_GO);
  came_out_whole(s.stream, wrong);
  CHECK_OK(cuframes_frame_wait(frame, patience()));
  cuframes_frame_release(frame);
  end(&s, test);
}

static void joining_in_mid_stream_timeline(void **state) {
  (void)state;
  play(joins_late, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
}

static void joining_in_mid_stream_events(void **state) {
  (void)state;
  play(joins_late, &(uint32_t){ CUFRAMES_SYNC_SLOT_EVENTS });
}

/* ---- two streams, each waiting for a picture of its own ---- */

static void on_two_streams(int test, void *user) {
  subscriber s = { 0 };
  (void)user;
  ask(test, PUBLISH);
  begin(&s, CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_ORDERED, false);
  cuframes_frame *old = take_on(&s, s.stream, 1);
  ask(test, HOLD);
  ask(test, PUBLISH); /* behind that */
  cuframes_frame *first = take_on(&s, s.stream, 2), *second = take_on(&s, s.other, 3);
  cu_deviceptr wrong[3] = { check_on(&s, s.stream, first), check_on(&s, s.other, second), check_on(&s, s.beside, old) };
  is_waited_for(s.stream, first);
  is_waited_for(s.other, second);
  CHECK_OK(cu.cuStreamSynchronize(s.beside)); /* a stream that waits for nothing */
  is_waited_for(s.other, second);
  ask(test, LET_GO);
  came_out_whole(s.other, wrong[1]);
  came_out_whole(s.stream, wrong[0]);
  came_out_whole(s.beside, wrong[2]);
  cuframes_frame_release(second);
  cuframes_frame_release_on(first, s.other); /* not the stream that it was taken on */
  cuframes_frame_release(old);
  end(&s, test);
}

static void two_streams(void **state) {
  (void)state;
  play(on_two_streams, NULL);
}

/* ---- every lease is on its way back ---- */

static void all_returning(int test, void *user) {
  subscriber s = { 0 };
  const uint32_t sync = *(const uint32_t *)user;
  begin(&s, sync, CUFRAMES_MODE_NEWEST, false);
  CHECK_OK(LAUNCH(&s.g, s.stream, "until", s.mine, 1));
  for (int i = 0; i < LEASES; i++)
    cuframes_frame_release_on(take_on(&s, s.stream, ask(test, PUBLISH)), s.stream);
  uint64_t number = ask(test, PUBLISH);
  nothing_yet(&s, s.other, 0);
  nothing_yet(&s, s.other, 20 * MS);
  CHECK_OK(LAUNCH(&s.g, s.beside, "spin", SOON_MS * 1000));
  let_go(s.beside, s.mine);
  cuframes_frame *frame = take_on(&s, s.other, number); /* waits for the GPU */
  came_out_whole(s.other, check_on(&s, s.other, frame));
  cuframes_frame_release(frame);
  end(&s, test);
}

static void all_leases_returning(void **state) {
  (void)state;
  play(all_returning, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
  play(all_returning, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
}

/* ---- destroy with a frame in hand, one on its way back and one that a stream waits for ---- */

static void destroy_in_the_middle(int test, void *user) {
  subscriber s = { 0 };
  (void)user;
  ask(test, PUBLISH);
  begin(&s, CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_NEWEST, false);
  cuframes_frame *in_hand = take_on(&s, s.stream, 1);
  CHECK_OK(LAUNCH(&s.g, s.stream, "until", s.mine, 1));
  cuframes_frame *going = take_on(&s, s.stream, ask(test, PUBLISH));
  cu_deviceptr wrong = check_on(&s, s.stream, going);
  cuframes_frame_release_on(going, s.stream);
  cuframes_frame *awaited = take_on(&s, s.other, ask(test, HOLD));
  cu_deviceptr wrong_later = check_on(&s, s.other, awaited);
  is_waited_for(s.other, awaited);
  cuframes_frame_release_on(awaited, s.other);
  CHECK_OK(LAUNCH(&s.g, s.beside, "spin", SOON_MS * 1000));
  let_go(s.beside, s.mine);
  ask(test, LET_GO);
  cuframes_subscriber_destroy(s.handle);
  s.handle = NULL;
  came_out_whole(s.stream, wrong);
  came_out_whole(s.other, wrong_later);
  ask(test, PUBLISH);
  CHECK(frame_is_whole(&s.g, s.stream, in_hand, 1));
  CHECK_OK(cuframes_frame_wait(in_hand, 0));
  cuframes_frame_release(in_hand);
  end(&s, test);
}

static void destroy_with_frames_out(void **state) {
  (void)state;
  play(destroy_in_the_middle, NULL);
}

/* ---- the descriptor to poll ---- */

static bool readable(int fd, int64_t ms) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  return poll(&ready, 1, (int)ms) == 1;
}

static void polls(int test, void *user) {
  subscriber s = { 0 };
  cuframes_frame *frame = NULL;
  int fd;
  begin(&s, *(const uint32_t *)user, CUFRAMES_MODE_NEWEST, false);
  CHECK_OK(cuframes_subscriber_fd(s.handle, &fd));
  for (int i = 0; i < 3; i++) {
    CHECK_RESULT(cuframes_subscriber_next(s.handle, 0, &frame), CUFRAMES_ERR_TIMEOUT);
    uint64_t number = ask(test, HOLD);
    CHECK(readable(fd, patience() / MS)); /* there is a frame */
    CHECK_RESULT(cuframes_subscriber_next(s.handle, 0, &frame), CUFRAMES_ERR_TIMEOUT);
    CHECK(!readable(fd, 20)); /* which is not complete */
    ask(test, LET_GO);
    CHECK(readable(fd, patience() / MS));
    CHECK_OK(cuframes_subscriber_next(s.handle, 0, &frame));
    CHECK(frame_number(frame) == number);
    CHECK_OK(cuframes_frame_wait(frame, 0));
    CHECK(frame_is_whole(&s.g, s.stream, frame, number));
    cuframes_frame_release(frame);
  }
  end(&s, test);
}

static void poll_until_complete(void **state) {
  (void)state;
  play(polls, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
  play(polls, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
}

/* ---- the publisher ends, or dies ---- */

static void sees_the_end(int test, void *user) {
  subscriber s = { 0 };
  cuframes_frame *frame = NULL;
  const uint32_t sync = *(const uint32_t *)user;
  ask(test, PUBLISH);
  begin(&s, sync, CUFRAMES_MODE_ORDERED, false);
  cuframes_frame_release(take_on(&s, s.stream, 1));
  say(test, SPIN_AND_DESTROY);
  frame = take_on(&s, s.stream, 2);
  came_out_whole(s.stream, check_on(&s, s.stream, frame));
  CHECK_RESULT(cuframes_frame_wait(frame, patience()), CUFRAMES_OK); /* the last one is complete, not lost */
  CHECK(hear(test) == 2);
  cuframes_frame_release(frame);
  CHECK_RESULT(cuframes_subscriber_next(s.handle, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  end(&s, test);
}

static void the_last_picture_becomes_complete(void **state) {
  (void)state;
  play(sees_the_end, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
  play(sees_the_end, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
  play(sees_the_end, &(uint32_t){ CUFRAMES_SYNC_SLOT_EVENTS });
}

/* Another reader has it: it is complete. */
static void is_there(uint64_t number) {
  cuframes_subscriber_options options = { .struct_size = sizeof options };
  cuframes_subscriber *newest = NULL;
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_subscriber_create("slow", &options, &newest));
  CHECK_OK(cuframes_subscriber_next(newest, patience(), &frame));
  CHECK(frame_number(frame) == number);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(newest);
}

static void misses_one(int test, void *user) {
  subscriber s = { 0 };
  cuframes_batch *batch = NULL;
  cuframes_batch_entry entry;
  cuframes_frame *frame = NULL;
  uint32_t got;
  ask(test, PUBLISH);
  begin(&s, *(const uint32_t *)user, CUFRAMES_MODE_ORDERED, false);
  cuframes_frame_release(take_on(&s, s.stream, 1));
  ask(test, HOLD);
  ask(test, OVERTAKE);
  is_there(3);
  ask(test, REPLACE);
  for (int again = 0; again < 3; again++)
    CHECK_RESULT(cuframes_subscriber_next_on(s.handle, patience(), s.stream, &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_RESULT(cuframes_subscriber_next(s.handle, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK_OK(cuframes_batch_create(NULL, &batch));
  CHECK_OK(cuframes_batch_add(batch, s.handle, NULL, NULL));
  CHECK_OK(cuframes_batch_next(batch, 1, patience(), &entry, 1, &got));
  CHECK(got == 1 && !entry.frame && entry.error == CUFRAMES_ERR_PUBLISHER_GONE);
  cuframes_batch_destroy(batch);
  end(&s, test);
}

/* A picture was never completed, and the next one was: who takes every frame is not given that. */
static void the_end_is_before_the_first_that_is_missing(void **state) {
  (void)state;
  play(misses_one, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
  play(misses_one, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
  play(misses_one, &(uint32_t){ CUFRAMES_SYNC_SLOT_EVENTS });
}

static void comes_back_with_leases_out(int test, void *user) {
  subscriber s = { 0 };
  (void)user;
  ask(test, PUBLISH);
  begin(&s, CUFRAMES_SYNC_TIMELINE, CUFRAMES_MODE_NEWEST, true);
  CHECK_OK(LAUNCH(&s.g, s.stream, "until", s.mine, 1));
  cuframes_frame *going = take_on(&s, s.stream, 1);
  cu_deviceptr wrong = check_on(&s, s.stream, going);
  cuframes_frame_release_on(going, s.stream);
  cuframes_frame *in_hand = take_on(&s, s.stream, ask(test, PUBLISH));
  CHECK_OK(cuframes_frame_wait(in_hand, patience()));
  CHECK_OK(LAUNCH(&s.g, s.beside, "spin", SOON_MS * 1000));
  let_go(s.beside, s.mine);
  CHECK(ask(test, REPLACE) == 1);
  cuframes_frame *fresh = take_on(&s, s.other, 1);
  CHECK(cuframes_frame_flags(fresh) & CUFRAMES_FRAME_DISCONTINUITY);
  CHECK(frame_is_whole(&s.g, s.other, fresh, 1));
  came_out_whole(s.stream, wrong);
  CHECK(frame_is_whole(&s.g, s.stream, in_hand, 2)); /* of the dead one */
  cuframes_frame_release_on(fresh, s.other);
  cuframes_frame_release_on(in_hand, s.stream);
  CHECK_OK(cu.cuCtxSynchronize());
  end(&s, test);
}

static void reconnecting_with_leases_out(void **state) {
  (void)state;
  play(comes_back_with_leases_out, NULL);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(joining_in_mid_stream_timeline),
    FIXTURE(joining_in_mid_stream_events),
    FIXTURE(two_streams),
    FIXTURE(all_leases_returning),
    FIXTURE(destroy_with_frames_out),
    FIXTURE(poll_until_complete),
    FIXTURE(the_last_picture_becomes_complete),
    FIXTURE(the_end_is_before_the_first_that_is_missing),
    FIXTURE(reconnecting_with_leases_out),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("timeline", tests);
}
