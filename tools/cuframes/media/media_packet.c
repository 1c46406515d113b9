/* media_packet.c - packets: the times they get, and their way into the packet ring. */
#include <string.h>

#include "common/json.h"
#include "media.h"

#define READY_NS (PUBLISH_SECOND / 1000)       /* what was read in less had come before */
#define TIME_MOST INT64_C(4000000000000000000) /* 126 years: two such can be added */

/* --- times --- */

int64_t media_source_ns(int64_t value, AVRational time_base) {
  if (value == AV_NOPTS_VALUE || time_base.num <= 0 || time_base.den <= 0)
    return CUFRAMES_NO_TIME;
  const int64_t ns = av_rescale_q(value, time_base, (AVRational){ 1, PUBLISH_SECOND });
  return ns > -TIME_MOST && ns < TIME_MOST ? ns : CUFRAMES_NO_TIME;
}

/* A demuxer that finds no times in what it reads counts pictures and takes a frame rate for granted. Not all of them
 * say so by a flag: these are videos without a container. */
static bool has_no_times(const AVInputFormat *format) {
  static const char *const bare[] = { "av1",   "avs2",       "avs3",  "bitpacked",    "cavsvideo",
                                      "dirac", "dnxhd",      "evc",   "h261",         "h263",
                                      "h264",  "hevc",       "m4v",   "mpegvideo",    "mpjpeg",
                                      "obu",   "v210",       "v210x", "vc1",          "rawvideo",
                                      "vvc",   "image2pipe", "ipu",   "yuv4mpegpipe", "image2" };
  const char *end = strstr(format->name, "_pipe");
  if ((format->flags & AVFMT_NOTIMESTAMPS) || (end != NULL && end[strlen("_pipe")] == '\0'))
    return true;
  for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
    if (strcmp(format->name, bare[i]) == 0)
      return true;
  return false;
}

static bool is_pipe(const media *m) {
  return m->in->pb != NULL && !(m->in->pb->seekable & AVIO_SEEKABLE_NORMAL) && !m->live;
}

void media_times_probe(media *m) {
  const bool endless = is_pipe(m) || (m->live && (m->in->pb == NULL || avio_size(m->in->pb) <= 0));
  /* FFmpeg would read 20 pictures for a frame rate that nobody will use, and wait for a time for 50. */
  const bool timeless = endless && has_no_times(m->in->iformat) && m->job->options->times != PUBLISH_TIMES_SOURCE;
  if (timeless || m->device != NULL) { /* whose rate the driver tells, and the time of each picture */
    m->in->fps_probe_size = 0;
    m->in->max_ts_probe = 1;
  }
}

void media_times_begin(media *m, bool is_finite) {
  const int flags = m->in->iformat->flags;
  const bool pipe = is_pipe(m);
  const bool live = m->live && !is_finite;
  timeline *t = &m->timeline;
  t->by_arrival = m->job->options->times == PUBLISH_TIMES_ARRIVAL ||
                  (m->job->options->times == PUBLISH_TIMES_AUTO && has_no_times(m->in->iformat) && (live || pipe));
  t->kind = live || t->by_arrival ? TIMELINE_LIVE : flags & AVFMT_TS_DISCONT ? TIMELINE_SPLICED : TIMELINE_FILE;
  /* AVI has decoding times alone. */
  m->orders = has_no_times(m->in->iformat) || strcmp(m->in->iformat->name, "avi") == 0;
  m->first_packet = m->early = true;
  m->holding = t->kind == TIMELINE_LIVE && !t->by_arrival && m->video >= 0;
  if (t->by_arrival && m->job->options->times == PUBLISH_TIMES_AUTO && !m->said_arrival) {
    m->said_arrival = true;
    publish_job_note(m->job, "%s has no times of its own: pictures get the time at which they come", m->job->input);
  }
}

void media_times_read(media *m) {
  m->early = m->early && cuframes_now() - m->connection.call_began < READY_NS;
}

/* Of H.264 in AVI FFmpeg counts fields, of which a packet has two. */
static bool counts_fields(const AVStream *stream) {
  const AVRational rate = stream->r_frame_rate, average = stream->avg_frame_rate;
  return rate.num > 0 && average.num > 0 && av_cmp_q(average, av_mul_q(rate, av_make_q(2, 1))) == 0;
}

