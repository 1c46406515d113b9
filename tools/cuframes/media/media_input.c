/* media_input.c - opening and reading an input: options and time-outs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli_avlog.h"
#include "media.h"
#include "media_device.h"

#define TIMEOUT_NS (10 * PUBLISH_SECOND) /* unless options say otherwise */
#define TIMEOUT_IN_PIECES_NS (30 * PUBLISH_SECOND)
#define TIMEOUT_SPARE_NS (2 * PUBLISH_SECOND)
#define PROBE_NS (5 * PUBLISH_SECOND) /* how long FFmpeg may look at what a live input sends, beyond the time-out */
#define CLOSE_NS (PUBLISH_SECOND / 2) /* how long a good-bye may take */
#define RETRY_READ (PUBLISH_SECOND / 200)
#define RETRY_DEVICE (PUBLISH_SECOND / 500) /* it adds to the delay of each picture */
#define STOPPED_NS PUBLISH_SECOND
#define INTERVAL_MAX (120 * PUBLISH_SECOND) /* beyond, it is a jump of times */
#define ASK_AGAIN (PUBLISH_SECOND / 10)     /* from one question for a single picture to the next, at least */
#define RARE 3 /* a picture may be late by so many times what passed between two of them before */

static bool is_network(const char *input) {
  static const char *const schemes[] = { "rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtp",  "srtp", "srt",  "udp",
                                         "tcp",  "tls",   "rist", "http",  "https", "mmsh", "mmst", "sctp", "udplite" };
  const char *end = strstr(input, "://");
  for (size_t i = 0; end != NULL && i < sizeof schemes / sizeof *schemes; i++) {
    size_t length = strlen(schemes[i]);
    if ((size_t)(end - input) == length && strncmp(input, schemes[i], length) == 0)
      return true;
  }
  return false;
}

/* What "-" is to FFmpeg. A file that was redirected can be read from any place if it is opened, as many must be. */
static const char *standard_input(void) {
  static const char path[] = "/dev/stdin";
  struct stat status;
  const bool file = fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
  return file && lseek(STDIN_FILENO, 0, SEEK_CUR) == 0 && access(path, R_OK) == 0 ? path : MEDIA_PIPE;
}

/* What is there is a file, also where its name looks like an address ("12:30.mp4"). */
bool media_input_init(media *m) {
  const char *input = m->job->options->input;
  const bool stream = strcmp(input, "-") == 0, there = !stream && access(input, F_OK) == 0;
  m->device = stream ? NULL : media_device_path(input);
  m->live = m->device != NULL || (!there && is_network(input));
  if (m->device != NULL || (!there && !stream))
    return true;
  const char *name = stream ? standard_input() : input;
  const size_t room = strlen(name) + sizeof "./";
  m->path = malloc(room);
  /* FFmpeg takes what stands before a colon for a protocol, unless there is a slash before. */
  if (m->path != NULL)
    snprintf(m->path, room, "%s%s", stream || *input == '/' ? "" : "./", name);
  media_leads_init(m);
  return m->path != NULL;
}

int64_t media_timeout(const media *m) {
  const int64_t given = m->job->options->timeout_ns;
  /* Their pictures come in pieces of several seconds, and a server may be late with one. */
  const bool in_pieces = m->in != NULL && m->in->iformat != NULL &&
                         (strcmp(m->in->iformat->name, "hls") == 0 || strcmp(m->in->iformat->name, "dash") == 0);
  return given != 0 ? given : in_pieces ? TIMEOUT_IN_PIECES_NS : TIMEOUT_NS;
}

int64_t media_picture_timeout(const media *m) {
  if (m->job->options->picture_timeout_ns != 0)
    return m->job->options->picture_timeout_ns;
  int64_t patience = media_timeout(m);
  const int64_t longer[] = { m->outage.patience, RARE * m->outage.rarest_picture, RARE * m->frame_duration };
  for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
    patience = longer[i] > patience ? longer[i] : patience;
  return patience;
}

