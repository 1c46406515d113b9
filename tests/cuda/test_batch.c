/* test_batch.c - a batch of streams on a GPU: pictures that are not complete hold nobody up, the newest complete one is
 * given, a stream waits for those that are handed over at once, and a publisher dies in the middle.
 *
 * Each publisher holds its pictures up when it is asked to, behind a kernel that waits for a word. A subscriber asks
 * through the test: what, of which publisher.
 */
#include "drivers.h"

enum step { PUBLISH = 1, HOLD, LET_GO, SLOWLY, KILL, RETURN, END, DONE };

#define CAMERAS 2
#define SLOW_US 50000 /* that a kernel takes which must still run when the next call begins */

/* ---- the publishers ---- */

static void run_publisher(int test, void *user) {
  const char *name = user;
  static source s;
  cu_stream beside;
  cu_deviceptr held = 0;
  driver_use(STANDIN, NULL);
  source_begin(&s, &(source_options){ .name = name, .format = program_format(CUFRAMES_PIXEL_NV12), .buffers = 8 });
  CHECK_OK(cu.cuStreamCreate(&beside, CU_STREAM_NON_BLOCKING));
  source_publish(&s);
  say(test, 0);
  for (uint64_t what; (what = hear(test)) != END; say(test, s.number)) {
    if (what == HOLD) {
      held = word_new();
      CHECK_OK(LAUNCH(&s.g, s.stream, "until", held, 1));
    } else if (what == SLOWLY) {
      CHECK_OK(LAUNCH(&s.g, s.stream, "spin", SLOW_US));
    } else if (what == LET_GO) {
      CHECK_OK(cu.cuStreamWriteValue64(beside, held, 1, CU_STREAM_WRITE_VALUE_DEFAULT));
    }
    if (what != LET_GO)
      source_publish(&s);
    if (what == LET_GO || what == PUBLISH) /* these are complete when that is said */
      CHECK_OK(cu.cuStreamSynchronize(s.stream));
  }
  CHECK_OK(cu.cuStreamDestroy(beside)); /* the words go with the context: it is a child's */
  cuframes_publisher_destroy(s.publisher);
}

static const char *const names[CAMERAS] = { "a", "b" };

static child *publisher_begin(uint64_t camera) {
  child *p = child_start(run_publisher, (void *)(uintptr_t)names[camera]);
  hear(p->fd);
  return p;
}

/* Runs a subscriber and does what it asks for. */
static void play(child_run *role, void *user) {
  child *p[CAMERAS];
  for (uint64_t i = 0; i < CAMERAS; i++)
    p[i] = publisher_begin(i);
  child *subscriber = child_start(role, user);
  for (uint64_t asked; (asked = hear(subscriber->fd)) != DONE;) {
    uint64_t camera = asked >> 8, what = asked & 0xff;
    if (what == KILL) {
      child_kill(p[camera]);
      say(subscriber->fd, 0);
    } else if (what == RETURN) {
      p[camera] = publisher_begin(camera);
      say(subscriber->fd, 1);
    } else {
      say(p[camera]->fd, what);
      say(subscriber->fd, hear(p[camera]->fd));
    }
  }
  child_finish(subscriber);
  for (int i = 0; i < CAMERAS; i++) {
    say(p[i]->fd, END);
    child_finish(p[i]);
  }
}

/* ---- the subscriber ---- */

static uint64_t ask(int test, uint64_t camera, enum step what) {
  say(test, camera << 8 | (uint64_t)what);
  return hear(test);
}

typedef struct viewer {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *camera[CAMERAS];
  cuframes_batch *batch;
  cuframes_batch_entry entries[CAMERAS];
  uint32_t got;
} viewer;

static void begin(viewer *v, uint32_t sync, uint32_t mode) {
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .mode = mode,
                                          .sync = sync,
                                          .leases = 3,
                                          .reconnect = 1,
                                          .connect_timeout_ns = patience() };
  cuframes_batch_options slow = { .struct_size = sizeof slow, .quiet_ns = patience() };
  driver_use(STANDIN, NULL);
  gpu_begin(&v->g, 0);
  CHECK_OK(cu.cuStreamCreate(&v->stream, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cuframes_batch_create(&slow, &v->batch));
  for (uint32_t i = 0; i < CAMERAS; i++) {
    CHECK_OK(cuframes_subscriber_create(names[i], &options, &v->camera[i]));
    CHECK_OK(cuframes_batch_add(v->batch, v->camera[i], NULL, NULL));
  }
}

static void release(viewer *v) {
  for (uint32_t i = 0; i < v->got; i++)
    cuframes_frame_release(v->entries[i].frame);
  v->got = 0;
}

static void end(viewer *v, int test) {
  release(v);
  cuframes_batch_destroy(v->batch);
  for (uint32_t i = 0; i < CAMERAS; i++)
    cuframes_subscriber_destroy(v->camera[i]);
  CHECK_OK(cu.cuStreamDestroy(v->stream));
  gpu_end(&v->g);
  say(test, DONE);
}

