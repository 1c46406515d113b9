/* cli.c - what the commands share: messages, exit codes, signals, argument parsing, the live line. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"
#include "shell_word.h"
#include "suggest.h"

#define PLAIN_LIVE_EVERY_NS (5 * INT64_C(1000000000))
#define LINE_MAX_BYTES 2048

volatile sig_atomic_t cli_stopped;

static const char *command_name;

/* Guards what is on the terminal: whether a live line stands there, and when the last plain one was printed. */
static pthread_mutex_t screen = PTHREAD_MUTEX_INITIALIZER;
static bool live_on_screen;
static int64_t plain_live_last;
static _Thread_local char last_said[LINE_MAX_BYTES];
static _Thread_local char doctor_hint[1280];

void cli_set_command(const char *command) {
  command_name = command;
}

/* Ends the live line so that a message gets a line of its own. Called with `screen` held. */
static void end_live_line(void) {
  if (live_on_screen) {
    fputs("\r\033[K", stderr);
    live_on_screen = false;
  }
}

/* Names of files, and what cameras and servers say, may have anything in them: a message stays one line, and tells the
 * terminal nothing. In place; C1 controls have two bytes in UTF-8. */
static void without_controls(char *line) {
  for (unsigned char *at = (unsigned char *)line; *at != '\0'; at++)
    if (*at < 0x20 || *at == 0x7f)
      *at = *at == '\t' ? ' ' : '?';
    else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
      at[0] = at[1] = '?';
}

static void say(const char *format, va_list arguments) {
  char line[LINE_MAX_BYTES] = "";
  vsnprintf(line, sizeof line, format, arguments);
  without_controls(line);
  memcpy(last_said, line, sizeof line);
  pthread_mutex_lock(&screen);
  end_live_line();
  fprintf(stderr, "cuframes%s%s: %s\n", command_name ? " " : "", command_name ? command_name : "", line);
  pthread_mutex_unlock(&screen);
}

void cli_last_said(char *text, size_t size) {
  snprintf(text, size, "%s", last_said);
}

void cli_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}

void cli_note(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}

/* What it finds of an error in reading, and in publishing, for certain. */
static bool doctor_finds(int error, bool reads) {
  switch (error) {
    case CUFRAMES_ERR_DIRECTORY:
    case CUFRAMES_ERR_UNSUPPORTED:
    case CUFRAMES_ERR_DEVICE: return true;
    case CUFRAMES_ERR_NO_SUCH_STREAM:
    case CUFRAMES_ERR_PERMISSION:
    case CUFRAMES_ERR_TIMEOUT:
    case CUFRAMES_ERR_VERSION:
    case CUFRAMES_ERR_PROTOCOL: return reads;
    default: return false;
  }
}

void cli_doctor_knows(int error, const char *name, const char *directory, const char *device) {
  char word[SHELL_WORD_FOR(256)];
  size_t used = 0;
  *doctor_hint = '\0';
  if (!doctor_finds(error, name != NULL))
    return;
  used +=
      (size_t)snprintf(doctor_hint, sizeof doctor_hint, "; `cuframes doctor%s%.64s", name ? " " : "", name ? name : "");
  if (directory && *directory)
    used += (size_t)snprintf(doctor_hint + used, sizeof doctor_hint - used, " --dir %s",
                             shell_word(word, sizeof word, directory));
  if (device && strcmp(device, "auto") != 0)
    used += (size_t)snprintf(doctor_hint + used, sizeof doctor_hint - used, " --device %.64s", device);
  snprintf(doctor_hint + used, sizeof doctor_hint - used, "` says more");
}

int cli_failed(int error, const char *what) {
  const char *detail = cuframes_last_error();
  cli_error("%s: %s%s", what, *detail ? detail : cuframes_strerror(error), doctor_hint);
  *doctor_hint = '\0';
  switch (error) {
    case CUFRAMES_OK: return CLI_OK;
    case CUFRAMES_ERR_NO_SUCH_STREAM: return CLI_NO_STREAM;
    case CUFRAMES_ERR_TIMEOUT: return CLI_TIMEOUT;
    case CUFRAMES_ERR_NAME: return CLI_USAGE;
    default: return CLI_FAILED;
  }
}

int cli_usage(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
  fprintf(stderr, "See `cuframes%s%s --help`.\n", command_name ? " " : "", command_name ? command_name : "");
  return CLI_USAGE;
}

