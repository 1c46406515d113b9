/* muxer.h - packets of a stream into a file (libavformat): tracks, times, containers that survive a sudden end.
 *
 *   m = muxer_create(path, &options);
 *   muxer_describe(m, ...) for each track
 *   per packet: with NEW_PARAMS muxer_describe(m, ...) of its track; then
 *               muxer_takes(m, packet) ? muxer_write(m, packet)
 *                                      : muxer_finish(m), another muxer, all tracks described anew, the packet into it
 *   muxer_finish(m); muxer_free(m);
 */
#ifndef CUFRAMES_MUXER_H
#define CUFRAMES_MUXER_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

typedef struct muxer muxer;

enum muxer_audio {
  MUXER_AUDIO_COPY, /* as it is, or left out where the container cannot hold it */
  MUXER_AUDIO_AAC,  /* encoded, unless it is AAC */
  MUXER_AUDIO_NONE
};

/* Which tracks are wanted; nothing set: all. */
typedef struct muxer_tracks {
  uint32_t indices;  /* bit per index */
  bool video, audio; /* all of these */
} muxer_tracks;

typedef struct muxer_options {
  const char *container; /* "mp4", "matroska", "mpegts" or "nut" */
  int64_t limit_ns;      /* how much of the stream to write, 0: all of it */
  enum muxer_audio audio;
  muxer_tracks tracks;
  /* Where it is written, in the place of a file; the caller's, who frees it after the muxer. Then what is written goes
   * on its way with each packet, as far as the container can. */
  struct AVIOContext *io;
  bool source_times;                         /* times are the source's as long as they rise; else they start at 0 */
  void (*say)(void *user, const char *text); /* of what is left out or encoded, once; may be NULL */
  void *user;
} muxer_options;

/* Prepares a file; nothing is created before the first packet is written. path "-" is stdout. The options are copied,
 * the container's name is not. NULL without memory. */
muxer *muxer_create(const char *path, const muxer_options *options);

/* Ends the file, unless it failed: then it stays as it is. False if it failed now or before. */
bool muxer_finish(muxer *m);

/* NULL is fine. */
void muxer_free(muxer *m);

/* Says what the track `index` is: before the first packet, and again when a packet brings NEW_PARAMS. False, with
 * muxer_problem(), if it stays out of this file: no video or audio, a codec that the container cannot hold, or a track
 * that comes when the file has begun. One that is not wanted is silently left out. */
bool muxer_describe(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata, size_t size);

/* Whether the track is in the file, or will be as far as is known by now. */
bool muxer_has(const muxer *m, uint32_t index);

/* What it is there ("h264", "aac"), and what is done to its packets: a filter's name, "encoded", or NULL. */
const char *muxer_codec(const muxer *m, uint32_t index);
const char *muxer_conversion(const muxer *m, uint32_t index);

/* Whether this file can go on with the packet. Else muxer_problem() says why, as the beginning of a sentence ("stream 0
 * is 640x360 from here on"), and the packet belongs into a new file. Asked before muxer_write(), for each packet. */
bool muxer_takes(muxer *m, const cuframes_packet *packet);

/* Whether the container says how a picture is to be turned, if its parameters do. */
bool muxer_holds_orientation(const muxer *m);

/* Writes a packet; false on a failure, after which nothing more is written. The file begins with the first video
 * keyframe (without video: the first packet); packets before it, beyond the limit or of streams left out are dropped.
 * Tracks that are announced, but not known well enough for a file's head, are waited for during a second of the stream:
 * what comes meanwhile is kept and written then. A jump of the times back, or one that an epoch brings, is closed.
 * Missing times are made up. A packet that the container refuses is left out, and counted. */
bool muxer_write(muxer *m, const cuframes_packet *packet);

/* The next packet came before the one that the file began with, and is written behind it: that it was the first of its
 * source means nothing here. */
void muxer_same_epoch(muxer *m);

/* Packets were lost: video goes on at its next keyframe. */
void muxer_resync(muxer *m);

/* The limit is reached in every stream that still moves. */
bool muxer_done(const muxer *m);

/* Why something failed, as a sentence. */
const char *muxer_problem(const muxer *m);

/* The AVERROR of a write that failed; 0: none did. */
int muxer_error(const muxer *m);

/* Whether the packet that begins the file has come; and whether keyframes came which could not, since nothing tells
 * their parameter sets. */
bool muxer_has_begun(const muxer *m);
bool muxer_lacks_sets(const muxer *m);

/* Written so far: ns of the stream that leads (a video if there is one), packets, bytes; and packets refused. */
int64_t muxer_position(const muxer *m);
uint64_t muxer_packets(const muxer *m);
uint64_t muxer_bytes(const muxer *m);
uint64_t muxer_refused(const muxer *m);

#endif
