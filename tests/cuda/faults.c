/* faults.c - a driver call that fails. */
#include "faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int fault_errors[FAULT_ERRORS] = { CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_LAUNCH_FAILED };

static fault now;
static unsigned failed_before;

bool fault_has_happened(void) {
  return standin_failed(NULL) > failed_before;
}

static void fault_print(void) {
  const char *who = "";
  if (fault_has_happened())
    (void)standin_failed(&who);
  fprintf(stderr, "with error %d of call %u, %s:\n", now.error, now.nth, who[0] ? who : "which was not made yet");
}

void fault_begin(fault *f) {
  now = *f;
  check_context = fault_print;
  failed_before = standin_failed(NULL);
  CHECK(standin_fail("*", f->nth, f->error) == 0);
}

void fault_end(fault *f) {
  check_context = NULL;
  CHECK(standin_fail(NULL, 0, 0) == 0);
  f->happened = standin_failed(&f->who) > failed_before;
  if (!f->happened)
    f->who = "";
}

bool fault_is_sticky(const fault *f) {
  return cf_cuda_is_sticky(f->error);
}

bool fault_tolerates(int result) {
  if (result == CUFRAMES_OK)
    return true;
  bool known = result == CUFRAMES_ERR_DEVICE || result == CUFRAMES_ERR_NO_MEMORY ||
               result == CUFRAMES_ERR_UNSUPPORTED || result == CUFRAMES_ERR_PROTOCOL; /* what was sent is no memory */
  if (!known || strlen(cuframes_last_error()) < 10)
    fprintf(stderr, "gave %d, \"%s\"\n", result, cuframes_last_error());
  CHECK(known);
  CHECK(strlen(cuframes_last_error()) >= 10);
  CHECK(fault_has_happened());
  return false;
}

resources resources_now(void) {
  return (resources){ fixture_descriptors(), fixture_mappings(), standin_live(STANDIN_SWEPT) };
}

/* A lost context frees nothing any more: it all goes with the context. */
static bool explains_swept(const fault *f) {
  return f->happened && fault_is_sticky(f);
}

void resources_are(const resources *before, const fault *f) {
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

/* ---- pictures ---- */

#define ROOM 16384

cuframes_format picture_format(uint32_t width) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = width, .height = 16 };
}

static uint32_t picture_bytes(const cuframes_frame *frame, uint64_t number, uint8_t *bytes) {
  uint32_t row_bytes, rows;
  CHECK_OK(cuframes_format_plane_size(cuframes_frame_format(frame), 0, &row_bytes, &rows));
  CHECK(row_bytes * rows <= ROOM);
  for (uint32_t i = 0; i < row_bytes * rows; i++)
    bytes[i] = (uint8_t)(number * 37 + i * 5 + i / row_bytes + 1);
  return row_bytes * rows;
}

int picture_copy(cuframes_frame *frame, uint64_t number) {
  uint8_t bytes[ROOM];
  (void)picture_bytes(frame, number, bytes);
  return cuframes_frame_copy_from_host(frame, 0, bytes, 0);
}

int picture_look(const cuframes_frame *frame, bool *whole) {
  uint8_t wanted[ROOM], got[ROOM] = { 0 };
  uint32_t size = picture_bytes(frame, (uint64_t)cuframes_frame_pts(frame) / 1000, wanted);
  int result = cuframes_frame_copy_to_host(frame, 0, got, 0);
  *whole = result == CUFRAMES_OK && memcmp(wanted, got, size) == 0;
  return result;
}
