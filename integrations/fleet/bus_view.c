/* bus_view.c - what is in a bucket, as it changes. */
#include <stdlib.h>
#include <string.h>

#include "bus_parts.h"

#define BEHIND_MOST 3

static size_t place_of(const bus_view *view, const char *key, bool *found) {
  size_t low = 0, high = view->count;
  *found = false;
  if (view->entries == NULL)
    return 0;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = strcmp(view->entries[middle].key, key);
    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bus_entry *bus_view_find(const bus_view *view, const char *key) {
  bool found;
  const size_t place = place_of(view, key, &found);
  return found ? &view->entries[place] : NULL;
}

static void remove_at(bus_view *view, size_t place) {
  free(view->entries[place].key);
  free(view->entries[place].value);
  view->count--;
  memmove(&view->entries[place], &view->entries[place + 1], (view->count - place) * sizeof *view->entries);
  view->changes++;
}

/* A new entry, which has a key alone. NULL: out of memory. */
static bus_entry *make_room(bus_view *view, const char *key) {
  bool found;
  const size_t place = place_of(view, key, &found);
  bus_entry *more = realloc(view->entries, (view->count + 1) * sizeof *more);
  char *name = strdup(key);
  if (more != NULL)
    view->entries = more;
  if (more == NULL || name == NULL) {
    free(name);
    return NULL;
  }
  memmove(&more[place + 1], &more[place], (view->count - place) * sizeof *more);
  more[place] = (bus_entry){ .key = name };
  view->count++;
  return &more[place];
}

/* false: out of memory. */
static bool put(bus_view *view, const char *key, const void *value, size_t length, uint64_t revision) {
  bus_entry *entry = bus_view_find(view, key);
  char *copy = malloc(length + 1);
  if (copy == NULL)
    return false;
  if (length > 0)
    memcpy(copy, value, length);
  copy[length] = '\0';
  if (entry == NULL)
    entry = make_room(view, key);
  if (entry == NULL) {
    free(copy);
    return false;
  }
  free(entry->value);
  entry->value = copy;
  entry->length = length;
  entry->revision = revision;
  view->changes++;
  return true;
}

static bool take(bus_view *view, kvEntry *told) {
  const uint64_t revision = kvEntry_Revision(told);
  bool found, good = true;
  view->last = revision > view->last ? revision : view->last;
  if (kvEntry_Operation(told) == kvOp_Put) {
    good = put(view, kvEntry_Key(told), kvEntry_Value(told), (size_t)kvEntry_ValueLen(told), revision);
  } else {
    const size_t place = place_of(view, kvEntry_Key(told), &found);
    if (found && view->entries != NULL)
      remove_at(view, place);
  }
  return good;
}

/* Those below `first` have expired. */
static void remove_below(bus_view *view, uint64_t first) {
  size_t kept = 0;
  for (size_t i = 0; view->entries != NULL && i < view->count; i++) {
    bus_entry *entry = &view->entries[i];
    if (entry->revision >= first) {
      view->entries[kept++] = *entry;
      continue;
    }
    free(entry->key);
    free(entry->value);
    view->changes++;
  }
  view->count = kept;
}

static void stop_watching(bus_view *view) {
  kvWatcher_Destroy(view->watcher);
  view->watcher = NULL;
}

/* All that the watcher has to tell: at the beginning up to its end, later what has come. */
static natsStatus drain(const bus *b, bus_view *view, bool beginning) {
  for (;;) {
    kvEntry *told = NULL;
    natsStatus status = kvWatcher_Next(&told, view->watcher, beginning ? b->options.wait_ms : 1);
    if (status == NATS_TIMEOUT && !beginning)
      return NATS_OK;
    if (status != NATS_OK)
      return status;
    if (told == NULL) {
      if (beginning)
        return NATS_OK;
      continue;
    }
    const bool good = take(view, told);
    kvEntry_Destroy(told);
    if (!good)
      return NATS_NO_MEMORY;
  }
}

/* The old view stays until there is a whole new one: nothing is gone since it could not be read. */
static natsStatus begin(const bus *b, bus_view *view) {
  bus_view fresh = { .bucket = view->bucket, .changes = view->changes + 1 };
  kvWatcher *watcher = NULL;
  natsStatus status = kvStore_WatchAll(&watcher, b->stores[view->bucket], NULL);
  fresh.watcher = watcher;
  if (status == NATS_OK)
    status = drain(b, &fresh, true);
  if (status != NATS_OK) {
    bus_view_free(&fresh);
    return status;
  }
  bus_view old = *view;
  *view = fresh;
  bus_view_free(&old);
  return NATS_OK;
}

bus_answer bus_look(bus *b, bus_view *view) {
  jsStreamInfo *info = NULL;
  const bus_answer answer = bus_reach(b, view->bucket, &info, NULL);
  if (answer != BUS_OK)
    return BUS_AWAY; /* a bucket that is gone is no bucket that is empty */
  const uint64_t first = info->State.FirstSeq, last = info->State.LastSeq;
  jsStreamInfo_Destroy(info);
  const bool begins = view->watcher == NULL || view->behind > BEHIND_MOST || last < view->last;
  natsStatus status = begins ? begin(b, view) : drain(b, view, false);
  if (status != NATS_OK) {
    stop_watching(view);
    return bus_failed(b, status, 0);
  }
  if (begins && view->last < last)
    view->last = last; /* the newest writes have expired, or were purged */
  view->behind = view->last < view->target ? view->behind + 1 : 0;
  view->target = last;
  remove_below(view, first);
  return BUS_OK;
}

void bus_view_free(bus_view *view) {
  stop_watching(view);
  remove_below(view, UINT64_MAX);
  free(view->entries);
  view->entries = NULL;
}
