/* subscriber/subscriber.c - joining a stream, taking frames, joining again when the publisher comes back. */
#include "subscriber/subscriber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/options.h"
#include "link/directory.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "wire/handshake.h"

#define BACK_OFF_FIRST (10 * CF_MS)
#define BACK_OFF_MOST (250 * CF_MS)

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

/* Whether waiting may help. */
static bool worth_waiting(int error) {
  return error == CUFRAMES_ERR_NO_SUCH_STREAM || error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_PUBLISHER_GONE;
}

#define TIMELINE_OR_EVENTS (CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_SLOT_EVENTS)

static bool may_fall_back(const cuframes_subscriber *s, int result) {
  return (result == CUFRAMES_ERR_UNSUPPORTED || result == CUFRAMES_ERR_DEVICE) &&
         (s->hello.sync_modes & TIMELINE_OR_EVENTS) != 0;
}

static int connect_once(cuframes_subscriber *s, cf_connection **connection) {
  const cf_join join = { s->directory, s->name, s->device, &s->hello, s->handles, s->logger };
  int result = cf_connection_open(&join, cf_now() + CF_HANDSHAKE_NS, connection);
  while (may_fall_back(s, result)) { /* the publisher can do it and this side cannot */
    cf_log(&s->logger, CUFRAMES_LOG_WARNING, "%s: falling back to a lesser sync mode: %s", s->name, cf_last_detail());
    s->hello.sync_asked |= s->hello.sync_modes;
    bool events = (s->hello.sync_modes & TIMELINE_OR_EVENTS) == TIMELINE_OR_EVENTS;
    s->hello.sync_modes = CUFRAMES_SYNC_COMPLETE | (events ? CUFRAMES_SYNC_SLOT_EVENTS : 0u);
    result = cf_connection_open(&join, cf_now() + CF_HANDSHAKE_NS, connection);
  }
  if (result == CUFRAMES_OK)
    (*connection)->serial = ++s->serial; /* an address would not do: the next one may get the last one's */
  return result;
}

static int connect_first(cuframes_subscriber *s, int64_t deadline) {
  cf_connection *connection;
  for (int64_t back_off = BACK_OFF_FIRST;; back_off = back_off * 2 > BACK_OFF_MOST ? BACK_OFF_MOST : back_off * 2) {
    int result = connect_once(s, &connection);
    int64_t now = cf_now();
    if (result == CUFRAMES_OK)
      s->connection = connection;
    if (result == CUFRAMES_OK || !worth_waiting(result) || now >= deadline)
      return result;
    cf_futex_wait(&s->interrupted.value, 0, now + back_off < deadline ? now + back_off : deadline);
  }
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
    result = cf_doorbell_create(&s->doorbell);
  if (result == CUFRAMES_OK)
    result = connect_first(s, cf_deadline(o->connect_timeout_ns));
  if (result == CUFRAMES_OK)
    result = cf_watcher_start(s);
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
  s->reconnect = o.reconnect != 0;
  s->spin_ns = o.spin_ns;
  s->logger = (cf_logger){ o.log, o.log_user };
  s->doorbell = s->notifier.fd = -1;
  s->back_off = BACK_OFF_FIRST;
  pthread_mutex_init(&s->connect_lock, NULL);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->returned, NULL);
  pthread_mutex_init(&s->notifier.lock, NULL);
  pthread_cond_init(&s->notifier.changed, NULL);
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
  cf_connection_drain(connection);
  pthread_mutex_lock(&connection->lock);
  connection->logger = (cf_logger){ 0 };
  pthread_mutex_unlock(&connection->lock);
  cf_connection_drop(connection);
}

void cuframes_subscriber_destroy(cuframes_subscriber *s) {
  if (!s)
    return;
  cf_callback_stop(s);
  cf_notifier_stop(s);
  cf_watcher_stop(s);
  cf_packet_side_free(s);
  pending_give_up(s);
  if (s->connection) {
    cf_connection_leave(s->connection); /* or a publisher would wait for it as long as a frame is in hand */
    connection_end(s->connection);
  }
  if (s->handles)
    cf_handles_wait_for_helpers(s->handles);
  cf_close(s->doorbell);
  pthread_mutex_destroy(&s->connect_lock);
  pthread_mutex_destroy(&s->lock);
  pthread_cond_destroy(&s->returned);
  cf_handles_drop(s->handles);
  pthread_mutex_destroy(&s->notifier.lock);
  pthread_cond_destroy(&s->notifier.changed);
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
    (void)cf_flag_add(&connection->references, 1);
  pthread_mutex_unlock(&s->lock);
  return connection;
}

cf_connection *cf_subscriber_borrow(cuframes_subscriber *s) {
  pthread_mutex_lock(&s->lock);
  cf_connection *connection = s->connection;
  if (connection)
    connection->borrowed++;
  pthread_mutex_unlock(&s->lock);
  return connection;
}

