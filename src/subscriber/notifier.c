/* subscriber/notifier.c - waiting for news in the place of who takes frames: a thread (notifier_group.c) sleeps like
 * any reader, and then makes a descriptor readable, or rings the bell of a batch.
 *
 * A notifier is armed when next() found nothing, with what next() had looked at; it rings once, when there may be more.
 */
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "subscriber/notifier_group.h"

/* What wakes nobody is looked at again after a part of the time that has passed, between these. */
#define LOOK_SOONEST (20 * INT64_C(1000))
#define LOOK_LATEST (CF_MS / 2)
#define LOOK_PART 8
#define ANSWER_LATEST (5 * CF_MS)

/* ---- one subscriber's turn ---- */

/* next() may have something to say. */
static bool is_news(cuframes_subscriber *s) {
  const cf_notifier *n = &s->notifier;
  cf_connection *c = n->connection;
  if (n->look_at != 0 && c && c->serial == n->serial && !cf_must_not_sleep(s, c, CF_SLEEPER_FRAMES))
    return cf_now() >= n->look_at;
  if (!c) {
    pthread_mutex_lock(&s->lock);
    bool ready = s->connection || cf_rejoin_is_ready(&s->rejoin);
    pthread_mutex_unlock(&s->lock);
    return ready || cf_must_not_sleep(s, NULL, CF_SLEEPER_FRAMES);
  }
  if (n->who == CF_SLEEPER_LEASES && c->serial == n->serial)
    return cf_connection_has_lease(c) || cf_must_not_sleep(s, c, n->who);
  if (c->serial != n->serial ||
      cf_must_not_sleep(s, c, CF_SLEEPER_FRAMES)) /* another one than next() looked at, for example */
    return true;
  if (n->unmapped)
    return cf_connection_answer_due(c);
  if (n->full)
    return cf_connection_has_lease(c) || cf_reader_over(&c->reader);
  if (n->pending_seq != 0)
    return cf_reader_complete(&c->reader, n->pending_slot, n->pending_seq);
  return cf_reader_news(&c->reader, n->started, n->last);
}

/* As any sleeper announces himself: before the look (sleep.c). */
static void wait_begin(cuframes_subscriber *s) {
  cf_notifier *n = &s->notifier;
  n->state = CF_NOTIFIER_WAITS;
  n->began = cf_now();
  n->connection = cf_subscriber_current_for_frames(s);
  if (!n->connection)
    return;
  (void)cf_flag_add(&n->connection->sleepers[n->who], 1);
  if (!n->full) /* else new frames are no reason to wake up */
    (void)cf_reader_prepare_wait(&n->connection->reader);
}

static void wait_end(cf_notifier *n) {
  if (n->state == CF_NOTIFIER_WAITS && n->connection) {
    if (!n->full)
      cf_reader_end_wait(&n->connection->reader);
    (void)cf_flag_add(&n->connection->sleepers[n->who], -1);
    cf_connection_drop(n->connection);
  }
  n->state = CF_NOTIFIER_IDLE;
}

/* What its wait sleeps on. */
static void word_find(cuframes_subscriber *s, cf_futex_pair *pair) {
  cf_connection *c = s->notifier.connection;
  pair->word = !c ? &s->joins.value : s->notifier.full ? &c->releases.value : &c->reader.control->wake;
  if (c && s->notifier.full) /* before the look: pairs with cf_connection_announce_release */
    cf_flag_set(&c->release_awaited, 1);
}

/* Whether it waits for something that wakes nobody: a GPU, or an answer. */
static bool must_look_again(const cf_notifier *n) {
  cf_connection *c = n->connection;
  return c && (n->unmapped || n->pending_seq != 0 || (n->full && cf_connection_is_returning(c)));
}

bool cf_notifier_step(cuframes_subscriber *s, cf_futex_pair *pair, int64_t *deadline) {
  cf_notifier *n = &s->notifier;
  if (n->state == CF_NOTIFIER_ARMED)
    wait_begin(s);
  if (n->state == CF_NOTIFIER_IDLE)
    return false;
  word_find(s, pair);
  pair->expected = cf_futex_load(pair->word); /* before the look: what it misses moves the word */
  if (is_news(s)) {
    wait_end(n);
    return false;
  }
  if (n->look_at != 0 && n->look_at < *deadline)
    *deadline = n->look_at;
  if (must_look_again(n)) {
    int64_t now = cf_now(), part = (now - n->began) / LOOK_PART;
    int64_t latest = n->unmapped ? ANSWER_LATEST : LOOK_LATEST;
    part = part < LOOK_SOONEST ? LOOK_SOONEST : part > latest ? latest : part;
    *deadline = now + part < *deadline ? now + part : *deadline;
  }
  return true;
}

void cf_bell_ring(cf_bell *bell) {
  (void)cf_flag_add(&bell->rung, 1);
  (void)cf_futex_wake(&bell->rung.value, INT32_MAX);
  uint32_t doorbell = cf_flag_get(&bell->doorbell);
  if (doorbell > 0)
    cf_doorbell_ring((int)doorbell - 1);
}

static void ring(const cf_notifier *n) {
  if (n->bell)
    cf_bell_ring(n->bell);
  else
    cf_doorbell_ring(n->fd);
}

/* Goes on with it; rings when it waits no longer. With the group's lock held. */
static bool step(cuframes_subscriber *s, cf_futex_pair *pair, int64_t *deadline) {
  bool idle = s->notifier.state == CF_NOTIFIER_IDLE;
  bool waits = cf_notifier_step(s, pair, deadline);
  if (!waits && !idle)
    ring(&s->notifier);
  return waits;
}

