/* publisher/requests.c - what the service thread answers: segments, events, packets, codecs, statistics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/format.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "publisher/publisher.h"

bool cf_peer_answer(cuframes_publisher *p, cf_peer *peer, uint32_t type, const void *fields, const int *fds,
                    int fd_count) {
  size_t length = cf_message_encode(type, fields, p->service.message, CF_WIRE_MESSAGE_MAX);
  int result = length > 0 ? cf_send(peer->fd, p->service.message, length, fds, fd_count) : CUFRAMES_ERR_PROTOCOL;
  peer->was_given = peer->was_given || (result == CUFRAMES_OK && fd_count > 0);
  if (result == CUFRAMES_ERR_NO_MEMORY) { /* it can be told, and may ask again */
    cf_log_limited(&p->logger, &p->log_limit, CUFRAMES_LOG_ERROR, "%s: cannot answer pid %d, user %u: %s", p->name,
                   peer->credentials.pid, peer->credentials.uid, cf_last_detail());
    (void)cf_peer_refuse(p, peer, result);
  }
  return result == CUFRAMES_OK || (result == CUFRAMES_ERR_NO_MEMORY && type != CF_MSG_WELCOME);
}

bool cf_peer_refuse(cuframes_publisher *p, cf_peer *peer, int code) {
  cf_msg_refused refused = { .code = code };
  snprintf(refused.text, sizeof refused.text, "%.255s", cf_last_detail());
  (void)cf_peer_answer(p, peer, CF_MSG_REFUSED, &refused, NULL, 0); /* the connection ends either way */
  return false;
}

/* Which answer is the last that it needs of a segment: memory, events, side data. */
enum part { MEMORY, EVENTS, SIDE_DATA };

static void part_given(const cuframes_publisher *p, cf_peer *peer, enum part part, uint32_t segment) {
  enum part last = p->pool.side_data_max > 0                      ? SIDE_DATA
                   : peer->sync_mode == CUFRAMES_SYNC_SLOT_EVENTS ? EVENTS
                                                                  : MEMORY;
  if (part == last)
    cf_writer_seat_given(&peer->fenced.seat, segment);
}

bool cf_peer_send_segment(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  cf_msg_get_segment get;
  cf_msg_segment segment = { 0 };
  cuframes_format format;
  cf_device_export exported;
  if (!cf_message_decode(CF_MSG_GET_SEGMENT, message, length, &get))
    return false;
  int result = cf_pool_export(&p->pool, get.segment, &exported, &format);
  if (result != CUFRAMES_OK) {
    (void)cf_peer_refuse(p, peer, result);
    return true; /* it may go on: with newer frames, or when descriptors are free again */
  }
  segment.segment = get.segment;
  cf_format_to_wire(&format, &segment.format);
  segment.bytes = exported.bytes;
  segment.memory = exported.kind;
  segment.start = exported.start;
  segment.whole = exported.whole == exported.bytes ? 0 : exported.whole;
  if (exported.kind != CF_EXPORT_FD) {
    segment.handle_words = CF_HANDLE_WORDS;
    memcpy(segment.handle, exported.handle, sizeof segment.handle);
  }
  bool sent = cf_peer_answer(p, peer, CF_MSG_SEGMENT, &segment, &exported.fd, exported.fd >= 0 ? 1 : 0);
  cf_close(exported.fd);
  if (sent)
    part_given(p, peer, MEMORY, get.segment);
  return sent;
}

bool cf_peer_send_events(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  cf_msg_get_events get;
  cf_msg_events events = { 0 };
  if (!cf_message_decode(CF_MSG_GET_EVENTS, message, length, &get))
    return false;
  uint8_t *handles = malloc(CF_EVENTS_BYTES);
  int result = handles ? cf_pool_event_handles(&p->pool, get.segment, handles, &events.handles.length, &events.stride)
                       : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  bool sent = true; /* refused, it may go on */
  events.segment = get.segment;
  events.handles.data = handles;
  if (result != CUFRAMES_OK)
    (void)cf_peer_refuse(p, peer, result);
  else
    sent = cf_peer_answer(p, peer, CF_MSG_EVENTS, &events, NULL, 0);
  if (result == CUFRAMES_OK && sent)
    part_given(p, peer, EVENTS, get.segment);
  free(handles);
  return sent;
}

