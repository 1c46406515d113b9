/* cli_avlog.c - the log callback of FFmpeg's libraries: joins fragments to lines, prefixes, limits, prints. */
#include "cli_avlog.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>

#include "cli.h"
#include "secrets.h"

#define PERIOD_NS (10 * INT64_C(1000000000))
#define LINES_PER_PERIOD 8

static _Thread_local const char *thread_prefix;
static _Thread_local bool held, strange_digest, multipart, jpeg;
static _Thread_local char document[64];    /* the content type, if it is one */
static _Thread_local char first_line[256]; /* since the mark */
static _Thread_local char last_line[256];
static _Thread_local char unfinished[512]; /* FFmpeg prints some lines in pieces */

/* How much was said lately, by all threads together. */
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t period_start;
static unsigned said, suppressed;

static bool may_say(unsigned *left_out) {
  pthread_mutex_lock(&limit_lock);
  int64_t now = cuframes_now();
  *left_out = 0;
  if (period_start == 0 || now - period_start > PERIOD_NS) {
    *left_out = suppressed;
    period_start = now;
    said = suppressed = 0;
  }
  bool may = said < LINES_PER_PERIOD;
  if (may)
    said++;
  else
    suppressed++;
  pthread_mutex_unlock(&limit_lock);
  return may;
}

static const char *prefix_of(void *object) {
  if (!object)
    return thread_prefix;
  const AVClass *class = *(AVClass **)object;
  const cli_avlog_owner *owner = NULL;
  if (class == avcodec_get_class())
    owner = ((AVCodecContext *)object)->opaque;
  else if (class == avformat_get_class())
    owner = ((AVFormatContext *)object)->opaque;
  return owner ? owner->prefix : thread_prefix;
}

/* What stands in a line behind a header's name. NULL: it is another one. */
static const char *value_of(const char *line, const char *header) {
  const size_t length = strlen(header);
  return line != NULL && strncasecmp(line, header, length) == 0 ? line + length + strspn(line + length, " \t") : NULL;
}

static void see_type(const char *type) {
  static const char *const documents[] = { "text/", "application/xhtml", "application/json", "application/xml" };
  document[0] = '\0';
  multipart = strncasecmp(type, "multipart/", strlen("multipart/")) == 0;
  jpeg = strncasecmp(type, "image/jp", strlen("image/jp")) == 0;
  for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
    if (strncasecmp(type, documents[i], strlen(documents[i])) == 0)
      snprintf(document, sizeof document, "%.*s", (int)strcspn(type, "; \t\r\n"), type);
}

/* Of several digests FFmpeg answers the last one, whose algorithm is MD5 if it names none. */
static void see_login(const char *login) {
  static const char scheme[] = "Digest ", key[] = "algorithm=";
  if (strncasecmp(login, scheme, strlen(scheme)) != 0)
    return;
  strange_digest = false;
  const char *algorithm = strcasestr(login, key);
  if (algorithm == NULL)
    return;
  algorithm += strlen(key) + (algorithm[strlen(key)] == '"');
  size_t length = strcspn(algorithm, "\", \t");
  bool md5 = (length == 3 && !strncmp(algorithm, "MD5", 3)) || (length == 8 && !strncmp(algorithm, "MD5-sess", 8));
  strange_digest = !md5;
}

/* Sees the answers of RTSP and HTTP servers go by, which FFmpeg logs for who traces it. */
static void see_header(const char *format, va_list arguments) {
  if (strcmp(format, "line='%s'\n") != 0 && strcmp(format, "header='%s'\n") != 0)
    return;
  const char *line = va_arg(arguments, const char *);
  const char *type = value_of(line, "Content-Type:"), *login = value_of(line, "WWW-Authenticate:");
  if (type != NULL)
    see_type(type);
  if (login != NULL)
    see_login(login);
}

static void on_line(void *object, int level, const char *format, va_list arguments) {
  if (level == AV_LOG_TRACE)
    see_header(format, arguments);
  if (level > AV_LOG_WARNING)
    return;
  char text[512];
  int print_prefix = 0;
  av_log_format_line2(object, level, format, arguments, text, sizeof text, &print_prefix);
  size_t have = strlen(unfinished), length = strlen(text);
  bool ends = length > 0 && text[length - 1] == '\n';
  snprintf(unfinished + have, sizeof unfinished - have, "%s", text);
  if (!ends && strlen(unfinished) < sizeof unfinished - 1)
    return;
  unfinished[strcspn(unfinished, "\r\n")] = '\0';
  char shown[sizeof unfinished];
  secrets_hide(shown, sizeof shown, unfinished); /* it becomes a part of reasons, which others see */
  memcpy(unfinished, shown, sizeof shown);
  unsigned left_out;
  bool repeated = strncmp(unfinished, last_line, sizeof last_line - 1) == 0;
  snprintf(last_line, sizeof last_line, "%.*s", (int)sizeof last_line - 1, unfinished);
  if (first_line[0] == '\0')
    memcpy(first_line, last_line, sizeof first_line);
  if (!held && !repeated && may_say(&left_out)) {
    const char *prefix = prefix_of(object), *class_name = "libav";
    const AVClass *class = object ? *(AVClass **)object : NULL;
    if (class != NULL && class->item_name != NULL)
      class_name = class->item_name(object);
    if (left_out > 0)
      cli_note("(%u more messages of FFmpeg's libraries were left out)", left_out);
    cli_note("%s%s[%s] %s", prefix ? prefix : "", prefix ? ": " : "", class_name, unfinished);
  }
  unfinished[0] = '\0';
}

void cli_avlog_install(void) {
  av_log_set_callback(on_line);
}

void cli_avlog_thread(const char *prefix) {
  thread_prefix = prefix;
}

void cli_avlog_hold(bool hold) {
  held = hold;
  if (hold) {
    last_line[0] = '\0';
    strange_digest = multipart = jpeg = false;
    document[0] = '\0';
  }
}

bool cli_avlog_strange_digest(void) {
  return strange_digest;
}

bool cli_avlog_multipart(void) {
  return multipart;
}

bool cli_avlog_jpeg(void) {
  return jpeg;
}

const char *cli_avlog_document(void) {
  return document;
}

void cli_avlog_mark(void) {
  first_line[0] = '\0';
}

const char *cli_avlog_first(void) {
  return first_line;
}

const char *cli_avlog_last(void) {
  return last_line;
}
