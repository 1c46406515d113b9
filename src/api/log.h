/* api/log.h - the log callback of a publisher or subscriber. */
#ifndef CF_API_LOG_H
#define CF_API_LOG_H

#include <cuframes/common.h>

typedef struct cf_logger {
  cuframes_log_fn log; /* NULL: nobody listens */
  void *user;
} cf_logger;

void cf_log(const cf_logger *logger, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
