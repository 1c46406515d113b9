/* pictures.c - see pictures.h. */
#include "pictures.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include "common/av_format.h"
#include "common/json.h"
#include "common/picture_bytes.h"

#define SIDE_MOST 16384
#define ALIGN 64 /* swscale's vector code writes in large steps */

static bool is_rgb(uint32_t pixel_format) {
  return av_format_is_rgb(av_format_of(pixel_format));
}

/* Another side in the shape of the first one; even where chroma is smaller, at least 2. */
static uint32_t in_proportion(uint32_t side, uint32_t from, uint32_t other) {
  const uint64_t value = ((uint64_t)other * side + from / 2) / from;
  return value < 2 ? 2 : (uint32_t)(value & ~UINT64_C(1));
}

/* What pixels become when sides are scaled: as wide as they were in all. */
static void scale_aspect(cuframes_format *to, const cuframes_format *from) {
  if (!from->sample_aspect_num || !from->sample_aspect_den)
    return;
  int num, den;
  (void)av_reduce(&num, &den, (int64_t)from->sample_aspect_num * from->width * to->height,
                  (int64_t)from->sample_aspect_den * from->height * to->width, INT32_MAX);
  to->sample_aspect_num = (uint32_t)num;
  to->sample_aspect_den = (uint32_t)den;
}

/* What the words of the stream become in another shape. */
static void convert_words(cuframes_format *to, const cuframes_format *from) {
  const bool rgb = is_rgb(to->pixel_format);
  if (rgb != is_rgb(from->pixel_format)) {
    to->color.matrix = rgb ? 0 : to->height >= 720 ? 1 : 6;
    to->color.range = rgb ? 2 : 1;
  } else if (!rgb && !to->color.range && picture_is_full_range(from)) {
    to->color.range = 2; /* gray that was full without a word */
  }
  if (!av_format_same_chroma(av_format_of(from->pixel_format), av_format_of(to->pixel_format)))
    to->chroma_location = CUFRAMES_CHROMA_NOT_SAID;
  if (to->height != from->height && to->field_order != CUFRAMES_FIELDS_PROGRESSIVE)
    to->field_order = CUFRAMES_FIELDS_NOT_SAID; /* its rows are mixed */
  scale_aspect(to, from);
}

static cuframes_format become(const picture_wish *wish, const cuframes_format *from) {
  cuframes_format to = *from;
  to.pixel_format = wish->pixel_format ? wish->pixel_format : from->pixel_format;
  if (wish->width && wish->height) {
    to.width = wish->width;
    to.height = wish->height;
  } else if (wish->width) {
    to.width = wish->width;
    to.height = in_proportion(wish->width, from->width, from->height);
  } else if (wish->height) {
    to.height = wish->height;
    to.width = in_proportion(wish->height, from->height, from->width);
  }
  memset(to.pitch, 0, sizeof to.pitch);
  memset(to.offset, 0, sizeof to.offset);
  to.padding = 0;
  if (from->pixel_format != CUFRAMES_PIXEL_TENSOR)
    convert_words(&to, from);
  return to;
}

static bool is_converted(const pictures *p) {
  return p->from.pixel_format != p->to.pixel_format || p->from.width != p->to.width || p->from.height != p->to.height;
}

static void free_scaled(pictures *p) {
  av_freep(&p->scaled[0]);
  sws_freeContext(p->scaler);
  p->scaler = NULL;
}

/* Colours stay what they mean: the same matrix and range on both sides, or those that the other kind has. */
static bool prepare_scaler(pictures *p) {
  const enum AVPixelFormat from = av_format_of(p->from.pixel_format), to = av_format_of(p->to.pixel_format);
  const bool same_size = p->from.width == p->to.width && p->from.height == p->to.height;
  const int flags = SWS_BICUBIC | SWS_ACCURATE_RND | (same_size ? 0 : SWS_FULL_CHR_H_INP);
  free_scaled(p);
  p->scaler = sws_getContext((int)p->from.width, (int)p->from.height, from, (int)p->to.width, (int)p->to.height, to,
                             flags, NULL, NULL, NULL);
  if (!p->scaler || av_image_alloc(p->scaled, p->scaled_pitch, (int)p->to.width, (int)p->to.height, to, ALIGN) < 0)
    return false;
  const bool rgb_to_yuv = is_rgb(p->from.pixel_format) && !is_rgb(p->to.pixel_format);
  const cuframes_format *yuv = rgb_to_yuv ? &p->to : &p->from;
  const int *matrix = sws_getCoefficients(picture_matrix(yuv));
  const int from_full = is_rgb(p->from.pixel_format) || picture_is_full_range(&p->from);
  const int to_full = is_rgb(p->to.pixel_format) || picture_is_full_range(&p->to);
  /* Refused for RGB to RGB, where there is nothing to say. */
  (void)sws_setColorspaceDetails(p->scaler, matrix, from_full, matrix, to_full, 0, 1 << 16, 1 << 16);
  return true;
}

