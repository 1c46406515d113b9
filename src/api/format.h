/* api/format.h - picture formats on the wire, and the checks of what a picture says of itself. */
#ifndef CF_API_FORMAT_H
#define CF_API_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include <cuframes/format.h>
#include <cuframes/packet.h>

#include "wire/message.h"

/* Bindings rely on these, and on the absence of padding: formats are compared as bytes. */
static_assert(sizeof(cuframes_format) == 128 && offsetof(cuframes_format, color) == 12 &&
                  offsetof(cuframes_format, chroma_location) == 16 && offsetof(cuframes_format, field_order) == 17 &&
                  offsetof(cuframes_format, orientation) == 18 && offsetof(cuframes_format, sample_aspect_num) == 20 &&
                  offsetof(cuframes_format, sample_aspect_den) == 24 && offsetof(cuframes_format, tensor) == 28 &&
                  offsetof(cuframes_format, pitch) == 52 && offsetof(cuframes_format, padding) == 68 &&
                  offsetof(cuframes_format, offset) == 96,
              "the public struct");
static_assert(sizeof(cuframes_tensor) == 24 && offsetof(cuframes_tensor, size) == 8, "the public struct");
static_assert(sizeof(cuframes_codec_params) == 160 && offsetof(cuframes_codec_params, media_type) == 4 &&
                  offsetof(cuframes_codec_params, codec) == 8 && offsetof(cuframes_codec_params, profile) == 40 &&
                  offsetof(cuframes_codec_params, color) == 84 && offsetof(cuframes_codec_params, bit_rate) == 88 &&
                  offsetof(cuframes_codec_params, chroma_location) == 96 &&
                  offsetof(cuframes_codec_params, sample_aspect_num) == 100 &&
                  offsetof(cuframes_codec_params, mastering_display) == 108 &&
                  offsetof(cuframes_codec_params, content_light) == 132 &&
                  offsetof(cuframes_codec_params, reserved) == 136,
              "the public struct");
static_assert(sizeof(((cf_msg_format *)0)->size) == sizeof(((cuframes_tensor *)0)->size), "as many sizes on the wire");

/* Of a plane of a format that was laid out: as cuframes_format_plane_size(), which looks at every field first. False:
 * there is no such plane. */
bool cf_format_plane(const cuframes_format *format, int plane, uint32_t *row_bytes, uint32_t *rows);

/* FORMAT, with the detail, if one of them has no such value. */
int cf_format_words_check(cuframes_color color, uint32_t chroma_location, uint32_t field_order, uint32_t orientation);
int cf_format_aspect_check(uint32_t num, uint32_t den);

/* cuframes_color in one word. */
uint32_t cf_color_pack(cuframes_color color);
cuframes_color cf_color_unpack(uint32_t packed);

/* What is said of a track's light. False: a value that its field cannot have. */
void cf_light_to_wire(const cuframes_codec_params *params, cf_msg_codec *wire);
bool cf_light_from_wire(const cf_msg_codec *wire, cuframes_codec_params *params);

void cf_format_to_wire(const cuframes_format *format, cf_msg_format *wire);
/* FORMAT if a field has a value that cannot be; then *format is untouched. Whether the pixel format is known and the
 * planes are possible is for cuframes_format_layout() to say. */
int cf_format_from_wire(const cf_msg_format *wire, cuframes_format *format);

#endif
