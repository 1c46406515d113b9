/* fuzz_secrets.c - addresses with secrets in every place and of any characters: none is left in what is shown, of the
 * address and of lines that have parts of it, in other spellings, too; and what libavformat gets means the same.
 *
 * The input chooses the parts of an address. Secrets have no small letters, and all that may be shown has no capital
 * ones: a capital letter in what is shown is a secret that got through.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address_parts.h"
#include "common/secrets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 1024

static struct {
  const uint8_t *data;
  size_t size;
} input;

static void require(bool holds, const char *what, const char *text) {
  if (holds)
    return;
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

static unsigned choose(unsigned count) {
  unsigned byte = 0;
  if (input.size > 0) {
    byte = *input.data++;
    input.size--;
  }
  return byte % count;
}

/* A secret: four letters at least, then whatever comes, but for these characters. */
static void make_secret(char *to, const char *without) {
  static const char any[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/?#@:%&;=+,!$*()[]~^{}\\\"'<> |._-";
  size_t used = 0, length = choose(24);
  while (used < 4)
    to[used++] = any[choose(26)];
  for (size_t i = 0; i < length; i++) {
    char c = any[choose(sizeof any - 1)];
    if (!strchr(without, c))
      to[used++] = c;
  }
  to[used] = '\0';
}

static void check_shown(const char *text, const char *of) {
  for (const char *c = text; *c; c++)
    require(!isupper((unsigned char)*c), of, text);
}

static void check_hidden(const char *line, const char *of) {
  char shown[4 * ROOM];
  secrets_hide(shown, sizeof shown, line);
  check_shown(shown, of);
}

#define PIECE_UNKNOWN 3 /* characters: too few to look for, of whatever secret */

/* A line that was cut off somewhere: it may end with too few characters of a secret to know it by. */
static void check_cut(const char *line) {
  char shown[4 * ROOM];
  secrets_hide(shown, sizeof shown, line);
  const size_t length = strlen(shown);
  shown[length > PIECE_UNKNOWN ? length - PIECE_UNKNOWN : 0] = '\0';
  check_shown(shown, "a line that was cut");
}

/* The strict reading of an address, as libavformat's: what it takes for the password is the one that was meant. */
static void check_strict(const char *address, const char *password) {
  const char *authority = strstr(address, "://") + 3;
  const char *end = authority + strcspn(authority, "/?#"), *at = memrchr(authority, '@', (size_t)(end - authority));
  require(at != NULL, "no user in", address);
  const char *colon = memchr(authority, ':', (size_t)(at - authority));
  require(colon != NULL, "no password in", address);
  size_t i = 0;
  for (const char *c = colon + 1; c < at; c++, i++) {
    int code = address_escaped(c, (size_t)(at - c));
    require(password[i] == (code >= 0 ? (char)code : *c), "another password in", address);
    c += code >= 0 ? 2 : 0;
  }
  require(password[i] == '\0', "a part of the password in", address);
}

/* How others spell it: all percent-encoded, in capital or small digits. */
static void check_spellings(const char *secret) {
  char line[4 * ROOM], *to = line + snprintf(line, sizeof line, "server said ");
  const char *digits = choose(2) ? "%%%02x" : "%%%02X";
  for (const char *c = secret; *c; c++)
    if (choose(2))
      *to++ = *c;
    else
      to += snprintf(to, 4, digits, (unsigned char)*c);
  snprintf(to, 8, ", ok");
  check_hidden(line, "a spelling of the secret in");
  snprintf(line, sizeof line, "no host '%.*s' here", (int)strcspn(secret, "@:/?#&;=, "), secret);
  check_hidden(line, "a piece of the secret in");
}

/* "12/AB" may be a port and a path. */
static bool is_port(const char *text) {
  return strchr("/?#|,;)]'\". :", text[strspn(text, "0123456789")]) != NULL;
}

/* What stands in an address as it is may be meant so only if no other reading is as good. */
static void check_meaning(const char *encoded, const char *password) {
  const char *special = strpbrk(password, "/?#");
  if (special != NULL && !memchr(password, '@', (size_t)(special - password)) && !is_port(password))
    check_strict(encoded, password);
}

/* An address and its secrets, and lines about it. */
static void check_address(void) {
  static const char *const schemes[] = { "rtsp", "rtsps",      "http",        "https",         "srt",
                                         "rtmp", "async:http", "crypto:http", "concat:a|http", "hls+https" };
  static const char *const hosts[] = { "host", "10.0.0.5", "[fe80::1]", "cam.example.org" };
  static const char *const ports[] = { "", ":554", ":8080" };
  static const char *const paths[] = { "", "/", "/live/one", "/a@b", "/x.m3u8" };
  static const char *const names[] = { "token", "password", "pwd",    "passphrase", "api_key",
                                       "auth",  "sig",      "%70ass", "streamid" };
  char password[ROOM], value[ROOM], address[4 * ROOM], line[5 * ROOM], key[16] = "";
  make_secret(password, "");
  make_secret(value, "&");
  const unsigned form = choose(8), path = choose(5), scheme = choose(10);
  const bool login = form & 1, parameters = form & 2;
  if ((form & 4) && strcmp(schemes[scheme], "rtmp") == 0)
    snprintf(key, sizeof key, "/app/KEY%u", choose(100));
  int used = snprintf(address, sizeof address, "%s://%s%s%s%s%s%s%s", schemes[scheme], login ? "admin:" : "",
                      login ? password : "", login ? "@" : "", hosts[choose(4)], ports[choose(3)], paths[path], key);
  if (parameters)
    snprintf(address + used, sizeof address - (size_t)used, "?one=two&%s=%s&three=four", names[choose(9)], value);
  char *shown = secrets_shown(address), *encoded = secrets_encoded(address);
  require(shown != NULL && encoded != NULL, "no memory", "");
  check_shown(shown, "shown");
  require(strstr(shown, "://") != NULL, "no address", shown);
  secrets_learn(address);
  secrets_learn(encoded);
  snprintf(line, sizeof line, "[tcp] connection to %s failed", address);
  check_hidden(line, "a line");
  snprintf(line, sizeof line, "cannot open '%s'", encoded);
  check_hidden(line, "a line");
  snprintf(line, sizeof line, "%.*s", (int)choose(255), address);
  check_cut(line);
  if (login && !is_port(password))
    check_spellings(password);
  if (login && path != 3 && !(parameters && strchr(value, '@')) && schemes[scheme][0] != 'c')
    check_meaning(encoded, password);
  if (parameters && !(login && strchr(value, '@')))
    check_spellings(value);
  free(shown);
  free(encoded);
}

static void encode_basic(char *to, const char *text) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t length = strlen(text);
  for (size_t i = 0; i < length; i += 3) {
    unsigned three = (unsigned)(unsigned char)text[i] << 16;
    three |= i + 1 < length ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
    three |= i + 2 < length ? (unsigned)(unsigned char)text[i + 2] : 0;
    *to++ = digits[three >> 18];
    *to++ = digits[three >> 12 & 63];
    *to++ = i + 1 < length ? digits[three >> 6 & 63] : '=';
    *to++ = i + 2 < length ? digits[three & 63] : '=';
  }
  *to = '\0';
}

