/* conversion.h - packets as a publisher has them into packets as a container wants them.
 *
 * What is done, and where; everything else goes through as it is:
 *   H.264, H.265   TS: start codes for lengths; parameter sets into keyframes that have none, and new ones as they come
 *   AAC            MP4, Matroska: ADTS headers become the description in the file's head
 *   MPEG-4         TS: the description into keyframes that have none
 *   sound          with MUXER_AUDIO_AAC, and where it is none yet: encoded
 * libavformat itself turns start codes into lengths (MP4, Matroska) and puts headers before AAC (TS). */
#ifndef CUFRAMES_CONVERSION_H
#define CUFRAMES_CONVERSION_H

#include <stdbool.h>
#include <stddef.h>

#include <libavcodec/avcodec.h>

typedef struct conversion conversion;

/* For packets as `from` says; encode: into AAC, unless they are that already. first: one of them, or NULL: not known.
 * *to becomes what comes out, for the file's head. NULL: *problem says why. */
conversion *conversion_create(const char *container, const AVCodecParameters *from, bool encode, const AVPacket *first,
                              AVCodecParameters *to, char *problem, size_t size);

/* From here on packets are as `from` says. Whether what comes out goes on as it began; if not nothing has changed. */
bool conversion_change(conversion *c, const AVCodecParameters *from);

/* Likewise for what a packet says of itself. */
bool conversion_goes_on(const conversion *c, const AVPacket *packet);

/* Takes a packet (and empties it), times in ns; NULL: the end. 0 or an AVERROR. */
int conversion_send(conversion *c, AVPacket *packet);

/* AVERROR(EAGAIN): send more; AVERROR_EOF: that was all. Times in ns. */
int conversion_receive(conversion *c, AVPacket *packet);

/* What is done to the packets, by the name of the filter; "encoded"; NULL: nothing. */
const char *conversion_name(const conversion *c);

/* NULL is fine. */
void conversion_free(conversion *c);

#endif
