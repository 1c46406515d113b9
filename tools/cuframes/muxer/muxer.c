/* muxer.c - packets into a file: which tracks, when the file begins, what is written.
 *
 * Sudden ends. MP4 is written in fragments of about a second, Matroska in clusters of a second, and TS needs nothing:
 * a file cut off anywhere, by a full disk or a kill, plays up to there.
 */
#include "muxer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/av_compat.h"
#include "containers.h"
#include "muxer_parts.h"
#include "parameter_sets.h"
#include "tracks.h"

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
/* A stream that is so far behind the leading one has stopped: the limit does not wait for it. */
#define LAGGARD_NS SECOND
/* How much of the stream is kept for a track that is announced and does not come: time, packets, bytes. */
#define WAIT_NS SECOND
#define WAIT_PACKETS 4096
#define WAIT_BYTES (UINT64_C(32) << 20)

static const AVRational nanoseconds = { 1, 1000000000 };

muxer *muxer_create(const char *path, const muxer_options *options) {
  muxer *m = calloc(1, sizeof(*m));
  if (!m)
    return NULL;
  const size_t room = strlen(path) + sizeof("file:");
  m->to_stdout = !strcmp(path, "-");
  m->options = *options;
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
  const bool source_times = options->io && options->source_times && !strcmp(m->output->oformat->name, "nut");
  if (source_times) /* it holds no decoding times, and libavformat would move all times for the sake of negative ones */
    m->output->avoid_negative_ts = 0;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    m->tracks[i].last_written = source_times ? -1 : INT64_MIN;
  muxer_times_init(&m->times);
  return m;
}

const char *muxer_problem(const muxer *m) {
  return m->problem;
}

bool muxer_has_begun(const muxer *m) {
  return m->opened || m->waiting_count > 0;
}

bool muxer_lacks_sets(const muxer *m) {
  return m->lacks_sets && !muxer_has_begun(m);
}

int muxer_error(const muxer *m) {
  return m->error;
}

int64_t muxer_position(const muxer *m) {
  const track_times *t = &m->times.track[m->lead];
  const int64_t length = t->first == NO_TIME ? 0 : t->next - t->first;
  return m->options.limit_ns && length > m->options.limit_ns ? m->options.limit_ns : length;
}

uint64_t muxer_packets(const muxer *m) {
  return m->packets;
}

uint64_t muxer_refused(const muxer *m) {
  return m->refused;
}

uint64_t muxer_bytes(const muxer *m) {
  return m->output->pb ? (uint64_t)avio_tell(m->output->pb) : m->bytes;
}

bool muxer_has(const muxer *m, uint32_t index) {
  return index < CUFRAMES_TRACKS_MAX && m->tracks[index].described != NULL;
}

const char *muxer_codec(const muxer *m, uint32_t index) {
  const AVStream *stream = m->tracks[index].stream;
  return stream ? avcodec_get_name(stream->codecpar->codec_id) : m->tracks[index].params.codec;
}

const char *muxer_conversion(const muxer *m, uint32_t index) {
  return m->tracks[index].conversion ? conversion_name(m->tracks[index].conversion) : NULL;
}

bool muxer_holds_orientation(const muxer *m) {
  const char *name = m->output->oformat->name;
  return !strcmp(name, "mp4") || (!strcmp(name, "matroska") && AV_COMPAT_MATROSKA_TURNS);
}

/* ---- which tracks ---- */

static bool is_wanted(const muxer *m, uint32_t index, bool video) {
  const muxer_tracks *w = &m->options.tracks;
  if (!video && m->options.audio == MUXER_AUDIO_NONE)
    return false;
  if (w->indices == 0 && !w->video && !w->audio)
    return true;
  return w->indices >> index & 1 || (video ? w->video : w->audio);
}

/* Whether the container takes the codec, or what it becomes. */
static bool can_hold(muxer *m, uint32_t index, const cuframes_codec_params *params) {
  const char *container = m->output->oformat->name;
  const bool audio = params->media_type == CUFRAMES_MEDIA_AUDIO;
  char advice[80];
  if (tracks_codec_id(params->codec) == AV_CODEC_ID_NONE) {
    snprintf(m->problem, sizeof(m->problem), "stream %u is %s, which is not known here", index, params->codec);
    return false;
  }
  if (containers_hold(container, params->codec) || (audio && m->options.audio == MUXER_AUDIO_AAC))
    return true;
  containers_advise(params->codec, audio, advice, sizeof(advice));
  snprintf(m->problem, sizeof(m->problem), "stream %u: players do not find %s in %s; %s", index, params->codec,
           container, advice);
  return false;
}

