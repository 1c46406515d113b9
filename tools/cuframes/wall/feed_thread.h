/* feed_thread.h - what the thread of a feed hands over. */
#ifndef CUFRAMES_WALL_FEED_THREAD_H
#define CUFRAMES_WALL_FEED_THREAD_H

#include "feed.h"

/* One of them: a state, a config, a sample. */
typedef struct feed_event {
  struct feed_event *next;
  bool says_state, lost; /* lost: packets before this one */
  enum feed_state state;
  track_config *config;
  sample *sample;
  char why[]; /* ends with 0 */
} feed_event;

void feed_event_free(feed_event *e);
/* The thread's function; user is the feed. */
void *feed_thread(void *user);

#endif
