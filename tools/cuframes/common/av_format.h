/* av_format.h - our pixel formats and FFmpeg's, and what a picture says of itself in both. */
#ifndef CUFRAMES_CLI_AV_FORMAT_H
#define CUFRAMES_CLI_AV_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixfmt.h>

#include <cuframes/format.h>
#include <cuframes/side_data.h>

/* FFmpeg's for one of ours; AV_PIX_FMT_NONE: there is none. */
enum AVPixelFormat av_format_of(uint32_t ours);
/* Ours for FFmpeg's; CUFRAMES_PIXEL_NONE: we have none like it. */
uint32_t av_format_ours(enum AVPixelFormat format);
/* FFmpeg's old "full range" formats without that; any other as it is. */
enum AVPixelFormat av_format_plain(enum AVPixelFormat format);
bool av_format_is_rgb(enum AVPixelFormat format);
/* Whether chroma is as many times smaller than luma in both; false where it is not smaller, or not there. */
bool av_format_same_chroma(enum AVPixelFormat one, enum AVPixelFormat other);
/* Which of FFmpeg's planes is this one of ours: GBRP has its planes in another order than RGBP. */
int av_format_plane(uint32_t ours, int plane);

/* ---- words: ours for FFmpeg's, 0 for what it does not say ---- */

uint8_t av_words_code_point(int value); /* matrix, primaries, transfer */
uint8_t av_words_range(int range);
uint8_t av_words_chroma(int location);
uint8_t av_words_fields(enum AVFieldOrder order);
/* One of the eight; 0 also for a matrix that is none of them, such as one that turns by 45 degrees. */
uint8_t av_words_orientation(const int32_t matrix[9]);

cuframes_mastering_display av_words_mastering_display(const AVMasteringDisplayMetadata *display);
cuframes_content_light av_words_content_light(const AVContentLightMetadata *light);

/* ---- and the other way round ---- */

void av_words_av_mastering_display(const cuframes_mastering_display *display, AVMasteringDisplayMetadata *to);

int av_words_av_code_point(uint8_t value);
enum AVFieldOrder av_words_av_fields(uint8_t field_order);
/* The matrix that shows a stored picture of this size upright, its corner at the origin. */
void av_words_matrix(uint8_t orientation, uint32_t width, uint32_t height, int32_t matrix[9]);

#endif
