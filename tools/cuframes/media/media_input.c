/* media_input.c - opening and reading an input: options, time-outs, and saying what is wrong. */
#include <string.h>
#include <sys/stat.h>

#include "common/cli_avlog.h"
#include "media.h"

#define PROBE_NS (5 * PUBLISH_SECOND) /* how long FFmpeg may look at a live input, beyond the time-out */

bool media_is_network(const char *input) {
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

bool media_is_permanent(int error) {
  return error == AVERROR_PROTOCOL_NOT_FOUND || error == AVERROR_DEMUXER_NOT_FOUND ||
         error == AVERROR_DECODER_NOT_FOUND || error == AVERROR_OPTION_NOT_FOUND || error == AVERROR(EINVAL) ||
         error == AVERROR(ENOMEM) || error == AVERROR_STREAM_NOT_FOUND;
}

static int interrupted(void *opaque) {
  media *m = opaque;
  if (m->call_deadline != 0 && cuframes_now() > m->call_deadline) {
    m->timed_out = true;
    return 1;
  }
  return publish_job_stopping(m->job);
}

static void begin_call(media *m, int64_t extra) {
  m->timed_out = false;
  m->call_deadline = m->live ? cuframes_now() + m->job->options->timeout_ns + extra : 0;
  publish_job_library(m->job, true);
}

static void end_call(media *m) {
  publish_job_library(m->job, false);
  m->call_deadline = 0;
}

/* What is wrong, in words: of a file what can be seen of it, else FFmpeg's text and its last log line. */
int media_explain(media *m, int error, const char *what) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  const char *path = strncmp(m->job->options->input, "file:", 5) ? m->job->options->input : m->job->options->input + 5;
  const char *said = cli_avlog_last();
  struct stat status;
  if (publish_job_stopping(m->job))
    return error; /* it is we who ended the call: the reason before stands */
  av_strerror(error, text, sizeof text);
  if (m->timed_out || error == AVERROR(ETIMEDOUT)) {
    snprintf(m->reason, sizeof m->reason, "timed out: no answer within %.3g s",
             (double)m->job->options->timeout_ns / 1e9);
  } else if (!m->live && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
    snprintf(m->reason, sizeof m->reason, "is a directory");
  } else if (!m->live && stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0) {
    snprintf(m->reason, sizeof m->reason, "the file is empty");
  } else if (error == AVERROR_INVALIDDATA && !m->live) {
    snprintf(m->reason, sizeof m->reason, "%s: no media file, or a damaged one%s%s%s", what, *said ? " (" : "", said,
             *said ? ")" : "");
  } else {
    bool more = *said && strstr(said, text) == NULL;
    snprintf(m->reason, sizeof m->reason, "%s: %s%s%s%s", what, text, more ? " (" : "", more ? said : "",
             more ? ")" : "");
  }
  return error;
}

static AVDictionary *input_options(const media *m) {
  AVDictionary *options = NULL;
  if (m->live) {
    /* Who does not know an option leaves it alone; but to RTMP, "timeout" means to be a server. */
    static const char *const knows_timeout[] = { "rtsp", "http", "tcp", "srt" };
    int64_t timeout_us = m->job->options->timeout_ns / 1000 ? m->job->options->timeout_ns / 1000 : 1;
    av_dict_set_int(&options, "rw_timeout", timeout_us, 0);
    for (size_t i = 0; i < sizeof knows_timeout / sizeof *knows_timeout; i++)
      if (strncmp(m->job->options->input, knows_timeout[i], strlen(knows_timeout[i])) == 0)
        av_dict_set_int(&options, "timeout", timeout_us, 0);
  }
  if (strncmp(m->job->options->input, "rtsp", 4) == 0)
    av_dict_set(&options, "rtsp_transport", m->job->options->udp ? "udp" : "tcp", 0);
  return options;
}

