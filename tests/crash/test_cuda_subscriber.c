/* test_cuda_subscriber.c - a subscriber on a GPU dies at each of its steps and of its calls of the driver, in each
 * sync mode and each way to take and to give back: joining, for which the pool grows, mapping, taking, kernels under
 * way, releasing, a change of format, leaving. The publisher goes on without a wait and has its slots, seat, memory,
 * descriptors and registrations back; the others get every picture, whole and in order.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "crash/crash.h"
#include "crash/gpu_survivor.h"
#include "crash/survivor.h"
#include "gpu/source.h"

enum { ROUNDS = 4, AFTER = 8, HELD = 2 };

/* How the victim takes frames, and gives them back. */
typedef struct way {
  const char *name;
  uint32_t mode, sync;
  bool on_stream, release_on, fd;
} way;

typedef struct victim_of {
  const way *way;
  crash_fuse *fuse;
} victim_of;

typedef struct taker {
  const way *way;
  gpu g;
  cu_stream stream;
  cu_deviceptr wrong;
  cuframes_subscriber *subscriber;
  int fd;
  uint64_t last;
  cuframes_frame *held[HELD];
} taker;

static void held_release(taker *t, int k) {
  if (!t->held[k])
    return;
  CHECK_OK(cu.cuStreamSynchronize(t->stream));
  cuframes_frame_release(t->held[k]);
  t->held[k] = NULL;
}

static int next(taker *t, int64_t timeout_ns, cuframes_frame **frame) {
  if (t->way->on_stream)
    return cuframes_subscriber_next_on(t->subscriber, timeout_ns, t->stream, frame);
  int64_t end = cuframes_now() + timeout_ns;
  int result = cuframes_subscriber_next(t->subscriber, t->way->fd ? 0 : timeout_ns, frame);
  while (t->way->fd && result == CUFRAMES_ERR_TIMEOUT && cuframes_now() < end) {
    struct pollfd news = { .fd = t->fd, .events = POLLIN };
    (void)poll(&news, 1, (int)((end - cuframes_now()) / MS) + 1);
    result = cuframes_subscriber_next(t->subscriber, 0, frame);
  }
  return result;
}

/* A frame, which a kernel looks at; holds two of them, or gives each back on its stream. */
static int take(taker *t, int64_t timeout_ns) {
  cuframes_frame *frame = NULL;
  int result = next(t, timeout_ns, &frame);
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  CHECK(number > t->last);
  t->last = number;
  CHECK_OK(LAUNCH(&t->g, t->stream, "check", frame_address(frame), frame_words(frame), stamp(number), t->wrong));
  if (t->way->release_on) {
    cuframes_frame_release_on(frame, t->stream);
    return CUFRAMES_OK;
  }
  held_release(t, 0);
  t->held[0] = t->held[1];
  t->held[1] = frame;
  return CUFRAMES_OK;
}

static void victim(int test, void *user) {
  const victim_of *me = user;
  taker t = { .way = me->way };
  cuframes_subscriber_options options = subscriber_options(t.way->mode);
  uint32_t granted;
  gpu_begin(&t.g, 0);
  CHECK_OK(cu.cuStreamCreate(&t.stream, CU_STREAM_NON_BLOCKING));
  t.wrong = word_new();
  (void)hear(test);
  options.sync = t.way->sync;
  options.leases = 3;
  options.depth = 4;
  crash_light(me->fuse);
  t.subscriber = subscriber_join("s", &options);
  CHECK_OK(cuframes_subscriber_device(t.subscriber, NULL, 0, &granted));
  CHECK(granted == t.way->sync);
  if (t.way->fd)
    CHECK_OK(cuframes_subscriber_fd(t.subscriber, &t.fd));
  for (int round = 0; round < ROUNDS; round++) {
    say(test, 0);
    (void)hear(test);
    int result;
    while ((result = take(&t, MS)) == CUFRAMES_OK)
      ;
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
    say(test, 0); /* sleeps until the next one wakes it */
    CHECK_OK(take(&t, patience()));
  }
  cuframes_subscriber_destroy(t.subscriber);
  for (int i = 0; i < HELD; i++)
    if (t.held[i]) {
      CHECK_OK(cu.cuStreamSynchronize(t.stream));
      cuframes_frame_release(t.held[i]);
    }
  CHECK_OK(cu.cuStreamSynchronize(t.stream));
  CHECK(word_value(t.wrong) == 0);
  CHECK_OK(cu.cuMemFree(t.wrong));
  CHECK_OK(cu.cuStreamDestroy(t.stream));
  gpu_end(&t.g);
}

/* ---- one life ---- */

enum { COMPLETE, TIMELINE, SURVIVORS };

/* What the publisher has, with the survivors and without the victim. */
typedef struct resources {
  uint32_t subscribers, slots, segments;
  int descriptors;
  long registrations, streams, events;
} resources;

typedef struct world {
  source s;
  gpu_survivor survivor[SURVIVORS];
} world;