static void take(viewer *v, uint32_t min, int64_t timeout_ns, int wanted) {
  release(v);
  CHECK_RESULT(cuframes_batch_next(v->batch, min, timeout_ns, v->entries, CAMERAS, &v->got), wanted);
}

/* The frame of a camera, which must have that number; complete and whole. */
static void has(viewer *v, uint32_t camera, uint64_t number) {
  for (uint32_t i = 0; i < v->got; i++)
    if (v->entries[i].index == camera) {
      CHECK(v->entries[i].frame && frame_number(v->entries[i].frame) == number);
      CHECK_OK(cuframes_frame_wait(v->entries[i].frame, 0));
      CHECK(frame_is_whole(&v->g, v->stream, v->entries[i].frame, number));
      return;
    }
  CHECK(number == 0);
}

static uint32_t leases_held(const viewer *v, uint32_t camera) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_subscriber_get_stats(v->camera[camera], &stats));
  return stats.leases_held;
}

/* ---- pictures that are not complete ---- */

static void holds_nobody_up(int test, void *user) {
  static viewer v;
  begin(&v, *(const uint32_t *)user, CUFRAMES_MODE_NEWEST);
  take(&v, CAMERAS, patience(), CUFRAMES_OK);
  has(&v, 0, 1);
  has(&v, 1, 1);
  for (int i = 0; i < 3; i++) {
    uint64_t held = ask(test, 0, HOLD), other = ask(test, 1, PUBLISH);
    take(&v, 1, patience(), CUFRAMES_OK);
    CHECK(v.got == 1);
    has(&v, 1, other);
    take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT);
    take(&v, 1, 20 * MS, CUFRAMES_ERR_TIMEOUT);
    ask(test, 0, LET_GO);
    take(&v, 1, patience(), CUFRAMES_OK);
    has(&v, 0, held);
  }
  /* what becomes complete in the middle of a wait wakes nobody, and is seen */
  uint64_t a = ask(test, 0, SLOWLY), b = ask(test, 1, SLOWLY);
  take(&v, CUFRAMES_BATCH_ALIVE, patience(), CUFRAMES_OK);
  CHECK(v.got == CAMERAS);
  has(&v, 0, a);
  has(&v, 1, b);
  end(&v, test);
}

static void pictures_that_are_not_complete_hold_nobody_up(void **state) {
  (void)state;
  play(holds_nobody_up, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
  play(holds_nobody_up, &(uint32_t){ CUFRAMES_SYNC_TIMELINE }); /* next() waits on the CPU there, too */
}

static void gives_the_newest(int test, void *user) {
  static viewer v;
  (void)user;
  begin(&v, CUFRAMES_SYNC_COMPLETE, CUFRAMES_MODE_NEWEST);
  take(&v, CAMERAS, patience(), CUFRAMES_OK);
  release(&v);
  ask(test, 0, HOLD);
  take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT); /* it is held for us from here on, */
  CHECK(leases_held(&v, 0) == 1);
  ask(test, 0, LET_GO);
  uint64_t newer = ask(test, 0, PUBLISH);
  take(&v, 1, patience(), CUFRAMES_OK);
  has(&v, 0, newer);
  CHECK(leases_held(&v, 0) == 1); /* and is given back for the newer one */
  release(&v);
  uint64_t held = ask(test, 0, HOLD);
  take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT);
  ask(test, 0, LET_GO);
  newer = ask(test, 0, HOLD);
  take(&v, 1, patience(), CUFRAMES_OK); /* the newer one is not complete: what there is */
  has(&v, 0, held);
  release(&v);
  take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT);
  ask(test, 0, LET_GO);
  take(&v, 1, patience(), CUFRAMES_OK);
  has(&v, 0, newer);
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_subscriber_get_stats(v.camera[0], &stats));
  CHECK(stats.frames == 4 && stats.skipped == 1 && stats.frames + stats.skipped == newer);
  end(&v, test);
}

static void the_newest_that_is_complete(void **state) {
  (void)state;
  play(gives_the_newest, NULL);
}

static void next_in_order(int test, void *user) {
  static viewer v;
  begin(&v, *(const uint32_t *)user, CUFRAMES_MODE_ORDERED);
  take(&v, CAMERAS, patience(), CUFRAMES_OK);
  release(&v);
  uint64_t first = ask(test, 0, HOLD);
  take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT);
  ask(test, 0, LET_GO);
  ask(test, 0, PUBLISH);
  for (uint64_t i = 0; i < 2; i++) { /* none is left out for a newer one */
    take(&v, 1, patience(), CUFRAMES_OK);
    CHECK(v.got == 1);
    has(&v, 0, first + i);
  }
  end(&v, test);
}

