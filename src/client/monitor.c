/* client/monitor.c - looking at streams without taking part. */
#include <stdlib.h>
#include <string.h>

#include <cuframes/monitor.h>
#include <cuframes/subscriber.h>

#include "api/format.h"
#include "client/client.h"
#include "exchange/layout.h"
#include "link/channel.h"
#include "link/directory.h"
#include "os/clock.h"
#include "os/container.h"
#include "os/error.h"
#include "os/memory.h"

/* What one query allocates; the public struct points into it. */
typedef struct stream_report {
  cuframes_stream_info info; /* the caller's pointer */
  cuframes_track_info tracks[CUFRAMES_TRACKS_MAX];
  const cuframes_track_info *track_list[CUFRAMES_TRACKS_MAX];
  struct subscriber_report {
    cuframes_subscriber_info info;
    uint32_t held[CF_HELD_MAX];
  } * subscribers;
  const cuframes_subscriber_info **subscriber_list;
} stream_report;

static void tracks_read(stream_report *r, const uint8_t *message, size_t length) {
  cf_info_track e;
  size_t cursor = 0, count = 0;
  while (count < CUFRAMES_TRACKS_MAX && cf_message_next_group(CF_GROUP_TRACK, message, length, &cursor, &e)) {
    r->tracks[count].media_type = e.media_type;
    memcpy(r->tracks[count].codec, e.codec, sizeof r->tracks[count].codec);
    r->track_list[count] = &r->tracks[count];
    count++;
  }
  r->info.tracks = r->track_list;
  r->info.track_count = count;
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
                                          .sync_asked = seat->sync_asked };
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
  *info = (cuframes_stream_info){ .pid = publisher->pid,
                                  .fps = (double)m->frame_rate_micro / 1e6,
                                  .frames = m->frames,
                                  .dropped = m->dropped,
                                  .evictions = m->evictions,
                                  .age_ns = m->timestamp ? cf_now() - m->timestamp : CUFRAMES_NO_TIME,
                                  .slots = m->slots,
                                  .max_slots = m->max_slots,
                                  .slots_pinned = m->slots_pinned,
                                  .segments = m->segments,
                                  .memory_bytes = m->memory_bytes,
                                  .packets = m->packets,
                                  .packet_bytes = m->packet_bytes,
                                  .packet_slots = m->packet_slots,
                                  .packet_data_bytes = m->packet_data_bytes };
  memcpy(info->name, m->name, sizeof info->name);
  memcpy(info->device, m->device, sizeof info->device);
  memcpy(info->description, m->description, sizeof info->description);
  memcpy(info->memory, m->memory, sizeof info->memory);
  return cf_format_from_wire(&m->format, &info->format) == CUFRAMES_OK
             ? CUFRAMES_OK
             : cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's INFO answer has an impossible format");
}

static int query(const char *directory, const char *name, int64_t deadline, uint8_t *message, stream_report *r) {
  cf_msg_hello hello = { .version_min = CF_WIRE_VERSION_MIN,
                         .version_max = CF_WIRE_VERSION_MAX,
                         .role = CF_ROLE_MONITOR };
  cf_joined joined;
  cf_msg_get_info get = { 0 };
  cf_msg_info answer;
  cf_credentials publisher = { 0 };
  size_t length = 0;
  int result = cf_client_join(directory, name, &hello, deadline, message, 0, &joined);
  if (result != CUFRAMES_OK)
    return result;
  (void)cf_credentials_of(joined.fd, &publisher); /* without them the pid is 0: not visible */
  result = cf_client_request(joined.fd, CF_MSG_GET_INFO, &get, message);
  if (result == CUFRAMES_OK)
    result = cf_client_answer(joined.fd, CF_MSG_INFO, deadline, message, &length, NULL);
  cf_joined_close(&joined);
  if (result == CUFRAMES_ERR_PUBLISHER_GONE)
    return cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "no stream \"%s\": its publisher ended just now", name);
  if (result != CUFRAMES_OK)
    return result;
  if (!cf_message_decode(CF_MSG_INFO, message, length, &answer))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's INFO answer is malformed");
  result = stream_describe(&answer, &publisher, &r->info);
  if (result != CUFRAMES_OK)
    return result;
  tracks_read(r, message, length);
  return subscribers_read(r, message, length);
}

