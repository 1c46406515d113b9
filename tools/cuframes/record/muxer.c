/* muxer.c - packets into a file.
 *
 * Times. The stream's nanoseconds are shifted by one offset for all tracks, so that they stay together.
 * The offset puts the first video picture at 0; when times jump back, or far ahead at an epoch, it is chosen anew so
 * that the next packet follows the last one.
 *
 * Sudden ends. MP4 is written in fragments of about a second, Matroska in clusters of a second, and TS needs nothing:
 * a file cut off anywhere, by a full disk or a kill, plays up to there.
 */
#include "muxer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>

#include "common/av_compat.h"
#include "common/av_format.h"

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
/* A jump ahead at an epoch up to this is an outage, and stays in the file; more is another clock. */
#define OUTAGE_NS (10 * SECOND)
/* A step back up to this is the streams' own disorder (one starts before the other). */
#define DISORDER_NS (SECOND / 2)
/* Decoding times that are made up start so many pictures before the presentation time: as deep as B-frames go. */
#define REORDER 4
/* A stream that is so far behind the leading one has stopped: the limit does not wait for it. */
#define LAGGARD_NS SECOND

typedef struct track {
  AVStream *stream; /* NULL: not in the file */
  bool video, needs_key;
  int64_t interval;     /* ns from packet to packet, for missing times */
  int64_t last_dts;     /* ns of the source, for missing times */
  int64_t first, next;  /* ns in the file: decoding time of the first packet, end of the last one */
  int64_t shown;        /* ns in the file: the latest presentation time with its duration */
  int64_t last_written; /* in the stream's time base, as the container wants it: rising */
  AVRational time_base; /* what is asked of the container */
  bool done;
} track;

typedef struct muxer {
  AVFormatContext *output;
  char *path;
  bool to_stdout, opened, failed, have_video;
  bool new_epoch; /* no packet of it was written yet */
  int64_t limit, offset;
  uint32_t lead;           /* index of the stream that others are measured by */
  uint64_t packets, bytes; /* bytes: of the finished file */
  track tracks[CUFRAMES_TRACKS_MAX];
  char problem[512];
} muxer;

/* False, and the end of all writing, if error is one. */
static bool note_error(muxer *m, int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  if (error >= 0)
    return true;
  (void)av_strerror(error, text, sizeof(text)); /* gives a text for unknown numbers too */
  snprintf(m->problem, sizeof(m->problem), "cannot write %s: %s",
           m->to_stdout ? "to stdout" : m->path + strlen("file:"), text);
  m->failed = true;
  return false;
}

muxer *muxer_create(const char *path, const char *container, int64_t limit_ns) {
  muxer *m = calloc(1, sizeof(*m));
  if (!m)
    return NULL;
  const size_t room = strlen(path) + sizeof("file:");
  m->to_stdout = !strcmp(path, "-");
  m->limit = limit_ns;
  m->path = malloc(room);
  if (!m->path || avformat_alloc_output_context2(&m->output, NULL, container, NULL) < 0) {
    free(m->path);
    free(m);
    return NULL;
  }
  /* Without the prefix libavformat would take "a:b.mp4" for a protocol. */
  snprintf(m->path, room, "file:%s", path);
  m->output->max_interleave_delta = SECOND / 1000; /* microseconds: what one silent stream may hold back */
  m->output->flags |= AVFMT_FLAG_FLUSH_PACKETS;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    m->tracks[i] =
        (track){ .last_dts = NO_TIME, .first = NO_TIME, .next = NO_TIME, .shown = NO_TIME, .last_written = INT64_MIN };
  return m;
}

const char *muxer_problem(const muxer *m) {
  return m->problem;
}

int64_t muxer_position(const muxer *m) {
  const track *t = &m->tracks[m->lead];
  const int64_t length = t->next == NO_TIME ? 0 : t->next - t->first;
  return m->limit && length > m->limit ? m->limit : length;
}

uint64_t muxer_packets(const muxer *m) {
  return m->packets;
}

uint64_t muxer_bytes(const muxer *m) {
  return m->output->pb ? (uint64_t)avio_tell(m->output->pb) : m->bytes;
}

static enum AVCodecID codec_id(const char *name) {
  const AVCodecDescriptor *descriptor = avcodec_descriptor_get_by_name(name);
  const AVCodec *decoder = descriptor ? NULL : avcodec_find_decoder_by_name(name);
  return descriptor ? descriptor->id : decoder ? decoder->id : AV_CODEC_ID_NONE;
}

