/* worker_subscribe.c - a subscriber on a GPU, of some sync mode, that has a kernel look at all it gets, and joins,
 * holds, leaves as it likes.
 *
 * One in mode slot-events takes with next() only: a stream that waits for a slot event when the publisher dies waits
 * for ever (docs/gpu.md), and this process could do nothing about it.
 */
#include <poll.h>

#include "worker.h"

enum { HANDS = 4 };

typedef struct taker {
  const worker *me;
  uint64_t random;
  gpu g;
  cu_stream stream;
  cu_deviceptr wrong;
  cuframes_subscriber *subscriber;
  uint32_t mode, sync, leases;
  bool by_fd;
  uint64_t number, seq; /* of the last one */
  bool any;             /* there was a last one since it joined */
  struct {
    cuframes_frame *frame;
    uint64_t number;
  } hand[HANDS];
} taker;

static void count(_Atomic uint64_t *counter, bool wrong) {
  if (wrong)
    atomic_fetch_add(counter, 1);
}

static bool stream_is_idle(const taker *t) {
  cu_result result = cu.cuStreamQuery(t->stream);
  if (result != CUDA_ERROR_NOT_READY)
    CHECK_OK(result);
  return result == CUDA_SUCCESS;
}

static void stream_settle(const taker *t) {
  int64_t start = cuframes_now();
  WAIT_FOR(stream_is_idle(t));
  uint64_t took = (uint64_t)(cuframes_now() - start), longest = atomic_load(&t->me->world->longest_wait_ns);
  while (took > longest && !atomic_compare_exchange_weak(&t->me->world->longest_wait_ns, &longest, took))
    ;
}

static void look_at(taker *t, const cuframes_frame *frame, uint64_t number) {
  CHECK_OK(LAUNCH(&t->g, t->stream, "check", frame_address(frame), frame_words(frame), stamp(number), t->wrong));
}

/* What comes next on the stream comes so much later, now and then. */
static void dawdle(taker *t, uint32_t one_in, uint32_t microseconds) {
  if (worker_random(&t->random, one_in) == 0)
    CHECK_OK(LAUNCH(&t->g, t->stream, "spin", worker_random(&t->random, microseconds)));
}

/* What the kernel found, now that the stream is idle: nothing is said of a picture that was LOST. */
static void judge(taker *t, bool lost) {
  uint64_t wrong = word_value(t->wrong);
  count(&t->me->world->torn, wrong > 0 && !lost);
  count(&t->me->world->lost, lost);
  count(&t->me->world->frames, !lost);
  if (wrong > 0)
    CHECK_OK(cu.cuMemcpyHtoD(t->wrong, &(uint64_t){ 0 }, sizeof(uint64_t)));
}

static void let_go(taker *t, uint32_t k) {
  if (!t->hand[k].frame)
    return;
  look_at(t, t->hand[k].frame, t->hand[k].number);
  stream_settle(t);
  judge(t, false);
  cuframes_frame_release(t->hand[k].frame);
  t->hand[k].frame = NULL;
}

/* Numbers rise for ever. Sequence numbers rise by one for an ordered subscriber, until the publisher starts anew. */
static void number_came(taker *t, const cuframes_frame *frame, uint64_t number) {
  uint64_t seq = cuframes_frame_seq(frame);
  bool epoch = cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY;
  count(&t->me->world->back_jumps, number <= t->number);
  count(&t->me->world->gaps, t->any && !epoch && t->mode == CUFRAMES_MODE_ORDERED && seq != t->seq + 1);
  t->number = number;
  t->seq = seq;
  t->any = true;
  atomic_fetch_add(t->me->progress, 1);
}

static uint64_t frames_lost(const taker *t) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_subscriber_get_stats(t->subscriber, &stats));
  return stats.frames_lost;
}

static void give_back_on_stream(taker *t, cuframes_frame *frame) {
  uint64_t lost = frames_lost(t);
  bool was = cuframes_frame_wait(frame, 0) == CUFRAMES_ERR_LOST;
  cuframes_frame_release_on(frame, t->stream);
  stream_settle(t);
  judge(t, was || frames_lost(t) > lost);
}