static int open_format(media *m) {
  m->in = avformat_alloc_context();
  if (m->in == NULL)
    return media_explain(m, AVERROR(ENOMEM), "cannot open");
  m->in->interrupt_callback = (AVIOInterruptCB){ .callback = interrupted, .opaque = m };
  m->in->opaque = m;
  AVDictionary *options = input_options(m);
  begin_call(m, 0);
  int error = avformat_open_input(&m->in, m->job->options->input, NULL, &options); /* frees m->in if it fails */
  end_call(m);
  av_dict_free(&options);
  if (error < 0)
    return media_explain(m, error, "cannot open");
  begin_call(m, PROBE_NS);
  error = avformat_find_stream_info(m->in, NULL);
  end_call(m);
  if (error >= 0 && publish_job_stopping(m->job))
    error = AVERROR_EXIT; /* it was interrupted, and what it found is not all */
  return error < 0 ? media_explain(m, error, "cannot find out what is in it") : 0;
}

static int choose_video(media *m) {
  m->video = av_find_best_stream(m->in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
  if (m->video < 0 || (m->in->streams[m->video]->disposition & AV_DISPOSITION_ATTACHED_PIC)) {
    snprintf(m->reason, sizeof m->reason, "has no video stream");
    return AVERROR_STREAM_NOT_FOUND;
  }
  for (unsigned i = 0; m->job->options->no_packets && i < m->in->nb_streams; i++)
    m->in->streams[i]->discard = (int)i == m->video ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  return 0;
}

int media_open(media *m) {
  cli_avlog_hold(true);
  int error = open_format(m);
  cli_avlog_hold(false);
  if (error == 0)
    error = choose_video(m);
  if (error == 0)
    error = media_decoder_open(m);
  if (error == 0) {
    const AVStream *stream = m->in->streams[m->video];
    AVRational rate = stream->avg_frame_rate.num > 0 ? stream->avg_frame_rate : stream->r_frame_rate;
    m->frame_duration = rate.num > 0 && rate.den > 0 ? av_rescale(PUBLISH_SECOND, rate.den, rate.num) : 0;
  }
  m->mapped = 0;
  m->track_count = 0;
  if (error < 0)
    media_close(m);
  return error;
}

void media_close(media *m) {
  media_side_forget(m); /* the next times are of another clock */
  begin_call(m, 0);     /* RTSP says good-bye here */
  avformat_close_input(&m->in);
  end_call(m);
}

int media_read(media *m) {
  begin_call(m, 0);
  int error = av_read_frame(m->in, m->packet);
  end_call(m);
  if (error < 0 && error != AVERROR_EOF && error != AVERROR(EAGAIN))
    return media_explain(m, error, "cannot read on");
  return error;
}

int media_rewind(media *m) {
  /* Only an index leads to the very first packet; where there may be none, opening again does. */
  bool seekable = m->in->pb != NULL && (m->in->pb->seekable & AVIO_SEEKABLE_NORMAL) &&
                  !(m->in->iformat->flags & (AVFMT_TS_DISCONT | AVFMT_NOTIMESTAMPS | AVFMT_NOFILE));
  int64_t start = m->in->start_time == AV_NOPTS_VALUE ? 0 : m->in->start_time;
  begin_call(m, 0);
  bool done = seekable && avformat_seek_file(m->in, -1, INT64_MIN, start, start, 0) >= 0;
  end_call(m);
  if (done)
    return media_decoder_open(m);
  media_close(m);
  return media_open(m);
}

bool media_ended_early(media *m) {
  const int64_t promised = m->in->duration == AV_NOPTS_VALUE ? 0 : m->in->duration * 1000;
  const int64_t came = m->timeline.start == CUFRAMES_NO_TIME ? 0 : m->timeline.end - m->timeline.start;
  const int64_t size = m->in->pb ? avio_size(m->in->pb) : -1;
  if (promised > came + PUBLISH_SECOND && promised - came > promised / 50) {
    snprintf(m->reason, sizeof m->reason, "truncated or damaged: it ended after %.1f s of %.1f s", (double)came / 1e9,
             (double)promised / 1e9);
    return true;
  }
  /* A transport stream tells no length; but it consists of packets of 188 bytes (192 or 204 in some files). */
  if (strcmp(m->in->iformat->name, "mpegts") == 0 && size > 0 && size % 188 && size % 192 && size % 204) {
    snprintf(m->reason, sizeof m->reason, "truncated: it ends in the middle of a packet, after %.1f s",
             (double)came / 1e9);
    return true;
  }
  return false;
}