bool cf_peer_send_side_data(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  cf_msg_get_side_data get;
  cf_msg_side_data side = { 0 };
  int fd = -1;
  if (!cf_message_decode(CF_MSG_GET_SIDE_DATA, message, length, &get))
    return false;
  side.segment = get.segment;
  int result = cf_pool_export_side_data(&p->pool, get.segment, &fd, &side.bytes);
  if (result != CUFRAMES_OK) {
    (void)cf_peer_refuse(p, peer, result);
    return true; /* it may go on, as after GET_SEGMENT */
  }
  bool sent = cf_peer_answer(p, peer, CF_MSG_SIDE_DATA, &side, &fd, 1);
  cf_close(fd);
  if (sent)
    part_given(p, peer, SIDE_DATA, get.segment);
  return sent;
}

bool cf_peer_send_packets(cuframes_publisher *p, cf_peer *peer) {
  pthread_mutex_lock(&p->packets.describe);
  cf_msg_packets packets = { .bytes = p->packets.bytes, .track_count = p->packets.track_count };
  bool enabled = p->packets.enabled;
  int fd = p->packets.fd;
  pthread_mutex_unlock(&p->packets.describe);
  if (!enabled) {
    cf_fail(CUFRAMES_ERR_NO_PACKET_RING, "the stream \"%s\" carries no packets", p->name);
    (void)cf_peer_refuse(p, peer, CUFRAMES_ERR_NO_PACKET_RING);
    return true;
  }
  peer->reads_packets = true;
  return cf_peer_answer(p, peer, CF_MSG_PACKETS, &packets, &fd, 1);
}

bool cf_peer_send_codec(cuframes_publisher *p, cf_peer *peer, const uint8_t *message, size_t length) {
  cf_msg_get_codec get;
  if (!cf_message_decode(CF_MSG_GET_CODEC, message, length, &get))
    return false;
  cf_packets *packets = &p->packets;
  bool sent = true;
  pthread_mutex_lock(&packets->describe);
  if (get.track >= CUFRAMES_TRACKS_MAX || !packets->tracks[get.track].set) {
    cf_fail(CUFRAMES_ERR_NO_CODEC_PARAMS, "the stream \"%s\" has no track %u", p->name, get.track);
    (void)cf_peer_refuse(p, peer, CUFRAMES_ERR_NO_CODEC_PARAMS);
  } else {
    const cf_track *e = &packets->tracks[get.track];
    const cuframes_codec_params *c = &e->params;
    cf_msg_codec codec = { .track = get.track,
                           .track_count = packets->track_count,
                           .media_type = c->media_type,
                           .profile = c->profile,
                           .level = c->level,
                           .width = c->width,
                           .height = c->height,
                           .frame_rate_num = c->frame_rate_num,
                           .frame_rate_den = c->frame_rate_den,
                           .sample_rate = c->sample_rate,
                           .channels = c->channels,
                           .frame_size = c->frame_size,
                           .time_base_num = c->time_base_num,
                           .time_base_den = c->time_base_den,
                           .bit_rate = c->bit_rate,
                           .color = cf_color_pack(c->color),
                           .chroma_location = c->chroma_location,
                           .field_order = c->field_order,
                           .orientation = c->orientation,
                           .sample_aspect = { c->sample_aspect_num, c->sample_aspect_den },
                           .extradata = { e->extradata, (uint32_t)e->extradata_size } };
    memcpy(codec.codec, c->codec, sizeof codec.codec);
    cf_light_to_wire(c, &codec);
    sent = cf_peer_answer(p, peer, CF_MSG_CODEC, &codec, NULL, 0);
  }
  pthread_mutex_unlock(&packets->describe);
  return sent;
}

/* ---- INFO ---- */

/* After modes_append(), which counts: both are to say the same. */
static cf_info_seat describe_seat(cuframes_publisher *p, const cf_peer *peer) {
  const cf_writer_seat *seat = &peer->fenced.seat;
  cf_info_seat s = { .mode = peer->mode,
                     .pid = peer->credentials.pid,
                     .uid = peer->credentials.uid,
                     .gid = peer->credentials.gid,
                     .leases = seat->leases,
                     .depth = seat->depth,
                     .packets = peer->reads_packets,
                     .sync_mode = peer->sync_mode,
                     .sync_asked = peer->sync_asked };
  memcpy(s.label, peer->label, sizeof s.label);
  s.held_count = cf_seat_held(seat, s.held);
  cf_seat_report report = cf_seat_look(seat);
  s.evicted = report.evicted;
  s.delivered = peer->counted.delivered;
  s.skipped = peer->counted.skipped;
  s.packets_read = peer->counted.packets_read;
  s.packets_lost = peer->counted.packets_lost;
  uint64_t newest = cf_counter_get(&p->published);
  s.lag = report.last_seq < newest && report.delivered > 0 ? newest - report.last_seq : 0;
  return s;
}

