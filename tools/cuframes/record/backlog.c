/* backlog.c - a queue of packets that a file may begin with. */
#include "backlog.h"

#include <stdlib.h>
#include <string.h>

static void forget(backlog *b, size_t at) {
  b->bytes -= cuframes_packet_size(b->entries[at].packet);
  b->starts -= b->entries[at].start;
  cuframes_packet_release(b->entries[at].packet);
}

void backlog_clear(backlog *b) {
  for (size_t i = 0; i < b->count; i++)
    forget(b, i);
  b->dropped += b->count;
  b->count = 0;
}

void backlog_free(backlog *b) {
  backlog_clear(b);
  free(b->entries);
  *b = (backlog){ 0 };
}

static bool grow(backlog *b) {
  const size_t room = b->room ? 2 * b->room : 256;
  backlog_entry *grown = realloc(b->entries, room * sizeof(*grown));
  if (!grown)
    return false;
  b->entries = grown;
  b->room = room;
  return true;
}

bool backlog_push(backlog *b, cuframes_packet *packet, int64_t time, bool start) {
  const size_t size = cuframes_packet_size(packet);
  if (b->bytes + size > BACKLOG_BYTES_MAX || (b->count == b->room && !grow(b))) {
    backlog_clear(b);
    return false;
  }
  b->entries[b->count++] = (backlog_entry){ cuframes_packet_ref(packet), time, start };
  b->bytes += size;
  b->starts += start;
  return true;
}

size_t backlog_trim(backlog *b, int64_t since) {
  int64_t newest = INT64_MIN;
  size_t first = b->count, wanted = b->count;
  for (size_t i = 0; i < b->count; i++)
    if (b->entries[i].time > newest)
      newest = b->entries[i].time;
  for (size_t i = 0; i < b->count; i++) {
    if (!b->entries[i].start)
      continue;
    first = first == b->count ? i : first;
    if (newest - b->entries[i].time >= since)
      wanted = i;
  }
  const size_t start = wanted < b->count ? wanted : first;
  if (start == b->count)
    return start;
  const int64_t time = b->entries[start].time;
  const uint32_t track = cuframes_packet_track(b->entries[start].packet);
  size_t kept = 0;
  for (size_t i = 0; i < start; i++) {
    if (b->entries[i].time >= time && cuframes_packet_track(b->entries[i].packet) != track) {
      b->entries[kept++] = b->entries[i];
    } else {
      forget(b, i);
      b->dropped++;
    }
  }
  memmove(b->entries + kept, b->entries + start, (b->count - start) * sizeof(*b->entries));
  b->count -= start - kept;
  return kept;
}

backlog_entry *backlog_take(backlog *b, size_t *count) {
  backlog_entry *entries = b->entries;
  *count = b->count;
  b->entries = NULL;
  b->count = b->room = b->starts = 0;
  b->bytes = 0;
  return entries;
}
