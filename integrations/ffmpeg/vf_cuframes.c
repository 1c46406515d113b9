/* vf_cuframes.c - video filter `cuframes`: publishes each frame that passes, and passes it on.
 *
 * Frames in software are copied by the CPU, CUDA frames by the GPU, on the stream that made them.
 *
 * FFmpeg makes a filter graph anew when its input changes: the filters of the old one go, without an end of stream, and
 * new ones of the same names come. The stream must live through that. So a filter that goes without having seen the end
 * leaves its publisher for the next one of that name, for a short time (option `keep`). */
#include <pthread.h>

#include "avfilter.h"
#include "filters.h"
#include "version.h"
#if LIBAVFILTER_VERSION_MAJOR < 10
#include "internal.h"
#endif
#include "libavutil/avstring.h"
#include "libavutil/cuframes_publish.h"
#include "libavutil/pixdesc.h"

/* FFFilter came with FFmpeg 8, FilterLink with 7.1. */
#if LIBAVFILTER_VERSION_MAJOR >= 11
#define FILTER_TYPE FFFilter
#define FILTER_PUBLIC(field) .p.field
#else
#define FILTER_TYPE AVFilter
#define FILTER_PUBLIC(field) .field
#endif
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(10, 4, 100)
#define LINK(link) ff_filter_link(link)
#else
#define LINK(link) (link)
#endif

typedef struct CuframesContext {
  const AVClass *class;
  char *name;
  cf_av_publish_options options;
  int64_t keep; /* microseconds */
  cf_av_publisher publisher;
  bool ended;
} CuframesContext;

/* ---- publishers between two graphs ---- */

typedef struct Left {
  cf_av_publisher publisher;
  char *directory;
  int64_t until;
  struct Left *next;
} Left;

static pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left_came = PTHREAD_COND_INITIALIZER;
static Left *left_list;
static bool left_watched;

static void left_free(Left *left) {
  cf_av_publish_close(&left->publisher);
  av_freep(&left->directory);
  av_free(left);
}

/* With the lock held: unlinks the first one whose time has come, or says when that of the next one does. */
static Left *left_due(int64_t now, int64_t *next) {
  *next = INT64_MAX;
  for (Left **at = &left_list; *at; at = &(*at)->next) {
    Left *left = *at;
    if (left->until <= now) {
      *at = left->next;
      return left;
    }
    *next = FFMIN(*next, left->until);
  }
  return NULL;
}

