/* exchange/side_data.h - the side data of a frame: a chain of typed blobs in shared memory. docs/protocol.md describes
 * every byte.
 *
 * The publisher writes the chain while the frame is open, as it writes the picture, and never while somebody leases it.
 * A reader trusts none of it: each number is loaded once, and checked before it is used.
 * Pure: memory comes from the caller, nothing sleeps or calls the system.
 */
#ifndef CF_EXCHANGE_SIDE_DATA_H
#define CF_EXCHANGE_SIDE_DATA_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before each blob; that begins behind it, and the next one at the next multiple of CF_SIDE_ALIGN. */
typedef struct cf_side_entry {
  uint32_t type; /* enum cuframes_side_data; never 0 */
  uint32_t size; /* bytes of the blob alone */
} cf_side_entry;

static_assert(sizeof(cf_side_entry) == 8 && offsetof(cf_side_entry, size) == 4, "docs/protocol.md, side data entry");

#define CF_SIDE_ALIGN 8u

/* Bytes from one frame's side data to the next frame's, where each has room for `max`: whole cache lines. */
static inline uint32_t cf_side_data_stride(uint32_t max) {
  return (max + 63u) & ~63u;
}

/* Appends a blob to a chain of *used bytes in an area of `room` bytes, which begins at a multiple of CF_SIDE_ALIGN.
 * False, and nothing changed, if it does not fit. */
bool cf_side_data_append(void *area, uint32_t room, uint32_t *used, uint32_t type, const void *blob, size_t size);

/* What one step of a walk found. */
typedef struct cf_side_blob {
  uint32_t type;
  uint32_t size;
  const void *data; /* `size` bytes within the chain, at a multiple of CF_SIDE_ALIGN from its start */
} cf_side_blob;

/* Steps through a chain of `used` bytes: *cursor starts at 0. False at the end, or where the chain is not sound.
 * Nothing outside of the `used` bytes is ever read or given. */
bool cf_side_data_next(const void *area, uint32_t used, uint32_t *cursor, cf_side_blob *blob);

#endif
