/* secrets.c - what is known to be secret, and the texts without it; how an address is taken apart: address_parts.c. */
#include "secrets.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include "address_parts.h"

#define STARS "***"
#define PIECE_LEAST 4 /* a part of a secret that is looked for by itself; shorter ones are in too many words */
#define KNOWN_MOST 4096

/* As they are meant: compared with texts in which each character may be percent-encoded. */
typedef struct known {
  struct known *next;
  size_t length;
  char text[];
} known;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static known *all;
static size_t known_count;

static void add(const char *text, size_t length) {
  pthread_mutex_lock(&lock);
  bool there = length == 0 || known_count == KNOWN_MOST;
  for (const known *k = all; k != NULL && !there; k = k->next)
    there = k->length == length && memcmp(k->text, text, length) == 0;
  known *added = there ? NULL : malloc(sizeof *added + length);
  if (added != NULL) {
    added->length = length;
    memcpy(added->text, text, length);
    known **at = &all; /* the longest first, so that it is hidden whole */
    while (*at != NULL && (*at)->length > length)
      at = &(*at)->next;
    added->next = *at;
    *at = added;
    known_count++;
  }
  pthread_mutex_unlock(&lock);
}

static bool is_small(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!islower((unsigned char)text[i]))
      return false;
  return true;
}

/* Who misunderstands an address shows parts of it: "cannot resolve host" and what stands behind the first '@'. */
static void add_pieces(const char *text, size_t length) {
  static const char ends[] = "@:/?#&;=, \t\r\n";
  for (size_t from = 0; from < length;) {
    size_t to = from;
    while (to < length && !memchr(ends, text[to], sizeof ends - 1))
      to++;
    const bool scheme = to + 2 < length && memcmp(text + to, "://", 3) == 0 && is_small(text + from, to - from);
    if (to - from >= PIECE_LEAST && !scheme)
      add(text + from, to - from);
    from = to + 1;
  }
}

static size_t decode(char *to, const char *text, size_t length) {
  size_t used = 0;
  for (size_t i = 0; i < length; i++) {
    int c = address_escaped(text + i, length - i);
    to[used++] = c >= 0 ? (char)c : text[i];
    i += c >= 0 ? 2 : 0;
  }
  return used;
}

static void learn(const char *text, size_t length) {
  char *decoded = malloc(length + 1);
  add(text, length);
  add_pieces(text, length);
  if (decoded == NULL)
    return;
  size_t size = decode(decoded, text, length);
  add(decoded, size);
  add_pieces(decoded, size);
  free(decoded);
}

/* Base64, without its "=", which tell nothing. */
static size_t encode_base64(char *to, const unsigned char *plain, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t used = 0;
  for (size_t i = 0; i < length; i += 3) {
    const size_t left = length - i;
    const unsigned three =
        (unsigned)plain[i] << 16 | (left > 1 ? plain[i + 1] : 0u) << 8 | (left > 2 ? plain[i + 2] : 0u);
    to[used++] = digits[three >> 18];
    to[used++] = digits[three >> 12 & 63];
    if (left > 1)
      to[used++] = digits[three >> 6 & 63];
    if (left > 2)
      to[used++] = digits[three & 63];
  }
  return used;
}

/* "user:password", as HTTP and RTSP send it. escaped: as in an address. */
static void learn_basic(const char *user, size_t user_length, const char *password, size_t length, bool escaped) {
  const size_t room = user_length + length + 1;
  char *plain = malloc(room), *text = malloc((room + 2) / 3 * 4);
  if (plain != NULL && text != NULL) {
    memcpy(plain, user, user_length);
    size_t used = escaped ? decode(plain, user, user_length) : user_length;
    plain[used++] = ':';
    memcpy(plain + used, password, length);
    used += escaped ? decode(plain + used, password, length) : length;
    add(text, encode_base64(text, (const unsigned char *)plain, used));
  }
  free(plain);
  free(text);
}

/* "?key=25" is hidden where it stands; a text has too many such numbers. */
static bool is_small_number(const char *text, size_t length) {
  size_t digits = 0;
  while (digits < length && isdigit((unsigned char)text[digits]))
    digits++;
  return length < 3 || (length < 6 && digits == length);
}

static void learn_part(void *user, const address_part *part) {
  (void)user;
  if (part->kind == ADDRESS_PASSWORD || (part->kind == ADDRESS_SECRET && !is_small_number(part->text, part->length)))
    learn(part->text, part->length);
  if (part->kind == ADDRESS_PASSWORD)
    learn_basic(part->user, part->user_length, part->text, part->length, true);
}

