/* retention.c - the list of what was recorded, and what of it goes. */
#include "retention.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

/* Looking at all files takes no more than this part of the time. */
#define SCAN_SHARE 50

static void clear(retention *r) {
  for (size_t i = 0; i < r->count; i++)
    free(r->entries[i].path);
  r->count = r->first = 0;
  r->bytes = 0;
}

void retention_free(retention *r) {
  clear(r);
  free(r->entries);
  r->entries = NULL;
  r->room = 0;
}

static void note(void *user, const found *f) {
  retention *r = user;
  if (f->fields->part)
    return;
  if (r->count == r->room) {
    const size_t room = r->room ? 2 * r->room : 256;
    retention_entry *grown = realloc(r->entries, room * sizeof(*grown));
    if (!grown) {
      r->no_memory = true;
      return;
    }
    r->entries = grown;
    r->room = room;
  }
  retention_entry entry = { .time = names_time(r->names, f->fields),
                            .number = f->fields->number,
                            .bytes = (uint64_t)f->stat->st_blocks * 512,
                            .path = strdup(f->path) };
  if ((uint64_t)f->stat->st_size > entry.bytes)
    entry.bytes = (uint64_t)f->stat->st_size;
  if (!entry.path) {
    r->no_memory = true;
    return;
  }
  r->entries[r->count++] = entry;
  r->bytes += entry.bytes;
}

static int by_time(const void *left, const void *right) {
  const retention_entry *a = left, *b = right;
  if (a->time != b->time)
    return a->time < b->time ? -1 : 1;
  return (a->number > b->number) - (a->number < b->number);
}

/* What is dated more than a day ahead comes first: it is what a clock that was wrong left, or, if the clock is wrong
 * now, all that there is, oldest first. */
static void future_first(retention *r, int64_t now) {
  size_t past = 0;
  while (past < r->count && r->entries[past].time <= now + 86400)
    past++;
  if (past == 0 || past == r->count)
    return;
  retention_entry *turned = malloc(r->count * sizeof(*turned));
  if (!turned)
    return; /* the order by time is nearly as good */
  memcpy(turned, r->entries + past, (r->count - past) * sizeof(*turned));
  memcpy(turned + r->count - past, r->entries, past * sizeof(*turned));
  free(r->entries);
  r->entries = turned;
  r->room = r->count;
}

static void look(retention *r, int64_t now) {
  const int64_t began = cuframes_now();
  if (r->scanned && began - r->scanned < SCAN_SHARE * r->scan_took)
    return;
  clear(r);
  r->now = now;
  (void)files_walk(r->names, note, r); /* what is not there needs no deleting */
  if (r->count)
    qsort(r->entries, r->count, sizeof(*r->entries), by_time);
  future_first(r, now);
  r->scanned = cuframes_now();
  r->scan_took = r->scanned - began;
}

/* Entries that were deleted have no path. */
static void delete_at(retention *r, size_t at, const char *why) {
  retention_entry *entry = &r->entries[at];
  const int error = files_delete(r->names, entry->path);
  r->bytes -= entry->bytes;
  if (!error)
    r->deleted(r->user, entry->path, entry->bytes, why);
  else if (error != -ENOENT) /* somebody else did */
    r->failed(r->user, entry->path, error);
  free(entry->path);
  entry->path = NULL;
}

static bool delete_oldest(retention *r, const char *why) {
  while (r->first < r->count && !r->entries[r->first].path)
    r->first++;
  if (r->first == r->count)
    return false;
  delete_at(r, r->first++, why);
  return true;
}

void retention_begin_file(retention *r, int64_t now) {
  int deleted = 0;
  if (!r->keep_s && !r->keep_bytes)
    return;
  look(r, now);
  for (size_t i = r->first; r->keep_s && i < r->count && deleted < RETENTION_AT_ONCE; i++) {
    const retention_entry *entry = &r->entries[i];
    if (entry->path && entry->time <= now && now - entry->time > r->keep_s) {
      delete_at(r, i, "keep");
      deleted++;
    }
  }
}

void retention_finished(retention *r, uint64_t bytes) {
  r->bytes += bytes;
}

void retention_fit(retention *r, uint64_t more) {
  while (r->keep_bytes && r->bytes + more > r->keep_bytes && delete_oldest(r, "keep-bytes"))
    ;
}

bool retention_free_one(retention *r) {
  if (!r->keep_s && !r->keep_bytes)
    return false; /* nobody allowed to delete anything */
  if (delete_oldest(r, "full"))
    return true;
  r->scanned = 0;
  look(r, r->now);
  return delete_oldest(r, "full");
}
