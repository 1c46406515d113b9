/* media_track.c - tracks: which of the input's streams they are, and how they are described to the publisher.
 *
 * A track keeps its number as long as the publisher lives. When the input comes back, or a programme of a transport
 * stream gets another table, a stream takes the number of one that is there no more and was of its kind: a recorder
 * goes on with the video as the video, whatever is announced in which order. */
#include <stdlib.h>
#include <string.h>

#include <libavcodec/bsf.h>

#include "common/av_compat.h"
#include "common/av_format.h"
#include "common/cli.h"
#include "media.h"

#define OTHERS_ENOUGH 8 /* packets of another video behind each other: the one that was decoded has stopped */

/* Pictures as they are: there is nothing to save by passing them on a second time. A second of 1280x720 in 4:2:2 at
 * 30 fps is 55 MB, and would push everything else out of the packet ring. */
static bool is_uncompressed(enum AVCodecID codec) {
  /* By name: FFmpeg gives some of their numbers up. */
  static const char *const all[] = { "rawvideo",  "wrapped_avframe",
                                     "bitpacked", "v210",
                                     "v210x",     "v308",
                                     "v408",      "v410",
                                     "yuv4",      "y41p",
                                     "r210",      "r10k",
                                     "ayuv",      "012v",
                                     "avrp" };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(avcodec_get_name(codec), all[i]) == 0)
      return true;
  return false;
}

/* CUFRAMES_MEDIA_*, or 0: not published. */
static uint32_t kind_of(const AVStream *stream) {
  if ((stream->disposition & AV_DISPOSITION_ATTACHED_PIC) || stream->discard >= AVDISCARD_ALL)
    return 0;
  switch (stream->codecpar->codec_type) {
    case AVMEDIA_TYPE_VIDEO: return is_uncompressed(stream->codecpar->codec_id) ? 0 : CUFRAMES_MEDIA_VIDEO;
    case AVMEDIA_TYPE_AUDIO: return CUFRAMES_MEDIA_AUDIO;
    case AVMEDIA_TYPE_DATA:
    case AVMEDIA_TYPE_SUBTITLE: return CUFRAMES_MEDIA_DATA;
    default: return 0;
  }
}

/* --- which stream is which track --- */

static bool is_in_program(const AVFormatContext *in, unsigned stream) {
  return av_find_program_from_stream((AVFormatContext *)in, NULL, (int)stream) != NULL;
}

static int program_of(const AVFormatContext *in, unsigned stream) {
  const AVProgram *program = av_find_program_from_stream((AVFormatContext *)in, NULL, (int)stream);
  return program != NULL ? program->id : -1;
}

/* Whether nothing comes for this track any more: its input is closed, or its programme does not name it any more. */
static bool is_free(const media *m, const media_track *e) {
  return e->stream < 0 || (e->program >= 0 && !is_in_program(m->in, (unsigned)e->stream));
}

/* The track that this stream goes on with. -1: none, it is a new one. */
static int predecessor(const media *m, unsigned stream) {
  const AVStream *s = m->in->streams[stream];
  int found = -1;
  for (uint32_t i = 0; i < m->track_count; i++) {
    const media_track *e = &m->tracks[i];
    const bool same_program = e->stream < 0 || e->program == program_of(m->in, stream);
    if (e->kind != kind_of(s) || !is_free(m, e) || !same_program)
      continue;
    if (e->codec == s->codecpar->codec_id)
      return (int)i;
    if (e->kind != CUFRAMES_MEDIA_DATA && found < 0)
      found = (int)i;
  }
  return found;
}

static void take_number(media *m, unsigned stream, int number) {
  media_track *e = &m->tracks[number];
  if (e->stream >= 0 && e->stream != (int)stream) {
    m->track_of[e->stream] = -1;
    m->heir[e->stream] = (int)stream;
    m->video = e->stream == m->video ? (int)stream : m->video;
    m->sound = e->stream == m->sound ? (int)stream : m->sound;
  }
  m->track_of[stream] = number;
  e->stream = (int)stream;
  e->program = program_of(m->in, stream);
  e->kind = kind_of(m->in->streams[stream]);
  e->codec = m->in->streams[stream]->codecpar->codec_id;
  e->current = false;
}

