/* muxer.c - packets into a file.
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
#include "muxer_times.h"

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
/* A stream that is so far behind the leading one has stopped: the limit does not wait for it. */
#define LAGGARD_NS SECOND

typedef struct track {
  AVStream *stream;             /* NULL: not in the file */
  cuframes_codec_params params; /* as last described; media_type 0: not yet */
  bool video, needs_key;
  int64_t last_written; /* in the stream's time base, as the container wants it: rising */
  AVRational time_base; /* what is asked of the container */
  bool done;
} track;

typedef struct muxer {
  AVFormatContext *output;
  char *path;
  bool to_stdout, opened, failed, have_video;
  int64_t limit;
  uint32_t lead;           /* index of the stream that others are measured by */
  uint64_t packets, bytes; /* bytes: of the finished file */
  muxer_times times;
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

muxer *muxer_create(const char *path, const muxer_options *options) {
  muxer *m = calloc(1, sizeof(*m));
  if (!m)
    return NULL;
  const size_t room = strlen(path) + sizeof("file:");
  m->to_stdout = !strcmp(path, "-");
  m->limit = options->limit_ns;
  m->path = malloc(room);
  if (!m->path || avformat_alloc_output_context2(&m->output, NULL, options->container, NULL) < 0) {
    free(m->path);
    free(m);
    return NULL;
  }
  /* Without the prefix libavformat would take "a:b.mp4" for a protocol. */
  snprintf(m->path, room, "file:%s", path);
  m->output->max_interleave_delta = SECOND / 1000; /* microseconds: what one silent stream may hold back */
  m->output->flags |= AVFMT_FLAG_FLUSH_PACKETS;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    m->tracks[i].last_written = INT64_MIN;
  muxer_times_init(&m->times);
  return m;
}

const char *muxer_problem(const muxer *m) {
  return m->problem;
}

int64_t muxer_position(const muxer *m) {
  const track_times *t = &m->times.track[m->lead];
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

/* What a container can hold of the track is in its head, and so as it was when the file began. */
static bool describe_anew(muxer *m, uint32_t index, const cuframes_codec_params *params) {
  track *t = &m->tracks[index];
  if (!t->stream) {
    snprintf(m->problem, sizeof(m->problem), "stream %u came when the file had begun", index);
    return false;
  }
  t->params = *params;
  return true;
}

static bool add_stream(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata,
                       size_t size) {
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
  muxer_times_track(&m->times, index, params);
  t->params = *params;
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

bool muxer_describe(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata, size_t size) {
  if (m->opened || m->tracks[index].stream)
    return describe_anew(m, index, params);
  return add_stream(m, index, params, extradata, size);
}

bool muxer_takes(muxer *m, const cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet);
  const track *t = index < CUFRAMES_TRACKS_MAX ? &m->tracks[index] : NULL;
  if (!t || !t->stream || t->stream->codecpar->codec_id == codec_id(t->params.codec))
    return true;
  snprintf(m->problem, sizeof(m->problem), "stream %u is %s from here on, was %s", index, t->params.codec,
           avcodec_get_name(t->stream->codecpar->codec_id));
  return false;
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

bool muxer_write(muxer *m, const cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet), flags = cuframes_packet_flags(packet);
  track *t = index < CUFRAMES_TRACKS_MAX ? &m->tracks[index] : NULL;
  int64_t pts, dts;
  if (m->failed)
    return false;
  if (m->opened && flags & CUFRAMES_PACKET_DISCONTINUITY) {
    muxer_resync(m);
    muxer_times_epoch(&m->times);
  }
  if (!t || !t->stream)
    return true;
  if (t->needs_key && !(flags & CUFRAMES_PACKET_KEY))
    return true;
  if (!m->opened && m->have_video && index != m->lead)
    return true;
  muxer_times_source(&m->times, packet, &pts, &dts);
  if (!m->opened) {
    muxer_times_begin(&m->times, pts);
    if (!open_file(m, packet))
      return false;
  } else {
    muxer_times_join(&m->times, index, pts, dts);
  }
  t->needs_key = false;
  pts += m->times.offset;
  dts += m->times.offset;
  if (!t->video && m->have_video && pts < 0)
    return true;
  const int64_t duration = muxer_times_note(&m->times, packet, pts, dts);
  t->done = m->limit && dts - m->times.track[index].first >= m->limit;
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
    const int64_t next = m->times.track[i].next;
    bool moves = t->stream && next != NO_TIME && next + LAGGARD_NS > m->times.track[m->lead].next;
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
