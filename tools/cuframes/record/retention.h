/* retention.h - how much of a recording is kept: the oldest files go, by age and by size.
 *
 * What may go are regular files whose names the pattern makes, in directories that it makes; never a part. Two things
 * bound what a wrong clock can do: by age at most RETENTION_AT_ONCE files go for each file that is begun, and files
 * that are dated into the future count as the oldest when room is needed.
 */
#ifndef CUFRAMES_RECORD_RETENTION_H
#define CUFRAMES_RECORD_RETENTION_H

#include "files.h"

#define RETENTION_AT_ONCE 8

typedef struct retention_entry {
  int64_t time;
  unsigned number;
  uint64_t bytes;
  char *path; /* below the root */
} retention_entry;

typedef struct retention {
  const names *names;
  int64_t keep_s;      /* 0: for ever */
  uint64_t keep_bytes; /* 0: as much as there is room for */
  void (*deleted)(void *user, const char *path, uint64_t bytes, const char *why);
  void (*failed)(void *user, const char *path, int error);
  void *user;
  retention_entry *entries;   /* oldest first */
  size_t count, room, first;  /* entries before `first` have been deleted */
  uint64_t bytes;             /* of those from `first` on */
  int64_t now;                /* when it was looked */
  int64_t scanned, scan_took; /* monotonic ns: a look that takes long is not repeated soon */
  bool no_memory;
} retention;

/* Looks what is there now, and deletes what is too old. now: seconds since 1970. */
void retention_begin_file(retention *r, int64_t now);

/* A file was finished since the last look. */
void retention_finished(retention *r, uint64_t bytes);

/* Deletes the oldest until `more` bytes fit into keep_bytes. */
void retention_fit(retention *r, uint64_t more);

/* Deletes the oldest file because the disk is full. False if there is none. */
bool retention_free_one(retention *r);

void retention_free(retention *r);

#endif
