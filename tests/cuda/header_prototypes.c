/* header_prototypes.c - compares every prototype of src/device/cuda/functions.h with the real headers.
 *
 * The list is read a second time with the real types in the place of ours, so that each prototype must be the same
 * type as the function in cuda.h and as the one that cudaTypedefs.h has for that name and version.
 */
#define __CUDA_API_VERSION_INTERNAL /* every form of a function under its own name, no macros from one to another */
#include <cuda.h>
#include <cudaTypedefs.h>
#include <stdio.h>

#include "device/cuda/functions.h"
#include "header_pairs.h"

#define REAL(ours, theirs) typedef theirs ours;
NUMBER_PAIRS(REAL)
POINTER_PAIRS(REAL)
STRUCT_PAIRS(REAL)
#undef REAL

typedef struct comparison {
  const char *symbol;
  int function, version; /* the same type as in cuda.h, in cudaTypedefs.h */
} comparison;

static const comparison comparisons[] = {
#define F(need, name, symbol, version, parameters)                                                                     \
  { #symbol, __builtin_types_compatible_p(cu_result parameters, __typeof__(symbol)),                                   \
    __builtin_types_compatible_p(cu_result(*) parameters, PFN_##name##_v##version) },
  CF_CUDA_FUNCTIONS(F)
#undef F
};

int header_prototypes(int *compared) {
  int different = 0;
  *compared = (int)(sizeof comparisons / sizeof comparisons[0]);
  for (int i = 0; i < *compared; i++) {
    const comparison *c = &comparisons[i];
    if (!c->function)
      printf("%s: not the prototype of cuda.h\n", c->symbol);
    if (!c->version)
      printf("%s: not the prototype that cudaTypedefs.h has for this version\n", c->symbol);
    different += !c->function || !c->version;
  }
  return different;
}
