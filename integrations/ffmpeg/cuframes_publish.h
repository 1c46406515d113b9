/* cuframes_publish.h - frames of FFmpeg into a stream: what the filter and the muxer do alike.
 *
 * One copy per frame: on the GPU and on the frame's own CUDA stream where the frame is there, else by the CPU. The
 * patch puts it into libavutil/. */
#ifndef AVUTIL_CUFRAMES_PUBLISH_H
#define AVUTIL_CUFRAMES_PUBLISH_H

#include "libavutil/avstring.h"
#include "libavutil/cuframes_av.h"
#include "libavutil/imgutils.h"
#include "libavutil/opt.h"
#include "libavutil/time.h"

/* So many progressive frames behind each other, and a film that had fields has them no more: the format must not change
 * with each frame. So many keyframes without an orientation, and there is none any more. */
#define CF_AV_PROGRESSIVE_RUN 25
#define CF_AV_KEYS_WITHOUT 2
#define CF_AV_TAIL 64        /* bytes that FFmpeg's vector code may read behind a plane */
#define CF_AV_CUDA_PITCH 512 /* as FFmpeg lays out its own CUDA frames: textures and NVENC take the slots, too */

enum cf_av_change { CF_AV_CHANGE_FOLLOW, CF_AV_CHANGE_FAIL };

typedef struct cf_av_publish_options {
  char *directory, *description;
  int slots, max_slots, policy, reserve, change, side_data;
  int64_t timeout; /* microseconds, as FFmpeg's durations are */
  int wait_subscribers;
  int64_t wait_timeout;
  cuframes_interrupt_fn interrupt; /* whether to give up what waits for readers: FFmpeg's callback, or NULL */
  void *interrupt_user;
} cf_av_publish_options;

/* The options of both, as fields of TYPE.options. */
/* clang-format off */
#define CF_AV_PUBLISH_OPTIONS(TYPE, FLAGS)                                                                             \
  { "dir", "runtime directory; default: as for all of cuframes", offsetof(TYPE, options.directory),                    \
    AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },                                                                \
  { "description", "where the pictures come from, for `cuframes list`", offsetof(TYPE, options.description),           \
    AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },                                                                \
  { "slots", "frames to allocate at first; 0: 6", offsetof(TYPE, options.slots), AV_OPT_TYPE_INT, { .i64 = 0 }, 0,     \
    1024, FLAGS },                                                                                                     \
  { "max_slots", "up to which that grows; 0: 1024", offsetof(TYPE, options.max_slots), AV_OPT_TYPE_INT,                \
    { .i64 = 0 }, 0, 1024, FLAGS },                                                                                    \
  { "reserve", "slots for all that subscribers may hold before they are let in", offsetof(TYPE, options.reserve),      \
    AV_OPT_TYPE_BOOL, { .i64 = 0 }, 0, 1, FLAGS },                                                                     \
  { "policy", "for an ordered subscriber that is too slow", offsetof(TYPE, options.policy), AV_OPT_TYPE_INT,           \
    { .i64 = CUFRAMES_POLICY_WAIT }, CUFRAMES_POLICY_WAIT, CUFRAMES_POLICY_DROP, FLAGS, .unit = "policy" },            \
  { "wait", "wait `timeout` for it, then evict it", 0, AV_OPT_TYPE_CONST, { .i64 = CUFRAMES_POLICY_WAIT }, 0, 0,       \
    FLAGS, .unit = "policy" },                                                                                         \
  { "drop", "drop the frame for everybody", 0, AV_OPT_TYPE_CONST, { .i64 = CUFRAMES_POLICY_DROP }, 0, 0, FLAGS,        \
    .unit = "policy" },                                                                                                \
  { "timeout", "how long an ordered subscriber is waited for", offsetof(TYPE, options.timeout),                        \
    AV_OPT_TYPE_DURATION, { .i64 = 1000000 }, 1, INT64_MAX / 2000, FLAGS },                                            \
  { "wait_subscribers", "before the first frame, wait until so many have joined",                                      \
    offsetof(TYPE, options.wait_subscribers), AV_OPT_TYPE_INT, { .i64 = 0 }, 0, 256, FLAGS },                          \
  { "wait_timeout", "how long at most; then it goes on without them", offsetof(TYPE, options.wait_timeout),            \
    AV_OPT_TYPE_DURATION, { .i64 = 10000000 }, 0, INT64_MAX / 2000, FLAGS },                                           \
  { "change", "when pictures become other ones: size, pixel format, GPU", offsetof(TYPE, options.change),              \
    AV_OPT_TYPE_INT, { .i64 = CF_AV_CHANGE_FOLLOW }, CF_AV_CHANGE_FOLLOW, CF_AV_CHANGE_FAIL, FLAGS,                    \
    .unit = "change" },                                                                                                \
  { "follow", "the stream changes with them", 0, AV_OPT_TYPE_CONST, { .i64 = CF_AV_CHANGE_FOLLOW }, 0, 0, FLAGS,       \
    .unit = "change" },                                                                                                \
  { "fail", "it is an error", 0, AV_OPT_TYPE_CONST, { .i64 = CF_AV_CHANGE_FAIL }, 0, 0, FLAGS, .unit = "change" },     \
  { "side_data", "bytes of side data that a frame has room for", offsetof(TYPE, options.side_data),                    \
    AV_OPT_TYPE_INT, { .i64 = 4096 }, 0, CUFRAMES_SIDE_DATA_MAX, FLAGS }