static bool add_track(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata,
                      size_t size) {
  track *t = &m->tracks[index];
  t->params = *params;
  t->video = params->media_type == CUFRAMES_MEDIA_VIDEO;
  if (!t->video && params->media_type != CUFRAMES_MEDIA_AUDIO) {
    const muxer_tracks *w = &m->options.tracks;
    snprintf(m->problem, sizeof(m->problem), "stream %u (%s) is neither video nor sound", index, params->codec);
    return !(w->indices >> index & 1) &&
           (w->indices || w->video || w->audio); /* who chose others wants to hear nothing */
  }
  if (!is_wanted(m, index, t->video))
    return true;
  if (!can_hold(m, index, params))
    return false;
  avcodec_parameters_free(&t->described);
  t->described = tracks_parameters(params, extradata, size);
  if (!t->described)
    return muxer_note_error(m, AVERROR(ENOMEM));
  muxer_times_track(&m->times, index, params);
  t->needs_key = t->video;
  muxer_choose_lead(m);
  return true;
}

static bool same_bytes(const AVCodecParameters *one, const void *data, size_t size) {
  return (size_t)one->extradata_size == size && (size == 0 || memcmp(one->extradata, data, size) == 0);
}

static bool open_file(muxer *m);

static void say_outdated(muxer *m, uint32_t index, const cuframes_codec_params *before) {
  const cuframes_codec_params *now = &m->tracks[index].params;
  if (strcmp(now->codec, before->codec) != 0)
    snprintf(m->problem, sizeof(m->problem), "stream %u is %s from here on, was %s", index, now->codec, before->codec);
  else if (m->tracks[index].video && (now->width != before->width || now->height != before->height))
    snprintf(m->problem, sizeof(m->problem), "stream %u is %ux%u from here on, was %ux%u", index, now->width,
             now->height, before->width, before->height);
  else if (now->sample_rate != before->sample_rate || now->channels != before->channels)
    snprintf(m->problem, sizeof(m->problem), "stream %u has %u Hz and %u channels from here on", index,
             now->sample_rate, now->channels);
  else
    snprintf(m->problem, sizeof(m->problem), "stream %u is described anew from here on", index);
}

/* A track of a file that has begun. */
static bool describe_anew(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata,
                          size_t size) {
  track *t = &m->tracks[index];
  if (!t->stream) {
    if (!is_wanted(m, index, params->media_type == CUFRAMES_MEDIA_VIDEO))
      return true;
    snprintf(m->problem, sizeof(m->problem), "stream %u (%s) came when the file had begun; it joins with the next one",
             index, params->codec);
    return false;
  }
  const cuframes_codec_params before = t->params;
  AVCodecParameters *now = tracks_parameters(params, extradata, size);
  if (!now)
    return muxer_note_error(m, AVERROR(ENOMEM));
  t->params = *params;
  if (!t->outdated && !conversion_change(t->conversion, now)) {
    t->outdated = true;
    say_outdated(m, index, &before);
  }
  avcodec_parameters_free(&t->described);
  t->described = now;
  return true;
}

/* Whether what is waiting was described otherwise. Sizes and the like are found out later than they hold. */
static bool is_other(const track *t, const cuframes_codec_params *params, const void *extradata, size_t size) {
  return strcmp(t->params.codec, params->codec) != 0 || !same_bytes(t->described, extradata, size) ||
         t->params.sample_rate != params->sample_rate || t->params.channels != params->channels;
}

bool muxer_describe(muxer *m, uint32_t index, const cuframes_codec_params *params, const void *extradata, size_t size) {
  track *t = &m->tracks[index];
  if (m->failed)
    return false;
  if (t->described && !is_other(t, params, extradata, size)) {
    t->params = *params;
    return true;
  }
  if (t->described && m->waiting_count > 0 && !open_file(m))
    return false;
  return m->opened ? describe_anew(m, index, params, extradata, size) : add_track(m, index, params, extradata, size);
}

