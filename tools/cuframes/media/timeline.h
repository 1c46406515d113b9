/* timeline.h - the source's times as the stream's: nanoseconds that go on across loops and reconnects. */
#ifndef CUFRAMES_CLI_TIMELINE_H
#define CUFRAMES_CLI_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include <libavutil/rational.h>

#include <cuframes/packet.h>

/* One track in the present pass through the source; source times in ns. */
typedef struct timeline_stream {
  int64_t first_dts, next_dts; /* CUFRAMES_NO_TIME before the first packet */
} timeline_stream;

typedef struct timeline {
  int64_t offset;               /* added to source times */
  int64_t offset_before, began; /* the one of the pass before this one, and where this one begins, as published */
  int64_t start, end;           /* earliest pts and latest end of this pass, source times; CUFRAMES_NO_TIME if none */
  int64_t published;            /* latest end of any pass, as published */
  int64_t restart_at;           /* after a restart: where the first packet goes; else CUFRAMES_NO_TIME */
  timeline_stream streams[CUFRAMES_TRACKS_MAX];
} timeline;

void timeline_init(timeline *timeline);

/* A time in units of time_base to ns of the source; AV_NOPTS_VALUE becomes CUFRAMES_NO_TIME. */
int64_t timeline_source_ns(int64_t value, AVRational time_base);

/* Takes note of a packet (source times) before it is published. */
void timeline_packet(timeline *timeline, uint32_t stream, int64_t pts, int64_t dts, int64_t duration);

/* A source time as published. */
int64_t timeline_published(const timeline *timeline, int64_t source_ns);

/* The source's time of one that was published, in this pass or the one before. */
int64_t timeline_source(const timeline *timeline, int64_t published_ns);

/* The source begins again: what follows joins on without a gap. */
void timeline_loop(timeline *timeline);

/* The source was away: the next packet comes `gap` ns after the end of what was published. */
void timeline_restart(timeline *timeline, int64_t gap);

#endif
