/* driver_faults.h - a call of the CUDA driver that fails: let it, and see what may come of that and what must not.
 *
 * A test that lets calls fail links with the stand-in, and makes between driver_fault_begin() and driver_fault_end() no
 * driver call itself.
 */
#ifndef DRIVER_FAULTS_H
#define DRIVER_FAULTS_H

#include "gpu/program.h"

/* One that a call gives by its arguments, one that comes of little memory, and one after which the context is lost. */
#define DRIVER_FAULT_ERRORS 3
extern const int driver_fault_errors[DRIVER_FAULT_ERRORS];

typedef struct driver_fault {
  unsigned nth;    /* call that fails */
  int error;       /* what it gives */
  bool happened;   /* set by driver_fault_end() */
  const char *who; /* gave it; set by driver_fault_end() */
} driver_fault;

void driver_fault_begin(driver_fault *f);
void driver_fault_end(driver_fault *f);
/* It happened already, whichever thread it was in. */
bool driver_fault_has_happened(void);
bool driver_fault_is_sticky(const driver_fault *f);

/* Until driver_fault_end() a check that fails says of which fault that came. */
/* 0, or what may come of a failed driver call, and then with a detail. Gives whether it is 0. */
bool driver_fault_tolerates(int result);

/* What this process has: at the start, and at the end the same. */
typedef struct resources {
  int descriptors, mappings;
  long swept;
} resources;
resources resources_now(void);
/* Nothing is alive with the stand-in, and no context had anything to free but after a fault that explains it. */
void resources_are(const resources *before, const driver_fault *f);

#endif
