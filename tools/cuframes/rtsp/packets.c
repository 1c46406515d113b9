/* packets.c - RTP and RTCP in RTSP's connection ("$", channel, length), and what cameras send in between.
 *
 * While packets come one behind the other, each that could be one is taken for one. When something else comes, the next
 * one is looked for, and must look like those before it: the bytes of a picture have a "$" in every few hundred. */
#include <string.h>

#include "session.h"

#define HEAD 4
#define RTP_LEAST 12
#define RTCP_LEAST 8
#define DYNAMIC 96

static unsigned size_at(const uint8_t *data) {
  return (unsigned)data[2] << 8 | data[3];
}

static bool is_version_2(const uint8_t *data) {
  return (data[HEAD] & 0xc0) == 0x80;
}

/* By the second byte, whichever channel it comes on. */
static bool is_rtcp(const uint8_t *data) {
  return data[HEAD + 1] >= 192 && data[HEAD + 1] <= 223;
}

static rtsp_track *track_of(rtsp_session *s, int channel) {
  for (unsigned i = 0; i < s->description.count; i++) {
    rtsp_track *t = &s->description.tracks[i];
    if (t->channel >= 0 && (channel == t->channel || channel == t->channel + 1))
      return t;
  }
  return NULL;
}

/* Of a packet on a channel that nobody has spoken of: the one track whose format it has. */
static rtsp_track *adopt(rtsp_session *s, const uint8_t *data, unsigned size) {
  rtsp_track *found = NULL;
  if (size < RTP_LEAST || is_rtcp(data))
    return NULL;
  for (unsigned i = 0; i < s->description.count; i++) {
    rtsp_track *t = &s->description.tracks[i];
    if (t->channel < 0 || t->heard || t->payload != (data[HEAD + 1] & 0x7f))
      continue;
    if (found != NULL)
      return NULL;
    found = t;
  }
  if (found != NULL)
    found->channel = data[1];
  return found;
}

/* Whether this is one of those that came before something else did. */
static bool is_familiar(const rtsp_track *t, const uint8_t *data, unsigned size) {
  if (t == NULL || size < RTCP_LEAST || !is_version_2(data))
    return false;
  if (is_rtcp(data))
    return data[1] != t->channel || t->heard;
  return size >= RTP_LEAST && ((data[HEAD + 1] & 0x7f) == t->payload || (data[HEAD + 1] & 0x7f) >= DYNAMIC);
}

static void skip(rtsp_session *s, size_t size) {
  s->skipped += size;
  rtsp_bytes_drop(&s->from_camera, size);
}

bool rtsp_packets_skip(rtsp_session *s) {
  static const char reply[] = "RTSP/1.";
  const uint8_t *data = rtsp_bytes_data(&s->from_camera);
  const size_t size = s->from_camera.size, tail = sizeof reply - 2;
  s->lost = true;
  for (size_t at = 1; at < size; at++) {
    const size_t left = size - at < sizeof reply - 1 ? size - at : sizeof reply - 1;
    if (data[at] == '$' || memcmp(data + at, reply, left) == 0) {
      skip(s, at);
      return at + 1 < size;
    }
  }
  skip(s, size > tail ? size - tail : 0);
  return false;
}

static void pass(rtsp_session *s, rtsp_track *t, uint8_t *data, unsigned size) {
  const bool control = is_rtcp(data);
  if (!control && size >= RTP_LEAST) {
    /* A camera that announces one number and sends another means the one format that it has. */
    if ((data[HEAD + 1] & 0x7f) >= DYNAMIC && t->payload >= DYNAMIC)
      data[HEAD + 1] = (uint8_t)((data[HEAD + 1] & 0x80) | t->payload);
    memcpy(&t->source, data + HEAD + 8, sizeof t->source);
    t->heard = true;
  }
  data[1] = (uint8_t)(t->local + control);
  if (size >= RTCP_LEAST) /* libavformat loses its way at smaller ones */
    rtsp_bytes_add(&s->to_client, data, HEAD + size);
}

bool rtsp_packets_take(rtsp_session *s) {
  uint8_t *data = rtsp_bytes_data(&s->from_camera);
  if (data[0] != '$')
    return rtsp_packets_skip(s);
  if (s->from_camera.size < HEAD + 2 && !(s->from_camera.size == HEAD && size_at(data) == 0))
    return false;
  const unsigned size = size_at(data);
  rtsp_track *t = track_of(s, data[1]);
  if (s->lost ? !is_familiar(t, data, size) : size >= 2 && !is_version_2(data))
    return rtsp_packets_skip(s);
  if (s->from_camera.size < HEAD + size)
    return false;
  if (t == NULL && size >= 2)
    t = adopt(s, data, size);
  s->lost = false;
  if (t != NULL && t->local >= 0)
    pass(s, t, data, size);
  rtsp_bytes_drop(&s->from_camera, HEAD + size);
  return true;
}
