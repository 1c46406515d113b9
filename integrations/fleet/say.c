/* say.c - lines for people, on stderr. */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

void say(const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  for (unsigned char *at = (unsigned char *)line; *at != '\0'; at++)
    if (*at < 0x20 || *at >= 0x7f)
      *at = '?';
  fprintf(stderr, "cuframes-agent: %s\n", line);
}
