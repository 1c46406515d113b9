/* muxer.h - packets of a stream into a file (libavformat): streams, times, containers that survive a sudden end. */
#ifndef CUFRAMES_MUXER_H
#define CUFRAMES_MUXER_H

#include <stdbool.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

typedef struct muxer muxer;

/* Prepares a file; nothing is created before the first packet is written. container: "mp4", "matroska" or "mpegts".
 * path "-" is stdout. limit_ns: how much of the stream to write, 0: all of it. NULL without memory. */
muxer *muxer_create(const char *path, const char *container, int64_t limit_ns);

/* Ends the file, unless it failed: then it stays as it is. False if it failed now or before. */
bool muxer_finish(muxer *m);

/* NULL is fine. */
void muxer_free(muxer *m);

/* Adds the track that packets name by `index`, before the first packet. False, with muxer_problem(), if it
 * stays out: no video or audio, or a codec that the container cannot hold. */
bool muxer_add(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata, size_t size);

/* Whether the container says how a picture is to be turned, if its parameters do. */
bool muxer_holds_orientation(const muxer *m);

/* Writes a packet; false on a failure, after which nothing more is written. The first video keyframe (without video:
 * the first packet) creates the file; packets before it, beyond the limit or of streams left out are dropped. Times
 * start at 0; a jump back, or one that an epoch brings, is closed. Missing decoding times are made up. */
bool muxer_write(muxer *m, const cuframes_packet *packet);

/* Packets were lost: video goes on at its next keyframe. */
void muxer_resync(muxer *m);

/* The limit is reached in every stream that still moves. */
bool muxer_done(const muxer *m);

/* Why something failed, as a sentence. */
const char *muxer_problem(const muxer *m);

/* Written so far: ns of the stream that leads (a video if there is one), packets, bytes. */
int64_t muxer_position(const muxer *m);
uint64_t muxer_packets(const muxer *m);
uint64_t muxer_bytes(const muxer *m);

#endif
