/* cuframes_wrap.h - a frame of cuframes as one of FFmpeg, where it lies.
 *
 * Each is a lease until FFmpeg lets go of it, wherever it keeps it. A graph that keeps more than there are leases gets
 * copies from then on, so that nothing waits for itself. For the input device; the patch puts it into libavdevice/. */
#ifndef AVDEVICE_CUFRAMES_WRAP_H
#define AVDEVICE_CUFRAMES_WRAP_H

#include <pthread.h>

#include "libavutil/cuframes_av.h"
#include "libavutil/imgutils.h"
#include "libavutil/pixdesc.h"

#define PAGE 4096
#define TAIL 64            /* bytes that FFmpeg's vector code may read behind a plane */
#define CUDA_ALIGNMENT 512 /* of planes that textures are made of */

/* What leases need when the device has gone already. */
typedef struct Leases {
  pthread_mutex_t lock;
  pthread_cond_t came_back;
  int out;
} Leases;

typedef struct Lease {
  cuframes_frame *frame;
  AVBufferRef *leases;     /* of Leases */
  AVBufferRef *device_ref; /* NULL on the host */
  void *stream;
} Lease;

/* What a device needs to wrap its frames. */
typedef struct Wrapper {
  const char *name; /* of the stream */
  int max_leases;
  AVBufferRef *leases;     /* of Leases */
  AVBufferRef *device_ref; /* FFmpeg's CUDA device, NULL on the host */
  AVBufferRef *frames_ref; /* and the frames that come now */
  bool copies_said, layout_said;
} Wrapper;

/* ---- leases ---- */

static void free_leases(void *opaque, uint8_t *data) {
  Leases *leases = (Leases *)(void *)data;
  (void)opaque;
  pthread_mutex_destroy(&leases->lock);
  pthread_cond_destroy(&leases->came_back);
  av_free(leases);
}

static int make_leases(Wrapper *w) {
  Leases *leases = av_mallocz(sizeof *leases);
  if (!leases)
    return AVERROR(ENOMEM);
  pthread_mutex_init(&leases->lock, NULL);
  pthread_cond_init(&leases->came_back, NULL);
  w->leases = av_buffer_create((uint8_t *)leases, sizeof *leases, free_leases, NULL, 0);
  if (!w->leases)
    free_leases(NULL, (uint8_t *)leases);
  return w->leases ? 0 : AVERROR(ENOMEM);
}

static Leases *leases_of(AVBufferRef *ref) {
  return (Leases *)(void *)ref->data;
}

static int leases_out(Wrapper *w, int more) {
  Leases *leases = leases_of(w->leases);
  pthread_mutex_lock(&leases->lock);
  leases->out += more;
  const int out = leases->out;
  pthread_mutex_unlock(&leases->lock);
  return out;
}

/* With the last reference of a frame. What FFmpeg gave the GPU to do with it was put on the device's stream. */
static void give_back(void *opaque, uint8_t *data) {
  Lease *lease = opaque;
  Leases *leases = leases_of(lease->leases);
  (void)data;
  if (lease->device_ref)
    cuframes_frame_release_on(lease->frame, lease->stream);
  else
    cuframes_frame_release(lease->frame);
  pthread_mutex_lock(&leases->lock);
  leases->out--;
  pthread_cond_signal(&leases->came_back);
  pthread_mutex_unlock(&leases->lock);
  av_buffer_unref(&lease->leases);
  av_buffer_unref(&lease->device_ref);
  av_free(lease);
}

/* For so long, or until a lease comes back. Those that come back by a GPU stream do so unnoticed. */
static void wait_lease(Wrapper *w, int64_t ns) {
  Leases *leases = leases_of(w->leases);
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  const int64_t at = time.tv_nsec + FFMAX(ns, 0);
  time.tv_sec += at / CF_AV_SECOND;
  time.tv_nsec = at % CF_AV_SECOND;
  pthread_mutex_lock(&leases->lock);
  pthread_cond_timedwait(&leases->came_back, &leases->lock, &time);
  pthread_mutex_unlock(&leases->lock);
}

/* ---- a frame of cuframes as one of FFmpeg ---- */

static int add_side_data(AVFrame *f, uint32_t type, const void *data, size_t size) {
  AVFrameSideData *side;
  switch (type) {
    case CUFRAMES_SIDE_DATA_SEI_USER_DATA:
    case CUFRAMES_SIDE_DATA_A53_CAPTIONS:
      side = av_frame_new_side_data(
          f, type == CUFRAMES_SIDE_DATA_A53_CAPTIONS ? AV_FRAME_DATA_A53_CC : AV_FRAME_DATA_SEI_UNREGISTERED, size);
      if (!side)
        return AVERROR(ENOMEM);
      memcpy(side->data, data, size);
      return 0;
    case CUFRAMES_SIDE_DATA_MASTERING_DISPLAY: {
      AVMasteringDisplayMetadata *to =
          size >= sizeof(cuframes_mastering_display) ? av_mastering_display_metadata_create_side_data(f) : NULL;
      if (to)
        cf_av_display_back(data, to);
      return 0;
    }
    case CUFRAMES_SIDE_DATA_CONTENT_LIGHT: {
      const cuframes_content_light *light = data;
      AVContentLightMetadata *to = size >= sizeof *light ? av_content_light_metadata_create_side_data(f) : NULL;
      if (to) {
        to->MaxCLL = light->max_content;
        to->MaxFALL = light->max_average;
      }
      return 0;
    }
    default: return 0; /* of the application */
  }
}

