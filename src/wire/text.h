/* wire/text.h - which text of a peer may reach a terminal or a log. Pure. */
#ifndef CF_WIRE_TEXT_H
#define CF_WIRE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that the text begins with, 0 if it may not be shown: it is not UTF-8, a control character
 * (also U+0080 to U+009F, which terminals obey), or one that turns the direction of what follows or ends a line. */
size_t cf_text_character(const uint8_t *text, size_t length);

/* Whether all of it may be shown. */
bool cf_text_is_shown(const uint8_t *text, size_t length);

#endif
