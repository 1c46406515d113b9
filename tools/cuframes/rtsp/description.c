/* description.c - reading SDP line by line, in two rounds: what formats have names, then what is passed on. */
#include "description.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DYNAMIC 96 /* formats from here on mean what the description says */

typedef struct line {
  const char *text;
  size_t length; /* without blanks at either end */
} line;

static bool next(const char **at, const char *end, line *l) {
  if (*at >= end)
    return false;
  const char *from = *at, *stop = from;
  while (stop < end && *stop != '\n' && *stop != '\r' && *stop != '\0')
    stop++;
  *at = stop + 1;
  while (from < stop && isspace((unsigned char)*from))
    from++;
  while (stop > from && isspace((unsigned char)stop[-1]))
    stop--;
  *l = (line){ from, (size_t)(stop - from) };
  return true;
}

/* What stands behind "a=control:" and the like; NULL: it is another line. */
static const char *behind(const line *l, const char *start) {
  const size_t length = strlen(start);
  if (l->length < length || strncasecmp(l->text, start, length) != 0)
    return NULL;
  const char *value = l->text + length;
  while (value < l->text + l->length && isspace((unsigned char)*value))
    value++;
  return value;
}

static void copy_rest(char *to, size_t room, const line *l, const char *from) {
  snprintf(to, room, "%.*s", (int)(l->text + l->length - from), from);
}

/* The number that a line is about: of "a=rtpmap:96 H264/90000". -1: it is not about one. */
static int number_of(const line *l) {
  const char *value = behind(l, "a=rtpmap:");
  value = value != NULL ? value : behind(l, "a=fmtp:");
  value = value != NULL ? value : behind(l, "a=framesize:");
  value = value != NULL ? value : behind(l, "a=rtcp-fb:");
  char text[8];
  if (value == NULL)
    return -1;
  copy_rest(text, sizeof text, l, value);
  return isdigit((unsigned char)*text) ? (int)strtol(text, NULL, 10) : -1;
}

/* "m=video 0 RTP/AVP 96 97" */
typedef struct media_line {
  char kind[16], port[24], protocol[32];
  int first; /* of its formats; -1: it has none */
} media_line;

static bool read_media(const line *l, media_line *m) {
  char text[256];
  const char *value = behind(l, "m=");
  *m = (media_line){ .first = -1 };
  if (value == NULL)
    return false;
  copy_rest(text, sizeof text, l, value);
  return sscanf(text, "%15s %23s %31s %d", m->kind, m->port, m->protocol, &m->first) >= 3;
}

/* What is known of the formats of one track. */
typedef struct formats {
  int named, first_named; /* whether the first format has a name; which other one is the first to have one */
  const char *guess;      /* a name for one that has none, by its parameters */
} formats;

static formats look_at_formats(const char *at, const char *end, int first) {
  formats f = { .first_named = -1 };
  line l;
  media_line m;
  while (next(&at, end, &l) && !read_media(&l, &m)) {
    const int number = number_of(&l);
    if (behind(&l, "a=rtpmap:") != NULL && number >= 0) {
      f.named |= number == first;
      f.first_named = f.first_named < 0 ? number : f.first_named;
    }
    char text[4096];
    copy_rest(text, sizeof text, &l, l.text);
    if (strstr(text, "sprop-vps") != NULL)
      f.guess = "H265/90000";
    else if (strstr(text, "sprop-parameter-sets") != NULL || strstr(text, "packetization-mode") != NULL)
      f.guess = "H264/90000";
  }
  return f;
}

typedef struct reading {
  rtsp_description *d;
  rtsp_track *track; /* NULL: still what is said of all */
  int wanted;        /* the format whose lines are passed on; -1: all */
  uint32_t left_out;
  const char *local;
  rtsp_bytes *out;
} reading;

static void begin_track(reading *r, const media_line *m, const char *at, const char *end) {
  rtsp_description *d = r->d;
  if (d->count == RTSP_TRACKS_MAX) {
    r->track = &d->tracks[d->count - 1];
    r->track->left_out = true;
    return;
  }
  const unsigned number = d->count++;
  rtsp_track *t = r->track = &d->tracks[number];
  const formats f = look_at_formats(at, end, m->first);
  *t = (rtsp_track){ .payload = m->first, .channel = -1, .local = -1, .left_out = (r->left_out >> number) & 1u };
  memcpy(t->kind, m->kind, sizeof t->kind);
  /* Where the first format has no name, but another one that is not announced has: that is the one that comes. */
  const bool other = !f.named && m->first >= DYNAMIC && f.first_named >= DYNAMIC;
  r->wanted = other ? f.first_named : m->first;
  t->payload = r->wanted;
  if (t->left_out)
    return;
  rtsp_bytes_print(r->out, "m=%s %s %s", m->kind, m->port, m->protocol);
  if (t->payload >= 0)
    rtsp_bytes_print(r->out, " %d", t->payload);
  rtsp_bytes_print(r->out, "\r\na=control:%s/track%u\r\n", r->local, number);
  if (!f.named && !other && m->first >= DYNAMIC && f.guess != NULL && strcasecmp(m->kind, "video") == 0)
    rtsp_bytes_print(r->out, "a=rtpmap:%d %s\r\n", m->first, f.guess);
}

static void take_line(reading *r, const line *l) {
  const char *control = behind(l, "a=control:");
  if (control != NULL && r->track == NULL) {
    copy_rest(r->d->control, sizeof r->d->control, l, control);
    return;
  }
  if (control != NULL) {
    if (*r->track->control == '\0')
      copy_rest(r->track->control, sizeof r->track->control, l, control);
    return;
  }
  const int number = number_of(l);
  if (l->length == 0 || (r->track != NULL && r->track->left_out) ||
      (r->track != NULL && number >= 0 && number != r->wanted))
    return;
  rtsp_bytes_add(r->out, l->text, l->length);
  rtsp_bytes_add(r->out, "\r\n", 2);
}

bool rtsp_description_read(rtsp_description *d, const char *text, size_t size, uint32_t left_out, const char *local,
                           rtsp_bytes *out) {
  const char *at = text, *end = text + size;
  reading r = { .d = d, .wanted = -1, .left_out = left_out, .local = local, .out = out };
  const size_t before = out->size;
  line l;
  media_line m;
  *d = (rtsp_description){ 0 };
  while (next(&at, end, &l))
    if (read_media(&l, &m))
      begin_track(&r, &m, at, end);
    else
      take_line(&r, &l);
  if (d->count == 0)
    out->size = before;
  return d->count > 0;
}
