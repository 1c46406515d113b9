/* faults/faults.h - makes the system say no: of the calls that the library and the test make, the one of a given number
 * fails as it would fail when memory or descriptors run out. The linker puts the functions of faults.c in their place.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
  FAULT_MEMORY,     /* heap, mappings, shared memory, threads */
  FAULT_DESCRIPTORS /* whatever makes a descriptor, also by receiving one; and watching them */
};

/* From now on call number `nth` (1, 2, ...) of that kind fails, in whatever thread; with `on` all after it as well. */
void faults_arm(enum fault_kind kind, uint64_t nth, bool on);
/* No more. False if there were not so many calls. */
bool faults_disarm(void);
/* The function that failed; NULL if none has. */
const char *faults_hit(void);

/* Blocks of the heap that are in use: taken by calls that faults.c sees, and not yet freed. */
size_t faults_blocks(void);

/* From now on a block of zeroes of that size that is freed is the very next one given; 0: as usual. */
void faults_reuse(size_t size);

#endif
