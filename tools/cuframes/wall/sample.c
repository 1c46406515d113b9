/* sample.c - see sample.h. */
#include "sample.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t sample_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static sample *sample_new(enum sample_kind kind) {
  sample *s = calloc(1, sizeof *s);
  if (s)
    *s = (sample){ .uses = 1, .kind = kind, .taken = sample_now(), .arrived = cuframes_now() };
  return s;
}

static int64_t micros(int64_t ns) {
  return ns == CUFRAMES_NO_TIME ? INT64_MIN : ns / 1000;
}

sample *sample_of_packet(cuframes_packet *packet, enum sample_kind kind) {
  sample *s = sample_new(kind);
  if (!s)
    return NULL;
  const uint32_t flags = cuframes_packet_flags(packet);
  const int64_t duration = cuframes_packet_duration(packet) / 1000;
  s->packet = cuframes_packet_ref(packet);
  s->data = cuframes_packet_data(packet);
  s->size = cuframes_packet_size(packet);
  s->track = cuframes_packet_track(packet);
  s->flags = (uint8_t)((flags & CUFRAMES_PACKET_KEY ? SAMPLE_KEY : 0) |
                       (flags & CUFRAMES_PACKET_DISCONTINUITY ? SAMPLE_DISCONTINUITY : 0) |
                       (flags & CUFRAMES_PACKET_HIDDEN ? SAMPLE_HIDDEN : 0));
  s->pts = micros(cuframes_packet_pts(packet));
  s->dts = micros(cuframes_packet_dts(packet));
  s->pts = s->pts == INT64_MIN ? s->dts : s->pts;
  s->dts = s->dts == INT64_MIN ? s->pts : s->dts;
  s->duration = duration > 0 && duration <= UINT32_MAX ? (uint32_t)duration : 0;
  return s;
}

sample *sample_of_bytes(uint8_t *bytes, size_t size, enum sample_kind kind) {
  sample *s = sample_new(kind);
  if (!s) {
    free(bytes);
    return NULL;
  }
  s->own = bytes;
  s->data = bytes;
  s->size = size;
  s->flags = SAMPLE_KEY;
  return s;
}

sample *sample_ref(sample *s) {
  s->uses++;
  return s;
}

void sample_drop(sample *s) {
  if (!s || --s->uses > 0)
    return;
  cuframes_packet_release(s->packet);
  free(s->own);
  free(s);
}

static void body_gone(void *user) {
  sample *s = user;
  s->body = NULL;
  sample_drop(s);
}

http_body *sample_body(sample *s) {
  if (s->body)
    return http_body_ref(s->body);
  s->body = http_body_shared((const char *)s->data, s->size, body_gone, s);
  if (s->body)
    (void)sample_ref(s);
  return s->body;
}

track_config *track_config_ref(track_config *c) {
  c->uses++;
  return c;
}

void track_config_drop(track_config *c) {
  if (!c || --c->uses > 0)
    return;
  free(c->extradata);
  free(c->description);
  free(c);
}

static void put(uint8_t **at, uint64_t value, size_t bytes) {
  const uint64_t little = htole64(value);
  memcpy(*at, &little, bytes); /* the low bytes come first */
  *at += bytes;
}

void sample_head(uint8_t head[SAMPLE_HEAD], const sample *s, uint16_t tile, uint8_t flags) {
  uint8_t *at = head;
  put(&at, s->kind, 1);
  put(&at, flags, 1);
  put(&at, tile, 2);
  put(&at, s->config, 4);
  put(&at, (uint64_t)s->pts, 8);
  put(&at, (uint64_t)s->dts, 8);
  put(&at, s->duration, 4);
  put(&at, 0, 4);
  put(&at, (uint64_t)s->taken, 8);
}
