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

#include "common/av_format.h"
#include "media.h"

/* --- capture time --- */

/* That of two times for pts 0 which agrees better with what was known. */
static int64_t nearer(int64_t known, int64_t one, int64_t other) {
  return llabs(one - known) <= llabs(other - known) ? one : other;
}

void media_side_note(media *m) {
  media_clock *c = &m->clock;
  const AVPacket *packet = m->packet;
  size_t size = 0;
  const uint8_t *data = av_packet_get_side_data(packet, AV_PKT_DATA_PRFT, &size);
  const int64_t pts = packet->pts;
  if (pts == AV_NOPTS_VALUE)
    return;
  if (c->origin == CUFRAMES_NO_TIME &&
      m->in->start_time_realtime != AV_NOPTS_VALUE) /* microseconds, of the source's 0 */
    c->origin = m->in->start_time_realtime * 1000 - m->timeline.tracks[m->timeline.lead].offset;
  if (c->time != CUFRAMES_NO_TIME && c->origin != CUFRAMES_NO_TIME)
    c->origin = nearer(c->origin, c->time - c->pts, c->time - pts);
  c->time = CUFRAMES_NO_TIME;
  AVProducerReferenceTime reference;
  if (data == NULL || size < sizeof reference)
    return;
  memcpy(&reference, data, sizeof reference);
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
