/* files.h - the files of a recording of many: made as NAME.part, renamed into place when they are whole, found again
 * in their directories, deleted.
 *
 * Whoever writes a .part holds a lock on it (flock), which ends with the process. A .part that nobody has locked was
 * left by one that was killed. Below the root no symbolic link is followed: what a name means there is what lies there.
 */
#ifndef CUFRAMES_RECORD_FILES_H
#define CUFRAMES_RECORD_FILES_H

#include <sys/stat.h>

#include "names.h"

typedef struct part {
  int fd;        /* -1: none; locked */
  int directory; /* where it lies */
  unsigned number;
  char file[NAMES_PATH_MAX + NAMES_PATH_MAX]; /* as it will be called, from the root on */
  char path[NAMES_PATH_MAX + NAMES_PATH_MAX]; /* as it is called now */
} part;

/* Makes a file that begins at this time, with its directories; takes the next number where the name is taken. 0, or a
 * negative errno with the text in *what of what could not be made. */
int files_create(const names *n, int64_t seconds, part *p, const char **what);

/* Whether the file still has a name: its directory may be gone. */
bool files_is_there(const part *p);

/* On disk and renamed into place: never over another file, which gets the next number instead (then p->file says so).
 * 0 or a negative errno; *p is none in any case, and on failure the .part stays. */
int files_finish(const names *n, part *p);

/* Removes it. */
void files_drop(part *p);

/* A file of the recording that was found. */
typedef struct found {
  int directory;
  const char *name; /* in that directory */
  const char *path; /* below the root */
  const names_fields *fields;
  const struct stat *stat;
} found;

/* Calls for every regular file below the root whose name is one of the pattern's, the parts, too. 0 or a negative
 * errno if the root cannot be read. */
int files_walk(const names *n, void (*visit)(void *user, const found *f), void *user);

/* What is done about leftover parts; both get the path from the root on. */
typedef struct files_care {
  bool (*plays)(void *user, const char *file); /* whether there is anything in it */
  void (*tell)(void *user, const char *file);  /* it was renamed */
  void *user;
} files_care;

/* Renames leftover parts into place. Those that are empty, or small and hold nothing but a head, go. */
void files_recover(const names *n, const files_care *care);

/* Deletes a regular file by its path below the root, and the directories above it that are empty then. 0 or a negative
 * errno. */
int files_delete(const names *n, const char *path);

#endif
