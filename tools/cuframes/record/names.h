/* names.h - the names of a recording's files: a pattern as strftime() has it, and back from a name to its time.
 *
 * Only conversions that stand for numbers are taken, so that a name says its time in every language, and so that a file
 * is known for one of ours by its name alone. In a pattern "rec/%Y/door-%H%M%S.mp4" the part up to the last '/' before
 * the first conversion ("rec") is the root, which must be there; directories below are made and removed with the files.
 */
#ifndef CUFRAMES_RECORD_NAMES_H
#define CUFRAMES_RECORD_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_LEVELS 8      /* directories and the file below the root */
#define NAMES_PATH_MAX 1024 /* bytes of a path below the root */
#define NAMES_NUMBER_MAX 9999
#define NAMES_PART ".part" /* behind the name of a file in the making */

typedef struct names {
  char *root;   /* "." if the pattern begins with a conversion */
  char *memory; /* of the levels */
  const char *level[NAMES_LEVELS];
  int levels;
  bool utc;
  char problem[256];
} names;

/* What a name says. */
typedef struct names_fields {
  int year, month, day, yday, hour, minute, second; /* -1: not said */
  int64_t epoch;                                    /* of %s; INT64_MIN: not said */
  int zone;                                         /* seconds east of UTC; INT32_MAX: not said */
  unsigned number;                                  /* 1, or that of "-2" */
  bool part;
} names_fields;

/* Files change at least every segment_ns (0: at no set time). False, with a problem, if that is no pattern, or one that
 * would give two files the same name. */
bool names_init(names *n, const char *pattern, int64_t segment_ns, bool utc);
void names_free(names *n);

/* The path below the root for a file that begins at this time, seconds since 1970. number: 1, or what is put behind
 * the name as "-2" because the name is taken. False if it is too long. */
bool names_path(const names *n, int64_t seconds, unsigned number, char path[NAMES_PATH_MAX]);

/* Whether the name of a directory, or (at the last level) of a file, is one that names_path() makes; adds to *fields,
 * which names_no_fields() began. */
void names_no_fields(names_fields *fields);
bool names_match(const names *n, int level, const char *name, names_fields *fields);

/* Seconds since 1970 of a whole path's fields. */
int64_t names_time(const names *n, const names_fields *fields);

/* The first time after `seconds` at which files change, by the clock of local time or UTC: a multiple of `segment`
 * since 1970-01-01 00:00 of that clock, so that 10 minutes are :00, :10 and so on, and a day begins at midnight also
 * when it has 23 or 25 hours. */
int64_t names_boundary(int64_t seconds, int64_t segment, bool utc);

#endif
