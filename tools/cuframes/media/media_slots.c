/* media_slots.c - pictures that the decoder makes in the slots themselves, so that nothing is copied.
 *
 * libavcodec asks for the memory of each picture (get_buffer2). Where a slot has the layout that it would choose
 * itself, with room for the rows and bytes that it writes beside what is visible, it gets an open slot. That is
 * published when the picture is given out, and kept by a reference of ours until libavcodec, too, has done with it: it
 * predicts others from it for long after. Nothing here can fail: where there is no slot, or it does not fit, the
 * picture is made in ordinary memory and copied. So are the first of each size, which show libavcodec's own layout:
 * decoders want all pictures of a size with the same distance between rows, wherever they lie.
 *
 * What subscribers read must not change any more. Of the decoders in the list below, libavcodec writes a picture up to
 * its end and gives it out then; later it only reads it, to predict others:
 *   - borders are not drawn into pictures: where a vector points outside, the block is put together elsewhere;
 *   - with frame threads a thread gives its picture out after those before it did, and after it was done itself;
 *   - what is missing in a damaged picture is concealed at its end, and a missing reference is a new picture;
 *   - H.264 and MPEG-2 give out pictures of two fields with the second one.
 * There is one exception: where fields got lost, H.264 may give out one that came alone, and write the other one into
 * the picture if it comes after all. So H.264's pictures with fields are copied. Decoders that draw changes upon their
 * last picture (as of screen recordings) are not in the list; moreover the buffers are marked read-only, so that
 * libavcodec copies before it writes into one a second time.
 *
 * Threads  get_buffer() and end_buffer() come from any thread of the decoder, the rest from the job's worker. The lock
 *          comes before the job's. */
#include <string.h>

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include "common/av_compat.h"
#include "common/av_format.h"
#include "media.h"

#define TAIL 64 /* bytes behind each plane: what libavcodec allocates there itself are 16; keeps offsets aligned */

/* ---- how many ---- */

#define REFERENCES_MOST 16

/* The most pictures that H.264's decoder keeps at a level: its memory in macroblocks (table A-1, MaxDpbMbs). */
static uint32_t h264_pictures(const AVCodecContext *decoder) {
  static const struct {
    int level, macroblocks;
  } levels[] = { { 10, 396 },   { 11, 900 },   { 20, 2376 },  { 21, 4752 },   { 30, 8100 },   { 31, 18000 },
                 { 32, 20480 }, { 41, 32768 }, { 42, 34816 }, { 50, 110400 }, { 52, 184320 }, { 62, 696320 } };
  const int size = (decoder->width + 15) / 16 * ((decoder->height + 15) / 16);
  for (size_t i = 0; size > 0 && decoder->level > 0 && i < sizeof levels / sizeof *levels; i++)
    if (decoder->level <= levels[i].level)
      return (uint32_t)FFMIN(FFMAX(levels[i].macroblocks / size, 1), REFERENCES_MOST);
  return REFERENCES_MOST;
}

/* Likewise of HEVC (A.4.1 and table A-1, MaxLumaPs; levels are counted in thirtieths). */
static uint32_t hevc_pictures(const AVCodecContext *decoder) {
  static const struct {
    int level;
    int64_t samples;
  } levels[] = { { 30, 36864 },  { 60, 122880 },   { 63, 245760 },   { 90, 552960 },
                 { 93, 983040 }, { 123, 2228224 }, { 156, 8912896 }, { 186, 35651584 } };
  const int64_t size = (int64_t)decoder->width * decoder->height;
  for (size_t i = 0; size > 0 && decoder->level > 0 && i < sizeof levels / sizeof *levels; i++)
    if (decoder->level <= levels[i].level)
      return size <= levels[i].samples / 4       ? REFERENCES_MOST
             : size <= levels[i].samples / 2     ? 12
             : size <= levels[i].samples / 4 * 3 ? 8
                                                 : 6;
  return REFERENCES_MOST;
}

/* Pictures that the decoder keeps to predict others from, or to reorder them; 0: it may write into what it gave out. */
static uint32_t pictures_of(const AVCodecContext *decoder) {
  switch (decoder->codec_id) {
    case AV_CODEC_ID_H264: return h264_pictures(decoder) + (uint32_t)FFMAX(decoder->has_b_frames, 0);
    case AV_CODEC_ID_HEVC: return hevc_pictures(decoder);
    case AV_CODEC_ID_VP9: return 8;
    case AV_CODEC_ID_VP8: return 4;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
    case AV_CODEC_ID_MPEG4: return 3;
    case AV_CODEC_ID_MJPEG: return 1;
    default: return 0;
  }
}

/* ---- layout ---- */

/* Bytes of each plane and from row to row as libavcodec allocates them (get_buffer.c: update_frame_pool) for pictures
 * of this coded size. False: of this format there is nothing to know. */