/* clang-format on */

typedef struct cf_av_publisher {
  cuframes_publisher *publisher; /* NULL: not opened yet */
  char name[CUFRAMES_NAME_MAX + 1];
  cuframes_format format;  /* of the publisher, without a layout; width 0: none yet */
  AVBufferRef *device_ref; /* the CUDA device of its frames, NULL on the host */
  uint8_t field_order, orientation;
  unsigned progressive_run, keys_without;
  bool waited, side_said;
  uint64_t frames, dropped;
} cf_av_publisher;

/* ---- what a frame looks like ---- */

static av_unused AVHWFramesContext *cf_av_frames(AVBufferRef *ref) {
  return ref ? (AVHWFramesContext *)(void *)ref->data : NULL;
}

static av_unused uint8_t cf_av_next_fields(cf_av_publisher *p, const AVFrame *f) {
  const uint8_t order = cf_av_fields(f);
  if (order != CUFRAMES_FIELDS_NOT_SAID)
    p->progressive_run = 0;
  else if (p->field_order != CUFRAMES_FIELDS_NOT_SAID && p->field_order != CUFRAMES_FIELDS_PROGRESSIVE) {
    if (++p->progressive_run < CF_AV_PROGRESSIVE_RUN)
      return p->field_order;
    return p->field_order = CUFRAMES_FIELDS_PROGRESSIVE;
  } else {
    return p->field_order;
  }
  return p->field_order = order;
}

static av_unused uint8_t cf_av_next_orientation(cf_av_publisher *p, const AVFrame *f) {
  const AVFrameSideData *matrix = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
  if (matrix && matrix->size >= CF_AV_MATRIX_BYTES) {
    p->orientation = cf_av_orientation((const int32_t *)(const void *)matrix->data);
    p->keys_without = 0;
  } else if (cf_av_is_key(f) && ++p->keys_without > CF_AV_KEYS_WITHOUT) {
    p->keys_without = CF_AV_KEYS_WITHOUT;
    p->orientation = CUFRAMES_ORIENTATION_NOT_SAID;
  }
  return p->orientation;
}

/* Fills pixel format and size of what lies in frames of this kind; false: cuframes has none like it, which was said. */
static av_unused bool cf_av_picture(void *log, int format, AVBufferRef *frames, int width, int height,
                                    cuframes_format *to) {
  const enum AVPixelFormat plain =
      format == AV_PIX_FMT_CUDA && frames ? cf_av_frames(frames)->sw_format : (enum AVPixelFormat)format;
  const cf_av_pixel *pixel = cf_av_pixel_of(plain);
  const char *name = av_get_pix_fmt_name(plain);
  if (!pixel) {
    av_log(log, AV_LOG_ERROR, "Pixel format %s cannot be shared; convert it before, for example by format=nv12\n",
           name ? name : "unknown");
    return false;
  }
  *to = (cuframes_format){ .pixel_format = pixel->ours, .width = (uint32_t)width, .height = (uint32_t)height };
  if (pixel->full)
    to->color.range = AVCOL_RANGE_JPEG;
  return true;
}

