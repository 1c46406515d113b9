/* replies.c - what a camera answers, and what libavformat is told of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "session.h"

#define REDIRECTS_MAX 5
#define LOGINS_MAX                                                                                                     \
  2 /* challenges that are answered for one request: the first, and one of which only the nonce is new */
#define TIMEOUT_MOST 86400

static bool is(const rtsp_request *r, const char *method) {
  return strcmp(r->method, method) == 0;
}

/* --- headers --- */

/* Adds those lines of a reply that libavformat may read as they are. */
static void keep_headers(rtsp_bytes *to, const rtsp_message *m, bool logins) {
  static const char *const ours[] = { "CSeq",           "Session",   "Content-Base", "Content-Location", "Content-Type",
                                      "Content-Length", "Transport", "Location",     "RTP-Info" };
  const char *at = m->head, *line;
  size_t length;
  while ((length = rtsp_next_line(m, &at, &line)) > 0) {
    bool keep = logins || !rtsp_is_header(line, length, "WWW-Authenticate");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
      keep = keep && !rtsp_is_header(line, length, ours[i]);
    if (keep)
      rtsp_bytes_print(to, "%.*s\r\n", (int)length, line);
  }
}

/* "12345678;timeout=10", in whatever way it is written; libavformat reads just this one. */
static void learn_session(rtsp_session *s, const rtsp_message *m) {
  char text[512], value[32];
  if (!rtsp_header(m, "Session", 0, text, sizeof text))
    return;
  snprintf(s->id, sizeof s->id, "%.*s", (int)strcspn(text, "; \t"), text);
  if (rtsp_parameter(text + strcspn(text, ";"), "timeout", value, sizeof value)) {
    const long seconds = strtol(value, NULL, 10);
    s->timeout = seconds > 0 && seconds <= TIMEOUT_MOST ? seconds : s->timeout;
  }
}

static void pass(rtsp_session *s, const rtsp_message *m, const rtsp_request *r, int status, const char *more,
                 const rtsp_bytes *body) {
  rtsp_bytes headers = { 0 };
  keep_headers(&headers, m, !r->logged_in);
  if (*s->id != '\0' && s->timeout > 0)
    rtsp_bytes_print(&headers, "Session: %s;timeout=%ld\r\n", s->id, s->timeout);
  else if (*s->id != '\0')
    rtsp_bytes_print(&headers, "Session: %s\r\n", s->id);
  rtsp_bytes_print(&headers, "%s%c", more, '\0');
  if (!headers.failed)
    rtsp_session_answer(s, r, status, status == 200 && m->status != 200 ? "OK" : m->reason,
                        (const char *)rtsp_bytes_data(&headers), body);
  rtsp_bytes_free(&headers);
}

/* --- logins and redirects --- */

/* Whether the request went out again, with an answer. */
static bool log_in(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  if (m->status != 401 || s->login.user == NULL || r->logins == LOGINS_MAX)
    return false;
  const bool had = r->logged_in;
  if (!rtsp_login_challenged(&s->login, m))
    return false;
  /* The same answer would be refused again, and may count there; a nonce that has become old is another matter. */
  if (had && !s->login.stale && !s->logged_in)
    return false;
  rtsp_request again = *r;
  again.logins++;
  rtsp_session_ask(s, &again);
  return true;
}

/* What a camera that leads to a place where we cannot go may mean is nothing that libavformat would say. */
static void note_way(rtsp_session *s, const rtsp_message *m) {
  if (m->status >= 300 && m->status < 400)
    snprintf(s->why, sizeof s->why, "the camera leads %s (%d %s)",
             s->redirects == REDIRECTS_MAX ? "on and on, in a circle" : "to an address that is no RTSP", m->status,
             m->reason);
}

/* Whether the camera leads to another place, to which we go. */
static bool redirect(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  char to[RTSP_ADDRESS_MAX], whole[RTSP_ADDRESS_MAX];
  rtsp_address next;
  const bool early = is(r, "OPTIONS") || is(r, "DESCRIBE");
  if (m->status < 300 || m->status >= 400 || m->status == 304 || !early || s->redirects == REDIRECTS_MAX ||
      !rtsp_header(m, "Location", 0, to, sizeof to) ||
      !rtsp_address_of_track(s->at.whole, to, 0, whole, sizeof whole) || !rtsp_address_read(&next, whole))
    return false;
  const bool elsewhere = strcasecmp(next.host, s->at.host) != 0;
  if (next.has_login && !rtsp_login_set(&s->login, next.user, next.password))
    return false;
  s->login.scheme = RTSP_LOGIN_NONE;
  s->login.no_basic = elsewhere && !next.has_login; /* a host that nobody named is not to see it */
  s->at = next;
  s->redirects++;
  rtsp_request again = *r;
  snprintf(again.address, sizeof again.address, "%s", s->at.whole);
  again.logins = 0;
  s->queue[0] = again; /* nothing else waits: libavformat asks one thing after the other */
  s->queued = 1;
  s->wants_connection = true;
  return true;
}