/* Where the picture of m->packet is in the order in which they are shown, instead of a time. */
static void set_order(media *m, timeline_stamp *stamp, const AVStream *stream) {
  stamp->key = (m->packet->flags & AV_PKT_FLAG_KEY) != 0;
  stamp->grows = media_order_of(m, &stamp->order);
  if (stamp->grows == 0)
    return;
  stamp->pts = CUFRAMES_NO_TIME; /* FFmpeg invents some */
  if (counts_fields(stream))
    stamp->duration = stamp->nominal = av_rescale(PUBLISH_SECOND, stream->r_frame_rate.den, stream->r_frame_rate.num);
}

static timeline_stamp stamp_of(media *m, const AVStream *stream) {
  const AVPacket *packet = m->packet;
  const int64_t duration = media_source_ns(packet->duration, stream->time_base);
  const enum AVMediaType type = stream->codecpar->codec_type;
  const bool video = stream->index == m->video;
  timeline_stamp stamp = { .pts = media_source_ns(packet->pts, stream->time_base),
                           .dts = media_source_ns(packet->dts, stream->time_base),
                           .duration = duration > 0 ? duration : 0,
                           .nominal = video ? m->frame_duration : 0,
                           .arrival = cuframes_now(),
                           .early = m->early || m->held_count > 0,
                           .reorder = type == AVMEDIA_TYPE_VIDEO ? stream->codecpar->video_delay : 0,
                           .hidden = (packet->flags & AV_PKT_FLAG_DISCARD) != 0,
                           .sparse = type != AVMEDIA_TYPE_VIDEO && type != AVMEDIA_TYPE_AUDIO };
  if (video && m->orders)
    set_order(m, &stamp, stream);
  if (stream->pts_wrap_bits > 0 && stream->pts_wrap_bits < 63)
    stamp.wrap = media_source_ns(INT64_C(1) << stream->pts_wrap_bits, stream->time_base);
  stamp.wrap = stamp.wrap == CUFRAMES_NO_TIME ? 0 : stamp.wrap;
  if (video && m->decoder->has_b_frames > stamp.reorder)
    stamp.reorder = m->decoder->has_b_frames;
  if (m->first_packet) { /* by FFmpeg, which looked what is in the input */
    stamp.arrival = m->opened_at;
    stamp.early = false;
    m->first_packet = false;
  }
  return stamp;
}

static void say_jump(media *m, uint32_t track, const timeline_times *times) {
  const int64_t by = times->jump != 0 ? times->jump : times->wild;
  uint64_t swallowed;
  if (by == 0)
    return;
  const char *what = times->jump != 0 ? "the source's clock has jumped by" : "the time of a packet was wrong by";
  publish_job_count(m->job, &m->job->counts.jumps);
  publish_job_event(m->job, "jump",
                    json_pack("{s:i,s:o}", "track", (int)track, "seconds", cli_json_rounded((double)by / 1e9, 3)));
  if (publish_limiter_may(&m->jump_limiter, &swallowed)) {
    publish_job_warn(m->job, "%s: %s %+.3f s (track %u); times go on without that", m->job->input, what,
                     (double)by / 1e9, track);
  }
}

/* Gives m->packet the times that it is published with, in ns, and says what was wrong with its own. */
static void set_times(media *m, int number) {
  const uint32_t track = number >= 0 ? (uint32_t)number : CUFRAMES_TRACKS_MAX - 1;
  const bool lead = m->packet->stream_index == media_lead(m);
  const timeline_stamp stamp = stamp_of(m, m->in->streams[m->packet->stream_index]);
  if (lead)
    m->timeline.lead = track;
  const timeline_times times = timeline_packet(&m->timeline, track, &stamp);
  m->packet->pts = times.pts == CUFRAMES_NO_TIME ? AV_NOPTS_VALUE : times.pts;
  m->packet->dts = times.dts;
  m->packet->duration = times.duration;
  say_jump(m, track, &times);
  m->jumped = m->jumped || (lead && times.jump != 0);
  if (lead && m->video >= 0 && (times.jump != 0 || times.wild != 0))
    media_side_jumped(m, times.jump != 0 ? times.jump : times.wild);
  /* Nothing is missing, so it can be said where nothing will be: a recorder begins anew at a keyframe. */
  if (m->jumped && lead && (m->packet->flags & AV_PKT_FLAG_KEY)) {
    (void)cuframes_publisher_discontinuity(m->job->publisher); /* cannot fail for a living publisher */
    m->jumped = false;
  }
}

