/* codec_name.h - what browsers call a codec, by the record that describes it (RFC 6381 and the like). */
#ifndef CUFRAMES_WALL_CODEC_NAME_H
#define CUFRAMES_WALL_CODEC_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libavcodec/codec_id.h>

/* Into `size` bytes, of which 64 are enough. False: the record is not whole, or no browser has such a codec. `record`
 * is avcC, hvcC, av1C, vpcC or the description of AAC, without the head of a box; others need none. */
bool codec_name(char *name, size_t size, enum AVCodecID codec, const uint8_t *record, size_t length);

#endif