/* Whether packets came since this was last asked. */
static bool packets_came(AVFormatContext *in) {
  bool some = false;
  for (unsigned i = 0; i < in->nb_streams; i++) {
    some = some || (in->streams[i]->event_flags & AVSTREAM_EVENT_FLAG_NEW_PACKETS) != 0;
    in->streams[i]->event_flags &= ~AVSTREAM_EVENT_FLAG_NEW_PACKETS;
  }
  return some;
}

/* FFmpeg asks about ten times a second, from wherever it waits. */
static int interrupted(void *opaque) {
  media *m = opaque;
  media_connection *c = &m->connection;
  /* A device is asked without waiting, and while FFmpeg looks what it gives it does nothing else. */
  if (m->device != NULL && c->probe_until != 0)
    (void)publish_job_wait(m->job, cuframes_now() + RETRY_DEVICE);
  const int64_t now = cuframes_now();
  if (c->call_deadline != 0 && now - c->looked > STOPPED_NS)
    c->call_deadline += now - c->looked; /* this process stood still, and what came meanwhile has not been looked at */
  c->looked = now;
  if (c->call_deadline != 0 && c->probe_until != 0 && packets_came(m->in))
    c->call_deadline = now + media_timeout(m) < c->probe_until ? now + media_timeout(m) : c->probe_until;
  if (c->call_deadline != 0 && now > c->call_deadline) {
    c->timed_out = true;
    return 1;
  }
  return !c->closing && publish_job_stopping(m->job);
}

static bool is_to_stop(void *opaque) {
  return interrupted(opaque) != 0;
}

/* A call that may take so long with an input that is live. */
static void begin_call(media *m, int64_t limit) {
  media_connection *c = &m->connection;
  c->timed_out = false;
  c->call_began = c->looked = cuframes_now();
  c->call_deadline = m->live ? c->call_began + limit : 0;
  publish_job_library(m->job, true);
}

static void end_call(media *m) {
  publish_job_library(m->job, false);
  m->connection.call_deadline = 0;
}

/* Flags that the user gives come to those that are set here: a device must not be waited for inside of FFmpeg, which
 * asks nobody meanwhile whether to go on. */
static void keep_flags(AVDictionary **options) {
  const AVDictionaryEntry *given = av_dict_get(*options, "fflags", NULL, AV_DICT_MATCH_CASE);
  char flags[PUBLISH_INPUT_OPTION_MAX + 1];
  if (given == NULL || *given->value == '+' || *given->value == '-')
    return;
  snprintf(flags, sizeof flags, "+%s", given->value);
  av_dict_set(options, "fflags", flags, 0);
}

static AVDictionary *input_options(const media *m) {
  AVDictionary *options = NULL;
  if (m->live) {
    /* Who does not know an option leaves it alone; but to RTMP, "timeout" means to be a server. */
    static const char *const knows_timeout[] = { "rtsp", "http", "tcp", "srt" };
    /* For calls that do not ask interrupted(); who asks ends before. */
    int64_t timeout_us = (media_timeout(m) + TIMEOUT_SPARE_NS) / 1000;
    av_dict_set_int(&options, "rw_timeout", timeout_us, 0);
    for (size_t i = 0; i < sizeof knows_timeout / sizeof *knows_timeout; i++)
      if (strncmp(m->job->options->input, knows_timeout[i], strlen(knows_timeout[i])) == 0)
        av_dict_set_int(&options, "timeout", timeout_us, 0);
  }
  if (m->path != NULL)
    av_dict_set(&options, "pattern_type", "none", 0); /* one picture, also where its name has a "%d" */
  if (media_transport_name(m) != NULL)
    av_dict_set(&options, "rtsp_transport", media_transport_name(m), 0);
  if (m->job->options->passphrase != NULL)
    av_dict_set(&options, "passphrase", m->job->options->passphrase, 0);
  if (media_setup_types(m) != NULL)
    av_dict_set(&options, "allowed_media_types", media_setup_types(m), 0);
  av_dict_set(&options, "merge_pmt_versions", media_tables_merge(m) ? "1" : "0", 0);
  media_leads_options(m, &options);
  media_extra_options(m, &options); /* last: who gives one knows better */
  if (m->device != NULL)
    keep_flags(&options);
  return options;
}

