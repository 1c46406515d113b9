/* client/monitor.c - looking at one stream without taking part, in steps that wait only if they are told to. */
#include <stdlib.h>
#include <string.h>

#include <cuframes/monitor.h>
#include <cuframes/subscriber.h>

#include "api/format.h"
#include "api/options.h"
#include "client/client.h"
#include "client/query.h"
#include "exchange/latency.h"
#include "link/channel.h"
#include "link/directory.h"
#include "link/discard.h"
#include "os/clock.h"
#include "os/container.h"
#include "os/error.h"
#include "os/memory.h"
#include "wire/handshake.h"

_Static_assert(CUFRAMES_LATENCY_BUCKETS == CF_LATENCY_BOUNDS && CF_LATENCY_BUCKETS == CF_LATENCY_BOUNDS,
               "the same in seats, messages and the API");

#define MODES_MAX 8 /* of a newer publisher, too */

/* What one query allocates; the public struct points into it. */
typedef struct stream_report {
  cuframes_stream_info info; /* the caller's pointer */
  cuframes_source_info source;
  cuframes_track_info tracks[CUFRAMES_TRACKS_MAX];
  const cuframes_track_info *track_list[CUFRAMES_TRACKS_MAX];
  cuframes_mode_info modes[MODES_MAX];
  const cuframes_mode_info *mode_list[MODES_MAX];
  struct subscriber_report {
    cuframes_subscriber_info info;
    uint32_t held[CF_HELD_MAX];
  } * subscribers;
  const cuframes_subscriber_info **subscriber_list;
} stream_report;

/* How long ago that was, by the word of a publisher: it may be any number; 0: it has not been. */
static int64_t age_of(int64_t timestamp) {
  int64_t now = cf_now();
  if (timestamp == 0)
    return CUFRAMES_NO_TIME;
  if (timestamp >= now)
    return 0;
  return timestamp < 0 && now > INT64_MAX + timestamp ? INT64_MAX : now - timestamp;
}

static int64_t length_of(uint64_t ns) {
  return ns < INT64_MAX ? (int64_t)ns : INT64_MAX;
}

static void tracks_read(stream_report *r, const uint8_t *message, size_t length) {
  cf_info_track e;
  size_t cursor = 0, count = 0;
  while (count < CUFRAMES_TRACKS_MAX && cf_message_next_group(CF_GROUP_TRACK, message, length, &cursor, &e)) {
    r->tracks[count] = (cuframes_track_info){ .media_type = e.media_type,
                                              .packets = e.packets,
                                              .age_ns = age_of(e.timestamp),
                                              .bit_rate = e.bit_rate,
                                              .keyframe_interval_ns = length_of(e.keyframe_interval),
                                              .keyframe_interval_frames = e.keyframe_frames,
                                              .keyframe_longest_ns = length_of(e.keyframe_longest),
                                              .keyframe_longest_frames = e.keyframe_longest_frames,
                                              .keyframe_age_ns = age_of(e.keyframe_timestamp) };
    memcpy(r->tracks[count].codec, e.codec, sizeof r->tracks[count].codec);
    r->track_list[count] = &r->tracks[count];
    count++;
  }
  r->info.tracks = r->track_list;
  r->info.track_count = count;
}

static void modes_read(stream_report *r, const uint8_t *message, size_t length) {
  cf_info_mode e;
  size_t cursor = 0, count = 0;
  uint32_t seen = 0;
  while (cf_message_next_group(CF_GROUP_MODE, message, length, &cursor, &e)) {
    uint64_t room = UINT64_MAX; /* so that who adds the buckets up never comes round */
    if (e.mode >= MODES_MAX || (seen & UINT32_C(1) << e.mode))
      continue;
    seen |= UINT32_C(1) << e.mode;
    cuframes_mode_info *mode = &r->modes[count];
    *mode = (cuframes_mode_info){ .mode = e.mode,
                                  .joined = e.joined,
                                  .delivered = e.delivered,
                                  .skipped = e.skipped,
                                  .latency_sum_ns = e.latency_sum,
                                  .packets_read = e.packets_read,
                                  .packets_lost = e.packets_lost };
    for (uint32_t i = 0; i < CUFRAMES_LATENCY_BUCKETS; i++) {
      const uint64_t frames = e.latency[i] < room ? e.latency[i] : room;
      mode->latency[i] = (cuframes_latency_bucket){ cf_latency_bounds[i], frames };
      room -= frames;
    }
    r->mode_list[count++] = mode;
  }
  r->info.modes = r->mode_list;
  r->info.mode_count = count;
}

