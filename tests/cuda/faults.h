/* faults.h - a driver call that fails: let it, and see what may come of that and what must not.
 *
 * Who lets calls fail links with the stand-in, and makes between fault_begin() and fault_end() no driver call itself.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include "gpu/program.h"

/* One that a call gives by its arguments, one that comes of little memory, and one after which the context is lost. */
#define FAULT_ERRORS 3
extern const int fault_errors[FAULT_ERRORS];

typedef struct fault {
  unsigned nth;    /* call that fails */
  int error;       /* what it gives */
  bool happened;   /* set by fault_end() */
  const char *who; /* gave it; set by fault_end() */
} fault;

void fault_begin(fault *f);
void fault_end(fault *f);
/* It happened already, whichever thread it was in. */
bool fault_has_happened(void);
bool fault_is_sticky(const fault *f);

/* Until fault_end() a check that fails says of which fault that came. */
/* 0, or what may come of a failed driver call, and then with a detail. Gives whether it is 0. */
bool fault_tolerates(int result);

/* What this process has: at the start, and at the end the same. */
typedef struct resources {
  int descriptors, mappings;
  long swept;
} resources;
resources resources_now(void);
/* Nothing is alive with the stand-in, and no context had anything to free but after a fault that explains it. */
void resources_are(const resources *before, const fault *f);

/* ---- small pictures, every byte of which follows from a number ---- */

cuframes_format picture_format(uint32_t width);
/* Draws it on the CPU and copies it. */
int picture_copy(cuframes_frame *frame, uint64_t number);
/* Copies the frame to the CPU; whole: it is the picture of its number. The result of the copy. */
int picture_look(const cuframes_frame *frame, bool *whole);

#endif