/* Lets FFmpeg look at packets, which it keeps for media_read(). */
static int probe(media *m) {
  media_connection *c = &m->connection;
  c->probe_until = cuframes_now() + media_timeout(m) + PROBE_NS;
  begin_call(m, media_timeout(m));
  int error = avformat_find_stream_info(m->in, NULL);
  end_call(m);
  if (error >= 0 && c->timed_out) {
    /* It makes do with what it has. If none came for so long, only those that lie ready will. */
    c->quiet = cuframes_now() < c->probe_until ? media_timeout(m) : 0;
    c->timed_out = false;
  }
  c->probe_until = 0;
  return error;
}

/* Whether the film's pictures lie before the place up to which it had to be read to know where they are, and the
 * server, or a pipe, has no way back. */
static bool lies_behind(const media *m) {
  const AVStream *stream = m->in->nb_streams > 0 ? m->in->streams[0] : NULL;
  const AVIndexEntry *first = stream != NULL ? avformat_index_get_entry((AVStream *)stream, 0) : NULL;
  return m->in->pb != NULL && !(m->in->pb->seekable & AVIO_SEEKABLE_NORMAL) && first != NULL &&
         strstr(m->in->iformat->name, "mp4") != NULL && first->pos < avio_tell(m->in->pb);
}

static int open_once(media *m, bool *again) {
  const AVInputFormat *format = m->device != NULL ? media_device_format(m) : media_multipart_format(m);
  *again = false;
  if (m->device != NULL && format == NULL)
    return AVERROR_DEMUXER_NOT_FOUND;
  m->in = avformat_alloc_context();
  if (m->in == NULL)
    return media_explain(m, AVERROR(ENOMEM), "cannot open");
  m->in->interrupt_callback = (AVIOInterruptCB){ .callback = interrupted, .opaque = m };
  m->in->opaque = m;
  if (m->device != NULL)
    m->in->flags |= AVFMT_FLAG_NONBLOCK;
  AVDictionary *options = input_options(m);
  /* Frees m->in if it fails. */
  begin_call(m, media_timeout(m));
  int error = media_relay_begin(m, is_to_stop);
  if (error == 0)
    error = media_variants_begin(m, options);
  media_leads_begin(m);
  const char *address = m->device != NULL ? m->device : m->path != NULL ? m->path : media_relay_address(m);
  if (error == 0)
    error = avformat_open_input(&m->in, address, format, &options);
  else
    avformat_free_context(m->in);
  end_call(m);
  m->opened_at = cuframes_now();
  media_extra_keep(m, options);
  av_dict_free(&options);
  media_relay_look(m);
  if (error < 0) {
    m->in = NULL;
    return media_explain(m, error, "cannot open");
  }
  m->connection.answered = true;
  m->connection.backwards = lies_behind(m);
  media_times_probe(m);
  media_tables_begin(m);
  error = probe(m);
  if (error >= 0 && publish_job_stopping(m->job))
    error = AVERROR_EXIT; /* it was interrupted, and what it found is not all */
  if (error < 0)
    return media_explain(m, error, "cannot find out what is in it");
  *again = media_tables_changed(m);
  return 0;
}

static int open_format(media *m) {
  bool again;
  int error = open_once(m, &again);
  while (error == 0 && again) {
    avformat_close_input(&m->in);
    error = open_once(m, &again);
  }
  return error;
}

