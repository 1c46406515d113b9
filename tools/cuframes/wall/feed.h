/* feed.h - the packets of one stream, for all who watch it or read a file of it: one subscriber, in its own thread.
 *
 * A publisher that is frozen, dead or not there blocks that thread alone. It hands over what comes, in order, and the
 * server's thread keeps what has come since the newest keyframe: whoever comes later begins with that.
 *
 * Threads  The server's, for all that is declared here. */
#ifndef CUFRAMES_WALL_FEED_H
#define CUFRAMES_WALL_FEED_H

#include <pthread.h>

#include "http/http.h"
#include "sample.h"

#define FEED_HEAD_BYTES                                                                                                \
  (4UL << 20) /* a keyframe and what follows it, to begin with; with more one waits for the next */
#define FEED_PENDING_BYTES (32UL << 20) /* that the server's thread has not taken yet; then packets are dropped */
#define FEED_WHY 512

typedef struct feed feed;

enum feed_state {
  FEED_JOINING, /* nothing is known yet */
  FEED_ABSENT,  /* nobody publishes it, or it cannot be joined: `why` */
  FEED_BARE,    /* no packets, or none that a browser could take */
  FEED_LIVE     /* packets come */
};

/* Who wants what a feed gives; in a list of the feed. */
typedef struct feed_reader {
  void (*config)(void *user, track_config *config); /* from the next sample on; NULL: is not asked */
  void (*sample)(void *user, sample *s);
  void (*state)(void *user, enum feed_state state, const char *why);
  void *user;
  struct feed_reader *next;
} feed_reader;

struct feed {
  struct feed *next;
  http_server *server;
  char name[CUFRAMES_NAME_MAX + 1];
  const char *directory;
  /* the server's thread */
  feed_reader *readers;
  int64_t idle_since; /* CLOCK_MONOTONIC ns, while there are no readers */
  enum feed_state state;
  char why[FEED_WHY];
  track_config *configs[CUFRAMES_TRACKS_MAX]; /* NULL: not known */
  sample **head;
  size_t head_count, head_room, head_bytes;
  bool head_whole; /* it begins with a keyframe, and nothing of it was left out */
  /* shared */
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  cuframes_subscriber *subscriber;
  struct feed_event *events, **last;
  size_t pending;
  bool stop, ended;
};

/* NULL: out of memory, or no thread could be started. */
feed *feed_create(http_server *server, const char *directory, const char *name);
/* Asks the thread to end; feed_reap() says whether it has. */
void feed_stop(feed *f);
bool feed_reap(feed *f);
/* Waits for the thread; the call before feed_free(). */
void feed_join(feed *f);
void feed_free(feed *f);

void feed_add(feed *f, feed_reader *reader);
void feed_remove(feed *f, feed_reader *reader);
/* Gives what came since the last call to all readers. They may add and remove themselves. */
void feed_take(feed *f);

/* The config of the first track of a kind; NULL: none is known. */
track_config *feed_config(const feed *f, enum sample_kind kind);

#endif
