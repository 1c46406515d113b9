/* flow.h - until when the next picture should have come. Pure: times in, times out.
 *
 * A camera sends a picture every 40 ms, or one a minute; HLS sends six seconds of them at once. So what counts is the
 * distance of pictures by their own times, and by how much they came ahead of those: only when that is used up, and the
 * next one is late by some distances, does nothing come. */
#ifndef CUFRAMES_CLI_FLOW_H
#define CUFRAMES_CLI_FLOW_H

#include <stdbool.h>
#include <stdint.h>

/* Late by so much, or by so many distances if that is more, is too late; before two pictures have come, what one says
 * of its duration is not believed if it is less than so much. */
#define FLOW_LATE_NS INT64_C(1000000000)
#define FLOW_LATE_PICTURES 5
#define FLOW_UNKNOWN_NS INT64_C(5000000000)

typedef struct flow {
  bool is_measured; /* the distance, by two pictures */
  bool has_picture; /* of this connection */
  int64_t came;     /* the newest picture, or the connection; CLOCK_MONOTONIC ns */
  int64_t pts;      /* of the newest picture, ns or CUFRAMES_NO_TIME */
  int64_t distance; /* of two pictures, lately; 0: not known */
  int64_t ahead;    /* by which pictures came before their times */
} flow;

/* A connection begins: the first picture is to come. What is known of the distance stays. */
void flow_begin(flow *f, int64_t now);

/* A picture came. duration: ns, 0 if it is not known. */
void flow_picture(flow *f, int64_t now, int64_t pts, int64_t duration);

/* When the next one is too late. */
int64_t flow_deadline(const flow *f);

#endif
