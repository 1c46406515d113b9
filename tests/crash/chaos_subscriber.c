/* crash/chaos_subscriber.c - a subscriber of some mode that checks all it gets, and joins, holds, leaves as it
 * likes. */
#include "crash/chaos.h"
#include "support/packets.h"

enum { HANDS = 4, TIMEOUTS = 50 };

typedef struct taker {
  chaos_worker *me;
  cuframes_subscriber *subscriber;
  uint32_t mode, leases;
  uint64_t number, seq; /* of the last one */
  bool any;             /* there was a last one since it joined */
  uint32_t timeouts;    /* since then */
  struct {
    cuframes_frame *frame;
    uint64_t number;
  } hand[HANDS];
} taker;

static void count(_Atomic uint64_t *counter, bool wrong) {
  if (wrong)
    atomic_fetch_add(counter, 1);
}

static void let_go(taker *t, uint32_t k) {
  if (!t->hand[k].frame)
    return;
  count(&t->me->world->all.torn, !picture_is(t->hand[k].frame, t->hand[k].number));
  cuframes_frame_release(t->hand[k].frame);
  t->hand[k].frame = NULL;
}

/* Numbers rise for ever. Sequence numbers rise by one, but for those that skip, until the source or the publisher
 * starts anew. */
static void number_came(taker *t, uint64_t number, uint64_t seq, bool epoch) {
  chaos_world *world = t->me->world;
  count(&world->all.back_jumps, number <= t->number);
  count(&world->all.gaps, t->any && !epoch && t->mode != CUFRAMES_MODE_NEWEST && seq != t->seq + 1);
  t->number = number;
  t->seq = seq;
  t->any = true;
  atomic_fetch_add(&t->me->progress, 1);
}

static int take_frame(taker *t, uint32_t k) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(t->subscriber, 20 * MS, &frame);
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  count(&t->me->world->all.torn, !picture_is(frame, number));
  atomic_fetch_add(&t->me->world->all.frames, 1);
  number_came(t, number, cuframes_frame_seq(frame), cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
  t->hand[k].frame = frame;
  t->hand[k].number = number;
  return CUFRAMES_OK;
}

static int take_packet(taker *t) {
  cuframes_packet *packet = NULL;
  int result = cuframes_subscriber_next_packet(t->subscriber, 20 * MS, &packet);
  if (result == CUFRAMES_ERR_PACKET_OVERRUN) {
    t->any = false;
    return CUFRAMES_OK;
  }
  if (result != CUFRAMES_OK)
    return result;
  uint64_t number = (uint64_t)cuframes_packet_pts(packet) / 1000;
  count(&t->me->world->all.torn, !packet_is(packet, number, 50 + number % 1000));
  atomic_fetch_add(&t->me->world->packets, 1);
  number_came(t, number, cuframes_packet_seq(packet), cuframes_packet_flags(packet) & CUFRAMES_PACKET_DISCONTINUITY);
  cuframes_packet_release(packet);
  return CUFRAMES_OK;
}

static void leave(taker *t) {
  if (t->subscriber)
    count(&t->me->world->reconnects, subscriber_stats(t->subscriber).reconnects > 0);
  cuframes_subscriber_destroy(t->subscriber);
  t->subscriber = NULL;
  t->any = false;
  /* who joins again may get the newest frame once more, and packets since the last keyframe */
  t->number = t->mode == CUFRAMES_MODE_PACKETS || t->number == 0 ? 0 : t->number - 1;
}

/* The publisher is killed, attackers have all seats, or the machine is busy with something else. */
static bool is_not_there(int result) {
  return result == CUFRAMES_ERR_NO_SUCH_STREAM || result == CUFRAMES_ERR_TIMEOUT ||
         result == CUFRAMES_ERR_PUBLISHER_GONE || result == CUFRAMES_ERR_NO_CAPACITY;
}

/* The publisher has no memory for what this one may hold: next time it is less. */
static void had_no_room(taker *t) {
  t->leases = 1;
  atomic_fetch_add(&t->me->world->refused, 1);
  atomic_fetch_add(&t->me->progress, 1);
}

