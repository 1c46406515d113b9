/* attacks/soak_subscribe.c - subscribers of every kind that judge all they get: every byte, and the order. */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "attacks/soak.h"
#include "support/packets.h"
#include "wire/text.h"

#define NAP (60 * SECOND) /* longest wait of one call: a wake-up that was lost shows as a gap */
enum { HANDS = 4 };

const soak_role soak_roles[SOAK_ROLES] = {
  { "newest, next", SOAK_STILL, CUFRAMES_MODE_NEWEST, SOAK_BY_NEXT, 3 },
  { "newest, poll", SOAK_STILL, CUFRAMES_MODE_NEWEST, SOAK_BY_POLL, 2 },
  { "newest, callback", SOAK_STILL, CUFRAMES_MODE_NEWEST, SOAK_BY_CALLBACK, 1 },
  { "ordered, next", SOAK_STILL, CUFRAMES_MODE_ORDERED, SOAK_BY_NEXT, 3 },
  { "ordered, poll", SOAK_STILL, CUFRAMES_MODE_ORDERED, SOAK_BY_POLL, 1 },
  { "ordered, callback", SOAK_STILL, CUFRAMES_MODE_ORDERED, SOAK_BY_CALLBACK, 1 },
  { "packets", SOAK_STILL, CUFRAMES_MODE_PACKETS, SOAK_BY_NEXT, 0 },
  { "newest", SOAK_DROP, CUFRAMES_MODE_NEWEST, SOAK_BY_NEXT, 2 },
  { "ordered", SOAK_DROP, CUFRAMES_MODE_ORDERED, SOAK_BY_POLL, 2 },
  { "newest", SOAK_EVICT, CUFRAMES_MODE_NEWEST, SOAK_BY_POLL, 2 },
  { "ordered", SOAK_EVICT, CUFRAMES_MODE_ORDERED, SOAK_BY_NEXT, 2 },
  { "newest", SOAK_GPU, CUFRAMES_MODE_NEWEST, SOAK_BY_NEXT, 3 },
  { "ordered", SOAK_GPU, CUFRAMES_MODE_ORDERED, SOAK_BY_NEXT, 2 },
  { "newest", SOAK_AGAIN, CUFRAMES_MODE_NEWEST, SOAK_BY_POLL, 2 },
  { "ordered", SOAK_AGAIN, CUFRAMES_MODE_ORDERED, SOAK_BY_NEXT, 2 },
  { "packets", SOAK_AGAIN, CUFRAMES_MODE_PACKETS, SOAK_BY_NEXT, 0 },
  { "monitor", SOAK_STILL, CUFRAMES_MODE_PACKETS, SOAK_LOOKS, 0 },
};

typedef struct taker {
  soak_subscriber *me;
  const soak_role *role;
  const soak_stream *stream;
  cuframes_subscriber *subscriber;
  uint64_t number, seq; /* of the last one */
  bool any;             /* there was a last one since it joined */
  int64_t came;         /* when; 0: it has just joined */
  int ended;            /* the callback's error */
  uint64_t random;      /* of the thread that takes */
  pthread_mutex_t lock; /* of what the callback's thread uses, too */
  struct {
    cuframes_frame *frame;
    uint64_t number;
  } hand[HANDS];
} taker;

static void count(_Atomic uint64_t *counter, bool wrong) {
  if (wrong)
    atomic_fetch_add(counter, 1);
}

/* ---- what came ---- */

static void came_now(taker *t) {
  int64_t now = cuframes_now();
  if (t->came != 0 && now - t->came > atomic_load(&t->me->longest_gap))
    atomic_store(&t->me->longest_gap, now - t->came);
  t->came = now;
  atomic_fetch_add(&t->me->progress, 1);
}

/* Numbers rise. Who gets every one gets the next one, by its sequence number and, but for what a killed publisher was
 * about to publish, by its own. */
static void number_came(taker *t, uint64_t number, uint64_t seq, bool epoch) {
  bool every = t->role->mode != CUFRAMES_MODE_NEWEST;
  count(&t->me->backward, number < t->number);
  count(&t->me->twice, t->any && number == t->number);
  if (t->any && every)
    count(&t->me->missing, t->stream->mortal ? !epoch && seq != t->seq + 1 : number != t->number + 1);
  t->number = number;
  t->seq = seq;
  t->any = true;
  atomic_store(&t->me->last, number);
  came_now(t);
}

static void let_go(taker *t, uint32_t k) {
  if (!t->hand[k].frame)
    return;
  count(&t->me->torn, !picture_is(t->hand[k].frame, t->hand[k].number));
  cuframes_frame_release(t->hand[k].frame);
  t->hand[k].frame = NULL;
}