static void end(cuframes_subscriber *s) {
  wait_end(&s->notifier);
}

static const cf_notified for_frames = { step, end };

/* ---- a subscriber's notifier ---- */

int cf_notifier_join(cuframes_subscriber *s) {
  int result = cf_notifier_group_join(&s->notifier.group, s, &for_frames);
  if (result == CUFRAMES_OK)
    ring(&s->notifier); /* the first poll: there may be a frame already; next() arms it when there is none */
  return result;
}

static enum cf_sleeper sleeper_of(const cf_notifier *n, const cf_connection *connection) {
  return n->full && cf_reader_peek(&connection->reader) == CF_TAKE_OK ? CF_SLEEPER_LEASES : CF_SLEEPER_FRAMES;
}

/* What the thread that takes frames has looked at, and so what is news from here on. */
static void note(cuframes_subscriber *s, cf_connection *connection, int64_t look_at) {
  cf_notifier *n = &s->notifier;
  bool pending = connection && s->pending && s->pending->owner == connection;
  n->started = connection && connection->reader.started;
  n->last = connection ? connection->reader.last : 0;
  n->serial = connection ? connection->serial : 0;
  n->unmapped = connection && connection->is_unmapped;
  n->pending_slot = pending ? s->pending->slot : 0;
  n->pending_seq = pending ? s->pending->seq : 0;
  n->full = connection && !pending && !n->unmapped && !cf_connection_has_lease(connection);
  n->who = sleeper_of(n, connection);
  n->look_at = look_at;
}

void cf_notifier_begin(cuframes_subscriber *s, cf_connection *connection, int64_t look_at) {
  note(s, connection, look_at);
  s->notifier.state = CF_NOTIFIER_ARMED;
}

void cf_notifier_end(cuframes_subscriber *s) {
  wait_end(&s->notifier);
}

/* From here on it counts as another sleeper, while it sleeps. With the lock held. */
static void sleep_as(cf_notifier *n, enum cf_sleeper who) {
  enum cf_sleeper before = n->who;
  n->who = who;
  if (before == who || n->state != CF_NOTIFIER_WAITS || !n->connection)
    return;
  (void)cf_flag_add(&n->connection->sleepers[who], 1);
  (void)cf_flag_add(&n->connection->sleepers[before], -1);
  cf_watcher_ring(); /* which may have seen the end before */
}

/* It waits for a frame, and would do so anew: since a later one was taken. With the lock held. */
static void go_on_later(cf_notifier *n, const cf_connection *connection) {
  if (connection && connection->serial == n->serial)
    sleep_as(n, sleeper_of(n, connection));
  if (!connection || connection->serial != n->serial || n->unmapped || n->full || n->pending_seq != 0 ||
      n->look_at != 0)
    return; /* that has come, or we would not be here: it is seen and told once more than needed */
  n->started = connection->reader.started;
  n->last = connection->reader.last;
}

void cf_notifier_arm(cuframes_subscriber *s, cf_connection *connection, int64_t look_at) {
  cf_notifier *n = &s->notifier;
  if (!n->group)
    return;
  pthread_mutex_lock(&n->group->lock);
  if (n->state == CF_NOTIFIER_IDLE) {
    if (!n->bell)
      cf_doorbell_drain(n->fd);
    cf_notifier_begin(s, connection, look_at);
    cf_notifier_group_change(n->group);
  } else if (n->bell) {
    go_on_later(n, connection);
  }
  pthread_mutex_unlock(&n->group->lock);
}

bool cf_notifier_waits(cuframes_subscriber *s) {
  cf_notifier *n = &s->notifier;
  pthread_mutex_lock(&n->group->lock);
  bool does = n->state != CF_NOTIFIER_IDLE;
  pthread_mutex_unlock(&n->group->lock);
  return does;
}

/* A thread that sleeps on its one word alone is made to look: by the flag that ends a callback thread's sleep, since
 * an interruption might go to the thread that takes packets. There is no callback thread where there is a notifier. */
static void make_idle(cuframes_subscriber *s) {
  cf_flag_set(&s->callback.stop, CF_STOP_NOW);
  cf_joins_announce(s);
  cf_watcher_ring();
  for (int64_t began = cf_now(); cf_notifier_waits(s);)
    cf_wait_turn(began, CF_NEVER);
  cf_flag_set(&s->callback.stop, 0);
}

void cf_notifier_leave(cuframes_subscriber *s) {
  if (s->notifier.group && cf_futex_most() == 1)
    make_idle(s);
  cf_notifier_group_leave(&s->notifier.group, s, &for_frames);
}

void cf_notifier_stop(cuframes_subscriber *s) {
  cf_notifier_leave(s);
  cf_close(s->notifier.fd);
}

int cuframes_subscriber_fd(cuframes_subscriber *s, int *fd) {
  if (!s || !fd)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_fd: subscriber and fd must be given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  int result = cf_subscriber_check_taker(s);
  if (result != CUFRAMES_OK)
    return result;
  cf_notifier *n = &s->notifier;
  if (n->fd < 0) {
    result = cf_doorbell_create(&n->fd);
    if (result != CUFRAMES_OK)
      return result;
  }
  if (!n->group) {
    result = cf_notifier_join(s);
    if (result != CUFRAMES_OK)
      return result;
  }
  *fd = n->fd;
  return CUFRAMES_OK;
}