static void give_number(media *m, unsigned stream) {
  int number = media_tables_track(m, stream);
  if (number >= 0) {
    m->track_of[stream] = number;
    return;
  }
  number = predecessor(m, stream);
  if (number < 0 && m->track_count < CUFRAMES_TRACKS_MAX)
    number = (int)m->track_count++;
  m->track_of[stream] = number;
  if (number < 0) {
    publish_job_warn(m->job, "%s: stream %u is left out: at most %d fit", m->job->input, stream, CUFRAMES_TRACKS_MAX);
    return;
  }
  take_number(m, stream, number);
}

void media_say_uncompressed(media *m) {
  if (!m->job->options->no_packets && !m->uncompressed_said &&
      is_uncompressed(m->in->streams[m->video]->codecpar->codec_id)) {
    m->uncompressed_said = true;
    publish_job_note(m->job, "%s: its video is not compressed: it comes as pictures only, and `record` finds no video",
                     m->job->input);
  }
}

void media_map(media *m) {
  const unsigned room = sizeof m->track_of / sizeof *m->track_of, before = m->mapped;
  const unsigned there = m->in->nb_streams < room ? m->in->nb_streams : room;
  if (before == 0)
    for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
      m->tracks[i].stream = -1;
  if (before == 0)
    m->streams_at_first = there;
  m->mapped = there;
  for (unsigned i = before; i < there; i++)
    m->track_of[i] = m->heir[i] = -1;
  /* Data last: it must not take a number from what everybody wants. */
  for (int data = 0; data < 2; data++)
    for (unsigned i = before; i < there; i++)
      if (kind_of(m->in->streams[i]) != 0 && (kind_of(m->in->streams[i]) == CUFRAMES_MEDIA_DATA) == data)
        give_number(m, i);
}

/* Whether another video goes on for the one that is decoded: it came up later in the same programme, and so many of its
 * packets have come since one of the other. */
static bool is_successor(media *m, unsigned stream) {
  const AVStream *s = m->in->streams[stream];
  if ((int)stream == m->video)
    m->other_video = 0;
  if ((int)stream == m->video || kind_of(s) != CUFRAMES_MEDIA_VIDEO || stream < m->streams_at_first ||
      program_of(m->in, stream) != program_of(m->in, (unsigned)m->video))
    return false;
  return ++m->other_video > OTHERS_ENOUGH && (m->packet->flags & AV_PKT_FLAG_KEY);
}

/* The streams change places: the decoder's track is this stream's from now on. */
static void take_over(media *m, unsigned stream) {
  const int mine = m->track_of[m->video], its = m->track_of[stream];
  m->track_of[stream] = mine;
  m->track_of[m->video] = its;
  if (its >= 0)
    m->tracks[its].stream = m->video;
  if (mine >= 0)
    m->tracks[mine].stream = (int)stream;
  if (its >= 0)
    m->tracks[its].current = false;
  if (mine >= 0)
    m->tracks[mine].current = false;
  m->video = (int)stream;
  m->other_video = 0;
}

/* The track's stream is another one of those that FFmpeg has for its programme's tables. */
static void go_over(media *m, unsigned stream) {
  media_track *e = &m->tracks[m->track_of[stream]];
  if (e->kind == CUFRAMES_MEDIA_VIDEO)
    m->video = (int)stream;
  m->sound = e->stream == m->sound ? (int)stream : m->sound;
  e->stream = (int)stream;
  e->current = false;
}

/* A stream that has become another codec's in its place has nothing left of what it was. */
static bool has_other_codec(media *m) {
  AVCodecParameters *now = m->in->streams[m->video]->codecpar;
  if (now->codec_type != AVMEDIA_TYPE_VIDEO || now->codec_id == AV_CODEC_ID_NONE ||
      now->codec_id == m->decoder_for->codec_id)
    return false;
  if (now->extradata_size > 0 && now->extradata_size == m->decoder_for->extradata_size &&
      memcmp(now->extradata, m->decoder_for->extradata, (size_t)now->extradata_size) == 0) {
    av_freep(&now->extradata);
    now->extradata_size = 0;
  }
  return true;
}