static void frame_came(taker *t, cuframes_frame *frame) {
  uint32_t k = attack_below(&t->random, t->role->hands);
  uint64_t number = (uint64_t)cuframes_frame_pts(frame) / 1000;
  count(&t->me->torn, !picture_is(frame, number));
  atomic_fetch_add(&t->me->frames, 1);
  number_came(t, number, cuframes_frame_seq(frame), cuframes_frame_flags(frame) & CUFRAMES_FRAME_DISCONTINUITY);
  let_go(t, k);
  t->hand[k].frame = frame;
  t->hand[k].number = number;
}

static void packet_came(taker *t, cuframes_packet *packet) {
  uint64_t number = (uint64_t)cuframes_packet_pts(packet) / 1000;
  count(&t->me->torn, !packet_is(packet, number, 50 + number % 1000));
  atomic_fetch_add(&t->me->packets, 1);
  number_came(t, number, cuframes_packet_seq(packet), cuframes_packet_flags(packet) & CUFRAMES_PACKET_DISCONTINUITY);
  cuframes_packet_release(packet);
}

/* ---- coming and going ---- */

static void leave(taker *t) {
  cuframes_subscriber_destroy(t->subscriber);
  t->subscriber = NULL;
}

/* Its publisher is being replaced, or lets nobody in for now: attackers may be of our own user. Or one of both was
 * stopped in the middle of joining, or of a question, for longer than the other waits (two seconds): that is counted.
 * In the thread that was told. */
static bool is_not_there(const taker *t, int result) {
  bool closed = result == CUFRAMES_ERR_NO_SUCH_STREAM && strstr(cuframes_last_error(), "closed the connection");
  if (t->stream->mortal && result == CUFRAMES_ERR_NO_SUCH_STREAM)
    return true;
  count(&t->me->lost, !t->stream->mortal && (closed || result == CUFRAMES_ERR_PUBLISHER_GONE));
  return result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_NO_CAPACITY ||
         result == CUFRAMES_ERR_PUBLISHER_GONE || closed;
}

static void on_frame(void *user, cuframes_frame *frame, int error) {
  taker *t = user;
  pthread_mutex_lock(&t->lock);
  if (frame)
    frame_came(t, frame);
  else if (is_not_there(t, error))
    t->ended = CUFRAMES_ERR_TIMEOUT;
  else
    t->ended = error;
  pthread_mutex_unlock(&t->lock);
}

static void joined(taker *t) {
  int result = CUFRAMES_OK;
  atomic_fetch_add(&t->me->joins, 1);
  t->any = false;
  t->came = 0;
  t->ended = 0;
  if (t->role->mode == CUFRAMES_MODE_PACKETS) { /* from the last keyframe on: those before were had */
    t->number = 0;
    result = cuframes_subscriber_enable_packets(t->subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME);
  }
  if (t->role->how == SOAK_BY_CALLBACK)
    result = cuframes_subscriber_start(t->subscriber, on_frame, t);
  if (result == CUFRAMES_OK)
    return;
  CHECK_OK(is_not_there(t, result) ? CUFRAMES_OK : result);
  leave(t);
}

static void join(taker *t) {
  cuframes_subscriber_options options = subscriber_options(t->role->mode);
  options.label = t->role->name;
  options.leases = t->role->mode == CUFRAMES_MODE_PACKETS ? 0 : t->role->hands + 1;
  options.depth = t->role->mode == CUFRAMES_MODE_ORDERED ? 2 + attack_below(&t->me->random, 6) : 0;
  options.reconnect = t->stream->mortal;
  options.connect_timeout_ns = 200 * MS;
  options.device = t->stream->on_gpu ? "cuda" : "host";
  int result = cuframes_subscriber_create(t->stream->name, &options, &t->subscriber);
  if (result == CUFRAMES_OK) {
    joined(t);
    return;
  }
  if (!is_not_there(t, result))
    CHECK_OK(result);
  atomic_fetch_add(&t->me->refused, 1);
  pause_ms(5);
}

/* ---- taking ---- */

static int take_frame(taker *t) {
  cuframes_frame *frame = NULL;
  int fd = -1;
  if (t->role->how == SOAK_BY_POLL) {
    CHECK_OK(cuframes_subscriber_fd(t->subscriber, &fd));
    (void)poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, (int)(NAP / MS));
  }
  int result = cuframes_subscriber_next(t->subscriber, t->role->how == SOAK_BY_POLL ? 0 : NAP, &frame);
  if (result == CUFRAMES_OK)
    frame_came(t, frame);
  return result;
}