static bool needs_of(AVCodecContext *decoder, enum AVPixelFormat format, int width, int height, int pitch[4],
                     uint64_t bytes[4]) {
  const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
  int align[AV_NUM_DATA_POINTERS], unaligned;
  if (d == NULL || (d->flags & (AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_PAL)))
    return false;
  avcodec_align_dimensions2(decoder, &width, &height, align);
  do { /* one width for all planes, at which every row is aligned */
    if (av_image_fill_linesizes(pitch, format, width) < 0)
      return false;
    width += width & ~(width - 1);
    unaligned = 0;
    for (int i = 0; i < 4; i++)
      unaligned |= align[i] > 0 ? pitch[i] % align[i] : 0;
  } while (unaligned);
  for (int i = 0; i < 4; i++) {
    const int shift = i == 1 || i == 2 ? d->log2_chroma_h : 0;
    bytes[i] = (uint64_t)pitch[i] * (uint64_t)AV_CEIL_RSHIFT(height, shift);
  }
  return true;
}

/* The coded size, which is that of the buffers, where the decoder knows it by now. */
static int coded(int visible, int decoded) {
  return decoded > visible ? decoded : visible;
}

void media_slots_layout(media *m, enum AVPixelFormat from, cuframes_format *format) {
  int pitch[4];
  uint64_t bytes[4], end = 0, at = 0;
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  if (m->slots.most == 0 || m->decoder == NULL || av_format_plain(from) != av_format_of(format->pixel_format) ||
      m->decoder->pix_fmt != from ||
      !needs_of(m->decoder, from, coded((int)format->width, m->decoder->coded_width),
                coded((int)format->height, m->decoder->coded_height), pitch, bytes))
    return;
  for (int i = 0; i < planes; i++) {
    const int plane = av_format_plane(format->pixel_format, i);
    uint32_t rows = 0;
    format->pitch[i] = (uint32_t)pitch[plane];
    format->offset[i] = at;
    if (cuframes_format_plane_size(format, i, NULL, &rows) < 0)
      return; /* and who uses the format will say so */
    end = at + (uint64_t)format->pitch[i] * rows;
    at += (bytes[plane] + TAIL + TAIL - 1) / TAIL * TAIL;
  }
  format->padding = (uint32_t)(at - end);
}

void media_slots_change(media *m, const cuframes_format *format) {
  pthread_mutex_lock(&m->slots.lock);
  m->slots.generation++;
  m->slots.ready = format != NULL && m->slots.most > 0 && format->padding > 0 && !publish_job_on_gpu(m->job);
  if (m->slots.ready)
    m->slots.format = *format;
  pthread_mutex_unlock(&m->slots.lock);
}

/* With the lock held: whether the buffer that is asked for may be a slot. */
static bool fits(media_slots *s, AVCodecContext *decoder, const AVFrame *frame) {
  int pitch[4];
  uint64_t bytes[4];
  const cuframes_format *f = &s->format;
  if (!s->ready || frame->format != s->known_format || frame->width != s->known_width ||
      frame->height != s->known_height || av_format_plain(frame->format) != av_format_of(f->pixel_format) ||
      !needs_of(decoder, frame->format, frame->width, frame->height, pitch, bytes))
    return false;
  const int planes = cuframes_pixel_format_planes(f->pixel_format);
  for (int i = 0; i < planes; i++) {
    const int plane = av_format_plane(f->pixel_format, i);
    uint32_t rows = 0;
    (void)cuframes_format_plane_size(f, i, NULL, &rows); /* it is in use, and so is good */
    const uint64_t end = i + 1 < planes ? f->offset[i + 1] : f->offset[i] + (uint64_t)f->pitch[i] * rows + f->padding;
    if (f->pitch[i] != (uint32_t)pitch[plane] || f->pitch[i] != (uint32_t)s->known_pitch[plane] ||
        f->offset[i] + bytes[plane] + TAIL > end)
      return false;
  }
  return true;
}

/* ---- what libavcodec calls ---- */

/* With its last user in libavcodec, and after we took the picture from it. */
static void end_buffer(void *opaque, uint8_t *data) {
  media_slot *slot = opaque;
  media *m = slot->owner;
  (void)data;
  pthread_mutex_lock(&m->slots.lock);
  publish_job_take_back(m->job, slot->frame, !slot->taken);
  slot->frame = NULL;
  pthread_mutex_unlock(&m->slots.lock);
}