int cuframes_stream_query(const char *directory, const char *name, int64_t timeout_ns, cuframes_stream_info **info) {
  if (!info)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_stream_query: info must be given");
  uint8_t *message = malloc(CF_WIRE_MESSAGE_MAX);
  stream_report *r = calloc(1, sizeof *r);
  int result = message && r ? query(directory, name, cf_deadline(timeout_ns), message, r)
                            : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  free(message);
  if (result != CUFRAMES_OK) {
    if (r)
      cuframes_stream_info_free(&r->info);
    return result;
  }
  *info = &r->info;
  return CUFRAMES_OK;
}

void cuframes_stream_info_free(cuframes_stream_info *info) {
  if (!info)
    return;
  stream_report *r = CF_CONTAINER_OF(info, stream_report, info);
  free(r->subscribers);
  free(r->subscriber_list);
  free(r);
}

/* ---- all streams ---- */

/* What one list allocates; the public struct points into it. */
typedef struct stream_list {
  cuframes_streams streams; /* the caller's pointer */
  cuframes_stream_entry **entries;
  const char *directory;
  int64_t timeout_ns;
} stream_list;

static void entry_free(cuframes_stream_entry *entry) {
  if (!entry)
    return;
  cuframes_stream_info_free((cuframes_stream_info *)entry->info); /* const only for the caller */
  free((char *)entry->detail);
  free(entry);
}

/* Asks one stream. *made is NULL if it ended while we looked. */
static int entry_make(const stream_list *l, const char *name, cuframes_stream_entry **made) {
  cuframes_stream_info *info = NULL;
  *made = NULL;
  int error = cuframes_stream_query(l->directory, name, l->timeout_ns, &info);
  if (error == CUFRAMES_ERR_NO_SUCH_STREAM)
    return CUFRAMES_OK;
  char *detail = error == CUFRAMES_OK ? NULL : strdup(cf_last_detail());
  cuframes_stream_entry *entry = calloc(1, sizeof *entry);
  if (!entry || (error != CUFRAMES_OK && !detail)) {
    cuframes_stream_info_free(info);
    free(detail);
    free(entry);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  strncpy(entry->name, name, CUFRAMES_NAME_MAX);
  entry->error = error;
  entry->detail = detail;
  entry->info = info;
  *made = entry;
  return CUFRAMES_OK;
}

static int list_one(void *user, const cf_place *place, const char *name) {
  (void)place;
  stream_list *l = user;
  cuframes_stream_entry *entry;
  int result = entry_make(l, name, &entry);
  if (result != CUFRAMES_OK || !entry)
    return result;
  cuframes_stream_entry **more = realloc(l->entries, (l->streams.count + 1) * sizeof *more);
  if (!more) {
    entry_free(entry);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  more[l->streams.count++] = entry;
  l->entries = more;
  l->streams.entries = (const cuframes_stream_entry *const *)more;
  return CUFRAMES_OK;
}

int cuframes_stream_list(const char *directory, int64_t timeout_ns, cuframes_streams **streams) {
  if (!streams)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_stream_list: streams must be given");
  stream_list *l = calloc(1, sizeof *l);
  if (!l)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  l->directory = directory;
  l->timeout_ns = timeout_ns;
  int result = cf_directory_visit(directory, list_one, l);
  if (result != CUFRAMES_OK) {
    cuframes_streams_free(&l->streams);
    return result;
  }
  *streams = &l->streams;
  return CUFRAMES_OK;
}

void cuframes_streams_free(cuframes_streams *streams) {
  if (!streams)
    return;
  stream_list *l = CF_CONTAINER_OF(streams, stream_list, streams);
  for (size_t i = 0; i < l->streams.count; i++)
    entry_free(l->entries[i]);
  free(l->entries);
  free(l);
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
