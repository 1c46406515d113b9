/* session.c - requests on their way to the camera, and what it sends, taken apart. */
#include "session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 5

bool rtsp_session_init(rtsp_session *s, const char *address, uint32_t left_out) {
  *s = (rtsp_session){ .left_out = left_out, .refused_track = -1 };
  return rtsp_address_read(&s->at, address) &&
         rtsp_login_set(&s->login, s->at.has_login ? s->at.user : NULL, s->at.password);
}

void rtsp_session_free(rtsp_session *s) {
  rtsp_login_free(&s->login);
  rtsp_bytes *const all[] = { &s->from_client, &s->to_client, &s->from_camera, &s->to_camera };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    rtsp_bytes_free(all[i]);
  explicit_bzero(s->at.password, sizeof s->at.password);
}

/* --- to the camera --- */

void rtsp_session_ask(rtsp_session *s, const rtsp_request *request) {
  char login[8192];
  if (s->queued == RTSP_QUEUE_MAX) { /* it answers nothing: the oldest question is dropped */
    s->queued--;
    memmove(s->queue, s->queue + 1, s->queued * sizeof *s->queue);
  }
  rtsp_request *r = &s->queue[s->queued++];
  *r = *request;
  r->number = ++s->number;
  rtsp_login_answer(&s->login, r->method, r->address, login, sizeof login);
  r->logged_in = *login != '\0';
  rtsp_bytes_print(&s->to_camera, "%s %s RTSP/1.0\r\nCSeq: %ld\r\n%s%s\r\n", r->method, r->address, r->number,
                   r->headers, login);
}

/* --- libavformat's requests --- */

/* All header lines but those that are ours. */
static void keep_headers(char *to, size_t room, const rtsp_message *m) {
  static const char *const ours[] = { "CSeq", "Authorization", "Content-Length" };
  const char *at = m->head, *line;
  size_t length, put = 0;
  while ((length = rtsp_next_line(m, &at, &line)) > 0) {
    bool keep = put + length + 3 < room;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
      keep = keep && !rtsp_is_header(line, length, ours[i]);
    if (keep)
      put += (size_t)snprintf(to + put, room - put, "%.*s\r\n", (int)length, line);
  }
}

