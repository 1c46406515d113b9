/* textfile.c - see textfile.h. */
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100 /* to get hold of the file beside, while others rename theirs */

/* ".NAME.tmp" in the directory of `path`. False: too long. */
static bool path_beside(const char *path, char *beside, size_t size) {
  const char *slash = strrchr(path, '/');
  const int before = slash ? (int)(slash - path) + 1 : 0;
  const int length = snprintf(beside, size, "%.*s.%s.tmp", before, path, path + before);
  return length > 0 && (size_t)length < size;
}

static bool fail(char *why, size_t size, const char *what, const char *path) {
  const int error = errno;
  const char *remedy = error == ENOSPC || error == EDQUOT  ? "; make room there"
                       : error == EACCES || error == EPERM ? "; this user must be able to write into its directory"
                       : error == EROFS                    ? "; it must be on a file system that can be written to"
                       : error == ENOENT                   ? "; make its directory first"
                       : error == EISDIR                   ? "; name a file"
                                                           : "";
  snprintf(why, size, "cannot %s %s: %s%s", what, path, strerror(error), remedy);
  return false;
}

/* Whether what is open there is still what has the name: another one may have renamed it. */
static bool is_same(int fd, const char *path) {
  struct stat open_one, named;
  return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 && open_one.st_dev == named.st_dev &&
         open_one.st_ino == named.st_ino;
}

/* Opens the file beside, which one that was killed may have left, and locks it against others who write the same. */
static int open_beside(const char *path, char *why, size_t size) {
  for (int i = 0; i < TRIES; i++) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0) {
      (void)fail(why, size, "make", path);
      return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_same(fd, path)) {
      if (ftruncate(fd, 0) == 0)
        return fd;
      (void)fail(why, size, "empty", path);
      close(fd);
      return -1;
    }
    close(fd);
  }
  snprintf(why, size, "%s is being written by another process: give each one a file of its own", path);
  return -1;
}

static bool write_all(int fd, const char *text, size_t length) {
  while (length > 0) {
    const ssize_t wrote = write(fd, text, length);
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote <= 0)
      return false;
    text += wrote;
    length -= (size_t)wrote;
  }
  return true;
}

bool textfile_write(const char *path, const char *text, size_t length, char *why, size_t size) {
  char beside[PATH_MAX];
  if (!path_beside(path, beside, sizeof beside)) {
    errno = ENAMETOOLONG;
    return fail(why, size, "write", path);
  }
  const int fd = open_beside(beside, why, size);
  if (fd < 0)
    return false;
  bool done = write_all(fd, text, length);
  if (!done)
    (void)fail(why, size, "write", beside);
  else if (rename(beside, path) != 0)
    done = fail(why, size, "write", path);
  if (!done)
    (void)unlink(beside); /* nobody is to find half a text; if it stays, the next one writes over it */
  close(fd);
  return done;
}

void textfile_remove(const char *path) {
  (void)unlink(path); /* if it is there no more, all the better */
}