static const struct option *known_options; /* of the last cli_getopt() */

int cli_getopt(int argc, char **argv, const char *shorts, const struct option *options, int *index) {
  known_options = options;
  return getopt_long(argc, argv, shorts, options, index);
}

/* The option that was probably meant by `typed`, which has no dashes and no "=value". */
static const char *option_meant(const char *typed) {
  suggestion guess = { .typed = typed };
  for (const struct option *option = known_options; option && option->name; option++)
    suggest_offer(&guess, option->name);
  return guess.best;
}

/* getopt takes the beginning of an option's name; several options may have it. "" if not two do. */
static const char *options_that_begin(const char *typed, char *list, size_t size) {
  size_t used = 0, length = strlen(typed), count = 0;
  for (const struct option *option = known_options; length && option && option->name; option++)
    if (strncmp(option->name, typed, length) == 0 && used < size)
      used += (size_t)snprintf(list + used, size - used, "%s--%s", count++ ? ", " : "", option->name);
  return count > 1 ? list : "";
}

static int bad_long_option(const char *text) {
  char typed[64], list[256];
  snprintf(typed, sizeof typed, "%.*s", (int)strcspn(text + 2, "="), text + 2);
  const char *value = strchr(text, '=');
  if (optopt != 0)
    return cli_usage("option --%s takes no value, not '%s'", typed, value ? value + 1 : "");
  if (*options_that_begin(typed, list, sizeof list))
    return cli_usage("option --%s can be each of %s", typed, list);
  return cli_usage("unknown option --%s%s", typed, suggest_text("--", option_meant(typed)).text);
}

int cli_bad_option(int result, char **argv) {
  /* optopt is 0 for an unknown long option, which then is the argument before optind. */
  const char *text = optind > 0 && argv[optind - 1] ? argv[optind - 1] : "?";
  if (result == ':')
    return cli_usage("option %s needs a value", text);
  if (strncmp(text, "--", 2) == 0 || optopt == 0)
    return bad_long_option(strncmp(text, "--", 2) == 0 ? text : "--?");
  /* A letter of a word that getopt is not through with: "-json" for "--json". */
  size_t length = strlen(text);
  if (*text != '-' || length < 2 || text[length - 1] != (char)optopt)
    text = argv[optind];
  const char *meant = text && text[0] == '-' && strlen(text) > 2 ? option_meant(text + 1) : NULL;
  return cli_usage("unknown option -%c%s", optopt, suggest_text("--", meant).text);
}

/* timeout(1), and who tells a process and then its group, send two at once and mean one. Somebody who has lost patience
 * comes later. */
static void on_signal(int number) {
  static struct timespec first; /* of handlers only, which do not interrupt each other */
  struct timespec now = { 0 };
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
  if (!cli_stopped) {
    first = now;
    cli_stopped = 1;
  } else if ((now.tv_sec - first.tv_sec) * 1000 + (now.tv_nsec - first.tv_nsec) / 1000000 >= CLI_PATIENCE_MS) {
    (void)signal(number, SIG_DFL);
    (void)raise(number); /* comes when this handler has ended */
  }
}

void cli_catch_signals(void) {
  struct sigaction action = { .sa_handler = on_signal }, now = { .sa_handler = SIG_DFL };
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  sigaddset(&action.sa_mask, SIGHUP);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, NULL, &now);
  if (now.sa_handler != SIG_IGN) /* nohup(1) */
    sigaction(SIGHUP, &action, NULL);
}

const char *cli_parse_decimal(const char *text, double *value) {
  static const char digits[] = "0123456789";
  const size_t whole = strspn(text, digits), fraction = text[whole] == '.' ? strspn(text + whole + 1, digits) : 0;
  const size_t length = whole + (text[whole] == '.') + fraction;
  char number[64];
  if (whole + fraction == 0 || length >= sizeof number)
    return NULL;
  memcpy(number, text, length);
  number[length] = '\0';
  *value = strtod(number, NULL);
  return text + length;
}

bool cli_parse_seconds(const char *text, int64_t *ns) {
  double seconds;
  const char *end = cli_parse_decimal(text, &seconds);
  if (!end || *end != '\0' || !(seconds > 0) || seconds > 1e9)
    return false;
  int64_t value = llround(seconds * 1e9);
  if (value <= 0)
    return false;
  *ns = value;
  return true;
}

