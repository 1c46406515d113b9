/* decoders.c - bare decoders in one process, for tests/gpu/films to compare with: decoders FILM COUNT [--software].
 *
 * Each thread opens the film and decodes up to its first picture, which it keeps. Prints, in seconds from the
 * beginning, when the first and the last of them had it; then waits for the end of its standard input. Without
 * --software they decode on NVDEC, all on one context, as streams of one `cuframes publish` do. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/hwcontext.h>

typedef struct worker {
  pthread_t thread;
  const char *film;
  AVBufferRef *device; /* NULL: software */
  AVFormatContext *in;
  AVCodecContext *decoder;
  AVFrame *frame;
  double at; /* 0: it could not */
} worker;

static double now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t); /* it exists */
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum AVPixelFormat choose(AVCodecContext *decoder, const enum AVPixelFormat *list) {
  while (*list != AV_PIX_FMT_NONE && *list != AV_PIX_FMT_CUDA)
    list++;
  (void)decoder;
  return *list;
}

static bool open_film(worker *w, int *video) {
  const AVCodec *codec = NULL;
  if (avformat_open_input(&w->in, w->film, NULL, NULL) < 0 || avformat_find_stream_info(w->in, NULL) < 0)
    return false;
  *video = av_find_best_stream(w->in, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  w->decoder = *video < 0 ? NULL : avcodec_alloc_context3(codec);
  if (w->decoder == NULL || avcodec_parameters_to_context(w->decoder, w->in->streams[*video]->codecpar) < 0)
    return false;
  w->decoder->thread_type = FF_THREAD_SLICE;
  if (w->device != NULL) {
    w->decoder->hw_device_ctx = av_buffer_ref(w->device);
    w->decoder->get_format = choose;
  }
  return avcodec_open2(w->decoder, codec, NULL) == 0;
}

static void *work(void *argument) {
  worker *w = argument;
  AVPacket *packet = av_packet_alloc();
  int video = -1;
  w->frame = av_frame_alloc();
  if (packet == NULL || w->frame == NULL || !open_film(w, &video))
    return NULL;
  while (w->at == 0 && av_read_frame(w->in, packet) >= 0) {
    if (packet->stream_index == video && avcodec_send_packet(w->decoder, packet) >= 0 &&
        avcodec_receive_frame(w->decoder, w->frame) == 0)
      w->at = now();
    av_packet_unref(packet);
  }
  av_packet_free(&packet);
  return NULL;
}

int main(int argc, char **argv) {
  const int count = argc >= 3 ? atoi(argv[2]) : 0;
  const bool software = argc == 4 && strcmp(argv[3], "--software") == 0;
  AVBufferRef *device = NULL;
  if (count < 1 || count > 1024 || (argc != 3 && !software)) {
    fputs("usage: decoders FILM COUNT [--software]\n", stderr);
    return 2;
  }
  const double began = now();
  worker *workers = calloc((size_t)count, sizeof *workers);
  if (workers == NULL || (!software && av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_CUDA, NULL, NULL, 0) < 0)) {
    fputs("decoders: no memory, or no GPU\n", stderr);
    return 1;
  }
  double first = 1e300, last = 0;
  int started = 0;
  for (; started < count; started++) {
    workers[started].film = argv[1];
    workers[started].device = device;
    if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
      break;
  }
  bool good = started == count;
  for (int i = 0; i < started; i++) {
    pthread_join(workers[i].thread, NULL);
    good = good && workers[i].at > 0;
    first = workers[i].at < first ? workers[i].at : first;
    last = workers[i].at > last ? workers[i].at : last;
  }
  printf("%.3f %.3f\n", good ? first - began : 0.0, good ? last - began : 0.0);
  (void)fflush(stdout);
  while (getchar() != EOF) {
  }
  for (int i = 0; i < started; i++) {
    av_frame_free(&workers[i].frame);
    avcodec_free_context(&workers[i].decoder);
    avformat_close_input(&workers[i].in);
  }
  av_buffer_unref(&device);
  free(workers);
  return good ? 0 : 1;
}