/* Joins; the publisher may be about to be killed, or killed and not yet replaced. */
static void join(taker *t) {
  cuframes_subscriber_options options = subscriber_options(t->mode);
  int64_t end = cuframes_now() + patience();
  int result;
  options.leases = t->leases;
  options.depth = t->leases == 1 ? 1 : 2 + crash_below(&t->me->random, 5);
  options.reconnect = true;
  options.connect_timeout_ns = 200 * MS;
  do
    result = cuframes_subscriber_create("s", &options, &t->subscriber);
  while (is_not_there(result) && !atomic_load(&t->me->stop) && cuframes_now() < end);
  if (is_not_there(result) && atomic_load(&t->me->stop))
    return;
  if (result == CUFRAMES_ERR_NO_MEMORY) {
    had_no_room(t);
    return;
  }
  CHECK_OK(result);
  if (t->mode != CUFRAMES_MODE_PACKETS)
    return;
  result = cuframes_subscriber_enable_packets(t->subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME);
  if (result != CUFRAMES_OK) { /* between two publishers, or before this one has a ring: joins again */
    CHECK(result == CUFRAMES_ERR_PUBLISHER_GONE || result == CUFRAMES_ERR_NO_PACKET_RING ||
          result == CUFRAMES_ERR_TIMEOUT);
    leave(t);
  }
}

/* In a forked process. */
static void give_back(void *user) {
  taker *t = user;
  for (uint32_t k = 0; k < HANDS; k++)
    cuframes_frame_release(t->hand[k].frame);
  cuframes_subscriber_destroy(t->subscriber);
}

static void step(taker *t) {
  uint32_t k = crash_below(&t->me->random, t->leases);
  int result = CUFRAMES_OK;
  if (!t->subscriber) {
    join(t);
    return;
  }
  if (t->mode == CUFRAMES_MODE_PACKETS) {
    result = take_packet(t);
  } else {
    let_go(t, k);
    result = take_frame(t, k);
  }
  if (result == CUFRAMES_ERR_EVICTED) {
    atomic_fetch_add(&t->me->world->all.evictions, 1);
    leave(t);
  } else if (result == CUFRAMES_ERR_NO_MEMORY || result == CUFRAMES_ERR_NO_CAPACITY) { /* of a new publisher */
    leave(t);
    had_no_room(t);
  } else if (result == CUFRAMES_ERR_NO_PACKET_RING) { /* a new publisher that has none yet */
    pause_ms(1);
  } else if (result != CUFRAMES_OK) {
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
  }
  t->timeouts = result == CUFRAMES_ERR_TIMEOUT ? t->timeouts + 1 : 0;
  if (t->timeouts >= TIMEOUTS && t->subscriber && atomic_load(&t->me->world->little)) {
    leave(t); /* it may not get in again */
    had_no_room(t);
  }
  if (t->subscriber && crash_below(&t->me->random, 200) == 0)
    chaos_fork(t->me, give_back, t);
  if (t->subscriber && crash_below(&t->me->random, 200) == 0)
    leave(t); /* with frames in hand, if it has some */
}

void chaos_subscriber(int test, void *user) {
  static const uint32_t modes[] = { CUFRAMES_MODE_NEWEST,  CUFRAMES_MODE_NEWEST,  CUFRAMES_MODE_NEWEST,
                                    CUFRAMES_MODE_ORDERED, CUFRAMES_MODE_ORDERED, CUFRAMES_MODE_PACKETS };
  chaos_worker *me = user;
  (void)test;
  taker t = { .me = me, .mode = modes[crash_below(&me->random, 6)], .leases = 1 + crash_below(&me->random, HANDS) };
  crash_hesitate(CHAOS_HESITATE);
  crash_light(&me->fuse);
  while (!atomic_load(&me->stop))
    step(&t);
  leave(&t);
  for (uint32_t k = 0; k < HANDS; k++)
    let_go(&t, k);
}
