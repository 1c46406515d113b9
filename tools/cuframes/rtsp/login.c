/* login.c - Basic and Digest. */
#include "login.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <libavutil/base64.h>
#include <libavutil/md5.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <libavutil/sha512.h>

#define HASH_MAX 32
#define HEX_MAX (2 * HASH_MAX + 1)

bool rtsp_login_set(rtsp_login *l, const char *user, const char *password) {
  rtsp_login_free(l);
  if (user == NULL)
    return true;
  l->user = strdup(user);
  l->password = strdup(password != NULL ? password : "");
  return l->user != NULL && l->password != NULL;
}

void rtsp_login_free(rtsp_login *l) {
  if (l->password != NULL)
    explicit_bzero(l->password, strlen(l->password));
  free(l->user);
  free(l->password);
  *l = (rtsp_login){ 0 };
}

/* --- challenges --- */

/* "MD5", "sha-256-SESS", "SHA256". */
static enum rtsp_scheme scheme_of(const char *algorithm, bool *session) {
  static const struct {
    const char *name;
    enum rtsp_scheme scheme;
  } all[] = { { "MD5", RTSP_LOGIN_MD5 },
              { "SHA-256", RTSP_LOGIN_SHA256 },
              { "SHA256", RTSP_LOGIN_SHA256 },
              { "SHA-512-256", RTSP_LOGIN_SHA512_256 },
              { "SHA-512/256", RTSP_LOGIN_SHA512_256 } };
  const size_t length = strlen(algorithm);
  const size_t sess = sizeof "-sess" - 1;
  *session = length > sess && strcasecmp(algorithm + length - sess, "-sess") == 0;
  const size_t name = *session ? length - sess : length;
  if (name == 0)
    return RTSP_LOGIN_MD5;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strlen(all[i].name) == name && strncasecmp(all[i].name, algorithm, name) == 0)
      return all[i].scheme;
  return RTSP_LOGIN_NONE;
}

/* Whether "auth" is one of those offered: "auth,auth-int". */
static bool offers_auth(const char *qop) {
  while (*qop != '\0') {
    qop += strspn(qop, " ,\t");
    const size_t word = strcspn(qop, " ,\t");
    if (word == 4 && strncasecmp(qop, "auth", 4) == 0)
      return true;
    qop += word;
  }
  return false;
}

static rtsp_login read_challenge(const char *text) {
  rtsp_login c = { 0 };
  char value[256];
  const size_t word = strcspn(text, " \t");
  const char *more = text + word;
  (void)rtsp_parameter(more, "realm", c.realm, sizeof c.realm);
  if (word == 5 && strncasecmp(text, "Basic", word) == 0)
    c.scheme = RTSP_LOGIN_BASIC;
  if (word != 6 || strncasecmp(text, "Digest", word) != 0)
    return c;
  (void)rtsp_parameter(more, "algorithm", c.algorithm, sizeof c.algorithm);
  (void)rtsp_parameter(more, "opaque", c.opaque, sizeof c.opaque);
  c.scheme = scheme_of(c.algorithm, &c.session);
  if (!rtsp_parameter(more, "nonce", c.nonce, sizeof c.nonce))
    c.scheme = RTSP_LOGIN_NONE;
  if (rtsp_parameter(more, "stale", value, sizeof value))
    c.stale = strcasecmp(value, "true") == 0;
  if (rtsp_parameter(more, "qop", value, sizeof value) && *value != '\0') {
    c.qop = offers_auth(value);
    if (!c.qop)
      c.scheme = RTSP_LOGIN_NONE; /* "auth-int" alone: nobody has it */
  }
  return c;
}

bool rtsp_login_challenged(rtsp_login *l, const rtsp_message *reply) {
  char text[2048];
  rtsp_login best = { 0 };
  for (unsigned n = 0; rtsp_header(reply, "WWW-Authenticate", n, text, sizeof text); n++) {
    const rtsp_login c = read_challenge(text);
    if (c.scheme > best.scheme && !(c.scheme == RTSP_LOGIN_BASIC && l->no_basic))
      best = c;
  }
  if (best.scheme == RTSP_LOGIN_NONE)
    return false;
  best.user = l->user;
  best.password = l->password;
  best.no_basic = l->no_basic;
  *l = best;
  return true;
}

/* --- answers --- */

