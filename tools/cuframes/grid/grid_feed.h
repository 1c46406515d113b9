/* grid_feed.h - one stream that a grid shows: joined whenever it is there, its newest picture in hand, and why there is
 * none.
 *
 * Nothing of a stream holds the grid up. Joining one may take seconds, where its publisher was stopped, so that each is
 * joined by a thread of its own, which ends when it has done so. From then on the library joins again by itself, and
 * taking a picture never waits.
 * Threads  All calls come from one thread. */
#ifndef CUFRAMES_GRID_FEED_H
#define CUFRAMES_GRID_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>
#include <pthread.h>

#define GRID_CAUSE 320 /* bytes are enough for any */

enum grid_signal {
  GRID_LIVE, /* pictures come */
  GRID_LATE, /* the next one should have come */
  GRID_NONE  /* there is no signal */
};

/* What is to be shown of a stream beside its picture. */
typedef struct grid_state {
  enum grid_signal signal;
  int64_t since;          /* of NONE: CLOCK_MONOTONIC */
  char cause[GRID_CAUSE]; /* of NONE, for people */
} grid_state;

/* What a thread does for a feed. */
typedef struct grid_joining {
  pthread_t thread;
  pthread_mutex_t lock; /* of stop, done, error and cause */
  bool stop, done;
  cuframes_subscriber *subscriber; /* when done: NULL if it was stopped */
  int error;
  char cause[GRID_CAUSE];
  cuframes_subscriber_options options;
  char name[CUFRAMES_NAME_MAX + 1], label[CUFRAMES_LABEL_MAX + 1], device[CUFRAMES_DEVICE_NAME_MAX + 1];
  char *directory;
} grid_joining;

typedef struct grid_feed {
  char name[CUFRAMES_NAME_MAX + 1];
  grid_joining *joining;           /* NULL: nobody joins it now */
  cuframes_subscriber *subscriber; /* NULL: not joined */
  cuframes_frame *frame;           /* the newest one; stays in hand when the stream goes. NULL: there was none */
  bool is_new;                     /* it came with the last grid_feed_take() */
  int64_t taken_stamp;             /* of the frame: when it was published */
  int64_t interval;                /* between pictures, measured; 0: not known */
  int64_t lost_since;              /* not joined, or its publisher gone, since then; 0: neither */
  int64_t joined_at;
  char reason[GRID_CAUSE];          /* what its publisher says of its source; empty: nothing known */
  uint64_t frames, skipped, losses; /* taken; published and not taken; times the signal was lost */
  uint64_t old_skipped;             /* of subscribers before this one */
  int error; /* of the last call that failed for other reasons than time, until a picture comes; and its detail */
  char detail[GRID_CAUSE];
} grid_feed;

/* Begins to join it. directory, label and device are as of cuframes_subscriber_options; device "host" takes every
 * stream, a GPU's name those that this GPU can read, and host memory. */
typedef struct grid_feed_how {
  const char *directory, *label, *device;
} grid_feed_how;

void grid_feed_begin(grid_feed *feed, const char *name, int64_t now);
/* Takes the newest picture if there is one, and starts what is necessary to get some. Never waits. Frames that are not
 * needed any more are released after the work on the stream of a GPU (NULL: at once). */
void grid_feed_take(grid_feed *feed, const grid_feed_how *how, void *stream, int64_t now);
void grid_feed_state(const grid_feed *feed, int64_t now, grid_state *state);
/* The first call tells its thread to end, and lets the frame and the stream go; true: it is done, else call again. */
bool grid_feed_end(grid_feed *feed, void *stream);

#endif