/* --- packets that come twice --- */

static bool is_same(const AVPacket *a, const AVPacket *b) {
  const bool timed = a->dts != AV_NOPTS_VALUE || a->pts != AV_NOPTS_VALUE;
  return timed && a->dts == b->dts && a->pts == b->pts && a->size == b->size && a->size > 0 &&
         memcmp(a->data, b->data, (size_t)a->size) == 0;
}

/* A network may bring a packet twice, and FFmpeg takes RTP's second one for news where none waits for its turn. Data is
 * left alone: two events may be alike. */
bool media_is_repeated(media *m) {
  const int stream = m->packet->stream_index;
  const enum AVMediaType type = m->in->streams[stream]->codecpar->codec_type;
  if (!m->live || stream >= MEDIA_LENGTH_TRACKS || (type != AVMEDIA_TYPE_VIDEO && type != AVMEDIA_TYPE_AUDIO))
    return false;
  AVPacket **before = &m->before[stream];
  if (*before != NULL && is_same(*before, m->packet))
    return true;
  if (*before == NULL)
    *before = av_packet_alloc();
  if (*before != NULL) {
    av_packet_unref(*before);
    (void)av_packet_ref(*before, m->packet); /* without memory it stays empty: like no other */
  }
  return false;
}

void media_repeated_forget(media *m) {
  for (int i = 0; i < MEDIA_LENGTH_TRACKS; i++)
    av_packet_free(&m->before[i]);
}

/* --- publishing --- */

/* Decoding of sound begins with any packet, but of one kind; not all of FFmpeg's protocols mark them, RTP does not. */
static bool is_key(const media *m, const AVPacket *packet) {
  const AVCodecParameters *of = m->in->streams[packet->stream_index]->codecpar;
  const bool chained = of->codec_id == AV_CODEC_ID_TRUEHD || of->codec_id == AV_CODEC_ID_MLP;
  return packet->flags & AV_PKT_FLAG_KEY || (of->codec_type == AVMEDIA_TYPE_AUDIO && !chained);
}

static bool publish(media *m, uint32_t number, const AVPacket *packet) {
  cuframes_packet_info info = { .struct_size = sizeof info,
                                .track = number,
                                .data = packet->data,
                                .size = (size_t)packet->size,
                                .pts = packet->pts == AV_NOPTS_VALUE ? CUFRAMES_NO_TIME : packet->pts,
                                .dts = packet->dts,
                                .duration = packet->duration,
                                .flags = (is_key(m, packet) ? CUFRAMES_PACKET_KEY : 0u) |
                                         (packet->flags & AV_PKT_FLAG_CORRUPT ? CUFRAMES_PACKET_CORRUPT : 0u) |
                                         (packet->flags & AV_PKT_FLAG_DISCARD ? CUFRAMES_PACKET_HIDDEN : 0u) |
                                         (packet->flags & AV_PKT_FLAG_DISPOSABLE ? CUFRAMES_PACKET_DISPOSABLE : 0u) };
  int error = cuframes_publisher_publish_packet(m->job->publisher, &info);
  uint64_t swallowed;
  if (error == CUFRAMES_ERR_PACKET_OVERSIZED)
    publish_job_count(m->job, &m->job->counts.oversized);
  if (error < 0 && publish_limiter_may(&m->oversized_limiter, &swallowed)) {
    publish_job_warn(m->job, "packet left out: %s%s", cuframes_last_error(),
                     error == CUFRAMES_ERR_PACKET_OVERSIZED ? " (see --packet-bytes)" : "");
  }
  return error >= 0;
}

void media_publish_packet(media *m) {
  const unsigned stream = (unsigned)m->packet->stream_index;
  media_describe(m);
  if (m->packet->flags & AV_PKT_FLAG_CORRUPT)
    m->damaged = true;
  const int number = stream < m->mapped ? m->track_of[stream] : -1;
  if (number < 0 && (int)stream != m->video)
    return;
  set_times(m, number);
  if (number < 0 || !m->tracks[number].described || m->packet->size <= 0)
    return;
  media_describe_packet(m, (uint32_t)number);
  const bool published = publish(m, (uint32_t)number, m->packet);
  if (published && m->video < 0 && (int)stream == m->sound)
    publish_job_came(m->job, m->packet->pts == AV_NOPTS_VALUE ? CUFRAMES_NO_TIME : m->packet->pts, m->packet->duration);
}
