/* picture_hash.c - see picture_hash.h. */
#include "picture_hash.h"

#include <string.h>

/* Any change of a picture changes it with near certainty: each step is one-to-one in the new word. */
static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t size) {
  const uint64_t factor = 0x9E3779B97F4A7C15u;
  uint64_t lane[4] = { hash, hash ^ 1, hash ^ 2, hash ^ 3 }, word[4];
  for (; size >= sizeof(word); data += sizeof(word), size -= sizeof(word)) {
    memcpy(word, data, sizeof(word));
    for (int i = 0; i < 4; i++)
      lane[i] = ((lane[i] << 23 | lane[i] >> 41) ^ word[i]) * factor;
  }
  memset(word, 0, sizeof(word));
  memcpy(word, data, size);
  for (int i = 0; i < 4; i++) {
    hash = (hash ^ lane[i] ^ word[i]) * factor;
    hash ^= hash >> 31;
  }
  return hash;
}

uint64_t picture_hash(const picture_planes *planes, const cuframes_format *format) {
  uint64_t hash = 1;
  for (int i = 0; i < CUFRAMES_PLANES && planes->plane[i]; i++) {
    uint32_t row_bytes = 0, rows = 0;
    if (cuframes_format_plane_size(format, i, &row_bytes, &rows))
      break;
    for (uint32_t row = 0; row < rows; row++)
      hash = hash_bytes(hash, planes->plane[i] + (size_t)row * planes->pitch[i], row_bytes);
  }
  return hash;
}
