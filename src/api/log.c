/* api/log.c - the log callback, and a limit to what others can make it say. */
#include "api/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "os/clock.h"

#define AT_ONCE 100
#define LINE_NS (CF_SECOND / 10)
#define SAY_NS CF_SECOND

static void say(const cf_logger *logger, int level, const char *format, va_list args) {
  char line[512];
  vsnprintf(line, sizeof line, format, args);
  logger->log(logger->user, level, line);
}

void cf_log(const cf_logger *logger, int level, const char *format, ...) {
  if (!logger->log)
    return;
  va_list args;
  va_start(args, format);
  say(logger, level, format, args);
  va_end(args);
}

void cf_log_limit_init(cf_log_limit *limit, const char *name) {
  *limit = (cf_log_limit){ .name = name, .say_at = CF_NEVER };
  pthread_mutex_init(&limit->lock, NULL);
}

/* Whether there is room for one line more. */
static bool may_say(cf_log_limit *limit, int64_t now) {
  pthread_mutex_lock(&limit->lock);
  if (limit->full_until < now)
    limit->full_until = now;
  bool may = limit->full_until - now <= (AT_ONCE - 1) * LINE_NS;
  if (may) {
    limit->full_until += LINE_NS;
  } else {
    limit->left_out++;
    limit->say_at = limit->say_at == CF_NEVER ? now + SAY_NS : limit->say_at;
  }
  pthread_mutex_unlock(&limit->lock);
  return may;
}

void cf_log_limited(const cf_logger *logger, cf_log_limit *limit, int level, const char *format, ...) {
  int64_t now = cf_now();
  if (!logger->log || !may_say(limit, now))
    return;
  (void)cf_log_say_left_out(logger, limit, now);
  va_list args;
  va_start(args, format);
  say(logger, level, format, args);
  va_end(args);
}

int64_t cf_log_say_left_out(const cf_logger *logger, cf_log_limit *limit, int64_t now) {
  uint64_t left_out = 0;
  pthread_mutex_lock(&limit->lock);
  if (limit->say_at <= now) {
    left_out = limit->left_out;
    limit->left_out = 0;
    limit->say_at = CF_NEVER;
  }
  int64_t next = limit->say_at;
  pthread_mutex_unlock(&limit->lock);
  if (left_out > 0)
    cf_log(logger, CUFRAMES_LOG_WARNING, "%s: %" PRIu64 " more lines of what others did were left out", limit->name,
           left_out);
  return next;
}