/* --- DESCRIBE --- */

static void take_description(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  char base[RTSP_ADDRESS_MAX];
  rtsp_bytes body = { 0 };
  const size_t size = m->body_size > 0 ? (size_t)m->body_size : 0;
  if (rtsp_description_read(&s->description, m->body, size, s->left_out, s->local, &body)) {
    if (!rtsp_header(m, "Content-Base", 0, base, sizeof base) &&
        !rtsp_header(m, "Content-Location", 0, base, sizeof base))
      *base = '\0';
    if (!rtsp_address_of_track(s->at.whole, base, 0, s->base, sizeof s->base) || strncasecmp(s->base, "rtsp", 4) != 0)
      snprintf(s->base, sizeof s->base, "%s", s->at.whole);
    if (!rtsp_address_of_track(s->base, s->description.control, 0, s->all, sizeof s->all))
      snprintf(s->all, sizeof s->all, "%s", s->base);
    s->described = true;
  } else {
    snprintf(s->why, sizeof s->why, "the camera's description (SDP) has no tracks");
    rtsp_bytes_add(&body, m->body, size);
  }
  pass(s, m, r, m->status, "", &body);
  rtsp_bytes_free(&body);
}

/* --- SETUP --- */

static bool has_word(const char *text, const char *word) {
  char value[8];
  return rtsp_parameter(text, word, value, sizeof value);
}

/* How a way of packets is written so that libavformat reads it. False: the camera has chosen another way than was asked
 * for. */
static bool write_transport(rtsp_session *s, rtsp_track *t, const char *asked, const char *said, char *to,
                            size_t size) {
  char value[256];
  const bool tcp = strcasestr(asked, "/TCP") != NULL;
  const bool says_tcp = strcasestr(said, "interleaved") != NULL || strcasestr(said, "/TCP") != NULL;
  if (has_word(asked, "multicast")) {
    snprintf(to, size, "Transport: %s\r\n", said);
    return true;
  }
  if (tcp != says_tcp && *said != '\0')
    return false;
  if (tcp) {
    t->local = rtsp_parameter(asked, "interleaved", value, sizeof value) ? (int)strtol(value, NULL, 10) : 0;
    t->channel = rtsp_parameter(said, "interleaved", value, sizeof value) ? (int)strtol(value, NULL, 10) : t->local;
    snprintf(to, size, "Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d\r\n", t->local, t->local + 1);
    return t->channel >= 0 && t->channel < 256;
  }
  char ports[64] = "9-10", source[256];
  (void)rtsp_parameter(said, "server_port", ports, sizeof ports); /* else reports go where nobody listens */
  if (!rtsp_parameter(said, "source", source, sizeof source) ||
      strspn(source, "0123456789abcdefABCDEF.:") != strlen(source) || strcmp(source, "0.0.0.0") == 0)
    snprintf(source, sizeof source, "%s", s->peer);
  if (!rtsp_parameter(asked, "client_port", value, sizeof value))
    return false;
  snprintf(to, size, "Transport: RTP/AVP/UDP;unicast;client_port=%s;server_port=%s;source=%s\r\n", value, ports,
           source);
  return true;
}

/* Whether the request went out again, for another reading of the track's address. */
static bool try_another_way(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  rtsp_track *t = &s->description.tracks[r->track];
  rtsp_request again = *r;
  if (m->status != 404 && m->status != 400 && m->status != 451 && m->status != 454)
    return false;
  do { /* ways may come to the same */
    t->way++;
    if (!rtsp_address_of_track(s->base, t->control, t->way, again.address, sizeof again.address))
      return false;
  } while (strcmp(again.address, r->address) == 0);
  again.logins = 0;
  rtsp_session_ask(s, &again);
  return true;
}

static void take_setup(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  char said[512] = "", asked[512] = "", more[600];
  rtsp_track *t = &s->description.tracks[r->track];
  if (m->status == 200) {
    (void)rtsp_header(m, "Transport", 0, said, sizeof said);
    const rtsp_message request = { .head = r->headers, .head_size = strlen(r->headers) };
    (void)rtsp_header(&request, "Transport", 0, asked, sizeof asked);
    if (write_transport(s, t, asked, said, more, sizeof more)) {
      t->set_up = true;
      pass(s, m, r, 200, more, NULL);
      return;
    }
    rtsp_session_answer(s, r, 461, "Unsupported Transport", "", NULL);
    s->refused_status = 461;
  } else {
    if (try_another_way(s, m, r))
      return;
    s->refused_status = m->status;
    pass(s, m, r, m->status, "", NULL);
  }
  s->refused_track = r->track;
}

/* --- PLAY --- */

