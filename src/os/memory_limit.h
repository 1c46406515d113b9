/* os/memory_limit.h - how much memory the control groups of this process still give. */
#ifndef CF_OS_MEMORY_LIMIT_H
#define CF_OS_MEMORY_LIMIT_H

#include <stdint.h>

/* What a control group, or one that it is part of, still gives. */
typedef struct cf_memory_room {
  uint64_t bytes; /* more than there is and a reserve for the process itself; UINT64_MAX: no limit is known */
  uint64_t limit; /* of that group */
} cf_memory_room;

/* The least of all groups that this process is in, of versions 1 and 2 of the interface, mounted however. root: "", or
 * where a test has its files. Reads some small files; what cannot be read limits nothing. */
cf_memory_room cf_memory_limit(const char *root);

#endif
