/* message.c - reading RTSP's requests and replies, as tolerantly as cameras write them: lines that end without a
 * carriage return, headers in any case, without a blank, with blanks where none belong. */
#include "message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t rtsp_head_size(const char *data, size_t size) {
  for (size_t at = 0; at < size;) {
    const char *end = memchr(data + at, '\n', size - at);
    if (end == NULL)
      return 0;
    const size_t length = (size_t)(end - data) - at;
    if (at > 0 && (length == 0 || (length == 1 && data[at] == '\r')))
      return at + length + 1;
    at += length + 1;
  }
  return 0;
}

static void copy(char *to, size_t room, const char *from, size_t length) {
  snprintf(to, room, "%.*s", (int)length, from);
}

bool rtsp_is_header(const char *line, size_t length, const char *name) {
  const size_t size = strlen(name);
  if (length <= size || strncasecmp(line, name, size) != 0)
    return false;
  const size_t blanks = strspn(line + size, " \t");
  return size + blanks < length && line[size + blanks] == ':';
}

size_t rtsp_next_line(const rtsp_message *m, const char **at, const char **line) {
  const char *end = m->head + m->head_size;
  if (*at >= end)
    return 0;
  const char *stop = memchr(*at, '\n', (size_t)(end - *at));
  stop = stop != NULL ? stop : end;
  size_t length = (size_t)(stop - *at);
  *line = *at;
  *at = stop + 1;
  while (length > 0 && isspace((unsigned char)(*line)[length - 1]))
    length--;
  return length;
}

bool rtsp_header(const rtsp_message *m, const char *name, unsigned n, char *value, size_t size) {
  const char *at = m->head, *line;
  size_t length;
  while ((length = rtsp_next_line(m, &at, &line)) > 0) {
    if (!rtsp_is_header(line, length, name) || n-- > 0)
      continue;
    const char *from = (const char *)memchr(line, ':', length) + 1, *end = line + length;
    while (from < end && isspace((unsigned char)*from))
      from++;
    copy(value, size, from, (size_t)(end - from));
    return true;
  }
  return false;
}

/* "METHOD ADDRESS RTSP/1.0" */
static bool read_request(rtsp_message *m, const char *line, size_t length) {
  char text[RTSP_WORD_MAX + RTSP_ADDRESS_MAX + 16], version[16];
  copy(text, sizeof text, line, length);
  return sscanf(text, "%31[A-Z_] %2047s RTSP/%15s", m->method, m->address, version) == 3;
}

static bool read_reply(rtsp_message *m, const char *line, size_t length) {
  char text[128];
  int major, minor, used = 0;
  copy(text, sizeof text, line, length);
  if (sscanf(text, "RTSP/%d.%d %d%n", &major, &minor, &m->status, &used) != 3 || m->status < 100 || m->status > 999)
    return false;
  const char *reason = text + used + strspn(text + used, " ");
  copy(m->reason, sizeof m->reason, reason, strcspn(reason, "\r"));
  return true;
}

bool rtsp_message_read(rtsp_message *m, const char *data, size_t head_size) {
  const char *end = memchr(data, '\n', head_size);
  char text[32];
  *m = (rtsp_message){ .number = -1, .body_size = -1, .whole_head = head_size, .body = data + head_size };
  if (end == NULL)
    return false;
  const size_t first = (size_t)(end - data);
  m->head = end + 1;
  m->head_size = head_size - first - 1;
  if (!(strncmp(data, "RTSP/", head_size < 5 ? head_size : 5) == 0 ? read_reply : read_request)(m, data, first))
    return false;
  if (rtsp_header(m, "CSeq", 0, text, sizeof text))
    m->number = strtol(text, NULL, 10);
  if (rtsp_header(m, "Content-Length", 0, text, sizeof text))
    m->body_size = strtol(text, NULL, 10);
  if (m->body_size < -1 || m->body_size > RTSP_BODY_MAX)
    m->body_size = -1;
  return true;
}

/* Where the value ends: at a semicolon or a comma that does not stand in quotes. */
static size_t value_length(const char *value) {
  bool quoted = false;
  size_t length = 0;
  for (; value[length] != '\0'; length++)
    if (quoted && value[length] == '\\' && value[length + 1] != '\0')
      length++;
    else if (value[length] == '"')
      quoted = !quoted;
    else if (!quoted && (value[length] == ';' || value[length] == ','))
      break;
  return length;
}

/* Without quotes around it, and without the backslashes that they need. */
static void copy_value(char *to, size_t room, const char *from, size_t length) {
  while (length > 0 && isspace((unsigned char)from[length - 1]))
    length--;
  const bool quoted = length > 1 && from[0] == '"' && from[length - 1] == '"';
  size_t put = 0;
  for (size_t i = quoted; i < length - quoted && put + 1 < room; i++) {
    if (quoted && from[i] == '\\' && i + 1 < length - quoted)
      i++;
    to[put++] = from[i];
  }
  to[put] = '\0';
}

bool rtsp_parameter(const char *text, const char *name, char *value, size_t size) {
  while (*text != '\0') {
    text += strspn(text, " \t;,");
    const size_t word = strcspn(text, "=;, \t"), blanks = strspn(text + word, " \t");
    const bool has_value = text[word + blanks] == '=';
    const char *from = has_value ? text + word + blanks + 1 : text + word;
    from += has_value ? strspn(from, " \t") : 0;
    const size_t length = has_value ? value_length(from) : 0;
    if (word == strlen(name) && strncasecmp(text, name, word) == 0 && word > 0) {
      copy_value(value, size, from, length);
      return true;
    }
    text = from + length;
  }
  return false;
}
