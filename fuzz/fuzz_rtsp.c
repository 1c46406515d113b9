/* fuzz_rtsp.c - a camera that sends anything at all, in pieces of any size, to the session between it and libavformat:
 * what comes out for libavformat is whole replies and packets, one behind the other.
 *
 * The first byte chooses how much is asked before; then each piece has its length in front. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rtsp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOCAL "rtsp://127.0.0.1:1/secret"

static void ask(rtsp_session *s, const char *method, const char *track, const char *more) {
  rtsp_bytes_print(&s->from_client, "%s " LOCAL "%s RTSP/1.0\r\nCSeq: 1\r\n%s\r\n", method, track, more);
  rtsp_session_take(s);
}

static void say(rtsp_session *s, const char *text) {
  rtsp_bytes_add(&s->from_camera, text, strlen(text));
  rtsp_session_take(s);
}

static void begin(rtsp_session *s, unsigned far) {
  static const char sdp[] = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:a\r\n"
                            "m=audio 0 RTP/AVP 0\r\na=control:b\r\n";
  char reply[512];
  ask(s, "OPTIONS", "", "");
  if (far > 0)
    say(s, "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: SETUP\r\n\r\n");
  if (far > 0)
    ask(s, "DESCRIBE", "", "Accept: application/sdp\r\n");
  snprintf(reply, sizeof reply, "RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: %zu\r\n\r\n%s", sizeof sdp - 1, sdp);
  if (far > 1)
    say(s, reply);
  if (far > 1)
    ask(s, "SETUP", "/track0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
  if (far > 2)
    say(s, "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n");
  if (far > 2)
    ask(s, "PLAY", "", "Range: npt=0.000-\r\n");
}

/* Replies that have an end, and packets that have their length. */
static void check(const rtsp_bytes *out) {
  const char *data = (const char *)rtsp_bytes_data(out);
  for (size_t at = 0; at < out->size;) {
    const size_t left = out->size - at;
    size_t used = left >= 4 ? 4 + ((size_t)(uint8_t)data[at + 2] << 8 | (uint8_t)data[at + 3]) : left + 1;
    rtsp_message m;
    if (data[at] != '$') {
      used = rtsp_head_size(data + at, left);
      if (used == 0 || !rtsp_message_read(&m, data + at, used) || m.status == 0)
        abort();
      used += m.body_size > 0 ? (size_t)m.body_size : 0;
    }
    if (used > left)
      abort();
    at += used;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rtsp_session *s = malloc(sizeof *s);
  if (s == NULL || size == 0 || !rtsp_session_init(s, "rtsp://user:secret@camera/path?query", data[0] >> 6)) {
    free(s);
    return 0;
  }
  strcpy(s->local, LOCAL);
  rtsp_session_connected(s, "192.0.2.1");
  begin(s, data[0] & 3);
  for (size_t at = 1; at < size && !s->ended;) {
    size_t piece = data[at++] & 63;
    piece = piece > size - at ? size - at : piece;
    rtsp_bytes_add(&s->from_camera, data + at, piece);
    s->quiet = piece == 0;
    rtsp_session_take(s);
    s->quiet = false;
    at += piece;
    if (s->wants_connection)
      rtsp_session_connected(s, "192.0.2.2");
  }
  (void)rtsp_session_hung_up(s);
  check(&s->to_client);
  rtsp_session_free(s);
  free(s);
  return 0;
}
