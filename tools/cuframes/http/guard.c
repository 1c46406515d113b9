/* guard.c - see guard.h. */
#include "guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 256

/* The header Host without its port. False: it is none. */
static bool host_parse(const char *host, char name[HOST_MAX], bool *is_v6) {
  const char *end = *host == '[' ? strchr(host, ']') : NULL;
  const char *from = end ? host + 1 : host;
  const size_t length = end ? (size_t)(end - from) : strcspn(host, ":");
  const char *rest = end ? end + 1 : from + length;
  if (length >= HOST_MAX || (*rest != '\0' && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")] != '\0')))
    return false;
  memcpy(name, from, length);
  name[length] = '\0';
  *is_v6 = end != NULL;
  if (!end && length > 0 && name[length - 1] == '.')
    name[length - 1] = '\0';
  return true;
}

bool guard_is_own_host(const char *host) {
  char name[HOST_MAX];
  struct in6_addr address;
  bool is_v6;
  if (*host == '\0')
    return true; /* HTTP/1.0; browsers always say one */
  if (!host_parse(host, name, &is_v6))
    return false;
  if (is_v6)
    return inet_pton(AF_INET6, name, &address) == 1;
  const size_t named = strlen(name), local = strlen("localhost");
  return inet_pton(AF_INET, name, &address) == 1 || strcasecmp(name, "localhost") == 0 ||
         (named > local && name[named - local - 1] == '.' && strcasecmp(name + named - local, "localhost") == 0);
}

bool guard_is_host(const char *host, const char *name) {
  char named[HOST_MAX];
  bool is_v6;
  return host_parse(host, named, &is_v6) && !is_v6 && strcasecmp(named, name) == 0;
}

bool guard_is_origin(const char *origin, const char *name) {
  const char *host = strstr(origin, "://");
  return host && guard_is_host(host + 3, name);
}

/* How much of a host and port there is without the port that the scheme has anyway. */
static size_t without_default(const char *host, bool secure) {
  const char *colon = strrchr(host, ':');
  const bool is_default = colon && strcmp(colon, secure ? ":443" : ":80") == 0 && (*host != '[' || colon[-1] == ']');
  return is_default ? (size_t)(colon - host) : strlen(host);
}

bool guard_is_own_origin(const char *origin, const char *host, bool secure) {
  const char *scheme = secure ? "https://" : "http://";
  const size_t prefix = strlen(scheme);
  if (*origin == '\0')
    return true;
  if (*host == '\0' || strncasecmp(origin, scheme, prefix) != 0)
    return false;
  const size_t length = without_default(host, secure);
  return without_default(origin + prefix, secure) == length && strncasecmp(origin + prefix, host, length) == 0;
}

bool guard_argument(const char *arguments, size_t length, const char *name, char *value, size_t size) {
  const size_t named = strlen(name);
  const char *end = arguments + length;
  for (const char *at = arguments; at < end; at += strnlen(at, (size_t)(end - at)) + 1) {
    const size_t all = strnlen(at, (size_t)(end - at));
    if (all < named || strncmp(at, name, named) != 0 || (all > named && at[named] != '='))
      continue;
    const char *from = all > named ? at + named + 1 : at + named;
    const size_t valued = (size_t)(at + all - from);
    if (valued >= size)
      return false;
    memcpy(value, from, valued);
    value[valued] = '\0';
    return true;
  }
  return false;
}

bool guard_cookie(const char *cookies, const char *name, char *value, size_t size) {
  const size_t named = strlen(name);
  for (const char *at = cookies; *at; at += strcspn(at, ";") + (at[strcspn(at, ";")] == ';')) {
    const char *from = at + strspn(at, " \t");
    const size_t all = strcspn(from, ";");
    if (all <= named || strncmp(from, name, named) != 0 || from[named] != '=')
      continue;
    const size_t valued = all - named - 1;
    if (valued >= size)
      return false;
    memcpy(value, from + named + 1, valued);
    value[valued] = '\0';
    return true;
  }
  return false;
}

/* The token behind the scheme of an Authorization; NULL: it is of another one. */
static const char *of_scheme(const char *authorization, const char *scheme) {
  const size_t length = strlen(scheme);
  if (strncasecmp(authorization, scheme, length) != 0 || authorization[length] != ' ')
    return NULL;
  return authorization + length + strspn(authorization + length, " ");
}

static int digit(char c) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

bool guard_basic(const char *authorization, char *both, size_t size) {
  const char *from = of_scheme(authorization, "basic");
  unsigned bits = 0, kept = 0;
  size_t length = 0;
  if (!from)
    return false;
  for (; digit(*from) >= 0; from++) {
    kept = (kept << 6 | (unsigned)digit(*from)) & 0xffff;
    bits += 6;
    if (bits < 8)
      continue;
    bits -= 8;
    if (length + 1 >= size)
      return false;
    both[length] = (char)(kept >> bits & 0xff);
    if (both[length++] == '\0')
      return false;
  }
  both[length] = '\0';
  return from[strspn(from, "=")] == '\0' && strchr(both, ':');
}

const char *guard_bearer(const char *authorization) {
  return of_scheme(authorization, "bearer");
}