static bool set_extradata(AVCodecParameters *parameters, const void *data, size_t size) {
  uint8_t *copy = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!copy)
    return false;
  memcpy(copy, data, size);
  av_freep(&parameters->extradata);
  parameters->extradata = copy;
  parameters->extradata_size = (int)size;
  return true;
}

bool muxer_holds_orientation(const muxer *m) {
  const char *name = m->output->oformat->name;
  return !strcmp(name, "mp4") || (!strcmp(name, "matroska") && AV_COMPAT_MATROSKA_TURNS);
}

/* What the pictures say of themselves. False without memory. */
static bool fill_words(AVStream *stream, const cuframes_codec_params *params) {
  AVCodecParameters *to = stream->codecpar;
  to->color_space = av_words_av_code_point(params->color.matrix);
  to->color_primaries = av_words_av_code_point(params->color.primaries);
  to->color_trc = av_words_av_code_point(params->color.transfer);
  to->color_range = params->color.range;
  to->chroma_location = params->chroma_location;
  to->field_order = av_words_av_fields(params->field_order);
  if (params->sample_aspect_num && params->sample_aspect_den)
    to->sample_aspect_ratio = stream->sample_aspect_ratio =
        av_make_q((int)params->sample_aspect_num, (int)params->sample_aspect_den);
  if (params->orientation <= CUFRAMES_ORIENTATION_TOP_LEFT)
    return true; /* what a container means that says nothing */
  int32_t *matrix = av_compat_new_matrix(stream);
  if (matrix)
    av_words_matrix(params->orientation, params->width, params->height, matrix);
  return matrix != NULL;
}

static bool fill_video(const muxer *m, AVStream *stream, const cuframes_codec_params *params) {
  AVCodecParameters *to = stream->codecpar;
  to->width = (int)params->width;
  to->height = (int)params->height;
  if (params->frame_rate_num && params->frame_rate_den)
    stream->avg_frame_rate = av_make_q((int)params->frame_rate_num, (int)params->frame_rate_den);
  /* The tag that players of one large maker insist on; parameter sets are out of band here. */
  if (to->codec_id == AV_CODEC_ID_HEVC && to->extradata_size && !strcmp(m->output->oformat->name, "mp4"))
    to->codec_tag = MKTAG('h', 'v', 'c', '1');
  return fill_words(stream, params);
}

static void fill_audio(AVStream *stream, const cuframes_codec_params *params) {
  AVCodecParameters *to = stream->codecpar;
  to->sample_rate = (int)params->sample_rate;
  to->frame_size = (int)params->frame_size;
  av_compat_set_channels(to, (int)params->channels);
  to->bits_per_coded_sample = av_get_bits_per_sample(to->codec_id);
  to->block_align = to->bits_per_coded_sample * (int)params->channels / 8;
}

static int64_t usual_interval(const cuframes_codec_params *params) {
  if (params->media_type == CUFRAMES_MEDIA_VIDEO && params->frame_rate_num && params->frame_rate_den)
    return av_rescale(SECOND, params->frame_rate_den, params->frame_rate_num);
  if (params->sample_rate)
    return av_rescale(SECOND, params->frame_size ? params->frame_size : 1024, params->sample_rate);
  return SECOND / 25;
}

bool muxer_add(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata, size_t size) {
  const enum AVCodecID id = codec_id(params->codec);
  track *t = &m->tracks[index];
  t->video = params->media_type == CUFRAMES_MEDIA_VIDEO;
  if (!t->video && params->media_type != CUFRAMES_MEDIA_AUDIO) {
    snprintf(m->problem, sizeof(m->problem), "stream %u is neither video nor audio", index);
    return false;
  }
  if (id == AV_CODEC_ID_NONE || !avformat_query_codec(m->output->oformat, id, FF_COMPLIANCE_NORMAL)) {
    snprintf(m->problem, sizeof(m->problem), "stream %u: %s takes no %s", index, m->output->oformat->name,
             params->codec);
    return false;
  }
  AVStream *stream = avformat_new_stream(m->output, NULL);
  if (!stream || (size && !set_extradata(stream->codecpar, extradata, size)))
    return note_error(m, AVERROR(ENOMEM));
  AVCodecParameters *to = stream->codecpar;
  to->codec_id = id;
  to->codec_type = t->video ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
  to->profile = params->profile == UINT32_MAX ? AV_COMPAT_UNKNOWN : (int)params->profile;
  to->level = params->level == UINT32_MAX ? AV_COMPAT_UNKNOWN : (int)params->level;
  to->bit_rate = (int64_t)params->bit_rate;
  if (!t->video)
    fill_audio(stream, params);
  else if (!fill_video(m, stream, params))
    return note_error(m, AVERROR(ENOMEM));
  t->time_base = t->video || !params->sample_rate ? av_make_q(1, 90000) : av_make_q(1, (int)params->sample_rate);
  if (params->time_base_num && params->time_base_den >= 1000 && params->time_base_den <= 10000000)
    t->time_base = av_make_q((int)params->time_base_num, (int)params->time_base_den);
  stream->time_base = t->time_base;
  t->interval = usual_interval(params);
  t->needs_key = t->video;
  t->stream = stream;
  if (t->video && !m->have_video) {
    m->have_video = true;
    m->lead = index;
  } else if (m->output->nb_streams == 1) {
    m->lead = index;
  }
  return true;
}

