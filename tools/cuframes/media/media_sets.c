/* media_sets.c - parameter sets that come among the pictures: who joins later is to have the right ones, too.
 *
 * What the container told at the beginning may have been overtaken since. Only what is new counts: the same sets in
 * other words (start codes, order, repeated) change nothing. */
#include <string.h>

#include <libavcodec/bsf.h>

#include "media.h"

/* Sets in packets that have lengths instead of start codes are those of the container, by the rules of MP4. */
static bool may_have_sets(const AVCodecParameters *p) {
  const bool known =
      p->codec_id == AV_CODEC_ID_H264 || p->codec_id == AV_CODEC_ID_HEVC || p->codec_id == AV_CODEC_ID_MPEG2VIDEO;
  return known && (p->extradata_size < 4 || (p->extradata[0] == 0 && p->extradata[1] == 0 && p->extradata[2] <= 1));
}

static AVBSFContext *filter_for(media *m, const AVStream *stream) {
  if (m->sets != NULL && m->sets->par_in->codec_id == stream->codecpar->codec_id)
    return m->sets;
  av_bsf_free(&m->sets);
  const AVBitStreamFilter *filter = av_bsf_get_by_name("extract_extradata");
  if (filter == NULL || av_bsf_alloc(filter, &m->sets) < 0)
    return NULL;
  m->sets->par_in->codec_type = stream->codecpar->codec_type;
  m->sets->par_in->codec_id = stream->codecpar->codec_id;
  m->sets->time_base_in = stream->time_base;
  if (av_bsf_init(m->sets) < 0)
    av_bsf_free(&m->sets);
  return m->sets;
}

static const uint8_t *next_start(const uint8_t *at, const uint8_t *end) {
  for (; end - at >= 3; at++)
    if (at[0] == 0 && at[1] == 0 && at[2] == 1)
      return at;
  return end;
}

/* Whether all that begins with a start code here is there, too. */
static bool is_known(const uint8_t *sets, size_t size, const uint8_t *known, size_t known_size) {
  const uint8_t *end = sets + size, *at = next_start(sets, end);
  while (at < end) {
    const uint8_t *next = next_start(at + 3, end), *last = next;
    while (last > at + 3 && last[-1] == 0)
      last--; /* of the next start code */
    if (known_size == 0 || memmem(known, known_size, at, (size_t)(last - at)) == NULL)
      return false;
    at = next;
  }
  return true;
}

AVPacket *media_sets_of_packet(media *m, const uint8_t *known, size_t known_size) {
  const AVStream *stream = m->in->streams[m->packet->stream_index];
  if (!(m->packet->flags & AV_PKT_FLAG_KEY) || !may_have_sets(stream->codecpar))
    return NULL;
  AVBSFContext *filter = filter_for(m, stream);
  AVPacket *packet = filter != NULL ? av_packet_clone(m->packet) : NULL;
  size_t size = 0;
  if (packet != NULL && (av_bsf_send_packet(filter, packet) < 0 || av_bsf_receive_packet(filter, packet) < 0))
    av_packet_free(&packet);
  const uint8_t *sets = packet != NULL ? av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, &size) : NULL;
  if (sets == NULL || is_known(sets, size, known, known_size))
    av_packet_free(&packet);
  return packet;
}
