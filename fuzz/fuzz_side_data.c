/* fuzz_side_data.c - the walk over a frame's side data. The input is a chain of blobs as a publisher may leave it, and
 * may change it between two steps. Nothing outside of it may be read or given, every walk ends, and what is walked
 * through can be appended again and looks the same.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/side_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
  if (!condition)
    abort();
}

/* Memory whose end is the end of what may be read; aligned as a frame's side data are. */
static uint8_t *area_new(const void *from, size_t size) {
  void *area = NULL;
  require(posix_memalign(&area, 64, size ? size : 1) == 0);
  if (size > 0)
    memcpy(area, from, size);
  return area;
}

static uint32_t step_check(const uint8_t *area, uint32_t used, uint32_t before, uint32_t after, const cf_side_blob *b) {
  const uint8_t *start = b->data;
  require(b->type != 0 && after > before && after <= used && after % CF_SIDE_ALIGN == 0);
  require(start == area + before + sizeof(cf_side_entry) && b->size <= used - before - sizeof(cf_side_entry));
  uint32_t sum = 0;
  for (uint32_t i = 0; i < b->size; i++) /* a sanitizer sees one byte too many */
    sum += start[i];
  return sum;
}

static void walk_and_append(const uint8_t *area, uint32_t used) {
  uint32_t cursor = 0, other = 0, made = 0, before = 0;
  cf_side_blob blob, copy;
  uint8_t *again = area_new(area, used);
  memset(again, 0xa5, used);
  while (cf_side_data_next(area, used, &cursor, &blob)) {
    (void)step_check(area, used, before, cursor, &blob);
    before = cursor;
    require(cf_side_data_append(again, used, &made, blob.type, blob.data, blob.size));
    require(made == cursor); /* as long as it was */
  }
  for (cursor = 0; cf_side_data_next(again, made, &other, &copy);) {
    require(cf_side_data_next(area, used, &cursor, &blob));
    require(blob.type == copy.type && blob.size == copy.size && memcmp(blob.data, copy.data, blob.size) == 0);
  }
  require(other == made);
  free(again);
}

/* A publisher that writes while we read. */
static void walk_while_it_changes(uint8_t *area, uint32_t used, const uint8_t *data, size_t size) {
  uint32_t cursor = 0, before = 0;
  cf_side_blob blob;
  for (size_t at = 0; cf_side_data_next(area, used, &cursor, &blob); at += 3) {
    (void)step_check(area, used, before, cursor, &blob);
    before = cursor;
    if (at + 2 < size && used > 0)
      area[(data[at] * 256u + data[at + 1]) % used] = data[at + 2];
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 65536)
    size = 65536;
  uint8_t *area = area_new(data, size);
  walk_and_append(area, (uint32_t)size);
  walk_while_it_changes(area, (uint32_t)size, data, size);
  free(area);
  return 0;
}
