/* stream_tracks.h - what the tracks of a stream are, as last said, and which of them a file takes. */
#ifndef CUFRAMES_STREAM_TRACKS_H
#define CUFRAMES_STREAM_TRACKS_H

#include <jansson.h>

#include <cuframes/cuframes.h>

#include "muxer.h"

typedef struct track_known {
  bool known;
  bool in_file; /* the container holds it */
  cuframes_codec_params params;
  void *extradata;
  size_t size;
} track_known;

typedef struct stream_tracks {
  track_known track[CUFRAMES_TRACKS_MAX];
  uint32_t lead; /* files begin with a packet of it: the first video, else the first sound; CUFRAMES_TRACKS_MAX: none */
  bool foreseen; /* this was asked before the first packet came */
} stream_tracks;

/* Asks the publisher about one track. *changed: it is another codec, size, rate or number of channels than before, or
 * came or went. 0 or the library's error; a track that is not described is no error. */
int stream_tracks_read(stream_tracks *t, cuframes_subscriber *subscriber, uint32_t index, bool *changed);

/* Anew about all of them, whose numbers may have gaps. What was foreseen counts if the publisher is gone by now: what
 * it left is to be had without it, and a short film is over before anybody could ask. */
int stream_tracks_read_all(stream_tracks *t, cuframes_subscriber *subscriber);

/* Asks before the first packet; where the publisher knows nothing yet that is no error, and may be asked again. */
void stream_tracks_foresee(stream_tracks *t, cuframes_subscriber *subscriber);

/* Whether the source is live and has not a single track: its pictures are not encoded, and no packet will come. Asks
 * the publisher only where what the subscriber sees does not say it. */
bool stream_tracks_none(cuframes_subscriber *subscriber, const char *directory, const char *name);

/* Tries which of them a file with these options takes; nothing is created. False without memory. */
bool stream_tracks_fit(stream_tracks *t, const muxer_options *options, const char *name);

/* Describes to a new file what it takes; a track that is described anew to one that goes on. */
void stream_tracks_describe(const stream_tracks *t, muxer *m);
void stream_tracks_describe_one(const stream_tracks *t, muxer *m, uint32_t index);

/* From packet to packet of the leading track, ns. */
int64_t stream_tracks_interval(const stream_tracks *t);

/* What of them is in a file, as `streams` of --json. */
json_t *stream_tracks_json(const stream_tracks *t, const muxer *m);

void stream_tracks_clear(stream_tracks *t);

#endif