static void keep(taker *t, cuframes_frame *frame, uint64_t number, uint32_t k) {
  stream_settle(t);
  int result = cuframes_frame_wait(frame, patience());
  judge(t, result == CUFRAMES_ERR_LOST);
  if (result == CUFRAMES_ERR_LOST) {
    cuframes_frame_release(frame);
    return;
  }
  CHECK_OK(result);
  t->hand[k].frame = frame;
  t->hand[k].number = number;
}

static int take(taker *t, uint32_t k) {
  cuframes_frame *frame = NULL;
  int result, fd = -1;
  if (t->by_fd) {
    CHECK_OK(cuframes_subscriber_fd(t->subscriber, &fd));
    (void)poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 20);
  }
  result = t->sync == CUFRAMES_SYNC_TIMELINE
               ? cuframes_subscriber_next_on(t->subscriber, t->by_fd ? 0 : 20 * MS, t->stream, &frame)
               : cuframes_subscriber_next(t->subscriber, t->by_fd ? 0 : 20 * MS, &frame);
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  number_came(t, frame, number);
  bool give_back = worker_random(&t->random, 2) == 0;
  dawdle(t, 4, give_back ? 40000 : 6000); /* long enough that the publisher would come to a slot that is not pinned */
  look_at(t, frame, number);
  if (give_back)
    give_back_on_stream(t, frame);
  else
    keep(t, frame, number, k);
  return CUFRAMES_OK;
}

static void leave(taker *t) {
  cuframes_subscriber_destroy(t->subscriber);
  t->subscriber = NULL;
  t->any = false;
  t->number -= t->number > 0; /* who joins again may get the newest frame once more */
}

/* The publisher is killed, has not all its buffers yet, or the machine is busy with something else. */
static bool is_not_ready(int result) {
  return result == CUFRAMES_ERR_NO_SUCH_STREAM || result == CUFRAMES_ERR_NO_CAPACITY ||
         result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_PUBLISHER_GONE;
}

/* Joins; the publisher may be about to be killed, or killed and not yet replaced. */
static void join(taker *t) {
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .mode = t->mode,
                                          .sync = t->sync,
                                          .leases = t->leases,
                                          .depth = 2 + worker_random(&t->random, 5),
                                          .reconnect = true,
                                          .connect_timeout_ns = 200 * MS };
  int64_t end = cuframes_now() + patience();
  int result;
  do
    result = cuframes_subscriber_create(WORKER_STREAM, &options, &t->subscriber);
  while (is_not_ready(result) && !atomic_load(t->me->stop) && cuframes_now() < end);
  if (!atomic_load(t->me->stop))
    CHECK_OK(result);
}

static void step(taker *t) {
  uint32_t k = worker_random(&t->random, t->leases);
  if (!t->subscriber) {
    join(t);
    return;
  }
  let_go(t, k);
  int result = take(t, k);
  if (result == CUFRAMES_ERR_EVICTED) {
    atomic_fetch_add(&t->me->world->evictions, 1);
    leave(t);
  } else if (result == CUFRAMES_ERR_NO_CAPACITY) { /* a new publisher that has not registered its buffers yet */
    leave(t);
  } else if (result != CUFRAMES_OK) {
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
  }
  if (t->subscriber && worker_random(&t->random, 200) == 0)
    leave(t); /* with frames in hand, if it has some */
}

void worker_subscribe(const worker *me) {
  static const uint32_t syncs[] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE,
                                    CUFRAMES_SYNC_TIMELINE, CUFRAMES_SYNC_TIMELINE, CUFRAMES_SYNC_SLOT_EVENTS };
  static taker t;
  t = (taker){ .me = me, .random = me->random };
  t.mode = worker_random(&t.random, 3) == 0 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST;
  t.sync = syncs[worker_random(&t.random, 6)];
  t.leases = 1 + worker_random(&t.random, HANDS);
  t.by_fd = worker_random(&t.random, 4) == 0;
  gpu_begin(&t.g, 0);
  CHECK_OK(cu.cuStreamCreate(&t.stream, CU_STREAM_NON_BLOCKING));
  t.wrong = word_new();
  while (!atomic_load(me->stop))
    step(&t);
  if (t.subscriber)
    leave(&t);
  for (uint32_t k = 0; k < HANDS; k++)
    let_go(&t, k);
  CHECK_OK(cu.cuMemFree(t.wrong));
  CHECK_OK(cu.cuStreamDestroy(t.stream));
  gpu_end(&t.g);
}
