/* image_file.c - conversion to RGB, PNG and JPEG, atomic files. */
#include "image_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

#include "common/av_format.h"
#include "common/cli.h"
#include "common/picture_bytes.h"

bool image_create(rgb_image *image, uint32_t width, uint32_t height) {
  /* Rows of whole 64 bytes and some room behind: swscale's vector code writes in large steps. */
  image->pitch = ((size_t)width * 3 + 63) & ~(size_t)63;
  image->width = width;
  image->height = height;
  image->data = calloc(1, image->pitch * height + 64);
  return image->data != NULL;
}

void image_free(rgb_image *image) {
  free(image->data);
  *image = (rgb_image){ 0 };
}

/* Pixels that are taller or wider than this are a mistake of somebody's, not a picture's shape. */
#define ASPECT_MAX 8
#define SHOWN_MAX 65535

static bool swaps_sides(const cuframes_format *format) {
  return format->orientation >= CUFRAMES_ORIENTATION_LEFT_TOP;
}

void image_shown_size(const cuframes_format *format, uint32_t *width, uint32_t *height) {
  uint64_t num = format->sample_aspect_num, den = format->sample_aspect_den, w = format->width, h = format->height;
  if (num > den && num <= den * ASPECT_MAX && (w * num + den / 2) / den <= SHOWN_MAX)
    w = (w * num + den / 2) / den;
  else if (den > num && num > 0 && den <= num * ASPECT_MAX && (h * den + num / 2) / num <= SHOWN_MAX)
    h = (h * den + num / 2) / num;
  *width = (uint32_t)(swaps_sides(format) ? h : w);
  *height = (uint32_t)(swaps_sides(format) ? w : h);
}

static uint8_t *pixel_of(const rgb_image *image, uint32_t x, uint32_t y) {
  return image->data + y * image->pitch + (size_t)x * 3;
}

/* The whole of `from`, which is the picture as it is stored, upright into a rectangle of `to` at (left, top). */
static void turn(const rgb_image *from, uint8_t orientation, rgb_image *to, uint32_t left, uint32_t top) {
  const bool swap = orientation >= CUFRAMES_ORIENTATION_LEFT_TOP;
  /* Which edge the first row and the first column of the stored picture are shown at. */
  const bool rows_from_end =
      orientation == CUFRAMES_ORIENTATION_BOTTOM_RIGHT || orientation == CUFRAMES_ORIENTATION_BOTTOM_LEFT ||
      orientation == CUFRAMES_ORIENTATION_RIGHT_TOP || orientation == CUFRAMES_ORIENTATION_RIGHT_BOTTOM;
  const bool columns_from_end =
      orientation == CUFRAMES_ORIENTATION_TOP_RIGHT || orientation == CUFRAMES_ORIENTATION_BOTTOM_RIGHT ||
      orientation == CUFRAMES_ORIENTATION_RIGHT_BOTTOM || orientation == CUFRAMES_ORIENTATION_LEFT_BOTTOM;
  for (uint32_t y = 0; y < from->height; y++) {
    const uint32_t row = rows_from_end ? from->height - 1 - y : y;
    for (uint32_t x = 0; x < from->width; x++) {
      const uint32_t column = columns_from_end ? from->width - 1 - x : x;
      memcpy(pixel_of(to, left + (swap ? row : column), top + (swap ? column : row)), pixel_of(from, x, y), 3);
    }
  }
}