/* Asked for another codec, a filter complains on stderr. */
static bool filter_knows(const AVBitStreamFilter *filter, enum AVCodecID codec) {
  for (const enum AVCodecID *id = filter->codec_ids; id && *id != AV_CODEC_ID_NONE; id++)
    if (*id == codec)
      return true;
  return false;
}

/* Cameras often send their parameter sets in the pictures only; a container wants them in its head. */
static void find_extradata(AVStream *stream, const cuframes_packet *packet) {
  const AVBitStreamFilter *filter = av_bsf_get_by_name("extract_extradata");
  AVBSFContext *context = NULL;
  AVPacket *copy = av_packet_alloc();
  size_t size = 0;
  if (filter && filter_knows(filter, stream->codecpar->codec_id) && copy && av_bsf_alloc(filter, &context) >= 0 &&
      avcodec_parameters_copy(context->par_in, stream->codecpar) >= 0 && av_bsf_init(context) >= 0 &&
      av_new_packet(copy, (int)cuframes_packet_size(packet)) >= 0) {
    memcpy(copy->data, cuframes_packet_data(packet), cuframes_packet_size(packet));
    if (av_bsf_send_packet(context, copy) >= 0 && av_bsf_receive_packet(context, copy) >= 0) {
      const uint8_t *found = av_packet_get_side_data(copy, AV_PKT_DATA_NEW_EXTRADATA, &size);
      if (found && size)
        (void)set_extradata(stream->codecpar, found, size); /* without it the container decides */
    }
  }
  av_packet_free(&copy);
  av_bsf_free(&context);
}

static bool open_file(muxer *m, const cuframes_packet *first) {
  const char *container = m->output->oformat->name;
  AVDictionary *options = NULL;
  track *t = &m->tracks[cuframes_packet_track(first)];
  if (t->video && !t->stream->codecpar->extradata_size)
    find_extradata(t->stream, first);
  int error = avio_open(&m->output->pb, m->to_stdout ? "pipe:1" : m->path, AVIO_FLAG_WRITE);
  if (!error && !strcmp(container, "mp4")) {
    /* The head is written with the first fragment: only then it knows what the packets taught about the streams. */
    av_dict_set(&options, "movflags", "+frag_keyframe+delay_moov+default_base_moof", 0);
    av_dict_set(&options, "frag_duration", "1000000", 0);
    av_dict_set(&options, "min_frag_duration", "500000", 0);
  } else if (!error && !strcmp(container, "matroska")) {
    av_dict_set(&options, "cluster_time_limit", "1000", 0);
  }
  if (error >= 0)
    error = avformat_write_header(m->output, &options);
  av_dict_free(&options);
  m->opened = note_error(m, error);
  return m->opened;
}

/* The packet's times in the source's ns, missing ones made up. */
static void source_times(track *t, const cuframes_packet *packet, int64_t *pts, int64_t *dts) {
  *pts = cuframes_packet_pts(packet);
  *dts = cuframes_packet_dts(packet);
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

/* Chooses the offset so that the packet follows everything in the file, by decoding and by presentation time: a cut
 * may have left pictures out that come before the last one shown. */
static void join_end(muxer *m, int64_t pts, int64_t dts) {
  int64_t offset = INT64_MIN;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const track *t = &m->tracks[i];
    if (t->next != NO_TIME && t->next - dts > offset)
      offset = t->next - dts;
    if (t->next != NO_TIME && t->shown - pts > offset)
      offset = t->shown - pts;
  }
  if (offset != INT64_MIN)
    m->offset = offset;
}

