/* backlog.h - packets in the recorder's own memory that are in no file yet: what came before a file begins. */
#ifndef CUFRAMES_RECORD_BACKLOG_H
#define CUFRAMES_RECORD_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

/* More bytes than these are not kept, however long --since is, and however far apart keyframes are. */
#define BACKLOG_BYTES_MAX (256u << 20)

typedef struct backlog_entry {
  cuframes_packet *packet; /* counted here */
  int64_t time;            /* the stream's ns */
  bool start;              /* a file may begin with it: a keyframe of the leading track */
} backlog_entry;

typedef struct backlog {
  backlog_entry *entries;
  size_t count, room;
  size_t starts; /* of the entries */
  uint64_t bytes;
  uint64_t dropped; /* packets that went before they were in a file */
} backlog;

/* Counts the packet. False without memory, or if there is too much: then nothing is kept. */
bool backlog_push(backlog *b, cuframes_packet *packet, int64_t time, bool start);

/* Drops what lies before the latest start that is at least `since` ns older than the newest packet, or before the first
 * start if none is; without a start everything stays. Sound that lies behind that start stays, too, wherever it came.
 * Gives the place of the start, or `count` if there is none. */
size_t backlog_trim(backlog *b, int64_t since);

/* Takes all entries out; the caller frees them and releases the packets. */
backlog_entry *backlog_take(backlog *b, size_t *count);

void backlog_clear(backlog *b);
void backlog_free(backlog *b);

#endif
