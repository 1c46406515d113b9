/* look.h - which streams there are, asked once a second while somebody wants to know, in a thread of its own: a
 * publisher that does not answer keeps nobody waiting but that thread.
 *
 * Threads  The server's, for all that is declared here. */
#ifndef CUFRAMES_WALL_LOOK_H
#define CUFRAMES_WALL_LOOK_H

#include "http/http.h"

#include <cuframes/cuframes.h>

typedef struct look look;

/* What the wall itself knows of a stream. */
typedef struct look_known {
  char name[CUFRAMES_NAME_MAX + 1];
  size_t watchers;
  char video[64], audio[64]; /* how browsers call its codecs; empty: not known */
} look_known;

/* What was found. */
typedef struct look_found {
  cuframes_streams *streams; /* NULL: the directory cannot be looked at */
  http_body *list;           /* the array; NULL: out of memory */
  http_body *message;        /* {"streams":...} */
} look_found;

/* names: only these; 0: all. An exit code, after a message. */
int look_start(http_server *server, const char *directory, char **names, size_t count, look **made);
/* Waits until a look has ended, a second or so; the call before look_free(). NULL is fine for both. */
void look_stop(look *l);
void look_free(look *l);

/* A look is wanted: as soon as none is going on, or a second after the last one began. Takes the array, by malloc(),
 * over. */
void look_want(look *l, look_known *known, size_t count, bool at_once);
/* What has been found since the last call; the caller frees it. False: nothing new. */
bool look_take(look *l, look_found *found);
void look_found_clear(look_found *found);

/* NULL: it is not there. */
const cuframes_stream_entry *look_find(const look_found *found, const char *name);
/* Whether the wall may show a stream of that name at all. */
bool look_allows(const look *l, const char *name);

#endif
