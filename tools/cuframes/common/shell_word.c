/* shell_word.c - see shell_word.h. */
#include "shell_word.h"

#include <stdio.h>
#include <string.h>

const char *shell_word(char *text, size_t size, const char *path) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@,%";
  if (*path != '\0' && path[strspn(path, plain)] == '\0') {
    snprintf(text, size, "%s", path);
    return text;
  }
  size_t used = (size_t)snprintf(text, size, "'");
  for (; *path != '\0' && used + 6 < size; path++)
    used += (size_t)snprintf(text + used, size - used, *path == '\'' ? "'\\''" : "%c", *path);
  snprintf(text + used, size - used, "'");
  return text;
}
