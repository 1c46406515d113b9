/* file.c - files that are whole or as before, whenever power goes. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

bool file_write(const char *path, const json_t *value) {
  char fresh[600];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  const int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool good = fd >= 0 && json_dumpfd(value, fd, JSON_INDENT(1)) == 0 && fsync(fd) == 0;
  if (fd >= 0)
    good = close(fd) == 0 && good;
  good = good && rename(fresh, path) == 0;
  if (!good)
    say("%s: %s", path, strerror(errno));
  return good;
}
