/* fuzz_http.c - what browsers and others send to the HTTP server of the program and it takes apart itself: Host,
 * Origin, arguments of a query, cookies, Authorization. Each result is compared with another way to find it.
 *
 * The first byte of the input chooses what it is, the first line and the rest are its two texts. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "http/guard.h"
#include "http/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 2048
#define PASSWORD "ann:secret"
#define TOKEN "abcDEF-._~+/="

static void require(bool holds, const char *what, const char *text) {
  if (holds)
    return;
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

/* What login.c says of its file; it has nothing to say here. */
void cli_error(const char *format, ...) {
  require(false, "a message", format);
}

/* ---- hosts ---- */

static void lower(char *to, const char *from) {
  do
    *to++ = (char)tolower((unsigned char)*from);
  while (*from++);
}

static void cut_end(char *text, const char *end) {
  const size_t length = strlen(text), ended = strlen(end);
  if (length >= ended && strcmp(text + length - ended, end) == 0)
    text[length - ended] = '\0';
}

/* Colons that are no port's are between brackets. */
static void cut_port(char *text, const char *port) {
  const char *colon = strrchr(text, ':');
  if (colon && (*text != '[' || colon[-1] == ']'))
    cut_end(text, port);
}

static void check_origin(const char *origin, const char *host) {
  char one[ROOM], other[ROOM];
  for (int secure = 0; secure < 2; secure++) {
    const char *scheme = secure ? "https://" : "http://", *port = secure ? ":443" : ":80";
    lower(one, origin);
    lower(other, host);
    bool same = strncmp(one, scheme, strlen(scheme)) == 0 && *host;
    char *rest = same ? one + strlen(scheme) : one;
    cut_port(rest, port);
    cut_port(other, port);
    same = *origin == '\0' || (same && strcmp(rest, other) == 0);
    require(guard_is_own_origin(origin, host, secure) == same, "an origin", origin);
  }
  require(!guard_is_origin(origin, "cams.example.org") || strcasestr(origin, "://cams.example.org"), "a name", origin);
}

/* A name is localhost at its end, and everything else is made of what addresses are made of. */
static void check_host(const char *host) {
  char text[ROOM];
  if (*host == '\0' || !guard_is_own_host(host))
    return;
  lower(text, host);
  require(text[strspn(text, "0123456789abcdef.:[]")] == '\0' || strstr(text, "localhost"), "a host", host);
  require(!strpbrk(text, "/@\\") || strstr(text, ".localhost"), "more than a host", host);
  if (!strstr(text, "localhost"))
    return;
  text[strcspn(text, ":")] = '\0';
  cut_end(text, ".");
  require(strlen(text) >= 9 && strcmp(text + strlen(text) - 9, "localhost") == 0, "another host", host);
}

/* ---- lists ---- */

/* The value of the first "name=value" of the list; NULL: there is none. The list is taken apart. */
static char *value_of(char *list, const char *separator, const char *name, bool bare) {
  for (char *one; (one = strsep(&list, separator)) != NULL;) {
    if (*separator == ';')
      one += strspn(one, " \t");
    const size_t length = strlen(name);
    if (strncmp(one, name, length) == 0 && one[length] == '=')
      return one + length + 1;
    if (bare && strcmp(one, name) == 0)
      return one + length;
  }
  return NULL;
}

static void compare(bool found, const char *value, const char *wanted, size_t size, const char *list) {
  require(found == (wanted && strlen(wanted) < size), "found or not", list);
  require(!found || strcmp(value, wanted) == 0, "another value", list);
}

static void check_argument(const char *list, const char *name) {
  char parts[ROOM], copy[ROOM], value[32] = "";
  const size_t length = strlen(list) + 1;
  strcpy(copy, list);
  for (size_t i = 0; i < length; i++)
    parts[i] = (char)(list[i] == '&' ? '\0' : list[i]);
  const bool found = guard_argument(parts, length, name, value, sizeof value);
  compare(found, value, value_of(copy, "&", name, true), sizeof value, list);
  require(found || *value == '\0', "touched", list);
}

static void check_cookie(const char *list, const char *name) {
  char copy[ROOM], value[32] = "";
  strcpy(copy, list);
  const bool found = guard_cookie(list, name, value, sizeof value);
  if (*name)
    compare(found, value, value_of(copy, ";", name, false), sizeof value, list);
}

/* ---- logins ---- */

static login *login_of(const char *text) {
  char path[64];
  login *made = NULL;
  const int fd = memfd_create("login", MFD_CLOEXEC);
  require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, 0600) == 0, "no file", text);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  require(login_read(path, &made) == CLI_OK, "no login", text);
  close(fd);
  return made;
}

static void check_login(const char *authorization, const char *token) {
  static login *passwords, *one;
  char both[LOGIN_TEXT];
  if (!passwords) {
    passwords = login_of(PASSWORD "\n");
    one = login_of(TOKEN);
  }
  const char *bearer = guard_bearer(authorization);
  const bool basic = guard_basic(authorization, both, sizeof both);
  require(!basic || (strlen(both) < sizeof both && strchr(both, ':')), "no password", authorization);
  require(login_fits(passwords, authorization, token) == (basic && strcmp(both, PASSWORD) == 0), "a password",
          authorization);
  require(login_fits(one, authorization, token) == (strcmp(bearer ? bearer : token, TOKEN) == 0), "a token",
          authorization);
}

/* Encoded as browsers do it, it comes out as it was. */
static void check_basic(const char *text) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char coded[4 * ROOM], both[LOGIN_TEXT], *to = coded + sprintf(coded, "Basic ");
  const size_t length = strlen(text);
  for (size_t i = 0; i < length; i += 3) {
    const size_t left = length - i;
    unsigned three = (unsigned)(unsigned char)text[i] << 16;
    three |= left > 1 ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
    three |= left > 2 ? (unsigned)(unsigned char)text[i + 2] : 0;
    *to++ = digits[three >> 18];
    *to++ = digits[three >> 12 & 63];
    *to++ = left > 1 ? digits[three >> 6 & 63] : '=';
    *to++ = left > 2 ? digits[three & 63] : '=';
  }
  *to = '\0';
  const bool fits = guard_basic(coded, both, sizeof both);
  require(fits == (length < sizeof both && strchr(text, ':') != NULL), "taken or not", text);
  require(!fits || strcmp(both, text) == 0, "another text", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[ROOM];
  if (size == 0 || size >= sizeof text)
    return 0;
  memcpy(text, data + 1, size - 1);
  text[size - 1] = '\0';
  char *line = strchr(text, '\n'), *first = text, *second = line ? line + 1 : text + strlen(text);
  if (line)
    *line = '\0';
  switch (data[0] % 6) {
    case 0: check_origin(first, second); break;
    case 1: check_host(first); break;
    case 2: check_argument(first, second); break;
    case 3: check_cookie(first, second); break;
    case 4: check_login(first, second); break;
    default: check_basic(first); break;
  }
  return 0;
}
