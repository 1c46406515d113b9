/* filter_cost.c - what a frame costs in FFmpeg's filter `cuframes`, beside a publisher in C that copies the same
 * frames. CPU time of both in turns, in one run. Prints a line for each and their ratio; exit 1 if that is above 1.1.
 *
 * usage: filter_cost [FRAMES]; bench/ffmpeg/run builds and starts it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cuframes/cuframes.h>

#include "libavfilter/avfilter.h"
#include "libavfilter/buffersink.h"
#include "libavfilter/buffersrc.h"
#include "libavutil/frame.h"

#define WIDTH 1920
#define HEIGHT 1080
#define ROUNDS 8
#define MOST 1.1

static void need(int good, const char *what) {
  if (!good) {
    fprintf(stderr, "filter_cost: %s: %s\n", what, cuframes_last_error());
    exit(2);
  }
}

static double cpu(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double by_filter(AVFilterContext *source, AVFilterContext *sink, AVFrame *frame, AVFrame *out, int frames) {
  static int64_t pts;
  const double begin = cpu();
  for (int i = 0; i < frames; i++) {
    frame->pts = pts++;
    need(av_buffersrc_add_frame_flags(source, frame, AV_BUFFERSRC_FLAG_KEEP_REF | AV_BUFFERSRC_FLAG_PUSH) >= 0 &&
             av_buffersink_get_frame(sink, out) >= 0,
         "the filter graph");
    av_frame_unref(out);
  }
  return cpu() - begin;
}

static double by_hand(cuframes_publisher *publisher, const AVFrame *frame, int frames) {
  const double begin = cpu();
  for (int i = 0; i < frames; i++) {
    cuframes_frame *slot;
    const cuframes_publish_info info = { .struct_size = sizeof info, .pts = i * INT64_C(40000000) };
    need(cuframes_publisher_acquire(publisher, &slot) == CUFRAMES_OK, "acquire");
    for (int plane = 0; plane < 3; plane++) {
      uint32_t bytes, rows; /* as a program gets them; of sizes known to the compiler it makes other code */
      need(cuframes_format_plane_size(cuframes_frame_format(slot), plane, &bytes, &rows) == CUFRAMES_OK, "plane");
      const size_t pitch = cuframes_frame_pitch(slot, plane);
      for (uint32_t y = 0; y < rows; y++)
        memcpy((char *)cuframes_frame_plane(slot, plane) + (size_t)y * pitch,
               frame->data[plane] + (ptrdiff_t)y * frame->linesize[plane], bytes);
    }
    need(cuframes_publisher_publish(publisher, slot, &info) == CUFRAMES_OK, "publish");
  }
  return cpu() - begin;
}

int main(int argc, char **argv) {
  const int frames = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 300;
  AVFilterGraph *graph = avfilter_graph_alloc();
  AVFilterContext *source, *filter, *sink;
  AVFrame *frame = av_frame_alloc(), *out = av_frame_alloc();
  cuframes_publisher *publisher;
  const cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .format = { .pixel_format = CUFRAMES_PIXEL_YUV420P, .width = WIDTH, .height = HEIGHT },
  };
  char text[128];
  snprintf(text, sizeof text, "video_size=%dx%d:pix_fmt=0:time_base=1/25:pixel_aspect=1/1", WIDTH, HEIGHT);
  need(frames > 0 && graph && frame && out, "memory, or a number of frames");
  need(avfilter_graph_create_filter(&source, avfilter_get_by_name("buffer"), "in", text, NULL, graph) >= 0, "buffer");
  need(avfilter_graph_create_filter(&filter, avfilter_get_by_name("cuframes"), "f", "cost-filter", NULL, graph) >= 0,
       "cuframes");
  need(avfilter_graph_create_filter(&sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, graph) >= 0, "sink");
  need(avfilter_link(source, 0, filter, 0) >= 0 && avfilter_link(filter, 0, sink, 0) >= 0 &&
           avfilter_graph_config(graph, NULL) >= 0,
       "the graph");
  need(cuframes_publisher_create("cost-c", &options, &publisher) == CUFRAMES_OK, "create");
  frame->format = AV_PIX_FMT_YUV420P;
  frame->width = WIDTH;
  frame->height = HEIGHT;
  need(av_frame_get_buffer(frame, 0) >= 0, "a frame");
  for (int plane = 0; plane < 3; plane++)
    memset(frame->data[plane], 100 + plane, (size_t)frame->linesize[plane] * (plane ? HEIGHT / 2 : HEIGHT));
  double filtered = 0, copied = 0;
  (void)by_filter(source, sink, frame, out, 20); /* the first ones find their slots unused */
  (void)by_hand(publisher, frame, 20);
  for (int round = 0; round < ROUNDS; round++) {
    copied += by_hand(publisher, frame, frames);
    filtered += by_filter(source, sink, frame, out, frames);
  }
  const double all = (double)frames * ROUNDS, ratio = filtered / copied;
  printf("publisher in C  %8.1f us of CPU per frame of %dx%d yuv420p\n", copied / all * 1e6, WIDTH, HEIGHT);
  printf("filter          %8.1f us\n", filtered / all * 1e6);
  printf("ratio           %8.3f, of at most %.1f\n", ratio, MOST);
  cuframes_publisher_destroy(publisher);
  avfilter_graph_free(&graph);
  av_frame_free(&frame);
  av_frame_free(&out);
  return ratio > MOST;
}
