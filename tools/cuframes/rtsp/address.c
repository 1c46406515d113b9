/* address.c - splitting addresses, and putting them together. */
#include "address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PORT "554"

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool decode(char *to, size_t room, const char *from, size_t length) {
  size_t put = 0;
  for (size_t i = 0; i < length; i++) {
    if (put + 1 >= room)
      return false;
    const bool escaped = from[i] == '%' && i + 2 < length && digit(from[i + 1]) >= 0 && digit(from[i + 2]) >= 0;
    to[put++] = escaped ? (char)(digit(from[i + 1]) * 16 + digit(from[i + 2])) : from[i];
    i += escaped ? 2 : 0;
  }
  to[put] = '\0';
  return true;
}

static bool read_login(rtsp_address *a, const char *from, size_t length) {
  const char *colon = memchr(from, ':', length);
  const size_t user = colon != NULL ? (size_t)(colon - from) : length;
  a->has_login = true;
  return decode(a->user, sizeof a->user, from, user) &&
         (colon == NULL || decode(a->password, sizeof a->password, colon + 1, length - user - 1));
}

/* HOST, HOST:PORT, [IPV6]:PORT */
static bool read_host(rtsp_address *a, const char *from, size_t length) {
  const bool brackets = length > 0 && *from == '[';
  const char *close = brackets ? memchr(from, ']', length) : NULL;
  if (brackets && close == NULL)
    return false;
  const char *rest = brackets ? close + 1 : memchr(from, ':', length);
  rest = rest != NULL ? rest : from + length;
  const size_t left = length - (size_t)(rest - from);
  const size_t host = brackets ? (size_t)(close - from) - 1 : (size_t)(rest - from);
  if (host == 0 || host >= sizeof a->host || (left > 0 && *rest != ':') || left > sizeof a->port)
    return false;
  snprintf(a->host, sizeof a->host, "%.*s", (int)host, from + brackets);
  snprintf(a->port, sizeof a->port, "%.*s", (int)(left > 1 ? left - 1 : sizeof PORT - 1), left > 1 ? rest + 1 : PORT);
  return strspn(a->port, "0123456789") == strlen(a->port);
}

bool rtsp_address_read(rtsp_address *a, const char *text) {
  static const char scheme[] = "rtsp://";
  *a = (rtsp_address){ 0 };
  if (strncasecmp(text, scheme, sizeof scheme - 1) != 0)
    return false;
  const char *from = text + sizeof scheme - 1;
  size_t length = strcspn(from, "/?#");
  const char *path = from + length, *at = memrchr(from, '@', length);
  if (at != NULL && !read_login(a, from, (size_t)(at - from)))
    return false;
  length -= at != NULL ? (size_t)(at + 1 - from) : 0;
  from = at != NULL ? at + 1 : from;
  if (!read_host(a, from, length))
    return false;
  const bool six = strchr(a->host, ':') != NULL;
  const int put = snprintf(a->whole, sizeof a->whole, "%s%s%s%s:%s%s%.*s", scheme, six ? "[" : "", a->host,
                           six ? "]" : "", a->port, *path == '?' ? "/" : "", (int)strcspn(path, "#"), path);
  return put > 0 && (size_t)put < sizeof a->whole;
}

static bool put(char *to, size_t size, size_t base, const char *from, const char *between, const char *control,
                const char *behind) {
  const int length = snprintf(to, size, "%.*s%s%s%s", (int)base, from, between, control, behind);
  return length > 0 && (size_t)length < size;
}

bool rtsp_address_of_track(const char *base, const char *control, unsigned way, char *to, size_t size) {
  const size_t whole = strlen(base), scheme = strncmp(base, "rtsp://", 7) == 0 ? 7 : 0;
  const size_t path = scheme + strcspn(base + scheme, "/?"), plain = strcspn(base, "?");
  if (*control == '\0' || strcmp(control, "*") == 0)
    return way == 0 && put(to, size, whole, base, "", "", "");
  if (strncmp(control + strspn(control, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), "://", 3) == 0)
    return way == 0 && put(to, size, 0, "", "", control, "");
  const bool slash = whole > 0 && base[whole - 1] == '/', rooted = *control == '/';
  const char *relative = control + rooted;
  if (rooted && way-- == 0) /* as the standard of addresses has it */
    return put(to, size, path, base, "", control, "");
  if (way == 0) /* behind all of it, a query as well: as nearly every camera means it */
    return put(to, size, whole, base, slash ? "" : "/", relative, "");
  if (base[plain] == '?' && way-- == 1) /* the query stays at the end */
    return put(to, size, plain, base, plain > 0 && base[plain - 1] == '/' ? "" : "/", relative, base + plain);
  if (way != 1)
    return false;
  const char *last = memrchr(base + path, '/', plain - path); /* in the place of the last part */
  return put(to, size, last != NULL ? (size_t)(last + 1 - base) : path, base, last != NULL ? "" : "/", relative, "");
}
