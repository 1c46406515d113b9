/* subscriber/subscriber.c - joining a stream, taking frames, joining again when the publisher comes back. */
#include "subscriber/subscriber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/options.h"
#include "exchange/latency.h"
#include "link/directory.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "wire/handshake.h"

/* How often create() looks for a name that is not there: first, and at most. */
#define LOOK_FIRST (10 * CF_MS)
#define LOOK_LEAST (250 * CF_MS)

/* ---- creation ---- */

static int hello_fill(const cuframes_subscriber_options *o, cf_msg_hello *hello) {
  if (o->mode > CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_INVALID, "mode is %u: expected CUFRAMES_MODE_NEWEST, _ORDERED or _PACKETS", o->mode);
  if (o->leases > CF_LEASES_MAX)
    return cf_fail(CUFRAMES_ERR_INVALID, "leases is %u: at most %u", o->leases, CF_LEASES_MAX);
  if (o->depth > CF_DEPTH_MAX)
    return cf_fail(CUFRAMES_ERR_INVALID, "depth is %u: at most %u", o->depth, CF_DEPTH_MAX);
  if (o->spin_ns < 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "spin_ns is negative");
  if (o->sync & ~(uint32_t)(CUFRAMES_SYNC_COMPLETE | CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_SLOT_EVENTS))
    return cf_fail(CUFRAMES_ERR_INVALID, "sync is 0x%x: expected bits of enum cuframes_sync", o->sync);
  *hello = (cf_msg_hello){ .version_min = CF_WIRE_VERSION_MIN,
                           .version_max = CF_WIRE_VERSION_MAX,
                           .role = CF_ROLE_SUBSCRIBER,
                           .mode = o->mode,
                           .leases = o->leases,
                           .depth = o->depth,
                           .sync_modes = o->sync | CUFRAMES_SYNC_COMPLETE };
  strncpy(hello->label, o->label ? o->label : program_invocation_short_name, sizeof hello->label - 1);
  return CUFRAMES_OK;
}

#define TIMELINE_OR_EVENTS (CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_SLOT_EVENTS)

/* The publisher can do what was asked and this side cannot: asks for less. False: there is nothing less. */
static bool fall_back(cuframes_subscriber *s, int error) {
  if ((error != CUFRAMES_ERR_UNSUPPORTED && error != CUFRAMES_ERR_DEVICE) ||
      !(s->hello.sync_modes & TIMELINE_OR_EVENTS))
    return false;
  cf_log_limited(&s->logger, &s->log_limit, CUFRAMES_LOG_WARNING, "%s: falling back to a lesser sync mode: %s", s->name,
                 cf_last_detail());
  bool events = (s->hello.sync_modes & TIMELINE_OR_EVENTS) == TIMELINE_OR_EVENTS;
  pthread_mutex_lock(&s->lock); /* the watcher sends it */
  s->hello.sync_asked |= s->hello.sync_modes;
  s->hello.sync_modes = CUFRAMES_SYNC_COMPLETE | (events ? CUFRAMES_SYNC_SLOT_EVENTS : 0u);
  pthread_mutex_unlock(&s->lock);
  return true;
}

/* Makes a connection of what joining brought, and takes that over. */
static int connection_make(cuframes_subscriber *s, cf_joined *joined, int64_t deadline, cf_connection **connection) {
  const bool waits = deadline != CF_AT_ONCE;
  const cf_join join = { s->name, s->device, &s->hello, s->handles, s->logger, waits ? &s->interrupt : NULL };
  int result = cf_connection_open(&join, joined, deadline, connection);
  if (result == CUFRAMES_OK)
    (*connection)->serial = ++s->serial; /* an address would not do: the next one may get the last one's */
  return result;
}

/* Joins; once more if we were stopped in the middle of it, perhaps with the publisher. */
static int join(cuframes_subscriber *s, int64_t *deadline, uint8_t *message, cf_joined *joined) {
  int result = CUFRAMES_ERR_TIMEOUT;
  for (int tries = 0; tries < 2 && result == CUFRAMES_ERR_TIMEOUT; tries++) {
    int64_t due = *deadline = cf_now() + CF_HANDSHAKE_NS;
    result = cf_client_join(s->directory, s->name, &s->hello, *deadline, &s->interrupt, message, 2, joined);
    if (cf_deadline_over(&due, cf_now()) || due == *deadline)
      break;
  }
  return result;
}

