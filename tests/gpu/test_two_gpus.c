/* test_two_gpus.c - a stream on one GPU, subscribers on another: frames are whole there, or who cannot reach them
 * learns why. Devices go by UUID, so what CUDA_VISIBLE_DEVICES says may differ.
 */
#include <stdlib.h>

#include "checker.h"

#define PICTURES 60

typedef struct peer {
  checker_options options;
  const char *variable, *value; /* in its environment, and the publisher's if `both` */
  bool both;
  const char *refusal; /* what its detail names; NULL: all goes well */
} peer;

static void set(const peer *g) {
  if (g->variable)
    setenv(g->variable, g->value, 1);
}

static void run_publisher(int test, void *user) {
  static source s;
  const peer *g = user;
  if (g->both)
    set(g);
  source_begin(&s, &(source_options){ .name = "far", .format = program_format(CUFRAMES_PIXEL_NV12) });
  source_publish(&s);
  say(test, 0);
  hear(test);
  source_publish_60(&s, PICTURES);
  CHECK_OK(cu.cuCtxSynchronize());
  hear(test);
  source_end(&s);
}

static void be_refused(const peer *from) {
  gpu g;
  cuframes_subscriber *subscriber = NULL;
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .device = from->options.device,
                                          .connect_timeout_ns = patience() };
  gpu_begin(&g, from->options.ordinal);
  int result = cuframes_subscriber_create("far", &options, &subscriber);
  CHECK_RESULT(result, CUFRAMES_ERR_UNSUPPORTED);
  detail_names(from->refusal);
  program_note("refused: %s", cuframes_last_error());
  gpu_end(&g);
}

static void run_peer(int test, void *user) {
  static checker v;
  checker_report report = { 0 };
  const peer *g = user;
  set(g);
  if (g->refusal) {
    be_refused(g);
  } else {
    checker_begin(&v, &g->options);
    CHECK(g->options.sync == 0 || v.sync == g->options.sync);
  }
  say(test, 0);
  if (!g->refusal) {
    checker_watch(&v, 1 + PICTURES);
    report = checker_end(&v);
    report_is_good(&report, "the subscriber", false);
  }
  tell(test, &report, sizeof report);
}

static void play(peer *g) {
  checker_report report;
  g->options.name = "far";
  child *publisher = child_start(run_publisher, g);
  hear(publisher->fd);
  child *subscriber = child_start(run_peer, g);
  hear(subscriber->fd);
  say(publisher->fd, 0);
  learn(subscriber->fd, &report, sizeof report);
  child_finish(subscriber);
  say(publisher->fd, 0);
  child_finish(publisher);
  if (!g->refusal)
    program_note("%d pictures, all whole on the other side", (int)report.frames);
}

static void need_two(void) {
  if (facts.devices < 2)
    skip_because("there is one GPU, this needs two");
}

static void complete(void **state) {
  (void)state;
  need_two();
  play(&(peer){ .options = { .ordinal = 1, .device = "cuda:1", .release_on = true } });
}

static void complete_on_the_cpu(void **state) {
  (void)state;
  need_two();
  play(&(peer){ .options = { .ordinal = 1, .device = "cuda:1", .cpu = true } });
}

static void timeline(void **state) {
  (void)state;
  need_two();
  sync_need(CUFRAMES_SYNC_TIMELINE);
  play(&(peer){ .options = { .ordinal = 1, .device = "cuda:1", .sync = CUFRAMES_SYNC_TIMELINE, .release_on = true } });
}

static void another_order_of_devices(void **state) {
  (void)state;
  need_two();
  play(&(peer){ .options = { .ordinal = 1 }, .variable = "CUDA_VISIBLE_DEVICES", .value = "1,0" });
}

static void the_streams_gpu_is_hidden(void **state) {
  (void)state;
  need_two();
  play(&(peer){ .options = { .device = "cuda:0" },
                .variable = "CUDA_VISIBLE_DEVICES",
                .value = "1",
                .refusal = "CUDA_VISIBLE_DEVICES" });
}

static void no_way_between_them(void **state) {
  (void)state;
  need_two();
  if (!facts.standin)
    skip_because("only the stand-in has GPUs that cannot reach each other");
  play(&(peer){ .options = { .ordinal = 1, .device = "cuda:1" },
                .variable = "CUDA_STANDIN_PEER",
                .value = "0",
                .both = true,
                .refusal = "peer access" });
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(complete),
    SHOW(complete_on_the_cpu),
    SHOW(timeline),
    SHOW(another_order_of_devices),
    SHOW(the_streams_gpu_is_hidden),
    SHOW(no_way_between_them),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