static void in_order(void **state) {
  (void)state;
  play(next_in_order, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
  play(next_in_order, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
}

/* ---- a stream waits ---- */

static void hands_over_at_once(int test, void *user) {
  static viewer v;
  cu_deviceptr wrong;
  begin(&v, *(const uint32_t *)user, CUFRAMES_MODE_NEWEST);
  take(&v, CAMERAS, patience(), CUFRAMES_OK);
  release(&v);
  uint64_t held = ask(test, 0, HOLD);
  CHECK_OK(cuframes_batch_next_on(v.batch, 1, patience(), v.stream, v.entries, CAMERAS, &v.got));
  const cuframes_frame *frame = v.entries[0].frame;
  CHECK(v.got == 1 && frame_number(frame) == held);
  CHECK_RESULT(cuframes_frame_wait(frame, 0), CUFRAMES_ERR_TIMEOUT);
  wrong = word_new();
  CHECK_OK(LAUNCH(&v.g, v.stream, "check", frame_address(frame), frame_words(frame), stamp(held), wrong));
  CHECK(cu.cuStreamQuery(v.stream) == CUDA_ERROR_NOT_READY);
  ask(test, 0, LET_GO);
  CHECK_OK(cu.cuStreamSynchronize(v.stream));
  CHECK(word_value(wrong) == 0);
  CHECK_OK(cu.cuMemFree(wrong));
  end(&v, test);
}

static void a_stream_waits(void **state) {
  (void)state;
  play(hands_over_at_once, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
  play(hands_over_at_once, &(uint32_t){ CUFRAMES_SYNC_SLOT_EVENTS });
}

/* ---- leases that streams give back ---- */

static void all_returning(int test, void *user) {
  static viewer v;
  cu_stream later;
  (void)user;
  begin(&v, CUFRAMES_SYNC_COMPLETE, CUFRAMES_MODE_NEWEST);
  CHECK_OK(cu.cuStreamCreate(&later, CU_STREAM_NON_BLOCKING));
  take(&v, CAMERAS, patience(), CUFRAMES_OK);
  release(&v);
  cu_deviceptr mine = word_new();
  CHECK_OK(LAUNCH(&v.g, later, "until", mine, 1));
  for (int i = 0; i < 3; i++) {
    ask(test, 0, PUBLISH);
    take(&v, 1, patience(), CUFRAMES_OK);
    cuframes_frame_release_on(v.entries[0].frame, later);
    v.got = 0;
  }
  uint64_t number = ask(test, 0, PUBLISH);
  take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT);
  take(&v, 1, 20 * MS, CUFRAMES_ERR_TIMEOUT);
  uint64_t other = ask(test, 1, PUBLISH);
  take(&v, 1, patience(), CUFRAMES_OK); /* which holds up nobody else; a look at all of it would wait for the kernel */
  CHECK(v.got == 1 && v.entries[0].index == 1 && frame_number(v.entries[0].frame) == other);
  CHECK_OK(LAUNCH(&v.g, v.stream, "spin", SLOW_US));
  CHECK_OK(cu.cuStreamWriteValue64(v.stream, mine, 1, CU_STREAM_WRITE_VALUE_DEFAULT));
  take(&v, 1, patience(), CUFRAMES_OK); /* is waited for */
  has(&v, 0, number);
  CHECK_OK(cu.cuStreamDestroy(later));
  CHECK_OK(cu.cuMemFree(mine));
  end(&v, test);
}

static void every_lease_is_on_its_way_back(void **state) {
  (void)state;
  play(all_returning, NULL);
}

/* ---- deaths ---- */

static void goes_on(int test, void *user) {
  static viewer v;
  begin(&v, *(const uint32_t *)user, CUFRAMES_MODE_NEWEST);
  take(&v, CAMERAS, patience(), CUFRAMES_OK);
  release(&v);
  ask(test, 0, HOLD);
  take(&v, 1, 0, CUFRAMES_ERR_TIMEOUT); /* in hand, and it never will be complete */
  ask(test, 0, KILL);
  for (int i = 0; i < 3; i++) {
    uint64_t number = ask(test, 1, PUBLISH);
    take(&v, CUFRAMES_BATCH_ALIVE, patience(), CUFRAMES_OK);
    CHECK(v.got == 1);
    has(&v, 1, number);
  }
  ask(test, 0, RETURN);
  take(&v, 1, patience(), CUFRAMES_OK);
  has(&v, 0, 1);
  CHECK(cuframes_frame_flags(v.entries[0].frame) & CUFRAMES_FRAME_DISCONTINUITY);
  end(&v, test);
}

static void a_publisher_dies_and_returns(void **state) {
  (void)state;
  play(goes_on, &(uint32_t){ CUFRAMES_SYNC_COMPLETE });
  play(goes_on, &(uint32_t){ CUFRAMES_SYNC_TIMELINE });
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(pictures_that_are_not_complete_hold_nobody_up),
    FIXTURE(the_newest_that_is_complete),
    FIXTURE(in_order),
    FIXTURE(a_stream_waits),
    FIXTURE(every_lease_is_on_its_way_back),
    FIXTURE(a_publisher_dies_and_returns),
  };
  drivers_begin(argc, argv);
  return FIXTURE_RUN("batch on a GPU", tests);
}
