/* wire/text.c - which text of a peer may reach a terminal or a log. */
#include "wire/text.h"

static bool is_in(uint32_t character, uint32_t first, uint32_t last) {
  return character >= first && character <= last;
}

static bool is_harmless(uint32_t c) {
  return c >= 0x20 && !is_in(c, 0x7f, 0x9f) && c != 0x61c && !is_in(c, 0x200e, 0x200f) && !is_in(c, 0x2028, 0x202e) &&
         !is_in(c, 0x2066, 0x2069);
}

/* Bytes of a character by its first one; 0: none begins so. */
static size_t length_of(uint8_t first) {
  if (first < 0x80)
    return 1;
  if (is_in(first, 0xc2, 0xdf))
    return 2;
  if (is_in(first, 0xe0, 0xef))
    return 3;
  return is_in(first, 0xf0, 0xf4) ? 4 : 0;
}

size_t cf_text_character(const uint8_t *text, size_t length) {
  static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
  size_t bytes = length > 0 ? length_of(text[0]) : 0;
  if (bytes == 0 || bytes > length)
    return 0;
  uint32_t character = bytes == 1 ? text[0] : text[0] & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; i++) {
    if ((text[i] & 0xc0) != 0x80)
      return 0;
    character = character << 6 | (text[i] & 0x3fu);
  }
  bool sound = character >= least[bytes] && character <= 0x10ffff && !is_in(character, 0xd800, 0xdfff);
  return sound && is_harmless(character) ? bytes : 0;
}

bool cf_text_is_shown(const uint8_t *text, size_t length) {
  while (length > 0) {
    size_t bytes = cf_text_character(text, length);
    if (bytes == 0)
      return false;
    text += bytes;
    length -= bytes;
  }
  return true;
}
