/* media_length.c - whether as much of a film came as its container says there is. */
#include <stdio.h>
#include <string.h>

#include <libavutil/opt.h>

#include "media.h"

#define TS_PACKET 188

void media_length_begin(media *m) {
  memset(&m->length, 0, sizeof m->length);
}

/* Times may begin anywhere, and begin anew in the middle (HLS with a discontinuity): only their steps count. */
void media_length_note(media *m) {
  if (!m->length.any && m->packet->pos >= 0) {
    m->length.any = true;
    m->length.first_packet = m->packet->pos;
  }
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
  t->any = true;
  t->last = time;
  t->lasts = lasts;
}

static int64_t came(const media *m, unsigned track) {
  const media_length_track *t = &m->length.tracks[track];
  return track < MEDIA_LENGTH_TRACKS && t->any ? t->came + t->lasts : 0;
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
  const AVStream *stream = m->in->streams[m->video];
  if (m->in->duration == AV_NOPTS_VALUE || m->in->duration_estimation_method != AVFMT_DURATION_FROM_STREAM)
    return false;
  const int64_t whole = m->in->duration * 1000, tagged = tagged_length(stream);
  int64_t own = stream->duration > 0 ? media_source_ns(stream->duration, stream->time_base) : 0;
  if (tagged > 0)
    own = tagged;
  *had = came(m, (unsigned)m->video);
  *promised = whole;
  if (own > 0 && own < whole) {
    *promised = own;
  } else {
    /* It may be another track's: the longest one that is read. */
    for (unsigned i = 0; i < m->in->nb_streams; i++) {
      if (m->in->streams[i]->discard >= AVDISCARD_ALL)
        return false;
      *had = came(m, i) > *had ? came(m, i) : *had;
    }
  }
  /* Of films whose times begin late some tell the time of the end instead. */
  const int64_t start = m->in->start_time == AV_NOPTS_VALUE ? 0 : m->in->start_time * 1000;
  if (start > 0 && *promised > start)
    *promised -= start;
  return true;
}

/* Whether a transport stream, which tells no length, ends with a whole packet. It consists of packets of 188 bytes,
 * with 4 before or 16 behind them in some files. What was cut out of one, or taken from a network, may have anything
 * before its first one, which FFmpeg skips. FFmpeg tells where a packet of `stride` bytes ended, less that. */
static bool is_whole(const media *m, int64_t size) {
  int64_t stride = 0;
  if (av_opt_get_int(m->in, "ts_packetsize", AV_OPT_SEARCH_CHILDREN, &stride) < 0 || stride < TS_PACKET)
    return true;
  const int64_t last = (size - m->length.first_packet) % stride;
  return last == 0 || last == stride - TS_PACKET;
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
             (double)came(m, (unsigned)m->video) / 1e9);
    return true;
  }
  return false;
}
