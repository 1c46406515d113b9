/* publish_state.h - what the source of a job is doing: connecting, live, stalled, reconnecting or refused. It is told
 * to the library, which shows it to all who look, and said as events.
 *
 * A worker that waits for a packet cannot say that none comes: the main thread looks. All of it is under job->lock. */
#ifndef CUFRAMES_CLI_PUBLISH_STATE_H
#define CUFRAMES_CLI_PUBLISH_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

#include "flow.h"

typedef struct publish_job publish_job;

typedef struct publish_state {
  cuframes_source_info source; /* as the library has it */
  flow flow;
  int64_t seen_late; /* the deadline of flow that was looked at long after, perhaps since this process stood still */
  bool was_live;     /* something has come */
  bool connected;    /* or there is nothing to wait for */
  bool leaving;      /* what still comes is older than the trouble */
  bool in_publisher; /* the worker is in a call of the publisher, which a slow subscriber may hold up */
  bool saying;       /* a thread says what changed last: nothing else changes until it has, or it would be said first */
  bool stall_said;   /* also in the log */
} publish_state;

/* The publisher is there, and the input is about to be opened. */
void publish_state_begin(publish_job *job);
/* The input is open, and pictures should come. */
void publish_state_connected(publish_job *job);
/* It is about to be lost: pictures that still come had been kept back somewhere, and are no sign of life. */
void publish_state_leaving(publish_job *job);
/* It is lost, or not there yet, for this reason, as it was said; when it is tried again (CLOCK_MONOTONIC ns).
 * `refused`: it wants another user or password. */
void publish_state_away(publish_job *job, const char *reason, int64_t next_attempt, bool refused);
/* For a while no pictures are expected, and again they are. */
void publish_state_pause(publish_job *job);
/* The worker is in a call of the publisher, or was. */
void publish_state_in_publisher(publish_job *job, bool is_in);

/* With job->lock held: a picture, or sound where there are none, was published. True: it is live again, and
 * publish_state_say_live() is due. */
bool publish_state_picture(publish_job *job, int64_t now, int64_t pts, int64_t duration);
/* `before`: when the picture before was published; 0: it is the first. */
void publish_state_say_live(publish_job *job, int64_t now, int64_t before);

/* Looks whether the source has stalled, and gives when to look again: CLOCK_MONOTONIC ns, INT64_MAX: when something
 * has changed, which writes to the run's ended_fd. */
int64_t publish_state_look(publish_job *job);

#endif