static uint64_t at_most(uint64_t value, uint64_t most) {
  return value < most ? value : most;
}

static void raise_to(uint64_t *count, uint64_t value) {
  *count = value > *count ? value : *count;
}

/* One seat can say anything, but not so much that the sums of all go round. What it said once stays: whoever watches
 * takes a count that falls for a publisher that began anew. */
static void seat_count(const cuframes_publisher *p, cf_peer *peer) {
  const cf_seat_report report = cf_seat_look(&peer->fenced.seat);
  const uint64_t published = cf_counter_get(&p->published), packets = cf_counter_get(&p->packets.count);
  const uint64_t age = (uint64_t)(cf_now() - p->started);
  cf_info_mode *counted = &peer->counted;
  uint64_t taken = 0;
  raise_to(&counted->delivered, at_most(report.delivered, published));
  raise_to(&counted->skipped, at_most(report.skipped, published));
  raise_to(&counted->packets_read, at_most(report.counters[CF_SEAT_PACKETS_READ], packets));
  raise_to(&counted->packets_lost, at_most(report.counters[CF_SEAT_PACKETS_LOST], packets));
  for (uint32_t i = 0; i < CF_LATENCY_BOUNDS; i++)
    taken += counted->latency[i];
  for (uint32_t i = 0; i < CF_LATENCY_BOUNDS; i++) {
    const uint64_t before = counted->latency[i];
    raise_to(&counted->latency[i], at_most(report.counters[i], before + published - taken));
    taken += counted->latency[i] - before;
  }
  raise_to(&counted->latency_sum, cf_latency_sum_within(report.latency_sum, taken, age));
}

void cf_peer_add_up(const cuframes_publisher *p, cf_peer *peer, cf_info_mode *mode) {
  seat_count(p, peer);
  mode->delivered += peer->counted.delivered;
  mode->skipped += peer->counted.skipped;
  mode->packets_read += peer->counted.packets_read;
  mode->packets_lost += peer->counted.packets_lost;
  for (uint32_t i = 0; i < CF_LATENCY_BOUNDS; i++)
    mode->latency[i] += peer->counted.latency[i];
  mode->latency_sum = cf_latency_sum_add(mode->latency_sum, peer->counted.latency_sum);
}

/* What all subscribers amount to, by mode. False: no room. */
static bool modes_append(cuframes_publisher *p, uint8_t *message, size_t *length) {
  cf_info_mode modes[CF_MODES];
  bool fits = true;
  memcpy(modes, p->departed, sizeof modes);
  for (cf_peer *peer = p->service.peers; peer; peer = peer->next)
    if (peer->fenced.seat.page)
      cf_peer_add_up(p, peer, &modes[peer->mode]);
  for (uint32_t mode = 0; mode < CF_MODES && fits; mode++) {
    modes[mode].mode = mode;
    fits = cf_message_append(CF_GROUP_MODE, &modes[mode], message, length, CF_WIRE_MESSAGE_MAX);
  }
  return fits;
}

static uint64_t current_rate(cuframes_publisher *p) {
  uint64_t rate = cf_counter_get(&p->rate_micro);
  int64_t age = cf_now() - (int64_t)cf_counter_get(&p->newest_timestamp);
  /* three frame times without a frame, and at least two seconds: it stands still */
  return rate > 0 && age > 2 * CF_SECOND && (double)age > 3e15 / (double)rate ? 0 : rate;
}

