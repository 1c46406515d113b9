/* media_order.c - of the video's packets that come without times: where their pictures are in the order of showing. */
#include "media.h"

/* By how much a codec's count usually grows from one picture to the next; 0: nothing tells the order. */
static int usual_of(enum AVCodecID codec) {
  switch (codec) {
    case AV_CODEC_ID_H264: return 2; /* it counts fields */
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_VVC:
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO: return 1;
    default: return 0;
  }
}

/* In the head of each picture, anew from 0 in each group of pictures. */
static bool temporal_reference(const AVPacket *packet, int64_t *count) {
  const uint8_t *d = packet->data;
  for (int i = 0; i + 6 <= packet->size; i++) {
    if (d[i] != 0 || d[i + 1] != 0 || d[i + 2] != 1 || d[i + 3] != 0)
      continue;
    *count = d[i + 4] << 2 | d[i + 5] >> 6;
    return true;
  }
  return false;
}

/* FFmpeg's parser: for whole pictures, and in a context of its own, since it writes into that. */
static bool open_parser(media *m) {
  const AVCodecParameters *parameters = m->in->streams[m->video]->codecpar;
  media_order_close(m);
  m->order.codec = parameters->codec_id;
  m->order.parser = av_parser_init((int)parameters->codec_id);
  m->order.context = avcodec_alloc_context3(NULL);
  if (m->order.parser == NULL || m->order.context == NULL ||
      avcodec_parameters_to_context(m->order.context, parameters) < 0)
    return false;
  m->order.parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
  return true;
}

int media_order_of(media *m, int64_t *count) {
  const enum AVCodecID codec = m->in->streams[m->video]->codecpar->codec_id;
  const int usual = usual_of(codec);
  uint8_t *data;
  int size;
  if (usual == 0 || m->packet->size <= 0)
    return 0;
  if (codec == AV_CODEC_ID_MPEG1VIDEO || codec == AV_CODEC_ID_MPEG2VIDEO)
    return temporal_reference(m->packet, count) ? usual : 0;
  if (m->order.codec != codec && !open_parser(m))
    media_order_close(m);
  m->order.codec = codec; /* one that cannot be had is not asked for again */
  if (m->order.parser == NULL)
    return 0;
  m->order.parser->output_picture_number = INT_MIN;
  (void)av_parser_parse2(m->order.parser, m->order.context, &data, &size, m->packet->data, m->packet->size,
                         AV_NOPTS_VALUE, AV_NOPTS_VALUE, -1); /* how much was read does not matter: it is whole */
  *count = m->order.parser->output_picture_number;
  return *count != INT_MIN ? usual : 0;
}

void media_order_close(media *m) {
  av_parser_close(m->order.parser);
  avcodec_free_context(&m->order.context);
  m->order = (media_order){ NULL, NULL, AV_CODEC_ID_NONE };
}
