/* options.c - structs that come from callers older and newer than the library. */
#include "vision/options.h"

#include <string.h>

#include <cuframes/common.h>

#include "vision/error.h"

int cf_vision_options(void *to, size_t size, const void *options, const char *what) {
  uint32_t given;
  if (!options)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no %s given", what);
  memcpy(&given, options, sizeof given);
  if (given < sizeof given || given > 65536)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s: struct_size is %u; set it to sizeof the struct", what, given);
  for (size_t i = size; i < given; i++)
    if (((const unsigned char *)options)[i] != 0)
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s: byte %zu is set, which this library (%s) does not know", what, i,
                            cuframes_version());
  memset(to, 0, size);
  memcpy(to, options, given < size ? given : size);
  return CUFRAMES_OK;
}

int cf_vision_choice(const char *what, uint32_t value, uint32_t most, const char *choices) {
  if (value <= most)
    return CUFRAMES_OK;
  return cf_vision_fail(CUFRAMES_ERR_INVALID, "there is no %s %u (%s)", what, value, choices);
}

int cf_vision_reserved(const uint64_t *reserved, size_t count, const char *what) {
  for (size_t i = 0; i < count; i++)
    if (reserved[i])
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s: a reserved field is not 0: clear the whole struct first", what);
  return CUFRAMES_OK;
}
