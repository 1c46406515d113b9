/* fuzz_cli.c - what a person types: the command line and the configuration file of `cuframes publish`, numbers,
 * durations and the description of a test picture. Nothing is opened: files come from the input, users and groups
 * from a list here.
 *
 * The first byte says what the rest is: words of a command line, one per line, and behind an empty line the text of
 * the configuration file; that text alone; or one word for the parsers of numbers.
 */
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "pattern/test_spec.h"
#include "publish/publish_job.h"
#include "publish/publish_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *error);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__real_fopen(const char *path, const char *mode);

#define WORDS 256

static struct {
  const char *text;
  size_t size;
} config;
static size_t said; /* bytes of messages */

static void require(bool holds) {
  if (!holds)
    abort();
}

/* ---- the world around ---- */

struct passwd *getpwnam(const char *name) {
  static struct passwd user = { .pw_uid = 1000 };
  return strcmp(name, "user") == 0 ? &user : NULL;
}

struct group *getgrnam(const char *name) {
  static struct group root = { .gr_gid = 0 }, video = { .gr_gid = 44 };
  return strcmp(name, "root") == 0 ? &root : strcmp(name, "video") == 0 ? &video : NULL;
}

json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *error) {
  (void)path;
  return json_loadb(config.text, config.size, flags, error);
}

/* Of the program, which reads passwords so; what replays seeds opens them in another mode. */
FILE *__wrap_fopen(const char *path, const char *mode) {
  static char password[] = "secret\n";
  if (strcmp(mode, "re") != 0)
    return __real_fopen(path, mode);
  return strcmp(path, "FILE") == 0 ? fmemopen(password, strlen(password), "r") : NULL;
}

static ssize_t count_written(void *cookie, const char *text, size_t size) {
  (void)cookie, (void)text;
  said += size;
  return (ssize_t)size;
}

/* The parsers' messages are counted; sanitizer and fuzzer write to the descriptor as before. */
static void hush(void) {
  static FILE *counted;
  if (!counted) {
    counted = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = count_written });
    require(counted != NULL);
    setvbuf(counted, NULL, _IONBF, 0);
    stderr = counted;
    cli_set_command("publish");
  }
}

/* ---- what must be true of what was understood ---- */

static void check_values(const publish_options *o) {
  require(o->input != NULL && o->policy <= CUFRAMES_POLICY_DROP && o->socket_mode <= 0777);
  require(o->slots <= 1024 && o->max_slots <= 1024 && o->packet_slots >= 2 && o->packet_slots <= 1 << 20);
  require(o->packet_bytes >= 64 << 10 && o->packet_bytes <= UINT64_C(4) << 30);
  require(o->timeout_ns >= 0 && o->ordered_timeout_ns >= 0 && o->gid >= 0);
  require(o->allow_uid_count <= PUBLISH_ALLOW_MAX && o->allow_gid_count <= PUBLISH_ALLOW_MAX);
  require(o->pixel_format == CUFRAMES_PIXEL_NONE || cuframes_pixel_format_name(o->pixel_format) != NULL);
}

/* Of a whole command line, more. */
static void check_stream(const publish_options *o) {
  check_values(o);
  require(o->address != NULL && (o->passphrase == NULL || o->password != NULL));
  require(o->name != NULL && !(o->reconnect && o->no_reconnect));
  require(!test_spec_is(o->input) || test_spec_parse(o->input, &(test_spec){ 0 }) == NULL);
}

static void check_parsed(int code, const publish_request *request) {
  require(code == CLI_OK || code == CLI_USAGE || code == CLI_FAILED);
  require(code == CLI_OK || said > 0); /* whoever is refused hears why */
  if (code != CLI_OK || request->help)
    return;
  require(request->stream_count > 0 && request->duration_ns >= 0);
  for (size_t i = 0; i < request->stream_count; i++)
    check_stream(&request->streams[i]);
}

/* ---- the three kinds of input ---- */

static void parse_words(char *text) {
  char program[] = "publish", *argv[WORDS + 2] = { program };
  publish_request request = { .streams = NULL };
  int argc = 1;
  char *end = strstr(text, "\n\n");
  if (end) {
    end[0] = '\0';
    config.text = end + 2;
    config.size = strlen(end + 2);
  }
  for (char *word = text, *next; word && argc <= WORDS; word = next) {
    next = strchr(word, '\n');
    if (next)
      *next++ = '\0';
    argv[argc++] = word;
  }
  optind = 0; /* as if it were the first time */
  check_parsed(publish_parse(argc, argv, &request), &request);
  publish_request_free(&request);
}

static void parse_config(const char *text, size_t size) {
  publish_request request = { .streams = NULL };
  config.text = text;
  config.size = size;
  int code = publish_config_read("FILE", &request);
  require(code == CLI_OK || said > 0);
  for (size_t i = 0; i < request.stream_count; i++)
    check_values(&request.streams[i]);
  publish_request_free(&request);
}

static void parse_number(const char *text) {
  int64_t ns = -7;
  uint32_t number = 77;
  bool seconds = cli_parse_seconds(text, &ns);
  require(seconds ? ns > 0 && ns <= INT64_C(1000000000) * 1000000000 : ns == -7);
  bool unsigned_ = cli_parse_unsigned(text, 3, 4000000000, &number);
  require(unsigned_ ? number >= 3 && number <= 4000000000 : number == 77);
  require(!unsigned_ || strspn(text, "0123456789") == strlen(text));
  if (test_spec_is(text))
    (void)test_spec_parse(text, &(test_spec){ 0 });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  hush();
  said = 0;
  config.text = "";
  config.size = 0;
  char kind = size > 0 ? (char)data[0] : 0;
  size_t length = size > 0 ? size - 1 : 0;
  char *text = malloc(length + 1); /* of its own, so that a read past its end is seen */
  require(text != NULL);
  memcpy(text, data + (size - length), length);
  text[length] = '\0';
  if (kind == 'c')
    parse_config(text, length);
  else if (kind == 'n')
    parse_number(text);
  else
    parse_words(text);
  free(text);
  return 0;
}
