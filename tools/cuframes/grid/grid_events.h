/* grid_events.h - what a grid says while it runs: lines on stderr, and JSON lines on stdout where they are wanted. */
#ifndef CUFRAMES_GRID_EVENTS_H
#define CUFRAMES_GRID_EVENTS_H

#include <stdint.h>

#include <jansson.h>

#include "grid_feed.h"
#include "grid_options.h"

/* A tile of a stream that a pattern found: "added" or "removed". */
void grid_say_tile(const grid_options *options, const char *what, const char *stream);
/* Pictures come; after so long, 0: for the first time. */
void grid_say_live(const grid_options *options, const char *stream, int64_t after_ns);
void grid_say_lost(const grid_options *options, const char *stream, const grid_state *state);

/* An event, if events are wanted; it is let go of in any case, and NULL is fine. */
void grid_event(const grid_options *options, json_t *event);

#endif
