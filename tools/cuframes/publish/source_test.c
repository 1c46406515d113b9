/* source_test.c - see source_test.h. */
#include "source_test.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "media/canvas.h"
#include "pattern/pattern.h"
#include "pattern/pattern_sample.h"
#include "pattern/test_spec.h"
#include "publish_job.h"

#define COLOR_LIMITED 1
#define COLOR_FULL 2
#define COLOR_BT709 1
#define COLOR_SRGB_TRANSFER 13

static cuframes_format format_of(const test_spec *source) {
  cuframes_format format = { .pixel_format = source->pixel_format, .width = source->width, .height = source->height };
  bool rgb = pattern_is_rgb(source->pixel_format);
  format.color = (cuframes_color){ .matrix = rgb ? 0 : COLOR_BT709,
                                   .range = rgb ? COLOR_FULL : COLOR_LIMITED,
                                   .primaries = COLOR_BT709,
                                   .transfer = rgb ? COLOR_SRGB_TRANSFER : COLOR_BT709 };
  return format;
}

/* When picture `index` (from 0) is shown, in ns. 128 bits hold the product for as long as anything runs. */
static int64_t time_of(const test_spec *source, uint64_t index) {
  return (int64_t)((unsigned __int128)index * source->rate_den * (uint64_t)PUBLISH_SECOND / source->rate_num);
}

/* On a GPU the GPU draws, and if it cannot the CPU does, and uploads. */
static int draw(publish_job *job, host_canvas *canvas, cuframes_frame *frame, uint64_t number) {
  if (job->gpu != NULL && gpu_draw(job->gpu->gpu, frame, number, job->gpu_why, sizeof job->gpu_why)) {
    if (number == 1)
      publish_job_note(job, "drawing on the GPU (CUDA device %d)", gpu_ordinal(job->gpu->gpu));
    return CLI_OK;
  }
  if (publish_job_on_gpu(job) && (job->gpu != NULL || number == 1)) {
    job->gpu = NULL; /* not to be tried again */
    publish_job_note(job, "drawing on the CPU: %s; pictures are uploaded to the GPU", job->gpu_why);
  }
  if (!canvas_begin(canvas, frame))
    return publish_job_fail(job, "out of memory");
  pattern_draw(canvas->plane, canvas->pitch, cuframes_frame_format(frame), number);
  return canvas_end(canvas, frame) < 0 ? publish_job_fail(job, "uploading: %s", cuframes_last_error()) : CLI_OK;
}

static int publish_picture(publish_job *job, host_canvas *canvas, uint64_t number, int64_t pts, int64_t duration) {
  cuframes_frame *frame;
  int code = publish_job_acquire(job, &frame);
  if (code != CLI_OK || frame == NULL)
    return code;
  code = draw(job, canvas, frame, number);
  if (code != CLI_OK) {
    (void)cuframes_publisher_cancel(job->publisher, frame); /* it is open, so this cannot fail */
    return code;
  }
  cuframes_publish_info info = {
    .struct_size = sizeof info, .flags = CUFRAMES_FRAME_KEY, .pts = pts, .duration = duration
  };
  return publish_job_publish(job, frame, &info);
}

int source_test_run(publish_job *job) {
  test_spec source;
  const char *wrong = test_spec_parse(job->options->input, &source);
  if (wrong != NULL)
    return publish_job_fail(job, "%s %s", job->input, wrong);
  if (job->options->pixel_format != CUFRAMES_PIXEL_NONE)
    source.pixel_format = job->options->pixel_format;
  cuframes_format format = format_of(&source);
  int code = publish_job_begin(job, &format);
  if (code == CLI_OK)
    code = publish_job_gather(job);
  publish_pace pace = { .steady = true };
  host_canvas canvas = { .memory = NULL };
  const int64_t began = cuframes_now();
  bool paced = source.rate_num != 0, go_on = true;
  for (uint64_t index = 0; code == CLI_OK && go_on; index++) {
    int64_t pts = paced ? time_of(&source, index) : cuframes_now() - began;
    go_on = paced ? publish_job_pace(job, &pace, pts) : !publish_job_stopping(job);
    if (go_on)
      code = publish_picture(job, &canvas, index + 1, pts, paced ? time_of(&source, index + 1) - pts : 0);
  }
  canvas_free(&canvas);
  return code;
}
