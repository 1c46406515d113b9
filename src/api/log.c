/* api/log.c - the log callback. */
#include "api/log.h"

#include <stdarg.h>
#include <stdio.h>

void cf_log(const cf_logger *logger, int level, const char *format, ...) {
  if (!logger->log)
    return;
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  logger->log(logger->user, level, line);
}
