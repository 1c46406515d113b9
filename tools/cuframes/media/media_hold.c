/* media_hold.c - the first packets of a live input, held until it is known what their times are.
 *
 * FFmpeg's parsers lose the time of the first picture that they see, and where pictures are reordered it takes some
 * more until decoding times can be told. The pictures behind them know: one step before them is where these belong.
 * Nobody waits for that, as FFmpeg has read these packets to find out what is in the input; and where it has not,
 * nothing is held. */
#include <string.h>

#include "media.h"

#define STREAM_MOST 24 /* packets of the video: reordering is no deeper */

typedef struct seen {
  int64_t first, second; /* decoding times of the first two packets that have one */
  int untimed, packets;  /* of the video, before those; in all */
} seen;

/* In the stream's units. A time of presentation is one of decoding where nothing is reordered. */
static int64_t decoding_time(const media *m, const AVPacket *packet) {
  const int depth = m->in->streams[m->video]->codecpar->video_delay;
  const bool reordered = depth > 0 || m->decoder->has_b_frames > 0;
  return packet->dts == AV_NOPTS_VALUE && !reordered ? packet->pts : packet->dts;
}

static seen look(const media *m) {
  seen s = { AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0, 0 };
  for (unsigned i = 0; i < m->held_count; i++) {
    const AVPacket *packet = m->held[i];
    if (packet->stream_index != m->video)
      continue;
    const int64_t dts = decoding_time(m, packet);
    s.packets++;
    if (dts == AV_NOPTS_VALUE)
      s.untimed += s.first == AV_NOPTS_VALUE;
    else if (s.first == AV_NOPTS_VALUE)
      s.first = dts;
    else if (s.second == AV_NOPTS_VALUE)
      s.second = dts;
  }
  return s;
}

/* Counts back from the first decoding time that is known. */
static void fill_in(media *m, const seen *s) {
  const AVStream *stream = m->in->streams[m->video];
  const int depth = FFMAX(stream->codecpar->video_delay, m->decoder->has_b_frames);
  const int64_t step = s->second - s->first;
  int left = s->untimed;
  for (unsigned i = 0; i < m->held_count && left > 0; i++) {
    AVPacket *packet = m->held[i];
    if (packet->stream_index != m->video)
      continue;
    packet->dts = s->first - left-- * step;
    if (packet->pts == AV_NOPTS_VALUE && (depth == 0 || (packet->flags & AV_PKT_FLAG_KEY)))
      packet->pts = packet->dts + depth * step; /* what comes first is shown first */
  }
}

bool media_hold(media *m) {
  if (!m->holding)
    return false;
  AVPacket *packet = av_packet_alloc();
  if (packet == NULL) {
    m->holding = false;
    return m->held_count > 0; /* it is lost: others come before it */
  }
  av_packet_move_ref(packet, m->packet);
  m->held[m->held_count++] = packet;
  const seen s = look(m);
  const bool known = s.first != AV_NOPTS_VALUE && s.second > s.first;
  if (known)
    fill_in(m, &s);
  m->holding = m->early && !known && (s.packets == 0 || s.untimed > 0) && s.packets < STREAM_MOST &&
               m->held_count < MEDIA_HELD_MAX;
  return true;
}

bool media_take_held(media *m) {
  if (m->holding || m->held_count == 0)
    return false;
  av_packet_unref(m->packet);
  av_packet_move_ref(m->packet, m->held[0]);
  av_packet_free(&m->held[0]);
  memmove(m->held, m->held + 1, --m->held_count * sizeof *m->held);
  return true;
}

void media_hold_drop(media *m) {
  while (m->held_count > 0)
    av_packet_free(&m->held[--m->held_count]);
  m->holding = false;
}
