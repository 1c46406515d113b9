/* muxer_times.h - the stream's times as the file's: missing ones made up, one clock for all tracks, jumps closed. */
#ifndef CUFRAMES_MUXER_TIMES_H
#define CUFRAMES_MUXER_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/packet.h>

typedef struct track_times {
  bool video;
  int64_t interval;    /* ns from packet to packet, for missing times */
  int64_t last_dts;    /* ns of the source, for missing times */
  bool dts_told;       /* the source said the last one */
  int64_t first, next; /* ns in the file: decoding time of the first packet, end of the last one */
  int64_t reached;     /* ns in the file: decoding time of the last packet */
  int64_t shown;       /* ns in the file: the latest presentation time with its duration */
} track_times;

typedef struct muxer_times {
  int64_t offset; /* from the source's ns to the file's */
  int64_t begin;  /* ns in the file: where it begins */
  bool new_epoch; /* no packet of it was timed yet */
  track_times track[CUFRAMES_TRACKS_MAX];
} muxer_times;

void muxer_times_init(muxer_times *times);

/* Says what track `index` is, before its first packet. */
void muxer_times_track(muxer_times *times, uint32_t index, const cuframes_codec_params *params);

/* Looks at packets to come, of all tracks: where those of this one begin without a time, the first with one tells. */
void muxer_times_ahead(muxer_times *times, uint32_t index, cuframes_packet *const *packets, size_t count);

/* The packet's times in the source's ns, missing ones made up. Each packet once, in turn. */
void muxer_times_source(muxer_times *times, const cuframes_packet *packet, int64_t *pts, int64_t *dts);

/* The source's time that the file begins with, and whether it is 0 there, or as it is. */
void muxer_times_begin(muxer_times *times, int64_t pts, bool from_zero);

/* Before a packet with these source times: chooses the offset anew if they jump. goes_on: decoding does not begin here,
 * but goes on from what was before. */
void muxer_times_join(muxer_times *times, uint32_t index, int64_t pts, int64_t dts, bool goes_on);

/* The source has started anew, and with another clock perhaps. */
void muxer_times_epoch(muxer_times *times);

/* Takes note of a packet at these times of the file. Gives its duration. */
int64_t muxer_times_note(muxer_times *times, const cuframes_packet *packet, int64_t pts, int64_t dts);

#endif
