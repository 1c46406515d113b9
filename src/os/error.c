/* os/error.c - the per-thread sentence behind an error code. */
#include "os/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cuframes/common.h>

static _Thread_local char detail[512];

#undef cf_fail /* the header may have a macro of this name */

int cf_fail(int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(detail, sizeof detail, format, args);
  va_end(args);
  return code;
}

int cf_fail_errno(const char *format, ...) {
  int error = errno;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(detail, sizeof detail, format, args);
  va_end(args);
  if (n >= 0 && (size_t)n < sizeof detail) {
    char text[128];
    snprintf(detail + n, sizeof detail - (size_t)n, ": %s", strerror_r(error, text, sizeof text));
  }
  return error == ENOMEM || error == ENOSPC || error == EMFILE || error == ENFILE ? CUFRAMES_ERR_NO_MEMORY
                                                                                  : CUFRAMES_ERR_SYSTEM;
}

const char *cf_last_detail(void) {
  return detail;
}
