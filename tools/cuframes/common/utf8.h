/* utf8.h - characters of a text in UTF-8, which may come from anybody. */
#ifndef CUFRAMES_UTF8_H
#define CUFRAMES_UTF8_H

#include <stdint.h>

/* In the place of a byte that is no UTF-8. */
#define UTF8_NONE 0xfffdu

/* The next character of a text that ends with a zero; moves on behind it, over one byte if it is none: then it is
 * UTF8_NONE. Overlong forms, surrogates and what is above U+10FFFF are none. 0: the end, which is not passed. */
uint32_t utf8_next(const char **text);

#endif
