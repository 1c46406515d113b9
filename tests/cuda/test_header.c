/* test_header.c - our declarations of the CUDA driver against the real cuda.h: constants, sizes, offsets, prototypes.
 *
 * Built only where the toolkit's headers are; elsewhere the test is skipped. Everything is looked at when it runs, so
 * that a header that differs gives a list and not a build that breaks.
 */
#include <cuda.h>
#include <stddef.h>
#include <stdio.h>

#include "device/cuda/constants.h"
#include "device/cuda/types.h"
#include "header_pairs.h"

typedef struct number {
  const char *what;
  long long ours, theirs;
} number;

static const number numbers[] = {
#define F(name, value) { #name, value, name },
  CF_CUDA_RESULTS(F) CF_CUDA_DEVICE_ATTRIBUTES(F) CF_CUDA_POINTER_ATTRIBUTES(F) CF_CUDA_FLAGS(F)
#if CUDA_VERSION >= 13000
      CF_CUDA_NEWER_DEVICE_ATTRIBUTES(F)
#endif
#undef F
};

static const number types[] = {
#define IS_SIGNED(type) ((type)-1 < (type)1)
#define SIZE(ours, theirs)                                                                                             \
  { "size of " #ours, sizeof(ours), sizeof(theirs) }, { "alignment of " #ours, _Alignof(ours), _Alignof(theirs) },
#define NUMBER(ours, theirs)                                                                                           \
  SIZE(ours, theirs){ "sign of " #ours, IS_SIGNED(ours),                                                               \
                      __builtin_types_compatible_p(ours, cu_result) || IS_SIGNED(theirs) },
  NUMBER_PAIRS(NUMBER) POINTER_PAIRS(SIZE) STRUCT_PAIRS(SIZE)
};

static const number fields[] = {
#define FIELD(ours, field, theirs, their_field)                                                                        \
  { "offset of " #ours "." #field, offsetof(ours, field), offsetof(theirs, their_field) },                             \
      { "size of " #ours "." #field, sizeof((ours *)0)->field, sizeof((theirs *)0)->their_field },
  FIELD_PAIRS(FIELD)
};

static int compare(const number *list, size_t count) {
  int different = 0;
  for (size_t i = 0; i < count; i++)
    if (list[i].ours != list[i].theirs) {
      printf("%s: ours %lld, cuda.h %lld\n", list[i].what, list[i].ours, list[i].theirs);
      different++;
    }
  return different;
}

#define COMPARE(list) compare(list, sizeof list / sizeof list[0])

int main(void) {
  int prototypes;
  int different = COMPARE(numbers) + COMPARE(types) + COMPARE(fields) + header_prototypes(&prototypes);
  printf("cuda.h of CUDA %d.%d: %zu constants, %zu sizes of types, %zu of fields, %d prototypes; %d differ\n",
         CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10, sizeof numbers / sizeof numbers[0],
         sizeof types / sizeof types[0], sizeof fields / sizeof fields[0], prototypes, different);
  return different > 0;
}