static void without_header(char *headers, const char *name) {
  rtsp_message m = { .head = headers, .head_size = strlen(headers) };
  char kept[RTSP_HEADERS_MAX];
  const char *at = m.head, *line;
  size_t length, put = 0;
  while ((length = rtsp_next_line(&m, &at, &line)) > 0)
    if (!rtsp_is_header(line, length, name))
      put += (size_t)snprintf(kept + put, sizeof kept - put, "%.*s\r\n", (int)length, line);
  memcpy(headers, kept, put);
  headers[put] = '\0';
}

/* Cameras that want each track to be started by itself: libavformat hears of the last one. */
static void play_each(rtsp_session *s, const rtsp_request *r) {
  int last = -1;
  for (unsigned i = 0; i < s->description.count; i++)
    last = s->description.tracks[i].set_up ? (int)i : last;
  for (int i = 0; i <= last; i++) {
    const rtsp_track *t = &s->description.tracks[i];
    rtsp_request each = *r;
    each.unheard = i != last;
    each.plain = true;
    if (t->set_up && rtsp_address_of_track(s->base, t->control, t->way, each.address, sizeof each.address))
      rtsp_session_ask(s, &each);
  }
}

/* Where RTP's times are to begin, for libavformat: of those tracks alone that the camera says something of. */
static void translate_info(const rtsp_session *s, const rtsp_message *m, rtsp_bytes *to) {
  char info[4096], address[RTSP_ADDRESS_MAX], url[RTSP_ADDRESS_MAX], number[32];
  if (!rtsp_header(m, "RTP-Info", 0, info, sizeof info))
    return;
  for (const char *at = info; *at != '\0';) {
    const size_t length = strcspn(at, ",");
    char one[RTSP_ADDRESS_MAX];
    snprintf(one, sizeof one, "%.*s", (int)length, at);
    at += length + (at[length] == ',');
    if (!rtsp_parameter(one, "url", url, sizeof url) || !rtsp_parameter(one, "rtptime", number, sizeof number))
      continue;
    for (unsigned i = 0; i < s->description.count; i++) {
      const rtsp_track *t = &s->description.tracks[i];
      if (t->set_up && rtsp_address_of_track(s->base, t->control, t->way, address, sizeof address) &&
          (strcmp(address, url) == 0 || strcmp(t->control, url) == 0))
        rtsp_bytes_print(to, "%surl=%s/track%u;rtptime=%s", to->size > 0 ? "," : "RTP-Info: ", s->local, i, number);
    }
  }
  if (to->size > 0)
    rtsp_bytes_print(to, "\r\n");
}

static void take_play(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  static const int of_range[] = { 400, 456, 457, 501, 551 };
  if (m->status == 200) {
    rtsp_bytes info = { 0 };
    translate_info(s, m, &info);
    rtsp_bytes_add(&info, "", 1);
    s->playing = true;
    pass(s, m, r, 200, info.failed ? "" : (const char *)rtsp_bytes_data(&info), NULL);
    rtsp_bytes_free(&info);
    return;
  }
  if (m->status == 459 && !r->plain) {
    play_each(s, r);
    return;
  }
  for (size_t i = 0; i < sizeof of_range / sizeof *of_range && !r->plain; i++)
    if (m->status == of_range[i]) {
      rtsp_request again = *r;
      without_header(again.headers, "Range");
      again.plain = true;
      rtsp_session_ask(s, &again);
      return;
    }
  pass(s, m, r, m->status, "", NULL);
}

/* --- all --- */

/* That it is asked is what counts, as a sign of life; and what it can is found out by asking for it. */
static void take_sign_of_life(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  if (m->status == 401 && !s->playing && r->logged_in) {
    pass(s, m, r, m->status, "", NULL); /* DESCRIBE would be one more try with a wrong password */
    return;
  }
  s->doubted = m->status == 454 && s->playing; /* some say so and go on */
  if (m->status != 200 && is(r, "GET_PARAMETER"))
    s->no_get_parameter = true;
  if (m->status == 200 && is(r, "OPTIONS"))
    pass(s, m, r, 200, "", NULL);
  else
    rtsp_session_answer(s, r, 200, "OK", "Public: OPTIONS\r\n", NULL);
}

void rtsp_replies_take(rtsp_session *s, const rtsp_message *m, const rtsp_request *r) {
  if (m->status == 200)
    learn_session(s, m);
  if (log_in(s, m, r) || redirect(s, m, r))
    return;
  note_way(s, m);
  s->logged_in = s->logged_in || (r->logged_in && m->status != 401);
  if (is(r, "OPTIONS") || is(r, "GET_PARAMETER"))
    take_sign_of_life(s, m, r);
  else if (is(r, "DESCRIBE") && m->status == 200)
    take_description(s, m, r);
  else if (is(r, "SETUP") && r->track >= 0)
    take_setup(s, m, r);
  else if (is(r, "PLAY"))
    take_play(s, m, r);
  else
    pass(s, m, r, m->status, "", NULL);
}
