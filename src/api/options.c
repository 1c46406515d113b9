/* api/options.c - structs that cross the library's border. */
#include "api/options.h"

#include <stdint.h>
#include <string.h>

#include <cuframes/common.h>

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