/* As it is stored. */
static bool convert(struct SwsContext **scaler, const picture_planes *planes, const cuframes_format *format,
                    rgb_image *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
  const int flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
  enum AVPixelFormat from = av_format_of(format->pixel_format);
  if (from == AV_PIX_FMT_NONE)
    return false;
  *scaler = sws_getCachedContext(*scaler, (int)format->width, (int)format->height, from, (int)width, (int)height,
                                 AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
  if (!*scaler)
    return false;
  /* Refused for RGB to RGB, where there is nothing to say. */
  (void)sws_setColorspaceDetails(*scaler, sws_getCoefficients(picture_matrix(format)), picture_is_full_range(format),
                                 sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  const uint8_t *data[CUFRAMES_PLANES];
  int strides[CUFRAMES_PLANES];
  for (int i = 0; i < CUFRAMES_PLANES; i++) {
    data[av_format_plane(format->pixel_format, i)] = planes->plane[i];
    strides[av_format_plane(format->pixel_format, i)] = (int)planes->pitch[i];
  }
  uint8_t *to[4] = { pixel_of(image, x, y) };
  const int to_strides[4] = { (int)image->pitch };
  return sws_scale(*scaler, data, strides, 0, (int)format->height, to, to_strides) == (int)height;
}

bool image_convert(struct SwsContext **scaler, const picture_planes *planes, const cuframes_format *format,
                   rgb_image *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
  if (format->orientation <= CUFRAMES_ORIENTATION_TOP_LEFT)
    return convert(scaler, planes, format, image, x, y, width, height);
  const bool swap = swaps_sides(format);
  rgb_image stored = { 0 };
  bool good = image_create(&stored, swap ? height : width, swap ? width : height) &&
              convert(scaler, planes, format, &stored, 0, 0, stored.width, stored.height);
  if (good)
    turn(&stored, format->orientation, image, x, y);
  image_free(&stored);
  return good;
}

void image_scaler_free(struct SwsContext **scaler) {
  sws_freeContext(*scaler);
  *scaler = NULL;
}

/* The image as the frame that the encoder takes: RGB as it is, or YUV as JFIF defines it. */
static bool fill_frame(AVFrame *frame, enum image_kind kind, const rgb_image *image) {
  frame->width = (int)image->width;
  frame->height = (int)image->height;
  frame->format = kind == IMAGE_PNG ? AV_PIX_FMT_RGB24 : AV_PIX_FMT_YUV420P;
  if (kind == IMAGE_JPEG) {
    frame->color_range = AVCOL_RANGE_JPEG;
    frame->colorspace = AVCOL_SPC_BT470BG;
  }
  if (av_frame_get_buffer(frame, 0) < 0)
    return false;
  struct SwsContext *scaler =
      sws_getContext(frame->width, frame->height, AV_PIX_FMT_RGB24, frame->width, frame->height, frame->format,
                     SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
  if (!scaler)
    return false;
  (void)sws_setColorspaceDetails(scaler, sws_getCoefficients(SWS_CS_ITU601), 1, sws_getCoefficients(SWS_CS_ITU601), 1,
                                 0, 1 << 16, 1 << 16); /* refused for RGB to RGB */
  const uint8_t *const from[4] = { image->data };
  const int strides[4] = { (int)image->pitch };
  int rows = sws_scale(scaler, from, strides, 0, frame->height, frame->data, frame->linesize);
  sws_freeContext(scaler);
  return rows == frame->height;
}

static bool open_encoder(AVCodecContext *encoder, const AVCodec *codec, AVFrame *frame) {
  encoder->width = frame->width;
  encoder->height = frame->height;
  encoder->pix_fmt = frame->format;
  encoder->color_range = frame->color_range;
  encoder->colorspace = frame->colorspace;
  encoder->time_base = (AVRational){ 1, 25 }; /* demanded, and of no meaning here */
  encoder->thread_count = 1;
  if (frame->format != AV_PIX_FMT_RGB24) {
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = 2 * FF_QP2LAMBDA;
    frame->quality = encoder->global_quality;
  }
  return avcodec_open2(encoder, codec, NULL) >= 0;
}

bool image_encode(enum image_kind kind, const rgb_image *image, uint8_t **data, size_t *size) {
  const AVCodec *codec = avcodec_find_encoder(kind == IMAGE_PNG ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG);
  AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
  AVFrame *frame = av_frame_alloc();
  AVPacket *packet = av_packet_alloc();
  uint8_t *bytes = NULL;
  if (encoder && frame && packet && fill_frame(frame, kind, image) && open_encoder(encoder, codec, frame) &&
      avcodec_send_frame(encoder, frame) >= 0 && avcodec_send_frame(encoder, NULL) >= 0 &&
      avcodec_receive_packet(encoder, packet) >= 0 && (bytes = malloc((size_t)packet->size))) {
    memcpy(bytes, packet->data, (size_t)packet->size);
    *data = bytes;
    *size = (size_t)packet->size;
  }
  av_packet_free(&packet);
  av_frame_free(&frame);
  avcodec_free_context(&encoder);
  return bytes != NULL;
}

bool image_raw(const picture_planes *planes, const cuframes_format *format, uint8_t **data, size_t *size) {
  const size_t total = picture_bytes(format);
  uint8_t *bytes = total ? malloc(total) : NULL;
  if (!bytes)
    return false;
  picture_pack(planes, format, bytes);
  *data = bytes;
  *size = total;
  return true;
}

/* Ends by a signal, too, where nobody reads: what is there is no whole picture then. */
static int write_all(int fd, const uint8_t *data, size_t size) {
  while (size) {
    ssize_t done = write(fd, data, size);
    if (done < 0 && errno == EAGAIN) /* others made their end of it non-blocking, and so ours */
      (void)poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 100);
    else if (done < 0 && errno != EINTR)
      return errno;
    if (done < 0 && cli_stopped)
      return EINTR;
    if (done > 0) {
      data += done;
      size -= (size_t)done;
    }
  }
  return 0;
}

static int write_direct(const char *path, const uint8_t *data, size_t size) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return errno;
  int error = write_all(fd, data, size);
  if (close(fd) && !error)
    error = errno;
  return error;
}

static int write_renamed(const char *path, const uint8_t *data, size_t size) {
  const size_t room = strlen(path) + sizeof(".XXXXXX");
  char *beside = malloc(room);
  if (!beside)
    return ENOMEM;
  snprintf(beside, room, "%s.XXXXXX", path);
  int fd = mkostemp(beside, O_CLOEXEC), error = fd < 0 ? errno : 0;
  if (!error) {
    const mode_t mask = umask(0);
    (void)umask(mask); /* the only way to read it */
    error = write_all(fd, data, size);
    if (fchmod(fd, 0666 & ~mask) && !error)
      error = errno;
    if (close(fd) && !error)
      error = errno;
    if (!error && rename(beside, path))
      error = errno;
    if (error)
      (void)unlink(beside); /* the first error is what counts */
  }
  free(beside);
  return error;
}

int image_write(const char *path, const uint8_t *data, size_t size) {
  struct stat there;
  if (!strcmp(path, "-"))
    return write_all(STDOUT_FILENO, data, size);
  if (!stat(path, &there)) {
    if (!S_ISREG(there.st_mode))
      return write_direct(path, data, size);
    char *target = realpath(path, NULL); /* a link stays one */
    if (!target)
      return errno;
    int error = write_renamed(target, data, size);
    free(target);
    return error;
  }
  return write_renamed(path, data, size);
}

enum image_kind image_kind_of(const char *path) {
  static const struct {
    const char *extension;
    enum image_kind kind;
  } kinds[] = { { ".png", IMAGE_PNG }, { ".jpg", IMAGE_JPEG }, { ".jpeg", IMAGE_JPEG }, { ".raw", IMAGE_RAW },
                { ".yuv", IMAGE_RAW }, { ".rgb", IMAGE_RAW },  { ".nv12", IMAGE_RAW } };
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof(kinds) / sizeof(*kinds); i++)
    if (!strcasecmp(dot, kinds[i].extension))
      return kinds[i].kind;
  return IMAGE_NONE;
}

bool image_name(char *name, size_t size, const char *pattern, uint32_t number, bool *numbered) {
  size_t used = 0;
  bool found = false;
  for (const char *c = pattern; *c;) {
    char piece[24] = { *c++ };
    if (piece[0] == '%' && *c == '%') {
      c++;
    } else if (piece[0] == '%') {
      int digits = 0;
      while (isdigit((unsigned char)*c) && digits < 10)
        digits = digits * 10 + (*c++ - '0');
      if (*c++ != 'd' || digits > 10 || found)
        return false;
      snprintf(piece, sizeof(piece), "%0*u", digits, number);
      found = true;
    }
    size_t length = strlen(piece);
    if (used + length >= size)
      return false;
    memcpy(name + used, piece, length + 1);
    used += length;
  }
  *numbered = found;
  return used > 0;
}