/* What it says of itself. */
static int set_words(const cuframes_frame *frame, AVFrame *f) {
  const cuframes_format *format = cuframes_frame_format(frame);
  const int64_t taken = cuframes_frame_capture_time(frame);
  f->width = (int)format->width;
  f->height = (int)format->height;
  f->colorspace = cf_av_code_point_back(format->color.matrix);
  if (format->pixel_format == CUFRAMES_PIXEL_RGBP && !format->color.matrix)
    f->colorspace = AVCOL_SPC_RGB;
  f->color_range = format->color.range;
  f->color_primaries = cf_av_code_point_back(format->color.primaries);
  f->color_trc = cf_av_code_point_back(format->color.transfer);
  f->chroma_location = format->chroma_location;
  if (format->sample_aspect_num && format->sample_aspect_den)
    f->sample_aspect_ratio = av_make_q((int)format->sample_aspect_num, (int)format->sample_aspect_den);
  cf_av_set_fields(f, format->field_order);
  cf_av_set_key(f, (cuframes_frame_flags(frame) & CUFRAMES_FRAME_KEY) != 0);
  if (cuframes_frame_flags(frame) & CUFRAMES_FRAME_CORRUPT)
    f->flags |= AV_FRAME_FLAG_CORRUPT;
  f->pts = cuframes_frame_pts(frame);
  if (f->pts == CUFRAMES_NO_TIME)
    f->pts = cuframes_frame_timestamp(frame);
  cf_av_set_duration(f, cuframes_frame_duration(frame));
  if (format->orientation > CUFRAMES_ORIENTATION_TOP_LEFT) {
    AVFrameSideData *matrix = av_frame_new_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX, CF_AV_MATRIX_BYTES);
    if (!matrix)
      return AVERROR(ENOMEM);
    cf_av_matrix(format->orientation, format->width, format->height, (int32_t *)(void *)matrix->data);
  }
  if (taken != CUFRAMES_NO_TIME && av_dict_set_int(&f->metadata, CF_AV_CAPTURE_KEY, taken, 0) < 0)
    return AVERROR(ENOMEM);
  uint32_t type = 0;
  size_t size = 0;
  const void *data;
  for (uint32_t i = 0; (data = cuframes_frame_side_data_at(frame, i, &type, &size)) != NULL; i++) {
    const int result = add_side_data(f, type, data, size);
    if (result < 0)
      return result;
  }
  return 0;
}

/* Hardware frames context for frames of this kind; a new one when they change. */
static int gpu_frames(Wrapper *w, const AVFrame *f, enum AVPixelFormat format) {
  AVHWFramesContext *frames = w->frames_ref ? (AVHWFramesContext *)(void *)w->frames_ref->data : NULL;
  if (frames && frames->sw_format == format && frames->width == f->width && frames->height == f->height)
    return 0;
  av_buffer_unref(&w->frames_ref);
  w->frames_ref = av_hwframe_ctx_alloc(w->device_ref);
  if (!w->frames_ref)
    return AVERROR(ENOMEM);
  frames = (AVHWFramesContext *)(void *)w->frames_ref->data;
  frames->format = AV_PIX_FMT_CUDA;
  frames->sw_format = format;
  frames->width = f->width;
  frames->height = f->height;
  return av_hwframe_ctx_init(w->frames_ref);
}

/* Whether FFmpeg may use the planes as they lie. NVENC takes chroma for being right behind luma, and V before U;
 * textures want planes aligned; vector code reads a little behind the end, where another mapping, or none, may be. */
static bool usable_in_place(const cuframes_format *format, const AVFrame *f, bool on_gpu) {
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  uintptr_t end = 0;
  for (int i = 0; i < planes; i++) {
    const uintptr_t at = (uintptr_t)f->data[cf_av_plane(format->pixel_format, i)];
    uint32_t rows = 0;
    (void)cuframes_format_plane_size(format, i, NULL, &rows); /* of a frame in hand it is good */
    if (on_gpu && ((i > 0 && at != end) || at % CUDA_ALIGNMENT != 0))
      return false;
    const uintptr_t plane_end = at + (uintptr_t)format->pitch[i] * rows;
    end = on_gpu ? plane_end : FFMAX(end, plane_end);
  }
  if (on_gpu)
    return format->pixel_format != CUFRAMES_PIXEL_YUV420P;
  return end % PAGE != 0 && PAGE - end % PAGE >= TAIL;
}