/* Opens it in the way that it wants, as far as it can. */
static int open_somehow(media *m) {
  media_setup_begin(m);
  int error = open_format(m);
  for (bool other_way = false; error < 0;) {
    if (!media_setup_refused(m) && !media_multipart_refused(m, error)) {
      if (other_way || !media_transport_refused(m, error))
        break;
      other_way = true;
    }
    media_close(m);
    cli_avlog_hold(true);
    error = open_format(m);
  }
  if (error == 0) {
    media_setup_works(m);
    media_multipart_works(m);
  }
  return error;
}

void media_note_rate(media *m) {
  m->frame_duration = 0;
  if (m->video < 0)
    return;
  const AVStream *stream = m->in->streams[m->video];
  AVRational rate = stream->avg_frame_rate.num > 0 ? stream->avg_frame_rate : stream->r_frame_rate;
  m->frame_duration = rate.num > 0 && rate.den > 0 ? av_rescale(PUBLISH_SECOND, rate.den, rate.num) : 0;
}

int media_open(media *m) {
  m->connection = (media_connection){ .began = cuframes_now() };
  m->device_trouble = MEDIA_DEVICE_OTHER;
  media_length_begin(m);
  cli_avlog_hold(true);
  int error = open_somehow(m);
  cli_avlog_hold(false);
  if (error == 0)
    error = media_choose(m);
  if (error == 0)
    error = media_decoder_open(m);
  if (error == 0)
    media_note_rate(m);
  media_codec_begin(m);
  m->mapped = 0;
  m->table_began = 0;
  m->table_last = AV_NOPTS_VALUE;
  m->connection.error = error;
  if (error < 0)
    media_close(m);
  return error;
}

void media_close(media *m) {
  media_hold_drop(m);
  media_repeated_forget(m);
  media_document_forget(m);
  media_order_close(m);
  media_side_forget(m); /* the next times are of another clock */
  m->connection.closing = true;
  begin_call(m, CLOSE_NS); /* RTSP says good-bye here; a camera with few sessions lets nobody in until it hears that */
  avformat_close_input(&m->in);
  end_call(m);
  media_relay_end(m);
  m->connection.closing = false;
}

/* How seldom pictures come: by our clock, or by the source's where several were read ahead. */
static void note_interval(media *m) {
  media_connection *c = &m->connection;
  int64_t *rarest = &m->outage.rarest_picture, interval = c->pictureless;
  const AVRational base = m->in->streams[media_lead(m)]->time_base;
  /* FFmpeg makes up a dts by the rate that the film tells. */
  const int64_t stamp = m->packet->pts != AV_NOPTS_VALUE ? m->packet->pts : m->packet->dts;
  const int64_t time = media_source_ns(stamp, base);
  if (c->pictures > 0) {
    const bool timed = time != CUFRAMES_NO_TIME && c->picture_time != CUFRAMES_NO_TIME;
    const int64_t step = timed ? time - c->picture_time : 0;
    if (step > interval && step < INTERVAL_MAX)
      interval = step;
    *rarest = interval > *rarest ? interval : *rarest - (*rarest - interval) / 16; /* it is forgotten slowly */
  }
  c->picture_time = time;
}

/* What a call that gave this, and a packet if it is 0, says of the connection. */
static void note_read(media *m, int error) {
  media_connection *c = &m->connection;
  const int64_t now = cuframes_now(), waited = now - c->call_began;
  /* At the end of what comes, parsers give the packet they kept back for what should have followed it. */
  c->stalled = c->stalled || c->timed_out;
  c->quiet += waited;
  c->pictureless += waited;
  if (error != 0 || c->stalled)
    return;
  c->quiet = 0;
  c->packet_at = now;
  media_length_note(m);
  if (m->packet->stream_index == media_lead(m)) {
    note_interval(m);
    c->pictures++;
    c->pictureless = 0;
    c->picture_at = now;
  }
}

bool media_is_snapshot(const media *m) {
  const char *name = m->in->iformat->name, *end = strstr(name, "_pipe");
  const bool picture =
      (end != NULL && end[strlen("_pipe")] == '\0') || strcmp(name, "mjpeg") == 0 || strcmp(name, "image2") == 0;
  return m->live && picture && m->connection.pictures <= 1 && strncmp(m->job->options->input, "http", 4) == 0;
}

