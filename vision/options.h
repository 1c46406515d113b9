/* options.h - structs that come from callers older and newer than the library. */
#ifndef CF_VISION_OPTIONS_H
#define CF_VISION_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies a caller's options struct of options->struct_size bytes over zeroes: older callers have a shorter one; a
 * longer one may say nothing that this library does not know. INVALID names `what`. */
int cf_vision_options(void *to, size_t size, const void *options, const char *what);

/* INVALID, with the detail, unless value <= most; `what` and the names of the choices go into the detail. */
int cf_vision_choice(const char *what, uint32_t value, uint32_t most, const char *choices);

/* INVALID unless all of them are 0. */
int cf_vision_reserved(const uint64_t *reserved, size_t count, const char *what);

#endif
