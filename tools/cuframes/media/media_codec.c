/* media_codec.c - a video that becomes another codec's under the same number.
 *
 * FFmpeg keeps for a stream the codec that its table named first. A camera whose settings were changed may send HEVC
 * for H.264, or the other way round, under the PID of a transport stream or the payload type of RTP that it had; then
 * nothing can be decoded, packets have the wrong name, and no error ends that. The headers of NAL units tell: the two
 * codecs number them so that what each picture needs in one cannot be in the other. */
#include <string.h>

#include "media.h"

enum { SET_VIDEO = 1, SET_SEQUENCE = 2, SET_PICTURE = 4, SLICE = 8, OWN = 16 };

#define HEVC_SETS (SET_VIDEO | SET_SEQUENCE | SET_PICTURE)
#define H264_SETS (SET_SEQUENCE | SET_PICTURE | SLICE)

/* What a unit of an H.264 stream is: all types of HEVC look even there, and pictures are of type 1 or 5. */
static unsigned in_h264(const uint8_t *unit) {
  const unsigned type = unit[0] & 0x1f;
  if (type == 1 || type == 5 || type == 7)
    return OWN;
  if (unit[1] != 1) /* HEVC: the base layer, and all rates */
    return 0;
  switch (unit[0]) {
    case 32 << 1: return SET_VIDEO;
    case 33 << 1: return SET_SEQUENCE;
    case 34 << 1: return SET_PICTURE;
    default: return 0;
  }
}

/* What a unit of an HEVC stream is: pictures and sequences of H.264 are of a layer from 32 on there. */
static unsigned in_hevc(const uint8_t *unit) {
  const unsigned type = unit[0] >> 1, layer = (unit[0] & 1) << 5 | unit[1] >> 3, h264 = unit[0] & 0x1f;
  if (layer == 0 && (unit[1] & 7) != 0 && (type <= 1 || (type >= 16 && type <= 21) || (type >= 32 && type <= 34)))
    return OWN;
  if ((unit[0] & 0x60) == 0)
    return 0; /* nothing refers to it: no set, and no keyframe */
  return h264 == 7 ? SET_SEQUENCE : h264 == 8 ? SET_PICTURE : h264 == 5 ? SLICE : 0;
}

/* The codec that m->packet, with those before it, is of in truth. */
static enum AVCodecID look(media *m, enum AVCodecID codec) {
  const bool h264 = codec == AV_CODEC_ID_H264;
  const unsigned wanted = h264 ? HEVC_SETS : H264_SETS;
  const uint8_t *at = m->packet->data, *end = at + m->packet->size;
  while (end - at >= 5 && (at = memmem(at, (size_t)(end - at), "\0\0\1", 3)) != NULL && end - at >= 5) {
    at += 3;
    const unsigned unit = h264 ? in_h264(at) : in_hevc(at);
    m->foreign = unit & OWN ? 0 : (uint8_t)(m->foreign | unit);
    if (m->foreign == wanted)
      return h264 ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264;
  }
  return codec;
}

bool media_codec_changed(media *m) {
  if (m->packet->stream_index != m->video || m->packet->size < 5)
    return false;
  const AVCodecParameters *p = m->in->streams[m->video]->codecpar;
  const bool lengths = p->extradata_size > 3 && p->extradata[0] == 1; /* instead of start codes, as MP4 has them */
  if (lengths || (p->codec_id != AV_CODEC_ID_H264 && p->codec_id != AV_CODEC_ID_HEVC))
    return false;
  const enum AVCodecID now = look(m, p->codec_id);
  if (now == p->codec_id)
    return false;
  m->connection.another_codec = true;
  snprintf(m->reason, sizeof m->reason, "its video is %s from here on, was %s", avcodec_get_name(now),
           avcodec_get_name(p->codec_id));
  return true;
}

void media_codec_begin(media *m) {
  m->foreign = 0;
}

bool media_codec_again(const media *m) {
  return m->connection.another_codec && (m->live || (m->path != NULL && strcmp(m->path, MEDIA_PIPE) == 0));
}
