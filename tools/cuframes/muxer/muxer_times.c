/* muxer_times.c - see muxer_times.h. */
#include "muxer_times.h"

#include <libavutil/mathematics.h>

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
/* A jump ahead at an epoch up to this is an outage, and stays in the file; more is another clock. */
#define OUTAGE_NS (10 * SECOND)
/* A step back up to this is the streams' own disorder (one starts before the other). */
#define DISORDER_NS (SECOND / 2)
/* Decoding times that are made up start so many pictures before the presentation time: as deep as B-frames go. */
#define REORDER 4

void muxer_times_init(muxer_times *times) {
  *times = (muxer_times){ 0 };
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    times->track[i] = (track_times){ .last_dts = NO_TIME, .first = NO_TIME, .next = NO_TIME, .shown = NO_TIME };
}

static int64_t usual_interval(const cuframes_codec_params *params) {
  if (params->media_type == CUFRAMES_MEDIA_VIDEO && params->frame_rate_num && params->frame_rate_den)
    return av_rescale(SECOND, params->frame_rate_den, params->frame_rate_num);
  if (params->sample_rate)
    return av_rescale(SECOND, params->frame_size ? params->frame_size : 1024, params->sample_rate);
  return SECOND / 25;
}

void muxer_times_track(muxer_times *times, uint32_t index, const cuframes_codec_params *params) {
  times->track[index].video = params->media_type == CUFRAMES_MEDIA_VIDEO;
  times->track[index].interval = usual_interval(params);
}

void muxer_times_source(muxer_times *times, const cuframes_packet *packet, int64_t *pts, int64_t *dts) {
  track_times *t = &times->track[cuframes_packet_track(packet)];
  *pts = cuframes_packet_pts(packet);
  *dts = cuframes_packet_dts(packet);
  t->dts_told = *dts != NO_TIME;
  if (*pts == NO_TIME && *dts == NO_TIME)
    *dts = t->last_dts == NO_TIME ? 0 : t->last_dts + t->interval;
  if (*pts == NO_TIME)
    *pts = *dts;
  if (*dts == NO_TIME) {
    /* One step per packet, behind the presentation times by as much as pictures may be out of order. */
    const int64_t behind = t->video ? REORDER * t->interval : 0;
    *dts = t->last_dts == NO_TIME ? *pts - behind : t->last_dts + t->interval;
    if (*dts < *pts - 4 * behind - t->interval)
      *dts = *pts - behind;
    if (*dts > *pts)
      *dts = *pts;
  }
  t->last_dts = *dts;
}

void muxer_times_ahead(muxer_times *times, uint32_t index, cuframes_packet *const *packets, size_t count) {
  track_times *t = &times->track[index];
  int64_t before = 0;
  for (size_t i = 0; i < count; i++) {
    if (cuframes_packet_track(packets[i]) != index)
      continue;
    const int64_t pts = cuframes_packet_pts(packets[i]), dts = cuframes_packet_dts(packets[i]);
    before += t->interval;
    if (pts == NO_TIME && dts == NO_TIME)
      continue;
    if (before > t->interval && t->last_dts == NO_TIME)
      t->last_dts = (dts != NO_TIME ? dts : pts) - before;
    return;
  }
}

void muxer_times_begin(muxer_times *times, int64_t pts, bool from_zero) {
  times->offset = from_zero ? -pts : 0;
  times->begin = from_zero ? 0 : pts;
}

/* Chooses the offset so that the packet follows everything in the file, by decoding and by presentation time: a cut
 * may have left pictures out that come before the last one shown. */
static void join_end(muxer_times *times, int64_t pts, int64_t dts) {
  int64_t offset = INT64_MIN;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const track_times *t = &times->track[i];
    if (t->next != NO_TIME && t->next - dts > offset)
      offset = t->next - dts;
    if (t->next != NO_TIME && t->shown - pts > offset)
      offset = t->shown - pts;
  }
  if (offset != INT64_MIN)
    times->offset = offset;
}

/* Whether a track is not to go on with this offset. At an epoch any step back is a new clock; in between, only one that
 * is larger than the streams' own disorder, or takes a video back behind what was decoded before. */
static bool jumps(const muxer_times *times, const track_times *t, int64_t dts) {
  const int64_t step = dts + times->offset - t->next;
  if (times->new_epoch)
    return step < -t->interval / 2 || step > OUTAGE_NS;
  return step < -DISORDER_NS || (t->video && t->dts_told && dts + times->offset < t->reached);
}

/* Where a clock is set back among pictures that are decoded from each other, all tracks go on as they did: a picture
 * that comes now may have its place before one that has come, and must not be put behind that. */
void muxer_times_join(muxer_times *times, uint32_t index, int64_t pts, int64_t dts, bool goes_on) {
  const track_times *t = &times->track[index];
  if (t->next == NO_TIME ? times->new_epoch : jumps(times, t, dts)) { /* without: late, with a new clock perhaps */
    if (goes_on && !times->new_epoch)
      times->offset = t->next - dts;
    else
      join_end(times, pts, dts);
  }
  times->new_epoch = false;
}

void muxer_times_epoch(muxer_times *times) {
  times->new_epoch = true;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    times->track[i].last_dts = NO_TIME;
}

int64_t muxer_times_note(muxer_times *times, const cuframes_packet *packet, int64_t pts, int64_t dts) {
  track_times *t = &times->track[cuframes_packet_track(packet)];
  const int64_t duration = cuframes_packet_duration(packet) > 0 ? cuframes_packet_duration(packet) : t->interval;
  if (t->first == NO_TIME && !(cuframes_packet_flags(packet) & CUFRAMES_PACKET_HIDDEN))
    t->first = t->video ? dts : times->begin;
  t->reached = dts;
  t->next = dts + duration;
  if (pts + duration > t->shown)
    t->shown = pts + duration;
  return duration;
}