void secrets_learn(const char *input) {
  address_parts_find(input, strlen(input), true, learn_part, NULL);
}

void secrets_learn_password(const char *user, const char *password) {
  const size_t length = strlen(password);
  add(password, length);
  add_pieces(password, length);
  if (user != NULL)
    learn_basic(user, strlen(user), password, length, false);
}

void secrets_forget(void) {
  pthread_mutex_lock(&lock);
  for (known *next; all != NULL; all = next) {
    next = all->next;
    explicit_bzero(all->text, all->length);
    free(all);
  }
  known_count = 0;
  pthread_mutex_unlock(&lock);
}

bool secrets_is_telling(const char *name, size_t length) {
  return address_name_kind(name, length) != ADDRESS_NOTHING;
}

static void add_trimmed(const char *text, size_t length) {
  for (; length > 0 && isspace((unsigned char)*text); text++)
    length--;
  while (length > 0 && isspace((unsigned char)text[length - 1]))
    length--;
  if (length >= PIECE_LEAST)
    add(text, length);
}

/* "Authorization: Basic TEXT" and what follows on further lines: each value, and it without its first word. */
static void learn_headers(const char *text) {
  static const char *const public[] = { "accept", "user-agent", "referer", "range", "host", "origin", "connection" };
  for (size_t length; *text; text += length + (text[length] != '\0')) {
    length = strcspn(text, "\r\n");
    const char *colon = memchr(text, ':', length);
    bool shown = colon == NULL;
    for (size_t i = 0; i < sizeof public / sizeof *public; i++)
      shown = shown || strncasecmp(text, public[i], strlen(public[i])) == 0;
    if (shown)
      continue;
    const char *value = colon + 1 + strspn(colon + 1, " "), *end = text + length;
    const char *blank = value < end ? memchr(value, ' ', (size_t)(end - value)) : NULL;
    add_trimmed(value, (size_t)(end - value));
    if (blank != NULL)
      add_trimmed(blank, (size_t)(end - blank));
  }
}

/* "name=VALUE; path=/; domain=host", one on each line, or several as a browser sends them. */
static void learn_cookies(const char *text) {
  static const char *const public[] = { "path", "domain", "expires", "max-age", "samesite", "version" };
  for (size_t length; *text; text += length + (text[length] != '\0')) {
    length = strcspn(text, ";\r\n");
    const char *name = text + strspn(text, " "), *equals = memchr(text, '=', length);
    bool shown = equals == NULL;
    for (size_t i = 0; i < sizeof public / sizeof *public; i++)
      shown = shown || strncasecmp(name, public[i], strlen(public[i])) == 0;
    if (!shown)
      add_trimmed(equals + 1, (size_t)(text + length - equals - 1));
  }
}

void secrets_learn_option(const char *name, const char *value) {
  secrets_learn(value); /* an address, or parameters of one */
  if (strcmp(name, "headers") == 0)
    learn_headers(value);
  else if (strstr(name, "cookie") != NULL)
    learn_cookies(value);
  else if (address_name_kind(name, strlen(name)) == ADDRESS_SECRET || strncmp(name, "rtmp_play", 9) == 0)
    learn(value, strlen(value));
}

/* --- hiding --- */

/* The parts to hide, as marks on each character: texts are short, and there are few of them. */
typedef struct marks {
  const char *text;
  char *hidden; /* one for each character */
} marks;

static void mark_part(void *user, const address_part *part) {
  marks *m = user;
  memset(m->hidden + (part->text - m->text), 1, part->length);
}

