/* alone.c - decodes a film, as a program does that nobody publishes it for: alone FILM [--read]. With --read it looks
 * at every visible byte of each picture. Prints how many pictures there were, and the sum of the bytes. */
#include <stdbool.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include "rows.h"

static void look(const AVFrame *frame, bool reads) {
  const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(frame->format);
  for (int i = 0; reads && i < av_pix_fmt_count_planes(frame->format); i++) {
    const int shift = i == 1 || i == 2 ? d->log2_chroma_h : 0;
    read_rows(frame->data[i], frame->linesize[i], (size_t)av_image_get_linesize(frame->format, frame->width, i),
              AV_CEIL_RSHIFT(frame->height, shift));
  }
  pictures++;
}

static void take(AVCodecContext *decoder, AVPacket *packet, AVFrame *frame, bool reads) {
  (void)avcodec_send_packet(decoder, packet); /* a film with faults gives fewer pictures, which is seen */
  while (avcodec_receive_frame(decoder, frame) == 0) {
    look(frame, reads);
    av_frame_unref(frame);
  }
}

static int decode(const char *film, bool reads) {
  AVFormatContext *in = NULL;
  const AVCodec *codec = NULL;
  if (avformat_open_input(&in, film, NULL, NULL) < 0 || avformat_find_stream_info(in, NULL) < 0)
    return failed("cannot open the film");
  const int video = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  AVCodecContext *decoder = video < 0 ? NULL : avcodec_alloc_context3(codec);
  AVPacket *packet = av_packet_alloc();
  AVFrame *frame = av_frame_alloc();
  if (decoder == NULL || packet == NULL || frame == NULL ||
      avcodec_parameters_to_context(decoder, in->streams[video]->codecpar) < 0)
    return failed("cannot decode the film");
  decoder->thread_count = (int)sysconf(_SC_NPROCESSORS_ONLN); /* as cuframes publish has them */
  if (decoder->thread_count > 8)
    decoder->thread_count = 8;
  if (avcodec_open2(decoder, codec, NULL) < 0)
    return failed("cannot decode the film");
  while (av_read_frame(in, packet) >= 0) {
    if (packet->stream_index == video)
      take(decoder, packet, frame, reads);
    av_packet_unref(packet);
  }
  take(decoder, NULL, frame, reads);
  av_frame_free(&frame);
  av_packet_free(&packet);
  avcodec_free_context(&decoder);
  avformat_close_input(&in);
  return 0;
}

int main(int argc, char **argv) {
  const bool reads = argc == 3 && strcmp(argv[2], "--read") == 0;
  if (argc != 2 && !reads)
    return failed("usage: alone FILM [--read]");
  const int status = decode(argv[1], reads);
  printf("%" PRIu64 " %" PRIx64 "\n", pictures, sum);
  return status;
}