static int connect_once(cuframes_subscriber *s, uint8_t *message) {
  int result;
  do {
    cf_joined joined;
    int64_t deadline;
    result = join(s, &deadline, message, &joined);
    if (result == CUFRAMES_OK)
      result = connection_make(s, &joined, deadline, &s->connection);
  } while (result != CUFRAMES_OK && fall_back(s, result));
  return result;
}

/* Before the next look for a name that is not there. INTERRUPTED: there is none to be. */
static int pause_until(cuframes_subscriber *s, int64_t moment) {
  int result = CUFRAMES_OK;
  while (result == CUFRAMES_OK && cf_now() < moment) {
    result = cf_interrupt_check(&s->interrupt);
    if (result == CUFRAMES_OK)
      (void)cf_futex_wait(&s->joins.value, 0, cf_interrupt_until(&s->interrupt, moment));
  }
  return result;
}

static int connect_first(cuframes_subscriber *s, int64_t deadline) {
  uint8_t *message = malloc(CF_WIRE_MESSAGE_MAX);
  if (!message)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int result = connect_once(s, message);
  for (int64_t pause = LOOK_FIRST; cf_rejoin_may_help(result) && cf_now() < deadline; pause *= 2) {
    int64_t until = cf_now() + (pause < LOOK_LEAST ? pause : LOOK_LEAST);
    result = pause_until(s, until < deadline ? until : deadline);
    if (result == CUFRAMES_OK)
      result = connect_once(s, message);
  }
  free(message);
  return result;
}

static int subscriber_fill(cuframes_subscriber *s, const cuframes_subscriber_options *o) {
  if (o->directory && !(s->directory = strdup(o->directory)))
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (o->device && !(s->device = strdup(o->device)))
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  s->handles = cf_handles_create();
  if (!s->handles)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int result = hello_fill(o, &s->hello);
  if (result == CUFRAMES_OK)
    result = connect_first(s, cf_deadline(o->connect_timeout_ns));
  if (result == CUFRAMES_OK)
    result = cf_watcher_add(s);
  return result;
}

int cuframes_subscriber_create(const char *name, const cuframes_subscriber_options *options,
                               cuframes_subscriber **subscriber) {
  cuframes_subscriber_options o;
  if (!subscriber)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_create: subscriber must be given");
  int result = cf_name_check(name);
  if (result == CUFRAMES_OK)
    result = cf_options_copy(&o, sizeof o, options, "cuframes_subscriber_options");
  if (result != CUFRAMES_OK)
    return result;
  cuframes_subscriber *s = calloc(1, sizeof *s);
  if (!s)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  strncpy(s->name, name, sizeof s->name - 1);
  s->maker = cf_process_here();
  s->reconnect = o.reconnect != 0;
  s->spin_ns = o.spin_ns;
  s->logger = (cf_logger){ o.log, o.log_user };
  s->interrupt = (cf_interrupt){ o.interrupt, o.interrupt_user };
  s->notifier.fd = s->packets.notifier.fd = -1;
  pthread_mutex_init(&s->connect_lock, NULL);
  cf_log_limit_init(&s->log_limit, s->name);
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->packets.lock, NULL);
  result = subscriber_fill(s, &o);
  if (result != CUFRAMES_OK) {
    cuframes_subscriber_destroy(s);
    return result;
  }
  *subscriber = s;
  return CUFRAMES_OK;
}

/* A frame that was waited for is not wanted any more. */
static void pending_give_up(cuframes_subscriber *s) {
  if (s->pending)
    cf_connection_put_back(s->pending);
  s->pending = NULL;
}

/* Nobody takes frames from it any more; frames in hand keep it. */
static void connection_end(cf_connection *connection) {
  cf_lock_take(&connection->lock);
  connection->logger = (cf_logger){ 0 };
  cf_lock_give(&connection->lock);
  cf_connection_end(connection);
}

void cuframes_subscriber_destroy(cuframes_subscriber *s) {
  if (s && !cf_process_is(s->maker)) {
    cf_subscriber_forget(s);
    return;
  }
  if (!s || cf_callback_destroys(s))
    return;
  if (cf_flag_get(&s->taker) == CF_TAKER_BATCH)
    s->membership.leave(s->membership.batch, s);
  cf_callback_stop(s);
  cf_subscriber_free(s);
}