static bool is_word(char c) {
  return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* How many characters of the text are the secret's rest, from `i` on; -1: it is another text. One that ends
 * before the secret does may have been cut off. */
static ssize_t match(const known *k, size_t i, const char *text, size_t length) {
  size_t at = 0;
  for (; i < k->length && at < length; i++) {
    const bool is_escape = address_escaped(text + at, length - at) == (unsigned char)k->text[i];
    if (is_escape && text[at] == k->text[i]) { /* "%25" is a '%', or it begins with one: the one or the other fits */
      ssize_t rest = match(k, i + 1, text + at + 3, length - at - 3);
      if (rest >= 0)
        return (ssize_t)at + 3 + rest;
    }
    if (text[at] == k->text[i] || (text[at] == '+' && k->text[i] == ' '))
      at++;
    else if (is_escape)
      at += 3;
    else
      return -1;
  }
  return i < k->length && i < PIECE_LEAST ? -1 : (ssize_t)at;
}

static void mark_known(marks *m, size_t length) {
  pthread_mutex_lock(&lock);
  for (const known *k = all; k != NULL; k = k->next) {
    for (size_t i = 0; i < length; i++) {
      const ssize_t matched = match(k, 0, m->text + i, length - i);
      const size_t size = matched > 0 ? (size_t)matched : 0;
      /* A short one is looked for as a word: "cam" is not the beginning of "camera". */
      const bool within = k->length < PIECE_LEAST &&
                          ((i > 0 && is_word(m->text[i - 1])) || (i + size < length && is_word(m->text[i + size])));
      if (size > 0 && !within)
        memset(m->hidden + i, 1, size);
    }
  }
  pthread_mutex_unlock(&lock);
}

/* Copies what is not marked, and stars for the rest. */
static void copy_marked(char *to, size_t size, const marks *m, size_t length) {
  size_t used = 0;
  for (size_t i = 0; i < length; i++) {
    const bool begins = m->hidden[i] && (i == 0 || !m->hidden[i - 1]);
    if (begins && used + strlen(STARS) < size)
      used += (size_t)snprintf(to + used, size - used, STARS);
    else if (begins || (!m->hidden[i] && used + 1 >= size))
      break;
    else if (!m->hidden[i])
      to[used++] = m->text[i];
  }
  to[used] = '\0';
}

static void hide(char *to, size_t size, const char *text, bool whole) {
  const size_t length = strlen(text);
  marks m = { .text = text, .hidden = calloc(length + 1, 1) };
  if (m.hidden == NULL) {
    snprintf(to, size, STARS); /* better nothing than too much */
    return;
  }
  address_parts_find(text, length, whole, mark_part, &m);
  mark_known(&m, length);
  copy_marked(to, size, &m, length);
  free(m.hidden);
}

void secrets_hide(char *to, size_t size, const char *text) {
  hide(to, size, text, false);
}

char *secrets_shown(const char *input) {
  const size_t room = strlen(input) * strlen(STARS) + 1;
  char *shown = malloc(room);
  if (shown != NULL)
    hide(shown, room, input, true);
  return shown;
}

/* --- addresses for libavformat --- */

/* Appends with "%2F" for what would end a user's name or a password. */
static size_t encode(char *to, const char *text, size_t length) {
  static const char digits[] = "0123456789ABCDEF", plain[] = "-._~!$&'()*+,;=";
  size_t used = 0;
  for (size_t i = 0; i < length; i++) {
    const unsigned char c = (unsigned char)text[i];
    if ((c < 0x80 && isalnum(c)) || (c != '\0' && strchr(plain, c))) {
      to[used++] = (char)c;
    } else {
      to[used++] = '%';
      to[used++] = digits[c >> 4];
      to[used++] = digits[c & 15];
    }
  }
  return used;
}

char *secrets_insert(const char *address, const char *user, const char *password, const char **why) {
  const char *authority = strstr(address, "://");
  *why = "a user or a password goes with an address such as rtsp://host/path";
  if (authority == NULL)
    return NULL;
  authority += 3;
  const char *rest = authority + strcspn(authority, "/?#"), *at = memrchr(authority, '@', (size_t)(rest - authority));
  *why = user ? "the address has a user already: leave one of the two out" : "there is no user for the password";
  if ((user != NULL) != (at == NULL))
    return NULL;
  *why = "the address has a password already: leave one of the two out";
  if (at != NULL && memchr(authority, ':', (size_t)(at - authority)))
    return NULL;
  *why = "out of memory";
  const size_t user_length = user ? strlen(user) : 0;
  char *made = malloc(strlen(address) + 3 * (user_length + (password ? strlen(password) : 0)) + 3);
  if (made == NULL)
    return NULL;
  const size_t before = (size_t)((at ? at : authority) - address);
  memcpy(made, address, before);
  size_t used = before + (user ? encode(made + before, user, user_length) : 0);
  if (password != NULL) {
    made[used++] = ':';
    used += encode(made + used, password, strlen(password));
  }
  made[used++] = '@';
  strcpy(made + used, at ? at + 1 : authority);
  return made;
}

char *secrets_encoded(const char *address) {
  size_t from, to;
  if (!address_raw_password(address, &from, &to))
    return strdup(address);
  char *made = malloc(from + 3 * (to - from) + strlen(address + to) + 1);
  if (made == NULL)
    return NULL;
  memcpy(made, address, from);
  strcpy(made + from + encode(made + from, address + from, to - from), address + to);
  return made;
}
