/* cli.c - what the commands share: messages, exit codes, signals, argument parsing, the live line. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PLAIN_LIVE_EVERY_NS (5 * INT64_C(1000000000))
#define LINE_MAX_BYTES 2048

volatile sig_atomic_t cli_stopped;

static const char *command_name;

/* Guards what is on the terminal: whether a live line stands there, and when the last plain one was printed. */
static pthread_mutex_t screen = PTHREAD_MUTEX_INITIALIZER;
static bool live_on_screen;
static int64_t plain_live_last;

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

static void say(const char *format, va_list arguments) {
  char line[LINE_MAX_BYTES];
  vsnprintf(line, sizeof line, format, arguments);
  pthread_mutex_lock(&screen);
  end_live_line();
  fprintf(stderr, "cuframes%s%s: %s\n", command_name ? " " : "", command_name ? command_name : "", line);
  pthread_mutex_unlock(&screen);
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

int cli_failed(int error, const char *what) {
  const char *detail = cuframes_last_error();
  cli_error("%s: %s", what, *detail ? detail : cuframes_strerror(error));
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

int cli_bad_option(int result, char **argv) {
  /* optopt is 0 for an unknown long option, which then is the argument before optind. */
  const char *text = optind > 0 ? argv[optind - 1] : "?";
  if (result == ':') {
    return cli_usage("option %s wants a value", text);
  }
  if (optopt != 0 && strncmp(text, "--", 2) != 0) {
    return cli_usage("there is no option -%c", optopt);
  }
  return cli_usage(optopt != 0 ? "option %s takes no value" : "there is no option %s, or it is ambiguous", text);
}

static void on_signal(int number) {
  (void)number;
  cli_stopped = 1;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

void cli_catch_signals(void) {
  struct sigaction action = { .sa_handler = on_signal };
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

bool cli_parse_seconds(const char *text, int64_t *ns) {
  char *end;
  if (!isdigit((unsigned char)*text) && *text != '.') {
    return false; /* strtod would take blanks, signs, "inf" and "nan" */
  }
  double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds > 0) || seconds > 1e9) {
    return false;
  }
  int64_t value = llround(seconds * 1e9);
  if (value <= 0) {
    return false;
  }
  *ns = value;
  return true;
}

bool cli_parse_unsigned(const char *text, uint32_t min, uint32_t max, uint32_t *value) {
  char *end;
  if (!isdigit((unsigned char)*text)) {
    return false;
  }
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (errno != 0 || *end != '\0' || number < min || number > max) {
    return false;
  }
  *value = (uint32_t)number;
  return true;
}

bool cli_is_device(const char *text) {
  if (!strcmp(text, "auto") || !strcmp(text, "host") || !strcmp(text, "cuda")) {
    return true;
  }
  if (strncmp(text, "cuda:", 5) != 0) {
    return false;
  }
  const char *gpu = text + 5;
  bool uuid = strncasecmp(gpu, "GPU-", 4) == 0;
  size_t length = uuid ? 4 + strspn(gpu + 4, "0123456789abcdefABCDEF-") : strspn(gpu, "0123456789");
  return gpu[length] == '\0' && (uuid ? length == 40 : length > 0 && length <= 3);
}

void cli_log(void *user, int level, const char *line) {
  static const char *const levels[] = { "", "error: ", "warning: ", "", "debug: " };
  const char *prefix = user;
  if (level < CUFRAMES_LOG_ERROR || level > CUFRAMES_LOG_DEBUG) {
    level = CUFRAMES_LOG_INFO;
  }
  cli_note("%s%s%s%s", prefix ? prefix : "", prefix ? ": " : "", levels[level], line);
}

/* Bytes of text that fit into `columns`, counting UTF-8 sequences as one column each. */
static int clip(const char *text, int columns) {
  int bytes = 0;
  for (; text[bytes] != '\0'; bytes++) {
    if (((unsigned char)text[bytes] & 0xc0) != 0x80 && columns-- == 0) {
      break;
    }
  }
  return bytes;
}

void cli_live(const char *format, ...) {
  char line[LINE_MAX_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
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
