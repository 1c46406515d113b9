/* publish_login.c - user and password of an input: from where they are kept into the address that is opened. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cli.h"
#include "common/secrets.h"
#include "publish_options.h"

#define LINE_MOST 1024

bool publish_is_public(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IROTH);
}

/* The first line of the file, without its end; NULL after a message. */
static char *read_password(const char *name, const char *path) {
  char line[LINE_MOST];
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    cli_error("%s: cannot read the password from %s: %s", name, path, strerror(errno));
    return NULL;
  }
  const char *read = fgets(line, sizeof line, file);
  const int error = ferror(file) ? errno : 0;
  (void)fclose(file); /* it was only read */
  if (read != NULL)
    line[strcspn(line, "\r\n")] = '\0';
  if (error != 0 || read == NULL || *line == '\0') {
    cli_error("%s: cannot read the password from %s: %s", name, path,
              error ? strerror(error) : "its first line is empty");
    return NULL;
  }
  if (publish_is_public(path))
    cli_note("%s: everybody may read the password in %s: chmod 600 %s", name, path, path);
  char *password = strdup(line);
  explicit_bzero(line, sizeof line);
  if (password == NULL)
    cli_error("%s: out of memory", name);
  return password;
}

static bool is_srt(const char *input) {
  return strncmp(input, "srt://", 6) == 0;
}

/* Of "headers=Authorization: ..." and the like; they stand there line by line. */
static void learn_options(const char *lines) {
  char *copy = strdup(lines), *rest = copy;
  for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
    char *equals = strchr(line, '=');
    if (equals == NULL)
      continue;
    *equals = '\0';
    secrets_learn_option(line, equals + 1);
  }
  free(copy);
}

/* libavformat logs in only where there is a colon; a password may be empty, as many cameras have it at first. */
static char *with_colon(char *address) {
  static const char *const schemes[] = { "rtsp://", "rtsps://", "http://", "https://" };
  for (size_t i = 0; address != NULL && i < sizeof schemes / sizeof *schemes; i++) {
    const size_t scheme = strlen(schemes[i]);
    if (strncmp(address, schemes[i], scheme) != 0)
      continue;
    const char *authority = address + scheme;
    const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));
    if (at == NULL || memchr(authority, ':', (size_t)(at - authority)) != NULL)
      return address;
    char *made = malloc(strlen(address) + 2);
    if (made != NULL)
      sprintf(made, "%.*s:%s", (int)(at - address), address, at);
    free(address);
    return made;
  }
  return address;
}

int publish_login_complete(publish_options *o) {
  secrets_learn(o->input);
  if (o->input_options != NULL)
    learn_options(o->input_options);
  if (o->password != NULL && o->password_file != NULL)
    return cli_usage("%s: either password or password-file", o->name);
  if (o->password_file != NULL && (o->password = read_password(o->name, o->password_file)) == NULL)
    return CLI_FAILED;
  if (o->password != NULL)
    secrets_learn_password(o->user, o->password);
  if (o->password != NULL && o->user == NULL && is_srt(o->input)) {
    o->passphrase = strdup(o->password); /* SRT has no users */
    o->address = strdup(o->input);
  } else if (o->user != NULL || o->password != NULL) {
    const char *why;
    o->address = secrets_insert(o->input, o->user, o->password, &why);
    if (o->address == NULL)
      return cli_usage("%s: %s", o->name, why);
    secrets_learn(o->address); /* as libavformat spells it */
  } else {
    o->address = secrets_encoded(o->input);
  }
  o->address = with_colon(o->address);
  if (o->address != NULL && (o->passphrase != NULL || !is_srt(o->input) || o->password == NULL))
    return CLI_OK;
  cli_error("%s: out of memory", o->name);
  return CLI_FAILED;
}
