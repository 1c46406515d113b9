/* api/side_data.c - what a frame carries besides its picture. */
#include <inttypes.h>

#include "api/frame.h"
#include "exchange/layout.h"
#include "exchange/side_data.h"
#include "os/error.h"

static_assert(CUFRAMES_SIDE_DATA_MAX == CF_SIDE_DATA_MAX, "one limit");
static_assert(sizeof(cuframes_mastering_display) == 24 && sizeof(cuframes_content_light) == 4 &&
                  sizeof(cuframes_camera_calibration) == 144,
              "cuframes/side_data.h, docs/protocol.md");

/* Fewest and most bytes of a blob, by its type. */
static const struct {
  size_t least, most;
} sizes[] = {
  [CUFRAMES_SIDE_DATA_SEI_USER_DATA] = { 16, CUFRAMES_SIDE_DATA_MAX },
  [CUFRAMES_SIDE_DATA_A53_CAPTIONS] = { 3, CUFRAMES_SIDE_DATA_MAX },
  [CUFRAMES_SIDE_DATA_MASTERING_DISPLAY] = { sizeof(cuframes_mastering_display), sizeof(cuframes_mastering_display) },
  [CUFRAMES_SIDE_DATA_CONTENT_LIGHT] = { sizeof(cuframes_content_light), sizeof(cuframes_content_light) },
  [CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION] = { sizeof(cuframes_camera_calibration),
                                              sizeof(cuframes_camera_calibration) },
};

static int type_check(uint32_t type, size_t size) {
  if (type >= CUFRAMES_SIDE_DATA_APPLICATION)
    return CUFRAMES_OK;
  if (type == 0 || type >= sizeof sizes / sizeof sizes[0])
    return cf_fail(CUFRAMES_ERR_INVALID, "side data of type %" PRIu32 ": types of your own begin at 0x%x", type,
                   CUFRAMES_SIDE_DATA_APPLICATION);
  if (size < sizes[type].least || size > sizes[type].most)
    return cf_fail(CUFRAMES_ERR_INVALID, "side data of type %" PRIu32 " takes %zu bytes or more, %zu at most; got %zu",
                   type, sizes[type].least, sizes[type].most, size);
  return CUFRAMES_OK;
}

int cuframes_frame_add_side_data(cuframes_frame *frame, uint32_t type, const void *data, size_t size) {
  if (!frame || (!data && size > 0))
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_add_side_data: frame and data must be given");
  cf_frame *f = frame->body;
  if (!cf_process_is(frame->maker))
    return cf_process_check(frame->maker, "frame");
  if (f->state != CF_FRAME_OPEN)
    return cf_fail(CUFRAMES_ERR_INVALID, "only a publisher's open frame can be given side data");
  int result = type_check(type, size);
  if (result == CUFRAMES_OK && !cf_side_data_append(f->side, f->side_room, &f->side_bytes, type, data, size))
    result = cf_fail(CUFRAMES_ERR_NO_CAPACITY,
                     "no room for %zu bytes of side data: a frame has %" PRIu32 " bytes, %" PRIu32
                     " of them are used, and each piece takes 8 more; raise side_data_max",
                     size, f->side_room, f->side_bytes);
  return result;
}

/* The first blob of the type *type, or the one of that index. */
static const void *blob_find(const cuframes_frame *frame, uint32_t index, bool by_type, uint32_t *type, size_t *size) {
  cf_side_blob blob;
  uint32_t cursor = 0;
  if (frame && !cf_process_is(frame->maker))
    return NULL;
  for (uint32_t i = 0; frame && cf_side_data_next(frame->body->side, frame->body->side_bytes, &cursor, &blob); i++) {
    if (by_type ? blob.type != *type : i != index)
      continue;
    *type = blob.type;
    *size = blob.size;
    return blob.data;
  }
  return NULL;
}

const void *cuframes_frame_side_data(const cuframes_frame *frame, uint32_t type, size_t *size) {
  size_t ignored;
  return blob_find(frame, 0, true, &type, size ? size : &ignored);
}

const void *cuframes_frame_side_data_at(const cuframes_frame *frame, uint32_t index, uint32_t *type, size_t *size) {
  uint32_t any;
  size_t ignored;
  return blob_find(frame, index, false, type ? type : &any, size ? size : &ignored);
}