static av_unused bool cf_av_describe(void *log, cf_av_publisher *p, const AVFrame *f, cuframes_format *to) {
  if (!cf_av_picture(log, f->format, f->hw_frames_ctx, f->width, f->height, to))
    return false;
  const uint8_t range = to->color.range;
  to->color = cf_av_color(f->colorspace, f->color_range, f->color_primaries, f->color_trc);
  if (range)
    to->color.range = range;
  to->chroma_location = cf_av_chroma(f->chroma_location);
  to->field_order = cf_av_next_fields(p, f);
  to->orientation = cf_av_next_orientation(p, f);
  if (f->sample_aspect_ratio.num > 0 && f->sample_aspect_ratio.den > 0) {
    to->sample_aspect_num = (uint32_t)f->sample_aspect_ratio.num;
    to->sample_aspect_den = (uint32_t)f->sample_aspect_ratio.den;
  }
  return true;
}

/* ---- the publisher ---- */

static av_unused void cf_av_publish_close(cf_av_publisher *p) {
  cuframes_publisher_destroy(p->publisher);
  av_buffer_unref(&p->device_ref);
  *p = (cf_av_publisher){ 0 };
}

/* Layout for the memory it goes to. */
static av_unused cuframes_format cf_av_laid_out(const cf_av_publisher *p, const cuframes_format *format) {
  cuframes_format to = *format;
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  if (!p->device_ref) {
    to.padding = CF_AV_TAIL;
    return to;
  }
  for (int i = 0; i < planes; i++) {
    uint32_t row = 0;
    if (cuframes_format_plane_size(format, i, &row, NULL) == CUFRAMES_OK)
      to.pitch[i] = FFALIGN(row, CF_AV_CUDA_PITCH);
  }
  return to;
}

/* Makes the publisher. `device_ref`: of the frames' CUDA device, or NULL. The library takes the CUDA context that is
 * current, and has the GPU copy in it. */
static av_unused int cf_av_publish_open(void *log, cf_av_publisher *p, const char *name, const cf_av_publish_options *o,
                                        const cuframes_format *format, AVBufferRef *device_ref,
                                        const cuframes_packet_ring_options *packets) {
  int error;
  if (device_ref && !(p->device_ref = av_buffer_ref(device_ref)))
    return AVERROR(ENOMEM);
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .policy = (uint32_t)o->policy,
    .directory = o->directory,
    .device = device_ref ? "cuda" : "host",
    .description = o->description ? o->description : "FFmpeg",
    .slots = (uint32_t)o->slots,
    .max_slots = (uint32_t)o->max_slots,
    .ordered_timeout_ns = o->timeout * 1000,
    .side_data_max = (uint32_t)o->side_data,
    .packets = packets,
    .log = cf_av_log,
    .reserve = o->reserve ? CUFRAMES_RESERVE_FULL : CUFRAMES_RESERVE_NEED,
    .interrupt = o->interrupt,
    .interrupt_user = o->interrupt_user,
  };
  if (format)
    options.format = cf_av_laid_out(p, format);
#if CONFIG_CUDA
  CudaFunctions *cu = NULL;
  if (device_ref && (error = cf_av_cuda_push(log, device_ref, &cu)) < 0) {
    av_buffer_unref(&p->device_ref);
    return error;
  }
#endif
  error = cuframes_publisher_create(name, &options, &p->publisher);
#if CONFIG_CUDA
  cf_av_cuda_pop(&cu);
#endif
  if (error != CUFRAMES_OK) {
    av_buffer_unref(&p->device_ref);
    return cf_av_fail(log, name, error);
  }
  av_strlcpy(p->name, name, sizeof p->name);
  p->format = format ? *format : (cuframes_format){ 0 };
  const char *reason = NULL;
  const char *device = cuframes_publisher_device(p->publisher, &reason);
  av_log(log, AV_LOG_VERBOSE, "publishing %s on %s\n", name, device);
  return 0;
}