static int take_packet(taker *t) {
  cuframes_packet *packet = NULL;
  int result = cuframes_subscriber_next_packet(t->subscriber, NAP, &packet);
  if (result == CUFRAMES_OK)
    packet_came(t, packet);
  return result;
}

/* The callback's thread takes; this one looks at its watch. */
static int watch_callback(taker *t) {
  uint64_t before = atomic_load(&t->me->progress);
  int64_t end = cuframes_now() + 200 * MS;
  int result;
  do {
    pause_ms(5);
    pthread_mutex_lock(&t->lock);
    result = t->ended;
    pthread_mutex_unlock(&t->lock);
  } while (result == 0 && atomic_load(&t->me->progress) < before + 16 && cuframes_now() < end);
  return result;
}

static void step(taker *t) {
  if (!t->subscriber) {
    join(t);
    return;
  }
  int result = t->role->mode == CUFRAMES_MODE_PACKETS ? take_packet(t)
               : t->role->how == SOAK_BY_CALLBACK     ? watch_callback(t)
                                                      : take_frame(t);
  if (result == CUFRAMES_ERR_EVICTED) {
    atomic_fetch_add(&t->me->evictions, 1);
    leave(t);
  } else if (result == CUFRAMES_ERR_PACKET_OVERRUN) {
    atomic_fetch_add(&t->me->overruns, 1);
    t->any = false;
  } else if (result != CUFRAMES_OK && result != CUFRAMES_ERR_TIMEOUT) {
    if (!is_not_there(t, result))
      CHECK_OK(result);
    if (!t->stream->mortal) /* there it comes back by itself */
      leave(t);
  } else if (t->role->how == SOAK_BY_CALLBACK && result == CUFRAMES_ERR_TIMEOUT) { /* its thread has ended */
    leave(t);
  }
  if (t->subscriber && attack_below(&t->me->random, 300) == 0)
    leave(t); /* with frames in hand */
}

/* ---- monitors ---- */

static void check_text(soak_subscriber *me, const char *text) {
  count(&me->lies, !cf_text_is_shown((const uint8_t *)text, strlen(text)));
}

static void check_info(soak_subscriber *me, const cuframes_stream_info *info) {
  check_text(me, info->name);
  check_text(me, info->device);
  check_text(me, info->description);
  for (size_t i = 0; i < info->subscriber_count; i++) {
    check_text(me, info->subscribers[i]->label);
    count(&me->lies, info->subscribers[i]->leases_held > info->subscribers[i]->leases);
  }
}

static void look_at_one(soak_subscriber *me) {
  cuframes_stream_info *info = NULL;
  int stream = (int)attack_below(&me->random, SOAK_STREAMS);
  int result = cuframes_stream_query(NULL, soak_streams[stream].name, 2 * SECOND, &info);
  if (result != CUFRAMES_OK) /* it is stopped, killed, or not there over no stand-in */
    return;
  check_info(me, info);
  if (!soak_streams[stream].mortal) {
    count(&me->backward, info->frames < atomic_load(&me->frames) && stream == SOAK_STILL);
    if (stream == SOAK_STILL)
      atomic_store(&me->frames, info->frames);
  }
  atomic_fetch_add(&me->progress, 1);
  cuframes_stream_info_free(info);
}

static void look_at_all(soak_subscriber *me) {
  cuframes_streams *streams = NULL;
  int result = cuframes_stream_list(NULL, 2 * SECOND, &streams);
  CHECK_OK(result);
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    check_text(me, entry->info ? entry->info->name : entry->detail);
    if (entry->info)
      check_info(me, entry->info);
  }
  atomic_fetch_add(&me->looks, streams->count);
  atomic_fetch_add(&me->progress, streams->count > 0);
  cuframes_streams_free(streams);
}

static void look(soak_subscriber *me) {
  while (!atomic_load(&me->stop)) {
    if (attack_below(&me->random, 4) == 0)
      look_at_all(me);
    else
      look_at_one(me);
    pause_ms(2);
  }
}

/* ---- the process ---- */

void soak_subscribe(int test, void *user) {
  soak_subscriber *me = user;
  (void)test;
  if (me->role->how == SOAK_LOOKS) {
    look(me);
    return;
  }
  static taker t;
  t = (taker){
    .me = me, .role = me->role, .stream = &soak_streams[me->role->stream], .number = atomic_load(&me->last)
  };
  t.random = attack_random(&me->random);
  CHECK(pthread_mutex_init(&t.lock, NULL) == 0);
  while (!atomic_load(&me->stop))
    step(&t);
  leave(&t);
  for (uint32_t k = 0; k < HANDS; k++)
    let_go(&t, k);
}