/* Nobody may be waited for. */
static void publish_one(world *st) {
  int64_t start = cuframes_now();
  source_publish(&st->s);
  SOON(cuframes_now() - start, AT_ONCE_MS);
  for (int i = 0; i < SURVIVORS; i++)
    CHECK(gpu_survivor_take(&st->survivor[i], st->s.number));
}

static resources resources_now(const world *st) {
  cuframes_publisher_stats stats = source_stats(&st->s);
  return (resources){ .subscribers = stats.subscribers,
                      .slots = stats.slots,
                      .segments = stats.segments,
                      .descriptors = survivor_descriptors(),
                      .registrations = gpu_live(STANDIN_REGISTRATIONS),
                      .streams = gpu_live(STANDIN_STREAMS),
                      .events = gpu_live(STANDIN_EVENTS) };
}

/* Events of slots stay with them, so that there may be one more for each. */
static bool as_before(world *st, const resources *before) {
  resources now = resources_now(st);
  if (now.subscribers == before->subscribers && now.slots == before->slots && now.segments == before->segments &&
      now.descriptors == before->descriptors && now.registrations == before->registrations &&
      now.streams == before->streams && now.events <= before->events + (long)now.slots)
    return true;
  publish_one(st); /* a publisher at work hands memory back */
  return false;
}

static void processes_begin(world *st) {
  source_begin(&st->s, &(source_options){ .name = "s", .format = small_format(), .buffers = 2 + 2 + 4, .full = true });
  st->survivor[COMPLETE] = (gpu_survivor){ .mode = CUFRAMES_MODE_ORDERED, .sync = CUFRAMES_SYNC_COMPLETE };
  st->survivor[TIMELINE] =
      (gpu_survivor){ .mode = CUFRAMES_MODE_NEWEST, .sync = CUFRAMES_SYNC_TIMELINE, .release_on = true };
  for (int i = 0; i < SURVIVORS; i++) {
    st->survivor[i].g = &st->s.g;
    CHECK(gpu_survivor_join(&st->survivor[i], 2, i == COMPLETE ? 3 : 0));
  }
  publish_one(st);
}

static void rounds_play(world *st, const child *process) {
  cuframes_format wide = small_format();
  uint64_t word = 0;
  wide.width = 128;
  for (int round = 0; hear_unless_gone(process->fd, &word); round++) {
    if (round == 2)
      CHECK_OK(cuframes_publisher_set_format(st->s.publisher, &wide));
    publish_one(st);
    publish_one(st);
    if (!say_unless_gone(process->fd, 0) || !hear_unless_gone(process->fd, &word))
      return;
    publish_one(st); /* for who sleeps now */
  }
}

static bool one_life(crash_fuse *fuse, void *user) {
  static world st;
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  child *process = child_start(victim, &(victim_of){ user, fuse });
  processes_begin(&st);
  resources before = resources_now(&st);
  before.descriptors--; /* the victim's line */
  say(process->fd, 0);
  rounds_play(&st, process);
  for (int i = 0; i < AFTER; i++) /* some while it dies */
    publish_one(&st);
  int status = child_status(process);
  bool lived = status == 0;
  CHECK(lived || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  WAIT_FOR(as_before(&st, &before));
  for (int i = 0; i < SURVIVORS; i++) {
    CHECK(st.survivor[i].lost == 0);
    gpu_survivor_leave(&st.survivor[i]);
  }
  source_end(&st.s);
  CHECK(fixture_files() == 0);
  CHECK(fixture_descriptors() == descriptors && fixture_mappings() == mappings);
  return lived;
}

static const way ways[] = {
  { .name = "complete, next", .mode = CUFRAMES_MODE_NEWEST, .sync = CUFRAMES_SYNC_COMPLETE },
  { .name = "complete, ordered, release_on",
    .mode = CUFRAMES_MODE_ORDERED,
    .sync = CUFRAMES_SYNC_COMPLETE,
    .release_on = true },
  { .name = "timeline, next_on, release",
    .mode = CUFRAMES_MODE_NEWEST,
    .sync = CUFRAMES_SYNC_TIMELINE,
    .on_stream = true },
  { .name = "timeline, ordered, next_on, release_on",
    .mode = CUFRAMES_MODE_ORDERED,
    .sync = CUFRAMES_SYNC_TIMELINE,
    .on_stream = true,
    .release_on = true },
  { .name = "timeline, fd", .mode = CUFRAMES_MODE_NEWEST, .sync = CUFRAMES_SYNC_TIMELINE, .fd = true },
  { .name = "slot events, next_on, release_on",
    .mode = CUFRAMES_MODE_NEWEST,
    .sync = CUFRAMES_SYNC_SLOT_EVENTS,
    .on_stream = true,
    .release_on = true },
};

static void one_may_die_at_every_step(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    crash_everywhere(ways[i].name, 25, one_life, (void *)(uintptr_t)&ways[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = { CRASH_FIXTURE(one_may_die_at_every_step) };
  crash_sites_once();
  return FIXTURE_RUN("cuda_subscriber", tests);
}
