/* parameter_sets.h - H.264's and H.265's parameter sets: found in packets and in extradata, compared, put into packets.
 *
 * Both codecs have two forms: units behind start codes (Annex B: cameras, TS), or behind their lengths (MP4, Matroska),
 * with the sets in a record of its own, avcC or hvcC. */
#ifndef CUFRAMES_PARAMETER_SETS_H
#define CUFRAMES_PARAMETER_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libavcodec/codec_id.h>

/* Sets behind start codes, in the order in which they came. All 0 is none. */
typedef struct parameter_sets {
  uint8_t *data;
  size_t size;
} parameter_sets;

void parameter_sets_free(parameter_sets *sets);

/* Whether the codec has such sets. */
bool parameter_sets_known(enum AVCodecID codec);

/* 0: start codes; else the bytes of a length, as this extradata says. */
int parameter_sets_length_bytes(enum AVCodecID codec, const uint8_t *extradata, size_t size);

/* All sets of extradata of either form. False: out of memory; *sets is none then. */
bool parameter_sets_of_extradata(enum AVCodecID codec, const uint8_t *extradata, size_t size, parameter_sets *sets);

/* All sets in a packet. Likewise. */
bool parameter_sets_of_packet(enum AVCodecID codec, int length_bytes, const uint8_t *data, size_t size,
                              parameter_sets *sets);

/* Whether a decoder can begin with these: a set for the sequence is among them, and one for pictures. */
bool parameter_sets_whole(enum AVCodecID codec, const parameter_sets *sets);

/* Whether each set for a sequence in `now` is one of `before`. Those for pictures may come and go: decoders take them
 * where they find them. */
bool parameter_sets_go_on(enum AVCodecID codec, const parameter_sets *before, const parameter_sets *now);

/* Adds those of `more` that are not in `sets` yet. False: out of memory; *sets is none then. */
bool parameter_sets_add(parameter_sets *sets, const parameter_sets *more);

/* The packet's units behind lengths of four bytes, whatever it has, without those that are in `but` and without
 * delimiters: what goes with a record that has the sets of `but`. Gives its size; to may be NULL. A packet that is cut
 * off ends with its last whole unit. */
size_t parameter_sets_to_lengths(enum AVCodecID codec, int length_bytes, const uint8_t *data, size_t size,
                                 const parameter_sets *but, uint8_t *to);

/* Where in a packet behind start codes sets belong: behind an access unit delimiter, if it begins with one. */
size_t parameter_sets_place(enum AVCodecID codec, const uint8_t *data, size_t size);

#endif
