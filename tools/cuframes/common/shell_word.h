/* shell_word.h - a path as it is to be typed. */
#ifndef CUFRAMES_SHELL_WORD_H
#define CUFRAMES_SHELL_WORD_H

#include <stddef.h>

/* A path as one word for a shell, quoted if it must be, cut to `size` bytes with its end; SHELL_WORD_FOR(LENGTH) are
 * enough for a path of that length. Gives text. */
const char *shell_word(char *text, size_t size, const char *path);
#define SHELL_WORD_FOR(length) ((length)*4 + 3)

#endif
