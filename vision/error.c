/* error.c - the sentence behind an error code, which cuframes_last_error() of libcuframes keeps. */
#include "vision/error.h"

#include <stdarg.h>
#include <stdio.h>

#include <cuframes/common.h>

#undef cf_vision_fail /* the header may have a macro of this name */

int cf_vision_fail(int code, const char *format, ...) {
  char sentence[512];
  va_list args;
  va_start(args, format);
  vsnprintf(sentence, sizeof sentence, format, args);
  va_end(args);
  return cuframes_set_last_error(code, sentence);
}