int cli_take_seconds(const char *option, const char *text, int64_t *ns) {
  return cli_parse_seconds(text, ns) ? CLI_OK : cli_usage("--%s takes " CLI_SECONDS ", not '%s'", option, text);
}

bool cli_parse_unsigned(const char *text, uint32_t min, uint32_t max, uint32_t *value) {
  char *end;
  if (!isdigit((unsigned char)*text))
    return false;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (errno != 0 || *end != '\0' || number < min || number > max)
    return false;
  *value = (uint32_t)number;
  return true;
}

const char *const cli_device_words[] = { "auto", "host", "cuda", NULL };

bool cli_is_device(const char *text) {
  for (size_t i = 0; cli_device_words[i]; i++)
    if (!strcmp(text, cli_device_words[i]))
      return true;
  if (strncmp(text, "cuda:", 5) != 0)
    return false;
  const char *gpu = text + 5;
  bool uuid = strncasecmp(gpu, "GPU-", 4) == 0;
  size_t length = uuid ? 4 + strspn(gpu + 4, "0123456789abcdefABCDEF-") : strspn(gpu, "0123456789");
  return gpu[length] == '\0' && (uuid ? length == 40 : length > 0 && length <= 3);
}

void cli_log(void *user, int level, const char *line) {
  static const char *const levels[] = { "", "error: ", "warning: ", "", "debug: " };
  const char *prefix = user;
  if (level < CUFRAMES_LOG_ERROR || level > CUFRAMES_LOG_DEBUG)
    level = CUFRAMES_LOG_INFO;
  cli_note("%s%s%s%s", prefix ? prefix : "", prefix ? ": " : "", levels[level], line);
}

/* Bytes of text that fit into `columns`, counting UTF-8 sequences as one column each. */
static int clip(const char *text, int columns) {
  int bytes = 0;
  for (; text[bytes] != '\0'; bytes++)
    if (((unsigned char)text[bytes] & 0xc0) != 0x80 && columns-- == 0)
      break;
  return bytes;
}

void cli_live(const char *format, ...) {
  char line[LINE_MAX_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  without_controls(line);
  if (!output_is_idle(OUTPUT_ERR))
    return; /* nobody read the last one yet */
  pthread_mutex_lock(&screen);
  if (isatty(STDERR_FILENO)) {
    struct winsize window = { .ws_col = 0 };
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1 : 79;
    fprintf(stderr, "\r\033[K%.*s", clip(line, columns), line);
    live_on_screen = true;
  } else if (plain_live_last == 0 || cuframes_now() - plain_live_last >= PLAIN_LIVE_EVERY_NS) {
    plain_live_last = cuframes_now();
    fprintf(stderr, "%s\n", line);
  }
  pthread_mutex_unlock(&screen);
}

void cli_live_end(void) {
  pthread_mutex_lock(&screen);
  if (live_on_screen) {
    fputc('\n', stderr);
    live_on_screen = false;
  }
  pthread_mutex_unlock(&screen);
}

void cli_output_begin(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) < 0) {
      /* The lowest free number is this one. Opened the wrong way round: writing to it fails, as to a closed one. */
      (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error, too */
  output_begin();
}

bool cli_output_flush(void) {
  (void)fflush(stdout); /* output_error() has the cause, of earlier writes, too */
  return output_error() == 0 && !ferror(stdout);
}

static bool reader_has_gone(void) {
  struct pollfd out = { .fd = STDOUT_FILENO };
  return poll(&out, 1, 0) > 0 && out.revents & (POLLERR | POLLHUP);
}

int cli_output_end(int code) {
  const bool printed = cli_output_flush();
  const uint64_t lost = output_end_events();
  const bool gone = reader_has_gone();
  int error = output_error();
  if (lost == 0 && close(STDOUT_FILENO) != 0 && error == 0)
    error = errno; /* some file systems say only here that there is no room */
  const bool failed = (!printed || error != 0) && !gone;
  if (lost > 0) {
    cli_error("%llu events were lost: nobody read stdout", (unsigned long long)lost);
  } else if (failed) {
    cli_error("cannot write to stdout: %s; what it got is not complete",
              error == EINTR ? "nobody read it" : strerror(error ? error : EIO));
  }
  if (code == CLI_OK && (lost > 0 || failed))
    code = CLI_FAILED;
  output_end();
  return code;
}
