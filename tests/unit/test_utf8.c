/* test_utf8.c - characters of UTF-8: every one of them, and what is none, byte by byte. */
#include <string.h>

#include "support/fixture.h"

#include "../../tools/cuframes/common/utf8.c"

/* The bytes of a character, by the table of RFC 3629. */
static size_t encode(uint32_t c, char *to) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    to[0] = (char)(0xc0 | c >> 6);
    to[1] = (char)(0x80 | (c & 63));
    return 2;
  }
  if (c < 0x10000) {
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 63));
    to[2] = (char)(0x80 | (c & 63));
    return 3;
  }
  to[0] = (char)(0xf0 | c >> 18);
  to[1] = (char)(0x80 | (c >> 12 & 63));
  to[2] = (char)(0x80 | (c >> 6 & 63));
  to[3] = (char)(0x80 | (c & 63));
  return 4;
}

static void every_character_comes_back(void **state) {
  (void)state;
  for (uint32_t c = 1; c <= 0x10ffff; c++) {
    char text[8] = { 0 };
    const char *at = text;
    const size_t length = encode(c, text);
    if (c >= 0xd800 && c < 0xe000) {
      CHECK(utf8_next(&at) == UTF8_NONE && at == text + 1);
      continue;
    }
    CHECK(utf8_next(&at) == c && at == text + length);
    CHECK(utf8_next(&at) == 0 && at == text + length);
  }
}

/* Each is so many times none, byte by byte, and then the end. */
static void what_is_none_is_passed_byte_by_byte(void **state) {
  (void)state;
  static const char *const wrong[] = {
    "\x80",
    "\xbf\xbf",
    "\xc3",
    "\xe2\x82",
    "\xf0\x9f\x90",
    "\xc0\x80",
    "\xc1\xbf",
    "\xe0\x9f\xbf",
    "\xf0\x8f\xbf\xbf",
    "\xf4\x90\x80\x80",
    "\xf8\x88\x80\x80",
    "\xff\xfe",
    "\xed\xa0\x80",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    const char *at = wrong[i];
    for (size_t k = 0; k < strlen(wrong[i]); k++)
      CHECK(utf8_next(&at) == UTF8_NONE && at == wrong[i] + k + 1);
    CHECK(utf8_next(&at) == 0);
  }
}

static void good_ones_follow_bad_ones(void **state) {
  (void)state;
  const char *at = "\xe2"
                   "a\xc3\xbc\xf0z";
  CHECK(utf8_next(&at) == UTF8_NONE);
  CHECK(utf8_next(&at) == 'a');
  CHECK(utf8_next(&at) == 0xfc);
  CHECK(utf8_next(&at) == UTF8_NONE);
  CHECK(utf8_next(&at) == 'z');
  CHECK(utf8_next(&at) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_character_comes_back),
    cmocka_unit_test(what_is_none_is_passed_byte_by_byte),
    cmocka_unit_test(good_ones_follow_bad_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