bool muxer_takes(muxer *m, const cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet);
  track *t = index < CUFRAMES_TRACKS_MAX ? &m->tracks[index] : NULL;
  if (!t || m->failed || !t->described)
    return true;
  /* a second keyframe of the track: whether its sets are others can be said when the file has its own */
  if (!m->opened && muxer_knows_beginning(m) && t->video && cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY &&
      muxer_first_of(m, index) && parameter_sets_known(t->described->codec_id) && !open_file(m))
    return true; /* muxer_write() tells */
  if (t->outdated)
    return false; /* it was said of which kind */
  AVPacket *looked_at = t->stream ? muxer_av_packet(packet) : NULL;
  const bool goes_on = !looked_at || conversion_goes_on(t->conversion, looked_at);
  av_packet_free(&looked_at);
  if (!goes_on)
    snprintf(m->problem, sizeof(m->problem), "stream %u has other %s from here on", index,
             t->video ? "parameter sets" : "headers");
  return goes_on;
}

static bool take(muxer *m, const cuframes_packet *packet);

/* Opens the file for what is waiting, and writes that. */
static bool open_file(muxer *m) {
  if (!muxer_prepare_tracks(m) || !muxer_write_head(m))
    return false;
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    muxer_times_ahead(&m->times, i, m->waiting, m->waiting_count);
  cuframes_packet **waiting = m->waiting;
  const size_t count = m->waiting_count;
  bool well = true;
  const int64_t beginning = muxer_beginning(m);
  if (beginning != NO_TIME)
    muxer_times_begin(&m->times, beginning, !m->options.source_times || beginning < 0);
  m->begun = beginning != NO_TIME;
  m->waiting = NULL;
  m->waiting_count = 0;
  for (size_t i = 0; i < count; i++) {
    well = well && take(m, waiting[i]);
    cuframes_packet_release(waiting[i]);
  }
  free(waiting);
  return well && (!m->cut || muxer_cut_passed(m));
}

/* ---- waiting for the tracks ---- */

/* What of the stream has come since the file began, as far as times tell. */
static int64_t waited(const muxer *m) {
  int64_t least = INT64_MAX, most = INT64_MIN;
  for (size_t i = 0; i < m->waiting_count; i++) {
    const int64_t dts = cuframes_packet_dts(m->waiting[i]), pts = cuframes_packet_pts(m->waiting[i]);
    const int64_t time = dts != NO_TIME ? dts : pts;
    if (cuframes_packet_track(m->waiting[i]) != m->lead || time == NO_TIME)
      continue;
    least = time < least ? time : least;
    most = time > most ? time : most;
  }
  return most > least ? most - least : 0;
}

/* Whether something that a file's head should have may still come with a track's first packet or picture. */
static bool lacks_something(const muxer *m, uint32_t index) {
  const track *t = &m->tracks[index];
  if (!t->described)
    return false;
  const bool packet_tells = !tracks_known(t->described) || tracks_make_head(t->described->codec_id);
  return tracks_lack_light(&t->params) || (packet_tells && !muxer_first_of(m, index));
}

/* Whether all that is announced is known well enough, and when the first packet is to be shown. */
static bool is_ready(const muxer *m) {
  bool timed = false;
  for (size_t i = 0; !timed && i < m->waiting_count; i++)
    timed = cuframes_packet_track(m->waiting[i]) == m->lead &&
            (cuframes_packet_pts(m->waiting[i]) != NO_TIME || cuframes_packet_dts(m->waiting[i]) != NO_TIME);
  for (uint32_t i = 0; timed && i < CUFRAMES_TRACKS_MAX; i++)
    timed = !lacks_something(m, i);
  return timed;
}

/* Whether decoding can start here: with parameter sets in the keyframe, or known before it. */
static bool can_begin(const muxer *m, const cuframes_packet *packet) {
  const AVCodecParameters *p = m->tracks[m->lead].described;
  parameter_sets sets;
  if (!parameter_sets_known(p->codec_id) || p->extradata_size > 0)
    return true;
  if (!parameter_sets_of_packet(p->codec_id, 0, cuframes_packet_data(packet), cuframes_packet_size(packet), &sets))
    return true;
  const bool whole = parameter_sets_whole(p->codec_id, &sets);
  parameter_sets_free(&sets);
  return whole;
}