/* When its tracks are described: of a live stream without one readers believe that there are no packets. */
static av_unused void cf_av_publish_live(cf_av_publisher *p) {
  const cuframes_source_info live = { .struct_size = sizeof live, .state = CUFRAMES_SOURCE_LIVE };
  (void)cuframes_publisher_set_source(p->publisher, &live); /* which cannot fail with this */
}

/* Whether frames of this device may go into the publisher. */
static av_unused bool cf_av_same_device(const cf_av_publisher *p, AVBufferRef *device_ref) {
  return (!p->device_ref && !device_ref) || (p->device_ref && device_ref && p->device_ref->data == device_ref->data);
}

/* The publisher in the format of the frame, changed where needed and allowed. */
static av_unused int cf_av_publish_format(void *log, cf_av_publisher *p, const cf_av_publish_options *o,
                                          const cuframes_format *format) {
  if (memcmp(format, &p->format, sizeof *format) == 0)
    return 0;
  const bool other = format->width != p->format.width || format->height != p->format.height ||
                     format->pixel_format != p->format.pixel_format;
  if (other && p->format.width && p->frames && o->change == CF_AV_CHANGE_FAIL) {
    av_log(log, AV_LOG_ERROR, "pictures of %s become %ux%u %s, and change=fail\n", p->name, format->width,
           format->height, cuframes_pixel_format_name(format->pixel_format));
    return AVERROR(EINVAL);
  }
  const cuframes_format laid_out = cf_av_laid_out(p, format);
  const int error = cuframes_publisher_set_format(p->publisher, &laid_out);
  if (error != CUFRAMES_OK)
    return cf_av_fail(log, p->name, error);
  p->format = *format;
  return 0;
}

/* At the end of the input: a subscriber that has yet to map memory that frames are in needs the publisher for it. So
 * this waits until ordered ones have taken every frame, and readers of packets every packet; as long as ordered ones
 * are waited for otherwise, too. */
static av_unused void cf_av_publish_drain(cf_av_publisher *p, const cf_av_publish_options *o) {
  if (p->publisher)
    (void)cuframes_publisher_drain(p->publisher, o->timeout * 1000); /* who has not taken all by then does without */
}

/* Before the first frame, in its format. */
static av_unused int cf_av_publish_wait(void *log, cf_av_publisher *p, const cf_av_publish_options *o) {
  if (p->waited || o->wait_subscribers == 0)
    return 0;
  p->waited = true;
  const int error =
      cuframes_publisher_wait_subscribers(p->publisher, (uint32_t)o->wait_subscribers, o->wait_timeout * 1000);
  if (error != CUFRAMES_OK && error != CUFRAMES_ERR_TIMEOUT)
    return cf_av_fail(log, p->name, error);
  if (error == CUFRAMES_ERR_TIMEOUT)
    av_log(log, AV_LOG_WARNING, "%s: fewer than %d subscribers have joined within wait_timeout; it goes on\n", p->name,
           o->wait_subscribers);
  return 0;
}

static av_unused int cf_av_add_side_data(cuframes_frame *slot, const AVFrameSideData *side) {
  switch (side->type) {
    case AV_FRAME_DATA_SEI_UNREGISTERED:
      return side->size < 16
                 ? 0
                 : cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_SEI_USER_DATA, side->data, side->size);
    case AV_FRAME_DATA_A53_CC:
      return side->size < 3
                 ? 0
                 : cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_A53_CAPTIONS, side->data, side->size);
    case AV_FRAME_DATA_MASTERING_DISPLAY_METADATA: {
      const cuframes_mastering_display display = cf_av_display((const void *)side->data);
      return cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_MASTERING_DISPLAY, &display, sizeof display);
    }
    case AV_FRAME_DATA_CONTENT_LIGHT_LEVEL: {
      const cuframes_content_light light = cf_av_light((const void *)side->data);
      return cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &light, sizeof light);
    }
    default: return 0;
  }
}