void rtsp_session_answer(rtsp_session *s, const rtsp_request *request, int status, const char *reason,
                         const char *headers, const rtsp_bytes *body) {
  const size_t size = body != NULL ? body->size : 0;
  if (request->unheard)
    return;
  rtsp_bytes_print(&s->to_client, "RTSP/1.0 %d %s\r\nCSeq: %ld\r\n%s", status, *reason ? reason : "-",
                   request->client_number, headers);
  if (size > 0)
    rtsp_bytes_print(&s->to_client, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n", size);
  rtsp_bytes_print(&s->to_client, "\r\n");
  if (size > 0)
    rtsp_bytes_add(&s->to_client, rtsp_bytes_data(body), size);
}

/* What libavformat's address means at the camera. False: it is none of ours. */
static bool translate(rtsp_session *s, const char *address, rtsp_request *r) {
  const size_t local = strlen(s->local);
  if (strncmp(address, s->local, local) != 0)
    return false;
  const char *track = address + local;
  if (strncmp(track, "/track", 6) == 0) {
    const unsigned long number = strtoul(track + 6, NULL, 10);
    if (number >= s->description.count)
      return false;
    const rtsp_track *t = &s->description.tracks[number];
    r->track = (int)number;
    return rtsp_address_of_track(s->base, t->control, t->way, r->address, sizeof r->address);
  }
  snprintf(r->address, sizeof r->address, "%s", s->described ? s->all : s->at.whole);
  return true;
}

static bool is(const rtsp_request *r, const char *method) {
  return strcmp(r->method, method) == 0;
}

/* libavformat's request, or the camera's way to say the same. */
static void take_request(rtsp_session *s, const rtsp_message *m) {
  rtsp_request r = { .client_number = m->number, .track = -1 };
  memcpy(r.method, m->method, sizeof r.method);
  keep_headers(r.headers, sizeof r.headers, m);
  if (!translate(s, m->address, &r)) {
    s->ended = true;
    return;
  }
  if (is(&r, "GET_PARAMETER") && s->no_get_parameter)
    strcpy(r.method, "OPTIONS");
  if (is(&r, "OPTIONS") && s->no_options)
    rtsp_session_answer(s, &r, 200, "OK", "Public: OPTIONS\r\n", NULL);
  else
    rtsp_session_ask(s, &r);
}

/* libavformat's reports (RTCP) go to the channel that the camera has for them. */
static void pass_report(rtsp_session *s, uint8_t *data, size_t size) {
  for (unsigned i = 0; i < s->description.count; i++) {
    const rtsp_track *t = &s->description.tracks[i];
    if (t->local < 0 || t->channel < 0 || (data[1] != t->local && data[1] != t->local + 1))
      continue;
    data[1] = (uint8_t)(t->channel + (data[1] - t->local));
    rtsp_bytes_add(&s->to_camera, data, size);
    return;
  }
}

static void take_client(rtsp_session *s) {
  while (s->from_client.size >= 4 && !s->ended) {
    uint8_t *data = rtsp_bytes_data(&s->from_client);
    size_t used = (size_t)4 + ((size_t)data[2] << 8 | data[3]);
    rtsp_message m;
    if (data[0] == '$') {
      if (used > s->from_client.size)
        return;
      pass_report(s, data, used);
    } else {
      used = rtsp_head_size((const char *)data, s->from_client.size);
      if (used == 0)
        return;
      if (rtsp_message_read(&m, (const char *)data, used) && m.status == 0)
        take_request(s, &m);
      else if (m.status == 0)
        s->ended = true;
    }
    rtsp_bytes_drop(&s->from_client, used);
  }
}

/* --- what the camera sends --- */

/* It asks us: it wants to know whether we live, or says what it likes. */
static void take_question(rtsp_session *s, const rtsp_message *m) {
  rtsp_bytes_print(&s->to_camera, "RTSP/1.0 200 OK\r\nCSeq: %ld\r\n", m->number < 0 ? 0 : m->number);
  if (*s->id != '\0')
    rtsp_bytes_print(&s->to_camera, "Session: %s\r\n", s->id);
  rtsp_bytes_print(&s->to_camera, "\r\n");
  if (strcmp(m->method, "TEARDOWN") == 0 || strcmp(m->method, "REDIRECT") == 0) {
    snprintf(s->why, sizeof s->why, "the camera ends the session (%s)", m->method);
    s->ended = true;
  }
}

/* The request that a reply is to: by its number, or where that is none of ours, the one that waits longest. */
static bool take_out(rtsp_session *s, long number, rtsp_request *request) {
  unsigned found = 0;
  for (unsigned i = 0; i < s->queued; i++)
    if (s->queue[i].number == number)
      found = i;
  if (s->queued == 0)
    return false;
  *request = s->queue[found];
  s->queued--;
  memmove(s->queue + found, s->queue + found + 1, (s->queued - found) * sizeof *s->queue);
  return true;
}

/* Some descriptions come without their length, or are shorter than it says; others are longer. */
static bool is_description(const rtsp_session *s, const rtsp_message *m) {
  bool asked = false;
  for (unsigned i = 0; i < s->queued; i++)
    asked = asked || strcmp(s->queue[i].method, "DESCRIBE") == 0;
  return asked && m->status == 200;
}

/* How much of what is here is the body of this message. False: it is not all here yet. */
static bool measure_body(rtsp_session *s, const rtsp_message *m, size_t left, size_t *size) {
  const bool description = is_description(s, m), says = m->body_size >= 0;
  const size_t announced = says ? (size_t)m->body_size : 0;
  *size = announced;
  if (announced <= left && (says || !description)) {
    /* What follows a description that is too long for its length is more of it: nothing else can be on its way. */
    const char *more = m->body + announced;
    const size_t rest = left - announced;
    if (description && rest > 0 && *more != '$' && memcmp(more, "RTSP/", rest < 5 ? rest : 5) != 0)
      *size = left;
    return true;
  }
  s->waits_for_body = description;
  s->waits_for_length = description && !says;
  *size = left;
  return description && s->quiet;
}

/* Whether a head can have this in it: packets have other bytes soon. */
static bool is_text(const char *data, size_t size) {
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)data[i] < ' ' && !isspace((unsigned char)data[i]))
      return false;
  return size <= RTSP_HEAD_MAX;
}