static bool wait_with(muxer *m, const cuframes_packet *packet) {
  muxer_begin_later(m, packet);
  if (m->waiting_count == m->waiting_room) {
    const size_t room = m->waiting_room ? 2 * m->waiting_room : 64;
    cuframes_packet **more = realloc(m->waiting, room * sizeof(*more));
    if (!more)
      return muxer_note_error(m, AVERROR(ENOMEM));
    m->waiting = more;
    m->waiting_room = room;
  }
  m->waiting[m->waiting_count++] = cuframes_packet_ref((cuframes_packet *)(uintptr_t)packet);
  m->waiting_bytes += cuframes_packet_size(packet);
  const int64_t limit = m->options.limit_ns;
  const int64_t time = limit && limit < WAIT_NS ? limit : WAIT_NS;
  if (m->waiting_bytes > WAIT_BYTES || m->waiting_count > WAIT_PACKETS ||
      (muxer_knows_beginning(m) && (is_ready(m) || waited(m) >= time)))
    return open_file(m);
  return true;
}

/* ---- writing ---- */

/* A packet as the container has it; times are the file's. */
static int write_packet(muxer *m, track *t, AVPacket *packet) {
  const enum AVCodecID codec = t->stream->codecpar->codec_id;
  /* What a file does not call a place to begin at is left out by who copies from it. */
  if (!t->video && codec != AV_CODEC_ID_TRUEHD && codec != AV_CODEC_ID_MLP)
    packet->flags |= AV_PKT_FLAG_KEY;
  packet->stream_index = t->stream->index;
  av_packet_rescale_ts(packet, nanoseconds, t->time_base);
  if (packet->dts <= t->last_written)
    packet->dts = t->last_written + 1;
  if (packet->pts < packet->dts)
    packet->pts = packet->dts;
  t->last_written = packet->dts;
  av_packet_rescale_ts(packet, t->time_base, t->stream->time_base);
  int error = av_interleaved_write_frame(m->output, packet);
  m->packets += error >= 0;
  if (error >= 0 && m->options.io && !strcmp(m->output->oformat->name, "matroska"))
    error = av_write_frame(m->output, NULL); /* else a second of it is kept, to be written as one cluster */
  return error;
}

/* Whatever is wrong with one packet is no reason to end a recording. */
static bool is_packets_own(int error) {
  return error == AVERROR_INVALIDDATA || error == AVERROR_PATCHWELCOME || error == AVERROR(EINVAL);
}

/* NULL: what is left in the conversion at the end. */
static bool convert(muxer *m, track *t, AVPacket *packet) {
  AVPacket *out = av_packet_alloc();
  int error = out ? conversion_send(t->conversion, packet) : AVERROR(ENOMEM);
  while (error >= 0) {
    error = conversion_receive(t->conversion, out);
    if (error >= 0)
      error = write_packet(m, t, out);
  }
  av_packet_free(&out);
  if (is_packets_own(error) && m->refused++ == 0)
    muxer_say(m, "stream %u: a packet is damaged and left out", (unsigned)(t - m->tracks));
  return error == AVERROR(EAGAIN) || error == AVERROR_EOF || is_packets_own(error) || muxer_note_error(m, error);
}

/* What lies before the beginning of the film can be hidden. */
static bool is_cut(const muxer *m) {
  return m->cut && !m->cut_passed;
}

/* Whether a packet that is not to be shown, so long after the beginning of the file, stays out of it. Sound is not
 * wanted where it cannot be hidden; of pictures, others may be decoded from them, unless they come before the first
 * keyframe. */
static bool leaves_out(muxer *m, const track *t, int64_t shown) {
  const bool hides = is_cut(m);
  if (hides ? shown < 0 : !t->video || shown < 0)
    return !hides;
  if (!t->video)
    return true;
  if (!m->hidden_said)
    muxer_say(m, "pictures that are not to be shown are in the file, for others are decoded from them, and players "
                 "show them; MP4 hides them, at the beginning of a file");
  m->hidden_said = true;
  return false;
}

/* Whether decoding goes on with a packet, or begins with it, or will with the next keyframe. */
static bool goes_on(const muxer *m, uint32_t index, uint32_t flags) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (m->tracks[i].stream && m->tracks[i].needs_key)
      return false;
  return !m->tracks[index].video || !(flags & CUFRAMES_PACKET_KEY);
}

