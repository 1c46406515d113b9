/* publish_fleet.h - the streams of a run, each with its worker, which come and go while others are not touched.
 *
 * Threads  The main thread's alone. */
#ifndef CUFRAMES_CLI_PUBLISH_FLEET_H
#define CUFRAMES_CLI_PUBLISH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "publish_job.h"

typedef struct publish_worker {
  publish_job job;
  publish_options options; /* the job's, and its own: they outlive the request that they came with */
  publish_options *next;   /* what this stream is to be when the worker has ended; NULL: nothing */
  bool leaving;            /* it was told to end, by a new configuration */
  int64_t abandon_at;      /* when it is left behind, if it hangs; 0: it is not to end */
} publish_worker;

typedef struct publish_fleet {
  publish_run *run;
  publish_worker **workers;
  size_t count;
  bool failed;    /* a worker could not be started */
  bool abandoned; /* one was left behind, and may still touch what is its own */
  bool waits;     /* the last one left by a new configuration: the run waits for the next one */
} publish_fleet;

/* Starts a worker for each stream of the request, and takes the streams over. */
void publish_fleet_begin(publish_fleet *fleet, publish_request *request);
/* Makes the fleet what the request says, which has been read anew, and takes its streams over: what is the same is not
 * touched, but for a stream that has failed, which is tried again. Says what becomes of what. */
void publish_fleet_change(publish_fleet *fleet, publish_request *request);

/* Tells all to end. */
void publish_fleet_stop(publish_fleet *fleet);
/* Sees to workers that left: starts what comes in their place, leaves behind those that hang. Gives when to call this
 * again, at the latest, if nothing ends before. */
int64_t publish_fleet_tend(publish_fleet *fleet, int64_t now);
/* Whether the run is over: all have ended by themselves, or because they were told to. */
bool publish_fleet_is_over(const publish_fleet *fleet);

/* Ends it, after all have ended. Gives the exit code. */
int publish_fleet_end(publish_fleet *fleet);

#endif
