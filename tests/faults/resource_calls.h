/* faults/resource_calls.h - the calls of the library and of a test that ask for memory or descriptors, each of which
 * can be made to fail (support/failing_calls.h), and the blocks of the heap that they have.
 */
#ifndef RESOURCE_CALLS_H
#define RESOURCE_CALLS_H

#include <stddef.h>

#include "support/failing_calls.h"

/* Blocks that are in use: taken by calls that resource_calls.c sees, and not yet freed. */
size_t heap_blocks(void);

/* From now on a block of zeroes of that size that is freed is the very next one given; 0: as usual. */
void heap_reuse(size_t size);

#endif
