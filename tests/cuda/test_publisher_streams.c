/* test_publisher_streams.c - a publisher that makes its pictures on several streams: a slot is not written before an
 * earlier stream has done with it, and every picture is whole.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

#define STREAMS 3
#define PICTURES 300
#define SOON_MS 100 /* that a kernel takes which must still run when the next call begins */

typedef struct several {
  source s; /* whose stream is one of these, the one that publishes next */
  cu_stream streams[STREAMS];
} several;

static void begin(several *p, uint32_t slots) {
  driver_use(STANDIN, NULL);
  source_begin(&p->s,
               &(source_options){
                   .name = "many", .format = program_format(CUFRAMES_PIXEL_NV12), .buffers = slots, .full = true });
  p->streams[0] = p->s.stream;
  for (int i = 1; i < STREAMS; i++)
    CHECK_OK(cu.cuStreamCreate(&p->streams[i], CU_STREAM_NON_BLOCKING));
}

static void publish_on(several *p, int stream) {
  p->s.stream = p->streams[stream];
  source_publish(&p->s);
}

static void end(several *p) {
  for (int i = 1; i < STREAMS; i++)
    CHECK_OK(cu.cuStreamDestroy(p->streams[i]));
  p->s.stream = p->streams[0];
  source_end(&p->s);
}

/* ---- three slots, and the first picture takes long ---- */

static void run_patient(int test, void *user) {
  static several p;
  (void)user;
  begin(&p, 3);
  publish_on(&p, 1);
  publish_on(&p, 0);
  CHECK_OK(cu.cuCtxSynchronize());
  for (int i = 0; i < 3; i++) {
    CHECK_OK(LAUNCH(&p.s.g, p.streams[0], "spin", SOON_MS * 1000));
    publish_on(&p, 0);
    publish_on(&p, 1);
    publish_on(&p, 2);
    publish_on(&p, 1); /* in the first one's slot: acquire() waited for it */
    CHECK(cu.cuStreamQuery(p.streams[0]) == CUDA_SUCCESS);
    CHECK_OK(cu.cuCtxSynchronize());
  }
  say(test, 0);
  end(&p);
}

static void acquire_waits_for_the_slot(void **state) {
  (void)state;
  child *c = child_start(run_patient, NULL);
  hear(c->fd);
  child_finish(c);
}

static void run_impatient(int test, void *user) {
  static several p;
  cuframes_frame *frame = NULL;
  (void)user;
  begin(&p, 3);
  cu_deviceptr never = word_new();
  CHECK_OK(LAUNCH(&p.s.g, p.streams[0], "until", never, 1));
  publish_on(&p, 0);
  publish_on(&p, 1);
  publish_on(&p, 1);
  CHECK_RESULT(cuframes_publisher_acquire(p.s.publisher, &frame), CUFRAMES_ERR_DEVICE);
  detail_names("another stream");
  CHECK(frame == NULL);
  CHECK_OK(cu.cuStreamWriteValue64(p.streams[2], never, 1, CU_STREAM_WRITE_VALUE_DEFAULT));
  CHECK_OK(cu.cuStreamSynchronize(p.streams[0]));
  publish_on(&p, 1); /* it was not for good */
  publish_on(&p, 0);
  CHECK(source_stats(&p.s).frames == 5);
  CHECK_OK(cu.cuCtxSynchronize());
  CHECK_OK(cu.cuMemFree(never));
  say(test, 0);
  end(&p);
}

static void acquire_does_not_wait_for_ever(void **state) {
  (void)state;
  child *c = child_start(run_impatient, NULL);
  hear(c->fd);
  child_finish(c);
}

/* ---- in turns, as fast as they can ---- */

static void run_juggler(int test, void *user) {
  static several p;
  (void)user;
  begin(&p, 0);
  publish_on(&p, 0);
  say(test, 0);
  hear(test);
  program_reseed(1);
  while (p.s.number < PICTURES) {
    int stream = (int)program_random(STREAMS);
    if (program_random(8) == 0)
      CHECK_OK(LAUNCH(&p.s.g, p.streams[stream], "spin", program_random(3000)));
    publish_on(&p, stream);
  }
  CHECK_OK(cu.cuCtxSynchronize());
  say(test, 0);
  hear(test);
  end(&p);
}

static void run_checker(int test, void *user) {
  static checker v;
  driver_use(STANDIN, NULL);
  checker_begin(&v, user);
  CHECK(v.sync == v.options.sync);
  say(test, 0);
  checker_watch(&v, PICTURES);
  checker_report report = checker_end(&v);
  tell(test, &report, sizeof report);
}

static void in_turns(void **state) {
  (void)state;
  checker_options who[3] = {
    { .name = "many", .mode = CUFRAMES_MODE_ORDERED, .depth = 8, .sync = CUFRAMES_SYNC_TIMELINE, .release_on = true },
    { .name = "many", .mode = CUFRAMES_MODE_ORDERED, .depth = 8, .sync = CUFRAMES_SYNC_COMPLETE, .cpu = true },
    { .name = "many", .sync = CUFRAMES_SYNC_SLOT_EVENTS, .leases = 3, .release_on = true },
  };
  child *checkers[3], *publisher = child_start(run_juggler, NULL);
  hear(publisher->fd);
  for (int i = 0; i < 3; i++)
    checkers[i] = child_start(run_checker, &who[i]);
  for (int i = 0; i < 3; i++)
    hear(checkers[i]->fd);
  say(publisher->fd, 0);
  hear(publisher->fd);
  for (int i = 0; i < 3; i++) {
    checker_report report;
    learn(checkers[i]->fd, &report, sizeof report);
    child_finish(checkers[i]);
    report_is_good(&report, sync_name(who[i].sync), who[i].mode == CUFRAMES_MODE_ORDERED);
  }
  say(publisher->fd, 0);
  child_finish(publisher);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(acquire_waits_for_the_slot),
    FIXTURE(acquire_does_not_wait_for_ever),
    FIXTURE(in_turns),
  };
  setenv("CUDA_STANDIN_DELAY_US", "200", 1);
  program.width = 320;
  program.height = 180;
  program.seed = 1;
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return FIXTURE_RUN("publisher_streams", tests);
}