/* At an epoch any step back is a new clock; in between, only one that is larger than the streams' own disorder. */
static void join_times(muxer *m, const track *t, int64_t pts, int64_t dts) {
  if (t->next != NO_TIME) {
    const int64_t step = dts + m->offset - t->next;
    if (step < (m->new_epoch ? -t->interval / 2 : -DISORDER_NS) || (m->new_epoch && step > OUTAGE_NS))
      join_end(m, pts, dts);
  } else if (m->new_epoch) {
    join_end(m, pts, dts); /* a stream that comes late, and with a new clock perhaps */
  }
  m->new_epoch = false;
}

static bool write_packet(muxer *m, track *t, const cuframes_packet *packet, int64_t pts, int64_t dts,
                         int64_t duration) {
  const AVRational nanoseconds = { 1, 1000000000 };
  AVPacket *copy = av_packet_alloc();
  int error = copy ? av_new_packet(copy, (int)cuframes_packet_size(packet)) : AVERROR(ENOMEM);
  if (error >= 0) {
    const uint32_t flags = cuframes_packet_flags(packet);
    memcpy(copy->data, cuframes_packet_data(packet), cuframes_packet_size(packet));
    copy->stream_index = t->stream->index;
    copy->pts = av_rescale_q(pts, nanoseconds, t->time_base);
    copy->dts = av_rescale_q(dts, nanoseconds, t->time_base);
    if (copy->dts <= t->last_written)
      copy->dts = t->last_written + 1;
    if (copy->pts < copy->dts)
      copy->pts = copy->dts;
    t->last_written = copy->dts;
    copy->duration = av_rescale_q(duration, nanoseconds, t->time_base);
    copy->flags = (flags & CUFRAMES_PACKET_KEY ? AV_PKT_FLAG_KEY : 0) |
                  (flags & CUFRAMES_PACKET_CORRUPT ? AV_PKT_FLAG_CORRUPT : 0);
    av_packet_rescale_ts(copy, t->time_base, t->stream->time_base);
    error = av_interleaved_write_frame(m->output, copy);
  }
  av_packet_free(&copy);
  m->packets += error >= 0;
  return note_error(m, error);
}

static void start_epoch(muxer *m) {
  m->new_epoch = true;
  muxer_resync(m);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    m->tracks[i].last_dts = NO_TIME;
}

bool muxer_write(muxer *m, const cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet), flags = cuframes_packet_flags(packet);
  track *t = index < CUFRAMES_TRACKS_MAX ? &m->tracks[index] : NULL;
  int64_t pts, dts;
  if (m->failed)
    return false;
  if (m->opened && flags & CUFRAMES_PACKET_DISCONTINUITY)
    start_epoch(m);
  if (!t || !t->stream)
    return true;
  if (t->needs_key && !(flags & CUFRAMES_PACKET_KEY))
    return true;
  if (!m->opened && m->have_video && index != m->lead)
    return true;
  source_times(t, packet, &pts, &dts);
  if (!m->opened) {
    m->offset = -pts;
    if (!open_file(m, packet))
      return false;
  } else {
    join_times(m, t, pts, dts);
  }
  t->needs_key = false;
  pts += m->offset;
  dts += m->offset;
  if (!t->video && m->have_video && pts < 0)
    return true;
  if (t->first == NO_TIME)
    t->first = t->video ? dts : 0;
  const int64_t duration = cuframes_packet_duration(packet) > 0 ? cuframes_packet_duration(packet) : t->interval;
  t->next = dts + duration;
  if (pts + duration > t->shown)
    t->shown = pts + duration;
  t->done = m->limit && dts - t->first >= m->limit;
  return t->done || write_packet(m, t, packet, pts, dts, duration);
}

void muxer_resync(muxer *m) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    m->tracks[i].needs_key = m->tracks[i].video;
}

bool muxer_done(const muxer *m) {
  const track *lead = &m->tracks[m->lead];
  if (!m->limit || !m->opened)
    return false;
  bool all = lead->done;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const track *t = &m->tracks[i];
    bool moves = t->stream && t->next != NO_TIME && t->next + LAGGARD_NS > lead->next;
    all = all && (t->done || !moves);
  }
  return all;
}

bool muxer_finish(muxer *m) {
  if (m->opened && !m->failed)
    (void)note_error(m, av_write_trailer(m->output));
  m->bytes = muxer_bytes(m);
  const int closed = avio_closep(&m->output->pb);
  if (!m->failed)
    (void)note_error(m, closed);
  return !m->failed;
}

void muxer_free(muxer *m) {
  if (!m)
    return;
  (void)avio_closep(&m->output->pb); /* open only if nobody finished: then nobody asks either */
  avformat_free_context(m->output);
  free(m->path);
  free(m);
}
