/* media_packet.c - tracks: their description and their packets, into the packet ring. */
#include <stdlib.h>
#include <string.h>

#include "common/av_compat.h"
#include "common/av_format.h"
#include "media.h"

static bool is_published(const AVStream *stream) {
  enum AVMediaType type = stream->codecpar->codec_type;
  return (type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO) &&
         !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC) && stream->discard < AVDISCARD_ALL;
}

/* Numbers the streams that came since the last call; some containers show a stream with its first packet only. */
static void map_streams(media *m) {
  const unsigned room = sizeof m->track_of / sizeof *m->track_of;
  for (; m->mapped < m->in->nb_streams && m->mapped < room; m->mapped++) {
    int *number = &m->track_of[m->mapped];
    *number = -1;
    if (!is_published(m->in->streams[m->mapped]))
      continue;
    if (m->track_count == CUFRAMES_TRACKS_MAX) {
      publish_job_warn(m->job, "%s: stream %u and those behind it are left out: at most %d fit", m->job->input,
                       m->mapped, CUFRAMES_TRACKS_MAX);
      continue;
    }
    *number = (int)m->track_count++;
  }
}

static uint32_t positive(int64_t value) {
  return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static void set_words(cuframes_codec_params *params, const media_words *words) {
  params->chroma_location = words->chroma_location;
  params->field_order = words->field_order;
  params->orientation = words->orientation;
  params->sample_aspect_num = words->sample_aspect_num;
  params->sample_aspect_den = words->sample_aspect_den;
}

/* As the container says them, or what FFmpeg found out before the first picture. */
static void describe_picture(cuframes_codec_params *params, AVStream *stream) {
  const AVCodecParameters *from = stream->codecpar;
  const int32_t *matrix = av_compat_matrix(stream);
  AVRational rate = stream->avg_frame_rate.num > 0 ? stream->avg_frame_rate : stream->r_frame_rate;
  AVRational aspect = av_guess_sample_aspect_ratio(NULL, stream, NULL);
  bool has_aspect = aspect.num > 0 && aspect.den > 0;
  params->width = positive(from->width);
  params->height = positive(from->height);
  params->frame_rate_num = positive(rate.num);
  params->frame_rate_den = positive(rate.den);
  params->color = (cuframes_color){ .matrix = av_words_code_point(from->color_space),
                                    .range = av_words_range(from->color_range),
                                    .primaries = av_words_code_point(from->color_primaries),
                                    .transfer = av_words_code_point(from->color_trc) };
  set_words(params, &(media_words){ .chroma_location = av_words_chroma(from->chroma_location),
                                    .field_order = av_words_fields(from->field_order),
                                    .orientation = matrix != NULL ? av_words_orientation(matrix) : (uint8_t)0,
                                    .sample_aspect_num = has_aspect ? (uint32_t)aspect.num : 0,
                                    .sample_aspect_den = has_aspect ? (uint32_t)aspect.den : 0 });
}

static cuframes_codec_params params_of(AVStream *stream) {
  const AVCodecParameters *from = stream->codecpar;
  bool video = from->codec_type == AVMEDIA_TYPE_VIDEO;
  cuframes_codec_params params;
  memset(&params, 0, sizeof params); /* padding too: it is compared as a whole */
  params.struct_size = sizeof params;
  params.media_type = video ? CUFRAMES_MEDIA_VIDEO : CUFRAMES_MEDIA_AUDIO;
  snprintf(params.codec, sizeof params.codec, "%s", avcodec_get_name(from->codec_id));
  params.profile = from->profile == AV_COMPAT_UNKNOWN ? UINT32_MAX : (uint32_t)from->profile;
  params.level = from->level == AV_COMPAT_UNKNOWN ? UINT32_MAX : (uint32_t)from->level;
  params.time_base_num = positive(stream->time_base.num);
  params.time_base_den = positive(stream->time_base.den);
  params.bit_rate = from->bit_rate > 0 ? (uint64_t)from->bit_rate : 0;
  if (video) {
    describe_picture(&params, stream);
  } else {
    params.sample_rate = positive(from->sample_rate);
    params.channels = positive(av_compat_channels(from));
    params.frame_size = positive(from->frame_size);
  }
  return params;
}

static void describe(media *m, uint32_t number, const cuframes_codec_params *params) {
  media_track *e = &m->tracks[number];
  if (e->described && memcmp(&e->params, params, sizeof *params) == 0)
    return;
  if (cuframes_publisher_set_codec_params(m->job->publisher, number, params) < 0) {
    publish_job_warn(m->job, "track %u: %s", number, cuframes_last_error());
    return;
  }
  e->params = *params;
  e->described = true;
}

static void set_extradata(media *m, uint32_t number, const uint8_t *data, size_t size) {
  media_track *e = &m->tracks[number];
  if (size == 0 || (size == e->extradata_size && memcmp(data, e->extradata, size) == 0))
    return;
  if (cuframes_publisher_set_codec_extradata(m->job->publisher, number, data, size) < 0) {
    publish_job_warn(m->job, "extradata of track %u: %s", number, cuframes_last_error());
    return;
  }
  uint8_t *copy = malloc(size);
  free(e->extradata);
  e->extradata = copy;
  e->extradata_size = copy ? size : 0;
  if (copy != NULL)
    memcpy(copy, data, size);
}

void media_describe(media *m) {
  if (m->job->publisher == NULL || m->job->options->no_packets || m->mapped == m->in->nb_streams)
    return;
  unsigned before = m->mapped;
  map_streams(m);
  for (unsigned i = before; i < m->mapped; i++) {
    if (m->track_of[i] >= 0) {
      AVStream *stream = m->in->streams[i];
      cuframes_codec_params params = params_of(stream);
      describe(m, (uint32_t)m->track_of[i], &params);
      set_extradata(m, (uint32_t)m->track_of[i], stream->codecpar->extradata, (size_t)stream->codecpar->extradata_size);
    }
  }
}

/* What changed in mid-stream: parameter sets that came with the packet, or what the decoder found in its pictures. */
static void follow_changes(media *m, uint32_t number, const AVStream *stream) {
  size_t size = 0;
  const uint8_t *extradata = av_packet_get_side_data(m->packet, AV_PKT_DATA_NEW_EXTRADATA, &size);
  if (extradata != NULL)
    set_extradata(m, number, extradata, size);
  if (stream->index == m->video && m->format.width != 0 && m->tracks[number].described) {
    cuframes_codec_params params = m->tracks[number].params;
    params.width = m->format.width;
    params.height = m->format.height;
    if (m->job->first_frame != 0)
      set_words(&params, &m->words);
    describe(m, number, &params);
  }
}

static void publish(media *m, uint32_t number, int64_t pts, int64_t dts, int64_t duration) {
  const AVPacket *packet = m->packet;
  cuframes_packet_info info = { .struct_size = sizeof info,
                                .track = number,
                                .data = packet->data,
                                .size = (size_t)packet->size,
                                .pts = timeline_published(&m->timeline, pts),
                                .dts = timeline_published(&m->timeline, dts),
                                .duration = duration,
                                .flags = (packet->flags & AV_PKT_FLAG_KEY ? CUFRAMES_PACKET_KEY : 0u) |
                                         (packet->flags & AV_PKT_FLAG_CORRUPT ? CUFRAMES_PACKET_CORRUPT : 0u) };
  int error = cuframes_publisher_publish_packet(m->job->publisher, &info);
  uint64_t swallowed;
  if (error == CUFRAMES_ERR_PACKET_OVERSIZED)
    publish_job_count(m->job, &m->job->counts.oversized);
  if (error < 0 && publish_limiter_may(&m->oversized_limiter, &swallowed)) {
    publish_job_warn(m->job, "packet left out: %s%s", cuframes_last_error(),
                     error == CUFRAMES_ERR_PACKET_OVERSIZED ? " (see --packet-bytes)" : "");
  }
}

void media_publish_packet(media *m) {
  const AVPacket *packet = m->packet;
  const AVStream *stream = m->in->streams[packet->stream_index];
  media_describe(m);
  if (packet->flags & AV_PKT_FLAG_CORRUPT)
    m->damaged = true;
  int64_t pts = timeline_source_ns(packet->pts, stream->time_base);
  int64_t dts = timeline_source_ns(packet->dts, stream->time_base);
  int64_t duration = packet->duration > 0 ? timeline_source_ns(packet->duration, stream->time_base) : 0;
  if (duration == 0 && packet->stream_index == m->video)
    duration = m->frame_duration;
  int number = (unsigned)packet->stream_index < m->mapped ? m->track_of[packet->stream_index] : -1;
  if (number < 0 && packet->stream_index == m->video) {
    /* Not published as a packet; its times count all the same. */
    timeline_packet(&m->timeline, 0, pts, dts, duration);
    return;
  }
  if (number >= 0) {
    timeline_packet(&m->timeline, (uint32_t)number, pts, dts, duration);
    if (packet->size > 0) {
      follow_changes(m, (uint32_t)number, stream);
      publish(m, (uint32_t)number, pts, dts, duration);
    }
  }
}

void media_packet_free(media *m) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    free(m->tracks[i].extradata);
    m->tracks[i].extradata = NULL;
  }
}