static int replace_decoder(media *m, enum AVCodecID was) {
  const enum AVCodecID now = m->in->streams[m->video]->codecpar->codec_id;
  publish_job_note(m->job, "%s: the video goes on as %s, was %s", m->job->input, avcodec_get_name(now),
                   avcodec_get_name(was));
  int code = media_decoder_drain(m);
  if (code == CLI_OK && media_decoder_open(m) < 0)
    code = publish_job_fail(m->job, "%s: %s", m->job->input, m->reason);
  media_note_rate(m);
  return code;
}

/* In a film whose tables FFmpeg has left apart. */
static int follow_tables(media *m, unsigned stream, bool *skip) {
  const enum AVCodecID was = m->decoder_for->codec_id, now = m->in->streams[stream]->codecpar->codec_id;
  const bool ours = m->track_of[stream] == m->track_of[m->video];
  *skip = ours && media_tables_is_late(m);
  if (*skip)
    return CLI_OK;
  int code = ours && (int)stream != m->video ? media_tables_tail(m) : CLI_OK;
  if (m->tracks[m->track_of[stream]].stream != (int)stream)
    go_over(m, stream);
  if (ours)
    media_tables_note(m);
  return code == CLI_OK && ours && now != was ? replace_decoder(m, was) : code;
}

/* A stream that another one goes on for: FFmpeg gives out its last packets much later, when they are no use to anybody;
 * and the table that names it may come back. Gives whether it has its track again. */
static bool is_back(media *m, unsigned stream) {
  unsigned heir = stream;
  while (m->heir[heir] >= 0)
    heir = (unsigned)m->heir[heir];
  const bool begins = kind_of(m->in->streams[stream]) != CUFRAMES_MEDIA_VIDEO || (m->packet->flags & AV_PKT_FLAG_KEY);
  const int number = m->track_of[heir];
  if (number < 0 || !begins || !is_in_program(m->in, stream) || is_in_program(m->in, heir))
    return false;
  m->heir[stream] = -1;
  m->heir[heir] = (int)stream;
  take_number(m, stream, number);
  return true;
}

/* Where there is sound alone. */
static void follow_sound(media *m, bool *skip) {
  const unsigned before = m->mapped;
  media_map(m);
  if (m->mapped > before)
    media_choose_late(m);
  const unsigned stream = (unsigned)m->packet->stream_index;
  *skip = stream < m->mapped && m->heir[stream] >= 0 && !is_back(m, stream);
  const int number = stream < m->mapped ? m->track_of[stream] : -1;
  if (!*skip && m->split && number >= 0 && m->tracks[number].stream != (int)stream)
    go_over(m, stream);
}

int media_follow_video(media *m, bool *skip) {
  if (m->video < 0) {
    follow_sound(m, skip);
    return CLI_OK;
  }
  const int before = m->video;
  const enum AVCodecID was = m->decoder_for->codec_id;
  media_map(m);
  const unsigned stream = (unsigned)m->packet->stream_index;
  *skip = stream < m->mapped && m->heir[stream] >= 0 && !is_back(m, stream);
  if (*skip)
    return CLI_OK;
  if (m->split && stream < m->mapped && m->track_of[stream] >= 0)
    return follow_tables(m, stream, skip);
  if (m->video == before && stream < m->mapped && is_successor(m, stream))
    take_over(m, stream);
  const bool same = m->in->streams[m->video]->codecpar->codec_id == was;
  if (m->video == before ? (int)stream != before || !has_other_codec(m) : same)
    return CLI_OK;
  return replace_decoder(m, was);
}

/* --- descriptions --- */