/* Times before the machine's start are none. */
static void source_read(stream_report *r, const cf_msg_info *m) {
  r->source = (cuframes_source_info){ .struct_size = sizeof r->source,
                                      .state = m->source_state,
                                      .since = m->source_since > 0 ? m->source_since : 0,
                                      .next_attempt = m->source_attempt > 0 ? m->source_attempt : 0 };
  memcpy(r->source.reason, m->source_reason, sizeof r->source.reason);
  r->info.source = &r->source;
}

static const char *sync_name(uint32_t mode) {
  switch (mode) {
    case CUFRAMES_SYNC_COMPLETE: return "complete";
    case CUFRAMES_SYNC_TIMELINE: return "timeline";
    case CUFRAMES_SYNC_SLOT_EVENTS: return "slot-events";
    default: return "unknown";
  }
}

static void subscriber_describe(const cf_info_seat *seat, struct subscriber_report *out) {
  out->info = (cuframes_subscriber_info){ .mode = seat->mode,
                                          .pid = seat->pid,
                                          .uid = seat->uid,
                                          .gid = seat->gid,
                                          .leases = seat->leases,
                                          .depth = seat->depth,
                                          .leases_held = seat->held_count,
                                          .packets = seat->packets,
                                          .evicted = seat->evicted,
                                          .lag = seat->lag,
                                          .delivered = seat->delivered,
                                          .skipped = seat->skipped,
                                          .sync_asked = seat->sync_asked,
                                          .packets_read = seat->packets_read,
                                          .packets_lost = seat->packets_lost };
  memcpy(out->info.label, seat->label, sizeof out->info.label);
  memcpy(out->held, seat->held, sizeof out->held);
  out->info.held_slots = out->held;
  strncpy(out->info.sync_mode, sync_name(seat->sync_mode), sizeof out->info.sync_mode - 1);
}

static int subscribers_read(stream_report *r, const uint8_t *message, size_t length) {
  cf_info_seat seat;
  size_t cursor = 0, count = 0;
  while (cf_message_next_group(CF_GROUP_SEAT, message, length, &cursor, &seat))
    count++;
  r->subscribers = calloc(count + 1, sizeof *r->subscribers);
  r->subscriber_list = calloc(count + 1, sizeof *r->subscriber_list);
  if (!r->subscribers || !r->subscriber_list)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  cursor = 0;
  for (size_t i = 0; i < count && cf_message_next_group(CF_GROUP_SEAT, message, length, &cursor, &seat); i++) {
    subscriber_describe(&seat, &r->subscribers[i]);
    r->subscriber_list[i] = &r->subscribers[i].info;
  }
  r->info.subscribers = r->subscriber_list;
  r->info.subscriber_count = count;
  return CUFRAMES_OK;
}

/* A pixel format that is unknown here is shown as that: a newer publisher may have more. */
static int stream_describe(const cf_msg_info *m, const cf_credentials *publisher, cuframes_stream_info *info) {
  *info =
      (cuframes_stream_info){ .pid = publisher->pid,
                              .fps = (double)m->frame_rate_micro / 1e6,
                              .frames = m->frames,
                              .dropped = m->dropped,
                              .evictions = m->evictions,
                              .age_ns = age_of(m->timestamp),
                              .slots = m->slots,
                              .max_slots = m->max_slots,
                              .slots_pinned = m->slots_pinned,
                              .segments = m->segments,
                              .memory_bytes = m->memory_bytes,
                              .packets = m->packets,
                              .packet_bytes = m->packet_bytes,
                              .packet_slots = m->packet_slots,
                              .packet_data_bytes = m->packet_data_bytes,
                              .started = m->started > 0 ? m->started : 0,
                              .reconnects = m->reconnects,
                              .device_bytes = m->device_bytes < m->memory_bytes ? m->device_bytes : m->memory_bytes };
  memcpy(info->name, m->name, sizeof info->name);
  memcpy(info->device, m->device, sizeof info->device);
  memcpy(info->description, m->description, sizeof info->description);
  memcpy(info->memory, m->memory, sizeof info->memory);
  return cf_format_from_wire(&m->format, &info->format) == CUFRAMES_OK
             ? CUFRAMES_OK
             : cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's INFO answer has an impossible format");
}

/* ---- asking, in steps ---- */

int cf_query_begin(cf_query *q, const cf_place *place, const char *name, int64_t deadline,
                   const cf_interrupt *interrupt, uint8_t *message) {
  *q = (cf_query){ .fd = -1 };
  strncpy(q->name, name, sizeof q->name - 1);
  q->hello =
      (cf_msg_hello){ .version_min = CF_WIRE_VERSION_MIN, .version_max = CF_WIRE_VERSION_MAX, .role = CF_ROLE_MONITOR };
  return cf_client_hello_at(place, name, &q->hello, deadline, interrupt, message, &q->fd);
}

