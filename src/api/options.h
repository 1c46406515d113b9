/* api/options.h - structs that cross the library's border in either direction, of callers older and newer than it. */
#ifndef CF_API_OPTIONS_H
#define CF_API_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Copies a caller's options struct of options->struct_size bytes over zeroes: older callers have a shorter one; a
 * longer one may say nothing that this library does not know. CUFRAMES_ERR_INVALID names `what`. */
int cf_options_copy(void *to, size_t size, const void *options, const char *what);

/* The same in place, where each frame has some: of a caller that is as old as the library, or says nothing, whose size
 * the compiler knows. */
static inline int cf_options_take(void *to, size_t size, const void *options, const char *what) {
  uint32_t given = 0;
  if (options)
    memcpy(&given, options, sizeof given);
  if (options && given != size)
    return cf_options_copy(to, size, options, what);
  if (options)
    memcpy(to, options, size);
  else
    memset(to, 0, size);
  return 0;
}

/* Copies statistics into a caller's struct of to->struct_size bytes. */
int cf_stats_give(void *to, const void *stats, size_t size, const char *what);

#endif