static void info_fill(cuframes_publisher *p, cf_msg_info *info) {
  cuframes_format format = cf_pool_format(&p->pool);
  *info = (cf_msg_info){ .pid = getpid(),
                         .frame_rate_micro = current_rate(p),
                         .frames = cf_counter_get(&p->published),
                         .dropped = cf_counter_get(&p->dropped),
                         .evictions = cf_counter_get(&p->evictions),
                         .timestamp = (int64_t)cf_counter_get(&p->newest_timestamp),
                         .slots = (uint32_t)cf_counter_get(&p->pool.slot_count),
                         .max_slots = cf_flag_get(&p->pool.max_slots),
                         .segments = (uint32_t)cf_counter_get(&p->pool.segment_count),
                         .memory_bytes = cf_publisher_memory(p),
                         .packets = cf_counter_get(&p->packets.count),
                         .packet_bytes = cf_counter_get(&p->packets.byte_count),
                         .started = p->started };
  info->device_bytes = at_most(cf_counter_get(&p->pool.device_bytes), info->memory_bytes); /* it may grow in between */
  memcpy(info->name, p->name, sizeof info->name);
  memcpy(info->device, p->device->name, sizeof info->device);
  memcpy(info->description, p->description, sizeof info->description);
  snprintf(info->memory, sizeof info->memory, "%s", p->pool.external ? "external" : p->device->memory);
  cf_format_to_wire(&format, &info->format);
  cf_source_describe(p, info);
}

static cf_info_track describe_track(const cf_track *track, const cf_track_rate *rate, int64_t now) {
  cf_info_track e = { .media_type = track->params.media_type,
                      .packets = cf_counter_get(&rate->packets),
                      .timestamp = (int64_t)cf_counter_get(&rate->newest),
                      .bit_rate = cf_rate_bits(rate, now),
                      .keyframe_interval = cf_counter_get(&rate->last_ns),
                      .keyframe_frames = (uint32_t)cf_counter_get(&rate->last_frames),
                      .keyframe_longest = cf_counter_get(&rate->longest_ns),
                      .keyframe_longest_frames = (uint32_t)cf_counter_get(&rate->longest_frames),
                      .keyframe_timestamp = (int64_t)cf_counter_get(&rate->newest_key) };
  memcpy(e.codec, track->params.codec, sizeof e.codec);
  return e;
}

static uint32_t count_pinned(const cf_service *service) {
  uint64_t seen[CF_SLOTS_MAX / 64] = { 0 };
  uint32_t held[CF_LEASES_MAX], count = 0;
  for (const cf_peer *peer = service->peers; peer; peer = peer->next) {
    uint32_t n = peer->fenced.seat.page ? cf_seat_held(&peer->fenced.seat, held) : 0;
    for (uint32_t i = 0; i < n; i++) {
      uint32_t slot = held[i] % CF_SLOTS_MAX; /* what a seat says is not to be trusted */
      count += !(seen[slot / 64] >> (slot % 64) & 1);
      seen[slot / 64] |= UINT64_C(1) << (slot % 64);
    }
  }
  return count;
}

bool cf_peer_send_info(cuframes_publisher *p, cf_peer *peer) {
  cf_msg_info info;
  cf_packets *packets = &p->packets;
  uint8_t *message = p->service.message;
  const int64_t now = cf_now();
  info_fill(p, &info);
  info.slots_pinned = count_pinned(&p->service);
  pthread_mutex_lock(&packets->describe);
  info.packet_slots = packets->enabled ? packets->writer.slots : 0;
  info.packet_data_bytes = packets->enabled ? packets->writer.data_bytes : 0;
  size_t length = cf_message_encode(CF_MSG_INFO, &info, message, CF_WIRE_MESSAGE_MAX);
  bool fits = length > 0;
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX && fits; i++) {
    if (!packets->tracks[i].set)
      continue;
    cf_info_track e = describe_track(&packets->tracks[i], &p->rates[i], now);
    fits = cf_message_append(CF_GROUP_TRACK, &e, message, &length, CF_WIRE_MESSAGE_MAX);
  }
  pthread_mutex_unlock(&packets->describe);
  fits = fits && modes_append(p, message, &length); /* before the seats, for which there may be no room */
  for (cf_peer *other = p->service.peers; other && fits; other = other->next) {
    if (!other->fenced.seat.page)
      continue;
    cf_info_seat s = describe_seat(p, other);
    fits = cf_message_append(CF_GROUP_SEAT, &s, message, &length, CF_WIRE_MESSAGE_MAX);
  }
  return length > 0 && cf_send(peer->fd, message, length, NULL, 0) == CUFRAMES_OK;
}