void cf_subscriber_free(cuframes_subscriber *s) {
  cf_notifier_stop(s);
  cf_packet_notifier_stop(s);
  cf_watcher_remove(s);
  cf_rejoin_stop(s);
  cf_packet_side_free(s);
  pending_give_up(s);
  cf_connection_drop(s->taking);
  if (s->handles)
    cf_handles_close(s->handles); /* from here on a GPU is waited for by who must */
  if (s->left_over)
    connection_end(s->left_over);
  if (s->connection) {
    cf_connection_leave(s->connection); /* or a publisher would wait for it as long as a frame is in hand */
    connection_end(s->connection);
  }
  pthread_mutex_destroy(&s->connect_lock);
  pthread_mutex_destroy(&s->log_limit.lock);
  pthread_mutex_destroy(&s->lock);
  cf_handles_drop(s->handles);
  pthread_mutex_destroy(&s->packets.lock);
  free(s->directory);
  free(s->device);
  free(s);
}

/* ---- connections ---- */

cf_connection *cf_subscriber_current(cuframes_subscriber *s) {
  pthread_mutex_lock(&s->lock);
  cf_connection *connection = s->connection;
  if (connection)
    cf_connection_hold(connection);
  pthread_mutex_unlock(&s->lock);
  return connection;
}

cf_connection *cf_subscriber_current_for_frames(cuframes_subscriber *s) {
  pthread_mutex_lock(&s->lock);
  cf_connection *connection = s->left_over ? s->left_over : s->connection;
  if (connection)
    cf_connection_hold(connection);
  pthread_mutex_unlock(&s->lock);
  return connection;
}

/* Takes over what the watcher joined. */
static int connect_again(cuframes_subscriber *s, cf_connection **connection) {
  cf_joined joined;
  cf_connection *fresh = NULL;
  pthread_mutex_lock(&s->lock);
  int result = cf_rejoin_take(s, &joined);
  pthread_mutex_unlock(&s->lock);
  if (result != CUFRAMES_OK)
    return result;
  result = connection_make(s, &joined, CF_AT_ONCE, &fresh);
  bool at_once = result != CUFRAMES_OK && fall_back(s, result);
  pthread_mutex_lock(&s->lock);
  if (result == CUFRAMES_OK) {
    cf_connection_hold(fresh);
    s->connection = fresh;
    (void)cf_flag_add(&s->changes, 1);
    cf_watcher_watch(s, fresh);
  } else {
    cf_rejoin_again(s, at_once);
  }
  pthread_mutex_unlock(&s->lock);
  cf_watcher_ring();
  cf_joins_announce(s);
  if (result != CUFRAMES_OK)
    return at_once || cf_rejoin_may_help(result) ? CUFRAMES_ERR_TIMEOUT : result;
  cf_counter_add(&s->reconnects, 1);
  cf_log_limited(&s->logger, &s->log_limit, CUFRAMES_LOG_INFO, "%s: the publisher is back", s->name);
  *connection = fresh;
  return CUFRAMES_OK;
}

/* With a current one, or one that is taken over; `wait` for another thread that does so. */
static int connection_get(cuframes_subscriber *s, cf_connection *current, bool wait, cf_connection **connection) {
  int result = CUFRAMES_OK;
  if (!current && !s->reconnect)
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  if (!current) {
    if ((wait ? pthread_mutex_lock(&s->connect_lock) : pthread_mutex_trylock(&s->connect_lock)) != 0)
      return cf_fail(CUFRAMES_ERR_TIMEOUT, "another thread connects just now"); /* and announces what comes of it */
    current = cf_subscriber_current(s);                                         /* it may have been faster */
    if (!current)
      result = connect_again(s, &current);
    pthread_mutex_unlock(&s->connect_lock);
  }
  if (result == CUFRAMES_OK)
    *connection = current;
  return result;
}

int cf_subscriber_connection(cuframes_subscriber *s, cf_connection **connection) {
  return connection_get(s, cf_subscriber_current(s), true, connection);
}

int cf_subscriber_connection_anew(cuframes_subscriber *s, cf_connection **connection) {
  s->taking_since = cf_flag_get(&s->changes); /* before the look: who changes something moves it afterwards */
  cf_connection *current = cf_subscriber_current_for_frames(s);
  cf_connection_drop(s->taking);
  s->taking = NULL;
  int result = connection_get(s, current, false, &s->taking);
  *connection = s->taking;
  return result;
}