void cf_subscriber_return(cuframes_subscriber *s, cf_connection *connection) {
  if (!connection)
    return;
  pthread_mutex_lock(&s->lock);
  if (--connection->borrowed == 0)
    pthread_cond_broadcast(&s->returned);
  pthread_mutex_unlock(&s->lock);
}

/* One try to join again, if it is time. With connect_lock held. */
static int connect_again(cuframes_subscriber *s, cf_connection **connection) {
  if (cf_now() < s->connect_at)
    return cf_fail(CUFRAMES_ERR_TIMEOUT, "the publisher of \"%s\" has not come back", s->name);
  cf_connection *fresh;
  int result = connect_once(s, &fresh);
  if (result != CUFRAMES_OK) {
    s->connect_at = cf_now() + s->back_off;
    s->back_off = s->back_off * 2 > BACK_OFF_MOST ? BACK_OFF_MOST : s->back_off * 2;
    return worth_waiting(result) ? CUFRAMES_ERR_TIMEOUT : result;
  }
  s->back_off = BACK_OFF_FIRST;
  s->connect_at = 0;
  cf_connection_hold(fresh);
  pthread_mutex_lock(&s->lock);
  s->connection = fresh;
  pthread_mutex_unlock(&s->lock);
  cf_counter_add(&s->reconnects, 1);
  cf_watcher_update(s);
  cf_log(&s->logger, CUFRAMES_LOG_INFO, "%s: the publisher is back", s->name);
  *connection = fresh;
  return CUFRAMES_OK;
}

int cf_subscriber_connection(cuframes_subscriber *s, cf_connection **connection) {
  cf_connection *current = cf_subscriber_current(s);
  int result = CUFRAMES_OK;
  if (!current) {
    pthread_mutex_lock(&s->connect_lock);
    current = cf_subscriber_current(s); /* the other thread may have been faster */
    if (!current)
      result =
          s->reconnect ? connect_again(s, &current) : cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher is gone");
    pthread_mutex_unlock(&s->connect_lock);
  }
  if (result == CUFRAMES_OK)
    *connection = current;
  return result;
}

void cf_subscriber_retire(cuframes_subscriber *s, cf_connection *connection) {
  cf_connection_abandon(connection);
  pthread_mutex_lock(&s->lock);
  bool ours = s->connection == connection;
  if (ours)
    s->connection = NULL;
  pthread_mutex_unlock(&s->lock);
  if (!ours)
    return;
  cf_watcher_update(s);
  cf_watcher_wake(s, connection); /* our other thread may sleep on it, and the watcher looks at the next one */
  pthread_mutex_lock(&s->lock);
  while (connection->borrowed > 0) /* they return it as soon as they see that it is gone */
    pthread_cond_wait(&s->returned, &s->lock);
  pthread_mutex_unlock(&s->lock);
  cf_counter_add(&s->lost_before, cf_counter_get(&connection->lost));
  connection_end(connection);
  cf_log(&s->logger, CUFRAMES_LOG_WARNING, "%s: the publisher is gone%s", s->name,
         s->reconnect ? "; waiting for it to come back" : "");
}

/* ---- frames ---- */

static void frame_delivered(cuframes_subscriber *s, const cf_connection *connection, cf_frame *frame) {
  if (connection->serial != s->last_serial) {
    s->skipped_before = cf_counter_get(&s->skipped);
    s->last_serial = connection->serial;
    frame->flags |= s->any_frame ? CUFRAMES_FRAME_DISCONTINUITY : 0;
  } else if (frame->epoch != s->last_epoch) {
    frame->flags |= CUFRAMES_FRAME_DISCONTINUITY;
  }
  if (s->any_frame && memcmp(&s->last_format, frame->format, sizeof s->last_format) != 0)
    frame->flags |= CUFRAMES_FRAME_NEW_FORMAT;
  s->any_frame = true;
  s->last_epoch = frame->epoch;
  s->last_format = *frame->format;
  cf_counter_add(&s->delivered, 1);
  cf_counter_set(&s->skipped, s->skipped_before + connection->reader.skipped);
}

/* Takes what is there now. TIMEOUT: nothing. On success the caller's reference of the connection is the frame's. */
static int take_now(cuframes_subscriber *s, cf_connection *connection, const cf_take_how *how, cuframes_frame **frame) {
  cf_frame *taken;
  bool gone = cf_connection_gone(connection); /* before the look: the last frames are still taken */
  if (s->pending && s->pending->owner != connection)
    pending_give_up(s);
  int result = cf_connection_take(connection, how, gone, &s->pending, &taken);
  if (result == CUFRAMES_OK) {
    frame_delivered(s, connection, taken);
    *frame = taken->handle;
  } else if (result == CUFRAMES_ERR_STALE) { /* the frame's segment went while we asked for it: there are newer ones */
    result = CUFRAMES_ERR_TIMEOUT;
  } else if (result == CUFRAMES_ERR_TIMEOUT && gone) {
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  }
  return result;
}

