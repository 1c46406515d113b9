/* api/internal.c - structs that cross the library's border, and the log callback. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

#include "os/error.h"

int cf_options_copy(void *to, size_t size, const void *options, const char *what) {
  memset(to, 0, size);
  if (!options)
    return CUFRAMES_OK;
  uint32_t given;
  memcpy(&given, options, sizeof given);
  if (given < sizeof given || given > 65536)
    return cf_fail(CUFRAMES_ERR_INVALID, "%s.struct_size is %u: set it to sizeof(%s)", what, given, what);
  for (size_t i = size; i < given; i++)
    if (((const uint8_t *)options)[i] != 0)
      return cf_fail(CUFRAMES_ERR_INVALID, "%s has fields that this version (%s) does not know", what,
                     cuframes_version());
  memcpy(to, options, given < size ? given : size);
  return CUFRAMES_OK;
}

int cf_stats_give(void *to, const void *stats, size_t size, const char *what) {
  uint32_t given = 0;
  if (to)
    memcpy(&given, to, sizeof given);
  if (given < sizeof given || given > 65536)
    return cf_fail(CUFRAMES_ERR_INVALID, "%s.struct_size is %u: set it to sizeof(%s)", what, given, what);
  memset(to, 0, given);
  memcpy(to, stats, given < size ? given : size);
  memcpy(to, &given, sizeof given);
  return CUFRAMES_OK;
}

uint32_t cf_color_pack(cuframes_color color) {
  return color.matrix | (uint32_t)color.range << 8 | (uint32_t)color.primaries << 16 | (uint32_t)color.transfer << 24;
}

cuframes_color cf_color_unpack(uint32_t packed) {
  return (cuframes_color){ .matrix = (uint8_t)packed,
                           .range = (uint8_t)(packed >> 8),
                           .primaries = (uint8_t)(packed >> 16),
                           .transfer = (uint8_t)(packed >> 24) };
}

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
