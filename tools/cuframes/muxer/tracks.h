/* tracks.h - what a publisher says of a track as libavformat wants it, and what only its packets tell. */
#ifndef CUFRAMES_TRACKS_H
#define CUFRAMES_TRACKS_H

#include <stdbool.h>
#include <stddef.h>

#include <libavformat/avformat.h>

#include <cuframes/packet.h>

enum AVCodecID tracks_codec_id(const char *name);

/* As described. NULL without memory. */
AVCodecParameters *tracks_parameters(const cuframes_codec_params *params, const void *extradata, size_t size);

/* Whether the first picture that is decoded may say what a file's head should have: the display that an HDR film was
 * made for stands in messages among the packets, and is described only then. */
bool tracks_lack_light(const cuframes_codec_params *params);

/* Whether a file's head can be written without having seen one of its packets. */
bool tracks_known(const AVCodecParameters *parameters);
/* Whether the head of an MP4 is made of the first packet: without one none is written, and nothing plays. */
bool tracks_make_head(enum AVCodecID codec);

/* Adds what a packet tells: parameter sets, rate and channels, the description that is to be in a file's head; and to
 * params the light of an HDR picture. packet may be NULL. Whether it is enough now. */
bool tracks_learn(AVCodecParameters *parameters, cuframes_codec_params *params, const char *container,
                  const AVPacket *packet);

/* A stream of a file, from what its packets are like and from what is said of its pictures. NULL without memory. */
AVStream *tracks_stream(AVFormatContext *output, const AVCodecParameters *parameters,
                        const cuframes_codec_params *params);

#endif
