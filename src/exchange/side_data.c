/* exchange/side_data.c - a chain of typed blobs: appending, and walking it without trust. */
#include "exchange/side_data.h"

#include <string.h>

/* In 64 bits: no size that a peer may write overflows. */
static uint64_t aligned(uint64_t bytes) {
  return (bytes + CF_SIDE_ALIGN - 1) & ~(uint64_t)(CF_SIDE_ALIGN - 1);
}

bool cf_side_data_append(void *area, uint32_t room, uint32_t *used, uint32_t type, const void *blob, size_t size) {
  if (type == 0 || size > room || *used > room)
    return false;
  uint64_t takes = sizeof(cf_side_entry) + aligned(size);
  if (takes > room - *used)
    return false;
  uint8_t *at = (uint8_t *)area + *used;
  cf_side_entry entry = { .type = type, .size = (uint32_t)size };
  memcpy(at, &entry, sizeof entry);
  if (size > 0)
    memcpy(at + sizeof entry, blob, size);
  memset(at + sizeof entry + size, 0, takes - sizeof entry - size); /* nothing of an older frame is left between */
  *used += (uint32_t)takes;
  return true;
}

bool cf_side_data_next(const void *area, uint32_t used, uint32_t *cursor, cf_side_blob *blob) {
  if (*cursor > used || used - *cursor < sizeof(cf_side_entry))
    return false;
  const cf_side_entry *entry = (const cf_side_entry *)(const void *)((const uint8_t *)area + *cursor);
  /* relaxed, once each: whoever may read them has seen the frame's seq first. A hostile publisher may still write. */
  uint32_t type = __atomic_load_n(&entry->type, __ATOMIC_RELAXED);
  uint32_t size = __atomic_load_n(&entry->size, __ATOMIC_RELAXED);
  uint32_t left = used - *cursor - (uint32_t)sizeof *entry;
  if (type == 0 || aligned(size) > left)
    return false;
  *blob = (cf_side_blob){ .type = type, .size = size, .data = entry + 1 };
  *cursor += (uint32_t)(sizeof *entry + aligned(size));
  return true;
}
