/* media_length.c - whether as much of a film came as its container says there is. */
#include <stdio.h>
#include <string.h>

#include <libavutil/opt.h>

#include "media.h"

#define TS_PACKET 188
#define TS_STRIDE_MOST 204
#define TS_SYNC 0x47
#define TS_RUN 6 /* packets in a row that are no accident */

void media_length_begin(media *m) {
  memset(&m->length, 0, sizeof m->length);
}

/* Times may begin anywhere, and begin anew in the middle (HLS with a discontinuity): only their steps count. */
void media_length_note(media *m) {
  const unsigned track = (unsigned)m->packet->stream_index;
  if (track >= MEDIA_LENGTH_TRACKS)
    return;
  const AVRational base = m->in->streams[track]->time_base;
  const int64_t time = media_source_ns(m->packet->dts != AV_NOPTS_VALUE ? m->packet->dts : m->packet->pts, base);
  int64_t lasts = m->packet->duration > 0 ? media_source_ns(m->packet->duration, base) : 0;
  media_length_track *t = &m->length.tracks[track];
  if (time == CUFRAMES_NO_TIME)
    return;
  if (lasts == 0 && m->packet->stream_index == m->video)
    lasts = m->frame_duration;
  if (t->any)
    t->came += time > t->last ? time - t->last : t->lasts;
  else
    t->first = time;
  t->any = true;
  t->last = time;
  t->lasts = lasts;
}

static int64_t came(const media *m, unsigned track) {
  const media_length_track *t = &m->length.tracks[track];
  return track < MEDIA_LENGTH_TRACKS && t->any ? t->came + t->lasts : 0;
}

/* Up to where the film came with this track, which may begin later than another one. */
static int64_t came_to(const media *m, unsigned track) {
  const media_length_track *tracks = m->length.tracks;
  int64_t begin = INT64_MAX;
  for (unsigned i = 0; i < MEDIA_LENGTH_TRACKS; i++)
    if (tracks[i].any && tracks[i].first < begin)
      begin = tracks[i].first;
  return came(m, track) > 0 ? came(m, track) + tracks[track].first - begin : 0;
}

/* Matroska's length of one track, "00:00:14.000000000"; it may be the time of its end. 0: it is not told. */
static int64_t tagged_length(const AVStream *stream) {
  const AVDictionaryEntry *tag = av_dict_get(stream->metadata, "DURATION", NULL, 0);
  unsigned hours, minutes;
  double seconds;
  if (tag == NULL || sscanf(tag->value, "%u:%u:%lf", &hours, &minutes, &seconds) != 3 || hours > 1000 || minutes > 59)
    return 0;
  return (hours * INT64_C(3600) + minutes * INT64_C(60)) * PUBLISH_SECOND + (int64_t)(seconds * 1e9);
}

/* How long the film is to be by its head, and how much of that came. False: nothing says that; a length that FFmpeg
 * found out from the end of the file, as that of a transport stream, is no promise. */
static bool lengths(const media *m, int64_t *promised, int64_t *had) {
  const AVStream *stream = m->in->streams[media_lead(m)];
  if (m->in->duration == AV_NOPTS_VALUE || m->in->duration_estimation_method != AVFMT_DURATION_FROM_STREAM)
    return false;
  const int64_t whole = m->in->duration * 1000, tagged = tagged_length(stream);
  int64_t own = stream->duration > 0 ? media_source_ns(stream->duration, stream->time_base) : 0;
  if (tagged > 0)
    own = tagged;
  const unsigned lead = (unsigned)media_lead(m);
  *had = tagged > 0 ? came_to(m, lead) : came(m, lead);
  *promised = whole;
  if (own > 0 && own < whole) {
    *promised = own;
  } else {
    /* It may be another track's: the longest one that is read. */
    for (unsigned i = 0; i < m->in->nb_streams; i++) {
      if (m->in->streams[i]->discard >= AVDISCARD_ALL)
        return false;
      *had = came_to(m, i) > *had ? came_to(m, i) : *had;
    }
  }
  /* Of films whose times begin late some tell the time of the end instead. */
  const int64_t start = m->in->start_time == AV_NOPTS_VALUE ? 0 : m->in->start_time * 1000;
  if (start > 0 && *promised > start)
    *promised -= start;
  return true;
}

/* How many bytes a file has from the beginning of its last packet on, 0 if it does not end with packets. Each begins
 * with the same byte, `stride` bytes behind the one before. */
static int64_t last_piece(AVIOContext *pb, int64_t size, int64_t stride) {
  uint8_t end[TS_RUN * TS_STRIDE_MOST];
  const int64_t length = size < TS_RUN * stride ? size : TS_RUN * stride;
  if (avio_seek(pb, size - length, SEEK_SET) < 0 || avio_read(pb, end, (int)length) != length)
    return 0;
  for (int64_t piece = 1; piece <= stride && piece <= length; piece++) {
    int64_t at = length - piece;
    while (at >= 0 && end[at] == TS_SYNC)
      at -= stride;
    if (at < 0)
      return piece;
  }
  return 0;
}

/* Whether a transport stream, which tells no length, ends with a whole packet. It consists of packets of 188 bytes,
 * with 4 before or 16 behind them in some files. What was cut out of one, or taken from a network, may have anything
 * before its first one, which FFmpeg skips; and what a recorder reserved and did not fill is no packet that was cut. */
static bool is_whole(const media *m, int64_t size) {
  int64_t stride = 0;
  if (av_opt_get_int(m->in, "ts_packetsize", AV_OPT_SEARCH_CHILDREN, &stride) < 0 || stride < TS_PACKET ||
      stride > TS_STRIDE_MOST)
    return true;
  const int64_t piece = last_piece(m->in->pb, size, stride);
  return piece == 0 || piece >= TS_PACKET;
}

bool media_ended_early(media *m) {
  const int64_t size = m->in->pb ? avio_size(m->in->pb) : -1;
  int64_t promised = 0, had = 0;
  if (lengths(m, &promised, &had) && promised > had + PUBLISH_SECOND && promised - had > promised / 50) {
    snprintf(m->reason, sizeof m->reason, "truncated or damaged: it ended after %.1f s of %.1f s", (double)had / 1e9,
             (double)promised / 1e9);
    return true;
  }
  if (strcmp(m->in->iformat->name, "mpegts") == 0 && size > 0 && !is_whole(m, size)) {
    snprintf(m->reason, sizeof m->reason, "truncated: it ends in the middle of a packet, after %.1f s",
             (double)came(m, (unsigned)media_lead(m)) / 1e9);
    return true;
  }
  return false;
}