static av_unused int cf_av_copy(void *log, cf_av_publisher *p, const AVFrame *f, cuframes_frame *slot) {
  const cuframes_format *format = cuframes_frame_format(slot);
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  for (int i = 0; i < planes; i++) {
    const int from = cf_av_plane(format->pixel_format, i);
    uint32_t row = 0, rows = 0;
    int error = cuframes_format_plane_size(format, i, &row, &rows);
    if (error == CUFRAMES_OK && p->device_ref)
      error = cuframes_frame_copy_from_device(slot, i, f->data[from], (size_t)f->linesize[from],
                                              cf_av_stream(p->device_ref));
    else if (error == CUFRAMES_OK) /* rows of FFmpeg may run from the bottom to the top */
      av_image_copy_plane(cuframes_frame_plane(slot, i), (int)cuframes_frame_pitch(slot, i), f->data[from],
                          f->linesize[from], (int)row, (int)rows);
    if (error != CUFRAMES_OK)
      return cf_av_fail(log, "copying a frame", error);
  }
  for (int i = 0; i < f->nb_side_data && p->format.width; i++) {
    const int error = cf_av_add_side_data(slot, f->side_data[i]);
    if (error != CUFRAMES_OK && !p->side_said) {
      p->side_said = true;
      av_log(log, AV_LOG_WARNING, "side data left out: %s (see the option side_data)\n", cuframes_last_error());
    }
  }
  return 0;
}

/* Copies the frame and publishes it, with its times in ns. A frame for which there is no room is dropped, as the policy
 * says, and counted. The publisher must be open, and on the device of the frame. */
static av_unused int cf_av_publish(void *log, cf_av_publisher *p, const cf_av_publish_options *o, const AVFrame *f,
                                   int64_t pts, int64_t duration) {
  cuframes_format format;
  cuframes_frame *slot = NULL;
  if (!cf_av_describe(log, p, f, &format))
    return AVERROR(EINVAL);
  int result = cf_av_publish_format(log, p, o, &format);
  result = result < 0 ? result : cf_av_publish_wait(log, p, o);
  if (result < 0)
    return result;
  int error = cuframes_publisher_acquire(p->publisher, &slot);
  if (error == CUFRAMES_OK && (result = cf_av_copy(log, p, f, slot)) < 0) {
    (void)cuframes_publisher_cancel(p->publisher, slot); /* it is open */
    return result;
  }
  if (error == CUFRAMES_OK) {
    const AVDictionaryEntry *taken = av_dict_get(f->metadata, CF_AV_CAPTURE_KEY, NULL, 0);
    const bool corrupt = (f->flags & AV_FRAME_FLAG_CORRUPT) || f->decode_error_flags;
    const cuframes_publish_info info = {
      .struct_size = sizeof info,
      .flags = (cf_av_is_key(f) ? CUFRAMES_FRAME_KEY : 0u) | (corrupt ? CUFRAMES_FRAME_CORRUPT : 0u),
      .pts = pts,
      .duration = duration,
      .capture_time = taken ? strtoll(taken->value, NULL, 10) : CUFRAMES_NO_TIME,
    };
    error = cuframes_publisher_publish_on(p->publisher, slot, cf_av_stream(p->device_ref), &info);
    if (error == CUFRAMES_ERR_INTERRUPTED)
      (void)cuframes_publisher_cancel(p->publisher, slot); /* it is open still */
  }
  if (error == CUFRAMES_ERR_DROPPED) {
    if (p->dropped++ == 0)
      av_log(log, AV_LOG_WARNING, "%s: a frame was dropped, for want of a slot or by the policy\n", p->name);
    return 0;
  }
  if (error != CUFRAMES_OK)
    return cf_av_fail(log, p->name, error);
  p->frames++;
  return 0;
}

/* The sum, for whoever wants it. */
static av_unused void cf_av_publish_report(void *log, const cf_av_publisher *p) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  if (p->publisher && cuframes_publisher_get_stats(p->publisher, &stats) == CUFRAMES_OK)
    av_log(log, AV_LOG_VERBOSE,
           "%s: %" PRIu64 " frames, %" PRIu64 " dropped, %" PRIu64 " evictions, %" PRIu64 " packets\n", p->name,
           stats.frames, stats.dropped, stats.evictions, stats.packets);
}

static av_unused int64_t cf_av_ns(int64_t value, AVRational time_base) {
  return value == AV_NOPTS_VALUE ? CUFRAMES_NO_TIME : av_rescale_q(value, time_base, CF_AV_NS);
}

#endif
