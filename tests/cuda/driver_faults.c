/* driver_faults.c - a call of the CUDA driver that fails. */
#include "driver_faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int driver_fault_errors[DRIVER_FAULT_ERRORS] = { CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_OUT_OF_MEMORY,
                                                       CUDA_ERROR_LAUNCH_FAILED };

static driver_fault now;
static unsigned failed_before;

bool driver_fault_has_happened(void) {
  return standin_failed(NULL) > failed_before;
}

static void driver_fault_print(void) {
  const char *who = "";
  if (driver_fault_has_happened())
    (void)standin_failed(&who);
  fprintf(stderr, "with error %d of call %u, %s:\n", now.error, now.nth, who[0] ? who : "which was not made yet");
}

void driver_fault_begin(driver_fault *f) {
  now = *f;
  check_context = driver_fault_print;
  failed_before = standin_failed(NULL);
  CHECK(standin_fail("*", f->nth, f->error) == 0);
}

void driver_fault_end(driver_fault *f) {
  check_context = NULL;
  CHECK(standin_fail(NULL, 0, 0) == 0);
  f->happened = standin_failed(&f->who) > failed_before;
  if (!f->happened)
    f->who = "";
}

bool driver_fault_is_sticky(const driver_fault *f) {
  return cf_cuda_is_sticky(f->error);
}

bool driver_fault_tolerates(int result) {
  if (result == CUFRAMES_OK)
    return true;
  bool known = result == CUFRAMES_ERR_DEVICE || result == CUFRAMES_ERR_NO_MEMORY ||
               result == CUFRAMES_ERR_UNSUPPORTED || result == CUFRAMES_ERR_PROTOCOL; /* what was sent is no memory */
  if (!known || strlen(cuframes_last_error()) < 10)
    fprintf(stderr, "gave %d, \"%s\"\n", result, cuframes_last_error());
  CHECK(known);
  CHECK(strlen(cuframes_last_error()) >= 10);
  CHECK(driver_fault_has_happened());
  return false;
}

resources resources_now(void) {
  return (resources){ fixture_descriptors(), fixture_mappings(), standin_live(STANDIN_SWEPT) };
}

/* A lost context frees nothing any more: it all goes with the context. */
static bool explains_swept(const driver_fault *f) {
  return f->happened && driver_fault_is_sticky(f);
}

void resources_are(const resources *before, const driver_fault *f) {
  resources after = resources_now();
  for (int kind = 0; kind < STANDIN_SWEPT; kind++) {
    long count = standin_live((standin_kind)kind);
    if (count != 0)
      fprintf(stderr, "left behind: %ld %s\n", count, standin_kind_name((standin_kind)kind));
    CHECK(count == 0);
  }
  if (after.descriptors != before->descriptors || after.mappings != before->mappings)
    fprintf(stderr, "descriptors %d, then %d; mappings %d, then %d\n", before->descriptors, after.descriptors,
            before->mappings, after.mappings);
  CHECK(after.descriptors == before->descriptors);
  CHECK(after.mappings == before->mappings);
  CHECK(after.swept == before->swept || explains_swept(f));
}
