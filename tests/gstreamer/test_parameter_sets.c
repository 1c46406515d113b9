/* test_parameter_sets.c - parameter sets out of access units of byte streams. */
#include <glib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parameter_sets.h"

#define BYTES(...)                                                                                                     \
  (const guint8[]){ __VA_ARGS__ }, sizeof(const guint8[]) {                                                            \
    __VA_ARGS__                                                                                                        \
  }

typedef struct unit {
  const gchar *codec;
  const guint8 *data;
  gsize size;
  const guint8 *sets;
  gsize sets_size;
} unit;

static void those_before_the_picture_are_found(void **state) {
  const unit units[] = {
    /* delimiter, SPS, PPS, SEI, IDR; start codes of both lengths */
    { "h264",
      BYTES(0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 1, 6, 5, 0, 0, 1, 0x65, 7, 0, 0, 1,
            0x67),
      BYTES(0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3) },
    /* VPS, SPS, PPS, IDR */
    { "hevc", BYTES(0, 0, 1, 0x40, 1, 9, 0, 0, 1, 0x42, 1, 8, 0, 0, 0, 1, 0x44, 1, 7, 0, 0, 1, 0x26, 1, 6),
      BYTES(0, 0, 0, 1, 0x40, 1, 9, 0, 0, 0, 1, 0x42, 1, 8, 0, 0, 0, 1, 0x44, 1, 7) },
    /* a set at the very end, with zeros behind it */
    { "h264", BYTES(0, 0, 1, 0x67, 5, 0, 0, 0), BYTES(0, 0, 0, 1, 0x67, 5) },
    { "h264", BYTES(0, 0, 1, 0x41, 1, 2), NULL, 0 },
    { "h264", BYTES(1, 2, 3), NULL, 0 },
    { "h264", BYTES(0, 0, 1), NULL, 0 },
    { "h264", BYTES(0, 0, 1, 0, 0, 1, 0x68), BYTES(0, 0, 0, 1, 0x68) },
    { "h264", NULL, 0, NULL, 0 },
  };
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
    GByteArray *found = cf_gst_parameter_sets(units[i].codec, units[i].data, units[i].size);
    assert_int_equal(found->len, units[i].sets_size);
    if (found->len > 0)
      assert_memory_equal(found->data, units[i].sets, found->len);
    g_byte_array_unref(found);
  }
}

static void other_codecs_have_none(void **state) {
  (void)state;
  assert_true(cf_gst_has_parameter_sets("h264"));
  assert_true(cf_gst_has_parameter_sets("hevc"));
  assert_false(cf_gst_has_parameter_sets("av1"));
  assert_false(cf_gst_has_parameter_sets("aac"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(those_before_the_picture_are_found),
    cmocka_unit_test(other_codecs_have_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