bool media_ask_again(media *m) {
  m->outage.stills = true;
  m->outage.packet_at = m->connection.packet_at;
  return publish_job_wait(m->job, m->connection.began + ASK_AGAIN);
}

/* Where a web server tells no length, the end of the connection is that of what it had; FFmpeg calls it an error. */
static bool is_end(media *m, int error) {
  return error == AVERROR_EOF || (error == AVERROR(EIO) && strncmp(m->job->options->input, "http", 4) == 0 &&
                                  m->in->pb != NULL && avio_size(m->in->pb) <= 0);
}

static int explain_stall(media *m) {
  const media_connection *c = &m->connection;
  const bool pictures = c->pictureless >= media_picture_timeout(m) && c->quiet < media_timeout(m);
  const double seconds = (double)(pictures ? media_picture_timeout(m) : media_timeout(m)) / 1e9;
  const bool sound = m->video < 0;
  snprintf(m->reason, sizeof m->reason, "timed out: no %s for %.3g s%s",
           !pictures ? "packet"
           : sound   ? "sound"
                     : "picture",
           seconds,
           !pictures || c->packet_at <= c->picture_at ? ""
           : sound                                    ? ", while other packets came"
                                                      : ", while sound or data came");
  m->connection.error = AVERROR(ETIMEDOUT);
  return AVERROR(ETIMEDOUT);
}

int media_read(media *m) {
  media_connection *c = &m->connection;
  const int64_t left = media_timeout(m) - c->quiet, picture_left = media_picture_timeout(m) - c->pictureless;
  /* A device never waits, and so is not interrupted. */
  if (m->live && (picture_left <= 0 || (m->device != NULL && left <= 0)))
    return explain_stall(m);
  begin_call(m, left < picture_left ? left : picture_left);
  int error = av_read_frame(m->in, m->packet);
  end_call(m);
  if (m->device != NULL && error == 0 && m->packet->size == 0) {
    av_packet_unref(m->packet); /* a picture that the driver calls damaged: to a decoder this would be the end */
    error = AVERROR(EAGAIN);
  }
  if (error == AVERROR(EAGAIN)) /* the caller asks whether to stop */
    (void)publish_job_wait(m->job, cuframes_now() + (m->device != NULL ? RETRY_DEVICE : RETRY_READ));
  if (error < 0 && is_end(m, error))
    error = AVERROR_EOF;
  note_read(m, error);
  c->still = error == AVERROR_EOF && !c->stalled && c->pictures == 1 && media_is_snapshot(m);
  if (m->live && !c->still && (c->stalled || (error < 0 && error != AVERROR(EAGAIN))))
    publish_state_leaving(m->job);
  if (error < 0 && error != AVERROR(EAGAIN)) {
    media_relay_look(m);
    media_multipart_broke(m, error);
  }
  if (error == 0 || error == AVERROR(EAGAIN) || (error == AVERROR_EOF && !c->stalled))
    return error;
  if (c->stalled && !publish_job_stopping(m->job))
    return explain_stall(m);
  return media_explain(m, error, "cannot read on");
}

int media_rewind(media *m) {
  /* Only an index leads to the very first packet; where there may be none, opening again does. */
  bool seekable = m->in->pb != NULL && (m->in->pb->seekable & AVIO_SEEKABLE_NORMAL) &&
                  !(m->in->iformat->flags & (AVFMT_TS_DISCONT | AVFMT_NOTIMESTAMPS | AVFMT_NOFILE));
  int64_t start = m->in->start_time == AV_NOPTS_VALUE ? 0 : m->in->start_time;
  begin_call(m, media_timeout(m));
  bool done = seekable && avformat_seek_file(m->in, -1, INT64_MIN, start, start, 0) >= 0;
  end_call(m);
  media_length_begin(m);
  if (done)
    return media_decoder_open(m);
  media_close(m);
  return media_open(m);
}
