/* timeline.h - the source's times as the stream's: nanoseconds that go on, whatever the source's clock does.
 *
 * Each track has an offset from its source's times to those published; at first all have the same. What a packet says
 * is believed as long as it goes on from the track's packet before. A step that cannot be (back, or further ahead than
 * time went by) is taken out by another offset, so that the packet comes where it is due: by our clock if the source is
 * live, else right behind the one before. Tracks belong together: when one has made a step, another that makes the same
 * step gets the very same offset, and a track that returns from a wild time gets the one that it had. A packet without
 * a time gets that at which it is due.
 *
 * Packets that are not shown have times of what was cut away, which may be those of others that are shown. Before the
 * first one that is shown they keep these; later they are put between those that are shown, and take no time.
 *
 * Slow drift of a source's clock against ours is no step, and is left as it is: pictures and sound stay together.
 * Pure arithmetic: no clock is read here, and nothing of FFmpeg is used. */
#ifndef CUFRAMES_CLI_TIMELINE_H
#define CUFRAMES_CLI_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/packet.h>

#include "picture_order.h"

/* What may be thought of a step in a source's times. */
typedef enum timeline_kind {
  TIMELINE_FILE,    /* its times are meant: only steps back, and those of more than an hour, are none */
  TIMELINE_SPLICED, /* a file of a kind that may be put together from several: those of more than 10 s, too */
  TIMELINE_LIVE     /* our clock knows better */
} timeline_kind;

/* What a packet says of itself, in ns of the source, and when it came. */
typedef struct timeline_stamp {
  int64_t pts, dts; /* CUFRAMES_NO_TIME: not known */
  int64_t duration; /* 0: not known */
  int64_t nominal;  /* what a packet lasts by the head of the track; 0: not known */
  int64_t arrival;  /* by our clock; of a file any time */
  int64_t wrap;     /* after so much the source's times begin again; 0: never */
  int reorder;      /* so many pictures may come before others that are shown earlier */
  int64_t order;    /* where a picture without a pts is in the order in which they are shown; */
  int grows;        /* by how much that usually grows from one to the next; 0: it is not known */
  bool key;         /* a keyframe */
  bool sparse;      /* of a track that has a packet now and then, as of subtitles: gaps say nothing */
  bool hidden;      /* only decoded, and not shown: where a film was cut that was not encoded anew */
  bool early;       /* it had come before anybody looked at the clock; how early is not known */
} timeline_stamp;

typedef struct timeline_times {
  int64_t pts, dts; /* as published; pts may be CUFRAMES_NO_TIME in a file, dts never, and it rises in each track */
  int64_t duration; /* 0: not known */
  int64_t jump;     /* the source's clock has jumped by that much, which was taken out; else 0 */
  int64_t wild;     /* the packet before was so far from where it belongs, alone; else 0 */
} timeline_times;

#define TIMELINE_LAST 9 /* so many times are looked at to know the usual step from one to the next */

/* Published time less arrival, in one period: the largest is that of the packet that was delayed least. */
typedef struct timeline_lag {
  int64_t most, least, since; /* CUFRAMES_NO_TIME: nothing came yet */
} timeline_lag;

/* A track in the present pass through the source. CUFRAMES_NO_TIME: nothing yet. */
typedef struct timeline_track {
  bool placed;               /* its offset is chosen */
  bool sparse;               /* its packets say so */
  bool cut;                  /* packets that are not shown came first */
  bool shown;                /* a packet that is not hidden came, in any pass */
  bool unsure;               /* the last packet jumped: the next one tells whether it was alone */
  bool by_pts;               /* its decoding time was not known */
  int stuck;                 /* packets since `advanced` */
  int repeats;               /* packets in a row with the time of the one before */
  int64_t offset;            /* added to source times */
  int64_t sure, before;      /* the offset that more than one packet agreed with, and the one before that */
  int64_t wild;              /* how far it is off if it was */
  int64_t source, dts;       /* of the last packet: what it said, and what it got */
  int64_t first, next;       /* decoding time of the first packet, end of the last one, as published */
  int64_t arrival;           /* of the last packet */
  int64_t highest, advanced; /* the latest source time, and when it came */
  int64_t said;              /* the duration of the last packet, ... */
  int alike;                 /* ... and how many behind each other had it */
  int known;                 /* of `last` */
  /* In all passes. */
  picture_order order;
  int64_t last_dts;            /* that the last packet got */
  timeline_lag lag, lag_old;   /* in this period and the one before */
  int64_t lag_last;            /* of the last packet */
  int64_t last[TIMELINE_LAST]; /* source times, to know the step */
  int64_t step;                /* the usual one; 0: not known */
} timeline_track;

typedef struct timeline {
  timeline_kind kind;     /* to be set before the first packet of an input */
  bool by_arrival;        /* the source has no times worth the name: when a packet came is its time */
  uint32_t lead;          /* the track that others are measured by */
  int64_t offset;         /* that a pass begins with */
  bool begun;             /* it has */
  int64_t start, end;     /* earliest pts and latest end of this pass, as published; CUFRAMES_NO_TIME if none */
  int64_t published;      /* latest end of any pass */
  bool resuming;          /* the next packet is the first one after the source was away, ... */
  int64_t gap;            /* ... for so long, as far as the reader knows; used where no clock is */
  int64_t resumed, since; /* where that packet went, and when it came; CUFRAMES_NO_TIME in other passes */
  timeline_track tracks[CUFRAMES_TRACKS_MAX];
} timeline;

void timeline_init(timeline *timeline);

/* The times that a packet of this track is published with. */
timeline_times timeline_packet(timeline *timeline, uint32_t track, const timeline_stamp *stamp);

/* The source begins again: what follows joins on without a gap. Gives by how much the offset grows. */
int64_t timeline_loop(timeline *timeline);

/* The source was away: what follows comes as much later as our clock says it came; for a file, `gap` ns after the end
 * of what was published. */
void timeline_restart(timeline *timeline, int64_t gap);

#endif