void cf_subscriber_retire(cuframes_subscriber *s, cf_connection *connection, enum cf_frames frames) {
  cf_connection *over = NULL;
  if (frames == CF_FRAMES_TAKEN) /* by the thread that takes them */
    pending_give_up(s);
  pthread_mutex_lock(&s->lock);
  bool ours = s->connection == connection;
  if (ours) {
    over = connection;
    s->connection = NULL;
    if (frames == CF_FRAMES_LEFT && s->hello.mode != CUFRAMES_MODE_PACKETS) {
      over = s->left_over; /* nobody takes frames: then those of the last but one are not wanted */
      s->left_over = connection;
    }
    if (s->reconnect)
      cf_rejoin_begin(s);
  } else if (frames == CF_FRAMES_TAKEN && s->left_over == connection) {
    over = connection;
    s->left_over = NULL;
  }
  (void)cf_flag_add(&s->changes, 1);
  pthread_mutex_unlock(&s->lock);
  if (ours)
    (void)cf_connection_lose(connection);
  if (ours || over) /* our other thread may sleep on it, streams may wait for its pictures, and it is watched */
    cf_watcher_ring();
  if (over) {
    cf_counter_add(&s->lost_before, cf_counter_get(&over->lost));
    connection_end(over);
  }
  if (ours)
    cf_log_limited(&s->logger, &s->log_limit, CUFRAMES_LOG_WARNING, "%s: the publisher is gone%s", s->name,
                   s->reconnect ? "; waiting for it to come back" : "");
}

/* ---- frames ---- */

/* Of so many frames that come while one spins, a look at the clock is made for one, which counts for all: the look is
 * a tenth of such a hand-off. A prime, since what a stream repeats has a period of few frames. */
#define SPUN_FOR 7u

static __attribute__((noinline)) void latency_note_spun(cuframes_subscriber *s, cf_seat *seat, const cf_frame *frame) {
  if (++s->spun_for < SPUN_FOR)
    return;
  cf_seat_note_latency(seat, cf_now() - frame->timestamp, SPUN_FOR);
  s->spun_for = 0;
}

static inline __attribute__((always_inline)) void frame_delivered(cuframes_subscriber *s,
                                                                  const cf_connection *connection, cf_frame *frame,
                                                                  bool spun) {
  uint32_t segment = ((const cf_view *)frame->segment)->segment;
  bool is_first = connection->serial != s->last_serial;
  if (is_first || segment != s->last_segment) { /* all frames of a segment have one format */
    if (s->any_frame && memcmp(&s->last_format, frame->format, sizeof s->last_format) != 0)
      frame->flags |= CUFRAMES_FRAME_NEW_FORMAT;
    s->last_segment = segment;
    s->last_format = *frame->format;
  }
  if (is_first) {
    s->skipped_before = cf_counter_get(&s->skipped);
    s->last_serial = connection->serial;
    s->spun_for = 0; /* the others are of another seat */
    frame->flags |= s->any_frame ? CUFRAMES_FRAME_DISCONTINUITY : 0;
  } else if (frame->epoch != s->last_epoch) {
    frame->flags |= CUFRAMES_FRAME_DISCONTINUITY;
  }
  s->any_frame = true;
  s->last_epoch = frame->epoch;
  if (spun)
    latency_note_spun(s, connection->seat, frame);
  else
    cf_seat_note_latency(connection->seat, cf_now() - frame->timestamp, 1);
  cf_counter_count(&s->delivered);
  cf_counter_set(&s->skipped, s->skipped_before + connection->reader.skipped);
}

/* What a look at a connection says for its subscriber. gone: it was, before. */
static int result_of(const cuframes_subscriber *s, int result, bool gone) {
  if (result == CUFRAMES_ERR_STALE) /* the frame's segment went while we asked for it: there are newer ones */
    return CUFRAMES_ERR_TIMEOUT;
  if (result == CUFRAMES_ERR_TIMEOUT && gone)
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  return result;
}

static void pending_of(cuframes_subscriber *s, const cf_connection *connection) {
  if (s->pending && s->pending->owner != connection)
    pending_give_up(s);
}

typedef int (*take_fn)(cf_connection *connection, cf_take_how *how, bool gone, cf_frame **pending, cf_frame **frame);

/* Takes what is there now. TIMEOUT: nothing. Inlined, since it is twice in the library: next() would pay for the call
 * of each step that a batch makes, too (bench/costs). */
