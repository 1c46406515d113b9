/* login.c - see login.h. */
#include "login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/cli.h"
#include "guard.h"

#define ENTRIES_MAX 64
#define SECRET_BYTES 16
#define FAILURES_KEPT 64
#define ADDRESS_KEPT 8 /* bytes of an IPv6 address: the rest is the client's own choice */

typedef struct failure {
  uint8_t address[LOGIN_ADDRESS];
  int64_t until;
} failure;

struct login {
  char entries[ENTRIES_MAX][LOGIN_TEXT]; /* zeros behind each: compared whole */
  size_t count;
  bool passwords; /* else it is one token */
  char secret[2 * SECRET_BYTES + 1];
  failure failures[FAILURES_KEPT];
};

/* ---- the file ---- */

static int refuse(const char *path, const char *why) {
  cli_error("--login %s: %s", path, why);
  return CLI_FAILED;
}

static int line_take(login *l, const char *path, unsigned number, char *line) {
  line[strcspn(line, "\r")] = '\0';
  const char *colon = strchr(line, ':');
  const bool password = colon != NULL;
  if (*line == '\0' || *line == '#')
    return CLI_OK;
  if (l->count == ENTRIES_MAX)
    return refuse(path, "it has more than 64 lines");
  if (l->count > 0 && (!password || !l->passwords))
    return refuse(path, "it takes lines USER:PASSWORD, or a token as its only line");
  if (*line == ':' || (!password && line[strcspn(line, " \t")] != '\0')) {
    cli_error("--login %s: line %u is neither USER:PASSWORD nor a token", path, number);
    return CLI_FAILED;
  }
  if (password && colon[1] == '\0') { /* a script whose variable was empty, more likely than a wish */
    cli_error("--login %s: line %u has no password behind the colon", path, number);
    return CLI_FAILED;
  }
  l->passwords = password;
  strcpy(l->entries[l->count++], line);
  return CLI_OK;
}

/* Reads a line without its end. False: there is none, or it does not do, and `why` says so. A zero byte would end a
 * password early, without a word, and a file of nothing else would never end. */
static bool line_read(FILE *file, char line[LOGIN_TEXT], const char **why) {
  size_t length = 0;
  int c = getc(file);
  if (c == EOF)
    return false;
  for (; c != EOF && c != '\n'; c = getc(file)) {
    *why = c == '\0' ? "there is a zero byte in it" : length + 1 == LOGIN_TEXT ? "a line of it is too long" : NULL;
    if (*why)
      return false;
    line[length++] = (char)c;
  }
  line[length] = '\0';
  return true;
}

static int lines_take(login *l, const char *path, FILE *file) {
  char line[LOGIN_TEXT];
  const char *why = NULL;
  int code = CLI_OK;
  for (unsigned number = 1; !code && line_read(file, line, &why); number++)
    code = line_take(l, path, number, line);
  explicit_bzero(line, sizeof line);
  if (!code && ferror(file))
    why = strerror(errno);
  if (!code && why)
    code = refuse(path, why);
  return !code && l->count == 0 ? refuse(path, "it has neither a line USER:PASSWORD nor a token") : code;
}

static bool secret_make(login *l) {
  uint8_t random[SECRET_BYTES];
  if (getrandom(random, sizeof random, 0) != sizeof random)
    return false;
  for (size_t i = 0; i < sizeof random; i++)
    snprintf(l->secret + 2 * i, 3, "%02x", random[i]);
  return true;
}

int login_read(const char *path, login **read) {
  struct stat status;
  FILE *file = fopen(path, "re");
  if (!file)
    return refuse(path, strerror(errno));
  if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & (S_IROTH | S_IWOTH))) {
    fclose(file);
    cli_error("--login %s: everybody here may read or write it: chmod 600 %s", path, path);
    return CLI_FAILED;
  }
  login *l = calloc(1, sizeof *l);
  int code = l && secret_make(l) ? lines_take(l, path, file) : refuse(path, "out of memory");
  fclose(file);
  if (code)
    login_free(l);
  else
    *read = l;
  return code;
}

void login_free(login *l) {
  if (!l)
    return;
  explicit_bzero(l, sizeof *l);
  free(l);
}

bool login_has_passwords(const login *l) {
  return l->passwords;
}

/* ---- who asks ---- */

/* As long for any two texts of this room. */
static bool same(const char *a, const char *b, size_t size) {
  volatile unsigned char differs = 0;
  for (size_t i = 0; i < size; i++)
    differs |= (unsigned char)(a[i] ^ b[i]);
  return differs == 0;
}

static bool is_entry(const login *l, const char *text) {
  char whole[LOGIN_TEXT] = "";
  const size_t length = strlen(text);
  bool found = false;
  if (length == 0 || length >= sizeof whole)
    return false;
  memcpy(whole, text, length + 1);
  for (size_t i = 0; i < l->count; i++)
    found |= same(l->entries[i], whole, LOGIN_TEXT);
  explicit_bzero(whole, sizeof whole);
  return found;
}

bool login_fits(const login *l, const char *authorization, const char *token) {
  char both[LOGIN_TEXT];
  const char *bearer = guard_bearer(authorization);
  if (!l->passwords)
    return is_entry(l, bearer ? bearer : token);
  const bool found = guard_basic(authorization, both, sizeof both) && is_entry(l, both);
  explicit_bzero(both, sizeof both);
  return found;
}

const char *login_secret(const login *l) {
  return l->secret;
}

bool login_is_secret(const login *l, const char *value) {
  return strlen(value) == sizeof l->secret - 1 && same(l->secret, value, sizeof l->secret);
}

/* ---- who guesses ---- */

static bool is_v4(const uint8_t address[LOGIN_ADDRESS]) {
  static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
  return memcmp(address, mapped, sizeof mapped) == 0;
}

static bool is_of(const failure *f, const uint8_t address[LOGIN_ADDRESS]) {
  const size_t kept = is_v4(address) ? LOGIN_ADDRESS : ADDRESS_KEPT;
  return memcmp(f->address, address, kept) == 0;
}

void login_failed(login *l, const uint8_t address[LOGIN_ADDRESS], int64_t now) {
  failure *to = &l->failures[0];
  for (size_t i = 0; i < FAILURES_KEPT; i++) {
    if (is_of(&l->failures[i], address)) {
      to = &l->failures[i];
      break;
    }
    if (l->failures[i].until < to->until)
      to = &l->failures[i];
  }
  memcpy(to->address, address, LOGIN_ADDRESS);
  to->until = now + LOGIN_SLOW_US;
}

bool login_is_slowed(const login *l, const uint8_t address[LOGIN_ADDRESS], int64_t now) {
  for (size_t i = 0; i < FAILURES_KEPT; i++)
    if (is_of(&l->failures[i], address) && l->failures[i].until > now)
      return true;
  return false;
}
