/* address_parts.c - see address_parts.h. */
#include "address_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* A part of a text, and whom to tell of what is found in it. */
typedef struct search {
  const char *end;
  bool whole;
  void (*found)(void *user, const address_part *part);
  void *user;
} search;

/* "***:", as it was shown before, with what a sentence puts behind it. */
static bool is_hidden(const char *from, const char *to) {
  if (to - from < 3 || memcmp(from, "***", 3) != 0)
    return false;
  for (from += 3; from < to; from++)
    if (!strchr(":;,.)]'\"", *from))
      return false;
  return true;
}

static void tell(const search *s, enum address_kind kind, const char *from, const char *to) {
  if (to > from && !is_hidden(from, to))
    s->found(s->user, &(address_part){ .kind = kind, .text = from, .length = (size_t)(to - from) });
}

static const char *find(const char *from, const char *end, const char *what) {
  return from < end ? memmem(from, (size_t)(end - from), what, strlen(what)) : NULL;
}

/* The first of these characters, or the end. */
static const char *first_of(const char *from, const char *end, const char *characters) {
  while (from < end && !(*from && strchr(characters, *from)))
    from++;
  return from;
}

static bool is_scheme(char c) {
  return isalnum((unsigned char)c) || c == '+' || c == '.' || c == '-';
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

int address_escaped(const char *text, size_t length) {
  if (length < 3 || text[0] != '%' || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
    return -1;
  return hex_digit(text[1]) * 16 + hex_digit(text[2]);
}

/* --- parameters --- */

static bool has(const char *name, size_t length, const char *const *words) {
  for (size_t i = 0; words[i]; i++)
    for (size_t at = 0; at + strlen(words[i]) <= length; at++)
      if (strncasecmp(name + at, words[i], strlen(words[i])) == 0)
        return true;
  return false;
}

static bool is(const char *name, size_t length, const char *const *words) {
  for (size_t i = 0; words[i]; i++)
    if (strlen(words[i]) == length && strncasecmp(name, words[i], length) == 0)
      return true;
  return false;
}

enum address_kind address_name_kind(const char *name, size_t length) {
  static const char *const secret_parts[] = { "pass", "pwd", "psw",  "secret",  "token",  "auth", "sign",
                                              "cred", "jwt", "sess", "loginpa", "cookie", NULL };
  static const char *const secrets[] = { "p",     "pw",     "pas",    "sid",      "sig",      "hmac",  "hash",
                                         "acc",   "code",   "pin",    "access",   "streamid", "hdnts", "hdnea",
                                         "hdntl", "policy", "ticket", "playpath", "nonce",    NULL };
  static const char *const name_parts[] = { "user", "usr", "login", "account", NULL };
  static const char *const names[] = { "u", "uid", "name", NULL };
  char plain[64];
  size_t used = 0;
  for (size_t i = 0; i < length && used < sizeof plain; i++) { /* "%70assword" is a name, too */
    const int c = address_escaped(name + i, length - i);
    plain[used++] = c >= 0 ? (char)c : name[i];
    i += c >= 0 ? 2 : 0;
  }
  const bool key = used >= 3 && strncasecmp(plain + used - 3, "key", 3) == 0; /* no "keyframe" */
  if (key || has(plain, used, secret_parts) || is(plain, used, secrets))
    return ADDRESS_SECRET;
  return has(plain, used, name_parts) || is(plain, used, names) ? ADDRESS_NAME : ADDRESS_NOTHING;
}

/* Each "name=value" behind one of `starts`, up to one of `ends`. */
static void find_parameters(const search *s, const char *from, const char *end, const char *starts, const char *ends) {
  for (const char *equals = from; (equals = memchr(equals, '=', (size_t)(end - equals))) != NULL; equals++) {
    const char *name = equals;
    while (name > from && !strchr("?&;#, |!", name[-1]))
      name--;
    enum address_kind kind = address_name_kind(name, (size_t)(equals - name));
    if (kind != ADDRESS_NOTHING && name > from && strchr(starts, name[-1]))
      tell(s, kind, equals + 1, first_of(equals, end, ends));
  }
}

/* --- user and password --- */

/* Whether a host, and maybe a port, stands here, with nothing behind it that belongs to neither. */
static bool is_host(const char *text, const char *end) {
  const char *at = text;
  if (at < end && *at == '[') {
    while (at < end && *at != ']')
      at++;
    at += at < end;
  } else {
    while (at < end && (isalnum((unsigned char)*at) || strchr("-._~%", *at) || (unsigned char)*at >= 0x80) && *at)
      at++;
  }
  if (at == text)
    return false;
  if (at < end && *at == ':')
    for (at++; at < end && isdigit((unsigned char)*at);)
      at++;
  return at == end || strchr("/?#|, ", *at) != NULL;
}

static const char *last_at(const char *from, const char *end) {
  return from < end ? memrchr(from, '@', (size_t)(end - from)) : NULL;
}

/* The '@' in front of the host: the last one that has a host behind it, or, strictly, the last one before the path. */
static const char *find_at(const char *authority, const char *end) {
  const char *strict_end = first_of(authority, end, "/?#");
  const char *strict = last_at(authority, strict_end);
  const char *host = last_at(authority, end);
  while (host != NULL && !is_host(host + 1, end))
    host = last_at(authority, host);
  if (host == NULL || (host > strict_end && !memchr(authority, ':', (size_t)(strict_end - authority))))
    return strict; /* one in a path: who has no password has none that goes on there */
  return host;
}

/* "host:554", "[::1]:554": a port, and no password that was cut off. */
static bool is_port(const char *colon, const char *end) {
  const char *at = colon + 1;
  while (at < end && isdigit((unsigned char)*at))
    at++;
  return at == end || strchr("/?#|,;)]'\". ", *at) != NULL || *at == ':';
}

static void tell_password(const search *s, const char *user, const char *colon, const char *end) {
  s->found(s->user, &(address_part){ .kind = ADDRESS_PASSWORD,
                                     .text = colon + 1,
                                     .length = (size_t)(end - colon - 1),
                                     .user = user,
                                     .user_length = (size_t)(colon - user) });
}

static const char *name_end_of(const char *authority, const char *end) {
  return first_of(authority, end, "/?#");
}

static void find_user(const search *s, const char *authority, const char *end) {
  const char *at = find_at(authority, end);
  const char *name_end = at ? at : name_end_of(authority, end);
  const char *bracket = authority < end && *authority == '[' ? first_of(authority, name_end, "]") : authority;
  const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : first_of(bracket, name_end, ":");
  if (at == NULL) {
    if (colon < name_end && !is_port(colon, end))
      tell(s, ADDRESS_SECRET, colon + 1, end);
    return;
  }
  if (colon == NULL || colon + 1 == at)
    tell(s, ADDRESS_NAME, authority, colon != NULL ? colon : at);
  else if (at > name_end_of(authority, end) && is_port(colon, end))
    tell(s, ADDRESS_NAME, colon + 1, at); /* a port and a path with an '@', or a password that looks like one */
  else
    for (const char *stop = at; stop != NULL && stop > colon + 1; stop = last_at(colon, stop)) /* in each reading */
      tell_password(s, authority, colon, stop);
}

/* --- addresses --- */

/* A stream key is what an RTMP server knows its sender by: all of the path behind the application. */
static void find_stream_key(const search *s, const char *authority, const char *end) {
  const char *at = find_at(authority, end), *host = at ? at + 1 : authority;
  if (at > name_end_of(authority, end)) { /* that one may stand in the password or in the key */
    tell(s, ADDRESS_SECRET, at, end);
    return;
  }
  const char *application = first_of(host, end, "/"), *stop = first_of(host, end, "?# ");
  const char *key = application < stop ? first_of(application + 1, stop, "/") : stop;
  if (key < stop)
    tell(s, ADDRESS_SECRET, key + 1, stop);
}

/* One address: its scheme ends at `separator`. */
static void find_in_address(const search *s, const char *scheme, const char *separator, const char *end) {
  const char *authority = separator + 3;
  find_user(s, authority, end);
  if (separator - scheme >= 4 && strncasecmp(scheme, "rtmp", 4) == 0)
    find_stream_key(s, authority, end);
  /* Of an input a value may have all up to the next '&'. */
  find_parameters(s, authority, end, "?&;#, |!", s->whole ? "&" : "&|");
}

static const char *scheme_of(const char *from, const char *separator) {
  while (separator > from && is_scheme(separator[-1]))
    separator--;
  return separator;
}

void address_parts_find(const char *text, size_t length, bool whole,
                        void (*found)(void *user, const address_part *part), void *user) {
  const search s = { .end = text + length, .whole = whole, .found = found, .user = user };
  const char *separator = find(text, s.end, "://");
  if (whole)
    find_parameters(&s, text, s.end, "?&;#, |!", "&");
  else if (separator != NULL) /* there may be a blank in the address, and so it does not end where it seems to */
    find_parameters(&s, text, s.end, "?&", "& \t\r\n\"'<>`");
  if (whole && separator == NULL && first_of(text, s.end, "@") < s.end) {
    const char *colon = first_of(text, s.end, ":"); /* "tcp:user:password@host" */
    if (colon < s.end && first_of(colon + 1, s.end, ":") < last_at(colon, s.end))
      find_user(&s, colon + 1, s.end);
  }
  while (separator != NULL) {
    const char *end = whole ? s.end : first_of(separator, s.end, " \t\r\n\"'<>`");
    const char *next = find(separator + 3, s.end, "://");
    find_in_address(&s, scheme_of(text, separator), separator, end);
    separator = next;
  }
}

bool address_raw_password(const char *address, size_t *from, size_t *to) {
  const char *end = address + strlen(address), *separator = strstr(address, "://");
  if (separator == NULL)
    return false;
  const char *authority = separator + 3, *strict_end = first_of(authority, end, "/?#");
  const char *colon = first_of(authority, strict_end, ":"), *at = find_at(authority, end);
  if (at == NULL || at < strict_end || colon == strict_end || last_at(authority, strict_end) != NULL ||
      is_port(colon, end))
    return false; /* in order, or it may be */
  *from = (size_t)(colon + 1 - address);
  *to = (size_t)(at - address);
  return true;
}