/* The hash of these texts, up to a NULL, with colons between them, in hexadecimal digits. False: out of memory. */
static bool digest(enum rtsp_scheme scheme, char hex[HEX_MAX], ...) {
  char text[6144];
  uint8_t hash[HASH_MAX];
  size_t length = 0;
  va_list parts;
  va_start(parts, hex);
  for (const char *part; (part = va_arg(parts, const char *)) != NULL && length < sizeof text;)
    length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", length > 0 ? ":" : "", part);
  va_end(parts);
  length = strlen(text);
  if (scheme == RTSP_LOGIN_MD5) {
    av_md5_sum(hash, (const uint8_t *)text, length);
  } else {
    const bool large = scheme == RTSP_LOGIN_SHA512_256;
    struct AVSHA *sha = large ? NULL : av_sha_alloc();
    struct AVSHA512 *sha512 = large ? av_sha512_alloc() : NULL;
    if (sha == NULL && sha512 == NULL)
      return false;
    if (large) {
      (void)av_sha512_init(sha512, 256); /* knows that size */
      av_sha512_update(sha512, (const uint8_t *)text, length);
      av_sha512_final(sha512, hash);
    } else {
      (void)av_sha_init(sha, 256);
      av_sha_update(sha, (const uint8_t *)text, length);
      av_sha_final(sha, hash);
    }
    av_free(sha);
    av_free(sha512);
  }
  explicit_bzero(text, sizeof text);
  for (int i = 0; i < (scheme == RTSP_LOGIN_MD5 ? 16 : HASH_MAX); i++)
    sprintf(hex + 2 * i, "%02x", hash[i]);
  return true;
}

/* In a quoted string, with backslashes before what would end it. */
static const char *quoted(const char *text, char *to, size_t size) {
  size_t put = 0;
  for (; *text != '\0' && put + 2 < size; text++) {
    if (*text == '"' || *text == '\\')
      to[put++] = '\\';
    to[put++] = *text;
  }
  to[put] = '\0';
  return to;
}

static void answer_basic(const rtsp_login *l, char *line, size_t size) {
  char both[1024], coded[AV_BASE64_SIZE(sizeof both)];
  snprintf(both, sizeof both, "%s:%s", l->user, l->password);
  (void)av_base64_encode(coded, sizeof coded, (const uint8_t *)both, (int)strlen(both)); /* there is room */
  snprintf(line, size, "Authorization: Basic %s\r\n", coded);
  explicit_bzero(both, sizeof both);
}

static void answer_digest(rtsp_login *l, const char *method, const char *address, char *line, size_t size) {
  char secret[HEX_MAX], what[HEX_MAX], response[HEX_MAX], nc[16], cnonce[17], user[512], realm[600], opaque[1100];
  uint64_t random = 0;
  (void)getrandom(&random, sizeof random, 0); /* at worst it is guessed */
  snprintf(cnonce, sizeof cnonce, "%016llx", (unsigned long long)random);
  snprintf(nc, sizeof nc, "%08x", ++l->count);
  *line = '\0';
  if (!digest(l->scheme, secret, l->user, l->realm, l->password, NULL) ||
      (l->session && !digest(l->scheme, secret, secret, l->nonce, cnonce, NULL)) ||
      !digest(l->scheme, what, method, address, NULL) ||
      !(l->qop ? digest(l->scheme, response, secret, l->nonce, nc, cnonce, "auth", what, NULL)
               : digest(l->scheme, response, secret, l->nonce, what, NULL)))
    return;
  int length =
      snprintf(line, size,
               "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "
               "response=\"%s\"",
               quoted(l->user, user, sizeof user), quoted(l->realm, realm, sizeof realm), l->nonce, address, response);
  const struct {
    bool has;
    const char *format, *value;
  } more[] = { { *l->algorithm != '\0', ", algorithm=%s", l->algorithm },
               { *l->opaque != '\0', ", opaque=\"%s\"", quoted(l->opaque, opaque, sizeof opaque) },
               { l->qop, ", qop=auth, nc=%s", nc },
               { l->qop || l->session, ", cnonce=\"%s\"", cnonce },
               { true, "%s", "\r\n" } };
  for (size_t i = 0; i < sizeof more / sizeof *more && length > 0 && (size_t)length < size; i++)
    if (more[i].has)
      length += snprintf(line + length, size - (size_t)length, more[i].format, more[i].value);
}

void rtsp_login_answer(rtsp_login *l, const char *method, const char *address, char *line, size_t size) {
  *line = '\0';
  if (l->user == NULL || l->scheme == RTSP_LOGIN_NONE)
    return;
  if (l->scheme == RTSP_LOGIN_BASIC)
    answer_basic(l, line, size);
  else
    answer_digest(l, method, address, line, size);
}