/* Replaces the frame, which is a lease, by a copy. */
static int copy_frame(void *log, Wrapper *w, AVFrame **frame) {
  AVFrame *copy = av_frame_alloc();
  int result = copy ? 0 : AVERROR(ENOMEM);
  if (result >= 0 && w->device_ref) {
    result = av_hwframe_get_buffer(w->frames_ref, copy, 0);
    result = result < 0 ? result : av_hwframe_transfer_data(copy, *frame, 0);
  } else if (result >= 0) {
    copy->format = (*frame)->format;
    copy->width = (*frame)->width;
    copy->height = (*frame)->height;
    result = av_frame_get_buffer(copy, 0);
    result = result < 0 ? result : av_frame_copy(copy, *frame);
  }
  result = result < 0 ? result : av_frame_copy_props(copy, *frame);
  if (result < 0) {
    av_log(log, AV_LOG_ERROR, "copying a frame: %s\n", av_err2str(result));
    av_frame_free(&copy);
    return result;
  }
  av_frame_free(frame);
  *frame = copy;
  return 0;
}

/* The planes of the frame in hand, whose lease goes with *f. The frame is given back whatever happens. */
static int wrap_planes(Wrapper *w, cuframes_frame *frame, AVFrame *f) {
  const cuframes_format *format = cuframes_frame_format(frame);
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  Lease *lease = av_mallocz(sizeof *lease);
  uint8_t *base = cuframes_frame_plane(frame, 0);
  uint64_t bytes = 0;
  for (int i = 0; i < planes; i++) {
    const int to = cf_av_plane(format->pixel_format, i);
    uint32_t rows = 0;
    (void)cuframes_format_plane_size(format, i, NULL, &rows);
    f->data[to] = cuframes_frame_plane(frame, i);
    f->linesize[to] = (int)cuframes_frame_pitch(frame, i);
    base = FFMIN(base, f->data[to]);
    bytes = FFMAX(bytes, format->offset[i] + (uint64_t)format->pitch[i] * rows);
  }
  if (lease) {
    lease->frame = frame;
    lease->leases = av_buffer_ref(w->leases);
    lease->device_ref = w->device_ref ? av_buffer_ref(w->device_ref) : NULL;
    lease->stream = cf_av_stream(w->device_ref);
  }
  if (lease && lease->leases && (!w->device_ref || lease->device_ref))
    f->buf[0] = av_buffer_create(base, bytes, give_back, lease, AV_BUFFER_FLAG_READONLY);
  if (f->buf[0]) {
    (void)leases_out(w, 1);
    return 0;
  }
  if (lease) {
    av_buffer_unref(&lease->leases);
    av_buffer_unref(&lease->device_ref);
  }
  av_free(lease);
  cuframes_frame_release(frame);
  return AVERROR(ENOMEM);
}

static int wrap(void *log, Wrapper *w, cuframes_frame *frame, AVFrame **wrapped) {
  const cuframes_format format = *cuframes_frame_format(frame);
  const enum AVPixelFormat plain = cf_av_pixel_format(format.pixel_format);
  AVFrame *f = av_frame_alloc();
  int result = f ? set_words(frame, f) : AVERROR(ENOMEM);
  if (result >= 0 && plain == AV_PIX_FMT_NONE) {
    av_log(log, AV_LOG_ERROR, "%s: FFmpeg has no pictures of format %s\n", w->name,
           cuframes_pixel_format_name(format.pixel_format));
    result = AVERROR(ENOSYS);
  }
  if (result >= 0 && w->device_ref)
    result = gpu_frames(w, f, plain);
  if (result >= 0 && w->device_ref && !(f->hw_frames_ctx = av_buffer_ref(w->frames_ref)))
    result = AVERROR(ENOMEM);
  if (result < 0) {
    cuframes_frame_release(frame);
    av_frame_free(&f);
    return result;
  }
  f->format = w->device_ref ? AV_PIX_FMT_CUDA : plain;
  result = wrap_planes(w, frame, f);
  const bool last = result >= 0 && leases_out(w, 0) >= w->max_leases;
  const bool odd = result >= 0 && !usable_in_place(&format, f, w->device_ref != NULL);
  if (last && !w->copies_said) {
    w->copies_said = true;
    av_log(log, AV_LOG_WARNING,
           "%s: %d frames are kept, which are all leases but one; more are copied (see the option "
           "leases)\n",
           w->name, w->max_leases - 1);
  }
  if (odd && !w->layout_said) {
    w->layout_said = true;
    av_log(log, AV_LOG_VERBOSE, "%s: FFmpeg cannot use the frames as they lie; they are copied\n", w->name);
  }
  if (last || odd)
    result = copy_frame(log, w, &f);
  if (result < 0)
    av_frame_free(&f);
  *wrapped = f;
  return result;
}

#endif
