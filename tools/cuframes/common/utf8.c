/* utf8.c - see utf8.h. */
#include "utf8.h"

uint32_t utf8_next(const char **text) {
  static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
  const unsigned char *at = (const unsigned char *)*text;
  if (at[0] == 0)
    return 0;
  const unsigned more = at[0] < 0x80 ? 0 : at[0] >> 5 == 6 ? 1 : at[0] >> 4 == 14 ? 2 : at[0] >> 3 == 30 ? 3 : 4;
  (*text)++;
  if (more == 0)
    return at[0];
  if (more == 4)
    return UTF8_NONE;
  uint32_t character = at[0] & (0x3fu >> more);
  for (unsigned i = 1; i <= more; i++) {
    if (at[i] >> 6 != 2)
      return UTF8_NONE;
    character = character << 6 | (at[i] & 0x3fu);
  }
  if (character < least[more] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
    return UTF8_NONE;
  *text += more;
  return character;
}