/* Ends what nobody takes. It lives while there is something. */
static void *left_watch(void *unused) {
  pthread_mutex_lock(&left_lock);
  while (left_list) {
    int64_t next;
    Left *left = left_due(cuframes_now(), &next);
    if (left) {
      pthread_mutex_unlock(&left_lock);
      left_free(left);
      pthread_mutex_lock(&left_lock);
      continue;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    const int64_t at = until.tv_nsec + FFMAX(next - cuframes_now(), 0);
    until.tv_sec += at / CF_AV_SECOND;
    until.tv_nsec = at % CF_AV_SECOND;
    pthread_cond_timedwait(&left_came, &left_lock, &until);
  }
  left_watched = false;
  pthread_mutex_unlock(&left_lock);
  return unused;
}

static bool same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static void left_put(CuframesContext *s) {
  Left *left = av_mallocz(sizeof *left);
  pthread_t thread;
  if (left && s->options.directory && !(left->directory = av_strdup(s->options.directory)))
    av_freep(&left);
  if (!left) {
    cf_av_publish_close(&s->publisher);
    return;
  }
  left->publisher = s->publisher;
  left->until = cuframes_now() + s->keep * 1000;
  s->publisher = (cf_av_publisher){ 0 };
  pthread_mutex_lock(&left_lock);
  left->next = left_list;
  left_list = left;
  if (!left_watched && pthread_create(&thread, NULL, left_watch, NULL) == 0) {
    left_watched = true;
    pthread_detach(thread);
  }
  pthread_cond_signal(&left_came);
  pthread_mutex_unlock(&left_lock);
}

static bool left_take(CuframesContext *s) {
  Left *found = NULL;
  pthread_mutex_lock(&left_lock);
  for (Left **at = &left_list; *at && !found; at = &(*at)->next)
    if (!strcmp((*at)->publisher.name, s->name) && same_text((*at)->directory, s->options.directory)) {
      found = *at;
      *at = found->next;
      break;
    }
  pthread_mutex_unlock(&left_lock);
  if (!found)
    return false;
  s->publisher = found->publisher;
  found->publisher = (cf_av_publisher){ 0 };
  left_free(found);
  return true;
}

/* A program that ends leaves no file of a stream behind. */
static void __attribute__((destructor)) left_end(void) {
  pthread_mutex_lock(&left_lock);
  Left *left = left_list;
  left_list = NULL;
  pthread_mutex_unlock(&left_lock);
  while (left) {
    Left *next = left->next;
    left_free(left);
    left = next;
  }
}

/* ---- the filter ---- */

static av_cold int init(AVFilterContext *ctx) {
  CuframesContext *s = ctx->priv;
  if (!s->name || !*s->name) {
    av_log(ctx, AV_LOG_ERROR, "under which name? cuframes=NAME\n");
    return AVERROR(EINVAL);
  }
  return 0;
}

static av_cold void uninit(AVFilterContext *ctx) {
  CuframesContext *s = ctx->priv;
  if (!s->publisher.publisher)
    return;
  cf_av_publish_report(ctx, &s->publisher);
  if (s->ended || s->keep == 0)
    cf_av_publish_close(&s->publisher);
  else
    left_put(s);
}

/* The publisher for frames of this link: one that was left, if it is on the same device; else a new one. A name that is
 * in use is an error before any frame. */
static int config_input(AVFilterLink *link) {
  AVFilterContext *ctx = link->dst;
  CuframesContext *s = ctx->priv;
  AVBufferRef *frames = LINK(link)->hw_frames_ctx;
  AVBufferRef *device_ref = frames ? cf_av_frames(frames)->device_ref : NULL;
  cuframes_format format;
  if (link->format == AV_PIX_FMT_CUDA && !frames) {
    av_log(ctx, AV_LOG_ERROR, "CUDA frames come without a hardware frames context\n");
    return AVERROR(EINVAL);
  }
  if (!cf_av_picture(ctx, link->format, frames, link->w, link->h, &format))
    return AVERROR(EINVAL);
  if (s->publisher.publisher || left_take(s)) {
    if (cf_av_same_device(&s->publisher, device_ref))
      return 0; /* the first frame changes the format, if it has another one */
    if (s->options.change == CF_AV_CHANGE_FAIL) {
      av_log(ctx, AV_LOG_ERROR, "frames of %s come from another device, and change=fail\n", s->name);
      return AVERROR(EINVAL);
    }
    cf_av_publish_close(&s->publisher);
  }
  const int result = cf_av_publish_open(ctx, &s->publisher, s->name, &s->options, &format, device_ref, NULL);
  if (result >= 0)
    cf_av_publish_live(&s->publisher);
  return result;
}

static int publish(AVFilterContext *ctx, const AVFrame *frame) {
  CuframesContext *s = ctx->priv;
  AVFilterLink *link = ctx->inputs[0];
  const AVRational rate = LINK(link)->frame_rate;
  int64_t duration = cf_av_duration(frame) > 0 ? av_rescale_q(cf_av_duration(frame), link->time_base, CF_AV_NS) : 0;
  if (!duration && rate.num > 0 && rate.den > 0)
    duration = av_rescale(CF_AV_SECOND, rate.den, rate.num);
  return cf_av_publish(ctx, &s->publisher, &s->options, frame, cf_av_ns(frame->pts, link->time_base), duration);
}

/* Nothing more will pass: subscribers have what was published, and then its end. */
static void end(AVFilterContext *ctx) {
  CuframesContext *s = ctx->priv;
  if (s->publisher.publisher)
    cf_av_publish_report(ctx, &s->publisher);
  s->ended = true;
  cf_av_publish_drain(&s->publisher, &s->options);
  cf_av_publish_close(&s->publisher);
}

static int activate(AVFilterContext *ctx) {
  AVFilterLink *in = ctx->inputs[0], *out = ctx->outputs[0];
  AVFrame *frame = NULL;
  int64_t pts;
  int status = ff_outlink_get_status(out);
  if (status) {
    end(ctx);
    ff_inlink_set_status(in, status);
    return 0;
  }
  int result = ff_inlink_consume_frame(in, &frame);
  if (result < 0)
    return result;
  if (result > 0) {
    result = publish(ctx, frame);
    if (result >= 0)
      return ff_filter_frame(out, frame);
    av_frame_free(&frame);
    return result;
  }
  if (ff_inlink_acknowledge_status(in, &status, &pts)) {
    end(ctx);
    ff_outlink_set_status(out, status, pts);
    return 0;
  }
  FF_FILTER_FORWARD_WANTED(out, in);
  return FFERROR_NOT_READY;
}

#define FLAGS (AV_OPT_FLAG_FILTERING_PARAM | AV_OPT_FLAG_VIDEO_PARAM)
/* clang-format off */
static const AVOption cuframes_options[] = {
  { "name", "name of the stream", offsetof(CuframesContext, name), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
  CF_AV_PUBLISH_OPTIONS(CuframesContext, FLAGS),
  { "keep", "how long the stream waits for the graph that follows when one goes without an end of stream",
    offsetof(CuframesContext, keep), AV_OPT_TYPE_DURATION, { .i64 = 2000000 }, 0, INT64_MAX / 2000, FLAGS },
  { NULL },
};
/* clang-format on */

AVFILTER_DEFINE_CLASS(cuframes);

static const AVFilterPad inputs[] = {
  { .name = "default", .type = AVMEDIA_TYPE_VIDEO, .config_props = config_input },
};
static const AVFilterPad outputs[] = {
  { .name = "default", .type = AVMEDIA_TYPE_VIDEO },
};

/* What cuframes has; FFmpeg converts others before. */
static const enum AVPixelFormat formats[] = {
  AV_PIX_FMT_CUDA,        AV_PIX_FMT_NV12,    AV_PIX_FMT_P010LE,   AV_PIX_FMT_YUV420P,  AV_PIX_FMT_YUV422P,
  AV_PIX_FMT_YUV444P,     AV_PIX_FMT_GRAY8,   AV_PIX_FMT_RGB24,    AV_PIX_FMT_RGBA,     AV_PIX_FMT_BGRA,
  AV_PIX_FMT_BGR24,       AV_PIX_FMT_YUYV422, AV_PIX_FMT_UYVY422,  AV_PIX_FMT_GRAY16LE, AV_PIX_FMT_YUV420P10LE,
  AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_GBRP,    AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P,
  AV_PIX_FMT_NONE,
};

const FILTER_TYPE ff_vf_cuframes;
const FILTER_TYPE ff_vf_cuframes = {
  FILTER_PUBLIC(name) = "cuframes",
  FILTER_PUBLIC(description) = NULL_IF_CONFIG_SMALL("Share the frames that pass with other processes."),
  FILTER_PUBLIC(priv_class) = &cuframes_class,
  .priv_size = sizeof(CuframesContext),
  .init = init,
  .uninit = uninit,
  .activate = activate,
  FILTER_INPUTS(inputs),
  FILTER_OUTPUTS(outputs),
  FILTER_PIXFMTS_ARRAY(formats),
};