/* What libswscale takes: its buffers are counted in int, with eight bytes for each pixel and some around. */
static bool can_be_made(const cuframes_format *to) {
  return to->width <= SIDE_MOST && to->height <= SIDE_MOST &&
         ((uint64_t)to->width + 128) * ((uint64_t)to->height + 128) < INT_MAX / 8;
}

bool pictures_prepare(pictures *p, const cuframes_format *from, const char *who) {
  char text[FORMAT_TEXT];
  const bool tensor = from->pixel_format == CUFRAMES_PIXEL_TENSOR;
  if (tensor && (p->wish.pixel_format || p->wish.width || p->wish.height)) {
    cli_error("%s has tensors, which are no pictures: --raw gives them as they are, without --format and --size", who);
    return false;
  }
  p->from = *from;
  p->to = become(&p->wish, from);
  format_text(text, sizeof text, &p->to);
  if (!tensor && is_converted(p) && !can_be_made(&p->to)) {
    cli_error("%s: pictures of %s are too large to be made: give a smaller --size", who, text);
    return false;
  }
  p->size = picture_bytes(&p->to);
  free(p->bytes);
  p->bytes = p->size ? malloc(p->size) : NULL;
  if (!p->bytes || (!tensor && is_converted(p) && !prepare_scaler(p))) {
    cli_error("%s: %s: %s", who, p->size ? "there is no memory for pictures of" : "there are no pictures of", text);
    return false;
  }
  return true;
}

/* All planes of a format whose order differs are of one size, so that `to` says it for either order. */
static void pack(pictures *p, const picture_planes *ours) {
  picture_planes ordered = { 0 };
  for (int i = 0; i < cuframes_pixel_format_planes(p->to.pixel_format); i++) {
    const int at = p->av_planes ? av_format_plane(p->to.pixel_format, i) : i;
    ordered.plane[at] = ours->plane[i];
    ordered.pitch[at] = ours->pitch[i];
  }
  picture_pack(&ordered, &p->to, p->bytes);
}

static bool convert(pictures *p) {
  const uint8_t *data[CUFRAMES_PLANES];
  int pitches[CUFRAMES_PLANES];
  picture_planes made = { 0 };
  for (int i = 0; i < CUFRAMES_PLANES; i++) {
    data[av_format_plane(p->from.pixel_format, i)] = p->planes.plane[i];
    pitches[av_format_plane(p->from.pixel_format, i)] = (int)p->planes.pitch[i];
  }
  if (sws_scale(p->scaler, data, pitches, 0, (int)p->from.height, p->scaled, p->scaled_pitch) != (int)p->to.height)
    return false;
  for (int i = 0; i < cuframes_pixel_format_planes(p->to.pixel_format); i++) {
    made.plane[i] = p->scaled[av_format_plane(p->to.pixel_format, i)];
    made.pitch[i] = (uint32_t)p->scaled_pitch[av_format_plane(p->to.pixel_format, i)];
  }
  pack(p, &made);
  return true;
}

int pictures_make(pictures *p, const cuframes_frame *frame) {
  /* swscale may read behind rows, which a copy allows */
  const int error = picture_view(&p->planes, frame, !is_converted(p));
  if (error)
    return error;
  if (!is_converted(p))
    pack(p, &p->planes);
  else if (!convert(p))
    return CUFRAMES_ERR_FORMAT;
  return CUFRAMES_OK;
}

void pictures_free(pictures *p) {
  free_scaled(p);
  picture_free(&p->planes);
  free(p->bytes);
  p->bytes = NULL;
}