static inline __attribute__((always_inline)) int take_now(cuframes_subscriber *s, cf_connection *connection,
                                                          take_fn take, cf_take_how *how, cuframes_frame **frame) {
  cf_frame *taken;
  bool gone = cf_flag_get(&connection->life) != CF_LIVE; /* before the look: the last frames are still taken */
  pending_of(s, connection);
  int result = take(connection, how, gone, &s->pending, &taken);
  if (result != CUFRAMES_OK)
    return result_of(s, result, gone);
  frame_delivered(s, connection, taken, how->spun);
  *frame = taken->handle;
  return CUFRAMES_OK;
}

int cf_subscriber_take(cuframes_subscriber *s, cf_connection *connection, cf_take_how *how, cuframes_frame **frame) {
  return take_now(s, connection, cf_connection_take_newest, how, frame);
}

int cf_subscriber_look(cuframes_subscriber *s, cf_connection *connection, cf_take_how *how) {
  bool gone = cf_flag_get(&connection->life) != CF_LIVE;
  pending_of(s, connection);
  return result_of(s, cf_connection_look(connection, how, gone, &s->pending), gone);
}

int cf_subscriber_check_taker(const cuframes_subscriber *s) {
  switch ((enum cf_taker)cf_flag_get(&s->taker)) {
    case CF_TAKER_CALLER: break;
    case CF_TAKER_CALLBACK: return cf_fail(CUFRAMES_ERR_BUSY, "the callback thread takes the frames: stop it first");
    case CF_TAKER_JOINS:
    case CF_TAKER_BATCH:
      return cf_fail(CUFRAMES_ERR_BUSY, "\"%s\" is a member of a batch, which takes the frames: remove it first",
                     s->name);
  }
  return CUFRAMES_OK;
}

int cf_subscriber_taker_begin(cuframes_subscriber *s, enum cf_taker taker) {
  uint32_t caller = CF_TAKER_CALLER;
  if (cf_flag_change(&s->taker, &caller, taker))
    return CUFRAMES_OK;
  return cf_fail(CUFRAMES_ERR_BUSY, "\"%s\" has somebody who takes its frames: a batch, or its callback thread",
                 s->name);
}

#define SPINS 64 /* between two looks at the clock, which takes as long as one of them */

__attribute__((hot)) static void spin_for_frame(cuframes_subscriber *s, cf_connection *connection, int64_t deadline) {
  int64_t end = cf_deadline(s->spin_ns);
  const uint32_t lease = cf_connection_next_lease(connection); /* nobody else takes one */
  const cf_frame_reader *reader = &connection->reader;
  if (end > deadline)
    end = deadline;
  for (uint32_t i = 1; !cf_reader_news(reader, reader->started, reader->last); i++) {
    if (i % SPINS == 0 &&
        (cf_now() >= end || cf_connection_gone(connection) || cf_is_interrupted(s, CF_SLEEPER_FRAMES)))
      return;
    if (lease < CF_LEASES_MAX)
      cf_reader_warm(connection->seat, lease);
    cf_spin_pause();
  }
}

/* What one call of next() remembers between its turns. */
typedef struct turns {
  bool spun;          /* it has spun for a frame, */
  bool spins;         /* and what is there now came meanwhile */
  int64_t busy_since; /* only the GPU keeps a frame from us since then; 0: not so */
} turns;

/* There was no frame: sleeps until there may be one. An error ends the call. */
__attribute__((hot)) static int sleep_for_more(cuframes_subscriber *s, cf_connection *connection, bool busy, turns *t,
                                               int64_t deadline) {
  t->spins = false;
  if (cf_take_interruption(s, CF_SLEEPER_FRAMES))
    return cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_subscriber_interrupt() was called");
  if (cf_callback_stops(s))
    return CUFRAMES_ERR_INTERRUPTED;
  if (cf_now() >= deadline) {
    cf_notifier_arm(s, connection, 0);
    if (connection && !busy && !s->pending)
      cf_source_explain(connection, "new frame");
    return CUFRAMES_ERR_TIMEOUT;
  }
  if (busy) { /* with work that wakes nobody when it is done */
    t->busy_since = t->busy_since ? t->busy_since : cf_now();
    cf_wait_turn(t->busy_since, deadline);
  } else if (connection && connection->is_unmapped) {
    return CUFRAMES_OK; /* it waits for the answer */
  } else if (!connection) {
    cf_sleep_for_connection(s, CF_SLEEPER_FRAMES, deadline);
  } else if (!t->spun && s->spin_ns > 0) {
    t->spun = t->spins = true;
    spin_for_frame(s, connection, deadline);
  } else {
    cf_sleep_for_frame(s, connection, connection->reader.started, connection->reader.last, deadline);
  }
  return CUFRAMES_OK;
}

