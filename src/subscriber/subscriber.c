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
  int result = cf_connection_open(s->directory, s->name, &s->hello, s->device, cf_now() + CF_HANDSHAKE_NS, connection);
  while (may_fall_back(s, result)) { /* the publisher can do it and this side cannot */
    cf_log(&s->logger, CUFRAMES_LOG_WARNING, "%s: falling back to a lesser sync mode: %s", s->name, cf_last_detail());
    s->hello.sync_asked |= s->hello.sync_modes;
    bool events = (s->hello.sync_modes & TIMELINE_OR_EVENTS) == TIMELINE_OR_EVENTS;
    s->hello.sync_modes = CUFRAMES_SYNC_COMPLETE | (events ? CUFRAMES_SYNC_SLOT_EVENTS : 0u);
    result = cf_connection_open(s->directory, s->name, &s->hello, s->device, cf_now() + CF_HANDSHAKE_NS, connection);
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

/* On a caller's thread: what the library's threads let go of. */
static void parted_drop(cuframes_subscriber *s) {
  while (cf_flag_get(&s->any_parted)) {
    pthread_mutex_lock(&s->lock);
    cf_connection *connection = s->parted;
    if (connection) {
      s->parted = connection->parted;
      connection->parted_with = false;
    }
    cf_flag_set(&s->any_parted, s->parted != NULL);
    pthread_mutex_unlock(&s->lock);
    cf_connection_drop(connection);
  }
}

/* A frame that was waited for is not wanted any more. */
static void pending_give_up(cuframes_subscriber *s) {
  if (s->pending)
    (void)cf_connection_release(s->pending); /* whatever it says: nobody saw the frame */
  s->pending = NULL;
}

void cuframes_subscriber_destroy(cuframes_subscriber *s) {
  if (!s)
    return;
  cf_callback_stop(s);
  cf_notifier_stop(s);
  cf_watcher_stop(s);
  cf_packet_side_free(s);
  pending_give_up(s);
  if (s->connection) { /* or a publisher would wait for it as long as a frame is in hand */
    cf_connection_leave(s->connection);
    cf_connection_orphan(s->connection);
  }
  parted_drop(s); /* now that no stream waits for a fence of this one, which nobody watches any more */
  cf_connection_drop(s->connection);
  cf_close(s->doorbell);
  pthread_mutex_destroy(&s->connect_lock);
  pthread_mutex_destroy(&s->lock);
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
    cf_connection_hold(connection);
  pthread_mutex_unlock(&s->lock);
  return connection;
}

void cf_subscriber_let_go(cuframes_subscriber *s, cf_connection *connection) {
  if (!connection)
    return;
  pthread_mutex_lock(&s->lock);
  if (connection == s->connection || connection->parted_with) { /* there is another one */
    cf_connection_drop(connection);
  } else {
    connection->parted_with = true;
    connection->parted = s->parted;
    s->parted = connection;
    cf_flag_set(&s->any_parted, 1);
  }
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
  parted_drop(s);
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
  cf_connection_lose(connection);
  pthread_mutex_lock(&s->lock);
  bool ours = s->connection == connection;
  if (ours)
    s->connection = NULL;
  pthread_mutex_unlock(&s->lock);
  if (!ours)
    return;
  cf_watcher_update(s);
  cf_watcher_wake(s, connection); /* our other thread may sleep on it, and the watcher looks at the next one */
  cf_connection_orphan(connection);
  cf_counter_add(&s->lost_before, cf_counter_get(&connection->lost));
  cf_connection_drop(connection);
  cf_log(&s->logger, CUFRAMES_LOG_WARNING, "%s: the publisher is gone%s", s->name,
         s->reconnect ? "; waiting for it to come back" : "");
}

/* ---- frames ---- */

static void frame_delivered(cuframes_subscriber *s, cf_connection *connection, cuframes_frame *frame, uint32_t epoch) {
  if (connection->serial != s->last_serial) {
    s->skipped_before = cf_counter_get(&s->skipped);
    s->last_serial = connection->serial;
    frame->flags |= s->any_frame ? CUFRAMES_FRAME_EPOCH : 0;
  } else if (epoch != s->last_epoch) {
    frame->flags |= CUFRAMES_FRAME_EPOCH;
  }
  if (s->any_frame && memcmp(&s->last_format, frame->format, sizeof s->last_format) != 0)
    frame->flags |= CUFRAMES_FRAME_NEW_FORMAT;
  s->any_frame = true;
  s->last_epoch = epoch;
  s->last_format = *frame->format;
  cf_counter_add(&s->delivered, 1);
  cf_counter_set(&s->skipped, s->skipped_before + connection->reader.skipped);
}

/* Takes what is there now. TIMEOUT: nothing; *started and *last say up to where. */
static int take_now(cuframes_subscriber *s, cf_connection *connection, cf_take_how how, cuframes_frame **frame) {
  uint32_t epoch;
  bool gone = cf_flag_get(&connection->gone) != 0; /* before the look: the last frames are still taken */
  if (s->pending && s->pending->owner != connection)
    pending_give_up(s);
  int result = cf_connection_take(connection, how, frame, &epoch);
  if (result == CUFRAMES_OK)
    frame_delivered(s, connection, *frame, epoch);
  else if (result == CUFRAMES_ERR_STALE) /* the frame's segment went while we asked for it: there are newer ones */
    result = CUFRAMES_ERR_TIMEOUT;
  else if (result == CUFRAMES_ERR_TIMEOUT && gone)
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  return result;
}

static void spin_for_frame(cuframes_subscriber *s, cf_connection *connection, int64_t deadline) {
  int64_t end = cf_deadline(s->spin_ns);
  const cf_frame_reader *reader = &connection->reader;
  if (end > deadline)
    end = deadline;
  while (cf_now() < end && !cf_reader_news(reader, reader->started, reader->last) && !cf_flag_get(&connection->gone) &&
         !cf_flag_get(&s->interrupted)) {
    for (int i = 0; i < 64 && !cf_reader_news(reader, reader->started, reader->last); i++)
      cf_spin_pause();
  }
}

int cf_subscriber_next(cuframes_subscriber *s, int64_t deadline, bool on_stream, void *stream, cuframes_frame **frame) {
  const cf_take_how how = { .on_stream = on_stream, .stream = stream, .pending = &s->pending };
  bool returned = false;
  int64_t busy_since = 0;
  for (bool spun = s->spin_ns == 0;; spun = true) {
    cf_connection *connection = NULL;
    int result = cf_subscriber_connection(s, &connection);
    if (result == CUFRAMES_OK)
      result = take_now(s, connection, how, frame);
    if (result == CUFRAMES_ERR_TIMEOUT && connection && !spun) {
      spin_for_frame(s, connection, deadline);
      result = take_now(s, connection, how, frame);
    }
    bool busy = result == CUFRAMES_ERR_BUSY; /* with work that wakes nobody when it is done */
    if (busy)
      result = cf_fail(CUFRAMES_ERR_TIMEOUT, "the GPU has not completed the next frame in the time given");
    if (result == CUFRAMES_ERR_PUBLISHER_GONE && s->reconnect && connection) {
      cf_subscriber_retire(s, connection);
      cf_connection_drop(connection);
      connection = NULL;
      result = CUFRAMES_ERR_TIMEOUT;
      if (!returned) { /* it may be back at once; but one that always goes again does not keep us */
        returned = true;
        continue;
      }
      pthread_mutex_lock(&s->connect_lock);
      s->connect_at = cf_now() + BACK_OFF_FIRST;
      pthread_mutex_unlock(&s->connect_lock);
    }
    bool over = result != CUFRAMES_ERR_TIMEOUT;
    if (!over && cf_flag_swap(&s->interrupted, 0)) {
      result = cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_subscriber_interrupt() was called");
      over = true;
    } else if (!over && cf_now() >= deadline) {
      cf_notifier_arm(s, connection);
      over = true;
    } else if (!over && busy) {
      if (busy_since == 0)
        busy_since = cf_now();
      cf_wait_turn(busy_since, deadline);
    } else if (!over && !connection) {
      cf_sleep_for_connection(s, deadline);
    } else if (!over) {
      cf_sleep_for_frame(s, connection, connection->reader.started, connection->reader.last, deadline);
    }
    cf_connection_drop(connection);
    if (over)
      return result;
  }
}

static int next(cuframes_subscriber *s, int64_t timeout_ns, bool on_stream, void *stream, cuframes_frame **frame) {
  if (!s || !frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_next: subscriber and frame must be given");
  if (s->hello.mode == CUFRAMES_MODE_PACKETS)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "this subscriber joined for packets only");
  if (cf_callback_blocks(s))
    return cf_fail(CUFRAMES_ERR_BUSY, "the callback thread takes the frames: stop it first");
  return cf_subscriber_next(s, cf_deadline(timeout_ns), on_stream, stream, frame);
}

int cuframes_subscriber_next(cuframes_subscriber *s, int64_t timeout_ns, cuframes_frame **frame) {
  return next(s, timeout_ns, false, NULL, frame);
}

int cuframes_subscriber_next_on(cuframes_subscriber *s, int64_t timeout_ns, void *stream, cuframes_frame **frame) {
  return next(s, timeout_ns, true, stream, frame);
}

int cuframes_subscriber_device(cuframes_subscriber *s, const char **device, uint32_t *sync) {
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_device: no subscriber given");
  cf_connection *connection = cf_subscriber_current(s);
  if (!connection)
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  if (device)
    *device = connection->device_name;
  if (sync)
    *sync = connection->waiter.sync_mode;
  cf_connection_drop(connection); /* the subscriber keeps it */
  return CUFRAMES_OK;
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