/* A user and a password that are given beside the address. */
static void check_login(void) {
  char password[ROOM], user[ROOM], both[2 * ROOM + 2], basic[4 * ROOM], line[5 * ROOM], shown[5 * ROOM];
  const char *why = NULL;
  make_secret(password, "");
  make_secret(user, "");
  secrets_learn_password(user, password);
  char *address = secrets_insert("rtsp://host:554/live?one=two", user, password, &why);
  require(address != NULL, "not inserted", why);
  require(strstr(address, "@host:554/live?one=two") != NULL, "another address", address);
  check_strict(address, password);
  check_spellings(password);
  snprintf(both, sizeof both, "%s:%s", user, password);
  encode_basic(basic, both);
  snprintf(line, sizeof line, "Authorization: Basic %s", basic);
  secrets_hide(shown, sizeof shown, line);
  basic[strcspn(basic, "=")] = '\0';
  require(strstr(shown, basic) == NULL, "Base64 in", shown);
  free(address);
  require(secrets_insert("rtsp://a:b@host/", user, password, &why) == NULL, "inserted twice", why);
  require(secrets_insert("file.mp4", user, password, &why) == NULL, "inserted into a file", why);
}

/* Anything at all: what is shown fits, and ends. */
static void check_any(void) {
  char text[ROOM], shown[64];
  size_t length = input.size < sizeof text - 1 ? input.size : sizeof text - 1;
  memcpy(text, input.data, length);
  text[length] = '\0';
  secrets_learn(text);
  secrets_learn_option("headers", text);
  secrets_learn_option("cookies", text);
  secrets_hide(shown, sizeof shown, text);
  require(memchr(shown, '\0', sizeof shown) != NULL, "no end", "");
  char *of_input = secrets_shown(text), *encoded = secrets_encoded(text);
  free(of_input);
  free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input.data = data;
  input.size = size;
  secrets_forget();
  const unsigned kind = choose(4);
  if (kind == 0)
    check_any();
  else if (kind == 1)
    check_login();
  else
    check_address();
  return 0;
}