/* A message. False: more must come. */
static bool take_message(rtsp_session *s) {
  const char *data = (const char *)rtsp_bytes_data(&s->from_camera);
  const size_t size = s->from_camera.size, head = rtsp_head_size(data, size);
  rtsp_message m;
  size_t body;
  if (head == 0 && is_text(data, size))
    return false;
  if (head > 0 && memcmp(data, "HTTP/", 5) == 0 && !s->described) {
    snprintf(s->why, sizeof s->why, "it answers in HTTP: this port is that of its web server, not of RTSP");
    s->ended = true;
    return false;
  }
  if (head == 0 || !is_text(data, head) || !rtsp_message_read(&m, data, head))
    return rtsp_packets_skip(s);
  if (!measure_body(s, &m, size - head, &body))
    return false;
  s->waits_for_body = false;
  s->lost = false;
  m.body_size = (long)body;
  rtsp_request request;
  if (m.status == 0)
    take_question(s, &m);
  else if (m.status >= 200 && take_out(s, m.number, &request))
    rtsp_replies_take(s, &m, &request);
  if (!s->wants_connection)
    rtsp_bytes_drop(&s->from_camera, head + body);
  return true;
}

void rtsp_session_forgotten(rtsp_session *s) {
  bool by_tcp = false;
  for (unsigned i = 0; i < s->description.count; i++)
    by_tcp = by_tcp || s->description.tracks[i].heard;
  s->doubted = false;
  if (!by_tcp)
    return; /* what comes by UDP is not seen here */
  snprintf(s->why, sizeof s->why, "the camera has forgotten the session (454)");
  s->ended = true;
}

/* Whether a message begins here, or the beginning of what may be one's first line. */
static bool begins_message(const char *data, size_t size) {
  static const char *const methods[] = { "RTSP/",     "HTTP/",     "OPTIONS ",  "GET_PARAMETER ", "SET_PARAMETER ",
                                         "ANNOUNCE ", "TEARDOWN ", "REDIRECT ", "PLAY_NOTIFY ",   "DESCRIBE " };
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    const size_t length = strlen(methods[i]);
    if (memcmp(data, methods[i], size < length ? size : length) == 0)
      return true;
  }
  return false;
}

static void take_camera(rtsp_session *s) {
  s->waits_for_body = s->waits_for_length = false;
  while (s->from_camera.size > 0 && !s->ended && !s->wants_connection) {
    const char *data = (const char *)rtsp_bytes_data(&s->from_camera);
    if (*data == '\r' || *data == '\n') {
      rtsp_bytes_drop(&s->from_camera, 1);
      continue;
    }
    const bool message =
        begins_message(data, s->from_camera.size) && s->from_camera.size <= RTSP_HEAD_MAX + RTSP_BODY_MAX;
    if (message ? !take_message(s) : !rtsp_packets_take(s))
      return;
  }
}

void rtsp_session_take(rtsp_session *s) {
  if (!s->wants_connection)
    take_camera(s);
  if (!s->wants_connection)
    take_client(s);
}

/* --- connections --- */

void rtsp_session_connected(rtsp_session *s, const char *peer) {
  snprintf(s->peer, sizeof s->peer, "%s", peer);
  s->wants_connection = s->lost = s->quiet = false;
  rtsp_bytes_clear(&s->from_camera);
  rtsp_bytes_clear(&s->to_camera);
  const unsigned count = s->queued;
  s->queued = 0;
  for (unsigned i = 0; i < count; i++) {
    const rtsp_request again = s->queue[i];
    rtsp_session_ask(s, &again);
  }
}

bool rtsp_session_hung_up(rtsp_session *s) {
  if (s->wants_connection)
    return true;
  s->quiet = true;
  rtsp_session_take(s);
  s->quiet = false;
  if (s->wants_connection)
    return true;
  /* Some cameras hang up where they are asked what they do not know, and some after they have asked for a login. */
  const bool early = !s->described && s->redirects < REDIRECTS_MAX && !s->ended;
  if (!early || s->queued != 1)
    return false;
  rtsp_request r = s->queue[0];
  if (is(&r, "OPTIONS") && !s->no_options) {
    s->queued = 0;
    s->no_options = true;
    rtsp_session_answer(s, &r, 200, "OK", "Public: OPTIONS\r\n", NULL);
  } else if (!is(&r, "DESCRIBE") || r.logins != 1) {
    return false;
  }
  s->redirects++;
  s->wants_connection = true;
  return true;
}