static void spin_for_frame(cuframes_subscriber *s, const cf_connection *connection, int64_t deadline) {
  int64_t end = cf_deadline(s->spin_ns);
  const cf_frame_reader *reader = &connection->reader;
  if (end > deadline)
    end = deadline;
  while (cf_now() < end && !cf_reader_news(reader, reader->started, reader->last) && !cf_connection_gone(connection) &&
         !cf_flag_get(&s->interrupted))
    for (int i = 0; i < 64 && !cf_reader_news(reader, reader->started, reader->last); i++)
      cf_spin_pause();
}

/* What one call of next() remembers between its turns. */
typedef struct turns {
  bool spun;          /* it has spun for a frame */
  bool returned;      /* the publisher went once, and may be back */
  int64_t busy_since; /* only the GPU keeps a frame from us since then; 0: not so */
} turns;

/* The publisher is gone. True: it may be back at once; but one that always goes again does not keep us. */
static bool come_back(cuframes_subscriber *s, cf_connection *connection, turns *t) {
  cf_subscriber_retire(s, connection);
  if (!t->returned) {
    t->returned = true;
    return true;
  }
  pthread_mutex_lock(&s->connect_lock);
  s->connect_at = cf_now() + BACK_OFF_FIRST;
  pthread_mutex_unlock(&s->connect_lock);
  return false;
}

/* There was no frame: sleeps until there may be one. An error ends the call. */
static int sleep_for_more(cuframes_subscriber *s, cf_connection *connection, bool busy, turns *t, int64_t deadline) {
  if (cf_flag_swap(&s->interrupted, 0))
    return cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_subscriber_interrupt() was called");
  if (cf_now() >= deadline) {
    cf_notifier_arm(s, connection);
    return CUFRAMES_ERR_TIMEOUT;
  }
  if (busy) { /* with work that wakes nobody when it is done */
    t->busy_since = t->busy_since ? t->busy_since : cf_now();
    cf_wait_turn(t->busy_since, deadline);
  } else if (!connection) {
    cf_sleep_for_connection(s, deadline);
  } else if (!t->spun) {
    t->spun = true;
    spin_for_frame(s, connection, deadline);
  } else {
    cf_sleep_for_frame(s, connection, connection->reader.started, connection->reader.last, deadline);
  }
  return CUFRAMES_OK;
}

int cf_subscriber_next(cuframes_subscriber *s, int64_t timeout_ns, const cf_take_how *how, cuframes_frame **frame) {
  turns t = { .spun = s->spin_ns == 0 };
  for (int64_t deadline = 0;;) {
    cf_connection *connection = NULL;
    int result = cf_subscriber_connection(s, &connection);
    if (result == CUFRAMES_OK && (result = take_now(s, connection, how, frame)) == CUFRAMES_OK)
      return CUFRAMES_OK;
    if (deadline == 0) /* a frame that is there costs no look at the clock */
      deadline = cf_deadline(timeout_ns);
    bool again = false, busy = result == CUFRAMES_ERR_BUSY;
    if (busy)
      result = cf_fail(CUFRAMES_ERR_TIMEOUT, "the GPU has not completed the next frame in the time given");
    if (result == CUFRAMES_ERR_PUBLISHER_GONE && s->reconnect && connection) {
      again = come_back(s, connection, &t);
      cf_connection_drop(connection);
      connection = NULL;
      result = CUFRAMES_ERR_TIMEOUT;
    }
    if (result == CUFRAMES_ERR_TIMEOUT && !again)
      result = sleep_for_more(s, connection, busy, &t, deadline);
    cf_connection_drop(connection);
    if (result != CUFRAMES_OK && !again)
      return result;
  }
}

static int next(cuframes_subscriber *s, int64_t timeout_ns, bool on_stream, void *stream, cuframes_frame **frame) {
  if (!s || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_next: subscriber and frame must be given");
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  if (s->callback.running)
    return cf_fail(CUFRAMES_ERR_BUSY, "the callback thread takes the frames: stop it first");
  return cf_subscriber_next(s, timeout_ns, &(cf_take_how){ on_stream, stream }, frame);
}

int cuframes_subscriber_next(cuframes_subscriber *s, int64_t timeout_ns, cuframes_frame **frame) {
  return next(s, timeout_ns, false, NULL, frame);
}

int cuframes_subscriber_next_on(cuframes_subscriber *s, int64_t timeout_ns, void *stream, cuframes_frame **frame) {
  return next(s, timeout_ns, true, stream, frame);
}

int cuframes_subscriber_device(cuframes_subscriber *s, char *device, size_t size, uint32_t *sync) {
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_device: no subscriber given");
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
    pthread_mutex_lock(&connection->lock);
    given.frames_lost += cf_counter_get(&connection->lost);
    given.leases_held = connection->leases - (uint32_t)__builtin_popcountll(connection->free_leases);
    pthread_mutex_unlock(&connection->lock);
    cf_connection_drop(connection);
  }
  return cf_stats_give(stats, &given, sizeof given, "cuframes_subscriber_stats");
}