/* With the lock held: an open slot as the buffer of the frame. */
static bool lend(media *m, media_slot *slot, AVFrame *frame) {
  const cuframes_format *f = &m->slots.format;
  const int planes = cuframes_pixel_format_planes(f->pixel_format);
  uint32_t rows = 0;
  slot->frame = publish_job_lend(m->job);
  if (slot->frame == NULL)
    return false;
  (void)cuframes_format_plane_size(f, planes - 1, NULL, &rows); /* as above */
  const size_t size = f->offset[planes - 1] + (size_t)f->pitch[planes - 1] * rows + f->padding;
  frame->buf[0] = av_buffer_create(cuframes_frame_plane(slot->frame, 0), size, end_buffer, slot,
                                   AV_BUFFER_FLAG_READONLY /* whoever would write into it again: copy it */);
  if (frame->buf[0] == NULL) {
    publish_job_take_back(m->job, slot->frame, true);
    slot->frame = NULL;
    return false;
  }
  for (int i = 0; i < planes; i++) {
    const int plane = av_format_plane(f->pixel_format, i);
    frame->data[plane] = cuframes_frame_plane(slot->frame, i);
    frame->linesize[plane] = (int)f->pitch[i];
  }
  frame->extended_data = frame->data;
  slot->owner = m;
  slot->taken = false;
  slot->generation = m->slots.generation;
  return true;
}

static int get_buffer(AVCodecContext *decoder, AVFrame *frame, int flags) {
  media *m = decoder->opaque;
  media_slots *s = &m->slots;
  bool lent = false;
  pthread_mutex_lock(&s->lock);
  if (fits(s, decoder, frame)) {
    uint32_t free = 0;
    while (free < s->most && s->slot[free].frame != NULL)
      free++;
    lent = free < s->most && lend(m, &s->slot[free], frame);
  }
  pthread_mutex_unlock(&s->lock);
  if (lent)
    return 0;
  const int error = avcodec_default_get_buffer2(decoder, frame, flags);
  pthread_mutex_lock(&s->lock);
  if (error == 0) {
    s->known_format = frame->format;
    s->known_width = frame->width;
    s->known_height = frame->height;
    memcpy(s->known_pitch, frame->linesize, sizeof s->known_pitch);
  }
  pthread_mutex_unlock(&s->lock);
  return error;
}

/* ---- what the worker calls ---- */

bool media_slots_init(media *m) {
  m->slots.known_format = AV_PIX_FMT_NONE;
  return pthread_mutex_init(&m->slots.lock, NULL) == 0;
}

void media_slots_free(media *m) {
  pthread_mutex_destroy(&m->slots.lock);
}

void media_slots_decoder(media *m, const AVCodec *codec, AVCodecContext *decoder) {
  const bool can = (codec->capabilities & AV_CODEC_CAP_DR1) && m->job->gpu == NULL && !m->job->options->decode_copy &&
                   decoder->hw_device_ctx == NULL;
  const uint32_t pictures = can ? pictures_of(decoder) : 0;
  /* And the one that was given out, and each thread's; with more than that, some are copied. */
  uint32_t most = pictures > 0 ? pictures + 1 + (uint32_t)decoder->thread_count : 0;
  most = most < MEDIA_SLOTS_MAX ? most : MEDIA_SLOTS_MAX;
  if (!m->job->has_format)
    m->job->decoder_slots = most;
  m->slots.most = most < m->job->decoder_slots ? most : m->job->decoder_slots;
  if (m->slots.most > 0) {
    decoder->get_buffer2 = get_buffer;
    av_compat_callbacks_are_thread_safe(decoder);
  }
}

/* Whether libavcodec may still write into a picture that it gave out. */
static bool may_change(const AVCodecContext *decoder, const AVFrame *frame) {
  return decoder->codec_id == AV_CODEC_ID_H264 && av_compat_is_interlaced(frame);
}

cuframes_frame *media_slots_take(media *m, const AVFrame *frame) {
  media_slots *s = &m->slots;
  const cuframes_format *f = &s->format;
  cuframes_frame *taken = NULL;
  pthread_mutex_lock(&s->lock);
  media_slot *slot = NULL;
  for (uint32_t i = 0; i < MEDIA_SLOTS_MAX && slot == NULL && frame->buf[0] != NULL; i++)
    slot = av_buffer_get_opaque(frame->buf[0]) == &s->slot[i] ? &s->slot[i] : NULL;
  /* Of an older format, cut on the left or above, or given out a second time: to be copied. */
  bool whole =
      slot != NULL && s->ready && !slot->taken && slot->generation == s->generation && !may_change(m->decoder, frame);
  for (int i = 0; whole && i < cuframes_pixel_format_planes(f->pixel_format); i++) {
    const int plane = av_format_plane(f->pixel_format, i);
    whole = frame->data[plane] == cuframes_frame_plane(slot->frame, i) && frame->linesize[plane] == (int)f->pitch[i];
  }
  if (whole) {
    slot->taken = true;
    taken = slot->frame;
  }
  pthread_mutex_unlock(&s->lock);
  return taken;
}