static uint32_t positive(int64_t value) {
  return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* A decoder knows what the container said, and what the pictures say on top of that. */
static void set_words(cuframes_codec_params *params, const media_words *words) {
  cuframes_color *color = &params->color;
  color->matrix = words->color.matrix ? words->color.matrix : color->matrix;
  color->range = words->color.range ? words->color.range : color->range;
  color->primaries = words->color.primaries ? words->color.primaries : color->primaries;
  color->transfer = words->color.transfer ? words->color.transfer : color->transfer;
  params->mastering_display = words->mastering_display;
  params->content_light = words->content_light;
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
  const uint8_t *display =
      av_compat_side(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof(AVMasteringDisplayMetadata));
  const uint8_t *light = av_compat_side(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof(AVContentLightMetadata));
  media_words words = { .chroma_location = av_words_chroma(from->chroma_location),
                        .field_order = av_words_fields(from->field_order),
                        .orientation = matrix != NULL ? av_words_orientation(matrix) : (uint8_t)0,
                        .sample_aspect_num = has_aspect ? (uint32_t)aspect.num : 0,
                        .sample_aspect_den = has_aspect ? (uint32_t)aspect.den : 0 };
  if (display)
    words.mastering_display = av_words_mastering_display((const void *)display);
  if (light)
    words.content_light = av_words_content_light((const void *)light);
  params->width = positive(from->width);
  params->height = positive(from->height);
  params->frame_rate_num = positive(rate.num);
  params->frame_rate_den = positive(rate.den);
  params->color = (cuframes_color){ .matrix = av_words_code_point(from->color_space),
                                    .range = av_words_range(from->color_range),
                                    .primaries = av_words_code_point(from->color_primaries),
                                    .transfer = av_words_code_point(from->color_trc) };
  set_words(params, &words);
}

/* FFmpeg's name of the codec; of data that it does not know, what the container calls it. Of RTP it keeps no name, but
 * cameras send one kind of such data: ONVIF's, which is text or packed. */
static void name_codec(const media *m, const AVStream *stream, char *name, size_t size) {
  const AVCodecParameters *from = stream->codecpar;
  const uint8_t *data = m->packet->data;
  if (from->codec_id != AV_CODEC_ID_NONE) {
    snprintf(name, size, "%s", avcodec_get_name(from->codec_id));
  } else if (from->codec_tag != 0) {
    av_fourcc_make_string(name, from->codec_tag);
  } else if (strcmp(m->in->iformat->name, "rtsp") == 0 && m->packet->size > 1 &&
             m->packet->stream_index == stream->index) {
    const bool packed = data[0] == 0x1f && data[1] == 0x8b;
    snprintf(name, size, "%s", data[0] == '<' ? "vnd.onvif.metadata" : packed ? "vnd.onvif.metadata.gzip" : "data");
  } else {
    snprintf(name, size, "data");
  }
}

static cuframes_codec_params params_of(const media *m, AVStream *stream) {
  const AVCodecParameters *from = stream->codecpar;
  bool video = from->codec_type == AVMEDIA_TYPE_VIDEO;
  cuframes_codec_params params;
  memset(&params, 0, sizeof params); /* padding too: it is compared as a whole */
  params.struct_size = sizeof params;
  params.media_type = kind_of(stream);
  name_codec(m, stream, params.codec, sizeof params.codec);
  params.profile = from->profile == AV_COMPAT_UNKNOWN ? UINT32_MAX : (uint32_t)from->profile;
  params.level = from->level == AV_COMPAT_UNKNOWN ? UINT32_MAX : (uint32_t)from->level;
  params.time_base_num = positive(stream->time_base.num);
  params.time_base_den = positive(stream->time_base.den);
  params.bit_rate = from->bit_rate > 0 ? (uint64_t)from->bit_rate : 0;
  if (video) {
    describe_picture(&params, stream);
  } else if (from->codec_type == AVMEDIA_TYPE_AUDIO) {
    params.sample_rate = positive(from->sample_rate);
    params.channels = positive(av_compat_channels(from));
    params.frame_size = positive(from->frame_size);
    if (params.bit_rate == 0 && from->bits_per_coded_sample > 0) /* of G.726 nothing else tells how it is coded */
      params.bit_rate = (uint64_t)params.sample_rate * params.channels * (uint64_t)from->bits_per_coded_sample;
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
  if (size == e->extradata_size && (size == 0 || memcmp(data, e->extradata, size) == 0))
    return;
  if (cuframes_publisher_set_codec_extradata(m->job->publisher, number, data, size) < 0) {
    publish_job_warn(m->job, "extradata of track %u: %s", number, cuframes_last_error());
    return;
  }
  uint8_t *copy = size > 0 ? malloc(size) : NULL;
  free(e->extradata);
  e->extradata = copy;
  e->extradata_size = copy ? size : 0;
  if (copy != NULL)
    memcpy(copy, data, size);
}

/* What the container says of a stream, in short: it is described anew if that changes. */
static uint64_t header_of(const AVCodecParameters *p) {
  const uint64_t prime = UINT64_C(1099511628211); /* FNV-1a */
  uint64_t hash = UINT64_C(14695981039346656037);
  for (int i = 0; i < p->extradata_size; i++)
    hash = (hash ^ p->extradata[i]) * prime;
  const uint64_t numbers[] = { (uint64_t)p->codec_id, (uint64_t)p->sample_rate, (uint64_t)av_compat_channels(p) };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    hash = (hash ^ numbers[i]) * prime;
  return hash;
}

/* To be done before the first packet that needs it, so that readers are told in time. */
static void describe_stream(media *m, uint32_t number, AVStream *stream) {
  media_track *e = &m->tracks[number];
  const AVCodecParameters *from = stream->codecpar;
  const uint64_t header = header_of(from);
  if (e->current && e->header == header)
    return;
  if (from->codec_id == AV_CODEC_ID_NONE && m->packet->stream_index != stream->index)
    return; /* its first packet will show what it is */
  const cuframes_codec_params params = params_of(m, stream);
  e->codec = from->codec_id;
  e->header = header;
  e->current = true;
  describe(m, number, &params);
  set_extradata(m, number, from->extradata, (size_t)from->extradata_size);
}

void media_describe(media *m) {
  media_map(m);
  if (m->job->options->no_packets)
    return;
  for (unsigned i = 0; i < m->mapped; i++)
    if (m->track_of[i] >= 0 && m->tracks[m->track_of[i]].stream == (int)i)
      describe_stream(m, (uint32_t)m->track_of[i], m->in->streams[i]);
}

void media_describe_start(media *m) {
  for (unsigned i = 0; i < m->mapped; i++) {
    const AVCodecParameters *from = m->in->streams[i]->codecpar;
    if (m->track_of[i] >= 0 && m->tracks[m->track_of[i]].stream == (int)i && m->tracks[m->track_of[i]].current)
      set_extradata(m, (uint32_t)m->track_of[i], from->extradata, (size_t)from->extradata_size);
  }
}

/* Parameter sets that came with the packet or in it. */
static void describe_sets(media *m, uint32_t number) {
  const media_track *e = &m->tracks[number];
  const bool replaced = e->extradata_size > 0;
  size_t size = 0;
  AVPacket *copy = NULL;
  const uint8_t *extradata = av_packet_get_side_data(m->packet, AV_PKT_DATA_NEW_EXTRADATA, &size);
  if (extradata == NULL && (copy = media_sets_of_packet(m, e->extradata, e->extradata_size)) != NULL)
    extradata = av_packet_get_side_data(copy, AV_PKT_DATA_NEW_EXTRADATA, &size);
  if (extradata != NULL)
    set_extradata(m, number, extradata, size);
  /* What comes in a file's packets comes there again in the next round. A camera may have told it once. */
  if (extradata != NULL && m->packet->stream_index == m->video && (copy == NULL || (replaced && m->live)))
    m->decoder_changed = true;
  av_packet_free(&copy);
}

/* What changed in mid-stream: parameter sets, or what the decoder found in its pictures. */
void media_describe_packet(media *m, uint32_t number) {
  describe_sets(m, number);
  if (m->packet->stream_index == m->video && m->format.width != 0) {
    cuframes_codec_params params = m->tracks[number].params;
    params.width = m->format.width;
    params.height = m->format.height;
    if (m->job->first_frame != 0)
      set_words(&params, &m->words);
    describe(m, number, &params);
  }
}

void media_track_free(media *m) {
  av_bsf_free(&m->sets);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    free(m->tracks[i].extradata);
    m->tracks[i].extradata = NULL;
    m->tracks[i].extradata_size = 0;
  }
}