/* At the times that the source says, brought into the file's. */
static bool take_now(muxer *m, const cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet), flags = cuframes_packet_flags(packet);
  track *t = &m->tracks[index];
  int64_t pts, dts;
  muxer_times_source(&m->times, packet, &pts, &dts);
  if (!m->begun)
    muxer_times_begin(&m->times, pts, !m->options.source_times || pts < 0);
  else
    muxer_times_join(&m->times, index, pts, dts, goes_on(m, index, flags));
  m->begun = true;
  pts += m->times.offset;
  dts += m->times.offset;
  const int64_t shown = pts - m->times.begin;
  if (flags & CUFRAMES_PACKET_HIDDEN ? leaves_out(m, t, shown) : !t->video && m->have_video && shown < 0 && !is_cut(m))
    return true;
  const int64_t duration = muxer_times_note(&m->times, packet, pts, dts);
  const int64_t first = m->times.track[index].first;
  t->done = m->options.limit_ns && first != NO_TIME && dts - first >= m->options.limit_ns;
  if (t->done)
    return true;
  AVPacket *copy = muxer_av_packet(packet);
  if (!copy)
    return muxer_note_error(m, AVERROR(ENOMEM));
  copy->pts = pts;
  copy->dts = dts;
  copy->duration = duration;
  const bool well = convert(m, t, copy);
  av_packet_free(&copy);
  return well;
}

/* A packet of a file that is open. */
static bool take(muxer *m, const cuframes_packet *packet) {
  track *t = &m->tracks[cuframes_packet_track(packet)];
  if (!t->stream || (t->needs_key && !(cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY)))
    return true;
  t->needs_key = false;
  if (t->video && muxer_keep_hidden(m, t, packet))
    return true;
  bool well = !m->failed;
  for (size_t i = 0; well && i < t->hidden_count; i++)
    well = take_now(m, t->hidden[i]);
  muxer_forget_hidden(t);
  return well && take_now(m, packet);
}

bool muxer_write(muxer *m, const cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet), flags = cuframes_packet_flags(packet);
  const bool anew = flags & CUFRAMES_PACKET_DISCONTINUITY && !m->same_epoch;
  m->same_epoch = false;
  if (m->failed)
    return false;
  if (anew && m->waiting_count > 0 && !open_file(m))
    return false;
  if (m->opened && anew) {
    muxer_resync(m);
    muxer_times_epoch(&m->times);
  }
  if (index >= CUFRAMES_TRACKS_MAX || !m->tracks[index].described)
    return true;
  if (m->opened)
    return take(m, packet);
  const uint32_t begins = m->have_video ? flags & CUFRAMES_PACKET_KEY : !(flags & CUFRAMES_PACKET_HIDDEN);
  if (m->waiting_count == 0 && (index != m->lead || !begins))
    return true;
  m->lacks_sets = m->waiting_count == 0 && m->have_video && !can_begin(m, packet);
  if (m->lacks_sets)
    return true;
  return wait_with(m, packet);
}

void muxer_same_epoch(muxer *m) {
  m->same_epoch = true;
}

void muxer_resync(muxer *m) {
  for (int i = 0; m->opened && i < CUFRAMES_TRACKS_MAX; i++) {
    m->tracks[i].needs_key = m->tracks[i].video;
    muxer_forget_hidden(&m->tracks[i]);
  }
}

bool muxer_done(const muxer *m) {
  const track *lead = &m->tracks[m->lead];
  if (!m->options.limit_ns || !m->opened)
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

/* ---- the end ---- */

static int close_output(muxer *m) {
  if (!m->options.io)
    return avio_closep(&m->output->pb);
  m->output->pb = NULL;
  avio_flush(m->options.io);
  return m->options.io->error;
}

bool muxer_finish(muxer *m) {
  if (!m->failed && !m->opened && m->waiting_count > 0)
    (void)open_file(m);
  for (int i = 0; m->opened && !m->failed && i < CUFRAMES_TRACKS_MAX; i++)
    if (m->tracks[i].conversion)
      (void)convert(m, &m->tracks[i], NULL);
  if (m->opened && !m->failed)
    (void)muxer_note_error(m, av_write_trailer(m->output));
  m->bytes = muxer_bytes(m);
  const int closed = close_output(m);
  muxer_cut_finish(m);
  if (!m->failed)
    (void)muxer_note_error(m, closed);
  return !m->failed;
}

void muxer_free(muxer *m) {
  if (!m)
    return;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    avcodec_parameters_free(&m->tracks[i].described);
    conversion_free(m->tracks[i].conversion);
    muxer_forget_hidden(&m->tracks[i]);
  }
  for (size_t i = 0; i < m->waiting_count; i++)
    cuframes_packet_release(m->waiting[i]);
  free(m->waiting);
  if (m->output->pb)
    (void)close_output(m); /* open only if nobody finished: then nobody asks either */
  avformat_free_context(m->output);
  free(m->path);
  free(m);
}
