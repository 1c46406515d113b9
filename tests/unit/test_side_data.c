/* test_side_data.c - the chain of a frame's side data: what fits, what is found again, what a liar's chain gives. */
#include "exchange/side_data.h"
#include "exchange_support.h"

enum { ROOM = 4096 };

static cf_side_blob blob_at(const void *area, uint32_t used, uint32_t index) {
  cf_side_blob blob = { 0 };
  uint32_t cursor = 0;
  for (uint32_t i = 0; i <= index; i++)
    assert_true(cf_side_data_next(area, used, &cursor, &blob));
  return blob;
}

static uint32_t count_of(const void *area, uint32_t used) {
  cf_side_blob blob;
  uint32_t cursor = 0, count = 0;
  while (cf_side_data_next(area, used, &cursor, &blob))
    count++;
  return count;
}

static void blobs_are_found_in_their_order(void **state) {
  (void)state;
  uint8_t *area = zeroed(ROOM);
  uint32_t used = 0;
  memset(area, 0xee, ROOM);
  assert_int_equal(count_of(area, 0), 0);
  assert_true(cf_side_data_append(area, ROOM, &used, 7, "abc", 3));
  assert_int_equal(used, 16);
  assert_memory_equal(area + 8, "abc\0\0\0\0\0", 8); /* what an older frame left there is gone */
  assert_true(cf_side_data_append(area, ROOM, &used, UINT32_MAX, NULL, 0));
  assert_int_equal(used, 24);
  assert_true(cf_side_data_append(area, ROOM, &used, 7, "01234567", 8));
  assert_int_equal(used, 40);
  assert_int_equal(count_of(area, used), 3);
  cf_side_blob blob = blob_at(area, used, 2);
  assert_int_equal(blob.type, 7);
  assert_int_equal(blob.size, 8);
  assert_memory_equal(blob.data, "01234567", 8);
  blob = blob_at(area, used, 1);
  assert_true(blob.type == UINT32_MAX && blob.size == 0 && blob.data == area + 24);
  for (uint32_t cut = 0; cut < used; cut++)
    assert_int_equal(count_of(area, cut), cut < 16 ? 0 : cut < 24 ? 1 : 2);
  free(area);
}

static void what_does_not_fit_changes_nothing(void **state) {
  (void)state;
  static const uint8_t bytes[ROOM];
  uint8_t *area = zeroed(ROOM);
  uint32_t used = 0;
  assert_false(cf_side_data_append(NULL, 0, &used, 1, bytes, 0)); /* no room at all */
  assert_false(cf_side_data_append(area, 7, &used, 1, bytes, 0));
  assert_true(cf_side_data_append(area, 8, &used, 1, bytes, 0));
  used = 0;
  assert_false(cf_side_data_append(area, ROOM, &used, 0, bytes, 8)); /* 0 is no type */
  assert_false(cf_side_data_append(area, ROOM, &used, 1, bytes, ROOM - 7));
  assert_false(cf_side_data_append(area, ROOM, &used, 1, bytes, SIZE_MAX));
  assert_false(cf_side_data_append(area, ROOM, &used, 1, bytes, (size_t)UINT32_MAX + 1));
  assert_false(cf_side_data_append(area, 23, &used, 1, bytes, 9)); /* not with its padding */
  assert_int_equal(used, 0);
  assert_true(cf_side_data_append(area, ROOM, &used, 1, bytes, ROOM - 8));
  assert_int_equal(used, ROOM);
  assert_false(cf_side_data_append(area, ROOM, &used, 1, bytes, 0));
  used = ROOM + 8;
  assert_false(cf_side_data_append(area, ROOM, &used, 1, bytes, 0));
  assert_int_equal(cf_side_data_stride(1), 64);
  assert_int_equal(cf_side_data_stride(64), 64);
  assert_int_equal(cf_side_data_stride(65536), 65536);
  free(area);
}

/* Random chains come back as they were; random changes of them never lead outside. */
static void no_chain_leads_outside(void **state) {
  (void)state;
  uint64_t seed = 20261129;
  for (int round = 0; round < 20000; round++) {
    uint32_t room = random_below(&seed, 40) * 8, used = 0, count = 0, cursor = 0, found = 0;
    uint8_t *area = zeroed(room ? room : 1), blob[400];
    for (uint32_t i = 0; i < sizeof blob; i++)
      blob[i] = (uint8_t)random_next(&seed);
    while (cf_side_data_append(area, room, &used, 1 + random_below(&seed, 9), blob, random_below(&seed, 60)))
      count++;
    assert_int_equal(count_of(area, used), count);
    cf_side_blob got;
    for (uint32_t before = 0; cf_side_data_next(area, used, &cursor, &got); before = cursor, found++) {
      const uint8_t *start = got.data;
      assert_true(start == area + before + 8 && start + got.size <= area + used && cursor <= used);
      uint32_t words = used / 4; /* and now the publisher lies */
      uint32_t at = random_below(&seed, words);
      ((uint32_t *)(void *)area)[at] =
          random_below(&seed, 2) ? (uint32_t)random_next(&seed) : random_below(&seed, room);
    }
    assert_true(found <= used / 8);
    free(area);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(blobs_are_found_in_their_order),
    cmocka_unit_test(what_does_not_fit_changes_nothing),
    cmocka_unit_test(no_chain_leads_outside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
