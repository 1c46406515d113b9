/* media_side.c - what an input says of a picture besides its samples: when it was taken, and FFmpeg's side data.
 *
 * For RTP, libavformat computes from the camera's sender reports when a packet's picture was taken. But its parser,
 * which makes pictures of packets, finds the end of one in the first packet of the next, and gives it the time of that.
 * So a time belongs to its picture or to the next one in decoding order. Time and pts go at the same pace: the right
 * one is that which agrees with what was known before, at first with the time of pts 0, which libavformat tells, too.
 * Each time corrects it, so that a camera's clock may drift. A picture's time then follows from its pts, in whatever
 * order the decoder gives pictures out. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/av_format.h"
#include "media.h"

#define REPORT_NS (20 * PUBLISH_SECOND) /* cameras send a report every few seconds */
#define SAME_NS (PUBLISH_SECOND / 2)
#define DOUBTS 5
#define YEAR_US INT64_C(31536000000000)

/* --- capture time --- */

/* Whether this can be a time of day, in microseconds since 1970. RTP has seconds since 1900, modulo 2^32; a camera that
 * knows no time of day counts from its start, or says 0, so that the high bit is not set (RFC 3550, 6.4.1). FFmpeg
 * takes such a time for one before 1968 or one after 2036, and from 2036 on the latter may be right. */
static bool is_time_of_day(int64_t us) {
  const int64_t next_era = (INT64_C(4294967296) - 2208988800) * 1000000;
  return us >= 0 && (us < next_era || (int64_t)time(NULL) * 1000000 > next_era - YEAR_US);
}

/* That of two times for pts 0, of the last packet and of this one, which agrees better with what was known. If neither
 * does, it is as it was the last time. */
static int64_t nearer(media_clock *c, int64_t last, int64_t this) {
  const int64_t from_last = llabs(last - c->origin), from_this = llabs(this - c->origin);
  if (from_last < SAME_NS || from_this < SAME_NS)
    c->is_next = from_this < from_last;
  return c->is_next ? this : last;
}

void media_side_jumped(media *m, int64_t by) {
  m->clock.stale = by;
  m->clock.stale_until = m->packet->pts == AV_NOPTS_VALUE ? INT64_MIN : m->packet->pts + REPORT_NS;
}

/* libavformat counts from the last report, whose RTP time is of the clock before the jump: until the next one comes,
 * its times are wrong by the jump, and backwards by a round of RTP's 32 bits, too. Whether this is such a time for
 * pts 0, or of a packet that alone is wrong: another clock is believed when several packets have told of it. */
static bool is_stale(media *m, int64_t origin) {
  media_clock *c = &m->clock;
  if (c->origin == CUFRAMES_NO_TIME)
    return false;
  const AVRational base = m->in->streams[m->video]->time_base;
  const int64_t round = 1 + av_rescale_q(INT64_C(1) << 32, base, (AVRational){ 1, PUBLISH_SECOND }); /* rounded up */
  const int64_t error = origin - c->origin, rest = llabs((error - c->stale) % round);
  const bool may_be = c->stale != 0 && m->packet->pts <= c->stale_until;
  if (llabs(error) >= SAME_NS && may_be && (rest < SAME_NS || round - rest < SAME_NS))
    return true;
  if (llabs(error) >= SAME_NS && ++c->doubts < DOUBTS)
    return true;
  c->doubts = 0;
  return false;
}

void media_side_note(media *m) {
  media_clock *c = &m->clock;
  const AVPacket *packet = m->packet;
  size_t size = 0;
  const uint8_t *data = av_packet_get_side_data(packet, AV_PKT_DATA_PRFT, &size);
  const int64_t pts = packet->pts;
  if (pts == AV_NOPTS_VALUE)
    return;
  if (c->origin == CUFRAMES_NO_TIME && m->in->start_time_realtime != AV_NOPTS_VALUE &&
      is_time_of_day(m->in->start_time_realtime)) /* microseconds, of the source's 0 */
    c->origin = m->in->start_time_realtime * 1000 - m->timeline.tracks[m->timeline.lead].offset;
  if (c->time != CUFRAMES_NO_TIME && c->origin != CUFRAMES_NO_TIME)
    c->origin = nearer(c, c->time - c->pts, c->time - pts);
  c->time = CUFRAMES_NO_TIME;
  AVProducerReferenceTime reference;
  if (data == NULL || size < sizeof reference)
    return;
  memcpy(&reference, data, sizeof reference);
  if (!is_time_of_day(reference.wallclock) || is_stale(m, reference.wallclock * 1000 - pts))
    return;
  c->time = reference.wallclock * 1000;
  c->pts = pts;
  if (c->origin == CUFRAMES_NO_TIME) /* no RTP: it is the packet's own */
    c->origin = c->time - pts;
}

void media_side_forget(media *m) {
  m->clock = (media_clock){ .origin = CUFRAMES_NO_TIME, .time = CUFRAMES_NO_TIME, .began = INT64_MIN };
}

void media_side_shift(media *m, int64_t from, int64_t by) {
  media_clock *c = &m->clock;
  c->time = CUFRAMES_NO_TIME;
  c->began = from;
  c->origin_before = c->origin;
  if (c->origin != CUFRAMES_NO_TIME)
    c->origin -= by;
}

int64_t media_side_capture_time(const media *m, const AVFrame *frame) {
  const media_clock *c = &m->clock;
  const int64_t pts = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
  const int64_t origin = pts < c->began ? c->origin_before : c->origin; /* or still of the round before */
  return pts == AV_NOPTS_VALUE || origin == CUFRAMES_NO_TIME ? CUFRAMES_NO_TIME : origin + pts;
}

/* --- side data --- */

static int add_mastering_display(cuframes_frame *slot, const AVFrameSideData *side) {
  const cuframes_mastering_display to = av_words_mastering_display((const void *)side->data);
  return cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_MASTERING_DISPLAY, &to, sizeof to);
}

static int add_content_light(cuframes_frame *slot, const AVFrameSideData *side) {
  const cuframes_content_light to = av_words_content_light((const void *)side->data);
  return cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &to, sizeof to);
}

static int add(cuframes_frame *slot, const AVFrameSideData *side) {
  switch (side->type) {
    case AV_FRAME_DATA_SEI_UNREGISTERED:
      return side->size < 16
                 ? CUFRAMES_OK
                 : cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_SEI_USER_DATA, side->data, side->size);
    case AV_FRAME_DATA_A53_CC:
      return side->size < 3
                 ? CUFRAMES_OK
                 : cuframes_frame_add_side_data(slot, CUFRAMES_SIDE_DATA_A53_CAPTIONS, side->data, side->size);
    case AV_FRAME_DATA_MASTERING_DISPLAY_METADATA: return add_mastering_display(slot, side);
    case AV_FRAME_DATA_CONTENT_LIGHT_LEVEL: return add_content_light(slot, side);
    default: return CUFRAMES_OK;
  }
}

void media_side_copy(media *m, cuframes_frame *slot) {
  int error = CUFRAMES_OK;
  uint64_t swallowed;
  for (int i = 0; m->job->options->side_data > 0 && i < m->frame->nb_side_data; i++) {
    int result = add(slot, m->frame->side_data[i]);
    error = error < 0 ? error : result;
  }
  if (error < 0 && publish_limiter_may(&m->side_limiter, &swallowed))
    publish_job_warn(m->job, "side data left out: %s (see --side-data)", cuframes_last_error());
}
