/* api/log.h - the log callback of a publisher or subscriber, and a limit to what others can make it say. */
#ifndef CF_API_LOG_H
#define CF_API_LOG_H

#include <pthread.h>
#include <stdint.h>

#include <cuframes/common.h>

typedef struct cf_logger {
  cuframes_log_fn log; /* NULL: nobody listens */
  void *user;
} cf_logger;

void cf_log(const cf_logger *logger, int level, const char *format, ...) __attribute__((cold, format(printf, 3, 4)));

/* For lines that a peer can cause as often as it likes: a hundred at once, then ten in a second. What is left out is
 * counted and said. Any thread. */
typedef struct cf_log_limit {
  const char *name; /* of the stream; outlives this */
  pthread_mutex_t lock;
  int64_t full_until; /* the time when all lines that were said have been paid for */
  int64_t say_at;     /* when to say how many were left out */
  uint64_t left_out;
} cf_log_limit;

void cf_log_limit_init(cf_log_limit *limit, const char *name);
void cf_log_limited(const cf_logger *logger, cf_log_limit *limit, int level, const char *format, ...)
    __attribute__((cold, format(printf, 4, 5)));
/* Says how many lines were left out if it is time, as the next line does, too. Gives when it will be, CF_NEVER if there
 * are none. */
int64_t cf_log_say_left_out(const cf_logger *logger, cf_log_limit *limit, int64_t now);

#endif