/* The answer in the message as the caller's struct. */
static int report_make(const cf_query *q, const uint8_t *message, size_t length, cuframes_stream_info **info) {
  cf_msg_info answer;
  cf_credentials publisher = { 0 };
  (void)cf_credentials_of(q->fd, &publisher); /* without them the pid is 0: not visible */
  if (!cf_message_decode(CF_MSG_INFO, message, length, &answer))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's INFO answer is malformed");
  stream_report *r = calloc(1, sizeof *r);
  if (!r)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int result = stream_describe(&answer, &publisher, &r->info);
  if (result == CUFRAMES_OK) {
    source_read(r, &answer);
    tracks_read(r, message, length);
    modes_read(r, message, length);
    result = subscribers_read(r, message, length);
  }
  if (result != CUFRAMES_OK) {
    cuframes_stream_info_free(&r->info);
    return result;
  }
  *info = &r->info;
  return CUFRAMES_OK;
}

static int welcome_hear(cf_query *q, int64_t deadline, const cf_interrupt *interrupt, uint8_t *message) {
  cf_joined joined;
  cf_msg_get_info get = { 0 };
  int result = cf_client_welcome(q->fd, q->name, &q->hello, deadline, interrupt, message, 0, &joined);
  if (result != CUFRAMES_OK)
    return result;
  q->is_welcome = true;
  return cf_client_request(q->fd, CF_MSG_GET_INFO, &get, message);
}

int cf_query_step(cf_query *q, int64_t deadline, const cf_interrupt *interrupt, uint8_t *message,
                  cuframes_stream_info **info) {
  size_t length = 0;
  int result = q->is_welcome ? CUFRAMES_OK : welcome_hear(q, deadline, interrupt, message);
  if (result == CUFRAMES_OK)
    result = cf_client_answer(q->fd, CF_MSG_INFO, deadline, interrupt, message, &length, NULL);
  if (result == CUFRAMES_ERR_PUBLISHER_GONE)
    return cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "no stream \"%s\": its publisher ended just now", q->name);
  return result == CUFRAMES_OK ? report_make(q, message, length, info) : result;
}

void cf_query_end(cf_query *q) {
  (void)cf_hang_up(q->fd); /* or it stays open */
  q->fd = -1;
}

static int query(const char *directory, const char *name, int64_t deadline, const cf_interrupt *interrupt,
                 uint8_t *message, cuframes_stream_info **info) {
  cf_place place;
  cf_query q;
  int result = cf_place_find(directory, name, &place);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_query_begin(&q, &place, name, deadline, interrupt, message);
  cf_close(place.directory);
  if (result == CUFRAMES_OK)
    result = cf_query_step(&q, deadline, interrupt, message, info);
  cf_query_end(&q);
  return result;
}

static int query_until(const char *directory, const char *name, int64_t deadline, const cf_interrupt *interrupt,
                       cuframes_stream_info **info) {
  if (!info)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_stream_query: info must be given");
  uint8_t *message = malloc(CF_WIRE_MESSAGE_MAX);
  if (!message)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int result = query(directory, name, deadline, interrupt, message, info);
  free(message);
  return result;
}

int cuframes_stream_query(const char *directory, const char *name, int64_t timeout_ns, cuframes_stream_info **info) {
  return query_until(directory, name, cf_deadline(timeout_ns), NULL, info);
}

int cf_query_options_take(const cuframes_query_options *options, cuframes_query_options *taken) {
  int result = cf_options_copy(taken, sizeof *taken, options, "cuframes_query_options");
  if (result == CUFRAMES_OK && taken->timeout_ns == 0)
    taken->timeout_ns = CF_HANDSHAKE_NS;
  return result;
}

int cuframes_stream_query_with(const char *name, const cuframes_query_options *options, cuframes_stream_info **info) {
  cuframes_query_options o;
  int result = cf_query_options_take(options, &o);
  if (result != CUFRAMES_OK)
    return result;
  const cf_interrupt interrupt = { o.interrupt, o.interrupt_user };
  return query_until(o.directory, name, cf_deadline(o.timeout_ns), &interrupt, info);
}

void cuframes_stream_info_free(cuframes_stream_info *info) {
  if (!info)
    return;
  stream_report *r = CF_CONTAINER_OF(info, stream_report, info);
  free(r->subscribers);
  free(r->subscriber_list);
  free(r);
}

int cuframes_directory_find(char *path, size_t size) {
  char found[CF_PATH_MAX];
  int result = cf_directory_resolve(NULL, found);
  if (result != CUFRAMES_OK)
    return result;
  if (!path || size <= strlen(found))
    return cf_fail(CUFRAMES_ERR_INVALID, "the runtime directory's path has %zu bytes; there is room for %zu",
                   strlen(found), size);
  memcpy(path, found, strlen(found) + 1);
  return CUFRAMES_OK;
}