__attribute__((hot)) int cf_subscriber_next(cuframes_subscriber *s, cf_take_how *how, cuframes_frame **frame) {
  turns t = { 0 };
  for (;;) {
    cf_connection *connection = NULL;
    int result = cf_subscriber_connection_for_frames(s, &connection);
    if (result == CUFRAMES_OK && (result = take_now(s, connection, cf_connection_take, how, frame)) == CUFRAMES_OK)
      return CUFRAMES_OK;
    bool busy = result == CUFRAMES_ERR_BUSY;
    if (busy)
      result = cf_fail(CUFRAMES_ERR_TIMEOUT, "the GPU has not completed the next frame in the time given");
    if (result == CUFRAMES_ERR_PUBLISHER_GONE && s->reconnect && connection) {
      cf_subscriber_retire(s, connection, CF_FRAMES_TAKEN);
      connection = NULL;
      result = cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher of \"%s\" is gone, and has not come back", s->name);
    }
    if (result == CUFRAMES_ERR_TIMEOUT)
      result = sleep_for_more(s, connection, busy, &t, cf_take_deadline(how));
    how->spun = t.spins;
    if (result != CUFRAMES_OK)
      return result;
  }
}

__attribute__((hot)) static int next(cuframes_subscriber *s, int64_t timeout_ns, bool on_stream, void *stream,
                                     cuframes_frame **frame) {
  if (!s || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_next: subscriber and frame must be given");
  if (!cf_process_is(s->maker))
    return cf_subscriber_check(s); /* which says why */
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  if (cf_flag_get(&s->taker) != CF_TAKER_CALLER)
    return cf_subscriber_check_taker(s);
  return cf_subscriber_next(s, &(cf_take_how){ .on_stream = on_stream, .stream = stream, .timeout_ns = timeout_ns },
                            frame);
}

__attribute__((hot)) int cuframes_subscriber_next(cuframes_subscriber *s, int64_t timeout_ns, cuframes_frame **frame) {
  return next(s, timeout_ns, false, NULL, frame);
}

__attribute__((hot)) int cuframes_subscriber_next_on(cuframes_subscriber *s, int64_t timeout_ns, void *stream,
                                                     cuframes_frame **frame) {
  return next(s, timeout_ns, true, stream, frame);
}

int cuframes_subscriber_device(cuframes_subscriber *s, char *device, size_t size, uint32_t *sync) {
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_device: no subscriber given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_connection *connection = cf_subscriber_current(s);
  if (!connection)
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  size_t needed = strlen(connection->device_name) + 1;
  int result =
      device && size < needed
          ? cf_fail(CUFRAMES_ERR_INVALID, "the device's name takes %zu bytes; there is room for %zu", needed, size)
          : CUFRAMES_OK;
  if (result == CUFRAMES_OK && device)
    memcpy(device, connection->device_name, needed);
  if (result == CUFRAMES_OK && sync)
    *sync = connection->waiter.sync_mode;
  cf_connection_drop(connection);
  return result;
}

int cuframes_subscriber_get_stats(cuframes_subscriber *s, cuframes_subscriber_stats *stats) {
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_get_stats: no subscriber given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cuframes_subscriber_stats given = {
    .frames = cf_counter_get(&s->delivered),
    .skipped = cf_counter_get(&s->skipped),
    .reconnects = cf_counter_get(&s->reconnects),
    .packets = cf_counter_get(&s->packets.delivered),
    .packets_lost = cf_counter_get(&s->packets.lost),
    .frames_lost = cf_counter_get(&s->lost_before),
    .released_twice = cf_handles_ended_twice(s->handles),
  };
  cf_connection *connection = cf_subscriber_current(s);
  if (connection) {
    cf_lock_take(&connection->lock);
    given.frames_lost += cf_counter_get(&connection->lost);
    given.leases_held = connection->leases - (uint32_t)__builtin_popcountll(connection->free_leases);
    cf_lock_give(&connection->lock);
    cf_connection_drop(connection);
  }
  return cf_stats_give(stats, &given, sizeof given, "cuframes_subscriber_stats");
}
