/* image_file.c - conversion to RGB, PNG and JPEG, atomic files. */
#include "image_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

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

static enum AVPixelFormat av_format(uint32_t pixel_format) {
  switch (pixel_format) {
    case CUFRAMES_PIXEL_NV12: return AV_PIX_FMT_NV12;
    case CUFRAMES_PIXEL_P010: return AV_PIX_FMT_P010LE;
    case CUFRAMES_PIXEL_YUV420P: return AV_PIX_FMT_YUV420P;
    case CUFRAMES_PIXEL_YUV422P: return AV_PIX_FMT_YUV422P;
    case CUFRAMES_PIXEL_YUV444P: return AV_PIX_FMT_YUV444P;
    case CUFRAMES_PIXEL_GRAY8: return AV_PIX_FMT_GRAY8;
    case CUFRAMES_PIXEL_RGB24: return AV_PIX_FMT_RGB24;
    case CUFRAMES_PIXEL_RGBA: return AV_PIX_FMT_RGBA;
    case CUFRAMES_PIXEL_BGRA: return AV_PIX_FMT_BGRA;
    default: return AV_PIX_FMT_NONE;
  }
}

/* swscale's number of a matrix; it is H.273's but for what was not said and constant luminance. */
static int matrix_of(const cuframes_format *format) {
  switch (format->color.matrix) {
    case 0:
    case 2: return format->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    case 10: return SWS_CS_BT2020;
    default: return format->color.matrix;
  }
}

static bool is_full_range(const cuframes_format *format) {
  if (!format->color.range)
    return format->pixel_format == CUFRAMES_PIXEL_GRAY8;
  return format->color.range == 2;
}

bool image_convert(struct SwsContext **scaler, const picture_planes *planes, const cuframes_format *format,
                   rgb_image *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
  const int flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
  enum AVPixelFormat from = av_format(format->pixel_format);
  if (from == AV_PIX_FMT_NONE)
    return false;
  *scaler = sws_getCachedContext(*scaler, (int)format->width, (int)format->height, from, (int)width, (int)height,
                                 AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
  if (!*scaler)
    return false;
  /* Refused for RGB to RGB, where there is nothing to say. */
  (void)sws_setColorspaceDetails(*scaler, sws_getCoefficients(matrix_of(format)), is_full_range(format),
                                 sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  int strides[4];
  for (int i = 0; i < 4; i++)
    strides[i] = (int)planes->pitch[i];
  uint8_t *to[4] = { image->data + y * image->pitch + (size_t)x * 3 };
  const int to_strides[4] = { (int)image->pitch };
  return sws_scale(*scaler, planes->plane, strides, 0, (int)format->height, to, to_strides) == (int)height;
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
  uint32_t row_bytes[CUFRAMES_PLANES] = { 0 }, rows[CUFRAMES_PLANES] = { 0 };
  size_t total = 0;
  for (int i = 0; i < CUFRAMES_PLANES && planes->plane[i]; i++) {
    if (cuframes_format_plane_size(format, i, &row_bytes[i], &rows[i]))
      return false;
    total += (size_t)row_bytes[i] * rows[i];
  }
  uint8_t *bytes = malloc(total), *to = bytes;
  if (!bytes)
    return false;
  for (int i = 0; i < CUFRAMES_PLANES && planes->plane[i]; i++)
    for (uint32_t row = 0; row < rows[i]; row++, to += row_bytes[i])
      memcpy(to, planes->plane[i] + (size_t)row * planes->pitch[i], row_bytes[i]);
  *data = bytes;
  *size = total;
  return true;
}

static int write_all(int fd, const uint8_t *data, size_t size) {
  while (size) {
    ssize_t done = write(fd, data, size);
    if (done < 0 && errno != EINTR)
      return errno;
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
