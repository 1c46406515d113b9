/* api/options.h - structs that cross the library's border in either direction, of callers older and newer than it. */
#ifndef CF_API_OPTIONS_H
#define CF_API_OPTIONS_H

#include <stddef.h>

/* Copies a caller's options struct of options->struct_size bytes over zeroes: older callers have a shorter one; a
 * longer one may say nothing that this library does not know. CUFRAMES_ERR_INVALID names `what`. */
int cf_options_copy(void *to, size_t size, const void *options, const char *what);

/* Copies statistics into a caller's struct of to->struct_size bytes. */
int cf_stats_give(void *to, const void *stats, size_t size, const char *what);

#endif
